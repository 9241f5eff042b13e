"""Short runs of the delivery tests; `make chaos` runs long ones."""

from collections.abc import Callable
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
from tests.services.storage.conftest import DURABLE

build = partial(Scenario.start, speed=15, channels=8, cycles=1)
slower = partial(build, speed=6)  # so that a busy machine doesn't outlast the margin of a lease


def as_tuple(counts: DeliveryCounts) -> tuple[int, int, int, int, int]:
    return counts.alerts, counts.lost, counts.repeated, counts.stale, counts.unknown


@pytest.mark.parametrize("database", DURABLE)
async def test_a_process_killed_at_random_times_loses_and_repeats_nothing(
    tmp_path: Path, database: Callable[[Path], str]
) -> None:
    counts = await run_scenario(build, database(tmp_path), tmp_path, disturb=killing(3, 1.0, print))

    assert (8, 0, 0, 0, 0) == as_tuple(counts)


async def test_a_worker_that_is_frozen_and_unfrozen_loses_and_repeats_nothing(tmp_path: Path) -> None:
    url = postgresql.empty_database()

    counts = await run_scenario(slower, url, tmp_path, workers=2, disturb=freezing(1, 12, print))

    assert (8, 0, 0, 0, 0) == as_tuple(counts)


async def test_workers_on_one_database_run_each_tick_once_and_survive_its_restart(tmp_path: Path) -> None:
    url = postgresql.empty_database()

    restart = restarting(1, 5, postgresql.stop, postgresql.start, print)
    counts = await run_scenario(build, url, tmp_path, workers=2, disturb=restart)

    assert (8, 0, 0, 0, 0) == as_tuple(counts)


def test_the_clock_is_stepped_only_if_libfaketime_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(single_alert, "LIBRARIES", "*/nowhere/*")

    result = CliRunner().invoke(main, ["clock", "--on", "sqlite"])

    assert (0, f"skipped: {single_alert.MISSING}\n") == (result.exit_code, result.output)
