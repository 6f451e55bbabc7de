"""Decide, for each finished sentence of an answer, whether it stays on screen, and how much of an open one may show.

Two checks: our own instructions and tags are never shown, not even for a moment; and what a sentence states is borne
(`ground`), as strictly as the owner has set it. Knows no stream and no citation.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from functools import lru_cache

from askfit.ask.citing import without_markers
from askfit.ask.ground import Ground
from askfit.text import word_spans, words
from askfit.types import Prompt

log = logging.getLogger(__name__)

LEAK_WORDS = 8  # in a row: eight words of the instructions do not come together by chance
WHOLE_WORDS = 5  # in a row: a sentence of nothing but our instructions, however short
HELD_WORDS = 3  # in a row: so few may yet become eight, so they wait until the sentence goes another way
_TAG = re.compile(r"</?\s*(?:section|passages|contents|question)\b|<(?:/|/?[a-z]{1,8})?\Z", re.IGNORECASE)
_WHOLE_TAG = re.compile(r"</?\s*(?:section|passages|contents|question)\b", re.IGNORECASE)


Runs = frozenset[tuple[str, ...]]


@lru_cache(maxsize=8)
def _hidden(instructions: str) -> tuple[Runs, Runs, Runs]:
    """Runs of words of our own instructions: as they stand, and as a visitor would see them, without markers."""
    forms = (words(instructions), words(without_markers(instructions)))
    long, short, starts = (
        frozenset(run for form in forms for run in _runs(form, size)) for size in (LEAK_WORDS, WHOLE_WORDS, HELD_WORDS)
    )
    return long, short, starts


@dataclass(slots=True)
class Judge:
    """The judge of one answer."""

    prompt: Prompt
    ground: Ground | None = None  # None: what is stated is not checked
    strict: bool = True  # else an unborne sentence stays, and is told
    leaked: int = 0  # sentences with our own instructions
    unborne: list[str] = field(default_factory=list)  # kinds of facts, of sentences that nothing bears
    _runs: Runs = frozenset()
    _short: Runs = frozenset()
    _starts: Runs = frozenset()
    _before: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._runs, self._short, self._starts = _hidden(self.prompt.instructions)

    def keeps(self, sentence: str, cited: tuple[int, ...] = ()) -> bool:
        """May the finished sentence stay? `cited` are the numbers of the sections that it names."""
        said = words(sentence)
        leaks = (
            not self._runs.isdisjoint(_runs(self._before + said, LEAK_WORDS))
            or (len(said) >= WHOLE_WORDS and self._short >= _runs(said, WHOLE_WORDS))
            or bool(_WHOLE_TAG.search(sentence))
        )
        self._before = (self._before + said)[-(LEAK_WORDS - 1) :]  # a run may begin in the sentence before
        if leaks:
            self.leaked += 1
            return False
        kinds = self.ground.unborne(sentence, cited) if self.ground else ()
        if kinds:
            self.unborne += kinds
            log.warning("A sentence of an answer is not borne by the site: %s.", ", ".join(kinds))  # never its words
        return not (kinds and self.strict)

    def sendable(self, open_sentence: str) -> int:
        """How many characters of a sentence that is still coming may show already."""
        spans = word_spans(open_sentence)
        if open_sentence[-1:].isalnum():
            spans = spans[:-1]  # pieces are cut anywhere: the last word may not be whole yet
        limits = [len(open_sentence), self._held_by_run(spans)]
        if tag := _TAG.search(open_sentence):
            limits.append(tag.start())
        if self.ground and self.strict:
            limits.append(self.ground.known_until(open_sentence))
        return min(limits)

    def _held_by_run(self, spans: list[tuple[str, int]]) -> int:
        """Where the words begin that may be, or are, our own instructions."""
        said = self._before + [word for word, _ in spans]
        first = len(self._before)
        run = 0
        end = len(said) - HELD_WORDS
        for at in range(end + 1):
            run = run + 1 if tuple(said[at : at + HELD_WORDS]) in self._starts else 0
            if run and (run + HELD_WORDS - 1 >= LEAK_WORDS or at == end):
                begins = max(0, at - run + 1 - first)
                return spans[begins][1] if begins < len(spans) else 1 << 30
        return 1 << 30


def _runs(said: list[str], length: int) -> set[tuple[str, ...]]:
    return {tuple(said[at : at + length]) for at in range(len(said) - length + 1)}
