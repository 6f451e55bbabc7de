"""Answers to what every visitor asks alike, kept for a while: the same choice, pages and prompt give the same answer.

In memory, by the corpus that they were made from: a changed site or a new start begins anew. Knows no feature.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import lru_cache

from askfit.ask.prompt import Shared
from askfit.types import Citation

MOST_KEPT = 200
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it was shown, and who gave it when."""

    text: str
    citations: tuple[Citation, ...]
    model: str
    provider: str
    made: float = field(default_factory=time.monotonic)

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.made


@lru_cache(maxsize=2)
def _shelf(shared: Shared) -> dict[Key, Kept]:
    return {}


def find(shared: Shared, key: Key, most_hours: float) -> Kept | None:
    """The answer, if one is kept that is not too old."""
    kept = _shelf(shared).get(key)
    return kept if kept and kept.age_s < most_hours * 3600 else None


def keep(shared: Shared, key: Key, kept: Kept) -> None:
    """Keep an answer; the oldest one gives way."""
    shelf = _shelf(shared)
    shelf.pop(key, None)
    shelf[key] = kept
    if len(shelf) > MOST_KEPT:
        del shelf[next(iter(shelf))]
