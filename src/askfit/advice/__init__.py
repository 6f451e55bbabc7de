"""Advise: which model a feature should use and how, from five answers and what is measured. Pure rules.

Nothing is called, switched or written. Each line of advice says why, and which command's evidence would overturn it: a
rule knows the shape of a task, not how good an answer is. Today is part of the case, never looked up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Literal

from askfit import caching
from askfit.advice.month import Load, Month, Visits, month, question_nanos
from askfit.advice.shape import Clarity, Likeness, Reading, Tier, nearest, read_shape, times
from askfit.caching import FEWEST_GAPS, Ttl
from askfit.config import Shape
from askfit.models import FREE_PROVIDERS, ModelFacts, facts, known_models
from askfit.routing import WHOLE_MOST_TOKENS, CachePlan, cache_plan, regime
from askfit.types import NANOS_PER_USD, Allowance, Axis

__all__ = ["Advice", "Candidate", "Case", "Line", "Load", "Reads", "Visits", "advise"]

NEAR_RETIREMENT_DAYS = 90
MOST_CANDIDATES = 3
TOGETHER = 3  # visitors who ask within one minute, where no busier minute was counted

# What an owner notices on real questions before any figure shows it.
COMPARE_WHEN: dict[Tier, str] = {
    "small": "answers feel shallow to you on real questions",
    "large": "answers add what nobody asked for",
}

Topic = Literal["model", "corpus", "caching", "delivery", "rate limits", "cost"]


@dataclass(frozen=True, slots=True)
class Reads:
    """What a question of the feature brings with it, in tokens as Claude 4.5 counts them."""

    corpus: int  # the pages or the rows themselves: what has to fit
    whole: Load  # with all of it in the prompt
    passages: Load | None = None  # with only what search found; None where the feature always sends all
    what: str = "pages"  # "pages" | "rows"


@dataclass(frozen=True, slots=True)
class Case:
    """One feature, declared or only described, and all that is measured of it."""

    name: str
    shape: Shape
    tiers: Mapping[Tier, str]  # the models that the settings call small and large
    reads: Reads
    visits: Visits
    today: date  # by which prices hold and promises are kept
    reads_like: str = ""  # the feature whose corpus or matrix it is taken to read; "" where it is its own
    configured: str = ""  # the model that the settings name for it; "" for one that is only described
    others: Mapping[str, Shape] = field(default_factory=dict)  # features whose shape it may have
    keys: frozenset[str] = frozenset()  # providers that can be called
    limits: Mapping[str, Mapping[Axis, Allowance]] = field(default_factory=dict)  # by model, as its headers last told
    budget_nanos: int = 0  # the most that all features together may cost in a month
    samples: str = ""  # where its samples stand, for the commands


@dataclass(frozen=True, slots=True)
class Line:
    """One piece of advice, why, the sums behind it, and the command whose evidence would overturn it."""

    topic: Topic
    advice: str
    why: str
    sums: tuple[str, ...] = ()
    overturned_by: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Another model of the same tier: to be compared, never switched to by itself."""

    model: str
    nanos: int  # a month of the same traffic
    retirement: str  # not before; "" where none is told
    overturned_by: str


@dataclass(frozen=True, slots=True)
class Advice:
    """All that is to be said of one feature."""

    feature: str
    declared: bool  # in the settings, and not only described
    model: str
    tier: Tier
    clarity: Clarity
    reading: Reading
    month: Month | None
    lines: tuple[Line, ...]
    candidates: tuple[Candidate, ...]
    warnings: tuple[str, ...]
    likeness: Likeness | None
    guessed: tuple[str, ...]  # what is a guess, and what to put in its place
    compare_when: str  # the symptom that should make the owner compare the tiers

    def as_json(self) -> dict[str, Any]:
        """The advice for machines; money in nano-dollars."""
        return asdict(self)


def advise(case: Case) -> Advice:
    """All advice on one feature, as of the case's day."""
    fits = regime(case.tiers["small"], case.reads.corpus) == "whole"
    reading = read_shape(case.shape, fits=fits, counted_runs=case.visits.runs if case.visits.counted else 0.0)
    model = case.tiers[reading.tier]
    plans = {tier: _plan(case, name) for tier, name in case.tiers.items()}
    months = {tier: _month(case, name, plans[tier]) for tier, name in case.tiers.items()}
    plan, cost = plans[reading.tier], months[reading.tier]
    lines = (
        _model(case, reading, months),
        _corpus(case, model),
        _caching(case, model, plan),
        _delivery(case, model, cost),
        _rates(case, model, plan),
        _cost(case, model, cost),
    )
    return Advice(
        case.name, bool(case.configured), model, reading.tier, reading.clarity, reading, cost, lines,
        _candidates(case, model, cost), _warnings(case, model),
        nearest(case.shape, case.others), _guessed(case, model), COMPARE_WHEN[reading.tier],
    )  # fmt: skip


# ---------------------------------------------------------------- what is planned and what it costs


def _load(case: Case, model: str) -> Load:
    """What a question sends to this model: all of it, or what search found."""
    passages = case.reads.passages
    return passages if passages and regime(model, case.reads.corpus) == "retrieval" else case.reads.whole


def _plan(case: Case, model: str) -> CachePlan:
    """As a server would plan it: the same rules, the same gaps."""
    return cache_plan(model, _load(case, model).shared, case.visits.gaps_min, case.shape.runs_per_visit)


def _month(case: Case, model: str, plan: CachePlan | None = None, *, batch: bool = False) -> Month | None:
    if not _fits_window(case, model):
        return None
    return month(model, _load(case, model), case.visits, _ttl(plan or _plan(case, model)), case.today, batch=batch)


def _fits_window(case: Case, model: str) -> bool:
    load = _load(case, model).on(model)
    return load.shared + load.fresh + load.answer <= facts(model).window_tokens


def _ttl(plan: CachePlan) -> Ttl:
    """Under its minimum a marked prefix is not cached; what the provider caches by itself counts as uncached."""
    return plan.ttl if plan.cacheable else ""


def usd(nanos: float) -> str:
    """Money for people: to the cent; below that, that it is less."""
    amount = nanos / NANOS_PER_USD
    return "nothing" if not amount else "under $0.01" if amount < 0.01 else f"${amount:,.2f}"


# ---------------------------------------------------------------- the lines


def _compare(case: Case, first: str, second: str) -> str:
    """The command, with `small` and `large` where they are meant."""
    short = {model: tier for tier, model in case.tiers.items()}
    names = ",".join(short.get(model, model) for model in (first, second))
    return f"askfit compare {case.name} --models {names} --samples {case.samples or f'golden/{case.name}.yaml'}"


def _tiers(case: Case, model: str) -> str:
    """The command that holds the advised model against the other tier's."""
    others = [name for name in case.tiers.values() if name != model]
    rest = [known.model for known in known_models() if known.model != model]
    return _compare(case, model, (others or rest)[0])


def _model(case: Case, reading: Reading, months: Mapping[Tier, Month | None]) -> Line:
    model = case.tiers[reading.tier]
    set_so = case.configured == model
    now = " (as it is set)" if set_so else f" (your settings say {case.configured})" if case.configured else ""
    prices = [f"{tier} {usd(cost.nanos)}" for tier, cost in months.items() if cost]
    if case.configured and case.configured not in case.tiers.values() and (cost := _month(case, case.configured)):
        prices.append(f"as it is set {usd(cost.nanos)}")
    sums = (f"A month: {', '.join(prices)}",) if len(prices) > 1 else ()
    return Line("model", f"{reading.tier}: {model}{now}", reading.why, sums, _tiers(case, model))


def _corpus(case: Case, model: str) -> Line:
    tokens, what = case.reads.corpus, case.reads.what
    counted = round(tokens * facts(model).tokenizer_ratio)
    if regime(model, tokens) == "whole":
        why = f"About {counted:,} tokens; up to {WHOLE_MOST_TOKENS:,} all is sent, and no search can miss anything."
        return Line("corpus", f"all {what} in the prompt", why, (), "askfit check")
    why = (
        f"About {counted:,} tokens: too many to send each time. The choice of model comes after that of what is found."
    )
    if not case.reads.passages:
        why = (
            f"About {counted:,} tokens: all are sent all the same. Fewer {what} would cost less and be weighed better."
        )
    advice = "only the passages that search finds" if case.reads.passages else f"all {what} in the prompt, too many"
    return Line("corpus", advice, why, (), _tiers(case, model))


def _caching(case: Case, model: str, plan: CachePlan) -> Line:
    load = _load(case, model).on(model)
    at = caching.ratios(model)
    against = _tiers(case, model)
    if at is None or not load.shared:
        why = f"{plan.reason[:1].upper()}{plan.reason[1:]}; the cost below is that without a cache."
        return Line("caching", "nothing to set", why, (), against)
    if load.shared < facts(model).cache_minimum_tokens:
        return _padding(case, model, load, at)
    factors: dict[Ttl, float] = {"": 1.0}
    factors |= {ttl: caching.cost_factor(case.visits.hits(ttl), ttl, at) for ttl in at.write}
    best = min(factors, key=lambda ttl: factors[ttl])
    sums = tuple(_factor(case, ttl, at) for ttl in at.write)
    enough = f"{load.shared:,} shared tokens, above the model's minimum of {facts(model).cache_minimum_tokens:,}"
    if best:
        advice = f"pays, for {_lasts(best)}; no padding"
        why = f"{enough}: it saves {1 - factors[best]:.0%} of their price."
    else:
        fewest = min(caching.uses_to_pay(ttl, at) for ttl in at.write)
        advice = "does not pay: questions come too far apart"
        why = f"{enough}, but it pays only from {fewest:.1f} questions within five minutes on."
    return Line("caching", advice, f"{why}{_until_known(case, model, load, plan, best)}", sums, "askfit usage")


def _until_known(case: Case, model: str, load: Load, plan: CachePlan, best: Ttl) -> str:
    """What a server does until enough questions have come to know, where that is not what the guess would have."""
    does = _ttl(plan)
    if does == best or len(case.visits.gaps_min) >= FEWEST_GAPS:
        return ""
    each = [question_nanos(model, load, ttl, case.visits.hits(ttl), case.today) for ttl in (does, best)]
    more = f"{usd((each[0] - each[1]) * case.visits.questions)} a month more, if visits are as assumed"
    return (
        f" Until {FEWEST_GAPS + 1} questions have come, askfit keeps them for {_lasts(does)}: {more}. "
        "Then it chooses by itself."
    )


def _lasts(ttl: Ttl) -> str:
    return {"": "no time", "5m": "five minutes", "1h": "an hour"}[ttl]


def _factor(case: Case, ttl: Ttl, at: caching.Ratios) -> str:
    hits = case.visits.hits(ttl)
    return (
        f"{_lasts(ttl)}: {hits:.0%} found × {at.read:g} + {1 - hits:.0%} written × {at.write[ttl]:g} = "
        f"{caching.cost_factor(hits, ttl, at):.2f}"
    )


def _padding(case: Case, model: str, load: Load, at: caching.Ratios) -> Line:
    """Under the minimum nothing is cached; would it be cheaper padded up to it?"""
    least = facts(model).cache_minimum_tokens
    costs = {ttl: least * caching.cost_factor(case.visits.hits(ttl), ttl, at) for ttl in at.write}
    best = min(costs, key=lambda ttl: costs[ttl])
    pays = caching.padding_pays(load.shared, least, case.visits.hits(best), best, at)
    short = f"The {load.shared:,} shared tokens are {least - load.shared:,} short of the model's minimum of {least:,}."
    sums = (
        f"Padded, {best}: {least:,} × {costs[best] / least:.2f} = the price of {costs[best]:,.0f} tokens; "
        f"as it is: {load.shared:,}",
    )
    lower = [
        known for known in known_models() if _may_replace(case, model, known) and known.cache_minimum_tokens < least
    ]
    against = _compare(case, model, lower[0].model) if lower else _tiers(case, model)
    if pays and load.shared != case.reads.whole.on(model).shared:
        why = f"{short} Only instructions and titles are shared: padded it would cost less, but nothing belongs there."
        return Line("caching", "off; padding would pay, with nothing to pad", why, sums, against)
    if pays:
        why = f"{short} Padded up to it, it would cost less: add {case.reads.what}; askfit repeats none to fill up."
        return Line("caching", "off until there is more to share; padding would pay", why, sums, against)
    return Line("caching", "off; padding would not pay", f"{short} Sent as it is, it costs less.", sums, against)


def _delivery(case: Case, model: str, cost: Month | None) -> Line:
    if case.shape.latency_felt:
        why = "Somebody waits: the first words shall come at once."
        return Line("delivery", "stream", why, (), _tiers(case, model))
    why = "Nobody waits: a batch costs half. `askfit fit DIR` sends a folder in one; what visitors ask is streamed."
    half = _month(case, model, batch=True)
    if not cost or not half or half.nanos >= cost.nanos:
        return Line(
            "delivery", "a batch would do", "Nobody waits, but a batch costs no less here.", (), _tiers(case, model)
        )
    sums = (f"A month: {usd(cost.nanos)} streamed, {usd(half.nanos)} in batches",)
    return Line("delivery", "a batch would do", why, sums, _tiers(case, model))


def _rates(case: Case, model: str, plan: CachePlan) -> Line:
    load = _load(case, model).on(model)
    busiest = case.visits.busiest or TOGETHER
    counted = "counted" if case.visits.busiest else "assumed"
    if model.partition(":")[0] in FREE_PROVIDERS:
        return Line("rate limits", "none", "Nothing is sent to a provider.")
    warm = load.fresh if _ttl(plan) else load.fresh + load.shared
    cold = load.fresh + load.shared
    sums = (
        f"Busiest minute, {counted}: {busiest * warm:,} input tokens that count"
        + (f"; {busiest * cold:,} where nothing is cached yet" if cold > warm else ""),
    )
    cached = " What is read from the cache mostly does not count." if _ttl(plan) else ""
    against = f"askfit loadtest {case.name}" if case.configured == model else "askfit usage"
    if told := case.limits.get(model):
        advice, why = _headroom(told, {"requests": busiest, "input_tokens": busiest * warm, **_said(busiest, load)})
        return Line("rate limits", advice, f"{why}{cached}", sums, against)
    why = f"The provider's page for your account shows your limits: they must be above this.{cached}"
    return Line("rate limits", f"{busiest} requests a minute are needed", why, sums, against)


def _said(busiest: int, load: Load) -> dict[Axis, float]:
    return {"output_tokens": busiest * load.answer, "tokens": busiest * (load.fresh + load.shared + load.answer)}


def _headroom(told: Mapping[Axis, Allowance], needs: Mapping[Axis, float]) -> tuple[str, str]:
    """How far the busiest minute is from each limit of the account, as its provider last told."""
    shares = {axis: needs[axis] / one.limit for axis, one in told.items() if axis != "tokens" or len(told) <= 2}
    axis = max(shares, key=lambda axis: shares[axis])
    of = f"{told[axis].limit:,} {axis.replace('_', ' ')} a minute that the provider last told"
    if shares[axis] > 1:
        return "not enough for the busiest minute", f"It needs {shares[axis]:.1f} times the {of}: the rest falls back."
    return f"the busiest minute uses {shares[axis]:.1%}", f"Nearest is the limit of {of}."


def _cost(case: Case, model: str, cost: Month | None) -> Line:
    if not _fits_window(case, model):
        why = f"More than the {facts(model).window_tokens:,} tokens that {model} can read: give it less."
        return Line("cost", "none: it cannot be asked", why, (), _tiers(case, model))
    if cost is None:
        return Line("cost", "not known", f"No price of {model} is known: no budget bounds it.", (), _tiers(case, model))
    if not cost.nanos:
        return Line("cost", "nothing", "Nothing is sent to a provider.")
    between = f"{usd(cost.least_nanos)} to {usd(cost.most_nanos)}"
    advice = f"about {usd(cost.nanos)} a month ({between})"
    return Line("cost", advice, f"{_resting_on(case, model)}{_stopping(case, cost)}", (cost.sum,), _tiers(case, model))


def _stopping(case: Case, cost: Month) -> str:
    """What the budget makes of it: no month can cost more."""
    budget = f"your budget of {usd(case.budget_nanos)} for all features"
    if not case.budget_nanos:
        return " Your budget is nothing: no model is called."
    if cost.nanos > case.budget_nanos:
        return f" That is past {budget}: it would stop there, before the month is over."
    if cost.most_nanos > case.budget_nanos:
        return f" It stops at {budget}: the upper end would not be reached."
    return f" It stops at {budget}."


def _resting_on(case: Case, model: str) -> str:
    visits, load = case.visits, _load(case, model)
    use = "once each" if visits.runs == 1 else f"{times(visits.runs)} times each"
    lengths = f"lengths are those of {load.calls} calls" if load.calls else "lengths are estimates"
    if visits.counted:
        counted = f"{visits.per_month:,.0f} visits a month use it {use}"
        return f"From the ledger: {counted} ({visits.counted} visits counted); {lengths}."
    whose = "Your number" if visits.given else "A guess"
    return f"{whose}: {visits.per_month:g} visits a month use it {use}; {lengths}."


# ---------------------------------------------------------------- candidates, warnings, guesses


def _may_replace(case: Case, model: str, known: ModelFacts) -> bool:
    """Of the same tier, and from a provider that is already used or can be called."""
    provider = known.model.partition(":")[0]
    used = {name.partition(":")[0] for name in (model, *case.tiers.values())} | case.keys
    return known.model != model and known.tier == _tier_of(case, model) and provider in used


def _tier_of(case: Case, model: str) -> str:
    return facts(model).tier or next((tier for tier, name in case.tiers.items() if name == model), "")


def _candidates(case: Case, model: str, cost: Month | None) -> tuple[Candidate, ...]:
    """Models that are cheaper for this traffic, or promised for longer; the cheapest first."""
    found: list[Candidate] = []
    for known in known_models():
        if not _may_replace(case, model, known) or _days_left(known, case.today) is not None:
            continue
        other = _month(case, known.model)
        cheaper = other and (not cost or other.nanos < cost.nanos)
        if other and (cheaper or known.retirement > facts(model).retirement):
            command = _compare(case, model, known.model)
            found.append(Candidate(known.model, other.nanos, known.retirement, command))
    return tuple(sorted(found, key=lambda one: one.nanos)[:MOST_CANDIDATES])


def _days_left(known: ModelFacts, today: date) -> int | None:
    """Days of promised life, where they are few or over; None where they are many or none are told."""
    if not known.retirement:
        return None
    left = (date.fromisoformat(known.retirement) - today).days
    return left if left <= NEAR_RETIREMENT_DAYS else None


def _warnings(case: Case, model: str) -> tuple[str, ...]:
    told: list[str] = []
    for name in dict.fromkeys(name for name in (model, case.configured) if name):
        known = facts(name)
        left = _days_left(known, case.today)
        if left is not None and left <= 0:
            told.append(
                f"{name} was promised until {known.retirement}, {-left} days ago: it may be switched off any day. "
                "Compare a successor now."
            )
        elif left is not None:
            told.append(
                f"{name} is promised for {left} more days, until {known.retirement}: compare a successor in time."
            )
    provider = model.partition(":")[0]
    if provider not in FREE_PROVIDERS and provider not in case.keys:
        told.append(f"There is no key for {provider} in the environment: the built-in answers now, and costs nothing.")
    return tuple(told)


def _guessed(case: Case, model: str) -> tuple[str, ...]:
    """What is guessed, and what takes its place."""
    told: list[str] = []
    if not case.visits.counted and not case.visits.given:
        told.append(f"visits a month (give yours with --visits; from {FEWEST_GAPS + 1} questions on they are counted)")
    if not _load(case, model).calls:
        told.append("the lengths (the ledger's are used once a model has answered)")
    if case.reads_like:
        told.append(f"what it reads: as much as {case.reads_like} (--tokens says otherwise)")
    return tuple(told)
