"""Visitors' turns that another model answers too, unseen: asked after the answer, measured, and judged by one test.

    async with Shadows(site) as shadows:          # in the server
        site = replace(site, after=shadows.after)
    comparison = from_shadow(settings, "ask", path, (), 0.1)   # askfit compare ask --from-shadow

Beside the store stands a journal with two lines a turn, the figures of both answers: neither question nor answer is
kept. Nothing tells what a right answer would hold, so what counts is whether it was answered, and the ground check.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from askfit import ask
from askfit.ask import reasons
from askfit.caching import FEWEST_GAPS
from askfit.compare.asking import in_order
from askfit.compare.journal import Journal
from askfit.compare.metrics import GUARD, GUARD_MARGIN, Outcome, of_answer
from askfit.compare.running import Comparison, Pair
from askfit.compare.verdict import Demand, Test, looks
from askfit.config import Settings
from askfit.errors import AskfitError, SettingsError, UsageError
from askfit.evals.samples import AskSample
from askfit.evals.tape import Tape
from askfit.gateway import Gateway
from askfit.ledger import Bounds, Signals
from askfit.limits import Budget
from askfit.routing import BUILTIN, candidates, has_key, model_of
from askfit.site import Arrivals, Site
from askfit.types import NANOS_PER_USD, Answered

log = logging.getLogger(__name__)

MOST_AT_ONCE = 2  # in one server: a rush of visitors does not become two
MOST_CONVERSATIONS = 10_000  # that are remembered, so that each is drawn once
DAY_MIN = 1_440.0
ANSWERED = "answered"
UNFIT = (reasons.HOSTILE, reasons.OFF_LIMITS)
UNKEPT = "A visitor's question; it is not kept."
NOTES = (
    "Measured on visitors' own turns, of each conversation one at most: whether it was answered, and how much of it the"
    " site bears. Nothing tells what a right answer would hold.",
    "Pages and prompts may have changed meanwhile: the verdict is of all these turns together.",
    "What the second model cost here is its price without a cache, since its turns come far apart. What it would cost "
    "as the feature's own says askfit advise.",
)


class _Seldom(Arrivals):
    """Such questions come far apart: what is written for a cache is never read."""

    def __init__(self) -> None:
        pass

    def gaps_min(self, feature: str) -> tuple[float, ...]:
        return (DAY_MIN,) * FEWEST_GAPS


@dataclass(frozen=True, slots=True)
class _Beside:
    """One feature's other model, and where its figures go."""

    site: Site  # as the visitors' own, but that only this model answers in it
    name: str  # of the feature in the ledger
    model: str
    share: float
    journal: Journal


class Shadows:
    """Of one server. Closing it ends what runs; the journal holds whole pairs only."""

    def __init__(self, site: Site, *, draw: Callable[[], float] = random.random) -> None:
        """SettingsError where a journal cannot be written."""
        self._draw = draw
        self._own = {name: candidates(site.settings, name)[0] for name in site.settings.features}
        found = {name: _beside(site, name) for name, one in site.settings.features.items() if one.shadow}
        self._beside = {name: one for name, one in found.items() if one}
        self._drawn: OrderedDict[str, None] = OrderedDict()
        self._running: set[asyncio.Task[None]] = set()
        self._closed = False

    async def __aenter__(self) -> Shadows:
        return self

    async def __aexit__(self, *error: object) -> None:
        self._closed = True
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        for one in self._beside.values():
            await one.site.gateway.aclose()

    def after(self, turned: Answered) -> None:
        """Draw whether this turn is asked of the other model too; if so that begins now, and nobody waits for it."""
        beside = self._beside.get(turned.feature)
        if not beside or self._closed or len(self._running) >= MOST_AT_ONCE or not self._is_fit(turned):
            return
        if self._draw() >= beside.share or not self._is_first(turned):
            return
        task = asyncio.create_task(_run(beside, turned), name="askfit shadow")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _is_fit(self, turned: Answered) -> bool:
        """Did the feature's own model answer, at once and by itself?"""
        given = turned.answer
        own = self._own[turned.feature]
        return own != BUILTIN and given.model == own and given.abstain_reason not in UNFIT

    def _is_first(self, turned: Answered) -> bool:
        """Turns of one conversation hang together, so each gives one at most."""
        conversation = turned.answer.conversation or turned.answer.id
        if conversation in self._drawn:
            return False
        self._drawn[conversation] = None
        if len(self._drawn) > MOST_CONVERSATIONS:
            self._drawn.popitem(last=False)
        return True


def _beside(site: Site, name: str) -> _Beside | None:
    """None where the model has no key: the site stays as it is."""
    settings, declared = site.settings, site.settings.features[name]
    shadow = declared.shadow
    assert shadow
    model, own_name = model_of(settings, shadow.model), f"{name}.shadow"
    if not has_key(settings, model):
        log.warning("[features.%s.shadow] rests: there is no key for %s.", name, model)
        return None
    alone = declared.model_copy(update={"model": model, "fallback": (), "escalation": None, "shadow": None})
    file = settings.file.model_copy(
        update={
            "features": {**settings.file.features, own_name: alone},
            "budget": settings.file.budget.model_copy(update={"when_spent": "refuse"}),
            "privacy": settings.file.privacy.model_copy(update={"keep_questions_days": 0}),
        }
    )
    changed = replace(settings, file=file)
    budget = Budget(changed, site.ledger, Bounds(round(shadow.per_day_usd * NANOS_PER_USD)))
    gateway = Gateway(changed, site.ledger, budget)
    return _Beside(
        replace(site, settings=changed, gateway=gateway, arrivals=_Seldom(), after=None),
        own_name,
        model,
        shadow.share,
        _journal(journal_of(settings, name), name),
    )


def _journal(path: Path, name: str) -> Journal:
    try:
        return Journal(path)
    except UsageError as error:
        raise SettingsError(
            "shadow_journal",
            f"[features.{name}.shadow] cannot keep its figures: {error.message}",
            "Mend that file, or leave the table out.",
        ) from None


async def _run(beside: _Beside, turned: Answered) -> None:
    """Ask the other model the same, and keep both figures; whatever fails leaves nothing behind but its ledger row."""
    given: list[Answered] = []
    site = replace(beside.site, after=given.append)
    history = [ask.Turn(*turn) for turn in turned.history]
    try:
        await ask.answer(site, turned.question, history, feature=beside.name, bare=True)
        pair = [_measured(site, one) for one in (turned, *given)]
        if len(pair) == 2 and pair[1].model == beside.model:
            key = secrets.token_hex(8)
            await asyncio.to_thread(beside.journal.keep_together, key, [replace(one, sample=key) for one in pair])
    except AskfitError as error:
        log.info("A shadow run of %s ended early. (%s)", beside.name, error.code)
    except Exception:
        log.exception("A shadow run failed in a way that was not foreseen.")


def _measured(site: Site, turned: Answered) -> Outcome:
    """Figures only: no word of a visitor, and none that was said to one."""
    sample = AskSample(id="unkept", question=UNKEPT, answerable=True)
    given = turned.answer
    whole = of_answer(sample, given.model, 0, given, Signals(retracted=turned.retracted), site.corpus)
    shares = {ANSWERED: float(not given.abstained), **whole.shares}
    shares.pop("key points", None)
    return replace(whole, said="", missed=(), cites=None, shares=shares)


# ---------------------------------------------------------------- what they prove


def journal_of(settings: Settings, feature: str) -> Path:
    """Beside the ledger's file; of a ledger elsewhere, beside the settings."""
    folder = settings.sqlite_file.parent if settings.sqlite_file else settings.root
    return folder / f"shadow-{feature}.jsonl"


def from_shadow(settings: Settings, feature: str, path: Path, names: Sequence[str], delta: float) -> Comparison:
    """The comparison of two models by the turns that a server has asked both, in the order in which they came.

    Without `names` the two that were asked last. UsageError where there are none.
    """
    pairs = _pairs_in(Journal(path, resume=True)) if path.is_file() else []
    if not pairs:
        raise UsageError(
            "shadow_none",
            f"No turn of {feature} has been asked of two models yet: {path} holds none.",
            f"Set [features.{feature}.shadow] in {settings.path.name} and let visitors ask, or give --models A,B.",
        )
    models = in_order(settings, names or [one.model for one in pairs[-1]], Tape(replay=Path(os.devnull)))
    if len(models) != 2:
        raise UsageError("shadow_two", "A shadow run asks two models.", "Name two with --models, or leave that out.")
    now = model_of(settings, settings.features[feature].model)
    current = now if now in models else models[0]
    test = Test(_demands(delta), current="small" if current == models[0] else "large")
    compared = Pair(*models, test)
    given = [pair for pair in pairs if {one.model for one in pair} == set(models)]
    seen = _observed(compared, given)
    return Comparison(
        feature=feature,
        models=models,
        current=current,
        has_current=current == now,
        delta=delta,
        pairs=(compared,),
        outcomes=tuple(one for pair in seen for one in pair),
        samples=len(given),
        conversations=len(given),
        spent=False,
        resumed=2 * len(seen),
        cached_alike=False,
        notes=NOTES,
    )


def _pairs_in(journal: Journal) -> list[tuple[Outcome, ...]]:
    """The turns of which both answers are there."""
    found: dict[str, list[Outcome]] = {}
    for (key, _, _), outcome in journal.measured().items():
        found.setdefault(key, []).append(outcome)
    return [tuple(pair) for pair in found.values() if len(pair) == 2]


def _demands(delta: float) -> tuple[Demand, ...]:
    return Demand(ANSWERED, delta), Demand(GUARD, GUARD_MARGIN, guard=True)


def _observed(compared: Pair, given: Sequence[tuple[Outcome, ...]]) -> list[tuple[Outcome, ...]]:
    """Take turn by turn until the verdict is proven; those that were taken."""
    seen: list[tuple[Outcome, ...]] = []
    due = looks(len(given))
    next_look = next(due)
    for pair in given:
        sample = AskSample(id=pair[0].sample, question=UNKEPT, answerable=True)
        compared.observe((sample,), {(one.sample, one.model, 0): one for one in pair}, 1)
        seen.append(pair)
        if len(seen) >= next_look or not compared.open:
            compared.look()
            next_look = next(due, len(given) + 1)
        if not compared.open:
            break
    return seen
