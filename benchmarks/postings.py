"""Reading a posting: must or preferred, with headings in many wordings and shapes, and with all headings taken away.

Needs a DATA folder with postings/*.csv (Title, Responsibilities, Minimum and Preferred Qualifications). Every line of a
posting has the column that it stands in as its target; the headings above the columns are ours. Without headings the
word weights are fitted anew on four fifths of the postings and counted on the fifth, so no line is counted by weights
that have seen it; the shipped table is fitted on all of them, and `--write` prints it.

Without DATA: the time of a reading, and a second opinion that no weight was fitted on: the kinds and the emphasis that
careful readers gave the requirements of our own sixty gold postings.
"""

from __future__ import annotations

import argparse
import csv
import math
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import yaml

from askfit.fit.pasted import clean_posting
from askfit.fit.posting import Posting, read_posting
from askfit.fit.sections import Line, WordWeights, cue_scores, read_lines, word_features

COLUMNS = {
    "Responsibilities": "responsibility",
    "Minimum Qualifications": "must",
    "Preferred Qualifications": "preferred",
}
KINDS = tuple(COLUMNS.values())
HEADINGS = {  # responsibilities, musts, pluses
    "Requirements": ("Responsibilities", "Requirements", "Nice to have"),
    "What you'll bring": ("What you'll do", "What you'll bring", "Bonus points"),
    "Who you are": ("Your impact", "Who you are", "Even better if"),
    "Must-haves": ("The role", "Must-haves", "Nice-to-haves"),
    "Minimum requirements": ("Key duties", "Minimum requirements", "Desirable"),
    "You have": ("You will", "You have", "It's a plus if you have"),
    "looking for": ("Day to day", "What we're looking for", "Preferred skills"),
    "German, du": ("Deine Aufgaben", "Das bringst du mit", "Von Vorteil"),
    "German, Sie": ("Ihre Aufgaben", "Ihr Profil", "Idealerweise"),
    "Spanish": ("Responsabilidades", "Requisitos", "Se valorará"),
    "French": ("Vos missions", "Profil recherché", "Les plus"),
    "Dutch": ("Wat ga je doen", "Wat breng je mee", "Pluspunten"),
}
GOLD = Path(__file__).parents[1] / "examples" / "gold"
FOLDS = 5
EVERY = 12  # of the postings, for the shapes: all of them in every shape and wording would take minutes

Sections = Sequence[tuple[str, Sequence[str]]]  # heading, lines
Gold = Sequence[tuple[str, str]]  # line, kind


def plain(mark: str, above: str = "{}", *, blank: bool = True) -> Callable[[str, Sections], str]:
    """A posting in plain text: `mark` before items, `above` as headings look."""
    gap = "\n\n" if blank else "\n"

    def shape(title: str, sections: Sections) -> str:
        parts = [above.format(head) + gap + "\n".join(mark + line for line in lines) for head, lines in sections]
        return title + gap + gap.join(parts)

    return shape


def in_capitals(title: str, sections: Sections) -> str:
    return plain("* ")(title, [(head.upper(), lines) for head, lines in sections])


def numbered(title: str, sections: Sections) -> str:
    parts = [
        head + ":\n" + "\n".join(f"{at}. {line}" for at, line in enumerate(lines, start=1)) for head, lines in sections
    ]
    return "\n\n".join([title, *parts])


def one_paragraph(title: str, sections: Sections) -> str:
    """Each section's items run together after its heading."""
    return "\n\n".join([title, *(f"{head}: " + " ".join(lines) for head, lines in sections)])


def glued(title: str, sections: Sections) -> str:
    """Each section's items run together without even a blank."""
    return "\n\n".join([title, *(f"{head}\n" + "".join(lines) for head, lines in sections)])


def page(title: str, sections: Sections) -> str:
    parts = [f"<h3>{head}</h3><ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>" for head, lines in sections]
    return f"<html><body><h1>{title}</h1>{''.join(parts)}</body></html>"


def bold_page(title: str, sections: Sections) -> str:
    parts = [f"<p><strong>{head}</strong></p><p>{'<br>'.join(lines)}</p>" for head, lines in sections]
    return f"<div><p>{title}</p>{''.join(parts)}</div>"


def word_page(title: str, sections: Sections) -> str:
    item = (
        "<p class=MsoListParagraph style='mso-list:l0 level1 lfo1'><![if !supportLists]><span style='mso-list:Ignore'>"
        "·<span>&nbsp;&nbsp; </span></span><![endif]>{}<o:p></o:p></p>"
    )
    parts = [f"<p class=MsoNormal><b>{head}</b></p>{''.join(map(item.format, lines))}" for head, lines in sections]
    return f"<body lang=EN-US><p class=MsoTitle>{title}</p>{''.join(parts)}</body>"


SHAPES = {
    "markdown": plain("- ", "## {}"),
    "bold": plain("- ", "**{}**"),
    "capitals": in_capitals,
    "colon, bullets": plain("• ", "{}:", blank=False),
    "numbers": numbered,
    "no bullets": plain(""),
    "no blank rows": plain("", blank=False),
    "one paragraph": one_paragraph,
    "glued": glued,
    "web page": page,
    "bold in a page": bold_page,
    "from Word": word_page,
}


# ---------------------------------------------------------------- counting


def gold_of(row: dict[str, str]) -> list[tuple[str, str]]:
    """Every line of a posting with its kind."""
    lines = ((line.strip(), kind) for column, kind in COLUMNS.items() for line in row[column].split("\n"))
    return [(line, kind) for line, kind in lines if line]


def kinds_read(gold: Gold, lines: Iterable[Line]) -> list[tuple[str, str]]:
    """(target, kind read) of each line: that which most of its letters were given, wherever it was cut."""
    whole, spans = "", []
    for text, kind in gold:
        flat = "".join(text.split())
        spans.append((len(whole), len(whole) + len(flat), kind))
        whole += flat
    given: list[str] = ["nothing"] * len(whole)
    at = 0
    for line in lines:
        flat = "".join(clean_posting(line.text).split()) if line.text.strip() else ""
        found = whole.find(flat, at)
        if flat and line.kind != "heading" and found >= 0:
            at = found + len(flat)
            given[found:at] = [line.kind] * len(flat)
    return [(kind, Counter(given[start:end]).most_common(1)[0][0]) for start, end, kind in spans]


def macro_f1(pairs: Counter[tuple[str, str]], kinds: Sequence[str]) -> float:
    """The mean of the kinds' F1. Only targets among `kinds` count; a line read as anything else is missed."""
    scores = []
    for kind in kinds:
        right = pairs[kind, kind]
        there = sum(count for (target, _), count in pairs.items() if target == kind)
        said = sum(count for (target, read), count in pairs.items() if read == kind and target in kinds)
        scores.append(2 * right / (there + said) if there + said else 0.0)
    return statistics.mean(scores)


def both(pairs: Counter[tuple[str, str]]) -> str:
    return f"{macro_f1(pairs, KINDS[1:]):.3f}   {macro_f1(pairs, KINDS):.3f}"


# ---------------------------------------------------------------- with headings


def with_headings(rows: Sequence[dict[str, str]]) -> None:
    """Print F1 by shape, all wordings together, then by wording, all shapes together."""
    by_shape: dict[str, Counter[tuple[str, str]]] = {shape: Counter() for shape in SHAPES}
    by_wording: dict[str, Counter[tuple[str, str]]] = {wording: Counter() for wording in HEADINGS}
    for at, row in enumerate(rows):
        gold = gold_of(row)
        for name, shape in SHAPES.items():
            for wording, heads in list(HEADINGS.items())[at % 3 :: 3]:  # a third of the wordings for each posting
                sections = [
                    (head, [line for line, kind in gold if kind == wanted])
                    for head, wanted in zip(heads, KINDS, strict=True)
                ]
                read = read_posting(shape(row["Title"], [part for part in sections if part[1]])).lines
                pairs = kinds_read([(clean_posting(line), kind) for line, kind in gold], read)
                by_shape[name].update(pairs)
                by_wording[wording].update(pairs)
    print(f"{'with headings':24} must|plus  with tasks   lines")
    for title, table in (("shape", by_shape), ("wording", by_wording)):
        for name, counted in table.items():
            print(f"  {title} {name:22}{both(counted)}  {counted.total():>6}")
    print(f"  {'all':24}{both(sum(by_shape.values(), Counter()))}")


# ---------------------------------------------------------------- without headings

FEWEST_LINES = 12  # that have a word, until it may get a weight
MOST_WORDS = 300
ROUNDS, RATE, SHRINK = 5, 0.3, 0.01  # of the descent: AdaGrad, with weights drawn to nought


def fitted(documents: Sequence[Gold], seed: int = 7) -> WordWeights:
    """Weights of words by logistic regression over the plain cues' scores; the most telling words, rounded."""
    lines = [
        (sorted(word_features(line)), cue_scores(line), KINDS.index(kind)) for gold in documents for line, kind in gold
    ]
    counts = Counter(word for words, _, _ in lines for word in words)
    _, first = _descended(lines, sorted(word for word, count in counts.items() if count >= FEWEST_LINES), seed)
    telling = sorted(first, key=lambda word: -max(map(abs, first[word])) * math.sqrt(counts[word]))[:MOST_WORDS]
    intercept, weights = _descended(lines, sorted(telling), seed)
    return WordWeights(_rounded(intercept), {word: _rounded(row) for word, row in weights.items()})


def _rounded(weights: Iterable[float]) -> tuple[float, ...]:
    return tuple(round(weight, 1) + 0.0 for weight in weights)


def _descended(
    lines: Sequence[tuple[list[str], list[float], int]], words: Sequence[str], seed: int
) -> tuple[list[float], dict[str, list[float]]]:
    weights = {word: [0.0, 0.0, 0.0] for word in words}
    squares = {word: [1e-6, 1e-6, 1e-6] for word in words}
    intercept = [0.0, 0.0, 0.0]
    order = [([word for word in found if word in weights], cues, kind) for found, cues, kind in lines]
    shuffled = random.Random(seed)
    for _ in range(ROUNDS):
        shuffled.shuffle(order)
        for found, cues, kind in order:
            logits = [intercept[k] + cues[k] + sum(weights[word][k] for word in found) for k in range(3)]
            top = max(logits)
            powers = [math.exp(logit - top) for logit in logits]
            for k in range(3):
                error = powers[k] / sum(powers) - (k == kind)
                intercept[k] -= 0.01 * error
                for word in found:
                    slope = error + SHRINK * weights[word][k]
                    squares[word][k] += slope * slope
                    weights[word][k] -= RATE * slope / math.sqrt(squares[word][k])
    return intercept, weights


def without_headings(documents: Sequence[Gold]) -> None:
    """Print F1 with all headings gone: by weights of other postings, and by the shipped ones."""
    order = list(range(len(documents)))
    random.Random(1).shuffle(order)
    found: dict[str, Counter[tuple[str, str]]] = {"held out": Counter(), "shipped": Counter()}
    asked_only: Counter[tuple[str, str]] = Counter()
    for fold in range(FOLDS):
        weights = fitted([documents[at] for place, at in enumerate(order) if place % FOLDS != fold])
        for at in order[fold::FOLDS]:
            gold = documents[at]
            text = "\n".join(line for line, _ in gold)
            for name, used in (("held out", weights), ("shipped", None)):
                found[name].update(kinds_read(gold, read_lines(text, used)))
            asked = [(line, kind) for line, kind in gold if kind != "responsibility"]
            asked_only.update(kinds_read(asked, read_lines("\n".join(line for line, _ in asked), weights)))
    print(f"\n{'without headings':24} must|plus  with tasks   ({FOLDS}-fold, grouped by posting)")
    print(f"  {'weights held out':24}{both(found['held out'])}")
    print(f"  {'  no tasks pasted':24}{macro_f1(asked_only, KINDS[1:]):.3f}")
    print(f"  {'shipped weights':24}{both(found['shipped'])}   fitted on these lines: an upper bound")


def written(weights: WordWeights) -> str:
    """The table as cues.toml has it."""
    rows = [f'"{word}" = [{", ".join(map(str, row))}]' for word, row in sorted(weights.words.items()) if any(row)]
    return f"intercept = [{', '.join(map(str, weights.intercept))}]\n\n[words]\n" + "\n".join(rows)


# ---------------------------------------------------------------- our own gold

RANKS = {"low": 0, "normal": 1, "high": 2}


def own_gold() -> None:
    """Print how the kinds and the order of emphasis agree with those of the readers of examples/gold."""
    kinds: Counter[tuple[str, str]] = Counter()
    order: Counter[int] = Counter()  # 1: the more stressed of two weighs more here too; 0: both weigh the same
    for table in sorted(GOLD.glob("*/requirements.yaml")):
        for entry in yaml.safe_load(table.read_text(encoding="utf-8")):
            read = read_posting((table.parent / entry["posting"]).read_text(encoding="utf-8"))
            labelled = []
            for wanted in entry["requirements"]:
                kind, emphasis = read_at(wanted["quote"], read)
                kinds[wanted["kind"], kind] += 1
                labelled += [(RANKS[wanted["emphasis"]], emphasis)] if emphasis else []
            order.update(
                (here > there) - (here < there) for more, here in labelled for less, there in labelled if more > less
            )
    missed = sum(count for (_, kind), count in kinds.items() if kind not in KINDS)
    print("our own 60 gold postings must|plus  with tasks")
    print(f"  {'kinds':24}{both(kinds)}   {missed} of {kinds.total()} not read as asked")
    right = (order[1] + order[0] / 2) / order.total()
    print(f"  {'emphasis, pairs in order':24} {right:.3f}   of {order.total()} within one posting, {order[0]} tied\n")


def read_at(quote: str, read: Posting) -> tuple[str, float]:
    """(kind, emphasis) of the ask that shares most letters with a quote; ("nothing", 0) where none does."""
    flat = "".join(clean_posting(quote).split())
    whole = "".join(read.text.split())
    at = whole.find(flat)
    best, found = 0, ("nothing", 0.0)
    for ask in read.asks:
        own = "".join(ask.quote.split())
        start = whole.find(own)
        shared = min(at + len(flat), start + len(own)) - max(at, start)
        if at >= 0 and start >= 0 and shared > best:
            best, found = shared, (ask.kind, ask.emphasis)
    return found


# ---------------------------------------------------------------- time


def timed(requirements: int = 60, runs: int = 15) -> list[float]:
    """Milliseconds of each reading of a long posting, of other words every time."""
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
    times = []
    for run in range(runs):
        lines = [f"- Deep experience of {skills[at % 9]} in area {run} {at}" for at in range(requirements)]
        posting = "# Product Manager\n\n## Requirements\n\n" + "\n".join(lines)
        begun = time.perf_counter()
        read_posting(posting)
        times.append((time.perf_counter() - begun) * 1000)
    return times


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["Responsibilities"].strip()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", type=Path, help="a folder with postings/")
    parser.add_argument("--write", action="store_true", help="print the table of word weights, fitted on all postings")
    given = parser.parse_args()
    rows = (
        [row for path in sorted((given.data / "postings").glob("*.csv")) for row in rows_of(path)] if given.data else []
    )
    documents = [gold_of(row) for row in rows]
    if given.write:
        print(written(fitted(documents)))
        return 0
    times = timed()
    print(f"60 requirements read: p50 {statistics.median(times):.0f} ms, most {max(times):.0f} ms (bound: p50 25 ms)\n")
    own_gold()
    if rows:
        with_headings(rows[::EVERY])
        without_headings(documents)
    return 0


if __name__ == "__main__":
    sys.exit(main())
