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
from askfit.ask.terms import content, kin
from askfit.text import words

SAME_THING = 0.5  # of what the best sentence shares: as much must be shared by the sentence that holds a figure
SAYS_IT = 0.7  # of a clause's weight: where a sentence of the site says as much, it is what is repeated,
SAME_SENTENCE = 0.8  # and a figure must stand in it, or in one that shares this much of what it shares
CLOSE = 0.75  # of what the best sentence shares: as much says the same, whatever it counts
SPEAKS_OF_IT = 0.22  # of a clause's weight: below, no sentence of the site is near, as in another language
_JOINED = re.compile(r"\s*,?(?:\s+[^\W\dA-Z]+){0,5}\s+(?:at|in|bei|chez|à|en)\s+(?:the )?")
_COUNTING = 12
NAMES_HELD = 0.7  # of the weight of a clause's names, by a section that holds its date (set 2026-11-21)
_FROM_TO = re.compile(
    r"\b(?:before|after|then|left|leaving|previously|prior|followed|moved|from [A-Z]\w+ to|bevor|nach|après)\b",
    re.IGNORECASE,
)
SAYS_MOST = 0.6  # of a clause's weight: where a sentence of the site says as much, the two can contradict each other
ELSEWHERE = 0.6  # of the rest of a clause: less of it around a name, where another sentence says the rest, is a swap
# (0.4, 0.6 and 0.8 tried on 2026-11-21: swaps stopped 75, 77, 79% on five CVs, true sentences cut 3.3, 3.3, 4.2%)
_NOT = re.compile(
    r"\b(?:not|never|no|none|nor|neither|nobody|nothing|cannot|without|nicht|nie|kein\w*|jamais|nunca)\b|n[’']t\b"
    r"|\bn[’']a\b|\bne\b",
    re.IGNORECASE,
)
DENIES = re.compile(rf"{_NOT.pattern}|\b(?:all|every|always|none|most|hundreds)\b", re.IGNORECASE)  # or says of all
_TURNS = re.compile(
    r"\b(?:rather than|instead|lack\w*|refus\w+|fail\w*|hardly|rarely|few|little|unless|stopp?\w*|barely|except|only"
    r"|avoid\w*|den[iy]\w+|unable|unlikely|seldom|prevent\w*|[rR]eject\w*|against)\b",
)  # of the site: it may say "not" in other words
_TELLS = re.compile(
    r"\b(?:mention|state|specif|say|list|includ|show|indicat|describ|detail|provid|know|find|found|contain|cover|only|just"
    r"|necessarily|sure|clear|information|answer|tell|yet|longer|merely|simply|limited)\w*",
    re.IGNORECASE,
)  # behind a "not" that denies no fact
_ALL = frozenset(
    "all every each entire always any both everyone everything most majority none no nobody never whole".split()
)
_SOME = frozenset(
    "some many several few often sometimes usually generally typically occasionally various may might can".split()
)
_CLAIMS_ALL = re.compile(
    r"\b(?:all|every|always|none|most|hundreds|every one)\b(?! (?:of (?:this|that|it)|in all|at all|the way))",
    re.IGNORECASE,
)


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
        self.shared = list(map(self._shares, units))
        self.best = max((share for shares in self.shared for share in shares), default=0.0)
        self.whole = whole = sum(clause.weights.values())
        self.near = self.best >= SPEAKS_OF_IT * whole
        self.least = (SAME_SENTENCE if self.best >= SAYS_IT * whole else SAME_THING) * self.best

    def _shares(self, unit: Unit) -> list[float]:
        """How much of the clause each sentence of a section says; what the title says counts half."""
        weigh = self.clause.weights.__getitem__
        known = self.clause.weights.keys() & unit.stems
        titled = known & unit.head.stems
        alone = sum(map(weigh, titled)) / 2
        shares = []
        for said in unit.said:
            here = known & said.stems
            shares.append(sum(map(weigh, here)) + sum(map(weigh, titled - here)) / 2 if here else alone)
        return shares

    def missing(self) -> list[str]:
        own = self.clause.facts
        alone = [one for one in own if not any(self._holds(at, one) for at in range(len(self.units)))]
        if alone:
            return [one.kind for one in alone]
        if self._contradicted():
            return ["contradiction"]
        figures = [one for one in own if one.kind in ("number", "date")]
        names = [one for one in own if one.kind == "name"] or list(self.clause.carried)
        apart = [one for one in figures if (name := _nearest(one, names)) and not self._together(one, name)]
        if any(self._elsewhere(one) for one in own if one.kind == "name"):
            return ["swap"]
        if any(self._dated_elsewhere(one, names) for one in figures if one.kind == "date"):
            return ["swap"]
        joined = [(a, b) for a, b in pairwise(names) if self._joined(a, b)]
        return ["swap"] if apart or any(not self._beside(a, b) for a, b in joined) else []

    def _contradicted(self) -> bool:
        """Does the clause deny what the site says in nearly the same words, or say of all what it says of some?"""
        text = self.clause.text
        if self.best < SAYS_MOST * self.whole:
            return False
        denial = _NOT.search(text)
        denies = denial and not _TELLS.search(text[denial.end() : denial.end() + 40])
        for_all = _CLAIMS_ALL.search(text)
        if not denies and not for_all:
            return False
        same = [
            said
            for unit, shares in zip(self.units, self.shared, strict=True)
            for said, share in zip(unit.said, shares, strict=True)
            if share >= CLOSE * self.best
        ]
        if denies and not any(_NOT.search(said.raw) or _TURNS.search(said.raw) for said in same):
            return True
        mine = set(words(text))
        weak = [said for said in same if said.words & _SOME]
        return bool(
            for_all
            and weak
            and len(weak) == len(same)
            and not any(said.words & _ALL or said.words & _SOME & mine for said in same)
        )

    def _elsewhere(self, one: Fact) -> bool:
        """Does another sentence say what the clause says besides this name, and none of the name's sections does?"""
        own = set(content(one.text))
        rest = {word: weight for word, weight in self.clause.weights.items() if word not in own}
        whole = sum(rest.values())
        best = there = 0.0
        for unit in self.units:
            if has(unit, one.text):
                near = self._around(one, unit)
                there = max(there, sum(rest[word] for word in rest if word in near or not kin(word).isdisjoint(near)))
            else:
                best = max(best, *(sum(map(rest.__getitem__, rest.keys() & said.stems)) for said in unit.said), 0.0)
        return best >= SAYS_MOST * whole and there < ELSEWHERE * best

    def _around(self, name: Fact, unit: Unit) -> frozenset[str]:
        """What is said where a name stands: its lines with those beside; all of it under a title that has it."""
        if named(name.text, unit.head.words):
            return unit.stems
        lines = {said.line for said in unit.said if stands(name.text, said)}
        beside = {line + by for line in lines for by in (-1, 0, 1)}
        return unit.head.stems.union(*(said.stems for said in unit.said if said.line in beside))

    def _dated_elsewhere(self, date: Fact, names: Sequence[Fact]) -> bool:
        """Do the sections that hold a date hold only the lesser part of the clause's names?"""
        if _FROM_TO.search(self.clause.text):
            return False  # "before Brindlewick", "left Quillfen": two stations are told together
        weights = {one: sum(self.clause.weights.get(stem, 0) for stem in content(one.text)) for one in names}
        held = [
            sum(weight for one, weight in weights.items() if has(unit, one.text))
            for at, unit in enumerate(self.units)
            if any(True for _ in self._places(at, date))
        ]
        return max(held, default=0.0) < NAMES_HELD * sum(weights.values())

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
            what = counts(self.sentence, one) if one.text in ("first", "only", "sole") else frozenset[str]()
            return any(
                superlative_in(one.text, said) and (not what or not what.isdisjoint(said.stems | unit.head.stems))
                for said in (unit.head, *near)
            )
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
        least = CLOSE * self.best if one.unit in MONTHS_IN else self.least
        return any(
            (mine & stems or (mine & PEOPLE and stems & PEOPLE)) and value not in one.values
            for unit, shares in zip(self.units, self.shared, strict=True)
            for said, share in zip(unit.said, shares, strict=True)
            if share >= least
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
