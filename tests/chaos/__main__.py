"""`python -m tests.chaos kill|share|freeze|restart|faults`: the proofs of delivery, each with what it counts."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from tests.chaos import faults as faulty
from tests.chaos.play import Disturb, freezing, killing, play, restarting
from tests.chaos.scene import Scene
from tests.fakes import postgresql

seeded = click.option("--seed", default=1, show_default=True, help="Of Slack's faults and the moments of trouble.")


@click.group()
def main() -> None:
    """Disturb MinerPulse's processes, and count what was lost and repeated."""


@main.command()
@click.option("--on", type=click.Choice(["sqlite", "postgresql"]), required=True)
@click.option("--kills", default=60, show_default=True)
@click.option("--cycles", default=5, show_default=True)
@seeded
def kill(on: str, kills: int, cycles: int, seed: int) -> None:
    """Kill the process at random moments, over 200 alerts a cycle, against a Slack that fails in four ways."""
    make = partial(Scene.now, speed=15, channels=200, cycles=cycles)
    _report(on, make, seed=seed, disturb=killing(kills, 5.0, click.echo))


@main.command()
@click.option("--workers", default=2, show_default=True)
@click.option("--cycles", default=3, show_default=True)
@seeded
def share(workers: int, cycles: int, seed: int) -> None:
    """Let several workers share one PostgreSQL."""
    make = partial(Scene.now, speed=5, channels=100, cycles=cycles)
    _report("postgresql", make, seed=seed, workers=workers)


@main.command()
@click.option("--freezes", default=12, show_default=True)
@click.option("--cycles", default=3, show_default=True)
@click.option("--workers", default=2, show_default=True)
@seeded
def freeze(freezes: int, cycles: int, workers: int, seed: int) -> None:
    """Freeze one of several workers in the middle of its work, for longer than its lease of 12 s."""
    make = partial(Scene.now, speed=5, channels=100, cycles=cycles)
    _report("postgresql", make, seed=seed, workers=workers, disturb=freezing(freezes, 15, click.echo))


@main.command()
@click.option("--restarts", default=10, show_default=True)
@click.option("--cycles", default=3, show_default=True)
@click.option("--workers", default=2, show_default=True)
@seeded
def restart(restarts: int, cycles: int, workers: int, seed: int) -> None:
    """Stop PostgreSQL in full flight, with `pg_ctl -m immediate`, and start it again."""
    make = partial(Scene.now, speed=5, channels=100, cycles=cycles)
    safe = partial(postgresql.start, postgresql.SAFE)
    disturb = restarting(restarts, 10, postgresql.stop, safe, click.echo)
    _report("postgresql", make, seed=seed, workers=workers, disturb=disturb, safe=True)


@main.command()
def faults() -> None:
    """Run the table of faults that docs/delivery.md shows."""
    click.echo(asyncio.run(faulty.table()))


def _report(
    on: str,
    make: Callable[[Path], Scene],
    *,
    seed: int,
    workers: int = 1,
    disturb: Disturb | None = None,
    safe: bool = False,
) -> None:
    folder = Path(tempfile.mkdtemp(prefix="minerpulse-chaos-"))
    click.echo(f"{on}, seed {seed}; what the processes log is in {folder}/log")
    if safe:
        postgresql.cluster()
        postgresql.stop()
        postgresql.start(postgresql.SAFE)
    database = f"sqlite:///{folder}/chaos.db" if on == "sqlite" else postgresql.empty_database()
    tally = asyncio.run(play(make, database, folder, workers=workers, seed=seed, disturb=disturb))
    click.echo(f"{tally}; {make(folder).alerts} alerts were expected")
    sys.exit(not (tally.is_clean and tally.alerts == make(folder).alerts))


if __name__ == "__main__":
    main()
