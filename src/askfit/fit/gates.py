"""Gates of a posting against the rows: which are met, which are not, and which languages plainly fail.

A degree, a visa or a place stays unknown: no row settles it. A language does, where rows state it. Who lists languages
and leaves one out is taken as who states it at 0, so that a row at 1 is never worse than none. English left out of a
list is only unknown: people who write their matrix in it often do not list it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from askfit.fit.match import Index
from askfit.fit.terms import phrase
from askfit.fit.wording import pattern, patterns
from askfit.types import Gate

UNLISTED_UNKNOWN = "english"
PLAINLY_SHORT = 2  # levels below what is asked, from which a language plainly fails
LEVELS = {"native": 4.5, "fluent": 4.0, "basic": 2.0, "usual": 3.0}  # as wording.toml tells them
USUAL_LEVEL = 3.0  # where a gate does not say how well


@dataclass(frozen=True, slots=True)
class Spoken:
    """A language that a gate asks, or several of which one is enough."""

    names: tuple[str, ...]
    level: float  # 0–5
    open: bool  # "or another": any other would do too


def settle_gates(gates: Sequence[str], index: Index) -> tuple[Gate, ...]:
    """A language is met or unmet where a row states it; a degree, a visa, a place stays unknown."""
    return tuple(Gate(text=gate, status=_status(gate, index)) for gate in gates)


def _status(gate: str, index: Index) -> Literal["met", "unmet", "unknown"]:
    asked = _spoken(gate)
    if not asked:
        return "unknown"
    best = [max((_level(name, index), name) for name in one.names) for one in asked]
    if all(level >= one.level for (level, _), one in zip(best, asked, strict=True)):
        return "met"
    stated = any(_fails(one, index) and any(_rows(name, index) for name in one.names) for one in asked)
    return "unmet" if stated else "unknown"


def failing_languages(gates: Sequence[str], index: Index) -> tuple[str, ...]:
    """What is said of each language that a gate insists on and the rows plainly do not reach."""
    found = (_said(one, index) for gate in gates for one in _spoken(gate) if _fails(one, index))
    return tuple(dict.fromkeys(found))


def _fails(one: Spoken, index: Index) -> bool:
    if one.open or not _lists_languages(index):
        return False
    if UNLISTED_UNKNOWN in one.names and not _rows(UNLISTED_UNKNOWN, index):
        return False
    return max(_level(name, index) for name in one.names) <= one.level - PLAINLY_SHORT


def _said(one: Spoken, index: Index) -> str:
    asked = " or ".join(name.capitalize() for name in one.names)
    stated = [level for name in one.names for level in _rows(name, index)]
    stands = (
        f"the matrix states it at {max(stated):g} of 5" if stated else "the matrix lists languages and not this one"
    )
    return f"{asked} is asked as a must, and {stands}"


# ---------------------------------------------------------------- the rows


def _rows(language: str, index: Index) -> list[float]:
    return [match.level for name in _names()[language] for match in index.names.get(name, ())]


def _level(language: str, index: Index) -> float:
    return max(_rows(language, index), default=0.0)


def _lists_languages(index: Index) -> bool:
    return any(_rows(language, index) for language in _names())


@cache
def _names() -> dict[str, tuple[tuple[str, ...], ...]]:
    """Each language's names, folded; its first name in wording.toml is ours."""
    return {name: tuple(map(phrase, said.pattern.split("|"))) for name, said in patterns("languages").items()}


# ---------------------------------------------------------------- what a gate asks


_ENDS_A_LANGUAGE = (  # "Deutschkenntnisse" and "deutscher"; neither Germany nor the German market
    r"(?:kenntniss\w*|sprach\w*|e[nrsm]?)?\b(?![ -](?:market|law|tax|customer|client|compan|user|office|region))"
)
_ENDS_A_CLAUSE = re.compile(r"[;.()]|,(?!\s*(?:or|oder|ou|o|of)\b)")


def _spoken(gate: str) -> tuple[Spoken, ...]:
    """The languages that a gate insists on; one that is welcome, or may be learned, is none."""
    if not pattern("gates", "language").search(gate):
        return ()
    whole = _asked_level(gate)
    return tuple(one for clause in _ENDS_A_CLAUSE.split(gate) for one in _of_clause(clause, whole))


def _of_clause(clause: str, whole: float | None) -> Iterator[Spoken]:
    if pattern("spoken", "welcome").search(clause):
        return
    names: list[str] = []
    end, begins = 0, 0
    for name, start, past in _mentions(clause):
        if names and not pattern("spoken", "or").search(clause, end, start):
            yield _one(names, clause[begins:start], clause[end:start], whole)
            names, begins = [], end
        names, end = [*names, name], past
    if names:
        yield _one(names, clause[begins:], clause[end:], whole)


def _one(names: Sequence[str], near: str, after: str, whole: float | None) -> Spoken:
    level = _asked_level(near) or whole or USUAL_LEVEL
    return Spoken(tuple(names), level, bool(pattern("spoken", "or_other").search(after)))


def _mentions(clause: str) -> list[tuple[str, int, int]]:
    """(language, start, end) in order; "muttersprachliches Deutsch" and "Deutschkenntnisse" name it too."""
    found = [
        (name, match.start(), match.end())
        for name, said in patterns("languages").items()
        for match in re.finditer(rf"\b(?:{said.pattern}){_ENDS_A_LANGUAGE}", clause, re.IGNORECASE)
    ]
    return sorted(found, key=lambda one: one[1])


def _asked_level(said: str) -> float | None:
    return next((level for name, level in LEVELS.items() if pattern("spoken", name).search(said)), None)
