"""Measure every budget in one run, with its baseline: `make bench`."""

import asyncio
import sys

from rich.console import Console
from rich.table import Table

from tests.bench import (
    ack,
    authorization,
    charts,
    delivery,
    flood,
    http_latency,
    memory,
    overload,
    price_loading,
    replay,
    research,
    start,
    tick,
)

BENCHES = (
    ack.bench,
    ack.bench_hostile,
    ack.bench_metrics,
    http_latency.bench,
    authorization.bench,
    flood.bench,
    overload.bench,
    overload.bench_locked,
    tick.bench,
    tick.bench_change,
    tick.bench_whole,
    replay.bench,
    replay.bench_process,
    start.bench,
    research.bench,
    price_loading.bench,
    tick.bench_vendor_calls,
    delivery.bench,
    delivery.bench_burst,
    delivery.bench_workers,
    tick.bench_burst,
    ack.bench_burst,
    charts.bench,
    memory.bench,
    memory.bench_commands,
)


async def run() -> int:
    """Run every bench and print its measurements; return 1 if one exceeds its budget, else 0."""
    table = Table("measurement", "measured", "baseline", "ratio", "budget", "within budget")
    missed = 0
    for bench in BENCHES:
        for measurement in await bench():
            missed += not measurement.within_budget
            table.add_row(*measurement.cells())
    Console(width=150).print(table)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(run()))
