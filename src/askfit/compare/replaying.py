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
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

from askfit.compare.asking import Asker, opened
from askfit.compare.metrics import Outcome
from askfit.config import Settings
from askfit.evals.samples import Sample
from askfit.evals.tape import Tape

FEWEST = 400  # answers that are left: with fewer a process takes longer to begin than to work
AT_ONCE = 1_200  # answers a process before the results are looked at: some seconds
SHARE = 200  # answers that a process takes at a time: the one that is done first takes more

Job = tuple[Sample, str, int]  # sample, model, repeat
Given = tuple[Settings, str, tuple[str, ...], Path]  # feature, models, tape


@dataclass(frozen=True, slots=True)
class Replayers:
    """The processes of one comparison."""

    pool: ProcessPoolExecutor
    count: int
    given: Given

    @property
    def most(self) -> int:
        """Answers to hand over at once."""
        return self.count * AT_ONCE

    async def replay(self, jobs: Sequence[Job]) -> tuple[list[Outcome], int]:
        """What was said, in the order of the jobs; and how many were on the tape."""
        loop = asyncio.get_running_loop()
        parts = [jobs[at : at + SHARE] for at in range(0, len(jobs), SHARE)]
        done = await asyncio.gather(*(loop.run_in_executor(self.pool, _replayed, self.given, part) for part in parts))
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


class _Loop(asyncio.SelectorEventLoop):
    """Runs at once what is meant for a thread: there is no visitor who waits for another."""

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done


class _Replay:
    """The site and the tape, open for as long as this process lives."""

    def __init__(self, given: Given) -> None:
        settings, feature, models, path = given
        self._runner = asyncio.Runner(loop_factory=_Loop)
        self._tape = Tape(replay=path, at_once=True)
        opening = opened(settings, feature, models, self._tape, 0.0)
        self._asker = self._runner.run(opening.__aenter__())
        Finalize(None, self._close, args=(opening,), exitpriority=1)  # before the store's own thread ends

    def _close(self, opening: AbstractAsyncContextManager[Asker]) -> None:
        self._runner.run(opening.__aexit__(None, None, None))
        self._runner.close()

    def replay(self, jobs: Sequence[Job]) -> tuple[list[Outcome], int]:
        before = self._tape.replayed
        outcomes = self._runner.run(self._ask(jobs))
        return outcomes, self._tape.replayed - before

    async def _ask(self, jobs: Sequence[Job]) -> list[Outcome]:
        return [await self._asker.ask(*job) for job in jobs]


_replays: dict[Path, _Replay] = {}  # of this process: one


def _replayed(given: Given, jobs: Sequence[Job]) -> tuple[list[Outcome], int]:
    path = given[-1]
    if path not in _replays:
        _replays[path] = _Replay(given)
    return _replays[path].replay(jobs)
