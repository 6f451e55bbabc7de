"""The wire formats of Anthropic and OpenAI on loopback, saying what a script says. For tests and for trying askfit out.

Knows nothing of askfit's own calls: real clients speak to it byte for byte.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self

from askfit.providers.scripted import anthropic_wire, batches, openai_wire
from askfit.providers.scripted.batches import Refused, Shelf
from askfit.providers.scripted.behaviours import (
    FAULTS,
    Asked,
    Fault,
    Malformed,
    Reply,
    behave,
    estimated,
    is_behaviour,
    text_of,
)
from askfit.providers.scripted.cache import Block, Charge, PromptCache
from askfit.providers.scripted.documents import Piece
from askfit.providers.scripted.script import Script
from askfit.rates import Account, Limits, OverLimit
from askfit.types import Allowance, Axis, FinishReason

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

PING_S = 0.05
WRONG_KEY = "wrong"  # refused with 401; any other key passes
CACHE_MINIMUM_TOKENS = 1024  # of a model that askfit has no facts of
SHOWN_HEADERS = ("content-type", "user-agent", "anthropic-version", "anthropic-beta", "x-stainless-retry-count")


# The fault that stands instead of an answer if any, the reply, and what its input costs.
Decided = tuple[tuple[str, Fault] | None, Reply, Charge]


class Answer(Protocol):
    """One answer in the bytes of a wire."""

    def usage(self, output_tokens: int) -> dict[str, Any]: ...
    def opening(self) -> Iterator[bytes]: ...
    def ping(self) -> bytes: ...
    def piece(self, piece: Piece) -> Iterator[bytes]: ...
    def closing(self, finish: FinishReason, output_tokens: int) -> Iterator[bytes]: ...
    def whole(self, pieces: Sequence[Piece], finish: FinishReason, output_tokens: int) -> dict[str, Any]: ...


class Wire(Protocol):
    """One wire format: the module anthropic_wire or openai_wire."""

    AUTH_REQUIRED: bool

    def read(self, body: Mapping[str, Any]) -> Asked: ...
    def cache_seed(self, body: Mapping[str, Any]) -> str: ...
    def blocks(self, body: Mapping[str, Any]) -> list[Block]: ...
    def Answer(self, body: Mapping[str, Any], charge: Charge) -> Answer: ...
    def error_event(self, fault: Fault) -> bytes: ...
    def broken_event(self) -> bytes: ...
    def error_body(self, fault: Fault, name: str, message: str, request_id: str) -> dict[str, Any]: ...
    def needs(self, asked: Asked, charge: Charge) -> dict[Axis, float]: ...
    def produces(self, output_tokens: int) -> dict[Axis, float]: ...
    def headers(self, request_id: str, standing: Mapping[Axis, Allowance]) -> dict[str, str]: ...
    def refusal(self, over: OverLimit, limits: Limits) -> Fault: ...


@dataclass(slots=True)
class Seen:
    """One request as the server saw it, and what became of its answer."""

    path: str
    body: dict[str, Any]
    raw: bytes
    headers: dict[str, str]
    status: int = 0
    sent: str = ""  # the text that went out
    usage: dict[str, Any] = field(default_factory=dict)
    finished: bool = False
    disconnected: bool = False  # the client left before the answer was whole


class ScriptedServer:
    """A server on loopback: `async with ScriptedServer() as server:` in a test's own loop, `with` in a thread.

    `script` may be replaced between requests; a model named `NAME@BEHAVIOUR` gets that behaviour for one request.
    """

    def __init__(
        self,
        script: Script | None = None,
        *,
        port: int = 0,
        minimums: Mapping[str, int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.script = script or Script()
        self.requests: list[Seen] = []
        self.cache = PromptCache(clock)
        self.batches = Shelf(clock)
        self._minimums = minimums or {}
        self._port = port
        self._socket: socket.socket | None = None
        self._stop: Callable[[], None] = lambda: None
        self._done: asyncio.Task[None] | threading.Thread | None = None

    @property
    def url(self) -> str:
        """For ANTHROPIC_BASE_URL."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def openai_url(self) -> str:
        """For OPENAI_BASE_URL."""
        return f"{self.url}/v1"

    @property
    def thread_id(self) -> int | None:
        """Of the thread that it runs in; None in a test's own loop."""
        return self._done.ident if isinstance(self._done, threading.Thread) else None

    def reset(self, script: Script | None = None) -> None:
        """As new: nothing asked, nothing cached, another script."""
        self.script = script or Script()
        self.requests.clear()
        self.cache.clear()
        self.batches.batches.clear()

    # ------------------------------------------------------------ life

    async def __aenter__(self) -> Self:
        server = self._uvicorn()
        self._done = asyncio.create_task(server.serve(sockets=[self.listen()]))
        self._stop = lambda: setattr(server, "should_exit", True)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._stop()
        assert isinstance(self._done, asyncio.Task)
        await self._done

    def __enter__(self) -> Self:
        server = self._uvicorn()
        self._done = threading.Thread(target=server.run, args=([self.listen()],), daemon=True)
        self._done.start()
        self._stop = lambda: setattr(server, "should_exit", True)
        return self

    def __exit__(self, *error: object) -> None:
        self._stop()
        assert isinstance(self._done, threading.Thread)
        self._done.join()

    def run(self) -> None:
        """Serve until the process is told to stop."""
        self._uvicorn(signals=True).run(sockets=[self.listen()])

    def listen(self) -> socket.socket:
        """Take the port; `url` is known from here on."""
        if self._socket is None:
            self._socket = socket.create_server(("127.0.0.1", self._port))
            # asyncio sees no TCP in a socket made here: without this each answer waits 40 ms for an acknowledgement.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._port = self._socket.getsockname()[1]
        return self._socket

    def _uvicorn(self, *, signals: bool = False) -> Any:
        import uvicorn

        class Server(uvicorn.Server):
            def capture_signals(self) -> Any:
                return super().capture_signals() if signals else nullcontext()

        config = uvicorn.Config(
            self.app(), log_config=None, log_level="critical", lifespan="off", timeout_graceful_shutdown=0
        )
        return Server(config)

    # ------------------------------------------------------------ routes

    def app(self) -> Starlette:
        from starlette.applications import Starlette
        from starlette.responses import JSONResponse
        from starlette.routing import Route

        async def messages(request: Request) -> Response:
            return await self._answer(request, anthropic_wire)

        async def completions(request: Request) -> Response:
            return await self._answer(request, openai_wire)

        async def models(request: Request) -> Response:
            listed = [{"id": "scripted", "object": "model", "created": openai_wire.CREATED_S, "owned_by": "askfit"}]
            return JSONResponse({"object": "list", "data": listed})

        async def seen(request: Request) -> Response:
            return JSONResponse(
                [{key: value for key, value in asdict(s).items() if key != "raw"} for s in self.requests]
            )

        return Starlette(
            routes=[
                Route(anthropic_wire.PATH, messages, methods=["POST"]),
                *(Route(path, self._batches, methods=["GET", "POST", "DELETE"]) for path in batches.PATHS),
                Route(openai_wire.PATH, completions, methods=["POST"]),
                Route("/v1/models", models),
                Route("/_requests", seen),
            ]
        )

    async def _see(self, request: Request) -> Seen:
        raw = await request.body()
        try:
            body = json.loads(raw)
        except ValueError:
            body = {}
        shown = {name: value for name, value in request.headers.items() if name in SHOWN_HEADERS}
        self.requests.append(Seen(request.url.path, body, raw, shown))
        return self.requests[-1]

    async def _answer(self, request: Request, wire: Wire) -> Response:
        from starlette.responses import JSONResponse

        seen = await self._see(request)
        body = seen.body
        request_id = f"req_{len(self.requests):06d}"
        account = self.script.account
        fault, reply, charge = self._refused(request, wire) or self._replied(body, wire, account)
        model = str(body.get("model", "")).partition("@")[0]
        headers = wire.headers(request_id, account.standing(model) if account else {})
        if fault:
            name, failure = fault
            seen.status = failure.status
            if failure.retry_after_s is not None:
                headers["retry-after"] = f"{failure.retry_after_s:g}"
            told = wire.error_body(failure, name, failure.message.format(model=body.get("model", "")), request_id)
            return JSONResponse(told, failure.status, headers)
        seen.status = 200
        answer = wire.Answer(body, charge)
        tokens = reply.usage.output_tokens if reply.usage else estimated(reply.text)
        seen.usage = answer.usage(tokens)
        if account:  # as if all were said at once: at its end nobody may be there any more
            account.produced(model, wire.produces(tokens))
        if body.get("stream"):
            return streaming(self._events(wire, answer, reply, tokens, seen), seen, headers)
        await asyncio.sleep(reply.first_ms / 1000)
        seen.sent, seen.finished = reply.text, True
        return JSONResponse(answer.whole(reply.pieces, reply.finish_reason, tokens), headers=headers)

    # ------------------------------------------------------------ batches

    async def _batches(self, request: Request) -> Response:
        """Whatever is asked of batches: its method and its path say what."""
        from starlette.responses import JSONResponse, Response

        seen = await self._see(request)
        request_id = f"req_{len(self.requests):06d}"
        headers = anthropic_wire.headers(request_id, {})
        name = "key_refused" if self._refused(request, anthropic_wire) else self.script.batch_fault
        try:
            if name:
                raise Refused(name, FAULTS[name])
            asked = batches.Request(request.method, **request.path_params, body=seen.body)
            said = batches.said(self.batches, asked, str(request.base_url), self.script.batch_ms / 1000, self._result)
        except Refused as error:
            seen.status = error.fault.status
            message = error.fault.message.replace("{model}", "")
            told = anthropic_wire.error_body(error.fault, error.name, message, request_id)
            return JSONResponse(told, error.fault.status, headers)
        seen.status, seen.finished = 200, True
        if isinstance(said, bytes):
            return Response(said, headers=headers, media_type="application/x-jsonl")
        return JSONResponse(said, headers=headers)

    def _result(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """One request's result. A fault of a stream is none here: the provider hears its own stream to the end."""
        fault, reply, charge = self._replied(dict(params), anthropic_wire, None)  # batches have limits of their own
        if reply.in_batch in ("expired", "canceled"):
            return {"type": reply.in_batch}
        if fault or reply.in_batch == "errored":
            name, failure = fault or ("server_error", FAULTS["server_error"])
            told = failure.message.format(model=params.get("model", ""))
            return {"type": "errored", "error": anthropic_wire.error_body(failure, name, told, "")}
        tokens = reply.usage.output_tokens if reply.usage else estimated(reply.text)
        message = anthropic_wire.Answer(params, charge).whole(reply.pieces, reply.finish_reason, tokens)
        return {"type": "succeeded", "message": message | {"usage": message["usage"] | {"service_tier": "batch"}}}

    # ------------------------------------------------------------ what is said

    def _refused(self, request: Request, wire: Wire) -> Decided | None:
        """What a key is told that is wrong, or missing where one is needed."""
        sent = request.headers.get("x-api-key") or request.headers.get("authorization", "")  # SDKs differ by version
        key = sent.removeprefix("Bearer ")
        if key == WRONG_KEY or (wire.AUTH_REQUIRED and not key):
            return ("key_refused", FAULTS["key_refused"]), Reply(), Charge()
        return None

    def _replied(self, body: dict[str, Any], wire: Wire, account: Account | None) -> Decided:
        """The fault that stands instead of an answer, or the reply and what its input costs."""
        try:
            return self._decide(body, wire, account)
        except Malformed as error:
            return ("bad_request", Fault("", 400, "invalid_request_error", str(error))), Reply(), Charge()

    def _decide(self, body: dict[str, Any], wire: Wire, account: Account | None) -> Decided:
        asked = wire.read(body)
        model, _, named = asked.model.partition("@")
        if named and not is_behaviour(named):
            raise Malformed(f"model: there is no behaviour '{named}'")
        reply = (behave(named, asked) if named else self.script.reply(asked)).within(asked.max_output_tokens)
        if reply.fault and reply.as_fault().status:
            return (reply.fault, reply.as_fault()), reply, Charge()
        seed, blocks, minimum = wire.cache_seed(body), wire.blocks(body), self._minimum(model)
        if account:
            would = _pretended(reply) or self.cache.charge(seed, blocks, minimum, keep=False)
            if over := account.ask(model, wire.needs(asked, would)):
                return ("rate_limited", wire.refusal(over, account.limits(model))), reply, Charge()
        charge = self.cache.charge(seed, blocks, minimum)
        return None, reply, _pretended(reply) or charge

    def _minimum(self, model: str) -> int:
        from askfit.errors import SettingsError
        from askfit.models import facts

        if model in self._minimums:
            return self._minimums[model]
        with suppress(SettingsError):
            return facts(f"anthropic:{model}").cache_minimum_tokens or CACHE_MINIMUM_TOKENS
        return CACHE_MINIMUM_TOKENS

    async def _events(self, wire: Wire, answer: Answer, reply: Reply, tokens: int, seen: Seen) -> AsyncIterator[bytes]:
        """The answer's bytes, up to its end or its fault."""
        await asyncio.sleep(reply.first_ms / 1000)
        if reply.fault == "error_first":
            yield wire.error_event(reply.as_fault())
            return
        if reply.fault == "silent":
            await asyncio.Event().wait()
        for event in answer.opening():
            yield event
        for piece in reply.before_fault():
            seen.sent += text_of([piece])
            for event in answer.piece(piece):
                yield event
            await asyncio.sleep(reply.piece_ms / 1000)
        if reply.fault:
            async for event in _fail(wire, answer, reply):
                yield event
            return
        for event in answer.closing(reply.finish_reason, tokens):
            yield event
        seen.finished = True


class Dropped(Exception):
    """Makes the server break the connection."""


async def _fail(wire: Wire, answer: Answer, reply: Reply) -> AsyncIterator[bytes]:
    """What comes instead of the rest."""
    if reply.fault == "dropped":
        await asyncio.sleep(0.01)  # what was sent arrives first
        raise Dropped
    if reply.fault == "bad_json":
        yield wire.broken_event()
    if reply.fault == "error_midway":
        yield wire.error_event(reply.as_fault())
    while reply.as_fault().hangs:
        yield answer.ping()
        await asyncio.sleep(PING_S)


def _pretended(reply: Reply) -> Charge | None:
    """The usage that a rule states, as a charge."""
    if reply.usage is None or not reply.usage.input_tokens:
        return None
    usage = reply.usage
    written_5m = usage.cache_write_tokens - usage.cache_write_1h_tokens
    fresh = usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens
    return Charge(fresh, usage.cache_read_tokens, written_5m, usage.cache_write_1h_tokens)


def streaming(events: AsyncIterator[bytes], seen: Seen, headers: Mapping[str, str]) -> Response:
    """A response that notices at once when its client has left."""
    from starlette.responses import Response

    class Streaming(Response):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            sending = asyncio.create_task(_send_all(events, send))
            leaving = asyncio.create_task(_left(receive))
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            leaving.cancel()
            if not sending.done():
                seen.disconnected = True
                sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending

    response = Streaming(headers=dict(headers), media_type="text/event-stream")
    del response.headers["content-length"]
    return response


async def _send_all(events: AsyncIterator[bytes], send: Send) -> None:
    async for event in events:
        await send({"type": "http.response.body", "body": event, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
