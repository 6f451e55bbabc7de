"""The commands as a person or a script runs them: real processes, real exit codes, the real wire on loopback."""

from __future__ import annotations

import http.server
import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from genai_prices import Usage as PricedUsage
from genai_prices import calc_price

from askfit import __version__
from askfit.config import Settings
from askfit.providers.scripted import ScriptedServer
from askfit.providers.scripted.script import Script

SAMPLE = Path(__file__).parents[1] / "examples" / "site"
QUESTION = "What was your role on your last team?"


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC", "OPENAI", "ASKFIT"))}
    return kept | {"NO_COLOR": "1", "COLUMNS": "100"} | more


def askfit(*args: str, cwd: Path, stdin: bytes = b"", **environ: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "askfit", *args],
        cwd=cwd,
        env=environment(**environ),
        input=stdin,
        capture_output=True,
        timeout=60,
    )


def told(*args: str, cwd: Path, **more: Any) -> Any:
    """A command's JSON document."""
    done = askfit(*args, "--json", cwd=cwd, **more)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.fixture
def folder(sample: Settings) -> Path:
    return sample.path.parent


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


def keyed(server: ScriptedServer) -> dict[str, str]:
    return {"ANTHROPIC_API_KEY": "x", "ANTHROPIC_BASE_URL": server.url}


# ---------------------------------------------------------------- the frame


def test_the_version_and_the_commands_are_told(tmp_path: Path) -> None:
    """--version is the package's; --help names every command; no command at all shows the help."""
    assert askfit("--version", cwd=tmp_path).stdout.decode().strip() == __version__
    shown = askfit("--help", cwd=tmp_path).stdout.decode()
    assert all(f" {name} " in shown for name in ("init", "serve", "demo", "ask", "fit", "check", "models", "usage"))
    assert b"Usage" in askfit(cwd=tmp_path).stdout


@pytest.mark.parametrize(
    "args",
    [("frobnicate",), ("ask",), ("serve", "--port", "0"), ("ask", "x", "--config", "no.toml"), ("fit", "no.txt")],
)
def test_wrong_usage_is_one_sentence_and_exit_2(args: tuple[str, ...], folder: Path) -> None:
    """A wrong command, a missing argument, a bad option, a missing file: exit 2, one line, no traceback."""
    done = askfit(*args, cwd=folder)
    assert done.returncode == 2
    lines = done.stderr.decode().strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("askfit: ")


def test_an_error_under_json_is_a_document_too(folder: Path) -> None:
    """A script that reads stdout gets the error's stable code and the next step."""
    done = askfit("fit", "no.txt", "--json", cwd=folder)
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["code"]) == (2, "posting_unreadable")
    assert error["next_step"]


def test_a_reader_that_closes_early_is_no_error(folder: Path) -> None:
    """`askfit models | head -1` leaves no traceback."""
    command = f'"{sys.executable}" -m askfit models | head -1'
    done = subprocess.run(command, shell=True, cwd=folder, env=environment(), capture_output=True, timeout=60)
    assert b"Traceback" not in done.stderr
    assert done.stdout


# ---------------------------------------------------------------- ask and fit


def test_ask_prints_an_answer_with_its_source(folder: Path) -> None:
    """For a person: the sentence, the page it stands on, and that no model was used."""
    shown = askfit("ask", QUESTION, cwd=folder).stdout.decode()
    assert "https://mara.example.com/" in shown
    assert "No AI model" in shown


def test_ask_as_json_is_the_contracts_object(folder: Path) -> None:
    """Every field of the contract; each citation's quote stands in its section."""
    answer = told("ask", QUESTION, cwd=folder)
    contract = "answer sentences abstained abstain_reason model usage cost_usd ttft_ms total_ms"
    assert set(contract.split()) <= set(answer)
    citations = [citation for sentence in answer["sentences"] for citation in sentence["citations"]]
    assert citations and all(set(citation) == {"document", "section", "url", "quote"} for citation in citations)
    assert " ".join(answer["answer"].split()).startswith(answer["sentences"][0]["text"].split(".")[0])


def test_fit_reads_a_file_standard_input_and_an_address_alike(folder: Path) -> None:
    """The same posting by its three ways in gives the same verdict and requirements."""
    posting = folder / "postings" / "data-platform-pm.md"
    handler = partial(QuietFiles, directory=str(posting.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as files:
        threading.Thread(target=files.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{files.server_address[1]}/{posting.name}"
        found = [
            told("fit", str(posting), cwd=folder),
            told("fit", "-", cwd=folder, stdin=posting.read_bytes()),
            told("fit", address, cwd=folder),
        ]
        missing = askfit("fit", f"{address}.gone", "--json", cwd=folder)
        files.shutdown()
    assert [one["verdict"] for one in found] == ["moderate"] * 3
    assert found[0]["requirements"] == found[1]["requirements"] == found[2]["requirements"]
    assert json.loads(missing.stdout)["error"]["code"] == "posting_unreachable"


class QuietFiles(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


def test_fit_writes_a_page_to_keep(folder: Path) -> None:
    """--html writes one page that needs nothing else: no script, no address of another host."""
    done = askfit("fit", "postings/data-platform-pm.md", "--html", "fit.html", cwd=folder)
    assert done.returncode == 0, done.stderr
    page = (folder / "fit.html").read_text(encoding="utf-8")
    assert "Moderate" in page and "data catalog" in page
    assert "<script" not in page
    assert not any(f'{attribute}="http' in page for attribute in ("src", "action"))


def test_fit_without_a_matrix_says_what_to_do(make_site: Callable[..., Settings]) -> None:
    """A site without [skills] has no /fit-check, and the sentence says so."""
    made = make_site({"content/a.md": "# A\n\nHi."})
    done = askfit("fit", "-", cwd=made.path.parent, stdin=b"words " * 60)
    assert done.returncode == 2
    assert b"no skills matrix" in done.stderr


# ---------------------------------------------------------------- with a model, over its real wire


def test_two_questions_share_a_cached_prefix_and_cost_what_genai_prices_says(
    folder: Path, server: ScriptedServer
) -> None:
    """The cached system prompt is the same bytes, read back the second time; the ledger's cost is genai-prices'."""
    first = told("ask", QUESTION, cwd=folder, **keyed(server))
    second = told("ask", "Where is she based?", cwd=folder, **keyed(server))
    assert first["provider"] == second["provider"] == "anthropic"
    bodies = [json.loads(seen.raw) for seen in server.requests if seen.path.endswith("/messages")]
    assert len(bodies) == 2
    assert json.dumps(bodies[0]["system"]) == json.dumps(bodies[1]["system"])
    assert bodies[0]["system"][-1]["cache_control"]["type"] == "ephemeral"
    assert first["usage"]["cache_write_tokens"] > 4096
    assert second["usage"]["cache_read_tokens"] == first["usage"]["cache_write_tokens"]

    rows = (
        sqlite3.connect(folder / "askfit.db")
        .execute(
            "select input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens, "
            "cost_nanos from calls order by at_ms"
        )
        .fetchall()
    )
    assert len(rows) == 2
    for tokens_in, tokens_out, read, written, written_1h, cost in rows:
        usage = PricedUsage(
            input_tokens=tokens_in, output_tokens=tokens_out, cache_read_tokens=read, cache_write_tokens=written
        )
        price = calc_price(usage, "claude-haiku-4-5", provider_id="anthropic").total_price
        # genai-prices knows the five-minute price of a cache write; an hour costs 2.0 instead of 1.25 of input.
        price += Decimal(written_1h) * Decimal("0.75") * Decimal(1) / 1_000_000
        assert cost == int(price * 1_000_000_000)


def test_ask_prints_while_it_streams(folder: Path, server: ScriptedServer) -> None:
    """On a terminal the first words of a slow answer are shown before its last ones are sent."""
    sentence = "Lead product manager for player progression on Emberline, in a team of 14 people."
    server.script = Script.of([{"chunks": [f"{sentence} [1] ", *["And more words. "] * 60], "delay_ms": 50}])
    terminal, inside = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "askfit", "ask", QUESTION],
        cwd=folder,
        env=environment(TERM="xterm", **keyed(server)),
        stdout=inside,
        stderr=inside,
    )
    os.close(inside)
    shown = b""
    while b"product manager" not in shown:
        shown += os.read(terminal, 4096)
    assert not server.requests[-1].finished
    process.kill()
    process.wait(timeout=10)
    os.close(terminal)


# ---------------------------------------------------------------- check, models, usage


def test_check_says_what_is_served_and_in_which_regime(folder: Path) -> None:
    """Documents, sections, tokens, rows and the regime, for a person and as JSON."""
    report = told("check", cwd=folder)
    assert report["skills"]["rows"] > 190
    shown = askfit("check", cwd=folder).stdout.decode()
    assert "the whole corpus in the cached prompt" in " ".join(shown.split())
    assert "ok: 0 errors" in shown


def test_check_counts_what_is_sent_as_the_advice_does(folder: Path) -> None:
    """Pages or rows alone, and what each question really sends with them: one count for check and for advise."""
    checked = {feature["name"]: feature for feature in told("check", cwd=folder)["features"]}
    shown = " ".join(askfit("check", cwd=folder).stdout.decode().split())
    advised = {feature["feature"]: feature for feature in told("advise", cwd=folder)["features"]}
    for name, what in (("ask", "pages"), ("fit", "rows")):
        alone, sent = (f"{checked[name][key]:,}" for key in ("content_tokens", "prefix_tokens"))
        assert f"prompt: {alone} tokens of {what}, {sent} as sent with instructions" in shown
        lines = {line["topic"]: line["why"] for line in advised[name]["lines"]}
        assert f"{alone} tokens" in lines["corpus"] and f"{sent} shared tokens" in lines["caching"]
        assert checked[name]["prefix_tokens"] > checked[name]["content_tokens"]


def test_check_tells_which_turns_go_to_another_model(folder: Path) -> None:
    """Escalation and shadow runs, where they are on: the model and both bounds, a line each; and that they rest."""
    whole = " ".join(askfit("check", cwd=folder).stdout.decode().split())
    assert "escalation" not in whole and "shadow" not in whole
    with (folder / "askfit.toml").open("a", encoding="utf-8") as settings:
        settings.write(
            "\n[features.ask.escalation]\nmost_share = 0.15\nper_day_usd = 0.3\n"
            '[features.ask.shadow]\nmodel = "anthropic:claude-opus-5-5"\n'
        )
    shown = askfit("check", cwd=folder, COLUMNS="110").stdout.decode().splitlines()
    escalation = "        escalation to anthropic:claude-sonnet-4-6: at most 15% of the turns and $0.30 a day"
    shadow = "        shadow runs on anthropic:claude-opus-5-5: about 5% of the turns, at most $0.10 a day"
    assert {f"{escalation}; rests: no key", f"{shadow}; rests: no key"} <= set(shown)
    shown = askfit("check", cwd=folder, ANTHROPIC_API_KEY="sk-none", COLUMNS="110").stdout.decode().splitlines()
    assert {escalation, shadow} <= set(shown)
    asked = told("check", cwd=folder, ANTHROPIC_API_KEY="sk-none")["features"][0]
    assert asked["shadow"] == {
        "model": "anthropic:claude-opus-5-5", "share": 0.05, "per_day_usd": 0.1, "rests": False
    }  # fmt: skip
    assert asked["escalation"]["rests"] is False


def test_models_gives_each_fact_its_source(folder: Path) -> None:
    """Prices, cache minimums and windows come with where they are from and when they were looked up."""
    facts = told("models", cwd=folder)
    used = {model["model"]: model["used_as"] for model in facts if model["used_as"]}
    assert used == {"anthropic:claude-haiku-4-5": "small", "anthropic:claude-sonnet-4-6": "large"}
    assert all(model["source"] and model["date"] and model["usd_per_million_tokens"]["input"] > 0 for model in facts)


def test_usage_counts_what_was_asked(folder: Path) -> None:
    """Each command leaves one row; the table adds them up by feature and model."""
    for question in (QUESTION, "Where is she based?"):
        told("ask", question, cwd=folder)
    told("fit", "postings/thin.txt", cwd=folder)
    report = told("usage", cwd=folder)
    assert {row["feature"]: row["calls"] for row in report["rows"]}["ask"] == 2


# ---------------------------------------------------------------- serving


def started(*args: str, cwd: Path, **environ: str) -> tuple[subprocess.Popen[bytes], str]:
    """A server and its address, as it prints it."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "askfit", *args],
        cwd=cwd,
        env=environment(**environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout
    seen = []
    for line in process.stdout:
        seen.append(line.decode())
        if "http://" in seen[-1]:
            return process, seen[-1][seen[-1].index("http://") :].split()[0]
    raise AssertionError("".join(seen))


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_a_server_says_where_it_is_and_ends_when_asked(command: str, folder: Path, free_port: int) -> None:
    """It prints an address that answers, streams an answer there, and ends cleanly on SIGINT; demo leaves no file."""
    cwd = folder if command == "serve" else folder / "content"
    before = sorted(cwd.iterdir())
    process, base = started(command, "--port", str(free_port), cwd=cwd)
    try:
        assert f":{free_port}" in base
        base = f"http://127.0.0.1:{free_port}"
        with urllib.request.urlopen(f"{base}/readyz", timeout=10) as answer:
            assert answer.status == 200
        request = urllib.request.Request(
            f"{base}/ask-ai",
            json.dumps({"question": QUESTION}).encode(),
            {"Content-Type": "application/json", "Accept": "text/event-stream"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            events = [line.split(b": ")[1].strip() for line in answer if line.startswith(b"event: ")]
        assert events[0] == b"start" and events[-1] == b"done"
        assert b"delta" in events and b"citation" in events
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(timeout=15)
        if process.stdout:
            process.stdout.close()
    assert code in (0, 130)
    if command == "demo":
        assert sorted(cwd.iterdir()) == before


def test_a_terminal_without_the_signs_is_no_reason_to_break(folder: Path) -> None:
    """An old code page shows a question mark where a sign is missing, and the whole assessment."""
    done = askfit("fit", "postings/data-platform-pm.md", cwd=folder, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert b"MODERATE" in done.stdout


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_demo_leaves_no_folder_behind(ending: signal.Signals, folder: Path, free_port: int, tmp_path: Path) -> None:
    """However it is ended, the copy of the sample is gone."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    process, _ = started("demo", "--port", str(free_port), cwd=folder, TMPDIR=str(temporary))
    assert list(temporary.glob("askfit-demo-*"))
    process.send_signal(ending)
    process.wait(timeout=15)
    if process.stdout:
        process.stdout.close()
    assert not list(temporary.glob("askfit-demo-*"))
