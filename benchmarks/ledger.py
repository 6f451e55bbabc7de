"""What a reservation and a settlement cost, by how many calls the month already has.

A reservation asks what today's and this month's calls come to, and is on the way to every first token; a settlement
comes after the last one. `first opening` is a ledger from before the kept sums, summed once and never again. SQLite in
a temporary folder; PostgreSQL too, in a schema that is dropped afterwards, where ASKFIT_TEST_POSTGRES_URL names one.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text

from askfit.config import load_settings
from askfit.ledger import DAY_MS, SCHEMA, Attempt, Caps, Ledger, Outcome
from askfit.store import Store, open_store
from askfit.types import Usage

SIZES = (0, 1_000, 10_000, 100_000)
CALLS = 200
AMPLE = Caps(10**15, 10**15)
ROW = """INSERT INTO calls (id, at_ms, state, answer, feature, model, provider, fell_back_from, prompt_sha, visitor,
outcome, reserved_nanos, cost_nanos)
VALUES (:id, :at_ms, 'settled', :id, 'ask', 'm', 'anthropic', '', '', '', 'ok', 50000000, 1800000)"""


async def fill(store: Store, calls: int) -> None:
    """Calls over the month so far, in a ledger as it was before sums were kept."""
    await store.migrate("ledger", SCHEMA[:2])
    now_ms = time.time_ns() // 1_000_000
    begun_ms = int(datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp() * 1000)
    span_ms = max(now_ms - begun_ms, DAY_MS // 24)
    rows = [{"id": f"m{number}", "at_ms": begun_ms + span_ms * number // calls} for number in range(calls)]
    if rows:
        await store.run(lambda connection: connection.execute(text(ROW), rows))


async def p50_p95(work: Callable[[Attempt], Awaitable[object]]) -> tuple[float, float]:
    times: list[float] = []
    for number in range(CALLS):
        attempt = Attempt(f"c{number}", f"a{number}", "ask", "m", "anthropic", "", "v")
        begun = time.perf_counter()
        await work(attempt)
        times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times), statistics.quantiles(times, n=20)[-1]


async def measure(place: str, url: str, calls: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "askfit.toml"
        head = '[site]\nname = "A"\n[corpus]\nsources = ["*.md"]\n'
        path.write_text(head + (f'[store]\nurl = "{url}"\n' if url else ""))
        async with AsyncExitStack() as closing:
            store = open_store(load_settings(path, {}))
            closing.push_async_callback(store.aclose)
            await fill(store, calls)
            ledger = Ledger(store)
            begun = time.perf_counter()
            await ledger.open()
            opened_ms = (time.perf_counter() - begun) * 1000
            reserve = await p50_p95(lambda attempt: ledger.reserve(attempt, 50_000_000, AMPLE))
            done = Outcome("ok", "stop", Usage(15_000, 40), 1_800_000, 400.0, 900.0)
            settle = await p50_p95(lambda attempt: ledger.settle(attempt, done))
    times = "".join(f"{p50:13.2f} /{p95:6.2f}" for p50, p95 in (reserve, settle))
    return f"{place:10} {calls:8,} {times} {opened_ms:16.1f}"


async def on_postgresql(url: str) -> None:
    """Each size in a schema of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "askfit.toml"
        path.write_text(f'[site]\nname = "A"\n[corpus]\nsources = ["*.md"]\n[store]\nurl = "{url}"\n')
        plain = open_store(load_settings(path, {}))
        try:
            for calls in SIZES:
                schema = f"askfit_bench_{os.getpid()}_{calls}"
                await plain.run(lambda connection, name=schema: connection.execute(text(f"CREATE SCHEMA {name}")))
                try:
                    print(await measure("PostgreSQL", f"{url}?options=-csearch_path%3D{schema}", calls), flush=True)
                finally:
                    drop = f"DROP SCHEMA {schema} CASCADE"
                    await plain.run(lambda connection, how=drop: connection.execute(text(how)))
        finally:
            await plain.aclose()


async def run() -> None:
    print(f"{'':10} {'calls':>8} {'reserve p50 /   p95':>21} {'settle p50 /   p95':>21} {'first opening, ms':>17}")
    for calls in SIZES:
        print(await measure("SQLite", "", calls), flush=True)
    if url := os.environ.get("ASKFIT_TEST_POSTGRES_URL"):
        await on_postgresql(url)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", help="not used")
    parser.parse_args()
    asyncio.run(run())


if __name__ == "__main__":
    main()
