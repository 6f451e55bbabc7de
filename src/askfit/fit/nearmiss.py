"""What would change a verdict: the fewest rows that, if they were true, would lift it by one. For the owner alone.

Every change is tried: the rows are read again with it and the rules add up anew. Nothing here says that a row ought
to be changed; it says on which rows the verdict hangs, and which row may be what the posting calls by another name.
Pure, the same every time, no model, no network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TypeVar

from askfit.fit.judgement import BANDS, Audit, Given
from askfit.fit.match import Index, Match, index_rows
from askfit.fit.near import NearIndex, NearRow, index_near, nearest_rows
from askfit.fit.rules import (
    CREDIT_OF,
    OPEN,
    VERDICTS,
    Finding,
    Judged,
    Rating,
    ceiling,
    judge,
    names_in,
    rate,
    unanswered,
)
from askfit.types import Assessment, Band, Requirement, Skill, Verdict

TOP_LEVEL = 5.0
MOST_REQUIREMENTS = 12  # the heaviest that are not strong: lighter ones lift no verdict by themselves
MOST_ROWS_EACH = 3  # of a requirement's rows
MOST_PAIRED = 6  # moves of which pairs are tried
MOST_CHANGES = 4  # together: more is another person, not a near miss
MOST_LIFTS = 3
MOST_BANDS = 5
MOST_RENAMED = 5
# From here on the nearest row is the right one in 7 of 10 cases or more, of phrases and of names, even where every
# second phrase means no row at all (benchmarks/matching.py, 2026-11-21).
NEAR_ENOUGH = 0.6
ALIAS_MARKS = frozenset(",;|")  # part the aliases of a cell: a name with one of them cannot be written there
NEW_ROW = 10_000_000  # numbers of rows that do not exist; a workbook's own stay below

_Reaches = Callable[[Sequence["_Move"]], bool]
_Name = TypeVar("_Name")


@dataclass(frozen=True, slots=True)
class Change:
    """One row that would stand higher, or a row that is not there yet."""

    skill: str
    place: str  # "row 14"; "" of a row that is not there
    level_from: float | None  # None: not in the matrix
    level_to: float
    requirement_ids: tuple[str, ...]  # whose band rises, alone or with the other changes


@dataclass(frozen=True, slots=True)
class Lift:
    """Changes that together lift the verdict, and what it would be then."""

    changes: tuple[Change, ...]
    score: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class NearBand:
    """A requirement that one row keeps from the next band."""

    requirement_id: str
    change: Change
    band: Band


@dataclass(frozen=True, slots=True)
class Renamed:
    """A row that may be what a posting calls by a name that no row has, and what would be so if it is."""

    requirement_id: str
    asked: str  # as the posting has it
    skill: str
    place: str
    band: Band
    score: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class NearMisses:
    """What the shown bands add up to by the rules, and what would lift that by one verdict."""

    score: int
    verdict: Verdict
    target: Verdict | None = None  # None where nothing is above, or nothing was judged
    lifts: tuple[Lift, ...] = ()  # the smallest first; empty where no few rows would do
    bands: tuple[NearBand, ...] = ()  # the weightiest requirement first
    renamed: tuple[Renamed, ...] = ()  # likewise


def near_misses(audit: Audit, assessment: Assessment) -> NearMisses:
    """The smallest changes that would lift the verdict of an assessment by one, bands that one row would lift, and
    rows that another name would let answer.

    `audit` is of the same matrix and posting; requirements that a model had added are put back first.
    """
    audit = _with_added(audit, assessment.requirements)
    shown = {one.id: one for one in assessment.requirements if one.id in audit.findings}
    if not shown:
        return NearMisses(assessment.score, assessment.verdict)
    trial = _Trial(audit, {id_: _judged(audit.findings[id_], one) for id_, one in shown.items()})
    rating = trial.rated()
    bands = tuple(_near_bands(trial))[:MOST_BANDS]
    renamed = tuple(_first_of_each(_renamed(trial)))[:MOST_RENAMED]
    at = VERDICTS.index(rating.verdict) + 1
    if at == len(VERDICTS):
        return NearMisses(rating.score, rating.verdict, bands=bands, renamed=renamed)
    return NearMisses(rating.score, rating.verdict, VERDICTS[at], tuple(_lifts(trial, VERDICTS[at])), bands, renamed)


def _with_added(audit: Audit, requirements: Sequence[Requirement]) -> Audit:
    added = [one for one in requirements if one.id not in audit.findings]
    given = [Given(one.id, one.band, (), one.reason, one.quote, one.kind) for one in added]
    return audit.with_added(given)[0] if given else audit


def _judged(finding: Finding, shown: Requirement) -> Judged:
    """A requirement as it is shown: where a model chose another band, it counts as that band does."""
    worth = finding.answer.worth if shown.band == finding.band else CREDIT_OF[shown.band]
    return Judged(finding.ask, shown.band, worth)


# ---------------------------------------------------------------- trying


@dataclass(frozen=True, slots=True)
class _Move:
    """A row as it is, or none, and the level that it is tried at; `is_new`: what it answers was answered by none."""

    skill: Skill
    level: float
    is_new: bool = False

    @property
    def size(self) -> float:
        """How far it is from what is so: a row that is not there counts one level more."""
        return self.level + 1 if self.is_new else self.level - self.skill.level


@dataclass(frozen=True, slots=True)
class _Trial:
    """The rows, the requirements as they are shown, and what they would be with other rows."""

    audit: Audit
    judged: Mapping[str, Judged]
    _touched: dict[int, frozenset[str]] = field(default_factory=dict)

    def rated(self, moves: Sequence[_Move] = ()) -> Rating:
        under = self.audit.under
        if moves and under != OPEN:
            index = _with_rows(self.audit.index, moves)
            under = ceiling(self.audit.posting, list(self.audit.findings.values()), index)
        return rate(list(self.after(moves).values()), under)

    def after(self, moves: Sequence[_Move]) -> dict[str, Judged]:
        """The requirements with these rows; a row that is raised never lowers one."""
        found = dict(self.judged)
        if not moves:
            return found
        ids = frozenset().union(*(self._bears_on(move) for move in moves))
        asks = tuple(self.audit.findings[id_].ask for id_ in self.judged if id_ in ids)
        index = _with_rows(self.audit.index, moves)
        for finding in judge(replace(self.audit.posting, asks=asks), index):
            before = found[finding.ask.id]
            if finding.answer.worth > self.audit.findings[finding.ask.id].answer.worth:
                band = max(before.band, finding.band, key=BANDS.index)
                found[finding.ask.id] = Judged(before.ask, band, max(before.credit, finding.answer.worth))
        return found

    def _bears_on(self, move: _Move) -> frozenset[str]:
        """The requirements that a row can change: one that is not there may answer any."""
        if move.is_new:
            return frozenset(id_ for id_, one in self.judged.items() if one.band != "strong")
        row = move.skill.row
        if row not in self._touched:
            findings = self.audit.findings.items()
            self._touched[row] = frozenset(id_ for id_, finding in findings if row in _rows_of(finding))
        return self._touched[row]

    def change(self, move: _Move, moves: Sequence[_Move]) -> Change:
        """A move in the owner's words; `moves`: all that are tried together."""
        after, bears_on = self.after(moves), self._bears_on(move)
        risen = [id_ for id_ in self.judged if id_ in bears_on and after[id_].band != self.judged[id_].band]
        skill = move.skill
        place, level_from = ("", None) if move.is_new else (_place(skill), skill.level)
        return Change(skill.name, place, level_from, move.level, tuple(risen))


def _place(skill: Skill) -> str:
    return f"{skill.sheet}, row {skill.sheet_row}" if skill.sheet else f"row {skill.row}"


def _rows_of(finding: Finding) -> set[int]:
    facets = (match for facet in finding.answer.facets for match in facet.matches)
    return {match.skill.row for match in (*facets, *finding.answer.matches)}


def _with_rows(index: Index, moves: Sequence[_Move]) -> Index:
    """The index with rows at other levels, and with rows that are not there."""
    for move in moves:
        raised = replace(move.skill, level=move.level)
        index = _joined(index, index_rows((raised,))) if move.is_new else _relevelled(index, raised)
    return index


def _relevelled(index: Index, raised: Skill) -> Index:
    def matches(named: Mapping[_Name, tuple[Match, ...]]) -> dict[_Name, tuple[Match, ...]]:
        raised_in = {name for name, found in named.items() for match in found if match.skill.row == raised.row}
        return {**named, **{name: tuple(map(matched, named[name])) for name in raised_in}}

    def matched(match: Match) -> Match:
        return replace(match, skill=raised, level=raised.level) if match.skill.row == raised.row else match

    def skills(found: Iterable[Skill]) -> tuple[Skill, ...]:
        return tuple(
            sorted((raised if row.row == raised.row else row for row in found), key=lambda row: -row.level)
        )  # as index_rows keeps them: the best first

    return replace(
        index,
        names=matches(index.names),
        by_term=matches(index.by_term),
        by_category={name: skills(found) for name, found in index.by_category.items()},
        words=tuple((raised if row.row == raised.row else row, said) for row, said in index.words),
    )


def _joined(index: Index, more: Index) -> Index:
    return replace(
        index,
        names={**index.names, **{name: (*index.names.get(name, ()), *found) for name, found in more.names.items()}},
        by_term={
            **index.by_term,
            **{id_: (*index.by_term.get(id_, ()), *found) for id_, found in more.by_term.items()},
        },
        words=(*index.words, *more.words),
        terms_of={**index.terms_of, **more.terms_of},
    )


# ---------------------------------------------------------------- what is tried


def _short_of_strong(trial: _Trial) -> list[Judged]:
    open_ = [one for one in trial.judged.values() if one.band != "strong" and not one.ask.soft]
    return sorted(open_, key=lambda one: -one.ask.emphasis)[:MOST_REQUIREMENTS]


def _moves(trial: _Trial, one: Judged) -> Iterator[_Move]:
    """For one requirement: its rows at the top, and a row for what no row answers."""
    answer = trial.audit.findings[one.ask.id].answer
    for match in [match for match in answer.matches if match.skill.level < TOP_LEVEL][:MOST_ROWS_EACH]:
        yield _Move(match.skill, TOP_LEVEL)
    missing = next((facet for facet in answer.facets if not facet.matches and not facet.soft), None)
    if missing:
        yield _Move(Skill(NEW_ROW, _named(missing.label), 0), TOP_LEVEL, is_new=True)


def _named(label: str) -> str:
    """What a posting calls it, as a row would."""
    name = " ".join(label.split())
    return name[:1].upper() + name[1:]


def _all_moves(trial: _Trial) -> list[_Move]:
    """Each row once, the weightiest requirement's first; each new row has a number of its own."""
    known: dict[str, _Move] = {}
    for one in _short_of_strong(trial):
        for move in _moves(trial, one):
            skill = replace(move.skill, row=NEW_ROW + len(known)) if move.is_new else move.skill
            key = f"+{skill.name.casefold()}" if move.is_new else str(skill.row)
            known.setdefault(key, replace(move, skill=skill))
    return list(known.values())


def _lifts(trial: _Trial, target: Verdict) -> list[Lift]:
    """The smallest changes that reach the verdict: one row if one does, else two, else as few as it takes."""

    def reaches(moves: Sequence[_Move]) -> bool:
        return VERDICTS.index(trial.rated(moves).verdict) >= VERDICTS.index(target)

    moves = _all_moves(trial)
    found = [_least((move,), reaches) for move in moves if reaches((move,))]
    if not found:
        gain = {move: _gain(trial, move) for move in moves}
        best = sorted(moves, key=lambda move: -gain[move])
        pairs = sorted(combinations(best[:MOST_PAIRED], 2), key=lambda pair: -sum(gain[move] for move in pair))
        found = [_least(pair, reaches) for pair in _first(pairs, reaches)]
        if not found and len(best) > 2:
            found = [_least(some, reaches) for some in _first([best[:3], best[:MOST_CHANGES]], reaches, most=1)]
    found.sort(key=lambda some: (len(some), sum(move.size for move in some)))
    return [_lift(trial, some) for some in found[:MOST_LIFTS]]


def _first(tried: Iterable[Sequence[_Move]], reaches: _Reaches, most: int = MOST_LIFTS) -> Iterator[Sequence[_Move]]:
    for some in tried:
        if most and reaches(some):
            most -= 1
            yield some


def _gain(trial: _Trial, move: _Move) -> float:
    """By how much a move raises what the requirements count for together, before rounding and bounds."""
    after = trial.after((move,))
    return sum(one.ask.emphasis * (one.credit - trial.judged[id_].credit) for id_, one in after.items())


def _least(moves: Sequence[_Move], reaches: _Reaches) -> tuple[_Move, ...]:
    """The same moves at the lowest levels that still do."""
    some = list(moves)
    for at, move in enumerate(some):
        first = 1 if move.is_new else int(move.skill.level) + 1
        for level in range(first, int(move.level)):
            lower = [*some[:at], replace(move, level=float(level)), *some[at + 1 :]]
            if reaches(lower):
                some = lower
                break
    return tuple(some)


def _lift(trial: _Trial, moves: Sequence[_Move]) -> Lift:
    rating = trial.rated(moves)
    return Lift(tuple(trial.change(move, moves) for move in moves), rating.score, rating.verdict)


def _near_bands(trial: _Trial) -> Iterator[NearBand]:
    """Requirements that one row, one level higher, would lift by a band."""
    for one in _short_of_strong(trial):
        for match in trial.audit.findings[one.ask.id].answer.matches[:MOST_ROWS_EACH]:
            move = _Move(match.skill, min(TOP_LEVEL, match.skill.level + 1))
            band = trial.after((move,))[one.ask.id].band
            if band != one.band:
                yield NearBand(one.ask.id, trial.change(move, (move,)), band)
                break


# ---------------------------------------------------------------- rows under another name


def _renamed(trial: _Trial) -> Iterator[Renamed]:
    """For what no row answers, the nearest row, where the name as an alias of it would lift a band."""
    near = index_near(trial.audit.matrix.skills)
    open_ = [one for one in trial.judged.values() if one.band != "strong"]
    for one in sorted(open_, key=lambda one: -one.ask.emphasis):
        found = _nearest(trial.audit.findings[one.ask.id], near)
        if not found:
            continue
        asked, skill = found[0], found[1].skill
        move = _Move(replace(skill, aliases=(*skill.aliases, asked)), skill.level, is_new=True)
        after = trial.after((move,))[one.ask.id]
        if after.band != one.band:
            rating = trial.rated((move,))
            yield Renamed(one.ask.id, asked, skill.name, _place(skill), after.band, rating.score, rating.verdict)


def _nearest(finding: Finding, near: NearIndex) -> tuple[str, NearRow] | None:
    """(what the posting calls it, the row) of the nearest pair, where one is near enough."""
    asked = [name for name in _unnamed(finding) if not ALIAS_MARKS & set(name)]
    pairs = [(name, row) for name in asked for row in nearest_rows(name, near, 1) if row.nearness >= NEAR_ENOUGH]
    return max(pairs, key=lambda pair: pair[1].nearness, default=None)


def _unnamed(finding: Finding) -> list[str]:
    """What a requirement names and no row answers by a name; a row that shares words with it only does not."""
    by_name = any(facet.matches for facet in finding.answer.facets)
    return unanswered(finding.ask, finding.answer) if by_name else names_in(finding.ask)


def _first_of_each(renamed: Iterable[Renamed]) -> Iterator[Renamed]:
    """A name that several requirements say once, with the weightiest of them."""
    seen: set[tuple[str, str]] = set()
    for one in renamed:
        key = (one.asked.casefold(), one.place)
        if key not in seen:
            seen.add(key)
            yield one
