"""A model's word on two answers: asked in both orders, taken at one length, held against the owner's own picks.

A judge is asked like every other model: through the gateway, inside the money of the run, its word kept in the journal.
What its word is worth is reckoned in `judging`. It never settles the comparison's own verdict; it stands beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

from askfit.ask.prompt import tagged
from askfit.compare.asking import Asker, opened
from askfit.compare.blind import GAINS, Item, Session, items_of
from askfit.compare.journal import ChoiceKey, Journal, Word
from askfit.compare.judging import LEAST_AGREEMENT, LEAST_MATCHED, Judged, Scale, agreement, at_one_length, margin
from askfit.compare.metrics import Outcome
from askfit.compare.running import Comparison
from askfit.compare.verdict import Decision, Demand, Test, Tier
from askfit.config import Settings
from askfit.errors import AskfitError, UsageError
from askfit.evals.samples import AskSample, Sample
from askfit.evals.tape import Tape
from askfit.gateway import LASTING
from askfit.models import facts
from askfit.prompts import load_prompt
from askfit.routing import BUILTIN, has_key, model_of
from askfit.types import NANOS_PER_USD, Call, Message, Prompt, Text

METRIC = "judged"
FEWEST_LABELS = 10  # samples that a person has judged too: with fewer its scale is not known
AT_ONCE = 4
MOST_OUTPUT_TOKENS = 300
SCHEMA: Mapping[str, object] = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, "better": {"type": "string", "enum": ["A", "B", "tie"]}},
    "required": ["reason", "better"],
    "additionalProperties": False,
}
_BETTER = re.compile(r'"better"\s*:\s*"(A|B|tie)"', re.IGNORECASE)
_FIRST = {"a": 1.0, "b": -1.0, "tie": 0.0}  # the preference for the answer that was shown first

Labels = Mapping[tuple[str, str, str], float]  # (sample's id, small model, large model) → people's preference


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a judge says of two models."""

    judge: str
    small: str
    large: str
    judged: int  # pairs, each in both orders
    failed: int  # pairs of which it said nothing usable, or that the money did not reach
    agreement: float  # of its two orders
    labels: int  # pairs that people have judged too
    scale: float | None  # how much of its word people share; None: too few labels
    margin: float  # for the large one, free of the order
    matched: int  # pairs of answers that are left at one length
    lead: float  # the margin at one length, on people's scale where that is known
    low: float
    high: float
    decision: Decision
    paid_usd: float = 0.0  # for what it was asked now

    @property
    def abstains(self) -> str:
        """Why its word decides nothing; "" where it may."""
        if not self.judged:
            return "It said nothing usable."
        if self.agreement < LEAST_AGREEMENT:
            return f"Its two orders agree on {self.agreement:.0%} of the pairs: it judges places, not answers."
        if self.matched < LEAST_MATCHED * self.judged:
            return "One model's answers are nearly always the longer ones: liking it and liking length are one."
        if self.scale == 0:
            return "People who judged the same pairs do not follow it."
        return ""


class Judge:
    """One model that judges, with what the journal holds of it."""

    def __init__(self, asker: Asker, model: str, journal: Journal) -> None:
        self._asker, self._model, self._journal = asker, model, journal
        self.spent = False
        self.paid_nanos = Counter[tuple[str, str]]()  # by pair of models; what the journal holds was paid before

    async def words(self, items: Sequence[Item]) -> dict[ChoiceKey, Judged]:
        """By item: its word in both orders. Of identical answers nobody is asked: a tie."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(item: Item) -> Judged | None:
            async with gate:
                return await self._both(item)

        found = await asyncio.gather(*map(one, items))
        return {item.key: word for item, word in zip(items, found, strict=True) if word}

    async def _both(self, item: Item) -> Judged | None:
        large, small = len(item.large.said.split()), len(item.small.said.split())
        longer_by = (large - small) / (large + small) if large + small else 0.0
        if item.same:
            return Judged(0.0, 0.0, longer_by)
        known = self._journal.word(item.key, self._model)
        prompt_sha = load_prompt("compare_judge").sha
        if known is None or (known.answers, known.prompt_sha) != (item.answers, prompt_sha):
            first, second = await self._ask(item, large_first=True), await self._ask(item, large_first=False)
            if first is None or second is None:
                return None
            known = Word(item.sample.id, first, -second, item.answers, prompt_sha)
            self._journal.say(item.key, self._model, known)
        return Judged(known.shown_first, known.shown_second, longer_by)

    async def _ask(self, item: Item, *, large_first: bool) -> float | None:
        """Its preference for the answer that is shown first; None where it gives none."""
        if self.spent:
            return None
        call = Call(
            self._asker.features[self._model],
            secrets.token_urlsafe(16),
            _prompt(item, large_first=large_first),
            _nothing,
            only=self._model,
        )
        try:
            async with aclosing(self._asker.site.gateway.stream(call)) as events:
                said = [event.text async for event in events if isinstance(event, Text)]
        except AskfitError as error:
            if error.code in LASTING:  # no other pair would fare better
                raise UsageError(error.code, error.message, error.next_step) from None
            self.spent = self.spent or error.code == "budget_spent"
            return None
        finally:
            self.paid_nanos[item.pair] += self._asker.ledger.paid_nanos[call.answer]
        return _preference("".join(said))


async def _nothing() -> AsyncIterator[str]:
    """The built-in is no judge."""
    return
    yield ""


def _prompt(item: Item, *, large_first: bool) -> Prompt:
    file, sample = load_prompt("compare_judge"), item.sample
    first, second = (item.large, item.small) if large_first else (item.small, item.large)
    if isinstance(sample, AskSample):
        turns = [f"{tagged('question', turn.question)}\n{tagged('answer', turn.answer)}" for turn in sample.history]
        asked = "\n".join([*turns, tagged("question", sample.question)])
    else:
        asked = tagged("posting", sample.posting)
    told = (tagged(name, _told(one)) for name, one in (("answer_a", first), ("answer_b", second)))
    message = Message("user", "\n\n".join((asked, *told)))
    return Prompt(file.text, "", (message,), MOST_OUTPUT_TOKENS, output_schema=SCHEMA, sha=file.sha, cache_ttl="")


def _told(one: Outcome) -> str:
    return json.dumps(one.assessed, ensure_ascii=False) if one.assessed else one.said


def _preference(said: str) -> float | None:
    with contextlib.suppress(ValueError, AttributeError):
        return _FIRST.get(str(json.loads(said).get("better")).casefold())
    found = _BETTER.findall(said)
    return _FIRST[found[-1].casefold()] if found else None


# ---------------------------------------------------------------- what it is worth


async def judged(
    settings: Settings,
    comparison: Comparison,
    samples: Sequence[Sample],
    journal: Journal,
    name: str,
    *,
    labels: Labels,
    tape: Tape,
    most_cost_usd: float,
) -> tuple[Opinion, ...]:
    """The judge's opinion of every pair of models; UsageError where it cannot be called, or is one of them."""
    model = judge_of(settings, name, comparison.models, tape)
    items = tuple(items_of(comparison, samples))
    left_usd = max(0.0, most_cost_usd - comparison.paid_usd)
    async with opened(settings, comparison.feature, (model,), tape, left_usd) as asker:
        judge = Judge(asker, model, journal)
        words = await judge.words(items)
    found = []
    for pair in comparison.pairs:
        of_pair = [item for item in items if item.pair == (pair.small, pair.large)]
        current: Tier = "small" if comparison.current == pair.small else "large"
        test = Test([Demand(METRIC, comparison.delta)], current=current, alpha=pair.test.alpha)
        if of_pair:
            told = opinion(model, of_pair, words, labels, test)
            found.append(replace(told, paid_usd=judge.paid_nanos[pair.small, pair.large] / NANOS_PER_USD))
    return tuple(found)


def judge_of(settings: Settings, name: str, models: Sequence[str], tape: Tape) -> str:
    """The judge in full; UsageError where it cannot be called, or would judge itself."""
    model = model_of(settings, name)
    facts(model, "--judge")
    if model in models or model == BUILTIN:
        why = "is compared here itself, and judges prefer their own" if model in models else "cannot judge"
        raise UsageError("judge_unfit", f"{model} {why}.", "Name another with --judge.")
    if not tape.only_replays and not has_key(settings, model):
        key = f"{model.partition(':')[0].upper()}_API_KEY"
        raise UsageError("key_missing", f"There is no key for the judge {model} in the environment.", f"Set {key}.")
    return model


def opinion(
    judge: str, items: Sequence[Item], words: Mapping[ChoiceKey, Judged], labels: Labels, test: Test
) -> Opinion:
    """What a judge's words on the items of one pair of models come to. `test` is fresh, METRIC its one demand."""
    small, large = items[0].pair
    heard = [(item, words[item.key]) for item in items if item.key in words]
    known = [(word.preference, labels[key]) for item, word in heard if (key := (item.sample.id, *item.pair)) in labels]
    scale = min(1.0, Scale.of(known).factor) if len(known) >= FEWEST_LABELS else None
    level = list(at_one_length(_conversations(heard)))
    for value in level:
        test.observe({METRIC: [value * (1.0 if scale is None else scale)]})
    mean = test.means[METRIC]
    low, high = mean.interval(test.alpha)
    asked = [word for item, word in heard if not item.same]
    told = Opinion(
        judge=judge,
        small=small,
        large=large,
        judged=len(heard),
        failed=len(items) - len(heard),
        agreement=agreement(asked) if asked else 1.0,
        labels=len(known),
        scale=scale,
        margin=margin([word for _, word in heard]) if heard else 0.0,
        matched=len(level),
        lead=mean.mean,
        low=low,
        high=high,
        decision=test.decide(),
    )
    return replace(told, decision=Decision("INCONCLUSIVE", told.abstains)) if told.abstains else told


def _conversations(heard: Sequence[tuple[Item, Judged]]) -> list[Judged]:
    """What samples of one conversation come to counts once."""
    found: dict[int, list[Judged]] = {}
    for item, word in heard:
        found.setdefault(item.conversation, []).append(word)
    return [
        Judged(*(fmean(getattr(word, name) for word in words) for name in ("shown_first", "shown_second", "longer_by")))
        for words in found.values()
    ]


def read_labels(path: Path, models: Sequence[str]) -> dict[tuple[str, str, str], float]:
    """What people prefer, from a file: rows of a sample's `id` and the model that is `preferred`, or "tie".

    UsageError with the row where something is wrong.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        rows = [json.loads(line) for line in text.splitlines() if line.strip()] if path.suffix == ".jsonl" else None
        rows = yaml.safe_load(text) if rows is None else rows
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UsageError(
            "labels_unreadable", f"{path} cannot be read ({' '.join(str(error).split())}).", "Name another."
        ) from None
    known = f"Known: tie, {', '.join(models)}."
    found: dict[tuple[str, str, str], float] = {}
    for number, row in enumerate(rows if isinstance(rows, list) else [rows], 1):
        if not isinstance(row, dict) or set(row) != {"id", "preferred"}:
            raise UsageError("labels_invalid", f"{path}, row {number}: give `id` and `preferred`, no more.", known)
        if row["preferred"] not in ("tie", *models):
            raise UsageError("labels_invalid", f"{path}, row {number}: '{row['preferred']}' is not compared.", known)
        for small, large in combinations(models, 2):
            if row["preferred"] in ("tie", small, large):
                found[str(row["id"]), small, large] = {small: -1.0, large: 1.0}.get(row["preferred"], 0.0)
    return found


def picked_labels(session: Session) -> dict[tuple[str, str, str], float]:
    """The owner's own blind picks, as labels."""
    return {
        (item.sample.id, *item.pair): GAINS[choice.picked]
        for item in session.items
        if (choice := session.choices.get(item.key))
    }


# ---------------------------------------------------------------- in words


def opinion_told(one: Opinion) -> tuple[str, ...]:
    """What the judge says and what it is worth, a line each."""
    if one.abstains:
        return (f"{one.judge} abstains. {one.abstains}",)
    what = {"ESCALATE": f"for {one.large}", "DOWNGRADE": f"for {one.small}", "KEEP": "for leaving things as they are"}
    verdict = one.decision.verdict
    said = (
        f"{one.judge} judges {what.get(verdict, 'nothing for sure')}: between answers of the same length the large one "
    )
    lines = [f"{said}leads by {one.lead:+.0%}, between {one.low:+.0%} and {one.high:+.0%} ({one.margin:+.0%} at any)."]
    lines += [f"About {one.decision.needed} more would decide."] if one.decision.needed else []
    if one.scale is None:
        lines.append(
            f"It is not held against people: {one.labels} of its pairs are judged by hand, {FEWEST_LABELS} are needed. "
            "Pick some with --blind, or give --labels."
        )
    else:
        lines.append(f"Held against {one.labels} pairs judged by hand, people share {one.scale:.0%} of what it says.")
    lines += [f"Of {one.failed} pairs it said nothing usable, or the money did not reach."] if one.failed else []
    return (
        *lines,
        f"Its two orders agree on {one.agreement:.0%} of {one.judged} pairs; {one.matched} are matched in length.",
    )


def opinion_json(one: Opinion) -> dict[str, Any]:
    """The opinion as one document."""
    told = {name: getattr(one, name) for name in Opinion.__dataclass_fields__ if name != "decision"}
    decision = {"verdict": one.decision.verdict, "reason": one.decision.reason, "needed": one.decision.needed}
    return told | {"abstains": one.abstains} | decision
