"""Does a judgement follow what a posting stresses? The same requirements twice, with other ones as musts.

Code reads the emphasis and adds the bands up, so what a visitor sees moves by itself. What is compared here is the
verdict that the model itself gave, before the audit.
"""

from __future__ import annotations

from collections.abc import Sequence

from askfit.evals.samples import FitSample, Sample
from askfit.fit import rules
from askfit.fit.judgement import Audit
from askfit.skills import Matrix
from askfit.types import Verdict

LEAST_SHIFT = 15  # points of the rules' own score between the two: a smaller move proves nothing
FEWEST_MOVED = 2  # requirements on either side
MUSTS, WISHES = "Requirements", "Nice to have"


class Swing(FitSample):
    """A posting written twice. `posting` is what the two are made of."""

    borne: str  # with what the rows bear best as musts
    unborne: str  # with what they bear least as musts


def swings(samples: Sequence[Sample], matrix: Matrix) -> tuple[Swing, ...]:
    """Those postings that can be written twice so that the rules' verdict follows; the others prove nothing."""
    found = (swing(sample, matrix) for sample in samples if isinstance(sample, FitSample))
    return tuple(one for one in found if one)


def swing(sample: FitSample, matrix: Matrix) -> Swing | None:
    """The posting twice; None where the rules' verdict, or their score by LEAST_SHIFT, does not follow."""
    audit = Audit.read(matrix, sample.posting)
    findings = sorted(audit.findings.values(), key=lambda one: -one.answer.worth)
    half = len(findings) // 2
    if half < FEWEST_MOVED:
        return None
    best, rest = findings[:half], findings[half:]
    borne, unborne = (_written(audit, musts, wishes) for musts, wishes in ((best, rest), (rest, best)))
    audits = [Audit.read(matrix, text) for text in (borne, unborne)]
    if not all(one.findings for one in audits):
        return None
    high, low = (one.rated_by_rows for one in audits)
    if high.score - low.score < LEAST_SHIFT or not followed(high.verdict, low.verdict):
        return None
    return Swing(id=f"{sample.id}, stressed otherwise", posting=sample.posting, borne=borne, unborne=unborne)


def _written(audit: Audit, musts: Sequence[rules.Finding], wishes: Sequence[rules.Finding]) -> str:
    """A posting with its own title, lines and gates, in an order that tells nothing of what the rows bear."""

    def lines(findings: Sequence[rules.Finding]) -> list[str]:
        return sorted(f"- {finding.ask.text}" for finding in findings)

    gates = [f"- {line}" for line in audit.posting.gates]
    parts = [audit.posting.title, "", MUSTS, *lines(musts), *gates, "", WISHES, *lines(wishes)]
    return "\n".join(parts) + "\n"


def followed(borne: Verdict | None, unborne: Verdict | None) -> float | None:
    """1 where the verdict rose with the emphasis, 0 where it stood still or fell; None where one is missing."""
    if borne not in rules.VERDICTS or unborne not in rules.VERDICTS:
        return None
    return float(rules.VERDICTS.index(borne) > rules.VERDICTS.index(unborne))
