"""Languages, licences and trades that hold a verdict down, whatever else the rows bear."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from askfit.fit.judgement import Audit
from askfit.fit.posting import read_posting
from askfit.fit.rules import VERDICTS, Rating, headline
from askfit.skills import Matrix
from askfit.types import Skill

POSTING = """# Backend Engineer

## What you will do

- Build and run our Python services
- Keep PostgreSQL fast and Kafka quiet
- Write automated tests and review code

## Requirements

- Five years of Python
- Deep experience of PostgreSQL
- {}

## Nice to have

- Some Kafka
- {}
"""
CRAFT = (("Python", 5), ("PostgreSQL", 5), ("Kafka", 4), ("Automated tests", 5), ("Code review", 5), ("Git", 5))


def assessed(posting: str, rows: Sequence[tuple[str, float]]) -> tuple[Audit, Rating]:
    skills = tuple(Skill(row=at, name=name, level=level, years=9) for at, (name, level) in enumerate(rows, start=2))
    audit = Audit.of(Matrix(path="", skills=skills), read_posting(posting))
    return audit, audit.rated_by_rows


def verdict(must: str, rows: Sequence[tuple[str, float]], plus: str = "Some Linux") -> str:
    return assessed(POSTING.format(must, plus), (*CRAFT, *rows))[1].verdict


@pytest.mark.parametrize(
    ("must", "rows"),
    [
        ("Fluent German", (("English", 5), ("German", 2))),
        ("Verhandlungssichere Deutschkenntnisse (mindestens C1)", (("German", 2),)),
        ("Español nativo o C2", (("English", 5), ("Spanish", 2))),
        ("Fluent German", (("English", 5), ("French", 4))),  # lists languages, and not this one
        ("Slovak or Czech, German and English", (("English", 5), ("German", 4))),
        ("Registered nurse with current registration", ()),
    ],
)
def test_what_is_a_must_and_plainly_not_there_makes_a_misfit(must: str, rows: Sequence[tuple[str, float]]) -> None:
    """A language at two levels too low or left out of a list of languages, or another trade's licence: a misfit."""
    assert verdict("Daily use of Git", rows) == "strong"
    assert verdict(must, rows) == "misfit"


@pytest.mark.parametrize(
    ("must", "rows"),
    [
        ("Fluent German", ()),  # the matrix says nothing of any language
        ("Fluent German", (("German", 4),)),
        ("German at level B2", (("German", 2),)),  # a level short: to be asked
        ("German or French, fluent", (("English", 5), ("French", 4))),
        ("Good English; Swedish may be learned", (("English", 5),)),
        ("Norwegian or another Scandinavian language, fluent", (("English", 5), ("Swedish", 5))),
        ("Fluent English", (("German", 4),)),  # the matrix is written in it
        ("Fluent English and a feeling for the German market", (("English", 5),)),
        ("A driving licence", ()),
    ],
)
def test_what_is_met_open_or_only_welcome_holds_nothing_down(must: str, rows: Sequence[tuple[str, float]]) -> None:
    """Met, unsaid, a level short, one of several or only welcome: the verdict is what the requirements make it."""
    assert verdict(must, rows) != "misfit"


def test_a_language_that_is_a_plus_is_a_requirement() -> None:
    """A language under "nice to have" is no gate: a row answers it, and without one it is a gap."""
    audit, rating = assessed(POSTING.format("Linux", "Fluent German"), (*CRAFT, ("Linux", 5), ("English", 5)))
    assert not audit.gates
    assert {finding.ask.text: finding.band for finding in audit.findings.values()}["Fluent German"] == "gap"
    assert rating.verdict == "strong"


def test_the_headline_says_what_holds_the_verdict_down() -> None:
    """Where strong rows meet a language that is not there, the headline names the language and the level."""
    audit, rating = assessed(POSTING.format("Fluent German", "Some Linux"), (*CRAFT, ("German", 1)))
    assert rating.held
    assert "German is asked as a must, and the matrix states it at 1 of 5" in audit.under.because
    assert [gate.status for gate in audit.gates] == ["unmet"]
    assert audit.under.because in headline(rating.verdict, None, (), audit.under.because)  # type: ignore[arg-type]


DESIGN = """# Senior Product Designer

We make software for people who run harbours, and we are thirty people in two towns by the sea.

## What you will do

- Visual design of our web product
- Talk to users
- Design for mobile

## Requirements

- Six years as a product designer
- Excellent visual design
- User research and usability testing
- SQL
"""


def test_a_title_whose_trade_is_not_borne_makes_a_stretch_at_most() -> None:
    """Neighbouring skills do not make a designer of an analyst; at the level of the trade they are no limit."""
    near = (("User research", 5), ("Usability testing", 5), ("SQL", 5), ("Mobile products", 5), ("UX design", 2))
    audit, rating = assessed(DESIGN, near)
    assert "the title asks for Product Designer" in audit.under.because
    assert VERDICTS.index(rating.verdict) <= VERDICTS.index("stretch")
    assert not assessed(DESIGN, (*near, ("Visual design", 5), ("Interaction design", 5)))[0].under.because


GENERAL = """# {}

## What you will do

- Own the roadmap and the metrics of our largest initiative
- Talk to users every week and prioritise the backlog
- Keep stakeholders in five countries aligned and informed

## Requirements

- Five years of product strategy in a growing organisation
- User research, from the first interview to the report
- Excellent stakeholder management up to the board

## Nice to have

- A taste for success metrics
"""
GENERALIST = (
    ("Product roadmap", 5),
    ("Metrics", 5),
    ("User research", 5),
    ("Prioritisation", 5),
    ("Product strategy", 5),
)


@pytest.mark.parametrize(
    "title",
    [
        "Managing Editor, Maps",
        "Food Service Manager",
        "Recruiter (Berlin)",
        "Legal Counsel - Products",
        "Executive Assistant",
        "Technical Writer",
        "Technical Program Manager",
        "Beschaffung, Produkte",
    ],
)
def test_a_trade_in_the_title_counts_whatever_the_lines_stress(title: str) -> None:
    """Lines that a product manager bears well do not make an editor, a cook or a recruiter of them."""
    rows = (*GENERALIST, ("Stakeholder management", 5))
    audit, rating = assessed(GENERAL.format(title), rows)
    assert "the title asks for" in audit.under.because and rating.verdict == "stretch"
    assert assessed(GENERAL.format("Product Lead"), rows)[1].verdict == "strong"


@pytest.mark.parametrize(
    "title", ["Product Manager, Recruiting", "Staff Product Manager", "Product Manager for Editors"]
)
def test_what_a_craft_is_done_to_is_no_trade(title: str) -> None:
    """Whose craft is in the title and borne is not held for the product, the place or the rank beside it."""
    assert not assessed(GENERAL.format(title), (*GENERALIST, ("Product management", 5)))[0].under.because


TITLES = ("Backend Engineer", "Managing Editor, Maps", "Lead Product Designer", "Program Manager", "Recruiter")
NAMED = (
    "Backend",
    "Python",
    "Editorial",
    "Proofreading",
    "UX design",
    "Visual design",
    "Project management",
    "Staffing",
)


@settings(max_examples=100, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_row_more_or_higher_never_brings_a_trade_s_limit(data: st.DataObject) -> None:
    """One row more, or one at a higher level, lowers no limit: a trade stated at 1 is no worse than one not stated."""
    posting = POSTING.replace("Backend Engineer", data.draw(st.sampled_from(TITLES))).format("Git", "UX design")
    levels = data.draw(st.dictionaries(st.sampled_from(NAMED), st.integers(0, 5), max_size=4))
    name, level = data.draw(st.sampled_from(NAMED)), data.draw(st.integers(0, 5))
    more = levels | {name: max(level, levels.get(name, 0))}
    before = assessed(posting, (*CRAFT, *levels.items()))[0].under
    assert assessed(posting, (*CRAFT, *more.items()))[0].under.score >= before.score


LANGUAGES = ("German", "French", "Spanish", "Dutch", "Norwegian")
MUSTS = ("Fluent {}", "{} at C1", "{} or {}, fluent", "{} and {}, both fluent", "Native {}", "Good spoken {}")


@settings(max_examples=100, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_language_more_or_higher_is_never_worse(data: st.DataObject) -> None:
    """In a matrix that lists languages, one more or one higher lowers no score, and one fewer raises none."""
    two = data.draw(st.lists(st.sampled_from(LANGUAGES), min_size=2, max_size=2, unique=True))
    posting = POSTING.format(data.draw(st.sampled_from(MUSTS)).format(*two), "Some Linux")
    levels = data.draw(st.dictionaries(st.sampled_from(LANGUAGES), st.integers(0, 5), max_size=4))
    name, level = data.draw(st.sampled_from(LANGUAGES)), data.draw(st.integers(0, 5))
    more = levels | {name: max(level, levels.get(name, 0))}
    before = assessed(posting, (*CRAFT, ("English", 5), *levels.items()))[1]
    after = assessed(posting, (*CRAFT, ("English", 5), *more.items()))[1]
    assert after.score >= before.score
    assert VERDICTS.index(after.verdict) >= VERDICTS.index(before.verdict)
