"""One assessment while it is shown: what was streamed, what is sure of it, what the visitor has seen.

A requirement that was shown is never shown otherwise: it is audited before it goes out, and the final assessment is
built of the same objects. Knows nothing of where the text comes from.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace

from askfit.errors import ProviderError
from askfit.fit import rules
from askfit.fit.claims import Claims, outdoes, speaks_of, totals
from askfit.fit.judgement import Audit, Audited, Draft, Given, audited_verdict, read_draft, written
from askfit.prompts import load_prompt
from askfit.text import words
from askfit.types import (
    NANOS_PER_USD,
    Assessment,
    Band,
    Event,
    Misfit,
    Notice,
    Opened,
    Requirement,
    Settled,
    Start,
    Summary,
    Text,
    Usage,
    UsageOut,
    Verdict,
)

BUILTIN = "builtin:builtin"
HEADLINE_STEP_CHARS = 24  # a growing headline is shown again after so many more characters
MOST_MISFITS = 8
MOST_TOLD_CHARS = 80  # of a quote that is told to be wrong
FEWEST_QUESTIONS, MOST_QUESTIONS = 2, 5
FAULTS_TO_REPAIR = 2  # rows or words that do not exist: one may be a slip and is dropped
REPAIR_WITHIN_MS = 60_000.0  # of an assessment: a model that took longer is not asked once more

NO_MODEL = "Assessed by rules over words and levels; no AI model read the posting."
INSTRUCTIONS = "The posting holds instructions to an AI. They were left out and not followed."
CONTESTED = "The model's verdict was {given}; the rows of the matrix support {shown}, which is shown."
REPAIRED = "The model left out {count} of {total} requirements; the rules judged them."
MENDED = "The model named rows or words that do not exist. Asked once more, it judged {done} of {count} anew."
NOT_MENDED = "The model named rows or words that do not exist. The rules judged {count} of {total} requirements."
HANDED_OFF = "The model's answer broke off after {done} of {total} requirements; the rules judged the rest."
TRUNCATED = "The model's answer broke off in its summary; the rules finished it."
UNUSABLE = "The model gave no usable judgement, so the rules judged the posting."
PROBLEMS = {
    "too_short": "Not enough to judge: the text is too short for a job description.",
    "not_a_posting": "Not enough to judge: this does not read like a job posting.",
    "too_few_requirements": "Not enough to judge: the posting names too few requirements.",
}
NO_POSTING = ("too_short", "not_a_posting")
ASK_THERE = "This reads like a question. Questions are answered at {path}."
MOST_QUESTION_WORDS, MOST_QUESTION_CHARS = 120, 4_000
_ASKS = re.compile(
    r"\W*(?:who|whose|what|when|where|why|how|which|is|are|was|were|do|does|did|can|could|has|have|had|will|would|should"
    r"|tell me|describe|wer|was|wann|wo|wie|warum|welche\w*|kann|hat|ist|qui|quand|où|comment|pourquoi|quel\w*|est-ce"
    r"|qué|quién|cuándo|dónde|cómo|cuál\w*)\b",
    re.IGNORECASE,
)
WHY_INSUFFICIENT = (
    "A fit is judged against what a posting asks: its tasks, its requirements and which of them weigh most. Paste the "
    "whole job description."
)


@dataclass(slots=True)
class Showing:
    """Takes what a judge streams, gives the events that it makes sure, and in the end the assessment."""

    audit: Audit
    answer: str
    feature: str
    begun: float = field(default_factory=time.perf_counter)
    model: str = ""
    streamed: str = ""
    shown: dict[str, Audited] = field(default_factory=dict)  # by requirement id
    judged: int = 0  # of those shown, how many the judge gave
    contested: int = 0  # of those judged, how many stand in another band than it gave
    notices: list[Notice] = field(default_factory=list)
    summary: Summary | None = None
    settled: Settled | None = None
    ttft_ms: float = 0.0
    is_added_settled: bool = False
    claims: Claims | None = None  # what a model's words are held against; the rules' need no check
    faults: dict[str, str] = field(default_factory=dict)  # what a model named that does not exist, as it is told
    held: dict[str, Given] = field(default_factory=dict)  # not shown yet: they name rows that do not exist
    mended: int = -1  # of those it was asked about once more; -1: it was not asked
    _checked: dict[str, str] = field(default_factory=dict)

    # ------------------------------------------------------------ while it streams

    def take(self, item: Notice | Opened | Text | Settled) -> Iterator[Event]:
        """The events that one item of the gateway's stream makes sure."""
        if isinstance(item, Notice):
            yield from self._tell(item.code, item.message)
        elif isinstance(item, Opened):
            yield from self._start(item.model)
        elif isinstance(item, Text):
            self.streamed += item.text
            yield from self._advance(read_draft(self.streamed))
        else:
            self.settled = item

    def _start(self, model: str) -> Iterator[Event]:
        self.model, self.ttft_ms = model, self._elapsed_ms()
        waiting, self.notices = self.notices, []
        self.claims = None if model == BUILTIN else self.claims or self.read_claims()
        yield Start(answer=self.answer, feature=self.feature, model=model, provider=_provider(model))
        for notice in waiting:
            yield from self._tell(notice.code, notice.message)
        if model == BUILTIN:
            yield from self._tell("builtin", NO_MODEL)
        if self.audit.posting.instructions:
            yield from self._tell("instructions_ignored", INSTRUCTIONS)

    def read_claims(self) -> Claims:
        """What a model's words will be held against: some milliseconds of pure computing."""
        return Claims.of(self.audit.matrix, self.audit.posting, load_prompt("fit").text)

    def _tell(self, code: str, message: str) -> Iterator[Event]:
        """Once per code; before Start it waits."""
        if not any(notice.code == code for notice in self.notices):
            self.notices.append(Notice(code=code, message=message))
            if self.model:
                yield self.notices[-1]

    def _advance(self, draft: Draft) -> Iterator[Event]:
        if "requirements" in draft.reached and not self.is_added_settled:
            yield from self._settle_added(draft)
        for given in draft.requirements:
            yield from self._show_given(given)
        if self._all_shown:
            yield from self._summarise(draft)

    def _settle_added(self, draft: Draft) -> Iterator[Event]:
        """What the judge added takes part from here on: later it would change shares that were shown."""
        self.is_added_settled = True
        for at, given in enumerate(self.audit.unquoted(draft.added)):
            self.faults[f"added {at}"] = f"added: “{given.quote[:MOST_TOLD_CHARS]}” does not stand in the posting."
        self.audit, added = self.audit.with_added(draft.added)
        for given in added:
            yield from self._show_given(given)

    def _show_given(self, given: Given) -> Iterator[Event]:
        """What is sound goes out; what names rows that do not exist waits for the judgement's end."""
        if given.id in self.shown or given.id in self.held:
            return
        if given.id not in self.audit.findings:
            self.faults[given.id] = f"There is no requirement “{given.id}”."
        elif unknown := self.audit.unknown_rows(given):
            self.held[given.id] = given
            self.faults[given.id] = f"{given.id}: the matrix has no row {', '.join(map(str, unknown))}."
        else:
            yield self._show_judged(given)

    def _show_judged(self, given: Given) -> Requirement:
        audited = self.audit.judge(given, self.claims)
        self.judged += 1
        self.contested += audited.requirement.band != given.band
        return self._show(audited)

    def _show(self, audited: Audited) -> Requirement:
        self.shown[audited.requirement.id] = audited
        return audited.requirement

    @property
    def _all_shown(self) -> bool:
        return len(self.shown) == len(self.audit.findings)

    def _summarise(self, draft: Draft) -> Iterator[Event]:
        """The headline as it grows, once the verdict is sure."""
        if "verdict" not in draft.settled:
            return
        verdict, contested = self._verdict(draft)
        headline = self._headline(verdict) if contested else self._growing(draft)
        grown = Summary(headline=headline, verdict=verdict, misfits=self._known(draft.misfits))
        before = self.summary or Summary(headline="")
        longer = len(headline) >= len(before.headline) + HEADLINE_STEP_CHARS
        if headline and (longer or len(grown.misfits) > len(before.misfits)):
            self.summary = grown
            yield grown

    def _growing(self, draft: Draft) -> str:
        """The headline as far as it is borne; its last word may not be whole yet."""
        said = draft.headline if "headline" in draft.settled else draft.headline.rpartition(" ")[0]
        return self._own_headline(said, draft.verdict)

    # ------------------------------------------------------------ when it has ended

    def end(self, failure: ProviderError | None) -> Iterator[Event]:
        """The judge has said what it says: what was held back for a single slip is shown without it."""
        yield from self._advance(read_draft(self.streamed))
        if len(self.faults) < FAULTS_TO_REPAIR:
            for given in list(self.held.values()):
                del self.held[given.id]
                yield self._show_judged(given)

    @property
    def left_out(self) -> int:
        """How many requirements the judge has not judged as asked."""
        return len(self.audit.findings) - self.judged

    @property
    def own_verdict(self) -> Verdict | None:
        """What the judge concluded, whether it is shown or not; None where it came to no conclusion."""
        draft = read_draft(self.streamed)
        return draft.verdict if "verdict" in draft.settled else None

    def to_repair(self, failure: ProviderError | None) -> tuple[str, ...]:
        """The requirements that are worth one more call: those that wait, where the judge came to its end."""
        whole = failure is None and "requirements" in read_draft(self.streamed).settled
        if not whole or len(self.faults) < FAULTS_TO_REPAIR or self._elapsed_ms() > REPAIR_WITHIN_MS:
            return ()
        return tuple(id_ for id_ in self.audit.findings if id_ not in self.shown)

    def mend(self, said: str) -> Iterator[Event]:
        """Show what the judge gave when it was asked once more, as far as it is sound now."""
        self.mended = 0
        for given in read_draft(said).requirements:
            known = given.id in self.audit.findings and given.id not in self.shown
            if known and not self.audit.unknown_rows(given):
                self.mended += 1
                yield self._show_judged(given)

    def add(self, settled: Settled) -> None:
        """What a second call came to."""
        first = self.settled or replace(settled, usage=Usage(), cost_nanos=0)
        self.settled = replace(
            first, usage=first.usage + settled.usage, cost_nanos=first.cost_nanos + settled.cost_nanos
        )

    def finish(self, failure: ProviderError | None) -> Iterator[Event]:
        """What is still undone by the rules, what went wrong as notices, and the assessment."""
        draft = read_draft(self.streamed)
        yield from self._advance(draft)
        missing = [id_ for id_ in self.audit.findings if id_ not in self.shown]
        for id_ in missing:
            yield self._show(self.audit.by_rules(id_))
        yield from self._tell_undone(draft, len(missing), failure)
        assessment = self._assessment(draft)
        if contested := self._contested(draft, assessment.verdict):
            yield from self._tell("contested", contested)
            assessment = assessment.model_copy(update={"notices": tuple(self.notices)})
        last = Summary(headline=assessment.headline, verdict=assessment.verdict, misfits=assessment.misfits)
        if last != self.summary:
            yield last
        yield assessment

    def _tell_undone(self, draft: Draft, missing: int, failure: ProviderError | None) -> Iterator[Event]:
        total = len(self.audit.findings)
        if self.model == BUILTIN:
            return
        if not self.judged:
            self.model = BUILTIN
            yield from self._tell("fell_back", UNUSABLE)
        elif failure or "requirements" not in draft.settled:
            yield from self._tell("handed_off", HANDED_OFF.format(done=self.judged, total=total))
        elif len(self.faults) >= FAULTS_TO_REPAIR and (missing or self.mended > 0):
            yield from self._tell("repaired", self._mended(missing, total))
        elif missing:
            yield from self._tell("repaired", REPAIRED.format(count=missing, total=total))
        elif not draft.settled >= {"headline", "why"}:
            yield from self._tell("truncated", TRUNCATED)

    def _mended(self, missing: int, total: int) -> str:
        done, left = max(0, self.mended), NOT_MENDED.format(count=missing, total=total)
        if not done:
            return left
        return MENDED.format(done=done, count=done + missing) + (" The rules judged the rest." if missing else "")

    def _contested(self, draft: Draft, shown: Verdict) -> str:
        given, contested = draft.verdict, self._verdict(draft)[1]
        return CONTESTED.format(given=given, shown=shown) if contested else ""

    def _verdict(self, draft: Draft) -> tuple[Verdict, bool]:
        """(the verdict shown, whether the judge's was set aside)."""
        given = draft.verdict if self.judged and "verdict" in draft.settled else None
        return audited_verdict(
            given,
            self.audit.rated_by_rows.verdict,
            self._rated.verdict,
            may_be_strong=rules.may_be_strong([audited.judged for audited in self.shown.values()]),
            may_rise=not self.audit.posting.instructions,
        )

    @property
    def _rated(self) -> rules.Rating:
        return rules.rate([audited.judged for audited in self.shown.values()], self.audit.under)

    def _assessment(self, draft: Draft) -> Assessment:
        verdict, contested = self._verdict(draft)
        own = draft.settled if self.judged and not contested else frozenset()
        shown = [self.shown[id_] for id_ in self.audit.findings]
        requirements = tuple(audited.requirement for audited in shown)
        usage = self.settled.usage if self.settled else Usage()
        gates = self.audit.gates
        return Assessment(
            id=self.answer,
            verdict=verdict,
            score=(self.audit.rated_by_rows if contested else self._rated).score,
            headline=(self._own_headline(draft.headline, verdict) if "headline" in own else "")
            or self._headline(verdict),
            why=(self._kept(draft.why) if "why" in own else "") or self._why(),
            requirements=requirements,
            strengths=_ids(requirements, "strong"),
            moderates=_ids(requirements, "moderate"),
            gaps=_ids(requirements, "gap"),
            misfits=self._misfits(draft),
            gates=gates,
            questions_to_ask=self._questions(draft),
            disagreements=tuple(audited.disagreement for audited in shown if audited.disagreement),
            notices=tuple(self.notices),
            model=self.model,
            provider=_provider(self.model),
            matrix_sha=self.audit.matrix.sha,
            posting_sha=self.audit.posting.sha,
            usage=UsageOut.of(usage),
            cost_usd=self.settled.cost_nanos / NANOS_PER_USD if self.settled else 0.0,
            ttft_ms=round(self.ttft_ms, 1),
            total_ms=round(self._elapsed_ms(), 1),
        )

    # ------------------------------------------------------------ the judge's own words

    def _kept(self, said: str) -> str:
        """What of a judge's words is borne."""
        if self.claims is None:
            return said
        if said not in self._checked:
            self._checked[said] = self.claims.kept(said, shares=self._totals())
        return self._checked[said]

    def _totals(self) -> frozenset[float]:
        """Percentages that follow from what is shown."""
        where = rules.gravity(self._findings, self.audit.index)
        themes = [theme.share for theme in where.themes] + list(where.posting_sides.values())
        return totals([audited.requirement for audited in self.shown.values()], themes) | {float(self._rated.score)}

    def _own_headline(self, said: str, verdict: Verdict | None) -> str:
        """The judge's headline, unless it says more than the verdict."""
        kept = self._kept(said)
        if verdict:  # "Moderate: …" in the words that pages know and set above it
            kept = re.sub(rf"(?i)^(?:an? )?{verdict}(?: fit)?: ", f"{rules.VERDICT_WORDS[verdict]}: ", kept)
        return "" if verdict and self.claims and outdoes(kept, verdict) else kept

    def _misfits(self, draft: Draft) -> tuple[Misfit, ...]:
        """The judge's, each tied to requirements that exist; then the rules' where it gave none; then what it hid."""
        given = (*rules.misfits((), self._because), *self._known(draft.misfits)) if self.judged else ()
        if "misfits" not in draft.settled or not self.judged:
            given = (*given, *rules.misfits(self._findings, "" if given else self._because))
        given = given[:MOST_MISFITS]
        named = {id_ for misfit in given for id_ in misfit.requirement_ids if self._speaks_of(misfit, id_)}
        hidden = [finding for finding in self._findings if rules.is_must_gap(finding) and finding.ask.id not in named]
        return (*given, *([rules.put_back(hidden)] if hidden else []))

    def _speaks_of(self, misfit: Misfit, id_: str) -> bool:
        """A misfit that only carries a requirement's id names nothing."""
        finding = self.audit.findings[id_]
        return self.claims is None or speaks_of(
            misfit.text, (finding.ask.quote, *(row.skill for row in finding.evidence))
        )

    def _known(self, misfits: Sequence[Misfit]) -> tuple[Misfit, ...]:
        known = self.audit.findings
        borne = ((self._kept(misfit.text), misfit.requirement_ids) for misfit in misfits)
        return tuple(
            Misfit(text=kept, requirement_ids=tuple(id_ for id_ in ids if id_ in known)) for kept, ids in borne if kept
        )

    def _questions(self, draft: Draft) -> tuple[str, ...]:
        given = draft.questions if self.judged else ()
        if self.claims:
            given = tuple(filter(None, map(self.claims.harmless, given)))
        own = rules.questions(self._findings, self.audit.gates) if len(given) < FEWEST_QUESTIONS else ()
        return tuple(dict.fromkeys((*given, *own)))[:MOST_QUESTIONS]

    # ------------------------------------------------------------ the rules' own words

    @property
    def _findings(self) -> tuple[rules.Finding, ...]:
        return tuple(self.audit.findings.values())

    def _headline(self, verdict: Verdict) -> str:
        return rules.headline(verdict, rules.gravity(self._findings, self.audit.index), self._findings, self._because)

    def _why(self) -> str:
        where = rules.gravity(self._findings, self.audit.index)
        judged = [audited.judged for audited in self.shown.values()] or self.audit.judged_by_rows
        fragile = rules.is_fragile(judged, self.audit.under)
        return rules.why(fragile, where, self._findings, self._because)

    @property
    def _because(self) -> str:
        """What holds the rules' verdict down; "" where nothing does."""
        return self.audit.under.because if self.audit.rated_by_rows.held else ""

    async def by_rules(self) -> AsyncIterator[str]:
        """The rules' judgement in the form that a model gives: what the built-in provider streams."""
        verdict = self.audit.rated_by_rows.verdict
        for piece in written(
            self._findings,
            verdict,
            self._headline(verdict),
            self._why(),
            rules.misfits(self._findings, self._because),
            rules.questions(self._findings, self.audit.gates),
        ):
            yield piece

    async def unjudged(self) -> AsyncIterator[str]:
        """Why a text cannot be judged: what the built-in provider streams for it."""
        yield PROBLEMS[self.audit.posting.problem]

    def insufficient(self, pasted: str = "", chat: str = "") -> Iterator[Event]:
        """For a text that cannot be judged: no judge is asked, no band is made up, a question is shown its place.

        `chat` is the path where questions are answered; "" where the site answers none.
        """
        yield from self._start(BUILTIN)
        if chat and self.audit.posting.problem in NO_POSTING and reads_as_question(pasted):
            yield from self._tell("looks_like_question", ASK_THERE.format(path=chat))
        headline = PROBLEMS[self.audit.posting.problem]
        yield Summary(headline=headline, verdict="insufficient_information")
        yield self._assessment(Draft()).model_copy(
            update={
                "verdict": "insufficient_information",
                "score": rules.PRIOR,
                "headline": headline,
                "why": WHY_INSUFFICIENT,
            }
        )

    def _elapsed_ms(self) -> float:
        return (time.perf_counter() - self.begun) * 1000


def reads_as_question(pasted: str) -> bool:
    """Is this something to be answered rather than judged?"""
    said = pasted.strip()[:MOST_QUESTION_CHARS]
    asks = said.endswith("?") or bool(_ASKS.match(said))
    return asks and len(words(pasted[: 2 * MOST_QUESTION_CHARS])) <= MOST_QUESTION_WORDS


def _provider(model: str) -> str:
    return model.partition(":")[0]


def _ids(requirements: Sequence[Requirement], band: Band) -> tuple[str, ...]:
    return tuple(requirement.id for requirement in requirements if requirement.band == band)
