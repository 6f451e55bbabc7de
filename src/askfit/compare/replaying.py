"""Many recorded answers at once, on every processor. What each comes to is what it comes to alone; knows no statistics.

A replayed answer waits for nobody and keeps a processor busy: understanding the question, checking every sentence. So
processes share them. The first ones are replayed without: a clear case is decided before a process has begun.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from askfit.compare.asking import opened
from askfit.compare.metrics import Outcome
from askfit.config import Settings
from askfit.evals.samples import Sample
from askfit.evals.tape import Tape

FEWEST = 400  # answers that are left: with fewer a process takes longer to begin than to work
AT_ONCE = 600  # answers for one process before its results are looked at: some seconds

Job = tuple[Sample, str, int]  # sample, model, repeat


@dataclass(frozen=True, slots=True)
class Replayers:
    """The processes of one comparison."""

    pool: ProcessPoolExecutor
    count: int
    given: tuple[Settings, str, tuple[str, ...], Path]

    @property
    def most(self) -> int:
        """Answers to hand over at once."""
        return self.count * AT_ONCE

    async def replay(self, jobs: Sequence[Job]) -> tuple[list[Outcome], int]:
        """What was said, in the order of the jobs; and how many were on the tape."""
        share = -(-len(jobs) // self.count)
        loop = asyncio.get_running_loop()
        parts = [jobs[at : at + share] for at in range(0, len(jobs), share)]
        done = await asyncio.gather(*(loop.run_in_executor(self.pool, _replayed, *self.given, part) for part in parts))
        return [outcome for outcomes, _ in done for outcome in outcomes], sum(count for _, count in done)


@asynccontextmanager
async def replayers(
    settings: Settings, feature: str, models: tuple[str, ...], tape: Tape, processes: int
) -> AsyncIterator[Replayers | None]:
    """None where nothing is to be shared: one process, or a tape that is not only replayed."""
    if processes < 2 or not tape.only_replays or tape.replay is None:
        yield None
        return
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_begin)
    try:
        yield Replayers(pool, processes, (settings, feature, models, tape.replay))
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)  # Ctrl-C waits for nobody
        raise
    pool.shutdown()


# ---------------------------------------------------------------- in a process of its own


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command's own process ends this one
    gc.freeze()  # the modules stay; what an answer leaves behind is rarely a ring
    gc.set_threshold(50_000, 20, 50)
    logging.disable(logging.ERROR)  # what went wrong stands in the outcome


class _Here(ThreadPoolExecutor):
    """Runs at once what is meant for a thread: there is no visitor who waits for another."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:
            done.set_exception(error)
        return done


def _replayed(
    settings: Settings, feature: str, models: tuple[str, ...], path: Path, jobs: Sequence[Job]
) -> tuple[list[Outcome], int]:
    async def work() -> tuple[list[Outcome], int]:
        asyncio.get_running_loop().set_default_executor(_Here())
        tape = Tape(replay=path, at_once=True)
        async with opened(settings, feature, models, tape, 0.0) as asker:
            return [await asker.ask(*job) for job in jobs], tape.replayed

    return asyncio.run(work())
