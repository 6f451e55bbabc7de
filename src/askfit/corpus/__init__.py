"""The owner's content: files → documents → sections, and a search over them. Knows nothing of questions or models.

sources    which files, and which never
readers    one file of any known form → title, facts, blocks of text under headings
sections   blocks → sections with stable ids, anchors and addresses
index      sections in SQLite's full-text search; an unchanged file is not read again
postgres   the same in PostgreSQL, where several servers share one
shelf      the corpus' order over an index: what is too large for memory is fetched when it is wanted
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from pathlib import Path

from askfit.config import Settings
from askfit.corpus.index import Held, Index, open_index
from askfit.corpus.readers import html_text, read_file
from askfit.corpus.sections import make_document
from askfit.corpus.shelf import Documents, Numbers, Sections
from askfit.corpus.sources import Skipped, Source, find_sources
from askfit.errors import StoreError
from askfit.types import Document, Fault, Passage, Section

__all__ = ["Corpus", "Skipped", "html_text", "load_corpus"]

log = logging.getLogger(__name__)

MOST_HELD_TOKENS = 1_000_000  # past that, sections are fetched from the index; every prompt is far smaller
BATCH = 200  # documents that are read before they are written
NEIGHBOUR = 0.4  # of a passage's score: a neighbour that bears that much is read with it


@dataclass(frozen=True)
class Corpus:
    """Everything that may be said, in a stable order, with what was left out and why."""

    documents: Sequence[Document]  # of a large corpus, each without its sections: ask `of`
    faults: tuple[Fault, ...]
    skipped: tuple[Skipped, ...]
    index: Index
    sections: Sequence[Section]
    numbers: Mapping[str, int]  # section id → its place in `sections`, from 1
    sha: str = ""  # of the sections' ids and texts: what stands in a prompt
    tokens: int = 0  # estimated
    held: bool = True  # in memory, so that reading all of it is cheap
    _by_id: dict[str, Section] = field(default_factory=dict, repr=False)  # of a corpus in memory, as the next
    _by_document: dict[str, tuple[Section, ...]] = field(default_factory=dict, repr=False)

    def section(self, id: str) -> Section | None:
        """One section by its id."""
        found = self._find([id]).get(id)
        return found[0] if found else None

    def _find(self, ids: Sequence[str]) -> dict[str, tuple[Section, int]]:
        """Sections by their ids, each with its place, from 0."""
        if isinstance(self.sections, Sections):
            return self.sections.find(ids)
        return {id: (self._by_id[id], self.numbers[id] - 1) for id in ids if id in self._by_id}

    def of(self, document: str) -> Sequence[Section]:
        """One document's sections, in their order."""
        return self._by_document.get(document, ()) if self.held else self.index.of(document)

    def search(self, query: str, limit: int = 8) -> list[Passage]:
        """The sections that bear most on a query, best first. Safe from any thread."""
        return [passage for passage, _ in self._search(query, limit)]

    def _search(self, query: str, limit: int) -> list[tuple[Passage, int]]:
        hits = self.index.search(query, limit)
        found = self._find([id for id, _ in hits])
        return [(Passage(found[id][0], score), found[id][1]) for id, score in hits if id in found]

    def passages(self, query: str, limit: int = 8) -> list[Passage]:
        """As `search`, each passage followed by those neighbours of its page that bear on the query nearly as much.

        At most half as many again: a neighbour displaces no other passage.
        """
        found = self._search(query, 3 * limit)
        by_place = {place: passage for passage, place in found}
        best, spare = {place for _, place in found[:limit]}, limit // 2
        taken: dict[int, Passage] = {}
        for passage, place in found[:limit]:
            taken.setdefault(place, passage)
            for beside in (place - 1, place + 1):
                other = by_place.get(beside)
                if other is None or beside in taken or other.section.document != passage.section.document:
                    continue
                if beside in best or (spare and other.score >= NEIGHBOUR * passage.score):
                    spare -= beside not in best
                    taken[beside] = other
        return list(taken.values())

    def frequency(self, word: str) -> int:
        """How many sections hold a word in any of its forms: how telling it is in a question."""
        return self.index.frequency(word)

    @cached_property
    def questions(self) -> tuple[str, ...]:
        """The last part of each heading that asks something: what the site itself asks and answers."""
        return tuple(sorted({heading.rpartition(" › ")[2] for heading in self.index.headings("?")}))

    def close(self) -> None:
        """Close the index."""
        self.index.close()


def load_corpus(settings: Settings, progress: Callable[[int, int], None] | None = None) -> Corpus:
    """Read every source that is new or changed; what cannot be read becomes a fault and the rest is served."""
    sources, skipped, faults = find_sources(settings)
    index, told = _open(settings)
    reading = _Reading(settings, index, index.held(), skipped, [*faults, *told])
    for done, source in enumerate(sources, 1):
        reading.take(source)
        if progress:
            progress(done, len(sources))
    reading.finish()
    index.settle()
    return shelved(index, reading.kept, tuple(reading.faults), tuple(reading.skipped))


def _open(settings: Settings) -> tuple[Index, list[Fault]]:
    """The index in the store's database; where that cannot hold it, beside the settings."""
    if settings.file.store.url.startswith("postgresql"):
        from askfit.corpus.postgres import PostgresIndex

        try:
            return PostgresIndex(settings), []
        except StoreError as error:
            log.warning("The corpus is indexed beside the settings: %s", error)
            return open_index(_index_path(settings)), [
                Fault("index_unreachable", settings.path.name, error.message, error.next_step, severity="warning")
            ]
    return open_index(_index_path(settings)), []


def _index_path(settings: Settings) -> Path:
    """Beside the ledger's SQLite file; beside the settings where the ledger is elsewhere."""
    ledger = settings.sqlite_file
    return ledger.with_suffix(".index.db") if ledger else settings.root / "askfit.index.db"


@dataclass(slots=True)
class _Reading:
    """One pass over the sources: what is as it was stays where it is, the rest is read and written in batches."""

    settings: Settings
    index: Index
    held: dict[str, Held]
    skipped: list[Skipped]
    faults: list[Fault]
    kept: set[str] = field(default_factory=set)
    stamps: dict[str, str] = field(default_factory=dict)
    pending: list[tuple[Document, str]] = field(default_factory=list)

    def take(self, source: Source) -> None:
        """One file. One whose size and times are as they were is not even opened."""
        stamp = source.stamp(self.settings)
        known = self.held.get(source.id)
        if known and stamp and known.stamp == stamp:
            self.kept.add(source.id)
            return
        loaded = source.load()
        if isinstance(loaded, Fault):
            self.faults.append(loaded)
            return
        sha = source.sha(loaded, self.settings)
        if known and known.sha == sha:
            self.kept.add(source.id)
            if stamp:
                self.stamps[source.id] = stamp
            return
        self._read(source, loaded, sha, stamp)

    def _read(self, source: Source, loaded: bytes, sha: str, stamp: str) -> None:
        page = read_file(source.path, source.name, loaded)
        self.faults += page.faults
        if page.skip:
            self.skipped.append(Skipped(source.name, page.skip))
        elif page.blocks:
            self.pending.append((make_document(self.settings, source, page, sha), stamp))
            self.kept.add(source.id)
        if len(self.pending) == BATCH:
            self._write()

    def _write(self) -> None:
        self.index.put(self.pending)
        self.pending.clear()

    def finish(self) -> None:
        """Write what is left, and let go of the documents that are no more."""
        if self.pending:
            self._write()
        if self.stamps:
            self.index.stamp(self.stamps)
        self.index.retain(self.kept)
        if not self.kept:
            sought = ", ".join(self.settings.file.corpus.sources)
            self.faults.append(
                Fault(
                    "corpus_empty",
                    self.settings.path.name,
                    f"No page was found in {sought}.",
                    "Mend [corpus] sources; askfit init finds them.",
                )
            )


def shelved(index: Index, ids: Set[str], faults: tuple[Fault, ...] = (), skipped: tuple[Skipped, ...] = ()) -> Corpus:
    """The corpus of these documents of an index: in memory while it is small, else over the index."""
    entries = [entry for entry in index.entries() if entry.id in ids]
    sha = hashlib.sha256("".join(entry.digest for entry in entries).encode()).hexdigest()[:16]
    tokens = sum(entry.tokens for entry in entries)
    documents, sections = Documents(index, entries), Sections(index, entries)
    if tokens > MOST_HELD_TOKENS:
        return Corpus(documents, faults, skipped, index, sections, Numbers(sections), sha, tokens, held=False)
    return _held(index, documents, faults, skipped, sha, tokens)


def _held(
    index: Index, documents: Documents, faults: tuple[Fault, ...], skipped: tuple[Skipped, ...], sha: str, tokens: int
) -> Corpus:
    """A corpus in memory."""
    by_document = {id: tuple(its) for id, its in groupby(index.sections(), lambda section: section.document)}
    whole = tuple(replace(one, sections=by_document.get(one.id, ())) for one in documents)
    sections = tuple(section for document in whole for section in document.sections)
    numbers = {section.id: at for at, section in enumerate(sections, 1)}
    by_id = {section.id: section for section in sections}
    return Corpus(whole, faults, skipped, index, sections, numbers, sha, tokens, True, by_id, by_document)
