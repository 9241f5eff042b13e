"""A measurement, its baseline from the same run, and its budget."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """`measured` and `baseline` in `unit`; the budget limits `measured`, or the ratio if `budget_is_ratio`."""

    name: str
    measured: float
    baseline: float
    baseline_name: str
    unit: str
    budget: float
    budget_is_ratio: bool = False

    @property
    def ratio(self) -> float:
        return self.measured / self.baseline

    @property
    def within_budget(self) -> bool:
        return (self.ratio if self.budget_is_ratio else self.measured) <= self.budget

    def cells(self) -> tuple[str, ...]:
        """Return the measurement as a row of the table."""
        budget = f"≤ {self.budget:g} ×" if self.budget_is_ratio else f"≤ {self.budget:g} {self.unit}"
        return (
            self.name,
            f"{self.measured:.3g} {self.unit}",
            f"{self.baseline:.3g} {self.unit} {self.baseline_name}",
            f"{self.ratio:.3g}",
            budget,
            "yes" if self.within_budget else "NO",
        )


def median_ms(work: Callable[[], object], runs: int) -> float:
    """Return a function's median time in milliseconds, after one warm-up run."""
    work()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1000 * median(times)


async def paired_ms(
    ours: Callable[[], Awaitable[object]], baseline: Callable[[], Awaitable[object]], runs: int
) -> tuple[float, float]:
    """Return the median times of two coroutines in milliseconds; they take turns, under the same load."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs):
        for work, recorded in ((ours, times[0]), (baseline, times[1])):
            start = time.perf_counter()
            await work()
            recorded.append(time.perf_counter() - start)
    return 1000 * median(times[0][5:]), 1000 * median(times[1][5:])
