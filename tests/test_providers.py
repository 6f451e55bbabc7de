"""The real SDK clients against the scripted server on loopback, byte for byte."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest

from askfit.config import Settings
from askfit.errors import ProviderError, SettingsError
from askfit.models import known_models
from askfit.providers import MODULES, Provider, open_provider
from askfit.providers.faults import TOLD
from askfit.providers.scripted import Script, ScriptedServer
from askfit.providers.scripted.behaviours import FAULTS
from askfit.rates import Limits
from askfit.types import Call, Chunk, Finish, Message, Prompt, Text, Usage

KEY = "sk-ant-api03-verysecretkey"
HAIKU = "claude-haiku-4-5"
SCHEMA = {
    "type": "object",
    "properties": {"verdict": {"type": "string", "enum": ["strong", "misfit"]}, "n": {"type": "integer"}},
    "required": ["verdict", "n"],
    "additionalProperties": False,
}
CORPUS = "[[1]] About\nAnn leads a team of four in Lisbon. She likes tea.\n\n[[2]] Work\nShe shipped the Harbor game."


async def nothing() -> AsyncIterator[str]:
    for piece in ("the ", "built-in"):
        yield piece


PROMPT = Prompt("Answer from the sections.", CORPUS, (Message("user", "Where does Ann lead?"),), 300)


def call(question: str = "Where does Ann lead a team?", **changes: Any) -> Call:
    history = changes.pop("history", ())
    prompt = replace(PROMPT, messages=(*history, Message("user", question)), **changes)
    return Call("ask", "answer", prompt, nothing)


async def run(provider: Provider, asked: Call | None = None, model: str = HAIKU) -> tuple[str, Finish]:
    items = [item async for item in provider.stream(model, asked or call())]
    assert isinstance(items[-1], Finish)
    assert all(isinstance(item, Text) for item in items[:-1])
    return "".join(item.text for item in items[:-1] if isinstance(item, Text)), items[-1]


@dataclass
class Bench:
    """A scripted server and the real providers that call it."""

    server: ScriptedServer
    settings: Settings
    anthropic: Provider
    openai: Provider

    def of(self, name: str) -> Provider:
        provider: Provider = getattr(self, name)
        return provider


@asynccontextmanager
async def opened(settings: Settings, name: str) -> AsyncIterator[Provider]:
    provider = open_provider(name, settings)
    try:
        yield provider
    finally:
        await provider.aclose()


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(minimums={HAIKU: 20}) as server:
        yield server


@pytest.fixture
async def bench(server: ScriptedServer, make_site: Callable[..., Settings]) -> AsyncIterator[Bench]:
    server.reset()
    environ = {
        "ANTHROPIC_API_KEY": KEY,
        "ANTHROPIC_BASE_URL": server.url,
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": server.openai_url,
    }
    settings = make_site({}, environ=environ)
    async with opened(settings, "anthropic") as anthropic, opened(settings, "openai") as openai:
        yield Bench(server, settings, anthropic, openai)


both = pytest.mark.parametrize("name", ["anthropic", "openai"])


async def until(met: Callable[[], bool], patience_s: float = 2.0) -> None:
    begun = time.monotonic()
    while not met():
        assert time.monotonic() - begun < patience_s, "what was waited for did not come"
        await asyncio.sleep(0.005)


# ---------------------------------------------------------------- opening


def test_nothing_heavy_is_imported_before_a_real_model_is_opened() -> None:
    """Importing the providers, the built-in and the scripted one loads no SDK and no web framework."""
    code = (
        "import sys, askfit.providers, askfit.providers.builtin, askfit.providers.scripted\n"
        "heavy = {'anthropic', 'openai', 'pydantic_ai', 'httpx2', 'starlette', 'uvicorn', 'yaml'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_one_provider_does_not_load_the_others_sdk() -> None:
    """Opening anthropic imports no openai, and the other way round."""
    code = "import sys, askfit.providers.{0}; print('{1}' in sys.modules)"
    for one, other in (("anthropic", "openai"), ("openai", "anthropic")):
        done = subprocess.run([sys.executable, "-c", code.format(one, other)], capture_output=True, text=True)
        assert done.stdout.strip() == "False", done.stderr


async def test_an_unknown_provider_is_named_with_the_known_ones(make_site: Callable[..., Settings]) -> None:
    """A misspelt provider is a settings error that lists the right names."""
    with pytest.raises(
        SettingsError, match=r"Unknown provider 'antropic'.*anthropic, builtin, openai, scripted"
    ) as told:
        open_provider("antropic", make_site({}))
    assert told.value.code == "unknown_provider"
    assert set(MODULES) == {"anthropic", "builtin", "openai", "scripted"}


@both
async def test_a_missing_key_is_a_settings_error(name: str, make_site: Callable[..., Settings]) -> None:
    """Without a key the provider does not open, and the variable to set is named."""
    with pytest.raises(SettingsError, match=f"{name.upper()}_API_KEY") as told:
        open_provider(name, make_site({}))
    assert told.value.code == "provider_key_missing"


async def test_the_builtin_says_what_the_feature_says(make_site: Callable[..., Settings]) -> None:
    """The built-in streams the call's own words and costs no tokens."""
    async with opened(make_site({}), "builtin") as provider:
        text, finish = await run(provider, model="builtin")
    assert (text, finish) == ("the built-in", Finish(Usage()))


# ---------------------------------------------------------------- what is sent


async def test_the_request_to_anthropic_byte_for_byte(bench: Bench) -> None:
    """System text with its breakpoint, question, allowance: and nothing else."""
    await run(bench.anthropic, call(cache_ttl="1h"))
    assert bench.server.requests[-1].body == {
        "model": HAIKU,
        "max_tokens": 300,
        "stream": True,
        "system": [
            {
                "type": "text",
                "text": f"Answer from the sections.\n\n{CORPUS}",
                "cache_control": {"type": "ephemeral", "ttl": "1h"},
            }
        ],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Where does Ann lead a team?"}]}],
    }


async def test_the_request_to_an_openai_compatible_endpoint_byte_for_byte(bench: Bench) -> None:
    """One system message, `max_tokens` as every such server reads it, usage asked for."""
    await run(bench.openai, model="llama3.2")
    assert bench.server.requests[-1].body == {
        "model": "llama3.2",
        "max_tokens": 300,
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [
            {"role": "system", "content": f"Answer from the sections.\n\n{CORPUS}"},
            {"role": "user", "content": "Where does Ann lead a team?"},
        ],
    }


@pytest.mark.parametrize("model", [known.model.partition(":")[2] for known in known_models()])
async def test_no_model_gets_a_word_that_we_did_not_write(model: str, bench: Bench) -> None:
    """The model layer adds nothing to the system text of any known model, and no sampling parameter."""
    await run(bench.anthropic, model=model)
    body = bench.server.requests[-1].body
    assert [block["text"] for block in body["system"]] == [f"Answer from the sections.\n\n{CORPUS}"]
    assert not {"temperature", "top_p", "top_k", "tools"} & set(body)


async def test_the_cached_prefix_is_the_same_bytes_for_two_questions(bench: Bench) -> None:
    """Two visitors' questions differ only after the breakpoint, and the second one reads the cache."""
    await run(bench.anthropic, call("Where does Ann lead a team?"))
    text, finish = await run(bench.anthropic, call("What does she like?"))
    first, second = (seen.raw for seen in bench.server.requests)
    prefixes = [raw[raw.index(b'"system":') :] for raw in (first, second)]
    assert prefixes[0] == prefixes[1]
    assert text == "She likes tea. [[1]]"
    assert finish.usage.cache_read_tokens > 0
    assert finish.usage.cache_write_tokens == 0


@both
async def test_usage_is_the_wires_with_the_cache_counted_in(name: str, bench: Bench) -> None:
    """Our input tokens include both cache counters; Anthropic's exclude them, OpenAI's include them already."""
    long = "One more fact of Ann's. " * 400
    prompt = call(prefix=f"{CORPUS}\n{long}", cache_ttl="1h")
    _, first = await run(bench.of(name), prompt)
    _, second = await run(bench.of(name), replace(prompt, prompt=replace(prompt.prompt, max_output_tokens=299)))
    wire = bench.server.requests[-1].usage
    if name == "anthropic":
        written = bench.server.requests[0].usage["cache_creation"]["ephemeral_1h_input_tokens"]
        assert first.usage.cache_write_tokens == first.usage.cache_write_1h_tokens == written > 2000
        assert second.usage.cache_read_tokens == wire["cache_read_input_tokens"] == written
        assert second.usage.input_tokens == wire["input_tokens"] + wire["cache_read_input_tokens"]
        assert second.usage.output_tokens == wire["output_tokens"]
    else:
        assert second.usage.input_tokens == wire["prompt_tokens"]
        assert second.usage.cache_read_tokens == wire["prompt_tokens_details"]["cached_tokens"] > 2000
        assert second.usage.output_tokens == wire["completion_tokens"]
    assert not second.usage.estimated


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {"input_tokens": 9000, "output_tokens": 12, "cache_read_tokens": 5000, "cache_write_tokens": 3000,
             "cache_write_1h_tokens": 2000},
            Usage(9000, 12, 5000, 3000, 2000),
        ),
        ({"input_tokens": 9000, "output_tokens": 12, "cache_write_tokens": 3000}, Usage(9000, 12, 0, 3000, 0)),
    ],
)  # fmt: skip
async def test_a_mixed_usage_survives_the_wire(usage: dict[str, int], expected: Usage, bench: Bench) -> None:
    """Reads, five-minute writes and one-hour writes of one call are told apart."""
    bench.server.script = Script.of([{"text": "Yes.", "usage": usage}])
    _, finish = await run(bench.anthropic)
    assert finish.usage == expected


@pytest.mark.parametrize(("ttl", "expected"), [("", [None]), ("5m", ["5m"]), ("1h", ["1h"])])
async def test_the_breakpoint_stands_as_long_as_the_prompt_says(
    ttl: str, expected: list[str | None], bench: Bench
) -> None:
    """`cache_ttl` decides the breakpoint; empty means none."""
    await run(bench.anthropic, call(cache_ttl=ttl))
    blocks = bench.server.requests[-1].body["system"]
    assert [(block.get("cache_control") or {}).get("ttl") for block in blocks] == expected


async def test_a_long_history_gets_a_breakpoint_at_its_end(bench: Bench) -> None:
    """The last answer before the question ends a prefix that the next turn reads; a short history is left alone."""
    short = (Message("user", "Hello?"), Message("assistant", "Hello."))
    long = (Message("user", "Tell me all. " * 80), Message("assistant", "All of it. " * 80))
    for history, marks in ((short, 0), (long, 1)):
        await run(bench.anthropic, call(history=history))
        turns = bench.server.requests[-1].body["messages"]
        marked = [turn["role"] for turn in turns for block in turn["content"] if "cache_control" in block]
        assert marked == ["assistant"] * marks
    _, finish = await run(bench.anthropic, call("And now?", history=long))
    assert finish.usage.cache_read_tokens > 400
    await run(bench.anthropic, call(history=long, cache_ttl=""))
    assert b"cache_control" not in bench.server.requests[-1].raw


@both
async def test_the_history_goes_out_in_order(name: str, bench: Bench) -> None:
    """Turns keep their roles and words."""
    await run(bench.of(name), call("And then?", history=(Message("user", "Hi <b>"), Message("assistant", "Hello"))))
    turns = [turn for turn in bench.server.requests[-1].body["messages"] if turn["role"] != "system"]
    said = [turn["content"] if isinstance(turn["content"], str) else turn["content"][0]["text"] for turn in turns]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert said == ["Hi <b>", "Hello", "And then?"]


# ---------------------------------------------------------------- what comes back


@both
async def test_text_streams_piece_by_piece(name: str, bench: Bench) -> None:
    """Every piece of the wire is one Text at once: nothing is held back or joined."""
    chunks = ["Ann ", "leads", " a team", " in Lisböa 🌊."]
    bench.server.script = Script.of([{"chunks": chunks, "delay_ms": 40}])
    begun = time.perf_counter()
    pieces, first_s = [], 0.0
    async for item in bench.of(name).stream(HAIKU, call()):
        first_s = first_s or time.perf_counter() - begun
        pieces.append(item)
    assert [item.text for item in pieces[:-1] if isinstance(item, Text)] == chunks
    assert first_s < time.perf_counter() - begun - 0.1


@both
async def test_a_schema_gives_json_as_it_grows(name: str, bench: Bench) -> None:
    """Structured output goes by the provider's own means, and its text streams like any other."""
    text, _ = await run(bench.of(name), call("Fit?", output_schema=SCHEMA))
    assert json.loads(text) == {"verdict": "strong", "n": 0}
    body = bench.server.requests[-1].body
    sent = body["output_config"]["format"] if name == "anthropic" else body["response_format"]["json_schema"]
    assert list(sent["schema"]["properties"]) == ["verdict", "n"]
    assert sent["schema"]["additionalProperties"] is False
    assert len(bench.server.requests) == 1


@both
async def test_a_refused_schema_is_asked_for_in_words_from_then_on(name: str, bench: Bench) -> None:
    """An endpoint that answers 400 to structured output is asked once more, in words, and not tried again."""
    bench.server.script = Script.of([{"fault": "bad_request", "times": 1}, {"json": {"verdict": "strong", "n": 1}}])
    asked = call("Fit?", output_schema=SCHEMA)
    for _ in range(2):
        text, _finish = await run(bench.of(name), asked)
        assert json.loads(text)["n"] == 1
    bodies = [seen.body for seen in bench.server.requests]
    assert [("output_config" in body or "response_format" in body) for body in bodies] == [True, False, False]
    assert json.dumps(SCHEMA) in json.dumps(bodies[1]).replace('\\"', '"')


async def test_a_request_that_is_malformed_anyway_is_not_blamed_on_the_schema(bench: Bench) -> None:
    """Two refusals are a bad request, and the next call tries structured output again."""
    bench.server.script = Script.of([{"fault": "bad_request", "times": 2}, {"json": {"verdict": "strong", "n": 1}}])
    asked = call("Fit?", output_schema=SCHEMA)
    with pytest.raises(ProviderError) as told:
        await run(bench.anthropic, asked)
    assert told.value.code == "provider_bad_request"
    await run(bench.anthropic, asked)
    assert "output_config" in bench.server.requests[-1].body


@both
@pytest.mark.parametrize(
    ("rule", "reason"),
    [({"text": "x " * 500}, "length"), ({"text": "", "finish": "refusal"}, "refusal"), ({"text": "Yes."}, "stop")],
)
async def test_the_finish_reason_is_one_of_ours(name: str, rule: dict[str, Any], reason: str, bench: Bench) -> None:
    """max_tokens, length, refusal and content_filter arrive under our own names."""
    bench.server.script = Script.of([rule])
    _, finish = await run(bench.of(name), call(max_output_tokens=100))
    assert finish.finish_reason == reason


@both
async def test_rate_limits_are_told_before_the_first_word(name: str, bench: Bench) -> None:
    """What the headers say of the account's limits comes first, with what this very request used; then the answer."""
    bench.server.script.limit(Limits(50, 50_000, 10_000, 60_000))
    items = [item async for item in bench.of(name).stream(HAIKU, call())]
    assert isinstance(items[0], Text) and not items[0].text and items[0].headroom
    axes = items[0].headroom.axes
    assert (axes["requests"].limit, axes["requests"].remaining) == (50, 49)
    assert 0 <= axes["requests"].resets_s <= 3
    assert set(axes) == ({"requests", "tokens"} | ({"input_tokens", "output_tokens"} if name == "anthropic" else set()))
    assert not any(item.headroom for item in items[1:] if isinstance(item, Text))


@both
async def test_a_refusal_tells_the_limits_too(name: str, bench: Bench) -> None:
    """A 429 says what is left and how long to wait: both are passed on, the headroom before the error."""
    bench.server.script.limit(Limits(requests=1))
    await run(bench.of(name))
    items: list[Any] = []
    with pytest.raises(ProviderError) as told:
        async for item in bench.of(name).stream(HAIKU, call()):
            items.append(item)  # noqa: PERF401
    assert told.value.code == "provider_rate_limited" and 0 < (told.value.retry_after_s or 0) <= 60
    assert [item.headroom.axes["requests"].remaining for item in items] == [0]


@both
async def test_without_rate_limit_headers_nothing_is_told(name: str, bench: Bench) -> None:
    """A local server tells no limits: no piece carries any."""
    items = [item async for item in bench.of(name).stream(HAIKU, call())]
    assert not any(item.headroom for item in items if isinstance(item, Text))


# ---------------------------------------------------------------- citations of the provider's own

LISBON, TEA = "Ann leads a team of four in Lisbon.", "She likes tea."
DOCUMENTS = (
    (
        Chunk('<section n="1">'),
        Chunk(LISBON, 1, 0),
        Chunk(TEA, 1, 36),
        Chunk('<section n="2">'),
        Chunk("Old jobs", 2, 0),
    ),
    (Chunk('<section n="7">'), Chunk("She shipped the Harbor game.", 7, 5)),
)


def citing(question: str = "Where does Ann lead a team?", **changes: Any) -> Call:
    """A call whose prompt may also be asked for with its sections as documents."""
    plain = call(question, **changes)
    cited = replace(plain.prompt, instructions="Cite.", prefix="", documents=DOCUMENTS, max_output_tokens=450)
    return replace(plain, prompt=replace(plain.prompt, cited=cited))


def document(*chunks: str, **more: Any) -> dict[str, Any]:
    content = [{"type": "text", "text": chunk} for chunk in chunks]
    source = {"type": "content", "content": content}
    return {"type": "document", "source": source, "citations": {"enabled": True}, **more}


async def test_the_request_with_documents_byte_for_byte(bench: Bench) -> None:
    """Shared documents come first with a breakpoint, what was found stands before the question, and nothing else."""
    history = (Message("user", "Hello? " * 200), Message("assistant", "Hello. " * 200))
    asked = citing(history=history, cache_ttl="1h")
    found = ((Chunk('<section n="9">'), Chunk("She plays jazz.", 9, 0)),)
    assert asked.prompt.cited
    asked = replace(asked, prompt=replace(asked.prompt, cited=replace(asked.prompt.cited, found=found)))
    await run(bench.anthropic, asked)
    hour, minutes = ({"type": "ephemeral", "ttl": ttl} for ttl in ("1h", "5m"))
    assert bench.server.requests[-1].body == {
        "model": HAIKU,
        "max_tokens": 450,
        "stream": True,
        "system": [{"type": "text", "text": "Cite.", "cache_control": hour}],
        "messages": [
            {
                "role": "user",
                "content": [
                    document('<section n="1">', LISBON, TEA, '<section n="2">', "Old jobs"),
                    document('<section n="7">', "She shipped the Harbor game.", cache_control=hour),
                    {"type": "text", "text": history[0].text},
                ],
            },
            {"role": "assistant", "content": [{"type": "text", "text": history[1].text, "cache_control": minutes}]},
            {
                "role": "user",
                "content": [
                    document('<section n="9">', "She plays jazz."),
                    {"type": "text", "text": "Where does Ann lead a team?"},
                ],
            },
        ],
    }


async def test_two_questions_share_every_byte_of_the_documents(bench: Bench) -> None:
    """The prefix is the same bytes up to the last document, and the second question reads all of it from the cache."""
    _, first = await run(bench.anthropic, citing("Where does Ann lead a team?"))
    _, second = await run(bench.anthropic, citing("What does she like?"))
    one, two = (seen.raw for seen in bench.server.requests)
    end = one.index(b'{"type":"text","text":"Where does Ann lead')
    assert b"Harbor game" in one[:end]
    assert one[:end] == two[:end]
    assert second.usage.cache_read_tokens == first.usage.cache_write_tokens > 0
    await run(bench.anthropic, citing(cache_ttl=""))
    assert b"cache_control" not in bench.server.requests[-1].raw


async def test_a_citation_comes_as_the_marker_of_its_place_behind_its_words(bench: Bench) -> None:
    """Each block of cited text is followed by its section's number and the characters that are cited."""
    text, finish = await run(bench.anthropic, citing("What does she like?"))
    assert text == "She likes tea.[[1:36-50]]"
    assert finish.finish_reason == "stop"
    chunks = [
        "Ann leads four",
        {"document": 0, "start": 1, "end": 3},
        {"document": 1, "start": 1, "end": 2},
        " in all.",
    ]
    bench.server.script = Script.of([{"chunks": chunks}])
    text, _ = await run(bench.anthropic, citing())
    assert text == "Ann leads four[[1:0-50]][[7:5-33]] in all."


@pytest.mark.parametrize(
    ("cite", "marker"),
    [
        ({"document": 0, "start": 1, "end": 2}, "[[1:0-35]]"),
        ({"document": 0, "start": 0, "end": 3}, "[[1:0-50]]"),  # with the heading, which is no one's words
        ({"document": 0, "start": 2, "end": 5}, "[[1:36-50]][[2:0-8]]"),  # over two sections
        ({"document": 0, "start": 1, "end": 2, "cited_text": LISBON.replace(" ", "  ")}, "[[1:0-35]]"),
        ({"document": 0, "start": 1, "end": 2, "cited_text": "Ann leads a team of nine in Lisbon."}, ""),
        ({"document": 0, "start": 2, "end": 3, "cited_text": LISBON}, ""),  # stands elsewhere
        ({"document": 0, "start": 0, "end": 1}, ""),  # only a heading
        ({"document": 0, "start": 1, "end": 6, "cited_text": LISBON}, ""),
        ({"document": 0, "start": -4, "end": 2, "cited_text": LISBON}, ""),
        ({"document": 0, "start": 2, "end": 2, "cited_text": LISBON}, ""),
        ({"document": 2, "start": 1, "end": 2, "cited_text": LISBON}, ""),
        ({"document": -2, "start": 1, "end": 2, "cited_text": LISBON}, ""),
    ],
)
async def test_a_citation_that_is_not_true_is_no_marker(cite: dict[str, Any], marker: str, bench: Bench) -> None:
    """The chunks must be there and read as the provider says; its word is not taken for it."""
    bench.server.script = Script.of([{"chunks": ["Ann leads a team.", cite]}])
    text, _ = await run(bench.anthropic, citing())
    assert text == f"Ann leads a team.{marker}"


async def test_refused_documents_are_sent_as_text_from_then_on(bench: Bench) -> None:
    """An endpoint that answers 400 to documents is asked once more with markers, and not tried again."""
    bench.server.script = Script.of([{"fault": "bad_request", "times": 1}])
    for _ in range(2):
        text, _finish = await run(bench.anthropic, citing("What does she like?"))
        assert text == "She likes tea. [[1]]"
    assert [b'"document"' in seen.raw for seen in bench.server.requests] == [True, False, False]


@pytest.mark.parametrize(("name", "model"), [("anthropic", "claude-unheard-of"), ("openai", "llama3.2")])
async def test_who_is_not_known_to_cite_is_given_text_and_writes_markers(name: str, model: str, bench: Bench) -> None:
    """Without a fact that says so, a model gets the plain form."""
    text, _ = await run(bench.of(name), citing("What does she like?"), model)
    assert text == "She likes tea. [[1]]"
    assert b'"document"' not in bench.server.requests[-1].raw


# ---------------------------------------------------------------- leaving


@both
@pytest.mark.parametrize("behaviour", ["words-500", "stalls"])
async def test_closing_the_stream_ends_the_request_upstream(name: str, behaviour: str, bench: Bench) -> None:
    """A visitor who leaves mid-answer costs no more tokens: the server sees the connection go at once."""
    bench.server.script = Script.of([{"behaviour": behaviour, "delay_ms": 5}])
    async with aclosing(bench.of(name).stream(HAIKU, call())) as stream:
        assert isinstance(await anext(stream), Text)
    await until(lambda: bench.server.requests[-1].disconnected, 0.3)
    assert not bench.server.requests[-1].finished


@both
@pytest.mark.parametrize("behaviour", ["silent", "ping_only", "slow-5000"])
async def test_cancelling_the_wait_for_the_first_word_ends_the_request(name: str, behaviour: str, bench: Bench) -> None:
    """A stream that never says a word is the gateway's to end; ended, it is gone upstream too."""
    bench.server.script = Script.of(behaviour)
    stream = bench.of(name).stream(HAIKU, call())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(stream), 0.15)
    await until(lambda: bench.server.requests[-1].disconnected, 0.3)


async def test_two_streams_at_once_do_not_mix(bench: Bench) -> None:
    """Each call has its own text, headers and end."""
    bench.server.script = Script.of([{"match": "cut", "fault": "cut_off"}, {"match": "", "behaviour": "echo"}])
    asked = [call(f"number {at} please") for at in range(10)] + [call("cut this one")]
    results = await asyncio.gather(*(run(bench.anthropic, one) for one in asked), return_exceptions=True)
    texts = [result[0] for result in results if isinstance(result, tuple)]
    assert texts == [f"number {at} please" for at in range(10)]
    assert isinstance(results[-1], ProviderError)


# ---------------------------------------------------------------- faults


@both
@pytest.mark.parametrize("fault", [fault for fault, what in FAULTS.items() if not what.hangs])
async def test_every_fault_has_its_stable_code(name: str, fault: str, bench: Bench) -> None:
    """Status, error event or broken stream: one code, one plain sentence, one request."""
    bench.server.script = Script.of(fault)
    said: list[str] = []
    with pytest.raises(ProviderError) as told:
        async for item in bench.of(name).stream(HAIKU, call()):
            said += [item.text] if isinstance(item, Text) else []
    expected = FAULTS[fault]
    assert told.value.code == expected.code
    assert told.value.retryable == TOLD[expected.code].retryable
    assert told.value.message.startswith((f"{name}:{HAIKU} ", f"The answer of {name}:{HAIKU} "))
    assert told.value.next_step
    assert bool(said) == expected.mid_answer
    assert len(bench.server.requests) == 1  # retrying is the gateway's


@both
async def test_a_rate_limit_says_when_to_come_back(name: str, bench: Bench) -> None:
    """retry-after is passed on; a spend limit, though a 429 too, is never to be retried."""
    bench.server.script = Script.of("rate_limited")
    with pytest.raises(ProviderError) as told:
        await run(bench.of(name))
    assert (told.value.retryable, told.value.retry_after_s) == (True, 7.0)
    bench.server.script = Script.of("spend_limit")
    with pytest.raises(ProviderError) as told:
        await run(bench.of(name))
    assert (told.value.code, told.value.retryable, told.value.retry_after_s) == ("provider_spend_limit", False, None)


@both
async def test_the_key_never_shows(name: str, bench: Bench, make_site: Callable[..., Settings]) -> None:
    """Not in a message, a traceback or a repr, even where the endpoint throws it back at us."""
    leak = f"Incorrect API key provided: {KEY}. Also {KEY[:14]}***key."
    body = {"error": {"type": "invalid_request_error", "message": leak, "code": None, "param": None}}
    answer = json.dumps(body if name == "openai" else {"type": "error", **body}).encode()
    async with raw_server(b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n", answer) as url:
        environ = {f"{name.upper()}_API_KEY": KEY, f"{name.upper()}_BASE_URL": url}
        async with opened(make_site({}, environ=environ), name) as provider:
            with pytest.raises(ProviderError) as told:
                await run(provider)
            shown = "".join(traceback.format_exception(told.value)) + repr(told.value) + repr(provider)
            shown += "".join(map(repr, vars(provider).values()))
    assert "It said: Incorrect API key provided: …" in told.value.message
    assert "verysecret" not in shown
    assert KEY[:12] not in shown


@both
async def test_a_wrong_key_names_the_variable(name: str, bench: Bench, make_site: Callable[..., Settings]) -> None:
    """A refused key says which variable to look at."""
    environ = {f"{name.upper()}_API_KEY": "wrong", f"{name.upper()}_BASE_URL": bench.server.url}
    if name == "openai":
        environ["OPENAI_BASE_URL"] = bench.server.openai_url
    async with opened(make_site({}, environ=environ), name) as provider:
        with pytest.raises(ProviderError, match=f"refused the key. Check {name.upper()}_API_KEY") as told:
            await run(provider)
    assert told.value.code == "provider_key_refused"


async def test_an_unknown_model_is_named(bench: Bench) -> None:
    """A 404 names the model and where to look."""
    with pytest.raises(ProviderError, match="anthropic:claude-nope@model_unknown is not known") as told:
        await run(bench.anthropic, model="claude-nope@model_unknown")
    assert told.value.code == "provider_model_unknown"


@both
async def test_a_closed_port_is_unreachable_at_once(
    name: str, free_port: int, make_site: Callable[..., Settings]
) -> None:
    """Nobody listening is told within a second, as such."""
    environ = {f"{name.upper()}_API_KEY": KEY, f"{name.upper()}_BASE_URL": f"http://127.0.0.1:{free_port}"}
    async with opened(make_site({}, environ=environ), name) as provider:
        begun = time.perf_counter()
        with pytest.raises(ProviderError) as told:
            await run(provider)
    assert told.value.code == "provider_unreachable"
    assert told.value.retryable
    assert time.perf_counter() - begun < 1.0


async def test_a_local_server_needs_no_key(bench: Bench, make_site: Callable[..., Settings]) -> None:
    """As with Ollama: a base URL alone is enough."""
    environ = {"OPENAI_BASE_URL": bench.server.openai_url}
    async with opened(make_site({}, environ=environ), "openai") as provider:
        text, _ = await run(provider, model="llama3.2")
    assert text == "Ann leads a team of four in Lisbon. [[1]]"


# ---------------------------------------------------------------- streams that no script tells


@asynccontextmanager
async def raw_server(head: bytes, body: bytes, announced: bytes = b"connection: close\r\n") -> AsyncIterator[str]:
    """Answers every request with these bytes and closes the connection, announced or not."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        header = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in header.lower().split(b"\r\n") if line.startswith(b"content-length"))
        await reader.readexactly(int(length.partition(b":")[2]))
        writer.write(head + announced + b"\r\n" + body)
        with suppress(ConnectionError):
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"


def anthropic_events(*events: dict[str, Any]) -> bytes:
    return b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events)


def openai_events(*events: dict[str, Any] | str) -> bytes:
    lines = [event if isinstance(event, str) else json.dumps(event) for event in events]
    return "".join(f"data: {line}\n\n" for line in lines).encode()


MESSAGE: dict[str, Any] = {"id": "m", "type": "message", "role": "assistant", "model": HAIKU, "content": []}
COUNTED = {"stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 5, "output_tokens": 1}}
START: dict[str, Any] = {"type": "message_start", "message": MESSAGE | COUNTED}
BLOCK: dict[str, Any] = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
DELTA: dict[str, Any] = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi."}}
END: dict[str, Any] = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn", "stop_sequence": None},
    "usage": {"output_tokens": 3},
}
STOP: dict[str, Any] = {"type": "message_stop"}


def chunk(delta: dict[str, Any] | None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, **more}


Streamed = Callable[[str, bytes, bytes], Awaitable[tuple[str, Finish]]]


@pytest.fixture
async def streamed(make_site: Callable[..., Settings]) -> Streamed:
    async def stream(name: str, head: bytes, body: bytes) -> tuple[str, Finish]:
        async with raw_server(head, body) as url:
            environ = {f"{name.upper()}_API_KEY": KEY, f"{name.upper()}_BASE_URL": url}
            async with opened(make_site({}, environ=environ), name) as provider:
                return await run(provider)

    return stream


@pytest.mark.parametrize(
    ("name", "head", "body", "code"),
    [
        ("anthropic", SSE, b"", "provider_cut_off"),
        ("anthropic", SSE, anthropic_events(START), "provider_cut_off"),
        ("anthropic", SSE, anthropic_events(START, BLOCK, DELTA), "provider_cut_off"),
        ("anthropic", SSE, anthropic_events(START, BLOCK, DELTA, END), "provider_cut_off"),
        ("anthropic", SSE, anthropic_events(BLOCK, DELTA, END, STOP), "provider_bad_output"),
        ("anthropic", SSE, anthropic_events(START, {**START, "type": "error", "error": {"type": "new_error", "message": "?"}}), "provider_overloaded"),  # noqa: E501
        ("anthropic", b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n", b"<html>Log in</html>", "provider_bad_output"),
        ("anthropic", b"HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\n", b"<html>", "provider_overloaded"),
        ("anthropic", b"HTTP/1.1 409 Conflict\r\ncontent-type: text/html\r\n", b"<html>", "provider_bad_request"),
        ("anthropic", b"HTTP/1.1 408 Timeout\r\ncontent-type: text/html\r\n", b"<html>", "provider_timeout"),
        ("anthropic", b"nonsense\r\n", b"", "provider_unreachable"),
        ("openai", SSE, b"", "provider_cut_off"),
        ("openai", SSE, openai_events(chunk({"content": "Hi."})), "provider_cut_off"),
        ("openai", SSE, openai_events(chunk({"content": "data: [DONE]"}), chunk({"content": "\n\ndata: [DONE]\n"})), "provider_cut_off"),  # noqa: E501
        ("openai", b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n", b"<html>Log in</html>", "provider_bad_output"),
        ("openai", b"HTTP/1.1 503 Unavailable\r\ncontent-type: text/html\r\n", b"<html>", "provider_overloaded"),
        ("openai", b"nonsense\r\n", b"", "provider_unreachable"),
    ],
)  # fmt: skip
async def test_a_stream_of_strange_form_is_a_named_fault(
    name: str, head: bytes, body: bytes, code: str, streamed: Streamed
) -> None:
    """Empty, cut, out of order, from a log-in page: a ProviderError each time, never a parser's own error."""
    with pytest.raises(ProviderError) as told:
        await streamed(name, head, body)
    assert told.value.code == code


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("anthropic", anthropic_events(START, BLOCK, DELTA, END, STOP)),
        ("anthropic", anthropic_events(START, BLOCK, DELTA, END) + b'event: message_stop\ndata: {"type":"message_stop"             }\n\n'),  # noqa: E501
        ("openai", openai_events(chunk({"content": "Hi."}), chunk({}, "stop"))),  # no [DONE]
        ("openai", openai_events(chunk({"content": "Hi."}), "[DONE]")),  # no finish reason
        ("openai", openai_events(chunk({"content": "Hi."}, "stop"), chunk(None, usage={"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}), "[DONE]")),  # noqa: E501
    ],
)  # fmt: skip
async def test_what_different_endpoints_leave_out_is_no_fault(name: str, body: bytes, streamed: Streamed) -> None:
    """An answer is whole where its provider says so, in either of the ways that are in use."""
    text, finish = await streamed(name, SSE, body)
    assert (text, finish.finish_reason) == ("Hi.", "stop")


async def test_a_connection_that_was_closed_in_between_is_noticed(make_site: Callable[..., Settings]) -> None:
    """The next question does not run into the connection that the server closed after the last one."""
    body = anthropic_events(START, BLOCK, DELTA, END, STOP)
    async with raw_server(SSE + b"content-length: %d\r\n" % len(body), body, b"") as url:
        environ = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": url}
        async with opened(make_site({}, environ=environ), "anthropic") as provider:
            for _ in range(3):
                assert (await run(provider))[0] == "Hi."
                await asyncio.sleep(0.01)


async def test_an_answer_that_quotes_the_end_mark_does_not_end(streamed: Streamed) -> None:
    """The word message_stop in the text is text."""
    quoted = {**DELTA, "delta": {"type": "text_delta", "text": '{"type": "message_stop"} \nevent: message_stop'}}
    with pytest.raises(ProviderError) as told:
        await streamed("anthropic", SSE, anthropic_events(START, BLOCK, quoted))
    assert told.value.code == "provider_cut_off"


async def test_thinking_is_not_shown(streamed: Streamed) -> None:
    """Only text blocks are the answer."""
    think = {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "thinking", "thinking": "", "signature": ""},
    }
    thought = {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hmm."}}
    text, _ = await streamed(
        "anthropic",
        SSE,
        anthropic_events(START, think, thought, {**BLOCK, "index": 1}, {**DELTA, "index": 1}, END, STOP),
    )
    assert text == "Hi."
    reasoned = openai_events(chunk({"reasoning_content": "Hmm."}), chunk({"content": "Hi."}, "stop"), "[DONE]")
    assert (await streamed("openai", SSE, reasoned))[0] == "Hi."


async def test_an_endpoint_that_counts_nothing_is_estimated(streamed: Streamed) -> None:
    """Without usage on the wire the counts are estimates, and say so."""
    _, finish = await streamed("openai", SSE, openai_events(chunk({"content": "Hi."}, "stop"), "[DONE]"))
    assert finish.usage.estimated
    assert finish.usage.input_tokens > 20
    assert finish.usage.output_tokens > 0


@pytest.mark.parametrize("reason", ["pause_turn", "model_context_window_exceeded", "max_tokens"])
async def test_an_unfinished_turn_is_told_as_cut_short(reason: str, streamed: Streamed) -> None:
    """Whatever stops a model before its own end is `length`."""
    end = {**END, "delta": {"stop_reason": reason, "stop_sequence": None}}
    _, finish = await streamed("anthropic", SSE, anthropic_events(START, BLOCK, DELTA, end, STOP))
    assert finish.finish_reason == "length"
