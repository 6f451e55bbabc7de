"""What askfit adds to the time to the first token, over a bare pass-through proxy in the same run.

One scripted Messages server, in a process of its own on loopback, answers three ways in turn, at once and after a fixed
wait: straight; through a minimal ASGI proxy that passes the bytes on (httpx2 under uvicorn); and through
`askfit serve`, POST /ask-ai as a stream over the sample site, with limits, prompt, reservation, the SDK's client,
citations and ledger on the way. All three send the model the same prompt. The first token is the first
`content_block_delta`, for askfit the first `delta`. The indented rows are what the gateway itself told in `done`: from
before the reservation to the model's first text.
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
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

SAMPLE = Path(__file__).parents[1] / "examples" / "site"
WAIT_MS = 50
QUESTIONS = {0: "What was your role on your last team?", WAIT_MS: "Unhurried: what was your role on your last team?"}
SCRIPT = {"rules": [{"match": "Unhurried", "behaviour": "words-16", "first_ms": WAIT_MS}], "otherwise": "words-16"}
# As many questions as a benchmark asks are more than any visitor's, or any small budget.
AMPLE = "\n[limits]\nper_visitor_per_minute = 100000\nper_visitor_per_day = 100000\n"
RUNS, WARM_UP = 40, 5
PATIENCE_S = 20.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(command: list[str], ready_url: str, **environ: str) -> Iterator[None]:
    """A server until the end of the block; it is there once `ready_url` answers 200."""
    server = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL, env=os.environ | environ)
    try:
        until = time.perf_counter() + PATIENCE_S
        while not answers(ready_url):
            if server.poll() is not None or time.perf_counter() > until:
                raise SystemExit(f"{command[-1]} did not become ready")
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
    own_ms: dict[int, list[float]] = field(default_factory=dict)  # as askfit's own `done` tells it

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
        if b"event: done" in seen:
            done = json.loads(seen.partition(b"event: done")[2].partition(b"data: ")[2].partition(b"\n")[0])
            self.own_ms.setdefault(wait_ms, []).append(done["ttft_ms"])


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


def p50_p95(times: list[float]) -> tuple[float, float]:
    """Of the runs after the warm-up."""
    kept = times[-RUNS:]
    return statistics.median(kept), statistics.quantiles(kept, n=20)[-1]


def table(ways: list[Way]) -> Iterator[str]:
    straight, bare, askfit = ways
    yield f"first token, ms    wait   {'p50':>8} {'p95':>8}   over the bare proxy: p50      p95   ratio of p50"
    for wait_ms in QUESTIONS:
        base = p50_p95(bare.first_ms[wait_ms])
        rows = [(way.name, way.first_ms[wait_ms]) for way in (straight, bare, askfit)]
        for name, times in [*rows, ("  its model call", askfit.own_ms[wait_ms])]:
            p50, p95 = p50_p95(times)
            over = f"{p50 - base[0]:+24.2f} {p95 - base[1]:+8.2f} {p50 / base[0]:14.2f}" if name != bare.name else ""
            yield f"{name:18} {wait_ms:4}   {p50:8.2f} {p95:8.2f} {over}".rstrip()


def site_folder(folder: Path) -> Path:
    """A copy of the sample with room for many questions."""
    shutil.copytree(SAMPLE, folder / "site")
    settings = folder / "site" / "askfit.toml"
    given = settings.read_text(encoding="utf-8")
    for key in ("per_day_usd", "per_month_usd"):
        given = re.sub(rf"^{key} = [\d.]+", f"{key} = 100000", given, flags=re.MULTILINE)
    settings.write_text(given + AMPLE, encoding="utf-8")
    return settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", help="not used: the sample site is measured")
    parser.add_argument("--proxy", nargs=2, metavar=("PORT", "UPSTREAM"), help="serve as the bare proxy")
    chosen = parser.parse_args()
    if chosen.proxy:
        serve_proxy(int(chosen.proxy[0]), chosen.proxy[1])
        return
    ports = [free_port() for _ in range(3)]
    model, through, site = (f"http://127.0.0.1:{port}" for port in ports)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = site_folder(folder)
        (folder / "script.json").write_text(json.dumps(SCRIPT))
        scripted = ["-m", "askfit.providers.scripted", "--port", str(ports[0]), "--script", f"{folder}/script.json"]
        stack.enter_context(process(scripted, f"{model}/v1/models"))
        stack.enter_context(process([__file__, "--proxy", str(ports[1]), model], f"{through}/v1/models"))
        serve = ["-m", "askfit", "serve", "--port", str(ports[2]), "--config", str(settings)]
        environ = {"ANTHROPIC_API_KEY": "x", "ANTHROPIC_BASE_URL": model}
        stack.enter_context(process(serve, f"{site}/readyz", **environ))
        ways = asyncio.run(measure(model, through, site))
    print(f"{RUNS} questions each way, in turn; the prompt is {len(ways[0].bodies[0]):,} bytes")
    print(*table(ways), sep="\n")


if __name__ == "__main__":
    main()
