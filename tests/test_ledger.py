"""The ledger: one row a call, exact sums, and a budget that several servers cannot overspend together."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import settings as drawn
from hypothesis import strategies as st
from sqlalchemy import text

from askfit.config import Settings
from askfit.ledger import SCHEMA, Attempt, Bounds, Caps, Erased, Ledger, Outcome, Signals
from askfit.store import open_store
from askfit.types import Usage

MakeSite = Callable[..., Settings]
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
DAY_S = 86_400
AMPLE = Caps(10**12, 10**12)


def attempt(number: int | str, **more: object) -> Attempt:
    known = {"answer": f"answer-{number}", "feature": "ask", "model": "anthropic:m", "provider": "anthropic"}
    return Attempt(**{"id": str(number), "prompt_sha": "abc", "visitor": "v1", **known, **more})  # type: ignore[arg-type]


def outcome(cost_nanos: int = 0, **more: object) -> Outcome:
    known = Outcome("ok", "stop", Usage(100, 20, 60, 30, 10), cost_nanos, 250.0, 900.0)
    return replace(known, **more)  # type: ignore[arg-type]


class Clock:
    """A time that a test sets."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def opened(settings: Settings, clock: Callable[[], float] | None = None) -> AsyncIterator[Ledger]:
    store = open_store(settings)
    ledger = Ledger(store, clock or Clock())
    await ledger.open()
    yield ledger
    await store.aclose()


async def rows(ledger: Ledger, table: str = "calls") -> list[dict[str, object]]:
    query = text(f"SELECT * FROM {table} ORDER BY at_ms, answer")
    return await ledger.store.read(lambda connection: [dict(row) for row in connection.execute(query).mappings()])


async def test_a_call_is_one_row_from_reservation_to_outcome(make_site: MakeSite) -> None:
    """What was held becomes what was spent, in the same row, with every figure that the provider told."""
    async with opened(make_site({})) as ledger:
        assert await ledger.reserve(attempt(1, fell_back_from="anthropic:x"), 500, AMPLE) is None
        assert await ledger.spent() == Caps(500, 500)
        await ledger.settle(attempt(1), outcome(120))
        assert await ledger.spent() == Caps(120, 120)
        (row,) = await rows(ledger)
    assert row == {
        "id": "1", "at_ms": int(NOON * 1000), "state": "settled", "answer": "answer-1", "feature": "ask",
        "model": "anthropic:m", "provider": "anthropic", "fell_back_from": "anthropic:x", "prompt_sha": "abc",
        "visitor": "v1", "outcome": "ok", "finish_reason": "stop", "input_tokens": 100, "output_tokens": 20,
        "cache_read_tokens": 60, "cache_write_tokens": 30, "cache_write_1h_tokens": 10, "estimated": 0,
        "reserved_nanos": 500, "cost_nanos": 120, "ttft_ms": 250.0, "total_ms": 900.0,
        "over_length": None, "retracted": None, "abstain_reason": None, "despite_hit": None, "repairs": None,
        "asked_again": None, "coverage": None, "contested": None, "requirements": None, "own_verdict": None,
        "batch": 0,
    }  # fmt: skip


async def test_settling_twice_changes_nothing(make_site: MakeSite) -> None:
    """A row is final: a late second outcome neither adds nor overwrites."""
    async with opened(make_site({})) as ledger:
        for reserved in (True, False):
            call = attempt(f"twice-{reserved}")
            if reserved:
                await ledger.reserve(call, 500, AMPLE)
            await ledger.settle(call, outcome(120))
            await ledger.settle(call, outcome(999, outcome="cancelled"))
        assert [(row["cost_nanos"], row["outcome"]) for row in await rows(ledger)] == [(120, "ok"), (120, "ok")]


async def test_a_free_call_is_a_row_too(make_site: MakeSite) -> None:
    """What was never reserved is written when it ends, at the time it began."""
    async with opened(make_site({})) as ledger:
        await ledger.settle(attempt(1, model="builtin:builtin", provider="builtin"), outcome(0, total_ms=2000.0))
        (row,) = await rows(ledger)
    assert (row["cost_nanos"], row["at_ms"]) == (0, int(NOON * 1000) - 2000)


async def test_a_cap_is_the_day_s_and_the_month_s_in_utc(make_site: MakeSite) -> None:
    """Yesterday counts for the month alone; last month for neither."""
    clock = Clock(NOON - 25 * DAY_S)
    async with opened(make_site({}), clock) as ledger:
        await ledger.settle(attempt("october"), outcome(1000))
        clock.now = NOON - DAY_S
        await ledger.settle(attempt("yesterday"), outcome(60))
        clock.now = NOON
        await ledger.settle(attempt("today"), outcome(30))
        caps = Caps(day_nanos=100, month_nanos=180)
        assert await ledger.reserve(attempt("a"), 71, caps) == "day"
        assert await ledger.reserve(attempt("b"), 91, caps) == "month"
        assert await ledger.reserve(attempt("c"), 70, caps) is None
        assert await ledger.reserve(attempt("d"), 1, caps) == "day"
        clock.now = datetime(2026, 11, 22, 0, 0, 1, tzinfo=UTC).timestamp()
        assert await ledger.reserve(attempt("e"), 20, caps) is None
        assert await ledger.reserve(attempt("f"), 1, caps) == "month"
        clock.now = datetime(2026, 12, 1, 0, 0, 1, tzinfo=UTC).timestamp()
        assert await ledger.reserve(attempt("g"), 100, caps) is None


async def test_what_a_dead_process_held_counts_and_becomes_a_lost_call(make_site: MakeSite) -> None:
    """Its provider may have charged it: the money stays counted; a machine that only slept settles it after all."""
    clock = Clock()
    async with opened(make_site({}), clock) as ledger:
        await ledger.reserve(attempt("dead"), 500, AMPLE)
        await ledger.reserve(attempt("asleep"), 300, AMPLE)
        clock.now += 16 * 60
        await ledger.reserve(attempt("fresh"), 7, AMPLE)
        assert await ledger.spent() == Caps(807, 807)
        await ledger.purge(30)
        assert await ledger.spent() == Caps(807, 807)
        await ledger.settle(attempt("asleep"), outcome(40))
        found = {row["id"]: (row["state"], row["outcome"], row["cost_nanos"]) for row in await rows(ledger)}
    assert found == {
        "dead": ("settled", "lost", 500),
        "asleep": ("settled", "ok", 40),
        "fresh": ("reserved", "", 0),
    }


async def check_batch(settings: Settings) -> None:
    """A ledger from before batches is carried forward; a batch's call is lost after two days, not after minutes."""
    store = open_store(settings)
    await store.migrate("ledger", SCHEMA[:3])
    await store.run(lambda connection: connection.execute(text(MANY), many(3)))
    await store.aclose()
    clock = Clock()
    async with opened(settings, clock) as ledger:
        await ledger.reserve(attempt("sent", batch=True), 500, AMPLE)
        await ledger.reserve(attempt("left", batch=True), 400, AMPLE)
        for hours, open_still in ((26, 2), (49, 0)):
            clock.now = NOON + hours * 3600
            await ledger.purge(30)
            assert sum(row["state"] == "reserved" and bool(row["batch"]) for row in await rows(ledger)) == open_still
        await ledger.settle(attempt("sent", batch=True), outcome(120))
        found = {row["id"]: row for row in await rows(ledger)}
    assert not any(found[name]["batch"] for name in ("m0", "m1", "m2"))
    told = {name: (found[name]["outcome"], found[name]["cost_nanos"]) for name in ("sent", "left")}
    assert told == {"sent": ("ok", 120), "left": ("lost", 400)}


async def test_a_batch_s_calls_wait_for_their_day(make_site: MakeSite) -> None:
    """Its answers come within a day, and its owner may collect them later still."""
    await check_batch(make_site({}))


@pytest.mark.postgres
async def test_a_batch_s_calls_wait_for_their_day_on_postgresql(postgres: Settings) -> None:
    """The same on the other database, its old tables included."""
    await check_batch(postgres)


FULL_SUM = """SELECT COALESCE(SUM(CASE WHEN at_ms >= :day THEN charged ELSE 0 END), 0), COALESCE(SUM(charged), 0)
FROM (SELECT at_ms, CASE WHEN state = 'reserved' THEN reserved_nanos ELSE cost_nanos END AS charged
      FROM calls WHERE at_ms >= :month) AS charges"""


async def full_sum(ledger: Ledger) -> Caps:
    """What the calls of November 2026 come to, row by row: the sums that the ledger keeps must say the same."""
    begun = {"day": datetime(2026, 11, 21, tzinfo=UTC), "month": datetime(2026, 11, 1, tzinfo=UTC)}
    values = {span: int(at.timestamp() * 1000) for span, at in begun.items()}
    day, month = await ledger.store.read(lambda connection: connection.execute(text(FULL_SUM), values).one())
    return Caps(int(day), int(month))


MANY = """INSERT INTO calls (id, at_ms, state, outcome, reserved_nanos, cost_nanos,
    answer, feature, model, provider, fell_back_from, prompt_sha, visitor)
VALUES (:id, :at_ms, :state, :outcome, :reserved_nanos, :cost_nanos,
    'a', 'ask', 'anthropic:m', 'anthropic', '', '', '')"""


def many(count: int) -> list[dict[str, object]]:
    """Calls spread over the days of November up to noon of the 21st, one in a hundred still open."""
    begun = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp() * 1000)
    span = int(NOON * 1000) - begun
    return [
        {
            "id": f"m{number}",
            "at_ms": begun + span * number // count,
            "state": "settled" if number % 100 else "reserved",
            "outcome": "ok" if number % 100 else "",
            "reserved_nanos": 50_000_000 + number,
            "cost_nanos": 1_800_000 + number if number % 100 else 0,
        }
        for number in range(count)
    ]


async def test_at_100_000_calls_the_budget_still_holds_to_the_nano_dollar(make_site: MakeSite) -> None:
    """A ledger from before the kept sums is summed once; from then on what is kept equals the full sum."""
    settings = make_site({})
    store = open_store(settings)
    await store.migrate("ledger", SCHEMA[:2])
    await store.run(lambda connection: connection.execute(text(MANY), many(100_000)))
    await store.aclose()
    async with opened(settings) as ledger:
        before = await ledger.spent()
        assert before == await full_sum(ledger)
        await ledger.settle(attempt("m99900"), outcome(7))  # one of those that were open
        await ledger.settle(attempt("free"), outcome(11))
        now = await ledger.spent()
        assert now == await full_sum(ledger)
        assert now.month_nanos == before.month_nanos - 50_099_900 + 7 + 11
        left = Caps(now.day_nanos + 100, 10**15)
        assert [await ledger.reserve(attempt(n), 60, left) for n in ("fits", "too-much")] == [None, "day"]
        assert await ledger.spent() == await full_sum(ledger)


async def check_sums_anew(settings: Settings) -> None:
    async with opened(settings) as ledger:
        await ledger.settle(attempt("ours"), outcome(30))
        behind = [row | {"id": f"old-{row['id']}"} for row in many(150)]
        await ledger.store.run(lambda connection: connection.execute(text(MANY), behind))
        assert await ledger.spent() == Caps(30, 30)
        await ledger.purge(30)
        assert await ledger.spent() == await full_sum(ledger)
        assert (await ledger.spent()).month_nanos > 30


async def test_calls_that_an_older_server_wrote_are_counted_at_the_next_purge(make_site: MakeSite) -> None:
    """Rows without a sum, such as a server writes that is not upgraded yet, count after a day or a restart at most."""
    await check_sums_anew(make_site({}))


async def check_own_bounds(settings: Settings) -> None:
    clock = Clock()
    async with opened(settings, clock) as ledger:
        own = Bounds(day_nanos=100, most_share=0.5)
        large = {"model": "anthropic:large"}
        assert await ledger.reserve(attempt("a", **large), 60, AMPLE, own) is None
        assert await ledger.reserve(attempt("b", **large), 10, AMPLE, own) == "own", "one of one turn is past a half"
        assert await ledger.reserve(attempt("c"), 900, AMPLE) is None
        assert await ledger.reserve(attempt("d", **large, fell_back_from="anthropic:m"), 500, AMPLE) is None
        assert await ledger.reserve(attempt("e", **large), 41, AMPLE, own) == "own"
        assert await ledger.reserve(attempt("f", **large, feature="other"), 41, AMPLE, own) is None
        await ledger.settle(attempt("a", **large), outcome(30))
        assert await ledger.reserve(attempt("e", **large), 71, AMPLE, own) == "own"
        reserved = [ledger.reserve(attempt(f"g{at}", **large), 70, AMPLE, own) for at in range(4)]
        assert sorted(map(str, await asyncio.gather(*reserved))) == ["None", "own", "own", "own"]
        clock.now += 86_400
        assert await ledger.reserve(attempt("h", **large), 100, AMPLE, own) is None


async def test_calls_of_one_kind_keep_to_their_own_bounds(make_site: MakeSite) -> None:
    """A day's sum and share hold for one feature's first calls to one model, not for fallbacks."""
    await check_own_bounds(make_site({}))


@pytest.mark.postgres
async def test_calls_of_one_kind_keep_to_their_own_bounds_on_postgresql(postgres: Settings) -> None:
    """The same where the sums are another database's."""
    await check_own_bounds(postgres)


@pytest.mark.postgres
async def test_sums_are_made_anew_on_postgresql(postgres: Settings) -> None:
    """The same on the other database."""
    await check_sums_anew(postgres)


STEP = st.one_of(
    st.tuples(st.just("reserve"), st.integers(1, 60)),
    st.tuples(st.just("settle"), st.integers(0, 100)),  # percent of what was reserved
)


@given(rounds=st.lists(st.lists(STEP, min_size=1, max_size=6), min_size=1, max_size=8), cap=st.integers(0, 150))
@drawn(max_examples=25, deadline=None)
async def test_no_order_of_calls_at_once_spends_more_than_the_budget(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[list[tuple[str, int]]], cap: int
) -> None:
    """Whatever is reserved and settled at the same time, on two connections, the sum never passes the cap."""
    root = tmp_path_factory.mktemp("budget")
    (root / "askfit.toml").write_text('[site]\nname = "A"\n[corpus]\nsources = ["*.md"]\n')
    from askfit.config import load_settings

    settings, caps = load_settings(root / "askfit.toml", {}), Caps(cap, cap)
    held: dict[str, int] = {}
    settled = 0

    async def step(ledger: Ledger, kind: str, size: int, name: str) -> None:
        nonlocal settled
        if kind == "reserve":
            if await ledger.reserve(attempt(name), size, caps) is None:
                held[name] = size
        elif held:
            name, reserved = held.popitem()
            cost = reserved * size // 100
            await ledger.settle(attempt(name), outcome(cost))
            settled += cost

    async with opened(settings) as one, opened(settings) as two:
        for number, steps in enumerate(rounds):
            await asyncio.gather(
                *(step((one, two)[i % 2], kind, size, f"{number}-{i}") for i, (kind, size) in enumerate(steps))
            )
            spent = (await one.spent()).day_nanos
            assert spent <= cap
            assert spent == settled + sum(held.values())
            assert await one.spent() == await full_sum(one)


SPEND = """
import asyncio, sys
from askfit.config import load_settings
from askfit.ledger import Attempt, Caps, Ledger, Outcome
from askfit.store import open_store
from askfit.types import Usage
async def main(path, name, cap):
    store = open_store(load_settings(path, {}))
    ledger = Ledger(store)
    await ledger.open()
    async def call(n):
        attempt = Attempt(f"{name}-{n}", name, "ask", "anthropic:m", "anthropic", "", "")
        if await ledger.reserve(attempt, 100, Caps(int(cap), int(cap))) is None:
            await ledger.settle(attempt, Outcome("ok", "stop", Usage(7, 3), 90 + n % 10, 1.0, 2.0))
            return 90 + n % 10
        return 0
    costs = await asyncio.gather(*map(call, range(100)))
    await store.aclose()
    print(len([c for c in costs if c]), sum(costs))
asyncio.run(main(*sys.argv[1:]))
"""


async def spend_in_two_processes(settings: Settings, cap: int) -> tuple[int, int]:
    """100 calls in each of two processes at once, of one budget: (calls made, their cost), as they count it."""
    command = (sys.executable, "-c", SPEND, str(settings.path))
    started = [
        await asyncio.create_subprocess_exec(
            *command, f"{name}{cap}", str(cap), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for name in "ab"
    ]
    calls = total = 0
    for process in started:
        stdout, stderr = await process.communicate()
        assert process.returncode == 0, stderr.decode()
        made, cost = map(int, stdout.split())
        calls, total = calls + made, total + cost
    return calls, total


async def check_two_processes(settings: Settings) -> None:
    ample = await spend_in_two_processes(settings, 10**9)
    assert ample == (200, 2 * 9450)
    short = await spend_in_two_processes(settings, 2 * 9450 + 5000)
    assert short[1] <= 5000
    assert short[0] >= 50  # what is left for 50 whole reservations is not withheld
    async with opened(settings) as ledger:
        found, charged = (
            await rows(ledger),
            await rows(ledger, "(SELECT 0 AS at_ms, 0 AS answer, nanos FROM charged) c"),
        )
    assert sum(int(str(row["nanos"])) for row in charged) == ample[1] + short[1]
    assert len(found) == ample[0] + short[0]  # none lost, none double
    assert {row["state"] for row in found} == {"settled"}
    assert sum(int(str(row["cost_nanos"])) for row in found) == ample[1] + short[1]


async def test_two_servers_on_one_sqlite_file_lose_no_row_and_overspend_nothing(make_site: MakeSite) -> None:
    """Two processes, 200 calls at once, one file: exact sums, and a budget that holds for both together."""
    await check_two_processes(make_site({}))


@pytest.fixture
def postgres(make_site: MakeSite, postgres_url: str) -> Settings:
    """A site on PostgreSQL."""
    return make_site({}, f'[store]\nurl = "{postgres_url}"\n')


@pytest.mark.postgres
async def test_two_servers_on_postgresql_lose_no_row_and_overspend_nothing(postgres: Settings) -> None:
    """The same on the other database."""
    await check_two_processes(postgres)


@pytest.mark.postgres
async def test_everything_the_ledger_does_it_does_on_postgresql(postgres: Settings) -> None:
    """One pass through reserve, settle, usage, feedback and purge."""
    clock = Clock()
    async with opened(postgres, clock) as ledger:
        await ledger.reserve(attempt("dead"), 500, AMPLE)
        await ledger.settle(attempt(1), outcome(120, usage=Usage(100, 20, estimated=True)))
        await ledger.settle(attempt(1), outcome(999))
        assert await ledger.feedback("answer-1", "down", "wrong", "no")
        clock.now += 40 * DAY_S
        await ledger.purge(30)
        (row,) = await ledger.usage()
        assert (row.calls, row.failed, row.cost_nanos) == (2, 1, 620)
        assert {(r["visitor"], r["estimated"]) for r in await rows(ledger)} == {("", True)}
        assert [(r["visitor"], r["note"]) for r in await rows(ledger, "feedback")] == [("", "")]


# ---------------------------------------------------------------- what it tells


async def test_usage_is_by_feature_and_model_dearest_first(make_site: MakeSite) -> None:
    """Calls, failures, tokens, cost, the waits for the first text, and a month at this pace."""
    clock = Clock(NOON - 4 * DAY_S)
    async with opened(make_site({}), clock) as ledger:
        await ledger.settle(attempt("first"), outcome(10, ttft_ms=900.0))
        clock.now = NOON
        for number in range(19):
            await ledger.settle(attempt(number), outcome(10, ttft_ms=100.0 + number))
        await ledger.settle(attempt("c"), outcome(0, outcome="cancelled", ttft_ms=0.0))
        await ledger.settle(attempt("e"), outcome(0, outcome="provider_timeout", ttft_ms=0.0))
        await ledger.settle(attempt("f", feature="fit", model="anthropic:large"), outcome(5000))
        await ledger.reserve(attempt("running"), 1, AMPLE)
        fit, ask = await ledger.usage()
        (recent,) = [row for row in await ledger.usage(int((NOON - 60) * 1000)) if row.feature == "ask"]
    assert (fit.feature, fit.model, fit.cost_nanos) == ("fit", "anthropic:large", 5000)
    assert (ask.calls, ask.failed, ask.cancelled, ask.cost_nanos) == (22, 1, 1, 200)
    assert (ask.input_tokens, ask.cache_read_tokens, ask.cache_write_tokens) == (2200, 1320, 660)
    assert (ask.ttft_p50_ms, ask.ttft_p95_ms) == (109.0, 118.0)
    assert ask.month_nanos == pytest.approx(200 * 30.44 / 4, abs=1)
    assert recent.calls == 21
    assert recent.month_nanos == pytest.approx(190 * 30.44, abs=1)  # a pace is told of a day at least


async def test_an_empty_ledger_has_no_usage(make_site: MakeSite) -> None:
    """The first `askfit usage` of a new site is not an error."""
    async with opened(make_site({})) as ledger:
        assert await ledger.usage() == ()
        assert await ledger.spent() == Caps(0, 0)


async def test_feedback_is_one_word_per_visitor_and_answer(make_site: MakeSite) -> None:
    """A second word replaces the first; an answer that never was is refused; a note is bounded."""
    async with opened(make_site({})) as ledger:
        await ledger.settle(attempt(1), outcome())
        assert not await ledger.feedback("answer-2", "up", visitor="v1")
        assert await ledger.feedback("answer-1", "up", visitor="v1")
        assert await ledger.feedback("answer-1", "down", "wrong", "x" * 9000, visitor="v1")
        assert await ledger.feedback("answer-1", "up", visitor="v2")
        found = sorted((row["visitor"], row["rating"], len(str(row["note"]))) for row in await rows(ledger, "feedback"))
    assert found == [("v1", "down", 2000), ("v2", "up", 0)]


async def test_visitors_and_notes_are_forgotten_after_the_owner_s_days(make_site: MakeSite) -> None:
    """What the calls cost stays; who asked, and what they wrote, goes."""
    clock = Clock(NOON - 31 * DAY_S)
    async with opened(make_site({}), clock) as ledger:
        await ledger.settle(attempt("old"), outcome(5))
        await ledger.feedback("answer-old", "down", "wrong", "my name is Bo", visitor="v1")
        clock.now = NOON
        await ledger.settle(attempt("new"), outcome(7))
        await ledger.feedback("answer-new", "up", note="thanks", visitor="v1")
        await ledger.purge(30)
        assert [(row["id"], row["visitor"], row["cost_nanos"]) for row in await rows(ledger)] == [
            ("old", "", 5),
            ("new", "v1", 7),
        ]
        notes = [(row["visitor"], row["rating"], row["note"]) for row in await rows(ledger, "feedback")]
    assert notes == [("", "down", ""), ("v1", "up", "thanks")]


async def check_erasing(settings: Settings) -> None:
    async with opened(settings) as ledger:
        for number, visitor in ((1, "v1"), (2, "v1"), (3, "v2")):
            await ledger.settle(attempt(number, visitor=visitor), outcome(5))
            await ledger.keep_question(f"Question {number}?", feature="ask", answer=f"answer-{number}", reason=None)
            await ledger.feedback(f"answer-{number}", "up", note="I am Bo", visitor=visitor)
        await ledger.keep_question("In vain?", feature="ask", answer="answer-1", reason="not_in_corpus")
        await ledger.settle(attempt("nobody", visitor=""), outcome(5))
        assert await ledger.erase_visitor(answer="answer-of-nobody") == Erased(0, 0, 0)
        assert await ledger.erase_visitor(visitor="v1") == Erased(calls=2, feedback=2, questions=2)
        assert await ledger.erase_visitor(visitor="v1") == Erased(0, 0, 0)
        calls = {(row["id"], row["visitor"], row["cost_nanos"]) for row in await rows(ledger)}
        assert calls == {("1", "", 5), ("2", "", 5), ("3", "v2", 5), ("nobody", "", 5)}
        rated = [(row["answer"], row["visitor"], row["note"], row["rating"]) for row in await rows(ledger, "feedback")]
        assert rated == [
            ("answer-1", "", "", "up"),
            ("answer-2", "", "", "up"),
            ("answer-3", "v2", "I am Bo", "up"),
        ]
        assert sorted(row["question"] for row in await rows(ledger, "questions")) == ["In vain?", "Question 3?"]
        assert await ledger.erase_visitor(answer="answer-3") == Erased(calls=1, feedback=1, questions=1)
        assert await ledger.spent() == Caps(20, 20)


async def test_one_visitor_can_be_forgotten_and_no_other(make_site: MakeSite) -> None:
    """Their ids, notes and rated questions go; what they cost, how they rated and every other visitor stays."""
    await check_erasing(make_site({}))


@pytest.mark.postgres
async def test_one_visitor_can_be_forgotten_on_postgresql(postgres: Settings) -> None:
    """The same on the other database."""
    await check_erasing(postgres)


async def check_signals(settings: Settings) -> None:
    async with opened(settings) as ledger:
        await ledger.settle(attempt("left", answer="turn"), outcome(outcome="provider_timeout"))
        await ledger.settle(attempt("gave", answer="turn"), outcome())
        await ledger.remark("turn", Signals())
        await ledger.remark("turn", Signals(over_length=True, retracted=2, abstain_reason="", despite_hit=False))
        await ledger.remark("turn", Signals(repairs=3))
        names = ("over_length", "retracted", "abstain_reason", "despite_hit", "repairs")
        found = {str(row["id"]): [row[name] for name in names] for row in await rows(ledger)}
    assert found == {"left": [None] * 5, "gave": [True, 2, "", False, 3]}


async def test_what_an_answer_tells_of_its_model_stands_beside_the_call_that_gave_it(make_site: MakeSite) -> None:
    """Not beside the one that failed before it; what is not known stays unknown."""
    await check_signals(make_site({}))


@pytest.mark.postgres
async def test_signals_are_kept_on_postgresql(postgres: Settings) -> None:
    """The same on the other database."""
    await check_signals(postgres)


async def test_all_servers_of_one_store_hash_visitors_with_one_key(make_site: MakeSite) -> None:
    """The key is drawn once, kept in the store, and differs from site to site."""
    settings = make_site({})
    async with opened(settings) as one, opened(settings) as two:
        assert one.visitor_key == two.visitor_key
        assert len(one.visitor_key) == 32
    (settings.root / "askfit.db").unlink()
    async with opened(settings) as other:
        assert other.visitor_key != one.visitor_key
