"""Draw what each day cost, a bar a day, a layer a feature, as SVG text. Knows shapes and days, not pages or ledgers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from markupsafe import Markup, escape

from askfit.types import NANOS_PER_USD

WIDTH, HEIGHT = 704.0, 240.0
LEFT, RIGHT, TOP, BOTTOM = 64.0, 8.0, 10.0, 28.0
WIDEST_BAR = 40.0
MOST_DATES = 8  # under the axis
STEPS = (1, 2, 2.5, 5, 10)
MOST_STEPS = 5
COLOURS = 6  # classes c0…c5; further features share the last

Days = Mapping[str, Mapping[str, int]]  # ISO day → feature → nano-dollars


def features_of(days: Days) -> list[str]:
    """Every feature, the dearest first: the lowest layer of each bar."""
    totals: dict[str, int] = {}
    for parts in days.values():
        for feature, nanos in parts.items():
            totals[feature] = totals.get(feature, 0) + nanos
    return sorted(totals, key=lambda feature: (-totals[feature], feature))


def bars(days: Days, *, id: str) -> Markup:
    """The picture as an <svg> element; "" where no day cost anything. `id` begins the ids in it."""
    most = max((sum(parts.values()) for parts in days.values()), default=0)
    if not most:
        return Markup("")
    features, (step, top) = features_of(days), axis(most / NANOS_PER_USD)
    parts = [
        f'<svg class="bars" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-labelledby="{id}-title {id}-desc" '
        'xmlns="http://www.w3.org/2000/svg">',
        f'<title id="{id}-title">What each day cost, by feature</title>',
        f'<desc id="{id}-desc">{escape(described(days))}</desc>',
        *_ticks(step, top),
        *_bars(days, features, top),
        *_dates(list(days)),
        "</svg>",
    ]
    return Markup("".join(parts))  # noqa: S704 - our own markup; every foreign text in it is escaped


def described(days: Days) -> str:
    """The picture in words."""
    costs = {day: sum(parts.values()) for day, parts in days.items()}
    dearest = max(costs, key=lambda day: costs[day])
    return (
        f"{len(days)} days, ${sum(costs.values()) / NANOS_PER_USD:,.4f} in all. "
        f"The dearest was {dearest} with ${costs[dearest] / NANOS_PER_USD:,.4f}. The table by day holds every one."
    )


def axis(most_usd: float) -> tuple[float, float]:
    """(the step of the axis, its end) in US dollars: few round steps."""
    size = 10.0**-9
    while True:
        for factor in STEPS:
            if most_usd / (size * factor) <= MOST_STEPS:
                step = size * factor
                return step, step * max(1, -(-most_usd // step))
        size *= 10


def _ticks(step: float, top: float) -> Iterator[str]:
    for at in range(round(top / step) + 1):
        y = _y(at * step, top)
        yield f'<line class="tick" x1="{LEFT:g}" x2="{WIDTH - RIGHT:g}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{LEFT - 6:g}" y="{y + 4:.1f}" text-anchor="end">${at * step:,.10g}</text>'


def _y(usd: float, top: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * usd / top


def _bars(days: Days, features: Sequence[str], top: float) -> Iterator[str]:
    room = (WIDTH - LEFT - RIGHT) / len(days)
    wide = min(WIDEST_BAR, room * 0.8)
    for number, (day, parts) in enumerate(days.items()):
        x, below = LEFT + room * number + (room - wide) / 2, 0.0
        for layer, feature in enumerate(features):
            usd = parts.get(feature, 0) / NANOS_PER_USD
            if usd:
                high, low = _y(below + usd, top), _y(below, top)
                yield (
                    f'<rect class="c{min(layer, COLOURS - 1)}" x="{x:.1f}" y="{high:.2f}" width="{wide:.1f}" '
                    f'height="{low - high:.2f}"><title>{day} {escape(feature)}: ${usd:,.4f}</title></rect>'
                )
            below += usd


def _dates(days: Sequence[str]) -> Iterator[str]:
    room = (WIDTH - LEFT - RIGHT) / len(days)
    each = -(-len(days) // MOST_DATES)
    for number in range(0, len(days), each):
        x = LEFT + room * (number + 0.5)
        yield f'<text x="{x:.1f}" y="{HEIGHT - 8:g}" text-anchor="middle">{days[number][5:]}</text>'
