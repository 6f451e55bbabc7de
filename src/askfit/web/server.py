"""Run the app with uvicorn. Knows ports and signals, no routes."""

from __future__ import annotations

import socket
from collections.abc import Callable

from askfit.config import Settings
from askfit.errors import UsageError

BACKLOG = 512
GRACE_S = 3  # streams that still run when the server stops get this long


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
        app, log_level="error", access_log=False, timeout_graceful_shutdown=GRACE_S, server_header=False, lifespan="on"
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[listener])
    if app.state.failure:
        raise app.state.failure


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except PermissionError:
        raise UsageError(
            "port_not_allowed", f"Port {port} may not be opened.", "Choose one above 1023: --port 8000"
        ) from None
    except OSError as error:
        listener.close()
        code = "port_in_use" if error.errno in (48, 98) else "host_unusable"
        said = (
            f"Port {port} is in use."
            if code == "port_in_use"
            else f"{host}:{port} cannot be opened ({error.strerror})."
        )
        raise UsageError(code, said, f"Choose another: --port {port + 1}") from None
    return listener
