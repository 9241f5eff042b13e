"""Base of the vendors of bars: fetch a time range page by page, and join the pages."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from services.core.prices import Bars, Symbol
from services.market.sources.http.vendor import VendorSource


@dataclass(frozen=True, slots=True)
class BarRange:
    """The bars of `step` seconds that open in [`first`, `stop`).

    All three are whole seconds; `first` and `stop` are epoch seconds and multiples of `step`.
    """

    first: int
    stop: int
    step: int

    @classmethod
    def between(cls, start: datetime, end: datetime, interval: timedelta) -> BarRange:
        """Return the range of bars that open at or after `start` and end at or before `end`."""
        step = int(interval.total_seconds())
        return cls(math.ceil(start.timestamp() / step) * step, math.floor(end.timestamp() / step) * step, step)

    def pages(self, page_size: int) -> Iterator[BarRange]:
        """Split the range into pages of at most `page_size` bars, oldest first."""
        for first in range(self.first, self.stop, page_size * self.step):
            yield BarRange(first, min(first + page_size * self.step, self.stop), self.step)


class BarVendor(VendorSource, ABC):
    """Base of a CryptoSource; a vendor adds `_fetch_page` and `quote`.

    Attributes:
        history_limit: See CryptoSource.
        intervals: The supported bar lengths in seconds.
        page_size: The most bars of one call.
    """

    unknown_symbol = "doesn't trade {symbol} against the US dollar; check the spelling"
    history_limit: timedelta | None = None
    intervals: Collection[int]
    page_size: int

    async def bars(self, symbol: Symbol, interval: timedelta, start: datetime, end: datetime) -> Bars:
        """Fetch bars page by page, oldest first. Bars without a trade are gaps.

        A bar that is still open by the vendor's clock or ours is dropped, whatever `end` is.
        """
        if interval.total_seconds() not in self.intervals:
            minutes = ", ".join(str(seconds // 60) for seconds in self.intervals)
            problem = f"has only bars of {minutes} minutes; choose one of them"
            raise self._vendor.error(symbol, problem, retryable=False)
        bar_range = BarRange.between(start, min(end, self._clock.now()), interval)
        self._check_range(symbol, bar_range)
        closes: dict[int, float] = {}
        for page in bar_range.pages(self.page_size):
            fetched = await self._fetch_page(symbol, page)
            over_at = self._vendor.answered_at.timestamp() - bar_range.step
            closes.update((at, close) for at, close in fetched.items() if at <= over_at)
        opened_at = sorted(at for at in closes if bar_range.first <= at < bar_range.stop and at % bar_range.step == 0)
        return Bars(
            symbol=symbol,
            interval=interval,
            opened_at=np.array(opened_at, dtype="datetime64[s]"),
            closes=np.array([closes[at] for at in opened_at], dtype=np.float64),
            source=self.name,
        )

    def _check_range(self, symbol: Symbol, bar_range: BarRange) -> None:
        """Raise SourceError if the vendor can't serve this range."""

    @abstractmethod
    async def _fetch_page(self, symbol: Symbol, page: BarRange) -> Mapping[int, float]:
        """Fetch closes by opening time in epoch seconds; those outside the page or off its grid are dropped later."""


def iso_seconds(epoch: int) -> str:
    """Return epoch seconds as in 2026-10-30T12:00:00Z."""
    return f"{datetime.fromtimestamp(epoch, UTC):%Y-%m-%dT%H:%M:%SZ}"
