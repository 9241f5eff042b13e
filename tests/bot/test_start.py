"""A process that answers Slack and ticks imports no library that it doesn't use: they would double its memory."""

import subprocess
import sys
from pathlib import Path

from services.storage import migrate

HEAVY = ("pandas", "pyarrow", "alembic", "mako", "cryptography", "exchange_calendars", "matplotlib", "PIL", "jinja2")
PRINT_LOADED = f"\nimport sys; print([name for name in {HEAVY} if name in sys.modules])"
TICK = """
import asyncio, sys, bot.serve
from datetime import UTC, datetime, timedelta
from bot.app import build
from bot.settings import Settings
from services.core.identity import Channel
from tests.fakes.clock import SetClock

async def run():
    clock = SetClock(datetime(2026, 11, 17, 15, 0, tzinfo=UTC))
    settings = Settings(database_url=sys.argv[1], etf_sources=("simulated",), crypto_sources=("simulated",))
    async with build(settings, clock=clock) as app:
        await app.commands.add_default_rules(Channel(team="T1", id="C1"), "U1")
        for _minute in range(2):
            await app.monitor.tick(clock.advance(timedelta(minutes=1)))
            await app.maintenance.tick(clock.now())

asyncio.run(run())
"""


def loaded_by(program: str, *arguments: str) -> str:
    """Run a program in a new interpreter; return which of the heavy libraries it has imported at the end."""
    command = [sys.executable, "-c", program + PRINT_LOADED, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 -- ours


def test_the_server_imports_no_heavy_library() -> None:
    assert "[]\n" == loaded_by("import bot.serve")


def test_commands_that_read_no_files_import_no_heavy_library() -> None:
    assert "[]\n" == loaded_by("import bot.commands.pulse, bot.commands.run, bot.commands.health")


async def test_ticks_on_an_existing_database_import_no_heavy_library(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/minerpulse.db"
    await migrate(url)

    assert "[]\n" == loaded_by(TICK, url)
