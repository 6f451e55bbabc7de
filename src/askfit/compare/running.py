"""One comparison: models asked side by side, sample by sample, until a verdict is proven or the samples end.

The order of the conversations is drawn once, from their own words: the same samples come in the same order, so that a
run can be taken up, and no order that an owner wrote them in (the hard ones last) tilts an early end. A pair of models
that is decided asks no more; neither does a comparison whose money is spent.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from askfit.compare.asking import Asker, in_order, opened
from askfit.compare.journal import Journal
from askfit.compare.metrics import Outcome, conversation_of, demands
from askfit.compare.replaying import FEWEST, Job, Replayers, replayers
from askfit.compare.verdict import ALPHA, Choice, Decision, Test, looks
from askfit.config import Settings
from askfit.errors import UsageError
from askfit.evals.samples import Sample
from askfit.evals.tape import Tape
from askfit.gateway import LASTING
from askfit.routing import model_of
from askfit.types import NANOS_PER_USD

AT_ONCE = 4  # conversations, after the first one: what is decided leaves so many calls in vain at most
UNSHARED = 100  # conversations that are asked before other processes help
MOST_COST_USD = 1.0
SPENT = "budget_spent"
# What an owner means by better, as a difference of shares. In words, since few people think in points.
DELTAS = {"any": 0.02, "slight": 0.05, "clear": 0.10, "large": 0.20}

Conversation = tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """One metric of one pair at one moment."""

    conversations: int
    metric: str
    mean: float
    low: float
    high: float


@dataclass(slots=True)
class Pair:
    """Two models, the cheaper one first, and what is proven of them."""

    small: str
    large: str
    test: Test
    path: list[Look] = field(default_factory=list)

    def observe(self, conversation: Conversation, given: dict[tuple[str, str, int], Outcome], repeats: int) -> None:
        """Take the differences of one conversation; where either failed there is none."""
        differences: dict[str, list[float]] = {}
        for sample in conversation:
            for repeat in range(repeats):
                small, large = given[sample.id, self.small, repeat], given[sample.id, self.large, repeat]
                for name in self.test.means:
                    one, other = small.shares.get(name), large.shares.get(name)
                    if one is not None and other is not None:
                        differences.setdefault(name, []).append(other - one)
        self.test.observe(differences)

    def look(self) -> tuple[Look, ...]:
        """Keep where every metric stands by now."""
        looks = tuple(
            Look(self.test.conversations, name, mean.mean, *mean.interval(self.test.alpha))
            for name, mean in self.test.means.items()
        )
        self.path += looks
        return looks

    @property
    def open(self) -> bool:
        return self.test.choice() == "INCONCLUSIVE"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A whole comparison."""

    feature: str
    models: tuple[str, ...]  # the cheaper first
    current: str  # the one that the feature has, or the cheapest
    has_current: bool
    delta: float
    pairs: tuple[Pair, ...]
    outcomes: tuple[Outcome, ...]
    samples: int
    conversations: int
    spent: bool  # the money ended before the samples
    replayed: int = 0
    recorded: int = 0
    resumed: int = 0
    paid_usd: float = 0.0  # for what was asked now, failed calls included
    own_ms: float = 0.0  # of all this time, what the comparison itself took, without the asking
    fingerprints: Mapping[str, str] = field(default_factory=dict)  # of the samples, by id, and all they are asked of
    cached_alike: bool = True  # else the two models' costs are not to be compared
    notes: tuple[str, ...] = ()  # what else is to be known of how it was measured

    @property
    def verdict(self) -> Choice:
        """Of all pairs: one that changes something counts before those that keep."""
        found = {pair.test.choice() for pair in self.pairs}
        for choice in ("ESCALATE", "DOWNGRADE"):
            if choice in found:
                return choice
        return "KEEP" if found == {"KEEP"} else "INCONCLUSIVE"

    @property
    def chosen(self) -> str:
        """The model that the verdict speaks for; "" where it speaks for none."""
        verdict = self.verdict
        if verdict == "KEEP":
            return self.current
        decided = [pair for pair in self.pairs if pair.test.choice() == verdict]
        match verdict:
            case "ESCALATE":
                return decided[0].large
            case "DOWNGRADE":
                return decided[0].small
            case _:
                return ""

    @property
    def telling(self) -> Pair:
        """The pair that the verdict is of: the one that decided, or the first that is still open."""
        verdict = self.verdict
        return next(pair for pair in self.pairs if pair.test.choice() == verdict)

    @property
    def decision(self) -> Decision:
        """Its words."""
        return self.telling.test.decide()

    @property
    def compared(self) -> int:
        """The samples that every model asked has answered at least once."""
        said = [{one.sample for one in self.outcomes if one.model == model and not one.error} for model in self.models]
        return len(set.intersection(*said))


Progress = Callable[[int, int, Sequence[Pair]], None]


async def compare(
    settings: Settings,
    feature: str,
    models: Sequence[str],
    samples: Sequence[Sample],
    *,
    delta: float = DELTAS["clear"],
    repeats: int = 1,
    tape: Tape | None = None,
    journal: Journal | None = None,
    most_cost_usd: float = MOST_COST_USD,
    to_the_end: bool = False,
    processes: int = 1,
    progress: Progress | None = None,
) -> Comparison:
    """Ask every model the same samples; UsageError where one cannot be called at all.

    With `to_the_end` all are asked all, whatever is decided: for someone who shall read them. With more `processes`
    a long recording is replayed by so many; they begin the program anew, so its main module must allow that.
    """
    tape = tape or Tape()
    ordered = in_order(settings, models, tape)
    now = model_of(settings, settings.features[feature].model)
    current = now if now in ordered else ordered[0]
    pairs = _pairs(ordered, current, samples, delta)
    async with (
        opened(settings, feature, ordered, tape, most_cost_usd) as asker,
        replayers(settings, feature, ordered, tape, processes) as beside,
    ):
        run = _Run(asker, journal or Journal(None), pairs, repeats, ordered if to_the_end else (), beside)
        conversations = drawn(samples)
        began = time.perf_counter()
        await run.through(conversations, progress)
        own_ms = (time.perf_counter() - began) * 1000 - run.asking_ms
        fingerprints = {sample.id: asker.fingerprint(sample) for sample in samples}
    return Comparison(
        feature=feature,
        models=ordered,
        current=current,
        has_current=current == now,
        delta=delta,
        pairs=pairs,
        outcomes=tuple(run.outcomes.values()),
        samples=len(samples),
        conversations=len(conversations),
        spent=run.spent,
        replayed=tape.replayed + run.replayed_beside,
        recorded=tape.recorded,
        resumed=run.resumed,
        paid_usd=asker.ledger.paid_nanos.total() / NANOS_PER_USD,
        own_ms=own_ms,
        fingerprints=fingerprints,
    )


def _pairs(models: Sequence[str], current: str, samples: Sequence[Sample], delta: float) -> tuple[Pair, ...]:
    """The current model against every other one; all of them together keep to alpha."""
    at = models.index(current)
    pairs = []
    for place, other in enumerate(models):
        if other == current:
            continue
        small, large = (current, other) if at < place else (other, current)
        test = Test(
            demands(samples, delta), current="small" if at < place else "large", alpha=ALPHA / (len(models) - 1)
        )
        pairs.append(Pair(small, large, test))
    return tuple(pairs)


def drawn(samples: Sequence[Sample]) -> tuple[Conversation, ...]:
    """The samples by conversation, in an order that depends on nothing but their words."""
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        found.setdefault(conversation_of(sample), []).append(sample)
    by_words = sorted(found, key=lambda words: hashlib.sha256(words.encode()).digest())
    return tuple(tuple(found[words]) for words in by_words)


def _batches(conversations: Sequence[Conversation]) -> Iterator[Sequence[Conversation]]:
    """The first alone, since it writes the provider's cache for the others and shows what cannot be called."""
    yield conversations[:1]
    for at in range(1, len(conversations), AT_ONCE):
        yield conversations[at : at + AT_ONCE]


@dataclass(slots=True)
class _Run:
    asker: Asker
    journal: Journal
    pairs: Sequence[Pair]
    repeats: int
    always: Sequence[str] = ()  # models that are asked whatever is decided
    beside: Replayers | None = None
    ahead: dict[tuple[str, str, int], Outcome] = field(default_factory=dict)  # replayed before their turn
    replayed_beside: int = 0
    outcomes: dict[tuple[str, str, int], Outcome] = field(default_factory=dict)
    resumed: int = 0
    spent: bool = False
    asking_ms: float = 0.0  # while at least one model was asked

    async def through(self, conversations: Sequence[Conversation], progress: Progress | None) -> None:
        due = looks(len(conversations))
        next_look = next(due)
        done = 0
        for batch in _batches(conversations):
            live = [pair for pair in self.pairs if pair.open]
            asked = self.always or tuple(dict.fromkeys(name for pair in live for name in (pair.small, pair.large)))
            if not asked or self.spent:
                break
            if self.beside and done >= UNSHARED and not self._is_ahead(batch, asked):
                await self._replay_ahead(conversations[done:], asked)
            await self._ask(batch, asked)
            for conversation in batch:
                done += 1
                for pair in live:
                    if pair.open and self._whole(conversation, pair):
                        pair.observe(conversation, self.outcomes, self.repeats)
                        if done >= next_look or not pair.open:
                            pair.look()
                while next_look <= done:
                    next_look = next(due, len(conversations) + 1)
            if progress:
                progress(done, len(conversations), self.pairs)
        for pair in self.pairs:
            if pair.open:
                pair.look()

    def _whole(self, conversation: Conversation, pair: Pair) -> bool:
        """Was all of it asked? A conversation that the money did not reach is none."""
        wanted = [
            (sample.id, model, repeat)
            for sample in conversation
            for model in (pair.small, pair.large)
            for repeat in range(self.repeats)
        ]
        return all(key in self.outcomes and self.outcomes[key].error_code != SPENT for key in wanted)

    async def _ask(self, batch: Sequence[Conversation], models: Sequence[str]) -> None:
        """Every model's answer to every sample, side by side; what the journal holds is not asked."""
        missing = []
        for sample, model, repeat in self._jobs(batch, models):
            found = self.journal.find((self.asker.fingerprint(sample), model, repeat))
            if found:
                self.outcomes[found.sample, model, repeat] = found
                self.resumed += 1
            else:
                missing.append((sample, model, repeat))
        if not missing:
            return
        began = time.perf_counter()
        given = await asyncio.gather(*(self._answer(*one) for one in missing))
        self.asking_ms += (time.perf_counter() - began) * 1000
        for (sample, model, repeat), outcome in zip(missing, given, strict=True):
            if outcome.error_code in LASTING:  # no other sample would fare better
                raise UsageError(outcome.error_code, outcome.error)
            self.spent = self.spent or outcome.error_code == SPENT
            self.outcomes[sample.id, model, repeat] = outcome
            self.journal.keep((self.asker.fingerprint(sample), model, repeat), outcome)

    def _jobs(self, conversations: Sequence[Conversation], models: Sequence[str]) -> Iterator[Job]:
        """In the order in which they are asked."""
        for sample in (sample for conversation in conversations for sample in conversation):
            for repeat in range(self.repeats):
                for model in models:
                    yield sample, model, repeat

    async def _answer(self, sample: Sample, model: str, repeat: int) -> Outcome:
        ahead = self.ahead.pop((sample.id, model, repeat), None)
        return ahead or await self.asker.ask(sample, model, repeat)

    def _is_ahead(self, batch: Sequence[Conversation], models: Sequence[str]) -> bool:
        return all(map(self._is_there, self._jobs(batch, models)))

    def _is_there(self, job: Job) -> bool:
        sample, model, repeat = job
        there = (sample.id, model, repeat) in self.ahead
        return there or self.journal.find((self.asker.fingerprint(sample), model, repeat)) is not None

    async def _replay_ahead(self, rest: Sequence[Conversation], models: Sequence[str]) -> None:
        """Let the processes replay what comes next; nothing where little is left."""
        assert self.beside
        missing = (job for job in self._jobs(rest, models) if not self._is_there(job))
        jobs = list(islice(missing, self.beside.most))
        if len(jobs) < FEWEST:
            self.beside = None
            return
        began = time.perf_counter()
        outcomes, replayed = await self.beside.replay(jobs)
        self.asking_ms += (time.perf_counter() - began) * 1000
        self.replayed_beside += replayed
        for (sample, model, repeat), outcome in zip(jobs, outcomes, strict=True):
            self.ahead[sample.id, model, repeat] = outcome
