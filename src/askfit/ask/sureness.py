"""Whether the best sentence is good enough to be an answer, or only near: each thing that is missing makes less sure.

What each missing thing costs was measured on questions without an answer (docs/decisions/ask.md).
"""

from __future__ import annotations

import re

from askfit.ask.kinds import asks_what_is, is_kind
from askfit.ask.question import names_in
from askfit.ask.terms import FORM, categories, content, light, opposed, statements, told
from askfit.ask.voice import employer, is_profile, says_i_near, tells_of_employer
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
from askfit.text import stem as stem_of

# Sure enough to answer; each missing thing makes less sure.
LEAST_SURE = 0.52
NEAR_ENOUGH = 0.4  # of the question is borne there: to name the nearest page
NAME_MISSING, FIGURE_MISSING, UNKNOWN_WORD = 0.2, 0.6, 0.1
NEGATED, BOTH_NEGATED = 0.9, 0.3  # what is not so is asked, what is so is told; told in the negative too
BEARS_ALL = 0.05  # each of the question's words stands in the sentence, or a form of it
SPREAD = 0.1  # in a question about the world a further missing word tells less than the first
# Of a question about the world: about the weights of a logistic fit to SQuAD 2.0 (2026-11-21), each kept for what it
# gained on articles left out of the fit.
EACH_WORD = 0.05  # that is borne: five of seven tell more than two of three
OF_WORLD = 0.15  # what these add in the mean, so that one threshold serves all
TOGETHER = 0.11  # the question's words stand all over the sentence, not at one end of it
TURNED_BY_PREFIX = 0.9  # "uncommon" is asked for, of what is common told
SUPERLATIVE_MISSING, COMPARATIVE_MISSING = 0.35, 0.2
HEAD_MISSING, OWN_HEAD_MISSING = 0.2, 0.4  # of a question about the world; about the owner
ONLY_IN_NAME = 0.7  # "which games did you make?": of "Acme Games" is told
NO_SUM = 0.45  # of money, in a question about the world
NOT_EMPLOYER = 0.8
OPPOSITE = 0.5  # "the lowest" is asked for, of the highest is told
OTHER_PERSON = 0.8  # "who was your manager?": nobody is named
IN_PASSING = 0.2  # asked of the owner, said in an essay on something else
# Asked of nobody but the owner: of "do you have a car?" an essay on new cars tells nothing (2026-11-21).
IN_PASSING_OF_YOU, FAR_FROM_I = 0.4, 0.3
REASON_UNTOLD = 0.4  # "why did you leave Quay Apps?": that the owner was there is no reason
LIST_UNTOLD = 0.4  # "which companies did you found?": a company here and a founding there are no list
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
_PREFIXED = re.compile(r"\b(?:un|in|im|ir|il|non-?|dis|mis|anti-?)([a-z]{4,})\b", re.IGNORECASE)
_SUPERLATIVE = re.compile(r"\b(?:most|least|\w{3,}est|only|first|last|best|worst|main|primary)\b", re.IGNORECASE)
_COMPARATIVE = re.compile(r"\b\w{3,}er\b|\b(?:more|less)\b")
_YOU = re.compile(r"\byou(?:rs?|rself)?\b", re.IGNORECASE)
_LOWER = re.compile(r"\b[a-z][\w’'-]*")
_WHICH_ONE = re.compile(
    r"\b(?:what|which) ([\w-]+) (?:do|does|did|is|are|was|were|has|have|had|can|could|would|will)\b", re.IGNORECASE
)


def certainty(asked: Asked, best: Candidate) -> float:
    """How sure it is that the sentence answers: the share of the question that is borne there, less what is wrong."""
    around = _around(best)
    focus = asked.question.focus
    worldly = not asked.question.personal
    return (
        _borne_share(asked, best)
        + SAME_QUESTION * same_question(asked, best.section)
        + 0.1 * in_a_row(asked, best.statement)
        - NAME_MISSING * min(2, sum(not borne(stem, around) for stem in asked.names & focus))
        - FIGURE_MISSING * sum(any(map(str.isdigit, stem)) and stem not in around for stem in asked.own)
        - (HEAD_MISSING * _head_missing(asked, around) if worldly else _own_head_missing(asked, best))
        - UNKNOWN_WORD * sum(not borne(stem, around) for stem in asked.unknown & focus) * (not worldly)
        - _negated(asked, best)
        + BEARS_ALL * _bears_all(asked, best)
        + (_of_world(asked, best, around) if worldly else 0.0)
        - OPPOSITE * _opposites(asked, best)
        - _wrong_type(asked, best)
        - _passing(asked, best)
        - REASON_UNTOLD * _reason_untold(asked, best)
        - LIST_UNTOLD * _list_untold(asked, best)
        - OF_ANOTHER * (not of_owner(asked, best.section, best.text))
        - NOT_EMPLOYER * _other_employer(asked, best)
    )


def _of_world(asked: Asked, best: Candidate, around: frozenset[str]) -> float:
    """What else tells in a question about the world, which is longer and worded by who knows the matter."""
    missing = sum(not borne(stem, around) for stem in asked.own)
    return (
        SPREAD * min(3, max(0, missing - 1))
        + EACH_WORD * sum(borne(stem, around) > 0 for stem in asked.own)
        - OF_WORLD
        + TOGETHER * _span(asked, best)
        - TURNED_BY_PREFIX * _turned_by_prefix(asked, best, around)
        - SUPERLATIVE_MISSING * sum(not borne(stem, around) for stem in _superlatives(asked))
        - COMPARATIVE_MISSING * any(not borne(stem, around) for stem in _comparatives(asked))
    )


def _span(asked: Asked, best: Candidate) -> float:
    """How much of the sentence lies between the first and the last of the question's words."""
    at = [place for place, stem in enumerate(best.statement.stems) if stem in asked.own]
    return (at[-1] - at[0]) / len(best.statement.stems) if at else 1.0


def _turned_by_prefix(asked: Asked, best: Candidate, around: frozenset[str]) -> bool:
    """Is "uncommon" asked for, of what is common told?"""
    for match in _PREFIXED.finditer(asked.question.text):
        whole, bare = content(match[0]), stem_of(match[1].casefold())[:FORM]
        said = frozenset(best.statement.stems)
        if whole and whole[0] not in said and any(one.startswith(bare) for one in around):
            return True
    return False


def _superlatives(asked: Asked) -> frozenset[str]:
    return frozenset(content(" ".join(_SUPERLATIVE.findall(asked.question.text)))) & asked.own.keys()


def _comparatives(asked: Asked) -> frozenset[str]:
    return frozenset(content(" ".join(_COMPARATIVE.findall(asked.question.text)))) & asked.own.keys()


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
    if asked.question.wants == "money" and not asked.question.personal:
        missing = NO_SUM  # an owner may answer "I don't discuss my salary"
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


def _passing(asked: Asked, best: Candidate) -> float:
    """What it costs that an essay only touches on what is asked of the owner."""
    if not _in_passing(asked, best):
        return 0.0
    if not _of_nobody_else(asked):
        return IN_PASSING
    return IN_PASSING_OF_YOU + FAR_FROM_I * (not says_i_near(best.text, asked.question.focus))


def _of_nobody_else(asked: Asked) -> bool:
    """ "She" is the owner where the question names nobody; "you" always is."""
    return bool(_YOU.search(asked.question.text)) or not asked.names


def _reason_untold(asked: Asked, best: Candidate) -> bool:
    """Asked of the owner why: a sentence that holds no reason, and not the very thing that is to be explained."""
    question = asked.question
    if not question.personal or question.wants != "reason" or typed(asked, best.text):
        return False
    said = frozenset(best.statement.stems)
    return not all(told(stem, said) for stem in question.focus - asked.names - light())


def _list_untold(asked: Asked, best: Candidate) -> bool:
    """Asked of the owner which companies: a sentence that does not say companies and what was done with them."""
    match = _WHICH_ONE.search(asked.question.text)
    if not asked.question.personal or not match or not match[1].casefold().endswith("s"):
        return False
    said = frozenset(best.statement.stems)
    return bool(categories().intersection(content(match[1]))) and not said >= asked.question.focus - light()


def _head_missing(asked: Asked, around: frozenset[str]) -> bool:
    """Of "what is her favourite book?" the book stands nowhere near: a favourite something is not enough."""
    head = _head(asked)
    return head in asked.question.focus and not borne(head, around)


def _own_head_missing(asked: Asked, best: Candidate) -> float:
    """What is asked of the owner must be told where it is answered: not in the sentence before, not by a name."""
    head = _head(asked)
    if head not in asked.question.focus:
        return 0.0
    if not _WHICH_ONE.search(asked.question.text):
        return OWN_HEAD_MISSING * (not borne(head, _around(best)))
    parts = (best.section.title, best.section.heading.rpartition(" › ")[2], best.text)
    said = frozenset(content(" ".join(parts)))
    if not told(head, said):
        return OWN_HEAD_MISSING
    plain = frozenset(stem for part in parts for stem in content(" ".join([*part.split()[:1], *_LOWER.findall(part)])))
    return ONLY_IN_NAME * (not told(head, plain | names_in(asked.question.text)))


def _head(asked: Asked) -> str:
    """The stem of the thing that is asked for: the noun behind "which", or the last of "what is her …"; "" if none."""
    text = asked.question.text
    if match := _WHICH_ONE.search(text):
        stems = frozenset(content(match[1])) - categories() - light()
        return next(iter(stems & asked.own.keys()), "")
    return list(asked.own)[-1] if asked.own and asks_what_is(text) else ""
