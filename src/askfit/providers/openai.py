"""Chat completions of OpenAI and of every endpoint that speaks them: Ollama, llama.cpp, vLLM, OpenRouter.

A base URL without a key is a local server that asks for none. These endpoints cache by themselves.
"""

from __future__ import annotations

import httpx2
from openai import AsyncOpenAI
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers import Provider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

from askfit.config import Settings
from askfit.errors import SettingsError
from askfit.providers.direct import Dialect, Direct, open_http, timeouts

BASE_URL = "https://api.openai.com/v1"
NO_KEY = "none"  # the SDK wants one; a local server reads none
# Every compatible server reads `max_tokens`; only OpenAI's newer models insist on `max_completion_tokens`.
COMPATIBLE = OpenAIModelProfile(openai_chat_supports_max_completion_tokens=False)


def open(settings: Settings) -> Direct:
    """A provider with the settings' key or base URL; SettingsError `provider_key_missing` without either."""
    secret, base_url = settings.secrets.openai_api_key, settings.secrets.openai_base_url
    if secret is None and not base_url:
        raise SettingsError(
            "provider_key_missing",
            "There is neither a key nor a base URL for openai.",
            "Set OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own.",
        )
    key = secret.get_secret_value() if secret else ""
    http = open_http()
    provider = _provider(key, base_url, http)
    dialect = Dialect(
        provider="openai",
        key=key,
        key_name="OPENAI_API_KEY",
        end_mark=b"\ndata: [DONE]",  # in a text the line's end would be escaped
        reason_ends=True,  # some servers leave [DONE] out, others the finish reason
        model=lambda name: OpenAIChatModel(name, provider=provider),
    )
    return Direct(dialect, http)


def _provider(key: str, base_url: str | None, http: httpx2.AsyncClient) -> Provider[AsyncOpenAI]:
    client = AsyncOpenAI(
        api_key=key or NO_KEY,
        base_url=base_url or BASE_URL,
        http_client=http,
        max_retries=0,
        timeout=timeouts(),
    )
    if not base_url:
        return OpenAIProvider(openai_client=client)
    return OpenAICompatibleProvider("openai-compatible", openai_client=client, profile=COMPATIBLE)
