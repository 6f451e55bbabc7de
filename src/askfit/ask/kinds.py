"""What kind of answer a question wants, and whether a sentence holds one: a date for when, a figure for how many.

Knows words and patterns, no corpus.
"""

from __future__ import annotations

import re
from collections.abc import Set
from typing import Literal

from askfit.ask.terms import content
from askfit.text import sentences

Wants = Literal["", "date", "number", "duration", "contact", "money", "person", "place", "reason", "yes_no"]

_PAST = r"(?:do|does|did|is|are|was|were|has|have|had|can|could|would|will)"
# A question word asks where a clause begins; after a noun ("somebody who …") it only tells more of the noun.
_BEGINS = (
    r"(?:^\W*|[,;:–—(]\s*|\b(?:and|or|but|so|to|from|by|for|with|of|at|in|on|since|until|till|me|us|know|say|tell|ask"
    r"|exactly|just|roughly)\s+)"
)
_WANTED: tuple[tuple[Wants, str], ...] = (
    (
        "contact",
        r"\b(?:phone|telephone|fax) number\b|\be-?mail address\b"
        r"|\bhow (?:can|do|could|may) (?:i|we|one) (?:contact|reach)\b",
    ),
    ("money", rf"\bhow much (?:money|{_PAST})\b|\b(?:salary|price|revenue|cost|costs|budget)\b"),
    ("duration", rf"\bhow (?:long|late|early|fast|quickly)\b(?= {_PAST}\b|\W|$)"),
    ("number", r"\bhow (?:many|much|big|large|old|far|often|tall|high|long)\b|\bwhat (?:percent|number|share)"),
    ("date", rf"{_BEGINS}(?:when|how soon)\b|\b(?:what|which) (?:year|date|month|day|century|decade|time)\b"),
    ("person", rf"{_BEGINS}who(?:m|se)?\b"),
    ("place", rf"{_BEGINS}where\b|\b(?:what|which) (?:city|country|place|state|region|town)\b"),
    ("reason", r"\bwhy\b|\bhow come\b|\bwhat (?:is|was) the reason\b"),
    ("yes_no", r"^\W*(?:is|are|was|were|do|does|did|can|could|has|have|had|will|would|should)\b"),
)
_WANTS: tuple[tuple[Wants, re.Pattern[str]], ...] = tuple(
    (wants, re.compile(pattern, re.IGNORECASE)) for wants, pattern in _WANTED
)
_MONTH = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December|Januar|Februar|März|Mai"
    r"|Juni|Juli|Oktober|Dezember)"
)
_FIGURE = (
    r"(?:\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|hundreds?|thousands?|millions?"
    r"|billions?|half|third|quarter|percent|several)\b)"
)
_UNIT = r"(?:seconds?|minutes?|hours?|days?|weeks?|months?|quarters?|years?|decades?|centur(?:y|ies))"
_DATE = re.compile(rf"\b(?:\d{{1,2}} )?{_MONTH}(?: \d{{1,2}}\b)?|\b(?:1[5-9]|20)\d\d\b(?:-\d\d)*")
_FIGURES = re.compile(_FIGURE, re.IGNORECASE)
_NAME = r"(?<!^)(?<![.!?] )[A-Z][\w’'-]+"
_WHAT_IS = re.compile(
    r"(?:what|who)(?:['’]s| is| are| was| were)\b(?:[^\w’'-]+[\w’'-]+){1,5}[^\w’'-]*$"
    r"|what do(?:es)? (?:[\w’'-]+ ){1,4}do\W*$",
    re.IGNORECASE,
)
_HOLDS: dict[Wants, re.Pattern[str]] = {
    "date": re.compile(
        rf"\b(?:1\d{{3}}|20\d\d)s?\b|\b(?:in|by|since|until|of) (?:AD )?[1-9]\d\d\b(?!,)"
        rf"|\b\d{{1,2}}(?:st|nd|rd|th)[ -]centur(?:y|ies)\b"
        rf"|\b(?:{_MONTH}|century|centuries|decade|spring|summer|autumn|winter)\b"
    ),
    "number": _FIGURES,
    "duration": re.compile(
        rf"{_FIGURE}[\w.,]*[ -](?:\w+ )?{_UNIT}\b|\b(?:19|20)\d\d\b.*\b(?:19|20)\d\d\b", re.IGNORECASE
    ),
    "contact": re.compile(r"@|\+?\d[\d ()-]{6,}\d|\bno (?:\w+ ){0,2}(?:phone|telephone|fax|e-?mail)", re.IGNORECASE),
    "money": re.compile(r"[$€£¥%]|\b(?:dollars?|euros?|pounds?|percent|million|billion|cents?)\b", re.IGNORECASE),
    "person": re.compile(rf"(?<!\bin )(?<!\bat )(?<!\bto )(?<!\bfrom )\b{_NAME}"),
    "place": re.compile(rf"\b{_NAME}"),
    "reason": re.compile(
        r"\b(?:because|since|due to|so that|in order to|as a result|reason|therefore|thus|caused)\b", re.IGNORECASE
    ),
}


def wanted(question: str) -> Wants:
    """The kind of answer, by the sentence that asks: "" where any sentence will do."""
    asking = next((said for said in reversed(sentences(question)) if said.endswith("?")), question)
    return next((wants for wants, pattern in _WANTS if pattern.search(asking)), "")


def is_kind(wants: Wants) -> bool:
    """Can a sentence be told to hold it?"""
    return wants in _HOLDS


def holds(wants: Wants, text: str, known: Set[str]) -> bool:
    """Does the sentence hold such a thing, one that is not made of known stems only?"""
    pattern = _HOLDS.get(wants)
    if pattern is None:
        return False
    if wants == "number":
        text = without_dates(text)
    if wants == "reason":
        return bool(pattern.search(text))
    return any(not known >= set(content(match.group())) for match in pattern.finditer(text))


def without_dates(text: str) -> str:
    return _DATE.sub(" ", text)


def after_figures(text: str, most: int = 4) -> list[str]:
    """The words behind each figure of a text: what it counts stands there."""
    plain = without_dates(text)
    return [" ".join(plain[match.end() : match.end() + 40].split()[:most]) for match in _FIGURES.finditer(plain)]


def asks_what_is(question: str) -> bool:
    """Does it want to be told what X is: "what is X?", "who was X?", "what does X do?"?"""
    return bool(_WHAT_IS.match(question))
