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


def book(rows: list[list[Any]], shape: Callable[[Any], None], name: str = "Skills") -> bytes:
    """An xlsx of one sheet that `shape` then merges, hides or formats."""
    import openpyxl

    made = openpyxl.Workbook()
    made.active.title = name
    for row in rows:
        made.active.append(row)
    shape(made.active)
    data = io.BytesIO()
    made.save(data)
    return data.getvalue()


def names(matrix: Matrix) -> list[str]:
    return [skill.name for skill in matrix.skills]


def test_a_merged_cell_counts_for_every_row_it_covers(matrix: Callable[..., Matrix]) -> None:
    """Private and category merged over rows hold for all of them; a blank row under the merge stays blank."""

    def merge(sheet: Any) -> None:
        sheet.merge_cells("C2:C3")
        sheet.merge_cells("D4:D7")

    rows = [
        ["Skill", "Level", "Private", "Category"],
        ["Sword", 4, "yes", "x"],
        ["Shield", 3, None, "x"],
        ["SQL", 4, None, "Data"],
        ["Spark", 3, None, None],
        [],
        ["Go", 2, None, None],
    ]
    read = matrix(book(rows, merge), "skills.xlsx")
    assert [(skill.row, skill.name, skill.category) for skill in read.skills] == [
        (4, "SQL", "Data"),
        (5, "Spark", "Data"),
        (7, "Go", "Data"),
    ]
    assert read.private_count == 2
    assert not read.faults


def test_a_header_merged_over_two_rows_is_no_skill(matrix: Callable[..., Matrix]) -> None:
    """The header's second row is passed over, and a title merged over all columns is not taken for the header."""

    def merge(sheet: Any) -> None:
        for cells in ("A1:C1", "A2:A3", "B2:B3"):
            sheet.merge_cells(cells)

    rows = [["Skills"], ["Skill", "Level", "Private"], [None, None, "Private"], ["SQL", 4], ["Sword", 4, "x"]]
    read = matrix(book(rows, merge), "skills.xlsx")
    assert (names(read), read.private_count, codes(read)) == (["SQL"], 1, [])


@pytest.mark.parametrize(
    ("header", "private", "public"),
    [
        ("Keep this row private please?", "yes", ""),
        ("Private (do not share)", "x", "no"),
        ("Internal only", "yes", "no"),
        ("Do not publish", "x", ""),
        ("Don't show", "x", ""),
        ("Not public", "yes", "no"),
        ("Invisible", "yes", "no"),
        ("Public?", "no", "yes"),
        ("Public?", "", "x"),
        ("Publc", "no", "yes"),
        ("Public (yes/no)", "no", "yes"),
        ("Visible", "no", "yes"),
        ("Show on site", "no", "yes"),
        ("OK to share?", "", "y"),
        ("Not private", "no", "yes"),
        ("Hide?", "yes", ""),
        ("Do not include", "x", ""),
        ("Include", "", "x"),
        ("Öffentlich", "nein", "ja"),
        ("Visibility", "private", "public"),
        ("Visibility", "hidden", "Public"),
        ("Visiblity", "Confidential", "visible"),
        ("Public/private", "private", "public"),
    ],
)
def test_headers_that_say_whether_a_row_is_private(
    matrix: Callable[..., Matrix], header: str, private: str, public: str
) -> None:
    """Whichever way round the column is asked, the private row leaves no trace and the public one is served."""
    head = f'Skill,Level,"{header}"\n'
    read = matrix(f"{head}Swordfishing,4,{private}\nSQL,3,{public}\n")
    assert (names(read), read.private_count, read.faults) == (["SQL"], 1, ())
    assert read.sha == matrix(f"{head},,\nSQL,3,{public}\n").sha


@pytest.mark.parametrize(
    ("header", "cell"),
    [
        ("Visibility", ""),
        ("Visibility", "yes"),
        ("Public?", "later"),
        ("Private/public", "no"),
        ("Published", "2024"),
        ("Should not be private", "no"),
    ],
)
def test_an_unclear_word_of_privacy_keeps_the_row_private(
    matrix: Callable[..., Matrix], header: str, cell: str
) -> None:
    """It is an error with row and column, and the row is not served."""
    read = matrix(f"Skill,Level,{header}\nSwordfishing,4,{cell}\nSQL,3,public\n")
    assert (names(read), read.private_count) == (["SQL"], 1)
    assert [(fault.code, fault.where, fault.severity) for fault in read.faults] == [
        ("private_not_boolean", f"row 2, column {header}", "error")
    ]
    assert "sword" not in repr(read).casefold()


@pytest.mark.parametrize(
    ("header", "cell", "kept"),
    [
        ("Remarks", "private", True),
        ("Remarks", "Privat, please", True),
        ("Remarks", "HIDDEN", True),
        ("", "confidential", True),
        ("Priority", "secret", True),
        ("Evidence", "Private", True),
        ("Category", "private", True),
        ("Category", "Private cloud", False),
        ("Evidence", "Hidden Markov models", False),
        ("Remarks", "not confidential", False),
        ("Remarks", "We kept the design of it private for two years", False),
    ],
)
def test_a_row_called_private_elsewhere(matrix: Callable[..., Matrix], header: str, cell: str, kept: bool) -> None:
    """`private` in a column that is not for it keeps its row back, as an error; the word within a text does not."""
    read = matrix(f'Skill,Level,{header}\nSQL,3,\nSword,4,"{cell}"\n')
    errors = [(fault.code, fault.where) for fault in read.faults if fault.severity == "error"]
    assert names(read) == (["SQL"] if kept else ["SQL", "Sword"])
    assert read.private_count == kept
    assert errors == ([("private_elsewhere", f"row 3, column {header or '3'}")] if kept else [])
    assert not (kept and "sword" in repr(read).casefold())


def test_an_unknown_column_of_yes_and_no_is_told_as_such(matrix: Callable[..., Matrix]) -> None:
    """The next step says how to make it mark private rows."""
    assert "Private" in matrix("Skill,Level,Backstage\nSQL,3,yes\nGo,3,\n").faults[0].next_step
    assert "Private" not in matrix("Skill,Level,Colour\nSQL,3,blue\nGo,3,\n").faults[0].next_step


def test_a_column_called_private_itself_is_not_read(matrix: Callable[..., Matrix]) -> None:
    """ "Notes (private)" reaches no skill; its texts do not make the rows private."""
    read = matrix("Skill,Level,Notes (private)\nSQL,3,for the Swordfish account\n")
    assert [(skill.name, skill.evidence) for skill in read.skills] == [("SQL", "")]
    assert [(fault.code, fault.where) for fault in read.faults] == [("column_hidden", "column Notes (private)")]


def test_hidden_rows_and_columns_are_not_read(matrix: Callable[..., Matrix]) -> None:
    """What the owner hid in the sheet is not served and a warning says so; a hidden Private column still counts."""

    def hide(sheet: Any) -> None:
        sheet.row_dimensions[3].hidden = True
        sheet.column_dimensions["C"].hidden = True
        sheet.column_dimensions["D"].hidden = True

    rows = [
        ["Skill", "Level", "Evidence", "Private"],
        ["SQL", 4, "the Swordfish account", None],
        ["Swordplay", 4, None, "what?"],
        ["Sword care", 4, None, "x"],
    ]
    read = matrix(book(rows, hide), "skills.xlsx")
    assert [(skill.name, skill.evidence) for skill in read.skills] == [("SQL", "")]
    assert [(fault.code, fault.where, fault.severity) for fault in read.faults] == [
        ("column_hidden", "sheet Skills, column Evidence", "warning"),
        ("rows_hidden", "sheet Skills, row 3, column Skill", "warning"),
    ]
    assert read.private_count == 2
    assert "sword" not in repr(read).casefold()


def test_a_formula_without_a_result_publishes_nothing(matrix: Callable[..., Matrix]) -> None:
    """Under Private it looks empty: the row is kept back; under Level the fault says what is missing."""
    rows = [["Skill", "Level", "Private"], ["Sword", 4, "=TRUE()"], ["SQL", "=2+2", None], ["Go", 3, None]]
    read = matrix(xlsx(rows), "skills.xlsx")
    assert names(read) == ["Go"]
    assert [fault.code for fault in read.faults] == ["private_not_boolean", "level_missing"]
    assert "formula" in read.faults[1].message


def test_ods_merged_hidden_and_percent(tmp_path: Path) -> None:
    """An OpenDocument sheet's merged cells, hidden rows and columns and percent are seen as an xlsx's are."""
    from odf.opendocument import OpenDocumentSpreadsheet
    from odf.table import CoveredTableCell, Table, TableCell, TableColumn, TableRow
    from odf.text import P

    def cell(value: Any, **more: Any) -> Any:
        if isinstance(value, float):
            return TableCell(valuetype="percentage", value=value, **more)
        made = TableCell(valuetype="string", **more)
        made.addElement(P(text=value))
        return made

    document = OpenDocumentSpreadsheet()
    table = Table(name="Skills")
    table.addElement(TableColumn(numbercolumnsrepeated=3))
    table.addElement(TableColumn(visibility="collapse"))
    for visibility, cells in (
        ("visible", [cell("Skill"), cell("Level"), cell("Private"), cell("Evidence")]),
        ("visible", [cell("Sword"), cell(0.8), cell("yes", numberrowsspanned=2, numbercolumnsspanned=1)]),
        ("visible", [cell("Shield"), cell(0.6), CoveredTableCell()]),
        ("collapse", [cell("Spear"), cell(0.6)]),
        ("visible", [cell("SQL"), cell(0.8), cell(""), cell("the Swordfish account")]),
    ):
        row = TableRow(visibility=visibility)
        for each in cells:
            row.addElement(each)
        table.addElement(row)
    document.spreadsheet.addElement(table)
    document.save(str(tmp_path / "skills.ods"))
    read = read_matrix(tmp_path / "skills.ods")
    assert [(skill.row, skill.name, skill.level, skill.evidence) for skill in read.skills] == [(5, "SQL", 4, "")]
    assert sorted(codes(read)) == ["column_hidden", "level_percent", "rows_hidden"]
    assert read.private_count == 3


def test_every_sheet_of_skills_is_read(matrix: Callable[..., Matrix]) -> None:
    """A matrix over several sheets is read whole and said so; faults name the sheet's row, Skill.row is one in all."""
    data = xlsx(
        [["Skill", "Level"], ["SQL", 4]],
        Legend=[["Level", "Meaning"], [5, "expert"]],
        Product=[["Our product side"], ["Level", "Skill"], [5, "Roadmaps"], [9, "Go"], [3, "sql"]],
        hidden_Old=[["Skill", "Level"], ["Cobol", 1]],
        Private=[["Skill", "Level"], ["Sword", 1]],
    )
    read = matrix(data, "skills.xlsx")
    assert [(skill.row, skill.name, skill.level) for skill in read.skills] == [(2, "SQL", 4), (10_003, "Roadmaps", 5)]
    assert read.row(10_003) is read.skills[1]
    assert [(skill.sheet, skill.sheet_row) for skill in read.skills] == [("Skills", 2), ("Product", 3)]
    assert [(fault.code, fault.where) for fault in read.faults] == [
        ("sheet_private", "sheet Private"),
        ("sheets_joined", ""),
        ("level_out_of_range", "sheet Product, row 4, column Level"),
        ("skill_duplicate", "sheet Product, row 5, column Skill"),
    ]
    assert "Skills, Product" in read.faults[1].message
    assert "“Product, row 2”" in read.faults[1].message
    assert "row 2 of sheet Skills" in read.faults[3].message
    assert "sword" not in repr(read).casefold()


def test_a_row_added_to_one_sheet_renumbers_no_other(matrix: Callable[..., Matrix]) -> None:
    """Rows cited from a second sheet keep their numbers when the first sheet grows; a lone sheet needs no name."""
    second = [["Skill", "Level"], ["Roadmaps", 5]]
    before = matrix(xlsx([["Skill", "Level"], ["SQL", 4]], Product=second), "skills.xlsx")
    after = matrix(xlsx([["Skill", "Level"], ["SQL", 4], ["Go", 3]], Product=second), "skills.xlsx")
    assert before.skills[-1] == after.skills[-1]
    alone = matrix(xlsx([["Skill", "Level"], ["SQL", 4]]), "skills.xlsx")
    assert [(skill.sheet, skill.sheet_row) for skill in alone.skills] == [("", 2)]


def test_a_sheet_called_private_is_not_read(matrix: Callable[..., Matrix]) -> None:
    """Where it is the only one, the fault says that its name is why."""
    read = matrix(book([["Skill", "Level"], ["Sword", 4]], lambda sheet: None, "Private skills"), "skills.xlsx")
    assert (codes(read), read.skills) == (["matrix_empty"], ())
    assert "'Private skills'" in read.faults[0].message


@pytest.mark.parametrize("spreadsheet", [True, False])
def test_percent_levels_are_shares_of_five(matrix: Callable[..., Matrix], spreadsheet: bool) -> None:
    """80% is level 4, whether it is typed into a csv or is 0.8 under a percent format; a warning says so."""

    def percent(sheet: Any) -> None:
        for cell, code in (("B2", "0%"), ("B3", "0.0 %"), ("B4", "0%")):
            sheet[cell].number_format = code

    rows = [["Skill", "Level"], ["SQL", 0.8], ["Go", 1.0], ["Rust", 4]]
    data = book(rows, percent) if spreadsheet else "Skill,Level\nSQL,80%\nGo,100 %\nRust,400%\n"
    read = matrix(data, "skills.xlsx" if spreadsheet else "skills.csv")
    assert [(skill.name, skill.level) for skill in read.skills] == [("SQL", 4), ("Go", 5)]
    assert [(fault.code, fault.severity) for fault in read.faults] == [
        ("level_out_of_range", "error"),
        ("level_percent", "warning"),
    ]


@pytest.mark.parametrize(("levels", "served"), [("0.8;0.5", 0), ("0,8;1;0", 0), ("0.5;3", 2), ("1;0", 2)])
def test_fractions_are_not_taken_for_levels(matrix: Callable[..., Matrix], levels: str, served: int) -> None:
    """Where no level is above 1 and some are fractions, each row is told and left out."""
    cells = levels.split(";")
    read = matrix("Skill;Level\n" + "".join(f"Skill {'ABC'[at]};{cell}\n" for at, cell in enumerate(cells)))
    assert len(read.skills) == served
    assert [(fault.code, fault.where) for fault in read.faults] == [
        ("level_fraction", f"row {row}, column Level") for row in range(2, 2 + len(cells) - served)
    ]


@pytest.mark.parametrize(
    ("header", "written", "level"),
    [
        ("Level (1-10)", "8", 4),
        ("Level (0–10)", "10", 5),
        ("Level 0 to 10", "5", 2.5),
        ("Rating /10", "9", 4.5),
        ("Score (out of 10)", "3", 1.5),
        ("Score out of 20", "10", 2.5),
        ("Level (max. 10)", "4", 2),
        ("Level (1 = new, 10 = master)", "6", 3),
        ("Level (0-3)", "3", 5),
        ("Level in %", "60", 3),
        ("Level (0-1)", "0.8", 4),
        ("Level (1-10)", "4/5", 4),
        ("Level (1-10)", "80%", 4),
    ],
)
def test_a_range_in_the_header_is_brought_to_five(
    matrix: Callable[..., Matrix], header: str, written: str, level: float
) -> None:
    """Levels out of 10 are scaled by what the header says, and a warning by column says so; a cell's own share wins."""
    read = matrix(f'Skill,"{header}"\nSQL,{written}\n')
    assert [skill.level for skill in read.skills] == [level]
    assert ("level_scaled", f"column {header}", "warning") in [
        (fault.code, fault.where, fault.severity) for fault in read.faults
    ]


@pytest.mark.parametrize("header", ["Level (0-5)", "Level (1–5)", "Level (2024)", "Level (05/24)", "Level [Q3 2024]"])
def test_headers_that_leave_levels_as_they_are(matrix: Callable[..., Matrix], header: str) -> None:
    """A range up to 5 and a date in brackets change nothing."""
    read = matrix(f"Skill,{header}\nSQL,4\n")
    assert ([skill.level for skill in read.skills], read.faults) == ([4], ())


def test_a_level_above_the_headers_range(matrix: Callable[..., Matrix]) -> None:
    """It is told with that range; without one the next step says how to state it."""
    assert "0–10" in matrix("Skill,Level (1-10)\nSQL,11\n").faults[-1].message
    assert "Level (0-10)" in matrix("Skill,Level\nSQL,9\n").faults[-1].next_step


def test_a_workbook_that_declares_entities_is_refused(matrix: Callable[..., Matrix]) -> None:
    """A part that could unfold without end is a fault, not a wait."""
    import zipfile

    whole = io.BytesIO(xlsx([["Skill", "Level"], ["SQL", 4]]))
    made = io.BytesIO()
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "xl/styles.xml":
                data = b'<!DOCTYPE a [<!ENTITY b "c">]>' + data[data.index(b"<styleSheet") :]
            new.writestr(name, data)
    assert codes(matrix(made.getvalue(), "skills.xlsx")) == ["matrix_unreadable"]


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
