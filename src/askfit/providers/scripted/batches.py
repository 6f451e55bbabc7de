"""Anthropic's Message Batches on loopback: create, look, cancel, results as JSON Lines, delete. Knows no script.

As the real API does it: a batch is `in_progress` for as long as the script says, its counts tell nothing until it has
ended, each request is judged by itself, and results come in another order than the requests.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from askfit.providers.scripted.behaviours import Fault

PATH = "/v1/messages/batches"
PATHS = (PATH, f"{PATH}/{{id}}", f"{PATH}/{{id}}/{{part}}")
KINDS = ("processing", "succeeded", "errored", "canceled", "expired")
MOST_REQUESTS = 100_000
LIFE = timedelta(hours=24)
_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")

Run = Callable[[Mapping[str, Any]], dict[str, Any]]  # a request's params → its result


@dataclass(slots=True)
class Batch:
    """One batch, as the server keeps it."""

    id: str
    requests: Sequence[Mapping[str, Any]]
    ends_at_s: float  # on the shelf's clock
    created: datetime
    results: list[dict[str, Any]] = field(default_factory=list)  # by request, once it has ended
    canceled: datetime | None = None
    ended: datetime | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of batches."""

    method: str
    id: str = ""
    part: str = ""  # results | cancel
    body: Mapping[str, Any] = field(default_factory=dict)


class Refused(Exception):
    """A request about batches that is not served, and the fault that says why."""

    def __init__(self, name: str, fault: Fault) -> None:
        super().__init__(fault.message)
        self.name = name
        self.fault = fault


def _malformed(message: str) -> Refused:
    return Refused("bad_request", Fault("", 400, "invalid_request_error", message))


def _not_found(message: str) -> Refused:
    return Refused("model_unknown", Fault("", 404, "not_found_error", message))


@dataclass(slots=True)
class Shelf:
    """The server's batches. `clock` in seconds may be set by a test."""

    clock: Callable[[], float] = time.monotonic
    batches: dict[str, Batch] = field(default_factory=dict)

    def create(self, body: Mapping[str, Any], takes_s: float) -> Batch:
        """Take the requests in; Refused where they are none. What is wrong within one is told by its result."""
        requests = body.get("requests")
        if not isinstance(requests, list) or not requests:
            raise _malformed("requests: List should have at least 1 item after validation, not 0")
        if len(requests) > MOST_REQUESTS:
            raise _malformed(f"requests: List should have at most {MOST_REQUESTS} items after validation")
        seen: set[str] = set()
        for at, request in enumerate(requests):
            id_ = request.get("custom_id") if isinstance(request, dict) else None
            if not isinstance(id_, str) or not _ID.fullmatch(id_):
                raise _malformed(f"requests.{at}.custom_id: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'")
            if not isinstance(request.get("params"), dict):
                raise _malformed(f"requests.{at}.params: Field required")
            if id_ in seen:
                raise _malformed(f"requests: Duplicate custom_id '{id_}'")
            seen.add(id_)
        batch = Batch(f"msgbatch_01{secrets.token_hex(11)}", requests, self.clock() + takes_s, datetime.now(UTC))
        self.batches[batch.id] = batch
        return batch

    def look(self, id_: str, run: Run) -> Batch:
        """One batch, ended if its time has come: only then are its requests run."""
        batch = self.batches.get(id_)
        if batch is None:
            raise _not_found(f"Message Batch {id_} not found.")
        if batch.ended is None and (batch.canceled or self.clock() >= batch.ends_at_s):
            batch.ended = datetime.now(UTC)
            if batch.canceled:  # before its time: nothing had been begun
                batch.results = [{"type": "canceled"} for _ in batch.requests]
            else:
                batch.results = [run(request["params"]) for request in batch.requests]
        return batch

    def cancel(self, id_: str, run: Run) -> Batch:
        """Ask for its end: the answer says `canceling`, the next look `ended`. An ended one stays as it is."""
        batch = self.look(id_, run)
        if batch.ended is None:
            batch.canceled = datetime.now(UTC)
        return batch

    def delete(self, id_: str, run: Run) -> dict[str, Any]:
        """Forget an ended one; Refused for one that runs."""
        if self.look(id_, run).ended is None:
            raise _malformed("Message Batches that are in progress cannot be deleted. Cancel it first.")
        del self.batches[id_]
        return {"id": id_, "type": "message_batch_deleted"}


def said(shelf: Shelf, asked: Request, base_url: str, takes_s: float, run: Run) -> dict[str, Any] | bytes:
    """The API's answer: an object, or the lines of the results. A batch that is created now takes `takes_s`."""
    base_url = base_url.rstrip("/")
    match asked.method, asked.id, asked.part:
        case "POST", "", "":
            return batch_object(shelf.create(asked.body, takes_s), base_url)
        case "GET", "", "":
            return listing([batch_object(shelf.look(id_, run), base_url) for id_ in reversed(shelf.batches)])
        case "GET", id_, "":
            return batch_object(shelf.look(id_, run), base_url)
        case "DELETE", id_, "":
            return shelf.delete(id_, run)
        case "POST", id_, "cancel":
            return batch_object(shelf.cancel(id_, run), base_url)
        case "GET", id_, "results":
            return results_lines(shelf.look(id_, run))
    raise _not_found("Not found")


def listing(objects: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One page of batches, the newest first."""
    ends = {"first_id": objects[0]["id"], "last_id": objects[-1]["id"]} if objects else {}
    return {"data": objects, "has_more": False, "first_id": None, "last_id": None} | ends


def batch_object(batch: Batch, base_url: str) -> dict[str, Any]:
    """As the API shows a batch."""
    counts = Counter(result["type"] for result in batch.results) if batch.ended else Counter()
    if not batch.ended:
        counts["processing"] = len(batch.requests)
    running = "canceling" if batch.canceled else "in_progress"
    return {
        "id": batch.id,
        "type": "message_batch",
        "processing_status": "ended" if batch.ended else running,
        "request_counts": {kind: counts[kind] for kind in KINDS},
        "created_at": _stamp(batch.created),
        "expires_at": _stamp(batch.created + LIFE),
        "ended_at": _stamp(batch.ended),
        "cancel_initiated_at": _stamp(batch.canceled),
        "archived_at": None,
        "results_url": f"{base_url}{PATH}/{batch.id}/results" if batch.ended else None,
    }


def results_lines(batch: Batch) -> bytes:
    """The results, a JSON object a line, the last request's first: nobody shall count on their order."""
    if not batch.ended:
        raise _not_found("Message Batch results are not available until processing has ended.")
    paired = zip(batch.requests, batch.results, strict=True)
    lines = [json.dumps({"custom_id": request["custom_id"], "result": result}) for request, result in paired]
    return "".join(f"{line}\n" for line in reversed(lines)).encode()


def _stamp(at: datetime | None) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at else None
