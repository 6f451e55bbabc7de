"""Advice: what the five answers and the measured facts lead to, how it is told, and that its sums are right."""

from __future__ import annotations

import json
import math
import random
import re
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from genai_prices import Usage as PricedUsage
from genai_prices import calc_price
from hypothesis import given
from hypothesis import strategies as st

from askfit.advice import Advice, Case, Load, Reads, Visits, advise
from askfit.advice.month import DAY_MS, GUESS_WITHIN, MONTH_DAYS, month, visits_from
from askfit.advice.shape import nearest, read_shape, times
from askfit.caching import best_ttl, ratios
from askfit.cli import advising, main
from askfit.config import ASK, FIT, Settings, Shape, load_settings
from askfit.errors import SettingsError, UsageError
from askfit.ledger import Attempt, Ledger, Outcome
from askfit.models import cost_nanos, known_models
from askfit.store import open_store
from askfit.types import NANOS_PER_USD, Allowance, Usage

HAIKU, SONNET = "anthropic:claude-haiku-4-5", "anthropic:claude-sonnet-4-6"
TODAY = date(2026, 11, 21)
PAGES = Reads(12_000, Load(18_800, 365, 130), Load(1_000, 4_365, 130))
ROWS = Reads(12_500, Load(13_800, 1_800, 1_500), None, "rows")


def shape(task: str, runs: float, almost: str, *, felt: bool = True) -> Shape:
    return Shape.model_validate(
        {"task": task, "runs_per_visit": runs, "almost_good_enough": almost, "latency_felt": felt}
    )


def case(of: Shape, **changes: Any) -> Case:
    reads = PAGES if of.task == "retrieval" else ROWS
    made = Case(
        "ask",
        of,
        {"small": HAIKU, "large": SONNET},
        reads,
        Visits(100, of.runs_per_visit),
        TODAY,
        keys=frozenset({"anthropic"}),
        budget_nanos=20 * NANOS_PER_USD,
    )
    return replace(made, **changes)


def topic(advice: Advice, name: str) -> Any:
    return next(line for line in advice.lines if line.topic == name)


# ---------------------------------------------------------------- rate limits


def test_headroom_is_told_from_what_the_provider_told() -> None:
    """With limits known the nearest one is named, with the busiest minute's share of it; without, what is needed."""
    plain = topic(advise(case(ASK.shape)), "rate limits")
    assert plain.advice == "3 requests a minute are needed"
    told = {HAIKU: {"requests": Allowance(50, 49, 1.2), "input_tokens": Allowance(2_000_000, 1_000, 60.0)}}
    line = topic(advise(case(ASK.shape, limits=told, configured=HAIKU)), "rate limits")
    assert line.advice == "the busiest minute uses 6.0%"
    assert "50 requests a minute that the provider last told" in line.why
    assert line.overturned_by == "askfit loadtest ask"
    tight = {HAIKU: {"requests": Allowance(2, 2, 0.0)}}
    line = topic(advise(case(ASK.shape, limits=tight)), "rate limits")
    assert line.advice == "not enough for the busiest minute" and "1.5 times the 2 requests" in line.why


# ---------------------------------------------------------------- the five answers


def test_the_two_features_get_the_models_that_the_framework_gives_them() -> None:
    """Looked up, often, a miss annoys: small. A judgement, once, a miss has no value: large. Both clearly."""
    asked, fit = read_shape(ASK.shape, fits=True), read_shape(FIT.shape, fits=True)
    assert (asked.tier, asked.clarity) == ("small", "clear")
    assert (fit.tier, fit.clarity) == ("large", "clear")


@pytest.mark.parametrize(
    ("answers", "fits", "tier", "clarity", "said"),
    [
        (shape("retrieval", 1, "no value"), True, "small", "contradictory", "clearer pages, not a larger model"),
        (shape("synthesis", 6, "annoyance"), True, "small", "contradictory", "needs to be a judgement at all"),
        (shape("synthesis", 1, "annoyance"), True, "large", "contradictory", "needs to be a judgement at all"),
        (shape("synthesis", 10, "no value"), True, "large", "mixed", "price and its wait each time"),
        (shape("synthesis", 1, "no value"), False, "large", "mixed", "Give it less to read"),
        (shape("retrieval", 8, "annoyance", felt=False), True, "small", "mixed", "nobody feels its latency"),
    ],
)
def test_answers_that_do_not_go_together_are_said_to_be_so(
    answers: Shape, fits: bool, tier: str, clarity: str, said: str
) -> None:
    """Mixed where a lesser answer disagrees, contradictory where the two that decide do, with what helps."""
    read = read_shape(answers, fits=fits)
    assert (read.tier, read.clarity) == (tier, clarity)
    assert said in " ".join(read.conflicts)


@given(
    st.builds(
        shape,
        st.sampled_from(["retrieval", "synthesis"]),
        st.floats(0.1, 50),
        st.sampled_from(["annoyance", "no value"]),
        felt=st.booleans(),
    ),
    st.booleans(),
)
def test_every_shape_gets_a_tier_with_a_reason(answers: Shape, fits: bool) -> None:
    """No combination is left without an answer; a clear one has no answer that points elsewhere, and no conflict."""
    read = read_shape(answers, fits=fits)
    assert read.why.endswith(".") and len(read.leans) == 5
    if read.clarity == "clear":
        assert not read.conflicts and all(lean.tier in ("", read.tier) for lean in read.leans)
    else:
        assert read.conflicts or any(lean.tier not in ("", read.tier) for lean in read.leans)


def test_counted_runs_stand_above_declared_ones() -> None:
    """Declared once, counted six times a visit: the count weighs, and that they differ is told."""
    read = read_shape(shape("synthesis", 1, "no value"), fits=True, counted_runs=6)
    assert read.clarity == "mixed" and "the ledger counts 6.0" in " ".join(read.conflicts)


@pytest.mark.parametrize(("runs", "told"), [(3.02727, "3"), (2.46, "2.5"), (5, "5"), (150, "150"), (0.02, "0.02")])
def test_runs_are_told_in_figures_that_one_reads(runs: float, told: str) -> None:
    """A counted mean has no five decimals, many runs no exponent, and few are not none."""
    assert times(runs) == told


def test_a_new_feature_reuses_what_has_its_shape_and_is_routed_otherwise() -> None:
    """Same shape: reuse. Same task and same price of a miss: the model only. Otherwise: a model of its own; and what
    is looked up is nearest to what is looked up, whatever else it shares with a judgement."""
    others = {"ask": ASK.shape, "fit": FIT.shape}
    found = [
        nearest(one, others)
        for one in (
            shape("synthesis", 2, "no value"),
            shape("retrieval", 1, "annoyance", felt=False),
            shape("retrieval", 1, "no value"),
        )
    ]
    assert [(like.feature, like.verdict) for like in found if like] == [
        ("fit", "reuse"),
        ("ask", "reuse the model"),
        ("ask", "route"),
    ]
    assert found[1] and found[1].differs == ("once a visit, not 5 times", "its wait is not felt")
    assert nearest(ASK.shape, {}) is None


# ---------------------------------------------------------------- money


def drawn(chance: random.Random) -> Usage:
    total = int(10 ** chance.uniform(0, 5.9))
    read = chance.randint(0, total)
    written = chance.randint(0, total - read)
    return Usage(total, chance.randint(0, 9_000), read, written, chance.randint(0, written))


def test_costs_are_those_of_genai_prices_rounded_up_to_a_nano_dollar() -> None:
    """Every known model, cache writes by lifetime, both sides of the dearer lengths, batches too."""
    chance = random.Random(2)
    for known in known_models():
        provider, _, name = known.model.partition(":")
        for batch in (False, True):
            for usage in [drawn(chance) for _ in range(12)]:
                counts = {key: value for key, value in asdict(usage).items() if key != "estimated"}
                how = {"processing": "batch"} if batch else None
                priced = calc_price(PricedUsage(**counts), name, provider_id=provider, price_context=how)
                assert cost_nanos(known.model, usage, batch=batch) == math.ceil(priced.total_price * NANOS_PER_USD)


def test_a_batch_costs_half() -> None:
    """As Anthropic's list has it, cache writes included."""
    usage = Usage(50_000, 1_000, 10_000, 20_000, 5_000)
    assert cost_nanos(SONNET, usage, batch=True) * 2 == cost_nanos(SONNET, usage)


@given(
    per_month=st.floats(10, 5_000),
    runs=st.floats(1, 10),
    shared=st.integers(5_000, 60_000),
    fresh=st.integers(10, 5_000),
    answer=st.integers(10, 3_000),
    ttl=st.sampled_from(["", "5m", "1h"]),
)
def test_a_month_is_the_formula_by_hand(
    per_month: float, runs: float, shared: int, fresh: int, answer: int, ttl: Any
) -> None:
    """questions · [fresh·p_in + shared·p_in·(hρ+(1−h)w) + answer·p_out], Haiku 4.5's prices, to a thousandth."""
    visits = Visits(per_month, runs)
    told = month(HAIKU, Load(shared, fresh, answer), visits, ttl)
    assert told is not None
    hits = visits.hits(ttl)
    factor = hits * 0.1 + (1 - hits) * {"": 1.0, "5m": 1.25, "1h": 2.0}[ttl] if ttl else 1.0
    by_hand = per_month * runs * (fresh * 1.0 + shared * factor + answer * 5.0) / 1e6
    assert told.nanos / NANOS_PER_USD == pytest.approx(by_hand, rel=1e-3)
    assert told.least_nanos <= told.nanos <= told.most_nanos


def test_the_sum_that_is_shown_comes_to_the_figure_that_is_shown() -> None:
    """Whoever types it into a calculator gets the cost line's figure, to the rounding of its factors."""
    told = month(HAIKU, PAGES.whole, Visits(100, 5), "1h")
    assert told is not None
    left, right = told.sum.split(" = $")
    sum_ = re.sub(r" (fresh|shared|answer)", "", left).replace("×", "*").replace("$", "").replace(",", "")
    assert eval(sum_.replace("1M", "1000000")) == pytest.approx(float(right), rel=0.02)


def test_another_tokenizer_counts_in_every_part() -> None:
    """Sonnet 5 counts 1.3 tokens where Claude 4.5 counts one: question, shared part and answer alike; 2 and 10 $/M."""
    told = month("anthropic:claude-sonnet-5", Load(10_000, 1_000, 500), Visits(100, 1), "")
    assert told is not None
    assert told.nanos / NANOS_PER_USD == pytest.approx(100 * 1.3 * (11_000 * 2 + 500 * 10) / 1e6)


def test_a_dearer_length_is_counted_as_it_will_be_billed() -> None:
    """Haiku 5.5 past 100,000 tokens costs five times as much, the answer included."""
    load = Load(70_000, 500, 200)  # 1.3 times as many tokens there: 91,650
    visits, model = Visits(100, 1, given=True), "anthropic:claude-haiku-5-5"
    under, over = month(model, load, visits, ""), month(model, replace(load, shared=80_000), visits, "")
    assert under and over and over.nanos > 5 * under.nanos


def test_the_dearest_month_of_a_range_need_not_be_its_busiest() -> None:
    """Three times the visits may cost less, for more of them find the cache: the range holds what lies between."""
    visits = Visits(521, 1)
    told, busiest = (month(HAIKU, Load(5_000, 10, 10, 50), one, "1h") for one in (visits, Visits(1_563, 1)))
    assert told and busiest and busiest.nanos < told.nanos <= told.most_nanos


def test_a_guess_has_a_wide_range_and_a_count_a_narrow_one() -> None:
    """100 guessed visits may be 33 or 300; 400 counted ones differ by their spread."""
    assert Visits(100, 1).range == (100 / GUESS_WITHIN, 100 * GUESS_WITHIN)
    assert Visits(100, 1, given=True).range == (100, 100)
    fewest, most = Visits(800, 1, counted=400).range
    assert 0.8 * 800 < fewest < 800 < most < 1.2 * 800


# ---------------------------------------------------------------- the lines


def test_each_line_says_why_and_what_would_overturn_it() -> None:
    """Six lines; every one has its reason and a command, and the model's is a comparison with the other tier."""
    for of in (ASK.shape, FIT.shape):
        told = advise(case(of))
        assert [line.topic for line in told.lines] == [
            "model", "corpus", "caching", "delivery", "rate limits", "cost",
        ]  # fmt: skip
        assert all(line.why and line.overturned_by.startswith("askfit ") for line in told.lines)
        assert topic(told, "model").overturned_by.startswith("askfit compare ask --models ")


def test_a_promise_that_is_over_is_a_warning_and_one_that_is_near_too() -> None:
    """Haiku 4.5 was promised until 2026-10-15: before it nothing, near it the days, after it that it may go any day."""
    days = (date(2026, 3, 1), date(2026, 10, 1), TODAY)
    told = {day: " ".join(advise(case(ASK.shape, today=day)).warnings) for day in days}
    assert told[date(2026, 3, 1)] == ""
    assert "14 more days" in told[date(2026, 10, 1)]
    assert "37 days ago" in told[TODAY]


def test_candidates_are_named_with_their_price_and_never_advised() -> None:
    """Haiku 5.5 costs a fraction: it is named, with its comparison, while the advice stays with the settings' model."""
    told = advise(case(ASK.shape))
    assert told.model == HAIKU and told.month
    [cheaper] = told.candidates
    assert cheaper.model == "anthropic:claude-haiku-5-5" and cheaper.nanos < told.month.nanos / 5
    assert (
        cheaper.overturned_by
        == "askfit compare ask --models small,anthropic:claude-haiku-5-5 --samples golden/ask.yaml"
    )


def test_a_candidate_that_cannot_be_called_or_has_outlived_its_promise_is_not_named() -> None:
    """No other provider without its key; by 2028 every Claude's promise is over, and OpenAI's models tell none."""
    assert not any("openai" in one.model for one in advise(case(FIT.shape)).candidates)
    assert advise(case(FIT.shape, today=date(2028, 1, 1))).candidates == ()
    with_key = advise(case(FIT.shape, keys=frozenset({"anthropic", "openai"}), today=date(2028, 1, 1)))
    assert [one.model for one in with_key.candidates] == ["openai:gpt-6-sol"]


@pytest.mark.parametrize(
    ("per_month", "runs", "said"),
    [(100, 5, "pays, for five minutes"), (3_000, 1, "pays, for an hour"), (20, 1, "does not pay")],
)
def test_caching_pays_where_questions_come_close_enough(per_month: float, runs: float, said: str) -> None:
    """By the visits that are assumed, with both lifetimes' sums shown."""
    line = topic(advise(case(ASK.shape, visits=Visits(per_month, runs))), "caching")
    assert line.advice.startswith(said) and len(line.sums) == 2


def test_counted_gaps_choose_the_lifetime_that_a_server_chooses() -> None:
    """Bursts a day apart: five minutes, as the cache plan has it, with nothing left to guess."""
    gaps = (0.5, 0.5, 0.5, 0.5, 1440.0) * 10
    told = advise(case(ASK.shape, visits=Visits(30, 5, counted=10, gaps_min=gaps)))
    at = ratios(HAIKU)
    assert at is not None and told.month
    assert told.month.ttl == best_ttl(gaps, at)[0] == "5m"
    assert "Until" not in topic(told, "caching").why


def test_a_short_prefix_is_told_whether_padding_pays() -> None:
    """3,900 of 4,096 tokens, visited often: it pays, add pages. 400 tokens: it does not."""
    often = Visits(3_000, 5)
    for shared, said in ((3_900, "padding would pay"), (400, "padding would not pay")):
        reads = replace(PAGES, corpus=shared, whole=replace(PAGES.whole, shared=shared))
        line = topic(advise(case(ASK.shape, reads=reads, visits=often)), "caching")
        assert said in line.advice and f"{4096 - shared:,} short" in line.why


def test_a_corpus_past_one_prompt_is_searched_and_costs_what_its_passages_cost() -> None:
    """400,000 tokens: only the passages are sent, and the month is far from that of all of it."""
    reads = replace(PAGES, corpus=400_000, whole=replace(PAGES.whole, shared=407_000))
    told = advise(case(ASK.shape, reads=reads))
    assert topic(told, "corpus").advice == "only the passages that search finds"
    assert told.month and told.month.nanos < 5 * NANOS_PER_USD


def test_more_than_a_model_can_read_is_said_not_priced() -> None:
    """A matrix of 300,000 tokens does not fit Haiku's window: no price is invented."""
    of = shape("synthesis", 5, "annoyance")
    told = advise(case(of, reads=replace(ROWS, corpus=300_000, whole=Load(301_000, 1_800, 1_500))))
    assert told.tier == "small" and told.month is None
    assert "cannot be asked" in topic(told, "cost").advice


def test_a_month_past_the_budget_is_said_to_stop_there() -> None:
    """An owner fears a bill: the sentence says that it cannot come."""
    told = advise(case(ASK.shape, visits=Visits(10_000, 5, given=True)))
    assert "it would stop there" in topic(told, "cost").why and "$20.00" in topic(told, "cost").why


def test_nobody_waiting_means_a_batch_would_do_at_half_the_price() -> None:
    """Told with both prices, and which command sends one."""
    told = advise(case(shape("synthesis", 1, "no value", felt=False)))
    line = topic(told, "delivery")
    assert line.advice == "a batch would do" and "`askfit fit DIR`" in line.why
    streamed, batched = (float(amount) for amount in re.findall(r"\$([\d.]+)", line.sums[0]))
    assert batched == pytest.approx(streamed / 2, abs=0.01)


# ---------------------------------------------------------------- the ledger


def test_visits_are_counted_by_visitor_and_day() -> None:
    """Forty questions of ten visitors in ten days: ten visits, four questions each, thirty visits a month."""
    now_ms = 20_000 * DAY_MS
    came = [(now_ms - (day + 1) * DAY_MS + minute * 60_000, f"v{day}") for day in range(10) for minute in range(4)]
    seen = visits_from(came, now_ms, recent_days=14, declared_runs=1)
    assert seen is not None and (seen.runs, seen.counted, seen.busiest) == (4, 10, 1)
    assert seen.per_month == pytest.approx(MONTH_DAYS, rel=0.01)
    assert len(seen.gaps_min) == 39
    assert visits_from(came[:30], now_ms, recent_days=14, declared_runs=1) is None


def test_forgotten_visitors_leave_the_declared_runs() -> None:
    """Without ids nobody can tell visits apart: the settings' number of runs stands in."""
    now_ms = 20_000 * DAY_MS
    came = [(now_ms - at * 3_600_000, "") for at in range(1, 101)]
    seen = visits_from(came, now_ms, recent_days=14, declared_runs=5)
    assert seen is not None and seen.runs == 5 and seen.counted == 20


async def _fill(settings: Settings, questions: int) -> None:
    """Questions of one visitor after another, two each, an hour apart, each answered by Haiku from the cache."""
    store = open_store(settings)
    now = time.time()
    try:
        for at in range(questions):
            ledger = Ledger(store, clock=lambda at=at: now - (questions - at) * 1_800)  # type: ignore[misc]
            await ledger.open()
            attempt = Attempt(f"c{at}", f"a{at}", "ask", HAIKU, "anthropic", "sha", f"v{at // 2}")
            used = Usage(20_500, 90, 20_000, 0)
            await ledger.settle(attempt, Outcome("ok", "stop", used, 1, 5.0, 0.0))
    finally:
        await store.aclose()


async def test_the_ledger_takes_the_place_of_every_guess(sample: Settings) -> None:
    """Sixty calls: lengths, visits and gaps are theirs; nothing is said to be guessed."""
    await _fill(sample, 60)
    [told] = await advising.run(sample, advising.Options("ask"), TODAY)
    assert told.guessed == ()
    assert told.month and "500 fresh" in told.month.sum and "90 answer" in told.month.sum
    assert "lengths are those of 60 calls" in topic(told, "cost").why
    assert topic(told, "rate limits").sums[0].startswith("Busiest minute, counted")


async def test_without_a_ledger_none_is_made(sample: Settings) -> None:
    """Advice reads; it leaves no file that was not there."""
    await advising.run(sample, advising.Options(""), TODAY)
    assert sample.sqlite_file and not sample.sqlite_file.exists()


# ---------------------------------------------------------------- the command


def command(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(["advise", *args])
    told = capsys.readouterr()
    return int(str(left.value.code)), told.out, told.err


def test_the_command_tells_both_features_within_80_columns(
    sample: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Model, cost and warning come first; only commands, which shall be copied whole, run past 80 columns."""
    monkeypatch.setattr("askfit.cli.show.out.width", 80)
    code, told, _ = command(capsys, "--config", str(sample.path), "--today", "2026-11-21")
    assert code == 0
    assert "Use the small model: anthropic:claude-haiku-4-5." in told
    assert "Use the large model: anthropic:claude-sonnet-4-6." in told
    assert "All together about $" in told
    long = [line for line in told.splitlines() if len(line) > 80]
    assert all(line.lstrip().startswith("[") and "askfit compare" in line for line in long)


def test_the_command_tells_machines_the_same(sample: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON document with the day, and each feature's lines, sums, candidates and warnings."""
    code, told, _ = command(capsys, "fit", "--json", "--config", str(sample.path), "--today", "2026-11-21")
    document = json.loads(told)
    assert code == 0 and document["today"] == "2026-11-21"
    [fit] = document["features"]
    assert (fit["feature"], fit["model"], fit["clarity"]) == ("fit", SONNET, "clear")
    assert {"lines", "candidates", "warnings", "month", "guessed"} <= set(fit)


def test_a_feature_described_by_flags_is_advised_on(sample: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """The shape of fit under another name: reuse what fit uses."""
    flags = ("--task", "synthesis", "--runs", "1", "--cost-of-almost", "no value", "--latency", "felt")
    code, told, _ = command(capsys, "digest", *flags, "--config", str(sample.path))
    assert code == 0 and "REUSE  Same shape as fit" in told


async def test_a_third_feature_of_the_settings_is_advised_on(make_site: Callable[..., Settings]) -> None:
    """Declared like the two; its shape is held against theirs."""
    more = '[features.brief]\nkind = "chat"\npath = "/brief"\n[features.brief.shape]\ntask = "retrieval"\n'
    settings = make_site({"content/about.md": "# About\n\nHi."}, more)
    [told] = await advising.run(settings, advising.Options("brief"), TODAY)
    assert told.likeness and (told.likeness.feature, told.likeness.verdict) == ("ask", "reuse the model")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (advising.Options("nosuch"), "Known: ask, fit"),
        (advising.Options("", task="lookup"), 'Write "retrieval" or "synthesis"'),
        (advising.Options("", task="retrieval", cost_of_almost="bad"), 'Write "annoyance" or "no value"'),
        (advising.Options("", task="retrieval", latency="maybe"), 'Write "felt" or "not felt"'),
        (advising.Options("", runs=3), "--task retrieval or --task synthesis"),
    ],
)
async def test_a_word_that_is_not_known_gets_the_words_that_are(
    sample: Settings, options: advising.Options, said: str
) -> None:
    """One sentence and the words allowed; never a traceback."""
    with pytest.raises(UsageError) as error:
        await advising.run(sample, options, TODAY)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('task = "lookup"', 'Write "retrieval" or "synthesis".'),
        ('almost_good_enough = "fine"', 'Write "annoyance" or "no value".'),
        ('latency_felt = "a bit"', "Write true or false."),
        ("runs_per_visit = 0", "greater than 0"),
        ("runs_per_visit = 5000", "less than or equal to 1000"),
    ],
)
def test_a_shape_with_an_unknown_word_is_refused_with_the_words_allowed(tmp_path: Path, line: str, said: str) -> None:
    """In the settings as on the command line."""
    path = tmp_path / "askfit.toml"
    path.write_text(f'[site]\nname = "x"\n[corpus]\nsources = ["*.md"]\n[features.ask.shape]\n{line}\n')
    with pytest.raises(SettingsError) as error:
        load_settings(path, {})
    assert said in str(error.value) and "[features.ask.shape]" in str(error.value)
