"""Assessments that a visitor has shared by a link: kept until they expire, then gone. Knows no pages and no judging.

A link's id is drawn at random and only its hash is kept: who reads the database can open no link.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from askfit.store import Store
from askfit.types import Assessment

if TYPE_CHECKING:
    from sqlalchemy import Connection

DAY_MS = 86_400_000
MOST_PER_VISITOR = 20  # links that work at one time; a further one takes the oldest one's place

SCHEMA = (
    """CREATE TABLE shares (
    id_hash VARCHAR(64) PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    judged_ms BIGINT NOT NULL,
    feature VARCHAR(80) NOT NULL,
    answer VARCHAR(80) NOT NULL,
    visitor VARCHAR(80) NOT NULL,
    assessment TEXT NOT NULL
);
CREATE INDEX shares_expires ON shares (expires_ms);
CREATE INDEX shares_visitor ON shares (visitor)""",
)

# The owner may have shortened the days since: what is older than they allow now has expired too.
EXPIRED = "DELETE FROM shares WHERE expires_ms <= :now OR (feature = :feature AND at_ms + :days_ms <= :now)"
FIND = """SELECT assessment, judged_ms, expires_ms, at_ms FROM shares
WHERE id_hash = :id_hash AND feature = :feature AND expires_ms > :now AND at_ms + :days_ms > :now"""
INSERT = """INSERT INTO shares (id_hash, at_ms, expires_ms, judged_ms, feature, answer, visitor, assessment)
VALUES (:id_hash, :now, :expires_ms, :judged_ms, :feature, :answer, :visitor, :assessment)"""
OLDEST = """DELETE FROM shares WHERE visitor = :visitor AND id_hash NOT IN (
    SELECT id_hash FROM shares WHERE visitor = :visitor ORDER BY at_ms DESC, id_hash LIMIT :most)"""
OF_VISITOR = """visitor = :visitor OR answer = :answer OR answer IN (SELECT answer FROM calls WHERE visitor = :visitor)
    OR visitor IN (SELECT visitor FROM calls WHERE answer = :answer AND visitor <> '')"""


@dataclass(frozen=True, slots=True)
class Shared:
    """An assessment as it was shared: its JSON, when it was judged, until when its link works."""

    assessment: str
    judged_ms: int
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Link:
    """A link that was made: what its address ends in, and until when it works."""

    id: str
    expires_ms: int


class Shares:
    """The shared assessments of one store. `days`: by feature, how long a link works; 0 or absent: none is kept."""

    def __init__(self, store: Store, days: Mapping[str, int], clock: Callable[[], float] = time.time) -> None:
        self.days = days
        self._store = store
        self._clock = clock

    async def open(self) -> None:
        """Bring the table forward and forget what has expired."""
        await self._store.migrate("shares", SCHEMA)
        await self.purge()

    def _now(self, feature: str) -> dict[str, Any]:
        days_ms = self.days.get(feature, 0) * DAY_MS
        return {"now": int(self._clock() * 1000), "feature": feature, "days_ms": days_ms}

    async def keep(self, assessment: Assessment, feature: str, visitor: str, judged_ms: int) -> Link:
        """Keep an assessment for the days of its feature's links."""
        values = self._now(feature)
        link = Link(secrets.token_urlsafe(24), values["now"] + values["days_ms"])
        values |= {"id_hash": _hash(link.id), "expires_ms": link.expires_ms, "judged_ms": judged_ms}
        values |= {"answer": assessment.id, "visitor": visitor, "assessment": assessment.model_dump_json()}

        def work(connection: Connection) -> None:
            _do(connection, INSERT, values)
            _do(connection, OLDEST, {"visitor": visitor, "most": MOST_PER_VISITOR})

        await self._store.run(work)
        return link

    async def find(self, id_: str, feature: str) -> Shared | None:
        """What a link leads to; None where there is none, or it has expired."""
        values = self._now(feature) | {"id_hash": _hash(id_)}
        row = await self._store.read(lambda connection: _do(connection, FIND, values).first())
        if row is None:
            return None
        return Shared(
            str(row.assessment), int(row.judged_ms), min(int(row.expires_ms), int(row.at_ms) + values["days_ms"])
        )

    async def purge(self) -> None:
        """Forget what has expired: of a feature whose links are switched off, everything."""

        def work(connection: Connection) -> None:
            for row in _do(connection, "SELECT DISTINCT feature FROM shares", {}).all():
                _do(connection, EXPIRED, self._now(row.feature))

        await self._store.run(work)


async def erase_shares(store: Store, *, before_ms: int = 0, visitor: str = "", answer: str = "") -> int:
    """Remove what was shared before a time, or by one visitor: by their id, or by the id of an answer they got.

    Call it before the ledger forgets which answers were a visitor's. The number of links that no longer work.
    """
    await store.migrate("shares", SCHEMA)
    where, values = ("at_ms < :before", {"before": before_ms}) if before_ms else (
        OF_VISITOR, {"visitor": visitor or "-", "answer": answer or "-"}
    )  # fmt: skip
    erase = f"DELETE FROM shares WHERE {where}"  # noqa: S608 - our own words
    return int(await store.run(lambda connection: _do(connection, erase, values).rowcount))


def _hash(id_: str) -> str:
    return hashlib.sha256(id_.encode("utf-8", "replace")).hexdigest()


def _do(connection: Connection, statement: str, values: Any) -> Any:
    from sqlalchemy import text

    return connection.execute(text(statement), values)
