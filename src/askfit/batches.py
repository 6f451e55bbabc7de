"""Calls that nobody waits for, sent together, answered within a day at half the price: reserve, send, look, collect.

Each call is a ledger row as any other, reserved and settled at the batch's price. A `Batch` is plain data: whoever
keeps it can collect it from another process, days later. Knows no feature and no wire.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, cast

from askfit import telemetry
from askfit.config import Settings
from askfit.errors import BudgetSpent, ProviderError
from askfit.ledger import Attempt, Ledger, Outcome
from askfit.limits import Budget
from askfit.models import cost_nanos, prompt_tokens
from askfit.routing import has_key
from askfit.types import Call, Ended, FinishReason, Opened, Prompt, Settled, Text, Usage

log = logging.getLogger(__name__)

BATCHING = frozenset({"anthropic"})  # providers that take batches
MOST_CALLS = 1_000  # in one batch: at 60 kB each still a quarter of what the provider takes
REQUEST_TIMEOUT_S = 120.0  # one request about a batch; a look takes well under a second
# A provider that failed so may have taken the batch all the same: nobody can tell, and its input counts as charged.
MAYBE_TAKEN = frozenset({"provider_timeout", "provider_cut_off", "provider_bad_output"})


@dataclass(frozen=True, slots=True)
class Item:
    """One call of a batch: as much of it as settling its row takes."""

    id: str  # of its ledger row, and of its request in the batch
    answer: str
    feature: str
    prompt_sha: str
    note: str = ""  # the sender's own: what the call was about


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch that a provider has taken."""

    id: str  # the provider's
    model: str  # "provider:name"
    sent_ms: int  # UTC
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """How one call of a batch ended; its row is settled."""

    item: Item
    model: str
    text: str
    settled: Settled
    error: ProviderError | None = None

    async def stream(self) -> AsyncGenerator[Opened | Text | Settled, None]:
        """As the gateway streams a call that was answered at once."""
        yield Opened(self.model, self.model.partition(":")[0])
        yield Text(self.text)
        yield self.settled


class _Provider(Protocol):
    """A provider that takes batches: providers/batched.py."""

    async def send_batch(self, model_name: str, prompts: Mapping[str, Prompt]) -> tuple[str, int]: ...
    async def batch_ended(self, model_name: str, id_: str) -> bool: ...
    async def cancel_batch(self, model_name: str, id_: str) -> None: ...
    async def batch_results(self, model_name: str, id_: str) -> Sequence[Ended]: ...


class Batches:
    """Sends and collects batches. The gateway lends it its providers."""

    def __init__(
        self, settings: Settings, ledger: Ledger, budget: Budget, provider: Callable[[str], Awaitable[Any]]
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._budget = budget
        self._open = provider

    def takes(self, model: str) -> bool:
        """Can this model be asked in a batch, with the keys that there are?"""
        return model.partition(":")[0] in BATCHING and has_key(self._settings, model)

    async def send(
        self, model: str, calls: Sequence[tuple[str, Call]], keep: Callable[[Batch], None]
    ) -> tuple[Batch, BudgetSpent | None]:
        """Send as many as the budget allows, `MOST_CALLS` at most, each with the sender's note.

        Returns (what was sent, why the rest was not). BudgetSpent where not even the first may go; a ProviderError
        where the batch was not taken: what was reserved is given back. `keep` is called with the batch before anything
        else happens, and neither Ctrl-C nor a closing loop comes between.
        """
        attempts, spent = await self._reserve(model, calls[:MOST_CALLS])
        if not attempts and spent:
            raise spent
        sending = asyncio.create_task(self._send(model, attempts, calls, keep))
        try:
            return await asyncio.shield(sending), spent
        except asyncio.CancelledError:
            await asyncio.wait({sending})  # the provider may have taken it: its id must be kept
            raise

    async def ended(self, batch: Batch) -> bool:
        """Is it over? A look costs nothing."""
        with _in_time():
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                return await (await self._provider(batch.model)).batch_ended(_name(batch.model), batch.id)

    async def cancel(self, batch: Batch) -> None:
        """Stop it. It has ended a little later; what was answered by then is charged and can be collected."""
        with _in_time():
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                await (await self._provider(batch.model)).cancel_batch(_name(batch.model), batch.id)

    async def collect(self, batch: Batch) -> tuple[Answered, ...]:
        """Every call's answer or fault, its row settled, in the order in which they were sent. May be done twice."""
        with _in_time():
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                results = await (await self._provider(batch.model)).batch_results(_name(batch.model), batch.id)
        ended = {result.id: result for result in results}
        missing = Ended("", code="provider_batch_missing", message=f"{batch.model} says nothing of it.")
        return tuple([await self._settled(batch, item, ended.get(item.id, missing)) for item in batch.items])

    # ------------------------------------------------------------ steps

    async def _provider(self, model: str) -> _Provider:
        return cast(_Provider, await self._open(model.partition(":")[0]))

    async def _reserve(self, model: str, calls: Sequence[tuple[str, Call]]) -> tuple[list[Attempt], BudgetSpent | None]:
        """Hold the most that each can cost, in order, until the budget has no more."""
        held: list[Attempt] = []
        try:
            for _, call in calls:
                attempt = _attempt(model, Item(secrets.token_hex(12), call.answer, call.feature, call.prompt.sha))
                await self._budget.reserve(attempt, call.prompt)
                held.append(attempt)
        except BudgetSpent as error:
            return held, error
        except BaseException:
            await asyncio.shield(self._release(held))
            raise
        return held, None

    async def _send(
        self, model: str, attempts: Sequence[Attempt], calls: Sequence[tuple[str, Call]], keep: Callable[[Batch], None]
    ) -> Batch:
        sent = list(zip(attempts, calls, strict=False))
        prompts = {attempt.id: call.prompt for attempt, (_, call) in sent}
        try:
            with _in_time():
                async with asyncio.timeout(REQUEST_TIMEOUT_S):
                    id_, sent_ms = await (await self._provider(model)).send_batch(_name(model), prompts)
        except BaseException as error:
            code = error.code if isinstance(error, ProviderError) else "provider_failed"
            await self._release(attempts, code, prompts if code in MAYBE_TAKEN else None)
            raise
        items = [Item(one.id, one.answer, one.feature, one.prompt_sha, note) for one, (note, _) in sent]
        batch = Batch(id_, model, sent_ms, tuple(items))
        keep(batch)
        return batch

    async def _release(
        self, attempts: Sequence[Attempt], code: str = "cancelled", charged: Mapping[str, Prompt] | None = None
    ) -> None:
        """Settle what was not sent, at nothing; what may have been sent all the same, by its input."""
        for attempt in attempts:
            usage = Usage()
            if charged:
                usage = Usage(prompt_tokens(attempt.model, charged[attempt.id]), estimated=True)
            await self._settle(attempt, code, "error", usage, 0.0)

    async def _settled(self, batch: Batch, item: Item, ended: Ended) -> Answered:
        attempt = _attempt(batch.model, item)
        usage = ended.finish.usage if ended.finish else Usage()
        code, message = ended.code or _fault(ended), ended.message or "The model gave no answer that can be used."
        reason: FinishReason = ended.finish.finish_reason if ended.finish else "error"
        total_ms = max(0.0, time.time() * 1000 - batch.sent_ms)
        named = ended.finish.model if ended.finish else ""
        settled = await self._settle(attempt, code or "ok", reason, usage, total_ms, named)
        error = ProviderError(code, message, "Try again.") if code else None
        return Answered(item, batch.model, ended.text, settled, error)

    async def _settle(
        self, attempt: Attempt, outcome: str, reason: FinishReason, usage: Usage, total_ms: float, named: str = ""
    ) -> Settled:
        """Write the row, at the price of the day on which the batch was sent. A failing ledger takes no answer away."""
        at = datetime.fromtimestamp(time.time() - total_ms / 1000, UTC)
        settled = Settled(usage, cost_nanos(attempt.model, usage, at, batch=True), reason, 0.0, total_ms)
        try:
            await self._ledger.settle(attempt, Outcome(outcome, reason, usage, settled.cost_nanos, 0.0, total_ms))
        except Exception:
            log.exception("The ledger could not be written for call %s.", attempt.id)
        telemetry.count_call(attempt, outcome, usage, settled.cost_nanos, 0.0, response_model=named)
        return settled


def _attempt(model: str, item: Item) -> Attempt:
    provider = model.partition(":")[0]
    return Attempt(item.id, item.answer, item.feature, model, provider, item.prompt_sha, "", batch=True)


def _name(model: str) -> str:
    return model.partition(":")[2]


def _fault(ended: Ended) -> str:
    """A whole answer that is none."""
    if ended.finish and ended.finish.finish_reason == "refusal":
        return "provider_refused"
    return "" if ended.text.strip() else "provider_bad_output"


@contextlib.contextmanager
def _in_time() -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise ProviderError("provider_timeout", "The model's provider took too long.", "Try again.") from None
