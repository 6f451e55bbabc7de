"""Which rows lie near a phrase, by the stems and letters that their names share with it. Knows nothing of bands.

How near a row is depends on the phrase and on that row alone, never on the rows beside it: a row more or less changes
no other's nearness. It is no proof that a row means the same: it decides which row the owner is asked about, and
bears nothing.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from askfit.fit.terms import is_light, phrase
from askfit.types import Skill

# Chosen on 92 phrases of postings against 877 skills, among some forty settings (2026-11-21).
LETTERS = 3
WORD_WEIGHT = 3.0  # of a whole stem beside each run of three letters of it
LIGHT_WEIGHT = 0.7  # of "use" and "systems": they tell "use a database" from "design a database", and little more
ALIAS_WEIGHT = 0.97  # of two rows that are as near, the one whose own name it is

_Vector = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class NearRow:
    """A row and how near it is to a phrase, 0–1."""

    skill: Skill
    nearness: float


@dataclass(frozen=True, slots=True)
class NearIndex:
    """Every spelling of every row by the stems and letters in it."""

    skills: tuple[Skill, ...]
    weights: Mapping[str, tuple[tuple[int, float], ...]]  # stem or letters → (spelling, weight)
    row_of: tuple[int, ...]  # of each spelling, the row's place in `skills`


def index_near(skills: Sequence[Skill]) -> NearIndex:
    """Index the names and aliases of rows."""
    weights: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    row_of: list[int] = []
    for at, skill in enumerate(skills):
        for name in dict.fromkeys((skill.name, *skill.aliases)):
            factor = 1.0 if name == skill.name else ALIAS_WEIGHT
            for part, weight in _vector(name).items():
                weights[part].append((len(row_of), factor * weight))
            row_of.append(at)
    return NearIndex(tuple(skills), {part: tuple(found) for part, found in weights.items()}, tuple(row_of))


def nearest_rows(asked: str, index: NearIndex, most: int = 5) -> list[NearRow]:
    """The rows nearest to a phrase, the nearest first; equals in the matrix's order."""
    best: dict[int, float] = {}
    for spelling, nearness in _overlap(_vector(asked), index).items():
        row = index.row_of[spelling]
        best[row] = max(best.get(row, 0.0), round(nearness, 6))
    ranked = sorted(best.items(), key=lambda item: (-item[1], item[0]))[:most]
    return [NearRow(index.skills[row], min(1.0, nearness)) for row, nearness in ranked]


def _overlap(vector: _Vector, index: NearIndex) -> dict[int, float]:
    """The cosine of the phrase with each spelling that shares anything with it."""
    sums: defaultdict[int, float] = defaultdict(float)
    for part, weight in vector.items():
        for spelling, other in index.weights.get(part, ()):
            sums[spelling] += weight * other
    return sums


@lru_cache(maxsize=8192)
def _vector(name: str) -> _Vector:
    """Stems and their letters, of length 1."""
    parts: dict[str, float] = {}
    for stem in phrase(name):
        weight = LIGHT_WEIGHT if is_light(stem) else 1.0
        parts[f"{stem}="] = WORD_WEIGHT * weight
        padded = f" {stem} "
        for at in range(len(padded) - LETTERS + 1):
            letters = padded[at : at + LETTERS]
            parts[letters] = max(parts.get(letters, 0.0), weight)
    length = math.sqrt(sum(weight * weight for weight in parts.values())) or 1.0
    return {part: weight / length for part, weight in parts.items()}
