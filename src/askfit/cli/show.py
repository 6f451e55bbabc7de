"""How results look on a terminal. Knows the contract's forms; decides nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text as Line

from askfit.cli.progress import err
from askfit.types import (
    NANOS_PER_USD,
    AskDone,
    Assessment,
    Citation,
    Delta,
    Event,
    Filled,
    Notice,
    Part,
    Requirement,
    Retract,
    Start,
    Summary,
)

if TYPE_CHECKING:
    from askfit.cli.checking import Beside, FeatureReport, Report
    from askfit.cli.folder import Found
    from askfit.fit.nearmiss import NearMisses
    from askfit.models import ModelFacts

out = Console(highlight=False, soft_wrap=False)
IF_TRUE = "It says what would be so if it were true, not what to write. Numbers count the table from its top."

BAND_MARKS = {"strong": "[green]●[/] strong  ", "moderate": "[yellow]◐[/] moderate", "gap": "[red]○[/] gap     "}


def usd(nanos: int) -> str:
    """Money for people: cents matter, and so do fractions of them."""
    amount = nanos / NANOS_PER_USD
    return f"${amount:.2f}" if amount >= 1 or amount == 0 else f"${amount:.4f}"


def serving(urls: dict[str, str], lines: Sequence[str] = ()) -> None:
    """Where the features are, once they are."""
    for name, url in urls.items():
        out.print(f"  {name:10} {url}")
    for line in lines:
        out.print(escape(line))


# ---------------------------------------------------------------- ask


async def answer(events: AsyncIterator[Event]) -> Event | None:
    """Print an answer as it streams, its sources under it; on a pipe, print it whole at its end."""
    text, citations, notices = "", list[Citation](), list[Notice]()
    model, last = "", None
    with Live(console=out, auto_refresh=False, transient=False) if out.is_terminal else _no_live() as live:
        async for event in events:
            last = event
            match event:
                case Start():
                    model = event.model
                case Delta():
                    text += event.text
                case Retract():
                    text = text[: event.from_]
                case Citation():
                    citations.append(event)
                case Notice():
                    notices.append(event)
            if live and isinstance(event, Delta | Retract):
                live.update(Line(text), refresh=True)
    if not out.is_terminal:
        out.print(Line(text))
    _sources(citations)
    for notice in notices:
        out.print(f"[dim]{escape(notice.message)}[/]")
    if isinstance(last, AskDone):
        out.print(f"[dim]{escape(model)} · {last.total_ms:.0f} ms · {usd(round(last.cost_usd * NANOS_PER_USD))}[/]")
    return last


@contextmanager
def _no_live() -> Iterator[None]:
    yield None


def _sources(citations: list[Citation]) -> None:
    seen: dict[str, Citation] = {}
    for citation in citations:
        seen.setdefault(citation.section, citation)
    if seen:
        out.print()
    for number, citation in enumerate(seen.values(), 1):
        # The quote stands below: the part of the address that a browser finds it by is noise here.
        out.print(f"[dim][{number}][/] {escape(citation.url.partition(':~:')[0].rstrip('#') or citation.title)}")
        out.print(f'    [dim]"{escape(citation.quote)}"[/]')


# ---------------------------------------------------------------- fit


async def assessment(events: AsyncIterator[Event]) -> Event | None:
    """Print requirements as they become sure, then the whole assessment."""
    last = None
    sure: list[Requirement] = []
    status = err.status("Reading the posting") if err.is_terminal else None
    if status:
        status.start()
    try:
        async for event in events:
            last = event
            if isinstance(event, Requirement):
                sure.append(event)
            if status and isinstance(event, Requirement | Summary):
                status.update(f"{len(sure)} requirements judged")
    finally:
        if status:
            status.stop()
    if isinstance(last, Assessment):
        assessed(last)
    return last


def assessed(result: Assessment) -> None:
    """One assessment: the verdict, why, the requirements by weight, misfits, what to ask."""
    score = "" if result.verdict == "insufficient_information" else f"{result.score}/100 · "
    out.print(f"[bold]{result.verdict.replace('_', ' ').upper()}[/] · {score}{escape(result.headline)}")
    out.print()
    out.print(escape(result.why))
    if result.requirements:
        out.print()
        out.print(_requirements(result.requirements))
    _listed("Misfits", [misfit.text for misfit in result.misfits])
    _listed("Gates", [f"{gate.text} — {gate.status}" for gate in result.gates])
    asked = {requirement.id: requirement.text for requirement in result.requirements}
    contested = [(f"“{asked[d.requirement]}”", d.model_band, d.rows_band) for d in result.disagreements]
    _listed("Contested", [f"{said}: model {model_band}, rows {rows_band}" for said, model_band, rows_band in contested])
    _listed("Ask", list(result.questions_to_ask))
    out.print()
    for notice in result.notices:
        out.print(f"[dim]{escape(notice.message)}[/]")
    cost = usd(round(result.cost_usd * NANOS_PER_USD))
    out.print(f"[dim]{escape(result.model)} · {result.total_ms:.0f} ms · {cost}[/]")


def filled(result: Filled) -> None:
    """A form of the owner's, field by field."""
    for block in result.shown:
        out.print(f"[bold]{escape(block.title)}[/]")
        for item in block.items:
            first, *rest = [_part(part) for part in item]
            out.print(f"  · {first}")
            for line in rest:
                out.print(f"    {line}")
        out.print()
    for notice in result.notices:
        out.print(f"[dim]{escape(notice.message)}[/]")
    cost = usd(round(result.cost_usd * NANOS_PER_USD))
    out.print(f"[dim]{escape(result.model)} · {result.total_ms:.0f} ms · {cost}[/]")


def _part(part: Part) -> str:
    said = f"“{part.text}”" if part.kind == "quote" else part.text
    where = part.url.partition(":~:")[0].rstrip("#") if part.kind == "page" else part.label
    return escape(said) + (f" [dim]{escape(where)}[/]" if where else "")


def near_misses(near: NearMisses, result: Assessment) -> None:
    """For the owner: on which rows the verdict hangs, the requirements named by their number in the table above."""
    from askfit.web.report import numbers_of, owners

    said = owners(near, numbers_of(result))
    out.print(f"\n[bold]What the verdict hangs on[/]\n{escape(said.head)}")
    for line in said.lifts:
        out.print(f"  · {escape(line)}")
    _listed("One level from the next band", list(said.bands))
    _listed("Perhaps in the matrix under another name", list(said.renamed))
    out.print(f"[dim]{escape(IF_TRUE)}[/]")


def _requirements(requirements: Sequence[Requirement]) -> Table:
    table = Table(
        "weight", "band", "the posting asks", "the matrix shows", box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )
    for requirement in sorted(requirements, key=lambda r: -r.emphasis):
        rows = "; ".join(f"{e.place} {e.skill} {e.level:g}" for e in requirement.evidence[:3])
        table.add_row(
            f"{requirement.emphasis:4.0%}",
            BAND_MARKS[requirement.band],
            escape(requirement.text),
            escape(rows or requirement.reason),
        )
    return table


def _listed(title: str, items: list[str]) -> None:
    if items:
        out.print(f"\n[bold]{title}[/]")
        for item in items:
            out.print(f"  · {escape(item)}")


# ---------------------------------------------------------------- init, check


def initialised(found: Found, path: Path) -> None:
    """What init found and wrote, and what to do next."""
    out.print(f"Looked at {escape(str(found.folder.absolute()))}")
    rows = (
        ("site", found.generator or "no known generator"),
        ("pages", f"{found.pages} in {', '.join(found.sources)}" if found.sources else "none found"),
        ("résumé", found.resume or found.cv or "none found"),
        ("skills", found.skills or "none found: /fit-check is off until [skills] names a spreadsheet"),
        ("name", found.site.get("name", "not found: fill it in")),
    )
    for label, value in rows:
        out.print(f"  {label:8} {escape(value)}")
    out.print(f"Wrote {escape(str(path))}")
    out.print("Next: read it once, then run: askfit check")


def checked(report: Report) -> None:
    """The report of `askfit check`: what is served, how, and each fault with its place."""
    corpus, matrix = report.corpus, report.matrix
    out.print(
        f"[bold]Corpus[/]  {len(corpus.documents)} documents, {len(corpus.sections)} sections, "
        f"about {corpus.tokens:,} tokens; {len(corpus.skipped)} files left out"
    )
    for reason, count in _reasons([skipped.reason for skipped in corpus.skipped]):
        out.print(f"        [dim]{count} left out: {escape(reason)}[/]")
    if matrix:
        rows = f"{len(matrix.skills)} rows of {escape(str(matrix.path))}"
        out.print(f"[bold]Skills[/]  {rows}; {matrix.private_count} private, kept here")
    else:
        out.print("[bold]Skills[/]  the settings have no \\[skills]: /fit-check is off")
    for feature in report.features:
        _feature(feature)
    for fault in report.faults:
        colour = "red" if fault.severity == "error" else "yellow"
        out.print(f"[{colour}]{fault.severity}[/] {escape(str(fault))} [dim]({fault.code})[/]")
    for live in report.live:
        mark = "[green]answers[/]" if live.ok else "[red]fails[/]"
        out.print(f"[bold]Live[/]    {live.model}: {mark} {escape(live.detail)} {usd(live.cost_nanos)}")
        if live.limits:
            out.print(f"        Left this minute: {escape(live.limits)}.")
    errors = sum(fault.severity == "error" for fault in report.faults)
    warnings = len(report.faults) - errors
    out.print(f"{'[green]ok[/]' if report.ok else '[red]falls short[/]'}: {errors} errors, {warnings} warnings")


def _feature(feature: FeatureReport) -> None:
    answers, *others = feature.candidates
    then = f", then {', '.join(others)}" if others else ""
    out.print(f"[bold]{feature.path}[/]  {answers}{then}")
    if answers != feature.wanted and answers.startswith("builtin:"):
        out.print(f"        [dim]{feature.wanted} has no key in the environment: the built-in answers, and says so[/]")
    size = f"{feature.content_tokens:,}", f"{feature.prefix_tokens:,}"
    out.print(f"        {REGIMES[feature.regime].format(*size)}")
    cache = f"cached for {feature.ttl}" if feature.cacheable else "not cached"
    out.print(f"        {cache} by {feature.wanted}: {escape(feature.cache_reason)}")
    if one := feature.escalation:
        _beside(f"escalation to {one.model}: at most {one.share:.0%} of the turns and", one)
    if one := feature.shadow:
        _beside(f"shadow runs on {one.model}: about {one.share:.0%} of the turns, at most", one)


def _beside(told: str, one: Beside) -> None:
    out.print(f"        {told} ${one.per_day_usd:.2f} a day{'; rests: no key' if one.rests else ''}")


REGIMES = {
    "whole": "the whole corpus in the cached prompt: {0} tokens of pages, {1} as sent with instructions",
    "retrieval": "too large for one prompt ({0} tokens of pages): retrieved passages, after {1} of instructions",
    "matrix": "the whole matrix in the cached prompt: {0} tokens of rows, {1} as sent with instructions",
}


def _reasons(reasons: list[str]) -> list[tuple[str, int]]:
    return sorted({reason: reasons.count(reason) for reason in reasons}.items())


# ---------------------------------------------------------------- models


def models(known: Sequence[ModelFacts], used: dict[str, str]) -> None:
    """The facts table, its sources under it; `used` says which model the settings use for what."""
    out.print("US dollars per million tokens; cached from so many tokens on")
    listed = table("model", ">in", ">write 5m", ">write 1h", ">read", ">out", ">cached from", ">window", "retires")
    for facts in known:
        prices = facts.prices or {}
        money = [f"{prices[name]:g}" if name in prices else "?" for name in PRICE_COLUMNS]
        listed.add_row(
            facts.model, *money, f"{facts.cache_minimum_tokens:,}", _short(facts.window_tokens),
            facts.retirement or "—",
        )  # fmt: skip
    out.print(listed)
    out.print()
    for facts in known:
        use = f" — your {used[facts.model]}" if facts.model in used else ""
        out.print(f"[dim]{facts.model}{use}: {escape(facts.source)} ({facts.basis}, {facts.date})[/]")
    out.print("[dim]Prices: the package genai-prices.[/]")


def table(*heads: str) -> Table:
    """A plain table that fits 80 columns; ">" before a head: a number's column."""
    made = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for head in heads:
        made.add_column(
            head.removeprefix(">"),
            justify="right" if head[0] == ">" else "left",
            no_wrap=head in ("model", "retires"),
        )
    return made


def took(ms: float) -> str:
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.1f} s"


def _short(tokens: int) -> str:
    """200000 → 200k, 1050000 → 1.05M."""
    return f"{tokens / 1e6:g}M" if tokens >= 1_000_000 else f"{tokens / 1e3:g}k"


PRICE_COLUMNS = ("input", "cache_write", "cache_write_1h", "cache_read", "output")
