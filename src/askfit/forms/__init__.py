"""Fill a form of the owner's for what a visitor pasted, from the matrix, the pages, or both.

    async for event in stream(site, call_for_papers, feature="talks"): ...
    filled = await fill(site, call_for_papers, feature="talks")

One way for whoever fills it: a model or the rules give one JSON object, the same code holds it against rows, sections
and quotes. An object that is no such form is asked for once more; then the rules fill it, and that is told.

found     what rules find: rows that bear its lines, pages that speak of the same
by_rules  the form, filled with that
prompt    what a model is given
audit     what of a filled form stands
shown     a filled form as people read it
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from askfit.ask.ground import Ground
from askfit.ask.ground.evidence import evidence
from askfit.ask.prompt import Shared, builtin_only, numbers
from askfit.declared import Form, form_of
from askfit.errors import AskfitError, InputError, ProviderError
from askfit.fit.claims import Claims
from askfit.forms.audit import Audit, Words, read_object
from askfit.forms.by_rules import fill as fill_by_rules
from askfit.forms.found import Found, find_bearings
from askfit.forms.prompt import form_prompt, repair_prompt
from askfit.forms.shown import blocks
from askfit.leaks import hidden_of
from askfit.ledger import Signals
from askfit.routing import BUILTIN
from askfit.site import Site
from askfit.types import (
    NANOS_PER_USD,
    Call,
    Event,
    Failed,
    Filled,
    Message,
    Notice,
    Opened,
    Prompt,
    Settled,
    Start,
    Text,
    Usage,
    UsageOut,
)

__all__ = ["fill", "stream"]

log = logging.getLogger(__name__)

REPAIR_MOST_S = 30.0
BY_RULES = "Filled by rules over words, levels and pages; no AI model read the text."
INSTRUCTIONS = "The text holds instructions to an AI. They were left out and not followed."
LEFT_OUT = "What the model wrote was checked; {count} of it stood nowhere and was left out."
UNUSABLE = "The model gave no usable form, so the rules filled it."
HANDED_OFF = "The model's answer broke off, so the rules filled the form."


@dataclass(slots=True)
class _Work:
    """One form while it is filled."""

    site: Site
    feature: str
    form: Form
    found: Found
    answer: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    begun: float = field(default_factory=time.perf_counter)
    model: str = ""
    notices: list[Notice] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    cost_nanos: int = 0
    ttft_ms: float = 0.0
    words: Words | None = None
    audit: Audit | None = None

    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.begun) * 1000

    def settle(self, settled: Settled) -> None:
        self.usage, self.cost_nanos = self.usage + settled.usage, self.cost_nanos + settled.cost_nanos

    def by_rules(self) -> dict[str, Any]:
        return fill_by_rules(self.form, self.found, numbers(Shared(self.site.corpus)))

    def held(self, given: dict[str, Any] | None, words: Words | None) -> tuple[dict[str, Any], tuple[str, ...]]:
        """(what stands of an object, what keeps it from being the form)."""
        if given is None:
            return {}, ("The answer is no JSON object.",)
        reads = self.site.settings.features[self.feature].reads
        self.audit = Audit(
            self.found.posting.text,
            self.site.matrix if "matrix" in reads else None,
            self.site.corpus if "corpus" in reads else None,
            self.found.said,
            words,
        )
        stands = self.audit.filled(self.form.schema, given)
        faults = self.form.faults(stands)
        if not faults and self.audit.left_out and not self.audit.kept:
            faults = tuple(self.audit.left_out[:8])  # nothing that it names exists
        return stands, faults


async def fill(site: Site, posting: str, *, visitor: str = "", feature: str) -> Filled:
    """Fill the form and return it whole."""
    async with aclosing(stream(site, posting, visitor=visitor, feature=feature)) as events:
        async for event in events:
            if isinstance(event, Failed):
                raise AskfitError(event.code, event.message)
            if isinstance(event, Filled):
                return event
    raise AskfitError("no_form", "The form could not be filled.", "Try again.")


async def stream(site: Site, posting: str, *, visitor: str = "", feature: str) -> AsyncGenerator[Event, None]:
    """Start, notices, one Filled. Raises AskfitError before Start for what cannot be read at all."""
    work, call = await asyncio.to_thread(_prepared, site, feature, posting, visitor)
    said: list[str] = []
    failure: ProviderError | None = None
    async with aclosing(site.gateway.stream(call)) as items:
        try:
            async for item in items:
                match item:
                    case Notice() if not work.model:
                        work.notices.append(item)
                    case Opened(model, provider):
                        work.model, work.ttft_ms = model, work.elapsed_ms()
                        yield Start(answer=call.answer, feature=feature, model=model, provider=provider)
                        _tell_first(work)
                        for notice in work.notices:
                            yield notice
                    case Text(text):
                        said.append(text)
                    case Settled():
                        work.settle(item)
                    case _:
                        pass
        except ProviderError as error:
            if not error.partial:
                raise
            failure = error
    told = len(work.notices)
    output = await _output(work, call, "".join(said), failure)
    for notice in work.notices[told:]:
        yield notice
    yield _filled(work, output)


def _prepared(site: Site, feature: str, posting: str, visitor: str) -> tuple[_Work, Call]:
    """What the rules find, what a model's words will be held against, and the call to make."""
    reads = site.settings.features[feature].reads
    if not posting.strip():
        raise InputError("posting_empty", "There is no text.", "Paste one.")
    found = find_bearings(
        posting, site.matrix if "matrix" in reads else None, site.corpus if "corpus" in reads else None
    )
    work = _Work(site, feature, form_of(site.settings, feature), found)
    alone = builtin_only(site, feature)
    prompt = Prompt("", "", (Message("user", ""),), 0) if alone else form_prompt(site, feature, found)
    work.words = None if alone else _words(work, prompt)

    async def builtin() -> AsyncIterator[str]:
        yield json.dumps(await asyncio.to_thread(work.by_rules), ensure_ascii=False)

    return work, Call(feature, work.answer, prompt, builtin, visitor)


def _words(work: _Work, prompt: Prompt) -> Words:
    site, posting = work.site, work.found.posting
    about, reads = site.settings.site, site.settings.features[work.feature].reads
    claims = Claims.of(site.matrix, posting, prompt.instructions) if "matrix" in reads and site.matrix else None
    ground = None
    if "corpus" in reads:
        known = f"{about.name} {about.url} {about.contact}"
        ground = Ground(evidence(Shared(site.corpus)), posting.text, (), known)
    return Words(hidden_of(prompt.instructions), posting.text, claims, ground)


def _tell_first(work: _Work) -> None:
    if work.model == BUILTIN:
        work.notices.append(Notice(code="builtin", message=BY_RULES))
    if work.found.posting.instructions:
        work.notices.append(Notice(code="instructions_ignored", message=INSTRUCTIONS))


async def _output(work: _Work, call: Call, said: str, failure: ProviderError | None) -> dict[str, Any]:
    """The form as it is shown: the model's, mended once if need be; else the rules'."""
    if work.model == BUILTIN:
        return await _by_rules(work)
    faults: tuple[str, ...] = ()
    if not failure:
        output, faults = await asyncio.to_thread(work.held, read_object(said), work.words)
        await _remark(work, len(faults))
        if faults:
            again = await _asked_again(work, call, faults)
            output, faults = await asyncio.to_thread(work.held, read_object(again), work.words)
        if not faults:
            count = len(work.audit.left_out) if work.audit else 0
            if count:
                work.notices.append(Notice(code="repaired", message=LEFT_OUT.format(count=count)))
            return output
    code, message = ("handed_off", HANDED_OFF) if failure else ("fell_back", UNUSABLE)
    work.notices.append(Notice(code=code, message=message))
    work.model = BUILTIN
    return await _by_rules(work)


async def _by_rules(work: _Work) -> dict[str, Any]:
    output, faults = await asyncio.to_thread(lambda: work.held(work.by_rules(), None))
    if faults:  # a form that rules cannot fill is refused when it is read
        log.error("The rules could not fill the form of %s: %s", work.feature, faults[0])
    return output


async def _asked_again(work: _Work, call: Call, faults: tuple[str, ...]) -> str:
    """What the model gives when it is asked once more; "" where budget or time do not allow it, or it fails."""
    again = replace(call, prompt=repair_prompt(call.prompt, faults), only=work.model)
    return await work.site.gateway.whole(again, REPAIR_MOST_S, work.settle)


async def _remark(work: _Work, faults: int) -> None:
    """Tell the ledger how much of the model's form did not stand. If it fails, nothing is lost."""
    count = faults + (len(work.audit.left_out) if work.audit else 0)
    try:
        await work.site.ledger.remark(work.answer, Signals(repairs=count))
    except Exception:
        log.exception("What a form told of its model could not be kept.")


def _filled(work: _Work, output: dict[str, Any]) -> Filled:
    site, usage, audit = work.site, work.usage, work.audit
    assert audit is not None
    return Filled(
        id=work.answer,
        output=output,
        shown=blocks(work.form.schema, output, audit),
        left_out=tuple(audit.left_out),
        notices=tuple(work.notices),
        model=work.model,
        provider=work.model.partition(":")[0],
        form_sha=work.form.sha,
        matrix_sha=site.matrix.sha if site.matrix else "",
        corpus_sha=site.corpus.sha,
        posting_sha=work.found.posting.sha,
        usage=UsageOut.of(usage),
        cost_usd=work.cost_nanos / NANOS_PER_USD,
        ttft_ms=round(work.ttft_ms, 2),
        total_ms=round(work.elapsed_ms(), 2),
    )
