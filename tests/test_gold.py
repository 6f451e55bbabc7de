"""The gold set: its labels say what they claim, what was settled is written down, and the figures are counted right."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from askfit.evals.agreement import Agreement, Compared, Pair, compare, kappa, macro_f1, nearest, spearman
from askfit.evals.samples import FitSample, read_samples
from askfit.fit import assess
from askfit.site import open_site
from askfit.skills import read_matrix
from test_evals import askfit

ROOT = Path(__file__).parents[1]
GOLD = ROOT / "examples" / "gold"
MATRICES = ("engineer", "product", "analyst")
BANDS = {"strong", "moderate", "gap"}
VERDICTS = {"strong", "moderate", "stretch", "misfit", "insufficient_information"}


def read(matrix: str, name: str) -> Any:
    return yaml.safe_load((GOLD / matrix / f"{name}.yaml").read_text(encoding="utf-8"))


# ---------------------------------------------------------------- the files


@pytest.mark.parametrize("matrix", MATRICES)
def test_every_label_has_its_place(matrix: str) -> None:
    """Twenty postings each; quotes stand in them word for word; both passes label every requirement, nothing else."""
    asked, first, second = (read(matrix, name) for name in ("requirements", "labels_a", "labels_b"))
    files = sorted(path.name for path in (GOLD / matrix / "postings").iterdir())
    assert [Path(one["posting"]).name for one in asked] == files and len(files) == 20
    for one, by_a, by_b in zip(asked, first, second, strict=True):
        text = (GOLD / matrix / one["posting"]).read_text(encoding="utf-8")
        quotes = [each["quote"] for each in one["requirements"]]
        assert [quote for quote in (*quotes, *one["gates"]) if quote not in text] == []
        assert len(set(quotes)) == len(quotes)
        for label in (by_a, by_b):
            assert (label["posting"], list(label["bands"])) == (
                one["posting"],
                [each["id"] for each in one["requirements"]],
            )
            assert set(label["bands"].values()) <= BANDS and label["verdict"] in VERDICTS


@pytest.mark.parametrize("matrix", MATRICES)
def test_where_the_passes_differ_the_settlement_is_written_down(matrix: str) -> None:
    """Each difference is settled once, for one of the two, with a reason; nothing else is."""
    differ = {
        (by_a["posting"], id_, band, by_b["bands"][id_])
        for by_a, by_b in zip(read(matrix, "labels_a"), read(matrix, "labels_b"), strict=True)
        for id_, band in by_a["bands"].items()
        if band != by_b["bands"][id_]
    }
    settled = read(matrix, "settled")["settled"]
    assert {(one["posting"], one["id"], one["a"], one["b"]) for one in settled} == differ
    assert len(settled) == len(differ)
    assert all(one["band"] in (one["a"], one["b"]) and len(one["because"].split()) >= 8 for one in settled)


@pytest.mark.parametrize("matrix", MATRICES)
def test_the_samples_are_what_both_say_and_what_was_settled(matrix: str) -> None:
    """fit.yaml, which `askfit eval fit` reads, holds the labels and nothing of its own."""
    settled = {(one["posting"], one["id"]): one["band"] for one in read(matrix, "settled")["settled"]}
    samples = read_samples(GOLD / matrix / "fit.yaml", "assessment")
    labels = zip(samples, read(matrix, "requirements"), read(matrix, "labels_a"), strict=True)
    for sample, asked, by_a in labels:
        assert isinstance(sample, FitSample)
        name = asked["posting"]
        bands = {
            one["quote"]: settled.get((name, one["id"]), by_a["bands"][one["id"]]) for one in asked["requirements"]
        }
        assert (sample.posting_file, sample.verdict) == (name, by_a["verdict"])
        assert (sample.bands, list(sample.gates)) == (bands, asked["gates"])


@pytest.mark.parametrize("matrix", MATRICES)
def test_the_matrices_are_read_without_a_fault(matrix: str) -> None:
    """Every row of the three matrices is a skill."""
    found = read_matrix(GOLD / matrix / "matrix.csv")
    assert found.faults == () and len(found.skills) > 80


# ---------------------------------------------------------------- counting


def test_agreement_is_counted_as_the_textbook_has_it() -> None:
    """Kappa, macro-F1 and rank correlation of small tables, worked out by hand."""
    twenty_five = [("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15
    assert kappa(twenty_five) == pytest.approx(0.4)
    assert kappa([("yes", "yes")] * 3) is None
    assert macro_f1({("a", "a"): 2, ("a", "b"): 1, ("b", "b"): 1, ("b", None): 2}, ("a", "b", "c")) == pytest.approx(
        (4 / 5 + 2 / 5) / 2
    )
    assert spearman([(1, 1), (2, 2), (3, 3)]) == pytest.approx(1)
    assert spearman([(1, 3), (2, 2), (3, 1)]) == pytest.approx(-1)
    # ranks 1.5 1.5 3 4 and 1 3 3 3: covariance 1.5 + .5 · (-1 + .5 + 1.5) = 2, spreads 4.5 and 3
    assert spearman([(1, 1), (1, 2), (2, 2), (3, 2)]) == pytest.approx(2 / (4.5 * 3) ** 0.5)
    assert spearman([(1, 2), (2, 2)]) is None


def test_a_requirement_that_was_not_read_counts_as_wrong() -> None:
    """F1 over all falls with it, F1 over those read does not; a misfit rated moderate is counted."""
    right = (Pair("a", "gap", "gap"), Pair("b", "moderate", "moderate"), Pair("c", "strong", "strong"))
    told = Agreement.of(
        [
            Compared((*right, Pair("d", "gap", None)), wanted="misfit", given="moderate", gates_found=1, gates=2),
            Compared((Pair("e", "gap", "strong"),), wanted="misfit", given="insufficient_information"),
        ]
    )
    assert (told.requirements, told.found) == (5, 4)
    assert told.f1_found == pytest.approx((2 / 3 + 1 + 2 / 3) / 3)
    assert told.f1_all == pytest.approx((1 / 2 + 1 + 2 / 3) / 3)
    assert told.within_one == pytest.approx(3 / 4)
    assert (told.misfits, told.misfits_flattered, told.ranked) == (2, 1, 1)
    assert (told.gates_found, told.gates, told.verdict_share) == (1, 2, 0)
    assert told.as_json()["bands"]["gap"] == {"gap": 1, "moderate": 0, "strong": 1, "not_read": 1}


@pytest.mark.parametrize(
    ("quote", "found"),
    [
        ("Deep experience of Kafka", 0),
        ("deep   experience of kafka.", 0),
        ("Kafka", 0),  # a phrase of it is enough
        ("You have deep experience of Kafka, and you can say why", 0),  # cut shorter by the reader
        ("Own the roadmap of the pricing page with sales and support", 1),
        ("roadmaps", 2),  # of two that have it, the one with less besides
        ("Deep knowledge of brewing", None),
        ("Four years in a company where the roadmap was somebody else's and nobody asked for it at all", None),
    ],
)
def test_a_requirement_is_known_by_most_of_its_words(quote: str, found: int | None) -> None:
    """The nearest by words, whatever case and white space; a shared word or two is not enough."""
    read_so = ("Deep experience of Kafka", "Own the roadmap of the pricing page with sales", "Roadmap tools and Kafka")
    assert nearest(quote, read_so) == found


# ---------------------------------------------------------------- through the command


@pytest.fixture
def engineer(tmp_path: Path) -> Path:
    """The engineer's matrix as a site, with every fourth posting."""
    folder = tmp_path / "engineer"
    shutil.copytree(GOLD / "engineer", folder)
    samples = yaml.safe_load((folder / "fit.yaml").read_text(encoding="utf-8"))[::4]
    (folder / "few.yaml").write_text(yaml.safe_dump(samples, allow_unicode=True), encoding="utf-8")
    return folder


def test_eval_fit_tells_how_far_bands_and_verdicts_agree(engineer: Path) -> None:
    """A table of bands wanted and given, macro-F1, verdicts; --json holds the same; too high a floor is exit 1."""
    shown = askfit("eval", "fit", "--samples", "few.yaml", cwd=engineer)
    assert shown.returncode == 1
    assert "sample's band" in shown.stdout and "not read" in shown.stdout and "macro-F1" in shown.stdout
    assert "rank correlation" in shown.stdout and "misfits rated moderate or better" in shown.stdout
    told = askfit("eval", "fit", "--samples", "few.yaml", "--floor", "0", "--json", cwd=engineer)
    report = json.loads(told.stdout)
    wanted = sum(
        len(one.get("bands", ())) for one in yaml.safe_load((engineer / "few.yaml").read_text(encoding="utf-8"))
    )
    agreement = report["agreement"]
    assert told.returncode == 0
    assert agreement["requirements"] == wanted == sum(sum(row.values()) for row in agreement["bands"].values())
    assert 0 < agreement["macro_f1"] <= agreement["macro_f1_of_those_read"] <= 1


async def test_a_sample_beside_its_own_assessment_agrees_wholly(sample: Any) -> None:
    """Where the sample has what the assessment says, every band is read and right."""
    text = (sample.root / "postings" / "data-platform-pm.md").read_text(encoding="utf-8")
    async with open_site(sample) as site:
        found = await assess(site, text)
    own = FitSample(
        id="own", posting=text, verdict=found.verdict, bands={one.quote: one.band for one in found.requirements}
    )
    told = Agreement.of([compare(own, found)])
    assert (told.f1_all, told.within_one, told.verdict_share) == (1, 1, 1)
    assert told.found == told.requirements == len(found.requirements)


def test_the_benchmark_prints_agreement_and_every_matrix(tmp_path: Path) -> None:
    """`benchmarks/gold.py` runs as it ships, prints kappa and a row for each matrix, and lists what went wrong."""
    bench = [sys.executable, str(ROOT / "benchmarks" / "gold.py"), str(tmp_path), "--only", "01-", "--show", "band"]
    done = subprocess.run(bench, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == ("\nMISSED: " in done.stdout), done.stderr
    assert "bands: kappa 0.94, 25 of 681 differ" in done.stdout
    assert all(f"\n{name} " in done.stdout for name in (*MATRICES, "all"))
    assert "\nband " in done.stdout
