"""What a spreadsheet shows its owner beside the cells' values: hidden rows and columns, percent formats, merged cells.

calamine tells the values, and merged cells of xlsx and xls. The rest is read here from the parts of an xlsx or ods;
of an xls nothing more is known. Rows and columns are counted from 0.
"""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

PERCENT_FORMATS = {"9", "10"}  # the built-in 0% and 0.00%; others hold a % in their code
Range = tuple[tuple[int, int], tuple[int, int]]  # first and last cell, both within
Starts = Callable[[str, Mapping[str, str]], None]


@dataclass(slots=True)
class Looks:
    """Of one sheet."""

    hidden_rows: set[int] = field(default_factory=set)
    hidden_columns: set[int] = field(default_factory=set)
    percents: set[tuple[int, int]] = field(default_factory=set)
    unreckoned: set[tuple[int, int]] = field(default_factory=set)  # a formula saved without its value, or an error
    merged: list[Range] = field(default_factory=list)  # of an ods


def read_looks(data: bytes, most_rows: int, most_columns: int) -> dict[str, Looks]:
    """By the sheet's name; empty for what is no zip. Raises ValueError where the parts cannot be read."""
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = {name.replace("\\", "/").casefold(): name for name in archive.namelist()}

            def part(name: str) -> bytes:
                return archive.read(parts[name.casefold()])

            if "xl/workbook.xml" in parts:
                return _of_xlsx(part, most_rows, most_columns)
            return _of_ods(part("content.xml"), most_rows, most_columns) if "content.xml" in parts else {}
    except (KeyError, expat.ExpatError, zipfile.BadZipFile, zipfile.LargeZipFile, RuntimeError, zlib.error) as error:
        raise ValueError(f"a part of it is damaged: {error}") from None


def _walk(xml: bytes, starts: Starts, ends: Callable[[str], object] | None = None) -> None:
    """Call `starts` with each element's name and attributes, both without their namespace's prefix."""
    parser = expat.ParserCreate()

    def bare(name: str) -> str:
        return name.rpartition(":")[2]

    def refuse(*_: object) -> None:
        raise ValueError("it declares entities, as no spreadsheet does")

    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = lambda name, held: starts(bare(name), {bare(key): held[key] for key in held})
    if ends:
        parser.EndElementHandler = lambda name: ends(bare(name))
    parser.Parse(xml, True)


# ---------------------------------------------------------------- xlsx


def _of_xlsx(part: Callable[[str], bytes], most_rows: int, most_columns: int) -> dict[str, Looks]:
    sheets: dict[str, str] = {}  # name → relation
    targets: dict[str, str] = {}  # relation → part

    def sheet(name: str, held: Mapping[str, str]) -> None:
        if name == "sheet":
            sheets[held["name"]] = held["id"]

    def relation(name: str, held: Mapping[str, str]) -> None:
        if name == "Relationship" and held.get("Type", "").endswith("/worksheet"):
            targets[held["Id"]] = posixpath.normpath(posixpath.join("/xl", held["Target"]))[1:]

    _walk(part("xl/workbook.xml"), sheet)
    _walk(part("xl/_rels/workbook.xml.rels"), relation)
    try:
        percent_styles = _percent_styles(part("xl/styles.xml"))
    except KeyError:  # a workbook may do without
        percent_styles = set()
    return {
        name: _of_worksheet(part(targets[key]), percent_styles, most_rows, most_columns)
        for name, key in sheets.items()
        if key in targets
    }


def _percent_styles(xml: bytes) -> set[str]:
    """The numbers of the cell styles that show a number as percent."""
    formats = set(PERCENT_FORMATS)
    styles: list[str] = []
    within: list[str] = []

    def starts(name: str, held: Mapping[str, str]) -> None:
        within.append(name)
        if name == "numFmt" and "%" in re.sub(r'"[^"]*"|\\.', "", held.get("formatCode", "")):
            formats.add(held["numFmtId"])
        if name == "xf" and "cellXfs" in within:
            styles.append(held.get("numFmtId", "0"))

    _walk(xml, starts, lambda _: within.pop())
    return {str(at) for at, number_format in enumerate(styles) if number_format in formats}


def _of_worksheet(xml: bytes, percent_styles: set[str], most_rows: int, most_columns: int) -> Looks:
    looks = Looks()
    row, column = -1, -1
    in_cell = False  # formatting rules after the cells hold formulas too

    def starts(name: str, held: Mapping[str, str]) -> None:
        nonlocal row, column, in_cell
        if name == "col" and _true(held.get("hidden")):
            first = int(held["min"]) - 1
            looks.hidden_columns.update(range(first, min(int(held["max"]), most_columns)))
        elif name == "row":
            row, column = int(held.get("r", row + 2)) - 1, -1
            if _true(held.get("hidden")) and row < most_rows:
                looks.hidden_rows.add(row)
        elif name == "c":
            column = _column(held["r"]) if "r" in held else column + 1
            in_cell = True
            if held.get("t") == "e":
                errors.add((row, column))
            elif held.get("s") in percent_styles and held.get("t", "n") == "n":
                looks.percents.add((row, column))
        elif name == "f" and in_cell:
            looks.unreckoned.add((row, column))
        elif name == "v" and in_cell:
            looks.unreckoned.discard((row, column))

    def ends(name: str) -> None:
        nonlocal in_cell
        in_cell = in_cell and name != "c"

    errors: set[tuple[int, int]] = set()
    _walk(_without_empty_values(xml), starts, ends)
    looks.unreckoned |= errors
    return looks


def _without_empty_values(xml: bytes) -> bytes:
    return re.sub(rb"<(?:\w+:)?v\s*/>|<(?:\w+:)?v\s*></(?:\w+:)?v>", b"", xml)


def _true(value: str | None) -> bool:
    return value in ("1", "true")


def _column(reference: str) -> int:
    """B7 → 1"""
    number = 0
    for char in reference:
        if not char.isalpha():
            break
        number = number * 26 + ord(char.upper()) - ord("A") + 1
    return number - 1


# ---------------------------------------------------------------- ods


def _of_ods(xml: bytes, most_rows: int, most_columns: int) -> dict[str, Looks]:
    sheets: dict[str, Looks] = {}
    looks = Looks()
    rows, column, columns = range(0), 0, 0  # the rows at hand (repeated ones together), the next cell's column
    depth = 0  # of tables: one within a cell is not the sheet

    def starts(name: str, held: Mapping[str, str]) -> None:
        nonlocal looks, rows, column, columns, depth
        if name == "table":
            depth += 1
            if depth == 1:
                looks = sheets.setdefault(held.get("name", ""), Looks())
                rows, column, columns = range(0), 0, 0
        elif depth != 1:
            return
        elif name == "table-column":
            first = columns
            columns += int(held.get("number-columns-repeated", 1))
            if held.get("visibility", "visible") != "visible":
                looks.hidden_columns.update(range(first, min(columns, most_columns)))
        elif name == "table-row":
            rows, column = range(rows.stop, rows.stop + int(held.get("number-rows-repeated", 1))), 0
            if held.get("visibility", "visible") != "visible":
                looks.hidden_rows.update(range(rows.start, min(rows.stop, most_rows)))
        elif name in ("table-cell", "covered-table-cell"):
            first = column
            column += int(held.get("number-columns-repeated", 1))
            if held.get("value-type") == "percentage":
                within = range(rows.start, min(rows.stop, most_rows))
                looks.percents.update((row, at) for row in within for at in range(first, min(column, most_columns)))
            down, across = int(held.get("number-rows-spanned", 1)), int(held.get("number-columns-spanned", 1))
            if down > 1 or across > 1:
                looks.merged.append(((rows.start, first), (rows.start + down - 1, first + across - 1)))

    def ends(name: str) -> None:
        nonlocal depth
        depth -= name == "table"

    _walk(xml, starts, ends)
    return sheets
