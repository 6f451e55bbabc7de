"""Golden samples as a gate: what counts as right, exit codes, recordings, and a bound on money."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from askfit import answer, open_site
from askfit.config import Settings
from askfit.errors import UsageError
from askfit.evals import AskSample, FitSample, default_samples, evaluate, read_samples
from askfit.evals.scorers import Score, score_answer, score_assessment
from askfit.evals.scorers import says as said_in
from askfit.fit import assess, showing
from askfit.providers.scripted import ScriptedServer
from askfit.types import CitationOut

MakeSite = Callable[..., Settings]
SAMPLES = [
    {"id": "tea", "question": "Where did Ann learn to roast tea?", "key_points": ["Nagoya"], "answerable": True},
    {"id": "year", "question": "When did she open the tea house?", "key_points": [2014], "answerable": True},
    {"id": "pilot", "question": "Does she hold a pilot licence?", "must_not": ["Cessna"], "answerable": False},
]
ABOUT = "# Ann\n\nAnn learned to roast tea in Nagoya. She opened the tea house in Porto in 2014.\n"


@pytest.fixture
def site(make_site: MakeSite) -> Settings:
    """A site of two facts, and three samples about it."""
    return make_site({"content/about.md": ABOUT, "golden/ask.yaml": json.dumps(SAMPLES)})


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


def askfit(*args: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC", "OPENAI", "ASKFIT"))}
    return subprocess.run(
        [sys.executable, "-m", "askfit", *args],
        cwd=cwd,
        env=kept | {"NO_COLOR": "1", "COLUMNS": "120"} | environ,
        capture_output=True,
        text=True,
        timeout=60,
    )


def keyed(server: ScriptedServer) -> dict[str, str]:
    return {"ANTHROPIC_API_KEY": "x", "ANTHROPIC_BASE_URL": server.url}


def calls(server: ScriptedServer) -> int:
    return sum(seen.path == "/v1/messages" for seen in server.requests)


# ---------------------------------------------------------------- the gate


def test_the_exit_code_is_0_where_all_are_right_and_1_where_one_falls_short(site: Settings) -> None:
    """The table names the sample that falls short and why; a floor lets so many pass."""
    right = askfit("eval", "ask", cwd=site.root)
    assert (right.returncode, "3 of 3 right" in right.stdout) == (0, True), right.stdout + right.stderr
    wrong = [*SAMPLES, {"id": "capital", "question": "Where did Ann learn to roast tea?", "key_points": ["Osaka"]}]
    wrong[-1]["answerable"] = True
    (site.root / "more.yaml").write_text(json.dumps(wrong), encoding="utf-8")
    short = askfit("eval", "ask", "--samples", "more.yaml", cwd=site.root)
    assert short.returncode == 1
    assert "“Osaka” is not said" in short.stdout and "Falls short" in short.stdout
    told = askfit("eval", "ask", "--samples", "more.yaml", "--floor", "0.75", "--json", cwd=site.root)
    report = json.loads(told.stdout)
    assert (told.returncode, report["ok"], report["right"], report["samples"]) == (0, True, 3, 4)
    assert report["scores"]["key_points"] == {"right": 2, "of": 3}


def test_what_may_never_be_said_is_not_averaged_away(site: Settings) -> None:
    """One forbidden word fails the gate under any floor."""
    forbidden = [*SAMPLES, SAMPLES[0] | {"id": "never", "must_not": ["roast tea"]}]
    (site.root / "never.yaml").write_text(json.dumps(forbidden), encoding="utf-8")
    done = askfit("eval", "ask", "--samples", "never.yaml", "--floor", "0", cwd=site.root)
    assert done.returncode == 1
    assert "“roast tea” is said" in done.stdout


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("eval", "asks"), "Known: ask"),
        (("eval", "ask", "--samples", "none.yaml"), "none.yaml cannot be read"),
        (("eval", "ask", "--model", "anthropic:nonesuch"), "Unknown model"),
        (("eval", "ask", "--model", "anthropic:claude-haiku-4-5"), "ANTHROPIC_API_KEY"),
        (("eval", "ask", "--replay", "none.jsonl"), "none.jsonl cannot be read"),
        (("eval", "ask", "--record", "no/such/folder.jsonl"), "cannot be written"),
        (("eval", "ask", "--record", "askfit.toml"), "no recorded answer"),
        (("eval", "ask", "--floor", "95"), "--floor"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_2(args: tuple[str, ...], says: str, site: Settings) -> None:
    """A wrong feature, file, model or option is told before anything is asked, with the next step."""
    done = askfit(*args, cwd=site.root)
    assert done.returncode == 2
    assert says in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_a_site_without_samples_is_told_where_they_belong(make_site: MakeSite) -> None:
    """The first `askfit eval ask` of a new site says what to write."""
    done = askfit("eval", "ask", cwd=make_site({"content/a.md": ABOUT}).root)
    assert done.returncode == 2
    assert "golden/ask.yaml" in done.stderr and "docs/golden-samples.md" in done.stderr


async def test_the_sample_sites_golden_files_hold_without_a_model(sample: Settings) -> None:
    """Forty questions and ten postings, as they ship: the built-in gives at least nine in ten, and no untruth."""
    for feature, floor in (("ask", 0.9), ("fit", 1.0)):
        samples = read_samples(default_samples(sample, feature), sample.features[feature].kind)
        report = await evaluate(sample, feature, samples)
        assert report.model == "builtin:builtin"
        assert len(report.results) == len(samples)
        assert report.ok(floor), [(one.id, one.missed) for one in report.results if not one.right]


# ---------------------------------------------------------------- what counts as right


@pytest.mark.parametrize(
    ("text", "phrase", "there"),
    [
        ("The team had 14 people.", "14", True),
        ("It began in 2014.", "14", False),
        ("It cost 14.5 million.", "14", False),
        ("It cost 5.99 a month", "5.99", True),
        ("It cost 15.99 a month", "5.99", False),
        ("A share of 22 %", "22%", True),
        ("Her  Strongest\nskill", "strongest skill", True),
        ("Mara’s team", "mara's team", True),
        ("She leads platforms", "platform", True),
        ("The start was slow", "art", False),
        ("About € 5", "€", True),
    ],
)
def test_a_key_point_is_found_as_a_reader_would_find_it(text: str, phrase: str, there: bool) -> None:
    """White space, case and typography do not matter; a number inside another number is no match."""
    assert said_in(text, phrase) is there


async def test_an_answer_is_scored_by_what_it_says_and_what_it_rests_on(site: Settings) -> None:
    """A quote that stands nowhere, no quote at all, too many words and a missing alternative each fall short."""
    sample = AskSample(
        id="a", question="Where did Ann learn to roast tea?", key_points=(("Osaka", "Nagoya"),), answerable=True
    )
    async with open_site(site) as opened:
        good = await answer(opened, sample.question)
        invented = CitationOut(document="about", section="about#ann", url="", quote="Ann invented tea.")
        sentence = good.sentences[0]
        forged = good.model_copy(update={"sentences": (sentence.model_copy(update={"citations": (invented,)}),)})
        bare = good.model_copy(update={"sentences": (sentence.model_copy(update={"citations": ()}),)})

        def scored(given: Any, **more: Any) -> dict[str, Score]:
            return score_answer(sample.model_copy(update=more), given, opened.corpus)

        assert {name: score.share for name, score in scored(good).items()} == {
            "key_points": 1.0, "must_not": None, "abstention": 1.0, "length": 1.0, "citations": 1.0
        }  # fmt: skip
        assert scored(forged)["citations"].share == 0
        assert scored(bare)["citations"].share == 0
        assert scored(good, max_words=2)["length"].share == 0
        assert scored(good, key_points=(("Osaka", "Kyoto"),))["key_points"].missed == ("“Osaka | Kyoto” is not said",)
        assert scored(good, answerable=False, key_points=())["abstention"].share == 0
        silent = good.model_copy(update={"abstained": True, "abstain_reason": "not_in_corpus", "sentences": ()})
        assert scored(silent)["abstention"].missed == ("not answered (not_in_corpus)",)
        assert scored(silent, answerable=False, key_points=())["abstention"].share == 1


async def test_an_assessment_is_scored_by_verdict_gaps_and_bands(sample: Settings) -> None:
    """Each demand that the assessment does not meet is named."""
    posting = (sample.root / "postings" / "data-platform-pm.md").read_text(encoding="utf-8")
    wanted = FitSample(
        id="x",
        posting=posting,
        verdict="strong",
        must_name_gaps=("data platform", "knitting"),
        bands={"data platform": "strong", "basket weaving": "gap"},
    )
    async with open_site(sample) as opened:
        scores = score_assessment(wanted, await assess(opened, posting))
    assert scores["verdict"].missed == ("moderate, not strong",)
    assert (scores["gaps"].share, scores["gaps"].missed) == (0.5, ("“knitting” is not named as a gap",))
    assert len(scores["bands"].missed) == 2 and "no requirement" in scores["bands"].missed[1]
    assert (scores["quotes"].share, scores["judgement"].share, scores["gates"].share) == (1, 1, None)


async def test_a_gate_that_is_not_told_falls_short(sample: Settings) -> None:
    """A sample may name what papers and places settle; each is looked for among the gates that are told."""
    posting = (sample.root / "postings" / "backend-infrastructure-engineer.md").read_text(encoding="utf-8")
    async with open_site(sample) as opened:
        found = await assess(opened, posting)
    told = tuple(gate.text for gate in found.gates)
    scores = score_assessment(FitSample(id="x", posting=posting, gates=(*told, "A pilot's licence")), found)
    assert scores["gates"].missed == ("“A pilot's licence” is not told as a gate",)
    assert scores["gates"].share == len(told) / (len(told) + 1)


# ---------------------------------------------------------------- the samples' file


def test_yaml_and_jsonl_say_the_same(tmp_path: Path) -> None:
    """Either form gives the same samples; numbers are words, a posting's file stands beside the samples."""
    (tmp_path / "a.yaml").write_text(json.dumps(SAMPLES), encoding="utf-8")
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, SAMPLES)) + "\n\n", encoding="utf-8")
    first = read_samples(tmp_path / "a.yaml", "chat")
    assert first == read_samples(tmp_path / "a.jsonl", "chat")
    assert isinstance(first[1], AskSample) and first[1].key_points == ("2014",)
    (tmp_path / "p.txt").write_text("We seek a tea taster.", encoding="utf-8")
    (tmp_path / "f.yaml").write_text("- {id: p, posting_file: p.txt, verdict: misfit}", encoding="utf-8")
    (fit,) = read_samples(tmp_path / "f.yaml", "assessment")
    assert isinstance(fit, FitSample) and fit.posting == "We seek a tea taster."


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("[]", "chat", "holds no sample"),
        ("id: a", "chat", "a list of samples"),
        ("- {id: a, question: b}", "chat", "id a: answerable"),
        ("- {id: a, question: b, answerable: true, keypoints: [c]}", "chat", "keypoints: unknown key"),
        ("- {id: a, question: b, answerable: false, key_points: [c]}", "chat", "has no key_points"),
        ("- {id: a, question: b, answerable: true}\n- {id: a, question: c, answerable: true}", "chat", "stands twice"),
        ("- {id: a, question: '', answerable: true}", "chat", "question"),
        ("- {id: a, verdict: misfit}", "assessment", "posting"),
        ("- {id: a, posting: b, verdict: maybe}", "assessment", "verdict"),
        ("- {id: a, posting_file: gone.txt}", "assessment", "gone.txt cannot be read"),
        ("- [", "chat", "samples.yaml"),
    ],
)
def test_a_sample_that_cannot_be_used_is_told_with_its_place(text: str, kind: Any, says: str, tmp_path: Path) -> None:
    """File, sample and key stand in the sentence; nothing is skipped silently."""
    path = tmp_path / "samples.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as raised:
        read_samples(path, kind)
    assert "samples.yaml" in raised.value.message and says in raised.value.message


# ---------------------------------------------------------------- models, money, recordings


async def test_a_model_that_fails_is_not_covered_by_another(site: Settings) -> None:
    """What is measured is the model that was named: its outage falls short, the built-in does not step in."""
    samples = read_samples(default_samples(site, "ask"), "chat")
    report = await evaluate(site, "ask", samples, model="scripted:server_error")
    failed = [one for one in report.results if one.error_code == "provider_overloaded"]
    assert len(failed) == len(samples) and not report.ok(0.5)


def test_a_key_that_is_refused_is_told_once_and_exit_2(site: Settings, server: ScriptedServer) -> None:
    """What only the owner can mend ends the run at the first sample."""
    done = askfit("eval", "ask", cwd=site.root, **keyed(server) | {"ANTHROPIC_API_KEY": "wrong"})
    assert (done.returncode, calls(server)) == (2, 1)
    assert "ANTHROPIC_API_KEY" in done.stderr and len(done.stderr.strip().splitlines()) == 1


async def test_a_model_that_echoes_its_context_falls_short(site: Settings) -> None:
    """The gate fails for a model that says the question back."""
    samples = read_samples(default_samples(site, "ask"), "chat")
    report = await evaluate(site, "ask", samples, model="scripted:echo")
    assert report.model == "scripted:echo"
    assert not report.ok()


async def test_a_model_that_leaves_its_judgement_to_the_rules_falls_short(sample: Settings) -> None:
    """The rules' verdict is not the model's: an echo of the prompt passes no posting that a model was asked about."""
    samples = read_samples(default_samples(sample, "fit"), "assessment")
    report = await evaluate(sample, "fit", samples, model="scripted:echo")
    asked = [one for one in report.results if one.compared and one.compared.wanted != "insufficient_information"]
    assert len(asked) == 8
    assert not any(one.right for one in asked)
    assert {words for one in asked for words in one.missed} == {showing.UNUSABLE}


def test_a_recorded_run_of_postings_is_replayed_with_the_same_figures(sample: Settings, server: ScriptedServer) -> None:
    """Verdicts, bands and their agreement of a model's run come out the same from its recording, without server."""
    bands = {"Own the vision, strategy and roadmap of our data platform": "gap"}
    posting = str(sample.root / "postings" / "data-platform-pm.md")
    (sample.root / "one.yaml").write_text(
        json.dumps([{"id": "one", "posting_file": posting, "verdict": "moderate", "bands": bands, "gates": []}]),
        encoding="utf-8",
    )
    args = ("eval", "fit", "--samples", "one.yaml", "--floor", "0", "--json")
    first = askfit(*args, "--record", "run.jsonl", cwd=sample.root, **keyed(server))
    recorded = json.loads(first.stdout)
    assert recorded["model"].startswith("anthropic:") and recorded["recorded"] == calls(server) == 1
    replayed = json.loads(askfit(*args, "--replay", "run.jsonl", cwd=sample.root).stdout)
    assert replayed["agreement"] == recorded["agreement"]
    assert (replayed["scores"], replayed["cost_usd"]) == (recorded["scores"], recorded["cost_usd"])
    assert sum(sum(row.values()) for row in recorded["agreement"]["bands"].values()) == 1


def test_a_recorded_run_is_replayed_free_with_the_same_scores(site: Settings, server: ScriptedServer) -> None:
    """Without key and without server, a recording gives the same answers, scores and costs through the same code."""
    recorded = askfit("eval", "ask", "--json", "--record", "run.jsonl", cwd=site.root, **keyed(server))
    first = json.loads(recorded.stdout)
    assert first["model"] == "anthropic:claude-haiku-4-5" and first["cost_usd"] > 0
    assert first["recorded"] == calls(server) > 0
    replayed = askfit("eval", "ask", "--json", "--replay", "run.jsonl", "--max-cost", "0", cwd=site.root)
    second = json.loads(replayed.stdout)
    assert calls(server) == first["recorded"]
    assert second["replayed"] == first["recorded"]
    for report in (first, second):
        for one in report["results"]:
            del one["total_ms"]
        del report["replayed"], report["recorded"]
    assert (second, replayed.returncode) == (first, recorded.returncode)


def test_a_recording_is_no_answer_to_a_changed_site(site: Settings, server: ScriptedServer) -> None:
    """New content, new prompt: a replay says so and fails; with --record too, only what is missing is asked."""
    askfit("eval", "ask", "--record", "run.jsonl", cwd=site.root, **keyed(server))
    before = calls(server)
    (site.root / "content" / "new.md").write_text("# New\n\nAnn keeps bees in Sintra.\n", encoding="utf-8")
    stale = askfit("eval", "ask", "--json", "--replay", "run.jsonl", cwd=site.root)
    assert stale.returncode == 1
    assert "recording_missing" in {one["error_code"] for one in json.loads(stale.stdout)["results"]}
    (site.root / "content" / "new.md").unlink()
    lines = (site.root / "run.jsonl").read_text(encoding="utf-8").splitlines()
    broken_off = "\n".join(lines[:-1]) + "\n" + lines[-1][:40]
    (site.root / "run.jsonl").write_text(broken_off, encoding="utf-8")
    again = askfit(
        "eval", "ask", "--json", "--replay", "run.jsonl", "--record", "run.jsonl", cwd=site.root, **keyed(server)
    )
    report = json.loads(again.stdout)
    assert (report["replayed"], report["recorded"]) == (before - 1, 1)
    assert calls(server) == before + 1
    whole = json.loads(askfit("eval", "ask", "--json", "--replay", "run.jsonl", cwd=site.root).stdout)
    assert whole["replayed"] == before


def test_a_run_spends_no_more_than_it_may(site: Settings, server: ScriptedServer) -> None:
    """What a call might cost is held first: with a tenth of a cent not one is made, and the report says why."""
    done = askfit("eval", "ask", "--json", "--max-cost", "0.0001", cwd=site.root, **keyed(server))
    report = json.loads(done.stdout)
    assert (done.returncode, calls(server), report["cost_usd"]) == (1, 0, 0)
    assert {one["error_code"] for one in report["results"]} == {"budget_spent"}


def test_what_is_replayed_is_not_paid_again(site: Settings, server: ScriptedServer) -> None:
    """--max-cost bounds what this run pays: a recording may have cost more."""
    whole = json.loads(askfit("eval", "ask", "--json", "--record", "run.jsonl", cwd=site.root, **keyed(server)).stdout)
    lines = (site.root / "run.jsonl").read_text(encoding="utf-8").splitlines()
    kept = [json.loads(line) for line in lines]
    for one in kept[:-1]:
        one["usage"]["output_tokens"] = 10_000_000  # fifty dollars' worth
    (site.root / "run.jsonl").write_text("\n".join(map(json.dumps, kept[:-1])) + "\n", encoding="utf-8")
    again = askfit(
        "eval", "ask", "--json", "--replay", "run.jsonl", "--record", "run.jsonl", cwd=site.root, **keyed(server)
    )
    report = json.loads(again.stdout)
    assert (report["recorded"], report["replayed"]) == (1, whole["recorded"] - 1)
    assert not any(one["error_code"] for one in report["results"])


async def test_a_run_leaves_nothing_in_the_owners_ledger(site: Settings) -> None:
    """Golden questions are no visitors': neither usage nor the gap inbox hears of them."""
    await evaluate(site, "ask", read_samples(default_samples(site, "ask"), "chat"))
    async with open_site(site) as opened:
        assert await opened.ledger.usage() == ()
        assert await opened.ledger.unanswered() == ()
