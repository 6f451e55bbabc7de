"""Decide, for each finished sentence of an answer, whether it stays on screen. Knows no stream and no citation.

Today one check: our own instructions are never shown. What else a sentence has to pass belongs here too.
"""

from __future__ import annotations

from collections.abc import Callable

from askfit.text import words
from askfit.types import Prompt

LEAK_WORDS = 8  # in a row: eight words of the instructions do not come together by chance


def make_judge(prompt: Prompt) -> Callable[[str], bool]:
    """The judge of one answer: True where the sentence may stay."""
    hidden = _runs(words(prompt.instructions))
    before: list[str] = []

    def keep(sentence: str) -> bool:
        said = words(sentence)
        leaks = not hidden.isdisjoint(_runs(before + said))
        before[:] = (before + said)[-(LEAK_WORDS - 1) :]  # a run may begin in the sentence before
        return not leaks

    return keep


def _runs(said: list[str]) -> set[tuple[str, ...]]:
    return {tuple(said[at : at + LEAK_WORDS]) for at in range(len(said) - LEAK_WORDS + 1)}
