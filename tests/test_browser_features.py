"""Features that an owner declares, in a real Chromium: a chat of choices and a form of one's own, as pages, without
JavaScript, and on another site."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from conftest import SAMPLE, Record, Serve
from test_browser import HOSTILE_CSS, MANY, MARA, OUTSIDE, HostSite, Watch, browser, host, open_page, watch

__all__ = ["browser", "host", "open_page", "watch"]  # fixtures
pytestmark = pytest.mark.browser

FEATURES = SAMPLE.parent / "features"
CALL = (FEATURES / "talks" / "calls" / "playable-futures.md").read_text("utf-8")
SAID_OF = "Conference organiser"


def both(folder: Path, *, url: str = MARA) -> Path:
    """The sample site with both examples' features, as the site at this address."""
    shutil.copytree(SAMPLE, folder / "site")
    for name in ("talks", "summary"):
        shutil.copytree(FEATURES / name, folder / "features" / name)
    talks = (folder / "features" / "talks" / "askfit.toml").read_text("utf-8")
    summary = (folder / "features" / "summary" / "askfit.toml").read_text("utf-8")
    shutil.copy(folder / "features" / "summary" / "prompts" / "summary.md", folder / "features" / "talks" / "prompts")
    toml = folder / "features" / "talks" / "askfit.toml"
    toml.write_text((talks + summary[summary.index("[features.summary]") :] + MANY).replace(MARA, url), "utf-8")
    return toml


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, serve: Serve) -> Iterator[str]:
    with serve(both(tmp_path_factory.mktemp("own"))) as served:
        yield served.url


@pytest.fixture(scope="module")
def own_embedded(host: HostSite, tmp_path_factory: pytest.TempPathFactory, serve: Serve) -> Iterator[str]:
    """The same, told of the owner's own site by its settings."""
    with serve(both(tmp_path_factory.mktemp("own"), url=host.url)) as served:
        yield served.url


def fill(page: Page | Locator, text: str = CALL) -> None:
    page.get_by_label("The call for papers").fill(text)
    page.get_by_role("button", name="Find the match").press("Enter")


def is_filled(page: Page | Locator) -> Locator:
    """The result, with what every filled form has: parts under headings, words of the call, a page of the site."""
    result = page.get_by_role("region", name="Result")
    expect(result).to_be_visible()
    assert result.get_by_role("heading").count() >= 3
    quote = result.locator("blockquote").first.inner_text()
    assert " ".join(quote.split()) in " ".join(CALL.split())
    return result


def test_a_form_of_the_owners_is_filled_on_its_page(
    own: str, open_page: Callable[..., Page], watch: Watch, record: Record
) -> None:
    """Paste, press, read: the result comes into view, a screen reader hears it, and a thumb reaches the server."""
    for width, dark in ((390, True), (1280, False)):
        page = open_page(f"{own}/talk-match", width=width, dark=dark)
        fill(page)
        result = is_filled(page)
        expect(result.get_by_role("link").first).to_have_attribute("href", re.compile(f"^{re.escape(MARA)}/"))
        expect(result).to_be_in_viewport()
        expect(page.get_by_role("status").first).not_to_be_empty()
        record(page, f"own-form-{width}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        with page.expect_response("**/feedback") as answered:
            page.get_by_role("button", name="Helpful", exact=True).click()
        assert answered.value.status == 204
    assert not watch.errors and not watch.strangers(own)


def test_a_choice_is_answered_on_its_page(own: str, open_page: Callable[..., Page], watch: Watch) -> None:
    """One press, cited sentences, and the choice is marked; another choice takes its place."""
    page = open_page(f"{own}/in-30-seconds")
    for choice in ("Recruiter", SAID_OF):
        button = page.get_by_role("button", name=choice, exact=True)
        button.click()
        expect(page.get_by_role("button", name="Helpful", exact=True)).to_be_visible()
        expect(button).to_have_attribute("aria-current", "true")
        assert page.locator(".turn").count() == page.locator(".choices [aria-current]").count() == 1
        expect(page.locator("a.cite").first).to_have_attribute("href", re.compile(f"^{re.escape(MARA)}/"))
    assert not watch.errors and not watch.strangers(own)


def test_both_pages_work_without_javascript(own: str, open_page: Callable[..., Page], watch: Watch) -> None:
    """Forms alone: a filled form with its sources, a chosen answer with its sources."""
    page = open_page(f"{own}/talk-match", java_script_enabled=False)
    page.get_by_label("The call for papers").fill(CALL)
    page.get_by_role("button", name="Find the match").click()
    result = is_filled(page)
    assert (result.get_by_role("link").first.get_attribute("href") or "").startswith(f"{MARA}/")
    expect(page.get_by_label("The call for papers")).to_have_value(CALL)
    page.goto(f"{own}/in-30-seconds")
    page.get_by_role("button", name=SAID_OF).click()
    assert (page.locator("a.cite").first.get_attribute("href") or "").startswith(f"{MARA}/")
    assert not watch.errors and not watch.strangers(own)


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_a_text_that_cannot_be_read_is_told_in_words(script: bool, own: str, open_page: Callable[..., Page]) -> None:
    """Too long a text: one sentence with the next step, and the text stays where it was written."""
    page = open_page(f"{own}/talk-match", java_script_enabled=script)
    page.get_by_label("The call for papers").fill("word " * 30_000)
    page.get_by_role("button", name="Find the match").click()
    told = page.locator(".error, .out .notice").first
    expect(told).to_contain_text("long")
    assert page.get_by_role("region", name="Result").count() == 0
    expect(page.get_by_label("The call for papers")).to_have_value(re.compile(r"^word word"))


def test_a_form_whose_answer_does_not_come_can_be_tried_again(own: str, open_page: Callable[..., Page]) -> None:
    """The connection fails: one sentence and a button, which brings the result once the server is back."""
    page = open_page(f"{own}/talk-match")
    page.route("**/talk-match", lambda route: route.abort())
    fill(page)
    expect(page.locator(".out .notice")).to_have_text(re.compile(r"^No answer came: the connection failed\."))
    expect(page.get_by_label("The call for papers")).to_have_value(CALL)
    page.unroute("**/talk-match")
    page.get_by_role("button", name="Try again").click()
    is_filled(page)


def test_on_another_site_they_keep_to_their_shadow_roots(
    own_embedded: str, host: HostSite, open_page: Callable[..., Page], watch: Watch
) -> None:
    """Under a page's hostile CSS and a strict policy two elements work, and the page around stays as it was."""
    policy = (
        f"default-src 'none'; script-src {own_embedded}; style-src 'self' {own_embedded}; "
        f"connect-src {own_embedded}; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
    host.put("/own.css", HOSTILE_CSS, content_type="text/css")
    body = (
        '<!doctype html><html lang="en"><title>Own</title><link rel="stylesheet" href="/own.css">'
        '<p id="above">Words <a href="/x">link</a> <input id="own"></p>'
        '<askfit-feature name="talks"></askfit-feature><askfit-feature name="summary"></askfit-feature>'
        '<askfit-feature name="nosuch"></askfit-feature>'
        f'<script type="module" src="{own_embedded}/askfit-features.js"></script>'
    )
    page = open_page(host.put("/own", body, content_security_policy=policy))
    form, choices = page.locator("askfit-form"), page.locator("ask-choices")
    expect(form.get_by_label("The call for papers")).to_be_visible()
    before = page.evaluate(OUTSIDE, "#above, #above *")
    fill(form)
    heading = is_filled(form).get_by_role("heading").first
    assert heading.evaluate("e => getComputedStyle(e).textTransform") == "none"
    assert form.evaluate("e => e.shadowRoot && !e.querySelector('*')")
    choices.get_by_role("button", name="Recruiter").press("Enter")
    expect(choices.locator("a.cite").first).to_have_attribute("href", re.compile(f"^{re.escape(host.url)}/"))
    expect(page.locator("askfit-feature")).to_have_text("This site has no feature “nosuch”.")
    page.evaluate("scrollTo(0, 0)")
    assert page.evaluate(OUTSIDE, "#above, #above *") == before
    assert not watch.errors and not watch.strangers(own_embedded, host.url)
