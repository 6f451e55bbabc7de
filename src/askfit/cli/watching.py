"""`askfit signals`: read what the ledger tells of each feature's model, show what changed and the comparison to run.

The same signals stand, a line each, under `askfit advise` and `askfit usage`. Calls no model, changes no setting.
"""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.markup import escape

from askfit.cli.show import out
from askfit.config import Settings
from askfit.errors import UsageError
from askfit.evals.samples import default_samples
from askfit.ledger import Ledger
from askfit.routing import model_of
from askfit.signals import BASELINE, MOST_FALSE, Reading, Signal, read_signals
from askfit.store import open_store

SAYS = {
    "escalate": "speaks for a larger model",
    "downgrade": "speaks for a smaller model, or a shorter prompt",
}


@dataclass(frozen=True, slots=True)
class Found:
    """One feature's reading, and what its comparison would ask."""

    reading: Reading
    samples: str  # the file, as the command names it
    has_samples: bool
    kept: int  # questions of visitors that `askfit gaps` tells of

    def as_json(self) -> dict[str, Any]:
        """All of it, for machines."""
        beside = {"samples": self.samples, "has_samples": self.has_samples, "kept_questions": self.kept}
        return self.reading.as_json() | beside


async def read(settings: Settings, feature: str = "", since: str = "") -> tuple[Found, ...]:
    """Every feature's signals, or one's, from a day on (ISO). Where there is no ledger yet none is made."""
    if feature and feature not in settings.features:
        known = ", ".join(settings.features)
        raise UsageError("feature_unknown", f"There is no feature '{feature}' here.", f"Known: {known}.")
    since_ms = _since_ms(since)
    names = [feature] if feature else list(settings.features)
    if settings.sqlite_file and not settings.sqlite_file.exists():
        return tuple(_found(settings, name, (), 0) for name in names)
    store = await asyncio.to_thread(open_store, settings)
    try:
        ledger = Ledger(store)
        await ledger.open()
        kept = [one.feature for one in await ledger.unanswered()]
        return tuple([_found(settings, name, await ledger.answers(name, since_ms), kept.count(name)) for name in names])
    finally:
        await store.aclose()


def _found(settings: Settings, feature: str, answers: Any, kept: int) -> Found:
    try:
        path, has_samples = default_samples(settings, feature), True
    except UsageError:
        path, has_samples = settings.root / "golden" / f"{feature}.yaml", False
    samples = _as_typed(path)
    reading = read_signals(
        feature,
        answers,
        small=model_of(settings, "small"),
        large=model_of(settings, "large"),
        samples=samples,
        now_ms=int(time.time() * 1000),
    )
    return Found(reading, samples, has_samples, kept)


def _as_typed(path: Path) -> str:
    """As one would type it where the command was run."""
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def _since_ms(day: str) -> int:
    try:
        return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000) if day else 0
    except ValueError:
        raise UsageError("since_invalid", f"--since {day} is not a day.", "Write it as 2026-11-01.") from None


# ---------------------------------------------------------------- on a terminal


def show(found: Sequence[Found]) -> None:
    """For every feature what changed and what to run, or how much was looked at."""
    for one in found:
        out.print(f"[bold]{escape(one.reading.feature)}[/]  {escape(_looked_at(one.reading))}")
        for signal in one.reading.signals:
            out.print(f"  [yellow]![/] {escape(changed(signal))}")
        _commands(one)
    rate = round(1 / MOST_FALSE)
    out.print(f"[dim]Built to raise at most one false alarm in {rate:,} turns. askfit never switches by itself.[/]")


def tell(found: Sequence[Found]) -> None:
    """A line for each live signal; nothing where there is none."""
    for one in found:
        for signal in one.reading.signals:
            out.print(f"[yellow]![/] {escape(f'{signal.feature}: {changed(signal)}')}")
    if any(one.reading.signals for one in found):
        out.print("[dim]What to compare: askfit signals[/]")


def changed(signal: Signal) -> str:
    """What changed, from what to what, over how much, and what it speaks for."""
    shown = f"{signal.what}: {_percent(signal.baseline)} → {_percent(signal.now)}"
    over = f"since {signal.since}, over {signal.visits} visits ({signal.turns} turns)"
    return f"{shown[0].upper()}{shown[1:]} {over}. This {SAYS[signal.direction]}."


def _percent(share: float) -> str:
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"


def _looked_at(reading: Reading) -> str:
    if not reading.turns:
        return "No answer of a model to look at yet: the built-in has none of these signals."
    seen = f"{reading.turns} turns of {reading.model} in {reading.visits} visits since {reading.since}"
    if reading.missing:
        return f"{seen}. {reading.missing} more visits are needed for a baseline of {BASELINE}."
    return f"{seen}." + ("" if reading.signals else " Nothing has changed.")


def _commands(one: Found) -> None:
    """Each comparison once, and what to do where there is nothing to ask."""
    signals = one.reading.signals
    for command in dict.fromkeys(signal.command for signal in signals if signal.command):
        out.print(f"  Run: {escape(command)}", soft_wrap=True)
    for direction in dict.fromkeys(signal.direction for signal in signals if not signal.command):
        side = "dearer" if direction == "escalate" else "cheaper"
        out.print(f"  No {side} model of this provider is known. Name one to compare with: askfit models")
    if signals and not one.has_samples:
        out.print(f"  {escape(_no_samples(one))}")
    if signals:
        out.print("  [dim]Settled already? --since DAY begins a new baseline on that day.[/]")


def _no_samples(one: Found) -> str:
    kept = f" Begin with the {one.kept} questions that 'askfit gaps' lists." if one.kept else ""
    write = "write what visitors ask and what a good answer holds, as docs/golden-samples.md says."
    return f"{one.samples} is not there yet: {write}{kept}"
