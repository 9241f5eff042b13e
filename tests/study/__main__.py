"""Run every study, or those named, and print one table of claims: `python -m tests.study [NAME]...`."""

import importlib
import pkgutil
import sys
from time import perf_counter

import tests.study


def main() -> None:
    """Print a Markdown table of claim, nominal and measured; a module with `run` is a study."""
    names = sys.argv[1:] or sorted(module.name for module in pkgutil.iter_modules(tests.study.__path__))
    print("| claim | nominal | measured |\n| --- | --- | --- |")
    for name in names:
        run = getattr(importlib.import_module(f"tests.study.{name}"), "run", None) if name != "__main__" else None
        if run is None:
            continue
        started = perf_counter()
        for row in run():
            print(f"| {row.claim} | {row.nominal} | {row.measured} |", flush=True)
        print(f"{name}: {perf_counter() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
