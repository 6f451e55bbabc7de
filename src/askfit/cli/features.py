"""`askfit ask` and `askfit fit`: run one turn of a feature and show it as it comes."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from askfit.cli import print_json, show
from askfit.cli.progress import progress
from askfit.config import Settings, load_settings
from askfit.errors import AskfitError, InputError, UsageError
from askfit.site import Site, open_site
from askfit.types import Assessment, Event, Failed

MOST_POSTING_BYTES = 2_000_000  # of a file or page, before its text is taken out
FETCH_TIMEOUT_S = 15


async def ask(config: Path, question: str, *, as_json: bool) -> None:
    """Answer one question on the terminal, or as one JSON document."""
    from askfit import ask as feature

    settings = load_settings(config)
    name = _feature(settings, "chat")
    async with _open(settings, quiet=as_json) as site:
        if as_json:
            print_json((await feature.answer(site, question, feature=name)).model_dump(mode="json"))
            return
        _raise_failed(await show.answer(feature.stream(site, question, feature=name)))


async def fit(config: Path, source: str, *, as_json: bool, html: Path | None) -> None:
    """Judge one posting on the terminal, as one JSON document, or as a page to keep."""
    from askfit import fit as feature

    settings = load_settings(config)
    name = _feature(settings, "assessment")
    posting = await read_posting(source)
    async with _open(settings, quiet=as_json) as site:
        events = feature.stream(site, posting, feature=name)
        last = await (_last(events) if as_json else show.assessment(events))
    _raise_failed(last)
    if not isinstance(last, Assessment):
        raise AskfitError("no_assessment", "The posting could not be assessed.", "Try again.")
    if html:
        _write_page(html, settings, last)
    if as_json:
        print_json(last.model_dump(mode="json"))


@asynccontextmanager
async def _open(settings: Settings, *, quiet: bool) -> AsyncIterator[Site]:
    """The site, with a bar while it is read."""
    async with AsyncExitStack() as stack:
        with progress("Reading the site", quiet=quiet) as tick:
            site = await stack.enter_async_context(open_site(settings, progress=tick))
        yield site


def _feature(settings: Settings, kind: str) -> str:
    """The first feature of a kind: `ask` for chat, `fit` for assessment, unless the owner renamed them."""
    name = next((name for name, feature in settings.features.items() if feature.kind == kind), None)
    if name is None and kind == "assessment":
        raise UsageError(
            "fit_off",
            f"/fit-check is off: {settings.path.name} names no skills matrix.",
            'Add [skills] with path = "skills.xlsx" to it.',
        )
    if name is None:
        raise UsageError(
            "feature_off", f"{settings.path.name} declares no {kind} feature.", "Add one under [features]."
        )
    return name


def _raise_failed(last: Event | None) -> None:
    if isinstance(last, Failed):
        raise AskfitError(last.code, last.message, "What was shown before is incomplete." if last.partial else "")


async def _last(events: AsyncIterator[Event]) -> Event | None:
    last = None
    async for event in events:
        last = event
    return last


async def read_posting(source: str) -> str:
    """The posting's text from a file, an address or standard input."""
    if source.startswith(("https://", "http://")):
        return await _fetch(source)
    if source == "-":
        return _decode(sys.stdin.buffer.read(MOST_POSTING_BYTES + 1), "standard input")
    return _decode(_read_file(source), source)


def _read_file(source: str) -> bytes:
    try:
        with Path(source).open("rb") as file:
            return file.read(MOST_POSTING_BYTES + 1)
    except OSError as error:
        raise UsageError(
            "posting_unreadable", f"{source} cannot be read ({error.strerror}).", "Name a text file, an address, or -."
        ) from None


def _decode(data: bytes, source: str) -> str:
    if len(data) > MOST_POSTING_BYTES:
        raise InputError(
            "posting_too_long", f"{source} is larger than 2 MB.", "Keep the posting's own text only.", status=413
        )
    try:
        return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        if b"\x00" in data:
            raise InputError(
                "posting_binary",
                f"{source} is not text.",
                "Save the posting as text, or paste it through: askfit fit -",
            ) from None
        return data.decode("cp1252", "replace")


async def _fetch(url: str) -> str:
    """A page's main text. The owner runs this for themselves: addresses are not restricted as over HTTP."""
    import httpx2

    from askfit.corpus import html_text

    data = b""
    try:
        async with (
            httpx2.AsyncClient(timeout=FETCH_TIMEOUT_S, follow_redirects=True) as client,
            client.stream("GET", url, headers={"User-Agent": "askfit"}) as answer,
        ):
            answer.raise_for_status()
            async for chunk in answer.aiter_bytes():
                data += chunk
                if len(data) > MOST_POSTING_BYTES:
                    break
    except httpx2.HTTPStatusError as error:
        raise _unfetched(url, f"it answered {error.response.status_code}") from None
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise _unfetched(url, type(error).__name__) from None
    text = _decode(data, url)
    return html_text(text) if "html" in answer.headers.get("content-type", "") else text


def _unfetched(url: str, why: str) -> UsageError:
    return UsageError(
        "posting_unreachable", f"{url} could not be read ({why}).", "Paste the posting through: askfit fit -"
    )


def _write_page(path: Path, settings: Settings, assessment: Assessment) -> None:
    from askfit.web.pages import assessment_page

    try:
        path.write_text(assessment_page(settings, assessment), encoding="utf-8")
    except OSError as error:
        raise UsageError(
            "page_unwritable", f"{path} cannot be written ({error.strerror}).", "Name another file."
        ) from None
