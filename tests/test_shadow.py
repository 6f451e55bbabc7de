"""Visitors' turns that another model answers too: after the answer, unseen, bounded, kept as figures, and compared."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest

from askfit.cli import main
from askfit.compare import Journal, Outcome
from askfit.compare.shadow import from_shadow, journal_of
from askfit.config import Settings
from askfit.errors import SettingsError, UsageError
from askfit.providers.scripted import Script, ScriptedServer
from askfit.routing import check_model_names
from conftest import Serve

SMALL, LARGE = "anthropic:claude-haiku-4-5", "anthropic:claude-sonnet-4-6"
PAGE = "# Ann\nAnn leads a team of four in Lisbon."
PLAIN = "Where does Ann lead a team?"
SHADOW = "\n[features.ask.shadow]\nshare = 1.0\nper_day_usd = 1.0\n"
PATIENCE_S = 20.0
MakeSite = Callable[..., Settings]


async def until(there: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not there():  # noqa: ASYNC110 - what is waited for lies in another thread
            await asyncio.sleep(0.01)


def journal(there: Any) -> Path:
    return journal_of(there.app.state.site.settings, "ask")


def lines(there: Any) -> list[dict[str, Any]]:
    """What the journal holds."""
    path = journal(there)
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def run(*args: str) -> int:
    """One command's exit code."""
    with pytest.raises(SystemExit) as left:
        main([*args])
    return int(left.value.code or 0)


def plain(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without what differs each time."""
    return {name: value for name, value in answer.items() if name not in ("id", "conversation", "ttft_ms", "total_ms")}


# ---------------------------------------------------------------- a turn


async def test_a_turn_is_asked_of_both_and_only_figures_are_kept(visit: Any) -> None:
    """Two lines under one random key, no word of the question or the answer; its row bears no visitor."""
    async with visit(SHADOW) as there:
        answer = await there.ask(PLAIN)
        await until(lambda: len(lines(there)) == 2)
        small, large = lines(there)
        rows = await there.rows()
        raw = journal(there).read_text(encoding="utf-8")
    assert answer["model"] == SMALL
    assert (small["model"], large["model"]) == (SMALL, LARGE)
    assert small["measured"] == large["measured"] == small["sample"]
    assert small["shares"]["answered"] == large["shares"]["answered"] == 1.0
    assert large["cost_usd"] > small["cost_usd"] > 0
    assert [(row["feature"], row["model"], bool(row["visitor"])) for row in rows] == [
        ("ask", SMALL, True),
        ("ask.shadow", LARGE, False),
    ]
    assert not any(said in raw for said in ("Lisbon", "team", answer["id"], answer["conversation"]))
    assert small["cites"] is large["cites"] is None  # which pages were cited would tell of the question


async def test_the_visitor_has_the_answer_before_and_a_server_that_ends_leaves_no_half(visit: Any) -> None:
    """The other model hangs: the answer is there all the same; at the end its row is settled, nothing is written."""
    async with visit(SHADOW) as there:
        there.model.script = Script.of(
            [{"text": "Ann leads a team of four in Lisbon. [[1]]", "times": 1}, {"fault": "silent"}]
        )
        assert "Lisbon" in (await there.ask(PLAIN))["answer"]
        await until(lambda: there.asked == [SMALL, LARGE])
        assert [row["state"] for row in await there.rows()] == ["settled", "reserved"]
        path, ledger = journal(there), there.app.state.site.settings.sqlite_file
    assert not path.exists()
    with closing(sqlite3.connect(ledger)) as store:
        rows = store.execute("SELECT feature, state, outcome FROM calls ORDER BY rowid").fetchall()
    assert rows == [("ask", "settled", "ok"), ("ask.shadow", "settled", "cancelled")]


async def test_a_server_that_is_told_to_stop_stops(make_site: MakeSite, model: ScriptedServer, serve: Serve) -> None:
    """`askfit serve`, ended by its signal while the other model hangs, has served its visitor and keeps whole pairs."""
    first = {"text": "Ann leads a team of four in Lisbon. [[1]]", "times": 3}
    model.script = Script.of([first, {"fault": "silent"}])
    settings = make_site({"content/about.md": PAGE}, SHADOW)
    with serve(settings.path, {"ANTHROPIC_API_KEY": "sk-test", "ANTHROPIC_BASE_URL": model.url}) as served:
        async with httpx2.AsyncClient(base_url=served.url, timeout=PATIENCE_S) as client:
            for number in range(2):
                given = await client.post("/ask-ai", json={"question": f"{PLAIN} {number}"})
                assert "Lisbon" in given.json()["answer"]
                await until(lambda number=number: len(model.requests) == 2 * number + 2)
    found = journal_of(settings, "ask").read_text(encoding="utf-8")
    assert found.endswith("\n")
    assert [json.loads(line)["model"] for line in found.splitlines()] == [SMALL, LARGE]


async def test_visitors_read_the_same_with_it_and_without(make_site: MakeSite, visit: Any) -> None:
    """Answer, citations, notices, follow-ups, model and cost are equal."""
    async with visit("") as there:
        without = [plain(await there.ask(question)) for question in (PLAIN, "Does she like tea?")]
    there.model.reset()
    async with visit(SHADOW) as there:
        shadowed = [plain(await there.ask(question)) for question in (PLAIN, "Does she like tea?")]
        await until(lambda: len(lines(there)) == 4)
    assert shadowed == without


async def test_a_stream_ends_before_the_other_model_is_asked(visit: Any) -> None:
    """`done` is on its way when the second request begins."""
    async with visit(SHADOW) as there:
        body = {"question": PLAIN}
        given = await there.client.post("/ask-ai", json=body, headers={"accept": "text/event-stream"})
        assert given.text.rstrip().rpartition("event: ")[2].startswith("done")
        await until(lambda: len(lines(there)) == 2)
        assert there.asked == [SMALL, LARGE]


# ---------------------------------------------------------------- which ones, and for how much


async def test_its_own_money_is_never_passed(visit: Any) -> None:
    """A few turns are asked of the other model, then no more: what they come to stays under the bound."""
    bound = 0.025
    async with visit(f"\n[features.ask.shadow]\nshare = 1.0\nper_day_usd = {bound}\n") as there:
        for number in range(10):
            await there.ask(f"{PLAIN} {number}")
            await until(lambda: not there.shadowing)
        rows = [row for row in await there.rows() if row["feature"] == "ask.shadow"]
    assert 1 <= len(rows) < 10
    assert sum(row["cost_nanos"] for row in rows) <= bound * 1e9


async def test_one_turn_of_a_conversation_and_only_the_drawn_ones(visit: Any) -> None:
    """Turns that hang together count once; with a tiny share none is drawn."""
    async with visit(SHADOW) as there:
        for question in (PLAIN, "And in which city?"):
            await there.ask(question, conversation="abc")
            await until(lambda: not there.shadowing)
        assert there.asked == [SMALL, LARGE, SMALL]
    there.model.reset()
    async with visit("\n[features.ask.shadow]\nshare = 0.000001\n") as there:
        await there.ask(PLAIN)
        assert not there.shadowing


async def test_turns_that_the_features_own_model_did_not_answer_are_left_out(visit: Any) -> None:
    """Neither a rule's answer nor the built-in's nor an escalated one says anything of the feature's model."""
    bounds = "\n[features.ask.escalation]\nmost_share = 1.0\nper_day_usd = 1.0\n"
    async with visit(SHADOW + bounds) as there:
        await there.ask("Write me a poem about ships.")
        assert (await there.ask("Based on everything here, would she be good at sales?"))["model"] == LARGE
        assert not there.shadowing
        there.model.script = Script.of([{"fault": "overloaded"}])
        assert (await there.ask(PLAIN))["model"] == "builtin:builtin"
        assert not there.shadowing
        assert not lines(there)


async def test_without_a_key_for_the_other_model_the_site_is_as_it_was(visit: Any) -> None:
    """It rests, and visitors are served."""
    async with visit('\n[features.ask.shadow]\nmodel = "openai:gpt-5"\nshare = 1.0\n') as there:
        assert (await there.ask(PLAIN))["model"] == SMALL
        assert not there.shadowing


# ---------------------------------------------------------------- what they prove


def kept(path: Path, answered: Callable[[int], tuple[float, float]], count: int) -> None:
    """A journal of so many turns, by whether the small and the large model answered each."""
    file = Journal(path)
    for at in range(count):
        pair = [
            Outcome(f"turn{at}", model, shares={"answered": share, "faithfulness": 1.0, "length": 1.0}, cost_usd=cost)
            for model, share, cost in zip((SMALL, LARGE), answered(at), (0.001, 0.003), strict=True)
        ]
        file.keep_together(f"turn{at}", pair)


@pytest.mark.parametrize(
    ("answered", "count", "verdict"),
    [
        (lambda at: (float(at % 2), 1.0), 100, "ESCALATE"),
        (lambda at: (1.0, 1.0), 100, "KEEP"),
        (lambda at: (float(at % 2), 1.0), 4, "INCONCLUSIVE"),
    ],
)
def test_the_same_test_reads_the_verdict(
    answered: Callable[[int], tuple[float, float]], count: int, verdict: str, make_site: MakeSite
) -> None:
    """Half of the turns gained escalate, none keep, four decide nothing; no key is needed and nothing is called."""
    settings = make_site({"content/about.md": PAGE})
    kept(journal_of(settings, "ask"), answered, count)
    found = from_shadow(settings, "ask", journal_of(settings, "ask"), (), 0.1)
    assert found.verdict == verdict
    assert found.current == SMALL
    assert len(found.outcomes) <= 2 * count


async def test_what_a_server_wrote_the_command_reads(visit: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """After three turns: INCONCLUSIVE, both models' sums, and how many more it takes; `usage` tells the cost apart."""
    async with visit(SHADOW) as there:
        for number in range(3):
            await there.ask(f"{PLAIN} {number}")
            await until(lambda: not there.shadowing)
        config = str(there.app.state.site.settings.path)
    code = await asyncio.to_thread(run, "compare", "ask", "--from-shadow", "--json", "--config", config)
    told = json.loads(capsys.readouterr().out)
    assert code == 0
    assert (told["verdict"], told["conversations"], told["compared"]) == ("INCONCLUSIVE", 3, 3)
    assert [one["model"] for one in told["models"]] == [SMALL, LARGE]
    assert told["conversations_needed"]
    assert await asyncio.to_thread(run, "compare", "ask", "--from-shadow", "--config", config) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "visitors' own turns" in said and "its price without a cache" in said
    assert "times as much" not in said, "one of the two is never cached here"
    assert await asyncio.to_thread(run, "usage", "--json", "--config", config) == 0
    assert "ask.shadow" in capsys.readouterr().out


def test_nothing_to_read_is_said(make_site: MakeSite, capsys: pytest.CaptureFixture[str]) -> None:
    """No journal, a lone half, and options that need texts: one sentence each, exit code 2."""
    settings = make_site({"content/about.md": PAGE})
    path = journal_of(settings, "ask")
    with pytest.raises(UsageError, match="No turn of ask"):
        from_shadow(settings, "ask", path, (), 0.1)
    Journal(path).keep_together("one", [Outcome("one", SMALL)])
    with pytest.raises(UsageError, match="No turn of ask"):
        from_shadow(settings, "ask", path, (), 0.1)
    config = ["--config", str(settings.path)]
    assert run("compare", "ask", "--from-shadow", "--blind", *config) == 2
    assert run("compare", "ask", *config) == 2
    assert "figures only" in capsys.readouterr().err


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[features.fit.shadow]\n", "belongs to a chat in which visitors ask"),
        ('[features.ask]\nground = "flag"\n[features.ask.shadow]\n', 'needs ground = "strict"'),
        ("[features.ask.shadow]\nshare = 0\n", "share"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_their_place(toml: str, said: str, make_site: MakeSite) -> None:
    """Only a chat has turns, and only what is checked can be compared."""
    with pytest.raises(SettingsError) as caught:
        make_site({"content/about.md": PAGE}, toml)
    assert said in str(caught.value)


def test_the_other_model_is_another_model(make_site: MakeSite) -> None:
    """A model compared with itself tells nothing."""
    settings = make_site({"content/about.md": PAGE}, '[features.ask.shadow]\nmodel = "small"\n')
    with pytest.raises(SettingsError, match="the feature has already"):
        check_model_names(settings)


async def test_a_file_that_is_no_journal_stops_the_server(visit: Any, tmp_path: Path, model: ScriptedServer) -> None:
    """It is the owner's file, and is not written to."""
    (tmp_path / "shadow-ask.jsonl").write_text("my notes\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="cannot keep its figures"):
        async with visit(SHADOW):
            pass
    assert (tmp_path / "shadow-ask.jsonl").read_text(encoding="utf-8") == "my notes\n"
