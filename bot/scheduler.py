"""The clockwork: one tick at a time in this process, on UTC triggers."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from functools import partial
from typing import TYPE_CHECKING

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from services.monitor import EPOCH

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from services.monitor import Monitor
    from services.ports import Clock

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Ticker:
    """Ticks the monitor, and says once when it begins to fail and once when it works again.

    `last_good_at` is when a tick last ended well; None before the first.
    """

    monitor: Monitor
    clock: Clock
    last_good_at: datetime | None = None
    _failing: bool = field(default=False)
    _stopping: bool = field(default=False)
    _idle: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._idle.set()

    async def tick(self) -> None:
        """Tick once, unless stopped; nothing that goes wrong may stop the next one."""
        if self._stopping:
            return
        self._idle.clear()
        try:
            await self._tick()
        finally:
            self._idle.set()

    async def stop(self) -> None:
        """Begin no tick any more, and wait for the end of one that has begun."""
        self._stopping = True
        await self._idle.wait()

    async def _tick(self) -> None:
        now = self.clock.now()
        try:
            await self.monitor.tick(now)
        except Exception:
            if not self._failing:
                log.exception("ticks fail; the next one is tried in %s", self.monitor.every)
            self._failing = True
        else:
            if self._failing:
                log.info("ticks work again")
            self._failing, self.last_good_at = False, now


def schedule(ticker: Ticker, every: timedelta) -> Callable[[], None]:
    """Start ticking at once and then at each multiple of `every`; a late tick is done once, not made up for.

    Give what ends it, and cancels a tick that has begun.
    """
    scheduler = AsyncIOScheduler(timezone=UTC)
    scheduler.add_job(
        ticker.tick,
        IntervalTrigger(seconds=int(every.total_seconds()), start_date=EPOCH, timezone=UTC),
        next_run_time=ticker.clock.now(),
        misfire_grace_time=int(every.total_seconds()),
        coalesce=True,
        max_instances=1,
    )
    scheduler.start()
    return partial(scheduler.shutdown, wait=False)
