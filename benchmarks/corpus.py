"""Reading and searching: the sample site, and with a DATA folder a real site and Cranfield against plain BM25.

DATA holds `sites/benbalter` (a real personal site's markdown) and `retrieval/cranfield` (a classic test collection,
1,400 abstracts with judged queries). Cranfield's nDCG@10 of askfit's search stands beside that of BM25 by its formula
(Robertson and Zaragoza 2009, k1 1.2, b 0.75) over the same stems, in the same run.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import shutil
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path

from askfit.config import load_settings
from askfit.corpus import load_corpus
from askfit.corpus.index import STOP_WORDS, open_index
from askfit.text import stem, words
from askfit.types import Document, Section

SAMPLE = Path(__file__).parents[1] / "examples" / "site"
QUERIES = (
    "What was your role on your last team?",
    "How big was the team?",
    "experiments and A/B testing",
    "biggest gap",
)


def site_row(name: str, source: Path, sources: list[str]) -> str:
    """One site's figures as a table row."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "site"
        shutil.copytree(source, root)
        settings = f'[site]\nname = "x"\nurl = "https://x.example"\n[corpus]\nsources = {json.dumps(sources)}\n'
        (root / "askfit.toml").write_text(settings)
        loaded = load_settings(root / "askfit.toml", {})
        begun = time.perf_counter()
        load_corpus(loaded).close()
        first = time.perf_counter() - begun
        begun = time.perf_counter()
        corpus = load_corpus(loaded)
        again = time.perf_counter() - begun
        times = []
        for query in QUERIES * 25:
            begun = time.perf_counter()
            corpus.search(query)
            times.append((time.perf_counter() - begun) * 1000)
        text_words = sum(len(section.text.split()) for section in corpus.sections)
        p50, p95 = statistics.median(times), statistics.quantiles(times, n=20)[-1]
        return (
            f"{name:12} {len(corpus.documents):9} {len(corpus.sections):8} {text_words:8} {corpus.tokens:8} "
            f"{first:8.2f} {again:9.2f} {p50:8.2f} {p95:8.2f}"
        )


def ndcg(ranked: list[str], judged: dict[str, float], depth: int = 10) -> float:
    """Normalised discounted cumulative gain at a depth."""
    gains = [judged.get(id, 0.0) / math.log2(rank + 2) for rank, id in enumerate(ranked[:depth])]
    ideal = sorted(judged.values(), reverse=True)[:depth]
    best = sum(gain / math.log2(rank + 2) for rank, gain in enumerate(ideal))
    return sum(gains) / best if best else 0.0


class PlainBm25:
    """BM25 by its formula over stems."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.terms = {id: Counter(stem(word) for word in words(text)) for id, text in texts.items()}
        self.lengths = {id: sum(terms.values()) for id, terms in self.terms.items()}
        self.mean = statistics.fmean(self.lengths.values())
        found = Counter(term for terms in self.terms.values() for term in terms)
        self.idf = {term: math.log(1 + (len(texts) - n + 0.5) / (n + 0.5)) for term, n in found.items()}

    def search(self, query: str) -> list[str]:
        """The ten best ids."""
        asked = {stem(word) for word in words(query) if word not in STOP_WORDS}
        scores: Counter[str] = Counter()
        for id, terms in self.terms.items():
            for term in asked & terms.keys():
                count = terms[term]
                weight = count * 2.2 / (count + 1.2 * (0.25 + 0.75 * self.lengths[id] / self.mean))
                scores[id] += self.idf[term] * weight
        return [id for id, _ in scores.most_common(10)]


def cranfield(folder: Path) -> str:
    """nDCG@10 of both over the collection's judged queries."""
    texts, queries, judged = read_cranfield(folder)
    with tempfile.TemporaryDirectory() as temporary:
        index = open_index(Path(temporary) / "c.db")
        index.keep(
            [
                Document(id, id, "", id, id, sections=(Section(id, id, "", "", text, "", 0),))
                for id, text in texts.items()
            ]
        )
        ours = statistics.fmean(
            ndcg([id for id, _ in index.search(query, 10)], judged[key]) for key, query in queries.items()
        )
        index.close()
    plain_index = PlainBm25(texts)
    plain = statistics.fmean(ndcg(plain_index.search(query), judged[key]) for key, query in queries.items())
    return f"Cranfield nDCG@10 over {len(queries)} queries: askfit {ours:.3f}, plain BM25 {plain:.3f}"


def read_cranfield(folder: Path) -> tuple[dict[str, str], dict[str, str], dict[str, dict[str, float]]]:
    """Texts by id, queries by their place, and grades (1–4, higher is nearer) by query and text."""

    def records(name: str) -> list[tuple[str, str]]:
        parts = re.split(r"^\.I (\d+)\s*$", (folder / name).read_text(errors="replace"), flags=re.MULTILINE)[1:]
        return [(str(int(id)), re.split(r"^\.W\s*$", body, flags=re.MULTILINE)[-1]) for id, body in batched(parts)]

    # The judgements count queries by their place in the file, not by their ids.
    queries = {str(place): text for place, (_, text) in enumerate(records("cran.qry"), 1)}
    judged: dict[str, dict[str, float]] = {key: {} for key in queries}
    for line in (folder / "QRelsCorrectedforTRECeval").read_text().splitlines():
        query, _, id, grade = line.split()
        if 1 <= int(grade) <= 4:  # the file's 5 stands for a judgement of -1: none
            judged[query][id] = float(grade)
    return dict(records("cran.all.1400")), queries, judged


def batched(parts: list[str]) -> list[tuple[str, str]]:
    """Pairs of neighbours."""
    return list(zip(parts[::2], parts[1::2], strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", type=Path, help="a folder with sites/ and retrieval/")
    data = parser.parse_args().data
    heads = "site         documents sections    words   tokens  first s  again s   p50 ms   p95 ms"
    print(heads)
    print(site_row("sample", SAMPLE, ["content/**/*.md", "resume.json"]))
    if data and (data / "sites" / "benbalter").is_dir():
        print(site_row("benbalter", data / "sites" / "benbalter", ["**/*.md", "**/*.mdx"]))
    if data and (data / "retrieval" / "cranfield").is_dir():
        print(cranfield(data / "retrieval" / "cranfield"))


if __name__ == "__main__":
    main()
