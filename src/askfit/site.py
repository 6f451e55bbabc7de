"""Everything that serving one site needs, opened once: settings, corpus, matrix, gateway, ledger, limits."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import ipaddress
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from askfit.config import Settings
from askfit.corpus import Corpus, load_corpus
from askfit.declared import check_declared
from askfit.gateway import Gateway
from askfit.ledger import Ledger
from askfit.limits import Budget, Counts
from askfit.routing import check_model_names
from askfit.skills import Matrix, load_matrix
from askfit.store import open_store
from askfit.types import Answered

log = logging.getLogger(__name__)

DAY_S = 86_400
ARRIVALS_DAYS = 14


class Arrivals:
    """Minutes between the latest questions of each feature: what its cache plan rests on. Read once a day."""

    def __init__(self, ledger: Ledger, features: Iterable[str]) -> None:
        self._ledger = ledger
        self._gaps: dict[str, tuple[float, ...]] = dict.fromkeys(features, ())

    async def refresh(self) -> None:
        """Read the ledger's last fortnight."""
        since_ms = int((time.time() - ARRIVALS_DAYS * DAY_S) * 1000)
        for feature in self._gaps:
            self._gaps[feature] = await self._ledger.gaps_min(feature, since_ms)

    def gaps_min(self, feature: str) -> tuple[float, ...]:
        return self._gaps.get(feature, ())


@dataclass(frozen=True, slots=True)
class Site:
    """One site, open."""

    settings: Settings
    corpus: Corpus
    matrix: Matrix | None  # None where [skills] is left out: /fit-check is off
    gateway: Gateway
    ledger: Ledger
    counts: Counts
    arrivals: Arrivals
    after: Callable[[Answered], None] | None = None  # told of each whole answer of a chat, once its visitor has it

    def visitor_id(self, address: str) -> str:
        """A keyed hash of a visitor's address: the same visitor, never the address."""
        return visitor_id(self.ledger.visitor_key, address)


def visitor_id(key: bytes, address: str) -> str:
    """What a visitor of that address is called in a ledger with that key."""
    return hmac.new(key, _household(address).encode(), hashlib.sha256).hexdigest()[:24]


def _household(address: str) -> str:
    """An IPv6 visitor has a whole /64 to ask from: it counts as one."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        parsed = parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False).network_address
    return str(parsed)


@asynccontextmanager
async def open_site(settings: Settings, progress: Callable[[int, int], None] | None = None) -> AsyncIterator[Site]:
    """Open the store, read the corpus and the matrix, and close everything at the end."""
    check_model_names(settings)
    check_declared(settings)
    async with AsyncExitStack() as closing:
        store = await asyncio.to_thread(open_store, settings)
        closing.push_async_callback(store.aclose)
        ledger = Ledger(store)
        await ledger.open()
        await ledger.purge(settings.file.privacy.keep_questions_days)
        arrivals = Arrivals(ledger, settings.features)
        await arrivals.refresh()
        matrix = await asyncio.to_thread(load_matrix, settings) if settings.file.skills else None
        corpus = await asyncio.to_thread(load_corpus, settings, progress)
        closing.callback(corpus.close)
        gateway = Gateway(settings, ledger, Budget(settings, ledger))
        closing.push_async_callback(gateway.aclose)
        purging = asyncio.create_task(_daily(ledger, settings.file.privacy.keep_questions_days, arrivals))
        closing.push_async_callback(_end, purging)
        yield Site(settings, corpus, matrix, gateway, ledger, Counts(settings), arrivals)


async def _daily(ledger: Ledger, keep_days: int, arrivals: Arrivals) -> None:
    """A server may run for months: what it promised to forget it forgets meanwhile too, and visitors' habits change."""
    while True:
        await asyncio.sleep(DAY_S)
        try:
            await ledger.purge(keep_days)
            await arrivals.refresh()
        except Exception:
            log.exception("What is older than %d days could not be purged.", keep_days)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
