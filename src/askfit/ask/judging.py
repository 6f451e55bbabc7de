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
from askfit.ask.terms import content
from askfit.leaks import Watch, first_sign, hidden_of
from askfit.text import stands_in, word_spans, words
from askfit.types import Prompt

log = logging.getLogger(__name__)

LEAK_WORDS = 8  # in a row: eight words of the instructions do not come together by chance
WHOLE_WORDS = 5  # in a row: a sentence of nothing but our instructions, however short
NEAR = 6  # sections that a sentence shaped like a disclosure may stand in, besides those that it names
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
    _watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        self._watch = Watch(hidden_of(self.prompt.instructions))
        self._runs, self._short, self._starts = _hidden(self.prompt.instructions)

    def keeps(self, sentence: str, cited: tuple[int, ...] = ()) -> bool:
        """May the finished sentence stay? `cited` are the numbers of the sections that it names."""
        said = words(sentence)
        leaks = (
            not self._runs.isdisjoint(_runs(self._before + said, LEAK_WORDS))
            or (len(said) >= WHOLE_WORDS and self._short >= _runs(said, WHOLE_WORDS))
            or bool(_WHOLE_TAG.search(sentence))
        )
        leaks = self._gives_away(sentence, cited) or leaks or (self._suspect and not cited)
        self._before = (self._before + said)[-(LEAK_WORDS - 1) :]  # a run may begin in the sentence before
        if leaks:
            self.leaked += 1
            return False
        kinds = self.ground.unborne(sentence, cited) if self.ground else ()
        if kinds:
            self._tell(kinds)
            self.unborne += kinds
        return not (kinds and self.strict)

    def _tell(self, kinds: tuple[str, ...]) -> None:
        """One line in the log for an answer, however many of its sentences go; never their words."""
        level = logging.DEBUG if self.unborne else logging.WARNING
        log.log(level, "A sentence of an answer does not stand on the site: %s.", ", ".join(kinds))

    @property
    def _suspect(self) -> bool:
        """Has this answer given something away? Then more of it may be the same: only what names a section is kept."""
        return self.leaked > 0 and self.ground is not None

    def _gives_away(self, sentence: str, cited: tuple[int, ...]) -> bool:
        """Our instructions in another form, or what is shaped like them and stands on no page.

        Without a ground nothing is known of the pages: then only what is surely ours counts.
        """
        form = self._watch.leak(sentence)
        if form != "disclosure":
            return bool(form)
        if self.ground is None:
            return False
        sections = self.ground.evidence.sections
        named = [number - 1 for number in cited if 0 < number <= len(sections)]
        near = self.ground.evidence.near(set(content(sentence)), frozenset(), NEAR)
        return not any(stands_in(sentence, sections[at].text) for at in (*named, *near))

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
        if self.ground:
            limits.append(0 if self._suspect or self._watch.begins(open_sentence) else first_sign(open_sentence))
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
