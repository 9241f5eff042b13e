"""Whole bars between two instants: what to ask a vendor for, page by page, and the columns that come of it."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from services.core.prices import Bars, Symbol


@dataclass(frozen=True, slots=True)
class Span:
    """The bars of `step` seconds that open from `first` up to `stop`, which none of them does.

    All are whole seconds since 1970, and multiples of `step`.
    """

    first: int
    stop: int
    step: int

    @classmethod
    def between(cls, start: datetime, end: datetime, interval: timedelta) -> Span:
        """Find the bars that open at or after `start` and end at or before `end`."""
        step = int(interval.total_seconds())
        return cls(math.ceil(start.timestamp() / step) * step, math.floor(end.timestamp() / step) * step, step)

    @property
    def opens_at(self) -> datetime:
        """When the first bar opens."""
        return datetime.fromtimestamp(self.first, UTC)

    @property
    def ends_at(self) -> datetime:
        """When the last bar ends."""
        return datetime.fromtimestamp(self.stop, UTC)

    def pages(self, size: int) -> Iterator[Span]:
        """Cut the span into pages of at most `size` bars, oldest first."""
        for first in range(self.first, self.stop, size * self.step):
            yield Span(first, min(first + size * self.step, self.stop), self.step)

    async def fetch(
        self, symbol: Symbol, source: str, size: int, page: Callable[[Span], Awaitable[Mapping[int, float]]]
    ) -> Bars:
        """Fetch page after page, each the closes of bars by their opening, and make columns of them.

        What a page has beyond the span, or off its grid, is left out.
        """
        closes: dict[int, float] = {}
        for part in self.pages(size):
            closes.update(await page(part))
        opened = sorted(at for at in closes if self.first <= at < self.stop and at % self.step == 0)
        return Bars(
            symbol=symbol,
            interval=timedelta(seconds=self.step),
            opened_at=np.array(opened, dtype="datetime64[s]"),
            closes=np.array([closes[at] for at in opened], dtype=np.float64),
            source=source,
        )


def missing(choice: Iterable[int]) -> str:
    """Say which bars a vendor has, by their seconds, to somebody who asked for others."""
    minutes = ", ".join(str(seconds // 60) for seconds in choice)
    return f"has bars of {minutes} minutes only; choose one of them"
