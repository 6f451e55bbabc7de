"""`askfit usage`: what the ledger says, from a day on; `askfit erase`: what it no longer says of visitors."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from askfit.config import Settings
from askfit.errors import UsageError
from askfit.ledger import Ledger, UsageRow, month_share
from askfit.store import open_store


@dataclass(frozen=True, slots=True)
class Usage:
    """The calls since a day, by feature and model, and what a month of them would cost."""

    since: str
    rows: tuple[UsageRow, ...]
    cost_nanos: int
    month_projection_nanos: int | None  # None unless the whole month so far was asked for

    def as_json(self) -> dict[str, Any]:
        """The report for machines; money in nano-dollars, exact."""
        return {
            "since": self.since,
            "rows": [asdict(row) | {"cache_hit_share": hit_share(row)} for row in self.rows],
            "cost_nanos": self.cost_nanos,
            "month_projection_nanos": self.month_projection_nanos,
        }


def hit_share(row: UsageRow) -> float:
    """The part of the input that was read from the cache."""
    return row.cache_read_tokens / row.input_tokens if row.input_tokens else 0.0


async def usage(settings: Settings, since: str, now: datetime | None = None) -> Usage:
    """Read the ledger from the day `since` on (ISO), or from the first of this month."""
    now = now or datetime.now(UTC)
    begun = _day(since) if since else now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    store = await asyncio.to_thread(open_store, settings)
    try:
        ledger = Ledger(store)
        await ledger.open()
        rows = await ledger.usage(int(begun.timestamp() * 1000))
    finally:
        await store.aclose()
    cost = sum(row.cost_nanos for row in rows)
    projection = None if since else round(cost / max(month_share(now), 1 / 31))
    return Usage(begun.date().isoformat(), rows, cost, projection)


async def erase(settings: Settings, before: str) -> int:
    """Erase what is kept of visitors from before a day (ISO, UTC); the number of rows changed."""
    day = _day(before, "before")
    store = await asyncio.to_thread(open_store, settings)
    try:
        ledger = Ledger(store)
        await ledger.open()
        return await ledger.erase(int(day.timestamp() * 1000))
    finally:
        await store.aclose()


def _day(text: str, option: str = "since") -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise UsageError(f"{option}_invalid", f"--{option} {text} is not a day.", "Write it as 2026-11-01.") from None
