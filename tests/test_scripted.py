"""The shipped test double: its scripts, its wire formats as the real SDKs read them, its pretended cache."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from askfit.config import Settings
from askfit.errors import ProviderError, SettingsError
from askfit.providers import open_provider
from askfit.providers.scripted import Asked, Script, Scripted, ScriptedServer, load_script
from askfit.providers.scripted.behaviours import FAULTS, behave, least
from askfit.providers.scripted.cache import Block, Charge, PromptCache
from askfit.rates import Limits
from askfit.text import estimate_tokens
from askfit.types import Call, Finish, Message, Prompt, Text, Usage

HAIKU = "claude-haiku-4-5"
CORPUS = (
    'Cite as [[12]], or say [[none]].\n\n<section n="1" title="About" heading="">\nAnn leads a team of four in Lisbon. '
    "She likes tea.\n</section>\n"
    '<section n="2" title="Work" heading="">\nShe shipped the Harbor game in 2021.\n</section>'
)


def asked(question: str, system: str = CORPUS, schema: dict[str, Any] | None = None) -> Asked:
    return Asked("m", system, (Message("user", question),), 600, schema)


def call(question: str = "Who?", **changes: Any) -> Call:
    async def nothing() -> AsyncIterator[str]:
        yield ""

    fields: dict[str, Any] = {"messages": (Message("user", question),), "max_output_tokens": 300, **changes}
    return Call("ask", "answer", Prompt("Be brief.", fields.pop("prefix", CORPUS), **fields), nothing)


# ---------------------------------------------------------------- behaviours


@pytest.mark.parametrize(
    ("name", "question", "text"),
    [
        ("echo", "Say  this.\nAnd this. ", "Say  this.\nAnd this. "),
        ("words-3", "?", "word1 word2 word3"),
        ("empty", "?", ""),
        ("faithful", "When did she ship Harbor?", "She shipped the Harbor game in 2021. [[2]]"),
        ("faithful", "<question>\nWhat does she like?\n</question>", "She likes tea. [[1]]"),
        ("faithful", "What is the weather like in spring?", "[[none]]"),
        (
            "faithful",
            '<passages>\n<section n="9" title="Jazz" heading="">\nShe plays jazz piano.\n</section>\n</passages>\n\n'
            "<question>\nDoes she play the piano?\n</question>",
            "She plays jazz piano. [[9]]",
        ),
    ],
)
def test_a_behaviour_says_what_its_name_promises(name: str, question: str, text: str) -> None:
    """Echo, words, silence, and the quoting model that reads askfit's own prompts."""
    assert behave(name, asked(question)).text == text


def test_the_faithful_model_judges_by_the_rows() -> None:
    """Each listed requirement gets the rows whose names stand in it; nothing is guessed."""
    matrix = "<matrix>\nrow | skill | level\n2 | Python | 4 | Tools\n3 | Data platforms | 1\n</matrix>"
    listed = "r1 | 0.7 | must | Own our data platforms\nr2 | 0.3 | preferred | Some Python\nr3 | 0.0 | must | Rust"
    posting = f"<requirements>\nid | emphasis | kind | quote\n{listed}\n</requirements>\n\n<posting>\nText\n</posting>"
    made = json.loads(behave("faithful", asked(posting, matrix, {"properties": {"requirements": {}}})).text)
    assert [(one["id"], one["band"], one["rows"]) for one in made["requirements"]] == [
        ("r1", "gap", [3]),
        ("r2", "strong", [2]),
        ("r3", "gap", []),
    ]
    assert made["verdict"] == "stretch"
    assert made["misfits"][0]["requirement_ids"] == ["r1"]


def test_the_least_value_fits_its_schema() -> None:
    """References, enums, unions and minimums are respected."""
    schema = {
        "$defs": {"Row": {"type": "object", "properties": {"n": {"type": "integer", "minimum": 2}}}},
        "type": "object",
        "properties": {
            "rows": {"type": "array", "items": {"$ref": "#/$defs/Row"}, "minItems": 1},
            "band": {"enum": ["gap", "strong"]},
            "note": {"anyOf": [{"type": "string", "minLength": 2}, {"type": "null"}]},
            "kind": {"const": 1},
            "on": {"type": ["boolean", "null"]},
            "share": {"type": "number", "exclusiveMinimum": 0},
        },
    }
    assert least(schema) == {"rows": [{"n": 2}], "band": "gap", "note": "xx", "kind": 1, "on": False, "share": 1}


# ---------------------------------------------------------------- scripts


def test_the_first_matching_rule_replies_until_it_is_used_up() -> None:
    """Rules go in order, `times` uses them up, and what no rule matches falls to `otherwise`."""
    script = Script.of({
        "rules": [{"match": "(?i)lisbon", "text": "Once.", "times": 1}, {"match": "^Where", "json": {"at": "Lisbon"}}],
        "otherwise": "echo",
    })  # fmt: skip
    replies = [script.reply(asked(question)).text for question in ("Where is LISBON?", "Where is Lisbon?", "Who?")]
    assert replies == ["Once.", '{"at": "Lisbon"}', "Who?"]


def test_a_rule_that_only_slows_or_counts_keeps_the_models_own_words() -> None:
    """Pace, usage and faults may be added to any behaviour."""
    usage = {"input_tokens": 10, "output_tokens": 2}
    rule = {"behaviour": "words-4", "first_ms": 30, "delay_ms": 2, "fault": "cut_off", "fault_after": 1, "usage": usage}
    reply = Script.of([rule]).reply(asked("?"))
    assert reply.before_fault() == ("word1",)
    assert (reply.first_ms, reply.piece_ms, reply.usage) == (30, 2, Usage(10, 2))


@pytest.mark.parametrize("ending", ["yaml", "json"])
def test_a_script_is_read_from_a_file(ending: str, tmp_path: Path) -> None:
    """YAML and JSON, as a list of rules or with `otherwise`."""
    texts = {"yaml": "- match: tea\n  chunks: ['Yes', ' she does.']\n", "json": '{"rules": [{"text": "No."}]}'}
    path = tmp_path / f"script.{ending}"
    path.write_text(texts[ending], encoding="utf-8")
    assert load_script(path).reply(asked("tea?")).text in ("Yes she does.", "No.")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nope", "unknown behaviour 'nope'"),
        ([{"fault": "sunspots"}], "unknown fault 'sunspots'"),
        ([{"match": "("}], "no regular expression"),
        ([{"reply": "x"}], "Extra inputs"),
        ([{"text": "x", "times": 0}], "greater than or equal to 1"),
    ],
)
def test_a_wrong_script_says_where_and_what(given: Any, said: str) -> None:
    """A script is the reader's own file: one sentence with the place, and the next step."""
    with pytest.raises(SettingsError, match=said) as told:
        Script.of(given)
    assert told.value.code == "script_invalid"
    assert "docs/scripted.md" in told.value.next_step


@pytest.mark.parametrize(("content", "code"), [("rules: [", "script_unreadable"), ("just words", "script_invalid")])
def test_a_file_that_is_no_script_is_named(content: str, code: str, tmp_path: Path) -> None:
    """Broken YAML and YAML of another kind are told apart; a missing file is unreadable."""
    path = tmp_path / "s.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError) as told:
        load_script(path)
    assert told.value.code == code
    with pytest.raises(SettingsError) as told:
        load_script(tmp_path / "absent.yaml")
    assert told.value.code == "script_unreadable"


# ---------------------------------------------------------------- in process


async def items(provider: Scripted, name: str, one: Call) -> list[Text | Finish]:
    return [item async for item in provider.stream(name, one)]


async def test_in_process_it_streams_and_counts(make_site: Callable[..., Settings]) -> None:
    """`scripted:NAME` yields text and a finish; the second call of the same prefix reads the pretended cache."""
    provider = open_provider("scripted", make_site({}))
    assert isinstance(provider, Scripted)
    long = call(prefix=CORPUS * 20, cache_ttl="1h")
    *pieces, first = await items(provider, "words-3", long)
    *_, second = await items(provider, "words-3", long)
    assert [piece.text for piece in pieces if isinstance(piece, Text)] == ["word1", " word2", " word3"]
    assert isinstance(first, Finish)
    assert isinstance(second, Finish)
    assert first.usage.cache_write_1h_tokens == second.usage.cache_read_tokens > 1024
    assert first.usage.input_tokens == second.usage.input_tokens
    await provider.aclose()


async def test_in_process_a_script_stands_beside_the_settings(make_site: Callable[..., Settings]) -> None:
    """`scripted:demo.yaml` is looked for in the site's folder and keeps its state between calls."""
    provider = Scripted(make_site({"demo.yaml": "- {text: First., times: 1}\n- {text: Then.}\n"}))
    said = [(await items(provider, "demo.yaml", call()))[0] for _ in range(2)]
    assert said == [Text("First."), Text("Then.")]


@pytest.mark.parametrize("fault", [name for name, what in FAULTS.items() if not what.hangs])
async def test_in_process_a_fault_is_the_real_providers_error(fault: str) -> None:
    """The same codes as over the wire, so that a gateway can be tried without a socket."""
    said: list[str] = []
    with pytest.raises(ProviderError) as told:
        async for item in Scripted().stream(fault, call("Where does Ann lead a team?")):
            said += [item.text] if isinstance(item, Text) else []
    assert told.value.code == FAULTS[fault].code
    assert bool(said) == FAULTS[fault].mid_answer


@pytest.mark.parametrize("name", ["silent", "ping_only", "stalls"])
async def test_in_process_a_hanging_model_hangs_until_it_is_closed(name: str) -> None:
    """Patience is the gateway's."""
    async with aclosing(Scripted().stream(name, call("Where does Ann lead a team?"))) as stream:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                async for _ in stream:
                    pass


@pytest.mark.parametrize("name", ["nope", "absent.yaml", "words-x"])
async def test_in_process_an_unknown_name_is_an_unknown_model(name: str, make_site: Callable[..., Settings]) -> None:
    """A misspelt behaviour or a missing file is told like a model that does not exist."""
    with pytest.raises(ProviderError, match="is not known") as told:
        await items(Scripted(make_site({})), name, call())
    assert told.value.code == "provider_model_unknown"


async def test_in_process_the_allowance_is_kept() -> None:
    """An answer longer than max_output_tokens is cut, and says so."""
    *pieces, finish = await items(Scripted(), "words-200", call(max_output_tokens=10))
    assert isinstance(finish, Finish)
    assert finish.finish_reason == "length"
    assert finish.usage.output_tokens <= 10
    assert len(pieces) < 20


# ---------------------------------------------------------------- on the wire, as the SDKs read it


@pytest.fixture(scope="module")
def running() -> Iterator[ScriptedServer]:
    with ScriptedServer(minimums={HAIKU: 50}) as server:
        yield server


@pytest.fixture
def server(running: ScriptedServer) -> ScriptedServer:
    running.reset()
    return running


ASK: dict[str, Any] = {
    "model": HAIKU,
    "max_tokens": 100,
    "system": CORPUS,
    "messages": [{"role": "user", "content": "What does she like?"}],
}


async def test_anthropics_own_client_reads_stream_and_message_alike(server: ScriptedServer) -> None:
    """The SDK accumulates our events to the very message that it gets without streaming."""
    from anthropic import AsyncAnthropic

    async with AsyncAnthropic(api_key="any", base_url=server.url, max_retries=0) as client:
        async with client.messages.stream(**ASK) as stream:
            kinds = [event.type async for event in stream]
            streamed = await stream.get_final_message()
        whole = await client.messages.create(**ASK)
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-1] == "message_stop"
    texts = [message.content[0].to_dict()["text"] for message in (streamed, whole)]
    assert texts == ["She likes tea. [[1]]"] * 2
    assert (streamed.stop_reason, whole.stop_reason) == ("end_turn", "end_turn")
    assert streamed.usage.output_tokens == whole.usage.output_tokens > 1
    assert streamed.usage.input_tokens == whole.usage.input_tokens


GREEN = {"type": "text", "media_type": "text/plain", "data": "The grass is green. The sky is blue."}
SECTIONS = {
    "type": "content",
    "content": [{"type": "text", "text": text} for text in ('<section n="4">', "She likes tea.", "She reads.")],
}


def with_documents(*sources: dict[str, Any], question: str = "What does she like?", **more: Any) -> dict[str, Any]:
    """A request whose documents may be cited."""
    documents = [{"type": "document", "source": source, "citations": {"enabled": True}} for source in sources]
    content = [*documents, {"type": "text", "text": question}]
    return {"model": HAIKU, "max_tokens": 100, "messages": [{"role": "user", "content": content}], **more}


async def test_citations_reach_anthropics_own_client_streamed_and_whole(server: ScriptedServer) -> None:
    """Cited words are blocks of their own, located by block or by character, and a stream adds up to the message."""
    from anthropic import AsyncAnthropic

    chunks = [
        "Well, she likes tea",
        {"document": 1, "start": 1, "end": 2},
        " and",
        " blue skies",
        {"document": 0, "start": 1, "end": 2},
        ".",
    ]
    server.script = Script.of([{"chunks": chunks}])
    body = with_documents(GREEN, SECTIONS)
    async with AsyncAnthropic(api_key="any", base_url=server.url, max_retries=0) as client:
        async with client.messages.stream(**body) as stream:
            events = [event async for event in stream]
            streamed = await stream.get_final_message()
        whole = await client.messages.create(**body)
    assert [event.type for event in events].count("citation") == 2
    both = [[block.to_dict() for block in message.content] for message in (streamed, whole)]
    texts, cited = zip(*((block["text"], block["citations"]) for block in both[1]), strict=True)
    assert both[0] == both[1]
    assert texts == ("Well, she likes tea", " and blue skies", ".")
    assert cited[0] == [
        {
            "type": "content_block_location",
            "cited_text": "She likes tea.",
            "document_index": 1,
            "document_title": None,
            "file_id": None,
            "start_block_index": 1,
            "end_block_index": 2,
        }
    ]
    assert (cited[1][0]["type"], cited[1][0]["cited_text"]) == ("char_location", "The sky is blue.")
    assert (cited[1][0]["start_char_index"], cited[1][0]["end_char_index"]) == (20, 36)
    assert not cited[2]


def test_the_faithful_model_cites_documents_instead_of_writing_markers(server: ScriptedServer) -> None:
    """Where it may cite it does, by the section's heading; its words are free of markers."""
    _, answer = post(server, with_documents(SECTIONS))
    [block] = answer["content"]
    assert block["text"] == "She likes tea."
    assert [one["cited_text"] for one in block["citations"]] == ["She likes tea."]


def test_documents_that_may_not_be_cited_are_not(server: ScriptedServer) -> None:
    """Without `citations` a document is text, and the model writes markers."""
    body = with_documents(SECTIONS)
    del body["messages"][0]["content"][0]["citations"]
    assert post(server, body)[1]["content"] == [{"type": "text", "text": "She likes tea. [[4]]"}]


def test_a_citation_where_nothing_can_be_cited_is_left_out(server: ScriptedServer) -> None:
    """The wire of OpenAI, and a request without documents, carry a script's words alone."""
    server.script = Script.of([{"chunks": ["Tea.", {"document": 0, "start": 0, "end": 1}]}])
    assert post(server, ASK)[1]["content"] == [{"type": "text", "text": "Tea."}]
    messages = [{"role": "user", "content": "What?"}]
    _, answer = post(server, {"model": "m", "messages": messages}, path="/v1/chat/completions")
    assert answer["choices"][0]["message"]["content"] == "Tea."


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"output_config": {"format": {"type": "json_schema", "schema": {}}}}, "structured output"),
        ({"documents": [SECTIONS, {"type": "content", "content": [{"type": "text", "text": " "}]}]}, "non-empty"),
        ({"off": 1}, "all or none"),
    ],
)
def test_documents_that_the_api_refuses_are_refused(change: dict[str, Any], said: str, server: ScriptedServer) -> None:
    """Citations beside a schema, an empty chunk, citations of some documents only: 400."""
    body = with_documents(*change.pop("documents", [SECTIONS, GREEN]))
    if off := change.pop("off", None):
        del body["messages"][0]["content"][off]["citations"]
    status, answer = post(server, {**body, **change})
    assert status == 400
    assert said in answer["error"]["message"]


async def test_openais_own_client_reads_stream_and_completion_alike(server: ScriptedServer) -> None:
    """Chunks add up to the completion, and usage comes only where it is asked for."""
    from openai import AsyncOpenAI

    messages: list[Any] = [{"role": "system", "content": CORPUS}, *ASK["messages"]]
    async with AsyncOpenAI(api_key="any", base_url=server.openai_url, max_retries=0) as client:
        plain = [
            chunk async for chunk in await client.chat.completions.create(model="m", messages=messages, stream=True)
        ]
        counted = await client.chat.completions.create(
            model="m", messages=messages, stream=True, stream_options={"include_usage": True}
        )
        last = [chunk async for chunk in counted][-1]
        whole = await client.chat.completions.create(model="m", messages=messages)
        listed = await client.models.list()
    text = "".join(chunk.choices[0].delta.content or "" for chunk in plain if chunk.choices)
    assert text == whole.choices[0].message.content == "She likes tea. [[1]]"
    assert plain[-1].choices[0].finish_reason == whole.choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in plain)
    assert last.usage
    assert whole.usage
    assert last.usage.completion_tokens == whole.usage.completion_tokens
    assert [model.id for model in listed.data] == ["scripted"]


def post(server: ScriptedServer, body: Any, key: str = "any", path: str = "/v1/messages") -> tuple[int, dict[str, Any]]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{server.url}{path}", data, {"x-api-key": key} if key else {})
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "model: Field required"),
        ({**ASK, "max_tokens": 0}, "max_tokens"),
        ({**ASK, "messages": []}, "first message"),
        ({**ASK, "messages": [{"role": "assistant", "content": "Hi"}]}, "first message"),
        ({**ASK, "messages": [{"role": "user", "content": " "}]}, "non-empty"),
        ({**ASK, "model": f"{HAIKU}@nope"}, "no behaviour 'nope'"),
    ],
)
def test_a_malformed_request_is_refused_as_the_real_one_is(body: Any, said: str, server: ScriptedServer) -> None:
    """400, invalid_request_error, the place, a request id."""
    status, answer = post(server, body)
    assert (status, answer["error"]["type"]) == (400, "invalid_request_error")
    assert said in answer["error"]["message"]
    assert answer["request_id"].startswith("req_")


@pytest.mark.parametrize(("key", "status"), [("any", 200), ("wrong", 401), ("", 401)])
def test_anthropics_wire_wants_a_key(key: str, status: int, server: ScriptedServer) -> None:
    """Any key but `wrong` passes; none is refused."""
    assert post(server, ASK, key)[0] == status


def test_a_model_name_may_carry_its_own_fault(server: ScriptedServer) -> None:
    """`NAME@BEHAVIOUR` chooses for one request, whatever the script says."""
    assert post(server, {**ASK, "model": f"{HAIKU}@overloaded"})[0] == 529
    assert post(server, {**ASK, "model": f"{HAIKU}@words-1"})[1]["content"][0]["text"] == "word1"


def test_what_was_asked_can_be_looked_at_over_http(server: ScriptedServer) -> None:
    """GET /_requests shows each body and what became of it, and no key."""
    post(server, ASK, "sk-hidden")
    with urllib.request.urlopen(f"{server.url}/_requests") as response:
        shown = response.read().decode()
    assert json.loads(shown)[0]["body"] == ASK
    assert json.loads(shown)[0]["finished"] is True
    assert "sk-hidden" not in shown


async def test_it_runs_in_the_loop_of_a_test_and_gives_its_port_back() -> None:
    """`async with` serves in the same loop; after it nobody listens, even with a stream still open."""
    async with ScriptedServer(Script.of("ping_only")) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
        body = json.dumps({**ASK, "stream": True}).encode()
        writer.write(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\ncontent-length: %d\r\n\r\n" % len(body))
        writer.write(body)
        assert b"event: ping" in await reader.readuntil(b"event: ping")
    writer.close()
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))


def test_the_command_prints_its_addresses_and_serves(tmp_path: Path) -> None:
    """`python -m askfit.providers.scripted --script FILE` answers on the port it names."""
    script = tmp_path / "s.json"
    script.write_text('[{"text": "From the file."}]')
    command = [sys.executable, "-m", "askfit.providers.scripted", "--script", str(script)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        url = process.stdout.readline().strip().removeprefix("ANTHROPIC_BASE_URL=")
        request = urllib.request.Request(f"{url}/v1/messages", json.dumps(ASK).encode(), {"x-api-key": "k"})
        with urllib.request.urlopen(request) as response:
            assert json.loads(response.read())["content"][0]["text"] == "From the file."
    finally:
        process.terminate()
        process.communicate(timeout=5)


def test_the_command_refuses_a_wrong_script_in_one_sentence() -> None:
    """Exit 2, no traceback."""
    command = [sys.executable, "-m", "askfit.providers.scripted", "--behaviour", "nope"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "unknown behaviour 'nope'" in done.stderr
    assert "Traceback" not in done.stderr


# ---------------------------------------------------------------- the pretended cache


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def block(tokens: int, ttl: Any = "", mark: str = "x") -> Block:
    """A block of exactly so many estimated tokens."""
    made = Block(mark * int((tokens - 1) * 3.6 + 2), ttl)
    assert made.tokens == tokens
    return made


def test_the_cache_writes_once_then_reads() -> None:
    """The prefix up to a breakpoint is written on the first call and read on the next; the rest is fresh."""
    cache = PromptCache(Clock())
    assert cache.charge("m", [block(2000, "5m"), block(10)], 1024) == Charge(10, 0, 2000, 0)
    assert cache.charge("m", [block(2000, "5m"), block(20, mark="y")], 1024) == Charge(20, 2000, 0, 0)


def test_one_changed_byte_or_another_model_misses() -> None:
    """The hash is over the exact bytes and the model."""
    cache = PromptCache(Clock())
    cache.charge("m", [block(2000, "5m")], 1024)
    assert cache.charge("m", [block(2000, "5m", mark="z")], 1024).read == 0
    assert cache.charge("other", [block(2000, "5m")], 1024).read == 0


def test_under_the_minimum_nothing_is_cached_and_nothing_said() -> None:
    """Both counters are 0, call after call."""
    cache = PromptCache(Clock())
    for _ in range(2):
        assert cache.charge("m", [block(1023, "5m"), block(5)], 1024) == Charge(1028, 0, 0, 0)


@pytest.mark.parametrize(("ttl", "life_s"), [("5m", 300.0), ("1h", 3600.0)])
def test_an_entry_lives_its_ttl_from_its_last_use(ttl: str, life_s: float) -> None:
    """A read renews; silence longer than the lifetime forgets."""
    clock = Clock()
    cache = PromptCache(clock)
    prompt = [block(2000, ttl)]
    cache.charge("m", prompt, 1024)
    for _ in range(3):
        clock.now += life_s - 1
        assert cache.charge("m", prompt, 1024).read == 2000
    clock.now += life_s + 1
    assert cache.charge("m", prompt, 1024).read == 0


def test_a_history_breakpoint_writes_only_what_is_new() -> None:
    """Prefix for an hour, history for five minutes: each part is billed by its own breakpoint."""
    cache = PromptCache(Clock())
    prefix, history, question = block(2000, "1h"), block(300, "5m", "h"), block(9, mark="q")
    assert cache.charge("m", [prefix, question], 1024) == Charge(9, 0, 0, 2000)
    assert cache.charge("m", [prefix, history, question], 1024) == Charge(9, 2000, 300, 0)
    assert cache.charge("m", [prefix, history, question], 1024) == Charge(9, 2300, 0, 0)


def test_a_moved_breakpoint_finds_the_earlier_entry_within_twenty_blocks() -> None:
    """The provider looks back from a breakpoint, but not for ever."""
    turns = [block(100, mark=mark) for mark in "abcdefghijklmnopqrstuvwxyz"]
    for distance, read in ((10, 2000), (25, 0)):
        cache = PromptCache(Clock())
        cache.charge("m", [block(2000, "5m")], 1024)
        later = [block(2000), *turns[:distance], block(100, "5m", "!")]
        assert cache.charge("m", later, 1024).read == read


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        ([{"ttl": "5m"}, {"ttl": "1h"}], "must not come after"),
        ([{}] * 5, "maximum of 4 blocks"),
        ([{"ttl": "1d"}], "'5m' or '1h'"),
    ],
)
def test_breakpoints_that_the_api_refuses_are_refused(
    marks: list[dict[str, str]], said: str, server: ScriptedServer
) -> None:
    """More than four, or a longer life after a shorter one: 400."""
    system = [
        {"type": "text", "text": f"{at}", "cache_control": {"type": "ephemeral", **m}} for at, m in enumerate(marks)
    ]
    status, answer = post(server, {**ASK, "system": system})
    assert status == 400
    assert said in answer["error"]["message"]


def test_the_output_format_is_part_of_what_is_cached(server: ScriptedServer) -> None:
    """Another schema is another prefix, as on the real API; the usage splits writes by lifetime."""
    system = [{"type": "text", "text": CORPUS, "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    body = {**ASK, "system": system}
    first, second = (post(server, body)[1]["usage"] for _ in range(2))
    assert first["cache_creation_input_tokens"] == first["cache_creation"]["ephemeral_1h_input_tokens"] > 50
    assert second["cache_read_input_tokens"] == first["cache_creation_input_tokens"]
    assert second["input_tokens"] < 20
    formed = {**body, "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}}
    assert post(server, formed)[1]["usage"]["cache_read_input_tokens"] == 0


def test_the_minimum_is_the_models_own() -> None:
    """Without a table of one's own, models.toml says how long a prefix must be."""
    prefix = "Nine words stand here for tokens of a prefix. " * 160  # about 2,000 tokens
    body = {**ASK, "system": [{"type": "text", "text": prefix, "cache_control": {"type": "ephemeral"}}]}
    with ScriptedServer() as server:
        written = {
            model: post(server, {**body, "model": model})[1]["usage"]["cache_creation_input_tokens"]
            for model in (HAIKU, "claude-sonnet-5", "some-new-model")
        }
    assert written[HAIKU] == 0  # 4,096
    assert written["claude-sonnet-5"] > 1900
    assert written["some-new-model"] > 1900


# ---------------------------------------------------------------- rate limits


async def test_a_script_holds_to_its_limits_in_process_too(make_site: Callable[..., Settings]) -> None:
    """Two requests a minute: each tells what is left before its words, the third is refused with the wait."""
    provider = Scripted(make_site({"demo.yaml": "limits: { requests: 2 }\nrules: [{ text: Yes. }]\n"}))
    for left in (1, 0):
        first, *_ = await items(provider, "demo.yaml", call())
        assert isinstance(first, Text) and first.headroom and first.headroom.axes["requests"].remaining == left
    with pytest.raises(ProviderError) as told:
        await items(provider, "demo.yaml", call())
    assert told.value.code == "provider_rate_limited" and 20 < (told.value.retry_after_s or 0) <= 30


async def test_what_is_read_from_the_cache_does_not_count(server: ScriptedServer) -> None:
    """Anthropic's form: the prefix counts when it is written and not when it is read; a refused one writes nothing."""
    prefix = {"type": "text", "text": "One fact. " * 2000, "cache_control": {"type": "ephemeral"}}
    body = {**ASK, "system": [prefix], "messages": [{"role": "user", "content": "Hi there, what is known?"}]}
    size = estimate_tokens(prefix["text"])
    server.reset()
    server.script.limit(Limits(input_tokens=size // 2))
    from anthropic import AsyncAnthropic, RateLimitError

    async with AsyncAnthropic(api_key="x", base_url=server.url, max_retries=0) as client:
        with pytest.raises(RateLimitError):
            await client.messages.create(**body)
        server.script.limit(Limits(input_tokens=size + 100))
        for read in (0, size):
            raw = await client.messages.with_raw_response.create(**body)
            usage = (await raw.parse()).usage
            assert usage.cache_read_input_tokens == read
            left = int(raw.headers["anthropic-ratelimit-input-tokens-remaining"])
            assert left % 1000 == 0 and left <= 1000
