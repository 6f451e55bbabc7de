"""What rules find for a pasted text: rows that bear its lines, and pages that speak of the same. Calls no model.

Each line is held against the matrix as a requirement is, and against the site's sentences by the rare words that they
share. Knows nothing of the form that is to be filled.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from askfit.ask.terms import content, statements
from askfit.corpus import Corpus
from askfit.fit.judgement import read_unaddressed
from askfit.fit.match import index_rows
from askfit.fit.posting import Ask, Posting
from askfit.fit.rules import Finding
from askfit.fit.rules import judge as find
from askfit.skills import Matrix
from askfit.text import sentences, words
from askfit.types import Evidence, Section

MOST_LINES = 60
FEWEST_WORDS = 2
MOST_ROWS_A_LINE = 2
MOST_PAGES = 8
PAGES_A_LINE = 4
FEWEST_SHARED = 2  # meaningful words of a line that a sentence of the site has too
LEAST_SHARED = 8.0  # in bits: two words that each stand in one section of sixteen
USUAL_LEVEL = 3.0  # asked, where a line names none


@dataclass(frozen=True, slots=True)
class Bearing:
    """Something of the owner's that bears on a line of the pasted text: a row, or a sentence of the site."""

    quote: str  # stands in the pasted text
    reason: str
    row: Evidence | None = None
    section: Section | None = None
    site_quote: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """All that the rules find; the best first."""

    posting: Posting
    rows: tuple[Bearing, ...]
    pages: tuple[Bearing, ...]

    @property
    def missing(self) -> tuple[Bearing, ...]:
        """The items of the pasted text's lists that no row and no page bears."""
        borne = {one.quote for one in (*self.rows, *self.pages)}
        title = self.posting.title
        items = (
            line.text for line in self.posting.lines if line.is_item and line.kind != "dropped" and line.text != title
        )
        return tuple(Bearing(item, "Nothing here shows it.") for item in items if borne.isdisjoint(sentences(item)))

    @property
    def said(self) -> str:
        """One sentence that tells what was found, as code says it."""
        named = ", ".join(one.row.skill for one in self.rows[:3] if one.row)
        titles = list(dict.fromkeys(f"“{one.section.title}”" for one in self.pages if one.section))
        told = [f"rows of the matrix on {named}"] if named else []
        told += [f"the page{'s' if titles[1:] else ''} {', '.join(titles[:3])}"] if titles else []
        return f"What speaks for it: {' and '.join(told)}." if told else "Nothing given here speaks for it."


def find_bearings(pasted: str, matrix: Matrix | None, corpus: Corpus | None) -> Found:
    """Read what was pasted, without what in it speaks to its reader, and find what bears on its lines."""
    posting = read_unaddressed(pasted)
    lines = _lines(posting)
    rows = tuple(_rows(posting, lines, matrix)) if matrix else ()
    pages = tuple(_pages(lines, corpus)) if corpus else ()
    return Found(posting, rows, pages)


def _lines(posting: Posting) -> list[str]:
    """Every sentence and item, its headings too: a call names its topics anywhere."""
    found = (part for line in posting.lines if line.kind != "dropped" for part in sentences(line.text))
    return list(dict.fromkeys(part for part in found if len(words(part)) >= FEWEST_WORDS))[:MOST_LINES]


def _rows(posting: Posting, lines: list[str], matrix: Matrix) -> Iterator[Bearing]:
    """Each row once, where it bears most; only rows that a line names, under whatever name."""
    share = 1 / max(1, len(lines))
    asks = tuple(
        Ask(f"l{at}", line, line, "preferred", share, "estimated", USUAL_LEVEL) for at, line in enumerate(lines)
    )
    findings = find(replace(posting, asks=asks), index_rows(matrix.skills))
    best: dict[int, tuple[tuple[float, float], Bearing]] = {}
    for finding in findings:
        for row in _named(finding):
            rank = (row.level, finding.answer.credit)
            if row.row not in best or rank > best[row.row][0]:
                best[row.row] = (rank, Bearing(finding.ask.quote, f"{row.skill} at {row.level:g} of 5.", row))
    yield from (one for _, one in sorted(best.values(), key=lambda pair: pair[0], reverse=True))


def _named(finding: Finding) -> list[Evidence]:
    if finding.band == "gap":
        return []
    return [row for row in finding.evidence if row.relation != "adjacent"][:MOST_ROWS_A_LINE]


def _pages(lines: list[str], corpus: Corpus) -> Iterator[Bearing]:
    """Each section once, by the sentence of it that shares the rarest words with a line."""
    best: dict[str, tuple[float, Bearing]] = {}
    seen: Counter[str] = Counter()
    many = len(corpus.sections)
    for line in lines:
        wanted = frozenset(content(line))
        for passage in corpus.search(line, PAGES_A_LINE):
            for statement in statements(passage.section.text):
                sentence = passage.section.text[statement.start : statement.end]
                shared = wanted.intersection(statement.stems)
                bits = sum(math.log2(many / max(1, corpus.frequency(one))) for one in shared)
                if len(shared) < FEWEST_SHARED or bits < LEAST_SHARED:
                    continue
                if bits > best.get(passage.section.id, (0.0,))[0]:
                    reason = f"“{passage.section.title}” speaks of it."
                    said = Bearing(line, reason, None, passage.section, sentence)
                    best[passage.section.id] = (bits, said)
    ranked: list[tuple[int, float, Bearing]] = []
    for bits, one in sorted(best.values(), key=lambda pair: -pair[0]):
        ranked.append((seen[one.quote], -bits, one))
        seen[one.quote] += 1
    yield from (one for *_, one in sorted(ranked, key=lambda each: each[:2])[:MOST_PAGES])  # each line once, then twice
