"""A script: rules that say which question gets which reply. Read from YAML or JSON, or made in a test."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from askfit.errors import SettingsError
from askfit.providers.scripted.behaviours import BEHAVIOURS, FAULTS, Asked, Reply, behave, in_pieces, is_behaviour
from askfit.providers.scripted.documents import Cite, Piece
from askfit.rates import Account, Limits
from askfit.types import FinishReason, Usage


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class UsageForm(_Form):
    """What the model pretends to have counted."""

    input_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)
    cache_read_tokens: int = Field(default=0, ge=0)
    cache_write_tokens: int = Field(default=0, ge=0)
    cache_write_1h_tokens: int = Field(default=0, ge=0)


class CiteForm(_Form):
    """A citation of the words before it, where the request has documents to cite; true or not."""

    document: int  # its place in the request, from 0
    start: int  # chunk: a block of custom content, a sentence of plain text
    end: int  # the chunk after the last one
    cited_text: str | None = None  # instead of what stands there


class Rule(_Form):
    """One rule: where `match` (a regular expression) is found in the last question, this is the reply."""

    match: str = ""
    text: str | None = None
    chunks: tuple[str | CiteForm, ...] | None = None  # a text cut as it shall be streamed
    object: Any = Field(default=None, alias="json")
    behaviour: str = ""
    fault: str = ""
    fault_after: int | None = Field(default=None, ge=0)
    first_ms: int = Field(default=0, ge=0)
    delay_ms: int = Field(default=0, ge=0)
    finish: FinishReason = "stop"
    usage: UsageForm | None = None
    times: int | None = Field(default=None, ge=1)  # used up after so many replies
    batch: Literal["", "errored", "expired", "canceled"] = ""  # how the request ends in a batch; nothing outside one

    @field_validator("match")
    @classmethod
    def _expression(cls, match: str) -> str:
        try:
            re.compile(match)
        except re.error as error:
            raise ValueError(f"'{match}' is no regular expression ({error})") from None
        return match

    @model_validator(mode="after")
    def _names(self) -> Self:
        if self.fault and self.fault not in FAULTS:
            raise ValueError(f"unknown fault '{self.fault}'; known: {', '.join(FAULTS)}")
        if self.behaviour and not is_behaviour(self.behaviour):
            raise ValueError(f"unknown behaviour '{self.behaviour}'; known: {known_behaviours()}")
        return self

    def reply(self, asked: Asked) -> Reply:
        said = behave(self.behaviour or "faithful", asked)
        return Reply(
            self._pieces() if self._says() else said.pieces,
            self.finish if self.finish != "stop" else said.finish_reason,
            self.first_ms or said.first_ms,
            self.delay_ms or said.piece_ms,
            self.fault or said.fault,
            self.fault_after,
            Usage(**self.usage.model_dump()) if self.usage else None,
            in_batch=self.batch,
        )

    def _says(self) -> bool:
        return self.text is not None or self.chunks is not None or self.object is not None

    def _pieces(self) -> tuple[Piece, ...]:
        if self.chunks is not None:
            return tuple(
                piece if isinstance(piece, str) else Cite(piece.document, piece.start, piece.end, piece.cited_text)
                for piece in self.chunks
            )
        return in_pieces(self.text if self.text is not None else json.dumps(self.object, ensure_ascii=False))


class LimitsForm(_Form):
    """An account's rate limits, each a minute and for every model by itself; 0: none."""

    requests: int = Field(default=0, ge=0)
    input_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)
    tokens: int = Field(default=0, ge=0)
    begins: float = Field(default=1.0, ge=0, le=1)  # how full they are at first


class ScriptForm(_Form):
    """The file's form."""

    rules: tuple[Rule, ...] = ()
    otherwise: str = "faithful"
    batch_ms: int = Field(default=0, ge=0)  # how long a batch takes
    batch_fault: str = ""  # how every request about batches is refused; "": not at all
    limits: LimitsForm = LimitsForm()

    @field_validator("otherwise")
    @classmethod
    def _known(cls, name: str) -> str:
        if not is_behaviour(name):
            raise ValueError(f"unknown behaviour '{name}'; known: {known_behaviours()}")
        return name

    @field_validator("batch_fault")
    @classmethod
    def _refusal(cls, name: str) -> str:
        if name and (name not in FAULTS or not FAULTS[name].status):
            refusals = ", ".join(known for known, fault in FAULTS.items() if fault.status)
            raise ValueError(f"unknown refusal '{name}'; known: {refusals}")
        return name


class Script:
    """Rules in order; the first that matches and is not used up replies, else the behaviour `otherwise`."""

    def __init__(
        self, rules: Sequence[Rule] = (), otherwise: str = "faithful", *, batch_ms: int = 0, batch_fault: str = ""
    ) -> None:
        self.batch_ms = batch_ms
        self.batch_fault = batch_fault
        self._rules = tuple(rules)
        self._otherwise = otherwise
        self.account: Account | None = None  # whose limits hold; None where there are none
        self._used = [0] * len(self._rules)

    @classmethod
    def of(cls, given: str | Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Script:
        """A behaviour's name, a list of rules, or the whole form as a mapping; SettingsError `script_invalid`."""
        form = {"otherwise": given} if isinstance(given, str) else given
        form = form if isinstance(form, Mapping) else {"rules": list(form)}
        try:
            read = ScriptForm.model_validate(form)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "the script"
            raise SettingsError(
                "script_invalid",
                f"{place}: {first['msg'].removeprefix('Value error, ')}.",
                "See docs/scripted.md for the form.",
            ) from None
        script = cls(read.rules, read.otherwise, batch_ms=read.batch_ms, batch_fault=read.batch_fault)
        script.limit(Limits(**read.limits.model_dump(exclude={"begins"})), begins=read.limits.begins)
        return script

    def limit(self, limits: Limits, *, begins: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        """Hold every model to these limits from now on, with buckets that are `begins` full."""
        self.account = Account(lambda model: limits, clock, begins) if limits.items() else None

    def reply(self, asked: Asked) -> Reply:
        """What to say, using up the rule that says it."""
        for at, rule in enumerate(self._rules):
            if (rule.times is None or self._used[at] < rule.times) and re.search(rule.match, asked.question):
                self._used[at] += 1
                return rule.reply(asked)
        return behave(self._otherwise, asked)


def known_behaviours() -> str:
    return ", ".join([*BEHAVIOURS, *FAULTS])


def load_script(path: Path | str) -> Script:
    """Read a script file; SettingsError `script_unreadable` or `script_invalid`."""
    import yaml

    path = Path(path)
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))  # JSON is YAML
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise SettingsError("script_unreadable", f"{path} cannot be read: {reason}.", "Mend the file.") from None
    if not isinstance(given, Mapping | list):
        raise SettingsError("script_invalid", f"{path} holds no rules.", "See docs/scripted.md for the form.")
    return Script.of(given)
