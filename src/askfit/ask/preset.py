"""A chat whose questions the owner has chosen: a visitor picks one by its name, and it stands for several.

The built-in says the best sentence that the site has on each. Knows choices, not who answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from askfit.ask.citing import without_markers
from askfit.ask.extract import reply
from askfit.ask.question import Question, understand
from askfit.config import Feature
from askfit.corpus import Corpus
from askfit.errors import InputError
from askfit.text import clean, words

MOST_WORDS = 80  # where the feature names no length
MOST_SHOWN_CHARS = 60


def chosen(feature: Feature, given: str) -> str:
    """The choice of that name; the first where none is named. InputError where there is no such choice."""
    wanted = " ".join(clean(given[:200]).split()).casefold()
    names = list(feature.choices)
    found = names[:1] if not wanted else [name for name in names if name.casefold() == wanted]
    if not found:
        shown = " ".join(given[:MOST_SHOWN_CHARS].split())
        raise InputError("choice_unknown", f"There is no choice '{shown}'.", f"Choose: {', '.join(names)}.")
    return found[0]


def posed(feature: Feature, name: str) -> str:
    """The question that a choice stands for, as a model is asked it."""
    return "\n".join([f"{name}:", *(f"- {topic}" for topic in feature.choices[name])])


def told(corpus: Corpus, asked: Question, owner: str, most_words: int) -> list[str]:
    """What the built-in says: of each topic the first sentence, then the second ones, as far as the words go."""
    answers = [reply(corpus, understand(topic, (), owner)) for topic in asked.topics]
    answers = [pieces for pieces in answers if not pieces[0].startswith("[[none")]
    left, said = most_words or MOST_WORDS, dict[str, None]()
    for piece in (piece.strip() for turn in zip_longest(*answers, fillvalue="") for piece in turn):
        count = len(words(without_markers(piece)))
        if piece and piece not in said and count <= left:
            said[piece] = None
            left -= count
    return _spaced(list(said)) or ["[[none]]"]


def _spaced(said: Sequence[str]) -> list[str]:
    """A line to each: they come from different pages."""
    return [f"\n{piece}" if at else piece for at, piece in enumerate(said)]
