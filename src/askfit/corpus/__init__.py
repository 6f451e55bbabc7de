"""The owner's content: files → documents → sections, and a search over them. Knows nothing of questions or models.

sources    which files, and which never
readers    one file of any known form → title, facts, blocks of text under headings
sections   blocks → sections with stable ids, anchors and addresses
index      sections in SQLite's full-text search; an unchanged file is not read again
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from askfit.config import Settings
from askfit.corpus.index import Index, open_index
from askfit.corpus.readers import html_text, read_file
from askfit.corpus.sections import make_document
from askfit.corpus.sources import Skipped, Source, find_sources
from askfit.types import Document, Fault, Passage, Section

__all__ = ["Corpus", "Skipped", "html_text", "load_corpus"]


@dataclass(frozen=True, slots=True)
class Corpus:
    """Everything that may be said, in a stable order, with what was left out and why."""

    documents: tuple[Document, ...]
    faults: tuple[Fault, ...]
    skipped: tuple[Skipped, ...]
    index: Index
    sections: tuple[Section, ...] = ()
    sha: str = ""  # of the sections' ids and texts: what stands in a prompt
    tokens: int = 0  # estimated
    _by_id: dict[str, Section] = field(default_factory=dict, repr=False)

    def section(self, id: str) -> Section | None:
        """One section by its id."""
        return self._by_id.get(id)

    def search(self, query: str, limit: int = 8) -> list[Passage]:
        """The sections that bear most on a query, best first. Safe from any thread."""
        hits = self.index.search(query, limit)
        return [Passage(self._by_id[id], score) for id, score in hits if id in self._by_id]

    def frequency(self, word: str) -> int:
        """How many sections hold a word in any of its forms: how telling it is in a question."""
        return self.index.frequency(word)

    def close(self) -> None:
        """Close the index."""
        self.index.close()


def load_corpus(settings: Settings, progress: Callable[[int, int], None] | None = None) -> Corpus:
    """Read every source; what cannot be read becomes a fault and the rest is served."""
    sources, skipped, faults = find_sources(settings)
    index = open_index(_index_path(settings))
    documents: dict[str, Document] = {}
    for done, source in enumerate(sources, 1):
        kept, left_out, found = _document(settings, source, index)
        faults += found
        skipped += left_out
        if kept:
            documents[kept.id] = kept
        if progress:
            progress(done, len(sources))
    if not documents:
        sought = ", ".join(settings.file.corpus.sources)
        faults.append(
            Fault(
                "corpus_empty",
                settings.path.name,
                f"No page was found in {sought}.",
                "Mend [corpus] sources; askfit init finds them.",
            )
        )
    ordered = tuple(documents[id] for id in sorted(documents))
    sections = tuple(section for document in ordered for section in document.sections)
    index.keep(ordered)
    digest = hashlib.sha256()
    for section in sections:
        digest.update(f"{section.id}\x00{section.text}\x01".encode())
    return Corpus(
        ordered,
        tuple(faults),
        tuple(skipped),
        index,
        sections,
        digest.hexdigest()[:16],
        sum(section.tokens for section in sections),
        {section.id: section for section in sections},
    )


def _index_path(settings: Settings) -> Path:
    """Beside the ledger's SQLite file; beside the settings where the ledger is elsewhere."""
    url = settings.file.store.url
    if url.startswith("sqlite:///"):
        ledger = settings.root / url.removeprefix("sqlite:///")
        return ledger.with_suffix(".index.db")
    return settings.root / "askfit.index.db"


def _document(settings: Settings, source: Source, index: Index) -> tuple[Document | None, list[Skipped], list[Fault]]:
    """One file's document, from the index where the file and its address are as they were."""
    loaded = source.load()
    if isinstance(loaded, Fault):
        return None, [], [loaded]
    known = index.document(source.id, source.sha(loaded, settings))
    if known:
        return known, [], []
    page = read_file(source.path, source.name, loaded)
    if page.skip:
        return None, [Skipped(source.name, page.skip)], list(page.faults)
    if not page.blocks:
        return None, [], list(page.faults)
    return make_document(settings, source, page, source.sha(loaded, settings)), [], list(page.faults)
