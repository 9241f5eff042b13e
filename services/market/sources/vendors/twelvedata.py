"""Twelve Data: session closes of an ETF, available after the close. Official API; needs a key."""

from datetime import date, timedelta

from pydantic import ConfigDict, ValidationError

from services.core.errors import SourceFault
from services.core.prices import Symbol
from services.market.ports import EquityPrices
from services.market.sources.http.client import SERVER_ERROR, HttpStatusError
from services.market.sources.http.daily_bars import NEW_YORK, NOT_US_LISTED, DailyBar, final_closes
from services.market.sources.http.odd_values import DROP
from services.market.sources.http.payload import DecimalPrice, Payload, Rows
from services.market.sources.http.vendor import (
    KEY_REFUSED,
    TOO_MANY_REQUESTS,
    Limit,
    ThrottledError,
    VendorSource,
    refusal,
)

HEADERS = {"Authorization": "apikey {0}"}
MAX_ROWS = 5000


class _TwelveDataStatus(Payload):
    status: str
    code: int = 0
    message: str = ""


class _TwelveDataMeta(Payload):
    model_config = ConfigDict(alias_generator=None)
    symbol: str
    currency: str | None = None
    exchange_timezone: str | None = None


class _TwelveDataRow(Payload):
    datetime: date
    close: DecimalPrice
    volume: object = None
    open: object = None


class _TwelveDataSeries(Payload):
    meta: _TwelveDataMeta
    values: Rows[_TwelveDataRow]


class TwelveData(VendorSource):
    """An EquitySource over Twelve Data's daily series, for US-listed ETFs and shares.

    It has closes after the end of the day, adjusted for splits but not dividends, and no last trade, so it
    corroborates another source. A free key allows 8 calls a minute and 800 a day, and we stay within both. Errors are
    returned with status 200. Terms: twelvedata.com/terms.
    """

    name = "Twelve Data"
    base_url = "https://api.twelvedata.com"
    backoff = timedelta(minutes=1)
    limits = (Limit(calls=8, per=timedelta(minutes=1)), Limit(calls=800, per=timedelta(days=1)))
    headers = HEADERS

    async def prices(self, symbol: Symbol, since: date) -> EquityPrices:
        """Fetch the closes of finished sessions from `since` on."""
        params: dict[str, str | int] = {
            "symbol": symbol,
            "interval": "1day",
            "start_date": f"{since}",
            "outputsize": MAX_ROWS,
            "adjust": "splits",
        }
        droppable = {"values.*": DROP}
        rows = await self._get(
            "/time_series", params, symbol, lambda body: self._parse(body, symbol), droppable=droppable
        )
        closes = {row.datetime: DailyBar.parse(row.close, row.volume, row.open) for row in rows}
        at = self._vendor.answered_at
        return EquityPrices(closes=final_closes(symbol, self.name, closes, since, at), quote=None, answered_at=at)

    def _parse(self, body: bytes, symbol: Symbol) -> list[_TwelveDataRow]:
        """Return the rows. Raises SourceError unless they are of this symbol, in US dollars and dated in New York."""
        status = _TwelveDataStatus.model_validate_json(body)
        if status.status != "ok":
            raise self._error(status, symbol)
        series = _TwelveDataSeries.model_validate_json(body)
        self._check_symbol(symbol, series.meta.symbol)
        if (series.meta.currency, series.meta.exchange_timezone) != ("USD", NEW_YORK.key):
            raise self._vendor.error(symbol, NOT_US_LISTED, retryable=False)
        return series.values

    def _error(self, status: _TwelveDataStatus, symbol: Symbol) -> Exception:
        if status.code == TOO_MANY_REQUESTS:
            return ThrottledError()
        fault = SourceFault.KEY_REFUSED if status.code in KEY_REFUSED else SourceFault.OTHER
        return self._vendor.error(symbol, refusal(status.message), retryable=status.code >= SERVER_ERROR, fault=fault)

    def _explain(self, symbol: Symbol, error: HttpStatusError) -> str | None:  # noqa: ARG002 -- of the base
        try:
            return refusal(_TwelveDataStatus.model_validate_json(error.body).message)
        except ValidationError:
            return None
