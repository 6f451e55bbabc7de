"""Anthropic's Messages API: explicit cache breakpoints, structured output, no thinking before a short answer."""

from __future__ import annotations

import httpx2
from anthropic import AsyncAnthropic
from pydantic_ai.models.anthropic import AnthropicModel, AnthropicModelSettings
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.settings import ModelSettings, merge_model_settings

from askfit.config import Settings
from askfit.errors import SettingsError
from askfit.providers.direct import Dialect, Direct, open_http, plain_settings, timeouts
from askfit.types import Prompt

BASE_URL = "https://api.anthropic.com"


def open(settings: Settings) -> Direct:
    """A provider with the settings' key; SettingsError `provider_key_missing` without one."""
    secret = settings.secrets.anthropic_api_key
    if secret is None:
        raise SettingsError(
            "provider_key_missing", "There is no key for anthropic.", "Set ANTHROPIC_API_KEY or ANTHROPIC_API_KEY_FILE."
        )
    key = secret.get_secret_value()
    http = open_http()
    provider = _provider(key, settings.secrets.anthropic_base_url or BASE_URL, http)
    dialect = Dialect(
        provider="anthropic",
        key=key,
        key_name="ANTHROPIC_API_KEY",
        end_mark=b'"message_stop"',  # in a text its quotation marks would be escaped
        reason_ends=False,
        model=lambda name: AnthropicModel(name, provider=provider),
        settings=cached_settings,
    )
    return Direct(dialect, http)


def _provider(key: str, base_url: str, http: httpx2.AsyncClient) -> AnthropicProvider:
    client = AsyncAnthropic(api_key=key, base_url=base_url, http_client=http, max_retries=0, timeout=timeouts())
    return AnthropicProvider(anthropic_client=client)


def cached_settings(prompt: Prompt) -> ModelSettings:
    """With a breakpoint at the end of the system text."""
    if not prompt.cache_ttl:
        return plain_settings(prompt)
    breakpoint_ = AnthropicModelSettings(anthropic_cache_instructions=prompt.cache_ttl)
    return merge_model_settings(plain_settings(prompt), breakpoint_) or {}
