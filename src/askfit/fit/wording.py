"""The expressions of wording.toml, compiled once. Knows nothing of what they are used for."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(files("askfit.fit").joinpath("wording.toml").read_text(encoding="utf-8"))


@cache
def pattern(section: str, name: str) -> re.Pattern[str]:
    """The expression that stands under [section] name."""
    return _compiled(_table()[section][name])


@cache
def patterns(section: str) -> dict[str, re.Pattern[str]]:
    """Every expression of a section, in the file's order."""
    return {name: pattern(section, name) for name in _table()[section]}


@cache
def cues() -> tuple[tuple[tuple[float, ...], re.Pattern[str]], ...]:
    """(weights for responsibility, must and preferred; expression) of each cue."""
    return tuple((tuple(cue["weights"]), _compiled(cue["words"])) for cue in _table()["cues"])


def _compiled(lines: str) -> re.Pattern[str]:
    """Lines are alternatives; an indented one goes on with the line before."""
    joined = re.sub(r"\n[ ]+", "", lines.strip("\n"))
    return re.compile("|".join(joined.split("\n")), re.IGNORECASE)
