"""Nasdaq.com's price history: an ETF's session closes, at the end of the day. Unofficial, and without a key."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated
from urllib.parse import quote

from pydantic import Field

from services.core.clock import Clock
from services.core.prices import Symbol
from services.market.ports import EquityPrices
from services.market.sources.http.client import HttpClient
from services.market.sources.http.daily_bars import NEW_YORK, Day, final_closes, read_opening, read_volume
from services.market.sources.http.limits import Limit
from services.market.sources.http.payload import CHEAPEST, DEAREST, Wire
from services.market.sources.http.vendor import VendorClient, VendorSource

BASE_URL = "https://api.nasdaq.com"
REST = timedelta(minutes=15)
LIMITS = (Limit(calls=10, per=timedelta(minutes=1)),)
HEADERS = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
MOST_ROWS = 9999
FINE, DOWN = 200, 500


class _Row(Wire):
    date: Annotated[str, Field(pattern=r"^[0-9]{2}/[0-9]{2}/[0-9]{4}$")]
    close: (
        Annotated[str, Field(pattern=r"^(N/A|\$?([0-9]{1,3}(,[0-9]{3})+|[0-9]+)(\.[0-9]+)?)?$", max_length=30)] | None
    )
    volume: object = None
    open: object = None


class _Table(Wire):
    rows: Annotated[list[_Row], Field(fail_fast=True)] | None = None


class _Data(Wire):
    symbol: str
    total_records: int
    trades_table: _Table | None = None


class _Message(Wire):
    error_message: str = ""


class Status(Wire):
    """What Nasdaq says of its own answer; an error comes with HTTP's status 200, and stands here."""

    r_code: int
    b_code_message: Annotated[tuple[_Message, ...], Field(fail_fast=True)] | None = None

    @property
    def complaint(self) -> str:
        """Its words, empty where there are none."""
        return " ".join(message.error_message for message in self.b_code_message or ())

    @property
    def unknown(self) -> bool:
        """Whether there is no such symbol of the kind that was asked for."""
        return "not exist" in self.complaint.lower()


class _Body(Wire):
    data: _Data | None
    status: Status


class Nasdaq(VendorSource):
    """An EquitySource over Nasdaq.com's price history, for any ETF or share that is listed in the US. No key.

    It knows closes at the end of the day and no last trade, so it seconds another source. Closes are understood to be
    adjusted for splits and not for dividends, as Yahoo's are. Limits are not published, and ten calls a minute are
    kept to; it answers browsers only, and errors come with status 200. Terms: nasdaq.com/legal.
    """

    name = "Nasdaq"
    simulated = False
    spacing = timedelta(0)

    def __init__(self, client: HttpClient, clock: Clock, *, base_url: str = BASE_URL) -> None:
        self._vendor = VendorClient(
            client, clock, source=self.name, base_url=base_url, rest=REST, limits=LIMITS, headers=HEADERS
        )
        self._clock = clock
        self._kinds: dict[Symbol, str] = {}

    async def prices(self, symbol: Symbol, since: date) -> EquityPrices:
        """Fetch the closes of finished sessions from `since` on; the symbol is looked for among ETFs, then shares."""
        kinds = [self._kinds[symbol]] if symbol in self._kinds else ["etf", "stocks"]
        for kind in kinds:
            rows = await self._history(symbol, kind, since)
            if rows is not None:
                self._kinds[symbol] = kind
                return EquityPrices(closes=final_closes(symbol, self.name, rows, since, self._clock.now()), quote=None)
        raise self._vendor.error(
            symbol, f"knows no symbol {symbol}; check its spelling, and whether it was renamed", retryable=False
        )

    async def _history(self, symbol: Symbol, kind: str, since: date) -> dict[date, Day] | None:
        params: dict[str, str | int] = {
            "assetclass": kind,
            "fromdate": f"{since}",
            "todate": f"{self._clock.now().astimezone(NEW_YORK).date()}",
            "limit": MOST_ROWS,
        }
        return await self._vendor.get(
            f"/api/quote/{quote(symbol, safe='')}/historical",
            params,
            symbol=symbol,
            read=lambda body: self._read(body, symbol),
        )

    def _read(self, body: bytes, symbol: Symbol) -> dict[date, Day] | None:
        """Take the closes of this symbol; None where there is no such symbol of that kind."""
        answer = _Body.model_validate_json(body)
        status, data = answer.status, answer.data
        if status.r_code != FINE or data is None:
            if status.unknown:
                return None
            retryable = status.r_code >= DOWN or status.r_code == FINE
            raise self._vendor.error(symbol, f"refused the request: “{status.complaint[:200]}”", retryable=retryable)
        if data.symbol.upper() != symbol.upper():
            raise self._vendor.error(symbol, f"answered about {data.symbol[:20]} instead", retryable=True)
        return self._by_day(data, symbol)

    def _by_day(self, data: _Data, symbol: Symbol) -> dict[date, Day]:
        """Read the rows, which are newest first; a day without a price is left out."""
        rows = (data.trades_table.rows if data.trades_table else None) or []
        if data.total_records > len(rows):
            raise self._vendor.error(symbol, f"sent {len(rows)} of {data.total_records} sessions", retryable=True)
        try:
            return {_day(row.date): _close(row) for row in rows if row.close not in {None, "", "N/A"}}
        except ValueError as error:
            raise self._vendor.error(symbol, f"sent an unusable row: {error}", retryable=True) from error


def _day(text: str) -> date:
    return datetime.strptime(text, "%m/%d/%Y").date()  # noqa: DTZ007 -- a date has no time zone


def _close(row: _Row) -> Day:
    return Day(_dollars(row.close), read_volume(row.volume), read_opening(row.open))


def _dollars(text: str | None) -> float:
    """Read `$1,185.92`."""
    price = float((text or "").replace("$", "").replace(",", ""))
    if not CHEAPEST <= price < DEAREST:
        raise ValueError(f"{price} is no price")
    return price
