"""Look at a site's folder and write the settings it needs. Reads files by their names and first lines; changes none."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from askfit.corpus.sources import in_drafts
from askfit.errors import UsageError

SETTINGS = "askfit.toml"
PAGE_ENDINGS = (".md", ".mdx", ".markdown", ".html", ".htm")
SHEET_ENDINGS = (".xlsx", ".ods", ".csv")
SKIPPED_FOLDERS = {
    "node_modules",
    "_site",
    "dist",
    "build",
    "public",
    "vendor",
    "venv",
    "themes",
    "layouts",
    "_layouts",
    "_includes",
}
MOST_FILES = 20_000  # looked at: a home folder by mistake must not take minutes
CV = re.compile(r"^(cv|resume|r[ée]sum[ée]|lebenslauf)([ _.-].*)?$", re.IGNORECASE)

# generator → (files that betray it, folders its content stands in; none: anywhere)
GENERATORS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Astro": (tuple(f"astro.config.{ending}" for ending in ("mjs", "ts", "js", "cjs")), ("src/content", "src/pages")),
    "Hugo": (("hugo.toml", "hugo.yaml", "hugo.yml", "hugo.json", "config.toml"), ("content",)),
    "Jekyll": (("_config.yml", "_config.yaml"), ()),
    "Eleventy": (
        (".eleventy.js", *(f"eleventy.config.{ending}" for ending in ("js", "mjs", "cjs"))),
        ("src", "content", "posts"),
    ),
}


@dataclass(frozen=True, slots=True)
class Found:
    """What a folder holds that askfit can read; paths are relative to it."""

    folder: Path
    generator: str = ""  # "" where no known one
    sources: tuple[str, ...] = ()
    pages: int = 0
    resume: str = ""  # a JSON Resume
    cv: str = ""  # cv.pdf and its like
    skills: str = ""
    other_sheets: tuple[str, ...] = ()
    site: Mapping[str, str] = field(default_factory=dict)  # name, url, contact, language: what could be learnt


def look(folder: Path) -> Found:
    """Find the generator, the content, a résumé and a spreadsheet of skills in a folder."""
    if not folder.is_dir():
        raise UsageError("folder_missing", f"There is no folder {folder}.", "Name the folder of your site.")
    files = list(islice(_files(folder), MOST_FILES))
    generator = _generator(folder)
    sources, pages = _sources(folder, generator, files)
    resume = next((file for file in files if file.suffix == ".json" and _is_json_resume(folder / file)), None)
    cv = next((file for file in files if file.suffix.lower() in (".pdf", ".docx") and CV.match(file.stem)), None)
    sheets = [file for file in files if file.suffix.lower() in SHEET_ENDINGS]
    skills = next((sheet for sheet in sorted(sheets, key=_likely) if _is_matrix(folder / sheet)), None)
    extra = [file.as_posix() for file in (resume, cv) if file]
    return Found(
        folder=folder,
        generator=generator,
        sources=(*sources, *extra),
        pages=pages,
        resume=resume.as_posix() if resume else "",
        cv=cv.as_posix() if cv else "",
        skills=skills.as_posix() if skills else (resume.as_posix() if resume and _has_skills(folder / resume) else ""),
        other_sheets=tuple(sheet.as_posix() for sheet in sheets if sheet != skills),
        site=_site(folder, generator, resume),
    )


def _files(folder: Path, base: Path | None = None) -> Iterator[Path]:
    """Every file below, relative, in a stable order; dot-folders, builds and dependencies left out."""
    base = base or folder
    try:
        entries = sorted(folder.iterdir(), key=lambda entry: (entry.is_dir(), entry.name))
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.is_symlink():
            continue
        if entry.is_dir():
            if entry.name not in SKIPPED_FOLDERS:
                yield from _files(entry, base)
        else:
            yield entry.relative_to(base)


def _generator(folder: Path) -> str:
    for name, (marks, _) in GENERATORS.items():
        for mark in marks:
            if (folder / mark).is_file() and not (mark == "config.toml" and not (folder / "content").is_dir()):
                return name
    return ""


def _sources(folder: Path, generator: str, files: list[Path]) -> tuple[list[str], int]:
    """Globs that cover the pages, one for each folder and ending that has any."""
    pages = [file for file in files if file.suffix.lower() in PAGE_ENDINGS]
    pages = [file for file in pages if not _is_project_file(file) and not in_drafts(file.parts)]
    homes = [home for home in GENERATORS[generator][1] if (folder / home).is_dir()] if generator else []
    inside = [file for file in pages if any(file.is_relative_to(home) for home in homes)]
    if not inside:
        inside = pages
        homes = sorted({file.parts[0] for file in pages if len(file.parts) > 1})
    globs = []
    for home in homes:
        below = {file.suffix for file in inside if file.is_relative_to(home)}
        globs += [f"{home}/**/*{ending}" for ending in sorted(below)]
    top = {file.suffix for file in inside if len(file.parts) == 1}
    globs += [f"*{ending}" for ending in sorted(top)]
    return globs, len(inside)


def _is_project_file(file: Path) -> bool:
    """Files about the repository or for agents, not about the owner."""
    names = {
        "readme",
        "license",
        "changelog",
        "contributing",
        "code_of_conduct",
        "security",
        "claude",
        "agents",
        "gemini",
        "404",
    }
    return file.stem.lower() in names


def _likely(sheet: Path) -> tuple[bool, str]:
    return ("skill" not in sheet.stem.lower(), sheet.as_posix())


def _is_matrix(path: Path) -> bool:
    """Can the skills floor read rows of it?"""
    from askfit.skills import read_matrix

    matrix = read_matrix(path, {})
    unusable = {"skill_column_missing", "level_column_missing", "matrix_unreadable", "matrix_empty", "matrix_too_large"}
    return not any(fault.code in unusable for fault in matrix.faults)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig")) if path.stat().st_size < 2_000_000 else None
    except (OSError, ValueError):
        return None


def _is_json_resume(path: Path) -> bool:
    resume = _read_json(path)
    basics = resume.get("basics") if isinstance(resume, dict) else None
    return (
        isinstance(basics, dict) and "name" in basics and any(key in resume for key in ("work", "education", "skills"))
    )


def _has_skills(path: Path) -> bool:
    skills = _read_json(path).get("skills")
    return isinstance(skills, list) and any(isinstance(skill, dict) and skill.get("level") for skill in skills)


def _site(folder: Path, generator: str, resume: Path | None) -> dict[str, str]:
    """Name, url, contact and language, from the résumé first, then the generator's settings, then CNAME."""
    learnt: dict[str, str] = {}
    for source in (_from_resume(folder, resume), _from_generator(folder, generator), _from_cname(folder)):
        for key, value in source.items():
            if isinstance(value, str) and value.strip() and "\n" not in value:
                learnt.setdefault(key, value.strip())
    return learnt


def _from_resume(folder: Path, resume: Path | None) -> dict[str, Any]:
    if resume is None:
        return {}
    basics = _read_json(folder / resume)["basics"]
    return {"name": basics.get("name"), "url": basics.get("url"), "contact": basics.get("email")}


def _from_cname(folder: Path) -> dict[str, Any]:
    for place in ("CNAME", "public/CNAME", "static/CNAME"):
        path = folder / place
        if path.is_file():
            host = path.read_text(encoding="utf-8", errors="replace").strip()
            return {"url": f"https://{host}"} if re.fullmatch(r"[a-z0-9.-]+\.[a-z]{2,}", host) else {}
    return {}


def _from_generator(folder: Path, generator: str) -> dict[str, Any]:
    for mark in GENERATORS[generator][0] if generator else ():
        path = folder / mark
        if path.is_file():
            return _READERS.get(path.suffix, _read_script)(path.read_text(encoding="utf-8", errors="replace"))
    return {}


def _read_yaml(text: str) -> dict[str, Any]:
    import yaml

    try:
        return _common(yaml.safe_load(text))
    except yaml.YAMLError:
        return {}


def _read_toml(text: str) -> dict[str, Any]:
    try:
        return _common(tomllib.loads(text))
    except tomllib.TOMLDecodeError:
        return {}


def _read_script(text: str) -> dict[str, Any]:
    """`site: "https://…"` of an Astro or Eleventy configuration; the script is never run."""
    match = re.search(r"""\bsite\s*:\s*["'](https?://[^"'\s]+)["']""", text)
    return {"url": match.group(1)} if match else {}


def _common(table: Any) -> dict[str, Any]:
    """The keys under which Jekyll and Hugo keep the owner's name, address and contact."""
    if not isinstance(table, dict):
        return {}
    author = table.get("author")
    named = author.get("name") if isinstance(author, dict) else author
    email = author.get("email") if isinstance(author, dict) else None
    return {
        "name": named or table.get("title"),
        "url": table.get("baseURL") or table.get("url"),
        "contact": email or table.get("email"),
        "language": table.get("languageCode") or table.get("lang"),
    }


_READERS = {".yml": _read_yaml, ".yaml": _read_yaml, ".toml": _read_toml}


def write(found: Found) -> Path:
    """Write askfit.toml into the folder, whole or not at all; one that is there is never touched."""
    path = found.folder / SETTINGS
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(render(found))
    except FileExistsError:
        raise UsageError(
            "settings_exist", f"{path} is already there and was left as it is.", "Move it away first, or edit it."
        ) from None
    except OSError as error:
        raise UsageError(
            "folder_unwritable",
            f"{path} cannot be written ({error.strerror}).",
            "Choose a folder that you may write to.",
        ) from None
    return path


def render(found: Found) -> str:
    """The text of askfit.toml for what was found; what is only guessed says so."""
    known = found.site
    sources = found.sources or ("content/**/*.md",)
    listed = ", ".join(map(_quoted, sources))
    guess = "" if found.sources else "   # nothing found yet: put your pages there, or name where they are"
    skills = f"[skills]\npath = {_quoted(found.skills)}"
    if not found.skills:
        skills = '# No spreadsheet with a skill and a level column was found: /fit-check is off until you name one.\n# [skills]\n# path = "skills.xlsx"'  # noqa: E501
    return f"""\
# askfit.toml — what askfit reads and how it answers. Paths are relative to this file. Try: askfit check
# Keys never stand here: set ANTHROPIC_API_KEY in the environment. Without it the built-in answers, and says so.

[site]
name = {_quoted(known.get("name", "Your Name"))}{_todo("name", known)}
url = {_quoted(_address(known.get("url", "https://you.example.com")))}{_todo("url", known)}
contact = {_quoted(_contact(known.get("contact", "you@example.com")))}{_todo("contact", known)}
language = {_quoted(known.get("language", "en")[:2].lower())}

[corpus]
# md, mdx, html, txt, pdf, docx, JSON Resume. Front matter `ai: false`, `draft: true` or `published: false`
# keeps a page out.
sources = [{listed}]{guess}
exclude = ["**/drafts/**"]

{skills}

# Two features, each on the model that fits its task: a small one for answers that stand on the site already,
# a large one for judging a posting. `askfit models` shows prices; every other setting has a sound default.
[models]
small = "anthropic:claude-haiku-4-5"
large = "anthropic:claude-sonnet-4-6"

[budget]
per_day_usd = 2.00
per_month_usd = 20.00
when_spent = "builtin"   # go on without a model; "refuse" says so and stops
"""


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes are TOML's, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _todo(key: str, known: Mapping[str, str]) -> str:
    return "" if key in known else "   # to fill in"


def _address(url: str) -> str:
    return url if url.startswith(("https://", "http://")) else "https://you.example.com"


def _contact(contact: str) -> str:
    return contact if contact.startswith(("mailto:", "http")) or "@" not in contact else f"mailto:{contact}"


def as_json(found: Found, path: Path) -> dict[str, Any]:
    """What was found, for machines."""
    return {"settings": str(path), **asdict(found), "folder": str(found.folder)}
