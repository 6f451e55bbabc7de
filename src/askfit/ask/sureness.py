"""Whether the best sentence is good enough to be an answer, or only near: each thing that is missing makes less sure.

What each missing thing costs was measured on questions without an answer (docs/decisions/ask.md).
"""

from __future__ import annotations

import re

from askfit.ask.kinds import asks_what_is, is_kind
from askfit.ask.terms import categories, content, light, opposed, statements
from askfit.ask.voice import employer, is_profile, tells_of_employer
from askfit.ask.weighing import (
    SAME_QUESTION,
    Asked,
    Candidate,
    borne,
    in_a_row,
    of_owner,
    same_question,
    share_borne,
    typed,
)

# Sure enough to answer; each missing thing makes less sure.
LEAST_SURE = 0.52
NEAR_ENOUGH = 0.4  # of the question is borne there: to name the nearest page
NAME_MISSING, FIGURE_MISSING, UNKNOWN_WORD = 0.2, 0.5, 0.1
NEGATED, BOTH_NEGATED = 0.9, 0.3  # what is not so is asked, what is so is told; told in the negative too
BEARS_ALL = 0.05  # each of the question's words stands in the sentence, or a form of it
SPREAD = 0.1  # in a question about the world a further missing word tells less than the first
HEAD_MISSING, OWN_HEAD_MISSING = 0.2, 0.4  # of a question about the world; about the owner
NOT_EMPLOYER = 0.8
OPPOSITE = 0.5  # "the lowest" is asked for, of the highest is told
OTHER_PERSON = 0.8  # "who was your manager?": nobody is named
IN_PASSING = 0.2  # asked of the owner, said in an essay on something else
OF_ANOTHER = 0.6  # a sentence that does not speak of the owner
WRONG_TYPE = {
    "": 0.0,
    "date": 0.45,
    "number": 0.5,
    "duration": 0.2,
    "contact": 0.6,
    "money": 0.25,
    "person": 0.4,
    "place": 0.1,
    "reason": 0.1,
    "yes_no": 0.0,
}
_NEGATED = re.compile(r"n[’']t\b|\b(?:not|non|never|no|without|except|unable|fail(?:ed|s)?)\b", re.IGNORECASE)
_WHICH_ONE = re.compile(
    r"\b(?:what|which) ([\w-]+) (?:do|does|did|is|are|was|were|has|have|had|can|could|would|will)\b", re.IGNORECASE
)


def certainty(asked: Asked, best: Candidate) -> float:
    """How sure it is that the sentence answers: the share of the question that is borne there, less what is wrong."""
    around = _around(best)
    focus = asked.question.focus
    missing = sum(not borne(stem, around) for stem in asked.own)
    return (
        _borne_share(asked, best)
        + SAME_QUESTION * same_question(asked, best.section)
        + 0.1 * in_a_row(asked, best.statement)
        - NAME_MISSING * min(2, sum(not borne(stem, around) for stem in asked.names & focus))
        - FIGURE_MISSING * sum(any(map(str.isdigit, stem)) and stem not in around for stem in asked.own)
        - (OWN_HEAD_MISSING if asked.question.personal else HEAD_MISSING) * _head_missing(asked, around)
        - UNKNOWN_WORD * sum(not borne(stem, around) for stem in asked.unknown & focus)
        - _negated(asked, best)
        + BEARS_ALL * _bears_all(asked, best)
        + SPREAD * min(3, max(0, missing - 1)) * (not asked.question.personal)
        - OPPOSITE * _opposites(asked, best)
        - _wrong_type(asked, best)
        - IN_PASSING * _in_passing(asked, best)
        - OF_ANOTHER * (not of_owner(asked, best.section, best.text))
        - NOT_EMPLOYER * _other_employer(asked, best)
    )


def nearness(asked: Asked, best: Candidate) -> float:
    """How near the sentence is to what is asked, whether or not it answers; an essay is not near the owner's own."""
    if _in_passing(asked, best) or not of_owner(asked, best.section, best.text):
        return 0.0
    return _borne_share(asked, best) + SAME_QUESTION * same_question(asked, best.section)


def _around(best: Candidate) -> frozenset[str]:
    """The stems of the sentence, of the one before it and of its headings."""
    stated = statements(best.section.text)
    heading = frozenset(content(f"{best.section.title} {best.section.heading}"))
    return heading.union(best.statement.stems, stated[best.at - 1].stems if best.at else ())


def _other_employer(asked: Asked, best: Candidate) -> bool:
    """ "Worked at Google?" is not answered by "Google Sheets"."""
    name = employer(asked.question.text)
    return bool(name) and not tells_of_employer(best.text, name)


def _borne_share(asked: Asked, best: Candidate) -> float:
    """The share of the question that the sentence bears, by itself and with its surroundings."""
    weights = asked.own or asked.carried
    return (share_borne(weights, frozenset(best.statement.stems)) + share_borne(weights, _around(best))) / 2


def _wrong_type(asked: Asked, best: Candidate) -> float:
    if not asked.question.related and not is_kind(asked.question.wants):
        return 0.0
    missing = OTHER_PERSON if asked.question.related else WRONG_TYPE[asked.question.wants]
    return 0.0 if typed(asked, best.text) else missing


def _negated(asked: Asked, best: Candidate) -> float:
    if not _NEGATED.search(asked.question.text):
        return 0.0
    return BOTH_NEGATED if _NEGATED.search(best.text) else NEGATED


def _bears_all(asked: Asked, best: Candidate) -> bool:
    said = frozenset(best.statement.stems)
    return all(borne(stem, said) for stem in asked.own)


def _opposites(asked: Asked, best: Candidate) -> int:
    """How many of the question's words the sentence turns round."""
    said = frozenset(best.statement.stems)
    return sum(opposed(stem, said - asked.own.keys()) and stem not in said for stem in asked.own)


def _in_passing(asked: Asked, best: Candidate) -> bool:
    return asked.question.personal and not is_profile(best.section.document)


def _head_missing(asked: Asked, around: frozenset[str]) -> bool:
    """Of "what is her favourite book?" the book stands nowhere near: a favourite something is not enough."""
    head = _head(asked)
    return head in asked.question.focus and not borne(head, around)


def _head(asked: Asked) -> str:
    """The stem of the thing that is asked for: the noun behind "which", or the last of "what is her …"; "" if none."""
    text = asked.question.text
    if match := _WHICH_ONE.search(text):
        stems = frozenset(content(match[1])) - categories() - light()
        return next(iter(stems & asked.own.keys()), "")
    return list(asked.own)[-1] if asked.own and asks_what_is(text) else ""
