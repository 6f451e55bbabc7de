"""What came before or after: the times that sentences state ("October 2015 to August 2018") put in order.

"And before that?" repeats no word of its answer; only the dates lead there. Knows sentences, no search.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from askfit.ask.terms import statements
from askfit.ask.voice import is_profile
from askfit.types import Section

Order = Literal["", "at", "before", "after", "latest"]

_STATIONS = (
    r"(?:work(?:ed|ing)?|jobs?|roles?|positions?|employ\w*|compan(?:y|ies)|liv(?:e|ed|ing)|stud(?:y|ied)|do|doing)"
)
_THAT = r"(?:that|this|it|then|there|those)?"
_ORDER = re.compile(
    r"^\W{0,3}(?:(?:and|so|but|or)\W{1,3})?(?:what|where|which)?\W{0,3}(?:(?:was|came|did|were|about)\b.{0,40}?)?"
    rf"\b(before|after) ?{_THAT}\W{{0,3}}$"
    rf"|\b{_STATIONS}\b.{{0,30}}\b(before|after)\b(?= [A-Z]| the\b| that\b| joining\b| leaving\b)",
    re.IGNORECASE | re.DOTALL,
)
_TELLS = {
    "before": re.compile(r"\b(?:before|previous(?:ly)?|earlier|prior|former(?:ly)?|until)\b", re.IGNORECASE),
    "after": re.compile(r"\b(?:after|then|later|next|since|afterwards|subsequent(?:ly)?)\b", re.IGNORECASE),
}
_WHEN = re.compile(
    r"\b(?:when|what year|how long)\b.{0,40}\b"
    r"(?:leave|left|quit|join(?:ed)?|start(?:ed)?|begin|began|work(?:ed)?|stud(?:y|ied)|stay(?:ed)?)\b",
    re.IGNORECASE | re.DOTALL,
)
_LATEST = re.compile(
    r"^(?!.*\b(?:how|why|when)\b).*\b(?:last|latest|current|present|most recent)\b.{0,30}"
    r"\b(?:roles?|jobs?|job titles?|positions?|titles?|employers?|compan(?:y|ies))\b"
    r"|\b(?:role|job|position|title)\b.{0,20}\b(?:last|latest|current|most recent)\b"
    r"|\bwhere\b.{1,30}\b(?:works?|working|employed)\b(?: now| currently| today| these days| at the moment)?\W*$",
    re.IGNORECASE | re.DOTALL,
)
_DID_AT = re.compile(
    r"\bwhat (?:do|does|did|is|was)\b.{1,60}\b(?:do|doing|role|job|position|title)\b.{0,20}\bat\b"
    r"|\b(?:was|als was) (?:hat|hast|macht|machst|war|warst)\b.{1,40}\bbei\b",
    re.IGNORECASE | re.DOTALL,
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = rf"(?:{'|'.join(_MONTHS)})[a-z]*\.?"
_DATE = rf"(?:(?:\d{{1,2}} )?{_MONTH} )?(?:19|20)\d\d(?:-\d\d){{0,2}}"
_OPEN = r"present|now|today|current"
_PERIOD = re.compile(rf"\b({_DATE})\s*(?:to|until|till|through|[-–—])\s*({_DATE}|{_OPEN})\b", re.IGNORECASE)
_SINCE = re.compile(rf"\bsince ({_DATE})", re.IGNORECASE)
# As the readers tell a job of a résumé or of a page's front matter.
_STATION = re.compile(rf"^[^\n]{{3,160}}, (?:from {_DATE} to {_DATE}|since {_DATE})\.(?:\n|$)", re.IGNORECASE)
_OPEN_END = 9999 * 12
OVERLAP_MONTHS = 1  # one station may end in the month in which the next begins


@dataclass(frozen=True, slots=True)
class Dated:
    """A sentence that states from when to when; months since year 0."""

    section: Section
    at: int  # among the section's statements
    begins: int
    ends: int
    stems: frozenset[str]


def order_of(question: str) -> Order:
    """Does the question ask when the owner was somewhere, or for what came before or after it?"""
    match = _ORDER.search(question)
    if not match:
        return "at" if _WHEN.search(question) else "latest" if _LATEST.search(question) else ""
    return "before" if (match[1] or match[2]).casefold() == "before" else "after"


def tells(order: Order, text: str) -> bool:
    """Does a sentence itself say what came before, or after?"""
    return order in ("", "at", "latest") or bool(_TELLS[order].search(text))


def station(
    order: Order, names: Set[str], found: Sequence[Section], every: Sequence[Section], leaving: bool = False
) -> Dated | None:
    """The station that the names tell, or the one next to it in its list, else page, else folder; None where unsure.

    Of several at one place it is the last where the question is when the owner left, else the first.
    """
    own = [section for section in found if is_profile(section.document)]
    own += [section for section in every if is_station(section) and section not in own]
    anchors = [one for section in own for one in dated(section) if names and names <= one.stems]
    anchors.sort(key=lambda one: one.begins - one.ends)  # of all that is said of a station, its whole time
    if order == "at":
        stations = [one for one in anchors if is_station(one.section) and one.at == 0]
        if len(stations) > 1:
            return max(stations, key=lambda one: one.ends) if leaving else min(stations, key=lambda one: one.begins)
        return next(iter(anchors), None)
    for anchor in anchors:
        for place in (_same_section, _same_page, _same_folder, _both_stations):
            beside = (one for section in every if place(section, anchor.section) for one in dated(section))
            nearest = _nearest(order, anchor, (one for one in beside if not names <= one.stems))
            if nearest:
                return nearest
    return None


def latest(names: Set[str], every: Sequence[Section]) -> Dated | None:
    """The newest job or school that the site tells with its time, of those that tell all the names."""
    stations = (dated(section)[0] for section in every if is_station(section))
    named = [one for one in stations if names <= one.stems]
    return max(named, key=lambda one: (one.ends, one.begins), default=None)


def asks_of_leaving(question: str) -> bool:
    return bool(re.search(r"\b(?:leave|left|quit)\b", question, re.IGNORECASE))


def did_at(question: str) -> bool:
    """ "What did you do at X?": where no sentence answers better, the station at X does."""
    return bool(_DID_AT.search(question))


@lru_cache(maxsize=4096)
def is_station(section: Section) -> bool:
    """Does the section open with a job or a school and its time, as the readers tell them?"""
    return bool(_STATION.match(section.text)) and bool(dated(section)) and dated(section)[0].at == 0


def _both_stations(one: Section, other: Section) -> bool:
    return is_station(one) and is_station(other)


def _same_section(one: Section, other: Section) -> bool:
    return one.id == other.id


def _same_page(one: Section, other: Section) -> bool:
    return one.document == other.document


def _same_folder(one: Section, other: Section) -> bool:
    folder = other.document.rpartition("/")[0]
    return bool(folder) and one.document.rpartition("/")[0] == folder


def _nearest(order: Order, anchor: Dated, stations: Iterable[Dated]) -> Dated | None:
    if order == "before":
        earlier = [one for one in stations if one.begins < anchor.begins and one.ends <= anchor.begins + OVERLAP_MONTHS]
        return max(earlier, key=lambda one: (one.ends, one.ends - one.begins), default=None)
    later = [one for one in stations if one.ends > anchor.ends and one.begins >= anchor.ends - OVERLAP_MONTHS]
    return min(later, key=lambda one: (one.begins, one.begins - one.ends), default=None)


@lru_cache(maxsize=4096)
def dated(section: Section) -> tuple[Dated, ...]:
    """The sentences of a section that state a time, in order."""
    found: list[Dated] = []
    for at, statement in enumerate(statements(section.text)):
        match = _PERIOD.search(section.text, statement.start, statement.end)
        if match:
            ends = _OPEN_END if re.fullmatch(_OPEN, match[2], re.IGNORECASE) else _month(match[2], bare=1)
            found.append(Dated(section, at, _month(match[1], bare=12), ends, frozenset(statement.stems)))
        elif since := _SINCE.search(section.text, statement.start, statement.end):
            found.append(Dated(section, at, _month(since[1], bare=12), _OPEN_END, frozenset(statement.stems)))
    return tuple(found)


def _month(date: str, bare: int) -> int:
    """Of "October 2015", "2015-10-01" or "2015"; `bare` is the month of a bare year: whichever lets neighbours meet."""
    year = re.search(r"(?:19|20)\d\d", date)
    assert year is not None
    figures = re.search(r"\d{4}-(\d\d)", date)
    named = re.search(r"[a-z]{3}", date.casefold())
    month = int(figures[1]) if figures else _MONTHS.index(named[0]) + 1 if named else bare
    return int(year[0]) * 12 + month
