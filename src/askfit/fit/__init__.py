"""Judge a posting against the owner's matrix, streamed: requirements as they become sure, then what they add up to.

One way for every judge: a model or the built-in rules give a judgement in the same form, and the same code reads it,
audits it against the rows and builds what is shown. What a judge leaves undone the rules finish, and the visitor is
told.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from askfit.batches import Answered
from askfit.errors import AskfitError, InputError, ProviderError
from askfit.fit.judgement import Audit, matrix_text, prompt_for, repair_prompt
from askfit.fit.showing import Showing
from askfit.ledger import Signals
from askfit.routing import BUILTIN, cache_plan, candidates
from askfit.site import Site
from askfit.skills import Matrix
from askfit.text import cached_tokens
from askfit.types import Assessment, Call, Event, Failed, Prompt

__all__ = ["assess", "call_for", "matrix_text", "stream"]

log = logging.getLogger(__name__)

REPAIR_MOST_S = 30.0


async def assess(
    site: Site,
    posting: str,
    *,
    visitor: str = "",
    feature: str = "fit",
    answered: Answered | None = None,
    may_repair: bool = True,
) -> Assessment:
    """Judge a posting and return the whole assessment.

    `answered`: what a batch brought for `call_for` of this posting; then no model is asked but for a repair, and
    without `may_repair` not even for that.
    """
    coming = stream(site, posting, visitor=visitor, feature=feature, answered=answered, may_repair=may_repair)
    async with aclosing(coming) as events:
        async for event in events:
            if isinstance(event, Failed):
                raise AskfitError(event.code, event.message)
            if isinstance(event, Assessment):
                return event
    raise AskfitError("no_assessment", "The posting could not be assessed.", "Try again.")


async def call_for(site: Site, posting: str, *, feature: str = "fit") -> Call | None:
    """The call that `stream` would make, for whoever sends it otherwise; None where no model need be asked."""
    showing = await _read(site, posting, feature)
    return None if showing.audit.posting.problem else _call(site, showing, "")


async def _read(site: Site, posting: str, feature: str, answer: str = "") -> Showing:
    matrix = _matrix(site)
    # Reading and matching take some milliseconds of pure computing: not on the loop that serves other visitors.
    audit = await asyncio.to_thread(lambda: Audit.read(matrix, posting))
    return Showing(audit, answer or secrets.token_urlsafe(16), feature)


async def stream(
    site: Site,
    posting: str,
    *,
    visitor: str = "",
    feature: str = "fit",
    answered: Answered | None = None,
    may_repair: bool = True,
) -> AsyncGenerator[Event, None]:
    """Start, then requirements, summaries and notices as they become sure, then one Assessment.

    Raises AskfitError before Start for what cannot be judged at all. `answered`, `may_repair`: as for `assess`.
    """
    showing = await _read(site, posting, feature, answered.item.answer if answered else "")
    audit = showing.audit
    if audit.posting.problem:
        await _record(site, showing, visitor)
        chat = site.settings.path_of("chat")
        for event in showing.insufficient(posting, chat):
            yield event
        return
    async with aclosing(_judged(site, showing, visitor, answered, may_repair)) as events:
        async for event in events:
            yield event


def _matrix(site: Site) -> Matrix:
    if site.matrix is None:
        raise InputError(
            "fit_off", "This site has no skills matrix, so it cannot judge a fit.", "Ask the owner.", status=404
        )
    if not site.matrix.skills:
        raise InputError(
            "matrix_empty",
            f"No row of {site.matrix.path} can be used, so a fit cannot be judged.",
            "Run: askfit check",
            status=503,
        )
    return site.matrix


async def _record(site: Site, showing: Showing, visitor: str) -> None:
    """A ledger row for a text that no judge is asked about: its answer can be rated as any other."""
    call = Call(showing.feature, showing.answer, Prompt("", "", (), 0), showing.unjudged, visitor, BUILTIN)
    async with aclosing(site.gateway.stream(call)) as items:
        async for _ in items:
            pass


def _call(site: Site, showing: Showing, visitor: str) -> Call:
    prompt = prompt_for(showing.audit.matrix, showing.audit.posting)
    model, gaps_min = candidates(site.settings, showing.feature)[0], site.arrivals.gaps_min(showing.feature)
    runs = site.settings.features[showing.feature].shape.runs_per_visit
    plan = cache_plan(model, cached_tokens(prompt.instructions, prompt.prefix), gaps_min, runs)
    return Call(
        feature=showing.feature,
        answer=showing.answer,
        prompt=replace(prompt, cache_ttl=plan.ttl),
        builtin=showing.by_rules,
        visitor=visitor,
    )


async def _judged(
    site: Site, showing: Showing, visitor: str, answered: Answered | None, may_repair: bool
) -> AsyncGenerator[Event, None]:
    """What the gateway's judge says, or what a batch brought, audited as it comes; the rules finish what is undone."""
    call = _call(site, showing, visitor)
    if candidates(site.settings, showing.feature)[0] != BUILTIN:
        showing.claims = await asyncio.to_thread(showing.read_claims)
    failure: ProviderError | None = None
    async with aclosing(answered.stream() if answered else site.gateway.stream(call)) as items:
        try:
            async for item in items:
                for event in showing.take(item):
                    yield event
        except ProviderError as error:
            if not error.partial:
                raise
            failure = error
    if showing.model in ("", BUILTIN):
        for event in showing.finish(failure):
            yield event
        return
    ended = list(showing.end(failure))
    await _remark(site, showing)
    for event in ended:
        yield event
    if may_repair and (again := showing.to_repair(failure)):
        said = await _repaired(site, replace(call, only=showing.model), showing, again)
        for event in showing.mend(said):
            yield event
    for event in showing.finish(failure):
        yield event


async def _repaired(site: Site, call: Call, showing: Showing, ids: tuple[str, ...]) -> str:
    """What the model gives when it is asked once more; "" where budget or time do not allow it, or it fails."""
    prompt = repair_prompt(call.prompt, tuple(showing.faults.values()), ids)
    return await site.gateway.whole(replace(call, prompt=prompt), REPAIR_MOST_S, showing.add)


async def _remark(site: Site, showing: Showing) -> None:
    """Tell the ledger how many requirements the model left out or misjudged in form, and of how many bands the rows
    say otherwise. If it fails, nothing is lost."""
    try:
        told = Signals(
            repairs=showing.left_out,
            contested=showing.contested,
            requirements=len(showing.audit.findings),
            own_verdict=showing.own_verdict,
        )
        await site.ledger.remark(showing.answer, told)
    except Exception:
        log.exception("What an assessment told of its model could not be kept.")
