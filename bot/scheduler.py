"""The clockwork: one tick at a time in this process, on UTC triggers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from services.alerting.monitor import Monitor
from services.channels.maintenance import Maintenance
from services.core.clock import EPOCH, Clock

RETRY_AFTER = timedelta(minutes=1)
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Failures:
    """Says once how some work fails, in each way that it does, and once when all of it works again."""

    failing: str
    working: str
    _told: set[tuple[type[Exception], str]] = field(default_factory=set)

    def tell(self, error: Exception, again_in: timedelta) -> None:
        """Log what has not been told yet; one failure that goes on must not keep another one quiet."""
        for one in _parts(error):
            kind = type(one), str(one)
            if kind not in self._told:
                log.error("%s; it is tried again every %s", self.failing, again_in, exc_info=one)
            self._told.add(kind)

    def over(self) -> None:
        """Log that all works again, where something had failed."""
        if self._told:
            log.info("%s", self.working)
        self._told.clear()


@dataclass(slots=True)
class Ticker:
    """Ticks the monitor, then does the upkeep; neither keeps the other from being done.

    `last_good_at` is when a tick last ended well; None before the first.
    """

    monitor: Monitor
    clock: Clock
    upkeep: Maintenance | None = None
    last_good_at: datetime | None = None
    _ticks: Failures = field(default_factory=lambda: Failures("ticks fail", "ticks work again"))
    _upkeeps: Failures = field(default_factory=lambda: Failures("upkeep fails", "upkeep works again"))
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
            changed = await self.monitor.tick(now)
        except Exception as error:  # noqa: BLE001 -- each is logged once
            self._ticks.tell(error, retry_every(self.monitor.every))
        else:
            self._ticks.over()
            if changed is not None:  # None: the round is in the hands of another process, which may still fail
                self.last_good_at = now
        if self.upkeep is not None:
            await self._keep_up(self.upkeep, now)

    async def _keep_up(self, upkeep: Maintenance, now: datetime) -> None:
        try:
            await upkeep.tick(now)
        except Exception as error:  # noqa: BLE001 -- each is logged once
            self._upkeeps.tell(error, retry_every(upkeep.every))
        else:
            self._upkeeps.over()


def _parts(error: Exception) -> list[Exception]:
    """Take apart what several pairs raised together."""
    return [part for one in error.exceptions for part in _parts(one)] if isinstance(error, ExceptionGroup) else [error]


def retry_every(every: timedelta) -> timedelta:
    """Tell how long a round that failed waits; one that is done costs nothing when it is tried again."""
    return min(every, RETRY_AFTER)


def schedule(work: Callable[[], Awaitable[None]], clock: Clock, every: timedelta) -> Callable[[], None]:
    """Start working at once and then at each multiple of `every`; what is late is done once, not made up for.

    Between long rounds it is done each minute too: a ticker looks then whether the last round still waits to be done.
    Give what ends it, and cancels work that has begun.
    """
    step = int(retry_every(every).total_seconds())

    scheduler = AsyncIOScheduler(timezone=UTC)
    scheduler.add_job(
        work,
        IntervalTrigger(seconds=step, start_date=EPOCH, timezone=UTC),
        next_run_time=clock.now(),
        misfire_grace_time=step,
        coalesce=True,
        max_instances=1,
    )
    scheduler.start()
    return partial(scheduler.shutdown, wait=False)
