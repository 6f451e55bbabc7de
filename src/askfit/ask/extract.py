"""The built-in answer: one to three sentences of the site, word for word, or that the site does not say.

It speaks as a model would, markers and all, so that the same code reads and checks it. Knows no model and no network.
How sure it must be was measured (docs/decisions/ask.md); what the constants mean stands beside them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise

from askfit.ask.prompt import Shared, numbers
from askfit.ask.question import Question, names_in
from askfit.ask.terms import Statement, categories, content, kin, light, statements
from askfit.corpus import Corpus
from askfit.types import Section

PASSAGES = 8
MOST_SENTENCES = 3
MOST_WORDS = 60  # shown; a single longer sentence is shown whole, up to the next bound
MOST_SENTENCE_WORDS = 120
MOST_FOLLOW_UPS = 3

# What a question's word counts for, by where it stands.
IN_SENTENCE, IN_KIN, IN_FORM, BEFORE, IN_HEADING, AFTER, IN_SECTION = 1.0, 0.7, 0.7, 0.5, 0.4, 0.2, 0.1
LIGHT = 0.4  # "which country": the answer names one without the word; and "make", "hold"
ASIDE = 0.4  # what only leads up to the question
CARRIED, CARRIED_NAME = 0.2, 0.8  # words of the turn before that this question points back to
MOST_CARRIED = 0.5  # of what the question's own words weigh
UNKNOWN = 0.4  # a word that stands nowhere on the site
FORM = 5  # letters that two forms of one word share: "migrant" and "migration"
PAIR = 0.3  # the question's words in a row stand in a row
RIGHT_TYPE = 0.2  # a date where one is asked for
SAYS_SOMETHING = 0.15
PERSONAL = 0.1  # "you" is answered by "I", "we" or the owner's name
COUNTED = 0.15
DEFINES = 0.3
BEST_PASSAGE = 0.2
SAME_QUESTION = 0.5  # the heading asks the same
RECENT = 0.25  # "your last team": the latest of what is dated
ALIKE = 0.6  # how much of each other heading and question must share to ask the same
GOES_WITH, GOES_WITH_OTHER = 0.7, 0.9  # of the best score: a further sentence of the same section, of another
REPEATS = 0.7

# Sure enough to answer; each missing thing makes less sure.
LEAST_SURE = 0.5
NEAR_ENOUGH = 0.25  # to name the nearest page
NAME_MISSING, FIGURE_MISSING, UNKNOWN_WORD, NEGATED = 0.2, 0.2, 0.1, 0.6
WRONG_TYPE = {
    "": 0.0,
    "date": 0.1,
    "number": 0.1,
    "money": 0.1,
    "person": 0.4,
    "place": 0.1,
    "reason": 0.1,
    "yes_no": 0.0,
}

_MARKER_LIKE = re.compile(r"\[[\[\d]")  # would be read as a marker
_NEGATED = re.compile(r"n[’']t\b|\b(?:not|never|no|without|except|unable|fail(?:ed|s)?)\b", re.IGNORECASE)
_CATEGORY = re.compile(
    r"\b(?:what|which)\s+"
    r"(?:(?:is|was|are|were) the (?:name|year|date) of |(?:type|kind|sort|form|name)s? of )?([\w-]+)",
    re.IGNORECASE,
)
_PARTS = re.compile(r"[,;]|\b(?:and|or)\b")
_HOW = re.compile(r"\bhow\s+(\w+)\s+(?:is|are|was|were|do|does|did|has|have|had|can|could|would|will)\b", re.IGNORECASE)
_LEANS_BACK = re.compile(r"(?:it|its|he|she|his|her|they|their|this|that|these|those|such)\b", re.IGNORECASE)
_ABOUT = re.compile(r"\b(?:about|bio|profile|index|home|me|cv|resume|résumé)\b", re.IGNORECASE)
_YOU = re.compile(r"\byou(?:r|rs|rself)?\b", re.IGNORECASE)
_SELF = re.compile(r"\b(?:I|[Mm]y|[Mm]e|[Ww]e|[Oo]ur|[Hh]e|[Ss]he|[Hh]is|[Hh]er)\b")
_WHAT_IS = re.compile(r"(?:what|who)(?:['’]s| is| are| was| were)\b(?:\W+[\w’'-]+){1,5}\W*$", re.IGNORECASE)
_RECENT = frozenset(content("last latest recent recently current currently newest today present"))
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_TYPES = {
    "date": re.compile(
        r"\b(?:1\d{3}|20\d\d)s?\b|\b(?:January|February|March|April|May|June|July|August|September|October|November"
        r"|December|century|centuries|decade|spring|summer|autumn|winter)\b"
    ),
    "number": re.compile(
        r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|hundreds?|thousands?|millions?"
        r"|billions?|half|third|quarter|percent|several)\b",
        re.IGNORECASE,
    ),
    "money": re.compile(r"[$€£¥%]|\b(?:dollars?|euros?|pounds?|percent|million|billion|cents?)\b", re.IGNORECASE),
    "person": re.compile(r"(?<!^)(?<![.!?] )(?<!\bin )(?<!\bat )(?<!\bto )(?<!\bfrom )\b[A-Z][\w’'-]+"),
    "place": re.compile(r"(?<!^)(?<![.!?] )\b[A-Z][\w’'-]+"),
    "reason": re.compile(
        r"\b(?:because|since|due to|so that|in order to|as a result|reason|therefore|thus|caused)\b", re.IGNORECASE
    ),
}


_DATE = re.compile(
    r"\b(?:\d{1,2} )?(?:January|February|March|April|May|June|July|August|September|October|November|December)"
    r"(?: \d{1,2}\b)?|\b(?:1[5-9]|20)\d\d\b(?:-\d\d)*"
)


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


def reply(corpus: Corpus, question: Question) -> list[str]:
    """What the built-in says, in the form of a model's text, a sentence a piece."""
    if question.hostile:
        return ["[[none: hostile]]"]
    asked = weigh(corpus, question)
    found = candidates(asked, search(corpus, question)) if asked.all else []
    if not found:
        return ["[[none]]"]
    number = numbers(Shared(corpus))
    sure = certainty(asked, found[0])
    if sure < LEAST_SURE:
        return [f"[[none {number[found[0].section.id]}]]" if sure >= NEAR_ENOUGH else "[[none]]"]
    return _written(choose(asked, found), number)


def search(corpus: Corpus, question: Question) -> list[Section]:
    """The sections to look into: those for the question, and with the turn that it points back to."""
    if question.introduction:
        return [one.sections[0] for one in corpus.documents if one.sections and _ABOUT.search(f"{one.id} {one.title}")]
    found = corpus.search(question.query, PASSAGES)
    if question.earlier:
        found = corpus.search(f"{question.query} {question.earlier}", PASSAGES) + found
    return list({passage.section.id: passage.section for passage in found}.values())


def weigh(corpus: Corpus, question: Question) -> Asked:
    """How telling each of the question's words is on this site: rare words more, words of every section hardly."""
    total = len(corpus.sections)
    found = {stem: corpus.frequency(word) for stem, word in {**question.carried, **question.terms}.items()}

    def rarity(stem: str) -> float:
        return math.log(1 + (total - found[stem] + 0.5) / (found[stem] + 0.5))

    match = _CATEGORY.search(question.text)
    recent = bool(_RECENT.intersection(question.terms))
    slight = light() | (categories().intersection(content(match[1])) if match else frozenset())
    slight |= _RECENT if recent else frozenset()
    slight |= frozenset(stem for match in _HOW.finditer(question.text) for stem in content(match[1]))

    unknown = frozenset(
        stem for stem in question.terms if not found[stem] and not any(map(corpus.frequency, kin(stem)))
    )

    def weight(stem: str) -> float:
        aside = 1.0 if stem in question.focus else ASIDE
        return rarity(stem) * aside * (LIGHT if stem in slight else 1.0) * (UNKNOWN if stem in unknown else 1.0)

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
    stems = list(question.terms)
    return Asked(
        question,
        own,
        carried,
        unknown,
        names_in(question.text),
        earlier_names,
        tuple(pairwise(stems)),
        recent,
    )


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
    same = SAME_QUESTION * _same_question(asked, section)
    weights = asked.all
    total = sum(weights.values()) or 1.0
    for at, statement in enumerate(stated):
        text = section.text[statement.start : statement.end]
        if not statement.stems or statement.words > MOST_SENTENCE_WORDS or _MARKER_LIKE.search(text):
            continue
        places = _places(stated, at, heading, whole)
        share = sum(weight * _standing(stem, places) for stem, weight in weights.items()) / total
        bonus = base + same / (1 + at) + _fitness(asked, statement, text)
        yield Candidate(section, at, statement, share + bonus)


def _fitness(asked: Asked, statement: Statement, text: str) -> float:
    """What speaks for a sentence besides the words that it shares with the question."""
    personal = bool(_YOU.search(asked.question.text)) and bool(_SELF.search(text))
    return (
        PAIR * _in_a_row(asked, statement)
        + SAYS_SOMETHING * _new(asked, statement)
        + RIGHT_TYPE * _typed(asked, statement, text)
        + COUNTED * _counted(asked, text)
        + DEFINES * _defines(asked, text)
        + PERSONAL * personal
    )


def _counted(asked: Asked, text: str) -> bool:
    """Asked how many tests: does a figure stand before "tests"?"""
    if asked.question.wants != "number":
        return False
    pattern = _TYPES["number"]
    after = (text[match.end() : match.end() + 40].split()[:4] for match in pattern.finditer(_DATE.sub(" ", text)))
    return any(not asked.own.keys().isdisjoint(content(" ".join(words))) for words in after)


def _defines(asked: Asked, text: str) -> bool:
    """Asked what X is: does the sentence say "X is …"?"""
    if not asked.own or not _WHAT_IS.match(asked.question.text):
        return False
    word = list(asked.question.terms.values())[-1]
    return bool(re.search(rf"\b{re.escape(word)}\w*\W+(?:is|are|was|were)\b", text, re.IGNORECASE))


def _new(asked: Asked, statement: Statement) -> float:
    """How much a sentence says that the question did not: "Employer: X." says nothing of X."""
    new = len(frozenset(statement.stems).difference(asked.own, asked.carried))
    return min(1.0, new / 4)


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


def _in_a_row(asked: Asked, statement: Statement) -> float:
    """The share of the question's word pairs that stand side by side, or all but."""
    if not asked.pairs:
        return 0.0
    position = {stem: at for at, stem in enumerate(statement.stems)}
    near = sum(
        first in position and second in position and abs(position[first] - position[second]) <= 2
        for first, second in asked.pairs
    )
    return near / len(asked.pairs)


def _typed(asked: Asked, statement: Statement, text: str) -> bool:
    """Does the sentence hold what is asked for: a date, a figure, a name that the question does not give itself?"""
    pattern = _TYPES.get(asked.question.wants)
    if pattern is None:
        return False
    known = frozenset(asked.question.terms)
    if asked.question.wants == "number":
        text = _DATE.sub(" ", text)
    return any(not known.issuperset(content(match.group())) for match in pattern.finditer(text))


def _same_question(asked: Asked, section: Section) -> float:
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
    of_question = _share({stem: asked.own[stem] for stem in asked.question.focus}, heading)
    telling = heading - light() or heading
    return min(of_question, sum(_borne(stem, asked.all.keys()) for stem in telling) / len(telling))


def _named(asked: Asked, section: Section) -> float:
    """Is the section about what the turn before was about? 1 where no turn before matters."""
    names = {stem: weight for stem, weight in asked.carried.items() if stem in asked.earlier_names}
    if not names:
        return 1.0
    return _share(names, frozenset(content(f"{section.title} {section.heading} {section.text}")))


def _recency(section: Section, sections: Sequence[Section]) -> float:
    """0 for the oldest of the found sections that name a year, 1 for the latest."""
    years = [max(map(int, _YEAR.findall(one.text)), default=0) for one in sections]
    dated = [year for year in years if year]
    own = max(map(int, _YEAR.findall(section.text)), default=0)
    if not own or max(dated) == min(dated):
        return 0.0
    return (own - min(dated)) / (max(dated) - min(dated))


def certainty(asked: Asked, best: Candidate) -> float:
    """How sure it is that the sentence answers: the share of the question that it and its surroundings bear."""
    stated = statements(best.section.text)
    heading = frozenset(content(f"{best.section.title} {best.section.heading}"))
    said = frozenset(best.statement.stems)
    around = said | heading | (frozenset(stated[best.at - 1].stems) if best.at else frozenset())
    weights = asked.own or asked.carried
    share = (_share(weights, said) + _share(weights, around)) / 2
    figures = [stem for stem in asked.own if stem.isdigit() and stem not in around]
    negated = bool(_NEGATED.search(asked.question.text)) and not _NEGATED.search(best.text)
    typed = asked.question.wants in _TYPES and not _typed(asked, best.statement, best.text)
    return (
        share
        + SAME_QUESTION * _same_question(asked, best.section)
        + 0.1 * _in_a_row(asked, best.statement)
        - NAME_MISSING * min(2, sum(not _borne(stem, around) for stem in asked.names & asked.question.focus))
        - FIGURE_MISSING * len(figures)
        - UNKNOWN_WORD * sum(not _borne(stem, around) for stem in asked.unknown & asked.question.focus)
        - NEGATED * negated
        - WRONG_TYPE[asked.question.wants] * typed
    )


def _share(weights: dict[str, float], place: frozenset[str]) -> float:
    total = sum(weights.values()) or 1.0
    return sum(weight * _borne(stem, place) for stem, weight in weights.items()) / total


def _borne(stem: str, place: Set[str]) -> float:
    if stem in place:
        return 1.0
    formed = len(stem) >= FORM and any(other.startswith(stem[:FORM]) for other in place)
    return 0.8 if formed or kin(stem) & place else 0.0


def choose(asked: Asked, found: Sequence[Candidate]) -> list[Candidate]:
    """The best sentence and what goes with it, within the bounds, in the order in which the site says it."""
    best = found[0]
    chosen = [best]
    for other in _companions(asked, best, found):
        if len(chosen) == MOST_SENTENCES:
            break
        fits = sum(one.statement.words for one in chosen) + other.statement.words <= MOST_WORDS
        if fits and not any(_repeats(one, other) for one in chosen):
            chosen.append(other)
    return sorted(chosen, key=lambda one: (one.section.id != best.section.id, one.section.id, one.at))


def _companions(asked: Asked, best: Candidate, found: Sequence[Candidate]) -> Iterable[Candidate]:
    """Sentences that may stand with the best one, in the order in which they are wanted."""
    near = {one.at: one for one in found if one.section.id == best.section.id}
    if best.at - 1 in near and _LEANS_BACK.match(best.text):
        yield near[best.at - 1]
    if _same_question(asked, best.section):
        yield from (near[at] for at in sorted(near) if at > best.at)
        return
    for other in found[1:]:
        least = GOES_WITH if other.section.id == best.section.id else GOES_WITH_OTHER
        if other.score >= least * best.score:
            yield other


def _repeats(one: Candidate, other: Candidate) -> bool:
    shared = frozenset(one.statement.stems) & frozenset(other.statement.stems)
    fewest = min(len(set(one.statement.stems)), len(set(other.statement.stems)))
    return one is other or len(shared) >= REPEATS * fewest


def _written(chosen: Sequence[Candidate], number: dict[str, int]) -> list[str]:
    """Each sentence with its marker; a line of its own after one that does not end as a sentence does."""
    pieces: list[str] = []
    for one in chosen:
        joint = "" if not pieces else " " if pieces[-1].rpartition(" [[")[0].endswith((".", "!", "?")) else "\n"
        pieces.append(f"{joint}{one.text} [[{number[one.section.id]}]]")
    return pieces


def follow_ups(corpus: Corpus, question: Question) -> tuple[str, ...]:
    """Questions that the site itself asks and answers, nearest to this one first; none is made up."""
    asked = frozenset(question.terms)
    found: list[str] = []
    for passage in corpus.search(f"{question.query} ?", PASSAGES * 2):
        heading = passage.section.heading.rpartition(" › ")[2]
        if heading.endswith("?") and heading not in found and not asked.issuperset(content(heading)):
            found.append(heading)
    return tuple(found[:MOST_FOLLOW_UPS])
