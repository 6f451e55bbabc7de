"""Sections in SQLite's full-text search (FTS5, BM25). Derived data: the file can be deleted at any time.

It also keeps the documents by the hash of their files, so that an unchanged file is not read again. Knows nothing of
how documents are made. Weights: a hit in a heading or title tells more than one in the text.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from askfit.text import words
from askfit.types import Document, Section

FORMAT = 1  # changes when the tables do: an older file is thrown away
BUSY_TIMEOUT_S = 5.0
MOST_QUERY_WORDS = 48
WEIGHTS = (0.0, 2.0, 3.0, 1.0)  # id, title, heading, text
STOP_WORDS = frozenset(
    """
    a about an and any are as at be been but by can could did do does for from had has have he her his how i if in
    into is it its me my of on or our she so tell than that the their them then there they this to was we were what
    when where which who whom whose why will with would you your
    """.split()
)
SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (id TEXT PRIMARY KEY, sha TEXT NOT NULL, body TEXT NOT NULL);
CREATE VIRTUAL TABLE IF NOT EXISTS sections USING fts5(
    id UNINDEXED, title, heading, text, tokenize="porter unicode61 remove_diacritics 2");
"""
RANKED = """
SELECT id, -bm25(sections, ?, ?, ?, ?) AS score FROM sections WHERE sections MATCH ? ORDER BY score DESC, id LIMIT ?
"""
COUNTED = "SELECT count(*) FROM sections WHERE sections MATCH ?"


class Index:
    """One SQLite database; one connection, guarded, so that any thread may search."""

    def __init__(self, path: str) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=OFF")  # derived data: a lost page is rebuilt
        if self._connection.execute("PRAGMA user_version").fetchone()[0] not in (0, FORMAT):
            raise sqlite3.DatabaseError("another format")
        self._connection.execute("PRAGMA secure_delete=ON")  # a page that its owner withdraws is overwritten
        self._connection.executescript(SCHEMA)
        self._connection.execute(f"PRAGMA user_version={FORMAT}")

    def document(self, id: str, sha: str) -> Document | None:
        """The document as it was read, where its file is still the same."""
        with self._lock:
            row = self._connection.execute("SELECT body FROM documents WHERE id=? AND sha=?", (id, sha)).fetchone()
        return _loads(row[0]) if row else None

    def keep(self, documents: Iterable[Document]) -> None:
        """Hold exactly these documents: what is gone is removed, what is new or changed is indexed."""
        wanted = {document.id: document for document in documents}
        with self._lock, self._transaction():
            held = dict(self._connection.execute("SELECT id, sha FROM documents"))
            stale = [id for id, sha in held.items() if id not in wanted or wanted[id].sha != sha]
            fresh = [document for id, document in wanted.items() if held.get(id) != document.sha]
            for id in stale:
                self._remove(id)
            for document in fresh:
                self._add(document)
        if stale:
            self._forget()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def _forget(self) -> None:
        """Take what was removed out of the search's own pages and out of the log, not only out of reach."""
        with self._lock:
            self._connection.execute("INSERT INTO sections (sections) VALUES ('optimize')")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _remove(self, id: str) -> None:
        body = self._connection.execute("SELECT body FROM documents WHERE id=?", (id,)).fetchone()
        rows = json.loads(body[0])["rows"] if body else []
        self._connection.executemany("DELETE FROM sections WHERE rowid=?", [(row,) for row in rows])
        self._connection.execute("DELETE FROM documents WHERE id=?", (id,))

    def _add(self, document: Document) -> None:
        rows = [
            self._connection.execute(
                "INSERT INTO sections (id, title, heading, text) VALUES (?, ?, ?, ?)",
                (section.id, section.title, section.heading, section.text),
            ).lastrowid
            for section in document.sections
        ]
        body = json.dumps({"rows": rows, "document": asdict(document)})
        self._connection.execute("INSERT INTO documents VALUES (?, ?, ?)", (document.id, document.sha, body))

    def search(self, query: str, limit: int) -> list[tuple[str, float]]:
        """(section id, score) of the best sections, higher is nearer; any text is a safe query."""
        terms = list(dict.fromkeys(words(query)))
        telling = [term for term in terms if term not in STOP_WORDS] or terms
        if not telling:
            return []
        match = " OR ".join('"' + term.replace('"', '""') + '"' for term in telling[:MOST_QUERY_WORDS])
        with self._lock:
            return list(self._connection.execute(RANKED, (*WEIGHTS, match, limit)))

    def frequency(self, word: str) -> int:
        """How many sections hold a word in any of its forms."""
        with self._lock:
            return int(self._connection.execute(COUNTED, ('"' + word.replace('"', '""') + '"',)).fetchone()[0])

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()


def open_index(path: Path) -> Index:
    """Open or make the index; a broken file is made anew, and where nothing can be written it lives in memory."""
    try:
        return Index(str(path))
    except sqlite3.OperationalError:
        return Index(":memory:")
    except sqlite3.DatabaseError:
        for ending in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                Path(f"{path}{ending}").unlink()
        try:
            return Index(str(path))
        except sqlite3.Error:
            return Index(":memory:")


def _loads(body: str) -> Document:
    raw = json.loads(body)["document"]
    return Document(**{**raw, "sections": tuple(Section(**section) for section in raw["sections"])})
