"""Find the header row of a table and say which column holds what. Knows nothing of levels or rows."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from askfit import text
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
# A column over which one of these stands is private. A near miss counts too: a typing error must not publish a row.
PRIVATE_WORDS = ("private", "hidden", "confidential", "secret", "privat", "vertraulich", "privé", "confidentiel")


@dataclass(frozen=True, slots=True)
class Header:
    """Where each role's column stands. `index` is the header's row, counted from 0."""

    table: Table
    index: int
    columns: dict[str, int]
    private: tuple[int, ...]

    def title(self, role: str) -> str:
        """The column's header as the owner wrote it."""
        return self.title_at(self.columns[role])

    def title_at(self, column: int) -> str:
        return " ".join(str(self.table.rows[self.index][column]).split())

    @property
    def unread(self) -> list[int]:
        """Columns with a header that nothing here reads."""
        read = {*self.columns.values(), *self.private}
        return [at for at, cell in enumerate(self.table.rows[self.index]) if _fold(cell) and at not in read]


def find_header(tables: Iterable[Table]) -> Header | None:
    """The header with a skill column: the first with a level column too, else the fullest one."""
    headers = [header for table in tables if (header := _header_of(table))]
    whole = [header for header in headers if "level" in header.columns]
    if whole and whole[0].table.name:
        return whole[0]
    return max(whole or headers, key=lambda header: len(header.columns), default=None)


def _header_of(table: Table) -> Header | None:
    rows = table.rows[: 1 if table.is_resume else HEADER_WITHIN_ROWS]
    found = [Header(table, at, *_roles(row, table.is_resume)) for at, row in enumerate(rows)]
    return max(
        (header for header in found if "skill" in header.columns),
        key=lambda header: (len(header.columns), -header.index),
        default=None,
    )


def _roles(row: tuple[Cell, ...], is_resume: bool) -> tuple[dict[str, int], tuple[int, ...]]:
    columns: dict[str, int] = {}
    private = []
    for at, cell in enumerate(row):
        title = _fold(cell)
        role = (RESUME_SPELLINGS.get(title) if is_resume else None) or ROLE_OF.get(title)
        if role:
            columns.setdefault(role, at)
        elif _is_private(title):
            private.append(at)
    return columns, tuple(private)


def _fold(cell: Cell) -> str:
    """Lower-case words: "Self-rating (0–5)" and "self_rating" are both "self rating"."""
    if not isinstance(cell, str):
        return ""
    bare = re.sub(r"[(\[].*?[)\]]", " ", text.clean(cell)[:200])
    return " ".join(text.words(bare))


def _is_private(title: str) -> bool:
    words = title.split()
    return len(words) <= 4 and any(difflib.get_close_matches(word, PRIVATE_WORDS, 1, 0.82) for word in words)
