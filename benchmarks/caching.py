"""One prefix for every visitor, and a hit rate that theory predicts.

First: 1,000 turns of 50 conversations over the sample site, with their histories, through the prompt that a model would
get; how many different prefixes they make, and how many after one page was changed. Then: questions that come by chance
against a cache that charges as the provider's does, beside `caching.hit_rate` and `caching.cost_factor`.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from askfit.ask import Turn
from askfit.ask.prompt import make_prompt
from askfit.ask.question import bounded, understand
from askfit.caching import Ttl, cost_factor, hit_rate, ratios
from askfit.config import load_settings
from askfit.providers.scripted.cache import Block, PromptCache
from askfit.site import open_site

SAMPLE = Path(__file__).parents[1] / "examples" / "site"
HAIKU = "anthropic:claude-haiku-4-5"
TURNS, CONVERSATIONS = 1_000, 50
CALLS = 5_000
RATES = (0.005, 0.02, 0.1, 0.5, 2.0)  # a minute
WORDS = [
    "team",
    "role",
    "games",
    "experiments",
    "salary",
    "where",
    "when",
    "why",
    "Kafka",
    "düsseldorf",
    "<section>",
    "🙂",
]


async def prefixes(folder: Path) -> set[str]:
    """The different beginnings that 1,000 turns send."""
    seen: set[str] = set()
    chance = random.Random(3)
    histories: list[list[Turn]] = [[] for _ in range(CONVERSATIONS)]
    settings = load_settings(folder / "askfit.toml", {"ANTHROPIC_API_KEY": "x"})
    async with open_site(settings) as site:
        for _ in range(TURNS):
            history = chance.choice(histories)
            question = " ".join(chance.choices(WORDS, k=chance.randint(1, 12)))
            asked = understand(question, bounded(history), site.settings.site.name)
            prompt = make_prompt(site, "ask", asked, [])
            seen.add(hashlib.sha256(f"{prompt.instructions}\x00{prompt.prefix}".encode()).hexdigest()[:12])
            history.append(Turn(question, " ".join(chance.choices(WORDS, k=30))))
    return seen


@dataclass(slots=True)
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def simulated(per_minute: float, ttl: Ttl) -> tuple[float, float]:
    """(hit rate, cost over the uncached cost) of calls that come by chance, as the provider would bill them."""
    at = ratios(HAIKU)
    assert at is not None
    clock, chance = Clock(), random.Random(11)
    cache = PromptCache(clock)
    blocks = [Block("word " * 9_000, ttl)]
    hits, cost, total = 0, 0.0, 0
    for _ in range(CALLS):
        clock.now += chance.expovariate(per_minute) * 60
        charge = cache.charge(HAIKU, blocks, 4_096)
        hits += charge.read > 0
        cost += charge.read * at.read + (charge.written_5m + charge.written_1h) * at.write[ttl]
        total += charge.total
    return hits / CALLS, cost / total


async def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "site"
        shutil.copytree(SAMPLE, folder, ignore=shutil.ignore_patterns("*.db*"))
        before = await prefixes(folder)
        page = folder / "content" / "faq.md"
        page.write_text(page.read_text(encoding="utf-8") + "\nOne more line.\n", encoding="utf-8")
        after = await prefixes(folder)
    print(
        f"{TURNS} turns in {CONVERSATIONS} conversations: {len(before)} prefix; one page changed: {len(before | after)}"
    )
    print(f"\n{CALLS} calls by chance, {HAIKU}: hit rate and cost of the prefix over its uncached cost")
    print("a minute   ttl   hits  theory    cost  theory")
    at = ratios(HAIKU)
    assert at is not None
    for ttl in at.write:
        for rate in RATES:
            hits, cost = simulated(rate, ttl)
            theory = hit_rate(rate, ttl)
            print(
                f"{rate:8g}   {ttl:3}  {hits:5.1%}   {theory:5.1%}   {cost:5.2f}   {cost_factor(theory, ttl, at):5.2f}"
            )


if __name__ == "__main__":
    asyncio.run(main())
