"""Plain text: cleaning what strangers paste, words, sentences, token estimates. Knows nothing of corpora or models."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

# Zero-width and bidirectional controls, soft hyphen, tags block: they hide instructions from a reader's eye.
_HIDDEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\uffa0\ufe00-\ufe0f\ufeff\U000e0000-\U000e0fff]"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")  # halves of a character are none
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_WORD = re.compile(r"[^\W_]+(?:[’'][^\W_]+)*[+#]*|[+#]+")
# A sentence ends at .!?… (with closing quotes and brackets) before white space, at 。！？ anyhow, or at a line's end.
_END = re.compile(r"[.!?…。！？]+(?:[ \u00a0\u202f]»|[\"'”’)\]»」』）])*(?=\s|$)|[。！？]+[”’」』）]*|\n+")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[“\"'])(?:e\.g|i\.e|etc|vs|cf|approx|ca|no|nos|fig|vol|pp?|mr|mrs|ms|dr|prof|sr|jr|st|inc|ltd|co|corp|dept|est|"
    r"jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|z\.b|bzw|u\.a|d\.h|usw|[A-Za-z]|[A-Za-z](?:\.[A-Za-z])+)\.$",
    re.IGNORECASE,
)
_ITEM = re.compile(r"[\s>*•–-]*(?:\d{1,3}|[A-Za-z])\.")
_BYTES_PER_TOKEN = 3.6  # of English prose with Claude 4's tokenizer: an estimate that errs high


def clean(text: str) -> str:
    """NFKC without control, zero-width and bidirectional characters and without HTML comments.

    For what strangers paste. Line ends become \\n.
    """
    # In this order: a hidden character must not shield a comment, nor part what NFKC joins.
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _CONTROL.sub("", text if text.isascii() else _HIDDEN.sub("", text))
    text = unicodedata.normalize("NFKC", text)
    return _COMMENT.sub(" ", text) if "<!--" in text else text


def words(text: str) -> list[str]:
    """Case-folded words in order; "C++", "C#" and "don't" stay whole."""
    if text.isascii():
        return _WORD.findall(text.lower())
    # Word by word: folding first would take some letters apart, and part words there.
    return [word.casefold() for word in _WORD.findall(text.replace("’", "'"))]


def word_spans(text: str) -> list[tuple[str, int]]:
    """Each word as `words` gives it, and where it begins."""
    return [(match.group().casefold().replace("’", "'"), match.start()) for match in _WORD.finditer(text)]


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """A light English stem: plural, -ing, -ed, -ly off; two forms of one word meet, nothing more is claimed."""
    if len(word) <= 3 or not word.isascii():
        return word
    for ending, keep in (
        ("ies", "y"),
        ("sses", "ss"),
        ("ing", ""),
        ("edly", ""),
        ("ed", ""),
        ("ly", ""),
        ("es", ""),
        ("s", ""),
    ):
        if word.endswith(ending) and not word.endswith("ss") and len(word) - len(ending) >= 3:
            word = word[: len(word) - len(ending)] + keep
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeioulsz":
        word = word[:-1]
    return word.removesuffix("e") if len(word) > 3 else word


def sentence_spans(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of each sentence, white space at both ends left out; line ends always split."""
    start = 0
    for match in _END.finditer(text):
        end = match.end()
        stop = match.group()[0] == "."
        if stop and _ITEM.fullmatch(text[max(start, text.rfind("\n", 0, end) + 1) : end]):
            continue  # "1. First": the number of a list
        if stop and (_ABBREVIATION.search(text[max(start, end - 16) : end]) or _goes_on(text, end)):
            continue
        yield from _span(text, start, end)
        start = end
    yield from _span(text, start, len(text))


def _goes_on(text: str, end: int) -> bool:
    """A full stop before a lower-case word does not end a sentence."""
    rest = text[end : end + 3].lstrip(" ")
    return bool(rest) and rest[0].islower()


def _span(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    piece = text[start:end]
    left = start + len(piece) - len(piece.lstrip())
    right = end - (len(piece) - len(piece.rstrip()))
    if left < right:
        yield left, right


def sentences(text: str) -> list[str]:
    """The sentences of a text, each as it stands there."""
    return [text[start:end] for start, end in sentence_spans(text)]


def estimate_tokens(text: str) -> int:
    """About how many tokens a model counts for a text; models.toml's ratio corrects it per tokenizer."""
    return int(len(text.encode("utf-8", "replace")) / _BYTES_PER_TOKEN) + 1 if text else 0


def cached_tokens(instructions: str, prefix: str) -> int:
    """About how many tokens come before a prompt's cache mark: what every question sends alike; 0 with no prefix."""
    return estimate_tokens(instructions) + estimate_tokens(prefix) if prefix else 0


def stands_in(quote: str, text: str) -> bool:
    """Does the quote stand in the text word for word? White space is folded, nothing else."""
    folded = " ".join(quote.split())
    return bool(folded) and folded in " ".join(text.split())
