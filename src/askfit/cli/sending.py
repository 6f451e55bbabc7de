"""What every question of a feature sends alike, before any is asked: instructions, form, rows, pages. Calls nothing.

One count for `askfit check` and `askfit advise`: what is cached and paid for is more than the pages or the rows alone.
"""

from __future__ import annotations

from askfit.ask.prompt import Shared, contents_prefix, whole_documents, whole_prefix
from askfit.config import Settings
from askfit.corpus import Corpus
from askfit.declared import chat_instructions, form_instructions, form_of
from askfit.fit.judgement import SCHEMA, matrix_text
from askfit.models import facts, prompt_tokens
from askfit.prompts import load_prompt
from askfit.skills import Matrix
from askfit.text import estimate_tokens
from askfit.types import Prompt


def sent_tokens(
    settings: Settings, feature: str, corpus: Corpus, matrix: Matrix | None, *, model: str, whole: bool = True
) -> int:
    """Tokens, as Claude 4.5 counts them, of all that each question to the model sends alike.

    `whole`: with every page; without, with their titles only, as where search finds the passages. A feature that reads
    no pages sends the same either way.
    """
    prompt = _shared(settings, feature, corpus, matrix, whole=whole)
    return round(prompt_tokens(model, prompt) / facts(model).tokenizer_ratio)


def reads_pages(settings: Settings, feature: str, matrix: Matrix | None) -> bool:
    """Is it the pages that have to fit, and not the rows?"""
    declared = settings.features[feature]
    return "corpus" in declared.reads if declared.work == "form" else not (declared.kind == "assessment" and matrix)


def content_tokens(settings: Settings, feature: str, corpus: Corpus, matrix: Matrix | None) -> int:
    """Tokens of the pages alone, or of the rows alone where it reads no pages."""
    if reads_pages(settings, feature, matrix):
        return corpus.tokens
    return estimate_tokens(matrix_text(matrix)) if matrix else 0


def _shared(settings: Settings, feature: str, corpus: Corpus, matrix: Matrix | None, *, whole: bool) -> Prompt:
    declared, shared = settings.features[feature], Shared(corpus)
    pages = whole_prefix if whole else contents_prefix
    if declared.work == "form":  # as form_prompt sends it
        rows = matrix_text(matrix) if "matrix" in declared.reads and matrix else ""
        prefix = rows + (pages(shared) if "corpus" in declared.reads else "")
        instructions, _ = form_instructions(settings, feature)
        return Prompt(instructions, prefix, (), 0, form_of(settings, feature).asked)
    if not reads_pages(settings, feature, matrix) and matrix:  # as prompt_for sends it
        return Prompt(load_prompt("fit").text, matrix_text(matrix), (), 0, SCHEMA)
    instructions, _ = chat_instructions(settings, declared)  # as make_prompt sends it
    if not whole:
        return Prompt(instructions, pages(shared), (), 0)
    # A model that cites by itself is given documents instead.
    cited = Prompt(f"{instructions}\n\n{load_prompt('ask_citing').text}", "", (), 0, documents=whole_documents(shared))
    return Prompt(instructions, pages(shared), (), 0, cited=cited)
