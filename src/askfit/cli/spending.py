"""`askfit erase`: what the ledger shall no longer say of visitors."""

from __future__ import annotations

import asyncio
import ipaddress
import re
from dataclasses import replace
from datetime import UTC, datetime

from askfit.config import Settings
from askfit.errors import UsageError
from askfit.ledger import Erased, Ledger
from askfit.shares import erase_shares
from askfit.store import open_store

_LEDGERS_OWN = re.compile(r"[0-9a-f]{24}")  # a visitor's id; an answer's has 22 characters


async def erase(settings: Settings, before: str) -> int:
    """Erase what is kept of visitors from before a day (ISO, UTC); the number of rows changed."""
    day = day_of(before, "before")
    store = await asyncio.to_thread(open_store, settings)
    try:
        ledger = Ledger(store)
        await ledger.open()
        before_ms = int(day.timestamp() * 1000)
        return await erase_shares(store, before_ms=before_ms) + await ledger.erase(before_ms)
    finally:
        await store.aclose()


async def erase_visitor(settings: Settings, id: str) -> Erased:
    """Erase what is kept of one visitor: by their address, by their id in the ledger, or by an answer's id."""
    from askfit.site import visitor_id  # with all that serves a site: `askfit usage` shall not wait for it

    store = await asyncio.to_thread(open_store, settings)
    try:
        ledger = Ledger(store)
        await ledger.open()
        visitor = visitor_id(ledger.visitor_key, id) if _is_address(id) else id if _LEDGERS_OWN.fullmatch(id) else ""
        answer = "" if visitor else id
        # Links first: the ledger still knows which answers were theirs.
        links = await erase_shares(store, visitor=visitor, answer=answer)
        return replace(await ledger.erase_visitor(visitor=visitor, answer=answer), links=links)
    finally:
        await store.aclose()


def told(erased: Erased) -> str:
    """What was removed, and what was not."""
    if erased == Erased(0, 0, 0):
        return (
            "Nothing is kept of that visitor. Give their address, or the id of an answer that they got: the id of a "
            "conversation is not kept."
        )
    return (
        f"Calls that no longer tell who asked: {erased.calls}. Ratings without visitor and note: {erased.feedback}. "
        f"Questions removed: {erased.questions}. Shared assessments removed: {erased.links}. "
        "Costs, counts and questions that lead to nobody stay."
    )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True


def day_of(text: str, option: str) -> datetime:
    """The beginning of a day that was given as an option, UTC; UsageError where it is none."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise UsageError(f"{option}_invalid", f"--{option} {text} is not a day.", "Write it as 2026-11-01.") from None
