"""Counts per visitor, and the owner's money: bounded before anything is called."""

from __future__ import annotations

import logging
import secrets
import sys
import time
from collections.abc import Callable

import pytest

from askfit.config import Settings
from askfit.errors import BudgetSpent, LimitExceeded, SettingsError
from askfit.ledger import Attempt, Ledger
from askfit.limits import Budget, Counts
from askfit.models import max_cost_nanos
from askfit.store import open_store
from askfit.types import Message, Prompt
from conftest import REDIS_URL

MakeSite = Callable[..., Settings]
BOUNDS = "[limits]\nper_visitor_per_minute = 3\nper_visitor_per_day = 5\n"


def bounded(make_site: MakeSite, redis_url: str = "") -> Settings:
    return make_site({}, f'{BOUNDS}[store]\nredis_url = "{redis_url}"\n')


async def refused(counts: Counts, visitor: str) -> LimitExceeded:
    with pytest.raises(LimitExceeded) as caught:
        await counts.admit(visitor)
    return caught.value


async def test_a_visitor_may_ask_so_often_a_minute_and_is_told_when_again(make_site: MakeSite) -> None:
    """The fourth question is refused with the seconds to wait; another visitor is not held up."""
    counts = Counts(bounded(make_site))
    for _ in range(3):
        await counts.admit("ann")
    error = await refused(counts, "ann")
    assert (error.code, error.status) == ("limit_visitor", 429)
    assert "3 requests within one minute" in error.message
    assert 1 <= error.retry_after_s <= 60
    await counts.admit("bo")


async def test_the_day_s_bound_holds_when_the_minute_is_over(
    make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows move: a minute later one may ask again, until the day's count is reached."""
    counts, now = Counts(bounded(make_site)), time.time()
    for number in range(5):
        monkeypatch.setattr(time, "time", lambda at=now + 61 * number: at)
        await counts.admit("ann")
    monkeypatch.setattr(time, "time", lambda: now + 61 * 6)
    error = await refused(counts, "ann")
    assert "one day" in error.message
    assert 80_000 < error.retry_after_s <= 86_400


@pytest.mark.redis
async def test_two_servers_share_their_counts_in_redis(make_site: MakeSite) -> None:
    """What one admitted counts at the other."""
    settings, visitor = bounded(make_site, REDIS_URL), secrets.token_hex(8)
    one, two = Counts(settings), Counts(settings)
    for counts in (one, two, one):
        await counts.admit(visitor)
    assert (await refused(two, visitor)).retry_after_s <= 60
    assert one.note == ""


async def test_while_redis_does_not_answer_each_server_counts_alone(
    make_site: MakeSite, free_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The site stays up and visitors stay bounded; the operator is told once, without the password."""
    counts = Counts(bounded(make_site, f"redis://:hush@127.0.0.1:{free_port}/0"))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await counts.admit("ann")
        assert "one minute" in (await refused(counts, "ann")).message
    assert len(caplog.records) == 1
    assert "hush" not in caplog.text
    assert "Redis does not answer" in counts.note


async def test_redis_is_asked_again_after_a_rest(
    make_site: MakeSite, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No visitor waits for a dead Redis twice within half a minute; then it gets another chance."""
    counts = Counts(bounded(make_site, f"redis://127.0.0.1:{free_port}/0"))
    await counts.admit("ann")
    assert counts.note
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 31)
    assert counts.note == ""


def test_without_redis_driver_the_extra_is_named(make_site: MakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """redis is an extra: the message says which command installs it."""
    for name in [name for name in sys.modules if name == "redis" or name.startswith("redis.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(SettingsError) as caught:
        Counts(bounded(make_site, "redis://127.0.0.1:6379/0"))
    assert caught.value.code == "redis_driver_missing"
    assert "askfit[redis]" in caught.value.next_step


@pytest.mark.parametrize("url", ["http://:hush@host", "redis://:hush@host:port/0", "banana"])
def test_an_address_that_is_none_never_shows_its_password(make_site: MakeSite, url: str) -> None:
    """A mistyped redis_url stops the start."""
    with pytest.raises(SettingsError) as caught:
        Counts(bounded(make_site, url))
    assert "hush" not in str(caught.value)


# ---------------------------------------------------------------- budget

PROMPT = Prompt("Answer.", "corpus " * 1000, (Message("user", "Who?"),), 500)


def call(number: int, model: str = "anthropic:claude-haiku-4-5") -> Attempt:
    return Attempt(str(number), "answer", "ask", model, model.split(":")[0], "", "")


async def test_a_call_is_made_only_where_all_it_may_cost_still_fits(make_site: MakeSite) -> None:
    """The budget bears two such calls and not a third; the visitor is told where to turn."""
    most = max_cost_nanos("anthropic:claude-haiku-4-5", PROMPT)
    settings = make_site({}, f"[budget]\nper_day_usd = {most * 2.5 / 1e9:.9f}\n")
    store = open_store(settings)
    ledger = Ledger(store)
    await ledger.open()
    budget = Budget(settings, ledger)
    await budget.reserve(call(1), PROMPT)
    await budget.reserve(call(2), PROMPT)
    with pytest.raises(BudgetSpent) as caught:
        await budget.reserve(call(3), PROMPT)
    assert (caught.value.code, caught.value.status) == ("budget_spent", 503)
    assert "for today" in caught.value.message
    assert "hi@ann.example.com" in caught.value.next_step
    assert (await ledger.spent()).day_nanos == 2 * most
    await store.aclose()


async def test_a_free_call_needs_no_budget(make_site: MakeSite) -> None:
    """With nothing to spend the built-in and the test double still answer, and nothing is held for them."""
    settings = make_site({}, "[budget]\nper_day_usd = 0\nper_month_usd = 0\n")
    store = open_store(settings)
    ledger = Ledger(store)
    await ledger.open()
    budget = Budget(settings, ledger)
    await budget.reserve(call(1, "builtin:builtin"), PROMPT)
    await budget.reserve(call(2, "scripted:concise"), PROMPT)
    with pytest.raises(BudgetSpent):
        await budget.reserve(call(3), PROMPT)
    assert (await ledger.spent()).day_nanos == 0
    await store.aclose()
