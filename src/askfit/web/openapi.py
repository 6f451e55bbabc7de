"""What /openapi.json says of requests and answers that FastAPI cannot see. Knows forms, not routes."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

REF = "#/components/schemas/{model}"
Responses = dict[int | str, dict[str, Any]]


def request_of(body: type[BaseModel]) -> dict[str, Any]:
    """A body as JSON or as a form of texts; what is no text travels as JSON in a form."""
    schema = body.model_json_schema(ref_template=REF)
    fields = {name: _as_text(inner) for name, inner in schema["properties"].items()}
    form = {"type": "object", "properties": fields, "required": schema.get("required", [])}
    content = {
        "application/json": {"schema": {"$ref": REF.format(model=body.__name__)}},
        "application/x-www-form-urlencoded": {"schema": form | {"additionalProperties": False}},
    }
    return {"requestBody": {"required": True, "content": content}}


def _as_text(schema: dict[str, Any]) -> dict[str, Any]:
    kinds = [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null"]
    return kinds[0] if kinds[0].get("type") == "string" else {"type": "string", "description": "as JSON"}


def answers(answer: type[BaseModel]) -> Responses:
    """What a POST on a feature can answer."""
    stream = {"schema": {"type": "string"}, "example": 'event: delta\nid: a1:2\ndata: {"text": "…"}\n\n'}
    forms = {"text/event-stream": stream, "text/html": {"schema": {"type": "string"}}}
    refusals = problems(400, 403, 404, 408, 413, 415, 422, 429, 500, 502, 503, page=True)
    return {200: {"model": answer, "content": forms}} | refusals


def problems(*statuses: int, page: bool = False) -> Responses:
    """Refusals, as problem documents; `page` where a browser's form is answered by a page."""
    content: dict[str, Any] = {"application/problem+json": {"schema": {"$ref": REF.format(model="Problem")}}}
    if page:
        content["text/html"] = {"schema": {"type": "string"}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def complete(app: FastAPI, models: Iterable[type[BaseModel]]) -> None:
    """Put the schemas of these models into the app's document: FastAPI knows only what it parses itself."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        is_made = app.openapi_schema is not None
        document = make()
        if not is_made:
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            for model in models:
                schema = model.model_json_schema(ref_template=REF)
                for name, each in {**schema.pop("$defs", {}), model.__name__: schema}.items():
                    schemas.setdefault(name, each)  # what FastAPI says of its own stays
        return document

    app.openapi = openapi  # type: ignore[method-assign]
