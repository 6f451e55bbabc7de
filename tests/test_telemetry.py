"""One call, told alike by the ledger, by /metrics and by OpenTelemetry, and nothing of what was said."""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import aclosing
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from sqlalchemy import text

from askfit import otel, telemetry
from askfit.config import Settings
from askfit.errors import AskfitError
from askfit.gateway import Deadlines, Gateway
from askfit.ledger import Ledger
from askfit.providers.scripted import Script, ScriptedServer
from askfit.store import open_store
from askfit.types import NANOS_PER_USD, Call, Message, Prompt, Usage

HAIKU = "anthropic:claude-haiku-4-5"
SECRET = "Zebedee"  # in question, corpus and answer
CORPUS = f"[[1]] About\n{SECRET} leads a team of four in Lisbon. " * 40
QUESTION = f"Where does {SECRET} lead a team?"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(minimums={"claude-haiku-4-5": 20}) as running:
        yield running


class Seen:
    """What OpenTelemetry was told, in memory."""

    def __init__(self) -> None:
        self.spans, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        tracing = TracerProvider()
        tracing.add_span_processor(SimpleSpanProcessor(self.spans))
        self.instruments = otel._instruments(tracing, MeterProvider([self.reader]))

    def span(self) -> ReadableSpan:
        (span,) = self.spans.get_finished_spans()
        return span

    def points(self, name: str) -> list[Any]:
        data = self.reader.get_metrics_data()
        metrics = [m for r in (data.resource_metrics if data else []) for s in r.scope_metrics for m in s.metrics]
        return [point for metric in metrics if metric.name == name for point in metric.data.data_points]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    told = Seen()
    monkeypatch.setattr(otel, "instruments", lambda: told.instruments)
    return told


def counters() -> dict[str, float]:
    """Every line of /metrics by its name and labels."""
    lines = [line for line in telemetry.render().decode().splitlines() if not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


async def one_call(settings: Settings, feature: str, *, leave: bool = False, model: str = HAIKU) -> dict[str, Any]:
    """One streamed call through the gateway; its ledger row."""
    prompt = Prompt("Answer.", CORPUS, (Message("user", QUESTION),), 300, cache_ttl="1h")

    async def site_says() -> Any:
        yield "the built-in"

    ledger = Ledger(open_store(settings))
    await ledger.open()
    gateway = Gateway(settings, ledger, deadlines=Deadlines(120.0, 120.0, 240.0))
    await gateway.warm()  # importing an SDK may take long on a busy machine
    try:
        async with aclosing(gateway.stream(Call(feature, "answer-1", prompt, site_says, "v1", only=model))) as items:
            async for item in items:
                if leave and type(item).__name__ == "Text":
                    break
    except AskfitError:
        pass
    await gateway.aclose()
    rows = await ledger.store.read(lambda c: [dict(row) for row in c.execute(text("SELECT * FROM calls")).mappings()])
    await ledger.store.aclose()
    return rows[-1]


@pytest.fixture
def keyed(make_site: Callable[..., Settings], server: ScriptedServer) -> Settings:
    return make_site({}, environ={"ANTHROPIC_API_KEY": "x", "ANTHROPIC_BASE_URL": server.url})


async def test_ledger_metrics_and_opentelemetry_tell_the_same_figures(keyed: Settings, seen: Seen) -> None:
    """Tokens by kind, cost to the nano-dollar and times of one streamed call that wrote a cache."""
    row = await one_call(keyed, "ask-same")
    assert row["outcome"] == "ok" and row["cache_write_1h_tokens"] > 20 and row["cost_nanos"] > 0
    usage = Usage(**{name: row[name] for name in Usage.__dataclass_fields__})
    kinds = otel.tokens_by_kind(usage)
    assert sum(kinds.values()) == row["input_tokens"] + row["output_tokens"]

    labels = f'feature="ask-same",model="{HAIKU}"'
    now = counters()
    assert {
        kind: now[f'askfit_tokens_total{{feature="ask-same",kind="{kind}",model="{HAIKU}"}}'] for kind in kinds
    } == kinds
    assert round(now[f"askfit_cost_usd_total{{{labels}}}"] * NANOS_PER_USD) == row["cost_nanos"]
    assert now[f'askfit_calls_total{{{labels},outcome="ok"}}'] == 1
    assert now[f"askfit_first_text_seconds_sum{{{labels}}}"] == pytest.approx(row["ttft_ms"] / 1000)
    assert now[f"askfit_call_seconds_sum{{{labels}}}"] == pytest.approx(row["total_ms"] / 1000)

    span = seen.span()
    told = dict(span.attributes or {})
    assert (span.name, span.kind, span.status.status_code) == (
        "chat claude-haiku-4-5",
        SpanKind.CLIENT,
        StatusCode.UNSET,
    )
    assert (span.end_time or 0) - (span.start_time or 0) == pytest.approx(row["total_ms"] * 1e6, abs=1000)
    assert told == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-haiku-4-5",
        "gen_ai.response.model": "claude-haiku-4-5",
        "gen_ai.request.max_tokens": 300,
        "gen_ai.request.stream": True,
        "gen_ai.output.type": "text",
        "gen_ai.usage.input_tokens": row["input_tokens"],
        "gen_ai.usage.output_tokens": row["output_tokens"],
        "gen_ai.usage.cache_read.input_tokens": row["cache_read_tokens"],
        "gen_ai.usage.cache_creation.input_tokens": row["cache_write_tokens"],
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.time_to_first_chunk": row["ttft_ms"] / 1000,
        "askfit.feature": "ask-same",
        "askfit.cost_nanos": row["cost_nanos"],
        "askfit.outcome": "ok",
        "askfit.estimated": False,
    }
    by_type = {point.attributes["gen_ai.token.type"]: point.sum for point in seen.points("gen_ai.client.token.usage")}
    assert by_type == {"input": row["input_tokens"], "output": row["output_tokens"]}
    (duration,) = seen.points("gen_ai.client.operation.duration")
    assert duration.sum == pytest.approx(row["total_ms"] / 1000)
    assert list(duration.explicit_bounds) == otel.SECOND_BOUNDS
    (first,) = seen.points("gen_ai.client.operation.time_to_first_chunk")
    assert first.sum == pytest.approx(row["ttft_ms"] / 1000)
    (cost,) = seen.points("askfit.cost")
    assert cost.value == row["cost_nanos"]
    told_kinds = {point.attributes["askfit.token.kind"]: point.value for point in seen.points("askfit.tokens")}
    assert told_kinds == {kind: count for kind, count in kinds.items() if count}


async def test_what_the_provider_says_answered_is_told_beside_what_was_asked_for(
    make_site: Callable[..., Settings], server: ScriptedServer, seen: Seen
) -> None:
    """A provider may answer with another name than the one that it was asked for: span and metrics carry both."""
    settings = make_site({}, environ={"OPENAI_API_KEY": "x", "OPENAI_BASE_URL": server.openai_url})
    await one_call(settings, "ask-named", model="openai:house@faithful")
    names = ("gen_ai.request.model", "gen_ai.response.model")
    asked = ("house@faithful", "house")
    assert tuple((seen.span().attributes or {})[name] for name in names) == asked
    for metric in ("gen_ai.client.token.usage", "gen_ai.client.operation.duration"):
        for point in seen.points(metric):
            assert tuple(point.attributes[name] for name in names) == asked


async def test_nothing_that_was_said_reaches_a_span_or_a_metric(keyed: Settings, seen: Seen) -> None:
    """Neither question, corpus, answer nor who asked."""
    await one_call(keyed, "ask")
    whole = seen.span().to_json() + str(seen.reader.get_metrics_data()) + telemetry.render().decode()
    assert SECRET not in whole and "Lisbon" not in whole
    assert '"v1"' not in whole and "answer-1" not in whole


async def test_a_failed_call_has_its_error_s_code_and_a_left_one_is_no_error(
    keyed: Settings, server: ScriptedServer, seen: Seen
) -> None:
    """error.type is the code that the ledger keeps; a visitor who leaves is told by the finish reason alone."""
    server.script = Script.of([{"fault": "overloaded"}])
    row = await one_call(keyed, "ask")
    span = seen.span()
    assert span.status.status_code == StatusCode.ERROR and not span.events and not span.status.description
    assert dict(span.attributes or {})["error.type"] == row["outcome"] == "provider_overloaded"
    seen.spans.clear()
    server.script = Script.of("faithful")
    row = await one_call(keyed, "ask", leave=True)
    told = dict(seen.span().attributes or {})
    assert row["outcome"] == "cancelled" and told["askfit.estimated"] is True
    assert told["gen_ai.response.finish_reasons"] == ("cancelled",) and "error.type" not in told


# ---------------------------------------------------------------- switched on and off


def switched(monkeypatch: pytest.MonkeyPatch, **variables: str) -> otel.Instruments | None:
    for name in ("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", otel.ENDPOINT, "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return otel.instruments.__wrapped__()


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", otel.ENDPOINT: "http://127.0.0.1:9"},
        {"OTEL_SDK_DISABLED": "true", otel.ENDPOINT: "http://127.0.0.1:9"},
        {"OTEL_TRACES_EXPORTER": "zipkin"},
    ],
    ids=["unset", "none", "disabled", "unknown"],
)
def test_nothing_is_sent_that_nobody_asked_for(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    """No variable, `none`, the SDK's own switch, or an exporter that is not known here."""
    for name in [name for name in sys.modules if name.startswith("opentelemetry.sdk")]:
        monkeypatch.delitem(sys.modules, name)
    assert switched(monkeypatch, **variables) is None


def test_without_the_sdk_the_owner_is_told_once_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The variables are set, the extra is not there: one warning with the command, and the site goes on."""
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    assert switched(monkeypatch, **{otel.ENDPOINT: "http://127.0.0.1:9"}) is None
    assert "pip install 'askfit[otel]'" in caplog.text


class Collector(http.server.BaseHTTPRequestHandler):
    """Takes what an OTLP exporter posts."""

    bodies: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        self.bodies.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def test_a_command_sends_its_call_to_a_collector_by_the_standard_variables(
    make_site: Callable[..., Settings],
) -> None:
    """A real process and a real collector on loopback: span and metrics arrive as OTLP, under the service's name."""
    Collector.bodies = []
    collector = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    environ = {
        "PATH": "",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_address[1]}",
        "OTEL_SERVICE_NAME": "my-site",
    }
    features = '[features.ask]\nkind = "chat"\npath = "/ask-ai"\nmodel = "scripted:faithful"\n'
    settings = make_site({"content/about.md": "# About\nAnn leads a team of four in Lisbon.\n"}, features)
    command = [sys.executable, "-m", "askfit", "ask", "Where does Ann lead a team?", "--json"]
    done = subprocess.run(command, cwd=settings.path.parent, env=environ, capture_output=True, timeout=60)
    collector.shutdown()
    collector.server_close()
    assert done.returncode == 0, done.stderr.decode()
    answer = json.loads(done.stdout)
    traces = [ExportTraceServiceRequest.FromString(body) for path, body in Collector.bodies if path == "/v1/traces"]
    spans = [span for sent in traces for r in sent.resource_spans for s in r.scope_spans for span in s.spans]
    assert {
        attribute.value.string_value
        for sent in traces for r in sent.resource_spans for attribute in r.resource.attributes
        if attribute.key == "service.name"
    } == {"my-site"}  # fmt: skip
    tokens = [a.value.int_value for span in spans for a in span.attributes if a.key == "gen_ai.usage.input_tokens"]
    assert tokens == [answer["usage"]["input_tokens"]] and tokens[0] > 0
    metrics = [ExportMetricsServiceRequest.FromString(body) for path, body in Collector.bodies if path == "/v1/metrics"]
    names = {m.name for sent in metrics for r in sent.resource_metrics for s in r.scope_metrics for m in s.metrics}
    assert {"gen_ai.client.token.usage", "gen_ai.client.operation.duration", "askfit.tokens"} <= names


@pytest.mark.parametrize("command", [["--help"], ["models", "--json"], ["ask", "Who is she?", "--json"]])
def test_opentelemetry_costs_a_command_nothing_that_nobody_asked_for(command: list[str], sample: Settings) -> None:
    """Neither interface nor SDK is imported, not even where the built-in answers and is counted."""
    code = "import sys; from askfit.cli import main\ntry: main(sys.argv[1:])\nexcept SystemExit: pass\n"
    code += "print([name for name in sys.modules if name.startswith('opentelemetry')], file=sys.stderr)"
    whole = [sys.executable, "-c", code, *command]
    done = subprocess.run(whole, cwd=sample.path.parent, env={"PATH": ""}, capture_output=True, timeout=60)
    assert done.stderr.decode().splitlines()[-1] == "[]"
