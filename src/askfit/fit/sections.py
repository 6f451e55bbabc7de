"""Cut a posting into lines and say what each is: must, preferred, responsibility, or nothing asked.

Headings decide where there are any; elsewhere cue words and the usual order (tasks, then musts, then pluses) do. Knows
nothing of skills or of a matrix.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Literal, cast

from askfit import text
from askfit.fit.wording import cues, pattern, patterns

LineKind = Literal["must", "preferred", "responsibility", "about", "dropped", "heading", "other"]

MOST_LINE_CHARS = 600  # of one sentence or item; nobody writes a longer one
LONG_LINE_CHARS = 220  # past this an item is read sentence by sentence
WIDEST_WRAP_CHARS = 120  # a text with longer lines is not wrapped by hand
WRAPPED_SHARE = 0.6  # of neighbouring lines that break where the next word had no room
HEADING_WORDS = 9
KEYWORD_LIST_ITEMS = 8  # so many short items between commas are a list of keywords, not a sentence


@dataclass(frozen=True, slots=True)
class Line:
    """One item, sentence or heading of a posting; its text stands there word for word."""

    text: str
    kind: LineKind
    under: str = ""  # the heading that it stands under; "" where there is none
    level: int = 0  # of a heading: 1 the title … 6; 7 a bold, colon or capital line
    is_item: bool = False  # stands on lines of its own


_ASKED: tuple[LineKind, ...] = ("responsibility", "must", "preferred")
NOTHING_ASKED_SCORE = 0.5  # a line needs more cue than this to be asked of anyone
BACKWARD_COST = 4.0  # postings go from tasks to musts to pluses; going back needs evidence
FORWARD_COST = 1.5

_BULLET = re.compile(r"^\s*(?:[-*+•‣▪◦●○·–—➢►▶✓✔»>§\uf0b7]|o(?=\s)|\(?\d{1,2}[.)](?=\s)|[a-z][.)](?=\s))\s*")
_MARKS = re.compile(r"^[#\s*_>|]+|[#\s*_|]+$")
_BOLD = re.compile(r"^\s*(?:\*\*|__)(?P<inside>[^*_]+)(?:\*\*|__)\s*:?\s*$")
_INLINE = re.compile(r"^(?P<head>[^:.!?]{3,60}):\s+(?P<rest>\S.{12,})$")


def read_lines(posting: str) -> list[Line]:
    """Every heading, item and sentence of a cleaned posting with its kind, in order."""
    lines = list(_under_headings(_items(posting)))
    if any(line.kind in _ASKED for line in lines):
        return [_with_own_kind(line) for line in lines]
    return _in_order(lines)


# ---------------------------------------------------------------- lines and headings


@dataclass(frozen=True, slots=True)
class _Item:
    text: str
    is_bullet: bool
    level: int  # 0 unless it is a heading


def _items(posting: str) -> list[_Item]:
    """The posting's lines, wrapped ones joined, headings told from items."""
    letters = [char for char in posting if char.isalpha()]
    shouts = sum(map(str.isupper, letters)) > 0.5 * len(letters)  # then capitals do not mark a heading
    rows = posting.split("\n")
    width = _wrap_width(rows)
    items: list[_Item] = []
    blank = True
    for raw in rows:
        if not re.search(r"\w", raw):
            blank = True
            continue
        item = _item(raw, shouts)
        if items and not blank and _goes_on(items[-1], raw, item, width):
            items[-1] = replace(items[-1], text=f"{items[-1].text}\n{raw.rstrip()}")
        else:
            items.append(item)
        blank = False
    return items


def _item(raw: str, shouts: bool) -> _Item:
    bullet = _BULLET.match(raw)
    level = 0
    if marks := re.match(r"^\s{0,3}(#{1,6})\s", raw):
        level = len(marks[1])
    elif _BOLD.match(raw) or (not bullet and _looks_like_heading(raw, shouts)):
        level = 7
    text_of_it = raw.strip() if level else raw[bullet.end() if bullet else 0 :].strip()
    return _Item(text_of_it, bool(bullet) and not level, level)


def _looks_like_heading(raw: str, shouts: bool) -> bool:
    bare = raw.strip()
    if len(bare.split()) > HEADING_WORDS or bare[-1] in ".!?;,…":
        return False
    return bare.endswith(":") or (bare.isupper() and len(bare) > 3 and not shouts) or bool(_whole_heading(bare))


def _whole_heading(bare: str) -> LineKind | None:
    """The kind of a short line that is nothing but a usual heading."""
    kind = heading_kind(bare)
    if not kind or len(text.words(bare)) > 5 or re.search(r"\d|,", bare):
        return None
    return None if kind == "must" and pattern("lines", "asks_for").search(bare) else kind


def heading_kind(heading: str) -> LineKind | None:
    """What a heading says of the lines under it; None where it says nothing known."""
    bare = " ".join(heading.replace("’", "'").split()).strip(" #*_:|")
    return next((cast(LineKind, kind) for kind, said in patterns("headings").items() if said.search(bare)), None)


def _wrap_width(rows: list[str]) -> int:
    """At how many characters the text is wrapped by hand; 0 where it is not."""
    width = max(map(len, rows))
    pairs = [(row, after) for row, after in itertools.pairwise(rows) if row.strip() and after.strip()]
    pairs = [(row, after) for row, after in pairs if not _BULLET.match(after)]
    full = sum(_is_full(row, after, width) for row, after in pairs)
    return width if width <= WIDEST_WRAP_CHARS and len(pairs) >= 2 and full >= WRAPPED_SHARE * len(pairs) else 0


def _is_full(row: str, after: str, width: int) -> bool:
    """Had the next word no room in this row?"""
    return len(row) + 1 + len(after.split()[0]) > width


def _goes_on(before: _Item, raw: str, item: _Item, width: int) -> bool:
    """Is this line the rest of a wrapped one?"""
    if item.is_bullet or item.level or before.level:
        return False
    if before.is_bullet and re.match(r"^(?:\s{2,}|\t)", raw):
        return True
    last = before.text.rsplit("\n", 1)[-1]
    return bool(width) and _is_full(last, raw, width) and last.strip()[-1] not in ".!?:;"


def _under_headings(items: list[_Item]) -> Iterator[Line]:
    kind: LineKind = "other"
    under, known_level = "", 9
    for at, item in enumerate(items):
        if item.level:
            stated = heading_kind(item.text) if at or item.level == 7 else None  # the first line is the title
            if stated:
                kind, known_level = stated, item.level
            elif item.level <= known_level and not (item.level == 7 and known_level < 7):
                kind, known_level = "other", item.level
            under = _MARKS.sub("", item.text).rstrip(": ")
            yield Line(_MARKS.sub("", item.text), "heading", level=item.level)
        else:
            yield from _lines_of(item, kind, under)


def _lines_of(item: _Item, kind: LineKind, under: str) -> Iterator[Line]:
    inline = _INLINE.match(" ".join(item.text.split()))
    stated = _whole_heading(inline["head"]) if inline and not item.is_bullet else None
    if inline and stated:  # "Requirements: five years of …"
        kind, under = stated, inline["head"]
        item = replace(item, text=item.text[item.text.index(":") + 1 :].strip())
    parts = _parts(item)
    for part in (part[:MOST_LINE_CHARS].rstrip() for part in parts):
        if not part.endswith(":"):  # that introduces what follows
            yield _line(part, kind, under, is_item=len(parts) == 1)


def _line(part: str, kind: LineKind, under: str, *, is_item: bool) -> Line:
    if pattern("lines", "never").search(part):
        kind = "dropped"
    elif not is_item and pattern("lines", "context").search(part):
        kind = "about"
    return Line(part, kind, under, is_item=is_item)


def _parts(item: _Item) -> list[str]:
    """An item as it stands; a paragraph or a long item by sentences and semicolons."""
    whole = item.text.strip()
    if item.is_bullet and len(whole) <= LONG_LINE_CHARS:
        return [whole]
    if len(whole) <= LONG_LINE_CHARS and "\n" not in whole and len(text.sentences(whole)) == 1:
        return [whole]
    flat = whole.replace("\n", " ")  # of equal length: spans hold in both
    parts = (whole[start:end] for start, end in text.sentence_spans(flat))
    return [part.strip() for long in parts for part in _at_semicolons(long) if part.strip()]


def _at_semicolons(sentence: str) -> list[str]:
    return re.split(r";\s+", sentence) if len(sentence) > LONG_LINE_CHARS else [sentence]


# ---------------------------------------------------------------- kinds by cue


def _cue_scores(line: str) -> list[float]:
    """How much the line reads like a responsibility, a must and a plus."""
    totals = [0.0, 0.0, 0.0]
    bare = line.strip()
    for weights, said in cues():
        if said.search(bare):
            totals = [total + weight for total, weight in zip(totals, weights, strict=True)]
    return totals


@cache
def _word_weights() -> tuple[tuple[float, ...], dict[str, tuple[float, ...]]]:
    table = tomllib.loads(files("askfit.fit").joinpath("cues.toml").read_text(encoding="utf-8"))
    return tuple(table["intercept"]), {word: tuple(weights) for word, weights in table["words"].items()}


def _word_scores(line: str) -> list[float]:
    """What the line's words and word pairs add, as measured on real postings."""
    intercept, weights = _word_weights()
    found = ["#" if word.isdigit() else word for word in text.words(line)[:40]]
    pairs = [f"{first} {second}" for first, second in itertools.pairwise(found)]
    begins = [f"^{word}" for word in (*found[:1], *pairs[:1])]
    hits = [weights[word] for word in {*found, *pairs, *begins} if word in weights]
    return [sum(column) for column in zip(intercept, *hits, strict=True)]


def is_keyword_list(line: str) -> bool:
    """Many short items between commas and no sentence around them."""
    items = re.split(r"[,;|/•·]\s*|\n", line)
    return len(items) >= KEYWORD_LIST_ITEMS and sum(len(item.split()) <= 3 for item in items) >= 0.8 * len(items)


def _with_own_kind(line: Line) -> Line:
    """A line under a heading that says nothing known goes by its cues; a sentence of prose without any asks nothing."""
    if line.kind == "other" and line.under:
        return replace(line, kind=_by_cues(line))
    if line.kind in _ASKED and not line.is_item and max(_cue_scores(line.text)) <= NOTHING_ASKED_SCORE:
        return replace(line, kind="other")
    return line


def _by_cues(line: Line) -> LineKind:
    """The kind of one line under a heading that says nothing known."""
    scores = _cue_scores(line.text)
    best = max(scores)
    if best <= NOTHING_ASKED_SCORE or is_keyword_list(line.text):
        return "other"
    return _ASKED[scores.index(best)]


def _in_order(lines: list[Line]) -> list[Line]:
    """Kinds of a posting without headings: the likeliest walk through tasks, musts and pluses (Viterbi)."""
    at = [place for place, line in enumerate(lines) if line.kind == "other" and not is_keyword_list(line.text)]
    cues = [_cue_scores(lines[place].text) for place in at]
    words = [_word_scores(lines[place].text) for place in at]
    scores = [[cue + word for cue, word in zip(*both, strict=True)] for both in zip(cues, words, strict=True)]
    asked = [place for place, cue in zip(at, cues, strict=True) if max(cue) > NOTHING_ASKED_SCORE]
    found = list(lines)
    for place, state in zip(at, _likeliest(scores), strict=True):
        # An item among asked items is asked too, though it has no cue of its own; a sentence of prose is not.
        among = bool(asked) and asked[0] < place < asked[-1] and lines[place].is_item
        found[place] = replace(lines[place], kind=_ASKED[state] if place in asked or among else "other")
    return found


def _likeliest(scores: list[list[float]]) -> list[int]:
    """The best state for each line; moving on is cheap, moving back dear."""
    best: list[list[float]] = []
    came: list[list[int]] = []
    for score in scores:
        before = best[-1] if best else [0.0, 0.0, 0.0]
        row, source = [], []
        for state in range(3):
            costs = [before[other] - _move(other, state) for other in range(3)]
            source.append(max(range(3), key=costs.__getitem__))
            row.append(costs[source[-1]] + score[state])
        best.append(row)
        came.append(source)
    state = max(range(3), key=best[-1].__getitem__) if best else 0
    path = []
    for at in range(len(scores) - 1, -1, -1):
        path.append(state)
        state = came[at][state]
    return path[::-1]


def _move(before: int, after: int) -> float:
    if before == after:
        return 0.0
    return FORWARD_COST if after > before else BACKWARD_COST
