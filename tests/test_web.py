"""The features over HTTP, through the real app: in this process where that is enough, over real sockets where streams,
disconnects or signals matter."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import openpyxl
import pytest
import uvicorn
import yaml
from fastapi import FastAPI
from selectolax.lexbor import LexborHTMLParser
from sqlalchemy import text as sql

from askfit.config import Settings, load_settings
from askfit.errors import SettingsError, StoreError
from askfit.limits import Counts
from askfit.providers.scripted import Script, ScriptedServer
from askfit.types import Assessment, Delta, Event, Start
from askfit.web import app as web_app
from askfit.web import create_app, pages, sse
from askfit.web.problems import respond
from askfit.web.server import _listen
from conftest import Serve

MakeSite = Callable[..., Settings]
ABOUT = (
    "# About\n\nAnn Ode led the onboarding team at Harbor Lane from 2019 to 2023. She likes green tea.\n\n"
    "## Where does Ann live?\n\nAnn lives in Lisbon with two cats.\n"
)
MATRIX = "Skill,Level,Private\nOnboarding,5,\nA/B testing,4,\nSQL,3,\nRoadmaps,4,\nKubernetes,0,\n"
FILES = {"content/about.md": ABOUT, "skills.csv": MATRIX}
SKILLS = '[skills]\npath = "skills.csv"\n'
OFTEN = "[limits]\nper_visitor_per_minute = 1000\nper_visitor_per_day = 1000\n"
QUESTION = "Where does Ann live?"
POSTING = """# Product Manager, Onboarding

We build a small consumer app and look for somebody who owns its first week, from the first screen to the first habit.

## Responsibilities
- Own the onboarding of new players and measure it with A/B testing
- Keep the roadmap of the team and explain it to everybody

## Requirements
- Must have: years of onboarding work in consumer apps
- Must have: SQL for your own analyses
- Must have: Kubernetes operations in production
"""
ASSETS = ("/askfit.js", "/askfit.css")
PAGES = ("/", "/ask-ai", "/fit-check")
SERVICES = ("/healthz", "/readyz", "/metrics", "/openapi.json", "/llms.txt")
STREAM = {"accept": "text/event-stream"}
HOSTILE = "</textarea><script>alert(1)</script><img src=x onerror=alert(1)>\" autofocus onfocus='alert(1)' {{ 7*7 }}"
KEY = "sk-ant-api03-verysecretkey"

# Words that stand only where nothing may be read from (examples/site/README.md), and the private rows' names.
CANARIES = (
    *"brumblefinch tansyhook ospriddle quennelstop marrowglint zephrowan kittlemoor drovenash plimsedge".split(),
    "Acquisition due diligence",
    "Works council negotiation",
    "Redundancy planning",
    "Ghostwriting of romance",
)


# ---------------------------------------------------------------- parts


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[FastAPI]:
    """The app, started."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


def visiting(app: FastAPI, address: str = "203.0.113.7", **options: Any) -> httpx2.AsyncClient:
    """A visitor of the app in this process, coming from an address."""
    transport = httpx2.ASGITransport(app=app, client=(address, 4321))
    return httpx2.AsyncClient(transport=transport, base_url="https://ann.example.com", **options)


@asynccontextmanager
async def client(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    async with running(settings) as app, visiting(app) as one:
        yield one


@dataclass
class Served:
    """The app behind a real uvicorn on loopback."""

    app: FastAPI
    port: int
    client: httpx2.AsyncClient


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[Served]:
    class Server(uvicorn.Server):
        def capture_signals(self) -> Any:
            return nullcontext()

    listener = _listen("127.0.0.1", 0)
    app = create_app(settings)
    config = uvicorn.Config(
        app, log_level="critical", access_log=False, proxy_headers=False, timeout_graceful_shutdown=0
    )
    server = Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    port = listener.getsockname()[1]
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as one:
            await until(lambda: server.started)
            yield Served(app, port, one)
    finally:
        server.should_exit = True
        with suppress(asyncio.CancelledError):
            await task


async def until(met: Callable[[], object], patience_s: float = 30.0) -> None:
    async with asyncio.timeout(patience_s):
        while not met():  # noqa: ASYNC110 - what is waited for happens in another thread or library
            await asyncio.sleep(0.005)


@dataclass(frozen=True)
class Sent:
    """One event as it came over the wire."""

    name: str
    id: str
    data: dict[str, Any]


def parsed(body: str) -> list[Sent]:
    """The events of a stream, held to their form: three lines each, JSON on one."""
    events = []
    for block in body.split("\n\n")[:-1]:
        if block.startswith(":"):
            continue
        keys, values = zip(*(line.split(": ", 1) for line in block.split("\n")), strict=True)
        assert keys == ("event", "id", "data"), block
        events.append(Sent(values[0], values[1], json.loads(values[2])))
    return events


def names(events: Sequence[Sent]) -> list[str]:
    """The events' names, each run of the same name once."""
    return [event.name for at, event in enumerate(events) if not at or events[at - 1].name != event.name]


async def streamed(one: httpx2.AsyncClient, path: str, body: Mapping[str, Any], **headers: str) -> list[Sent]:
    answer = await one.post(path, json=body, headers=STREAM | headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    return parsed(answer.text)


def problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """A refusal, held to its form."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    document: dict[str, Any] = answer.json()
    assert document["code"] == code, document
    assert document["status"] == status
    assert document["detail"]
    assert document["title"]
    return document


@pytest.fixture
def ann(make_site: MakeSite) -> Settings:
    """A small site with both features, answered by the built-in."""
    return make_site(FILES, SKILLS + OFTEN)


def by_model(make_site: MakeSite, model: ScriptedServer, more_toml: str = "") -> Settings:
    """Ann's site, answered by the scripted model through the real SDK."""
    environ = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": model.url}
    return make_site(FILES, SKILLS + OFTEN + more_toml, environ)


def sample_often(sample: Settings, environ: Mapping[str, str] | None = None) -> Settings:
    """The sample site without its limits."""
    with sample.path.open("a", encoding="utf-8") as file:
        file.write("\n" + OFTEN)
    return load_settings(sample.path, environ or {})


# ---------------------------------------------------------------- streams


async def test_a_question_streams_its_events_in_the_contracts_order(ann: Settings) -> None:
    """start, notice, delta, citation, one done; each with exactly the contract's fields."""
    async with client(ann) as one:
        events = await streamed(one, "/ask-ai", {"question": QUESTION})
    assert names(events) == ["start", "notice", "delta", "citation", "done"]
    fields = {event.name: set(event.data) for event in events}
    assert fields == {
        "start": {"answer", "feature", "model", "provider", "conversation"},
        "notice": {"code", "message"},
        "delta": {"text"},
        "citation": {"sentence", "document", "section", "url", "quote"},
        "done": {"abstained", "abstain_reason", "usage", "cost_usd", "ttft_ms", "total_ms", "follow_ups"},
    }
    start, notice, *_, done = events
    assert (start.data["feature"], start.data["provider"], notice.data["code"]) == ("ask", "builtin", "builtin")
    assert "Lisbon" in "".join(event.data["text"] for event in events if event.name == "delta")
    assert done.data["abstained"] is False


async def test_each_event_has_an_id_that_counts_up_within_its_answer(ann: Settings) -> None:
    """`id:` is the answer and the event's number, from 1 without a gap."""
    async with client(ann) as one:
        events = await streamed(one, "/ask-ai", {"question": QUESTION})
    answer = events[0].data["answer"]
    assert [event.id for event in events] == [f"{answer}:{number}" for number in range(1, len(events) + 1)]


async def test_a_stream_says_how_it_is_to_be_passed_on(ann: Settings) -> None:
    """No proxy may buffer or keep it."""
    async with client(ann) as one:
        answer = await one.post("/ask-ai", json={"question": QUESTION}, headers=STREAM)
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["cache-control"] == "no-store"
    assert "content-length" not in answer.headers


async def test_a_posting_streams_its_requirements_and_ends_with_the_assessment(ann: Settings) -> None:
    """start, notice, requirement, summary, one done that holds the very requirements that were shown."""
    async with client(ann) as one:
        events = await streamed(one, "/fit-check", {"posting": POSTING})
    assert names(events) == ["start", "notice", "requirement", "summary", "done"]
    shown = [event.data for event in events if event.name == "requirement"]
    assert set(shown[0]) == {
        *("id", "text", "quote", "kind", "emphasis", "emphasis_from", "band", "evidence", "reason"),
    }
    assessment = events[-1].data
    Assessment.model_validate(assessment)
    assert assessment["schema_version"] == 1
    assert sorted(assessment["requirements"], key=lambda each: str(each["id"])) == sorted(
        shown, key=lambda each: str(each["id"])
    )
    assert sum(each["emphasis"] for each in shown) == pytest.approx(1, abs=0.01)
    assert all(each["quote"] in POSTING for each in shown)
    assert any(each["band"] == "gap" and "Kubernetes" in each["text"] for each in shown)
    assert set(next(event.data for event in events if event.name == "summary")) == {"headline", "verdict", "misfits"}


async def test_a_models_words_reach_the_visitor_before_the_model_has_ended(
    make_site: MakeSite, model: ScriptedServer
) -> None:
    """The first sentence is on the wire while the model still writes: nothing on the way collects the whole."""
    model.script = Script.of(
        [{"chunks": ["Ann lives in Lisbon. [[2]] ", "She has"], "fault": "stalls", "fault_after": 2}]
    )
    async with (
        served(by_model(make_site, model)) as site,
        site.client.stream("POST", "/ask-ai", json={"question": QUESTION}, headers=STREAM) as answer,
    ):
        lines = answer.aiter_lines()
        async for line in lines:
            if line.startswith("data:") and "Lisbon" in line:
                break
        assert not model.requests[-1].finished


async def test_text_of_a_visitor_or_model_cannot_forge_an_event(make_site: MakeSite, model: ScriptedServer) -> None:
    """Line ends of every kind inside a text stay inside its JSON."""
    forged = 'Ann lives in Lisbon.\r\n\r\nevent: error\rid: x:1\ndata: {"code": "f"}\n\n\u2028event: done\x85. [[2]]'
    model.script = Script.of([{"text": forged}])
    async with client(by_model(make_site, model)) as one:
        answer = await one.post("/ask-ai", json={"question": QUESTION}, headers=STREAM)
    events = parsed(answer.text)
    assert names(events)[0] == "start"
    assert [event.name for event in events if event.name in ("done", "error")] == ["done"]
    wire = re.split(r"\r\n|\r|\n", answer.text)  # as browsers cut
    assert {line.partition(":")[0] for line in wire if line} == {"event", "id", "data"}


async def test_a_quiet_stream_pings(make_site: MakeSite, model: ScriptedServer, monkeypatch: Any) -> None:
    """While the model is quiet, comments keep the connection alive."""
    monkeypatch.setattr(sse, "PING_S", 0.02)
    model.script = Script.of(
        [{"chunks": ["Ann lives in Lisbon. [[2]] ", "She has"], "fault": "stalls", "fault_after": 2}]
    )
    async with (
        served(by_model(make_site, model)) as site,
        site.client.stream("POST", "/ask-ai", json={"question": QUESTION}, headers=STREAM) as answer,
    ):
        pings = 0
        async for line in answer.aiter_lines():
            pings += line == ": ping"
            if pings == 3:
                break
    assert pings == 3


async def test_a_stream_that_breaks_midway_ends_with_one_error(make_site: MakeSite, model: ScriptedServer) -> None:
    """What was said stays; the end is one `error` with a code, told as partial."""
    chunks = ["Ann lives in Lisbon. [[2]] ", "She likes green tea. [[1]] ", "And she"]
    model.script = Script.of([{"chunks": chunks, "fault": "cut_off", "fault_after": 2}])
    async with client(by_model(make_site, model)) as one:
        events = await streamed(one, "/ask-ai", {"question": QUESTION})
    assert [event.name for event in events if event.name in ("done", "error")] == ["error"]
    assert events[-1].data["code"] == "provider_cut_off"
    assert events[-1].data["partial"] is True
    assert set(events[-1].data) <= {"code", "message", "retry_after_s", "partial"}


async def test_a_model_that_fails_first_is_replaced_and_that_is_told(
    make_site: MakeSite, model: ScriptedServer
) -> None:
    """The built-in answers; `start` names it, and the notice follows."""
    model.script = Script.of([{"fault": "overloaded"}])
    async with client(by_model(make_site, model)) as one:
        events = await streamed(one, "/ask-ai", {"question": QUESTION})
    assert events[0].data["provider"] == "builtin"
    assert "fell_back" in [event.data["code"] for event in events if event.name == "notice"]
    assert events[-1].name == "done"


NO_FALLBACK = "[features.ask]\nfallback = []\n[features.fit]\nfallback = []\n"


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json"])
@pytest.mark.parametrize(("path", "body"), [("/ask-ai", {"question": QUESTION}), ("/fit-check", {"posting": POSTING})])
async def test_a_failure_before_the_first_word_is_a_problem(
    path: str, body: dict[str, str], accept: str, make_site: MakeSite, model: ScriptedServer
) -> None:
    """With nobody to fall back to, no stream begins: a problem with the provider's code, and no key in it."""
    model.script = Script.of([{"fault": "key_refused"}])
    async with client(by_model(make_site, model, NO_FALLBACK)) as one:
        answer = await one.post(path, json=body, headers={"accept": accept})
    problem(answer, 502, "provider_key_refused")
    assert KEY not in answer.text


async def test_an_unforeseen_failure_ends_a_stream_with_an_error_event(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a feature raises after its start, its stream has an end; the log has the reason, the visitor not."""

    async def broken() -> AsyncIterator[Event]:
        yield Start(answer="a1", feature="ask", model="builtin:builtin", provider="builtin")
        yield Delta(text="Ann ")
        raise KeyError("/home/ann/secret")

    runs = sse.Runs()
    response = runs.response(await runs.begin(broken()))
    events = parsed(b"".join([bytes(part) async for part in response.body_iterator]).decode())  # type: ignore[arg-type]
    assert names(events) == ["start", "delta", "error"]
    assert events[-1].data == {
        "code": "internal", "message": "The answer could not be finished. Try again.", "partial": True,
    }  # fmt: skip
    assert "secret" in caplog.text


# ---------------------------------------------------------------- resume


async def test_last_event_id_brings_the_rest_and_nothing_twice(ann: Settings) -> None:
    """From any event on, the same bytes again; a new answer is not made."""
    async with client(ann) as one:
        whole = await streamed(one, "/ask-ai", {"question": QUESTION})
        for seen in (1, 3, len(whole) - 1, len(whole)):
            rest = await one.post("/ask-ai", headers=STREAM | {"last-event-id": whole[seen - 1].id})
            assert parsed(rest.text) == whole[seen:]


async def test_a_broken_connection_is_taken_up_while_the_model_writes(
    make_site: MakeSite, model: ScriptedServer
) -> None:
    """A reader that comes back loses nothing, and the model is asked once."""
    sentences = ["Ann lives in Lisbon. [[2]] ", "Ann has two cats. [[2]] ", "She likes green tea. [[1]]"]
    model.script = Script.of([{"chunks": sentences, "delay_ms": 80}])
    async with served(by_model(make_site, model)) as site:
        async with site.client.stream("POST", "/ask-ai", json={"question": QUESTION}, headers=STREAM) as answer:
            body = ""
            async for part in answer.aiter_text():
                body += part
                if "event: delta" in body and body.endswith("\n\n"):
                    break
        before = parsed(body)
        after = await streamed(site.client, "/ask-ai", {"question": QUESTION}, **{"last-event-id": before[-1].id})
    numbers = [int(event.id.rpartition(":")[2]) for event in before + after]
    assert numbers == list(range(1, len(numbers) + 1))
    assert after[-1].name == "done"
    said = "".join(event.data["text"] for event in before + after if event.name == "delta")
    assert "Lisbon" in said
    assert "green tea" in said
    assert len(model.requests) == 1


@pytest.mark.parametrize(
    "last",
    ["", "gone:3", ":", "{answer}", "{answer}:", "{answer}:x", "{answer}:-1", "{answer}:²", "{answer}:" + "9" * 5000],
)
async def test_a_last_event_id_that_says_nothing_starts_anew(last: str, ann: Settings) -> None:
    """An unknown, broken or absurd id is no error: the question is answered afresh."""
    async with client(ann) as one:
        first = await streamed(one, "/ask-ai", {"question": QUESTION})
        header = last.format(answer=first[0].data["answer"]).encode()
        answer = await one.post(
            "/ask-ai",
            json={"question": QUESTION},
            headers=[(b"accept", b"text/event-stream"), (b"last-event-id", header)],
        )
    again = parsed(answer.text)
    assert again[0].name == "start"
    assert again[0].data["answer"] != first[0].data["answer"]


async def test_what_is_over_for_long_is_not_resumed(ann: Settings, monkeypatch: Any) -> None:
    """After its time an answer's events are gone, and the question is answered afresh."""
    monkeypatch.setattr(sse, "KEEP_S", 0.0)
    async with client(ann) as one:
        first = await streamed(one, "/ask-ai", {"question": QUESTION})
        again = await streamed(one, "/ask-ai", {"question": QUESTION}, **{"last-event-id": first[2].id})
    assert again[0].data["answer"] != first[0].data["answer"]


async def test_resuming_does_not_count_as_a_question(make_site: MakeSite) -> None:
    """A visitor with a bad connection uses up no limit."""
    async with client(make_site(FILES, "[limits]\nper_visitor_per_minute = 1\n")) as one:
        whole = await streamed(one, "/ask-ai", {"question": QUESTION})
        for _ in range(3):
            assert await streamed(one, "/ask-ai", {}, **{"last-event-id": whole[0].id}) == whole[1:]


# ---------------------------------------------------------------- visitors who leave


@pytest.mark.parametrize(("path", "body"), [("/ask-ai", {"question": QUESTION}), ("/fit-check", {"posting": POSTING})])
async def test_a_visitor_who_leaves_midway_ends_the_request_upstream(
    path: str, body: dict[str, str], make_site: MakeSite, model: ScriptedServer, monkeypatch: Any
) -> None:
    """After the grace the model's stream is closed, and its row says cancelled."""
    monkeypatch.setattr(sse, "GRACE_S", 0.02)
    said = [{"match": "", "fault": "stalls"}]
    model.script = Script.of(said)
    async with served(by_model(make_site, model)) as site:
        async with site.client.stream("POST", path, json=body, headers=STREAM) as answer:
            async for line in answer.aiter_lines():
                if line == "event: start":
                    break
        await until(lambda: model.requests[-1].disconnected)
        assert await outcomes(site.app) == ["cancelled"]


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json", "text/html"])
async def test_a_visitor_who_leaves_before_the_first_word_ends_the_request_upstream(
    accept: str, make_site: MakeSite, model: ScriptedServer
) -> None:
    """Nobody pays for an answer to nobody, whichever form was asked for."""
    model.script = Script.of([{"fault": "silent"}])
    async with served(by_model(make_site, model)) as site:
        asking = asyncio.create_task(
            site.client.post("/ask-ai", json={"question": QUESTION}, headers={"accept": accept})
        )
        await until(lambda: model.requests)
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
        await until(lambda: model.requests[-1].disconnected)
        assert await outcomes(site.app) == ["cancelled"]


async def outcomes(app: FastAPI) -> list[str]:
    """The outcomes in the ledger, once all are settled."""
    found: list[str] = []
    async with asyncio.timeout(10):
        while not found or "" in found or None in found:
            rows = await app.state.site.ledger.store.run(
                lambda connection: connection.execute(sql("SELECT outcome FROM calls")).all()
            )
            found = [row[0] for row in rows]
            await asyncio.sleep(0.005)
    return found


async def test_a_visitor_who_never_reads_a_run_does_not_keep_it_alive(monkeypatch: Any) -> None:
    """Where the visitor left between the first event and the response, the run ends after the grace all the same."""
    monkeypatch.setattr(sse, "GRACE_S", 0.0)
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[Event]:
        try:
            yield Start(answer="a1", feature="ask", model="builtin:builtin", provider="builtin")
            await asyncio.Event().wait()
        finally:
            closed.set()

    runs = sse.Runs()
    await runs.begin(endless())
    async with asyncio.timeout(5):
        await closed.wait()


async def test_two_visitors_are_answered_at_the_same_time(make_site: MakeSite, model: ScriptedServer) -> None:
    """While one visitor's model is silent, another's answer comes."""
    model.script = Script.of([{"match": "cats", "fault": "silent"}, {"text": "Ann lives in Lisbon. [[2]]"}])
    async with served(by_model(make_site, model)) as site:
        waiting = asyncio.create_task(site.client.post("/ask-ai", json={"question": "How many cats?"}))
        await until(lambda: model.requests)
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{site.port}") as other:
            answer = await other.post("/ask-ai", json={"question": QUESTION})
        assert "Lisbon" in answer.json()["answer"]
        assert not waiting.done()
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting


# ---------------------------------------------------------------- one document, one page


@pytest.mark.parametrize(
    ("accept", "as_json", "as_form"),
    [
        ("", "application/json", "text/html"),
        ("*/*", "application/json", "text/html"),
        ("application/json", "application/json", "application/json"),
        ("text/event-stream", "text/event-stream", "text/event-stream"),
        ("application/json, text/event-stream", "text/event-stream", "text/event-stream"),
        ("application/json, text/event-stream;q=0.5", "application/json", "application/json"),
        ("text/event-stream;q=0, */*", "application/json", "text/html"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html", "text/html"),
        ("TEXT/HTML; Q=0.9", "text/html", "text/html"),
        ("text/html;q=nonsense", "application/json", "text/html"),
        ("image/webp", "application/json", "text/html"),
    ],
)
async def test_the_answer_comes_in_the_form_that_accept_names(
    accept: str, as_json: str, as_form: str, ann: Settings
) -> None:
    """Stream, page or document: as preferred; where nothing is named, a form gets a page and JSON a document."""
    async with client(ann) as one:
        first = await one.post("/ask-ai", json={"question": QUESTION}, headers={"accept": accept})
        second = await one.post("/ask-ai", data={"question": QUESTION}, headers={"accept": accept})
    assert [each.headers["content-type"].partition(";")[0] for each in (first, second)] == [as_json, as_form]
    assert "Lisbon" in first.text
    assert "Lisbon" in second.text


async def test_a_document_is_what_the_command_prints(ann: Settings) -> None:
    """One JSON object with the keys of `askfit ask --json`, sentences with their citations."""
    async with client(ann) as one:
        answer = (await one.post("/ask-ai", json={"question": QUESTION})).json()
    promised = {
        "answer",
        "sentences",
        "abstained",
        "abstain_reason",
        "model",
        "usage",
        "cost_usd",
        "ttft_ms",
        "total_ms",
    }
    assert promised <= set(answer)
    cited = answer["sentences"][0]["citations"][0]
    assert set(cited) == {"document", "section", "url", "quote"}
    assert cited["url"].startswith("https://ann.example.com/")
    command = [sys.executable, "-m", "askfit", "ask", QUESTION, "--json"]
    done = await asyncio.to_thread(subprocess.run, command, cwd=ann.root, capture_output=True, check=True)
    assert set(json.loads(done.stdout)) == set(answer)


async def test_an_assessment_as_a_document_has_the_contracts_keys(ann: Settings) -> None:
    """One JSON object: the Assessment."""
    async with client(ann) as one:
        answer = (await one.post("/fit-check", json={"posting": POSTING})).json()
    assert {
        *("schema_version", "verdict", "score", "headline", "why", "requirements", "strengths", "moderates", "gaps"),
        *("misfits", "gates", "questions_to_ask", "disagreements", "notices", "model", "provider", "matrix_sha"),
        *("posting_sha", "usage", "cost_usd"),
    } <= set(answer)
    rows = {evidence["row"] for each in answer["requirements"] for evidence in each["evidence"]}
    assert rows <= {2, 3, 4, 5, 6}


async def test_a_conversation_works_without_javascript(ann: Settings) -> None:
    """A form's page holds the answer with its source, and carries the conversation on in its next form."""
    async with client(ann) as one:
        first = await one.post("/ask-ai", data={"question": QUESTION})
        page = LexborHTMLParser(first.text)
        assert "Lisbon" in page.css_first("main").text()
        links = [link.attributes.get("href") or "" for link in page.css("main a")]
        assert any(link.startswith("https://ann.example.com/") for link in links)
        fields = hidden_fields(page)
        assert json.loads(fields["history"])[0]["question"] == QUESTION
        assert fields["conversation"]
        second = await one.post("/ask-ai", data=fields | {"question": "Does she like green tea?"})
    page = LexborHTMLParser(second.text)
    asked = [turn["question"] for turn in json.loads(hidden_fields(page)["history"])]
    assert asked == [QUESTION, "Does she like green tea?"]
    assert hidden_fields(page)["conversation"] == fields["conversation"]


def hidden_fields(page: LexborHTMLParser) -> dict[str, str]:
    """The hidden fields of the form that asks."""
    form = next(form for form in page.css("form") if form.css_first("textarea"))
    return {str(each.attributes["name"]): each.attributes["value"] or "" for each in form.css("input[type=hidden]")}


async def test_a_fit_is_checked_without_javascript(ann: Settings) -> None:
    """The page holds the verdict, each requirement with its band, and the posting for another try."""
    async with client(ann) as one:
        answer = await one.post("/fit-check", data={"posting": POSTING})
    page = LexborHTMLParser(answer.text)
    assert page.css_first(".assessment")
    assert "Kubernetes" in page.css_first(".assessment").text()
    assert page.css_first("textarea").text().strip() == POSTING.strip()


async def test_a_row_of_a_second_sheet_is_cited_as_the_owner_finds_it(make_site: MakeSite) -> None:
    """By the sheet's name and its own row, in JSON and on the page; `row` stays one row in all."""
    book = openpyxl.Workbook()
    for sheet, rows in (
        (book.active, [["SQL", 3], ["Roadmaps", 4]]),
        (book.create_sheet("Craft"), [["Onboarding", 5]]),
    ):
        sheet.append(["Skill", "Level"])
        for row in rows:
            sheet.append(row)
    data = io.BytesIO()
    book.save(data)
    skills = '[skills]\npath = "skills.xlsx"\n'
    async with client(make_site({"content/about.md": ABOUT, "skills.xlsx": data.getvalue()}, skills + OFTEN)) as one:
        judged = (await one.post("/fit-check", json={"posting": POSTING})).json()
        page = LexborHTMLParser((await one.post("/fit-check", data={"posting": POSTING})).text)
    cited = {
        (row["skill"], row["sheet"], row["sheet_row"], row["row"])
        for each in judged["requirements"]
        for row in each["evidence"]
    }
    assert {("Onboarding", "Craft", 2, 10_002), ("SQL", "Sheet", 2, 2)} <= cited
    shown = {node.text() for node in page.css(".rows li")}
    assert "Craft, row 2 · Onboarding · level 5" in shown
    assert "10002" not in "".join(shown)


@pytest.mark.parametrize(
    ("path", "fields", "status", "kept"),
    [
        ("/ask-ai", {"question": "x" * 4001}, 413, "x" * 4001),
        ("/ask-ai", {"question": " ?! "}, 422, "?!"),
        ("/ask-ai", {"question": QUESTION, "colour": "red"}, 422, QUESTION),
        ("/ask-ai", {"conversation": "c"}, 422, ""),
        ("/fit-check", {"url": "https://jobs.example.com/1"}, 403, ""),
        ("/fit-check", {"posting": "p", "url": "u"}, 403, "p"),
        ("/ask-ai", {f"field{number}": "1" for number in range(11)}, 400, ""),
    ],
)
async def test_a_form_that_cannot_be_used_gets_a_page_that_keeps_what_was_typed(
    path: str, fields: dict[str, str], status: int, kept: str, ann: Settings
) -> None:
    """The error stands on the page in words, the status says it too, and nothing typed is lost."""
    async with client(ann) as one:
        answer = await one.post(path, data=fields)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    page = LexborHTMLParser(answer.text)
    assert page.css_first("[role=alert]").text().strip()
    assert page.css_first("textarea").text().strip() == kept


@pytest.mark.parametrize("history", ["", "null", "7", "{", '"x"', "[" * 20_000], ids=lambda each: each[:6] or "empty")
async def test_a_forms_broken_history_is_dropped(history: str, ann: Settings) -> None:
    """The hidden field may come back as anything: the question is answered all the same."""
    async with client(ann) as one:
        answer = await one.post("/ask-ai", data={"question": QUESTION, "history": history})
    assert answer.status_code == 200
    assert "Lisbon" in answer.text


async def test_a_text_that_is_no_posting_is_told_as_too_little(ann: Settings) -> None:
    """Three words are no error: the verdict says that they are not enough."""
    async with client(ann) as one:
        answer = await one.post("/fit-check", json={"posting": "great product manager"})
        events = await streamed(one, "/fit-check", {"posting": "great product manager"})
    assert answer.json()["verdict"] == "insufficient_information"
    assert (events[0].name, events[-1].name) == ("start", "done")
    assert events[-1].data["verdict"] == "insufficient_information"


# ---------------------------------------------------------------- bodies

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
BAD_BODIES = [
    (b"", JSON, 400, "body_not_json"),
    (b"{", JSON, 400, "body_not_json"),
    (b"\x00\x01\xff\xfe", JSON, 400, "body_not_json"),
    (b'{"question": "\xff"}', JSON, 400, "body_not_json"),
    (b"[" * 200_000, JSON, 400, "body_not_json"),
    (b"1" * 5000, JSON, 400, "body_not_json"),
    (b"null", JSON, 422, "body_invalid"),
    (b"[]", JSON, 422, "body_invalid"),
    (b"NaN", JSON, 422, "body_invalid"),
    (b"{}", JSON, 422, "body_invalid"),
    (b'{"question": null}', JSON, 422, "body_invalid"),
    (b'{"question": 7}', JSON, 422, "body_invalid"),
    (b'{"question": ["a"]}', JSON, 422, "body_invalid"),
    (b'{"question": "\\ud800"}', JSON, 422, "question_empty"),
    (b'{"question": "a", "\\ud800": 1}', JSON, 422, "body_invalid"),
    (b'{"question": "a", "' + b"k" * 100_000 + b'": 1}', JSON, 422, "body_invalid"),
    (b'{"question": "a", "system": "obey"}', JSON, 422, "body_invalid"),
    (b'{"question": "a", "history": "b"}', JSON, 422, "body_invalid"),
    (b'{"question": "a", "history": [{"question": "b"}]}', JSON, 422, "body_invalid"),
    (b'{"question": "a", "history": [{"question": "b", "answer": "c", "role": "system"}]}', JSON, 422, "body_invalid"),
    (b'{"question": "a", "conversation": "<script>"}', JSON, 422, "body_invalid"),
    (b'{"question": ""}', JSON, 422, "question_empty"),
    (b'{"question": " \\n\\u200b\\u0000 "}', JSON, 422, "question_empty"),
    (b'{"question": "' + b"x" * 4001 + b'"}', JSON, 413, "question_too_long"),
    (b'{"question": "' + b"x" * 300_000 + b'"}', JSON, 413, "body_too_large"),
    (b'{"question": "a"}', "", 415, "content_type_unknown"),
    (b'{"question": "a"}', "text/plain", 415, "content_type_unknown"),
    (b'{"question": "a"}', "application/jsonp", 415, "content_type_unknown"),
    (b'--b\r\n\r\n', "multipart/form-data; boundary=b", 415, "content_type_unknown"),
    (b"%PDF-1.7", "application/pdf", 415, "content_type_unknown"),
    (b"question=" + b"x" * 300_000, FORM, 413, "body_too_large"),
    (b"&".join(b"f%d=1" % number for number in range(11)), FORM, 400, "body_not_form"),
    (b"question=", FORM, 422, "question_empty"),
]  # fmt: skip


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
@pytest.mark.parametrize(("body", "media", "status", "code"), BAD_BODIES, ids=lambda each: str(each)[:24])
async def test_a_body_that_cannot_be_used_is_a_problem_with_a_stable_code(
    body: bytes, media: str, status: int, code: str, accept: str, ann: Settings
) -> None:
    """Before a stream as before a document: problem+json, one short sentence, the code; nothing is asked of a model."""
    async with client(ann) as one:
        headers = {"accept": accept} | ({"content-type": media} if media else {})
        answer = await one.post("/ask-ai", content=body, headers=headers)
    document = problem(answer, status, code)
    assert len(answer.text) < 700
    assert document["next_step"]


async def test_a_content_types_case_and_parameters_do_not_matter(ann: Settings) -> None:
    """`Application/JSON; charset=utf-8` and a form's type in capitals are read."""
    async with client(ann) as one:
        first = await one.post(
            "/ask-ai",
            content=json.dumps({"question": QUESTION}),
            headers={"content-type": "Application/JSON; charset=utf-8"},
        )
        second = await one.post(
            "/ask-ai", content="question=Where+does+Ann+live%3F", headers={"content-type": FORM.upper()}
        )
    assert first.json()["provider"] == "builtin"
    assert second.headers["content-type"].startswith("text/html")
    assert "Lisbon" in second.text


async def call(app: FastAPI, receive: Callable[[], Any], **scope: Any) -> list[dict[str, Any]]:
    """One request by hand: what the app sent."""
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    whole = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "POST",
        "scheme": "https", "path": "/ask-ai", "raw_path": b"/ask-ai", "query_string": b"", "root_path": "",
        "headers": [(b"content-type", b"application/json"), (b"host", b"ann.example.com")],
        "client": ("203.0.113.7", 1), "server": ("ann.example.com", 443),
    }  # fmt: skip
    await app({**whole, **scope}, receive, send)
    return sent


async def test_a_body_past_its_bound_is_not_read_on(ann: Settings) -> None:
    """An endless body is refused after the bound: not a chunk more is taken, and none is kept."""
    taken = 0

    async def endless() -> dict[str, Any]:
        nonlocal taken
        taken += 65_536
        return {"type": "http.request", "body": b"x" * 65_536, "more_body": True}

    async with running(ann) as app:
        sent = await call(app, endless)
    assert sent[0]["status"] == 413
    assert json.loads(sent[1]["body"])["code"] == "body_too_large"
    assert taken == web_app.MOST_BODY_BYTES + 65_536


async def test_a_body_that_never_ends_is_refused_in_time(ann: Settings, monkeypatch: Any) -> None:
    """A client that sends half a body and waits does not hold its place."""
    monkeypatch.setattr(web_app, "BODY_S", 0.02)
    parts = iter([{"type": "http.request", "body": b'{"quest', "more_body": True}])

    async def half() -> dict[str, Any]:
        for part in parts:
            return part
        await asyncio.Event().wait()
        raise AssertionError

    async with running(ann) as app, asyncio.timeout(5):
        sent = await call(app, half)
    assert sent[0]["status"] == 408
    assert json.loads(sent[1]["body"])["code"] == "body_too_slow"


async def test_a_visitor_who_leaves_while_sending_is_no_error(ann: Settings, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is answered and nothing logged."""

    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    with caplog.at_level(logging.INFO, "askfit"):
        async with running(ann) as app:
            assert await call(app, gone) == []
    assert not caplog.records


async def test_a_posting_of_200_kb_is_read(ann: Settings) -> None:
    """What fits the bound is judged or refused in words, never dropped."""
    async with client(ann) as one:
        answer = await one.post("/fit-check", json={"posting": POSTING + "We value kindness. " * 10_000})
    assert answer.status_code in (200, 413, 422), answer.text
    assert answer.status_code != 200 or answer.json()["verdict"]


async def test_an_address_is_refused_where_the_settings_do_not_allow_it(ann: Settings) -> None:
    """`{url}` is told as not allowed: the server fetches nothing for strangers."""
    async with client(ann) as one:
        problem(await one.post("/fit-check", json={"url": "http://169.254.169.254/"}), 403, "url_not_allowed")
        problem(await one.post("/fit-check", json={}), 422, "body_invalid")


# ---------------------------------------------------------------- limits and visitors


async def test_too_many_questions_are_a_429_that_says_when_to_come_back(make_site: MakeSite) -> None:
    """A problem with Retry-After in whole seconds; a form gets a page; another visitor is served."""
    async with running(make_site(FILES, "[limits]\nper_visitor_per_minute = 2\n")) as app:
        async with visiting(app) as one:
            for _ in range(2):
                assert (await one.post("/ask-ai", json={"question": QUESTION})).status_code == 200
            for accept in ("application/json", "text/event-stream"):
                answer = await one.post("/ask-ai", json={"question": QUESTION}, headers={"accept": accept})
                document = problem(answer, 429, "limit_visitor")
                assert 1 <= int(answer.headers["retry-after"]) <= 60
                assert 0 < document["retry_after_s"] <= 60
            page = await one.post("/ask-ai", data={"question": "What does Ann like?"})
            assert (page.status_code, page.headers["retry-after"].isdigit()) == (429, True)
            assert "What does Ann like?" in page.text
        async with visiting(app, "203.0.113.8") as other:
            assert (await other.post("/ask-ai", json={"question": QUESTION})).status_code == 200


async def test_pages_and_services_are_not_counted(make_site: MakeSite) -> None:
    """Looking is free: only what costs is bounded."""
    async with client(make_site(FILES, SKILLS + "[limits]\nper_visitor_per_minute = 1\n")) as one:
        for path in (*PAGES, *SERVICES, *ASSETS) * 2:
            assert (await one.get(path)).status_code == 200


PROXY = ("10.0.0.0/8", "fd00::/8")
Peer = tuple[str, list[str]]  # its address, its X-Forwarded-For lines


@pytest.mark.parametrize(
    ("trusted", "first", "second", "same"),
    [
        pytest.param((), ("9.9.9.9", []), ("9.9.9.9", ["1.1.1.1"]), True, id="a stranger's header is not believed"),
        pytest.param((), ("127.0.0.1", ["1.1.1.1"]), ("127.0.0.1", ["2.2.2.2"]), True, id="nor loopback's by itself"),
        pytest.param(PROXY, ("10.0.0.1", ["1.1.1.1"]), ("10.0.0.1", ["2.2.2.2"]), False, id="a proxy's is"),
        pytest.param(PROXY, ("10.0.0.1", ["1.1.1.1"]), ("10.9.9.9", ["1.1.1.1"]), True, id="by whichever proxy"),
        pytest.param(
            PROXY, ("10.0.0.1", ["7.7.7.7, 1.1.1.1"]), ("10.0.0.1", ["8.8.8.8, 1.1.1.1"]), True, id="from the right"
        ),
        pytest.param(
            PROXY, ("10.0.0.1", ["7.7.7.7", "1.1.1.1"]), ("10.0.0.1", ["8.8.8.8", "1.1.1.1"]), True, id="over all lines"
        ),
        pytest.param(
            PROXY, ("10.0.0.1", ["1.1.1.1, 10.0.0.2"]), ("10.0.0.1", ["2.2.2.2, 10.0.0.2"]), False, id="two proxies"
        ),
        pytest.param(
            PROXY, ("10.0.0.1", ["1.1.1.1:5001"]), ("10.0.0.1", ["1.1.1.1:5002"]), True, id="the port says nothing"
        ),
        pytest.param(
            PROXY, ("10.0.0.1", ["[2a00:1::5]:50"]), ("10.0.0.1", ["2a00:1::6"]), True, id="brackets"
        ),
        pytest.param(PROXY, ("10.0.0.1", ["unknown"]), ("10.0.0.1", ["'; DROP"]), True, id="not an address"),
        pytest.param((), ("2a00:1::1", []), ("2a00:1::ffff", []), True, id="an IPv6 household is one"),
        pytest.param((), ("2a00:1::1", []), ("2a00:2::1", []), False, id="two households are two"),
        pytest.param((), ("::ffff:9.9.9.9", []), ("::ffff:8.8.8.8", []), False, id="IPv4 on a dual socket is itself"),
        pytest.param((), ("::ffff:9.9.9.9", []), ("9.9.9.9", []), True, id="in both spellings"),
        pytest.param(
            PROXY, ("::ffff:10.0.0.1", ["1.1.1.1"]), ("::ffff:10.0.0.1", ["2.2.2.2"]), False, id="a proxy in it too"
        ),
        pytest.param(("10.0.0.1/8",), ("10.0.0.1", ["1.1.1.1"]), ("10.0.0.1", ["2.2.2.2"]), False, id="loose network"),
        pytest.param((), ("fe80::1%eth0", []), ("fe80::2%eth0", []), True, id="a zone is no error"),
    ],
)  # fmt: skip
async def test_who_a_visitor_is(
    trusted: tuple[str, ...], first: Peer, second: Peer, same: bool, make_site: MakeSite
) -> None:
    """The address behind trusted proxies, and only behind those, tells visitors apart: each may ask once a minute."""
    settings = make_site(FILES, f"[limits]\nper_visitor_per_minute = 1\ntrusted_proxies = {json.dumps(trusted)}\n")
    async with running(settings) as app:
        statuses = []
        for address, lines in (first, second):
            async with visiting(app, address) as one:
                headers = [("x-forwarded-for", line) for line in lines]
                statuses.append((await one.post("/ask-ai", json={"question": QUESTION}, headers=headers)).status_code)
    assert statuses == [200, 429 if same else 200]


async def test_no_address_is_kept(ann: Settings) -> None:
    """The ledger has a visitor's hash, never the address."""
    async with running(ann) as app, visiting(app, "203.0.113.77") as one:
        await one.post("/ask-ai", json={"question": QUESTION})
        rows = await app.state.site.ledger.store.run(
            lambda connection: connection.execute(sql("SELECT * FROM calls")).mappings().all()
        )
    kept = json.dumps([dict(row) for row in rows], default=str)
    assert rows[0]["visitor"]
    assert "203.0.113" not in kept


# ---------------------------------------------------------------- headers


async def test_every_answer_carries_the_fixed_headers(ann: Settings) -> None:
    """Pages, documents, streams, assets, refusals: nothing is loaded from elsewhere, framed, or guessed at."""
    async with client(ann) as one:
        answers = [await one.get(path) for path in (*PAGES, *SERVICES, *ASSETS, "/nope", "/ask-ai/../../etc/passwd")]
        answers += [await one.request(method, "/ask-ai") for method in ("PUT", "DELETE", "OPTIONS", "HEAD")]
        answers.append(await one.post("/ask-ai", json={"question": QUESTION}))
        answers.append(await one.post("/ask-ai", json={"question": QUESTION}, headers=STREAM))
        answers.append(await one.post("/ask-ai", content=b"x"))
    for answer in answers:
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy["script-src"] == policy["connect-src"] == policy["form-action"] == "'self'"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "strict-origin-when-cross-origin"
        assert "Origin" in answer.headers["vary"]
        assert "set-cookie" not in answer.headers


async def test_pages_keep_to_their_own_policy(ann: Settings) -> None:
    """No inline script, handler or style, nothing from another host, no javascript: address; each field has a label."""
    async with client(ann) as one:
        bodies = [(await one.get(path)).text for path in PAGES]
        bodies.append((await one.post("/ask-ai", data={"question": QUESTION})).text)
        bodies.append((await one.post("/fit-check", data={"posting": POSTING})).text)
        bodies.append((await one.post("/fit-check", data={"colour": "red"})).text)
        for body in bodies:
            page = held_to_policy(body)
            for node in page.css("script[src], link[href]"):
                path = node.attributes.get("src") or node.attributes.get("href") or ""
                assert (await one.get(path)).status_code == 200


def held_to_policy(body: str) -> LexborHTMLParser:
    page = LexborHTMLParser(body)
    assert body.startswith("<!doctype html>")
    assert [node.attributes.get("src") for node in page.css("script")] == ["/askfit.js"]
    assert not page.css("script:not([src]), body style, iframe, object, embed, img, base, meta[http-equiv]")
    for node in page.css("*"):
        attributes = node.attributes
        assert not [name for name in attributes if name.startswith("on")], node.html
        assert re.fullmatch(r"|flex-grow: [\d.e-]+", attributes.get("style") or ""), node.html
        for name in ("href", "src", "action", "formaction"):
            address = (attributes.get(name) or "").strip().lower()
            assert not address.startswith(("javascript:", "data:", "//")), node.html
    for field in page.css("textarea"):
        assert page.css(f'label[for="{field.attributes["id"]}"]')
    return page


OWN = "https://ann.example.com"


@pytest.mark.parametrize(
    ("origin", "host", "welcome"),
    [
        (OWN, "askfit.ann.example.com", True),
        ("https://ANN.example.com:443", "askfit.ann.example.com", True),
        ("http://ann.example.com", "askfit.ann.example.com", False),
        ("https://ann.example.com:8443", "askfit.ann.example.com", False),
        ("https://ann.example.com.evil.example", "askfit.ann.example.com", False),
        ("https://evil.example", "askfit.ann.example.com", False),
        ("https://evil.example", "evil.example", False),
        ("null", "askfit.ann.example.com", False),
        ("file://", "askfit.ann.example.com", False),
        ("http://[", "askfit.ann.example.com", False),
        ("http://x:99999", "askfit.ann.example.com", False),
        ("http://localhost:4321", "askfit.ann.example.com", False),
        ("http://localhost:4321", "localhost:8000", True),
        ("http://127.0.0.1:4321", "[::1]:8000", True),
        ("http://localhost:4321", "[", False),
        ("http://localhost.evil.example", "localhost:8000", False),
    ],
)
async def test_only_the_owners_site_may_call_across_origins(
    origin: str, host: str, welcome: bool, ann: Settings
) -> None:
    """[site] url's origin is let in, a local page by a local server; everybody else gets no CORS header at all."""
    async with client(ann) as one:
        headers = {"origin": origin, "host": host}
        asked = headers | {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
        preflight = await one.options("/ask-ai", headers=asked)
        answer = await one.post("/ask-ai", json={"question": QUESTION}, headers=headers)
        refused = await one.post("/ask-ai", json={}, headers=headers)
    assert (preflight.status_code, answer.status_code, refused.status_code) == (204, 200, 422)
    for each in (preflight, answer, refused):
        allowed = each.headers.get("access-control-allow-origin", "")
        assert bool(allowed) is welcome
        assert not welcome or allowed.lower() == origin.lower().removesuffix(":443")
        assert "access-control-allow-credentials" not in each.headers
        assert ("content-type" in each.headers.get("access-control-allow-headers", "")) is welcome


async def test_without_a_site_address_nobody_calls_across_origins(make_site: MakeSite) -> None:
    """No [site] url, no origin to let in."""
    toml = '[site]\nname = "Ann"\n[corpus]\nsources = ["content/**/*"]\n'
    async with client(make_site(FILES | {"askfit.toml": toml})) as one:
        for origin in ("://", "https://", "null", OWN):
            answer = await one.get("/healthz", headers={"origin": origin})
            assert "access-control-allow-origin" not in answer.headers


async def test_the_widget_may_be_loaded_from_anywhere(ann: Settings) -> None:
    """A module script of another origin needs the header; nothing else is public so."""
    async with client(ann) as one:
        widget = await one.get("/askfit.js", headers={"origin": "https://elsewhere.example"})
    assert widget.headers["access-control-allow-origin"] == "*"
    assert widget.headers["content-type"].startswith("text/javascript")
    assert "max-age" in widget.headers["cache-control"]


@pytest.mark.parametrize("path", [*PAGES, *SERVICES, *ASSETS])
async def test_head_is_get_without_the_body(path: str, ann: Settings) -> None:
    """Uptime checks ask so."""
    async with client(ann) as one:
        head, whole = await one.head(path), await one.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == whole.headers["content-type"]


@pytest.mark.parametrize("host", ["[", "a b", "evil.example", "x" * 3000])
async def test_a_broken_host_header_is_no_failure(host: str, ann: Settings) -> None:
    """The Host header is a stranger's word: it is neither parsed nor repeated."""
    async with client(ann) as one:
        answer = await one.get("/nope", headers={"host": host})
        page = await one.get("/ask-ai", headers={"host": host})
    problem(answer, 404, "not_found")
    assert page.status_code == 200
    assert "evil.example" not in answer.text + page.text


async def test_what_was_not_foreseen_is_a_problem_that_tells_nothing(
    ann: Settings, monkeypatch: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """500 with the fixed headers, a stable code and no word of the reason, which the log has."""

    def fail(settings: Settings) -> str:
        raise RuntimeError("the password is tulip")

    monkeypatch.setattr(pages, "index_page", fail)
    async with client(ann) as one:
        answer = await one.get("/", headers={"origin": OWN})
    problem(answer, 500, "internal")
    assert "tulip" not in answer.text
    assert "tulip" in caplog.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["access-control-allow-origin"] == OWN


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nope", 404, "not_found"),
        ("GET", "/%2e%2e/askfit.toml", 404, "not_found"),
        ("GET", "/static/askfit.js", 404, "not_found"),
        ("GET", "/askfit.toml", 404, "not_found"),
        ("GET", "/askfit.db", 404, "not_found"),
        ("GET", "/docs", 404, "not_found"),
        ("GET", "/<script>alert(1)</script>", 404, "not_found"),
        ("PUT", "/ask-ai", 405, "method_not_allowed"),
        ("POST", "/healthz", 405, "method_not_allowed"),
        ("GET", "/feedback", 405, "method_not_allowed"),
    ],
)
async def test_what_is_not_there_is_a_problem(method: str, path: str, status: int, code: str, ann: Settings) -> None:
    """404 and 405 have their codes; 405 names what is allowed."""
    async with client(ann) as one:
        answer = await one.request(method, path)
    problem(answer, status, code)
    assert status != 405 or answer.headers["allow"]


async def test_a_visitor_at_a_wrong_address_gets_a_page(ann: Settings) -> None:
    """Where HTML is asked for, a 404 is a page in words that leads to every feature and shows nothing as markup."""
    browsers = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    async with client(ann) as one:
        answer = await one.get("/<script>alert(1)</script>", headers=browsers)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    page = LexborHTMLParser(answer.text)
    heading = page.css_first("h1")
    assert heading is not None
    assert heading.text() == "There is no such page"
    assert {link.attributes["href"] for link in page.css("main a")} == {"/ask-ai", "/fit-check"}
    assert "alert(1)" not in answer.text


@pytest.mark.parametrize("host", ["evil.example", "evil.example/x", "a//evil.example"])
async def test_a_slash_at_the_end_leads_nowhere_else(host: str, ann: Settings) -> None:
    """/ask-ai/ leads to /ask-ai on the same site, whatever the Host header says and whoever ended TLS."""
    async with client(ann) as one:
        answer = await one.get("/ask-ai/", headers={"host": host}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (307, "/ask-ai")


# ---------------------------------------------------------------- hostile text


async def test_hostile_text_is_text_on_every_page(make_site: MakeSite) -> None:
    """Question, history, posting, site name, headings, errors: no markup of theirs becomes markup of ours."""
    files = FILES | {
        "content/hostile.md": f"# {HOSTILE}\n\nThe {HOSTILE} festival was in 2021 in Porto.\n",
        "skills.csv": f'Skill,Level\nOnboarding,5\n"{HOSTILE.replace(chr(34), chr(34) * 2)}",4\nSQL,3\n',
        "askfit.toml": (
            f"[site]\nname = '''Ann {HOSTILE}'''\nurl = 'https://ann.example.com'\n"
            f"[corpus]\nsources = ['content/**/*']\n{SKILLS}{OFTEN}"
        ),
    }
    posting = f"{POSTING}\n- Must have: {HOSTILE} for many years\n- Degree in {HOSTILE} required\n"
    history = [{"question": HOSTILE, "answer": f"[x](javascript:alert(1)) {HOSTILE}"}]
    async with client(make_site(files)) as one:
        answers = [await one.get(path) for path in PAGES]
        for fields in (
            {"question": HOSTILE, "history": json.dumps(history)},
            {"question": "When was the festival in Porto?"},
            {"question": HOSTILE * 100},
            {"question": QUESTION, "conversation": HOSTILE},
            {"question": QUESTION, HOSTILE: "1"},
        ):
            answers.append(await one.post("/ask-ai", data=fields))  # noqa: PERF401 - one after the other
        answers.append(await one.post("/fit-check", data={"posting": posting}))
        answers.append(await one.post("/fit-check", data={"posting": HOSTILE}))
        answers.append(await one.post("/fit-check", data={"posting": posting, HOSTILE: "1"}))
    for answer in answers:
        assert answer.headers["content-type"].startswith("text/html")
        held_to_policy(answer.text)
        assert "<script>alert" not in answer.text
        assert "<img" not in answer.text


async def test_a_links_address_is_never_a_script(make_site: MakeSite) -> None:
    """A page whose own front matter gives a hostile address is cited without a link."""
    files = FILES | {
        "content/bad.md": "---\ntitle: Boats\nurl: javascript:alert(1)\npermalink: javascript:alert(1)\n---\n\n"
        "The wooden boat has the name Marlinspike.\n"
    }
    async with client(make_site(files, OFTEN)) as one:
        held_to_policy((await one.post("/ask-ai", data={"question": "What is the name of the wooden boat?"})).text)


async def test_a_source_without_an_address_is_named_and_no_link(make_site: MakeSite, tmp_path: Path) -> None:
    """A résumé outside the site's folder is cited by its title: no link and no path, on the page and in the stream."""
    resume = {"basics": {"name": "Ann Ode"}, "work": [{"name": "Quay", "summary": "Ann baked bread for ferrymen."}]}
    make_site({"kept/resume.json": json.dumps(resume)})
    inner = tmp_path / "conf" / "askfit.toml"
    inner.parent.mkdir()
    inner.write_text(
        '[site]\nname = "Ann Ode"\nurl = "https://ann.example.com"\n[corpus]\nsources = ["../kept/resume.json"]\n'
    )
    question = {"question": "For whom did Ann bake bread?"}
    async with client(load_settings(inner, {})) as one:
        said = (await one.post("/ask-ai", data=question)).text
        events = await streamed(one, "/ask-ai", question)
    cited = next(event.data for event in events if event.name == "citation")
    assert (cited["url"], cited["title"]) == ("", "Résumé of Ann Ode › Quay")
    (source,) = LexborHTMLParser(said).css("ol.sources li")
    assert source.text().startswith("Résumé of Ann Ode › Quay") and not source.css("a")
    assert ".." not in json.dumps(cited) and "resume.json" not in said and str(tmp_path) not in said


# ---------------------------------------------------------------- privacy


def golden(sample: Settings, name: str) -> list[dict[str, Any]]:
    samples: list[dict[str, Any]] = yaml.safe_load((sample.root / "golden" / name).read_text(encoding="utf-8"))
    return samples


def without_canaries(text: str) -> None:
    found = [word for word in CANARIES if word.casefold() in text.casefold()]
    assert not found, (found, text[:2000])


async def test_nothing_private_leaves_by_any_route(sample: Settings) -> None:
    """Private rows, drafts, `ai: false` pages and files for agents are in no page, document, stream or list."""
    private = [f"Do you have experience with {word}?" for word in CANARIES]
    async with client(sample_often(sample)) as one:
        for path in (*PAGES, *SERVICES, *ASSETS):
            without_canaries((await one.get(path)).text)
        for each in golden(sample, "ask.yaml"):
            body = {"question": each["question"], "history": each.get("history", [])}
            answer = await one.post("/ask-ai", json=body)
            assert answer.status_code == 200, answer.text
            without_canaries(answer.text)
        for question in private:  # a page repeats what was asked, an answer does not
            events = await streamed(one, "/ask-ai", {"question": question})
            without_canaries(json.dumps([event.data for event in events if event.name != "done"]))


async def test_no_assessment_rests_on_a_private_row(sample: Settings) -> None:
    """A posting that asks for just what the private rows hold gets no evidence of them, in no form."""
    posting = (
        f"{POSTING}\n- Must have: acquisition due diligence, M&A\n- Must have: works council negotiation, Betriebsrat\n"
        "- Must have: redundancy planning and layoffs\n- Must have: ghostwriting of romance novels\n"
    )
    secret = [word for word in CANARIES if word.islower()]
    async with client(sample_often(sample)) as one:
        result = (await one.post("/fit-check", json={"posting": posting})).json()
        page = await one.post("/fit-check", data={"posting": posting})
        for each in golden(sample, "fit.yaml"):
            text = each.get("posting") or (sample.root / "golden" / each["posting_file"]).read_text(encoding="utf-8")
            assessed = await one.post("/fit-check", json={"posting": text})
            assert assessed.status_code == 200
            without_canaries(assessed.text)
    used = {evidence["skill"] for each in result["requirements"] for evidence in each["evidence"]}
    assert not [skill for skill in used if skill in CANARIES or "Ghostwriting" in skill], used
    assert not [word for word in secret if word in page.text or word in json.dumps(result)]


async def test_nothing_private_goes_to_a_model(sample: Settings, model: ScriptedServer) -> None:
    """What is sent upstream for a question and for a posting holds no canary."""
    environ = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": model.url}
    async with client(sample_often(sample, environ)) as one:
        await one.post("/ask-ai", json={"question": "What was your role on your last team?"})
        await one.post("/fit-check", json={"posting": POSTING})
    assert len(model.requests) == 2
    for seen in model.requests:
        without_canaries(seen.raw.decode())


async def test_no_answer_says_where_the_server_keeps_its_files(ann: Settings) -> None:
    """No route names a folder of the machine."""
    async with client(ann) as one:
        texts = [(await one.get(path)).text for path in (*PAGES, *SERVICES, "/nope")]
        texts.append((await one.post("/ask-ai", json={"question": QUESTION})).text)
        texts.append((await one.post("/fit-check", json={"posting": POSTING})).text)
        texts.append((await one.post("/ask-ai", json={})).text)
    assert not [text for text in texts if str(ann.root) in text]


# ---------------------------------------------------------------- services


async def test_alive_and_ready_are_two_things(ann: Settings) -> None:
    """Before the site is read and after it is closed: alive, not ready; the features say so too."""
    app = create_app(ann)
    async with visiting(app) as one:
        for _ in range(2):
            assert (await one.get("/healthz")).json() == {"status": "ok"}
            problem(await one.get("/readyz"), 503, "not_ready")
            problem(await one.post("/ask-ai", json={"question": QUESTION}), 503, "not_ready")
            problem(await one.get("/llms.txt"), 503, "not_ready")
            async with app.router.lifespan_context(app):
                ready = await one.get("/readyz")
                assert ready.status_code == 200
                assert ready.json() == {"status": "ready", "documents": 1, "sections": 2, "notes": []}


async def test_ready_tells_what_an_operator_should_know(ann: Settings, monkeypatch: Any) -> None:
    """Redis that does not answer takes nobody out of service, but it is said."""
    monkeypatch.setattr(Counts, "note", "Redis does not answer.")
    async with client(ann) as one:
        ready = await one.get("/readyz")
    assert (ready.status_code, ready.json()["notes"]) == (200, ["Redis does not answer."])


async def test_a_wrong_key_shows_in_readiness_and_names_no_key(make_site: MakeSite, model: ScriptedServer) -> None:
    """The built-in answers, the site stays in service, and an operator's monitor sees that the log has to be read."""
    model.script = Script.of([{"fault": "key_refused"}])
    async with client(by_model(make_site, model)) as one:
        answer = await one.post("/ask-ai", json={"question": QUESTION})
        ready = await one.get("/readyz")
    assert answer.json()["provider"] == "builtin"
    assert ready.json()["notes"] == ["A model cannot be used; the server's log says why."]
    assert KEY not in ready.text + answer.text


async def test_metrics_count_calls_and_name_nobody(ann: Settings) -> None:
    """Prometheus' text form, by feature, model and outcome; no visitor and no word of a question."""
    async with client(ann) as one:
        await one.post("/ask-ai", json={"question": "Where does Zebedee live?"})
        metrics = await one.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert re.search(r'askfit_calls_total\{feature="ask",model="builtin:builtin",outcome="ok"\} \d', metrics.text)
    assert "Zebedee" not in metrics.text
    assert "203.0.113" not in metrics.text


async def test_agents_find_the_pages_and_the_features(ann: Settings) -> None:
    """llms.txt names both features and each page by its address."""
    async with client(ann) as one:
        text = (await one.get("/llms.txt")).text
    assert text.startswith("# Ann Ode\n")
    for part in ("(/ask-ai)", "(/fit-check)", "(/openapi.json)", "](https://ann.example.com/"):
        assert part in text


async def test_without_a_matrix_there_is_no_fit_check(make_site: MakeSite) -> None:
    """The feature is off: no route, no link, no word of it in the API."""
    async with client(make_site(FILES)) as one:
        problem(await one.post("/fit-check", json={"posting": POSTING}), 404, "not_found")
        assert "/fit-check" not in (await one.get("/")).text
        assert "/fit-check" not in (await one.get("/openapi.json")).json()["paths"]
        assert "/fit-check" not in (await one.get("/llms.txt")).text


THIRD = '[features.brief]\nkind = "chat"\npath = "/in-brief"\n[features.brief.shape]\ntask = "retrieval"\n'


async def test_a_third_feature_is_a_third_declaration(make_site: MakeSite) -> None:
    """Declared in the settings it has its page, its stream, its place in the API and its name in the events."""
    async with client(make_site(FILES, SKILLS + OFTEN + THIRD)) as one:
        assert (await one.get("/in-brief")).status_code == 200
        events = await streamed(one, "/in-brief", {"question": QUESTION})
        assert events[0].data["feature"] == "brief"
        assert "/in-brief" in (await one.get("/openapi.json")).json()["paths"]
        assert "/in-brief" in (await one.get("/")).text


@pytest.mark.parametrize("path", ["/feedback", "/metrics", "/healthz", "/owner", "/v1/models", "/mcp"])
def test_a_feature_cannot_take_a_route_of_askfits_own(path: str, make_site: MakeSite) -> None:
    """Told at the start, with the table and the key: not found out by a visitor."""
    settings = make_site(FILES, THIRD.replace("/in-brief", path))
    with pytest.raises(SettingsError, match=r"\[features.brief\] path") as told:
        create_app(settings)
    assert told.value.next_step


async def test_feedback_is_kept_for_an_answer_that_was_given(ann: Settings) -> None:
    """204 once the answer is known, as JSON or as a form; a second word of the same visitor replaces the first."""
    async with running(ann) as app, visiting(app) as one:
        answer = (await one.post("/ask-ai", json={"question": QUESTION})).json()["id"]
        good = await one.post("/feedback", json={"answer": answer, "rating": "up"})
        again = await one.post("/feedback", data={"answer": answer, "rating": "down", "reason": "wrong", "note": "No."})
        rows = await app.state.site.ledger.store.run(
            lambda connection: connection.execute(sql("SELECT rating, reason, note FROM feedback")).all()
        )
    assert [(each.status_code, each.content) for each in (good, again)] == [(204, b"")] * 2
    assert [tuple(row) for row in rows] == [("down", "wrong", "No.")]


@pytest.mark.parametrize("posting", ["We need a person.", "# SQL\n\nWhere does she live?", POSTING])
async def test_an_assessment_can_be_rated_though_nothing_was_judged(posting: str, ann: Settings) -> None:
    """Too thin a text, a question and a whole posting: each assessment's id takes feedback, as document and stream."""
    async with client(ann) as one:
        document = (await one.post("/fit-check", json={"posting": posting})).json()
        start, *_, done = await streamed(one, "/fit-check", {"posting": posting})
        assert start.data["answer"] == done.data["id"]
        for answer in (document["id"], done.data["id"]):
            rated = await one.post("/feedback", json={"answer": answer, "rating": "down", "reason": "wrong"})
            assert rated.status_code == 204, rated.text


async def test_feedback_that_cannot_be_used_is_a_problem(ann: Settings) -> None:
    """No such answer, another rating, another reason, too long a note, no body: each has its code."""
    async with client(ann) as one:
        problem(await one.post("/feedback", json={"answer": "x", "rating": "up"}), 404, "answer_unknown")
        for bad in (
            {"answer": "x"},
            {"answer": "", "rating": "up"},
            {"answer": "x", "rating": "sideways"},
            {"answer": "x", "rating": "up", "reason": "boring"},
            {"answer": "x", "rating": "up", "note": "n" * 2001},
            {"answer": "x", "rating": "up", "visitor": "me"},
        ):
            problem(await one.post("/feedback", json=bad), 422, "body_invalid")
        problem(await one.post("/feedback", content=b""), 415, "content_type_unknown")


async def test_a_spent_budget_is_told_as_the_owner_wants_it(make_site: MakeSite, model: ScriptedServer) -> None:
    """`refuse`: a 503 problem and no call; `builtin`: an answer with a notice."""
    spent = "[budget]\nper_day_usd = 0.0\nwhen_spent = "
    async with client(by_model(make_site, model, spent + '"refuse"\n')) as one:
        problem(await one.post("/ask-ai", json={"question": QUESTION}), 503, "budget_spent")
    async with client(by_model(make_site, model, spent + '"builtin"\n')) as one:
        events = await streamed(one, "/ask-ai", {"question": QUESTION})
    assert "budget_spent" in [event.data["code"] for event in events if event.name == "notice"]
    assert not model.requests


async def test_the_owners_mail_can_be_clicked_where_nothing_is_answered(make_site: MakeSite) -> None:
    """On the page that says that the budget is spent the address to write to is a link."""
    spent = '[budget]\nper_day_usd = 0.0\nwhen_spent = "refuse"\n'
    form = {"content-type": "application/x-www-form-urlencoded"}
    async with client(make_site(FILES, SKILLS + OFTEN + spent, {"ANTHROPIC_API_KEY": KEY})) as one:
        for path, field, given in (("/ask-ai", "question", QUESTION), ("/fit-check", "posting", POSTING)):
            answer = await one.post(path, content=urlencode({field: given}), headers=form)
            assert answer.status_code == 503
            alert = LexborHTMLParser(answer.text).css_first("[role=alert] a")
            assert alert is not None
            assert (alert.attributes["href"] or "").startswith("mailto:")


# ---------------------------------------------------------------- the process


async def test_the_served_process_believes_no_proxy_that_is_not_named(make_site: MakeSite, serve: Serve) -> None:
    """From loopback too, and whatever the server library would believe: X-Forwarded-For makes no new visitor."""
    ann = make_site(FILES, "[limits]\nper_visitor_per_minute = 1\n")
    with serve(ann.path, {"FORWARDED_ALLOW_IPS": "*"}) as server:
        async with httpx2.AsyncClient(base_url=server.url) as one:
            statuses = [
                (
                    await one.post("/ask-ai", json={"question": QUESTION}, headers={"x-forwarded-for": address})
                ).status_code
                for address in ("1.1.1.1", "2.2.2.2")
            ]
            told = (await one.get("/healthz")).headers
    assert statuses == [200, 429]
    assert "server" not in told


async def test_a_server_that_stops_tells_its_streams(make_site: MakeSite, serve: Serve, model: ScriptedServer) -> None:
    """A stream that still runs at the end of the grace ends with an `error` event, not with a broken connection."""
    model.script = Script.of([{"chunks": ["Ann lives in Lisbon. [[2]] ", "She"], "fault": "stalls", "fault_after": 2}])
    environ = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": model.url}
    with serve(make_site(FILES).path, environ) as server:
        async with httpx2.AsyncClient(base_url=server.url, timeout=20) as one:
            body = ""
            async with one.stream("POST", "/ask-ai", json={"question": QUESTION}, headers=STREAM) as answer:
                async for part in answer.aiter_text():
                    if "Lisbon" in part and "Lisbon" not in body:
                        server.process.send_signal(signal.SIGTERM)
                    body += part
        events = parsed(body)
        assert (events[-1].name, events[-1].data["code"]) == ("error", "stopped")
        assert await asyncio.to_thread(server.process.wait, 20) in (0, 128 + signal.SIGTERM)


def test_the_port_is_opened_for_small_pieces() -> None:
    """A listener that asyncio knows for TCP: else it leaves Nagle on, and an answer waits for an acknowledgement."""
    import socket

    with _listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_the_sample_is_what_these_tests_take_it_for(sample: Settings) -> None:
    """The canaries stand where nothing is read from; without that, the tests of privacy would hold nothing."""
    hidden = "".join(path.read_text(encoding="utf-8") for path in Path(sample.root).rglob("*.md"))
    for word in CANARIES[:5]:
        assert word in hidden


def test_the_owners_places_stay_with_the_owner() -> None:
    """What a store's or a setting's error says of paths and addresses goes to the log, not to a visitor."""
    told = respond(StoreError("store_broken", "/home/ann/askfit.db cannot be written.", "Mend it.", status=503))
    assert told.status_code == 503
    assert b"/home" not in told.body
    assert json.loads(bytes(told.body))["code"] == "store_broken"
