"""Memory of the whole app in steady state: one workspace, three years of history, a day of ticks; and many commands."""

import asyncio
import json
import subprocess
import sys
import tempfile
from datetime import timedelta

from bot.app import build
from bot.settings import Settings
from services.core.identity import Channel
from services.storage import migrate
from tests.bench.measurement import Measurement
from tests.fakes.clock import SetClock
from tests.fakes.harness import OPEN

DAY_MB, COMMANDS_MB = 135, 180
DAY_OF_TICKS = "import sys, bot.serve; from tests.bench.memory import run_day; run_day(sys.argv[1])\n"
IMPORTS_ONLY = "import numpy, pydantic_settings, slack_bolt.async_app, sqlalchemy.ext.asyncio, httpx, uvicorn\n"
PRINT_MEMORY = """
with open("/proc/self/status") as status:
    values = dict(line.split(":") for line in status)
print(*(int(values[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM")))
"""


def run_day(url: str) -> None:
    """Run the app on a database for a day of ticks."""

    async def run() -> None:
        clock = SetClock(OPEN)
        settings = Settings(database_url=url, etf_sources=("simulated",), crypto_sources=("simulated",))
        async with build(settings, clock=clock) as app:
            await app.commands.add_default_rules(Channel(team="T1", id="C1"), "U1")
            for _minute in range(24 * 60):
                await app.monitor.tick(clock.advance(timedelta(minutes=1)))

    asyncio.run(run())


async def bench() -> list[Measurement]:
    """Measure resident memory on Linux, compared with a process that only imports the libraries."""
    resident, peak = await memory_mb(DAY_OF_TICKS)
    return [
        Measurement(
            name=f"memory, one workspace, after a day of ticks (peak {peak:.0f} MB)",
            measured=resident,
            baseline=(await memory_mb(IMPORTS_ONLY))[0],
            baseline_name="imports only",
            unit="MB",
            budget=DAY_MB,
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
            budget=COMMANDS_MB,
        )
    ]


async def memory_mb(program: str) -> tuple[float, float]:
    """Run a program in its own process on an existing database; return its resident memory in MB: last, peak."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/minerpulse.db"
        await migrate(url)
        command = [sys.executable, "-c", program + PRINT_MEMORY, url]
        done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: ASYNC221, S603 -- ours
    resident, peak = map(float, done.stdout.split())
    return resident, peak
