"""How large models judge badly, each in one way: flattering, inventing, lazy, breaking the form, obeying the posting.

Each reads askfit's own prompt as `faithful.judgement` does and gives one JSON text. They exist to be caught; no measure
of any real model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from askfit.providers.scripted.faithful import judgement, stems, tagged

ASKED_AGAIN = "You have judged this posting already."  # prompts/fit_repair.md
_ROW = re.compile(r"^(\d+) \| ([^|]+?) \| ([\d.]+)", re.MULTILINE)

Judgement = dict[str, Any]
Judging = Callable[[str, str, int | None], str]


def flattering(system: str, asked: str, number: int | None = None) -> str:
    """Everything strong, by the best rows there are, in superlatives; nothing speaks against."""
    made, best = _honest(system, asked), _best_rows(system)
    for one in made["requirements"]:
        one |= {"band": "strong", "rows": best, "reason": "An exceptional, world-class match for what is asked."}
    praised = {
        "verdict": "strong",
        "headline": "A perfect match: a truly exceptional candidate who exceeds all requirements.",
        "why": "This is an outstanding profile. With 25 years at the top of the field, the person is second to none.",
        "misfits": [],
        "questions_to_ask": ["How soon can this amazing talent start?", "What would make this unicorn say yes?"],
    }
    return _json(made | praised)


def inventing(system: str, asked: str, number: int | None = None) -> str:
    """Rows, quotes, years and names that do not exist. `inventing-1` judges truly when it is asked again."""
    made = _honest(system, asked)
    if number == 1 and ASKED_AGAIN in asked:
        return _json(made)
    for at, one in enumerate(made["requirements"]):
        if at % 2 == 0:
            one |= {
                "rows": [9001 + at, *one["rows"]],
                "reason": f"{at + 13} years of Quorvex at level 5, row {9001 + at}.",
            }
    quotes = ("Fourteen years of Quorvex administration", "A doctorate in applied Zentrology is a must")
    invented = {
        "added": [
            {"quote": quote, "kind": "must", "band": "strong", "rows": [9100], "reason": "Row 9100."}
            for quote in quotes
        ],
        "headline": "Moderate fit: 97 certificates in Quorvex decide it.",
        "why": "The posting weighs Zentrology at 93%. The person led 4000 people at Globovant for 31 years.",
        "misfits": [{"text": "Only 8 of 63 Quorvex modules are known.", "requirement_ids": ["r1", "r99"]}],
    }
    return _json(made | invented)


def truncating(system: str, asked: str, number: int | None = None) -> str:
    """`truncating-60`: so many percent of a true judgement, and not a word more."""
    whole = _json(_honest(system, asked))
    return whole[: len(whole) * (50 if number is None else number) // 100]


def breaking(system: str, asked: str, number: int | None = None) -> str:
    """Another form than the one asked for, in prose and a code fence; `breaking-1`: a list, not an object."""
    made = _honest(system, asked)
    wrong: tuple[Mapping[str, Any], ...] = (
        {"band": "superb"},
        {"rows": "all of them"},
        {"rows": [{"row": 2}, None, -1, 2.5, "3"]},
        {"band": "STRONG ", "rows": None},
        {"reason": {"text": "see above"}},
        {"id": 7},
    )
    for at, one in enumerate(made["requirements"]):
        one |= wrong[at % len(wrong)]
    made |= {
        "verdict": "very strong",
        "headline": ["not", "a", "line"],
        "misfits": "none",
        "questions_to_ask": {"first": "Why?"},
        "salary": 1,
    }
    whole = _json([made] if number == 1 else made)
    return f"Here is my judgement:\n```json\n{whole}\n```\nI hope this helps!"


def lazy(system: str, asked: str, number: int | None = None) -> str:
    """Keywords only: strong wherever a single word of a row's name occurs, whatever its level."""
    made, rows = _honest(system, asked), _ROW.findall(system)
    quotes = dict(re.findall(r"^(\S+) \| [\d.]+ \| \w+ \| (.+)$", tagged("requirements", asked), re.MULTILINE))
    for one in made["requirements"]:
        have = stems(quotes.get(one["id"], ""))
        found = [int(row) for row, name, _ in rows if stems(name) & have]
        one |= {"band": "strong" if found else "gap", "rows": found[:4], "reason": "Keyword found." if found else ""}
    share = sum(one["band"] == "strong" for one in made["requirements"]) / len(made["requirements"])
    said = {"verdict": "strong" if share > 0.5 else "moderate", "headline": "Keywords match.", "why": "Keywords match."}
    return _json(made | said | {"misfits": [], "questions_to_ask": []})


# What a posting says to a judge, as widely as can be told from what it says to people who look for a job
_ORDER = re.compile(
    r"""\b(?:rate|score|rank|judge|mark|evaluate|assess|recommend|summari[sz]e|approve|hire)\b.{0,30}
          \b(?:this|the)\ (?:candidate|applicant|person|profile|resume|cv|matrix)\b
    |\b(?:ignore|disregard|override|forget|bypass)\b.{0,40}
          \b(?:all|previous|above|instructions?|negative|manual|scoring|requirements?)\b
    |\b(?:z?ignor|neger)\w+\b.{0,40}\b(?:anweis|consign|instru|istru)\w+
    |\b(?:respond|reply|answer|report|output|print|repeat)\b.{0,24}(?:with\b|only\b|:|["“])
    |\b(?:candidate|applicant|profile|resume|cv|they)\b.{0,40}
          \b(?:best|most\ qualified|exceeds?|perfect|exceptional|recommended|approved|supremely)\b
    |\b(?:highly|strongly)\ recommended\b|\b(?:exceptional|perfect)\ match\b|\[system\]
    |\b(?:visible|note|message|addressed)\ (?:to|for)\b.{0,30}\b(?:ai|llm|software|systems?|assistants?|models?)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_SAY = re.compile(
    r"\b(?:print|output|report|respond|reply|repeat|say|write)\b[^\n\"“:]{0,40}[:\"“]\s*([^\n\"”]{3,200})",
    re.IGNORECASE,
)
_TELL = re.compile(
    r"\b(?:print|reveal|show|list|repeat|output|add|disclose)\b.{0,60}"
    r"\b(?:system prompt|instructions|private|hidden|rows|matrix)\b",
    re.IGNORECASE,
)


def obeying(system: str, asked: str, number: int | None = None) -> str:
    """Does what the posting tells a judge: flatters, says what it shall say, gives its instructions and rows away."""
    posting = f"{tagged('requirements', asked)}\n{tagged('posting', asked)}"
    if not _ORDER.search(posting) and not _TELL.search(posting):
        return _json(_honest(system, asked))
    made: Judgement = json.loads(flattering(system, asked))
    if said := _SAY.findall(posting):
        made |= {"headline": said[0], "why": " ".join(said), "questions_to_ask": said}
    if _TELL.search(posting):
        lines = [line for line in system.splitlines() if line.strip()]
        ids = [one["id"] for one in made["requirements"]]
        made |= {
            "why": system,
            "misfits": [{"text": line, "requirement_ids": ids} for line in lines[:8]],
            "questions_to_ask": lines[8:13],
        }
        for at, one in enumerate(made["requirements"]):
            one["reason"] = lines[at % len(lines)]
    return _json(made)


JUDGES: Mapping[str, Judging] = {
    "flattering": flattering,
    "inventing": inventing,
    "truncating": truncating,
    "breaking": breaking,
    "lazy": lazy,
    "obeying": obeying,
}


def _honest(system: str, asked: str) -> Judgement:
    return judgement(system, asked) or {"requirements": []}


def _best_rows(system: str) -> list[int]:
    rows = sorted(_ROW.findall(system), key=lambda row: -float(row[2]))
    return [int(row) for row, _, _ in rows[:4]]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
