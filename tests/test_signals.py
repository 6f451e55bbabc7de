"""Live signals: what is kept of an answer, what is proven by a stream of them, and what an owner is told to run."""

from __future__ import annotations

import asyncio
import io
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import text as sql

from askfit import assess, open_site
from askfit.ask.question import Turn, understand
from askfit.ask.telling import is_asked_again
from askfit.cli import main
from askfit.config import Settings
from askfit.ledger import AGAIN_WITHIN_MS, DAY_MS, HOUR_MS, SCHEMA, Attempt, Ledger, Outcome, Signals, Told
from askfit.signals import BASELINE, SIGNS, Reading, read_signals, visits_of
from askfit.signals.detector import Alarm, Watch
from askfit.store import open_store
from askfit.types import Usage
from askfit.web import create_app

MakeSite = Callable[..., Settings]
HAIKU, SONNET, OPUS = "anthropic:claude-haiku-5-5", "anthropic:claude-sonnet-5-5", "anthropic:claude-opus-5-5"
NOW_MS = 1_795_000_000_000  # a day in November 2026
MODELS = '[models]\nsmall = "scripted:faithful"\nlarge = "scripted:echo"\n'
ABOUT = (
    "# About\n\nAnn leads a team of four in Lisbon. She likes tea.\n\n# Work\n\nAnn built the shop of Harbor Lane.\n"
)
QUESTION = "Where does Ann lead a team?"


# ---------------------------------------------------------------- the watch


def alarms(watch: Watch, shares: Sequence[float]) -> list[Alarm]:
    return [alarm for share in shares if (alarm := watch.see(share))]


def yes(rate: float, count: int, seed: int) -> list[float]:
    chance = random.Random(seed)
    return [float(chance.random() < rate) for _ in range(count)]


@pytest.mark.parametrize("rate", [0.0, 0.02, 0.1, 0.4, 1.0])
def test_a_share_that_stays_as_it_is_raises_no_alarm(rate: float) -> None:
    """Three streams of three thousand visits each, looked at after every one, from a baseline of a hundred."""
    assert [alarms(Watch(1e-4), yes(rate, 3_000, seed)) for seed in range(3)] == [[]] * 3


def test_a_share_that_rises_is_found_with_the_visit_since_when() -> None:
    """From 5 to 25 %: found within a hundred visits, told from and to, and dated near the change."""
    for seed in range(5):
        first, *_ = alarms(Watch(1e-4), yes(0.05, 800, seed) + yes(0.25, 200, seed + 100))
        assert 800 <= first.at <= 920
        assert 740 <= first.since <= first.at
        assert abs(first.normal - 0.05) < 0.03 < first.now - first.upper + 0.03


def test_a_share_that_falls_raises_no_alarm() -> None:
    """Better than before is nothing to act on."""
    assert alarms(Watch(1e-4), yes(0.4, 500, 1) + yes(0.05, 2_000, 2)) == []


def test_nothing_is_watched_before_there_is_a_baseline() -> None:
    """However bad it begins, that is what is normal here."""
    assert alarms(Watch(1e-4), [1.0] * BASELINE + [0.9] * 500) == []
    assert alarms(Watch(0.5), [0.0] * (BASELINE - 1) + [1.0]) == []


def test_the_same_visits_give_the_same_alarms() -> None:
    """No randomness: two who look at one ledger see the same."""
    shares = yes(0.1, 400, 3) + yes(0.5, 200, 4)
    assert alarms(Watch(1e-4), shares) == alarms(Watch(1e-4), shares) != []


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_what_is_no_share_is_refused(share: float) -> None:
    """A figure outside 0 to 1 would be worth more than any bet allows."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        Watch(1e-4).see(share)


# ---------------------------------------------------------------- what answers say


def told(number: int, visitor: str = "", model: str = HAIKU, at_ms: int | None = None, **more: Any) -> Told:
    """The answer of that number: ten visitors a day, up to now."""
    at_ms = NOW_MS - DAY_MS * 60 + number * DAY_MS // 10 if at_ms is None else at_ms
    signals = Signals(False, 0, "", False, None, False, 0.75)
    kept = {name: more.pop(name) for name in tuple(more) if name in Signals.__slots__}
    return Told(
        at_ms, f"a{number}", model, visitor or f"v{number}", more.pop("stopped", False), replace(signals, **kept),
        frozenset(more.pop("rated", ())),
    )  # fmt: skip


def read(answers: Sequence[Told], **more: Any) -> Reading:
    known: dict[str, Any] = {"small": HAIKU, "large": SONNET, "samples": "golden/ask.yaml", "now_ms": NOW_MS}
    return read_signals("ask", answers, **(known | more))


JUDGED = {"repairs": 0, "requirements": 8, "contested": 0}


@pytest.mark.parametrize(
    ("name", "direction", "change"),
    [
        ("shallow_feedback", "escalate", {"rated": ["too_shallow"]}),
        ("asked_again", "escalate", {"asked_again": True}),
        ("coverage", "escalate", {"coverage": 0.25}),
        ("abstains_despite_hit", "escalate", {"despite_hit": True}),
        ("repairs", "escalate", {"repairs": 6}),
        ("contested_bands", "escalate", {"contested": 6}),
        ("too_much_feedback", "downgrade", {"rated": ["too_much"]}),
        ("over_length", "downgrade", {"over_length": True}),
        ("retracted", "downgrade", {"retracted": 2}),
        ("stopped", "downgrade", {"stopped": True}),
    ],
)
def test_every_sign_raises_its_own_signal_and_no_other(name: str, direction: str, change: dict[str, Any]) -> None:
    """Three hundred visits as ever, then sixty otherwise: what changed, since when, and the comparison to run."""
    model = HAIKU if direction == "escalate" else SONNET
    answers = [told(n, model=model, **JUDGED) for n in range(300)]
    answers += [told(n, model=model, **(JUDGED | change)) for n in range(300, 360)]
    (signal,) = read(answers).signals
    assert (signal.name, signal.direction) == (name, direction)
    assert signal.command == "askfit compare ask --models small,large --samples golden/ask.yaml"
    assert signal.visits == signal.turns
    assert 55 <= signal.visits <= 62
    assert (signal.baseline > signal.now) == (name == "coverage")
    assert signal.since >= "2026-10-17"
    assert read(answers[:300]).signals == ()


def changed(model: str, change: dict[str, Any], **more: Any) -> Reading:
    return read(
        [*(told(n, model=model) for n in range(300)), *(told(n, model=model, **change) for n in range(300, 360))],
        **more,
    )


@pytest.mark.parametrize(
    ("model", "change", "models"),
    [
        (SONNET, {"asked_again": True}, f"large,{OPUS}"),
        (HAIKU, {"asked_again": True}, "small,large"),
        (SONNET, {"stopped": True}, "small,large"),
        (OPUS, {"stopped": True}, f"small,{OPUS}"),
        (HAIKU, {"stopped": True}, ""),
        ("openai:my-own", {"asked_again": True}, "openai:my-own,large"),
    ],
)  # fmt: skip
def test_a_model_at_the_end_of_the_range_is_compared_with_the_next_one_known(
    model: str, change: dict[str, Any], models: str
) -> None:
    """The dearer or the cheaper one of its provider; no command where none is known."""
    (signal,) = changed(model, change).signals
    wanted = f"askfit compare ask --models {models} --samples golden/ask.yaml"
    assert signal.command == (wanted if models else "")


def test_one_visitor_who_clicks_fifty_times_is_one_observation() -> None:
    """Too much, fifty times in an hour, before and after the owner forgets who it was; fifty visitors do count."""
    steady = [told(n) for n in range(300)]
    at_ms = steady[-1].at_ms // HOUR_MS * HOUR_MS + 2 * HOUR_MS
    burst = [told(300 + n, "v-angry", at_ms=at_ms + n * 60_000, rated=["too_much"]) for n in range(50)]
    assert read(steady + burst).signals == ()
    assert read([replace(one, visitor="") for one in steady + burst]).signals == ()
    many = [replace(one, visitor=f"w{n}") for n, one in enumerate(burst)]
    assert [signal.name for signal in read(steady + many).signals] == ["too_much_feedback"]
    assert len(list(visits_of(steady + burst))) == 301


def test_a_change_of_models_begins_a_new_baseline() -> None:
    """What another model did is not held against this one; a fallback now and then is not its doing either."""
    before = [told(n) for n in range(300)]
    after = [told(n, model=SONNET if n % 10 else "openai:spare", coverage=0.2) for n in range(300, 360)]
    reading = read(before + after)
    assert (reading.model, reading.turns, reading.missing, reading.signals) == (SONNET, 54, BASELINE - 54, ())


def test_what_is_over_is_no_live_signal() -> None:
    """An alarm of months ago, or one after which all went back to what it was, is not shown."""
    answers = [told(n) for n in range(300)] + [told(n, asked_again=True) for n in range(300, 330)]
    assert [signal.name for signal in read(answers).signals] == ["asked_again"]
    assert read(answers, now_ms=NOW_MS + 90 * DAY_MS).signals == ()
    assert read(answers + [told(n) for n in range(330, 800)]).signals == ()


def test_the_false_alarms_of_a_feature_are_shared_by_its_signs() -> None:
    """The parts of a chat and of an assessment each add up to no more than the whole."""
    weights = {sign.name: sign.weight for sign in SIGNS}
    assert sum(weights.values()) - weights["repairs"] - weights["contested_bands"] <= 1 + 1e-9
    assert sum(weights.values()) - weights["coverage"] <= 1 + 1e-9


# ---------------------------------------------------------------- what is kept of an answer


AGAIN = (
    ("Which languages does she speak?", "What languages can Ann speak?"),
    ("How big was her team?", "What was the size of her team?"),
    ("When can she start?", "How soon could she start?"),
    ("What did she do at Harbor Lane?", "Tell me more about Harbor Lane"),
    ("Where did she study?", "Can you be more specific?"),
    ("Where did she study?", "That's not what I asked"),
    ("Wo hat sie studiert?", "Bitte genauer"),
)
OTHERS = (
    ("What did she do at Harbor Lane?", "Why did she leave Harbor Lane?"),
    ("What did she do in 2019?", "What did she do in 2021?"),
    ("Does she know Rust?", "Does she know Go?"),
    ("What is her biggest strength?", "What is her biggest weakness?"),
    ("Has she managed people?", "How many people?"),
    ("Where did she study?", "And when did she finish?"),
    ("What is her experience with pricing?", "Has she done more work on pricing since?"),
)


@pytest.mark.parametrize(("pairs", "again"), [(AGAIN, True), (OTHERS, False)], ids=["again", "others"])
def test_nearly_the_same_question_is_told_from_the_next_one(pairs: Sequence[tuple[str, str]], again: bool) -> None:
    """By the telling words of both, their figures, and wishes for more; the next question on one thing is another."""
    asked = [understand(now, (Turn(before, "An answer of some words."),), "Ann Ode") for before, now in pairs]
    assert [is_asked_again(one, "Ann Ode") for one in asked] == [again] * len(pairs)


@pytest.fixture
def settings(make_site: MakeSite, either_store: str) -> Settings:
    """A site on either database."""
    return make_site({}, either_store)


@asynccontextmanager
async def opened(settings: Settings, clock: Callable[[], float] = time.time) -> AsyncIterator[Ledger]:
    store = open_store(settings)
    ledger = Ledger(store, clock)
    await ledger.open()
    yield ledger
    await store.aclose()


def attempt(id: str, visitor: str = "v1", model: str = HAIKU) -> Attempt:
    return Attempt(id, f"answer-{id}", "ask", model, model.partition(":")[0], "", visitor)


OK = Outcome("ok", "stop", Usage(), 0, 200.0, 900.0)


async def test_a_ledger_from_before_is_brought_forward_and_read(settings: Settings) -> None:
    """Its answers stay, what was not kept then is not known; new answers tell all. On both databases."""
    store = open_store(settings)
    await store.migrate("ledger", SCHEMA[:3])
    old = (
        "INSERT INTO calls (id, at_ms, state, answer, feature, model, provider, fell_back_from, prompt_sha, visitor, "
        "outcome, over_length, retracted) VALUES ('old', 5, 'settled', 'answer-old', 'ask', 'anthropic:m', 'anthropic',"
        " '', '', 'v0', 'ok', :yes, 2)"
    )
    await store.run(lambda connection: connection.execute(sql(old), {"yes": True}))
    await store.aclose()
    async with opened(settings) as ledger:
        for id, outcome in (
            ("new", OK),
            ("stopped", replace(OK, outcome="cancelled")),
            ("never-seen", replace(OK, outcome="cancelled", ttft_ms=0.0)),
            ("failed", replace(OK, outcome="provider_timeout")),
        ):
            await ledger.settle(attempt(id), outcome)
        await ledger.settle(attempt("rules", model="builtin:builtin"), OK)
        signals = Signals(False, 1, "", True, 2, False, 0.625, 3, 9)
        await ledger.remark("answer-new", signals)
        await ledger.feedback("answer-new", "down", "too_shallow", visitor="v1")
        await ledger.feedback("answer-new", "down", "too_much", visitor="v2")
        await ledger.feedback("answer-stopped", "down", "wrong", visitor="v1")
        found = {one.answer: one for one in await ledger.answers("ask")}
        assert await ledger.answers("fit") == ()
        assert [one.answer for one in await ledger.answers("ask", 6)] == [*found][1:]
    assert [*found] == ["answer-old", *sorted(("answer-new", "answer-stopped"), key=lambda id: found[id].at_ms)]
    assert found["answer-old"].signals == Signals(over_length=True, retracted=2)
    assert (found["answer-new"].signals, found["answer-new"].stopped) == (signals, False)
    assert found["answer-new"].rated == {"too_shallow", "too_much"}
    assert (found["answer-stopped"].stopped, found["answer-stopped"].rated) == (True, frozenset())


async def test_it_was_asked_again_only_within_minutes_and_by_the_same_visitor(settings: Settings) -> None:
    """The words were near; whether the time was, the ledger tells by its own rows. On both databases."""
    now = [time.time()]
    async with opened(settings, lambda: now[0]) as ledger:
        for id, visitor, wait_s in (
            ("first", "v1", 0), ("soon", "v1", 60), ("other", "v2", 60), ("late", "v1", AGAIN_WITHIN_MS / 1000 + 60),
            ("nobody", "", 1), ("nobody-again", "", 1),
        ):  # fmt: skip
            now[0] += wait_s
            await ledger.settle(attempt(id, visitor), OK)
            await ledger.remark(f"answer-{id}", Signals(asked_again=True))
        found = {one.answer.removeprefix("answer-"): one.signals.asked_again for one in await ledger.answers("ask")}
    assert found == {
        "first": False, "soon": True, "other": False, "late": False, "nobody": False, "nobody-again": False,
    }  # fmt: skip


# ---------------------------------------------------------------- through the app


def site_of(make_site: MakeSite) -> Settings:
    often = "[limits]\nper_visitor_per_minute = 1000\nper_visitor_per_day = 1000\n"
    return make_site({"content/about.md": ABOUT}, MODELS + often)


@asynccontextmanager
async def visited(settings: Settings) -> AsyncIterator[Callable[..., Any]]:
    """The app in this process; `await visit(address, question, reason, history=…)` → the answer."""
    app = create_app(settings)

    async def visit(address: str, question: str = QUESTION, reason: str = "", **more: Any) -> dict[str, Any]:
        transport = httpx2.ASGITransport(app=app, client=(address, 4321))
        async with httpx2.AsyncClient(transport=transport, base_url="https://ann.example.com") as one:
            given = (await one.post("/ask-ai", json={"question": question, **more})).json()
            if reason:
                body = {"answer": given["id"], "rating": "down", "reason": reason}
                assert (await one.post("/feedback", json=body)).status_code == 204
            return dict(given)

    async with app.router.lifespan_context(app):
        yield visit


async def a_steady_past(settings: Settings, visits: int = 150) -> None:
    """Days of visits with nothing to remark, each by another visitor, on the model that the app will use."""
    begun = time.time() - 20 * 86_400
    now = [begun]
    async with opened(settings, lambda: now[0]) as ledger:
        for number in range(visits):
            now[0] = begun + number * 19 * 86_400 / visits
            await ledger.settle(attempt(f"past-{number}", f"past-{number}", "scripted:faithful"), OK)
            await ledger.remark(f"answer-past-{number}", Signals(False, 0, "", False, None, False, 0.5))


@dataclass
class Ran:
    """What a command wrote, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """What it printed, wherever a narrow terminal broke the lines."""
        return " ".join(self.out.split())


Askfit = Callable[..., Ran]


@pytest.fixture
def askfit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Askfit:
    """`askfit("signals", "--json")` in the site's folder and in this process: a new one takes seconds to import."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*args: str) -> Ran:
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
            try:
                main(list(args))
            except SystemExit as end:
                return Ran(int(str(end.code)), out.getvalue(), err.getvalue())

    return run


async def test_the_app_keeps_what_an_answer_tells_and_no_word_of_it(make_site: MakeSite) -> None:
    """How much of the passages it draws on; whether it was asked again; of an abstention neither is known."""
    settings = site_of(make_site)
    async with visited(settings) as visit:
        first = await visit("203.0.113.7")
        history = [{"question": QUESTION, "answer": first["answer"]}]
        again = await visit("203.0.113.7", "Where does Ann lead her team?", history=history)
        other = await visit("203.0.113.7", "Does she like tea?", history=history)
    async with opened(settings) as ledger:
        found = {one.answer: one.signals for one in await ledger.answers("ask")}
    kept = [found[one["id"]] for one in (first, again, other)]
    assert [one.asked_again for one in kept] == [False, True, False]
    assert all(one.coverage is None or 0 < one.coverage <= 1 for one in kept)
    assert kept[0].coverage is not None


async def test_a_stream_of_feedback_leads_to_a_signal_and_its_command(make_site: MakeSite, askfit: Askfit) -> None:
    """Twelve visitors call answers too shallow: advise, usage and signals say so, with the samples that are missing."""
    settings = site_of(make_site)
    await a_steady_past(settings)
    async with visited(settings) as visit:
        for number in range(12):
            await visit(f"203.0.113.{number + 1}", reason="too_shallow")
        await visit("203.0.113.99", "Does Ann own a motorcycle?")
    shown, document = (
        await asyncio.to_thread(askfit, "signals", "ask"),
        await asyncio.to_thread(askfit, "signals", "--json"),
    )
    assert (shown.code, shown.err) == (0, "")
    assert "Answers rated too shallow: 0.0% → 92%" in shown.said
    assert "Run: askfit compare ask --models small,large --samples golden/ask.yaml" in shown.said
    assert "golden/ask.yaml is not there yet" in shown.said
    assert "the 12 questions" in shown.said or "the 13 questions" in shown.said
    (found,) = [one for one in json.loads(document.out) if one["feature"] == "ask"]
    assert [(one["name"], one["direction"], one["visits"] >= 12) for one in found["signals"]] == [
        ("shallow_feedback", "escalate", True)
    ]
    for command in ("advise", "usage"):
        line = await asyncio.to_thread(askfit, command)
        assert "! ask: Answers rated too shallow: 0.0% → 92%" in line.said
    past = await asyncio.to_thread(askfit, "signals", "ask", "--since", time.strftime("%Y-%m-%d", time.gmtime()))
    assert "13 turns of scripted:faithful" in past.said
    assert f"{BASELINE - 13} more visits are needed for a baseline of {BASELINE}" in past.said


async def test_steady_visits_and_one_angry_visitor_lead_to_no_signal(make_site: MakeSite, askfit: Askfit) -> None:
    """Twelve content visitors, and one who rates thirty answers too shallow: it says what was looked at."""
    settings = site_of(make_site)
    await a_steady_past(settings)
    async with visited(settings) as visit:
        for number in range(12):
            await visit(f"203.0.113.{number + 1}")
        for _ in range(30):
            await visit("203.0.113.77", reason="too_shallow")
    shown, usage = await asyncio.to_thread(askfit, "signals", "ask"), await asyncio.to_thread(askfit, "usage")
    assert "192 turns of scripted:faithful in 163 visits since" in shown.said
    assert "Nothing has changed." in shown.said
    assert "!" not in shown.out + usage.out


async def test_a_row_holds_how_many_bands_the_rows_contradict(sample: Settings) -> None:
    """A judge that flatters is contradicted more than an honest one; of how many requirements stands beside it."""
    posting = (sample.root / "postings" / "clinical-data-manager.txt").read_text(encoding="utf-8")
    found: dict[str, Signals] = {}
    for judge in ("honest", "flattering"):
        file = sample.file.model_copy(
            update={"models": sample.file.models.model_copy(update={"large": f"scripted:{judge}"})}
        )
        async with open_site(replace(sample, file=file)) as site:
            await assess(site, posting)
            (*_, last) = await site.ledger.answers("fit")
            found[judge] = last.signals
    honest, flattering = found["honest"], found["flattering"]
    assert honest.requirements == flattering.requirements
    assert (honest.contested or 0) < (flattering.contested or 0) <= (flattering.requirements or 0)


# ---------------------------------------------------------------- the command


def test_without_an_answer_of_a_model_there_is_nothing_to_look_at(make_site: MakeSite, askfit: Askfit) -> None:
    """No ledger is made for it; the built-in has no such signals."""
    settings = make_site({"content/about.md": ABOUT})
    shown = askfit("signals")
    assert shown.code == 0
    assert "No answer of a model to look at yet" in shown.said
    assert not (settings.root / "askfit.db").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [(("nope",), "There is no feature 'nope' here. Known: ask"), (("--since", "soon"), "--since soon is not a day.")],
)
def test_what_cannot_be_read_is_one_sentence(
    args: tuple[str, ...], message: str, make_site: MakeSite, askfit: Askfit
) -> None:
    """Exit code 2, the next step, no traceback."""
    make_site({"content/about.md": ABOUT})
    shown = askfit("signals", *args)
    assert (shown.code, shown.out) == (2, "")
    assert message in shown.err
    assert "Traceback" not in shown.err
