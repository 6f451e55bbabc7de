"""The form in which a judgement is given, by a model or by the rules, and its audit against the rows.

A judgement is one JSON object. It is read while it streams: a requirement counts once its object is whole. Whoever
judged, code decides what is shown: rows that do not exist are dropped, "strong" needs a row that bears it, totals are
computed here. Knows nothing of networks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast, get_args

from pydantic_core import from_json

from askfit import text
from askfit.fit.claims import Claims
from askfit.fit.gates import settle_gates
from askfit.fit.match import LOWEST_STRONG_LEVEL, Index, index_rows
from askfit.fit.orders import without_orders
from askfit.fit.pasted import clean_posting
from askfit.fit.posting import MOST_QUOTE_CHARS, Ask, Kind, Posting, is_gate_alone, read_posting, with_added
from askfit.fit.rules import CREDIT_OF, OPEN, VERDICTS, Ceiling, Finding, Judged, Rating, ceiling, evidence_of, rate
from askfit.fit.rules import judge as find
from askfit.prompts import load_prompt
from askfit.skills import Matrix
from askfit.types import Band, Disagreement, Evidence, Gate, Message, Misfit, Prompt, Requirement, Verdict

MOST_ADDED = 3
FEWEST_QUOTE_WORDS = 3
MOST_ROWS = 4
MOST_REASON_CHARS = 320
MOST_HEADLINE_CHARS = 320
MOST_WHY_CHARS = 1600
MOST_MISFITS = 8
MOST_QUESTIONS = 5
TOKENS_PER_REQUIREMENT = 110  # of output, generously
TOKENS_BESIDES = 1400
TOKENS_BESIDES_REPAIR = 300

BANDS: tuple[Band, ...] = ("gap", "moderate", "strong")


# ---------------------------------------------------------------- the form


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _array(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


_STRING: dict[str, Any] = {"type": "string"}
_BAND: dict[str, Any] = {"type": "string", "enum": ["strong", "moderate", "gap"]}
_ROWS = _array({"type": "integer"})

# `added` comes first: what is added takes its share of the emphasis before any requirement is shown.
SCHEMA = _object(
    added=_array(
        _object(
            quote=_STRING,
            kind={"type": "string", "enum": ["must", "preferred", "responsibility"]},
            band=_BAND,
            rows=_ROWS,
            reason=_STRING,
        )
    ),
    requirements=_array(_object(id=_STRING, band=_BAND, rows=_ROWS, reason=_STRING)),
    verdict={"type": "string", "enum": list(get_args(Verdict))},
    headline=_STRING,
    why=_STRING,
    misfits=_array(_object(text=_STRING, requirement_ids=_array(_STRING))),
    questions_to_ask=_array(_STRING),
)


def prompt_for(matrix: Matrix, posting: Posting) -> Prompt:
    """Instructions and matrix are the same bytes for every posting; what varies is the last message."""
    file = load_prompt("fit")
    return Prompt(
        instructions=file.text,
        prefix=matrix_text(matrix),
        messages=(Message("user", _asked(posting)),),
        max_output_tokens=TOKENS_BESIDES + TOKENS_PER_REQUIREMENT * len(posting.asks),
        output_schema=SCHEMA,
        sha=file.sha,
    )


def repair_prompt(prompt: Prompt, faults: Sequence[str], ids: Sequence[str]) -> Prompt:
    """The same cached part, and in the last message what was wrong and which requirements to judge again."""
    file = load_prompt("fit_repair")
    told = file.render(faults=_fenced("\n".join(f"- {fault}" for fault in faults)), ids=", ".join(ids))
    return replace(
        prompt,
        messages=(Message("user", f"{prompt.messages[-1].text}\n\n{told}"),),
        max_output_tokens=TOKENS_BESIDES_REPAIR + TOKENS_PER_REQUIREMENT * len(ids),
        sha=file.sha,
    )


def matrix_text(matrix: Matrix) -> str:
    """The public rows as a model reads them."""
    head = "row | skill | level | category | priority | years | last used | also called | evidence"
    rows = (
        (
            str(skill.row),
            skill.name,
            f"{skill.level:g}",
            skill.category,
            skill.priority,
            "" if skill.years is None else f"{skill.years:g}",
            skill.last_used,
            "; ".join(skill.aliases),
            skill.evidence,
        )
        for skill in matrix.skills
    )
    lines = [head, *(" | ".join(cell.replace("|", "/") for cell in row).rstrip(" |") for row in rows)]
    return "<matrix>\n" + _fenced("\n".join(lines)) + "\n</matrix>"


def _asked(posting: Posting) -> str:
    listed = "\n".join(
        f"{ask.id} | {ask.emphasis:.3f} | {ask.kind} | {' '.join(ask.quote.split())}" for ask in posting.asks
    )
    return (
        f"<requirements>\nid | emphasis | kind | quote\n{_fenced(listed)}\n</requirements>\n\n"
        f"<posting>\n{_fenced(posting.text)}\n</posting>\n\nJudge the fit."
    )


def _fenced(data: str) -> str:
    """Data cannot close the block that it stands in."""
    return re.sub(r"<(?=\s*/?\s*(?:matrix|requirements|posting)\b)", "‹", data, flags=re.IGNORECASE)


# ---------------------------------------------------------------- reading while it streams


@dataclass(frozen=True, slots=True)
class Given:
    """One requirement as the judge gave it; nothing of it is trusted yet."""

    id: str
    band: Band
    rows: tuple[int, ...]
    reason: str
    quote: str = ""  # of an added one
    kind: str = "must"


@dataclass(frozen=True, slots=True)
class Draft:
    """What can be read of a judgement so far."""

    added: tuple[Given, ...] = ()
    requirements: tuple[Given, ...] = ()  # whole ones only
    verdict: Verdict | None = None
    headline: str = ""
    why: str = ""
    misfits: tuple[Misfit, ...] = ()
    questions: tuple[str, ...] = ()
    reached: frozenset[str] = frozenset()  # keys seen
    settled: frozenset[str] = frozenset()  # keys whose value will not grow any more


def read_draft(streamed: str) -> Draft:
    """Read as much of a streamed judgement as is sure. Never raises."""
    table, closed = _parse(streamed)
    last = None if closed else next(reversed(table), None)

    def items(key: str) -> list[Any]:
        found = table.get(key)
        found = found if isinstance(found, list) else []
        return found[:-1] if key == last else found  # the last item may still grow

    def line(key: str, most: int) -> str:
        return _line(table.get(key), most)

    verdict = str(table.get("verdict", "")).strip().casefold() if last != "verdict" else ""
    return Draft(
        added=tuple(_given(item) for item in items("added") if _is_item(item, "quote"))[:MOST_ADDED],
        requirements=tuple(_given(item) for item in items("requirements") if _is_item(item, "id")),
        verdict=cast(Verdict, verdict) if verdict in get_args(Verdict) else None,
        headline=line("headline", MOST_HEADLINE_CHARS),
        why=line("why", MOST_WHY_CHARS),
        misfits=tuple(_misfit(item) for item in items("misfits") if _is_item(item, "text"))[:MOST_MISFITS],
        questions=tuple(filter(None, (_line(item, MOST_REASON_CHARS) for item in items("questions_to_ask"))))[
            :MOST_QUESTIONS
        ],
        reached=frozenset(table),
        settled=frozenset(table) - ({last} if last else set()),
    )


_HALF_CHARACTER = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)


def _parse(streamed: str) -> tuple[dict[str, Any], bool]:
    """(the object as far as it goes, whether it is closed). Fences and prose around it are passed over."""
    if "\\ud" in streamed or "\\uD" in streamed:
        streamed = _HALF_CHARACTER.sub(r"\\ufffd", streamed)  # no reader of JSON takes one
    raw = streamed.encode("utf-8", "replace")
    start, end = raw.find(b"{"), raw.rfind(b"}") + 1
    if start >= 0 and end > start:
        try:
            table = from_json(raw[start:end])
            return (table, True) if isinstance(table, dict) else ({}, False)
        except ValueError:
            pass  # it is not closed yet
    try:
        table = from_json(raw[start:], allow_partial="trailing-strings") if start >= 0 else {}
    except ValueError:
        return {}, False
    return (table, False) if isinstance(table, dict) else ({}, False)


def _is_item(item: Any, key: str) -> bool:
    if not isinstance(item, dict) or not isinstance(item.get(key), str) or not item[key].strip():
        return False
    return key == "text" or _band_of(item) is not None


def _band_of(item: Mapping[str, Any]) -> Band | None:
    band = str(item.get("band", "")).strip().casefold()
    return next((known for known in BANDS if known == band), None)


def _given(item: Mapping[str, Any]) -> Given:
    return Given(
        id=_line(item.get("id"), 20),
        band=_band_of(item) or "gap",
        rows=_rows(item.get("rows")),
        reason=_line(item.get("reason"), MOST_REASON_CHARS),
        quote=item["quote"].strip() if isinstance(item.get("quote"), str) else "",
        kind=str(item.get("kind", "")),
    )


def _kind(given: str) -> Kind:
    return "must" if given == "must" else "responsibility" if given == "responsibility" else "preferred"


def _rows(value: Any) -> tuple[int, ...]:
    """Row numbers; a digit string counts as one."""
    items = value if isinstance(value, list) else []
    numbers = (int(str(item)) for item in items if re.fullmatch(r"\d{1,7}", str(item)))
    return tuple(dict.fromkeys(numbers))


def _misfit(item: Mapping[str, Any]) -> Misfit:
    ids = item.get("requirement_ids")
    return Misfit(
        text=_line(item.get("text"), MOST_REASON_CHARS),
        requirement_ids=tuple(str(one) for one in ids if isinstance(one, str)) if isinstance(ids, list) else (),
    )


def _line(value: Any, most: int) -> str:
    """A model's words as one clean, bounded line."""
    shown = " ".join(text.clean(value).split()) if isinstance(value, str) else ""
    return shown if len(shown) <= most else shown[: max(1, shown.rfind(" ", 0, most - 1))].rstrip(" ,;") + " …"


# ---------------------------------------------------------------- the built-in, in the same form


def written(
    findings: Sequence[Finding],
    verdict: Verdict,
    headline: str,
    why: str,
    misfits: Sequence[Misfit],
    questions: Sequence[str],
) -> Iterator[str]:
    """The rules' own judgement as the JSON that a model would give, piece by piece."""
    yield '{"added": [], "requirements": ['
    for at, finding in enumerate(findings):
        yield ("," if at else "") + _json(
            {
                "id": finding.ask.id,
                "band": finding.band,
                "rows": [evidence.row for evidence in finding.evidence],
                "reason": finding.reason,
            }
        )
    yield f'], "verdict": {_json(verdict)}, "headline": {_json(headline)}, "why": {_json(why)}, "misfits": '
    yield _json([misfit.model_dump() for misfit in misfits])
    yield f', "questions_to_ask": {_json(list(questions))}}}'


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


# ---------------------------------------------------------------- the audit


@dataclass(frozen=True, slots=True)
class Audited:
    """One requirement as it is shown, and what it counts for."""

    requirement: Requirement
    judged: Judged
    disagreement: Disagreement | None = None


def read_unaddressed(pasted: str) -> Posting:
    """The posting as read without what in it speaks to its judge; how much that was, `instructions` counts."""
    kept, orders = without_orders(clean_posting(pasted))
    if not orders or not text.words(kept):
        return read_posting(pasted)
    posting = read_posting(kept)
    return replace(posting, instructions=posting.instructions + orders)


@dataclass(frozen=True, slots=True)
class Audit:
    """What a judgement is audited against: the rows, the posting, and what the rules find in them."""

    matrix: Matrix
    index: Index
    posting: Posting
    findings: Mapping[str, Finding]  # by requirement id, the weightiest first
    gates: tuple[Gate, ...]
    under: Ceiling = OPEN

    @classmethod
    def read(cls, matrix: Matrix, pasted: str) -> Audit:
        """The audit of what was pasted, without what in it speaks to its judge."""
        return cls.of(matrix, read_unaddressed(pasted))

    @classmethod
    def of(cls, matrix: Matrix, posting: Posting) -> Audit:
        index = index_rows(matrix.skills)
        findings = {} if posting.problem else {finding.ask.id: finding for finding in find(posting, index)}
        under = ceiling(posting, list(findings.values()), index)
        return cls(matrix, index, posting, findings, settle_gates(posting.gates, index), under)

    def with_added(self, added: Sequence[Given]) -> tuple[Audit, tuple[Given, ...]]:
        """The audit with what a judge found besides, as far as it stands in the posting word for word."""
        found: list[Given] = []
        for given in added:
            if self._is_new(given, found):
                found.append(replace(given, id=f"a{len(found) + 1}", quote=" ".join(given.quote.split())))
        if not found:
            return self, ()
        kinds: list[tuple[Kind, str]] = [(_kind(given.kind), given.quote) for given in found]
        return Audit.of(self.matrix, with_added(self.posting, kinds)), tuple(found)

    def _is_new(self, given: Given, found: Sequence[Given]) -> bool:
        quote = " ".join(given.quote.split()).casefold()
        if len(text.words(quote)) < FEWEST_QUOTE_WORDS or len(quote) > MOST_QUOTE_CHARS:
            return False
        if not text.stands_in(given.quote, self.posting.text) or is_gate_alone(given.quote):
            return False
        known = [" ".join(ask.quote.split()).casefold() for ask in self.posting.asks]
        known += [one.quote.casefold() for one in found]
        return not any(quote in other or other in quote for other in known)

    def unquoted(self, added: Sequence[Given]) -> tuple[Given, ...]:
        """Those added requirements whose quote stands nowhere in the posting."""
        return tuple(given for given in added if not text.stands_in(given.quote, self.posting.text))

    def unknown_rows(self, given: Given) -> tuple[int, ...]:
        """The rows that a judge names and that do not exist; a private row is none that exists."""
        return tuple(number for number in given.rows if self.matrix.row(number) is None)

    def by_rules(self, id_: str) -> Audited:
        """A requirement as the rows alone have it."""
        finding = self.findings[id_]
        shown = _requirement(finding.ask, finding.band, finding.evidence, finding.reason)
        return Audited(shown, Judged(finding.ask, finding.band, finding.answer.worth))

    @property
    def judged_by_rows(self) -> list[Judged]:
        """Every requirement as the rows alone have it."""
        return [self.by_rules(id_).judged for id_ in self.findings]

    @property
    def rated_by_rows(self) -> Rating:
        """What these add up to."""
        return rate(self.judged_by_rows, self.under)

    def judge(self, given: Given, claims: Claims | None = None) -> Audited:
        """A requirement as a judge gave it, corrected by the rows; its reason by `claims`, where they are given."""
        finding = self.findings[given.id]
        apart = BANDS.index(given.band) - BANDS.index(finding.band)
        if abs(apart) > 1:
            disagreement = Disagreement(requirement=given.id, model_band=given.band, rows_band=finding.band)
            return replace(self.by_rules(given.id), disagreement=disagreement)
        evidence = self._evidence(given, finding)
        band = _bearable(given.band, evidence, finding.band)
        if band == "strong" and not any(map(_meets, evidence)):
            evidence = finding.evidence  # it stands on the rows that the rules know, not on those that were named
        if self.posting.instructions:  # whoever tells a judge what to find gains nothing by it
            band = BANDS[min(BANDS.index(band), BANDS.index(finding.band))]
        reason = _noted(self._reason(given, finding, band, evidence, claims), given.band, band)
        credit = finding.answer.worth if band == finding.band else CREDIT_OF[band]
        return Audited(
            _requirement(finding.ask, band, evidence, reason),
            Judged(finding.ask, band, credit),
        )

    def _reason(
        self, given: Given, finding: Finding, band: Band, evidence: Sequence[Evidence], claims: Claims | None
    ) -> str:
        """The judge's reason, as far as it is borne; the rules' where no row is shown: nothing is guessed."""
        if band != given.band or not evidence:
            return finding.reason
        if claims is None:
            return given.reason or finding.reason
        levels = {row.level for row in evidence} | {finding.ask.level}
        return claims.kept(given.reason, levels=levels, shares=(100 * finding.ask.emphasis,)) or finding.reason

    def _evidence(self, given: Given, finding: Finding) -> tuple[Evidence, ...]:
        """The judge's rows that exist, with the relation that the rows have; the rules' own where it gave none."""
        known = {evidence.row: evidence for evidence in finding.evidence}
        rows = [skill for number in given.rows if (skill := self.matrix.row(number))]
        chosen = tuple(known.get(skill.row) or evidence_of(skill, "adjacent") for skill in rows[:MOST_ROWS])
        return chosen or finding.evidence


def _meets(row: Evidence) -> bool:
    """Does the row bear the requirement under its very name?"""
    return row.relation != "adjacent" and row.level > LOWEST_STRONG_LEVEL


def _bearable(band: Band, evidence: Sequence[Evidence], by_rows: Band) -> Band:
    """The best band that these rows can bear, not above the one given.

    A row that is only near the requirement makes no "strong", however high it stands: rows that the rules know under
    the very name do, or the rules' own "strong".
    """
    best = max((row.level for row in evidence), default=0.0)
    meets = by_rows == "strong" or any(map(_meets, evidence))
    most: Band = (
        "gap" if best < LOWEST_STRONG_LEVEL else "strong" if meets and best > LOWEST_STRONG_LEVEL else "moderate"
    )
    return BANDS[min(BANDS.index(band), BANDS.index(most))]


def _noted(reason: str, given: Band, shown: Band) -> str:
    return reason if given == shown else f"{reason} (Judged {given}; its rows support {shown}.)"


def _requirement(ask: Ask, band: Band, evidence: Sequence[Evidence], reason: str) -> Requirement:
    return Requirement(
        id=ask.id,
        text=ask.text,
        quote=ask.quote,
        kind=ask.kind,
        emphasis=ask.emphasis,
        emphasis_from=ask.emphasis_from,
        band=band,
        evidence=tuple(evidence),
        reason=reason,
    )


def audited_verdict(
    given: Verdict | None, by_rows: Verdict, by_bands: Verdict, *, may_be_strong: bool, may_rise: bool = True
) -> tuple[Verdict, bool]:
    """(the verdict that is shown, whether the judge's was set aside).

    A judge may differ by one step from what its own audited bands add up to, and rise one step over the rows, if it may
    rise at all; but never to "strong" over a heavy gap.
    """
    if given is None or given not in VERDICTS:
        return by_bands, False
    rank = VERDICTS.index
    contested = rank(given) > rank(by_rows) + may_rise or abs(rank(given) - rank(by_bands)) > 1
    contested = contested or (given == "strong" and not may_be_strong)
    return (by_rows, True) if contested else (given, False)
