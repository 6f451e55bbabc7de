"""A model that lies: true sentences of what it was given, some with one thing made false. Deterministic by its seed.

Five kinds: a number, a date, a name, an employer, and a swap (another section's words in the place of this one's).
`tell` says, for a test, which sentences were planted. Knows only the text that it was given, and invents the rest.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from askfit.providers.scripted.faithful import marked_sentences, stems, tagged
from askfit.text import words

Told = Sequence[tuple[str, str]]  # (section's number, sentence)
KINDS = ("number", "date", "name", "employer", "swap")
TOLD = 3  # sentences of an answer, at most; one of them is planted
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_MONTH = re.compile(
    r"\b(?:January|February|March|April|June|July|August|September|October|November|December)\b(?= (?:\d|to\b))"
)
_NUMBER = re.compile(
    r"(?<![\w.,-])(?:\d{1,3}(?:,\d{3})+|\d+(?:\.\d+)?)(?![\w,]|\.\d)|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b"
)
_CAPITAL = r"[A-Z][\w’'&-]*[a-z][\w’'&-]*"
_NAME = re.compile(rf"(?<=[a-z,:(–—] ){_CAPITAL}(?: {_CAPITAL})*")
_EMPLOYER = re.compile(rf"(?<=\bat ){_CAPITAL}(?: {_CAPITAL})*")
_SPELLED = "two three four five six seven eight nine ten eleven twelve".split()
_MONTHS = "January February March April June July August September October November December".split()
_FIRST = "Thorvik Calderon Wexley Brannock Osterholm Pellegrine Quarrington Varnholt Ilmarsson Dunmorrow".split()
_LAST = "Systems Partners Analytics Robotics Ventures Labs Foundry Holdings Networks Dynamics".split()


@dataclass(frozen=True, slots=True)
class Lie:
    """One answer: its sentences in order, each with its section's number, and which are planted as what."""

    sentences: tuple[tuple[str, str], ...]  # (number, text)
    planted: tuple[tuple[int, str, str], ...] = ()  # (which sentence, kind, what it said in truth)

    @property
    def text(self) -> str:
        return " ".join(f"{text} [[{number}]]" if number else text for number, text in self.sentences)


def tell(given: Told, question: str, seed: int = 0, kind: str = "") -> Lie:
    """What the model says when it is given these sentences and asked this question; `kind`: only this kind of lie.

    Without a sentence that can be made false in that way nothing is planted.
    """
    told = [(number, text) for number, text in given if 6 <= len(text.split()) <= 45]
    if not told:
        return Lie(())
    chance = random.Random(f"{seed}|{question}")  # noqa: S311 (the same lie every time, on purpose)
    asked = stems(question)
    ranked = sorted(range(len(told)), key=lambda at: (-len(asked & stems(told[at][1])), at))
    first = ranked[0] if asked & stems(told[ranked[0]][1]) else chance.randrange(len(told))
    chosen = [at for at in range(first, min(first + TOLD, len(told))) if told[at][0] == told[first][0]]
    kinds = [kind] if kind else chance.sample(KINDS, len(KINDS))
    for one in kinds:
        for at in chance.sample(chosen, len(chosen)):
            false = PLANT[one](told[at][1], told, told[at][0], chance)
            if false and false != told[at][1]:
                said = tuple((told[other][0], false if other == at else told[other][1]) for other in chosen)
                return Lie(said, ((chosen.index(at), one, told[at][1]),))
    return Lie(tuple(told[at] for at in chosen))


def answer(system: str, asked: str, seed: int = 0) -> Lie:
    """`tell`, of askfit's own prompts."""
    given = f"{system}\n{tagged('passages', asked)}"
    return tell(list(marked_sentences(given)), tagged("question", asked) or asked, seed)


# ---------------------------------------------------------------- what is planted


def _number(text: str, told: Told, number: str, chance: random.Random) -> str:
    """Another number of the same look, that the sentence's section does not hold."""
    spans = [match for match in _NUMBER.finditer(text) if not _YEAR.fullmatch(match.group())]
    here = " ".join(said for other, said in told if other == number)
    for match in chance.sample(spans, len(spans)):
        for _ in range(20):
            false = _other_number(match.group(), chance)
            if false != match.group() and not re.search(rf"(?<![\d.,]){re.escape(false)}(?![\d.,])", here):
                return text[: match.start()] + false + text[match.end() :]
    return ""


def _other_number(figure: str, chance: random.Random) -> str:
    if figure in _SPELLED:
        return chance.choice(_SPELLED)
    if "." in figure:
        return f"{float(figure) * chance.choice((0.4, 1.7, 2.6)):.1f}"
    value = int(figure.replace(",", ""))
    false = max(2, round(value * chance.choice((0.3, 0.6, 1.5, 2.4, 4.0)))) + chance.randrange(3)
    return f"{false:,}" if "," in figure else str(false)


def _date(text: str, told: Told, number: str, chance: random.Random) -> str:
    years = list(_YEAR.finditer(text))
    months = list(_MONTH.finditer(text))
    if not years and not months:
        return ""
    match = chance.choice(years + months)
    if match in years:
        here = {found for other, said in told if other == number for found in _YEAR.findall(said)}
        free = [str(year) for year in range(1996, 2030) if str(year) not in here]
        false: str = chance.choice(free)
    else:
        false = chance.choice([month for month in _MONTHS if month not in text])
    return f"{text[: match.start()]}{false}{text[match.end() :]}"


def _name(text: str, told: Told, number: str, chance: random.Random) -> str:
    """An invented name in the place of one that stands there."""
    return _replaced(_NAME, text, chance.choice(_FIRST), chance)


def _employer(text: str, told: Told, number: str, chance: random.Random) -> str:
    """An invented employer in the place of a true one, or added."""
    name = f"{chance.choice(_FIRST)} {chance.choice(_LAST)}"
    return _replaced(_EMPLOYER, text, name, chance) or re.sub(r"(?=[.!?]*$)", f" at {name}", text.rstrip(), count=1)


def _swap(text: str, told: Told, number: str, chance: random.Random) -> str:
    """The site's own name or figure, from a section that never holds it together with the rest."""
    sections: dict[str, str] = {}
    for other, said in told:
        sections[other] = f"{sections.get(other, '')} {said}"
    for pattern in (_EMPLOYER, _NAME, _NUMBER):
        mine = [match for match in pattern.finditer(text) if not _YEAR.fullmatch(match.group())]
        for match in mine:
            rest = [word for word in _NAME.findall(text) if word != match.group()]
            figures = [found for found in re.findall(r"\d[\d,.]*\d|\d", text) if found not in match.group()]
            theirs = sorted({word for said in sections.values() for word in pattern.findall(said)} - {match.group()})
            false: str
            for false in chance.sample(theirs, len(theirs)):
                anchors = [anchor for anchor in rest + figures if not set(words(anchor)) & set(words(false))]
                together = (false in said and any(one in said for one in anchors) for said in sections.values())
                if anchors and not any(together):
                    return text[: match.start()] + false + text[match.end() :]
    return ""


def _replaced(pattern: re.Pattern[str], text: str, false: str, chance: random.Random) -> str:
    found = list(pattern.finditer(text))
    if not found:
        return ""
    match = chance.choice(found)
    return text[: match.start()] + false + text[match.end() :]


PLANT: dict[str, Callable[[str, Told, str, random.Random], str]] = {
    "number": _number,
    "date": _date,
    "name": _name,
    "employer": _employer,
    "swap": _swap,
}
