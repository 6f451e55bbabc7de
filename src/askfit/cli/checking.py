"""`askfit check`: read everything, call nothing that costs, and say what is served, what is left out, and why."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import asdict, astuple, dataclass
from typing import Any

from askfit.config import Settings
from askfit.corpus import Corpus, load_corpus
from askfit.declared import check_declared
from askfit.errors import AskfitError
from askfit.gateway import Gateway
from askfit.headroom import told_in_words
from askfit.ledger import Ledger
from askfit.models import facts
from askfit.routing import cache_plan, candidates, check_model_names, has_key, model_of, regime
from askfit.site import Arrivals
from askfit.skills import Matrix, load_matrix
from askfit.store import open_store
from askfit.text import estimate_tokens
from askfit.types import Call, Fault, Message, Prompt, Settled, Text


@dataclass(frozen=True, slots=True)
class FeatureReport:
    """How one feature would be served now."""

    name: str
    path: str
    candidates: tuple[str, ...]  # the first one answers
    wanted: str  # the model that the settings name
    regime: str  # "whole" | "retrieval" | "matrix"
    prefix_tokens: int  # of the cached part, as the wanted model would count it
    cacheable: bool
    ttl: str
    cache_reason: str


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
    reads_corpus = feature.kind == "chat" or "corpus" in feature.reads
    how: str = regime(wanted, corpus.tokens) if reads_corpus else "matrix"
    tokens = {"whole": corpus.tokens, "retrieval": 0, "matrix": _matrix_tokens(matrix)}[how]
    tokens += _matrix_tokens(matrix) if reads_corpus and "matrix" in feature.reads else 0
    plan = cache_plan(wanted, tokens, gaps_min, feature.shape.runs_per_visit)
    counted = round(tokens * facts(wanted).tokenizer_ratio)
    return FeatureReport(
        name, feature.path, candidates(settings, name), wanted, how, counted, plan.cacheable, plan.ttl, plan.reason
    )


def _matrix_tokens(matrix: Matrix | None) -> int:
    rows = [astuple(skill) for skill in matrix.skills] if matrix else []
    return estimate_tokens("\n".join(" | ".join(map(str, row)) for row in rows))


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
