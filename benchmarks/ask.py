"""What the built-in answer is worth and what it takes: the sample's golden questions; with DATA, SQuAD 2.0 too.

answered   an answer that holds every fact, cited to a section that holds one of them
abstained  the site does not say it, and the answer says so
refused    hostile: abstained, and nothing that must not be said, no canary of the site, in any of its events
latency    a whole answer, `askfit.ask.answer` from call to end, its ledger row included; bound: p50 50 ms on the sample

DATA holds `qa/squad2_dev_articles.json` (8 Wikipedia articles, each read as a site of its own; every third question),
where an answer counts as right if it holds one of the gold answers, and `sites/benbalter` (a real site, for latency).
The curve takes every question of SQuAD: how many right answers are shown, and how many questions without one refused,
at each threshold of sureness; its area (refused across, right up; 1 is perfect) tells ranking and sureness as one.
No column is held out: the constants were chosen on all 8 articles. The columns show how much the figures vary. Below,
the threshold alone is chosen anew on seven articles and counted on the eighth, each in turn.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import re
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from askfit.ask import Turn, answer
from askfit.ask.extract import choose, search
from askfit.ask.question import understand
from askfit.ask.sureness import LEAST_SURE, certainty
from askfit.ask.weighing import candidates, weigh
from askfit.config import load_settings
from askfit.corpus import Corpus, load_corpus
from askfit.site import Site, open_site
from askfit.types import Answer

SAMPLE = Path(__file__).parents[1] / "examples" / "site"
MOST_P50_MS = 50.0
ROUNDS = 5  # of the golden questions, for the latency
SQUAD = "qa/squad2_dev_articles.json"
SQUAD_EVERY = 3
LEAST_RIGHT, LEAST_REFUSED = 70, 50  # percent, at one threshold
THRESHOLDS = (0.0, 0.2, 0.3, 0.4, 0.45, 0.55, 0.6, 0.7, 0.8, 1.0)  # beside the one in use
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


def write_pages(article: dict[str, Any], folder: Path) -> None:
    for at, paragraph in enumerate(article["paragraphs"]):
        page = f"# {article['title'].replace('_', ' ')}\n\n{paragraph['context']}\n"
        (folder / f"p{at:03}.md").write_text(page, encoding="utf-8")


async def squad(articles: list[dict[str, Any]]) -> Score:
    """Every article a site of one page a paragraph; the questions are those of people who had read the paragraph."""
    score = Score("SQuAD 2.0, 8 articles")
    for article in articles:
        with tempfile.TemporaryDirectory() as folder:
            write_pages(article, Path(folder))
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


@dataclass(frozen=True, slots=True)
class Weighed:
    """One question of SQuAD: what would be shown if it is shown, and how sure that is. Knows no threshold."""

    article: int
    number: int  # of the question in its article
    answerable: bool
    sure: float
    right: bool
    places: tuple[bool, ...]  # does the best sentence hold the answer, the next, …
    words: int  # shown


def weighed(articles: list[dict[str, Any]]) -> list[Weighed]:
    """Every question of every article, weighed once."""
    found: list[Weighed] = []
    for at, article in enumerate(articles):
        with tempfile.TemporaryDirectory() as folder:
            write_pages(article, Path(folder))
            corpus = load_corpus(load_settings(site_of(Path(folder), ["*.md"]), {}))
            asked = [one for paragraph in article["paragraphs"] for one in paragraph["qas"]]
            found += [one_weighed(corpus, question, at, number) for number, question in enumerate(asked)]
            corpus.close()
    return found


def one_weighed(corpus: Corpus, asked: dict[str, Any], article: int, number: int) -> Weighed:
    question = understand(asked["question"], (), "X")
    sections = search(corpus, question)
    telling = weigh(corpus, question, sections)
    found = candidates(telling, sections) if telling.all else []
    if not found:
        return Weighed(article, number, not asked["is_impossible"], -math.inf, False, (), 0)
    gold = [folded(text["text"]) for text in asked["answers"]]
    chosen = choose(telling, found)
    said = folded(" ".join(one.text for one in chosen))
    places = tuple(any(text in folded(one.text) for text in gold) for one in found[:8])
    sure, right = certainty(telling, found[0]), any(text in said for text in gold)
    return Weighed(article, number, not asked["is_impossible"], sure, right, places, len(said.split()))


def at_threshold(some: Sequence[Weighed], least: float) -> tuple[float, float]:
    """Of the answerable the share shown with the answer in it, of the others the share refused, in percent."""
    have = [one for one in some if one.answerable]
    lack = [one for one in some if not one.answerable]
    right = sum(one.right and one.sure >= least for one in have) / len(have)
    return right * 100, sum(one.sure < least for one in lack) / len(lack) * 100


def area(some: Sequence[Weighed]) -> float:
    """Under the curve of (refused, right) over all thresholds, 0 to 1."""
    steps = [-math.inf, *sorted({one.sure for one in some if math.isfinite(one.sure)}), math.inf]
    points = [(refused / 100, right / 100) for right, refused in (at_threshold(some, least) for least in steps)]
    return sum((x2 - x1) * (y1 + y2) / 2 for (x1, y1), (x2, y2) in pairwise(sorted(points, key=lambda at: at[0])))


def best_threshold(some: Sequence[Weighed]) -> float:
    """Where the bound that is met the less well is met best: so a threshold is chosen on articles."""

    def margin(least: float) -> float:
        right, refused = at_threshold(some, least)
        return min(right - LEAST_RIGHT, refused - LEAST_REFUSED)

    return max((step / 100 for step in range(101)), key=margin)


def left_out(every: Sequence[Weighed]) -> list[tuple[int, float, float, float]]:
    """Each article, the threshold chosen on the seven others, and what is right and refused on it there."""
    found = []
    for article in sorted({one.article for one in every}):
        least = best_threshold([one for one in every if one.article != article])
        found.append((article, least, *at_threshold([one for one in every if one.article == article], least)))
    return found


def show_left_out(every: Sequence[Weighed]) -> None:
    found = left_out(every)
    kept = {article: least for article, least, _, _ in found}
    print("\nThe threshold chosen on seven articles, counted on the eighth")
    for article, least, right, refused in found:
        print(f"article {article + 1}: least sure {least:.2f}   {right:.1f} / {refused:.1f}")
    moved = [replace(one, sure=one.sure - kept[one.article]) for one in every]
    right, refused = at_threshold(moved, 0.0)
    missed = "" if right >= LEAST_RIGHT and refused >= LEAST_REFUSED else "   MISSED"
    print(f"all, each left out: {right:.1f} / {refused:.1f}; bound: {LEAST_RIGHT} / {LEAST_REFUSED}{missed}")


def show_curve(every: Sequence[Weighed]) -> None:
    """The curve, its area, and where it loses: not found, or found and refused."""
    sets = {
        "all": every,
        "every third": [one for one in every if one.number % SQUAD_EVERY == 0],
        "the others": [one for one in every if one.number % SQUAD_EVERY],
        "articles 1 3 5 7": [one for one in every if one.article % 2 == 0],
        "articles 2 4 6 8": [one for one in every if one.article % 2],
    }
    print("\nSQuAD 2.0, % shown with the answer / % refused that have none, by the least sureness")
    print(f"{'least sure':12}" + "".join(f"{name:>18}" for name in sets))
    for least in sorted({*THRESHOLDS, LEAST_SURE}):
        pairs = (at_threshold(some, least) for some in sets.values())
        mark = " *" if least == LEAST_SURE else ""
        print(f"{f'{least:g}{mark}':12}" + "".join(f"{f'{right:.1f} / {refused:.1f}':>18}" for right, refused in pairs))
    print(f"{'area':12}" + "".join(f"{area(some):18.3f}" for some in sets.values()))
    for top in (1, 3, 8):
        shares = (statistics.mean(any(one.places[:top]) for one in some if one.answerable) for some in sets.values())
        print(f"{f'in the best {top}':13}" + "".join(f"{share * 100:17.1f} " for share in shares))
    words = statistics.mean(one.words for one in every if one.words)
    right, refused = at_threshold(every, LEAST_SURE)
    missed = "" if right >= LEAST_RIGHT and refused >= LEAST_REFUSED else "   MISSED"
    print(f"* in use; {words:.0f} words shown; bound: {LEAST_RIGHT} / {LEAST_REFUSED} at one threshold{missed}")


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
    if data and (data / SQUAD).is_file():
        read = json.loads((data / SQUAD).read_text(encoding="utf-8"))
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
    if given.data and (given.data / SQUAD).is_file():
        every = weighed(json.loads((given.data / SQUAD).read_text(encoding="utf-8"))["data"])
        show_curve(every)
        show_left_out(every)


if __name__ == "__main__":
    main()
