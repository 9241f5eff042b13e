"""Short runs of the delivery tests; `make chaos` runs long ones."""

import asyncio
import gc
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.chaos import single_alert
from tests.chaos.__main__ import main
from tests.chaos.delivery_counts import DeliveryCounts
from tests.chaos.runner import freezing, killing, restarting, run_scenario
from tests.chaos.scenario import Scenario
from tests.fakes import postgresql
from tests.services.storage.conftest import migrated_postgresql, migrated_sqlite_file

build = partial(Scenario.start, speed=15, channels=8, cycles=1)
slower = partial(build, speed=6)  # so that a busy machine doesn't outlast the margin of a lease


def as_tuple(counts: DeliveryCounts) -> tuple[int, int, int, int, int]:
    return counts.alerts, counts.lost, counts.repeated, counts.stale, counts.unknown


async def test_processes_that_are_killed_or_frozen_at_random_times_lose_and_repeat_nothing(tmp_path: Path) -> None:
    """These runs mostly wait, so they share their time."""
    runs = {
        "killed, on SQLite": (build, migrated_sqlite_file, 1, killing(3, 1.0, print)),
        "killed, on PostgreSQL": (build, migrated_postgresql, 1, killing(3, 1.0, print)),
        "frozen until another takes its lease": (slower, migrated_postgresql, 2, freezing(1, 12, print)),
    }

    async def run(name: str) -> DeliveryCounts:
        scenario, database, workers, disturb = runs[name]
        folder = tmp_path / name
        folder.mkdir()
        return await run_scenario(scenario, database(folder), folder, workers=workers, disturb=disturb)

    counts = dict(zip(runs, await asyncio.gather(*map(run, runs)), strict=True))

    assert dict.fromkeys(runs, (8, 0, 0, 0, 0)) == {name: as_tuple(one) for name, one in counts.items()}


@pytest.mark.filterwarnings("ignore:.*AsyncServerCursor:ResourceWarning")  # of this test's own polls, cut off at random
async def test_workers_on_one_database_run_each_tick_once_and_survive_its_restart(tmp_path: Path) -> None:
    url = postgresql.empty_database()

    restart = restarting(1, 5, postgresql.stop, postgresql.start, print)
    counts = await run_scenario(build, url, tmp_path, workers=2, disturb=restart)
    gc.collect()

    assert (8, 0, 0, 0, 0) == as_tuple(counts)


def test_the_clock_is_stepped_only_if_libfaketime_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(single_alert, "LIBRARIES", "*/nowhere/*")

    result = CliRunner().invoke(main, ["clock", "--on", "sqlite"])

    assert (0, f"skipped: {single_alert.MISSING}\n") == (result.exit_code, result.output)
