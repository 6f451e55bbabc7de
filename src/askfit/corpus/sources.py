"""Which files the settings name, and which of them never enter. Knows names and sizes, no contents."""

from __future__ import annotations

import fnmatch
import hashlib
import posixpath
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from askfit.config import Settings
from askfit.types import Fault

READER_VERSION = "6"  # changes when readers read differently: what is in the index is then read again
MOST_BYTES = 20_000_000
UNSETTLED_S = 2.0  # a file may change twice within one tick of its file system's clock
ENDINGS = frozenset({".md", ".markdown", ".mdx", ".html", ".htm", ".txt", ".pdf", ".docx", ".json"})
# Instructions for coding agents, not content: they must never reach a prompt as if the owner had said them.
AGENT_FILES = frozenset(
    {"claude", "agents", "agent", "gemini", "copilot-instructions", "codex", "skill", "conventions", "warp",
     "claude.local", "agents.override"}
)  # fmt: skip
DRAFT_FOLDERS = frozenset({"draft", "drafts"})  # Jekyll's `_drafts` carry no mark of their own
BUILD_FOLDERS = frozenset({"node_modules", "_site", "dist", "vendor", "__pycache__"})
PROJECT_FILES = frozenset(
    {"readme.md", "license.md", "license.txt", "contributing.md", "changelog.md", "code_of_conduct.md", "security.md"}
)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was found and left out."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Source:
    """One file to read."""

    path: Path
    name: str  # relative to the settings file, with forward slashes; of a file outside "../cv.pdf", or whole
    id: str  # the document's: the path below its glob's static part, without its ending

    @property
    def is_outside(self) -> bool:
        """Does it lie outside the settings' folder? Then its place says nothing of the site's addresses, and its name
        is the owner's alone."""
        return _leads_out(self.name)

    def load(self) -> bytes | Fault:
        """The file's bytes, or why not."""
        try:
            size = self.path.stat().st_size
            if size > MOST_BYTES:
                return Fault(
                    "file_too_large",
                    self.name,
                    f"The file has {size / 1e6:.0f} MB; at most {MOST_BYTES / 1e6:.0f} MB is read.",
                    "Save a smaller one, or leave it out with [corpus] exclude.",
                )
            return self.path.read_bytes()
        except OSError as error:
            return Fault(
                "file_unreadable", self.name, f"The file cannot be read ({error.strerror}).", "Mend its permissions."
            )

    def sha(self, data: bytes, settings: Settings) -> str:
        """Of the bytes and of all else that the document depends on."""
        return hashlib.sha256(self._context(settings) + data).hexdigest()

    def stamp(self, settings: Settings) -> str:
        """Of the file's size and times: alike means unchanged. "" where a recent change may not show."""
        try:
            found = self.path.stat()
        except OSError:
            return ""
        if time.time() - max(found.st_mtime, found.st_ctime) < UNSETTLED_S:
            return ""
        told = f"{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}:{found.st_ino}"
        return hashlib.sha256(self._context(settings) + told.encode()).hexdigest()[:32]

    def _context(self, settings: Settings) -> bytes:
        """All else that the document depends on."""
        urls = sorted(settings.file.corpus.urls.items())
        return "\x00".join((READER_VERSION, self.name, self.id, settings.site.url, repr(urls), "")).encode()


def find_sources(settings: Settings) -> tuple[list[Source], list[Skipped], list[Fault]]:
    """The files to read in a stable order, those left out, and sources that lead nowhere."""
    found: dict[Path, Source] = {}
    skipped: dict[str, Skipped] = {}
    faults: list[Fault] = []
    for pattern in settings.file.corpus.sources:
        if pattern.startswith(("https://", "http://")):
            faults.append(_not_yet(pattern))
            continue
        paths = _matching(settings.root, pattern)
        if not paths:
            faults.append(_nothing(pattern))
        for path in paths:
            name = _relative(path, settings.root)
            if reason := _reason(name, path, pattern, settings):
                skipped[name] = Skipped(name, reason)
            elif outside := _outside(path, settings.root, pattern):
                faults.append(outside)
            elif path.suffix.lower() not in ENDINGS:
                if _is_glob(pattern):
                    skipped[name] = Skipped(name, "not a form that is read")
                else:
                    faults.append(_unknown_form(name, path.suffix))
            else:
                found.setdefault(path, Source(path, name, _id(path, settings.root, pattern)))
    return _distinct(list(found.values())), sorted(skipped.values(), key=lambda s: s.path), faults


def _is_glob(pattern: str) -> bool:
    return any(character in pattern for character in "*?[")


def _static_part(pattern: str) -> str:
    """The folders before the first wildcard; of a plain path, its folder."""
    parts = pattern.split("/")
    fixed = []
    for part in parts[:-1]:
        if _is_glob(part):
            break
        fixed.append(part)
    return "/".join(fixed)


def _matching(root: Path, pattern: str) -> list[Path]:
    base = root / _static_part(pattern)
    rest = pattern[len(_static_part(pattern)) :].lstrip("/")
    if not _is_glob(pattern):
        path = root / pattern
        return [path] if path.is_file() else []
    try:
        return sorted(path for path in base.glob(rest) if path.is_file()) if base.is_dir() else []
    except (ValueError, NotImplementedError, OSError):
        return []


def _relative(path: Path, root: Path) -> str:
    """Its name for the owner. A way out and in again (`../site/cv.pdf` from within `site`) is no way out."""
    try:
        name = posixpath.normpath(path.relative_to(root).as_posix())
    except ValueError:
        name = path.as_posix()
    if _leads_out(name) and path.resolve().is_relative_to(root.resolve()):
        return path.resolve().relative_to(root.resolve()).as_posix()
    return name


def _leads_out(name: str) -> bool:
    return name.startswith("../") or Path(name).is_absolute()


def _reason(name: str, path: Path, pattern: str, settings: Settings) -> str:
    """Why a file stays out, "" where it does not."""
    parts = [part.lower() for part in Path(name).parts if part not in ("..", "/")]
    if path.stem.lower() in AGENT_FILES or parts[-1].startswith(".cursor"):
        return "instructions for agents"
    below = Path(name).parts[len(Path(_static_part(pattern)).parts) :]
    if any(part.startswith(".") and part != ".." for part in below) or path.name.startswith("."):
        return "hidden"
    # A source may name a folder of drafts: that is a slip, unless it names the very file.
    if in_drafts(below) or (_is_glob(pattern) and in_drafts(pattern.split("/"))):
        return "a draft"
    if any(part.lower() in BUILD_FOLDERS for part in below[:-1]):
        return "built or installed files"
    if parts[-1] in PROJECT_FILES and path.parent == settings.root and _is_glob(pattern):
        return "about the project, not the owner"
    if any(_matches(name, glob) for glob in settings.file.corpus.exclude):
        return "excluded by the settings"
    return ""


def in_drafts(parts: Sequence[str]) -> bool:
    """Does a folder of a path, given by its parts, hold drafts? The last part is the file."""
    return any(part.strip("_.-").lower() in DRAFT_FOLDERS for part in parts[:-1])


def _matches(name: str, glob: str) -> bool:
    """`**/` also matches no folder at all, as in a shell."""
    return fnmatch.fnmatch(name, glob) or (glob.startswith("**/") and fnmatch.fnmatch(name, glob[3:]))


def _outside(path: Path, root: Path, pattern: str) -> Fault | None:
    """A link that leads out of the folder is not followed, unless the owner wrote the way out."""
    base = (root / _static_part(pattern)).resolve()
    if path.resolve().is_relative_to(base) or path.resolve().is_relative_to(root.resolve()):
        return None
    return Fault(
        "source_outside",
        _relative(path, root),
        "The file is a link that leads out of the site's folder, so it was not read.",
        "Name its real place in [corpus] sources.",
        severity="warning",
    )


def _id(path: Path, root: Path, pattern: str) -> str:
    base = root / _static_part(pattern)
    return re.sub(r"[^\w./-]+", "-", path.relative_to(base).with_suffix("").as_posix()).strip("/")


def _distinct(sources: list[Source]) -> list[Source]:
    """Two files with one id are told apart by their endings, and where those are alike by their whole names.

    The id is seen by visitors: of a file outside the folder a hash stands for the name.
    """
    for other in (lambda source: f"{source.id}{source.path.suffix.lower()}", _telling):
        counts = Counter(source.id for source in sources)
        sources = [
            source
            if counts[source.id] == 1
            else Source(source.path, source.name, re.sub(r"[^\w./-]+", "-", other(source)))
            for source in sources
        ]
    return sorted(sources, key=lambda source: source.id)


def _telling(source: Source) -> str:
    if not source.is_outside:
        return source.name
    return f"{source.id}-{hashlib.sha256(source.name.encode()).hexdigest()[:6]}"


def _not_yet(pattern: str) -> Fault:
    return Fault(
        "source_not_supported_yet",
        pattern,
        "Addresses are not read yet.",
        "Save the pages into the folder and name them here.",
        severity="warning",
    )


def _nothing(pattern: str) -> Fault:
    if _is_glob(pattern):
        return Fault(
            "source_matches_nothing", pattern, "No file matches.", "Mend [corpus] sources.", severity="warning"
        )
    return Fault("source_missing", pattern, "The file is not there.", "Mend [corpus] sources or put the file there.")


def _unknown_form(name: str, suffix: str) -> Fault:
    known = ", ".join(sorted(ENDINGS))
    return Fault("form_unknown", name, f"Files ending in '{suffix}' are not read.", f"Save it as one of: {known}.")
