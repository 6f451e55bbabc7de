"""What paired differences prove, however often they are looked at. Knows no model, no sample and no text.

    test = Test((Demand("key points", 0.1), Demand("faithfulness", 0.05, guard=True)), current="small")
    for each conversation:
        test.observe({"key points": [0.5, 0.0], "faithfulness": [0.0, 0.0]})   # large − small, each from −1 to 1
        if test.choice() != "INCONCLUSIVE": break

A difference is a bet. For every demand one purse stakes on "the true mean is above delta", another on "it is below".
While the opposite holds a purse is expected not to grow, so that it ever grows twentyfold has a chance of at most 1 in
20 (Ville's inequality), at whatever moment one looks and for whatever reason one stops. So 1 / the most that it ever
held is a p-value that holds at any time. A purse is a mixture of fixed bets, so what it holds depends only on which
differences were seen how often: no fitting, no randomness, the same in every order but for the moment of decision.

Differences lie in [−1, 1] and nothing else is assumed of them: neither a distribution nor a size of sample.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Choice = Literal["ESCALATE", "DOWNGRADE", "KEEP", "INCONCLUSIVE"]
Tier = Literal["small", "large"]
Side = Literal["above", "below"]

ALPHA = 0.05  # the chance of a wrong ESCALATE, and that of a wrong DOWNGRADE
# Shares of its purse that each sixth stakes. The middle ones suit differences as noisy as right against wrong; the last
# one suits models that hardly differ, where equal answers should soon count. Chosen 2026-11-21 on RouteLLM's outcomes.
BETS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.9)
MOST_NEEDED = 10_000  # conversations: beyond it the two models are as good as equal to delta
_ROUNDED = 3  # decimals of a difference in the picture; verdicts are drawn from the unrounded ones
_HALVINGS = 14  # an interval's ends, to 2 / 2¹⁴


# ---------------------------------------------------------------- one mean


@dataclass(slots=True)
class _Purse:
    """The six bets that the mean of values in [0, 1] is above `null`. Each keeps 1 − c and stakes c on value / null."""

    null: float
    _bets: list[float] = field(init=False)
    most: float = 1.0  # that all of it together ever came to

    def __post_init__(self) -> None:
        self._bets = [1 / len(BETS)] * len(BETS)

    def pay(self, value: float) -> None:
        won = value / self.null - 1
        self._bets = [held * (1 + stake * won) for held, stake in zip(self._bets, BETS, strict=True)]
        self.most = max(self.most, min(self.holds, 1e300))

    @property
    def holds(self) -> float:
        return sum(self._bets)


def _logs(seen: Mapping[float, int], null: float) -> list[float]:
    """The logarithm of what each bet against `null` has made of its share after these values, in any order."""
    return [sum(count * math.log1p(stake * (value / null - 1)) for value, count in seen.items()) for stake in BETS]


def _log_purse(logs: Sequence[float]) -> float:
    """The logarithm of what such bets hold together."""
    highest = max(logs)
    return highest + math.log(sum(math.exp(one - highest) for one in logs) / len(BETS))


class Mean:
    """The differences of one metric so far, and what they prove of their true mean."""

    def __init__(self, delta: float) -> None:
        """`delta` is the gain that both sides are held against; −1 < delta < 1."""
        if not -1 < delta < 1:
            raise ValueError(f"delta is {delta}: it lies between -1 and 1")
        self.delta = delta
        self.n = 0
        self._sum = 0.0
        self._seen: Counter[float] = Counter()
        self._above = _Purse((1 + delta) / 2)
        self._below = _Purse((1 - delta) / 2)
        self._low, self._high = -1.0, 1.0

    def observe(self, difference: float) -> None:
        """One more, large − small; ValueError outside [−1, 1]."""
        if not -1 <= difference <= 1:
            raise ValueError(f"a difference of {difference}: it lies between -1 and 1")
        self.n += 1
        self._sum += difference
        self._seen[round(difference, _ROUNDED)] += 1
        self._above.pay((1 + difference) / 2)
        self._below.pay((1 - difference) / 2)

    @property
    def mean(self) -> float:
        """Of the differences seen; 0 before the first."""
        return self._sum / self.n if self.n else 0.0

    def p(self, side: Side) -> float:
        """How much speaks against "the true mean is not on this side of delta": a p-value, valid at any time."""
        return 1 / (self._above if side == "above" else self._below).most

    def interval(self, alpha: float = ALPHA) -> tuple[float, float]:
        """Where the true mean lies: at no time does it lie beyond an end with a chance of more than alpha.

        The means that neither side rejects: it leaves delta behind with the verdict. It never grows.
        """
        if self.n:
            self._low = max(self._low, self._end(alpha, "above"))
            self._high = min(self._high, self._end(alpha, "below"))
        return self._low, self._high

    def _end(self, alpha: float, side: Side) -> float:
        """The farthest mean that is rejected: what a purse holds falls as its null rises, so halving finds it."""
        seen = self._values(side)
        rejected, kept = 1e-9, 1.0
        if _log_purse(_logs(seen, rejected)) < math.log(1 / alpha):
            kept = rejected = 0.0
        for _ in range(_HALVINGS if kept else 0):
            middle = (rejected + kept) / 2
            if _log_purse(_logs(seen, middle)) >= math.log(1 / alpha):
                rejected = middle
            else:
                kept = middle
        return 2 * rejected - 1 if side == "above" else 1 - 2 * rejected

    def _values(self, side: Side) -> dict[float, int]:
        sign = 1 if side == "above" else -1
        return {(1 + sign * one) / 2: count for one, count in self._seen.items()}

    def needed(self, side: Side, alpha: float = ALPHA) -> int | None:
        """How many more, if they go on as they did, until this side is proven; None where it would never, or after
        more than MOST_NEEDED."""
        if self.p(side) <= alpha:
            return 0
        if not self.n:
            return None
        null = (1 + self.delta) / 2 if side == "above" else (1 - self.delta) / 2
        logs = _logs(self._values(side), null)

        def proven(more: int) -> bool:
            return _log_purse([one + more * one / self.n for one in logs]) >= math.log(1 / alpha)

        if not proven(MOST_NEEDED):
            return None
        return 1 + bisect_left(range(1, MOST_NEEDED), True, key=proven)


# ---------------------------------------------------------------- several metrics, one verdict


@dataclass(frozen=True, slots=True)
class Demand:
    """One metric that decides. More is better; differences are large − small."""

    metric: str
    delta: float  # the smallest gain that is worth the larger model; for a guard: the most that may be lost
    guard: bool = False  # a small model must be shown not to lose more than this before it is chosen


@dataclass(frozen=True, slots=True)
class Decision:
    """What is proven by now, why, and how many more conversations would be needed where nothing is."""

    verdict: Choice
    reason: str
    by: tuple[str, ...] = ()  # the metrics that decided
    needed: int | None = None  # None: nothing more is, or the models are too close to delta to tell


class Test:
    """Small against large over every metric that decides.

    ESCALATE needs one metric whose gain is proven above its delta, Holm's correction over all of them. DOWNGRADE needs
    every metric's gain proven below its delta, the guards among them first: since all must be, none is corrected. A
    large model that is proven to lose on a guard is never chosen for its gain elsewhere.
    """

    __test__ = False  # pytest: this is no test case

    def __init__(self, demands: Sequence[Demand], *, current: Tier = "small", alpha: float = ALPHA) -> None:
        """`current` is the one the feature has now: what is proven for it is KEEP."""
        if not demands:
            raise ValueError("nothing decides: at least one demand is needed")
        self.demands = tuple(demands)
        self.current = current
        self.alpha = alpha
        self.conversations = 0
        self.means = {one.metric: Mean(one.delta) for one in self.demands}
        self._losses = {one.metric: Mean(-one.delta) for one in self.demands if one.guard}

    def observe(self, differences: Mapping[str, Sequence[float]]) -> None:
        """The differences of one conversation: its samples hang together, so that they count once, by their mean."""
        self.conversations += 1
        for one in self.demands:
            if values := differences.get(one.metric):
                mean = sum(values) / len(values)
                self.means[one.metric].observe(mean)
                if one.guard:
                    self._losses[one.metric].observe(mean)

    def choice(self) -> Choice:
        """What is proven by now, without the words. May be asked at any time, and as often as one likes."""
        if self._gained():
            return "INCONCLUSIVE" if self._lost() else "ESCALATE" if self.current == "small" else "KEEP"
        if self._unproven():
            return "INCONCLUSIVE"
        return "DOWNGRADE" if self.current == "large" else "KEEP"

    def decide(self) -> Decision:
        """What is proven by now, and why."""
        choice, gained, lost = self.choice(), self._gained(), self._lost()
        if gained and lost:
            return Decision(choice, _mixed(gained, lost), (*gained, *lost))
        if gained:
            return Decision(choice, self._proven(gained, "above"), gained)
        if unproven := self._unproven():
            return Decision(choice, self._open(unproven), needed=self.needed())
        every = tuple(self.means)
        return Decision(choice, self._proven(every, "below"), every)

    def _gained(self) -> tuple[str, ...]:
        return holm({name: mean.p("above") for name, mean in self.means.items()}, self.alpha)

    def _lost(self) -> tuple[str, ...]:
        return tuple(name for name, mean in self._losses.items() if mean.p("below") <= self.alpha)

    def _unproven(self) -> list[Demand]:
        return [one for one in self.demands if self.means[one.metric].p("below") > self.alpha]

    def needed(self) -> int | None:
        """How many more conversations until the nearer verdict, if they go on as they did."""
        corrected = self.alpha / len(self.demands)
        ups = [mean.needed("above", corrected) for mean in self.means.values()]
        downs = [mean.needed("below", self.alpha) for mean in self.means.values()]
        routes = [*(one for one in ups if one is not None)]
        if None not in downs:
            routes.append(max(one for one in downs if one is not None))
        return min(routes, default=None)

    def _proven(self, names: Sequence[str], side: Side) -> str:
        than = "more" if side == "above" else "less"
        means = [self.means[name] for name in names]
        told = [
            f"{mean.mean:+.1%} in {name} (proven {than} than {mean.delta:.0%})"
            for name, mean in zip(names, means, strict=True)
        ]
        return f"The large model's gain: {_and(told)}."

    def _open(self, unproven: Sequence[Demand]) -> str:
        if not any(mean.n for mean in self.means.values()):
            return "No sample says anything of what decides."
        told = []
        for one in unproven:
            low, high = self.means[one.metric].interval(self.alpha)
            told.append(f"in {one.metric} between {low:+.0%} and {high:+.0%} (against {one.delta:.0%})")
        return f"What the large model gains lies {_and(told)}."


def holm(p: Mapping[str, float], alpha: float = ALPHA) -> tuple[str, ...]:
    """The names that Holm's correction rejects: the chance that any of them is wrong stays at most alpha."""
    rejected: list[str] = []
    for name, value in sorted(p.items(), key=lambda item: item[1]):
        if value > alpha / (len(p) - len(rejected)):
            break
        rejected.append(name)
    return tuple(rejected)


def _mixed(gained: Sequence[str], lost: Sequence[str]) -> str:
    return f"The large model is proven better in {_and(gained)} and worse in {_and(lost)}: read the samples."


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def looks(most: int) -> Iterator[int]:
    """After how many conversations an interval is worth drawing: each of the first fifty, then a tenth more."""
    at = 1.0
    while at < most:
        yield int(at)
        at = at + 1 if at < 50 else at * 1.1
    yield most
