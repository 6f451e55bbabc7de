"""Are the figures that `askfit advise` tells an owner true? Costs, hit rates, months, padding.

1. The cost of 10,000 drawn usages against genai-prices itself, and against the provider's list by hand.
2. Visits that come by chance against a cache that bills as the provider's does: predicted hit rate and month.
3. The same months predicted from a fortnight's ledger: how far one is off, and how often it lies in the range told.
4. Padding advice against counting both ways, over a grid.
5. Where its assumptions do not hold: visitors who sleep at night, visitors who think for long.
"""

from __future__ import annotations

import math
import random
import statistics
import sys
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal
from functools import cache
from itertools import product

import genai_prices

from askfit.advice.month import DAY_MS, MINUTE_MS, MONTH_DAYS, MONTH_MINUTES, Load, Visits, month, visits_from
from askfit.caching import FEWEST_GAPS, MINUTES, Ratios, Ttl, best_ttl, padding_pays, ratios
from askfit.models import cost_nanos, facts, known_models
from askfit.providers.scripted.cache import Block, PromptCache
from askfit.types import NANOS_PER_USD, Usage

HAIKU = "anthropic:claude-haiku-4-5"
USAGES = 10_000
VISITS = (30, 100, 300, 1_000, 3_000, 10_000)  # a month
RUNS = (1, 2, 5)
TTLS: tuple[Ttl, ...] = ("5m", "1h")
THINKING = (1.5, 1.0, 2.0)  # minutes between the questions of a visit, on average; the formula guesses the first
SIMULATED_VISITS = 10_000
LOAD = Load(shared=18_000, fresh=400, answer=130)
MONTHS = 100
# USD per million: input, written for five minutes, for an hour, read, output. The providers' lists, 2026-11-21.
LISTED = {
    "anthropic:claude-haiku-4-5": ("1", "1.25", "2", "0.10", "5"),
    "anthropic:claude-sonnet-4-6": ("3", "3.75", "6", "0.30", "15"),
    "anthropic:claude-haiku-5-5": ("0.10", "0.125", "0.20", "0.01", "0.50"),
    "anthropic:claude-sonnet-5": ("2", "2.5", "4", "0.20", "10"),
    "anthropic:claude-sonnet-5-5": ("2", "2.5", "4", "0.10", "10"),
    "anthropic:claude-opus-5-5": ("4", "5", "8", "0.20", "20"),
}


# ---------------------------------------------------------------- 1 costs


def drawn(chance: random.Random) -> Usage:
    """A usage of any size, on both sides of the lengths from which tokens are dearer."""
    total = int(10 ** chance.uniform(0, 5.9))
    read = chance.randint(0, total) if chance.random() < 0.6 else 0
    written = chance.randint(0, total - read) if chance.random() < 0.6 else 0
    for_an_hour = chance.randint(0, written) if chance.random() < 0.6 else 0
    return Usage(total, int(10 ** chance.uniform(0, 4.5)), read, written, for_an_hour)


def of_genai_prices(model: str, usage: Usage, batch: bool) -> int:
    """genai-prices' own sum, rounded up to a nano-dollar."""
    provider, _, name = model.partition(":")
    counts = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
    )
    context = {"processing": "batch"} if batch else None
    total = genai_prices.calc_price(counts, name, provider_id=provider, price_context=context).total_price
    return int((total * NANOS_PER_USD).to_integral_value(ROUND_CEILING))


def of_the_list(model: str, usage: Usage, batch: bool) -> int:
    """The same by hand, from the provider's list."""
    p_in, p_5m, p_1h, p_read, p_out = map(Decimal, LISTED[model])
    fresh = usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens
    written_5m = usage.cache_write_tokens - usage.cache_write_1h_tokens
    dollars = (
        fresh * p_in
        + written_5m * p_5m
        + usage.cache_write_1h_tokens * p_1h
        + usage.cache_read_tokens * p_read
        + usage.output_tokens * p_out
    ) / 1_000_000
    past = facts(model).dearer_past_tokens
    dollars *= 5 if past and usage.input_tokens > past else 1
    dollars /= 2 if batch else 1
    return int((dollars * NANOS_PER_USD).to_integral_value(ROUND_CEILING))


def costs() -> bool:
    chance = random.Random(5)
    models = [known.model for known in known_models()]
    by = {"genai-prices": 0, "the list": 0}
    listed = dear = batches = 0
    for _ in range(USAGES):
        model, usage, batch = chance.choice(models), drawn(chance), chance.random() < 0.3
        cost = cost_nanos(model, usage, batch=batch)
        by["genai-prices"] += cost != of_genai_prices(model, usage, batch)
        batches += batch
        dear += 0 < facts(model).dearer_past_tokens < usage.input_tokens
        if model in LISTED:
            listed += 1
            by["the list"] += cost != of_the_list(model, usage, batch)
    print(f"1. {USAGES:,} drawn usages of {len(models)} models, {batches:,} in batches, {dear:,} past a dearer length")
    print(f"   not equal to genai-prices to the nano-dollar: {by['genai-prices']}")
    print(f"   not equal to the provider's list by hand: {by['the list']} of {listed:,}")
    return not any(by.values())


# ---------------------------------------------------------------- 2 and 3 visits


@dataclass(slots=True)
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def times_min(
    per_month: float, runs: int, visits: int, chance: random.Random, thinking: float = 1.5
) -> list[tuple[float, str]]:
    """(minute, visitor) of each question: visits by chance, a visit's questions about `thinking` minutes apart."""
    came: list[tuple[float, str]] = []
    begun = 0.0
    for visit in range(visits):
        begun += chance.expovariate(per_month / MONTH_MINUTES)
        at = begun
        for _ in range(runs):
            came.append((at, str(visit)))
            at += chance.uniform(0.3, 1.7) * thinking
    return sorted(came)


def billed(came: list[tuple[float, str]], ttl: Ttl, model: str = HAIKU) -> tuple[float, list[int]]:
    """(share that found the prefix, what each question cost), by a cache that bills as the provider's."""
    clock = Clock()
    cache = PromptCache(clock)
    blocks = [Block("the shared part", ttl)]  # its lifetime is what is simulated; its size comes with the bill
    found, paid = 0, list[int]()
    total = LOAD.shared + LOAD.fresh
    for at, _ in came:
        clock.now = at * 60
        charge = cache.charge(model, blocks, 1)
        found += charge.read > 0
        read = LOAD.shared * (charge.read > 0)
        written = LOAD.shared * (charge.written_5m + charge.written_1h > 0)
        paid.append(_cost(model, Usage(total, LOAD.answer, read, written, written * (charge.written_1h > 0))))
    return found / len(came), paid


@cache
def _cost(model: str, usage: Usage) -> int:
    return cost_nanos(model, usage)


def by_chance() -> bool:
    print(f"\n2. Visits by chance, {HAIKU}, {SIMULATED_VISITS:,} visits each: predicted against billed")
    print("   visits  runs  thinking  ttl   found  predicted   a month  predicted    off")
    hits_off, costs_off = dict.fromkeys(THINKING, 0.0), dict.fromkeys(THINKING, 0.0)
    for per_month, runs, thinking, ttl in product(VISITS, RUNS, THINKING, TTLS):
        if runs == 1 and thinking != THINKING[0]:
            continue
        came = times_min(per_month, runs, SIMULATED_VISITS, random.Random(per_month + runs), thinking)
        found, paid = billed(came, ttl)
        told = month(HAIKU, LOAD, Visits(per_month, runs), ttl)
        assert told is not None
        real = statistics.fmean(paid) * per_month * runs
        off = told.nanos / real - 1
        hits_off[thinking] = max(hits_off[thinking], abs(told.hits - found))
        costs_off[thinking] = max(costs_off[thinking], abs(off))
        print(
            f"   {per_month:6,}  {runs:4}  {thinking:4.1f} min  {ttl}  {found:6.1%}     {told.hits:6.1%}"
            f"  ${real / NANOS_PER_USD:8.2f}  ${told.nanos / NANOS_PER_USD:8.2f}  {off:+5.1%}"
        )
    for thinking in THINKING:
        note = "5 and 5% allowed" if thinking == THINKING[0] else "another pace than guessed: no target"
        print(
            f"   worst at {thinking:g} min: {hits_off[thinking] * 100:.1f} points of hit rate, "
            f"{costs_off[thinking]:.1%} of cost ({note})"
        )
    return hits_off[THINKING[0]] <= 0.05 and costs_off[THINKING[0]] <= 0.05


def from_a_fortnight() -> None:
    """No target: a fortnight is a small sample. How small is what an owner must be told, by the range."""
    print(
        f"\n3. A month predicted from the fortnight before it, {MONTHS} times each, the TTL that this fortnight chose"
    )
    print("   visits  runs  counted  median off  90% within  in the range told")
    at = ratios(HAIKU)
    assert at is not None
    load = replace(LOAD, calls=1_000)
    for per_month, runs in product((100, 300, 1_000), (1, 5)):
        offs, inside, counted = list[float](), 0, 0
        chance = random.Random(per_month * 10 + runs)
        for _ in range(MONTHS):
            visits = round(per_month * 44.5 / MONTH_DAYS * 1.3) + 30
            came = times_min(per_month, runs, visits, chance)
            fortnight = 14 * 24 * 60
            before = [(round(time * MINUTE_MS), visitor) for time, visitor in came if time < fortnight]
            seen = visits_from(before, 14 * DAY_MS, recent_days=14, declared_runs=runs)
            if seen is None or len(seen.gaps_min) < FEWEST_GAPS:
                continue
            counted += 1
            ttl = best_ttl(seen.gaps_min, at)[0]
            told = month(HAIKU, load, seen, ttl)
            assert told is not None
            after = [one for one in came if fortnight <= one[0] < fortnight + MONTH_MINUTES]
            real = sum(billed(after, ttl)[1])
            offs.append(abs(told.nanos / real - 1))
            inside += told.least_nanos <= real <= told.most_nanos
        if not counted:
            print(f"   {per_month:6,}  {runs:4}  too few questions in a fortnight: the guess stands")
            continue
        offs.sort()
        ninety = offs[math.ceil(0.9 * len(offs)) - 1]
        share = inside / counted
        print(
            f"   {per_month:6,}  {runs:4}  {counted:7}  {statistics.median(offs):10.1%}  {ninety:10.1%}  {share:17.1%}"
        )


# ---------------------------------------------------------------- 4 padding


def padding() -> bool:
    """Count both ways, token by token, for N uses in one window: the first writes, the others read."""
    checked = wrong = pays = 0
    minimum = 4_096
    for short, uses, write, read in product(
        (0.02, 0.05, 0.09, 0.1, 0.11, 0.2, 0.3, 0.5, 0.7, 0.9, 0.99),
        range(1, 41),
        (1.25, 1.5, 2.0),
        (0.025, 0.05, 0.1, 0.25, 0.5),
    ):
        prefix = round(minimum * short)
        at = Ratios(read, {"5m": write})
        padded = sum(minimum * (write if use == 0 else read) for use in range(uses))
        plain = sum(prefix for _ in range(uses))
        told = padding_pays(prefix, minimum, (uses - 1) / uses, "5m", at)
        checked, pays = checked + 1, pays + (padded < plain)
        wrong += told != (padded < plain) and not math.isclose(padded, plain)
    print(f"\n4. Padding: {checked:,} cases of P/M, N, w and ρ; it pays in {pays:,}; advice wrong in {wrong}")
    return not wrong


# ---------------------------------------------------------------- 5 what it does not know


def assumptions() -> None:
    """Visitors who sleep at night, and visitors who think for long, told as if they did neither."""
    print("\n5. Twelve hours of the day only; or questions seven minutes apart. Guessed as ever (no target)")
    print("              visits  runs  ttl   found  guessed  a month off")
    for per_month, ttl in product((100, 1_000, 3_000), TTLS):
        awake = times_min(per_month * 2, 1, SIMULATED_VISITS, random.Random(per_month))
        asleep = [(time + (time // 720) * 720, visitor) for time, visitor in awake]  # twelve hours on, twelve off
        slow = times_min(per_month, 5, SIMULATED_VISITS // 5, random.Random(per_month), 7.0)
        for what, came, runs in (("asleep", asleep, 1), ("slow", slow, 5)):
            found, paid = billed(came, ttl)
            told = month(HAIKU, LOAD, Visits(per_month, runs), ttl)
            assert told is not None
            off = told.nanos / (statistics.fmean(paid) * per_month * runs) - 1
            print(f"   {what:8}  {per_month:7,}  {runs:4}  {ttl}  {found:6.1%}   {told.hits:6.1%}  {off:+11.1%}")


def main() -> int:
    held = [costs(), by_chance()]
    from_a_fortnight()
    held.append(padding())
    assumptions()
    print(f"\n{'All' if all(held) else 'Not all'} of what is promised holds (TTLs: {', '.join(MINUTES)}).")
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
