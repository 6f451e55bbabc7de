"""Anthropic's Messages API as bytes: what a request means, and each event of an answer. Knows no network."""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from askfit.providers.scripted.behaviours import Asked, Fault, Malformed
from askfit.providers.scripted.cache import Block, Charge
from askfit.providers.scripted.documents import Document, Piece, citation, document_of
from askfit.rates import Limits, OverLimit
from askfit.types import Allowance, Axis, FinishReason, Message

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
    documents, cites = _documents(body), may_cite(body)
    if cites and output:
        raise Malformed("output_config.format: citations cannot be enabled together with a structured output format")
    system = [block["text"] for block in contents(body.get("system"))]
    return Asked(
        str(body["model"]),
        "\n\n".join([*system, *("\n".join(document.chunks) for document in documents)]),
        tuple(Message(turn["role"], _text(turn["content"])) for turn in messages),
        body["max_tokens"],
        output.get("schema"),
        documents if cites else (),
    )


def _document_blocks(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [block for _, block in _wire_blocks(body) if block.get("type") == "document"]


def _documents(body: Mapping[str, Any]) -> tuple[Document, ...]:
    documents = tuple(document_of(block) for block in _document_blocks(body))
    if not all(chunk.strip() for document in documents for chunk in document.chunks or ("",)):
        raise Malformed("messages: text content blocks must be non-empty")
    return documents


def may_cite(body: Mapping[str, Any]) -> bool:
    """Are citations on? They are for all of a request's documents or for none."""
    on = {bool((block.get("citations") or {}).get("enabled")) for block in _document_blocks(body)}
    if len(on) > 1:
        raise Malformed("messages: citations must be enabled on all or none of the documents")
    return True in on


def contents(content: Any) -> list[dict[str, Any]]:
    """A text or a list of blocks, always as blocks."""
    if not content:
        return []
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _text(content: Any) -> str:
    texts = [block.get("text", "") for block in contents(content) if block.get("type") != "document"]
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
            _counted(block),
            (block.get("cache_control") or {}).get("ttl", "5m") if block.get("cache_control") else "",
            json.dumps([role, {key: value for key, value in block.items() if key != "cache_control"}]).encode(),
        )
        for role, block in _wire_blocks(body)
    ]


def _counted(block: Mapping[str, Any]) -> str:
    """The text that a block's tokens are counted by."""
    if block.get("type") == "document":
        return "\n".join(document_of(block).chunks)
    return str(block.get("text", "")) or json.dumps(block)


class Answer:
    """One answer's bytes: the events of a stream, or the whole message.

    Words that are cited are a block of text of their own, which ends with its citations.
    """

    def __init__(self, body: Mapping[str, Any], charge: Charge) -> None:
        self._id = f"msg_01{secrets.token_hex(11)}"
        self._model = body["model"].partition("@")[0]  # what answers; a behaviour is no part of its name
        self._charge = charge
        self._documents = _documents(body) if may_cite(body) else ()
        self._block = 0
        self._cited = False  # the open block has its citations: more words begin another

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

    def _message(
        self, blocks: Sequence[Mapping[str, Any]], stop_reason: str | None, output_tokens: int
    ) -> dict[str, Any]:
        return {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": blocks,
            "stop_reason": stop_reason,
            "stop_sequence": None,
            "usage": self.usage(output_tokens),
        }

    def opening(self) -> Iterator[bytes]:
        yield event("message_start", message=self._message([], None, 1))
        yield self._begin()
        yield self.ping()

    def _begin(self) -> bytes:
        empty: dict[str, Any] = {"citations": []} if self._documents else {}
        return event("content_block_start", index=self._block, content_block={**empty, "type": "text", "text": ""})

    def _delta(self, **delta: Any) -> bytes:
        return event("content_block_delta", index=self._block, delta=delta)

    def ping(self) -> bytes:
        return event("ping")

    def piece(self, piece: Piece) -> Iterator[bytes]:
        if not isinstance(piece, str):
            if self._documents:  # else there is nothing to cite
                self._cited = True
                yield self._delta(type="citations_delta", citation=citation(piece, self._documents))
            return
        if self._cited:
            yield event("content_block_stop", index=self._block)
            self._block, self._cited = self._block + 1, False
            yield self._begin()
        yield self._delta(type="text_delta", text=piece)

    def closing(self, finish: FinishReason, output_tokens: int) -> Iterator[bytes]:
        yield event("content_block_stop", index=self._block)
        usage = {key: value for key, value in self.usage(output_tokens).items() if "_" in key and key != "service_tier"}
        usage.pop("cache_creation")  # only the opening tells the split by lifetime
        details = REFUSED if finish == "refusal" else None
        delta = {"stop_reason": STOP_REASONS[finish], "stop_sequence": None, "stop_details": details}
        yield event("message_delta", delta=delta, usage=usage)
        yield event("message_stop")

    def whole(self, pieces: Sequence[Piece], finish: FinishReason, output_tokens: int) -> dict[str, Any]:
        """The same blocks that a stream adds up to."""
        blocks: list[dict[str, Any]] = []
        for piece in pieces:
            if isinstance(piece, str):
                if not blocks or blocks[-1].get("citations"):
                    blocks.append({"type": "text", "text": "", **({"citations": []} if self._documents else {})})
                blocks[-1]["text"] += piece
            elif blocks and self._documents:
                blocks[-1]["citations"].append(citation(piece, self._documents))
        return self._message(blocks, STOP_REASONS[finish], output_tokens)


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


def needs(asked: Asked, charge: Charge) -> dict[Axis, float]:
    """What of the limits a request uses up at once: cache reads count for nothing, output only once it is there."""
    uncached = charge.total - charge.read
    return {"requests": 1, "input_tokens": uncached, "tokens": uncached}


def produces(output_tokens: int) -> dict[Axis, float]:
    """What of the limits an answer uses up."""
    return {"output_tokens": output_tokens, "tokens": output_tokens}


def headers(request_id: str, standing: Mapping[Axis, Allowance]) -> dict[str, str]:
    """The headers of every answer: limits, what is left (tokens to the nearest thousand), when all is there again."""
    told = {"request-id": request_id}
    for axis, allowance in standing.items():
        name = f"anthropic-ratelimit-{axis.replace('_', '-')}"
        left = allowance.remaining if axis == "requests" else round(allowance.remaining, -3)
        whole = datetime.now(UTC) + timedelta(seconds=allowance.resets_s)
        told[f"{name}-limit"] = str(allowance.limit)
        told[f"{name}-remaining"] = str(left)
        told[f"{name}-reset"] = whole.strftime("%Y-%m-%dT%H:%M:%SZ")
    return told


def refusal(over: OverLimit, limits: Limits) -> Fault:
    """429 in the API's words; the wait in whole seconds."""
    limit, what = dict(limits.items())[over.axis], over.axis.replace("_", " ")
    message = f"This request would exceed your organization's rate limit of {limit:,} {what} per minute."
    return Fault("provider_rate_limited", 429, "rate_limit_error", message, float(max(1, math.ceil(over.wait_s))))
