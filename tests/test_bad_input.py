"""Bad input, case by case, through the commands as an owner runs them: one clear sentence, a code, a next step."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from askfit.config import Settings
from askfit.providers.scripted import ScriptedServer
from conftest import NO_WAY_TO_BE_NOBODY, read_only

ABOUT = "# About\n\nAnn Ode led the onboarding team at Harbor Lane from 2019 to 2023.\n"
MATRIX = "Skill,Level\nRoadmaps,5\nSQL,3\n"
SKILLS = '[skills]\npath = "skills.csv"\n'
GOOD = {"content/about.md": ABOUT, "skills.csv": MATRIX}
MakeSite = Callable[..., Settings]


def askfit(*args: str, cwd: Path, environ: dict[str, str] | None = None, stdin: bytes = b"") -> tuple[int, Any, str]:
    """(exit code, the JSON on stdout, stderr) of one command."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC", "OPENAI", "ASKFIT"))}
    done = subprocess.run(
        [sys.executable, "-m", "askfit", *args],
        cwd=cwd,
        env=clean | (environ or {}),
        input=stdin,
        capture_output=True,
        timeout=60,
    )
    stderr = done.stderr.decode()
    assert "Traceback" not in stderr, stderr
    return done.returncode, json.loads(done.stdout or "null"), stderr


def told(result: tuple[int, Any, str], code: str, exit_code: int) -> dict[str, str]:
    """The error of a command, held to its form: the code, one line, a next step."""
    returned, document, stderr = result
    assert document is not None, stderr
    error = document["error"]
    assert (error["code"], returned) == (code, exit_code), (error, stderr)
    assert error["message"]
    assert error["next_step"], error
    assert len(stderr.strip().splitlines()) == 1, stderr
    return dict(error)


def fault(result: tuple[int, Any, str], code: str) -> dict[str, str]:
    """The fault of that code in `askfit check --json`."""
    faults = result[1]["faults"]
    found = next((fault for fault in faults if fault["code"] == code), None)
    assert found, faults
    assert found["message"]
    assert found["next_step"], found
    return dict(found)


def test_an_empty_corpus_is_an_error_of_check_and_ask_says_so(make_site: MakeSite) -> None:
    """No page at all: check names it and falls short; ask never answers from nothing."""
    root = make_site({}).root
    result = askfit("check", "--json", cwd=root)
    assert result[0] == 1
    fault(result, "corpus_empty")
    _, answer, _ = askfit("ask", "Who is Ann?", "--json", cwd=root)
    assert answer["abstained"] is True


def test_a_missing_file_is_named_and_the_rest_is_served(make_site: MakeSite) -> None:
    """A source that is not there is one fault; the other pages are read."""
    toml = '[site]\nname = "Ann"\n[corpus]\nsources = ["content/*.md", "cv.pdf"]\n'
    root = make_site({**GOOD, "askfit.toml": toml}).root
    result = askfit("check", "--json", cwd=root)
    assert "cv.pdf" in fault(result, "source_missing")["file"]
    assert result[1]["corpus"]["documents"] == 1


def test_a_missing_matrix_is_named(make_site: MakeSite) -> None:
    """[skills] names a file that is not there."""
    result = askfit("check", "--json", cwd=make_site({"content/about.md": ABOUT}, SKILLS).root)
    assert result[0] == 1
    assert fault(result, "matrix_missing")["file"] == "skills.csv"


def test_a_page_in_the_wrong_encoding_is_named_with_its_line(make_site: MakeSite) -> None:
    """Latin-1 bytes are told with the line, never served as garbage."""
    page = ABOUT.encode() + "\nZoë and Ann.\n".encode("latin-1")
    result = askfit("check", "--json", cwd=make_site({"content/about.md": ABOUT, "content/b.md": page}).root)
    assert "line 5" in fault(result, "wrong_encoding")["where"]
    assert result[1]["corpus"]["documents"] == 1


def test_a_50_mb_pdf_is_named_without_being_read(make_site: MakeSite) -> None:
    """A file past the bound costs nothing and the rest is served."""
    settings = make_site(GOOD)
    with (settings.root / "content" / "big.pdf").open("wb") as file:
        file.write(b"%PDF-1.7\n")
        file.truncate(50_000_000)
    result = askfit("check", "--json", cwd=settings.root)
    assert fault(result, "file_too_large")["file"].endswith("big.pdf")
    assert result[1]["corpus"]["documents"] == 1


def test_an_encrypted_pdf_is_named(make_site: MakeSite) -> None:
    """A PDF that asks for a password is told as one."""
    from pypdf import PdfWriter

    settings = make_site(GOOD)
    writer = PdfWriter()
    writer.add_blank_page(100, 100)
    writer.encrypt("secret", algorithm="AES-256")
    writer.write(settings.root / "content" / "cv.pdf")
    assert fault(askfit("check", "--json", cwd=settings.root), "pdf_encrypted")["file"].endswith("cv.pdf")


def test_an_xlsx_without_a_skill_column_is_named(make_site: MakeSite) -> None:
    """The matrix's columns are found by their headers; a sheet without them says which it has."""
    from openpyxl import Workbook

    settings = make_site({"content/about.md": ABOUT}, '[skills]\npath = "skills.xlsx"\n')
    book = Workbook()
    book.active.append(["Month", "Sum"])
    book.active.append(["May", 3])
    book.save(settings.root / "skills.xlsx")
    result = askfit("check", "--json", cwd=settings.root)
    assert result[0] == 1
    fault(result, "skill_column_missing")


def test_a_level_word_without_a_scale_is_told_by_row_and_column(make_site: MakeSite) -> None:
    """ "expert" means nothing until the owner declares what it stands for."""
    rows = "Skill,Level\nRoadmaps,expert\nSQL,3\n"
    result = askfit("check", "--json", cwd=make_site({**GOOD, "skills.csv": rows}, SKILLS).root)
    found = fault(result, "level_not_on_scale")
    assert "row 2" in found["where"]
    assert "scale" in found["next_step"]
    assert result[1]["skills"]["rows"] == 1


def test_duplicate_rows_are_told_and_the_first_is_kept(make_site: MakeSite) -> None:
    """The same skill twice is a fault of the second row."""
    rows = "Skill,Level\nRoadmaps,5\nroadmaps ,1\n"
    result = askfit("check", "--json", cwd=make_site({**GOOD, "skills.csv": rows}, SKILLS).root)
    assert "row 3" in fault(result, "skill_duplicate")["where"]
    assert result[1]["skills"]["rows"] == 1


@pytest.mark.parametrize(
    ("question", "code"),
    [("", "question_empty"), ("  \n", "question_empty"), ("why " * 25_000, "question_too_long")],
)
def test_an_empty_or_a_100_kb_question_is_refused(make_site: MakeSite, question: str, code: str) -> None:
    """A question has to be there, and has to be a question."""
    told(askfit("ask", question, "--json", cwd=make_site(GOOD).root), code, 1)


def test_a_posting_of_three_words_is_insufficient_information(make_site: MakeSite) -> None:
    """Too little to judge is a verdict of its own, not a guess."""
    code, assessment, _ = askfit(
        "fit", "-", "--json", cwd=make_site(GOOD, SKILLS).root, stdin=b"Senior product manager"
    )
    assert (code, assessment["verdict"], assessment["requirements"]) == (0, "insufficient_information", [])


def test_a_posting_of_200_kb_is_refused(make_site: MakeSite) -> None:
    """A posting is a page or two; more is not read."""
    posting = b"You must know SQL and roadmaps.\n" * 6_500
    told(askfit("fit", "-", "--json", cwd=make_site(GOOD, SKILLS).root, stdin=posting), "posting_too_long", 1)


def test_a_binary_posting_is_refused(make_site: MakeSite) -> None:
    """A picture or an archive is not a posting."""
    binary = bytes(range(256)) * 40
    told(askfit("fit", "-", "--json", cwd=make_site(GOOD, SKILLS).root, stdin=binary), "posting_binary", 1)


def test_an_unknown_model_is_refused_with_the_known_ones(make_site: MakeSite) -> None:
    """A misspelt model stops the start, not the first visitor."""
    settings = make_site(GOOD, '[models]\nsmall = "anthropic:opus-9"\n')
    error = told(askfit("check", "--json", cwd=settings.root), "unknown_model", 2)
    assert "askfit models" in error["next_step"]


def test_a_wrong_key_falls_back_to_the_built_in_and_check_live_names_it(make_site: MakeSite) -> None:
    """Visitors still get an honest answer; the owner is told that the key was refused."""
    root = make_site(GOOD).root
    with ScriptedServer() as server:
        environ = {"ANTHROPIC_API_KEY": "wrong", "ANTHROPIC_BASE_URL": server.url}
        code, answer, _ = askfit("ask", "Which team did Ann Ode lead?", "--json", cwd=root, environ=environ)
        assert (code, answer["provider"]) == (0, "builtin")
        assert "fell_back" in [notice["code"] for notice in answer["notices"]]
        code, report, _ = askfit("check", "--live", "--json", cwd=root, environ=environ)
    assert code == 1
    assert any("key" in live["detail"] for live in report["live"])
    assert "wrong" not in json.dumps(report["live"])


def test_a_provider_that_cannot_be_reached_falls_back_to_the_built_in(make_site: MakeSite, free_port: int) -> None:
    """Nothing listens there: the answer comes all the same, and says how."""
    environ = {"ANTHROPIC_API_KEY": "x", "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{free_port}"}
    code, answer, _ = askfit("ask", "Which team did Ann Ode lead?", "--json", cwd=make_site(GOOD).root, environ=environ)
    assert (code, answer["provider"]) == (0, "builtin")
    assert "onboarding" in answer["answer"]
    assert "fell_back" in [notice["code"] for notice in answer["notices"]]


def test_a_port_in_use_is_named_with_the_option(make_site: MakeSite) -> None:
    """serve says which port is taken and how to choose another."""
    root = make_site(GOOD).root
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = subprocess.run(
            [sys.executable, "-m", "askfit", "serve", "--port", str(taken.getsockname()[1])],
            cwd=root, capture_output=True, text=True, timeout=30,
        )  # fmt: skip
    assert done.returncode == 2
    assert "--port" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


@pytest.mark.skipif(NO_WAY_TO_BE_NOBODY, reason="root may write anywhere")
def test_a_read_only_folder_is_named(make_site: MakeSite) -> None:
    """The ledger cannot be written there: the command says so and what to set."""
    root = make_site(GOOD).root
    with read_only(root) as as_nobody:
        command = [*as_nobody, sys.executable, "-m", "askfit", "ask", "Who is Ann?", "--json"]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=30)
    told((done.returncode, json.loads(done.stdout or "null"), done.stderr), "store_unwritable", 2)


def test_two_servers_on_one_sqlite_file_lose_no_row(make_site: MakeSite) -> None:
    """Both serve, both write the one ledger, and every call is in it."""
    root = make_site(GOOD).root
    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    servers = [
        subprocess.Popen(
            [sys.executable, "-m", "askfit", "serve", "--port", str(port)], cwd=root, stdout=subprocess.DEVNULL
        )
        for port in ports
    ]
    try:
        for port in ports:
            _wait(f"http://127.0.0.1:{port}/readyz")
        body = b'{"question": "Which team did Ann Ode lead?"}'
        for number in range(8):
            url = f"http://127.0.0.1:{ports[number % 2]}/ask-ai"
            request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=10) as answer:
                assert "onboarding" in json.load(answer)["answer"]
    finally:
        for server in servers:
            server.terminate()
            server.wait(10)
    _, usage, _ = askfit("usage", "--json", cwd=root)
    assert sum(row["calls"] for row in usage["rows"]) == 8


def _wait(url: str) -> None:
    for _ in range(600):
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"{url} did not become ready")
