"""What this month comes to, from the whole days before today, with a range. Calls nothing, stores nothing.

A month = what it has cost so far + the days that are left × the mean day ± t·s·√(k + k²/n): k days to come, n days
known, s their spread, t for nine months in ten. The dear end also counts on the dearest day coming once more than it
did: few days have seldom seen the worst one. benchmarks/month.py says how often a month lies within.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import mean, stdev

from askfit.ledger import DAY_MS

FEWEST_DAYS = 3
FEWEST_CALLS = 20  # that cost money: fewer may be three visits
MOST_DAYS = 28  # habits change; four weeks hold every weekday equally often
# Student's t, 95% on a side, by degrees of freedom: the last that is not above them counts.
STUDENT = {2: 2.920, 3: 2.353, 4: 2.132, 5: 2.015, 6: 1.943, 7: 1.895, 8: 1.860, 9: 1.833, 10: 1.812, 12: 1.782,
           14: 1.761, 17: 1.740, 20: 1.725, 25: 1.708}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pace:
    """What this month has cost, and what it comes to at the pace of the last whole days (None: they say too little)."""

    spent_nanos: int  # this month so far
    days: int  # whole days that it rests on
    calls: int  # that cost money on those days
    days_left: float
    nanos: int | None = None
    least_nanos: int | None = None
    most_nanos: int | None = None

    @property
    def too_little(self) -> str:
        """Why nothing is projected; "" where it is."""
        if self.days < FEWEST_DAYS:
            return f"Too few days for a projection: {self.days} of the {FEWEST_DAYS} whole days that it takes."
        if self.calls < FEWEST_CALLS:
            return f"Too few calls for a projection: {self.calls} of the {FEWEST_CALLS} paid ones that it takes."
        return ""


def pace(days: Mapping[int, tuple[int, int]], first_ms: int, now: datetime) -> Pace:
    """The projection. `days`: (paid calls, nano-dollars) by the beginning of each day in UTC milliseconds; a day that
    is not in it cost nothing. `first_ms`: when the first call ever was; the rest of its day is not a whole one.
    """
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    begun = today.replace(day=1)
    following = (begun + timedelta(days=32)).replace(day=1)
    today_ms, begun_ms = _ms(today), _ms(begun)
    since_ms = max(first_ms // DAY_MS * DAY_MS + DAY_MS, today_ms - MOST_DAYS * DAY_MS) if first_ms else today_ms
    whole = [days.get(day_ms, (0, 0)) for day_ms in range(since_ms, today_ms, DAY_MS)]
    spent = sum(nanos for day_ms, (_, nanos) in days.items() if day_ms >= begun_ms)
    left = (following - now) / timedelta(days=1)
    known = Pace(spent, len(whole), sum(calls for calls, _ in whole), left)
    if known.too_little:
        return known
    costs = [nanos for _, nanos in whole]
    middle, (least, most) = mean(costs) * left, between(costs, left)
    return Pace(spent, known.days, known.calls, left, round(spent + middle), round(spent + least), round(spent + most))


def between(costs: list[int], left: float) -> tuple[float, float]:
    """The least and the most that so many days to come may well cost, from the costs of whole days."""
    n = len(costs)
    t = STUDENT[max(df for df in STUDENT if df < n)]
    spread = t * math.sqrt(left + left * left / n)
    with_worst = [*costs, max(costs)]
    least = mean(costs) * left - stdev(costs) * spread
    return max(0.0, least), mean(with_worst) * left + stdev(with_worst) * spread


def _ms(day: datetime) -> int:
    return int(day.timestamp() * 1000)
