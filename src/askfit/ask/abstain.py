"""What to say when the site does not say: written by code, so that no model invents a contact.

Knows reasons and words, not how a reason was found.
"""

from __future__ import annotations

import re

from askfit.ask.bearing import MOST_QUOTE_CHARACTERS, quoted
from askfit.ask.languages import language_of
from askfit.ask.reasons import HOSTILE, NOT_ABOUT_SITE, NOT_IN_CORPUS, OFF_LIMITS, OPINION_OF_FUTURE, POSTING
from askfit.ask.terms import statements
from askfit.config import SiteSettings
from askfit.text import sentences
from askfit.types import Citation, Section

UNSERVED = "posting_unserved"  # a posting, on a site without a fit page
# language → reason → what is said first; then whom to write to, and the nearest page.
SAID = {
    "en": {
        NOT_IN_CORPUS: "The site does not say.",
        OFF_LIMITS: "{name} does not discuss that here.",
        NOT_ABOUT_SITE: "That is not about {name} or this site, so I leave it to others.",
        OPINION_OF_FUTURE: "I make no predictions or promises for {name}, and the site does not say.",
        HOSTILE: "I answer questions about {name} from this site only.",
        POSTING: "This reads like a job posting, not a question. How {name} fits it is judged at {fit}.",
        UNSERVED: "This reads like a job posting. This site answers questions about {name}; it judges no postings.",
        "write": "Write to {name}: {contact}",
        "near": "The nearest page is “{title}”.",
    },
    "de": {
        NOT_IN_CORPUS: "Das steht nicht auf dieser Website.",
        OFF_LIMITS: "Darüber gibt {name} hier keine Auskunft.",
        NOT_ABOUT_SITE: "Das betrifft weder {name} noch diese Website, darum antworte ich darauf nicht.",
        OPINION_OF_FUTURE: "Ich sage nichts voraus und verspreche nichts für {name}, und die Website sagt es nicht.",
        HOSTILE: "Ich beantworte nur Fragen zu {name}, und nur aus dieser Website.",
        POSTING: "Das liest sich wie eine Stellenanzeige, nicht wie eine Frage. Ob {name} dazu passt, prüft {fit}.",
        UNSERVED: "Das liest sich wie eine Stellenanzeige. Hier werden nur Fragen zu {name} beantwortet.",
        "write": "Schreiben Sie an {name}: {contact}",
        "near": "Am nächsten kommt die Seite „{title}“.",
    },
    "fr": {
        NOT_IN_CORPUS: "Le site ne le dit pas.",
        OFF_LIMITS: "{name} n’aborde pas ce sujet ici.",
        NOT_ABOUT_SITE: "Cela ne concerne ni {name} ni ce site, je n’y réponds donc pas.",
        OPINION_OF_FUTURE: "Je ne prédis ni ne promets rien pour {name}, et le site ne le dit pas.",
        HOSTILE: "Je réponds aux questions sur {name}, uniquement à partir de ce site.",
        POSTING: "Ce texte ressemble à une offre d’emploi. La page {fit} dit si {name} y correspond.",
        UNSERVED: "Ce texte ressemble à une offre d’emploi. Ce site répond seulement aux questions sur {name}.",
        "write": "Écrivez à {name} : {contact}",
        "near": "La page la plus proche est « {title} ».",
    },
    "es": {
        NOT_IN_CORPUS: "El sitio no lo dice.",
        OFF_LIMITS: "{name} no trata ese tema aquí.",
        NOT_ABOUT_SITE: "Eso no tiene que ver con {name} ni con este sitio, así que no lo respondo.",
        OPINION_OF_FUTURE: "No predigo ni prometo nada en nombre de {name}, y el sitio no lo dice.",
        HOSTILE: "Solo respondo preguntas sobre {name} a partir de este sitio.",
        POSTING: "Esto parece una oferta de empleo, no una pregunta. En {fit} se ve cómo encaja {name}.",
        UNSERVED: "Esto parece una oferta de empleo. Este sitio responde preguntas sobre {name}; no evalúa ofertas.",
        "write": "Escriba a {name}: {contact}",
        "near": "La página más cercana es «{title}».",
    },
}
WITH_NEAREST = (NOT_IN_CORPUS, OPINION_OF_FUTURE)
DROPPED = (OFF_LIMITS, HOSTILE, POSTING, UNSERVED)  # turns that a model is not to read again
MOST_READ_CHARACTERS = 4_000  # of what is asked, to tell its language
MOST_OWN_WORDS_CHARACTERS = 400
# How models abstain in their own words, whatever they are told.
_SAYS_NOT = re.compile(
    r"\b(?:(?:site|sections?|corpus|text|information|content|pages?)\b.{0,30}\b(?:does|do|did|is|are)(?: not|n[’']t) "
    r"(?:say|mention|state|contain|include|provide|specify|tell|cover|available)"
    r"|(?:no|not (?:have|find)(?: any| enough)?) (?:information|mention|details?)\b"
    r"|(?:cannot|can[’']t|could not|unable to|don[’']t) (?:find|answer|know|have (?:any )?information))",
    re.IGNORECASE,
)


def honest_text(reason: str, question: str, site: SiteSettings, nearest: Section | None = None, fit: str = "") -> str:
    """Why nothing is answered, the nearest page, and whom to ask. `fit` is the path of the page for postings."""
    said = SAID[language_of(question[:MOST_READ_CHARACTERS], site.language)]
    first = UNSERVED if reason == POSTING and not fit else reason
    parts = [said[first].format(name=site.name, fit=fit)]
    if nearest:
        parts.append(said["near"].format(title=nearest.title))
    if site.contact and first != POSTING:
        parts.append(said["write"].format(name=site.name, contact=site.contact.removeprefix("mailto:")))
    return " ".join(parts)


def is_dropped(answer: str, name: str) -> bool:
    """Was this answer of ours a refusal, whose turn no model is to read again?"""
    firsts = (said[reason].partition("{fit}")[0].format(name=name) for said in SAID.values() for reason in DROPPED)
    return answer.strip().startswith(tuple(firsts))


def nearest_citation(text: str, nearest: Section) -> Citation | None:
    """The nearest page's citation: the sentence of the answer that names it, and that section's first words."""
    index = next((at for at, said in enumerate(sentences(text)) if nearest.title in said), None)
    first = next(iter(statements(nearest.text)), None)
    if index is None or first is None:
        return None
    quote = nearest.text[first.start : min(first.end, first.start + MOST_QUOTE_CHARACTERS)].strip()
    return quoted(index, nearest, quote)


def says_not(text: str) -> bool:
    """Does a short uncited answer say in its own words that the site does not tell?"""
    return len(text) <= MOST_OWN_WORDS_CHARACTERS and bool(_SAYS_NOT.search(text))
