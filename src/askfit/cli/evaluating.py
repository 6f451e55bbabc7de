"""`askfit eval`: golden samples as a gate. Reads the options, runs the samples, shows one table."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from askfit.cli.progress import progress
from askfit.cli.show import out, usd
from askfit.config import Settings
from askfit.errors import UsageError
from askfit.evals import Report, Result, Tape, default_samples, evaluate, read_samples
from askfit.types import NANOS_PER_USD

MOST_SAID_CHARACTERS = 160


@dataclass(frozen=True, slots=True)
class Options:
    """What the command was given."""

    feature: str
    samples: Path | None
    model: str
    floor: float  # the share of samples that must be right
    most_cost_usd: float
    most_words: int
    record: Path | None
    replay: Path | None


async def run(settings: Settings, options: Options, *, quiet: bool) -> Report:
    """Run a feature's samples."""
    feature = options.feature
    if feature not in settings.features:
        known = ", ".join(settings.features)
        raise UsageError("feature_unknown", f"There is no feature '{feature}' here.", f"Known: {known}.")
    path = options.samples or default_samples(settings, feature)
    samples = read_samples(path, settings.features[feature].kind)
    tape = Tape(replay=options.replay, record=options.record)
    with progress(f"Asking {len(samples)} samples", quiet=quiet) as tick, _told_by_the_report():
        return await evaluate(
            settings,
            feature,
            samples,
            model=options.model,
            tape=tape,
            most_cost_usd=options.most_cost_usd,
            most_words=options.most_words,
            progress=tick,
        )


@contextmanager
def _told_by_the_report() -> Iterator[None]:
    """The gateway's log speaks of visitors and of who answers instead; here the table tells. Tracebacks still show."""

    def unforeseen(record: logging.LogRecord) -> bool:
        return record.exc_info is not None

    log = logging.getLogger("askfit.gateway")
    log.addFilter(unforeseen)
    try:
        yield
    finally:
        log.removeFilter(unforeseen)


def show(report: Report, floor: float) -> None:
    """One table: every sample, what falls short in words, and the sums."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    table.add_column("sample", no_wrap=True)
    table.add_column("ms", justify="right")
    table.add_column("what falls short")
    for result in report.results:
        mark = "[green]●[/]" if result.right else "[red]○[/]"
        time = f"{result.total_ms:.0f}" if not result.error else ""
        table.add_row(mark, escape(result.id), time, _short(result))
    out.print(table)
    out.print()
    for name, (full, of) in report.scores().items():
        if of:
            out.print(f"  {name.replace('_', ' '):12} {full:4} of {of}")
    out.print(f"\n[bold]{report.right} of {len(report.results)} right[/] ({report.share:.1%}) · {_cost(report)}")
    out.print(_verdict(report, floor))


def _short(result: Result) -> str:
    if result.right:
        return ""
    said = " ".join(result.said.split())
    said = f"{said[:MOST_SAID_CHARACTERS]}…" if len(said) > MOST_SAID_CHARACTERS else said
    return escape("; ".join(result.missed)) + (f"\n[dim]{escape(said)}[/]" if said else "")


def _cost(report: Report) -> str:
    told = f"{escape(report.model)} · {usd(round(report.cost_usd * NANOS_PER_USD))}"
    if report.replayed:
        told += f" when it was recorded ({report.replayed} answers replayed)"
    return told + (f" · {report.recorded} answers recorded" if report.recorded else "")


def _verdict(report: Report, floor: float) -> str:
    if report.ok(floor):
        return f"[green]The floor of {floor:.0%} holds.[/]"
    untrue = [escape(result.id) for result in report.results if result.untrue]
    if report.share >= floor:
        return f"[red]Falls short: what may never be said, or no source for it, in {', '.join(untrue)}.[/]"
    return f"[red]Falls short of the floor of {floor:.0%}.[/]"
