"""Kraken: bitcoin bars and the last trade, in US dollars. Official, and without a key."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from operator import itemgetter
from typing import Annotated, Generic, TypeVar

from pydantic import ConfigDict, FailFast

from services.core.clock import Clock
from services.core.prices import Bars, Quote, Symbol
from services.market.sources.http.bar_pages import Span, missing
from services.market.sources.http.client import HttpClient
from services.market.sources.http.limits import Limit
from services.market.sources.http.payload import EpochSeconds, PreciseSeconds, Wire, WrittenPrice
from services.market.sources.http.vendor import ThrottledError, VendorClient, VendorSource

BASE_URL = "https://api.kraken.com"
REST = timedelta(minutes=1)
LIMITS = (Limit(calls=1, per=timedelta(seconds=1)),)
KEPT = 720
REACH = KEPT - 2  # the newest bar is still open, and Kraken's clock may be a bar ahead of ours
INTERVALS = (60, 300, 900, 1800, 3600, 14400, 86400)
NAMES = {"BTC": "XBT", "DOGE": "XDG"}
THROTTLES = ("EAPI:Rate limit exceeded", "EService:Throttled", "EGeneral:Too many requests")
PASSING = ("EService:", "EGeneral:Internal error", "EGeneral:Temporary lockout")

# opened at, open, high, low, close, weighted average, volume, number of trades
_Bar = tuple[EpochSeconds, object, object, object, WrittenPrice, object, object, int]
# price, volume, time, side, kind, nothing, number
_Trade = tuple[WrittenPrice, object, PreciseSeconds, object, object, object, object]
_Row = TypeVar("_Row", _Bar, _Trade)


class _Faults(Wire):
    error: Annotated[tuple[str, ...], FailFast()]


class _Result(Wire, Generic[_Row]):
    """The rows stand under Kraken's own name of the pair, beside `last`."""

    model_config = ConfigDict(strict=True, frozen=True, extra="allow")
    __pydantic_extra__: dict[str, Annotated[list[_Row], FailFast()]]
    last: object


class _Answer(Wire, Generic[_Row]):
    result: _Result[_Row]


class Kraken(VendorSource):
    """A CryptoSource over Kraken's OHLC and trades, for coins against the US dollar. Real time, without a key.

    Only the newest 720 bars of each length can be had (30 days of hours, 12 hours of minutes), so it seconds another
    source and does not replace one. About one call a second for each address. Errors come with status 200. Terms:
    kraken.com/legal.
    """

    name = "Kraken"
    simulated = False
    reach: timedelta | None = timedelta(hours=REACH - 2)

    def __init__(self, client: HttpClient, clock: Clock, *, base_url: str = BASE_URL) -> None:
        self._vendor = VendorClient(client, clock, source=self.name, base_url=base_url, rest=REST, limits=LIMITS)
        self._clock = clock

    async def bars(self, symbol: Symbol, interval: timedelta, start: datetime, end: datetime) -> Bars:
        """Fetch bars in one call; a bar without a trade is a gap, and the bar that is still open is left out.

        Raises SourceError where the span begins before what Kraken keeps: what is missing would look like a gap.
        """
        if interval.total_seconds() not in INTERVALS:
            raise self._vendor.error(symbol, missing(INTERVALS), retryable=False)
        now = self._clock.now()
        span = Span.between(start, min(end, now), interval)
        if span.first < Span.between(now, now, interval).stop - REACH * span.step:
            problem = f"keeps only its newest {KEPT} bars; ask for a later start or longer bars"
            raise self._vendor.error(symbol, problem, retryable=False)
        return await span.fetch(symbol, self.name, KEPT, partial(self._page, symbol))

    async def quote(self, symbol: Symbol) -> Quote | None:
        """Fetch the last trade, with its time, which the ticker does not have."""
        trades = await self._get("Trades", {"count": 1}, symbol, _Answer[_Trade])
        if not trades:
            return None
        price, _, at, *_ = max(trades, key=itemgetter(2))
        return Quote(symbol=symbol, price=float(price), at=datetime.fromtimestamp(at, UTC), source=self.name)

    async def _page(self, symbol: Symbol, span: Span) -> dict[int, float]:
        """Fetch one page; the newest row of any answer is the bar that is still open."""
        params = {"interval": span.step // 60, "since": span.first - 1}
        rows = sorted(await self._get("OHLC", params, symbol, _Answer[_Bar]), key=itemgetter(0))
        return {row[0]: float(row[4]) for row in rows[:-1] if row[7] > 0}

    async def _get(
        self, what: str, params: Mapping[str, int], symbol: Symbol, shape: type[_Answer[_Row]]
    ) -> list[_Row]:
        pair = f"{NAMES.get(symbol, symbol)}USD"
        return await self._vendor.get(
            f"/0/public/{what}",
            {"pair": pair, **params},
            symbol=symbol,
            read=lambda body: self._read(body, symbol, pair, shape),
        )

    def _read(self, body: bytes, symbol: Symbol, pair: str, shape: type[_Answer[_Row]]) -> list[_Row]:
        """Take the rows of the pair that was asked for, which Kraken may call `XXBTZUSD` where it was `XBTUSD`."""
        self._check(_Faults.model_validate_json(body).error, symbol)
        found = shape.model_validate_json(body).result.__pydantic_extra__
        if found.keys() - {pair, f"X{pair.removesuffix('USD')}ZUSD"} or len(found) != 1:
            raise self._vendor.error(symbol, "answered about another pair; it will be asked again", retryable=True)
        return next(iter(found.values()))

    def _check(self, faults: tuple[str, ...], symbol: Symbol) -> None:
        """Raise what stands in `error`; an entry that begins with W is a mere warning."""
        for fault in faults:
            if fault.startswith(THROTTLES):
                raise ThrottledError
            if fault.startswith("EQuery:Unknown asset pair"):
                problem = f"trades no {symbol} against the US dollar; check the symbol's spelling"
                raise self._vendor.error(symbol, problem, retryable=False)
            if not fault.startswith("W"):
                raise self._vendor.error(symbol, f"answered “{fault}”", retryable=fault.startswith(PASSING))
