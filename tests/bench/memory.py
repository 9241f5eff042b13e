"""Memory of the whole app in steady state: one workspace, three years of history, a day of ticks; and many commands."""

import asyncio
import json
import subprocess
import sys
from datetime import timedelta

from bot.app import build
from bot.settings import Settings
from services.core.identity import Channel
from tests.bench.measurement import Measurement
from tests.fakes.clock import SetClock
from tests.fakes.harness import OPEN

DAY_OF_TICKS = "from tests.bench.memory import run_day; run_day()\n"
IMPORTS_ONLY = "import pandas, slack_bolt.async_app, sqlalchemy, httpx, starlette, uvicorn, exchange_calendars\n"
PRINT_PEAK = """
with open("/proc/self/status") as status:
    print(next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM")))
"""


def run_day() -> None:
    """Run the app for a day of ticks."""

    async def run() -> None:
        clock = SetClock(OPEN)
        settings = Settings(database_url="sqlite://", etf_sources=("simulated",), crypto_sources=("simulated",))
        async with build(settings, clock=clock) as app:
            await app.commands.add_default_rules(Channel(team="T1", id="C1"), "U1")
            for _minute in range(24 * 60):
                await app.monitor.tick(clock.advance(timedelta(minutes=1)))

    asyncio.run(run())


async def bench() -> list[Measurement]:
    """Measure the peak resident memory on Linux, compared with a process that only imports the libraries."""
    return [
        Measurement(
            name="memory, one workspace, after a day of ticks",
            measured=peak_mb(DAY_OF_TICKS),
            baseline=peak_mb(IMPORTS_ONLY),
            baseline_name="imports only",
            unit="MB",
            budget=180,
        )
    ]


async def bench_commands() -> list[Measurement]:
    """Measure resident memory after 50,000 commands, compared with 5,000."""
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
    """Run a program in its own process; return its peak resident memory in MB."""
    command = [sys.executable, "-c", program + PRINT_PEAK]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603 -- ours
