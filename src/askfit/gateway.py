"""THE door to any model: route, reserve, call, watch the clock, fall back, settle, record. Knows no feature.

A call goes to the first candidate that answers. Until its first visible character has been passed on, another candidate
may take over; after it, a failure is told as one (`partial`). Whatever happens, each attempt ends as one ledger row.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from askfit import headroom, telemetry
from askfit.batches import Batches
from askfit.config import Settings
from askfit.errors import AskfitError, BudgetSpent, ProviderError, StoreError
from askfit.ledger import Attempt, Bounds, Ledger, Outcome
from askfit.limits import Budget
from askfit.models import cost_nanos, facts, prompt_tokens
from askfit.pacing import Pacer, Turn
from askfit.providers import Provider as Provider
from askfit.providers import open_provider as open_provider  # the door lends it to evals, which stand before it
from askfit.routing import BUILTIN, beside, candidates, has_key
from askfit.text import estimate_tokens
from askfit.types import Ahead, Allowance, Axis, Call, Finish, FinishReason, Notice, Opened, Settled, Text, Usage

log = logging.getLogger(__name__)

RETRY_WITHIN_S = 2.0  # a visitor waits this long for the same model rather than get another's answer
ONLY_WITHIN_S = 60.0  # who asks one model alone (compare, eval) waits rather than be refused
KEEP_EVERY_S = 30.0  # what the providers tell of their limits is written this often
CLOSE_TIMEOUT_S = 5.0  # an upstream connection that will not close is left to the system

# Failures that tell of the model's health. The others are about one request, which a visitor may have made to fail.
UNHEALTHY = frozenset(
    {
        "provider_unreachable",
        "provider_timeout",
        "provider_overloaded",
        "provider_rate_limited",
        "provider_cut_off",
        "provider_key_refused",
        "provider_billing",
        "provider_spend_limit",
        "provider_model_unknown",
        "provider_failed",
    }
)
# No wait and no other question helps: the owner has to act. One call a minute finds out whether they have.
LASTING = frozenset({"provider_key_refused", "provider_billing", "provider_spend_limit", "provider_model_unknown"})
# The request had been accepted and no answer says what it cost: the input is taken for charged.
MAYBE_CHARGED = frozenset(
    {"cancelled", "provider_timeout", "provider_cut_off", "provider_bad_output", "provider_failed"}
)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a model may take. A ping is no text: only text resets the idle clock."""

    first_text_s: float = 20.0
    idle_s: float = 20.0
    total_s: float = 120.0


@dataclass(slots=True)
class Breaker:
    """Rests a model that is known to fail: nobody waits for it.

    For `rest_s` after `most` failures within `window_s`; for as long as its provider asks, up to `asked_most_s`;
    for `lasting_s` after a fault that only the owner can mend.
    """

    most: int = 3
    window_s: float = 60.0
    rest_s: float = 30.0
    asked_most_s: float = 120.0
    lasting_s: float = 60.0
    clock: Callable[[], float] = time.monotonic
    _failures: dict[str, deque[float]] = field(default_factory=dict)
    _until: dict[str, float] = field(default_factory=dict)

    def failed(self, model: str, error: ProviderError) -> None:
        """Count a failure, if it is one of the model's health."""
        if error.code not in UNHEALTHY:
            return
        now = self.clock()
        self._failures.setdefault(model, deque(maxlen=self.most)).append(now)
        asked_s = min(error.retry_after_s or 0.0, self.asked_most_s)
        self._until[model] = now + (self.lasting_s if error.code in LASTING else asked_s)

    def worked(self, model: str) -> None:
        """An answer ends the count."""
        self._failures.pop(model, None)
        self._until.pop(model, None)

    def rests(self, model: str) -> bool:
        """Is the model to be left alone for now?"""
        now = self.clock()
        if now < self._until.get(model, now):
            return True
        times: Sequence[float] = self._failures.get(model, ())
        if len(times) < self.most:
            return False
        return times[-1] - times[0] <= self.window_s and now - times[-1] < self.rest_s


@dataclass(slots=True)
class _Run:
    """One attempt while it runs."""

    call: Call
    attempt: Attempt
    turn: Turn
    ahead: Ahead | None = None  # it was sent ahead, within these bounds
    begun: float = field(default_factory=time.perf_counter)
    sent: bool = False  # to the provider
    held: str = ""  # leading white space: it is no answer yet
    said: list[str] = field(default_factory=list)
    ttft_ms: float = 0.0
    counted: Usage | None = None  # by the provider, before the end
    finish: Finish | None = None

    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.begun) * 1000

    def take(self, item: Text) -> str:
        """What of it may be shown now."""
        text, self.counted = item.text, item.counted or self.counted
        if not self.said:
            self.held += text
            if not self.held.strip():
                return ""
            text, self.ttft_ms = self.held, self.elapsed_ms()
        self.said.append(text)
        return text


class Gateway:
    """Serves calls. Owns the providers that it opened."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        budget: Budget | None = None,
        *,
        deadlines: Deadlines | None = None,
        breaker: Breaker | None = None,
        pacer: Pacer | None = None,
        open_provider: Callable[[str, Settings], Provider] = open_provider,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._budget = budget or Budget(settings, ledger)
        self._deadlines = deadlines or Deadlines()
        self._breaker = breaker or Breaker()
        self._pacer = pacer or Pacer()
        self._kept_s = time.monotonic()
        self._keeping: asyncio.Task[None] | None = None
        self._open_provider = open_provider
        self._providers: dict[str, asyncio.Future[Provider]] = {}
        self._settling: set[asyncio.Task[Settled]] = set()
        self._lasting: dict[str, str] = {}
        self.batches = Batches(settings, ledger, self._budget, self._provider)  # calls that nobody waits for

    @property
    def note(self) -> str:
        """What the owner should mend, model by model; "" where all is well. Not for visitors."""
        return " ".join(self._lasting.values())

    @property
    def limits(self) -> Mapping[str, Mapping[Axis, Allowance]]:
        """What the providers last told of their rate limits, by model."""
        return self._pacer.told()

    async def stream(self, call: Call) -> AsyncGenerator[Notice | Opened | Text | Settled, None]:
        """Notice*, Opened, Text…, Settled; or an AskfitError, its row settled. Closing it ends the upstream request."""
        models = deque((call.only,) if call.only else candidates(self._settings, call.feature))
        ahead = call.ahead if not call.only and call.ahead and has_key(self._settings, call.ahead.model) else None
        if ahead:
            models.appendleft(ahead.model)
        left: AskfitError | None = None  # why the first choice does not answer
        before = ""  # the model that was tried before this one
        retried = False
        while models:
            model = models.popleft()
            if models and self._breaker.rests(model):
                left, before, ahead = left or _resting(model), model, None
                continue
            asked = replace(call, prompt=ahead.prompt) if ahead else call
            turn = self._pacer.turn(model, asked, partial(prompt_tokens, model, asked.prompt))
            if models and turn.wait_s > RETRY_WITHIN_S:
                left, before, ahead = left or _busy(model), model, None
                continue
            await self._take(turn, ONLY_WITHIN_S if call.only else RETRY_WITHIN_S)
            run = _Run(asked, _attempt_of(call, model, before), turn, ahead)
            failure: AskfitError
            try:
                async with aclosing(self._attempt(run)) as items:
                    async for item in items:
                        if isinstance(item, Text) and len(run.said) == 1:
                            if left:
                                yield _notice(left, model)
                            yield Opened(model, run.attempt.provider)
                        yield item
                self._worked(model)
                return
            except ProviderError as error:
                if run.said:
                    self._failed(call, model, error)
                    error.partial = True
                    raise
                if not retried and _soon(error):
                    retried = True
                    models.appendleft(model)
                    await asyncio.sleep(error.retry_after_s or 0.0)
                    continue
                self._failed(call, model, error)
                failure = error
            except BudgetSpent as error:
                if ahead and models:  # no failure: the feature's own model answers, as it does most turns
                    ahead = None
                    continue
                if call.only or self._settings.file.budget.when_spent == "refuse":
                    raise
                failure = error
                if BUILTIN not in models:
                    models.append(BUILTIN)
            except StoreError as error:  # nothing can be reserved: only what is free may answer
                failure = error
            if not models:
                raise failure
            left, before, ahead = left or failure, model, None

    async def _take(self, turn: Turn, most_s: float) -> None:
        """Wait for the call's turn. One that takes longer is not waited for: its provider shall decide."""
        self._pacer.take(turn)
        if 0 < turn.wait_s <= most_s:
            try:
                await asyncio.sleep(turn.wait_s)
            except BaseException:
                self._pacer.done(turn)  # who left does not use it
                raise

    async def whole(self, call: Call, within_s: float, hear: Callable[[Settled], None]) -> str:
        """The whole text of one call, for who can do nothing with a part of it; `hear` is told what it cost.

        "" where budget or time do not allow it, or it fails.
        """
        said: list[str] = []
        try:
            async with asyncio.timeout(within_s), aclosing(self.stream(call)) as items:
                async for item in items:
                    if isinstance(item, Text):
                        said.append(item.text)
                    elif isinstance(item, Settled):
                        hear(item)
        except (AskfitError, TimeoutError) as error:
            code = error.code if isinstance(error, AskfitError) else "timeout"
            log.info("A further call of %s gave nothing (%s).", call.feature, code)
            return ""
        return "".join(said)

    def _worked(self, model: str) -> None:
        self._breaker.worked(model)
        self._lasting.pop(model, None)

    def _failed(self, call: Call, model: str, error: ProviderError) -> None:
        """Let the model rest if need be, and tell the owner; what a provider says of one request is not logged."""
        self._breaker.failed(model, error)
        if error.code in LASTING:
            self._lasting[model] = str(error)
        if call.only:
            return  # whoever asked for this model alone is told by the error
        if error.code in LASTING:
            log.error("%s Until then another answers. (%s)", error, error.code)
        elif error.code in UNHEALTHY:
            log.warning("%s failed. (%s)", model, error.code)

    async def _attempt(self, run: _Run) -> AsyncGenerator[Text | Settled, None]:
        """One candidate's answer; its row is settled however this ends, unless no call was made for want of budget."""
        attempt, outcome = run.attempt, "cancelled"
        stream: AsyncGenerator[Text | Finish, None] | None = None
        try:
            own = Bounds(run.ahead.day_nanos, run.ahead.most_share) if run.ahead else None
            await self._budget.reserve(attempt, run.call.prompt, own)
            provider = await self._provider(attempt.provider)
            run.begun = time.perf_counter()  # importing an SDK is no wait for the model, and no fault of its
            stream = provider.stream(attempt.model.partition(":")[2], run.call)
            run.sent = True
            while run.finish is None:
                item = await self._next(stream, run)
                if isinstance(item, Finish):
                    run.finish = item
                elif item.headroom:
                    self._heard(run.turn, item)
                elif text := run.take(item):
                    yield Text(text, last=item.last)
            _check(run)
            outcome = "ok"
        except BudgetSpent:
            outcome = ""
            raise
        except AskfitError as error:
            outcome = error.code
            if isinstance(error, ProviderError | StoreError):
                raise
            raise ProviderError(error.code, error.message, error.next_step) from error
        except Exception as error:
            outcome = "provider_failed"
            log.exception("%s failed in a way that was not foreseen.", attempt.model)
            raise ProviderError("provider_failed", "The model could not answer.", "Try again.") from error
        finally:
            self._pacer.done(run.turn, run.finish.usage if run.finish else None)
            # The row first, in a task of its own: whoever cancels us cancels neither it nor, twice, the closing.
            settling = self._begin_settling(run, outcome) if outcome else None
            if stream:
                await _close(stream)
            settled = await asyncio.shield(settling) if settling else None
        if settled:
            yield settled

    async def _next(self, stream: AsyncGenerator[Text | Finish, None], run: _Run) -> Text | Finish:
        """The next item, within the deadlines. Empty text is a ping by another name."""
        limits = self._deadlines
        idle_s = limits.idle_s if run.said else limits.first_text_s - run.elapsed_ms() / 1000
        left_s = limits.total_s - run.elapsed_ms() / 1000
        try:
            async with asyncio.timeout(max(0.0, min(idle_s, left_s))):
                async for item in stream:
                    if isinstance(item, Finish) or item.text or item.headroom:
                        return item
        except TimeoutError:
            raise ProviderError("provider_timeout", "The model took too long.", "Try again.", retryable=True) from None
        raise ProviderError("provider_cut_off", "The model's answer broke off.", "Try again.", retryable=True)

    # ------------------------------------------------------------ rate limits

    def _heard(self, turn: Turn, item: Text) -> None:
        """Take over what a provider tells of its limits; now and then it is written down, for the command line."""
        if item.headroom is None:
            return
        self._pacer.heard(turn, item.headroom)
        telemetry.note_limits(turn.model, item.headroom.axes)
        if item.headroom.heard_s - self._kept_s > KEEP_EVERY_S:
            self._kept_s = item.headroom.heard_s
            self._keeping = asyncio.create_task(self._keep_limits())

    async def _keep_limits(self) -> None:
        try:
            await headroom.keep(self._ledger.store, self._pacer.told())
        except Exception as error:
            log.warning("The rate limits could not be written down (%s).", type(error).__name__)

    async def _expect_limits(self) -> None:
        """Those of the run before, until an answer tells them anew."""
        seen = await headroom.last_seen(self._ledger.store)
        for model, standing in seen.items():
            self._pacer.expect(model, standing.axes, time.time() - standing.at_ms / 1000)

    # ------------------------------------------------------------ settling

    def _begin_settling(self, run: _Run, outcome: str) -> asyncio.Task[Settled]:
        task = asyncio.create_task(self._settle(run, outcome))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)
        return task

    async def _settle(self, run: _Run, outcome: str) -> Settled:
        """Write the row and count it. A ledger that fails now takes no answer away: it is logged."""
        usage = run.finish.usage if run.finish else _estimate(run, outcome)
        reason: FinishReason = "cancelled" if outcome == "cancelled" else "error"
        if run.finish:
            reason = run.finish.finish_reason
        settled = Settled(usage, cost_nanos(run.attempt.model, usage), reason, run.ttft_ms, run.elapsed_ms())
        row = Outcome(outcome, reason, usage, settled.cost_nanos, settled.ttft_ms, settled.total_ms)
        try:
            await self._ledger.settle(run.attempt, row)
        except Exception:
            log.exception("The ledger could not be written for call %s.", run.attempt.id)
        telemetry.count_call(
            run.attempt, outcome, usage, settled.cost_nanos, run.ttft_ms, total_ms=settled.total_ms,
            finish_reason=reason, max_tokens=run.call.prompt.max_output_tokens,
            wants_json=run.call.prompt.output_schema is not None,
            response_model=run.finish.model if run.finish else "",
        )  # fmt: skip
        return settled

    # ------------------------------------------------------------ providers

    async def _provider(self, name: str) -> Provider:
        """The provider, opened once. Importing an SDK takes over a second: it happens off the event loop."""
        if name not in self._providers:
            self._providers[name] = asyncio.ensure_future(asyncio.to_thread(self._open_provider, name, self._settings))
        try:
            return await asyncio.shield(self._providers[name])
        except Exception:
            self._providers.pop(name, None)
            raise

    async def warm(self) -> None:
        """Import what the first call would wait for: the providers that the features ask first, prices, counters."""
        features = self._settings.features
        first = {
            model for name in features for model in (candidates(self._settings, name)[0], *beside(self._settings, name))
        }
        opening = [self._provider(model.partition(":")[0]) for model in first]
        pricing = [asyncio.to_thread(lambda model: facts(model).priced, model) for model in first]
        others = (asyncio.to_thread(telemetry.warm), self._expect_limits())
        await asyncio.gather(*opening, *pricing, *others, return_exceptions=True)

    async def aclose(self) -> None:
        """Write what is still to be written, then close every provider that was opened."""
        if self._settling:
            await asyncio.wait(self._settling)
        if self._keeping:
            await self._keeping
        if self._pacer.told():
            await self._keep_limits()
        for opening in self._providers.values():
            with contextlib.suppress(Exception):
                await (await opening).aclose()
        self._providers.clear()


def _attempt_of(call: Call, model: str, before: str) -> Attempt:
    provider = model.partition(":")[0]
    return Attempt(
        secrets.token_hex(12), call.answer, call.feature, model, provider, call.prompt.sha, call.visitor, before
    )


async def _close(stream: AsyncGenerator[Any, None]) -> None:
    """End the upstream request. It may hang or fail: the visitor has nothing of it."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await stream.aclose()
    except Exception as error:
        log.warning("A provider's stream did not close well (%s).", type(error).__name__)


def _check(run: _Run) -> None:
    """An answer that was refused or is empty is a failure, though its provider calls it whole."""
    if run.finish and run.finish.finish_reason == "refusal":
        raise ProviderError("provider_refused", "The model declined to answer.", "Ask in another way.")
    if not run.said:
        raise ProviderError("provider_bad_output", "The model answered with nothing.", "Try again.", retryable=True)


def _estimate(run: _Run, outcome: str) -> Usage:
    """What a call used that was cut before its end: the input as its provider counted, the output by what was seen.

    Where the provider had counted nothing, the whole prompt is taken for read anew.
    """
    model, text = run.attempt.model, "".join(run.said)
    if model == BUILTIN or not run.sent or not (text or run.counted or outcome in MAYBE_CHARGED):
        return Usage()
    output = round(estimate_tokens(text) * facts(model).tokenizer_ratio)
    if run.counted:
        return replace(run.counted, output_tokens=max(output, run.counted.output_tokens), estimated=True)
    return Usage(prompt_tokens(model, run.call.prompt), output, estimated=True)


def _soon(error: ProviderError) -> bool:
    """Is the same model worth waiting for?"""
    return error.retryable and error.retry_after_s is not None and error.retry_after_s <= RETRY_WITHIN_S


def _resting(model: str) -> ProviderError:
    return ProviderError(
        "provider_resting", f"{model} failed repeatedly and rests for a moment.", "Try again.", retryable=True
    )


def _busy(model: str) -> ProviderError:
    return ProviderError(
        "provider_busy", f"{model} has as many requests as its rate limit bears.", "Try again.", retryable=True
    )


WHO = {True: "the site's built-in answers", False: "another model answers"}


def _notice(left: AskfitError, model: str) -> Notice:
    """What the visitor is told when another than the first choice answers."""
    who = WHO[model == BUILTIN]
    if isinstance(left, BudgetSpent):
        return Notice(code="budget_spent", message=f"{left.message} So {who} instead.")
    if left.code == "provider_busy":
        return Notice(code="fell_back", message=f"The AI model has as many requests as it may take, so {who} instead.")
    return Notice(code="fell_back", message=f"The AI model did not answer just now, so {who} instead.")
