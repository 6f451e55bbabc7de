"""How many visitors fit: the simulation against sums done by hand, and the command over loopback."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from askfit import headroom
from askfit.cli import loadtesting, main
from askfit.config import Settings, load_settings
from askfit.loadtest import wire
from askfit.loadtest.simulate import OWN_LIMIT, Case, Question, Traffic, ceilings, find, replay, simulate
from askfit.providers.scripted import ScriptedServer
from askfit.rates import Limits
from askfit.store import open_store
from askfit.types import Allowance, Call, Message, Prompt

HAIKU = "anthropic:claude-haiku-4-5"


async def nothing() -> AsyncIterator[str]:
    yield ""


PROMPT = Prompt("", "", (Message("user", "?"),), 400, cache_ttl="1h")
ASK = Call("ask", "", PROMPT, nothing)
ONE_EACH = Traffic(0, 1, 0, 10)


SMALL = Question(0, 10, 10)


def case(limits: Limits, question: Question = SMALL, **changes: Any) -> Case:
    return replace(Case(HAIKU, ASK, (question,), limits), **changes)


@pytest.mark.parametrize(
    ("limits", "question", "by_hand", "first"),
    [
        (Limits(requests=50), Question(0, 10, 10), 50, "requests"),
        (Limits(1000, 50_000, 100_000), Question(9_000, 500, 100), 100, "input_tokens"),  # 50,000 / 500: reads are free
        (Limits(1000, 1_000_000, 10_000), Question(9_000, 500, 200), 50, "output_tokens"),
    ],
    ids=["requests", "input", "output"],
)
def test_as_many_fit_as_the_sum_by_hand_says(limits: Limits, question: Question, by_hand: float, first: str) -> None:
    """One question a visit: the limit over what a question takes of it, less a little for chance; and it is named."""
    found = find(case(limits, question), ONE_EACH)
    assert 0.85 * by_hand <= found.visitors <= by_hand
    assert found.first == first
    assert found.outcome.fits and found.outcome.refused == 0
    assert ceilings(case(limits, question), 1)[first] == pytest.approx(by_hand)


def test_without_caching_the_shared_tokens_count_every_time() -> None:
    """14,500 tokens a question out of 50,000 a minute: three fit where the cache bears a hundred."""
    whole = case(Limits(1000, 50_000, 100_000), Question(14_000, 500, 100))
    assert find(whole, ONE_EACH).visitors > 80
    bare = find(replace(whole, cached=False), ONE_EACH)
    assert bare.visitors <= 50_000 / 14_500 and bare.first == "input_tokens"


def test_a_prompt_larger_than_the_limit_is_never_answered() -> None:
    """A cold prompt that no minute bears is never written to the cache, however few come."""
    outcome = simulate(case(Limits(50, 10_000, 10_000), Question(14_000, 500, 100)), replace(ONE_EACH, visitors=2))
    assert outcome.asked and not outcome.answered and not outcome.fits


def test_visits_of_five_questions_take_five_times_as_much() -> None:
    """What fits of visits with five questions is a fifth of what fits with one."""
    found = find(case(Limits(requests=50)), Traffic(0, 5, 1.5, 10))
    assert 8 <= found.visitors <= 10


def test_pacing_avoids_refusals_and_loses_no_answers() -> None:
    """Above the limit: unpaced calls are refused, paced ones never, and the model answers no fewer."""
    over = replace(ONE_EACH, visitors=60)
    paced, unpaced = (simulate(case(Limits(requests=50), paced=paced), over) for paced in (True, False))
    assert (paced.asked, paced.refused) == (unpaced.asked, 0)
    assert unpaced.refused > 20
    assert paced.answered >= unpaced.answered
    assert max(paced.waits_s) <= 2.0


def test_the_same_seed_gives_the_same_visitors() -> None:
    """Two runs of one case say the very same."""
    busy = replace(ONE_EACH, visitors=55)
    one, two = (simulate(case(Limits(requests=50)), busy) for _ in range(2))
    assert one == two


def test_ones_own_limit_is_named() -> None:
    """A visitor who asks more often than the site allows is held by the site, not by the provider."""
    hasty = Traffic(1, 20, 0.01, 10)
    outcome = simulate(case(Limits(requests=1000), per_visitor_per_minute=5), hasty)
    assert outcome.own_limit > 0 and outcome.fell_back == 0
    assert outcome.short_of.most_common(1)[0][0] == OWN_LIMIT


def test_openai_counts_what_may_be_said_and_what_is_cached() -> None:
    """Its tokens a minute bear prompt and allowance of each question: 30,000 / (1,000 + 100 + 400)."""
    one = replace(case(Limits(500, tokens=30_000), Question(1_000, 100, 50)), model="openai:gpt-6-luna")
    assert 15 <= find(one, ONE_EACH).visitors <= 20


def test_a_burst_is_reckoned_to_the_question() -> None:
    """Four there, and one more every three seconds: of twelve at once four fit, of twelve in six seconds two more."""
    outcome = replay(case(Limits(requests=20)), [0.0] * 12, 4 / 20, cached=True)
    assert outcome.answered == 4
    spread = replay(case(Limits(requests=20)), [at / 2 for at in range(12)], 4 / 20, cached=True)
    assert 5 <= spread.answered <= 6 and spread.refused == 0


# ---------------------------------------------------------------- the command

PAGES = {
    "content/about.md": "# About\n\nAnn leads a team in Lisbon. She likes tea.\n\n## Work\n\nShe built games.\n",
    "content/talks.md": "# Talks\n\nAnn spoke in Porto about fishing nets.\n",
}
QUIET = (
    '[features.ask]\nkind = "chat"\npath = "/ask-ai"\n[features.ask.shape]\ntask = "retrieval"\nruns_per_visit = 1\n'
)


@pytest.fixture
def site(make_site: Callable[..., Settings]) -> Settings:
    return make_site(PAGES, QUIET)


def run(settings: Settings, capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(["loadtest", "ask", "--config", str(settings.path), *args])
    told = capsys.readouterr()
    assert isinstance(left.value.code, int)
    return left.value.code, told.out, told.err


def test_the_command_says_how_many_fit(
    site: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """50 requests and one question a visit: about 50; checked over loopback, whatever key and address are set."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-real")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://203.0.113.1:9")  # a request to it would be refused by the tests
    page = site.root / "load.html"
    code, said, _ = run(site, capsys, "--limits", "50,50000,10000", "--json", "--html", str(page))
    (report,) = json.loads(said)
    assert code == 0
    assert 42 <= report["visitors_per_minute"] <= 50
    assert (report["first_limit"], report["limits_from"]) == ("requests", "as given by --limits")
    assert report["refused"] == 0 and report["wire"]["refused"] == 0
    assert abs(report["wire"]["answered"] - report["wire"]["simulated"]) <= 4
    assert 0 < report["wire"]["answered"] < report["wire"]["asked"]
    assert "visitors a minute fit" in page.read_text()
    assert not (site.root / "askfit.db").exists()


def test_more_than_fit_is_exit_1(
    site: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A number that was asked for and does not fit falls short; the sentence says so."""
    monkeypatch.setattr(wire, "BURST_S", 1.0)
    code, said, _ = run(site, capsys, "--tier", "1", "--visitors-per-minute", "80", "--minutes", "3")
    assert code == 1
    assert "do not fit" in said and "Tier 1 is the smallest tier" in " ".join(said.split())


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--live"], "never asks a provider"),
        (["--tier", "gold"], "Known: start, build, scale, 1."),
        (["--limits", "50"], "50,50000,10000"),
        (["--limits", "50,50000,10000", "--tier", "start"], "Give one of the two."),
        (["--visitors-per-minute", "many"], "Write a number, or 'find'."),
        (["--visitors-per-minute", "-3"], "Write a number, or 'find'."),
    ],
)
def test_bad_options_are_one_sentence(
    args: list[str], sentence: str, site: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, what is wrong and what to write; nothing is opened."""
    code, _, said = run(site, capsys, *args)
    assert code == 2 and sentence in said and said.count("\n") == 1


def test_a_model_without_known_limits_asks_for_them(
    make_site: Callable[..., Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    """Limits that nobody published for a model are not guessed; a site without a provider has none."""
    unknown = make_site(PAGES, '[models]\nsmall = "anthropic:claude-haiku-5-5"\n')
    code, _, said = run(unknown, capsys)
    assert code == 2 and "--limits REQUESTS,INPUT,OUTPUT" in said
    free = make_site(PAGES, '[models]\nsmall = "builtin"\n')
    code, _, said = run(free, capsys)
    assert code == 2 and "no rate limit holds" in said


async def test_what_the_server_was_told_is_what_is_tested_against(site: Settings) -> None:
    """The limits of the account, as its headers told a server with the same store, come before any tier's."""
    store = open_store(site)
    axes = {"requests": (70, 3), "input_tokens": (90_000, 9), "output_tokens": (9_000, 9), "tokens": (99_000, 18)}
    told = {axis: Allowance(limit, left, 60.0) for axis, (limit, left) in axes.items()}
    await headroom.keep(store, {HAIKU: told})  # type: ignore[dict-item]
    await store.aclose()
    chosen = await loadtesting._limits(site, HAIKU, loadtesting.Options())
    assert chosen.limits == Limits(70, 90_000, 9_000)
    named = await loadtesting._limits(site, HAIKU, loadtesting.Options(tier="start"))
    assert named.limits.requests == 1000


def test_nothing_of_the_owners_is_used(sample: Settings, tmp_path: Path) -> None:
    """Keys, addresses, store and Redis of the owner's are replaced before anything is opened."""
    environ = {"ANTHROPIC_API_KEY": "sk-real", "ANTHROPIC_BASE_URL": "https://example.com", "OPENAI_API_KEY": "sk-2"}
    apart = wire.on_loopback(load_settings(sample.path, environ), ScriptedServer(), tmp_path)
    secrets = apart.secrets
    assert secrets.anthropic_api_key and secrets.openai_api_key
    assert {secrets.anthropic_api_key.get_secret_value(), secrets.openai_api_key.get_secret_value()} == {"loadtest"}
    assert (secrets.anthropic_base_url or "").startswith("http://127.0.0.1")
    assert (secrets.openai_base_url or "").startswith("http://127.0.0.1")
    assert str(tmp_path) in apart.file.store.url and apart.file.store.redis_url == ""
