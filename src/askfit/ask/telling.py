"""What an answer tells of the model that gave it: does it draw on what was found, was it asked for once more?

Both are told while the words are there; a share and a yes or no are all that is kept of them. Calls nothing.
"""

from __future__ import annotations

import re

from askfit.ask.bearing import bearing_quote
from askfit.ask.passages import passages
from askfit.ask.prompt import PASSAGES
from askfit.ask.question import Question, understand
from askfit.ask.terms import light, told
from askfit.corpus import Corpus
from askfit.text import sentences

TURNS_BACK = 3  # an answer further up was not what this question is about
ALIKE = 0.75  # of the telling words of two questions: "her role at X" and "why did she leave X" share two thirds
MOST_SENTENCES = 12  # of an answer; none that keeps to its length has more
# Nothing but the wish for more, or for something else, of the answer before.
_MORE = re.compile(
    r"\W*(?:(?:please|can you|could you|and|but)\s+)*(?:"
    r"(?:be |a (?:bit|little) )?more (?:detail|specific|depth|precise|concrete)\w*"
    r"|(?:give|tell|say|show)(?: me)?(?: (?:a|some|much|bit|lot|little))* more"
    r"|elaborate|expand(?: on (?:that|this|it))?|go deeper"
    r"|(?:that|this)(?:['’]s| is| was) not what i (?:asked|meant|wanted)"
    r"|you (?:didn['’]?t|did not|haven['’]?t) answer\w*|that (?:doesn['’]?t|does not|didn['’]?t) (?:answer|help)\w*"
    r"|(?:etwas |bitte )?(?:ausführlicher|genauer|mehr details?)"
    r"|plus de détails?|plus précis\w*|más detalles?|sé más específic\w*)\b",
    re.IGNORECASE,
)
_MOST_MORE_WORDS = 9


def coverage(corpus: Corpus, asked: Question, answer: str) -> float | None:
    """The share of the passages found for a question that bear a sentence of its answer; None where none is found."""
    found = passages(corpus, asked)[:PASSAGES]
    said = sentences(answer)[:MOST_SENTENCES]
    if not found or not said:
        return None
    return sum(any(bearing_quote(sentence, section) for sentence in said) for section in found) / len(found)


def is_asked_again(asked: Question, owner: str) -> bool:
    """Was nearly the same asked in one of the last turns, or is more wished of the last answer?"""
    before = asked.history[-TURNS_BACK:]
    if not before:
        return False
    if _MORE.match(asked.text) and len(asked.text.split()) <= _MOST_MORE_WORDS:
        return True
    return any(_alike(asked, understand(turn.question, (), owner)) for turn in before)


def _alike(one: Question, other: Question) -> bool:
    """Do they tell of the same things and the same figures? Words that tell little count where there are no others."""
    first, second = (frozenset(each.terms) - light() or frozenset(each.terms) for each in (one, other))
    if not first or not second or _figures(first) != _figures(second):
        return first == second and " ".join(one.text.split()).casefold() == " ".join(other.text.split()).casefold()
    shared = sum(told(stem, second) for stem in first)
    alone = sum(not told(stem, first) for stem in second)
    return shared / (len(first) + alone) >= ALIKE


def _figures(stems: frozenset[str]) -> frozenset[str]:
    return frozenset(stem for stem in stems if any(char.isdigit() for char in stem))
