"""`askfit gaps`: what visitors asked in vain, grouped by meaning, with a draft of what to write for each group.

Grouping is by words alone, and the same questions always give the same groups: two belong together where at least half
of their telling words agree, and what belongs to one of a group belongs to the group.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter, defaultdict
from collections.abc import Sequence, Set
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from askfit.ask.question import names_in, understand
from askfit.ask.terms import content, kin, light
from askfit.config import Settings
from askfit.ledger import Ledger, Unanswered
from askfit.store import open_store
from askfit.text import words

ALIKE = 0.5  # of the telling words of two questions together
NAME_WEIGHT = 2  # a name tells more of what is asked than another word
SAME_LEAST = 5  # letters that two forms of one word begin with
_USE = frozenset(content("use used using hold own"))  # what one does with the thing that is asked about
MOST_WORDINGS = 5  # of a group that are shown
_MARKUP = re.compile(r"([\\`*_\[\]<>#|])")
_INBOX_MARKS = {"unanswered": "not answered", "thumbed_down": "thumbed down"}


@dataclass(frozen=True, slots=True)
class Gap:
    """One thing that visitors ask and the site does not say, or not well."""

    question: str  # as most asked it; of equals the newest
    count: int
    unanswered: int
    thumbed_down: int
    reasons: dict[str, int]
    first: str  # ISO days
    last: str
    wordings: tuple[str, ...]  # the other ways to ask it
    stub: str  # markdown: what to write

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


async def gaps(settings: Settings) -> tuple[Gap, ...]:
    """The gap inbox. What is older than the owner keeps is forgotten before it is read."""
    store = await asyncio.to_thread(open_store, settings)
    try:
        ledger = Ledger(store)
        await ledger.open()
        await ledger.purge(settings.file.privacy.keep_questions_days)
        kept = await ledger.unanswered()
    finally:
        await store.aclose()
    return grouped(kept, settings.site.name)


def grouped(kept: Sequence[Unanswered], owner: str = "") -> tuple[Gap, ...]:
    """Questions, newest first, as groups: the one asked last stands first, of equals the one asked most."""
    keys = [_key(one.question, owner) for one in kept]
    names = frozenset[str]().union(*(names_in(one.question) for one in kept))
    root = _linked(list(dict.fromkeys(keys)), names)
    groups: dict[Key, list[Unanswered]] = defaultdict(list)
    for one, key in zip(kept, keys, strict=True):
        groups[root[key]].append(one)
    found = [_gap(group) for group in groups.values()]
    return tuple(sorted(found, key=lambda gap: (-_ordinal(gap.last), -gap.count, gap.question)))


# ---------------------------------------------------------------- meaning

Key = tuple[str, ...]


def _key(question: str, owner: str) -> Key:
    """Its telling stems; where it has none, its words."""
    stems = frozenset(understand(question, owner=owner).terms)
    return tuple(sorted((stems - light() - _USE) or stems)) or ("", *words(question))


def _linked(keys: list[Key], names: frozenset[str]) -> dict[Key, Key]:
    """Key → the first key of its group. Only keys that share a word, its kin or another form of it are compared."""
    root, rank = {key: key for key in keys}, {key: at for at, key in enumerate(keys)}

    def find(key: Key) -> Key:
        while root[key] != key:
            key = root[key] = root[root[key]]
        return key

    forms = _forms({stem for key in keys for stem in key})
    holders: dict[str, list[Key]] = defaultdict(list)
    for key in keys:
        near = {other for stem in key for same in forms[stem] for other in holders.get(same, ())}
        for other in sorted(near, key=lambda key: rank[key]):
            if find(other) != find(key) and _alike(key, other, names):
                first, second = sorted((find(key), find(other)), key=lambda key: rank[key])
                root[second] = first
        for stem in key:
            holders[stem].append(key)
    return {key: find(key) for key in keys}


def _forms(stems: Set[str]) -> dict[str, list[str]]:
    """Stem → those of the stems that it answers for, itself among them."""
    begun: dict[str, list[str]] = defaultdict(list)
    for stem in stems:
        begun[stem[:SAME_LEAST]].append(stem)
    return {
        stem: [
            *(other for other in begun[stem[:SAME_LEAST]] if other == stem or _same(stem, other)),
            *(kin(stem) & stems),
        ]
        for stem in stems
    }


def _alike(one: Key, other: Key, names: frozenset[str]) -> bool:
    if "" in (one[0], other[0]):
        return False
    weight = {stem: NAME_WEIGHT if stem in names else 1 for stem in (*one, *other)}
    shared = sum(weight[stem] for stem in one if _answers_for(stem, other))
    alone = sum(weight[stem] for stem in other if not _answers_for(stem, one))
    return shared / (sum(weight[stem] for stem in one) + alone) >= ALIKE


def _answers_for(stem: str, key: Key) -> bool:
    return stem in key or any(_same(stem, other) for other in key)


@lru_cache(maxsize=2**18)
def _same(one: str, other: str) -> bool:
    """Kin, or two forms of one word: "certified" and "certification" begin alike, to the end of the shorter."""
    if other in kin(one):
        return True
    short, long = sorted((one, other), key=len)
    alike = next((at for at, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    return alike >= max(SAME_LEAST, len(short) - 1) and alike * 2 >= len(long)


# ---------------------------------------------------------------- one group


def _gap(group: Sequence[Unanswered]) -> Gap:
    """`group` is newest first."""
    asked = Counter(one.question for one in group)
    question = max(asked, key=lambda wording: asked[wording])  # of equals the first seen: the newest
    whys = Counter(one.why for one in group)
    wordings = tuple(wording for wording in asked if wording != question)[:MOST_WORDINGS]
    gap = Gap(
        question=question,
        count=len(group),
        unanswered=whys["unanswered"],
        thumbed_down=whys["thumbed_down"],
        reasons=dict(Counter(one.reason for one in group if one.reason)),
        first=_day(group[-1].at_ms),
        last=_day(group[0].at_ms),
        wordings=wordings,
        stub="",
    )
    return Gap(**{**asdict(gap), "wordings": wordings, "stub": stub(gap)})


def stub(gap: Gap) -> str:
    """A draft to fill in: the question as a heading, and what is to be done. It states nothing."""
    times = "once" if gap.count == 1 else f"{gap.count} times"
    lines = [f"## {_plain(gap.question)}", "", f"Asked {times}, last on {gap.last}."]
    lines += [f"Also asked as: {_plain(wording)}" for wording in gap.wordings]
    lines += ["", "- [ ] Answer it in one or two plain sentences that use the question's own words."]
    if gap.thumbed_down:
        said = ", ".join(reason.replace("_", " ") for reason in gap.reasons if reason in RATED)
        lines += [
            f"- [ ] Visitors were not content with the answer{f' ({said})' if said else ''}: mend what it quoted."
        ]
    lines += [
        "- [ ] Add the fact that answers it: a date, a number, a name, a link.",
        "- [ ] Add the question to golden/ask.yaml, so that it stays answered.",
        "- [ ] Or leave it unanswered, and delete this.",
    ]
    return "\n".join(lines) + "\n"


RATED = ("too_shallow", "too_much", "wrong", "other")


def _plain(text: str) -> str:
    """A stranger's words as text: no markup of theirs works in the owner's page."""
    return _MARKUP.sub(r"\\\1", text)


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).date().isoformat()


def _ordinal(day: str) -> int:
    return datetime.fromisoformat(day).toordinal()


# ---------------------------------------------------------------- on a terminal


def show(found: Sequence[Gap], keep_days: int) -> None:
    """A table, and under it the stubs."""
    from rich.markup import escape
    from rich.table import Table

    from askfit.cli.show import out

    if not keep_days:
        out.print("No questions are kept: [bold]\\[privacy] keep_questions_days[/] is 0.")
        return
    if not found:
        out.print(f"Nothing was asked in vain in the last {keep_days} days.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("asked", justify="right", no_wrap=True)
    for title in ("last", "why", "question"):
        table.add_column(title, no_wrap=title == "last")
    for gap in found:
        others = len(gap.wordings)
        more = f" [dim](and {others} other {'wording' if others == 1 else 'wordings'})[/]" if others else ""
        table.add_row(str(gap.count), gap.last, _why(gap), escape(gap.question) + more)
    out.print(table)
    out.print(f"\n[dim]Drafts of what to write, for each group (kept {keep_days} days, without who asked):[/]\n")
    for gap in found:
        out.print(gap.stub, markup=False)


def _why(gap: Gap) -> str:
    counts = {"unanswered": gap.unanswered, "thumbed_down": gap.thumbed_down}
    return ", ".join(_INBOX_MARKS[why] for why, count in counts.items() if count)
