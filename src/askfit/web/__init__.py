"""The features over HTTP: routes, streams, pages, the widget. Knows the contract's forms, not how answers are made."""

from __future__ import annotations

from askfit.web.app import create_app
from askfit.web.server import serve

__all__ = ["create_app", "serve"]
