"""Rate limits as providers enforce them: buckets that fill up all the time, and what the tiers of accounts allow.

An account has, per model, a bucket of requests, one of input tokens and one of output tokens. Each holds a minute's
worth and fills continuously (Anthropic calls it the token bucket algorithm). Nothing here calls anyone or waits: the
time is always given.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from askfit.errors import SettingsError
from askfit.types import Allowance, Axis

MINUTE_S = 60.0
NEVER_FITS_S = MINUTE_S  # what is larger than the bucket: asked to come back, and refused again


@dataclass(slots=True)
class Bucket:
    """What may still be used. It may be overdrawn: what was produced cannot be unproduced."""

    size: float
    per_s: float
    level: float
    at_s: float

    @classmethod
    def full(cls, per_minute: float, now_s: float) -> Bucket:
        """A minute's worth."""
        return cls(per_minute, per_minute / MINUTE_S, per_minute, now_s)

    def level_at(self, now_s: float) -> float:
        """After what has come back since."""
        self.level = min(self.size, self.level + max(0.0, now_s - self.at_s) * self.per_s)
        self.at_s = max(self.at_s, now_s)
        return self.level

    def wait_s(self, amount: float, now_s: float) -> float:
        """Until so much is there; infinite for what it never holds."""
        if amount > self.size or not self.per_s:
            return math.inf
        return max(0.0, amount - self.level_at(now_s)) / self.per_s

    def take(self, amount: float, now_s: float) -> None:
        """Use it, whether it is there or not; less than nothing gives back."""
        self.level = min(self.size, self.level_at(now_s) - amount)


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one model in one account, each a minute; 0 where there is none. `tokens`: input and output together."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    tokens: int = 0

    def items(self) -> list[tuple[Axis, int]]:
        """Those that there are."""
        axes: tuple[Axis, ...] = ("requests", "input_tokens", "output_tokens", "tokens")
        return [(axis, limit) for axis in axes if (limit := getattr(self, axis))]

    def __str__(self) -> str:
        named = ", ".join(f"{limit:,} {axis.replace('_', ' ')}" for axis, limit in self.items())
        return f"{named} a minute" if named else "none"


@dataclass(frozen=True, slots=True)
class OverLimit:
    """A request that an account's limit does not bear now."""

    axis: Axis
    wait_s: float  # until it would


@dataclass(slots=True)
class Account:
    """One account's buckets, model by model, as its provider keeps them: asked before, told of output afterwards.

    Anthropic counts output as it is produced: a request is let in while any is left, and may overdraw the bucket.
    """

    limits: Callable[[str], Limits]  # of a model, by its name
    clock: Callable[[], float]
    begins: float = 1.0  # how full the buckets are at first
    _buckets: dict[str, dict[Axis, Bucket]] = field(default_factory=dict)

    def ask(self, model: str, needs: Mapping[Axis, float]) -> OverLimit | None:
        """Use what a request needs of each bucket; or none of it, where one cannot bear it."""
        now_s, buckets = self.clock(), self._of(model)
        waits = [(bucket.wait_s(max(1.0, needs.get(axis, 0.0)), now_s), axis) for axis, bucket in buckets.items()]
        wait_s, axis = max(waits, default=(0.0, "requests"))
        if wait_s > 0:
            return OverLimit(axis, min(wait_s, NEVER_FITS_S))
        for axis, amount in needs.items():
            if bucket := buckets.get(axis):
                bucket.take(amount, now_s)
        return None

    def produced(self, model: str, amounts: Mapping[Axis, float]) -> None:
        """Count what came out."""
        for axis, amount in amounts.items():
            if bucket := self._of(model).get(axis):
                bucket.take(amount, self.clock())

    def standing(self, model: str) -> dict[Axis, Allowance]:
        """What is left of each, and how long until it is whole again."""
        now_s = self.clock()
        return {
            axis: Allowance(
                round(bucket.size), math.floor(max(0.0, bucket.level_at(now_s))), bucket.wait_s(bucket.size, now_s)
            )
            for axis, bucket in self._of(model).items()
        }

    def _of(self, model: str) -> dict[Axis, Bucket]:
        if model not in self._buckets:
            now_s, limits = self.clock(), self.limits(model)
            buckets = {axis: Bucket.full(limit, now_s) for axis, limit in limits.items()}
            for bucket in buckets.values():
                bucket.level *= self.begins
            self._buckets[model] = buckets
        return self._buckets[model]


# ---------------------------------------------------------------- what the tiers allow


@dataclass(frozen=True, slots=True)
class Tier:
    """What is published of one usage tier, and where."""

    name: str
    limits: Mapping[str, Limits]  # by model
    source: str
    note: str
    basis: Literal["documented", "observed"]
    date: str


def tier(name: str) -> Tier:
    """A tier by its name; SettingsError `tier_unknown`."""
    if name not in _tiers():
        raise SettingsError("tier_unknown", f"There is no tier '{name}'.", f"Known: {', '.join(_tiers())}.")
    return _tiers()[name]


def limits_of(model: str, tier_name: str) -> Limits:
    """A model's limits in a tier; SettingsError `limits_unknown` where we have not read them."""
    found = tier(tier_name).limits.get(model)
    if found is None:
        raise SettingsError(
            "limits_unknown",
            f"The limits of {model} in tier '{tier_name}' are not known.",
            "Your account's page at the provider shows them: --limits REQUESTS,INPUT,OUTPUT (a minute).",
        )
    return found


def read_limits(text: str) -> Limits:
    """`50,50000,10000`: requests, input tokens, output tokens a minute; SettingsError `limits_invalid`."""
    parts = [part.strip().replace("_", "") for part in text.split(",")]
    if len(parts) == 3 and all(part.isdigit() for part in parts) and any(map(int, parts)):
        return Limits(*map(int, parts))
    raise SettingsError(
        "limits_invalid", f"'{text}' are no limits.", "Write requests, input and output tokens a minute: 50,50000,10000"
    )


@cache
def _tiers() -> dict[str, Tier]:
    raw = tomllib.loads(files("askfit").joinpath("rates.toml").read_text(encoding="utf-8"))
    return {name: _tier(name, values) for name, values in raw.items()}


def _tier(name: str, values: dict[str, Any]) -> Tier:
    limits = {model: Limits(*numbers) for model, numbers in values["limits"].items()}
    return Tier(name, limits, values["source"], values["note"], values["basis"], str(values["date"]))
