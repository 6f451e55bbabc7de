"""The report's routes: its page, its file, and the link by which a visitor shares it where the owner allows links.

A visitor's browser brings the assessment back sealed: nothing is kept unless the visitor asks for a link. Knows HTTP
and the seal, not how a report is drawn.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any, Literal

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from pydantic import BaseModel, ConfigDict, ValidationError

from askfit.config import Settings
from askfit.errors import AskfitError
from askfit.shares import Shared, Shares
from askfit.site import Site
from askfit.types import Assessment, Event
from askfit.web import openapi, pages, report
from askfit.web.problems import HttpError, for_visitors, retry_after
from askfit.web.visitors import visitor_of

log = logging.getLogger(__name__)

MOST_SEALED_BYTES = 1_048_576  # sixty requirements in a script of three bytes a letter, as a form writes them
PURGE_EVERY_S = 3600.0
# A link is a secret: no cache keeps its page, no search engine lists it, no page that it leads to is told of it.
PRIVATE = {
    "cache-control": "private, no-store",
    "x-robots-tag": "noindex, nofollow",
    "referrer-policy": "no-referrer",
}


A_PAGE: dict[str, Any] = {"content": {"text/html": {"schema": {"type": "string"}}}}


class Kept(BaseModel):
    """What the report's routes take: an assessment with its seal, as the stream or the page gave it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    assessment: Assessment
    keep: Literal["", "file"] = ""


class Link(BaseModel):
    """A link that was made: its path on this site, and until when it works (ISO, UTC)."""

    path: str
    expires: str


Read = Callable[[Request, int], Awaitable[tuple[Any, bool]]]  # a body's fields; whether a page is wanted in return


@asynccontextmanager
async def shares_of(site: Site) -> AsyncIterator[Shares]:
    """The site's shared assessments; what has expired is forgotten at the start and every hour."""
    days = {name: each.share_days for name, each in site.settings.features.items() if each.work == "assessment"}
    shares = Shares(site.ledger.store, days)
    await shares.open()
    purging = asyncio.create_task(_hourly(shares))
    try:
        yield shares
    finally:
        purging.cancel()
        with suppress(asyncio.CancelledError):
            await purging


async def _hourly(shares: Shares) -> None:
    while True:
        await asyncio.sleep(PURGE_EVERY_S)
        try:
            await shares.purge()
        except Exception:
            log.exception("Shared assessments that have expired could not be removed.")


def _seal(site: Site, assessment: Assessment) -> Assessment:
    """An assessment as it leaves: where something was judged, with the proof that it was judged here."""
    if not assessment.requirements:
        return assessment
    return report.sealed(assessment, site.ledger.visitor_key, _now_ms())


async def sealed(site: Site, work: Awaitable[Assessment]) -> Assessment:
    """The assessment, sealed."""
    return _seal(site, await work)


async def sealing(site: Site, events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
    """The same events, the assessment among them sealed."""
    async with aclosing(events):
        async for event in events:
            yield _seal(site, event) if isinstance(event, Assessment) else event


def _now_ms() -> int:
    return int(time.time() * 1000)


def add_report(app: FastAPI, settings: Settings, name: str, site_of: Callable[[], Site], read: Read) -> None:
    """The routes of one assessment feature's report."""
    path, days = settings.features[name].path, settings.features[name].share_days

    async def opened(request: Request, fields: Any) -> tuple[Kept, int, str]:
        """What was sent, when it was judged, who sends it; an AskfitError where the seal is not whole."""
        site, kept = site_of(), _kept(fields)
        visitor = visitor_of(request, site)
        await site.counts.admit(visitor)
        judged_ms = report.judged_ms_of(kept.assessment, site.ledger.visitor_key, _now_ms())
        if judged_ms is None:
            message = "This assessment was not made here, or more than a day ago."
            raise HttpError(403, "seal_broken", message, "Check the posting again.")
        return kept, judged_ms, visitor

    def refused(error: AskfitError) -> Response:
        error = for_visitors(error)
        shown = pages.fit_page(settings, name, site=site_of(), error=error)
        return HTMLResponse(shown, error.status, retry_after(error))

    async def page(request: Request) -> Response:
        fields, wants_page = await read(request, MOST_SEALED_BYTES)
        try:
            kept, judged_ms, _ = await opened(request, fields)
        except AskfitError as error:
            if not wants_page:
                raise
            return refused(error)
        judged = report.utc(judged_ms)
        if kept.keep:
            body = pages.assessment_page(settings, kept.assessment, judged=judged)
            return HTMLResponse(body, headers=PRIVATE | {"content-disposition": 'attachment; filename="fit.html"'})
        return HTMLResponse(pages.report_page(settings, name, kept.assessment, judged), headers=PRIVATE)

    async def share(request: Request) -> Response:
        fields, wants_page = await read(request, MOST_SEALED_BYTES)
        try:
            if not days:
                raise HttpError(404, "share_off", "This site makes no links to assessments.", "Save the report.")
            kept, judged_ms, visitor = await opened(request, fields)
            link = await app.state.shares.keep(_unsealed(kept.assessment), name, visitor, judged_ms)
        except AskfitError as error:
            if not wants_page:
                raise
            return refused(error)
        address = f"{path}/r/{link.id}"
        if wants_page:
            return RedirectResponse(address, 303, headers=PRIVATE)
        expires = report.utc(link.expires_ms).isoformat(timespec="seconds")
        return JSONResponse(Link(path=address, expires=expires).model_dump(), 201, headers=PRIVATE)

    async def shared_page(id: str) -> HTMLResponse:
        site_of()  # or the problem that it is not there yet
        shared: Shared | None = await app.state.shares.find(id, name)
        if shared is None:
            return HTMLResponse(pages.gone_page(settings, name), 404, headers=PRIVATE)
        result, judged = Assessment.model_validate_json(shared.assessment), report.utc(shared.judged_ms)
        until = f"{report.utc(shared.expires_ms):%-d %B %Y, %H:%M} UTC"
        return HTMLResponse(pages.report_page(settings, name, result, judged, link=until), headers=PRIVATE)

    refusals = openapi.problems(400, 403, 404, 408, 413, 415, 422, 429, 500, 503, page=True)
    made: openapi.Responses = {200: A_PAGE}
    linked: openapi.Responses = {201: {"model": Link}, 303: {"description": "To the link, for a form."}}
    found: openapi.Responses = {200: A_PAGE, 404: A_PAGE}
    takes: dict[str, Any] = {"response_model": None, "openapi_extra": openapi.request_of(Kept)}
    app.add_api_route(
        f"{path}/report", page, methods=["POST"], name=f"{name}_report", summary=f"{name}'s report, as a page",
        responses=made | refusals, **takes,
    )  # fmt: skip
    app.add_api_route(
        f"{path}/r", share, methods=["POST"], name=f"{name}_share", summary=f"Share {name}'s report by a link",
        status_code=201, responses=linked | refusals, **takes,
    )  # fmt: skip
    app.add_api_route(
        f"{path}/r/{{id}}", shared_page, methods=["GET"], response_class=HTMLResponse, name=f"{name}_shared",
        summary=f"A shared report of {name}", responses=found | openapi.problems(503),
    )  # fmt: skip


def _unsealed(assessment: Assessment) -> Assessment:
    return assessment.model_copy(update={"seal": ""})


def _kept(fields: Any) -> Kept:
    """The body in its form. In a form of texts the assessment travels as JSON."""
    given = fields.get("assessment") if isinstance(fields, dict) else None
    if isinstance(given, str):
        try:
            fields = fields | {"assessment": json.loads(given)}
        except (ValueError, RecursionError):
            fields = fields | {"assessment": None}
    try:
        return Kept.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))[:80].encode("utf-8", "replace").decode() or "body"
        message = f"'{key}' is not usable: {first['msg']}."
        raise HttpError(422, "body_invalid", message, "Send the assessment as it was given.") from None
