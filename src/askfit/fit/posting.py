"""Read a pasted posting: clean text, what it asks and how much each part weighs, gates. Knows nothing of any matrix.

A posting is a stranger's text. What is hidden in it is dropped, and what it tells an assistant to do is neither
followed nor counted as a requirement.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from askfit import text
from askfit.errors import InputError
from askfit.fit.sections import Line, LineKind, is_keyword_list, read_lines
from askfit.fit.terms import Phrase, Term, find_terms, taxonomy, tokens
from askfit.fit.wording import pattern, patterns

MOST_POSTING_CHARS = 60_000  # of clean text: about 17,000 tokens, ten times a long posting
MOST_PASTED_CHARS = 500_000  # with the markup around it
MOST_TAGS = 20_000  # deep nesting costs a parser the square of its depth
MOST_REQUIREMENTS = 60
MOST_QUOTE_CHARS = 400
FEWEST_WORDS = 40
FEWEST_REQUIREMENTS = 3
FEWEST_POSTING_WORDS = 3  # kinds of words that postings use and other texts rarely do together

Kind = Literal["must", "preferred", "responsibility"]
EmphasisFrom = Literal["stated", "structural", "estimated"]


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
    kept, instructions = _without_instructions(whole)
    lines = read_lines(kept)
    title = next((line.text for line in lines), "")[:160] if lines and lines[0].kind in ("heading", "other") else ""
    asks = tuple(replace(ask, quote=_as_pasted(ask.quote, pasted)) for ask in _weighed(_asks(lines), lines, title))
    return Posting(
        text=kept,
        sha=hashlib.sha256(whole.encode("utf-8", "replace")).hexdigest()[:16],
        title=" ".join(title.split()),
        lines=tuple(lines),
        asks=asks,
        gates=tuple(_gates(lines)),
        instructions=instructions,
        short_names=_short_names(title, lines),
        problem=_problem(kept, asks),
    )


_BETWEEN_WORDS = r"[\s\u200b-\u200f\u2060\ufeff]+"  # \s knows the no-break space of Word and HTML


def _as_pasted(quote: str, pasted: str) -> str:
    """The quote with the blanks of what was pasted; as it was read where markup or forms of letters differ."""
    if quote in pasted:
        return quote
    found = re.search(_BETWEEN_WORDS.join(map(re.escape, quote.split())), pasted)
    return found[0] if found else quote


# ---------------------------------------------------------------- cleaning


def clean_posting(pasted: str) -> str:
    """The text that a reader of the posting sees: no markup, nothing hidden."""
    if len(pasted) > MOST_PASTED_CHARS or pasted.count("<") > MOST_TAGS:
        raise _too_long()
    if "\x00" in pasted or pasted.count("\ufffd") > max(8, len(pasted) // 50):
        raise InputError("posting_binary", "The posting is not text.", "Paste the posting's words, not a file.")
    shown = text.clean(_html_text(pasted) if _HTML.search(pasted) else pasted)
    shown = "\n".join(line.rstrip() for line in shown.replace("\t", "    ").split("\n"))
    shown = re.sub(r"\n{3,}", "\n\n", shown).strip("\n")
    if not re.search(r"\w", shown):
        raise InputError("posting_empty", "There is no posting text.", "Paste the job description.")
    if len(shown) > MOST_POSTING_CHARS:
        raise _too_long()
    return shown


def _too_long() -> InputError:
    return InputError(
        "posting_too_long",
        f"The posting is longer than {MOST_POSTING_CHARS:,} characters.",
        "Paste the job description alone.",
        status=413,
    )


_HTML = re.compile(
    r"<(?:html|body|div|p|ul|ol|li|br|h[1-6]|span|table|td|section|article|style|script)\b[^>]*>", re.IGNORECASE
)
_UNSEEN_CSS = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d]*[1-9])|opacity\s*:\s*0(?![.\d]*[1-9])|"
    r"color\s*:\s*(?:white|transparent|#fff(?:fff)?)\b|text-indent\s*:\s*-\d{3,}|(?:left|top)\s*:\s*-\d{3,}",
    re.IGNORECASE,
)
_UNSEEN_TAGS = ("script", "style", "noscript", "template", "head", "svg", "iframe", "object", "nav", "footer", "form")


def _html_text(markup: str) -> str:
    """Markup as lines: items begin with a dash, headings with #; what a browser would not show is dropped."""
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(_BLOCK.sub(_on_lines, markup))
    for node in tree.css(", ".join((*_UNSEEN_TAGS, "[hidden]", "[aria-hidden=true]"))):
        node.decompose()
    for node in tree.css("[style]"):
        if _UNSEEN_CSS.search(node.attributes.get("style") or ""):
            node.decompose()
    body = tree.body
    return re.sub(r"[ \t]*\n[ \t]*", "\n", body.text()) if body else ""


_BLOCK = re.compile(
    r"<(?P<close>/?)(?P<tag>p|div|ul|ol|li|tr|section|article|br|h[1-6]|dd|dt|blockquote|main|table)\b[^<>]*>",
    re.IGNORECASE,
)


def _on_lines(tag: re.Match[str]) -> str:
    """A block begins and ends on a line of its own; items and headings get the mark that plain text has."""
    name = tag["tag"].lower()
    mark = "- " if name == "li" else f"{'#' * int(name[1])} " if name[0] == "h" else ""
    return f"\n{tag[0]}{'' if tag['close'] else mark}"


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
        if line.kind not in _ASKED_KINDS or is_gate_alone(line.text):
            continue
        quote = _quote(line.text)
        words = tuple(token.fold for token in tokens(quote))
        if len("".join(words)) >= 2 and words not in found:
            found[words] = (line, _ask(line.kind, quote))
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


def _gates(lines: Iterable[Line]) -> list[str]:
    found: dict[str, None] = {}
    for line in lines:
        if line.kind == "dropped" or not any(said.search(line.text) for said in patterns("gates").values()):
            continue
        if line.kind in _ASKED_KINDS or pattern("lines", "weighty").search(line.text) or is_gate_alone(line.text):
            found.setdefault(_shown(_quote(line.text))[:200], None)
    return list(found)[:8]


_YEARS = re.compile(
    r"(\d{1,2})\s*(?:\+|\s*[-–to]+\s*\d{1,2}\+?)?\s*(?:or more |plus )?(?:years?|yrs?|jahre?n?|ans|années)\b",
    re.IGNORECASE,
)
LEVEL_FAMILIAR, LEVEL_USUAL, LEVEL_EXPERT = 2.5, 4.0, 4.5
SENIOR_YEARS = 8


def asked_years(shown: str) -> float:
    """The years that a line asks for, the lower bound of a range; 0 where it names none."""
    match = _YEARS.search(shown)
    return float(match[1]) if match else 0.0


def asked_level(shown: str, years: float) -> float:
    """The level, 0–5, at which a row fully answers the line's wording."""
    if pattern("lines", "familiar").search(shown) and not pattern("lines", "expert").search(shown):
        return LEVEL_FAMILIAR
    return LEVEL_EXPERT if pattern("lines", "expert").search(shown) or years >= SENIOR_YEARS else LEVEL_USUAL


# ---------------------------------------------------------------- is it a posting at all?


def _problem(posting: str, asks: tuple[Ask, ...]) -> Literal["", "too_short", "not_a_posting", "too_few_requirements"]:
    if len(text.words(posting)) < FEWEST_WORDS:
        return "too_short"
    if sum(bool(said.search(posting)) for said in patterns("posting").values()) < FEWEST_POSTING_WORDS or not asks:
        return "not_a_posting"
    return "too_few_requirements" if len(asks) < FEWEST_REQUIREMENTS else ""


# ---------------------------------------------------------------- emphasis

SECTION_WEIGHT = {"must": 1.0, "responsibility": 0.7, "preferred": 0.4}
PROSE_FACTOR = 0.6  # a sentence of a paragraph tells the context of the tasks that are listed
UNHEADED_FACTOR = 0.8  # no heading says what the line is
TITLE_FACTOR = 1.3
SOFT_FACTOR = 0.3
REPEAT_FACTOR = 0.15  # of the logarithm of how many lines speak of the same thing
MOST_REPEATS = 8  # beyond which repetition is stuffing
MUST_CUE_FACTOR = 1.25
_SHARE = re.compile(r"\b(\d{1,3}) ?%(?! travel)")  # "40% of your time"
USUAL_SHARE = 20.0  # percent: a line with this share weighs as one without


def _weighed(asks: list[tuple[Line, Ask]], lines: Iterable[Line], title: str) -> tuple[Ask, ...]:
    """Give each ask its share of the posting's weight; the weightiest first, ids in that order."""
    named = {line.text: line_terms(line.text) for line, _ in asks}
    said = [
        line_terms(line.text)
        for line in lines
        if line.kind not in ("dropped", "about") and not is_keyword_list(line.text)
    ]
    counts = Counter(theme for terms in said for theme in {theme_of(term) for term in terms})
    title_themes = {theme_of(term) for term in line_terms(title) if not term.domain.common}
    weighed = []
    for line, ask in asks:
        terms = named[line.text]
        soft = bool(terms) and all(term.domain.soft for term in terms)
        themes = {theme_of(term) for term in terms if not term.domain.common}
        repeats = min(MOST_REPEATS, max((1, *(counts[theme] for theme in themes))))
        weight = SECTION_WEIGHT[ask.kind] * (1 + REPEAT_FACTOR * math.log(repeats))
        weight *= 1.0 if line.under and line.is_item else PROSE_FACTOR if line.under else UNHEADED_FACTOR
        weight *= (TITLE_FACTOR if themes & title_themes else 1) * (SOFT_FACTOR if soft else 1)
        factor, source = _stated(ask.text)
        source = source or ("structural" if line.under else "estimated")
        weighed.append((weight * factor, replace(ask, soft=soft, emphasis_from=source)))
    return _shared(weighed)


def with_added(posting: Posting, added: Iterable[tuple[Kind, str]]) -> Posting:
    """The posting with asks that its reader missed: each takes a usual share of its kind, the rest give way."""
    asks = list(posting.asks)
    for at, (kind, quote) in enumerate(added, start=1):
        usual = [ask.emphasis for ask in posting.asks if ask.kind == kind] or [1 / (len(posting.asks) + 1)]
        share = min(usual) * UNHEADED_FACTOR
        asks.append(replace(_ask(kind, quote), id=f"a{at}", emphasis=share))
    shares = _millionths([ask.emphasis for ask in asks])
    return replace(posting, asks=tuple(replace(ask, emphasis=share) for ask, share in zip(asks, shares, strict=True)))


def _stated(shown: str) -> tuple[float, EmphasisFrom | None]:
    """(factor, "stated") where the line itself says how much it weighs."""
    share = _SHARE.search(shown)
    if share and 5 <= int(share[1]) <= 100 and re.search(r"time|role|focus|zeit|temps", shown, re.IGNORECASE):
        return min(4.0, int(share[1]) / USUAL_SHARE), "stated"
    return (MUST_CUE_FACTOR, "stated") if pattern("lines", "weighty").search(shown) else (1.0, None)


def _shared(weighed: list[tuple[float, Ask]]) -> tuple[Ask, ...]:
    """Weights as shares that sum to 1, to the last digit that is printed."""
    top = sorted(weighed, key=lambda pair: -pair[0])[:MOST_REQUIREMENTS]
    shares = _millionths([weight for weight, _ in top])
    return tuple(
        replace(ask, id=f"r{at}", emphasis=share)
        for at, ((_, ask), share) in enumerate(zip(top, shares, strict=True), start=1)
    )


def _millionths(weights: list[float]) -> list[float]:
    """Shares of six digits that sum to 1: what rounding leaves over goes to the first."""
    total = sum(weights)
    shares = [round(weight / total * 1_000_000) for weight in weights]
    return [(share + (1_000_000 - sum(shares) if at == 0 else 0)) / 1_000_000 for at, share in enumerate(shares)]


FEWEST_MENTIONS = 3  # of a name outside the title, until its last word alone stands for it


def _short_names(title: str, lines: Iterable[Line]) -> dict[str, Term]:
    """What a bare "platform" or "app" means in this posting: the skill of that last word that it is about."""
    said = Counter(
        (term.id, name[-1]) for line in lines if line.kind != "dropped" for name, term in _long_names(line.text)
    )
    about = {(term.id, name[-1]) for name, term in _long_names(title)}
    found = [key for key, count in said.most_common() if count >= FEWEST_MENTIONS or key in about]
    known = taxonomy()
    return {last: known.terms[term] for term, last in reversed(found) if (last,) not in known.by_name}


def _long_names(line: str) -> Iterable[tuple[Phrase, Term]]:
    found = tokens(line)
    for start, end, term in find_terms(found):
        if end - start > 1 and not term.domain.common:
            yield tuple(token.fold for token in found[start:end]), term


def line_terms(line: str) -> list[Term]:
    """The skills of the taxonomy that a line names."""
    return [term for _, _, term in find_terms(tokens(line))]


def theme_of(term: Term) -> str:
    """What repetition is counted by: a common craft by itself, all else by its kind of work."""
    return term.id if term.domain.common else term.domain.name
