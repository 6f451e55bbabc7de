"""A filled form as people read it: its fields in their order, rows by their names, sections as pages. Draws nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from askfit.ask.bearing import place
from askfit.declared.form import MARK, Schema
from askfit.fit.rules import evidence_of
from askfit.forms.audit import Audit
from askfit.types import Block, Part


def blocks(schema: Schema, filled: Mapping[str, Any], audit: Audit) -> tuple[Block, ...]:
    """A block for each field that holds something."""
    shown = []
    for name, inner in schema["properties"].items():
        if name not in filled or filled[name] in ("", []):
            continue
        values = filled[name] if inner["type"] == "array" else [filled[name]]
        item = inner["items"] if inner["type"] == "array" else inner
        items = tuple(parts for value in values if (parts := tuple(_parts(item, value, audit))))
        shown.append(Block(title=_title(name, inner), items=items))
    return tuple(shown)


def _title(name: str, schema: Schema) -> str:
    return str(schema.get("title") or name.replace("_", " ").capitalize())


def _parts(schema: Schema, value: Any, audit: Audit, section: str = "") -> Iterator[Part]:
    if schema["type"] == "object":
        at = next((name for name, each in schema["properties"].items() if each.get(MARK) == "section"), "")
        found = audit.section(value[at]) if at in value else None
        for name, inner in schema["properties"].items():
            if name in value:
                yield from _parts(inner, value[name], audit, found.url if found else section)
    elif schema["type"] == "array":
        for one in value:
            yield from _parts(schema["items"], one, audit, section)
    else:
        yield _part(schema, value, audit, section)


def _part(schema: Schema, value: Any, audit: Audit, url: str) -> Part:
    match schema.get(MARK):
        case "row":
            row = audit.matrix.row(value) if audit.matrix else None
            said = f"{row.name} · level {row.level:g}" if row else str(value)
            return Part(kind="row", text=said, label=evidence_of(row, "exact").place if row else "")
        case "section":
            section = audit.section(value)
            if section is None:
                return Part(kind="page", text=str(value))
            return Part(kind="page", text=section.titled, url=section.url)
        case "quote" | "missing_quote":
            return Part(kind="quote", text=value)
        case "site_quote":
            return Part(kind="quote", text=value, url=place(url, value) if url else "")
        case _ if "enum" in schema:
            return Part(kind="grade", text=str(value))
        case _:
            label = str(schema.get("title", "")) if schema["type"] != "string" else ""
            return Part(kind="text", text=str(value), label=label)
