"""What pacing before a rate limit gains and costs, how far the simulation agrees with the wire, what `loadtest` finds.

First table: bursts over the real client against a scripted server with an account's limits, with pacing and without:
how many the model answers, how many requests are refused with 429, what the longest visitor waited. Second: what a
call pays for it where headroom is ample: one turn, one answer's headers read, one end. Third: the simulation of
`askfit loadtest` against the same burst in real time. Fourth: visitors a minute by model and tier, over the sums done
by hand. Everything stays on loopback; DATA is not read.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

from askfit.config import load_settings
from askfit.gateway import Gateway
from askfit.ledger import Ledger
from askfit.loadtest.simulate import Case, Question, Traffic, ceilings, find, replay
from askfit.pacing import Pacer, Turn
from askfit.providers.headers import headroom_of
from askfit.providers.scripted import ScriptedServer
from askfit.rates import Limits, limits_of
from askfit.store import open_store
from askfit.types import Call, Message, Opened, Prompt, Usage

HAIKU, SONNET = "anthropic:claude-haiku-4-5", "anthropic:claude-sonnet-4-6"
CORPUS = "[[1]] About\nAnn leads a team of four in Lisbon. She likes tea."
PROMPT = Prompt("Answer from the sections.", CORPUS, (Message("user", "Where does Ann lead a team?"),), 300)
CALLS = 20_000
MOST_US = 100.0  # what a call may pay: a thousandth of the time to a fast first token
TOLD = {
    f"anthropic-ratelimit-{axis}-{field}": value
    for axis in ("requests", "tokens", "input-tokens", "output-tokens")
    for field, value in (("limit", "50000"), ("remaining", "49000"), ("reset", "2026-11-21T12:00:02Z"))
} | {"date": "Sat, 21 Nov 2026 12:00:00 GMT"}


async def nothing() -> AsyncIterator[str]:
    yield "the built-in"


def call() -> Call:
    return Call("ask", "a", PROMPT, nothing)


class Unpaced(Pacer):
    """As it would be without."""

    def turn(self, model: str, call: Call, count: Callable[[], float] = lambda: 0.0) -> Turn:
        turn = super().turn(model, call, count)
        turn.wait_s = 0.0
        return turn


async def ask(gateway: Gateway, when_s: float, begun_s: float) -> tuple[str, float]:
    """(who answered, seconds from the question to the first word)."""
    await asyncio.sleep(max(0.0, begun_s + when_s - time.perf_counter()))
    asked_s, model, first_s = time.perf_counter(), "", 0.0
    async with aclosing(gateway.stream(call())) as items:
        async for item in items:
            if isinstance(item, Opened):
                model, first_s = item.model, time.perf_counter() - asked_s
    return model, first_s


async def burst(
    settings: Any,
    ledger: Ledger,
    server: ScriptedServer,
    pacer: Pacer,
    limits: Limits,
    begins: float,
    times_s: list[float],
) -> tuple[int, int, float]:
    """(answered by the model, refused, the longest wait to a first word)."""
    server.reset()
    server.script.limit(Limits(100_000))
    gateway = Gateway(settings, ledger, pacer=pacer)
    await ask(gateway, 0.0, time.perf_counter())  # the client is imported, the connection open
    server.reset()
    server.script.limit(limits, begins=begins + 1 / limits.requests)
    await ask(gateway, 0.0, time.perf_counter())  # its answer tells the limits
    begun_s = time.perf_counter()
    told = await asyncio.gather(*(ask(gateway, when_s, begun_s) for when_s in times_s))
    await gateway.aclose()
    refused = sum(seen.status == 429 for seen in server.requests)
    return sum(model == HAIKU for model, _ in told), refused, max(first_s for _, first_s in told)


BURSTS = (  # name, limits, how full, when they ask
    ("8 at once, 2 + 4 a second", Limits(240), 2.0 / 240, [0.0] * 8),
    ("30 in 6 s, 5 + 2 a second", Limits(120), 5.0 / 120, [at / 5 for at in range(30)]),
    ("30 in 6 s, 5 + 0.8 a second", Limits(50), 5.0 / 50, [at / 5 for at in range(30)]),
)


async def wire() -> bool:
    print(f"{'burst':30} {'':9} {'by the model':>12} {'simulated':>9} {'refused 429':>11} {'longest first word':>18}")
    good = True
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "askfit.toml"
        path.write_text('[site]\nname = "A"\n[corpus]\nsources = ["*.md"]\n')
        async with ScriptedServer() as server:
            settings = load_settings(path, {"ANTHROPIC_API_KEY": "x", "ANTHROPIC_BASE_URL": server.url})
            ledger = Ledger(open_store(settings))
            await ledger.open()
            for name, limits, begins, times_s in BURSTS:
                case = Case(HAIKU, call(), (Question(0, 30, 30),), limits)
                simulated = replay(case, [0.0, *times_s], begins + 1 / limits.requests, cached=False).answered - 1
                for word, pacer in (("paced", Pacer()), ("unpaced", Unpaced())):
                    told = await burst(settings, ledger, server, pacer, limits, begins, times_s)
                    answered, refused, first_s = told
                    # At one moment the simulation would not have heard the first answer's headers yet.
                    shown = str(simulated) if word == "paced" and any(times_s) else ""
                    print(f"{name:30} {word:9} {answered:>12} {shown:>9} {refused:>11} {first_s:>17.2f}s")
                    good = good and (word != "paced" or refused <= 1)
            await ledger.store.aclose()
    return good


def overhead() -> bool:
    """Microseconds of CPU of each step, headroom ample."""
    pacer, one = Pacer(), call()
    first = pacer.turn(HAIKU, one)
    pacer.take(first)
    headroom = headroom_of(TOLD, time.monotonic())
    assert headroom
    pacer.heard(first, headroom)
    pacer.done(first, Usage(9000, 130, 8900))

    def turn() -> None:
        taken = pacer.turn(HAIKU, one)
        pacer.take(taken)
        pacer.heard(taken, headroom)
        pacer.done(taken, Usage(9000, 130, 8900))

    steps: tuple[tuple[str, Callable[[], object]], ...] = (
        ("headers read", lambda: headroom_of(TOLD, 0.0)),
        ("turn, take, heard, done", turn),
    )
    total = 0.0
    print(f"\n{'a call, headroom ample':30} {'us of CPU':>10}")
    for name, work in steps:
        each = statistics.median(timed(work) for _ in range(5))
        total += each
        print(f"{name:30} {each:>10.1f}")
    print(f"{'in all':30} {total:>10.1f}   bound {MOST_US:.0f}  {'holds' if total <= MOST_US else 'MISSED'}")
    return total <= MOST_US


def timed(work: Callable[[], object]) -> float:
    begun = time.process_time()
    for _ in range(CALLS // 5):
        work()
    return (time.process_time() - begun) / (CALLS // 5) * 1e6


def tiers() -> None:
    print(
        f"\n{'visitors a minute':42} {'by hand':>8} {'cached':>7} {'first':>14} {'uncached':>9} {'first':>14} {'s':>5}"
    )
    features = (
        ("ask, 5 questions of 15,000 tokens", HAIKU, Question(14_840, 350, 130), 5.0),
        ("fit, 1 of 14,500", SONNET, Question(13_400, 1_100, 1_500), 1.0),
    )
    for name, model, question, runs in features:
        for tier in ("1", "start", "build"):
            case = Case(model, call(), (question,), limits_of(model, tier))
            begun = time.perf_counter()
            found, bare = (
                find(one, Traffic(0, runs, 1.5, 10))
                for one in (case, Case(model, call(), (question,), limits_of(model, tier), cached=False))
            )
            by_hand = min(ceilings(case, runs).values())
            print(
                f"{name + ', ' + tier:42} {by_hand:>8.1f} {found.visitors:>7.1f} {found.first:>14} "
                f"{bare.visitors:>9.1f} {bare.first:>14} {time.perf_counter() - begun:>5.1f}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", help="not read")
    parser.parse_args()
    held = asyncio.run(wire())
    held = overhead() and held
    tiers()
    if not held:
        raise SystemExit("A bound was missed.")


if __name__ == "__main__":
    main()
