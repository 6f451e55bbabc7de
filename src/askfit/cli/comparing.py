"""`askfit compare`: the same samples to several models, and which one the feature should have. Reads options, shows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table

from askfit.cli.progress import err
from askfit.cli.show import out, usd
from askfit.compare import Comparison, Journal, Pair, compare
from askfit.compare.report import ModelSums, as_html, needed_told, sentence, sums, unmeasured
from askfit.compare.running import DELTAS
from askfit.config import Settings
from askfit.errors import UsageError
from askfit.evals import Tape, default_samples, read_samples
from askfit.types import NANOS_PER_USD

COLOURS = {"ESCALATE": "yellow", "DOWNGRADE": "cyan", "KEEP": "green", "INCONCLUSIVE": "bold"}


@dataclass(frozen=True, slots=True)
class Options:
    """What the command was given."""

    feature: str
    models: str  # "A,B[,C]"
    samples: Path | None
    delta: str
    repeats: int
    most_cost_usd: float
    journal: Path | None
    resume: bool
    record: Path | None
    replay: Path | None
    html: Path | None


async def run(settings: Settings, options: Options, *, quiet: bool) -> Comparison:
    """Compare, and write the page where one is wanted."""
    feature = options.feature
    if feature not in settings.features:
        known = ", ".join(settings.features)
        raise UsageError("feature_unknown", f"There is no feature '{feature}' here.", f"Known: {known}.")
    names = [name.strip() for name in options.models.split(",") if name.strip()]
    gain = delta_of(options.delta)
    samples = read_samples(options.samples or default_samples(settings, feature), settings.features[feature].work)
    tape = Tape(replay=options.replay, record=options.record)
    path = options.journal or settings.root / f"compare-{feature}.jsonl"
    journal = Journal(None if tape.only_replays and not options.journal else path, resume=options.resume)
    if options.html:
        _check_writable(options.html)
    with _progress(quiet=quiet) as tick, _told_by_the_report():
        comparison = await compare(
            settings,
            feature,
            names,
            samples,
            delta=gain,
            repeats=options.repeats,
            tape=tape,
            journal=journal,
            most_cost_usd=options.most_cost_usd,
            progress=tick,
        )
    if options.html:
        options.html.write_text(as_html(comparison, samples), encoding="utf-8")
    return comparison


def delta_of(words: str) -> float:
    """The smallest gain worth the dearer model: a word of DELTAS, "8%", or "0.08"."""
    given = words.strip().casefold()
    if given in DELTAS:
        return DELTAS[given]
    try:
        value = float(given.removesuffix("%")) / (100 if given.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        known = ", ".join(f"{word} ({share:.0%})" for word, share in DELTAS.items())
        raise UsageError("delta_unknown", f"--delta {words} is no gain.", f"Known: {known}; or a share such as 8%.")
    return value


def _check_writable(path: Path) -> None:
    """Told before money is spent."""
    try:
        with path.open("a", encoding="utf-8"):
            pass
    except OSError as error:
        raise UsageError(
            "html_unwritable", f"{path} cannot be written ({error.strerror}).", "Name another file."
        ) from None


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[int, int, Sequence[Pair]], None]]:
    """A bar on stderr with where every metric stands; silent where stderr is no terminal."""
    columns = (SpinnerColumn(), MofNCompleteColumn(), BarColumn(bar_width=20), TextColumn("{task.description}"))
    with Progress(*columns, console=err, transient=True, disable=quiet or not err.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def tick(done: int, total: int, pairs: Sequence[Pair]) -> None:
            told = []
            for pair in pairs:
                standing = [look for look in pair.path if look.conversations == pair.path[-1].conversations]
                told += [f"{one.metric} {one.mean:+.0%} ({one.low:+.0%} to {one.high:+.0%})" for one in standing]
            bar.update(task, completed=done, total=total, description=" · ".join(told))

        yield tick


@contextmanager
def _told_by_the_report() -> Iterator[None]:
    """The gateway's and the ground check's logs speak of visitors; here the report tells. Tracebacks still show."""

    def unforeseen(record: logging.LogRecord) -> bool:
        return record.exc_info is not None

    logs = [logging.getLogger(name) for name in ("askfit.gateway", "askfit.ask.judging")]
    for log in logs:
        log.addFilter(unforeseen)
    try:
        yield
    finally:
        for log in logs:
            log.removeFilter(unforeseen)


# ---------------------------------------------------------------- show


def show(comparison: Comparison) -> None:
    """The verdict, why, then every model's sums, and every pair's metrics with where the true gain lies."""
    colour = COLOURS[comparison.verdict]
    out.print(f"[{colour}]{comparison.verdict}[/]  {escape(sentence(comparison))}")
    if more := needed_told(comparison):
        out.print(escape(more))
    out.print()
    out.print(_models(comparison))
    for pair in comparison.pairs:
        out.print(f"\n{escape(pair.large)} over {escape(pair.small)}, {pair.test.conversations} conversations")
        out.print(_metrics(pair))
    out.print()
    for line in unmeasured(comparison):
        out.print(f"[dim]{escape(line)}[/]")


def _models(comparison: Comparison) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    found = sums(comparison)
    shares = list(dict.fromkeys(name for one in found for name in one.shares))
    columns = ("model", "samples", *shares, "words", "first ms", "tokens/s", "cost")
    for name in columns:
        table.add_column(name, justify="left" if name == "model" else "right", no_wrap=name != "model")
    for one in found:
        table.add_row(*_row(one, shares))
    return table


def _row(one: ModelSums, shares: Sequence[str]) -> list[str]:
    given = [one.shares.get(name) for name in shares]
    told = ["" if share is None else f"{share:.0%}" for share in given]
    waits = [f"{one.words:.0f}", f"{one.ttft_ms:.0f}", f"{one.tokens_per_s:.0f}"]
    return [escape(one.model), str(one.said), *told, *waits, usd(round(one.cost_usd * NANOS_PER_USD))]


def _metrics(pair: Pair) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("gain in", "seen", "lies between", "against"):
        table.add_column(name, justify="left" if name == "gain in" else "right")
    for demand in pair.test.demands:
        mean = pair.test.means[demand.metric]
        low, high = mean.interval(pair.test.alpha)
        against = f"{demand.delta:.0%}" + (" (guard)" if demand.guard else "")
        table.add_row(demand.metric, f"{mean.mean:+.1%}", f"{low:+.0%} and {high:+.0%}", against)
    return table
