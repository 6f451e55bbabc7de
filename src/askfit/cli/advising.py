"""`askfit advise`: measure what a feature reads and who comes, ask the rules, show what they say. Decides nothing.

Reads the corpus, the matrix and, where there is one, the ledger. Calls no model, changes no setting.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, cast, get_args

from rich.markup import escape
from rich.table import Table

from askfit import headroom
from askfit.advice import Advice, Case, Line, Load, Reads, Visits, advise, usd
from askfit.advice.month import visits_from
from askfit.ask.prompt import MOST_PASSAGE_TOKENS
from askfit.cli.sending import content_tokens, reads_pages, sent_tokens
from askfit.cli.show import out
from askfit.config import DECLARED, Settings, Shape
from askfit.corpus import Corpus, load_corpus
from askfit.declared import check_declared
from askfit.errors import UsageError
from askfit.ledger import DAY_MS, Ledger, UsageRow
from askfit.models import FREE_PROVIDERS, facts
from askfit.routing import check_model_names, has_key, model_of, regime
from askfit.site import ARRIVALS_DAYS
from askfit.skills import Matrix, load_matrix
from askfit.store import open_store
from askfit.types import NANOS_PER_USD, Allowance, Axis

COUNTED_DAYS = 90  # where the cache plan's fortnight holds too few questions to count visits
FEWEST_CALLS = 20  # before which the ledger's lengths say too little
# Estimates until the ledger knows better (2026-11-21). A question and its tags; an answer is 40–100 words of 1.4 tokens
# and a source; a turn of the history is both. A posting with its requirements; a judgement of a dozen requirements.
QUESTION_TOKENS = 35
ANSWER_TOKENS = 130
POSTING_TOKENS = 1_800
JUDGEMENT_TOKENS = 1_500


@dataclass(frozen=True, slots=True)
class Options:
    """What the command was given; "" and 0 where it was not."""

    feature: str
    task: str = ""
    runs: float = 0.0
    cost_of_almost: str = ""
    latency: str = ""
    tokens: int = 0
    visits: float = 0.0

    @property
    def describes(self) -> bool:
        """Is a shape described, rather than read from the settings?"""
        return bool(self.task or self.runs or self.cost_of_almost or self.latency or self.tokens)


@dataclass(frozen=True, slots=True)
class Measured:
    """What the site's own files and its ledger tell."""

    reads: Mapping[str, Reads]  # by feature
    visits: Mapping[str, Visits]  # by feature, where enough questions came
    limits: Mapping[str, Mapping[Axis, Allowance]]  # by model, where its provider told them


# ---------------------------------------------------------------- which features, which shapes


async def run(settings: Settings, options: Options, today: date) -> tuple[Advice, ...]:
    """Advice on one feature, declared or described, or on all."""
    check_model_names(settings)
    check_declared(settings)
    declared = {name: feature.shape for name, feature in settings.features.items()}
    shapes = _asked_for(declared, options)
    measured = await _measure(settings)
    return tuple(advise(_case(settings, name, shape, measured, options, today)) for name, shape in shapes.items())


def day(text: str) -> date:
    """The day that was given, or this machine's."""
    try:
        return date.fromisoformat(text) if text else datetime.now(UTC).date()
    except ValueError:
        raise UsageError("today_invalid", f"--today {text} is not a day.", "Write it as 2026-11-21.") from None


def _asked_for(declared: Mapping[str, Shape], options: Options) -> dict[str, Shape]:
    """The shapes to advise on, by feature."""
    name = options.feature
    if not options.describes:
        if not name:
            return dict(declared)
        if name not in declared:
            raise UsageError(
                "feature_unknown",
                f"There is no feature '{name}' here.",
                f"Known: {', '.join(declared)}. Or describe a new one: askfit advise {name} --task retrieval.",
            )
        return {name: declared[name]}
    base = declared.get(name)
    if base is None and not options.task:
        raise UsageError("shape_unknown", "What is its task?", "Add --task retrieval or --task synthesis.")
    return {name or "new": _described(base, options)}


def _described(base: Shape | None, options: Options) -> Shape:
    """The answers that were given, over those that are declared."""
    given: dict[str, Any] = {}
    if options.task:
        given["task"] = _word("--task", options.task, _words("task"))
    if options.cost_of_almost:
        given["almost_good_enough"] = _word("--cost-of-almost", options.cost_of_almost, _words("almost_good_enough"))
    if options.latency:
        given["latency_felt"] = _word("--latency", options.latency, ("felt", "not felt")) == "felt"
    if options.runs:
        given["runs_per_visit"] = options.runs
    return base.model_copy(update=given) if base else Shape(**given)


def _words(answer: str) -> tuple[str, ...]:
    return cast("tuple[str, ...]", get_args(Shape.model_fields[answer].annotation))


def _word(option: str, given: str, words: Sequence[str]) -> str:
    word = " ".join(given.casefold().replace("_", " ").replace("-", " ").split())
    if word not in words:
        listed = " or ".join(f'"{one}"' for one in words)
        raise UsageError("answer_unknown", f"{option} {given} is not known.", f"Write {listed}.")
    return word


def _case(settings: Settings, name: str, shape: Shape, measured: Measured, options: Options, today: date) -> Case:
    tiers = {"small": model_of(settings, "small"), "large": model_of(settings, "large")}
    features = settings.features
    others = {} if name in DECLARED else {other: found.shape for other, found in features.items() if other != name}
    reader = name if name in features else _reads_as(settings, shape, options)
    reads = measured.reads[reader]
    visits = measured.visits.get(name)
    if options.visits or visits is None:
        visits = Visits(options.visits or Visits().per_month, shape.runs_per_visit, given=bool(options.visits))
    return Case(
        name=name,
        shape=shape,
        tiers=cast("Any", tiers),
        reads=reads if reader == name and not options.tokens else _reads_described(reads, shape, options.tokens),
        visits=visits,
        today=today,
        reads_like="" if reader == name or options.tokens else reader,
        configured=model_of(settings, features[name].model) if name in features else "",
        others=others,
        keys=frozenset(provider for provider in ("anthropic", "openai") if has_key(settings, f"{provider}:x")),
        limits=measured.limits,
        budget_nanos=round(settings.file.budget.per_month_usd * NANOS_PER_USD),
        samples=f"golden/{name}.yaml",
    )


def _reads_as(settings: Settings, shape: Shape, options: Options) -> str:
    """The feature that a described one is taken to read as: one with its task; of tokens that are told, a chat."""
    same = [
        name
        for name, feature in settings.features.items()
        if (feature.kind == "chat" if options.tokens else feature.shape.task == shape.task)
    ]
    return (same or list(settings.features))[0]


def _reads_described(reads: Reads, shape: Shape, tokens: int) -> Reads:
    """What a described feature reads: as much as the one it is likened to, or `tokens`, with its own runs a visit."""
    tokens = tokens or reads.corpus
    beside = reads.whole.shared - reads.corpus
    answer = JUDGEMENT_TOKENS if shape.task == "synthesis" else ANSWER_TOKENS
    if not reads.passages:
        return replace(reads, corpus=tokens, whole=Load(tokens + beside, POSTING_TOKENS, answer))
    fresh = _fresh(shape)
    passages = Load(reads.passages.shared, fresh + min(MOST_PASSAGE_TOKENS, tokens), answer)
    return replace(reads, corpus=tokens, whole=Load(tokens + beside, fresh, answer), passages=passages)


def _fresh(shape: Shape) -> int:
    """A question of a chat and the turns before it, of which there are half a visit's on average."""
    turns_before = max(0.0, shape.runs_per_visit - 1) / 2
    return round(QUESTION_TOKENS + turns_before * (QUESTION_TOKENS + ANSWER_TOKENS))


# ---------------------------------------------------------------- measuring


async def _measure(settings: Settings) -> Measured:
    corpus = await asyncio.to_thread(load_corpus, settings)
    try:
        matrix = await asyncio.to_thread(load_matrix, settings) if settings.file.skills else None
        rows, visits, limits = await _ledger(settings)
        reads = {name: _reads(settings, name, corpus, matrix) for name in settings.features}
    finally:
        corpus.close()
    return Measured({name: _with_counts(settings, name, read, rows) for name, read in reads.items()}, visits, limits)


def _reads(settings: Settings, name: str, corpus: Corpus, matrix: Matrix | None) -> Reads:
    """With all of it in the prompt, and with the passages found. Counted in the form that the small model is given."""
    feature, tokens = settings.features[name], content_tokens(settings, name, corpus, matrix)
    is_chat, pages = feature.kind == "chat", reads_pages(settings, name, matrix)
    fresh = _fresh(feature.shape) if is_chat else POSTING_TOKENS
    answer = ANSWER_TOKENS if is_chat else JUDGEMENT_TOKENS
    whole, titles = (
        sent_tokens(settings, name, corpus, matrix, model=model_of(settings, "small"), whole=whole)
        for whole in (True, False)
    )
    found = Load(titles, fresh + min(MOST_PASSAGE_TOKENS, tokens), answer) if pages else None
    return Reads(tokens, Load(whole, fresh, answer), found, "pages" if pages else "rows")


async def _ledger(
    settings: Settings,
) -> tuple[tuple[UsageRow, ...], dict[str, Visits], dict[str, Mapping[Axis, Allowance]]]:
    """The calls and the visits of the last weeks, where there is a ledger already; advise makes none."""
    if settings.sqlite_file and not settings.sqlite_file.exists():
        return (), {}, {}
    store = await asyncio.to_thread(open_store, settings)
    try:
        ledger = Ledger(store)
        await ledger.open()
        now_ms = int(time.time() * 1000)
        since_ms = now_ms - COUNTED_DAYS * DAY_MS
        visits: dict[str, Visits] = {}
        for name, feature in settings.features.items():
            came = await ledger.arrivals(name, since_ms)
            runs = feature.shape.runs_per_visit
            if found := visits_from(came, now_ms, recent_days=ARRIVALS_DAYS, declared_runs=runs):
                visits[name] = found
        limits = {model: seen.axes for model, seen in (await headroom.last_seen(store)).items()}
        return await ledger.usage(since_ms), visits, limits
    finally:
        await store.aclose()


def _with_counts(settings: Settings, name: str, reads: Reads, rows: Sequence[UsageRow]) -> Reads:
    """The ledger's mean lengths in place of the estimates, where one model has answered often enough."""
    wanted = model_of(settings, settings.features[name].model)
    answered = [row for row in rows if row.feature == name and _counts(row)]
    if not answered:
        return reads
    row = max(answered, key=lambda row: (row.model == wanted, row.calls))
    answers = row.calls - row.failed
    ratio = facts(row.model).tokenizer_ratio
    whole = not reads.passages or regime(row.model, reads.corpus) == "whole"
    load = reads.whole if whole else cast("Load", reads.passages)
    cached = (row.cache_read_tokens + row.cache_write_tokens) / answers / ratio
    shared = round(cached) or load.shared
    measured = Load(
        shared,
        max(0, round(row.input_tokens / answers / ratio) - shared),
        round(row.output_tokens / answers / ratio),
        answers,
    )
    return replace(reads, whole=measured) if whole else replace(reads, passages=measured)


def _counts(row: UsageRow) -> bool:
    return row.model.partition(":")[0] not in FREE_PROVIDERS and row.calls - row.failed >= FEWEST_CALLS


# ---------------------------------------------------------------- on a terminal


def as_json(found: Sequence[Advice], today: date) -> dict[str, Any]:
    """The advice for machines."""
    return {"today": today.isoformat(), "features": [advice.as_json() for advice in found]}


def show(found: Sequence[Advice], today: date) -> None:
    """Each feature: what to do and what it costs, then why, then what would overturn it."""
    for advice in found:
        _show(advice)
        out.print()
    costs = [advice.month.nanos for advice in found if advice.month]
    if len(costs) > 1:
        out.print(f"[bold]All together about {usd(sum(costs))} a month.[/]")
    out.print(f"[dim]Rules, not evidence; nothing was called or changed. Prices and promises as of {today}.[/]")


HEADLINES = {
    "clear": "Use the {tier} model: {model}.",
    "mixed": "Use the {tier} model: {model}. Your answers do not all point to it.",
    "contradictory": "Your answers contradict each other. Begin with the {tier} model, {model}, and compare.",
}


def _show(advice: Advice) -> None:
    marks: dict[str, str] = {}  # command → letter
    headline = HEADLINES[advice.clarity].format(tier=advice.tier, model=advice.model)
    out.print(f"[bold]{escape(advice.feature)}[/]  [bold]{escape(headline)}[/]")
    out.print(escape(_bill(advice)))
    for conflict in advice.reading.conflicts:
        out.print(f"[yellow]![/] {escape(conflict)}")
    for warning in advice.warnings:
        out.print(f"[yellow]![/] {escape(warning)}")
    out.print()
    if advice.likeness:
        out.print(f"[bold]{advice.likeness.verdict.upper()}[/]  {escape(advice.likeness.why)}\n")
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="bold")
    table.add_column()
    for line in advice.lines:
        shown = replace(line, why="") if line.topic == "cost" else line  # said at the top
        table.add_row(line.topic, _line(shown, marks))
    out.print(table)
    _candidates(advice, marks)
    if advice.guessed:
        out.print(f"\n[dim]Guessed: {escape('; '.join(advice.guessed))}.[/]")
    if marks:
        first = "" if advice.declared else f", once [features.{advice.feature}] is in your settings"
        out.print(escape(f"\nWhat would overturn it{first}; run [a] when {advice.compare_when}:"))
    for command, letter in marks.items():
        out.print(f"  [dim]\\[{letter}][/] {escape(command)}", soft_wrap=True)


def _bill(advice: Advice) -> str:
    """The cost line, first: it is what an owner fears."""
    cost = next(line for line in advice.lines if line.topic == "cost")
    return f"Cost: {cost.advice}. {cost.why}"


def _line(line: Line, marks: dict[str, str]) -> str:
    mark = f" [dim]\\[{_mark(line.overturned_by, marks)}][/]" if line.overturned_by else ""
    below = [*([escape(line.why)] if line.why else []), *(f"[dim]{escape(one)}[/]" for one in line.sums)]
    return "\n".join([f"{escape(line.advice)}{mark}", *below])


def _mark(command: str, marks: dict[str, str]) -> str:
    return marks.setdefault(command, chr(ord("a") + len(marks)))


def _candidates(advice: Advice, marks: dict[str, str]) -> None:
    if not advice.candidates:
        return
    out.print("\nWorth a comparison (askfit never switches by itself):")
    for one in advice.candidates:
        until = f", promised until {one.retirement}" if one.retirement else ""
        mark = _mark(one.overturned_by, marks)
        out.print(f"  {escape(one.model)}: {usd(one.nanos)} a month{until} [dim]\\[{mark}][/]")
