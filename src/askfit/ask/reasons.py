"""Why a question is not answered: the types of abstention, and how a question's own words tell which one it is.

What the owner keeps off the site, and errands that are no question about anyone, are told before any model is asked.
The others only once nothing was found: a site may well say what its owner plans. Knows words, not how it is said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from askfit.ask.handoff import looks_like_posting
from askfit.ask.languages import language_of
from askfit.ask.question import MOST_CHARACTERS, Question
from askfit.ask.terms import light
from askfit.text import stem, words

NOT_IN_CORPUS = "not_in_corpus"
OFF_LIMITS = "off_limits"  # the owner's list
NOT_ABOUT_SITE = "not_about_site"  # general knowledge, a poem, code
OPINION_OF_FUTURE = "opinion_of_future"  # a prediction or a promise in the owner's name
HOSTILE = "hostile"
TYPES = (NOT_IN_CORPUS, OFF_LIMITS, NOT_ABOUT_SITE, OPINION_OF_FUTURE, HOSTILE)
POSTING = "looks_like_posting"  # no question at all: it belongs to the fit page

_POLITE = (
    r"^\W*(?:(?:hi|hello|hey|ok|okay|now|so|and)\b[\s,!.]*)?(?:please )?"
    r"(?:(?:can|could|would|will) you |i(?:['’]d| would)? (?:want|need|like) you to |let['’]s )?(?:please )?"
)
_VERSE = (
    r"(?:poem|haiku|limerick|sonnet|song|lyrics|rap|joke|riddle|fairy tale|short story|bedtime story|screenplay|tweet)"
    r"s?"
)
_CODE = (
    r"(?:code|functions?|scripts?|programs?|quer(?:y|ies)|regex|regular expressions?|unit tests?|algorithms?|essays?"
    r"|recipes?|stor(?:y|ies))"
)
_ERRAND = re.compile(
    "|".join(
        (
            rf"{_POLITE}(?:write|compose|generate|create|make(?: up)?|invent|draft|sing|recite|give|tell)\s+"
            rf"(?:me |us )?(?:an? |some |another )(?:[\w-]+ ){{0,3}}?{_VERSE}\b",
            rf"{_POLITE}(?:write|compose|generate|create|make up|invent)\s+(?:me |us )(?:an? |some |the )?"
            rf"(?:[\w-]+ ){{0,3}}?{_CODE}\b",
            rf"^\W*(?:please )?(?:write|generate|compose)\s+(?:an? |some )?(?:[\w-]+ ){{0,3}}?{_CODE}\b",
            rf"{_POLITE}(?:translate|solve|calculate|debug|refactor|proofread|paraphrase|fix)\s+"
            r"(?:(?:this|these|the following|my)\b|[\"“'«]|\d)",
            r"^\W*(?:bitte )?(?:schreib\w*|verfass\w*|dicht\w*|erzähl\w*|erfind\w*)(?: sie)?(?: mir| uns)?(?: bitte)?"
            r" ein\w* (?:\w+ ){0,2}?(?:gedicht|witz|lied|märchen|rätsel|funktion|skript|programm|aufsatz)\b",
            r"^\W*(?:écri[sv]\w*|compose[zr]?|raconte[zr]?|invente[zr]?)(?:-moi| moi|-nous| nous)? une? (?:\w+ ){0,2}?"
            r"(?:poème|blague|chanson|conte|devinette|fonction|script|programme|dissertation)\b",
            r"^\W*(?:escr[ií]b\w*|comp[oó]n\w*|cu[eé]nta\w*|inventa\w*) una? (?:\w+ ){0,2}?"
            r"(?:poema|chiste|canción|cuento|adivinanza|función|script|programa|redacción)\b",
        )
    ),
    re.IGNORECASE,
)
_FUTURE = re.compile(
    r"^\W*(?:and |so |but |then )?will\b|\b(?:what|when|where|who|how|which)(?:\s+\w+){0,2}?\s+will\b"
    r"|\b(?:you|she|he|they)(?:['’]ll| will)\b|\b(?:will|would|do|does|can|could) (?:you|she|he|they|\w+) "
    r"(?:promise|guarantee|commit|swear|accept|sign|agree to|ever)\b"
    r"|\bsee (?:yourself|herself|himself|themselves|the \w+)\b.{0,30}\b(?:in|years?|future|next)\b"
    r"|\bin (?:the (?:near |next |coming )?(?:future|\w+ years)|(?:\d+|two|three|five|ten|twenty) years)\W*$"
    r"|\b(?:next (?:year|decade)|by 20[3-9]\d|predict\w*|forecasts?|prediction|prophecy)\b"
    r"|\bgoing to (?:happen|win|become|be)\b"
    r"|\b(?:wirst|wird|werden) (?:du|sie|er|es|[A-ZÄÖÜ]\w+)\b|\bin (?:\w+ )jahren\b"
    r"|\b(?:zukunft|versprech\w+|garantier\w+)\b"
    r"|\bdans (?:\w+ )ans\b|\b(?:promettez|promets|promet|garantir|avenir|prédi\w+)\b"
    r"|\b(?:dentro de|en) (?:\w+ )años\b|\b(?:promete\w*|garantiza\w*|futuro|predic\w+)\b",
    re.IGNORECASE,
)
_GENERAL = re.compile(
    r"\b(?:capital|population|president|prime minister|king|currency|square root|boiling point|recipe)"
    r" (?:of|for)\b"
    r"|^\W*(?:what(?:['’]?s| is) |how much is |calculate )?\d[\d.,]*\s*(?:[-+*/×x^]|plus|minus|times)\s*\d"
    r"|\b(?:weather|stock price|exchange rate|horoscope)\b|\bwhat(?:['’]?s| is) the (?:time|date|day)\b"
    r"|\bmy (?:code|program|script|function|homework|essay|computer|laptop|app|query)\b|```|\btraceback\b"
    r"|\bwho (?:won|invented|discovered|wrote|painted|composed) (?!(?:this|that|it|the site|these)\b)"
    r"|^\W*(?:how (?:do (?:i|we|you)|to|can i)|explain|define)\b"
    r"|\b(?:hauptstadt|einwohner|bundeskanzler|wetter|quadratwurzel) (?:von|in|der|des)\b|\bwie wird das wetter\b"
    r"|\b(?:capitale|président|météo|racine carrée) (?:de|du|des|en)\b"
    r"|\b(?:presidente|clima|raíz cuadrada) (?:de|en)\b",
    re.IGNORECASE,
)


def before_call(text: str, off_limits: Iterable[str] = ()) -> str:
    """Why no model is to be asked at all; "" where one may be."""
    if looks_like_posting(text):
        return POSTING
    text = text[:MOST_CHARACTERS]
    if is_off_limits(text, off_limits):
        return OFF_LIMITS
    return NOT_ABOUT_SITE if _ERRAND.search(text) else ""


def is_off_limits(text: str, off_limits: Iterable[str]) -> bool:
    """Does the text name something of the owner's list, in any form of its words? Several words count in a row."""
    said = _stems(text) if off_limits else []
    return any(
        named == said[at : at + len(named)]
        for named in map(_stems, off_limits)
        if named
        for at in range(len(said) - len(named) + 1)
    )


def of_control(control: str) -> str:
    """The type that a model's marker names: of "none: hostile" the last; "" where it names none that is known."""
    named = "_".join(words(control.partition(":")[2].replace("_", " ")))
    return named if named in TYPES else ""


def of_question(asked: Question, frequency: Callable[[str], int], *, near: bool) -> str:
    """The type of a question that the site does not answer. `near`: a page is near what is asked.

    `frequency` tells in how many sections of the site a word stands.
    """
    if asked.hostile:
        return HOSTILE
    if _ERRAND.search(asked.text):
        return NOT_ABOUT_SITE
    if _FUTURE.search(asked.text):
        return OPINION_OF_FUTURE
    if asked.personal or asked.related or asked.earlier or asked.introduction or near:
        return NOT_IN_CORPUS
    if _GENERAL.search(asked.text) or _is_foreign(asked, frequency):
        return NOT_ABOUT_SITE
    return NOT_IN_CORPUS


def _is_foreign(asked: Question, frequency: Callable[[str], int]) -> bool:
    """Does the site use none of the words? Only in English is it sure that they do not speak of the owner."""
    telling = [word for stem, word in asked.terms.items() if stem not in light()]
    return bool(telling) and language_of(asked.text, "") == "en" and not any(map(frequency, telling))


def _stems(text: str) -> list[str]:
    """Every word in one form, whatever it means: "families" and "family" are one."""
    return [_form(word) for word in words(text)]


def _form(word: str) -> str:
    base = stem(stem(word.removesuffix("'s")))
    return f"{base[:-1]}i" if len(base) > 3 and base.endswith("y") else base
