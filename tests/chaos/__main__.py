"""Delivery tests with failing processes, clocks, databases and vendors; `python -m tests.chaos --help` lists them."""

import asyncio
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from tests.chaos import bad_vendors, fault_table, paging, single_alert
from tests.chaos.runner import Disturb, freezing, killing, restarting, run_scenario
from tests.chaos.scenario import Scenario
from tests.fakes import postgresql
from tests.services.storage.conftest import migrated_image

seeded = click.option("--seed", default=1, show_default=True, help="Seed of Slack's faults and the times of failures.")


@click.group()
def main() -> None:
    """Disturb MinerPulse's processes, and count lost and repeated messages."""


@main.command()
@click.option("--on", type=click.Choice(["sqlite", "postgresql"]), required=True)
@click.option("--kills", default=60, show_default=True)
@click.option("--cycles", default=5, show_default=True)
@seeded
def kill(on: str, kills: int, cycles: int, seed: int) -> None:
    """Kill the process at random times during 200 alerts per cycle, with a Slack that fails in four ways."""
    build = partial(Scenario.start, speed=15, channels=200, cycles=cycles)
    _report(on, build, seed=seed, disturb=killing(kills, 5.0, click.echo))


@main.command()
@click.option("--workers", default=2, show_default=True)
@click.option("--cycles", default=3, show_default=True)
@seeded
def share(workers: int, cycles: int, seed: int) -> None:
    """Run several workers on one PostgreSQL."""
    build = partial(Scenario.start, speed=5, channels=100, cycles=cycles)
    _report("postgresql", build, seed=seed, workers=workers)


@main.command()
@click.option("--freezes", default=12, show_default=True)
@click.option("--cycles", default=3, show_default=True)
@click.option("--workers", default=2, show_default=True)
@seeded
def freeze(freezes: int, cycles: int, workers: int, seed: int) -> None:
    """Freeze one of several workers for longer than its lease of 12 s."""
    build = partial(Scenario.start, speed=5, channels=100, cycles=cycles)
    _report("postgresql", build, seed=seed, workers=workers, disturb=freezing(freezes, 15, click.echo))


@main.command()
@click.option("--restarts", default=10, show_default=True)
@click.option("--cycles", default=3, show_default=True)
@click.option("--workers", default=2, show_default=True)
@seeded
def restart(restarts: int, cycles: int, workers: int, seed: int) -> None:
    """Stop PostgreSQL under load with `pg_ctl -m immediate`, and start it again."""
    build = partial(Scenario.start, speed=5, channels=100, cycles=cycles)
    safe = partial(postgresql.start, postgresql.SAFE)
    disturb = restarting(restarts, 10, postgresql.stop, safe, click.echo)
    _report("postgresql", build, seed=seed, workers=workers, disturb=disturb, safe=True)


@main.command()
@click.option("--on", type=click.Choice(["sqlite", "postgresql"]), required=True)
@click.option("--kills", default=20, show_default=True)
@seeded
def pages(on: str, kills: int, seed: int) -> None:
    """Kill a process that pages PagerDuty, a webhook and email, which fail at every third call."""
    folder = Path(tempfile.mkdtemp(prefix="minerpulse-chaos-"))
    database = f"sqlite:///{folder}/pages.db" if on == "sqlite" else postgresql.empty_database()
    counts = asyncio.run(paging.page_under_kills(database, kills=kills, seed=seed))
    click.echo("\n".join([f"{on}, seed {seed}", *map(str, counts)]))
    if not all(one.is_right for one in counts):
        sys.exit(1)


@main.command()
@click.option("--on", type=click.Choice(["sqlite", "postgresql"]), required=True)
def clock(on: str) -> None:
    """Step the wall clock of a worker by hours and a day, and back, with libfaketime."""
    library = single_alert.faketime()
    if library is None:
        click.echo(f"skipped: {single_alert.MISSING}")
        return
    outcomes = asyncio.run(single_alert.clock_steps(on, Path(tempfile.mkdtemp(prefix="minerpulse-chaos-")), library))
    click.echo("\n".join(map(str, outcomes)))
    sys.exit(not all(outcome.is_good for outcome in outcomes))


@main.command()
def replace() -> None:
    """Replace the database file of a worker, and put it back."""
    folder = Path(tempfile.mkdtemp(prefix="minerpulse-chaos-"))
    outcome = asyncio.run(single_alert.replaced_database(folder, migrated_image))
    click.echo(f"{outcome}; logged {outcome.logged} time")
    sys.exit(not (outcome.is_good and outcome.logged == 1))


@main.command()
def bomb() -> None:
    """Answer a worker's requests to vendors with 200 kB that unpack to 200 MB."""
    outcome = asyncio.run(bad_vendors.bomb(Path(tempfile.mkdtemp(prefix="minerpulse-chaos-")) / "bomb"))
    click.echo(f"{outcome}")
    sys.exit(not outcome.is_good)


@main.command()
def rewrite() -> None:
    """Let Yahoo multiply all closes by 10 and by 1.1 while the spread rises by 10 pp."""
    outcomes = asyncio.run(bad_vendors.rewrite(Path(tempfile.mkdtemp(prefix="minerpulse-chaos-"))))
    click.echo("\n".join(map(str, outcomes)))
    sys.exit(not all(outcome.is_good for outcome in outcomes))


@main.command()
def faults() -> None:
    """Print the table of faults in docs/explanation/delivery.md."""
    click.echo(asyncio.run(fault_table.table()))


def _report(
    on: str,
    build: Callable[[Path], Scenario],
    *,
    seed: int,
    workers: int = 1,
    disturb: Disturb | None = None,
    safe: bool = False,
) -> None:
    folder = Path(tempfile.mkdtemp(prefix="minerpulse-chaos-"))
    click.echo(f"{on}, seed {seed}; the processes log to {folder}/log")
    if safe:
        postgresql.cluster()
        postgresql.stop()
        postgresql.start(postgresql.SAFE)
    database = f"sqlite:///{folder}/chaos.db" if on == "sqlite" else postgresql.empty_database()
    counts = asyncio.run(run_scenario(build, database, folder, workers=workers, seed=seed, disturb=disturb))
    click.echo(f"{counts}; expected {build(folder).alerts} alerts")
    sys.exit(not (counts.is_clean and counts.alerts == build(folder).alerts))


if __name__ == "__main__":
    main()
