"""Read from a text what could be invented: numbers, dates, names, superlatives, addresses. Knows no corpus.

A number is a set of values, for "1.234" is one in one language and another in the next. Number words count as figures.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from askfit.ask.terms import STOP

Kind = Literal["number", "date", "name", "superlative", "address"]
Near = Literal["", "about", "up", "down"]  # "40", "about 40", "over 40", "nearly 40"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is borne or not. Only what its kind needs is set."""

    kind: Kind
    start: int
    end: int
    text: str
    values: frozenset[float] = frozenset()
    date: tuple[int | None, int | None, int | None] = (None, None, None)  # year, month, day
    unit: str = ""  # "year", "month", …, "money" or "%" with a number
    near: Near = ""
    high: float = 0.0  # "dozens": from the value to this one
    loose: bool = False  # a name that could only be a name, were its word not the first
    initial: bool = False  # a name where any word has a capital


_WORDS = {
    "zero": 0, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17,
    "eighteen": 18, "nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70,
    "eighty": 80, "ninety": 90, "dozen": 12, "twice": 2,
    "zwei": 2, "drei": 3, "vier": 4, "fünf": 5, "sechs": 6, "sieben": 7, "acht": 8, "neun": 9, "zehn": 10, "elf": 11,
    "zwölf": 12, "zwanzig": 20, "dreißig": 30, "vierzig": 40, "fünfzig": 50,
    "deux": 2, "trois": 3, "quatre": 4, "cinq": 5, "sept": 7, "huit": 8, "neuf": 9, "dix": 10, "onze": 11,
    "douze": 12, "quinze": 15, "vingt": 20, "trente": 30, "quarante": 40, "cinquante": 50,
    "dos": 2, "tres": 3, "cuatro": 4, "cinco": 5, "seis": 6, "siete": 7, "ocho": 8, "nueve": 9, "diez": 10,
}  # fmt: skip
_ONES = {"one": 1, **{word: value for word, value in _WORDS.items() if 2 <= value <= 9}}
_SCALES = {
    "hundred": 1e2, "thousand": 1e3, "tausend": 1e3, "mille": 1e3, "mil": 1e3, "million": 1e6, "millions": 1e6,
    "millionen": 1e6, "mio": 1e6, "millones": 1e6, "billion": 1e9, "bn": 1e9, "milliarden": 1e9, "k": 1e3, "m": 1e6,
}  # fmt: skip
_MONTHS = {
    name: at
    for at, names in enumerate(
        (
            "january januar janvier enero jan", "february februar février febrero feb", "march märz mars marzo mar",
            "april avril abril apr", "may mai mayo", "june juni juin junio jun", "july juli juillet julio jul",
            "august août agosto aug", "september septembre septiembre sep sept",
            "october oktober octobre octubre oct okt",
            "november novembre noviembre nov", "december dezember décembre diciembre dec dez",
        ),
        1,
    )
    for name in names.split()
}  # fmt: skip
_SEASONS = {"spring": 21, "summer": 22, "autumn": 23, "fall": 23, "winter": 24}  # as months past the twelfth
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_YEAR = r"(?:1[5-9]|20)\d\d"
_DATES = re.compile(
    rf"\b(?P<y1>{_YEAR})-(?P<m1>0[1-9]|1[0-2])(?:-(?P<d1>[0-3]\d))?\b"
    rf"|\b(?P<a>\d{{1,2}})(?:/|\. ?)(?P<b>\d{{1,2}})(?:/|\. ?)(?P<y2>{_YEAR})\b"
    rf"|\b(?P<m3>0?[1-9]|1[0-2])/(?P<y3>{_YEAR})\b"
    rf"|\b(?:(?P<d4>[0-3]?\d)(?:st|nd|rd|th|er)?\.? (?:of |de )?)?(?P<m4>{_MONTH})\b\.?"
    rf"(?: (?P<d5>[0-3]?\d)(?:st|nd|rd|th)?\b(?!\d|[.,:]?\d|%| ?(?:%|percent|people)))?"
    rf"(?:,? (?:of |in |de )?(?P<y4>{_YEAR})\b)?"
    rf"|\b(?P<s>spring|summer|autumn|fall|winter)(?: of| in)?,? (?P<y5>{_YEAR})\b"
    rf"|\b(?P<y6>{_YEAR})\s?[-–—/]\s?(?P<y7>\d\d)\b(?![\d-])"
    rf"|(?<![\w.,€$£-])(?P<y8>{_YEAR})(?P<decade>s\b|er\b)?(?![\d%]|[.,]\d)",
    re.IGNORECASE,
)
_GROUPED = r"\d{1,3}(?:[,.’'\u00a0\u202f]\d{3})+(?:[.,]\d+)?|\d+(?:[.,]\d+)?"
_FIGURE = re.compile(
    rf"(?<![\w.,])(?P<n>{_GROUPED})(?:\s?(?P<pc>%|percent\b|per cent\b|prozent\b|pour ?cent\b|por ciento\b)"
    r"|[\s-]?(?P<scale>hundred|thousand|million|billion|bn|tausend|millionen|mio|milliarden|millions|mille|millones|k|m)\b)?"
    r"(?!\w*[^\W\d_]\w*\d)",
    re.IGNORECASE,
)
_SPELLED = re.compile(
    rf"(?<![\w’'])(?:half a (?P<half>million|thousand|billion|dozen)"
    rf"|(?:(?P<n>{'|'.join(_WORDS)}|one)(?:[- ](?P<one>{'|'.join(_ONES)}))?|an?)"
    r"(?:[ -](?P<scale>hundred|thousand|million|billion|dozen|tausend|millionen|mille|millones))|"
    rf"(?P<n2>{'|'.join(_WORDS)})(?:[- ](?P<one2>{'|'.join(_ONES)}))?)(?!\w)",
    re.IGNORECASE,
)
_DATE_HINT = re.compile(r"\d|" + "|".join(sorted({name[:3] for name in _MONTHS})), re.IGNORECASE)
_SPELLED_HINTS = frozenset((*_WORDS, "one", *_SCALES, "decade", "jahrzehnt", "décennie")) - {"k", "m"}
_UNIT = re.compile(
    r"[\s-]*(?:full |whole |consecutive |working )?(?:(?P<year>years?|jahren?|jahre|ans?|années?|años?|yrs?)"
    r"|(?P<month>months?|monaten?|monate|mois|mes(?:es)?)|(?P<week>weeks?|wochen?|semaines?|semanas?)"
    r"|(?P<day>days?|tagen?|tage|jours?|días?)|(?P<hour>hours?|hrs?|stunden?|heures?|horas?)"
    r"|(?P<minute>minutes?|mins?|minuten?|minutos?)|(?P<second>seconds?|secs?|sekunden?|segundos?)"
    r"|(?P<ms>ms|milliseconds?)|(?P<money>dollars?|euros?|pounds?|usd|eur|gbp)"
    r"|(?P<pc>percent|per cent))\b|\s?(?P<sign>%)",
    re.IGNORECASE,
)
_DECADE = re.compile(r"\b(?:a|one|the) decade\b|\bein Jahrzehnt\b|\bune décennie\b", re.IGNORECASE)
_NEAR = re.compile(
    r"(?:\b(?:(?P<up>over|more than|at least|upwards of|in excess of|greater than|über|mehr als|plus de|más de)"
    r"|(?P<down>under|nearly|almost|less than|fewer than|up to|close to|just under|fast|près de|casi)"
    r"|(?P<about>about|around|roughly|some|approximately|approx\.?|circa|ca\.?|an estimated|etwa|rund|environ|unos))"
    r"|(?P<sign>[~≈]))\s*(?:a |the )?[$€£]?$",
    re.IGNORECASE,
)
_MANY = re.compile(
    r"\b(?P<word>dozens|hundreds|thousands|millions) of\b|\b(?P<de>Dutzende|Hunderte|Tausende)\b", re.IGNORECASE
)
_MANY_ARE = {
    "dozens": (24.0, 150.0), "hundreds": (150.0, 2e3), "thousands": (1.5e3, 5e5), "millions": (1.5e6, 1e9),
    "dutzende": (24.0, 150.0), "hunderte": (150.0, 2e3), "tausende": (1.5e3, 5e5),
}  # fmt: skip
_ORDINAL = re.compile(r"(?:^|\n)[\s>*\-–•(]*$")  # before the "1." of a list
_ADDRESS = re.compile(
    r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|\bhttps?://[^\s<>()\[\]]+|\bwww\.[^\s<>()\[\]]+|\+\d[\d ()/-]{6,}\d"
)
_WORD = re.compile(r"[^\W_]+(?:[’'][^\W_]+)*[+#]*")
_NO_SUPERLATIVE = frozenset(
    (
        "interest test request latest west east rest guest quest forest honest modest harvest invest suggest "
        "contest protest digest manifest arrest chest nest crest pest earnest tempest conquest retest "
        "backtest pytest northwest southwest midwest northeast southeast behest vest zest jest fest best- "
        "effort attest infest ingest detest divest nearest unrest priest breast everest budapest bucharest "
        "disinterest reinvest pretest hest est "
    ).split()
)
_SUPERLATIVE = re.compile(
    r"\b(?:award-winning|prize-winning|world-class|world-leading|industry-leading|market-leading|best-selling|unmatched"
    r"|unparalleled|unrivalled|second to none|number one|(?:the|a|an) (?:leading|foremost|top|renowned|famous)"
    r"|(?<=[’']s )(?:leading|foremost|top)"
    r"|(?<=\b(?:is|as) the )(?:first|only|sole)(?! (?:time|two|three|few|step|half|thing|part|ones?|and foremost)\b)"
    r"|(?<=\bwas the )(?:first|only|sole)(?! (?:time|two|three|few|step|half|thing|part|ones?|and foremost)\b)"
    r"|(?<=\bwere the )(?:first|only|sole)(?! (?:time|two|three|few|step|half|thing|part|ones?|and foremost)\b)"
    r"|(?<=\bbecame the )(?:first|only|sole)(?! (?:time|two|three|few|step|half|thing|part|ones?|and foremost)\b)"
    r"|most [a-z]{4,}|[a-z]{2,}est)\b",
    re.IGNORECASE,
)
_SUPERLATIVE_HINT = re.compile(
    r"est\b|most|-winning|-class|-leading|-selling|unmatch|unparal|unrival|second to|number one|leading|foremost|top"
    r"|renowned|famous|first|only|sole",
    re.IGNORECASE,
)
_MOST_OF = re.compile(
    r"most (?:of|people|time|days|weeks|often|recent|likely|recently|teams|users|notably)\b", re.IGNORECASE
)
_CONTRACTED = re.compile(r"[’'](?:ve|re|ll|d|m|s)$", re.IGNORECASE)
_TITLES = frozenset("mr mrs ms dr prof herr frau madame monsieur señor señora".split())
_OPENS = re.compile(r"(?:^|[.!?:…][\"'”’)\]]*\s+|\n)[\s\-–—*•·\d.)\"“„«(‘']*$")
_SAYS = re.compile(
    r"(?:[’']s)?\s+(?:is|was|has|had|are|were|ran|grew|rose|won|made|hired|sold|built|became|went)\b|[’']s\s"
)


@lru_cache(maxsize=65_536)
def fold(word: str) -> str:
    """Case, accents and a possessive ending off: what a name is compared by."""
    word = word.casefold().replace("’", "'")
    word = word.removesuffix("'s").removesuffix("'")
    if word.isascii():
        return word
    return "".join(char for char in unicodedata.normalize("NFKD", word) if not unicodedata.combining(char))


@lru_cache(maxsize=2048)
def facts(text: str) -> tuple[Fact, ...]:
    """Every fact of a text, in order. Names are told by their capitals alone."""
    taken: list[tuple[int, int]] = []
    found: list[Fact] = []
    for read in (_addresses, _dates, _figures, _spelled, _many):
        new = [one for one in read(text) if not any(one.start < end and start < one.end for start, end in taken)]
        taken += [(one.start, one.end) for one in new]
        found += new
    found += _superlatives(text)
    found += [one for one in _names(text) if not any(one.start < end and start < one.end for start, end in taken)]
    return tuple(sorted(found, key=lambda one: (one.start, one.end)))


def _addresses(text: str) -> Iterator[Fact]:
    if not ("@" in text or "://" in text or "www." in text or "+" in text):
        return  # here and below: what no pattern could match is told cheaply, for whole sites are read
    for match in _ADDRESS.finditer(text):
        yield Fact("address", match.start(), match.end(), match.group().rstrip(".,;:!?/"))


def _dates(text: str) -> Iterator[Fact]:
    if not _DATE_HINT.search(text):
        return
    for match in _DATES.finditer(text):
        start, end, said = match.start(), match.end(), match.group()
        if match["y1"]:
            yield Fact("date", start, end, said, date=(int(match["y1"]), int(match["m1"]), _int(match["d1"])))
        elif match["y2"]:
            first, second = int(match["a"]), int(match["b"])
            day, month = (second, first) if second > 12 else (first, second)
            yield Fact("date", start, end, said, date=(int(match["y2"]), month, day))
        elif match["y3"]:
            yield Fact("date", start, end, said, date=(int(match["y3"]), int(match["m3"]), None))
        elif match["m4"]:
            if _is_month(match):
                figure = _int(match["d4"] or match["d5"])
                yield Fact("date", start, end, said, date=(_int(match["y4"]), _MONTHS[match["m4"].casefold()], figure))
            elif match["y4"]:
                yield Fact("date", match.start("y4"), end, match["y4"], date=(int(match["y4"]), None, None))
        elif match["s"]:
            yield Fact("date", start, end, said, date=(int(match["y5"]), _SEASONS[match["s"].casefold()], None))
        elif match["y6"]:
            yield Fact("date", start, start + 4, said[:4], date=(int(match["y6"]), None, None))
            yield Fact("date", match.start("y7"), end, said[-2:], date=(int(said[:2] + match["y7"]), None, None))
        else:
            bare = int(match["y8"])
            if match["decade"] and bare % 10 == 0:
                yield Fact("date", start, end, said, date=(bare // 10, None, None))
                continue
            yield Fact("date", start, end, said, values=frozenset({float(bare)}), date=(bare, None, None))


def _is_month(match: re.Match[str]) -> bool:
    """ "May" and "mars" are months with a capital, short forms only beside a figure."""
    name = match["m4"]
    figured = bool(match["d4"] or match["d5"] or match["y4"])
    if name.casefold() in ("may", "march", "mar", "mars", "mai", "august", "sept", "jan", "sep", "dec", "juin", "mayo"):
        if not name[0].isupper():
            return bool(match["d4"] and match["y4"])
        before = match.string[: match.start()].rstrip().rpartition(" ")[2].casefold()
        return figured or (name.casefold() in ("march", "august", "mai", "may") and before in _BEFORE_MONTH)
    return figured or len(name) > 4 or name[0].isupper()


_BEFORE_MONTH = frozenset(
    "in since until till from to of by late early mid last this next im seit bis ab ende anfang and".split()
)


def _int(text: str | None) -> int | None:
    return int(text) if text else None


def _figures(text: str) -> Iterator[Fact]:
    for match in _FIGURE.finditer(text):
        if (
            len(match.group()) < 3
            and text[match.end() : match.end() + 2] in (". ", ") ")
            and _ORDINAL.search(text[: match.start()])
        ):
            continue  # "1. First": it counts nothing
        scale = _SCALES[match["scale"].casefold()] if match["scale"] else 1.0
        values = frozenset(round(value * scale, 6) for value in _readings(match["n"]))
        unit = "%" if match["pc"] else _unit_after(text, match.end())
        if not unit and text[max(0, match.start() - 1) : match.start()] in ("$", "€", "£"):
            unit = "money"
        near = _near(text, match.start()) or ("up" if text[match.end() : match.end() + 1] == "+" else "")
        near = near or ("about" if scale > 100 else "")
        yield Fact("number", match.start(), match.end(), match.group(), values=values, unit=unit, near=near)


def _near(text: str, start: int) -> Near:
    match = _NEAR.search(text[max(0, start - 24) : start])
    if not match:
        return ""
    return "up" if match["up"] else "down" if match["down"] else "about"


def _many(text: str) -> Iterator[Fact]:
    """ "Dozens of"."""
    for match in _MANY.finditer(text):
        low, high = _MANY_ARE[(match["word"] or match["de"]).casefold()]
        yield Fact("number", match.start(), match.end(), match.group(), frozenset({low}), high=high)


def _readings(figure: str) -> set[float]:
    """ "1,234" is 1234; "1.234" may be either; "3,5" is 3.5."""
    bare = re.sub(r"[’'\u00a0\u202f]", "", figure)
    found = set[float]()
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", bare):
        found.add(float(bare.replace(",", "")))
    if re.fullmatch(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?", bare):
        found.add(float(bare.replace(".", "").replace(",", ".")))
    if re.fullmatch(r"\d+(?:\.\d+)?", bare):
        found.add(float(bare))
    if re.fullmatch(r"\d+,\d+", bare) and not found:
        found.add(float(bare.replace(",", ".")))
    return found or {float(re.sub(r"\D", "", bare))}


def _spelled(text: str) -> Iterator[Fact]:
    if _SPELLED_HINTS.isdisjoint(re.split(r"[\W\d_]+", text.casefold())):
        return
    for match in _SPELLED.finditer(text):
        value = _spelled_value(match)
        if value is None:
            continue
        near = _near(text, match.start())
        unit = _unit_after(text, match.end())
        yield Fact("number", match.start(), match.end(), match.group(), frozenset({value}), unit=unit, near=near)
    for match in _DECADE.finditer(text):
        yield Fact("number", match.start(), match.end(), match.group(), frozenset({10.0}), unit="year", near="about")


def _spelled_value(match: re.Match[str]) -> float | None:
    scales = {**_SCALES, "dozen": 12.0}
    if match["half"]:
        return scales[match["half"].casefold()] / 2
    if match["scale"]:
        ones = 1.0 if not match["n"] else float({**_WORDS, "one": 1}[match["n"].casefold()])
        return (ones + _ONES.get((match["one"] or "").casefold(), 0)) * scales[match["scale"].casefold()]
    word = match["n2"].casefold()
    if word == "dozen" and match.string[: match.start()].casefold().endswith(("a ", "per ")):
        return 12.0
    return float(_WORDS[word] + _ONES.get((match["one2"] or "").casefold(), 0))


def _unit_after(text: str, at: int) -> str:
    match = _UNIT.match(text, at)
    return "" if not match else "%" if match["pc"] or match["sign"] else str(match.lastgroup)


def _superlatives(text: str) -> Iterator[Fact]:
    if not _SUPERLATIVE_HINT.search(text):
        return
    for match in _SUPERLATIVE.finditer(text):
        said = match.group().casefold()
        if said.startswith("most ") and said.endswith("s") and not said.endswith(("ss", "us")):
            continue  # "most companies": how many, not how good
        if said not in _NO_SUPERLATIVE and not _MOST_OF.match(text, match.start()) and not match.group()[0].isupper():
            yield Fact("superlative", match.start(), match.end(), said)


def _names(text: str) -> Iterator[Fact]:
    for match in _WORD.finditer(text):
        word = match.group()
        if word.islower() or not any(char.isupper() for char in word) or fold(word) in STOP or fold(word) in _TITLES:
            continue
        if _CONTRACTED.search(word) and _CONTRACTED.sub("", word).casefold() in STOP:
            continue  # "They’ve"
        if len(word) == 1 and (match.end() >= len(text) or text[match.end()] in " .)'’"):
            continue  # "I", initials
        start = match.start()
        hyphened = start > 0 and text[start - 1] in "-/" and start > 1 and not text[start - 2].isspace()
        opens = not hyphened and bool(_OPENS.search(text[max(0, start - 16) : start]))
        inner = any(char.isupper() for char in word[1:]) or any(char.isdigit() for char in word)
        said = bool(_SAYS.match(text, match.end()))
        labelled = text[:start].rstrip(' "“„«(').endswith(":")  # "Role: Wexley"
        yield Fact("name", start, match.end(), word, initial=opens and not inner, loose=said or labelled)
