"""Make the prompt of one turn: what every visitor shares first, byte for byte the same, then what is asked now.

Two regimes, one interface. While the corpus fits every model that may answer, all of it is the shared prefix. Past
that the prefix keeps the table of contents, and the passages found for the question come with it.

Two forms of each: sections as text, whose numbers the model writes as markers; and, where a candidate's provider cites
by itself, the same sections as documents of chunks that it can point at. Knows no provider.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import groupby
from typing import Literal

from askfit.ask.lengths import length_of
from askfit.ask.question import Question, Turn
from askfit.corpus import Corpus
from askfit.declared import chat_instructions
from askfit.models import facts
from askfit.prompts import load_prompt
from askfit.routing import BUILTIN, beside, cache_plan, candidates, regime
from askfit.site import Site
from askfit.text import cached_tokens, estimate_tokens
from askfit.types import Chunk, Chunks, Message, Prompt, Section

MOST_CONTENTS_TOKENS = 4_000
MOST_PASSAGE_TOKENS = 4_000
PASSAGES = 8
MOST_DOCUMENTS = 200  # to cite; Anthropic tells no limit, others have seen 200 accepted: more pages share documents
# A citation costs some 18 output tokens where a marker costs five: a published answer of 16 words with two has 51.
CITED_LENGTH = 1.5
# Text that could close our own tags: its "<" becomes "‹". "<div>" and "a < b" stay as they are.
_OUR_TAGS = re.compile(r"<(?=\s*/?\s*(?:section|passages|contents|question)\b)", re.IGNORECASE)


class Shared:
    """What is derived once from a corpus. Kept by the corpus' identity, so that a changed site is never mixed up."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus

    def __hash__(self) -> int:
        return id(self.corpus)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shared) and self.corpus is other.corpus


def make_prompt(site: Site, feature: str, asked: Question, passages: Sequence[Section]) -> Prompt:
    """The prompt of one turn. `passages` are used only where the corpus does not fit."""
    instructions, sha = chat_instructions(site.settings, site.settings.features[feature])
    shared = Shared(site.corpus)
    whole = fits(site, feature)
    prefix = whole_prefix(shared) if whole else contents_prefix(shared)
    question = tagged("question", asked.text)
    found = [] if whole else _fitting(shared, passages)
    prompt = Prompt(
        instructions=instructions,
        prefix=prefix,
        messages=(
            *_messages(asked.history),
            Message("user", question if whole else f"{_passages(found)}\n\n{question}"),
        ),
        max_output_tokens=length_of(asked).tokens,
        sha=sha,
        cache_ttl=_cache_ttl(site, feature, cached_tokens(instructions, prefix)),
    )
    if not any(facts(model).citations for model in _answering(site, feature)):
        return prompt
    if whole:
        return _citing(prompt, question, prefix="", documents=whole_documents(shared))
    return _citing(prompt, question, prefix=prefix, found=documents_of(found))


def _citing(
    prompt: Prompt,
    question: str,
    *,
    prefix: str,
    documents: tuple[Chunks, ...] = (),
    found: tuple[Chunks, ...] = (),
) -> Prompt:
    """The prompt with its other form: the sections as documents, where the text and the passages were."""
    more = load_prompt("ask_citing")
    sha = hashlib.sha256(f"{prompt.sha}{more.sha}".encode()).hexdigest()[:12]
    cited = replace(
        prompt,
        instructions=f"{prompt.instructions}\n\n{more.text}",
        prefix=prefix,
        messages=(*prompt.messages[:-1], Message("user", question)),
        max_output_tokens=math.ceil(prompt.max_output_tokens * CITED_LENGTH),
        sha=sha,
        documents=documents,
        found=found,
    )
    return replace(prompt, sha=sha, cited=cited)


def _cache_ttl(site: Site, feature: str, tokens: int) -> Literal["", "5m", "1h"]:
    model, runs = candidates(site.settings, feature)[0], site.settings.features[feature].shape.runs_per_visit
    return cache_plan(model, tokens, site.arrivals.gaps_min(feature), runs).ttl


def uncached(prompt: Prompt) -> Prompt:
    """The same prompt, to be kept by no provider: for a model that is asked too seldom to find it again."""
    return replace(prompt, cache_ttl="", cited=prompt.cited and replace(prompt.cited, cache_ttl=""))


def builtin_only(site: Site, feature: str) -> bool:
    """Does no model stand before the built-in? Then no prompt is needed."""
    return candidates(site.settings, feature)[0] == BUILTIN


def fits(site: Site, feature: str) -> bool:
    """Does the whole corpus fit every model that may come to answer?"""
    models = [model for model in _answering(site, feature) if model != BUILTIN]
    return all(regime(model, site.corpus.tokens) == "whole" for model in models)


def _answering(site: Site, feature: str) -> tuple[str, ...]:
    return (*candidates(site.settings, feature), *beside(site.settings, feature))


def numbers(shared: Shared) -> Mapping[str, int]:
    """Each section's number, by its id: its place in the corpus, from 1, in both regimes."""
    return shared.corpus.numbers


@lru_cache(maxsize=2)
def whole_prefix(shared: Shared) -> str:
    """Every section, in the corpus' order."""
    return "\n".join(_section(at, section) for at, section in enumerate(shared.corpus.sections, 1))


@lru_cache(maxsize=2)
def whole_documents(shared: Shared) -> tuple[Chunks, ...]:
    """Every section, in the corpus' order, as documents that can be cited."""
    return documents_of(enumerate(shared.corpus.sections, 1))


def documents_of(numbered: Iterable[tuple[int, Section]]) -> tuple[Chunks, ...]:
    """A document a page; where pages are many, a document for a few neighbours."""
    pages = [list(page) for _, page in groupby(numbered, key=lambda pair: pair[1].document)]
    size = math.ceil(len(pages) / MOST_DOCUMENTS) or 1
    return tuple(
        tuple(chunk for page in pages[at : at + size] for number, section in page for chunk in _chunks(number, section))
        for at in range(0, len(pages), size)
    )


def _chunks(number: int, section: Section) -> Iterator[Chunk]:
    """The heading with the section's number, then each line: of a long one our own code finds the sentence."""
    yield Chunk(_opening(number, section))
    at = 0
    for line in section.text.split("\n"):
        if line.strip():
            yield Chunk(_inert(line), number, at)
        at += len(line) + 1


@lru_cache(maxsize=2)
def contents_prefix(shared: Shared) -> str:
    """The pages' titles, in the corpus' order, as far as they fit: what the site is about at all."""
    lines: list[str] = []
    left = MOST_CONTENTS_TOKENS
    for document in shared.corpus.documents:
        line = _inert(" ".join(f"{document.date} {document.title}".split()))
        left -= estimate_tokens(line)
        if left < 0:
            break
        lines.append(line)
    return "\n".join(["<contents>", *lines, "</contents>"])


def tagged(tag: str, text: str) -> str:
    """Text between tags that it cannot close."""
    return f"<{tag}>\n{_inert(text)}\n</{tag}>"


def _messages(history: Sequence[Turn]) -> list[Message]:
    return [
        message
        for turn in history
        for message in (Message("user", tagged("question", turn.question)), Message("assistant", _inert(turn.answer)))
    ]


def _fitting(shared: Shared, passages: Sequence[Section]) -> list[tuple[int, Section]]:
    """The found sections as far as they fit, numbered, in the corpus' order, so that neighbours read on."""
    kept: list[tuple[int, Section]] = []
    left = MOST_PASSAGE_TOKENS
    for section in passages:
        left -= section.tokens
        if left < 0 and kept:
            break
        kept.append((numbers(shared)[section.id], section))
    return sorted(kept, key=lambda pair: pair[0])


def _passages(found: Sequence[tuple[int, Section]]) -> str:
    body = "\n".join(_section(number, section) for number, section in found)
    return f"<passages>\n{body}\n</passages>"


def _section(number: int, section: Section) -> str:
    return f"{_opening(number, section)}\n{_inert(section.text)}\n</section>"


def _opening(number: int, section: Section) -> str:
    return f'<section n="{number}" title="{_attribute(section.title)}" heading="{_attribute(section.heading)}">'


def _attribute(text: str) -> str:
    return " ".join(text.replace('"', "'").replace("<", "‹").replace(">", "›").split())


def _inert(text: str) -> str:
    return _OUR_TAGS.sub("‹", text)
