"""How surely a question of synthesis is told from one of retrieval, how many turns are escalated, and what that costs.

Of our own questions (cases/shape.py) one half was looked at while the rules were made. With DATA also the questions of
`qa/squad2_dev_articles.json`, which others wrote to be answered from one passage. Bounds on the half not looked at:
precision ≥.9; of the sample's golden questions and of DATA's at most 1% escalated. Cost by prices, nothing is called.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from askfit.ask.shape import why_synthesis
from askfit.models import cost_nanos
from askfit.types import NANOS_PER_USD, Usage
from cases.shape import halves

SAMPLE = Path(__file__).parents[1] / "examples" / "site"
LEAST_PRECISION, MOST_SHARE = 0.9, 0.01
SMALL, LARGE = "anthropic:claude-haiku-4-5", "anthropic:claude-sonnet-4-6"
TURNS, OUTPUT_TOKENS = 1_000, 120
PROMPTS = {"retrieval, 3,000 tokens": 3_000, "the sample, 14,800 tokens": 14_800, "60,000 tokens": 60_000}
Cases = Sequence[tuple[str, bool]]


def told(name: str, cases: Cases) -> float:
    """Print one half's row; its precision."""
    right = sum(bool(why_synthesis(text)) for text, synthesis in cases if synthesis)
    wrong = [text for text, synthesis in cases if not synthesis and why_synthesis(text)]
    of = sum(synthesis for _, synthesis in cases)
    precision = right / (right + len(wrong)) if right else 0.0
    print(f"{name:32}{of:>5}{len(cases) - of:>6}{precision:>10.1%}{right / of:>9.1%}")
    for text in wrong:
        print(f"    called synthesis: {text}")
    return precision


def questions(found: Any) -> Iterator[str]:
    if isinstance(found, dict):
        for key, value in found.items():
            if key == "question" and isinstance(value, str):
                yield value
            else:
                yield from questions(value)
    elif isinstance(found, list):
        for value in found:
            yield from questions(value)


def others(data: Path | None) -> Iterator[tuple[str, list[str]]]:
    """(whose, questions) of which the answer stands in one place."""
    path = SAMPLE / "golden" / "ask.yaml"
    yield "the sample's golden questions", list(questions(yaml.safe_load(path.read_text(encoding="utf-8"))))
    path = data / "qa" / "squad2_dev_articles.json" if data else Path()
    if data and path.is_file():
        yield "SQuAD 2.0", list(questions(json.loads(path.read_text(encoding="utf-8"))))


def cost_usd(tokens: int, share: float, hit: bool) -> float:
    """What 1,000 turns cost more when a share goes to the large model, unmarked; small ones read the cache or not."""
    small = Usage(tokens, OUTPUT_TOKENS, round(tokens * 0.97) if hit else 0)
    more = cost_nanos(LARGE, Usage(tokens, OUTPUT_TOKENS)) - cost_nanos(SMALL, small)
    return TURNS * share * more / NANOS_PER_USD


def main() -> None:
    """Print precision and recall by half, the shares elsewhere, and the cost of 1,000 turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, help="a folder with qa/")
    data = parser.parse_args().data
    print(f"{'':32}{'synth':>5}{'retr':>6}{'precision':>10}{'recall':>9}")
    seen, unseen = halves()
    told("looked at", seen)
    precision = told("not looked at", unseen)
    print(
        f"precision {precision:.1%} (bound {LEAST_PRECISION:.0%}){'' if precision >= LEAST_PRECISION else '   MISSED'}"
    )
    for whose, given in others(data):
        share = sum(bool(why_synthesis(text)) for text in given) / len(given)
        missed = "" if share <= MOST_SHARE else "   MISSED"
        print(f"{whose}: {len(given):,}, escalated {share:.2%} (bound {MOST_SHARE:.0%}){missed}")
    print(f"\nextra US dollars in {TURNS:,} turns at {OUTPUT_TOKENS} tokens an answer, were there no bound on a day:")
    print(f"{'':28}{'5% of turns':>14}{'20%':>9}{'  (small from the cache: 5%':>26}{'20%)':>8}")
    for name, tokens in PROMPTS.items():
        costs = [cost_usd(tokens, share, hit) for hit in (False, True) for share in (0.05, 0.2)]
        print(f"{name:28}{costs[0]:>14.2f}{costs[1]:>9.2f}{costs[2]:>26.2f}{costs[3]:>8.2f}")


if __name__ == "__main__":
    main()
