"""Coinbase Exchange: bitcoin candles and the last trade, in US dollars. Official, and without a key."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np
from pydantic import AwareDatetime, TypeAdapter, ValidationError

from services.domain.prices import Bars, Quote
from services.sources.pace import Limit
from services.sources.vendor import Vendor
from services.sources.wire import EpochSeconds, Price, Wire, WrittenPrice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.domain.prices import Symbol
    from services.ports import Clock
    from services.sources.http import HttpClient, RefusedError
    from services.sources.vendor import Explain

BASE_URL = "https://api.exchange.coinbase.com"
REST = timedelta(seconds=60)
SPACING = timedelta(seconds=0.125)  # 8 calls a second, beneath the documented 10 for each address
LARGEST_PAGE = 300
GRANULARITIES = (60, 300, 900, 3600, 21600, 86400)
NOT_FOUND = 404

# opened at, low, high, open, close, volume
_Candle = tuple[EpochSeconds, object, object, object, Price, object]
_CANDLES = TypeAdapter(list[_Candle])


class _Ticker(Wire):
    price: WrittenPrice
    time: AwareDatetime


class _Complaint(Wire):
    message: str


class Coinbase:
    """A CryptoSource over the candles and the ticker of Coinbase Exchange."""

    name = "Coinbase"
    simulated = False

    def __init__(
        self, client: HttpClient, clock: Clock, *, base_url: str = BASE_URL, spacing: timedelta = SPACING
    ) -> None:
        limits = (Limit(calls=1, per=spacing),)
        self._vendor = Vendor(client, clock, source=self.name, base_url=base_url, rest=REST, limits=limits)
        self._clock = clock

    async def bars(self, symbol: Symbol, interval: timedelta, start: datetime, end: datetime) -> Bars:
        """Fetch bars in pages of at most 300, one page after the other; a bar without a trade is a gap.

        Nothing is taken of the bar that is still open, whatever `end` says.
        """
        step = int(interval.total_seconds())
        if step not in GRANULARITIES:
            choice = ", ".join(str(seconds // 60) for seconds in GRANULARITIES)
            raise self._vendor.error(symbol, f"has bars of {choice} minutes only; choose one of them", retryable=False)
        first, stop = _span(start, min(end, self._clock.now()), step)
        closes: dict[int, float] = {}
        for page_start, page_end in _pages(first, stop, step):
            closes.update(await self._page(symbol, step, page_start, page_end))
        opened = sorted(at for at in closes if first <= at < stop)
        return Bars(
            symbol=symbol,
            interval=interval,
            opened_at=np.array(opened, dtype="datetime64[s]"),
            closes=np.array([closes[at] for at in opened], dtype=np.float64),
            source=self.name,
        )

    async def quote(self, symbol: Symbol) -> Quote:
        """Fetch the last trade."""
        ticker = await self._vendor.get(
            f"{_product(symbol)}/ticker", {}, symbol=symbol, read=_Ticker.model_validate_json, explain=_explain(symbol)
        )
        return Quote(symbol=symbol, price=float(ticker.price), at=ticker.time.astimezone(UTC), source=self.name)

    async def _page(self, symbol: Symbol, step: int, start: int, end: int) -> dict[int, float]:
        """Fetch the bars that open from `start` to `end`; the vendor may send some others as well."""
        candles = await self._vendor.get(
            f"{_product(symbol)}/candles",
            {"granularity": step, "start": _iso(start), "end": _iso(end)},
            symbol=symbol,
            read=_CANDLES.validate_json,
            explain=_explain(symbol),
        )
        return {candle[0]: candle[4] for candle in candles}


def _span(start: datetime, end: datetime, step: int) -> tuple[int, int]:
    """Find the first bar that opens at or after `start`, and the one that would open just too late to end by `end`."""
    return math.ceil(start.timestamp() / step) * step, math.floor(end.timestamp() / step) * step


def _pages(first: int, stop: int, step: int) -> Iterator[tuple[int, int]]:
    """Cut the span into pages; each ends a second before the next bar, as an end on a bar counts one bar more."""
    for start in range(first, stop, LARGEST_PAGE * step):
        yield start, min(start + LARGEST_PAGE * step, stop) - 1


def _product(symbol: Symbol) -> str:
    return f"/products/{quote(symbol, safe='')}-USD"


def _iso(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _explain(symbol: Symbol) -> Explain:
    return lambda refusal: _words(symbol, refusal)


def _words(symbol: Symbol, refusal: RefusedError) -> str | None:
    if refusal.status == NOT_FOUND:
        return f"trades no {symbol} against the US dollar; check the symbol's spelling"
    try:
        message = _Complaint.model_validate_json(refusal.body).message
    except ValidationError:
        return None
    return f"refused the request: “{message[:200]}”"
