"""One run of golden samples: every sample through the feature's own door, scored, with its cost.

A run has a site and a ledger of its own: what it asks enters no gap inbox and no statistics of visitors, and its money
is bounded by itself. No other model stands in for the one that is measured: a call that fails is a sample that falls
short.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr

from askfit import ask, fit, forms
from askfit.config import Privacy, Secrets, Settings, StoreSettings
from askfit.errors import AskfitError, UsageError
from askfit.evals.agreement import Agreement, Compared, compare
from askfit.evals.samples import AskSample, FormSample, Sample
from askfit.evals.scorers import MOST_WORDS, Score, score_answer, score_assessment, score_form, told_in
from askfit.evals.tape import Tape
from askfit.gateway import LASTING, Gateway
from askfit.ledger import Attempt, Bounds, Caps, Ledger, Outcome
from askfit.models import facts
from askfit.routing import BUILTIN, candidates, has_key, model_of
from askfit.site import Site, open_site
from askfit.store import Store
from askfit.types import Answer, Assessment, Filled

MOST_COST_USD = 1.0
UNBOUNDED_USD = 1e6
AT_ONCE = 4  # after the first sample, which writes the provider's cache for the others
NEVER_AVERAGED = ("must_not", "citations", "quotes")  # an untruth is one too many, whatever the floor

STAND_INS = Secrets(anthropic_api_key=SecretStr("replayed"), openai_api_key=SecretStr("replayed"))

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Result:
    """One sample: what was said, how it scores. `error` says why nothing was said."""

    id: str
    asked: str
    said: str = ""
    scores: dict[str, Score] = field(default_factory=dict)
    error: str = ""
    error_code: str = ""
    cost_usd: float = 0.0
    total_ms: float = 0.0
    compared: Compared | None = None  # of a posting

    @property
    def right(self) -> bool:
        """Nothing falls short."""
        return not self.error and all(score.share in (None, 1.0) for score in self.scores.values())

    @property
    def missed(self) -> tuple[str, ...]:
        """What falls short, in words."""
        told = tuple(words for score in self.scores.values() for words in score.missed)
        return (self.error,) if self.error else told

    @property
    def untrue(self) -> bool:
        """Something was said that may never be."""
        return any(self.scores[name].share not in (None, 1.0) for name in NEVER_AVERAGED if name in self.scores)

    def as_json(self) -> dict[str, Any]:
        shares = {name: score.share for name, score in self.scores.items()}
        return {
            "id": self.id,
            "right": self.right,
            "scores": shares,
            "missed": list(self.missed),
            "said": self.said,
            "error_code": self.error_code,
            "cost_usd": self.cost_usd,
            "total_ms": self.total_ms,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """One run."""

    feature: str
    model: str
    results: tuple[Result, ...]
    replayed: int = 0
    recorded: int = 0

    @property
    def right(self) -> int:
        """How many samples are right."""
        return sum(result.right for result in self.results)

    @property
    def share(self) -> float:
        """The share of samples that are right."""
        return self.right / len(self.results)

    @property
    def cost_usd(self) -> float:
        """What the run cost, or would have where it was replayed."""
        return sum(result.cost_usd for result in self.results)

    def scores(self) -> dict[str, tuple[int, int]]:
        """Scorer → (samples that it found right, samples that it had a word on)."""
        found: dict[str, tuple[int, int]] = {}
        for result in self.results:
            for name, score in result.scores.items():
                full, of = found.get(name, (0, 0))
                found[name] = (full + (score.share == 1.0), of + (score.share is not None))
        return found

    @property
    def agreement(self) -> Agreement | None:
        """How far bands, verdicts and gates agree with the samples' own; None where no sample is a posting."""
        compared = [result.compared for result in self.results if result.compared]
        return Agreement.of(compared) if compared else None

    def ok(self, floor: float = 1.0) -> bool:
        """At least this share of samples is right, and none says what may never be said."""
        return self.share >= floor and not any(result.untrue for result in self.results)

    def as_json(self, floor: float = 1.0) -> dict[str, Any]:
        """The run for machines."""
        return {
            "feature": self.feature,
            "model": self.model,
            "ok": self.ok(floor),
            "floor": floor,
            "samples": len(self.results),
            "right": self.right,
            "share": self.share,
            "scores": {name: {"right": full, "of": of} for name, (full, of) in self.scores().items()},
            **({"agreement": self.agreement.as_json()} if self.agreement else {}),
            "cost_usd": self.cost_usd,
            "replayed": self.replayed,
            "recorded": self.recorded,
            "results": [result.as_json() for result in self.results],
        }


async def evaluate(
    settings: Settings,
    feature: str,
    samples: Sequence[Sample],
    *,
    model: str = "",
    tape: Tape | None = None,
    most_cost_usd: float = MOST_COST_USD,
    most_words: int = MOST_WORDS,
    progress: Progress | None = None,
) -> Report:
    """Ask every sample of the feature's model, or of another; UsageError where that model cannot be called."""
    tape = tape or Tape()
    chosen = _model(settings, feature, model, tape)
    done = 0

    async def one(site: Site, sample: Sample) -> Result:
        nonlocal done
        result = await _result(site, feature, sample, most_words)
        done += 1
        if progress:
            progress(done, len(samples))
        return result

    async with _site(settings, feature, chosen, tape, most_cost_usd) as site:
        first = [await one(site, sample) for sample in samples[:1]]
        for result in first:
            if result.error_code in LASTING:  # no other sample would fare better
                raise UsageError(result.error_code, result.error)
        gate = asyncio.Semaphore(1 if chosen == BUILTIN else AT_ONCE)

        async def gated(sample: Sample) -> Result:
            async with gate:
                return await one(site, sample)

        rest = await asyncio.gather(*map(gated, samples[1:]))
    return Report(feature, chosen, (*first, *rest), tape.replayed, tape.recorded)


def _model(settings: Settings, feature: str, name: str, tape: Tape) -> str:
    """The model to measure, in full: the one named, else the feature's own, else the built-in where there is no key."""
    if not name:
        wanted = model_of(settings, settings.features[feature].model)
        return wanted if tape.only_replays else candidates(settings, feature)[0]
    wanted = model_of(settings, name)
    facts(wanted, "--model")
    if not tape.only_replays and not has_key(settings, wanted):
        raise UsageError(
            "key_missing",
            f"There is no key for {wanted} in the environment.",
            f"Set {wanted.partition(':')[0].upper()}_API_KEY, or replay a recording with --replay FILE.",
        )
    return wanted


class RunLedger(Ledger):
    """Of one run: what comes from the tape has been paid for before."""

    def __init__(self, store: Store, tape: Tape) -> None:
        super().__init__(store)
        self._tape = tape
        self.paid_nanos = Counter[str]()  # by the answer's id, failed calls included
        self._held: set[str] = set()  # calls under way for which money is held
        self._changed = asyncio.Condition()

    async def reserve(
        self, attempt: Attempt, nanos: int, caps: Caps, own: Bounds | None = None
    ) -> Literal["day", "month", "own"] | None:
        """As the ledger does; but what calls under way may give back is waited for, and is not taken for spent.

        A call costs a tenth of what is held for it, or less: four at once would end a run with its money unspent.
        """
        async with self._changed:
            while refused := await super().reserve(attempt, nanos, caps, own):
                if refused == "own" or not self._held:
                    return refused
                await self._changed.wait()
            self._held.add(attempt.id)
            return None

    async def settle(self, attempt: Attempt, outcome: Outcome) -> None:
        paid = 0 if attempt.answer in self._tape.replayed_answers else outcome.cost_nanos
        self.paid_nanos[attempt.answer] += paid
        try:
            await super().settle(attempt, replace(outcome, cost_nanos=paid))
        finally:
            async with self._changed:
                self._held.discard(attempt.id)
                self._changed.notify_all()


@asynccontextmanager
async def _site(settings: Settings, feature: str, model: str, tape: Tape, most_cost_usd: float) -> AsyncIterator[Site]:
    """The site as visitors have it, but for its ledger, its budget and the tape under its gateway."""
    with tempfile.TemporaryDirectory(prefix="askfit-eval-") as folder:
        changed = _changed(settings, feature, model, Path(folder), most_cost_usd, free=tape.only_replays)
        if tape.only_replays:  # nothing is called: what stands for the key opens nothing
            changed = replace(changed, secrets=STAND_INS)
        async with open_site(changed) as site:
            gateway = Gateway(changed, RunLedger(site.ledger.store, tape), open_provider=tape.open_provider)
            try:
                yield replace(site, gateway=gateway)
            finally:
                await gateway.aclose()


def _changed(
    settings: Settings, feature: str, model: str, folder: Path, most_cost_usd: float, *, free: bool
) -> Settings:
    file = settings.file
    alone = {"model": model, "fallback": (), "reuse_hours": 0.0, "escalation": None}
    declared = file.features[feature].model_copy(update=alone)
    most_cost_usd = UNBOUNDED_USD if free else most_cost_usd
    bound = {"per_day_usd": most_cost_usd, "per_month_usd": most_cost_usd, "when_spent": "refuse"}
    update = {
        "features": {**file.features, feature: declared},
        "budget": file.budget.model_copy(update=bound),
        "store": StoreSettings(url=f"sqlite:///{folder / 'askfit.db'}"),
        "privacy": Privacy(keep_questions_days=0),
    }
    return replace(settings, file=file.model_copy(update=update))


async def _result(site: Site, feature: str, sample: Sample, most_words: int) -> Result:
    asked = sample.question if isinstance(sample, AskSample) else sample.posting_file or sample.posting[:60]
    try:
        if isinstance(sample, AskSample):
            history = [ask.Turn(turn.question, turn.answer) for turn in sample.history]
            answer = await ask.answer(site, sample.question, history, feature=feature)
            return _told(sample, asked, answer, answer.answer, score_answer(sample, answer, site.corpus, most_words))
        if isinstance(sample, FormSample):
            filled = await forms.fill(site, sample.posting, feature=feature)
            return _told(sample, asked, filled, told_in(filled), score_form(sample, filled))
        judged = await fit.assess(site, sample.posting, feature=feature)
        said = f"{judged.verdict}: {judged.headline}"
        told = _told(sample, asked, judged, said, score_assessment(sample, judged))
        return replace(told, compared=compare(sample, judged))
    except AskfitError as error:
        return Result(sample.id, asked, error=_why(error), error_code=error.code)


def _told(
    sample: Sample, asked: str, given: Answer | Assessment | Filled, said: str, scores: dict[str, Score]
) -> Result:
    return Result(sample.id, asked, said, scores, cost_usd=given.cost_usd, total_ms=given.total_ms)


def _why(error: AskfitError) -> str:
    if error.code == "budget_spent":
        return "Not asked: the run's --max-cost is reached."
    return str(error)
