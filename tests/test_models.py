"""Facts of models and what calls cost: never less than genai-prices says, exact to the nano-dollar."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal

import genai_prices
import pytest
from hypothesis import given
from hypothesis import settings as drawn
from hypothesis import strategies as st

from askfit.errors import SettingsError
from askfit.models import cost_nanos, facts, known_models, max_cost_nanos, price, prompt_tokens
from askfit.types import Message, Prompt, Usage

MODELS = [known.model for known in known_models()]
TODAY = datetime(2026, 11, 21, tzinfo=UTC)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """Any usage whose parts fit into their whole, long prompts included."""
    read, write, plain = (draw(st.integers(0, most)) for most in (300_000, 300_000, 100_000))
    return Usage(read + write + plain, draw(st.integers(0, 64_000)), read, write, draw(st.integers(0, write)))


@given(model=st.sampled_from(MODELS), usage=usages())
@drawn(max_examples=300, deadline=None)
def test_a_cost_is_what_genai_prices_says_rounded_up_to_a_nano_dollar(model: str, usage: Usage) -> None:
    """Cache reads, writes for five minutes and for an hour, and prices by prompt length, all included."""
    provider, name = model.split(":")
    counts = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
    )
    said = genai_prices.calc_price(counts, name, provider_id=provider, genai_request_timestamp=TODAY).total_price
    nanos = cost_nanos(model, usage, TODAY)
    assert 0 <= Decimal(nanos) - said * 10**9 < 1


# NOTES: $ per million tokens: input, written for 5 minutes, for an hour, read, output.
PRICES = {
    "anthropic:claude-haiku-4-5": (1, 1.25, 2, 0.10, 5),
    "anthropic:claude-sonnet-4-6": (3, 3.75, 6, 0.30, 15),
    "anthropic:claude-haiku-5-5": (0.10, 0.125, 0.20, 0.01, 0.50),
    "anthropic:claude-sonnet-5": (2, 2.5, 4, 0.20, 10),
    "anthropic:claude-sonnet-5-5": (2, 2.5, 4, 0.10, 10),
    "anthropic:claude-opus-5-5": (4, 5, 8, 0.20, 20),
}


@pytest.mark.parametrize("model", PRICES)
def test_prices_are_those_that_were_looked_up(model: str) -> None:
    """A release of genai-prices that changes or loses a price is noticed here."""
    prices = facts(model).prices
    assert prices is not None
    told = tuple(prices[name] for name in ("input", "cache_write", "cache_write_1h", "cache_read", "output"))
    assert told == pytest.approx(PRICES[model])


@pytest.mark.parametrize("model", MODELS)
def test_every_model_in_the_table_is_priced_dated_and_sourced(model: str) -> None:
    """A fact without its source and date does not enter; a price that nobody knows would leave the budget open."""
    known = facts(model)
    assert known.priced
    assert known.source and known.basis in ("documented", "observed")
    assert date.fromisoformat(known.date) <= date.today()
    assert not known.retirement or date.fromisoformat(known.retirement)
    assert known.tier in ("small", "large")
    assert 0 < known.max_output_tokens < known.window_tokens
    assert 512 <= known.cache_minimum_tokens <= 4096


def test_a_long_prompt_costs_five_times_as_much_on_haiku_5_5() -> None:
    """Every token of it, output included, from one token past 100,000 on."""
    at, past = (cost_nanos("anthropic:claude-haiku-5-5", Usage(tokens, 1000)) for tokens in (100_000, 100_001))
    assert past == pytest.approx(5 * at, rel=1e-4)


def test_what_is_free_costs_nothing_and_needs_no_price_list() -> None:
    """The built-in and the test double never import genai-prices, nor do the facts of the defaults."""
    code = (
        "import sys\n"
        "from askfit.models import *\n"
        "from askfit.types import *\n"
        "assert cost_nanos('builtin:builtin', Usage(10, 10)) == 0\n"
        "assert max_cost_nanos('scripted:concise', Prompt('a', 'b', (Message('user', 'c'),), 100)) == 0\n"
        "assert facts('builtin:builtin').priced and facts('anthropic:claude-haiku-4-5').cache_minimum_tokens == 4096\n"
        "assert len(known_models()) >= 6\n"
        "assert 'genai_prices' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("anthropic:opus-9", "claude-opus-5-5"),
        ("anthropic:claude-haiku-4.5", "claude-haiku-4-5"),
        ("anthropic:claude-haiku-4-5x", "claude-haiku-4-5"),
        ("claude-haiku-4-5", "anthropic:claude-haiku-4-5"),
        ("mistral:large", "anthropic:"),
        ("anthropic:", "anthropic:"),
        ("openai:", "openai:"),
        ("scripted:", "anthropic:"),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest_known(name: str, near: str) -> None:
    """A misspelt model stops the start with what was probably meant."""
    with pytest.raises(SettingsError) as caught:
        facts(name)
    assert caught.value.code == "unknown_model"
    assert name in caught.value.message
    assert near in caught.value.next_step
    assert "askfit models" in caught.value.next_step


def test_a_dated_name_is_the_model_without_its_date() -> None:
    """Anthropic's pinned names are accepted as they stand."""
    known = facts("anthropic:claude-haiku-4-5-20251001")
    assert (known.model, known.cache_minimum_tokens) == ("anthropic:claude-haiku-4-5-20251001", 4096)
    assert known.priced


def test_a_model_that_only_genai_prices_knows_gets_cautious_facts() -> None:
    """Newer than our table: priced, with the largest cache minimum and tokenizer ratio there have been."""
    known = facts("anthropic:claude-opus-5")
    assert known.priced
    assert (known.window_tokens, known.cache_minimum_tokens, known.tokenizer_ratio) == (1_000_000, 4096, 1.3)


def test_a_local_model_has_no_price_and_says_so() -> None:
    """Whatever an Ollama serves is allowed; it counts as free, and `priced` tells that no budget bounds it."""
    known = facts("openai:qwen3:8b")
    assert not known.priced
    assert known.prices is None
    assert cost_nanos("openai:qwen3:8b", Usage(1000, 1000)) == 0
    assert price("openai:qwen3:8b", Usage(1000, 1000)) is None


ODD = (Usage(10, 5, 100), Usage(10, 5, 0, 3, 9), Usage(-5, -5, -5, -5, -5), Usage(0, 0, 7, 7, 7))


@pytest.mark.parametrize("usage", ODD)
def test_counts_that_contradict_themselves_are_read_as_the_dearer(usage: Usage) -> None:
    """An endpoint that reports more cache than input must not break the ledger, nor make the call look cheap."""
    told = [max(0, count) for count in (usage.output_tokens, usage.cache_read_tokens, usage.cache_write_1h_tokens)]
    floor = told[0] * 5000 + told[1] * 100 + told[2] * 2000  # Haiku 4.5's nano-dollars a token
    assert cost_nanos("anthropic:claude-haiku-4-5", usage) >= floor


# ---------------------------------------------------------------- bounds


@given(
    model=st.sampled_from(MODELS),
    prefix=st.text(max_size=400).map(lambda text: text * 40),
    question=st.text(max_size=300),
    ttl=st.sampled_from(["", "5m", "1h"]),
    dense=st.floats(0.2, 1.6),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
@drawn(max_examples=150, deadline=None)
def test_no_call_costs_more_than_was_reserved_for_it(
    model: str, prefix: str, question: str, ttl: str, dense: float, shares: tuple[float, float]
) -> None:
    """Whatever part is read, written or plain, for text up to 1.6 times as dense as estimated."""
    prompt = Prompt("Answer.", prefix, (Message("user", question),), 700, cache_ttl=ttl)  # type: ignore[arg-type]
    tokens = int(prompt_tokens(model, prompt) * dense)
    written = int(tokens * shares[0]) if ttl or model.startswith("openai:") else 0
    read = int((tokens - written) * shares[1])
    usage = Usage(tokens, 700, read, written, written if ttl == "1h" else 0)
    assert cost_nanos(model, usage) <= max_cost_nanos(model, prompt)


def test_the_schema_of_an_answer_counts_as_input() -> None:
    """It is sent with every request, so it is paid for."""
    plain = Prompt("Judge.", "", (Message("user", "posting"),), 100)
    formed = Prompt("Judge.", "", (Message("user", "posting"),), 100, output_schema={"properties": {"a" * 400: {}}})
    assert prompt_tokens(MODELS[0], formed) > prompt_tokens(MODELS[0], plain) + 100
