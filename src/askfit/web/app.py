"""Routes. Each feature's path and kind come from the settings: a third feature is a third declaration.

A POST on a feature answers a stream, a page or a document, as asked for. Knows HTTP, not how answers are made.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import parse_qs, quote, urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import Headers as StarletteHeaders
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from askfit import __version__, telemetry
from askfit import ask as ask_feature
from askfit import fit as fit_feature
from askfit import forms as form_feature
from askfit.ask.question import MOST_CHARACTERS
from askfit.config import Feature, Settings, Work
from askfit.errors import AskfitError, SettingsError
from askfit.fetching import Fetcher
from askfit.fit.page import address_in, fetch_posting
from askfit.site import Site, open_site
from askfit.types import Answer, Assessment, Event, Filled
from askfit.web import openapi, pages, sharing, sse
from askfit.web.problems import HttpError, Problem, for_visitors, respond, retry_after
from askfit.web.visitors import visitor_of

log = logging.getLogger(__name__)

MOST_BODY_BYTES = 262_144
BODY_S = 20.0  # a body that takes longer is no visitor's
MOST_FIELDS = 10  # of a posted form
CONVERSATION = r"^[A-Za-z0-9_-]{1,64}$"


class Body(BaseModel):
    """A request's body: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PastTurn(Body):
    question: Annotated[str, Field(max_length=8_000)]
    answer: Annotated[str, Field(max_length=8_000)]


class Question(Body):
    """What POST on a chat feature takes."""

    question: Annotated[str, Field(json_schema_extra={"minLength": 1, "maxLength": MOST_CHARACTERS})]
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
    """How one way of working is served."""

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
    if body.posting is None:
        raise HttpError(422, "body_invalid", "'posting' is missing.", 'Send {"posting": "…"}.')
    return {"posting": body.posting, "visitor": visitor, "feature": name}


async def _fetched(site: Site, name: str, body: Posting, fetcher: Fetcher) -> Posting:
    """The posting's text where only its address was given, or pasted, and the owner allows that."""
    allowed = site.settings.features[name].urls
    if body.url is not None and not allowed:
        raise HttpError(403, "url_not_allowed", "This site takes the posting's text only.", "Paste the text.")
    url = body.url if body.url is not None else address_in(body.posting or "")
    if not allowed or (body.url is None and not url):
        return body
    return Posting(posting=await fetch_posting(url, fetcher))


CHAT = Kind(
    Question,
    Answer,
    lambda site, name, body, visitor: ask_feature.stream(site, **_ask(site, name, body, visitor)),
    lambda site, name, body, visitor: ask_feature.answer(site, **_ask(site, name, body, visitor)),
    pages.ask_page,
)
KINDS: dict[Work, Kind] = {
    "chat": CHAT,
    "choices": CHAT,
    "form": Kind(
        Posting,
        Filled,
        lambda site, name, body, visitor: form_feature.stream(site, **_fit(name, body, visitor)),
        lambda site, name, body, visitor: form_feature.fill(site, **_fit(name, body, visitor)),
        pages.form_page,
    ),
    "assessment": Kind(
        Posting,
        Assessment,
        lambda site, name, body, visitor: sharing.sealing(site, fit_feature.stream(site, **_fit(name, body, visitor))),
        lambda site, name, body, visitor: sharing.sealed(site, fit_feature.assess(site, **_fit(name, body, visitor))),
        pages.fit_page,
    ),
}


def create_app(settings: Settings, *, site: Site | None = None, on_ready: Callable[[], None] | None = None) -> FastAPI:
    """The app over a site; it opens the site itself where none is given."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.runs = sse.Runs()
        try:
            async with AsyncExitStack() as closing:
                opened = site
                if opened is None:
                    opened = await closing.enter_async_context(open_site(settings))
                opened = await closing.enter_async_context(_shadowed(opened))
                app.state.shares = await closing.enter_async_context(sharing.shares_of(opened))
                app.state.site = opened
                if not site:
                    await opened.gateway.warm()
                    if on_ready:
                        on_ready()
                yield
        except AskfitError as error:
            app.state.failure = error
            raise
        finally:
            app.state.site = None
            await app.state.runs.aclose()

    app = FastAPI(
        title=f"askfit: {settings.site.name}", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None
    )  # fmt: skip
    app.state.failure = None
    app.state.site = None
    app.state.fetcher = Fetcher()
    _add_errors(app, settings)
    _add_service_routes(app, settings)
    for name, feature in settings.features.items():
        _add_feature(app, settings, name, feature)
    app.add_middleware(Frame, settings=settings)
    openapi.complete(app, (Question, Posting, Feedback, Problem, sharing.Kept))
    return app


@asynccontextmanager
async def _shadowed(site: Site) -> AsyncIterator[Site]:
    """The site, with turns answered in the background by another model too where the owner wants that."""
    if not any(feature.shadow for feature in site.settings.features.values()):
        yield site
        return
    from askfit.compare.shadow import Shadows

    async with Shadows(site) as shadows:
        yield replace(site, after=shadows.after)


# ---------------------------------------------------------------- a feature


def _add_feature(app: FastAPI, settings: Settings, name: str, feature: Feature) -> None:
    kind = KINDS[feature.work]
    if feature.path in SERVICE_PATHS or feature.path.startswith(SERVICE_FOLDERS):
        raise SettingsError(
            "settings_invalid",
            f"[features.{name}] path in {settings.path.name} is {feature.path}, which is a route of askfit's own.",
            "Choose another path.",
        )

    async def page() -> HTMLResponse:
        return HTMLResponse(kind.render(settings, name, site=_site(app)))

    async def post(request: Request) -> Response:
        opened, form, wanted = _site(app), _is_form(request), _wanted(request)
        runs: sse.Runs = app.state.runs
        given: Any = None
        try:
            if resumed := runs.resumed(request.headers.get("last-event-id", "")):
                return runs.response(*resumed)
            given = _fields(await _read_body(request), form=form)
            body = _checked(kind.body, given)
            visitor = visitor_of(request, opened)
            await opened.counts.admit(visitor)
            if isinstance(body, Posting):
                body = await _while_there(request, _fetched(opened, name, body, app.state.fetcher))
            if wanted == "stream":
                run = await _while_there(request, runs.begin(kind.stream(opened, name, body, visitor)))
                return runs.response(run)
            result = await _while_there(request, kind.whole(opened, name, body, visitor))
        except AskfitError as error:
            if wanted != "page":
                raise
            error = for_visitors(error)
            shown = kind.render(settings, name, site=opened, error=error, given=given if form else None)
            return HTMLResponse(shown, error.status, retry_after(error))
        if wanted == "page":
            return HTMLResponse(kind.render(settings, name, site=opened, body=body, result=result))
        return JSONResponse(result.model_dump(mode="json"))

    app.add_api_route(
        feature.path, page, methods=["GET"], response_class=HTMLResponse, name=f"{name}_page", summary=f"{name}'s page",
        responses=openapi.problems(503),
    )  # fmt: skip
    app.add_api_route(
        feature.path, post, methods=["POST"], name=name, summary=f"Ask {name}", response_model=None,
        openapi_extra=openapi.request_of(kind.body), responses=openapi.answers(kind.answer),
    )  # fmt: skip
    if feature.work == "assessment":
        sharing.add_report(app, settings, name, lambda: _site(app), _posted)


async def _posted(request: Request, most_bytes: int) -> tuple[Any, bool]:
    """A body's fields, not checked yet, and whether a page is wanted in return."""
    fields = _fields(await _read_body(request, most_bytes), form=_is_form(request))
    return fields, _wanted(request) == "page"


def _site(app: FastAPI) -> Site:
    if app.state.site is None:
        raise HttpError(503, "not_ready", "The site is still being read.", "Try again in a moment.")
    site: Site = app.state.site
    return site


Given = TypeVar("Given")


async def _while_there(request: Request, work: Coroutine[Any, Any, Given]) -> Given:
    """What `work` gives. When the visitor leaves meanwhile it is cancelled: nobody pays for an answer to nobody."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        leaving.cancel()  # not awaited: a receive() may not heed it before the response has gone out
        if not working.done():
            working.cancel()
            await asyncio.wait({working})


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


# ---------------------------------------------------------------- requests

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
Wanted = Literal["stream", "page", "document"]
MEDIA: dict[str, Wanted] = {"text/event-stream": "stream", "text/html": "page", JSON: "document"}


def _media(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _is_form(request: Request) -> bool:
    return _media(request) == FORM


def _wanted(request: Request) -> Wanted:
    """What Accept names, by its preference, a stream first; else a page for a form, a document for JSON."""
    named: dict[str, float] = {}
    for part in request.headers.get("accept", "").lower().split(","):
        media, _, quality = part.replace(" ", "").partition(";q=")
        named.setdefault(media.partition(";")[0], _quality(quality))
    known = {media: quality for media, quality in named.items() if media in MEDIA and quality > 0}
    if not known:
        return "page" if _is_form(request) else "document"
    return MEDIA[max(known, key=lambda media: (known[media], media == "text/event-stream"))]


def _quality(text: str) -> float:
    try:
        return float(text or 1)
    except ValueError:
        return 0.0


async def _read_body(request: Request, most_bytes: int = MOST_BODY_BYTES) -> bytes:
    """The body up to its bounds in size and time, chunked ones too; what is past them is not read."""
    media = _media(request)
    if media not in (JSON, FORM):
        given = media[:80] or "no content type"
        raise HttpError(415, "content_type_unknown", f"'{given}' is not read here.", f"Send {JSON}.")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most_bytes:
                    bound = most_bytes // 1024
                    next_step = "Send the text alone, without markup."
                    raise HttpError(413, "body_too_large", f"The body is larger than {bound} KiB.", next_step)
    except TimeoutError:
        raise HttpError(408, "body_too_slow", f"The body did not come within {BODY_S:g} s.", "Send it again.") from None
    return bytes(body)


def _fields(raw: bytes, *, form: bool) -> Any:
    """The body's keys and values, not checked yet."""
    try:
        return _form_fields(raw) if form else json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        if form:
            raise HttpError(400, "body_not_form", f"A form has {MOST_FIELDS} fields at most.", "Send fewer.") from None
        message = "The body is not valid JSON in UTF-8."
        raise HttpError(400, "body_not_json", message, 'Send {"question": "…"}.') from None


def _form_fields(raw: bytes) -> dict[str, Any]:
    """A posted form's fields; the history of a conversation travels in a hidden one, and is dropped where broken."""
    pairs = parse_qs(raw.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    fields: dict[str, Any] = {name: values[0] for name, values in pairs.items()}
    if "history" in fields:
        try:
            history = json.loads(fields["history"])
        except (ValueError, RecursionError):
            history = None
        fields["history"] = history if isinstance(history, list) else []
    return fields


def _checked(model: type[Body], fields: Any) -> Any:
    """The body in its form; one sentence names the first key that is wrong."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        # A key may be anything that JSON can write, half a character too: it is shown, so it is bounded and made whole.
        key = ".".join(map(str, first["loc"]))[:80].encode("utf-8", "replace").decode() or "body"
        message = f"'{key}' is not usable: {first['msg']}."
        raise HttpError(422, "body_invalid", message, "Send it in the form that /openapi.json gives.") from None


# ---------------------------------------------------------------- service routes, errors, headers


SERVICE_PATHS = ("/healthz", "/readyz", "/metrics", "/feedback", "/mcp", "/owner")
SERVICE_FOLDERS = ("/v1/", "/mcp/", "/owner/")


def _add_service_routes(app: FastAPI, settings: Settings) -> None:
    @app.get("/", response_class=HTMLResponse, summary="What this site offers")
    async def index() -> HTMLResponse:
        return HTMLResponse(pages.index_page(settings))

    @app.get("/features.json", summary="The features as declared: where they are and what they take")
    async def features() -> pages.Features:
        return pages.features_of(settings)

    @app.get("/healthz", summary="Alive")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", summary="Ready", responses=openapi.problems(503))
    async def readyz() -> dict[str, Any]:
        site = _site(app)
        read = {"documents": len(site.corpus.documents), "sections": len(site.corpus.sections)}
        # Anyone may read this: why a model cannot be used stands in the log.
        model = "A model cannot be used; the server's log says why." if site.gateway.note else ""
        return {"status": "ready", **read, "notes": [note for note in (site.counts.note, model) if note]}

    @app.get("/metrics", response_class=PlainTextResponse, summary="Prometheus")
    async def metrics() -> Response:
        return Response(telemetry.render(), media_type="text/plain; version=0.0.4")

    @app.get(
        "/llms.txt", response_class=PlainTextResponse, summary="The site for agents", responses=openapi.problems(503)
    )
    async def llms() -> PlainTextResponse:
        return PlainTextResponse(pages.llms_txt(settings, _site(app)))

    @app.get("/askfit.js", summary="The widget", response_class=Script)
    async def widget() -> Response:
        headers = {"Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"}
        return Script(_static("askfit.js"), headers=headers)

    @app.get("/askfit.css", include_in_schema=False)
    async def style() -> Response:
        return Response(_static("askfit.css"), media_type="text/css", headers={"Cache-Control": "public, max-age=300"})

    @app.get("/askfit-features.js", summary="The widget of features of the owner's own", response_class=Script)
    async def own_widget() -> Response:
        headers = {"Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"}
        return Script(_static("askfit-features.js"), headers=headers)

    @app.get("/askfit-features.css", include_in_schema=False)
    async def own_style() -> Response:
        headers = {"Cache-Control": "public, max-age=300"}
        return Response(_static("askfit-features.css"), media_type="text/css", headers=headers)

    @app.get("/favicon.svg", include_in_schema=False)
    async def icon() -> Response:
        return Response(
            _static("favicon.svg"), media_type="image/svg+xml", headers={"Cache-Control": "public, max-age=86400"}
        )

    @app.post(
        "/feedback", status_code=204, response_class=Response, summary="What a visitor says of an answer",
        openapi_extra=openapi.request_of(Feedback), responses=openapi.problems(400, 404, 408, 413, 415, 422, 429, 503),
    )  # fmt: skip
    async def feedback(request: Request) -> Response:
        site = _site(app)
        form = _is_form(request)
        body: Feedback = _checked(Feedback, _fields(await _read_body(request), form=form))
        visitor = visitor_of(request, site)
        await site.counts.admit(visitor)
        if not await site.ledger.feedback(body.answer, body.rating, body.reason or "", body.note, visitor):
            step = "Send the id of the stream's start event."
            raise HttpError(404, "answer_unknown", "There is no such answer.", step)
        return Response(status_code=204)


class Script(Response):
    media_type = "text/javascript"


def _static(name: str) -> str:
    return files("askfit.web").joinpath("static", name).read_text(encoding="utf-8")


def _add_errors(app: FastAPI, settings: Settings) -> None:
    @app.exception_handler(AskfitError)
    async def askfit_error(request: Request, error: AskfitError) -> Response:
        return respond(error)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404 and _wanted(request) == "page":
            return HTMLResponse(pages.missing_page(settings), 404)
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
        # From the scope: request.url would read the Host header, which may be anything.
        message = f"{request.method} {request.scope['path'][:200]}: {error.detail}."
        told = HttpError(error.status_code, code, message, "See /openapi.json.")
        response = respond(told)
        response.headers.update(error.headers or {})
        return response


POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src 'self'; "
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
LOCAL = ("localhost", "127.0.0.1", "::1")


class Frame:
    """What is around every response: its headers, HEAD, the last resort.

    Nothing is loaded from elsewhere; only the owner's site may call across origins, and a local page a local server.
    Plain ASGI: Starlette's function middleware would come between a stream and its visitor's leaving, and Starlette's
    own last resort stands outside of these headers.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._owner = _origin(settings.site.url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = StarletteHeaders(scope=scope)
        added = FIXED | self._allowed(asked)
        is_head = scope["method"] == "HEAD"
        begun = False

        async def send_with(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in added.items():
                    headers.setdefault(name, value)
                if "://" in headers.get("location", ""):
                    headers["location"] = _without_slash(scope["path"])
            elif is_head:
                message = {**message, "body": b""}
            await send(message)

        try:
            if scope["method"] == "OPTIONS" and "access-control-request-method" in asked:
                await Response(status_code=204)(scope, receive, send_with)
            else:
                await self._app({**scope, "method": "GET"} if is_head else scope, receive, send_with)
        except ClientDisconnect:
            pass  # nobody is there to be told
        except Exception:
            log.exception("%s %s failed in a way that was not foreseen.", scope["method"], scope["path"])
            if begun:
                raise  # the connection breaks: that much the visitor must see
            told = HttpError(500, "internal", "Something went wrong here.", "Try again.")
            await respond(told)(scope, receive, send_with)

    def _allowed(self, asked: StarletteHeaders) -> dict[str, str]:
        """The headers of CORS where the page that asks may read the answer."""
        origin = _origin(asked.get("origin", ""))
        local = _is_local(origin) and _is_local(f"http://{asked.get('host', '')}")
        return {"access-control-allow-origin": origin} | ALLOWED if origin and (origin == self._owner or local) else {}


def _without_slash(path: str) -> str:
    """Where /ask-ai/ leads. Starlette's own redirect names the Host header: anyone's word, and http behind a proxy."""
    return "/" + quote(path.strip("/"))


def _origin(url: str) -> str:
    """Scheme, host and port as browsers send them; "" for what is no web address."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    usual = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, usual) else "")


def _is_local(url: str) -> bool:
    try:
        return urlsplit(url).hostname in LOCAL
    except ValueError:
        return False
