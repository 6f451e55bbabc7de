"""The built-in assessment: its verdicts on the sample's golden postings, and its time for 200 rows × 60 requirements.

Prints, for each golden posting, the verdict that a senior would give and the one that the rules give, and how many of
the phrases that an honest assessment names as gaps it names. With a DATA folder: how the verdicts spread over its real
postings for the sample's matrix, and the time each takes.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from askfit.config import load_settings
from askfit.fit import assess
from askfit.fit.sections import read_lines
from askfit.site import Site, open_site
from askfit.types import Assessment

SAMPLE = Path(__file__).parents[1] / "examples" / "site"
RUNS = 15
MOST_REAL = 100


def named_gaps(assessment: Assessment) -> str:
    """Everything that the assessment names as a gap or a misfit, as one text."""
    gaps = [requirement.text for requirement in assessment.requirements if requirement.band == "gap"]
    reasons = [requirement.reason for requirement in assessment.requirements if requirement.band != "strong"]
    return "\n".join([*gaps, *reasons, *(misfit.text for misfit in assessment.misfits)]).casefold()


async def golden(site: Site) -> int:
    """Print the golden table; return how many verdicts are the senior's."""
    path = SAMPLE / "golden" / "fit.yaml"
    agreed = 0
    print(f"{'golden posting':28} {'senior':14} {'rules':14} score {'gaps named':10} ms")
    for case in yaml.safe_load(path.read_text(encoding="utf-8")):
        posting = (path.parent / case["posting_file"]).read_text(encoding="utf-8")
        begun = time.perf_counter()
        found = await assess(site, posting)
        took = (time.perf_counter() - begun) * 1000
        said = named_gaps(found)
        hits = sum(phrase.casefold() in said for phrase in case["must_name_gaps"])
        agreed += found.verdict == case["verdict"]
        short = [
            verdict.replace("insufficient_information", "insufficient") for verdict in (case["verdict"], found.verdict)
        ]
        score = "-" if found.score is None else f"{found.score:.0f}"
        print(
            f"{case['id']:28} {short[0]:14} {short[1]:14} {score:>5} {hits:>5}/{len(case['must_name_gaps'])}"
            f"    {took:4.0f}"
        )
    return agreed


def long_posting(requirements: int) -> str:
    """A posting of so many requirements, of skills that postings name."""
    skills = [
        "SQL",
        "roadmaps",
        "Kafka",
        "A/B testing",
        "user research",
        "pricing",
        "Kubernetes",
        "Figma",
        "data quality",
    ]
    verbs = "Own,Deep experience of,Proven work with,Improve,Several years of,Lead the team's".split(",")
    lines = [
        f"- {verbs[at % len(verbs)]} {skills[at % len(skills)]} and {skills[(at * 7 + 3) % len(skills)]} in area {at}"
        for at in range(requirements)
    ]
    return "# Senior Product Manager\n\n## Requirements\n\n" + "\n".join(lines)


async def timed(site: Site, posting: str) -> list[float]:
    """Milliseconds of each of RUNS assessments of one posting."""
    times = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        await assess(site, posting)
        times.append((time.perf_counter() - begun) * 1000)
    return times


def postings_of(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV with Title, Responsibilities, Minimum and Preferred Qualifications."""
    with path.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["Responsibilities"].strip()]


def kinds_agreed(rows: list[dict[str, str]]) -> str:
    """Macro-F1 of a line's kind, all headings taken away, against the column that it stands in."""
    columns = {
        "Responsibilities": "responsibility",
        "Minimum Qualifications": "must",
        "Preferred Qualifications": "preferred",
    }
    found: Counter[tuple[str, str]] = Counter()
    for row in rows:
        gold = {
            line.strip(): kind for column, kind in columns.items() for line in row[column].split("\n") if line.strip()
        }
        said = {line.text: line.kind for line in read_lines("\n".join(gold))}
        found.update((kind, said.get(line, "other")) for line, kind in gold.items())
    scores = []
    for kind in columns.values():
        right = found[kind, kind]
        given = sum(count for (_, said), count in found.items() if said == kind)
        there = sum(count for (gold_kind, _), count in found.items() if gold_kind == kind)
        scores.append(2 * right / (given + there))
    return f"macro-F1 {statistics.mean(scores):.3f} over {sum(found.values())} lines"


async def real(site: Site, rows: list[dict[str, str]]) -> None:
    """Print how the verdicts spread over real postings, for the sample's matrix."""
    verdicts: Counter[str] = Counter()
    times: list[float] = []
    for row in rows[:: max(1, len(rows) // MOST_REAL)]:
        parts = ("Responsibilities", "Minimum Qualifications", "Preferred Qualifications")
        posting = f"# {row['Title']}\n\n" + "\n\n".join(f"## {part}\n\n{row[part]}" for part in parts)
        begun = time.perf_counter()
        verdicts[(await assess(site, posting)).verdict] += 1
        times.append((time.perf_counter() - begun) * 1000)
    spread = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common())
    print(f"\n{len(times)} real postings: {spread}; p50 {statistics.median(times):.0f} ms, most {max(times):.0f} ms")


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", type=Path, help="a folder with postings/")
    data: Any = parser.parse_args().data
    rows_of_data = (
        [row for path in sorted((data / "postings").glob("*.csv")) for row in postings_of(path)] if data else []
    )
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(SAMPLE, Path(folder) / "site")
        async with open_site(load_settings(Path(folder) / "site" / "askfit.toml", {})) as site:
            agreed = await golden(site)
            print(f"verdicts agreed: {agreed}")
            rows = len(site.matrix.skills) if site.matrix else 0
            times = await timed(site, long_posting(60))
            p50, p95 = statistics.median(times), statistics.quantiles(times, n=20)[-1]
            print(f"\n{rows} rows × 60 requirements: p50 {p50:.0f} ms, p95 {p95:.0f} ms (bound: p50 300 ms)")
            if rows_of_data:
                await real(site, rows_of_data)
                print(f"must, preferred or responsibility, no headings: {kinds_agreed(rows_of_data)}")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
