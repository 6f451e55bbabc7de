"""Logs and counters. Knows the shape of a call's figures, nothing of who made it or what was said.

Labels have few values: features and models come from the settings, outcomes and kinds from the code, none from who
visits.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, Protocol

from askfit import otel
from askfit.types import NANOS_PER_USD, Allowance, Axis, Usage

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

FIRST_TEXT_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 20.0)  # the built-in to the gateway's patience
TOTAL_BUCKETS_S = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0)  # to the longest that a call may take
FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Labelled(Protocol):
    """What a call is counted under."""

    @property
    def feature(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def fell_back_from(self) -> str: ...


class JsonLines(logging.Formatter):
    """One JSON object a record, for machines that collect logs; what is given as `extra=` stands beside the message."""

    def format(self, record: logging.LogRecord) -> str:
        """The record on one line."""
        line = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in FIELDS}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def set_up_logging(level: int = logging.WARNING, *, form: Literal["plain", "json"] = "plain") -> None:
    """askfit's records on stderr, one line each; a second call changes nothing."""
    plain = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else plain)
    logging.basicConfig(level=level, handlers=[handler])


@cache
def _metrics() -> tuple[CollectorRegistry, dict[str, Any]]:
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

    registry = CollectorRegistry()
    labels, axes = ("feature", "model"), ("model", "kind")
    return registry, {
        "calls": Counter("askfit_calls", "Calls by outcome", (*labels, "outcome"), registry=registry),
        "tokens": Counter(
            "askfit_tokens", "Tokens by how they are billed: the kinds add up", (*labels, "kind"), registry=registry
        ),
        "over_length": Counter("askfit_over_length", "Answers that ran past their length", labels, registry=registry),
        "limit": Gauge("askfit_rate_limit", "A provider's limit a minute, as it last told", axes, registry=registry),
        "left": Gauge("askfit_rate_limit_left", "What of it was left then", axes, registry=registry),
        "cost": Counter("askfit_cost_usd", "Cost in US dollars", labels, registry=registry),
        "ttft": Histogram(
            "askfit_first_text_seconds",
            "Time to the first text",
            labels,
            buckets=FIRST_TEXT_BUCKETS_S,
            registry=registry,
        ),
        "total": Histogram(
            "askfit_call_seconds", "Time to the end of a call", labels, buckets=TOTAL_BUCKETS_S, registry=registry
        ),
    }


def count_call(
    call: Labelled,
    outcome: str,
    usage: Usage,
    cost_nanos: int,
    ttft_ms: float,
    *,
    total_ms: float = 0.0,
    finish_reason: str = "",
    max_tokens: int = 0,
    wants_json: bool = False,
    response_model: str = "",
) -> None:
    """Count one settled call, here and in OpenTelemetry; a time is 0 where no text came, or where nobody waited."""
    _, metrics = _metrics()
    labels = (call.feature, call.model)
    metrics["calls"].labels(*labels, outcome).inc()
    for kind, count in otel.tokens_by_kind(usage).items():
        metrics["tokens"].labels(*labels, kind).inc(count)
    metrics["cost"].labels(*labels).inc(cost_nanos / NANOS_PER_USD)
    for name, ms in (("ttft", ttft_ms), ("total", total_ms)):
        if ms:
            metrics[name].labels(*labels).observe(ms / 1000)
    otel.record(
        otel.Seen(
            call.feature, call.model, outcome, usage, cost_nanos, ttft_ms, total_ms, finish_reason, max_tokens,
            wants_json, call.fell_back_from, response_model,
        )
    )  # fmt: skip


def count_over_length(feature: str, model: str) -> None:
    """Count an answer that ran past the length that its question asks for: a sign for the choice of the model."""
    _metrics()[1]["over_length"].labels(feature, model).inc()


def warm() -> None:
    """Import what the first call would wait for."""
    render()
    otel.instruments()


_limits: dict[str, Mapping[Axis, Allowance]] = {}


def note_limits(model: str, axes: Mapping[Axis, Allowance]) -> None:
    """Keep what a provider last told of a model's rate limits."""
    _limits[model] = axes


def render() -> bytes:
    """Every counter in Prometheus' text form."""
    from prometheus_client import generate_latest

    _, metrics = _metrics()
    for model, axes in _limits.items():
        for axis, told in axes.items():
            metrics["limit"].labels(model, axis).set(told.limit)
            metrics["left"].labels(model, axis).set(told.remaining)
    return generate_latest(_metrics()[0])
