"""The built-in answer: one to three sentences of the site, word for word, or that the site does not say.

It speaks as a model would, markers and all, so that the same code reads and checks it. Knows no model and no network.
How sentences are weighed stands in weighing, how sure one must be in sureness.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import replace

from askfit.ask.kinds import is_kind
from askfit.ask.listing import Item, contact, done_at, listed, newest, newest_employer, now, since
from askfit.ask.matters import Matter
from askfit.ask.passages import introductions, own_sections
from askfit.ask.periods import asks_of_leaving, did_at, latest, order_of, station, tells
from askfit.ask.prompt import Shared, numbers
from askfit.ask.question import Question, understand
from askfit.ask.sureness import LEAST_SURE, NEAR_ENOUGH, certainty, nearness
from askfit.ask.terms import FORM, content, light, statements
from askfit.ask.voice import is_profile
from askfit.ask.weighing import Asked, Candidate, candidates, same_question, typed, weigh
from askfit.corpus import Corpus
from askfit.types import Section

PASSAGES = 12
PLAIN = 4  # by the question's own words alone
WIDE = 60  # to find the pages on the owner among many essays
MOST_SENTENCES = 3
MOST_WORDS = 60  # shown; a single longer sentence is shown whole, up to the next bound
# Of a question about the world, where the best sentence is often the second or third: more, if it is likely enough.
MOST_WORDS_OF_WORLD = 100
SHARPNESS = 3.4  # how likely each sentence is the one that is sought: a softmax of the scores
LEAST_LIKELY = 0.0005  # for each word of it
MOST_FOLLOW_UPS = 3
GOES_WITH, GOES_WITH_OTHER = 0.6, 0.7  # of the best score: a further sentence of the same section, of another
AS_SURE, AS_SURE_OTHER = 0.5, 0.6  # of how sure the best sentence is
REPEATS = 0.7
ASKED_THERE = 0.9  # a heading that asks just that: what stands under it is the owner's own answer
ONE: Mapping[str, tuple[Callable[[Shared], Item | None], ...]] = {
    "latest": (newest,),
    "since": (since,),
    "now": (now, newest),
    "contact": (contact,),
}  # what a matter of one item is told by, the first that finds it
_LEANS_BACK = re.compile(r"(?:it|its|he|she|his|her|they|their|this|that|these|those|such)\b", re.IGNORECASE)
_AT_NAME = re.compile(r"\b(?:at|bei) (?:the |der |dem )?([^\W\d_a-z][\w&’'.-]*(?: [^\W\d_a-z][\w&’'-]*)*)")
_AT_END = re.compile(r"\bat ([\w&’'.-]+(?: [\w&’'.-]+){0,3})\W*$")  # "at quay apps", as it is typed in a hurry
_FIRST_NAME = re.compile(r"(?:(?<=[a-z,:–—] )|(?<=^ ))[^\W\d_a-z][\w&’'.-]*(?: [^\W\d_a-z][\w&’'-]*)*")


def reply(corpus: Corpus, question: Question) -> list[str]:
    """What the built-in says, in the form of a model's text, a sentence a piece."""
    if question.hostile:
        return ["[[none: hostile]]"]
    if question.matter:
        return _of_matter(corpus, question, question.matter)
    if did_at(question.text) and (done := done_at(Shared(corpus), _place_named(question.text))):
        return _lines(done, numbers(Shared(corpus)))
    sections = search(corpus, question)
    number = numbers(Shared(corpus))
    asked = weigh(corpus, question, sections)
    found = candidates(asked, sections) if asked.all else []
    dated = _dated(corpus, question, sections)
    # An FAQ that asks the very question knows better than the newest date.
    if dated and not (
        order_of(question.text) == "latest" and any(same_question(asked, one.section) for one in found[:1])
    ):
        return _written([dated], number)
    if not found:
        return ["[[none]]"]
    if certainty(asked, found[0]) < LEAST_SURE or not tells(order_of(question.text), found[0].text):
        if did_at(question.text) and (there := _station_at(corpus, question)):
            return _written([there], number)
        near = nearness(asked, found[0]) >= NEAR_ENOUGH
        return [f"[[none {number[found[0].section.id]}]]" if near else "[[none]]"]
    return _written(choose(asked, found), number)


def _of_matter(corpus: Corpus, question: Question, matter: Matter) -> list[str]:
    """What the site tells of a matter: its own answer to that question, a list, or what answers it put otherwise."""
    shared = Shared(corpus)
    number = numbers(shared)
    plain = question.restated or ((question,) if matter.tells == "plain" else ())
    if matter.tells == "leaving":
        place = newest_employer(shared)
        plain = (understand(f"Why did you leave {place}?"),) if place else ()
        plain = tuple(replace(one, owner=question.owner) for one in plain)
    weighed = [(weigh(corpus, one, sections), sections) for one in plain if (sections := search(corpus, one))]
    for asked, sections in weighed:
        own = max(sections, key=lambda section: same_question(asked, section))
        if same_question(asked, own) >= ASKED_THERE:
            return _written(_beginning(own), number)
    if items := _listed(shared, matter):
        return _lines(items, number)
    near = ""
    for asked, sections in weighed:
        found = [one for one in candidates(asked, sections) if is_profile(one.section.document)] if asked.all else []
        if found and certainty(asked, found[0]) >= LEAST_SURE and _says(asked, matter, found[0]):
            of_best = [one for one in found if one.section.id == found[0].section.id]
            return _written(choose(asked, of_best), number)
        if found and not near and nearness(asked, found[0]) >= NEAR_ENOUGH:
            near = f" {number[found[0].section.id]}"
    return [f"[[none{near}]]"]


def _says(asked: Asked, matter: Matter, best: Candidate) -> bool:
    """Are most of the telling words said there themselves, and one of those that name the matter?

    Asked "Would you move?" in the place of "relocation?", that figures were lifted is no answer.
    """
    if asked.question.introduction:
        return True
    place = frozenset(content(f"{best.section.title} {best.section.heading}")).union(best.statement.stems)
    telling = asked.question.focus - light() or asked.question.focus
    said = sum(_stands(stem, place) for stem in telling)
    named = any(_stands(stem, place) for stem in content(" ".join(matter.heads)))
    wants = asked.question.wants
    fits = not is_kind(wants) or wants == "money" or typed(asked, best.text)
    return fits and named and said * 2 > len(telling)


def _stands(stem: str, place: Set[str]) -> bool:
    return stem in place or (len(stem) >= FORM and any(one.startswith(stem[:FORM]) for one in place))


def _listed(shared: Shared, matter: Matter) -> Sequence[Item]:
    if matter.tells in ONE:
        one = next((one for tell in ONE[matter.tells] if (one := tell(shared))), None)
        return [one] if one else []
    return listed(shared, matter.name) if matter.tells in ("places", "stations", "things", "group") else []


def _beginning(section: Section) -> list[Candidate]:
    """The first sentences of a section, within the bounds."""
    chosen: list[Candidate] = []
    for at, statement in enumerate(statements(section.text)[:MOST_SENTENCES]):
        if chosen and sum(one.statement.words for one in chosen) + statement.words > MOST_WORDS:
            break
        chosen.append(Candidate(section, at, statement, 0.0))
    return chosen


def _lines(items: Sequence[Item], number: Mapping[str, int]) -> list[str]:
    """Each item on a line of its own, each of its sentences with the marker of its section."""
    pieces: list[str] = []
    for item in items:
        line = " ".join(f"{text}[[{number[item.section.id]}]]" for text in item.texts)
        pieces.append(f"\n{line}" if pieces else line)
    return pieces


def search(corpus: Corpus, question: Question) -> list[Section]:
    """The sections to look into: those for the question, and with the turn that it points back to."""
    if question.introduction:
        return introductions(corpus)
    found = corpus.search(question.query, WIDE if question.personal else PASSAGES)
    plain = corpus.search(question.text, PLAIN)
    own = [passage for passage in found[PASSAGES:] if is_profile(passage.section.document)]
    found = found[:PASSAGES] + plain + own[:12]
    if question.earlier:
        found = corpus.search(f"{question.query} {question.earlier}", PASSAGES) + found
    return list({passage.section.id: passage.section for passage in found}.values())


def _dated(corpus: Corpus, question: Question, sections: Sequence[Section]) -> Candidate | None:
    """Of "and before that?" what came before, of "when did you leave X?" X's time; None of any other question."""
    order = order_of(question.text)
    if not order or (order in ("at", "latest") and not question.personal):
        return None
    if order == "latest":
        return _station_at(corpus, question)
    said = question.history[-1].answer if question.earlier else question.text
    names, leaving = _named_first(said, order) - question.owner, asks_of_leaving(question.text)
    near = station(order, names, sections, own_sections(Shared(corpus)), leaving)
    return Candidate(near.section, near.at, statements(near.section.text)[near.at], 0.0) if near else None


def _station_at(corpus: Corpus, question: Question) -> Candidate | None:
    """The newest station, of those at the place that stands behind "at" where one does."""
    names = _place_named(question.text)
    if not names:
        item = None if did_at(question.text) else newest(Shared(corpus))
        return Candidate(item.section, item.first, statements(item.section.text)[item.first], 0.0) if item else None
    near = latest(names, own_sections(Shared(corpus)))
    return Candidate(near.section, near.at, statements(near.section.text)[near.at], 0.0) if near else None


def _place_named(text: str) -> frozenset[str]:
    """The stems of the place behind "at"; none where no name stands there."""
    match = _AT_NAME.search(text) or (did_at(text) and _AT_END.search(text))
    return frozenset(content(match[1])) if match else frozenset()


def _named_first(text: str, order: str) -> frozenset[str]:
    """The name that stands first, behind "before": of "At Quay Apps in Rome, as Senior Clerk" it is Quay Apps."""
    behind = re.split(rf"\b{order}\b", text, maxsplit=1, flags=re.IGNORECASE)[-1]
    match = _FIRST_NAME.search(behind)
    return frozenset(content(match[0])) if match else frozenset()


def choose(asked: Asked, found: Sequence[Candidate]) -> list[Candidate]:
    """The best sentence and what goes with it, within the bounds, in the order in which the site says it."""
    best = found[0]
    chosen = [best]
    most = MOST_WORDS if asked.question.personal else MOST_WORDS_OF_WORLD
    for other in _companions(asked, best, found):
        if len(chosen) == MOST_SENTENCES:
            break
        fits = sum(one.statement.words for one in chosen) + other.statement.words <= most
        if fits and not any(_repeats(one, other) for one in chosen):
            chosen.append(other)
    return sorted(chosen, key=lambda one: (one.section.id != best.section.id, one.section.id, one.at))


def _companions(asked: Asked, best: Candidate, found: Sequence[Candidate]) -> Iterable[Candidate]:
    """Sentences that may stand with the best one, in the order in which they are wanted."""
    near = {one.at: one for one in found if one.section.id == best.section.id}
    if best.at - 1 in near and _LEANS_BACK.match(best.text):
        yield near[best.at - 1]
    if same_question(asked, best.section):
        yield from (near[at] for at in sorted(near) if at > best.at)
        return
    if not asked.question.personal:
        yield from _likely(found)
        return
    sure = certainty(asked, best)
    for other in found[1:]:
        least, as_sure = (
            (GOES_WITH, AS_SURE) if other.section.id == best.section.id else (GOES_WITH_OTHER, AS_SURE_OTHER)
        )
        if other.score >= least * best.score and certainty(asked, other) >= as_sure * sure:
            yield other


def _likely(found: Sequence[Candidate]) -> list[Candidate]:
    """What may hold the answer if the best sentence does not, by how likely that is for each word to be read."""
    likely = [math.exp(SHARPNESS * (one.score - found[0].score)) for one in found]
    total = sum(likely)
    worth = [(one, share / total / max(one.statement.words, 1)) for one, share in zip(found, likely, strict=True)]
    return [one for one, each in sorted(worth[1:], key=lambda pair: -pair[1]) if each >= LEAST_LIKELY]


def _repeats(one: Candidate, other: Candidate) -> bool:
    shared = frozenset(one.statement.stems) & frozenset(other.statement.stems)
    fewest = min(len(set(one.statement.stems)), len(set(other.statement.stems)))
    return one is other or len(shared) >= REPEATS * fewest


def _written(chosen: Sequence[Candidate], number: Mapping[str, int]) -> list[str]:
    """Each sentence with its marker; a line of its own after one that does not end as a sentence does."""
    pieces: list[str] = []
    for one in chosen:
        joint = "" if not pieces else " " if pieces[-1].rpartition(" [[")[0].endswith((".", "!", "?")) else "\n"
        pieces.append(f"{joint}{one.text} [[{number[one.section.id]}]]")
    return pieces


def follow_ups(corpus: Corpus, question: Question) -> tuple[str, ...]:
    """Questions that the site itself asks and answers, nearest to this one first; none is made up."""
    asked = frozenset(question.terms)
    found: list[str] = []
    for passage in corpus.search(f"{question.query} ?", PASSAGES * 2):
        heading = passage.section.heading.rpartition(" › ")[2]
        if heading.endswith("?") and heading not in found and not asked.issuperset(content(heading)):
            found.append(heading)
    return tuple(found[:MOST_FOLLOW_UPS])
