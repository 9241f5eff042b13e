"""Memory of the whole app in steady state: one workspace, three years of history, a day of ticks; and many commands."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.bench.measurement import Measurement

OURS = """
import asyncio
from datetime import timedelta
from bot.app import build
from bot.settings import Settings
from services.core.identity import Channel
from tests.fakes.clock import SetClock
from tests.fakes.harness import OPEN

async def day():
    clock = SetClock(OPEN)
    settings = Settings(database_url="sqlite://", etf_sources=("simulated",), crypto_sources=("simulated",))
    async with build(settings, clock=clock) as app:
        await app.desk.start(Channel(team="T1", id="C1"), "U1")
        for minute in range(24 * 60):
            await app.monitor.tick(clock.advance(timedelta(minutes=1)))

asyncio.run(day())
"""
BARE = """
import pandas, slack_bolt.async_app, sqlalchemy, httpx, starlette, uvicorn, exchange_calendars
"""


PEAK = """
with open("/proc/self/status") as status:
    print(next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM")))
"""


async def bench() -> list[Measurement]:
    """The highest resident memory (on Linux), beside a process that only imports the libraries."""
    return [
        Measurement(
            name="memory, one workspace, after a day of ticks",
            measured=peak_mb(OURS),
            baseline=peak_mb(BARE),
            baseline_name="imports alone",
            unit="MB",
            budget=180,
        )
    ]


async def bench_commands() -> list[Measurement]:
    """Resident memory after 50,000 commands, beside that after 5,000."""
    command = [sys.executable, "-m", "tests.bench.command_memory"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: ASYNC221, S603 -- ours
    few, many = json.loads(done.stdout)
    return [
        Measurement(
            name=f"memory after 50,000 commands, {many - few:+.1f} MB",
            measured=many,
            baseline=few,
            baseline_name="after 5,000",
            unit="MB",
            budget=180,
        )
    ]


def peak_mb(program: str) -> float:
    """Run a program by itself; its highest resident memory in megabytes."""
    command = [sys.executable, "-c", program + PEAK]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603 -- ours
