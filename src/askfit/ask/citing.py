"""Read a model's text as it streams: markers become citations, sentences are judged, nothing else is shown.

The same text gives the same visible words, sentences and citations however it is cut. Knows no model and no network.

A marker is `[[12]]` or `[[3, 12]]`: the sentence before it rests on those sections. `[[12:340-395]]` names characters
of the section too: so a provider that cites by itself tells what it cites. `[[none]]` says that the site does not say;
`[[none 12]]` names the nearest section too, `[[none: hostile]]` a reason. Broken markers are dropped as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Protocol

from askfit.ask.bearing import bearing_quote, quoted
from askfit.text import sentence_spans
from askfit.types import Citation, Delta, Retract, Section

Shown = Delta | Citation | Retract

MOST_MARKER_CHARACTERS = 48  # between its brackets; what is longer is no marker
MOST_CITATIONS = 4  # of one sentence
_BODY = rf"[^\[\]\n]{{0,{MOST_MARKER_CHARACTERS}}}"
_MARKER = re.compile(rf"\[ ?\[++({_BODY}+)(?:(\])|(?=[^\]]))")
_UNFINISHED = re.compile(rf"\[(?: ?|\d[\d, ]{{0,30}}| ?\[+{_BODY})\Z")
_SINGLE = re.compile(r"\[(?=[\d, ]{1,31}\])(\d{1,6}(?: ?, ?\d{1,6})*)\]")
_REFERENCE = re.compile(r"[ \d,;]*(?:none\b)?", re.IGNORECASE)  # what a broken marker may have held
_PLACE = re.compile(r"\s*(\d{1,6}):(\d{1,7})-(\d{1,7})\s*")
_PLAIN = re.compile(r"[^\s(\[]+(?:\s+[^\s(\[]+)*")  # what is shown as it stands, where no marker is before it
_UNSEEN = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 127, 0x200B, 0x2060, 0xFEFF])
_UNSEEN[13] = None  # "\r\n" is "\n"


@dataclass(frozen=True, slots=True)
class Marker:
    """One marker of the model's text. `control` is "none" or "none: reason" where it is no citation."""

    numbers: tuple[int, ...]
    control: str = ""
    place: tuple[int, int] | None = None  # characters of the one section's text, from and before


class Lexer:
    """Cut a stream into visible characters and markers, holding back only what may yet become a marker."""

    def __init__(self, known: Callable[[int], bool]) -> None:
        self._known = known
        self._raw = ""  # from a "[" on
        self._held = ""  # white space, and commas between markers: shown once something follows
        self._marked = False  # only markers since the last visible character
        self._opened = False  # a "(" waits in `_held`: it may open "([[12]])"
        self._last = ""  # visible character

    def feed(self, piece: str) -> list[str | Marker]:
        return self._read(piece.translate(_UNSEEN), final=False)

    def finish(self) -> list[str | Marker]:
        return self._read("", final=True)

    def _read(self, piece: str, *, final: bool) -> list[str | Marker]:
        raw, at, out = self._raw + piece, 0, list[str | Marker]()
        while at < len(raw):
            if not self._marked and (plain := _PLAIN.match(raw, at)):
                out.append(self._gap("") + plain.group())
                self._last, self._held, self._opened = raw[plain.end() - 1], "", False
                at = plain.end()
            elif raw[at] != "[":
                self._character(raw[at], out)
                at += 1
            elif marker := _MARKER.match(raw, at):
                whole = marker[2] is not None
                at = marker.end() if whole else _reference_end(raw, marker.start(1))
                self._mark(_read_marker(marker[1]) if whole else Marker(()), out)
            elif _UNFINISHED.match(raw, at):
                if not final:
                    break
                at = len(raw)  # a marker that the end of the stream cut off
            elif (single := _SINGLE.match(raw, at)) and all(map(self._known, _numbers(single[1]))):
                at = single.end()
                self._mark(Marker(_numbers(single[1])), out)
            else:
                self._character("[", out)
                at += 1
        self._raw = raw[at:]
        return out

    def _mark(self, marker: Marker, out: list[str | Marker]) -> None:
        self._held = self._held.replace(",", "").replace(";", "") if self._marked else self._held
        self._marked = True
        out.append(marker)

    def _character(self, char: str, out: list[str | Marker]) -> None:
        if self._marked and char in "])" and (char == "]" or self._opened):
            self._drop_bracket(char)
        elif char.isspace() or (char == "(" and not self._opened) or (self._marked and char in ",;"):
            self._held += char
            self._opened = self._opened or char == "("
        else:
            shown = self._gap(char) + ("" if self._doubled(char) else char)
            if shown:
                out.append(shown)
                self._last = shown[-1]
            self._held, self._marked, self._opened = "", False, False

    def _drop_bracket(self, char: str) -> None:
        """The "]" left over of a broken marker, or the ")" of "([[12]])"."""
        if char == ")":
            self._held, self._opened = self._held.replace("(", "", 1), False

    def _gap(self, char: str) -> str:
        """What stands between the last visible character and this one."""
        held = self._held if self._last else self._held.lstrip()
        if not self._marked:
            return held
        if char in ".,;:!?…)" and "\n" not in held:
            return held.strip()
        if not held and self._last in ".!?…" and char.isalnum():
            return " "  # "One.[[1]]Two": the marker stood for the space
        return re.sub(r"\s+(?=[,;])|(?<=[(\s])[^\S\n]+", "", held)

    def _doubled(self, char: str) -> bool:
        """The second full stop of "One. [[1]]." """
        return self._marked and char in ".!?" and self._last in (".", "!", "?", "…")


def _reference_end(raw: str, start: int) -> int:
    match = _REFERENCE.match(raw, start)
    return match.end() if match else start


def _numbers(body: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d{1,6}", body))


def _read_marker(body: str) -> Marker:
    if place := _PLACE.fullmatch(body):
        number, start, end = map(int, place.groups())
        return Marker((number,), place=(start, end))
    folded = body.strip().casefold()
    return Marker(_numbers(body), folded if folded.startswith("none") else "")


def without_markers(text: str) -> str:
    """The text as a reader would see it: for answers that a client sends back as history."""
    lexer = Lexer(lambda number: False)
    return "".join(piece for piece in [*lexer.feed(text), *lexer.finish()] if isinstance(piece, str))


class Judge(Protocol):
    """What every sentence has to pass."""

    def keeps(self, sentence: str, cited: tuple[int, ...] = ()) -> bool:
        """May a finished sentence stay? It names the sections of these numbers."""
        ...

    def sendable(self, open_sentence: str) -> int:
        """How many characters of a sentence that is still coming may show already."""
        ...


@dataclass(slots=True)
class Reading:
    """One answer while it is read: what the visitor has on screen, and which sentences are judged.

    `judge` decides, once per finished sentence, whether it stays: the place for every check of what is said.
    """

    sections: Sequence[Section]
    judge: Judge
    text: str = ""  # what the visitor has, with what is about to be sent
    sentences: int = 0  # judged and kept
    cited: int = 0  # kept sentences with a citation
    control: Marker | None = None  # the model's word that the site does not say
    retracted: int = 0
    _lexer: Lexer = field(init=False)
    _sent: int = 0  # characters of `text` that the visitor already has
    _judged: int = 0  # where the last kept sentence ends
    _marks: list[tuple[int, Marker]] = field(default_factory=list)  # (character that it follows, marker)

    def __post_init__(self) -> None:
        self._lexer = Lexer(lambda number: 0 < number <= len(self.sections))

    def feed(self, piece: str, *, last: bool = False) -> list[Shown]:
        """The next piece. With the `last` one no sentence stays open, so none is shown before it is judged."""
        read = self._lexer.feed(piece)
        return self._take([*read, *self._lexer.finish()] if last else read, final=last)

    def finish(self) -> list[Shown]:
        return self._take(self._lexer.finish(), final=True)

    def _take(self, pieces: list[str | Marker], *, final: bool) -> list[Shown]:
        shown: list[Shown] = []
        for piece in pieces:
            if isinstance(piece, str):
                self.text += "" if self.control else piece
            elif self.control:
                self.control = Marker(self.control.numbers + piece.numbers, self.control.control)
            elif piece.control:
                self._heed(piece, shown)
            else:
                self._marks.append((max(0, len(self.text) - 1), piece))
        self._judge_finished(shown, final=final)
        opened = self.text[self._judged :]
        self._send(self._judged + (len(opened) if final else self.judge.sendable(opened)), shown)
        return shown

    def _heed(self, control: Marker, shown: list[Shown]) -> None:
        """The model says that the site does not say: what it said besides goes, unless sections bear it."""
        self._judge_finished(shown, final=False)
        if self.cited or self._marks:
            return
        self._cut_back(0, shown)
        self.text, self.control, self.sentences = "", control, 0

    def _judge_finished(self, shown: list[Shown], *, final: bool) -> None:
        """Judge each sentence that no later text can change: all but the last, and that one at the end."""
        while len(spans := list(islice(sentence_spans(self.text[self._judged :]), 2))) > (0 if final else 1):
            start, end = (self._judged + offset for offset in spans[0])
            marked = tuple(number for at, marker in self._marks if at < end for number in marker.numbers)
            if self.judge.keeps(self.text[start:end], marked):
                self._keep(start, end, shown)
            else:
                self._drop(start, end, shown)

    def _keep(self, start: int, end: int, shown: list[Shown]) -> None:
        self._send(end, shown)
        markers = [marker for at, marker in self._marks if at < end]
        self._marks = [mark for mark in self._marks if mark[0] >= end]
        citations = self._cite(self.text[start:end], markers)
        shown.extend(citations)
        self.cited += bool(citations)
        self.sentences += 1
        self._judged = end

    def _drop(self, start: int, end: int, shown: list[Shown]) -> None:
        """Take a sentence back; what follows it closes up without joining the sentence before."""
        rest = self.text[end:].lstrip()
        moved_from = len(self.text) - len(rest)
        gap = self.text[self._judged : start] + self.text[end:moved_from]
        between = "\n" if "\n" in gap or rest[:1].islower() else " "
        self._cut_back(self._judged, shown)
        self.text = self.text[: self._judged] + (between if rest and self._judged else "")
        by = moved_from - len(self.text)
        self.text += rest
        self._marks = [(at - by, marker) for at, marker in self._marks if at >= moved_from]
        self.retracted += 1

    def _cut_back(self, to: int, shown: list[Shown]) -> None:
        if self._sent > to:
            shown.append(Retract(from_=to))
            self._sent = to

    def _send(self, to: int, shown: list[Shown]) -> None:
        if to > self._sent:
            shown.append(Delta(text=self.text[self._sent : to]))
            self._sent = to

    def _cite(self, sentence: str, markers: Sequence[Marker]) -> list[Citation]:
        """A citation for each marker whose section is there and bears the sentence."""
        cited: list[Citation] = []
        for number, at in dict.fromkeys((number, marker.place) for marker in markers for number in marker.numbers):
            section = self.sections[number - 1] if 0 < number <= len(self.sections) else None
            if section and len(cited) < MOST_CITATIONS and (citation := cite(self.sentences, sentence, section, at)):
                cited += [citation] if citation not in cited else []
        return cited


def cite(index: int, sentence: str, section: Section, at: tuple[int, int] | None = None) -> Citation | None:
    """The citation of a section for the answer's sentence of that index, if the section bears it.

    Of the characters `at`, the quote is taken where they bear the sentence; else from wherever the section does.
    """
    quote = bearing_quote(sentence, replace(section, text=section.text[slice(*at)])) if at else None
    quote = quote or bearing_quote(sentence, section)
    return None if quote is None else quoted(index, section, quote)
