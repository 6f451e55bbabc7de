"""Prompts are product: markdown files beside this one, read by people, strict about their slots.

A slot is written `{{name}}`. Knows nothing of what fills it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_SLOT = re.compile(r"\{\{([a-z_]+)\}\}")
_BRACES = re.compile(r"\{\{([^{}\n]{0,60})\}\}")


@dataclass(frozen=True, slots=True)
class PromptFile:
    """One prompt as it stands in its file; `sha` (12 hex digits) goes into the ledger."""

    name: str
    text: str
    sha: str

    @property
    def slots(self) -> frozenset[str]:
        return frozenset(_SLOT.findall(self.text))

    @property
    def loose_slots(self) -> frozenset[str]:
        """What stands in double braces, a slot's name or a slip of one: for files that an owner writes."""
        return frozenset(_BRACES.findall(self.text))

    def render(self, **values: str) -> str:
        """Fill every slot; a missing or a surplus value is a KeyError. A value is never scanned for slots."""
        if given := self.slots ^ values.keys():
            raise KeyError(f"prompts/{self.name}.md and what fills it differ in: {', '.join(sorted(given))}")
        return _SLOT.sub(lambda match: values[match.group(1)], self.text)


@cache
def load_prompt(name: str) -> PromptFile:
    """Read prompts/<name>.md."""
    text = files(__name__).joinpath(f"{name}.md").read_text(encoding="utf-8").strip()
    return PromptFile(name, text, hashlib.sha256(text.encode()).hexdigest()[:12])
