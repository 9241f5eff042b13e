"""Coinbase Exchange: bitcoin candles and the last trade, in US dollars. Official, and without a key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated
from urllib.parse import quote

from pydantic import FailFast, TypeAdapter, ValidationError

from services.core.clock import Clock
from services.core.prices import Bars, Quote, Symbol
from services.market.sources.http.bar_pages import Span, missing
from services.market.sources.http.client import HttpClient, HttpStatusError
from services.market.sources.http.limits import Limit
from services.market.sources.http.payload import EpochSeconds, Instant, Price, Wire, WrittenPrice
from services.market.sources.http.vendor import Explain, VendorClient, VendorSource

BASE_URL = "https://api.exchange.coinbase.com"
REST = timedelta(seconds=60)
SPACING = timedelta(seconds=0.125)  # 8 calls a second, beneath the documented 10 for each address
LARGEST_PAGE = 300
GRANULARITIES = (60, 300, 900, 3600, 21600, 86400)
NOT_FOUND = 404

# opened at, low, high, open, close, volume
_Candle = tuple[EpochSeconds, object, object, object, Price, object]
_CANDLES = TypeAdapter(Annotated[list[_Candle], FailFast()])


class _Ticker(Wire):
    price: WrittenPrice
    time: Instant


class _Complaint(Wire):
    message: str


class Coinbase(VendorSource):
    """A CryptoSource over the candles and the ticker of Coinbase Exchange."""

    name = "Coinbase"
    simulated = False
    reach: timedelta | None = None

    def __init__(
        self, client: HttpClient, clock: Clock, *, base_url: str = BASE_URL, spacing: timedelta = SPACING
    ) -> None:
        limits = (Limit(calls=1, per=spacing),)
        self._vendor = VendorClient(client, clock, source=self.name, base_url=base_url, rest=REST, limits=limits)
        self._clock = clock

    async def bars(self, symbol: Symbol, interval: timedelta, start: datetime, end: datetime) -> Bars:
        """Fetch bars in pages of at most 300, one page after the other; a bar without a trade is a gap.

        Nothing is taken of the bar that is still open, whatever `end` says.
        """
        if interval.total_seconds() not in GRANULARITIES:
            raise self._vendor.error(symbol, missing(GRANULARITIES), retryable=False)
        span = Span.between(start, min(end, self._clock.now()), interval)
        return await span.fetch(symbol, self.name, LARGEST_PAGE, partial(self._page, symbol))

    async def quote(self, symbol: Symbol) -> Quote:
        """Fetch the last trade."""
        ticker = await self._vendor.get(
            f"{_product(symbol)}/ticker", {}, symbol=symbol, read=_Ticker.model_validate_json, explain=_explain(symbol)
        )
        return Quote(symbol=symbol, price=float(ticker.price), at=ticker.time.astimezone(UTC), source=self.name)

    async def _page(self, symbol: Symbol, span: Span) -> dict[int, float]:
        """Fetch one page; the vendor may send some bars from before it as well.

        The page ends a second before the next bar, as an end on a bar counts one bar more.
        """
        candles = await self._vendor.get(
            f"{_product(symbol)}/candles",
            {"granularity": span.step, "start": _iso(span.first), "end": _iso(span.stop - 1)},
            symbol=symbol,
            read=_CANDLES.validate_json,
            explain=_explain(symbol),
        )
        return {candle[0]: candle[4] for candle in candles}


def _product(symbol: Symbol) -> str:
    return f"/products/{quote(symbol, safe='')}-USD"


def _iso(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _explain(symbol: Symbol) -> Explain:
    return lambda refusal: _words(symbol, refusal)


def _words(symbol: Symbol, refusal: HttpStatusError) -> str | None:
    if refusal.status == NOT_FOUND:
        return f"trades no {symbol} against the US dollar; check the symbol's spelling"
    try:
        message = _Complaint.model_validate_json(refusal.body).message
    except ValidationError:
        return None
    return f"refused the request: “{message[:200]}”"
