"""The report of an assessment: its page and file, its picture, its link that ends, and what only the owner sees."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx2
import pytest
from selectolax.lexbor import LexborHTMLParser, LexborNode
from sqlalchemy import text as sql

from askfit.cli import spending
from askfit.config import Settings, load_settings
from askfit.fit.judgement import Audit
from askfit.fit.nearmiss import NearMisses, near_misses
from askfit.fit.posting import read_posting
from askfit.fit.rules import VERDICTS
from askfit.shares import DAY_MS, MOST_PER_VISITOR, Shares
from askfit.skills import Matrix, load_matrix
from askfit.store import Store, open_store
from askfit.types import Assessment, Disagreement, Evidence, Gate, Misfit, Notice, Requirement
from askfit.web import chart, create_app, pages, report

MakeSite = Callable[..., Settings]
SAMPLE = Path(__file__).parents[1] / "examples" / "site"
POSTINGS = ("data-platform-pm.md", "senior-pm-consumer-growth.md", "backend-infrastructure-engineer.md")
MATRIX = "Skill,Level,Private\nOnboarding,5,\nA/B testing,4,\nSQL,3,\nRoadmaps,4,\nConsumer apps,5,\nKubernetes,0,\n"
MATRIX += "Secret dealings,5,true\n"
POSTING = """# Product Manager, Onboarding

We build a small consumer app and look for somebody who owns its first week, from the first screen to the first habit.

## Responsibilities
- Own the onboarding of new players and measure it with A/B testing
- Keep the roadmap of the team and explain it to everybody

## Requirements
- Must have: years of onboarding work in consumer apps
- Must have: SQL for your own analyses
- Must have: Kubernetes operations in production

## About us
The company was founded in Lisbon by two sisters who like boats.
"""
SHARING = "[features.fit]\nshare_days = 7\n"
OFTEN = "[limits]\nper_visitor_per_minute = 1000\nper_visitor_per_day = 1000\n"
PAGE = {"accept": "text/html"}
HOSTILE = (
    "</textarea></title></svg></style><script>alert(1)</script><img src=x onerror=alert(1)>\" onload='alert(1) {{7*7}}"
)


@pytest.fixture
def site_of(make_site: MakeSite) -> MakeSite:
    """`site_of(SHARING)`: a small site with a matrix."""

    def make(more: str = "", limits: str = OFTEN) -> Settings:
        files = {"content/about.md": "# About\n\nAnn Ode led onboarding.\n", "skills.csv": MATRIX}
        return make_site(files, '[skills]\npath = "skills.csv"\n' + more + limits)

    return make


@asynccontextmanager
async def client(settings: Settings) -> AsyncIterator[tuple[httpx2.AsyncClient, Any]]:
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app, client=("203.0.113.7", 4321))
        async with httpx2.AsyncClient(transport=transport, base_url="https://ann.example.com") as one:
            yield one, app


async def assessed(one: httpx2.AsyncClient) -> dict[str, Any]:
    document: dict[str, Any] = (await one.post("/fit-check", json={"posting": POSTING})).json()
    return document


def form(assessment: dict[str, Any], **more: str) -> dict[str, str]:
    """What the page's form sends."""
    return {"assessment": json.dumps(assessment, ensure_ascii=False), **more}


async def rows(app: Any) -> list[Any]:
    store: Store = app.state.site.ledger.store
    return await store.read(lambda connection: list(connection.execute(sql("SELECT * FROM shares")).mappings()))


# ---------------------------------------------------------------- the seal


async def test_the_report_is_drawn_from_what_comes_back_sealed_and_nothing_is_kept(site_of: MakeSite) -> None:
    """JSON and form give the same page, private and unlisted; the store holds no word of it."""
    async with client(site_of()) as (one, app):
        assessment = await assessed(one)
        posted = await one.post("/fit-check/report", data=form(assessment), headers=PAGE)
        sent = await one.post("/fit-check/report", json={"assessment": assessment})
        assert await rows(app) == []
    assert (posted.status_code, sent.status_code) == (200, 200)
    assert posted.text == sent.text
    assert posted.headers["cache-control"] == "private, no-store"
    assert posted.headers["x-robots-tag"] == "noindex, nofollow"
    assert posted.headers["referrer-policy"] == "no-referrer"
    page = LexborHTMLParser(posted.text)
    assert len(page.css(".asked tbody tr")) == len(assessment["requirements"])
    assert assessment["headline"].partition(": ")[2].casefold() in page.css(".said")[0].text().casefold()


async def test_the_page_without_javascript_carries_the_sealed_assessment_to_its_report(site_of: MakeSite) -> None:
    """The hidden field of the posted page is what the report's route takes, letter by letter."""
    async with client(site_of()) as (one, _):
        page = LexborHTMLParser(
            (await one.post("/fit-check", data={"posting": POSTING + "\n- Müße & “Ünïts” \u2028"})).text
        )
        field = page.css('input[name="assessment"]')[0]
        action = page.css('form[target="_blank"]')[0].attributes["action"]
        answer = await one.post(str(action), data={"assessment": field.attributes["value"]}, headers=PAGE)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "change",
    [
        {"headline": "She fits like nobody else"},
        {"score": 100},
        {"verdict": "strong"},
        {"seal": ""},
        {"seal": "1.x"},
        {"seal": "²." + "x" * 43},
        {"seal": "9" * 400 + ".x"},
    ],
)
@pytest.mark.parametrize("path", ["/fit-check/report", "/fit-check/r"])
async def test_a_strangers_words_get_no_page_of_the_owners(
    path: str, change: dict[str, Any], site_of: MakeSite
) -> None:
    """One changed field breaks the seal: 403 for a program, the form with a sentence for a person; nothing is kept."""
    async with client(site_of(SHARING)) as (one, app):
        changed = await assessed(one) | change
        refused = await one.post(path, json={"assessment": changed})
        shown = await one.post(path, data=form(changed), headers=PAGE)
        assert await rows(app) == []
    assert (refused.status_code, refused.json()["code"]) == (403, "seal_broken")
    assert (shown.status_code, shown.headers["content-type"]) == (403, "text/html; charset=utf-8")
    assert "She fits like nobody else" not in shown.text


async def test_a_body_that_is_no_assessment_is_refused(site_of: MakeSite) -> None:
    """Broken JSON, other keys, other types: 422 with the key's name, as a page for a person."""
    async with client(site_of(SHARING)) as (one, _):
        for fields in ({"assessment": "{"}, {"assessment": "[" * 5000}, {"assessment": "1"}, {"keep": "all"}):
            for path in ("/fit-check/report", "/fit-check/r"):
                answer = await one.post(path, data=fields, headers=PAGE)
                assert (answer.status_code, answer.headers["content-type"][:9]) == (422, "text/html"), fields
        assert (await one.post("/fit-check/r", json=[1])).status_code == 422


def test_a_seal_holds_for_a_day_and_for_one_site() -> None:
    """A day later, from the future, or under another key it proves nothing."""
    now, key = 1_700_000_000_000, b"k" * 32
    sealed = report.sealed(an_assessment(), key, now)
    assert report.judged_ms_of(sealed, key, now + DAY_MS) == now
    assert report.judged_ms_of(sealed, key, now + DAY_MS + 1) is None
    assert report.judged_ms_of(sealed, key, now - 1) is None
    assert report.judged_ms_of(sealed, b"x" * 32, now) is None


async def test_what_was_not_judged_has_no_report(site_of: MakeSite) -> None:
    """A text that is too thin: no seal, no button, no claim of how it was judged."""
    async with client(site_of()) as (one, _):
        document = (await one.post("/fit-check", json={"posting": "We need a person."})).json()
        page = (await one.post("/fit-check", data={"posting": "We need a person."})).text
    assert document["seal"] == ""
    assert 'name="assessment"' not in page
    assert "How this was judged" not in page


# ---------------------------------------------------------------- the link


async def test_links_are_off_unless_the_owner_switches_them_on(site_of: MakeSite) -> None:
    """By default no button, 404 with a code, and no address leads anywhere."""
    async with client(site_of()) as (one, app):
        assessment = await assessed(one)
        page = (await one.post("/fit-check/report", json={"assessment": assessment})).text
        refused = await one.post("/fit-check/r", json={"assessment": assessment})
        assert await rows(app) == []
    assert "Share by a link" not in page
    assert (refused.status_code, refused.json()["code"]) == (404, "share_off")


async def test_a_click_makes_a_link_that_shows_the_report(site_of: MakeSite) -> None:
    """The form leads to the link's own page; it says until when; the store has quotes and a hash, no id, no posting."""
    async with client(site_of(SHARING)) as (one, app):
        assessment = await assessed(one)
        page = LexborHTMLParser((await one.post("/fit-check/report", json={"assessment": assessment})).text)
        button = page.css("button[formaction]")[0]
        made = await one.post(str(button.attributes["formaction"]), data=form(assessment), headers=PAGE)
        assert made.status_code == 303
        shown = await one.get(made.headers["location"])
        kept = await rows(app)
    id_ = made.headers["location"].removeprefix("/fit-check/r/")
    assert len(id_) == 32
    assert shown.status_code == 200
    assert shown.headers["x-robots-tag"] == "noindex, nofollow"
    assert 'name="robots" content="noindex' in shown.text
    assert "It works until" in shown.text
    assert len(kept) == 1
    assert id_ not in json.dumps([str(value) for value in kept[0].values()])
    assert "two sisters" not in kept[0]["assessment"]  # of the posting only what asks something is quoted
    assert kept[0]["expires_ms"] - kept[0]["at_ms"] == 7 * DAY_MS


async def test_a_program_gets_the_links_path_and_its_end(site_of: MakeSite) -> None:
    """201 with the path and the day; two links of one assessment differ."""
    async with client(site_of(SHARING)) as (one, _):
        assessment = await assessed(one)
        made = [(await one.post("/fit-check/r", json={"assessment": assessment})).json() for _ in range(2)]
    assert made[0]["path"] != made[1]["path"]
    days = (datetime.fromisoformat(made[0]["expires"]) - datetime.now(UTC)).total_seconds() / 86_400
    assert 6.99 < days <= 7


@pytest.mark.parametrize("id_", ["nope", "x" * 3000, "%00", "..%2f..", "' OR 1=1 --"])
async def test_what_no_link_leads_to_is_a_page_that_says_so(id_: str, site_of: MakeSite) -> None:
    """404 in words, whether it has ended or never was: the two cannot be told apart."""
    async with client(site_of(SHARING)) as (one, _):
        answer = await one.get(f"/fit-check/r/{id_}")
    assert answer.status_code == 404
    if id_ != "..%2f..":
        assert "This link has ended" in answer.text
        assert "<script>alert" not in answer.text


async def test_making_links_is_limited_as_asking_is(site_of: MakeSite) -> None:
    """The visitor's own bound: the assessment and one link, then 429 with a time."""
    async with client(site_of(SHARING, "[limits]\nper_visitor_per_minute = 2\n")) as (one, _):
        assessment = await assessed(one)
        statuses = [(await one.post("/fit-check/r", json={"assessment": assessment})).status_code for _ in range(2)]
    assert statuses == [201, 429]


@pytest.fixture
async def store(make_site: MakeSite, either_store: str) -> AsyncIterator[Store]:
    """An open store of each kind."""
    opened = open_store(make_site({"content/a.md": "# A\n"}, either_store))
    await Shares(opened, {}).open()
    yield opened
    await opened.aclose()


async def test_a_link_ends_and_what_it_showed_is_gone(store: Store) -> None:
    """To the millisecond; then the purge leaves no row."""
    now = [1_700_000_000.0]
    shares = Shares(store, {"fit": 2}, lambda: now[0])
    link = await shares.keep(an_assessment(), "fit", "visitor", 5)
    assert await shares.find(link.id, "other") is None
    now[0] += 2 * 86_400 - 0.001
    found = await shares.find(link.id, "fit")
    assert found is not None
    assert Assessment.model_validate_json(found.assessment) == an_assessment()
    assert (found.judged_ms, found.expires_ms) == (5, link.expires_ms)
    now[0] += 0.001
    assert await shares.find(link.id, "fit") is None
    await shares.purge()
    assert await count(store) == 0


async def test_fewer_days_end_older_links_and_none_ends_all(store: Store) -> None:
    """The owner's change holds for links that were made before it; switched off, the next start removes them."""
    now = [1_700_000_000.0]
    link = await Shares(store, {"fit": 30}, lambda: now[0]).keep(an_assessment(), "fit", "visitor", 5)
    now[0] += 3 * 86_400
    found = await Shares(store, {"fit": 4}, lambda: now[0]).find(link.id, "fit")
    assert found is not None
    assert found.expires_ms == 1_700_000_000_000 + 4 * DAY_MS
    assert await Shares(store, {"fit": 2}, lambda: now[0]).find(link.id, "fit") is None
    assert await count(store) == 1
    await Shares(store, {"fit": 0}, lambda: now[0]).open()
    assert await count(store) == 0


async def test_one_visitor_fills_no_store(store: Store) -> None:
    """Past the bound each new link takes the oldest one's place; another visitor's stay."""
    now = [1_700_000_000.0]
    shares = Shares(store, {"fit": 7}, lambda: now[0])
    other = await shares.keep(an_assessment(), "fit", "other", 5)
    links = []
    for _ in range(MOST_PER_VISITOR + 2):
        now[0] += 1
        links.append(await shares.keep(an_assessment(), "fit", "visitor", 5))
    assert await count(store) == MOST_PER_VISITOR + 1
    assert await shares.find(links[1].id, "fit") is None
    assert await shares.find(links[2].id, "fit") is not None
    assert await shares.find(other.id, "fit") is not None


async def count(store: Store) -> int:
    return int(await store.read(lambda connection: connection.execute(sql("SELECT COUNT(*) FROM shares")).scalar_one()))


@pytest.mark.parametrize("by", ["address", "answer", "day"])
async def test_the_owner_erases_what_was_shared(by: str, site_of: MakeSite) -> None:
    """By the visitor's address, by the id of their answer, by a day: the link ends at once."""
    settings = site_of(SHARING)
    async with client(settings) as (one, _):
        assessment = await assessed(one)
        path = (await one.post("/fit-check/r", json={"assessment": assessment})).json()["path"]
        assert (await one.get(path)).status_code == 200
        if by == "day":
            assert await spending.erase(settings, "2000-01-01") == 0
            assert (await one.get(path)).status_code == 200
            await spending.erase(settings, "2999-01-01")
        else:
            erased = await spending.erase_visitor(settings, "203.0.113.7" if by == "address" else assessment["id"])
            assert erased.links == 1
            assert "Shared assessments removed: 1." in spending.told(erased)
        assert (await one.get(path)).status_code == 404


# ---------------------------------------------------------------- the page and the file


def a_requirement(number: int, **changes: Any) -> Requirement:
    values = {
        "id": f"r{number}",
        "text": f"Requirement {number}",
        "quote": f"Requirement {number}.",
        "kind": "must",
        "emphasis": 0.1,
        "emphasis_from": "structural",
        "band": ("strong", "moderate", "gap")[number % 3],
        "evidence": (Evidence(skill="Onboarding", row=2, level=5, relation="exact"),),
        "reason": "Onboarding at 5.",
    }
    return Requirement.model_validate(values | changes)


def an_assessment(requirements: tuple[Requirement, ...] | None = None, **changes: Any) -> Assessment:
    requirements = tuple(a_requirement(number) for number in range(10)) if requirements is None else requirements
    values: dict[str, Any] = {
        "id": "answer", "verdict": "moderate", "score": 55, "headline": "Moderate fit: so so.", "why": "Because.",
        "requirements": requirements, "strengths": (), "moderates": (), "gaps": (), "misfits": (), "gates": (),
        "questions_to_ask": (), "disagreements": (), "notices": (), "model": "builtin:builtin", "provider": "builtin",
        "matrix_sha": "m" * 16, "posting_sha": "p" * 16, "usage": {}, "cost_usd": 0.0, "ttft_ms": 1.0, "total_ms": 2.0,
    }  # fmt: skip
    return Assessment.model_validate(values | changes)


def hostile() -> Assessment:
    """An assessment in which every foreign text wants out."""
    requirement = a_requirement(
        1, text=HOSTILE, quote=HOSTILE + " said", reason=HOSTILE,
        evidence=(Evidence(skill=HOSTILE, row=2, level=5, relation="exact", sheet=HOSTILE, sheet_row=1),),
    )  # fmt: skip
    return an_assessment(
        (requirement, a_requirement(2)), headline=HOSTILE, why=HOSTILE, model=HOSTILE, provider="anthropic",
        misfits=(Misfit(text=HOSTILE, requirement_ids=("r1", HOSTILE)),), gates=(Gate(text=HOSTILE),),
        questions_to_ask=(HOSTILE,), notices=(Notice(code="x", message=HOSTILE),), matrix_sha=HOSTILE,
        posting_sha=HOSTILE, disagreements=(Disagreement(requirement="r1", model_band="gap", rows_band="strong"),),
    )  # fmt: skip


def harmless(page: str, scripts: int) -> LexborHTMLParser:
    """No element or attribute that a hostile text could have made."""
    parsed = LexborHTMLParser(page)
    assert len(parsed.css("script")) == scripts
    assert not parsed.css("img, iframe, object, embed, base, foreignObject, a[href^=javascript]")
    for node in parsed.css("*"):
        assert not [name for name in node.attributes if name.startswith("on") or name == "style"], node.html
    assert "{{7*7}}" in page
    return parsed


def test_hostile_text_stays_text_in_every_report(site_of: MakeSite) -> None:
    """In the page, in the file, in the picture and in its words: letters, whole, and nothing else."""
    settings, judged = site_of(SHARING), datetime(2026, 11, 21, tzinfo=UTC)
    page = harmless(pages.report_page(settings, "fit", hostile(), judged), scripts=1)
    file = harmless(pages.assessment_page(settings, hostile(), judged=judged), scripts=0)
    for parsed in (page, file):
        assert parsed.css(".because")[0].text() == HOSTILE
        assert HOSTILE in parsed.css("svg desc")[0].text()
        assert HOSTILE in parsed.css("svg .mark title")[0].text()
        assert parsed.css(".asked blockquote")[0].text() == HOSTILE + " said"
        assert len(parsed.css("main svg")) == 2
    sealed = page.css('input[name="assessment"]')[0].attributes["value"] or ""
    assert Assessment.model_validate_json(sealed) == hostile()


def test_a_file_stands_alone_under_its_own_policy(site_of: MakeSite) -> None:
    """Nothing is loaded, no script stands in it, and its policy allows just the one style sheet that it carries."""
    page = pages.assessment_page(site_of(), an_assessment())
    parsed = LexborHTMLParser(page)
    assert not parsed.css("script, link, img, form, button, [src], [style]")
    styles = parsed.css("style")
    assert len(styles) == 1
    whole = page.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(whole.encode()).digest()).decode()
    policy = parsed.css('meta[http-equiv="Content-Security-Policy"]')[0].attributes["content"] or ""
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert "url(" not in whole
    assert "@import" not in whole


def test_the_report_says_what_it_rests_on(site_of: MakeSite) -> None:
    """Who judged, when, at what cost, on which matrix and posting; a level's place; what has no row; contested ones."""
    listed = (a_requirement(1, quote="The very words", emphasis=0.7), a_requirement(2, evidence=(), emphasis=0.3))
    shown = an_assessment(
        listed, model="anthropic:large", provider="anthropic", cost_usd=0.0123,
        disagreements=(Disagreement(requirement="r2", model_band="strong", rows_band="gap"),),
    )  # fmt: skip
    page = pages.assessment_page(site_of(), shown, judged=datetime(2026, 11, 21, 9, 5, tzinfo=UTC))
    text = " ".join(LexborHTMLParser(page).css("main")[0].text(separator=" ").split())
    for said in (
        *("Judged by anthropic:large", "2026-11-21 09:05 UTC", "$0.0123", "Matrix mmmmmmmmmmmm Posting pppppppppppp"),
        *("Onboarding 5 row 2", "Not in the matrix", "The very words", "self-rated"),
        "contested: the model says strong, the rows say gap",
    ):
        assert said in text, said


# ---------------------------------------------------------------- the picture


def marks(picture: str) -> list[LexborNode]:
    return LexborHTMLParser(picture).css("g.mark")


@pytest.mark.parametrize("size", [chart.WIDE, chart.NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("count", [1, 3, 15, 24, 60])
def test_each_requirement_has_one_mark_in_its_lane_and_none_hides_another(count: int, size: chart.Size) -> None:
    """Also where many weigh the same; further right is heavier; nothing stands outside the picture."""
    shares = [1 / (1 + number // 4) for number in range(count)]
    listed = tuple(a_requirement(number, emphasis=share / sum(shares)) for number, share in enumerate(shares))
    result = an_assessment(listed)
    drawn = chart.picture(result, size, id="p")
    assert len(marks(drawn)) == count
    _, most = chart._axis(result)
    assert most >= listed[0].emphasis
    lanes = {lane.band: lane for lane in chart._lanes(result, size, most)}
    placed = chart._placed(result, size, most, list(lanes.values()))
    for mark in placed:
        lane = lanes[mark.requirement.band]
        assert lane.top <= mark.y - mark.radius
        assert mark.y + mark.radius <= lane.top + lane.height
        assert size.left <= mark.x - mark.radius
        assert mark.x + mark.radius <= size.width
    for one, other in combinations(placed, 2):
        apart = ((one.x - other.x) ** 2 + (one.y - other.y) ** 2) ** 0.5
        assert apart >= one.radius + other.radius, (one, other)


def test_the_heaviest_is_named_and_the_contested_is_ringed() -> None:
    """The picture names its heaviest mark in letters, rings what is contested, and tells all of it in words."""
    listed = tuple(
        a_requirement(number, text=f"Asked {number}", emphasis=share) for number, share in enumerate((0.5, 0.3, 0.2))
    )
    contested = (Disagreement(requirement="r1", model_band="strong", rows_band="moderate"),)
    picture = LexborHTMLParser(chart.picture(an_assessment(listed, disagreements=contested), chart.WIDE, id="p"))
    assert "Asked 0" in [node.text() for node in picture.css("text.label")]
    ringed = [node for node in picture.css("g.mark") if node.css(".ring")]
    assert [node.css("text")[0].text() for node in ringed] == ["2"]
    assert {name: len(picture.css(f"g.mark > {name}:not(.ring)")) for name in ("circle", "rect", "polygon")} == {
        **dict.fromkeys(("circle", "rect", "polygon"), 1)
    }
    svg = picture.css("svg")[0].attributes
    assert (svg["role"], svg["aria-labelledby"]) == ("img", "p-title p-desc")
    said = picture.css("desc")[0].text()
    assert "3 requirements. Strong: 1, with 50% of the emphasis." in said
    assert "Contested: 2." in said


def test_nothing_judged_nothing_drawn() -> None:
    """Without requirements there is no picture, not an empty frame."""
    assert chart.picture(an_assessment(()), chart.WIDE, id="p") == ""


# ---------------------------------------------------------------- near misses


def judged(matrix: Matrix, posting: str) -> tuple[Audit, Assessment]:
    """A posting by the rules alone, as `askfit fit` has it without a model."""
    from askfit.fit.showing import Showing

    audit = Audit.of(matrix, read_posting(posting))
    *_, last = Showing(audit, "answer", "fit", model="builtin:builtin").finish(None)
    assert isinstance(last, Assessment)
    return audit, last


@pytest.fixture
def sample_matrix(sample: Settings) -> Matrix:
    return load_matrix(sample)


def with_levels(matrix: Matrix, near: NearMisses, at: int) -> Matrix:
    """The matrix as it would be if a lift's changes were true."""
    changes = near.lifts[at].changes
    levels = {change.skill: change.level_to for change in changes if change.level_from is not None}
    assert len(levels) == len(changes)
    raised = (replace(row, level=levels.get(row.name, row.level)) for row in matrix.skills)
    return replace(matrix, skills=tuple(raised))


@pytest.mark.parametrize("name", POSTINGS)
def test_a_near_miss_is_true_once_its_rows_are(name: str, sample_matrix: Matrix) -> None:
    """Rows that are raised as it says, judged anew from the start, give the verdict and the score that it says."""
    posting = (SAMPLE / "postings" / name).read_text(encoding="utf-8")
    begun = time.thread_time()
    audit, assessment = judged(sample_matrix, posting)
    read = time.thread_time()
    near = near_misses(audit, assessment)
    took = (time.thread_time() - read) / (read - begun)
    assert took < 50, f"as much computing as {took:.0f} readings of the posting"  # 8 to 12 on an idle core
    assert near == near_misses(audit, assessment)
    assert (near.verdict, near.score) == (assessment.verdict, assessment.score)
    for at, lift in enumerate(near.lifts):
        _, would_be = judged(with_levels(sample_matrix, near, at), posting)
        assert (would_be.verdict, would_be.score) == (lift.verdict, lift.score)
        assert VERDICTS.index(would_be.verdict) > VERDICTS.index(assessment.verdict)
    if assessment.verdict == "strong":
        assert (near.target, near.lifts) == (None, ())


def test_the_smallest_change_is_found_and_one_level_less_is_not_enough(site_of: MakeSite) -> None:
    """One row keeps the verdict down: the near miss names it at the lowest level that lifts."""
    matrix = load_matrix(site_of())
    audit, assessment = judged(matrix, POSTING)
    near = near_misses(audit, assessment)
    assert near.lifts, near
    lift = near.lifts[0]
    assert [change.skill for change in lift.changes] == ["Kubernetes"]
    change = lift.changes[0]
    assert change.place == "row 7"
    assert change.requirement_ids
    assert VERDICTS.index(lift.verdict) == VERDICTS.index(assessment.verdict) + 1
    lower = replace(change, level_to=change.level_to - 1)
    fewer = replace(near, lifts=(replace(lift, changes=(lower,)),))
    _, would_be = judged(with_levels(matrix, fewer, 0), POSTING)
    assert VERDICTS.index(would_be.verdict) < VERDICTS.index(lift.verdict)


def test_a_row_that_is_not_there_can_be_what_is_missing(site_of: MakeSite) -> None:
    """Where no row answers a skill, the change is a row of that name; written into the matrix, it does lift."""
    settings = site_of()
    path = settings.root / "skills.csv"
    path.write_text(MATRIX.replace("Kubernetes,0,\n", ""), encoding="utf-8")
    audit, assessment = judged(load_matrix(settings), POSTING)
    near = near_misses(audit, assessment)
    lift = near.lifts[0]
    new = lift.changes[0]
    assert (new.skill, new.level_from, new.place) == ("Kubernetes", None, "")
    path.write_text(MATRIX.replace("Kubernetes,0,", f"Kubernetes,{new.level_to:g},"), encoding="utf-8")
    _, would_be = judged(load_matrix(settings), POSTING)
    assert (would_be.verdict, would_be.score) == (lift.verdict, lift.score)


def test_near_misses_start_from_the_bands_that_are_shown(site_of: MakeSite) -> None:
    """Where a model judged a requirement otherwise, what it counts for is the shown band; unknown ones are left out."""
    audit, assessment = judged(load_matrix(site_of()), POSTING)
    first = assessment.requirements[0]
    other = "moderate" if first.band != "moderate" else "gap"
    shown = (
        first.model_copy(update={"band": other}),
        *assessment.requirements[1:],
        a_requirement(99, quote="Never said"),
    )
    near = near_misses(audit, assessment.model_copy(update={"requirements": shown}))
    assert near.score != assessment.score
    nothing = near_misses(audit, assessment.model_copy(update={"requirements": ()}))
    assert (nothing.target, nothing.lifts, nothing.bands) == (None, (), ())


def test_only_the_owners_file_holds_the_near_misses(site_of: MakeSite) -> None:
    """The file that the owner writes says them as what would be if it were true; a visitor's page and file do not."""
    settings = site_of(SHARING)
    audit, assessment = judged(load_matrix(settings), POSTING)
    own = pages.assessment_page(settings, assessment, near=near_misses(audit, assessment))
    assert "If Kubernetes (row 7) stood at" in own
    assert "if it were true" in own
    visitors = pages.assessment_page(settings, assessment)
    visitors += pages.report_page(settings, "fit", assessment, datetime.now(UTC))
    assert "For the owner" not in visitors
    assert "Secret dealings" not in own + visitors


def test_the_owner_sees_them_on_the_terminal_too(sample: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """`askfit fit --owner` prints them below the assessment, and as `near_misses` in JSON; without it neither does."""
    posting = str(SAMPLE / "postings" / "backend-infrastructure-engineer.md")
    seen = {}
    for options in ((), ("--owner",), ("--json",), ("--owner", "--json")):
        from askfit.cli import main

        with pytest.raises(SystemExit) as left:
            main(["fit", posting, "--config", str(sample.path), *options])
        assert left.value.code == 0
        seen[options] = capsys.readouterr().out
    assert "What the verdict hangs on" not in seen[()]
    assert "What the verdict hangs on" in seen[("--owner",)]
    assert "near_misses" not in json.loads(seen[("--json",)])
    near = json.loads(seen[("--owner", "--json")])["near_misses"]
    assert near["target"] in VERDICTS
    assert near["renamed"] == []  # the sample names no skill that a near row may mean


# ---------------------------------------------------------------- rows under another name


WEB = POSTING.replace("Kubernetes operations in production", "knowledge of web programming")


def web_matrix(settings: Settings, aliases: str) -> Matrix:
    """The small matrix with one row more."""
    rows = [f"{line}," for line in MATRIX.splitlines()[1:]]
    path = settings.root / "skills.csv"
    lines = ["Skill,Level,Private,Aliases", *rows, f"Site work,5,,{aliases}", "Web programs,5,true,", ""]
    path.write_text("\n".join(lines), encoding="utf-8")
    return load_matrix(settings)


def test_the_owner_is_asked_whether_a_near_row_means_what_no_row_answers(site_of: MakeSite) -> None:
    """One row with its place and what to do; done, it gives the band and the score that were told. No private row."""
    settings = site_of()
    audit, assessment = judged(web_matrix(settings, "web programmer"), WEB)
    near = near_misses(audit, assessment)
    assert [(one.asked, one.skill, one.place) for one in near.renamed] == [("web programming", "Site work", "row 9")]
    told = near.renamed[0]
    said = report.owners(near, report.numbers_of(assessment)).renamed[0]
    assert "Row 9 “Site work” may mean this: if it does, add “web programming” to its aliases." in said
    assert f"{told.score}/100" in said
    _, would_be = judged(web_matrix(settings, "web programmer; web programming"), WEB)
    bands = {one.id: one.band for one in would_be.requirements}
    assert (bands[told.requirement_id], would_be.score, would_be.verdict) == (told.band, told.score, told.verdict)
    assert bands != {one.id: one.band for one in assessment.requirements}


@pytest.mark.parametrize("aliases", ["", "weather programmes", "pages; websites", "progress; webs of trust"])
def test_a_row_that_is_far_is_not_offered(aliases: str, site_of: MakeSite) -> None:
    """A word or some letters in common are too little to bother the owner with."""
    audit, assessment = judged(web_matrix(site_of(), aliases), WEB)
    assert near_misses(audit, assessment).renamed == ()


def test_five_rows_are_offered_at_most_and_none_that_would_lift_nothing(site_of: MakeSite) -> None:
    """The weightiest requirements' first; a row at level 1 bears nothing under any name."""
    fields = ("web", "lunar", "garden", "harbour", "violin", "glacier", "teapot")
    asked = "".join(f"- Must have: knowledge of {field} programming\n" for field in fields)
    posting = WEB.replace("- Must have: knowledge of web programming\n", asked)
    settings = site_of()
    for level, offered in ((5, 5), (1, 0)):
        rows = "".join(f"{field.title()} programmer,{level},\n" for field in fields)
        (settings.root / "skills.csv").write_text("Skill,Level,Private\n" + rows, encoding="utf-8")
        audit, assessment = judged(load_matrix(settings), posting)
        renamed = near_misses(audit, assessment).renamed
        assert len(renamed) == offered
        assert len({one.requirement_id for one in renamed}) == offered


def test_no_visitor_sees_which_row_may_mean_it(site_of: MakeSite) -> None:
    """The owner's file offers the row; the assessment, a visitor's page and report say nothing of it."""
    settings = site_of(SHARING)
    audit, assessment = judged(web_matrix(settings, "web programmer"), WEB)
    own = pages.assessment_page(settings, assessment, near=near_misses(audit, assessment))
    assert "may mean this" in own
    assert "Web programs" not in own  # a private row
    visitors = pages.assessment_page(settings, assessment) + assessment.model_dump_json()
    visitors += pages.report_page(settings, "fit", assessment, datetime.now(UTC))
    assert "may mean this" not in visitors
    assert "aliases" not in visitors


# ---------------------------------------------------------------- settings


def test_a_link_lives_90_days_at_most_and_belongs_to_an_assessment(make_site: MakeSite) -> None:
    """More days, fewer than none, or a chat with links: refused with the key's name."""
    from askfit.errors import SettingsError

    for toml in (
        "[features.fit]\nshare_days = 91\n",
        "[features.fit]\nshare_days = -1\n",
        "[features.ask]\nshare_days = 1\n",
    ):
        with pytest.raises(SettingsError, match="share_days"):
            make_site({"content/a.md": "# A\n"}, toml)
    assert load_settings(make_site({"content/a.md": "# A\n"}).path, {}).file.features["fit"].share_days == 0
