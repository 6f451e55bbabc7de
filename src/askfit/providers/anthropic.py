"""Anthropic's Messages API: cache breakpoints, structured output, citations, no thinking before a short answer.

Citations come as `[[12:340-395]]`, the marker that askfit.ask reads from any model: section 12, those characters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, groupby
from typing import Any

import httpx2
from anthropic import AsyncAnthropic
from pydantic_ai.models.anthropic import AnthropicModel, AnthropicModelSettings
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.settings import ModelSettings, merge_model_settings

from askfit.config import Settings
from askfit.errors import SettingsError
from askfit.models import facts
from askfit.providers.batched import Batched
from askfit.providers.direct import Citing, Dialect, history_is_cached, open_http, plain_settings, timeouts
from askfit.types import Chunks, Prompt

BASE_URL = "https://api.anthropic.com"


def open(settings: Settings) -> Batched:
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
        citing=Citing(cites, citing_settings, markers),
    )
    return Batched(dialect, http)


def _provider(key: str, base_url: str, http: httpx2.AsyncClient) -> AnthropicProvider:
    client = AsyncAnthropic(api_key=key, base_url=base_url, http_client=http, max_retries=0, timeout=timeouts())
    return AnthropicProvider(anthropic_client=client)


def cached_settings(prompt: Prompt) -> ModelSettings:
    """With a breakpoint at the end of the system text."""
    if not prompt.cache_ttl:
        return plain_settings(prompt)
    breakpoint_ = AnthropicModelSettings(anthropic_cache_instructions=prompt.cache_ttl)
    return merge_model_settings(plain_settings(prompt), breakpoint_) or {}


# ---------------------------------------------------------------- citations


def cites(name: str) -> bool:
    """Does a model of this name cite by itself? One that we have no facts of is not asked to."""
    with suppress(SettingsError):
        return facts(f"anthropic:{name}").citations
    return False


def citing_settings(prompt: Prompt) -> ModelSettings:
    """The model layer has no documents of chunks: the messages go out as we write them, the rest stays its own."""
    return merge_model_settings(cached_settings(prompt), ModelSettings(extra_body={"messages": to_wire(prompt)})) or {}


def to_wire(prompt: Prompt) -> list[dict[str, Any]]:
    """Shared documents first, with a breakpoint at their end; what was found stands before the question."""
    shared = [_document(chunks) for chunks in prompt.documents]
    contents: list[list[dict[str, Any]]] = [[{"type": "text", "text": turn.text}] for turn in prompt.messages]
    if prompt.cache_ttl and shared:
        shared[-1]["cache_control"] = {"type": "ephemeral", "ttl": prompt.cache_ttl}
    if history_is_cached(prompt):
        contents[-2][-1]["cache_control"] = {"type": "ephemeral", "ttl": "5m"}
    contents[-1][:0] = [_document(chunks) for chunks in prompt.found]
    contents[0][:0] = shared  # the order in which `markers` counts documents
    return [{"role": turn.role, "content": blocks} for turn, blocks in zip(prompt.messages, contents, strict=True)]


def _document(chunks: Chunks) -> dict[str, Any]:
    """A document of custom content: what we make a chunk is what the model can point at."""
    return {
        "type": "document",
        "source": {"type": "content", "content": [{"type": "text", "text": chunk.text} for chunk in chunks]},
        "citations": {"enabled": True},
    }


def markers(citations: Sequence[Any], prompt: Prompt) -> str:
    """One marker a section that is cited; none where what is said to stand there does not."""
    documents = (*prompt.documents, *prompt.found)
    return "".join(dict.fromkeys(chain.from_iterable(_markers(citation, documents) for citation in citations)))


def _markers(citation: Any, documents: Sequence[Chunks]) -> Iterator[str]:
    for number, lines in groupby(_cited(citation, documents), key=lambda chunk: chunk.section):
        first, *_ = chunks = list(lines)
        if number:
            yield f"[[{number}:{first.start}-{chunks[-1].start + len(chunks[-1].text)}]]"


def _cited(citation: Any, documents: Sequence[Chunks]) -> Chunks:
    """The chunks that a citation points at, if they are there and read as it says."""
    if not isinstance(citation, Mapping) or citation.get("type") != "content_block_location":
        return ()
    at, start, end = (citation.get(name) for name in ("document_index", "start_block_index", "end_block_index"))
    if not (isinstance(at, int) and isinstance(start, int) and isinstance(end, int)):
        return ()
    if not (0 <= at < len(documents) and 0 <= start < end <= len(documents[at])):
        return ()
    chunks = documents[at][start:end]
    return chunks if _squeezed(str(citation.get("cited_text"))) == _squeezed(*(one.text for one in chunks)) else ()


def _squeezed(*texts: str) -> str:
    """Without white space: how the provider joins chunks is not told."""
    return "".join("".join(text.split()) for text in texts)
