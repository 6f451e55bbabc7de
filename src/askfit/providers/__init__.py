"""Who serves models. Only the gateway opens a provider; an SDK is imported when its provider is first opened.

Knows nothing of budgets, deadlines, retries or fallbacks: the gateway owns those.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from importlib import import_module
from typing import Protocol, cast

from askfit.config import Settings
from askfit.errors import SettingsError
from askfit.types import Call, Finish, Text

MODULES = {
    "anthropic": "askfit.providers.anthropic",
    "builtin": "askfit.providers.builtin",
    "openai": "askfit.providers.openai",
    "scripted": "askfit.providers.scripted",
}


class Provider(Protocol):
    """Streams one call's text, then one Finish; every fault is a ProviderError.

    Closing the stream, or cancelling the task that waits on it, ends the request at the provider at once.
    """

    def stream(self, model_name: str, call: Call) -> AsyncGenerator[Text | Finish, None]:
        """`model_name` is the part after "provider:"."""
        ...

    async def aclose(self) -> None:
        """Give back connections."""
        ...


def open_provider(provider: str, settings: Settings) -> Provider:
    """Import and open a provider by its name. The first `anthropic` or `openai` takes over a second: use a thread."""
    if provider not in MODULES:
        raise SettingsError(
            "unknown_provider", f"Unknown provider '{provider}'.", f"Known: {', '.join(sorted(MODULES))}."
        )
    return cast(Provider, import_module(MODULES[provider]).open(settings))
