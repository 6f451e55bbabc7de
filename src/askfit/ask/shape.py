"""Is a question one of synthesis, which weighs, compares or infers, or one of retrieval, whose answer stands somewhere?

Rules over its words (shape.toml), English and German, no model: where they are not sure it is retrieval, for a wrong
"synthesis" costs the owner money and a wrong "retrieval" only what every answer was before. Knows no model, no price.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from askfit.text import words

Shape = Literal["retrieval", "synthesis"]

MOST_READ_CHARACTERS = 1_000
FEWEST_WORDS = 4  # "Why?" leans on the turn before; there is nothing to weigh in it
_QUOTED = re.compile(r"“[^”]*”|„[^“”]*[“”]|\"[^\"]*\"|«[^»]*»")  # a title, another's words


@dataclass(frozen=True, slots=True)
class Cues:
    """What tells the two apart: patterns of one fact, and of weighing, by name."""

    fact: tuple[tuple[str, re.Pattern[str]], ...]
    synthesis: tuple[tuple[str, re.Pattern[str]], ...]


@cache
def cues() -> Cues:
    """Read shape.toml."""
    table = tomllib.loads(files("askfit.ask").joinpath("shape.toml").read_text(encoding="utf-8"))
    fact, synthesis = (
        tuple((row["name"], re.compile(row["said"].replace("\n", ""), re.IGNORECASE)) for row in table[kind])
        for kind in ("fact", "cue")
    )
    return Cues(fact, synthesis)


def why_synthesis(question: str) -> str:
    """The name of the first cue that makes it one of synthesis; "" where it is one of retrieval."""
    read = " ".join(_QUOTED.sub(" … ", question[:MOST_READ_CHARACTERS]).split())
    if len(words(read)) < FEWEST_WORDS or any(said.search(read) for _, said in cues().fact):
        return ""
    return next((name for name, said in cues().synthesis if said.search(read)), "")


def shape_of(question: str) -> Shape:
    """What the question's own words make of it."""
    return "synthesis" if why_synthesis(question) else "retrieval"
