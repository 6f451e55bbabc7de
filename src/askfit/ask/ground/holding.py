"""Does a stretch of text hold a fact? By forms, spellings and near figures. Knows no index and no rank."""

from __future__ import annotations

import re
from collections.abc import Iterable

from askfit.ask.ground.evidence import Said, Unit, counts, forms
from askfit.ask.ground.facts import Fact, fold
from askfit.ask.terms import STOP, content, kin
from askfit.text import stem, words

TELLING = 100  # so large a figure does not stand by chance in a sentence on the same thing (set 2026-11-21)
ABOUT = 0.1  # of a figure that "about" rounds
ABOUT_PERCENT = 0.06
PEOPLE = frozenset(content("people person member employee colleague engineer staff designer report"))
_DEMONYM = re.compile(r"(?:ian|ean|an|ish|ese|ch|er|isch\w*|ais\w*|ien\w*|nisch\w*)$")
_BEST = tuple(
    frozenset(group.split())
    for group in (
        "best strongest finest top greatest proudest favourite favorite",
        "biggest largest greatest highest",
        "worst weakest weak biggest gap least lowest",
        "newest latest recent last current",
        "smallest lowest least fewest",
        "award-winning award awards prize prize-winning",
        "first 1st initial inaugural original earliest pioneer pioneered founding founded began introduced",
        "only sole solely single unique alone one",
        "leading foremost top best largest",
    )
)


def has(unit: Unit, name: str) -> bool:
    return named(name, unit.words) or any(_initials(name, said.text) for said in unit.said)


def stands(name: str, said: Said) -> bool:
    return named(name, said.words) or _initials(name, said.text)


def named(name: str, known: frozenset[str]) -> bool:
    """The word in any of its forms; "Norwegian" by "Norway"."""
    if any(form in known for form in forms(name)):
        return True
    word = fold(name)
    if word.endswith("s") and word[:-1] in known:
        return True
    if len(word) >= 6 and _DEMONYM.search(word):
        return any(other.startswith(word[:4]) and len(other) <= len(word) + 3 for other in known)
    return False


def _initials(name: str, text: str) -> bool:
    """ "PM" of "product manager"."""
    bare = name.removesuffix("s")
    if not (2 <= len(bare) <= 5 and bare.isupper() and bare.isalpha()):
        return False
    first = "".join(word[0] for word in words(text))
    return bare.casefold() in first


def bare_address(text: str) -> str:
    return re.sub(r"[\s()/-]|https?://|www\.|mailto:", "", text.casefold())


def superlative_in(said: str, where: Said) -> bool:
    bare = said.removeprefix("the ").removeprefix("an ").removeprefix("a ")
    if bare.startswith("most ") and "most" in where.words:
        return True  # "the most significant" of "the most important"
    if all(word in where.words or stem(word) in where.words for word in re.split(r"[\s-]", bare)):
        return True
    base = bare.removeprefix("most ").removesuffix("est")
    if len(base) >= 3 and any(word.startswith(base) and word.endswith("est") for word in where.words):
        return True
    return any(group & where.words for group in _BEST if bare in group or bare.split()[0] in group)


def same_date(one: tuple[int | None, ...], other: tuple[int | None, ...]) -> bool:
    return _same_year(one[0], other[0]) and all(
        mine is None or mine == theirs for mine, theirs in zip(one[1:], other[1:], strict=True)
    )


def _same_year(mine: int | None, theirs: int | None) -> bool:
    """A year below 1,000 is a decade: 199 is the 1990s; 180 may be the 1800s as well."""
    if mine is None or mine == theirs:
        return True
    if theirs is None or mine > 999:
        return False
    return theirs // 10 == mine or (mine % 10 == 0 and mine < 200 and theirs // 100 == mine // 10)


def figure_in(one: Fact, said: Said, sentence: str, *, close: bool) -> bool:
    if one.kind == "date":
        if any(same_date(one.date, date) for date in said.dates):
            return True
        year, month, day = one.date
        if year and month and not day:
            return any(d[1] == month and d[0] is None for d in said.dates) and any(d[0] == year for d in said.dates)
        return bool(one.values and not one.values.isdisjoint(said.values))
    percent = one.unit == "%"
    same = one.values & (said.percents if percent else said.values)
    if any(_same_counted(one, value, said, sentence, close) for value in same):
        return True
    if percent and not one.values.isdisjoint(said.values) and "%" not in said.text:
        return True
    if one.high:
        return any(value <= theirs <= one.high for value in one.values for theirs in said.units)
    return bool(one.near) and any(
        _near(one, mine, theirs) and _one_unit(one, theirs, said, sentence)
        for mine in one.values
        for theirs in said.units
    )


def _same_counted(one: Fact, value: float, said: Said, sentence: str, close: bool) -> bool:
    """Is it a figure of the same thing: of people there and here, not of people here and of weeks there?"""
    if not _one_unit(one, value, said, sentence):
        return False
    mine, theirs = counts(sentence, one), said.after.get(value, frozenset[str]())
    if not any(word in STOP for word in words(sentence)):
        return True  # another language than the one that we know the words of
    if said.line == -1 and not mine & theirs:
        return False  # what a page opens with is no sentence that this one repeats
    if one.unit == "%" or not mine or value >= TELLING or value != int(value):
        return True
    if not theirs:
        return close or bool(mine & said.stems)
    return bool(mine & theirs or (mine & PEOPLE and theirs & PEOPLE) or any(kin(stem) & theirs for stem in mine))


def _one_unit(one: Fact, value: float, said: Said, sentence: str) -> bool:
    """Not 40 ms of 40%, nor 8 months of 8 weeks. A figure alone may have its unit from the next: "8 to 19 weeks"."""
    theirs = said.units.get(value, frozenset[str]())
    if not theirs or one.unit in theirs:
        return True
    if "" not in theirs:
        return not one.unit and (not (mine := counts(sentence, one)) or bool(mine & said.stems))
    return not one.unit or one.unit == "money" or stem(one.unit) in said.stems or not said.after.get(value)


MONTHS_IN = {"year": 12, "month": 1}


def lasted(one: Fact, months: Iterable[int]) -> bool:
    """ "Three years" where a time of about three years is told."""
    each = MONTHS_IN[one.unit]
    slack = (12 if one.near else 7) if each == 12 else 1
    return any(abs(span + 0.5 - value * each) <= slack for span in months for value in one.values)


def _near(one: Fact, mine: float, theirs: float) -> bool:
    """Rounded as people round. Shares of 100 are told closer than counts."""
    if theirs < 10:
        return False
    slack = ABOUT_PERCENT if one.unit == "%" else ABOUT
    if one.near == "up":
        return mine <= theirs <= max(mine * (1 + 3 * slack), 20 if mine == 12 else 0)
    if one.near == "down":
        return mine * (1 - 2 * slack) <= theirs <= mine
    return abs(mine - theirs) <= slack * theirs
