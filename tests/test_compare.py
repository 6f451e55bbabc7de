"""A comparison of models: what its verdict proves, how a run is taken up and bounded, and what is told."""

from __future__ import annotations

import asyncio
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest

from askfit import answer, open_site
from askfit.ask import Turn
from askfit.cli import main
from askfit.cli.comparing import delta_of
from askfit.compare import Comparison, Journal, Outcome, Pair, compare, running
from askfit.compare.blind import Hand, Item, Session
from askfit.compare.blind_page import judge_by_hand
from askfit.compare.journal import Picked, Why
from askfit.compare.judge import Opinion, judged, opinion_told, read_labels
from askfit.compare.judging import Judged, Scale, abstains, margin, margin_at_one_length
from askfit.compare.metrics import of_answer, stability
from askfit.compare.report import blind_told, needed_told, sentence, sums, unmeasured
from askfit.compare.running import drawn
from askfit.compare.verdict import ALPHA, Demand, Mean, Test, holm, looks
from askfit.config import Secrets, Settings
from askfit.errors import UsageError
from askfit.evals import AskSample, Tape, read_samples
from askfit.evals.samples import Sample
from askfit.ledger import Signals
from askfit.providers.scripted import Script, ScriptedServer
from askfit.types import Answered

MakeSite = Callable[..., Settings]

# ---------------------------------------------------------------- what differences prove


def seen(delta: float, differences: list[float]) -> Mean:
    mean = Mean(delta)
    for one in differences:
        mean.observe(one)
    return mean


def test_looking_after_every_sample_errs_no_more_than_it_says() -> None:
    """Where the true gain is exactly delta, at most 5 in 100 runs ever prove it above, and as few below."""
    chance, runs, wrong = random.Random(3), 400, {"above": 0, "below": 0}
    for _ in range(runs):
        # wins 30 %, losses 25 %: a mean of 0.05
        mean = seen(0.05, chance.choices([1.0, 0.0, -1.0], [30, 45, 25], k=300))
        for side in ("above", "below"):
            wrong[side] += mean.p(side) <= ALPHA
    assert max(wrong.values()) / runs <= ALPHA
    assert sum(wrong.values()) > 0, "a test that never errs at delta proves too little elsewhere"


def test_a_gain_is_proven_in_time() -> None:
    """A gain of 30 points is proven above 5 within 400 noisy samples, in nearly every run; none is proven below."""
    chance = random.Random(4)
    found = [seen(0.05, chance.choices([1.0, 0.0, -1.0], [50, 30, 20], k=400)) for _ in range(50)]
    assert sum(mean.p("above") <= ALPHA for mean in found) >= 48
    assert not any(mean.p("below") <= ALPHA for mean in found)


@pytest.mark.parametrize(("delta", "most"), [(0.05, 100), (0.1, 50), (0.2, 25)])
def test_equal_answers_soon_prove_that_nothing_is_gained(delta: float, most: int) -> None:
    """Models that never differ are told apart from a gain of delta after so many conversations, and not by magic."""
    mean, needed = Mean(delta), 0
    while mean.p("below") > ALPHA:
        mean.observe(0.0)
        needed += 1
    # even the boldest bet grows by no more than 1 / (1 − delta) a time
    assert math.log(1 / ALPHA) / -math.log(1 - delta) <= needed <= most


def test_the_order_of_the_samples_changes_nothing_but_the_moment() -> None:
    """The same differences in another order leave the same interval behind."""
    chance = random.Random(5)
    differences = chance.choices([1.0, 0.5, 0.0, -0.5], k=200)
    assert seen(0.1, differences).interval() == pytest.approx(seen(0.1, sorted(differences)).interval())


def test_an_interval_holds_the_truth_leaves_delta_with_the_verdict_and_never_grows() -> None:
    """Of 100 runs, looked at throughout, at most 5 a side ever lose the true gain; the verdict shows in the picture."""
    chance, missed = random.Random(6), [0, 0]
    for _ in range(100):
        mean, before = Mean(0.05), (-1.0, 1.0)
        decided = False
        for at in range(1, 201):
            mean.observe(chance.choices([1.0, 0.0, -1.0], [35, 50, 15])[0])
            decided = decided or mean.p("above") <= ALPHA
            if at % 10 == 0 or decided:
                low, high = mean.interval()
                assert before[0] <= low <= high <= before[1]
                before = (low, high)
                if decided:
                    assert low >= 0.05 - 0.001
                    break
        missed[0] += before[0] > 0.2
        missed[1] += before[1] < 0.2
    assert max(missed) <= 5


def test_what_lies_outside_the_bounds_is_refused() -> None:
    """A difference of shares lies in [−1, 1]; a delta inside."""
    with pytest.raises(ValueError, match="between -1 and 1"):
        Mean(0.1).observe(1.01)
    with pytest.raises(ValueError, match="between -1 and 1"):
        Mean(1.0)


def test_the_samples_still_needed_are_about_what_it_takes() -> None:
    """What is foreseen after 40 samples is what the same kind of samples then takes, within a factor of two."""
    mean, differences = Mean(0.05), [1.0, 0.0, 0.0, -1.0, 0.0, 1.0, 0.0, 1.0, -1.0, 0.0]  # a mean of 0.1
    for at in range(40):
        mean.observe(differences[at % 10])
    foreseen = mean.needed("above")
    assert foreseen and mean.needed("below") is None
    taken = 0
    while mean.p("above") > ALPHA:
        mean.observe(differences[(40 + taken) % 10])
        taken += 1
    assert foreseen / 2 <= taken <= foreseen * 2
    assert mean.needed("above") == 0
    assert seen(0.05, [0.05] * 100).needed("above") is None, "exactly at delta nothing is ever proven"


def test_very_many_samples_break_no_number() -> None:
    """Twenty thousand equal wins are still a p-value and an interval."""
    mean = seen(0.05, [1.0] * 20_000)
    assert 0 <= mean.p("above") < 1e-200 and mean.p("below") == 1.0
    assert mean.interval()[1] == 1.0


# ---------------------------------------------------------------- several metrics


def test_holm_stops_at_the_first_that_is_not_small_enough() -> None:
    """The smallest p is held against alpha over all, the next against alpha over the rest, and so on."""
    assert holm({"a": 0.01, "b": 0.04, "c": 0.02}) == ("a", "c", "b")
    assert holm({"a": 0.02, "b": 0.001, "c": 0.03}) == ("b", "a", "c")
    assert holm({"a": 0.02, "b": 0.03, "c": 0.5}) == ()


GAIN, GUARD = Demand("key points", 0.1), Demand("faithfulness", 0.1, guard=True)


def decided(current: str, gains: list[float], guards: list[float]) -> Test:
    test = Test([GAIN, GUARD], current="large" if current == "large" else "small")
    for gain, guard in zip(gains, guards, strict=True):
        test.observe({"key points": [gain], "faithfulness": [guard]})
    return test


@pytest.mark.parametrize(
    ("current", "gain", "guard", "verdict"),
    [
        ("small", 0.5, 0.0, "ESCALATE"),
        ("large", 0.5, 0.0, "KEEP"),
        ("small", 0.0, 0.0, "KEEP"),
        ("large", 0.0, 0.0, "DOWNGRADE"),
        ("large", 0.0, -0.5, "DOWNGRADE"),
        ("large", 0.0, 0.5, "KEEP"),  # the small one invents
        ("small", 0.0, 0.5, "ESCALATE"),
        ("small", 0.5, -0.5, "INCONCLUSIVE"),  # more is said, and more of it invented
    ],
)
def test_the_verdict_follows_from_what_is_proven_and_from_the_model_one_has(
    current: str, gain: float, guard: float, verdict: str
) -> None:
    """A gain or a loss of faith moves up, none of either moves down, and what one has already is kept."""
    decision = decided(current, [gain] * 60, [guard] * 60).decide()
    assert decision.verdict == verdict
    assert decision.by


def test_a_cheaper_model_is_not_chosen_before_it_is_shown_to_be_as_faithful() -> None:
    """Equal key points alone are not enough: the guard is undecided, so the verdict is, and it says why."""
    chance = random.Random(7)
    noisy = chance.choices([1.0, 0.0, -1.0], [20, 70, 10], k=60)
    test = decided("large", [0.0] * 60, noisy)
    assert test.means["key points"].p("below") <= ALPHA
    decision = test.decide()
    assert decision.verdict == "INCONCLUSIVE"
    assert "faithfulness" in decision.reason and "key points" not in decision.reason


def test_a_conversation_counts_once_however_many_turns_it_has() -> None:
    """Ten samples that hang together prove no more than their mean does."""
    one, ten = Test([GAIN]), Test([GAIN])
    for _ in range(5):
        one.observe({"key points": [1.0]})
        ten.observe({"key points": [1.0] * 10})
    assert one.means["key points"].p("above") == ten.means["key points"].p("above")


def test_intervals_are_drawn_often_at_first_and_rarely_later() -> None:
    """Ten thousand conversations are looked at about a hundred times, the last one among them."""
    found = list(looks(10_000))
    assert found[:50] == list(range(1, 51)) and found[-1] == 10_000 and len(found) < 120


# ---------------------------------------------------------------- judges


def test_a_judge_that_prefers_what_it_sees_first_has_no_preference() -> None:
    """Both orders together cancel it, and it abstains."""
    pairs = [Judged(1.0, -1.0)] * 20
    assert margin(pairs) == 0 and abstains(pairs)
    assert not abstains([Judged(1.0, 1.0)] * 20)


def test_a_liking_for_length_is_taken_out_where_lengths_overlap() -> None:
    """A judge that likes length alone has no margin at one length; where one side is always longer none can be told."""
    chance = random.Random(8)
    longer = [chance.uniform(-0.3, 0.6) for _ in range(400)]
    pairs = [Judged(float(by > 0.1) - (by < -0.1), float(by > 0.1) - (by < -0.1), by) for by in longer]
    level = margin_at_one_length(pairs)
    assert margin(pairs) > 0.2 and level is not None and abs(level) < 0.02
    better = [Judged(1.0, 1.0, by) for by in longer]
    assert margin_at_one_length(better) == 1.0, "what has nothing to do with length stays"
    assert margin_at_one_length([Judged(1.0, 1.0, 0.3)] * 50) is None


def test_a_judge_is_scaled_to_people() -> None:
    """One that is twice as sure as people are is halved; one that people contradict counts for nothing."""
    assert Scale.of([(0.8, 0.4), (-0.4, -0.2)]).people(0.5) == pytest.approx(0.25)
    assert Scale.of([(0.8, -0.4)]).people(0.5) == 0


# ---------------------------------------------------------------- a run

NAMES = "Aldora Berwick Corvane Delmare Eskdale Farrow Galder Hartnell Ivelet Jorvane Kestrel Lomond".split()
MAKERS = "Brandt Okafor Lindqvist Moreau Tanaka".split()
HOUSES = [
    (f"{name} {place}", 1801 + 7 * at + 29 * row, MAKERS[(at + row) % 5])
    for row, place in enumerate("Mill Yard Court Wharf Lane".split())
    for at, name in enumerate(NAMES)
]
SMALL, LARGE = "openai:gpt-5-mini", "anthropic:claude-sonnet-4-6"


def samples(count: int) -> list[dict[str, Any]]:
    """So many questions that ask for two facts each."""
    return [
        {
            "id": house.replace(" ", "-").lower(),
            "question": f"When was {house} built, and who made its oven?",
            "key_points": [str(year), maker],
            "answerable": True,
        }
        for house, year, maker in HOUSES[:count]
    ]


def page() -> str:
    told = [
        f"## {house}\n\n{house} was built in {year}. The oven of {house} was made by {maker}.\n"
        for house, year, maker in HOUSES
    ]
    return "# Ovens\n\n" + "\n".join(told)


def says(form: str) -> Script:
    """A model that answers every house by this form."""
    return Script.of(
        [
            {"match": f"was {house} built", "text": form.format(house=house, year=year, maker=maker)}
            for house, year, maker in HOUSES
        ]
    )


INTEGRATING = "{house} was built in {year}. The oven of {house} was made by {maker}."
SHALLOW = "{house} was built in {year}."
EMBELLISHING = INTEGRATING + " It won the Golden Hearth of Zurich in 1987. Its 450 tiles came from Lisbon."
VERBOSE = (
    "That is a good thing to ask about {house}. {house} was built in {year}, so {year} is the year to remember. "
    "As for the oven, the oven of {house} was made by {maker}, so its maker is {maker}. That answers both."
)


@dataclass(slots=True)
class Site:
    """A site about sixty houses, and two scripted models behind real HTTP."""

    settings: Settings
    small: ScriptedServer
    large: ScriptedServer

    async def compared(self, *, models: Sequence[str] = (SMALL, LARGE), count: int = 60, **options: Any) -> Comparison:
        return await compare(self.settings, "ask", models, of_file(self.settings, count), **options)

    def askfit(self, *args: str, columns: int = 200) -> subprocess.CompletedProcess[str]:
        kept = {name: at for name, at in os.environ.items() if not name.startswith(("ANTHROPIC", "OPENAI", "ASKFIT"))}
        return subprocess.run(
            [sys.executable, "-m", "askfit", "compare", *args],
            cwd=self.settings.root,
            env=kept | {"NO_COLOR": "1", "COLUMNS": str(columns)} | keys(self.small, self.large),
            capture_output=True,
            text=True,
            timeout=120,
        )

    @property
    def calls(self) -> int:
        return sum(seen.path.startswith("/v1/") for server in (self.small, self.large) for seen in server.requests)


def keys(small: ScriptedServer, large: ScriptedServer) -> dict[str, str]:
    return {
        "OPENAI_API_KEY": "x",
        "OPENAI_BASE_URL": f"{small.url}/v1",
        "ANTHROPIC_API_KEY": "x",
        "ANTHROPIC_BASE_URL": large.url,
    }


def of_file(settings: Settings, count: int) -> Sequence[Sample]:
    return read_samples(settings.root / "golden" / "ask.yaml", "chat")[:count]


Opened = Callable[..., Site]


@pytest.fixture
def opened(make_site: MakeSite) -> Iterator[Opened]:
    """`opened(small form, large form, current=model)` → a Site."""
    with ExitStack() as running:

        def open_(small: str, large: str, *, current: str = SMALL) -> Site:
            servers = [running.enter_context(ScriptedServer(says(form))) for form in (small, large)]
            settings = make_site(
                {"content/ovens.md": page(), "golden/ask.yaml": json.dumps(samples(60))},
                more_toml=f'[features.ask]\nkind = "chat"\npath = "/ask-ai"\nmodel = "{current}"\n'
                '[features.ask.shape]\ntask = "retrieval"\nruns_per_visit = 5\n'
                'almost_good_enough = "annoyance"\nlatency_felt = true\n',
                environ=keys(*servers),
            )
            return Site(settings, *servers)

        yield open_


async def test_a_model_that_integrates_is_escalated_to(opened: Opened) -> None:
    """The small one gives one of two facts: the run ends early and names the gain."""
    site = opened(SHALLOW, INTEGRATING)
    found = await site.compared()
    assert (found.verdict, found.chosen) == ("ESCALATE", LARGE), found.decision
    assert found.decision.by == ("key points",)
    assert found.compared < 30 and site.calls == 2 * found.compared
    assert "+50.0% in key points" in sentence(found) and "times as much" in sentence(found)


async def test_a_model_that_embellishes_is_downgraded_from(opened: Opened) -> None:
    """The large one says as much and invents more: what is taken back counts, though no visitor sees it."""
    found = await opened(INTEGRATING, EMBELLISHING, current=LARGE).compared()
    assert (found.verdict, found.chosen) == ("DOWNGRADE", SMALL), found.decision
    small, large = sums(found)
    assert small.shares["faithfulness"] == 1.0 and (large.shares["faithfulness"] or 0) < 0.6
    assert small.shares["key points"] == large.shares["key points"] == 1.0
    told = {(one.model, line) for one in found.outcomes for line in one.missed}
    assert told == {(LARGE, "2 sentences were taken back: the site does not bear them")}, "the answers read alike"


async def test_two_that_are_the_same_are_inconclusive_on_thirty_samples(opened: Opened) -> None:
    """Thirty equal answers do not rule out a gain of ten points: the verdict says how many more would."""
    found = await opened(INTEGRATING, INTEGRATING).compared(count=30)
    assert (found.verdict, found.chosen) == ("INCONCLUSIVE", "")
    needed = found.decision.needed
    assert needed and 16 <= needed <= 20
    assert f"About {needed} more conversations" in needed_told(found)


async def test_the_same_facts_in_more_words_are_no_reason_to_escalate(opened: Opened) -> None:
    """Concise against verbose, one content: never ESCALATE; with samples enough the cheaper one is kept."""
    found = await opened(INTEGRATING, VERBOSE).compared()
    assert found.verdict == "KEEP" and found.chosen == SMALL
    small, large = sums(found)
    assert large.words > 2 * small.words


async def test_a_run_that_is_taken_up_asks_only_the_rest(opened: Opened, tmp_path: Path) -> None:
    """Money ends a run; with more of it the journal's answers are not asked again, and the end is the same."""
    site, path = opened(INTEGRATING, EMBELLISHING, current=LARGE), tmp_path / "journal.jsonl"
    whole = await site.compared(count=20)
    before = site.calls
    broken = await site.compared(count=20, journal=Journal(path), most_cost_usd=0.05)
    paid = site.calls - before
    assert broken.spent and broken.verdict == "INCONCLUSIVE" and 0 < paid < before
    with path.open("a", encoding="utf-8") as file:
        file.write('{"measured": "broken o')
    resumed = await site.compared(count=20, journal=Journal(path, resume=True))
    assert site.calls == before + before
    assert resumed.resumed == paid
    assert (resumed.verdict, resumed.decision.reason) == (whole.verdict, whole.decision.reason)


async def test_what_the_site_says_anew_is_asked_anew(opened: Opened, tmp_path: Path) -> None:
    """A journal of other content is no answer."""
    site, path = opened(INTEGRATING, INTEGRATING), tmp_path / "journal.jsonl"
    await site.compared(count=2, journal=Journal(path))
    (site.settings.root / "content" / "more.md").write_text("# More\n\nThe ovens burn oak.\n", encoding="utf-8")
    again = await site.compared(count=2, journal=Journal(path, resume=True))
    assert again.resumed == 0 and site.calls == 8


async def test_recorded_answers_are_compared_without_a_call(opened: Opened, tmp_path: Path) -> None:
    """A tape gives the same verdict, costs and shares, with no key and no network."""
    site, tape = opened(SHALLOW, INTEGRATING), tmp_path / "tape.jsonl"
    first = await site.compared(tape=Tape(record=tape))
    calls = site.calls
    keyless = replace(site.settings, secrets=Secrets())
    second = await compare(
        keyless, "ask", (SMALL, LARGE), of_file(keyless, 60), tape=Tape(replay=tape), most_cost_usd=0
    )
    assert site.calls == calls and second.replayed == first.recorded == calls
    assert (second.verdict, second.decision) == (first.verdict, first.decision)
    assert [one.shares for one in sums(second)] == [one.shares for one in sums(first)]


async def test_processes_replay_what_one_replays(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long tape is shared by several processes: shares, words, costs and verdict are those of one alone."""
    site, tape = opened(SHALLOW, INTEGRATING), tmp_path / "tape.jsonl"
    keyless = replace(site.settings, secrets=Secrets())
    samples = of_file(keyless, 40)
    await site.compared(count=40, tape=Tape(record=tape), to_the_end=True)
    monkeypatch.setattr(running, "UNSHARED", 4)
    monkeypatch.setattr(running, "FEWEST", 10)

    async def replayed(processes: int, *, at_once: bool) -> Comparison:
        recorded = Tape(replay=tape, at_once=at_once)
        given = {"tape": recorded, "to_the_end": True, "processes": processes}
        return await compare(keyless, "ask", (SMALL, LARGE), samples, **given)

    alone, shared = await replayed(1, at_once=False), await replayed(2, at_once=True)
    assert shared.replayed == alone.replayed == 80
    for one, other in zip(alone.outcomes, shared.outcomes, strict=True):
        assert replace(one, ttft_ms=0, total_ms=0) == replace(other, ttft_ms=0, total_ms=0)
    assert (shared.verdict, shared.decision) == (alone.verdict, alone.decision)


async def test_a_replay_comes_to_what_visitors_get(sample: Settings, tmp_path: Path) -> None:
    """The sample's own questions by two models: from a tape, in one piece and understood once for both, each answer has
    the words, sentences taken back and scores of one that is streamed to a visitor who asks that model alone."""
    models, tape = ("scripted:faithful", "scripted:lying"), tmp_path / "tape.jsonl"
    golden = [one for one in read_samples(sample.root / "golden" / "ask.yaml", "chat") if isinstance(one, AskSample)]
    await compare(sample, "ask", models, golden, tape=Tape(record=tape), to_the_end=True)
    replayed = await compare(sample, "ask", models, golden, tape=Tape(replay=tape, at_once=True), to_the_end=True)
    of_replay = {(one.sample, one.model): replace(one, ttft_ms=0, total_ms=0) for one in replayed.outcomes}
    assert len(of_replay) == replayed.replayed == 2 * len(golden)
    for model in models:
        async with open_site(strictly(sample, model)) as site:
            told: list[Answered] = []
            for one in golden:
                history = [Turn(turn.question, turn.answer) for turn in one.history]
                given = await answer(replace(site, after=told.append), one.question, history)
                heard = Signals(retracted=told[-1].retracted)
                served = of_answer(one, model, 0, given, heard, site.corpus)
                assert replace(served, ttft_ms=0, total_ms=0) == of_replay[one.id, model]


def strictly(settings: Settings, model: str) -> Settings:
    """A site that this model alone answers for, strictly checked."""
    asked = settings.features["ask"].model_copy(update={"model": model, "fallback": (), "ground": "strict"})
    features = {**settings.file.features, "ask": asked.model_copy(update={"reuse_hours": 0.0, "escalation": None})}
    return replace(settings, file=settings.file.model_copy(update={"features": features}))


async def test_a_decided_model_is_asked_no_more(opened: Opened) -> None:
    """Of three models, the pair that is decided first leaves the money to the other one."""
    site = opened(SHALLOW, INTEGRATING)
    found = await site.compared(models=("builtin", SMALL, LARGE), delta=0.2)
    asked = {one.model: one.said for one in sums(found)}
    assert set(asked) == {"builtin:builtin", SMALL, LARGE} and len(found.pairs) == 2
    assert all(pair.test.alpha == ALPHA / 2 for pair in found.pairs)
    assert found.current == SMALL and min(asked.values()) < asked[SMALL]


async def test_a_model_that_fails_counts_for_neither(opened: Opened) -> None:
    """An outage is no lack of quality: no difference is drawn from it, and the report tells of it."""
    site = opened(INTEGRATING, INTEGRATING)
    found = await site.compared(models=(SMALL, "anthropic:claude-sonnet-4-6", "scripted:server_error"), count=3)
    assert any("scripted:server_error failed on 3 answers" in line for line in unmeasured(found))
    assert found.verdict == "INCONCLUSIVE" and found.compared == 0


async def test_money_that_is_only_held_is_not_spent(opened: Opened) -> None:
    """Calls side by side hold many times what they cost: a run waits for what they give back, within its bound."""
    most_usd = 0.08  # what two such calls hold, of four that are asked at once
    found = await opened(SHALLOW, INTEGRATING).compared(count=10, most_cost_usd=most_usd, to_the_end=True)
    assert not found.spent and found.compared == 10
    assert 0 < found.paid_usd < most_usd
    assert math.isclose(found.paid_usd, sum(one.cost_usd for one in found.outcomes), abs_tol=1e-6)


async def test_what_failed_calls_cost_counts_too(opened: Opened) -> None:
    """A model that declines is charged for: what is left for a judge is less by that."""
    site = opened(INTEGRATING, INTEGRATING)
    site.large.script = Script.of([{"match": "", "text": "No.", "finish": "refusal"}])
    found = await site.compared(count=2)
    small = sum(one.cost_usd for one in found.outcomes)
    assert found.compared == 0 and found.paid_usd > 2 * small > 0
    assert any(f"{LARGE} failed on 2 answers" in line and "declined" in line for line in unmeasured(found))


async def test_of_three_models_the_price_is_that_of_the_two_that_decide(opened: Opened) -> None:
    """The verdict moves to one model: what is told of prices is of that one beside the one it replaces, by name."""
    site = opened(SHALLOW, INTEGRATING)
    found = await site.compared(models=(SMALL, "openai:gpt-5.1", LARGE), count=40)
    assert (found.verdict, found.chosen, found.pairs[0].large) == ("ESCALATE", LARGE, "openai:gpt-5.1")
    cost = {one.model: one.cost_usd / one.said for one in sums(found)}
    assert f"An answer of {LARGE} cost {cost[LARGE] / cost[SMALL]:.1f} times as much as one of {SMALL}." in sentence(
        found
    )


# ---------------------------------------------------------------- blind, by hand


def answered(
    small: str | Sequence[str], large: str | Sequence[str], count: int = 20
) -> tuple[Comparison, Sequence[AskSample]]:
    """A comparison whose models gave answers of these forms, in turn, to so many samples; nobody was asked."""
    asked = [AskSample.model_validate(one) for one in samples(count)]
    outcomes = []
    for model, forms in ((SMALL, small), (LARGE, large)):
        forms = [forms] if isinstance(forms, str) else forms
        for at, (sample, (house, year, maker)) in enumerate(zip(asked, HOUSES, strict=False)):
            said = forms[at % len(forms)].format(house=house, year=year, maker=maker)
            points = (str(year) in said) / 2 + (maker in said) / 2
            outcomes.append(Outcome(sample.id, model, shares={"key points": points, "faithfulness": 1.0}, said=said))
    found = Comparison(
        feature="ask",
        models=(SMALL, LARGE),
        current=SMALL,
        has_current=True,
        delta=0.1,
        pairs=(Pair(SMALL, LARGE, Test([GAIN, GUARD])),),
        outcomes=tuple(outcomes),
        samples=count,
        conversations=count,
        spent=False,
        fingerprints={one.id: f"print of {one.id}" for one in asked},
    )
    return found, asked


def play(session: Session, hand: Callable[[Item], Hand], most: int = 1000) -> int:
    """Judge until it is over; how many."""
    for done in range(most):
        item = session.current
        if item is None:
            return done
        session.pick(item, hand(item))
    return most


async def test_all_is_asked_before_the_owner_picks(opened: Opened) -> None:
    """Though the metrics decide early, each sample has two answers to pick from; the verdict is what it was."""
    site = opened(SHALLOW, INTEGRATING)
    found = await site.compared(count=20, to_the_end=True)
    session = Session(found, of_file(site.settings, 20), Journal(None))
    assert (found.verdict, found.compared, site.calls, len(session.items)) == ("ESCALATE", 20, 40, 20)
    assert found.pairs[0].test.conversations < 20, "it was decided before"


def test_picks_are_differences_and_sides_are_a_coin() -> None:
    """Preferring the large one is proven; preferring a side is no preference of a model."""
    found, asked = answered(SHALLOW, INTEGRATING, 60)

    def large(item: Item) -> Hand:
        return item.side_of("large", session.seed)

    session = Session(found, asked, Journal(None))
    picked = play(session, large)
    (told,) = session.standings()
    assert (told.decision.verdict, told.wins[LARGE], told.judged) == ("ESCALATE", picked, picked) and picked < 12
    lefty = Session(found, asked, Journal(None), seed=7)
    assert play(lefty, lambda item: "left") == 60 and not lefty.is_decided
    (told,) = lefty.standings()
    assert told.left == 60 and 15 < told.wins[SMALL] < 45, "the sides are drawn evenly"


def test_equal_answers_are_ties_that_nobody_is_asked_about() -> None:
    """Word for word the same: told as such, and no reason for a verdict before anything was picked."""
    found, asked = answered(INTEGRATING, INTEGRATING)
    session = Session(found, asked, Journal(None))
    assert session.current is None and session.asked == 0 and session.standings() == ()


def test_picks_are_found_again_unless_the_answers_changed(tmp_path: Path) -> None:
    """Another session goes on with the same seed; a half line is cut away; new answers are judged anew."""
    path = tmp_path / "journal.jsonl"
    found, asked = answered(SHALLOW, INTEGRATING)
    first = Session(found, asked, Journal(path, resume=True))
    assert play(first, lambda item: "tie", most=3) == 3
    assert first.last
    first.take_back(first.last)
    with path.open("a", encoding="utf-8") as file:
        file.write('{"chosen": "broken o')
    second = Session(found, asked, Journal(path, resume=True))
    assert (second.judged, second.seed, second.current) == (2, first.seed, first.current)
    changed = [replace(one, said=one.said + " Anew.") for one in found.outcomes]
    other = replace(found, outcomes=tuple(changed))
    assert Session(other, asked, Journal(path, resume=True)).judged == 0
    assert Session(found, asked, Journal(path)).judged == 0, "without --resume all begins anew"


def test_reasons_and_agreement_are_counted() -> None:
    """A reason speaks of the answer that was not picked, with a tie of both; picks stand beside the metrics."""
    found, asked = answered(SHALLOW, INTEGRATING, 4)
    session = Session(found, asked, Journal(None))
    for picked, why in (("large", "too_shallow"), ("small", "too_much"), ("tie", "wrong"), ("large", "")):
        item = session.current
        assert item
        session.pick(item, item.side_of(cast(Picked, picked), session.seed), cast(Why, why))
    (told,) = session.standings()
    assert told.why == {
        SMALL: {"too_shallow": 1, "too_much": 0, "wrong": 1},
        LARGE: {"too_shallow": 0, "too_much": 1, "wrong": 1},
    }
    assert (told.agreement.alike, told.agreement.opposite, told.agreement.only_measured) == (2, 1, 1)
    assert "you agree 2 times" in " ".join(blind_told(told, 0.1))


async def test_the_page_is_for_this_machine_and_whoever_has_its_address() -> None:
    """A guessed path, another site's name or origin, and a form's post get nothing; a second tab changes nothing; after
    the last pick the session ends by itself."""
    found, asked = answered(SHALLOW, INTEGRATING, 2)
    session = Session(found, asked, Journal(None))
    told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(judge_by_hand(session, told.set_result, linger_s=0.2))
    url = await told
    base = url.rsplit("/", 2)[0]
    async with httpx2.AsyncClient() as client:
        page = await client.get(url)
        assert page.status_code == 200 and "default-src 'none'" in page.headers["content-security-policy"]
        for path, headers in (
            (f"{base}/", {}),
            (f"{base}/{'x' * 32}/state", {}),
            (f"{url}state", {"host": "evil.example"}),
            (f"{url}state", {"origin": "https://evil.example"}),
            (f"{url}blind.html", {}),
        ):
            assert (await client.get(path, headers=headers)).status_code == 404, path
        post, step = client.post, f"{url}step/"
        assert (await post(f"{step}pick", data={"judged": 0, "hand": "left"})).status_code == 400
        assert (await post(f"{step}pick", json={"judged": 0, "hand": "l" * 2000})).status_code == 400
        assert (await post(f"{step}pick", json={"judged": 0, "hand": ["left"]})).json()["stale"]
        assert (await post(f"{step}why", json={"judged": 0, "why": "wrong"})).json()["stale"]
        assert (await post(f"{step}erase", json={})).status_code == 404
        for count in range(2):
            assert (await post(f"{step}pick", json={"judged": count, "hand": "left"})).json()["phase"] == "why"
            assert (await post(f"{step}pick", json={"judged": count, "hand": "right"})).json()["stale"]
            state = (await post(f"{step}why", json={"judged": count + 1, "why": "wrong"})).json()
        assert (state["phase"], state["judged"], state["turn"]) == ("through", 2, None)
        await asyncio.wait_for(serving, 10)
    assert [one.why for one in session.choices.values()] == ["wrong", "wrong"]
    assert {
        item.side_of(cast(Picked, one.picked), one.seed)
        for item, one in zip(session.items, session.choices.values(), strict=True)
    } == {"left"}


# ---------------------------------------------------------------- a judge


def prefers(mark: str) -> list[dict[str, Any]]:
    """A judge that takes whichever answer alone has this mark, and else calls it a tie."""
    has = {side: f"<answer_{side}>(?:(?!</answer_{side}>).)*{mark}" for side in "ab"}
    rules = [(has["a"], has["b"], "tie"), (has["a"], "", "A"), (has["b"], "", "B")]
    return [
        {"match": f"(?s)(?=.*{one})(?=.*{other})", "json": {"reason": "It holds more.", "better": better}}
        for one, other, better in rules
    ] + [{"match": "", "json": {"reason": "Alike.", "better": "tie"}}]


FAIR, FOND_OF_WORDS = prefers("oven of"), prefers("good thing to ask")
FIRST_ALWAYS = [{"match": "", "json": {"reason": "It comes first.", "better": "A"}}]


Hear = Callable[..., Awaitable[Opinion]]


@pytest.fixture
def hear(make_site: MakeSite, tmp_path: Path) -> Hear:
    """`await hear(rules of a judge, answered(…), labels)` → its opinion; its word is kept from one time to the next."""

    async def opinion(
        rules: list[dict[str, Any]],
        given: tuple[Comparison, Sequence[AskSample]],
        labels: dict[Any, float] | None = None,
    ) -> Opinion:
        settings = make_site({"content/ovens.md": page(), "judge.yaml": json.dumps(rules)})
        journal = Journal(tmp_path / "journal.jsonl", resume=True)
        name, kept = "scripted:judge.yaml", labels or {}
        told = await judged(settings, *given, journal, name, labels=kept, tape=Tape(), most_cost_usd=1.0)
        return told[0]

    return opinion


async def test_a_fair_judge_says_who_answers_more(hear: Hear) -> None:
    """Asked in both orders, it prefers the fuller answer of two that are as long."""
    longer = SHALLOW + " It is so." * 10 + " Yes."  # by as much as the fuller answer is longer than the bare one
    told = await hear(FAIR, answered([longer, SHALLOW], INTEGRATING, 40))
    assert (told.agreement, told.margin, told.judged, told.failed) == (1.0, 1.0, 40, 0)
    assert told.decision.verdict == "ESCALATE" and told.matched == 20, told


async def test_its_word_is_kept(hear: Hear, tmp_path: Path) -> None:
    """What a judge said is not asked again. Where one model is always the longer, its word decides nothing."""
    told = await hear(FAIR, answered(SHALLOW, INTEGRATING, 8))
    assert told.decision.verdict == "INCONCLUSIVE" and "liking length" in told.abstains
    assert await hear(FIRST_ALWAYS, answered(SHALLOW, INTEGRATING, 8)) == told
    assert (tmp_path / "journal.jsonl").read_text("utf-8").count('"judged"') == 8


async def test_a_judge_of_places_abstains(hear: Hear) -> None:
    """What it takes back in the other order counts as nothing, and the report says that it abstains."""
    told = await hear(FIRST_ALWAYS, answered(SHALLOW, INTEGRATING, 8))
    assert (told.agreement, told.margin, told.decision.verdict) == (0.0, 0.0, "INCONCLUSIVE")
    assert "abstains" in opinion_told(told)[0]


async def test_a_judge_that_likes_words_never_decides(hear: Hear) -> None:
    """Where either model is the wordy one at times, its liking cancels at one length."""
    given = answered([INTEGRATING, INTEGRATING, VERBOSE], [VERBOSE, VERBOSE, INTEGRATING], 60)
    told = await hear(FOND_OF_WORDS, given)
    assert told.margin > 0.3 and told.agreement == 1.0 and told.matched == 20
    assert told.decision.verdict not in ("ESCALATE", "DOWNGRADE") and told.lead == 0, told


async def test_a_judge_is_held_against_people(hear: Hear) -> None:
    """Labels shrink its word to what people share of it; one that people contradict abstains."""
    given = answered([SHALLOW, INTEGRATING], [INTEGRATING, SHALLOW], 12)
    keys = [(one.id, SMALL, LARGE) for one in given[1]]
    signs = [1.0, -1.0] * 6
    half = await hear(
        FAIR, given, {key: sign if at < 6 else 0.0 for at, (key, sign) in enumerate(zip(keys, signs, strict=True))}
    )
    assert (half.labels, half.scale) == (12, 0.5)
    none = await hear(FAIR, given, {key: -sign for key, sign in zip(keys, signs, strict=True)})
    assert none.scale == 0 and none.abstains
    few = await hear(FAIR, given, {keys[0]: 1.0})
    assert few.scale is None and "needed" in " ".join(opinion_told(few))


def test_labels_are_read_or_the_row_is_told(tmp_path: Path) -> None:
    """A row says which model people prefer; another model, or another key, is told with its row."""
    path = tmp_path / "labels.yaml"
    path.write_text(f"- {{id: a, preferred: '{LARGE}'}}\n- {{id: b, preferred: tie}}\n", encoding="utf-8")
    assert read_labels(path, (SMALL, LARGE)) == {("a", SMALL, LARGE): 1.0, ("b", SMALL, LARGE): 0.0}
    for wrong, says_ in (
        ("- {id: a, preferred: nobody}", "row 1: 'nobody'"),
        ("- {id: a}", "row 1"),
        ("a: [", "cannot be read"),
    ):
        path.write_text(wrong, encoding="utf-8")
        with pytest.raises(UsageError, match=says_):
            read_labels(path, (SMALL, LARGE))


# ---------------------------------------------------------------- fit

POSTING = "We want an engineer.\n\nRequirements\n" + "\n".join(
    f"- {years}+ years of {skill}" for years, skill in ((5, "Python"), (3, "PostgreSQL"), (4, "Kubernetes"), (2, "Go"))
)


async def test_assessments_are_compared_by_bands_verdict_and_misfits(make_site: MakeSite) -> None:
    """A feature that judges postings is compared by the same command; repeats tell how stable its verdicts are."""
    posting = POSTING + "\n\nAbout us\n" + "We roast tea in Porto and ship it to forty towns. " * 8
    given = [{"id": "engineer", "posting": posting, "bands": {"Python": "strong"}, "must_name_gaps": ["Kubernetes"]}]
    settings = make_site(
        {
            "content/about.md": "# Ann\n\nAnn writes Python.\n",
            "skills.csv": "skill,level\nPython,5\nPostgreSQL,4\nGo,2\nRoasting,3\n",
            "golden/fit.yaml": json.dumps(given),
        },
        more_toml='[skills]\npath = "skills.csv"\n',
    )
    wanted = read_samples(settings.root / "golden" / "fit.yaml", "assessment")
    found = await compare(settings, "fit", ("builtin", "scripted:faithful"), wanted, repeats=3)
    assert {"bands", "gaps", "faithfulness"} == set(found.pairs[0].test.means)
    assert found.pairs[0].test.conversations == 1, "three repeats of one posting count once"
    for one in sums(found):
        assert (one.said, one.failed, one.stability, one.shares["gaps"]) == (3, 0, 1.0, 1.0), one


def test_stability_is_how_often_repeats_give_the_commonest_verdict() -> None:
    """Two of three alike are two thirds; what was asked once tells nothing."""
    given = [Outcome("a", "m", at, verdict=verdict) for at, verdict in enumerate(("strong", "strong", "moderate"))]
    assert stability(given) == pytest.approx(2 / 3)
    assert stability([Outcome("b", "m", 0, verdict="gap")]) is None


# ---------------------------------------------------------------- the command


def test_the_command_tells_the_verdict_writes_a_page_and_a_document(opened: Opened) -> None:
    """One run over HTTP: the sentence, the document for machines, a page that loads nothing and runs nothing."""
    site = opened(SHALLOW, INTEGRATING + " <img src=x onerror=alert(1)>")
    args = ("ask", "--models", f"{SMALL},{LARGE}", "--html", "report.html")
    done = site.askfit(*args)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ESCALATE") and f"Move ask to {LARGE}" in done.stdout
    assert "lies between" in done.stdout and "Not measured" in done.stdout
    html = (site.settings.root / "report.html").read_text(encoding="utf-8")
    assert "ESCALATE" in html and "<svg" in html and "<script" not in html and "<img" not in html
    assert "http://" not in html and "https://" not in html
    calls = site.calls
    again = site.askfit("ask", "--models", f"{SMALL},{LARGE}", "--json", "--resume")
    found = json.loads(again.stdout)
    assert (again.returncode, found["verdict"], found["model"]) == (0, "ESCALATE", LARGE)
    assert found["resumed"] == calls == site.calls
    assert {one["metric"] for one in found["pairs"][0]["metrics"]} == {"key points", "faithfulness"}


def test_a_page_is_written_of_a_run_whose_money_reached_nothing(opened: Opened) -> None:
    """Too little money for one question: exit 1, a page all the same, and no word on how many samples it takes."""
    site = opened(SHALLOW, INTEGRATING)
    done = site.askfit("ask", "--models", f"{SMALL},{LARGE}", "--html", "report.html", "--max-cost", "0.0001")
    assert (done.returncode, done.stderr) == (1, "")
    assert "The money of --max-cost is spent" in done.stdout and "No number of samples" not in done.stdout
    assert (site.settings.root / "report.html").read_text(encoding="utf-8").endswith("</html>")


def test_a_stopped_run_leaves_no_empty_page_and_says_how_to_go_on(opened: Opened) -> None:
    """Ctrl-C: what was paid for is in the journal, which is named; no file of nothing stands where a report should."""
    site = opened(SHALLOW, INTEGRATING)
    site.large.script = Script.of([{"match": "", "text": "It was built.", "first_ms": 700}])
    command = [
        sys.executable,
        "-m",
        "askfit",
        "compare",
        "ask",
        "--models",
        f"{SMALL},{LARGE}",
        "--html",
        "report.html",
    ]
    running = subprocess.Popen(
        command, cwd=site.settings.root, env={**os.environ, **keys(site.small, site.large)}, stderr=subprocess.PIPE
    )
    journal = site.settings.root / "compare-ask.jsonl"
    for _ in range(600):
        if journal.exists():
            break
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    told = " ".join(running.communicate(timeout=60)[1].decode().split())
    assert running.returncode == 130 and "compare-ask.jsonl" in told.replace(" ", "") and "--resume" in told
    assert not (site.settings.root / "report.html").exists()


def test_a_judge_stands_beside_the_verdict_on_the_command_line_and_the_page(opened: Opened) -> None:
    """Two calls a pair over HTTP to a third model; its word comes after the metrics', and is not asked for again."""
    site = opened(SHALLOW, INTEGRATING)
    lengths = [SHALLOW, " ".join([SHALLOW] * 6)]  # as much shorter as longer than the fuller answer, in turn
    bare = [
        {"match": f"was {house} built", "text": lengths[at % 2].format(house=house, year=year)}
        for at, (house, year, _) in enumerate(HOUSES)
    ]
    site.small.script = Script.of([*FAIR[:-1], *bare])
    judge = "openai:gpt-5.1"
    args = ("ask", "--models", f"{SMALL},{LARGE}", "--judge", judge, "--html", "report.html", "--resume")
    done = site.askfit(*args, columns=80)
    assert done.returncode == 0, done.stderr
    first, beside = done.stdout.index("ESCALATE  Move ask"), done.stdout.index("ESCALATE by a judge, beside it")
    assert first < beside and "not held against people" in " ".join(done.stdout.split())
    assert "This run cost $" in done.stdout and "its judge included" in done.stdout
    assert SMALL in done.stdout and LARGE in done.stdout, "names are whole on a narrow screen"
    html = (site.settings.root / "report.html").read_text(encoding="utf-8")
    assert "By a judge: ESCALATE" in html and judge in html and "<script" not in html
    calls = site.calls
    found = json.loads(site.askfit(*args, "--json").stdout)
    (told,) = found["judged"]
    assert (told["judge"], told["verdict"], told["agreement"], told["failed"]) == (judge, "ESCALATE", 1.0, 0)
    assert site.calls == calls == 2 * found["compared"] + 2 * told["judged"]
    assert found["paid_usd"] == 0, "what the journal holds was paid before"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("asks", "--models", "small,large"), "Known: ask"),
        (("ask", "--models", "small"), "At least two different models"),
        (("ask", "--models", f"{SMALL},{SMALL}"), "At least two different models"),
        (("ask", "--models", f"{SMALL},anthropic:nonesuch"), "Unknown model"),
        (("ask", "--models", f"{SMALL},{LARGE}"), "_API_KEY"),
        (("ask", "--models", "builtin,scripted:echo", "--delta", "huge"), "clear (10%)"),
        (("ask", "--models", "builtin,scripted:echo", "--samples", "none.yaml"), "none.yaml cannot be read"),
        (("ask", "--models", "builtin,scripted:echo", "--journal", "askfit.toml"), "no journal of a comparison"),
        (("ask", "--models", "builtin,scripted:echo", "--html", "no/such/page.html"), "cannot be written"),
        (("ask", "--models", "builtin,scripted:echo", "--judge", "scripted:echo"), "compared here itself"),
        (("ask", "--models", "builtin,scripted:echo", "--judge", "anthropic:claude-haiku-4-5"), "no key for the judge"),
        (("ask", "--models", "builtin,scripted:echo", "--labels", "x.yaml"), "--judge"),
        (("ask", "--models", "builtin,scripted:echo", "--emphasis"), "--emphasis is for assessments"),
        (("ask", "--models", "builtin,scripted:echo", "--max-cost", "inf"), "--max-cost"),
        (("ask",), "--models"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_2(
    args: tuple[str, ...],
    says: str,
    opened: Opened,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What cannot be compared is told before anything is asked, with the next step."""
    monkeypatch.chdir(opened(SHALLOW, INTEGRATING).settings.root)
    with pytest.raises(SystemExit) as left:
        main(["compare", *args])
    told = capsys.readouterr().err
    assert left.value.code == 2 and says in told and len(told.strip().splitlines()) == 1


def test_a_comparison_of_nothing_is_exit_1(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no sample was answered by both, there is no verdict to rely on."""
    root = opened(SHALLOW, INTEGRATING).settings.root
    (root / "few.yaml").write_text(json.dumps(samples(3)), encoding="utf-8")
    monkeypatch.chdir(root)
    with pytest.raises(SystemExit) as left:
        main(["compare", "ask", "--models", "builtin,scripted:server_error", "--samples", "few.yaml", "--json"])
    assert (left.value.code, json.loads(capsys.readouterr().out)["compared"]) == (1, 0)


def test_delta_is_a_word_or_a_share() -> None:
    """An owner says "clear", or 8%, or 0.08."""
    assert [delta_of(words) for words in ("clear", "Slight", "8%", "0.08", "0")] == [0.10, 0.05, 0.08, 0.08, 0.0]


def test_samples_of_one_conversation_stay_together_and_the_order_is_their_own() -> None:
    """Follow-ups belong to the question that opened them; the file's order does not matter."""
    opening = AskSample(id="a", question="Who built it?", answerable=True)
    later = AskSample.model_validate(
        {
            "id": "b",
            "question": "When?",
            "answerable": True,
            "history": [{"question": "Who built it?", "answer": "Ann."}],
        }
    )
    other = [AskSample(id=f"c{at}", question=f"Question {at}?", answerable=True) for at in range(5)]
    found = drawn([opening, *other, later])
    assert len(found) == 6 and (opening, later) in found
    assert [one[0].id for one in found] == [one[0].id for one in drawn([*reversed(other), opening, later])]


def test_a_run_that_measures_nothing_leaves_no_file(tmp_path: Path) -> None:
    """A journal stands on the disk from its first outcome on, not before."""
    path = tmp_path / "compare-ask.jsonl"
    Journal(path)
    assert not path.exists()
