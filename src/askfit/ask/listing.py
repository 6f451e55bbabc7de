"""What no single sentence tells: employers, jobs, projects, tools, certificates, listed from all over the site.

Each item is a line of the site, word for word, on a page about the owner; where the site has such a list is told by its
dated jobs, headings, folders and labels. Knows no question: only which matter is to be listed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache

from askfit.ask.passages import introductions, own_sections
from askfit.ask.periods import Dated, dated, is_station, latest
from askfit.ask.prompt import Shared
from askfit.ask.terms import content, statements
from askfit.ask.voice import is_profile
from askfit.text import words
from askfit.types import Section

MOST_ITEMS = 5
MOST_WORDS = 100
MOST_DONE = 2  # lines, of what was done at one place
SHORT = 4  # words: an item such as "Norwegian." is told with the line under it
GROUPS = {
    "tools": "tools tool toolbox toolkit stack software technologies uses",
    "skills": "skills skill skillset expertise competencies competences",
    "languages": "languages language sprachen",
    "education": "education degrees degree studies ausbildung studium",
    "certificates": "certificates certifications certification certificate licenses licences zertifikate",
    "courses": "courses course training trainings kurse weiterbildung",
    "projects": "projects portfolio projekte",
    "talks": "talks speaking presentations keynotes vorträge",
    "publications": "publications papers publikationen",
    "interests": "interests hobbies interessen hobbys",
    "volunteering": "volunteering volunteer ehrenamt",
    "clients": "clients customers kunden",
    "awards": "awards honors honours prizes auszeichnungen",
}
_ASIDE = frozenset(
    "my our i use and the of selected other further technical professional some recent past main".split()
)
_WORK = frozenset(
    "work works job jobs position positions role roles career experience experiences employment employers "
    "berufserfahrung stationen".split()
)
_OTHERWISE = frozenset("education project projects volunteering volunteer certificates publications awards".split())
_WORK_HEADING = re.compile(
    r"\b(?:worked|work (?:history|experience)|employment|experience|career|positions|jobs|employers|werdegang"
    r"|lebenslauf|berufserfahrung|gearbeitet)\b",
    re.IGNORECASE,
)
_EMPLOYED = re.compile(r"\b(?:work(?:ed|ing)?|employed|joined|team|job|engineer|manager|I was|I am)\b.*\b(?:at|for)\b")
_EMPLOYER_LINE = re.compile(r"^(?:Employer|Company|Organi[sz]ation): ([^\n]+?)\.?$", re.MULTILINE)
_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+\.\w")
_CONTACT = re.compile(r"contact|reach|touch|write to me|kontakt|impressum", re.IGNORECASE)
_LABEL = re.compile(r"^(\w[\w -]{2,30}): ")
_TIME = re.compile(r",? (?:from|since) \S.*$", re.DOTALL)
_YEAR = re.compile(r"\b(?:19|20)\d\d\b(?:-\d\d)?")
_NAME = r"[^\W\d_a-z][\w’'&+-]*(?: [^\W\d_a-z][\w’'&+-]*)*"
# Adjectives, so to speak: "a product manager for apps" is no app.
_BETWEEN = r"(?:(?!(?:for|of|at|in|on|to|by|with|and|who|that|manager|lead|owner)\b)[\w’'-]+ ){0,5}?"
_NO_THING = r"(?![\w-]| (?:manager|lead|owner|designer|engineer|developer|team|work|job|studio|company|maker)s?\b)"
_KINDS = {
    "games": r"(?:games?)",
    "apps": r"(?:apps?)",
    "products": r"(?:products?|games?|apps?|platforms?|software|librar(?:y|ies)|services?)",
}
WHOLE = 0.2  # a whole sentence that needs no other says more of a thing
_LEANS_BACK = re.compile(r"(?:it|its|this|that|these|they)\b", re.IGNORECASE)
_OWNED = re.compile(
    r"\b(?:led|owned|built|launched|shipped|created|made|designed|released|developed|worked on|responsible)\b",
    re.IGNORECASE,
)
# What somebody plays or likes is nobody's work; nor is a question.
_ENJOYED = re.compile(
    r"\b(?:play(?:s|ed|ing)?|read(?:s|ing)?|like|love|enjoy|admire|favou?rite)\b|\?\W*$", re.IGNORECASE
)
_EXPERIENCE = re.compile(
    r"\bsince (?:[A-Z]\w+ )?(?:19|20)\d\d\b|\b(?:\d+|\w+)[+]?[ -](?:years?|decades?)\b|\bdecade", re.IGNORECASE
)
_OF_WORK = re.compile(r"\b(?:work\w*|experience\w*|career|industry|record|profession\w*|\w+(?:er|or|ist))\b")


@dataclass(frozen=True, slots=True)
class Item:
    """Some sentences of a section, in a row: the section's text from `first` to `last`."""

    section: Section
    first: int
    last: int  # included

    @property
    def texts(self) -> list[str]:
        stated = statements(self.section.text)[self.first : self.last + 1]
        return [self.section.text[one.start : one.end] for one in stated]

    @property
    def whole(self) -> str:
        return " ".join(self.texts)


@lru_cache(maxsize=16)
def listed(shared: Shared, matter: str) -> Sequence[Item]:
    """What the site lists of a matter, the newest first; as much as is read at a glance. Empty where nothing is."""
    if matter in ("employers", "positions"):
        found = _jobs(shared, each_employer=matter == "employers")
    elif matter in _KINDS:
        found = _things(shared, matter)
    else:
        found = _group(shared, matter)
    return _bounded(found[:MOST_ITEMS])


def newest_employer(shared: Shared) -> str:
    """The name of the place of the newest job; "" where the site dates none."""
    jobs = _stations(shared)
    return _employer(jobs[0].section) if jobs else ""


def done_at(shared: Shared, names: Set[str]) -> list[Item]:
    """The newest job at a place, and what its own section says was done there, as far as it is read at a glance."""
    job = next((one for one in _stations(shared) if names and names <= one.stems), None)
    if not job:
        return []
    told = [item for item in _lines(job.section) if item.first and not _LABEL.match(item.whole)]
    return _bounded([Item(job.section, 0, 0), *told[:MOST_DONE]])


def newest(shared: Shared) -> Item | None:
    """The newest job; where none is dated, the newest of all that is told as one is."""
    if jobs := _stations(shared):
        return Item(jobs[0].section, 0, 0)
    near = latest(frozenset(), own_sections(shared))
    return Item(near.section, near.at, near.at) if near else None


def since(shared: Shared) -> Item | None:
    """Since when the owner has worked, where an introduction says so; else the earliest job."""
    for section in introductions(shared.corpus):
        for at, statement in enumerate(statements(section.text)):
            text = section.text[statement.start : statement.end]
            if _EXPERIENCE.search(text) and _OF_WORK.search(text):
                return Item(section, at, at)
    jobs = _stations(shared)
    return Item(jobs[-1].section, 0, 0) if jobs else None


def contact(shared: Shared) -> Item | None:
    """Where an address to write to stands, best on a page or under a heading of that name."""
    told = [
        Item(section, at, at)
        for section in own_sections(shared)
        if is_profile(section.document)
        for at, statement in enumerate(statements(section.text))
        if _ADDRESS.search(section.text, statement.start, statement.end)
    ]
    return max(told, key=lambda item: bool(_CONTACT.search(f"{item.section.id} {item.section.heading}")), default=None)


def now(shared: Shared) -> Item | None:
    """What a page called "now" begins with."""
    for section in own_sections(shared):
        if section.document.rpartition("/")[2].casefold() == "now" and statements(section.text):
            return Item(section, 0, 0)
    return None


def _bounded(items: Iterable[Item]) -> list[Item]:
    kept: list[Item] = []
    for item in items:
        if not kept or sum(len(one.whole.split()) for one in [*kept, item]) <= MOST_WORDS:
            kept.append(item)
    return kept


# ---------------------------------------------------------------- jobs


def _jobs(shared: Shared, *, each_employer: bool) -> list[Item]:
    jobs = _stations(shared)
    if each_employer:
        jobs = list({_employer(one.section).casefold(): one for one in reversed(jobs)}.values())
        jobs.sort(key=_time, reverse=True)
    if jobs:
        return [Item(one.section, 0, 0) for one in jobs]
    return _dated_lines(shared)


def _time(one: Dated) -> tuple[int, int]:
    return one.ends, one.begins


@lru_cache(maxsize=2)
def _stations(shared: Shared) -> list[Dated]:
    """Every dated job once, the newest first: one told in a résumé and on a page of its own has the same times."""
    found: dict[tuple[int, int], Dated] = {}
    for section in own_sections(shared):
        if is_station(section) and _is_job(section):
            one = dated(section)[0]
            kept = found.get((one.begins, one.ends))
            if not kept or len(_first(section)) < len(_first(kept.section)):
                found[one.begins, one.ends] = one
    return sorted(found.values(), key=_time, reverse=True)


def _is_job(section: Section) -> bool:
    top = frozenset(words(section.heading.partition(" › ")[0]))
    if top:
        return not top.isdisjoint(_WORK) and top.isdisjoint(_OTHERWISE)
    folder = frozenset(words(section.document.rpartition("/")[0].replace("_", " ")))
    return bool(_EMPLOYER_LINE.search(section.text)) or not folder.isdisjoint(_WORK)


def _employer(section: Section) -> str:
    """Of "Employer: Quay Apps." or "Clerk, Quay Apps, from 2019 to 2021." Quay Apps."""
    if match := _EMPLOYER_LINE.search(section.text):
        return match[1]
    named = _TIME.sub("", _first(section)).split(", ")
    return (
        ", ".join(named[-2:])
        if len(named) > 1 and named[-1].rstrip(".").casefold() in ("inc", "llc", "ltd")
        else named[-1]
    )


def _first(section: Section) -> str:
    return Item(section, 0, 0).whole


def _dated_lines(shared: Shared) -> list[Item]:
    """Where no job is told as the readers tell one: the dated lines of a work history, else dated sentences on jobs."""
    profile = [one for one in own_sections(shared) if is_profile(one.document)]
    history = [one for one in profile if _WORK_HEADING.search(one.heading.rpartition(" › ")[2] or one.title)]
    lines = [item for section in history for item in _lines(section) if _YEAR.search(item.whole)]
    if not lines:
        lines = [
            Item(section, one.at, one.at)
            for section in profile
            for one in dated(section)
            if _EMPLOYED.search(Item(section, one.at, one.at).whole)
        ]
    return sorted(lines, key=_last_year, reverse=True)


def _last_year(item: Item) -> str:
    return max(_YEAR.findall(item.whole), default="")


# ---------------------------------------------------------------- headings, folders, labels


def _group(shared: Shared, matter: str) -> list[Item]:
    named = frozenset(GROUPS[matter].split())
    own = [one for one in own_sections(shared) if is_profile(one.document)]
    ways: Sequence[Callable[[], Iterable[Item]]] = (
        lambda: _under_top(own, named),
        lambda: (item for one in own if _names(one.heading.rpartition(" › ")[2], named) for item in _lines(one)),
        lambda: (item for one in own for item in _lines(one) if _labelled(item, named)),
        lambda: _pages(shared, own, named),
    )
    found = next((items for items in (list(way()) for way in ways) if items), [])
    if any(_YEAR.search(item.whole) for item in found):
        found.sort(key=_last_year, reverse=True)
    return found


def _names(heading: str, named: frozenset[str]) -> bool:
    """Is it "Tools", "My tools", "Tools I use", not "Tools that failed"?"""
    said = frozenset(words(heading))
    return not said.isdisjoint(named) and said <= named | _ASIDE


def _under_top(own: Iterable[Section], named: frozenset[str]) -> Iterator[Item]:
    """Of "Skills › Survey" and "Skills › Levelling" each its first line."""
    for section in own:
        top, _, rest = section.heading.partition(" › ")
        if rest and _names(top, named) and (lines := list(_lines(section))):
            more = len(lines) > 1 and len(lines[0].whole.split()) <= SHORT
            yield Item(section, lines[0].first, lines[1].last if more else lines[0].last)


def _labelled(item: Item, named: frozenset[str]) -> bool:
    match = _LABEL.match(item.whole)
    return bool(match) and _names(match[1], named) if match else False


def _pages(shared: Shared, own: Iterable[Section], named: frozenset[str]) -> Iterator[Item]:
    """Of a folder "projects" each page's first sentence, the newest page first; of a page "talks" each part's."""
    firsts: dict[str, Section] = {}
    for section in own:
        folder, _, name = section.document.rpartition("/")
        if not named.isdisjoint(words(folder)):
            firsts.setdefault(section.document, section)
        elif _names(name.replace("-", " "), named) and section.heading and _YEAR.search(section.text):
            firsts[section.id] = section
    dates = {one.id: one.date for one in shared.corpus.documents}
    for section in sorted(firsts.values(), key=lambda one: dates.get(one.document, ""), reverse=True):
        prose = (item for item in _lines(section) if not _LABEL.match(item.whole))
        if item := next(prose, None):
            yield Item(section, item.first, item.first)


def _lines(section: Section) -> Iterator[Item]:
    """Each line of a section, that is each list item and paragraph, as the sentences that it holds."""
    stated = statements(section.text)
    begin = 0
    for at, statement in enumerate(stated):
        last = at + 1 == len(stated)
        if last or "\n" in section.text[statement.start : stated[at + 1].start]:
            if any(one.stems for one in stated[begin : at + 1]):
                yield Item(section, begin, at)
            begin = at + 1


# ---------------------------------------------------------------- things


def _things(shared: Shared, kind: str) -> list[Item]:
    """Of each named game, app or product the sentence that says what it is: best what the owner did with it."""
    best: dict[str, tuple[float, Item]] = {}
    own = (section for section in own_sections(shared) if is_profile(section.document))
    every = (Item(section, at, at) for section in own for at in range(len(statements(section.text))))
    for item in every:
        for name in _named(item.whole, kind):
            worth = _worth(item.whole)
            if name not in best or worth > best[name][0]:
                best[name] = worth, item
    found = sorted(best.values(), key=lambda pair: -pair[0])
    return list(dict.fromkeys(item for _, item in found))


def _named(text: str, kind: str) -> frozenset[str]:
    """The games that a sentence names as such, or apps, or products."""
    if _ENJOYED.search(text):
        return frozenset()
    found = (match[1] for pattern in _patterns(kind) for match in pattern.finditer(text))
    return frozenset(name for name in found if content(name))


def _worth(text: str) -> float:
    whole = text.endswith(".") - bool(_LEANS_BACK.match(text))
    return bool(_OWNED.search(text)) + WHOLE * whole - len(text.split()) / 100


@lru_cache(maxsize=8)
def _patterns(kind: str) -> tuple[re.Pattern[str], ...]:
    noun = _KINDS[kind]
    return tuple(
        re.compile(pattern)
        for pattern in (
            rf"^(?:The )?({_NAME}) (?:is|was) (?:an?|the|our|its|my) {_BETWEEN}{noun}{_NO_THING}",  # "Quay is an app"
            rf"({_NAME}), (?:an?|the|our|its|my) {_BETWEEN}{noun}{_NO_THING}",  # "Quay, an app"
            rf"\b{noun},? ({_NAME})",  # "the app Quay"
        )
    )
