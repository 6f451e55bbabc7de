"""Tell from a header and from a cell whether a row is private. A typing error must never publish a row.

So what is unclear is private and told, a near miss of a word counts as the word, and `private` typed into a column
that nothing reads counts too.
"""

from __future__ import annotations

import difflib
from functools import lru_cache
from typing import Literal

from askfit import text

# "private": yes keeps the row back. "public": only a plain yes serves it. "either": only the words themselves decide.
Flag = Literal["private", "public", "either"]
Verdict = Literal["private", "public", "unclear"]

# What a header or a cell says of a row.
MARKS = ("private", "hidden", "confidential", "secret", "privat", "vertraulich", "privé", "confidentiel")
# What only a header says: in a cell these have other meanings too.
PRIVATE_WORDS = (
    *MARKS, "privacy", "internal", "sensitive", "restricted", "nda", "unlisted", "unpublished", "invisible", "hide",
    "exclude", "excluded", "omit", "embargo", "embargoed",
)  # fmt: skip
PUBLIC_WORDS = ("public", "publish", "published", "visible", "shareable", "öffentlich", "sichtbar", "publique")
EITHER_WORDS = ("visibility", "sichtbarkeit", "visibilité")
# "Show", "OK to share", "Don't show on site": flags only where nothing else stands in the title.
SHOW_WORDS = {"show", "shown", "share", "shared", "display", "include", "included"}
BESIDE_SHOW = set("ok okay is to on in can may be do this it row the my site website web online yes no y n".split())
NOT_WORDS = set("not non never don't dont can't cannot isn't nicht kein keine nie ne pas without".split())
YES = {"true", "yes", "y", "1", "x", "✓", "✔", "wahr", "ja", "oui", "vrai"}
NO = {"", "false", "no", "n", "0", "-", "–", "falsch", "nein", "non", "faux"}
SAYS_PUBLIC = {"public", "visible", "published", "öffentlich", "publique"}
MOST_WORDS_OF_A_MARK = 4  # "private, please" is a mark, a sentence with the word in it is not


def flag_of(title: str) -> Flag | None:
    """What a column of this title says of its rows; None where it says nothing of privacy."""
    words = text.words(title)
    kinds = [_kind(word) for word in words]
    if "either" in kinds or ("private" in kinds and "public" in kinds):
        return "either"
    negative = NOT_WORDS | (set() if {"yes", "y"} & {*words} else {"no"})
    if "private" in kinds:
        at = kinds.index("private")
        if negative.isdisjoint(words[:at]):
            return "private"
        return "public" if words[at - 1] in negative else "either"  # "Should not be private": yes or no to what?
    if not SHOW_WORDS.isdisjoint(words) and {*words} <= SHOW_WORDS | BESIDE_SHOW | NOT_WORDS:
        kinds = ["public" if word in SHOW_WORDS else kind for word, kind in zip(words, kinds, strict=True)]
    if "public" in kinds:
        return "private" if negative & set(words[: kinds.index("public")]) else "public"
    return None


def verdict(cell: str, flag: Flag) -> Verdict:
    """What a cell, as one line, says in a column of this flag."""
    word = cell.casefold()
    if word in MARKS:
        return "private"
    if word in SAYS_PUBLIC:
        return "public"
    if flag == "either" or word not in YES | NO:
        return "unclear"
    return "private" if (word in YES) == (flag == "private") else "public"


def is_mark(cell: str, *, alone: bool) -> bool:
    """Does a cell under another title call its row private? `alone`: only where it holds no other word."""
    words = text.words(cell[:200])
    if len(words) > (1 if alone else MOST_WORDS_OF_A_MARK):
        return False
    return any(_near(word, MARKS) and not (at and words[at - 1] in NOT_WORDS) for at, word in enumerate(words))


@lru_cache(maxsize=4096)
def _kind(word: str) -> str:
    best = _near(word, (*PUBLIC_WORDS, *PRIVATE_WORDS, *EITHER_WORDS))
    if best in PUBLIC_WORDS:
        return "public"
    return "private" if best in PRIVATE_WORDS else "either" if best else ""


@lru_cache(maxsize=16_384)
def _near(word: str, known: tuple[str, ...]) -> str:
    """The known word that is nearest, if it is within a letter or so."""
    if word in known or len(word) < 4 or word.isdigit():  # in shorter words one letter makes another word
        return word if word in known else ""
    return next(iter(difflib.get_close_matches(word, known, 1, 0.82)), "")
