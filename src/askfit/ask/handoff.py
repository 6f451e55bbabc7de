"""Tell a job posting that was pasted into the chat, before any model is asked: its place is the fit page.

Postings have ways of saying things (handoff.toml) that questions, essays and résumés do not share: headings of their
own, tasks that begin with a bare verb, years and degrees asked for, "you will". Each way counts once or a few times;
enough of them make a posting. Knows words, not who pasted them; what a posting asks is read elsewhere.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from askfit.text import clean, sentences, words

MOST_READ_CHARACTERS = 12_000  # a posting shows itself long before
MOST_LINES = 400
FEWEST_WORDS = 12
LEAST_SCORE = 2.75
FEWEST_KINDS = 3  # of ways: "you'll" alone, however often, is an essay
LONG_WORDS, WORDS_A_POINT = 400, 250  # a long page has time to say a bit of everything
QUESTION_WORDS, QUESTION_LINES = 60, 4  # "We need five years of … Has she?" is a question that tells what it is for
OWN_VOICE_COST = 1.0  # of each sentence in the first person: a résumé, an essay, a recruiter's question
MOST_OWN_VOICE = 5
MOST_TASK_SCORE = 3.0
MANY_WAYS = 3  # "most" of an entry that holds all the ways of a language

# "Proactively lead …", "- Lead …"
_BEFORE_TASK = (
    r"(?:[-–—•*·▪◦>+]\s*|\d{1,2}[.)]\s+)?"
    r"(?:(?:proactively|effectively|actively|successfully|independently|regularly|continuously|closely|directly)\s+)?"
)
_OWN_VOICE = re.compile(
    r"\b(?:I|my|me|myself|I['’]\w+)\b(?![/.])|\b(?:[Ii]ch|[Mm]eine?[rmns]?|[Jj]e|[Mm]oi|[Yy]o|[Mm]is?)\b"
)


@dataclass(frozen=True, slots=True)
class Wording:
    """How postings say things."""

    heading: re.Pattern[str]
    title: re.Pattern[str]
    task: re.Pattern[str]
    joined_task: re.Pattern[str]  # of lists whose line ends were lost: "… industry sectors Make recommendations …"
    signs: tuple[tuple[float, int, re.Pattern[str]], ...]  # weight, how often it counts at most


@cache
def wording() -> Wording:
    """Read handoff.toml."""
    table = tomllib.loads(files("askfit.ask").joinpath("handoff.toml").read_text(encoding="utf-8"))
    verbs = _joined(table["verbs"])
    return Wording(
        heading=_pattern(table["heading"]),
        title=_pattern(table["title"]),
        task=_pattern(rf"{_BEFORE_TASK}(?:{verbs})\s+(?!(?:me|us|you|up with)\b)[a-z]"),
        joined_task=re.compile(rf"(?<=[a-z)] )(?=[A-Z])(?i:{verbs})\b (?=[a-z])"),
        signs=tuple((one["weight"], one["most"], _pattern(one["said"])) for one in table["signs"]),
    )


def _pattern(said: str) -> re.Pattern[str]:
    return re.compile(_joined(said), re.IGNORECASE)


def _joined(said: str) -> str:
    return said.replace("\n", "")


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found in a text: how many headings, tasks and other ways of a posting, and how often it says "I"."""

    headings: int
    tasks: int
    signs: float
    kinds: int  # different ways that were found
    own_voice: int
    words: int

    @property
    def score(self) -> float:
        tasks = min(MOST_TASK_SCORE, 0.75 * self.tasks)
        own = OWN_VOICE_COST * min(MOST_OWN_VOICE, self.own_voice)
        return 1.5 * min(3, self.headings) + tasks + self.signs - own

    @property
    def is_posting(self) -> bool:
        needed = LEAST_SCORE + max(0, self.words - LONG_WORDS) / WORDS_A_POINT
        return self.words >= FEWEST_WORDS and self.kinds >= FEWEST_KINDS and self.score >= needed


def looks_like_posting(text: str) -> bool:
    """Is this a job posting, whole or in good part?"""
    read = _folded(text)
    if "?" in read and len(words(read)) < QUESTION_WORDS and read.count("\n") < QUESTION_LINES:
        return False
    return read_signs(read).is_posting


def read_signs(text: str) -> Reading:
    """Every way of a posting that a text shows."""
    lines = [line.strip(" \t#*_>|-–•·:") for line in text.splitlines()[:MOST_LINES] if line.strip()]
    found = [_counted(weight, most, said, text) for weight, most, said in wording().signs]
    joined = sum(1 for _ in wording().joined_task.finditer(text))
    parts = list(_parts(text))
    headings = sum(bool(wording().heading.fullmatch(line)) for line in lines) + bool(_titled(lines))
    tasks = joined + sum(bool(wording().task.match(part)) and not part.endswith("?") for part in parts)
    signs = sum(weight * count for weight, count, _ in found)
    kinds = sum(kinds for _, _, kinds in found) + min(3, headings) + bool(tasks)
    return Reading(
        headings, tasks, signs, kinds, sum(bool(_OWN_VOICE.search(part)) for part in parts), len(words(text))
    )


def _counted(weight: float, most: int, said: re.Pattern[str], text: str) -> tuple[float, int, int]:
    """(weight, how often it counts, how many ways that makes): an entry that counts thrice holds many ways."""
    count = min(most, sum(1 for _ in said.finditer(text)))
    return weight, count, count if most >= MANY_WAYS else min(1, count)


def _folded(text: str) -> str:
    """Cleaned, without runs of white space: a run is no sign, and patterns shall not walk it again and again."""
    read = re.sub(r"[^\S\n]+", " ", clean(text[:MOST_READ_CHARACTERS]))
    return re.sub(r" ?\n[ \n]*", "\n", read).strip()


def _titled(lines: list[str]) -> bool:
    """Does it begin with a job's title, as a line of its own?"""
    head = [line for line in lines[:3] if len(line.split()) <= 12 and not line.endswith((".", "?", "!"))]
    return len(lines) > 2 and any(wording().title.search(line) for line in head)


def _parts(text: str) -> Iterable[str]:
    for line in text.splitlines()[:MOST_LINES]:
        if line.strip():
            yield from (sentence.strip() for sentence in sentences(line))
