"""What a comparison has measured, on file as it goes: a run that breaks off keeps what it paid for.

One line an outcome. It is found again by model, repeat, sample and all that the sample was asked of: site, rows,
prompts. What has changed since is asked anew. Failed calls are not kept, so that they are tried again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from askfit.compare.metrics import Outcome
from askfit.errors import UsageError

BEGINS = b'{"measured": '  # every line: no other file is ever written to

Key = tuple[str, str, int]  # the sample's fingerprint, model, repeat


class Journal:
    """One file. With `resume` what it holds is taken; without, all is measured anew and added."""

    def __init__(self, path: Path | None, *, resume: bool = False) -> None:
        """UsageError where the file is no journal, or cannot be written."""
        self._path = path
        self._known: dict[Key, Outcome] = {}
        if path:
            kept = _checked(path)
            self._known = dict(_read(path, kept)) if resume else {}

    def find(self, key: Key) -> Outcome | None:
        """What was measured before."""
        return self._known.get(key)

    def keep(self, key: Key, outcome: Outcome) -> None:
        """Add one outcome to the file, at once."""
        if self._path is None or outcome.error:
            return
        line = {"measured": key[0], **asdict(outcome)}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _checked(path: Path) -> bytes:
    """The whole lines that it holds. Half a line, of a run that was broken off, is cut away; no empty file is left."""
    is_new = not path.exists()
    try:
        with path.open("a+b") as file:
            file.seek(0)
            kept = file.read()
            if kept and not kept.startswith(BEGINS):
                raise _no_journal(path, 1)
            if kept and not kept.endswith(b"\n"):
                kept = kept[: kept.rfind(b"\n") + 1]
                file.truncate(len(kept))
        if is_new:
            path.unlink()
    except OSError as error:
        raise UsageError(
            "journal_unwritable", f"{path} cannot be written ({error.strerror}).", "Name another file with --journal."
        ) from None
    return kept


def _read(path: Path, kept: bytes) -> dict[Key, Outcome]:
    known: dict[Key, Outcome] = {}
    for number, line in enumerate(kept.splitlines(), 1):
        try:
            found = json.loads(line)
            fingerprint = found.pop("measured")
            outcome = _outcome(found)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise _no_journal(path, number) from None
        known[fingerprint, outcome.model, outcome.repeat] = outcome
    return known


def _outcome(found: Mapping[str, Any]) -> Outcome:
    return Outcome(**{**found, "missed": tuple(found["missed"])})


def _no_journal(path: Path, line: int) -> UsageError:
    return UsageError(
        "journal_invalid", f"{path}, line {line}: this is no journal of a comparison.", "Name another with --journal."
    )
