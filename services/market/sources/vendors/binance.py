"""Binance's public data host: bars and the last trade of a coin against Tether (USDT). Official, and without a key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from operator import attrgetter
from typing import Annotated

from pydantic import FailFast, TypeAdapter, ValidationError

from services.core.clock import Clock
from services.core.prices import Bars, Quote, Symbol
from services.market.sources.http.bar_pages import Span, missing
from services.market.sources.http.client import HttpClient, HttpStatusError
from services.market.sources.http.limits import Limit
from services.market.sources.http.payload import EpochMicroseconds, EpochMilliseconds, Wire, WrittenPrice, seconds
from services.market.sources.http.vendor import THROTTLED, VendorClient, VendorSource

BASE_URL = "https://data-api.binance.vision"
REST = timedelta(minutes=2)
LIMITS = (Limit(calls=2, per=timedelta(seconds=1)),)
BANNED = 418
LARGEST_PAGE = 1000
INTERVALS = {
    60: "1m",
    180: "3m",
    300: "5m",
    900: "15m",
    1800: "30m",
    3600: "1h",
    7200: "2h",
    14400: "4h",
    21600: "6h",
    28800: "8h",
    43200: "12h",
    86400: "1d",
}

_Epoch = EpochMilliseconds | EpochMicroseconds
# opened at, open, high, low, close, volume, closes at, volume in USDT, number of trades, and three that are not needed
_Candle = tuple[_Epoch, object, object, object, WrittenPrice, object, object, object, int, object, object, object]
_CANDLES = TypeAdapter(Annotated[list[_Candle], FailFast()])


class _Trade(Wire):
    price: WrittenPrice
    time: _Epoch


_TRADES = TypeAdapter(Annotated[list[_Trade], FailFast()])


class _Complaint(Wire):
    msg: str


class Binance(VendorSource):
    """A CryptoSource over Binance's klines and trades. Real time, without a key, 1,000 bars a call.

    Prices are in Tether and not in US dollars: mostly within 0.1% of each other, and further apart when it matters. So
    it seconds another source. Only the host for public data is asked; it bans (418) who goes on after a 429, and two
    calls a second are kept to. Terms: binance.com/en/terms.
    """

    name = "Binance (USDT)"
    simulated = False
    reach: timedelta | None = None

    def __init__(self, client: HttpClient, clock: Clock, *, base_url: str = BASE_URL) -> None:
        self._vendor = VendorClient(
            client,
            clock,
            source=self.name,
            base_url=base_url,
            rest=REST,
            limits=LIMITS,
            throttles=frozenset({THROTTLED, BANNED}),
        )
        self._clock = clock

    async def bars(self, symbol: Symbol, interval: timedelta, start: datetime, end: datetime) -> Bars:
        """Fetch bars in pages of at most 1,000; a bar without a trade is a gap, one that is still open is left out."""
        if interval.total_seconds() not in INTERVALS:
            raise self._vendor.error(symbol, missing(INTERVALS), retryable=False)
        span = Span.between(start, min(end, self._clock.now()), interval)
        return await span.fetch(symbol, self.name, LARGEST_PAGE, partial(self._page, symbol))

    async def quote(self, symbol: Symbol) -> Quote | None:
        """Fetch the last trade."""
        trades = await self._vendor.get(
            "/api/v3/trades",
            {"symbol": f"{symbol}USDT", "limit": 1},
            symbol=symbol,
            read=_TRADES.validate_json,
            explain=_explain,
        )
        if not trades:
            return None
        last = max(trades, key=attrgetter("time"))
        at = datetime.fromtimestamp(seconds(last.time), UTC)
        return Quote(symbol=symbol, price=float(last.price), at=at, source=self.name)

    async def _page(self, symbol: Symbol, span: Span) -> dict[int, float]:
        params: dict[str, str | int] = {
            "symbol": f"{symbol}USDT",
            "interval": INTERVALS[span.step],
            "startTime": span.first * 1000,
            "endTime": span.stop * 1000 - 1,
            "limit": LARGEST_PAGE,
        }
        candles = await self._vendor.get(
            "/api/v3/klines", params, symbol=symbol, read=_CANDLES.validate_json, explain=_explain
        )
        return {int(seconds(candle[0])): float(candle[4]) for candle in candles if candle[8] > 0}


def _explain(refusal: HttpStatusError) -> str | None:
    try:
        return f"refused the request: “{_Complaint.model_validate_json(refusal.body).msg[:200]}”"
    except ValidationError:
        return None
