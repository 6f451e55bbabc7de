"""`askfit usage`: what was called and what it cost, what caching saved, what the month and other models come to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from rich.markup import escape

from askfit.advice.pace import MOST_DAYS, Pace, pace
from askfit.advice.spent import Otherwise, Sums, edges, otherwise, reckoned, sums, sums_by
from askfit.cli.show import out, table, took
from askfit.cli.spending import day_of
from askfit.config import Settings
from askfit.errors import UsageError
from askfit.ledger import Cell, Ledger, UsageRow
from askfit.store import open_store
from askfit.types import NANOS_PER_USD

By = Literal["", "feature", "model", "day"]
BYS: tuple[By, ...] = ("feature", "model", "day")
DAYS_SHOWN = 7  # of the days, unless --by day asks for all
MOST_FEATURES = 3  # with a column of their own among the models


@dataclass(frozen=True, slots=True)
class Spending:
    """The calls since a day, in sums, and what follows from them."""

    since: datetime
    now: datetime
    rows: tuple[UsageRow, ...]
    cells: tuple[Cell, ...]
    first_ms: int  # when the first call ever was; 0: none
    pace: Pace
    otherwise: tuple[Otherwise, ...]
    budget_nanos: int  # of a month

    @property
    def all(self) -> Sums:
        """Every call since the day."""
        return sums(self.cells)

    def days(self) -> dict[str, Sums]:
        """By day, also those without a call, from the first one with one on."""
        known = sums_by(self.cells, lambda cell: cell.day_ms)
        begun = min(known, default=0)
        span = range(begun, int(self.now.timestamp() * 1000), 86_400_000) if known else ()
        return {_iso(day_ms): known.get(day_ms) or sums(()) for day_ms in span}

    def as_json(self) -> dict[str, Any]:
        """The report for machines; money in nano-dollars, exact."""
        return {
            "since": self.since.date().isoformat(),
            "rows": [asdict(row) | {"cache_hit_share": hit_share(row)} for row in self.rows],
            "cost_nanos": self.all.cost_nanos,
            "month_projection_nanos": self.pace.nanos,
            "all": _sums_json(self.all),
            "by_feature": _named(sums_by(self.cells, lambda cell: cell.feature), "feature"),
            "by_model": _named(sums_by(self.cells, lambda cell: cell.model), "model"),
            "by_day": _named(self.days(), "day"),
            "by_outcome": _named(sums_by(self.cells, lambda cell: cell.outcome), "outcome"),
            "projection": asdict(self.pace) | {"budget_nanos": self.budget_nanos, "why_not": self.pace.too_little},
            "otherwise": [asdict(one) for one in self.otherwise],
            "otherwise_calls": sum(cell.calls for cell in reckoned(self.cells)),
            "otherwise_prices_of": self.now.date().isoformat(),
        }


def hit_share(row: UsageRow) -> float:
    """The part of the input that was read from the cache."""
    return row.cache_read_tokens / row.input_tokens if row.input_tokens else 0.0


def _sums_json(one: Sums) -> dict[str, Any]:
    return asdict(one) | {"cache_hit_rate": one.hit_rate}


def _named(groups: Mapping[str, Sums], name: str) -> list[dict[str, Any]]:
    return [{name: key} | _sums_json(one) for key, one in groups.items()]


def _iso(day_ms: int) -> str:
    return datetime.fromtimestamp(day_ms / 1000, UTC).date().isoformat()


async def spending(settings: Settings, since: str = "", now: datetime | None = None) -> Spending:
    """Read the ledger from the day `since` on (ISO), or from the first of this month. Makes no ledger."""
    now = now or datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    begun = day_of(since, "since") if since else midnight.replace(day=1)
    back = min(begun, midnight.replace(day=1), midnight - timedelta(days=MOST_DAYS))
    rows, cells, first_ms = await _read(settings, begun, back)
    since_ms = int(begun.timestamp() * 1000)
    wanted = tuple(cell for cell in cells if cell.day_ms >= since_ms)
    by_day = sums_by([cell for cell in cells if cell.cost_nanos], lambda cell: cell.day_ms)
    paid = {day_ms: (one.calls, one.cost_nanos) for day_ms, one in by_day.items()}
    budget = round(settings.file.budget.per_month_usd * NANOS_PER_USD)
    return Spending(begun, now, rows, wanted, first_ms, pace(paid, first_ms, now), otherwise(wanted, now), budget)


async def _read(
    settings: Settings, begun: datetime, back: datetime
) -> tuple[tuple[UsageRow, ...], tuple[Cell, ...], int]:
    if settings.sqlite_file and not settings.sqlite_file.exists():
        return (), (), 0
    store = await asyncio.to_thread(open_store, settings)
    try:
        ledger = Ledger(store)
        await ledger.open()
        cells, first_ms = await ledger.cells(int(back.timestamp() * 1000), edges())
        return await ledger.usage(int(begun.timestamp() * 1000)), cells, first_ms
    finally:
        await store.aclose()


def by_of(text: str) -> By:
    """The table that is asked for; UsageError where there is none of that name."""
    for by in ("", *BYS):
        if text == by:
            return by
    raise UsageError("by_unknown", f"There is no table by {text}.", f"Known: {', '.join(BYS)}.")


# ---------------------------------------------------------------- in words


def dollars(nanos: int) -> str:
    """Money for people, a loss too."""
    amount = abs(nanos) / NANOS_PER_USD
    digits = 2 if amount >= 1 or not nanos else 4
    return f"{'-' if nanos < 0 else ''}${amount:,.{digits}f}"


def empty(report: Spending) -> str:
    """What is said where there is nothing to report."""
    since = report.since.date().isoformat()
    if report.first_ms:
        first = _iso(report.first_ms)
        return f"No call since {since}. The first one ever was on {first}: askfit usage --since {first}"
    return f'No call since {since}, and none before. Make the first: askfit ask "…"'


def told(report: Spending) -> Iterator[str]:
    """What the tables do not say of themselves, one plain sentence or two a line."""
    yield from _ends(report.all)
    yield _saved(report.all)
    yield _month(report)


def _ends(one: Sums) -> Iterator[str]:
    """How calls ended that did not end well."""
    ends = (
        (one.failed, "Failed"),
        (one.cancelled, "Left by their visitor"),
        (one.estimated, "Counted by our estimate, for the provider told no final counts"),
    )
    if said := " ".join(f"{what}: {count:,}." for count, what in ends if count):
        yield said
    if one.stood_in:
        yield (
            "Answered by the built-in in place of a model that failed, rested or had no budget left: "
            f"{one.stood_in:,}. Had the model answered, the cost, the pace and the other models' costs would be higher."
        )


def _saved(one: Sums) -> str:
    if one.hit_rate is None:
        return "Nothing was cached."
    rate = f"{one.hit_rate:.0%} of what could be cached was read from the cache"
    if one.saved_nanos < 0:
        lost = dollars(-one.saved_nanos)
        return f"Caching cost {lost} more than it saved: {rate}, the rest was written. See: askfit advise"
    return f"Caching saved {dollars(one.saved_nanos)}: {rate}; without it, {dollars(one.cost_nanos + one.saved_nanos)}."


def _month(report: Spending) -> str:
    """The month's projection against its budget."""
    at, budget = report.pace, report.budget_nanos
    so_far = f"This month has cost {dollars(at.spent_nanos)} of a budget of {dollars(budget)}."
    if at.nanos is None or at.least_nanos is None or at.most_nanos is None:
        return f"{so_far} {at.too_little}"
    said = (
        f"{so_far} At the pace of the last {at.days} whole days it comes to {dollars(at.nanos)}, in nine months of ten "
        f"between {dollars(at.least_nanos)} and {dollars(at.most_nanos)}"
    )
    if at.most_nanos <= budget:
        return f"{said}: within the budget."
    if at.least_nanos > budget:
        return f"{said}: more than the budget, which stops it there."
    return f"{said}: it may pass the budget, which stops it there."


def caveats(report: Spending) -> Iterator[str]:
    """What the table of other models rests on."""
    counted = sum(cell.calls for cell in reckoned(report.cells))
    yield (
        f"By the prices of {report.now.date().isoformat()}, over the {counted:,} of {report.all.calls:,} calls whose "
        "tokens are known. Same questions, same cache hits, answers of the same length: an assumption, so the range "
        "takes answers 1.5 times shorter to longer, token counts 10% off, and no caching where a provider caches as it "
        "likes. What was not cached is reckoned uncached everywhere. What the answers would be worth it does not say."
    )
    if any(one.uncached_calls for one in report.otherwise):
        yield "* Some cached parts are too short for this model's cache: reckoned uncached."


# ---------------------------------------------------------------- in tables


@dataclass(frozen=True, slots=True)
class Listing:
    """A table for a terminal or a page; ">" before a head: a number's column."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def by_feature(report: Spending) -> Listing:
    """Each feature with its models below it."""
    rows: list[tuple[str, ...]] = []
    for feature, one in sums_by(report.cells, lambda cell: cell.feature).items():
        rows.append((feature, *_counts(one), ""))
        for row in (row for row in report.rows if row.feature == feature):
            first = took(row.ttft_p50_ms) if row.ttft_p50_ms else ""
            counts = (f"{row.calls:,}", f"{row.input_tokens:,}", f"{row.output_tokens:,}", dollars(row.cost_nanos))
            rows.append((f"  {row.model}", *counts, first))
    return Listing("By feature", ("feature", ">calls", ">input", ">output", ">cost", ">first text"), tuple(rows))


def _counts(one: Sums) -> tuple[str, str, str, str]:
    return f"{one.calls:,}", f"{one.input_tokens:,}", f"{one.output_tokens:,}", dollars(one.cost_nanos)


def by_model(report: Spending) -> Listing:
    """How each model's calls ended, what its cache was worth."""
    heads = ("model", ">calls", ">failed", ">left", ">cache hits", ">saved", ">cost")
    groups = sums_by(report.cells, lambda cell: cell.model).items()
    return Listing("By model", heads, tuple(_model(model, one) for model, one in groups))


def _model(model: str, one: Sums) -> tuple[str, ...]:
    hits, saved = ("none", "") if one.hit_rate is None else (f"{one.hit_rate:.0%}", dollars(one.saved_nanos))
    ends = (f"{count:,}" if count else "" for count in (one.failed, one.cancelled))
    return model, f"{one.calls:,}", *ends, hits, saved, dollars(one.cost_nanos)


def by_day(report: Spending) -> Listing:
    """Every day since the first one with a call; a day is UTC's."""
    today = report.now.date().isoformat()
    rows = ((f"{day} so far" if day == today else day, *_counts(one)) for day, one in report.days().items())
    return Listing("By day", ("day", ">calls", ">input", ">output", ">cost"), tuple(rows))


def by_other_model(report: Spending) -> Listing:
    """What each known model would have cost, a column a feature where there is room."""
    features = list(sums_by(reckoned(report.cells), lambda cell: cell.feature))
    shown = features if 1 < len(features) <= MOST_FEATURES else []
    rows = []
    for one in report.otherwise:
        parts = [dollars(one.by_feature.get(name, 0)) for name in shown]
        rows.append((one.model + (" *" if one.uncached_calls else ""), *parts, dollars(one.nanos), _range(one)))
    heads = ("had it all gone to", *(f">{name}" for name in shown), ">all", ">likely between")
    return Listing("Had it all gone to one model", heads, tuple(rows))


def _range(one: Otherwise) -> str:
    if one.least_nanos == one.most_nanos:
        return "as it was"
    return f"{dollars(one.least_nanos)} – {dollars(one.most_nanos)}"


LISTINGS: Mapping[By, Callable[[Spending], Listing]] = {"feature": by_feature, "model": by_model, "day": by_day}


# ---------------------------------------------------------------- on a terminal


def show(report: Spending, by: By = "") -> None:
    """The tables, what follows from them, and what other models would have cost."""
    if not report.cells:
        out.print(empty(report))
        return
    out.print(headline(report))
    for name, listing in LISTINGS.items():
        if by in ("", name):
            out.print()
            _print(listing(report), last=0 if by else DAYS_SHOWN if name == "day" else 0)
    if by:
        return
    out.print()
    for line in told(report):
        out.print(escape(line))
    if report.otherwise:
        out.print()
        _print(by_other_model(report))
        for line in caveats(report):
            out.print(f"[dim]{escape(line)}[/]")


def headline(report: Spending) -> str:
    """What it all comes to."""
    days = f"{report.since.date().isoformat()} to {report.now.date().isoformat()} (UTC)"
    return f"{days}: {report.all.calls:,} calls, {dollars(report.all.cost_nanos)}"


def _print(listing: Listing, last: int = 0) -> None:
    printed = table(*(escape(head) for head in listing.heads))
    for column in printed.columns:  # on a narrow terminal the name is broken, and no figure is cut off
        column.no_wrap, column.overflow = column.justify == "right", "fold"
    for row in listing.rows[-last:]:
        printed.add_row(*(escape(cell) for cell in row))
    out.print(printed)
    if 0 < last < len(listing.rows):
        out.print(f"[dim]The last {last} of {len(listing.rows)} days; all: askfit usage --by day[/]")


# ---------------------------------------------------------------- as a page


def write(report: Spending, settings: Settings, path: Path) -> None:
    """The report as one page to keep; UsageError where it cannot be written."""
    from askfit.web.pages import spending_page

    days: dict[str, dict[str, int]] = {day: {} for day in report.days()}
    for (day_ms, feature), one in sums_by(report.cells, lambda cell: (cell.day_ms, cell.feature)).items():
        days[_iso(day_ms)][feature] = one.cost_nanos
    lists = [by_feature(report), by_model(report), by_day(report)] if report.cells else []
    page = spending_page(
        settings,
        headline(report) if report.cells else empty(report),
        days,
        told=list(told(report)) if report.cells else [],
        listings=lists,
        others=by_other_model(report) if report.otherwise else None,
        caveats=list(caveats(report)),
    )
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        said = f"{path} cannot be written ({error.strerror})."
        raise UsageError("usage_unwritable", said, "Name another file.") from None
