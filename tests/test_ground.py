"""The ground check: what a model states is borne by the site, or it is cut; what is true is let through."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from askfit import Settings, answer, open_site
from askfit.ask import stream
from askfit.ask.bearing import place
from askfit.ask.citing import Reading, without_markers
from askfit.ask.ground import Ground
from askfit.ask.ground.evidence import SearchedEvidence, evidence
from askfit.ask.ground.facts import facts
from askfit.ask.judging import Judge
from askfit.ask.prompt import Shared
from askfit.config import load_settings
from askfit.corpus import Corpus, load_corpus
from askfit.prompts import load_prompt
from askfit.providers.scripted import Script, ScriptedServer
from askfit.providers.scripted.lying import KINDS, tell
from askfit.text import sentences, words
from askfit.types import Delta, Prompt, Retract

SAMPLE = Path(__file__).parents[1] / "examples" / "site"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """The sample site's corpus."""
    place = tmp_path_factory.mktemp("ground") / "sample"
    shutil.copytree(SAMPLE, place, ignore=shutil.ignore_patterns("*.db*"))
    return load_corpus(load_settings(place / "askfit.toml", {}))


def ground(corpus: Corpus, question: str = "", *turns: tuple[str, str]) -> Ground:
    return Ground(
        evidence(Shared(corpus)), question, turns, "Mara Ostrevik https://mara.example.com hello@mara.example.com"
    )


# ruff: noqa: E501 (a sentence a line)
TRUE = """
Mara Ostrevik is a product manager for consumer apps and mobile games who lives in Hamburg.
She worked at Brindlewick Games from March 2022 to June 2026.
At Brindlewick Games, Mara was Lead Product Manager for progression.
Mara's last team, the progression team at Brindlewick, was made up of 14 people, herself included.
She also managed two product managers between January 2024 and June 2026.
Her team at Brindlewick had fourteen members: five client engineers, two server engineers, three game designers, two artists, a data analyst and Mara.
The Harbour Pass launched on May 16, 2023 at a price of €5.99.
By December 2023 it accounted for 22 percent of Cinderquay's net revenue.
Cinderquay's daily players grew from 410,000 to 640,000 during her four years there.
Before Brindlewick she spent about three and a half years at Quillfen Apps in Berlin, where she was Senior Product Manager, Growth.
At Quillfen Apps (2018–2022), she worked on Larderlight, a meal-planning app.
Larderlight's monthly active users rose from 310,000 to 1.2 million, and its paying subscribers from 19,000 to 86,000.
The pricing work lifted trial-to-paid conversion from 29% to 37%.
Refund requests remained at 1.2 percent.
She joined Oddleaf Learning in October 2015 and left in August 2018.
Her first product job was at Havdis Media, a news publisher in Bergen, where she was an associate product manager from 2013 to 2015.
Mara has worked for four companies: Havdis Media, Oddleaf Learning, Quillfen Apps and Brindlewick Games.
She has been working in product management since August 2013.
Skumring came out on iOS on 10 March 2014 and on Android three months later, on 2 June 2014.
Since 2016 she has planned or reviewed over 200 A/B tests.
In 2017, Oddleaf ran 31 A/B tests.
She set up Oddleaf's first A/B testing programme in 2016.
Her biggest gap is data-platform and infrastructure work.
The migration took 19 weeks rather than the planned 8.
In 2021 she stood in for six months as the product manager of Quillfen's event pipeline.
When she handed it back, only three of seven teams had moved to the new stream.
She speaks Norwegian natively, English at C2, German at C1, and a little Spanish (A2).
Mara speaks four languages: Norwegian, English, German and Spanish.
She can start a new job in January 2027.
She holds a bachelor's degree from Høyvik University College in Bergen (2010–2013).
You can email her at hello@mara.example.com; she usually replies within two days.
She uses Jira, Notion, Figma, Amplitude, SQL and Google Sheets.
She recommended stopping Paper Comet because day-30 retention was 4.1% while the gate was 6%.
She left Brindlewick Games at the end of June 2026, after more than four years.
Nine events a month ran after the event calendar, up from two.
Setting up an event now took two working days instead of eleven.
In November 2022, 12,000 players got a double reward by mistake.
No: the site says she has never owned a business-to-business product.
Yes. Mara has shipped one machine-learning feature, meal suggestions in Larderlight, in autumn 2021.
Two data scientists built the ranking, while she wrote the brief and the test plan.
Currently, she volunteers two days a week for Möhrenpost, a charity in Hamburg.
Overall, her strongest skill is experimentation.
Additionally, she taught a course on game economies at Brindlewick Games in 2024 and 2025.
Her PM career began at Havdis.
She line-managed two PMs at Brindlewick.
The Skumring team consisted of 5 people.
At Quillfen Apps the growth team had 8 people, and at Oddleaf Learning her team had six.
Sie arbeitete von März 2022 bis Juni 2026 bei Brindlewick Games in Hamburg.
Ihr letztes Team bei Brindlewick Games hatte 14 Personen.
Mara spricht Norwegisch als Muttersprache und Deutsch auf dem Niveau C1.
Elle a travaillé chez Quillfen Apps à Berlin de septembre 2018 à février 2022.
Son équipe comptait 14 personnes.
""".strip().splitlines()

PARAPHRASED = """
1. Her last team at Brindlewick had 14 people.
- **Team:** 14 people at Brindlewick Games
Good question! Mara is based in Hamburg.
They’ve moved: Mara lives in Hamburg.
She led over a dozen people at Brindlewick.
Larderlight had 1.2M monthly active users and 86k paying subscribers.
The Harbour Pass came out on 16. 5. 2023.
The Harbour Pass cost 5.99 euros.
Mara worked at Quillfen Apps in the 2010s.
She has run hundreds of A/B tests.
She worked in Berlin for Quillfen Apps.
She stayed at Quillfen Apps for about three years.
She has never owned a business-to-business product.
She doesn't have much data-platform experience.
The site does not say whether she works remotely.
""".strip().splitlines()

TWISTED = """
swap | She lives in Copenhagen.
swap | She studied in Berlin.
contradiction | She did not work at Brindlewick Games.
contradiction | Mara has not led a team.
number | She has managed dozens of people.
number | Refund requests stayed at 1.2 ms.
number | Larderlight had 86M paying subscribers.
date | She worked at Brindlewick in the 2000s.
""".strip().splitlines()

FALSE = """
number | Mara's last team at Brindlewick Games had 40 people.
number | Her team at Brindlewick had nine members.
number | The Harbour Pass was sold at €7.99.
number | It accounted for 35 percent of Cinderquay's net revenue in December 2023.
number | Cinderquay grew from 410,000 to 900,000 daily players.
number | She spent seven years at Quillfen Apps.
number | She has planned or reviewed more than 500 A/B tests.
number | The migration took 29 weeks instead of 8.
number | Refund requests stayed at 2.1%.
number | She holds eleven patents.
number | The growth team at Quillfen Apps had twelve people.
date | She worked at Brindlewick Games from March 2020 to June 2026.
date | The Harbour Pass launched on 16 June 2023.
date | She joined Oddleaf Learning in 2011.
date | She can start a new role from April 2027.
date | The pricing work of 2017 raised conversion from 29% to 37%.
name | She worked on Larderlight together with Beatrix Holm.
name | She lives in Lisbon.
name | She speaks Norwegian, English and Italian.
name | She holds a bachelor's degree from Stanford.
name | Her team used Salesforce for planning.
name | She worked at Northwind Traders before that.
name | Before Brindlewick she led growth at Spotify.
name | Nordvik Labs hired her in 2018.
superlative | She is an award-winning product manager.
superlative | She led the largest team in the company.
address | Write to her at mara@brindlewick.example.
swap | At Quillfen Apps she grew Cinderquay to 640,000 daily players.
swap | She worked at Oddleaf Learning from March 2022 to June 2026.
swap | Larderlight had 410,000 daily players in March 2022.
swap | At Havdis Media she ran the pricing work that raised conversion from 29% to 37%.
swap | The growth team at Quillfen Apps had 14 people.
swap | Skumring was launched on 16 May 2023.
swap | Brindlewick Games is a studio in Oslo.
name | Sie arbeitete bei Siemens Energy in Hamburg.
number | Ihr letztes Team bei Brindlewick Games hatte 33 Personen.
date | Elle a travaillé chez Quillfen Apps de septembre 2012 à février 2022.
""".strip().splitlines()


def test_hand_written_truths_are_let_through(corpus: Corpus) -> None:
    """Paraphrases, figures as words, derived times, other languages: of true sentences hardly one is cut."""
    cut = [(kinds, said) for said in TRUE if (kinds := ground(corpus).unborne(said))]
    assert len(cut) <= 1, cut


def test_hand_written_lies_are_cut(corpus: Corpus) -> None:
    """A false number, date, name, superlative or address is cut, and most facts of one employer told of another."""
    kept = [line for line in FALSE if not ground(corpus).unborne(line.partition(" | ")[2])]
    assert len([line for line in kept if not line.startswith("swap")]) <= 1, kept
    assert len(kept) <= 3, kept


@pytest.mark.parametrize("said", PARAPHRASED)
def test_what_is_said_otherwise_is_let_through(corpus: Corpus, said: str) -> None:
    """List numbers, rounded figures, decades, other forms of dates and true denials cost no true sentence."""
    assert ground(corpus).unborne(said) == ()


@pytest.mark.parametrize("line", TWISTED)
def test_what_is_twisted_is_cut(corpus: Corpus, line: str) -> None:
    """A true name told of something else, a true sentence denied, a true figure with another unit."""
    kind, _, said = line.partition(" | ")
    assert ground(corpus).unborne(said) == (kind,)


def test_one_line_is_logged_for_an_answer(corpus: Corpus, caplog: pytest.LogCaptureFixture) -> None:
    """However many sentences of an answer go, the log warns once; what went is kept for the answer's record."""
    judge = Judge(Prompt("", "", (), 0), ground(corpus))
    assert not judge.keeps("She worked at Northwind Traders in 1987.")
    assert not judge.keeps("She led 900 people at Brindlewick Games.")
    assert len([one for one in caplog.records if one.levelname == "WARNING"]) == 1
    assert {"name", "number"} <= set(judge.unborne)


def test_a_large_corpus_is_searched_instead_of_held(corpus: Corpus) -> None:
    """Where the sections are not held in memory the corpus' own search finds what bears a sentence."""
    ground = Ground(SearchedEvidence(corpus), "", (), "Mara Ostrevik")
    assert not ground.unborne("The growth team at Quillfen Apps had eight people.")
    assert ground.unborne("The growth team at Quillfen Apps had twelve people.") == ("number",)


def test_the_question_and_earlier_turns_bear_too(corpus: Corpus) -> None:
    """What the visitor has named may be named again; what an earlier answer said may be said again."""
    said = "The site does not mention Northwind Traders."
    assert ground(corpus).unborne(said) == ("name",)
    assert not ground(corpus, "Did she work at Northwind Traders?").unborne(said)
    again = "The Skolvik award was for 77 prototypes."
    assert ground(corpus).unborne(again)
    assert not ground(corpus, "", ("Any award?", "The Skolvik award, for 77 prototypes.")).unborne(again)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("12,345 or 12.345 or 12 people", {12345.0, 12.345, 12.0}),
        ("1.2 million users and half a million more", {1_200_000.0, 500_000.0}),
        ("twenty-one people, a dozen eggs", {21.0, 12.0}),
        ("version 3.5 of Node.js", {3.5}),
        ("sieben Leute, deux ans", {7.0, 2.0}),
    ],
)
def test_figures_are_read_in_every_spelling(text: str, values: set[float]) -> None:
    """Thousands, decimals, scales and number words of four languages are figures."""
    assert {value for one in facts(text) for value in one.values} == values


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("on 16 May 2023", (2023, 5, 16)),
        ("on May 16, 2023", (2023, 5, 16)),
        ("2023-05-16", (2023, 5, 16)),
        ("im März 2022", (2022, 3, None)),
        ("en février 2022", (2022, 2, None)),
        ("in 2019", (2019, None, None)),
    ],
)
def test_dates_are_read_in_every_spelling(text: str, date: tuple[int, int | None, int | None]) -> None:
    """Day first, month first, ISO and other languages give one date."""
    assert [one.date for one in facts(text) if one.kind == "date"] == [date]


# ---------------------------------------------------------------- while it streams


FILES = {
    "content/about.md": "# About Ann\n\nAnn Ode led nine people at Tidewater Maps from 2015 to 2019.\n\n"
    "## Now\n\nShe keeps bees in Bergen.\n",
    "content/hidden.md": "---\nai: false\n---\n# Hidden\n\nThe zebrafish canary.\n",
}


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def site_of(make_site: Callable[..., Settings], server: ScriptedServer) -> Callable[..., Settings]:
    """Settings of a small site whose model is the scripted server, saying this."""

    def settings(says: str, more: str = "") -> Settings:
        server.reset(Script.of([{"text": says}]) if " " in says else Script.of(says))
        return make_site(FILES, more, {"ANTHROPIC_API_KEY": "x", "ANTHROPIC_BASE_URL": server.url})

    return settings


LIE = "Ann led nine people at Tidewater Maps. [[1]] She won the Pulitzer Prize in 1987. [[1]] She keeps bees in Bergen. [[2]]"


async def test_a_lie_is_cut_out_of_an_answer(site_of: Callable[..., Settings]) -> None:
    """The sentence goes, the true ones around it stay with their citations, and the log has none of its words."""
    async with open_site(site_of(LIE)) as site:
        given = await answer(site, "What has Ann done?")
    assert given.answer == "Ann led nine people at Tidewater Maps. She keeps bees in Bergen."
    assert [len(one.citations) for one in given.sentences] == [1, 1]


async def test_an_unknown_name_is_never_on_screen(site_of: Callable[..., Settings]) -> None:
    """A name that is nowhere known is held back until its sentence is judged: no flash of a lie."""
    async with open_site(site_of(LIE)) as site:
        sent = [event.text async for event in stream(site, "What has Ann done?") if isinstance(event, Delta)]
    assert "Pulitzer" not in "".join(sent)
    assert "1987" not in "".join(sent)


async def test_a_lie_alone_gives_the_honest_sentence(site_of: Callable[..., Settings]) -> None:
    """Where nothing is left the answer abstains: it does not stay empty, and it is not told as hostile."""
    async with open_site(site_of("Ann led 4,000 people at Globex. [[1]]")) as site:
        given = await answer(site, "How many people has Ann led?")
    assert given.abstained
    assert given.abstain_reason == "not_in_corpus"
    assert "Globex" not in given.answer


async def test_flag_shows_the_sentence_and_says_so(site_of: Callable[..., Settings]) -> None:
    """With ground = "flag" the visitor sees everything, with a notice."""
    async with open_site(site_of(LIE, '[features.ask]\nground = "flag"\n')) as site:
        given = await answer(site, "What has Ann done?")
    assert "Pulitzer" in given.answer
    assert "unborne" in [notice.code for notice in given.notices]


async def test_off_checks_nothing(site_of: Callable[..., Settings]) -> None:
    """With ground = "off" nothing is cut and nothing is told."""
    async with open_site(site_of(LIE, '[features.ask]\nground = "off"\n')) as site:
        given = await answer(site, "What has Ann done?")
    assert "Pulitzer" in given.answer
    assert "unborne" not in [notice.code for notice in given.notices]


async def test_the_log_has_no_words_of_a_cut_sentence(
    site_of: Callable[..., Settings], caplog: pytest.LogCaptureFixture
) -> None:
    """That a sentence was cut is logged with its kind of fault, never with its text."""
    async with open_site(site_of(LIE)) as site:
        await answer(site, "What has Ann done?")
    assert "does not stand on the site" in caplog.text
    assert "Pulitzer" not in caplog.text


async def test_an_echo_shows_nothing_of_its_instructions(site_of: Callable[..., Settings]) -> None:
    """A model that repeats all that it was given: not one sentence of the instructions is ever on screen."""
    hidden = [one for one in sentences(load_prompt("ask").render(name="Ann Ode")) if len(one.split()) > 5]
    async with open_site(site_of("echoing")) as site:
        events = [event async for event in stream(site, "Which city does Ann live in?")]
    sent = "".join(
        event.text if isinstance(event, Delta) else "\n" for event in events if isinstance(event, Delta | Retract)
    )
    assert hidden
    assert not [one for one in hidden if one[:40] in sent]
    assert "zebrafish" not in sent
    assert "<section" not in sent


@pytest.mark.parametrize("size", [1, 3, 40])
def test_instructions_stay_hidden_however_the_stream_is_cut(size: int) -> None:
    """Cut within words or not, with their markers or without: no five words in a row of the instructions are sent."""
    told = load_prompt("ask").render(name="Ann Ode")
    for text in (told, without_markers(told), " ".join(without_markers(told).split())):
        reading = Reading((), Judge(Prompt(told, "", (), 0)))
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        events = [event for piece in pieces for event in reading.feed(piece)] + reading.finish()
        sent = words("".join(event.text if isinstance(event, Delta) else "\n" for event in events))
        hidden = words(told)
        runs = {tuple(hidden[at : at + 5]) for at in range(len(hidden) - 4)}
        assert not runs & {tuple(sent[at : at + 5]) for at in range(len(sent) - 4)}


async def test_the_lying_model_speaks_through_the_wire(
    site_of: Callable[..., Settings], server: ScriptedServer
) -> None:
    """The behaviour `lying` goes out by the server's own wire, the same lie for the same seed."""
    told = []
    for _ in range(2):
        async with open_site(site_of("lying-3")) as site:
            await answer(site, "How many people did Ann lead at Tidewater Maps?")
        told.append(server.requests[-1].sent)
    assert told[0] == told[1]
    assert told[0]


# ---------------------------------------------------------------- the lying model


@pytest.mark.parametrize("kind", KINDS)
def test_the_liar_tells_what_it_planted(kind: str, corpus: Corpus) -> None:
    """Of each kind the liar says which sentence is false and what it was, and the rest is the site's own text."""
    told = [(str(at), text) for at, one in enumerate(corpus.sections, 1) for text in sentences(one.text)]
    lie = tell(
        told,
        "Paying subscribers of Larderlight grew from 19,000 in September 2018 to 86,000 in February 2022",
        seed=5,
        kind=kind,
    )
    assert [planted[1] for planted in lie.planted] == [kind]
    at, _, truth = lie.planted[0]
    assert lie.sentences[at][1] != truth
    assert truth in [text for _, text in told]
    assert all(pair in told for place, pair in enumerate(lie.sentences) if place != at)
    assert lie == tell(
        told,
        "Paying subscribers of Larderlight grew from 19,000 in September 2018 to 86,000 in February 2022",
        seed=5,
        kind=kind,
    )


# ---------------------------------------------------------------- the exact place


@pytest.mark.parametrize(
    ("url", "quote", "there"),
    [
        ("https://a.example/p/#x", "Short and sweet.", "https://a.example/p/#x:~:text=Short and sweet."),
        ("https://a.example/p/", "Short.", "https://a.example/p/#:~:text=Short."),
        ("https://a.example/cv.pdf", "Short.", "https://a.example/cv.pdf"),
        ("https://a.example/#/route", "Short.", "https://a.example/#/route"),
        ("", "Short.", ""),
    ],
)
def test_a_citation_opens_at_its_words(url: str, quote: str, there: str) -> None:
    """Behind the anchor, or alone; not where the fragment is another's: a route of a page's own, a PDF."""
    assert unquote(place(url, quote)) == there


def test_a_long_quote_is_told_by_its_ends() -> None:
    """Its first and last words, between them a comma that is not encoded; commas and hyphens of the text are."""
    found = place("https://a.example/#x", "Well-known, one two three four five six seven eight nine ten, the-end")
    assert found == "https://a.example/#x:~:text=Well%2Dknown%2C%20one%20two%20three,eight%20nine%20ten%2C%20the%2Dend"


@pytest.mark.parametrize(
    "opening", ["The game had 31", "The game had 31,", "The game had 31,4", "The game had 31,417 "]
)
def test_no_part_of_an_unknown_figure_is_on_screen(opening: str, corpus: Corpus) -> None:
    """Of "31,417", of which the site knows "31" alone, nothing shows while it streams."""
    judge = Judge(Prompt("", "", (), 100), ground(corpus))
    assert judge.sendable(opening) <= len("The game had ")
