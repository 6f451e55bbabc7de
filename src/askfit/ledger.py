"""One row per call: tokens, cache, cost, latency, outcome. Knows what was spent, not what may be.

Costs are integer nano-dollars (1 USD = 10⁹), so that sums are exact on every database. Times are UTC milliseconds; a
call belongs to the day on which it was begun.
"""

from __future__ import annotations

import math
import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any, Literal

from askfit.store import Store
from askfit.types import FinishReason, Usage

if TYPE_CHECKING:
    from sqlalchemy import Connection

DAY_MS = 86_400_000
MINUTE_MS = 60_000
MONTH_DAYS = 30.44  # the mean
LOST_AFTER_MS = 15 * 60_000  # no call runs so long: its process has died
BATCH_LOST_AFTER_MS = 2 * DAY_MS  # a batch ends within a day; its owner has another to collect it
NOTE_CHARS = 2_000
HOUR_MS = 3_600_000
AGAIN_WITHIN_MS = 10 * 60_000  # who asks the same later may have forgotten the answer
QUESTION_CHARS = 500
# What people type that names them: addresses, accounts, telephone numbers.
IDENTITY = re.compile(r"\S+@\S+|https?://\S+|\bwww\.\S+|(?<!\w)@\w+|(?<!\w)[+(]{0,2}\d(?:[\s()/.-]{0,2}\d){6,}")

SCHEMA = (
    """CREATE TABLE calls (
    id VARCHAR(40) PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    state VARCHAR(10) NOT NULL,
    answer VARCHAR(80) NOT NULL,
    feature VARCHAR(80) NOT NULL,
    model VARCHAR(200) NOT NULL,
    provider VARCHAR(40) NOT NULL,
    fell_back_from VARCHAR(200) NOT NULL,
    prompt_sha VARCHAR(80) NOT NULL,
    visitor VARCHAR(80) NOT NULL,
    outcome VARCHAR(80) NOT NULL DEFAULT '',
    finish_reason VARCHAR(20) NOT NULL DEFAULT '',
    input_tokens BIGINT NOT NULL DEFAULT 0,
    output_tokens BIGINT NOT NULL DEFAULT 0,
    cache_read_tokens BIGINT NOT NULL DEFAULT 0,
    cache_write_tokens BIGINT NOT NULL DEFAULT 0,
    cache_write_1h_tokens BIGINT NOT NULL DEFAULT 0,
    estimated BOOLEAN NOT NULL DEFAULT FALSE,
    reserved_nanos BIGINT NOT NULL DEFAULT 0,
    cost_nanos BIGINT NOT NULL DEFAULT 0,
    ttft_ms DOUBLE PRECISION NOT NULL DEFAULT 0,
    total_ms DOUBLE PRECISION NOT NULL DEFAULT 0
);
CREATE INDEX calls_spent ON calls (at_ms, state, reserved_nanos, cost_nanos);
CREATE INDEX calls_answer ON calls (answer);
CREATE TABLE feedback (
    answer VARCHAR(80) NOT NULL,
    visitor VARCHAR(80) NOT NULL,
    at_ms BIGINT NOT NULL,
    rating VARCHAR(20) NOT NULL,
    reason VARCHAR(40) NOT NULL,
    note TEXT NOT NULL
);
CREATE INDEX feedback_answer ON feedback (answer, visitor);
CREATE TABLE meta (name VARCHAR(40) PRIMARY KEY, value TEXT NOT NULL)""",
    # No visitor here. `answer`, by which one could be found, is held for a day, in case the answer is rated.
    """CREATE TABLE questions (
    id VARCHAR(40) PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    feature VARCHAR(80) NOT NULL,
    question TEXT NOT NULL,
    why VARCHAR(20) NOT NULL,
    reason VARCHAR(40) NOT NULL,
    answer VARCHAR(80) NOT NULL
);
CREATE INDEX questions_answer ON questions (answer)""",
    # The sums of `calls` by day, kept with every row that is written, so that a reservation reads 31 rows at most; and
    # what an answer tells of its model (Signals), NULL where that is not known.
    """CREATE TABLE charged (day_ms BIGINT PRIMARY KEY, nanos BIGINT NOT NULL);
INSERT INTO charged (day_ms, nanos) SELECT at_ms / 86400000 * 86400000 AS day_ms,
    SUM(CASE WHEN state = 'reserved' THEN reserved_nanos ELSE cost_nanos END)
    FROM calls GROUP BY at_ms / 86400000 * 86400000;
ALTER TABLE calls ADD COLUMN over_length BOOLEAN;
ALTER TABLE calls ADD COLUMN retracted BIGINT;
ALTER TABLE calls ADD COLUMN abstain_reason VARCHAR(40);
ALTER TABLE calls ADD COLUMN despite_hit BOOLEAN;
ALTER TABLE calls ADD COLUMN repairs BIGINT""",
    # Sent in a batch, at its price, and answered within a day rather than at once.
    "ALTER TABLE calls ADD COLUMN batch BOOLEAN NOT NULL DEFAULT FALSE",
    # What live signals watch besides, NULL where that is not known.
    """ALTER TABLE calls ADD COLUMN asked_again BOOLEAN;
ALTER TABLE calls ADD COLUMN coverage DOUBLE PRECISION;
ALTER TABLE calls ADD COLUMN contested BIGINT;
ALTER TABLE calls ADD COLUMN requirements BIGINT""",
    # What a judge concluded by itself: what is shown may differ.
    "ALTER TABLE calls ADD COLUMN own_verdict VARCHAR(40)",
)

SPENT = """SELECT COALESCE(SUM(CASE WHEN day_ms >= :day THEN nanos ELSE 0 END), 0) AS day,
    COALESCE(SUM(nanos), 0) AS month
FROM charged WHERE day_ms >= :month"""

CHARGE = """INSERT INTO charged (day_ms, nanos) VALUES (:day_ms, :nanos)
ON CONFLICT (day_ms) DO UPDATE SET nanos = charged.nanos + excluded.nanos"""

# The month's sums anew from its rows: until a call is settled it counts all that it may come to. A server of an older
# version that still writes beside this one knows no sums. The first statement only locks: a row that PostgreSQL
# settles meanwhile is then either in the second one's sum, or added to it afterwards.
SUM_ANEW = (
    "UPDATE charged SET nanos = nanos WHERE day_ms >= :month",
    """INSERT INTO charged (day_ms, nanos) SELECT at_ms / 86400000 * 86400000,
    SUM(CASE WHEN state = 'reserved' THEN reserved_nanos ELSE cost_nanos END)
FROM calls WHERE at_ms >= :month GROUP BY at_ms / 86400000 * 86400000
ON CONFLICT (day_ms) DO UPDATE SET nanos = excluded.nanos""",
)

GROUPS = """SELECT feature, model, COUNT(*) AS calls,
    SUM(CASE WHEN outcome IN ('ok', 'cancelled') THEN 0 ELSE 1 END) AS failed,
    SUM(CASE WHEN outcome = 'cancelled' THEN 1 ELSE 0 END) AS cancelled,
    SUM(input_tokens) AS input_tokens, SUM(output_tokens) AS output_tokens,
    SUM(cache_read_tokens) AS cache_read_tokens, SUM(cache_write_tokens) AS cache_write_tokens,
    SUM(cost_nanos) AS cost_nanos
FROM calls WHERE at_ms >= :since AND state = 'settled' GROUP BY feature, model"""

FIRST_TEXTS = """SELECT feature, model, ttft_ms FROM calls
WHERE at_ms >= :since AND state = 'settled' AND ttft_ms > 0 ORDER BY feature, model, ttft_ms"""

# Calls that lie on the same side of every edge, summed. `stood_in`: the built-in answered where a model should have.
CELLS = """SELECT day_ms, feature, model, outcome, stood_in, batch, COUNT(*) AS calls,
    SUM(CASE WHEN estimated THEN 1 ELSE 0 END) AS estimated, MIN(input_tokens) AS least_input_tokens,
    MIN(cache_read_tokens + cache_write_tokens) AS least_cached_tokens,
    SUM(input_tokens) AS input_tokens, SUM(output_tokens) AS output_tokens,
    SUM(cache_read_tokens) AS cache_read_tokens, SUM(cache_write_tokens) AS cache_write_tokens,
    SUM(cache_write_1h_tokens) AS cache_write_1h_tokens, SUM(cost_nanos) AS cost_nanos
FROM (SELECT calls.*, at_ms / 86400000 * 86400000 AS day_ms, {side} AS side,
    CASE WHEN provider = 'builtin' AND fell_back_from <> '' THEN 1 ELSE 0 END AS stood_in
    FROM calls WHERE at_ms >= :since AND state = 'settled') AS sided
GROUP BY day_ms, feature, model, outcome, stood_in, batch, side
ORDER BY day_ms, feature, model, outcome, batch, side"""

# Of a feature's calls of a day: what those that were sent ahead to one model come to, how many turns these are, and of
# how many that any model was asked. A model that was only fallen back to is told by `fell_back_from`.
AHEAD = """SELECT
    COALESCE(SUM(CASE WHEN sent = 1 THEN CASE WHEN state = 'reserved' THEN reserved_nanos ELSE cost_nanos END END), 0)
    AS nanos, COUNT(DISTINCT CASE WHEN sent = 1 THEN answer END) AS taken, COUNT(DISTINCT answer) AS turns
FROM (SELECT calls.*, CASE WHEN model = :model AND fell_back_from = '' THEN 1 ELSE 0 END AS sent FROM calls
    WHERE feature = :feature AND at_ms >= :day AND provider <> 'builtin') AS marked"""

# One question may have taken several calls: it came once. The latest first.
ARRIVALS = """SELECT MIN(at_ms) AS came_ms, MAX(visitor) FROM calls WHERE feature = :feature AND at_ms >= :since
GROUP BY answer ORDER BY came_ms DESC LIMIT :most"""

# Rated, a question stands for itself: what tied it to its answer goes.
THUMBED_DOWN = """UPDATE questions SET why = 'thumbed_down', reason = :reason, answer = ''
WHERE answer = :answer AND why = 'answered'"""

# Has this visitor asked this feature anything in the minutes before? Times are those at which calls began.
CAME_BEFORE = """SELECT 1 FROM calls AS gave JOIN calls AS earlier ON earlier.visitor = gave.visitor
    AND earlier.feature = gave.feature AND earlier.answer <> gave.answer
    AND earlier.at_ms BETWEEN gave.at_ms - :within AND gave.at_ms
WHERE gave.answer = :answer AND gave.visitor <> '' LIMIT 1"""

# The latest answers that models gave, whole or stopped by who was reading them.
TOLD = """SELECT at_ms, answer, model, visitor, outcome, over_length, retracted, despite_hit, repairs,
    abstain_reason, asked_again, coverage, contested, requirements, own_verdict
FROM calls WHERE feature = :feature AND at_ms >= :since AND state = 'settled' AND provider <> 'builtin'
    AND (outcome = 'ok' OR (outcome = 'cancelled' AND ttft_ms > 0))
ORDER BY at_ms DESC, id LIMIT :most"""
TOO_WHAT = """SELECT answer, reason FROM feedback
WHERE at_ms >= :since AND rating = 'down' AND reason IN ('too_shallow', 'too_much')"""

UNANSWERED = """SELECT at_ms, feature, question, why, reason FROM questions WHERE why <> 'answered'
ORDER BY at_ms DESC, question, id LIMIT :most"""

ERASE = (
    "UPDATE calls SET visitor = '' WHERE at_ms < :before AND visitor <> ''",
    "UPDATE feedback SET visitor = '', note = '' WHERE at_ms < :before AND (visitor <> '' OR note <> '')",
    "DELETE FROM questions WHERE at_ms < :before",
)
# A question that is not tied to its answer, and so to nobody, stays.
ERASE_VISITOR = {
    "questions": """DELETE FROM questions WHERE answer <> ''
    AND (answer = :answer OR answer IN (SELECT answer FROM calls WHERE visitor = :visitor))""",
    "feedback": """UPDATE feedback SET visitor = '', note = '' WHERE (visitor <> '' OR note <> '')
    AND (visitor = :visitor OR answer = :answer OR answer IN (SELECT answer FROM calls WHERE visitor = :visitor))""",
    "calls": "UPDATE calls SET visitor = '' WHERE visitor = :visitor",
}
VISITOR_OF = """SELECT visitor FROM (SELECT answer, visitor FROM calls UNION ALL SELECT answer, visitor FROM feedback)
AS known WHERE answer = :answer AND visitor <> '' LIMIT 1"""
PURGE = (
    *ERASE,
    "DELETE FROM questions WHERE why = 'answered' AND at_ms < :unrated",
    """UPDATE calls SET state = 'settled', outcome = 'lost', finish_reason = 'error', cost_nanos = reserved_nanos,
    estimated = :yes WHERE state = 'reserved' AND at_ms < CASE WHEN batch THEN :batch_lost ELSE :lost END""",
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is known of a call before it is made."""

    id: str
    answer: str
    feature: str
    model: str
    provider: str
    prompt_sha: str
    visitor: str
    fell_back_from: str = ""
    batch: bool = False  # sent with others, for an answer within a day


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known of a call after it."""

    outcome: str  # ok | cancelled | the error's code
    finish_reason: FinishReason
    usage: Usage
    cost_nanos: int
    ttft_ms: float  # 0 where no text came
    total_ms: float


@dataclass(frozen=True, slots=True)
class Signals:
    """What a whole answer tells of the model that gave it; None where that is not known.

    A stream that its visitor stopped needs no field: its outcome is `cancelled`, its `ttft_ms` over 0.
    """

    over_length: bool | None = None  # it ran past the length that its question asks for
    retracted: int | None = None  # sentences that were held back or taken back
    abstain_reason: str | None = None  # "" where it was answered
    despite_hit: bool | None = None  # it abstained, although the built-in finds an answer on the site
    repairs: int | None = None  # requirements that the judge left to the rules
    asked_again: bool | None = None  # it was asked for nearly the same as an answer of minutes before
    coverage: float | None = None  # share of the passages found for its question that bear a sentence of it
    contested: int | None = None  # requirements whose band the rows do not bear as the judge gave it
    requirements: int | None = None  # of the posting
    own_verdict: str | None = None  # that the judge gave, before the audit


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of one answer of a model and of what its visitor made of it; None where that is not known."""

    at_ms: int
    answer: str
    model: str
    visitor: str  # "" once forgotten
    stopped: bool  # by who was reading it
    signals: Signals
    rated: frozenset[str]  # too_shallow, too_much


@dataclass(frozen=True, slots=True)
class Erased:
    """How many rows no longer tell of a visitor."""

    calls: int
    feedback: int
    questions: int
    links: int = 0  # to assessments that they shared


@dataclass(frozen=True, slots=True)
class Caps:
    """The most that the calls of one day and of one month may come to."""

    day_nanos: int
    month_nanos: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that one feature's first calls to one model may be in a day, besides what all calls may come to."""

    day_nanos: int
    most_share: float = 1.0  # of the turns for which a model was asked; one turn more is let through


@dataclass(frozen=True, slots=True)
class UsageRow:
    """The calls of one feature on one model since a time."""

    feature: str
    model: str
    calls: int
    failed: int
    cancelled: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cost_nanos: int
    month_nanos: int  # a month at this pace
    ttft_p50_ms: float
    ttft_p95_ms: float


@dataclass(frozen=True, slots=True)
class Edges:
    """Sizes of calls at which prices or caching change, in tokens as each model counted them."""

    input_over: tuple[int, ...] = ()  # a longer prompt is dearer
    cached_from: tuple[int, ...] = ()  # a shorter cached part would not have been cached


@dataclass(frozen=True, slots=True)
class Cell:
    """The settled calls of one day, feature, model and outcome that lie on the same side of every edge: their sums."""

    day_ms: int  # when the day began, UTC
    feature: str
    model: str
    outcome: str
    stood_in: bool  # the built-in in place of a model: it failed, rested, or the budget was spent
    calls: int
    estimated: int  # of them, those whose provider did not tell the counts
    least_input_tokens: int  # of one call
    least_cached_tokens: int  # of one call: read and written
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cache_write_1h_tokens: int
    cost_nanos: int
    batch: bool  # at the price of calls that nobody waits for


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A question that the site did not answer, or not well enough for who asked."""

    at_ms: int  # to the hour
    feature: str
    question: str
    why: Literal["unanswered", "thumbed_down"]
    reason: str  # why it was not answered, or what was said of the answer; "" where nothing was


class Ledger:
    """The calls and the feedback on them."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self.store = store
        self.visitor_key = b""  # what visitors' addresses are hashed with
        self._clock = clock

    async def open(self) -> None:
        """Bring the tables forward; read the visitors' key, which the first server draws for all."""
        await self.store.migrate("ledger", SCHEMA)
        self.visitor_key = bytes.fromhex(await self.store.run(_visitor_key, alone=True))

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)

    # ------------------------------------------------------------ calls

    async def reserve(
        self, attempt: Attempt, nanos: int, caps: Caps, own: Bounds | None = None
    ) -> Literal["day", "month", "own"] | None:
        """Hold `nanos` for a call; where that would pass a cap, or its own bounds, hold nothing and tell which.

        Sums and new row are one transaction that runs alone, so that servers on one store share one budget.
        """
        now_ms = self._now_ms()

        def work(connection: Connection) -> Literal["day", "month", "own"] | None:
            if own and _is_past(connection, attempt, nanos, own, now_ms):
                return "own"
            day, month = _spent(connection, now_ms)
            if month + nanos > caps.month_nanos:
                return "month"
            if day + nanos > caps.day_nanos:
                return "day"
            _insert(connection, "calls", asdict(attempt) | _reserved(now_ms, nanos))
            _charge(connection, now_ms, nanos)
            return None

        return await self.store.run(work, alone=True)

    async def settle(self, attempt: Attempt, outcome: Outcome) -> None:
        """Write the call's one row: over its reservation, or anew where nothing was reserved.

        Settling twice changes nothing.
        """
        values = _settled(outcome)
        begun_ms = self._now_ms() - round(outcome.total_ms)

        def work(connection: Connection) -> None:
            # One taken for lost is settled all the same: its machine may have slept.
            open_still = "id = :id AND (state = 'reserved' OR outcome = 'lost')"
            pairs = ", ".join(f"{name} = :{name}" for name in values)
            held = f"UPDATE calls SET {pairs} WHERE {open_still}"  # noqa: S608 - our own column names
            row = asdict(attempt) | {"at_ms": begun_ms} | values
            if _do(connection, held, values | {"id": attempt.id}).rowcount:
                known = _do(connection, "SELECT at_ms, reserved_nanos FROM calls WHERE id = :id", row).one()
                _charge(connection, int(known.at_ms), outcome.cost_nanos - int(known.reserved_nanos))
            elif _insert(connection, "calls", row, "ON CONFLICT DO NOTHING"):
                _charge(connection, begun_ms, outcome.cost_nanos)

        await self.store.run(work)

    async def remark(self, answer: str, signals: Signals) -> None:
        """Write what an answer tells beside the call that gave it; what is None stays as it is.

        It was asked again only if the same visitor had asked within AGAIN_WITHIN_MS: no question is kept to tell by.
        """
        told = {name: value for name, value in asdict(signals).items() if value is not None}
        pairs = ", ".join(f"{name} = :{name}" for name in told)
        written = f"UPDATE calls SET {pairs} WHERE answer = :answer AND outcome = 'ok'"  # noqa: S608 - our own names
        near = {"answer": answer, "within": AGAIN_WITHIN_MS}

        def work(connection: Connection) -> None:
            if told.get("asked_again"):
                told["asked_again"] = _do(connection, CAME_BEFORE, near).first() is not None
            _do(connection, written, told | {"answer": answer})

        if told:
            await self.store.run(work)

    async def answers(self, feature: str, since_ms: int = 0, most: int = 5_000) -> tuple[Told, ...]:
        """The latest answers that models gave for a feature, with what they tell; oldest first."""
        values = {"feature": feature, "since": since_ms, "most": most}

        def work(connection: Connection) -> tuple[Sequence[Any], Sequence[Any]]:
            return _do(connection, TOLD, values).mappings().all(), _do(connection, TOO_WHAT, values).all()

        rows, ratings = await self.store.read(work)
        rated: dict[str, set[str]] = {}
        for answer, reason in ratings:
            rated.setdefault(str(answer), set()).add(str(reason))
        # An answer that was repaired took two calls: it is told once, by the first.
        answers = {row["answer"]: _told(row, rated.get(row["answer"], set())) for row in rows}
        return tuple(reversed(answers.values()))

    async def spent(self) -> Caps:
        """What today's and this month's calls come to, reservations included."""
        now_ms = self._now_ms()
        return Caps(*await self.store.read(lambda connection: _spent(connection, now_ms)))

    async def usage(self, since_ms: int = 0) -> tuple[UsageRow, ...]:
        """Settled calls since a time, by feature and model, dearest first."""
        since = {"since": since_ms}

        def work(connection: Connection) -> tuple[Sequence[Any], Sequence[Any], int | None]:
            first = "SELECT MIN(at_ms) FROM calls WHERE at_ms >= :since"
            return (
                _do(connection, GROUPS, since).mappings().all(),
                _do(connection, FIRST_TEXTS, since).all(),
                _do(connection, first, since).scalar(),
            )

        groups, first_texts, first_ms = await self.store.read(work)
        days = max(1.0, (self._now_ms() - (first_ms or 0)) / DAY_MS)
        waits = {key: [row[2] for row in rows] for key, rows in groupby(first_texts, lambda row: (row[0], row[1]))}
        rows = [_usage_row(group, waits.get((group["feature"], group["model"]), []), days) for group in groups]
        return tuple(sorted(rows, key=lambda row: (-row.cost_nanos, row.feature, row.model)))

    async def cells(self, since_ms: int, edges: Edges = Edges()) -> tuple[tuple[Cell, ...], int]:
        """(settled calls since a time, summed by day, feature, model, outcome and size; when the first call ever was).

        The time is 0 where there was none.
        """
        statement = CELLS.format(side=_side(edges))

        def work(connection: Connection) -> tuple[Sequence[Any], int | None]:
            first = _do(connection, "SELECT MIN(at_ms) FROM calls", {}).scalar()
            return _do(connection, statement, {"since": since_ms}).mappings().all(), first

        rows, first_ms = await self.store.read(work)
        return tuple(_cell(row) for row in rows), int(first_ms or 0)

    async def gaps_min(self, feature: str, since_ms: int, most: int = 2_000) -> tuple[float, ...]:
        """Minutes between one question of a feature and the next, whoever asked, of the latest since a time."""
        came = await self.arrivals(feature, since_ms, most)
        return tuple((after - before) / MINUTE_MS for (before, _), (after, _) in pairwise(came))

    async def arrivals(self, feature: str, since_ms: int, most: int = 2_000) -> tuple[tuple[int, str], ...]:
        """When each of a feature's latest questions came, and the visitor's id, "" once forgotten; oldest first."""
        values = {"feature": feature, "since": since_ms, "most": most}
        rows = await self.store.read(lambda connection: _do(connection, ARRIVALS, values).all())
        return tuple(sorted((int(row[0]), str(row[1])) for row in rows))

    # ------------------------------------------------------------ visitors

    async def feedback(self, answer: str, rating: str, reason: str = "", note: str = "", visitor: str = "") -> bool:
        """Keep what a visitor says of an answer, in place of what they said before; false where no such answer is."""
        values = {"answer": answer, "visitor": visitor, "rating": rating, "reason": reason, "note": note[:NOTE_CHARS]}

        def work(connection: Connection) -> bool:
            if _do(connection, "SELECT 1 FROM calls WHERE answer = :answer LIMIT 1", values).first() is None:
                return False
            _do(connection, "DELETE FROM feedback WHERE answer = :answer AND visitor = :visitor", values)
            _insert(connection, "feedback", values | {"at_ms": self._now_ms()})
            if rating == "down":
                _do(connection, THUMBED_DOWN, values)
            return True

        return await self.store.run(work, alone=True)

    async def keep_question(self, question: str, *, feature: str, answer: str, reason: str | None) -> None:
        """Keep what was asked, without who asked and without what would name them. `reason`: why it was not answered.

        An answered question (None) waits for a day whether its answer is rated; then it is forgotten.
        """
        kept = " ".join(IDENTITY.sub("[…]", question).split())[:QUESTION_CHARS]
        values = {
            "id": secrets.token_hex(12),
            "at_ms": self._now_ms() // HOUR_MS * HOUR_MS,
            "feature": feature,
            "question": kept,
            "why": "answered" if reason is None else "unanswered",
            "reason": reason or "",
            "answer": answer if reason is None else "",
        }
        await self.store.run(lambda connection: _insert(connection, "questions", values))

    async def unanswered(self, most: int = 5_000) -> tuple[Unanswered, ...]:
        """The newest questions that were not answered, or whose answer was thumbed down, newest first."""
        rows = await self.store.read(lambda connection: _do(connection, UNANSWERED, {"most": most}).all())
        return tuple(Unanswered(int(row[0]), *row[1:]) for row in rows)

    async def purge(self, keep_days: int) -> None:
        """Forget visitors' ids, notes and questions past their days; close what a dead process left open; sum anew.

        A lost call keeps its whole reservation as its cost: the provider may have charged that, and a bound errs high.
        """
        now_ms = self._now_ms()
        before = now_ms - keep_days * DAY_MS
        values = {"before": before, "unrated": now_ms - DAY_MS, "yes": True}
        values |= {"lost": now_ms - LOST_AFTER_MS, "batch_lost": now_ms - BATCH_LOST_AFTER_MS}

        def work(connection: Connection) -> None:
            for statement in PURGE:
                _do(connection, statement, values)
            for statement in SUM_ANEW:
                _do(connection, statement, _begun(now_ms))

        await self.store.run(work, alone=True)

    async def erase(self, before_ms: int) -> int:
        """Forget what is kept of visitors from before a time: ids, notes, questions. The number of rows changed."""

        def work(connection: Connection) -> int:
            return sum(_do(connection, statement, {"before": before_ms}).rowcount for statement in ERASE)

        return await self.store.run(work)

    async def erase_visitor(self, *, visitor: str = "", answer: str = "") -> Erased:
        """Forget one visitor, by their id here or by the id of an answer that they got or rated.

        Ids and notes go, and questions that still lead to them by an answer. What was spent stays.
        """

        def work(connection: Connection) -> Erased:
            whose = visitor or _do(connection, VISITOR_OF, {"answer": answer}).scalar()
            # "-" is nobody's id: rows without a visitor are not this one's.
            values = {"visitor": whose or "-", "answer": answer or "-"}
            return Erased(**{what: _do(connection, how, values).rowcount for what, how in ERASE_VISITOR.items()})

        return await self.store.run(work)


def _do(connection: Connection, statement: str, values: dict[str, Any]) -> Any:
    from sqlalchemy import text

    return connection.execute(text(statement), values)


def _insert(connection: Connection, table: str, values: dict[str, Any], ending: str = "") -> int:
    names, slots = ", ".join(values), ", ".join(f":{name}" for name in values)
    statement = f"INSERT INTO {table} ({names}) VALUES ({slots}) {ending}"  # noqa: S608 - our own names
    return int(_do(connection, statement, values).rowcount)


def _reserved(now_ms: int, nanos: int) -> dict[str, Any]:
    return {"at_ms": now_ms, "state": "reserved", "reserved_nanos": nanos}


def _settled(outcome: Outcome) -> dict[str, Any]:
    values = asdict(outcome) | asdict(outcome.usage) | {"state": "settled"}
    del values["usage"]
    return values


def _begun(now_ms: int) -> dict[str, int]:
    """When this day and this month began, UTC."""
    day_ms = now_ms // DAY_MS * DAY_MS
    return {"day": day_ms, "month": day_ms - (datetime.fromtimestamp(day_ms / 1000, UTC).day - 1) * DAY_MS}


def _spent(connection: Connection, now_ms: int) -> tuple[int, int]:
    """(today, this month): settled costs and outstanding reservations."""
    row = _do(connection, SPENT, _begun(now_ms)).one()
    return int(row.day), int(row.month)


def _is_past(connection: Connection, attempt: Attempt, nanos: int, own: Bounds, now_ms: int) -> bool:
    """Would one more call of this feature, first sent to this model, pass the day's bounds on them?"""
    values = {"feature": attempt.feature, "model": attempt.model, "day": _begun(now_ms)["day"]}
    row = _do(connection, AHEAD, values).one()
    return int(row.nanos) + nanos > own.day_nanos or int(row.taken) > own.most_share * int(row.turns)


def _charge(connection: Connection, at_ms: int, nanos: int) -> None:
    """Count `nanos`, which may be negative, to the day on which a call was begun."""
    if nanos:
        _do(connection, CHARGE, {"day_ms": at_ms // DAY_MS * DAY_MS, "nanos": nanos})


def _visitor_key(connection: Connection) -> str:
    fresh = {"name": "visitor_key", "value": secrets.token_hex(32)}
    _insert(connection, "meta", fresh, "ON CONFLICT DO NOTHING")
    return str(_do(connection, "SELECT value FROM meta WHERE name = :name", fresh).scalar_one())


def _side(edges: Edges) -> str:
    """SQL for a number that two calls share if they lie on the same side of every edge."""
    cached = "cache_read_tokens + cache_write_tokens"
    over = [f"CASE WHEN input_tokens > {int(edge)} THEN 1 ELSE 0 END" for edge in sorted(set(edges.input_over))]
    least = [f"CASE WHEN {cached} >= {int(edge)} THEN 1 ELSE 0 END" for edge in sorted({1, *edges.cached_from})]
    return f"({' + '.join(over) or '0'}) * {len(least) + 1} + {' + '.join(least)}"


def _cell(row: Any) -> Cell:
    counts: dict[str, Any] = {name: value if isinstance(value, str) else int(value) for name, value in row.items()}
    return Cell(**counts | {name: bool(counts[name]) for name in ("stood_in", "batch")})


FLAGS = ("over_length", "despite_hit", "asked_again")  # SQLite has them as 0 and 1
COUNTS = ("retracted", "repairs", "coverage", "contested", "requirements", "abstain_reason", "own_verdict")


def _told(row: Any, rated: set[str]) -> Told:
    known: dict[str, Any] = {name: row[name] for name in COUNTS}
    known |= {name: None if row[name] is None else bool(row[name]) for name in FLAGS}
    return Told(
        at_ms=int(row["at_ms"]),
        answer=str(row["answer"]),
        model=str(row["model"]),
        visitor=str(row["visitor"]),
        stopped=row["outcome"] == "cancelled",
        signals=Signals(**known),
        rated=frozenset(rated),
    )


def _usage_row(group: Any, waits: list[float], days: float) -> UsageRow:
    """`waits` are sorted."""
    counts: dict[str, Any] = {name: value if isinstance(value, str) else int(value) for name, value in group.items()}
    return UsageRow(
        **counts,
        month_nanos=round(counts["cost_nanos"] * MONTH_DAYS / days),
        ttft_p50_ms=_rank(waits, 0.5),
        ttft_p95_ms=_rank(waits, 0.95),
    )


def _rank(values: list[float], share: float) -> float:
    """The nearest-rank percentile of sorted values."""
    return values[max(0, math.ceil(len(values) * share) - 1)] if values else 0.0
