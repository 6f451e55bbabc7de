"""What to say when the site does not say: written by code, so that no model invents a contact.

Knows reasons and words, not how a reason was found.
"""

from __future__ import annotations

import re

from askfit.ask.bearing import MOST_QUOTE_CHARACTERS
from askfit.ask.terms import statements
from askfit.config import SiteSettings
from askfit.text import sentences, words
from askfit.types import Citation, Section

NOT_IN_CORPUS = "not_in_corpus"
HOSTILE = "hostile"

# language → (the site does not say, only from the site, write to, nearest page)
SAID = {
    "en": (
        "The site does not say.",
        "I answer questions about {name} from this site only.",
        "Write to {name}: {contact}",
        "The nearest page is “{title}”.",
    ),
    "de": (
        "Das steht nicht auf dieser Website.",
        "Ich beantworte nur Fragen zu {name}, und nur aus dieser Website.",
        "Schreiben Sie an {name}: {contact}",
        "Am nächsten kommt die Seite „{title}“.",
    ),
    "fr": (
        "Le site ne le dit pas.",
        "Je réponds aux questions sur {name}, uniquement à partir de ce site.",
        "Écrivez à {name} : {contact}",
        "La page la plus proche est « {title} ».",
    ),
    "es": (
        "El sitio no lo dice.",
        "Solo respondo preguntas sobre {name} a partir de este sitio.",
        "Escriba a {name}: {contact}",
        "La página más cercana es «{title}».",
    ),
}
_FUNCTION_WORDS = {
    "en": frozenset("the is was are were what who when where how did does do you your has have which of and".split()),
    "de": frozenset("der die das ist war sind waren was wer wann wo wie hat haben und ein eine sie ihr mit".split()),
    "fr": frozenset("le la les est était sont que qui quand où comment quel quelle avez vous des une et".split()),
    "es": frozenset("el la los las es era son qué quién cuándo dónde cómo cuál ha una y del por".split()),
}
MOST_OWN_WORDS_CHARACTERS = 400
# How models abstain in their own words, whatever they are told.
_SAYS_NOT = re.compile(
    r"\b(?:(?:site|sections?|corpus|text|information|content|pages?)\b.{0,30}\b(?:does|do|did|is|are)(?: not|n[’']t) "
    r"(?:say|mention|state|contain|include|provide|specify|tell|cover|available)"
    r"|(?:no|not (?:have|find)(?: any| enough)?) (?:information|mention|details?)\b"
    r"|(?:cannot|can[’']t|could not|unable to|don[’']t) (?:find|answer|know|have (?:any )?information))",
    re.IGNORECASE,
)


def language_of(question: str, site_language: str) -> str:
    """The language to answer in: the question's where its function words tell it, else the site's, else English."""
    asked = words(question)
    counts = {language: sum(word in known for word in asked) for language, known in _FUNCTION_WORDS.items()}
    first, second = sorted(counts, key=lambda language: counts[language], reverse=True)[:2]
    if counts[first] > counts[second]:
        return first
    site = site_language.casefold()[:2]
    return site if site in SAID else "en"


def honest_text(reason: str, question: str, site: SiteSettings, nearest: Section | None) -> str:
    """That the site does not say it, whom to ask, and the nearest page."""
    says_not, only_site, write_to, near = SAID[language_of(question, site.language)]
    said = [(only_site if reason == HOSTILE else says_not).format(name=site.name)]
    if nearest:
        said.append(near.format(title=nearest.title))
    if site.contact:
        said.append(write_to.format(name=site.name, contact=site.contact.removeprefix("mailto:")))
    return " ".join(said)


def nearest_citation(text: str, nearest: Section) -> Citation | None:
    """The nearest page's citation: the sentence of the answer that names it, and that section's first words."""
    index = next((at for at, said in enumerate(sentences(text)) if nearest.title in said), None)
    first = next(iter(statements(nearest.text)), None)
    if index is None or first is None:
        return None
    quote = nearest.text[first.start : min(first.end, first.start + MOST_QUOTE_CHARACTERS)]
    return Citation(sentence=index, document=nearest.document, section=nearest.id, url=nearest.url, quote=quote.strip())


def says_not(text: str) -> bool:
    """Does a short uncited answer say in its own words that the site does not tell?"""
    return len(text) <= MOST_OWN_WORDS_CHARACTERS and bool(_SAYS_NOT.search(text))
