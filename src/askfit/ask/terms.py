"""Words that carry a meaning, by their stems: what questions, answers and sections are compared by.

Knows no corpus: how rare a word is, is not its business.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import cache, lru_cache

from askfit.text import sentence_spans, stem, words

FORM = 5  # letters that two forms of one word share: "migrant" and "migration"

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
    "current ever able good better best lot bit describe explain somewhere approach "
    "use call know name mean give set include involve consider refer exist occur regard locate various certain "
    "usually typically generally mainly originally initially eventually finally according besides many"
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
# Words of common English that answer for one another in a sentence that is already found; none is searched for.
_NEAR = (
    "cause lead result reason due effect",
    "country nation state",
    "city town capital",
    "area region territory zone district place",
    "die death dead kill",
    "kill murder massacre slay execute",
    "rule control govern reign dominate power authority",
    "attack besiege assault raid invade siege",
    "capture seize take conquer occupy",
    "native indigenous tribe aboriginal",
    "think believe argue view opinion claim suggest consider",
    "name call known title term nickname dub",
    "help assist aid support back",
    "use employ utilize apply",
    "gain obtain acquire get receive earn win",
    "begin start first commence initial origin original launch",
    "end finish conclude final last stop cease",
    "include contain consist comprise",
    "allow permit enable let",
    "need require necessary",
    "show demonstrate reveal indicate",
    "flee escape refugee exile",
    "war conflict fight battle",
    "important significant key main major primary principal chief",
    "make produce create manufacture",
    "travel voyage journey trip sail",
    "people population resident inhabitant citizen",
    "rich wealthy wealth",
    "buy purchase",
    "child children son daughter",
    "wife husband marry married marriage spouse",
    "doctor physician medical",
    "work occupation profession trade",
    "money fund financial finance",
    "law legislation act bill",
    "book text publication publish write author",
    "speak language speech spoke",
    "teach teacher education school",
    "car vehicle automobile",
    "quick fast rapid speed",
    "send dispatch deploy",
    "destroy demolish destruction ruin",
    "win victory defeat triumph",
    "lose loss defeat",
    "ask request",
    "agree accept approve",
    "plan propose proposal intend",
    "construct erect build",
    "remove eliminate expel",
    "decrease decline fall drop reduce cut",
    "commerce merchant trade",
    "religion religious faith church",
    "protect defend defence defense",
    "leader head chief ruler",
    "king monarch throne queen crown emperor",
    "former previous prior",
    "arrive reach come",
    "purpose aim goal objective",
    "method way means technique",
    "effect impact influence affect",
    "difficult hard",
    "amount quantity number",
    "yearly annual year",
    "usual normal typical common",
    "live inhabit settle dwell",
    "discover find",
    "invent develop",
    "choose select elect pick appoint",
    "talk discuss debate",
    "separate divide split",
    "connect link",
    "near close adjacent",
    "big large huge great vast",
    "problem issue difficulty trouble",
    "change alter modify transform",
    "move transfer relocate shift",
    "replace succeed successor",
    "meet gather convene assemble",
    "soldier troop army military regiment",
    "ship fleet vessel boat",
    "different differ difference",
    "similar like same resemble",
    "kind type form sort",
    "give grant award provide offer",
    "oppose against opponent resist",
    "home house residence",
    "today current now present modern",
    "food eat meal",
    "job employment work",
)

# Of each line's sides one rules out the others: what is said of the highest is not said of the lowest.
_OPPOSED = (
    "first/second/third/fourth/fifth/sixth/last final",
    "north northern northwest northeast/south southern southwest southeast",
    "east eastern/west western",
    "january/february/march/april/june/july/august/september/october/november/december",
    "monday/tuesday/wednesday/thursday/friday/saturday/sunday",
    "spring/summer/autumn fall/winter",
    "morning/evening/noon/midnight",
    "high higher highest/low lower lowest",
    "upper/lower",
    "large larger largest big bigger biggest great greater greatest major/small smaller smallest little minor tiny",
    "most more/least less fewest fewer",
    "majority/minority",
    "maximum/minimum",
    "increase rise rose grow grew gain raise expand/decrease decline fall fell reduce drop lose shrink",
    "early earlier earliest/late later latest",
    "begin start open launch/end finish stop close cease",
    "win victory succeed success successful/lose defeat fail failure unsuccessful",
    "old older oldest ancient/new newer newest young younger youngest modern",
    "strong stronger strongest/weak weaker weakest",
    "rich wealthy/poor",
    "support favor favour/oppose against reject",
    "accept approve/reject refuse deny",
    "internal domestic/external foreign",
    "allow permit/forbid prevent ban prohibit",
    "man men male/woman women female",
    "long longer longest/short shorter shortest",
    "fast faster fastest quick/slow slower slowest",
    "good better best/bad worse worst",
    "easy easier/hard harder difficult",
    "public/private",
    "formal/informal",
    "direct/indirect",
    "positive/negative",
    "import/export",
    "buy bought purchase/sell sold",
    "love like/hate dislike",
    "peace/war",
    "day/night",
    "simple/complex complicated",
    "common/rare",
    "legal/illegal",
    "attack/defend",
    "arrive/leave depart",
    "include/exclude",
    "connect/disconnect",
    "rural/urban",
    "temporary/permanent",
    "ally friend/enemy",
    "encourage/discourage",
    "add/remove",
    "birth born/death died",
    "teacher/student",
    "full/empty",
    "above/below",
    "before/after",
    "always/never",
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
    word = word.removesuffix("'s")
    if word in STOP or not word:
        return ""
    word = word.replace("'", "")
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
    return tuple(dict.fromkeys([verb, *_forms_of().get(verb, ()), *_kin_of().get(stem(word), ())]))


@cache
def _forms_of() -> dict[str, list[str]]:
    """Verb → its irregular forms."""
    found: dict[str, list[str]] = {}
    for form, verb in _IRREGULAR.items():
        found.setdefault(verb, []).append(form)
    return found


@cache
def _kin_of() -> dict[str, list[str]]:
    """Stem → the words of every group that it stands in."""
    found: dict[str, list[str]] = {}
    for group in map(str.split, _KIN):
        for one in dict.fromkeys(map(stem, group)):
            found.setdefault(one, []).extend(group)
    return found


@cache
def _groups() -> dict[str, frozenset[str]]:
    return _grouped(_KIN)


@cache
def _near() -> dict[str, frozenset[str]]:
    return _grouped(_NEAR)


def _grouped(lists: Sequence[str]) -> dict[str, frozenset[str]]:
    groups: dict[str, frozenset[str]] = {}
    for group in map(frozenset, map(content, lists)):
        for one in group:
            groups[one] = groups.get(one, frozenset()) | (group - {one})
    return groups


@lru_cache(maxsize=65536)
def kin(stem: str) -> frozenset[str]:
    """Stems of words that may answer for this one."""
    return _groups().get(stem, frozenset()) | _near().get(stem, frozenset())


def told(stem: str, place: Set[str]) -> bool:
    """Does a place hold the word, a form of it, or a site's own word for it? What is only near is not enough."""
    if stem in place or not place.isdisjoint(_groups().get(stem, frozenset())):
        return True
    return len(stem) >= FORM and any(one.startswith(stem[:FORM]) for one in place)


@cache
def light() -> frozenset[str]:
    """Stems of words that hardly tell what is asked."""
    return frozenset(content(_LIGHT))


@cache
def categories() -> frozenset[str]:
    """Stems of the nouns after "which" that the answer need not repeat."""
    return frozenset(content(_CATEGORIES))


@cache
def _opposed() -> dict[str, tuple[tuple[frozenset[str], frozenset[str]], ...]]:
    """stem → (its own side, all other sides), of each line that it stands in."""
    found: dict[str, tuple[tuple[frozenset[str], frozenset[str]], ...]] = {}
    for line in _OPPOSED:
        sides = [frozenset(content(side) or _plain(side)) for side in line.split("/")]
        for own in sides:
            others = frozenset[str]().union(*(side for side in sides if side is not own)) - own
            for one in own:
                found[one] = (*found.get(one, ()), (own, others))
    return found


def _plain(text: str) -> list[str]:
    return [stem(word) for word in text.split()]


def opposed(stem: str, place: Set[str]) -> bool:
    """Does a place say the opposite of a word, and not the word or one on its side?"""
    return any(own.isdisjoint(place) and not others.isdisjoint(place) for own, others in _opposed().get(stem, ()))
