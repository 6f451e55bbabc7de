"""What a month of a feature costs on a model, with a range, and the sum written out. Calls nothing, stores nothing.

A month = questions · [fresh · p_in + shared · p_in · (h·ρ + (1−h)·w) + answer · p_out]. The prices are those of a call
of that very size, so that what grows dearer past a length is counted as it will be billed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from datetime import time as clock_time
from functools import lru_cache
from itertools import pairwise

from askfit import caching
from askfit.caching import FEWEST_GAPS, MINUTES, Ttl, hits_in
from askfit.models import cost_nanos, facts
from askfit.types import NANOS_PER_USD, Usage

NOON = clock_time(12)
MINUTE_MS = 60_000
DAY_MS = 86_400_000
MONTH_DAYS = 30.44  # the mean
MONTH_MINUTES = MONTH_DAYS * 24 * 60
GUESSED_VISITS = 100.0  # a month: what a personal site may see; the owner's own number belongs in its place
GUESS_WITHIN = 3.0  # a guessed number of visits may be three times too high or too low
LENGTH_WITHIN = 2.0  # and a guessed length of question or answer twice
STEPS = 20  # between the fewest and the most visits
THINKING_MIN = 1.5  # between the questions of a visit: a guess (2026-11-21) that counts only where visits overlap
SPREAD = 2.0  # standard deviations about a count: some 95% of months


@dataclass(frozen=True, slots=True)
class Load:
    """What one question sends and gets back, in tokens as Claude 4.5 counts them."""

    shared: int  # the same for every visitor: instructions, and the pages, the rows or the table of contents
    fresh: int  # its own: question, history, passages, posting
    answer: int
    calls: int = 0  # in the ledger, from which these are means; 0: estimates

    def on(self, model: str) -> Load:
        """As another model's tokenizer counts them."""
        ratio = facts(model).tokenizer_ratio
        return replace(
            self,
            shared=round(self.shared * ratio),
            fresh=round(self.fresh * ratio),
            answer=round(self.answer * ratio),
        )


@dataclass(frozen=True, slots=True)
class Visits:
    """How many visits a month use the feature, how often, and what is known of when they come."""

    per_month: float = GUESSED_VISITS
    runs: float = 1.0  # questions a visit
    counted: int = 0  # visits in the ledger that `per_month` rests on; 0: a guess
    given: bool = False  # the owner's own number, not ours
    gaps_min: tuple[float, ...] = ()  # minutes between real questions
    busiest: int = 0  # questions in the busiest minute; 0: not known

    @property
    def questions(self) -> float:
        """A month."""
        return self.per_month * self.runs

    @property
    def range(self) -> tuple[float, float]:
        """The fewest and the most visits that a month may well bring."""
        if self.counted:
            spread = SPREAD * math.sqrt(self.counted) / self.counted
            ahead = SPREAD * math.sqrt(self.per_month) / self.per_month  # the coming month is one draw itself
            by = math.hypot(spread, ahead)
            return self.per_month * max(0.0, 1 - by), self.per_month * (1 + by)
        within = 1.0 if self.given else GUESS_WITHIN
        return self.per_month / within, self.per_month * within

    def hits(self, ttl: Ttl) -> float:
        """The share of questions that find the shared part in the cache.

        Counted where enough questions came. Else visits come by chance: the first question of a visit finds what a
        visit before left behind, whose last question renewed it; the later ones find what the first one read or wrote.
        """
        if not ttl:
            return 0.0
        if len(self.gaps_min) >= FEWEST_GAPS:
            return hits_in(self.gaps_min, ttl)
        lasts_min = MINUTES[ttl] + max(0.0, self.runs - 1) * THINKING_MIN
        firsts = 1 - math.exp(-self.per_month / MONTH_MINUTES * lasts_min)
        return (firsts + self.runs - 1) / self.runs if self.runs >= 1 else firsts


@dataclass(frozen=True, slots=True)
class Month:
    """The cost of a month, the least and the most that it may well be, and how it comes about."""

    model: str
    ttl: Ttl
    hits: float
    nanos: int
    least_nanos: int
    most_nanos: int
    sum: str  # written out, in US dollars


def month(
    model: str, load: Load, visits: Visits, ttl: Ttl, day: date | None = None, *, batch: bool = False
) -> Month | None:
    """A month on a model by the prices of a day; None where no price is known. `load` is Claude 4.5's count."""
    if not facts(model).priced:
        return None
    counted = load.on(model)
    hits = visits.hits(ttl)
    each = question_nanos(model, counted, ttl, hits, day, batch=batch)
    within = 1.0 if load.calls else LENGTH_WITHIN
    least, most = (
        [
            number
            * visits.runs
            * question_nanos(
                model, _longer(counted, by), ttl, replace(visits, per_month=number).hits(ttl), day, batch=batch
            )
            for number in _spaced(*visits.range, visits.per_month)
        ]
        for by in (1 / within, within)
    )
    return Month(
        model,
        ttl,
        hits,
        round(visits.questions * each),
        round(min(least)),
        round(max(most)),
        _written(model, counted, visits, ttl, each, day, batch),
    )


def _spaced(fewest: float, most: float, likely: float) -> list[float]:
    """Numbers of visits from the fewest to the most: the dearest month may lie between, for more visits hit more."""
    return [fewest + (most - fewest) * step / STEPS for step in range(STEPS + 1)] + [likely]


def _longer(load: Load, by: float) -> Load:
    return replace(load, fresh=round(load.fresh * by), answer=round(load.answer * by))


def question_nanos(
    model: str, load: Load, ttl: Ttl, hits: float, day: date | None = None, *, batch: bool = False
) -> float:
    """What one question costs on average. `load` is counted by the model's own tokenizer."""
    total = load.shared + load.fresh
    if not ttl:
        return _cost(model, Usage(total, load.answer), day, batch)
    read = _cost(model, Usage(total, load.answer, load.shared), day, batch)
    for_an_hour = load.shared if ttl == "1h" else 0
    write = _cost(model, Usage(total, load.answer, 0, load.shared, for_an_hour), day, batch)
    return hits * read + (1 - hits) * write


@lru_cache(maxsize=512)
def _cost(model: str, usage: Usage, day: date | None, batch: bool) -> int:
    at = datetime.combine(day, NOON, UTC) if day else None
    return cost_nanos(model, usage, at, batch=batch)


def _written(model: str, load: Load, visits: Visits, ttl: Ttl, each: float, day: date | None, batch: bool) -> str:
    """The sum as an owner can do it again on paper."""
    total = load.shared + load.fresh
    if not _cost(model, Usage(total, load.answer), day, batch):
        return "free"
    per_million_in = _cost(model, Usage(total), day, batch) / max(1, total) / 1e3
    per_million_out = (
        _cost(model, Usage(total, load.answer), day, batch) - _cost(model, Usage(total), day, batch)
    ) / max(1, load.answer)
    at = caching.ratios(model)
    factor = f" × {caching.cost_factor(visits.hits(ttl), ttl, at):.2f}" if ttl and at else ""
    return (
        f"{visits.questions:,.0f} × ({load.fresh:,} fresh × ${per_million_in:.3g} + {load.shared:,} shared × "
        f"${per_million_in:.3g}{factor} + {load.answer:,} answer × ${per_million_out / 1e3:.3g}) / 1M = "
        f"${visits.questions * each / NANOS_PER_USD:,.2f}"
    )


def visits_from(
    came: Sequence[tuple[int, str]], now_ms: int, *, recent_days: float, declared_runs: float
) -> Visits | None:
    """Visits as the ledger counts them: (UTC milliseconds, visitor) of each question; None where too few came.

    A visit is one visitor on one day. Where the last days hold enough questions they alone count: habits change.
    """
    came = sorted(came)
    since_ms = now_ms - recent_days * DAY_MS
    recent = [one for one in came if one[0] >= since_ms]
    counted = recent if len(recent) > FEWEST_GAPS else came
    if len(counted) <= FEWEST_GAPS:
        return None
    begun_ms = max(came[0][0], since_ms) if counted is recent else came[0][0]
    days = max(1.0, (now_ms - begun_ms) / DAY_MS)
    known = [(at_ms // DAY_MS, visitor) for at_ms, visitor in counted if visitor]
    # Visitors are forgotten after their days: where most are, the declared runs a visit stand in.
    runs = len(known) / len(set(known)) if len(known) * 2 > len(counted) else max(1.0, declared_runs)
    visits = len(counted) / runs
    times = [at_ms for at_ms, _ in recent]
    gaps_min = tuple((after - before) / MINUTE_MS for before, after in pairwise(times))
    per_month = visits / days * MONTH_DAYS
    return Visits(per_month, runs, max(1, round(visits)), gaps_min=gaps_min, busiest=_busiest([t for t, _ in counted]))


def _busiest(times: Sequence[int]) -> int:
    """The most questions within one minute. `times` are sorted."""
    most, first = 0, 0
    for at, time in enumerate(times):
        while time - times[first] >= MINUTE_MS:
            first += 1
        most = max(most, at - first + 1)
    return most
