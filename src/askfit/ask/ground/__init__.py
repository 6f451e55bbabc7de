"""Is a sentence borne? Every number, date, name and superlative of it must stand in what it may rest on.

    ground = Ground(evidence(Shared(corpus)), question, history, site_words)
    ground.unborne("The team had 40 people.", (12,))  →  ("number",)

A clause is borne where one section, with its title, holds all its facts; or where each of its figures stands, with the
name nearest to it, in one section, in a sentence that speaks of the same thing. So a true number of another employer
is as little borne as an invented one. What a question or an earlier turn says bears too. Provider-neutral; no call.

facts      what could be invented
evidence   sections read into facts, and how they are found
holding    does a stretch of text hold a fact?
clause     one clause against all that may bear it
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from askfit.ask.ground.clause import DENIES, Clause, Weighed
from askfit.ask.ground.evidence import Evidence, Said, Unit, forms, read, unit_of
from askfit.ask.ground.facts import Fact, facts, fold
from askfit.ask.ground.holding import bare_address, same_date, superlative_in
from askfit.ask.languages import FUNCTION_WORDS
from askfit.ask.terms import STOP, content
from askfit.text import stem, word_spans, words

NEAR = 6  # sections that are looked for besides the cited ones
ENOUGH = 4  # meaningful words: a clause of fewer is read with the words around it
REST = 0.3  # weight of the words outside the clause
_CLAUSE = re.compile(
    r"[;:]\s|\s[–—-]\s|,\s(?:and|but|while|whereas)\s(?=(?:[^\s,]+\s){4})"
    r"|,? (?:and|but|while|whereas|then|before|after|aber|während|et|mais|y|pero)(?= )"
    r"(?=[^,;]{0,80}\b(?:[a-z]+ed|was|is|has|had|were|from|at|in|grew|rose|led|ran|made|by)\b)"
)
_FIGURE = re.compile(r"\d+(?:[.,:/]\d+)*[.,:/]?")
_OPENERS = frozenset(
    "based good great sure certainly according unfortunately overall additionally finally currently yes no given note "
    "interesting question summary absolutely right correct indeed notably meanwhile later early today recently".split()
)  # words that open a sentence of an answer, whether or not the site writes them small
_GERMAN = FUNCTION_WORDS["de"] | frozenset(
    "sowie unter seit bis dann dort damit dabei wurden ihres seiner seine".split()
)


@dataclass(slots=True)
class Ground:
    """What may bear the sentences of one answer."""

    evidence: Evidence
    question: str
    turns: Sequence[tuple[str, str]] = ()
    site_words: str = ""  # the owner's name, address and contact
    _asked: Said = field(init=False)
    _ours: frozenset[str] = field(init=False)
    _earlier: list[Unit] = field(init=False)

    def __post_init__(self) -> None:
        self._asked = read(self.question)
        self._ours = frozenset(form for word in words(self.site_words) for form in forms(word))
        self._earlier = [unit_of(asked, answered) for asked, answered in self.turns]

    def unborne(self, sentence: str, cited: Sequence[int] = ()) -> tuple[str, ...]:
        """The kinds of its facts that nothing bears; () where it is borne. `cited` are sections' numbers, from 1."""
        found = [one for one in self._checked(sentence) if not self._exempt(one)]
        if not found and not DENIES.search(sentence):
            return ()
        missing: list[str] = []
        for clause in self._clauses(sentence, found):
            units = self._units(dict.fromkeys((clause.text, sentence)), cited)
            missing += Weighed(clause, units, len(set(cited)), sentence).missing()
        return tuple(dict.fromkeys(missing))

    def known_until(self, open_sentence: str) -> int:
        """How many characters of a sentence come before the first name or figure that is nowhere known."""
        figures = {at: match for match in _FIGURE.finditer(open_sentence) for at in range(*match.span())}
        for word, start in word_spans(open_sentence):
            shown = open_sentence[start : start + len(word)]
            figure = figures.get(start)
            if figure and figure.end() == len(open_sentence):
                return figure.start()  # "31", "31," may yet become "31,417"
            telling = any(char.isdigit() for char in shown) or (start > 0 and any(char.isupper() for char in shown))
            if telling and not self._known(word):
                return figure.start() if figure else start
        return len(open_sentence)

    def _known(self, word: str) -> bool:
        if fold(word) in STOP:
            return True
        return any(self.evidence.knows(form) or form in self._ours or form in self._asked.words for form in forms(word))

    # ------------------------------------------------------------ what is checked

    def _checked(self, sentence: str) -> Iterator[Fact]:
        nouns_have_capitals = _is_german(sentence)
        found = facts(sentence)
        for at, one in enumerate(found):
            if one.kind != "name" or (
                self._is_name(one) and not (nouns_have_capitals and _plain_noun(sentence, found, at))
            ):
                yield one

    def _is_name(self, one: Fact) -> bool:
        """Any word may open a sentence with a capital: a name is one that the site never writes small."""
        if not one.initial:
            return True
        word = fold(one.text)
        if word in _OPENERS:
            return False
        if self.evidence.writes_small(word) or self.evidence.writes_small(stem(word)):
            return False
        return self.evidence.knows(word) or (one.loose and not re.search(r"(?:ly|ing|ion|ment|ness|ity|s)$", word))

    def _exempt(self, one: Fact) -> bool:
        """Borne by the question, or the owner's own name."""
        match one.kind:
            case "name":
                return any(form in self._ours or form in self._asked.words for form in forms(one.text))
            case "address":
                known = bare_address(self.site_words)
                return bare_address(one.text) in known or one.text.casefold() in self._asked.text
            case "superlative":
                return superlative_in(one.text, self._asked)
            case "date":
                return any(same_date(one.date, date) for date in self._asked.dates)
            case _:
                return not one.values.isdisjoint(self._asked.values)

    def _units(self, texts: Iterable[str], cited: Sequence[int]) -> list[Unit]:
        """The sections that are named, those near a clause and those near its sentence, and the earlier turns."""
        there = [number - 1 for number in cited if 0 < number <= len(self.evidence.sections)]
        near: list[int] = []
        for text in texts:
            names = frozenset(stem for one in facts(text) if one.kind == "name" for stem in content(one.text))
            near += self.evidence.near(set(content(text)), names - self._ours, NEAR)
        return [self.evidence.unit(at) for at in dict.fromkeys([*there, *near])] + self._earlier

    def _clauses(self, sentence: str, found: Sequence[Fact]) -> Iterator[Clause]:
        cuts = [0, *(match.start() for match in _CLAUSE.finditer(sentence)), len(sentence)]
        every = {one: weight * REST for one, weight in self._weights(content(sentence)).items()}
        last: tuple[Fact, ...] = ()
        for start, end in pairwise(cuts):
            own = tuple(one for one in found if start <= one.start < end)
            named = tuple(one for one in own if one.kind == "name")
            text = sentence[start:end]
            if own or DENIES.search(text):
                said = [one for one in content(text) if not one.isdigit()]
                weights = (every if len(said) < ENOUGH else {}) | self._weights(said)
                yield Clause(own, () if named else last, weights, text)
            last = named[-1:] or last

    def _weights(self, stems: Iterable[str]) -> dict[str, float]:
        return {one: self.evidence.weight(one) for one in stems if not one.isdigit()}


def _is_german(sentence: str) -> bool:
    said = words(sentence)
    return sum(map(_GERMAN.__contains__, said)) > sum(map(STOP.__contains__, said))


def _plain_noun(sentence: str, found: Sequence[Fact], at: int) -> bool:
    """In German a capital alone makes no name: one beside another name, behind "bei", or with inner capitals does."""
    one = found[at]
    if any(char.isupper() for char in one.text[1:]) or any(char.isdigit() for char in one.text):
        return False
    beside = [other for other in found[max(0, at - 1) : at + 2] if other.text.isalpha() and other is not one]
    if any(abs(other.start - one.end) == 1 or abs(one.start - other.end) == 1 for other in beside):
        return False
    return not re.search(r"\bbei $", sentence[: one.start])


__all__ = ["Ground"]
