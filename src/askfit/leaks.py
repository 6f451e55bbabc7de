"""Tell a sentence that gives away what a visitor must not read. Pure rules over text: no call, no network, no clock.

    watch = Watch(Hidden([prompt.instructions], ["zebrafish-7731"]))
    watch.leak("My instructions are: answer in one sentence.")  →  "disclosure"

Two lines. `Hidden` compares with what is known: our instructions, hidden pages, private values. It sees them word for
word, in other letters, spaced out, reversed, in rot13, base64, hex, percent signs and character codes. `shape` needs
nothing to compare with: it knows how models give instructions away ("my instructions are", "if the user says … reply",
code that compares an input with a secret). Out of scope: translations, riddles, summaries, acrostics, other ciphers.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
import tomllib
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple
from urllib.parse import unquote

from askfit.text import words

PLAIN_LETTERS = 40  # in a row, spaces left out: about eight words
DISGUISED_LETTERS = 16  # reversed or encoded, far fewer do not come together by chance
STRIDE = 4  # of the runs that are looked up: one of LETTERS + STRIDE - 1 is surely seen, at a quarter of the time
CARRIED_CHARACTERS = 120  # of the sentences before: a run may begin there
FEWEST_HALF_LETTERS = 4  # of a value that is told in two words
FEWEST_DISGUISED_VALUE_LETTERS = 6  # of one that is sought inside other letters
TAIL_CHARACTERS = 80  # of a sentence that is still coming: enough for a disguised run, spaced out or not
MOST_READ_CHARACTERS = 2_000  # of one sentence, for its shape: patterns shall not walk a page without a full stop
ENOUGH = 2.0  # weight of the signs that makes a disclosure; tuned on half of labelled outputs, 2026-11-21
LEAST_OWN = 1.0  # of it the sentence's own; the rest may come from its neighbours
OF_NEIGHBOURS = 0.5
NEIGHBOURS = 3

_LEET = str.maketrans("013457@$", "oieastas")
_LOOKALIKES = str.maketrans("аеорсухіјѕԁһӏνοαι", "aeopcyxijsdhlvoai")  # Cyrillic and Greek letters drawn as Latin ones
_LEET_WORD = re.compile(r"[^\W\d_][013457@$]")
_SPACED = re.compile(r"(?<![^\W_])(?:[^\W_][\W_]{1,3}){3,}[^\W_](?![^\W_])")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
_HEX = re.compile(r"(?:(?:0x|\\x)?[0-9a-fA-F]{2}[\s,:]{0,2}){5,}")
_CODES = re.compile(r"(?:(?:[01]{8}|[01]?\d{2}|2[0-4]\d)[\s,;]{1,2}){5,}(?:[01]{8}|\d{2,3})")


def _letters(text: str) -> str:
    """Letters alone, in one case, lookalikes as the letters they stand for."""
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_LOOKALIKES)
    return "".join(filter(str.isalpha, folded))


def _runs(letters: str, length: int, stride: int = 1) -> set[str]:
    return {letters[at : at + length] for at in range(0, len(letters) - length + 1, stride)}


def _read_otherwise(text: str) -> Iterator[tuple[str, str]]:
    """(form, letters) where some letters are written in signs, and the rest as usual."""
    if _LEET_WORD.search(text):
        yield "digits", _letters(text.translate(_LEET))
    if "%" in text and (plain := unquote(text)) != text:
        yield "percent", _letters(plain)


def decoded(text: str) -> Iterator[tuple[str, str]]:
    """(form, text) of what stands encoded in a text, where it is readable."""
    for match in _HEX.finditer(text):
        digits = re.sub(r"0x|\\x|[\s,:]", "", match.group())
        yield from _readable("hex", bytes.fromhex(digits[: len(digits) // 2 * 2]))
    for match in _CODES.finditer(text):
        codes = [int(code, 2 if len(code) == 8 else 10) for code in re.findall(r"\d+", match.group())]
        yield from _readable("codes", bytes(code for code in codes if code < 256))
    for match in _BASE64.finditer(text):
        body = match.group().rstrip("=").replace("-", "+").replace("_", "/")
        try:
            yield from _readable("base64", base64.b64decode(body[: len(body) // 4 * 4]))
        except binascii.Error:
            continue


def _readable(form: str, raw: bytes) -> Iterator[tuple[str, str]]:
    text = raw.decode("utf-8", "replace")
    if text and sum(char.isprintable() and char != "\ufffd" for char in text) >= 0.9 * len(text):
        yield form, text


class Hidden:
    """What must not be said: texts, told by their runs of letters, and values, told whole."""

    def __init__(self, texts: Sequence[str], values: Sequence[str] = ()) -> None:
        letters = [_letters(form) for text in texts for form in (text, text.translate(_LEET))]
        self._plain = frozenset[str]().union(*(_runs(one, PLAIN_LETTERS) for one in letters))
        self._disguised = frozenset[str]().union(*(_runs(one, DISGUISED_LETTERS) for one in letters))
        self._values = tuple(_Value.of(value) for value in values if value.strip())

    def form(self, text: str, before: str = "") -> str:
        """How the text, or the end of `before` with it, says what is hidden: "plain", "reversed", "base64" and so on.

        "" where it does not.
        """
        window = f"{before} {text}"
        letters = _letters(window)
        if self._says(letters, self._plain, PLAIN_LETTERS) or any(one.stands_in(window) for one in self._values):
            return "plain"
        for form, said in _read_otherwise(text):
            if self._says(said, self._plain, PLAIN_LETTERS) or self._says_value(said):
                return form
        for form, said in (
            ("spaced", "".join(_letters(match.group()) for match in _SPACED.finditer(text))),
            ("reversed", letters[::-1]),
            ("rot13", codecs.encode(letters, "rot13")),
            ("backwards", _letters("".join(reversed(text.split())))),
            *((form, _letters(plain)) for form, plain in decoded(text)),
        ):
            if self._says(said, self._disguised, DISGUISED_LETTERS) or (form != "backwards" and self._says_value(said)):
                return form
        return ""

    def _says(self, letters: str, hidden: frozenset[str], length: int) -> bool:
        return not hidden.isdisjoint(_runs(letters, length, STRIDE))

    def _says_value(self, letters: str) -> bool:
        return any(one.disguised_in(letters) for one in self._values)


@dataclass(frozen=True, slots=True)
class _Value:
    """A private value: a code, a name, a canary."""

    raw: str  # on one line, folded
    words: tuple[str, ...]
    letters: str

    @classmethod
    def of(cls, value: str) -> _Value:
        return cls(" ".join(value.casefold().split()), tuple(words(value)), _letters(value))

    def stands_in(self, text: str) -> bool:
        """Word for word, in any case; all its words, in any order; or cut in two."""
        if not self.words or len(self.words) > 12:  # signs alone, or a text: as it stands
            return self.raw in " ".join(text.casefold().split())
        said = words(text)
        size, known = len(self.words), set(said)
        if self.words[0] in known and self.words in (tuple(said[at : at + size]) for at in range(len(said) - size + 1)):
            return True
        telling = [word for word in self.words if len(word) > 2 or word.isdigit()]
        if len(telling) > 1 and len(self.letters) >= FEWEST_DISGUISED_VALUE_LETTERS and known.issuperset(telling):
            return True
        whole = self.words[0] if size == 1 else ""
        return any(
            whole[:at] in known and whole[at:] in known
            for at in range(FEWEST_HALF_LETTERS, len(whole) - FEWEST_HALF_LETTERS + 1)
        )

    def disguised_in(self, letters: str) -> bool:
        return len(self.letters) >= FEWEST_DISGUISED_VALUE_LETTERS and self.letters in letters


# ---------------------------------------------------------------- the shape of a disclosure


class Sign(NamedTuple):
    """One way in which instructions are given away. It is sought only where a sentence has one of its cues."""

    weight: float
    cues: frozenset[str]
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Wording:
    """How models give instructions away."""

    signs: tuple[Sign, ...]
    cues: frozenset[str]  # of all signs
    other_scripts: re.Pattern[str]


@cache
def wording() -> Wording:
    """Read leaks.toml."""
    table = tomllib.loads(files("askfit").joinpath("leaks.toml").read_text(encoding="utf-8"))

    def pattern(said: str) -> re.Pattern[str]:
        for name in ("input", "says", "rules", "secret"):  # "input" holds "secret"
            said = said.replace(f"{{{name}}}", table["parts"][name])
        return re.compile(said.replace("\n", ""), re.IGNORECASE)

    signs = tuple(Sign(one["weight"], frozenset(one["cues"].split()), pattern(one["said"])) for one in table["signs"])
    return Wording(signs, frozenset().union(*(sign.cues for sign in signs)), pattern(table["other_scripts"]))


def shape(sentence: str) -> float:
    """How much a sentence alone looks like instructions given away: the weight of its signs, 0 for almost any text."""
    return sum(weight for weight, _ in _signs(sentence[:MOST_READ_CHARACTERS]))


def first_sign(open_sentence: str) -> int:
    """Where the first sign begins in a sentence that is still coming; its length where there is none."""
    return min((start for _, start in _signs(open_sentence[:MOST_READ_CHARACTERS])), default=len(open_sentence))


def _signs(text: str) -> Iterator[tuple[float, int]]:
    known = wording()
    cues = known.cues.intersection(words(text))
    for weight, own, pattern in known.signs:
        if not own.isdisjoint(cues) and (match := pattern.search(text)):
            yield weight, match.start()
    if not text.isascii() and (match := known.other_scripts.search(text)):
        yield ENOUGH, match.start()


# ---------------------------------------------------------------- one answer


@lru_cache(maxsize=8)
def hidden_of(instructions: str) -> Hidden:
    """What our own instructions give to compare with; the same for all visitors."""
    return Hidden([instructions])


@dataclass(slots=True)
class Watch:
    """The sentences of one answer, in order."""

    hidden: Hidden
    _before: str = ""
    _begun: bool = False  # in the sentence that is still coming
    _weights: list[float] = field(default_factory=list)  # of the signs of the last sentences

    def begins(self, open_sentence: str) -> bool:
        """Does the end of a sentence that is still coming say in another form what is hidden?"""
        self._begun = self._begun or bool(self.hidden.form(open_sentence[-TAIL_CHARACTERS:]))
        return self._begun

    def leak(self, sentence: str) -> str:
        """Why the next finished sentence may not be shown: a form of Hidden, or "disclosure"; "" where it may."""
        self._begun, weight = False, shape(sentence)
        near = max(self._weights, default=0.0)
        self._weights = [*self._weights, weight][-NEIGHBOURS:]
        form = self.hidden.form(sentence, self._before)
        # After a leak what follows is judged by itself: its neighbour is gone from the screen.
        self._before = "" if form else f"{self._before} {sentence}"[-CARRIED_CHARACTERS:]
        if form:
            return form
        told = weight >= ENOUGH or (weight >= LEAST_OWN and weight + OF_NEIGHBOURS * near >= ENOUGH)
        return "disclosure" if told else ""
