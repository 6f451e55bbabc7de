"""What a scripted model says and how it fails, by name. Knows nothing of wires: a reply is pieces, a pace, an end."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from askfit.providers.scripted import lying as lies
from askfit.providers.scripted.documents import Cite, Document, Piece, cited
from askfit.providers.scripted.faithful import judgement, quoted_answer
from askfit.providers.scripted.judges import JUDGES, Judging
from askfit.text import estimate_tokens
from askfit.types import FinishReason, Message, Usage


@dataclass(frozen=True, slots=True)
class Asked:
    """What a model is given, whichever wire it came by."""

    model: str
    system: str
    messages: tuple[Message, ...]
    max_output_tokens: int
    schema: Mapping[str, Any] | None = None
    documents: tuple[Document, ...] = ()  # that may be cited; their text stands in `system` too

    @property
    def question(self) -> str:
        """The last message of the user."""
        return next((turn.text for turn in reversed(self.messages) if turn.role == "user"), "")


class Malformed(Exception):
    """A request that the real API refuses with 400; the message is the API's."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to fail: an HTTP status instead of an answer, or, with status 0, a fault of the stream."""

    code: str  # what the real providers raise for it
    status: int = 0
    type: str = ""  # Anthropic's error type; OpenAI's is derived from the status
    message: str = ""
    retry_after_s: float | None = None
    mid_answer: bool = False  # half the answer goes out before it
    hangs: bool = False  # nothing more comes, and the connection stays open


FAULTS: Mapping[str, Fault] = {
    "bad_request": Fault("provider_bad_request", 400, "invalid_request_error", "messages: this request is malformed"),
    "key_refused": Fault("provider_key_refused", 401, "authentication_error", "invalid x-api-key"),
    "billing": Fault("provider_billing", 402, "billing_error", "Your credit balance is too low."),
    "forbidden": Fault("provider_key_refused", 403, "permission_error", "This key may not use the specified resource."),
    "model_unknown": Fault("provider_model_unknown", 404, "not_found_error", "model: {model}"),
    "too_large": Fault("provider_too_large", 413, "request_too_large", "Request exceeds the maximum size"),
    "rate_limited": Fault(
        "provider_rate_limited", 429, "rate_limit_error", "This request would exceed your rate limit.", 7.0
    ),
    "spend_limit": Fault("provider_spend_limit", 429, "rate_limit_error", "You have reached your spend limit."),
    "server_error": Fault("provider_overloaded", 500, "api_error", "Internal server error"),
    "timeout": Fault("provider_timeout", 504, "timeout_error", "Request timed out"),
    "overloaded": Fault("provider_overloaded", 529, "overloaded_error", "Overloaded"),
    "error_first": Fault("provider_overloaded", 0, "overloaded_error", "Overloaded"),
    "error_midway": Fault("provider_overloaded", 0, "overloaded_error", "Overloaded", mid_answer=True),
    "cut_off": Fault("provider_cut_off", mid_answer=True),  # the stream ends cleanly, the answer does not
    "dropped": Fault("provider_cut_off", mid_answer=True),  # the connection breaks
    "bad_json": Fault("provider_bad_output", mid_answer=True),  # an event that is no JSON
    "ping_only": Fault("provider_timeout", hangs=True),
    "silent": Fault("provider_timeout", hangs=True),
    "stalls": Fault("provider_timeout", mid_answer=True, hangs=True),
}


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: its pieces, its pace, and how it ends."""

    pieces: tuple[Piece, ...] = ()  # a citation is for the words before it
    finish_reason: FinishReason = "stop"
    first_ms: int = 0  # before the first piece
    piece_ms: int = 0  # after each piece
    fault: str = ""  # a name in FAULTS
    fault_after: int | None = None  # pieces before it; None: half of them, or none, as the fault has it
    usage: Usage | None = None  # instead of what is counted
    uncut: bool = False  # says more than it is allowed
    in_batch: str = ""  # errored | expired | canceled: how it ends where it is asked in a batch

    @property
    def text(self) -> str:
        return text_of(self.pieces)

    def as_fault(self) -> Fault:
        return FAULTS[self.fault]

    def before_fault(self) -> tuple[Piece, ...]:
        """The pieces that go out."""
        if not self.fault:
            return self.pieces
        half = (len(self.pieces) + 1) // 2 if self.as_fault().mid_answer else 0
        return self.pieces[: half if self.fault_after is None else self.fault_after]

    def within(self, most_tokens: int) -> Reply:
        """Cut where the allowance ends, as a model is."""
        if self.uncut:
            return self
        for at in range(len(self.pieces)):
            if estimated(text_of(self.pieces[: at + 1])) > most_tokens:
                return replace(self, pieces=self.pieces[:at], finish_reason="length")
        return self


def estimated(text: str) -> int:
    """Output tokens that we say we said."""
    return estimate_tokens(text)


def text_of(pieces: Iterable[Piece]) -> str:
    """The words, without citations."""
    return "".join(piece for piece in pieces if isinstance(piece, str))


def in_pieces(text: str) -> tuple[str, ...]:
    """A text as a model streams it: word by word, white space kept."""
    return tuple(re.findall(r"\s*\S+(?:\s+\Z)?", text))


def with_citations(text: str, documents: Sequence[Document]) -> tuple[Piece, ...]:
    """`in_pieces`; where there are documents to cite, markers become citations, as a model does then."""
    if not documents:
        return in_pieces(text)
    stretches = ((piece,) if isinstance(piece, Cite) else in_pieces(piece) for piece in cited(text, documents))
    return tuple(chain.from_iterable(stretches))


# ---------------------------------------------------------------- behaviours


def echo(asked: Asked, number: int | None) -> Reply:
    """The last question, word for word."""
    return Reply(in_pieces(asked.question))


def plain_words(asked: Asked, number: int | None) -> Reply:
    """`words-200`: so many plain words."""
    return Reply(in_pieces(" ".join(f"word{at}" for at in range(1, (number or 40) + 1))))


def empty_json(asked: Asked, number: int | None) -> Reply:
    """The least object that the schema allows; {} without one."""
    return Reply(in_pieces(json.dumps(least(asked.schema or {"type": "object"}), ensure_ascii=False)))


def faithful(asked: Asked, number: int | None) -> Reply:
    """As a careful model that reads askfit's prompts: a quoted sentence and its section, or a judgement by the rows."""
    if asked.schema is None:
        return Reply(with_citations(quoted_answer(asked.system, asked.question), asked.documents))
    made = judgement(asked.system, asked.question) if "requirements" in asked.schema.get("properties", {}) else None
    return Reply(in_pieces(json.dumps(made or least(asked.schema), ensure_ascii=False)))


def lying(asked: Asked, number: int | None) -> Reply:
    """`lying-7`: true sentences with one thing made false, by that seed; what is planted, `lying.answer` tells."""
    if asked.schema is not None:
        return faithful(asked, None)
    return Reply(with_citations(lies.answer(asked.system, asked.question, number or 0).text, asked.documents))


def echoing(asked: Asked, number: int | None) -> Reply:
    """Obeys whatever it is told: says all that it was given, word for word, however long, its instructions included."""
    parts = (asked.question, asked.system, *(turn.text for turn in asked.messages[:-1]))
    return Reply(in_pieces("\n\n".join(part for part in parts if part)), uncut=True)


def nothing(asked: Asked, number: int | None) -> Reply:
    """A whole answer without a word."""
    return Reply()


def refusal(asked: Asked, number: int | None) -> Reply:
    """The model declines."""
    return Reply(finish_reason="refusal")


def slow(asked: Asked, number: int | None) -> Reply:
    """`slow-3000`: so many milliseconds before the first word."""
    return replace(faithful(asked, None), first_ms=3000 if number is None else number)


Behaviour = Callable[[Asked, int | None], Reply]


def as_judge(judge: Judging) -> Behaviour:
    """A large model with one fault: judges postings in its way, and is faithful in everything else."""

    def behaviour(asked: Asked, number: int | None) -> Reply:
        """See scripted/judges.py."""
        if asked.schema is None or not judgement(asked.system, asked.question):
            return faithful(asked, None)
        said = judge(asked.system, asked.question, number)
        return Reply(in_pieces(said), "length" if judge is JUDGES["truncating"] else "stop")

    return behaviour


BEHAVIOURS: Mapping[str, Behaviour] = {
    **{name: as_judge(judge) for name, judge in JUDGES.items()},
    "echo": echo,
    "echoing": echoing,
    "empty": nothing,
    "faithful": faithful,
    "honest": faithful,
    "json": empty_json,
    "lying": lying,
    "refusal": refusal,
    "slow": slow,
    "words": plain_words,
}


def behave(name: str, asked: Asked) -> Reply:
    """The reply of a behaviour (`words-200`) or of a fault (`overloaded`); KeyError for any other name."""
    base, _, number = name.partition("-")
    if name in FAULTS:
        return replace(faithful(asked, None), fault=name)
    return BEHAVIOURS[base](asked, int(number) if number.isdigit() else None)


def is_behaviour(name: str) -> bool:
    base, dash, number = name.partition("-")
    return name in FAULTS or (base in BEHAVIOURS and (not dash or number.isdigit()))


# ---------------------------------------------------------------- the least value of a JSON Schema


def least(schema: Mapping[str, Any], root: Mapping[str, Any] | None = None) -> Any:
    """The plainest value that a JSON Schema allows."""
    root = root or schema
    if "$ref" in schema:
        return least(_referred(root, schema["$ref"]), root)
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if "enum" in schema:
        return schema["enum"][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return least(schema[key][0], root)
    kind = schema.get("type", "object" if "properties" in schema else "null")
    return _LEAST[kind[0] if isinstance(kind, list) else kind](schema, root)


def _referred(root: Mapping[str, Any], ref: str) -> Mapping[str, Any]:
    """`#/$defs/Name` within the root."""
    found: Any = root
    for part in ref.removeprefix("#/").split("/"):
        found = found[part]
    assert isinstance(found, Mapping)
    return found


Least = Callable[[Mapping[str, Any], Mapping[str, Any]], Any]
_LEAST: Mapping[str, Least] = {
    "object": lambda schema, root: {name: least(inner, root) for name, inner in schema.get("properties", {}).items()},
    "array": lambda schema, root: [least(schema.get("items", {}), root) for _ in range(schema.get("minItems", 0))],
    "integer": lambda schema, root: schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1),
    "number": lambda schema, root: schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1),
    "string": lambda schema, root: "x" * schema.get("minLength", 0),
    "boolean": lambda schema, root: False,
    "null": lambda schema, root: None,
}
