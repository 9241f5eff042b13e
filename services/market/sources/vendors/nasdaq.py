"""Nasdaq.com price history: session closes of an ETF, available after the close. Unofficial API; no key."""

from datetime import date, datetime, timedelta
from typing import Annotated
from urllib.parse import quote

from pydantic import Field

from services.core.clock import Clock
from services.core.prices import Symbol
from services.market.ports import EquityPrices
from services.market.sources.http.client import HttpClient
from services.market.sources.http.daily_bars import NEW_YORK, DailyBar, final_closes, parse_opening, parse_volume
from services.market.sources.http.limits import Limit
from services.market.sources.http.payload import MAX_PRICE, MIN_PRICE, Payload
from services.market.sources.http.vendor import VendorSource, refusal

HEADERS = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
MAX_ROWS = 9999
RCODE_OK, RCODE_SERVER_ERROR = 200, 500


class _NasdaqRow(Payload):
    date: Annotated[str, Field(pattern=r"^[0-9]{2}/[0-9]{2}/[0-9]{4}$")]
    close: (
        Annotated[str, Field(pattern=r"^(N/A|\$?([0-9]{1,3}(,[0-9]{3})+|[0-9]+)(\.[0-9]+)?)?$", max_length=30)] | None
    )
    volume: object = None
    open: object = None


class _NasdaqTable(Payload):
    rows: Annotated[list[_NasdaqRow], Field(fail_fast=True)] | None = None


class _NasdaqData(Payload):
    symbol: str
    total_records: int
    trades_table: _NasdaqTable | None = None


class _NasdaqMessage(Payload):
    error_message: str = ""


class NasdaqStatus(Payload):
    """Nasdaq's own status of a response; errors are returned with HTTP status 200."""

    r_code: int
    b_code_message: Annotated[tuple[_NasdaqMessage, ...], Field(fail_fast=True)] | None = None

    @property
    def error_text(self) -> str:
        """All error messages, joined; empty if there are none."""
        return " ".join(message.error_message for message in self.b_code_message or ())

    @property
    def is_unknown_symbol(self) -> bool:
        """Whether no symbol of the requested asset class matches."""
        return "not exist" in self.error_text.lower()


class _NasdaqBody(Payload):
    data: _NasdaqData | None
    status: NasdaqStatus


class NasdaqVendor(VendorSource):
    """Base of the sources at Nasdaq.com, which answers only browsers."""

    name = "Nasdaq"
    base_url = "https://api.nasdaq.com"
    backoff = timedelta(minutes=15)
    limits = (Limit(calls=10, per=timedelta(minutes=1)),)
    headers = HEADERS


class Nasdaq(NasdaqVendor):
    """An EquitySource over Nasdaq.com's price history, for US-listed ETFs and shares. No key.

    It has closes after the end of the day and no last trade, so it corroborates another source. Closes are understood
    to be adjusted for splits but not dividends, like Yahoo's. Rate limits are not published; we stay at ten calls a
    minute. It answers only browsers, and returns errors with status 200. Terms: nasdaq.com/legal.
    """

    def __init__(self, client: HttpClient, clock: Clock, *, base_url: str | None = None) -> None:
        super().__init__(client, clock, base_url=base_url)
        self._asset_classes: dict[Symbol, str] = {}

    async def prices(self, symbol: Symbol, since: date) -> EquityPrices:
        """Fetch the closes of finished sessions from `since` on. Tries the symbol as an ETF first, then as a share."""
        asset_classes = [self._asset_classes[symbol]] if symbol in self._asset_classes else ["etf", "stocks"]
        for asset_class in asset_classes:
            rows = await self._fetch_history(symbol, asset_class, since)
            if rows is not None:
                self._asset_classes[symbol] = asset_class
                return EquityPrices(closes=final_closes(symbol, self.name, rows, since, self._clock.now()), quote=None)
        raise self._unknown_symbol(symbol)

    async def _fetch_history(self, symbol: Symbol, asset_class: str, since: date) -> dict[date, DailyBar] | None:
        params: dict[str, str | int] = {
            "assetclass": asset_class,
            "fromdate": f"{since}",
            "todate": f"{self._clock.now().astimezone(NEW_YORK).date()}",
            "limit": MAX_ROWS,
        }
        path = f"/api/quote/{quote(symbol, safe='')}/historical"
        return await self._get(path, params, symbol, lambda body: self._parse(body, symbol))

    def _parse(self, body: bytes, symbol: Symbol) -> dict[date, DailyBar] | None:
        """Return the daily bars of this symbol; None if the asset class has no such symbol."""
        answer = _NasdaqBody.model_validate_json(body)
        status, data = answer.status, answer.data
        if status.r_code != RCODE_OK or data is None:
            if status.is_unknown_symbol:
                return None
            retryable = status.r_code >= RCODE_SERVER_ERROR or status.r_code == RCODE_OK
            raise self._vendor.error(symbol, refusal(status.error_text), retryable=retryable)
        self._check_symbol(symbol, data.symbol)
        return self._daily_bars(data, symbol)

    def _daily_bars(self, data: _NasdaqData, symbol: Symbol) -> dict[date, DailyBar]:
        """Return the rows by date, without days that have no price. Nasdaq sends them newest first."""
        rows = (data.trades_table.rows if data.trades_table else None) or []
        if data.total_records > len(rows):
            raise self._vendor.error(symbol, f"sent {len(rows)} of {data.total_records} sessions", retryable=True)
        try:
            return {_parse_date(row.date): _daily_bar(row) for row in rows if row.close not in {None, "", "N/A"}}
        except ValueError as error:
            raise self._vendor.error(symbol, f"sent an unusable row: {error}", retryable=True) from error


def _parse_date(text: str) -> date:
    return datetime.strptime(text, "%m/%d/%Y").date()  # noqa: DTZ007 -- a date has no time zone


def _daily_bar(row: _NasdaqRow) -> DailyBar:
    return DailyBar(_parse_dollars(row.close), parse_volume(row.volume), parse_opening(row.open))


def _parse_dollars(text: str | None) -> float:
    """Parse a price as in `$1,185.92`."""
    price = float((text or "").replace("$", "").replace(",", ""))
    if not MIN_PRICE <= price < MAX_PRICE:
        raise ValueError(f"{price} is no price")
    return price
