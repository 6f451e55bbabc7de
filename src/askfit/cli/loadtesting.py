"""`askfit loadtest`: how many visitors a minute fit, and what gives way first. Calls the scripted model only."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass, replace
from html import escape as html_escape
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from askfit import headroom, rates
from askfit.advice.month import THINKING_MIN
from askfit.cli.advising import ANSWER_TOKENS, FEWEST_CALLS, JUDGEMENT_TOKENS, QUESTION_TOKENS
from askfit.cli.progress import Tick, progress
from askfit.cli.show import out
from askfit.config import Settings
from askfit.errors import UsageError
from askfit.loadtest import wire
from askfit.loadtest.simulate import (
    Case,
    Found,
    Outcome,
    Question,
    Traffic,
    ceilings,
    find,
    first_limit,
    replay,
    simulate,
)
from askfit.models import FREE_PROVIDERS, cost_nanos
from askfit.rates import Limits
from askfit.routing import model_of
from askfit.store import open_store
from askfit.types import NANOS_PER_USD, Call, Message, Prompt, Usage

DEFAULT_TIER = "start"
MOST_VISITORS = 10_000
MACHINE = "this machine"
ALLOWED_TOKENS = 1_000  # of an answer: what a request may say at most counts at some providers
STEPS = 30  # of the bar, about
BEARS = 4  # the buckets of the burst hold a quarter of its questions, and as many come back meanwhile
CPU_SHARE = 0.5  # of the machine's time that the burst may take
ROWS = """SELECT output_tokens FROM calls WHERE feature = :feature AND outcome = 'ok' AND provider NOT IN
('builtin', 'scripted') ORDER BY at_ms DESC LIMIT 500"""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command was given."""

    feature: str = ""
    tier: str = ""
    limits: str = ""
    visitors: float = 0.0  # a minute; 0: find how many fit
    minutes: float = 10.0
    html: Path | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """The limits that are tested against, and where they are from."""

    limits: Limits
    source: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """The burst in real time beside the same burst simulated."""

    limits: Limits
    real: wire.Burst
    simulated: int  # answered by the model

    @property
    def agrees(self) -> bool:
        return abs(self.real.answered - self.simulated) <= max(2, 0.1 * self.real.asked)


@dataclass(frozen=True, slots=True)
class Report:
    """All that is said of one feature."""

    feature: str
    model: str
    chosen: Chosen
    runs: float
    questions: tuple[Question, ...]
    answers_counted: int  # in the ledger; 0: their length is an estimate
    cpu_ms: float
    asked_for: float  # visitors a minute; 0: the number was looked for
    cached: Found
    uncached: Found
    ceilings: dict[str, float]  # visitors a minute, each limit by itself
    budget_minutes: float | None  # how long a day's budget lasts; None where nothing is charged
    agreement: Agreement
    curve: tuple[tuple[float, Outcome], ...]  # visitors a minute, what becomes of their questions

    @property
    def ok(self) -> bool:
        """Do the visitors that were asked for fit?"""
        return not self.asked_for or (self.cached.outcome.fits and self.asked_for <= self.ceilings[MACHINE])

    @property
    def fits(self) -> float:
        """Visitors a minute, this machine counted too."""
        return min(self.cached.visitors, self.ceilings[MACHINE])

    @property
    def first(self) -> str:
        """What gives way first."""
        return MACHINE if self.ceilings[MACHINE] < self.cached.visitors else self.cached.first

    def as_json(self) -> dict[str, Any]:
        """The report for machines."""
        return {
            "feature": self.feature,
            "model": self.model,
            "limits": asdict(self.chosen.limits),
            "limits_from": self.chosen.source,
            "questions_per_visit": self.runs,
            "visitors_per_minute": round(self.fits, 2),
            "fits": self.ok,
            "first_limit": self.first,
            "without_caching": {"visitors_per_minute": round(self.uncached.visitors, 2), "first": self.uncached.first},
            "p95_added_wait_s": _finite(self.cached.outcome.p95_wait_s),
            "fell_back_share": round(self.cached.outcome.fallen_share, 4),
            "refused": self.cached.outcome.refused,
            "ceilings_visitors_per_minute": {name: round(value, 2) for name, value in self.ceilings.items()},
            "cpu_ms_per_question": round(self.cpu_ms, 1),
            "day_budget_lasts_minutes": self.budget_minutes and round(self.budget_minutes, 1),
            "wire": {**asdict(self.agreement.real), "simulated": self.agreement.simulated},
            "curve": [_point(visitors, outcome) for visitors, outcome in self.curve],
        }


def _point(visitors: float, outcome: Outcome) -> dict[str, Any]:
    return {
        "visitors_per_minute": round(visitors, 2),
        "fell_back_share": round(outcome.fallen_share, 4),
        "p95_added_wait_s": _finite(outcome.p95_wait_s),
    }


def _finite(seconds: float) -> float | None:
    """None: more than one in twenty was not answered by the model at all."""
    return round(seconds, 3) if seconds < 1e9 else None


# ---------------------------------------------------------------- the work


def visitors_of(text: str) -> float:
    """A number a minute; 0 for `find`."""
    if text.strip().casefold() == "find":
        return 0.0
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= MOST_VISITORS:
        raise UsageError(
            "visitors_invalid",
            f"--visitors-per-minute {text} is no number from 0 to {MOST_VISITORS:,}.",
            "Write a number, or 'find'.",
        )
    return number


async def run(settings: Settings, options: Options, *, quiet: bool) -> tuple[Report, ...]:
    """Every feature, or one; UsageError or SettingsError where it cannot be tested."""
    names = [options.feature] if options.feature else _testable(settings)
    if options.feature and options.feature not in settings.features:
        known = ", ".join(settings.features)
        raise UsageError("feature_unknown", f"There is no feature '{options.feature}' here.", f"Known: {known}.")
    chosen = {
        name: await _limits(settings, model_of(settings, settings.features[name].model), options) for name in names
    }
    return tuple([await _report(settings, name, chosen[name], options, quiet=quiet) for name in names])


def _testable(settings: Settings) -> list[str]:
    """The features whose model has a provider."""
    names = [name for name, one in settings.features.items() if not _is_free(model_of(settings, one.model))]
    if not names:
        raise UsageError(
            "loadtest_free", "No feature here asks a provider, so no rate limit holds.", "Run: askfit demo"
        )
    return names


def _is_free(model: str) -> bool:
    return model.partition(":")[0] in FREE_PROVIDERS


async def _limits(settings: Settings, model: str, options: Options) -> Chosen:
    """Given by hand, named by tier, last told by the provider, or those of the default tier; in this order.

    UsageError where two of them are given.
    """
    if options.limits and options.tier:
        raise UsageError("limits_twice", "--limits and --tier both say what the limits are.", "Give one of the two.")
    if _is_free(model):
        raise UsageError(
            "loadtest_free", f"{model} asks no provider: no rate limit holds for it.", "Name another feature."
        )
    if options.limits:
        return Chosen(rates.read_limits(options.limits), "as given by --limits")
    if not options.tier and (told := await _told(settings, model)):
        return told
    tier = rates.tier(options.tier or DEFAULT_TIER)
    limits = rates.limits_of(model, tier.name)
    source = f"tier '{tier.name}' ({tier.basis}: {tier.source}; looked up {tier.date})"
    return Chosen(limits, f"{source}. {tier.note}".strip())


async def _told(settings: Settings, model: str) -> Chosen | None:
    """What the provider's headers last told; a command that only looks makes no ledger."""
    if settings.sqlite_file and not settings.sqlite_file.exists():
        return None
    store = await asyncio.to_thread(open_store, settings)
    try:
        standing = (await headroom.last_seen(store)).get(model)
    finally:
        await store.aclose()
    if standing is None:
        return None
    # Anthropic tells the sum of input and output beside them: that never binds first.
    axes = {axis: told.limit for axis, told in standing.axes.items() if axis != "tokens" or len(standing.axes) <= 2}
    return Chosen(Limits(**axes), "what the provider's headers last told your account")


async def _report(settings: Settings, name: str, chosen: Chosen, options: Options, *, quiet: bool) -> Report:
    feature = settings.features[name]
    runs, model = feature.shape.runs_per_visit, model_of(settings, feature.model)
    with progress(f"{name}: visitors come", quiet=quiet) as tick:
        step = _Steps(tick)
        async with wire.rig(settings, name) as rig:
            step()
            measured = await rig.measure()
            step()
            answers, counted = await _answers(settings, name)
            questions = _questions(measured, answers, runs if feature.kind == "chat" else 1)
            case = Case(
                model,
                _call(name, runs),
                questions,
                chosen.limits,
                settings.file.limits.per_visitor_per_minute,
            )
            agreement = await _check(rig, case, measured)
            step()
        traffic = Traffic(options.visitors, runs, THINKING_MIN, options.minutes)
        bare = replace(case, cached=False)
        found, without = await asyncio.to_thread(lambda: (_found(case, traffic, step), _found(bare, traffic, step)))
        centre = found.visitors or min(ceilings(case, runs).values())
        curve = await asyncio.to_thread(_curve, case, traffic, centre, step)
    lone = {**ceilings(case, runs), MACHINE: 60_000 / (measured.cpu_ms * runs)}
    minutes = _budget_minutes(settings, model, questions, found.visitors * runs)
    return Report(
        name, model, chosen, runs, questions, counted, measured.cpu_ms, options.visitors, found, without, lone, minutes,
        agreement, curve,
    )  # fmt: skip


class _Steps:
    """A bar whose end is about known."""

    def __init__(self, tick: Tick) -> None:
        self._tick, self._done = tick, 0

    def __call__(self) -> None:
        self._done += 1
        self._tick(min(self._done, STEPS - 1), STEPS)


def _call(feature: str, runs: float) -> Call:
    """What the pacing reads of a call."""

    async def nothing() -> AsyncIterator[str]:
        yield ""

    prompt = Prompt("", "", (Message("user", ""),), ALLOWED_TOKENS, cache_ttl="1h" if runs > 1 else "5m")
    return Call(feature, "", prompt, nothing)


async def _answers(settings: Settings, name: str) -> tuple[list[int], int]:
    """Lengths of answers, and how many of the ledger they are; an estimate where there are too few."""
    from sqlalchemy import text

    lengths: list[int] = []
    if not settings.sqlite_file or settings.sqlite_file.exists():
        store = await asyncio.to_thread(open_store, settings)
        try:
            from askfit.ledger import Ledger

            await Ledger(store).open()
            rows = text(ROWS)
            lengths = await store.read(lambda found: [row[0] for row in found.execute(rows, {"feature": name})])
        finally:
            await store.aclose()
    if len(lengths) >= FEWEST_CALLS:
        return lengths, len(lengths)
    return [JUDGEMENT_TOKENS if settings.features[name].kind == "assessment" else ANSWER_TOKENS], 0


def _questions(measured: wire.Measured, answers: Sequence[int], turns: float) -> tuple[Question, ...]:
    """Each of the site's questions with an answer's length, and the turns that a visit has before it on average."""
    rng = random.Random(0)  # noqa: S311 - lengths, no secrets
    before = max(0.0, turns - 1) / 2
    history = round(before * (QUESTION_TOKENS + sum(answers) / len(answers)))
    each = max(1.0, measured.calls_each)
    return tuple(
        replace(one, fresh=round((one.fresh + history) * each), answer=round(rng.choice(answers) * each))
        for one in measured.questions
    )


def _found(case: Case, traffic: Traffic, step: _Steps) -> Found:
    if not traffic.visitors:
        return find(case, traffic, step)
    outcome = simulate(case, traffic)
    step()
    return Found(traffic.visitors, outcome, first_limit(case, traffic))


def _curve(case: Case, traffic: Traffic, centre: float, step: _Steps) -> tuple[tuple[float, Outcome], ...]:
    points = []
    for share in (0.5, 0.75, 1.0, 1.25, 1.5, 2.0):
        points.append((centre * share, simulate(case, replace(traffic, visitors=centre * share))))
        step()
    return tuple(points)


def _budget_minutes(settings: Settings, model: str, questions: Sequence[Question], per_minute: float) -> float | None:
    """How long the day's budget lasts at so many questions a minute, each reading the cache."""
    usages = [Usage(one.shared + one.fresh, one.answer, one.shared) for one in questions]
    each = sum(cost_nanos(model, usage) for usage in usages) / len(usages)
    if not each or not per_minute:
        return None
    return settings.file.budget.per_day_usd * NANOS_PER_USD / (each * per_minute)


async def _check(rig: wire.Rig, case: Case, measured: wire.Measured) -> Agreement:
    """A burst of questions that the limits do not bear, in real time and simulated: do the two agree?"""
    bears = int(CPU_SHARE * wire.BURST_S * 1000 / measured.cpu_ms)
    questions = max(2 * BEARS, min(wire.BURST_MOST, bears))
    # The scripted answers are short: only requests weigh what a model's do.
    scaled = Limits(requests=round(questions / BEARS * 60 / wire.BURST_S))
    times_s = [wire.BURST_S * at / questions for at in range(questions)]
    begins = questions / BEARS / scaled.requests
    real = await rig.burst(scaled, times_s, begins)
    simulated = replay(replace(case, limits=scaled), times_s, begins, cached=True)
    return Agreement(scaled, real, simulated.answered)


# ---------------------------------------------------------------- on a terminal


def show(reports: Sequence[Report]) -> None:
    """For each feature: how many fit, what gives way first, and what the number rests on."""
    for report in reports:
        out.print(f"[bold]{escape(report.feature)}[/]  [bold]{escape(headline(report))}[/]")
        facts = Table.grid(padding=(0, 2, 0, 0))
        facts.add_column(no_wrap=True, style="bold")
        facts.add_column()
        for name, line in lines(report):
            facts.add_row(f"  {name}", escape(line))
        out.print(facts)
        out.print()
        table = Table(box=None, padding=(0, 2, 0, 2), header_style="bold")
        for name in COLUMNS:
            table.add_column(name, justify="right")
        for row in _rows(report):
            table.add_row(*row)
        out.print(table)
        out.print(f"[dim]{escape(footnote(report))}[/]\n")


COLUMNS = ("visitors a minute", "another answers", "added wait, p95")


def _rows(report: Report) -> list[tuple[str, str, str]]:
    return [(number(visitors), f"{outcome.fallen_share:.1%}", wait(outcome)) for visitors, outcome in report.curve]


def headline(report: Report) -> str:
    """The answer in a sentence."""
    per_visit = f"{report.runs:g} question{'s' if report.runs != 1 else ''} each"
    if report.asked_for:
        verdict = "fit" if report.ok else "do not fit"
        return f"{report.asked_for:g} visitors a minute, {per_visit}, {verdict} on {report.model}."
    first = f" First to give way: {words(report.first)}." if report.first else ""
    return f"About {number(report.fits)} visitors a minute fit, {per_visit}, on {report.model}.{first}"


def words(limit: str) -> str:
    return limit.replace("_", " ")


def number(value: float) -> str:
    """As exact as it is known."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}" if value >= 0.1 else "under 0.1"


def wait(outcome: Outcome) -> str:
    return f"{outcome.p95_wait_s:.1f} s" if outcome.p95_wait_s < 1e9 else "over 2 s"


def lines(report: Report) -> list[tuple[str, str]]:
    """What the number is made of."""
    lone = ", ".join(f"{words(name)} {number(value)}" for name, value in report.ceilings.items())
    told = [
        ("limits", f"{report.chosen.limits}: {report.chosen.source}"),
        ("each alone", f"would bear, in visitors a minute: {lone}"),
        ("simulated", _simulated(report.cached.outcome)),
        ("no caching", _uncached(report)),
        ("a question", _question(report)),
    ]
    if report.budget_minutes is not None:
        told.append(("budget", f"at that rate a day's is spent after {_span(report.budget_minutes)}"))
    return told


def _simulated(outcome: Outcome) -> str:
    own = f"; your limit per visitor held {outcome.own_limit:,} back" if outcome.own_limit else ""
    return (
        f"{outcome.asked:,} questions: another answered {outcome.fallen_share:.1%}, added wait p95 {wait(outcome)}, "
        f"{outcome.refused} refused with 429{own}"
    )


def _uncached(report: Report) -> str:
    first = f"; first to give way: {words(report.uncached.first)}" if report.uncached.first else ""
    if report.asked_for:
        return f"another would answer {report.uncached.outcome.fallen_share:.0%}{first}"
    return f"{number(report.uncached.visitors)} visitors a minute{first}"


def _question(report: Report) -> str:
    fresh, answer = (
        sum(getattr(one, name) for one in report.questions) / len(report.questions) for name in ("fresh", "answer")
    )
    rests = f"from {report.answers_counted} calls in the ledger" if report.answers_counted else "an estimate"
    return (
        f"{report.questions[0].shared:,} shared tokens, {fresh:,.0f} of its own, {answer:,.0f} of answer ({rests}), "
        f"{report.cpu_ms:.0f} ms of one core here"
    )


def _span(minutes: float) -> str:
    if minutes >= 120:
        return f"{minutes / 60:,.0f} hours"
    return f"{minutes:.0f} minutes" if minutes >= 2 else f"{minutes * 60:.0f} seconds"


def footnote(report: Report) -> str:
    """How far the simulation was checked."""
    real = report.agreement.real
    verdict = "They agree." if report.agreement.agrees else "They do NOT agree: this machine may be too busy."
    return (
        f"Checked over loopback against {report.agreement.limits}: of {real.asked} questions in {wire.BURST_S:g} s the "
        f"model answered {real.answered} (simulated: {report.agreement.simulated}), {real.refused} were refused. "
        f"{verdict} Nothing was sent to a provider."
    )


# ---------------------------------------------------------------- as a page

STYLE = """
:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;margin:0}
main{max-width:44rem;margin:auto;padding:1rem}table{border-collapse:collapse}
th,td{text-align:right;padding:.25rem .75rem;border-bottom:1px solid #8884}
rect{fill:#4682b4}rect.over{fill:#c60}text{fill:currentColor;font-size:12px}
"""


def write_html(path: Path, reports: Sequence[Report]) -> None:
    """The reports as one file that loads nothing."""
    try:
        path.write_text(as_html(reports), encoding="utf-8")
    except OSError as error:
        raise UsageError(
            "page_unwritable", f"{path} cannot be written ({error.strerror}).", "Name another file."
        ) from None


def as_html(reports: Sequence[Report]) -> str:
    """One page: per feature the sentence, what it is made of, and who falls back as more come."""
    parts = ["<h1>How many visitors a minute fit</h1>"]
    for report in reports:
        listed = "".join(f"<li>{name}: {html_escape(line)}</li>" for name, line in lines(report))
        head = "".join(f"<th scope=col>{name}</th>" for name in COLUMNS)
        rows = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in _rows(report))
        parts.append(
            f"<h2>{html_escape(report.feature)}</h2><p><strong>{html_escape(headline(report))}</strong></p>"
            f"<ul>{listed}</ul>{_picture(report)}<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
            f"<p>{html_escape(footnote(report))}</p>"
        )
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>askfit loadtest</title>'
    body = "\n".join(parts)
    head += f"<style>{STYLE}</style>"
    return f'<!doctype html><html lang="en"><head>{head}</head><body><main>{body}</main></body></html>'


def _picture(report: Report) -> str:
    """A bar for each rate: the share that another answers; those that do not fit in another colour."""
    bars = []
    for at, (visitors, outcome) in enumerate(report.curve):
        high, x = 110 * outcome.fallen_share, 20 + at * 80
        mark = "" if outcome.fits else ' class="over"'
        bars.append(f'<rect{mark} x="{x}" y="{125 - high:.1f}" width="48" height="{max(1.0, high):.1f}"/>')
        bars.append(f'<text x="{x}" y="142">{number(visitors)}</text>')
        bars.append(f'<text x="{x}" y="{120 - high:.1f}">{outcome.fallen_share:.0%}</text>')
    told = f"Share answered by another, by visitors a minute, of {report.feature}"
    return f'<svg viewBox="0 0 500 150" role="img" aria-label="{html_escape(told)}">{"".join(bars)}</svg>'
