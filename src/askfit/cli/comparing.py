"""`askfit compare`: the same samples to several models, and which one the feature should have. Reads options, shows."""

from __future__ import annotations

import asyncio
import logging
import os
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
from askfit.compare.asking import in_order
from askfit.compare.blind import Session, Standing
from askfit.compare.judge import Opinion, judge_of, judged, opinion_told, picked_labels, read_labels
from askfit.compare.report import (
    ModelSums,
    as_html,
    blind_sentence,
    blind_told,
    needed_told,
    sentence,
    sums,
    unmeasured,
)
from askfit.compare.running import DELTAS
from askfit.config import Settings
from askfit.errors import UsageError
from askfit.evals import Tape, default_samples, read_samples
from askfit.evals.samples import Sample
from askfit.routing import has_key, model_of
from askfit.types import NANOS_PER_USD

MOST_PROCESSES = 8  # for recorded answers
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
    blind: bool = False
    port: int = 0
    judge: str = ""
    labels: Path | None = None
    from_shadow: bool = False
    emphasis: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """A whole run: what was measured, and what was picked by hand."""

    comparison: Comparison
    blind: tuple[Standing, ...] = ()
    judged: tuple[Opinion, ...] = ()


async def run(settings: Settings, options: Options, *, quiet: bool) -> Found:
    """Compare, let the owner pick where that is wanted, and write the page where one is."""
    feature = options.feature
    if feature not in settings.features:
        known = ", ".join(settings.features)
        raise UsageError("feature_unknown", f"There is no feature '{feature}' here.", f"Known: {known}.")
    names = [name.strip() for name in options.models.split(",") if name.strip()]
    gain = delta_of(options.delta)
    if options.from_shadow:
        return _from_shadow(settings, options, names, gain)
    if not names:
        raise UsageError("models_few", "At least two different models are needed.", "Give --models A,B.")
    samples = read_samples(options.samples or default_samples(settings, feature), settings.features[feature].work)
    tape = Tape(replay=options.replay, record=options.record, at_once=True)
    journal = _journal(settings, options, tape)
    tape = _closed_without_keys(settings, names, tape, journal)
    if options.html:
        _check_writable(options.html)
    labels = _labels(settings, options, names, tape)
    asked = (*samples, *_swings(settings, samples)) if options.emphasis else samples
    with _stopped_told(journal), _progress(quiet=quiet) as tick, _told_by_the_report():
        comparison = await compare(
            settings,
            feature,
            names,
            asked,
            delta=gain,
            repeats=options.repeats,
            tape=tape,
            journal=journal,
            most_cost_usd=options.most_cost_usd,
            to_the_end=options.blind,
            processes=min(os.cpu_count() or 1, MOST_PROCESSES),
            progress=tick,
        )
    session = Session(comparison, samples, journal)
    if options.blind:
        await _judged_by_hand(session, options.port)
    opinions: tuple[Opinion, ...] = ()
    if options.judge:
        with _stopped_told(journal):
            opinions = await judged(
                settings,
                comparison,
                samples,
                journal,
                options.judge,
                labels={**labels, **picked_labels(session)},
                tape=tape,
                most_cost_usd=options.most_cost_usd,
            )
    found = Found(comparison, session.standings(), opinions)
    if options.html:
        options.html.write_text(as_html(comparison, asked, found.blind, opinions), encoding="utf-8")
    return found


def _swings(settings: Settings, samples: Sequence[Sample]) -> Sequence[Sample]:
    """Each posting once more, twice, with other requirements as musts. UsageError where none can be."""
    from askfit.compare.emphasis import swings
    from askfit.skills import load_matrix

    found = swings(samples, load_matrix(settings)) if settings.file.skills else ()
    if not found:
        raise UsageError(
            "emphasis_none",
            "No posting of these samples can be made to stress other things so that the rows bear it better or worse.",
            "--emphasis is for assessments: give postings with four requirements or more, some borne and some not.",
        )
    return found


def _from_shadow(settings: Settings, options: Options, names: Sequence[str], gain: float) -> Found:
    """The verdict of visitors' own turns, as the server has measured them: nothing is called."""
    from askfit.compare.shadow import from_shadow, journal_of

    if options.blind or options.judge or options.emphasis or options.samples or options.replay or options.record:
        raise UsageError(
            "shadow_alone",
            "--from-shadow has figures only: no questions and no answers to read, judge or replay.",
            "Leave out --samples, --blind, --judge, --emphasis, --record and --replay.",
        )
    if options.html:
        _check_writable(options.html)
    path = options.journal or journal_of(settings, options.feature)
    comparison = from_shadow(settings, options.feature, path, names, gain)
    if options.html:
        options.html.write_text(as_html(comparison, ()), encoding="utf-8")
    return Found(comparison)


def _journal(settings: Settings, options: Options, tape: Tape) -> Journal:
    """Where the answers and the picks are kept. Picks go on from an earlier session; so do the answers they are of."""
    path = options.journal or settings.root / f"compare-{options.feature}.jsonl"
    if not tape.only_replays:
        return Journal(path, resume=options.resume or options.blind)
    if options.journal or not (options.blind or options.resume):
        return Journal(options.journal, resume=options.resume or options.blind)
    return Journal(path, resume=True, only_choices=True)


def _labels(
    settings: Settings, options: Options, names: Sequence[str], tape: Tape
) -> dict[tuple[str, str, str], float]:
    """People's preferences from a file; what is wrong with the judge or the file is told before money is spent."""
    models = in_order(settings, names, tape)
    if options.judge:
        judge_of(settings, options.judge, models, tape)
    elif options.labels:
        raise UsageError("labels_alone", "--labels holds a judge against people.", "Name the judge with --judge.")
    return read_labels(options.labels, models) if options.labels else {}


def _closed_without_keys(settings: Settings, names: Sequence[str], tape: Tape, journal: Journal) -> Tape:
    """A tape that calls nobody, where a key is missing but the journal holds that model's answers."""
    missing = [model for name in names if not has_key(settings, model := model_of(settings, name))]
    if tape.only_replays or not missing or not journal.models.issuperset(missing):
        return tape
    return Tape(replay=Path(os.devnull))


async def _judged_by_hand(session: Session, port: int) -> None:
    """Serve the page until the owner is done."""
    from askfit.compare.blind_page import judge_by_hand

    if not session.items:
        raise UsageError(
            "blind_nothing", "No sample was answered by both models.", "See why without --blind, then try again."
        )
    if not session.asked:
        err.print("There is nothing to pick: every two answers are the same word for word.")
        return

    def tell(url: str) -> None:
        count = f"{session.judged} of {session.asked} judged" if session.judged else f"{session.asked} to judge at most"
        err.print(f"Pick the better answers in your browser ({count}):\n  {escape(url)}", soft_wrap=True)
        err.print("Ctrl-C stops here; the same command goes on later.")

    await judge_by_hand(session, tell, port=port)


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


@contextmanager
def _stopped_told(journal: Journal) -> Iterator[None]:
    """On Ctrl-C: where what was paid is kept, and how to go on."""
    try:
        yield
    except asyncio.CancelledError:
        if journal.path and journal.path.exists():
            err.print(escape(f"Stopped: what was answered is kept in {journal.path}. To go on, add --resume."))
        raise


def _check_writable(path: Path) -> None:
    """Told before money is spent; a run that is stopped leaves no empty page behind."""
    is_new = not path.exists()
    try:
        with path.open("a", encoding="utf-8"):
            pass
        if is_new:
            path.unlink()
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


def show(found: Found) -> None:
    """What was picked by hand; the verdict, why, every model's sums, every pair's metrics with where the gain lies."""
    comparison = found.comparison
    for one in found.blind:
        _show_blind(one, comparison)
    colour = COLOURS[comparison.verdict]
    out.print(f"[{colour}]{comparison.verdict}[/]  {escape(sentence(comparison))}")
    if more := needed_told(comparison):
        out.print(escape(more))
    for opinion in found.judged:
        verdict = opinion.decision.verdict
        out.print(
            f"\n[{COLOURS[verdict]}]{verdict}[/] by a judge, beside it: {escape(' '.join(opinion_told(opinion)))}"
        )
    out.print()
    out.print(_models(comparison))
    for pair in comparison.pairs:
        out.print(f"\n{escape(pair.large)} over {escape(pair.small)}, {pair.test.conversations} conversations")
        out.print(_metrics(pair))
    out.print()
    if paid := comparison.paid_usd + sum(one.paid_usd for one in found.judged):
        by = ", its judge included" if found.judged else ""
        out.print(f"This run cost {usd(round(paid * NANOS_PER_USD))}{by}.")
    for line in unmeasured(comparison):
        out.print(f"[dim]{escape(line)}[/]")


def _show_blind(one: Standing, comparison: Comparison) -> None:
    verdict = one.decision.verdict
    out.print(f"[{COLOURS[verdict]}]{verdict}[/] by hand, blind: {escape(blind_sentence(one, comparison.feature))}")
    for line in blind_told(one, comparison.delta):
        out.print(f"  {escape(line)}")
    out.print("\nBy the metrics:")


def _models(comparison: Comparison) -> Table:
    """A column for each model, since names are long and there are few."""
    found = sums(comparison)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for one in found:
        table.add_column(escape(one.model), justify="right", overflow="fold")
    for name, told in _rows(found).items():
        if any(told):
            table.add_row(name, *told)
    return table


def _rows(found: Sequence[ModelSums]) -> dict[str, list[str]]:
    shares = dict.fromkeys(name for one in found for name in one.shares)
    told = {
        name: ["" if (share := one.shares.get(name)) is None else f"{share:.0%}" for one in found] for name in shares
    }
    return {
        "answers": [str(one.said) for one in found],
        **told,
        "words": [f"{one.words:.0f}" for one in found],
        "first word": [f"{one.ttft_ms:.0f} ms" for one in found],
        "tokens a second": [f"{one.tokens_per_s:.0f}" if one.tokens_per_s else "" for one in found],
        "cost of all": [usd(round(one.cost_usd * NANOS_PER_USD)) for one in found],
    }


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
