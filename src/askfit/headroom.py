"""What each model's rate limits last were, kept beside the ledger: so that a command sees what the server saw.

One row a model, written now and then. Knows nothing of calls, nor of who may wait.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from askfit.store import Store
from askfit.types import Allowance, Axis

if TYPE_CHECKING:
    from sqlalchemy import Connection

SCHEMA = ("CREATE TABLE headroom (model VARCHAR(200) PRIMARY KEY, at_ms BIGINT NOT NULL, axes TEXT NOT NULL)",)
KEEP = """INSERT INTO headroom (model, at_ms, axes) VALUES (:model, :at_ms, :axes)
ON CONFLICT (model) DO UPDATE SET at_ms = excluded.at_ms, axes = excluded.axes WHERE headroom.at_ms <= excluded.at_ms"""


@dataclass(frozen=True, slots=True)
class Standing:
    """A model's limits and what was left of them, when its provider last told."""

    at_ms: int  # UTC
    axes: Mapping[Axis, Allowance]


async def keep(store: Store, axes: Mapping[str, Mapping[Axis, Allowance]], at_ms: int | None = None) -> None:
    """Write what was told of each model; StoreError where that is not possible."""
    from sqlalchemy import text

    now_ms = int(time.time() * 1000) if at_ms is None else at_ms
    rows = [{"model": model, "at_ms": now_ms, "axes": _write(told)} for model, told in axes.items()]

    def work(connection: Connection) -> None:
        connection.execute(text(KEEP), rows)

    if rows:
        await store.migrate("headroom", SCHEMA)
        await store.run(work)


async def last_seen(store: Store) -> dict[str, Standing]:
    """What was last told, by model."""
    from sqlalchemy import text

    def work(connection: Connection) -> dict[str, Standing]:
        found = connection.execute(text("SELECT model, at_ms, axes FROM headroom"))
        return {model: Standing(at_ms, _read(axes)) for model, at_ms, axes in found}

    await store.migrate("headroom", SCHEMA)
    return await store.read(work)


def told_in_words(axes: Mapping[Axis, Allowance]) -> str:
    """What is left of each limit; "" where none was told."""
    named = {"tokens": "tokens in all"}
    return ", ".join(
        f"{told.remaining:,} of {told.limit:,} {named.get(axis, axis.replace('_', ' '))}" for axis, told in axes.items()
    )


def _write(axes: Mapping[Axis, Allowance]) -> str:
    return json.dumps({axis: [told.limit, told.remaining, round(told.resets_s, 3)] for axis, told in axes.items()})


def _read(axes: str) -> dict[Axis, Allowance]:
    return {axis: Allowance(*told) for axis, told in json.loads(axes).items()}
