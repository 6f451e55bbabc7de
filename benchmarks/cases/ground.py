"""Held-out cases for the ground check: sentences of a site said otherwise, and lies of other kinds than the liar's.

Written before the check was mended with what they showed: seed 20261121 was looked at then, seed 77 never. `cases` tells, of any
sections, true sentences in other words and false ones; `asked` makes statements of the questions that people wrote
for SQuAD's articles; `stations` tells a CV's jobs in four languages. Knows nothing of the check.
"""

# ruff: noqa: E501 (tables of patterns, a line each)

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, pairwise
from typing import Any

from askfit.text import sentences, words
from askfit.types import Section

FALSE = ("number", "unit", "date", "span", "name", "place", "claim", "negated", "swap")  # kinds of lies
TRIES = 40  # sentences that are tried for one case


@dataclass(frozen=True, slots=True)
class Case:
    """One sentence of an answer. `way`: how it was made; `false`: the kind of its lie, "" where it is true."""

    way: str
    text: str
    false: str = ""
    cited: tuple[int, ...] = ()
    question: str = ""


# ---------------------------------------------------------------- true sentences, said otherwise

_SYNONYMS = dict(
    pair.split("/")
    for pair in (
        "led/headed leads/heads leading/heading built/assembled created/established joined/entered launched/released "
        "started/began began/started grew/increased rose/climbed fell/dropped wrote/authored helped/assisted "
        "showed/demonstrated moved/relocated shipped/delivered however/still large/big important/significant "
        "company/firm customers/clients students/pupils conflict/dispute king/monarch country/nation "
        "developers/programmers project/initiative article/piece required/needed allows/lets several/various "
        "became/grew-into often/frequently usually/commonly quickly/rapidly main/principal major/principal "
        "begin/start end/finish get/obtain buy/purchase show/reveal use/employ help/aid need/require "
        "small/little difficult/hard problem/issue job/post improved/bettered reduced/lowered managed/ran "
        "designed/devised developed/devised responsible/accountable area/field areas/fields different/distinct "
        "war/conflict army/forces"
    ).split()
)
_SPELLED = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
).split()
_MONTHS = "January February March April May June July August September October November December".split()
_MONTH = "|".join(_MONTHS)
_YEAR = r"(?:1[5-9]|20)\d\d"
_FIGURE = re.compile(
    r"(?<![\w.,$€£:/#+–-])(\d{1,3}(?:,\d{3})+|\d+)(?=[ %](?!(?:January|February|March|April|May|June|July|August|Septemb"
    r"er|October|November|December|million|billion|thousand|hundred|AD|BC|BCE|CE|st|nd|rd|th)\b)[%a-z(])"
)
_OPENINGS = (
    "According to the pages here, ", "From what is written, ", "Sure, here is what I found: ", "In short, ",
    "Good question! ", "Based on the site, ", "Yes, ", "To summarise: ", "- ", "1. ", "> ", "• ",
)  # fmt: skip


_SMALL = frozenset(
    "The He She They It In On At This These Those A An As My We Our When If By For While After However Around There Since Before During When One Two Three All Some Many Each".split()
)


def _otherwise(text: str, chance: random.Random) -> str:
    """Synonyms, third person, other openings."""
    found = re.sub(
        r"\b[a-z]+\b", lambda m: _SYNONYMS.get(m[0], m[0]).replace("-", " ") if chance.random() < 0.8 else m[0], text
    )
    for pattern, other in (
        (r"\bI'm\b|\bI am\b", "he is"), (r"\bI've\b|\bI have\b", "he has"), (r"\bI was\b", "he was"),
        (r"\bI\b", "he"), (r"\b[Mm]y\b", "his"), (r"\bme\b", "him"), (r"\b[Ww]e\b", "they"), (r"\b[Oo]ur\b", "their"),
    ):  # fmt: skip
        found = re.sub(pattern, other, found)
    found = found[0].upper() + found[1:]
    return found if found != text else ""


def _framed(text: str, chance: random.Random) -> str:
    opening = chance.choice(_OPENINGS)
    first = text.split()[0]
    small = opening[-2] == "," and first in _SMALL
    return opening + (text[0].lower() + text[1:] if small else text)


def _reordered(text: str, chance: random.Random) -> str:
    """ "In 2019, X." and "X in 2019."; "When X, Y." and "Y when X." """
    bare = text.rstrip(".")
    if match := re.match(
        r"((?:In|On|At|By|During|After|Before|When|While|As|If|Since|Under|With) [^,]{4,60}), (.+)", bare
    ):
        return f"{match[2][0].upper()}{match[2][1:]} {match[1][0].lower()}{match[1][1:]}."
    if match := re.search(
        rf" ((?:in|on|at|by|during|after|before|when|since) (?:[\w ]{{0,30}}{_YEAR}|[^,]{{8,60}}))$", bare
    ):
        head = bare[: match.start()]
        return f"{match[1][0].upper()}{match[1][1:]}, {head}." if len(head.split()) >= 5 and "," not in head else ""
    return ""


def _condensed(text: str, chance: random.Random) -> str:
    """Only the first clause of it."""
    cut = re.search(r"(?:, (?:which|who|and|but|so|where|although|while|because)\b|; | — | – | \()", text)
    head = text[: cut.start()] if cut else ""
    return f"{head}." if len(head.split()) >= 7 and head.count("“") == head.count("”") else ""


def _pronoun(text: str, chance: random.Random) -> str:
    match = re.match(
        r"(?:The )?(?:[A-Z][\w’'-]+ ){1,3}(?=(?:was|were|is|are|had|has|led|made|became|took|did)\b)", text
    )
    return f"{chance.choice(('It', 'They', 'He', 'This'))} {text[match.end() :]}" if match else ""


def _numbers(text: str, chance: random.Random) -> str:
    """Words for figures, figures for words, 12k, 1.2M, half, other separators."""

    def one(match: re.Match[str]) -> str:
        value = int(match[1].replace(",", ""))
        if "," not in match[1] and 1900 <= value <= 2100:
            return match[0]
        if value <= 20:
            return _SPELLED[value] if value > 1 else match[0]
        if value >= 10_000 and value % 1000 == 0:
            return chance.choice(
                (f"{value // 1000}k", f"{value // 1000} thousand", str(value), f"{value:,}".replace(",", "."))
            )
        return str(value) if "," in match[1] else match[0]

    found = re.sub(r"(?<=\d)%", lambda m: chance.choice((" percent", " per cent", " %")), text)
    found = _FIGURE.sub(one, found)
    for at, word in enumerate(_SPELLED[2:], 2):
        found = re.sub(rf"(?<= ){word}(?= [a-z])", str(at), found)
    found = re.sub(r"\b(\d)\.(\d) million\b", lambda m: f"{m[1]},{m[2]}00,000", found)
    return found if found != text else ""


def _rounded(text: str, chance: random.Random) -> str:
    """ "About 40", "over a dozen", "more than 400,000", "nearly 90%", "dozens of"."""
    for match in _FIGURE.finditer(text):
        value = int(match[1].replace(",", ""))
        percent = text[match.end()] == "%"
        before = text[: match.start()].rstrip().rpartition(" ")[2].casefold()
        counted = percent or text[match.end() :].lstrip().split(" ")[0].strip(".,;:").endswith("s")
        year = "," not in match[1] and 1000 <= value <= 2100
        if value < 13 or year or not counted or before in _BOUND or not before.isalpha():
            continue
        size = 10 ** (len(str(value)) - 2)
        low, near = value // size * size, round(value / size) * size
        ways = [f"about {near:,}", f"around {near:,}", f"~{near:,}", f"roughly {near:,}"]
        if low < value:
            ways += [f"more than {low:,}", f"over {low:,}", f"at least {low:,}", f"nearly {low + size:,}"]
        if 13 <= value <= 17 and not percent:
            ways = ["over a dozen", "more than a dozen"]
        if 26 <= value <= 96 and not percent and text[match.end() :].lstrip().split(" ")[0].endswith("s"):
            ways += ["dozens of"]
        if percent and 48 <= value <= 52:
            return f"{text[: match.start()]}about half{text[match.end() + 1 :]}"
        return f"{text[: match.start()]}{chance.choice(ways)}{text[match.end() :]}"
    return ""


_BOUND = frozenset(
    "about over than nearly almost around approximately least up under some to from of section no at "
    "note the than between and or rules plus minus until by in article january february march april may june july august "
    "september october november december".split()
)


def _dated(text: str, chance: random.Random) -> str:
    """Other forms of a date, and less of it."""
    for pattern, ways in (
        (rf"\b(?P<d>\d{{1,2}}) (?P<m>{_MONTH}) (?P<y>{_YEAR})\b", ("{m} {d}, {y}", "{m} {d}th, {y}", "{y}-{n:02}-{d:02}", "{m} {y}", "{d}. {n}. {y}", "{d}/{n}/{y}", "{y}")),
        (rf"\b(?P<m>{_MONTH}) (?P<d>\d{{1,2}}), (?P<y>{_YEAR})\b", ("{d} {m} {y}", "the {d}th of {m} {y}", "{y}-{n:02}-{d:02}", "{s} {d}, {y}", "{m} {y}")),
        (rf"\b(?P<m>{_MONTH}) (?P<y>{_YEAR})\b", ("{s} {y}", "{s}. {y}", "{n:02}/{y}", "{y}-{n:02}", "{m} of {y}", "{p} {y}", "{y}")),
        (r"\bin (?P<y>1[5-9]\d\d|20\d\d)\b(?!s|[–—-]| (?:and|to|or|through|until)\b)", ("during {y}", "in the year {y}", "in the {c}0s", "back in {y}")),
    ):  # fmt: skip
        if match := re.search(pattern, text):
            got = match.groupdict()
            month = got.get("m") or ""
            at = _MONTHS.index(month) + 1 if month else 0
            part = "early" if at <= 4 else "mid" if at <= 8 else "late"
            said = chance.choice(ways).format(
                m=month, n=at, s=month[:3], d=int(got.get("d") or 1), y=got["y"], c=got["y"][:3], p=part
            )
            for wrong, right in (
                ("1th", "1st"),
                ("2th", "2nd"),
                ("3th", "3rd"),
                ("11st", "11th"),
                ("12nd", "12th"),
                ("13rd", "13th"),
            ):
                said = said.replace(wrong, right)
            return text[: match.start()] + said + text[match.end() :]
    return ""


def _lasting(text: str, chance: random.Random) -> str:
    """ "For about three years" where two years stand."""
    match = re.search(
        rf"\b(?:from|between) (?:({_MONTH}) )?({_YEAR}) (?:to|and|until|through) (?:({_MONTH}) )?({_YEAR})\b", text
    )
    if not match or not 1 < (years := int(match[4]) - int(match[2])) <= 20:
        return ""
    loose = "about " if match[1] or match[3] else ""
    return f"{text[: match.start()]}for {loose}{_SPELLED[years]} years{text[match.end() :]}"


REWORD: dict[str, Callable[[str, random.Random], str]] = {
    "otherwise": _otherwise, "framed": _framed, "reordered": _reordered, "condensed": _condensed, "pronoun": _pronoun,
    "numbers": _numbers, "rounded": _rounded, "dated": _dated, "lasting": _lasting,
}  # fmt: skip


# ---------------------------------------------------------------- lies

_PEOPLE = "Augustin Velmore|Katarzyna Brzoza|Delphine Oakhurst|Tomohiro Anzai|Ruairi Kestrel|Imogen Haldane".split("|")
_FIRMS = "Helixware|Quantive|Bluefjord Capital|Sarnac Technologies|Obelisk Media|Tessellate|Kormorant GmbH|Vantagepine".split(
    "|"
)
_PLACES = "Ljubljana|Gaborone|Tashkent|Wellington|Montevideo|Antananarivo|Saskatoon|Vilnius".split("|")
_TOOLS = "Zephyrdb|Marlin Studio|FortranX|Quokka Cloud|PlumJS|Octoforge".split("|")
_NAMED = re.compile(r"(?<=[a-z,] )[A-Z][a-zà-ÿ’]{2,}(?: [A-Z][a-zà-ÿ’]{2,})*")
_PLACED = re.compile(r"(?<=\bin )[A-Z][a-zà-ÿ]{3,}(?: [A-Z][a-zà-ÿ]{3,})*")


def _ended(text: str, more: str) -> str:
    return f"{text.rstrip('.!?:; ')}{more}."


def _false_number(text: str, told: Sequence[str], chance: random.Random) -> str:
    """Near by, tenfold, as a word, or a count that was added."""
    if match := _chosen(_FIGURE, text, chance):
        value = int(match[1].replace(",", ""))
        if "," in match[1] or not 1400 <= value <= 2100:
            near = [value + max(1, round(value * part)) for part in (0.15, 0.3, 0.5)] + [
                value * 10,
                max(2, round(value * 0.7)),
            ]
            false = chance.choice([one for one in near if one != value])
            said = _SPELLED[false] if false <= 20 and chance.random() < 0.5 else f"{false:,}"
            return text[: match.start()] + said + text[match.end() :]
    if match := _chosen(re.compile(rf"(?<= )({'|'.join(_SPELLED[2:13])})(?= [a-z])"), text, chance):
        false = chance.choice([one for one in range(2, 19) if _SPELLED[one] != match[1]])
        return text[: match.start()] + chance.choice((str(false), _SPELLED[false])) + text[match.end() :]
    return _ended(text, chance.choice((", with a staff of 73", ", serving 4,700 customers", ", for a fee of $86,000",
                                       ", as one of nineteen finalists", ", which saved 34%")))  # fmt: skip


def _false_unit(text: str, told: Sequence[str], chance: random.Random) -> str:
    """The figure is true, what it counts is not: 40 ms for 40%, billion for million, months for weeks."""
    for pattern, others in (
        (r"(?<=\d)(?:%| percent)", (" ms", " hours", " people", " million")),
        (r"\bmillion\b", ("billion", "thousand")), (r"\bbillion\b", ("million",)), (r"\bthousand\b", ("million",)),
        (r"(?<=\d )years?\b", ("weeks", "months")), (r"(?<=\d )weeks?\b", ("months", "hours")),
        (r"(?<=\d )months\b", ("years", "days")), (r"(?<=\d )days\b", ("months", "years")),
        (r"(?<=\d )hours\b", ("weeks",)), (r"(?<=\d )minutes\b", ("weeks",)), (r"\b(?<=[a-z] )years\b", ("weeks",)),
    ):  # fmt: skip
        if re.search(pattern, text) and re.search(r"\d|" + "|".join(_SPELLED[2:]), text):
            return re.sub(pattern, chance.choice(others), text, count=1)
    return ""


def _false_date(text: str, told: Sequence[str], chance: random.Random) -> str:
    years = set(re.findall(_YEAR, " ".join(told)))
    if match := _chosen(re.compile(rf"(?<![\d,.$])({_YEAR})(?![\d,]|\.\d)"), text, chance):
        near = [year for by in (-7, -3, -2, -1, 1, 2, 3, 8) if (year := str(int(match[1]) + by)) not in years]
        return text[: match.start()] + chance.choice(near) + text[match.end() :] if near else ""
    if match := _chosen(re.compile(rf"\b(?:{_MONTH})\b(?= \d)"), text, chance):
        return text[: match.start()] + chance.choice([one for one in _MONTHS if one not in text]) + text[match.end() :]
    free = [str(year) for year in range(1961, 2031) if str(year) not in years]
    return _ended(text, chance.choice((" in {}", " as early as {}", ", by spring {}", " on 9 October {}"))
                  .format(chance.choice(free))) if free else ""  # fmt: skip


def _false_span(text: str, told: Sequence[str], chance: random.Random) -> str:
    """A time that no two dates give."""
    years = [int(year) for year in re.findall(_YEAR, text)]
    if not years:
        return ""
    spans = {abs(a - b) for a in years for b in years}
    wrong = [span for span in range(3, 20) if all(abs(span - one) > 1 for one in spans) and _SPELLED[span] not in text]
    said = _SPELLED[chance.choice(wrong)]
    if match := re.search(
        rf"\b(?:from|between) (?:\w+ )?({_YEAR}) (?:to|and|until|through) (?:\w+ )?({_YEAR})\b", text
    ):
        return f"{text[: match.start()]}for {said} years{text[match.end() :]}"
    return _ended(text, f", for {said} years")


def _false_name(text: str, told: Sequence[str], chance: random.Random) -> str:
    if chance.random() < 0.4 and (match := _chosen(_NAMED, text, chance)):
        return text[: match.start()] + chance.choice(chance.choice((_PEOPLE, _FIRMS))) + text[match.end() :]
    return _ended(text, chance.choice((
        f", together with {chance.choice(_PEOPLE)}", f", using {chance.choice(_TOOLS)}",
        f" on behalf of {chance.choice(_FIRMS)}", f" as a contractor for {chance.choice(_FIRMS)}",
        f", a {chance.choice(_FIRMS)} product", f", as {chance.choice(_PEOPLE)} confirmed",
    )))  # fmt: skip


def _false_place(text: str, told: Sequence[str], chance: random.Random) -> str:
    if match := _chosen(_PLACED, text, chance):
        return text[: match.start()] + chance.choice(_PLACES) + text[match.end() :]
    return _ended(text, f" in {chance.choice(_PLACES)}")


def _false_claim(text: str, told: Sequence[str], chance: random.Random) -> str:
    """The first, the only, award-winning; all for some; dozens for a few."""
    some = re.search(r"\b(?:[Ss]ome|[Mm]any|[Ss]everal|[Aa] few)(?: of)?(?= (?!of\b)[a-z]+s\b)", text)
    if some and chance.random() < 0.7:
        word = chance.choice(("all", "every one of the", "most", "none of the", "hundreds of"))
        return text[: some.start()] + (word.capitalize() if some[0][0].isupper() else word) + text[some.end() :]
    match = _chosen(re.compile(r"(?<=\b(?:is|as) )an? (?=[a-z])|(?<=\bwas )an? (?=[a-z])"), text, chance)
    if match:
        word = chance.choice(("the first ", "the only ", "an award-winning ", "the largest ", "the most successful ",
                              "the world's leading ", "the number one "))  # fmt: skip
        return text[: match.start()] + word + text[match.end() :]
    often = re.search(r"\b(?:often|sometimes|usually|can|may|might)\b", text)
    return text[: often.start()] + "always" + text[often.end() :] if often and often[0][0] in "osu" else ""


def _negated(text: str, told: Sequence[str], chance: random.Random) -> str:
    """A true sentence turned round."""
    if re.search(r"\b(?:not|no|never|none|nor|without|neither|unless|hardly|few)\b|n[’']t\b|[?“\"]", text):
        return ""
    for pattern, other in (
        (r"\b(?:he|she|they|it|who|I|we) (?=had|has|led|built|created|joined|made|wrote|took|became)", r"\g<0>never "),
        (r"\b(?:is|was|are|were|can|will|should|has been|have been|had been)\b", r"\g<0> not"),
        (r"\b(led|built|created|joined|launched|managed|wrote|designed|developed|worked|helped|began|ended)\b", r"did not \1"),
        (r"\b(has|have|had)\b", r"\1 never"),
    ):  # fmt: skip
        if re.search(pattern, text):
            return re.sub(pattern, other, text, count=1)
    return ""


def _swapped(text: str, told: Sequence[str], chance: random.Random) -> str:
    """The site's own name from elsewhere, that no section has beside another name or figure of this sentence."""
    for match in chance.sample(found := list(_PLACED.finditer(text)) + list(_NAMED.finditer(text)), len(found)):
        pattern = _PLACED if match.re is _PLACED else _NAMED
        rest = set(words(" ".join(other.group() for other in _NAMED.finditer(text) if other.group() != match.group())))
        rest |= set(re.findall(r"\d+", text))
        theirs = sorted({one for said in told for one in pattern.findall(said)} - {match.group()})
        for false in chance.sample(theirs, min(len(theirs), 12)):
            mine = set(words(false))
            anchors = rest - mine
            if anchors and not any(mine <= (there := _words(said)) and anchors & there for said in told):
                return text[: match.start()] + false + text[match.end() :]
    return ""


LIE: dict[str, Callable[[str, Sequence[str], random.Random], str]] = dict(
    zip(
        FALSE,
        (_false_number, _false_unit, _false_date, _false_span, _false_name, _false_place, _false_claim, _negated, _swapped),
        strict=True,
    )
)  # fmt: skip


@lru_cache(maxsize=4096)
def _words(text: str) -> frozenset[str]:
    return frozenset(words(text))


def _chosen(pattern: re.Pattern[str], text: str, chance: random.Random) -> re.Match[str] | None:
    found = list(pattern.finditer(text))
    return chance.choice(found) if found else None


# ---------------------------------------------------------------- of a site's sections


def cases(sections: Sequence[Section], seed: int, each: int) -> list[Case]:
    """`each` cases of every way of saying a true sentence otherwise, and of every kind of lie; fewer where few can be."""
    chance = random.Random(seed)
    told = [(at, text) for at, section in enumerate(sections, 1) for text in sentences(section.text) if _fit(text)]
    pages = [section.text for section in sections]
    found: list[Case] = []

    def collect(way: str, false: str, make: Callable[[int, str], str]) -> None:
        drawn = chance.sample(told, min(len(told), each * TRIES))
        made = ((at, text, make(at, text)) for at, text in drawn)
        kept = ((at, other) for at, text, other in made if other and other != text)
        for count, (at, other) in enumerate(islice(kept, each)):
            found.append(Case(way, other, false, (at,) if count % 2 else ()))

    for way, reword in REWORD.items():
        collect(way, "", lambda at, text, reword=reword: reword(text, chance))  # type: ignore[misc]
    for kind, lie in LIE.items():
        collect(kind, kind, lambda at, text, lie=lie: lie(text, pages, chance))  # type: ignore[misc]
    found += _joined(told, chance, each)
    return found


def _joined(told: Sequence[tuple[int, str]], chance: random.Random, each: int) -> Iterator[Case]:
    """Two facts of one section, or of two, in one sentence; and two ways of rewording on top of each other."""
    beside = [(a, b) for a, b in pairwise(told) if len(a[1].split()) + len(b[1].split()) <= 45]
    for (at, one), (there, other) in chance.sample(beside, min(len(beside), each)):
        second = chance.choice(told) if chance.random() < 0.3 else (there, other)
        small = second[1].split()[0] in _SMALL
        rest = second[1][0].lower() + second[1][1:] if small else second[1]
        text = f"{one.rstrip('.!?:; ')}{chance.choice(('; ', ', and ', ', while '))}{rest}"
        yield Case("joined", text, "", (at, second[0]))
    twice = 0
    for at, text in chance.sample(told, min(len(told), each * TRIES)):
        first, second_way = chance.sample([way for way in REWORD.values() if way is not _framed], 2)
        said = first(text, chance)
        if twice < each and said and (again := second_way(said, chance)):
            twice += 1
            yield Case("twice", again, "", (at,) if twice % 2 else ())


def _fit(text: str) -> bool:
    """A whole sentence of prose."""
    return (
        6 <= len(text.split()) <= 40
        and text[0].isupper()
        and text[-1] in ".!"
        and not re.search(r"https?://|[|<>{}=`]|\w\(\)|:$", text)
    )


# ---------------------------------------------------------------- of people's questions


def asked(article: Mapping[str, Any], seed: int, each: int) -> list[Case]:
    """Statements made of questions and their answers; false ones have another question's answer of the same kind.

    "trap": a question that has no answer there, with the answer that a reader might fall for.
    """
    chance = random.Random(seed)
    true: list[tuple[str, str, int]] = []
    traps: list[tuple[str, str]] = []
    for at, paragraph in enumerate(article["paragraphs"], 1):
        for one in paragraph["qas"]:
            answers = one["answers"] or one.get("plausible_answers", [])
            answer = min((found["text"] for found in answers), key=len, default="")
            whole = re.search(rf"(?<![\w,.]){re.escape(answer)}(?![\w]|,\d)", paragraph["context"])
            if not whole or not re.search(r"\d|[A-Z]", answer) or len(answer.split()) > 6:
                continue
            if one["is_impossible"]:
                traps.append((one["question"].strip(), answer))
            else:
                true.append((one["question"].strip(), answer, at))
    context = [set(words(paragraph["context"])) for paragraph in article["paragraphs"]]
    found = [
        Case("asked", said, "", (at,) if count % 2 else (), question)
        for count, (question, answer, at) in enumerate(chance.sample(true, min(len(true), each * 2)))
        if (said := _stated(question, answer))
    ]
    for question, _answer, at in chance.sample(true, min(len(true), each)):
        kind = _asks(question)
        others = [
            other
            for asked_too, other, _ in true
            if _asks(asked_too) == kind and not set(words(other)) & (context[at - 1] | set(words(question)))
        ]
        if others and (said := _stated(question, chance.choice(others))):
            found.append(Case("asked", said, "asked", (), question))
    for question, answer in chance.sample(traps, min(len(traps), each)):
        if said := _stated(question, answer):
            found.append(Case("trap", said, "trap", (), question))
    return found


_ASKS = re.compile(
    r"(?:In |On |At |By |For |To |From |During )?(?P<w>who|when|where|how many|what (?:year|century|date|country|city|language|percentage)|which|what)\b"
    r"(?P<rest>.*?)\??$",
    re.IGNORECASE,
)


def _asks(question: str) -> str:
    match = _ASKS.match(question)
    return match["w"].casefold() if match else ""


def _stated(question: str, answer: str) -> str:
    """ "When did X begin?", "1206" → "1206 is when X begin": the words of a statement, if not always its grammar."""
    match = _ASKS.match(question)
    if not match or len(question.split()) < 5:
        return ""
    asks, rest = match["w"].casefold(), match["rest"].strip()
    rest = re.sub(r"^(?:did|do|does) ", "", rest)
    subject = answer[0].upper() + answer[1:]
    if asks in ("when", "where"):
        return f"{subject} is {asks} {re.sub(r'^(?:was|were|is|are) ', '', rest)}."
    if asks == "how many":
        thing, _, more = rest.partition(" ")
        return f"There were {answer} {thing} that {more}." if thing not in answer else f"{subject} {more}."
    if asks == "who" or re.match(r"(?:was|were|is|are) ", rest):
        return f"{subject} {rest}."
    noun = asks.partition(" ")[2]
    return f"{subject} is the {noun} {rest}.".replace("  ", " ")


# ---------------------------------------------------------------- of CVs


def stations(cv: Mapping[str, Any], seed: int) -> list[Case]:
    """A CV's jobs, schools and skills as sentences in four languages; false: another job's dates, a place, a denial."""
    chance = random.Random(seed)
    basics, work = (
        cv.get("basics", {}),
        [one for one in cv.get("work", []) if one.get("startDate") and one.get("position")],
    )
    first = str(basics.get("name", "")).removeprefix("Dr. ").split(" ")[0] or "She"
    found: list[Case] = []
    for one in work:
        told = _told(one, first, one)
        found += [Case("station", said) for said in told]
        for other in work:
            if other["name"] != one["name"] and other["startDate"][:4] != one["startDate"][:4]:
                found += [Case("station", said, "swap") for said in _told(one, first, other)[:5]]
        shifted = {**one, "startDate": f"{int(one['startDate'][:4]) - 4}{one['startDate'][4:]}"}
        found += [Case("station", said, "date") for said in _told(shifted, first, one)[:2]]
        found += [
            Case("station", f"{first} never worked at {one['name']}.", "negated"),
            Case("station", f"{first} did not work as {one['position']} at {one['name']}.", "negated"),
            Case(
                "station",
                f"As {one['position']} at {one['name']}, {first} led {chance.choice((23, 31, 57))} people.",
                "number",
            ),
            Case("station", f"{first} works for {one['name']} from {chance.choice(_PLACES)}.", "place"),
            Case("station", f"{first} was the first {one['position']} at {one['name']}.", "claim"),
        ]
    home = basics.get("location", {}).get("city", "")
    for school in cv.get("education", []):
        if school.get("area") and school.get("endDate"):
            year = school["endDate"][:4]
            found.append(
                Case("school", f"{first} studied {school['area']} at {school['institution']}, graduating in {year}.")
            )
            found.append(
                Case(
                    "school", f"{first} lives in {school['institution'].split()[-1]} now.", "swap" if home else "place"
                )
            )
    if home:
        found += [Case("home", f"{first} is based in {home}."), Case("home", f"{first} lebt in {home}.")]
        found += [Case("home", f"{first} lives in {place}.", "place") for place in _PLACES[:3]]
    for skill in cv.get("skills", []):
        named = [str(one) for one in skill.get("keywords", [])][:3]
        if len(named) == 3:
            found.append(Case("skills", f"{first} works with {named[0]}, {named[1]} and {named[2]}."))
            found.append(
                Case("skills", f"{first} works with {named[0]}, {chance.choice(_TOOLS)} and {named[2]}.", "name")
            )
    return found


_FOREIGN = {
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split(),
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre".split(),
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre".split(),
}


def _told(one: Mapping[str, Any], first: str, other: Mapping[str, Any]) -> list[str]:
    """A job, with the employer of the other."""
    firm, post, start, end = other["name"], one["position"], str(one["startDate"]), str(one.get("endDate") or "")
    year, month = start[:4], int(start[5:7] or 1) - 1
    said = [
        f"{firm} employed {first} as {post} starting in {_MONTHS[month]} {year}." if start[5:7] else f"{firm} employed {first} as {post} from {year}.",
        f"I have been {post} with {firm} since {year}." if not end else f"I was {post} with {firm} ({year}–{end[2:4]}).",
    ]  # fmt: skip
    if end and start[5:7] and end[5:7]:
        last, until = int(end[5:7]) - 1, end[:4]
        de, fr, es = _FOREIGN["de"], _FOREIGN["fr"], _FOREIGN["es"]
        said += [
            f"From {_MONTHS[month][:3]} {year} until {_MONTHS[last][:3]} {until}, {first} held the post of {post} at {firm}.",
            f"Von {de[month]} {year} bis {de[last]} {until} war {first} als {post} bei {firm} tätig.",
            f"De {fr[month]} {year} à {fr[last]} {until}, {first} a occupé le poste de {post} chez {firm}.",
            f"Entre {es[month]} de {year} y {es[last]} de {until} trabajó como {post} en {firm}.",
        ]
        months = (int(until) - int(year)) * 12 + last - month
        if months >= 20:
            years = round(months / 12)
            said.append(f"{first} stayed with {firm} for about {_SPELLED[years] if years <= 20 else years} years.")
    return said
