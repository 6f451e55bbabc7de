"""How long an answer may be, by what is asked: a yes or no, a fact, a list, an explanation.

The prompt names the same lengths for every visitor, so that it stays cacheable; here they bound what is generated and
tell an answer that ran past. Knows no model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from askfit.ask.question import Question
from askfit.text import words

Kind = Literal["yes_no", "fact", "list", "explain"]


@dataclass(frozen=True, slots=True)
class Length:
    """`words` is what the prompt asks for; `tokens` the most that a model may generate, markers included."""

    words: int
    tokens: int


# An English word is about 1.4 tokens, a marker five a sentence, other languages half as much again; twice that is
# allowed, so that only an answer that rambles is cut.
LENGTHS: dict[Kind, Length] = {
    "yes_no": Length(40, 300),
    "fact": Length(40, 300),
    "list": Length(100, 600),
    "explain": Length(80, 450),
}
TOKENS_PER_WORD = 6  # of a length that the owner sets
MANY_WORDS = 40  # a question that long asks for more than a fact
_FACTS = frozenset({"date", "number", "duration", "contact", "money", "person", "place"})
_LIST = re.compile(
    r"\b(?:list|enumerate|overview of all)\b|\b(?:name|give|tell|show)(?: me)? (?:all|some|every|three|four|five|ten)\b"
    r"|\ball (?:the|of|your|her|his|their)\b|\bwhich (?:\w+ ){0,2}?\w{3,}s (?:do|does|did|has|have|had|are|were|can)\b"
    r"|\bwhat (?:are|were) (?:all |the |your |her |his |their |some )"
    r"|\bwhat (?:\w+ )?\w{3,}(?<!s)s (?:do|does|did|has|have|are|were)\b"
    r"|\b(?:nenne|liste|welche)\b|\b(?:énumère\w*|liste[zr]?|quels|quelles)\b|\b(?:enumera\w*|lista|cuáles)\b",
    re.IGNORECASE,
)


def kind_of(asked: Question) -> Kind:
    """What is asked for, by the question's words."""
    if asked.text.count("?") > 1 or len(words(asked.text)) > MANY_WORDS:
        return "explain"
    if _LIST.search(asked.text):
        return "list"
    if asked.wants == "yes_no":
        return "yes_no"
    return "fact" if asked.wants in _FACTS else "explain"


def length_of(asked: Question) -> Length:
    """The length that fits the question, or that its feature has."""
    if asked.most_words:
        return Length(asked.most_words, asked.most_words * TOKENS_PER_WORD)
    return LENGTHS[kind_of(asked)]


def is_over(asked: Question, answer: str) -> bool:
    """Did the answer run past what the prompt asks for?"""
    return len(words(answer)) > length_of(asked).words
