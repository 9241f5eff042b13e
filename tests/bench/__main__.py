"""`make bench`: each budget measured in one run, beside what it is a ratio of."""

from __future__ import annotations

import asyncio
import sys

from rich.console import Console
from rich.table import Table

from tests.bench import (
    ack,
    http_latency,
    authorization,
    delivery,
    charts,
    price_loading,
    memory,
    replay,
    research,
    tick,
    vendor_calls,
)

BENCHES = (
    ack.bench,
    http_latency.bench,
    authorization.bench,
    tick.bench,
    tick.bench_change,
    tick.bench_whole,
    replay.bench,
    replay.bench_process,
    research.bench,
    price_loading.bench,
    vendor_calls.bench,
    delivery.bench,
    delivery.bench_workers,
    charts.bench,
    memory.bench,
    memory.bench_commands,
)


async def run() -> int:
    """Run every bench, print a line for each, and exit with 1 where a budget does not hold."""
    table = Table("what", "measured", "beside", "ratio", "budget", "holds")
    missed = 0
    for bench in BENCHES:
        for figure in await bench():
            missed += not measurement.holds
            table.add_row(*measurement.cells())
    Console(width=150).print(table)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(run()))
