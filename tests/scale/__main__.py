"""Simulate one move in 10,000 workspaces with 1, 2 and 4 workers on PostgreSQL: `make scale`."""

import asyncio
import math

import click
from rich.console import Console
from rich.table import Table

from tests.fakes.postgresql import cluster, empty_database
from tests.scale.burst import Burst, burst

TARGET_S = 10.0  # within which 95% should be on screen
LATENCY_S = 0.15
COLUMNS = (
    *("p50 s", "p95 s", "p99 s", "messages/s"),
    *("statements", "commits", "worker ms", "database ms", "lock waits", "429s"),
)
IN_FLIGHT = 100  # calls at Slack, of one worker


@click.command()
@click.option("--workspaces", default=10_000, show_default=True, help="With one channel and one alert each.")
@click.option("--workers", "counts", default="1,2,4", show_default=True, help="Numbers of workers.")
@click.option("--deadline", default=300.0, show_default=True, help="Seconds, for each number of workers.")
def main(workspaces: int, counts: str, deadline: float) -> None:
    """Deliver one alert to each of many workspaces, and print how long that takes and what it costs."""
    if cluster() is None:
        click.echo("skipped: PostgreSQL is not installed")
        return
    table = Table("workers", *COLUMNS)
    results = []
    for workers in map(int, counts.split(",")):
        try:
            result = asyncio.run(_run(workspaces, workers, deadline))
        except TimeoutError:
            click.echo(f"{workers} workers did not finish within {deadline:g} s")
            continue
        results.append(result)
        table.add_row(f"{workers}", *_cells(result))
    Console(width=140).print(table)
    if results:
        click.echo("statements, commits and milliseconds of CPU are per message")
        click.echo(_needed(min(results, key=lambda one: one.cpu_s), workspaces))


async def _run(workspaces: int, workers: int, deadline_s: float) -> Burst:
    return await burst(
        empty_database(),
        channels=workspaces,
        workspaces=workspaces,
        workers=workers,
        latency_s=LATENCY_S,
        limited=True,
        deadline_s=deadline_s,
    )


def _cells(one: Burst) -> list[str]:
    seconds = [f"{one.percentile(share):.1f}" for share in (0.50, 0.95, 0.99)]
    each = [f"{number / one.messages:.3f}" for number in (one.statements, one.commits)]
    cpu = [f"{1000 * spent / one.messages:.2f}" for spent in (one.cpu_s, one.database_cpu_s)]
    return [*seconds, f"{one.per_second:,.0f}", *each, *cpu, f"{one.lock_waits}", f"{one.refused}"]


def _needed(one: Burst, workspaces: int) -> str:
    """Return what would bring 95% on screen in time."""
    rate = 0.95 * workspaces / (TARGET_S - one.record_s)
    worker_ms, database_ms = (1000 * spent / one.messages for spent in (one.cpu_s, one.database_cpu_s))
    workers = max(math.ceil(rate * worker_ms / 1000 / 0.8), math.ceil(rate * LATENCY_S / IN_FLIGHT))
    return (
        f"For p95 ≤ {TARGET_S:g} s: {rate:,.0f} messages/s, so {workers} workers with a core each "
        f"({worker_ms:.2f} ms a message, at 80%), and {rate * database_ms / 1000:.1f} cores for PostgreSQL "
        f"({database_ms:.2f} ms a message)."
    )


if __name__ == "__main__":
    main()
