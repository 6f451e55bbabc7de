"""The same index in PostgreSQL's full-text search, so that several servers share one. Derived data, as in SQLite.

Words are folded and stemmed as FTS5 does it (Porter). PostgreSQL finds what holds them and brings the best of that by
its own rank; those are put in order by BM25, as its rank knows nothing of how telling a word is.
"""

from __future__ import annotations

import contextlib
import re
import threading
import unicodedata
from bisect import bisect
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from askfit.config import Settings
from askfit.corpus.index import (
    EXACT,
    FORMAT,
    HEADING,
    MOST_CACHED_WORDS,
    TEXT,
    TITLE,
    Entry,
    Held,
    document_row,
    parted,
    rarity,
    saturated,
    storable,
    telling,
)
from askfit.store import postgresql_engine, told
from askfit.types import Document, Section

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

LOCK_KEY = 7_235_102  # of the advisory lock of those who write: not the ledger's, which must not wait for it
MOST_SCORED = 1_000  # sections that hold the rarest words: about 10 µs each
MOST_POOL = 64  # of what was found, which BM25 puts in order: about 35 µs each
MOST_COUNTED = 2_000  # sections that hold a word; past that their number is estimated
MOST_CHARACTERS = 200_000  # of one section that are searched: PostgreSQL takes a megabyte of words at most
_GAPS = re.compile(r"[\W_]+")
# A search reads the words of a thousand rows: they are kept in the row up to 8 kB, not beside the table.
TABLES = """
CREATE TABLE corpus_format (format INTEGER NOT NULL);
CREATE TABLE corpus_documents (
    id TEXT COLLATE "C" PRIMARY KEY, sha TEXT NOT NULL, stamp TEXT NOT NULL, title TEXT NOT NULL, url TEXT NOT NULL,
    path TEXT NOT NULL, date TEXT NOT NULL, sections INTEGER NOT NULL, tokens INTEGER NOT NULL, digest TEXT NOT NULL);
CREATE TABLE corpus_sections (
    row BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id TEXT COLLATE "C" NOT NULL,
    document TEXT COLLATE "C" NOT NULL, place INTEGER NOT NULL, title TEXT NOT NULL, heading TEXT NOT NULL,
    text TEXT NOT NULL, url TEXT NOT NULL, tokens INTEGER NOT NULL, words TSVECTOR NOT NULL)
    WITH (toast_tuple_target = 8160);
CREATE INDEX corpus_sections_by_id ON corpus_sections USING hash (id);
CREATE INDEX corpus_sections_by_place ON corpus_sections (document, place);
CREATE TEXT SEARCH DICTIONARY corpus_stems (TEMPLATE = snowball, LANGUAGE = porter);
CREATE TEXT SEARCH CONFIGURATION corpus_words (COPY = pg_catalog.simple);
ALTER TEXT SEARCH CONFIGURATION corpus_words ALTER MAPPING FOR asciiword, word, numword WITH corpus_stems
"""
DROPPED = """
DROP TABLE IF EXISTS corpus_format, corpus_documents, corpus_sections;
DROP TEXT SEARCH CONFIGURATION IF EXISTS corpus_words;
DROP TEXT SEARCH DICTIONARY IF EXISTS corpus_stems
"""
# Made once the first documents are in: many times quicker than row by row. No pending list: it slows every search.
SEARCHABLE = """
CREATE INDEX IF NOT EXISTS corpus_sections_by_words ON corpus_sections USING gin (words) WITH (fastupdate = off)
"""
COMING = """
CREATE TEMPORARY TABLE coming (id TEXT, document TEXT, place INTEGER, title TEXT, heading TEXT, text TEXT, url TEXT,
    tokens INTEGER, a TEXT, b TEXT, d TEXT) ON COMMIT DROP
"""
COPIED = "COPY coming FROM STDIN"
ARRIVED = """
INSERT INTO corpus_sections (id, document, place, title, heading, text, url, tokens, words)
SELECT id, document, place, title, heading, text, url, tokens,
    setweight(to_tsvector('corpus_words', a), 'A') || setweight(to_tsvector('corpus_words', b), 'B')
    || to_tsvector('corpus_words', d)
FROM coming
"""
ADD_DOCUMENT = "INSERT INTO corpus_documents VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
DOCUMENTS = "SELECT id, title, url, path, sha, date FROM corpus_documents WHERE id = ANY(%s)"
ALL = "SELECT id, document, title, heading, text, url, tokens FROM corpus_sections ORDER BY document, place"
OF = "SELECT id, document, title, heading, text, url, tokens FROM corpus_sections WHERE document = %s ORDER BY place"
AT = "SELECT id, document, title, heading, text, url, tokens FROM corpus_sections WHERE document = %s AND place = %s"
PICKED = """
SELECT id, document, title, heading, text, url, tokens, place FROM corpus_sections WHERE id = ANY(%s) ORDER BY row
"""
AS_QUERIES = """
SELECT word, phraseto_tsquery('corpus_words', folded)::text FROM unnest(%s::text[], %s::text[]) AS _ (word, folded)
"""
COUNTED = """
SELECT asked, (SELECT count(*) FROM (SELECT FROM corpus_sections WHERE words @@ asked::tsquery LIMIT %s) AS _)
FROM unnest(%s::text[]) AS _ (asked)
"""
ESTIMATED = "EXPLAIN (FORMAT JSON) SELECT FROM corpus_sections WHERE words @@ %s::tsquery"
RANKED = """
SELECT row FROM corpus_sections WHERE words @@ %s::tsquery
ORDER BY RANKS DESC, id LIMIT %s
"""
RANK = f"%s::float8 * ts_rank('{{{TEXT / HEADING}, {TEXT / HEADING}, {TITLE / HEADING}, 1}}', words, %s::tsquery, 1)"
MATCHING = "SELECT row FROM corpus_sections WHERE words @@ %s::tsquery LIMIT %s"
POOLED = """
SELECT id, tokens,
    ARRAY(SELECT ts_rank('{1, 1, 1, 1}', words, query) FROM unnest(%s::tsquery[]) AS _ (query)),
    ARRAY(SELECT words @@ query FROM unnest(%s::tsquery[]) AS _ (query)),
    ARRAY(SELECT words @@ query FROM unnest(%s::tsquery[]) AS _ (query))
FROM corpus_sections WHERE row = ANY(%s)
"""
# PostgreSQL's rank of a word that stands n times, at weight 1: the sum of 1/j² up to n, over its limit.
COUNTS = tuple(accumulate((1 / (n * n) / 1.64493406685 for n in range(1, 65)), initial=0.0))


class PostgresIndex:
    """The index's tables in the store's database. A small pool of connections, so that any thread may search."""

    def __init__(self, settings: Settings) -> None:
        from sqlalchemy import event

        self._lock = threading.Lock()
        self._frequencies: dict[str, int] = {}
        self._queries: dict[str, str] = {}
        self._size: tuple[int, float] | None = None
        self._engine, self._place = postgresql_engine(settings)
        self._reading = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        event.listen(self._engine, "connect", _on_connect)
        try:
            with self._writing() as connection:
                self._prepare(connection)
        except BaseException:
            self._engine.dispose()
            raise

    @contextlib.contextmanager
    def _connected(self, engine: Engine) -> Iterator[Connection]:
        from sqlalchemy.exc import DBAPIError

        try:
            with engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise told(error, self._place) from error

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Connection]:
        """One server writes at a time."""
        with self._connected(self._engine) as connection:
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (LOCK_KEY,))
            yield connection
        with self._lock:
            self._frequencies.clear()
            self._size = None

    def _prepare(self, connection: Connection) -> None:
        there = connection.exec_driver_sql("SELECT to_regclass('corpus_format')").scalar()
        if there and connection.exec_driver_sql("SELECT format FROM corpus_format").scalar() == FORMAT:
            return
        for statement in (*DROPPED.split(";\n"), *TABLES.split(";\n")):
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql("INSERT INTO corpus_format VALUES (%s)", (FORMAT,))

    def _rows(self, sql: str, *values: Any) -> list[Any]:
        """One statement is its own transaction: no other round trip."""
        with self._connected(self._reading) as connection:
            return list(connection.exec_driver_sql(sql, values).fetchall())

    def held(self) -> dict[str, Held]:
        """Every document that is there."""
        return {id: Held(sha, stamp) for id, sha, stamp in self._rows("SELECT id, sha, stamp FROM corpus_documents")}

    def put(self, documents: Sequence[tuple[Document, str]]) -> None:
        """Add or replace documents, each with its file's stamp; what another server has put meanwhile stays."""
        with self._writing() as connection:
            ids = [document.id for document, _ in documents]
            sql = "SELECT id, sha FROM corpus_documents WHERE id = ANY(%s)"
            known = dict(tuple(row) for row in connection.exec_driver_sql(sql, (ids,)))
            fresh = [(document, stamp) for document, stamp in documents if known.get(document.id) != document.sha]
            if fresh:
                _remove(connection, [document.id for document, _ in fresh])
                _add(connection, fresh)

    def stamp(self, stamps: dict[str, str]) -> None:
        """Note the files' new stamps for documents that are as they were."""
        sql = (
            "UPDATE corpus_documents SET stamp = new.stamp FROM unnest(%s::text[], %s::text[]) AS new (id, stamp) "
            "WHERE corpus_documents.id = new.id"
        )
        with self._writing() as connection:
            connection.exec_driver_sql(sql, (list(stamps), list(stamps.values())))

    def retain(self, ids: set[str]) -> None:
        """Hold exactly these documents. PostgreSQL overwrites what left when its next vacuum comes by."""
        with self._writing() as connection:
            held = connection.exec_driver_sql("SELECT id FROM corpus_documents").scalars()
            if gone := [id for id in held if id not in ids]:
                _remove(connection, gone)
            if not connection.exec_driver_sql("SELECT to_regclass('corpus_sections_by_words')").scalar():
                connection.exec_driver_sql("SET LOCAL maintenance_work_mem = '256MB'")
                connection.exec_driver_sql(SEARCHABLE)
                connection.exec_driver_sql("ANALYZE corpus_sections")

    def settle(self) -> None:
        """Nothing: several servers share one corpus here, and the last to read it decides for all."""

    def entries(self) -> list[Entry]:
        """Every document, in the order of their ids."""
        rows = self._rows("SELECT id, sections, tokens, digest FROM corpus_documents ORDER BY id")
        return [Entry(*row) for row in rows]

    def documents(self, ids: Sequence[str]) -> list[Document]:
        """Documents without their sections, in the order asked for; those that are gone are left out."""
        found = {row[0]: Document(*row) for row in self._rows(DOCUMENTS, list(ids))}
        return [found[id] for id in ids if id in found]

    def sections(self) -> Iterator[Section]:
        """Every section, in the corpus' order."""
        for row in self._rows(ALL):
            yield Section(*row)

    def of(self, document: str) -> list[Section]:
        """One document's sections, in their order."""
        return [Section(*row) for row in self._rows(OF, document)]

    def at(self, document: str, place: int) -> Section | None:
        """One section by its place in its document, from 0."""
        rows = self._rows(AT, document, place)
        return Section(*rows[0]) if rows else None

    def pick(self, ids: Sequence[str]) -> dict[str, tuple[Section, int]]:
        """Sections by their ids, each with its place in its document."""
        return {row[0]: (Section(*row[:-1]), row[-1]) for row in self._rows(PICKED, list(ids))}

    def headings(self, ending: str) -> list[str]:
        """The different headings that end so."""
        sql = "SELECT DISTINCT heading FROM corpus_sections WHERE right(heading, length(%s)) = %s"
        return [heading for (heading,) in self._rows(sql, ending, ending)]

    def search(self, query: str, limit: int) -> list[tuple[str, float]]:
        """(section id, score) of the best sections, higher is nearer; any text is a safe query."""
        queries = list(dict.fromkeys(filter(None, self._as_queries(telling(query)))))
        total, mean = self._measured()
        found = {one: count for one, count in self._counts(queries).items() if count}
        if not found:
            return []
        most = sum(found.values()) if total <= EXACT else MOST_SCORED
        rare, common = parted(list(found), found.__getitem__, most)
        weights = {one: rarity(total, found[one]) for one in (*rare, *common)}
        rows, pool = list[int](), max(MOST_POOL, limit)
        if rare:
            ranks = [value for one in rare for value in (weights[one], one)]
            sql = RANKED.replace("RANKS", " + ".join([RANK] * len(rare)))
            rows += [row for (row,) in self._rows(sql, " | ".join(rare), *ranks, pool)]
        for match in _together(common):
            matching = self._rows(MATCHING, match, pool)
            rows += [row for (row,) in matching]
            if len(matching) >= pool // 2:
                break
        return self._in_order(rows, weights, mean)[:limit]

    def _in_order(self, rows: Sequence[int], weights: dict[str, float], mean: float) -> list[tuple[str, float]]:
        """By BM25 over all the words."""
        headings, titles = ([re.sub(r"'(?= |$)", f"':{place}", one) for one in weights] for place in "AB")
        scored: list[tuple[str, float]] = []
        for id, tokens, ranks, headed, titled in self._rows(POOLED, list(weights), headings, titles, rows):
            score = 0.0
            for weight, rank, in_heading, in_title in zip(weights.values(), ranks, headed, titled, strict=True):
                count = bisect(COUNTS, rank + 1e-4) - 1
                count += (HEADING - TEXT) * in_heading + (TITLE - TEXT) * in_title
                score += weight * saturated(count, tokens / mean)
            scored.append((id, score))
        return sorted(scored, key=lambda one: (-one[1], one[0]))

    def frequency(self, word: str) -> int:
        """How many sections hold a word in any of its forms."""
        (query,) = self._as_queries([storable(word)])
        return self._counts([query])[query] if query else 0

    def _as_queries(self, terms: Sequence[str]) -> list[str]:
        """Each word in PostgreSQL's words; "" for what holds none."""
        new = [term for term in terms if term not in self._queries]
        if new:
            rows = self._rows(AS_QUERIES, new, [_folded(term) for term in new])
            with self._lock:
                if len(self._queries) >= MOST_CACHED_WORDS:
                    self._queries.clear()
                self._queries.update(map(tuple, rows))
                return [self._queries.get(term, "") for term in terms]
        return [self._queries.get(term, "") for term in terms]

    def _counts(self, queries: Sequence[str]) -> dict[str, int]:
        """How many sections hold each word: past MOST_COUNTED about how many, as PostgreSQL's statistics have it."""
        new = [query for query in queries if query not in self._frequencies]
        counted = {query: int(count) for query, count in self._rows(COUNTED, MOST_COUNTED, new)} if new else {}
        for query, count in counted.items():
            if count == MOST_COUNTED:
                counted[query] = max(count, int(self._rows(ESTIMATED, query)[0][0][0]["Plan"]["Plan Rows"]))
        with self._lock:
            if len(self._frequencies) >= MOST_CACHED_WORDS:
                self._frequencies.clear()
            self._frequencies.update(counted)
            return {query: self._frequencies.get(query, 0) for query in queries}

    def _measured(self) -> tuple[int, float]:
        """How many sections there are, and their mean length in tokens."""
        size = self._size
        if size is None:
            sql = "SELECT coalesce(sum(sections), 0), coalesce(sum(tokens), 0) FROM corpus_documents"
            total, tokens = self._rows(sql)[0]
            size = self._size = (int(total), max(float(tokens) / max(int(total), 1), 1.0))
        return size

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


def _on_connect(connection: Any, _: object) -> None:
    """Compiling a search takes longer than the search; what a crash loses is read again."""
    with connection.cursor() as cursor:
        cursor.execute("SET jit = off; SET synchronous_commit = off")
    connection.commit()


def _remove(connection: Connection, ids: Sequence[str]) -> None:
    connection.exec_driver_sql("DELETE FROM corpus_sections WHERE document = ANY(%s)", (list(ids),))
    connection.exec_driver_sql("DELETE FROM corpus_documents WHERE id = ANY(%s)", (list(ids),))


def _add(connection: Connection, documents: Sequence[tuple[Document, str]]) -> None:
    connection.exec_driver_sql(COMING)
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(COPIED) as copy:
        for document, _ in documents:
            for place, one in enumerate(document.sections):
                said = [_safe(part) for part in (one.title, one.heading, one.text, one.url)]
                folded = [_folded(part) for part in (one.heading, one.title, one.text)]
                copy.write_row((one.id, document.id, place, *said, one.tokens, *folded))
    connection.exec_driver_sql(ARRIVED)
    connection.exec_driver_sql("DROP TABLE coming")
    rows = [tuple(map(_safe, document_row(document, stamp))) for document, stamp in documents]
    connection.exec_driver_sql(ADD_DOCUMENT, rows)


def _safe(value: Any) -> Any:
    return storable(value) if isinstance(value, str) else value


def _folded(text: str) -> str:
    """Words as FTS5 cuts them: letters and digits without their accents, parted by single spaces."""
    plain = unicodedata.normalize("NFKD", storable(text[:MOST_CHARACTERS]).casefold())
    return _GAPS.sub(" ", "".join(char for char in plain if not unicodedata.combining(char)))


def _together(common: Sequence[str]) -> Iterator[str]:
    """Queries for the common words, the narrowest first: all, then the rarest two, then the rarest."""
    quoted = [f"({one})" for one in common]
    if len(quoted) > 2:
        yield " & ".join(quoted)
    if len(quoted) > 1:
        yield " & ".join(quoted[:2])
    if quoted:
        yield quoted[0]
