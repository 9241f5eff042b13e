"""Many runs in several processes, and a summary."""

import gc
import logging
import multiprocessing
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from tests.simulate.reference_model import VIOLATION
from tests.simulate.run import RunResult, run

LAST_EVENTS = 40
CHUNK = 10


def run_many(seeds: range, workers: int) -> bool:
    """Run seeds, print a report of each violation and a summary; return whether there was a violation."""
    started, totals, violating = time.perf_counter(), Counter[str](), list[int]()
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start_worker) as pool:
        for seed, (counts, report) in zip(seeds, pool.map(_run_seed, seeds, chunksize=CHUNK), strict=True):
            totals.update(counts)
            if report is not None:
                violating.append(seed)
                print(report, flush=True)  # noqa: T201 -- a script
    seconds = time.perf_counter() - started
    print(  # noqa: T201 -- a script
        f"{len(seeds):,} runs in {seconds:.0f} s, {1000 * seconds / len(seeds):.0f} ms each: "
        f"{totals['transitions']:,} transitions, {totals['messages']:,} messages, {totals['steps']:,} steps; "
        f"{len(violating)} with violations {violating[:50] or ''}"
    )
    return bool(violating)


def disable_logging() -> None:
    """Disable logging, because simulated faults would fill the log."""
    logging.disable(logging.CRITICAL)


def _start_worker() -> None:
    """Reduce garbage collection, because most objects live until the end of a run."""
    disable_logging()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _run_seed(seed: int) -> tuple[dict[str, int], str | None]:
    """Return the counts of a run, and its report if it violated an invariant."""
    result = run(seed)
    counts = {"transitions": result.transitions, "messages": result.messages, "steps": result.steps}
    return counts, _report(result) if result.violations else None


def _report(result: RunResult) -> str:
    """Return the last events up to the first violation, and all violations."""
    first = next(number for number, (_, who, _what) in enumerate(result.log.events) if who == VIOLATION)
    lines = result.log.lines()[max(0, first - LAST_EVENTS) : first + 1]
    return "\n".join([*lines, f"seed {result.seed} violated: {'; '.join(result.violations)[:2000]}", ""])
