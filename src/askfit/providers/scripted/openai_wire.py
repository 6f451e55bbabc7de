"""OpenAI's chat completions as bytes: what a request means, and each chunk of an answer. Knows no network."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from askfit.providers.scripted.behaviours import Asked, Fault, Malformed, text_of
from askfit.providers.scripted.cache import Block, Charge
from askfit.providers.scripted.documents import Piece
from askfit.rates import Limits, OverLimit
from askfit.types import Allowance, Axis, FinishReason, Message

PATH = "/v1/chat/completions"
AUTH_REQUIRED = False  # as on Ollama, llama.cpp and vLLM
CREATED_S = 1_793_491_200
CACHED_STEP_TOKENS = 128  # cached tokens are counted in steps, from 1,024 on
FINISH_REASONS: Mapping[FinishReason, str] = {"stop": "stop", "length": "length", "refusal": "content_filter"}
CODES = {401: "invalid_api_key", 404: "model_not_found", 413: "request_too_large", 429: "rate_limit_exceeded"}


def read(body: Mapping[str, Any]) -> Asked:
    """What is asked; Malformed where the request is not one."""
    if not body.get("model"):
        raise Malformed("you must provide a model parameter")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Malformed("'messages' must contain at least one message")
    system = [turn for turn in messages if turn["role"] in ("system", "developer")]
    form = (body.get("response_format") or {}).get("json_schema") or {}
    return Asked(
        body["model"],
        "\n\n".join(_text(turn["content"]) for turn in system),
        tuple(Message(turn["role"], _text(turn["content"])) for turn in messages if turn not in system),
        body.get("max_completion_tokens") or body.get("max_tokens") or 4096,
        form.get("schema"),
    )


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content or [])


def cache_seed(body: Mapping[str, Any]) -> str:
    return json.dumps([body["model"], body.get("response_format")])


def blocks(body: Mapping[str, Any]) -> list[Block]:
    """OpenAI caches by itself: each message ends a prefix that may be read again."""
    return [Block(_text(turn["content"]), "5m", json.dumps(turn).encode()) for turn in body["messages"]]


class Answer:
    """One answer's bytes: the chunks of a stream, or the whole completion."""

    def __init__(self, body: Mapping[str, Any], charge: Charge) -> None:
        self._id = f"chatcmpl-{secrets.token_hex(12)}"
        self._model = body["model"].partition("@")[0]  # what answers; a behaviour is no part of its name
        self._charge = charge
        self._tell_usage = bool((body.get("stream_options") or {}).get("include_usage"))

    def usage(self, output_tokens: int) -> dict[str, Any]:
        """As OpenAI counts: prompt_tokens include the cached ones; writing costs nothing and is not told."""
        prompt, cached = self._charge.total, self._charge.read // CACHED_STEP_TOKENS * CACHED_STEP_TOKENS
        return {
            "prompt_tokens": prompt,
            "completion_tokens": output_tokens,
            "total_tokens": prompt + output_tokens,
            "prompt_tokens_details": {"cached_tokens": cached},
        }

    def _chunk(self, delta: Mapping[str, Any] | None, finish: str | None = None, **more: Any) -> bytes:
        choices = [] if delta is None else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
        head = {"id": self._id, "object": "chat.completion.chunk", "created": CREATED_S, "model": self._model}
        return _event({**head, "choices": choices, **more})

    def opening(self) -> Iterator[bytes]:
        yield self._chunk({"role": "assistant", "content": ""})

    def ping(self) -> bytes:
        return b": ping\n\n"

    def piece(self, piece: Piece) -> Iterator[bytes]:
        if isinstance(piece, str):  # this wire knows no citations
            yield self._chunk({"content": piece})

    def closing(self, finish: FinishReason, output_tokens: int) -> Iterator[bytes]:
        yield self._chunk({}, FINISH_REASONS[finish])
        if self._tell_usage:
            yield self._chunk(None, usage=self.usage(output_tokens))
        yield b"data: [DONE]\n\n"

    def whole(self, pieces: Sequence[Piece], finish: FinishReason, output_tokens: int) -> dict[str, Any]:
        message = {"role": "assistant", "content": text_of(pieces), "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": FINISH_REASONS[finish]}
        head = {"id": self._id, "object": "chat.completion", "created": CREATED_S, "model": self._model}
        return {**head, "choices": [choice], "usage": self.usage(output_tokens)}


def _event(data: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


def error_event(fault: Fault) -> bytes:
    return _event({"error": {"message": fault.message, "type": "server_error", "param": None, "code": "overloaded"}})


def broken_event() -> bytes:
    return b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"conte\n\n'


def error_body(fault: Fault, name: str, message: str, request_id: str) -> dict[str, Any]:
    kind = "server_error" if fault.status >= 500 else "invalid_request_error"
    code = "project_spend_limit_exceeded" if name == "spend_limit" else CODES.get(fault.status)
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def needs(asked: Asked, charge: Charge) -> dict[Axis, float]:
    """What of the limits a request uses up: the longest answer that it allows too, whether it comes or not."""
    return {"requests": 1, "tokens": charge.total + asked.max_output_tokens}


def produces(output_tokens: int) -> dict[Axis, float]:
    """Nothing more: it was counted before."""
    return {}


def headers(request_id: str, standing: Mapping[Axis, Allowance]) -> dict[str, str]:
    """The headers of every answer: limits, what is left, how long until all is there again."""
    told = {"x-request-id": request_id}
    for axis, allowance in standing.items():
        if axis not in ("requests", "tokens"):
            continue  # this API knows no others
        told[f"x-ratelimit-limit-{axis}"] = str(allowance.limit)
        told[f"x-ratelimit-remaining-{axis}"] = str(allowance.remaining)
        told[f"x-ratelimit-reset-{axis}"] = f"{round(allowance.resets_s * 1000)}ms"
    return told


def refusal(over: OverLimit, limits: Limits) -> Fault:
    """429 in the API's words; the wait with its fraction."""
    limit, what = dict(limits.items())[over.axis], {"tokens": "TPM"}.get(over.axis, "RPM")
    message = f"Rate limit reached for {{model}} on {over.axis} per min ({what}): Limit {limit}."
    return Fault("provider_rate_limited", 429, "rate_limit_error", message, round(over.wait_s, 3))
