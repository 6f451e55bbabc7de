"""Picking blind: a real `askfit compare --blind`, a real Chromium, models of ours behind real HTTP, keys alone."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Response, expect, sync_playwright

import chromium
from askfit.compare import Journal, compare
from askfit.config import load_settings
from askfit.evals import read_samples
from askfit.providers.scripted import ScriptedServer
from conftest import SAMPLE, Record
from test_compare import INTEGRATING, LARGE, SHALLOW, SMALL, keys, page, samples, says

pytestmark = pytest.mark.browser

MODELS = f"{SMALL},{LARGE}"
NAMES = re.compile(r"openai|anthropic|gpt|claude|sonnet|builtin|scripted|faithful|usd|cost|_ms|tokens|seed|small|large")
HOSTILE = ' <img src=x onerror="document.title=1"><script>document.title=2</script> **bold** done.'
MOST_S = 60


@dataclass
class Served:
    """One `askfit compare --blind` that waits for picks."""

    url: str
    process: subprocess.Popen[str]

    def result(self) -> dict[str, Any]:
        """What the command prints when the session is over."""
        out, _ = self.process.communicate(timeout=MOST_S)
        assert self.process.returncode == 0
        return json.loads(out)  # type: ignore[no-any-return]


@dataclass
class Site:
    """A folder in which the command is run."""

    folder: Path

    @contextmanager
    def blind(self, *args: str) -> Iterator[Served]:
        kept = {name: at for name, at in os.environ.items() if not name.startswith(("ANTHROPIC", "OPENAI", "ASKFIT"))}
        process = subprocess.Popen(
            [sys.executable, "-m", "askfit", "compare", *args, "--blind", "--json"],
            cwd=self.folder,
            env=kept,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stderr
            told = process.stderr.readline() + process.stderr.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+/\S+/", told)
            assert found, told + process.stderr.read()
            yield Served(found[0], process)
        finally:
            process.kill()
            process.communicate(timeout=MOST_S)


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site whose journal holds the answers of two models: the small one gives one of two facts, the large one both,
    with markup that must not become any."""
    folder = tmp_path_factory.mktemp("answered")
    (folder / "content").mkdir()
    (folder / "golden").mkdir()
    (folder / "content" / "ovens.md").write_text(page(), encoding="utf-8")
    (folder / "golden" / "ask.yaml").write_text(json.dumps(samples(14)), encoding="utf-8")
    (folder / "askfit.toml").write_text(
        '[site]\nname = "Ann Ode"\nurl = "https://ann.example.com"\ncontact = "mailto:hi@ann.example.com"\n'
        f'[corpus]\nsources = ["content/**/*"]\n[models]\nsmall = "{SMALL}"\nlarge = "{LARGE}"\n',
        encoding="utf-8",
    )

    def answer() -> None:
        with ScriptedServer(says(SHALLOW)) as small, ScriptedServer(says(INTEGRATING)) as large:
            settings = load_settings(folder / "askfit.toml", keys(small, large))
            asked = read_samples(folder / "golden" / "ask.yaml", "chat")
            journal = Journal(folder / "compare-ask.jsonl")
            found = asyncio.run(compare(settings, "ask", (SMALL, LARGE), asked, journal=journal, to_the_end=True))
            assert found.compared == len(asked)

    with ThreadPoolExecutor() as beside:  # Playwright may have a loop of its own in this thread
        beside.submit(answer).result()
    journal = folder / "compare-ask.jsonl"
    lines = [json.loads(line) for line in journal.read_text("utf-8").splitlines()]
    hostile = [{**line, "said": line["said"] + HOSTILE} for line in lines]  # no ground check would have let it through
    journal.write_text("".join(json.dumps(line) + "\n" for line in hostile), "utf-8")
    return folder


@pytest.fixture
def houses(answered: Path, tmp_path: Path) -> Site:
    """The same, to pick in. No key is in the environment: whoever asks a model now fails."""
    return Site(shutil.copytree(answered, tmp_path / "houses"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        args = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        launched = playwright.chromium.launch(executable_path=chromium.find(), args=args)
        yield launched
        launched.close()


@dataclass
class Watch:
    """All that came over the wire, and what went wrong."""

    responses: list[Response] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def on(self, page: Page) -> None:
        page.on("request", lambda request: self.urls.append(request.url))
        page.on("response", lambda response: self.responses.append(response))
        page.on("console", lambda message: self.errors.append(message.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def bodies(self) -> list[str]:
        return [response.text() for response in self.responses if not response.url.startswith("data:")]

    def headers(self) -> str:
        return "\n".join(f"{name}: {value}" for one in self.responses for name, value in one.headers.items())


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def open_page(browser: Browser, watch: Watch) -> Iterator[Callable[..., Page]]:
    contexts = []

    def open_at(url: str, *, width: int = 1280, dark: bool = False) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 844}, color_scheme="dark" if dark else "light"
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        watch.on(page)
        page.goto(url)
        expect(page.locator("article, .end").first).to_be_visible()
        return page

    yield open_at
    for context in contexts:
        context.close()


def better(page: Page) -> str:
    """The key for the answer that has both facts."""
    first = page.locator("article").first.inner_text()
    return "ArrowLeft" if "oven" in first else "ArrowRight"


def judged(page: Page, count: int) -> None:
    expect(page.locator("#count")).to_have_text(re.compile(rf"^{count} judged"))


def test_a_session_by_keys_alone_ends_with_a_verdict(
    houses: Site, open_page: Callable[..., Page], watch: Watch
) -> None:
    """Arrows pick, a digit says why; when it is decided the session ends, and the command tells what is proven."""
    with houses.blind("ask", "--models", MODELS, "--delta", "large", "--html", "report.html") as served:
        page = open_page(served.url)
        lefts = picks = 0
        while not page.locator(".end").count():
            expect(page.locator("#asked")).to_be_focused()
            key = better(page)
            lefts += key == "ArrowLeft"
            page.keyboard.press(key)
            expect(page.locator("#why")).to_be_focused()
            picks += 1
            page.keyboard.press("1" if picks % 2 else "Enter")
            judged(page, picks)
            expect(page.locator("#why")).to_have_count(0)
        expect(page.locator(".end")).to_contain_text("enough to decide")
        page.keyboard.press("Enter")
        expect(page.locator(".end")).to_contain_text("close this page")
        found = served.result()
    told = found["blind"][0]
    assert (told["verdict"], told["n"], told["wins"]) == ("ESCALATE", picks, {SMALL: 0, LARGE: picks})
    assert 5 <= picks < 14 and told["low"] >= 0.2 - 0.001 and told["ties"] == 0
    assert told["why"][SMALL] == {"too_shallow": (picks + 1) // 2, "too_much": 0, "wrong": 0}
    assert told["agreement"]["alike"] == picks
    assert told["picked_left"] == lefts
    report = (houses.folder / "report.html").read_text("utf-8")
    assert "ESCALATE by hand" in report and f"What you found wrong with {SMALL}: too shallow" in report
    assert not watch.errors


def test_nothing_names_a_model(houses: Site, open_page: Callable[..., Page], watch: Watch) -> None:
    """Neither source nor wire tells who said what; what a model wrote stays text; nothing else is asked for."""
    with houses.blind("ask", "--models", MODELS) as served:
        page = open_page(served.url)
        for _ in range(3):
            page.keyboard.press("ArrowDown")
            expect(page.locator("#why")).to_be_visible()
            page.keyboard.press("Enter")
            expect(page.locator("#why")).to_have_count(0)
        judged(page, 3)
        said, bodies = page.content() + watch.headers(), watch.bodies()
        origin = served.url.rpartition("/")[0]
        turns = [json.loads(body)["turn"] for body in bodies if body.startswith("{")]
        assert page.locator("article img, article script").count() == 0 and page.title() == "Which answer is better?"
        assert page.locator("article strong").first.inner_text() == "bold"
    assert len(turns) == 7
    assert not NAMES.findall((said + " ".join(watch.urls)).lower())
    for turn in turns:
        assert list(turn) == ["asked", "left", "right"] and list(turn["left"]) == list(turn["right"])
        assert set(turn["left"]) == {"text", "cites"}
        assert not NAMES.findall(json.dumps(turn).lower())
    for body in bodies:
        assert not re.search(r"openai|anthropic|gpt|claude|builtin", body.lower())
    assert all(url.startswith((origin, "data:")) for url in watch.urls) and not watch.errors


def recited(houses: Site, cites: Callable[[str], list[str] | None]) -> None:
    """The journal's answers with these sources, by the model."""
    journal = houses.folder / "compare-ask.jsonl"
    lines = [json.loads(line) for line in journal.read_text("utf-8").splitlines()]
    told = [{**line, "cites": cites(line["model"])} for line in lines]
    journal.write_text("".join(json.dumps(line) + "\n" for line in told), "utf-8")


def headings(page: Page) -> list[list[str]]:
    """What stands below each answer."""
    sides = [page.get_by_role("article", name=name) for name in "AB"]
    return [[head.lower() for head in side.get_by_role("heading", level=3).all_inner_texts()] for side in sides]


def test_the_sources_of_both_answers_stand_below_them_in_one_form(
    houses: Site, open_page: Callable[..., Page], watch: Watch, record: Record
) -> None:
    """Titles as text, the same heading in the same place for both; who cites nothing says so there."""
    titles = ["Ovens › Harbor House", 'About <img src=x onerror="document.title=1">']
    recited(houses, lambda model: titles if model == LARGE else [])
    with houses.blind("ask", "--models", MODELS) as served:
        for width, dark in ((390, False), (390, True), (1280, False), (1280, True)):
            page = open_page(served.url, width=width, dark=dark)
            record(page, f"blind-ask-{width}-{'dark' if dark else 'light'}")
            assert headings(page) == [["sources"], ["sources"]]
            cited = [side.locator(".cites").inner_text().splitlines() for side in page.locator("article").all()]
            assert sorted(cited) == sorted([titles, ["none"]])
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("article img").count() == 0 and page.title() == "Which answer is better?"
    assert not watch.errors


@pytest.mark.parametrize("kept", [[], None])
def test_where_neither_answer_cites_nothing_is_said_of_sources(
    houses: Site, open_page: Callable[..., Page], kept: list[str] | None
) -> None:
    """Nor where one answer comes from a journal that did not keep them: what is missing must not tell two apart."""
    recited(houses, lambda model: kept if model == SMALL else [] if kept == [] else ["Ovens"])
    with houses.blind("ask", "--models", MODELS) as served:
        page = open_page(served.url)
        assert headings(page) == [[], []] and page.locator(".cites").count() == 0


def test_a_session_goes_on_where_it_was_left(houses: Site, open_page: Callable[..., Page]) -> None:
    """What was picked is on file at once: killed and begun again, with no key, it shows the next two."""
    with houses.blind("ask", "--models", MODELS) as served:
        page, shown = open_page(served.url), []
        for count in range(1, 4):
            shown.append(page.locator("#asked").inner_text())
            page.keyboard.press(better(page))
            expect(page.locator("#why")).to_be_visible()
            page.keyboard.press("3")
            judged(page, count)
            expect(page.locator("#why")).to_have_count(0)
        page.keyboard.press("ArrowDown")  # picked, but no reason is given before the process is killed
        judged(page, 4)
        shown.append(page.locator("#asked").inner_text())
    with houses.blind("ask", "--models", MODELS) as served:
        page = open_page(served.url)
        judged(page, 4)
        assert page.locator("#asked").inner_text() not in shown
        page.keyboard.press("q")
        expect(page.locator(".end")).to_contain_text("close this page")
        found = served.result()
    told = found["blind"][0]
    assert (told["n"], told["ties"], told["verdict"]) == (4, 1, "INCONCLUSIVE")
    assert told["conversations_needed"]
    assert told["why"][SMALL]["wrong"] == 3


def test_undo_takes_the_last_choice_back(houses: Site, open_page: Callable[..., Page]) -> None:
    """While the reason is asked for, and later: the same two answers on the same sides, and the count goes down."""
    with houses.blind("ask", "--models", MODELS) as served:
        page = open_page(served.url)
        first, sides = page.locator("#asked").inner_text(), page.locator(".sides").inner_text()
        page.keyboard.press("ArrowLeft")
        expect(page.locator("#why")).to_be_visible()
        page.keyboard.press("u")
        judged(page, 0)
        page.keyboard.press("ArrowLeft")
        expect(page.locator("#why")).to_be_visible()
        page.keyboard.press("ArrowRight")  # changed one's mind at once
        expect(page.locator("#why")).to_contain_text("B is better")
        page.keyboard.press("2")
        expect(page.locator("#asked")).not_to_have_text(first)
        page.keyboard.press("u")
        judged(page, 0)
        assert (page.locator("#asked").inner_text(), page.locator(".sides").inner_text()) == (first, sides)
        page.get_by_role("button", name="A tie").click()
        page.get_by_role("button", name="Nothing, go on").click()
        judged(page, 1)
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
        page.keyboard.press("ArrowLeft")  # no pick while the keys are shown
        page.keyboard.press("Escape")
        page.keyboard.press("q")
        found = served.result()["blind"][0]
    assert (found["n"], found["ties"], found["wins"]) == (1, 1, {SMALL: 0, LARGE: 0})
    assert sum(map(sum, (counts.values() for counts in found["why"].values()))) == 0


def test_two_assessments_stand_side_by_side(
    tmp_path: Path, open_page: Callable[..., Page], watch: Watch, record: Record
) -> None:
    """Of a posting: verdict, requirements by weight with their bands, what speaks against it; nothing is cut off."""
    golden = json.dumps([{"id": "a", "posting_file": str(SAMPLE / "postings" / "live-ops-product-lead.txt")}])
    (tmp_path / "fit.yaml").write_text(golden, encoding="utf-8")
    args = ("--models", "builtin,scripted:faithful", "--config", str(SAMPLE / "askfit.toml"), "--samples", "fit.yaml")
    with Site(tmp_path).blind("fit", *args, "--journal", str(tmp_path / "journal.jsonl")) as served:
        for width in (390, 1280):
            page = open_page(served.url, width=width, dark=width == 390)
            record(page, f"blind-fit-{width}")
            for name in "AB":
                side = page.get_by_role("article", name=name)
                expect(side.locator(".verdict")).to_contain_text("of 100")
                weights = [int(re.sub(r"\D", "", text)) for text in side.locator(".weight").all_inner_texts()]
                assert len(weights) > 5 and weights == sorted(weights, reverse=True)
                expect(side.get_by_role("heading", name="Questions to ask")).to_be_visible()
            expect(page.get_by_role("region", name="The posting's text")).to_contain_text("Lantern Lagoon")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert not re.search(r"builtin|scripted|no AI model", "".join(watch.bodies())) and not watch.errors
        page.keyboard.press("ArrowRight")
        expect(page.locator("#why")).to_be_visible()
        page.keyboard.press("1")
        expect(page.locator(".end")).to_contain_text("judged them all")
        page.keyboard.press("Enter")
        assert served.result()["blind"][0]["n"] == 1
