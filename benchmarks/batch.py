"""What a folder of 20 postings costs one by one and in a batch, by genai-prices, at several rates of cache hits.

Prompts are those that the sample's matrix and postings make. An answer is as long as the scripted judge's (short: a
real model's is longer), halfway, or as long as it may be. A batch halves every price, but nobody promises it cache
hits; one by one, 19 of 20 read what the first has written. Anthropic's guide tells of 30 to 98% in batches. `ahead` is
what askfit does: one call in a batch of its own writes for an hour, then the others. Bound: with 90% of the others
hitting, that costs less than one by one, for every model and length. Below which rate it does not, is printed.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

from askfit.config import load_settings
from askfit.fit.judgement import prompt_for, read_unaddressed
from askfit.models import cost_nanos, known_models, prompt_tokens
from askfit.providers.scripted.behaviours import Asked, behave, estimated
from askfit.skills import load_matrix
from askfit.types import NANOS_PER_USD, Prompt, Usage

SAMPLE = Path(__file__).parents[1] / "examples" / "site"
POSTINGS = 20
HITS = (0.0, 0.3, 0.6, 0.9, 0.98)  # of those that can hit
BOUND_HITS = 0.9


@dataclass(frozen=True, slots=True)
class Load:
    """The tokens of one call, on average."""

    shared: int
    fresh: int
    answer: int


def usd(model: str, load: Load, ttl: str, *, batch: bool, hit: bool = False) -> float:
    """One call that finds the shared part in the cache, writes it there, or sends it unmarked."""
    total = load.shared + load.fresh
    used = Usage(total, load.answer)
    if ttl:
        used = replace(used, cache_read_tokens=load.shared) if hit else replace(used, cache_write_tokens=load.shared)
    if ttl == "1h" and not hit:
        used = replace(used, cache_write_1h_tokens=load.shared)
    return cost_nanos(model, used, batch=batch) / NANOS_PER_USD


def one_by_one(model: str, load: Load) -> float:
    """The first writes for five minutes, 19 read."""
    return usd(model, load, "5m", batch=False) + (POSTINGS - 1) * usd(model, load, "5m", batch=False, hit=True)


def unmarked(model: str, load: Load, hits: float) -> float:
    """A batch that caches nothing."""
    return POSTINGS * usd(model, load, "", batch=True)


def at_once(model: str, load: Load, hits: float) -> float:
    """A batch marked for five minutes, of which at best the first writes."""
    hits *= (POSTINGS - 1) / POSTINGS
    read, write = usd(model, load, "5m", batch=True, hit=True), usd(model, load, "5m", batch=True)
    return POSTINGS * (hits * read + (1 - hits) * write)


def ahead(model: str, load: Load, hits: float) -> float:
    """One writes for an hour, then 19 more, marked alike."""
    read, write = usd(model, load, "1h", batch=True, hit=True), usd(model, load, "1h", batch=True)
    return write + (POSTINGS - 1) * (hits * read + (1 - hits) * write)


ROADS = {"batch, unmarked": unmarked, "batch, 5 min": at_once, "batch, ahead": ahead}


def loads(model: str, asked: list[Prompt]) -> list[Load]:
    """As the scripted judge answers, as long as an answer may be, and halfway."""
    whole = sum(prompt_tokens(model, prompt) for prompt in asked) // len(asked)
    fresh = sum(prompt_tokens(model, Prompt("", "", prompt.messages, 0)) for prompt in asked) // len(asked)
    short = sum(map(_said, asked)) // len(asked)
    long = sum(prompt.max_output_tokens for prompt in asked) // len(asked)
    return [Load(whole - fresh, fresh, answer) for answer in (short, (short + long) // 2, long)]


def _said(prompt: Prompt) -> int:
    system = f"{prompt.instructions}\n\n{prompt.prefix}"
    return estimated(behave("faithful", Asked("m", system, prompt.messages, 9_999, prompt.output_schema)).text)


def pays_from(model: str, load: Load) -> float:
    """The rate of hits from which `ahead` costs less than one by one; over 1: never."""
    least, most = ahead(model, load, 0), ahead(model, load, 1)
    return max(0.0, (least - one_by_one(model, load)) / (least - most))


def table(model: str, load: Load) -> bool:
    """Print one model's table; does it hold the bound?"""
    alone = one_by_one(model, load)
    print(f"\n{model}: {load.shared:,} shared, {load.fresh:,} fresh, {load.answer:,} tokens of answer each")
    print(f"  {'one by one, cached':20}${alone:8.4f}; uncached ${POSTINGS * usd(model, load, '', batch=False):.4f}")
    print(f"  {'hits':20}" + "".join(f"{hits:>9.0%}" for hits in HITS))
    for name, road in ROADS.items():
        print(f"  {name:20}" + "".join(f"{road(model, load, hits):9.4f}" for hits in HITS))
    print(f"  ahead costs less than one by one from {pays_from(model, load):.0%} of hits on")
    return ahead(model, load, BOUND_HITS) < alone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", type=Path, help="a folder of data; not needed")
    parser.parse_args()
    matrix = load_matrix(load_settings(SAMPLE / "askfit.toml", {}))
    texts = [path.read_text(encoding="utf-8") for path in sorted((SAMPLE / "postings").iterdir()) if path.is_file()]
    asked = [prompt_for(matrix, one) for one in map(read_unaddressed, texts) if not one.problem]
    priced = [known.model for known in known_models() if known.model.startswith("anthropic:") and known.priced]
    held = [table(model, load) for model in priced for load in loads(model, asked)]
    print(f"\nahead, {BOUND_HITS:.0%} of hits, costs less than one by one in {sum(held)} of {len(held)} (bound: all)")


if __name__ == "__main__":
    main()
