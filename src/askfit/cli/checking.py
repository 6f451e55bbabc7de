"""`askfit check`: read everything, call nothing that costs, and say what is served, what is left out, and why."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from typing import Any

from askfit.cli.sending import content_tokens, reads_pages, sent_tokens
from askfit.config import Escalation, Settings, Shadow
from askfit.corpus import Corpus, load_corpus
from askfit.declared import check_declared
from askfit.errors import AskfitError
from askfit.gateway import Gateway
from askfit.headroom import told_in_words
from askfit.ledger import Ledger
from askfit.models import facts
from askfit.routing import BUILTIN, cache_plan, candidates, check_model_names, has_key, model_of, regime
from askfit.site import Arrivals
from askfit.skills import Matrix, load_matrix
from askfit.store import open_store
from askfit.types import Call, Fault, Message, Prompt, Settled, Text


@dataclass(frozen=True, slots=True)
class Beside:
    """Another model that some turns of a chat go to, within two bounds of a day (UTC)."""

    model: str
    share: float  # of the turns
    per_day_usd: float
    rests: bool  # there is no key: no turn goes to it


@dataclass(frozen=True, slots=True)
class FeatureReport:
    """How one feature would be served now."""

    name: str
    path: str
    candidates: tuple[str, ...]  # the first one answers
    wanted: str  # the model that the settings name
    regime: str  # "whole" | "retrieval" | "matrix"
    content_tokens: int  # of the pages or the rows alone, as the wanted model would count them
    prefix_tokens: int  # of all that each question sends alike: instructions, form, and these
    cacheable: bool
    ttl: str
    cache_reason: str
    escalation: Beside | None = None  # where the owner has switched it on
    shadow: Beside | None = None


@dataclass(frozen=True, slots=True)
class LiveReport:
    """What one model said to one word."""

    model: str
    ok: bool
    detail: str
    cost_nanos: int = 0
    ttft_ms: float = 0.0
    limits: str = ""  # the account's, as the answer's headers told; "" where they told none


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that `askfit check` found."""

    settings: Settings
    corpus: Corpus
    matrix: Matrix | None
    features: tuple[FeatureReport, ...]
    live: tuple[LiveReport, ...] = ()

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Those of the corpus, then those of the matrix."""
        return (*self.corpus.faults, *(self.matrix.faults if self.matrix else ()))

    @property
    def ok(self) -> bool:
        """No error was found, and every model that was called answered."""
        return not any(fault.severity == "error" for fault in self.faults) and all(live.ok for live in self.live)

    def as_json(self) -> dict[str, Any]:
        """The report for machines."""
        corpus, matrix = self.corpus, self.matrix
        return {
            "ok": self.ok,
            "corpus": {
                "documents": len(corpus.documents),
                "sections": len(corpus.sections),
                "tokens": corpus.tokens,
                "sha": corpus.sha,
                "skipped": [asdict(skipped) for skipped in corpus.skipped],
            },
            "skills": matrix
            and {
                "rows": len(matrix.skills),
                "private": matrix.private_count,
                "path": str(matrix.path),
                "sha": matrix.sha,
            },
            "features": [asdict(feature) for feature in self.features],
            "faults": [asdict(fault) for fault in self.faults],
            "live": [asdict(live) for live in self.live],
        }


async def check(settings: Settings, *, live: bool = False, quiet: bool = False) -> Report:
    """Read the corpus and the matrix and plan each feature; with `live`, also call each model once."""
    from askfit.cli.progress import progress

    check_model_names(settings)
    check_declared(settings)
    with progress("Reading the site", quiet=quiet) as tick:
        corpus = await asyncio.to_thread(load_corpus, settings, tick)
    corpus.close()
    matrix = await asyncio.to_thread(load_matrix, settings) if settings.file.skills else None
    gaps_min = await _arrivals(settings)
    features = tuple(_feature(settings, name, corpus, matrix, gaps_min.get(name, ())) for name in settings.features)
    called = tuple([result async for result in _call_each(settings)]) if live else ()
    return Report(settings, corpus, matrix, features, called)


async def _arrivals(settings: Settings) -> dict[str, tuple[float, ...]]:
    """Minutes between questions, by feature, where there is a ledger already; check makes none."""
    if settings.sqlite_file and not settings.sqlite_file.exists():
        return {}
    store = await asyncio.to_thread(open_store, settings)
    try:
        ledger = Ledger(store)
        await ledger.open()
        arrivals = Arrivals(ledger, settings.features)
        await arrivals.refresh()
        return {name: arrivals.gaps_min(name) for name in settings.features}
    finally:
        await store.aclose()


def _feature(
    settings: Settings, name: str, corpus: Corpus, matrix: Matrix | None, gaps_min: tuple[float, ...]
) -> FeatureReport:
    feature = settings.features[name]
    wanted = model_of(settings, feature.model)
    how: str = regime(wanted, corpus.tokens) if reads_pages(settings, name, matrix) else "matrix"
    sent = sent_tokens(settings, name, corpus, matrix, model=wanted, whole=how != "retrieval")
    plan = cache_plan(wanted, sent, gaps_min, feature.shape.runs_per_visit)
    ratio = facts(wanted).tokenizer_ratio
    return FeatureReport(
        name,
        feature.path,
        candidates(settings, name),
        wanted,
        how,
        round(content_tokens(settings, name, corpus, matrix) * ratio),
        round(sent * ratio),
        plan.cacheable,
        plan.ttl,
        plan.reason,
        _beside(settings, name, feature.escalation, needs_own=True) if feature.escalation else None,
        _beside(settings, name, feature.shadow) if feature.shadow else None,
    )


def _beside(settings: Settings, name: str, bound: Escalation | Shadow, *, needs_own: bool = False) -> Beside:
    """An escalation rests without a model of the feature's own too: then the built-in answers every turn."""
    model = model_of(settings, bound.model)
    share = bound.most_share if isinstance(bound, Escalation) else bound.share
    rests = not has_key(settings, model) or (needs_own and candidates(settings, name)[0] == BUILTIN)
    return Beside(model, share, bound.per_day_usd, rests)


async def _call_each(settings: Settings) -> AsyncIterator[LiveReport]:
    """Ask each model that has a key for one word, through the gateway: it is in the ledger and in the budget."""
    wanted = {model_of(settings, feature.model) for feature in settings.features.values()}
    store = await asyncio.to_thread(open_store, settings)
    ledger = Ledger(store)
    gateway = Gateway(settings, ledger)
    try:
        await ledger.open()
        for model in sorted(wanted):
            if has_key(settings, model):
                yield await _call_once(gateway, next(iter(settings.features)), model)
            else:
                yield LiveReport(model, ok=False, detail="There is no key for it in the environment.")
    finally:
        await gateway.aclose()
        await store.aclose()


async def _call_once(gateway: Gateway, feature: str, model: str) -> LiveReport:
    async def silent() -> AsyncIterator[str]:
        yield "ok"

    prompt = Prompt("Answer with the one word: ok", "", (Message("user", "Are you there?"),), 16, cache_ttl="")
    said, settled = "", None
    try:
        async for item in gateway.stream(Call(feature, secrets.token_urlsafe(12), prompt, silent, only=model)):
            if isinstance(item, Text):
                said += item.text
            elif isinstance(item, Settled):
                settled = item
    except AskfitError as error:
        return LiveReport(model, ok=False, detail=str(error))
    detail = f"{said.strip()[:40]!r} after {settled.ttft_ms:.0f} ms" if settled else said
    cost, ttft_ms = (settled.cost_nanos, settled.ttft_ms) if settled else (0, 0.0)
    limits = told_in_words(gateway.limits.get(model, {}))
    return LiveReport(model, ok=True, detail=detail, cost_nanos=cost, ttft_ms=ttft_ms, limits=limits)
