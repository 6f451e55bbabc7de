"""What may bear a sentence: each section with its title, read once into facts, and an index to find sections by words.

Memory is bounded: a word that stands in very many sections tells nothing and is not kept; sections are read when they
are first needed, and the longest unused are forgotten. Knows nothing of what is to be borne.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from askfit.ask.ground.facts import Fact, facts, fold
from askfit.ask.prompt import Shared
from askfit.ask.terms import content
from askfit.corpus import Corpus
from askfit.text import sentence_spans, stem, words
from askfit.types import Section

MOST_SECTIONS = 1_500  # of one word: past that it finds nothing
MOST_WORDS_SOUGHT = 10  # of one sentence: its rarest
MOST_UNITS_KEPT = 4_096
MOST_PAIRS = 8  # of dates in a line that a duration may be derived from

Date = tuple[int | None, int | None, int | None]


@dataclass(frozen=True, slots=True)
class Said:
    """A stretch of text and the facts in it."""

    line: int  # paragraph or list item
    stems: frozenset[str]  # of its meaningful words
    words: frozenset[str]  # every word folded, and its stem
    names: frozenset[str]  # folded words that have a capital within a sentence
    values: frozenset[float]
    percents: frozenset[float]
    dates: tuple[Date, ...]
    after: Mapping[float, frozenset[str]]  # value → stems of the words behind it: what it counts
    units: Mapping[float, frozenset[str]]  # value → "%", "year", …; "" for a count of things
    text: str  # folded, for addresses and initials
    raw: str


@dataclass(frozen=True, slots=True)
class Unit:
    """A section, or an earlier turn: its sentences, and what its title says of all of them."""

    head: Said
    said: tuple[Said, ...]
    durations: Mapping[int, frozenset[int]]  # line → months between its dates; line -1: the head's
    words: frozenset[str]  # of all
    stems: frozenset[str]


def unit_of(title: str, text: str, opening: str = "") -> Unit:
    """Read a section. `opening` is what its page says before the first heading: often whose page it is, and when."""
    said: list[Said] = []
    for line, paragraph in enumerate(text.split("\n")):
        said += [read(paragraph[start:end], line) for start, end in sentence_spans(paragraph)]
    head = read(f"{title}\n{opening}", -1)
    lines: dict[int, list[Date]] = {-1: list(head.dates)}
    for one in said:
        lines.setdefault(one.line, []).extend(one.dates)
    durations = {line: spans for line, dates in lines.items() if (spans := _durations(dates))}
    every = head.words.union(*(one.words for one in said))
    return Unit(head, tuple(said), durations, every, head.stems.union(*(one.stems for one in said)))


def read(text: str, line: int = 0) -> Said:
    """The facts of a stretch of text."""
    found = facts(text)
    every = frozenset(form for word in words(text) for form in forms(word))
    numbers = [one for one in found if one.values]
    return Said(
        line,
        frozenset(content(text)),
        every,
        frozenset(fold(one.text) for one in found if one.kind == "name" and not one.initial),
        frozenset(value for one in numbers for value in one.values),
        frozenset(value for one in numbers if one.unit == "%" for value in one.values),
        _years_carried([one for one in found if one.kind == "date"]),
        _after(text, numbers),
        _units(numbers),
        " ".join(text.casefold().split()),
        text,
    )


@lru_cache(maxsize=65_536)
def forms(word: str) -> tuple[str, ...]:
    """What a word is found by: itself without accents and possessive, and its stem."""
    folded = fold(word)
    return (folded, stem(folded)) if len(folded) > 3 else (folded,)


def _years_carried(dates: Sequence[Fact]) -> tuple[Date, ...]:
    """ "From April to September 2021": April is of that year too."""
    carried: list[Date] = []
    year: int | None = None
    for one in reversed(dates):
        own, month, day = one.date
        carried.append(one.date)
        if own is None and year is not None and month:
            carried.append((year, month, day))
        year = own or year
    return tuple(dict.fromkeys(reversed(carried)))


def _after(text: str, numbers: Sequence[Fact]) -> dict[float, frozenset[str]]:
    found: dict[float, frozenset[str]] = {}
    for one in numbers:
        behind = counts(text, one)
        for value in one.values:
            found[value] = found.get(value, frozenset()) | behind
    return found


def _units(numbers: Sequence[Fact]) -> dict[float, frozenset[str]]:
    found: dict[float, frozenset[str]] = {}
    for one in numbers:
        for value in one.values if one.kind == "number" else ():
            found[value] = found.get(value, frozenset()) | {one.unit}
    return found


@lru_cache(maxsize=1024)
def listed(text: str) -> frozenset[int]:
    """How many things a list within a sentence names: "Jira, Notion and Figma" are three.

    A list of figures adds up to something else and is left out.
    """
    found = set[int]()
    for part in text.replace(";", ":").split(":"):
        commas = part.count(", ")
        if commas and not any(one.kind == "number" for one in facts(part)):
            found.add(commas + (1 if ", and " in part or " and " not in part else 2))
    return frozenset(found)


def counts(text: str, one: Fact) -> frozenset[str]:
    """The stems of the two meaningful words behind a figure: what it counts."""
    behind = _PAUSE.split(text[one.end : one.end + 40], maxsplit=1)[0]
    return frozenset([stem for stem in content(behind) if not stem.isdigit()][:2])


def _durations(dates: Sequence[Date]) -> frozenset[int]:
    """Months between dates that stand in one line. "From 2010 to 2013" may be three years or four."""
    whole = [(year, month) for year, month, _ in dates if year and year > 999 and (month or 0) <= 12][:MOST_PAIRS]
    pairs = [(one, other) for at, one in enumerate(whole) for other in whole[at + 1 :]]
    longest = {_months(later, end, last=True) - _months(year, month) for (year, month), (later, end) in pairs}
    plain = {(later - year) * 12 for (year, month), (later, end) in pairs if not (month and end)}
    return frozenset(months for months in longest | plain if months > 0)


def _months(year: int, month: int | None, *, last: bool = False) -> int:
    return year * 12 + (month or (12 if last else 1)) - 1


_PAUSE = re.compile(
    r"[.,;:!?()\[\]–—\"“”\n]| (?:to|in|from|at|on|by|and|or|of|instead|with|for|as|that|who|which"
    r"|were|was|is|are|had|during|over|after|before|within|while) "
)


class Evidence:
    """A corpus, made ready to bear sentences. Built once for a corpus; safe to read from any thread."""

    def __init__(self, sections: Sequence[Section]) -> None:
        self.sections = sections
        self._openings = _openings(sections)
        self._unit = lru_cache(maxsize=MOST_UNITS_KEPT)(self._read)
        self._postings: dict[str, array[int] | None] = {}
        self._plain: set[str] = set()  # words that stand somewhere in lower case
        self._known: set[str] = set()  # every word's forms
        for at, section in enumerate(sections):
            self._add(at, section)

    def _add(self, at: int, section: Section) -> None:
        text = f"{section.title} {section.heading}\n{section.text}"
        for word in set(text.split()):
            bare = word.strip(".,;:!?()[]\"'“”‘’*_–—")
            if bare.islower():
                self._plain.add(fold(bare))
        for one in set(content(text)):
            held = self._postings.get(one, _EMPTY)
            if held is _EMPTY:
                self._postings[one] = array("I", (at,))
            elif held is not None:
                held.append(at)
                if len(held) > MOST_SECTIONS:
                    self._postings[one] = None
        for word in set(words(text)):
            self._known.update(forms(word))

    def weight(self, one: str) -> float:
        """How telling a stem is: 0 is nothing at all; unknown to the corpus: as the rarest."""
        held = self._postings.get(one, _EMPTY)
        count = MOST_SECTIONS if held is None else max(1, len(held))
        return math.log(1 + len(self.sections) / count)

    def writes_small(self, word: str) -> bool:
        """Does the site write this folded word without a capital somewhere?"""
        return word in self._plain

    def knows(self, form: str) -> bool:
        """Does a folded word, or a stem, stand anywhere on the site?"""
        return form in self._known

    def unit(self, at: int) -> Unit:
        """The section at a place of the corpus."""
        return self._unit(at)

    def _read(self, at: int) -> Unit:
        section = self.sections[at]
        opening = self._openings.get(section.document, "")
        return unit_of(f"{section.title}\n{section.heading}\n{_dated(section)}", section.text, opening)

    def near(self, stems: Iterable[str], telling: frozenset[str], most: int) -> list[int]:
        """The sections that hold most of the stems, the rarest weighing most, and the telling ones twice."""
        sought = [
            (held, self.weight(one) * (2 if one in telling else 1))
            for one in stems
            if (held := self._postings.get(one))
        ]
        sought.sort(key=lambda pair: len(pair[0]))
        scores: dict[int, float] = {}
        for held, weight in sought[:MOST_WORDS_SOUGHT]:
            for at in held:
                scores[at] = scores.get(at, 0.0) + weight
        return sorted(scores, key=scores.__getitem__, reverse=True)[:most]


_EMPTY: array[int] = array("I")
MOST_OPENING_CHARACTERS = 600


def _openings(sections: Sequence[Section]) -> dict[str, str]:
    """Of each page the text before its first heading, where it has headings too."""
    found = {section.document: section.text[:MOST_OPENING_CHARACTERS] for section in sections if not section.heading}
    headed = {section.document for section in sections if section.heading}
    return {document: text for document, text in found.items() if document in headed}


def _dated(section: Section) -> str:
    """The date that a page's address or file name carries."""
    figures = [part for part in section.document.replace("/", "-").split("-") if part.isdigit()]
    return "-".join(figures[:3]) if len(figures) >= 3 and len(figures[0]) == 4 else ""


class SearchedEvidence(Evidence):
    """Of a corpus that is too large to be held in memory: its own search finds and counts."""

    def __init__(self, corpus: Corpus) -> None:
        super().__init__(())
        self.sections = corpus.sections
        self._corpus = corpus
        self._frequency = lru_cache(maxsize=65_536)(corpus.frequency)

    def weight(self, one: str) -> float:
        return math.log(1 + len(self.sections) / max(1, self._frequency(one)))

    def writes_small(self, word: str) -> bool:
        return True  # not known: a single word that opens a sentence is taken for an ordinary one

    def knows(self, form: str) -> bool:
        return self._frequency(form) > 0

    def near(self, stems: Iterable[str], telling: frozenset[str], most: int) -> list[int]:
        ranked = sorted(stems, key=lambda one: (one not in telling, -self.weight(one)))[:MOST_WORDS_SOUGHT]
        found = self._corpus.search(" ".join(ranked), most)
        return [self._corpus.numbers[passage.section.id] - 1 for passage in found]


@lru_cache(maxsize=2)
def evidence(shared: Shared) -> Evidence:
    """The evidence of a corpus, built when it is first asked for."""
    return Evidence(shared.corpus.sections) if shared.corpus.held else SearchedEvidence(shared.corpus)
