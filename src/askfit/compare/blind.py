"""Two answers with no names: what an owner picks, and what the picks prove. Knows no page and no network.

Items come in the comparison's own order. A pick is a difference of 1 (the large model's answer), −1 (the small one's)
or 0 (a tie), held against the same delta by the same Test as every other metric. Picks are read from the front up to
the first that is missing, so that no pick is left out by what it says. Which side the small model's answer stands on is
drawn for each item from a seed; both are kept with the pick.

Answers that are the same word for word are ties, and nobody is asked.
"""

from __future__ import annotations

import hashlib
import json
import random
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from askfit.compare.journal import Choice, ChoiceKey, Journal, Picked, Side, Why
from askfit.compare.metrics import Outcome
from askfit.compare.running import Comparison, drawn
from askfit.compare.verdict import Choice as Verdict
from askfit.compare.verdict import Decision, Demand, Test, Tier
from askfit.evals.samples import Sample

METRIC = "your choice"
WHYS: tuple[Why, ...] = get_args(Why)
Hand = Literal["left", "right", "tie"]
GAINS: dict[str, float] = {"large": 1.0, "small": -1.0, "tie": 0.0}
SEED_BITS = 32


@dataclass(frozen=True, slots=True)
class Item:
    """Two answers to one sample."""

    sample: Sample
    small: Outcome
    large: Outcome
    key: ChoiceKey
    conversation: int
    same: bool  # word for word
    answers: str  # of both texts: a pick is of these two and no others

    def small_side(self, seed: int) -> Side:
        """Where the small model's answer stands."""
        drawn_from = f"{seed} {self.key} {self.answers}"
        return random.Random(drawn_from).choice(("left", "right"))  # noqa: S311 - a coin, no secret

    def side_of(self, picked: Picked, seed: int) -> Hand:
        if picked == "tie":
            return "tie"
        there = self.small_side(seed)
        return there if picked == "small" else _other(there)

    def pick_of(self, hand: Hand, seed: int) -> Picked:
        if hand == "tie":
            return "tie"
        return "small" if hand == self.small_side(seed) else "large"

    @property
    def pair(self) -> tuple[str, str]:
        return self.small.model, self.large.model


def _other(side: Side) -> Side:
    return "left" if side == "right" else "right"


@dataclass(frozen=True, slots=True)
class Agreement:
    """Picks beside what the metrics say of the same two answers."""

    alike: int = 0  # both prefer the same answer
    opposite: int = 0
    only_picked: int = 0  # the metrics see no difference
    only_measured: int = 0  # a tie, where the metrics prefer one
    neither: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """What the picks between two models prove by now."""

    small: str
    large: str
    judged: int  # by the owner
    same: int  # ties for which nobody was asked
    wins: dict[str, int]  # by model
    ties: int
    why: dict[str, dict[str, int]]  # what was wrong with a model's answers, how often
    left: int  # picks of the left side
    conversations: int
    mean: float
    low: float
    high: float
    decision: Decision
    agreement: Agreement
    automatic: Verdict  # of the metrics, for the same two models


@dataclass(slots=True)
class Session:
    """All items of a comparison and what was picked of them; every pick is in the journal before the next is shown."""

    comparison: Comparison
    samples: Sequence[Sample]
    journal: Journal
    items: tuple[Item, ...] = ()
    seed: int = 0
    choices: dict[ChoiceKey, Choice] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.items = tuple(items_of(self.comparison, self.samples))
        for item in self.items:
            found = self.journal.choice(item.key)
            if found and found.answers == item.answers:
                self.choices[item.key] = found
                self.seed = found.seed
        self.seed = self.seed or secrets.randbits(SEED_BITS)

    # ------------------------------------------------------------ picking

    @property
    def current(self) -> Item | None:
        """The first item that is to be judged; None where all is decided or judged."""
        open_pairs = {pair for pair, test in self._tests().items() if test.choice() == "INCONCLUSIVE"}
        return next((one for one in self._asked() if one.pair in open_pairs and one.key not in self.choices), None)

    @property
    def last(self) -> Item | None:
        """The one that was judged before the current one."""
        before: Item | None = None
        current = self.current
        for item in self._asked():
            if item == current:
                break
            before = item if item.key in self.choices else before
        return before

    @property
    def judged(self) -> int:
        return len(self.choices)

    @property
    def asked(self) -> int:
        """How many there are to judge at most."""
        return sum(1 for _ in self._asked())

    @property
    def is_decided(self) -> bool:
        return bool(self.items) and all(test.choice() != "INCONCLUSIVE" for test in self._tests().values())

    @property
    def needed(self) -> int | None:
        """About how many more would decide; None where that cannot be told yet."""
        foreseen = [test.needed() for test in self._tests().values() if test.choice() == "INCONCLUSIVE"]
        told = [one for one in foreseen if one is not None]
        return sum(told) if told and len(told) == len(foreseen) else None

    def pick(self, item: Item, hand: Hand, why: Why = "") -> None:
        """Keep what was picked, or picked anew, of an item."""
        seed = self.choices[item.key].seed if item.key in self.choices else self.seed
        self._keep(
            item, Choice(item.sample.id, item.pick_of(hand, seed), why, item.small_side(seed), item.answers, seed)
        )

    def take_back(self, item: Item) -> None:
        """As if it had not been judged."""
        gone = self.choices.pop(item.key)
        self.journal.choose(item.key, Choice(gone.sample, "", "", gone.small_side, gone.answers, gone.seed))

    def hand_of(self, item: Item) -> Hand | None:
        """What was picked of it, as the page has it."""
        choice = self.choices.get(item.key)
        return item.side_of(choice.picked, choice.seed) if choice and choice.picked else None

    def sides(self, item: Item) -> tuple[Outcome, Outcome]:
        """What stands left, what right."""
        seed = self.choices[item.key].seed if item.key in self.choices else self.seed
        return (item.small, item.large) if item.small_side(seed) == "left" else (item.large, item.small)

    def _keep(self, item: Item, choice: Choice) -> None:
        self.journal.choose(item.key, choice)
        self.choices[item.key] = choice

    def _asked(self) -> Iterator[Item]:
        return (item for item in self.items if not item.same)

    # ------------------------------------------------------------ what it proves

    def _tests(self) -> dict[tuple[str, str], Test]:
        return {(pair.small, pair.large): self._test(pair.small, pair.large) for pair in self.comparison.pairs}

    def _test(self, small: str, large: str) -> Test:
        current: Tier = "small" if self.comparison.current == small else "large"
        alpha = self.comparison.pairs[0].test.alpha
        test = Test([Demand(METRIC, self.comparison.delta)], current=current, alpha=alpha)
        for gains in self._conversations(small, large):
            test.observe({METRIC: gains})
        return test

    def _conversations(self, small: str, large: str) -> Iterator[list[float]]:
        """The differences of every conversation that is judged whole, up to the first that is not."""
        found: dict[int, list[float | None]] = {}
        for item in self._of(small, large):
            found.setdefault(item.conversation, []).append(self._gain(item))
        for gains in found.values():
            whole = [one for one in gains if one is not None]
            if len(whole) < len(gains):
                return
            yield whole

    def _of(self, small: str, large: str) -> list[Item]:
        return [item for item in self.items if item.pair == (small, large)]

    def _gain(self, item: Item) -> float | None:
        if item.same:
            return 0.0
        choice = self.choices.get(item.key)
        return GAINS[choice.picked] if choice else None

    def standings(self) -> tuple[Standing, ...]:
        """Every pair that the owner has judged something of."""
        return tuple(
            self._standing(pair.small, pair.large, pair.test.choice())
            for pair in self.comparison.pairs
            if any(item.key in self.choices for item in self._of(pair.small, pair.large))
        )

    def _standing(self, small: str, large: str, automatic: Verdict) -> Standing:
        items = self._of(small, large)
        judged = [(item, self.choices[item.key]) for item in items if item.key in self.choices]
        picked = Counter(choice.picked for _, choice in judged)
        test = self._test(small, large)
        mean = test.means[METRIC]
        low, high = mean.interval(test.alpha)
        return Standing(
            small=small,
            large=large,
            judged=len(judged),
            same=sum(item.same for item in items),
            wins={small: picked["small"], large: picked["large"]},
            ties=picked["tie"],
            why=_whys(small, large, [choice for _, choice in judged]),
            left=sum(item.side_of(_said(choice), choice.seed) == "left" for item, choice in judged),
            conversations=test.conversations,
            mean=mean.mean,
            low=low,
            high=high,
            decision=test.decide(),
            agreement=_agreement(judged, self._metrics(small, large)),
            automatic=automatic,
        )

    def _metrics(self, small: str, large: str) -> tuple[str, ...]:
        pair = next(one for one in self.comparison.pairs if (one.small, one.large) == (small, large))
        return tuple(pair.test.means)


def _said(choice: Choice) -> Picked:
    assert choice.picked, "what is taken back is no choice"
    return choice.picked


def _whys(small: str, large: str, choices: Sequence[Choice]) -> dict[str, dict[str, int]]:
    """A reason speaks of the answer that was not picked; with a tie, of both."""
    found: dict[str, Counter[str]] = {small: Counter(), large: Counter()}
    blamed = {"small": (large,), "large": (small,), "tie": (small, large)}
    for choice in choices:
        for model in blamed[_said(choice)] if choice.why else ():
            found[model][choice.why] += 1
    return {model: {why: counts[why] for why in WHYS if why} for model, counts in found.items()}


def _agreement(judged: Sequence[tuple[Item, Choice]], metrics: Sequence[str]) -> Agreement:
    counts: Counter[str] = Counter()
    for item, choice in judged:
        gain, measured = GAINS[_said(choice)], _measured(item, metrics)
        if gain and measured:
            counts["alike" if gain * measured > 0 else "opposite"] += 1
        else:
            counts["only_picked" if gain else "only_measured" if measured else "neither"] += 1
    return Agreement(**counts)


def _measured(item: Item, metrics: Sequence[str]) -> float:
    """What all that decides adds up to: above 0 for the large model's answer."""
    pairs = [(item.small.shares.get(name), item.large.shares.get(name)) for name in metrics]
    total = sum(large - small for small, large in pairs if small is not None and large is not None)
    return round(total, 9)


# ---------------------------------------------------------------- the items


def items_of(comparison: Comparison, samples: Sequence[Sample]) -> Iterator[Item]:
    """Every sample that two models of a pair have both answered, in the comparison's order."""
    given = {(one.sample, one.model): one for one in comparison.outcomes if not one.repeat and not one.error}
    for number, conversation in enumerate(drawn(samples)):
        for pair in comparison.pairs:
            for sample in conversation:
                small, large = given.get((sample.id, pair.small)), given.get((sample.id, pair.large))
                if small and large:
                    yield _item(sample, small, large, comparison.fingerprints[sample.id], number)


def _item(sample: Sample, small: Outcome, large: Outcome, fingerprint: str, number: int) -> Item:
    texts = [json.dumps(_words(one), sort_keys=True) for one in (small, large)]
    answers = hashlib.sha256("\x00".join(texts).encode()).hexdigest()[:16]
    key = (fingerprint, small.model, large.model)
    return Item(sample, small, large, key, number, texts[0] == texts[1], answers)


def _words(outcome: Outcome) -> Mapping[str, object]:
    """What an answer says: by this two are the same, and a pick is of these words."""
    return outcome.assessed or {"text": outcome.said.strip()}


def shown(left: Outcome, right: Outcome) -> tuple[Mapping[str, object], Mapping[str, object]]:
    """All that is shown of two answers: their words and the titles of their sources. Nothing of who gave them, when, or
    at what cost. Both have sources to show, be it none, or neither has: what is missing must not tell them apart."""
    if left.assessed or right.assessed:
        return _words(left), _words(right)
    if left.cites is None or right.cites is None or not (left.cites or right.cites):
        return _words(left), _words(right)
    return {**_words(left), "cites": left.cites}, {**_words(right), "cites": right.cites}
