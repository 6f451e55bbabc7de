"""`askfit fit DIR/`: real folders and processes, the scripted model over real HTTP, interruptions by real signals."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from askfit.cli.ranking import STATE_FILE, Options, Purse, Report, csv_rows, rank, read_folder
from askfit.config import Settings, load_settings
from askfit.errors import UsageError
from askfit.providers.scripted import ScriptedServer
from askfit.providers.scripted.script import Script

MakeSite = Callable[..., Settings]

MATRIX = (
    "skill,level,years,evidence\nProduct management,5,9,Roadmaps\nSQL,4,6,Daily\nStakeholder management,4,8,Boards\n"
    "A/B testing,4,5,Weekly\nKubernetes,0,0,\nRust,0,0,\nData warehousing,1,1,\n"
)
FILES = {"content/about.md": "# About\n\nAnn is a product manager.\n", "skills.csv": MATRIX}
PRODUCT = """# Senior Product Manager

Our growing company is looking for you to join the team that plans the harbour.

You will work with a team of eight people in an office by the water. We build software that plans where ships berth and
when cranes move, and ports in six countries use it every day. You report to the head of the department.

## Requirements

- 5+ years of product management experience
- Strong SQL
- Experience with A/B testing
- Excellent stakeholder management
"""
PLATFORM = """# Platform Engineer

Our growing company is looking for you to join the team that runs the clusters.

You will work with a team of eight people in an office by the water. We build software that plans where ships berth and
when cranes move, and ports in six countries use it every day. You report to the head of the department.

## Requirements

- 5+ years of running Kubernetes in production
- Fluent Rust
- Experience with data warehousing
- Experience with PostgreSQL administration
"""
MIXED = PLATFORM.replace("Platform Engineer", "Technical Product Manager").replace(
    "- Fluent Rust\n", "- Strong SQL\n- 5+ years of product management experience\n"
)
AS_HTML = (
    "<html><body><h1>Product Lead</h1><p>Our growing company is looking for you to join the team that plans the "
    "harbour. You will work with a team of eight people. We build software that plans where ships berth.</p>"
    "<h2>Requirements</h2><ul><li>5+ years of product management experience</li><li>Strong SQL</li>"
    "<li>Experience with A/B testing</li><li>Excellent stakeholder management</li></ul></body></html>"
)


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC", "OPENAI", "ASKFIT"))}
    return kept | {"NO_COLOR": "1", "COLUMNS": "140"} | more


def askfit(*args: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "askfit", *args]
    return subprocess.run(command, cwd=cwd, env=environment(**environ), capture_output=True, text=True, timeout=60)


@pytest.fixture
def site(make_site: MakeSite, tmp_path: Path) -> Path:
    """A site with a matrix, and the folder `jobs` with three postings of its own beside it."""
    make_site(FILES, '[skills]\npath = "skills.csv"\n')
    jobs = {"product.md": PRODUCT, "sub/platform.txt": PLATFORM, "mixed.md": MIXED}
    for name, text in jobs.items():
        (tmp_path / "jobs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "jobs" / name).write_text(text, encoding="utf-8")
    return tmp_path


def keyed(server: ScriptedServer) -> dict[str, str]:
    return {"ANTHROPIC_API_KEY": "x", "ANTHROPIC_BASE_URL": server.url}


async def ranked(site: Path, server: ScriptedServer, most_cost_usd: float = 5.0) -> Report:
    settings = load_settings(site / "askfit.toml", keyed(server))
    return await rank(settings, Options(site / "jobs", most_cost_usd), quiet=True)


def spent(report: Report) -> float:
    return sum(each.assessment.cost_usd for each in report.ranked)


# ---------------------------------------------------------------- the ranking


def test_a_folder_is_ranked_by_verdict_then_score_with_what_speaks_against_each(site: Path) -> None:
    """The product role first, the platform role last; each row has its title, its file and its top misfit."""
    (site / "jobs" / "page.html").write_text(AS_HTML, encoding="utf-8")
    done = askfit("fit", "jobs/", "--json", cwd=site)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    files = [each["file"] for each in told["ranking"]]
    assert set(files[:2]) == {"product.md", "page.html"}
    assert files[2:] == ["mixed.md", "sub/platform.txt"]
    assert [each["rank"] for each in told["ranking"]] == [1, 2, 3, 4]
    assert told["ranking"][3]["title"] == "Platform Engineer"
    last = told["ranking"][3]["assessment"]
    assert last["verdict"] == "misfit" and last["misfits"]
    shown = askfit("fit", "jobs", cwd=site).stdout
    assert shown.index("product.md") < shown.index("sub/platform.txt")
    assert last["misfits"][0]["text"].split()[0] in shown


def test_documents_of_every_form_are_read(site: Path) -> None:
    """A Word document and a PDF give the requirements that the same text gives."""
    import zipfile

    words = "".join(f"<w:p><w:r><w:t>{line}</w:t></w:r></w:p>" for line in re.sub(r"[#-] ?", "", PRODUCT).split("\n"))
    kind = "http://schemas.openxmlformats.org"
    with zipfile.ZipFile(site / "jobs" / "product.docx", "w") as file:
        file.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{kind}/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.'
            'openxmlformats-package.relationships+xml"/><Override PartName="/word/document.xml" ContentType='
            '"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>',
        )
        file.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{kind}/package/2006/relationships"><Relationship Id="a" Type="{kind}/officeDocument'
            '/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>',
        )
        file.writestr(
            "word/document.xml",
            f'<w:document xmlns:w="{kind}/wordprocessingml/2006/main"><w:body>{words}</w:body></w:document>',
        )
    texts, faults = read_folder(site / "jobs")
    assert not faults
    assert "Experience with A/B testing" in texts["product.docx"].splitlines()
    told = json.loads(askfit("fit", "jobs/product.docx", "--json", cwd=site).stdout)
    asked = {requirement["text"] for requirement in told["requirements"]}
    assert {"Strong SQL", "Experience with A/B testing"} <= asked


def test_a_bad_file_is_told_with_its_place_and_the_others_are_ranked(site: Path) -> None:
    """A broken PDF, bytes that are no text, an unknown form: each is one line; hidden files are nobody's business."""
    (site / "jobs" / "broken.pdf").write_bytes(b"%PDF-1.4 no")
    (site / "jobs" / "bytes.txt").write_bytes(b"\x00\xff\x00\xfe" * 50)
    (site / "jobs" / "photo.png").write_bytes(b"x")
    (site / "jobs" / ".DS_Store").write_bytes(b"x")
    done = askfit("fit", "jobs", "--json", cwd=site)
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert len(told["ranking"]) == 3
    faults = {fault["file"]: fault for fault in told["faults"]}
    assert set(faults) == {"broken.pdf", "bytes.txt", "photo.png"}
    assert all(fault["message"] and fault["next_step"] for fault in faults.values())
    assert faults["photo.png"]["severity"] == "warning"
    shown = askfit("fit", "jobs", cwd=site)
    assert "not judged broken.pdf: The PDF cannot be read" in shown.stdout
    assert "Traceback" not in shown.stderr


@pytest.mark.parametrize(
    ("args", "code"),
    [(("empty",), "no_postings"), (("jobs/product.md", "--csv", "x.csv"), "csv_of_one")],
)
def test_wrong_usage_is_told_with_exit_2(site: Path, args: tuple[str, ...], code: str) -> None:
    """A folder without postings, a table of one posting."""
    (site / "empty").mkdir()
    done = askfit("fit", *args, "--json", cwd=site)
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (2, code)


# ---------------------------------------------------------------- what is written


def test_a_ranking_is_written_as_a_table_and_as_one_page(site: Path) -> None:
    """Both hold every posting in order; each link of the page leads to an assessment within it; it loads nothing."""
    hostile = PLATFORM.replace("# Platform Engineer", '# =HYPERLINK("x") <script>alert(1)</script> Engineer')
    (site / "jobs" / "=evil.md").write_text(hostile, encoding="utf-8")
    out = ("--csv", "jobs/ranking.csv", "--html", "jobs/ranking.html")
    assert askfit("fit", "jobs", *out, cwd=site).returncode == 0
    raw = (site / "jobs" / "ranking.csv").read_bytes()
    rows = list(csv.DictReader(raw.decode("utf-8-sig").splitlines()))
    assert raw.startswith(b"\xef\xbb\xbf")
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4"]
    assert rows[0]["file"] == "product.md"
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())
    page = (site / "jobs" / "ranking.html").read_text(encoding="utf-8")
    links = re.findall(r'href="#(posting-\d+)"', page)
    assert len(links) == 4 and all(f'id="{link}"' in page for link in links)
    assert "<script" not in page
    assert not re.search(r'(?:src|action)="|href="http(?!s://ann\.example\.com")', page)
    assert askfit("fit", "jobs", *out, cwd=site).returncode == 0
    (site / "jobs" / "ranking.csv").unlink()
    again = json.loads(askfit("fit", "jobs", "--json", cwd=site).stdout)
    assert len(again["ranking"]) == 4, "the page that was written there is no posting"


# ---------------------------------------------------------------- resuming


async def test_what_is_judged_is_not_judged_again(site: Path, model: ScriptedServer) -> None:
    """A second run asks the model nothing and costs nothing; a changed posting, and it alone, is judged anew."""
    first = await ranked(site, model)
    assert len(first.ranked) == len(model.requests) == 3
    assert first.cost_usd == pytest.approx(spent(first)) and first.cost_usd > 0
    model.requests.clear()
    second = await ranked(site, model)
    assert not model.requests
    assert second.cost_usd == 0
    assert [each.assessment for each in second.ranked] == [each.assessment for each in first.ranked]
    (site / "jobs" / "mixed.md").write_text(MIXED + "- Fluent Spanish\n", encoding="utf-8")
    third = await ranked(site, model)
    assert [each.file for each in third.ranked if not each.kept] == ["mixed.md"]
    assert len(model.requests) == 1


async def test_another_matrix_or_model_is_another_judgement(site: Path, model: ScriptedServer) -> None:
    """What the rows or the model changed would not be true any more; of private rows nothing shows."""
    await ranked(site, model)
    settings = load_settings(site / "askfit.toml", {})
    by_rules = await rank(settings, Options(site / "jobs", 1.0), quiet=True)
    assert {each.assessment.provider for each in by_rules.ranked} == {"builtin"}
    model.requests.clear()
    (site / "skills.csv").write_text(MATRIX.replace("SQL,4", "SQL,2"), encoding="utf-8")
    await ranked(site, model)
    assert len(model.requests) == 3


async def test_a_broken_state_is_only_work_to_do(site: Path, model: ScriptedServer) -> None:
    """A line that was cut while it was written costs that posting alone."""
    await ranked(site, model)
    state = site / "jobs" / STATE_FILE
    assert state.stat().st_mode & 0o077 == 0
    lines = state.read_text(encoding="utf-8").splitlines()
    state.write_text("\n".join([lines[0], "no json", '{"key": 1}', "[]", lines[1][:-40]]) + "\n", encoding="utf-8")
    again = await ranked(site, model)
    assert [each.kept for each in again.ranked].count(True) == 1
    assert len(again.ranked) == 3


def test_a_run_that_is_stopped_leaves_what_was_done(site: Path, model: ScriptedServer) -> None:
    """Ctrl-C: exit 130, one line that tells how far it came, no traceback; the same command goes on from there."""
    for number in range(9):
        text = PRODUCT.replace("harbour", f"harbour number {number}")
        (site / "jobs" / f"more-{number}.md").write_text(text, encoding="utf-8")
    model.script = Script.of([{"match": "", "behaviour": "faithful", "first_ms": 250}])
    state = site / "jobs" / STATE_FILE
    process = subprocess.Popen(
        [sys.executable, "-m", "askfit", "fit", "jobs"], cwd=site, env=environment(**keyed(model)),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs start without it
    )  # fmt: skip
    end = time.monotonic() + 30
    while not (state.exists() and state.read_text().count("\n")) and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    kept = state.read_text(encoding="utf-8").count("\n")
    assert process.returncode == 130
    assert 1 <= kept < 12
    assert f"{kept} of 12 postings are judged" in " ".join(said.split())
    assert "Traceback" not in said
    told = json.loads(askfit("fit", "jobs", "--json", cwd=site, **keyed(model)).stdout)
    assert [each["kept"] for each in told["ranking"]].count(True) == kept
    assert len(told["ranking"]) == 12


# ---------------------------------------------------------------- money and faults


async def test_the_cost_stays_under_its_cap_and_what_is_left_is_told(site: Path, model: ScriptedServer) -> None:
    """Before each call the most that it can cost is held: no run passes --max-cost, and the next one goes on."""
    counted = {"input_tokens": 1_000, "output_tokens": 2_000}  # 3.3 cents a posting; its bound is 9 cents
    model.script = Script.of([{"match": "", "behaviour": "faithful", "usage": counted}])
    capped = await ranked(site, model, most_cost_usd=0.15)
    assert capped.cost_usd == pytest.approx(0.066)
    assert [fault.code for fault in capped.faults] == ["max_cost"]
    assert not capped.ok
    nothing = await ranked(site, model, most_cost_usd=0.0)
    assert len(nothing.ranked) == 2 and nothing.cost_usd == 0
    whole = await ranked(site, model, most_cost_usd=0.15)
    assert len(whole.ranked) == 3 and whole.ok


async def test_several_calls_at_once_hold_the_money_together() -> None:
    """What is held counts as spent; a call that turns out cheaper lets one more in that waited for it."""
    purse = Purse(10e-9)
    assert await purse.hold(6)
    waiting = asyncio.create_task(purse.hold(6))
    await asyncio.sleep(0)
    assert not waiting.done()
    await purse.settle(6, 3)
    assert await waiting
    await purse.settle(6, 6)
    assert not await purse.hold(2)
    assert await purse.hold(1)
    assert await purse.hold(0)


async def test_a_model_that_fails_leaves_its_posting_for_the_next_run(site: Path, model: ScriptedServer) -> None:
    """No verdict of the rules stands in among the model's; the others are ranked."""
    model.script = Script.of([{"match": "Rust", "fault": "overloaded"}, {"match": "", "behaviour": "faithful"}])
    report = await ranked(site, model)
    assert [fault.file for fault in report.faults] == ["sub/platform.txt"]
    assert not report.ok
    assert {each.assessment.provider for each in report.ranked} == {"anthropic"}
    model.reset()
    again = await ranked(site, model)
    assert [each.file for each in again.ranked if not each.kept] == ["sub/platform.txt"]
    assert again.ok


async def test_a_key_that_is_refused_ends_the_run_at_the_first_posting(site: Path, model: ScriptedServer) -> None:
    """What no other posting would fare better with is told once."""
    model.script = Script.of([{"match": "", "fault": "key_refused"}])
    with pytest.raises(UsageError) as caught:
        await ranked(site, model)
    assert caught.value.code == "provider_key_refused"
    assert len(model.requests) == 1


def test_words_of_a_posting_are_words_in_a_spreadsheet() -> None:
    """The heads of the table are those that are documented."""
    assert next(iter(csv_rows([])))[:3] == ("rank", "verdict", "score")


def test_the_first_posting_fills_the_cache_that_the_others_read(site: Path, model: ScriptedServer) -> None:
    """One is judged alone before several are at once: the matrix is written to the prompt cache a single time."""
    rows = "".join(f"Skill number {number},3,2,{'Used in many projects. ' * 12}\n" for number in range(60))
    (site / "skills.csv").write_text(MATRIX + rows, encoding="utf-8")
    report: Any = asyncio.run(ranked(site, model))
    read = [each.assessment.usage.cache_read_tokens for each in report.ranked]
    assert min(read) == 0 and all(tokens > 0 for tokens in sorted(read)[1:])
