"""`make bench`: each budget measured in one run, beside what it is a ratio of."""

from __future__ import annotations

import asyncio
import sys

from rich.console import Console
from rich.table import Table

from tests.bench import (
    ack,
    answering,
    authorizing,
    delivering,
    drawing,
    loading,
    memory,
    replaying,
    studying,
    ticking,
    upstream,
)

BENCHES = (
    ack.bench,
    answering.bench,
    authorizing.bench,
    ticking.bench,
    ticking.bench_change,
    ticking.bench_whole,
    replaying.bench,
    replaying.bench_process,
    studying.bench,
    loading.bench,
    upstream.bench,
    delivering.bench,
    delivering.bench_workers,
    drawing.bench,
    memory.bench,
    memory.bench_commands,
)


async def run() -> int:
    """Run every bench, print a line for each, and exit with 1 where a budget does not hold."""
    table = Table("what", "measured", "beside", "ratio", "budget", "holds")
    missed = 0
    for bench in BENCHES:
        for figure in await bench():
            missed += not figure.holds
            table.add_row(*figure.cells())
    Console(width=150).print(table)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(run()))
