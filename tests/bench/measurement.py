"""One measured figure, the thing it is held against in the same run, and its budget."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """`measured` and `beside` in `unit`; the budget is an upper limit of `measured`, or of the ratio of the two."""

    what: str
    measured: float
    beside: float
    beside_what: str
    unit: str
    budget: float
    of_ratio: bool = False

    @property
    def ratio(self) -> float:
        """How many times what stands beside it."""
        return self.measured / self.beside

    @property
    def holds(self) -> bool:
        """Whether the budget holds."""
        return (self.ratio if self.of_ratio else self.measured) <= self.budget

    def cells(self) -> tuple[str, ...]:
        """Write the figure as a row of the table."""
        budget = f"≤ {self.budget:g} ×" if self.of_ratio else f"≤ {self.budget:g} {self.unit}"
        return (
            self.what,
            f"{self.measured:.3g} {self.unit}",
            f"{self.beside:.3g} {self.unit} {self.beside_what}",
            f"{self.ratio:.3g}",
            budget,
            "yes" if self.holds else "NO",
        )


def median_ms(work: Callable[[], object], runs: int) -> float:
    """Time a function, after one run that does not count; the median in milliseconds."""
    work()
    spans = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        spans.append(time.perf_counter() - began)
    return 1000 * median(spans)


async def paired_ms(
    ours: Callable[[], Awaitable[object]], theirs: Callable[[], Awaitable[object]], runs: int
) -> tuple[float, float]:
    """Time two coroutines in turn, so that both see the same machine; the medians in milliseconds."""
    spans: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs):
        for work, kept in ((ours, spans[0]), (theirs, spans[1])):
            began = time.perf_counter()
            await work()
            kept.append(time.perf_counter() - began)
    return 1000 * median(spans[0][5:]), 1000 * median(spans[1][5:])
