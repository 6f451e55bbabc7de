"""How surely a job posting pasted into the chat is told from a question: recall on postings, false alarms on the rest.

With DATA: `postings/google_postings_dev.csv` (real postings, put together in four ways as people paste them), questions
and paragraphs of `qa/squad2_dev_articles.json`, paragraphs and whole pages of `sites/benbalter`. Always: the sample's
postings, golden questions and pages. Bounds: ≥98% of postings in each way, ≤0.5% of questions and page texts together.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import yaml

from askfit.ask.handoff import looks_like_posting

SAMPLE = Path(__file__).parents[1] / "examples" / "site"
NO_POSTINGS = ("not-a-posting.md", "thin.txt")  # of the sample's postings
LEAST_RECALL, MOST_ALARMS = 0.98, 0.005
ABOUT = ("Company", "Title", "Category", "Location")
ASKED = ("Responsibilities", "Minimum Qualifications", "Preferred Qualifications")
Row = dict[str, str]


def as_it_stands(row: Row) -> str:
    return "\n\n".join(row[name].strip() for name in (*ABOUT, *ASKED))


def with_headings(row: Row) -> str:
    return "\n\n".join([row["Title"], row["Location"], *(f"{name}\n{row[name]}" for name in ASKED)])


def asked_alone(row: Row) -> str:
    return "\n\n".join(row[name].strip() for name in ASKED)


def on_one_line(row: Row) -> str:
    return " ".join(as_it_stands(row).split())


WAYS: tuple[Callable[[Row], str], ...] = (as_it_stands, with_headings, asked_alone, on_one_line)


def paragraphs(text: str) -> list[str]:
    return [part for part in re.split(r"\n\s*\n", text) if part.strip()]


def postings(data: Path | None) -> Iterator[tuple[str, list[str]]]:
    """(kind, texts) that are postings."""
    own = [path for path in sorted((SAMPLE / "postings").iterdir()) if path.name not in NO_POSTINGS]
    yield "sample postings", [path.read_text(encoding="utf-8") for path in own]
    path = data / "postings" / "google_postings_dev.csv" if data else None
    if path and path.is_file():
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        for way in WAYS:
            yield f"real, {way.__name__.replace('_', ' ')}", [way(row) for row in rows]


def others(data: Path | None) -> Iterator[tuple[str, list[str]]]:
    """(kind, texts) that are none."""
    golden = yaml.safe_load((SAMPLE / "golden" / "ask.yaml").read_text(encoding="utf-8"))
    yield "golden questions", [one["question"] for one in golden]
    yield from _pages("sample", SAMPLE / "content")
    if data and (path := data / "qa" / "squad2_dev_articles.json").is_file():
        read = json.loads(path.read_text(encoding="utf-8"))["data"]
        found = [paragraph for article in read for paragraph in article["paragraphs"]]
        yield "SQuAD questions", [one["question"] for paragraph in found for one in paragraph["qas"]]
        yield "SQuAD paragraphs", [paragraph["context"] for paragraph in found]
    if data and (data / "sites" / "benbalter").is_dir():
        yield from _pages("benbalter", data / "sites" / "benbalter")


def _pages(name: str, folder: Path) -> Iterator[tuple[str, list[str]]]:
    pages = [path.read_text(encoding="utf-8", errors="replace") for path in sorted(folder.rglob("*.md*"))]
    yield f"{name} pages", pages
    yield f"{name} paragraphs", [part for page in pages for part in paragraphs(page)]


def tell(kind: str, texts: Sequence[str], times_ms: list[float]) -> int:
    """Print one row: how many of the texts are taken for postings."""
    taken = 0
    for text in texts:
        begun = time.perf_counter()
        taken += looks_like_posting(text)
        times_ms.append((time.perf_counter() - begun) * 1000)
    print(f"{kind:28}{taken:6} of {len(texts):5}{taken / len(texts):9.2%}")
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, help="a folder with postings/, qa/ and sites/")
    data = parser.parse_args().data
    times_ms: list[float] = []
    print(f"{'taken for postings':28}")
    recalls = [tell(kind, texts, times_ms) / len(texts) for kind, texts in postings(data)]
    print("  no postings:")
    counts = [(tell(kind, texts, times_ms), len(texts)) for kind, texts in others(data)]
    alarms = sum(taken for taken, _ in counts) / sum(many for _, many in counts)
    missed = "" if min(recalls) >= LEAST_RECALL else "   MISSED"
    print(f"lowest recall {min(recalls):.2%} (bound {LEAST_RECALL:.0%}){missed}")
    print(f"false alarms {alarms:.3%} (bound {MOST_ALARMS:.1%}){'' if alarms <= MOST_ALARMS else '   MISSED'}")
    p50, p99 = statistics.median(times_ms), statistics.quantiles(times_ms, n=100)[-1]
    print(f"time a text: p50 {p50:.2f} ms, p99 {p99:.2f} ms")


if __name__ == "__main__":
    main()
