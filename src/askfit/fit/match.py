"""Which rows of a matrix answer a requirement, and how far. Knows nothing of verdicts or models.

A requirement is read as facets: the skills that it names, and what they are to be done to. What the facets are depends
on the posting alone; rows only answer them. So a row that is lowered or taken away never makes an answer better.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from askfit.fit.posting import Ask
from askfit.fit.terms import (
    Phrase,
    Term,
    Token,
    find_terms,
    is_ambiguous,
    is_light,
    names_at,
    phrase,
    taxonomy,
    tokens,
)
from askfit.types import Skill

Relation = Literal["exact", "alias", "adjacent"]

# Set on the sample's golden postings and on examples/gold, 2026-11-21: both are ours.
OF_ALIAS = 0.8
CONTAINED_IN_ALIAS = 0.6
CONTAINED = 0.8  # the row's name holds the skill asked and says more: "Kafka administration" for Kafka
OF_THE_CATEGORY = 0.8  # the skill asked is the name of a category: its three best rows answer
UNCOVERED = 0.65  # "chip design" asked, "Design" there: what it is done to is not in the row
ATTRIBUTE = 0.45  # "message queues" asked, "messaging" there
NEAR = 0.6  # the line names no skill, and shares words with the row
NEAR_WORDS = 1.2  # so many words, each by where the row has it: two of its evidence are enough
NEAR_SHARE = 0.5  # or one of its names, where the line says little else
LEAST_SHARE_SAID = 0.3  # of a line that names no known skill, in names of rows, for them to be more than near
MOST_OF_ADJACENT = 0.75  # nearness alone is never strong
MOST_OVER_THE_OBJECT = 0.15  # a craft lifts a requirement no further than this over what it is done to
COMMON_SHARE = 0.2  # of a craft that every trade has, beside a specific skill, in the band
CARRIED_SHARE = 0.5  # and in the score
OPTIONAL_WEIGHT = 0.5
UNKNOWN_WEIGHT = 0.3  # of an item of a list that no name covers: perhaps a skill, perhaps a turn of phrase
FEWEST_YEARS_FACTOR = 0.7
KIN_YEARS_FACTOR = 0.6  # years with Flink are not years with Kafka
SHORTFALL = (1.0, 0.75, 0.4, 0.2, 0.0)  # by how many levels the row stands below what is asked
BEST_OF_CATEGORY = 3
HIGHEST_IDLE_LEVEL = 1  # a row at this level or below bears nothing, whatever else it is called
LOWEST_ASKED = 2.5
LESS_FOR_A_PLUS = 0.75
LED = 0.9  # so many people to lead ask more than to lead people
LOWEST_STRONG_LEVEL = 2  # a row at this level or below never bears "strong"


@dataclass(frozen=True, slots=True)
class Match:
    """A row, how it relates to what is asked, and how far it stands for it, 0–1, whatever its level."""

    skill: Skill
    relation: Relation
    nearness: float
    level: float  # the row's, or of a category the third best row's: one lucky row does not stand for a trade


@dataclass(frozen=True, slots=True)
class Facet:
    """One skill that a requirement names, and the rows that answer it."""

    label: str  # as the posting has it
    common: bool
    soft: bool
    side: str
    domain: str
    matches: tuple[Match, ...] = ()
    group: int = 0  # facets of one group are alternatives: any of them is enough
    weight: float = 1.0
    trade: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What the rows say to one requirement."""

    credit: float  # 0–1, by which the band is set: no craft makes up for what it is done to
    worth: float  # 0–1, by which the score is: a craft carries over in part
    matches: tuple[Match, ...]  # the best first
    facets: tuple[Facet, ...]
    direct: bool  # a row above level 2 meets a named skill itself, not only something near
    objects: frozenset[int]  # rows that answer what is worked on; empty where only a craft is named


@dataclass(frozen=True, slots=True)
class Index:
    """The rows of a matrix by all the names under which a posting may ask for them."""

    names: Mapping[Phrase, tuple[Match, ...]]
    by_term: Mapping[str, tuple[Match, ...]]  # of the very skill, then of its kin
    by_category: Mapping[Phrase, tuple[Skill, ...]]
    words: tuple[tuple[Skill, Mapping[str, float]], ...]  # telling words of each row, by where it has them
    terms_of: Mapping[int, tuple[Term, ...]]  # by row


# ---------------------------------------------------------------- the index


_TAILS = frozenset(phrase("programming language skills experience knowledge basics fundamentals proficiency expertise"))
_HEADS = frozenset(phrase("microsoft ms apache amazon advanced basic"))


def index_rows(skills: Sequence[Skill]) -> Index:
    """Index every row under its name, its parts, its aliases and what the taxonomy knows of them.

    A site's matrix is the same for every posting: its index is made once.
    """
    return _index(tuple(skills))


@lru_cache(maxsize=4)
def _index(skills: tuple[Skill, ...]) -> Index:
    names: dict[Phrase, dict[int, Match]] = {}
    by_term: dict[str, dict[int, Match]] = {}
    terms_of: dict[int, tuple[Term, ...]] = {}
    for skill in skills:
        terms_of[skill.row] = tuple(_index_row(skill, names, by_term))
    categories: dict[Phrase, list[Skill]] = {}
    for skill in skills:
        if name := _bare(phrase(skill.category)):
            categories.setdefault(name, []).append(skill)
    return Index(
        names={name: tuple(found.values()) for name, found in names.items()},
        by_term={term: tuple(found.values()) for term, found in by_term.items()},
        by_category={name: _best_first(rows) for name, rows in categories.items()},
        words=tuple((skill, _telling_words(skill)) for skill in skills),
        terms_of=terms_of,
    )


def _best_first(rows: Iterable[Skill]) -> tuple[Skill, ...]:
    """Rows by level; of those of one name the highest alone: said thrice, a skill is no third skill."""
    best: dict[Phrase, Skill] = {}
    for row in sorted(rows, key=lambda row: -row.level):
        best.setdefault(phrase(row.name), row)
    return tuple(best.values())


def _index_row(
    skill: Skill, names: dict[Phrase, dict[int, Match]], by_term: dict[str, dict[int, Match]]
) -> Iterator[Term]:
    """Enter one row; yield the skills of the taxonomy that it is about."""
    known = taxonomy()
    spellings: list[tuple[Phrase, Relation]] = [(name, "exact") for name in _spellings(skill.name)]
    own = {term.id for name, _ in spellings if (term := known.by_name.get(name))}
    spellings += [(name, "alias") for alias in skill.aliases for name in _spellings(alias)]
    for name, relation in spellings:
        _better(names.setdefault(name, {}), Match(skill, relation, 1.0, skill.level))
        term = known.by_name.get(name)
        if term:
            yield term
            # Docker, also called "containers", is asked for by that word; by what else those are called it is near.
            itself = not own or term.id in own
            match = (
                Match(skill, "alias", 1.0, skill.level) if itself else Match(skill, "adjacent", OF_ALIAS, skill.level)
            )
            _better(by_term.setdefault(term.id, {}), match)
            for kin, nearness in known.kin(term):
                _better(
                    by_term.setdefault(kin, {}),
                    Match(skill, "adjacent", nearness if itself else nearness * OF_ALIAS, skill.level),
                )
    for source in (skill.name, *skill.aliases):
        nearness = CONTAINED if source == skill.name else CONTAINED_IN_ALIAS
        for term in _terms_in(source):
            yield term
            _better(by_term.setdefault(term.id, {}), Match(skill, "adjacent", nearness, skill.level))


@lru_cache(maxsize=16384)
def _terms_in(name: str) -> tuple[Term, ...]:
    """The skills that a name holds, a bare "go" left out: "go/no-go decisions" say nothing of Go."""
    said = tokens(name)
    return tuple(term for start, end, term in find_terms(said) if end - start > 1 or not is_ambiguous(said[start].fold))


@lru_cache(maxsize=16384)
def _spellings(name: str) -> tuple[Phrase, ...]:
    """ "Experimentation (A/B testing)" is also "Experimentation" and "A/B testing"; "R programming" also "R"."""
    if not name:
        return ()
    outside = re.sub(r"\([^)]*\)", " ", name)
    inside = re.findall(r"\(([^)]*)\)", name)
    parts = [name, outside, *inside, *(part for text_ in (outside, *inside) for part in _split(text_))]
    parts += [head for part in (name, *_split(outside)) if (head := _HEAD.split(part, maxsplit=1)[0]) != part]
    bare = [_bare(phrase(part)) for part in parts]
    return tuple(dict.fromkeys(part for part in bare if part and (len(part) > 1 or not is_light(part[0]))))


_HEAD = re.compile(r"\s+(?:for|from|of|as|with|in|für|von|para|de)\s+")  # "Python for analysis" is Python


def _split(name: str) -> list[str]:
    """The parts of "Roadmapping & prioritisation"; "CI/CD" and "A/B testing" stay whole."""
    parts = [part.strip() for part in re.split(r"\s*[/,;]\s*|\s+(?:&|and|und|et)\s+", name)]
    if len(parts) < 2 or any(len(part) <= 2 for part in parts):
        return []
    *before, head = parts[-1].split()
    return [*(_whole(part, head) for part in parts[:-1]), parts[-1]] if before else parts


def _whole(part: str, head: str) -> str:
    """ "Food and nutrition apps" are food apps, and no food. "Git and version control" is Git, since that is a name;
    "Personas and journey mapping" are personas, for what stands before a noun in English is in the singular."""
    is_own = " " in part or part.endswith("s") or any(True for _ in find_terms(tokens(part)))
    return part if is_own else f"{part} {head}"


def _bare(name: Phrase) -> Phrase:
    """Without "Apache" before it and "programming" after it."""
    while len(name) > 1 and name[-1] in _TAILS:
        name = name[:-1]
    while len(name) > 1 and name[0] in _HEADS:
        name = name[1:]
    return name


NAME_WORD, EVIDENCE_WORD, CATEGORY_WORD = 1.0, 0.6, 0.4
MOST_EVIDENCE_WORDS = 40  # more is a text with every word in it


def _telling_words(skill: Skill) -> dict[str, float]:
    """The words of a row that tell what it is about, each at the weight of the best place that it stands in."""
    found = dict.fromkeys(_content(phrase(skill.category)), CATEGORY_WORD)
    if len(skill.evidence.split()) <= MOST_EVIDENCE_WORDS:
        found |= dict.fromkeys(_content(phrase(skill.evidence)), EVIDENCE_WORD)
    return found | {word: NAME_WORD for name in (skill.name, *skill.aliases) for word in _content(phrase(name))}


def _content(words: Iterable[str]) -> frozenset[str]:
    return frozenset(word for word in words if not is_light(word) and len(word) > 1)


# ---------------------------------------------------------------- a requirement's facets


@dataclass(frozen=True, slots=True)
class _Span:
    """A name in a line: tokens start to end."""

    start: int
    end: int
    term: Term | None
    uncovered: bool  # stands under a word that no name covers: "chip design"
    group: int = 0
    led: bool = False  # people to lead: what is asked, and no craft beside it


_OR = frozenset(phrase("or oder ou"))
_AND = frozenset(phrase("and und et"))
_EXAMPLES = re.compile(
    r"\b(?:such as|e\.g\.|eg|for example|like|one or more|at least one|any of|one of|either|z\.b\.|wie|par exemple)",
    re.IGNORECASE,
)
_OBJECT_CUES = frozenset(phrase("of for on across around behind über für von de pour des"))
_PREPOSITIONS = frozenset(phrase("of for in on with to from at by as into across via von für mit de pour dans avec"))
_LIST_MARKS = frozenset(",;/(:|")


_LEADS = frozenset(phrase("lead leading led manage managing managed supervise supervising head heading"))
_PEOPLE = frozenset(
    phrase(
        "engineers developers designers analysts scientists managers people reports nurses employees staff owners "
        "persons them consultants specialists technicians organisation department teams"
    )
)
_COUNTED = frozenset(
    phrase("two three four five six seven eight nine ten eleven twelve fifteen twenty thirty all several")
)
MOST_WORDS_TO_PEOPLE = 10


def _people_led(found: list[Token]) -> tuple[int, int] | None:
    """Where a line asks to lead so many people: "led an organisation of at least five product managers"."""
    for at, token in enumerate(found):
        if token.fold not in _LEADS:
            continue
        counted = False
        for place in range(at + 1, min(at + 1 + MOST_WORDS_TO_PEOPLE, len(found))):
            fold_ = found[place].fold
            counted = counted or fold_ in _COUNTED or fold_.isdigit()
            if fold_ in _PEOPLE and counted:
                return at, place + 1
            if found[place].before in _LIST_MARKS and not counted:
                break
    return None


def _spans(found: list[Token], short_names: Mapping[str, Term]) -> list[_Span]:
    """Every skill of the taxonomy that the line names. The matrix has no say in it."""
    led = _people_led(found)
    known = [span for span in find_terms(found) if not _is_partner(found, span[0], span[2])]
    if led:
        known = [span for span in known if span[1] <= led[0] or led[1] <= span[0]]
    covered = {at for start, end, _ in known for at in range(start, end)}
    for at, token in enumerate(found):
        if (
            at not in covered
            and token.fold in short_names
            and (at == 0 or at - 1 in covered or _is_light_at(found, at - 1))
        ):
            known.append((at, at + 1, short_names[token.fold]))
    covered = {at for start, end, _ in known for at in range(start, end)}
    spans = [
        _Span(start, end, term, _is_uncovered(found, start, end, term.domain.common, covered))
        for start, end, term in known
    ]
    if led:
        spans.append(_Span(*led, taxonomy().terms["people management"], False, led=True))
    return spans + [_Span(start, end, None, False) for start, end in _unknown_items(found, spans)]


def _is_light_at(found: list[Token], at: int) -> bool:
    return not found[at + 1].joined or is_light(found[at].fold)


_DEPARTMENTS = frozenset(
    (
        "marketing",
        "sales",
        "legal",
        "human resources",
        "financial analysis",
        "data science",
        "customer success",
        "ux design",
        "security",
        "supply chain",
        "insurance",
    )
)
_TOGETHER = frozenset(phrase("with across between alongside mit zwischen avec"))
_HAVING = frozenset(
    phrase("experience expertise familiarity familiar knowledge proficiency proficient erfahrung expérience")
)


def _is_partner(found: list[Token], start: int, term: Term) -> bool:
    """Named as people to work with, not as a skill: "with engineering, design and marketing"."""
    if term.id not in _DEPARTMENTS and term.parent not in _DEPARTMENTS:
        return False
    return any(_is_together(found, at) for at in range(start - 1, max(-1, start - 9), -1))


def _is_together(found: list[Token], at: int) -> bool:
    return found[at].fold in _TOGETHER and (at == 0 or found[at - 1].fold not in _HAVING)


def _is_uncovered(found: list[Token], start: int, end: int, common: bool, covered: set[int]) -> bool:
    """Does a word that is no name say what this is done to? "chip design", "roadmap for electrolysers"."""
    before = start - 1
    if before > 0 and found[start].joined and before not in covered and not _is_light_word(found, before):
        return True
    if not common:
        return False
    after = end
    if after >= len(found) or not found[after].joined or found[after].fold not in _OBJECT_CUES:
        return False
    objects = range(after + 1, min(after + 5, len(found)))
    content = [at for at in objects if not is_light(found[at].fold)]
    return bool(content) and not any(at in covered for at in objects)


_BEFORE_A_VERB = frozenset(phrase("to you we who will and du sie wir ihr vous nous"))


def _is_light_word(found: list[Token], at: int) -> bool:
    """A word that names nothing, or the verb after "to" or "you"."""
    return is_light(found[at].fold) or (at > 0 and found[at].joined and found[at - 1].fold in _BEFORE_A_VERB)


def _unknown_items(found: list[Token], spans: list[_Span]) -> Iterator[tuple[int, int]]:
    """Items of a list that no name covers, beside items that are names: "Salesforce, Jira and Foobar"."""
    together = next((at for at in range(len(found)) if _is_together(found, at)), len(found))
    items = [item for item in _items(found) if item[0] <= together]  # after it stand people, not skills
    named = [
        any(start <= span.start < end and span.term and not span.term.domain.common for span in spans)
        for start, end in items
    ]
    touched = [any(start <= span.start < end for span in spans) for start, end in items]
    for at, (start, end) in enumerate(items):
        content = [place for place in range(start, end) if not is_light(found[place].fold)]
        beside = (at > 0 and named[at - 1]) or (at + 1 < len(items) and named[at + 1])
        plain = not _PREPOSITIONS & {token.fold for token in found[start:end]}
        if beside and plain and not touched[at] and 1 <= len(content) <= 2 and end - start <= 3:
            yield content[0], content[-1] + 1


def _items(found: list[Token]) -> Iterator[tuple[int, int]]:
    """The stretches between commas, slashes, brackets and conjunctions."""
    start = 0
    for at, token in enumerate(found):
        conjunction = token.fold in _AND | _OR
        if at > start and (conjunction or token.before in _LIST_MARKS):
            yield start, at
            start = at
        if conjunction:
            start = at + 1
    if start < len(found):
        yield start, len(found)


def _alternatives(line: str, found: list[Token], spans: list[_Span]) -> dict[_Span, int]:
    """Group spans that are alternatives: "Spark, Flink or Kafka", "ETL/ELT", "a warehouse such as Snowflake"."""
    examples_from = [match.end() for match in _EXAMPLES.finditer(line)]
    groups: dict[_Span, int] = {}
    for run in _runs(found, spans):
        led = any(0 <= found[run[0].start].start - place <= 12 for place in examples_from)
        for part in [run] if led else _at_conjunctions(found, run):
            after = found[part[-1].end].fold if part[-1].end < len(found) else ""
            joined = {found[at].fold for at in range(part[0].start, part[-1].end)} | {after}
            if led or joined & _OR:
                groups.update(dict.fromkeys(part, len(groups) + 1))
        for first, second in itertools.pairwise(run):
            if found[second.start].before == "/":
                groups[second] = groups.setdefault(first, len(groups) + 1)
    return groups


def _runs(found: list[Token], spans: list[_Span]) -> Iterator[list[_Span]]:
    """Spans that stand in one list."""
    run: list[_Span] = []
    for span in sorted(spans, key=lambda span: span.start):
        if run and not _is_list_gap(found, run[-1].end, span.start):
            yield run
            run = []
        run.append(span)
    if run:
        yield run


def _at_conjunctions(found: list[Token], run: list[_Span]) -> Iterator[list[_Span]]:
    """A run cut at each "and": what stands on its two sides is asked together."""
    part = run[:1]
    for before, span in itertools.pairwise(run):
        if any(found[at].fold in _AND for at in range(before.end, span.start)):
            yield part
            part = []
        part = [*part, span]
    yield part


def _is_list_gap(found: list[Token], end: int, start: int) -> bool:
    """Commas, slashes and conjunctions, and at most two words such as "comparable" or "hands-on" among them."""
    between = [found[at].fold for at in range(end, start)]
    marks = [found[at].before for at in range(end, start + 1)]
    if len(between) > 3 or "(" in marks or ")" in marks or _PREPOSITIONS & set(between):
        return False
    listed = any(mark in _LIST_MARKS for mark in marks if mark) or bool((_AND | _OR) & set(between))
    return listed and all(is_light(word) for word in between)


# ---------------------------------------------------------------- what the rows say


def answer(ask: Ask, index: Index, short_names: Mapping[str, Term]) -> Answer:
    """The rows' answer to one requirement."""
    line = ask.text
    found = tokens(line)
    spans = _spans(found, short_names)
    groups = _alternatives(line, found, spans)
    rows = list(_row_names(found, index))
    facets = [_facet(line, found, span, groups.get(span, 0), rows, index) for span in spans]
    optional = [_optional(line, found, rows_, spans) for rows_ in _clusters(rows, spans)]
    credit, worth = _credit(ask, facets, optional)
    if not facets and _share_said(found, rows) < LEAST_SHARE_SAID:
        credit = worth = min(credit, MOST_OF_ADJACENT)
    near = _near(found, index) if not any(facet.weight == 1 and not facet.soft for facet in facets) else []
    credit = max(credit, *(_worth(match, ask) for match in near)) if near else credit
    matches = _evidence(ask, facets, optional, near)
    return Answer(
        credit, max(credit, worth), matches, (*facets, *optional), _is_direct(facets, optional), _objects(facets)
    )


def _is_direct(facets: list[Facet], optional: list[Facet]) -> bool:
    """Does a row meet a named skill itself? Where specific skills are named, a craft beside them does not count."""
    telling = [facet for facet in facets if not facet.common] or facets
    matches = (match for facet in (*telling, *optional) for match in facet.matches)
    return any(match.relation != "adjacent" and match.level > LOWEST_STRONG_LEVEL for match in matches)


_RowName = tuple[tuple[int, int], tuple[Match, ...]]


def _row_names(found: list[Token], index: Index) -> Iterator[_RowName]:
    """Every name of a row that stands in the line, those inside others too: a row taken away uncovers nothing new."""
    for at in range(len(found)):
        for name in names_at(found, at, index.names):
            yield (at, at + len(name)), index.names[name]


def _clusters(rows: list[_RowName], spans: list[_Span]) -> Iterator[list[_RowName]]:
    """Names of rows that no facet knows, those that overlap together."""
    cluster: list[_RowName] = []
    for name, matches in rows:
        if any(name[0] < span.end and span.start < name[1] for span in spans):
            continue
        if cluster and name[0] >= max(end for (_, end), _ in cluster):
            yield cluster
            cluster = []
        cluster.append((name, matches))
    if cluster:
        yield cluster


def _facet(line: str, found: list[Token], span: _Span, group: int, rows: list[_RowName], index: Index) -> Facet:
    label = line[found[span.start].start : found[span.end - 1].end]
    best: dict[int, Match] = {}
    for match in _of_term(span, found, index):
        near = replace(match, nearness=match.nearness * LED) if span.led else match
        _better(best, _limited(near, UNCOVERED) if span.uncovered else near)
    for (start, end), matches in rows:
        if start <= span.start and span.end <= end:
            whole = start < span.start or not span.uncovered
            for match in matches:
                _better(best, match if whole else _limited(match, UNCOVERED))
        elif not span.term and span.start <= start and end <= span.end:
            for match in matches:
                _better(best, _limited(match, UNCOVERED))
    term = span.term
    return Facet(
        label=label,
        common=bool(term and term.domain.common and not span.led),
        soft=bool(term and term.domain.soft),
        side=term.domain.side if term else "",
        domain=term.domain.name if term else "",
        matches=tuple(best.values()),
        group=group,
        weight=1.0 if term else UNKNOWN_WEIGHT,
        trade=bool(term and term.domain.trade),
    )


def _of_term(span: _Span, found: list[Token], index: Index) -> Iterator[Match]:
    if not span.term:
        words = _content(token.fold for token in found[span.start : span.end])
        yield from (
            Match(row, "adjacent", CONTAINED, row.level)
            for row, said in index.words
            if words and all(said.get(word, 0.0) >= NAME_WORD for word in words)
        )
        return
    yield from index.by_term.get(span.term.id, ())
    for name in span.term.names:
        rows = index.by_category.get(name, ())[:BEST_OF_CATEGORY]
        if len(rows) == BEST_OF_CATEGORY:
            yield from (Match(row, "adjacent", OF_THE_CATEGORY, rows[-1].level) for row in rows)


def _limited(match: Match, factor: float) -> Match:
    return replace(match, relation="adjacent", nearness=match.nearness * factor)


def _better(best: dict[int, Match], match: Match) -> None:
    kept = best.get(match.skill.row)
    if kept is None or _rank(kept) < _rank(match):
        best[match.skill.row] = match


def _rank(match: Match) -> tuple[float, int]:
    return match.nearness, ("adjacent", "alias", "exact").index(match.relation)


def _optional(line: str, found: list[Token], cluster: list[_RowName], spans: list[_Span]) -> Facet:
    """Rows that the line names and the taxonomy does not know: they can help, and their absence never hurts."""
    covered = {at for span in spans for at in range(span.start, span.end)}
    best: dict[int, Match] = {}
    for (start, end), matches in cluster:
        factor = 1.0
        if _is_uncovered(found, start, end, False, covered):
            factor = UNCOVERED
        if _tells_of_another(line, found, start, end, covered):
            factor = ATTRIBUTE
        for match in matches:
            _better(best, _limited(match, factor) if factor < 1 or _is_trait(match.skill) else match)
    first, last = cluster[0][0][0], max(end for (_, end), _ in cluster)
    return Facet(line[found[first].start : found[last - 1].end], False, False, "", "", tuple(best.values()))


def _tells_of_another(line: str, found: list[Token], start: int, end: int, covered: set[int]) -> bool:
    """Is one plain word the mere attribute of a thing that no name covers? "message queues" is not messaging.

    At a line's beginning its capital tells nothing, so there it is the thing.
    """
    if end - start > 1 or end >= len(found) or not (start and line[found[start].start : found[start].end].islower()):
        return False
    after = found[end]
    plain = after.joined and not after.before and after.fold not in _PREPOSITIONS | _AND | _OR
    return plain and end not in covered and not is_light(after.fold)


@lru_cache(maxsize=4096)
def _is_trait(skill: Skill) -> bool:
    """Is the row about what every posting names, such as writing? Its other names are then near, not the thing."""
    terms = list(find_terms(tokens(skill.name)))
    return bool(terms) and all(term.domain.soft for _, _, term in terms)


def _worth(match: Match, ask: Ask) -> float:
    """How far one row answers the line: its nearness, its level and its years against what is asked."""
    worth = match.nearness * _reaches(match.level, ask.level if match.relation == "adjacent" else _asked(ask))
    if ask.years:
        worth *= KIN_YEARS_FACTOR if match.relation == "adjacent" else _years_reach(match.skill, ask.years)
    return min(worth, MOST_OF_ADJACENT) if match.relation == "adjacent" else worth


def _asked(ask: Ask) -> float:
    """The level asked: of what is only a plus, a little less."""
    return max(LOWEST_ASKED, ask.level - LESS_FOR_A_PLUS) if ask.kind == "preferred" else ask.level


def _reaches(level: float, asked: float) -> float:
    """A level below what is asked bears most of it, two bear half, three little; a row at level 1 bears nothing."""
    short = min(max(0.0, asked - level), len(SHORTFALL) - 1)
    whole = int(short)
    if level <= HIGHEST_IDLE_LEVEL or whole + 1 >= len(SHORTFALL):
        return 0.0
    return SHORTFALL[whole] - (SHORTFALL[whole] - SHORTFALL[whole + 1]) * (short - whole)


def _years_reach(skill: Skill, asked: float) -> float:
    """Years that the row lacks count; a row at a low level that states none has few."""
    if skill.years is None:
        return FEWEST_YEARS_FACTOR if skill.level <= LOWEST_STRONG_LEVEL else 1.0
    return max(FEWEST_YEARS_FACTOR, min(1.0, skill.years / asked))


def facet_worth(facet: Facet, ask: Ask) -> float:
    return max((_worth(match, ask) for match in facet.matches), default=0.0)


def _credit(ask: Ask, facets: list[Facet], optional: list[Facet]) -> tuple[float, float]:
    """(credit, worth) of a line's facets."""
    specific = _mean([facet for facet in facets if not facet.common], ask)
    common = _mean([facet for facet in facets if facet.common and not facet.soft], ask)
    soft = _mean([facet for facet in facets if facet.soft], ask)
    extra = sorted((facet_worth(facet, ask) for facet in optional), reverse=True)
    if specific is None:
        base = soft if common is None else common
        credit = max(extra, default=0.0) if base is None else _raised(base, extra, 1.0)
        return credit, credit
    craft = specific if common is None else common
    credit = min(specific + MOST_OVER_THE_OBJECT, (1 - COMMON_SHARE) * specific + COMMON_SHARE * craft)
    worth = (1 - CARRIED_SHARE) * specific + CARRIED_SHARE * craft
    return _raised(credit, extra, OPTIONAL_WEIGHT), _raised(worth, extra, OPTIONAL_WEIGHT)


def _mean(facets: list[Facet], ask: Ask) -> float | None:
    """What the rows answer on average; alternatives count once, by the best of them."""
    best: dict[int, tuple[float, float]] = {}  # group → (worth, weight)
    for at, facet in enumerate(facets):
        key = facet.group or -1 - at
        worth, weight = best.get(key, (0.0, 0.0))
        best[key] = max(worth, facet_worth(facet, ask)), max(weight, facet.weight)
    total = sum(weight for _, weight in best.values())
    return sum(worth * weight for worth, weight in best.values()) / total if total else None


def _raised(base: float, extra: list[float], weight: float) -> float:
    """The mean of what is asked by name, and of those others that raise it."""
    total, count = base, 1.0
    for worth in extra:
        if worth > total / count:
            total, count = total + weight * worth, count + weight
    return total / count


def _share_said(found: list[Token], rows: list[_RowName]) -> float:
    """The share of a line's telling words that stand in names of rows."""
    telling = [at for at, token in enumerate(found) if not is_light(token.fold)]
    named = {at for (start, end), _ in rows for at in range(start, end)}
    return sum(at in named for at in telling) / len(telling) if telling else 1.0


def _near(found: list[Token], index: Index) -> list[Match]:
    """Rows that share telling words with a line that names no skill: they bear it in part, and never more."""
    said = _content(token.fold for token in found)
    near = []
    for skill, words in index.words:
        shared = sum(weight for word, weight in words.items() if word in said)
        if shared >= NEAR_WORDS or (shared >= 1 and shared / len(said) >= NEAR_SHARE):
            near.append(Match(skill, "adjacent", NEAR, skill.level))
    return near


_PRIORITY_ORDER = {"core": 0, "strong": 1, "": 2, "supporting": 3, "learning": 4}
MOST_EVIDENCE = 4


def _objects(facets: list[Facet]) -> frozenset[int]:
    """Rows of specific facets, where a craft is named beside them."""
    if not any(facet.common for facet in facets):
        return frozenset()
    return frozenset(match.skill.row for facet in facets if not facet.common for match in facet.matches)


def _evidence(ask: Ask, facets: list[Facet], optional: list[Facet], near: list[Match]) -> tuple[Match, ...]:
    """The most telling rows, each once: what is worked on first, and of crafts beside it one at least."""
    objects = _ranked([match for facet in facets if not facet.common for match in _telling(facet, ask)], ask)
    crafts = [match for facet in facets if facet.common for match in _telling(facet, ask)]
    others = _ranked([*crafts, *(match for facet in optional for match in _telling(facet, ask)), *near], ask)
    seen = {match.skill.row for match in objects}
    others = [match for match in others if match.skill.row not in seen]
    room = MOST_EVIDENCE - 1 if others else MOST_EVIDENCE
    return tuple([*objects[:room], *others][:MOST_EVIDENCE])


def _telling(facet: Facet, ask: Ask) -> list[Match]:
    """A facet's rows without those that are further off than the row that meets it, and no better."""
    direct = max((_worth(match, ask) for match in facet.matches if match.nearness == 1), default=-1.0)
    return [match for match in facet.matches if match.nearness == 1 or _worth(match, ask) > direct]


def _ranked(matches: list[Match], ask: Ask) -> list[Match]:
    """Each row once, the best first; a priority tag orders equals, it never raises."""
    best: dict[int, Match] = {}
    for match in matches:
        _better(best, match)

    def order(match: Match) -> tuple[bool, float, float, int, int]:
        skill = match.skill
        return (
            match.nearness < 1,
            -round(_worth(match, ask), 3),
            -match.nearness,
            _PRIORITY_ORDER[skill.priority],
            skill.row,
        )

    return sorted(best.values(), key=order)
