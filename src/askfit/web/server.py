"""Run the app with uvicorn. Knows ports and signals, no routes."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from askfit.config import Settings
from askfit.errors import UsageError

if TYPE_CHECKING:
    import uvicorn

BACKLOG = 512
GRACE_S = 3  # streams that still run when the server stops get this long, then an error event
TELL_S = 2  # for that event to go out, before the connections are broken


def serve(settings: Settings, host: str, port: int, *, ready: Callable[[dict[str, str]], None] | None = None) -> None:
    """Serve until interrupted; UsageError where the port cannot be had. `ready` is told the URLs once they answer."""
    import uvicorn

    from askfit.telemetry import set_up_logging
    from askfit.web.app import create_app

    set_up_logging()
    listener = _listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    base = f"http://{'localhost' if host in ('127.0.0.1', '0.0.0.0', '::') else shown}:{port}"  # noqa: S104 - compared
    urls = {"site": base} | {name: base + feature.path for name, feature in settings.features.items()}
    app = create_app(settings, on_ready=(lambda: ready(urls)) if ready else None)
    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        timeout_graceful_shutdown=GRACE_S + TELL_S,
        server_header=False,
        proxy_headers=False,  # who is behind a proxy is told by [limits] trusted_proxies alone
        lifespan="on",
    )

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            asyncio.get_running_loop().call_later(GRACE_S, app.state.runs.end)
            await super().shutdown(sockets)

    server = Server(config)
    with _ended_by_signals(server):
        server.run(sockets=[listener])
    if app.state.failure:
        raise app.state.failure


@contextmanager
def _ended_by_signals(server: uvicorn.Server) -> Iterator[None]:
    """uvicorn raises the signal that ended it once more: what stands above us is then to be cleaned up, not cut off.

    It knows no SIGHUP and swallows what is raised while it starts, so it is told of that one as of the others.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        if number == getattr(signal, "SIGHUP", None) and not server.should_exit:
            server.handle_exit(number, frame)
        else:
            raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield
        return
    signals = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, leave) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # TCP said outright: asyncio turns Nagle off only then; else an answer on a kept connection waits 40 ms for an ack.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except PermissionError:
        listener.close()
        raise UsageError(
            "port_not_allowed", f"Port {port} may not be opened.", "Choose one above 1023: --port 8000"
        ) from None
    except OSError as error:
        listener.close()
        code = "port_in_use" if error.errno == errno.EADDRINUSE else "host_unusable"
        said = (
            f"Port {port} is in use."
            if code == "port_in_use"
            else f"{host}:{port} cannot be opened ({error.strerror})."
        )
        raise UsageError(code, said, f"Choose another: --port {port + 1}") from None
    return listener
