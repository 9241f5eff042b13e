"""Simulate the app with faults: `python -m tests.simulate --runs 10000`, or `--seed 123` for the log of one run."""

import argparse
import os
import sys

from tests.simulate.batch import disable_logging, run_many
from tests.simulate.run import run


def main() -> None:
    """Run seeds and print those that violate an invariant; exit with 1 if one does."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="number of seeds, from --first on")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, help="run one seed, and print its log")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="number of processes (default: one per core)"
    )
    options = parser.parse_args()
    if options.seed is not None:
        disable_logging()
        result = run(options.seed)
        print("\n".join(result.log.lines()))  # noqa: T201 -- a script
        print(f"seed {result.seed}, log {result.digest}: {'; '.join(result.violations) or 'no violation'}")  # noqa: T201
        sys.exit(bool(result.violations))
    sys.exit(run_many(range(options.first, options.first + options.runs), options.workers))


if __name__ == "__main__":
    main()
