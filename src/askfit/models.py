"""What is known of each model: facts from models.toml, prices from genai-prices. Knows nothing of calls or budgets.

Money is integer nano-dollars, rounded up per call: a bound never errs low, and sums are exact. genai-prices takes 0.2 s
to import and is imported when a price is first asked for: the built-in never asks.
"""

from __future__ import annotations

import difflib
import json
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

from askfit.errors import SettingsError
from askfit.text import estimate_tokens
from askfit.types import NANOS_PER_USD, Prompt, Usage

if TYPE_CHECKING:
    import genai_prices

FREE_PROVIDERS = frozenset({"builtin", "scripted"})
PRICED_PROVIDERS = frozenset({"anthropic", "openai"})
# A bound must hold for text that is denser than English prose: code, figures and CJK come to about 2.3 bytes per token
# where estimate_tokens reckons 3.6.
BOUND_MARGIN = 1.6
# Anthropic adds instructions of its own and marks every chunk where documents may be cited; how much it does not say
# ("a slight increase"). A published request of two five-word chunks counted 566 tokens; a chunk's share is a guess.
CITING_TOKENS = 600
CHUNK_TOKENS = 8
LEAST_WINDOW_TOKENS = 128_000  # of the models one meets
_DATED = re.compile(r"-20\d{6}$")  # claude-haiku-4-5-20251001 is claude-haiku-4-5


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """One model as the planner sees it. The defaults are cautious: for a model that nothing is known of."""

    model: str  # "provider:name"
    tier: Literal["small", "large", ""] = ""
    window_tokens: int = LEAST_WINDOW_TOKENS
    max_output_tokens: int = 8_192
    cache_minimum_tokens: int = 0  # 0: not known
    ttls: tuple[str, ...] = ()  # that a caller may ask for; (): the provider caches by itself, or not at all
    tokenizer_ratio: float = 1.0
    dearer_past_tokens: int = 0  # 0: never
    citations: bool = False  # does the provider cite documents by itself?
    retirement: str = ""  # ISO date: not before it; "" where none is told
    source: str = "no facts: cautious defaults"
    basis: Literal["documented", "observed", ""] = ""
    date: str = ""  # ISO: when the facts were looked up

    @property
    def prices(self) -> Mapping[str, float] | None:
        """USD per million tokens of a small prompt, for people to read; None where no price is known."""
        return _prices(self.model)

    @property
    def priced(self) -> bool:
        """Is a price known? Where not, calls count as free and no budget bounds them."""
        return self.model.partition(":")[0] in FREE_PROVIDERS or self.prices is not None


def facts(model: str, place: str = "") -> ModelFacts:
    """The facts of one model; SettingsError `unknown_model`, with its place, where the provider or the name is unknown.

    A name that only genai-prices knows gets cautious facts; an endpoint that speaks OpenAI's API may serve any name.
    """
    provider, _, name = model.partition(":")
    if known := _table().get(_DATED.sub("", model)):
        return replace(known, model=model)
    if provider in FREE_PROVIDERS and name:
        return ModelFacts(model, window_tokens=1_000_000, source="askfit itself", basis="documented")
    if provider == "anthropic" and (window := _window(provider, name)):
        # The largest minimum and ratio that a Claude has had.
        return ModelFacts(
            model, "", window, cache_minimum_tokens=4096, ttls=("5m", "1h"), tokenizer_ratio=1.3, source="genai-prices"
        )
    if provider == "openai" and name:
        return ModelFacts(model, window_tokens=_window(provider, name) or LEAST_WINDOW_TOKENS)
    raise unknown(model, place)


def unknown(model: str, place: str = "") -> SettingsError:
    """The error that names the nearest known models."""
    near = difflib.get_close_matches(model, _table(), 2, 0.5)
    hint = f"Did you mean {' or '.join(near)}? " if near else f"Known: {', '.join(_table())}. "
    where = f" in {place}" if place else ""
    return SettingsError("unknown_model", f"Unknown model '{model}'{where}.", f"{hint}Run: askfit models")


def known_models() -> tuple[ModelFacts, ...]:
    """Every model with facts of its own, in the order of models.toml."""
    return tuple(_table().values())


@cache
def _table() -> dict[str, ModelFacts]:
    raw = tomllib.loads(files("askfit").joinpath("models.toml").read_text(encoding="utf-8"))
    return {model: _facts(model, values) for model, values in raw.items()}


def _facts(model: str, values: dict[str, Any]) -> ModelFacts:
    dates = {name: str(values.get(name, "")) for name in ("date", "retirement")}
    return ModelFacts(model, **{**values, **dates, "ttls": tuple(values.get("ttls", ()))})


# ---------------------------------------------------------------- prices


def _window(provider: str, name: str) -> int | None:
    """The context window of a model that genai-prices knows by this very name, a date after it allowed."""
    found = _calculate(f"{provider}:{name}", Usage(1, 1), datetime.now(UTC))
    if found is None or found.model.id not in (name, _DATED.sub("", name)):
        return None  # genai-prices also matches by beginnings: a mistyped ending would pass
    return found.model.context_window or LEAST_WINDOW_TOKENS


@cache
def _prices(model: str) -> Mapping[str, float] | None:
    parts = {
        "input": Usage(1000),
        "output": Usage(0, 1000),
        "cache_read": Usage(1000, 0, 1000),
        "cache_write": Usage(1000, 0, 0, 1000),
        "cache_write_1h": Usage(1000, 0, 0, 1000, 1000),
    }
    costs = {name: price(model, usage) for name, usage in parts.items()}
    return {name: float(cost * 1000) for name, cost in costs.items() if cost is not None} or None


def price(model: str, usage: Usage, at: datetime | None = None, *, batch: bool = False) -> Decimal | None:
    """What a usage costs in USD, by the prices of its day; None where no price is known.

    `batch`: run whenever the provider likes within a day. Where it has no price for that, its usual one.
    """
    if model.partition(":")[0] not in PRICED_PROVIDERS:
        return None
    found = _calculate(model, usage, at or datetime.now(UTC), batch=batch)
    return found.total_price if found else None


def _calculate(
    model: str, usage: Usage, at: datetime, *, batch: bool = False
) -> genai_prices.types.PriceCalculation | None:
    import genai_prices

    # An endpoint may count wrongly, and genai-prices refuses parts that exceed their whole: the dearer reading holds.
    read, written_1h = max(0, usage.cache_read_tokens), max(0, usage.cache_write_1h_tokens)
    written = max(usage.cache_write_tokens, written_1h)
    counts = genai_prices.Usage(
        input_tokens=max(usage.input_tokens, read + written),
        output_tokens=max(0, usage.output_tokens),
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=written_1h,
    )
    provider, _, name = model.partition(":")
    how = {"processing": "batch"} if batch else None
    try:
        return genai_prices.calc_price(
            counts, name, provider_id=provider, genai_request_timestamp=at, price_context=how
        )
    except LookupError:
        return None


def cost_nanos(model: str, usage: Usage, at: datetime | None = None, *, batch: bool = False) -> int:
    """What a call cost, in nano-dollars rounded up; 0 where the model is free or has no known price."""
    cost = price(model, usage, at, batch=batch)
    return int((cost * NANOS_PER_USD).to_integral_value(ROUND_CEILING)) if cost is not None else 0


# ---------------------------------------------------------------- bounds


def given(model: str, prompt: Prompt) -> Prompt:
    """The form of the prompt that this model gets: with documents to cite where its provider cites by itself."""
    return prompt.cited if prompt.cited and facts(model).citations else prompt


def prompt_tokens(model: str, prompt: Prompt) -> int:
    """An estimate of what the model will count as input."""
    asked = given(model, prompt)
    schema = json.dumps(dict(asked.output_schema)) if asked.output_schema else ""
    chunks = [chunk.text for document in (*asked.documents, *asked.found) for chunk in document]
    parts = (asked.instructions, asked.prefix, schema, *(message.text for message in asked.messages), *chunks)
    citing = CITING_TOKENS + CHUNK_TOKENS * len(chunks) if chunks else 0
    return math.ceil((sum(map(estimate_tokens, parts)) + citing) * facts(model).tokenizer_ratio)


def max_cost_nanos(model: str, prompt: Prompt, *, batch: bool = False) -> int:
    """The most that a call can cost: dense text, nothing read from the cache, all of it written, all output used."""
    if model.partition(":")[0] in FREE_PROVIDERS:
        return 0
    tokens = math.ceil(prompt_tokens(model, prompt) * BOUND_MARGIN)
    output = given(model, prompt).max_output_tokens
    worst = [Usage(tokens, output), Usage(tokens, output, 0, tokens)]  # OpenAI writes without being asked
    if prompt.cache_ttl == "1h":
        worst.append(Usage(tokens, output, 0, tokens, tokens))
    return max(cost_nanos(model, usage, batch=batch) for usage in worst)
