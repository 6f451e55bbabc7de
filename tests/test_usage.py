"""`askfit usage`: sums that equal the rows, what caching saved, the month's pace, other models, the page."""

from __future__ import annotations

import io
import itertools
import random
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from askfit.advice.pace import FEWEST_DAYS, MOST_DAYS, pace
from askfit.advice.spent import edges, otherwise, rates, saved_nanos, sums, sums_by, tokens_of
from askfit.cli import using
from askfit.cli.using import Spending, spending
from askfit.config import Settings
from askfit.errors import UsageError
from askfit.ledger import DAY_MS, Attempt, Caps, Cell, Edges, Ledger, Outcome
from askfit.models import cost_nanos, facts, known_models
from askfit.store import open_store
from askfit.types import Usage

MakeSite = Callable[..., Settings]
HAIKU, SONNET, NEWER = "anthropic:claude-haiku-4-5", "anthropic:claude-sonnet-4-6", "anthropic:claude-haiku-5-5"
BUILTIN = "builtin:builtin"
NOW = datetime(2026, 11, 21, 15, tzinfo=UTC)
NUMBERS = itertools.count()
READ, WRITTEN = Usage(10_300, 100, 10_000), Usage(10_300, 100, 0, 10_000, 10_000)


class Clock:
    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now.timestamp()


Say = Callable[..., Any]


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[tuple[Ledger, Say]]:
    """A ledger and `say(model, usage, days_ago=…, outcome=…, …)`, which writes one settled call."""
    store, clock = open_store(settings), Clock()
    ledger = Ledger(store, clock)
    await ledger.open()

    async def say(
        model: str = HAIKU,
        usage: Usage = READ,
        *,
        feature: str = "ask",
        days_ago: float = 0,
        outcome: str = "ok",
        fell_back_from: str = "",
        batch: bool = False,
    ) -> None:
        clock.now = NOW - timedelta(days=days_ago)
        id = f"c{next(NUMBERS)}"
        attempt = Attempt(id, id, feature, model, model.partition(":")[0], "", "", fell_back_from, batch)
        cost = cost_nanos(model, usage, clock.now, batch=batch)
        finish = "stop" if outcome == "ok" else "error"
        await ledger.settle(attempt, Outcome(outcome, finish, usage, cost, 200.0, 0.0))  # type: ignore[arg-type]

    yield ledger, say
    await store.aclose()


async def cells_of(ledger: Ledger, since: datetime = NOW - timedelta(days=100), at: Edges | None = None) -> list[Cell]:
    found, _ = await ledger.cells(int(since.timestamp() * 1000), at or edges())
    return list(found)


def printed(report: Spending, by: Any = "", width: int = 80) -> str:
    """What the command prints on a terminal of so many columns."""
    console = Console(width=width, highlight=False, color_system=None, record=True, file=io.StringIO())
    kept, using.out = using.out, console
    try:
        using.show(report, by)
    finally:
        using.out = kept
    return console.export_text()


def one_line(shown: str) -> str:
    return " ".join(shown.split())


# ---------------------------------------------------------------- sums


async def check_cells(settings: Settings) -> None:
    async with opened(settings) as (ledger, say):
        await ledger.reserve(Attempt("open", "open", "ask", HAIKU, "anthropic", "", ""), 500, Caps(10**12, 10**12))
        await say(usage=Usage(100, 20))
        await say(usage=Usage(90, 20), batch=True)
        await say(usage=Usage(200, 10, 0, 60, 30))
        await say(usage=Usage(300, 5, 150), outcome="cancelled")
        await say(usage=Usage(301, 5, estimated=True), outcome="provider_timeout")
        await say(BUILTIN, Usage(), fell_back_from=HAIKU)
        await say(BUILTIN, Usage())
        await say(feature="fit", model=SONNET, usage=Usage(1000, 1), days_ago=1)
        found, first_ms = await ledger.cells(0, Edges((150,), (50, 100)))
    assert first_ms == int((NOW - timedelta(days=1)).timestamp() * 1000)
    told = {
        (cell.day_ms, cell.feature, cell.model, cell.outcome, cell.stood_in, cell.input_tokens): (
            cell.calls, cell.least_input_tokens, cell.least_cached_tokens, cell.estimated, cell.cache_write_1h_tokens,
        )
        for cell in found
    }  # fmt: skip
    today = int(NOW.replace(hour=0).timestamp() * 1000)
    assert told == {
        (today - DAY_MS, "fit", SONNET, "ok", False, 1000): (1, 1000, 0, 0, 0),
        (today, "ask", HAIKU, "ok", False, 100): (1, 100, 0, 0, 0),
        (today, "ask", HAIKU, "ok", False, 90): (1, 90, 0, 0, 0),
        (today, "ask", HAIKU, "ok", False, 200): (1, 200, 60, 0, 30),
        (today, "ask", HAIKU, "cancelled", False, 300): (1, 300, 150, 0, 0),
        (today, "ask", HAIKU, "provider_timeout", False, 301): (1, 301, 0, 1, 0),
        (today, "ask", BUILTIN, "ok", True, 0): (1, 0, 0, 0, 0),
        (today, "ask", BUILTIN, "ok", False, 0): (1, 0, 0, 0, 0),
    }


async def test_calls_are_summed_by_day_feature_model_outcome_and_size(make_site: MakeSite) -> None:
    """Calls on two sides of an edge stand apart, those alike together; what is still reserved is not in it."""
    await check_cells(make_site({}))


@pytest.fixture
def postgres(make_site: MakeSite, postgres_url: str) -> Settings:
    """A site on PostgreSQL."""
    return make_site({}, f'[store]\nurl = "{postgres_url}"\n')


@pytest.mark.postgres
async def test_calls_are_summed_on_postgresql(postgres: Settings) -> None:
    """The same on the other database."""
    await check_cells(postgres)


async def test_sums_by_anything_add_up_to_the_rows(make_site: MakeSite) -> None:
    """By feature, by model and by day the calls, tokens and nano-dollars are those of all rows together."""
    chance = random.Random(1)
    async with opened(make_site({})) as (ledger, say):
        for _ in range(60):
            read = chance.choice((0, 5_000))
            usage = Usage(chance.randint(5_000, 300_000), chance.randint(1, 900), read, 0 if read else 5_000)
            outcome = chance.choice(("ok", "cancelled", "provider_failed"))
            model, feature = chance.choice((HAIKU, SONNET, NEWER)), chance.choice(("ask", "fit"))
            await say(model, usage, feature=feature, days_ago=chance.uniform(0, 40), outcome=outcome)
        rows = await ledger.usage()
        cells = await cells_of(ledger)
    whole = sums(cells)
    assert (whole.calls, whole.cost_nanos) == (60, sum(row.cost_nanos for row in rows))
    assert whole.failed == sum(row.failed for row in rows) and whole.cancelled == sum(row.cancelled for row in rows)
    keys: list[Callable[[Cell], Any]] = [
        lambda cell: cell.feature, lambda cell: cell.model, lambda cell: cell.day_ms, lambda cell: cell.outcome,
    ]  # fmt: skip
    for key in keys:
        groups = sums_by(cells, key)
        assert len(groups) > 1
        for name in ("calls", "input_tokens", "output_tokens", "cache_read_tokens", "cost_nanos", "saved_nanos"):
            assert sum(getattr(one, name) for one in groups.values()) == pytest.approx(getattr(whole, name), abs=99)


# ---------------------------------------------------------------- prices


def test_rates_a_token_cost_what_genai_prices_says_of_the_call() -> None:
    """Drawn calls of every known model, on both sides of every length at which it grows dearer, in batches too."""
    chance = random.Random(7)
    for _ in range(150):
        model, batch = chance.choice(known_models()).model, chance.random() < 0.3
        total = int(10 ** chance.uniform(0, 5.9))
        read = chance.randint(0, total)
        written = chance.randint(0, total - read)
        usage = Usage(total, chance.randint(0, 9_000), read, written, chance.randint(0, written))
        cell = cell_of(model, usage)
        at = rates(model, long=0 < facts(model).dearer_past_tokens < total, batch=batch)
        assert at and abs(tokens_of(cell).cost(at) - cost_nanos(model, usage, batch=batch)) < 1


def cell_of(model: str, usage: Usage, **more: Any) -> Cell:
    """One call as the ledger would sum it."""
    cached = usage.cache_read_tokens + usage.cache_write_tokens
    day_ms = int(NOW.replace(hour=0).timestamp() * 1000)
    known = Cell(
        day_ms, "ask", model, "ok", False, 1, 0, usage.input_tokens, cached, usage.input_tokens, usage.output_tokens,
        usage.cache_read_tokens, usage.cache_write_tokens, usage.cache_write_1h_tokens,
        cost_nanos(model, usage, NOW), False,
    )  # fmt: skip
    return replace(known, **more)


def test_a_batch_is_reckoned_at_its_own_price() -> None:
    """The cache saves half of what it saves at once, and another model would have cost half."""
    at_once = cell_of(HAIKU, READ)
    batched = replace(at_once, batch=True, cost_nanos=cost_nanos(HAIKU, READ, NOW, batch=True))
    assert saved_nanos([batched]) * 2 == saved_nanos([at_once])
    dear, cheap = (otherwise([cell], NOW) for cell in (at_once, batched))
    assert [one.nanos * 2 for one in cheap] == [one.nanos for one in dear]


def test_what_the_cache_saved_may_be_less_than_nothing() -> None:
    """A prefix that is read ten times saves; one that is written for an hour each time costs more than no cache."""
    plain = cost_nanos(HAIKU, Usage(10_300, 100), NOW)
    read, written = cell_of(HAIKU, READ), cell_of(HAIKU, WRITTEN)
    assert saved_nanos([read]) == plain - cost_nanos(HAIKU, READ, NOW) > 0
    assert saved_nanos([written]) == plain - cost_nanos(HAIKU, WRITTEN, NOW) < 0
    assert saved_nanos([cell_of(HAIKU, Usage(10_300, 100)), cell_of(BUILTIN, Usage())]) == 0
    assert sums([read, read, read, written]).hit_rate == 0.75
    assert sums([cell_of(HAIKU, Usage(100))]).hit_rate is None


# ---------------------------------------------------------------- other models


def test_the_model_that_answered_would_have_cost_what_it_did() -> None:
    """For its own calls the reckoning is exact, and no range is put about it."""
    cells = [cell_of(HAIKU, READ), cell_of(HAIKU, WRITTEN), cell_of(HAIKU, Usage(150_000, 10))]
    (own,) = [one for one in otherwise(cells, NOW) if one.model == HAIKU]
    assert own.nanos == own.least_nanos == own.most_nanos == sum(cell.cost_nanos for cell in cells)
    assert own.own_calls == 3


def test_another_tokenizer_counts_more_and_may_pass_the_length_that_is_dearer() -> None:
    """Haiku 5.5 counts 30% more: 80,000 tokens of Haiku 4.5 are 104,000 of it, five times as dear each."""
    for size, times in ((70_000, 1), (80_000, 5)):
        (newer,) = [one for one in otherwise([cell_of(HAIKU, Usage(size, 100))], NOW) if one.model == NEWER]
        assert newer.nanos == (size * 1.3 * 100 + 130 * 500) * times
        assert newer.least_nanos < newer.nanos < newer.most_nanos
        assert newer.nanos == cost_nanos(NEWER, Usage(round(size * 1.3), 130))


def test_a_prefix_under_a_model_s_minimum_is_reckoned_uncached_there() -> None:
    """2,500 cached tokens of Sonnet 4.6 are under Haiku 4.5's 4,096 and above the 512 of Haiku 5.5."""
    found = {one.model: one for one in otherwise([cell_of(SONNET, Usage(3_000, 100, 2_500))], NOW)}
    assert found[HAIKU].uncached_calls == 1
    assert found[HAIKU].nanos == cost_nanos(HAIKU, Usage(3_000, 100), NOW)
    assert found[NEWER].uncached_calls == 0
    assert found[NEWER].nanos == cost_nanos(NEWER, Usage(3_900, 130, 3_250), NOW)


def test_edges_part_calls_wherever_a_model_s_price_or_cache_changes() -> None:
    """Two calls that lie between the same edges are priced alike by every known model."""
    at = edges()
    for model in known_models():
        for asked in (HAIKU, NEWER):
            ratio = model.tokenizer_ratio / facts(asked).tokenizer_ratio
            for edge in at.input_over:
                sides = {
                    0 < model.dearer_past_tokens < size * ratio for size in (edge + 1, next_edge(at.input_over, edge))
                }
                assert len(sides) == 1
            for edge in at.cached_from:
                sides = {
                    size * ratio >= model.cache_minimum_tokens for size in (edge, next_edge(at.cached_from, edge) - 1)
                }
                assert len(sides) == 1


def next_edge(all: tuple[int, ...], edge: int) -> int:
    return next((one for one in all if one > edge), 10**7)


# ---------------------------------------------------------------- the month


def days_of(*costs: int, calls: int = 10, until: datetime = NOW) -> dict[int, tuple[int, int]]:
    """Costs of the days before today, the last one yesterday's."""
    today = int(until.replace(hour=0, minute=0).timestamp() * 1000)
    return {today - DAY_MS * (len(costs) - at): (calls, cost) for at, cost in enumerate(costs)}


LONG_AGO = int((NOW - timedelta(days=300)).timestamp() * 1000)


def test_a_steady_month_goes_on_as_it_was() -> None:
    """28 whole days of 100 each: what is spent, and 100 a day for what is left of the month, today's rest included."""
    found = pace(days_of(*[100] * 28), LONG_AGO, NOW)
    assert (found.days, found.spent_nanos, found.calls) == (28, 2_000, 280)
    assert found.days_left == pytest.approx(9 + 9 / 24)
    assert found.nanos == found.least_nanos == found.most_nanos == 2_938


def test_today_is_not_counted_as_a_whole_day() -> None:
    """What today has cost so far is spent, but says nothing of what a day costs."""
    days = days_of(*[100] * 28)
    with_today = pace(days | days_of(5_000, until=NOW + timedelta(days=1)), LONG_AGO, NOW)
    assert (with_today.days, with_today.spent_nanos) == (28, 7_000)
    assert with_today.nanos == 7_938


def test_the_day_of_the_first_call_is_not_a_whole_one() -> None:
    """Whoever went online yesterday at noon knows no whole day; nor is a day before that one of no cost."""
    for days_ago, whole in ((0, 0), (1, 0), (2, 1), (5, 4), (60, MOST_DAYS)):
        first = int((NOW - timedelta(days=days_ago)).timestamp() * 1000)
        assert pace({}, first, NOW).days == whole
    assert pace({}, 0, NOW).days == 0


def test_too_few_days_or_calls_are_said_to_be_too_few() -> None:
    """Nothing is projected from two days, nor from a handful of calls."""
    first = int((NOW - timedelta(days=FEWEST_DAYS)).timestamp() * 1000)
    two = pace(days_of(100, 100), first, NOW)
    assert two.nanos is None and "Too few days" in two.too_little and "2 of the 3 whole days" in two.too_little
    few = pace(days_of(100, 0, 100, calls=3), LONG_AGO, NOW)
    assert few.nanos is None and "Too few calls" in few.too_little


def test_days_that_differ_make_a_wide_range_and_few_days_a_wider_one() -> None:
    """The range holds the middle, and a fortnight says more than three days."""
    three, many = (pace(days_of(*[50, 150, 100] * times), first(3 * times), NOW) for times in (1, 5))
    for found in (three, many):
        assert found.least_nanos is not None and found.nanos is not None and found.most_nanos is not None
        assert found.spent_nanos <= found.least_nanos < found.nanos < found.most_nanos
    assert width(three) > 2 * width(many)


def first(whole_days: int) -> int:
    return int((NOW - timedelta(days=whole_days + 1)).timestamp() * 1000)


def width(found: Any) -> int:
    return int(found.most_nanos - found.least_nanos)


def test_nine_months_in_ten_lie_in_the_range() -> None:
    """Months drawn by chance, known for a week: seldom outside; seeded, so that it holds or does not."""
    chance, inside = random.Random(3), 0
    for _ in range(200):
        costs = [sum(chance.randint(1, 9) * 1000 for _ in range(chance.randint(0, 12))) for _ in range(17)]
        found = pace(days_of(*costs[:7]), first(7), NOW.replace(hour=0))
        coming = sum(costs[7:17])
        assert found.least_nanos is not None and found.most_nanos is not None
        inside += found.least_nanos <= found.spent_nanos + coming <= found.most_nanos
    assert 170 <= inside <= 199


# ---------------------------------------------------------------- what is told


async def month_of(settings: Settings) -> None:
    """A fortnight: the built-in stood in twice, a call failed, one was left."""
    async with opened(settings) as (_, say):
        for day in range(14):
            for _ in range(3):
                await say(days_ago=day)
            await say(usage=WRITTEN, days_ago=day)
            await say(SONNET, Usage(6_000, 900), feature="fit", days_ago=day)
        await say(usage=Usage(), outcome="provider_overloaded")
        await say(BUILTIN, Usage(), fell_back_from=HAIKU)
        await say(BUILTIN, Usage(), fell_back_from=SONNET, feature="fit")
        await say(usage=replace(READ, estimated=True), outcome="cancelled")


async def test_a_person_is_told_in_three_tables_and_plain_sentences(make_site: MakeSite) -> None:
    """By feature, model and day; how calls ended; what the cache saved; the month against its budget; other models."""
    settings = make_site({}, "[budget]\nper_month_usd = 20\n")
    await month_of(settings)
    shown = printed(await spending(settings, now=NOW))
    assert all(len(line) <= 80 for line in shown.splitlines())
    told = one_line(shown)
    assert "2026-11-01 to 2026-11-21 (UTC): 74 calls" in told
    assert "Failed: 1. Left by their visitor: 1. Counted by our estimate" in told
    assert "Answered by the built-in in place of a model that failed, rested or had no budget left: 2." in told
    assert "Caching saved $" in told and "75% of what could be cached" in told
    assert "At the pace of the last 12 whole days it comes to $" in told and "within the budget" in told
    assert "2026-11-21 so far" in told and "The last 7 of 14 days" in told
    assert all(model.model in told for model in known_models())
    assert "By the prices of 2026-11-21, over the 71 of 74 calls" in told


async def test_no_figure_and_no_name_is_cut_off_on_a_narrow_terminal(make_site: MakeSite) -> None:
    """At 60 columns a model's name takes two lines; every cost stands as it does at 80."""
    settings = make_site({}, "[budget]\nper_month_usd = 20\n")
    await month_of(settings)
    report = await spending(settings, now=NOW)
    wide, narrow = (printed(report, width=width) for width in (80, 60))
    assert "…" not in narrow and all(len(line) <= 60 for line in narrow.splitlines())
    assert sorted(re.findall(r"\$[\d.]+", wide)) == sorted(re.findall(r"\$[\d.]+", narrow))


async def test_one_table_can_be_had_whole(make_site: MakeSite) -> None:
    """--by day shows every day and nothing else; another word is told which there are."""
    settings = make_site({})
    await month_of(settings)
    shown = printed(await spending(settings, now=NOW), using.by_of("day"))
    assert shown.count("2026-11-") == 2 + 14 and "feature" not in shown and "had it all" not in shown
    with pytest.raises(UsageError, match="feature, model, day"):
        using.by_of("week")


async def test_a_cache_that_costs_more_than_it_saves_is_said_to(make_site: MakeSite) -> None:
    """Questions so rare that each writes the prefix anew."""
    settings = make_site({})
    async with opened(settings) as (_, say):
        for day in range(5):
            await say(usage=WRITTEN, days_ago=day)
    told = one_line(printed(await spending(settings, now=NOW)))
    assert "more than it saved: 0% of what could be cached" in told and "askfit advise" in told
    assert "-$0." in told


async def test_an_empty_ledger_is_one_sentence_and_the_next_step(make_site: MakeSite) -> None:
    """Without a call ever, and without one since the day; no ledger is made by looking for one."""
    settings = make_site({})
    shown = printed(await spending(settings, now=NOW))
    assert one_line(shown) == 'No call since 2026-11-01, and none before. Make the first: askfit ask "…"'
    assert settings.sqlite_file and not settings.sqlite_file.exists()
    async with opened(settings) as (_, say):
        await say(days_ago=30)
    shown = one_line(printed(await spending(settings, now=NOW)))
    assert shown == "No call since 2026-11-01. The first one ever was on 2026-10-22: askfit usage --since 2026-10-22"


async def test_a_machine_gets_all_of_it_in_nano_dollars(make_site: MakeSite) -> None:
    """What the command printed before is still there; days without a call too; sums are exact."""
    settings = make_site({})
    await month_of(settings)
    report = (await spending(settings, now=NOW)).as_json()
    assert {"since", "rows", "cost_nanos", "month_projection_nanos"} <= set(report)
    assert report["cost_nanos"] == sum(row["cost_nanos"] for row in report["rows"]) == report["all"]["cost_nanos"]
    for name in ("by_feature", "by_model", "by_day", "by_outcome"):
        assert sum(one["cost_nanos"] for one in report[name]) == report["cost_nanos"]
    assert [one["outcome"] for one in report["by_outcome"]] == ["ok", "cancelled", "provider_overloaded"]
    assert report["projection"]["least_nanos"] <= report["month_projection_nanos"] == report["projection"]["nanos"] > 0
    assert {one["model"] for one in report["otherwise"]} >= {HAIKU, SONNET, NEWER}
    assert report["otherwise_calls"] == 71


async def test_the_page_holds_picture_and_tables_and_loads_nothing(make_site: MakeSite, tmp_path: Path) -> None:
    """One file; a bar a day and a layer a feature; the names of features and site are escaped."""
    settings = make_site({})
    await month_of(settings)
    async with opened(settings) as (_, say):
        await say(feature="<i>x</i>")
    report = await spending(settings, now=NOW)
    using.write(report, settings, tmp_path / "usage.html")
    page = (tmp_path / "usage.html").read_text(encoding="utf-8")
    assert page.count("<rect") == 14 * 2 + 1
    assert "2026-11-08 ask: $0.0" in page and "The table by day holds every one." in page
    assert "<i>x</i>" not in page and "&lt;i&gt;x" in page
    assert "src=" not in page and "<script" not in page and "default-src 'none'" in page
    assert all(model.model in page for model in known_models())
    with pytest.raises(UsageError, match="cannot be written"):
        using.write(report, settings, tmp_path / "no" / "usage.html")


async def test_the_page_of_an_empty_ledger_says_so(make_site: MakeSite, tmp_path: Path) -> None:
    """No picture, no table, the same sentence."""
    settings = make_site({})
    using.write(await spending(settings, now=NOW), settings, tmp_path / "usage.html")
    page = (tmp_path / "usage.html").read_text(encoding="utf-8")
    assert "No call since 2026-11-01" in page and "<svg" not in page and "<table" not in page
