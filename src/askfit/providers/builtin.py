"""No model, no key, no network: streams what the feature itself says."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from askfit.config import Settings
from askfit.types import Call, Finish, Text, Usage


class Builtin:
    """The floor under every outage and every spent budget."""

    async def stream(self, model_name: str, call: Call) -> AsyncGenerator[Text | Finish, None]:
        """The feature's own words, at no cost."""
        async for text in call.builtin():
            yield Text(text)
        yield Finish(Usage())

    async def aclose(self) -> None:
        """Nothing is held."""


def open(settings: Settings) -> Builtin:
    """The built-in needs no settings."""
    return Builtin()
