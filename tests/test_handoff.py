"""A posting pasted into the chat is offered to the fit page, a question pasted there to the chat, text and all."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from selectolax.lexbor import LexborHTMLParser

from askfit.ask import answer
from askfit.ask.handoff import MOST_READ_CHARACTERS, looks_like_posting
from askfit.ask.question import MOST_CHARACTERS
from askfit.config import Settings
from askfit.errors import InputError
from askfit.fit import assess
from askfit.providers.scripted import Script, ScriptedServer
from askfit.site import open_site
from askfit.web.app import create_app

SiteMaker = Callable[..., Settings]
PAGE = "# About Ann Ode\n\nI am Ann Ode, an engineer of bridges. I live in Porto.\n"
SKILLS = "skill,level\nSteel bridges,5\nSurveying,4\nPython,2\n"
FIT = '[skills]\npath = "skills.csv"\n'
POSTING = """Bridge Engineer (m/f/d)
Porto, Portugal

What you will do
- Design steel bridges and check the designs of others
- Lead surveys of old bridges
- Work with the city's engineers

Requirements
- 5+ years of experience with steel bridges
- Degree in civil engineering or equivalent
- Experience with surveying; Python is a plus
"""
GERMAN = """Bauingenieur Brückenbau (m/w/d)

Deine Aufgaben
- Du planst Stahlbrücken und prüfst Entwürfe.
- Du führst Vermessungen durch.

Dein Profil
- Mehrjährige Berufserfahrung im Stahlbau, abgeschlossenes Studium
- Sehr gute Kenntnisse in Statik

Das bieten wir: 30 Tage Urlaub.
"""
FRENCH = """Ingénieur ponts H/F

Missions
- Concevoir des ponts en acier.

Profil recherché
- Vous avez 5 ans d'expérience dans les ponts.
- Vous maîtrisez la statique ; l'anglais serait un plus.

CDI à temps plein. Nous recherchons une personne curieuse.
"""
SPANISH = """Ingeniera de puentes

Buscamos una persona con experiencia en puentes de acero.

Requisitos
- Mínimo 5 años de experiencia en estructuras.
- Inglés avanzado. Se valorará Python.

Ofrecemos contrato indefinido y jornada completa.
"""


@asynccontextmanager
async def client(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    """A visitor of the app, in this process."""
    app = create_app(settings)
    transport = httpx2.ASGITransport(app=app, client=("203.0.113.9", 4321))
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="https://ann.example.com") as one,
    ):
        yield one


@pytest.fixture
def ann(make_site: SiteMaker) -> Settings:
    """A site with both features."""
    return make_site({"content/about.md": PAGE, "skills.csv": SKILLS}, FIT)


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


# ---------------------------------------------------------------- telling one from the other


@pytest.mark.parametrize("posting", [POSTING, GERMAN, FRENCH, SPANISH], ids=["en", "de", "fr", "es"])
def test_a_posting_is_known_in_four_languages(posting: str) -> None:
    """With its lines, on one line, behind a question, or as markup pasted with it."""
    assert looks_like_posting(posting)
    assert looks_like_posting(" ".join(posting.split()))
    assert looks_like_posting(f"Would she be a good fit for this?\n\n{posting}")
    assert looks_like_posting(posting.replace("- ", "• "))


@pytest.mark.parametrize(
    "text",
    [
        "What did you work on last?",
        "We're hiring a senior engineer with 5+ years of experience in bridges. Does she have that?",
        "Do you have a degree or equivalent experience, and the ability to work in a team?",
        "Hi Ann, I am recruiting for a role at a builder in Porto. We need at least 7 years of experience and strong "
        "communication skills. Would you be interested, and when could you start?",
        "I led the survey team at Steelspan. I managed nine people and checked 212 bridges. My degree is in civil "
        "engineering. I have ten years of experience with steel.",
        "When you give feedback, you will find that people hear the tone first. You'll want to write it down, wait a "
        "day, and read it again before you send it. Then you will see what to cut.",
        "Peel the potatoes and cut them into cubes. Melt the butter in a pot. Add the stock and bring it to the boil. "
        "Serve with bread. Take care that it does not burn.",
        "",
        "?" * 5_000,
    ],
)
def test_questions_and_pages_are_no_postings(text: str) -> None:
    """What a recruiter asks, a résumé, an essay and a recipe share words with postings and are none."""
    assert not looks_like_posting(text)


def test_only_the_beginning_of_a_long_text_is_read() -> None:
    """A posting behind more text than any posting has is not looked for; a posting with a long tail is known."""
    assert looks_like_posting(POSTING)
    assert not looks_like_posting("word " * MOST_READ_CHARACTERS + POSTING)


# ---------------------------------------------------------------- the offer


@pytest.mark.parametrize("times", [1, 20], ids=["short", "longer than a question may be"])
async def test_a_posting_in_the_chat_is_offered_to_the_fit_page(times: int, ann: Settings) -> None:
    """The answer says what it is and where it belongs; a posting is never too long for that."""
    text = POSTING + "We value kindness and long bridges.\n" * (8 * times)
    assert (len(text) > MOST_CHARACTERS) == (times > 1)
    async with open_site(ann) as site:
        given = await answer(site, text)
    assert (given.abstained, given.abstain_reason) == (True, "looks_like_posting")
    assert "/fit-check" in given.answer
    [told] = [notice for notice in given.notices if notice.code == "looks_like_posting"]
    assert "/fit-check" in told.message


async def test_a_site_without_a_fit_page_says_so(make_site: SiteMaker) -> None:
    """Nothing is offered that is not there; the contact is."""
    async with open_site(make_site({"content/about.md": PAGE})) as site:
        given = await answer(site, POSTING)
    assert given.abstain_reason == "looks_like_posting"
    assert "judges no postings" in given.answer
    assert "hi@ann.example.com" in given.answer
    assert "looks_like_posting" not in [notice.code for notice in given.notices]


async def test_no_model_is_asked_and_no_posting_is_kept(make_site: SiteMaker, server: ScriptedServer) -> None:
    """A posting costs nothing in the chat, and the owner's list of open questions does not take it."""
    server.reset(Script.of("faithful"))
    environ = {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": server.openai_url}
    files = {"content/about.md": PAGE, "skills.csv": SKILLS}
    async with open_site(make_site(files, f'[models]\nsmall = "openai:m"\nlarge = "openai:m"\n{FIT}', environ)) as site:
        given = await answer(site, POSTING)
        [row] = await site.ledger.usage()
    assert not server.requests
    assert given.cost_usd == 0
    assert (row.feature, row.calls) == ("ask", 1)


async def test_a_long_text_that_is_no_posting_is_still_too_long(ann: Settings) -> None:
    """The bound on questions holds for everything else."""
    async with open_site(ann) as site:
        with pytest.raises(InputError) as told:
            await answer(site, "And why is that so? " * 400)
    assert told.value.code == "question_too_long"


@pytest.mark.parametrize(
    "question", ["What is her favourite bridge?", "tell me what you did in Porto", "Wo hat sie studiert?"]
)
async def test_a_question_in_the_fit_page_is_offered_to_the_chat(question: str, ann: Settings) -> None:
    """Where nothing can be judged and a question was asked, the notice names the chat."""
    async with open_site(ann) as site:
        given = await assess(site, question)
    assert given.verdict == "insufficient_information"
    [told] = [notice for notice in given.notices if notice.code == "looks_like_question"]
    assert "/ask-ai" in told.message


@pytest.mark.parametrize("text", ["Bridge engineer wanted. Send us your CV.", POSTING], ids=["thin", "posting"])
async def test_what_is_no_question_is_not_offered_to_the_chat(text: str, ann: Settings) -> None:
    """A thin posting is thin, and a posting is judged."""
    async with open_site(ann) as site:
        given = await assess(site, text)
    assert "looks_like_question" not in [notice.code for notice in given.notices]


# ---------------------------------------------------------------- pages without JavaScript


def form_of(page: str) -> tuple[str, dict[str, str]]:
    """The form that the page's offering button sends: its action and its fields, the text kept."""
    tree = LexborHTMLParser(page)
    button = tree.css_first("button[form=hand]")
    assert button is not None
    form = tree.css_first("form#hand")
    assert form is not None
    fields = {node.attributes["name"] or "": node.attributes["value"] or "" for node in form.css("input[type=hidden]")}
    return form.attributes["action"] or "", fields


async def test_one_click_takes_a_posting_from_the_chat_to_its_assessment(ann: Settings) -> None:
    """The button under the answer posts the very text to the fit page, which judges it."""
    async with client(ann) as one:
        page = await one.post("/ask-ai", data={"question": POSTING})
        action, fields = form_of(page.text)
        assert action == "/fit-check"
        assert fields["posting"].split() == POSTING.split()
        assessed = await one.post(action, data=fields)
    assert LexborHTMLParser(assessed.text).css(".requirement")


async def test_one_click_takes_a_question_from_the_fit_page_to_its_answer(ann: Settings) -> None:
    """The reverse way, text and all."""
    async with client(ann) as one:
        page = await one.post("/fit-check", data={"posting": "Where does Ann Ode live?"})
        action, fields = form_of(page.text)
        answered = await one.post(action.partition("#")[0], data=fields)
    assert "Porto" in LexborHTMLParser(answered.text).css_first(".turn .a").text()


async def test_a_pasted_posting_does_not_stay_in_the_pages_history(ann: Settings) -> None:
    """A page that carried it along would soon be refused for its length."""
    async with client(ann) as one:
        page = await one.post("/ask-ai", data={"question": POSTING})
    field = LexborHTMLParser(page.text).css_first("input[name=history]")
    assert field is not None
    assert json.loads(field.attributes["value"] or "") == []


async def test_an_ordinary_answer_offers_nothing(ann: Settings) -> None:
    """The button stands only where the text belongs elsewhere."""
    async with client(ann) as one:
        asked = await one.post("/ask-ai", data={"question": "Where do you live?"})
        judged = await one.post("/fit-check", data={"posting": POSTING})
    assert 'form="hand"' not in asked.text + judged.text
