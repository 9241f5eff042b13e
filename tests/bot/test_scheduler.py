"""The schedule: the wall clock decides when a tick is due, and a clock that was set back delays none."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import pytest

from bot.scheduler import schedule
from tests.fakes.clock import SetClock

MINUTE = timedelta(minutes=1)
MOVED = ["the clock was set back; the next tick runs now"]


class Waits:
    """A `sleep` that ends when the test says so."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.started, self.ended = asyncio.Event(), asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.started.set()
        await self.ended.wait()
        self.ended.clear()

    async def end(self) -> None:
        """End one wait, and return when the next one has begun."""
        await self.started.wait()
        self.started.clear()
        self.ended.set()
        await self.started.wait()


@pytest.mark.parametrize("step", [timedelta(minutes=15), timedelta(hours=1), timedelta(days=1)], ids=str)
async def test_a_tick_runs_within_an_interval_after_the_clock_was_set_back(
    step: timedelta, caplog: pytest.LogCaptureFixture
) -> None:
    clock, waits, ran = SetClock(datetime.now(UTC)), Waits(), asyncio.Event()

    async def job() -> None:
        ran.set()

    stop = schedule(job, clock, MINUTE, waits)
    await ran.wait()
    ran.clear()

    clock.advance(-step)
    await waits.end()
    await ran.wait()

    stop()
    assert {60.0} == set(waits.seconds)
    assert MOVED == [record.getMessage() for record in caplog.records if record.name == "bot.scheduler"]


async def test_nothing_is_moved_while_the_clock_is_right(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="bot.scheduler")
    clock, waits, ran = SetClock(datetime.now(UTC)), Waits(), asyncio.Event()

    async def job() -> None:
        ran.set()

    stop = schedule(job, clock, MINUTE, waits)
    await ran.wait()
    await waits.end()

    stop()
    assert [] == [record for record in caplog.records if record.name == "bot.scheduler"]


async def test_a_long_interval_is_tried_each_minute() -> None:
    waits, ran = Waits(), asyncio.Event()

    async def job() -> None:
        ran.set()

    stop = schedule(job, SetClock(datetime.now(UTC)), timedelta(hours=4), waits)
    await ran.wait()
    await waits.started.wait()

    stop()
    assert [60.0] == waits.seconds
