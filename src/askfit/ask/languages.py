"""Tell a question's language by its function words, and leave those out of what it asks.

Four languages, by lists: enough to answer in the visitor's own. Any other is taken for the site's.
"""

from __future__ import annotations

from askfit.text import words

FUNCTION_WORDS = {
    "en": frozenset(
        (
            "the a an is was are were be been what who when where how why did does do you your she he they her his "
            "their has have had which of and or to in for with about from on at this that it not no can could will "
            "would me my tell write please there any some"
        ).split()
    ),
    "de": frozenset(
        (
            "der die das den dem des ein eine einen einem einer ist sind war waren hat haben hatte wird wurde kann "
            "was wer wen wem wann wo wie warum weshalb welche welcher welches woher wohin ich du sie er es wir ihr "
            "ihre ihren ihrem mein dein sein und oder aber mit von vom zu zum zur im in am an auf aus bei für nach "
            "über um nicht auch schon noch sich gibt mal denn als"
        ).split()
    ),
    "fr": frozenset(
        (
            "le la les un une des du de et ou est sont était a ont qui que quoi quand où comment pourquoi quel quelle "
            "quels quelles combien je tu il elle on nous vous ils elles son sa ses votre vos au aux avec dans en pour "
            "par sur pas ne ce cette avez"
        ).split()
    ),
    "es": frozenset(
        (
            "el la los las un una unos unas de del y o es son era fue ha qué quién quiénes cuándo dónde cómo cuál "
            "cuáles cuánto cuántos por para con en al se su sus lo que no ella él usted tiene está"
        ).split()
    ),
}


def language_of(question: str, site_language: str) -> str:
    """The language to answer in: the question's where its function words tell it, else the site's, else English."""
    asked = words(question)
    counts = {language: sum(map(known.__contains__, asked)) for language, known in FUNCTION_WORDS.items()}
    first, second = sorted(counts, key=lambda language: counts[language], reverse=True)[:2]
    if counts[first] > counts[second]:
        return first
    site = site_language.casefold()[:2]
    return site if site in FUNCTION_WORDS else "en"


def fillers(question: str) -> frozenset[str]:
    """The function words of a question that is not in English: English ones are left out everywhere."""
    language = language_of(question, "en")
    return frozenset() if language == "en" else FUNCTION_WORDS[language]
