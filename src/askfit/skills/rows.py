"""Judge the rows under a header, one by one and together. Knows nothing of files.

A private row is counted and nothing else: none of its cells reaches a skill or a fault.
"""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from askfit import text
from askfit.skills.columns import Header
from askfit.skills.tables import Cell
from askfit.types import Fault, Skill

MOST_NAME_CHARS = 120
MOST_EVIDENCE_CHARS = 600
HIGHEST_LEVEL = 5
PRIORITIES = ("core", "strong", "supporting", "learning")
YES = {"true", "yes", "y", "1", "x", "✓", "✔", "wahr", "ja", "oui", "vrai", "private", "hidden"}
NO = {"", "false", "no", "n", "0", "-", "–", "falsch", "nein", "non", "faux", "public"}
# How JSON Resume's usual words are read where no scale is declared; told as `scale_assumed`.
RESUME_SCALE = {"novice": 1, "beginner": 1, "elementary": 2, "intermediate": 3, "advanced": 4, "expert": 5, "master": 5}
# What is proposed to an owner whose matrix uses words: never applied by itself.
USUAL_SCALE = {
    **RESUME_SCALE,
    "none": 0, "basic": 1, "basics": 1, "awareness": 1, "familiar": 2, "working": 3, "working knowledge": 3,
    "competent": 3, "proficient": 4, "fluent": 4, "senior": 4, "low": 1, "medium": 3, "high": 5,
}  # fmt: skip
# "4" · "4.0" · "4,5" · "4/5" · "8 / 10" · "4 - Advanced" · "4 (advanced)"
_NUMBER = re.compile(r"(-?\d+(?:[.,]\d+)?)\s*(?:/\s*(\d+(?:[.,]\d+)?))?\s*(?:[-–—:=(]\s*[^\W\d_].*)?")
_YEARS = re.compile(r"[<>~≈]?\s*(\d+(?:[.,]\d+)?)\s*\+?\s*(?:years?|yrs?|y|jahre?n?|ans|années?)?\.?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Rows:
    skills: tuple[Skill, ...]
    faults: tuple[Fault, ...]
    private_count: int


def read_rows(name: str, header: Header, scale: Mapping[str, float], guessed_encoding: str = "") -> Rows:
    """Every public row as a Skill, every fault with its place."""
    assumed = header.table.is_resume and not scale
    sheet = _Sheet(name, header, RESUME_SCALE if assumed else scale, [])
    if guessed_encoding:
        sheet.warn("matrix_encoding", f"It is not UTF-8 and was read as {guessed_encoding}.", "Save it as UTF-8.")
    for column in header.unread:
        sheet.warn(
            "column_unknown", f"Column '{header.title_at(column)[:60]}' is not read.", "Rename it if it should be."
        )
    public, private_count = _public_rows(sheet)
    skills = tuple(_distinct(sheet, _skills(sheet, public)))
    if assumed and skills:
        sheet.warn(
            "scale_assumed",
            "Levels are read as Beginner 1, Intermediate 3, Advanced 4, Master or Expert 5.",
            "Declare [skills] scale in askfit.toml to set your own.",
        )
    _tell_near(sheet, skills)
    _tell_shared_aliases(sheet, skills)
    if not skills and not any(fault.severity == "error" for fault in sheet.faults):
        sheet.tell("matrix_empty", "It has no public row with a skill and a level.", "Write one row a skill.")
    return Rows(skills, tuple(sheet.faults), private_count)


@dataclass(frozen=True, slots=True)
class _Sheet:
    """What is being read, and the faults found so far."""

    name: str
    header: Header
    scale: Mapping[str, float]
    faults: list[Fault]

    def tell(self, code: str, message: str, next_step: str, row: int = 0, role: str = "", **more: Any) -> None:
        """Note a fault; with a row, also where it stands."""
        where = self.where(row, self.header.title(role)) if row else ""
        self.faults.append(Fault(code, self.name, message, next_step, **{"where": where, **more}))

    def warn(self, code: str, message: str, next_step: str, row: int = 0, role: str = "") -> None:
        self.tell(code, message, next_step, row, role, severity="warning")

    def where(self, row: int, column: str) -> str:
        unit = "skills entry" if self.header.table.is_resume else "row"
        sheet = f"sheet {self.header.table.name}, " if self.header.table.name else ""
        return f"{sheet}{unit} {row}, column {column}"

    def cell(self, cells: tuple[Cell, ...], role: str) -> Cell:
        column = self.header.columns.get(role, len(cells))
        return cells[column] if column < len(cells) else None


# ---------------------------------------------------------------- rows one by one


def _public_rows(sheet: _Sheet) -> tuple[list[tuple[int, tuple[Cell, ...]]], int]:
    """(row number, cells) of every row that is neither blank nor private, and how many are private."""
    first = sheet.header.index + 1
    public, private_count = [], 0
    for at, cells in enumerate(sheet.header.table.rows[first:], start=first):
        row = at if sheet.header.table.is_resume else at + 1
        if not any(_line(cell) for cell in cells):
            continue
        if _is_private(sheet, row, cells):
            private_count += 1
        else:
            public.append((row, cells))
    return public, private_count


def _is_private(sheet: _Sheet, row: int, cells: tuple[Cell, ...]) -> bool:
    """Anything but a plain no makes the row private: an unreadable cell must not publish it."""
    private = False
    for column in sheet.header.private:
        word = _line(cells[column]).casefold() if column < len(cells) else ""
        private = private or word not in NO
        if word not in YES | NO:
            where = sheet.where(row, sheet.header.title_at(column))
            sheet.tell(
                "private_not_boolean",
                "This is neither yes nor no; the row is kept private.",
                "Write true or false.",
                where=where,
            )
    return private


def _skills(sheet: _Sheet, public: list[tuple[int, tuple[Cell, ...]]]) -> Iterator[Skill]:
    unknown: list[tuple[int, str]] = []  # (row, level as written) where no scale has it
    for row, cells in public:
        name = _bounded(sheet, row, cells, "skill", MOST_NAME_CHARS)
        if not name:
            sheet.tell("skill_missing", "The row names no skill.", "Write its name, or empty the row.", row, "skill")
        elif (level := _level(sheet, row, cells, unknown)) is not None:
            yield _skill(sheet, row, cells, name, level)
    _tell_unknown_levels(sheet, unknown)


def _skill(sheet: _Sheet, row: int, cells: tuple[Cell, ...], name: str, level: float) -> Skill:
    return Skill(
        row=row,
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
    level = named if named is not None else _number(shown)
    if not shown:
        sheet.tell("level_missing", "The row has no level.", "Write 0–5.", row, "level")
    elif isinstance(cell, datetime.date):  # what spreadsheets make of 4/5
        next_step = "Format the column as text and write 4/5 again, or write 4."
        sheet.tell("level_not_on_scale", f"The spreadsheet holds the date {shown} here.", next_step, row, "level")
    elif level is None:
        unknown.append((row, shown[:40]))
    elif not 0 <= level <= HIGHEST_LEVEL:
        next_step = "Write 0–5, or write it as a share such as 8/10."
        sheet.tell("level_out_of_range", f"Level {shown[:20]} is not within 0–5.", next_step, row, "level")
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


def _distinct(sheet: _Sheet, skills: Iterable[Skill]) -> Iterator[Skill]:
    first: dict[str, int] = {}
    for skill in skills:
        key = _folded(skill.name)
        if key in first:
            message = f"'{skill.name}' stands already in row {first[key]}; this row is left out."
            sheet.tell("skill_duplicate", message, "Keep one of the two.", skill.row, "skill")
            continue
        first[key] = skill.row
        yield skill


def _tell_near(sheet: _Sheet, skills: tuple[Skill, ...]) -> None:
    seen: dict[str, Skill] = {}
    for skill in skills:
        keys = _near_keys(skill.name)
        if near := next((seen[key] for key in keys if key in seen), None):
            message = f"'{skill.name}' is nearly '{near.name}' in row {near.row}; both are served."
            sheet.warn("skill_near_duplicate", message, "Merge them, or make one an alias.", skill.row, "skill")
        for key in keys:
            seen.setdefault(key, skill)


def _tell_shared_aliases(sheet: _Sheet, skills: tuple[Skill, ...]) -> None:
    owners = {_folded(skill.name): skill for skill in skills}
    for skill in skills:
        for alias in skill.aliases:
            owner = owners.setdefault(_folded(alias), skill)
            if owner.row != skill.row:
                message = f"'{alias}' also stands for '{owner.name}' in row {owner.row}."
                sheet.warn("alias_shared", message, "Let one row have it.", skill.row, "aliases")


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


def _number(shown: str) -> float | None:
    """The level that a text states; a share such as 8/10 is brought to 0–5."""
    match = _NUMBER.fullmatch(shown)
    if not match:
        return None
    value = float(match[1].replace(",", "."))
    whole = float(match[2].replace(",", ".")) if match[2] else float(HIGHEST_LEVEL)
    return value * HIGHEST_LEVEL / whole if whole else None


def _aliases(shown: str, name: str) -> tuple[str, ...]:
    """Split at semicolons; at commas only where there is no semicolon."""
    separator = r"[;|]" if re.search(r"[;|]", shown) else ","
    parts = (part.strip()[:MOST_NAME_CHARS] for part in re.split(separator, shown))
    return tuple(dict.fromkeys(part for part in parts if part and part.casefold() != name.casefold()))


def _toml_key(name: str) -> str:
    return name if re.fullmatch(r"[a-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)
