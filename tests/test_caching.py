"""The arithmetic of caching, held against simulated arrivals and brute force."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askfit.caching import (
    MINUTES,
    Ratios,
    Ttl,
    best_ttl,
    cost_factor,
    hit_rate,
    hits_in,
    padding_pays,
    ratios,
    uses_to_pay,
)

CLAUDE = Ratios(0.1, {"5m": 1.25, "1h": 2.0})


def arrivals(per_minute: float, count: int = 20_000) -> list[float]:
    """Minutes between calls that come by chance."""
    chance = random.Random(7)
    return [chance.expovariate(per_minute) for _ in range(count)]


def paid(gaps: list[float], ttl: Ttl, at: Ratios) -> float:
    """What each call's prefix costs, counted call by call: read where the last use is within the TTL, else written."""
    total = 0.0
    for gap in gaps:
        total += 1.0 if not ttl else at.read if gap < MINUTES[ttl] else at.write[ttl]
    return total / len(gaps)


def test_ratios_are_those_of_the_price_list() -> None:
    """Haiku 4.5: 1.25 to write for five minutes, 2 for an hour, 0.1 to read; the built-in has none."""
    assert ratios("anthropic:claude-haiku-4-5") == CLAUDE
    assert ratios("builtin:builtin") is None


@pytest.mark.parametrize("ttl", ["5m", "1h"])
@pytest.mark.parametrize("per_minute", [0.002, 0.01, 0.05, 0.2, 1.0, 5.0])
def test_the_predicted_hit_rate_and_cost_are_those_of_simulated_arrivals(per_minute: float, ttl: Ttl) -> None:
    """Within two points of hit rate and 5% of cost over 20,000 calls."""
    gaps = arrivals(per_minute)
    assert hit_rate(per_minute, ttl) == pytest.approx(hits_in(gaps, ttl), abs=0.02)
    assert cost_factor(hit_rate(per_minute, ttl), ttl, CLAUDE) == pytest.approx(paid(gaps, ttl, CLAUDE), rel=0.05)


@given(
    gaps=st.lists(st.floats(0, 300), min_size=1, max_size=60),
    read=st.floats(0.05, 0.5),
    short=st.floats(1.0, 1.5),
    longer=st.floats(0.0, 1.5),
)
def test_the_best_ttl_is_what_brute_force_finds(gaps: list[float], read: float, short: float, longer: float) -> None:
    """Of no cache, five minutes and an hour, none would have cost less over these very gaps."""
    at = Ratios(read, {"5m": short, "1h": short + longer})
    choices: tuple[Ttl, ...] = ("", "5m", "1h")
    ttl, factor = best_ttl(gaps, at)
    assert factor == pytest.approx(min(paid(gaps, one, at) for one in choices))
    assert paid(gaps, ttl, at) == pytest.approx(factor)


@pytest.mark.parametrize(("per_minute", "expected"), [(0.0005, ""), (0.5, "1h"), (0.02, "1h")])
def test_rare_visitors_are_not_cached_for(per_minute: float, expected: Ttl) -> None:
    """At one call in 33 hours writing is dearer than sending; from a steady trickle on the hour wins."""
    assert best_ttl(arrivals(per_minute), CLAUDE)[0] == expected


def test_bursts_with_long_pauses_want_five_minutes() -> None:
    """Visits of six quick questions, a day apart: the hour's dearer write never comes back."""
    assert best_ttl([0.5, 0.5, 0.5, 0.5, 0.5, 1440.0] * 20, CLAUDE)[0] == "5m"


def test_the_third_use_within_an_hour_pays_for_it() -> None:
    """(2 − 0.1) / (1 − 0.1) = 2.1 uses; for five minutes 1.3."""
    assert uses_to_pay("1h", CLAUDE) == pytest.approx(2.11, abs=0.01)
    assert uses_to_pay("5m", CLAUDE) == pytest.approx(1.28, abs=0.01)


@given(prefix=st.integers(1, 5000), per_minute=st.floats(0.0005, 3), ttl=st.sampled_from(["5m", "1h"]))
def test_padding_is_advised_exactly_where_it_costs_less(prefix: int, per_minute: float, ttl: Ttl) -> None:
    """Against the cost of both ways, counted: padded to the minimum and cached, or sent as it is."""
    minimum = 4096
    hit = hit_rate(per_minute, ttl)
    padded, plain = minimum * cost_factor(hit, ttl, CLAUDE), float(prefix)
    assert padding_pays(prefix, minimum, hit, ttl, CLAUDE) == (prefix < minimum and padded < plain)
