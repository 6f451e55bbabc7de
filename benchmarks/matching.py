"""Matching: phrases of postings against a list of skills, skills found in lines, own roles' postings against others'.

With a DATA folder (the project's README of it: taxonomies/, spans/, postings/). Prints, each against its bound:
phrase → skill among all ICT skills with their other names (R@1, R@5), by names alone and for a name that is held out;
from which nearness on the owner is right to be asked whether a row means a phrase that holds no row's name;
skills found in postings (relaxed: a span counts where it overlaps a labelled one); how well the score of the built-in
assessor parts a family's own postings from the others', for a matrix made of half of the family's postings. The phrases
and spans were looked at while the constants were chosen: read their figures as upper bounds.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from askfit.fit.match import Index, index_rows
from askfit.fit.near import index_near, nearest_rows
from askfit.fit.nearmiss import NEAR_ENOUGH
from askfit.fit.posting import Posting, read_posting
from askfit.fit.rules import Judged, judge, rate
from askfit.fit.spans import named_spans
from askfit.fit.terms import Token, is_light, names_at, phrase, tokens
from askfit.types import Skill

SEED = 20261121
FEWEST_OF_A_FAMILY = 12  # postings; fewer make no half to learn from and half to try
MOST_OF_A_FAMILY = 24  # tried, of its own and of others
MOST_ROWS = 200


# ---------------------------------------------------------------- phrase → skill


def esco(data: Path) -> list[Skill]:
    """The ICT skills with their other names, as rows of a matrix."""
    listed = json.loads((data / "taxonomies" / "esco_ict_skills_877_altlabels.json").read_text(encoding="utf-8"))
    return [
        Skill(row=at, name=one["label"], level=4, aliases=tuple(dict.fromkeys(one["altLabel"])))
        for at, one in enumerate(listed, start=2)
    ]


def phrases(data: Path, skills: Sequence[Skill]) -> list[tuple[str, int]]:
    """(phrase of a posting, row of the skill that it was labelled with), where the skill is among the rows."""
    rows = {skill.name.casefold(): skill.row for skill in skills}
    found = []
    for name in ("house_test_annotations.csv", "house_validation_annotations.csv"):
        with (data / "spans" / "skillspan-esco" / name).open(encoding="utf-8", newline="") as file:
            for line in csv.DictReader(file):
                row = rows.get(line["label"].casefold())
                if row:
                    found.append((line["sub_span"] or line["span"], row))
    return found


def held_out(skills: Sequence[Skill]) -> tuple[list[Skill], list[tuple[str, int]]]:
    """The skills without one of their other names each, and those names as phrases."""
    drawn = random.Random(SEED)
    rows, cases = [], []
    for skill in skills:
        others = [name for name in skill.aliases if name.casefold() != skill.name.casefold()]
        out = drawn.choice(others) if len(others) > 1 else ""
        rows.append(
            Skill(skill.row, skill.name, 4, aliases=tuple(name for name in others if name.casefold() != out.casefold()))
        )
        cases += [(out, skill.row)] if out else []
    return rows, cases


def recall(skills: Sequence[Skill], cases: Sequence[tuple[str, int]]) -> str:
    index = index_near(skills)
    begun = time.perf_counter()
    ranked = [[near.skill.row for near in nearest_rows(name, index)] for name, _ in cases]
    took = (time.perf_counter() - begun) * 1000 / len(cases)
    first = sum(rows[:1] == [row] for rows, (_, row) in zip(ranked, cases, strict=True))
    five = sum(row in rows for rows, (_, row) in zip(ranked, cases, strict=True))
    return f"R@1 {first / len(cases):.3f}  R@5 {five / len(cases):.3f}  ({len(cases)} phrases, {took:.1f} ms each)"


# ---------------------------------------------------------------- a row that may mean a phrase


RIGHT = 0.70  # of what the owner is asked
STEPS = [step / 100 for step in range(30, 95, 5)]


def unnamed(cases: Sequence[tuple[str, int]], index: Index) -> list[tuple[str, int]]:
    """Phrases that hold no row's name: of the others the rows answer anyway."""

    def is_named(words: list[Token]) -> bool:
        return any(name for at in range(len(words)) for name in names_at(words, at, index.names))

    return [(name, row) for name, row in cases if not is_named(tokens(name))]


def offered(skills: Sequence[Skill], cases: Sequence[tuple[str, int]]) -> str:
    """How often the nearest row is the right one; and where its row is taken away, how often one is offered at all."""
    cases, index = unnamed(cases, index_rows(skills)), index_near(skills)
    ranked = [(nearest_rows(name, index), row) for name, row in cases]
    tops = [(near[0].nearness, near[0].skill.row == row) for near, row in ranked if near]
    others = [next((one.nearness for one in near if one.skill.row != row), 0.0) for near, row in ranked]

    def told(least: float) -> tuple[int, int, int]:
        said = [right for nearness, right in tops if nearness >= least]
        return sum(said), len(said), sum(nearness >= least for nearness in others)

    def share(least: float) -> float:
        right, said, wrong = told(least)
        return right / max(1, said + wrong)

    least = next((step for step in STEPS if share(step) >= RIGHT), 1.0)
    right, said, wrong = told(NEAR_ENOUGH)
    return (
        f"right {right} of {said} offered, {wrong} offered without their row: {share(NEAR_ENOUGH):.3f}"
        f"  ({len(cases)} phrases; reached from {least:.2f} on)"
    )


# ---------------------------------------------------------------- skills found in lines


def labelled(path: Path) -> Iterator[tuple[str, list[tuple[int, int]]]]:
    """(line, its labelled spans in characters), skills and knowledge together."""
    with path.open(encoding="utf-8") as file:
        for text in file:
            entry = json.loads(text)
            places, line = [], ""
            for word in entry["tokens"]:
                places.append((len(line), len(line) + len(word)))
                line += word + " "
            spans = [
                (places[start][0], places[end - 1][1])
                for tags in (entry["tags_skill"], entry["tags_knowledge"])
                for start, end in _tagged(tags)
            ]
            yield line, spans


def _tagged(tags: Sequence[str]) -> Iterator[tuple[int, int]]:
    start = None
    for at, tag in enumerate([*tags, "O"]):
        if start is not None and tag != "I":
            yield start, at
            start = None
        if tag == "B":
            start = at


def overlapping(spans: Sequence[tuple[int, int]], others: Sequence[tuple[int, int]]) -> int:
    return sum(any(start < end_ and start_ < end for start_, end_ in others) for start, end in spans)


def spans_found(path: Path) -> str:
    counts: Counter[str] = Counter()
    for line, gold in labelled(path):
        said = named_spans(line)
        counts.update(said=len(said), right=overlapping(said, gold), gold=len(gold), found=overlapping(gold, said))
    return (
        f"recall {counts['found'] / counts['gold']:.3f}  precision {counts['right'] / counts['said']:.3f}"
        f"  ({counts['gold']} labelled spans, {counts['said']} found)"
    )


# ---------------------------------------------------------------- own role, other roles


LEAST_MEAN, LEAST_WORST = 0.90, 0.75  # of the families' areas
PARTS = ("Responsibilities", "Minimum Qualifications", "Preferred Qualifications")


def families(data: Path) -> dict[str, list[Posting]]:
    """Postings by the category that their employer gives them."""
    found: dict[str, list[Posting]] = defaultdict(list)
    for path in sorted((data / "postings").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                body = "\n\n".join(f"## {part}\n\n{row[part]}" for part in PARTS)
                posting = read_posting(f"# {row['Title']}\n\n{body}")
                if not posting.problem:
                    found[row["Category"]].append(posting)
    return {name: postings for name, postings in found.items() if len(postings) >= FEWEST_OF_A_FAMILY}


class Names:
    """A list of names of skills, and which of them a posting's asks say."""

    def __init__(self, data: Path) -> None:
        listed = json.loads((data / "taxonomies" / "skill_extractor_gazetteer_30957.json").read_text(encoding="utf-8"))
        self._names = {
            name: spelled
            for spelled in listed
            if (name := phrase(spelled)) and not all(is_light(word) for word in name)
        }
        self._said: dict[str, frozenset[str]] = {}

    def said(self, posting: Posting) -> frozenset[str]:
        if posting.sha not in self._said:
            self._said[posting.sha] = frozenset(name for ask in posting.asks for name in self._in(ask.text))
        return self._said[posting.sha]

    def _in(self, line: str) -> Iterator[str]:
        found, at = tokens(line), 0
        while at < len(found):
            name = next(names_at(found, at, self._names), ())
            if name:
                yield self._names[name]
            at += len(name) or 1


def matrix_of(postings: Sequence[Posting], names: Names) -> list[Skill]:
    """A matrix of what postings name twice at least: what more of them name stands at a higher level."""
    counts = Counter(name for posting in postings for name in names.said(posting))
    share = {name: count / len(postings) for name, count in counts.most_common(MOST_ROWS) if count > 1}
    return [
        Skill(row=at, name=name, level=5 if part >= 0.25 else 4 if part >= 0.1 else 3)
        for at, (name, part) in enumerate(share.items(), start=2)
    ]


def fit_score(posting: Posting, skills: Sequence[Skill]) -> float:
    """The score, and what the rows bear of the posting's emphasis between two scores that round alike."""
    findings = judge(posting, index_rows(skills))
    judged = [Judged(one.ask, one.band, one.answer.worth) for one in findings]
    return rate(judged).score + sum(one.ask.emphasis * one.credit for one in judged) / 1000


def overlap(posting: Posting, skills: Sequence[Skill], names: Names) -> float:
    """What exact words alone reach: the share of the posting's names that are rows."""
    said = names.said(posting)
    return len(said & {skill.name for skill in skills}) / max(1, len(said))


def auroc(own: Sequence[float], other: Sequence[float]) -> float:
    """The chance that an own posting scores above another."""
    wins = sum((mine > theirs) + (mine == theirs) / 2 for mine in own for theirs in other)
    return wins / (len(own) * len(other))


def parted(found: dict[str, list[Posting]], names: Names) -> Iterator[tuple[str, float, float, int]]:
    """(family, AUROC by the score, AUROC by exact words alone, how many of its own postings were tried)."""
    drawn = random.Random(SEED)
    for family, postings in sorted(found.items()):
        mixed = drawn.sample(postings, len(postings))
        half = len(mixed) // 2
        skills = matrix_of(mixed[:half], names)
        own = mixed[half:][:MOST_OF_A_FAMILY]
        others = [posting for name, theirs in found.items() if name != family for posting in theirs]
        other = drawn.sample(others, min(len(others), 2 * MOST_OF_A_FAMILY))
        yield (
            family,
            auroc([fit_score(one, skills) for one in own], [fit_score(one, skills) for one in other]),
            auroc([overlap(one, skills, names) for one in own], [overlap(one, skills, names) for one in other]),
            len(own),
        )


# ---------------------------------------------------------------- what is printed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", type=Path, help="a folder with taxonomies/, spans/ and postings/")
    data: Any = parser.parse_args().data
    if not data:
        print("Needs a DATA folder: see this file's first lines.")
        return 0
    skills = esco(data)
    print(f"phrase → {len(skills)} skills, no embedding (bounds R@1 .60, R@5 .80); with one: embeddings.py")
    print(f"  labelled phrases     {recall(skills, phrases(data, skills))}")
    print(f"  a name held out      {recall(*held_out(skills))}")
    print(
        f"\na row that may mean a phrase, nearness {NEAR_ENOUGH:.2f} on, half of them meaning none (bound {RIGHT:.2f})"
    )
    print(f"  labelled phrases     {offered(skills, phrases(data, skills))}")
    print(f"  a name held out      {offered(*held_out(skills))}")
    print("\nskills found in lines, relaxed (bounds recall .70, precision .45)")
    for name in ("dev", "train"):
        print(f"  {name:20} {spans_found(data / 'spans' / 'skillspan' / f'{name}.json')}")
    print(f"\nown role against others, AUROC of the score (bounds mean {LEAST_MEAN:.2f}, worst {LEAST_WORST:.2f})")
    print(f"  {'family':36} score  exact words")
    areas = list(parted(families(data), Names(data)))
    for name, area, exact, count in areas:
        print(f"  {name:36} {area:.3f}  {exact:.3f}  ({count} own postings)")
    values, exacts = [area for _, area, _, _ in areas], [exact for _, _, exact, _ in areas]
    held = statistics.mean(values) >= LEAST_MEAN and min(values) >= LEAST_WORST
    print(f"  score: mean {statistics.mean(values):.3f}, worst {min(values):.3f}{'' if held else '   MISSED'}")
    print(f"  exact words: mean {statistics.mean(exacts):.3f}, worst {min(exacts):.3f}")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
