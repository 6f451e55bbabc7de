"""Words as a matcher sees them, and which skills are kin. Knows nothing of postings or of one owner's matrix.

A token is a whole word ("Tform" is not in "platform"), folded so that plural, British and verbal forms of it meet.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib.resources import files

from askfit import text

Phrase = tuple[str, ...]  # folded words

_TOKEN = re.compile(r"(?<![^\W_])\.net\b|[^\W_]+(?:[’'][^\W_]+)*(?:\+\+|#)?", re.IGNORECASE)
_JOINS = re.compile(r"[\s\-‐‑–/&.’'*_`]*")  # what may stand between two words of one phrase
_MERGED = {
    ("a", "b"): "ab",
    ("back", "end"): "backend",
    ("ci", "cd"): "cicd",
    ("data", "base"): "databas",
    ("e", "commerce"): "ecommerce",
    ("front", "end"): "frontend",
    ("full", "stack"): "fullstack",
    ("life", "cycle"): "lifecycl",
    ("live", "ops"): "liveop",
    ("machine", "learning"): "ml",
    ("node", "js"): "nodejs",
    ("on", "boarding"): "onboard",
    ("open", "source"): "opensourc",
    ("p", "l"): "pnl",
    ("play", "test"): "playtest",
    ("road", "map"): "roadmap",
    ("ui", "ux"): "uiux",
    ("user", "experience"): "ux",
    ("work", "flow"): "workflow",
}


# Words whose stem is another word with another sense: accounting is no account, marketing no market.
_KEPT = frozenset(
    "accounting activation auditing authorization broadcasting catering compensation consulting education engagement "
    "guarding information informed lobbying machining marketing orchestration profiling prospecting purchasing "
    "recruiting securities sourcing specification staffing tracking tutoring welding".split()
)


@dataclass(frozen=True, slots=True)
class Token:
    """One word of a line. `joined`: it goes on with the word before it, with no comma or stop between."""

    fold: str
    start: int
    end: int
    joined: bool
    before: str = ""  # the mark that stands before it: "," "(" "/" …; "" for a blank
    last: str = ""  # of a line's last word: the mark after it


@lru_cache(maxsize=65536)
def fold(word: str) -> str:
    """The form in which words are compared: "Roadmapping" and "roadmaps", "prioritise" and "prioritization" meet."""
    word = word.casefold().replace("’", "'").removesuffix("'s").removesuffix("'")
    if word == ".net":
        return "dotnet"
    if not word.isascii() or len(word) <= 3:
        return word
    if word.removesuffix("s") in _KEPT:
        return word.removesuffix("s")
    word = re.sub(r"is(ation|ations|e|es|ed|ing|er|ers)$", r"iz\1", word) if len(word) > 6 else word
    word = re.sub(r"(?<=[a-z]{3})our(?=$|s$|al$|able$)", "or", word)  # behaviour, colour
    stem = text.stem(word).removesuffix("i") if word.endswith("sis") else text.stem(word)  # analysis, analyses
    for ending in ("ation", "at"):  # experimentation, segment(ation); collaborat(e), collaborat(ion)
        if stem.endswith(ending) and len(stem) - len(ending) >= 4:
            return _undoubled(stem[: -len(ending)])
    return _undoubled(stem)


def _undoubled(stem: str) -> str:
    """modelling, modeling: model."""
    return stem[:-1] if len(stem) > 4 and stem[-1] == stem[-2] == "l" else stem


def tokens(line: str) -> list[Token]:
    """The words of a line in order, two-word spellings of one word merged."""
    found: list[Token] = []
    end = 0
    for match in _TOKEN.finditer(line):
        joined = bool(found) and bool(_JOINS.fullmatch(line, end, match.start()))
        before = line[end : match.start()].strip()[:1]
        token = Token(fold(match.group()), match.start(), match.end(), joined, before)
        merged = _MERGED.get((_bare(line, found[-1]), match.group().casefold())) if joined else None
        if merged:
            first = found.pop()
            token = replace(token, fold=merged, start=first.start, joined=first.joined, before=first.before)
        found.append(token)
        end = match.end()
    if found:
        found[-1] = replace(found[-1], last=line[end:].strip()[:1])
    return found


def _bare(line: str, token: Token) -> str:
    return line[token.start : token.end].casefold()


@lru_cache(maxsize=16384)
def phrase(words: str) -> Phrase:
    """The folded words of a name."""
    return tuple(token.fold for token in tokens(words))


@cache
def light_words() -> frozenset[str]:
    """Folded words that name no skill by themselves."""
    lines = files("askfit.fit").joinpath("light.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(fold(word) for line in lines if not line.startswith("#") for word in line.split())


def is_light(word: str) -> bool:
    """Does a folded word name no skill by itself? Numbers do not."""
    return word in light_words() or word.isdigit()


# ---------------------------------------------------------------- names in a line


def _folded(words: str) -> frozenset[str]:
    return frozenset(fold(word) for word in words.split())


# Names that are also common words or letters: they count only where the words around them say that a tool is meant.
_AMBIGUOUS = _folded(
    "go r c d excel spark swift react sketch access word express rust hive heap helm unity argo presto dart scratch "
    "spring gcp rails flask "
    "report reporting write writing"
)
MOST_NAME_WORDS = 8
_MARKS_A_LIST = frozenset(",;/(:|[•·")
_ENDS_A_LIST = frozenset(",;/):.|]•·!")
_BEFORE_A_TOOL = _folded(
    "in with using use of and or eg e.g g like as including microsoft ms apache language languages know some advanced "
    "good strong solid mit und oder en avec et ou con y o"
)
_AFTER_A_TOOL = _folded(
    "and or programming language experience skills developer development code coding spreadsheets sql api und oder et "
    "ou powerpoint native boot y o"
)


def names_at(found: list[Token], at: int, names: Container[Phrase]) -> Iterator[Phrase]:
    """Every name that begins at a token, the longest first."""
    for size in range(min(MOST_NAME_WORDS, len(found) - at), 0, -1):
        run = found[at : at + size]
        name = tuple(token.fold for token in run)
        if name in names and all(token.joined for token in run[1:]) and (size > 1 or means_a_tool(found, at)):
            yield name


def is_ambiguous(word: str) -> bool:
    """Is this name also a common word or a letter?"""
    return word in _AMBIGUOUS


def means_a_tool(found: list[Token], at: int) -> bool:
    """Of a word such as Go, R or Excel: is it the tool here, by what stands around it? Of any other word: yes."""
    if not is_ambiguous(found[at].fold):
        return True
    after = found[at + 1] if at + 1 < len(found) else None
    left = (
        at == 0 or found[at].before in _MARKS_A_LIST or (not found[at].before and found[at - 1].fold in _BEFORE_A_TOOL)
    )
    if after is None:
        return left and found[at].last in _ENDS_A_LIST | {""}
    return left and (after.before in _ENDS_A_LIST or (not after.before and after.fold in _AFTER_A_TOOL))


# ---------------------------------------------------------------- the taxonomy


@dataclass(frozen=True, slots=True)
class Domain:
    name: str
    side: str  # "platform", "application" or ""
    common: bool  # craft of every trade: its worth depends on what it is done to
    soft: bool
    nothing: bool = False  # a turn of phrase that holds a name and asks for none
    trade: bool = False  # in a title it says what somebody is, not what the product is about


@dataclass(frozen=True, slots=True)
class Term:
    """One skill under all its names. A child is a kind of its parent: Kafka of stream processing."""

    id: str
    domain: Domain
    names: tuple[Phrase, ...]
    parent: str  # "" for a concept itself


@dataclass(frozen=True, slots=True)
class Taxonomy:
    terms: Mapping[str, Term]
    by_name: Mapping[Phrase, Term]

    families: Mapping[str, tuple[Term, ...]]  # a concept's id → the concept and its children

    def kin(self, have: Term) -> Iterator[tuple[str, float]]:
        """(skill, how far `have` answers for it): its parent, its siblings, its children."""
        for other in self.families[have.parent or have.id]:
            if other.id != have.id:
                yield other.id, SIBLING if other.parent and have.parent else CHILD if have.parent else PARENT


CHILD = 0.9  # stream processing is asked, Kafka is there
PARENT = 0.5  # Kafka is asked, stream processing is there
SIBLING = 0.35  # Kafka is asked, Flink is there


@cache
def taxonomy() -> Taxonomy:
    """The shipped taxonomy.toml."""
    table = tomllib.loads(files("askfit.fit").joinpath("taxonomy.toml").read_text(encoding="utf-8"))
    terms: dict[str, Term] = {}
    by_name: dict[Phrase, Term] = {}
    families: dict[str, tuple[Term, ...]] = {}
    for name, entry in table.items():
        domain = Domain(
            name,
            entry.get("side", ""),
            entry.get("common", False),
            entry.get("soft", False),
            entry.get("nothing", False),
            entry.get("trade", False),
        )
        for concept in entry["concepts"]:
            for term in _concept(concept, domain):
                terms[term.id] = term
                families[term.parent or term.id] = (*families.get(term.parent or term.id, ()), term)
                for spelled in term.names:
                    by_name.setdefault(spelled, term)
    return Taxonomy(terms, by_name, families)


def _concept(concept: str, domain: Domain) -> Iterator[Term]:
    """ "name = synonym > child = synonym, child": the concept, then its children."""
    head, _, children = concept.partition(">")
    parent = ""
    for group in (head, *filter(None, (child.strip() for child in children.split(",")))):
        names = [name.strip() for name in group.split("=")]
        yield Term(names[0], domain, tuple(dict.fromkeys(phrase(name) for name in names)), parent)
        parent = parent or names[0]


def find_terms(found: list[Token]) -> Iterator[tuple[int, int, Term]]:
    """(first token, past the last one, term) of every name of the taxonomy in a line, none inside another."""
    names = taxonomy().by_name
    at = 0
    while at < len(found):
        name = next(names_at(found, at, names), ())
        if name and not names[name].domain.nothing:
            yield at, at + len(name), names[name]
        at += len(name) or 1
