"""Several models behind one site: each sample through the feature's own door, as evals asks it, and what became of it.

Each model is a feature of its own in a copy of the settings, without fallback, in a site with its own ledger and its
own bound on money: what is asked here enters no gap inbox and no statistics of visitors.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from askfit import __version__, ask, fit, forms
from askfit.ask import Understood
from askfit.compare.emphasis import Swing
from askfit.compare.metrics import Outcome, of_answer, of_assessment, of_form, of_swing
from askfit.config import Privacy, Settings, StoreSettings
from askfit.errors import AskfitError, UsageError
from askfit.evals.running import STAND_INS, UNBOUNDED_USD, RunLedger
from askfit.evals.samples import AskSample, FormSample, Sample
from askfit.evals.tape import Tape
from askfit.gateway import Gateway
from askfit.ledger import Attempt, Bounds, Caps, Signals
from askfit.ledger import Outcome as Settled
from askfit.models import facts
from askfit.prompts import load_prompt
from askfit.routing import has_key, model_of
from askfit.site import Site, open_site
from askfit.store import Store
from askfit.types import Assessment

PROMPTS = ("ask", "ask_citing", "fit", "own_chat", "own_form")


class _Ledger(RunLedger):
    """Of one run: what answers tell is kept at hand."""

    def __init__(self, store: Store, tape: Tape) -> None:
        super().__init__(store, tape)
        self.told: dict[str, Signals] = {}  # by the answer's id

    async def reserve(
        self, attempt: Attempt, nanos: int, caps: Caps, own: Bounds | None = None
    ) -> Literal["day", "month", "own"] | None:
        return None if self._tape.only_replays else await super().reserve(attempt, nanos, caps, own)

    async def settle(self, attempt: Attempt, outcome: Settled) -> None:
        if not self._tape.only_replays:  # what is replayed costs nothing, and nobody reads this ledger
            await super().settle(attempt, outcome)

    async def remark(self, answer: str, signals: Signals) -> None:
        self.told[answer] = signals


@dataclass(slots=True)
class Asker:
    """An open site that answers for every model of a comparison."""

    site: Site
    features: dict[str, str]  # model → the feature that it answers as
    ledger: _Ledger
    known: str  # of all that a sample is asked of: site, rows, prompts
    _fingerprints: dict[str, str] = field(default_factory=dict)
    _last: tuple[AskSample, Understood] | None = None

    def fingerprint(self, sample: Sample) -> str:
        """Of a sample and all that it is asked of."""
        if sample.id not in self._fingerprints:
            told = f"{self.known}\x00{sample.model_dump_json()}"
            self._fingerprints[sample.id] = hashlib.sha256(told.encode()).hexdigest()[:16]
        return self._fingerprints[sample.id]

    async def ask(self, sample: Sample, model: str, repeat: int) -> Outcome:
        """What the model says to the sample; an Outcome with an error where it says nothing."""
        feature = self.features[model]
        try:
            if isinstance(sample, AskSample):
                known = self._understood(sample, feature)
                answer = await ask.answer(self.site, sample.question, feature=feature, bare=True, understood=known)
                told = self.ledger.told.pop(answer.id, None)
                return of_answer(sample, model, repeat, answer, told, self.site.corpus)
            if isinstance(sample, FormSample):
                filled = await forms.fill(self.site, sample.posting, feature=feature)
                return of_form(sample, model, repeat, filled, self.ledger.told.pop(filled.id, None))
            if isinstance(sample, Swing):
                both = [await self._assess(posting, feature) for posting in (sample.borne, sample.unborne)]
                return of_swing(sample, model, repeat, *both)
            judged, told = await self._assess(sample.posting, feature)
            return of_assessment(sample, model, repeat, judged, told)
        except AskfitError as error:
            return Outcome(sample.id, model, repeat, error=str(error), error_code=error.code)

    def _understood(self, sample: AskSample, feature: str) -> Understood:
        """The question, understood once for all models: they are asked one after the other."""
        if self._last is None or self._last[0] is not sample:
            history = [ask.Turn(turn.question, turn.answer) for turn in sample.history]
            self._last = sample, Understood.of(self.site, sample.question, history, feature)
        return self._last[1]

    async def _assess(self, posting: str, feature: str) -> tuple[Assessment, Signals | None]:
        judged = await fit.assess(self.site, posting, feature=feature)
        return judged, self.ledger.told.pop(judged.id, None)


def in_order(settings: Settings, names: Sequence[str], tape: Tape) -> tuple[str, ...]:
    """The models in full, the cheaper first; as they were named where a price is not known. UsageError or
    SettingsError where one cannot be called."""
    models = tuple(dict.fromkeys(model_of(settings, name) for name in names))
    if len(models) < 2:
        raise UsageError("models_few", "At least two different models are needed.", "Give --models A,B.")
    known = {model: facts(model, "--models") for model in models}
    for model in models:
        if not tape.only_replays and not has_key(settings, model):
            raise UsageError(
                "key_missing",
                f"There is no key for {model} in the environment.",
                f"Set {model.partition(':')[0].upper()}_API_KEY, or replay a recording with --replay FILE.",
            )
    if not all(one.priced for one in known.values()):
        return models
    return tuple(sorted(models, key=lambda model: sum((known[model].prices or {}).values())))


@asynccontextmanager
async def opened(
    settings: Settings, feature: str, models: Sequence[str], tape: Tape, most_cost_usd: float
) -> AsyncIterator[Asker]:
    """The site as visitors have it, but for its ledger, its budget, and one feature for each model."""
    names = {model: f"{feature} as {model}" for model in models}
    with tempfile.TemporaryDirectory(prefix="askfit-compare-") as folder:
        bound = UNBOUNDED_USD if tape.only_replays else most_cost_usd
        changed = _changed(settings, feature, names, Path(folder), bound)
        if tape.only_replays:  # nothing is called: what stands for the key opens nothing
            changed = replace(changed, secrets=STAND_INS)
        async with open_site(changed) as site:
            ledger = _Ledger(site.ledger.store, tape)
            await ledger.open()
            gateway = Gateway(changed, ledger, open_provider=tape.open_provider)
            try:
                site = replace(site, gateway=gateway, ledger=ledger)
                yield Asker(site, names, ledger, _known(site))
            finally:
                await gateway.aclose()


def _changed(settings: Settings, feature: str, names: dict[str, str], folder: Path, most_cost_usd: float) -> Settings:
    file = settings.file
    # Strict: what a model states without a ground is counted, whatever the owner lets stand.
    alone = {"fallback": (), "ground": "strict", "reuse_hours": 0.0, "escalation": None}
    declared = file.features[feature].model_copy(update=alone)
    features = {name: declared.model_copy(update={"model": model}) for model, name in names.items()}
    bound = {"per_day_usd": most_cost_usd, "per_month_usd": most_cost_usd, "when_spent": "refuse"}
    update = {
        "features": {**file.features, **features},
        "budget": file.budget.model_copy(update=bound),
        "store": StoreSettings(url=f"sqlite:///{folder / 'askfit.db'}"),
        "privacy": Privacy(keep_questions_days=0),
    }
    return replace(settings, file=file.model_copy(update=update))


def _known(site: Site) -> str:
    shas = [site.corpus.sha, site.matrix.sha if site.matrix else "", *(load_prompt(name).sha for name in PROMPTS)]
    own = sorted(site.settings.texts.items())
    return json.dumps([__version__, site.settings.site.model_dump(mode="json"), shas, own], default=str)
