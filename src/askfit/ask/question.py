"""Understand what is asked: its telling words, the kind of answer it wants, and what an earlier turn adds to it.

Pure rules over text; no call, no corpus. What a visitor sends is data: it is cleaned and bounded here.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from askfit.ask.citing import without_markers
from askfit.ask.kinds import Wants, wanted
from askfit.ask.languages import fillers
from askfit.ask.matters import Matter, matter_of
from askfit.ask.terms import content, forms, light, telling
from askfit.ask.voice import asks_of_owner, related
from askfit.config import Settings
from askfit.errors import InputError
from askfit.text import clean, estimate_tokens, sentences, words

MOST_CHARACTERS = 4_000
MOST_TERMS = 32  # of one question: what is longer tells no more, and time is bounded
MOST_TURNS = 20
MOST_TURN_QUESTION_CHARACTERS = 2_000
MOST_TURN_ANSWER_CHARACTERS = 4_000
MOST_HISTORY_TOKENS = 2_500
MOST_CARRIED_CHARACTERS = 300  # of the last answer
POSTING_LINES = 6

# What visitors say in passing → the word that a site has for it.
_MEANT = tuple(
    (re.compile(pattern, re.IGNORECASE), word)
    for pattern, word in (
        (r"\b(?:free|spare) time\b", " hobby "),
        (r"\bhow old\b", " age "),
        (r"\b(?:get|be|keep|stay) in touch\b", " contact "),
        (r"\bhow soon\b", " when "),
        (r"\bsell(?:s|ing)? (?:[\w-]+ ){0,4}to (?:\w+ )?(?:companies|businesses|firms|enterprises)\b", " business "),
        (r"\bdirect reports?\b", " line-managed people "),
        (r"\bwent wrong\b", " failure "),
        (r"\bwhat (?:do|did|does) (?:you|he|she|they|\w+) do (?=at|for|there|before|after|now|\W)", " role "),
    )
)
_INTRODUCE = re.compile(
    r"\bwho (?:are|is|'s) (?:you|this|he|she|\w+)\b|\babout (?:you|yourself|him|her)\b|\bintroduce\b"
    r"|\bwer (?:ist|bist|sind) \w+\W*$",
    re.IGNORECASE,
)
_GOES_ON = re.compile(r"^(?:and|but|so|then|also|what about|how about|why|since when|until when)\b", re.IGNORECASE)
_POINTS_BACK = frozenset("it its that this those these there then they them their one ones same".split())
_CONVERSATION = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NAME = re.compile(r"(?:(?<=[\w,;:–—] )|(?<=[(“‘'\"]))[^\W\d_][\w’'-]+")
# Obvious attempts only: an answer made of the site's own sentences cannot be talked into anything else.
_HOSTILE = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}\b(?:instructions?|prompts?|rules|guidelines|above|previous|prior)\b"
    r"|\b(?:reveal|show|print|repeat|output|display|dump|leak|tell|give|list|what(?:['’]s| is| are))\b.{0,60}"
    r"\b(?:system prompt|(?:your|hidden|secret|initial|original) (?:instructions?|prompts?|rules)|api keys?|access code"
    r"|(?:private|hidden|secret) (?:rows?|skills?|notes?|pages?|data|entries))\b"
    r"|\byou are (?:now|no longer)\b"
    r"|\b(?:developer|debug|admin|god|jailbreak) mode\b|\bact as\b|\bpretend (?:to be|you)\b"
    r"|\b(?:verbatim|word for word)\b.{0,60}\b(?:instructions?|prompts?)\b|</?(?:section|system|instructions?)\b",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Turn:
    """An earlier question and its answer, as the visitor's own page sends them back: data, never trusted."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Question:
    """One question, understood."""

    text: str
    terms: Mapping[str, str]  # stem → word: its telling words, in order
    focus: frozenset[str]  # those of the sentence that asks, where others only lead up to it
    carried: Mapping[str, str]  # those of the earlier turn that it points back to
    wants: Wants
    hostile: bool
    introduction: bool  # who is this?
    personal: bool  # about the owner, not about what the owner writes of
    related: str  # "manager", of "who was your manager?"
    owner: frozenset[str]  # stems of the owner's name
    query: str  # what to search for
    earlier: str  # the turn that it points back to; "" where it stands alone
    history: tuple[Turn, ...] = ()
    refused: str = ""  # the type of abstention that is sure before any model is asked
    matter: Matter | None = None  # the one thing that it asks about, if it asks about nothing else
    restated: tuple[Question, ...] = ()  # the same in the words of a site's own pages
    topics: tuple[str, ...] = ()  # what a choice of the owner's stands for; () where the visitor asks
    most_words: int = 0  # of the answer, as its feature has it; 0: by what is asked


def checked(settings: Settings, question: str) -> str:
    """The question, cleaned; an InputError where there is none, or far too much."""
    if len(question) > MOST_CHARACTERS:
        raise _too_long(settings, question)
    asked = clean(question).strip()
    if not any(char.isalnum() for char in asked):
        raise InputError("question_empty", "There is no question.", "Ask something about the site.")
    return asked


def _too_long(settings: Settings, question: str) -> InputError:
    lines = sum(bool(line.strip()) for line in question[:20_000].splitlines())
    fit = settings.path_of("assessment")
    posting = f"A job posting belongs to {fit}. " if fit and lines >= POSTING_LINES else ""
    return InputError(
        "question_too_long",
        f"The question has {len(question):,} characters; {MOST_CHARACTERS:,} are the most.",
        f"{posting}Ask a shorter question.",
        status=413,
    )


def bounded(history: Sequence[Turn]) -> tuple[Turn, ...]:
    """The newest turns that fit, cleaned; those that are empty, hostile or too large are left out."""
    kept: list[Turn] = []
    left = MOST_HISTORY_TOKENS
    for turn in reversed(history[-MOST_TURNS:]):
        if len(turn.question) > MOST_TURN_QUESTION_CHARACTERS or len(turn.answer) > MOST_TURN_ANSWER_CHARACTERS:
            continue
        cleaned = Turn(clean(turn.question).strip(), without_markers(clean(turn.answer)).strip())
        if not cleaned.question or not cleaned.answer or _HOSTILE.search(cleaned.question):
            continue
        left -= estimate_tokens(cleaned.question) + estimate_tokens(cleaned.answer)
        if left < 0:
            break
        kept.insert(0, cleaned)
    return tuple(kept)


def conversation_id(given: str | None) -> str:
    """The id that a client gave back, if it is one; else a new one that nobody guesses: 144 random bits."""
    return given if given and _CONVERSATION.fullmatch(given) else secrets.token_urlsafe(18)


def understand(text: str, history: Sequence[Turn] = (), owner: str = "") -> Question:
    """Read a question in the light of the turn before it. The owner's name tells nothing on the owner's site."""
    asked = _understood(text, history, owner)
    points_back = bool(history) and bool(_POINTS_BACK.intersection(words(text)))
    matter = None if points_back else matter_of(text, frozenset(words(owner)), personal=asked.personal)
    if not matter or (matter.narrowed and history):
        return asked
    restated = tuple(_understood(plain, (), owner) for plain in matter.asks)
    return replace(asked, personal=True, matter=matter, restated=restated)


def _understood(text: str, history: Sequence[Turn], owner: str) -> Question:
    names = frozenset(content(owner))
    empty = fillers(text)
    found = telling(_meant(text)).items()
    terms = {stem: word for stem, word in found if stem not in names and word not in empty}
    focus = _focus(terms, text)
    introduction = not terms and bool(_INTRODUCE.search(text))
    terms = telling(owner) if introduction else terms
    earlier = _earlier(text, list(terms), history)
    carried = {stem: word for stem, word in telling(earlier).items() if stem not in names and stem not in terms}
    query = " ".join([text, *(form for word in list(terms.values())[:MOST_TERMS] for form in forms(word))])
    return Question(
        text=text,
        terms=_first(terms),
        focus=focus,
        carried=_first(carried),
        wants=wanted(text[:MOST_CHARACTERS]),
        hostile=bool(_HOSTILE.search(text)),
        introduction=introduction,
        personal=asks_of_owner(text, names),
        related=related(text),
        owner=names,
        query=query,
        earlier=earlier,
        history=tuple(history),
    )


def _focus(terms: Mapping[str, str], text: str) -> frozenset[str]:
    """Of "Our office is in Madrid. Would you move?" the second sentence; all where that alone says nothing."""
    asking = " ".join(sentence for sentence in sentences(text) if sentence.endswith("?"))
    if _POINTS_BACK.intersection(words(asking)):
        return frozenset(terms)
    focus = frozenset(content(_meant(asking))).intersection(terms)
    return (focus - light() and focus) or frozenset(terms)


def _meant(text: str) -> str:
    for pattern, word in _MEANT:
        text = pattern.sub(word, text)
    return text


def names_in(text: str) -> frozenset[str]:
    """The stems of words that are written as names: a capital that no sentence begins with."""
    return frozenset(
        stem for match in _NAME.finditer(text) if match.group()[0].isupper() for stem in content(match.group())
    )


def _first(terms: dict[str, str]) -> dict[str, str]:
    return dict(list(terms.items())[:MOST_TERMS])


def _earlier(text: str, stems: Sequence[str], history: Sequence[Turn]) -> str:
    """What the last turn spoke of, where this question points back to it."""
    if not history or not (_GOES_ON.match(text) or len(stems) <= 1 or _POINTS_BACK.intersection(words(text))):
        return ""
    last = history[-1]
    before = _earlier(last.question, content(last.question), history[:-1]) if len(history) > 1 else ""
    return f"{last.question} {last.answer[:MOST_CARRIED_CHARACTERS]} {before}".strip()
