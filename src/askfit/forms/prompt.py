"""Make the prompt of a form: what every visitor shares first, byte for byte the same, then what was pasted.

The matrix and the whole corpus while it fits; past that the titles, and the sections that the rules found. Knows no
provider.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from askfit.ask.prompt import Shared, contents_prefix, fits, numbers, whole_prefix
from askfit.declared import form_instructions, form_of
from askfit.declared.form import MARK, MOST_CHARS, MOST_ITEMS, Schema
from askfit.fit.judgement import matrix_text
from askfit.forms.found import Found
from askfit.prompts import load_prompt
from askfit.routing import cache_plan, candidates
from askfit.site import Site
from askfit.text import cached_tokens
from askfit.types import Message, Prompt, Section

MOST_OUTPUT_TOKENS = 4_000
CHARS_PER_TOKEN = 3
TOKENS_PER_FIELD = 12  # its name and marks
TOKENS_PER_QUOTE = 40
MOST_FOUND = 12  # sections that come with the text where the corpus does not fit
_OUR_TAGS = re.compile(r"<(?=\s*/?\s*(?:matrix|section|passages|contents|pasted)\b)", re.IGNORECASE)


def form_prompt(site: Site, feature: str, found: Found) -> Prompt:
    """The prompt that fills a feature's form for what was pasted."""
    declared, form = site.settings.features[feature], form_of(site.settings, feature)
    instructions, sha = form_instructions(site.settings, feature)
    whole = fits(site, feature)
    parts = [matrix_text(site.matrix)] if "matrix" in declared.reads and site.matrix else []
    beside = ""
    if "corpus" in declared.reads:
        shared = Shared(site.corpus)
        parts.append(whole_prefix(shared) if whole else contents_prefix(shared))
        beside = "" if whole else _passages(shared, _sections(site, found))
    prefix = "\n\n".join(parts)
    gaps_min, runs = site.arrivals.gaps_min(feature), declared.shape.runs_per_visit
    tokens = cached_tokens(instructions, prefix)
    plan = cache_plan(candidates(site.settings, feature)[0], tokens, gaps_min, runs)
    return Prompt(
        instructions=instructions,
        prefix=prefix,
        messages=(Message("user", f"{beside}<pasted>\n{_inert(found.posting.text)}\n</pasted>\n\nFill the form."),),
        max_output_tokens=min(MOST_OUTPUT_TOKENS, 200 + _tokens(form.schema)),
        output_schema=form.asked,
        sha=sha,
        cache_ttl=plan.ttl,
    )


def repair_prompt(prompt: Prompt, faults: Sequence[str]) -> Prompt:
    """The same cached part, and in the last message what was wrong."""
    file = load_prompt("own_form_repair")
    told = file.render(faults=_inert("\n".join(f"- {fault}" for fault in faults)))
    return replace(prompt, messages=(Message("user", f"{prompt.messages[-1].text}\n\n{told}"),), sha=file.sha)


def _sections(site: Site, found: Found) -> list[Section]:
    named = [one.section for one in found.pages if one.section]
    near = [passage.section for passage in site.corpus.passages(found.posting.text[:1_000], MOST_FOUND)]
    return list({section.id: section for section in (*named, *near)}.values())[:MOST_FOUND]


def _passages(shared: Shared, sections: Sequence[Section]) -> str:
    number = numbers(shared)
    lines = [
        f'<section n="{number[one.id]}" title="{_attribute(one.title)}" heading="{_attribute(one.heading)}">\n'
        f"{_inert(one.text)}\n</section>"
        for one in sections
    ]
    return "<passages>\n" + "\n".join(lines) + "\n</passages>\n\n"


def _attribute(text: str) -> str:
    return " ".join(text.replace('"', "'").replace("<", "‹").replace(">", "›").split())


def _inert(text: str) -> str:
    return _OUR_TAGS.sub("‹", text)


def _tokens(schema: Schema) -> int:
    """The most that a form of this schema takes, roughly."""
    return sum(_leaves(schema))


def _leaves(schema: Schema) -> Iterator[int]:
    match schema["type"]:
        case "object":
            for inner in schema["properties"].values():
                yield TOKENS_PER_FIELD + _tokens(inner)
        case "array":
            yield schema.get("maxItems", MOST_ITEMS) * _tokens(schema["items"])
        case "string" if schema.get(MARK) in ("quote", "missing_quote", "site_quote"):
            yield TOKENS_PER_QUOTE
        case "string" if "enum" not in schema:
            yield schema.get("maxLength", MOST_CHARS) // CHARS_PER_TOKEN
        case _:
            yield 4
