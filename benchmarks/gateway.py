"""What askfit adds to the time to the first token, and what the check of an answer's sentences adds to first and last.

One scripted Messages server, in a process of its own on loopback, stands for the model.

First table: it answers three ways in turn, at once and after a fixed wait: straight; through a minimal ASGI proxy that
passes the bytes on (httpx2 under uvicorn); and through `askfit serve`, POST /ask-ai as a stream over the sample site,
with limits, prompt, reservation, the SDK's client, the check of what is said, citations and ledger on the way. All
three send the model the same prompt and get the same true answer: an invented one would be held back, which is the
second table's matter. The first token is the first `content_block_delta`, for askfit the first `delta`. The indented
rows are the ledger's: the model call alone, from after the reservation to its first text.

Second table: three features of one server that differ in `ground` alone answer in turn, their order changing, at a
model's pace and as fast as it can. An answer that opens with a sentence that the site does not bear shows what the
check is for: `strict` shows a sentence as it comes up to the first name or figure that the site nowhere has, and holds
the rest until the sentence is whole and the next one has begun. Here that is from its first word on, so the visitor
waits for the whole sentence. That wait is the model's pace, no computing; the last table tells the computing alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from askfit.ask.citing import Reading
from askfit.ask.ground import Ground
from askfit.ask.ground.evidence import evidence
from askfit.ask.judging import Judge
from askfit.ask.prompt import Shared
from askfit.config import Settings, load_settings
from askfit.corpus import Corpus, load_corpus
from askfit.providers.scripted.behaviours import in_pieces
from askfit.text import sentences
from askfit.types import Delta, Message, Prompt, Retract

SAMPLE = Path(__file__).parents[1] / "examples" / "site"
WAIT_MS = 50
ASKED = "what was your role on your last team?"
QUESTIONS = {0: f"At once: {ASKED}", WAIT_MS: f"Unhurried: {ASKED}"}
# A word is about 1.3 tokens: this is some 80 tokens a second.
PACES_MS = {"80 tokens/s": 16, "at once": 0}
INVENTED = "98765 people worked for Qworblex in the Atlantis office in 1987. "
MODES = ("off", "flag", "strict")
# As many questions as a benchmark asks are more than any visitor's, or any small budget.
AMPLE = "\n[limits]\nper_visitor_per_minute = 100000\nper_visitor_per_day = 100000\n"
RUNS, WARM_UP = 40, 5
ROUNDS = 12  # of the second table: every answer takes about a second at a model's pace
PATIENCE_S = 20.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(command: list[str], ready_url: str, **environ: str) -> Iterator[None]:
    """A server until the end of the block; it is there once `ready_url` answers 200. Its log is shown if it is not."""
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(
            [sys.executable, *command], stdout=subprocess.DEVNULL, stderr=log, env=os.environ | environ
        )
        try:
            until = time.perf_counter() + PATIENCE_S
            while not answers(ready_url):
                if server.poll() is not None or time.perf_counter() > until:
                    log.seek(0)
                    raise SystemExit(f"{command[-1]} did not become ready\n{log.read().decode()}")
                time.sleep(0.02)
            yield
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(10)


def answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=5).status_code == 200
    except httpx2.TransportError:
        return False


def proxy(upstream: str) -> Any:
    """The least that passes a stream on."""
    client = httpx2.AsyncClient(timeout=PATIENCE_S)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        drop = {b"host", b"content-length"}
        headers = [(name, value) for name, value in scope["headers"] if name not in drop]
        async with client.stream(scope["method"], upstream + scope["path"], content=body, headers=headers) as answer:
            passed = [(name, value) for name, value in answer.headers.raw if name.lower() == b"content-type"]
            await send({"type": "http.response.start", "status": answer.status_code, "headers": passed})
            async for chunk in answer.aiter_raw():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


def serve_proxy(port: int, upstream: str) -> None:
    import uvicorn

    uvicorn.run(proxy(upstream), host="127.0.0.1", port=port, log_level="error", lifespan="off")


@dataclass
class Way:
    """One way to the model: where to post, what, and which bytes are the first token."""

    name: str
    url: str
    mark: bytes
    headers: dict[str, str]
    bodies: dict[int, bytes]
    first_ms: dict[int, list[float]] = field(default_factory=dict)

    async def ask(self, client: httpx2.AsyncClient, wait_ms: int) -> None:
        """One question to its end."""
        begun, seen, first = time.perf_counter(), b"", 0.0
        body, headers = self.bodies[wait_ms], {"content-type": "application/json", **self.headers}
        async with client.stream("POST", self.url, content=body, headers=headers) as answer:
            async for chunk in answer.aiter_raw():
                seen += chunk
                if not first and self.mark in seen:
                    first = time.perf_counter() - begun
        if not first or b"notice" in seen:
            raise SystemExit(f"{self.name} gave no model's answer: {answer.status_code} {seen[:300]!r}")
        self.first_ms.setdefault(wait_ms, []).append(first * 1000)


def askfit_way(base: str) -> Way:
    bodies = {wait_ms: json.dumps({"question": question}).encode() for wait_ms, question in QUESTIONS.items()}
    return Way("askfit serve", f"{base}/ask-ai", b"event: delta", {"accept": "text/event-stream"}, bodies)


async def measure(model: str, through: str, site: str) -> list[Way]:
    """Every way's times. One client each, its connection kept open; the ways take turns."""
    async with httpx2.AsyncClient(timeout=PATIENCE_S) as client:
        askfit = askfit_way(site)
        sent: dict[int, bytes] = {}
        for wait_ms in QUESTIONS:  # what askfit sends is what the others send
            await askfit.ask(client, wait_ms)
            sent[wait_ms] = json.dumps((await client.get(f"{model}/_requests")).json()[-1]["body"]).encode()
        headers = {"x-api-key": "x", "anthropic-version": "2023-06-01"}
        ways = [
            Way(name, f"{base}/v1/messages", b"content_block_delta", headers, sent)
            for name, base in (("straight", model), ("bare proxy", through))
        ]
        ways.append(askfit_way(site))
    clients = [httpx2.AsyncClient(timeout=PATIENCE_S) for _ in ways]
    for wait_ms in QUESTIONS:
        for _ in range(WARM_UP + RUNS):
            for way, client in zip(ways, clients, strict=True):
                await way.ask(client, wait_ms)
    for client in clients:
        await client.aclose()
    return ways


def p50_p95(times: Sequence[float]) -> tuple[float, float]:
    """Of the runs after the warm-up."""
    kept = times[-RUNS:]
    return statistics.median(kept), statistics.quantiles(kept, n=20)[-1]


def table(ways: list[Way], calls: dict[int, list[float]]) -> Iterator[str]:
    straight, bare, askfit = ways
    yield f"first token, ms    wait   {'p50':>8} {'p95':>8}   over the bare proxy: p50      p95   ratio of p50"
    for wait_ms in QUESTIONS:
        base = p50_p95(bare.first_ms[wait_ms])
        rows = [(way.name, way.first_ms[wait_ms]) for way in (straight, bare, askfit)]
        for name, times in [*rows, ("  its model call", calls[wait_ms])]:
            p50, p95 = p50_p95(times)
            over = f"{p50 - base[0]:+24.2f} {p95 - base[1]:+8.2f} {p50 / base[0]:14.2f}" if name != bare.name else ""
            yield f"{name:18} {wait_ms:4}   {p50:8.2f} {p95:8.2f} {over}".rstrip()


def model_calls(folder: Path) -> dict[int, list[float]]:
    """The times to the first text that the ledger holds, by wait. The first table's calls are its first ones."""
    with closing(sqlite3.connect(folder / "site" / "askfit.db")) as ledger:
        told = [row[0] for row in ledger.execute("SELECT ttft_ms FROM calls ORDER BY at_ms, id")]
    told = told[len(QUESTIONS) :]  # those that only told what is sent
    each = WARM_UP + RUNS
    return {wait_ms: told[at * each : (at + 1) * each] for at, wait_ms in enumerate(QUESTIONS)}


# ---------------------------------------------------------------- what the check adds


@dataclass
class Timed:
    """One answer, as its visitor saw it come."""

    first_ms: float = 0.0
    last_ms: float = 0.0  # the last text; what follows it costs no reader anything
    text: str = ""


async def timed(client: httpx2.AsyncClient, url: str, question: str) -> Timed:
    begun, seen, told = time.perf_counter(), b"", Timed()
    async with client.stream("POST", url, json={"question": question}, headers={"accept": "text/event-stream"}) as got:
        async for chunk in got.aiter_raw():
            seen += chunk
            if b"event: delta" in chunk:
                told.last_ms = (time.perf_counter() - begun) * 1000
                told.first_ms = told.first_ms or told.last_ms
    for event in seen.decode().split("\n\n"):
        name, _, data = event.partition("\n")
        if name == "event: delta":
            told.text += json.loads(data.partition("data: ")[2])["text"]
        elif name == "event: retract":
            told.text = told.text[: json.loads(data.partition("data: ")[2])["from"]]
    if b"event: done" not in seen:
        raise SystemExit(f"No whole answer: {seen[:300]!r}")
    return told


def opening(kind: str, pace: str) -> str:
    """What a question begins with, by which the script knows what to say and how fast."""
    return f"{kind}, {pace}"


async def compare(site: str, kind: str, pace: str, rounds: int) -> dict[str, list[Timed]]:
    """Each mode's answers, round by round; a round asks all of them, each in turn the first."""
    question, found = f"{opening(kind, pace)}: {ASKED}", {mode: list[Timed]() for mode in MODES}
    async with httpx2.AsyncClient(timeout=PATIENCE_S) as client:
        for number in range(rounds + 1):
            turn = number % len(MODES)
            for mode in MODES[turn:] + MODES[:turn]:
                told = await timed(client, f"{site}/{mode}", question)
                found[mode] += [told] if number else []  # the first round warms up
    return found


def added(found: dict[str, list[Timed]], kind: str, pace: str) -> Iterator[str]:
    """One row a mode: the median of the paired differences, and the quartiles between which half of them lie."""
    plain = found["off"]
    first, last = (statistics.median(getattr(one, name) for one in plain) for name in ("first_ms", "last_ms"))
    yield f"{kind:9} {pace:12} off    {first:9.2f} {last:35.2f}"
    for mode in ("flag", "strict"):
        row = f"{'':22} {mode:6}"
        for name in ("first_ms", "last_ms"):
            pairs = zip(found[mode], plain, strict=True)
            low, middle, high = statistics.quantiles([getattr(a, name) - getattr(b, name) for a, b in pairs], n=4)
            row += f" {middle:+9.2f} ({low:+8.2f} to {high:+8.2f})   "
        dropped = sum(INVENTED.strip() not in one.text for one in found[mode])
        yield row + (f"stopped {dropped} of {len(plain)}" if kind == "invented" else "")


def true_answer(corpus: Corpus) -> str:
    """Four sentences of one section of the sample, with figures and names, marked as models are told to."""
    for number, section in enumerate(corpus.sections, 1):
        said = [one for one in sentences(section.text) if "\n" not in one]
        if len(said) >= 4 and sum(any(map(str.isdigit, one)) for one in said[:4]) >= 2:
            return " ".join(f"{one} [[{number}]]" for one in said[:4])
    raise SystemExit("The sample has no section to quote.")


def computing(settings: Settings, corpus: Corpus, answer: str) -> Iterator[str]:
    """The check alone, without network and wait: thread time up to the first text shown, and in all."""
    prompt, about = Prompt("", "", (Message("user", ASKED),), 0), settings.site
    known, own_words = evidence(Shared(corpus)), f"{about.name} {about.url} {about.contact}"
    judges: dict[str, Callable[[], Judge]] = {
        "off": lambda: Judge(prompt),
        "flag": lambda: Judge(prompt, Ground(known, ASKED, [], own_words), strict=False),
        "strict": lambda: Judge(prompt, Ground(known, ASKED, [], own_words)),
    }
    pieces, spent = in_pieces(answer), {mode: list[tuple[float, float]]() for mode in judges}
    for _ in range(RUNS + WARM_UP):
        for mode, judge in judges.items():
            begun, first = time.thread_time(), 0.0
            reading, shown = Reading(corpus.sections, judge()), list[object]()
            for piece in pieces:
                shown += reading.feed(piece)
                if not first and any(isinstance(one, Delta) for one in shown):
                    first = time.thread_time() - begun
            shown += reading.finish()
            if any(isinstance(one, Retract) for one in shown):
                raise SystemExit("A true sentence of the sample was stopped.")
            spent[mode].append((first * 1000, (time.thread_time() - begun) * 1000))
    yield f"computing alone, ms of CPU, four true sentences in {len(pieces)} pieces (medians)"
    for mode, times in spent.items():
        first, whole = (statistics.median(one[at] for one in times[WARM_UP:]) for at in (0, 1))
        yield f"  {mode:6} to the first text {first:6.3f}   the whole answer {whole:6.2f}"


def check_table(site: str, rounds: int) -> Iterator[str]:
    yield "what the check of what is said adds, ms; `off` as it is, the others over it in the same round"
    yield f"{'answer':9} {'pace':12} ground {'first token':>24} {'last token':>32}"
    for pace in PACES_MS:
        for kind in ("true", "invented"):
            yield from added(asyncio.run(compare(site, kind, pace, rounds)), kind, pace)


# ---------------------------------------------------------------- the site and its model


FEATURES = "".join(
    f"""
[features.{mode}]
kind = "chat"
path = "/{mode}"
model = "small"
ground = "{mode}"
shape = {{ task = "retrieval", runs_per_visit = 5, almost_good_enough = "annoyance", latency_felt = true }}
"""
    for mode in MODES
)


def site_folder(folder: Path) -> Path:
    """A copy of the sample with room for many questions, and the three ways to check an answer."""
    shutil.copytree(SAMPLE, folder / "site")
    settings = folder / "site" / "askfit.toml"
    given = settings.read_text(encoding="utf-8")
    for key in ("per_day_usd", "per_month_usd"):
        given = re.sub(rf"^{key} = [\d.]+", f"{key} = 100000", given, flags=re.MULTILINE)
    settings.write_text(given + AMPLE + FEATURES, encoding="utf-8")
    return settings


def script(answer: str) -> dict[str, Any]:
    says = {"true": answer, "invented": INVENTED + answer}
    rules = [
        {"match": opening(kind, pace), "text": text, "delay_ms": delay_ms}
        for kind, text in says.items()
        for pace, delay_ms in PACES_MS.items()
    ]
    rules += [
        {"match": QUESTIONS[wait_ms].partition(":")[0], "text": answer, "first_ms": wait_ms} for wait_ms in QUESTIONS
    ]
    return {"rules": rules}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", help="not used: the sample site is measured")
    parser.add_argument("--proxy", nargs=2, metavar=("PORT", "UPSTREAM"), help="serve as the bare proxy")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of the second table")
    chosen = parser.parse_args()
    if chosen.proxy:
        serve_proxy(int(chosen.proxy[0]), chosen.proxy[1])
        return
    ports = [free_port() for _ in range(3)]
    model, through, site = (f"http://127.0.0.1:{port}" for port in ports)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        path = site_folder(folder)
        settings = load_settings(path, {})
        corpus = stack.enter_context(closing(load_corpus(settings)))
        answer = true_answer(corpus)
        (folder / "script.json").write_text(json.dumps(script(answer)))
        scripted = ["-m", "askfit.providers.scripted", "--port", str(ports[0]), "--script", f"{folder}/script.json"]
        stack.enter_context(process(scripted, f"{model}/v1/models"))
        stack.enter_context(process([__file__, "--proxy", str(ports[1]), model], f"{through}/v1/models"))
        serve = ["-m", "askfit", "serve", "--port", str(ports[2]), "--config", str(path)]
        environ = {"ANTHROPIC_API_KEY": "x", "ANTHROPIC_BASE_URL": model}
        stack.enter_context(process(serve, f"{site}/readyz", **environ))
        ways = asyncio.run(measure(model, through, site))
        print(f"{RUNS} questions each way, in turn; the prompt is {len(ways[0].bodies[0]):,} bytes")
        print(*table(ways, model_calls(folder)), sep="\n")
        print(f"\n{chosen.rounds} rounds;", *check_table(site, chosen.rounds), sep="\n")
        print("", *computing(settings, corpus, answer), sep="\n")


if __name__ == "__main__":
    main()
