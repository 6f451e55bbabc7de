"""Two AI features for a personal site, each on the model that fits its task.

    from askfit import answer, assess, load_settings, open_site

The streams behind `answer` and `assess` are `askfit.ask.stream` and `askfit.fit.stream`.

Everything is loaded when it is first touched: `import askfit` brings no web framework and no provider's SDK.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from askfit.ask import answer
    from askfit.config import Settings, load_settings
    from askfit.errors import AskfitError
    from askfit.fit import assess
    from askfit.site import Site, open_site
    from askfit.types import Answer, Assessment

__version__ = "0.1.0"

_HOME = {
    "answer": "askfit.ask",
    "assess": "askfit.fit",
    "Answer": "askfit.types",
    "Assessment": "askfit.types",
    "AskfitError": "askfit.errors",
    "Settings": "askfit.config",
    "load_settings": "askfit.config",
    "Site": "askfit.site",
    "open_site": "askfit.site",
}

__all__ = [
    "Answer",
    "AskfitError",
    "Assessment",
    "Settings",
    "Site",
    "answer",
    "assess",
    "load_settings",
    "open_site",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'askfit' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
