"""One model's answer to one sample, measured. Knows no other model, no statistics and no file.

What decides is a share from 0 to 1, more is better; None where the sample asks nothing of the kind. The rest is told
beside it: words over the bound, waits, speed, cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from askfit.compare.emphasis import Swing, followed
from askfit.compare.verdict import Demand
from askfit.corpus import Corpus
from askfit.evals.agreement import compare
from askfit.evals.samples import AskSample, FitSample, FormSample, Sample
from askfit.evals.scorers import MOST_WORDS, Score, score_answer, score_assessment, score_form, told_in
from askfit.ledger import Signals
from askfit.routing import BUILTIN
from askfit.types import Answer, Assessment, Band, Filled, UsageOut, Verdict

GUARD = "faithfulness"
# The share of borne claims that a cheaper model may lose: a tenth is what 48 equal conversations can rule out.
GUARD_MARGIN = 0.10
BANDS: tuple[Band, ...] = ("gap", "moderate", "strong")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one model said to one sample, once. `error` says why nothing was said."""

    sample: str
    model: str
    repeat: int = 0
    shares: dict[str, float | None] = field(default_factory=dict)
    missed: tuple[str, ...] = ()  # what falls short, in words
    said: str = ""
    verdict: str = ""  # of an assessment
    words: int = 0
    excess_words: int = 0  # over what the sample, or the run, allows
    output_tokens: int = 0
    cost_usd: float = 0.0
    ttft_ms: float = 0.0
    total_ms: float = 0.0
    error: str = ""
    error_code: str = ""
    assessed: dict[str, Any] = field(default_factory=dict)  # of an assessment: what its report shows
    cites: tuple[str, ...] | None = None  # of a chat: the titles of its sources; None where that was not kept yet
    probe: bool = False  # asked to learn one thing: no answer of the feature's own, so its length tells nothing

    @property
    def tokens_per_s(self) -> float:
        """After the first token; 0 where nothing can be said of it."""
        streamed_s = (self.total_ms - self.ttft_ms) / 1000
        return self.output_tokens / streamed_s if streamed_s > 0 else 0.0


def of_answer(
    sample: AskSample, model: str, repeat: int, given: Answer, signals: Signals | None, corpus: Corpus
) -> Outcome:
    """An answer of a chat. `signals`: what the run's ledger was told of it."""
    scores = score_answer(sample, given, corpus)
    taken = (signals.retracted or 0) if signals else 0
    words = len(given.answer.split())
    shares = {
        "key points": scores["key_points"].share,
        GUARD: _borne(sample, given, scores, taken),
        "citations": scores["citations"].share,
        "length": scores["length"].share,
        "whole": float(all(notice.code != "truncated" for notice in given.notices)),
    }
    return Outcome(
        sample.id,
        model,
        repeat,
        shares,
        (*_missed(scores.values()), *_taken_told(taken)),
        given.answer,
        words=words,
        excess_words=max(0, words - (sample.max_words or MOST_WORDS)),
        output_tokens=_tokens(given.usage),
        cost_usd=given.cost_usd,
        ttft_ms=given.ttft_ms,
        total_ms=given.total_ms,
        cites=_cited(given, corpus),
    )


def _cited(given: Answer, corpus: Corpus) -> tuple[str, ...]:
    """What people call the sections that it cites, each once."""
    sections = (corpus.section(one.section) for sentence in given.sentences for one in sentence.citations)
    return tuple(dict.fromkeys(section.titled for section in sections if section))


def _borne(sample: AskSample, given: Answer, scores: dict[str, Score], taken: int) -> float:
    """The share of its sentences that the site bears: what was held back or taken back counts against it.

    Nothing of it where the site does not answer and it did, or where it said what may never be said.
    """
    if scores["must_not"].share not in (None, 1.0) or (not sample.answerable and not given.abstained):
        return 0.0
    shown = 0 if given.abstained else len(given.sentences)
    return shown / (shown + taken) if taken else 1.0


def _taken_told(taken: int) -> tuple[str, ...]:
    """Visitors do not see what was taken back, so two answers may read alike that were not: it is said."""
    if not taken:
        return ()
    said = "one sentence was taken back: the site does not bear it"
    return (said if taken == 1 else f"{taken} sentences were taken back: the site does not bear them",)


def of_assessment(sample: FitSample, model: str, repeat: int, given: Assessment, signals: Signals | None) -> Outcome:
    """An assessment of a posting."""
    scores = score_assessment(sample, given)
    pairs = compare(sample, given).pairs
    count = len(given.requirements) or 1
    overrated = sum(BANDS.index(one.model_band) > BANDS.index(one.rows_band) for one in given.disagreements)
    repairs = (signals.repairs or 0) if signals else 0
    shares = {
        "bands": sum(pair.given == pair.wanted for pair in pairs) / len(pairs) if pairs else None,
        "verdict": scores["verdict"].share,
        "gaps": scores["gaps"].share,
        GUARD: max(0.0, 1 - overrated / count),  # a band over what the rows bear is a claim that nothing bears
        "form": max(0.0, 1 - repairs / count),
    }
    said = f"{given.verdict}: {given.headline} {given.why}".strip()
    return Outcome(
        sample.id,
        model,
        repeat,
        shares,
        _missed(scores.values()),
        said,
        verdict=given.verdict,
        words=len(said.split()),
        output_tokens=_tokens(given.usage),
        cost_usd=given.cost_usd,
        ttft_ms=given.ttft_ms,
        total_ms=given.total_ms,
        assessed=_shown(given),
    )


Judged = tuple[Assessment, Signals | None]


def of_swing(sample: Swing, model: str, repeat: int, borne: Judged, unborne: Judged) -> Outcome:
    """Two assessments of one posting that stresses other things each time: did the model's own verdict follow?"""
    own = [_own_verdict(*judged) for judged in (borne, unborne)]
    share = followed(*own)
    given = (borne[0], unborne[0])
    cost_usd = sum(one.cost_usd for one in given)
    if share is None:
        why = "The model gave no verdict of its own."
        return Outcome(sample.id, model, repeat, error=why, error_code="no_own_verdict", cost_usd=cost_usd)
    return Outcome(
        sample.id,
        model,
        repeat,
        {"emphasis": share},
        () if share else ("the verdict does not rise when the posting stresses what the rows bear",),
        f"What the rows bear best as musts: {own[0]}. What they bear least as musts: {own[1]}.",
        output_tokens=sum(_tokens(one.usage) for one in given),
        cost_usd=cost_usd,
        ttft_ms=given[0].ttft_ms,
        total_ms=sum(one.total_ms for one in given),
        probe=True,
    )


def _own_verdict(given: Assessment, signals: Signals | None) -> Verdict | None:
    """Of the rules, what they show: nobody audits them."""
    if given.model == BUILTIN:
        return given.verdict
    return cast("Verdict | None", signals.own_verdict) if signals else None


def of_form(sample: FormSample, model: str, repeat: int, given: Filled, signals: Signals | None) -> Outcome:
    """A filled form. What of the model's own did not stand counts against it, though nobody was shown it."""
    scores = score_form(sample, given)
    repairs = (signals.repairs or 0) if signals else 0
    items = sum(len(block.items) for block in given.shown)
    untrue = scores["must_not"].share not in (None, 1.0)
    said = told_in(given)
    shares = {
        "named": scores["named"].share,
        "fields": scores["fields"].share,
        GUARD: 0.0 if untrue or not scores["form"].share else items / max(1, items + repairs),
        "form": scores["form"].share,
    }
    return Outcome(
        sample.id,
        model,
        repeat,
        shares,
        _missed(scores.values()),
        said,
        words=len(said.split()),
        output_tokens=_tokens(given.usage),
        cost_usd=given.cost_usd,
        ttft_ms=given.ttft_ms,
        total_ms=given.total_ms,
    )


def _shown(given: Assessment) -> dict[str, Any]:
    """What a person reads of an assessment, the heaviest requirement first: no model, no cost, no time."""
    rows = [
        {
            "band": one.band,
            "text": one.text,
            "kind": one.kind,
            "weight": round(one.emphasis, 4),
            "evidence": [f"{each.skill}, {each.place}" for each in one.evidence],
            "reason": one.reason,
        }
        for one in sorted(given.requirements, key=lambda one: -one.emphasis)
    ]
    return {
        "verdict": given.verdict,
        "score": given.score,
        "headline": given.headline,
        "why": given.why,
        "requirements": rows,
        "misfits": [one.text for one in given.misfits],
        "gates": [f"{one.text} ({one.status})" for one in given.gates],
        "questions": list(given.questions_to_ask),
    }


def _missed(scores: Iterable[Score]) -> tuple[str, ...]:
    return tuple(words for score in scores for words in score.missed)


def _tokens(usage: UsageOut) -> int:
    return usage.output_tokens


def demands(samples: Sequence[Sample], delta: float) -> tuple[Demand, ...]:
    """What decides over these samples: each gain that some sample can show, and the guard."""
    wanted = {
        "key points": any(isinstance(one, AskSample) and one.key_points for one in samples),
        "bands": any(isinstance(one, FitSample) and one.bands for one in samples),
        "verdict": any(isinstance(one, FitSample) and one.verdict for one in samples),
        "gaps": any(isinstance(one, FitSample) and one.must_name_gaps for one in samples),
        "emphasis": any(isinstance(one, Swing) for one in samples),
        "named": any(isinstance(one, FormSample) and one.must_name for one in samples),
        "fields": any(isinstance(one, FormSample) and one.fields for one in samples),
    }
    gains = [Demand(name, delta) for name, there in wanted.items() if there]
    return (*gains, Demand(GUARD, GUARD_MARGIN, guard=True))


def conversation_of(sample: Sample) -> str:
    """What samples of one conversation have in common: its first question; of an assessment its posting."""
    if not isinstance(sample, AskSample):
        return sample.posting
    return sample.history[0].question if sample.history else sample.question


def stability(outcomes: Sequence[Outcome]) -> float | None:
    """How often an assessment's repeats give its commonest verdict; None where nothing was asked twice."""
    verdicts: dict[str, list[str]] = {}
    for one in outcomes:
        if one.verdict:
            verdicts.setdefault(one.sample, []).append(one.verdict)
    repeated = [given for given in verdicts.values() if len(given) > 1]
    if not repeated:
        return None
    return sum(max(map(given.count, given)) / len(given) for given in repeated) / len(repeated)
