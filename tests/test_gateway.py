"""The one door, with the real SDK clients on one side and the scripted server on loopback on the other."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import genai_prices
import pytest
from sqlalchemy import text as sql

from askfit.ask import answer
from askfit.config import Settings, load_settings
from askfit.errors import AskfitError, BudgetSpent, ProviderError, StoreError
from askfit.fit import assess
from askfit.gateway import Breaker, Deadlines, Gateway
from askfit.ledger import Ledger
from askfit.models import max_cost_nanos, prompt_tokens
from askfit.providers import open_provider
from askfit.providers.scripted import Script, ScriptedServer
from askfit.providers.scripted.behaviours import FAULTS
from askfit.site import Site, open_site
from askfit.store import open_store
from askfit.types import NANOS_PER_USD, Call, Message, Notice, Opened, Prompt, Settled, Text, Usage

KEY = "sk-ant-api03-verysecretkey"
HAIKU = "anthropic:claude-haiku-4-5"
LLAMA = "openai:llama3.2"
BUILTIN = "builtin:builtin"
CORPUS = "[[1]] About\nAnn leads a team of four in Lisbon. She likes tea.\n\n[[2]] Work\nShe shipped the Harbor game."
QUESTION = "Where does Ann lead a team?"
ANSWER = "Ann leads a team of four in Lisbon. [[1]]"
SITE_SAYS = "the built-in"
PATIENCE_S = 30.0  # a call that takes longer hangs: no deadline of the tests is near it
PROMPT = Prompt("Answer from the sections.", CORPUS, (Message("user", QUESTION),), 300, sha="0123abcd")


async def site_says() -> AsyncIterator[str]:
    for piece in ("the ", "built-in"):
        yield piece


def call(question: str = QUESTION, *, answer: str = "answer-1", only: str = "", **changes: Any) -> Call:
    prompt = replace(PROMPT, messages=(Message("user", question),), **changes)
    return Call("ask", answer, prompt, site_says, visitor="5f2c", only=only)


@dataclass
class Told:
    """All that one call's stream said, sorted."""

    items: list[Any] = field(default_factory=list)
    error: AskfitError | None = None

    @property
    def text(self) -> str:
        return "".join(item.text for item in self.items if isinstance(item, Text))

    @property
    def notices(self) -> list[str]:
        return [item.code for item in self.items if isinstance(item, Notice)]

    @property
    def models(self) -> list[str]:
        return [item.model for item in self.items if isinstance(item, Opened)]

    @property
    def settled(self) -> Settled:
        (found,) = [item for item in self.items if isinstance(item, Settled)]
        return found


class House:
    """A gateway over a real ledger, and the server that its real clients call."""

    def __init__(self, settings: Settings, server: ScriptedServer, ledger: Ledger) -> None:
        self.settings, self.server, self.ledger = settings, server, ledger
        self.gateway = Gateway(settings, ledger)
        self.closing = [self.gateway]

    def with_(self, **options: Any) -> House:
        """The same house with another gateway: other deadlines, another breaker."""
        self.gateway = Gateway(self.settings, self.ledger, **options)
        self.closing.append(self.gateway)
        return self

    def script(self, given: Any) -> None:
        self.server.script = Script.of(given)

    async def ask(self, asked: Call | None = None) -> Told:
        """One call to its end, an error kept beside what came before it."""
        told = Told()
        try:
            async with asyncio.timeout(PATIENCE_S), aclosing(self.gateway.stream(asked or call())) as items:
                async for item in items:
                    told.items.append(item)
        except AskfitError as error:
            told.error = error
        return told

    async def rows(self) -> list[dict[str, Any]]:
        """The ledger's calls, oldest first."""
        order = sql("SELECT * FROM calls ORDER BY rowid")
        return await self.ledger.store.read(lambda connection: [dict(r) for r in connection.execute(order).mappings()])

    async def row(self) -> dict[str, Any]:
        (row,) = await self.rows()
        return row

    async def outcomes(self) -> list[tuple[str, str]]:
        return [(row["model"], row["outcome"]) for row in await self.rows()]


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(minimums={"claude-haiku-4-5": 20}) as server:
        yield server


OpenHouse = Callable[..., Any]


@pytest.fixture
async def open_house(server: ScriptedServer, make_site: Callable[..., Settings]) -> AsyncIterator[OpenHouse]:
    """`await open_house(toml, environ)`: without an environment the keys of both providers lead to the server."""
    server.reset()
    opened: list[House] = []
    known = {
        "ANTHROPIC_API_KEY": KEY,
        "ANTHROPIC_BASE_URL": server.url,
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": server.openai_url,
    }

    async def make(more_toml: str = "", environ: dict[str, str] | None = None) -> House:
        settings = make_site({}, more_toml, known | (environ or {}))
        ledger = Ledger(open_store(settings))
        await ledger.open()
        opened.append(House(settings, server, ledger))
        return opened[-1]

    yield make
    for house in opened:
        for gateway in house.closing:
            await gateway.aclose()
        await house.ledger.store.aclose()


@pytest.fixture
async def house(open_house: OpenHouse) -> House:
    made: House = await open_house()
    return made


async def until(met: Callable[[], bool], patience_s: float = 5.0) -> None:
    begun = time.monotonic()
    while not met():
        assert time.monotonic() - begun < patience_s, "what was waited for did not come"
        await asyncio.sleep(0.005)


ASK_LLAMA = '[features.ask]\nmodel = "openai:llama3.2"\nkind = "chat"\npath = "/ask-ai"\n'
THREE_DEEP = f'[features.ask]\nkind = "chat"\npath = "/ask-ai"\nmodel = "{HAIKU}"\nfallback = ["{LLAMA}", "builtin"]\n'
NO_FALLBACK = f'[features.ask]\nkind = "chat"\npath = "/ask-ai"\nmodel = "{HAIKU}"\nfallback = []\n'
both = pytest.mark.parametrize("toml", ["", ASK_LLAMA], ids=["anthropic", "openai"])


# ---------------------------------------------------------------- an answer


@both
async def test_an_answer_is_opened_streamed_and_settled_in_one_row(toml: str, open_house: OpenHouse) -> None:
    """Opened, the text piece by piece, Settled; the row says the same as Settled, and nothing of it is estimated."""
    house = await open_house(toml)
    told = await house.ask()
    model = LLAMA if toml else HAIKU
    assert told.error is None
    assert told.items[0] == Opened(model, model.partition(":")[0])
    assert isinstance(told.items[-1], Settled)
    assert all(isinstance(item, Text) for item in told.items[1:-1])
    assert len(told.items) > 5
    assert told.text == ANSWER
    row, settled = await house.row(), told.settled
    assert (row["state"], row["outcome"], row["finish_reason"]) == ("settled", "ok", "stop")
    assert (row["model"], row["feature"], row["answer"], row["visitor"]) == (model, "ask", "answer-1", "5f2c")
    assert (row["prompt_sha"], row["fell_back_from"]) == ("0123abcd", "")
    counted = {name: row[name] for name in Usage.__dataclass_fields__}
    assert Usage(**counted | {"estimated": bool(counted["estimated"])}) == settled.usage
    assert (row["cost_nanos"], row["ttft_ms"], row["total_ms"]) == (
        settled.cost_nanos,
        settled.ttft_ms,
        settled.total_ms,
    )
    assert settled.usage.input_tokens > 0 and settled.usage.output_tokens > 0 and not settled.usage.estimated
    assert 0 < settled.ttft_ms < settled.total_ms


USAGES = [
    {"input_tokens": 9000, "output_tokens": 120},
    {"input_tokens": 9000, "output_tokens": 120, "cache_write_tokens": 8000},
    {"input_tokens": 9000, "output_tokens": 120, "cache_write_tokens": 8000, "cache_write_1h_tokens": 8000},
    {"input_tokens": 9000, "output_tokens": 120, "cache_read_tokens": 8000},
    {"input_tokens": 9000, "output_tokens": 7, "cache_read_tokens": 5000, "cache_write_tokens": 3000, "cache_write_1h_tokens": 2000},  # noqa: E501
]  # fmt: skip


@pytest.mark.parametrize("usage", USAGES, ids=["plain", "write-5m", "write-1h", "read", "mixed"])
async def test_the_row_costs_what_genai_prices_says(usage: dict[str, int], house: House) -> None:
    """Cache reads and writes of either lifetime included: to the nano-dollar, as the package itself reckons."""
    house.script([{"text": "Yes.", "usage": usage}])
    told = await house.ask()
    expected = genai_prices.calc_price(genai_prices.Usage(**usage), "claude-haiku-4-5", provider_id="anthropic")
    row = await house.row()
    assert row["cost_nanos"] == told.settled.cost_nanos == expected.total_price * NANOS_PER_USD
    assert {name: row[name] for name in usage} == usage


async def test_the_second_question_reads_what_the_first_wrote(house: House) -> None:
    """One hour's write, then reads: the ledger shows both, the second call costs less, and both costs are exact."""
    long = f"{CORPUS}\n" + "One more fact of Ann's. " * 400
    for question in (QUESTION, "What does she like?"):
        await house.ask(call(question, prefix=long, cache_ttl="1h"))
    first, second = await house.rows()
    assert first["cache_write_1h_tokens"] == first["cache_write_tokens"] == second["cache_read_tokens"] > 2000
    assert (first["cache_read_tokens"], second["cache_write_tokens"]) == (0, 0)
    assert second["cost_nanos"] < first["cost_nanos"] / 5
    for row, seen in zip((first, second), house.server.requests, strict=True):
        wire = seen.usage
        counted = genai_prices.Usage(
            input_tokens=wire["input_tokens"] + wire["cache_read_input_tokens"] + wire["cache_creation_input_tokens"],
            output_tokens=wire["output_tokens"],
            cache_read_tokens=wire["cache_read_input_tokens"],
            cache_write_tokens=wire["cache_creation_input_tokens"],
            cache_write_1h_tokens=wire["cache_creation"]["ephemeral_1h_input_tokens"],
        )
        price = genai_prices.calc_price(counted, "claude-haiku-4-5", provider_id="anthropic").total_price
        assert row["cost_nanos"] == price * NANOS_PER_USD


async def test_the_built_in_is_a_call_like_any_other(open_house: OpenHouse) -> None:
    """Without a key the site's own words come, free, in one row, and no notice: nothing fell back."""
    house = await open_house("", {"ANTHROPIC_API_KEY": "", "OPENAI_API_KEY": "", "OPENAI_BASE_URL": ""})
    told = await house.ask()
    assert (told.text, told.models, told.notices) == (SITE_SAYS, [BUILTIN], [])
    row = await house.row()
    assert (row["outcome"], row["cost_nanos"], row["input_tokens"]) == ("ok", 0, 0)


async def test_leading_white_space_is_no_answer_yet(house: House) -> None:
    """White space opens nothing by itself, and is not lost once words follow it."""
    house.script([{"chunks": ["\n", " ", "  Ann", " leads."]}])
    told = await house.ask()
    assert [item.text for item in told.items if isinstance(item, Text)] == ["\n   Ann", " leads."]


async def test_only_asks_one_model_and_no_other(house: House) -> None:
    """`only` skips routing: its failure is the caller's to see."""
    told = await house.ask(call(only=LLAMA))
    assert told.models == [LLAMA]
    house.script("overloaded")
    told = await house.ask(call(only=HAIKU))
    assert told.error and told.error.code == "provider_overloaded"
    assert not told.items


# ---------------------------------------------------------------- before the first visible character


BEFORE = ["server_error", "overloaded", "rate_limited", "error_first", "billing", "model_unknown", "bad_request"]


@both
@pytest.mark.parametrize("fault", BEFORE)
async def test_an_outage_before_the_first_word_falls_back_and_says_so(
    fault: str, toml: str, open_house: OpenHouse
) -> None:
    """500, 529, 429 with a long retry-after and the rest: a notice, the built-in's answer, a row for each call."""
    house = await open_house(toml)
    house.script(fault)
    told = await house.ask()
    model = LLAMA if toml else HAIKU
    assert [type(item) for item in told.items[:3]] == [Notice, Opened, Text]
    assert (told.text, told.models, told.notices) == (SITE_SAYS, [BUILTIN], ["fell_back"])
    assert len(house.server.requests) == 1
    first, second = await house.rows()
    assert (first["model"], first["outcome"], first["cost_nanos"]) == (model, FAULTS[fault].code, 0)
    assert (second["model"], second["outcome"], second["fell_back_from"]) == (BUILTIN, "ok", model)
    assert [first["state"], second["state"]] == ["settled", "settled"]
    assert told.settled.cost_nanos == 0


@both
async def test_a_refused_connection_falls_back(toml: str, open_house: OpenHouse, free_port: int) -> None:
    """Nobody listens: the visitor has the built-in's answer, and the row says why at no cost."""
    dead = f"http://127.0.0.1:{free_port}"
    house = await open_house(toml, {"ANTHROPIC_BASE_URL": dead, "OPENAI_BASE_URL": f"{dead}/v1"})
    told = await house.ask()
    assert (told.text, told.notices) == (SITE_SAYS, ["fell_back"])
    first, _ = await house.rows()
    assert (first["outcome"], first["cost_nanos"], first["input_tokens"]) == ("provider_unreachable", 0, 0)


@both
@pytest.mark.parametrize("fault", ["silent", "ping_only", "slow-60000"])
async def test_a_first_word_past_the_deadline_falls_back(fault: str, toml: str, open_house: OpenHouse) -> None:
    """Silence and a stream that only pings end at the deadline, upstream too; the input is taken for charged."""
    house = (await open_house(toml)).with_(deadlines=Deadlines(first_text_s=0.3))
    await house.ask(call(only=LLAMA if toml else HAIKU))  # the SDK is loaded
    house.server.reset(Script.of(fault))
    told = await house.ask()
    assert (told.text, told.notices) == (SITE_SAYS, ["fell_back"])
    await until(lambda: house.server.requests[-1].disconnected)
    row = (await house.rows())[-2]
    assert (row["outcome"], bool(row["estimated"]), row["output_tokens"]) == ("provider_timeout", True, 0)
    assert row["input_tokens"] == prompt_tokens(LLAMA if toml else HAIKU, PROMPT)


async def test_endless_white_space_is_silence(house: House) -> None:
    """A model that streams blanks passes no deadline by it."""
    house.with_(deadlines=Deadlines(first_text_s=0.3))
    await house.ask()
    house.script([{"chunks": [" "] * 1000, "delay_ms": 20}])
    told = await house.ask()
    assert (told.text, told.notices) == (SITE_SAYS, ["fell_back"])
    assert (await house.outcomes())[1] == (HAIKU, "provider_timeout")


@pytest.mark.parametrize(("behaviour", "code"), [("empty", "provider_bad_output"), ("refusal", "provider_refused")])
async def test_an_answer_without_a_word_falls_back(behaviour: str, code: str, house: House) -> None:
    """A whole answer that is empty, and a refusal, are failures that cost what the provider counted."""
    house.script(behaviour)
    told = await house.ask()
    assert (told.text, told.notices) == (SITE_SAYS, ["fell_back"])
    first, _ = await house.rows()
    assert (first["outcome"], bool(first["estimated"])) == (code, False)
    assert first["cost_nanos"] > 0


async def test_the_next_model_is_asked_before_the_built_in(open_house: OpenHouse) -> None:
    """Candidates in the settings' order; the notice says that another model answers."""
    house = await open_house(THREE_DEEP)
    house.script([{"fault": "overloaded", "times": 1}])
    told = await house.ask()
    assert (told.text, told.models) == (ANSWER, [LLAMA])
    assert "another model" in told.items[0].message
    assert await house.outcomes() == [(HAIKU, "provider_overloaded"), (LLAMA, "ok")]
    assert (await house.rows())[1]["fell_back_from"] == HAIKU


async def test_without_a_fallback_the_failure_is_told(open_house: OpenHouse) -> None:
    """An owner who names no fallback gets the error, not an answer of another."""
    house = await open_house(NO_FALLBACK)
    house.script("overloaded")
    told = await house.ask()
    assert told.error and (told.error.code, told.items) == ("provider_overloaded", [])
    assert isinstance(told.error, ProviderError) and not told.error.partial


# ---------------------------------------------------------------- retries


async def test_a_short_wait_for_the_same_model_is_worth_it_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A retry-after within two seconds is waited for and asked again, once; each request is a row."""
    monkeypatch.setitem(FAULTS, "rate_limited", replace(FAULTS["rate_limited"], retry_after_s=0.0))  # type: ignore[arg-type]
    house.script([{"fault": "rate_limited", "times": 1}])
    told = await house.ask()
    assert (told.text, told.models, told.notices) == (ANSWER, [HAIKU], [])
    assert await house.outcomes() == [(HAIKU, "provider_rate_limited"), (HAIKU, "ok")]


async def test_retries_are_bounded_over_all_candidates(open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many models ask to be tried again, one question makes one retry in all."""
    monkeypatch.setitem(FAULTS, "rate_limited", replace(FAULTS["rate_limited"], retry_after_s=0.0))  # type: ignore[arg-type]
    house = await open_house(THREE_DEEP)
    house.script("rate_limited")
    told = await house.ask()
    assert (told.text, told.notices) == (SITE_SAYS, ["fell_back"])
    assert [seen.path for seen in house.server.requests] == ["/v1/messages", "/v1/messages", "/v1/chat/completions"]
    assert len(await house.rows()) == 4


async def test_the_sdk_retries_nothing_by_itself(house: House) -> None:
    """One attempt is one request on the wire."""
    house.script("server_error")
    await house.ask()
    assert [seen.headers.get("x-stainless-retry-count", "0") for seen in house.server.requests] == ["0"]


# ---------------------------------------------------------------- after the first visible character


@both
@pytest.mark.parametrize("fault", ["error_midway", "cut_off", "dropped", "bad_json"])
async def test_a_failure_after_the_first_word_is_told_and_never_restarted(
    fault: str, toml: str, open_house: OpenHouse
) -> None:
    """Half an answer ends as a partial error: no other model, no second request, and what was used is in the row."""
    house = await open_house(toml)
    house.script(fault)
    told = await house.ask()
    assert isinstance(told.error, ProviderError) and told.error.partial
    assert told.error.code == FAULTS[fault].code
    assert ANSWER.startswith(told.text) and told.text
    assert not told.notices
    assert len(house.server.requests) == 1
    row = await house.row()
    assert (row["outcome"], row["finish_reason"], bool(row["estimated"])) == (FAULTS[fault].code, "error", True)
    assert row["input_tokens"] > 0 and row["output_tokens"] > 0


@both
async def test_a_stream_that_stalls_midway_is_ended(toml: str, open_house: OpenHouse) -> None:
    """Pings do not keep an answer alive: the idle deadline ends it as partial, upstream too."""
    house = (await open_house(toml)).with_(deadlines=Deadlines(idle_s=0.2))
    house.script("stalls")
    told = await house.ask()
    assert isinstance(told.error, ProviderError) and told.error.partial
    assert (await house.row())["outcome"] == "provider_timeout"
    await until(lambda: house.server.requests[-1].disconnected)


async def test_a_stream_without_end_is_ended(house: House) -> None:
    """However steadily the words come, the whole may take only so long."""
    await house.ask()
    house.with_(deadlines=Deadlines(total_s=0.5))
    house.script([{"behaviour": "words-290", "delay_ms": 20}])
    told = await house.ask(call(max_output_tokens=100_000))
    assert isinstance(told.error, ProviderError) and told.error.partial
    assert told.error.code == "provider_timeout"
    assert "word2" in told.text
    await until(lambda: house.server.requests[-1].disconnected)


async def test_a_cut_at_the_longest_length_is_an_answer(house: House) -> None:
    """`length` is no failure: Settled says it, and the feature tells the visitor."""
    house.script("words-400")
    told = await house.ask(call(max_output_tokens=50))
    assert told.error is None
    assert told.settled.finish_reason == (await house.row())["finish_reason"] == "length"


# ---------------------------------------------------------------- money


def capped(nanos: float, **more: str) -> str:
    pairs = "".join(f'{name} = "{value}"\n' for name, value in more.items())
    return f"[budget]\nper_day_usd = {nanos / NANOS_PER_USD:.9f}\n{pairs}"


async def test_a_spent_budget_is_the_built_in_with_a_notice(open_house: OpenHouse) -> None:
    """Nothing is sent, nothing costs, and the visitor is told why; only the built-in's call is a row."""
    house = await open_house(capped(0))
    told = await house.ask()
    assert (told.text, told.models, told.notices) == (SITE_SAYS, [BUILTIN], ["budget_spent"])
    assert "for today" in told.items[0].message
    assert not house.server.requests
    row = await house.row()
    assert (row["model"], row["fell_back_from"], row["cost_nanos"]) == (BUILTIN, HAIKU, 0)


async def test_a_spent_budget_may_refuse_instead(open_house: OpenHouse) -> None:
    """`when_spent = "refuse"`: BudgetSpent, no call, no row."""
    house = await open_house(capped(0, when_spent="refuse"))
    told = await house.ask()
    assert isinstance(told.error, BudgetSpent)
    assert (told.items, house.server.requests, await house.rows()) == ([], [], [])


async def test_the_built_in_is_the_floor_though_the_settings_do_not_name_it(open_house: OpenHouse) -> None:
    """A spent budget reaches the built-in even where a feature has no fallback."""
    house = await open_house(NO_FALLBACK + capped(0))
    told = await house.ask()
    assert (told.text, told.notices) == (SITE_SAYS, ["budget_spent"])


async def test_a_cheaper_model_may_still_fit(open_house: OpenHouse) -> None:
    """What the first candidate would cost is too much, what the second costs is not: it answers."""
    house = await open_house(THREE_DEEP + capped(1))
    told = await house.ask()
    assert (told.models, told.notices) == ([LLAMA], ["budget_spent"])


async def test_questions_at_once_cannot_overspend_together(open_house: OpenHouse) -> None:
    """The budget bears one call: of eight at once one is sent, the others get the built-in while it is still open."""
    most = max_cost_nanos(HAIKU, PROMPT)
    house = await open_house(capped(most * 1.9))
    house.script("silent")
    asking = [asyncio.create_task(house.ask(call(answer=f"answer-{at}"))) for at in range(8)]
    await until(lambda: sum(task.done() for task in asking) == 7 and bool(house.server.requests))
    answered = [task.result() for task in asking if task.done()]
    assert [told.notices for told in answered] == [["budget_spent"]] * 7
    assert (await house.ledger.spent()).day_nanos == most
    (waiting,) = [task for task in asking if not task.done()]
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    assert len(house.server.requests) == 1
    assert 0 < (await house.ledger.spent()).day_nanos < most


async def test_a_failed_call_gives_its_reservation_back(open_house: OpenHouse) -> None:
    """What an outage held is free again for the next question."""
    house = await open_house(capped(max_cost_nanos(HAIKU, PROMPT) * 1.1))
    house.script([{"fault": "overloaded", "times": 1}])
    assert (await house.ask()).notices == ["fell_back"]
    assert (await house.ask()).models == [HAIKU]


async def test_a_store_that_fails_costs_no_answer(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be reserved, so nothing that costs is sent: the built-in answers with a notice."""

    async def fail(*given: object, **more: object) -> None:
        raise StoreError("store_unreachable", "The database cannot be reached.")

    monkeypatch.setattr(house.ledger.store, "run", fail)
    told = await house.ask()
    assert (told.text, told.notices, told.error) == (SITE_SAYS, ["fell_back"], None)
    assert not house.server.requests


# ---------------------------------------------------------------- a visitor who leaves


@both
async def test_leaving_midway_closes_the_request_and_settles_what_was_used(toml: str, open_house: OpenHouse) -> None:
    """Closing the stream is seen upstream at once; the row is `cancelled`, with the input and what was said."""
    house = await open_house(toml)
    house.script([{"behaviour": "words-250", "delay_ms": 5}])
    said = 0
    async with aclosing(house.gateway.stream(call())) as items:
        async for item in items:
            said += isinstance(item, Text)
            if said == 10:
                break
    await until(lambda: house.server.requests[-1].disconnected)
    assert not house.server.requests[-1].finished
    row = await house.row()
    assert (row["state"], row["outcome"], row["finish_reason"]) == ("settled", "cancelled", "cancelled")
    assert bool(row["estimated"])
    assert 10 <= row["output_tokens"] < 60
    assert row["input_tokens"] > 0
    assert 0 < row["cost_nanos"] < row["reserved_nanos"] if not toml else row["cost_nanos"] == 0
    assert row["ttft_ms"] > 0


@both
@pytest.mark.parametrize("behaviour", ["silent", "stalls"])
async def test_a_cancelled_task_closes_the_request_and_settles(
    behaviour: str, toml: str, open_house: OpenHouse
) -> None:
    """Before the first word and after it: one row, `cancelled`, the input taken for charged, no fallback."""
    house = await open_house(toml)
    house.script(behaviour)
    asking = asyncio.create_task(house.ask())
    await until(lambda: bool(house.server.requests) and (behaviour == "silent" or bool(house.server.requests[-1].sent)))
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await until(lambda: house.server.requests[-1].disconnected)
    row = await house.row()
    assert (row["state"], row["outcome"]) == ("settled", "cancelled")
    assert row["input_tokens"] > 0


async def test_a_cut_call_is_charged_by_what_the_provider_counted(house: House) -> None:
    """Anthropic counts the input with its first event: leaving a call that read the cache costs a cache read."""
    usage = {"input_tokens": 9000, "output_tokens": 250, "cache_read_tokens": 8000}
    house.script([{"behaviour": "words-250", "usage": usage, "delay_ms": 5}])
    async with aclosing(house.gateway.stream(call())) as items:
        async for item in items:
            if isinstance(item, Text):
                break
    row = await house.row()
    assert (row["outcome"], bool(row["estimated"])) == ("cancelled", True)
    assert (row["input_tokens"], row["cache_read_tokens"]) == (9000, 8000)
    assert 0 < row["output_tokens"] < 10
    counted = genai_prices.Usage(input_tokens=9000, output_tokens=row["output_tokens"], cache_read_tokens=8000)
    price = genai_prices.calc_price(counted, "claude-haiku-4-5", provider_id="anthropic").total_price
    assert row["cost_nanos"] == price * NANOS_PER_USD


async def test_a_visitor_who_leaves_twice_still_leaves_one_row(house: House) -> None:
    """A second cancellation while the first is settling loses nothing: closing the gateway waits for the row."""
    house.script("stalls")
    asking = asyncio.create_task(house.ask())
    await until(lambda: bool(house.server.requests) and bool(house.server.requests[-1].sent))
    asking.cancel()
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await house.gateway.aclose()
    assert await house.outcomes() == [(HAIKU, "cancelled")]


async def test_leaving_after_the_end_is_no_cancellation(house: House) -> None:
    """Who has read everything and goes leaves an `ok`."""
    async with aclosing(house.gateway.stream(call())) as items:
        async for item in items:
            if isinstance(item, Settled):
                break
    assert await house.outcomes() == [(HAIKU, "ok")]


# ---------------------------------------------------------------- models that fail again and again


class Clock:
    """A time that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_a_model_that_keeps_failing_rests(house: House) -> None:
    """After three failures nobody waits for it: the built-in answers at once, until the rest is over."""
    clock = Clock()
    house.with_(breaker=Breaker(clock=clock))
    house.script("overloaded")
    for _ in range(5):
        assert (await house.ask()).notices == ["fell_back"]
    assert len(house.server.requests) == 3
    house.script("faithful")
    clock.now += 31
    assert (await house.ask()).models == [HAIKU]
    assert (await house.ask()).models == [HAIKU]


async def test_what_a_visitor_can_make_fail_rests_nothing(house: House) -> None:
    """Malformed, too large, refused: a hostile visitor does not switch the model off for the others."""
    for fault in ("bad_request", "too_large", "refusal") * 2:
        house.script(fault)
        await house.ask()
    house.script("faithful")
    assert (await house.ask()).models == [HAIKU]


async def test_nobody_asks_before_the_provider_said(house: House) -> None:
    """A retry-after too long to wait for is kept to: until then nothing is sent, and then the model is back."""
    clock = Clock()
    house.with_(breaker=Breaker(clock=clock))
    house.script([{"fault": "rate_limited", "times": 1}])  # retry-after: 7
    assert (await house.ask()).notices == ["fell_back"]
    clock.now += 6.9
    assert (await house.ask()).notices == ["fell_back"]
    assert len(house.server.requests) == 1
    clock.now += 0.2
    assert (await house.ask()).models == [HAIKU]


def test_a_retry_after_of_a_week_is_not_believed() -> None:
    """A provider's own word rests a model for two minutes at most."""
    clock = Clock()
    breaker = Breaker(clock=clock)
    breaker.failed(HAIKU, ProviderError("provider_overloaded", "Later.", retryable=True, retry_after_s=604_800.0))
    assert breaker.rests(HAIKU)
    clock.now += 120
    assert not breaker.rests(HAIKU)


LASTING = {
    "key_refused": "anthropic:claude-haiku-4-5 refused the key. Check ANTHROPIC_API_KEY.",
    "billing": "the account has no credit. Settle the provider's bill.",
    "spend_limit": "the account's spend limit is reached. Raise it at the provider.",
    "model_unknown": "is not known to its provider.",
}


@pytest.mark.parametrize("fault", LASTING)
async def test_a_lasting_fault_is_told_to_the_owner_and_not_tried_again_at_once(
    fault: str, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """The owner reads what to mend in the log and in `note`; visitors read that the built-in answers, nothing more."""
    clock = Clock()
    house.with_(breaker=Breaker(clock=clock))
    assert house.gateway.note == ""
    house.script(fault)
    told = [await house.ask() for _ in range(3)]
    assert [one.notices for one in told] == [["fell_back"]] * 3
    assert not {word for one in told for word in ("key", "credit", "limit") if word in one.items[0].message}
    assert len(house.server.requests) == 1
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert LASTING[fault] in record.getMessage() and FAULTS[fault].code in record.getMessage()
    assert LASTING[fault] in house.gateway.note
    house.script("faithful")
    clock.now += 61
    assert (await house.ask()).models == [HAIKU]
    assert house.gateway.note == ""


async def test_a_wrong_key_is_refused_by_the_server_itself(open_house: OpenHouse) -> None:
    """The key goes out as the real client sends it; a refused one leaves a free row and the built-in's answer."""
    house = await open_house("", {"ANTHROPIC_API_KEY": "wrong"})
    assert (await house.ask()).text == SITE_SAYS
    assert await house.outcomes() == [(HAIKU, "provider_key_refused"), (BUILTIN, "ok")]
    assert (await house.ledger.spent()).month_nanos == 0
    told = await house.ask(call(only=HAIKU))
    assert told.error and told.error.code == "provider_key_refused"
    assert told.error.next_step == "Check ANTHROPIC_API_KEY."


async def test_a_fault_nobody_foresaw_is_an_error_of_ours(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """A provider that breaks in its own way falls back like any other, and its traceback is in the log."""

    class Broken:
        def stream(self, model_name: str, call: Call) -> Any:
            raise ZeroDivisionError("oh")

        async def aclose(self) -> None: ...

    def opening(name: str, settings: Settings) -> Any:
        return Broken() if name == "anthropic" else open_provider(name, settings)

    house.with_(open_provider=opening)
    assert (await house.ask()).notices == ["fell_back"]
    assert await house.outcomes() == [(HAIKU, "provider_failed"), (BUILTIN, "ok")]
    assert "ZeroDivisionError" in caplog.text


async def test_a_provider_that_would_not_open_is_tried_again(house: House) -> None:
    """One failed import does not stay: the next question opens the provider anew."""
    tries: list[str] = []

    def opening(name: str, settings: Settings) -> Any:
        tries.append(name)
        if tries.count("anthropic") == 1 and name == "anthropic":
            raise ImportError("no module")
        return open_provider(name, settings)

    house.with_(open_provider=opening)
    assert (await house.ask()).models == [BUILTIN]
    assert (await house.ask()).models == [HAIKU]
    assert (await house.ask()).models == [HAIKU]
    assert tries == ["anthropic", "builtin", "anthropic"]


# ---------------------------------------------------------------- what is kept, what is shown


SECRET_WORDS = ("zanzibar", "quokka", "marmalade")


async def test_no_word_of_prompt_question_or_answer_is_kept(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """Ledger and log hold figures, names and ids: answered, failed, cut, cancelled, none of the words is in them."""
    caplog.set_level(logging.DEBUG, logger="askfit")
    asked = call("quokka?", instructions="zanzibar", prefix="zanzibar " * 50)
    for script in ("words-5", "bad_request", "overloaded", "cut_off", "refusal", "empty"):
        house.script([{"text": "marmalade jam", "fault": script}] if script in FAULTS else script)
        await house.ask(asked)
    house.script([{"chunks": ["marmalade "] * 50, "delay_ms": 5}])
    async with aclosing(house.gateway.stream(asked)) as items:
        async for item in items:
            if isinstance(item, Text):
                break
    rows = await house.rows()
    assert {row["outcome"] for row in rows} >= {"ok", "provider_bad_request", "provider_cut_off", "cancelled"}
    kept = str(rows).lower() + caplog.text.lower()
    assert not [word for word in SECRET_WORDS if word in kept]
    assert KEY not in kept


# ---------------------------------------------------------------- a turn: what was waited, what it tells of its model

ABOUT = "# About\n\nAnn leads a team of four in Lisbon. She likes tea.\n"
POSTING = """Product manager

Requirements:
- You have five years of experience with product discovery.
- You know A/B testing and retention.
- You must have led a team of engineers.

Responsibilities:
- Own the roadmap of our mobile app and its onboarding.
- Work with designers and analysts on the goals of each quarter.
"""


@asynccontextmanager
async def opened_site(server: ScriptedServer, settings: Settings) -> AsyncIterator[Site]:
    server.reset()
    async with open_site(settings) as site:
        yield site


@pytest.fixture
async def site(server: ScriptedServer, make_site: Callable[..., Settings]) -> AsyncIterator[Site]:
    """A whole site whose model is the server."""
    environ = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": server.url}
    async with opened_site(server, make_site({"content/about.md": ABOUT}, environ=environ)) as one:
        yield one


async def calls_of(site: Site) -> list[dict[str, Any]]:
    order = sql("SELECT * FROM calls ORDER BY rowid")
    return await site.ledger.store.read(lambda connection: [dict(r) for r in connection.execute(order).mappings()])


async def test_the_time_to_the_first_text_is_what_the_visitor_waited(
    site: Site, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the question on, the failed call and the wait before the next included; a row's time is its call's own."""
    await answer(site, QUESTION)  # the SDK is loaded
    monkeypatch.setitem(FAULTS, "rate_limited", replace(FAULTS["rate_limited"], retry_after_s=1.0))  # type: ignore[arg-type]
    server.script = Script.of([{"fault": "rate_limited", "times": 1}, {"text": ANSWER, "first_ms": 100}])
    told = await answer(site, QUESTION)
    assert 1100 <= told.ttft_ms <= told.total_ms
    last = (await calls_of(site))[-1]
    assert (last["outcome"], 100 <= last["ttft_ms"] < told.ttft_ms - 990) == ("ok", True)


@pytest.mark.parametrize(
    ("question", "text", "told"),
    [
        (QUESTION, ANSWER, (False, 0, "", False)),
        (QUESTION, f"In 1987 Ann founded Qworblex with 31,417 people. {ANSWER}", (False, 1, "", False)),
        (QUESTION, " ".join([ANSWER] * 8), (True, 0, "", False)),
        (QUESTION, "[[none]]", (False, 0, "not_in_corpus", True)),
        ("Does Ann own a motorcycle?", "[[none]]", (False, 0, "not_in_corpus", False)),
    ],
    ids=["true", "retracted", "over-length", "despite-a-hit", "rightly-abstained"],
)
async def test_a_row_holds_what_its_answer_tells_of_the_model(
    question: str, text: str, told: tuple[Any, ...], site: Site, server: ScriptedServer
) -> None:
    """Ran past its length, sentences taken back, abstained and why, and whether the built-in would have answered."""
    server.script = Script.of([{"text": text}])
    await answer(site, question)
    (row,) = await calls_of(site)
    names = ("over_length", "retracted", "abstain_reason", "despite_hit")
    assert tuple(row[name] for name in names) == told
    assert row["repairs"] is None


async def test_the_built_in_s_rows_tell_nothing_of_a_model(make_site: Callable[..., Settings]) -> None:
    """There is no model to tell of: the fields stay unknown."""
    async with open_site(make_site({"content/about.md": ABOUT})) as site:
        await answer(site, QUESTION)
        (row,) = await calls_of(site)
    assert [row[name] for name in ("over_length", "retracted", "abstain_reason", "despite_hit", "repairs")] == [
        None
    ] * 5


async def test_a_row_holds_how_much_a_judge_left_to_the_rules(server: ScriptedServer, sample: Settings) -> None:
    """A judgement without a single requirement: all of them were repaired."""
    settings = load_settings(sample.path, {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": server.url})
    async with opened_site(server, settings) as site:
        server.script = Script.of("json")
        found = await assess(site, POSTING)
        (row,) = await calls_of(site)
    assert (row["outcome"], row["repairs"]) == ("ok", len(found.requirements))
    assert found.requirements
