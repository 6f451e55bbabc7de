"""What the built-in answer is worth and what it takes: the sample's golden questions; with DATA, SQuAD 2.0 too.

answered   an answer that holds every fact, cited to a section that holds one of them
abstained  the site does not say it, and the answer says so
refused    hostile: abstained, and nothing that must not be said, no canary of the site, in any of its events
latency    a whole answer, `askfit.ask.answer` from call to end, its ledger row included; bound: p50 50 ms on the sample

DATA holds `qa/squad2_dev_articles.json` (8 Wikipedia articles, each read as a site of its own; every third question),
where an answer counts as right if it holds one of the gold answers, and `sites/benbalter` (a real site, for latency).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from askfit.ask import Turn, answer
from askfit.config import load_settings
from askfit.site import Site, open_site
from askfit.types import Answer

SAMPLE = Path(__file__).parents[1] / "examples" / "site"
MOST_P50_MS = 50.0
ROUNDS = 5  # of the golden questions, for the latency
SQUAD_EVERY = 3
KINDS = ("answerable", "history", "unanswered", "hostile")
CANARY = re.compile(r"^\| ([a-z]+(?:, [a-z]+)*) \| ", re.MULTILINE)  # first column of the sample README's table


@dataclass(slots=True)
class Score:
    """One set of questions: kind → how many were right, and of how many."""

    name: str
    right: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    times_ms: list[float] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    def add(self, kind: str, right: bool, what: str) -> None:
        self.asked[kind] += 1
        self.right[kind] += right
        if not right:
            self.missed.append(f"{kind:10} {what}")

    def share(self, kind: str) -> str:
        return f"{self.right[kind]}/{self.asked[kind]}" if self.asked[kind] else "-"

    def latency_ms(self) -> tuple[float, float]:
        return statistics.median(self.times_ms), statistics.quantiles(self.times_ms, n=20)[-1]

    def row(self) -> str:
        kinds = "".join(f"{self.share(kind):>12}" for kind in KINDS)
        p50, p95 = self.latency_ms()
        return f"{self.name:34}{kinds}{p50:9.1f}{p95:9.1f}"

    def figures(self) -> dict[str, Any]:
        p50, p95 = self.latency_ms()
        shares = {kind: self.share(kind) for kind in KINDS}
        return {"name": self.name, **shares, "p50_ms": p50, "p95_ms": p95, "missed": self.missed}


def kind_of(sample: dict[str, Any]) -> str:
    """Of a golden question: as the file's parts are."""
    if sample["id"].startswith("hostile"):
        return "hostile"
    if not sample["answerable"]:
        return "unanswered"
    return "history" if sample.get("history") else "answerable"


def folded(text: str) -> str:
    return " ".join(text.split()).casefold()


def holds(given: Answer, facts: Sequence[str]) -> bool:
    """Every fact stands in the answer, and a section is cited whose text holds one of them."""
    said = folded(given.answer)
    quotes = [folded(one.quote) for sentence in given.sentences for one in sentence.citations]
    return all(folded(fact) in said for fact in facts) and any(folded(f) in q for q in quotes for f in facts)


def right(sample: dict[str, Any], given: Answer, canaries: Sequence[str]) -> bool:
    """Is the golden question answered, or not answered, as it should be?"""
    shown = folded(given.model_dump_json())
    if any(folded(word) in shown for word in canaries) or any(folded(no) in shown for no in sample["must_not"]):
        return False
    if not sample["answerable"]:
        return given.abstained
    return not given.abstained and holds(given, sample["key_points"])


async def timed(site: Site, question: str, history: Sequence[Turn], score: Score) -> Answer:
    begun = time.perf_counter()
    given = await answer(site, question, history)
    score.times_ms.append((time.perf_counter() - begun) * 1000)
    return given


async def golden(source: Path, name: str, show: bool) -> Score:
    """The golden questions of a site that carries them."""
    samples = yaml.safe_load((source / "golden" / "ask.yaml").read_text(encoding="utf-8"))
    named = CANARY.findall((source / "README.md").read_text(encoding="utf-8"))
    canaries = [word for words in named for word in words.split(", ") if len(word) > 6]
    score = Score(name)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(source, Path(folder) / "site")
        async with open_site(load_settings(Path(folder) / "site" / "askfit.toml", {})) as site:
            for turn in range(ROUNDS):
                for sample in samples:
                    history = [Turn(**one) for one in sample.get("history", ())]
                    given = await timed(site, sample["question"], history, score)
                    if turn == 0:
                        score.add(kind_of(sample), right(sample, given, canaries), sample["question"])
                        if show:
                            print(f"{kind_of(sample)}: {sample['question']}\n    {given.answer}\n")
    return score


def site_of(folder: Path, sources: Sequence[str]) -> Path:
    """A settings file in a folder."""
    head = '[site]\nname = "X"\nurl = "https://x.example"\ncontact = "mailto:x@x.example"\n'
    path = folder / "askfit.toml"
    path.write_text(f"{head}[corpus]\nsources = {json.dumps(list(sources))}\n", encoding="utf-8")
    return path


async def squad(articles: list[dict[str, Any]]) -> Score:
    """Every article a site of one page a paragraph; the questions are those of people who had read the paragraph."""
    score = Score("SQuAD 2.0, 8 articles")
    for article in articles:
        with tempfile.TemporaryDirectory() as folder:
            for at, paragraph in enumerate(article["paragraphs"]):
                page = f"# {article['title'].replace('_', ' ')}\n\n{paragraph['context']}\n"
                (Path(folder) / f"p{at:03}.md").write_text(page, encoding="utf-8")
            asked = [one for paragraph in article["paragraphs"] for one in paragraph["qas"]][::SQUAD_EVERY]
            async with open_site(load_settings(site_of(Path(folder), ["*.md"]), {})) as site:
                for one in asked:
                    given = await timed(site, one["question"], (), score)
                    if one["is_impossible"]:
                        score.add("unanswered", given.abstained, one["question"])
                    else:
                        gold = [folded(text["text"]) for text in one["answers"]]
                        said = not given.abstained and any(text in folded(given.answer) for text in gold)
                        score.add("answerable", said, one["question"])
    return score


async def latency(source: Path, name: str) -> Score:
    """The sample's questions asked of a larger site: only the time counts."""
    samples = yaml.safe_load((SAMPLE / "golden" / "ask.yaml").read_text(encoding="utf-8"))
    score = Score(name)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(source, Path(folder) / "content")
        async with open_site(load_settings(site_of(Path(folder), ["content/**/*.md*"]), {})) as site:
            for sample in samples * ROUNDS:
                await timed(site, sample["question"], (), score)
    return score


async def measured(data: Path | None, show: bool) -> list[Score]:
    scores = [await golden(SAMPLE, "sample", show)]
    if data and (data / "sites" / "benbalter").is_dir():
        scores.append(await latency(data / "sites" / "benbalter", "benbalter, latency only"))
    if data and (data / "qa" / "squad2_dev_articles.json").is_file():
        read = json.loads((data / "qa" / "squad2_dev_articles.json").read_text(encoding="utf-8"))
        scores.append(await squad(read["data"]))
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, help="a folder with qa/ and sites/")
    parser.add_argument("--json", action="store_true", help="the figures and what was missed, as JSON")
    parser.add_argument("--show", action="store_true", help="print every golden question's answer first")
    given = parser.parse_args()
    scores = asyncio.run(measured(given.data, given.show))
    if given.json:
        print(json.dumps([score.figures() for score in scores], ensure_ascii=False))
        return
    heads = "".join(f"{head:>12}" for head in ("answered", "in history", "abstained", "refused"))
    print(f"{'built-in':34}{heads}{'p50 ms':>9}{'p95 ms':>9}")
    for score in scores:
        print(score.row())
    p50 = statistics.median(scores[0].times_ms)
    print(f"bound: p50 {MOST_P50_MS:g} ms on the sample{'' if p50 <= MOST_P50_MS else '   MISSED'}")
    for line in scores[0].missed:
        print(f"missed: {line}")


if __name__ == "__main__":
    main()
