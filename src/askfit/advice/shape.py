"""What the five answers say of a feature's tier, and which other feature has its shape. Knows no prices, no models.

Two answers decide: what the task is, and what an almost good enough result costs. The others weigh. Where the two that
decide point apart, that is said: a rule can then only choose what is cheaper to find wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from askfit.config import Shape

Tier = Literal["small", "large"]
Clarity = Literal["clear", "mixed", "contradictory"]
MANY_RUNS = 3  # a visit: from here on its price and its wait count that many times
RUNS_APART = 2.0  # times: counted questions a visit that differ so much from the declared ones are told


@dataclass(frozen=True, slots=True)
class Lean:
    """One answer, and the tier that it points to; "" where it points to neither."""

    question: str
    answer: str
    tier: Tier | Literal[""]
    why: str


@dataclass(frozen=True, slots=True)
class Reading:
    """The five answers together."""

    tier: Tier
    clarity: Clarity
    leans: tuple[Lean, ...]
    why: str
    conflicts: tuple[str, ...]  # what cannot be had together, a sentence each


@dataclass(frozen=True, slots=True)
class Likeness:
    """The feature whose shape is nearest, and whether to use what it uses."""

    feature: str
    verdict: Literal["reuse", "reuse the model", "route"]
    differs: tuple[str, ...]
    why: str


def read_shape(shape: Shape, *, fits: bool, counted_runs: float = 0.0) -> Reading:
    """Weigh the five answers. `fits`: all that is read fits in a prompt; `counted_runs`: a visit, 0 where not known."""
    leans = _leans(shape, fits, counted_runs or shape.runs_per_visit)
    task, almost = leans[0], leans[3]
    conflicts = _conflicts(shape, fits, counted_runs)
    if task.tier != almost.tier:
        tier, why = _torn(shape, counted_runs or shape.runs_per_visit)
        return Reading(tier, "contradictory", leans, why, conflicts)
    tier = "small" if task.tier == "small" else "large"
    against = [lean for lean in leans if lean.tier not in ("", tier)]
    if against or conflicts:
        return Reading(tier, "mixed", leans, f"{_because(leans, tier)}{_although(against)}", conflicts)
    return Reading(tier, "clear", leans, _because(leans, tier), ())


def times(runs: float) -> str:
    """Runs a visit for people: a count is a mean, and says nothing past a tenth."""
    return f"{round(runs, 1) or runs:g}"


def _leans(shape: Shape, fits: bool, runs: float) -> tuple[Lean, ...]:
    """In the order of the five questions."""
    often = runs >= MANY_RUNS
    retrieval, annoyance = shape.task == "retrieval", shape.almost_good_enough == "annoyance"
    return (
        Lean("task", shape.task, "small", "the answer only has to be found")
        if retrieval
        else Lean("task", shape.task, "large", "much is weighed into one judgement"),
        Lean("runs per visit", times(runs), "small", f"{times(runs)} times a visit, price and wait add up")
        if often
        else Lean("runs per visit", times(runs), "", "it runs seldom enough for either price"),
        Lean("fits in a prompt", "yes", "", "the model sees everything")
        if fits
        else Lean("fits in a prompt", "no", "", "what search finds matters more than which model reads it"),
        Lean("almost good enough", shape.almost_good_enough, "small", "a near miss only annoys")
        if annoyance
        else Lean("almost good enough", shape.almost_good_enough, "large", "a near miss has no value"),
        Lean("latency felt", "yes", "small" if often else "", "somebody waits" + (" each time" if often else ""))
        if shape.latency_felt
        else Lean("latency felt", "no", "", "nobody waits"),
    )


def _because(leans: tuple[Lean, ...], tier: Tier) -> str:
    return _sentence([lean.why for lean in leans if lean.tier == tier])


def _although(against: list[Lean]) -> str:
    return f" Against it: {_sentence([lean.why for lean in against], capital=False)}" if against else ""


def _sentence(parts: list[str], *, capital: bool = True) -> str:
    text = "; ".join(parts)
    return f"{text[0].upper() if capital else text[0]}{text[1:]}."


def _torn(shape: Shape, runs: float) -> tuple[Tier, str]:
    """The two answers that decide point apart: begin with what is cheaper to find wrong."""
    if shape.task == "retrieval":
        return "small", (
            "The task points to the small model, the price of a miss to the large one. Small first: a larger model "
            "finds nothing that is not written down, and tends to add what nobody asked."
        )
    if runs >= MANY_RUNS:
        return "small", (
            f"The task points to the large model; that a miss is cheap and that it runs {times(runs)} times a visit "
            "point to the small one. Small first: its misses only annoy, and the price is paid every time."
        )
    return "large", (
        "The task points to the large model, the low price of a miss to the small one. Large first: it runs seldom, so "
        "that the difference in price is small, and judgement is what a small model lacks."
    )


def _conflicts(shape: Shape, fits: bool, counted_runs: float) -> tuple[str, ...]:
    """What cannot be had together, a sentence each."""
    runs = counted_runs or shape.runs_per_visit
    retrieval, worthless = shape.task == "retrieval", shape.almost_good_enough == "no value"
    told = {
        "A look-up whose near misses have no value: what helps is a stricter check and clearer pages, not a larger "
        "model.": retrieval and worthless,
        "A judgement that may be slightly wrong: if that is so, ask whether it needs to be a judgement at all.": (
            not retrieval and not worthless
        ),
        f"A judgement that has to be right, {times(runs)} times a visit, while somebody waits: you pay the large "
        "model's price and its wait each time. Run it once and keep the result, or accept the price below.": (
            not retrieval and worthless and runs >= MANY_RUNS and shape.latency_felt
        ),
        "A judgement over more than fits in a prompt: no model weighs what it is not shown. Give it less to read "
        "before you give it a larger model.": not retrieval and not fits,
        f"It runs {times(runs)} times a visit, yet nobody feels its latency: who asks so often waits for the answer. "
        "If it runs in the background instead, runs_per_visit is not about visits.": (
            runs >= MANY_RUNS and not shape.latency_felt
        ),
        f"You declared {shape.runs_per_visit:g} runs a visit; the ledger counts {counted_runs:.1f}. The count is "
        "used.": _apart(shape.runs_per_visit, counted_runs),
    }
    return tuple(sentence for sentence, holds in told.items() if holds)


def _apart(declared: float, counted: float) -> bool:
    return bool(counted) and max(declared / counted, counted / declared) >= RUNS_APART


def nearest(shape: Shape, others: Mapping[str, Shape]) -> Likeness | None:
    """The other feature that differs in the least: first by the task, then by all that decides. None without others.

    A model is chosen for a task: no likeness in the price of a miss or in the wait makes a look-up akin to a judgement.
    """
    if not others:
        return None
    gaps = {name: _differs(shape, other) for name, other in others.items()}
    feature = min(
        gaps,
        key=lambda name: (
            others[name].task != shape.task,
            sum(decides for _, decides in gaps[name]),
            len(gaps[name]),
        ),
    )
    differs = tuple(what for what, _ in gaps[feature])
    if not differs:
        return Likeness(feature, "reuse", (), f"Same shape as {feature}: reuse its model and its settings.")
    listed = "; ".join(differs)
    if not any(decides for _, decides in gaps[feature]):
        return Likeness(
            feature,
            "reuse the model",
            differs,
            f"Same task and same price of a miss as {feature}: reuse its model. Not the rest: {listed}.",
        )
    return Likeness(
        feature,
        "route",
        differs,
        f"No feature of yours has this shape; the nearest is {feature} ({listed}). Route: do not take over its model "
        "untested; compare on samples of its own.",
    )


def _differs(shape: Shape, other: Shape) -> list[tuple[str, bool]]:
    """What sets two shapes apart, and whether it is one of the answers that decide."""
    found: list[tuple[str, bool]] = []
    if shape.task != other.task:
        found.append((f"{shape.task}, not {other.task}", True))
    if shape.almost_good_enough != other.almost_good_enough:
        found.append((f"a near miss: {shape.almost_good_enough}, not {other.almost_good_enough}", True))
    if (shape.runs_per_visit >= MANY_RUNS) != (other.runs_per_visit >= MANY_RUNS):
        found.append((f"{_times(shape)} a visit, not {_times(other)}", False))
    if shape.latency_felt != other.latency_felt:
        found.append((f"its wait is {'felt' if shape.latency_felt else 'not felt'}", False))
    return found


def _times(shape: Shape) -> str:
    return "once" if shape.runs_per_visit == 1 else f"{shape.runs_per_visit:g} times"
