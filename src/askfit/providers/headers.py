"""Rate limits and waits as the headers of an answer tell them. Knows no SDK and asks nobody.

Anthropic names four limits and tells when each is whole again as a moment (RFC 3339, whole seconds); OpenAI names two
and tells how long that takes ("6m0s", "120ms"). A header that cannot be read is as if it were not there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

from askfit.types import Allowance, Axis, Headroom

KEPT = frozenset({"date", "retry-after", "retry-after-ms"})  # beside all that speak of rate limits
NAMES: Mapping[Axis, tuple[str, ...]] = {  # `{}` stands for limit, remaining, reset
    "requests": ("anthropic-ratelimit-requests-{}", "x-ratelimit-{}-requests"),
    "input_tokens": ("anthropic-ratelimit-input-tokens-{}",),
    "output_tokens": ("anthropic-ratelimit-output-tokens-{}",),
    "tokens": ("anthropic-ratelimit-tokens-{}", "x-ratelimit-{}-tokens"),
}
_FIELDS = {
    axis: tuple(tuple(name.format(field) for field in ("limit", "remaining", "reset")) for name in names)
    for axis, names in NAMES.items()
}
UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd])")
_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,9})?")


def told_by(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that are read here; the others may name the account."""
    return {name: value for name, value in headers.items() if "ratelimit" in name or name in KEPT}


def headroom_of(headers: Mapping[str, str], heard_s: float) -> Headroom | None:
    """What is left, by limit; None where nothing is told. `headers`: lower case."""
    axes: dict[Axis, Allowance] = {}
    for axis, spellings in _FIELDS.items():
        for limit, remaining, reset in spellings:
            most, left = _number(headers.get(limit)), _number(headers.get(remaining))
            if most and left is not None:
                axes[axis] = Allowance(int(most), int(left), _until_s(headers.get(reset), headers.get("date")))
                break
    return Headroom(axes, heard_s) if axes else None


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """How long the provider asks to wait: seconds with a fraction too, milliseconds, or a moment."""
    if (ms := _number(headers.get("retry-after-ms"))) is not None:
        return ms / 1000
    told = headers.get("retry-after")
    if (seconds := _number(told)) is not None or not told:
        return seconds
    moment, now = _http_date(told), _http_date(headers.get("date")) or datetime.now(UTC)
    return max(0.0, (moment - now).total_seconds()) if moment else None


def _number(text: str | None) -> float | None:
    text = (text or "").strip()
    return float(text) if _NUMBER.fullmatch(text) else None


def _until_s(reset: str | None, date: str | None) -> float:
    """From the answer's own date on, so that a clock of ours that is wrong does not matter; 0 where it is not told."""
    reset = (reset or "").strip()
    spans = _SPAN.findall(reset)
    if spans and "".join(number + unit for number, unit in spans) == reset:
        return math.fsum(float(number) * UNITS_S[unit] for number, unit in spans)
    if (seconds := _number(reset)) is not None:
        return seconds
    try:
        moment = datetime.fromisoformat(reset)
        now = _http_date(date) or datetime.now(UTC)
        return max(0.0, (moment - now).total_seconds())
    except (ValueError, TypeError):  # TypeError: a moment without its zone
        return 0.0


@lru_cache(maxsize=16)  # of an answer's four limits, and of all answers of one second
def _http_date(text: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return found if found.tzinfo else None
