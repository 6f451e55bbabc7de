"""Whose matter a question and a sentence are: the owner's own, or that of the world that the owner writes about.

"Do you have a degree?" is about the owner; an essay that says "few engineers have a degree" does not answer it. Knows
words and pages, no corpus.
"""

from __future__ import annotations

import re
from collections.abc import Set
from functools import lru_cache

from askfit.ask.languages import language_of
from askfit.ask.terms import content
from askfit.text import words
from askfit.types import Section

_OWN = re.compile(r"\b(?:you|your|yours|yourself|she|her|hers|herself|he|him|his|himself)\b", re.IGNORECASE)
_OWN_GERMAN = re.compile(r"\b(?:du|dich|dir|dein\w*|sie|ihr\w*|er|ihn|ihm|sein\w*)\b", re.IGNORECASE)
# "B2B experience?", "experience with Rust": asked in a hurry, of nobody else.
_OF_CAREER = re.compile(
    r"^\W*(?:any )?(?:experience|expertise|background) (?:with|in|of)\b"
    r"|^\W*(?:[\w/+#.-]+ ){1,3}(?:experience|expertise|background|skills)\W*$",
    re.IGNORECASE,
)
# "How do you write …", "what do you think of …": any sentence of the site may answer those.
_ANYONES = re.compile(
    r"\bhow (?:do|does|would|should|can|could) (?:you|she|he)\b"
    r"|\b(?:you|she|he) (?:thinks?|believes?|recommends?|suggests?|advises?|means?|says?|writes?|wrote|written)\b"
    r"|\b(?:your|her|his) (?:views?|opinions?|take|advice|thoughts?)\b"
    r"|\b(?:can|could|would|will) you (?:please )?(?:explain|tell|describe|give|show|name|list|summari[sz]e)\b"
    r"|\bdo you know (?:if|whether|what|how|who|when|where|why)\b|\bthank you\b",
    re.IGNORECASE,
)
_RELATED = re.compile(
    r"\bwho(?:['’]s| is| are| was| were)\s+(?:your|her|his|my|their|[\w-]+['’]s)\s+((?:[\w-]+\s+){0,2}?[\w-]+)\s*"
    r"(?:\?|$|\b(?:at|in|on|when|while|during|before|after|then)\b)",
    re.IGNORECASE,
)
_EMPLOYED = re.compile(
    r"\b(?:work(?:s|ed|ing)? (?:at|for)|employed (?:at|by)|join(?:ed)?) (?:the )?"
    r"([^\W\d_a-z][\w&.'’-]*(?: [^\W\d_a-z][\w&.'’-]*)*)"
)
_I = re.compile(r"\bI\b(?![/.])|\b(?:[Mm]y|[Mm]e|[Mm]ine|[Mm]yself|[Ii]ch|[Mm]ein\w*)\b")
_QUOTED = re.compile(r"“[^”]*”|„[^“”]*[“”]|\"[^\"]*\"")  # another's words
_WE = re.compile(r"\b(?:[Ww]e|[Oo]urs?|[Uu]s|[Ww]ir|[Uu]nser\w*)\b")
# Every word of one part of a page's address is among these: "work/acme", "pages/resume", "resume-positions/clerk".
_PROFILE = frozenset(
    "about me bio biography profile index home cv resume résumé lebenslauf vita work works job jobs position positions "
    "role roles career experience experiences employment employer employers history education faq faqs questions q a "
    "and contact now talks talk speaking skills skill volunteering projects project portfolio case cases study studies "
    "uses start awards publications patents references team who am i hire".split()
)
_RESUME = frozenset("cv resume résumé lebenslauf vita".split())
NEAR_I = 5  # words
MOST_NAME_WORDS = 4  # of a file; "how-to-write-a-good-resume" is an essay


def asks_of_owner(question: str, names: Set[str]) -> bool:
    """Is the question about the owner: "you", "she", the owner's name?"""
    asked = _ANYONES.sub(" ", question)
    if _OWN.search(asked) or _OF_CAREER.search(asked) or not names.isdisjoint(content(asked)):
        return True
    return bool(_OWN_GERMAN.search(asked)) and language_of(question, "en") == "de"


def related(question: str) -> str:
    """Of "who was your manager at …?" the manager: somebody else than the owner; "" in any other question."""
    match = _RELATED.search(question)
    return match[1] if match else ""


def is_other_person(text: str, relation: str) -> bool:
    """Does the sentence say who that is: "my manager", "reported to", not "I was the manager"?"""
    noun = re.escape(relation.split()[-1])
    return bool(
        re.search(rf"\b(?:my|our|her|his)\s+(?:\w+\s+){{0,3}}{noun}\b|\breport(?:s|ed|ing)? to\b", text, re.IGNORECASE)
    )


def employer(question: str) -> str:
    """Of "have you worked at X?" the name X; "" in any other question."""
    match = _EMPLOYED.search(question)
    return match[1] if match else ""


def tells_of_employer(text: str, name: str) -> bool:
    """Is the name one of a place to be at, not part of a thing's: "at Quay Apps", "Clerk, Quay Apps, since …"?"""
    first, whole = re.escape(name.split()[0]), re.escape(name)
    return bool(
        re.search(
            rf"(?:\b(?:at|for|by|joined|left|of|from|in)\s+(?:the\s+)?|[,:–—(]\s*){first}\b|^{whole}\s*[,:–—(.]",
            text,
            re.IGNORECASE,
        )
    )


@lru_cache(maxsize=4096)
def is_profile(document: str) -> bool:
    """Is the page one on which everything is about the owner: a résumé, an about page, a job, a project?"""
    return any(map(_names_profile, document.casefold().split("/")))


def _names_profile(part: str) -> bool:
    said = [word for word in words(part.replace("_", " ")) if not word.isdigit()]
    named_resume = len(said) <= MOST_NAME_WORDS and not _RESUME.isdisjoint(said)  # "ann-ode-cv"
    return named_resume or bool(said and _PROFILE.issuperset(said))


def says_i_near(text: str, stems: Set[str]) -> bool:
    """Does "I" stand just before one of the words: "I once led a team", not "I heard that someone drove a car"?"""
    said = text.split()
    at = [place for place, word in enumerate(said) if not stems.isdisjoint(content(word))]
    return any(_I.search(word) for place in at for word in said[max(0, place - NEAR_I) : place + 1])


def speaks_of_owner(text: str, section: Section, names: Set[str]) -> bool:
    """Does the sentence speak of the owner: in the first person, by name, or on a page about the owner?

    "We" may be mankind: it counts where the section says "I" too.
    """
    said = _QUOTED.sub(" ", text)
    return (
        is_profile(section.document)
        or bool(_I.search(said))
        or bool(_WE.search(said) and _I.search(_QUOTED.sub(" ", section.text)))
        or not names.isdisjoint(content(said))
    )
