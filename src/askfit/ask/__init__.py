"""/ask-ai: questions about the site, answered from the site, each sentence with the passages it rests on.

    async for event in stream(site, "What was your role at Harbor Lane?"): ...
    answer = await answer(site, "What was your role at Harbor Lane?")

question   what is asked, and what an earlier turn adds to it
prompt     what a model is given: the whole corpus while it fits, else what was found
passages   what is found for it there
kinds      a date for when, a figure for how many
voice      is it about the owner, or about what the owner writes of
periods    what came before, what after
languages  which language it is asked in
terms      words that carry a meaning, and their kin
weighing   every sentence of the site against the question
sureness   is the best one an answer?
matters    what everybody asks, however it is put
listing    employers, projects, tools, from all over the site
extract    the built-in answer: sentences of the site, word for word
citing     a model's text → sentences and checked citations, while it streams
judging    what a finished sentence must pass
ground     is every number, date and name of it borne by the site?
reasons    why a question is not answered: the types, and what tells them
handoff    a job posting in the chat: its place is the fit page
abstain    what is said when the site does not say
going_on   questions that the site does answer
preset     a chat whose questions the owner has chosen
reuse      answers to what every visitor asks alike, kept for a while
lengths    how long an answer may be
telling    what an answer tells of the model that gave it
shape      is it to be found in one place, or to be weighed from many?
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import cached_property

from askfit import telemetry
from askfit.ask import abstain, lengths, preset, reasons, reuse, telling
from askfit.ask.citing import Reading, Shown, cite
from askfit.ask.extract import reply
from askfit.ask.going_on import offered
from askfit.ask.ground import Ground
from askfit.ask.ground.evidence import evidence
from askfit.ask.judging import Judge
from askfit.ask.passages import passages
from askfit.ask.prompt import Shared, builtin_only, fits, make_prompt, uncached
from askfit.ask.question import (
    MOST_CHARACTERS,
    MOST_TURNS,
    Question,
    Turn,
    bounded,
    checked,
    conversation_id,
    understand,
)
from askfit.ask.shape import shape_of
from askfit.errors import AskfitError, ProviderError
from askfit.ledger import Signals
from askfit.routing import BUILTIN, model_of
from askfit.site import Site
from askfit.text import sentences
from askfit.types import (
    NANOS_PER_USD,
    Ahead,
    Answer,
    Answered,
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

__all__ = ["Turn", "Understood", "answer", "stream"]

log = logging.getLogger(__name__)

BUILTIN_SAYS = "No AI model was used: answers here quote the site."
BY_RULE = "Answered by a rule; no AI model was used."
OFFER = "This reads like a job posting. How {name} fits it is judged at {path}."
UNBORNE = "Not everything in this answer stands on the site."
REUSED = "This answer was written {ago} from the same pages."
CUT_SHORT = "The answer was cut off at its longest length."
REUSED_MODEL = "builtin:reused"  # in the ledger: no model was called
MOST_ATTACHED = 6  # sentences of an uncited answer that are searched for


@dataclass(frozen=True)
class Understood:
    """A question as a feature understands it, and what may bear an answer to it.

    No model has a part in it: who asks several models the same makes it once, hands it to each, and alone keeps it.
    """

    site: Site
    asked: Question

    @classmethod
    def of(cls, site: Site, question: str, history: Sequence[Turn] = (), feature: str = "ask") -> Understood:
        """Raises an InputError where there is no question, or far too much of one."""
        return cls(site, _asked(site, feature, question, history))

    @cached_property
    def ground(self) -> Ground:
        """Its sections, and what the question and the earlier turns say themselves."""
        about = self.site.settings.site
        turns = [(turn.question, turn.answer) for turn in self.asked.history]
        site_words = f"{about.name} {about.url} {about.contact}"
        return Ground(evidence(Shared(self.site.corpus)), self.asked.text, turns, site_words)


@dataclass(slots=True)
class _Wait:
    """What the visitor waits: from the question on, through every model that failed before one answered."""

    begun: float = field(default_factory=time.perf_counter)
    first_ms: float = 0.0  # until text was shown

    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.begun) * 1000

    def over(self, events: list[Shown]) -> list[Shown]:
        """The events as they are; the first text among them ends the wait."""
        if not self.first_ms and any(isinstance(event, Delta) for event in events):
            self.first_ms = self.elapsed_ms()
        return events


async def stream(
    site: Site,
    question: str,
    history: Sequence[Turn] = (),
    *,
    conversation: str | None = None,
    visitor: str = "",
    feature: str = "ask",
    bare: bool = False,
    understood: Understood | None = None,
) -> AsyncIterator[Event]:
    """Answer one question. Raises an AskfitError before Start; after it, the last event is AskDone or Failed.

    A `bare` answer comes without follow-ups and without what the built-in would have said: for who only measures it.
    `understood` is what this question came to for a feature that differs in nothing but its model.
    """
    wait = _Wait()
    given = (site, feature, question, history, visitor, understood)
    asked, call, judge = await asyncio.to_thread(_prepared, *given)
    hours = site.settings.features[feature].reuse_hours
    shared, key = Shared(site.corpus), (feature, asked.text, call.prompt.sha)
    if kept := reuse.find(shared, key, hours):
        async for event in _again(site, kept, call, conversation, wait):
            yield event
        return
    fold = _Fold()
    async with aclosing(_answered(site, asked, call, judge, conversation, wait, bare, fold)) as events:
        async for event in events:
            _add(fold, event)
            if hours and isinstance(event, AskDone) and (worth := _worth_keeping(fold, event)):
                reuse.keep(shared, key, worth)
            yield event
    if site.after and fold.done:
        turns = tuple((turn.question, turn.answer) for turn in asked.history)
        site.after(Answered(feature, asked.text, turns, _answer(fold), fold.retracted))


async def _answered(
    site: Site,
    asked: Question,
    call: Call,
    judge: Judge,
    conversation: str | None,
    wait: _Wait,
    bare: bool,
    fold: _Fold,
) -> AsyncGenerator[Event, None]:
    """One answer of whoever the gateway finds."""
    reading = Reading(site.corpus.sections, judge)
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
                        if item.model == BUILTIN:
                            judge.ground = None  # its sentences are the site's own, word for word
                        for event in _begun(site, asked, call, item, conversation, held):
                            yield event
                    case Text(text, last=last):
                        for event in wait.over(reading.feed(text, last=last)):
                            yield event
                    case Settled() if opened:
                        *ending, done = await asyncio.to_thread(_end, site, asked, reading, judge, wait, item, bare)
                        fold.retracted = reading.retracted
                        for event in ending:
                            yield event
                        told = (site, call.feature, asked, reading, opened, item, done, bare)
                        signals = await asyncio.to_thread(_signals, *told)
                        await _keep(site, asked, call, done, signals)
                        yield done
    except Exception as error:
        if opened is None:
            raise
        yield _failed(error, partial=bool(reading.text))


async def _again(
    site: Site, kept: reuse.Kept, call: Call, conversation: str | None, wait: _Wait
) -> AsyncIterator[Event]:
    """An answer that was given before: it has a row in the ledger like any other, for it can be rated, at no cost."""

    async def said() -> AsyncIterator[str]:
        yield kept.text

    async with aclosing(site.gateway.stream(replace(call, builtin=said, only=REUSED_MODEL))) as items:
        async for _ in items:
            pass
    yield Start(
        answer=call.answer,
        feature=call.feature,
        model=kept.model,
        provider=kept.provider,
        conversation=conversation_id(conversation),
    )
    minutes = round(kept.age_s / 60)
    ago = "a moment ago" if minutes < 2 else f"{minutes} minutes ago" if minutes < 120 else f"{minutes // 60} hours ago"
    yield Notice(code="reused", message=REUSED.format(ago=ago))
    for event in wait.over([Delta(text=kept.text), *kept.citations]):
        yield event
    waits = {"ttft_ms": round(wait.first_ms, 2), "total_ms": round(wait.elapsed_ms(), 2)}
    yield AskDone(abstained=False, usage=UsageOut(), cost_usd=0.0, **waits)


def _worth_keeping(fold: _Fold, done: AskDone) -> reuse.Kept | None:
    """What may be given again: a whole answer of a model, from the first choice and to its end."""
    start = fold.start
    if start is None or start.model == BUILTIN or done.abstained or fold.notices:
        return None
    return reuse.Kept(fold.text, tuple(fold.citations), start.model, start.provider)


def _asked(site: Site, feature: str, question: str, history: Sequence[Turn]) -> Question:
    """The question, understood, without turns that were refused, and with what is sure before any model is asked."""
    declared, name = site.settings.features[feature], site.settings.site.name
    if declared.choices:
        choice = preset.chosen(declared, question)
        topics = declared.choices[choice]
        return replace(_understood(preset.posed(declared, choice), (), name, declared.words), topics=topics)
    off_limits = declared.off_limits
    refused = reasons.before_call(question, off_limits)
    text = checked(site.settings, question[:MOST_CHARACTERS] if refused == reasons.POSTING else question)
    turns = [
        turn
        for turn in history[-MOST_TURNS:]
        if not abstain.is_dropped(turn.answer, name) and not reasons.is_off_limits(turn.question, off_limits)
    ]
    asked = _understood(text, bounded(turns), name, declared.words)
    if any(reasons.is_off_limits(plain.text, off_limits) for plain in asked.restated):
        refused = refused or reasons.OFF_LIMITS  # "Gehaltsvorstellung?" asks for a salary
    return replace(asked, refused=refused)


def _understood(text: str, turns: Sequence[Turn], name: str, most_words: int) -> Question:
    return replace(understand(text, turns, name), most_words=most_words)


def _said(site: Site, asked: Question) -> list[str]:
    """What the built-in answers."""
    if asked.topics:
        return preset.told(site.corpus, asked, site.settings.site.name, asked.most_words)
    return reply(site.corpus, asked)


def _prepared(
    site: Site, feature: str, question: str, history: Sequence[Turn], visitor: str, understood: Understood | None
) -> tuple[Question, Call, Judge]:
    """The question, the call to make, and what its answer must pass: all in one hop to another thread."""
    understood = understood or Understood.of(site, question, history, feature)
    call = _call(site, feature, understood.asked, visitor)
    return understood.asked, call, _judge(understood, call)


def _call(site: Site, feature: str, asked: Question, visitor: str) -> Call:
    """The call to make. Where no model stands before the built-in, no prompt is made."""
    if asked.refused or builtin_only(site, feature):
        prompt = Prompt("", "", (Message("user", asked.text),), 0)
    else:
        prompt = make_prompt(site, feature, asked, [] if fits(site, feature) else passages(site.corpus, asked))

    async def builtin() -> AsyncIterator[str]:
        refusal = [f"[[none: {asked.refused}]]"] if asked.refused else []
        for piece in refusal or await asyncio.to_thread(_said, site, asked):
            yield piece

    only, ahead = (BUILTIN, None) if asked.refused else ("", _ahead(site, feature, asked, prompt))
    return Call(feature, secrets.token_urlsafe(16), prompt, builtin, visitor, only, ahead)


def _ahead(site: Site, feature: str, asked: Question, prompt: Prompt) -> Ahead | None:
    """Who is asked first where the owner lets turns of synthesis go to another model, and this is one."""
    escalation = site.settings.features[feature].escalation
    if not escalation or asked.hostile or builtin_only(site, feature) or shape_of(asked.text) != "synthesis":
        return None
    model = model_of(site.settings, escalation.model)
    return Ahead(model, uncached(prompt), round(escalation.per_day_usd * NANOS_PER_USD), escalation.most_share)


def _judge(understood: Understood, call: Call) -> Judge:
    """What this feature's sentences must pass. Where only the built-in answers, there is nothing to check."""
    site = understood.site
    mode = site.settings.features[call.feature].ground
    prompt = call.prompt.cited or call.prompt  # its instructions are those of the plain form and more
    if mode == "off" or understood.asked.refused or builtin_only(site, call.feature):
        return Judge(prompt)
    return Judge(prompt, understood.ground, strict=mode == "strict")


def _begun(
    site: Site, asked: Question, call: Call, opened: Opened, conversation: str | None, held: Sequence[Event]
) -> list[Event]:
    start = Start(
        answer=call.answer,
        feature=call.feature,
        model=opened.model,
        provider=opened.provider,
        conversation=conversation_id(conversation),
    )
    by_whom = BY_RULE if asked.refused else BUILTIN_SAYS
    said = [Notice(code="builtin", message=by_whom)] if opened.model == BUILTIN else []
    path = _fit_path(site)
    if asked.refused == reasons.POSTING and path:
        said.append(Notice(code=reasons.POSTING, message=OFFER.format(name=site.settings.site.name, path=path)))
    return [start, *held, *said]


def _fit_path(site: Site) -> str:
    """Where postings are judged; "" where this site judges none."""
    return site.settings.path_of("assessment")


def _failed(error: Exception, *, partial: bool) -> Failed:
    if not isinstance(error, AskfitError):
        log.error("An answer failed in a way that was not foreseen.", exc_info=error)
        return Failed(code="internal", message="The answer could not be finished. Try again.", partial=partial)
    wait = error.retry_after_s if isinstance(error, ProviderError) else None
    return Failed(code=error.code, message=str(error), retry_after_s=wait, partial=partial)


def _end(
    site: Site, asked: Question, reading: Reading, judge: Judge, wait: _Wait, settled: Settled, bare: bool
) -> list[Event]:
    """What follows the model's last word: held text, the honest sentence, late citations, the cost."""
    events: list[Event] = list(wait.over(reading.finish()))
    off_limits = [word for one in site.settings.features.values() for word in one.off_limits]
    reason = _reason(site, asked, reading, judge)
    if reason:
        events += wait.over(_honestly(site, asked, reading, reason))
    elif not reading.cited:
        events += _attached(site, reading.text)
    if judge.unborne and not judge.strict:
        events.append(Notice(code="unborne", message=UNBORNE))
    if settled.finish_reason == "length":
        events.append(Notice(code="truncated", message=CUT_SHORT))
    usage = settled.usage
    done = AskDone(
        abstained=reason is not None,
        abstain_reason=reason,
        usage=UsageOut.of(usage),
        cost_usd=settled.cost_nanos / NANOS_PER_USD,
        ttft_ms=round(wait.first_ms, 2),
        total_ms=round(wait.elapsed_ms(), 2),
        follow_ups=()
        if bare or asked.topics
        else offered(site.corpus, asked, site.settings.site, off_limits, abstained=reason is not None),
    )
    return [*events, done]


def _signals(
    site: Site,
    feature: str,
    asked: Question,
    reading: Reading,
    opened: Opened,
    settled: Settled,
    done: Event,
    bare: bool,
) -> Signals | None:
    """What the answer tells of its model: what speaks for another one. None where no model was asked."""
    if opened.model == BUILTIN or not isinstance(done, AskDone):
        return None
    over = settled.finish_reason == "length" or lengths.is_over(asked, reading.text)
    if over:
        telemetry.count_over_length(feature, opened.model)
    unfit = done.abstain_reason in (reasons.HOSTILE, reasons.OFF_LIMITS)
    return Signals(
        over_length=over,
        retracted=reading.retracted,
        abstain_reason=done.abstain_reason or "",
        despite_hit=done.abstained and not unfit and not bare and not _said(site, asked)[0].startswith("[[none"),
        asked_again=None if bare else telling.is_asked_again(asked, site.settings.site.name),
        coverage=None if bare or asked.topics or done.abstained else telling.coverage(site.corpus, asked, reading.text),
    )


async def _keep(site: Site, asked: Question, call: Call, done: Event, signals: Signals | None) -> None:
    """Write what the answer tells of its model, and the question for the gap inbox if the owner keeps questions.

    A ledger that fails takes no answer away.
    """
    try:
        if signals:
            await site.ledger.remark(call.answer, signals)
        await _keep_question(site, asked, call, done)
    except Exception:
        log.exception("What an answer told could not be kept.")


async def _keep_question(site: Site, asked: Question, call: Call, done: Event) -> None:
    unkept = not site.settings.file.privacy.keep_questions_days
    unfit = isinstance(done, AskDone) and done.abstain_reason in (reasons.HOSTILE, reasons.OFF_LIMITS)
    if unkept or unfit or asked.refused or asked.topics or not isinstance(done, AskDone):
        return
    after = f" (after: {asked.history[-1].question})" if asked.earlier else ""
    reason = (done.abstain_reason or reasons.NOT_IN_CORPUS) if done.abstained else None
    await site.ledger.keep_question(asked.text + after, feature=call.feature, answer=call.answer, reason=reason)


def _reason(site: Site, asked: Question, reading: Reading, judge: Judge) -> str | None:
    """Why nothing is answered, by its type; None where something is."""
    if asked.refused:
        return asked.refused
    if reading.control:
        if named := reasons.of_control(reading.control.control):
            return named
    elif judge.ground and judge.leaked and not reading.cited:
        return reasons.HOSTILE  # of what is left nothing rests on a page
    elif reading.text and (reading.cited or not abstain.says_not(reading.text)):
        return None
    elif judge.leaked and not reading.text:
        return reasons.HOSTILE
    return reasons.of_question(asked, site.corpus.frequency, near=_nearest(site, reading) is not None)


def _honestly(site: Site, asked: Question, reading: Reading, reason: str) -> list[Shown]:
    nearest = _nearest(site, reading) if reason in abstain.WITH_NEAREST else None
    text = abstain.honest_text(reason, asked.text, site.settings.site, nearest, _fit_path(site))
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
    """A stream's events, as they add up to one answer; and what it held back."""

    start: Start | None = None
    text: str = ""
    citations: list[Citation] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    done: AskDone | None = None
    failed: Failed | None = None
    retracted: int = 0


async def answer(
    site: Site,
    question: str,
    history: Sequence[Turn] = (),
    *,
    conversation: str | None = None,
    visitor: str = "",
    feature: str = "ask",
    bare: bool = False,
    understood: Understood | None = None,
) -> Answer:
    """Answer one question as a whole. A stream that fails raises what it failed with."""
    fold = _Fold()
    async for event in stream(
        site,
        question,
        history,
        conversation=conversation,
        visitor=visitor,
        feature=feature,
        bare=bare,
        understood=understood,
    ):
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
                CitationOut(**one.model_dump(exclude={"sentence"})) for one in fold.citations if one.sentence == index
            ),
        )
        for index, text in enumerate(sentences(fold.text))
    )
