"""Questions to go on with: each one is answered by the built-in before it is offered, so that none leads nowhere.

The site's own questions first, the nearest before the others; where it asks too few, some that any site about a person
may answer. None is off limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice

from askfit.ask.extract import follow_ups, reply
from askfit.ask.languages import language_of
from askfit.ask.prompt import Shared
from askfit.ask.question import Question, understand
from askfit.ask.reasons import is_off_limits
from askfit.ask.terms import content
from askfit.config import SiteSettings
from askfit.corpus import Corpus

MOST = 3
MOST_TRIED = 8
MOST_CHARACTERS = 90
STARTERS = (
    "What did {name} work on last?",
    "What is {name}’s current role?",
    "How can I contact {name}?",
    "What did {name} study?",
    "Who is {name}?",
)  # in English: another site's pages are better asked in its own words


def offered(
    corpus: Corpus, asked: Question, site: SiteSettings, off_limits: Sequence[str] = (), *, abstained: bool = False
) -> tuple[str, ...]:
    """Questions that the site answers. After an abstention up to three, wherever they are; else only near ones."""
    shared = Shared(corpus)
    known = frozenset(asked.terms)
    found: list[str] = []
    for question in islice(dict.fromkeys(_candidates(corpus, asked, site, abstained)), MOST_TRIED):
        is_new = not known.issuperset(content(question)) or question.startswith("Who")
        if is_new and not is_off_limits(question, off_limits) and answers(shared, question, site.name):
            found.append(question)
        if len(found) == MOST:
            break
    return tuple(found)


def _candidates(corpus: Corpus, asked: Question, site: SiteSettings, abstained: bool) -> Iterator[str]:
    if not asked.refused:  # of an errand or a posting nothing is near
        yield from follow_ups(corpus, asked)
    if not abstained:
        return
    yield from _short(corpus.questions)
    if language_of(asked.text, site.language) == "en":
        yield from (starter.format(name=site.name) for starter in STARTERS)


def _short(questions: Iterable[str]) -> list[str]:
    return sorted((one for one in questions if len(one) <= MOST_CHARACTERS), key=lambda one: (len(one), one))[:MOST]


@lru_cache(maxsize=1024)
def answers(shared: Shared, question: str, owner: str) -> bool:
    """Does the built-in answer it? Asked once for each question of a corpus."""
    return not reply(shared.corpus, understand(question, (), owner))[0].startswith("[[none")
