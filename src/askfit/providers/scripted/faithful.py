"""What a careful model would make of askfit's own prompts, by counting shared words: quotes only, invents nothing.

Reads the forms of askfit's own prompts: sections with a number, a matrix of rows, a list of requirements. Good enough
to see the whole way run; no measure of any real model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from askfit.text import sentences, stem, words

LEAST_SHARED = 0.4  # of the question's words; with fewer in common no sentence answers it
_MARKED = re.compile(r"^(?:<section n=\"(\d+)\"|\[\[(\d+)\]\])")
_ROW = re.compile(r"^(\d+) \| ([^|]+?) \| ([\d.]+)", re.MULTILINE)
_ASKED = re.compile(r"^(\S+) \| ([\d.]+) \| \w+ \| (.+)$", re.MULTILINE)
_COMMON = frozenset(
    words(
        "a about an and any are as at be been by can did do does for from had has have he her his how i in is it its "
        "me my of on or she that the their them they this to was were what when where which who why will with you your"
    )
)


# ---------------------------------------------------------------- a chat


def quoted_answer(system: str, asked: str) -> str:
    """The sentence that shares most words with the question, and its section's marker; else that there is none."""
    question = tagged("question", asked) or asked
    wanted = stems(question)
    best, answer = 0.0, ""
    for marker, sentence in marked_sentences(f"{system}\n{tagged('passages', asked)}"):
        have = stems(sentence)
        score = len(wanted & have) - len(have) / 1000  # of two that share as many, the shorter
        if len(wanted & have) >= LEAST_SHARED * len(wanted) and score > best:
            best, answer = score, f"{sentence} [[{marker}]]" if marker else sentence
    return answer or ("[[none]]" if "[[none]]" in system else "The site does not say.")


def tagged(tag: str, text: str) -> str:
    """What stands between a tag's last opening and its end; "" where it is not there."""
    return text.rpartition(f"<{tag}>\n")[2].partition(f"\n</{tag}>")[0] if f"<{tag}>\n" in text else ""


def marked_sentences(text: str) -> Iterator[tuple[str, str]]:
    """(marker, sentence) of every line under a section's marker; of every line where nothing is marked."""
    lines = text.splitlines()
    marked, marker = any(map(_MARKED.match, lines)), ""
    for line in lines:
        if match := _MARKED.match(line):
            marker = match[1] or match[2]
        elif line.startswith("<"):
            marker = ""
        elif marker or not marked:
            yield from ((marker, sentence.lstrip("#-*• ")) for sentence in sentences(line))


def stems(text: str) -> set[str]:
    return {stem(word) for word in words(text) if word not in _COMMON}


# ---------------------------------------------------------------- an assessment


@dataclass(frozen=True, slots=True)
class _Judged:
    id: str
    emphasis: float
    band: str
    rows: tuple[int, ...]
    reason: str
    quote: str

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, "band": self.band, "rows": list(self.rows), "reason": self.reason}


def judgement(system: str, asked: str) -> dict[str, Any] | None:
    """Each listed requirement by the rows whose names stand in it; None where no requirement is listed."""
    rows = [(int(row), name, float(level)) for row, name, level in _ROW.findall(system)]
    judged = [_judge(id, weight, said, rows) for id, weight, said in _ASKED.findall(tagged("requirements", asked))]
    if not judged:
        return None
    met = sum(one.emphasis for one in judged if one.band == "strong")
    met += sum(one.emphasis for one in judged if one.band == "moderate") / 2
    gaps = sorted((one for one in judged if one.band == "gap"), key=lambda one: -one.emphasis)[:3]
    verdict = "strong" if met >= 0.75 else "moderate" if met >= 0.5 else "stretch" if met >= 0.25 else "misfit"
    return {
        "added": [],
        "requirements": [one.as_json() for one in judged],
        "verdict": verdict,
        "headline": f"{verdict.capitalize()}: the rows meet {met:.0%} of what the posting stresses.",
        "why": f"The rows meet {met:.0%} of the posting's emphasis. Gaps named: {len(gaps)}.",
        "misfits": [{"text": f"Not met: {one.quote}", "requirement_ids": [one.id]} for one in gaps],
        "questions_to_ask": [f"How near has the work come to this: {one.quote}?" for one in gaps],
    }


def _judge(id: str, emphasis: str, quote: str, rows: list[tuple[int, str, float]]) -> _Judged:
    have = stems(quote)
    bearing = [row for row in rows if stems(row[1]) and stems(row[1]) <= have]
    best = max(bearing, key=lambda row: row[2], default=None)
    level = best[2] if best else 0.0
    band = "strong" if level >= 4 else "moderate" if level >= 3 else "gap"
    reason = f"Row {best[0]}, {best[1]}, level {level:g}." if best else "Not in the matrix."
    return _Judged(id, float(emphasis), band, tuple(row[0] for row in bearing[:4]), reason, quote)
