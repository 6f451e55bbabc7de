"""Live signals: what the ledger's figures say of a feature's model, turn after turn. No text is needed, none is kept.

    answers = await ledger.answers("ask")
    reading = read_signals("ask", answers, small="…", large="…", samples="golden/ask.yaml", now_ms=…)
    reading.signals      # what rose above the feature's own baseline; () while all is as it was
    reading.missing      # visits that are still needed for a baseline

Each signal is a share that is bad, watched by `detector` against the feature's own past. What rose speaks for a larger
model ("I keep wishing it had reasoned harder") or for a smaller one ("this is too much"). A signal proposes a
comparison and writes its command; nothing here switches a model. One visitor's day is one visit and counts once: a
burst of clicks is one observation. Knows no text, no database and no terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any, Literal

from askfit.ledger import DAY_MS, HOUR_MS, Told
from askfit.models import ModelFacts, known_models
from askfit.signals.detector import BASELINE, Alarm, Watch

__all__ = ["BASELINE", "MOST_FALSE", "SIGNS", "Reading", "Sign", "Signal", "read_signals", "visits_of"]

Direction = Literal["escalate", "downgrade"]
Visit = Sequence[Told]  # one visitor's answers of one day

MOST_FALSE = 1 / 10_000  # false alarms a turn, of all signals of a feature together
LIVE_VISITS = 300  # an alarm that is not raised again within so many visits is over
LIVE_DAYS = 60
WORTH_DAYS = 180  # a model that may be retired sooner is not worth moving to
RECENT = 50  # answers: which model is the feature's now


@dataclass(frozen=True, slots=True)
class Sign:
    """One share that is watched."""

    name: str
    direction: Direction
    weight: float  # its part of the false alarms that a feature may have
    bad: Callable[[Told], float | None]  # 0 to 1; None where an answer says nothing of it
    told: str  # what rose, in words
    falls: bool = False  # told the other way round: coverage falls

    def share(self, visit: Visit) -> float | None:
        """The mean over the answers of a visit that say something of it; None where none does."""
        shares = [share for one in visit if (share := self.bad(one)) is not None]
        return sum(shares) / len(shares) if shares else None

    def watch(self) -> Watch:
        """A new watch with this sign's part of the false alarms. A visit is a turn at least, so turns have no more."""
        return Watch(MOST_FALSE * self.weight)


def _coverage(answer: Told) -> float | None:
    covered = answer.signals.coverage
    return None if covered is None else 1 - covered


def _repaired(answer: Told) -> float | None:
    return _share(answer.signals.repairs, answer.signals.requirements)


def _contested(answer: Told) -> float | None:
    """Of what the judge itself gave."""
    told = answer.signals
    judged = None if told.requirements is None or told.repairs is None else told.requirements - told.repairs
    return _share(told.contested, judged)


def _share(part: int | None, whole: int | None) -> float | None:
    return None if part is None or not whole else min(1.0, part / whole)


def _flag(name: str) -> Callable[[Told], float | None]:
    def bad(answer: Told) -> float | None:
        value = getattr(answer.signals, name)
        return None if value is None else float(bool(value))

    return bad


def _rated(reason: str) -> Callable[[Told], float | None]:
    return lambda answer: float(reason in answer.rated)


# The weights of each kind of feature add up to 1 at most: a chat has no requirements, an assessment no coverage.
SIGNS = (
    Sign("shallow_feedback", "escalate", 0.1, _rated("too_shallow"), "answers rated too shallow"),
    Sign("asked_again", "escalate", 0.1, _flag("asked_again"), "questions asked again within minutes"),
    Sign("coverage", "escalate", 0.3, _coverage, "passages found that the answer draws on", falls=True),
    Sign("abstains_despite_hit", "escalate", 0.1, _flag("despite_hit"), "abstentions though the site has an answer"),
    Sign("repairs", "escalate", 0.1, _repaired, "requirements left to the rules"),
    Sign("contested_bands", "escalate", 0.1, _contested, "bands that your rows do not support"),
    Sign("too_much_feedback", "downgrade", 0.1, _rated("too_much"), "answers rated too much"),
    Sign("over_length", "downgrade", 0.1, _flag("over_length"), "answers longer than their question asks for"),
    Sign("retracted", "downgrade", 0.1, _flag("retracted"), "answers with a sentence that the site does not cover"),
    Sign("stopped", "downgrade", 0.1, lambda one: float(one.stopped), "answers that visitors stopped"),
)


@dataclass(frozen=True, slots=True)
class Signal:
    """One share of a feature that is no longer what it was, and the comparison that it proposes."""

    feature: str
    direction: Direction
    name: str
    what: str
    baseline: float  # the share before
    now: float  # the share since
    since: str  # ISO day on which it began to change
    visits: int  # since then: the evidence
    turns: int
    model: str
    command: str

    def as_json(self) -> dict[str, Any]:
        """All of it, for machines."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was looked at of one feature, and what it shows."""

    feature: str
    model: str  # that answers now; "" where no model has
    turns: int  # that it answered
    visits: int  # in which it did
    missing: int  # visits until there is a baseline; 0 where there is one
    since: str  # ISO day of the first; "" where there is none
    signals: tuple[Signal, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """All of it, for machines."""
        return asdict(self)


def read_signals(
    feature: str, answers: Sequence[Told], *, small: str, large: str, samples: str, now_ms: int
) -> Reading:
    """Everything that one feature's answers, oldest first, say of the model that gives them now.

    `small` and `large` are the models of the settings, `samples` the file that a comparison would ask. Answers of other
    models are left out: a change of models begins a new baseline.
    """
    model = _model_now(answers)
    own = [one for one in answers if one.model == model]
    visits = list(visits_of(own))
    reading = Reading(
        feature=feature,
        model=model,
        turns=len(own),
        visits=len(visits),
        missing=max(0, BASELINE - len(visits)),
        since=_day(own[0].at_ms) if own else "",
    )
    if reading.missing:
        return reading
    found = [_signal(reading, sign, visits, (small, large), samples, now_ms) for sign in SIGNS]
    return replace(reading, signals=tuple(signal for signal in found if signal))


def _model_now(answers: Sequence[Told]) -> str:
    """The one that gave most of the latest answers: a fallback now and then changes nothing."""
    latest = [one.model for one in answers[-RECENT:]]
    return max(reversed(latest), key=latest.count, default="")


def visits_of(answers: Iterable[Told]) -> Iterator[Visit]:
    """A visitor's day each, in the order in which they began. Of forgotten visitors an hour counts as one visitor."""
    found: dict[tuple[str, int], list[Told]] = {}
    for one in answers:
        key = (one.visitor, one.at_ms // DAY_MS) if one.visitor else ("", one.at_ms // HOUR_MS)
        found.setdefault(key, []).append(one)
    yield from found.values()


def _signal(
    reading: Reading, sign: Sign, visits: Sequence[Visit], tiers: tuple[str, str], samples: str, now_ms: int
) -> Signal | None:
    """The sign's latest alarm, if it is live still."""
    told = [(visit, share) for visit in visits if (share := sign.share(visit)) is not None]
    watch = sign.watch()
    alarms = [alarm for _, share in told if (alarm := watch.see(share))]
    if not alarms or not _is_live(watch, alarms[-1], told[alarms[-1].at][0], now_ms):
        return None
    first = _begun(alarms)
    since = [visit for visit, _ in told[first.since :]]
    before, now = first.normal, watch.mean(first.since)
    return Signal(
        feature=reading.feature,
        direction=sign.direction,
        name=sign.name,
        what=sign.told,
        baseline=round(1 - before if sign.falls else before, 4),
        now=round(1 - now if sign.falls else now, 4),
        since=_day(since[0][0].at_ms),
        visits=len(since),
        turns=sum(len(visit) for visit in since),
        model=reading.model,
        command=_command(reading, sign.direction, tiers, samples, now_ms),
    )


def _begun(alarms: Sequence[Alarm]) -> Alarm:
    """The alarm with which what the latest one tells began: a change that lasts raises one after the other."""
    first = alarms[-1]
    for earlier in reversed(alarms):
        first = earlier if first.at - earlier.at <= LIVE_VISITS else first
    return first


def _is_live(watch: Watch, alarm: Alarm, visit: Visit, now_ms: int) -> bool:
    """Not too long ago, and not undone since."""
    fresh = watch.visits - alarm.at <= LIVE_VISITS and now_ms - visit[-1].at_ms <= LIVE_DAYS * DAY_MS
    return fresh and watch.mean(alarm.since) > alarm.upper


# ---------------------------------------------------------------- the comparison


def _command(reading: Reading, direction: Direction, tiers: tuple[str, str], samples: str, now_ms: int) -> str:
    """The comparison that would settle it: with the tier on the other side, or with the next model where there is none.

    "" where no such model is known.
    """
    small, large = tiers
    other = "large" if direction == "escalate" else "small"
    if reading.model == (large if direction == "escalate" else small):
        other = _next(reading.model, direction, now_ms)
    mine = {large: "large", small: "small"}.get(reading.model, reading.model)
    pair = (mine, other) if direction == "escalate" else (other, mine)
    return f"askfit compare {reading.feature} --models {','.join(pair)} --samples {samples}" if other else ""


def _next(model: str, direction: Direction, now_ms: int) -> str:
    """The nearest model of one provider by its price, dearer or cheaper; of equals the one promised for longest."""
    mine, up = _price(ModelFacts(model)), direction == "escalate"
    stays = _day(now_ms + WORTH_DAYS * DAY_MS)
    mates = {
        one.model: (price if up else -price, -_ordinal(one.retirement))
        for one in known_models()
        if one.model.partition(":")[0] == model.partition(":")[0]
        and (not one.retirement or one.retirement > stays)
        and (price := _price(one)) is not None
        and mine is not None
        and (price > mine if up else price < mine)
    }
    return min(mates, key=lambda name: mates[name], default="")


def _ordinal(day: str) -> int:
    return date.fromisoformat(day).toordinal() if day else date.max.toordinal()


def _price(model: ModelFacts) -> float | None:
    """Of its answers: the larger part of what a turn costs once its prompt is cached."""
    return model.prices["output"] if model.prices else None


def _day(at_ms: int) -> str:
    return date.fromordinal(719_163 + at_ms // DAY_MS).isoformat()  # 719,163 is 1970-01-01
