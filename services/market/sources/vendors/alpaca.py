"""Alpaca: an ETF's session closes and its last trade, 15 minutes late, and bars of bitcoin. Official, with two keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Annotated, TypeVar

from pydantic import FailFast, Field, ValidationError

from services.core.clock import Clock
from services.core.errors import SourceError
from services.core.prices import Bars, Quote, Symbol
from services.market.ports import EquityPrices
from services.market.sources.http.bar_pages import Span, missing
from services.market.sources.http.batcher import RequestBatcher
from services.market.sources.http.client import HttpClient, HttpStatusError
from services.market.sources.http.daily_bars import NEW_YORK, Day, final_closes, in_session, read_opening, read_volume
from services.market.sources.http.limits import Limit
from services.market.sources.http.payload import Instant, Price, Wire
from services.market.sources.http.vendor import VendorClient, VendorSource

T = TypeVar("T")

BASE_URL = "https://data.alpaca.markets"
REST = timedelta(minutes=1)
LIMITS = (Limit(calls=180, per=timedelta(minutes=1)),)
BEHIND = timedelta(minutes=16)  # without a subscription, nothing of the last 15 minutes may be asked for
LARGEST_PAGE = 10_000
MOST_PAGES = 20
MOST_TOGETHER = 100  # symbols in a call; each has less than a page of days
INTERVALS = {60: "1Min", 300: "5Min", 900: "15Min", 1800: "30Min", 3600: "1Hour", 14400: "4Hour"}


class _Bar(Wire):
    t: Instant
    c: Price
    o: object = None
    v: object = None
    n: Annotated[int, Field(ge=0)]  # trades; without any, a bar is made of the middle of bid and ask


class _Page(Wire):
    bars: dict[str, Annotated[list[_Bar], FailFast()]] | None
    next_page_token: str | None = Field(default=None, alias="next_page_token", max_length=1000)


class _Trade(Wire):
    t: Instant
    p: Price


class _Trades(Wire):
    trades: dict[str, _Trade] | None


class _Complaint(Wire):
    message: str


@dataclass(frozen=True, slots=True)
class _Told:
    """What is told of one share."""

    bars: list[_Bar]
    last: _Trade | None


class Alpaca(VendorSource):
    """An EquitySource for any ETF or share that is listed in the US, and a CryptoSource for coins against the dollar.

    ETFs are read from all US exchanges together (SIP), 15 minutes late, as a free plan may; never from IEX alone, whose
    closes of a thin ETF are wrong on many days. Bitcoin is Alpaca's own exchange, in real time, where many bars have no
    trade. ETFs and shares that are asked for side by side share their calls. About 200 calls a minute, and 180 are kept
    to. Terms: alpaca.markets/disclosures.
    """

    name = "Alpaca"
    simulated = False
    spacing = timedelta(0)
    reach: timedelta | None = None

    def __init__(self, client: HttpClient, clock: Clock, key: str, secret: str, *, base_url: str = BASE_URL) -> None:
        self._vendor = VendorClient(
            client,
            clock,
            source=self.name,
            base_url=base_url,
            rest=REST,
            limits=LIMITS,
            headers={"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret},
            secrets=[key, secret],
        )
        self._clock = clock
        self._shares = RequestBatcher(self._together, most=MOST_TOGETHER)

    async def prices(self, symbol: Symbol, since: date) -> EquityPrices:
        """Fetch the closes of finished sessions from `since` on, and the last trade of the regular hours.

        Closes are adjusted for splits and not for dividends, so that they can be held against Yahoo's.
        """
        now = self._clock.now()
        told = await self._shares.ask(symbol, since)
        rows = {bar.t.astimezone(NEW_YORK).date(): _day(bar) for bar in told.bars}
        last = self._quote(symbol, told.last)
        return EquityPrices(
            closes=final_closes(symbol, self.name, rows, since, now),
            quote=last if last and in_session(last.at, now) else None,
        )

    async def bars(self, symbol: Symbol, interval: timedelta, start: datetime, end: datetime) -> Bars:
        """Fetch bars in pages; a bar without a trade is a gap, and one that is still open is left out."""
        if interval.total_seconds() not in INTERVALS:
            raise self._vendor.error(symbol, missing(INTERVALS), retryable=False)
        span = Span.between(start, min(end, self._clock.now()), interval)
        return await span.fetch(symbol, self.name, LARGEST_PAGE, partial(self._page, symbol))

    async def quote(self, symbol: Symbol) -> Quote | None:
        """Fetch the last trade of a coin."""
        ticker = f"{symbol}/USD"
        return self._quote(
            symbol, (await self._last("/v1beta3/crypto/us/latest/trades", {ticker: symbol}, {})).get(ticker)
        )

    async def _together(self, symbols: Sequence[Symbol], since: date) -> Mapping[Symbol, _Told]:
        """Fetch several shares at once; where some of them spoil the answer, the others without them."""
        try:
            return await self._told({symbol: symbol for symbol in symbols}, since)
        except SourceError as error:
            faulty = _at_fault(error)
            others = [symbol for symbol in symbols if symbol not in faulty]
            if len(symbols) == 1 or others == symbols:
                raise
        return await self._together(others, since) if others else {}

    async def _told(self, tickers: Mapping[str, Symbol], since: date) -> Mapping[Symbol, _Told]:
        params: dict[str, str | int] = {
            "timeframe": "1Day",
            "start": f"{since}",
            "end": _iso(self._clock.now() - BEHIND),
            "adjustment": "split",
            "feed": "sip",
        }
        bars = await self._bars("/v2/stocks/bars", tickers, params)
        last = await self._last("/v2/stocks/trades/latest", tickers, {"feed": "delayed_sip"})
        return {symbol: _Told(bars.get(ticker, []), last.get(ticker)) for ticker, symbol in tickers.items()}

    async def _page(self, symbol: Symbol, span: Span) -> dict[int, float]:
        ticker = f"{symbol}/USD"
        params: dict[str, str | int] = {
            "timeframe": INTERVALS[span.step],
            "start": _iso(span.opens_at),
            "end": _iso(span.ends_at - timedelta(seconds=span.step)),
        }
        bars = (await self._bars("/v1beta3/crypto/us/bars", {ticker: symbol}, params)).get(ticker, [])
        return {int(bar.t.timestamp()): bar.c for bar in bars if bar.n > 0 and not bar.t.microsecond}

    async def _bars(
        self, path: str, tickers: Mapping[str, Symbol], params: Mapping[str, str | int]
    ) -> Mapping[str, list[_Bar]]:
        """Fetch page after page; each names the next, and a ticker's bars may go on in it."""
        bars: dict[str, list[_Bar]] = {}
        params = {**params, "limit": LARGEST_PAGE}
        most = max(MOST_PAGES, len(tickers))
        for _page in range(most):
            page = await self._get(path, tickers, params, _Page.model_validate_json)
            for ticker, more in (page.bars or {}).items():
                bars.setdefault(ticker, []).extend(more)
            if not page.next_page_token:
                return bars
            params["page_token"] = page.next_page_token
        raise self._vendor.error(
            next(iter(tickers.values())), f"did not come to an end in {most} pages", retryable=True
        )

    async def _last(
        self, path: str, tickers: Mapping[str, Symbol], params: Mapping[str, str | int]
    ) -> Mapping[str, _Trade]:
        return (await self._get(path, tickers, params, _Trades.model_validate_json)).trades or {}

    async def _get(
        self, path: str, tickers: Mapping[str, Symbol], params: Mapping[str, str | int], read: Callable[[bytes], T]
    ) -> T:
        first, *others = tickers.values()
        params = {**params, "symbols": ",".join(tickers)}
        return await self._vendor.get(path, params, symbol=first, neighbours=others, read=read, explain=_explain)

    def _quote(self, symbol: Symbol, last: _Trade | None) -> Quote | None:
        if last is None:
            return None
        return Quote(symbol=symbol, price=last.p, at=last.t.astimezone(UTC), source=self.name)


def _day(bar: _Bar) -> Day:
    return Day(bar.c, read_volume(bar.v), read_opening(bar.o))


def _at_fault(error: SourceError) -> set[str]:
    """Tell which symbols spoil an answer: those that a refusal names, or whose own part of it cannot be read."""
    if isinstance(error.__cause__, ValidationError):
        return {str(step) for fault in error.__cause__.errors() for step in fault["loc"][1:2]}
    return set(re.findall(r"\w+(?:[./-]\w+)*", error.problem.partition("invalid symbol")[2]))


def _iso(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _explain(refusal: HttpStatusError) -> str | None:
    try:
        return f"refused the request: “{_Complaint.model_validate_json(refusal.body).message[:200]}”"
    except ValidationError:
        return None
