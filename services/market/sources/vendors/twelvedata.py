"""Twelve Data: an ETF's session closes, at the end of the day. Official, with a key."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated

from pydantic import ConfigDict, FailFast, ValidationError

from services.core.clock import Clock
from services.core.prices import Symbol
from services.market.ports import EquityPrices
from services.market.sources.http.client import HttpClient, HttpStatusError
from services.market.sources.http.daily_bars import NEW_YORK, NOT_NEW_YORK, Day, final_closes, read_opening, read_volume
from services.market.sources.http.limits import Limit
from services.market.sources.http.payload import Wire, WrittenPrice
from services.market.sources.http.vendor import THROTTLED, ThrottledError, VendorClient, VendorSource

BASE_URL = "https://api.twelvedata.com"
REST = timedelta(minutes=1)
LIMITS = (Limit(calls=8, per=timedelta(minutes=1)), Limit(calls=800, per=timedelta(days=1)))
MOST_ROWS = 5000
DOWN = 500


class _Status(Wire):
    status: str
    code: int = 0
    message: str = ""


class _Meta(Wire):
    model_config = ConfigDict(alias_generator=None)
    symbol: str
    currency: str | None = None
    exchange_timezone: str | None = None


class _Row(Wire):
    datetime: date
    close: WrittenPrice
    volume: object = None
    open: object = None


class _Series(Wire):
    meta: _Meta
    values: Annotated[list[_Row], FailFast()]


class TwelveData(VendorSource):
    """An EquitySource over Twelve Data's daily series, for any ETF or share that is listed in the US.

    It knows closes at the end of the day, adjusted for splits and not for dividends, and no last trade, so it seconds
    another source. A free key has 8 calls a minute and 800 a day, and both are kept to. Errors come with status 200.
    Terms: twelvedata.com/terms.
    """

    name = "Twelve Data"
    simulated = False
    spacing = timedelta(0)

    def __init__(self, client: HttpClient, clock: Clock, key: str, *, base_url: str = BASE_URL) -> None:
        self._vendor = VendorClient(
            client,
            clock,
            source=self.name,
            base_url=base_url,
            rest=REST,
            limits=LIMITS,
            headers={"Authorization": f"apikey {key}"},
            secrets=[key],
        )
        self._clock = clock

    async def prices(self, symbol: Symbol, since: date) -> EquityPrices:
        """Fetch the closes of finished sessions from `since` on."""
        params: dict[str, str | int] = {
            "symbol": symbol,
            "interval": "1day",
            "start_date": f"{since}",
            "outputsize": MOST_ROWS,
            "adjust": "splits",
        }
        rows = await self._vendor.get(
            "/time_series",
            params,
            symbol=symbol,
            read=lambda body: self._read(body, symbol),
            explain=_explain,
        )
        closes = {row.datetime: _day(row) for row in rows}
        return EquityPrices(closes=final_closes(symbol, self.name, closes, since, self._clock.now()), quote=None)

    def _read(self, body: bytes, symbol: Symbol) -> list[_Row]:
        """Take the rows, which must be of this symbol, in US dollars and of New York's days."""
        status = _Status.model_validate_json(body)
        if status.status != "ok":
            raise self._refusal(status, symbol)
        series = _Series.model_validate_json(body)
        if series.meta.symbol.upper() != symbol.upper():
            raise self._vendor.error(symbol, f"answered about {series.meta.symbol[:20]} instead", retryable=True)
        if (series.meta.currency, series.meta.exchange_timezone) != ("USD", NEW_YORK.key):
            raise self._vendor.error(symbol, NOT_NEW_YORK, retryable=False)
        return series.values

    def _refusal(self, status: _Status, symbol: Symbol) -> Exception:
        if status.code == THROTTLED:
            return ThrottledError()
        return self._vendor.error(symbol, _words(status.message), retryable=status.code >= DOWN)


def _day(row: _Row) -> Day:
    return Day(float(row.close), read_volume(row.volume), read_opening(row.open))


def _explain(refusal: HttpStatusError) -> str | None:
    try:
        return _words(_Status.model_validate_json(refusal.body).message)
    except ValidationError:
        return None


def _words(message: str) -> str:
    return f"refused the request: “{message[:200]}”"
