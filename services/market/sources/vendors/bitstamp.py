"""Bitstamp: bars and last trade of a coin in US dollars. Official API; no key."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from services.core.prices import Quote, Symbol
from services.market.sources.http.bar_vendor import BarRange, BarVendor
from services.market.sources.http.odd_values import DROP
from services.market.sources.http.payload import DecimalAmount, DecimalPrice, EpochSecondsString, Payload, Rows
from services.market.sources.http.vendor import NOT_FOUND, Limit


class _BitstampCandle(Payload):
    timestamp: EpochSecondsString
    close: DecimalPrice
    volume: DecimalAmount


class _BitstampData(Payload):
    pair: str
    ohlc: Rows[_BitstampCandle]


class _BitstampCandles(Payload):
    data: _BitstampData


class _BitstampTicker(Payload):
    timestamp: EpochSecondsString
    last: DecimalPrice


class Bitstamp(BarVendor):
    """A CryptoSource over Bitstamp's OHLC and ticker, for coins in US dollars. Real time, no key.

    1,000 bars per call, with history back to 2011. The rate limit is unknown; we stay at five calls per second. Terms:
    bitstamp.net/terms-of-use.
    """

    name = "Bitstamp"
    base_url = "https://www.bitstamp.net"
    backoff = timedelta(minutes=1)
    limits = (Limit(calls=5, per=timedelta(seconds=1)),)
    unknown_symbol_statuses = (NOT_FOUND,)
    message_field = "reason"
    intervals = (60, 180, 300, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 259200)
    page_size = 1000

    async def quote(self, symbol: Symbol) -> Quote:
        """Fetch the last trade, stamped with the ticker's time."""
        path = f"/api/v2/ticker/{_pair(symbol)}/"
        ticker = await self._get(path, {}, symbol, _BitstampTicker.model_validate_json)
        return self._last_trade(symbol, ticker.last, datetime.fromtimestamp(int(ticker.timestamp), UTC))

    async def _fetch_page(self, symbol: Symbol, page: BarRange) -> Mapping[int, float]:
        """Fetch one page; `start` and `end` are both inclusive."""
        params = {"step": page.step, "limit": self.page_size, "start": page.first, "end": page.stop - page.step}
        path = f"/api/v2/ohlc/{_pair(symbol)}/"
        droppable = {"data.ohlc.*": DROP}
        data = await self._get(path, params, symbol, lambda body: self._parse(body, symbol), droppable=droppable)
        return {int(candle.timestamp): float(candle.close) for candle in data.ohlc if candle.volume > 0}

    def _parse(self, body: bytes, symbol: Symbol) -> _BitstampData:
        data = _BitstampCandles.model_validate_json(body).data
        if data.pair != f"{symbol}/USD":
            raise self._vendor.error(symbol, f"sent data on {data.pair[:20]} instead", retryable=True)
        return data


def _pair(symbol: Symbol) -> str:
    return f"{quote(symbol.lower(), safe='')}usd"
