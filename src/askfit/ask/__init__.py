"""/ask-ai: questions about the site, answered from the site, each sentence with the passages it rests on.

    async for event in stream(site, "What was your role at Harbor Lane?"): ...
    answer = await answer(site, "What was your role at Harbor Lane?")

question   what is asked, and what an earlier turn adds to it
prompt     what a model is given: the whole corpus while it fits, else what was found
kinds      a date for when, a figure for how many
voice      is it about the owner, or about what the owner writes of
periods    what came before, what after
languages  which language it is asked in
terms      words that carry a meaning, and their kin
weighing   every sentence of the site against the question
sureness   is the best one an answer?
extract    the built-in answer: sentences of the site, word for word
citing     a model's text → sentences and checked citations, while it streams
judging    what a finished sentence must pass
abstain    what is said when the site does not say
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from askfit.ask import abstain
from askfit.ask.citing import Reading, Shown, cite
from askfit.ask.extract import follow_ups, reply
from askfit.ask.judging import make_judge
from askfit.ask.prompt import PASSAGES, builtin_only, fits, make_prompt
from askfit.ask.question import Question, Turn, bounded, checked, understand
from askfit.errors import AskfitError, ProviderError
from askfit.routing import BUILTIN
from askfit.site import Site
from askfit.text import sentences
from askfit.types import (
    NANOS_PER_USD,
    Answer,
    AskDone,
    Call,
    Citation,
    CitationOut,
    Delta,
    Event,
    Failed,
    Message,
    Notice,
    Opened,
    Prompt,
    Retract,
    Section,
    Sentence,
    Settled,
    Start,
    Text,
    UsageOut,
)

__all__ = ["Turn", "answer", "stream"]

log = logging.getLogger(__name__)

BUILTIN_SAYS = "Answered by quoting the site; no AI model was used."
CUT_SHORT = "The answer was cut off at its longest length."
MOST_ATTACHED = 6  # sentences of an uncited answer that are searched for


async def stream(
    site: Site,
    question: str,
    history: Sequence[Turn] = (),
    *,
    conversation: str | None = None,
    visitor: str = "",
    feature: str = "ask",
) -> AsyncIterator[Event]:
    """Answer one question. Raises an AskfitError before Start; after it, the last event is AskDone or Failed."""
    asked = understand(checked(site.settings, question), bounded(history), site.settings.site.name)
    call = await asyncio.to_thread(_call, site, feature, asked, visitor)
    reading = Reading(site.corpus.sections, make_judge(call.prompt))
    opened: Opened | None = None
    held: list[Event] = []
    try:
        async with aclosing(site.gateway.stream(call)) as items:
            async for item in items:
                match item:
                    case Notice() if opened is None:
                        held.append(item)
                    case Notice():
                        yield item
                    case Opened():
                        opened = item
                        for event in _begun(call, item, conversation, held):
                            yield event
                    case Text(text):
                        for event in reading.feed(text):
                            yield event
                    case Settled():
                        ending = await asyncio.to_thread(_end, site, asked, reading, opened, item)
                        for event in ending:
                            yield event
    except Exception as error:
        if opened is None:
            raise
        yield _failed(error, partial=bool(reading.text))


def _call(site: Site, feature: str, asked: Question, visitor: str) -> Call:
    """The call to make. Where no model stands before the built-in, no prompt is made."""
    if builtin_only(site, feature):
        prompt = Prompt("", "", (Message("user", asked.text),), 0)
    else:
        found = [] if fits(site, feature) else site.corpus.search(asked.query, PASSAGES)
        prompt = make_prompt(site, feature, asked, [passage.section for passage in found])

    async def builtin() -> AsyncIterator[str]:
        for piece in await asyncio.to_thread(reply, site.corpus, asked):
            yield piece

    return Call(feature, secrets.token_urlsafe(16), prompt, builtin, visitor)


def _begun(call: Call, opened: Opened, conversation: str | None, held: Sequence[Event]) -> list[Event]:
    start = Start(
        answer=call.answer,
        feature=call.feature,
        model=opened.model,
        provider=opened.provider,
        conversation=conversation or secrets.token_urlsafe(16),
    )
    said = [Notice(code="builtin", message=BUILTIN_SAYS)] if opened.model == BUILTIN else []
    return [start, *held, *said]


def _failed(error: Exception, *, partial: bool) -> Failed:
    if not isinstance(error, AskfitError):
        log.error("An answer failed in a way that was not foreseen.", exc_info=error)
        return Failed(code="internal", message="The answer could not be finished. Try again.", partial=partial)
    wait = error.retry_after_s if isinstance(error, ProviderError) else None
    return Failed(code=error.code, message=str(error), retry_after_s=wait, partial=partial)


def _end(site: Site, asked: Question, reading: Reading, opened: Opened | None, settled: Settled) -> list[Event]:
    """What follows the model's last word: held text, the honest sentence, late citations, the cost."""
    events: list[Event] = list(reading.finish())
    reason = _reason(reading)
    if reason:
        events += _honestly(site, asked, reading, reason)
    elif not reading.cited:
        events += _attached(site, reading.text)
    if settled.finish_reason == "length":
        events.append(Notice(code="truncated", message=CUT_SHORT))
    usage = settled.usage
    done = AskDone(
        abstained=reason is not None,
        abstain_reason=reason,
        usage=UsageOut(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cache_read_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            estimated=usage.estimated,
        ),
        cost_usd=settled.cost_nanos / NANOS_PER_USD,
        ttft_ms=round(settled.ttft_ms, 2),
        total_ms=round(settled.total_ms, 2),
        follow_ups=follow_ups(site.corpus, asked),
    )
    return [*events, done]


def _reason(reading: Reading) -> str | None:
    """Why nothing is answered; None where something is."""
    if reading.control:
        return abstain.HOSTILE if abstain.HOSTILE in reading.control.control else abstain.NOT_IN_CORPUS
    if not reading.text:
        return abstain.HOSTILE if reading.retracted else abstain.NOT_IN_CORPUS
    if not reading.cited and abstain.says_not(reading.text):
        return abstain.NOT_IN_CORPUS
    return None


def _honestly(site: Site, asked: Question, reading: Reading, reason: str) -> list[Shown]:
    nearest = _nearest(site, reading) if reason == abstain.NOT_IN_CORPUS else None
    text = abstain.honest_text(reason, asked.text, site.settings.site, nearest)
    citation = abstain.nearest_citation(text, nearest) if nearest else None
    cut: list[Shown] = [Retract(from_=0)] if reading.text else []
    return [*cut, Delta(text=text), *([citation] if citation else [])]


def _nearest(site: Site, reading: Reading) -> Section | None:
    numbers = reading.control.numbers if reading.control else ()
    sections = site.corpus.sections
    return next((sections[number - 1] for number in numbers if 0 < number <= len(sections)), None)


def _attached(site: Site, text: str) -> list[Citation]:
    """Citations for an answer that came without one: by search, where a section bears the sentence."""
    found: list[Citation] = []
    for index, sentence in enumerate(sentences(text)[:MOST_ATTACHED]):
        passages = site.corpus.search(sentence, 3)
        citations = (cite(index, sentence, passage.section) for passage in passages)
        found += [citation for citation in citations if citation][:1]
    return found


@dataclass(slots=True)
class _Fold:
    """A stream's events, as they add up to one answer."""

    start: Start | None = None
    text: str = ""
    citations: list[Citation] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    done: AskDone | None = None
    failed: Failed | None = None


async def answer(
    site: Site,
    question: str,
    history: Sequence[Turn] = (),
    *,
    conversation: str | None = None,
    visitor: str = "",
    feature: str = "ask",
) -> Answer:
    """Answer one question as a whole. A stream that fails raises what it failed with."""
    events = stream(site, question, history, conversation=conversation, visitor=visitor, feature=feature)
    fold = _Fold()
    async for event in events:
        _add(fold, event)
    return _answer(fold)


def _add(fold: _Fold, event: Event) -> None:
    match event:
        case Start():
            fold.start = event
        case Delta(text=text):
            fold.text += text
        case Citation():
            fold.citations.append(event)
        case Retract(from_=at):
            fold.text = fold.text[:at]
        case Notice():
            fold.notices.append(event)
        case AskDone():
            fold.done = event
        case Failed():
            fold.failed = event
        case _:
            raise TypeError(f"{type(event).__name__} is no event of an answer")


def _answer(fold: _Fold) -> Answer:
    start, done = fold.start, fold.done
    if fold.failed or start is None or done is None:
        failed = fold.failed or Failed(code="provider_cut_off", message="The answer broke off.")
        raise ProviderError(failed.code, failed.message, retry_after_s=failed.retry_after_s, partial=failed.partial)
    return Answer(
        id=start.answer,
        answer=fold.text,
        sentences=_sentences(fold),
        abstained=done.abstained,
        abstain_reason=done.abstain_reason,
        follow_ups=done.follow_ups,
        notices=tuple(fold.notices),
        conversation=start.conversation,
        model=start.model,
        provider=start.provider,
        usage=done.usage,
        cost_usd=done.cost_usd,
        ttft_ms=done.ttft_ms,
        total_ms=done.total_ms,
    )


def _sentences(fold: _Fold) -> tuple[Sentence, ...]:
    return tuple(
        Sentence(
            text=text,
            citations=tuple(
                CitationOut(document=one.document, section=one.section, url=one.url, quote=one.quote)
                for one in fold.citations
                if one.sentence == index
            ),
        )
        for index, text in enumerate(sentences(fold.text))
    )
