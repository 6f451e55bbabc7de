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
from askfit.evals import Agreement, Report, Result, Tape, default_samples, evaluate, read_samples
from askfit.evals.agreement import BANDS
from askfit.types import NANOS_PER_USD

MOST_SAID_CHARACTERS = 160
MOST_MISSED = 6  # of one sample, in the table; --json has all


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
    samples = read_samples(path, settings.features[feature].work)
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
    if report.agreement:
        _show_agreement(report.agreement)
    out.print(f"\n[bold]{report.right} of {len(report.results)} right[/] ({report.share:.1%}) · {_cost(report)}")
    out.print(_verdict(report, floor))


def _show_agreement(told: Agreement) -> None:
    """Bands wanted against bands given, and how far the verdicts are apart."""
    if told.requirements:
        _show_bands(told)
    if not told.verdicts:
        return
    correlation = "" if told.spearman is None else f" · rank correlation {told.spearman:.2f} over {told.ranked}"
    out.print(f"\n  verdicts agree in {told.verdict_share:.0%}{correlation}")
    if told.misfits:
        out.print(f"  misfits rated moderate or better: {told.misfits_flattered} of {told.misfits}")


def _show_bands(told: Agreement) -> None:
    columns = (*reversed(BANDS), "not_read")
    table = Table(box=None, padding=(0, 2), header_style="bold")
    table.add_column("sample's band")
    for name in columns:
        table.add_column(name.replace("_", " "), justify="right")
    bands = told.as_json()["bands"]
    for wanted in reversed(BANDS):
        counts = [(given, bands[wanted][given]) for given in columns]
        table.add_row(wanted, *(f"[green]{count}[/]" if given == wanted else str(count) for given, count in counts))
    out.print()
    out.print(table)
    out.print(
        f"  macro-F1 {told.f1_all:.2f} (of the {told.found} of {told.requirements} requirements that were read "
        f"{told.f1_found or 0:.2f}) · within one band {told.within_one or 0:.0%}"
    )


def _short(result: Result) -> str:
    if result.right:
        return ""
    missed = list(result.missed[:MOST_MISSED])
    if more := len(result.missed) - len(missed):
        missed.append(f"and {more} more")
    said = " ".join(result.said.split())
    said = f"{said[:MOST_SAID_CHARACTERS]}…" if len(said) > MOST_SAID_CHARACTERS else said
    return escape("; ".join(missed)) + (f"\n[dim]{escape(said)}[/]" if said else "")


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
