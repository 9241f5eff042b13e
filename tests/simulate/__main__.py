"""Simulate: `python -m tests.simulate --runs 10000`, or `--seed 123` to see one run with all that happened in it."""

from __future__ import annotations

import argparse
import os
import sys

from tests.simulate.many import many, quieten
from tests.simulate.run import run


def main() -> None:
    """Run seeds, and tell which of them broke a promise; the exit is 1 where one did."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="how many seeds, from --first on")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, help="one seed, with its log")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="how many at once, else one for a core"
    )
    chosen = parser.parse_args()
    if chosen.seed is not None:
        quieten()
        told = run(chosen.seed)
        print("\n".join(told.log.lines()))  # noqa: T201 -- a script
        print(f"seed {told.seed}, log {told.digest}: {'; '.join(told.broken) or 'every promise was kept'}")  # noqa: T201
        sys.exit(bool(told.broken))
    sys.exit(many(range(chosen.first, chosen.first + chosen.runs), chosen.workers))


if __name__ == "__main__":
    main()
