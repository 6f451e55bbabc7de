"""Find the words of a section that bear a sentence of an answer. Knows nothing of who wrote the sentence."""

from __future__ import annotations

import re
from urllib.parse import quote as percent_encoded

from askfit.ask.terms import Statement, content, statements
from askfit.text import stands_in
from askfit.types import Citation, Section

MOST_QUOTE_CHARACTERS = 300
LEAST_SHARE = 0.34  # of the sentence's meaningful words: under a third, another sentence is meant
MOST_FRAGMENT_WORDS = 10  # of a quote that an address carries whole; a longer one is told by its ends
END_WORDS = 4
# Cells of a table, and what a page's typographer draws as a dash or an ellipsis: no browser finds words across these.
_REDRAWN = re.compile(r" \| |\s*(?:-{2,3}|\.{3})\s*")
_NO_PAGE = (".pdf", ".docx", ".txt", ".json", ".md")
LEAST_SHARED = 3  # words that bear a sentence even where it is long


def bearing_quote(sentence: str, section: Section) -> str | None:
    """The sentence or two of the section that best bear the sentence, word for word; None where none does."""
    asked = frozenset(content(sentence))
    stated = statements(section.text)
    if not asked or not stated:
        return None
    best = max(range(len(stated)), key=lambda at: len(asked.intersection(stated[at].stems)))
    if not _bears(asked, stated[best], section):
        return None
    quote = _cut(section.text, *_widened(asked, stated, best), asked)
    return quote if stands_in(quote, section.text) else None


def _bears(asked: frozenset[str], statement: Statement, section: Section) -> bool:
    """Enough of the sentence stands there; the heading counts with what stands under it, a figure counts by itself."""
    shared = asked.intersection(statement.stems)
    if not shared:
        return False
    with_heading = shared | asked.intersection(content(f"{section.title} {section.heading}"))
    return (
        len(with_heading) >= LEAST_SHARE * len(asked)
        or len(shared) >= LEAST_SHARED
        or any(stem.isdigit() for stem in shared)
    )


def _widened(asked: frozenset[str], stated: tuple[Statement, ...], best: int) -> tuple[int, int]:
    """The best sentence, with the neighbour that bears what it leaves open, if both fit into a quote."""
    start, end = stated[best].start, stated[best].end
    left = asked.difference(stated[best].stems)
    for other in (best + 1, best - 1):
        if 0 <= other < len(stated) and len(left.intersection(stated[other].stems)) >= 2:
            wider = min(start, stated[other].start), max(end, stated[other].end)
            if wider[1] - wider[0] <= MOST_QUOTE_CHARACTERS:
                return wider
    return start, end


def _cut(text: str, start: int, end: int, asked: frozenset[str]) -> str:
    """The quote; of a sentence that is too long, the whole words from a little before the first shared one on."""
    if end - start <= MOST_QUOTE_CHARACTERS:
        return text[start:end]
    at, starts = start, [start]
    while (space := text.find(" ", at, end)) != -1:
        at = space + 1
        starts.append(at)
    last = next((begin for begin in reversed(starts) if end - begin <= MOST_QUOTE_CHARACTERS), starts[-1])

    def shared(begin: int) -> int:
        return len(asked.intersection(content(text[begin : begin + MOST_QUOTE_CHARACTERS])))

    begin = max([*starts[: starts.index(last) + 1 : 4], last], key=shared)
    piece = text[begin : min(end, begin + MOST_QUOTE_CHARACTERS)]
    whole = piece if begin + len(piece) >= end else piece.rpartition(" ")[0] or piece
    return whole.strip()


def quoted(index: int, section: Section, quote: str) -> Citation:
    """The citation of these words of a section for the answer's sentence of that index."""
    url = place(section.url, quote)
    return Citation(
        sentence=index,
        document=section.document,
        section=section.id,
        url=url,
        quote=quote,
        title="" if url else section.titled,
    )


def place(url: str, quote: str) -> str:
    """The address that opens the page at the quoted words: a text fragment, behind the section's anchor if it has one.

    A browser that does not know text fragments, or does not find the words, opens the anchor.
    """
    page, _, anchor = url.partition("#")
    lines = [max(_REDRAWN.split(line), key=len) for line in quote.split("\n")]
    lines = [line for line in lines if line.strip()]
    if not page or not lines or page.casefold().endswith(_NO_PAGE) or anchor.startswith(("/", "!")) or ":~:" in anchor:
        return url
    first, last = lines[0].split(), lines[-1].split()
    if len(lines) == 1 and len(first) <= MOST_FRAGMENT_WORDS:
        return f"{page}#{anchor}:~:text={_encoded(first)}"
    return f"{page}#{anchor}:~:text={_encoded(first[:END_WORDS])},{_encoded(last[-END_WORDS:])}"


def _encoded(words: list[str]) -> str:
    """Everything that a text fragment could take for its own syntax is encoded, the hyphen included."""
    return percent_encoded(" ".join(words), safe="").replace("-", "%2D")
