"""What a judge says in its own words, sentence by sentence: is it borne by the posting, the rows and the totals?

    claims = Claims.of(matrix, posting, instructions)
    claims.kept("An exceptional match with 12 years of Kafka.", levels={4.0}, shares=())  →  ""

A figure must stand in the posting or the public rows, or be a total that code has computed; a skill's name must stand
in one of them. Praise is struck, our own instructions are not shown. What is in doubt goes: the rules' words stand in
for it. Knows nothing of streams.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Literal

from askfit import text
from askfit.fit.posting import Posting
from askfit.fit.terms import find_terms, fold, is_light, taxonomy, tokens
from askfit.leaks import ENOUGH, Hidden, hidden_of, shape
from askfit.skills import Matrix
from askfit.types import Requirement, Skill, Verdict

SHARE_SLACK = 0.75  # percent points: totals are told rounded
FEWEST_WORDS = 3  # a sentence of fewer, once praise is struck, says nothing
_TAG = re.compile(r"</?\s*(?:matrix|requirements|posting)\b", re.IGNORECASE)
_QUOTED = re.compile(r"[“\"„«]([^”\"“»\n]{2,200})[”\"“»]")
_OPENS = re.compile(r"(?:^|[.!?:…;(\[][\"'”’)\]]*\s+|[(\[“\"„«‘'•–—-]\s*)$")
_NAME = re.compile(r"[^\W\d_][^\W_]*(?:[./&’'-][^\W_]+)*[+#]*")
_GERMAN = frozenset("der die das und ist mit im nicht für den dem von zu auf bei wird sind ein eine des aber".split())
_VERDICT = re.compile(r"\b(?P<strong>strong|excellent|perfect)\b(?= (?:fit|match|candidate))", re.IGNORECASE)


# ---------------------------------------------------------------- figures

_SPELLED = {
    word: float(value)
    for value, words in enumerate(
        (
            "two zwei deux dos twee",
            "three drei trois tres drie",
            "four vier quatre cuatro",
            "five fünf cinq cinco vijf",
            "six sechs seis zes",
            "seven sieben sept siete zeven",
            "eight acht huit ocho",
            "nine neun neuf nueve negen",
            "ten zehn dix diez tien",
            "eleven elf onze once",
            "twelve zwölf douze doce twaalf",
        ),
        start=2,
    )
    for word in words.split()
} | {"fifteen": 15.0, "twenty": 20.0, "zwanzig": 20.0, "vingt": 20.0, "veinte": 20.0}
_FIGURE = re.compile(
    r"(?<![\w.,])(?P<n>\d{1,3}(?:[.,’'\u00a0\u202f]\d{3})+(?!\d)|\d+(?:[.,]\d+)?)"
    r"(?:\s?(?P<percent>%|percent\b|per cent\b|prozent\b|pour ?cent\b|por ciento\b))?"
    r"(?P<of>\s?/\s?5\b|\s(?:out of|of|von|sur|de|van) (?:5|five|fünf|cinq|cinco|vijf)\b)?",
    re.IGNORECASE,
)
_SPELLED_YEARS = re.compile(
    rf"\b(?P<n>{'|'.join(_SPELLED)})\b(?=[\s-](?:\w+\s)?(?:years?|jahren?|jahre|ans|années|años|jaar)\b)", re.IGNORECASE
)
_YEARS_AFTER = re.compile(r"\+?[\s-](?:\w+\s)?(?:years?|yrs?|jahren?|jahre|ans|années?|años?|jaar)\b", re.IGNORECASE)
_LEVEL_BEFORE = re.compile(r"\b(?:levels?|stufen?|niveaux?|niveles|nivel|livello)\b[^.;\d]{0,8}$", re.IGNORECASE)
_ROW_BEFORE = re.compile(
    r"\b(?:rows?|zeilen?|lignes?|filas?|rij(?:en)?)\b[\s\d,;&()/]*(?:(?:and|und|et|y|en|or)\s)?$", re.IGNORECASE
)


def _values(figure: str) -> frozenset[float]:
    """ "1,234" is 1234; "1.234" may be either; "3,5" is 3.5."""
    bare = re.sub(r"[’'\u00a0\u202f]", "", figure)
    found = {float(bare.replace(",", "."))} if bare.count(",") + bare.count(".") <= 1 else set()
    if re.fullmatch(r"\d{1,3}(?:[.,]\d{3})+", bare):
        found.add(float(re.sub(r"[.,]", "", bare)))
    return frozenset(found)


Unit = Literal["", "%", "years"]
Figure = tuple[float, Unit]


def _numbers(said: str) -> Iterator[Figure]:
    """The figures of a text, each also without its unit."""
    for match in _FIGURE.finditer(said):
        unit: Unit = "%" if match["percent"] else "years" if _YEARS_AFTER.match(said, match.end()) else ""
        for value in _values(match["n"]):
            yield value, unit
            yield value, ""
    for match in _SPELLED_YEARS.finditer(said):
        yield _SPELLED[match["n"].casefold()], "years"


# ---------------------------------------------------------------- praise


@dataclass(frozen=True, slots=True)
class Praise:
    """The table of claims.toml, compiled."""

    struck: re.Pattern[str]
    phrases: re.Pattern[str]
    denied: re.Pattern[str]
    plain: frozenset[str]
    usual: frozenset[str]


@cache
def _praise() -> Praise:
    table = tomllib.loads(files("askfit.fit").joinpath("claims.toml").read_text(encoding="utf-8"))
    said = table["praise"]

    def whole(lines: str) -> re.Pattern[str]:
        joined = "|".join(re.sub(r"\n[ ]+", "", lines.strip("\n")).split("\n"))
        return re.compile(rf"(?<![\w-])(?:{joined})(?![\w-])", re.IGNORECASE)

    denied = re.compile(said["denied"].strip("\n"), re.IGNORECASE)
    usual = frozenset(table["names"]["usual"].split())
    return Praise(whole(said["struck"]), whole(said["phrases"]), denied, frozenset(said["plain"].split()), usual)


def without_praise(sentence: str, posting: str = "") -> str:
    """The sentence without flattery; "" where it is nothing else, or would not stand without it.

    What is denied ("not an ideal fit") or quoted from the posting word for word stays.
    """
    table = _praise()
    if any(_flatters(match, sentence, posting) for match in table.phrases.finditer(sentence)):
        return ""
    left, cut = sentence, False
    for match in reversed([one for one in table.struck.finditer(sentence) if _flatters(one, sentence, posting)]):
        left, cut = _struck(left, match.start(), match.end()), True
        if not left:
            return ""
    if cut and (len(text.words(left)) < FEWEST_WORDS or table.plain.issuperset(text.words(left))):
        return ""
    return left


def _flatters(match: re.Match[str], sentence: str, posting: str) -> bool:
    if _praise().denied.search(sentence[: match.start()]):
        return False
    return not any(
        quoted.start() <= match.start() < quoted.end() and text.stands_in(quoted[1], posting)
        for quoted in _QUOTED.finditer(sentence)
    )


_NO_NOUN = frozenset("and or but nor of in on at to for with as by from than that which who is are was".split())


def _struck(sentence: str, start: int, end: int) -> str:
    """The sentence without one word before a noun, its article mended; "" where that is not sure to read well."""
    after = re.match(r" ([a-z][\w-]*)", sentence[end:])
    before = re.search(r"(?:^|[\s(])([\w’'-]+)?[ ]?$", sentence[:start])
    if not after or not before or after[1] in _NO_NOUN:
        return ""
    word = (before[1] or "").casefold()
    if word in ("and", "or", "more", "most", "very", "so", "as", "be", "is", "are", "was"):
        return ""
    head, rest = sentence[:start], sentence[end + 1 :]
    if word in ("a", "an"):
        if rest[0] in "uho" or rest.startswith("eu"):
            return ""  # "a hour", "an user": the sound decides, and we do not hear it
        article = "an" if rest[0] in "aei" else "a"
        head = head[: -len(before[1]) - 1] + (article.capitalize() if before[1][0].isupper() else article) + " "
    return head + rest if head.strip() else rest[0].upper() + rest[1:]


# ---------------------------------------------------------------- what bears


@dataclass(frozen=True, slots=True)
class Rows:
    """What the public rows bear, whatever the posting."""

    words: frozenset[str]
    terms: frozenset[str]
    figures: Mapping[Figure, frozenset[str]]  # years, dates, what stands in evidence; no levels → the words beside it
    levels: frozenset[float]
    by_name: tuple[tuple[str, float], ...]  # a row's names, folded → its level
    initials: frozenset[str]


@lru_cache(maxsize=4)
def _rows(skills: tuple[Skill, ...]) -> Rows:
    said = [" ; ".join((one.name, *one.aliases, one.category, one.evidence, one.last_used)) for one in skills]
    read = [_read(one) for one in said]
    years = [(f"{one.name} {one.category}", one.years) for one in skills if one.years is not None]
    figures = _figures(said)
    for name, value in years:
        figures[value, "years"] = figures.get((value, "years"), frozenset()) | _telling(name)
    return Rows(
        words=frozenset[str]().union(*(one[0] for one in read)),
        terms=frozenset[str]().union(*(one[1] for one in read)),
        figures=figures,
        levels=frozenset(one.level for one in skills),
        by_name=tuple((" ".join(text.words(name)), one.level) for one in skills for name in (one.name, *one.aliases)),
        initials=frozenset(initials for one in skills for initials in _initials(one.name)),
    )


def _telling(said: str) -> frozenset[str]:
    return frozenset(word for word in map(fold, text.words(said)) if not is_light(word))


def _figures(lines: Iterable[str]) -> dict[Figure, frozenset[str]]:
    """Each figure of some lines, and the telling words of the lines that it stands on."""
    found: dict[Figure, frozenset[str]] = {}
    for line in lines:
        figures = set(_numbers(line))
        telling = _telling(line) if figures else frozenset[str]()
        found |= {figure: found.get(figure, frozenset()) | telling for figure in figures}
    return found


def _joined(
    first: Mapping[Figure, frozenset[str]], second: Mapping[Figure, frozenset[str]]
) -> dict[Figure, frozenset[str]]:
    return {key: first.get(key, frozenset()) | second.get(key, frozenset()) for key in (*first, *second)}


def _read(said: str) -> tuple[frozenset[str], frozenset[str]]:
    """(folded words and the parts of joined ones, terms of the taxonomy with their families)."""
    found = tokens(said)
    folded = {token.fold for token in found} | {fold(word) for word in text.words(said)}
    families = taxonomy().families
    terms = {kin.id for _, _, term in find_terms(found) for kin in families[term.parent or term.id]}
    return frozenset(folded), frozenset(terms)


def _initials(said: str) -> Iterator[str]:
    words = text.words(said)
    for size in (2, 3, 4):
        yield from ("".join(word[0] for word in words[at : at + size]) for at in range(len(words) - size + 1))


@dataclass(frozen=True, slots=True)
class Claims:
    """What one judge's words are held against."""

    rows: Rows
    row_numbers: frozenset[int]
    posting: str
    words: frozenset[str]
    terms: frozenset[str]
    figures: Mapping[Figure, frozenset[str]]  # of the posting and of the rows
    initials: frozenset[str]
    most_counted: int  # requirements: a plain number up to it may count them
    hidden: Hidden

    @classmethod
    def of(cls, matrix: Matrix, posting: Posting, instructions: str) -> Claims:
        rows = _rows(matrix.skills)
        words, terms = _read(posting.text)
        domains = _domain_words()
        return cls(
            rows=rows,
            row_numbers=frozenset(skill.row for skill in matrix.skills),
            posting=posting.text,
            words=words | rows.words | domains,
            terms=terms | rows.terms,
            figures=_joined(rows.figures, _figures(posting.text.split("\n"))),
            initials=rows.initials | frozenset(one for line in posting.lines for one in _initials(line.text)),
            most_counted=max(5, len(posting.asks)),
            hidden=hidden_of(instructions),
        )

    def kept(self, said: str, *, levels: Collection[float] | None = None, shares: Collection[float] = ()) -> str:
        """The sentences that stay.

        `levels`: of the rows that are shown beside them; None: any row's. `shares`: percentages that code computed.
        """
        kept, before = [], ""
        for sentence in text.sentences(said):
            plain = without_praise(sentence, self.posting)
            leaks = self.leaks(sentence, before)
            before = "" if leaks else f"{before} {sentence}"[-120:]
            if plain and not leaks and self.bears(plain, levels=levels, shares=shares):
                kept.append(plain)
        return " ".join(kept)

    def harmless(self, said: str) -> str:
        """For questions, which claim nothing: only praise and our own instructions go."""
        return "" if self.leaks(said, "") else without_praise(said, self.posting)

    def leaks(self, sentence: str, before: str) -> bool:
        """Does it give our instructions away, or what is shaped like instructions and stands not in the posting?"""
        if self.hidden.form(sentence, before) or _TAG.search(sentence):
            return True
        return shape(sentence) >= ENOUGH and not text.stands_in(sentence, self.posting)

    def bears(self, sentence: str, *, levels: Collection[float] | None, shares: Collection[float]) -> bool:
        """Does everything that could be invented in the sentence stand somewhere?"""
        return self._bears_figures(sentence, levels, shares) and not any(self._unborne_names(sentence))

    def _bears_figures(self, sentence: str, levels: Collection[float] | None, shares: Collection[float]) -> bool:
        bare = re.sub(r"\b[ra]\d{1,2}\b", "", sentence)  # ids of requirements
        return all(self._bears_figure(match, bare, levels, shares) for match in _FIGURE.finditer(bare)) and all(
            self._stated({_SPELLED[match["n"].casefold()]}, "years", bare) for match in _SPELLED_YEARS.finditer(bare)
        )

    def _bears_figure(
        self, match: re.Match[str], sentence: str, levels: Collection[float] | None, shares: Collection[float]
    ) -> bool:
        values, before = _values(match["n"]), sentence[: match.start()]
        if match["percent"]:
            return self._stated(values, "%", sentence) or any(
                abs(value - one) <= SHARE_SLACK for value in values for one in shares
            )
        if _ROW_BEFORE.search(before):
            return any(value in self.row_numbers for value in values)
        if match["of"] or _LEVEL_BEFORE.search(before):
            return bool(values & self._levels(sentence, levels))
        if _YEARS_AFTER.match(sentence, match.end()):
            return self._stated(values, "years", sentence)
        counts = any(value <= self.most_counted and value == int(value) for value in values)
        return counts or self._stated(values, "", sentence) or bool(values & self._levels(sentence, levels))

    def _stated(self, values: Collection[float], unit: Unit, sentence: str) -> bool:
        """Does the figure stand in a row, or on a line of the posting, that speaks of what the sentence speaks of?"""
        said = _telling(sentence)
        return any(not said.isdisjoint(self.figures.get((value, unit), ())) for value in values)

    def _levels(self, sentence: str, levels: Collection[float] | None) -> frozenset[float]:
        """The levels that may be told here: of the rows that the sentence names and of those shown beside it."""
        folded = f" {' '.join(text.words(sentence))} "
        named = {level for name, level in self.rows.by_name if name and f" {name} " in folded}
        if levels is None and not named:
            return self.rows.levels
        return frozenset(named) | frozenset(levels or ())

    def _unborne_names(self, sentence: str) -> Iterator[str]:
        """Names of skills and of anything else that stand neither in the posting nor in the rows."""
        found = tokens(sentence)
        for start, end, term in find_terms(found):
            names_skill = not (term.domain.common or term.domain.soft)
            if (
                names_skill
                and term.id not in self.terms
                and not all(one.fold in self.words for one in found[start:end])
            ):
                yield term.id
        is_german = len(_GERMAN.intersection(text.words(sentence))) >= 2
        for match in _NAME.finditer(sentence):
            word = match.group()
            if word.islower() or self._knows(word):
                continue
            is_shaped = any(char.isupper() for char in word[1:]) or any(char.isdigit() for char in word)
            if is_shaped or not (is_german or _OPENS.search(sentence[: match.start()])):
                yield word

    def _knows(self, word: str) -> bool:
        """Does the word, or each part of a joined one, stand in the posting, in a row or in no need of either?"""
        return all(
            fold(part) in self.words
            or is_light(fold(part))
            or part.casefold() in _praise().usual
            or part.casefold().removesuffix("s") in self.initials
            for part in re.split(r"[./&’'-]", word)
            if len(part) > 1
        )


@cache
def _domain_words() -> frozenset[str]:
    """The names of kinds of work, and of what is judged: the rules' own words."""
    names = " ".join({term.domain.name for term in taxonomy().terms.values()})
    ours = "matrix posting row fit strong moderate gap stretch misfit must preferred verdict requirement emphasis level"
    return frozenset(token.fold for token in tokens(f"{names} {ours}"))


def outdoes(headline: str, verdict: Verdict) -> bool:
    """Does the headline call a strong fit what is judged to be less?"""
    return verdict != "strong" and any(
        not _praise().denied.search(headline[: match.start()]) for match in _VERDICT.finditer(headline)
    )


def speaks_of(said: str, names: Iterable[str]) -> bool:
    """Do the words share one that tells something with any of these names?"""
    telling = frozenset[str]().union(*map(_telling, names))
    return not telling or not telling.isdisjoint(_telling(said))


def totals(shown: Sequence[Requirement], themes: Iterable[float]) -> frozenset[float]:
    """The percentages that a judge may tell: shares of the emphasis by band and kind, of one requirement, of themes."""
    found = [100 * theme for theme in themes]
    for kind in (None, "must", "preferred", "responsibility"):
        of_kind = [one for one in shown if kind in (None, one.kind)]
        strong, moderate, gap, whole = (
            100 * sum(one.emphasis for one in of_kind if band in (None, one.band))
            for band in ("strong", "moderate", "gap", None)
        )
        parts = (strong, moderate, gap, strong + moderate, strong + moderate / 2, moderate + gap)
        found += [whole, *parts, *(100 * part / whole for part in parts if whole)]
    return frozenset((*found, *(100 * one.emphasis for one in shown)))
