"""What `anthropic` and `openai` share: pydantic-ai's direct model layer, the wire under it, usage, errors.

One request per call: the SDKs' own retries are off and nothing is debounced. Knows nothing of deadlines, money or
fallbacks: a stream that only pings is the gateway's to end.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx2
from pydantic_ai import exceptions as fault
from pydantic_ai.messages import (
    CachePoint,
    InstructionPart,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.settings import ModelSettings

from askfit.errors import ProviderError
from askfit.providers.faults import provider_error
from askfit.providers.headers import headroom_of, retry_after_s, told_by
from askfit.text import estimate_tokens
from askfit.types import Call, Finish, FinishReason, Prompt, Text, Usage

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 120.0  # between two reads; the gateway's deadlines are shorter
KEEPALIVE_S = 60.0  # a visitor's next question finds the connection still open
HISTORY_WORTH_TOKENS = 200  # 0.02 cents of Haiku 4.5: caching less saves nothing that anyone would see
TAIL_BYTES = 512  # the closing event with its padding fits well within

SCHEMA_ASKED = "\n\nAnswer with one JSON object of this JSON Schema, without code fences and without another word:\n"

FINISH_REASONS: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "stop": "stop",
    "max_tokens": "length",
    "length": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "length",  # the provider would go on if asked; we do not ask
    "refusal": "refusal",
    "content_filter": "refusal",
}


@dataclass(slots=True)
class Wire:
    """What the HTTP layer saw of one answer, beneath the SDK: rate-limit headers and the last bytes."""

    headers: dict[str, str] = field(default_factory=dict)
    heard_s: float = 0.0  # when they came, by time.monotonic
    begun: bool = False
    tail: bytes = b""


_wire: ContextVar[Wire] = ContextVar("askfit_wire")


def begin_wire() -> Wire:
    """What the HTTP layer will see of the current task's next requests."""
    wire = Wire()
    _wire.set(wire)
    return wire


class _Watched(httpx2.AsyncByteStream):
    """A response body that remembers how it ended."""

    def __init__(self, body: httpx2.AsyncByteStream, wire: Wire) -> None:
        self._body = body
        self._wire = wire

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._body:
            self._wire.tail = (self._wire.tail + chunk)[-TAIL_BYTES:]
            yield chunk

    async def aclose(self) -> None:
        await self._body.aclose()


async def _watch(response: httpx2.Response) -> None:
    """Client hook: the response belongs to the request that the current task is sending."""
    wire = _wire.get()
    wire.begun = response.status_code < 400
    wire.headers, wire.heard_s = told_by(response.headers), time.monotonic()
    if isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _Watched(response.stream, wire)


def open_http() -> httpx2.AsyncClient:
    """A client whose bytes we can watch: uncompressed, so that the end mark of a stream is legible."""
    return httpx2.AsyncClient(
        timeout=timeouts(),
        limits=httpx2.Limits(max_connections=200, max_keepalive_connections=20, keepalive_expiry=KEEPALIVE_S),
        headers={"accept-encoding": "identity"},
        event_hooks={"response": [_watch]},
    )


def timeouts() -> httpx2.Timeout:
    """For the HTTP client and the SDK over it, which would else set its own ten minutes per request."""
    return httpx2.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)


def plain_settings(prompt: Prompt) -> ModelSettings:
    """No thinking before a short answer, nothing of pydantic-ai's own in the system text.

    Sampling parameters stay unset: newer models refuse them.
    """
    return ModelSettings(max_tokens=prompt.max_output_tokens, thinking=False, framing_announcement="never")


@dataclass(slots=True)
class Halves:
    """Characters that JSON tells in two halves, each perhaps in a piece of its own. A half alone is no character."""

    _first: str = ""

    def joined(self, piece: str) -> str:
        """The piece with whole characters only; a first half at its end waits for the next piece."""
        said = self._first + piece
        self._first = said[-1:] if "\ud800" <= said[-1:] <= "\udbff" else ""
        said = said[: len(said) - len(self._first)]
        return said.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


@dataclass(frozen=True, slots=True)
class Citing:
    """How a provider that cites documents by itself is asked and read."""

    able: Callable[[str], bool]  # by the model's name
    settings: Callable[[Prompt], ModelSettings]  # that send the prompt's documents
    markers: Callable[[Sequence[Any], Prompt], str]  # citations of the wire → the markers that askfit.ask reads


Form = Literal["plain", "schema", "citing"]  # what the provider is asked to do by its own means


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one provider differs from the other."""

    provider: str
    key: str = field(repr=False)  # to strike it out should it ever come back in a message
    key_name: str  # the environment variable that holds it
    end_mark: bytes  # stands in the closing event of a whole answer, and nowhere else on the wire
    reason_ends: bool  # is a finish reason without the end mark a whole answer?
    model: Callable[[str], Model]
    settings: Callable[[Prompt], ModelSettings] = plain_settings
    citing: Citing | None = None


class Direct:
    """Streams calls through pydantic-ai's models. Owns the HTTP client."""

    def __init__(self, dialect: Dialect, http: httpx2.AsyncClient) -> None:
        self._dialect = dialect
        self._http = http
        self._models: dict[str, Model] = {}
        self._refused: set[tuple[str, Form]] = set()  # by the endpoint, of a model

    async def stream(self, model_name: str, call: Call) -> AsyncGenerator[Text | Finish, None]:
        """The answer. A form that the endpoint refuses is asked for in plain words, once and from then on."""
        model = self._model(model_name)
        form = self._form(model_name, model, call.prompt)
        begun = False
        try:
            async with aclosing(self._attempt(model, call.prompt, form)) as pieces:
                async for piece in pieces:
                    begun = begun or not _is_headroom(piece)
                    yield piece
            return
        except ProviderError as error:
            if begun or form == "plain" or error.code != "provider_bad_request":
                raise
        async with aclosing(self._attempt(model, call.prompt, "plain")) as pieces:
            async for piece in pieces:
                if not _is_headroom(piece):
                    self._refused.add((model_name, form))
                yield piece

    def _model(self, name: str) -> Model:
        return self._models.get(name) or self._models.setdefault(name, self._dialect.model(name))

    def _form(self, model_name: str, model: Model, prompt: Prompt) -> Form:
        form: Form = "plain"
        if prompt.output_schema is not None:
            form = "schema" if model.profile.get("supports_json_schema_output", False) else "plain"
        elif prompt.cited and self._dialect.citing and self._dialect.citing.able(model_name):
            form = "citing"
        return "plain" if (model_name, form) in self._refused else form

    async def _attempt(self, model: Model, prompt: Prompt, form: Form) -> AsyncGenerator[Text | Finish, None]:
        wire = begin_wire()
        said: list[str] = []
        halves = Halves()
        settings: Callable[[Prompt], ModelSettings] = self._dialect.settings
        markers: Callable[[Sequence[Any], Prompt], str] = no_markers
        if form == "citing" and prompt.cited and self._dialect.citing:
            prompt, settings, markers = prompt.cited, self._dialect.citing.settings, self._dialect.citing.markers
        try:
            request = model.request_stream(
                to_messages(prompt), settings(prompt), to_parameters(prompt, native=form == "schema")
            )
            async with request as response:
                if headroom := headroom_of(wire.headers, wire.heard_s):
                    yield Text("", headroom=headroom)
                async for event in response:
                    if text := halves.joined(text_of(event)) + markers(citations_of(event), prompt):
                        tells = not said and response.usage.input_tokens  # Anthropic: the input, with the first event
                        said.append(text)
                        yield Text(text, to_usage(response, prompt, text) if tells else None)
        except Exception as error:  # the SDKs leak their parsers' own errors where a stream has a strange form
            if not wire.begun and (headroom := headroom_of(wire.headers, wire.heard_s)):
                yield Text("", headroom=headroom)
            raise to_provider_error(error, self._dialect, model.model_name, wire) from None
        yield self._finish(response, wire, prompt, "".join(said))

    def _finish(self, response: StreamedResponse, wire: Wire, prompt: Prompt, said: str) -> Finish:
        """The provider's own word that the answer is whole; a clean end without it is a cut like any other."""
        reason = (response.provider_details or {}).get("finish_reason")
        refused = is_refused(response)
        ended = self._dialect.end_mark in wire.tail or (self._dialect.reason_ends and bool(reason or refused))
        if not ended:
            raise provider_error("provider_cut_off", f"{self._dialect.provider}:{response.model_name}")
        # Of an endpoint that names no model the layer has the name that was asked for.
        return Finish(to_usage(response, prompt, said), finish_reason(response), response.model_name or "")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def _is_headroom(piece: Text | Finish) -> bool:
    """Told before the answer, whether one comes or not."""
    return isinstance(piece, Text) and piece.headroom is not None


# ---------------------------------------------------------------- what is sent


def system_text(prompt: Prompt) -> str:
    """The cached part: the same bytes for every visitor and every question."""
    return "\n\n".join(part for part in (prompt.instructions, prompt.prefix) if part)


def history_is_cached(prompt: Prompt) -> bool:
    """Is the history worth a mark at its end? For five minutes: the visit's."""
    said = sum(estimate_tokens(turn.text) for turn in prompt.messages[:-1])
    return bool(prompt.cache_ttl) and said >= HISTORY_WORTH_TOKENS


def to_messages(prompt: Prompt) -> list[ModelMessage]:
    """History and question, with a cache mark between them where the history is worth it."""
    *history, question = prompt.messages
    messages: list[ModelMessage] = [
        ModelRequest(parts=[UserPromptPart(turn.text)])
        if turn.role == "user"
        else ModelResponse(parts=[TextPart(turn.text)])
        for turn in history
    ]
    asked = UserPromptPart([CachePoint(ttl="5m"), question.text] if history_is_cached(prompt) else question.text)
    return [*messages, ModelRequest(parts=[asked])]


def to_parameters(prompt: Prompt, native: bool) -> ModelRequestParameters:
    """The system text, and the schema either as the provider's own structured output or in words."""
    system = system_text(prompt)
    if prompt.output_schema is None:
        return ModelRequestParameters(instruction_parts=[InstructionPart(system)])
    schema = dict(prompt.output_schema)
    if not native:
        return ModelRequestParameters(instruction_parts=[InstructionPart(system + SCHEMA_ASKED + json.dumps(schema))])
    return ModelRequestParameters(
        instruction_parts=[InstructionPart(system)],
        output_mode="native",
        output_object=OutputObjectDefinition(json_schema=schema, name="answer"),
        allow_text_output=False,
    )


# ---------------------------------------------------------------- what comes back


def text_of(event: ModelResponseStreamEvent | object) -> str:
    """The visible text of one event; thinking is not."""
    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return event.part.content
    if isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
        return event.delta.content_delta
    return ""


def citations_of(event: ModelResponseStreamEvent | object) -> Sequence[Any]:
    """What the provider cites for the text before this event, as its wire has it: told when a block of text ends."""
    if isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
        details = event.delta.provider_details
        return details.get("citations") or () if isinstance(details, Mapping) else ()
    return ()


def no_markers(citations: Sequence[Any], prompt: Prompt) -> str:
    """Citations that were not asked for are not read."""
    return ""


def is_refused(response: StreamedResponse | ModelResponse) -> bool:
    return response.finish_reason == "content_filter"  # OpenAI's refusals come without a reason of their own


def finish_reason(response: StreamedResponse | ModelResponse) -> FinishReason:
    """Why the provider ended its answer."""
    reason = str((response.provider_details or {}).get("finish_reason"))
    return "refusal" if is_refused(response) else FINISH_REASONS.get(reason, "stop")


def to_usage(response: StreamedResponse, prompt: Prompt, said: str) -> Usage:
    """As the provider counted, cache included in the input; estimated where the endpoint counts nothing."""
    usage = response.usage
    if not usage.input_tokens and not usage.output_tokens:
        cited = [chunk.text for document in (*prompt.documents, *prompt.found) for chunk in document]
        asked = [system_text(prompt), *(turn.text for turn in prompt.messages), *cited]
        return Usage(sum(map(estimate_tokens, asked)), estimate_tokens(said), estimated=True)
    return counted(response)


def counted(response: StreamedResponse | ModelResponse) -> Usage:
    """As the provider counted."""
    usage = response.usage
    return Usage(
        input_tokens=usage.input_tokens,  # genai-prices has added both cache counters to Anthropic's
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_write_1h_tokens=usage.details.get("ephemeral_1h_input_tokens", 0),
    )


# The first row whose class fits: a subclass stands above its parent.
CODES: tuple[tuple[type[Exception], str], ...] = (
    (fault.ModelTimeoutError, "provider_timeout"),
    (fault.ModelContextWindowExceededError, "provider_too_large"),
    (fault.ModelAuthenticationError, "provider_key_refused"),
    (fault.ModelNotFoundError, "provider_model_unknown"),
    (fault.ModelQuotaExceededError, "provider_billing"),
    (fault.ModelRateLimitError, "provider_rate_limited"),
    (fault.ModelUnavailableError, "provider_overloaded"),
    (fault.ModelServerError, "provider_overloaded"),
    (fault.ModelRequestRejectedError, "provider_bad_request"),
    (httpx2.TimeoutException, "provider_timeout"),
)
STATUS_CODES = {408: "provider_timeout", 413: "provider_too_large", 504: "provider_timeout"}
REFUSALS = frozenset({"content_filter", "content_policy_violation"})


def to_provider_error(error: Exception, dialect: Dialect, model_name: str, wire: Wire) -> ProviderError:
    """One of the stable codes for whatever the model layer, an SDK or the network raised."""
    return provider_error(
        _code(error, wire),
        f"{dialect.provider}:{model_name}",
        key_name=dialect.key_name,
        key=dialect.key,
        retry_after_s=retry_after_s(wire.headers),
        words=_words(getattr(error, "body", None)),
    )


def _code(error: Exception, wire: Wire) -> str:
    body, status = getattr(error, "body", None), getattr(error, "status_code", None)
    if "spend_limit" in json.dumps(body, default=str):
        return "provider_spend_limit"  # sent as a 429, yet no wait helps
    if getattr(error, "provider_error_code", None) in REFUSALS:
        return "provider_refused"
    if status in STATUS_CODES:
        return STATUS_CODES[status]
    for kind, code in CODES:
        if isinstance(error, kind):
            return code
    if isinstance(error, fault.ModelConnectionError | httpx2.TransportError):
        return "provider_cut_off" if wire.begun else "provider_unreachable"
    if isinstance(error, fault.UnexpectedModelBehavior) and not wire.tail.strip():
        return "provider_cut_off"  # a 200 without a single event
    if isinstance(error, fault.ModelAPIError) and error.in_stream:
        return "provider_overloaded"  # an error event of a type we do not know
    if isinstance(status, int) and 400 <= status < 500:
        return "provider_bad_request"
    return "provider_bad_output"


def _words(body: object) -> str:
    """The provider's own message in an error body, wherever it stands."""
    if isinstance(body, Mapping):
        inner = body.get("error", body)
        message = inner.get("message") if isinstance(inner, Mapping) else inner
        return str(message or "")
    return ""
