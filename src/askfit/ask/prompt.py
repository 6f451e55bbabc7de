"""Make the prompt of one turn: what every visitor shares first, byte for byte the same, then what is asked now.

Two regimes, one interface. While the corpus fits every model that may answer, all of it is the shared prefix. Past
that the prefix keeps the table of contents, and the passages found for the question come with it. Knows no provider.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Literal

from askfit.ask.lengths import length_of
from askfit.ask.question import Question, Turn
from askfit.corpus import Corpus
from askfit.prompts import load_prompt
from askfit.routing import BUILTIN, cache_plan, candidates, regime
from askfit.site import Site
from askfit.text import estimate_tokens
from askfit.types import Message, Prompt, Section

MOST_CONTENTS_TOKENS = 4_000
MOST_PASSAGE_TOKENS = 4_000
PASSAGES = 8
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
    file = load_prompt("ask")
    shared = Shared(site.corpus)
    whole = fits(site, feature)
    prefix = whole_prefix(shared) if whole else contents_prefix(shared)
    said = tagged("question", asked.text)
    if not whole:
        said = f"{_passages(shared, passages)}\n\n{said}"
    return Prompt(
        instructions=file.render(name=site.settings.site.name),
        prefix=prefix,
        messages=(*_messages(asked.history), Message("user", said)),
        max_output_tokens=length_of(asked).tokens,
        sha=file.sha,
        cache_ttl=_cache_ttl(site, feature, prefix),
    )


def _cache_ttl(site: Site, feature: str, prefix: str) -> Literal["", "5m", "1h"]:
    model, runs = candidates(site.settings, feature)[0], site.settings.features[feature].shape.runs_per_visit
    return cache_plan(model, estimate_tokens(prefix), site.arrivals.gaps_min(feature), runs).ttl


def builtin_only(site: Site, feature: str) -> bool:
    """Does no model stand before the built-in? Then no prompt is needed."""
    return candidates(site.settings, feature)[0] == BUILTIN


def fits(site: Site, feature: str) -> bool:
    """Does the whole corpus fit every model that may come to answer?"""
    models = [model for model in candidates(site.settings, feature) if model != BUILTIN]
    return all(regime(model, site.corpus.tokens) == "whole" for model in models)


def numbers(shared: Shared) -> Mapping[str, int]:
    """Each section's number, by its id: its place in the corpus, from 1, in both regimes."""
    return shared.corpus.numbers


@lru_cache(maxsize=2)
def whole_prefix(shared: Shared) -> str:
    """Every section, in the corpus' order."""
    return "\n".join(_section(at, section) for at, section in enumerate(shared.corpus.sections, 1))


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


def _passages(shared: Shared, passages: Sequence[Section]) -> str:
    """The found sections as far as they fit, in the corpus' order, so that neighbours read on."""
    kept: list[tuple[int, Section]] = []
    left = MOST_PASSAGE_TOKENS
    for section in passages:
        left -= section.tokens
        if left < 0 and kept:
            break
        kept.append((numbers(shared)[section.id], section))
    body = "\n".join(_section(number, section) for number, section in sorted(kept, key=lambda pair: pair[0]))
    return f"<passages>\n{body}\n</passages>"


def _section(number: int, section: Section) -> str:
    title, heading = _attribute(section.title), _attribute(section.heading)
    return f'<section n="{number}" title="{title}" heading="{heading}">\n{_inert(section.text)}\n</section>'


def _attribute(text: str) -> str:
    return " ".join(text.replace('"', "'").replace("<", "‹").replace(">", "›").split())


def _inert(text: str) -> str:
    return _OUR_TAGS.sub("‹", text)
