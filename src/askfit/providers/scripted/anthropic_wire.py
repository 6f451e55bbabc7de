"""Anthropic's Messages API as bytes: what a request means, and each event of an answer. Knows no network."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from askfit.providers.scripted.behaviours import Asked, Fault, Malformed
from askfit.providers.scripted.cache import Block, Charge
from askfit.types import FinishReason, Message

PATH = "/v1/messages"
AUTH_REQUIRED = True
MOST_BREAKPOINTS = 4
STOP_REASONS: Mapping[FinishReason, str] = {"stop": "end_turn", "length": "max_tokens", "refusal": "refusal"}
REFUSED: Mapping[str, Any] = {"type": "refusal", "category": None, "explanation": None}


def read(body: Mapping[str, Any]) -> Asked:
    """What is asked; Malformed in the API's own words where the request is not one."""
    for name in ("model", "messages", "max_tokens"):
        if name not in body:
            raise Malformed(f"{name}: Field required")
    if not isinstance(body["max_tokens"], int) or body["max_tokens"] < 1:
        raise Malformed("max_tokens: Input should be greater than or equal to 1")
    messages = body["messages"]
    if not isinstance(messages, list) or not messages or messages[0].get("role") != "user":
        raise Malformed("messages: first message must use the user role")
    _check_breakpoints(body)
    output = (body.get("output_config") or {}).get("format") or {}
    return Asked(
        str(body["model"]),
        "\n\n".join(block["text"] for block in contents(body.get("system"))),
        tuple(Message(turn["role"], _text(turn["content"])) for turn in messages),
        body["max_tokens"],
        output.get("schema"),
    )


def contents(content: Any) -> list[dict[str, Any]]:
    """A text or a list of blocks, always as blocks."""
    if not content:
        return []
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _text(content: Any) -> str:
    texts = [block.get("text", "") for block in contents(content)]
    if not "".join(texts).strip():
        raise Malformed("messages: text content blocks must be non-empty")
    return "\n".join(texts)


def _wire_blocks(body: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(role, block) in the order that the cache goes by: tools, system, messages."""
    yield from (("tools", tool) for tool in body.get("tools") or [])
    yield from (("system", block) for block in contents(body.get("system")))
    for turn in body["messages"]:
        yield from ((turn["role"], block) for block in contents(turn["content"]))


def _check_breakpoints(body: Mapping[str, Any]) -> None:
    marks = [block["cache_control"] for _, block in _wire_blocks(body) if block.get("cache_control")]
    if len(marks) > MOST_BREAKPOINTS:
        raise Malformed(
            f"A maximum of {MOST_BREAKPOINTS} blocks with cache_control may be provided. Found {len(marks)}."
        )
    lives = [mark.get("ttl", "5m") for mark in marks]
    if set(lives) - {"5m", "1h"}:
        raise Malformed("cache_control.ttl: Input should be '5m' or '1h'")
    if lives != sorted(lives):  # "1h" before "5m"
        raise Malformed("a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block.")


def cache_seed(body: Mapping[str, Any]) -> str:
    """Beside the blocks, the model and the output's form decide whether a prefix is the same."""
    return json.dumps([body["model"], (body.get("output_config") or {}).get("format")])


def blocks(body: Mapping[str, Any]) -> list[Block]:
    """Every block as the cache sees it, its breakpoint taken out of the bytes."""
    return [
        Block(
            str(block.get("text", "")) or json.dumps(block),
            (block.get("cache_control") or {}).get("ttl", "5m") if block.get("cache_control") else "",
            json.dumps([role, {key: value for key, value in block.items() if key != "cache_control"}]).encode(),
        )
        for role, block in _wire_blocks(body)
    ]


class Answer:
    """One answer's bytes: the events of a stream, or the whole message."""

    def __init__(self, body: Mapping[str, Any], charge: Charge) -> None:
        self._id = f"msg_01{secrets.token_hex(11)}"
        self._model = body["model"]
        self._charge = charge

    def usage(self, output_tokens: int) -> dict[str, Any]:
        """As Anthropic counts: input_tokens without either cache counter."""
        charge = self._charge
        return {
            "input_tokens": charge.fresh,
            "cache_creation_input_tokens": charge.written_5m + charge.written_1h,
            "cache_read_input_tokens": charge.read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": charge.written_5m,
                "ephemeral_1h_input_tokens": charge.written_1h,
            },
            "output_tokens": output_tokens,
            "service_tier": "standard",
        }

    def _message(self, texts: Sequence[str], stop_reason: str | None, output_tokens: int) -> dict[str, Any]:
        return {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [{"type": "text", "text": text} for text in texts],
            "stop_reason": stop_reason,
            "stop_sequence": None,
            "usage": self.usage(output_tokens),
        }

    def opening(self) -> Iterator[bytes]:
        yield event("message_start", message=self._message([], None, 1))
        yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        yield self.ping()

    def ping(self) -> bytes:
        return event("ping")

    def piece(self, text: str) -> bytes:
        return event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})

    def closing(self, finish: FinishReason, output_tokens: int) -> Iterator[bytes]:
        yield event("content_block_stop", index=0)
        usage = {key: value for key, value in self.usage(output_tokens).items() if "_" in key and key != "service_tier"}
        usage.pop("cache_creation")  # only the opening tells the split by lifetime
        details = REFUSED if finish == "refusal" else None
        delta = {"stop_reason": STOP_REASONS[finish], "stop_sequence": None, "stop_details": details}
        yield event("message_delta", delta=delta, usage=usage)
        yield event("message_stop")

    def whole(self, text: str, finish: FinishReason, output_tokens: int) -> dict[str, Any]:
        return self._message([text] if text else [], STOP_REASONS[finish], output_tokens)


def event(kind: str, **data: Any) -> bytes:
    """One server-sent event."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data}, separators=(',', ':'))}\n\n".encode()


def error_event(fault: Fault) -> bytes:
    return event("error", error={"type": fault.type, "message": fault.message})


def broken_event() -> bytes:
    return b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_del\n\n'


def error_body(fault: Fault, name: str, message: str, request_id: str) -> dict[str, Any]:
    error: dict[str, Any] = {"type": fault.type, "message": message}
    if name == "spend_limit":
        error["details"] = {"error_code": "enforced_spend_limit_reached"}
    return {"type": "error", "error": error, "request_id": request_id}


def headers(request_id: str, served: int) -> dict[str, str]:
    """The headers of every answer; the limits are those of a small account."""
    left = max(0, 50 - served)
    return {
        "request-id": request_id,
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": str(left),
        "anthropic-ratelimit-requests-reset": "2026-11-01T00:01:00Z",
        "anthropic-ratelimit-input-tokens-limit": "50000",
        "anthropic-ratelimit-input-tokens-remaining": str(1000 * left),
    }
