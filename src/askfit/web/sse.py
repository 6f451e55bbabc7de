"""Server-sent events: encode, ping, buffer for a resume, and close what nobody listens to. Knows no feature.

A run is one answer being made: its events go to a buffer, readers follow the buffer. So a reader whose connection
broke can come back with `Last-Event-ID` within 60 s and lose nothing; and a run whose last reader left is closed after
a short grace, which closes the request to the model.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field

from fastapi.responses import StreamingResponse
from starlette.types import Send

from askfit.errors import AskfitError
from askfit.types import Event, Failed, Start
from askfit.web.problems import for_visitors

log = logging.getLogger(__name__)

PING_S = 15.0
KEEP_S = 60.0  # after its end, for Last-Event-ID
GRACE_S = 1.0  # long enough for a reload or a network switch, short enough that a visitor who left costs little
MOST_RUNS = 500
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def encode(event: Event, id: str) -> bytes:
    """One event as bytes: JSON on one line."""
    data = event.model_dump_json(exclude_none=isinstance(event, Start | Failed))
    return f"event: {event.event}\nid: {id}\ndata: {data}\n\n".encode()


class Stream(StreamingResponse):
    """A run's events on their way to one reader; it stops reading at once when its visitor leaves."""

    def __init__(self, events: AsyncGenerator[bytes, None]) -> None:
        super().__init__(events, media_type="text/event-stream", headers=HEADERS)
        self._events = events

    async def stream_response(self, send: Send) -> None:
        """Close what is read here and now: Starlette would leave that to the garbage collector."""
        try:
            await super().stream_response(send)
        finally:
            await self._events.aclose()


@dataclass(slots=True)
class Run:
    """One answer's events so far, and whether more will come."""

    events: AsyncIterator[Event]
    answer: str
    sent: list[bytes] = field(default_factory=list)
    over: bool = False
    readers: int = 0
    touched: float = field(default_factory=time.monotonic)
    news: asyncio.Event = field(default_factory=asyncio.Event)  # of the next event; a new one after each
    task: asyncio.Task[None] | None = None
    leaving: asyncio.TimerHandle | None = None

    def add(self, event: Event) -> None:
        """Put one event behind the others."""
        self.sent.append(encode(event, f"{self.answer}:{len(self.sent) + 1}"))
        self.tell()

    def tell(self) -> None:
        """Wake the readers."""
        self.news.set()
        self.news = asyncio.Event()


class Runs:
    """The answers that are being made or may still be resumed."""

    def __init__(self) -> None:
        self._runs: OrderedDict[str, Run] = OrderedDict()

    async def begin(self, events: AsyncIterator[Event]) -> Run:
        """Start a run; an error before its first event is raised here, so that it can be told as a problem."""
        first = await anext(events)
        answer = first.answer if isinstance(first, Start) else f"run{id(events):x}"
        run = Run(events, answer)
        run.add(first)
        self._forget_old()
        self._runs[answer] = run
        run.task = asyncio.create_task(self._pump(run))
        self._expect_reader(run)
        await asyncio.sleep(0)  # a task that is cancelled before its first step would tell its readers nothing
        return run

    def response(self, run: Run, seen: int = 0) -> Stream:
        """The run as a response, from its event number `seen` on."""
        return Stream(self._follow(run, seen))

    def _expect_reader(self, run: Run) -> None:
        """End the run unless somebody reads it within the grace."""
        if not run.over and run.task:
            run.leaving = asyncio.get_running_loop().call_later(GRACE_S, run.task.cancel)

    def resumed(self, last_event_id: str) -> tuple[Run, int] | None:
        """The run and how many of its events the reader has, or None where it is gone."""
        answer, _, number = last_event_id.rpartition(":")
        run = self._runs.get(answer)
        if run is None or (run.over and time.monotonic() - run.touched > KEEP_S):
            return None
        if not (number.isdecimal() and len(number) <= 9):  # int() refuses what is very long
            return None
        return run, min(int(number), len(run.sent))

    async def _pump(self, run: Run) -> None:
        try:
            async for event in run.events:
                run.add(event)
                # Readers first: many pieces come in one packet, and none shall wait until the others are read.
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            run.add(Failed(code="stopped", message="The answer was stopped before its end.", partial=True))
        except AskfitError as error:
            run.add(Failed(code=error.code, message=str(for_visitors(error)), partial=True))
        except Exception:
            log.exception("A stream failed in a way that was not foreseen.")
            message = "The answer could not be finished. Try again."
            run.add(Failed(code="internal", message=message, partial=True))
        finally:
            if close := getattr(run.events, "aclose", None):
                with contextlib.suppress(Exception):
                    await close()
            run.over = True
            run.touched = time.monotonic()
            run.tell()

    async def _follow(self, run: Run, seen: int) -> AsyncGenerator[bytes, None]:
        """The run's events from a place on, with a ping where nothing comes for a while."""
        run.readers += 1
        if run.leaving:
            run.leaving.cancel()
        try:
            while True:
                while new := run.sent[seen:]:
                    seen += len(new)
                    yield b"".join(new)
                if run.over:
                    return
                try:
                    async with asyncio.timeout(PING_S):
                        await run.news.wait()
                except TimeoutError:
                    yield b": ping\n\n"
        finally:
            run.readers -= 1
            if not run.readers:
                self._expect_reader(run)

    def _forget_old(self) -> None:
        now = time.monotonic()
        for answer, run in list(self._runs.items()):
            if run.over and (now - run.touched > KEEP_S or len(self._runs) >= MOST_RUNS):
                del self._runs[answer]

    def end(self) -> list[asyncio.Task[None]]:
        """End every run; its readers get an error event. What is returned is still ending."""
        tasks = [run.task for run in self._runs.values() if run.task and not run.over]
        for task in tasks:
            task.cancel()
        return tasks

    async def aclose(self) -> None:
        """End every run, and wait for that."""
        await asyncio.gather(*self.end(), return_exceptions=True)
