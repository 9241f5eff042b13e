"""Kraken: bars and last trade of a coin in US dollars. Official API; no key."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Annotated, Generic, TypeVar

from pydantic import ConfigDict, FailFast

from services.core.prices import Quote, Symbol
from services.market.sources.http.bar_vendor import BarRange, BarVendor
from services.market.sources.http.odd_values import DROP
from services.market.sources.http.payload import DecimalPrice, EpochFloatSeconds, EpochSeconds, Payload, Rows
from services.market.sources.http.vendor import Limit, ThrottledError

MAX_BARS = 720
USABLE_BARS = MAX_BARS - 2  # the newest bar is still open, and Kraken's clock may be one bar ahead of ours
KRAKEN_SYMBOLS = {"BTC": "XBT", "DOGE": "XDG"}
THROTTLE_ERRORS = ("EAPI:Rate limit exceeded", "EService:Throttled", "EGeneral:Too many requests")
TRANSIENT_ERRORS = ("EService:", "EGeneral:Internal error", "EGeneral:Temporary lockout")

# open time, open, high, low, close, volume-weighted average, volume, number of trades
_KrakenBar = tuple[EpochSeconds, object, object, object, DecimalPrice, object, object, int]
# price, volume, time, side, order type, unused, trade id
_KrakenTrade = tuple[DecimalPrice, object, EpochFloatSeconds, object, object, object, object]
_KrakenRow = TypeVar("_KrakenRow", _KrakenBar, _KrakenTrade)


class _KrakenErrors(Payload):
    error: Annotated[tuple[str, ...], FailFast()]


class _KrakenResult(Payload, Generic[_KrakenRow]):
    """`last`, and the rows under Kraken's own name of the pair."""

    model_config = ConfigDict(strict=True, frozen=True, extra="allow")
    __pydantic_extra__: dict[str, Rows[_KrakenRow]]
    last: object


class _KrakenResponse(Payload, Generic[_KrakenRow]):
    result: _KrakenResult[_KrakenRow]


class Kraken(BarVendor):
    """A CryptoSource over Kraken's OHLC and trades, for coins in US dollars. Real time, no key.

    Kraken serves only the newest 720 bars of each length (30 days of hourly bars, 12 hours of minute bars), so it
    corroborates another source and can't replace one. About one call per second per IP address. Errors are returned
    with status 200. Terms: kraken.com/legal.
    """

    name = "Kraken"
    base_url = "https://api.kraken.com"
    backoff = timedelta(minutes=1)
    limits = (Limit(calls=1, per=timedelta(seconds=1)),)
    history_limit: timedelta | None = timedelta(hours=USABLE_BARS - 2)
    intervals = (60, 300, 900, 1800, 3600, 14400, 86400)
    page_size = MAX_BARS

    async def quote(self, symbol: Symbol) -> Quote | None:
        """Fetch the last trade from the trades endpoint; the ticker has no time."""
        trades = await self._get_rows("Trades", {"count": 1}, symbol, _KrakenResponse[_KrakenTrade])
        if not trades:
            return None
        price, _, at, *_ = max(trades, key=itemgetter(2))
        return self._last_trade(symbol, price, datetime.fromtimestamp(at, UTC))

    def _check_range(self, symbol: Symbol, bar_range: BarRange) -> None:
        """Raise SourceError if the range starts before Kraken's oldest bar: missing bars would look like gaps."""
        newest_stop = math.floor(self._clock.now().timestamp() / bar_range.step) * bar_range.step
        if bar_range.first < newest_stop - USABLE_BARS * bar_range.step:
            problem = f"has only its newest {MAX_BARS} bars; use a later start or longer bars"
            raise self._vendor.error(symbol, problem, retryable=False)

    async def _fetch_page(self, symbol: Symbol, page: BarRange) -> Mapping[int, float]:
        """Fetch one page; the newest row of every response is the bar that is still open."""
        params = {"interval": page.step // 60, "since": page.first - 1}
        rows = sorted(await self._get_rows("OHLC", params, symbol, _KrakenResponse[_KrakenBar]), key=itemgetter(0))
        return {row[0]: float(row[4]) for row in rows[:-1] if row[7] > 0}

    async def _get_rows(
        self, endpoint: str, params: Mapping[str, int], symbol: Symbol, model: type[_KrakenResponse[_KrakenRow]]
    ) -> list[_KrakenRow]:
        pair = f"{KRAKEN_SYMBOLS.get(symbol, symbol)}USD"
        return await self._get(
            f"/0/public/{endpoint}",
            {"pair": pair, **params},
            symbol,
            lambda body: self._parse(body, symbol, pair, model),
            droppable={"result.*.*": DROP},
        )

    def _parse(
        self, body: bytes, symbol: Symbol, pair: str, model: type[_KrakenResponse[_KrakenRow]]
    ) -> list[_KrakenRow]:
        """Return the rows of the requested pair, which Kraken may call `XXBTZUSD` for `XBTUSD`."""
        self._raise_first(_KrakenErrors.model_validate_json(body).error, symbol)
        pairs = model.model_validate_json(body).result.__pydantic_extra__
        if pairs.keys() - {pair, f"X{pair.removesuffix('USD')}ZUSD"} or len(pairs) != 1:
            raise self._vendor.error(symbol, "sent data on another pair; MinerPulse retries", retryable=True)
        return next(iter(pairs.values()))

    def _raise_first(self, errors: tuple[str, ...], symbol: Symbol) -> None:
        """Raise the first entry of `error`; entries that start with W are warnings."""
        for error in errors:
            if error.startswith(THROTTLE_ERRORS):
                raise ThrottledError
            if error.startswith("EQuery:Unknown asset pair"):
                raise self._unknown_symbol(symbol)
            if not error.startswith("W"):
                raise self._vendor.error(
                    symbol, f"returned the error “{error}”", retryable=error.startswith(TRANSIENT_ERRORS)
                )
