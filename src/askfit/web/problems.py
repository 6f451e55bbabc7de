"""Errors before a stream: `application/problem+json` with a stable code, or a readable page. Knows no feature."""

from __future__ import annotations

import logging
import math
from http import HTTPStatus

from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from askfit.errors import AskfitError, SettingsError, StoreError

log = logging.getLogger(__name__)


class Problem(BaseModel):
    """RFC 9457, with askfit's stable `code` and the next step."""

    model_config = ConfigDict(extra="forbid")
    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    next_step: str = ""
    retry_after_s: float | None = None


class HttpError(AskfitError):
    """A request that cannot be served as it is."""

    def __init__(self, status: int, code: str, message: str, next_step: str = "") -> None:
        super().__init__(code, message, next_step, status=status)


def for_visitors(error: AskfitError) -> AskfitError:
    """What strangers may read of an error: the owner's places and settings go to the log instead."""
    if not isinstance(error, StoreError | SettingsError):
        return error
    log.error("%s", error)
    return HttpError(503, error.code, "This site cannot answer just now.", "Try again later.")


def problem(error: AskfitError) -> Problem:
    """An error as a problem document."""
    return Problem(
        title=HTTPStatus(error.status).phrase,
        status=error.status,
        detail=error.message,
        code=error.code,
        next_step=error.next_step,
        retry_after_s=getattr(error, "retry_after_s", None),
    )


def retry_after(error: AskfitError) -> dict[str, str]:
    """The Retry-After header where the error knows when."""
    seconds = getattr(error, "retry_after_s", None)
    return {"Retry-After": str(math.ceil(seconds))} if seconds else {}


def respond(error: AskfitError) -> JSONResponse:
    """The problem as a response."""
    error = for_visitors(error)
    body = problem(error).model_dump(exclude_none=True)
    return JSONResponse(body, error.status, retry_after(error), media_type="application/problem+json")
