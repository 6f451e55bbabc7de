"""Matching: rows near a phrase, skills named in lines, and what a low, far, old or repeated row may not bear."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from askfit.fit.match import index_rows
from askfit.fit.near import index_near, nearest_rows
from askfit.fit.posting import read_posting
from askfit.fit.rules import Judged, judge, rate
from askfit.fit.spans import named_spans
from askfit.fit.terms import find_terms, tokens
from askfit.types import Skill

REST = "\n- Kindness to strangers\n- Plain speech\n"
WORDS = " ".join(["We look for somebody who joins a small team that builds software for gardens and parks."] * 4)


def row(number: int, name: str, level: float, **more: Any) -> Skill:
    return Skill(row=number, name=name, level=level, **more)


def band(asked: str, *rows: Skill, heading: str = "Requirements") -> str:
    posting = read_posting(f"# Gardener of software\n\n{WORDS}\n\n## {heading}\n\n- {asked}{REST}")
    return {one.ask.text: one.band for one in judge(posting, index_rows(rows))}[asked]


# ---------------------------------------------------------------- near


LIST = [
    row(2, "use spreadsheets", 4, aliases=("tables in Calc", "work with worksheets")),
    row(3, "web programming", 4, aliases=("develop websites", "HTML pages")),
    row(4, "style sheets", 4, aliases=("CSS",)),
    row(5, "CSS", 4),
    row(6, "plan gardens", 4, aliases=("garden design",)),
]


@pytest.mark.parametrize(
    ("phrase", "nearest"),
    [
        ("developing web sites", "web programming"),
        ("designing a garden", "plan gardens"),
        ("worksheets", "use spreadsheets"),
        ("CSS", "CSS"),  # its own name before another's alias
    ],
)
def test_the_nearest_row_shares_most_of_the_phrase(phrase: str, nearest: str) -> None:
    """Stems and letters shared with a name or an alias order the rows; a name of its own goes first."""
    assert nearest_rows(phrase, index_near(LIST))[0].skill.name == nearest


def test_a_phrase_that_shares_nothing_has_no_near_row() -> None:
    """Nothing is offered where nothing is shared."""
    assert nearest_rows("qqq", index_near(LIST)) == []


@given(st.text(alphabet="abcdefgh ", min_size=1, max_size=30), st.integers(0, 4))
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_nearness_hangs_on_the_row_alone(phrase: str, at: int) -> None:
    """A row is as near among others as by itself: a row more or less changes no other's nearness."""
    among = {near.skill.row: near.nearness for near in nearest_rows(phrase, index_near(LIST), len(LIST))}
    alone = {near.skill.row: near.nearness for near in nearest_rows(phrase, index_near([LIST[at]]))}
    assert among.get(LIST[at].row, 0) == pytest.approx(alone.get(LIST[at].row, 0))


# ---------------------------------------------------------------- skills in lines


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("You will maintain the hedges of the park", ["maintain the hedges of the park"]),
        ("Knowledge of medieval irrigation", ["medieval irrigation"]),
        ("You must be punctual", ["punctual"]),
        ("You use TYPO3, OCaml and C++", ["C++"]),
        ("We offer free lunch and make great parties", []),
    ],
)
def test_a_line_says_what_it_asks_for(line: str, named: list[str]) -> None:
    """A task with its object, a field of knowledge, a trait, a tool by its look; what is offered is none of them."""
    said = [line[start:end] for start, end in named_spans(line)]
    assert all(any(name in one for one in said) for name in named)
    assert named or not said


@given(st.text(max_size=200))
@settings(max_examples=100, deadline=None)
def test_spans_stand_in_the_line_in_order_and_apart(line: str) -> None:
    """Whatever the text, spans lie inside it and none overlaps another."""
    spans = named_spans(line)
    assert all(0 <= start < end <= len(line) for start, end in spans)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))


# ---------------------------------------------------------------- what a row may bear


@pytest.mark.parametrize(
    ("asked", "rows", "expected"),
    [
        # another skill's alias, or kin, does not outbid the low row of the thing itself
        ("Run Kubernetes clusters", [row(2, "Kubernetes", 1), row(3, "Docker", 5, aliases=("containers",))], "gap"),
        ("Know a warehouse management system", [row(2, "BigQuery", 5, aliases=("data warehouse",))], "gap"),
        ("Knowledge of ICH-GCP", [row(2, "Google Cloud", 5, aliases=("GCP",))], "gap"),
        ("Containers", [row(3, "Docker", 5, aliases=("containers",))], "strong"),  # the owner's own word for it
        # to lead so many people is no craft of theirs
        ("Led a group of at least five product managers", [row(2, "Product management", 5)], "gap"),
        ("Manage nine engineers", [row(2, "Python", 5), row(3, "People management", 1)], "gap"),
        ("Manage nine engineers", [row(3, "People management", 5)], "strong"),
        # years and levels
        ("Six years as UX designer", [row(2, "Interaction design", 2)], "gap"),
        ("Excellent SQL", [row(2, "SQL", 2)], "gap"),
        ("SQL", [row(2, "SQL", 3)], "moderate"),
        ("SQL", [row(2, "SQL", 1)], "gap"),
        # words in common, no name: never more than moderate
        ("Take schema work live without a break", [row(2, "Databases", 5, evidence="Live schema changes")], "moderate"),
        ("Tform", [row(2, "Platform", 5)], "gap"),
        ("Python", [row(2, "Python for analysis", 4)], "strong"),
        # "and" within a name: two heads, or two things before one head
        ("Food, drink", [row(2, "Food and nutrition apps", 5)], "moderate"),
        ("Visual design", [row(2, "Visual and interaction design", 5)], "strong"),
        ("Git", [row(2, "Git and version control", 5)], "strong"),
        ("Personas", [row(2, "Personas and journey mapping", 5)], "strong"),
    ],
)
def test_a_row_bears_what_it_is(asked: str, rows: list[Skill], expected: str) -> None:
    """The row of the very thing decides; kin, crafts and shared words bear in part or not at all."""
    assert band(asked, *rows) == expected


def test_a_plus_asks_a_little_less() -> None:
    """A row at 3 is enough for what would be nice to have, and not for what must be."""
    assert band("SQL", row(2, "SQL", 3), heading="Nice to have") == "strong"
    assert band("SQL", row(2, "SQL", 3), heading="Requirements") == "moderate"


def test_a_text_in_the_evidence_column_gains_nothing() -> None:
    """A posting pasted into a row's evidence has every word in it and proves none."""
    asked = "Prune seventeen ancient hedges before breakfast"
    short, pasted = f"{asked}.", f"{asked}. " * 10
    assert band(asked, row(2, "Parks", 5, evidence=short)) == "moderate"
    assert band(asked, row(2, "Parks", 5, evidence=pasted)) == "gap"


def test_a_row_at_level_one_lifts_nothing_by_its_other_names() -> None:
    """An interest with every word as an alias changes no band."""
    asked = "SQL and Tableau"
    rows = [row(2, "SQL", 5)]
    assert band(asked, *rows) == band(asked, *rows, row(3, "Interests", 1, aliases=("Tableau", "SQL")))


def test_equals_in_weight_are_all_looked_at_before_a_fit_is_strong() -> None:
    """Whether a gap keeps a fit from being strong does not hang on the order of requirements of one weight."""
    lines = ["SQL", "Python", "Tableau", "Kafka", "Figma", "Kubernetes"]
    rows = [row(at, name, 5) for at, name in enumerate(lines[:5], start=2)]
    verdicts = set()
    for asked in (lines, lines[::-1]):
        posting = read_posting(f"# Gardener\n\n{WORDS}\n\n## Requirements\n\n" + "\n".join(f"- {one}" for one in asked))
        findings = judge(posting, index_rows(rows))
        verdicts.add(rate([Judged(one.ask, one.band, one.answer.worth) for one in findings]).verdict)
    assert len(verdicts) == 1


NAMES = ("SQL", "Python", "Kafka", "Kubernetes", "Docker", "Roadmapping", "People management", "UX design", "Flink")
SKILLS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.integers(0, 5)), min_size=1, max_size=6, unique_by=lambda one: one[0]
)
ASKED = "\n".join(
    (
        "- Five years of SQL or Python",
        "- Run Kubernetes and containers",
        "- Own the roadmap of our stream processing",
        "- Lead a team of five engineers",
        "- Wireframes with researchers",
    )
)
POSTING = read_posting(f"# Gardener of software\n\n{WORDS}\n\n## Requirements\n\n{ASKED}\n")
ORDER = {"gap": 0, "moderate": 1, "strong": 2}


@given(SKILLS, st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_row_less_or_a_level_lower_never_raises(drawn: list[tuple[str, int]], data: st.DataObject) -> None:
    """A row taken away or lowered raises no band, no credit and no score."""
    rows = [row(at, name, level) for at, (name, level) in enumerate(drawn, start=2)]
    at = data.draw(st.integers(0, len(rows) - 1))
    lower = data.draw(st.integers(-1, int(rows[at].level)))
    kept = [row(rows[at].row, rows[at].name, lower)] if lower >= 0 else []
    before = judge(POSTING, index_rows(rows))
    after = {one.ask.id: one for one in judge(POSTING, index_rows([*rows[:at], *kept, *rows[at + 1 :]]))}
    assert all(ORDER[after[one.ask.id].band] <= ORDER[one.band] for one in before)
    assert all(after[one.ask.id].answer.worth <= one.answer.worth + 1e-9 for one in before)


@pytest.mark.parametrize(
    "line",
    [
        "A proven track record with our accounts",
        "Share best practices with specific markets",
        "Staff engineers keep each other informed",
        "Machines that cater to many a prospect",
        "Authorization to work, and a source of joy",
        "Actively engage with the audit",
    ],
)
def test_a_word_is_not_the_skill_whose_stem_it_shares(line: str) -> None:
    """ "Account" is not accounting, "track record" not tracking, "best practices" no clinic, "staff" no staffing."""
    assert [term.id for _, _, term in find_terms(tokens(line))] == []


@pytest.mark.parametrize(
    ("line", "domain"),
    [
        ("Ten years of staffing in an executive search firm", "people operations"),
        ("Experience in food service management or hospitality", "hospitality"),
        ("Month-end close and revenue recognition", "finance"),
        ("Security guards and CCTV", "facilities and safety"),
        ("Einkauf und Lieferkette", "supply chain and manufacturing"),
        ("Comunicación con relaciones públicas", "writing and media"),
        ("Enseignement en classe", "education and training"),
        ("Calendar management and travel arrangements", "administration"),
    ],
)
def test_a_line_of_ordinary_work_is_read_as_its_trade(line: str, domain: str) -> None:
    """Trades outside software have names of their own, in the languages that postings are written in."""
    assert domain in {term.domain.name for _, _, term in find_terms(tokens(line))}
