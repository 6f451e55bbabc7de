"""Find the header row of a table and say which column holds what. Knows nothing of levels or rows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from askfit import text
from askfit.skills.privacy import Flag, flag_of
from askfit.skills.tables import Cell, Table

HEADER_WITHIN_ROWS = 25  # title rows above the header: a logo, a date, a legend

# What owners write over a column; compared after folding to lower-case words.
SPELLINGS: dict[str, str] = {
    "skill": "skill; skills; skill name; name of skill; competency; competencies; competence; capability; "
    "skill competency; technology; tool; fähigkeit; kompetenz; kenntnis; compétence",
    "level": "level; skill level; proficiency; proficiency level; rating; self rating; self rated; self assessment; "
    "score; self score; rating 0 5; level 0 5; niveau; stufe; bewertung; note 0 5",
    "category": "category; area; group; skill area; skill group; skill category; domain; kategorie; bereich; catégorie",
    "priority": "priority; priority tag; tag; tags; importance; priorität; priorité",
    "years": "years; years of experience; years experience; yrs; experience years; number of years; years used; jahre; "
    "années",
    "last_used": "last used; last use; most recent use; last year used; last; zuletzt; zuletzt genutzt; "
    "dernière utilisation",
    "evidence": "evidence; notes; note; proof; comment; comments; details; description; examples; example; where used; "
    "sub skills; nachweis; beleg; preuve; preuves",
    "aliases": "aliases; alias; also known as; aka; synonyms; synonym; other names; alternative names; synonyme; "
    "synonymes",
}
RESUME_SPELLINGS = {"name": "skill", "keywords": "aliases", "lastused": "last_used"}
ROLE_OF = {spelling: role for role, spellings in SPELLINGS.items() for spelling in spellings.split("; ")}
# A level's range in its header: "(1-10)", "0 to 10", "/10", "out of 10", "(max 10)", "(1 = new, 10 = master)", "in %".
_RANGE = re.compile(
    r"(?:\b(?:from|von|de)\s+)?(?<![\w.,/])[01]\s*(?:-|–|—|to\b|bis\b|à\b|\.{2,}|…)\s*(\d{1,3})\b", re.IGNORECASE
)
_OUT_OF = re.compile(
    r"(?:(?<![\d\s])\s*/|\b(?:out of|of|von|sur|max\.?|maximum))\s*(\d{1,3})\b(?!\s*[/.]\d)", re.IGNORECASE
)
_PERCENT = re.compile(r"(?:\b(?:in|as|en)\s+)?(?:%|\b(?:per ?cent|prozent|pour ?cent)\b)", re.IGNORECASE)
_BRACKETS = re.compile(r"[(\[](.*?)[)\]]")
USUAL_TOP = 5.0


@dataclass(frozen=True, slots=True)
class Header:
    """Where each role's column stands. `index` is the header's row, counted from 0."""

    table: Table
    index: int
    columns: dict[str, int]
    flags: dict[int, Flag]  # the columns that say whether a row is private
    top: float = USUAL_TOP  # the highest level, as the level's header states it
    kept_back: tuple[int, ...] = ()  # columns that would be read, were they not hidden or called private themselves

    def title(self, role: str) -> str:
        """The column's header as the owner wrote it."""
        return self.title_at(self.columns[role])

    def title_at(self, column: int) -> str:
        """As the owner wrote it; the column's number where it has none."""
        row = self.table.rows[self.index]
        return " ".join(str(row[column]).split() if column < len(row) and row[column] else ()) or str(column + 1)

    @property
    def unread(self) -> list[int]:
        """Columns with a header that nothing here reads."""
        read = {*self.columns.values(), *self.flags, *self.kept_back}
        return [at for at, cell in enumerate(self.table.rows[self.index]) if _fold(cell) and at not in read]


def find_headers(tables: Iterable[Table]) -> list[Header]:
    """Of a workbook every sheet that has a skill and a level column, in order; of other files the fullest reading.

    Where none has both, the one with a skill column: its level is what is missing.
    """
    headers = [header for table in tables if (header := _header_of(table))]
    whole = [header for header in headers if "level" in header.columns]
    if whole and whole[0].table.name:
        return whole
    fullest = max(whole or headers, key=lambda header: len(header.columns), default=None)
    return [fullest] if fullest else []


def _header_of(table: Table) -> Header | None:
    rows = table.rows[: 1 if table.is_resume else HEADER_WITHIN_ROWS]
    found = [_read_header(table, at) for at in range(len(rows))]
    return max(
        (header for header in found if "skill" in header.columns),
        key=lambda header: (len(header.columns), -header.index),
        default=None,
    )


def _read_header(table: Table, index: int) -> Header:
    columns: dict[str, int] = {}
    flags: dict[int, Flag] = {}
    top, kept_back = USUAL_TOP, []
    for at, cell in enumerate(table.rows[index]):
        title = _cell_text(cell)
        role = _role(title, table.is_resume)
        flag = flag_of(title)
        if role and role not in columns:
            if at in table.looks.hidden_columns or flag == "private":  # "Notes (private)" holds no yes and no
                kept_back.append(at)
            else:
                columns[role] = at
                top = _top(title) if role == "level" else top
        elif flag and not role:
            flags[at] = flag
    return Header(table, index, columns, flags, top, tuple(kept_back))


def _role(title: str, is_resume: bool) -> str | None:
    folded = _fold(title)
    role = (RESUME_SPELLINGS.get(folded) if is_resume else None) or ROLE_OF.get(folded)
    if role or not folded:
        return role
    without_range = _fold(_PERCENT.sub(" ", _OUT_OF.sub(" ", _RANGE.sub(" ", title))))
    return "level" if ROLE_OF.get(without_range) == "level" else None


def _top(title: str) -> float:
    if match := _RANGE.search(title) or _OUT_OF.search(title):
        return float(match[1]) or USUAL_TOP
    if _PERCENT.search(title):
        return 100.0
    for bracket in _BRACKETS.findall(title):
        numbers = [int(number) for number in re.findall(r"(?<![\w/.])\d{1,3}(?![\w/])", bracket)]
        if len(numbers) > 1 and not {0, 1}.isdisjoint((numbers[0], numbers[-1])):
            return float(max(numbers)) or USUAL_TOP
        if len(numbers) == 1 and numbers[0] > USUAL_TOP:
            return float(numbers[0])
    return USUAL_TOP


def _cell_text(cell: Cell) -> str:
    return text.clean(cell)[:200] if isinstance(cell, str) else ""


def _fold(cell: Cell) -> str:
    """Lower-case words: "Self-rating (0–5)" and "self_rating" are both "self rating"."""
    return " ".join(text.words(_BRACKETS.sub(" ", _cell_text(cell))))
