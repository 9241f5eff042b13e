"""Nasdaq.com: session closes after the close, and the ten largest holdings of an ETF. Unofficial API; no key."""

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Annotated
from urllib.parse import quote

from pydantic import Field

from services.core.clock import Clock
from services.core.prices import MAX_PRICE, MIN_PRICE, Symbol
from services.market.holdings import TOP_TEN, Holding, Holdings
from services.market.ports import EquityPrices
from services.market.sources.files.holdings import classify_holding, parse_ticker
from services.market.sources.files.sheet import is_empty
from services.market.sources.http.client import HttpClient
from services.market.sources.http.daily_bars import NEW_YORK, DailyBar, final_closes
from services.market.sources.http.odd_values import DROP, MAX_ODD, Droppable
from services.market.sources.http.payload import Payload, Rows
from services.market.sources.http.vendor import Limit, VendorSource, refusal

HEADERS = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
MAX_ROWS = 9999
RCODE_OK, RCODE_SERVER_ERROR = 200, 500
ONE_DAY = timedelta(days=1)  # it may already be tomorrow in another time zone
MAX_TOTAL = 1.5  # total weight of all holdings, as a fraction; above it, the numbers aren't weights
DATE_FORMATS = {
    r"\d{1,2}/\d{1,2}/\d{4}": "%m/%d/%Y",
    r"[A-Z][a-z]{2} \d{1,2}, \d{4}": "%b %d, %Y",
    r"\d{4}-\d\d-\d\d": "%Y-%m-%d",
}


NO_PRICE_ROW = {"date": "01/01/1970", "close": None}
DROPPABLE: Droppable = {
    "data.tradesTable.rows.*": NO_PRICE_ROW,
    "data.tradesTable.rows.*.close": None,
}
DROPPABLE_HOLDINGS: Droppable = {
    "data.holdings.rows.*.symbol": None,
    "data.holdings.rows.*.companyname": None,
    "data.holdings.rows.*": DROP,
}


class _NasdaqRow(Payload):
    date: Annotated[str, Field(pattern=r"^[0-9]{2}/[0-9]{2}/[0-9]{4}$")]
    close: (
        Annotated[str, Field(pattern=r"^(N/A|\$?([0-9]{1,3}(,[0-9]{3})+|[0-9]+)(\.[0-9]+)?)?$", max_length=30)] | None
    )
    volume: object = None
    open: object = None


class _NasdaqTable(Payload):
    rows: Rows[_NasdaqRow] | None = None


class _NasdaqData(Payload):
    symbol: str
    total_records: int
    trades_table: _NasdaqTable | None = None


class _NasdaqMessage(Payload):
    error_message: str = ""


class _NasdaqStatus(Payload):
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
    status: _NasdaqStatus


class _NasdaqHoldingRow(Payload):
    symbol: Annotated[str, Field(max_length=20)] | None = None
    companyname: Annotated[str, Field(max_length=200)] | None = None
    weighting: Annotated[str, Field(pattern=r"^-?[0-9]{1,3}(\.[0-9]{1,10})?%$")]


class _NasdaqHoldingsTable(Payload):
    as_of: Annotated[str, Field(max_length=100)] | None = None
    rows: Annotated[Rows[_NasdaqHoldingRow], Field(max_length=10)] | None = None


class _NasdaqHoldingsData(Payload):
    heading: str | None = None
    holdings: _NasdaqHoldingsTable | None = None


class _NasdaqHoldingsBody(Payload):
    data: _NasdaqHoldingsData | None
    status: _NasdaqStatus | None = None


class Nasdaq(VendorSource):
    """An EquitySource over Nasdaq.com's price history, and the ten largest holdings of an ETF. No key.

    It has closes after the end of the day and no last trade, so it corroborates another source. Closes are understood
    to be adjusted for splits but not dividends, like Yahoo's. Rate limits are not published; we stay at ten calls a
    minute. It answers only browsers, and returns errors with status 200. Terms: nasdaq.com/legal.

    The response format of holdings is taken from public programs and not confirmed with Nasdaq. There, `asOf` is null;
    holdings are then dated on the day of the fetch, and their source says so.
    """

    name = "Nasdaq"
    base_url = "https://api.nasdaq.com"
    backoff = timedelta(minutes=15)
    limits = (Limit(calls=10, per=timedelta(minutes=1)),)
    headers = HEADERS

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
                at = self._vendor.answered_at
                closes = final_closes(symbol, self.name, rows, since, at)
                return EquityPrices(closes=closes, quote=None, answered_at=at)
        raise self._unknown_symbol(symbol)

    async def _fetch_history(self, symbol: Symbol, asset_class: str, since: date) -> dict[date, DailyBar] | None:
        path = f"/api/quote/{quote(symbol, safe='')}/historical"
        params: dict[str, str | int] = {
            "assetclass": asset_class,
            "fromdate": f"{since}",
            "todate": f"{self._clock.now().astimezone(NEW_YORK).date()}",
            "limit": MAX_ROWS,
        }
        return await self._get(path, params, symbol, lambda body: self._parse(body, symbol), droppable=DROPPABLE)

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
        bars, odd = dict[date, DailyBar](), list[str]()
        for row in rows:
            if row.close in {None, "", "N/A"}:
                continue
            try:
                bars[_parse_date(row.date)] = DailyBar.parse(_parse_dollars(row.close), row.volume, row.open)
            except ValueError:
                odd.append(f"{row.date} {row.close}")
        if len(odd) > max(len(bars), MAX_ODD):
            raise self._vendor.error(symbol, f"sent {len(odd)} unusable rows; MinerPulse retries", retryable=True)
        if odd and not bars:
            raise self._vendor.error(symbol, f"sent an unusable row: {odd[0]}; MinerPulse retries", retryable=True)
        self._vendor.record_odd(symbol, "rows", tuple(odd[:MAX_ODD]))
        return bars

    async def top_ten(self, fund: Symbol) -> Holdings:
        """Fetch the ten largest holdings, with weights as fractions of the fund. Raises SourceError."""
        path = f"/api/company/{quote(fund.lower(), safe='')}/holdings"
        parse = partial(self._parse_holdings, fund=fund)
        table = await self._get(path, {"assetclass": "etf"}, fund, parse, droppable=DROPPABLE_HOLDINGS)
        as_of = self._parse_as_of(table.as_of, fund)
        holdings = Holdings(
            fund=fund,
            as_of=as_of or self._answered_on(),
            source=f"{self.name} ({TOP_TEN})" if as_of else f"{self.name} ({TOP_TEN}, as fetched that day)",
            positions=tuple(_holding(row) for row in table.rows or ()),
        )
        if not 0 < holdings.total <= MAX_TOTAL:
            problem = f"sent weights that add up to {holdings.total:.0%}; import the issuer's file instead"
            raise self._vendor.error(fund, problem, retryable=True)
        return holdings

    def _parse_holdings(self, body: bytes, fund: Symbol) -> _NasdaqHoldingsTable:
        """Return the table of this fund's holdings. For a share, Nasdaq sends the funds that hold it instead."""
        answer = _NasdaqHoldingsBody.model_validate_json(body)
        status, data = answer.status, answer.data
        if status is not None and status.is_unknown_symbol:
            raise self._vendor.error(fund, f"doesn't know the ETF {fund}; check the spelling", retryable=False)
        if status is not None and status.r_code != RCODE_OK:
            retryable = status.r_code >= RCODE_SERVER_ERROR
            raise self._vendor.error(fund, refusal(status.error_text), retryable=retryable)
        if data is None or data.holdings is None or not data.holdings.rows:
            problem = f"lists no holdings of {fund}; import the issuer's file instead"
            raise self._vendor.error(fund, problem, retryable=False)
        if data.heading and not _is_about(data.heading, fund):
            raise self._vendor.error(fund, f"returned “{data.heading[:100]}” instead", retryable=False)
        self._check_duplicates(data.holdings.rows, fund)
        return data.holdings

    def _check_duplicates(self, rows: Sequence[_NasdaqHoldingRow], fund: Symbol) -> None:
        tickers = [ticker for row in rows if (ticker := parse_ticker(row.symbol or "")[0])]
        duplicates = sorted({ticker for ticker in tickers if tickers.count(ticker) > 1})
        if duplicates:
            raise self._vendor.error(
                fund, f"lists {duplicates[0]} twice; import the issuer's file instead", retryable=True
            )

    def _parse_as_of(self, text: str | None, fund: Symbol) -> date | None:
        """Parse the date of the holdings; None if the response has none."""
        if text is None or is_empty(text):
            return None
        day = _find_date(text)
        if day is None or day > self._answered_on() + ONE_DAY:
            problem = (
                f"names “{text}” as the date of its holdings, which can't be right; import the issuer's file instead"
            )
            raise self._vendor.error(fund, problem, retryable=True)
        return day

    def _answered_on(self) -> date:
        return self._vendor.answered_at.astimezone(NEW_YORK).date()


def _parse_date(text: str, date_format: str = "%m/%d/%Y") -> date:
    return datetime.strptime(text, date_format).date()  # noqa: DTZ007 -- a date has no time zone


def _parse_dollars(text: str | None) -> float:
    """Parse a price as in `$1,185.92`."""
    price = float((text or "").replace("$", "").replace(",", ""))
    if not MIN_PRICE <= price < MAX_PRICE:
        raise ValueError(f"{price} isn't a price")
    return price


def _is_about(heading: str, fund: Symbol) -> bool:
    return "holdings of" in heading.lower() and fund.upper() in re.findall(r"[A-Z0-9.]+", heading.upper())


def _find_date(text: str) -> date | None:
    """Return the first date in a text, in one of Nasdaq's date formats; None if there is none."""
    for pattern, date_format in DATE_FORMATS.items():
        match = re.search(rf"(?<!\d){pattern}(?!\d)", text, re.ASCII)
        if match:
            try:
                return _parse_date(match[0], date_format)
            except ValueError:
                return None
    return None


def _holding(row: _NasdaqHoldingRow) -> Holding:
    (ticker, exchange), name = parse_ticker(row.symbol or ""), (row.companyname or "").strip()
    return Holding(
        ticker=ticker,
        exchange=exchange,
        name=name,
        kind=classify_holding(ticker, name),
        weight=float(Decimal(row.weighting.removesuffix("%")) / 100),
    )
