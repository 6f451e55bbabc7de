"""Sections on disk and a search over them: SQLite's full-text search (FTS5, BM25). Derived data: it may be deleted.

It keeps each document with the hash of its file, so that an unchanged file is not read again, and it hands sections out
one by one, so that a large corpus need not stand in memory. Knows nothing of how documents are made, nor of questions.

Up to EXACT sections every section that holds any word of a query is scored. Past that a query scores about MOST_SCORED
sections: those that hold its rarest words, and those that hold its common words together; the common words then count
in the order of what was found.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from askfit.text import stem, words
from askfit.types import Document, Section

FORMAT = 2  # changes when the tables do: an older file is thrown away
MOST_COPIED_BYTES = 32_000_000
BUSY_TIMEOUT_S = 5.0
CACHE_KB = 16_384  # of the file's pages, in memory
MOST_QUERY_WORDS = 48
EXACT = 5_000  # sections
MOST_SCORED = 3_000  # sections that hold the rarest words: about 2 µs each
MOST_POOL = 96  # of what was found, in which the common words count
MOST_COMMON = 6  # common words of one query
MOST_CACHED_WORDS = 50_000
TITLE, HEADING, TEXT = 2.0, 3.0, 1.0  # a hit in a heading or title tells more than one in the text
K1, B = 1.2, 0.75  # BM25's constants, as FTS5 has them
STOP_WORDS = frozenset(
    """
    a about an and any are as at be been but by can could did do does for from had has have he her his how i if in
    into is it its me my of on or our she so tell than that the their them then there they this to was we were what
    when where which who whom whose why will with would you your
    """.split()
)
SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    id TEXT PRIMARY KEY, sha TEXT NOT NULL, stamp TEXT NOT NULL, title TEXT NOT NULL, url TEXT NOT NULL,
    path TEXT NOT NULL, date TEXT NOT NULL, sections INTEGER NOT NULL, tokens INTEGER NOT NULL, digest TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sections (
    row INTEGER PRIMARY KEY, id TEXT NOT NULL, document TEXT NOT NULL, place INTEGER NOT NULL, title TEXT NOT NULL,
    heading TEXT NOT NULL, text TEXT NOT NULL, url TEXT NOT NULL, tokens INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS sections_by_id ON sections (id);
CREATE INDEX IF NOT EXISTS sections_by_place ON sections (document, place);
CREATE VIRTUAL TABLE IF NOT EXISTS found USING fts5(
    title, heading, text, content='sections', content_rowid='row', tokenize="porter unicode61 remove_diacritics 2");
"""
WEIGHTS = (TITLE, HEADING, TEXT)
RANKED = """
SELECT id, -bm25(found, ?, ?, ?) AS score FROM found JOIN sections ON row = found.rowid WHERE found MATCH ?
ORDER BY score DESC, id LIMIT ?
"""
SCORED = "SELECT rowid, -bm25(found, ?, ?, ?) AS score FROM found WHERE found MATCH ? ORDER BY score DESC LIMIT ?"
MATCHING = "SELECT rowid FROM found WHERE found MATCH ? LIMIT ?"
COUNTED = "SELECT count(*) FROM found WHERE found MATCH ?"
POOLED = "SELECT row, id, title, heading, text, tokens FROM sections WHERE row IN (SELECT value FROM json_each(?))"
DOCUMENTS = "SELECT id, title, url, path, sha, date FROM documents WHERE id IN (SELECT value FROM json_each(?))"
ADD_DOCUMENT = "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
ADD_SECTION = "INSERT INTO sections VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)"
ADD_WORDS = "INSERT INTO found (rowid, title, heading, text) VALUES (?, ?, ?, ?)"
TAKE_WORDS = """
INSERT INTO found (found, rowid, title, heading, text)
SELECT 'delete', row, title, heading, text FROM sections WHERE document=?
"""
ALL = "SELECT id, document, title, heading, text, url, tokens FROM sections ORDER BY document, place"
OF = "SELECT id, document, title, heading, text, url, tokens FROM sections WHERE document=? ORDER BY place"
AT = "SELECT id, document, title, heading, text, url, tokens FROM sections WHERE document=? AND place=?"
PICKED = """
SELECT id, document, title, heading, text, url, tokens, place FROM sections
WHERE id IN (SELECT value FROM json_each(?)) ORDER BY row
"""


@dataclass(frozen=True, slots=True)
class Held:
    """What the index knows of a document's file."""

    sha: str
    stamp: str  # size and times of the file when it was read; "" where they do not tell


@dataclass(frozen=True, slots=True)
class Entry:
    """One document's share of the corpus."""

    id: str
    sections: int
    tokens: int
    digest: str  # of its sections' ids and texts


class Index(Protocol):
    """What a corpus needs of an index. Safe from any thread."""

    def held(self) -> dict[str, Held]:
        """Every document that is there."""

    def put(self, documents: Sequence[tuple[Document, str]]) -> None:
        """Add or replace documents, each with its file's stamp."""

    def stamp(self, stamps: dict[str, str]) -> None:
        """Note the files' new stamps for documents that are as they were."""

    def retain(self, ids: set[str]) -> None:
        """Hold exactly these documents; what leaves is overwritten, not only out of reach."""

    def settle(self) -> None:
        """Stay as it is now, whatever other processes make of the file: who serves a corpus serves one corpus."""

    def entries(self) -> list[Entry]:
        """Every document, in the order of their ids."""

    def documents(self, ids: Sequence[str]) -> list[Document]:
        """Documents without their sections, in the order asked for; those that are gone are left out."""

    def sections(self) -> Iterator[Section]:
        """Every section, in the corpus' order."""

    def of(self, document: str) -> list[Section]:
        """One document's sections, in their order."""

    def at(self, document: str, place: int) -> Section | None:
        """One section by its place in its document, from 0."""

    def pick(self, ids: Sequence[str]) -> dict[str, tuple[Section, int]]:
        """Sections by their ids, each with its place in its document."""

    def headings(self, ending: str) -> list[str]:
        """The different headings that end so."""

    def search(self, query: str, limit: int) -> list[tuple[str, float]]:
        """(section id, score) of the best sections, higher is nearer; any text is a safe query."""

    def frequency(self, word: str) -> int:
        """How many sections hold a word in any of its forms."""

    def close(self) -> None:
        """Let go of the database."""


def telling(query: str) -> list[str]:
    """A query's words without those that tell nothing, as far as they are read."""
    terms = list(dict.fromkeys(words(query)))
    return ([term for term in terms if term not in STOP_WORDS] or terms)[:MOST_QUERY_WORDS]


def digest(sections: Iterable[Section]) -> str:
    """Of what stands in a prompt: the sections' ids and texts."""
    found = hashlib.sha256()
    for section in sections:
        found.update(f"{section.id}\x00{section.text}\x01".encode("utf-8", "replace"))
    return found.hexdigest()


def rarity(total: int, holding: int) -> float:
    """BM25's weight of a word that so many of all sections hold."""
    return max(math.log((total - holding + 0.5) / (holding + 0.5)), 1e-6)


def saturated(count: float, length: float) -> float:
    """BM25's share of a word that stands so often in a section; its length over the mean."""
    return count * (K1 + 1) / (count + K1 * (1 - B + B * length))


class SqliteIndex:
    """One SQLite database; one connection, guarded, so that any thread may search."""

    def __init__(self, path: str) -> None:
        self._lock = threading.Lock()
        self._frequencies: dict[str, int] = {}
        self._size: tuple[int, float] | None = None
        self._connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=OFF")  # derived data: a lost page is rebuilt
        self._connection.execute(f"PRAGMA cache_size=-{CACHE_KB}")
        if self._connection.execute("PRAGMA user_version").fetchone()[0] not in (0, FORMAT):
            self._connection.close()
            raise sqlite3.DatabaseError("another format")
        self._connection.execute("PRAGMA secure_delete=ON")  # a page that its owner withdraws is overwritten
        self._connection.executescript(SCHEMA)
        self._connection.execute(f"PRAGMA user_version={FORMAT}")
        self._removed = False

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def held(self) -> dict[str, Held]:
        """Every document that is there."""
        return {id: Held(sha, stamp) for id, sha, stamp in self._rows("SELECT id, sha, stamp FROM documents")}

    def put(self, documents: Sequence[tuple[Document, str]]) -> None:
        """Add or replace documents, each with its file's stamp."""
        with self._writing():
            for document, stamp in documents:
                self._remove(document.id)
                self._add(document, stamp)

    def stamp(self, stamps: dict[str, str]) -> None:
        """Note the files' new stamps for documents that are as they were."""
        with self._writing():
            changed = [(stamp, id) for id, stamp in stamps.items()]
            self._connection.executemany("UPDATE documents SET stamp=? WHERE id=?", changed)

    def retain(self, ids: set[str]) -> None:
        """Hold exactly these documents; what leaves is overwritten, not only out of reach."""
        gone = [id for (id,) in self._rows("SELECT id FROM documents") if id not in ids]
        if gone:
            with self._writing():
                for id in gone:
                    self._remove(id)
        if self._removed:
            self._forget()

    def settle(self) -> None:
        """Stay as it is now: a small index is copied into memory, a large one is read at this point of its log.

        `askfit check` or another server may read the same folder with other settings; the file is then theirs.
        """
        with self._lock:
            pages, size = (self._connection.execute(f"PRAGMA {of}").fetchone()[0] for of in ("page_count", "page_size"))
            if pages * size > MOST_COPIED_BYTES:
                self._connection.execute("BEGIN")
                self._connection.execute("SELECT count(*) FROM documents").fetchone()
                return
            copy = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
            self._connection.backup(copy)
            self._connection.close()
            self._connection = copy

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock:
            if self._connection.in_transaction:  # it had settled
                self._connection.execute("ROLLBACK")
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
            self._frequencies.clear()
            self._size = None

    def _forget(self) -> None:
        """Take what was removed out of the search's own pages and out of the log, not only out of reach."""
        with self._lock:
            self._connection.execute("INSERT INTO found (found) VALUES ('optimize')")
            # Where a server reads the log at an earlier point, the next reading takes it out: it is not waited for.
            self._connection.execute("PRAGMA busy_timeout=0")
            busy = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            self._connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_S * 1000:.0f}")
            self._removed = bool(busy)

    def _remove(self, id: str) -> None:
        """FTS5 keeps no copy of what it indexed: it is told the old words to take them out."""
        self._connection.execute(TAKE_WORDS, (id,))
        self._connection.execute("DELETE FROM sections WHERE document=?", (id,))
        if self._connection.execute("DELETE FROM documents WHERE id=?", (id,)).rowcount:
            self._removed = True

    def _add(self, document: Document, stamp: str) -> None:
        for place, one in enumerate(document.sections):
            values = (one.id, document.id, place, one.title, one.heading, one.text, one.url, one.tokens)
            row = self._connection.execute(ADD_SECTION, values)
            said = (row.lastrowid, one.title, one.heading, one.text)
            self._connection.execute(ADD_WORDS, said)
        self._connection.execute(ADD_DOCUMENT, document_row(document, stamp))

    def entries(self) -> list[Entry]:
        """Every document, in the order of their ids."""
        return [Entry(*row) for row in self._rows("SELECT id, sections, tokens, digest FROM documents ORDER BY id")]

    def documents(self, ids: Sequence[str]) -> list[Document]:
        """Documents without their sections, in the order asked for; those that are gone are left out."""
        found = {row[0]: Document(*row) for row in self._rows(DOCUMENTS, (json.dumps(ids),))}
        return [found[id] for id in ids if id in found]

    def sections(self) -> Iterator[Section]:
        """Every section, in the corpus' order."""
        for row in self._rows(ALL):
            yield Section(*row)

    def of(self, document: str) -> list[Section]:
        """One document's sections, in their order."""
        return [Section(*row) for row in self._rows(OF, (document,))]

    def at(self, document: str, place: int) -> Section | None:
        """One section by its place in its document, from 0."""
        rows = self._rows(AT, (document, place))
        return Section(*rows[0]) if rows else None

    def pick(self, ids: Sequence[str]) -> dict[str, tuple[Section, int]]:
        """Sections by their ids, each with its place in its document."""
        return {row[0]: (Section(*row[:-1]), row[-1]) for row in self._rows(PICKED, (json.dumps(ids),))}

    def headings(self, ending: str) -> list[str]:
        """The different headings that end so."""
        sql = "SELECT DISTINCT heading FROM sections WHERE substr(heading, -length(?)) = ?"
        return [heading for (heading,) in self._rows(sql, (ending, ending))]

    def search(self, query: str, limit: int) -> list[tuple[str, float]]:
        """(section id, score) of the best sections, higher is nearer; any text is a safe query."""
        terms = telling(query)
        if not terms:
            return []
        total, mean = self._measured()
        if total <= EXACT:
            return self._rows(RANKED, (*WEIGHTS, _any(terms), limit))
        rare, common = parted(terms, self.frequency, MOST_SCORED)
        if not common:
            return self._rows(RANKED, (*WEIGHTS, _any(rare), limit)) if rare else []
        return self._bounded(rare, common, total, mean, max(MOST_POOL, limit))[:limit]

    def _bounded(
        self, rare: list[str], common: list[str], total: int, mean: float, pool: int
    ) -> list[tuple[str, float]]:
        """The sections of the rare words and those of the common words together; there the common words count too."""
        scores: dict[int, float] = dict(self._rows(SCORED, (*WEIGHTS, _any(rare), pool))) if rare else {}
        for match in _together(common):
            rows = self._rows(MATCHING, (match, pool))
            scores.update({row: 0.0 for (row,) in rows if row not in scores})
            if len(rows) >= pool // 2:
                break
        weights = {stem(term): rarity(total, self.frequency(term)) for term in common}
        found = [
            (id, scores[row] + sum(weights[term] * saturated(count, tokens / mean) for term, count in hits.items()))
            for row, id, title, heading, text, tokens in self._rows(POOLED, (json.dumps(list(scores)),))
            for hits in [count_beginnings(weights, title, heading, text)]
        ]
        return sorted(found, key=lambda one: (-one[1], one[0]))

    def frequency(self, word: str) -> int:
        """How many sections hold a word in any of its forms."""
        known = self._frequencies.get(word)
        if known is None:
            known = int(self._rows(COUNTED, (_any([word]),))[0][0])
            with self._lock:
                if len(self._frequencies) >= MOST_CACHED_WORDS:
                    self._frequencies.clear()
                self._frequencies[word] = known
        return known

    def _measured(self) -> tuple[int, float]:
        """How many sections there are, and their mean length in tokens."""
        if self._size is None:
            total, tokens = self._rows("SELECT coalesce(sum(sections), 0), coalesce(sum(tokens), 0) FROM documents")[0]
            self._size = (int(total), max(tokens / max(total, 1), 1.0))
        return self._size

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()


def document_row(document: Document, stamp: str) -> tuple[Any, ...]:
    """A document as it stands in the table of documents."""
    one, tokens = document, sum(section.tokens for section in document.sections)
    share = (len(one.sections), tokens, digest(one.sections))
    return (one.id, one.sha, stamp, one.title, one.url, one.path, one.date, *share)


def parted(terms: Sequence[str], frequency: Callable[[str], int], most: int) -> tuple[list[str], list[str]]:
    """A query's words, one for each stem: the rarest, which few enough sections hold, and the others, rarest first."""
    forms = {stem(term): term for term in reversed(terms)}.values()
    found = sorted((count, term) for term in forms if (count := frequency(term)))
    rare: list[str] = []
    left = most
    for count, term in found:
        left -= count
        if left < 0:
            break
        rare.append(term)
    return rare, [term for _, term in found[len(rare) : len(rare) + MOST_COMMON]]


def count_beginnings(stems: Iterable[str], title: str, heading: str, text: str) -> dict[str, float]:
    """How often words that begin with these stems stand there, each at its place's weight. Quick, not exact."""
    hits: dict[str, float] = {}
    for weight, said in zip(WEIGHTS, (title, heading, text), strict=True):
        folded = " " + said.casefold().replace("\n", " ")
        for one in stems:
            if count := folded.count(" " + one.removesuffix("y")):
                hits[one] = hits.get(one, 0.0) + weight * count
    return hits


def _any(terms: Iterable[str]) -> str:
    return " OR ".join(map(_quoted, terms))


def _together(common: Sequence[str]) -> Iterator[str]:
    """Queries for the common words, the narrowest first: all, then the rarest two, then in titles and headings."""
    if len(common) > 2:
        yield " AND ".join(map(_quoted, common))
    if len(common) > 1:
        yield " AND ".join(map(_quoted, common[:2]))
    yield f"{{title heading}} : ({_any(common[:2])})"
    yield _quoted(common[0])


def _quoted(term: str) -> str:
    return '"' + storable(term).replace('"', '""') + '"'


def storable(text: str) -> str:
    """Without what no database takes: NUL, and half of a surrogate pair."""
    return text.replace("\x00", " ").encode("utf-8", "replace").decode()


def open_index(path: Path) -> SqliteIndex:
    """Open or make the index; a broken file is made anew, and where nothing can be written it lives in memory."""
    try:
        return SqliteIndex(str(path))
    except sqlite3.OperationalError:
        return SqliteIndex(":memory:")
    except sqlite3.DatabaseError:
        for ending in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                Path(f"{path}{ending}").unlink()
        try:
            return SqliteIndex(str(path))
        except sqlite3.Error:
            return SqliteIndex(":memory:")
