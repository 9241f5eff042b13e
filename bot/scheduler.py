"""Run ticks and maintenance in this process on UTC triggers, one at a time, also after the clock was set back."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from apscheduler.job import Job
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from services.alerting.monitor import Monitor
from services.channels.maintenance import Maintenance
from services.core.clock import EPOCH, Clock
from services.core.errors import DatabaseUnavailableError

MAX_RETRY_INTERVAL = timedelta(minutes=1)
EXECUTOR_LOG = logging.getLogger("apscheduler.executors.default")
log = logging.getLogger(__name__)


@dataclass(slots=True)
class FailureLog:
    """Logs each kind of failure once, and the recovery once."""

    failure_message: str
    recovery_message: str
    _logged: set[tuple[type[Exception], str]] = field(default_factory=set)

    def log_failure(self, error: Exception, retry_every: timedelta) -> None:
        """Log each failure that has not been logged yet, even while another one lasts."""
        for failure in _flatten(error):
            if isinstance(failure, DatabaseUnavailableError) and failure.is_logged:
                continue
            kind = type(failure), str(failure)
            if kind not in self._logged:
                log.error("%s; retrying every %s", self.failure_message, retry_every, exc_info=failure)
            self._logged.add(kind)

    def log_recovery(self) -> None:
        """Log the recovery if something had failed."""
        if self._logged:
            log.info("%s", self.recovery_message)
        self._logged.clear()


@dataclass(slots=True)
class TickScheduler:
    """Runs the monitor's tick, then maintenance; neither failure stops the other.

    Attributes:
        last_good_at: When a tick last succeeded; None before the first.
        on_tick: Called after each tick with its duration in seconds, `last_good_at` and its time, if metrics are on.
    """

    monitor: Monitor
    clock: Clock
    maintenance: Maintenance | None = None
    last_good_at: datetime | None = None
    on_tick: Callable[[float, datetime | None, datetime], None] | None = None
    _tick_failures: FailureLog = field(default_factory=lambda: FailureLog("ticks are failing", "ticks recovered"))
    _maintenance_failures: FailureLog = field(
        default_factory=lambda: FailureLog("maintenance is failing", "maintenance recovered")
    )
    _stopping: bool = field(default=False)
    _idle: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._idle.set()

    async def tick(self) -> None:
        """Run one tick unless stopped. Errors are logged, not raised."""
        if self._stopping:
            return
        self._idle.clear()
        try:
            await self._tick()
        finally:
            self._idle.set()

    async def stop(self) -> None:
        """Start no more ticks, and wait for a running one."""
        self._stopping = True
        await self._idle.wait()

    async def _tick(self) -> None:
        now, started_s = self.clock.now(), time.perf_counter()
        try:
            changed = await self.monitor.tick(now)
        except Exception as error:  # noqa: BLE001 -- each is logged once
            self._tick_failures.log_failure(error, retry_interval(self.monitor.every))
        else:
            self._tick_failures.log_recovery()
            if changed is not None:  # None: another process claimed this tick, and may still fail
                self.last_good_at = now
        if self.on_tick is not None:
            self.on_tick(time.perf_counter() - started_s, self.last_good_at, now)
        if self.maintenance is not None:
            await self._run_maintenance(self.maintenance, now)

    async def _run_maintenance(self, maintenance: Maintenance, now: datetime) -> None:
        try:
            await maintenance.tick(now)
        except Exception as error:  # noqa: BLE001 -- each is logged once
            self._maintenance_failures.log_failure(error, retry_interval(maintenance.interval))
        else:
            self._maintenance_failures.log_recovery()


def _flatten(error: Exception) -> list[Exception]:
    """Return the single errors of a nested exception group."""
    return (
        [leaf for nested in error.exceptions for leaf in _flatten(nested)]
        if isinstance(error, ExceptionGroup)
        else [error]
    )


def retry_interval(every: timedelta) -> timedelta:
    """Return how long to wait after a failure. Repeating a tick that succeeded costs nothing."""
    return min(every, MAX_RETRY_INTERVAL)


def schedule(
    job: Callable[[], Awaitable[None]],
    clock: Clock,
    interval: timedelta,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Callable[[], None]:
    """Run the job now and at each multiple of `interval`; missed runs are coalesced into one.

    With long intervals it runs each minute, too, because the last tick may be due for a retry. Returns a function that
    stops the schedule and cancels a running job.

    APScheduler compares each run with the wall clock. A second task, which waits on the monotonic clock, moves a run
    that is more than an interval away to now, so that a wall clock that was set back delays nothing.
    """
    step = retry_interval(interval)
    scheduler = AsyncIOScheduler(timezone=UTC)
    scheduled = scheduler.add_job(
        job,
        _Boundaries(seconds=int(step.total_seconds()), start_date=EPOCH, timezone=UTC),
        next_run_time=clock.now(),
        misfire_grace_time=None,
        max_instances=1,
    )
    scheduler.start()
    following = asyncio.create_task(_follow_clock(scheduled, clock, step, sleep), name="follow the clock")

    def stop() -> None:
        following.cancel()
        EXECUTOR_LOG.addFilter(_is_no_cancellation)
        scheduler.shutdown(wait=False)

    return stop


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    """Return whether a record is about anything but a job that a stop cancelled, which APScheduler calls an error."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


class _Boundaries(IntervalTrigger):  # type: ignore[misc]
    """The multiples of an interval; those that were missed are skipped, and not listed, as there can be millions."""

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """Return the first boundary after `now`."""
        del previous_fire_time
        following: datetime | None = super().get_next_fire_time(None, now + timedelta(microseconds=1))
        return following


async def _follow_clock(
    scheduled: Job, clock: Clock, step: timedelta, sleep: Callable[[float], Awaitable[None]]
) -> None:
    while True:
        await sleep(step.total_seconds())
        now = clock.now()
        if scheduled.next_run_time > now + step:
            log.warning("the clock was set back; the next tick runs now")
            scheduled.modify(next_run_time=now)
