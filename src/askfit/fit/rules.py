"""The built-in assessor: bands, score, verdict and plain words, by rules and the same every time. Calls no model.

It also holds what the rows alone say, by which a model's judgement is audited.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from askfit.fit.gates import failing_languages
from askfit.fit.match import Answer, Facet, Index, Match, Relation, answer, facet_worth
from askfit.fit.posting import LEVEL_EXPERT, LEVEL_USUAL, Ask, Posting
from askfit.fit.spans import named_spans
from askfit.fit.terms import Term
from askfit.fit.wording import pattern
from askfit.types import Band, Evidence, Gate, Misfit, Skill, Verdict

STRONG, MODERATE = 0.8, 0.51  # credit from which a band is reached; half of what is asked is a gap
CREDIT_OF: dict[Band, float] = {"strong": 0.9, "moderate": 0.65, "gap": 0.2}  # where a model chose another band
VERDICTS: tuple[Verdict, ...] = ("misfit", "stretch", "moderate", "strong")
VERDICT_FROM: tuple[tuple[int, Verdict], ...] = (  # set on the golden postings and our own gold, 2026-11-21
    (72, "strong"),
    (50, "moderate"),  # half of what the posting stresses is borne
    (42, "stretch"),
    (0, "misfit"),
)
STRONG_MUST_COVERAGE = 0.8
MOST_NAMED = 4  # of what no row answers, in a reason
ROUNDING = 2e-6  # by which shares of equal weight differ, since they sum to 1 to the last digit
TOP_REQUIREMENTS = 3  # none of which may be a gap in a strong fit
PRIOR, PRIOR_REQUIREMENTS = 50, 1.5  # a posting of few requirements says little: its score is drawn to the middle
CAP_BASE, CAP_PER_COVERAGE = 40, 60  # no score above 40 + 60 · the share of musts that is not a gap


@dataclass(frozen=True, slots=True)
class Finding:
    """One requirement judged by the rows."""

    ask: Ask
    answer: Answer
    band: Band
    evidence: tuple[Evidence, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Rating:
    score: int
    verdict: Verdict
    held: bool = False  # a ceiling lowered it


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The highest score that a posting can reach with these rows, whatever else they bear, and why."""

    score: int = 100
    because: str = ""  # half a sentence, without a stop; "" where nothing holds it


OPEN = Ceiling()


def judge(posting: Posting, index: Index) -> tuple[Finding, ...]:
    """Every requirement against the rows, in the posting's order of weight."""
    return tuple(_judge(ask, index, posting.short_names) for ask in posting.asks)


def evidence_of(skill: Skill, relation: Relation) -> Evidence:
    """A row as an assessment cites it."""
    return Evidence(
        skill=skill.name,
        row=skill.row,
        level=skill.level,
        relation=relation,
        sheet=skill.sheet,
        sheet_row=skill.sheet_row,
    )


def _judge(ask: Ask, index: Index, short_names: Mapping[str, Term]) -> Finding:
    given = answer(ask, index, short_names)
    band = _band(given)
    evidence = tuple(evidence_of(match.skill, match.relation) for match in given.matches)
    return Finding(ask, given, band, evidence, _reason(ask, given, band))


def _band(given: Answer) -> Band:
    if given.credit >= STRONG and given.direct:
        return "strong"
    return "moderate" if given.credit >= MODERATE else "gap"


def _reason(ask: Ask, given: Answer, band: Band) -> str:
    """One or two plain sentences: which rows, at which level, and what no row says."""
    if not given.matches:
        named = unanswered(ask, given)
        return f"Not in the matrix: {_listed(named)}." if named else "Not in the matrix."
    objects = [match for match in given.matches if match.skill.row in given.objects]
    crafts = [match for match in given.matches if match.skill.row not in given.objects]
    if band != "strong" and given.objects and crafts:
        said = f"{_rows(objects)} of 5; {_rows(crafts[:1])} alone does not cover it."
    else:
        near = "" if any(match.relation != "adjacent" for match in given.matches) else "Near, not the same: "
        asked = f", where about {ask.level:g} is asked" if _too_low(ask, given) else ""
        said = f"{near}{_rows(given.matches)} of 5{asked}."
    missing = unanswered(ask, given) if band != "strong" else []
    return f"{said} Not in the matrix: {_listed(missing)}." if missing else said


def _rows(matches: Sequence[Match]) -> str:
    return _listed(f"{match.skill.name} at {match.skill.level:g}" for match in matches[:3])


def _too_low(ask: Ask, given: Answer) -> bool:
    return max(match.level for match in given.matches) < ask.level


def names_in(ask: Ask) -> list[str]:
    """What a requirement asks for by its words alone, in their order."""
    return list(dict.fromkeys(ask.text[start:end] for start, end in named_spans(ask.text)))[:MOST_NAMED]


def unanswered(ask: Ask, given: Answer) -> list[str]:
    """What the requirement names and no row answers, as it has it; of alternatives only where none is answered."""
    if not given.matches:
        return names_in(ask)
    answered = {facet.group for facet in given.facets if facet.group and facet.matches}
    return list(
        dict.fromkeys(facet.label for facet in given.facets if not facet.matches and facet.group not in answered)
    )[:MOST_NAMED]


# ---------------------------------------------------------------- score and verdict


@dataclass(frozen=True, slots=True)
class Judged:
    """A requirement with the band that is shown and the credit it counts for, whoever judged it."""

    ask: Ask
    band: Band
    credit: float


def rate(judged: Sequence[Judged], under: Ceiling = OPEN) -> Rating:
    """Score and verdict of all requirements together, not above the ceiling."""
    weight = sum(one.ask.emphasis for one in judged)
    if not weight:
        return Rating(PRIOR, "stretch")
    mean = 100 * sum(one.ask.emphasis * one.credit for one in judged) / weight
    shrunk = (len(judged) * mean + PRIOR_REQUIREMENTS * PRIOR) / (len(judged) + PRIOR_REQUIREMENTS)
    coverage = _must_coverage(judged)
    free = round(min(shrunk, CAP_BASE + CAP_PER_COVERAGE * coverage))
    score = min(free, under.score)
    verdict: Verdict = next(name for least, name in VERDICT_FROM if score >= least)
    if verdict == "strong" and not may_be_strong(judged):
        verdict = "moderate"
    return Rating(score, verdict, held=score < free)


def may_be_strong(judged: Sequence[Judged]) -> bool:
    """Are the musts mostly borne, and is none of the weightiest requirements a gap?"""
    weights = sorted((one.ask.emphasis for one in judged), reverse=True)[:TOP_REQUIREMENTS]
    least = min(weights, default=0) - ROUNDING
    top = [one for one in judged if one.ask.emphasis >= least]  # equals of the last one too
    return _must_coverage(judged) >= STRONG_MUST_COVERAGE and all(one.band != "gap" for one in top)


def is_fragile(judged: Sequence[Judged], under: Ceiling = OPEN) -> bool:
    """Would one requirement less change the verdict?"""
    verdict = rate(judged, under).verdict
    return any(rate([*judged[:at], *judged[at + 1 :]], under).verdict != verdict for at in range(len(judged)))


def _must_coverage(judged: Sequence[Judged]) -> float:
    """The share of the musts, by weight, that is not a gap; 1 where there are none."""
    musts = [one for one in judged if one.ask.kind == "must"]
    weight = sum(one.ask.emphasis for one in musts)
    return sum(one.ask.emphasis for one in musts if one.band != "gap") / weight if weight else 1.0


# ---------------------------------------------------------------- where the weight lies


@dataclass(frozen=True, slots=True)
class Theme:
    """A kind of work: how much of the posting it is, and how the rows stand there."""

    name: str
    side: str
    share: float  # of the posting's emphasis
    credit: float  # 0–1, of what the posting asks there


@dataclass(frozen=True, slots=True)
class Gravity:
    """The posting's centre of gravity against the matrix's."""

    themes: tuple[Theme, ...]  # the weightiest first
    posting_sides: dict[str, float]  # "platform", "application" → share of emphasis
    matrix_sides: dict[str, tuple[int, float]]  # side → (rows, level that its ten best rows reach on average)


def gravity(findings: Sequence[Finding], index: Index) -> Gravity:
    """What the posting stresses and where the matrix is strong."""
    share: defaultdict[str, float] = defaultdict(float)
    credit: defaultdict[str, float] = defaultdict(float)
    side_of: dict[str, str] = {}
    for finding in findings:
        specific = [facet for facet in finding.answer.facets if facet.domain and not facet.common]
        for facet in specific:
            part = finding.ask.emphasis / len(specific)
            share[facet.domain] += part
            credit[facet.domain] += part * facet_worth(facet, finding.ask)
            side_of[facet.domain] = facet.side
    themes = tuple(
        Theme(
            name,
            side_of[name],
            part,
            credit[name] / part if part else 0,
        )
        for name, part in sorted(share.items(), key=lambda item: -item[1])
    )
    sides: defaultdict[str, float] = defaultdict(float)
    for theme in themes:
        sides[theme.side] += theme.share
    return Gravity(themes, dict(sides), _matrix_sides(index))


# ---------------------------------------------------------------- what holds a score down

GATE_CEILING = VERDICT_FROM[2][0] - 1  # a language or a licence that is a must and is not there: a misfit
TRADE_CEILING = VERDICT_FROM[1][0] - 1  # a trade that is not there: a stretch at most
BORNE_TRADE = 0.65  # of a title's trade: by a row of it, or of a kind of it, one level below what is asked
_TRADE_ENDS = re.compile(r"\s*[,(:|]\s*|\s+[–—-]\s+")  # what follows is where, for whom, how


def ceiling(posting: Posting, findings: Sequence[Finding], index: Index) -> Ceiling:
    """What holds the score down: a language that plainly fails, a licence or a title whose trade the rows do not bear.

    It hangs on the posting and on how far rows reach, never on how many there are: a row more never lowers it, but for
    the first language that a matrix lists.
    """
    failing = [*failing_languages(posting.gates, index), *_unborne_licences(posting, index)]
    if failing:
        return Ceiling(GATE_CEILING, "; ".join(failing))
    trade = _unborne_trade(posting, findings, index)
    return Ceiling(TRADE_CEILING, trade) if trade else OPEN


def _unborne_licences(posting: Posting, index: Index) -> Iterable[str]:
    """Licences to work in a trade that no row bears: who has one works in it, and would have a row."""
    for gate in posting.gates:
        if not pattern("spoken", "licence").search(gate):
            continue
        facets = [facet for facet in _named_in(gate, posting, index) if facet.domain and not facet.common]
        if facets and all(facet_worth(facet, _asking(gate)) < MODERATE for facet in facets):
            yield f"“{_short(gate)}” is a must, and no row shows work in that trade"


def _asking(line: str) -> Ask:
    """A title or a gate as something asked; of a senior or a lead, more."""
    above = any(pattern("seniority", rank).search(line) for rank in ("senior", "lead", "principal"))
    level = LEVEL_EXPERT if above else LEVEL_USUAL
    return Ask("", line, line, "must", 0.0, "structural", level)


def _named_in(line: str, posting: Posting, index: Index) -> tuple[Facet, ...]:
    return answer(_asking(line), index, posting.short_names).facets


def _unborne_trade(posting: Posting, findings: Sequence[Finding], index: Index) -> str:
    """What the title names as its trade and no row bears; else "".

    It is what the posting's heaviest kind of work is of, or what stands before the title's first comma: "Editor, Maps"
    asks for an editor. A craft in the title that the rows bear well (a product manager's, whatever the product) is a
    trade of its own.
    """
    asked, named = _asking(posting.title), _trades_in(posting.title, posting, index)
    if any(facet.common and facet_worth(facet, asked) >= STRONG for facet in named):
        return ""
    themes = {theme.name: theme for theme in gravity(findings, index).themes}
    heaviest = next(iter(themes), "")
    own = _unborne([facet for facet in named if not facet.common and facet.domain == heaviest], asked, MODERATE)
    if not own:
        first = _TRADE_ENDS.split(posting.title.strip(), maxsplit=1)[0]
        own = _unborne(_trades_in(first, posting, index), asked, BORNE_TRADE)
    own = [facet for facet in own if _is_asked(facet, themes)]
    if not own:
        return ""
    levels = [match.skill.level for facet in own for match in facet.matches if match.nearness == 1]
    stands = f"the matrix has it at {max(levels):g} of 5" if levels else "the matrix does not have it"
    return f"the title asks for {_listed(dict.fromkeys(facet.label for facet in own))}, and {stands}"


def _is_asked(facet: Facet, themes: Mapping[str, Theme]) -> bool:
    """Is a name in the title what somebody is to be, and its kind of work not borne well under other names?"""
    theme = themes.get(facet.domain)
    if theme and theme.credit >= STRONG_THEME:
        return False
    telling = theme is not None and (theme.share >= TELLING_SHARE or theme.name == next(iter(themes)))
    return facet.trade or telling


def _trades_in(title: str, posting: Posting, index: Index) -> list[Facet]:
    return [facet for facet in _named_in(title, posting, index) if facet.domain and not facet.soft]


def _unborne(facets: list[Facet], asked: Ask, least: float) -> list[Facet]:
    """The trades that a title names, where none is borne; of crafts beside a specific one, none."""
    if any(facet_worth(facet, asked) >= least for facet in facets):
        return []
    return [facet for facet in facets if not facet.common] or facets


BEST_ROWS = 10


def _matrix_sides(index: Index) -> dict[str, tuple[int, float]]:
    levels: dict[str, list[float]] = defaultdict(list)
    for skill, _ in index.words:
        for side in {term.domain.side for term in index.terms_of[skill.row]} - {""}:
            levels[side].append(skill.level)
    return {
        side: (len(found), sum(sorted(found)[-BEST_ROWS:]) / min(BEST_ROWS, len(found)))
        for side, found in levels.items()
    }


# ---------------------------------------------------------------- plain words

VERDICT_WORDS: dict[Verdict, str] = {
    "strong": "Strong fit",
    "moderate": "Moderate fit",
    "stretch": "A stretch",
    "misfit": "Not a fit",
    "insufficient_information": "Not enough to judge",
}
WEAK_THEME, STRONG_THEME = 0.5, 0.75  # credit under and over which a theme is named as weak or strong
TELLING_SHARE = 0.12  # of the posting's emphasis, from which a theme is worth a word
SIDE_WORDS = {"platform": "platform and infrastructure", "application": "application and consumer"}


def headline(verdict: Verdict, where: Gravity, findings: Sequence[Finding], held: str = "") -> str:
    """The verdict and the one thing that decides it; `held`: why the score is held down, where it is."""
    word = VERDICT_WORDS[verdict]
    if held:
        return f"{word}: {held}."
    top = where.themes[0] if where.themes and where.themes[0].share >= TELLING_SHARE else None
    if top is None:
        return f"{word}: {_tally(findings)}."
    weighs = f"the posting weighs {top.name} most ({_percent(top.share)} of its emphasis)"
    if top.credit < WEAK_THEME:
        strength = _strength(where)
        return f"{word}: {weighs}, where the matrix {_stands(top, findings)}{'; ' + strength if strength else ''}."
    if top.credit >= STRONG_THEME:
        weak = next(
            (theme for theme in where.themes[1:] if theme.share >= TELLING_SHARE and theme.credit < WEAK_THEME), None
        )
        rest = f", but not on {weak.name} ({_percent(weak.share)})" if weak else ""
        return f"{word}: {weighs}, and the matrix covers it{rest}."
    return f"{word}: {weighs}, which the matrix covers in part."


def why(is_fragile: bool, where: Gravity, findings: Sequence[Finding], held: str = "") -> str:
    """What the posting stresses, where the matrix's weight lies, what that means."""
    said = [_lean(where), _borne(findings), _themes_said(where), f"By requirement: {_tally(findings)}."]
    if held:
        said.insert(0, f"{_upper_first(held)}. That outweighs the rest.")
    musts = [finding for finding in findings if is_must_gap(finding)]
    if musts:
        said.append(f"Of the musts {len(musts)} {'is' if len(musts) == 1 else 'are'} not covered by the matrix.")
    if is_fragile:
        said.append("The verdict is close: one requirement more or less would change it.")
    return " ".join(part for part in said if part)


def is_must_gap(finding: Finding) -> bool:
    """A must that the rows do not bear; traits that every posting names do not count."""
    return finding.ask.kind == "must" and finding.band == "gap" and not finding.ask.soft


def _lean(where: Gravity) -> str:
    posting = {side: where.posting_sides.get(side, 0.0) for side in SIDE_WORDS}
    heavy = max(posting, key=lambda side: posting[side])
    if posting[heavy] < TELLING_SHARE:
        return ""
    light = next(side for side in SIDE_WORDS if side != heavy)
    said = (
        f"The posting leans to {SIDE_WORDS[heavy]} work ({_percent(posting[heavy])} of its emphasis, "
        f"{_percent(posting[light])} is {SIDE_WORDS[light]} work)."
    )
    best = {side: where.matrix_sides.get(side, (0, 0.0)) for side in SIDE_WORDS}
    strongest = max(SIDE_WORDS, key=lambda side: best[side][1])
    if not best[strongest][0]:
        return said
    stands = _listed(
        f"about {found[1]:.1f} on the {side} side"
        for side in sorted(SIDE_WORDS, key=lambda side: side != strongest)
        if (found := best[side])
    )
    return f"{said} The matrix's ten best rows stand at {stands}."


def _themes_said(where: Gravity) -> str:
    telling = [theme for theme in where.themes if theme.share >= TELLING_SHARE / 2]
    weak = [theme.name for theme in telling if theme.credit < WEAK_THEME][:3]
    return f"Hardly covered: {', '.join(weak)}." if weak else ""


MOST_BORNE = 5


def _borne(findings: Sequence[Finding]) -> str:
    """What the rows bear, in the posting's own words, the weightiest first."""
    named = (
        (finding.ask, next((facet for facet in finding.answer.facets if facet.matches and not facet.soft), None))
        for finding in findings
        if finding.band == "strong"
    )
    labels = _spelled((ask, facet) for ask, facet in named if facet)[:MOST_BORNE]
    return f"Well covered: {_listed(labels)}." if labels else ""


def _strength(where: Gravity) -> str:
    """The side on which the matrix is strong, where it is not the posting's."""
    posting = max(SIDE_WORDS, key=lambda side: where.posting_sides.get(side, 0.0))
    if where.posting_sides.get(posting, 0.0) < TELLING_SHARE:
        return ""
    other = next(side for side in SIDE_WORDS if side != posting)
    here, there = (where.matrix_sides.get(side, (0, 0.0))[1] for side in (posting, other))
    return f"its strength is on the {other} side" if there >= here + 1 else ""


def _stands(theme: Theme, findings: Sequence[Finding]) -> str:
    levels = [
        match.skill.level
        for finding in findings
        for facet in finding.answer.facets
        if facet.domain == theme.name
        for match in facet.matches
    ]
    if not levels:
        return "says nothing"
    low, high = min(levels), max(levels)
    return f"stands at level {low:g}" if low == high else f"stands at level {low:g} to {high:g}"


def _tally(findings: Sequence[Finding]) -> str:
    counts = Counter(finding.band for finding in findings)
    return f"{counts['strong']} strong, {counts['moderate']} moderate, {counts['gap']} not covered"


MOST_MISFITS = 5


def misfits(findings: Sequence[Finding], because: str = "") -> tuple[Misfit, ...]:
    """What holds the verdict down, if anything; then the gaps that weigh, those of one kind of work together, each
    tied to its requirements.
    """
    held = (Misfit(text=f"{_upper_first(because)}."),) if because else ()
    gaps = [finding for finding in findings if finding.band == "gap" and not finding.ask.soft]
    grouped: dict[str, list[Finding]] = defaultdict(list)
    for finding in gaps:
        grouped[_weak_domain(finding) or finding.ask.id].append(finding)
    heaviest = sorted(grouped.items(), key=lambda item: -sum(finding.ask.emphasis for finding in item[1]))
    grouped_gaps = tuple(
        Misfit(text=_misfit(name, found), requirement_ids=tuple(finding.ask.id for finding in found))
        for name, found in heaviest[: MOST_MISFITS - len(held)]
    )
    return (*held, *grouped_gaps)


def _weak_domain(finding: Finding) -> str:
    weak = [
        facet
        for facet in finding.answer.facets
        if facet.domain and not facet.common and facet_worth(facet, finding.ask) < MODERATE
    ]
    return weak[0].domain if weak else ""


MOST_LABELS = 5
LONGEST_ACRONYM = 5  # what is longer and in capitals is shouted


def _misfit(name: str, found: Sequence[Finding]) -> str:
    share = _percent(sum(finding.ask.emphasis for finding in found))
    if name == found[0].ask.id:
        return f"“{_short(found[0].ask.text)}” ({share} of the emphasis): {_lower_first(found[0].reason)}"
    facets = [(finding.ask, facet) for finding in found for facet in finding.answer.facets if facet.domain == name]
    labels = _spelled(facets)[:MOST_LABELS]
    levels = [match.skill.level for _, facet in facets for match in facet.matches]
    stands = f"its rows there stand at {_range(levels)} of 5" if levels else "the matrix has no row for it"
    return f"{_upper_first(name)} ({share} of the emphasis): the posting asks for {_listed(labels)}; {stands}."


def _spelled(named: Iterable[tuple[Ask, Facet]]) -> list[str]:
    """What is named, each once, as the posting spells it; a capital that only begins a line is none."""
    found: dict[str, str] = {}
    for ask, facet in named:
        label = facet.label
        is_first = ask.text.startswith(label) and label[1:] == label[1:].casefold()
        if (label.isupper() and len(label) > LONGEST_ACRONYM) or is_first:
            found.setdefault(label.casefold(), label.casefold())
        elif label != label.casefold() or label not in found:
            found[label.casefold()] = label
    return list(found.values())


def put_back(findings: Sequence[Finding]) -> Misfit:
    """Musts that the rows do not bear and a model passed over."""
    named = "; ".join(f"“{_short(finding.ask.text)}”" for finding in findings[:4])
    more = f" and {len(findings) - 4} more" if len(findings) > 4 else ""
    return Misfit(
        text=f"Asked as a must and not covered by the rows: {named}{more}.",
        requirement_ids=tuple(finding.ask.id for finding in findings),
    )


FEWEST_QUESTIONS, MOST_QUESTIONS = 2, 5


def questions(findings: Sequence[Finding], gates: Sequence[Gate]) -> tuple[str, ...]:
    """What an interviewer should ask: the weightiest gaps first, then gates that nothing settles."""
    gaps: dict[str, Finding] = {}  # one of a kind of work: the weightiest
    for finding in findings:
        if finding.band == "gap" and not finding.ask.soft:
            gaps.setdefault(_weak_domain(finding) or finding.ask.id, finding)
    asked = [_gap_question(finding) for finding in list(gaps.values())[:3]]
    asked += [
        f"The posting asks: “{_short(gate.text)}”. Does that hold?" for gate in gates if gate.status == "unknown"
    ][:2]
    rest = [finding for finding in findings if finding.band != "gap" and finding.evidence]
    asked += [
        f"What is the best example of {finding.evidence[0].skill} at work, and what was its result?"
        for finding in sorted(rest, key=lambda finding: finding.band == "strong")
    ][: max(0, FEWEST_QUESTIONS - len(asked))]
    return tuple(dict.fromkeys(asked))[:MOST_QUESTIONS]


def _gap_question(finding: Finding) -> str:
    what = _short(finding.ask.text)
    if finding.evidence:
        row = finding.evidence[0]
        return (
            f"“{what}”: {row.skill} stands at {row.level:g} of 5. What has been done there so far, and with whose help?"
        )
    return f"“{what}” is not in the matrix. What comes closest to it?"


# ---------------------------------------------------------------- small words


def _listed(items: Iterable[str]) -> str:
    """a, b and c."""
    found = list(items)
    return " and ".join([", ".join(found[:-1]), found[-1]]) if len(found) > 1 else "".join(found)


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"


def _range(levels: Sequence[float]) -> str:
    low, high = min(levels), max(levels)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


SHORT_CHARS = 90


def _short(shown: str) -> str:
    return shown if len(shown) <= SHORT_CHARS else shown[: shown.rfind(" ", 0, SHORT_CHARS)].rstrip(" ,;:") + " …"


def _upper_first(word: str) -> str:
    return word[:1].upper() + word[1:]


def _lower_first(word: str) -> str:
    return word[:1].lower() + word[1:]
