"""Lists of keywords strewn into a posting, taken out before it is read: they ask nothing, and must weigh nothing."""

from __future__ import annotations

import re
from collections import Counter

FEWEST_HASHTAGS = 5
FEWEST_ITEMS = 8  # of a bare list beside bulleted ones; a line of a stack in a terse posting has no bullets beside it
FEWEST_REPEATED = 4  # items of a list that is said more than once
MOST_ITEM_WORDS = 4.0  # on average: more are sentences
_LABEL = re.compile(
    r"^\W*(?:key ?words|tags|hashtags|schlagwörter|stichwörter|palabras clave|etiquetas|mots[- ]clés|trefwoorden)\W*"
    r"(?:$|[:–—-]\s*\S)",
    re.IGNORECASE,
)
_HASHTAG = re.compile(r"(?<!\w)#\w")
_BULLET = re.compile(r"^\s*(?:[-*•·‣▪→–]|\d{1,2}[.)])\s", re.MULTILINE)


def without_keyword_lists(posting: str) -> str:
    """The posting without labelled keywords, hashtags, and bare lists that stand beside its bullets or are repeated."""
    lines = posting.split("\n")
    said = Counter(line.strip() for line in lines)
    has_bullets = bool(_BULLET.search(posting))
    kept: list[str] = []
    labelled = False  # a label alone: the paragraph under it is its list
    for line in lines:
        bare = line.strip()
        if _LABEL.match(bare):
            labelled = not re.search(r"[:–—-]\s*\S", bare)
        elif labelled and _is_list(bare, FEWEST_REPEATED):
            labelled = False
        elif not _is_strewn(bare, said[bare], has_bullets=has_bullets):
            labelled = labelled and not bare
            kept.append(line)
    return posting if len(kept) == len(lines) else "\n".join(kept)


def _is_strewn(line: str, times: int, *, has_bullets: bool) -> bool:
    if len(_HASHTAG.findall(line)) >= FEWEST_HASHTAGS:
        return True
    if _BULLET.match(line):
        return False
    return (times > 1 and _is_list(line, FEWEST_REPEATED)) or (has_bullets and _is_list(line, FEWEST_ITEMS))


def _is_list(line: str, fewest: int) -> bool:
    """Short items between commas, no label before them and no sentence around them."""
    items = [item for item in re.split(r"[,;|/•·]\s*", line) if item.strip()]
    if len(items) < fewest or ":" in line or line.endswith((".", "!", "?")):
        return False
    return len(line.split()) / len(items) <= MOST_ITEM_WORDS
