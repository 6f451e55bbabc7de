"""The matrix: what is read, what is refused, and that private rows leave no trace."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from askfit.config import Settings
from askfit.errors import SettingsError
from askfit.skills import Matrix, load_matrix, read_matrix

HEAD = "Skill,Level,Category,Priority,Years,Last used,Evidence,Aliases,Private\n"


@pytest.fixture
def matrix(tmp_path: Path) -> Callable[..., Matrix]:
    """Write a file and read it as a matrix."""

    def read(content: str | bytes, name: str = "skills.csv", scale: dict[str, float] | None = None) -> Matrix:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_matrix(path, scale)

    return read


def xlsx(rows: list[list[Any]], **sheets: list[list[Any]]) -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    book.active.title = "Skills"
    for row in rows:
        book.active.append(row)
    for name, more in sheets.items():
        sheet = book.create_sheet(name.removeprefix("hidden_"))
        sheet.sheet_state = "hidden" if name.startswith("hidden_") else "visible"
        for row in more:
            sheet.append(row)
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def codes(matrix: Matrix) -> list[str]:
    return [fault.code for fault in matrix.faults]


def test_a_row_is_read_with_all_its_columns(matrix: Callable[..., Matrix]) -> None:
    """Every column of the contract reaches the skill, and the row's number is the file's."""
    read = matrix(HEAD + 'SQL,4,Analytics,core,6,2026,"Weekly, by hand",Queries; Structured Query Language,\n')
    skill = read.skills[0]
    assert (skill.row, skill.name, skill.level, skill.category) == (2, "SQL", 4.0, "Analytics")
    assert (skill.priority, skill.years, skill.last_used, skill.evidence) == ("core", 6.0, "2026", "Weekly, by hand")
    assert skill.aliases == ("Queries", "Structured Query Language")
    assert not read.faults
    assert read.row(2) is skill
    assert read.row(3) is None


@pytest.mark.parametrize(
    "header",
    [
        "Level,Skill",
        "rating;COMPETENCY",
        "Self-rating\tSkill name",
        "proficiency level,Name of skill",
        "Level (0–5),Skill",
        "Stufe;Fähigkeit",
        "niveau;Compétence",
    ],
)
def test_common_spellings_and_delimiters(matrix: Callable[..., Matrix], header: str) -> None:
    """Columns are found in any order, under common spellings, between commas, semicolons or tabs."""
    delimiter = next(mark for mark in ",;\t" if mark in header)
    read = matrix(f"{header}\n3{delimiter}SQL\n")
    assert [(skill.name, skill.level) for skill in read.skills] == [("SQL", 3.0)]


@pytest.mark.parametrize(
    ("encoding", "told"), [("utf-8", []), ("utf-8-sig", []), ("utf-16", []), ("cp1252", ["matrix_encoding"])]
)
def test_encodings(matrix: Callable[..., Matrix], encoding: str, told: list[str]) -> None:
    """UTF-8 and UTF-16 are read; what is neither is read as cp1252 and told."""
    read = matrix("Skill,Level\nRésumé für Künstler,4\n".encode(encoding))
    assert read.skills[0].name == "Résumé für Künstler"
    assert codes(read) == told


def test_title_rows_above_the_header(matrix: Callable[..., Matrix]) -> None:
    """The header may stand below title rows; rows keep the numbers that the owner sees."""
    read = matrix("Skills\nupdated in May,,\n\nSkill,Level\nSQL,4\n")
    assert [(skill.row, skill.name) for skill in read.skills] == [(5, "SQL")]


def test_xlsx_takes_the_first_visible_sheet_with_skills(matrix: Callable[..., Matrix]) -> None:
    """A cover sheet is passed over and a hidden sheet is not read."""
    rows = [["Skill", "Level", "Years", "Private"], ["SQL", 4, 3.5, False], ["Sword", 5, None, True]]
    read = matrix(xlsx([["Hello"], ["there"]], hidden_Old=rows, Now=rows), "skills.xlsx")
    assert [(skill.row, skill.name, skill.level, skill.years) for skill in read.skills] == [(2, "SQL", 4.0, 3.5)]
    assert read.private_count == 1


def test_ods(tmp_path: Path) -> None:
    """An OpenDocument spreadsheet is read like any other."""
    from odf.opendocument import OpenDocumentSpreadsheet
    from odf.table import Table, TableCell, TableRow
    from odf.text import P

    document = OpenDocumentSpreadsheet()
    table = Table(name="Skills")
    for cells in (["Skill", "Level"], ["SQL", 4]):
        row = TableRow()
        for cell in cells:
            held = TableCell(valuetype="float", value=cell) if cell == 4 else TableCell(valuetype="string")
            held.addElement(P(text=str(cell)))
            row.addElement(held)
        table.addElement(row)
    document.spreadsheet.addElement(table)
    document.save(str(tmp_path / "skills.ods"))
    read = read_matrix(tmp_path / "skills.ods")
    assert [(skill.row, skill.name, skill.level) for skill in read.skills] == [(2, "SQL", 4.0)]


@pytest.mark.parametrize(
    ("shown", "level"),
    [("0", 0), ("4.0", 4), ("4,5", 4.5), ("4/5", 4), ("8/10", 4), (" 3 ", 3), ("4 - Advanced", 4), ("5 (expert)", 5)],
)
def test_levels_as_written(matrix: Callable[..., Matrix], shown: str, level: float) -> None:
    """A level may be a number, a decimal comma, a share, or a number with its name."""
    assert matrix(f'Skill,Level\nSQL,"{shown}"\n').skills[0].level == level


@pytest.mark.parametrize(
    ("shown", "code"),
    [
        ("", "level_missing"),
        ("expert", "level_not_on_scale"),
        ("six", "level_not_on_scale"),
        ("6", "level_out_of_range"),
        ("-1", "level_out_of_range"),
        ("9/5", "level_out_of_range"),
        ("3/0", "level_not_on_scale"),
        ("TRUE", "level_not_on_scale"),
    ],
)
def test_a_level_that_cannot_be_read_leaves_its_row_out(matrix: Callable[..., Matrix], shown: str, code: str) -> None:
    """The fault names row and column, and the other rows are served."""
    read = matrix(f"Skill,Level\nSQL,{shown}\nFigma,3\n")
    assert [skill.name for skill in read.skills] == ["Figma"]
    assert [(fault.code, fault.where, fault.severity) for fault in read.faults] == [
        (code, "row 2, column Level", "error")
    ]


def test_named_levels_ask_for_a_scale(matrix: Callable[..., Matrix]) -> None:
    """Without a scale each such row is told with the declaration that mends it; with it, all are read."""
    text = "Skill,Level\nSQL,Expert\nFigma,Advanced\nGo,Expert\n"
    read = matrix(text)
    assert codes(read) == ["level_not_on_scale"] * 3
    assert "scale = { advanced = 4, expert = 5 }" in read.faults[0].next_step
    assert [skill.level for skill in matrix(text, scale={"advanced": 4, "expert": 5}).skills] == [5, 4, 5]


def test_a_level_that_a_spreadsheet_turned_into_a_date(matrix: Callable[..., Matrix]) -> None:
    """4/5 typed into a spreadsheet becomes a date: the fault says so."""
    import datetime

    read = matrix(xlsx([["Skill", "Level"], ["SQL", datetime.date(2026, 5, 4)]]), "skills.xlsx")
    assert codes(read) == ["level_not_on_scale"]
    assert "date" in read.faults[0].message


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("skills.csv", "", "matrix_empty"),
        ("skills.csv", "Skill,Level\n", "matrix_empty"),
        ("skills.csv", "Name of thing,Level\nSQL,4\n", "skill_column_missing"),
        ("skills.csv", "Skill,Years\nSQL,4\n", "level_column_missing"),
        ("skills.csv", b"Skill,Level\nSQL\x00\x01\xff,4\n", "matrix_unreadable"),
        ("skills.xlsx", b"PK\x03\x04 not a workbook", "matrix_unreadable"),
        ("skills.xlsx", xlsx([["Thing", "Level"], ["SQL", 4]]), "skill_column_missing"),
        ("skills.json", "{", "matrix_unreadable"),
        ("skills.json", "[" * 100_000, "matrix_unreadable"),
        ("skills.json", '{"basics": {}}', "skill_column_missing"),
        ("skills.pdf", "x", "matrix_unreadable"),
        ("skills.csv", "Skill,Level\n" + "a,1\n" * 6000, "matrix_too_large"),
        ("skills.csv", b"x" * 10_000_001, "matrix_too_large"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 40 else "…",
)
def test_a_file_that_cannot_be_used_is_one_fault(
    matrix: Callable[..., Matrix], name: str, content: str | bytes, code: str
) -> None:
    """A whole file that cannot be used is one named fault with a next step, never a crash."""
    read = matrix(content, name)
    assert codes(read) == [code]
    assert read.faults[0].next_step
    assert not read.skills


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    """A path that leads nowhere or to a folder is told as such."""
    assert codes(read_matrix(tmp_path / "none.csv")) == ["matrix_missing"]
    (tmp_path / "folder.csv").mkdir()
    assert codes(read_matrix(tmp_path / "folder.csv")) == ["matrix_unreadable"]


def test_a_small_zip_that_holds_a_huge_sheet_is_refused(matrix: Callable[..., Matrix]) -> None:
    """A zip bomb named xlsx is refused before it is unpacked."""
    import zipfile

    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * 101_000_000)
    assert codes(matrix(data.getvalue(), "skills.xlsx")) == ["matrix_too_large"]


def test_faults_that_do_not_cost_the_row(matrix: Callable[..., Matrix]) -> None:
    """An unknown priority, unreadable years and an unread column are warnings; the row is served without them."""
    read = matrix("Skill,Level,Priority,Years,Colour\nSQL,4,vital,ages,blue\n")
    assert [(fault.code, fault.where) for fault in read.faults] == [
        ("column_unknown", ""),
        ("priority_unknown", "row 2, column Priority"),
        ("years_not_a_number", "row 2, column Years"),
    ]
    assert {fault.severity for fault in read.faults} == {"warning"}
    assert (read.skills[0].priority, read.skills[0].years) == ("", None)


def test_a_row_without_a_name(matrix: Callable[..., Matrix]) -> None:
    """A level without a skill is told; blank rows are not."""
    read = matrix("Skill,Level\n,4\n,\nSQL,4\n")
    assert codes(read) == ["skill_missing"]
    assert [skill.row for skill in read.skills] == [4]


def test_duplicates(matrix: Callable[..., Matrix]) -> None:
    """Of two rows of one name the first is kept; a near one is served and told; a shared alias is told."""
    read = matrix(
        "Skill,Level,Aliases\nA/B testing,4,\na/b  Testing,5,\nKubernetes,3,k8s\nKubernets,2,\nProduct strategy,4,\n"
        "Strategy product,4,\nContainers,2,K8s\nPython 2,1,\nPython 3,4,\nC,3,\nC++,3,\nC#,3,\n"
    )
    assert [(fault.code, fault.where.split(",")[0], fault.severity) for fault in read.faults] == [
        ("skill_duplicate", "row 3", "error"),
        ("skill_near_duplicate", "row 5", "warning"),
        ("skill_near_duplicate", "row 7", "warning"),
        ("alias_shared", "row 8", "warning"),
    ]
    assert [skill.row for skill in read.skills] == [2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]


@pytest.mark.parametrize(
    "header", ["Private", "private?", "Hidden", "PRIVATE (y/n)", "Privat", "Privte", "Confidential"]
)
@pytest.mark.parametrize("cell", ["true", "x", "Yes", "1", "perhaps", "ja"])
def test_private_rows_leave_no_trace(matrix: Callable[..., Matrix], header: str, cell: str) -> None:
    """A private row, or one whose privacy cannot be read, is in no skill, no fault and no sha."""
    with_it = matrix(f"Skill,Level,{header}\nSQL,4,\nSwordfishing,expert-ish,{cell}\n")
    without = matrix(f"Skill,Level,{header}\nSQL,4,\n")
    assert with_it.private_count == 1
    assert "swordfish" not in repr(with_it).casefold()
    assert "expert-ish" not in repr(with_it)
    assert with_it.sha == without.sha
    assert codes(with_it) == (["private_not_boolean"] if cell == "perhaps" else [])


def test_the_sha_is_of_the_public_rows(matrix: Callable[..., Matrix]) -> None:
    """It changes with a public row and with nothing else."""
    first = matrix("Skill,Level\nSQL,4\n").sha
    assert matrix("Skill,Level\nSQL,4\n").sha == first
    assert matrix("Skill,Level\nSQL,3\n").sha != first


def test_json_resume(matrix: Callable[..., Matrix]) -> None:
    """JSON Resume's words are read by a usual scale and that is told; a declared scale wins; keywords are aliases."""
    resume = json.dumps(
        {"skills": [{"name": "Web", "level": "Master", "keywords": ["HTML", "CSS"]}, {"name": "Go", "level": "Wizard"}]}
    )
    read = matrix(resume, "resume.json")
    assert [(skill.row, skill.name, skill.level, skill.aliases) for skill in read.skills] == [
        (1, "Web", 5, ("HTML", "CSS"))
    ]
    assert [(fault.code, fault.where) for fault in read.faults] == [
        ("level_not_on_scale", "skills entry 2, column level"),
        ("scale_assumed", ""),
    ]
    declared = matrix(resume, "resume.json", {"master": 4, "wizard": 5})
    assert [skill.level for skill in declared.skills] == [4, 5]
    assert not declared.faults


def test_load_matrix_reads_what_the_settings_name(make_site: Callable[..., Settings]) -> None:
    """The path is relative to the settings file and the declared scale is used; without [skills] it is an error."""
    settings_ = make_site(
        {"data/skills.csv": "Skill,Level\nSQL,Expert\n"}, '[skills]\npath = "data/skills.csv"\nscale = { Expert = 5 }\n'
    )
    read = load_matrix(settings_)
    assert (read.path, read.skills[0].level) == ("data/skills.csv", 5)
    with pytest.raises(SettingsError, match="no skills matrix"):
        load_matrix(make_site({"askfit.toml": '[site]\nname = "A"\n[corpus]\nsources = ["*.md"]\n'}))


def test_a_thousand_rows_are_read_quickly(matrix: Callable[..., Matrix]) -> None:
    """Reading and comparing 2,000 rows stays well under a second."""
    text = "Skill,Level\n" + "".join(f"Skill number {row} of the kind {row % 7},{row % 6}\n" for row in range(2000))
    begun = time.perf_counter()
    assert len(matrix(text).skills) == 2000
    assert time.perf_counter() - begun < 1.5


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(lambda text: text.encode("utf-8", "ignore"))))
def test_no_bytes_crash_it(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Any file becomes a matrix, a fault, or both."""
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(b"Skill,Level,Private\n" + data)
    read = read_matrix(path)
    assert read.skills or read.faults or read.private_count
    assert all(0 <= skill.level <= 5 and skill.name for skill in read.skills)
