"""Reading and searching: the sample site, and with a DATA folder a real site and Cranfield against plain BM25.

DATA holds `sites/benbalter` (a real personal site's markdown) and `retrieval/cranfield` (a classic test collection,
1,400 abstracts with judged queries). Cranfield's nDCG@10 of askfit's search stands beside that of BM25 by its formula
(Robertson and Zaragoza 2009, k1 1.2, b 0.75) over the same stems, in the same run.

At scale: 100,000 sections of made-up words (seeded; as frequent as words are, by Zipf's law), in SQLite and, where a
server listens, in PostgreSQL, in a schema of their own that is dropped. Each query has two rare words, one of middling
frequency and two common ones. Memory is that of a process which opens the index and answers every query.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

from askfit.config import load_settings
from askfit.corpus import load_corpus, shelved
from askfit.corpus.index import STOP_WORDS, Index, open_index
from askfit.text import estimate_tokens, stem, words
from askfit.types import Document, Section

SAMPLE = Path(__file__).parents[1] / "examples" / "site"
QUERIES = (
    "What was your role on your last team?",
    "How big was the team?",
    "experiments and A/B testing",
    "biggest gap",
)
POSTGRES_URL = os.environ.get("ASKFIT_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/test")
SECTIONS, PER_DOCUMENT, WORDS_PER_SECTION = 100_000, 10, (20, 120)
VOCABULARY, ZIPF = 60_000, 1.05
LARGE_QUERIES = 200
MOST_P50_MS = 20.0


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
        index.put([(alone(id, text), "") for id, text in texts.items()])
        ours = statistics.fmean(
            ndcg([id for id, _ in index.search(query, 10)], judged[key]) for key, query in queries.items()
        )
        index.close()
    plain_index = PlainBm25(texts)
    plain = statistics.fmean(ndcg(plain_index.search(query), judged[key]) for key, query in queries.items())
    return f"Cranfield nDCG@10 over {len(queries)} queries: askfit {ours:.3f}, plain BM25 {plain:.3f}"


def alone(id: str, text: str) -> Document:
    """A document of one section."""
    return Document(id, id, "", id, id, sections=(Section(id, id, "", "", text, "", estimate_tokens(text)),))


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


def vocabulary() -> list[str]:
    """Made-up words, the most frequent first."""
    chance = random.Random(1)
    syllables = [a + b for a in "bcdfghklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er", "il", "on", "us")]
    made = ("".join(chance.choices(syllables, k=chance.choice((2, 3, 3, 4)))) for _ in range(2 * VOCABULARY))
    return list(dict.fromkeys(made))[:VOCABULARY]


@lru_cache(maxsize=1)
def large_documents() -> list[list[tuple[Document, str]]]:
    """The large corpus, in batches of documents."""
    chance, known = random.Random(2), vocabulary()
    weights = list(accumulate(1 / (rank + 2.7) ** ZIPF for rank in range(VOCABULARY)))
    documents: list[tuple[Document, str]] = []
    for at in range(SECTIONS // PER_DOCUMENT):
        id = f"page-{at:05}"
        title = " ".join(chance.choices(known, cum_weights=weights, k=3))
        documents.append((document(id, title, chance, known, weights), ""))
    return [documents[at : at + 200] for at in range(0, len(documents), 200)]


def document(id: str, title: str, chance: random.Random, known: list[str], weights: list[float]) -> Document:
    """One made-up document."""
    sections = []
    for place in range(PER_DOCUMENT):
        said = chance.choices(known, cum_weights=weights, k=3 + chance.randint(*WORDS_PER_SECTION))
        text = " ".join(said[3:])
        section = Section(f"{id}#{place}", id, title, " ".join(said[:3]), text, "", estimate_tokens(text))
        sections.append(section)
    return Document(id, title, "", f"{id}.md", id, sections=tuple(sections))


def large_queries() -> list[str]:
    """Two rare words, one of middling frequency, two common ones."""
    chance, known = random.Random(3), vocabulary()
    pools = ((known[2_000:20_000], 2), (known[300:2_000], 1), (known[:300], 2))
    return [
        " ".join(word for pool, count in pools for word in chance.choices(pool, k=count)) for _ in range(LARGE_QUERIES)
    ]


@contextmanager
def postgres_schema() -> Iterator[str]:
    """The address of an empty schema of our own."""
    import psycopg

    schema = f"askfit_bench_{os.getpid()}"
    with psycopg.connect(POSTGRES_URL, autocommit=True, connect_timeout=2) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
        try:
            yield f"{POSTGRES_URL}?options=-csearch_path%3D{schema}"
        finally:
            connection.execute(f"DROP SCHEMA {schema} CASCADE")


def opened(place: str) -> Index:
    """The index at a file's path or at an address."""
    if not place.startswith("postgresql"):
        return open_index(Path(place))
    from askfit.corpus.postgres import PostgresIndex

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "askfit.toml"
        path.write_text(f'[site]\nname = "x"\n[corpus]\nsources = ["*.md"]\n[store]\nurl = "{place}"\n')
        return PostgresIndex(load_settings(path, {}))


def build(place: str) -> tuple[float, float, float]:
    """Seconds to index the large corpus, to add one document to it and to change that one."""
    index, ids, spent = opened(place), set(), 0.0
    for batch in large_documents():
        begun = time.perf_counter()
        index.put(batch)
        spent += time.perf_counter() - begun
        ids.update(one.id for one, _ in batch)
    begun = time.perf_counter()
    index.retain(ids)
    spent += time.perf_counter() - begun
    times = []
    for text in ("Quarkpie was added.", "Quarkpie was changed."):
        begun = time.perf_counter()
        index.put([(alone("quarkpie", text), "")])
        index.retain({*ids, "quarkpie"})
        times.append(time.perf_counter() - begun)
        assert [id for id, _ in index.search(text, 1)] == ["quarkpie"]
    index.close()
    return spent, times[0], times[1]


def query_all(place: str) -> None:
    """In a process of its own: what opening costs, then every query once; prints JSON."""
    before = resident_mb()
    begun = time.perf_counter()
    index = opened(place)
    corpus = shelved(index, {entry.id for entry in index.entries()})
    open_s = time.perf_counter() - begun
    times = []
    for query in large_queries():
        begun = time.perf_counter()
        assert corpus.passages(query)
        times.append((time.perf_counter() - begun) * 1000)
    print(json.dumps({"open_s": open_s, "times_ms": times, "mb": resident_mb() - before, "n": len(corpus.sections)}))
    corpus.close()


def resident_mb() -> float:
    """The most that this process has had in memory."""
    status = Path("/proc/self/status")
    if status.is_file():  # ru_maxrss would begin at what the parent had
        return int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def large_row(name: str, place: str, size: str) -> tuple[str, float]:
    """One database's figures as a table row, and its p50 in milliseconds."""
    build_s, add_s, change_s = build(place)
    if not size:
        size = f"{sum(path.stat().st_size for path in Path(place).parent.iterdir()) / 1e6:.0f}"
    child = subprocess.run([sys.executable, __file__, "--queries", place], capture_output=True, text=True, check=True)
    told = json.loads(child.stdout)
    p50, p95 = statistics.median(told["times_ms"]), statistics.quantiles(told["times_ms"], n=20)[-1]
    row = (
        f"{name:12} {told['n']:8} {build_s:8.1f} {size:>8} {told['open_s']:8.2f} {told['mb']:10.0f} "
        f"{p50:8.2f} {p95:8.2f} {add_s * 1000:8.1f} {change_s * 1000:10.1f}"
    )
    return row, p50


def at_scale() -> None:
    """The table for the large corpus."""
    print("\nat scale     sections  build s  file MB   open s  memory MB   p50 ms   p95 ms   add ms  change ms")
    with tempfile.TemporaryDirectory() as folder:
        row, p50 = large_row("SQLite", f"{folder}/large.db", "")
    print(row)
    try:
        with postgres_schema() as place:
            print(large_row("PostgreSQL", place, "-")[0])
    except Exception as error:  # no driver, no server, no rights: the table says so
        print(f"{'PostgreSQL':12} not reached ({type(error).__name__})")
    print(f"bound: SQLite p50 {MOST_P50_MS:g} ms{'' if p50 <= MOST_P50_MS else '   MISSED'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", type=Path, help="a folder with sites/ and retrieval/")
    parser.add_argument("--queries", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.queries:
        query_all(given.queries)
        return
    data = given.data
    heads = "site         documents sections    words   tokens  first s  again s   p50 ms   p95 ms"
    print(heads)
    print(site_row("sample", SAMPLE, ["content/**/*.md", "resume.json"]))
    if data and (data / "sites" / "benbalter").is_dir():
        print(site_row("benbalter", data / "sites" / "benbalter", ["**/*.md", "**/*.mdx"]))
    if data and (data / "retrieval" / "cranfield").is_dir():
        print(cranfield(data / "retrieval" / "cranfield"))
    at_scale()


if __name__ == "__main__":
    main()
