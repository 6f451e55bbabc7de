"""What may not change an assessment, and which way the rest may move it: drawn matrices and postings, by rules.

Postings are those of the gold set and the sample, and made-up ones; matrices are theirs. Each test draws its own cases,
2,200 in all, the same ones in every run; with ASKFIT_CASES=10 ten times as many, others each time.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

from hypothesis import HealthCheck, Phase, assume, given, note, settings
from hypothesis import strategies as st

from askfit.fit.judgement import Audit
from askfit.fit.posting import Posting, read_posting
from askfit.fit.rules import Rating
from askfit.skills import Matrix, read_matrix
from askfit.types import Band, Skill

EXAMPLES = Path(__file__).parents[1] / "examples"
MATRICES = {name: read_matrix(EXAMPLES / "gold" / name / "matrix.csv") for name in ("engineer", "product", "analyst")}
MATRICES["site"] = read_matrix(EXAMPLES / "site" / "skills.xlsx")
FILES = sorted([*(EXAMPLES / "gold").glob("*/postings/*.md"), *(EXAMPLES / "site" / "postings").iterdir()])
BANDS: tuple[Band, ...] = ("gap", "moderate", "strong")
VERDICTS = ("misfit", "stretch", "moderate", "strong")
MOST_DRIFT = 3  # points of score that reordering, white space, casing and boilerplate may move
TIMES = int(os.environ.get("ASKFIT_CASES", "1"))
NEW_ROW = 90_000


DRAWN: list[int] = []


def cases(count: int) -> settings:
    """So many drawn cases of a property, the same in every run unless more are asked for."""
    DRAWN.append(count)
    return settings(
        max_examples=count * TIMES,
        deadline=None,
        database=None,
        derandomize=TIMES == 1,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )


# ---------------------------------------------------------------- what is drawn


SKILLS = sorted(
    {name for matrix in MATRICES.values() for skill in matrix.skills for name in (skill.name, *skill.aliases)}
)
TITLES = ("Senior Product Manager", "Backend Engineer", "Data Analyst", "Platform Engineer", "Head of Analytics")
TASKS = ("Own {}", "Improve {} together with design", "Build and run {}", "Lead the work on {}", "{} and {}")
MUSTS = (
    "Five years of {}",
    "Deep experience of {}",
    "{} and {}",
    "Proven work with {} or {}",
    "Expert in {}",
    "{}",
    "You have led {} in a company that lives by {}",
)
PLUSES = ("Some {}", "{} is a plus", "Familiar with {} or {}")
ABOUT = "We make software for people who run harbours, and we are thirty people in two towns by the sea."


@st.composite
def made_up(draw: st.DrawFn) -> str:
    """A posting of headings and bullets over skills that the matrices name."""

    def bullets(templates: Sequence[str], least: int, most: int) -> str:
        chosen = draw(st.lists(st.sampled_from(templates), min_size=least, max_size=most))
        skills = draw(st.lists(st.sampled_from(SKILLS), min_size=2 * most, max_size=2 * most))
        return "\n".join(f"- {one.format(skills[2 * at], skills[2 * at + 1])}" for at, one in enumerate(chosen))

    return (
        f"# {draw(st.sampled_from(TITLES))}\n\n{ABOUT}\n\n## What you will do\n\n{bullets(TASKS, 2, 5)}\n\n"
        f"## Requirements\n\n{bullets(MUSTS, 3, 7)}\n\n## Nice to have\n\n{bullets(PLUSES, 1, 3)}\n"
    )


ON_FILE = [path.read_text(encoding="utf-8") for path in FILES]
ON_FILE = [text for text in ON_FILE if not read_posting(text).problem]
POSTINGS = st.one_of(st.sampled_from(ON_FILE), st.sampled_from(ON_FILE), made_up())


@lru_cache(maxsize=512)
def read(text: str) -> Posting:
    return read_posting(text)


# ---------------------------------------------------------------- what is compared


@dataclass(frozen=True)
class Assessed:
    audit: Audit
    rating: Rating

    @property
    def bands(self) -> dict[str, Band]:
        """By quote."""
        return {finding.ask.quote: finding.band for finding in self.audit.findings.values()}


def assessed(skills: Sequence[Skill], text: str) -> Assessed:
    """What the rules make of it; the same that the built-in shows."""
    audit = Audit.of(Matrix(path="", skills=tuple(skills)), read(text))
    return Assessed(audit, audit.rated_by_rows)


def assert_no_better(after: Assessed, before: Assessed) -> None:
    """Neither score, nor verdict, nor any requirement's band rose."""
    better = {
        quote: (band, after.bands[quote])
        for quote, band in before.bands.items()
        if BANDS.index(after.bands[quote]) > BANDS.index(band)
    }
    assert not better
    assert after.rating.score <= before.rating.score
    assert VERDICTS.index(after.rating.verdict) <= VERDICTS.index(before.rating.verdict)


def assert_same(after: Assessed, before: Assessed) -> None:
    """The verdict stays, and the score but for a few points."""
    assert after.rating.verdict == before.rating.verdict, (before.rating, after.rating)
    assert abs(after.rating.score - before.rating.score) <= MOST_DRIFT, (before.rating, after.rating)


def matched(before: Assessed, kinds: Sequence[str]) -> list[Skill]:
    """The rows that answer a requirement of these kinds."""
    known = {skill.row: skill for skill in before.audit.matrix.skills}
    rows = {
        evidence.row
        for finding in before.audit.findings.values()
        if finding.ask.kind in kinds
        for evidence in finding.evidence
    }
    return [known[row] for row in sorted(rows)]


def swapped(skills: Sequence[Skill], old: Skill, new: Skill) -> list[Skill]:
    return [new if skill is old else skill for skill in skills]


MATRIX = st.sampled_from(sorted(MATRICES))


# ---------------------------------------------------------------- the matrix


@cases(250)
@given(MATRIX, POSTINGS, st.data())
def test_a_row_that_answers_a_must_is_never_better_away(name: str, text: str, data: st.DataObject) -> None:
    """Without a row that answers a must, no band, score or verdict is higher."""
    before = assessed(MATRICES[name].skills, text)
    rows = matched(before, ("must",))
    assume(rows)
    gone = data.draw(st.sampled_from(rows))
    note(f"without row {gone.row} {gone.name} {gone.level:g}")
    assert_no_better(assessed([skill for skill in MATRICES[name].skills if skill is not gone], text), before)


@cases(250)
@given(MATRIX, POSTINGS, st.data())
def test_a_lower_level_is_never_better(name: str, text: str, data: st.DataObject) -> None:
    """A row at a lower level, whether it answers anything or not, raises no band, score or verdict."""
    before = assessed(MATRICES[name].skills, text)
    rows = matched(before, ("must", "preferred", "responsibility")) if data.draw(st.integers(0, 4)) else []
    row = data.draw(
        st.sampled_from([skill for skill in rows or MATRICES[name].skills if skill.level > 0] or MATRICES[name].skills)
    )
    lower = replace(row, level=data.draw(st.sampled_from([level for level in (0, 1, 2, 3, 4) if level <= row.level])))
    note(f"row {row.row} {row.name} {row.level:g} → {lower.level:g}")
    assert_no_better(assessed(swapped(MATRICES[name].skills, row, lower), text), before)


@cases(250)
@given(MATRIX, POSTINGS, st.integers(1, 5), st.data())
def test_a_row_more_is_never_worse(name: str, text: str, level: int, data: st.DataObject) -> None:
    """A row for something that the posting names lowers no band, score or verdict."""
    before = assessed(MATRICES[name].skills, text)
    named = {
        facet.label for finding in before.audit.findings.values() for facet in finding.answer.facets if facet.label
    }
    assume(named)
    row = Skill(row=NEW_ROW, name=data.draw(st.sampled_from(sorted(named))), level=level)
    note(f"with row {row.name} {row.level:g}")
    assert_no_better(before, assessed([*MATRICES[name].skills, row], text))


Priority = Literal["", "core", "strong", "supporting", "learning"]
TAGS: tuple[Priority, ...] = ("", "core", "strong", "supporting", "learning")


@cases(100)
@given(MATRIX, POSTINGS, st.one_of(st.just(("core",)), st.lists(st.sampled_from(TAGS), min_size=7, max_size=7)))
def test_a_priority_raises_nothing(name: str, text: str, tags: Sequence[Priority]) -> None:
    """Tags in the priority column alone raise no band, score or verdict over a matrix that has none."""
    skills = MATRICES[name].skills
    tagged = [replace(skill, priority=tags[at % len(tags)]) for at, skill in enumerate(skills)]
    bare = [replace(skill, priority="") for skill in skills]
    assert_no_better(assessed(tagged, text), assessed(bare, text))


@cases(100)
@given(MATRIX, POSTINGS, st.data())
def test_rows_said_again_gain_nothing(name: str, text: str, data: st.DataObject) -> None:
    """The same rows three times over, in any order, are worth what they are worth once."""
    copies = [replace(skill, row=NEW_ROW + at) for at, skill in enumerate(MATRICES[name].skills * 2)]
    data.draw(st.randoms(use_true_random=False)).shuffle(copies)
    assert_no_better(assessed([*MATRICES[name].skills, *copies], text), assessed(MATRICES[name].skills, text))


@cases(100)
@given(MATRIX, POSTINGS)
def test_the_postings_words_beside_a_row_gain_nothing(name: str, text: str) -> None:
    """Keywords in the columns that describe a row make it no other skill."""
    skills = MATRICES[name].skills
    stuffed = [replace(skill, evidence=f"{skill.evidence} {text}", last_used=text) for skill in skills]
    assert_no_better(assessed(stuffed, text), assessed(skills, text))


@cases(100)
@given(MATRIX, POSTINGS, st.integers(0, 1))
def test_keywords_on_rows_without_a_level_make_no_band(name: str, text: str, level: int) -> None:
    """A row at 0 or 1 that goes by every name in the posting lifts no requirement to moderate or strong."""
    before = assessed(MATRICES[name].skills, text)
    labels = {facet.label for finding in before.audit.findings.values() for facet in finding.answer.facets}
    row = Skill(row=NEW_ROW, name="Interests", level=level, aliases=tuple(sorted(labels)))
    after = assessed([*MATRICES[name].skills, row], text)
    better = {quote for quote, band in before.bands.items() if BANDS.index(after.bands[quote]) > BANDS.index(band)}
    assert not better


# ---------------------------------------------------------------- the posting


_BULLET = re.compile(r"\s*(?:[-*•→·–]|\d+[.)])\s+\S")


def _runs(lines: Sequence[str]) -> list[range]:
    """Where two or more bullets stand one under the other."""
    runs, start = [], None
    for at, line in enumerate([*lines, ""]):
        is_bullet = bool(_BULLET.match(line))
        if is_bullet and start is None:
            start = at
        elif not is_bullet and start is not None:
            runs.append(range(start, at))
            start = None
    return [run for run in runs if len(run) > 1]


@cases(200)
@given(MATRIX, POSTINGS, st.randoms(use_true_random=False))
def test_the_order_of_bullets_changes_little(name: str, text: str, chance: random.Random) -> None:
    """Bullets in another order under the same heading: same verdict, score within three points."""
    lines = text.split("\n")
    runs = _runs(lines)
    assume(runs)
    for run in runs:
        there = [lines[at] for at in run]
        chance.shuffle(there)
        lines[run.start : run.stop] = there
    assert_same(assessed(MATRICES[name].skills, "\n".join(lines)), assessed(MATRICES[name].skills, text))


SPACINGS: dict[str, Callable[[str], str]] = {
    "blanks at line ends": lambda text: text.replace("\n", "   \n"),
    "two blanks for one": lambda text: re.sub(r"(?<=\S) (?=\S)", "  ", text),
    "no-break blanks": lambda text: re.sub(r"(?<=\w) (?=\w)", "\u00a0", text),
    "Windows line ends": lambda text: text.replace("\n", "\r\n"),
    "three blank lines for one": lambda text: text.replace("\n\n", "\n\n\n\n"),
    "blank lines around": lambda text: f"\n\n \n{text}\n\n\n",
    "tab after the bullet": lambda text: re.sub(r"(?m)^([-*•]) ", "\\1\t", text),
    "bullets set in": lambda text: re.sub(r"(?m)^([-*•] )", "  \\1", text),
    "zero-width blanks": lambda text: re.sub(r"(?<=\w) (?=\w)", " \u200b", text),
}


@cases(200)
@given(MATRIX, POSTINGS, st.sets(st.sampled_from(sorted(SPACINGS)), min_size=1, max_size=3))
def test_white_space_changes_little(name: str, text: str, chosen: set[str]) -> None:
    """Blanks, tabs and blank lines of other kinds: same verdict, score within three points."""
    spaced = text
    for spacing in sorted(chosen):
        spaced = SPACINGS[spacing](spaced)
    assert_same(assessed(MATRICES[name].skills, spaced), assessed(MATRICES[name].skills, text))


def _headings(change: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: re.sub(r"(?m)^#+ .*$", lambda found: change(found[0]), text)


def _first_letters(change: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: re.sub(r"(?m)^([-*•] )(\w)(?=[a-z])", lambda found: found[1] + change(found[2]), text)


CASINGS: dict[str, Callable[[str], str]] = {
    "headings in capitals": _headings(str.upper),
    "headings in small letters": _headings(str.lower),
    "headings with capital words": _headings(str.title),
    "bullets begin small": _first_letters(str.lower),
    "bullets begin with a capital": _first_letters(str.upper),
}  # a whole posting in capitals or small letters is not held: capitals tell headings and names (3 of 130 moved by more)


@cases(200)
@given(MATRIX, POSTINGS, st.sampled_from(sorted(CASINGS)))
def test_casing_changes_little(name: str, text: str, casing: str) -> None:
    """Headings or first letters in other case: same verdict, score within three points."""
    assert_same(assessed(MATRICES[name].skills, CASINGS[casing](text)), assessed(MATRICES[name].skills, text))


BOILERPLATE = (
    "We are an equal opportunity employer. All qualified applicants will receive consideration without regard to race, "
    "religion, sex, national origin, age or disability.",
    "## Benefits\n\n- 28 days of holiday and a bicycle\n- Free fruit, coffee and a gym\n- A pension scheme and private "
    "health insurance",
    "What we offer\n\n- Flexible working hours\n- Learning budget of 1,000 euros a year\n- Stock options for everybody",
    "## How to apply\n\nSend us your CV and a few lines. We answer within a week. No agencies, please.",
    "By applying you agree that we keep your data for six months in line with our privacy notice.",
    "## About us\n\nFounded in 2009, we are 200 people in five countries, and we like each other.",
    "Salary: 70,000 to 90,000 euros a year, depending on experience, plus a bonus.",
    "We adjust our interviews to your needs: tell us if you need a sign interpreter or step-free access.",
)


@cases(200)
@given(MATRIX, POSTINGS, st.lists(st.sampled_from(BOILERPLATE), min_size=1, max_size=3, unique=True))
def test_boilerplate_changes_little(name: str, text: str, added: list[str]) -> None:
    """Benefits, equal opportunities and how to apply, under the posting: same verdict, score within three points."""
    assert_same(
        assessed(MATRICES[name].skills, "\n\n".join([text.rstrip(), *added]) + "\n"),
        assessed(MATRICES[name].skills, text),
    )


STUFFINGS: tuple[Callable[[str], str], ...] = (
    lambda words: f"Keywords: {words}",
    lambda words: f"Tags: {words}",
    lambda words: f"#{words.replace(', ', ' #')}",
    lambda words: f"{words}\n{words}\n{words}",
    lambda words: f"## Keywords\n\n{words}",
    lambda words: f"<span style='display:none'>{words}</span>",
)


@cases(250)
@given(MATRIX, POSTINGS, st.sampled_from(STUFFINGS), st.data())
def test_keywords_strewn_into_a_posting_gain_nothing(
    name: str, text: str, stuffing: Callable[[str], str], data: st.DataObject
) -> None:
    """A list of what the matrix is best at, under or over a posting, raises neither score nor verdict."""
    best = [skill.name for skill in MATRICES[name].skills if skill.level >= 4]
    words = data.draw(st.lists(st.sampled_from(best), min_size=8, max_size=25, unique=True))
    stuffed = f"{text.rstrip()}\n\n{stuffing(', '.join(words))}\n"
    before, after = assessed(MATRICES[name].skills, text), assessed(MATRICES[name].skills, stuffed)
    note(f"{before.rating} → {after.rating}")
    assert after.rating.score <= before.rating.score
    assert VERDICTS.index(after.rating.verdict) <= VERDICTS.index(before.rating.verdict)


def test_the_cases_are_as_many_as_promised() -> None:
    """The properties of this file together draw at least 2,000 cases."""
    assert sum(DRAWN) >= 2_000
