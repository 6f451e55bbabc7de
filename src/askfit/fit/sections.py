"""Cut a posting into lines and say what each is: must, preferred, responsibility, or nothing asked.

Headings decide where there are any; elsewhere cue words and the usual order (tasks, then musts, then pluses) do. Knows
nothing of skills or of a matrix.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Literal, cast

from askfit import text
from askfit.fit.wording import cues, pattern, patterns

LineKind = Literal["must", "preferred", "responsibility", "about", "dropped", "heading", "other"]
KindFrom = Literal["", "heading", "words", "cues"]  # "words": the line says itself that it is a plus; "cues": a guess

MOST_LINE_CHARS = 600  # of one sentence or item; nobody writes a longer one
LONG_LINE_CHARS = 220  # past this an item is read sentence by sentence
NARROWEST_WRAP_CHARS = 60  # shorter lines that stand together may as well be items
WIDEST_WRAP_CHARS = 120  # a text with longer lines is not wrapped by hand
WRAPPED_SHARE = 0.6  # of neighbouring lines that break where the next word had no room
HEADING_WORDS = 9
FEWEST_ROWS = 3  # short rows below one another without a blank row: a list, though its bullets were lost
MOST_AROUND = 4  # sentences for each that speaks of equal treatment: so many belong to it
KEYWORD_LIST_ITEMS = 8  # so many short items between commas are a list of keywords, not a sentence


@dataclass(frozen=True, slots=True)
class Line:
    """One item, sentence or heading of a posting; its text stands there word for word."""

    text: str
    kind: LineKind
    under: str = ""  # the heading that it stands under; "" where there is none
    level: int = 0  # of a heading: 1 the title … 6; 7 a bold, colon or capital line
    is_item: bool = False  # stands on lines of its own
    kind_from: KindFrom = ""


@dataclass(frozen=True, slots=True)
class WordWeights:
    """What words say of a line where no heading does, as fitted: responsibility, must, preferred."""

    intercept: tuple[float, ...]
    words: Mapping[str, tuple[float, ...]]


_ASKED: tuple[LineKind, ...] = ("responsibility", "must", "preferred")
NOTHING_ASKED_SCORE = 0.5  # a line needs more cue than this to be asked of anyone
PLAIN_CUE_SCORE = 2.0  # and this much above the first heading, where a posting tells its story
BACKWARD_COST = 4.0  # postings go from tasks to musts to pluses; going back needs evidence
FORWARD_COST = 1.5

_BULLET = re.compile(r"^\s*(?:[-*+•‣▪◦●○·–—➢►▶✓✔✅»>§→⇒➤\uf0b7]|o(?=\s)|\(?\d{1,2}[.)](?=\s)|[a-z][.)](?=\s))\s*")
_MARKS = re.compile(r"^[#\s*_>|]+|[#\s*_|]+$")
_UNDERLINE = re.compile(r"^\s*(?:={3,}|-{3,}|~{3,})\s*$")
_NUMBERED = re.compile(r"^\s*(?:\d{1,2}|[IVX]{1,4})[.)]\s+(?=\S)")
_BOLD = re.compile(r"^\s*(?:\*\*|__)(?P<inside>[^*_]+)(?:\*\*|__)\s*:?\s*$")
_INLINE = re.compile(r"^(?P<head>[^:.!?]{3,60}):\s+(?P<rest>\S.{12,})$")


def read_lines(posting: str, weights: WordWeights | None = None) -> list[Line]:
    """Every heading, item and sentence of a cleaned posting with its kind, in order.

    `weights` stand in for the shipped cues.toml where they are measured.
    """
    lines = list(_under_headings(_items(posting)))
    if any(line.kind in _ASKED for line in lines):
        read = [_with_own_kind(line) for line in _tasks_by_place(lines)]
    else:
        read = _in_order(lines, weights or shipped_weights())
    return [_as_it_says(line) for line in read]


def _tasks_by_place(lines: list[Line]) -> list[Line]:
    """Where no heading known names the tasks: the last list before the musts, under whatever heading, is the tasks."""
    first = next((at for at, line in enumerate(lines) if line.kind == "must"), 0)
    if any(line.kind == "responsibility" for line in lines):
        return lines
    heads = [line.under for line in lines[:first] if line.kind == "other" and line.is_item and line.under]
    if not heads or heads.count(heads[-1]) < FEWEST_ROWS:
        return lines
    return [
        replace(line, kind="responsibility", kind_from="cues")
        if at < first and line.kind == "other" and line.is_item and line.under == heads[-1]
        else line
        for at, line in enumerate(lines)
    ]


def _as_it_says(line: Line) -> Line:
    """A line's own words outrank its heading: "Kafka is a plus" under Requirements is a plus."""
    if line.kind == "must" and pattern("lines", "plus").search(line.text):
        return replace(line, kind="preferred", kind_from="words")
    return line


# ---------------------------------------------------------------- lines and headings


@dataclass(frozen=True, slots=True)
class _Item:
    text: str
    is_bullet: bool
    level: int  # 0 unless it is a heading
    after_blank: bool = False


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
            if items and not blank and _UNDERLINE.match(raw) and not items[-1].is_bullet:
                items[-1] = replace(items[-1], level=items[-1].level or 2)
            blank = True
            continue
        item = _item(raw, shouts)
        if items and not blank and _goes_on(items[-1], raw, item, width):
            items[-1] = replace(items[-1], text=f"{items[-1].text}\n{raw.rstrip()}")
        else:
            items.append(replace(item, after_blank=blank))
        blank = False
    return _as_lists(_over_lists(items))


def _over_lists(items: list[_Item]) -> list[_Item]:
    """A short row without a stop right over bullets is their heading, whatever it says."""
    return [
        replace(item, level=7)
        if at and after.is_bullet and not item.is_bullet and not item.level and _is_short(item.text)
        else item
        for at, (item, after) in enumerate(itertools.pairwise(items))
    ] + items[-1:]


def _is_short(row: str) -> bool:
    return len(row.split()) <= HEADING_WORDS and row.rstrip()[-1] not in ".!?;,…"


def _as_lists(items: list[_Item]) -> list[_Item]:
    """Rows of a list whose bullets were lost are items as if they had them."""
    found: list[_Item] = []
    run: list[_Item] = []
    for item in [*items, None]:
        if item and _could_be_item(item) and not (run and item.after_blank and not item.is_bullet):
            run.append(item)
            continue
        listed = len(run) >= FEWEST_ROWS
        found += [replace(one, is_bullet=True) if listed else one for one in run]
        run = [item] if item and _could_be_item(item) else []
        found += [item] if item and not run else []
    return found


def _could_be_item(item: _Item) -> bool:
    listed = item.is_bullet or not is_keyword_list(item.text)
    return not item.level and len(item.text) <= LONG_LINE_CHARS and "\n" not in item.text and listed


def _item(raw: str, shouts: bool) -> _Item:
    bullet = _BULLET.match(raw)
    level = 0
    if marks := re.match(r"^\s{0,3}(#{1,6})\s", raw):
        level = len(marks[1])
    elif _BOLD.match(raw) or _is_numbered_heading(raw) or (not bullet and _looks_like_heading(raw, shouts)):
        level = 7
    text_of_it = raw.strip() if level else raw[bullet.end() if bullet else 0 :].strip()
    return _Item(text_of_it, bool(bullet) and not level, level)


def _is_numbered_heading(raw: str) -> bool:
    """ "2. Requirements": a usual heading to the last word, not an item such as "2. Communication skills"."""
    number = _NUMBERED.match(raw)
    return bool(number) and bool(
        pattern("lines", "heading").fullmatch(raw[number.end() :].strip(" :")) if number else 0
    )


def _looks_like_heading(raw: str, shouts: bool) -> bool:
    bare = raw.strip()
    if len(bare.split()) > HEADING_WORDS or bare[-1] in ".!;,…" or (bare[-1] == "?" and not _whole_heading(bare)):
        return False
    return bare.endswith(":") or (bare.isupper() and len(bare) > 3 and not shouts) or bool(_whole_heading(bare))


def _whole_heading(bare: str) -> LineKind | None:
    """The kind of a short line that is nothing but a usual heading."""
    bare = re.sub(r"^\W+", "", bare)
    kind = heading_kind(bare)
    if kind and pattern("lines", "heading").fullmatch(bare.replace("’", "'").strip(" #*_:|")):
        return kind
    if not kind or len(text.words(bare)) > 5 or re.search(r"\d|,", bare):
        return None
    if pattern("lines", "plus").search(bare) and not patterns("headings")["preferred"].match(bare):
        return None  # "Kafka desirable"
    return None if kind == "must" and pattern("lines", "asks_for").search(bare) else kind


def heading_kind(heading: str) -> LineKind | None:
    """What a heading says of the lines under it; None where it says nothing known."""
    bare = " ".join(heading.replace("’", "'").split()).strip(" #*_:|")
    return next((cast(LineKind, kind) for kind, said in patterns("headings").items() if said.search(bare)), None)


def _wrap_width(rows: list[str]) -> int:
    """At how many characters the text is wrapped by hand; 0 where it is not."""
    rows = [row if len(row) <= WIDEST_WRAP_CHARS else "" for row in rows]  # a long paragraph among them says nothing
    pairs = [(row, after) for row, after in itertools.pairwise(rows) if row.strip() and after.strip()]
    pairs = [(row, after) for row, after in pairs if not _BULLET.match(after)]
    width = max((len(row) for row, _ in pairs), default=0)  # nor does a line that stands alone
    if width < NARROWEST_WRAP_CHARS:
        width = max(map(len, rows))
    full = sum(_is_full(row, after, width) for row, after in pairs)
    return width if len(pairs) >= 2 and full >= WRAPPED_SHARE * len(pairs) else 0


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
    bulleted = _among_bullets(items)
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
            apart = bulleted[at] and not item.is_bullet
            asked: LineKind = "other" if apart and is_keyword_list(item.text) else kind
            yield from _lines_of(item, asked, under, is_prose=apart)


def _among_bullets(items: list[_Item]) -> list[bool]:
    """Of each item: are there bullets between the headings around it? Then a paragraph beside them is prose."""
    found: list[bool] = []
    for _, section in itertools.groupby(
        zip(items, itertools.accumulate(bool(item.level) for item in items), strict=True), key=lambda pair: pair[1]
    ):
        members = [item for item, _ in section]
        found += [any(item.is_bullet for item in members)] * len(members)
    return found


def _lines_of(item: _Item, kind: LineKind, under: str, *, is_prose: bool) -> Iterator[Line]:
    """An item's lines; `is_prose`: it stands beside a list and is no part of it."""
    if not item.is_bullet and not item.level and (first := _INLINE.match(" ".join(item.text.split()))):
        stated = _whole_heading(first["head"])
        if stated:  # "Requirements: five years of …"
            kind, under = stated, first["head"]
            item = replace(item, text=item.text[item.text.index(":") + 1 :].strip())
    parts = _parts(item)
    unasked = _equal_treatment(parts) if not item.is_bullet else frozenset()
    for at, part in enumerate(part[:MOST_LINE_CHARS].rstrip() for part in parts):
        inline = _INLINE.match(" ".join(part.split())) if at else None
        if inline and pattern("lines", "heading").fullmatch(inline["head"]):  # "… every week. Nice to have: Kafka."
            kind, under = heading_kind(inline["head"]) or kind, inline["head"]
            part = part[part.index(":") + 1 :].strip()
        if at in unasked:
            yield Line(part, "dropped", under)
        elif not part.endswith(":"):  # that introduces what follows
            yield _line(part, kind, under, is_item=len(parts) == 1 and not is_prose)


def _line(part: str, kind: LineKind, under: str, *, is_item: bool) -> Line:
    if any(pattern("lines", name).search(part) for name in ("never", "equality", "offers")):
        kind = "dropped"
    elif not is_item and pattern("lines", "context").search(part):
        kind = "about"
    return Line(part, kind, under, is_item=is_item, kind_from="heading" if kind in _ASKED else "")


def _equal_treatment(parts: Sequence[str]) -> frozenset[int]:
    """Which sentences of a paragraph are the employer's word on equal treatment, with what stands around it.

    In a short paragraph all of them; in a posting without line ends those after the first, until one asks again.
    """
    said = pattern("lines", "equality")
    hits = [at for at, part in enumerate(parts) if said.search(part)]
    if not hits:
        return frozenset()
    if len(parts) <= MOST_AROUND * len(hits):
        return frozenset(range(len(parts)))
    asks = (at for at in range(hits[0] + 1, len(parts)) if at not in hits and cue_scores(parts[at])[1] >= 1)
    return frozenset(range(hits[0], next(asks, len(parts)))) | frozenset(hits)


def _parts(item: _Item) -> list[str]:
    """An item as it stands; a paragraph or a long item by sentences and semicolons."""
    whole = item.text.strip()
    if item.is_bullet and len(whole) <= LONG_LINE_CHARS:
        return [whole]
    if len(whole) <= LONG_LINE_CHARS and "\n" not in whole and len(text.sentences(_cased(whole))) == 1:
        return [whole]
    flat = whole.replace("\n", " ")  # of equal length: spans hold in both
    parts = (whole[start:end] for start, end in text.sentence_spans(_cased(flat)))
    return [part.strip() for long in parts for part in _at_semicolons(long) if part.strip()]


def _cased(flat: str) -> str:
    """Where no letter is large, none tells that a sentence begins: then every one is made large, at equal length."""
    large = flat.upper()
    return large if flat == flat.lower() and len(large) == len(flat) else flat


def _at_semicolons(sentence: str) -> list[str]:
    return re.split(r";\s+", sentence) if len(sentence) > LONG_LINE_CHARS else [sentence]


# ---------------------------------------------------------------- kinds by cue


def cue_scores(line: str) -> list[float]:
    """How much the line reads like a responsibility, a must and a plus."""
    totals = [0.0, 0.0, 0.0]
    bare = line.strip()
    for weights, said in cues():
        if said.search(bare):
            totals = [total + weight for total, weight in zip(totals, weights, strict=True)]
    return totals


@cache
def shipped_weights() -> WordWeights:
    """The table of cues.toml."""
    table = tomllib.loads(files("askfit.fit").joinpath("cues.toml").read_text(encoding="utf-8"))
    return WordWeights(tuple(table["intercept"]), {word: tuple(weights) for word, weights in table["words"].items()})


def word_features(line: str) -> frozenset[str]:
    """A line's words, word pairs and beginnings, as cues.toml has them."""
    found = ["#" if word.isdigit() else word for word in text.words(line)[:40]]
    pairs = [f"{first} {second}" for first, second in itertools.pairwise(found)]
    begins = [f"^{word}" for word in (*found[:1], *pairs[:1])]
    return frozenset((*found, *pairs, *begins))


FEWEST_KNOWN_WORDS = 2  # of a line, until the English weights say anything of it
UNKNOWN_SCORES = (0.0, 0.5, 0.0)  # what is asked is a must unless it says otherwise


def _word_scores(line: str, weights: WordWeights) -> Sequence[float]:
    """What the line's words and word pairs add, as measured on real postings."""
    hits = [weights.words[word] for word in sorted(word_features(line)) if word in weights.words]
    if len(hits) < FEWEST_KNOWN_WORDS:
        return UNKNOWN_SCORES
    return [sum(column) for column in zip(weights.intercept, *hits, strict=True)]


def is_keyword_list(line: str) -> bool:
    """Many short items between commas and no sentence around them."""
    items = re.split(r"[,;|/•·]\s*|\n", line)
    return len(items) >= KEYWORD_LIST_ITEMS and sum(len(item.split()) <= 3 for item in items) >= 0.8 * len(items)


def _with_own_kind(line: Line) -> Line:
    """A line under a heading that says nothing known goes by its cues; a sentence of prose without any asks nothing."""
    least = NOTHING_ASKED_SCORE if line.under else PLAIN_CUE_SCORE
    if line.kind == "other" and max(cue_scores(line.text)) >= least:
        kind = _by_cues(line)
        return replace(line, kind=kind, kind_from="cues" if kind in _ASKED else "")
    if line.kind in _ASKED and not line.is_item and max(cue_scores(line.text)) <= NOTHING_ASKED_SCORE:
        return replace(line, kind="other", kind_from="")
    return line


def _by_cues(line: Line) -> LineKind:
    """The kind of one line under a heading that says nothing known."""
    scores = cue_scores(line.text)
    best = max(scores)
    if best <= NOTHING_ASKED_SCORE or is_keyword_list(line.text):
        return "other"
    return _ASKED[scores.index(best)]


def _in_order(lines: list[Line], weights: WordWeights) -> list[Line]:
    """Kinds of a posting without headings: the likeliest walk through tasks, musts and pluses (Viterbi)."""
    at = [place for place, line in enumerate(lines) if line.kind == "other" and not is_keyword_list(line.text)]
    said = [cue_scores(lines[place].text) for place in at]
    words = [_word_scores(lines[place].text, weights) for place in at]
    scores = [[cue + word for cue, word in zip(*both, strict=True)] for both in zip(said, words, strict=True)]
    asked = [place for place, cue in zip(at, said, strict=True) if max(cue) > NOTHING_ASKED_SCORE]
    found = list(lines)
    for place, state in zip(at, _likeliest(scores), strict=True):
        # An item among asked items is asked too, though it has no cue of its own; a sentence of prose is not.
        among = bool(asked) and asked[0] < place < asked[-1] and lines[place].is_item
        kind: LineKind = _ASKED[state] if place in asked or among else "other"
        found[place] = replace(lines[place], kind=kind, kind_from="cues" if kind in _ASKED else "")
    return found


def _likeliest(scores: list[list[float]]) -> list[int]:
    """The best state for each line; moving on is cheap, moving back dear."""
    best: list[list[float]] = []
    came: list[list[int]] = []
    for score in scores:
        before = best[-1] if best else [0.0, 0.0, -FORWARD_COST]  # a posting hardly begins with its pluses
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
