"""Judge the rows under a header, one by one and together. Knows nothing of files.

A private row is counted and nothing else: none of its cells reaches a skill or a fault.
"""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from askfit import text
from askfit.skills.columns import USUAL_TOP, Header
from askfit.skills.privacy import NO, YES, Verdict, is_mark, verdict
from askfit.skills.tables import Cell
from askfit.types import Fault, Skill

MOST_NAME_CHARS = 120
MOST_EVIDENCE_CHARS = 600
HIGHEST_LEVEL = 5
PRIORITIES = ("core", "strong", "supporting", "learning")
ROWS_A_SHEET = 10_000  # what a sheet after the first adds to its rows' numbers; no sheet is as long
# How JSON Resume's usual words are read where no scale is declared; told as `scale_assumed`.
RESUME_SCALE = {"novice": 1, "beginner": 1, "elementary": 2, "intermediate": 3, "advanced": 4, "expert": 5, "master": 5}
# What is proposed to an owner whose matrix uses words: never applied by itself.
USUAL_SCALE = {
    **RESUME_SCALE,
    "none": 0, "basic": 1, "basics": 1, "awareness": 1, "familiar": 2, "working": 3, "working knowledge": 3,
    "competent": 3, "proficient": 4, "fluent": 4, "senior": 4, "low": 1, "medium": 3, "high": 5,
}  # fmt: skip
# "4" · "4.0" · "4,5" · "4/5" · "8 / 10" · "8 out of 10" · "80 %" · "4 - Advanced" · "4 (advanced)"
_NUMBER = re.compile(
    r"(-?\d+(?:[.,]\d+)?)\s*(?:(%)|(?:/|(?:out )?of)\s*(\d+(?:[.,]\d+)?))?\s*(?:[-–—:=(]\s*[^\W\d_].*)?"
)
_YEARS = re.compile(r"[<>~≈]?\s*(\d+(?:[.,]\d+)?)\s*\+?\s*(?:years?|yrs?|y|jahre?n?|ans|années?)?\.?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Rows:
    skills: tuple[Skill, ...]
    faults: tuple[Fault, ...]
    private_count: int


def read_rows(name: str, headers: Sequence[Header], scale: Mapping[str, float], guessed_encoding: str = "") -> Rows:
    """Every public row as a Skill, every fault with its place.

    A fault names a sheet's row as the spreadsheet numbers it. Skill.row must be one row in all: the first sheet's rows
    keep their numbers, the second's count from 10,000 on, so that adding a row to one sheet renumbers no other.
    """
    assumed = headers[0].table.is_resume and not scale
    known = RESUME_SCALE if assumed else scale
    faults: list[Fault] = []
    sheets = [
        _Sheet(name, header, known, faults, at * ROWS_A_SHEET, header.table.name if len(headers) > 1 else "")
        for at, header in enumerate(headers)
    ]
    if guessed_encoding:
        sheets[0].warn("matrix_encoding", f"It is not UTF-8 and was read as {guessed_encoding}.", "Save it as UTF-8.")
    if len(sheets) > 1:
        _tell_joined(sheets)
    read: list[Skill] = []
    private_count = 0
    for sheet in sheets:
        _tell_columns(sheet)
        public, kept = _public_rows(sheet)
        private_count += kept
        read += _skills(sheet, public)
    book = _Book(sheets)
    skills = tuple(_distinct(book, read))
    if assumed and skills:
        sheets[0].warn(
            "scale_assumed",
            "Levels are read as Beginner 1, Intermediate 3, Advanced 4, Master or Expert 5.",
            "Declare [skills] scale in askfit.toml to set your own.",
        )
    _tell_near(book, skills)
    _tell_shared_aliases(book, skills)
    if not skills and not any(fault.severity == "error" for fault in faults):
        sheets[0].tell("matrix_empty", "It has no public row with a skill and a level.", "Write one row a skill.")
    return Rows(skills, tuple(faults), private_count)


@dataclass(frozen=True, slots=True)
class _Sheet:
    """What is being read, and the faults found so far. `row` is a row's number in this sheet throughout."""

    name: str
    header: Header
    scale: Mapping[str, float]
    faults: list[Fault]
    before: int = 0  # what Skill.row has more than the row's number in this sheet
    cited_as: str = ""  # its name, where there are others

    def tell(self, code: str, message: str, next_step: str, row: int = 0, role: str = "", **more: Any) -> None:
        """Note a fault; with a row, also where it stands."""
        where = self.where(row, self.header.title(role)) if row else ""
        self.faults.append(Fault(code, self.name, message, next_step, **{"where": where, **more}))

    def warn(self, code: str, message: str, next_step: str, row: int = 0, role: str = "", **more: Any) -> None:
        self.tell(code, message, next_step, row, role, severity="warning", **more)

    def where(self, row: int, column: str) -> str:
        """`row` 0: the whole column."""
        unit = "skills entry" if self.header.table.is_resume else "row"
        sheet = f"sheet {self.header.table.name}, " if self.header.table.name else ""
        return f"{sheet}{f'{unit} {row}, ' if row else ''}column {column}"

    def cell(self, cells: tuple[Cell, ...], role: str) -> Cell:
        column = self.header.columns.get(role, len(cells))
        return cells[column] if column < len(cells) else None

    def is_unreckoned(self, row: int, column: int) -> bool:
        """A formula without a result: it looks like an empty cell."""
        return (row - 1, column) in self.header.table.looks.unreckoned


@dataclass(frozen=True, slots=True)
class _Book:
    """All sheets, to judge rows of one beside rows of another."""

    sheets: Sequence[_Sheet]

    def at(self, skill: Skill) -> tuple[_Sheet, int]:
        """The sheet that a skill stands in, and its row there."""
        sheet = self.sheets[skill.row // ROWS_A_SHEET]
        return sheet, skill.row - sheet.before

    def place(self, skill: Skill) -> str:
        sheet, row = self.at(skill)
        return f"row {row}" + (f" of sheet {sheet.header.table.name}" if len(self.sheets) > 1 else "")

    def tell(self, skill: Skill, code: str, message: str, next_step: str, role: str, **more: Any) -> None:
        sheet, row = self.at(skill)
        sheet.tell(code, message, next_step, row, role, **more)


# ---------------------------------------------------------------- sheets and columns


def _tell_joined(sheets: Sequence[_Sheet]) -> None:
    names = ", ".join(sheet.header.table.name for sheet in sheets[:12])
    second = sheets[1]
    sheets[0].warn(
        "sheets_joined",
        f"{len(sheets)} sheets hold skills and all are read: {names}. "
        f"Row 2 of {second.cited_as} is cited as “{second.cited_as}, row 2”, its `row` in JSON is {second.before + 2}.",
        "Hide each sheet that should not be served.",
    )


def _tell_columns(sheet: _Sheet) -> None:
    header = sheet.header
    for column in header.unread:
        held = {_line(row[column]).casefold() for row in header.table.rows[header.index + 1 :] if column < len(row)}
        next_step = "Rename it if it should be."
        if held != {""} and held <= YES | NO:
            next_step = "It holds yes and no: if it says which rows are private, rename it Private or Public."
        sheet.warn("column_unknown", f"Column '{header.title_at(column)[:60]}' is not read.", next_step)
    for column in header.kept_back:
        title = header.title_at(column)[:60]
        why = "hidden" if column in header.table.looks.hidden_columns else "called private"
        message = f"Column '{title}' is {why}: it is not read."
        sheet.warn("column_hidden", message, "Show it and rename it if it should be.", where=sheet.where(0, title))
    if header.top != USUAL_TOP:
        title = header.title("level")
        half = f"{header.top / 2:g} is read as {HIGHEST_LEVEL / 2:g}"
        message = f"Levels are read as out of {header.top:g} and brought to 0–5 ({half})."
        sheet.warn("level_scaled", message, "Write 0–5 if that is wrong.", where=sheet.where(0, title))


# ---------------------------------------------------------------- rows one by one


def _public_rows(sheet: _Sheet) -> tuple[list[tuple[int, tuple[Cell, ...]]], int]:
    """(row number, cells) of every row that is neither blank nor private, and how many are private or hidden."""
    table, first = sheet.header.table, sheet.header.index + 1
    public, private_count = [], 0
    hidden = []
    for at, cells in enumerate(table.rows[first:], start=first):
        row = at if table.is_resume else at + 1
        if not any(_line(cell) for cell in cells) or _repeats_header(sheet, cells):
            continue
        if at in table.looks.hidden_rows:
            hidden.append(row)
        elif _is_private(sheet, row, cells):
            private_count += 1
        else:
            public.append((row, cells))
    if hidden:
        sheet.warn(
            "rows_hidden",
            f"{len(hidden)} hidden rows are not read." if len(hidden) > 1 else "A hidden row is not read.",
            "Show them in the spreadsheet (and clear its filter) if they should be served.",
            where=sheet.where(hidden[0], sheet.header.title("skill")),
        )
    return public, private_count + len(hidden)


def _repeats_header(sheet: _Sheet, cells: tuple[Cell, ...]) -> bool:
    """A header merged downwards, or written again for print."""
    return all(_line(sheet.cell(cells, role)) == sheet.header.title(role) for role in sheet.header.columns)


def _is_private(sheet: _Sheet, row: int, cells: tuple[Cell, ...]) -> bool:
    """Anything but a plain word for public makes the row private: an unreadable cell must not publish it.

    So does `private` in a column that says nothing of privacy. What the cell holds is never told.
    """
    header = sheet.header
    verdicts = {column: _verdict(sheet, row, cells, column) for column in header.flags}
    for column, said in verdicts.items():
        if said == "unclear":
            sheet.tell(
                "private_not_boolean",
                "This is neither yes nor no; the row is kept private.",
                "Write public or private." if header.flags[column] == "either" else "Write true or false.",
                where=sheet.where(row, header.title_at(column)),
            )
    if any(said != "public" for said in verdicts.values()):
        return True
    read = {column for role, column in header.columns.items() if role != "priority"} | {*header.kept_back}
    for column, cell in enumerate(cells):
        if column == header.columns["skill"] or column in header.flags:
            continue
        if is_mark(_line(cell), alone=column in read):
            sheet.tell(
                "private_elsewhere",
                "This calls the row private in a column that is not for it; the row is kept private.",
                "Give the sheet a column Private with true or false, and use another word here.",
                where=sheet.where(row, header.title_at(column)),
            )
            return True
    return False


def _verdict(sheet: _Sheet, row: int, cells: tuple[Cell, ...], column: int) -> Verdict:
    if sheet.is_unreckoned(row, column):
        return "unclear"
    return verdict(_line(cells[column]) if column < len(cells) else "", sheet.header.flags[column])


def _skills(sheet: _Sheet, public: list[tuple[int, tuple[Cell, ...]]]) -> Iterator[Skill]:
    unknown: list[tuple[int, str]] = []  # (row, level as written) where no scale has it
    fractions = _are_fractions(sheet, public)
    for row, cells in public:
        name = _bounded(sheet, row, cells, "skill", MOST_NAME_CHARS)
        if not name:
            sheet.tell("skill_missing", "The row names no skill.", "Write its name, or empty the row.", row, "skill")
        elif fractions and _plain_number(sheet, cells) is not None:
            sheet.tell(
                "level_fraction",
                "No level here is above 1 and some are fractions: they look like percent.",
                "Write 0–5, or write percent: 80% is read as 4.",
                row,
                "level",
            )
        elif (level := _level(sheet, row, cells, unknown)) is not None:
            yield _skill(sheet, row, cells, name, level)
    _tell_unknown_levels(sheet, unknown)
    percent = next((row for row, cells in public if _line(sheet.cell(cells, "level")).endswith("%")), 0)
    if percent:
        message = "Levels in percent are read as shares of 5 (80% is read as 4)."
        sheet.warn("level_percent", message, "Write 0–5 if that is wrong.", percent, "level")


def _plain_number(sheet: _Sheet, cells: tuple[Cell, ...]) -> float | None:
    """The level where it is a bare number: no share, no percent, no name of the scale."""
    shown = _line(sheet.cell(cells, "level"))
    bare = re.fullmatch(r"\d*[.,]?\d+", shown) if shown.casefold() not in sheet.scale else None
    return float(shown.replace(",", ".")) if bare else None


def _are_fractions(sheet: _Sheet, public: list[tuple[int, tuple[Cell, ...]]]) -> bool:
    numbers = [number for _, cells in public if (number := _plain_number(sheet, cells)) is not None]
    return sheet.header.top != 1 and max(numbers, default=2) <= 1 and any(0 < number < 1 for number in numbers)


def _skill(sheet: _Sheet, row: int, cells: tuple[Cell, ...], name: str, level: float) -> Skill:
    return Skill(
        row=sheet.before + row,
        sheet=sheet.cited_as,
        sheet_row=row,
        name=name,
        level=level,
        category=_line(sheet.cell(cells, "category"))[:MOST_NAME_CHARS],
        priority=_priority(sheet, row, cells),
        years=_years(sheet, row, cells),
        last_used=_line(sheet.cell(cells, "last_used"))[:40],
        evidence=_bounded(sheet, row, cells, "evidence", MOST_EVIDENCE_CHARS),
        aliases=_aliases(_line(sheet.cell(cells, "aliases")), name),
    )


def _bounded(sheet: _Sheet, row: int, cells: tuple[Cell, ...], role: str, most: int) -> str:
    value = _line(sheet.cell(cells, role))
    if len(value) > most:
        sheet.warn("text_shortened", f"Longer than {most} characters: the rest is not read.", "Shorten it.", row, role)
    return value[:most].rstrip()


def _level(sheet: _Sheet, row: int, cells: tuple[Cell, ...], unknown: list[tuple[int, str]]) -> float | None:
    cell = sheet.cell(cells, "level")
    shown = _line(cell)
    named = sheet.scale.get(shown.casefold())
    level = named if named is not None else _number(shown, sheet.header.top)
    if not shown and sheet.is_unreckoned(row, sheet.header.columns["level"]):
        next_step = "Open the file in a spreadsheet program and save it, or write 0–5."
        sheet.tell("level_missing", "The formula here has no saved result.", next_step, row, "level")
    elif not shown:
        sheet.tell("level_missing", "The row has no level.", "Write 0–5.", row, "level")
    elif isinstance(cell, datetime.date):  # what spreadsheets make of 4/5
        next_step = "Format the column as text and write 4/5 again, or write 4."
        sheet.tell("level_not_on_scale", f"The spreadsheet holds the date {shown} here.", next_step, row, "level")
    elif level is None:
        unknown.append((row, shown[:40]))
    elif not 0 <= level <= HIGHEST_LEVEL:
        next_step = "Write 0–5, or a share such as 8/10; if all levels are out of 10, name the column Level (0-10)."
        message = f"Level {shown[:20]} is not within 0–{sheet.header.top:g}."
        sheet.tell("level_out_of_range", message, next_step, row, "level")
    else:
        return float(level)
    return None


def _tell_unknown_levels(sheet: _Sheet, unknown: list[tuple[int, str]]) -> None:
    """Each with the declaration that would make all of them known."""

    def proposed(name: str) -> float:
        return sheet.scale.get(name, USUAL_SCALE.get(name, 3))

    names = {shown.casefold() for _, shown in unknown} | set(sheet.scale)
    ordered = sorted(names, key=lambda name: (proposed(name), name))[:12]
    scale = ", ".join(f"{_toml_key(name)} = {proposed(name):g}" for name in ordered)
    next_step = (
        f"Write 0–5, or declare the names with numbers of your own under [skills] in askfit.toml: scale = {{ {scale} }}"
    )
    for row, shown in unknown:
        sheet.tell("level_not_on_scale", f"Level '{shown}' is not on a scale.", next_step, row, "level")


def _priority(sheet: _Sheet, row: int, cells: tuple[Cell, ...]) -> Any:
    shown = _line(sheet.cell(cells, "priority"))
    if not shown or shown.casefold() in PRIORITIES:
        return shown.casefold()
    message = f"Priority '{shown[:40]}' is not known; the row is served without one."
    sheet.warn("priority_unknown", message, f"Write one of: {', '.join(PRIORITIES)}.", row, "priority")
    return ""


def _years(sheet: _Sheet, row: int, cells: tuple[Cell, ...]) -> float | None:
    shown = _line(sheet.cell(cells, "years"))
    match = _YEARS.fullmatch(shown)
    if match:
        return min(float(match[1].replace(",", ".")), 99.0)
    if shown:
        message = f"'{shown[:40]}' is not a number of years; the row is served without it."
        sheet.warn("years_not_a_number", message, "Write a number such as 3 or 1.5.", row, "years")
    return None


# ---------------------------------------------------------------- rows together


def _distinct(book: _Book, skills: Iterable[Skill]) -> Iterator[Skill]:
    first: dict[str, Skill] = {}
    for skill in skills:
        key = _folded(skill.name)
        if key in first:
            message = f"'{skill.name}' stands already in {book.place(first[key])}; this row is left out."
            book.tell(skill, "skill_duplicate", message, "Keep one of the two.", "skill")
            continue
        first[key] = skill
        yield skill


def _tell_near(book: _Book, skills: tuple[Skill, ...]) -> None:
    seen: dict[str, Skill] = {}
    for skill in skills:
        keys = _near_keys(skill.name)
        if near := next((seen[key] for key in keys if key in seen), None):
            message = f"'{skill.name}' is nearly '{near.name}' in {book.place(near)}; both are served."
            next_step = "Merge them, or make one an alias."
            book.tell(skill, "skill_near_duplicate", message, next_step, "skill", severity="warning")
        for key in keys:
            seen.setdefault(key, skill)


def _tell_shared_aliases(book: _Book, skills: tuple[Skill, ...]) -> None:
    owners = {_folded(skill.name): skill for skill in skills}
    for skill in skills:
        for alias in skill.aliases:
            owner = owners.setdefault(_folded(alias), skill)
            if owner.row != skill.row:
                message = f"'{alias}' also stands for '{owner.name}' in {book.place(owner)}."
                book.tell(skill, "alias_shared", message, "Let one row have it.", "aliases", severity="warning")


def _folded(name: str) -> str:
    return " ".join(text.words(name)) or name.casefold()


def _near_keys(name: str) -> list[str]:
    """Names that share a key are nearly one: another order, spacing or ending, or one letter off."""
    stems = [text.stem(word) for word in text.words(name)]
    squashed = "".join(stems)
    keys = [squashed, " ".join(sorted(stems))] if squashed else []
    if len(squashed) >= 8:  # in shorter names one letter makes another skill
        digits = "".join(char for char in squashed if char.isdigit())  # "Python 2" is not "Python 3"
        without = [squashed[:at] + squashed[at + 1 :] for at in range(len(squashed))]
        keys += [f"{key} {digits}-" for key in (squashed, *without)]
        keys += [f"{squashed[:at]}_{squashed[at + 1 :]} {digits}" for at in range(len(squashed))]
    return keys


# ---------------------------------------------------------------- cells


def _line(cell: Cell) -> str:
    """A cell as one clean line; 4.0 reads "4"."""
    if isinstance(cell, bool) or cell is None:
        return "" if cell is None else str(cell).lower()
    if isinstance(cell, float | int):
        return f"{cell:g}" if math.isfinite(cell) and abs(cell) < 1e6 else str(cell)
    if isinstance(cell, datetime.date):
        return cell.isoformat()
    return " ".join(text.clean(cell).split())


def _number(shown: str, top: float) -> float | None:
    """The level that a text states, brought to 0–5 from its own share (8/10, 80%) or from the column's top."""
    match = _NUMBER.fullmatch(shown)
    if not match:
        return None
    value = float(match[1].replace(",", "."))
    whole = 100.0 if match[2] else float(match[3].replace(",", ".")) if match[3] else top
    return value * HIGHEST_LEVEL / whole if whole else None


def _aliases(shown: str, name: str) -> tuple[str, ...]:
    """Split at semicolons; at commas only where there is no semicolon."""
    separator = r"[;|]" if re.search(r"[;|]", shown) else ","
    parts = (part.strip()[:MOST_NAME_CHARS] for part in re.split(separator, shown))
    return tuple(dict.fromkeys(part for part in parts if part and part.casefold() != name.casefold()))


def _toml_key(name: str) -> str:
    return name if re.fullmatch(r"[a-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)
