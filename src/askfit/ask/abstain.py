"""What to say when the site does not say: written by code, so that no model invents a contact.

Knows reasons and words, not how a reason was found.
"""

from __future__ import annotations

import re

from askfit.ask.bearing import MOST_QUOTE_CHARACTERS
from askfit.ask.languages import language_of
from askfit.ask.terms import statements
from askfit.config import SiteSettings
from askfit.text import sentences
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
MOST_OWN_WORDS_CHARACTERS = 400
# How models abstain in their own words, whatever they are told.
_SAYS_NOT = re.compile(
    r"\b(?:(?:site|sections?|corpus|text|information|content|pages?)\b.{0,30}\b(?:does|do|did|is|are)(?: not|n[’']t) "
    r"(?:say|mention|state|contain|include|provide|specify|tell|cover|available)"
    r"|(?:no|not (?:have|find)(?: any| enough)?) (?:information|mention|details?)\b"
    r"|(?:cannot|can[’']t|could not|unable to|don[’']t) (?:find|answer|know|have (?:any )?information))",
    re.IGNORECASE,
)


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
