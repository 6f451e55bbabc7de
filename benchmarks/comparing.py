"""The verdict of a comparison: how often it is right, what it saves, what a judge's word is worth, how long it takes.

With a DATA folder: `routing/routellm`, paired right and wrong answers of GPT-4 and Mixtral (MMLU's 57 subjects and
GSM8K, RouteLLM, Apache-2.0), each subject a feature whose true difference is that of all its questions; and
`routing/prd`, pairs of answers judged by people and by models in both orders (PRD, MIT). Runs are seeded.

- verdicts: every feature, delta .05, at most 400 samples drawn with replacement, 60 times; then the same with every
  feature's true difference moved to delta itself, where any verdict is an error; beside it a 95 % interval looked at
  after every sample, as people do without such statistics.
- judges: the panel of those who agree with themselves more often than not, both orders, scaled to people's labels of
  the other pairs of models. The margin at equal lengths stands beside it.
- style: one model, concise and verbose; the judge's liking for length is made up here.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import itertools
import json
import logging
import math
import os
import random
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from askfit.ask import Turn
from askfit.ask import answer as ask
from askfit.compare import Journal, Outcome, compare
from askfit.compare.asking import opened
from askfit.compare.judging import Judged, Scale, abstains, agreement, at_one_length, margin, margin_at_one_length
from askfit.compare.metrics import of_answer
from askfit.compare.report import as_html
from askfit.compare.verdict import Demand, Test
from askfit.config import load_settings
from askfit.evals import AskSample, Tape, read_samples
from askfit.site import open_site

SAMPLE = Path(__file__).parents[1] / "examples" / "site"
RECORDED, MOST_S, MOST_OWN_MS = 10_000, 60, 5.0
LARGE, SMALL = "gpt-4-1106-preview", "mistralai/Mixtral-8x7B-Instruct-v0.1"
DELTA, MOST, RESAMPLES, SEED = 0.05, 400, 60, 2026
LEAST_LOOKED = 30  # samples before one peeks at an interval of a normal distribution
BOUNDS = {"right": 0.99, "false": 0.01, "saved": 0.35, "at delta": 0.05, "people": 0.15}

Differences = list[float]
Rule = Callable[[Sequence[float]], tuple[int, int]]  # → (1 escalate, −1 keep, 0 open; after how many)


# ---------------------------------------------------------------- verdicts


def features(folder: Path) -> dict[str, Differences]:
    """Every subject's differences, large − small, of right answers."""
    csv.field_size_limit(1 << 30)
    found = {}
    for path in [*sorted((folder / "mmlu").glob("*.csv")), folder / "gsm8k_responses.csv"]:
        with path.open(encoding="utf-8", newline="") as file:
            found[path.stem] = [float(row[LARGE] == "True") - (row[SMALL] == "True") for row in csv.DictReader(file)]
    return found


def betting(drawn: Sequence[float]) -> tuple[int, int]:
    test = Test([Demand("right answers", DELTA)])
    for at, one in enumerate(drawn, 1):
        test.observe({"right answers": [one]})
        verdict = test.choice()
        if verdict != "INCONCLUSIVE":
            return (1 if verdict == "ESCALATE" else -1), at
    return 0, len(drawn)


def peeking(drawn: Sequence[float]) -> tuple[int, int]:
    """A 95 % interval after every sample, ended where it leaves delta."""
    total = squares = 0.0
    for at, one in enumerate(drawn, 1):
        total += one
        squares += one * one
        mean = total / at
        if at >= LEAST_LOOKED and abs(mean - DELTA) > 1.96 * math.sqrt(max(squares / at - mean**2, 0) / at):
            return (1 if mean > DELTA else -1), at
    return 0, len(drawn)


@dataclass(slots=True)
class Sums:
    runs: int = 0
    decided: int = 0
    false_escalate: int = 0
    false_keep: int = 0
    used: int = 0

    def add(self, verdict: int, used: int, truth: float) -> None:
        self.runs += 1
        self.used += used
        self.decided += verdict != 0
        self.false_escalate += verdict > 0 and truth <= DELTA
        self.false_keep += verdict < 0 and truth >= DELTA

    @property
    def right(self) -> float:
        wrong = self.false_escalate + self.false_keep
        return 1 - wrong / self.decided if self.decided else 1.0

    @property
    def saved(self) -> float:
        return 1 - self.used / (self.runs * MOST)


def moved(drawn: Sequence[float], truth: float, chance: random.Random) -> Differences:
    """Draws whose true mean is delta: some are replaced by a win, or by a loss."""
    by = 1.0 if truth < DELTA else -1.0
    share = (DELTA - truth) / (by - truth)
    return [by if chance.random() < share else one for one in drawn]


def run(found: Mapping[str, Differences], rule: Rule, seed: int, *, at_delta: bool = False) -> Sums:
    sums = Sums()
    for name, differences in found.items():
        truth = sum(differences) / len(differences)
        chance = random.Random(f"{seed} {name}")
        for _ in range(RESAMPLES):
            drawn = chance.choices(differences, k=MOST)
            if at_delta:
                drawn = moved(drawn, truth, chance)
            sums.add(*rule(drawn), DELTA if at_delta else truth)
    return sums


def verdicts(folder: Path, seeds: int) -> bool:
    found = features(folder)
    print(f"{len(found)} features, delta {DELTA:g}, at most {MOST} samples, {RESAMPLES} runs each")
    print("rule      seed   right when decided  decided  false escalate  false keep  calls saved")
    ok = True
    for seed in range(SEED, SEED + seeds):
        for name, rule in (("betting", betting), ("peeking", peeking)):
            sums = run(found, rule, seed)
            escalate, keep = sums.false_escalate / sums.runs, sums.false_keep / sums.runs
            print(
                f"{name:9} {seed}  {sums.right:18.2%}  {sums.decided / sums.runs:7.1%}  {escalate:14.2%}  {keep:10.2%}"
                f"  {sums.saved:11.1%}"
            )
            if name == "betting":
                ok &= sums.right >= BOUNDS["right"] and sums.saved >= BOUNDS["saved"]
                ok &= max(escalate, keep) <= BOUNDS["false"]
    for name, rule in (("betting", betting), ("peeking", peeking)):
        sums = run(found, rule, SEED, at_delta=True)
        escalate, keep = sums.false_escalate / sums.runs, sums.false_keep / sums.runs
        print(f"exactly at delta, {name}: escalate {escalate:.2%}, keep {keep:.2%}; each is an error")
        ok &= name == "peeking" or max(escalate, keep) <= BOUNDS["at delta"]
    print(f"bounds: {BOUNDS}{'' if ok else '   MISSED'}")
    return ok


# ---------------------------------------------------------------- judges

PEOPLE_RATED = ("gpt4", "gpt35", "vicuna-13b", "bard")  # of these people saw every pair in both orders
JUDGES = ("gpt4", "claude", "gpt35", "bard")
SCORES = {1: 1.0, 2: -1.0, 3: 0.0}


def ratings(folder: Path, judge: str, first: str, second: str) -> dict[int, list[float]]:
    """Question → preferences for the first answer."""
    found: dict[int, list[float]] = defaultdict(list)
    for path in (folder / f"ratings-{judge}").glob(f"answer_{first}-vs-answer_{second}-{judge}-*.jsonl"):
        for row in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
            if row["score"] in SCORES:
                found[row["question_id"]].append(SCORES[row["score"]])
    return found


def lengths(folder: Path, model: str) -> dict[int, int]:
    rows = map(json.loads, (folder / "generations" / f"answer_{model}.jsonl").read_text(encoding="utf-8").splitlines())
    return {row["question_id"]: len(row["text"].split()) for row in rows}


def judged(folder: Path, judge: str, first: str, second: str) -> list[Judged]:
    one, other = ratings(folder, judge, first, second), ratings(folder, judge, second, first)
    ours, theirs = lengths(folder, first), lengths(folder, second)
    return [
        Judged(one[at][0], -other[at][0], (ours[at] - theirs[at]) / (ours[at] + theirs[at]))
        for at in one
        if at in other
    ]


def people(folder: Path, first: str, second: str) -> float:
    """The mean over the questions of what people prefer, both orders together."""
    one, other = ratings(folder, "human", first, second), ratings(folder, "human", second, first)
    means = []
    for at in {*one, *other}:
        given = [*one.get(at, []), *(-score for score in other.get(at, []))]
        means.append(sum(given) / len(given))
    return sum(means) / len(means)


def judges(folder: Path) -> bool:
    pairs = list(itertools.combinations(PEOPLE_RATED, 2))
    words = {(judge, pair): judged(folder, judge, *pair) for judge in JUDGES for pair in pairs}
    itself = {judge: agreement([one for pair in pairs for one in words[judge, pair]]) for judge in JUDGES}
    panel = [judge for judge in JUDGES if itself[judge] > 0.5]
    told = ", ".join(f"{judge} {share:.0%}" for judge, share in itself.items())
    print(f"\njudges agree with themselves: {told}; on the panel: {', '.join(panel)}")
    truth = {pair: people(folder, *pair) for pair in pairs}
    means = {pair: sum(margin(words[judge, pair]) for judge in panel) / len(panel) for pair in pairs}
    print("pair                  people  first order  both orders  at one length  corrected   off  abstain")
    right, worst = 0, 0.0
    for pair in pairs:
        scale = Scale.of([(means[other], truth[other]) for other in pairs if other != pair])
        corrected = scale.people(means[pair])
        raw = sum(one.shown_first for judge in panel for one in words[judge, pair]) / sum(
            len(words[judge, pair]) for judge in panel
        )
        level = margin_at_one_length([one for judge in panel for one in words[judge, pair]])
        quiet = sum(abstains(words[judge, pair]) for judge in panel)
        off = abs(corrected - truth[pair])
        right, worst = right + (corrected * truth[pair] > 0), max(worst, off)
        print(
            f"{' – '.join(pair):20} {truth[pair]:+7.2f}  {raw:+11.2f}  {means[pair]:+11.2f}  "
            f"{'-' if level is None else f'{level:+.2f}':>13}  {corrected:+9.2f}  {off:4.2f}  {quiet} of {len(panel)}"
        )
    ok = right == len(pairs) and worst <= BOUNDS["people"]
    print(f"signs right {right} of {len(pairs)}, the worst margin off by {worst:.3f}{'' if ok else '   MISSED'}")
    return ok


# ---------------------------------------------------------------- style


def liking(chance: random.Random, taste: float) -> Iterator[Judged]:
    """One model's answers to 400 questions, verbose against concise, by a judge that likes length and nothing else.

    Verbose is usually the longer one; the lengths overlap.
    """
    for _ in range(MOST):
        longer = max(-0.9, min(0.9, chance.gauss(0.25, 0.3)))
        likes = [taste * longer + chance.gauss(0, 0.4) for _ in range(2)]
        first, second = (float(like > 0.2) - (like < -0.2) for like in likes)
        yield Judged(first, second, longer)


def style() -> bool:
    """Told with the taste for length, and at one length: what a test of the judge's word would say."""
    plain = level_up = 0
    worst = 0.0
    for seed in range(RESAMPLES):
        pairs = list(liking(random.Random(seed), taste=1.5))
        level = margin_at_one_length(pairs)
        assert level is not None
        worst = max(worst, abs(level))
        plain += betting([one.preference for one in pairs])[0] > 0
        level_up += betting(list(at_one_length(pairs)))[0] > 0
    print(
        f"\nstyle: one model, verbose against concise, {RESAMPLES} runs of a judge that likes length and nothing else"
    )
    print(f"ESCALATE by its plain word in {plain}, at one length in {level_up} (margins up to {worst:.2f})")
    ok = level_up == 0
    print(f"bound: 0 at one length{'' if ok else '   MISSED'}")
    return ok


# ---------------------------------------------------------------- time


def made_up(count: int) -> list[AskSample]:
    return [
        AskSample(id=f"s{at}", question=f"What is fact {at}?", key_points=("one", "two"), answerable=True)
        for at in range(count)
    ]


async def recorded() -> bool:
    """A journal of 10,000 samples by two models that differ by delta on average, so that none is decided early."""
    toml = '[site]\nname = "Ann Ode"\nurl = "https://ann.example.com"\ncontact = "mailto:a@ann.example.com"\n'
    samples, models, chance = made_up(RECORDED), ("builtin:builtin", "scripted:faithful"), random.Random(SEED)
    with tempfile.TemporaryDirectory(prefix="askfit-bench-") as temporary:
        folder = Path(temporary)
        (folder / "about.md").write_text("# Ann\n\nAnn roasts tea.\n", encoding="utf-8")
        (folder / "askfit.toml").write_text(toml + '[corpus]\nsources = ["*.md"]\n', encoding="utf-8")
        settings = load_settings(folder / "askfit.toml", {})
        path = folder / "journal.jsonl"
        async with opened(settings, "ask", models, Tape(), 1.0) as asker:
            lines = []
            for sample in samples:
                gain = chance.choices([0.5, 0.0, -0.5], [30, 60, 10])[0]
                for model, points in zip(models, (0.5, 0.5 + gain), strict=True):
                    shares: dict[str, float | None] = {"key points": points, "faithfulness": 1.0, "citations": 1.0}
                    outcome = Outcome(sample.id, model, shares=shares, said="It is so. " * 20)
                    lines.append(json.dumps({"measured": asker.fingerprint(sample), **asdict(outcome)}))
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        began = time.perf_counter()
        found = await compare(settings, "ask", models, samples, delta=0.10, journal=Journal(path, resume=True))
        took_s = time.perf_counter() - began
        size = len(as_html(found, samples)) / 1024
    ok = took_s <= MOST_S and found.compared == RECORDED
    print(
        f"\n{found.compared} recorded samples of two models: {took_s:.1f} s, {found.verdict}, a report of {size:.0f} kB"
    )
    print(f"bound: {RECORDED} in {MOST_S} s{'' if ok else '   MISSED'}")
    return ok


async def taped(count: int) -> bool:
    """A tape of recorded answers goes through the whole feature: question, ground check, citations, scores.

    Answers are those of two scripted models to the sample site's questions, each asked in many words, so that no two
    prompts are alike; the sentences that are checked do repeat.
    """
    models, processes = ("scripted:faithful", "scripted:lying"), min(os.cpu_count() or 1, 8)
    with tempfile.TemporaryDirectory(prefix="askfit-bench-") as temporary:
        folder, path = Path(temporary) / "site", Path(temporary) / "tape.jsonl"
        shutil.copytree(SAMPLE, folder, ignore=shutil.ignore_patterns("*.db*"))
        settings = load_settings(folder / "askfit.toml", {})
        golden = [one for one in read_samples(folder / "golden" / "ask.yaml", "chat") if isinstance(one, AskSample)]
        samples = [in_other_words(golden[at % len(golden)], at // len(golden)) for at in range(count)]
        await compare(settings, "ask", models, samples, tape=Tape(record=path), to_the_end=True)
        tape, began, cpu = Tape(replay=path, at_once=True), time.perf_counter(), cpu_s()
        found = await compare(settings, "ask", models, samples, tape=tape, to_the_end=True, processes=processes)
        took_s, cpu = time.perf_counter() - began, cpu_s() - cpu
    whole_s, each_ms = took_s * RECORDED / count, cpu / found.replayed * 1000
    ok = whole_s <= MOST_S and found.compared == count
    print(
        f"\n{found.replayed} answers from a tape, {processes} processes: {took_s:.1f} s, {each_ms:.1f} ms of "
        f"processor each; {RECORDED} samples of two models at this rate: {whole_s:.0f} s, "
        f"{cpu * RECORDED / count:.0f} s of processor"
    )
    print(f"bound: {RECORDED} in {MOST_S} s{'' if ok else '   MISSED'}")
    return ok


def in_other_words(sample: AskSample, turn: int) -> AskSample:
    """The same question, asked for the so-manieth time."""
    question = f"{sample.question} (This is question {turn}.)" if turn else sample.question
    return sample.model_copy(update={"id": f"{sample.id}-{turn}", "question": question})


def cpu_s() -> float:
    """Of this process, and of those that it began and that have ended."""
    told = os.times()
    return told.user + told.system + told.children_user + told.children_system


async def overhead() -> bool:
    """The sample site's golden questions: what a comparison adds to asking them."""
    with tempfile.TemporaryDirectory(prefix="askfit-bench-") as temporary:
        folder = Path(temporary) / "site"
        shutil.copytree(SAMPLE, folder, ignore=shutil.ignore_patterns("*.db*"))
        settings = load_settings(folder / "askfit.toml", {})
        samples = [one for one in read_samples(folder / "golden" / "ask.yaml", "chat") if isinstance(one, AskSample)]
        journal = Journal(Path(temporary) / "journal.jsonl")
        found = await compare(settings, "ask", ("builtin", "scripted:faithful"), samples, journal=journal)
        scoring = []
        async with open_site(settings) as site:
            for sample in samples:
                history = [Turn(turn.question, turn.answer) for turn in sample.history]
                answer = await ask(site, sample.question, history)
                began = time.perf_counter()
                of_answer(sample, "builtin:builtin", 0, answer, None, site.corpus)
                scoring.append((time.perf_counter() - began) * 1000)
    own = found.own_ms / len({one.sample for one in found.outcomes})
    added = own + 2 * sum(scoring) / len(scoring)
    ok = added <= MOST_OWN_MS
    print(f"\na comparison of two adds {added:.2f} ms a sample: statistics and journal {own:.2f}, scoring the rest")
    print(f"bound: {MOST_OWN_MS:g} ms{'' if ok else '   MISSED'}")
    return ok


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", type=Path, help="a folder with routing/routellm and routing/prd")
    parser.add_argument("--seeds", type=int, default=1, help="how many times the verdicts' draws are made anew")
    parser.add_argument("--taped", type=int, default=2_000, help="samples of the tape; the figure is for 10,000")
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    ok = True
    if given.data and (folder := given.data / "routing" / "routellm").is_dir():
        ok &= verdicts(folder, given.seeds)
    if given.data and (folder := given.data / "routing" / "prd" / "data" / "vicuna80").is_dir():
        ok &= judges(folder)
    ok &= style()
    ok &= asyncio.run(recorded())
    ok &= asyncio.run(taped(given.taped))
    ok &= asyncio.run(overhead())
    sys.exit(not ok)


if __name__ == "__main__":
    main()
