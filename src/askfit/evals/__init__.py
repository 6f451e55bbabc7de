"""Golden samples as a gate: the owner's own questions and postings, asked again on every change.

    samples = read_samples(Path("golden/ask.yaml"), "chat")
    report = await evaluate(settings, "ask", samples)
    report.ok(floor=1.0)

samples   what is asked and what a good answer holds: YAML or JSONL
scorers   one answer or assessment against its sample: what falls short, in words
agreement how far bands and verdicts agree with what they should be, in figures
tape      a paid run's answers on file, and their replay through the same code
running   one run: a site of its own, its own ledger, its own bound on money
"""

from __future__ import annotations

from askfit.evals.agreement import Agreement
from askfit.evals.running import Report, Result, evaluate
from askfit.evals.samples import AskSample, FitSample, FormSample, default_samples, read_samples
from askfit.evals.tape import Tape

__all__ = [
    "Agreement",
    "AskSample",
    "FitSample",
    "FormSample",
    "Report",
    "Result",
    "Tape",
    "default_samples",
    "evaluate",
    "read_samples",
]
