"""A month of traffic through the real gateway into a real ledger, then what `askfit usage` says of it.

1. Thirty days until now: visitors who come by chance, fewer at night and at weekends; every question through the
   gateway, its budget and its ledger, with a moved clock and a model that bills its cache as the provider does. Some
   calls fail, some visitors leave, one day's budget is spent. Then `askfit usage`, as a person and a machine see it.
2. Are its figures those of the rows? Sums, what the cache saved, and what other models would have cost, against
   every row priced by itself.
3. How often does a month lie in the range that is told before it is over?
4. How long does `askfit usage` take over 100,000 calls?
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text as sql

from askfit.advice.pace import FEWEST_CALLS, pace
from askfit.cli.using import spending
from askfit.config import Settings, load_settings
from askfit.errors import AskfitError
from askfit.gateway import Breaker, Gateway
from askfit.ledger import DAY_MS, Ledger
from askfit.models import cost_nanos, facts, known_models
from askfit.providers.faults import provider_error
from askfit.providers.scripted.cache import Block, PromptCache
from askfit.store import Store, open_store
from askfit.text import estimate_tokens
from askfit.types import NANOS_PER_USD, Call, Finish, Message, Prompt, Text, Usage

HAIKU, SONNET = "anthropic:claude-haiku-4-5", "anthropic:claude-sonnet-4-6"
DAYS = 30
VISITS = 12  # a weekday
WEEKEND = 0.5
HOURS = (0.1,) * 7 + (1.0,) * 12 + (0.6,) * 5  # how busy each is
FITS = 0.15  # of visits also paste a posting
FAILS, LEAVES = 0.02, 0.03
BUSY_DAY, BUSY = 22, 14  # one day with many times the visits: its budget is spent
TOML = """
[site]
name = "Ann Ode"
[corpus]
sources = ["*.md"]
[skills]
path = "skills.csv"
[budget]
per_day_usd = 0.60
per_month_usd = 6.00
"""
WORDS = "role team years led shipped product data games Lisbon remote salary stack users growth why when".split()
MONTHS = 200
LEAST_WITHIN = 0.8
MOST_S = 3.0


@dataclass(slots=True)
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass(slots=True)
class Billing:
    """A provider that answers with so many words and bills its cache as Anthropic does, by a moved clock."""

    name: str
    clock: Clock
    chance: random.Random
    cache: PromptCache = field(init=False)

    def __post_init__(self) -> None:
        self.cache = PromptCache(self.clock)

    async def stream(self, model_name: str, call: Call) -> AsyncGenerator[Text | Finish, None]:
        model = f"{self.name}:{model_name}"
        if self.chance.random() < FAILS:
            raise provider_error("provider_overloaded", model)
        said = " ".join(self.chance.choices(WORDS, k=round(self.chance.lognormvariate(4.2, 0.4))))
        for piece in (said[:40], said[40:]):
            yield Text(piece)
        prompt = call.prompt
        blocks = [Block(prompt.instructions + prompt.prefix, prompt.cache_ttl), Block(prompt.messages[-1].text)]
        charge = self.cache.charge(model, blocks, facts(model).cache_minimum_tokens)
        written = charge.written_5m + charge.written_1h
        yield Finish(Usage(charge.total, estimate_tokens(said), charge.read, written, charge.written_1h))

    async def aclose(self) -> None:
        """Nothing is held."""


# ---------------------------------------------------------------- 1 the month


def arrivals(begun: datetime, chance: random.Random) -> list[tuple[float, str, str]]:
    """(time, feature, visitor) of every question, in order."""
    came: list[tuple[float, str, str]] = []
    for number in range(DAYS):
        day = begun + timedelta(days=number)
        visits = VISITS * (WEEKEND if day.weekday() > 4 else 1) * (BUSY if number == BUSY_DAY else 1)
        for visit in range(poisson(visits, chance)):
            at = day.timestamp() + (chance.choices(range(24), HOURS)[0] + chance.random()) * 3600
            for _ in range(chance.randint(1, 5)):
                came.append((at, "ask", f"{number}-{visit}"))
                at += chance.uniform(20, 150)
            if chance.random() < FITS:
                came.append((at, "fit", f"{number}-{visit}"))
    return sorted(one for one in came if one[0] < time.time())


def poisson(mean: float, chance: random.Random) -> int:
    left, count = math.exp(-mean), 0
    product = chance.random()
    while product > left:
        product *= chance.random()
        count += 1
    return count


def prompt_of(feature: str, chance: random.Random) -> Prompt:
    corpus, rows = "A page of the site, and another one. " * 1_900, "skill, level, years, evidence\n" * 900
    asked = " ".join(chance.choices(WORDS, k=12 if feature == "ask" else 600))
    prefix = corpus if feature == "ask" else rows
    return Prompt(f"Answer for {feature}.", prefix, (Message("user", asked),), 600, sha="m", cache_ttl="1h")


async def site_says() -> AsyncIterator[str]:
    yield "the built-in"


async def one_call(gateway: Gateway, call: Call, leaves: bool) -> None:
    try:
        async with aclosing(gateway.stream(call)) as items:
            async for item in items:
                if leaves and isinstance(item, Text):
                    return
    except AskfitError:
        pass


async def fill(settings: Settings, begun: datetime) -> int:
    """The month, call by call; how many questions came."""
    clock, chance = Clock(), random.Random(20261121)
    store = open_store(settings)
    ledger = Ledger(store, clock)
    await ledger.open()
    gateway = Gateway(
        settings,
        ledger,
        breaker=Breaker(clock=clock),
        open_provider=lambda name, settings: builtin() if name == "builtin" else Billing(name, clock, chance),
    )
    came = arrivals(begun, chance)
    for number, (at, feature, visitor) in enumerate(came):
        clock.now = at
        call = Call(feature, f"a{number}", prompt_of(feature, chance), site_says, visitor)
        await one_call(gateway, call, chance.random() < LEAVES)
    await gateway.aclose()
    await store.aclose()
    return len(came)


def builtin() -> Any:
    from askfit.providers import builtin

    return builtin.open(None)  # type: ignore[arg-type]


def usage_command(folder: Path, *more: str) -> str:
    command = [sys.executable, "-m", "askfit", "usage", "--config", str(folder / "askfit.toml"), *more]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"COLUMNS": "80", "PATH": ""})
    assert not done.stderr, done.stderr
    return done.stdout


# ---------------------------------------------------------------- 2 the rows, each by itself


async def rows_of(settings: Settings, since_ms: int) -> list[dict[str, Any]]:
    store = open_store(settings)
    query = sql("SELECT * FROM calls WHERE at_ms >= :since AND state = 'settled'")
    rows = await store.read(lambda c: [dict(row) for row in c.execute(query, {"since": since_ms}).mappings()])
    await store.aclose()
    return rows


def row_usage(row: dict[str, Any]) -> Usage:
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens")
    return Usage(*(row[name] for name in names))


def uncached(row: dict[str, Any]) -> int:
    at = datetime.fromtimestamp(row["at_ms"] / 1000, UTC)
    return cost_nanos(row["model"], Usage(row["input_tokens"], row["output_tokens"]), at)


def on(model: str, row: dict[str, Any]) -> float:
    """One row on another model, by the documented rules; tokens rounded, as a provider would count them."""
    ratio = facts(model).tokenizer_ratio / facts(row["model"]).tokenizer_ratio
    used = row_usage(row)
    total, output = round(used.input_tokens * ratio), round(used.output_tokens * ratio)
    cached = used.cache_read_tokens + used.cache_write_tokens
    if cached * ratio < facts(model).cache_minimum_tokens:
        return cost_nanos(model, Usage(total, output))
    parts = (used.cache_read_tokens, used.cache_write_tokens, used.cache_write_1h_tokens)
    return cost_nanos(model, Usage(total, output, *(round(part * ratio) for part in parts)))


def checked(report: dict[str, Any], rows: list[dict[str, Any]]) -> bool:
    """Do the command's figures equal the rows'?"""
    cost = sum(row["cost_nanos"] for row in rows)
    cached = [row for row in rows if row["cache_read_tokens"] + row["cache_write_tokens"]]
    saved = sum(uncached(row) - row["cost_nanos"] for row in cached)
    off = abs(report["all"]["saved_nanos"] - saved)
    print(f"2. {len(rows):,} rows, each priced by itself")
    print(f"   calls {report['all']['calls'] - len(rows):+d}, cost {report['cost_nanos'] - cost:+d} nano-dollars")
    print(f"   saved by the cache: {off} nano-dollars off (each row's rounding up: at most {len(rows)})")
    worst = 0.0
    counted = [row for row in rows if row["input_tokens"] or row["output_tokens"]]
    for told in report["otherwise"]:
        by_rows = sum(on(told["model"], row) for row in counted)
        worst = max(worst, abs(told["nanos"] - by_rows) / by_rows)
    print(f"   {len(report['otherwise'])} other models: {worst:.4%} off at most (at most 0.05%: tokens are whole)")
    return report["all"]["calls"] == len(rows) and report["cost_nanos"] == cost and off <= len(rows) and worst < 0.0005


# ---------------------------------------------------------------- 3 the range


KINDS = {"steady": (5.0, 1.0, 0.0), "weekends": (5.0, 0.4, 0.0), "rare": (1.0, 1.0, 0.0), "bursts": (20.0, 0.5, 0.05)}


def day_of_visits(kind: str, number: int, chance: random.Random) -> tuple[int, int]:
    """(paid calls, nano-dollars) of a day."""
    visits, weekend, burst = KINDS[kind]
    count, cost = 0, 0.0
    times = 5 if chance.random() < burst else 1
    for _ in range(poisson(visits * (weekend if number % 7 > 4 else 1), chance) * times):
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            count, cost = count + 1, cost + chance.lognormvariate(0, 0.6)
        if chance.random() < 0.2:
            count, cost = count + 1, cost + 12 * chance.lognormvariate(0, 0.3)
    return count, round(cost * 2e6)


def ranges() -> bool:
    fine = True
    print(
        "\n3. months in the range told (nominal 90%, at least 80%), by the whole days known; ± its half over the month"
    )
    print(f"   {'':9}" + "".join(f"{n:>18}" for n in (3, 5, 7, 14, 21, 28)))
    for kind in KINDS:
        cells = []
        for known in (3, 5, 7, 14, 21, 28):
            hits, width, told = within(kind, known)
            cells.append(f"{hits:.0%} ± {width / 2:.0%} ({told:.0%})" if told > 0.05 else "-")
            fine &= hits >= LEAST_WITHIN or told <= 0.05
        print(f"   {kind:9}" + "".join(f"{cell:>18}" for cell in cells))
    print("   in brackets: how often there was enough to tell; - : hardly ever")
    return fine


def within(kind: str, known: int) -> tuple[float, float, float]:
    """(share of months in their range, the range's width over the month's cost, share of months that were told)."""
    chance = random.Random(f"{kind} {known}")
    begun = datetime(2026, 10, 1, tzinfo=UTC)  # 31 days; the ledger's first call came before it
    now = begun + timedelta(days=known if known < 28 else 14)
    hits, width, told = 0, 0.0, 0
    for _ in range(MONTHS):
        first = now - timedelta(days=known)
        days = {
            int((first + timedelta(days=at)).timestamp() * 1000): day_of_visits(kind, at, chance) for at in range(known)
        }
        found = pace(days, int(first.timestamp() * 1000) - DAY_MS, now)
        left = round(found.days_left)
        coming = sum(day_of_visits(kind, known + at, chance)[1] for at in range(left))
        if found.least_nanos is None or found.most_nanos is None:
            continue
        month = found.spent_nanos + coming
        told += 1
        hits += found.least_nanos <= month <= found.most_nanos
        width += (found.most_nanos - found.least_nanos) / max(1, month)
    return hits / max(1, told), width / max(1, told), told / MONTHS


# ---------------------------------------------------------------- 4 how long


async def many(settings: Settings, rows: list[dict[str, Any]], calls: int) -> float:
    """CPU seconds that the report takes over so many calls: the month's rows again and again, in their days."""
    store: Store = open_store(settings)
    names = ", ".join(rows[0])
    insert = sql(f"INSERT INTO calls ({names}) VALUES ({', '.join(f':{name}' for name in rows[0])})")
    copies = [row | {"id": f"{row['id']}-{copy}"} for copy in range(1, calls // len(rows) + 1) for row in rows]
    await store.run(lambda connection: connection.execute(insert, copies))
    await store.aclose()
    begun = time.process_time()
    await spending(settings, "2020-01-01")
    return time.process_time() - begun


async def main() -> None:
    started = time.process_time()
    logging.getLogger("askfit.gateway").setLevel(logging.CRITICAL)  # its failures are part of the month
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "askfit.toml").write_text(TOML)
        (folder / "about.md").write_text("# About\nAnn leads a team of four.\n")
        (folder / "skills.csv").write_text("skill,level\nSQL,4\n")
        settings = load_settings(folder / "askfit.toml", {"ANTHROPIC_API_KEY": "x"})
        begun = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS - 1)
        questions = await fill(settings, begun)
        took = time.process_time() - started
        print(f"1. {questions:,} questions in {DAYS} days, through the gateway in {took:.1f} CPU-s")
        since = ("--since", begun.date().isoformat())
        print(f"\n$ askfit usage {' '.join(since)}\n{usage_command(folder, *since)}")
        report = json.loads(usage_command(folder, *since, "--json"))
        rows = await rows_of(settings, int(begun.timestamp() * 1000))
        fine = checked(report, rows)
        fine &= ranges()
        took = await many(settings, rows, 100_000)
    print(f"\n4. the report over 100,000 calls: {took:.1f} CPU-s (at most {MOST_S:g})")
    print(f"   nothing is projected from under {FEWEST_CALLS} paid calls; models reckoned: {len(known_models())}")
    print(f"   in all {time.process_time() - started:.0f} CPU-s; ${report['cost_nanos'] / NANOS_PER_USD:.4f} pretended")
    if not fine or took > MOST_S:
        raise SystemExit("MISSED")


if __name__ == "__main__":
    asyncio.run(main())
