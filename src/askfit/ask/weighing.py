"""Weigh each sentence that was found against a question: how much of it is borne there, and what else speaks for it.

Says which sentence is the best, not whether it is good enough. Constants were set on the sample and on SQuAD 2.0
(docs/decisions/ask.md).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from askfit.ask.kinds import after_figures, asks_what_is, holds
from askfit.ask.question import Question, names_in
from askfit.ask.terms import FORM, Statement, categories, content, kin, light, statements
from askfit.ask.voice import is_other_person, speaks_of_owner
from askfit.corpus import Corpus
from askfit.text import words
from askfit.types import Section

MOST_SENTENCE_WORDS = 120
# What a question's word counts for, by where it stands.
IN_SENTENCE, IN_KIN, IN_FORM, BEFORE, IN_HEADING, AFTER, IN_SECTION = 1.0, 0.7, 0.7, 0.5, 0.4, 0.2, 0.1
LIGHT = 0.4  # "which country": the answer names one without the word; and "make", "hold"
DEGREE = 0.2  # "how late was it": "19 weeks" says it without the word
ASIDE = 0.4  # what only leads up to the question
CARRIED, CARRIED_NAME = 0.2, 0.8  # words of the turn before that this question points back to
MOST_CARRIED = 0.5  # of what the question's own words weigh
UNKNOWN = 0.4  # a word that stands nowhere on the site
PAIR = 0.3  # the question's words in a row stand in a row
RIGHT_TYPE = 0.3  # a date where one is asked for
SAYS_SOMETHING = 0.15
OF_OWNER = 0.3  # asked of the owner, said of the owner
PERSONAL = 0.1  # "you" is answered by "I", "we" or the owner's name
COUNTED = 0.15
DEFINES = 0.3
BEST_PASSAGE = 0.2
SAME_QUESTION = 0.5  # the heading asks the same
RECENT = 0.25  # "your last team": the latest of what is dated
ALIKE = 0.6  # how much of each other heading and question must share to ask the same
LOCALLY = 0.55  # the question's words that few of the found sentences hold
PASSAGE = 0.35  # of the question borne anywhere in the section
RUN, LONGEST_RUN = 0.35, 6  # the question's very words in a row
NAME_MISSING = 0.18
# Of a question about the world only, which is asked in whole words by who knows the matter. A listwise logistic fit
# to SQuAD 2.0, one article left out at a time (2026-11-21); the owner's questions are short and were none the better.
LETTERS, GRAM = 1.4, 4  # the question's runs of four letters, across words: "unified" in "reunification"
WORDS = 0.5  # the question's very words, the small ones too
LONGER = 0.14  # a long sentence shares words by mere length; for each e-fold
TYPE_OF_WORLD = 0.35  # on top of RIGHT_TYPE
AS_FORM, AS_KIN = 0.9, 0.75  # how far another form, or another word for it, bears a word
_MARKER_LIKE = re.compile(r"\[[\[\d]")  # would be read as a marker
_CATEGORY = re.compile(
    r"\b(?:what|which)\s+"
    r"(?:(?:is|was|are|were) the (?:name|year|date) of |(?:type|kind|sort|form|name)s? of )?([\w-]+)",
    re.IGNORECASE,
)
_PARTS = re.compile(r"[,;]|\b(?:and|or)\b")
_HOW = re.compile(r"\bhow\s+(\w+)\s+(?:is|are|was|were|do|does|did|has|have|had|can|could|would|will)\b", re.IGNORECASE)
_YOU = re.compile(r"\byou(?:r|rs|rself)?\b", re.IGNORECASE)
_SELF = re.compile(r"\b(?:I|[Mm]y|[Mm]e|[Ww]e|[Oo]ur|[Hh]e|[Ss]he|[Hh]is|[Hh]er)\b")
_RECENT = frozenset(content("last latest recent recently current currently newest today present"))
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
# A footnote, a line of code; a question, what only leads up to a list, a piece of something longer.
_NO_STATEMENT = re.compile(r"^(?:\[\^|//|#!|\$ |[{}<])|[?:：,;{]\W*$")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question weighed against one corpus: stem → how telling it is, its own words and the carried ones apart."""

    question: Question
    own: dict[str, float]
    carried: dict[str, float]
    unknown: frozenset[str]  # own words that stand nowhere on the site
    names: frozenset[str]
    earlier_names: frozenset[str]
    pairs: tuple[tuple[str, str], ...]
    recent: bool
    local: Mapping[str, float]  # own words by how few of the found sentences hold them
    raw: tuple[str, ...]  # every word of the question, in order
    letters: frozenset[str]  # of them: each run of letters that stands in them, spaces counted

    @property
    def all(self) -> dict[str, float]:
        return {**self.carried, **self.own}


@dataclass(frozen=True, slots=True)
class Candidate:
    """One sentence of the site, weighed."""

    section: Section
    at: int  # among the section's statements
    statement: Statement
    score: float

    @property
    def text(self) -> str:
        return self.section.text[self.statement.start : self.statement.end]


def weigh(corpus: Corpus, question: Question, sections: Sequence[Section]) -> Asked:
    """How telling each of the question's words is on this site: rare words more, words of every section hardly."""
    total = len(corpus.sections)
    found = {stem: corpus.frequency(word) for stem, word in {**question.carried, **question.terms}.items()}

    def rarity(stem: str) -> float:
        return math.log(1 + (total - found[stem] + 0.5) / (found[stem] + 0.5))

    match = _CATEGORY.search(question.text)
    recent = bool(_RECENT.intersection(question.terms))
    slight = light() | (categories().intersection(content(match[1])) if match else frozenset())
    slight |= _RECENT if recent else frozenset()
    degree = frozenset(stem for match in _HOW.finditer(question.text) for stem in content(match[1]))

    missing = [stem for stem in question.terms if not found[stem] and not any(map(corpus.frequency, kin(stem)))]
    near = frozenset(stem for section in sections for said in statements(section.text) for stem in said.stems)
    unknown = frozenset(stem for stem in missing if not borne(stem, near))

    def weight(stem: str) -> float:
        aside = 1.0 if stem in question.focus else ASIDE
        return (
            rarity(stem)
            * aside
            * (DEGREE if stem in degree else LIGHT if stem in slight else 1.0)
            * (UNKNOWN if stem in unknown else 1.0)
        )

    own = {stem: weight(stem) for stem in question.terms}
    earlier_names = names_in(question.earlier)
    carried = {
        stem: rarity(stem) * (CARRIED_NAME if stem in earlier_names else CARRIED)
        for stem in question.carried
        if found[stem]
    }
    most = MOST_CARRIED * sum(own.values())
    scale = min(1.0, most / sum(carried.values())) if own and carried else 1.0
    carried = {stem: weight * scale for stem, weight in carried.items()}
    stems = [stem for stem in question.terms if stem not in degree]
    raw = tuple(words(question.text))
    spelt = " ".join(raw)
    return Asked(
        question,
        own,
        carried,
        unknown,
        names_in(question.text),
        earlier_names,
        tuple(pairwise(stems)),
        recent,
        _local(own, sections),
        raw,
        frozenset(spelt[at : at + GRAM] for at in range(len(spelt) - GRAM + 1)),
    )


def _local(own: Mapping[str, float], sections: Sequence[Section]) -> dict[str, float]:
    """Of the words that tell anything: how rare each is among the found sentences, as shares of one."""
    said = [frozenset(statement.stems) for section in sections for statement in statements(section.text)]
    counts = {stem: sum(stem in one for one in said) for stem, weight in own.items() if weight > 0}
    rare = {stem: math.log(1 + (len(said) - count + 0.5) / (count + 0.5)) for stem, count in counts.items()}
    total = sum(rare.values()) or 1.0
    return {stem: weight / total for stem, weight in rare.items()}


def candidates(asked: Asked, sections: Sequence[Section]) -> list[Candidate]:
    """Every sentence of the found sections, best first; what comes first on the site wins a tie."""
    found = [
        candidate for rank, section in enumerate(sections) for candidate in _weighed(asked, section, rank, sections)
    ]
    return sorted(found, key=lambda candidate: -candidate.score)


def _weighed(asked: Asked, section: Section, rank: int, sections: Sequence[Section]) -> Iterable[Candidate]:
    stated = statements(section.text)
    heading = frozenset(content(f"{section.title} {section.heading}"))
    whole = frozenset(stem for statement in stated for stem in statement.stems)
    base = BEST_PASSAGE / (1 + rank) + (RECENT * _recency(section, sections) if asked.recent else 0.0)
    base += PASSAGE * share_borne(asked.own, whole)
    same = SAME_QUESTION * same_question(asked, section)
    weights = asked.all
    total = sum(weights.values()) or 1.0
    for at, statement in enumerate(stated):
        text = section.text[statement.start : statement.end]
        if not statement.stems or statement.words > MOST_SENTENCE_WORDS or _MARKER_LIKE.search(text):
            continue
        if _NO_STATEMENT.search(text):
            continue
        places = _places(stated, at, heading, whole)
        share = sum(weight * _standing(stem, places) for stem, weight in weights.items()) / total
        names = asked.names & asked.own.keys()
        near = frozenset[str]().union(*(place for place, _ in places[:3]))
        missing = sum(not borne(stem, near) for stem in names) / len(names) if names else 0.0
        bonus = base + same / (1 + at) + _fitness(asked, section, statement, text) - NAME_MISSING * missing
        yield Candidate(section, at, statement, share + bonus)


def _fitness(asked: Asked, section: Section, statement: Statement, text: str) -> float:
    """What speaks for a sentence besides the words that it shares with the question."""
    personal = bool(_YOU.search(asked.question.text)) and bool(_SELF.search(text))
    worldly = not asked.question.personal
    said = _words(text)
    return (
        PAIR * in_a_row(asked, statement)
        + SAYS_SOMETHING * _new(asked, statement)
        + LOCALLY * sum(weight * _said(stem, statement) for stem, weight in asked.local.items())
        + RUN * min(_longest_run(asked.raw, said), LONGEST_RUN) / LONGEST_RUN
        + (RIGHT_TYPE + TYPE_OF_WORLD * worldly) * typed(asked, text)
        + (_wording(asked, said) if worldly else 0.0)
        + COUNTED * _counted(asked, text)
        + DEFINES * _defines(asked, text)
        + PERSONAL * personal
        + OF_OWNER * of_owner(asked, section, text)
    )


def _counted(asked: Asked, text: str) -> bool:
    """Asked how many tests: does a figure stand before "tests"?"""
    if asked.question.wants != "number":
        return False
    return any(not asked.own.keys().isdisjoint(content(words)) for words in after_figures(text))


def _defines(asked: Asked, text: str) -> bool:
    """Asked what X is: does the sentence say "X is …"?"""
    if not asked.own or not asks_what_is(asked.question.text):
        return False
    word = re.escape(list(asked.question.terms.values())[-1])
    return bool(re.search(rf"\b{word}\w*(?:\W+(?:is|are|was|were)|,? (?:an?|the))\b", text, re.IGNORECASE))


def _wording(asked: Asked, said: Sequence[str]) -> float:
    """How far a sentence is put as the question is, letter by letter."""
    return (
        LETTERS * _share(asked.letters, " ".join(said))
        + WORDS * _share(frozenset(asked.raw), frozenset(said))
        - LONGER * math.log(1 + len(said))
    )


def _share(parts: Set[str], whole: str | Set[str]) -> float:
    return sum(part in whole for part in parts) / len(parts) if parts else 0.0


def _new(asked: Asked, statement: Statement) -> float:
    """How much a sentence says that the question did not: "Employer: X." says nothing of X."""
    new = len(frozenset(statement.stems).difference(asked.own, asked.carried))
    return min(1.0, new / 4)


def _said(stem: str, statement: Statement) -> float:
    said = statement.stems
    if stem in said:
        return 1.0
    return AS_FORM * (borne(stem, frozenset(said)) > 0) * 0.8


@lru_cache(maxsize=4096)  # sentences: the answers of a site come from few of them
def _words(text: str) -> tuple[str, ...]:
    return tuple(words(text))


def _longest_run(one: Sequence[str], other: Sequence[str]) -> int:
    """How many words of the one stand in the other in the same order without a gap, at most."""
    if len(frozenset(one).intersection(other)) < 2:
        return 0
    longest = 0
    ending = [0] * (len(other) + 1)
    for word in one:
        previous = 0
        for at, said in enumerate(other, 1):
            kept = ending[at]
            ending[at] = previous + 1 if said == word else 0
            longest = max(longest, ending[at])
            previous = kept
    return longest


Places = tuple[tuple[frozenset[str], float], ...]


def _places(stated: Sequence[Statement], at: int, heading: frozenset[str], whole: frozenset[str]) -> Places:
    """Where a word may stand, nearest first, with what it counts for there."""
    before = frozenset(stated[at - 1].stems) if at else frozenset[str]()
    after = frozenset(stated[at + 1].stems) if at + 1 < len(stated) else frozenset[str]()
    return (
        (frozenset(stated[at].stems), IN_SENTENCE),
        (before, BEFORE),
        (heading, IN_HEADING),
        (after, AFTER),
        (whole, IN_SECTION),
    )


def _standing(stem: str, places: Places) -> float:
    said = places[0][0]
    if stem in said:
        return IN_SENTENCE
    if not said.isdisjoint(kin(stem)):
        return IN_KIN
    if len(stem) >= FORM and any(other.startswith(stem[:FORM]) for other in said):
        return IN_FORM
    return next((weight for place, weight in places[1:] if stem in place), 0.0)


def in_a_row(asked: Asked, statement: Statement) -> float:
    """The share of the question's word pairs that stand side by side, or all but."""
    if not asked.pairs:
        return 0.0
    position = {stem: at for at, stem in enumerate(statement.stems)}
    near = sum(
        first in position and second in position and abs(position[first] - position[second]) <= 2
        for first, second in asked.pairs
    )
    return near / len(asked.pairs)


def typed(asked: Asked, text: str) -> bool:
    """Does the sentence hold what is asked for: a date, a figure, a name that the question does not give itself?"""
    question = asked.question
    if question.related:
        return is_other_person(text, question.related)
    return holds(question.wants, text, question.terms.keys())


def of_owner(asked: Asked, section: Section, text: str) -> bool:
    return not asked.question.personal or speaks_of_owner(text, section, asked.question.owner)


def same_question(asked: Asked, section: Section) -> float:
    """How far the section's heading asks what is asked: an FAQ's question, word for word, is 1.

    A heading may ask two things at once: "Where do you live, and would you move?"
    """
    last = section.heading.rpartition(" › ")[2]
    if not last.endswith("?") or not asked.own:
        return 0.0
    alike = max(_alike(asked, frozenset(content(part))) for part in (last, *_PARTS.split(last)))
    return alike * _named(asked, section) if alike >= ALIKE else 0.0


def _alike(asked: Asked, heading: frozenset[str]) -> float:
    if not heading:
        return 0.0
    of_question = share_borne({stem: asked.own[stem] for stem in asked.question.focus}, heading)
    telling = heading - light() or heading
    return min(of_question, sum(borne(stem, asked.all.keys()) for stem in telling) / len(telling))


def _named(asked: Asked, section: Section) -> float:
    """Is the section about what the turn before was about? 1 where no turn before matters."""
    names = {stem: weight for stem, weight in asked.carried.items() if stem in asked.earlier_names}
    if not names:
        return 1.0
    return share_borne(names, frozenset(content(f"{section.title} {section.heading} {section.text}")))


def _recency(section: Section, sections: Sequence[Section]) -> float:
    """0 for the oldest of the found sections that name a year, 1 for the latest."""
    years = [max(map(int, _YEAR.findall(one.text)), default=0) for one in sections]
    dated = [year for year in years if year]
    own = max(map(int, _YEAR.findall(section.text)), default=0)
    if not own or max(dated) == min(dated):
        return 0.0
    return (own - min(dated)) / (max(dated) - min(dated))


def share_borne(weights: dict[str, float], place: frozenset[str]) -> float:
    total = sum(weights.values()) or 1.0
    return sum(weight * borne(stem, place) for stem, weight in weights.items()) / total


def borne(stem: str, place: Set[str]) -> float:
    if stem in place:
        return 1.0
    if len(stem) >= FORM and any(other.startswith(stem[:FORM]) for other in place):
        return AS_FORM
    return AS_KIN if kin(stem) & place else 0.0
