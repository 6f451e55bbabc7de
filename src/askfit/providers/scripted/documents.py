"""Documents that a request lets a model cite, and what it cites of them, as Anthropic's API has it. Knows no stream.

Two of the API's three kinds: custom content, whose blocks are the chunks, and plain text, cut into sentences. Of PDFs
nothing is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from askfit.providers.scripted.faithful import stems
from askfit.text import sentence_spans

_HEADING = re.compile(r"<section n=\"(\d+)\"")  # of askfit's own prompts
_MARKER = re.compile(r"\s*\[\[(\d+)\]\]")


@dataclass(frozen=True, slots=True)
class Document:
    """What can be cited are its chunks. They add up to a plain text, in whose characters a citation is told."""

    chunks: tuple[str, ...]
    title: str | None = None
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Cite:
    """What a model's last words rest on: chunks `start` up to `end` of the document at that place in the request."""

    document: int
    start: int
    end: int
    text: str | None = None  # what is said to stand there; None: what does stand there


Piece = str | Cite


def document_of(block: Mapping[str, Any]) -> Document:
    """A document block of a request."""
    source = block.get("source") or {}
    if source.get("type") == "text":
        text = source.get("data", "")
        starts = [0, *(start for start, _ in list(sentence_spans(text))[1:]), len(text)]
        chunks = [text[start:end] for start, end in pairwise(starts)]
        return Document(tuple(chunks), block.get("title"), plain=True)
    content = source.get("content") or []
    content = [{"text": content}] if isinstance(content, str) else content
    return Document(tuple(chunk.get("text", "") for chunk in content), block.get("title"))


def citation(cite: Cite, documents: Sequence[Document]) -> dict[str, Any]:
    """The citation on the wire. One that points nowhere goes out as it is: a lie is for the client to find."""
    known = 0 <= cite.document < len(documents)
    document = documents[cite.document] if known else Document(())
    stands = "".join(document.chunks[cite.start : cite.end])
    start, end = cite.start, cite.end
    if document.plain:
        start, end = (len("".join(document.chunks[:at])) for at in (start, end))
    unit = "char" if document.plain else "block"
    return {
        "type": "char_location" if document.plain else "content_block_location",
        "cited_text": stands if cite.text is None else cite.text,
        "document_index": cite.document,
        "document_title": document.title,
        "file_id": None,
        f"start_{unit}_index": start,
        f"end_{unit}_index": end,
    }


def cited(text: str, documents: Sequence[Document]) -> Iterator[Piece]:
    """A text's stretches with the citations that its markers stand for."""
    at = 0
    for marker in _MARKER.finditer(text):
        said = text[at : marker.start()]
        yield said
        yield from _best(marker[1], said, documents)
        at = marker.end()
    yield text[at:]


def _best(number: str, said: str, documents: Sequence[Document]) -> list[Cite]:
    """The chunk under the section's heading that shares most words with what was said."""
    wanted = stems(said)
    found: list[tuple[int, Cite]] = []
    for index, document in enumerate(documents):
        under = ""
        for at, chunk in enumerate(document.chunks):
            if heading := _HEADING.match(chunk):
                under = heading[1]
            elif under == number:
                found.append((len(wanted & stems(chunk)), Cite(index, at, at + 1)))
    return [max(found, key=lambda pair: pair[0])[1]] if found else []
