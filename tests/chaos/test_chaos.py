"""The proofs of delivery in short: `make chaos` runs them with numbers that count."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.chaos.play import freezing, killing, play, restarting
from tests.chaos.scene import Scene
from tests.chaos.tally import Tally
from tests.fakes import postgresql
from tests.services.storage.conftest import DURABLE

make = partial(Scene.now, speed=15, channels=8, cycles=1)
slower = partial(make, speed=6)  # a busy machine must not be what is too slow for the margin of a lease


def verdict(tally: Tally) -> tuple[int, int, int, int, int]:
    return tally.alerts, tally.lost, tally.repeated, tally.stale, tally.strangers


@pytest.mark.parametrize("database", DURABLE)
async def test_a_process_that_is_killed_at_random_moments_loses_and_repeats_nothing(
    tmp_path: Path, database: Callable[[Path], str]
) -> None:
    tally = await play(make, database(tmp_path), tmp_path, disturb=killing(3, 1.0, print))

    assert (8, 0, 0, 0, 0) == verdict(tally)


async def test_a_worker_that_is_frozen_and_comes_back_loses_and_repeats_nothing(tmp_path: Path) -> None:
    url = postgresql.empty_database()

    tally = await play(slower, url, tmp_path, workers=2, disturb=freezing(1, 12, print))

    assert (8, 0, 0, 0, 0) == verdict(tally)


async def test_workers_that_share_a_database_do_each_tick_once_and_survive_its_restart(tmp_path: Path) -> None:
    url = postgresql.empty_database()

    restart = restarting(1, 5, postgresql.stop, postgresql.start, print)
    tally = await play(make, url, tmp_path, workers=2, disturb=restart)

    assert (8, 0, 0, 0, 0) == verdict(tally)
