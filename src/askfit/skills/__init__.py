"""Read the owner's skills matrix: one row a skill. Knows nothing of postings or models.

A faulty row is left out and told by file, row and column; the rest is served. A private row never becomes a Skill, and
neither its name nor any of its cells stands in a fault, a log or the matrix's sha.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from functools import cached_property
from pathlib import Path

from askfit.config import Settings
from askfit.errors import SettingsError
from askfit.skills.columns import Header, find_headers
from askfit.skills.privacy import flag_of
from askfit.skills.rows import read_rows
from askfit.skills.tables import Tables, Unreadable, read_tables
from askfit.types import Fault, Skill

__all__ = ["Matrix", "load_matrix", "read_matrix"]


@dataclass(frozen=True)
class Matrix:
    """The public rows in the file's order, and what was wrong."""

    path: str  # as the settings name it
    skills: tuple[Skill, ...] = ()
    faults: tuple[Fault, ...] = ()
    private_count: int = 0
    sha: str = field(default="")  # of the public rows alone: a change in a private row does not show

    @cached_property
    def _by_row(self) -> Mapping[int, Skill]:
        return {skill.row: skill for skill in self.skills}

    def row(self, number: int) -> Skill | None:
        """The public skill of a Skill.row: a row of the file, or of a later sheet (see rows.read_rows)."""
        return self._by_row.get(number)


def load_matrix(settings: Settings) -> Matrix:
    """Read the matrix that [skills] names."""
    skills = settings.file.skills
    if skills is None:
        raise SettingsError(
            "skills_missing", f"{settings.path.name} names no skills matrix.", 'Add [skills] with path = "skills.xlsx".'
        )
    return read_matrix(settings.root / skills.path, skills.scale, name=skills.path)


def read_matrix(path: Path, scale: Mapping[str, float] | None = None, *, name: str = "") -> Matrix:
    """Read one file. Never raises for what stands in it: every fault is told, the rest is kept."""
    name = name or path.name
    try:
        tables = read_tables(path)
        headers = find_headers(tables.tables)
        if not headers or "level" not in headers[0].columns:
            raise _column_missing(tables, headers)
        withheld = [header for header in headers if flag_of(header.table.name) == "private"]
        headers = [header for header in headers if flag_of(header.table.name) != "private"]
        if not headers:
            raise Unreadable(
                "matrix_empty",
                f"Its only sheet of skills is called '{withheld[0].table.name}': a private sheet is not read.",
                "Rename the sheet if its rows should be served.",
            )
    except Unreadable as fault:
        return Matrix(name, faults=(Fault(fault.code, name, fault.message, fault.next_step),), sha=_sha(()))
    rows = read_rows(name, headers, scale or {}, tables.guessed_encoding)
    faults = tuple(_sheet_withheld(name, header.table.name) for header in withheld)
    return Matrix(name, rows.skills, faults + rows.faults, rows.private_count, _sha(rows.skills))


def _sheet_withheld(name: str, sheet: str) -> Fault:
    return Fault(
        "sheet_private",
        name,
        "The sheet is called private: none of its rows is read.",
        "Rename it if they should be served.",
        f"sheet {sheet}",
        "warning",
    )


def _column_missing(tables: Tables, headers: list[Header]) -> Unreadable:
    if not headers:
        seen = next((row for table in tables.tables for row in table.rows if any(row)), ())
        titles = ", ".join(f"'{str(cell)[:40]}'" for cell in seen[:8] if cell not in ("", None))
        return Unreadable(
            "skill_column_missing",
            f"No column holds the skills (the first row reads: {titles or 'nothing'}).",
            "Name a column Skill and one Level.",
        )
    return Unreadable(
        "level_column_missing",
        f"There is a column '{headers[0].title('skill')}' and none for the level.",
        "Add a column Level with 0–5, or with the names of a scale declared in [skills] scale.",
    )


def _sha(skills: tuple[Skill, ...]) -> str:
    # Without the sheet where there is but one, so that it may be renamed.
    told = [astuple(skill) if skill.sheet else astuple(skill)[:-2] for skill in skills]
    rows = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(rows.encode("utf-8", "replace")).hexdigest()[:16]
