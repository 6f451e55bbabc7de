"""Tell calls to OpenTelemetry by its conventions for generative AI. Knows a call's figures, never what was said.

Off until a standard OTEL_* variable names an exporter or an endpoint, or the program around us has set up the SDK;
until then it costs a look at the environment, once. The SDK is the extra `otel`. The names: docs/decisions/usage.md.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from askfit.types import Usage

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

log = logging.getLogger(__name__)

SCHEMA = "https://opentelemetry.io/schemas/1.42.0"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
SIGNALS = {"TRACES": "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "METRICS": "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"}
# The conventions' own bounds, tokens and seconds.
TOKEN_BOUNDS = [4**power for power in range(14)]
SECOND_BOUNDS = [0.01 * 2**power for power in range(14)]
FINE = frozenset({"ok", "cancelled"})  # a visitor who left is no error


@dataclass(frozen=True, slots=True)
class Seen:
    """One settled call, as its ledger row has it."""

    feature: str
    model: str  # "provider:name"
    outcome: str  # ok | cancelled | the error's code
    usage: Usage
    cost_nanos: int
    ttft_ms: float = 0.0  # 0: no text came
    total_ms: float = 0.0
    finish_reason: str = ""
    max_tokens: int = 0
    wants_json: bool = False
    fell_back_from: str = ""
    response_model: str = ""  # as the provider names what answered; "" where it did not get so far

    @property
    def provider(self) -> str:
        return self.model.partition(":")[0]

    @property
    def common(self) -> dict[str, Any]:
        """What spans and metrics carry alike: few values each."""
        known = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": self.provider,
            "gen_ai.request.model": self.model.partition(":")[2],
            "askfit.feature": self.feature,
        }
        told = {"gen_ai.response.model": self.response_model} if self.response_model else {}
        return known | told | ({} if self.outcome in FINE else {"error.type": self.outcome})


@dataclass(frozen=True, slots=True)
class Instruments:
    """Where calls are told."""

    tracer: Any
    tokens: Any
    seconds: Any
    first_seconds: Any
    cost: Any
    kinds: Any


def tokens_by_kind(usage: Usage) -> dict[str, int]:
    """Tokens by how they are billed; each counts once, so that the kinds add up to all tokens."""
    written, for_an_hour = max(0, usage.cache_write_tokens), max(0, usage.cache_write_1h_tokens)
    return {
        "input_uncached": max(0, usage.input_tokens - usage.cache_read_tokens - written),
        "cache_read": max(0, usage.cache_read_tokens),
        "cache_write_5m": max(0, written - for_an_hour),
        "cache_write_1h": for_an_hour,
        "output": max(0, usage.output_tokens),
    }


def record(seen: Seen) -> None:
    """One span and its metrics; a call that has just ended, told as a child of whatever span is current."""
    to = instruments()
    if to is None:
        return
    try:
        _record(to, seen, seen.common)
    except Exception:  # its interface promises none, but a plugin's fault must not take an answer away
        log.exception("A call could not be told to OpenTelemetry.")


def _record(to: Instruments, seen: Seen, common: Mapping[str, Any]) -> None:
    _span(to, seen, common)
    if seen.total_ms:
        to.seconds.record(seen.total_ms / 1000, common)
    if seen.ttft_ms:
        to.first_seconds.record(seen.ttft_ms / 1000, common)
    if seen.usage.input_tokens or seen.usage.output_tokens:
        to.tokens.record(seen.usage.input_tokens, {**common, "gen_ai.token.type": "input"})
        to.tokens.record(seen.usage.output_tokens, {**common, "gen_ai.token.type": "output"})
    for kind, count in tokens_by_kind(seen.usage).items():
        if count:
            to.kinds.add(count, {**common, "askfit.token.kind": kind})
    if seen.cost_nanos:
        to.cost.add(seen.cost_nanos, common)


def _span(to: Instruments, seen: Seen, common: Mapping[str, Any]) -> None:
    from opentelemetry.trace import SpanKind, Status, StatusCode

    ended_ns = time.time_ns()
    span = to.tracer.start_span(
        f"chat {common['gen_ai.request.model']}",
        kind=SpanKind.INTERNAL if seen.provider == "builtin" else SpanKind.CLIENT,
        attributes={**common, **_told(seen)},
        start_time=ended_ns - round(seen.total_ms * 1e6),
    )
    if "error.type" in common:
        span.set_status(Status(StatusCode.ERROR))
    span.end(ended_ns)


def _told(seen: Seen) -> dict[str, Any]:
    """What only the span carries."""
    told: dict[str, Any] = {
        "gen_ai.output.type": "json" if seen.wants_json else "text",
        "gen_ai.usage.input_tokens": seen.usage.input_tokens,  # cache included, as the conventions have it
        "gen_ai.usage.output_tokens": seen.usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": seen.usage.cache_read_tokens,
        "gen_ai.usage.cache_creation.input_tokens": seen.usage.cache_write_tokens,
        "askfit.cost_nanos": seen.cost_nanos,
        "askfit.outcome": seen.outcome,
        "askfit.estimated": seen.usage.estimated,
    }
    known = {
        "gen_ai.request.max_tokens": seen.max_tokens,
        "gen_ai.request.stream": seen.total_ms > 0,  # else it went in a batch
        "gen_ai.response.finish_reasons": [seen.finish_reason] if seen.finish_reason else None,
        "gen_ai.response.time_to_first_chunk": seen.ttft_ms / 1000,
        "askfit.fell_back_from": seen.fell_back_from,
    }
    return told | {name: value for name, value in known.items() if value}


# ---------------------------------------------------------------- setting up


@cache
def instruments() -> Instruments | None:
    """Made once; None where nobody asked for them, or the SDK is not installed (which is logged)."""
    asked = {signal: exporter for signal in SIGNALS if (exporter := _exporter(signal))}
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    if not asked and "opentelemetry.sdk" not in sys.modules:
        return None
    try:
        return _instruments(_tracing(asked.get("TRACES", "")), _metering(asked.get("METRICS", "")))
    except ImportError:
        log.warning("OTEL_… is set, but OpenTelemetry's SDK is not installed. Run: pip install 'askfit[otel]'")
    except Exception as error:  # the SDK's own complaints of its own variables
        log.warning("OpenTelemetry cannot be set up, so nothing is sent to it: %s", error)
    return None


def _exporter(signal: str) -> str:
    """otlp, console, or "": where a signal goes. Unlike the SDK's default, nothing is sent unasked."""
    named = os.environ.get(f"OTEL_{signal}_EXPORTER", "").strip().lower()
    if named in ("otlp", "console", "none"):
        return "" if named == "none" else named
    if named:
        log.warning("OTEL_%s_EXPORTER=%s is not known here. Known: otlp, console, none.", signal, named)
        return ""
    return "otlp" if os.environ.get(ENDPOINT) or os.environ.get(SIGNALS[signal]) else ""


def _tracing(exporter: str) -> Any:
    """The tracers of the program around us if it has set them up, else our own, else those that do nothing."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    theirs = trace.get_tracer_provider()
    if isinstance(theirs, TracerProvider) or not exporter:
        return theirs
    return _own_tracing(TracerProvider(resource=_resource()), exporter)


def _own_tracing(own: TracerProvider, exporter: str) -> TracerProvider:
    from opentelemetry.sdk.trace import export

    if exporter == "console":
        own.add_span_processor(export.BatchSpanProcessor(export.ConsoleSpanExporter(out=sys.stderr)))
        return own
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    own.add_span_processor(export.BatchSpanProcessor(OTLPSpanExporter()))
    return own


def _metering(exporter: str) -> Any:
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics import MeterProvider

    theirs = metrics.get_meter_provider()
    if isinstance(theirs, MeterProvider) or not exporter:
        return theirs
    return _own_metering(exporter)


def _own_metering(exporter: str) -> MeterProvider:
    from opentelemetry.sdk.metrics import MeterProvider, export

    if exporter == "console":
        console = export.ConsoleMetricExporter(out=sys.stderr)
        return MeterProvider([export.PeriodicExportingMetricReader(console)], resource=_resource())
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    return MeterProvider([export.PeriodicExportingMetricReader(OTLPMetricExporter())], resource=_resource())


def _resource() -> Resource:
    """What the environment says of this service; "askfit" where it does not name it."""
    from opentelemetry.sdk.resources import Resource

    found = Resource.create()
    unnamed = str(found.attributes.get("service.name", "")).startswith("unknown_service")
    return found.merge(Resource({"service.name": "askfit"})) if unnamed else found


def _instruments(tracing: Any, metering: Any) -> Instruments:
    ours = ("askfit", version("askfit"))
    meter = metering.get_meter(*ours, SCHEMA)

    def histogram(name: str, unit: str, about: str, bounds: list[Any]) -> Any:
        return meter.create_histogram(name, unit, about, explicit_bucket_boundaries_advisory=bounds)

    return Instruments(
        tracing.get_tracer(*ours, schema_url=SCHEMA),
        histogram("gen_ai.client.token.usage", "{token}", "Number of input and output tokens used.", TOKEN_BOUNDS),
        histogram("gen_ai.client.operation.duration", "s", "GenAI operation duration.", SECOND_BOUNDS),
        histogram("gen_ai.client.operation.time_to_first_chunk", "s", "Time to the first text.", SECOND_BOUNDS),
        meter.create_counter("askfit.cost", "{nanodollar}", "Cost in billionths of a US dollar."),
        meter.create_counter("askfit.tokens", "{token}", "Tokens by how they are billed; the kinds add up."),
    )
