"""Fill a form by rules: each list with what was found of the kind that its items name. Calls no model.

A list whose items name a row gets the rows that bear the pasted text, one that names sections or quotes of the site its
pages, one of missing quotes the items that neither bears. What no rule can know is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from askfit.declared.form import MARK, MOST_CHARS, MOST_ITEMS, Form, Schema
from askfit.forms.audit import GONE, best_grade
from askfit.forms.found import Bearing, Found

MANY = 3  # strong rows from which the whole gets the best grade


def fill(form: Form, found: Found, numbers: Mapping[str, int]) -> dict[str, Any]:
    """The form as the rules fill it. `numbers`: each section's number, by its id."""
    filled = {name: _root(inner, found, numbers) for name, inner in form.schema["properties"].items()}
    return {name: value for name, value in filled.items() if value is not GONE}


def _root(schema: Schema, found: Found, numbers: Mapping[str, int]) -> Any:
    if schema["type"] == "array":
        return _items(schema, found, numbers)
    if schema["type"] == "object":
        inner = {name: _root(each, found, numbers) for name, each in schema["properties"].items()}
        kept = {name: value for name, value in inner.items() if value is not GONE}
        return GONE if any(name not in kept for name in schema.get("required", [])) else kept
    if schema.get(MARK) == "grade":
        return schema["enum"][_overall(len(schema["enum"]), found)]
    if schema["type"] == "string" and "enum" not in schema and not schema.get(MARK):
        return found.said[: schema.get("maxLength", MOST_CHARS)]
    return GONE


def _overall(count: int, found: Found) -> int:
    """By how many rows bear it squarely: three, or fewer, or none at all."""
    strong = sum(best_grade(count, one.row.level) == 0 for one in found.rows if one.row)
    return 0 if strong >= MANY else count // 2 if found.rows or found.pages else count - 1


def _items(schema: Schema, found: Found, numbers: Mapping[str, int]) -> list[Any]:
    inner = schema["items"]
    marks = set(_marks(inner))
    bearings: Sequence[Bearing] = ()
    if "row" in marks:
        bearings = found.rows
    elif marks & {"section", "site_quote"}:
        bearings = found.pages
    elif "missing_quote" in marks:
        bearings = found.missing
    values: list[Any] = []
    for one in bearings:
        value = _of(inner, one, numbers)
        if value is not GONE and value not in values:
            values.append(value)
    return values[: schema.get("maxItems", MOST_ITEMS)]


def _marks(schema: Schema) -> Iterator[str]:
    if schema["type"] == "object":
        for inner in schema["properties"].values():
            yield from _marks(inner)
    elif schema["type"] == "array":
        yield from _marks(schema["items"])
    elif schema.get(MARK):
        yield schema[MARK]


def _of(schema: Schema, one: Bearing, numbers: Mapping[str, int]) -> Any:
    """The value that one bearing gives a field; GONE where it gives none."""
    if schema["type"] == "object":
        found = {name: _of(inner, one, numbers) for name, inner in schema["properties"].items()}
        kept = {name: value for name, value in found.items() if value is not GONE}
        return GONE if any(name not in kept for name in schema.get("required", [])) else kept
    if schema["type"] == "array":
        value = _of(schema["items"], one, numbers)
        return [] if value is GONE else [value]
    match schema.get(MARK):
        case "row":
            return one.row.row if one.row else GONE
        case "section":
            return numbers[one.section.id] if one.section else GONE
        case "quote" | "missing_quote":
            return one.quote
        case "site_quote":
            return one.site_quote or GONE
        case "grade":
            count = len(schema["enum"])
            return schema["enum"][best_grade(count, one.row.level) if one.row else count // 2]
        case _:
            plain = schema["type"] == "string" and "enum" not in schema
            return one.reason[: schema.get("maxLength", MOST_CHARS)] if plain else GONE
