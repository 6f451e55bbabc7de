"""What recorded traffic would have cost otherwise: without the cache, on other models. Calls nothing, stores nothing.

It reckons with the ledger's cells, sums of calls that lie on the same side of every length at which a price or a cache
changes: within a cell every price is so much a token, and a year of calls is some hundreds of sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TypeVar

from askfit.ledger import Cell, Edges
from askfit.models import FREE_PROVIDERS, facts, known_models, price
from askfit.types import NANOS_PER_USD, Usage

Key = TypeVar("Key", bound=Hashable)
STEP_TOKENS = 1_000_000  # over which a price per token is taken: finer than any price is told
ANSWER_WITHIN = 1.5  # another model may answer so many times as long, or as short: a guess (2026-11-21)
COUNT_WITHIN = 1.1  # and its tokenizer differ by so much from what is documented of it: a guess too
NOON = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Rates:
    """Nano-dollars per token; a fraction where a price is finer than that."""

    fresh: float
    read: float
    written_5m: float
    written_1h: float
    output: float


@dataclass(frozen=True, slots=True)
class Tokens:
    """How the tokens of some calls are billed."""

    fresh: float
    read: float
    written_5m: float
    written_1h: float
    output: float

    def cost(self, at: Rates) -> float:
        """In nano-dollars."""
        return (
            self.fresh * at.fresh
            + self.read * at.read
            + self.written_5m * at.written_5m
            + self.written_1h * at.written_1h
            + self.output * at.output
        )

    def uncached(self) -> Tokens:
        """The same, had nothing been cached."""
        return Tokens(self.fresh + self.read + self.written_5m + self.written_1h, 0, 0, 0, self.output)

    def times(self, prompt: float, answer: float) -> Tokens:
        """As another tokenizer counts them."""
        return Tokens(
            self.fresh * prompt, self.read * prompt, self.written_5m * prompt, self.written_1h * prompt,
            self.output * answer,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Otherwise:
    """What the same traffic would have cost on one model, in nano-dollars, with the least and most that may well be."""

    model: str
    by_feature: dict[str, int]
    nanos: int
    least_nanos: int
    most_nanos: int
    own_calls: int  # that this model did answer: their cost is no guess
    uncached_calls: int  # whose cached part is too short for this model's cache


@dataclass(frozen=True, slots=True)
class Sums:
    """Some calls together."""

    calls: int
    failed: int
    cancelled: int  # the visitor left
    stood_in: int  # the built-in in place of a model: it failed, rested, or the budget was spent
    estimated: int  # whose provider did not tell the counts
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cost_nanos: int
    saved_nanos: int  # by the cache; below 0 where it cost more than it saved

    @property
    def hit_rate(self) -> float | None:
        """The part of what could be cached that was read from the cache; None where nothing was cached."""
        cached = self.cache_read_tokens + self.cache_write_tokens
        return self.cache_read_tokens / cached if cached else None


SUMMED = (
    "calls",
    "estimated",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cost_nanos",
)
ENDED = ("ok", "cancelled")


def sums(cells: Iterable[Cell]) -> Sums:
    """All of them together."""
    cells = list(cells)
    return Sums(
        **{name: sum(getattr(cell, name) for cell in cells) for name in SUMMED},
        failed=sum(cell.calls for cell in cells if cell.outcome not in ENDED),
        cancelled=sum(cell.calls for cell in cells if cell.outcome == "cancelled"),
        stood_in=sum(cell.calls for cell in cells if cell.stood_in),
        saved_nanos=saved_nanos(cells),
    )


def sums_by(cells: Iterable[Cell], key: Callable[[Cell], Key]) -> dict[Key, Sums]:
    """The sums by feature, model, day or several of them; keys in the order in which they come."""
    groups: dict[Key, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(key(cell), []).append(cell)
    return {of: sums(group) for of, group in groups.items()}


# ---------------------------------------------------------------- prices


@lru_cache(maxsize=4096)
def rates(model: str, *, long: bool = False, at: datetime | None = None, batch: bool = False) -> Rates | None:
    """A model's prices per token as genai-prices has them at a time; None where it knows none.

    `long`: of a call whose prompt is past the length from which everything is dearer.
    """
    base = facts(model).dearer_past_tokens + 1 if long else 0
    step = STEP_TOKENS if long or not facts(model).dearer_past_tokens else facts(model).dearer_past_tokens

    def per_token(more: Usage) -> float | None:
        with_more = price(model, Usage(base) + more, at, batch=batch)
        without = price(model, Usage(base), at, batch=batch)
        return None if with_more is None or without is None else float((with_more - without) * NANOS_PER_USD / step)

    parts = (
        per_token(Usage(step)),
        per_token(Usage(step, 0, step)),
        per_token(Usage(step, 0, 0, step)),
        per_token(Usage(step, 0, 0, step, step)),
        per_token(Usage(0, step)),
    )
    known = [part for part in parts if part is not None]
    return Rates(*known) if len(known) == len(parts) else None


def edges() -> Edges:
    """Every size at which some known model's price or caching changes, as any known tokenizer counts it."""
    known = known_models()
    ratios = {one.tokenizer_ratio / other.tokenizer_ratio for one in known for other in known}
    over = {math.floor(one.dearer_past_tokens / ratio) for one in known if one.dearer_past_tokens for ratio in ratios}
    least = {math.ceil(one.cache_minimum_tokens / ratio) for one in known for ratio in ratios}
    return Edges(tuple(sorted(over)), tuple(sorted(least)))


# ---------------------------------------------------------------- without the cache


def saved_nanos(cells: Iterable[Cell]) -> int:
    """What the cache saved: the same calls' cost uncached, by the prices of their day, less what they cost.

    Below 0 where more was written than read. Calls that cached nothing count for nothing.
    """
    saved = 0.0
    for cell in cells:
        cached = cell.cache_read_tokens + cell.cache_write_tokens
        if not cached or not cell.cost_nanos:
            continue
        long = 0 < facts(cell.model).dearer_past_tokens < cell.least_input_tokens
        if known := rates(cell.model, long=long, at=_noon(cell.day_ms), batch=cell.batch):
            saved += tokens_of(cell).uncached().cost(known) - cell.cost_nanos
    return round(saved)


def _noon(day_ms: int) -> datetime:
    return datetime.fromtimestamp(day_ms / 1000, UTC) + NOON


def tokens_of(cell: Cell) -> Tokens:
    """A cell's tokens by how they are billed."""
    return Tokens(
        max(0, cell.input_tokens - cell.cache_read_tokens - cell.cache_write_tokens),
        cell.cache_read_tokens,
        cell.cache_write_tokens - cell.cache_write_1h_tokens,
        cell.cache_write_1h_tokens,
        cell.output_tokens,
    )


# ---------------------------------------------------------------- on another model


def reckoned(cells: Iterable[Cell]) -> list[Cell]:
    """The cells whose tokens are known: the built-in counts none."""
    return [cell for cell in cells if cell.input_tokens or cell.output_tokens]


def otherwise(cells: Sequence[Cell], now: datetime) -> tuple[Otherwise, ...]:
    """What each known model would have cost for this traffic, by the prices of now, cheapest first.

    The same questions and hits are taken, and answers of the same length. Where a model answered itself, that is exact;
    else the range is that of answers 1.5 times shorter or longer and of a tokenizer 10% off what is documented, and its
    dear end lets a provider that caches by itself cache nothing.
    """
    counted = reckoned(cells)
    used = dict.fromkeys(cell.model for cell in counted)
    models = dict.fromkeys([*(one.model for one in known_models()), *used])
    found = [_on(model, counted, now) for model in models if _has_price(model)]
    return tuple(sorted(found, key=lambda one: (one.nanos, one.model))) if counted else ()


def _has_price(model: str) -> bool:
    return model.partition(":")[0] not in FREE_PROVIDERS and facts(model).priced


def _on(model: str, cells: Sequence[Cell], now: datetime) -> Otherwise:
    by_feature: dict[str, float] = {}
    least = most = 0.0
    uncached = 0
    for cell in cells:
        cost = _coster(model, cell, now)
        likely = cost(1.0, 1.0, True)
        by_feature[cell.feature] = by_feature.get(cell.feature, 0.0) + likely
        own = cell.model == model
        by_itself = not facts(model).ttls
        least += likely if own else cost(1 / COUNT_WITHIN, 1 / ANSWER_WITHIN, True)
        most += likely if own else cost(COUNT_WITHIN, ANSWER_WITHIN, not by_itself)
        uncached += cell.calls if cell.least_cached_tokens and not _caches(model, cell) else 0
    return Otherwise(
        model,
        {name: round(nanos) for name, nanos in by_feature.items()},
        round(sum(by_feature.values())),
        round(least),
        round(most),
        sum(cell.calls for cell in cells if cell.model == model),
        uncached,
    )


def _coster(model: str, cell: Cell, now: datetime) -> Callable[[float, float, bool], float]:
    """What a cell costs on a model, given by how much prompt and answer differ and whether it caches."""
    ratio = _ratio(model, cell.model)
    tokens = tokens_of(cell).times(ratio, ratio)
    past = facts(model).dearer_past_tokens

    def cost(prompt: float, answer: float, cached: bool) -> float:
        long = 0 < past < cell.least_input_tokens * ratio
        known = rates(model, long=long, at=now, batch=cell.batch)
        taken = tokens.times(prompt, answer)
        kept = taken if cached and _caches(model, cell) else taken.uncached()
        return kept.cost(known) if known else 0.0

    return cost


def _caches(model: str, cell: Cell) -> bool:
    """Is what was cached long enough for this model's cache?"""
    return cell.least_cached_tokens * _ratio(model, cell.model) >= facts(model).cache_minimum_tokens


def _ratio(model: str, other: str) -> float:
    """Tokens that a model counts where another counts one."""
    return facts(model).tokenizer_ratio / facts(other).tokenizer_ratio
