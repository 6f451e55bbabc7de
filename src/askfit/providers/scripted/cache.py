"""A prompt cache that charges as Anthropic's does: exact bytes, breakpoints, minimum, lifetimes. Knows no wire."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from askfit.text import estimate_tokens

TTL_S = {"5m": 300.0, "1h": 3600.0}
LOOKBACK_BLOCKS = 20  # how far before a breakpoint the provider looks for an earlier entry


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a request, in the order tools, system, messages. `ttl`: a breakpoint stands at its end."""

    text: str
    ttl: Literal["", "5m", "1h"] = ""
    bytes: bytes = b""  # what the provider hashes, where that is more than the text

    @property
    def tokens(self) -> int:
        return estimate_tokens(self.text)


@dataclass(frozen=True, slots=True)
class Charge:
    """How one request's input tokens are billed; the four add up to `total`."""

    fresh: int = 0
    read: int = 0
    written_5m: int = 0
    written_1h: int = 0

    @property
    def total(self) -> int:
        return self.fresh + self.read + self.written_5m + self.written_1h


@dataclass(slots=True)
class _Entry:
    until: float
    life_s: float


@dataclass(slots=True)
class PromptCache:
    """Entries by the hash of everything up to their breakpoint. `clock` may be set by a test."""

    clock: Callable[[], float] = time.monotonic
    _entries: dict[str, _Entry] = field(default_factory=dict)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()

    def charge(self, seed: str, blocks: Sequence[Block], minimum_tokens: int, *, keep: bool = True) -> Charge:
        """Bill a request and keep what it writes. `seed`: the model, and whatever else invalidates the cache.

        Not to `keep` it only tells what the request would be billed.
        """
        digests, sums = _digests(seed, blocks), _sums(blocks)
        marks = [at for at, block in enumerate(blocks) if block.ttl]
        found = self._longest(digests, marks)
        read = sums[found] if found >= 0 else 0
        written = {"5m": 0, "1h": 0}
        done = read
        for at in marks:
            if at > found and sums[at] >= minimum_tokens:
                written[blocks[at].ttl] += sums[at] - done
                done = sums[at]
                life_s = TTL_S[blocks[at].ttl]
                if keep:
                    self._entries[digests[at]] = _Entry(self.clock() + life_s, life_s)
        total = sums[-1] if sums else 0
        return Charge(total - done, read, written["5m"], written["1h"])

    def _longest(self, digests: Sequence[str], marks: Sequence[int]) -> int:
        """The last block of the longest live entry near a breakpoint; -1 where there is none. A use renews it."""
        now, found = self.clock(), -1
        for mark in marks:
            for at in range(mark, max(-1, mark - LOOKBACK_BLOCKS), -1):
                entry = self._entries.get(digests[at])
                if entry and entry.until > now:
                    entry.until = now + entry.life_s
                    found = max(found, at)
                    break
        return found


def _digests(seed: str, blocks: Sequence[Block]) -> list[str]:
    running, digests = hashlib.sha256(seed.encode()), []
    for block in blocks:
        content = block.bytes or block.text.encode()
        running.update(len(content).to_bytes(8, "big") + content)
        digests.append(running.hexdigest())
    return digests


def _sums(blocks: Sequence[Block]) -> list[int]:
    sums, total = [], 0
    for block in blocks:
        total += block.tokens
        sums.append(total)
    return sums
