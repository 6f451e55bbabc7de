"""Has a share risen above what was normal? Asked after every visit, for ever, with a bound on false alarms.

    watch = Watch(most_false=1 / 10_000)      # alarms a visit while nothing changes, at most
    for visit in visits:
        if alarm := watch.see(0.25):          # the share of this visit that was bad, 0 to 1
            ...                               # alarm.normal → alarm.now, since alarm.since

Each visit is a bet that the share lies above what is normal. While it does not, a purse is expected not to grow. A new
purse is opened with every visit and all are held together: the Shiryaev-Roberts e-detector of Shin, Ramdas and Rinaldo
(2023, "E-detectors: a nonparametric framework for sequential change detection"). What it holds is expected to grow by
one a visit at most, so it reaches 10,000 within N visits with a chance of N / 10,000 at most, however often one looks.

What is normal is not known but read from earlier visits: those before the moment at which the share rose, if it did.
So the bets are on more than the upper end of where it may lie: an asymptotic confidence sequence (Waudby-Smith, Arbour,
Sinha, Kennedy and Ramdas, 2024, "Time-uniform central limit theory and asymptotic confidence sequences"), which holds
at every length of the baseline at once. A short baseline makes the watch slow, not nervous.

Knows no feature, no model and no ledger. No randomness: the same visits give the same alarms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

BASELINE = 100  # visits before anything is watched
# Shares of its purse that each sixth stakes; chosen 2026-11-21 on simulated visits (docs/decisions/signals.md).
STAKES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
DOUBT = 0.25  # the chance that what is normal ever lies above its upper end
TIGHTEST = 500.0  # visits of baseline at which the upper end is nearest
PRIOR = 2.0  # bad and good visits that every baseline is taken to have had besides (Agresti and Coull's two)


@dataclass(frozen=True, slots=True)
class Alarm:
    """A share rose: from what, at most from what, to what, since which visit and until which (counted from 0)."""

    normal: float
    upper: float
    now: float
    since: int
    at: int


@dataclass(frozen=True, slots=True)
class Sums:
    """How many visits, their shares and the squares of these."""

    visits: int = 0
    total: float = 0.0
    squares: float = 0.0

    def with_one(self, share: float) -> Sums:
        return Sums(self.visits + 1, self.total + share, self.squares + share * share)

    @property
    def mean(self) -> float:
        return self.total / self.visits if self.visits else 0.0

    def upper(self) -> float:
        """The most that the true mean may be, at every number of visits at once but for a chance of DOUBT."""
        n = self.visits + 2 * PRIOR
        mean = (self.total + PRIOR) / n
        variance = max(0.0, (self.squares + PRIOR) / n - mean * mean)
        grown = n / TIGHTEST + 1
        reach = math.sqrt(2 * grown * TIGHTEST * math.log(1 + math.sqrt(grown) / (2 * DOUBT))) / n
        return min(1.0, mean + math.sqrt(variance) * reach)


@dataclass(slots=True)
class _Bet:
    """One stake, and what it has made of its purses."""

    stake: float
    all: float = 0.0  # of all that were opened, one a visit
    best: float = 1.0  # of the one opened at the best moment (Page's CUSUM)
    begun: int = BASELINE  # that moment: the visit from which on the share may have risen

    def pay(self, visit: int, won: float) -> None:
        factor = 1 + self.stake * won
        self.all = (self.all + 1) * factor
        if self.best <= 1:
            self.best, self.begun = 1.0, visit
        self.best *= factor


class Watch:
    """One share, visit after visit."""

    def __init__(self, most_false: float) -> None:
        """`most_false`: alarms a visit while nothing changes, at most; 0 < most_false < 1."""
        if not 0 < most_false < 1:
            raise ValueError(f"most_false is {most_false}: it lies between 0 and 1")
        self._enough = len(STAKES) / most_false
        self._sums = [Sums()]  # before each visit
        self._bets = [_Bet(stake) for stake in STAKES]
        self._uppers: dict[int, float] = {}

    @property
    def visits(self) -> int:
        return len(self._sums) - 1

    def mean(self, since: int) -> float:
        """Of the visits from one on; 0 where there are none."""
        first, last = self._sums[since], self._sums[-1]
        seen = last.visits - first.visits
        return (last.total - first.total) / seen if seen else 0.0

    def see(self, share: float) -> Alarm | None:
        """One more visit; an alarm if it proves that the share has risen. ValueError outside [0, 1]."""
        if not 0 <= share <= 1:
            raise ValueError(f"a share of {share}: it lies between 0 and 1")
        visit = self.visits
        self._sums.append(self._sums[-1].with_one(share))
        if visit < BASELINE:
            return None
        begun = self._begun()
        won = share / self._upper(begun) - 1
        for bet in self._bets:
            bet.pay(visit, won)
        if sum(bet.all for bet in self._bets) < self._enough:
            return None
        since = self._begun()
        alarm = Alarm(self._sums[since].mean, self._upper(since), self.mean(since), since, visit)
        self._bets = [_Bet(stake, begun=visit + 1) for stake in STAKES]
        return alarm

    def _begun(self) -> int:
        """Where the share has risen if it has: what came before is what is normal. Every visit, where nothing says so.

        It follows from earlier visits alone, so a bet against it stays a fair one.
        """
        best = max(self._bets, key=lambda bet: bet.best)
        return best.begun if best.best > 1 else max(BASELINE, self.visits - 1)

    def _upper(self, before: int) -> float:
        if before not in self._uppers:
            self._uppers[before] = self._sums[before].upper()
        return self._uppers[before]
