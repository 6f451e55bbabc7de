"""Live signals: false alarms while nothing changes, and how soon a change is found.

- steady: a share that stays as it is, base rates from 2 to 40 %, each a watch of its own; then a whole chat feature,
  its eight signs together, visits of 1 to 6 turns by visitors who differ; with a week's season; with visitors who
  click fifty times. All are made up here and seeded.
- found: the coverage of an answer's passages (a share of eight, visits of one turn) falls by ten points; then other
  rises. "within 300" is the part of the streams in which it was found by then.
- beside it the naive way: after every visit a z-test (5 %) of the last fifty visits against the first hundred.

Nothing here is real traffic. DATA is not used; --streams says how many of each.
"""

from __future__ import annotations

import argparse
import itertools
import math
import random
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from askfit.ledger import DAY_MS, Signals, Told
from askfit.signals import BASELINE, MOST_FALSE, SIGNS, Sign, visits_of

SEED = 2027  # the detector's constants were chosen on other streams
TURNS = 10_000
MOST_WITHIN = 300  # samples until a fall of ten points is found
BEFORE = 1_000  # turns of baseline before the fall
AFTER = 2_000
PASSAGES = 8
PEEKED = 50  # visits that the naive way holds against the baseline
PEEKED_STREAMS = 4
WEEK_DAYS = 7
COVERAGE = next(sign for sign in SIGNS if sign.name == "coverage")
OTHER = next(sign for sign in SIGNS if sign.name == "asked_again")

Draw = Callable[[random.Random], float]


def alarms(watch: Callable[[float], bool], shares: Sequence[float]) -> list[int]:
    return [at for at, share in enumerate(shares) if watch(share)]


def betting(sign: Sign) -> Callable[[float], bool]:
    watch = sign.watch()
    return lambda share: watch.see(share) is not None


class Peeking:
    """A one-sided z-test (5 %) after every visit; after an alarm it waits for as many new visits."""

    def __init__(self) -> None:
        self.first: list[float] = []
        self.last: deque[float] = deque(maxlen=PEEKED)
        self.mean = self.variance = 0.0  # of the baseline

    def __call__(self, share: float) -> bool:
        if len(self.first) < BASELINE:
            self.first.append(share)
            self.mean, self.variance = statistics.fmean(self.first), statistics.pvariance(self.first)
            return False
        self.last.append(share)
        if len(self.last) < PEEKED:
            return False
        now = sum(self.last) / PEEKED
        spread = self.variance / BASELINE + (sum(one * one for one in self.last) / PEEKED - now * now) / PEEKED
        rose = now - self.mean > 1.645 * math.sqrt(spread or 1 / BASELINE**2)
        if rose:
            self.last.clear()
        return rose


def yes(rate: float) -> Draw:
    return lambda chance: float(chance.random() < rate)


def uncovered(mean: float) -> Draw:
    """The share of eight passages that no sentence rests on. Answers differ: as a beta-binomial, spread .25."""

    def draw(chance: random.Random) -> float:
        share = chance.betavariate(4 * mean, 4 * (1 - mean))
        return sum(chance.random() < share for _ in range(PASSAGES)) / PASSAGES

    return draw


# ---------------------------------------------------------------- steady


def steady(streams: int) -> bool:
    print(f"False alarms per {TURNS:,} turns of a steady stream, {streams} streams each")
    print(f"{'one sign':34} {'askfit':>8} {'peeking':>8}")
    kinds = [*((f"yes or no, {rate:.0%}", yes(rate), OTHER) for rate in (0.02, 0.05, 0.1, 0.2, 0.3, 0.4))]
    kinds += [(f"coverage {1 - mean:.0%}", uncovered(mean), COVERAGE) for mean in (0.2, 0.4)]
    for name, draw, sign in kinds:
        ours = theirs = 0
        for seed in range(streams):
            chance = random.Random(f"{SEED} steady {name} {seed}")
            shares = [draw(chance) for _ in range(TURNS)]
            ours += len(alarms(betting(sign), shares))
            theirs += len(alarms(Peeking(), shares)) if seed < PEEKED_STREAMS else 0
        print(f"{name:34} {ours / streams:8.2f} {theirs / min(PEEKED_STREAMS, streams):8.1f}")
    print(f"{'a whole chat feature, eight signs':34}")
    worst = 0.0
    for name, season, clicks in (("as it is", 0.0, False), ("a week's season of ±3 points", 0.03, False),
                                 ("visitors who click fifty times", 0.0, True)):  # fmt: skip
        found = sum(false_alarms(feature(f"{SEED} {name} {seed}", season, clicks=clicks)) for seed in range(streams))
        worst = max(worst, found / streams)
        print(f"  {name:32} {found / streams:8.2f}")
    kept = worst <= TURNS * MOST_FALSE
    print(f"bound: at most {TURNS * MOST_FALSE:g} for a whole feature: {'kept' if kept else 'MISSED'}\n")
    return kept


RATES = {"asked_again": 0.05, "despite_hit": 0.04, "over_length": 0.1, "retracted": 0.08}
RATED = (("too_shallow", 0.02), ("too_much", 0.02))
STOPPED = 0.05


def feature(seed: str, season: float, *, clicks: bool) -> list[Told]:
    """10,000 turns of one chat: some twenty visitors a day, who differ in what they ask and how they judge."""
    chance = random.Random(seed)
    made: list[Told] = []
    for visitor in itertools.count():
        if len(made) >= TURNS:
            return made[:TURNS]
        at_ms = visitor * DAY_MS // 20
        more = season * math.sin(2 * math.pi * at_ms / DAY_MS / WEEK_DAYS)
        made += visit(chance, f"v{visitor}", at_ms, more, clicks=clicks and chance.random() < 0.01)
    raise AssertionError


def visit(chance: random.Random, visitor: str, at_ms: int, more: float, *, clicks: bool) -> Iterator[Told]:
    """One visitor's turns. Who clicks, asks fifty times, again and again, and calls every answer too much."""
    taste = chance.gammavariate(2, 0.5)  # times as likely as the mean to show any sign
    thin = min(0.95, max(0.05, chance.betavariate(2, 3) + more))
    for turn in range(50 if clicks else chance.randint(1, 6)):
        happens = {name: chance.random() < (rate + more) * taste for name, rate in RATES.items()}
        again = clicks or (turn > 0 and happens["asked_again"])
        rated = {reason for reason, rate in RATED if chance.random() < rate * taste}
        yield Told(
            at_ms + turn * 30_000, f"{visitor}-{turn}", "m", visitor, chance.random() < STOPPED * taste,
            Signals(
                over_length=happens["over_length"], retracted=int(happens["retracted"]),
                despite_hit=happens["despite_hit"], asked_again=again, coverage=1 - uncovered(thin)(chance),
            ),
            frozenset(rated | ({"too_much"} if clicks else set())),
        )  # fmt: skip


def false_alarms(answers: Sequence[Told]) -> int:
    visits = list(visits_of(answers))
    shares = ((sign, [share for one in visits if (share := sign.share(one)) is not None]) for sign in SIGNS)
    return sum(len(alarms(betting(sign), seen)) for sign, seen in shares)


# ---------------------------------------------------------------- found


def delays(name: str, before: Draw, after: Draw, sign: Sign, streams: int, *, known: int = BEFORE) -> list[int]:
    """How many visits after the change its alarm came; AFTER where it did not."""
    found = []
    for seed in range(streams):
        chance = random.Random(f"{SEED} found {name} {seed}")
        watch = betting(sign)
        alarms(watch, [before(chance) for _ in range(known)])
        came = (at + 1 for at in range(AFTER) if watch(after(chance)))
        found.append(next(came, AFTER))
    return sorted(found)


def told(name: str, found: Sequence[int]) -> None:
    within = sum(one <= MOST_WITHIN for one in found) / len(found)
    nine = found[min(len(found) - 1, int(0.9 * len(found)))]
    last = f">{AFTER}" if nine == AFTER else str(nine)
    print(f"{name:44} {statistics.fmean(found):8.0f} {statistics.median(found):8.0f} {last:>7} {within:10.0%}")


def changes(streams: int) -> bool:
    print(f"Visits until a change is found, {streams} streams each (a stream without one counts {AFTER:,})")
    print(f"{'':44} {'mean':>8} {'median':>8} {'9 of 10':>7} {'within 300':>10}")
    kept = True
    for mean in (0.2, 0.3, 0.4):
        name = f"coverage {1 - mean:.0%} → {0.9 - mean:.0%} after {BEFORE:,} visits"
        found = delays(name, uncovered(mean), uncovered(mean + 0.1), COVERAGE, streams)
        told(name, found)
        kept = kept and statistics.fmean(found) <= MOST_WITHIN
    for known in (300, 500):
        name = f"coverage 70% → 60% after {known} visits"
        told(name, delays(name, uncovered(0.3), uncovered(0.4), COVERAGE, streams, known=known))
    for low, high in ((0.02, 0.08), (0.05, 0.15), (0.1, 0.2), (0.2, 0.3), (0.3, 0.4)):
        name = f"yes or no, {low:.0%} → {high:.0%} after {BEFORE:,} visits"
        told(name, delays(name, yes(low), yes(high), OTHER, streams))
    print(f"bound: a fall of coverage by ten points within {MOST_WITHIN} on average: {'kept' if kept else 'MISSED'}")
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", help="not used")
    parser.add_argument("--streams", type=int, default=8, help="of each kind")
    options = parser.parse_args()
    begun = time.perf_counter()
    kept = [steady(options.streams), changes(options.streams * 2)]
    print(f"{time.perf_counter() - begun:.0f} s")
    sys.exit(0 if all(kept) else 1)


if __name__ == "__main__":
    main()
