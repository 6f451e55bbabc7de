"""Routes. Each feature's path and kind come from the settings: a third feature is a third declaration.

A POST on a feature answers a stream, a page or a document, as asked for. Knows HTTP, not how answers are made.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import Headers as StarletteHeaders
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from askfit import __version__, telemetry
from askfit import ask as ask_feature
from askfit import fit as fit_feature
from askfit.config import Feature, Settings
from askfit.errors import AskfitError
from askfit.site import Site, open_site
from askfit.types import Answer, Assessment, Event
from askfit.web import pages, sse
from askfit.web.problems import HttpError, Problem, respond, retry_after
from askfit.web.visitors import visitor_of

log = logging.getLogger(__name__)

MOST_BODY_BYTES = 262_144
CONVERSATION = r"^[A-Za-z0-9_-]{1,64}$"


class Body(BaseModel):
    """A request's body: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PastTurn(Body):
    question: Annotated[str, Field(max_length=8_000)]
    answer: Annotated[str, Field(max_length=8_000)]


class Question(Body):
    """What POST on a chat feature takes."""

    question: str
    history: Annotated[tuple[PastTurn, ...], Field(max_length=50)] = ()
    conversation: Annotated[str, Field(pattern=CONVERSATION)] | None = None


class Posting(Body):
    """What POST on an assessment feature takes: the posting's text, or its address where the settings allow it."""

    posting: str | None = None
    url: str | None = None


class Feedback(Body):
    """What a visitor says of an answer."""

    answer: Annotated[str, Field(min_length=1, max_length=64)]
    rating: Literal["up", "down"]
    reason: Literal["too_shallow", "too_much", "wrong", "other"] | None = None
    note: Annotated[str, Field(max_length=2_000)] = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of feature is served."""

    body: type[Body]
    answer: type[BaseModel]
    stream: Callable[[Site, str, Any, str], AsyncIterator[Event]]
    whole: Callable[[Site, str, Any, str], Any]
    render: Callable[..., str]


def _ask(site: Site, name: str, body: Question, visitor: str) -> Any:
    history = [ask_feature.Turn(turn.question, turn.answer) for turn in body.history]
    conversation = body.conversation or secrets.token_urlsafe(18)
    fixed = {"conversation": conversation, "visitor": visitor, "feature": name}
    return {"question": body.question, "history": history} | fixed


def _fit(name: str, body: Posting, visitor: str) -> Any:
    if body.url is not None:
        raise HttpError(403, "url_not_allowed", "This site takes the posting's text only.", "Paste the text.")
    if body.posting is None:
        raise HttpError(422, "body_invalid", "'posting' is missing.", 'Send {"posting": "…"}.')
    return {"posting": body.posting, "visitor": visitor, "feature": name}


KINDS = {
    "chat": Kind(
        Question,
        Answer,
        lambda site, name, body, visitor: ask_feature.stream(site, **_ask(site, name, body, visitor)),
        lambda site, name, body, visitor: ask_feature.answer(site, **_ask(site, name, body, visitor)),
        pages.ask_page,
    ),
    "assessment": Kind(
        Posting,
        Assessment,
        lambda site, name, body, visitor: fit_feature.stream(site, **_fit(name, body, visitor)),
        lambda site, name, body, visitor: fit_feature.assess(site, **_fit(name, body, visitor)),
        pages.fit_page,
    ),
}


def create_app(settings: Settings, *, site: Site | None = None, on_ready: Callable[[], None] | None = None) -> FastAPI:
    """The app over a site; it opens the site itself where none is given."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.runs = sse.Runs()
        try:
            if site:
                app.state.site = site
                yield
            else:
                async with open_site(settings) as opened:
                    app.state.site = opened
                    await opened.gateway.warm()
                    if on_ready:
                        on_ready()
                    yield
        except AskfitError as error:
            app.state.failure = error
            raise
        finally:
            await app.state.runs.aclose()

    app = FastAPI(
        title=f"askfit: {settings.site.name}", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None
    )  # fmt: skip
    app.state.failure = None
    app.state.site = None
    _add_errors(app)
    _add_service_routes(app, settings)
    for name, feature in settings.features.items():
        _add_feature(app, settings, name, feature)
    app.add_middleware(Headers, settings=settings)
    return app


# ---------------------------------------------------------------- a feature


def _add_feature(app: FastAPI, settings: Settings, name: str, feature: Feature) -> None:
    kind = KINDS[feature.kind]

    async def page(request: Request) -> HTMLResponse:
        return _html(kind.render(settings, name, site=_site(app)), request)

    async def post(request: Request) -> Response:
        opened = _site(app)
        form = _is_form(request)
        try:
            if resumed := app.state.runs.resumed(request.headers.get("last-event-id", "")):
                return _stream(app, *resumed)
            raw = await _read_body(request)
            body = _parse(kind.body, raw, form=form)
            visitor = visitor_of(request, opened)
            await opened.counts.admit(visitor)
            if _accepts(request, "text/event-stream"):
                run = await app.state.runs.begin(kind.stream(opened, name, body, visitor))
                return _stream(app, run, 0)
            result = await kind.whole(opened, name, body, visitor)
        except AskfitError as error:
            if not form:
                raise
            shown = kind.render(settings, name, site=opened, error=error, given=_given(locals().get("raw", b"")))
            return _html(shown, request, error.status, retry_after(error))
        if form or _prefers_html(request):
            return _html(kind.render(settings, name, site=opened, body=body, result=result), request)
        return JSONResponse(result.model_dump(mode="json"))

    app.add_api_route(
        feature.path, page, methods=["GET"], response_class=HTMLResponse, name=f"{name}_page", summary=f"{name}'s page"
    )  # fmt: skip
    app.add_api_route(
        feature.path, post, methods=["POST"], name=name, summary=f"Ask {name}", openapi_extra=_request_of(kind.body),
        response_model=None, responses=_responses(kind.answer),
    )  # fmt: skip


def _request_of(body: type[Body]) -> dict[str, Any]:
    schema = body.model_json_schema(ref_template="#/components/schemas/{model}")
    definitions = schema.pop("$defs", {})
    for inner in definitions.values():
        inner.pop("title", None)
    reference = '{"$ref": "#/components/schemas/PastTurn"}'
    schema = json.loads(json.dumps(schema).replace(reference, json.dumps(definitions.get("PastTurn", {}))))
    forms = ("application/json", "application/x-www-form-urlencoded")
    return {"requestBody": {"required": True, "content": {form: {"schema": schema} for form in forms}}}


def _responses(answer: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """What a POST can answer, for /openapi.json."""
    streams = {"schema": {"type": "string"}, "example": 'event: delta\nid: a1:2\ndata: {"text": "…"}\n\n'}
    told = {"model": Problem, "content": {"application/problem+json": {}}}
    refusals = {400: "Not JSON", 403: "Not allowed", 413: "Too large", 415: "Unknown form", 422: "Not usable"}
    refusals |= {429: "Too often", 503: "Not now"}
    return {
        200: {"model": answer, "content": {"text/event-stream": streams, "text/html": {"schema": {"type": "string"}}}},
        **{status: {**told, "description": text} for status, text in refusals.items()},
    }


def _stream(app: FastAPI, run: sse.Run, seen: int) -> StreamingResponse:
    return StreamingResponse(app.state.runs.follow(run, seen), media_type="text/event-stream", headers=sse.HEADERS)


def _site(app: FastAPI) -> Site:
    if app.state.site is None:
        raise HttpError(503, "not_ready", "The site is still being read.", "Try again in a moment.")
    site: Site = app.state.site
    return site


# ---------------------------------------------------------------- requests


def _accepts(request: Request, media: str) -> bool:
    return media in request.headers.get("accept", "")


def _prefers_html(request: Request) -> bool:
    return request.headers.get("accept", "").startswith("text/html")


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")


async def _read_body(request: Request) -> bytes:
    """The body up to its bound, chunked ones too."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in ("application/json", "application/x-www-form-urlencoded"):
        given = media or "no content type"
        raise HttpError(415, "content_type_unknown", f"'{given}' is not read here.", "Send application/json.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY_BYTES:
            bound = MOST_BODY_BYTES // 1024
            raise HttpError(413, "body_too_large", f"The body is larger than {bound} KiB.", "Send less.")
    return bytes(body)


def _parse(model: type[Body], raw: bytes, *, form: bool) -> Any:
    """The body as its form; one sentence names the first key that is wrong."""
    try:
        fields = _given(raw) if form else json.loads(raw.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise HttpError(
            400, "body_not_json", "The body is not valid JSON in UTF-8.", 'Send {"question": "…"}.'
        ) from None
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "body"
        raise HttpError(
            422,
            "body_invalid",
            f"'{key}' is not usable: {first['msg']}.",
            "Send it in the form that /openapi.json gives.",
        ) from None


def _given(raw: bytes) -> dict[str, Any]:
    """The fields of a posted form; the history of a conversation travels in a hidden one."""
    fields: dict[str, Any] = {
        name: values[0]
        for name, values in parse_qs(raw.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=10).items()
    }
    if "history" in fields:
        try:
            fields["history"] = json.loads(fields["history"])
        except ValueError:
            fields["history"] = []
    return fields


# ---------------------------------------------------------------- service routes, errors, headers


def _add_service_routes(app: FastAPI, settings: Settings) -> None:
    @app.get("/", response_class=HTMLResponse, summary="What this site offers")
    async def index(request: Request) -> HTMLResponse:
        return _html(pages.index_page(settings), request)

    @app.get("/healthz", summary="Alive")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", summary="Ready", responses={503: {"model": Problem}})
    async def readyz() -> dict[str, Any]:
        site = _site(app)
        return {"status": "ready", "documents": len(site.corpus.documents), "sections": len(site.corpus.sections)}

    @app.get("/metrics", response_class=PlainTextResponse, summary="Prometheus")
    async def metrics() -> Response:
        return Response(telemetry.render(), media_type="text/plain; version=0.0.4")

    @app.get("/llms.txt", response_class=PlainTextResponse, summary="The site for agents")
    async def llms() -> PlainTextResponse:
        return PlainTextResponse(pages.llms_txt(settings, _site(app)))

    @app.get("/askfit.js", summary="The widget")
    async def widget() -> Response:
        headers = {"Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"}
        return Response(_static("askfit.js"), media_type="text/javascript", headers=headers)

    @app.get("/askfit.css", include_in_schema=False)
    async def style() -> Response:
        return Response(_static("askfit.css"), media_type="text/css", headers={"Cache-Control": "public, max-age=300"})

    @app.post("/feedback", status_code=204, openapi_extra=_request_of(Feedback), responses={422: {"model": Problem}})
    async def feedback(request: Request) -> Response:
        site = _site(app)
        body: Feedback = _parse(Feedback, await _read_body(request), form=_is_form(request))
        visitor = visitor_of(request, site)
        await site.counts.admit(visitor)
        if not await site.ledger.feedback(body.answer, body.rating, body.reason or "", body.note, visitor):
            raise HttpError(
                404, "answer_unknown", "There is no such answer.", "Send the id of the stream's start event."
            )
        return Response(status_code=204)


def _static(name: str) -> str:
    return files("askfit.web").joinpath("static", name).read_text(encoding="utf-8")


def _html(page: str, request: Request, status: int = 200, headers: dict[str, str] | None = None) -> HTMLResponse:
    return HTMLResponse(page, status, headers)


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(AskfitError)
    async def askfit_error(request: Request, error: AskfitError) -> Response:
        return respond(error)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
        message = f"{request.method} {request.url.path[:200]}: {error.detail}."
        told = HttpError(error.status_code, code, message, "See /openapi.json.")
        response = respond(told)
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> Response:
        log.error("%s %s failed.", request.method, request.url.path, exc_info=error)
        return respond(HttpError(500, "internal", "Something went wrong here.", "Try again."))


POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
FIXED = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "strict-origin-when-cross-origin",
    "vary": "Origin, Accept",
}
ALLOWED = {
    "access-control-allow-methods": "GET, POST",
    "access-control-allow-headers": "content-type, accept, last-event-id",
    "access-control-max-age": "600",
}


class Headers:
    """Headers of every response: nothing is loaded from elsewhere; only the owner's site may call across origins.

    Plain ASGI: Starlette's function middleware would come between a stream and its visitor's leaving.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._owner = settings.site.url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = StarletteHeaders(scope=scope)
        origin = asked.get("origin", "")
        added = FIXED | ({"access-control-allow-origin": origin} | ALLOWED if self._welcome(origin) else {})

        async def send_with(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in added.items():
                    headers.setdefault(name, value)
            await send(message)

        if scope["method"] == "OPTIONS" and "access-control-request-method" in asked:
            await Response(status_code=204)(scope, receive, send_with)
        else:
            await self._app(scope, receive, send_with)

    def _welcome(self, origin: str) -> bool:
        own = urlsplit(self._owner)
        local = urlsplit(origin).hostname in ("localhost", "127.0.0.1", "::1")
        return bool(origin) and (local or origin == f"{own.scheme}://{own.netloc}")
