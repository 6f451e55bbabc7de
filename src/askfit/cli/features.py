"""`askfit ask` and `askfit fit`: run one turn of a feature and show it as it comes."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from askfit.cli import print_json, show
from askfit.cli.progress import progress
from askfit.config import Settings, load_settings
from askfit.errors import AskfitError, InputError, UsageError
from askfit.site import Site, open_site
from askfit.types import Assessment, Event, Failed, Kind

if TYPE_CHECKING:
    from askfit.fit.nearmiss import NearMisses

MOST_POSTING_BYTES = 2_000_000  # of a text
MOST_DOCUMENT_BYTES = 10_000_000  # of a PDF or Word document: pictures weigh
DOCUMENT_ENDINGS = frozenset({".pdf", ".docx"})


async def run(config: Path, name: str, given: str, *, as_json: bool) -> None:
    """Run the feature of that name, whatever its way of working."""
    settings = load_settings(config)
    if name not in settings.features:
        known = ", ".join(settings.features)
        raise UsageError("feature_unknown", f"There is no feature '{name}' here.", f"Known: {known}.")
    work = settings.features[name].work
    if not given and work != "choices":
        what = "a question" if work == "chat" else "a file, an address, or - for standard input"
        raise UsageError("input_missing", f"{name} needs an input.", f"Give {what}: askfit run {name} …")
    if work in ("chat", "choices"):
        await _ask(settings, name, given, as_json=as_json)
    elif work == "form":
        await _fill(settings, name, given, as_json=as_json)
    else:
        await _fit(settings, name, given, as_json=as_json)


async def ask(config: Path, question: str, *, as_json: bool) -> None:
    """Answer one question on the terminal, or as one JSON document."""
    settings = load_settings(config)
    await _ask(settings, feature_of(settings, "chat"), question, as_json=as_json)


async def _ask(settings: Settings, name: str, question: str, *, as_json: bool) -> None:
    from askfit import ask as feature

    async with opened(settings, quiet=as_json) as site:
        if as_json:
            print_json((await feature.answer(site, question, feature=name)).model_dump(mode="json"))
            return
        _raise_failed(await show.answer(feature.stream(site, question, feature=name)))


async def fit(config: Path, source: str, *, as_json: bool, html: Path | None, owner: bool = False) -> None:
    """Judge one posting on the terminal, as one JSON document, or as a page to keep; `owner`: with its near misses."""
    settings = load_settings(config)
    await _fit(settings, feature_of(settings, "assessment"), source, as_json=as_json, html=html, owner=owner)


async def _fit(
    settings: Settings, name: str, source: str, *, as_json: bool, html: Path | None = None, owner: bool = False
) -> None:
    from askfit import fit as feature

    posting = await read_posting(source)
    async with opened(settings, quiet=as_json) as site:
        events = feature.stream(site, posting, feature=name)
        last = await (_last(events) if as_json else show.assessment(events))
        near = _near_misses(site, posting, last) if owner and isinstance(last, Assessment) else None
    _raise_failed(last)
    if not isinstance(last, Assessment):
        raise AskfitError("no_assessment", "The posting could not be assessed.", "Try again.")
    if html:
        _write_page(html, settings, last, near)
    if as_json:
        print_json(last.model_dump(mode="json") | ({"near_misses": asdict(near)} if near else {}))
    elif near:
        show.near_misses(near, last)


async def _fill(settings: Settings, name: str, source: str, *, as_json: bool) -> None:
    from askfit import forms

    posting = await read_posting(source)
    async with opened(settings, quiet=as_json) as site:
        filled = await forms.fill(site, posting, feature=name)
    if as_json:
        print_json(filled.model_dump(mode="json"))
    else:
        show.filled(filled)


def _near_misses(site: Site, posting: str, assessment: Assessment) -> NearMisses | None:
    """What would change the verdict; None where there is no matrix to change."""
    from askfit.fit.judgement import Audit
    from askfit.fit.nearmiss import near_misses
    from askfit.fit.posting import read_posting

    return near_misses(Audit.of(site.matrix, read_posting(posting)), assessment) if site.matrix else None


@asynccontextmanager
async def opened(settings: Settings, *, quiet: bool) -> AsyncIterator[Site]:
    """The site, with a bar while it is read."""
    async with AsyncExitStack() as stack:
        with progress("Reading the site", quiet=quiet) as tick:
            site = await stack.enter_async_context(open_site(settings, progress=tick))
        yield site


def feature_of(settings: Settings, kind: Kind) -> str:
    """The first feature of a kind: `ask` for chat, `fit` for assessment, unless the owner renamed them."""
    name = settings.first(kind)
    if not name and kind == "assessment":
        raise UsageError(
            "fit_off",
            f"/fit-check is off: {settings.path.name} names no skills matrix.",
            'Add [skills] with path = "skills.xlsx" to it.',
        )
    if not name:
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
    return posting_in(Path(source), source)


def posting_in(path: Path, name: str) -> str:
    """The posting's text from a file: PDF and Word documents by their ending, all else as the text it is."""
    data = _read_file(path, name)
    if path.suffix.lower() not in DOCUMENT_ENDINGS:
        return _decode(data, name)
    from askfit.fit.page import document_text

    return document_text(path, data, name)


def _read_file(path: Path, name: str) -> bytes:
    most = MOST_DOCUMENT_BYTES if path.suffix.lower() in DOCUMENT_ENDINGS else MOST_POSTING_BYTES
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise UsageError(
            "posting_unreadable", f"{name} cannot be read ({error.strerror}).", "Name a file, an address, or -."
        ) from None
    if len(data) > most:
        raise _too_long(name, most)
    return data


def _too_long(name: str, most_bytes: int) -> InputError:
    bound = f"{most_bytes / 1e6:g} MB"
    return InputError(
        "posting_too_long", f"{name} is larger than {bound}.", "Keep the posting's own text only.", status=413
    )


def _decode(data: bytes, source: str) -> str:
    if len(data) > MOST_POSTING_BYTES:
        raise _too_long(source, MOST_POSTING_BYTES)
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
    """The posting at an address. The owner types it for themselves, so it may lie on their own network."""
    from askfit.fetching import TEXT_MEDIA, Fetcher
    from askfit.fit.page import DOCUMENTS, fetch_posting

    return await fetch_posting(url, Fetcher(own_network=True, media=TEXT_MEDIA | DOCUMENTS.keys()))


def _write_page(path: Path, settings: Settings, assessment: Assessment, near: NearMisses | None = None) -> None:
    from askfit.web.pages import assessment_page

    try:
        path.write_text(assessment_page(settings, assessment, near=near), encoding="utf-8")
    except OSError as error:
        raise UsageError(
            "page_unwritable", f"{path} cannot be written ({error.strerror}).", "Name another file."
        ) from None
