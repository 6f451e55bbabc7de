"""Weigh one clause against the sections that may bear it: facts that none bears, and facts wrongly paired."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from askfit.ask.ground.evidence import Said, Unit, counts, forms, listed
from askfit.ask.ground.facts import Fact, facts
from askfit.ask.ground.holding import (
    MONTHS_IN,
    PEOPLE,
    bare_address,
    figure_in,
    has,
    lasted,
    named,
    stands,
    superlative_in,
)

SAME_THING = 0.5  # of what the best sentence shares: as much must be shared by the sentence that holds a figure
SAYS_IT = 0.7  # of a clause's weight: where a sentence of the site says as much, it is what is repeated,
SAME_SENTENCE = 0.8  # and a figure must stand in it, or in one that shares this much of what it shares
CLOSE = 0.75  # of what the best sentence shares: as much says the same, whatever it counts
SPEAKS_OF_IT = 0.22  # of a clause's weight: below, no sentence of the site is near, as in another language
_JOINED = re.compile(r"\s*,?(?:\s+[^\W\dA-Z]+){0,5}\s+(?:at|in|bei|chez|à|en)\s+(?:the )?")
_COUNTING = 12


@dataclass(frozen=True, slots=True)
class Clause:
    facts: tuple[Fact, ...]
    carried: tuple[Fact, ...]  # the name of the clause before, where this one has none
    weights: dict[str, float]  # stem → weight
    text: str


class Weighed:
    """One clause against the sections that may bear it."""

    def __init__(self, clause: Clause, units: Sequence[Unit], cited: int, sentence: str) -> None:
        self.clause = clause
        self.units = units
        self.cited = cited
        self.sentence = sentence
        self.shared = [[self._share(one, unit) for one in unit.said] for unit in units]
        self.best = max((share for shares in self.shared for share in shares), default=0.0)
        whole = sum(clause.weights.values())
        self.near = self.best >= SPEAKS_OF_IT * whole
        self.least = (SAME_SENTENCE if self.best >= SAYS_IT * whole else SAME_THING) * self.best

    def _share(self, said: Said, unit: Unit) -> float:
        weights = self.clause.weights
        text = sum(weights[one] for one in said.stems if one in weights)
        return text + sum(weights[one] for one in unit.head.stems if one in weights and one not in said.stems) / 2

    def missing(self) -> list[str]:
        own = self.clause.facts
        alone = [one for one in own if not any(self._holds(at, one) for at in range(len(self.units)))]
        if alone:
            return [one.kind for one in alone]
        figures = [one for one in own if one.kind in ("number", "date")]
        names = [one for one in own if one.kind == "name"] or list(self.clause.carried)
        apart = [one for one in figures if (name := _nearest(one, names)) and not self._together(one, name)]
        joined = [(a, b) for a, b in pairwise(names) if self._joined(a, b)]
        return ["swap"] if apart or any(not self._beside(a, b) for a, b in joined) else []

    def _relevant(self, at: int) -> bool:
        return not self.near or max(self.shared[at], default=0.0) >= SAME_THING * self.best

    def _holds(self, at: int, one: Fact) -> bool:
        """Does the section bear the fact, in words on the same thing?"""
        unit = self.units[at]
        if one.kind in ("number", "date"):
            return any(True for _ in self._places(at, one))
        if not self._relevant(at):
            return False
        if one.kind == "address":
            return any(bare_address(one.text) in bare_address(said.text) for said in (unit.head, *unit.said))
        if one.kind == "superlative":
            near = [
                said for said, share in zip(unit.said, self.shared[at], strict=True) if share >= SAME_THING * self.best
            ]
            return any(superlative_in(one.text, said) for said in (unit.head, *near))
        return has(unit, one.text)

    def _places(self, at: int, one: Fact) -> Iterator[Said]:
        """The sentences of a section that hold a figure and speak of the same thing."""
        unit, shares = self.units[at], self.shared[at]
        for place, said in enumerate(unit.said):
            close = shares[place] >= CLOSE * self.best
            if self._speaks_of_it(shares, place) and (
                figure_in(one, said, self.sentence, close=close) or self._derived(one, said, unit)
            ):
                yield said
        dated = (
            one.kind == "date"
            and self.least > SAME_THING * self.best
            and any(said.dates for said, share in zip(unit.said, shares, strict=True) if share >= self.least)
        )  # the sentence that is repeated has dates of its own
        if dated or not self._relevant(at):
            return
        if figure_in(one, unit.head, self.sentence, close=False) or self._lasted_by_head(one, unit):
            yield unit.head

    def _speaks_of_it(self, shares: Sequence[float], place: int) -> bool:
        """Does the sentence at this place speak of what the clause speaks of, alone or with the one beside it?"""
        if not self.near or shares[place] >= self.least:
            return True
        beside = max(shares[max(0, place - 1) : place + 2])
        return self.least < CLOSE * self.best and beside >= 0.9 * self.best and shares[place] >= 0.3 * self.best

    def _lasted_by_head(self, one: Fact, unit: Unit) -> bool:
        spans = unit.durations.get(-1)
        return spans is not None and one.unit in MONTHS_IN and not self._told_otherwise(one) and lasted(one, spans)

    def _told_otherwise(self, one: Fact) -> bool:
        """Does a sentence on the same thing give another figure of what this one counts?"""
        mine = counts(self.sentence, one)
        return any(
            (mine & stems or (mine & PEOPLE and stems & PEOPLE)) and value not in one.values
            for unit, shares in zip(self.units, self.shared, strict=True)
            for said, share in zip(unit.said, shares, strict=True)
            if share >= self.least
            for value, stems in said.after.items()
        )

    def _derived(self, one: Fact, said: Said, unit: Unit) -> bool:
        """A time between two dates, the length of a list, the number of sections that are cited."""
        if one.kind != "number" or self._told_otherwise(one):
            return False
        if one.unit in MONTHS_IN:
            return lasted(one, unit.durations.get(said.line, frozenset()))
        small = {int(value) for value in one.values if value == int(value) and 2 <= value <= _COUNTING}
        if not small or one.unit:
            return False
        return self.cited in small or bool(small & listed(self.sentence[one.end :])) or bool(small & listed(said.raw))

    def _together(self, figure: Fact, name: Fact) -> bool:
        """Do a figure and the name nearest to it stand together somewhere?"""
        for at, unit in enumerate(self.units):
            for said in self._places(at, figure):
                there = said.line == -1 or named(name.text, unit.head.words) or self._in_line(unit, said.line, name)
                if has(unit, name.text) and (there or not self._others(unit, said.line)):
                    return True
        return False

    def _in_line(self, unit: Unit, line: int, name: Fact) -> bool:
        return any(stands(name.text, said) for said in unit.said if said.line == line)

    def _others(self, unit: Unit, line: int) -> bool:
        """Does the line speak of somebody else?"""
        own = {form for one in facts(self.sentence) if one.kind == "name" for form in forms(one.text)}
        return any(name not in own for said in unit.said if said.line == line for name in said.names)

    def _joined(self, one: Fact, other: Fact) -> bool:
        """ "X at Y": said of one another."""
        return bool(_JOINED.fullmatch(self.sentence[one.end : other.start]))

    def _beside(self, one: Fact, other: Fact) -> bool:
        for unit in self.units:
            if not (has(unit, one.text) and has(unit, other.text)):
                continue
            if named(one.text, unit.head.words) or named(other.text, unit.head.words):
                return True
            for said in unit.said:
                if stands(one.text, said) and self._in_line(unit, said.line, other):
                    return True
        return False


def _nearest(figure: Fact, names: Sequence[Fact]) -> Fact | None:
    return min(names, key=lambda name: min(abs(name.start - figure.end), abs(figure.start - name.end)), default=None)
