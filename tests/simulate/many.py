"""Very many runs, on every core, and what they came to."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from tests.simulate.ledger import VIOLATION
from tests.simulate.run import Told, run

LAST = 40
CHUNK = 10


def many(seeds: range, workers: int) -> bool:
    """Run seeds, print each that broke a promise and what there was in all; tell whether one did."""
    begin, totals, broken = time.perf_counter(), Counter[str](), list[int]()
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _begin) as pool:
        for seed, (counts, report) in zip(seeds, pool.map(_one, seeds, chunksize=CHUNK), strict=True):
            totals.update(counts)
            if report is not None:
                broken.append(seed)
                print(report, flush=True)  # noqa: T201 -- a script
    spent = time.perf_counter() - begin
    print(  # noqa: T201 -- a script
        f"{len(seeds):,} runs in {spent:.0f} s, {1000 * spent / len(seeds):.0f} ms each: "
        f"{totals['transitions']:,} transitions, {totals['messages']:,} messages, {totals['steps']:,} steps; "
        f"{len(broken)} broken {broken[:50] or ''}"
    )
    return bool(broken)


def quieten() -> None:
    """Log nothing: what is simulated goes wrong all the time."""
    logging.disable(logging.CRITICAL)


def _begin() -> None:
    """Begin a worker: what is there from its start is never garbage, and little of the rest is before a run ends."""
    quieten()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _one(seed: int) -> tuple[dict[str, int], str | None]:
    """Run a seed; give what it came to, and its report where a promise was broken."""
    told = run(seed)
    counts = {"transitions": told.transitions, "messages": told.messages, "steps": told.steps}
    return counts, _report(told) if told.broken else None


def _report(told: Told) -> str:
    """Tell a broken run by its seed, its last events up to the first breach, and what was broken."""
    first = next(place for place, (_, who, _what) in enumerate(told.log.events) if who == VIOLATION)
    lines = told.log.lines()[max(0, first - LAST) : first + 1]
    return "\n".join([*lines, f"seed {told.seed} broke: {'; '.join(told.broken)[:2000]}", ""])
