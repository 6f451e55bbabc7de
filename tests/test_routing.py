"""Which model answers, whether it sees the whole corpus, and whether that is cached: pure rules."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from askfit.config import Settings
from askfit.errors import SettingsError
from askfit.routing import BUILTIN, cache_plan, candidates, check_model_names, regime

MakeSite = Callable[..., Settings]
HAIKU, SONNET = "anthropic:claude-haiku-4-5", "anthropic:claude-sonnet-4-6"
KEY = {"ANTHROPIC_API_KEY": "x"}
SKILLS = '[skills]\npath = "skills.csv"\n'


def test_the_feature_s_model_comes_first_then_its_fallbacks(make_site: MakeSite) -> None:
    """`small` and `large` are what the settings say they are."""
    settings = make_site({}, SKILLS, KEY)
    assert candidates(settings, "ask") == (HAIKU, BUILTIN)
    assert candidates(settings, "fit") == (SONNET, BUILTIN)


def test_without_a_key_the_built_in_is_all_there_is(make_site: MakeSite) -> None:
    """The site never goes dark for want of a key, not even where the owner left the built-in out."""
    assert candidates(make_site({}), "ask") == (BUILTIN,)
    assert candidates(make_site({}, "[features.ask]\nfallback = []\n"), "ask") == (BUILTIN,)


@pytest.mark.parametrize("environ", [{"OPENAI_API_KEY": "x"}, {"OPENAI_BASE_URL": "http://127.0.0.1:11434/v1"}])
def test_openai_is_usable_with_a_key_or_an_address(make_site: MakeSite, environ: dict[str, str]) -> None:
    """A local server asks for no key."""
    settings = make_site({}, '[features.ask]\nmodel = "openai:qwen3:8b"\nfallback = ["small", "builtin"]\n', environ)
    assert candidates(settings, "ask") == ("openai:qwen3:8b", BUILTIN)


def test_an_order_keeps_what_is_usable_and_names_nothing_twice(make_site: MakeSite) -> None:
    """Fallbacks may repeat the model; the test double needs no key."""
    toml = '[features.ask]\nmodel = "large"\nfallback = ["small", "scripted:concise", "large"]\n'
    assert candidates(make_site({}, toml, KEY), "ask") == (SONNET, HAIKU, "scripted:concise")
    assert candidates(make_site({}, toml), "ask") == ("scripted:concise",)


def test_a_tier_may_be_the_built_in(make_site: MakeSite) -> None:
    """An owner with a key may still want no model for one tier."""
    settings = make_site({}, '[models]\nsmall = "builtin"\n', KEY)
    check_model_names(settings)
    assert candidates(settings, "ask") == (BUILTIN,)


@pytest.mark.parametrize(
    ("toml", "place"),
    [
        ('[models]\nsmall = "anthropic:opus-9"\n', "askfit.toml [models] small"),
        ('[features.ask]\nmodel = "anthropic:opus-9"\n', "askfit.toml [features.ask]"),
        ('[features.ask]\nfallback = ["anthropic:opus-9"]\n', "askfit.toml [features.ask]"),
    ],
)
def test_a_misspelt_model_is_told_with_its_place(make_site: MakeSite, toml: str, place: str) -> None:
    """In the tiers, as a feature's model, as a fallback: at the start, not at the first question."""
    with pytest.raises(SettingsError) as caught:
        check_model_names(make_site({}, toml))
    assert caught.value.code == "unknown_model"
    assert caught.value.message == f"Unknown model 'anthropic:opus-9' in {place}."


def test_openai_s_own_names_are_checked_and_a_local_server_s_are_not(make_site: MakeSite) -> None:
    """A misspelt name at OpenAI would only fail when called; what an Ollama serves nobody can know."""
    toml = '[models]\nsmall = "openai:gtp-6-luna"\n'
    with pytest.raises(SettingsError) as caught:
        check_model_names(make_site({}, toml, {"OPENAI_API_KEY": "x"}))
    assert "openai:gpt-6-luna" in caught.value.next_step
    check_model_names(make_site({}, toml, {"OPENAI_BASE_URL": "http://127.0.0.1:11434/v1"}))
    check_model_names(make_site({}, '[models]\nsmall = "openai:gpt-6-luna"\n', {"OPENAI_API_KEY": "x"}))


# ---------------------------------------------------------------- regime and cache


@pytest.mark.parametrize(
    ("model", "tokens", "expected"),
    [
        (HAIKU, 60_000, "whole"),
        (HAIKU, 60_001, "retrieval"),
        ("anthropic:claude-haiku-5-5", 46_000, "whole"),  # counts 1.3 times as many
        ("anthropic:claude-haiku-5-5", 47_000, "retrieval"),
        (BUILTIN, 1_000, "whole"),
        (SONNET, 0, "whole"),
    ],
)
def test_the_whole_corpus_while_it_fits_the_price_and_the_window(model: str, tokens: int, expected: str) -> None:
    """Past that, passages; a tokenizer that counts more reaches the bound sooner."""
    assert regime(model, tokens) == expected


def test_no_whole_prompt_ever_reaches_the_dearer_price_or_the_window() -> None:
    """With history, question and answer beside the corpus."""
    from askfit.models import known_models
    from askfit.routing import HEADROOM_TOKENS

    for known in known_models():
        whole = max(n for n in range(0, 1_100_000, 500) if regime(known.model, n) == "whole")
        counted = whole * known.tokenizer_ratio + HEADROOM_TOKENS
        assert counted <= min(known.window_tokens, known.dearer_past_tokens or known.window_tokens)


def test_real_arrivals_choose_the_ttl() -> None:
    """A steady trickle keeps an hour, bursts a day apart five minutes, rare visitors nothing; the figures are said."""
    steady = cache_plan(HAIKU, 9000, [20.0] * 40)
    assert (steady.ttl, steady.cacheable) == ("1h", True)
    assert "100% of the last 41 questions" in steady.reason
    assert cache_plan(HAIKU, 9000, [0.5, 0.5, 0.5, 0.5, 0.5, 1440.0] * 10).ttl == "5m"
    rare = cache_plan(HAIKU, 9000, [600.0] * 40)
    assert (rare.ttl, rare.cacheable) == ("", False)
    assert "too far apart" in rare.reason


def test_few_arrivals_leave_the_guess() -> None:
    """Under thirty gaps nothing is concluded: an hour for what is asked often in a visit, else five minutes."""
    assert cache_plan(HAIKU, 9000, [600.0] * 10).ttl == "1h"
    assert cache_plan(HAIKU, 9000, [600.0] * 10, 1).ttl == "5m"


@pytest.mark.parametrize(("gap_min", "said"), [(10.0, "would pay: add pages"), (600.0, "would not pay")])
def test_under_the_minimum_the_plan_says_whether_padding_pays(gap_min: float, said: str) -> None:
    """3,000 tokens, a minimum of 4,096: with steady visitors the cache would be cheaper, with rare ones not."""
    assert said in cache_plan(HAIKU, 3000, [gap_min] * 40).reason


@pytest.mark.parametrize(
    ("model", "tokens", "cacheable", "ttl", "said"),
    [
        (HAIKU, 4096, True, "1h", "above"),
        (HAIKU, 4000, False, "1h", "96 short"),  # near enough for the estimate to err: marked all the same
        (HAIKU, 2000, False, "", "2,096 short"),
        (SONNET, 2047, False, "1h", "1 short of the model's minimum of 2,048"),
        ("anthropic:claude-haiku-5-5", 400, True, "1h", "about 520 tokens"),
        ("openai:gpt-6-luna", 5000, True, "", "by itself"),
        ("openai:gpt-6-luna", 500, False, "", "524 short"),
        ("openai:qwen3:8b", 5000, False, "", "by itself"),
        (BUILTIN, 5000, False, "", "nothing to cache"),
        (HAIKU, 0, False, "", "no shared prefix"),
    ],
)
def test_a_cache_plan_says_whether_how_long_and_why(
    model: str, tokens: int, cacheable: bool, ttl: str, said: str
) -> None:
    """Under the minimum a provider caches nothing and says nothing: we do."""
    plan = cache_plan(model, tokens)
    assert (plan.cacheable, plan.ttl) == (cacheable, ttl)
    assert said in plan.reason
