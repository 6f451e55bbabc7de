"""The commands. Each is thin: it reads settings, calls the floor that does the work, and hands the result to `show`.

Exit codes: 0 done · 1 what was checked falls short · 2 wrong usage or settings, told in one plain sentence.
"""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from askfit.errors import AskfitError, UsageError

app = typer.Typer(
    name="askfit",
    help="Two AI features for a personal site, each on the model that fits its task.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Config = Annotated[Path, typer.Option("--config", help="The settings file.", show_default=True)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, for machines.")]
Host = Annotated[str, typer.Option(help="The address to listen on.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")]

DEFAULT_CONFIG = Path("askfit.toml")
MOST_USD = 1_000_000.0  # as in the settings; "inf" is no bound
MOST_VISITS = 1_000_000_000.0  # a month: beyond it a figure of money cannot be read


def main(args: list[str] | None = None) -> NoReturn:
    """Run one command and leave with its exit code; an expected error is one sentence on stderr."""
    args = sys.argv[1:] if args is None else args
    for stream in (sys.stdout, sys.stderr):  # a terminal that lacks "○" shows "?": better than a traceback
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        code = app(args, standalone_mode=False)
    except AskfitError as error:
        code = _tell(error, as_json="--json" in args)
    except typer.exceptions.TyperException as error:
        usage = UsageError("usage", f"{error.format_message().rstrip('.')}.", "Run: askfit --help")
        code = _tell(usage, as_json="--json" in args)
    except (KeyboardInterrupt, typer.Abort, asyncio.CancelledError):
        code = 130
    except BrokenPipeError:  # `askfit … | head`
        sys.stderr.close()
        code = 0
    sys.exit(code if isinstance(code, int) else 0)


def _tell(error: AskfitError, *, as_json: bool) -> int:
    if as_json:
        told = {"code": error.code, "message": error.message, "next_step": error.next_step}
        print_json({"error": told})
    print(f"askfit: {error}", file=sys.stderr)  # noqa: T201
    return error.exit_code


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    json.dump(document, sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a command's async work; Ctrl-C cancels it, which closes any request that is under way."""
    return asyncio.run(work)


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        from askfit import __version__

        print(__version__)  # noqa: T201
        raise typer.Exit


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="The site's folder.", metavar="DIR")] = Path(),
    as_json: Json = False,
) -> None:
    """Look at a site's folder and write a commented askfit.toml for it."""
    from askfit.cli import folder as work
    from askfit.cli import show

    found = work.look(folder)
    path = work.write(found)
    if as_json:
        print_json(work.as_json(found, path))
    else:
        show.initialised(found, path)


@app.command()
def serve(host: Host = "127.0.0.1", port: Port = 8000, config: Config = DEFAULT_CONFIG) -> None:
    """Serve the site's two features over HTTP."""
    from askfit.config import load_settings

    _serve(load_settings(config), host, port)


@app.command()
def demo(host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """Serve the sample site: no key, no network, nothing written outside a temporary folder."""
    from askfit.cli.sample import sample_settings

    with sample_settings() as settings:
        _serve(settings, host, port)


def _serve(settings: Any, host: str, port: int) -> None:
    from askfit.cli import show
    from askfit.web import serve as serve_web

    serve_web(settings, host, port, ready=show.serving)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="The question, in quotes.")],
    config: Config = DEFAULT_CONFIG,
    as_json: Json = False,
) -> None:
    """Ask the site a question; the answer streams."""
    from askfit.cli import features

    run(features.ask(config, question, as_json=as_json))


@app.command("run")
def run_feature(
    feature: Annotated[str, typer.Argument(help="A feature's name, as declared under [features].")],
    given: Annotated[
        str,
        typer.Argument(metavar="[INPUT]", help="A chat's question or choice; else a file, an https:// address, or -."),
    ] = "",
    config: Config = DEFAULT_CONFIG,
    as_json: Json = False,
) -> None:
    """Run any declared feature once, as a visitor would: ask, fit, or one of your own."""
    from askfit.cli import features

    run(features.run(config, feature, given, as_json=as_json))


@app.command()
def fit(
    posting: Annotated[str, typer.Argument(help="A file, a folder, an https:// address, or - for standard input.")],
    config: Config = DEFAULT_CONFIG,
    as_json: Json = False,
    html: Annotated[Path | None, typer.Option("--html", help="Also write the assessment as a page to keep.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Of a folder: also write the ranking as a table.")] = None,
    max_cost: Annotated[
        float, typer.Option(min=0, max=MOST_USD, help="Of a folder: US dollars that the run may cost.")
    ] = 1.0,
    owner: Annotated[bool, typer.Option("--owner", help="For you: also which rows the verdict hangs on.")] = False,
    batch: Annotated[
        bool | None,
        typer.Option(
            "--batch/--no-batch",
            help="Of a folder: judge it within a day at half the price, or one by one now. By itself: as latency_felt.",
        ),
    ] = None,
) -> None:
    """Judge a job posting against the skills matrix, or rank a folder of them. Exit 1 where one is not judged."""
    if Path(posting).is_dir():
        _rank(config, Path(posting), as_json=as_json, html=html, csv=csv, max_cost=max_cost, batch=batch)
    if batch is not None:
        raise UsageError("batch_of_one", "--batch is for a folder of postings.", "Name a folder.")
    if csv:
        raise UsageError("csv_of_one", "--csv is for a folder of postings.", "Name a folder, or use --json.")
    from askfit.cli import features

    run(features.fit(config, posting, as_json=as_json, html=html, owner=owner))


def _rank(
    config: Path,
    folder: Path,
    *,
    as_json: bool,
    html: Path | None,
    csv: Path | None,
    max_cost: float,
    batch: bool | None,
) -> NoReturn:
    from askfit.cli import ranking as work
    from askfit.config import load_settings

    settings, options = load_settings(config), work.Options(folder, max_cost, csv, html, batch)
    report = run(work.rank(settings, options, quiet=as_json))
    work.write(report, settings, options)
    if as_json:
        print_json(report.as_json())
    else:
        work.show(report)
    raise typer.Exit(0 if report.ok else 1)


@app.command()
def check(
    config: Config = DEFAULT_CONFIG,
    as_json: Json = False,
    live: Annotated[bool, typer.Option("--live", help="Also call each model once. This costs a little.")] = False,
) -> None:
    """Read everything and say what is served, what is left out, and why. Exit 1 on an error."""
    from askfit.cli import checking as work
    from askfit.cli import show
    from askfit.config import load_settings

    report = run(work.check(load_settings(config), live=live, quiet=as_json))
    if as_json:
        print_json(report.as_json())
    else:
        show.checked(report)
    raise typer.Exit(0 if report.ok else 1)


@app.command()
def models(config: Config = DEFAULT_CONFIG, as_json: Json = False) -> None:
    """The known models: price, cache minimum, TTLs, window, retirement, and where each fact is from."""
    from askfit.cli import show
    from askfit.config import load_settings
    from askfit.models import known_models
    from askfit.routing import model_of

    used = {}
    if config.exists() or config != DEFAULT_CONFIG:
        settings = load_settings(config)
        used = {model_of(settings, tier): tier for tier in ("large", "small")}
    if as_json:
        print_json([_model(facts, used.get(facts.model, "")) for facts in known_models()])
    else:
        show.models(known_models(), used)


def _model(facts: Any, used_as: str) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(facts) | {"usd_per_million_tokens": facts.prices, "used_as": used_as}


@app.command()
def advise(
    feature: Annotated[str, typer.Argument(help="A feature, or a new one's name. Without it: all.")] = "",
    config: Config = DEFAULT_CONFIG,
    as_json: Json = False,
    task: Annotated[str, typer.Option(help="retrieval or synthesis.")] = "",
    runs: Annotated[float, typer.Option(min=0, max=1_000, help="How often it runs in one visit.")] = 0.0,
    cost_of_almost: Annotated[str, typer.Option(help="What a near miss costs: annoyance or 'no value'.")] = "",
    latency: Annotated[str, typer.Option(help="felt or 'not felt'.")] = "",
    tokens: Annotated[int, typer.Option(min=0, help="What it reads, if not what your site holds.")] = 0,
    visits: Annotated[float, typer.Option(min=0, max=MOST_VISITS, help="Visits a month that use it.")] = 0.0,
    today: Annotated[str, typer.Option(help="The day to judge promises by: 2026-11-21.")] = "",
) -> None:
    """Which model each feature should use, why, what a month costs, and what would overturn it. Calls nothing."""
    from askfit.cli import advising as work
    from askfit.config import load_settings

    options = work.Options(feature, task, runs, cost_of_almost, latency, tokens, visits)
    day = work.day(today)
    found = run(work.run(load_settings(config), options, day))
    if as_json:
        print_json(work.as_json(found, day))
    else:
        work.show(found, day)
        _tell_signals(load_settings(config))


@app.command()
def usage(
    config: Config = DEFAULT_CONFIG,
    as_json: Json = False,
    since: Annotated[str, typer.Option(help="A day: 2026-11-01. Without it: this month.")] = "",
    by: Annotated[str, typer.Option(help="Only this table, whole: feature, model or day.")] = "",
    html: Annotated[Path | None, typer.Option("--html", help="Also write it as a page to keep.")] = None,
) -> None:
    """What was called and what it cost, what caching saved, and what the month and other models come to."""
    from askfit.cli import using as work
    from askfit.config import load_settings

    table, settings = work.by_of(by), load_settings(config)
    report = run(work.spending(settings, since))
    if html:
        work.write(report, settings, html)
    if as_json:
        print_json(report.as_json())
    else:
        work.show(report, table)
        _tell_signals(settings)


def _tell_signals(settings: Any) -> None:
    from askfit.cli import watching

    watching.tell(run(watching.read(settings)))


@app.command()
def signals(
    feature: Annotated[str, typer.Argument(help="A feature. Without it: all.")] = "",
    config: Config = DEFAULT_CONFIG,
    as_json: Json = False,
    since: Annotated[str, typer.Option(help="A day: 2026-11-01. What came before it is not looked at.")] = "",
) -> None:
    """What your traffic says of each feature's model, and the comparison to run. Calls nothing, switches nothing."""
    from askfit.cli import watching as work
    from askfit.config import load_settings

    found = run(work.read(load_settings(config), feature, since))
    if as_json:
        print_json([one.as_json() for one in found])
    else:
        work.show(found)


@app.command("eval")
def evaluate(
    feature: Annotated[str, typer.Argument(help="A feature: ask, fit, or one of your own.")],
    samples: Annotated[
        Path | None, typer.Option(help="YAML or JSONL. Without it: golden/FEATURE.yaml beside the settings.")
    ] = None,
    config: Config = DEFAULT_CONFIG,
    as_json: Json = False,
    model: Annotated[str, typer.Option(help="small, large, builtin or provider:name. Default: the feature's.")] = "",
    floor: Annotated[float, typer.Option(min=0, max=1, help="The share of samples that must be right.")] = 1.0,
    max_cost: Annotated[
        float, typer.Option(min=0, max=MOST_USD, help="US dollars: the most that the run may cost.")
    ] = 1.0,
    max_words: Annotated[int, typer.Option(min=1, help="The most words of an answer.")] = 120,
    record: Annotated[Path | None, typer.Option(help="Keep every answer in this file.")] = None,
    replay: Annotated[Path | None, typer.Option(help="Take the answers from this file: free, no network.")] = None,
) -> None:
    """Ask the golden samples. Exit 1 where too few are right, or one says what it may never say."""
    from askfit.cli import evaluating as work
    from askfit.config import load_settings

    options = work.Options(feature, samples, model, floor, max_cost, max_words, record, replay)
    report = run(work.run(load_settings(config), options, quiet=as_json))
    if as_json:
        print_json(report.as_json(floor))
    else:
        work.show(report, floor)
    raise typer.Exit(0 if report.ok(floor) else 1)


@app.command()
def compare(
    feature: Annotated[str, typer.Argument(help="A feature: ask, fit, or one of your own.")],
    models: Annotated[str, typer.Option(help="Two or more, by commas: small, large, builtin or provider:name.")] = "",
    samples: Annotated[
        Path | None, typer.Option(help="YAML or JSONL. Without it: golden/FEATURE.yaml beside the settings.")
    ] = None,
    config: Config = DEFAULT_CONFIG,
    as_json: Json = False,
    delta: Annotated[
        str, typer.Option(help="The gain that is worth the dearer model: any, slight, clear, large, or 8%.")
    ] = "clear",
    repeats: Annotated[int, typer.Option(min=1, max=20, help="How often each sample is asked.")] = 1,
    max_cost: Annotated[
        float, typer.Option(min=0, max=MOST_USD, help="US dollars: the most that the run may cost.")
    ] = 1.0,
    resume: Annotated[bool, typer.Option("--resume", help="Take what the journal holds; ask only the rest.")] = False,
    journal: Annotated[
        Path | None, typer.Option(help="Where what is measured is kept. Default: compare-FEATURE.jsonl.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Also write the report as a page to keep.")] = None,
    record: Annotated[Path | None, typer.Option(help="Keep every answer in this file.")] = None,
    replay: Annotated[Path | None, typer.Option(help="Take the answers from this file: free, no network.")] = None,
    blind: Annotated[bool, typer.Option("--blind", help="Pick the better answers yourself, with no names.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the page for --blind. 0: any free one.")] = 0,
    judge: Annotated[str, typer.Option(help="Another model judges too, in both orders: two calls more a sample.")] = "",
    labels: Annotated[Path | None, typer.Option(help="What people prefer, to hold the judge against.")] = None,
    emphasis: Annotated[
        bool,
        typer.Option("--emphasis", help="Of assessments: does a verdict follow what is stressed? Two calls more each."),
    ] = False,
    from_shadow: Annotated[
        bool, typer.Option("--from-shadow", help="Judge by the turns that the server asked both models. No calls.")
    ] = False,
) -> None:
    """Which model a feature should have, by the same samples: ESCALATE, DOWNGRADE, KEEP or INCONCLUSIVE."""
    from dataclasses import replace as changed

    from askfit.cli import comparing as work
    from askfit.compare.report import as_json as document
    from askfit.config import load_settings

    options = work.Options(feature, models, samples, delta, repeats, max_cost, journal, resume, record, replay, html)
    options = changed(options, blind=blind, port=port, judge=judge, labels=labels)
    options = changed(options, from_shadow=from_shadow, emphasis=emphasis)
    found = run(work.run(load_settings(config), options, quiet=as_json))
    if as_json:
        print_json(document(found.comparison, found.blind, found.judged))
    else:
        work.show(found)
    raise typer.Exit(0 if found.comparison.compared else 1)


@app.command()
def loadtest(
    feature: Annotated[str, typer.Argument(help="A feature. Without it: every one that asks a provider.")] = "",
    config: Config = DEFAULT_CONFIG,
    as_json: Json = False,
    tier: Annotated[
        str, typer.Option(help="Limits of a usage tier: start, build, scale, or 1 as a cautious case.")
    ] = "",
    limits: Annotated[str, typer.Option(help="Limits a minute: requests,input tokens,output tokens.")] = "",
    visitors: Annotated[
        str, typer.Option("--visitors-per-minute", help="How many come; 'find' looks for how many fit.")
    ] = "find",
    minutes: Annotated[float, typer.Option(min=2, max=120, help="Simulated minutes.")] = 10.0,
    html: Annotated[Path | None, typer.Option("--html", help="Also write the report as a page to keep.")] = None,
    live: Annotated[bool, typer.Option("--live", hidden=True)] = False,
) -> None:
    """How many visitors a minute your rate limits bear. Asks a scripted model only: no provider, no cost."""
    from askfit.cli import loadtesting as work
    from askfit.config import load_settings

    if live:
        raise UsageError("loadtest_live", "askfit loadtest never asks a provider.", "Leave --live out.")
    options = work.Options(feature, tier, limits, work.visitors_of(visitors), minutes, html)
    reports = run(work.run(load_settings(config), options, quiet=as_json))
    if html:
        work.write_html(html, reports)
    if as_json:
        print_json([report.as_json() for report in reports])
    else:
        work.show(reports)
    raise typer.Exit(0 if all(report.ok for report in reports) else 1)


@app.command("gaps")
def asked_in_vain(config: Config = DEFAULT_CONFIG, as_json: Json = False) -> None:
    """What visitors asked in vain, grouped, newest first, with a draft of what to write for each group."""
    from askfit.cli import gaps as work
    from askfit.config import load_settings

    settings = load_settings(config)
    found = run(work.gaps(settings))
    if as_json:
        print_json([gap.as_json() for gap in found])
    else:
        work.show(found, settings.file.privacy.keep_questions_days)


@app.command()
def erase(
    before: Annotated[str, typer.Option(help="A day: 2026-11-01. What is older is erased.")] = "",
    visitor: Annotated[str, typer.Option(help="One visitor: their address, or the id of an answer they got.")] = "",
    config: Config = DEFAULT_CONFIG,
    as_json: Json = False,
) -> None:
    """Erase what is kept of visitors: their ids, notes, questions and shared assessments. Costs and counts stay."""
    from dataclasses import asdict

    from askfit.cli import show
    from askfit.cli import spending as work
    from askfit.config import load_settings

    if bool(before) == bool(visitor):
        raise UsageError("erase_whom", "Erase whom?", "Give --visitor ID or --before 2026-11-01, one of the two.")
    if visitor:
        erased = run(work.erase_visitor(load_settings(config), visitor.strip()))
        if as_json:
            print_json({"visitor": visitor, **asdict(erased)})
        else:
            show.out.print(work.told(erased))
        return
    rows = run(work.erase(load_settings(config), before))
    if as_json:
        print_json({"before": before, "rows": rows})
    else:
        show.out.print(f"{rows} rows from before {before} no longer tell of a visitor.")
