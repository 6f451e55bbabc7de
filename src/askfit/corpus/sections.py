"""Blocks of a page → a Document of sections with stable ids, anchors and addresses. Knows no forms."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatch

from askfit.config import Settings
from askfit.corpus.index import storable
from askfit.corpus.readers import Block, Page
from askfit.corpus.sources import Source
from askfit.text import estimate_tokens
from askfit.types import Document, Section

MOST_WORDS = 400  # of one section: longer ones are parted between paragraphs, so that a passage stays a passage
_DATED = re.compile(r"^(?P<folder>(?:.*/)?)(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})-(?P<slug>[^/]+)$")


@dataclass(slots=True)
class _Open:
    """A section while its blocks come."""

    heading: str
    anchor: str
    lines: list[str] = field(default_factory=list)


def make_document(settings: Settings, source: Source, page: Page, sha: str) -> Document:
    """One page as a document."""
    title = storable(page.title) or re.sub(r"[-_]+", " ", source.id.rsplit("/", 1)[-1]).strip().capitalize()
    url = _address(settings, source, page)
    sections = tuple(_sections(source.id, title, url, page.blocks))
    return Document(source.id, title, url, source.name, sha, page.date or _dated(source.id), sections)


def _sections(document: str, title: str, url: str, blocks: tuple[Block, ...]) -> Iterator[Section]:
    used: dict[str, int] = {}
    for part in _parted(_grouped(title, blocks)):
        anchor = _free(part.anchor, used) if part.anchor else ""
        id = f"{document}#{anchor}" if anchor else (document if not used.get("") else f"{document}#{used['']}")
        used[""] = used.get("", 0) + (not anchor)
        heading, text = storable(part.heading), storable("\n".join(part.lines))
        address = f"{url}#{part.anchor}" if part.anchor and url else url
        yield Section(id, document, title, heading, text, address, estimate_tokens(f"{heading}\n{text}"))


def _grouped(title: str, blocks: tuple[Block, ...]) -> Iterator[_Open]:
    """Text under each heading; the first top heading that only repeats the title opens no section."""
    trail: list[tuple[int, str]] = []
    current = _Open("", "")
    taken: dict[str, int] = {}
    for block in blocks:
        if not block.level:
            current.lines.append(block.text)
            continue
        anchor = block.anchor or _numbered(slug(block.text), taken)
        if block.level == 1 and block.text == title and not trail:
            continue
        if current.lines:
            yield current
        trail = [entry for entry in trail if entry[0] < block.level] + [(block.level, block.text)]
        current = _Open(" › ".join(text for _, text in trail), anchor)
    if current.lines:
        yield current


def _parted(parts: Iterator[_Open]) -> Iterator[_Open]:
    for part in parts:
        piece = _Open(part.heading, part.anchor)
        count = 0
        for line in part.lines:
            words = line.count(" ") + 1
            if piece.lines and count + words > MOST_WORDS:
                yield piece
                piece, count = _Open(part.heading, part.anchor), 0
            piece.lines.append(line)
            count += words
        yield piece


def slug(heading: str) -> str:
    """The anchor that GitHub, Jekyll and most generators make of a heading."""
    text = unicodedata.normalize("NFC", heading).lower()
    return re.sub(r"[^\w\- ]+", "", text).strip().replace(" ", "-") or "section"


def _numbered(anchor: str, taken: dict[str, int]) -> str:
    """A repeated heading's anchor is numbered, as generators do: about, about-1."""
    count = taken.get(anchor, 0)
    taken[anchor] = count + 1
    return f"{anchor}-{count}" if count else anchor


def _free(anchor: str, used: dict[str, int]) -> str:
    """A part of a long section keeps its anchor's name and gets a number of its own: about, about~2."""
    used[anchor] = used.get(anchor, 0) + 1
    return anchor if used[anchor] == 1 else f"{anchor}~{used[anchor]}"


def _dated(id: str) -> str:
    match = _DATED.match(id)
    return f"{match['y']}-{match['m']}-{match['d']}" if match else ""


def _address(settings: Settings, source: Source, page: Page) -> str:
    """The page's address: its own word, the owner's pattern, or its place; "" where none of them tells."""
    site = settings.site.url
    if page.address.startswith(("https://", "http://")):
        return page.address
    pattern = next((form for glob, form in settings.file.corpus.urls.items() if fnmatch(source.name, glob)), "")
    path = page.address or (_filled(pattern, source, page) if pattern else _placed(source, page))
    return f"{site}/{path.lstrip('/')}" if site and path is not None else ""


def _placed(source: Source, page: Page) -> str | None:
    """Where a generator puts it; None of a file that is served as it is, but from where cannot be known."""
    if source.path.suffix.lower() in (".pdf", ".docx", ".txt", ".json"):
        return None if source.is_outside else source.name
    if match := _DATED.match(source.id):
        return f"{match['y']}/{match['m']}/{match['d']}/{page.slug or match['slug']}/"
    place = source.id if source.id != "index" else ""
    place = place.removesuffix("/index")
    if page.slug:
        place = "/".join([*place.split("/")[:-1], page.slug])
    return f"{place}/" if place else ""


def _filled(pattern: str, source: Source, page: Page) -> str:
    match = _DATED.match(source.id)
    stamp = page.date or _dated(source.id) or date.min.isoformat()
    year, month, day = [*stamp.split("-"), "", ""][:3]
    name = match["slug"] if match else source.id.rsplit("/", 1)[-1]
    values = {"slug": page.slug or name, "year": year, "month": month, "day": day, "path": source.id}
    return re.sub(r"\{(\w+)\}", lambda slot: values.get(slot.group(1), slot.group()), pattern)
