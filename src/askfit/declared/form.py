"""A form that an owner declares as a JSON Schema: read, checked, told to a model, and held against what one gives.

Of JSON Schema the plain part: objects, lists, texts, numbers, enumerations. `x-askfit` marks what code checks: a `row`
of the matrix, a `section` of the site, a `quote` of the pasted text, one that nothing bears (`missing_quote`), a
`site_quote`, a `grade`. Whatever a form asks,
rules must be able to fill it and to leave out what nothing bears: a form that forbids that is refused when it is read.
Knows no site, no row and no model.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import SchemaError, SchemaValidator, core_schema

from askfit.errors import SettingsError

MARK = "x-askfit"
# mark → (the type it stands on, what the feature must read, how a model is told)
MARKS: Mapping[str, tuple[str, str, str]] = {
    "row": ("integer", "matrix", "the number of a row of the matrix"),
    "section": ("integer", "corpus", "the number of a section of the site"),
    "quote": ("string", "", "words of the pasted text, copied"),
    "missing_quote": ("string", "", "words of the pasted text that ask for what nothing bears, copied"),
    "site_quote": ("string", "corpus", "words of the site, copied from the section"),
    "grade": ("string", "", "the best first"),
}
NEED_NOT_BE = (
    "row",
    "section",
    "quote",
    "missing_quote",
    "site_quote",
)  # what is invented is left out, so it must be leavable
KEYWORDS: Mapping[str, frozenset[str]] = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "maxItems"}),
    "string": frozenset({"enum", "maxLength"}),
    "integer": frozenset({"minimum", "maximum"}),
    "number": frozenset({"minimum", "maximum"}),
    "boolean": frozenset(),
}
EVERYWHERE = frozenset({"type", "title", "description", MARK, "$schema", "$id", "$comment"})
MOST_ITEMS = 12  # of a list that names no bound
MOST_CHARS = 600  # of a text that names none
MOST_DEPTH = 6
MOST_FIELDS = 40

Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Form:
    """A form as declared."""

    schema: Schema
    sha: str

    @property
    def asked(self) -> dict[str, Any]:
        """The schema that a model is given: without marks and bounds, which not every provider takes; all is asked."""
        return _asked(self.schema)

    @property
    def told(self) -> str:
        """The fields in words, a line each, with the bounds that the schema for a model does not carry."""
        return "\n".join(_told(self.schema, 0))

    @cached_property
    def _validator(self) -> SchemaValidator:
        return SchemaValidator(_core(self.schema))

    def faults(self, given: Any) -> tuple[str, ...]:
        """What keeps an object from being this form, in words; () where nothing does."""
        try:
            self._validator.validate_python(given)
        except ValidationError as error:
            return tuple(_fault(one) for one in error.errors()[:5])
        return ()


def _fault(error: Any) -> str:
    place = ".".join(map(str, error["loc"])) or "the answer"
    return f"{place}: {error['msg'][:1].lower()}{error['msg'][1:]}."


@lru_cache(maxsize=16)
def read_form(text: str, place: str, reads: Set[str]) -> Form:
    """The form in a file; SettingsError with its place, the field and what to do."""
    try:
        schema = json.loads(text)
    except ValueError as error:
        raise _wrong(place, f"is not JSON ({error})", "Mend that line.") from None
    if not isinstance(schema, dict) or schema.get("type") != "object" or not schema.get("properties"):
        raise _wrong(place, "is not a form", 'It must be {"type": "object", "properties": {…}}.')
    count = _check(schema, place, "", reads, leavable=False, depth=0)
    if count > MOST_FIELDS:
        raise _wrong(place, f"has {count} fields", f"{MOST_FIELDS} are the most.")
    form = Form(schema, hashlib.sha256(text.encode()).hexdigest()[:12])
    try:
        _ = form._validator
    except SchemaError as error:
        raise _wrong(place, f"is no usable JSON Schema ({str(error).splitlines()[0]})", "Mend it.") from None
    return form


def _wrong(place: str, what: str, next_step: str) -> SettingsError:
    return SettingsError("form_invalid", f"{place} {what}.", next_step)


# ---------------------------------------------------------------- what may be declared


def _check(schema: Any, place: str, field: str, reads: Set[str], *, leavable: bool, depth: int) -> int:
    """How many fields there are; SettingsError for the first that cannot be held to."""
    where = f"field '{field}'" if field else "the form"
    if not isinstance(schema, dict) or schema.get("type") not in KEYWORDS:
        known = ", ".join(KEYWORDS)
        raise _wrong(place, f"names no type for {where} that is known here", f"Known: {known}.")
    kind = schema["type"]
    for key in schema:
        if key not in KEYWORDS[kind] | EVERYWHERE:
            raise _wrong(place, f"has '{key}' in {where}, which is not known of a {kind}", _instead(key, kind))
    if depth > MOST_DEPTH:
        raise _wrong(place, f"goes deeper than {MOST_DEPTH} levels at {where}", "Make it flatter.")
    _check_mark(schema, place, where, reads, leavable=leavable)
    if kind == "array":
        return 1 + _check(schema.get("items"), place, f"{field}[]", reads, leavable=True, depth=depth + 1)
    if kind != "object":
        _check_fillable(schema, place, where, leavable=leavable)
        return 1
    return 1 + _check_object(schema, place, field, reads, leavable=leavable, depth=depth)


def _check_object(schema: Schema, place: str, field: str, reads: Set[str], *, leavable: bool, depth: int) -> int:
    properties, required = schema.get("properties"), schema.get("required", [])
    if not isinstance(properties, dict) or not isinstance(required, list):
        raise _wrong(place, f"is no JSON Schema at {field or 'its top'}", "properties is an object, required a list.")
    for name in required:
        if name not in properties:
            raise _wrong(
                place, f"requires '{name}', which is not among its properties", "Add it, or do not require it."
            )
    return sum(
        _check(inner, place, f"{field}.{name}".lstrip("."), reads, leavable=leavable or name not in required,
               depth=depth + 1)
        for name, inner in properties.items()
    )  # fmt: skip


def _check_mark(schema: Schema, place: str, where: str, reads: Set[str], *, leavable: bool) -> None:
    mark = schema.get(MARK)
    if mark is None:
        return
    if mark not in MARKS:
        near = difflib.get_close_matches(str(mark), MARKS, 1, 0.5)
        hint = f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(MARKS)}."
        raise _wrong(place, f"marks {where} as '{mark}', which is not known", hint)
    kind, needs, _ = MARKS[mark]
    if schema["type"] != kind:
        raise _wrong(place, f"marks {where} as a {mark}, but its type is {schema['type']}", f"Its type must be {kind}.")
    if needs and needs not in reads:
        raise _wrong(place, f"marks {where} as a {mark}, but the feature does not read the {needs}",
                     f'Add "{needs}" to reads.')  # fmt: skip
    if mark == "grade" and not schema.get("enum"):
        raise _wrong(place, f"marks {where} as a grade without naming the grades", 'Add "enum", the best first.')
    if mark in NEED_NOT_BE and not leavable:
        raise _wrong(place, f"requires {where}, a {mark}, but what is invented is left out",
                     "Do not require it, or put it into a list.")  # fmt: skip


def _check_fillable(schema: Schema, place: str, where: str, *, leavable: bool) -> None:
    enum = schema.get("enum")
    if enum is not None and not (isinstance(enum, list) and enum and all(isinstance(one, str) for one in enum)):
        raise _wrong(place, f"has no list of texts as enum in {where}", 'Write "enum": ["yes", "no"].')
    plain = schema["type"] == "string" and enum is None
    if not leavable and not plain and not schema.get(MARK):
        raise _wrong(place, f"requires {where}, which no rule can fill when there is no model",
                     f'Do not require it, or mark an enum with "{MARK}": "grade".')  # fmt: skip


INSTEAD = {
    "minItems": "An empty list must be allowed: perhaps nothing bears on it.",
    "minLength": "Leave it out.",
    "$ref": "Write what it refers to in its place.",
}


def _instead(key: str, kind: str) -> str:
    return INSTEAD.get(key, f"Known: {', '.join(sorted(KEYWORDS[kind] | {'title', 'description', MARK}))}.")


# ---------------------------------------------------------------- for a model


def _asked(schema: Schema) -> dict[str, Any]:
    kept = {key: schema[key] for key in ("type", "enum", "description") if key in schema}
    if schema["type"] == "object":
        properties = {name: _asked(inner) for name, inner in schema["properties"].items()}
        return kept | {"properties": properties, "required": list(properties), "additionalProperties": False}
    return kept | {"items": _asked(schema["items"])} if schema["type"] == "array" else kept


def _told(schema: Schema, depth: int) -> Iterator[str]:
    for name, inner in schema["properties"].items():
        item = inner["items"] if inner["type"] == "array" else inner
        words = [inner.get("description", ""), *_bounds(inner), *([] if item is inner else _bounds(item))]
        yield f"{'  ' * depth}- `{name}`: {'; '.join(word.rstrip('.') for word in words if word) or inner['type']}."
        if item["type"] == "object":
            yield from _told(item, depth + 1)


def _bounds(schema: Schema) -> Iterator[str]:
    match schema["type"]:
        case "array":
            yield f"a list of at most {schema.get('maxItems', MOST_ITEMS)}"
        case "string" if "enum" in schema:
            yield f"one of {', '.join(schema['enum'])}"
        case "string" if not schema.get(MARK):
            yield f"at most {schema.get('maxLength', MOST_CHARS)} characters"
        case _:
            pass
    if mark := schema.get(MARK):
        yield MARKS[mark][2]


# ---------------------------------------------------------------- what is held against it


def _core(schema: Schema) -> Any:
    """The same as pydantic checks it: strict in types, unknown fields refused."""
    match schema["type"]:
        case "object":
            required = schema.get("required", [])
            fields = {
                name: core_schema.typed_dict_field(_core(inner), required=name in required)
                for name, inner in schema["properties"].items()
            }
            return core_schema.typed_dict_schema(fields, extra_behavior="forbid")
        case "array":
            return core_schema.list_schema(_core(schema["items"]), max_length=schema.get("maxItems", MOST_ITEMS))
        case "string" if "enum" in schema:
            return core_schema.literal_schema(schema["enum"])
        case "string":
            return core_schema.str_schema(strict=True, max_length=schema.get("maxLength", MOST_CHARS))
        case "integer":
            return core_schema.int_schema(strict=True, ge=schema.get("minimum"), le=schema.get("maximum"))
        case "number":
            return core_schema.float_schema(ge=schema.get("minimum"), le=schema.get("maximum"))
        case _:
            return core_schema.bool_schema(strict=True)
