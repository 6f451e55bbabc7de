"""Where a posting's weight lies, on named axes, and how senior it is: each with the words that it rests on.

Knows nothing of a matrix or of bands. `placed` takes any weighed lines, so rows can be placed on the same axes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from askfit.fit.posting import EmphasisFrom, Posting, line_terms
from askfit.fit.wording import pattern, patterns

AxisName = Literal["platform–application", "hands-on–leading", "research–delivery"]
Level = Literal["", "junior", "mid", "senior", "lead", "principal", "manager", "director"]

MOST_QUOTES = 4
MID_YEARS, SENIOR_YEARS = 2, 5  # asked of a must, from which a posting whose title says nothing is mid or senior


@dataclass(frozen=True, slots=True)
class Axis:
    """A place between two poles: -1 all at the first of its name, 1 all at the second."""

    name: AxisName
    value: float
    share: float  # 0–1, of the weight of all lines: what speaks of this axis at all
    quotes: tuple[str, ...]  # the weightiest lines that it rests on


@dataclass(frozen=True, slots=True)
class Field:
    """A kind of work that the lines name, as the taxonomy has it."""

    name: str
    share: float  # of the weight of all lines
    quotes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Seniority:
    """How senior the work is; "" where nothing says it."""

    level: Level
    source: EmphasisFrom  # the title states it; years and duties only let it be estimated
    quote: str


@dataclass(frozen=True, slots=True)
class Centre:
    """A posting's centre of gravity."""

    axes: tuple[Axis, ...]
    fields: tuple[Field, ...]  # the weightiest first
    seniority: Seniority

    def axis(self, name: AxisName) -> Axis:
        return next(axis for axis in self.axes if axis.name == name)


Weighed = Sequence[tuple[str, float]]  # a line and its weight


def centre_of(posting: Posting) -> Centre:
    """The axes, fields and seniority of a posting, by the emphasis of what it asks."""
    lines = [(ask.quote, ask.emphasis) for ask in posting.asks]
    return Centre(placed(lines), fields_of(lines), seniority_of(posting))


def placed(lines: Weighed) -> tuple[Axis, ...]:
    """Lines on each axis; a line that speaks for both poles pulls to neither, yet the axis rests on it."""
    return (
        _axis("platform–application", lines, [_side(line) for line, _ in lines]),
        _axis("hands-on–leading", lines, [_said(line, "hands_on", "leading") for line, _ in lines]),
        _axis("research–delivery", lines, [_said(line, "research", "delivery") for line, _ in lines]),
    )


def _axis(name: AxisName, lines: Weighed, pulls: Sequence[float | None]) -> Axis:
    telling = [(line, weight, pull) for (line, weight), pull in zip(lines, pulls, strict=True) if pull is not None]
    total, rests_on = sum(weight for _, weight in lines), sum(weight for _, weight, _ in telling)
    if not rests_on:
        return Axis(name, 0.0, 0.0, ())
    value = sum(weight * pull for _, weight, pull in telling) / rests_on
    with_it = sorted(telling, key=lambda one: -one[1] * (1 + one[2] * (1 if value >= 0 else -1)))
    quotes = tuple(line for line, _, _ in with_it[:MOST_QUOTES])
    return Axis(name, round(value, 3), round(rests_on / total, 3), quotes)


def _side(line: str) -> float | None:
    sides = [term.domain.side for term in line_terms(line) if term.domain.side in ("platform", "application")]
    return sum(1 if side == "application" else -1 for side in sides) / len(sides) if sides else None


def _said(line: str, first: str, second: str) -> float | None:
    found = [len(pattern("axes", pole).findall(line)) for pole in (first, second)]
    return (found[1] - found[0]) / sum(found) if any(found) else None


def fields_of(lines: Weighed) -> tuple[Field, ...]:
    """The kinds of work that lines name, crafts of every trade left out; a line that names several is shared out."""
    total = sum(weight for _, weight in lines)
    share: defaultdict[str, float] = defaultdict(float)
    quotes: defaultdict[str, list[tuple[float, str]]] = defaultdict(list)
    for line, weight in lines:
        names = [term.domain.name for term in line_terms(line) if not term.domain.common]
        for name in sorted(set(names)):
            part = weight * names.count(name) / len(names)
            share[name] += part
            quotes[name].append((part, line))
    return tuple(
        Field(name, round(part / total, 3), tuple(line for _, line in _first(quotes[name])))
        for name, part in sorted(share.items(), key=lambda item: (-item[1], item[0]))
    )


def _first(quotes: Iterable[tuple[float, str]]) -> list[tuple[float, str]]:
    return sorted(quotes, key=lambda pair: -pair[0])[:MOST_QUOTES]


def seniority_of(posting: Posting) -> Seniority:
    """What the title says; else what the years asked, or the leading of people, let one think."""
    for level, said in patterns("seniority").items():
        if said.search(posting.title):
            return Seniority(_level(level), "stated", posting.title)
    leads = next(
        (ask for ask in posting.asks if ask.kind != "preferred" and pattern("lines", "leads_people").search(ask.quote)),
        None,
    )
    if leads:
        return Seniority("manager", "estimated", leads.quote)
    dated = [ask for ask in posting.asks if ask.years and ask.kind == "must"]
    if not dated:
        return Seniority("", "estimated", "")
    most = max(dated, key=lambda ask: ask.years)
    level = "senior" if most.years >= SENIOR_YEARS else "mid" if most.years >= MID_YEARS else "junior"
    return Seniority(_level(level), "estimated", most.quote)


_LEVELS: tuple[Level, ...] = ("junior", "mid", "senior", "lead", "principal", "manager", "director")


def _level(name: str) -> Level:
    return next(level for level in _LEVELS if level == name)
