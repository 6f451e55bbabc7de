"""Visitors, an account's rate limits and the gateway's pacing on a clock of its own: minutes in a moment.

The limits are those that the scripted server enforces, the pacing is the gateway's own; only time is pretended, and
with it the model's speed. The same seed gives the same visitors.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count

from askfit.errors import ProviderError
from askfit.gateway import RETRY_WITHIN_S, Breaker
from askfit.pacing import RESERVING, Pacer, Turn
from askfit.rates import Account, Limits
from askfit.types import Axis, Call, Headroom, Usage

FIRST_S = 0.8  # until a model's first word: a guess that counts for little
TOKENS_PER_S = 80.0
WARM_MIN = 2.0  # simulated and not counted: a bucket that is full at first is no steady state
MOST_FALLEN = 0.01  # the share of questions that another may answer, and all still counts as fitting
BUSIER = 1.2  # how much more traffic shows what gives way first
SEARCHES = 12
ENOUGH_QUESTIONS, MOST_STRETCHES = 2_000, 5
MOST_QUESTIONS, LEAST_MIN = 4_000, 3.0  # busy traffic needs fewer minutes for a steady number
SEED = 7
OWN_LIMIT = "your limit per visitor"


@dataclass(frozen=True, slots=True)
class Question:
    """One question's tokens, as the model counts them."""

    shared: int  # the same for everybody, read from the cache where it is there
    fresh: int
    answer: int


@dataclass(frozen=True, slots=True)
class Traffic:
    """Who comes: Poisson arrivals, each with the questions of a visit, some time apart."""

    visitors: float  # a minute
    runs: float  # questions a visit, on average
    think_min: float
    minutes: float  # that are counted


@dataclass(frozen=True, slots=True)
class Case:
    """One feature on one model in one account."""

    model: str
    call: Call  # of the feature: its allowance and how long its prompt is cached
    questions: Sequence[Question]  # drawn from
    limits: Limits
    per_visitor_per_minute: int = 10
    cached: bool = True
    paced: bool = True


@dataclass(slots=True)
class Outcome:
    """What became of the questions that were counted."""

    asked: int = 0
    answered: int = 0  # by the model
    refused: int = 0  # requests that the provider refused with 429
    own_limit: int = 0  # told by the site that they ask too often
    waits_s: list[float] = field(default_factory=list)  # added, of those that the model answered
    short_of: Counter[str] = field(default_factory=Counter)  # which limit was waited for, or kept a question out

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.asked + other.asked,
            self.answered + other.answered,
            self.refused + other.refused,
            self.own_limit + other.own_limit,
            self.waits_s + other.waits_s,
            self.short_of + other.short_of,
        )

    @property
    def fell_back(self) -> int:
        """Answered by another."""
        return self.asked - self.answered - self.own_limit

    @property
    def fallen_share(self) -> float:
        return self.fell_back / self.asked if self.asked else 0.0

    @property
    def p95_wait_s(self) -> float:
        """Of all questions; one that fell back counts as one that waited forever."""
        waits = sorted([*self.waits_s, *[math.inf] * self.fell_back])
        return waits[min(len(waits) - 1, math.ceil(0.95 * len(waits)) - 1)] if waits else 0.0

    @property
    def fits(self) -> bool:
        return self.fallen_share <= MOST_FALLEN and self.p95_wait_s <= RETRY_WITHIN_S


Event = Callable[[], None]


class _Run:
    """One simulated stretch of time."""

    def __init__(self, case: Case, rng: random.Random, counted_from_s: float, begins: float) -> None:
        self.case, self.rng, self.outcome = case, rng, Outcome()
        self.now_s = 0.0
        self._from_s = counted_from_s
        self._events: list[tuple[float, int, Event]] = []
        self._order = count()
        clock = self._clock
        self.account = Account(lambda model: case.limits, clock, begins)
        self.pacer, self.breaker = Pacer(clock), Breaker(clock=clock)
        self._cached_from_s, self._cached_until_s = math.inf, -math.inf
        self._came: dict[int, deque[float]] = {}

    def _clock(self) -> float:
        return self.now_s

    def at(self, when_s: float, event: Event) -> None:
        heapq.heappush(self._events, (when_s, next(self._order), event))

    def go(self) -> Outcome:
        while self._events:
            self.now_s, _, event = heapq.heappop(self._events)
            event()
        return self.outcome

    # ------------------------------------------------------------ one question

    def ask(self, visitor: int) -> None:
        """As the gateway does: rest, turn, wait, send; else another answers."""
        counts = self.now_s >= self._from_s
        self.outcome.asked += counts
        if self._too_often(visitor):
            self.outcome.own_limit += counts
            self.outcome.short_of[OWN_LIMIT] += counts
            return
        question = self.rng.choice(self.case.questions)
        if self.breaker.rests(self.case.model):
            return
        turn = self.pacer.turn(self.case.model, self.case.call, lambda: float(question.shared + question.fresh))
        if not self.case.paced:
            turn.wait_s = 0.0
        if turn.wait_s:
            self.outcome.short_of[turn.axis] += counts
        if turn.wait_s > RETRY_WITHIN_S:
            return
        self.pacer.take(turn)
        begun_s = self.now_s if counts else -math.inf
        self.at(self.now_s + turn.wait_s, lambda: self._send(turn, question, begun_s, may_retry=True))

    def _too_often(self, visitor: int) -> bool:
        came = self._came.setdefault(visitor, deque())
        while came and self.now_s - came[0] >= 60:
            came.popleft()
        if len(came) >= self.case.per_visitor_per_minute:
            return True
        came.append(self.now_s)
        return False

    def _send(self, turn: Turn, question: Question, begun_s: float, *, may_retry: bool) -> None:
        model, read = self.case.model, self._read(question)
        refused = self.account.ask(model, self._needs(question, read))
        headroom = Headroom(self.account.standing(model), self.now_s)
        if refused:
            self.pacer.heard(turn, headroom)
            self.pacer.done(turn)
            self._refused(turn, question, begun_s, refused.axis, math.ceil(refused.wait_s), may_retry)
            return
        self.account.produced(model, {"output_tokens": question.answer, "tokens": question.answer})
        if begun_s >= 0:
            self.outcome.answered += 1
            self.outcome.waits_s.append(self.now_s - begun_s)
        first_s = self.now_s + FIRST_S
        if self.case.cached and not read:
            self._cached_from_s = min(self._cached_from_s, first_s)
        self._cached_until_s = first_s + (3600.0 if self.case.call.prompt.cache_ttl == "1h" else 300.0)
        usage = Usage(question.shared + question.fresh, question.answer, read, 0 if read else question.shared)
        if not self.case.cached:
            usage = replace(usage, cache_write_tokens=0)
        self.at(first_s, lambda: self.pacer.heard(turn, headroom))
        self.at(first_s + question.answer / TOKENS_PER_S, lambda: self._end(turn, usage))

    def _end(self, turn: Turn, usage: Usage) -> None:
        self.pacer.done(turn, usage)
        self.breaker.worked(self.case.model)

    def _refused(
        self, turn: Turn, question: Question, begun_s: float, axis: Axis, wait_s: float, may_retry: bool
    ) -> None:
        if begun_s >= 0:
            self.outcome.refused += 1
            self.outcome.short_of[axis] += 1
        if may_retry and wait_s <= RETRY_WITHIN_S:
            again = self.pacer.turn(self.case.model, self.case.call)
            self.pacer.take(again)
            self.at(self.now_s + wait_s, lambda: self._send(again, question, begun_s, may_retry=False))
            return
        self.breaker.failed(self.case.model, ProviderError("provider_rate_limited", "", retry_after_s=wait_s))

    def _read(self, question: Question) -> int:
        """What is read from the cache: an entry is there once the first answer has begun, and lives on by use."""
        there = self._cached_from_s <= self.now_s < self._cached_until_s
        if not there and self.now_s >= self._cached_until_s:
            self._cached_from_s = math.inf
        return question.shared if self.case.cached and there else 0

    def _needs(self, question: Question, read: int) -> dict[Axis, float]:
        whole = question.shared + question.fresh
        if self.case.model.partition(":")[0] in RESERVING:
            return {"requests": 1, "tokens": whole + self.case.call.prompt.max_output_tokens - question.answer}
        return {"requests": 1, "input_tokens": whole - read, "tokens": whole - read}


def simulate(case: Case, traffic: Traffic) -> Outcome:
    """Steady traffic: as many stretches of it as are needed for a number that is not one stretch's luck."""
    rate = traffic.visitors * traffic.runs
    minutes = min(traffic.minutes, max(LEAST_MIN, MOST_QUESTIONS / max(rate, 1.0)))
    stretches = max(1, min(MOST_STRETCHES, math.ceil(ENOUGH_QUESTIONS / max(1.0, rate * minutes))))
    cut = replace(traffic, minutes=minutes)
    return sum((_stretch(case, cut, SEED + 10 * number) for number in range(stretches)), Outcome())


def _stretch(case: Case, traffic: Traffic, seed: int) -> Outcome:
    """One stretch; what comes before it is counted is simulated too."""
    rng, visitors = random.Random(seed), random.Random(seed + 1)  # noqa: S311 - visitors, no secrets
    earlier_s = 120 * max(0.0, traffic.runs - 1) * traffic.think_min  # a visit that began then may still ask
    until_s = (WARM_MIN + traffic.minutes) * 60
    run = _Run(case, rng, WARM_MIN * 60, 1.0)
    for visitor, came_s in enumerate(_arrivals(visitors, traffic.visitors, earlier_s + until_s)):
        for when_s in _questions(visitors, came_s - earlier_s, traffic):
            if 0 <= when_s <= until_s:
                run.at(when_s, partial(run.ask, visitor))
    return run.go()


def replay(case: Case, times_s: Sequence[float], begins: float, *, cached: bool) -> Outcome:
    """Questions at these very moments, each of another visitor, with buckets that are `begins` full."""
    run = _Run(case, random.Random(SEED), 0.0, begins)  # noqa: S311
    if cached:
        run._cached_from_s, run._cached_until_s = 0.0, math.inf
    for visitor, when_s in enumerate(times_s):
        run.at(when_s, partial(run.ask, visitor))
    return run.go()


def _arrivals(rng: random.Random, per_minute: float, until_s: float) -> Iterator[float]:
    at_s = 0.0
    while per_minute > 0:
        at_s += rng.expovariate(per_minute / 60)
        if at_s > until_s:
            return
        yield at_s


def _questions(rng: random.Random, came_s: float, traffic: Traffic) -> Iterator[float]:
    """When one visitor asks: the declared number of questions, by chance one more where it has a fraction."""
    whole = int(traffic.runs)
    runs = max(1, whole + (rng.random() < traffic.runs - whole))
    at_s = came_s
    for _ in range(runs):
        yield at_s
        at_s += rng.expovariate(1 / (traffic.think_min * 60)) if traffic.think_min else 0.0


# ---------------------------------------------------------------- how many fit


@dataclass(frozen=True, slots=True)
class Found:
    """The most visitors a minute that fit, what becomes of their questions, and what gives way first above that."""

    visitors: float
    outcome: Outcome
    first: str  # a limit; "" where none was reached


def ceilings(case: Case, runs: float) -> dict[str, float]:
    """Visitors a minute that each limit by itself bears, from the mean question: plain division."""
    questions = case.questions
    fresh, shared, answer = (
        sum(getattr(one, name) for one in questions) / len(questions) for name in ("fresh", "shared", "answer")
    )
    uncached = fresh if case.cached else fresh + shared
    needs = {"requests": 1.0, "input_tokens": uncached, "output_tokens": answer}
    needs["tokens"] = fresh + shared + case.call.prompt.max_output_tokens
    return {axis: limit / (max(1e-9, needs[axis]) * runs) for axis, limit in case.limits.items()}


def find(case: Case, traffic: Traffic, tick: Callable[[], None] = lambda: None, most: float = math.inf) -> Found:
    """Halve the range until the number is known to a fiftieth.

    No more than the lowest ceiling (or `most`) is searched: a full bucket bears more, but only for some minutes.
    """
    low, high = 0.0, min(most, *ceilings(case, traffic.runs).values())
    middle, best = high, Outcome()
    for _ in range(SEARCHES):
        outcome = simulate(case, replace(traffic, visitors=middle))
        tick()
        if outcome.fits:
            low, best = middle, outcome
        else:
            high = middle
        if high - low <= high / 50:
            break
        middle = max((low + high) / 2, 0.9 * high)  # it mostly lies near the ceiling
    return Found(low, best, first_limit(case, replace(traffic, visitors=high * BUSIER)))


def first_limit(case: Case, traffic: Traffic) -> str:
    """What most questions of such traffic are short of."""
    return max(simulate(case, traffic).short_of.items(), key=lambda one: one[1], default=("", 0))[0]
