"""The road of `askfit fit DIR` where nobody waits: the postings go out as one batch, within a day, at half the price.

A batch is noted beside the postings the moment it is taken, so that neither Ctrl-C nor a crash pays for it twice: the
next run collects it. What a batch does not bring is judged by itself, and says so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rich.markup import escape

from askfit.batches import MOST_CALLS, Answered, Batch
from askfit.caching import Ttl
from askfit.cli.progress import err, progress, waits
from askfit.cli.show import usd
from askfit.errors import AskfitError, BudgetSpent, ProviderError, UsageError
from askfit.fit import assess, call_for
from askfit.fit.posting import Posting, read_posting
from askfit.gateway import LASTING
from askfit.models import max_cost_nanos
from askfit.routing import cache_plan
from askfit.text import cached_tokens
from askfit.types import NANOS_PER_USD, Assessment, Call, Fault, Usage

if TYPE_CHECKING:
    from askfit.cli.ranking import Run

FIRST_LOOK_S, LAST_LOOK_S, SLOWER = 1.0, 60.0, 1.5  # between two looks at a batch: ever longer, at most a minute
HOUR_MS = 3_600_000  # for so long the provider keeps what one batch writes for the next
FEWEST_TO_CACHE = 3  # postings: two that share a written matrix cost more than two that do not
MOST_FAILED_LOOKS = 10  # in a row: some minutes without the provider
NOT_SERVED = frozenset({"provider_model_unknown", "provider_bad_request"})  # by whoever stands at the base URL


@dataclass(frozen=True, slots=True)
class Offer:
    """A posting that waits to be sent."""

    key: str
    call: Call
    most_nanos: int  # that it can cost in a batch
    alone_nanos: int  # by itself

    def unmarked(self) -> Offer:
        """Without a mark for the cache: where nothing is read from it, writing only costs."""
        return replace(self, call=_marked(self.call, ""))


@dataclass(frozen=True, slots=True)
class Sent:
    """A batch that is on its way, and what of the run's money is held for it."""

    batch: Batch
    held_nanos: int = 0
    stop: bool = False  # nobody wants to wait for it


async def judge_batch(run: Run, texts: Mapping[str, str], *, wanted: bool | None, quiet: bool) -> dict[str, str]:
    """Judge in batches what can be; return what is to be judged one by one.

    Batches of earlier runs are collected whatever is wanted now; with --no-batch (`wanted` False), or where no posting
    is as it was sent, they are stopped first. UsageError where a batch is wanted that no model here takes.
    """
    if wanted and not run.site.gateway.batches.takes(run.model):
        raise UsageError(
            "batch_impossible",
            f"--batch needs a model of Anthropic and its key; {run.model} would judge these postings.",
            "Set ANTHROPIC_API_KEY, or leave --batch out.",
        )
    left, warm = dict(texts), False
    keys = {run.key(text) for text in texts.values()}
    for batch in _ours(run):
        stop = wanted is False or not keys & {item.note for item in batch.items}
        answers = await _finished(run, Sent(batch, stop=stop), left, quiet=quiet)
        warm |= not stop and _cached(answers) and time.time() * 1000 - batch.sent_ms < HOUR_MS
    if _is_wanted(run, wanted):
        await _send_all(run, left, warm=warm, forced=bool(wanted), quiet=quiet)
    return _untold(run, left)


def waiting(run: Run) -> str:
    """What is still on its way when a run is stopped; "" where nothing is."""
    count = sum(len(batch.items) for batch in _ours(run, quiet=True))
    return f" {run.model} goes on with a batch of {count}." if count else ""


def _untold(run: Run, left: Mapping[str, str]) -> dict[str, str]:
    """Those of which no fault is told."""
    told = {fault.file for fault in run.faults}
    return {file: text for file, text in left.items() if file not in told}


def max_cost_reached() -> UsageError:
    return UsageError("max_cost", "Not judged: the run's --max-cost is reached.", "Run it again with more.")


def _is_wanted(run: Run, wanted: bool | None) -> bool:
    """Where nothing was said: if nobody waits and the model can."""
    if wanted is not None:
        return wanted
    felt = run.site.settings.features[run.feature].shape.latency_felt
    return not felt and run.site.gateway.batches.takes(run.model)


def _ours(run: Run, *, quiet: bool = False) -> list[Batch]:
    """The batches to collect. Another model's waits until that model judges here again."""
    ours = [one for one in run.kept.batches if one.model == run.model and run.site.gateway.batches.takes(run.model)]
    for batch in run.kept.batches:
        if batch not in ours and not quiet:
            err.print(
                escape(
                    f"A batch of {len(batch.items)} is still with {batch.model}, which does not judge here now. It is "
                    "collected when it does."
                )
            )
    return ours


# ---------------------------------------------------------------- sending


async def _send_all(run: Run, left: dict[str, str], *, warm: bool, forced: bool, quiet: bool) -> None:
    """Send as many as --max-cost and the budget allow, and judge by what comes; the others are faults of their files.

    One goes ahead where the others can read from the cache what it writes (`warm`: another has done so): together they
    would all write. What the provider's guide advises, and its arithmetic, stand in docs/decisions/batch.md.
    """
    texts = {file: text for file, text in _untold(run, left).items() if file not in run.unbatched}
    if not texts:
        return
    run.kept.check_writable()
    offers = await _affordable(run, await _offers(run, texts), texts)
    if not warm and len(offers) < FEWEST_TO_CACHE:
        offers = [offer.unmarked() for offer in offers]
    ahead = not warm and any(offer.call.prompt.cache_ttl for offer in offers)
    if offers:
        _announce(run, offers, ahead=ahead)
    while offers:
        part = offers[: 1 if ahead else MOST_CALLS]
        calls = [(offer.key, offer.call) for offer in part]
        try:
            batch, spent = await run.site.gateway.batches.send(run.model, calls, run.kept.open_batch)
        except (BudgetSpent, ProviderError) as error:
            await _give_up(run, offers, texts, error, forced=forced)
            return
        taken, offers = offers[: len(batch.items)], offers[len(batch.items) :]
        if spent:
            await run.purse.settle(_most(offers), 0)
            _refuse(run, offers, texts, spent)
            offers = []
        answers = await _finished(run, Sent(batch, _most(taken)), left, quiet=quiet)
        if ahead and not _cached(answers):
            offers = [offer.unmarked() for offer in offers]
        ahead = False


async def _give_up(
    run: Run, offers: Sequence[Offer], texts: Mapping[str, str], error: AskfitError, *, forced: bool
) -> None:
    """A batch was not taken: an endpoint without batches is asked one by one, unless a batch was asked for."""
    await run.purse.settle(_most(offers), 0)
    if not forced and error.code in NOT_SERVED:
        err.print(escape(f"The batch was not taken, so they are judged one by one. ({error.message})"))
    elif run.ranked:
        _refuse(run, offers, texts, error)
    else:
        raise UsageError(error.code, error.message, error.next_step) from None


async def _offers(run: Run, texts: Mapping[str, str]) -> list[Offer]:
    """What a model has to be asked, each posting once however many files hold it."""
    offers: dict[str, Offer] = {}
    for file, text in texts.items():
        key = run.key(text)
        if key in offers:
            continue
        try:
            call = await call_for(run.site, text, feature=run.feature)
        except AskfitError as error:
            run.tell(error, file)
            continue
        if call:
            call = _marked(call, _ttl(run.model, call))
            alone = run.most_nanos(await asyncio.to_thread(read_posting, text))
            offers[key] = Offer(key, call, max_cost_nanos(run.model, call.prompt, batch=True), alone)
    return list(offers.values())


def _ttl(model: str, call: Call) -> Ttl:
    """An hour, for a batch often takes longer than five minutes; "" where the matrix is too short to be cached."""
    return cache_plan(model, cached_tokens(call.prompt.instructions, call.prompt.prefix)).ttl


def _marked(call: Call, ttl: Ttl) -> Call:
    return replace(call, prompt=replace(call.prompt, cache_ttl=ttl))


def _cached(answers: Sequence[Answered]) -> bool:
    """Has one of them left the shared part in the cache, or found it there?"""
    usages = [answered.settled.usage for answered in answers]
    return any(usage.cache_read_tokens or usage.cache_write_tokens for usage in usages)


async def _affordable(run: Run, offers: list[Offer], texts: Mapping[str, str]) -> list[Offer]:
    """Those for which the run's purse has the most that they can cost, held."""
    for at, offer in enumerate(offers):
        if not await run.purse.hold_now(offer.most_nanos):
            _refuse(run, offers[at:], texts, max_cost_reached())
            return offers[:at]
    return offers


def _most(offers: Sequence[Offer]) -> int:
    return sum(offer.most_nanos for offer in offers)


def _refuse(run: Run, offers: Sequence[Offer], texts: Mapping[str, str], error: AskfitError) -> None:
    """These are not judged this time: a fault of each file."""
    keys = {offer.key for offer in offers}
    files = [file for file, text in texts.items() if run.key(text) in keys]
    run.faults += [Fault(error.code, file, error.message, error.next_step) for file in files]


def _announce(run: Run, offers: Sequence[Offer], *, ahead: bool) -> None:
    """Before anything is spent: how many, for how much, for how long."""
    many = "1 posting goes" if len(offers) == 1 else f"{len(offers)} postings go"
    alone = usd(sum(offer.alone_nanos for offer in offers))
    rounds = "It may take up to 24 hours; most take less than one."
    if ahead:
        rounds = (
            "One goes ahead, so that the others find your matrix in the cache: two rounds of up to 24 hours, though "
            "most take less than one."
        )
    err.print(
        escape(
            f"{many} to {run.model} in a batch, for {usd(_most(offers))} at most (one by one {alone} at most). "
            f"{rounds} Ctrl-C leaves it at work, and the same command collects it."
        )
    )


# ---------------------------------------------------------------- collecting


async def _finished(run: Run, sent: Sent, left: dict[str, str], *, quiet: bool) -> tuple[Answered, ...]:
    """Wait for a batch, rank what it brings, and close it."""
    answers = await _collected(run, sent, quiet=quiet)
    await run.purse.settle(sent.held_nanos, 0)
    with progress(f"Reading {len(answers)} answers", quiet=quiet) as tick:
        for at, answered in enumerate(answers, 1):
            await _take(run, answered, left)
            tick(at, len(answers))
    run.kept.close_batch(sent.batch)
    return answers


async def _collected(run: Run, sent: Sent, *, quiet: bool) -> tuple[Answered, ...]:
    """Wait until it has ended, then settle each of its calls."""
    batches, batch = run.site.gateway.batches, sent.batch
    many = f"{len(batch.items)} posting{'' if len(batch.items) == 1 else 's'}"
    try:
        if sent.stop and not await batches.ended(batch):
            await batches.cancel(batch)
        with waits(f"Waiting for a batch of {many}, sent {_ago(batch)}", quiet=quiet):
            await _await_end(run, batch)
        return await batches.collect(batch)
    except ProviderError as error:
        if sent.stop and error.code in NOT_SERVED:  # it is gone, and nobody wants it
            err.print(escape(f"The batch {batch.id} is given up. ({error.message})"))
            return ()
        step = "Run the same command again later: it is not paid twice."
        if error.code in NOT_SERVED:
            step = "Use the key that it was sent with, or give it up with --no-batch."
        raise UsageError(error.code, f"The batch {batch.id} could not be collected. {error.message}", step) from None


async def _await_end(run: Run, batch: Batch) -> None:
    pause_s, failed = FIRST_LOOK_S, 0
    while True:
        try:
            if await run.site.gateway.batches.ended(batch):
                return
            failed = 0
        except ProviderError as error:
            failed += 1
            if error.code in LASTING | NOT_SERVED or failed >= MOST_FAILED_LOOKS:
                raise
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * SLOWER, LAST_LOOK_S)


def _ago(batch: Batch) -> str:
    minutes = max(0, round(time.time() / 60 - batch.sent_ms / 60_000))
    return "just now" if not minutes else f"{minutes} min ago" if minutes < 120 else f"{minutes // 60} h ago"


async def _take(run: Run, answered: Answered, left: dict[str, str]) -> None:
    """Rank one answer for every file that holds its posting, and take these from what is `left`."""
    await run.purse.settle(0, answered.settled.cost_nanos)
    files = [file for file, text in left.items() if run.key(text) == answered.item.note]
    if not files:
        if answered.settled.cost_nanos and not run.kept.get(answered.item.note):
            run.unused_nanos += answered.settled.cost_nanos
            err.print("A posting has changed since it was sent: that answer is paid and not used.")
        return
    if error := answered.error:
        run.unused_nanos += answered.settled.cost_nanos
        # Charged, it is the provider's word on this posting: asked by itself it would say and charge the same again.
        lasts = error.code in LASTING or answered.settled.usage != Usage()
        for file in files:
            if lasts:
                run.tell(error, file)
            else:
                run.unbatched[file] = error.message
        return
    text = left[files[0]]
    posting = await asyncio.to_thread(read_posting, text)
    try:
        found = await _audited(run, answered, text, posting)
    except AskfitError as failure:
        run.unused_nanos += answered.settled.cost_nanos
        run.tell(failure, files[0])
        return
    for at, file in enumerate(files):
        run.take(file, posting.title, found, text, kept=at > 0, batched=True)
        del left[file]


async def _audited(run: Run, answered: Answered, text: str, posting: Posting) -> Assessment:
    """The assessment; a repair of it is a call by itself, made where the run's purse has the most it can cost."""
    most_nanos = run.most_nanos(posting)
    may_repair = await run.purse.hold_now(most_nanos)
    spent_nanos = 0
    try:
        found = await assess(run.site, text, feature=run.feature, answered=answered, may_repair=may_repair)
        spent_nanos = round(found.cost_usd * NANOS_PER_USD) - answered.settled.cost_nanos
    finally:
        await run.purse.settle(most_nanos if may_repair else 0, max(0, spent_nanos))
    return found
