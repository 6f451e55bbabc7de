"""The nouns that more than one floor speaks of. Knows nothing of how any of them is made.

Plain frozen dataclasses are for the inside; the pydantic models below them are what outsiders see: the events of a
stream, an answer, an assessment (docs: CONTRACT, "Events" and "Assessment").
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["chat", "assessment"]
Band = Literal["strong", "moderate", "gap"]
Verdict = Literal["strong", "moderate", "stretch", "misfit", "insufficient_information"]
FinishReason = Literal["stop", "length", "refusal", "error", "cancelled"]

NANOS_PER_USD = 1_000_000_000


# ---------------------------------------------------------------- what was read


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in what the owner gave: where it stands, what it is, what to do. Never a crash."""

    code: str
    file: str
    message: str
    next_step: str = ""
    where: str = ""  # "row 14, column Level" · "page 3" · "line 7"
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        place = f"{self.file}, {self.where}" if self.where else self.file
        return f"{place}: {self.message} {self.next_step}".strip()


@dataclass(frozen=True, slots=True)
class Section:
    """A heading of a document and the text under it: the unit that is retrieved and cited."""

    id: str  # stable: "<document>#<anchor>"; "<document>" alone for text before the first heading
    document: str
    title: str  # of the document
    heading: str  # "Work › Harbor Lane"; "" before the first heading
    text: str  # plain text: paragraphs and list items on lines of their own
    url: str  # absolute, anchor included
    tokens: int  # estimated

    @property
    def titled(self) -> str:
        """What people call it: its page's title and its own heading."""
        heading = self.heading.rpartition(" › ")[2]
        return f"{self.title} › {heading}" if heading else self.title


@dataclass(frozen=True, slots=True)
class Document:
    """One page of the site, or one file such as a résumé."""

    id: str  # "work/harbor-lane": the path below its source folder, without its ending
    title: str
    url: str
    path: str  # relative to the settings file
    sha: str  # of the file's bytes: an unchanged file is not read again
    date: str = ""  # ISO; "" where unknown
    sections: tuple[Section, ...] = ()


@dataclass(frozen=True, slots=True)
class Passage:
    """A section as a search found it. A higher score is nearer; scores of two searches do not compare."""

    section: Section
    score: float


@dataclass(frozen=True, slots=True)
class Skill:
    """One row of the owner's matrix. Private rows never become a Skill."""

    row: int  # the row's number in the file, the header being row 1; on a workbook's second sheet 10,000 more
    name: str
    level: float  # 0–5
    category: str = ""
    priority: Literal["", "core", "strong", "supporting", "learning"] = ""
    years: float | None = None
    last_used: str = ""
    evidence: str = ""
    aliases: tuple[str, ...] = ()
    sheet: str = ""  # the name of its sheet, where a workbook has several with skills
    sheet_row: int = 0  # the row's number as that sheet shows it


# ---------------------------------------------------------------- a call to a model


@dataclass(frozen=True, slots=True)
class Message:
    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """The least that a provider may cite: one line of a section, a paragraph or a list item."""

    text: str
    section: int = 0  # the section's number; 0: a heading, which nothing rests on
    start: int = 0  # where it begins in the section's text, in characters


Chunks = tuple[Chunk, ...]  # one document for a provider that cites by itself


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is given. `instructions`, `prefix`, `documents` are the cached part: the same bytes for everyone."""

    instructions: str
    prefix: str  # the corpus or the matrix; "" where nothing is shared between calls
    messages: tuple[Message, ...]  # the history, then what is asked now: the last one is the user's
    max_output_tokens: int
    output_schema: Mapping[str, Any] | None = None  # JSON Schema: the answer is one JSON object of this form
    sha: str = ""  # of the prompt files that made it, for the ledger
    cache_ttl: Literal["", "5m", "1h"] = "5m"  # how long the provider shall keep the cached part; "": not at all
    documents: tuple[Chunks, ...] = ()  # sections as documents that can be cited, shared between calls
    found: tuple[Chunks, ...] = ()  # the same, for this question only
    cited: Prompt | None = None  # the same prompt with its sections as documents, for models that cite by themselves


@dataclass(frozen=True, slots=True)
class Ahead:
    """A model that is asked before the feature's own ones, while the day's bounds (UTC) on such calls allow it."""

    model: str  # "provider:name"
    prompt: Prompt
    day_nanos: int  # the most that a day of these calls may come to
    most_share: float = 1.0  # of the feature's turns in a day; one turn more is let through


@dataclass(frozen=True, slots=True)
class Call:
    """One thing that a feature wants said. The gateway decides who says it."""

    feature: str  # a key of [features]
    answer: str  # the answer's id: unguessable, shared by all calls that serve one turn
    prompt: Prompt
    builtin: Callable[[], AsyncIterator[str]]  # what this feature says with no model, in the same form
    visitor: str = ""  # a keyed hash, never an address
    only: str = ""  # "provider:name" to skip routing
    ahead: Ahead | None = None  # who is to be asked first, within bounds of its own


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call. As in OpenTelemetry, `input_tokens` INCLUDES both cache counters."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0  # the part of cache_write_tokens that was written for an hour
    estimated: bool = False  # the stream was cut before the provider told its counts

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cache_read_tokens + other.cache_read_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
            self.cache_write_1h_tokens + other.cache_write_1h_tokens,
            self.estimated or other.estimated,
        )


Axis = Literal["requests", "input_tokens", "output_tokens", "tokens"]  # tokens: input and output together


@dataclass(frozen=True, slots=True)
class Allowance:
    """One rate limit as a provider tells it."""

    limit: int
    remaining: int
    resets_s: float  # from when it was told until all of it is there again


@dataclass(frozen=True, slots=True)
class Headroom:
    """What an account may still ask of one model, as the headers of an answer or of a refusal told."""

    axes: Mapping[Axis, Allowance]
    heard_s: float  # by time.monotonic


# What a provider yields: any number of Text, then exactly one Finish.


@dataclass(frozen=True, slots=True)
class Text:
    """The next piece of the answer."""

    text: str
    counted: Usage | None = None  # with the first piece: what the provider has counted by then, if it tells
    headroom: Headroom | None = None  # with a piece without words, once the provider's headers are there
    last: bool = False  # surely: nobody need wait for what follows it


@dataclass(frozen=True, slots=True)
class Finish:
    """The provider's own word that the answer is whole, with what it used."""

    usage: Usage
    finish_reason: FinishReason = "stop"
    model: str = ""  # that answered, in the provider's own words: often dated, as claude-haiku-4-5-20251001


@dataclass(frozen=True, slots=True)
class Ended:
    """How one call of a batch ended: with `text` and `finish`, or with `code`, a fault of the provider."""

    id: str  # the ledger's row
    text: str = ""
    finish: Finish | None = None
    code: str = ""  # as in a ProviderError; "" where it was answered
    message: str = ""  # the fault in a sentence


# What the gateway yields: Notice*, Opened, (Text | Notice)*, Settled. Or it raises, having settled its row.


@dataclass(frozen=True, slots=True)
class Opened:
    """The first visible piece has arrived: from here on it is this model that answers."""

    model: str  # "provider:name"
    provider: str


@dataclass(frozen=True, slots=True)
class Settled:
    """The call is over and its ledger row is written."""

    usage: Usage
    cost_nanos: int
    finish_reason: FinishReason
    ttft_ms: float
    total_ms: float


# ---------------------------------------------------------------- what outsiders see


class Seen(BaseModel):
    """A form that outsiders rely on: unknown keys are refused, instances are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class UsageOut(Seen):
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    estimated: bool = False

    @classmethod
    def of(cls, usage: Usage) -> UsageOut:
        """What a visitor is told of a call's usage."""
        return cls(**{name: getattr(usage, name) for name in cls.model_fields})


class Start(Seen):
    event: ClassVar[str] = "start"
    answer: str
    feature: str
    model: str
    provider: str
    conversation: str | None = None


class Delta(Seen):
    event: ClassVar[str] = "delta"
    text: str


Unlinked = Annotated[str, Field(exclude_if=lambda title: not title)]  # told only where there is no address


class Citation(Seen):
    """`quote` stands in the section word for word; `sentence` counts the answer's sentences from 0.

    `url` is "" where the page has no address on the site; then `title` names page and section for people.
    """

    event: ClassVar[str] = "citation"
    sentence: int
    document: str
    section: str
    url: str
    quote: str
    title: Unlinked = ""


class Retract(Seen):
    """Drop the answer's text from character `from` on."""

    event: ClassVar[str] = "retract"
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True)
    from_: int = Field(alias="from")


class Notice(Seen):
    """Codes: fell_back, budget_spent, builtin, handed_off, truncated, repaired, contested, unborne,
    unbatched, instructions_ignored, looks_like_posting (offer the fit page), looks_like_question (offer the chat)."""

    event: ClassVar[str] = "notice"
    code: str
    message: str


class AskDone(Seen):
    event: ClassVar[str] = "done"
    abstained: bool
    abstain_reason: str | None = None
    usage: UsageOut
    cost_usd: float
    ttft_ms: float
    total_ms: float
    follow_ups: tuple[str, ...] = ()


class Failed(Seen):
    """The `error` event: the stream ends here."""

    event: ClassVar[str] = "error"
    code: str
    message: str
    retry_after_s: float | None = None
    partial: bool = False


class CitationOut(Seen):
    document: str
    section: str
    url: str
    quote: str
    title: Unlinked = ""


class Sentence(Seen):
    text: str
    citations: tuple[CitationOut, ...] = ()


class Answer(Seen):
    """What `askfit ask --json` prints and `POST /ask-ai` answers: the stream's events, folded."""

    id: str
    answer: str
    sentences: tuple[Sentence, ...]
    abstained: bool
    abstain_reason: str | None = None
    follow_ups: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()
    conversation: str | None = None
    model: str
    provider: str
    usage: UsageOut
    cost_usd: float
    ttft_ms: float
    total_ms: float


@dataclass(frozen=True, slots=True)
class Answered:
    """A visitor's turn, after its last event: held in memory, for who goes on from it."""

    feature: str
    question: str  # as it was understood
    history: tuple[tuple[str, str], ...]  # earlier questions and answers
    answer: Answer
    retracted: int  # sentences that were held back or taken back


class Evidence(Seen):
    """A row of the matrix that bears on a requirement.

    `row` is one row in all (Skill.row). Of a workbook with several sheets, people look for `sheet` and `sheet_row`.
    """

    skill: str
    row: int
    level: float
    relation: Literal["exact", "alias", "adjacent"]
    sheet: str = ""
    sheet_row: int = 0

    @property
    def place(self) -> str:
        """Where the owner finds it: "row 14", "Tools, row 4"."""
        return f"{self.sheet}, row {self.sheet_row}" if self.sheet else f"row {self.row}"


class Requirement(Seen):
    """One thing that the posting asks, how much it weighs there, and how the matrix answers."""

    event: ClassVar[str] = "requirement"
    id: str
    text: str
    quote: str  # stands in the posting word for word
    kind: Literal["must", "preferred", "responsibility"]
    emphasis: float = Field(ge=0, le=1)  # of all requirements together: 1
    emphasis_from: Literal["stated", "structural", "estimated"]
    band: Band
    evidence: tuple[Evidence, ...] = ()
    reason: str = ""


class Misfit(Seen):
    text: str
    requirement_ids: tuple[str, ...] = ()


class Gate(Seen):
    """A degree, visa, clearance, place or language that is asked: unknown unless the matrix states it."""

    text: str
    status: Literal["met", "unmet", "unknown"] = "unknown"


class Disagreement(Seen):
    requirement: str
    model_band: Band
    rows_band: Band


class Summary(Seen):
    event: ClassVar[str] = "summary"
    headline: str
    verdict: Verdict | None = None
    misfits: tuple[Misfit, ...] = ()


class Assessment(Seen):
    """What `askfit fit --json` prints and what `done` carries on /fit-check."""

    event: ClassVar[str] = "done"
    id: str
    schema_version: Literal[1] = 1
    verdict: Verdict
    score: int = Field(ge=0, le=100)
    headline: str
    why: str
    requirements: tuple[Requirement, ...]
    strengths: tuple[str, ...]
    moderates: tuple[str, ...]
    gaps: tuple[str, ...]
    misfits: tuple[Misfit, ...]
    gates: tuple[Gate, ...]
    questions_to_ask: tuple[str, ...]
    disagreements: tuple[Disagreement, ...]
    notices: tuple[Notice, ...]
    model: str
    provider: str
    matrix_sha: str
    posting_sha: str
    usage: UsageOut
    cost_usd: float
    ttft_ms: float
    total_ms: float
    seal: str = ""  # over HTTP: the proof that it was judged here, for its report and its link


class Part(Seen):
    """One field of a filled form as people read it. Of a row `label` is its place, of a page `url` its address."""

    kind: Literal["text", "grade", "row", "page", "quote"]
    text: str
    label: str = ""
    url: str = ""


class Block(Seen):
    """A field of a form with all that stands in it: one item of a text, one for each of a list's."""

    title: str
    items: tuple[tuple[Part, ...], ...]


class Filled(Seen):
    """What `askfit run` prints of a feature with a form of its own, and what `done` carries there.

    `output` is the owner's form; its rows exist, its quotes stand where they say. `left_out` tells what did not.
    """

    event: ClassVar[str] = "done"
    id: str
    schema_version: Literal[1] = 1
    output: dict[str, Any]
    shown: tuple[Block, ...]
    left_out: tuple[str, ...]
    notices: tuple[Notice, ...]
    model: str
    provider: str
    form_sha: str
    matrix_sha: str
    corpus_sha: str
    posting_sha: str
    usage: UsageOut
    cost_usd: float
    ttft_ms: float
    total_ms: float


Event = Start | Delta | Citation | Retract | Notice | AskDone | Failed | Requirement | Summary | Assessment | Filled
