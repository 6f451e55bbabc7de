"""Which rows lie near a phrase, by the stems and letters that their names share with it. Knows nothing of bands.

How near a row is depends on the phrase and on that row alone, never on the rows beside it: a row more or less changes
no other's nearness. Nearness orders rows and bears a requirement in part; it is no proof that a row means the same.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from askfit.fit.terms import find_terms, is_light, tokens
from askfit.types import Skill

# Chosen on 92 phrases of postings against 877 skills, among some forty settings (2026-11-21).
LETTERS = 3
WORD_WEIGHT = 3.0  # of a whole stem beside each run of three letters of it
LIGHT_WEIGHT = 0.7  # of "use" and "systems": they tell "use a database" from "design a database", and little more
ALIAS_WEIGHT = 0.97  # of two rows that are as near, the one whose own name it is
SYNONYM_WEIGHT = 0.8  # of what the taxonomy says the phrase is also called

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


def nearest_rows(phrase: str, index: NearIndex, most: int = 5) -> list[NearRow]:
    """The rows nearest to a phrase, the nearest first; equals in the matrix's order."""
    best: dict[int, float] = {}
    for vector, factor in _readings(phrase):
        for spelling, nearness in _overlap(vector, index).items():
            row = index.row_of[spelling]
            best[row] = max(best.get(row, 0.0), round(factor * nearness, 6))
    ranked = sorted(best.items(), key=lambda item: (-item[1], item[0]))[:most]
    return [NearRow(index.skills[row], min(1.0, nearness)) for row, nearness in ranked]


def _readings(phrase: str) -> Iterable[tuple[_Vector, float]]:
    """The phrase as it stands, and by every other name that the taxonomy has for the whole of it."""
    yield _vector(phrase), 1.0
    found = tokens(phrase)
    for start, end, term in find_terms(found):
        if end - start == len(found):
            own = tuple(token.fold for token in found)
            yield from ((_of_stems(name), SYNONYM_WEIGHT) for name in term.names if name != own)


def _overlap(vector: _Vector, index: NearIndex) -> dict[int, float]:
    """The cosine of the phrase with each spelling that shares anything with it."""
    sums: defaultdict[int, float] = defaultdict(float)
    for part, weight in vector.items():
        for spelling, other in index.weights.get(part, ()):
            sums[spelling] += weight * other
    return sums


@lru_cache(maxsize=8192)
def _vector(name: str) -> _Vector:
    return _of_stems(tuple(token.fold for token in tokens(name)))


def _of_stems(stems: tuple[str, ...]) -> _Vector:
    """Stems and their letters, of length 1."""
    parts: dict[str, float] = {}
    for stem in stems:
        weight = LIGHT_WEIGHT if is_light(stem) else 1.0
        parts[f"{stem}="] = WORD_WEIGHT * weight
        padded = f" {stem} "
        for at in range(len(padded) - LETTERS + 1):
            letters = padded[at : at + LETTERS]
            parts[letters] = max(parts.get(letters, 0.0), weight)
    length = math.sqrt(sum(weight * weight for weight in parts.values())) or 1.0
    return {part: weight / length for part, weight in parts.items()}
