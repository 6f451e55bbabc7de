"""A filled form held against what it names: rows, sections, quotes, grades, and the words between them.

What does not stand goes, with the least that can be left out: an optional field, or the list's item that it is in. A
text that nothing bears is said by the rules instead. Knows no model and no network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic_core import from_json

from askfit.ask.ground import Ground
from askfit.corpus import Corpus
from askfit.declared.form import MARK, MOST_CHARS, MOST_ITEMS, Schema
from askfit.fit.claims import Claims, without_praise
from askfit.leaks import Hidden
from askfit.skills import Matrix
from askfit.text import clean, sentences, stands_in
from askfit.types import Section, Skill

MOST_TOLD_CHARS = 80
NEAR = 12  # sections that a quote is looked for in, where no section is named beside it
STRONG_LEVEL, MODERATE_LEVEL = 4, 3  # from which a row bears the best grade, a middle one

GONE: Any = object()


def read_object(said: str) -> dict[str, Any] | None:
    """The one JSON object in what a model says; fences and prose around it are passed over."""
    raw = said.encode("utf-8", "replace")
    start, end = raw.find(b"{"), raw.rfind(b"}") + 1
    try:
        given = from_json(raw[start:end]) if 0 <= start < end else None
    except ValueError:
        return None
    return given if isinstance(given, dict) else None


@dataclass(frozen=True, slots=True)
class Words:
    """What a form's free sentences are held against: each must be borne by the rows or by the pages, whole."""

    hidden: Hidden
    pasted: str
    claims: Claims | None = None
    ground: Ground | None = None

    def kept(self, said: str, cited: Sequence[int]) -> str:
        """The sentences that stay."""
        kept = []
        for sentence in sentences(said):
            plain = without_praise(sentence, self.pasted)
            if plain and not self.hidden.form(sentence) and self._bears(plain, cited):
                kept.append(plain)
        return " ".join(kept)

    def _bears(self, sentence: str, cited: Sequence[int]) -> bool:
        if self.claims and self.claims.bears(sentence, levels=None, shares=()):
            return True
        return self.ground is not None and not self.ground.unborne(sentence, cited)


@dataclass(frozen=True, slots=True)
class Beside:
    """What is named in the same item: a quote, a grade and a text are read in its light."""

    rows: tuple[Skill, ...] = ()
    sections: tuple[int, ...] = ()


@dataclass(slots=True)
class Audit:
    """One form's audit. `words` is None where rules have filled it: their words need no check."""

    pasted: str
    matrix: Matrix | None
    corpus: Corpus | None
    by_rules: str  # what the rules say of the whole
    words: Words | None = None
    left_out: list[str] = field(default_factory=list)
    kept: int = 0  # rows, sections and quotes that stand
    replaced: int = 0  # texts that the rules had to say

    def filled(self, schema: Schema, given: Mapping[str, Any]) -> dict[str, Any]:
        """The form with what stands; what it requires and now lacks, the form itself tells."""
        found, _ = self._fields(schema, given, Beside())
        if self.words and not self.kept:  # a form that names nothing praises nothing
            for name, inner in schema["properties"].items():
                if inner.get(MARK) == "grade" and name in found:
                    found[name] = inner["enum"][-1]
        return found

    def _value(self, schema: Schema, given: Any, beside: Beside) -> Any:
        match schema["type"]:
            case "object":
                return self._object(schema, given, beside) if isinstance(given, dict) else GONE
            case "array":
                return self._list(schema, given, beside) if isinstance(given, list) else GONE
            case _:
                return LEAVES.get(schema.get(MARK, ""), Audit._plain)(self, schema, given, beside)

    def _object(self, schema: Schema, given: Mapping[str, Any], beside: Beside) -> Any:
        kept = self.kept
        found, lacks = self._fields(schema, given, beside, item=True)
        if lacks:
            self.kept = kept
        return GONE if lacks else found

    def _fields(
        self, schema: Schema, given: Mapping[str, Any], beside: Beside, *, item: bool = False
    ) -> tuple[dict[str, Any], bool]:
        """(the fields that stand, whether a required one is missing). Rows and sections first: others lean on them.

        An item is given up with the first of its required fields that does not stand.
        """
        properties = schema["properties"]
        first = [name for name in properties if _names(properties[name])]
        required = schema.get("required", [])
        found: dict[str, Any] = {}
        for name in [*first, *(name for name in properties if name not in first)]:
            if name in given and (value := self._value(properties[name], given[name], beside)) is not GONE:
                found[name] = value
                beside = self._with(beside, properties[name], value)
            elif item and name in required:
                break
        lacks = any(name not in found for name in required)
        return {name: found[name] for name in properties if name in found}, lacks

    def _with(self, beside: Beside, schema: Schema, value: Any) -> Beside:
        values = value if isinstance(value, list) else [value]
        match _names(schema):
            case "row" if self.matrix:
                rows = [row for one in values if (row := self.matrix.row(one))]
                return replace(beside, rows=(*beside.rows, *rows))
            case "section":
                return replace(beside, sections=(*beside.sections, *values))
            case _:
                return beside

    def _list(self, schema: Schema, given: Sequence[Any], beside: Beside) -> list[Any]:
        most = schema.get("maxItems", MOST_ITEMS)
        found: list[Any] = []
        for one in given:
            value = self._value(schema["items"], one, beside)
            if value is not GONE and value not in found and len(found) < most:
                found.append(value)
        return found

    # ------------------------------------------------------------ leaves

    def _row(self, schema: Schema, given: Any, beside: Beside) -> Any:
        number = _whole(given)
        if number is None or self.matrix is None or self.matrix.row(number) is None:
            return self._leave(f"The matrix has no row {_shown(given)}.")
        return self._keep(number)

    def _section(self, schema: Schema, given: Any, beside: Beside) -> Any:
        number = _whole(given)
        if number is None or self.section(number) is None:
            return self._leave(f"The site has no section {_shown(given)}.")
        return self._keep(number)

    def _quote(self, schema: Schema, given: Any, beside: Beside) -> Any:
        if not isinstance(given, str) or not given.strip() or not stands_in(given, self.pasted):
            return self._leave(f"“{_shown(given)}” does not stand in the pasted text.")
        return self._keep(" ".join(given.split()))

    def _site_quote(self, schema: Schema, given: Any, beside: Beside) -> Any:
        if isinstance(given, str) and given.strip():
            near = [found for number in beside.sections if (found := self.section(number))]
            if not near and self.corpus:
                near = [passage.section for passage in self.corpus.search(given, NEAR)]
            if any(stands_in(given, section.text) for section in near):
                return self._keep(" ".join(given.split()))
        return self._leave(f"“{_shown(given)}” does not stand in the site's section.")

    def _grade(self, schema: Schema, given: Any, beside: Beside) -> Any:
        """A grade that is not above what the rows named beside it bear."""
        grades: list[str] = schema["enum"]
        if given not in grades:
            return self._leave(f"“{_shown(given)}” is none of {', '.join(grades)}.")
        if self.words is None or not beside.rows:
            return given
        return grades[max(grades.index(given), best_grade(len(grades), max(row.level for row in beside.rows)))]

    def _plain(self, schema: Schema, given: Any, beside: Beside) -> Any:
        if schema["type"] != "string" or "enum" in schema:
            return given  # the form itself knows whether it fits
        if not isinstance(given, str):
            return GONE
        said = " ".join(clean(given).split())
        kept = self.words.kept(said, beside.sections) if self.words else said
        if kept != said and self.words:
            self.left_out.append(f"What nothing here shows of “{_shown(said)}”.")
        if not kept:
            self.replaced += 1
            kept = self._instead(beside)
        return _cut(kept, schema.get("maxLength", MOST_CHARS))

    def _instead(self, beside: Beside) -> str:
        if beside.rows:
            return " ".join(f"{row.name} at {row.level:g} of 5." for row in beside.rows[:3])
        named = [found for number in beside.sections if (found := self.section(number))]
        return f"“{named[0].title}” speaks of it." if named else self.by_rules

    def section(self, number: int) -> Section | None:
        """The section of that number, as the prompt counts them."""
        sections = self.corpus.sections if self.corpus else ()
        return sections[number - 1] if 0 < number <= len(sections) else None

    def _keep(self, value: Any) -> Any:
        self.kept += 1
        return value

    def _leave(self, why: str) -> Any:
        self.left_out.append(why)
        return GONE


LEAVES = {
    "row": Audit._row,
    "section": Audit._section,
    "quote": Audit._quote,
    "missing_quote": Audit._quote,
    "site_quote": Audit._site_quote,
    "grade": Audit._grade,
}


def best_grade(count: int, level: float) -> int:
    """The place of the best of so many grades, the best first, that a row at this level bears."""
    return 0 if level >= STRONG_LEVEL else count // 2 if level >= MODERATE_LEVEL else count - 1


def _names(schema: Schema) -> str:
    """ "row" or "section" where the field, or each item of it, is one."""
    inner = schema["items"] if schema["type"] == "array" else schema
    return str(inner.get(MARK, "")) if inner.get(MARK) in ("row", "section") else ""


def _whole(given: Any) -> int | None:
    """A number, also as a text of digits; True is none."""
    if isinstance(given, str) and given.strip().isdecimal() and len(given) < 9:
        return int(given)
    return given if isinstance(given, int) and not isinstance(given, bool) else None


def _shown(given: Any) -> str:
    return " ".join(clean(str(given)[:400]).split())[:MOST_TOLD_CHARS]


def _cut(said: str, most: int) -> str:
    return said if len(said) <= most else said[: max(1, said.rfind(" ", 0, most - 1))].rstrip(" ,;") + "…"
