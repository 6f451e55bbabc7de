"""What in a posting speaks to whoever judges it, taken out before it is read. Knows nothing of requirements.

A posting tells people what a job asks. Nothing in it has to tell a judge what to find: such words are followed by
nobody, and neither rules nor model get to see them. What stands behind them on the same line goes with them, for it is
mostly the rest of the same order.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files

from askfit import text

FEWEST_LEFT_WORDS = 3  # before an order, in its sentence: fewer are its beginning


@cache
def _addressed() -> tuple[re.Pattern[str], ...]:
    """The expressions of orders.toml."""
    table = tomllib.loads(files("askfit.fit").joinpath("orders.toml").read_text(encoding="utf-8"))
    parts = {name: _joined(lines) for name, lines in table["parts"].items()}

    def compiled(lines: str) -> re.Pattern[str]:
        for name, part in parts.items():
            lines = lines.replace(f"{{{name}}}", part)
        return re.compile("|".join(_joined(lines).split("\n")), re.IGNORECASE)

    return tuple(compiled(lines) for lines in table["addressed"].values())


def _joined(lines: str) -> str:
    """An indented line goes on with the line before."""
    return re.sub(r"\n[ ]+", "", lines.strip("\n"))


def without_orders(posting: str) -> tuple[str, int]:
    """(the posting without what speaks to its judge, on how many lines it stood)."""
    kept: list[str] = []
    found = 0
    for line in posting.split("\n"):
        at = _begins(line)
        found += at is not None
        left = line if at is None else _before(line, at)
        if left or at is None:
            kept.append(left)
    return ("\n".join(kept), found) if found else (posting, 0)


def _begins(line: str) -> int | None:
    """Where the first order of a line begins."""
    if not line.strip():
        return None
    return min((match.start() for said in _addressed() if (match := said.search(line))), default=None)


def _before(line: str, at: int) -> str:
    """What the line asks before the order: whole sentences, and an item to which another sentence was put."""
    start = next((start for start, end in text.sentence_spans(line) if start <= at < end), at)
    is_put_to = not line[at].islower() and len(text.words(line[start:at])) >= FEWEST_LEFT_WORDS
    left = (line[:at] if is_put_to else line[:start]).rstrip(' \t([{"“«-–—:')
    return left if text.words(left) else ""
