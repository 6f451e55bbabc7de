"""Draw what a posting weighs against how strong the rows are, as SVG text. Knows shapes, not pages.

One mark a requirement: to the right what weighs more, higher what the rows bear better, in a lane of its band. Band is
told by lane, shape and colour; each mark carries the number that its requirement has in the table. Everything that a
posting or a model wrote is escaped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from markupsafe import Markup, escape

from askfit.types import Assessment, Band, Requirement

LANES: tuple[Band, ...] = ("strong", "moderate", "gap")  # from the top
STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25)  # of the axis of emphasis
MOST_STEPS = 6
FEWEST_LABEL_CHARS = 14
NUMBERED = 14  # of the heaviest, whose marks carry their number in any case
MOST_NUMBERED = 24  # requirements; of more, only the heaviest carry their number
RADIUS, SMALL_RADIUS = 9.5, 5.0
CHAR_WIDTH = 6.2  # of a label's letter at 11 px, on the wide side
TOP, BOTTOM, RIGHT = 10.0, 40.0, 14.0
OFF = 12.0  # between the end of a label and the next mark
EMPTY_LANE, LOWEST_LANE, HIGHEST_LANE, LANE_GAP = 30.0, 56.0, 230.0, 4.0
TOP_LEVEL = 5.0


@dataclass(frozen=True, slots=True)
class Size:
    """How large a picture is, in px, and how much is written into it."""

    width: float
    left: float  # room for the bands' names
    labels: int
    label_chars: int


WIDE = Size(width=704, left=76, labels=7, label_chars=36)
NARROW = Size(width=344, left=72, labels=0, label_chars=0)  # on a telephone the heaviest stand in a list below it


@dataclass(frozen=True, slots=True)
class Lane:
    """The stripe of one band."""

    band: Band
    top: float
    height: float


@dataclass(frozen=True, slots=True)
class Mark:
    """One requirement, placed."""

    number: int  # as in the table
    requirement: Requirement
    contested: bool
    x: float
    y: float
    radius: float


@dataclass(frozen=True, slots=True)
class _Box:
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: _Box) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def lies_in(self, other: _Box) -> bool:
        return (
            other.left <= self.left
            and self.right <= other.right
            and other.top <= self.top
            and self.bottom <= other.bottom
        )


def by_weight(result: Assessment) -> list[Requirement]:
    """The requirements as every table of them stands: the weightiest first."""
    return sorted(result.requirements, key=lambda requirement: -requirement.emphasis)


def picture(result: Assessment, size: Size, *, id: str) -> Markup:
    """The picture as an <svg> element, "" where nothing was judged; `id` is the beginning of the ids in it."""
    if not result.requirements:
        return Markup("")
    step, most = _axis(result)
    lanes = _lanes(result, size, most)
    marks = _placed(result, size, most, lanes)
    bottom = lanes[-1].top + lanes[-1].height
    height = bottom + BOTTOM
    parts = [
        f'<svg class="picture" viewBox="0 0 {size.width:g} {height:g}" width="{size.width:g}" height="{height:g}" '
        f'role="img" aria-labelledby="{id}-title {id}-desc" xmlns="http://www.w3.org/2000/svg">',
        f'<title id="{id}-title">What the posting weighs, and how strong the rows are</title>',
        f'<desc id="{id}-desc">{escape(described(result))}</desc>',
        *_stripes(lanes, size),
        *_ticks(size, step, most, bottom),
        *(_drawn(mark) for mark in marks),
        *_labels(marks, size, lanes),
        "</svg>",
    ]
    return Markup("".join(parts))  # noqa: S704 - our own markup; every foreign text in it is escaped


def described(result: Assessment) -> str:
    """The picture in words."""
    listed = by_weight(result)
    contested = {each.requirement for each in result.disagreements}
    said = [f"{len(listed)} requirements."]
    for band in LANES:
        of_band = [each for each in listed if each.band == band]
        share = sum(each.emphasis for each in of_band)
        said.append(f"{band.capitalize()}: {len(of_band)}, with {share:.0%} of the emphasis.")
    heaviest = "; ".join(f"{each.text} ({each.emphasis:.0%}, {each.band})" for each in listed[:3])
    said.append(f"The heaviest: {heaviest}.")
    if contested:
        numbers = [str(at) for at, each in enumerate(listed, 1) if each.id in contested]
        said.append(f"Contested: {', '.join(numbers)}.")
    return " ".join([*said, "The table below holds every one."])


def _axis(result: Assessment) -> tuple[float, float]:
    """(the step of the axis, its end) for these shares."""
    heaviest = max(each.emphasis for each in result.requirements)
    step = next((step for step in STEPS if heaviest / step <= MOST_STEPS), STEPS[-1])
    return step, step * max(1, -(-heaviest // step))


# ---------------------------------------------------------------- where the marks stand


def _lanes(result: Assessment, size: Size, most: float) -> list[Lane]:
    """A lane for each band, high enough for the marks that stand over one another."""
    lanes, top = [], TOP
    for band in LANES:
        columns = Counter(
            int(_across(each, size, most) // (2 * RADIUS)) for each in result.requirements if each.band == band
        )
        height = min(HIGHEST_LANE, max(LOWEST_LANE, 24.0 * max(columns.values(), default=0) + 30))
        lanes.append(Lane(band, top, height if columns else EMPTY_LANE))
        top += lanes[-1].height + LANE_GAP
    return lanes


def _across(requirement: Requirement, size: Size, most: float) -> float:
    return size.left + (size.width - size.left - RIGHT) * requirement.emphasis / most


def _placed(result: Assessment, size: Size, most: float, lanes: Sequence[Lane]) -> list[Mark]:
    """Each mark at its share, and in its lane as high as its best row; moved up or down, then aside, off another."""
    listed = by_weight(result)
    contested = {each.requirement for each in result.disagreements}
    radius = RADIUS if len(listed) <= MOST_NUMBERED else SMALL_RADIUS
    lane_of = {lane.band: lane for lane in lanes}
    placed: list[Mark] = []
    for number, requirement in enumerate(listed, 1):
        own = RADIUS if number <= NUMBERED else radius
        x = _across(requirement, size, most)
        x, y = _free(x, lane_of[requirement.band], size, own, placed, _height(requirement))
        placed.append(Mark(number, requirement, requirement.id in contested, x, y, own))
    return placed


def _height(requirement: Requirement) -> float:
    """0–1 within its lane: the level of its best row."""
    return max((row.level for row in requirement.evidence), default=0.0) / TOP_LEVEL


def _free(
    x: float, lane: Lane, size: Size, radius: float, placed: Sequence[Mark], height: float
) -> tuple[float, float]:
    """The free place nearest to where a mark belongs; where the lane is full, where it belongs."""
    top, bottom = lane.top + radius + 4, lane.top + lane.height - radius - 4
    wanted = bottom - height * (bottom - top)
    left, right = size.left + radius + 2, size.width - radius - 2
    x = min(max(x, left), right)
    ups = sorted((top + at * 4 for at in range(int((bottom - top) // 4) + 1)), key=lambda y: (abs(y - wanted), y))
    asides = sorted(range(-6, 7), key=lambda aside: (abs(aside), aside))
    for aside in asides:
        at_x = x + aside * radius / 2
        for y in ups:
            if left <= at_x <= right and all(
                (mark.x - at_x) ** 2 + (mark.y - y) ** 2 >= (mark.radius + radius + 2) ** 2 for mark in placed
            ):
                return at_x, y
    return x, wanted


# ---------------------------------------------------------------- what is drawn


def _stripes(lanes: Sequence[Lane], size: Size) -> Iterator[str]:
    for lane in lanes:
        yield (
            f'<rect class="lane" x="{size.left:g}" y="{lane.top:g}" width="{size.width - size.left - 1:g}" '
            f'height="{lane.height:g}" rx="4"/>'
            f'<text class="lane-name b-{lane.band}" x="{size.left - 8:g}" y="{lane.top + lane.height / 2 + 4:g}" '
            f'text-anchor="end">{lane.band}</text>'
        )


def _ticks(size: Size, step: float, most: float, bottom: float) -> Iterator[str]:
    scale = (size.width - size.left - RIGHT) / most
    for at in count():
        if at * step > most + step / 2:
            break
        x = size.left + at * step * scale
        yield f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP:g}" y2="{bottom:g}"/>'
        yield f'<text class="axis" x="{x:.1f}" y="{bottom + 14:g}" text-anchor="middle">{at * step:.0%}</text>'
    middle = (size.left + size.width) / 2
    yield f'<text class="axis" x="{middle:g}" y="{bottom + 32:g}" text-anchor="middle">share of the emphasis →</text>'


def _drawn(mark: Mark) -> str:
    """A disc for strong, a square for moderate, a diamond for a gap; dashes around what is contested."""
    x, y, radius = mark.x, mark.y, mark.radius
    if mark.requirement.band == "strong":
        shape = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"/>'
    elif mark.requirement.band == "moderate":
        half = radius * 0.88
        shape = f'<rect x="{x - half:.1f}" y="{y - half:.1f}" width="{2 * half:.1f}" height="{2 * half:.1f}" rx="2"/>'
    else:
        far = radius * 1.15
        points = f"{x:.1f},{y - far:.1f} {x + far:.1f},{y:.1f} {x:.1f},{y + far:.1f} {x - far:.1f},{y:.1f}"
        shape = f'<polygon points="{points}"/>'
    number = ""
    if radius >= RADIUS:
        number = f'<text x="{x:.1f}" y="{y + 3.5:.1f}" text-anchor="middle">{mark.number}</text>'
    ring = f'<circle class="ring" cx="{x:.1f}" cy="{y:.1f}" r="{radius + 4:g}"/>' if mark.contested else ""
    return f'<g class="mark b-{mark.requirement.band}"><title>{_told(mark)}</title>{ring}{shape}{number}</g>'


def _told(mark: Mark) -> Markup:
    asked = mark.requirement
    rows = ", ".join(f"{row.skill} at {row.level:g}" for row in asked.evidence[:2]) or "no row"
    said = f"{mark.number}. {asked.text}: {asked.emphasis:.0%}, {asked.band}, {rows}"
    return escape(f"{said}, contested" if mark.contested else said)


def _labels(marks: Sequence[Mark], size: Size, lanes: Sequence[Lane]) -> Iterator[str]:
    """The heaviest in words, as many as there is room for in their lanes beside marks and other labels."""
    taken = [_around(mark) for mark in marks]
    lane_of = {lane.band: lane for lane in lanes}
    for mark in marks[: size.labels]:
        lane = lane_of[mark.requirement.band]
        # A label may reach into the margin that is kept off its far end, but not out of its lane.
        room = _Box(size.left - OFF + 4, lane.top + 1, size.width + OFF - 4, lane.top + lane.height - 1)
        tried = [
            (words, place)
            for around in (_beside, _over)
            for most in range(size.label_chars, FEWEST_LABEL_CHARS - 1, -3)
            for words in [_short(mark.requirement.text, most)]
            for place in around(mark, len(words) * CHAR_WIDTH)
        ]
        for words, (box, x, anchor) in tried:
            if box.lies_in(room) and not any(box.meets(other) for other in taken):
                taken.append(box)
                at = f'x="{x:.1f}" y="{box.bottom - 3:.1f}" text-anchor="{anchor}"'
                yield f'<text class="label" {at}>{escape(words)}</text>'
                break


def _around(mark: Mark) -> _Box:
    radius = mark.radius + (5 if mark.contested else 1)
    return _Box(mark.x - radius, mark.y - radius, mark.x + radius, mark.y + radius)


def _beside(mark: Mark, width: float) -> Iterator[tuple[_Box, float, str]]:
    """Places for a label beside its mark, the best first: at its right, at its left, a little higher or lower."""
    gap = mark.radius + 6
    for down in (0, -6, 6):
        top, bottom = mark.y + down - 7, mark.y + down + 7
        # What stands at the label's far end would be taken for its mark: it is kept off.
        yield _Box(mark.x + gap, top, mark.x + gap + width + OFF, bottom), mark.x + gap, "start"
        yield _Box(mark.x - gap - width - OFF, top, mark.x - gap, bottom), mark.x - gap, "end"


def _over(mark: Mark, width: float) -> Iterator[tuple[_Box, float, str]]:
    """Places for a label above and below its mark."""
    gap = mark.radius + 10
    for above in (-gap, gap):
        top, bottom, half = mark.y + above - 7, mark.y + above + 7, width / 2 + OFF
        yield _Box(mark.x - half, top, mark.x + half, bottom), mark.x, "middle"


def _short(text: str, most: int) -> str:
    line = " ".join(text.split())
    if len(line) <= most:
        return line
    cut = line[: most - 1]
    return f"{cut[: cut.rfind(' ')] if cut.rfind(' ') > most // 2 else cut}…"
