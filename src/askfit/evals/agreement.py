"""How far two judges agree on bands and verdicts: an assessment against its sample, or one labeller against another.

Pure counting. A requirement of a sample and one of an assessment are the same where they share most of their words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from askfit.evals.samples import FitSample
from askfit.text import stem, words
from askfit.types import Assessment, Band, Verdict

BANDS: tuple[Band, ...] = ("gap", "moderate", "strong")
VERDICTS: tuple[Verdict, ...] = ("misfit", "stretch", "moderate", "strong")
LEAST_SHARED = 0.6  # of the shorter one's words
LEAST_COVERED = 0.3  # of the wanted one's: "SQL" alone is not "reporting in SQL for the whole of finance"

Label = TypeVar("Label", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Pair:
    """One requirement of a sample: the band it should have, and the band it has; None where it was not read."""

    quote: str
    wanted: Band
    given: Band | None


@dataclass(frozen=True, slots=True)
class Compared:
    """One assessment beside its sample."""

    pairs: tuple[Pair, ...] = ()
    wanted: Verdict | None = None
    given: Verdict | None = None
    gates_found: int = 0
    gates: int = 0


def nearest(quote: str, others: Sequence[str]) -> int | None:
    """Which of the others shares most words with a quote; None where none shares enough."""
    wanted = _stems(quote)
    best: tuple[float, int] | None = None
    for at, other in enumerate(others):
        there = _stems(other)
        shared = len(wanted & there)
        if not shared or shared < LEAST_SHARED * min(len(wanted), len(there)) or shared < LEAST_COVERED * len(wanted):
            continue
        overlap = shared / len(wanted | there)
        if best is None or overlap > best[0]:
            best = (overlap, at)
    return best[1] if best else None


def _stems(quote: str) -> set[str]:
    return {stem(word) for word in words(quote)}


def compare(sample: FitSample, assessment: Assessment) -> Compared:
    """An assessment beside its sample: each band that the sample gives, its verdict, its gates."""
    quotes = [one.quote for one in assessment.requirements]
    pairs = []
    for quote, band in sample.bands.items():
        at = nearest(quote, quotes)
        pairs.append(Pair(quote, band, None if at is None else assessment.requirements[at].band))
    gates = [gate.text for gate in assessment.gates]
    return Compared(
        pairs=tuple(pairs),
        wanted=sample.verdict,
        given=assessment.verdict,
        gates_found=sum(nearest(gate, gates) is not None for gate in sample.gates),
        gates=len(sample.gates),
    )


# ---------------------------------------------------------------- sums


@dataclass(frozen=True, slots=True)
class Agreement:
    """All assessments of a run beside their samples. A share is None where nothing was to be judged."""

    confusion: Mapping[tuple[Band, Band | None], int]  # (wanted, given) → requirements
    verdicts: Mapping[tuple[Verdict, Verdict], int]
    gates_found: int
    gates: int

    @classmethod
    def of(cls, compared: Iterable[Compared]) -> Agreement:
        compared = tuple(compared)
        return cls(
            confusion=Counter((pair.wanted, pair.given) for one in compared for pair in one.pairs),
            verdicts=Counter((one.wanted, one.given) for one in compared if one.wanted and one.given),
            gates_found=sum(one.gates_found for one in compared),
            gates=sum(one.gates for one in compared),
        )

    @property
    def requirements(self) -> int:
        return sum(self.confusion.values())

    @property
    def found(self) -> int:
        """The requirements that were read at all."""
        return sum(count for (_, given), count in self.confusion.items() if given)

    @property
    def f1_found(self) -> float | None:
        """Macro-F1 of the bands over the requirements that were read."""
        return macro_f1({key: count for key, count in self.confusion.items() if key[1]}, BANDS)

    @property
    def f1_all(self) -> float | None:
        """Macro-F1 of the bands over all requirements: one that was not read is wrong."""
        return macro_f1(self.confusion, BANDS)

    @property
    def within_one(self) -> float | None:
        """The share of the requirements read whose band is right or the next one."""
        far = {("gap", "strong"), ("strong", "gap")}
        return _share(sum(count for key, count in self.confusion.items() if key[1] and key not in far), self.found)

    @property
    def verdict_share(self) -> float | None:
        """The share of verdicts that are the sample's."""
        right = sum(count for (wanted, given), count in self.verdicts.items() if wanted == given)
        return _share(right, sum(self.verdicts.values()))

    @property
    def ranked(self) -> int:
        """The postings whose verdicts have a place in the order: not enough information has none."""
        return len(self._ranks())

    @property
    def spearman(self) -> float | None:
        """Rank correlation of the verdicts, over `ranked`."""
        return spearman(self._ranks())

    @property
    def misfits(self) -> int:
        return sum(count for (wanted, _), count in self.verdicts.items() if wanted == "misfit")

    @property
    def misfits_flattered(self) -> int:
        """Misfits that were rated moderate or strong."""
        return self.verdicts.get(("misfit", "moderate"), 0) + self.verdicts.get(("misfit", "strong"), 0)

    def _ranks(self) -> list[tuple[int, int]]:
        return [
            (VERDICTS.index(wanted), VERDICTS.index(given))
            for (wanted, given), count in self.verdicts.items()
            if wanted in VERDICTS and given in VERDICTS
            for _ in range(count)
        ]

    def as_json(self) -> dict[str, Any]:
        bands: dict[str, dict[str, int]] = {}
        for wanted in BANDS:
            bands[wanted] = {str(given): self.confusion.get((wanted, given), 0) for given in BANDS}
            bands[wanted]["not_read"] = self.confusion.get((wanted, None), 0)
        return {
            "bands": bands,
            "requirements": self.requirements,
            "requirements_read": self.found,
            "macro_f1": self.f1_all,
            "macro_f1_of_those_read": self.f1_found,
            "within_one": self.within_one,
            "verdicts_right": self.verdict_share,
            "verdicts_spearman": self.spearman,
            "verdicts_ranked": self.ranked,
            "misfits": self.misfits,
            "misfits_moderate_or_better": self.misfits_flattered,
            "gates": self.gates,
            "gates_found": self.gates_found,
        }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def macro_f1(confusion: Mapping[tuple[Any, Any], int], labels: Sequence[Hashable]) -> float | None:
    """The mean of the labels' F1, without those that nobody gives or wants; None where nothing was judged."""
    scores = []
    for label in labels:
        right = confusion.get((label, label), 0)
        wanted = sum(count for (one, _), count in confusion.items() if one == label)
        given = sum(count for (_, one), count in confusion.items() if one == label)
        if wanted + given:
            scores.append(2 * right / (wanted + given))
    return sum(scores) / len(scores) if scores else None


def kappa(pairs: Sequence[tuple[Label, Label]]) -> float | None:
    """Cohen's kappa of two labellers: their agreement over what chance would give; None where one label is all."""
    total = len(pairs)
    first, second = Counter(one for one, _ in pairs), Counter(one for _, one in pairs)
    by_chance = sum(count * second[label] for label, count in first.items()) / total**2 if total else 1.0
    observed = sum(one == other for one, other in pairs) / total if total else 1.0
    return (observed - by_chance) / (1 - by_chance) if by_chance < 1 else None


def spearman(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Rank correlation, ties sharing the mean of their ranks; None where one side has no order."""
    if not pairs:
        return None
    first, second = _ranks([one for one, _ in pairs]), _ranks([one for _, one in pairs])
    mean = (len(pairs) + 1) / 2
    together = sum((one - mean) * (other - mean) for one, other in zip(first, second, strict=True))
    spread = sum((one - mean) ** 2 for one in first) * sum((one - mean) ** 2 for one in second)
    return float(together / spread**0.5) if spread else None


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(values)
    return [order.index(value) + (order.count(value) + 1) / 2 for value in values]
