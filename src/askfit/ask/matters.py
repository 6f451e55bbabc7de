"""What visitors in a hurry ask about anyone: employers, tools, notice period, however they put it, in two languages.

"current job?", "Which companies has she worked for?", "Gehaltsvorstellung?": one matter each, told by its words alone,
and only where the question says nothing else: "Which companies did she found?" is none. The words stand in
matters.toml. Knows no corpus.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from askfit.ask.languages import FUNCTION_WORDS
from askfit.ask.terms import STOP
from askfit.text import words

Tells = Literal["plain", "contact", "places", "stations", "latest", "now", "since", "leaving", "things", "group"]

MOST_FRAGMENT_WORDS = 7  # "notice period?" asks of nobody by name, and so of the owner
_VERB = re.compile(
    r"\b(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|ist|sind|hat|gibt)\b", re.IGNORECASE
)
_CITY = r"([A-ZÄÖÜ]\w+(?: [A-ZÄÖÜ]\w+)*)"
_WHERE_TO = re.compile(rf"\b(?:[Mm]ov(?:e|ing)|[Rr]elocat(?:e|ing|ion)) to {_CITY}|\bnach {_CITY} umz")
# They turn a question round, or ask for more than what is told.
_TURNS = frozenset("not never no without except who whose why how nicht kein keine nie ohne warum wer".split())
_FILLERS = (STOP | FUNCTION_WORDS["de"]) - {"without", "except"} | frozenset(
    "list name show overview please bitte etwas dir dich deine deinen deiner deines ihrer seine seinen seiner welchen "
    "welchem welches wieviel viele vieler e s t re ve u ur".split()
)


@dataclass(frozen=True, slots=True)
class Matter:
    """One thing that is asked about: the words that name it, those that may stand with them, and what it is told by."""

    name: str
    heads: frozenset[str]
    known: frozenset[str]  # these, and what may stand with them
    needs: frozenset[str]  # one of these words too, where there are any
    asks: tuple[str, ...]  # the same in the words of a site's own pages
    tells: Tells
    narrowed: bool  # by the turn before, where there is one: "How big was the team?"


@cache
def matters() -> Sequence[Matter]:
    """All of them; the first that fits is meant."""
    table = tomllib.loads(files("askfit.ask").joinpath("matters.toml").read_text(encoding="utf-8"))
    return tuple(
        Matter(
            name=row["name"],
            heads=_words(row["heads"]),
            known=_words(row["heads"]) | _words(row["others"]),
            needs=_words(row.get("needs", "")),
            asks=tuple(row.get("asks", ())),
            tells=row.get("tells", "plain"),
            narrowed=row.get("narrowed", False),
        )
        for row in table["matter"]
    )


def _words(text: str) -> frozenset[str]:
    return frozenset(text.casefold().split())


def matter_of(text: str, names: Set[str], *, personal: bool) -> Matter | None:
    """The one thing that the question is about; None where it says anything more. `names` are the owner's own words."""
    said = [word.removesuffix("'s") for word in words(text)]
    fragment = len(said) <= MOST_FRAGMENT_WORDS and not _VERB.search(text)
    if not (personal or fragment):
        return None
    aside = names | frozenset(words(" ".join(part for match in _WHERE_TO.findall(text) for part in match)))
    left = {word for word in said if word not in aside}
    telling = {word for word in left if word in _TURNS or word not in _FILLERS}
    return next((matter for matter in matters() if _is(matter, left, telling)), None)


def _is(matter: Matter, said: Set[str], telling: Set[str]) -> bool:
    """Does the matter know all telling words, and does one of those that are said name it?"""
    return (
        telling <= matter.known
        and not matter.heads.isdisjoint(said)
        and (not matter.needs or not matter.needs.isdisjoint(said & matter.known))
    )
