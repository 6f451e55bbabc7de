"""One answer or assessment against its sample: what falls short, in words. Knows no model and no money.

A score is a share from 0 to 1, or None where the sample asks nothing of the kind. A sample is right where every score
is 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from askfit.corpus import Corpus
from askfit.evals.agreement import compare, nearest
from askfit.evals.samples import AskSample, FitSample, FormSample
from askfit.text import clean, stands_in
from askfit.types import Answer, Assessment, Filled

MOST_WORDS = 120  # the prompt asks for 80; lists and quoted sentences run a little longer
MOST_SHOWN_CHARACTERS = 60
FINISHED_BY_RULES = ("fell_back", "handed_off", "truncated")  # not "repaired": a second call may have mended all
_PERCENT = re.compile(r"(?<=\d)\s+(?=[%‰])")
_QUOTES = str.maketrans("’‘“”‐‑", "''\"\"--")


@dataclass(frozen=True, slots=True)
class Score:
    """How much of one kind of demand was met, and what was not."""

    share: float | None
    missed: tuple[str, ...] = ()


def folded(text: str) -> str:
    """Text as phrases are looked for: white space, case and typographic marks folded."""
    return _PERCENT.sub("", " ".join(clean(text).split()).casefold().translate(_QUOTES))


def says(text: str, phrase: str) -> bool:
    """Does a text hold a phrase? "14" stands neither in "2014" nor in "14.5", "art" not in "start"."""
    wanted = folded(phrase)
    left = r"(?<![^\W_])(?<!\d[.,])" if wanted[:1].isdigit() else r"(?<![^\W_])" if wanted[:1].isalpha() else ""
    right = r"(?!\d|[.,]\d)" if wanted[-1:].isdigit() else ""
    return re.search(left + re.escape(wanted) + right, folded(text)) is not None


def _share(met: int, of: int, missed: list[str]) -> Score:
    return Score(met / of if of else None, tuple(missed))


# ---------------------------------------------------------------- ask


def key_points(sample: AskSample, given: Answer, corpus: Corpus) -> Score:
    """Each point, or one of its alternatives, stands in the answer."""
    points = [(point,) if isinstance(point, str) else point for point in sample.key_points]
    missed = [" | ".join(point) for point in points if not any(says(given.answer, words) for words in point)]
    return _share(len(points) - len(missed), len(points), [f"“{point}” is not said" for point in missed])


def must_not(sample: AskSample, given: Answer, corpus: Corpus) -> Score:
    """Nothing forbidden stands in what is shown: answer, quotes, addresses, notices, follow-up questions."""
    cited = [f"{one.quote} {one.url}" for sentence in given.sentences for one in sentence.citations]
    notices = [notice.message for notice in given.notices]
    shown = folded("\n".join([given.answer, *cited, *notices, *given.follow_ups]))
    said = [words for words in sample.must_not if folded(words) in shown]
    return _share(len(sample.must_not) - len(said), len(sample.must_not), [f"“{words}” is said" for words in said])


def abstention(sample: AskSample, given: Answer, corpus: Corpus) -> Score:
    """Answered where the site answers, not answered where it does not."""
    if given.abstained != sample.answerable:
        return Score(1.0)
    why = given.abstain_reason or "no reason"
    return Score(0.0, (f"not answered ({why})" if given.abstained else "answered, though the site does not say",))


def length(sample: AskSample, given: Answer, corpus: Corpus, most_words: int = MOST_WORDS) -> Score:
    """As many words as the sample allows, or the run."""
    most, count = sample.max_words or most_words, len(given.answer.split())
    return Score(1.0) if count <= most else Score(0.0, (f"{count} words, {most} are the most",))


def citations(sample: AskSample, given: Answer, corpus: Corpus) -> Score:
    """An answer has a citation, and every quote stands word for word in the section that it names."""
    cited = [one for sentence in given.sentences for one in sentence.citations]
    if not cited:
        return Score(None) if given.abstained else Score(0.0, ("no citation",))
    missed = []
    for one in cited:
        section = corpus.section(one.section)
        if section is None or not stands_in(one.quote, section.text):
            missed.append(f"“{one.quote[:60]}” does not stand in {one.section}")
    return _share(len(cited) - len(missed), len(cited), missed)


AskScorer = Callable[[AskSample, Answer, Corpus], Score]
ASK: Mapping[str, AskScorer] = {
    "key_points": key_points,
    "must_not": must_not,
    "abstention": abstention,
    "length": length,
    "citations": citations,
}


def score_answer(sample: AskSample, given: Answer, corpus: Corpus, most_words: int = MOST_WORDS) -> dict[str, Score]:
    """Every score of one answer. Where a sample is wrongly not answered, only that is told."""
    scores = {name: scorer(sample, given, corpus) for name, scorer in ASK.items()}
    scores["length"] = length(sample, given, corpus, most_words)
    if given.abstained and sample.answerable:
        scores |= {"key_points": Score(0.0 if sample.key_points else None), "citations": Score(None)}
    return scores


# ---------------------------------------------------------------- fit


def verdict(sample: FitSample, given: Assessment) -> Score:
    """The verdict that the sample gives."""
    if sample.verdict is None:
        return Score(None)
    right = given.verdict == sample.verdict
    return Score(1.0) if right else Score(0.0, (f"{given.verdict}, not {sample.verdict}",))


def gaps(sample: FitSample, given: Assessment) -> Score:
    """Each phrase stands in a requirement that is not strong, or in a misfit."""
    unborne = [one for one in given.requirements if one.band != "strong"]
    named = " ".join([*(f"{one.text} {one.reason}" for one in unborne), *(one.text for one in given.misfits)])
    missed = [phrase for phrase in sample.must_name_gaps if folded(phrase) not in folded(named)]
    of = len(sample.must_name_gaps)
    return _share(of - len(missed), of, [f"“{phrase}” is not named as a gap" for phrase in missed])


def bands(sample: FitSample, given: Assessment) -> Score:
    """The requirement nearest each phrase has the band that the sample gives."""
    pairs = compare(sample, given).pairs
    missed = [
        f"“{_short(pair.quote)}” is {pair.given or 'no requirement'}, not {pair.wanted}"
        for pair in pairs
        if pair.given != pair.wanted
    ]
    return _share(len(pairs) - len(missed), len(pairs), missed)


def gates(sample: FitSample, given: Assessment) -> Score:
    """Each gate of the sample is told as one."""
    told = [gate.text for gate in given.gates]
    missed = [f"“{_short(gate)}” is not told as a gate" for gate in sample.gates if nearest(gate, told) is None]
    return _share(len(sample.gates) - len(missed), len(sample.gates), missed)


def _short(quote: str) -> str:
    shown = " ".join(quote.split())
    return shown if len(shown) <= MOST_SHOWN_CHARACTERS else f"{shown[:MOST_SHOWN_CHARACTERS]}…"


def quotes(sample: FitSample, given: Assessment) -> Score:
    """Every requirement's quote stands in the posting."""
    posting = folded(sample.posting)
    missed = [one.quote for one in given.requirements if folded(one.quote) not in posting]
    of = len(given.requirements)
    return _share(of - len(missed), of, [f"“{quote[:60]}” does not stand in the posting" for quote in missed])


def judgement(sample: FitSample, given: Assessment) -> Score:
    """The model that is measured came to its end: what the rules had to say for it is not its own."""
    told = tuple(notice.message for notice in given.notices if notice.code in FINISHED_BY_RULES)
    return Score(0.0, told) if told else Score(1.0)


FIT: Mapping[str, Callable[[FitSample, Assessment], Score]] = {
    "verdict": verdict,
    "gaps": gaps,
    "bands": bands,
    "gates": gates,
    "quotes": quotes,
    "judgement": judgement,
}


def score_assessment(sample: FitSample, given: Assessment) -> dict[str, Score]:
    """Every score of one assessment."""
    return {name: scorer(sample, given) for name, scorer in FIT.items()}


# ---------------------------------------------------------------- a form


def told_in(given: Filled) -> str:
    """All that people read of a filled form."""
    parts = [part for block in given.shown for item in block.items for part in item]
    return "\n".join(f"{part.label} {part.text}".strip() for part in parts)


def score_form(sample: FormSample, given: Filled) -> dict[str, Score]:
    """Every score of one filled form; its rows and quotes were held against the site before it was shown."""
    shown = told_in(given)
    points = [(point,) if isinstance(point, str) else point for point in sample.must_name]
    unnamed = [" | ".join(point) for point in points if not any(says(shown, words) for words in point)]
    said = [words for words in sample.must_not if folded(words) in folded(shown)]
    wrong = [name for name, words in sample.fields.items() if folded(str(given.output.get(name))) != folded(words)]
    told = tuple(notice.message for notice in given.notices if notice.code in FINISHED_BY_RULES)
    return {
        "named": _share(len(points) - len(unnamed), len(points), [f"“{point}” is not named" for point in unnamed]),
        "must_not": _share(
            len(sample.must_not) - len(said), len(sample.must_not), [f"“{words}” is said" for words in said]
        ),
        "fields": _share(
            len(sample.fields) - len(wrong),
            len(sample.fields),
            [f"{name} is {given.output.get(name)}, not {sample.fields[name]}" for name in wrong],
        ),
        "form": Score(0.0, told) if told else Score(1.0),
    }
