"""Nasdaq.com: the ten largest holdings of an ETF. Unofficial API; no key."""

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated
from urllib.parse import quote

from pydantic import Field

from services.core.prices import Symbol
from services.market.holdings import TOP_TEN, Holding, Holdings
from services.market.sources.files.holdings import classify_holding, parse_ticker
from services.market.sources.files.sheet_values import is_empty
from services.market.sources.http.daily_bars import NEW_YORK
from services.market.sources.http.payload import Payload
from services.market.sources.http.vendor import refusal
from services.market.sources.vendors.nasdaq import RCODE_OK, RCODE_SERVER_ERROR, NasdaqStatus, NasdaqVendor

ONE_DAY = timedelta(days=1)  # it may already be tomorrow in another time zone
MAX_TOTAL = 1.5  # total weight of all holdings, as a fraction; above it, the numbers aren't weights
DATE_FORMATS = {
    r"\d{1,2}/\d{1,2}/\d{4}": "%m/%d/%Y",
    r"[A-Z][a-z]{2} \d{1,2}, \d{4}": "%b %d, %Y",
    r"\d{4}-\d\d-\d\d": "%Y-%m-%d",
}


class _HoldingRow(Payload):
    symbol: Annotated[str, Field(max_length=20)] | None = None
    companyname: Annotated[str, Field(max_length=200)] | None = None
    weighting: Annotated[str, Field(pattern=r"^-?[0-9]{1,3}(\.[0-9]{1,10})?%$")]


class _HoldingsTable(Payload):
    as_of: Annotated[str, Field(max_length=100)] | None = None
    rows: Annotated[list[_HoldingRow], Field(max_length=10, fail_fast=True)] | None = None


class _HoldingsData(Payload):
    heading: str | None = None
    holdings: _HoldingsTable | None = None


class _HoldingsBody(Payload):
    data: _HoldingsData | None
    status: NasdaqStatus | None = None


class NasdaqHoldings(NasdaqVendor):
    """The ten largest holdings of a US-listed ETF, from Nasdaq.com; never the whole fund. No key.

    The response format is taken from public programs and not confirmed with Nasdaq. There, `asOf` is null; holdings
    are then dated on the day of the fetch, and their source says so. Rate limits and terms are those of Nasdaq's
    prices.
    """

    async def top_ten(self, fund: Symbol) -> Holdings:
        """Fetch the ten largest holdings, with weights as fractions of the fund. Raises SourceError."""
        path = f"/api/company/{quote(fund.lower(), safe='')}/holdings"
        table = await self._get(path, {"assetclass": "etf"}, fund, lambda body: self._parse(body, fund))
        as_of = self._parse_as_of(table.as_of, fund)
        holdings = Holdings(
            fund=fund,
            as_of=as_of or self._today(),
            source=f"{self.name} ({TOP_TEN})" if as_of else f"{self.name} ({TOP_TEN}, as fetched that day)",
            positions=tuple(_holding(row) for row in table.rows or ()),
        )
        if not 0 < holdings.total <= MAX_TOTAL:
            problem = f"sent weights that add up to {holdings.total:.0%}; import the issuer's file instead"
            raise self._vendor.error(fund, problem, retryable=True)
        return holdings

    def _parse(self, body: bytes, fund: Symbol) -> _HoldingsTable:
        """Return the table of this fund's holdings. For a share, Nasdaq sends the funds that hold it instead."""
        answer = _HoldingsBody.model_validate_json(body)
        status, data = answer.status, answer.data
        if status is not None and status.is_unknown_symbol:
            raise self._vendor.error(fund, f"knows no ETF {fund}; check its spelling", retryable=False)
        if status is not None and status.r_code != RCODE_OK:
            retryable = status.r_code >= RCODE_SERVER_ERROR
            raise self._vendor.error(fund, refusal(status.error_text), retryable=retryable)
        if data is None or data.holdings is None or not data.holdings.rows:
            problem = f"lists no holdings of {fund}; import the issuer's file instead"
            raise self._vendor.error(fund, problem, retryable=False)
        if data.heading and not _is_about(data.heading, fund):
            raise self._vendor.error(fund, f"answered with “{data.heading[:100]}” instead", retryable=False)
        self._check_duplicates(data.holdings.rows, fund)
        return data.holdings

    def _check_duplicates(self, rows: Sequence[_HoldingRow], fund: Symbol) -> None:
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
        if day is None or day > self._today() + ONE_DAY:
            problem = f"names “{text}” as the day of its holdings, which cannot be; import the issuer's file instead"
            raise self._vendor.error(fund, problem, retryable=True)
        return day

    def _today(self) -> date:
        return self._clock.now().astimezone(NEW_YORK).date()


def _is_about(heading: str, fund: Symbol) -> bool:
    return "holdings of" in heading.lower() and fund.upper() in re.findall(r"[A-Z0-9.]+", heading.upper())


def _find_date(text: str) -> date | None:
    """Return the first date in a text, in one of Nasdaq's date formats; None if there is none."""
    for pattern, date_format in DATE_FORMATS.items():
        match = re.search(rf"(?<!\d){pattern}(?!\d)", text, re.ASCII)
        if match:
            try:
                return datetime.strptime(match[0], date_format).date()  # noqa: DTZ007 -- a date has no time zone
            except ValueError:
                return None
    return None


def _holding(row: _HoldingRow) -> Holding:
    (ticker, exchange), name = parse_ticker(row.symbol or ""), (row.companyname or "").strip()
    return Holding(
        ticker=ticker,
        exchange=exchange,
        name=name,
        kind=classify_holding(ticker, name),
        weight=float(Decimal(row.weighting.removesuffix("%")) / 100),
    )
