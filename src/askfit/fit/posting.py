"""Read a pasted posting: clean text, what it asks and how much each part weighs, gates. Knows nothing of any matrix.

A posting is a stranger's text. What is hidden in it is dropped, and what it tells an assistant to do is neither
followed nor counted as a requirement.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from askfit import text
from askfit.fit.keywords import without_keyword_lists
from askfit.fit.pasted import clean_posting
from askfit.fit.sections import Line, LineKind, heading_kind, is_keyword_list, read_lines
from askfit.fit.terms import Phrase, Term, find_terms, taxonomy, tokens
from askfit.fit.wording import pattern, patterns

MOST_REQUIREMENTS = 60
MOST_QUOTE_CHARS = 400
FEWEST_WORDS = 40
FEWEST_REQUIREMENTS = 3
FEWEST_POSTING_WORDS = 3  # kinds of words that postings use and other texts rarely do together

Kind = Literal["must", "preferred", "responsibility"]
EmphasisFrom = Literal["stated", "structural", "estimated"]


@dataclass(frozen=True, slots=True)
class Factor:
    """One reason for a requirement's emphasis. The factors of an ask, multiplied, are its weight before sharing."""

    name: Literal["section", "place", "title", "repetition", "trait", "cue", "share"]
    value: float  # 1: weighs as usual
    source: EmphasisFrom
    because: str  # the posting's heading or words, or how often a theme is named


@dataclass(frozen=True, slots=True)
class Ask:
    """One thing that the posting asks, before anyone judges it."""

    id: str
    text: str
    quote: str  # stands in the posting word for word
    kind: Kind
    emphasis: float  # of all asks together: 1
    emphasis_from: EmphasisFrom
    level: float  # 0–5: what the wording asks for
    years: float = 0.0  # 0 where none are asked
    soft: bool = False  # names nothing but traits that every posting names
    factors: tuple[Factor, ...] = ()  # why the emphasis is what it is; emphasis_from is the firmest of their sources


@dataclass(frozen=True, slots=True)
class Posting:
    """A posting as read. `problem` says why it cannot be judged; "" where it can."""

    text: str
    sha: str
    title: str
    lines: tuple[Line, ...]
    asks: tuple[Ask, ...]  # the weightiest first
    gates: tuple[str, ...]
    instructions: int  # lines that address an assistant: left out
    short_names: Mapping[str, Term]  # "the platform" in a posting about a data platform
    problem: Literal["", "too_short", "not_a_posting", "too_few_requirements"] = ""


def read_posting(pasted: str) -> Posting:
    """Clean, cut and weigh a posting; raise InputError where it is no text at all."""
    whole = clean_posting(pasted)
    kept, instructions = _without_instructions(without_keyword_lists(whole))
    lines = read_lines(kept)
    title = _title(lines)
    named = {line.text: _named(line.text) for line in lines if line.kind != "dropped"} | {title: _named(title)}
    weighed = _weighed(_asks(lines), lines, title, named)
    asks = tuple(replace(ask, quote=_as_pasted(ask.quote, pasted)) for ask in weighed)
    return Posting(
        text=kept,
        sha=hashlib.sha256(whole.encode("utf-8", "replace")).hexdigest()[:16],
        title=" ".join(title.split()),
        lines=tuple(lines),
        asks=asks,
        gates=tuple(_gates(lines)),
        instructions=instructions,
        short_names=_short_names(title, lines, named),
        problem=_problem(kept, asks, lines),
    )


MOST_TITLE_CHARS, MOST_TITLE_LINES, MOST_TITLE_WORDS = 160, 4, 16  # more words are a sentence


def _title(lines: list[Line]) -> str:
    """The job's name among the first lines: a company's may stand before it."""
    first: list[str] = []
    for line in lines[:MOST_TITLE_LINES]:
        if line.kind not in ("heading", "other") or (first and heading_kind(line.text)):
            break
        first.append(line.text[:MOST_TITLE_CHARS])
    said = pattern("lines", "job_title")
    short = (text_ for text_ in first if len(text_.split()) <= MOST_TITLE_WORDS and said.search(text_))
    return next(short, first[0] if first else "")


_BETWEEN_WORDS = r"[\s\u200b-\u200f\u2060\ufeff]+"  # \s knows the no-break space of Word and HTML


def _as_pasted(quote: str, pasted: str) -> str:
    """The quote with the blanks of what was pasted; as it was read where markup or forms of letters differ."""
    if quote in pasted:
        return quote
    found = re.search(_BETWEEN_WORDS.join(map(re.escape, quote.split())), pasted)
    return found[0] if found else quote


# ---------------------------------------------------------------- what addresses an assistant


_GOES_ON = re.compile(r"\W*(?:then|and|also|next|finally|after that|afterwards|now|dann|puis)\b", re.IGNORECASE)


def _without_instructions(posting: str) -> tuple[str, int]:
    """(the posting without sentences that tell an assistant what to do, how many there were)."""
    said = pattern("lines", "instruction")
    if not said.search(" ".join(posting.split())):
        return posting, 0
    kept, dropped = [], 0
    for line in posting.split("\n"):
        parts = [line[start:end] for start, end in text.sentence_spans(line)]
        clean: list[str] = []
        ordered = False
        for part in parts:
            ordered = bool(said.search(part)) or (ordered and bool(_GOES_ON.match(part)))
            if not ordered:
                clean.append(part)
        dropped += len(parts) - len(clean)
        kept.append(line if len(clean) == len(parts) else " ".join(clean))
    if not dropped:  # the words stand across a line's end
        pieces = re.split(r"(\n\s*\n)", posting)
        clean = [piece for piece in pieces if not said.search(" ".join(piece.split()))]
        return "".join(clean), len(pieces) - len(clean)
    return "\n".join(kept), dropped


# ---------------------------------------------------------------- requirements

_ASKED_KINDS = ("must", "preferred", "responsibility")
_TRIM = " \t*_`#|>•·-–—"


def _asks(lines: Iterable[Line]) -> list[tuple[Line, Ask]]:
    """Every asked line once, with what its wording asks; emphasis comes later."""
    found: dict[Phrase, tuple[Line, Ask]] = {}
    for line in lines:
        if line.kind not in _ASKED_KINDS or (is_gate_alone(line.text) and not _is_welcome(line)):
            continue
        quote = _quote(line.text)
        words = tuple(token.fold for token in tokens(quote))
        if len("".join(words)) < 2:
            continue
        ask = _ask(line.kind, quote)
        if words not in found or SECTION_WEIGHT[ask.kind] > SECTION_WEIGHT[found[words][1].kind]:
            found[words] = (line, ask)  # said twice, it counts where it weighs more
    return list(found.values())


def _ask(kind: LineKind, quote: str) -> Ask:
    shown = _shown(quote)
    years = asked_years(shown)
    return Ask("", shown, quote, _own_kind(kind, shown), 0.0, "estimated", asked_level(shown, years), years)


def _shown(quote: str) -> str:
    """A quote as it reads: without markdown's marks, links as their words."""
    bare = re.sub(r"\[([^\]]+)\]\([^)\s]*\)", r"\1", quote)
    return " ".join(re.sub(r"\*\*|__|`", "", bare).split()).rstrip(" .;,")


def _quote(line: str) -> str:
    quote = line.strip(_TRIM).strip()
    if len(quote) <= MOST_QUOTE_CHARS:
        return quote
    return (
        quote[: quote.rfind(" ", 0, MOST_QUOTE_CHARS)].strip()
        if " " in quote[:MOST_QUOTE_CHARS]
        else quote[:MOST_QUOTE_CHARS]
    )


def _own_kind(kind: LineKind, shown: str) -> Kind:
    """A line's own words outrank its heading: "Kafka is a plus" under Requirements is a plus."""
    if kind == "must" and pattern("lines", "plus").search(shown):
        return "preferred"
    return "preferred" if kind == "preferred" else "must" if kind == "must" else "responsibility"


def is_gate_alone(line: str) -> bool:
    """A degree, visa, place or language and nothing else: a gate, not a requirement that rows could answer."""
    gates = [name for name, said in patterns("gates").items() if said.search(line)]
    if not gates:
        return False
    rest = re.sub(r"equivalent\b[^,;.]*", "", line)
    return not pattern("lines", "besides").search(rest) and ("place" not in gates or len(line.split()) <= 16)


def _is_welcome(line: Line) -> bool:
    """A language that is only a plus: no gate, but a requirement that a row can answer."""
    named = [name for name, said in patterns("gates").items() if said.search(line.text)]
    return line.kind == "preferred" and named == ["language"]


def _gates(lines: Iterable[Line]) -> list[str]:
    found: dict[str, None] = {}
    for line in lines:
        if (
            line.kind == "dropped"
            or _is_welcome(line)
            or not any(said.search(line.text) for said in patterns("gates").values())
        ):
            continue
        if line.kind in _ASKED_KINDS or pattern("lines", "weighty").search(line.text) or is_gate_alone(line.text):
            found.setdefault(_shown(_quote(line.text))[:200], None)
    return list(found)[:8]


_NUMBERS = {
    word: number
    for number, words in enumerate(
        (
            "one ein eine einem un une uno una een één",
            "two zwei deux dos twee",
            "three drei trois tres drie",
            "four vier quatre cuatro",
            "five fünf cinq cinco vijf",
            "six sechs seis zes",
            "seven sieben sept siete zeven",
            "eight acht huit ocho",
            "nine neun neuf nueve negen",
            "ten zehn dix diez tien",
        ),
        start=1,
    )
    for word in words.split()
}
_YEARS = re.compile(
    rf"(?<![\w.,])(\d{{1,2}}|{'|'.join(_NUMBERS)})\s*(?:\(\d{{1,2}}\)\s*)?"
    r"(?:\+|(?:[-–—]|to|bis|à|a|tot|or|oder|ou|of)\s*"
    rf"(?:\d{{1,2}}\+?|{'|'.join(_NUMBERS)}))?\s*"
    r"(?:or more |plus |of meer |o más |ou plus |oder mehr )?(?:full |volle )?"
    r"(?:years?|yrs?|jahre?n?|ans|années|años?|jaar)\b"
    r"(?![- ](?:old\b|of age|or older|in business|ago|history))",
    re.IGNORECASE,
)
LEVEL_FAMILIAR, LEVEL_EARLY, LEVEL_USUAL, LEVEL_EXPERT = 2.5, 3.0, 4.0, 4.5
EARLY_YEARS, SENIOR_YEARS = 2, 8  # up to so many a beginner answers; from so many an expert is meant


def asked_years(shown: str) -> float:
    """The years that a line asks for, the lower bound of a range; 0 where it names none."""
    match = _YEARS.search(shown)
    return float(_NUMBERS.get(match[1].casefold()) or match[1]) if match else 0.0


def asked_level(shown: str, years: float) -> float:
    """The level, 0–5, at which a row fully answers the line's wording."""
    if pattern("lines", "expert").search(shown) or years >= SENIOR_YEARS:
        return LEVEL_EXPERT
    if pattern("lines", "familiar").search(shown):
        return LEVEL_FAMILIAR
    return LEVEL_EARLY if 0 < years <= EARLY_YEARS else LEVEL_USUAL


# ---------------------------------------------------------------- is it a posting at all?


def _problem(
    posting: str, asks: tuple[Ask, ...], lines: Iterable[Line]
) -> Literal["", "too_short", "not_a_posting", "too_few_requirements"]:
    if len(text.words(posting)) < FEWEST_WORDS:
        return "too_short"
    headed = sum(line.kind_from == "heading" for line in lines)
    if headed < FEWEST_REQUIREMENTS and sum(bool(said.search(posting)) for said in patterns("posting").values()) < (
        FEWEST_POSTING_WORDS
    ):
        return "not_a_posting"
    return "too_few_requirements" if len(asks) < FEWEST_REQUIREMENTS else ""


# ---------------------------------------------------------------- emphasis

SECTION_WEIGHT = {"must": 1.0, "responsibility": 0.7, "preferred": 0.4}
PROSE_FACTOR = 0.6  # a sentence of a paragraph tells the context of the tasks that are listed
UNHEADED_FACTOR = 0.8  # no heading says what the line is
TITLE_FACTOR = 1.3
SOFT_FACTOR = 0.3
REPEAT_FACTOR = 0.05  # of the logarithm of how many lines speak of the same thing
MOST_REPEATS = 8  # beyond which repetition is stuffing
MUST_CUE_FACTOR = 1.25
_SHARE = re.compile(r"\b(\d{1,3}) ?%(?! travel)")  # "40% of your time"
_OF_THE_TIME = re.compile(r"\btime\b|\brole\b|\bfocus|zeit|temps|tiempo|\btijd\b", re.IGNORECASE)
USUAL_SHARE = 20.0  # percent: a line with this share weighs as one without
MOST_SHARE_FACTOR = 4.0


_Named = tuple[tuple[Phrase, Term], ...]  # the skills that a line names, each as it is spelled there
_FIRMEST: tuple[EmphasisFrom, ...] = ("stated", "structural", "estimated")


def _weighed(
    asks: list[tuple[Line, Ask]], lines: Iterable[Line], title: str, named: Mapping[str, _Named]
) -> tuple[Ask, ...]:
    """Give each ask its share of the posting's weight; the weightiest first, ids in that order."""
    counts = _mentions(lines, named)
    about = {theme_of(term) for _, term in named[title] if not term.domain.common}
    weighed = []
    for line, ask in asks:
        factors = (*_where(line, ask), *_what(named[line.text], about, counts), *_stated(ask.text))
        weight = math.prod(factor.value for factor in factors)
        acting = {factor.source for factor in factors if factor.value != 1 or factor.name == "section"}
        source = next(source for source in _FIRMEST if source in acting)
        soft = any(factor.name == "trait" for factor in factors)
        weighed.append((weight, replace(ask, soft=soft, emphasis_from=source, factors=factors)))
    return _shared(weighed)


def _mentions(lines: Iterable[Line], named: Mapping[str, _Named]) -> Counter[str]:
    """In how many lines of what is asked or done each theme is named; a line that is said again adds nothing."""
    said = {
        " ".join(line.text.casefold().split()): {theme_of(term) for _, term in named[line.text]}
        for line in lines
        if line.kind not in ("dropped", "about") and not is_keyword_list(line.text)
    }
    return Counter(theme for themes in said.values() for theme in themes)


def _where(line: Line, ask: Ask) -> Iterator[Factor]:
    """What the line's section and its place there say."""
    by: dict[str, EmphasisFrom] = {"heading": "structural", "words": "stated"}
    yield Factor("section", SECTION_WEIGHT[ask.kind], by.get(line.kind_from, "estimated"), line.under or ask.kind)
    if not line.under:
        yield Factor("place", UNHEADED_FACTOR, "estimated", "no heading")
    elif not line.is_item:
        yield Factor("place", PROSE_FACTOR, "structural", "a sentence of a paragraph")


def _what(terms: _Named, about: Container[str], counts: Mapping[str, int]) -> Iterator[Factor]:
    """What the skills that it names say: whether the title has them, how often they come up, or that all have them."""
    themes = sorted({theme_of(term) for _, term in terms if not term.domain.common})
    titled = [theme for theme in themes if theme in about]
    if titled:
        yield Factor("title", TITLE_FACTOR, "structural", ", ".join(titled))
    most = max(themes, key=lambda theme: counts[theme], default="")
    lines = min(MOST_REPEATS, counts[most]) if most else 1
    if lines > 1:
        yield Factor("repetition", 1 + REPEAT_FACTOR * math.log(lines), "estimated", f"{most}: {counts[most]} lines")
    if terms and all(term.domain.soft for _, term in terms):
        yield Factor("trait", SOFT_FACTOR, "estimated", "a trait that every posting names")


def with_added(posting: Posting, added: Iterable[tuple[Kind, str]]) -> Posting:
    """The posting with asks that its reader missed: each takes a usual share of its kind, the rest give way."""
    asks = list(posting.asks)
    for at, (kind, quote) in enumerate(added, start=1):
        usual = [ask.emphasis for ask in posting.asks if ask.kind == kind] or [1 / (len(posting.asks) + 1)]
        share = min(usual) * UNHEADED_FACTOR
        asks.append(replace(_ask(kind, quote), id=f"a{at}", emphasis=share))
    shares = _millionths([ask.emphasis for ask in asks])
    return replace(posting, asks=tuple(replace(ask, emphasis=share) for ask, share in zip(asks, shares, strict=True)))


def _stated(shown: str) -> Iterator[Factor]:
    """What the line itself says of its weight: a share of the time, or that it is essential."""
    share = _SHARE.search(shown)
    if share and 5 <= int(share[1]) <= 100 and _OF_THE_TIME.search(shown):
        yield Factor("share", min(MOST_SHARE_FACTOR, int(share[1]) / USUAL_SHARE), "stated", share[0])
    elif cue := pattern("lines", "weighty").search(shown):
        yield Factor("cue", MUST_CUE_FACTOR, "stated", cue[0])


def _shared(weighed: list[tuple[float, Ask]]) -> tuple[Ask, ...]:
    """Weights as shares that sum to 1, to the last digit that is printed; equals in the posting's order.

    Where there are too many, which of equals are left out does not hang on that order.
    """
    kept = sorted(weighed, key=lambda pair: (-pair[0], pair[1].text.casefold()))[:MOST_REQUIREMENTS]
    ids = {id(ask) for _, ask in kept}
    top = sorted((pair for pair in weighed if id(pair[1]) in ids), key=lambda pair: -pair[0])
    shares = _millionths([weight for weight, _ in top])
    return tuple(
        replace(ask, id=f"r{at}", emphasis=share)
        for at, ((_, ask), share) in enumerate(zip(top, shares, strict=True), start=1)
    )


def _millionths(weights: list[float]) -> list[float]:
    """Shares of six digits that sum to 1: what rounding leaves over goes to those that lost most by it."""
    total = math.fsum(weights)
    exact = [weight / total * 1_000_000 for weight in weights]
    shares = [math.floor(share) for share in exact]
    by_loss = sorted(range(len(exact)), key=lambda at: shares[at] - exact[at])
    for at in by_loss[: 1_000_000 - sum(shares)]:
        shares[at] += 1
    return [share / 1_000_000 for share in shares]


FEWEST_MENTIONS = 3  # of a name outside the title, until its last word alone stands for it


def _short_names(title: str, lines: Iterable[Line], named: Mapping[str, _Named]) -> dict[str, Term]:
    """What a bare "platform" or "app" means in this posting: the skill of that last word that it is about."""
    said = Counter(
        (term.id, name[-1]) for line in lines if line.kind != "dropped" for name, term in _long(named[line.text])
    )
    about = {(term.id, name[-1]) for name, term in _long(named[title])}
    found = [key for key, count in said.most_common() if count >= FEWEST_MENTIONS or key in about]
    known = taxonomy()
    return {last: known.terms[term] for term, last in reversed(found) if (last,) not in known.by_name}


def _named(line: str) -> _Named:
    """The skills of the taxonomy that a line names."""
    found = tokens(line)
    return tuple((tuple(token.fold for token in found[start:end]), term) for start, end, term in find_terms(found))


def _long(named: _Named) -> Iterator[tuple[Phrase, Term]]:
    return ((name, term) for name, term in named if len(name) > 1 and not term.domain.common)


def line_terms(line: str) -> list[Term]:
    """The skills of the taxonomy that a line names."""
    return [term for _, term in _named(line)]


def theme_of(term: Term) -> str:
    """What repetition is counted by: a common craft by itself, all else by its kind of work."""
    return term.id if term.domain.common else term.domain.name
