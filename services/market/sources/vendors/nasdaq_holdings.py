"""Nasdaq.com's page of an ETF's ten largest holdings. Unofficial, and without a key."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated
from urllib.parse import quote

from pydantic import Field

from services.core.clock import Clock
from services.core.prices import Symbol
from services.market.holdings import TOP_TEN, Holding, Holdings
from services.market.sources.files.holdings import kind_of, read_ticker
from services.market.sources.files.sheet_values import is_empty
from services.market.sources.http.client import HttpClient
from services.market.sources.http.daily_bars import NEW_YORK
from services.market.sources.http.payload import Wire
from services.market.sources.http.vendor import VendorClient
from services.market.sources.vendors.nasdaq import BASE_URL, DOWN, FINE, HEADERS, LIMITS, REST, Status

DAY = timedelta(days=1)  # somewhere on earth it is tomorrow already
MOST = 1.5  # of a fund in all; beyond, these are no weights
DAYS = {
    r"\d{1,2}/\d{1,2}/\d{4}": "%m/%d/%Y",
    r"[A-Z][a-z]{2} \d{1,2}, \d{4}": "%b %d, %Y",
    r"\d{4}-\d\d-\d\d": "%Y-%m-%d",
}


class _Row(Wire):
    symbol: Annotated[str, Field(max_length=20)] | None = None
    companyname: Annotated[str, Field(max_length=200)] | None = None
    weighting: Annotated[str, Field(pattern=r"^-?[0-9]{1,3}(\.[0-9]{1,10})?%$")]


class _Table(Wire):
    as_of: Annotated[str, Field(max_length=100)] | None = None
    rows: Annotated[list[_Row], Field(max_length=10, fail_fast=True)] | None = None


class _Data(Wire):
    heading: str | None = None
    holdings: _Table | None = None


class _Body(Wire):
    data: _Data | None
    status: Status | None = None


class NasdaqHoldings:
    """The ten largest holdings of an ETF that is listed in the US, from Nasdaq.com. No key.

    They are never the whole fund. The shape is as public programs read it, and was not confirmed with Nasdaq: there
    the day is not named (`asOf` is null), and holdings are then of the day on which they are fetched, as their source
    says. Limits and terms are those of its prices.
    """

    name = "Nasdaq"

    def __init__(self, client: HttpClient, clock: Clock, *, base_url: str = BASE_URL) -> None:
        self._vendor = VendorClient(
            client, clock, source=self.name, base_url=base_url, rest=REST, limits=LIMITS, headers=HEADERS
        )
        self._clock = clock

    async def top_ten(self, fund: Symbol) -> Holdings:
        """Fetch the largest holdings, with their weights as fractions of the fund. Raises SourceError."""
        table = await self._vendor.get(
            f"/api/company/{quote(fund.lower(), safe='')}/holdings",
            {"assetclass": "etf"},
            symbol=fund,
            read=lambda body: self._read(body, fund),
        )
        named = self._day(table.as_of, fund)
        holdings = Holdings(
            fund=fund,
            as_of=named or self._today(),
            source=f"{self.name} ({TOP_TEN})" if named else f"{self.name} ({TOP_TEN}, as fetched that day)",
            positions=tuple(_holding(row) for row in table.rows or ()),
        )
        if not 0 < holdings.total <= MOST:
            problem = f"sent weights that add up to {holdings.total:.0%}; import the issuer's file instead"
            raise self._vendor.error(fund, problem, retryable=True)
        return holdings

    def _read(self, body: bytes, fund: Symbol) -> _Table:
        """Take the table of this fund's holdings; of a share, there is one of the funds that hold it."""
        answer = _Body.model_validate_json(body)
        status, data = answer.status, answer.data
        if status is not None and status.unknown:
            raise self._vendor.error(fund, f"knows no ETF {fund}; check its spelling", retryable=False)
        if status is not None and status.r_code != FINE:
            problem = f"refused the request: “{status.complaint[:200]}”"
            raise self._vendor.error(fund, problem, retryable=status.r_code >= DOWN)
        if data is None or data.holdings is None or not data.holdings.rows:
            problem = f"lists no holdings of {fund}; import the issuer's file instead"
            raise self._vendor.error(fund, problem, retryable=False)
        if data.heading and not _is_about(data.heading, fund):
            raise self._vendor.error(fund, f"answered with “{data.heading[:100]}” instead", retryable=False)
        self._refuse_repeats(data.holdings.rows, fund)
        return data.holdings

    def _refuse_repeats(self, rows: Sequence[_Row], fund: Symbol) -> None:
        tickers = [ticker for row in rows if (ticker := read_ticker(row.symbol or "")[0])]
        twice = sorted({ticker for ticker in tickers if tickers.count(ticker) > 1})
        if twice:
            raise self._vendor.error(fund, f"lists {twice[0]} twice; import the issuer's file instead", retryable=True)

    def _day(self, text: str | None, fund: Symbol) -> date | None:
        """Read the day that is named, if any."""
        if text is None or is_empty(text):
            return None
        day = _date(text)
        if day is None or day > self._today() + DAY:
            problem = f"names “{text}” as the day of its holdings, which cannot be; import the issuer's file instead"
            raise self._vendor.error(fund, problem, retryable=True)
        return day

    def _today(self) -> date:
        return self._clock.now().astimezone(NEW_YORK).date()


def _is_about(heading: str, fund: Symbol) -> bool:
    return "holdings of" in heading.lower() and fund.upper() in re.findall(r"[A-Z0-9.]+", heading.upper())


def _date(text: str) -> date | None:
    """Find a date in a text, in one of the ways in which Nasdaq writes dates; None where there is none."""
    for pattern, form in DAYS.items():
        found = re.search(rf"(?<!\d){pattern}(?!\d)", text, re.ASCII)
        if found:
            try:
                return datetime.strptime(found[0], form).date()  # noqa: DTZ007 -- a date has no time zone
            except ValueError:
                return None
    return None


def _holding(row: _Row) -> Holding:
    (ticker, exchange), name = read_ticker(row.symbol or ""), (row.companyname or "").strip()
    return Holding(
        ticker=ticker,
        exchange=exchange,
        name=name,
        kind=kind_of(ticker, name),
        weight=float(Decimal(row.weighting.removesuffix("%")) / 100),
    )
