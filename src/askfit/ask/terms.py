"""Words that carry a meaning, by their stems: what questions, answers and sections are compared by.

Knows no corpus: how rare a word is, is not its business.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

from askfit.text import sentence_spans, stem, words

# English function words and the fillers of spoken questions; other languages' are told apart by being frequent.
STOP = frozenset(
    (
        "a an the and or but nor so if then than as at by for from in into of off on onto out over per to "
        "up upon via with within without about above after again against all also am any are aren't be "
        "because been before being below between both can can't cannot could couldn't did didn't do does "
        "doesn't doing don't down during each else ever every few further had hadn't has hasn't have "
        "haven't having he he'd he'll he's her here hers herself him himself his how i i'd i'll i'm i've "
        "is isn't it it's its itself just let let's many may me might more most much must my myself no "
        "not now only other our ours ourselves own please same shall she she's should shouldn't some such "
        "that that's their theirs them themselves there there's these they they're this those through too "
        "under until us very was wasn't we we're were weren't what what's when where which while who "
        "who's whom whose why will won't would wouldn't yes yet you you'd you'll you're you've your yours "
        "yourself tell know say said says anything something anyone like really actually ok okay hi hello "
        "hey thanks thank get got give given using none example somebody someone anybody possible please "
        "one's kind sort type cetera etc ll ve re s t d m"
    ).split()
)
_NUMBERS = {
    name: str(value)
    for value, name in enumerate(
        (
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
            "fifteen sixteen seventeen eighteen nineteen twenty"
        ).split()
    )
}
# Verb forms that no ending gives away.
_IRREGULAR = {
    form: verb
    for verb, forms in {
        "begin": "began begun", "become": "became", "bring": "brought", "build": "built", "buy": "bought",
        "choose": "chose chosen", "come": "came", "draw": "drew drawn", "fall": "fell fallen", "fight": "fought",
        "find": "found", "grow": "grew grown", "hold": "held", "keep": "kept", "lead": "led", "leave": "left",
        "lose": "lost", "make": "made", "mean": "meant", "meet": "met", "pay": "paid", "rise": "rose risen",
        "run": "ran", "sell": "sold", "send": "sent", "speak": "spoke spoken", "spend": "spent", "take": "took taken",
        "teach": "taught", "think": "thought", "win": "won", "write": "wrote written",
    }.items()
    for form in forms.split()
}  # fmt: skip
# Words that hardly tell what is asked: light verbs and the nouns that name no thing.
_LIGHT = (
    "make take hold want need look go come try call become happen work do done show part end way thing experience "
    "current ever able good better best lot bit describe explain somewhere approach"
)
# "which country", "what year": the answer names one without the word.
_CATEGORIES = (
    "year date month day century decade time country city place state region town person people man woman name number "
    "percent percentage group term type kind word company"
)
# Words that ask for one another on a site about a person and their work. Each group counts less than the word itself.
_KIN = (
    "role title position job",
    "company employer firm workplace business enterprise",
    "relocate move",
    "achieve accomplish result outcome impact improve increase raise rise",
    "improve increase raise rise grow lift move boost",
    "build create establish introduce found set",
    "business enterprise b2b corporate saas",
    "reason because cause",
    "kill stop cancel shut discontinue",
    "failure fail mistake wrong",
    "live lives based located location reside resides",
    "study degree education university college graduate",
    "contact reach email mail",
    "weakness weak gap",
    "strength strong strongest",
    "hobby hobbies leisure pastime",
    "big large size people",
    "salary salaries compensation wage remuneration",
    "start begin join",
    "manage lead led",
    "pm product manager",
    "available availability open",
    "age born birthday",
)


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence of a section: where it stands, and its meaningful stems in order."""

    start: int
    end: int
    stems: tuple[str, ...]
    words: int


@lru_cache(maxsize=65536)
def _meaning(word: str) -> str:
    """The stem of a word that carries a meaning; "" for any other."""
    word = word.removesuffix("'s").replace("'", "")
    if word in STOP or not word:
        return ""
    if word in _NUMBERS:
        return _NUMBERS[word]
    base = stem(_IRREGULAR.get(word, word))
    return f"{base[:-1]}i" if len(base) > 3 and base.endswith("y") else base  # "study" and "studied" are one


def content(text: str) -> tuple[str, ...]:
    """The stems of a text's meaningful words, in order; number words as figures."""
    return tuple(meaning for word in words(text) if word not in STOP and (meaning := _meaning(word)))


@lru_cache(maxsize=4096)  # sections: the answers of a site come from few of them
def statements(text: str) -> tuple[Statement, ...]:
    """The sentences of a section's text."""
    return tuple(_statement(text, start, end) for start, end in sentence_spans(text))


def _statement(text: str, start: int, end: int) -> Statement:
    said = text[start:end]
    return Statement(start, end, content(said), len(said.split()))


def telling(text: str) -> dict[str, str]:
    """stem → word, of a text's meaningful words, each once, in order."""
    found: dict[str, str] = {}
    for word in words(text):
        if meaning := _meaning(word):
            found.setdefault(meaning, word)
    return found


def forms(word: str) -> tuple[str, ...]:
    """Other words to search for with this one: its irregular forms and its kin."""
    verb = _IRREGULAR.get(word, word)
    irregular = [form for form, base in _IRREGULAR.items() if base == verb]
    return tuple(dict.fromkeys([verb, *irregular, *(other for group in _KIN for other in _others(group, word))]))


def _others(group: str, word: str) -> list[str]:
    others = group.split()
    return others if stem(word) in map(stem, others) else []


@cache
def _groups() -> dict[str, frozenset[str]]:
    groups: dict[str, frozenset[str]] = {}
    for group in map(frozenset, map(content, _KIN)):
        for one in group:
            groups[one] = groups.get(one, frozenset()) | (group - {one})
    return groups


def kin(stem: str) -> frozenset[str]:
    """Stems of words that may answer for this one."""
    return _groups().get(stem, frozenset())


@cache
def light() -> frozenset[str]:
    """Stems of words that hardly tell what is asked."""
    return frozenset(content(_LIGHT))


@cache
def categories() -> frozenset[str]:
    """Stems of the nouns after "which" that the answer need not repeat."""
    return frozenset(content(_CATEGORIES))
