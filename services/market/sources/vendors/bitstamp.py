"""Bitstamp: bitcoin bars and the last trade, in US dollars. Official, and without a key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated
from urllib.parse import quote

from pydantic import FailFast, ValidationError

from services.core.clock import Clock
from services.core.prices import Bars, Quote, Symbol
from services.market.sources.http.bar_pages import Span, missing
from services.market.sources.http.client import HttpClient, HttpStatusError
from services.market.sources.http.limits import Limit
from services.market.sources.http.payload import Wire, WrittenAmount, WrittenPrice, WrittenSeconds
from services.market.sources.http.vendor import VendorClient, VendorSource

BASE_URL = "https://www.bitstamp.net"
REST = timedelta(minutes=1)
LIMITS = (Limit(calls=5, per=timedelta(seconds=1)),)
LARGEST_PAGE = 1000
STEPS = (60, 180, 300, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 259200)
NOT_FOUND = 404


class _Candle(Wire):
    timestamp: WrittenSeconds
    close: WrittenPrice
    volume: WrittenAmount


class _Data(Wire):
    pair: str
    ohlc: Annotated[list[_Candle], FailFast()]


class _Candles(Wire):
    data: _Data


class _Ticker(Wire):
    timestamp: WrittenSeconds
    last: WrittenPrice


class _Complaint(Wire):
    reason: str


class Bitstamp(VendorSource):
    """A CryptoSource over Bitstamp's OHLC and ticker, for coins against the US dollar. Real time, without a key.

    1,000 bars a call, with history to 2011; five calls a second are kept to, as its limit is not known here. Terms:
    bitstamp.net/terms-of-use.
    """

    name = "Bitstamp"
    simulated = False
    reach: timedelta | None = None

    def __init__(self, client: HttpClient, clock: Clock, *, base_url: str = BASE_URL) -> None:
        self._vendor = VendorClient(client, clock, source=self.name, base_url=base_url, rest=REST, limits=LIMITS)
        self._clock = clock

    async def bars(self, symbol: Symbol, interval: timedelta, start: datetime, end: datetime) -> Bars:
        """Fetch bars in pages of at most 1,000; a bar without a trade is a gap, one that is still open is left out."""
        if interval.total_seconds() not in STEPS:
            raise self._vendor.error(symbol, missing(STEPS), retryable=False)
        span = Span.between(start, min(end, self._clock.now()), interval)
        return await span.fetch(symbol, self.name, LARGEST_PAGE, partial(self._page, symbol))

    async def quote(self, symbol: Symbol) -> Quote:
        """Fetch the last trade, at the ticker's own time."""
        ticker = await self._vendor.get(
            f"/api/v2/ticker/{_pair(symbol)}/",
            {},
            symbol=symbol,
            read=_Ticker.model_validate_json,
            explain=partial(_explain, symbol),
        )
        at = datetime.fromtimestamp(int(ticker.timestamp), UTC)
        return Quote(symbol=symbol, price=float(ticker.last), at=at, source=self.name)

    async def _page(self, symbol: Symbol, span: Span) -> dict[int, float]:
        """Fetch one page; both its ends count."""
        data = await self._vendor.get(
            f"/api/v2/ohlc/{_pair(symbol)}/",
            {"step": span.step, "limit": LARGEST_PAGE, "start": span.first, "end": span.stop - span.step},
            symbol=symbol,
            read=lambda body: self._read(body, symbol),
            explain=partial(_explain, symbol),
        )
        return {int(candle.timestamp): float(candle.close) for candle in data.ohlc if candle.volume > 0}

    def _read(self, body: bytes, symbol: Symbol) -> _Data:
        data = _Candles.model_validate_json(body).data
        if data.pair != f"{symbol}/USD":
            raise self._vendor.error(symbol, f"answered about {data.pair[:20]} instead", retryable=True)
        return data


def _pair(symbol: Symbol) -> str:
    return f"{quote(symbol.lower(), safe='')}usd"


def _explain(symbol: Symbol, refusal: HttpStatusError) -> str | None:
    if refusal.status == NOT_FOUND:
        return f"trades no {symbol} against the US dollar; check the symbol's spelling"
    try:
        return f"refused the request: “{_Complaint.model_validate_json(refusal.body).reason[:200]}”"
    except ValidationError:
        return None
