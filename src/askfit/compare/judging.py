"""What a judge's word is worth: both orders, one length, people's own labels. Pure arithmetic; calls nobody.

A judge of two answers leans to the one shown first, often to the longer, and is surer than people are. So each pair is
shown in both orders, what it says twice counts whole and what it takes back counts as a tie; a margin is shrunk to
people's scale by pairs that people have judged; and a judge that too seldom agrees with itself abstains.

Preferences lie from −1 (the second answer) over 0 (a tie) to 1 (the first).
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

LEAST_AGREEMENT = 0.7  # of a judge's two orders; below it what it says of this pair decides nothing
LENGTHS_APART = 0.1  # answers that differ in length by so much of both together may stand for each other's opposite
LEAST_MATCHED = 0.1  # of the pairs: with fewer, length and model are one


@dataclass(frozen=True, slots=True)
class Judged:
    """One pair of answers, seen by a judge in both orders; both preferences are for the same answer."""

    shown_first: float  # the preference where this answer was shown first
    shown_second: float
    longer_by: float = 0.0  # (its words − the other's) / both together

    @property
    def preference(self) -> float:
        """What is left of the judge's word when its leaning to a place is taken out."""
        return (self.shown_first + self.shown_second) / 2


def agreement(pairs: Sequence[Judged]) -> float:
    """How often a judge says the same in both orders; 0 where there is nothing."""
    return sum(one.shown_first == one.shown_second for one in pairs) / len(pairs) if pairs else 0.0


def abstains(pairs: Sequence[Judged]) -> bool:
    """Does the judge agree with itself too seldom to decide?"""
    return agreement(pairs) < LEAST_AGREEMENT


def margin(pairs: Sequence[Judged]) -> float:
    """The mean preference, free of the order; ValueError where there is nothing."""
    if not pairs:
        raise ValueError("no pair was judged")
    return sum(one.preference for one in pairs) / len(pairs)


def at_one_length(pairs: Iterable[Judged]) -> Iterator[float]:
    """Preferences that no liking for length can move, in the order in which they become known.

    A pair whose first answer is the longer one waits for a pair whose first answer is the shorter by as much, and the
    two count as one. Whatever a judge gives for length, it gives to one and takes from the other; so the means of these
    are fit for a Test as they come. Nothing is assumed of how the liking grows.
    """
    waiting: dict[tuple[int, bool], deque[Judged]] = defaultdict(deque)
    for one in pairs:
        if one.longer_by == 0:
            yield one.preference
            continue
        by, longer = int(abs(one.longer_by) / LENGTHS_APART), one.longer_by > 0
        if others := waiting[by, not longer]:
            yield (one.preference + others.popleft().preference) / 2
        else:
            waiting[by, longer].append(one)


def margin_at_one_length(pairs: Sequence[Judged]) -> float | None:
    """The margin that is left between answers of the same length.

    None where one model's answers are nearly always the longer ones: then nobody can tell liking the model from liking
    length.
    """
    found = list(at_one_length(pairs))
    return sum(found) / len(found) if pairs and len(found) >= LEAST_MATCHED * len(pairs) else None


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of a judge's margin people share. A judge that people do not follow at all scales to nothing."""

    factor: float

    @classmethod
    def of(cls, margins: Sequence[tuple[float, float]]) -> Scale:
        """From pairs of models that both have judged: (the judge's margin, people's)."""
        power = sum(judge**2 for judge, _ in margins)
        shared = sum(judge * people for judge, people in margins)
        return cls(max(0.0, shared / power) if power else 0.0)

    def people(self, judge: float) -> float:
        """The margin that people would give."""
        return self.factor * judge
