"""What a start leaves out: libraries that would double the memory, and work whose result is never used."""

import gc
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.asyncio_runner import run_async
from bot.bolt_app import build_bolt
from bot.cli import run_cli
from services.storage import migrate

HEAVY = ("pandas", "pyarrow", "alembic", "mako", "cryptography", "exchange_calendars", "matplotlib", "PIL", "jinja2")
SERVER = ("slack_bolt", "slack_sdk", "aiohttp", "starlette", "uvicorn", "apscheduler", "prometheus_client")
WITHOUT_SERVER = ("pulse", "chart", "explain", "studies", "backtest", "tune", "report", "replay", "rules", "holdings")
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


def loaded_by(program: str, *arguments: str, libraries: tuple[str, ...] = HEAVY) -> str:
    """Run a program in a new interpreter; return which of the libraries it has imported at the end."""
    print_loaded = f"\nimport sys; print([name for name in {libraries} if name in sys.modules])"
    command = [sys.executable, "-c", program + print_loaded, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 -- ours


def test_the_server_imports_no_heavy_library() -> None:
    assert "[]\n" == loaded_by("import bot.serve")


def test_commands_that_read_no_files_import_no_heavy_library() -> None:
    assert "[]\n" == loaded_by("import bot.commands.pulse, bot.commands.run, bot.commands.health")


def test_commands_without_slack_import_no_library_of_the_server() -> None:
    modules = ", ".join(f"bot.commands.{name}" for name in WITHOUT_SERVER)

    assert "[]\n" == loaded_by(f"import {modules}", libraries=SERVER)


def test_the_list_of_commands_imports_no_event_loop() -> None:
    assert "[]\n" == loaded_by("import bot.cli", libraries=("asyncio", "numpy", "pydantic", "sqlalchemy", "rich"))


def test_stored_types_are_not_built_before_they_are_used() -> None:
    program = (
        "from services.storage.codec import STORED; assert not any('adapter' in vars(one) for one in STORED.values())"
    )

    assert "[]\n" == loaded_by(program)


async def test_ticks_on_an_existing_database_import_no_heavy_library(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/minerpulse.db"
    await migrate(url)

    assert "[]\n" == loaded_by(TICK, url)


class Formatted:
    """A result that counts how often it is formatted."""

    times = 0

    def __repr__(self) -> str:
        self.times += 1
        return "formatted"


def test_the_result_of_a_command_is_not_formatted() -> None:
    async def work() -> Formatted:
        return Formatted()

    assert 0 == run_async(work()).times


def test_bolt_does_not_search_the_modules_for_its_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect, "stack", lambda: pytest.fail("searched"))

    assert "minerpulse" == build_bolt(AsyncWebClient(), "secret").name


def test_garbage_is_collected_again_after_the_import_of_a_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "bot.commands.pulse", raising=False)

    assert 0 == run_cli(["pulse", "--help"])
    assert gc.isenabled()
    assert "Show the board" in capsys.readouterr().out
