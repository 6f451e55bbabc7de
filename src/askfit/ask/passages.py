"""Which sections are looked into where not all can be: for a prompt, for an introduction, for the owner's times.

"And why did you leave?" is searched with the turn that it points back to: no call rewrites it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain, islice, zip_longest

from askfit.ask.prompt import PASSAGES, Shared
from askfit.ask.question import Question
from askfit.ask.voice import is_profile
from askfit.corpus import Corpus
from askfit.types import Section

MOST_PAGES = 200  # that introduce the owner
MOST_OWN_SECTIONS = 2_000
_ABOUT = re.compile(r"\b(?:about|bio|profile|index|home|me|cv|resume|résumé)\b", re.IGNORECASE)


def passages(corpus: Corpus, question: Question) -> list[Section]:
    """Sections for a prompt, neighbours of one page joined; of two searches the best of each in turn."""
    if question.introduction:
        return introductions(corpus)[:PASSAGES]
    found = corpus.passages(question.query, PASSAGES)
    if question.earlier:
        earlier = corpus.passages(f"{question.query} {question.earlier}", PASSAGES)
        found = [one for one in chain.from_iterable(zip_longest(earlier, found)) if one]
    return list({passage.section.id: passage.section for passage in found}.values())


def introductions(corpus: Corpus) -> list[Section]:
    """The beginnings of the pages that say who the owner is."""
    pages = islice((one.id for one in corpus.documents if _ABOUT.search(f"{one.id} {one.title}")), MOST_PAGES)
    return [section for id in pages for section in corpus.of(id)[:1]]


@lru_cache(maxsize=2)
def own_sections(shared: Shared) -> Sequence[Section]:
    """Where the owner's times are told: anywhere; of a corpus too large for memory, on the pages about the owner."""
    corpus = shared.corpus
    if corpus.held:
        return corpus.sections
    pages = (one.id for one in corpus.documents if is_profile(one.id))
    return tuple(islice((section for id in pages for section in corpus.of(id)), MOST_OWN_SECTIONS))
