"""Does a model's own verdict follow what a posting stresses?"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from askfit.compare import Journal, compare
from askfit.compare.emphasis import Swing, followed, swing, swings
from askfit.compare.report import as_html, sums, unmeasured
from askfit.config import Settings, load_settings
from askfit.evals import read_samples
from askfit.evals.samples import Sample
from askfit.fit.judgement import Audit
from askfit.skills import Matrix, load_matrix
from askfit.types import Verdict
from conftest import ROOT


@pytest.fixture
def gold(tmp_path: Path) -> Settings:
    """The engineer of the gold set, copied."""
    shutil.copytree(ROOT / "examples" / "gold" / "engineer", tmp_path / "gold")
    return load_settings(tmp_path / "gold" / "askfit.toml", {})


@pytest.fixture
def matrix(gold: Settings) -> Matrix:
    return load_matrix(gold)


def postings(settings: Settings) -> tuple[Sample, ...]:
    return read_samples(settings.root / "fit.yaml", "assessment")


def test_a_posting_is_written_twice_with_the_same_requirements_and_other_musts(gold: Settings, matrix: Matrix) -> None:
    """Every line stands in both; what is a must in one is a wish in the other; gates stay."""
    found = swings(postings(gold), matrix)
    assert len(found) >= 8
    for one in found:
        borne, unborne = (Audit.read(matrix, text) for text in (one.borne, one.unborne))
        quotes = [{finding.ask.quote for finding in audit.findings.values()} for audit in (borne, unborne)]
        assert quotes[0] == quotes[1]
        assert borne.posting.gates == unborne.posting.gates
        musts = [{x.ask.quote for x in audit.findings.values() if x.ask.kind == "must"} for audit in (borne, unborne)]
        assert not musts[0] & musts[1] and all(musts), one.id


def test_a_posting_whose_verdict_would_not_move_asks_nothing(gold: Settings, matrix: Matrix) -> None:
    """Where rows bear all of it, or nothing, no emphasis changes the verdict: such a posting proves nothing."""
    left = {sample.id for sample in postings(gold) if not isinstance(sample, Swing)} - {
        one.id.removesuffix(", stressed otherwise") for one in swings(postings(gold), matrix)
    }
    assert any("senior-backend-engineer" in id_ for id_ in left), "all of it is borne"
    assert any("machine-learning" in id_ for id_ in left), "little of it is borne"
    assert any("fennimore" in id_ for id_ in left), "too thin"


@pytest.mark.parametrize(
    ("borne", "unborne", "share"),
    [
        ("strong", "moderate", 1.0),
        ("moderate", "moderate", 0.0),
        ("stretch", "moderate", 0.0),
        (None, "moderate", None),
        ("insufficient_information", "misfit", None),
    ],
)
def test_only_a_verdict_that_rises_follows(borne: Verdict | None, unborne: Verdict | None, share: float | None) -> None:
    """Standing still is as little as falling; where there is no verdict there is no share."""
    assert followed(borne, unborne) == share


async def test_who_counts_words_or_flatters_does_not_follow(gold: Settings, matrix: Matrix, tmp_path: Path) -> None:
    """The audit rights what visitors see; such a model's own verdict stands still, and the rules' moves."""
    asked = swings(postings(gold), matrix)[:6]
    journal = tmp_path / "journal.jsonl"
    models = ("builtin", "scripted:lazy", "scripted:flattering")
    found = await compare(gold, "fit", models, asked, journal=Journal(journal), to_the_end=True)
    told = {one.model: one for one in sums(found)}
    shares = {model: one.shares["emphasis"] for model, one in told.items()}
    assert shares == {"builtin:builtin": 1.0, "scripted:lazy": 0.0, "scripted:flattering": 0.0}
    assert all(one.said == 0 for one in told.values()), "they are no answers of the feature's own"
    page = as_html(found, asked)
    assert "What the rows bear best as musts: strong. What they bear least as musts: strong." in page
    again = await compare(gold, "fit", models, asked, journal=Journal(journal, resume=True), to_the_end=True)
    assert again.resumed == 3 * len(asked) and sums(again) == sums(found)


async def test_a_model_that_weighs_by_emphasis_follows_more_often(gold: Settings, matrix: Matrix) -> None:
    """A judge whose own total weighs by emphasis beats one that counts words, in this metric."""
    asked = swings(postings(gold), matrix)
    found = await compare(gold, "fit", ("scripted:lazy", "scripted:faithful"), asked, to_the_end=True)
    lazy, faithful = (one.shares["emphasis"] or 0.0 for one in sums(found))
    assert faithful >= lazy + 0.5


async def test_what_was_not_asked_is_said(gold: Settings, matrix: Matrix) -> None:
    """A comparison of assessments tells that emphasis was not looked at, unless it was."""
    one = next(sample for sample in postings(gold) if isinstance(swing(sample, matrix), Swing))  # type: ignore[arg-type]
    plain = await compare(gold, "fit", ("builtin", "scripted:lazy"), (one,))
    both = await compare(gold, "fit", ("builtin", "scripted:lazy"), (one, *swings((one,), matrix)))
    assert any("--emphasis" in line for line in unmeasured(plain))
    assert not any("--emphasis" in line for line in unmeasured(both))
    assert both.pairs[0].test.conversations == 1, "a posting and its two other readings are one conversation"
