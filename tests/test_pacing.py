"""Calls are spread before a rate limit: the arithmetic on a clock of its own, and the real clients over loopback."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from askfit import headroom, telemetry
from askfit.cli.checking import check
from askfit.config import Settings
from askfit.gateway import Deadlines, Gateway
from askfit.ledger import Ledger
from askfit.pacing import Pacer, Turn
from askfit.providers.headers import headroom_of, retry_after_s
from askfit.providers.scripted import ScriptedServer
from askfit.providers.scripted.behaviours import FAULTS
from askfit.rates import Account, Bucket, Limits, limits_of, read_limits
from askfit.store import open_store
from askfit.types import Allowance, Call, Headroom, Message, Notice, Opened, Prompt, Settled, Text, Usage

HAIKU = "anthropic:claude-haiku-4-5"
BUILTIN = "builtin:builtin"
CORPUS = "[[1]] About\nAnn leads a team of four in Lisbon. She likes tea."
PROMPT = Prompt("Answer from the sections.", CORPUS, (Message("user", "Where does Ann lead a team?"),), 300)


async def site_says() -> AsyncIterator[str]:
    yield "the built-in"


def call(feature: str = "ask", **changes: Any) -> Call:
    only = changes.pop("only", "")
    return Call(feature, "answer-1", replace(PROMPT, **changes), site_says, only=only)


class Clock:
    """Time that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def told(clock: Clock, requests: tuple[int, int] = (50, 50), **axes: tuple[int, int]) -> Headroom:
    """(limit, remaining) by name, as a bucket of a minute would tell them."""
    named = {"requests": requests, **axes}
    allowances = {axis: Allowance(most, left, (most - left) / most * 60) for axis, (most, left) in named.items()}
    return Headroom(allowances, clock.now_s)  # type: ignore[arg-type]


def taken(pacer: Pacer, model: str = HAIKU, asked: Call | None = None) -> Turn:
    turn = pacer.turn(model, asked or call())
    pacer.take(turn)
    return turn


# ---------------------------------------------------------------- what the headers say


def test_the_headers_of_anthropic_are_read() -> None:
    """Limit, what is left, how long until all is back by the answer's own date; a broken header is as if absent."""
    headers = {
        "date": "Mon, 24 Feb 2025 22:25:30 GMT",
        "anthropic-ratelimit-requests-limit": "1000",
        "anthropic-ratelimit-requests-remaining": "999",
        "anthropic-ratelimit-requests-reset": "2025-02-24T22:25:30Z",
        "anthropic-ratelimit-input-tokens-limit": "80000",
        "anthropic-ratelimit-input-tokens-remaining": "78000",
        "anthropic-ratelimit-input-tokens-reset": "2025-02-24T22:25:32Z",
        "anthropic-ratelimit-output-tokens-limit": "16000",
        "anthropic-ratelimit-output-tokens-remaining": "12000",
        "anthropic-ratelimit-output-tokens-reset": "2025-02-24T22:25:45Z",
        "anthropic-ratelimit-tokens-limit": "many",
    }
    found = headroom_of(headers, 7.0)
    assert found and found.heard_s == 7.0
    assert found.axes == {
        "requests": Allowance(1000, 999, 0.0),
        "input_tokens": Allowance(80_000, 78_000, 2.0),
        "output_tokens": Allowance(16_000, 12_000, 15.0),
    }


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [("120ms", 0.12), ("1s", 1.0), ("6m0s", 360.0), ("2m59.56s", 179.56), ("17", 17.0), ("soon", 0.0), ("", 0.0)],
)
def test_the_headers_of_openai_are_read(reset: str, seconds: float) -> None:
    """A span of time in its own spelling; what is none is taken for no time."""
    headers = {f"x-ratelimit-{name}-tokens": value for name, value in [("limit", "500"), ("remaining", "0")]}
    found = headroom_of({**headers, "x-ratelimit-reset-tokens": reset}, 0.0)
    assert found and found.axes["tokens"].resets_s == pytest.approx(seconds)
    assert headroom_of({"x-ratelimit-limit-tokens": "500"}, 0.0) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.4"}, 0.4),
        ({"retry-after-ms": "350", "retry-after": "1"}, 0.35),
        ({"retry-after": "Mon, 24 Feb 2025 22:25:40 GMT", "date": "Mon, 24 Feb 2025 22:25:30 GMT"}, 10.0),
        ({"retry-after": "tomorrow"}, None),
        ({"retry-after": "-3"}, None),
        ({}, None),
    ],
)
def test_a_wait_is_read_however_it_is_written(headers: dict[str, str], seconds: float | None) -> None:
    """Whole seconds, a fraction, milliseconds or a moment; nonsense is no wait."""
    assert retry_after_s(headers) == seconds


# ---------------------------------------------------------------- buckets


def test_a_bucket_fills_up_all_the_time() -> None:
    """Sixty a minute are one a second: nothing jumps at a minute's end; it never holds more than a minute's worth."""
    bucket = Bucket.full(60, 0.0)
    bucket.take(60, 0.0)
    assert bucket.wait_s(1, 0.0) == pytest.approx(1.0)
    assert bucket.level_at(30.0) == pytest.approx(30.0)
    assert bucket.level_at(1_000.0) == 60
    assert bucket.wait_s(61, 1_000.0) == math.inf


def test_an_account_refuses_by_the_limit_that_binds_and_takes_nothing_then() -> None:
    """Where one bucket cannot bear a request none is used; output may overdraw, and then keeps out what follows."""
    clock = Clock()
    account = Account(lambda model: Limits(10, 1000, 100), clock)
    assert account.ask("m", {"requests": 1, "input_tokens": 900}) is None
    refused = account.ask("m", {"requests": 1, "input_tokens": 200})
    assert refused and refused.axis == "input_tokens" and refused.wait_s == pytest.approx(6.0)
    assert account.standing("m")["requests"].remaining == 9
    account.produced("m", {"output_tokens": 150})
    refused = account.ask("m", {"requests": 1, "input_tokens": 10})
    assert refused and refused.axis == "output_tokens" and refused.wait_s == pytest.approx(51 / 100 * 60)
    assert account.ask("other", {"requests": 1, "input_tokens": 900}) is None


def test_what_is_known_of_a_tier_says_where_from() -> None:
    """The published figures are there by model; an unknown tier, model or figure is one clear sentence."""
    assert limits_of(HAIKU, "start") == Limits(1000, 2_000_000, 400_000)
    assert limits_of(HAIKU, "1") == Limits(50, 50_000, 10_000)
    assert read_limits("50, 50_000,10000") == Limits(50, 50_000, 10_000)
    for wrong in (lambda: limits_of(HAIKU, "gold"), lambda: limits_of("anthropic:x", "1"), lambda: read_limits("50")):
        with pytest.raises(Exception, match=r"Known|--limits|Write"):
            wrong()


# ---------------------------------------------------------------- turns


def test_nobody_waits_where_nothing_was_told_or_headroom_is_ample() -> None:
    """Without headers there is no limit to pace by; with plenty left every turn comes at once."""
    clock = Clock()
    pacer = Pacer(clock)
    assert all(taken(pacer).wait_s == 0 for _ in range(500))
    first = taken(pacer)
    pacer.heard(first, told(clock, (1000, 900)))
    assert pacer.turn(HAIKU, call()).wait_s == 0


def test_requests_are_spread_over_what_comes_back() -> None:
    """At 60 a minute with none left, calls that come together go one second apart."""
    clock = Clock()
    pacer = Pacer(clock)
    pacer.heard(taken(pacer), told(clock, (60, 0)))
    waits = [taken(pacer).wait_s for _ in range(3)]
    assert waits == pytest.approx([1.0, 2.0, 3.0])
    clock.now_s += 10
    assert taken(pacer).wait_s == 0


def test_calls_on_their_way_are_taken_off_what_is_told() -> None:
    """Headers that were written before a call arrived do not know it: it is counted here until its own come."""
    clock = Clock()
    pacer = Pacer(clock)
    first, *others = [taken(pacer) for _ in range(5)]
    pacer.heard(first, told(clock, (60, 4)))
    assert pacer.turn(HAIKU, call()).wait_s == pytest.approx(1.0)
    pacer.done(others.pop())  # it never arrived: its place is free
    assert pacer.turn(HAIKU, call()).wait_s == 0


def test_cached_input_does_not_count_while_it_is_cached() -> None:
    """After a cold call the next ones need only what is their own; after the cache's time all of it again."""
    clock = Clock()
    pacer = Pacer(clock)
    turn = taken(pacer)
    pacer.heard(turn, told(clock, (1000, 999), input_tokens=(10_000, 400)))
    pacer.done(turn, Usage(9_500, 50, 0, 9_400))
    assert pacer.turn(HAIKU, call()).asked["input_tokens"] == 100
    assert pacer.turn(HAIKU, call(cache_ttl="")).asked["input_tokens"] == 9_500
    clock.now_s += 301
    assert pacer.turn(HAIKU, call()).asked["input_tokens"] == 9_500
    assert pacer.turn(HAIKU, call(cache_ttl="1h")).asked["input_tokens"] == 100


def test_output_that_is_still_to_come_is_kept_free() -> None:
    """Headers come before the words: what the running answers will say is taken off, and corrected once it is said."""
    clock = Clock()
    pacer = Pacer(clock)
    turn = taken(pacer)
    pacer.heard(turn, told(clock, (1000, 999), output_tokens=(6_000, 6_000)))
    pacer.done(turn, Usage(100, 200))
    assert pacer.turn(HAIKU, call()).coming["output_tokens"] == 200
    running = [taken(pacer) for _ in range(10)]
    pacer.heard(running[0], told(clock, (1000, 989), output_tokens=(6_000, 2_001)))
    assert pacer.turn(HAIKU, call()).wait_s == 0  # one is left
    taken(pacer)
    assert pacer.turn(HAIKU, call()).wait_s == pytest.approx(2.0)  # 200 more at 100 a second


def test_openai_counts_the_longest_answer_at_once() -> None:
    """Its one limit on tokens takes the prompt and what is allowed to be said, cached or not."""
    clock = Clock()
    pacer, model = Pacer(clock), "openai:gpt-6-luna"
    turn = taken(pacer, model)
    pacer.heard(turn, told(clock, (500, 499), tokens=(30_000, 1_000)))
    pacer.done(turn, Usage(1_000, 20, 900))
    assert pacer.turn(model, call()).asked["tokens"] == 1_300


def test_what_no_limit_ever_bears_waits_forever() -> None:
    """A prompt that is larger than a minute's worth does not fit after any wait: another answers at once."""
    clock = Clock()
    pacer = Pacer(clock)
    turn = taken(pacer)
    pacer.heard(turn, told(clock, (50, 49), input_tokens=(10_000, 10_000)))
    pacer.done(turn, Usage(20_000, 10))
    assert pacer.turn(HAIKU, call()).wait_s == math.inf


def test_old_news_are_no_news() -> None:
    """Headers that are read late do not bring back what was used since."""
    clock = Clock()
    pacer = Pacer(clock)
    one, two = taken(pacer), taken(pacer)
    late = told(clock, (60, 50))
    clock.now_s += 1
    pacer.heard(two, told(clock, (60, 0)))
    pacer.heard(one, late)
    assert pacer.turn(HAIKU, call()).wait_s == pytest.approx(1.0)


def test_a_limit_of_a_day_is_spread_over_the_day() -> None:
    """The speed follows from the reset that is told: 14,400 of which one is back in six seconds are a day's."""
    clock = Clock()
    pacer = Pacer(clock)
    pacer.heard(taken(pacer, "openai:x"), Headroom({"requests": Allowance(14_400, 0, 86_400.0)}, clock.now_s))
    assert pacer.turn("openai:x", call()).wait_s == pytest.approx(6.0)


# ---------------------------------------------------------------- the real way, over loopback


class Unpaced(Pacer):
    """As it would be without: everybody goes at once."""

    def turn(self, model: str, call: Call, count: Callable[[], float] = lambda: 0.0) -> Turn:
        turn = super().turn(model, call, count)
        turn.wait_s = 0.0
        return turn


class House:
    def __init__(self, settings: Settings, server: ScriptedServer, ledger: Ledger) -> None:
        self.settings, self.server, self.ledger = settings, server, ledger
        self.opened: list[Gateway] = []

    def gateway(self, **options: Any) -> Gateway:
        patient = Deadlines(60.0, 60.0, 120.0)  # the first call imports its client, beside other work
        self.opened.append(Gateway(self.settings, self.ledger, deadlines=patient, **options))
        return self.opened[-1]

    def refused(self) -> int:
        return sum(seen.status == 429 for seen in self.server.requests)


async def ask(gateway: Gateway, asked: Call | None = None) -> tuple[str, list[str], list[str]]:
    """(who answered, the codes of its notices, their words)."""
    items: list[Any] = []
    async with aclosing(gateway.stream(asked or call())) as stream:
        async for item in stream:
            items.append(item)  # noqa: PERF401
    (model,) = [item.model for item in items if isinstance(item, Opened)]
    assert "".join(item.text for item in items if isinstance(item, Text))
    assert isinstance(items[-1], Settled)
    notices = [item for item in items if isinstance(item, Notice)]
    return model, [notice.code for notice in notices], [notice.message for notice in notices]


@pytest.fixture
async def house(make_site: Callable[..., Settings]) -> AsyncIterator[House]:
    async with ScriptedServer() as server:
        settings = make_site({}, "", {"ANTHROPIC_API_KEY": "x", "ANTHROPIC_BASE_URL": server.url})
        ledger = Ledger(open_store(settings))
        await ledger.open()
        made = House(settings, server, ledger)
        yield made
        for gateway in made.opened:
            await gateway.aclose()
        await ledger.store.aclose()


BURST = 8
# 240 requests a minute are four a second; a bucket that begins with two more than the first call uses.
TIGHT, BEGINS = Limits(requests=240), 3.2 / 240


async def burst(house: House, gateway: Gateway) -> tuple[int, int]:
    """(answered by the model, refused with 429) of calls that come together once the limits are known."""
    house.server.reset()
    await ask(gateway)  # its client is there, its connection open
    house.server.reset()
    house.server.script.limit(TIGHT, begins=BEGINS)
    assert (await ask(gateway))[0] == HAIKU
    told = await asyncio.gather(*(ask(gateway) for _ in range(BURST)))
    return sum(model == HAIKU for model, _, _ in told), house.refused()


async def test_pacing_avoids_the_refusals_that_come_without_it(house: House) -> None:
    """Eight visitors at once where two may go and four more a second: paced, nobody is refused; unpaced, some are."""
    answered, refused = await burst(house, house.gateway())
    assert (answered, refused) == (BURST, 0)
    _, refused = await burst(house, house.gateway(pacer=Unpaced()))
    assert refused >= 1


async def test_who_would_wait_too_long_is_told_who_answers_instead(house: House) -> None:
    """Past what a visitor bears another answers at once, with a notice that says why; nothing is sent in vain."""
    gateway = house.gateway()
    house.server.script.limit(Limits(requests=12), begins=1 / 12)
    await ask(gateway)
    begun = time.perf_counter()
    model, codes, words = await ask(gateway)
    assert time.perf_counter() - begun < 1.0
    assert (model, codes) == (BUILTIN, ["fell_back"])
    assert "as many requests as it may take" in words[0] and "built-in" in words[0]
    assert (len(house.server.requests), house.refused()) == (1, 0)


async def test_who_asks_one_model_alone_is_not_sent_elsewhere(house: House) -> None:
    """A comparison has no other model: it waits for its turn, longer than a visitor would, and is not refused."""
    gateway = house.gateway()
    house.server.script.limit(Limits(requests=24), begins=1 / 24)
    await ask(gateway)
    begun = time.perf_counter()
    model, codes, _ = await ask(gateway, call(only=HAIKU))
    assert (model, codes, house.refused()) == (HAIKU, [], 0)
    assert 2.0 < time.perf_counter() - begun < 8.0


async def test_a_visitor_who_leaves_while_waiting_gives_the_place_back(house: House) -> None:
    """Nothing is sent, no row is written, and the next one does not wait for a place that nobody uses."""
    pacer = Pacer()
    gateway = house.gateway(pacer=pacer)
    house.server.script.limit(Limits(requests=40), begins=1 / 40)
    await ask(gateway)
    waiting = asyncio.create_task(ask(gateway))
    await asyncio.sleep(0.05)
    before_s = pacer.turn(HAIKU, call()).wait_s
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert pacer.turn(HAIKU, call()).wait_s < before_s - 1.0
    assert len(house.server.requests) == 1


async def test_a_fraction_of_a_second_is_heeded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """`retry-after: 0.4` is a wait like any other: the same model is asked again after it, and answers."""
    monkeypatch.setitem(FAULTS, "rate_limited", replace(FAULTS["rate_limited"], retry_after_s=0.4))  # type: ignore[arg-type]
    house.server.script = type(house.server.script).of([{"fault": "rate_limited", "times": 1}])
    begun = time.perf_counter()
    model, codes, _ = await ask(house.gateway())
    assert (model, codes, house.refused()) == (HAIKU, [], 1)
    assert time.perf_counter() - begun >= 0.4


async def test_what_was_told_is_shown_kept_and_known_after_a_restart(house: House) -> None:
    """The gateway shows it, /metrics carries it, the store keeps it; a new server paces by it before its first call."""
    gateway = house.gateway()
    house.server.script.limit(Limits(24, 50_000), begins=1.5 / 24)
    await ask(gateway)
    assert gateway.limits[HAIKU]["requests"].limit == 24
    shown = telemetry.render().decode()
    assert f'askfit_rate_limit{{kind="requests",model="{HAIKU}"}} 24.0' in shown
    assert f'askfit_rate_limit_left{{kind="requests",model="{HAIKU}"}} 0.0' in shown
    await gateway.aclose()
    seen = await headroom.last_seen(house.ledger.store)
    assert (seen[HAIKU].axes["requests"].limit, seen[HAIKU].axes["requests"].remaining) == (24, 0)
    assert abs(seen[HAIKU].at_ms / 1000 - time.time()) < 60
    later = house.gateway()
    await later.warm()
    model, codes, _ = await ask(later)
    assert (model, codes, house.refused()) == (BUILTIN, ["fell_back"], 0)


async def test_the_older_news_never_overwrite_the_newer(house: House) -> None:
    """Two servers write the same row: whoever heard last stands there."""
    store = house.ledger.store
    await headroom.keep(store, {HAIKU: {"requests": Allowance(50, 7, 1.0)}}, at_ms=2_000)
    await headroom.keep(store, {HAIKU: {"requests": Allowance(50, 49, 1.0)}}, at_ms=1_000)
    assert (await headroom.last_seen(store))[HAIKU].axes["requests"].remaining == 7


async def test_a_live_check_tells_what_is_left(house: House) -> None:
    """`askfit check --live` shows the account's limits with what is left of them, and keeps them for other commands."""
    house.server.script.limit(Limits(50, 50_000, 10_000))
    report = await check(house.settings, live=True, quiet=True)
    (haiku,) = [live for live in report.live if live.model == HAIKU]
    assert haiku.ok and "49 of 50 requests" in haiku.limits and "of 10,000 output tokens" in haiku.limits
    assert (await headroom.last_seen(house.ledger.store))[HAIKU].axes["requests"].limit == 50
