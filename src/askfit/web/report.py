"""The report of an assessment: what its page shows, and the seal by which a server knows its own assessments again.

Nothing of an assessment is kept by default. It travels sealed through the visitor's browser, and what comes back with
its seal whole is what was judged here: a stranger's words cannot be put on the owner's page.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from askfit.fit.nearmiss import Change, NearMisses, Renamed
from askfit.types import Assessment, Requirement, Verdict
from askfit.web.chart import LANES, NARROW, WIDE, by_weight, picture

SEALED_S = 24 * 3600  # how long a visitor may come back with an assessment
SHORT_SHA = 12
KIND_WORDS = {"must": "must", "preferred": "preferred", "responsibility": "task"}
FROM_WORDS = {
    "stated": "the posting states it",
    "structural": "from where and how it stands in the posting",
    "estimated": "estimated from the words",
}


# ---------------------------------------------------------------- the seal


def sealed(assessment: Assessment, key: bytes, judged_ms: int) -> Assessment:
    """The assessment with its seal: when it was judged, and the proof that it was judged here."""
    return assessment.model_copy(update={"seal": f"{judged_ms}.{_proof(assessment, key, judged_ms)}"})


def judged_ms_of(assessment: Assessment, key: bytes, now_ms: int) -> int | None:
    """When a sealed assessment was judged; None where its seal is broken, of another site, or too old."""
    at, _, proof = assessment.seal.partition(".")
    if not at.isascii() or not at.isdigit() or len(at) > 15:
        return None
    judged_ms = int(at)
    whole = hmac.compare_digest(proof.encode(), _proof(assessment, key, judged_ms).encode())
    return judged_ms if whole and 0 <= now_ms - judged_ms <= SEALED_S * 1000 else None


def _proof(assessment: Assessment, key: bytes, judged_ms: int) -> str:
    # A key of its own, drawn from the store's: what seals assessments tells nothing of visitors.
    own = hmac.new(key, b"askfit assessment 1", hashlib.sha256).digest()
    said = f"{judged_ms}.{assessment.model_dump_json(exclude={'seal'})}"
    digest = hmac.new(own, said.encode("utf-8", "replace"), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


# ---------------------------------------------------------------- what the page shows


@dataclass(frozen=True, slots=True)
class Row:
    """One requirement as the table shows it."""

    number: int
    requirement: Requirement
    kind: str
    weight: str
    weight_from: str
    quote: str  # "" where it says no more than the text
    contested: str  # "" where nobody contests it
    reason: str  # "" where it only says again that there is no row


@dataclass(frozen=True, slots=True)
class Tally:
    """A band's number of requirements and its share of the emphasis."""

    band: str
    count: int
    share: str


@dataclass(frozen=True, slots=True)
class View:
    """One assessment, made ready for the template."""

    rows: tuple[Row, ...]
    tallies: tuple[Tally, ...]
    numbers: dict[str, int]  # by requirement id, as in picture and table
    wide: str
    narrow: str
    contested: bool
    by_model: bool
    date: str
    method: tuple[tuple[str, str], ...]
    notices: tuple[str, ...]


def view(result: Assessment, judged: datetime) -> View:
    """What the report of an assessment shows."""
    listed = by_weight(result)
    contested = {each.requirement: each for each in result.disagreements}
    rows = tuple(
        Row(
            number,
            one,
            KIND_WORDS[one.kind],
            f"{one.emphasis:.0%}",
            FROM_WORDS[one.emphasis_from],
            "" if _plain(one.quote) == _plain(one.text) else one.quote,
            _contested(contested[one.id].model_band, contested[one.id].rows_band) if one.id in contested else "",
            one.reason if one.evidence else "",
        )
        for number, one in enumerate(listed, 1)
    )
    return View(
        rows=rows,
        tallies=tuple(_tallies(listed)),
        numbers=numbers_of(result),
        wide=picture(result, WIDE, id="wide"),
        narrow=picture(result, NARROW, id="narrow"),
        contested=bool(contested),
        by_model=result.provider != "builtin",
        date=f"{judged:%-d %B %Y}",
        method=tuple(_method(result, listed, judged)),
        notices=tuple(notice.message for notice in result.notices if notice.code != "looks_like_question"),
    )


def numbers_of(result: Assessment) -> dict[str, int]:
    """The number of each requirement: its place in every table and picture, the weightiest first."""
    return {one.id: number for number, one in enumerate(by_weight(result), 1)}


def _contested(model_band: str, rows_band: str) -> str:
    return f"contested: the model says {model_band}, the rows say {rows_band}"


def _plain(text: str) -> str:
    return " ".join(text.split()).strip(" .;:…")


def _tallies(listed: Sequence[Requirement]) -> list[Tally]:
    counts = Counter(one.band for one in listed)
    shares = {band: sum(one.emphasis for one in listed if one.band == band) for band in LANES}
    return [Tally(band, counts[band], f"{shares[band]:.0%}") for band in LANES]


def _method(result: Assessment, listed: Sequence[Requirement], judged: datetime) -> list[tuple[str, str]]:
    """Who judged, what it rests on, and what can be checked again."""
    if not listed:
        return []
    sources = Counter(one.emphasis_from for one in listed)
    weights = ", ".join(f"{count} {source}" for source, count in sources.most_common())
    by = "rules of this site; no AI model read the posting" if result.provider == "builtin" else result.model
    return [
        ("Judged by", by),
        ("On", f"{judged:%Y-%m-%d %H:%M} UTC"),
        ("Cost", f"${result.cost_usd:.4f}" if result.cost_usd else "nothing"),
        ("Emphasis", f"{weights} (shares of one whole)"),
        ("Matrix", result.matrix_sha[:SHORT_SHA]),
        ("Posting", result.posting_sha[:SHORT_SHA]),
    ]


# ---------------------------------------------------------------- what only the owner sees


SUMS: dict[Verdict, str] = {
    "strong": "a strong fit",
    "moderate": "a moderate fit",
    "stretch": "a stretch",
    "misfit": "a misfit",
    "insufficient_information": "too little to judge",
}


@dataclass(frozen=True, slots=True)
class Owners:
    """What would change the verdict, as sentences that say what they rest on: if it were true."""

    head: str
    lifts: tuple[str, ...]
    bands: tuple[str, ...]
    renamed: tuple[str, ...]


def owners(near: NearMisses, numbers: Mapping[str, int]) -> Owners:
    """The owner's view of an assessment; `numbers`: of the requirements, as the table has them."""
    lifts = (
        f"If {_joined([_changed(each) for each in lift.changes])}, the rows would add up to "
        f"{SUMS[lift.verdict]} ({lift.score}/100){_lifted(lift.changes, numbers)}."
        for lift in near.lifts
    )
    bands = (
        f"No. {numbers[each.requirement_id]} would be {each.band} if {_changed(each.change)}."
        for each in near.bands
        if each.requirement_id in numbers
    )
    renamed = (_may_mean(each, numbers, near) for each in near.renamed if each.requirement_id in numbers)
    return Owners(_head(near), tuple(lifts), tuple(bands), tuple(renamed))


def _may_mean(one: Renamed, numbers: Mapping[str, int], near: NearMisses) -> str:
    """The row to look at, what to do if it means the same, and what would then be so."""
    number, place = numbers[one.requirement_id], one.place[:1].upper() + one.place[1:]
    lifted = f"{SUMS[one.verdict]} ({one.score}/100)" if one.verdict != near.verdict else f"{one.score}/100"
    return (
        f"No. {number} names “{one.asked}”. {place} “{one.skill}” may mean this: if it does, add “{one.asked}” to its "
        f"aliases. No. {number} would be {one.band}, and the rows would add up to {lifted}."
    )


def _head(near: NearMisses) -> str:
    if near.target is None:
        return "Nothing stands above this verdict."
    stands = f"The bands add up to {near.score}/100: {SUMS[near.verdict]}."
    if not near.lifts:
        return f"{stands} No four rows of those tried, even at level 5, make it {SUMS[near.target]}."
    return f"{stands} The smallest changes found that would make it {SUMS[near.target]}:"


def _changed(change: Change) -> str:
    if change.level_from is None:
        return f"there were a row “{change.skill}” at level {change.level_to:g}"
    return f"{change.skill} ({change.place}) stood at {change.level_to:g} rather than {change.level_from:g}"


def _lifted(changes: Sequence[Change], numbers: Mapping[str, int]) -> str:
    lifted = sorted({numbers[id_] for change in changes for id_ in change.requirement_ids if id_ in numbers})
    return f": it lifts no. {', '.join(map(str, lifted))}" if lifted else ""


def _joined(items: Sequence[str]) -> str:
    return " and ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)


def utc(ms: int) -> datetime:
    """A time in milliseconds as a date."""
    return datetime.fromtimestamp(ms / 1000, UTC)
