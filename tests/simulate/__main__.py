"""Simulate: `python -m tests.simulate --runs 10000`, or `--seed 123` to see one run with all that happened in it."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections import Counter

from tests.simulate.ledger import VIOLATION
from tests.simulate.world import Told, run

LAST = 40


def main() -> None:
    """Run seeds, and tell which of them broke a promise; the exit is 1 where one did."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="how many seeds, from --first on")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, help="one seed, with its log")
    chosen = parser.parse_args()
    logging.disable(logging.CRITICAL)
    if chosen.seed is not None:
        told = run(chosen.seed)
        print("\n".join(told.log.lines()))  # noqa: T201 -- a script
        print(f"seed {told.seed}, log {told.digest}: {'; '.join(told.broken) or 'every promise was kept'}")  # noqa: T201
        sys.exit(bool(told.broken))
    sys.exit(_many(range(chosen.first, chosen.first + chosen.runs)))


def _many(seeds: range) -> bool:
    begin, totals, broken = time.perf_counter(), Counter[str](), list[int]()
    for seed in seeds:
        told = run(seed)
        totals.update(transitions=told.transitions, messages=told.messages, steps=told.steps)
        if told.broken:
            broken.append(seed)
            print(_report(told), flush=True)  # noqa: T201 -- a script
    spent = time.perf_counter() - begin
    print(  # noqa: T201 -- a script
        f"{len(seeds):,} runs in {spent:.0f} s, {1000 * spent / len(seeds):.0f} ms each: "
        f"{totals['transitions']:,} transitions, {totals['messages']:,} messages, {totals['steps']:,} steps; "
        f"{len(broken)} broken {broken[:50] or ''}"
    )
    return bool(broken)


def _report(told: Told) -> str:
    """Tell a broken run by its seed, its last events up to the first breach, and what was broken."""
    first = next(place for place, (_, who, _what) in enumerate(told.log.events) if who == VIOLATION)
    lines = told.log.lines()[max(0, first - LAST) : first + 1]
    return "\n".join([*lines, f"seed {told.seed} broke: {'; '.join(told.broken)[:2000]}", ""])


if __name__ == "__main__":
    main()
