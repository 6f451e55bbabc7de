"""The page on which an owner picks blind: on this machine only, behind a path that nobody can guess.

The page is told the question, two texts with the titles of their sources, and how far the session is: no model, no id,
no time, no cost, and both sides in the same form. Every pick is on file before the next two answers go out. The server
ends with the session.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING, Any, get_args

from askfit.compare.blind import Hand, Item, Session, shown
from askfit.compare.journal import Why
from askfit.errors import UsageError
from askfit.evals.samples import AskSample

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

HOST = "127.0.0.1"
LINGER_S = 15.0  # after the last pick: it may be taken back, then the session ends by itself
FAREWELL_S = 0.3  # for the last answer to go out
MOST_BODY_BYTES = 1_000
HANDS: dict[str, Hand] = {hand: hand for hand in get_args(Hand)}
REASONS: dict[str, Why] = {why: why for why in get_args(Why)}
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
STATIC = {"": "text/html", "blind.js": "text/javascript", "blind.css": "text/css"}


@dataclass(slots=True)
class Table:
    """One session as the page sees it, and the end of it."""

    session: Session
    linger_s: float = LINGER_S
    left: asyncio.Event = field(default_factory=asyncio.Event)
    asks_why: Item | None = None  # what was picked last, while its reason is asked for
    _ending: asyncio.TimerHandle | None = None

    def state(self) -> dict[str, Any]:
        """All that the page is told."""
        item = None if self.left.is_set() else self.asks_why or self.session.current
        phase = "why" if self.asks_why else "pick" if item else "decided" if self.session.is_decided else "through"
        return {
            "phase": "left" if self.left.is_set() else phase,
            "judged": self.session.judged,
            "most": self.session.asked,
            "needed": self.session.needed,
            "can_undo": bool(self.asks_why or self.session.last),
            "picked": self.session.hand_of(self.asks_why) if item and self.asks_why else None,
            "turn": self._turn(item) if item else None,
        }

    def _turn(self, item: Item) -> dict[str, Any]:
        left, right = shown(*self.session.sides(item))
        sample = item.sample
        if isinstance(sample, AskSample):
            asked = {"question": sample.question, "history": [one.model_dump() for one in sample.history]}
        else:
            asked = {"posting": sample.posting}
        return {"asked": asked, "left": left, "right": right}

    def do(self, step: str, given: dict[str, Any]) -> bool:
        """One step of the owner's; False where it does not fit the moment, as from a second tab."""
        if given.get("judged") != self.session.judged or self.left.is_set():
            return False
        done = STEPS[step](self, given)
        self._end_by_itself()
        return done

    def _pick(self, given: dict[str, Any]) -> bool:
        item, hand = self.asks_why or self.session.current, HANDS.get(str(given.get("hand")))
        if item is None or hand is None:
            return False
        self.session.pick(item, hand)
        self.asks_why = item
        return True

    def _why(self, given: dict[str, Any]) -> bool:
        item, why = self.asks_why, REASONS.get(str(given.get("why")))
        hand = self.session.hand_of(item) if item else None
        if item is None or hand is None or why is None:
            return False
        if why:
            self.session.pick(item, hand, why)
        self.asks_why = None
        return True

    def _undo(self, given: dict[str, Any]) -> bool:
        item = self.asks_why or self.session.last
        if item is None:
            return False
        self.session.take_back(item)
        self.asks_why = None
        return True

    def _leave(self, given: dict[str, Any]) -> bool:
        self.left.set()
        return True

    def _end_by_itself(self) -> None:
        if self._ending:
            self._ending.cancel()
            self._ending = None
        if self.asks_why is None and self.session.current is None:
            self._ending = asyncio.get_running_loop().call_later(self.linger_s, self.left.set)


STEPS: dict[str, Callable[[Table, dict[str, Any]], bool]] = {
    "pick": Table._pick,
    "why": Table._why,
    "undo": Table._undo,
    "leave": Table._leave,
}


# ---------------------------------------------------------------- over HTTP


def page_app(table: Table, token: str, hosts: frozenset[str]) -> Starlette:
    """The routes below /TOKEN/; everything else is not there."""
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    def answer(content: Any, status: int = 200) -> Response:
        return JSONResponse(content, status, headers=HEADERS)

    def allowed(request: Request) -> bool:
        """A page elsewhere that resolves its name to this machine sends its own name; one that guesses has no token."""
        given = request.path_params["token"].encode("utf-8", "surrogateescape")
        origin = request.headers.get("origin")
        same = origin is None or origin.removeprefix("http://") in hosts
        return request.headers.get("host", "") in hosts and same and secrets.compare_digest(given, token.encode())

    async def static(request: Request) -> Response:
        name = request.path_params.get("name", "")
        if not allowed(request) or name not in STATIC:
            return Response(status_code=404, headers=HEADERS)
        data = files("askfit.compare").joinpath("static", name or "blind.html").read_bytes()
        return Response(data, media_type=STATIC[name], headers=HEADERS)

    async def state(request: Request) -> Response:
        return answer(table.state()) if allowed(request) else Response(status_code=404, headers=HEADERS)

    async def step(request: Request) -> Response:
        name = request.path_params["step"]
        if not allowed(request) or name not in STEPS:
            return Response(status_code=404, headers=HEADERS)
        given = await _body(request)
        if given is None:
            return answer({"error": "One small JSON object is taken here."}, 400)
        return answer(table.state() if table.do(name, given) else {**table.state(), "stale": True})

    routes = [
        Route("/{token}/", static),
        Route("/{token}/state", state),
        Route("/{token}/step/{step}", step, methods=["POST"]),
        Route("/{token}/{name}", static),
    ]
    return Starlette(routes=routes)


async def _body(request: Request) -> dict[str, Any] | None:
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        return None
    data = b""
    async for piece in request.stream():
        data += piece
        if len(data) > MOST_BODY_BYTES:
            return None
    try:
        given = json.loads(data)
    except ValueError:
        return None
    return given if isinstance(given, dict) else None


async def judge_by_hand(
    session: Session, tell: Callable[[str], None], *, port: int = 0, linger_s: float = LINGER_S
) -> None:
    """Serve the page until the session is over or Ctrl-C; `tell` is given its address. UsageError where the port is
    taken."""
    import uvicorn

    listener = _listen(port)
    at = f"{HOST}:{listener.getsockname()[1]}"
    token, table = secrets.token_urlsafe(24), Table(session, linger_s)
    hosts = frozenset({at, at.replace(HOST, "localhost")})

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:  # Ctrl-C ends the session, not the command
            yield

    config = uvicorn.Config(
        page_app(table, token, hosts),
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=1,
    )
    server = Server(config)
    with _ended_by_ctrl_c(table.left):
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        tell(f"http://{at}/{token}/")
        await table.left.wait()
        await asyncio.sleep(FAREWELL_S)
        server.should_exit = True
        await serving


@contextlib.contextmanager
def _ended_by_ctrl_c(left: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(signal.SIGINT, left.set)
    except (NotImplementedError, RuntimeError, ValueError):  # Windows, or not the main thread: Ctrl-C ends the command
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise UsageError(
            "port_in_use", f"Port {port} cannot be opened ({error.strerror}).", "Choose another, or leave --port away."
        ) from None
    return listener
