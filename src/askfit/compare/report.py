"""What is told of a comparison: a sentence, every model's sums, one JSON document, one HTML file. Decides nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from statistics import median
from typing import Any

from askfit.compare.blind import Standing
from askfit.compare.emphasis import Swing
from askfit.compare.judge import Opinion, opinion_json, opinion_told
from askfit.compare.metrics import Outcome, stability
from askfit.compare.running import SPENT, Comparison, Pair
from askfit.evals.samples import AskSample, Sample

MOST_SHOWN = 12  # samples side by side on the page
WIDTH, HEIGHT, LEFT = 640, 200, 56  # of a picture, and where its curves begin


@dataclass(frozen=True, slots=True)
class ModelSums:
    """One model over all that it was asked."""

    model: str
    said: int  # answers
    failed: int
    shares: dict[str, float | None]  # means; None where no sample asked for it
    words: float
    excess_words: float
    ttft_ms: float  # median
    total_ms: float  # median
    tokens_per_s: float  # median
    cost_usd: float  # of all answers
    stability: float | None  # of an assessment's verdicts over repeats


def sums(comparison: Comparison) -> tuple[ModelSums, ...]:
    """Of every model, the cheaper first."""
    return tuple(
        _sums(model, [one for one in comparison.outcomes if one.model == model]) for model in comparison.models
    )


def _sums(model: str, outcomes: Sequence[Outcome]) -> ModelSums:
    all_said = [one for one in outcomes if not one.error]
    names = dict.fromkeys(name for one in all_said for name in one.shares)
    said = [one for one in all_said if not one.probe]
    return ModelSums(
        model=model,
        said=len(said),
        failed=sum(one.error_code != SPENT for one in outcomes if one.error),
        shares={
            name: _mean([share for one in all_said if (share := one.shares.get(name)) is not None]) for name in names
        },
        words=_mean([one.words for one in said]) or 0.0,
        excess_words=_mean([one.excess_words for one in said]) or 0.0,
        ttft_ms=_median([one.ttft_ms for one in said]),
        total_ms=_median([one.total_ms for one in said]),
        tokens_per_s=_median([one.tokens_per_s for one in said]),
        cost_usd=sum(one.cost_usd for one in all_said),
        stability=stability(said),
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _median(values: Sequence[float]) -> float:
    return median(values) if values else 0.0


# ---------------------------------------------------------------- in words


def sentence(comparison: Comparison) -> str:
    """The verdict in a sentence: what to do, and why."""
    what = {
        "ESCALATE": f"Move {comparison.feature} to {comparison.chosen}.",
        "DOWNGRADE": f"Move {comparison.feature} to {comparison.chosen}.",
        "KEEP": f"Leave {comparison.feature} on {comparison.chosen}.",
        "INCONCLUSIVE": "Nothing is proven yet.",
    }[comparison.verdict]
    return " ".join(filter(None, (what, comparison.decision.reason, price_told(comparison))))


def price_told(comparison: Comparison) -> str:
    """What the dearer model costs beside the cheaper, as measured on these samples; "" where nothing was charged, or
    only one of them could be cached."""
    if not comparison.cached_alike:
        return ""
    by_model = {one.model: one for one in sums(comparison)}
    pair = comparison.telling
    small, large = by_model[pair.small], by_model[pair.large]
    if not (small.said and large.said and small.cost_usd and large.cost_usd):
        return ""
    times = (large.cost_usd / large.said) / (small.cost_usd / small.said)
    if len(comparison.models) > 2:
        return f"An answer of {large.model} cost {times:.1f} times as much as one of {small.model}."
    return f"An answer of the large one cost {times:.1f} times as much."


def needed_told(comparison: Comparison) -> str:
    """How many more samples a verdict would need; "" where there is one."""
    if comparison.verdict != "INCONCLUSIVE":
        return ""
    why = "The money of --max-cost is spent: go on with --resume and more of it. " if comparison.spent else ""
    if not comparison.telling.test.conversations:
        return why.strip()  # nothing was measured, so nothing is known of how many it takes
    needed = comparison.decision.needed
    if needed:
        return f"{why}About {needed} more conversations would decide, if they go on like these."
    if len(comparison.decision.by) > 1:
        return f"{why}More samples would not decide: the two models are better in different things."
    return f"{why}No number of samples is in sight: the gain lies too near to the delta of {comparison.delta:.0%}."


def unmeasured(comparison: Comparison) -> tuple[str, ...]:
    """What the comparison does not know, said plainly."""
    told = [
        "Not measured: tone, style, and what no key point or band of the samples asks for.",
        f"Each end of an interval is wrong with a chance of at most {comparison.pairs[0].test.alpha:.1%}, "
        "however often one looks.",
    ]
    if any(one.verdict for one in comparison.outcomes) and not any(one.probe for one in comparison.outcomes):
        told.append("Nor whether a model's verdict follows what a posting stresses: --emphasis asks that.")
    if not comparison.has_current:
        told.append(f"The feature has none of these models: it is taken as if it had {comparison.current}.")
    told += [_failed_told(comparison, one) for one in sums(comparison) if one.failed]
    return (*comparison.notes, *told)


def _failed_told(comparison: Comparison, one: ModelSums) -> str:
    """How often a model said nothing, and why most often: an owner can mend what is told."""
    why = Counter(
        found.error
        for found in comparison.outcomes
        if found.model == one.model and found.error and found.error_code != SPENT
    )
    answers = "1 answer: it counts" if one.failed == 1 else f"{one.failed} answers: they count"
    most = " Most often" if len(why) > 1 else ""
    return f"{one.model} failed on {answers} for neither side.{most or ' Why'}: {why.most_common(1)[0][0]}"


# ---------------------------------------------------------------- by hand, in words

WHY_WORDS = {"too_shallow": "too shallow", "too_much": "too much", "wrong": "wrong"}


def blind_sentence(one: Standing, feature: str) -> str:
    """What the picks between two models prove, in a sentence."""
    what = {
        "ESCALATE": f"Move {feature} to {one.large}.",
        "DOWNGRADE": f"Move {feature} to {one.small}.",
        "KEEP": f"Leave {feature} where it is.",
        "INCONCLUSIVE": "Nothing is proven yet.",
    }[one.decision.verdict]
    wins = f"{one.large} {_times(one.wins[one.large])} and {one.small} {_times(one.wins[one.small])}"
    ties = {0: "none was a tie", 1: "one was a tie"}.get(one.ties, f"{one.ties} were ties")
    same = f" Another {one.same} were equal word for word and count as ties." if one.same else ""
    return f"{what} You judged {one.judged} pairs and preferred {wins}; {ties}.{same}"


def _times(count: int) -> str:
    return {0: "never", 1: "once"}.get(count, f"{count} times")


def blind_told(one: Standing, delta: float) -> tuple[str, ...]:
    """What stands beside that sentence, a line each."""
    told = [f"The large one's lead lies between {one.low:+.0%} and {one.high:+.0%} (against {delta:.0%})."]
    if one.decision.verdict == "INCONCLUSIVE":
        needed = one.decision.needed
        told += [f"About {needed} more would decide, if they go on like these."] if needed else []
    for model, counts in one.why.items():
        said = [f"{WHY_WORDS[why]} {_times(count)}" for why, count in counts.items() if count]
        told += [f"What you found wrong with {model}: {', '.join(said)}."] if said else []
    both = one.agreement
    told.append(
        f"Where both you and the metrics prefer one answer ({_times(both.alike + both.opposite)}), you agree "
        f"{_times(both.alike)}."
    )
    if both.only_picked or both.only_measured:
        told.append(
            f"You alone saw a difference {_times(both.only_picked)}, the metrics alone {_times(both.only_measured)}."
        )
    verdict, automatic = one.decision.verdict, one.automatic
    if "INCONCLUSIVE" not in (verdict, automatic) and verdict != automatic:
        told.append(f"Your picks say {verdict}, the metrics {automatic}: read the samples before you change anything.")
    return tuple(told)


def blind_json(one: Standing) -> dict[str, Any]:
    """The picks between two models as one document."""
    return {
        "small": one.small,
        "large": one.large,
        "n": one.judged,
        "same": one.same,
        "wins": one.wins,
        "ties": one.ties,
        "why": one.why,
        "picked_left": one.left,
        "conversations": one.conversations,
        "lead": one.mean,
        "low": one.low,
        "high": one.high,
        "verdict": one.decision.verdict,
        "reason": one.decision.reason,
        "conversations_needed": one.decision.needed,
        "automatic_verdict": one.automatic,
        "agreement": asdict(one.agreement),
    }


# ---------------------------------------------------------------- for machines


def as_json(comparison: Comparison, blind: Sequence[Standing] = (), judged: Sequence[Opinion] = ()) -> dict[str, Any]:
    """The comparison as one document; with what was picked by hand, where something was."""
    decision = comparison.decision
    return {
        "feature": comparison.feature,
        "verdict": comparison.verdict,
        "model": comparison.chosen,
        "reason": decision.reason,
        "conversations_needed": decision.needed,
        "current": comparison.current,
        "delta": comparison.delta,
        "samples": comparison.samples,
        "compared": comparison.compared,
        "conversations": comparison.conversations,
        "money_spent": comparison.spent,
        "paid_usd": comparison.paid_usd + sum(one.paid_usd for one in judged),
        "replayed": comparison.replayed,
        "recorded": comparison.recorded,
        "resumed": comparison.resumed,
        "models": [_model_json(one) for one in sums(comparison)],
        "pairs": [_pair_json(pair) for pair in comparison.pairs],
        "results": [_outcome_json(one) for one in comparison.outcomes],
        "not_measured": list(unmeasured(comparison)),
        **({"blind": [blind_json(one) for one in blind]} if blind else {}),
        **({"judged": [opinion_json(one) for one in judged]} if judged else {}),
    }


def _model_json(one: ModelSums) -> dict[str, Any]:
    return {name: getattr(one, name) for name in ModelSums.__dataclass_fields__}


def _outcome_json(one: Outcome) -> dict[str, Any]:
    told = {name: getattr(one, name) for name in Outcome.__dataclass_fields__ if name != "assessed"}
    return told | {"missed": list(one.missed), "tokens_per_s": one.tokens_per_s}


def _pair_json(pair: Pair) -> dict[str, Any]:
    decision = pair.test.decide()
    metrics = []
    for demand in pair.test.demands:
        mean = pair.test.means[demand.metric]
        low, high = mean.interval(pair.test.alpha)
        told = {"metric": demand.metric, "delta": demand.delta, "guard": demand.guard, "seen": mean.n}
        metrics.append(
            told | {"gain": mean.mean, "low": low, "high": high, "p_above": mean.p("above"), "p_below": mean.p("below")}
        )
    return {
        "small": pair.small,
        "large": pair.large,
        "verdict": decision.verdict,
        "reason": decision.reason,
        "conversations": pair.test.conversations,
        "conversations_needed": decision.needed,
        "metrics": metrics,
        "path": [
            {
                "conversations": one.conversations,
                "metric": one.metric,
                "gain": one.mean,
                "low": one.low,
                "high": one.high,
            }
            for one in pair.path
        ],
    }


# ---------------------------------------------------------------- for people, one file

STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1.2rem;margin-top:2rem}h3{font-size:1rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:.25rem .5rem;border-bottom:1px solid #8884;vertical-align:top}
th{overflow-wrap:break-word}
th:first-child,td:first-child{text-align:left}
.wide{overflow-x:auto}figure{margin:1rem 0}
svg{width:100%;height:auto;max-width:40rem}
.band{fill:#4682b455}.mean{fill:none;stroke:#4682b4;stroke-width:2}.zero{stroke:#888}
rect.small{fill:#8aa}rect.tie{fill:#8884}rect.large{fill:#4682b4}
.delta{stroke:#c60;stroke-dasharray:6 4}
text{fill:currentColor;font-size:12px}
@media(max-width:30rem){text{font-size:18px}th,td{padding:.25rem .3rem}th{font-size:.8rem}}
.sides{display:grid;grid-template-columns:repeat(auto-fit,minmax(16rem,1fr));gap:1rem}
.said{white-space:pre-wrap;overflow-wrap:anywhere;border-left:3px solid #8886;padding-left:.75rem}
.short{opacity:.7;font-size:.9rem}
"""


def as_html(
    comparison: Comparison,
    samples: Sequence[Sample],
    blind: Sequence[Standing] = (),
    judged: Sequence[Opinion] = (),
) -> str:
    """The report as one file: nothing is loaded from elsewhere, nothing in it runs."""
    title = f"{comparison.verdict}: {comparison.feature}"
    if blind:
        title = f"{comparison.feature}: {blind[0].decision.verdict} by hand, {comparison.verdict} by the metrics"
    parts = [
        f"<h1>{escape(title)}</h1>",
        *(_blind_html(one, comparison) for one in blind),
        *([f"<h2>By the metrics: {comparison.verdict}</h2>"] if blind else []),
        f"<p>{escape(sentence(comparison))}</p><p>{escape(needed_told(comparison))}</p>",
        *(_judged_html(one) for one in judged),
        "<h2>The models</h2>",
        _models_html(sums(comparison)),
        *(_pair_html(pair) for pair in comparison.pairs),
        "<h2>Where they differ most</h2>",
        *_differing_html(comparison, samples),
        "<h2>What was not measured</h2><ul>",
        *(f"<li>{escape(line)}</li>" for line in unmeasured(comparison)),
        "</ul>",
    ]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    body = "\n".join(parts)
    head += f"<style>{STYLE}</style>"
    return f'<!doctype html><html lang="en"><head>{head}</head><body><main>{body}</main></body></html>'


def _blind_html(one: Standing, comparison: Comparison) -> str:
    """What was picked with no names shown: the sentence, a bar of wins and ties, the reasons."""
    parts = [(one.wins[one.small], "small"), (one.ties, "tie"), (one.wins[one.large], "large")]
    told = f"{one.small} {one.wins[one.small]}, ties {one.ties}, {one.large} {one.wins[one.large]}"
    bar, at = [], 0.0
    for count, kind in parts:
        width = WIDTH * count / max(1, one.judged)
        bar.append(f'<rect class="{kind}" x="{at:.1f}" y="0" width="{width:.1f}" height="18"/>')
        at += width
    picture = f'<svg viewBox="0 0 {WIDTH} 18" role="img" aria-label="{escape(told)}">{"".join(bar)}</svg>'
    lines = "".join(f"<li>{escape(line)}</li>" for line in blind_told(one, comparison.delta))
    return (
        f"<h2>Blind, by hand: {one.decision.verdict}</h2><p>{escape(blind_sentence(one, comparison.feature))}</p>"
        f"<figure>{picture}<figcaption>{escape(told)}</figcaption></figure><ul>{lines}</ul>"
    )


def _judged_html(one: Opinion) -> str:
    lines = "".join(f"<li>{escape(line)}</li>" for line in opinion_told(one))
    return f"<h2>By a judge: {one.decision.verdict}</h2><ul>{lines}</ul>"


def _models_html(found: Sequence[ModelSums]) -> str:
    """A column for each model: names are long, and there are few."""
    names = dict.fromkeys(name for one in found for name in one.shares)
    rows = {
        "answers": [str(one.said) for one in found],
        **{name: [_percent(one.shares.get(name)) for one in found] for name in names},
        "same verdict when asked again": [_percent(one.stability) for one in found],
        "words": [f"{one.words:.0f}" for one in found],
        "words too many": [f"{one.excess_words:.0f}" for one in found],
        "first word": [f"{one.ttft_ms:.0f} ms" for one in found],
        "whole answer": [f"{one.total_ms:.0f} ms" for one in found],
        "tokens a second": [f"{one.tokens_per_s:.0f}" for one in found],
        "cost of all": [f"${one.cost_usd:.4f}" for one in found],
    }
    told = [[name, *cells] for name, cells in rows.items() if any(cells)]
    return _table(["", *(one.model for one in found)], told)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    above = "".join(f'<th scope="col">{escape(name).replace(":", ":<wbr>")}</th>' for name in head)
    below = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{above}</tr></thead><tbody>{below}</tbody></table></div>'


def _pair_html(pair: Pair) -> str:
    decision = pair.test.decide()
    parts = [f"<h2>{escape(pair.large)} over {escape(pair.small)}: {decision.verdict}</h2>"]
    for demand in pair.test.demands:
        looks = [one for one in pair.path if one.metric == demand.metric and one.conversations]
        points = [(one.conversations, one.mean, one.low, one.high) for one in looks]
        low, high = pair.test.means[demand.metric].interval(pair.test.alpha)
        line = f"the cheaper one may lose {demand.delta:.0%}" if demand.guard else f"it must reach {demand.delta:.0%}"
        told = f"{demand.metric}: the gain lies between {low:+.0%} and {high:+.0%}; {line} (dashed)"
        parts.append(f"<figure>{_picture(points, demand.delta, told)}<figcaption>{escape(told)}</figcaption></figure>")
    return "\n".join(parts)


def _picture(points: Sequence[tuple[int, float, float, float]], delta: float, told: str) -> str:
    """The running interval, conversation by conversation, with delta as a dashed line."""
    most = max((at for at, *_ in points), default=1)

    def place(at: int, value: float) -> str:
        return f"{LEFT + (WIDTH - LEFT - 10) * at / most:.1f},{HEIGHT / 2 - value * (HEIGHT / 2 - 10):.1f}"

    above = [place(at, high) for at, _, _, high in points]
    below = [place(at, low) for at, _, low, _ in reversed(points)]
    line = " ".join(place(at, mean) for at, mean, _, _ in points)
    levels = {name: HEIGHT / 2 - value * (HEIGHT / 2 - 10) for name, value in (("zero", 0.0), ("delta", delta))}
    rules = "".join(
        f'<line class="{name}" x1="{LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>' for name, y in levels.items()
    )
    marks = "".join(
        f'<text x="0" y="{HEIGHT / 2 - value * (HEIGHT / 2 - 10) + 4:.0f}">{mark}</text>'
        for value, mark in ((-1, "-100%"), (0, "0%"), (1, "+100%"))
    )
    counted = "1 conversation" if most == 1 else f"{most} conversations"
    marks += f'<text x="{WIDTH}" y="{HEIGHT - 2}" text-anchor="end">{counted}</text>'
    band = f'<polygon class="band" points="{" ".join(above + below)}"/>'
    mean = f'<polyline class="mean" points="{line}"/>'
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(told)}">{band}{rules}{mean}{marks}</svg>'
        if points
        else ""
    )


def _differing_html(comparison: Comparison, samples: Sequence[Sample]) -> list[str]:
    pair = comparison.telling
    given = {(one.sample, one.model): one for one in comparison.outcomes if not one.repeat and not one.error}
    found = []
    for sample in samples:
        small, large = given.get((sample.id, pair.small)), given.get((sample.id, pair.large))
        if small and large:
            found.append((_apart(small, large, tuple(pair.test.means)), sample, small, large))
    found.sort(key=lambda one: -one[0])
    shown = [one for one in found if one[0]][:MOST_SHOWN]
    if not shown:
        return ["<p>In nothing that decides.</p>"]
    return [_sides(sample, [small, large], tuple(pair.test.means)) for _, sample, small, large in shown]


def _apart(small: Outcome, large: Outcome, names: Sequence[str]) -> float:
    return sum(abs((large.shares.get(name) or 0.0) - (small.shares.get(name) or 0.0)) for name in names)


def _sides(sample: Sample, outcomes: Sequence[Outcome], names: Sequence[str]) -> str:
    if isinstance(sample, Swing):
        asked = sample.id
    else:
        asked = sample.question if isinstance(sample, AskSample) else sample.posting_file or sample.posting[:120]
    sides = []
    for one in outcomes:
        shares = ", ".join(f"{name} {_percent(one.shares[name])}" for name in names if one.shares.get(name) is not None)
        missed = f'<p class="short">{escape("; ".join(one.missed))}</p>' if one.missed else ""
        sides.append(
            f"<div><strong>{escape(one.model)}</strong>"
            f'<p class="short">{escape(shares)}</p><p class="said">{escape(one.said)}</p>{missed}</div>'
        )
    return f'<section><h3>{escape(asked)}</h3><div class="sides">{"".join(sides)}</div></section>'
