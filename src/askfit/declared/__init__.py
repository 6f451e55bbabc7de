"""What an owner declares in files of their own: a feature's prompt, and the form that a feature fills.

The files were read with the settings; here they are understood, and a wrong one is told in one sentence. An own prompt
says what is wanted; the rules that every answer keeps to are ours and stand below it. Knows no site and no model.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable

from askfit.config import Feature, Settings
from askfit.declared.form import Form, read_form
from askfit.errors import SettingsError
from askfit.prompts import PromptFile, load_prompt

__all__ = ["Form", "chat_instructions", "check_declared", "form_instructions", "form_of", "own_prompt"]

SLOTS = ("name", "site", "words")  # what an own prompt may say of the site: the same for every visitor
NO_LENGTH = "Answer in the first sentence, then stop as soon as it is answered: 80 words at most, in plain sentences."
LENGTH = "At most {words} words in all: as much as is asked for, in plain sentences, and then stop."


def check_declared(settings: Settings) -> None:
    """SettingsError for the first prompt or form that cannot be used."""
    for name, feature in settings.features.items():
        if feature.prompt:
            _check_slots(settings, name, own_prompt(settings, feature))
        if feature.output:
            form_of(settings, name)


def own_prompt(settings: Settings, feature: Feature) -> PromptFile:
    """The owner's own prompt of a feature that has one."""
    text = settings.texts[feature.prompt]
    return PromptFile(feature.prompt, text, _sha(text))


def form_of(settings: Settings, name: str) -> Form:
    """The form that a feature fills; SettingsError where its file is none."""
    feature = settings.features[name]
    place = f"{feature.output} ([features.{name}] output in {settings.path.name})"
    return read_form(settings.texts[feature.output], place, frozenset(feature.reads))


def chat_instructions(settings: Settings, feature: Feature) -> tuple[str, str]:
    """(the instructions of a chat, their sha): askfit's own, or the owner's with our rules below them."""
    if not feature.prompt:
        file = load_prompt("ask")
        return file.render(name=settings.site.name), file.sha
    length = LENGTH.format(words=feature.words) if feature.words else NO_LENGTH
    return _with_rules(settings, feature, "own_chat", name=settings.site.name, length=length)


def form_instructions(settings: Settings, name: str) -> tuple[str, str]:
    """(the instructions of a feature that fills a form, their sha)."""
    feature, form = settings.features[name], form_of(settings, name)
    text, sha = _with_rules(settings, feature, "own_form", name=settings.site.name, fields=form.told)
    return text, _sha(sha + form.sha)


def _with_rules(settings: Settings, feature: Feature, rules: str, **slots: str) -> tuple[str, str]:
    own, ours = own_prompt(settings, feature), load_prompt(rules)
    said = own.render(**{name: value for name, value in _values(settings, feature).items() if name in own.slots})
    return f"{said}\n\n{ours.render(**slots)}", _sha(own.sha + ours.sha)


def _values(settings: Settings, feature: Feature) -> dict[str, str]:
    return {"name": settings.site.name, "site": settings.site.url, "words": str(feature.words or 80)}


def _check_slots(settings: Settings, name: str, file: PromptFile) -> None:
    unknown = sorted(file.loose_slots - set(SLOTS))
    if unknown:
        place = f"{file.name} ([features.{name}] prompt in {settings.path.name})"
        slot = f"{{{{{unknown[0]}}}}}"
        message = f"{place} has a slot {slot} that nothing fills."
        raise SettingsError("prompt_slot_unknown", message, _nearest(unknown[0], SLOTS))


def _nearest(given: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(given, known, 1, 0.5)
    return f"Did you mean {{{{{near[0]}}}}}?" if near else f"Known: {', '.join(f'{{{{{one}}}}}' for one in known)}."


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
