"""The posting on a web page or in a document: what the page says of it for machines, else its main part.

Job pages carry a JobPosting of schema.org for search engines: title and description with nothing around them. A page's
markup also holds navigation, other openings and banners. Knows bytes and markup, nothing of networks or skills.
"""

from __future__ import annotations

import asyncio
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from askfit.corpus.readers import read_file
from askfit.errors import InputError
from askfit.fetching import Fetched, Fetcher, FetchError
from askfit.fit.pasted import MOST_PASTED_CHARS, clean_posting

DOCUMENTS = {
    "application/pdf": ".pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
}
FEWEST_CHARS = 200  # of a page's text: less is a page that a script fills in
FEWEST_DESCRIBED_CHARS = 300  # of a JobPosting's description: less is a teaser
MOST_DEPTH = 8  # of JSON-LD
# Deep nesting costs the parser the square of its depth: 10,000 open elements 0.3 s, 20,000 1.7 s (2026-11-21).
MOST_PAGE_TAGS = 10_000  # without its scripts
MOST_PROSE_TAGS = 3_000  # of one text within JSON-LD
MOST_NOTES = 20  # scripts of JSON-LD on one page
MOST_LINE_CHARS = 200
MOST_ITEM_CHARS = 2_000

_BARE_ADDRESS = re.compile(r"\s*(https?://[^\s<>\"]+)\s*", re.IGNORECASE)
_NOISE = (
    "script,style,noscript,template,nav,header,footer,aside,form,button,svg,iframe,dialog,"
    "[hidden],[aria-hidden=true],[role=navigation],[role=banner],[role=contentinfo],[role=dialog],[role=search]"
)
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?([\w-]{2,40})", re.IGNORECASE)
# What some sites keep beside the description: property → its heading, in the words that postings use.
PARTS = {
    "responsibilities": "Responsibilities",
    "qualifications": "Qualifications",
    "experienceRequirements": "Experience",
    "educationRequirements": "Education",
    "skills": "Skills",
}


def address_in(posting: str) -> str:
    """The address, where a posting is nothing else; "" where it is more."""
    found = _BARE_ADDRESS.fullmatch(posting) if len(posting) < 2_100 else None
    return found[1] if found else ""


async def fetch_posting(url: str, fetcher: Fetcher) -> str:
    """The posting's text from an address; FetchError with one sentence where there is none."""
    fetched = await fetcher.fetch(url)
    return await asyncio.to_thread(posting_of, fetched)  # parsing a large page is no work for the loop


def posting_of(fetched: Fetched) -> str:
    """The posting that a fetched page holds."""
    if ending := DOCUMENTS.get(fetched.media):
        return document_text(Path(f"posting{ending}"), fetched.data, fetched.url)
    shown = _decoded(fetched)
    if fetched.media in ("text/plain", "text/markdown"):
        return shown
    return _of_page(shown, fetched.url)


def document_text(path: Path, data: bytes, name: str) -> str:
    """The text of a PDF or Word document, headings marked; InputError with what is wrong in it."""
    page = read_file(path, name, data)
    if page.faults and not page.blocks:
        fault = page.faults[0]
        raise InputError(f"posting_{fault.code}", f"{fault.file}: {fault.message}", fault.next_step)
    return "\n".join(f"{'#' * block.level} {block.text}".lstrip() for block in page.blocks)


def _decoded(fetched: Fetched) -> str:
    """By the mark at its beginning, the server's word, the page's own, and UTF-8; what does not fit is replaced."""
    data = fetched.data
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    own = _META_CHARSET.search(data[:4_096])
    for charset in (fetched.charset, own[1].decode("ascii") if own else "", "utf-8-sig"):
        try:
            return data.decode(charset)
        except (LookupError, UnicodeDecodeError):
            continue
    return data.decode("cp1252", "replace")


# ---------------------------------------------------------------- a page


def _of_page(markup: str, url: str) -> str:
    notes, markup = _without_scripts(markup)
    postings = _distinct(_postings(notes))
    named = [one for one in postings if _same_page(one.get("url"), url)]
    chosen = named if len(named) == 1 else postings
    if len(chosen) > 1:
        raise FetchError(
            "url_unsuitable",
            f"{url} lists {len(chosen)} postings.",
            "Open the one that is meant, and give its address.",
        )
    told = _told(chosen[0]) if chosen else ""
    if len(told) >= FEWEST_DESCRIBED_CHARS:
        return told
    if _tags(markup) > MOST_PAGE_TAGS:
        raise FetchError("posting_too_long", f"{url} has too much markup to read.", "Paste the posting's own text.")
    shown = max(told, _main_part(markup), key=len)
    if len(shown) < FEWEST_CHARS:
        raise FetchError(
            "url_unsuitable",
            f"{url} shows hardly any text without running its scripts.",
            "Copy the posting from your browser and paste it.",
        )
    return shown


_SCRIPT = re.compile(r"<(?P<tag>script|style)\b(?P<attributes>[^<>]{0,1000})>", re.IGNORECASE)
_SCRIPT_END = {tag: re.compile(rf"</{tag}", re.IGNORECASE) for tag in ("script", "style")}


def _without_scripts(markup: str) -> tuple[list[str], str]:
    """(the page's JSON-LD, the markup without scripts and styles), in one pass: a page may be hostile."""
    notes: list[str] = []
    kept: list[str] = []
    at = 0
    while opening := _SCRIPT.search(markup, at):
        closing = _SCRIPT_END[opening["tag"].lower()].search(markup, opening.end())
        end = closing.start() if closing else len(markup)
        kept.append(markup[at : opening.start()])
        if "application/ld+json" in opening["attributes"].lower() and len(notes) < MOST_NOTES:
            notes.append(markup[opening.end() : end])
        at = markup.find(">", end) + 1 if closing else end
        if not at:
            return notes, "".join(kept)
    return notes, "".join((*kept, markup[at:]))


def _tags(markup: str) -> int:
    """How many tags there may be, those included that are escaped: a reader may unescape them."""
    return html.unescape(markup).count("<")


def _main_part(markup: str) -> str:
    """The page's main part as lines, its lists and headings marked."""
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(markup)
    title = tree.css_first("h1")
    heading = " ".join(title.text().split()) if title else ""
    for node in tree.css(_NOISE):
        node.decompose()
    body = tree.css_first("main, [role=main]") or tree.css_first("article") or tree.body
    shown = _lines(body.html or "") if body else ""
    return shown if not heading or heading in shown else f"{heading}\n{shown}"  # some keep their title in a banner


def _lines(markup: str) -> str:
    """Markup as the posting's reader sees it; "" where nothing is left."""
    try:
        return clean_posting(markup[:MOST_PASTED_CHARS])
    except InputError as error:
        if error.code == "posting_empty":
            return ""
        raise


# ---------------------------------------------------------------- schema.org's JobPosting


def _postings(notes: list[str]) -> Iterator[dict[str, Any]]:
    """Every JobPosting that the page describes for machines."""
    for text in notes:
        try:
            note = json.loads(_BRACKETS.sub("", text), strict=False)  # line ends inside a description are common
        except (ValueError, RecursionError):
            continue
        yield from _within(note, MOST_DEPTH)


_BRACKETS = re.compile(r"\A\s*(?:<!--|//\s*<!\[CDATA\[|<!\[CDATA\[)|(?:-->|(?://)?\s*\]\]>)\s*\Z")


def _within(note: Any, depth: int) -> Iterator[dict[str, Any]]:
    if depth and isinstance(note, list):
        for each in note:
            yield from _within(each, depth - 1)
    elif depth and isinstance(note, dict):
        kinds = note.get("@type")
        kinds = kinds if isinstance(kinds, list) else [kinds]
        if any(str(kind).rpartition("/")[2] == "JobPosting" for kind in kinds):
            yield note
            return
        for each in note.values():
            yield from _within(each, depth - 1)


def _distinct(postings: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without repetitions: pages often describe their job twice."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for posting in postings:
        found.setdefault((_line(posting.get("title")), _line(posting.get("description"))), posting)
    return list(found.values())


def _same_page(given: Any, url: str) -> bool:
    def plain(address: str) -> str:
        return address.partition("#")[0].partition("?")[0].partition("://")[2].rstrip("/").casefold()

    return isinstance(given, str) and bool(plain(given)) and plain(given) == plain(url)


def _told(posting: dict[str, Any]) -> str:
    """Title, company and place a line each, then the description and what stands beside it."""
    company, place = _line(_name(posting.get("hiringOrganization"))), _place(posting)
    head = [
        _line(posting.get("title") or posting.get("name")),
        f"Company: {company}" if company else "",
        f"Location: {place}" if place else "",
    ]
    described = _prose(posting.get("description"))
    parts = [described] if described else []
    for key, heading in PARTS.items():
        said = _prose(posting.get(key))
        if said and said not in described:
            parts.append(f"{heading}:\n{said}")
    return "\n\n".join(("\n".join(filter(None, head)), *parts)).strip() if parts else ""


def _prose(value: Any) -> str:
    """A text with its markup as lines; a list's items with a dash each; what is built of parts is left out."""
    if isinstance(value, list):
        return "\n".join(f"- {_line(item, MOST_ITEM_CHARS)}" for item in value if _line(item))
    return _lines(value) if isinstance(value, str) and _tags(value) <= MOST_PROSE_TAGS else ""


def _name(value: Any) -> Any:
    value = value[0] if isinstance(value, list) and value else value
    return value.get("name") if isinstance(value, dict) else value


def _place(posting: dict[str, Any]) -> str:
    """Where the work is, as far as it is said in words."""
    places = posting.get("jobLocation")
    found = []
    for place in places if isinstance(places, list) else [places]:
        address = place.get("address") if isinstance(place, dict) else place
        if isinstance(address, dict):
            parts = (_line(_name(address.get(key))) for key in ("addressLocality", "addressRegion", "addressCountry"))
            address = ", ".join(dict.fromkeys(filter(None, parts)))
        found.append(_line(address))
    remote = "Remote" if posting.get("jobLocationType") == "TELECOMMUTE" else ""
    return "; ".join(dict.fromkeys(filter(None, (remote, *found[:5]))))


def _line(value: Any, most_chars: int = MOST_LINE_CHARS) -> str:
    """A value as one line of words; "" where it is none."""
    return " ".join(html.unescape(value).split())[:most_chars] if isinstance(value, str) else ""
