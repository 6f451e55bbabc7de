"""Where a line names a skill, a trade or a trait, known to the taxonomy or not. Knows nothing of rows or of weight.

Beside the names that the taxonomy knows, a skill shows by its shape: a verb of work with what it is done to, what
follows "knowledge of" or stands before "experience", words that look like names of tools, words for how a person is.
"""

from __future__ import annotations

from collections.abc import Iterator

from askfit.fit.terms import Token, find_terms, is_light, phrase, tokens

MOST_OBJECT_WORDS = 6  # of what a verb is done to
MOST_KNOWN_WORDS = 5  # after "knowledge of"
MOST_BEFORE_WORDS = 3  # before "experience"
FEWEST_ACRONYM, MOST_ACRONYM = 2, 5  # letters

_WORK = frozenset(
    phrase(
        "achieve act adapt administer advise advocate align analyse analyze answer apply architect arrange "
        "assess assist assure audit automate balance brief budget build calculate care challenge check clean "
        "coach code collaborate collect communicate complete conduct configure consult contribute control "
        "cook coordinate create cultivate deal debug decide define deliver deploy derive design determine "
        "develop diagnose direct discuss document draft drive edit educate enable encourage engage enhance "
        "ensure establish estimate evaluate execute expand explain explore facilitate fix follow forecast "
        "formulate foster gather generate guide handle help identify implement improve influence initiate "
        "innovate inspect inspire install integrate interact interpret investigate keep lead learn leverage "
        "liaise listen maintain make manage market measure mediate mentor migrate model moderate monitor "
        "motivate negotiate observe operate optimise optimize order organise organize oversee own participate "
        "partner perform persuade pitch plan prepare present prioritise prioritize process produce program "
        "promote propose provide publish qualify recommend recruit report represent research resolve respond "
        "review run scale schedule secure select sell serve set setup shape share simplify solve source speak "
        "specify spar stay steer structure supervise supply support take teach test think track train "
        "transform translate troubleshoot understand update upgrade use validate verify visualise work write"
    )
)
_TRAITS = frozenset(
    (
        "accountable accurate adaptable ambitious analytical articulate attentive autonomous calm careful "
        "collaborative committed communicative confident conscientious cooperative creative curious dedicated "
        "dependable determined diligent diplomatic disciplined efficient empathetic empathy energetic "
        "enthusiastic entrepreneurial ethical extrovert flexible hardworking honest humble imaginative "
        "independently initiative innovative inquisitive integrity loyal methodical meticulous motivated "
        "organised organized outgoing passionate persistent persuasive pragmatic proactive punctual reliable "
        "resilient resourceful self-driven structured systematic tenacious thorough trustworthy versatile "
        "detail mindset driven"
    ).split()
)
_NO_VERB = (
    "tion",
    "tions",
    "ment",
    "ments",
    "er",
    "ers",
    "or",
    "ors",
    "ance",
    "ability",
    "able",
    "apps",
    "app",
    "maker",
)
_OFFERED = frozenset(phrase("we us our they offer offers"))  # who speaks of himself asks nothing
_ADDRESSED = frozenset(phrase("you your yours must will should"))
_BEFORE_WORK = frozenset(phrase("to will and or you can be of in by for with must should help not also"))
_KNOWN_AFTER = frozenset(
    phrase("knowledge experience understanding background proficiency expertise fluent degree interest familiar")
)
_LINKS = frozenset(phrase("of in with on within using for and"))
_KNOWN_BEFORE = frozenset(phrase("experience knowledge skills skill background degree expertise tools mindset"))
_STOPS = frozenset(".,;:()!?/|•·*")


def named_spans(line: str) -> list[tuple[int, int]]:
    """(start, end) in characters of every skill, trade or trait that a line asks for, in order; none overlaps another.

    A line in which a company tells of itself, and addresses nobody, asks for none.
    """
    found = tokens(line)
    said = {token.fold for token in found}
    if said & _OFFERED and not said & _ADDRESSED:
        return []
    spans = [(start, end) for start, end, _ in find_terms(found)]
    spans += [
        *_works(line, found),
        *_known(found),
        *_tools(line, found),
        *((at, at + 1) for at, token in enumerate(found) if line[token.start : token.end].casefold() in _TRAITS),
    ]
    kept: list[tuple[int, int]] = []
    for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        if not kept or start >= kept[-1][1]:
            kept.append((start, end))
    return [(found[start].start, found[end - 1].end) for start, end in kept]


def _works(line: str, found: list[Token]) -> Iterator[tuple[int, int]]:
    """A verb of work where a task or an ability is told, with what follows it."""
    for at, token in enumerate(found):
        if token.fold not in _WORK or not _is_verb(line, token) or not _tells_a_task(line, found, at):
            continue
        end = _until_stop(found, at + 1, MOST_OBJECT_WORDS)
        if any(not is_light(found[place].fold) for place in range(at + 1, end)):
            yield at, end


def _is_verb(line: str, token: Token) -> bool:
    return not line[token.start : token.end].casefold().endswith(_NO_VERB)


def _tells_a_task(line: str, found: list[Token], at: int) -> bool:
    before = [token.fold for token in found[max(0, at - 3) : at]]
    if _OFFERED & set(before):
        return False
    first = at == 0 or found[at].before in _STOPS
    doing = line[found[at].start : found[at].end].casefold().endswith("ing")
    return first or doing or before[-1] in _BEFORE_WORK


def _known(found: list[Token]) -> Iterator[tuple[int, int]]:
    """What follows "knowledge of", and what stands before "experience"."""
    for at, token in enumerate(found):
        after = at + 1
        if token.fold in _KNOWN_AFTER and after < len(found) and found[after].fold in _LINKS:
            end = _until_stop(found, after + 1, MOST_KNOWN_WORDS)
            if end > after + 1:
                yield after + 1, end
        if token.fold in _KNOWN_BEFORE:
            start = at
            while (
                start > max(0, at - MOST_BEFORE_WORDS) and found[start].joined and not is_light(found[start - 1].fold)
            ):
                start -= 1
            if start < at:
                yield start, at


def _tools(line: str, found: list[Token]) -> Iterator[tuple[int, int]]:
    """Words that look like the name of a tool or a standard: capitals inside, signs, short acronyms."""
    for at, token in enumerate(found):
        word = line[token.start : token.end]
        acronym = word.isupper() and word.isalpha() and FEWEST_ACRONYM <= len(word) <= MOST_ACRONYM
        if acronym or word[-1:] in "+#" or (not word[1:].islower() and word[1:].isalpha() and not word.isupper()):
            yield at, at + 1


def _until_stop(found: list[Token], start: int, most: int) -> int:
    """Past the last word of a stretch: up to a mark, a bracket, or so many words."""
    end = start
    while end < min(len(found), start + most) and found[end].before not in _STOPS:
        end += 1
    return end
