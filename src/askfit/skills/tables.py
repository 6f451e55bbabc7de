"""Turn a file's bytes into tables of plain cells. Knows nothing of skills or levels.

A fault that stops the whole file is raised as Unreadable; the caller gives it its place.
"""

from __future__ import annotations

import csv
import datetime
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from askfit.skills.looks import Looks, Range, read_looks

Cell = str | float | bool | datetime.date | None

MOST_BYTES = 10_000_000  # of the file as it lies on the disk
MOST_UNPACKED_BYTES = 100_000_000  # of all parts of an xlsx or ods together: a small zip can hold a huge sheet
MOST_ROWS = 5_000
MOST_COLUMNS = 200
DELIMITERS = ",;\t|"


class Unreadable(Exception):
    """The file as a whole cannot be used."""

    def __init__(self, code: str, message: str, next_step: str) -> None:
        super().__init__(message)
        self.code, self.message, self.next_step = code, message, next_step


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells as they stand in the file, blank ones included, so that a row's number is its place + 1."""

    name: str  # of the sheet; "" where a file has only one
    rows: tuple[tuple[Cell, ...], ...]
    is_resume: bool = False  # JSON Resume: `name` is the skill, `keywords` its aliases
    looks: Looks = field(default_factory=Looks)


@dataclass(frozen=True, slots=True)
class Tables:
    """Every reading of one file: its sheets in order, or one reading per delimiter."""

    tables: tuple[Table, ...]
    guessed_encoding: str = ""


def read_tables(path: Path) -> Tables:
    """Read csv, tsv, xlsx, xls, ods or JSON Resume; raise Unreadable."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise Unreadable(
            "matrix_unreadable",
            f"'{path.suffix or path.name}' is not a kind of file that holds a matrix.",
            "Save it as csv, xlsx, ods or JSON Resume.",
        )
    data = _bytes(path)
    if not data.strip():
        raise Unreadable("matrix_empty", "The file is empty.", "Write a header row and one row a skill.")
    tables = reader(data)
    sheets = [table for table in tables.tables if table.name]  # without a name: one file read in several ways
    if sum(len(sheet.rows) for sheet in sheets) > MOST_ROWS or any(len(t.rows) > MOST_ROWS for t in tables.tables):
        raise _too_large(f"it has more than {MOST_ROWS:,} rows")
    return tables


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise Unreadable(
            "matrix_missing", "There is no such file.", "Mend [skills] path in askfit.toml, or add the file."
        ) from None
    except OSError as error:
        raise Unreadable(
            "matrix_unreadable", f"It cannot be read ({error.strerror}).", "Mend its permissions or the path."
        ) from None
    if len(data) > MOST_BYTES:
        raise _too_large(f"it is larger than {MOST_BYTES // 1_000_000} MB")
    return data


def _too_large(why: str) -> Unreadable:
    return Unreadable("matrix_too_large", f"The matrix is too large: {why}.", "Keep one row a skill and nothing else.")


# ---------------------------------------------------------------- text


def _read_csv(data: bytes) -> Tables:
    text, guessed = _decode(data)
    readings = tuple(Table("", _split(text, delimiter)) for delimiter in DELIMITERS)
    return Tables(readings, guessed)


def _decode(data: bytes) -> tuple[str, str]:
    """(text, the encoding where it had to be guessed)."""
    for encoding in _encodings(data):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" not in text:
            return text, ""
    if b"\x00" in data:
        raise Unreadable("matrix_unreadable", "It is not text.", "Save it as csv in UTF-8, or give it its true ending.")
    return data.decode("cp1252", "replace"), "cp1252"


def _encodings(data: bytes) -> tuple[str, ...]:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return ("utf-16",)
    # Without a byte order mark, UTF-16 of a header row shows as every second byte being 0.
    return ("utf-8-sig",) if b"\x00" not in data[:200] else ("utf-16-le", "utf-16-be")


def _split(text: str, delimiter: str) -> tuple[tuple[Cell, ...], ...]:
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        return tuple(tuple(row[:MOST_COLUMNS]) for row in rows)
    except csv.Error:  # a cell of more than 128 kB: the wrong delimiter, or an unclosed quote
        return ()


# ---------------------------------------------------------------- spreadsheets


def _read_sheets(data: bytes) -> Tables:
    import python_calamine

    _check_unpacked(data)
    try:
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
        looks = read_looks(data, MOST_ROWS, MOST_COLUMNS)
        return Tables(tuple(_sheet(book, name, looks.get(name, Looks())) for name in _visible(book)))
    except (python_calamine.CalamineError, OSError, ValueError) as error:
        raise Unreadable(
            "matrix_unreadable",
            f"It cannot be read as a spreadsheet ({_first_line(error)}).",
            "Open it and save it anew.",
        ) from None


def _sheet(book: Any, name: str, looks: Looks) -> Table:
    """The cells as the owner sees them: a merged cell's value in every cell that it covers, 0.8 as 80%."""
    sheet = book.get_sheet_by_name(name)
    rows = [
        [_plain(cell) for cell in row[:MOST_COLUMNS]]
        for row in sheet.to_python(skip_empty_area=False, nrows=MOST_ROWS + 1)
    ]
    for row, column in looks.percents:
        if row < len(rows) and column < len(rows[row]) and isinstance(value := rows[row][column], int | float):
            rows[row][column] = f"{value * 100:.6g}%"
    for merged in sheet.merged_cell_ranges or looks.merged:
        _spread(rows, merged)
    return Table(name, tuple(map(tuple, rows)), looks=looks)


def _spread(rows: list[list[Cell]], merged: Range) -> None:
    """Into every cell of the range; a row that is otherwise blank stays blank."""
    (top, left), (bottom, right) = merged
    if top >= len(rows) or left >= len(rows[top]):
        return
    value = rows[top][left]
    for row in rows[top : bottom + 1]:
        if any(cell not in ("", None) for cell in row):
            row[left : right + 1] = [value] * len(row[left : right + 1])


def _visible(book: Any) -> list[str]:
    """The owner hid a sheet for a reason: it is not read."""
    return [sheet.name for sheet in book.sheets_metadata if str(sheet.visible).endswith(".Visible")]


def _plain(cell: Any) -> Cell:
    if isinstance(cell, datetime.datetime):
        return cell.date()
    return cell if isinstance(cell, str | int | float | bool | datetime.date | None) else str(cell)


def _check_unpacked(data: bytes) -> None:
    """Refuse a zip that unpacks to far more than a matrix holds."""
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(part.file_size for part in archive.infolist())
    except zipfile.BadZipFile:
        return  # calamine names the fault
    if size > MOST_UNPACKED_BYTES:
        raise _too_large(f"it unpacks to more than {MOST_UNPACKED_BYTES // 1_000_000} MB")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].strip().rstrip(".")[:120]


# ---------------------------------------------------------------- JSON Resume


def _read_resume(data: bytes) -> Tables:
    text, _ = _decode(data)
    try:
        resume = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise Unreadable(
            "matrix_unreadable", f"It is not valid JSON ({_first_line(error)}).", "Mend that place, or use csv."
        ) from None
    skills = resume.get("skills") if isinstance(resume, dict) else resume
    entries = [entry for entry in skills if isinstance(entry, dict)] if isinstance(skills, list) else []
    keys = list(dict.fromkeys(str(key) for entry in entries for key in entry))[:MOST_COLUMNS]
    rows = tuple(tuple(_json_cell(entry.get(key)) for key in keys) for entry in entries[: MOST_ROWS + 1])
    return Tables((Table("", (tuple(keys), *rows), is_resume=True),))


def _json_cell(value: Any) -> Cell:
    if isinstance(value, list):
        return "; ".join(str(item) for item in value if isinstance(item, str | int | float))
    return value if isinstance(value, str | int | float | bool | None) else ""


READERS: dict[str, Callable[[bytes], Tables]] = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".txt": _read_csv,
    ".xlsx": _read_sheets,
    ".xlsm": _read_sheets,
    ".xls": _read_sheets,
    ".ods": _read_sheets,
    ".json": _read_resume,
}
