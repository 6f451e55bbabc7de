"""What a prompt cache costs and saves: the arithmetic of TTLs and padding. Calls nothing, stores nothing.

A prefix is written at `write` times its input price and read at `read` times it; a read begins its TTL anew. Where
visitors come by chance, λ a minute, the visit before was less than T minutes ago with probability h = 1 − e^(−λT), so
a prefix costs h·read + (1−h)·write of what it costs uncached. Where real gaps are known they are counted instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from askfit.models import facts

Ttl = Literal["", "5m", "1h"]
MINUTES: dict[Ttl, float] = {"5m": 5.0, "1h": 60.0}
FEWEST_GAPS = 30  # before which arrivals say too little, and an hour is the sound guess


@dataclass(frozen=True, slots=True)
class Ratios:
    """Prices of a cached prefix over the model's input price."""

    read: float
    write: dict[Ttl, float]


def ratios(model: str) -> Ratios | None:
    """A model's price ratios for the TTLs that it offers; None where it offers none or has no known price."""
    known = facts(model)
    prices = known.prices
    if not prices or not prices.get("input") or not known.ttls:
        return None
    per_input = {name: price / prices["input"] for name, price in prices.items()}
    named: dict[Ttl, str] = {"5m": "cache_write", "1h": "cache_write_1h"}
    return Ratios(per_input["cache_read"], {ttl: per_input[name] for ttl, name in named.items() if ttl in known.ttls})


def hit_rate(per_minute: float, ttl: Ttl) -> float:
    """The share of calls that find the prefix, where calls come by chance, `per_minute` on average."""
    return 1 - math.exp(-per_minute * MINUTES[ttl]) if ttl else 0.0


def hits_in(gaps_min: Sequence[float], ttl: Ttl) -> float:
    """The share of calls whose call before was less than the TTL ago, from the minutes between real calls."""
    return sum(gap < MINUTES[ttl] for gap in gaps_min) / len(gaps_min) if ttl and gaps_min else 0.0


def cost_factor(hit: float, ttl: Ttl, at: Ratios) -> float:
    """What a prefix costs of its uncached price, at a hit rate."""
    return hit * at.read + (1 - hit) * at.write[ttl] if ttl else 1.0


def best_ttl(gaps_min: Sequence[float], at: Ratios) -> tuple[Ttl, float]:
    """(the TTL that would have cost least over these gaps, its cost factor); "" where not caching would have."""
    choices: list[tuple[float, Ttl]] = [(1.0, "")]
    choices += [(cost_factor(hits_in(gaps_min, ttl), ttl, at), ttl) for ttl in at.write]
    factor, ttl = min(choices)
    return ttl, factor


def uses_to_pay(ttl: Ttl, at: Ratios) -> float:
    """How many uses in one TTL a written prefix needs to cost less than sending it anew: N > (w − ρ) / (1 − ρ)."""
    return (at.write[ttl] - at.read) / (1 - at.read)


def padding_pays(prefix_tokens: int, minimum_tokens: int, hit: float, ttl: Ttl, at: Ratios) -> bool:
    """Is a prefix under the model's minimum cheaper padded up to it and cached than sent as it is?"""
    if not 0 < prefix_tokens < minimum_tokens or not ttl:
        return False
    return minimum_tokens * cost_factor(hit, ttl, at) < prefix_tokens
