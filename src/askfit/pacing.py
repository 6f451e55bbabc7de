"""Spread calls before a provider's rate limit is reached, by what the headers of its answers tell. Calls nobody.

A provider's bucket fills up all the time. So a call for which too little is left waits until as much has come back as
it needs; how long that is stands in its turn, and whoever is not that patient goes elsewhere. What the headers cannot
know yet is counted here: the calls that are on their way, and the output that is still to come. Where headroom is
ample, or nothing was ever told, nobody waits. Each server knows its own calls only; but the headers tell what is left
of the whole account, so that what others use is seen with the next answer.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from askfit.rates import MINUTE_S, Bucket
from askfit.types import Allowance, Axis, Call, Headroom, Usage

ROUNDED_TOKENS = 500  # Anthropic tells tokens to the nearest thousand: so many fewer may be left
SURE_S = 5.0  # moments are told in whole seconds: from a shorter time no speed can be read
RESERVING = frozenset({"openai"})  # counts the longest answer that is allowed, and what it reads from its cache too
CACHED_S = {"": 0.0, "5m": 300.0, "1h": 3600.0}
SMOOTHED = 0.2  # the newest answer's share in the mean length of answers

Needs = Mapping[Axis, float]


@dataclass(slots=True)
class Size:
    """What calls of one feature come to, as its last answers were counted."""

    input_tokens: float
    cached_tokens: float  # of the input: read from the cache, or written to it
    output_tokens: float  # the mean
    at_s: float


@dataclass(slots=True)
class Turn:
    """One call's place: how long it would have to wait, for which limit, and what it is taken to need."""

    model: str
    feature: str
    asked: Needs  # counted by the provider when it lets the call in
    coming: Needs  # its answer: counted as it comes
    wait_s: float
    axis: Axis
    taken: bool = False
    heard: bool = False  # the provider has let it in


@dataclass(slots=True)
class _Account:
    """One model's buckets as they were told, less what the provider had not counted by then."""

    buckets: dict[Axis, Bucket] = field(default_factory=dict)
    told: Mapping[Axis, Allowance] = field(default_factory=dict)
    heard_s: float = -math.inf
    unheard: dict[Axis, float] = field(default_factory=dict)  # of calls that are on their way
    unsaid: dict[Axis, float] = field(default_factory=dict)  # of answers that are still to come
    sizes: dict[str, Size] = field(default_factory=dict)  # by feature

    def use(self, amounts: Needs, now_s: float) -> None:
        for axis, amount in amounts.items():
            if bucket := self.buckets.get(axis):
                bucket.take(amount, now_s)


class Pacer:
    """Gives calls their turn, model by model."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._accounts: dict[str, _Account] = {}

    def turn(self, model: str, call: Call, count: Callable[[], float] = lambda: 0.0) -> Turn:
        """What the call would have to wait now; nothing is taken yet. A wait is infinite for what no limit ever bears.

        `count` counts the tokens of its prompt: asked only where limits are known and no call of the feature is.
        """
        account = self._accounts.setdefault(model, _Account())
        now_s = self._clock()
        asked, coming = _needs(account, model, call, count, now_s)
        wait_s = 0.0
        longest: Axis = "requests"
        for axis, bucket in account.buckets.items():
            # An answer is let run into its limit: that any is left will do.
            axis_wait_s = bucket.wait_s(max(1.0, asked.get(axis, 0.0)), now_s)
            if axis_wait_s > wait_s:
                wait_s, longest = axis_wait_s, axis
        return Turn(model, call.feature, asked, coming, wait_s, longest)

    def take(self, turn: Turn) -> None:
        """Use what the turn needs: later calls wait for their own after it. Ends with `done`."""
        account, now_s = self._accounts[turn.model], self._clock()
        turn.taken = True
        account.use(turn.asked, now_s)
        account.use(turn.coming, now_s)
        _add(account.unheard, turn.asked, 1)
        _add(account.unsaid, turn.coming, 1)

    def heard(self, turn: Turn, headroom: Headroom) -> None:
        """Take over what the provider tells. News that are older than the last tell that the call was in those."""
        account, old = self._accounts[turn.model], headroom.heard_s < self._accounts[turn.model].heard_s
        if turn.taken and not turn.heard:
            turn.heard = True
            _add(account.unheard, turn.asked, -1)
            if old:
                account.use(_negative(turn.asked), headroom.heard_s)
        if old:
            return
        account.heard_s, account.told = headroom.heard_s, headroom.axes
        account.buckets = {axis: _bucket(axis, told, headroom.heard_s) for axis, told in headroom.axes.items()}
        account.use(account.unheard, headroom.heard_s)
        account.use(account.unsaid, headroom.heard_s)

    def done(self, turn: Turn, usage: Usage | None = None) -> None:
        """The call is over; `usage` where it was answered whole. Of whom nothing was heard gives all back."""
        if not turn.taken:
            return
        turn.taken = False
        account, now_s = self._accounts[turn.model], self._clock()
        if not turn.heard:
            _add(account.unheard, turn.asked, -1)
            account.use(_negative(turn.asked), now_s)
        said = usage.output_tokens if usage else 0
        account.use({axis: said - amount for axis, amount in turn.coming.items()}, now_s)
        _add(account.unsaid, turn.coming, -1)
        if usage and usage.input_tokens:
            account.sizes[turn.feature] = _size(account.sizes.get(turn.feature), usage, now_s)

    def expect(self, model: str, told: Mapping[Axis, Allowance], ago_s: float) -> None:
        """Take over what was told a while ago, by an earlier run: until an answer tells anew."""
        account = self._accounts.setdefault(model, _Account())
        if not account.buckets:
            then_s = self._clock() - max(0.0, ago_s)
            account.buckets = {axis: _bucket(axis, allowance, then_s) for axis, allowance in told.items()}

    def told(self) -> dict[str, Mapping[Axis, Allowance]]:
        """What was last told, by model."""
        return {model: account.told for model, account in self._accounts.items() if account.told}


def _needs(account: _Account, model: str, call: Call, count: Callable[[], float], now_s: float) -> tuple[Needs, Needs]:
    """What a call uses up at once, and what its answer will."""
    size = account.sizes.get(call.feature)
    if size is None and not account.buckets:
        return {"requests": 1.0}, {}
    whole, most = size.input_tokens if size else count(), float(call.prompt.max_output_tokens)
    if model.partition(":")[0] in RESERVING:
        return {"requests": 1.0, "tokens": whole + most}, {}
    warm = size is not None and now_s - size.at_s < CACHED_S[call.prompt.cache_ttl]
    fresh = max(0.0, whole - size.cached_tokens) if size and warm else whole
    said = min(most, size.output_tokens) if size else most
    return {"requests": 1.0, "input_tokens": fresh, "tokens": fresh}, {"output_tokens": said, "tokens": said}


def _negative(amounts: Needs) -> Needs:
    return {axis: -amount for axis, amount in amounts.items()}


def _add(sums: dict[Axis, float], amounts: Needs, sign: int) -> None:
    for axis, amount in amounts.items():
        sums[axis] = max(0.0, sums.get(axis, 0.0) + sign * amount)


def _bucket(axis: Axis, told: Allowance, heard_s: float) -> Bucket:
    """As it was told. Its speed follows from how long all of it takes to come back; else it is a minute's worth."""
    used = told.limit - told.remaining
    per_s = used / told.resets_s if used > 0 and told.resets_s >= SURE_S else told.limit / MINUTE_S
    rounded = ROUNDED_TOKENS if axis != "requests" and used > 0 and told.remaining % 1000 == 0 else 0
    return Bucket(told.limit, per_s, max(0.0, told.remaining - rounded), heard_s)


def _size(before: Size | None, usage: Usage, now_s: float) -> Size:
    output = float(usage.output_tokens)
    mean = output if before is None else before.output_tokens + SMOOTHED * (output - before.output_tokens)
    return Size(float(usage.input_tokens), float(usage.cache_read_tokens + usage.cache_write_tokens), mean, now_s)
