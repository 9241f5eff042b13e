"""Binance public data: bars and last trade of a coin in Tether (USDT). Official API; no key."""

from collections.abc import Mapping
from datetime import timedelta
from operator import attrgetter

from pydantic import TypeAdapter

from services.core.prices import Quote, Symbol
from services.market.sources.http.bar_vendor import BarRange, BarVendor
from services.market.sources.http.odd_values import DROP
from services.market.sources.http.payload import (
    DecimalPrice,
    EpochMicroseconds,
    EpochMilliseconds,
    Payload,
    Rows,
    epoch_seconds,
    epoch_time,
)
from services.market.sources.http.vendor import TOO_MANY_REQUESTS, Limit

IP_BANNED = 418
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
# open time, open, high, low, close, volume, close time, volume in USDT, number of trades, and three unused fields
_BinanceBar = tuple[_Epoch, object, object, object, DecimalPrice, object, object, object, int, object, object, object]
_CANDLES = TypeAdapter(Rows[_BinanceBar])


class _BinanceTrade(Payload):
    price: DecimalPrice
    time: _Epoch


_TRADES = TypeAdapter(Rows[_BinanceTrade])


class Binance(BarVendor):
    """A CryptoSource over Binance klines and trades. Real time, no key, 1,000 bars per call.

    Prices are in Tether. They are mostly within 0.1% of US dollar prices, and further apart when it matters, so use
    it only to corroborate another source. Only the public data host is called. It bans (418) clients that continue
    after a 429; we stay at two calls per second. Terms: binance.com/en/terms.
    """

    name = "Binance (USDT)"
    base_url = "https://data-api.binance.vision"
    backoff = timedelta(minutes=2)
    limits = (Limit(calls=2, per=timedelta(seconds=1)),)
    throttle_statuses = frozenset({TOO_MANY_REQUESTS, IP_BANNED})
    message_field = "msg"
    intervals = INTERVALS
    page_size = 1000

    async def quote(self, symbol: Symbol) -> Quote | None:
        """Fetch the last trade."""
        params: Mapping[str, str | int] = {"symbol": f"{symbol}USDT", "limit": 1}
        trades = await self._get("/api/v3/trades", params, symbol, _TRADES.validate_json)
        if not trades:
            return None
        last = max(trades, key=attrgetter("time"))
        return self._last_trade(symbol, last.price, epoch_time(last.time))

    async def _fetch_page(self, symbol: Symbol, page: BarRange) -> Mapping[int, float]:
        params: Mapping[str, str | int] = {
            "symbol": f"{symbol}USDT",
            "interval": INTERVALS[page.step],
            "startTime": page.first * 1000,
            "endTime": page.stop * 1000 - 1,
            "limit": self.page_size,
        }
        path = "/api/v3/klines"
        candles = await self._get(path, params, symbol, _CANDLES.validate_json, droppable={"*": DROP})
        return {int(epoch_seconds(candle[0])): float(candle[4]) for candle in candles if candle[8] > 0}
