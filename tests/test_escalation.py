"""Turns of synthesis that go to another model: which ones, within which bounds, and who answers when it does not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from askfit.ask.shape import shape_of, why_synthesis
from askfit.config import Settings
from askfit.errors import SettingsError
from askfit.evals import evaluate, read_samples
from askfit.providers.scripted import Script, ScriptedServer
from askfit.routing import check_model_names

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from cases.shape import halves

SMALL, LARGE = "anthropic:claude-haiku-4-5", "anthropic:claude-sonnet-4-6"
PAGE = "# Ann\nAnn leads a team of four in Lisbon."
PLAIN = "Where does Ann lead a team?"
WEIGHS = "Based on everything here, would she be good at leading a team of forty?"
ESCALATION = "\n[features.ask.escalation]\n"
MakeSite = Callable[..., Settings]


# ---------------------------------------------------------------- which ones


def test_questions_of_synthesis_are_told_from_those_of_retrieval() -> None:
    """On the half that the rules were not made with, at least 9 in 10 of what is called synthesis is."""
    _, unseen = halves()
    called = [is_synthesis for question, is_synthesis in unseen if shape_of(question) == "synthesis"]
    assert len(called) >= 30
    assert sum(called) / len(called) >= 0.9


@pytest.mark.parametrize(
    "question", ["", "?", "Why?", "compare", 'When did you write "Compare everything"?', "x" * 9_000]
)
def test_what_is_short_quoted_or_empty_is_retrieval(question: str) -> None:
    """A title's words are not the visitor's, and a word alone weighs nothing."""
    assert why_synthesis(question) == ""


async def test_synthesis_goes_to_the_large_model_and_a_plain_question_does_not(visit: Any) -> None:
    """Each turn tells the model that answered it; both stand in the ledger under the same feature."""
    async with visit(ESCALATION + "most_share = 1.0\nper_day_usd = 1.0\n") as there:
        assert (await there.ask(PLAIN))["model"] == SMALL
        weighed = await there.ask(WEIGHS)
        assert weighed["model"] == LARGE
        assert weighed["notices"] == []
        assert [(row["feature"], row["model"]) for row in await there.rows()] == [("ask", SMALL), ("ask", LARGE)]


async def test_it_is_off_by_default(visit: Any) -> None:
    """Without the table every turn goes to the feature's own model."""
    async with visit("") as there:
        assert (await there.ask(WEIGHS))["model"] == SMALL


async def test_nothing_is_marked_for_a_cache_that_nobody_reads_again(visit: Any) -> None:
    """An escalated turn is too seldom to find its prompt again: it does not pay for writing it."""
    async with visit(ESCALATION + "most_share = 1.0\nper_day_usd = 1.0\n") as there:
        await there.ask(WEIGHS)
        assert '"cache_control"' not in there.model.requests[-1].raw.decode()


# ---------------------------------------------------------------- bounds


async def test_a_days_money_for_it_is_never_passed(visit: Any) -> None:
    """What the calls come to stays under the bound; the small model then answers, and no notice is due."""
    bound = 0.02
    async with visit(ESCALATION + f"most_share = 1.0\nper_day_usd = {bound}\n") as there:
        answers = [await there.ask(f"{WEIGHS} {number}") for number in range(12)]
        models = [answer["model"] for answer in answers]
        assert models[0] == LARGE
        assert models[-1] == SMALL
        assert all(answer["notices"] == [] for answer in answers)
        assert sum(answer["cost_usd"] for answer in answers if answer["model"] == LARGE) <= bound


async def test_no_more_than_its_share_of_the_days_turns(visit: Any) -> None:
    """With a fifth, one turn more than a fifth of the turns so far is let through, whoever asks only such questions."""
    async with visit(ESCALATION + "most_share = 0.2\nper_day_usd = 1.0\n") as there:
        models = [(await there.ask(f"{WEIGHS} {number}"))["model"] for number in range(11)]
    taken = [at for at, name in enumerate(models) if name == LARGE]
    assert taken == [0, 5, 10]


async def test_a_spent_site_budget_takes_the_large_model_first(visit: Any) -> None:
    """Where the site's own budget holds only the small model's call, that one answers, even if the owner refuses."""
    budget = '\n[budget]\nper_day_usd = 0.008\nwhen_spent = "refuse"\n'
    async with visit(ESCALATION + "most_share = 1.0\nper_day_usd = 1.0\n" + budget) as there:
        assert (await there.ask(WEIGHS))["model"] == SMALL
        assert there.asked == [SMALL]


async def test_when_the_large_model_fails_the_features_own_answers(visit: Any) -> None:
    """The visitor is told that another answers; the ledger tells which failed."""
    async with visit(ESCALATION + "most_share = 1.0\nper_day_usd = 1.0\n") as there:
        there.model.script = Script.of([{"match": "forty", "fault": "overloaded", "times": 1}])
        answer = await there.ask(WEIGHS)
        assert answer["model"] == SMALL
        assert [notice["code"] for notice in answer["notices"]] == ["fell_back"]
        assert there.asked == [LARGE, SMALL]
        assert [(row["model"], row["fell_back_from"]) for row in await there.rows()] == [(LARGE, ""), (SMALL, LARGE)]


async def test_when_all_models_fail_the_built_in_answers(visit: Any) -> None:
    """Behind the feature's own model stands what always stands there."""
    async with visit(ESCALATION + "most_share = 1.0\nper_day_usd = 1.0\n") as there:
        there.model.script = Script.of([{"fault": "overloaded"}])
        assert (await there.ask(WEIGHS))["model"] == "builtin:builtin"


async def test_an_evaluation_measures_one_model(make_site: MakeSite, model: ScriptedServer) -> None:
    """`askfit eval --model small` is of that model, whatever its questions look like."""
    files = {
        "content/about.md": PAGE,
        "golden/ask.yaml": f'- id: one\n  question: "{WEIGHS}"\n  answerable: true\n',
    }
    environ = {"ANTHROPIC_API_KEY": "sk-test", "ANTHROPIC_BASE_URL": model.url}
    settings = make_site(files, ESCALATION, environ)
    await evaluate(settings, "ask", read_samples(settings.root / "golden" / "ask.yaml", "chat"), model="small")
    assert {seen.body["model"] for seen in model.requests} == {SMALL.partition(":")[2]}


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[features.fit.escalation]\n", "belongs to a chat in which visitors ask"),
        ("[features.ask.escalation]\nmost_share = 1.5\n", "most_share"),
        ("[features.ask.escalation]\nper_day_usd = 0\n", "per_day_usd"),
        ("[features.ask.escalation]\nper_day = 1\n", "Did you mean 'per_day_usd'?"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_their_place(toml: str, said: str, make_site: MakeSite) -> None:
    """One sentence: only a chat has turns to send elsewhere, bounds are bounds, keys are known."""
    with pytest.raises(SettingsError) as caught:
        make_site({"content/about.md": PAGE}, toml)
    assert said in str(caught.value)


@pytest.mark.parametrize(("name", "said"), [("small", "the feature has already"), ("builtin", "is no model")])
def test_the_other_model_is_another_model(name: str, said: str, make_site: MakeSite) -> None:
    """Its own model, or none, is no escalation."""
    settings = make_site({"content/about.md": PAGE}, f'[features.ask.escalation]\nmodel = "{name}"\n')
    with pytest.raises(SettingsError, match=said):
        check_model_names(settings)
