"""The pages and the widget as visitors meet them: a real server, a real Chromium, the sample site."""

from __future__ import annotations

import http.server
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Route, expect, sync_playwright
from pypdf import PdfReader

import chromium
from askfit.providers.scripted import Script, ScriptedServer
from conftest import READY_S, Record, Serve

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "examples" / "site"
STATIC = ROOT / "src" / "askfit" / "web" / "static"
TOUCHSTONE = (SAMPLE / "postings" / "data-platform-pm.md").read_text(encoding="utf-8")
ROLE = "What was your role on your last team?"
STOPPED = "Have you ever stopped a product?"  # what answers it stands below the first screen of its page
UNKNOWN = "What is her shoe size?"
MARA = "https://mara.example.com"
MANY = "[limits]\nper_visitor_per_minute = 100000\nper_visitor_per_day = 100000\n"


# ---------------------------------------------------------------- servers


def sample_folder(folder: Path, *, url: str = MARA) -> Path:
    """The sample site in a folder of its own, as the one at this address, for a visitor with many questions."""
    shutil.copytree(SAMPLE, folder)
    toml = folder / "askfit.toml"
    toml.write_text(toml.read_text("utf-8").replace(MARA, url) + MANY, "utf-8")
    return toml


@pytest.fixture(scope="module")
def askfit(tmp_path_factory: pytest.TempPathFactory, serve: Serve) -> Iterator[str]:
    """The sample site, served with the built-in."""
    with serve(sample_folder(tmp_path_factory.mktemp("askfit") / "site")) as served:
        yield served.url


class HostSite:
    """Another origin: the owner's own site, a few pages on a loopback port of its own."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[str, dict[str, str]]] = {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body, headers = outer.pages.get(self.path, ("", {}))
                self.send_response(200 if self.path in outer.pages else 404)
                for name, value in {"content-type": "text/html; charset=utf-8", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None: ...

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://owner.test:{self._server.server_port}"  # .test: see the browser's fixture
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def put(self, path: str, body: str, **headers: str) -> str:
        """Serve this page; its address."""
        self.pages[path] = (body, {name.replace("_", "-"): value for name, value in headers.items()})
        return self.url + path

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def host() -> Iterator[HostSite]:
    site = HostSite()
    yield site
    site.close()


@dataclass
class Modelled:
    """The sample site, served with a model of ours behind the Anthropic wire."""

    url: str
    model: ScriptedServer

    def stall(self) -> None:
        """The next answers begin and never end."""
        self.model.reset(Script.of([{"text": "On my last team, the progression team at Brindlewick Games, I led. " * 9,
                                     "fault": "stalls", "fault_after": 30}]))  # fmt: skip

    def left(self) -> bool:
        """Whether the request to the model was closed before its end; waits for it."""
        end = time.monotonic() + READY_S
        while time.monotonic() < end:
            if self.model.requests and self.model.requests[-1].disconnected:
                return True
            time.sleep(0.05)
        return False


@pytest.fixture(scope="module")
def modelled(
    tmp_path_factory: pytest.TempPathFactory, serve: Serve, scripted_server: ScriptedServer
) -> Iterator[Modelled]:
    folder = tmp_path_factory.mktemp("modelled") / "site"
    with serve(sample_folder(folder), by(scripted_server)) as served:
        yield Modelled(served.url, scripted_server)


def by(model: ScriptedServer) -> dict[str, str]:
    """The environment in which a model of ours answers."""
    return {"ANTHROPIC_API_KEY": "x", "ANTHROPIC_BASE_URL": model.url}


# ---------------------------------------------------------------- the browser


@dataclass
class Watch:
    """What a page did behind the visitor's back."""

    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def on(self, context: BrowserContext) -> None:
        def told(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                self.errors.append(f"{message.type}: {message.text}")

        context.on("console", told)
        context.on("weberror", lambda error: self.errors.append(f"thrown: {error.error}"))
        context.on("request", lambda request: self.requests.append(request.url))

    def strangers(self, *origins: str) -> list[str]:
        """Requests to any other origin."""
        return [url for url in self.requests if not url.startswith((*(f"{origin}/" for origin in origins), "data:"))]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Module scope: Playwright's loop must be gone before another module's async tests start theirs.
    with sync_playwright() as playwright:
        # Loopback under names that are not local: askfit lets any local page call a local server.
        args = ["--host-resolver-rules=MAP *.test 127.0.0.1"]
        args += ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        launched = playwright.chromium.launch(executable_path=chromium.find(), args=args)
        yield launched
        launched.close()


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def open_page(browser: Browser, watch: Watch) -> Iterator[Callable[..., Page]]:
    """Open an address in a fresh context: `open_page(url, width=390, dark=True, java_script_enabled=False)`."""
    contexts: list[BrowserContext] = []

    def open_at(url: str, *, width: int = 1280, dark: bool = False, **options: Any) -> Page:
        scheme = "dark" if dark else "light"
        size: Any = {"width": width, "height": 844}
        context = browser.new_context(viewport=size, color_scheme=scheme, **options)
        contexts.append(context)
        watch.on(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.goto(url)
        return page

    yield open_at
    for context in contexts:
        context.close()


def ask(page: Page, question: str) -> Locator:
    """Ask as a visitor does, and wait for the whole answer: its turn."""
    page.get_by_label("Your question").fill(question)
    page.get_by_role("button", name="Ask", exact=True).click()
    turn = page.locator(".turn").last
    expect(turn.get_by_role("button", name="Helpful", exact=True)).to_be_visible()
    return turn


def assess(page: Page, posting: str = TOUCHSTONE) -> Locator:
    page.get_by_label("The job posting").fill(posting)
    page.get_by_role("button", name="Check the fit").click()
    assessment = page.get_by_role("region", name="Assessment")
    expect(assessment).to_be_visible()
    return assessment


# ---------------------------------------------------------------- the ask page


def test_an_answer_streams_with_a_numbered_source(askfit: str, open_page: Callable[..., Page], watch: Watch) -> None:
    """The answer comes with a numbered link to the page that bears it, and nothing else is loaded."""
    page = open_page(f"{askfit}/ask-ai")
    turn = ask(page, ROLE)
    expect(turn.get_by_role("heading", name=ROLE)).to_be_visible()
    expect(turn.locator(".a")).to_contain_text("lead product manager")
    expect(turn.get_by_role("link", name="Source 1")).to_have_attribute(
        "href", re.compile(rf"^{re.escape(MARA)}/faq/#")
    )
    assert not watch.strangers(askfit)


def test_a_follow_up_question_keeps_the_thread(askfit: str, open_page: Callable[..., Page]) -> None:
    """The second question goes out with the first turn and its conversation, and both turns stay on the page."""
    page = open_page(f"{askfit}/ask-ai")
    first = ask(page, ROLE)
    first_answer = first.locator(".a > p").first.inner_text()
    with page.expect_request(lambda request: request.method == "POST") as sent:
        ask(page, "How big was it?")
    body = json.loads(sent.value.post_data or "{}")
    assert [turn["question"] for turn in body["history"]] == [ROLE]
    assert body["history"][0]["answer"][:40] in first_answer
    assert body["conversation"]
    expect(page.locator(".turn")).to_have_count(2)
    expect(page.get_by_role("heading", name=ROLE)).to_be_visible()


def test_a_suggested_question_is_asked_by_its_button(askfit: str, open_page: Callable[..., Page]) -> None:
    """A suggestion asks itself, goes away with the others, and leaves the focus at its question, not nowhere."""
    page = open_page(f"{askfit}/ask-ai")
    chip = page.locator(".chip").first
    question = chip.inner_text()
    chip.focus()
    page.keyboard.press("Enter")
    turn = page.locator(".turn").last
    expect(turn.get_by_role("heading", name=question)).to_be_focused()
    expect(turn.get_by_role("button", name="Helpful", exact=True)).to_be_visible()
    expect(page.locator("form.suggestions")).to_have_count(0)


def test_hostile_text_is_shown_as_text(askfit: str, open_page: Callable[..., Page], watch: Watch) -> None:
    """Markup in a question becomes letters on the page, with and without JavaScript: nothing runs or is fetched."""
    hostile = (
        '<img src=x onerror="document.title=1"><script>document.title=2</script>[x](javascript:alert(1)) ' + "a" * 300
    )
    page = open_page(f"{askfit}/ask-ai")
    turn = ask(page, hostile)
    expect(turn.get_by_role("heading")).to_have_text(hostile)
    assert turn.locator("img, script, [href^=javascript]").count() == 0
    plain = open_page(f"{askfit}/ask-ai", java_script_enabled=False)
    plain.get_by_label("Your question").fill(hostile)
    plain.get_by_role("button", name="Ask", exact=True).click()
    expect(plain.locator(".turn h2")).to_have_text(hostile)
    assert plain.locator(".turn img, .turn script, [href^=javascript]").count() == 0
    assert page.title() == plain.title() == "Ask about Mara Ostrevik"
    assert (watch.errors, watch.strangers(askfit)) == ([], [])


def test_a_model_s_markup_is_shown_as_text(modelled: Modelled, open_page: Callable[..., Page], watch: Watch) -> None:
    """What a model writes becomes bold, lists and safe links; images, scripts and javascript: links do not."""
    said = (
        "**Plain** <b>words</b> ![x](https://evil.example/a.png) [go](javascript:alert(1)) "
        "[page](https://mara.example.com/about/).\n\n- one\n- two"
    )
    modelled.model.script = Script.of([{"text": said}])
    page = open_page(f"{modelled.url}/ask-ai")
    turn = ask(page, "Tell me about the progression team at Brindlewick Games.")
    assert turn.locator("img, script, b, [href^=javascript]").count() == 0
    assert not [href for href in turn.locator("a").evaluate_all("all => all.map(a => a.href)") if "javascript" in href]
    assert (watch.errors, watch.strangers(modelled.url)) == ([], [])


def test_a_broken_stream_that_begins_anew_is_not_doubled(askfit: str, open_page: Callable[..., Page]) -> None:
    """Where the server no longer knows a cut stream and answers anew, the first half goes and is not said twice."""
    page = open_page(f"{askfit}/ask-ai")
    half = (
        'event: start\nid: gone:1\ndata: {"answer":"gone","feature":"ask","model":"m","provider":"p"}\n\n'
        'event: delta\nid: gone:2\ndata: {"text":"On my last team, I"}\n\n'
    )
    times = iter([True])

    def cut(route: Route) -> None:
        if route.request.method == "POST" and next(times, False):
            route.fulfill(body=half, content_type="text/event-stream")
        else:
            route.fallback()

    page.route("**/ask-ai", cut)
    turn = ask(page, ROLE)
    answer = turn.locator(".a").inner_text()
    assert answer.count("On my last team") == 1, answer
    assert "lead product manager" in answer


# ---------------------------------------------------------------- a citation, followed to its words

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>:root {{ color-scheme: light dark; font: 1.0625em/1.6 system-ui; }}
body {{ max-width: 40rem; margin: 2rem auto; padding: 0 1.25rem; }}</style>{body}"""


def put_page(host: HostSite, path: str, markdown: str) -> None:
    """A page of the owner's site, as a generator makes it: headings with anchors, curly quotes, drawn dashes."""
    front, text = markdown.split("\n---\n", 1) if markdown.startswith("---\n") else ("", markdown)
    title = re.search(r'^title: "?(.+?)"?$', front, re.MULTILINE)
    maker = MarkdownIt("commonmark", {"typographer": True}).enable(["table", "smartquotes", "replacements"])
    tokens = maker.parse(f"# {title[1]}\n\n{text}" if title else text)
    for opening, words in pairwise(tokens):
        if opening.type == "heading_open":
            opening.attrSet("id", re.sub(r"[^\w -]", "", words.content.lower()).replace(" ", "-"))
    host.put(
        path, PAGE.format(title=title[1] if title else path, body=maker.renderer.render(tokens, maker.options, {}))
    )


# Where the quoted words stand on screen: [top, bottom, height of the window], or null. Letters and figures alone are
# compared, since a page draws quotes, dashes and spaces as it likes.
QUOTED = """(quote) => {
  const letters = (text) => [...text].filter((each) => /[\\p{L}\\p{N}]/u.test(each)).join("");
  const all = [], places = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode()); ) {
    for (let at = 0; at < node.data.length; at++) {
      if (letters(node.data[at])) { all.push(node.data[at]); places.push([node, at]); }
    }
  }
  const begin = all.join("").indexOf(letters(quote)), end = begin + letters(quote).length - 1;
  if (begin < 0) return null;
  const range = document.createRange();
  range.setStart(...places[begin]);
  range.setEnd(places[end][0], places[end][1] + 1);
  const { top, bottom } = range.getBoundingClientRect();
  return [top, bottom, innerHeight];
}"""


def follow(page: Page, citation: Locator) -> str:
    """Click a citation, wait for its page; the words that it quotes."""
    quote, href = citation.get_attribute("title") or "", citation.get_attribute("href") or ""
    assert quote
    citation.click()
    page.wait_for_url(re.compile("^" + re.escape(href.partition("#")[0])))
    return quote


def on_screen(page: Page, quote: str) -> bool:
    """Do the quoted words come to stand within the window? The browser looks for them for a moment."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        if (found := page.evaluate(QUOTED, quote)) and 0 <= found[0] < found[1] <= found[2]:
            return True
        page.wait_for_timeout(50)
    return False


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_citation_leads_to_the_quoted_words(
    width: int, dark: bool, embedded: str, host: HostSite, open_page: Callable[..., Page], record: Record
) -> None:
    """On the sample site: ask, click the citation, and the words that it quotes are on screen. `--record` keeps it."""
    for source in (SAMPLE / "content").rglob("*.md"):
        place = source.relative_to(SAMPLE / "content").with_suffix("").as_posix()
        put_page(host, f"/{place}/", source.read_text("utf-8"))
    page = open_page(f"{embedded}/ask-ai", width=width, dark=dark)
    run = f"{width}-{'dark' if dark else 'light'}"
    page.get_by_label("Your question").fill(STOPPED)
    record(page, f"{run}-1-question")
    turn = ask(page, STOPPED)
    record(page, f"{run}-2-answer")
    quote = follow(page, turn.locator("a.cite").first)
    assert on_screen(page, quote)
    assert page.evaluate("scrollY") > 0
    record(page, f"{run}-3-quoted-words")


# What is asked, a word of what must be quoted, and the paragraph that says it, deep in a section.
DEEP = (
    ("How many lamps were rewired?", "14 lamps",
     "All 14 lamps, old and new, were rewired - twice - in March, April & May of that year."),
    ("What was the first rule of the bakery?", "measure",
     'The bakery\'s first rule was "measure twice, don\'t cut", and nobody broke it.'),
    ("What did the Zürich workshop build?", "Übergröße",
     "In 2011–2013 the Zürich workshop – die Werkstatt – built “Übergröße”, a kite of 9½ metres."),
    ("How much did the lab spend on compilers?", "35%",
     "The R&D lab spent 35% of its money on compilers: C++, C# #1, then a/b?c=d."),
    ("When did the parcel desk meet its goal?", "2016",
     "The goal -- fewer returns... far fewer -- was met by the parcel desk in August 2016."),
    ("Where was the harbour desk?", "Malmö",
     "| Year | Desk |\n|---|---|\n| 2018 | Harbour desk in the old customs house of Malmö |"),
)  # fmt: skip


def deep_page(*, without: str = "") -> str:
    """One long page: each paragraph of DEEP stands in the middle of a section of some screens."""
    parts = ["---\ntitle: Notebook\n---\n"]
    for number, (_, _, said) in enumerate(DEEP):
        filler = [f"Day {number}.{day} went by with little to tell, save for wind and weather." for day in range(60)]
        filler[30:30] = [said] * (said != without)
        parts += [f'## Part {number}: "wind" & weather\n', *(f"{each}\n" for each in filler)]
    return "\n".join(parts)


@pytest.fixture(scope="module", params=["built-in", "model"])
def notebook(
    request: pytest.FixtureRequest, host: HostSite, serve: Serve, scripted_server: ScriptedServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:  # fmt: skip
    """A site of one long page, answered by the built-in, then by a model that quotes it."""
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "content").mkdir()
    (folder / "content" / "notebook.md").write_text(deep_page(), "utf-8")
    site = f'[site]\nname = "Ann Ode"\nurl = "{host.url}"\n[corpus]\nsources = ["content/**/*"]\n'
    (folder / "askfit.toml").write_text(site + MANY, "utf-8")
    scripted_server.reset()
    with serve(folder / "askfit.toml", by(scripted_server) if request.param == "model" else {}) as served:
        yield served.url


def test_quoted_words_deep_in_a_long_page_are_found(
    notebook: str, host: HostSite, open_page: Callable[..., Page]
) -> None:
    """Screens below its heading, with commas, dashes, quotes, signs, other scripts and in a table: each is found."""
    put_page(host, "/notebook/", deep_page())
    for question, word, _ in DEEP:
        page = open_page(f"{notebook}/ask-ai", width=390)
        citation = ask(page, question).locator("a.cite").first
        href = citation.get_attribute("href") or ""
        quote = follow(page, citation)
        assert word in quote
        assert on_screen(page, quote), href
        expect(cited_section(page, href)).to_have_text(re.compile(r"^Part \d: “wind” & weather$"))
        expect(cited_section(page, href)).not_to_be_in_viewport()


def cited_section(page: Page, href: str) -> Locator:
    """The heading that a citation's anchor names."""
    return page.locator(f'[id="{href.partition("#")[2].partition(":~:")[0]}"]')


def test_once_the_words_are_gone_a_citation_leads_to_its_section(
    notebook: str, host: HostSite, open_page: Callable[..., Page]
) -> None:
    """The page has been rewritten since it was read: the anchor still brings the section's heading on screen."""
    question, _, said = DEEP[-1]
    put_page(host, "/notebook/", deep_page(without=said))
    page = open_page(f"{notebook}/ask-ai", width=390)
    citation = ask(page, question).locator("a.cite").first
    href = citation.get_attribute("href") or ""
    quote = follow(page, citation)
    expect(cited_section(page, href)).to_be_in_viewport()
    assert page.evaluate(QUOTED, quote) is None


# ---------------------------------------------------------------- the fit page


def test_the_fit_page_shows_the_verdict_first_and_the_rows_it_rests_on(
    askfit: str, open_page: Callable[..., Page], watch: Watch
) -> None:
    """The touchstone posting: a moderate fit and its reason on the first screen, gaps named, rows a click away."""
    page = open_page(f"{askfit}/fit-check", width=390)
    shown = assess(page)
    verdict = shown.locator(".verdict")
    expect(verdict).to_contain_text("Moderate fit")
    expect(verdict.locator("h2")).to_be_in_viewport()
    expect(shown.get_by_text("Where it does not fit")).to_be_visible()
    requirements = shown.locator(".requirement")
    assert requirements.count() >= 10
    first = requirements.first
    expect(first.locator(".band")).to_have_text("gap")
    row = first.locator(".rows li").first
    expect(row).to_be_hidden()
    first.locator("summary").click()
    expect(row).to_be_visible()
    expect(row).to_have_text(re.compile(r"^row \d+ · .+ · level [0-5](\.\d+)?( \(\w+\))?$"))
    assert (watch.errors, watch.strangers(askfit)) == ([], [])


def test_a_thin_posting_gets_no_score(askfit: str, open_page: Callable[..., Page]) -> None:
    """Too little to judge is said as such, with no number beside it."""
    page = open_page(f"{askfit}/fit-check")
    shown = assess(page, "We need a person.")
    expect(shown.locator(".label")).to_have_text("Too little to judge")
    expect(shown.locator(".why")).to_be_visible()  # what to do instead
    expect(shown.get_by_text("How this was judged")).to_have_count(0)
    expect(page.get_by_role("button", name="Report")).to_have_count(0)


def test_three_misfits_come_before_the_folded_why(askfit: str, open_page: Callable[..., Page]) -> None:
    """On a telephone the reasons do not push the misfits away: why is one line until it is opened."""
    page = open_page(f"{askfit}/fit-check", width=390)
    shown = assess(page)
    assert shown.locator(".misfits, h3 + ul").first.locator("li").count() <= 3
    why = shown.locator("details.why")
    expect(why.locator("p")).to_be_hidden()
    misfits = shown.get_by_text("Where it does not fit").bounding_box()
    folded = why.bounding_box()
    assert misfits and folded and misfits["y"] < folded["y"]
    why.locator("summary").click()
    expect(why.locator("p")).to_be_visible()


# ---------------------------------------------------------------- the report


@pytest.fixture(scope="module")
def sharing(tmp_path_factory: pytest.TempPathFactory, serve: Serve) -> Iterator[str]:
    """The sample site, whose owner lets assessments be shared."""
    toml = sample_folder(tmp_path_factory.mktemp("sharing") / "site")
    toml.write_text(toml.read_text("utf-8") + "[features.fit]\nshare_days = 7\n", "utf-8")
    with serve(toml) as served:
        yield served.url


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without"])
@pytest.mark.parametrize(("width", "dark"), [(390, True), (1280, False)])
def test_a_report_is_opened_read_and_shared(
    width: int, dark: bool, script: bool, sharing: str, open_page: Callable[..., Page], watch: Watch, record: Record
) -> None:
    """Report opens beside the assessment: picture and table; one click makes a link that others open."""
    page = open_page(f"{sharing}/fit-check", width=width, dark=dark, java_script_enabled=script)
    page.get_by_label("The job posting").fill(TOUCHSTONE)
    page.get_by_role("button", name="Check the fit").click()
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="Report").click()
    report = opened.value
    verdict = re.compile(f"^{re.escape(page.locator('.verdict .label').inner_text())}$")
    expect(report.get_by_role("heading", level=1)).to_have_text(verdict)
    expect(page.get_by_role("region", name="Assessment")).to_be_visible()
    picture = report.get_by_role("img", name="What the posting weighs")
    expect(picture).to_have_count(1)  # the other width's is not read out either
    assert picture.locator("g.mark").count() == report.locator(".asked tbody tr").count() >= 10
    read = picture.locator("text").evaluate_all("all => Math.min(...all.map(e => e.getBoundingClientRect().height))")
    assert read >= 9, read
    if script:
        assert report.evaluate(OVERFLOW) <= 0
        assert report.evaluate(CONTRAST)[0][0] >= 4.5
    record(report, f"report-{width}-{'dark' if dark else 'light'}")
    report.get_by_role("button", name="Share by a link for 7 days").click()
    report.wait_for_url(re.compile(r"/fit-check/r/[\w-]{32}$"))
    expect(report.get_by_role("status")).to_contain_text("It works until")
    other = open_page(report.url, java_script_enabled=False)
    expect(other.get_by_role("heading", level=1)).to_have_text(verdict)
    expect(other.get_by_role("button")).to_have_count(0)
    assert (watch.errors, watch.strangers(sharing)) == ([], [])


@pytest.mark.parametrize("paper", ["A4", "Letter"])
@pytest.mark.parametrize("posting", ["data-platform-pm.md", "backend-infrastructure-engineer.md"])
def test_a_report_takes_two_sheets_of_paper_at_most(
    posting: str, paper: str, tmp_path: Path, open_page: Callable[..., Page]
) -> None:
    """With picture, every requirement and the method, though the posting asks for more than fifteen things."""
    toml, report = sample_folder(tmp_path / "site"), tmp_path / "report.html"
    command = [sys.executable, "-m", "askfit", "fit", str(SAMPLE / "postings" / posting), "--config", str(toml)]
    subprocess.run([*command, "--html", str(report)], check=True, capture_output=True, timeout=60)
    page = open_page(report.as_uri(), dark=True)
    assert page.locator(".asked tbody tr").count() >= 15
    sheets = PdfReader(io.BytesIO(page.pdf(format=paper))).pages
    text = " ".join(" ".join(sheet.extract_text() for sheet in sheets).split())
    assert len(sheets) <= 2
    assert "This is a reading aid for people, not a decision." in text


def test_feedback_reaches_the_server(askfit: str, open_page: Callable[..., Page]) -> None:
    """A thumb is one request that the server takes; a thumb down asks why first, by keyboard as well."""
    page = open_page(f"{askfit}/fit-check")
    assess(page)
    page.get_by_role("button", name="Not helpful").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Too shallow")).to_be_focused()
    with page.expect_response("**/feedback") as answered:
        page.keyboard.press("Enter")
    assert answered.value.status == 204
    expect(page.get_by_text("Thank you.").first).to_be_visible()


# ---------------------------------------------------------------- without JavaScript


def test_both_pages_work_without_javascript(askfit: str, open_page: Callable[..., Page], watch: Watch) -> None:
    """Forms alone: a cited answer, a follow-up that keeps the thread, an assessment with rows, an error in words."""
    page = open_page(f"{askfit}/ask-ai", java_script_enabled=False)
    for question in (ROLE, "How big was it?"):
        page.get_by_label("Your question").fill(question)
        page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator(".turn h2")).to_have_text([ROLE, "How big was it?"])
    expect(page.locator(".turn").first).to_contain_text("lead product manager")
    cite = page.locator("a.cite").first
    assert (cite.get_attribute("href") or "").startswith(f"{MARA}/")
    assert cite.inner_text() == "1"
    page.goto(f"{askfit}/fit-check")
    page.get_by_label("The job posting").fill(TOUCHSTONE)
    page.get_by_role("button", name="Check the fit").click()
    expect(page.locator(".verdict .label")).to_contain_text("Moderate fit")
    expect(page.locator(".verdict h2")).to_be_in_viewport()
    page.locator(".requirement summary").first.click()
    expect(page.locator(".rows li").first).to_have_text(re.compile(r"^row \d+ · .+ · level \d"))
    assert (watch.errors, watch.strangers(askfit)) == ([], [])
    page.get_by_label("The job posting").fill("x " * 60_000)
    page.get_by_role("button", name="Check the fit").click()
    expect(page.get_by_role("alert")).to_be_visible()


def test_both_renderings_of_an_assessment_are_the_same(askfit: str, open_page: Callable[..., Page]) -> None:
    """Server and browser draw one assessment: the same words in the same order."""
    shown = assess(open_page(f"{askfit}/fit-check")).inner_text()
    plain = open_page(f"{askfit}/fit-check", java_script_enabled=False)
    plain.get_by_label("The job posting").fill(TOUCHSTONE)
    plain.get_by_role("button", name="Check the fit").click()
    assert plain.get_by_role("region", name="Assessment").inner_text().split() == shown.split()


def test_what_is_contested_is_told_in_the_postings_words(
    tmp_path: Path, serve: Serve, open_page: Callable[..., Page]
) -> None:
    """Where a model flatters, both renderings name the requirement that it overrated; no id of ours is on the page."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("gold", "*.db*"))
    with serve(tmp_path / "examples" / "touchstone" / "flattering.toml") as served:
        drawn = [assess(open_page(f"{served.url}/fit-check"))]
        plain = open_page(f"{served.url}/fit-check", java_script_enabled=False)
        plain.get_by_label("The job posting").fill(TOUCHSTONE)
        plain.get_by_role("button", name="Check the fit").click()
        drawn.append(plain.get_by_role("region", name="Assessment"))
        for each in drawn:
            told = each.locator("h3:has-text('Contested') + ul")
            expect(told).to_contain_text(re.compile("“Experience with .+”: the model says strong, the rows say gap"))
            assert not re.search(r"\br\d+\b", each.inner_text())


def test_an_assessment_to_keep_loads_nothing(tmp_path: Path, open_page: Callable[..., Page], watch: Watch) -> None:
    """`askfit fit --html` writes one file that shows the verdict without any server."""
    toml = sample_folder(tmp_path / "site")
    posting, report = SAMPLE / "postings" / "data-platform-pm.md", tmp_path / "report.html"
    command = [sys.executable, "-m", "askfit", "fit", str(posting), "--config", str(toml), "--html", str(report)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    page = open_page(report.as_uri(), width=390)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Moderate fit")
    assert page.evaluate(OVERFLOW) <= 0
    assert (watch.errors, watch.requests) == ([], [report.as_uri()])


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without"])
def test_a_posting_in_the_chat_is_offered_its_place_once(
    script: bool, askfit: str, open_page: Callable[..., Page]
) -> None:
    """One sentence says that it reads like a posting, one button below it judges the same text."""
    page = open_page(f"{askfit}/ask-ai", width=390, java_script_enabled=script)
    page.get_by_label("Your question").fill(TOUCHSTONE)
    page.get_by_role("button", name="Ask", exact=True).click()
    turn = page.locator(".turn")
    button = turn.get_by_role("button", name="Check the fit")
    expect(button).to_be_visible()
    assert turn.inner_text().count("reads like a job posting") == 1
    assert turn.get_by_role("button").first.inner_text() == "Check the fit"
    button.click()
    expect(page.locator(".verdict .label")).to_contain_text("Moderate fit")


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without"])
def test_an_abstention_can_be_acted_on(script: bool, askfit: str, open_page: Callable[..., Page]) -> None:
    """Where the site does not say, the owner's address is a link, and a question that it does answer a click away."""
    page = open_page(f"{askfit}/ask-ai", width=390, java_script_enabled=script)
    page.get_by_label("Your question").fill(UNKNOWN)
    page.get_by_role("button", name="Ask", exact=True).click()
    link = page.locator(".turn").get_by_role("link", name="hello@mara.example.com")
    expect(link).to_have_attribute("href", "mailto:hello@mara.example.com")
    chip = page.locator(".suggestions button").first
    question = chip.inner_text()
    chip.click()
    expect(page.locator(".turn h2")).to_have_text([UNKNOWN, question])


def test_on_paper_stands_what_was_said(askfit: str, open_page: Callable[..., Page]) -> None:
    """Printed, a page keeps answers, sources and rows of evidence, and leaves out what can only be clicked."""
    page = open_page(f"{askfit}/ask-ai")
    ask(page, ROLE)
    page.emulate_media(media="print")
    expect(page.locator(".turn .a")).to_be_visible()
    expect(page.locator(".sources a")).to_be_visible()
    assert page.locator("button:visible, textarea:visible, nav:visible").count() == 0
    page = open_page(f"{askfit}/fit-check")
    shown = assess(page)
    page.emulate_media(media="print")
    expect(shown.locator(".rows li").first).to_be_visible()
    assert page.locator("button:visible, textarea:visible").count() == 0


# ---------------------------------------------------------------- stopping and leaving


def begin_asking(page: Page) -> Locator:
    """Ask what will never be answered whole; the turn, once its first words are there."""
    page.get_by_label("Your question").fill(ROLE)
    page.keyboard.press("Enter")
    turn = page.locator(".turn").last
    expect(turn.locator(".a")).to_contain_text("On my last team")
    return turn


@pytest.mark.parametrize("way", ["button", "Escape"])
def test_stop_ends_the_answer_and_the_request_to_the_model(
    way: str, modelled: Modelled, open_page: Callable[..., Page]
) -> None:
    """Stop, by button or by Escape, keeps what was said, says so, and closes the request that costs."""
    modelled.stall()
    page = open_page(f"{modelled.url}/ask-ai")
    turn = begin_asking(page)
    if way == "button":
        turn.get_by_role("button", name="Stop").click()
    else:
        page.keyboard.press("Escape")
    expect(turn.get_by_text("Stopped.")).to_be_visible()
    expect(turn.locator(".a")).to_contain_text("On my last team")
    expect(turn.locator(".busy")).to_have_count(0)
    expect(page.locator("[aria-live]")).to_have_text("Stopped.")
    assert modelled.left()


def test_leaving_the_page_ends_the_request_to_the_model(modelled: Modelled, open_page: Callable[..., Page]) -> None:
    """A visitor who goes elsewhere costs nothing more."""
    modelled.stall()
    page = open_page(f"{modelled.url}/ask-ai")
    begin_asking(page)
    page.goto("about:blank")
    assert modelled.left()


def test_an_answer_that_streams_moves_only_where_motion_is_welcome(
    modelled: Modelled, open_page: Callable[..., Page]
) -> None:
    """The cursor blinks while words come; with reduced motion nothing on the page is animated."""
    modelled.stall()
    for motion, wanted in (("no-preference", True), ("reduce", False)):
        page = open_page(f"{modelled.url}/ask-ai", reduced_motion=motion)
        begin_asking(page)
        assert page.evaluate("document.getAnimations().length > 0") is wanted
        page.keyboard.press("Escape")


# ---------------------------------------------------------------- keyboard, screen readers

FOCUS = """() => {
  let at = document.activeElement;
  while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
  if (!at || at === document.body) return null;
  const style = getComputedStyle(at), box = at.getBoundingClientRect();
  return { name: at.localName, text: (at.labels?.[0] || at).textContent.trim().slice(0, 40),
           ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2, width: box.width, top: box.top };
}"""


def test_the_ask_page_is_usable_by_keyboard_alone(askfit: str, open_page: Callable[..., Page]) -> None:
    """Tab reaches everything in reading order with a visible ring; Enter asks; Shift+Enter is a new line."""
    page = open_page(f"{askfit}/ask-ai")
    seen = []
    for _ in range(12):
        page.keyboard.press("Tab")
        if (focus := page.evaluate(FOCUS)) is None:
            break
        assert focus["ring"], focus
        assert focus["width"] > 1, focus
        seen.append(focus)
    names = [focus["text"] for focus in seen]
    assert names[:6] == ["Skip to content", "Mara Ostrevik", "Ask", "Fit check", "Your question", "Ask"], names
    assert [focus["top"] for focus in seen[4:]] == sorted(focus["top"] for focus in seen[4:])
    box = page.get_by_label("Your question")
    box.focus()
    page.keyboard.type("What was your role")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("on your last team?")
    expect(page.locator(".turn")).to_have_count(0)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Helpful", exact=True)).to_be_visible()
    expect(box).to_be_focused()
    expect(box).to_have_value("")


def test_the_skip_link_leads_to_the_content(askfit: str, open_page: Callable[..., Page]) -> None:
    """First Tab, Enter, and the next Tab is past the navigation."""
    page = open_page(f"{askfit}/fit-check")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("The job posting")).to_be_focused()


def test_a_screen_reader_hears_the_answer_once(askfit: str, open_page: Callable[..., Page]) -> None:
    """One polite region says that work goes on, then the whole answer or the verdict; words do not come one by one."""
    page = open_page(f"{askfit}/ask-ai")
    page.evaluate("""() => {
      window.heard = [];
      const region = document.querySelector("[aria-live=polite]");
      new MutationObserver(() => heard.push(region.textContent)).observe(region, { childList: true });
    }""")
    ask(page, ROLE)
    heard = page.evaluate("heard")
    assert len(heard) == 2, heard
    assert heard[0] == "Looking through the site."
    assert "lead product manager" in heard[1]
    page.goto(f"{askfit}/fit-check")
    assess(page)
    expect(page.locator("[aria-live=polite]")).to_have_text(re.compile("^Moderate fit. "))


@pytest.mark.parametrize("path", ["/", "/ask-ai", "/fit-check"])
def test_every_page_has_its_language_headings_and_labels(
    path: str, askfit: str, open_page: Callable[..., Page]
) -> None:
    """One h1, no level skipped, a main and a named nav, a language, and a name for every control."""
    page = open_page(f"{askfit}{path}")
    if path == "/ask-ai":
        ask(page, ROLE)
    if path == "/fit-check":
        assess(page)
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.localName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels)), levels
    assert page.evaluate("document.documentElement.lang") == "en"
    expect(page.get_by_role("main")).to_have_count(1)
    expect(page.get_by_role("navigation", name="Features")).to_have_count(1)
    unnamed = page.evaluate("""() => [...document.querySelectorAll('textarea, button, a[href], summary')]
      .filter(e => !(e.labels?.length || e.textContent.trim() || e.ariaLabel)).map(e => e.outerHTML)""")
    assert unnamed == []


# ---------------------------------------------------------------- layout and colour

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

# Each visible text's contrast with what lies behind it, through shadow roots: [ratio, text], lowest first.
CONTRAST = """() => {
  const read = (text) => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return text.startsWith("color(srgb") ? [r * 255, g * 255, b * 255, a] : [r, g, b, a];
  };
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
  const parent = (node) => node.assignedSlot || node.parentElement || node.getRootNode().host;
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = parent(at)) {
      const colour = read(getComputedStyle(at).backgroundColor);
      if (colour[3] > 0) layers.push(colour);
      if (colour[3] === 1) break;
    }
    return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
  };
  const out = [];
  const judge = (element, colour, text) => {
    const back = behind(element), front = over(read(colour), back);
    const [high, low] = [light(front), light(back)].sort((a, b) => b - a);
    out.push([(high + 0.05) / (low + 0.05), text.trim().slice(0, 60)]);
  };
  const walk = (node) => {
    for (const child of node.childNodes) {
      const shown = child.nodeType === 3 && child.data.trim() && node instanceof Element && node.checkVisibility();
      if (shown && !node.closest(".vh, .skip, script, style")) judge(node, getComputedStyle(node).color, child.data);
      if (child.nodeType === 1) {
        if (child.placeholder) judge(child, getComputedStyle(child, "::placeholder").color, child.placeholder);
        if (child.shadowRoot) walk(child.shadowRoot);
        walk(child);
      }
    }
  };
  walk(document.body);
  return out.sort((a, b) => a[0] - b[0]);
}"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_every_state_fits_its_width_and_can_be_read(
    width: int, dark: bool, askfit: str, open_page: Callable[..., Page], watch: Watch
) -> None:
    """Empty, answered, abstained, refused, assessed: no sideways scrolling, text contrast of 4.5 : 1 at least."""
    page = open_page(askfit, width=width, dark=dark)

    def held(state: str) -> None:
        assert page.evaluate(OVERFLOW) <= 0, state
        found = page.evaluate(CONTRAST)
        assert len(found) > 5, state
        assert found[0][0] >= 4.5, (state, found[:3])

    held("index")
    page.goto(f"{askfit}/ask-ai")
    held("ask, empty")
    ask(page, ROLE)
    ask(page, UNKNOWN)
    ask(page, "Überlänge" * 90)
    page.keyboard.press("Tab")
    held("ask, answered and abstained")
    page.goto(f"{askfit}/fit-check")
    held("fit, empty")
    assess(page)
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    held("fit, assessed")
    assess(page, "We need a person.")
    held("fit, too little")
    expect(page.locator(".verdict")).not_to_contain_text("Not enough to judge")  # "Too little to judge" stands above
    assert (watch.errors, watch.strangers(askfit)) == ([], [])
    page.get_by_label("The job posting").fill("x " * 150_000)
    page.get_by_role("button", name="Check the fit").click()
    expect(page.locator(".error")).to_be_visible()
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    held("fit, refused")


def test_the_widget_is_light() -> None:
    """What another site loads: script and sheet together 25 KB at most, uncompressed."""
    assert sum((STATIC / name).stat().st_size for name in ("askfit.js", "askfit.css")) <= 25 * 1024


# ---------------------------------------------------------------- on another site

HOSTILE_CSS = """
* { all: unset; color: red !important; text-transform: uppercase !important; letter-spacing: 4px !important; }
html { font-size: 62.5%; }
:root { --paper: black; --ink: hotpink; --accent: hotpink; --sans: fantasy; }
head, script { display: none; }
body, p, header, div { display: block; }
button { display: none !important; }
textarea, a, h2 { border: 9px solid red !important; font-size: 3px !important; }
"""
BODY = """<header id="head">The owner's site</header><p id="above">Words <a href="/x">link</a> <input id="own"></p>
<ask-ai><a href="{askfit}/ask-ai">Ask me</a></ask-ai><fit-check></fit-check><askfit-launcher></askfit-launcher>
<p id="below">More words</p>"""


def host_page(host: HostSite, path: str, askfit: str, *, css: str = "", script: bool = True, body: str = BODY) -> str:
    """A page of the owner's site under a strict policy; its address."""
    policy = (
        f"default-src 'none'; script-src {askfit}; style-src 'self' {askfit}; connect-src {askfit}; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
    host.put(f"{path}.css", css, content_type="text/css")
    tag = f'<script type="module" src="{askfit}/askfit.js"></script>' if script else ""
    head = f'<!doctype html><html lang="en"><title>Own</title><link rel="stylesheet" href="{path}.css">'
    return host.put(path, head + body.format(askfit=askfit) + tag, content_security_policy=policy)


@pytest.fixture(scope="module")
def embedded(host: HostSite, tmp_path_factory: pytest.TempPathFactory, serve: Serve) -> Iterator[str]:
    """askfit, told of the owner's own site by its settings."""
    with serve(sample_folder(tmp_path_factory.mktemp("embedded") / "site", url=host.url)) as served:
        yield served.url


# Every element inside the widgets, with the properties by which a page could have spoiled it.
INSIDE = """() => {
  const kept = ["color", "backgroundColor", "fontFamily", "fontSize", "fontWeight", "lineHeight", "letterSpacing",
    "textTransform", "textAlign", "textDecorationLine", "display", "visibility", "opacity", "padding", "margin",
    "borderTopWidth", "borderTopColor", "borderTopStyle", "whiteSpace", "cursor", "boxSizing", "position", "listStyle"];
  const walk = (root) => [...root.querySelectorAll("*:not(link)")].flatMap((e) => {
    const style = getComputedStyle(e);
    const here = [`${e.localName}.${e.className}`, ...kept.map((name) => `${name}: ${style[name]}`)];
    return [here, ...(e.shadowRoot ? walk(e.shadowRoot) : [])];
  });
  return [...document.querySelectorAll("ask-ai, fit-check, askfit-launcher")].flatMap((e) => walk(e.shadowRoot));
}"""

# The owner's own elements: every computed property, and where they stand.
OUTSIDE = """(names) => [...document.querySelectorAll(names)].map((e) => {
  const style = getComputedStyle(e), box = e.getBoundingClientRect();
  const all = [...style].map((name) => `${name}: ${style.getPropertyValue(name)}`).join("; ");
  return [`${e.localName}#${e.id}`, all, box.x, box.y, box.width, box.height];
})"""


def built(page: Page) -> Page:
    """Once all three elements stand there with their sheet."""
    for name in ("ask-ai", "fit-check", "askfit-launcher"):
        expect(page.locator(f"{name} .askfit").first).to_be_visible()
    return page


def use_widgets(page: Page) -> None:
    """Ask, check a posting, and ask again in the launcher, as a visitor would."""
    chat = page.locator("ask-ai").first
    chat.get_by_label("Your question").fill(ROLE)
    chat.get_by_role("button", name="Ask", exact=True).click()
    expect(chat.locator(".a")).to_contain_text("lead product manager")
    fit = page.locator("fit-check")
    fit.get_by_label("The job posting").fill(TOUCHSTONE)
    fit.get_by_role("button", name="Check the fit").press("Enter")  # the launcher may float over it
    expect(fit.locator(".verdict .label")).to_contain_text("Moderate fit")
    with page.expect_response("**/feedback") as answered:
        chat.get_by_role("button", name="Helpful", exact=True).press("Enter")
    assert answered.value.status == 204


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_widget_looks_the_same_under_any_page_s_css(
    dark: bool, embedded: str, host: HostSite, open_page: Callable[..., Page], watch: Watch
) -> None:
    """Under `* {all: unset; color: red !important}` and the like all inside looks as on a bare page, and works."""
    seen = []
    for path, css in (("/bare", ""), ("/hostile", HOSTILE_CSS)):
        page = built(open_page(host_page(host, path, embedded, css=css), width=390, dark=dark))
        use_widgets(page)
        page.locator("fit-check summary").first.click()
        page.evaluate("document.querySelector('fit-check').scrollIntoView()")
        page.mouse.move(0, 0)
        seen.append(page.evaluate(INSIDE))
        if not css:  # the owner's own red on red is the owner's
            assert page.evaluate(CONTRAST)[0][0] >= 4.5
        page.locator("askfit-launcher button").first.click()
        expect(page.get_by_role("dialog").get_by_label("Your question")).to_be_focused()
    different = [set(bare) ^ set(hostile) for bare, hostile in zip(*seen, strict=True) if bare != hostile]
    assert different == [], different[0]
    assert (watch.errors, watch.strangers(embedded, host.url)) == ([], [])


def test_the_widget_changes_nothing_on_its_page(embedded: str, host: HostSite, open_page: Callable[..., Page]) -> None:
    """With and without the script: the owner's elements keep every computed property, and all above keeps its place."""
    for css in ("p { margin: 7px; }", HOSTILE_CSS):
        seen = []
        for path, script in (("/without", False), ("/with", True)):
            page = open_page(host_page(host, path, embedded, css=css, script=script))
            if script:
                built(page)
            seen.append(
                (
                    page.evaluate(OUTSIDE, "#head, #above, #above *"),
                    [found[:2] for found in page.evaluate(OUTSIDE, "#below")],
                    page.evaluate("document.title + document.activeElement.localName + document.head.children.length"),
                    page.evaluate("Object.keys(window).length"),
                )
            )
        assert seen[0] == seen[1]


def test_the_launcher_takes_no_room_and_gives_the_focus_back(
    embedded: str, host: HostSite, open_page: Callable[..., Page]
) -> None:
    """The button floats; its dialog opens with the focus in the question; Escape closes it, the focus returns."""
    body = '<p id="head">One</p><askfit-launcher label="Ask Mara"></askfit-launcher><p id="below">Two</p>'
    places = []
    for path, script in (("/no-launcher", False), ("/launcher", True)):
        page = open_page(host_page(host, path, embedded, css="p { margin: 9px }", script=script, body=body), width=320)
        if script:
            expect(page.get_by_role("button", name="Ask Mara")).to_be_visible()
        places.append(page.evaluate(OUTSIDE, "html, body, #head, #below"))
    assert places[0] == places[1]
    opener = page.get_by_role("button", name="Ask Mara")
    opener.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Ask Mara")
    expect(dialog.get_by_label("Your question")).to_be_focused()
    page.keyboard.type(ROLE)
    page.keyboard.press("Enter")
    expect(dialog.locator(".a")).to_contain_text("lead product manager")
    expect(dialog.get_by_role("button", name="Stop")).to_have_count(0)  # while it streams, Escape stops the answer
    assert page.evaluate(OVERFLOW) <= 0
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(opener).to_be_focused()


def test_the_owner_s_colours_and_scheme_are_taken_on(
    embedded: str, host: HostSite, open_page: Callable[..., Page]
) -> None:
    """--askfit-… properties and the page's color-scheme reach inside; `theme` overrides the latter."""
    css = ":root { --askfit-accent: rgb(90, 30, 120); } #b { --askfit-paper: rgb(1, 2, 3); }"
    body = '<ask-ai id="a"></ask-ai><ask-ai id="b" theme="dark"></ask-ai><ask-ai id="c" theme="auto"></ask-ai>'
    page = open_page(host_page(host, "/themed", embedded, css=css, body=body), dark=True)
    colour = "(e, name) => getComputedStyle(e)[name]"
    for name in "abc":
        expect(page.locator(f"#{name} form")).to_be_visible()
    button = page.locator("#a").get_by_role("button", name="Ask")
    assert button.evaluate(colour, "backgroundColor") == "rgb(90, 30, 120)"
    assert page.locator("#a .askfit").evaluate(colour, "backgroundColor") == "rgb(251, 250, 247)"  # the page is light
    assert page.locator("#b .askfit").evaluate(colour, "backgroundColor") == "rgb(1, 2, 3)"
    assert page.locator("#b label").evaluate(colour, "color") == "rgb(236, 234, 229)"
    assert page.locator("#c .askfit").evaluate(colour, "backgroundColor") == "rgb(21, 23, 26)"


def test_the_attributes_do_what_the_docs_say(embedded: str, host: HostSite, open_page: Callable[..., Page]) -> None:
    """A copy of the script with `endpoint`, `placeholder`, `bare`; a launcher that opens the fit."""
    for name, kind in (("askfit.js", "text/javascript"), ("askfit.css", "text/css")):
        host.put(f"/copy/{name}", (STATIC / name).read_text("utf-8"), content_type=kind)
    body = (
        f'<ask-ai bare endpoint="{embedded}/ask-ai" placeholder="What is it?"></ask-ai>'
        f'<askfit-launcher opens="fit-check" label="Do I fit?" endpoint="{embedded}/fit-check"></askfit-launcher>'
        '<script type="module" src="/copy/askfit.js"></script>'
    )
    policy = f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src {embedded}"
    page = open_page(host.put("/attributes", body, content_security_policy=policy))
    chat = page.locator("ask-ai").first
    expect(chat.get_by_placeholder("What is it?")).to_be_visible()
    assert chat.locator(".askfit").evaluate("e => getComputedStyle(e).borderTopWidth") == "0px"
    ask(page, ROLE)
    with page.expect_response("**/feedback") as answered:
        chat.get_by_role("button", name="Helpful", exact=True).click()
    assert (answered.value.status, answered.value.url) == (204, f"{embedded}/feedback")
    page.get_by_role("button", name="Do I fit?").click()
    dialog = page.get_by_role("dialog", name="Do I fit?")
    dialog.get_by_label("The job posting").fill(TOUCHSTONE)
    dialog.get_by_role("button", name="Check the fit").click()
    expect(dialog.locator(".verdict .label")).to_contain_text("Moderate fit")


def test_without_javascript_the_link_inside_leads_to_the_page(
    embedded: str, host: HostSite, open_page: Callable[..., Page]
) -> None:
    """What stands inside an element is seen where the element cannot run."""
    page = open_page(host_page(host, "/no-js", embedded), java_script_enabled=False)
    page.get_by_role("link", name="Ask me").click()
    expect(page.get_by_label("Your question")).to_be_visible()
    assert page.url == f"{embedded}/ask-ai"


@pytest.mark.parametrize("how", ["element.remove()", "element.parentNode.close()"], ids=["removed", "closed"])
def test_an_element_that_goes_ends_its_request(how: str, modelled: Modelled, open_page: Callable[..., Page]) -> None:
    """An element that a script takes out, and a dialog that is closed, cost nothing more."""
    modelled.stall()
    page = open_page(f"{modelled.url}/fit-check")
    page.evaluate("document.querySelector('fit-check').replaceWith(document.createElement('askfit-launcher'))")
    page.get_by_role("button", name="Ask me anything").click()
    begin_asking(page)
    page.locator("askfit-launcher ask-ai").evaluate(f"element => {how}")
    assert modelled.left()


def test_a_site_that_is_not_named_gets_no_answer(askfit: str, host: HostSite, open_page: Callable[..., Page]) -> None:
    """An origin that no setting names: the browser keeps the answer back, the widget says one sentence."""
    page = open_page(host_page(host, "/stranger", askfit, body="<ask-ai></ask-ai>"))
    page.get_by_label("Your question").fill(ROLE)
    page.keyboard.press("Enter")
    expect(page.locator("ask-ai .turn .notice")).to_have_text(re.compile(r"^No answer came: the connection failed\."))


def test_with_the_server_down_the_page_stays_whole(
    host: HostSite, tmp_path: Path, serve: Serve, free_port: int, open_page: Callable[..., Page], watch: Watch
) -> None:
    """Down later: one quiet sentence, the question kept, another try that works. Down before: the link."""
    toml = sample_folder(tmp_path / "site", url=host.url)
    with serve(toml, port=free_port) as served:
        url = served.url
        page = built(open_page(host_page(host, "/down", url, css="p { margin: 7px; }")))
        before = page.evaluate(OUTSIDE, "#head, #above, #above *")
    chat = page.locator("ask-ai").first
    chat.get_by_label("Your question").fill(ROLE)
    page.keyboard.press("Enter")
    said = chat.locator(".turn .notice")
    expect(said).to_have_count(1)
    expect(said).to_have_text(re.compile(r"^No answer came: the connection failed\."))
    expect(chat.get_by_label("Your question")).to_have_value(ROLE)
    assert page.evaluate(OUTSIDE, "#head, #above, #above *") == before
    assert not [error for error in watch.errors if error.startswith("thrown")]
    late = open_page(host_page(host, "/down", url, css="p { margin: 7px; }"))
    expect(late.get_by_role("link", name="Ask me")).to_be_visible()
    assert late.evaluate(OUTSIDE, "#head, #above, #above *") == before
    with serve(toml, port=free_port):
        chat.get_by_role("button", name="Try again").click()
        expect(chat.locator(".a")).to_contain_text("lead product manager")
        expect(chat.locator(".turn")).to_have_count(1)
