"""Counts and money, before the call. Knows how much is left, not what it is used for."""

from __future__ import annotations

import logging
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from askfit.config import Settings
from askfit.errors import BudgetSpent, LimitExceeded, SettingsError
from askfit.ledger import Attempt, Bounds, Caps, Ledger
from askfit.models import max_cost_nanos
from askfit.types import NANOS_PER_USD, Prompt

if TYPE_CHECKING:
    from limits.aio.storage import Storage
    from limits.aio.strategies import RateLimiter

log = logging.getLogger(__name__)

REDIS_TIMEOUT_S = 1.0
REDIS_REST_S = 30.0  # how long it is left alone after it did not answer: no visitor waits for it twice


class Counts:
    """How often one visitor may ask: counted in memory, or in Redis where several servers share the counts.

    While Redis does not answer, each server counts by itself: a visitor is bounded less tightly, but the site stays up.
    """

    def __init__(self, settings: Settings) -> None:
        from limits import parse
        from limits.aio.storage import MemoryStorage
        from limits.aio.strategies import MovingWindowRateLimiter

        bounds, redis_url = settings.file.limits, settings.file.store.redis_url
        self._windows = (
            (parse(f"{bounds.per_visitor_per_minute}/minute"), "one minute"),
            (parse(f"{bounds.per_visitor_per_day}/day"), "one day"),
        )
        self._memory = MovingWindowRateLimiter(MemoryStorage())
        self._shared = MovingWindowRateLimiter(_redis(redis_url)) if redis_url else None
        self._resting_until = 0.0

    @property
    def note(self) -> str:
        """What an operator should know of the counts; "" where all is well."""
        return "Redis does not answer: visitors are counted by each server alone." if self._resting else ""

    @property
    def _resting(self) -> bool:
        return time.monotonic() < self._resting_until

    async def admit(self, visitor: str) -> None:
        """Count one request; LimitExceeded where it is one too many."""
        if self._shared and not self._resting:
            try:
                await self._count(self._shared, visitor)
                return
            except LimitExceeded:
                raise
            except Exception as error:  # the drivers' own errors differ by version; a count must not take the site down
                self._resting_until = time.monotonic() + REDIS_REST_S
                log.warning("%s (%s)", self.note, type(error).__name__)
        await self._count(self._memory, visitor)

    async def _count(self, limiter: RateLimiter, visitor: str) -> None:
        for window, span in self._windows:
            if not await limiter.hit(window, "askfit", visitor):
                reset = (await limiter.get_window_stats(window, "askfit", visitor)).reset_time
                raise LimitExceeded(
                    "limit_visitor",
                    f"That is more than {window.amount} requests within {span}.",
                    "Wait a little, then try again.",
                    retry_after_s=max(1.0, reset - time.time()),
                )


def _redis(url: str) -> Storage:
    from limits.aio.storage import RedisStorage
    from limits.errors import ConfigurationError

    timeouts: dict[str, Any] = {"socket_connect_timeout": REDIS_TIMEOUT_S, "socket_timeout": REDIS_TIMEOUT_S}
    if find_spec("redis") is None:
        raise SettingsError(
            "redis_driver_missing",
            "[store] redis_url is set but Redis' driver is not installed.",
            "Run: pip install 'askfit[redis]'",
        )
    try:
        return RedisStorage(f"async+{url}", implementation="redispy", **timeouts)
    except (ConfigurationError, ValueError, TypeError):  # their messages may show the password
        raise SettingsError(
            "redis_url_invalid",
            "[store] redis_url is not an address that can be read.",
            "Write it as redis://HOST:6379/0",
        ) from None


SPANS = {"day": "for today", "month": "for this month"}


class Budget:
    """The owner's money: what a call may cost at most is held in the ledger before the call is made."""

    def __init__(self, settings: Settings, ledger: Ledger, own: Bounds | None = None) -> None:
        """With `own` bounds every call keeps to these too."""
        bounds = settings.file.budget
        self._own = own
        self._caps = Caps(round(bounds.per_day_usd * NANOS_PER_USD), round(bounds.per_month_usd * NANOS_PER_USD))
        self._contact = settings.site.contact.removeprefix("mailto:")
        self._ledger = ledger

    async def reserve(self, attempt: Attempt, prompt: Prompt, own: Bounds | None = None) -> None:
        """Hold the most that the call can cost, nothing if it is free; BudgetSpent where that would pass the budget.

        Bounds of the call's `own` hold for free calls too.
        """
        own = own or self._own
        most_nanos = max_cost_nanos(attempt.model, prompt, batch=attempt.batch)
        if not most_nanos and not own:
            return
        span = await self._ledger.reserve(attempt, most_nanos, self._caps, own)
        if span == "own":
            raise BudgetSpent("own_bound_passed", "What such calls may come to in a day is spent.")
        if span:
            raise BudgetSpent(
                "budget_spent",
                f"The site's AI budget is spent {SPANS[span]}.",
                f"Write to {self._contact}." if self._contact else "Come back later.",
            )
