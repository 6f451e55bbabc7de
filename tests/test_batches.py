"""The batch road of `askfit fit DIR`: the real SDK against the scripted server's batches, ledger, journal, signals."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from askfit.cli import batch as batch_road
from askfit.cli import main
from askfit.cli.ranking import STATE_FILE, Options, Report, rank
from askfit.config import Settings, load_settings
from askfit.errors import SettingsError, UsageError
from askfit.ledger import Ledger
from askfit.models import cost_nanos
from askfit.providers.scripted import ScriptedServer
from askfit.providers.scripted.script import Script
from askfit.store import open_store
from askfit.types import NANOS_PER_USD, Usage
from test_ranking import FILES, MIXED, PLATFORM, PRODUCT, environment, keyed

MakeSite = Callable[..., Settings]

SONNET = "anthropic:claude-sonnet-4-6"
PATH = "/v1/messages/batches"
NOT_FELT = (
    '[features.fit]\nkind = "assessment"\npath = "/fit-check"\nmodel = "large"\n'
    '[features.fit.shape]\ntask = "synthesis"\nlatency_felt = false\n'
)
# One cent of output and 1,000 tokens of input a call, whatever is asked.
COUNTED = {"match": "", "behaviour": "faithful", "usage": {"input_tokens": 1_000, "output_tokens": 2_000}}
COUNTED_NANOS = cost_nanos(SONNET, Usage(1_000, 2_000))


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks follow each other fast."""
    monkeypatch.setattr(batch_road, "FIRST_LOOK_S", 0.05)
    monkeypatch.setattr(batch_road, "LAST_LOOK_S", 0.05)


@pytest.fixture
def site(make_site: MakeSite, tmp_path: Path) -> Path:
    """A site whose owner does not wait for assessments, and the folder `jobs` with three postings beside it."""
    make_site(FILES, f'[skills]\npath = "skills.csv"\n{NOT_FELT}')
    (tmp_path / "jobs" / "sub").mkdir(parents=True)
    for name, posting in {"product.md": PRODUCT, "sub/platform.txt": PLATFORM, "mixed.md": MIXED}.items():
        (tmp_path / "jobs" / name).write_text(posting, encoding="utf-8")
    return tmp_path


def settings_of(site: Path, server: ScriptedServer | None) -> Settings:
    return load_settings(site / "askfit.toml", keyed(server) if server else {})


async def ranked(
    site: Path, server: ScriptedServer | None, *, batch: bool | None = None, most_usd: float = 5.0
) -> Report:
    return await rank(settings_of(site, server), Options(site / "jobs", most_usd, batch=batch), quiet=True)


async def calls(site: Path) -> list[dict[str, Any]]:
    """The ledger's rows of models."""
    store = open_store(settings_of(site, None))
    await Ledger(store).open()
    query = text("SELECT * FROM calls WHERE provider = 'anthropic' ORDER BY at_ms, id")
    rows = await store.read(lambda connection: [dict(row) for row in connection.execute(query).mappings()])
    await store.aclose()
    return rows


def paths(server: ScriptedServer) -> list[str]:
    """What was asked, the batch's id left out: `POST` or `GET` is told by the path alone but for the first."""
    return [
        "/".join("ID" if part.startswith("msgbatch_") else part for part in seen.path.split("/"))
        for seen in server.requests
    ]


def created(server: ScriptedServer) -> int:
    return paths(server).count(PATH)


def single(server: ScriptedServer) -> int:
    return paths(server).count("/v1/messages")


# ---------------------------------------------------------------- the whole road


async def test_where_nobody_waits_a_folder_goes_as_one_batch_at_half_the_price(
    site: Path, model: ScriptedServer
) -> None:
    """One batch, no call by itself; each posting is a ledger row, marked, at exactly half of what it costs alone."""
    model.script = Script.of([COUNTED])
    report = await ranked(site, model)
    assert report.ok and len(report.ranked) == 3
    assert all(each.batched and each.assessment.provider == "anthropic" for each in report.ranked)
    assert (created(model), single(model)) == (1, 0)
    rows = await calls(site)
    assert [(row["batch"], row["outcome"], row["state"]) for row in rows] == [(1, "ok", "settled")] * 3
    assert [row["cost_nanos"] for row in rows] == [COUNTED_NANOS // 2] * 3
    assert all(row["cost_nanos"] <= row["reserved_nanos"] for row in rows)
    assert report.cost_usd == pytest.approx(3 * COUNTED_NANOS / 2 / NANOS_PER_USD)
    answers = {each.assessment.id for each in report.ranked}
    assert {row["answer"] for row in rows} == answers, "a rating finds its call"


async def test_a_batch_judges_as_single_calls_do(site: Path, model: ScriptedServer) -> None:
    """The same model, the same words: the same verdicts, bands and reasons, posting by posting."""
    batched = await ranked(site, model)
    (site / "jobs" / STATE_FILE).unlink()
    alone = await ranked(site, model, batch=False)
    told = [
        {each.file: (each.assessment.verdict, each.assessment.requirements, each.assessment.why) for each in one.ranked}
        for one in (batched, alone)
    ]
    assert told[0] == told[1]
    assert single(model) == 3


def lengthen(site: Path) -> None:
    """A matrix that is long enough to be cached."""
    rows = "".join(f"Skill number {number},3,2,{'Used in many projects. ' * 12}\n" for number in range(60))
    (site / "skills.csv").write_text(FILES["skills.csv"] + rows, encoding="utf-8")


def marks(server: ScriptedServer) -> list[list[str]]:
    """For each batch that was sent, the lifetime that each of its requests marks; "" for none."""
    return [
        [one["params"]["system"][-1].get("cache_control", {}).get("ttl", "") for one in seen.body["requests"]]
        if isinstance(seen.body["requests"][0]["params"]["system"], list)
        else [""] * len(seen.body["requests"])
        for seen in server.requests
        if seen.path == PATH
    ]


async def test_one_goes_ahead_so_that_the_others_read_the_matrix_from_the_cache(
    site: Path, model: ScriptedServer
) -> None:
    """It writes for an hour, they read; what the provider counts by lifetime is what is charged, at half."""
    lengthen(site)
    report = await ranked(site, model)
    assert report.ok and marks(model) == [["1h"], ["1h", "1h"]]
    found = await calls(site)
    assert sorted(row["cache_write_1h_tokens"] > 0 for row in found) == [False, False, True]
    assert sum(row["cache_read_tokens"] > 0 for row in found) == 2
    for row in found:
        names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens")
        assert row["cost_nanos"] == cost_nanos(SONNET, Usage(*(row[name] for name in names)), batch=True)
        assert row["cost_nanos"] <= row["reserved_nanos"]


async def test_where_nothing_is_cached_the_others_are_not_marked(site: Path, model: ScriptedServer) -> None:
    """A mark that brings nothing only costs: the one that went ahead has shown it."""
    lengthen(site)
    model.script = Script.of([COUNTED])  # counts neither reads nor writes
    report = await ranked(site, model)
    assert report.ok and marks(model) == [["1h"], ["", ""]]


async def test_two_postings_are_not_worth_a_round_of_their_own(site: Path, model: ScriptedServer) -> None:
    """To write once and read once costs more than to send twice."""
    lengthen(site)
    (site / "jobs" / "mixed.md").unlink()
    await ranked(site, model)
    assert marks(model) == [["", ""]]


async def test_who_stopped_after_the_first_round_goes_on_with_the_second(site: Path, model: ScriptedServer) -> None:
    """What the first has written is still there: no other goes ahead."""
    lengthen(site)
    await _sent(site, model)
    assert [len(batch) for batch in marks(model)] == [1]
    model.script = Script()
    report = await ranked(site, model)
    assert report.ok and marks(model) == [["1h"], ["1h", "1h"]]


async def test_what_is_judged_by_a_batch_is_not_judged_again(site: Path, model: ScriptedServer) -> None:
    """A second run sends nothing; a new posting, and it alone, goes as a batch of one."""
    await ranked(site, model)
    model.requests.clear()
    again = await ranked(site, model)
    assert not model.requests and again.cost_usd == 0
    (site / "jobs" / "new.md").write_text(MIXED + "- Fluent Spanish\n", encoding="utf-8")
    await ranked(site, model)
    assert [len(seen.body["requests"]) for seen in model.requests if seen.path == PATH] == [1]


async def test_one_posting_in_two_files_is_paid_once(site: Path, model: ScriptedServer) -> None:
    """Both files are ranked."""
    (site / "jobs" / "copy.md").write_text(PRODUCT, encoding="utf-8")
    report = await ranked(site, model)
    assert len(report.ranked) == 4 and len(await calls(site)) == 3
    assert report.cost_usd == pytest.approx(sum(row["cost_nanos"] for row in await calls(site)) / NANOS_PER_USD)


async def test_a_judgement_with_faults_is_repaired_by_a_call_of_its_own(site: Path, model: ScriptedServer) -> None:
    """The audit goes on as for single calls: rows that do not exist are asked about once more, at the usual price."""
    model.script = Script.of([{"match": "Senior Product", "behaviour": "inventing-1"}])
    report = await ranked(site, model)
    assert single(model) == 1
    found = next(each for each in report.ranked if each.file == "product.md")
    rows = [row for row in await calls(site) if row["answer"] == found.assessment.id]
    assert sorted(row["batch"] for row in rows) == [0, 1]
    assert found.assessment.cost_usd == pytest.approx(sum(row["cost_nanos"] for row in rows) / NANOS_PER_USD)
    known = {*range(2, 9)}
    assert {one.row for each in found.assessment.requirements for one in each.evidence} <= known


# ---------------------------------------------------------------- when


@pytest.mark.parametrize(("felt", "asked", "expected"), [(False, False, 0), (True, None, 0), (True, True, 1)])
async def test_a_batch_is_sent_where_nobody_waits_or_where_it_is_asked_for(
    site: Path, model: ScriptedServer, felt: bool, asked: bool | None, expected: int
) -> None:
    """--batch and --no-batch go before `latency_felt`."""
    toml = site / "askfit.toml"
    toml.write_text(toml.read_text().replace("latency_felt = false", f"latency_felt = {str(felt).lower()}"))
    report = await ranked(site, model, batch=asked)
    assert report.ok and (created(model), single(model)) == (expected, 0 if expected else 3)


async def test_without_a_key_the_rules_judge_and_no_batch_is_sent(site: Path, model: ScriptedServer) -> None:
    """`latency_felt = false` alone asks nothing of anybody; --batch without a key is told with the next step."""
    report = await ranked(site, None)
    assert {each.assessment.provider for each in report.ranked} == {"builtin"} and not model.requests
    with pytest.raises(UsageError) as caught:
        await ranked(site, None, batch=True)
    assert caught.value.code == "batch_impossible" and "ANTHROPIC_API_KEY" in caught.value.next_step


def _run(site: Path, server: ScriptedServer, *args: str) -> int:
    """A command in this process, as a shell would run it in the site's folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(site)
        for name, value in keyed(server).items():
            patch.setenv(name, value)
        with pytest.raises(SystemExit) as left:
            main([*args])
    return int(left.value.code or 0)


def test_it_says_before_what_it_will_do(site: Path, model: ScriptedServer, capsys: pytest.CaptureFixture[str]) -> None:
    """How many, the most it can cost and how long it may take, on stderr; of one posting --batch is wrong usage."""
    assert _run(site, model, "fit", "jobs", "--json") == 0
    told = capsys.readouterr()
    said = " ".join(told.err.split())
    assert "3 postings go to anthropic:claude-sonnet-4-6 in a batch, for $" in said and "24 hours" in said
    assert [each["batched"] for each in json.loads(told.out)["ranking"]] == [True] * 3
    assert _run(site, model, "fit", "jobs/product.md", "--batch", "--json") == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "batch_of_one"


# ---------------------------------------------------------------- interruption


def _interrupted(site: Path, model: ScriptedServer) -> str:
    """Ctrl-C once the batch is noted; what the process said."""
    state = site / "jobs" / STATE_FILE
    process = subprocess.Popen(
        [sys.executable, "-m", "askfit", "fit", "jobs"], cwd=site, env=environment(**keyed(model)),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    end = time.monotonic() + 30
    while not (state.exists() and '"batch"' in state.read_text()) and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130 and "Traceback" not in said, said
    return " ".join(said.split())


async def test_a_run_that_is_stopped_is_collected_by_the_next_without_a_second_batch(
    site: Path, model: ScriptedServer
) -> None:
    """Nothing is paid twice: one batch, three rows, and the money of the first run's reservation is given back."""
    model.script = Script.of({"batch_ms": 3_600_000})
    said = _interrupted(site, model)
    assert "0 of 3 postings are judged" in said and "goes on with a batch of 3" in said
    model.script = Script()
    held = await calls(site)
    assert [(row["state"], row["batch"]) for row in held] == [("reserved", 1)] * 3
    _end_all(model)
    report = await ranked(site, model)
    assert report.ok and all(each.batched for each in report.ranked)
    assert (created(model), single(model)) == (1, 0)
    rows = await calls(site)
    assert {row["id"] for row in rows} == {row["id"] for row in held}
    assert [row["outcome"] for row in rows] == ["ok"] * 3
    model.requests.clear()
    await ranked(site, model)
    assert not model.requests, "what is collected is closed"


class Dawdling(Script):
    """Takes its time to take a batch."""

    @property
    def batch_ms(self) -> int:
        time.sleep(0.5)
        return 3_600_000

    @batch_ms.setter
    def batch_ms(self, given: int) -> None:
        pass


def test_ctrl_c_while_a_batch_is_sent_waits_until_it_is_noted(site: Path, model: ScriptedServer) -> None:
    """A request that is on its way may be taken: its id is kept before the run, and its loop, end."""
    model.script = Dawdling()

    async def stopped() -> None:
        run = asyncio.create_task(ranked(site, model))
        while not created(model) and not run.done():  # noqa: ASYNC110 - the server runs in a thread
            await asyncio.sleep(0.001)
        run.cancel()
        await run

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(stopped())
    (id_,) = model.batches.batches
    assert id_ in (site / "jobs" / STATE_FILE).read_text(encoding="utf-8")


def _end_all(model: ScriptedServer) -> None:
    for one in model.batches.batches.values():
        one.ends_at_s = 0.0


async def _sent(site: Path, model: ScriptedServer, **more: Any) -> None:
    """A batch that was sent by a run which then died."""
    model.script = Script.of({"batch_ms": 3_600_000, **more})
    looks = pytest.MonkeyPatch()
    looks.setattr(batch_road, "_await_end", _dies)
    try:
        with pytest.raises(_Died):
            await ranked(site, model, batch=True)
    finally:
        looks.undo()
    _end_all(model)


class _Died(Exception):
    pass


async def _dies(*_: object) -> None:
    raise _Died


async def test_a_crash_after_collecting_costs_nothing_more(site: Path, model: ScriptedServer) -> None:
    """Collected twice, the rows stay as they were; what was kept is not read again."""
    await _sent(site, model)
    state = site / "jobs" / STATE_FILE
    noted = state.read_text(encoding="utf-8")
    await ranked(site, model)
    before = await calls(site)
    kept = [line for line in state.read_text(encoding="utf-8").splitlines() if '"key"' in line]
    state.write_text(noted + kept[0] + "\n", encoding="utf-8")
    again = await ranked(site, model)
    assert await calls(site) == before and created(model) == 1
    assert sorted(each.kept for each in again.ranked) == [False, False, True]


async def test_a_batch_is_collected_though_now_somebody_waits(site: Path, model: ScriptedServer) -> None:
    """A flag left out does not make it paid twice; a posting added since is judged as is wanted now."""
    await _sent(site, model)
    toml = site / "askfit.toml"
    toml.write_text(toml.read_text().replace("latency_felt = false", "latency_felt = true"))
    (site / "jobs" / "new.md").write_text(MIXED + "- Fluent Spanish\n", encoding="utf-8")
    report = await ranked(site, model)
    assert sorted((each.file, each.batched) for each in report.ranked if not each.batched) == [("new.md", False)]
    assert (created(model), single(model)) == (1, 1)


async def test_no_batch_stops_the_one_that_runs_and_judges_one_by_one(site: Path, model: ScriptedServer) -> None:
    """What the provider had not begun is not charged."""
    await _sent(site, model)
    for one in model.batches.batches.values():
        one.ends_at_s = float("inf")
    report = await ranked(site, model, batch=False)
    assert f"{PATH}/ID/cancel" in paths(model)
    assert report.ok and not any(each.batched for each in report.ranked)
    assert all("unbatched" in [notice.code for notice in each.assessment.notices] for each in report.ranked)
    rows = [row for row in await calls(site) if row["batch"]]
    assert [(row["outcome"], row["cost_nanos"]) for row in rows] == [("provider_batch_canceled", 0)] * 3


async def test_an_answer_to_a_posting_that_has_changed_is_paid_and_not_used(site: Path, model: ScriptedServer) -> None:
    """The changed one is sent anew, the others are collected; what the run cost holds all four, as the ledger does."""
    await _sent(site, model)
    (site / "jobs" / "mixed.md").write_text(MIXED + "- Fluent Spanish\n", encoding="utf-8")
    model.script = Script()
    report = await ranked(site, model)
    assert report.ok and len(report.ranked) == 3
    assert [len(seen.body["requests"]) for seen in model.requests if seen.path == PATH] == [3, 1]
    rows = await calls(site)
    assert [row["outcome"] for row in rows] == ["ok"] * 4 and all(row["cost_nanos"] for row in rows)
    assert report.cost_usd == pytest.approx(sum(row["cost_nanos"] for row in rows) / NANOS_PER_USD)


async def test_a_batch_that_nobody_can_use_any_more_is_stopped(site: Path, model: ScriptedServer) -> None:
    """Another matrix makes every answer worthless: nobody waits for them."""
    await _sent(site, model)
    for one in model.batches.batches.values():
        one.ends_at_s = float("inf")
    (site / "skills.csv").write_text(FILES["skills.csv"].replace("SQL,4", "SQL,2"), encoding="utf-8")
    model.script = Script()
    report = await ranked(site, model)
    assert report.ok and all(each.batched for each in report.ranked)
    assert created(model) == 2 and f"{PATH}/ID/cancel" in paths(model)


async def test_a_batch_that_cannot_be_found_is_told_and_can_be_given_up(site: Path, model: ScriptedServer) -> None:
    """Another key, another server: one sentence with both ways on; nothing is sent anew by itself."""
    await _sent(site, model)
    model.reset()
    with pytest.raises(UsageError) as caught:
        await ranked(site, model)
    assert "--no-batch" in caught.value.next_step and not created(model)
    report = await ranked(site, model, batch=False)
    assert report.ok and len(report.ranked) == 3


async def test_the_provider_out_of_reach_for_a_while_ends_no_wait(site: Path, model: ScriptedServer) -> None:
    """Looks that fail are tried again; too many in a row end the run, and the batch stays noted."""
    await _sent(site, model)
    model.script = Script.of({"batch_fault": "overloaded"})
    with pytest.raises(UsageError) as caught:
        await ranked(site, model)
    assert caught.value.code == "provider_overloaded" and "not paid twice" in caught.value.next_step
    assert paths(model).count(f"{PATH}/ID") == batch_road.MOST_FAILED_LOOKS
    model.script = Script()
    assert (await ranked(site, model)).ok and created(model) == 1


# ---------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("ends", "outcome"),
    [("expired", "provider_batch_expired"), ("errored", "provider_overloaded")],
)
async def test_what_a_batch_does_not_bring_is_judged_by_itself_and_says_so(
    site: Path, model: ScriptedServer, ends: str, outcome: str
) -> None:
    """It is settled at nothing; the call by itself is a row at the usual price, and the assessment is labelled."""
    model.script = Script.of([{"match": "Platform Engineer", "batch": ends}, COUNTED])
    report = await ranked(site, model)
    assert report.ok and single(model) == 1
    labelled = {
        each.file: [notice.code for notice in each.assessment.notices] for each in report.ranked if not each.batched
    }
    assert labelled == {"sub/platform.txt": ["unbatched"]}
    rows = {(row["batch"], row["outcome"]): row["cost_nanos"] for row in await calls(site)}
    assert rows[1, outcome] == 0 and rows[0, "ok"] > 0


async def test_a_request_that_the_provider_refuses_in_a_batch_is_asked_in_another_form(
    site: Path, model: ScriptedServer
) -> None:
    """A 400 within a batch is no end: the call by itself falls back to plain words as ever."""
    model.script = Script.of([{"match": "Rust", "fault": "bad_request", "times": 1}])
    report = await ranked(site, model)
    assert report.ok and single(model) == 1


async def test_what_is_charged_and_unusable_is_not_asked_again(site: Path, model: ScriptedServer) -> None:
    """A refusal costs what it costs and is told; the posting waits for the next run, the others are ranked."""
    model.script = Script.of([{"match": "Rust", "behaviour": "refusal", "usage": {"input_tokens": 900}}])
    report = await ranked(site, model)
    assert [(fault.file, fault.code) for fault in report.faults] == [("sub/platform.txt", "provider_refused")]
    assert report.cost_usd == pytest.approx(sum(row["cost_nanos"] for row in await calls(site)) / NANOS_PER_USD)
    assert single(model) == 0 and len(report.ranked) == 2
    assert {row["outcome"]: row["cost_nanos"] > 0 for row in await calls(site)} == {
        "ok": True,
        "provider_refused": True,
    }


async def test_an_endpoint_without_batches_is_asked_one_by_one_unless_a_batch_was_asked_for(
    site: Path, model: ScriptedServer
) -> None:
    """By itself the run goes on and gives back what it held; with --batch it stops with one sentence."""
    model.script = Script.of({"batch_fault": "model_unknown"})
    with pytest.raises(UsageError):
        await ranked(site, model, batch=True)
    report = await ranked(site, model)
    assert report.ok and single(model) == 3
    rows = [row for row in await calls(site) if row["batch"]]
    assert len(rows) == 6 and not any(row["cost_nanos"] for row in rows)


async def test_a_key_that_is_refused_ends_the_run_before_anything_is_spent(site: Path, model: ScriptedServer) -> None:
    """No posting would fare better."""
    model.script = Script.of({"batch_fault": "key_refused"})
    with pytest.raises(UsageError) as caught:
        await ranked(site, model)
    assert caught.value.code == "provider_key_refused" and single(model) == 0
    assert not any(row["cost_nanos"] for row in await calls(site))


# ---------------------------------------------------------------- money


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")
async def test_two_runs_over_one_folder_send_one_batch(site: Path, model: ScriptedServer) -> None:
    """The second is refused with what to do, at once and before anything is sent; then it has all from the first."""
    model.script = Script.of({"batch_ms": 3_600_000})
    first = asyncio.create_task(ranked(site, model, batch=True))
    for _ in range(600):
        if created(model):
            break
        await asyncio.sleep(0.1)
    async with asyncio.timeout(60):
        with pytest.raises(UsageError) as caught:
            await ranked(site, model, batch=True)
    assert caught.value.code == "folder_busy" and "Another run" in caught.value.message
    _end_all(model)
    assert (await first).ok and created(model) == 1
    again = await ranked(site, model, batch=True)
    assert created(model) == 1 and all(each.kept for each in again.ranked)


@pytest.mark.parametrize("ends", ["expired", "canceled"])
async def test_what_an_expired_or_cancelled_batch_had_reserved_is_given_back(
    site: Path, model: ScriptedServer, ends: str
) -> None:
    """Collected days later, when the ledger took it for lost and spent: its rows cost nothing, and no sum has them."""
    await _sent(site, model, rules=[COUNTED | {"batch": ends}])
    store = open_store(settings_of(site, None))
    ledger = Ledger(store, clock=lambda: time.time() + 3 * 86_400)
    await ledger.open()
    await ledger.purge(30)
    await store.aclose()
    lost = await calls(site)
    assert [row["outcome"] for row in lost] == ["lost"] * 3 and all(row["cost_nanos"] for row in lost)
    model.script = Script.of([COUNTED | {"batch": ends}])
    assert (await ranked(site, model)).ok
    rows = await calls(site)
    assert [row["cost_nanos"] for row in rows if row["batch"]] == [0] * 3
    alone = [row["cost_nanos"] for row in rows if not row["batch"]]
    assert len(alone) == 3 and await _charged(site) == sum(alone)


async def _charged(site: Path) -> int:
    """What counts against the budget of all days."""
    store = open_store(settings_of(site, None))
    sums = text("SELECT SUM(nanos) FROM charged")
    found = await store.read(lambda connection: int(connection.execute(sums).scalar() or 0))
    await store.aclose()
    return found


async def test_a_spent_budget_sends_nothing(site: Path, model: ScriptedServer) -> None:
    """Refused before the batch: no request, no row."""
    toml = site / "askfit.toml"
    toml.write_text(toml.read_text() + "[budget]\nper_day_usd = 0.001\n")
    with pytest.raises(UsageError) as caught:
        await ranked(site, model)
    assert caught.value.code == "budget_spent" and not model.requests
    assert await calls(site) == []


async def test_a_budget_for_some_sends_some_and_tells_of_the_rest(site: Path, model: ScriptedServer) -> None:
    """What is reserved is the batch's bound, half of a single call's; the rest is a fault of its file."""
    toml = site / "askfit.toml"
    toml.write_text(toml.read_text() + "[budget]\nper_day_usd = 0.05\n")
    report = await ranked(site, model)
    sent = [len(seen.body["requests"]) for seen in model.requests if seen.path == PATH]
    assert 0 < sent[0] < 3 and len(report.ranked) == sent[0] and not report.ok
    assert {fault.code for fault in report.faults} == {"budget_spent"}
    assert len(report.faults) == 3 - sent[0] and single(model) == 0


async def test_the_cost_of_a_run_stays_under_its_cap(site: Path, model: ScriptedServer) -> None:
    """--max-cost holds the most that a batch can cost before it is sent."""
    report = await ranked(site, model, most_usd=0.05)
    sent = [len(seen.body["requests"]) for seen in model.requests if seen.path == PATH]
    assert 0 < sent[0] < 3 and {fault.code for fault in report.faults} == {"max_cost"}
    assert sum(row["reserved_nanos"] for row in await calls(site)) <= 0.05 * NANOS_PER_USD


async def test_a_folder_that_cannot_be_written_gets_no_batch(site: Path, model: ScriptedServer) -> None:
    """A batch that could not be noted could be paid twice."""
    (site / "jobs" / STATE_FILE).mkdir()
    with pytest.raises(UsageError) as caught:
        await ranked(site, model)
    assert caught.value.code == "state_unwritable" and not model.requests


# ---------------------------------------------------------------- the scripted wire


def _asked(server: ScriptedServer, path: str, method: str = "GET", body: object = None) -> tuple[int, str]:
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(f"{server.url}{path}", data, {"x-api-key": "x"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def _request(id_: str, question: str = "Hi") -> dict[str, Any]:
    params = {"model": "claude-haiku-4-5", "max_tokens": 50, "messages": [{"role": "user", "content": question}]}
    return {"custom_id": id_, "params": params}


def test_a_scripted_batch_goes_through_the_documented_states(model: ScriptedServer) -> None:
    """In progress with nothing counted, then ended, with results in another order at an address that it names."""
    model.script = Script.of(
        {"rules": [{"match": "late", "batch": "expired"}], "otherwise": "echo", "batch_ms": 60_000}
    )
    requests = [_request("a", "Say this"), _request("b", "late"), {**_request("c"), "params": {"model": "m"}}]
    status, said = _asked(model, PATH, "POST", {"requests": requests})
    batch = json.loads(said)
    assert (status, batch["processing_status"], batch["results_url"], batch["ended_at"]) == (
        200,
        "in_progress",
        None,
        None,
    )
    assert batch["request_counts"] == {"processing": 3, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
    assert _asked(model, f"{PATH}/{batch['id']}/results")[0] == 404
    assert _asked(model, f"{PATH}/{batch['id']}", "DELETE")[0] == 400
    _end_all(model)
    batch = json.loads(_asked(model, f"{PATH}/{batch['id']}")[1])
    assert batch["processing_status"] == "ended" and batch["ended_at"]
    assert batch["request_counts"] == {"processing": 0, "succeeded": 1, "errored": 1, "canceled": 0, "expired": 1}
    status, said = _asked(model, batch["results_url"].removeprefix(model.url))
    results = {line["custom_id"]: line["result"] for line in map(json.loads, said.splitlines())}
    assert list(results) == ["c", "b", "a"]
    assert results["a"]["message"]["content"][0]["text"] == "Say this"
    assert results["a"]["message"]["usage"]["service_tier"] == "batch"
    assert results["b"] == {"type": "expired"}
    assert results["c"]["error"]["error"]["type"] == "invalid_request_error"
    listed = json.loads(_asked(model, PATH)[1])
    assert [one["id"] for one in listed["data"]] == [batch["id"]] and listed["has_more"] is False
    assert _asked(model, f"{PATH}/{batch['id']}", "DELETE")[0] == 200
    assert _asked(model, f"{PATH}/{batch['id']}")[0] == 404


def test_a_scripted_batch_is_canceled_as_documented(model: ScriptedServer) -> None:
    """`canceling` at once, `ended` at the next look, every request canceled and uncharged."""
    model.script = Script.of({"batch_ms": 60_000})
    batch = json.loads(_asked(model, PATH, "POST", {"requests": [_request("a")]})[1])
    canceling = json.loads(_asked(model, f"{PATH}/{batch['id']}/cancel", "POST")[1])
    assert canceling["processing_status"] == "canceling" and canceling["cancel_initiated_at"]
    ended = json.loads(_asked(model, f"{PATH}/{batch['id']}")[1])
    assert ended["processing_status"] == "ended" and ended["request_counts"]["canceled"] == 1


@pytest.mark.parametrize(
    "requests",
    [[], [_request("a"), _request("a")], [_request("no spaces")], [{"custom_id": "a"}], ["a"], [_request("x" * 65)]],
)
def test_what_is_no_batch_is_refused_whole(model: ScriptedServer, requests: list[Any]) -> None:
    """An empty list, an id twice or of another form, a request without params."""
    status, said = _asked(model, PATH, "POST", {"requests": requests})
    assert (status, json.loads(said)["error"]["type"]) == (400, "invalid_request_error")
    assert not model.batches.batches


@pytest.mark.parametrize(
    "script", [{"batch_fault": "cut_off"}, {"rules": [{"batch": "late"}]}, {"batch_ms": -1}, {"batch_fault": "no"}]
)
def test_a_script_that_says_no_way_to_end_is_refused(script: dict[str, Any]) -> None:
    """With its place."""
    with pytest.raises(SettingsError) as caught:
        Script.of(script)
    assert caught.value.code == "script_invalid"
