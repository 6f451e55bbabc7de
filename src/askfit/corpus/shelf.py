"""A large corpus' order over its index: documents, sections and numbers, each fetched when it is wanted.

In memory stand only the documents' ids and where each begins. What another server has taken out of a shared index since
is an empty section: its place stays, its words are gone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import overload

from askfit.corpus.index import Entry, Index
from askfit.types import Document, Section

BATCH = 200  # documents that are fetched at once


class Documents(Sequence[Document]):
    """Every document, without its sections, in the order of their ids."""

    def __init__(self, index: Index, entries: Sequence[Entry]) -> None:
        self._index = index
        self._ids = [entry.id for entry in entries]

    def __len__(self) -> int:
        return len(self._ids)

    @overload
    def __getitem__(self, at: int) -> Document: ...
    @overload
    def __getitem__(self, at: slice) -> list[Document]: ...
    def __getitem__(self, at: int | slice) -> Document | list[Document]:
        if isinstance(at, slice):
            return self._index.documents(self._ids[at])
        found = self._index.documents([self._ids[at]])
        return found[0] if found else Document(self._ids[at], "", "", "", "")

    def __iter__(self) -> Iterator[Document]:
        for begin in range(0, len(self._ids), BATCH):
            yield from self._index.documents(self._ids[begin : begin + BATCH])


class Sections(Sequence[Section]):
    """Every section, in the corpus' order."""

    def __init__(self, index: Index, entries: Sequence[Entry]) -> None:
        self._index = index
        self._ids = [entry.id for entry in entries]
        self._starts = [0, *accumulate(entry.sections for entry in entries)]
        self._documents = {id: at for at, id in enumerate(self._ids)}

    def __len__(self) -> int:
        return self._starts[-1]

    @overload
    def __getitem__(self, at: int) -> Section: ...
    @overload
    def __getitem__(self, at: slice) -> list[Section]: ...
    def __getitem__(self, at: int | slice) -> Section | list[Section]:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(len(self)))]
        place = at + len(self) if at < 0 else at
        if not 0 <= place < len(self):
            raise IndexError(at)
        document = bisect_right(self._starts, place) - 1
        found = self._index.at(self._ids[document], place - self._starts[document])
        return found or Section("", self._ids[document], "", "", "", "", 0)

    def __iter__(self) -> Iterator[Section]:
        for id in self._ids:
            yield from self._index.of(id)

    def find(self, ids: Sequence[str]) -> dict[str, tuple[Section, int]]:
        """Sections by their ids, each with its place in the corpus, from 0; those that are not of it are left out."""
        found: dict[str, tuple[Section, int]] = {}
        for id, (section, within) in self._index.pick(ids).items():
            document = self._documents.get(section.document)
            if document is not None and (place := self._starts[document] + within) < self._starts[document + 1]:
                found[id] = (section, place)
        return found


class Numbers(Mapping[str, int]):
    """A section's number, by its id: its place in the corpus, from 1."""

    def __init__(self, sections: Sections) -> None:
        self._sections = sections

    def __getitem__(self, id: str) -> int:
        return self._sections.find([id])[id][1] + 1

    def __len__(self) -> int:
        return len(self._sections)

    def __iter__(self) -> Iterator[str]:
        return (section.id for section in self._sections)
