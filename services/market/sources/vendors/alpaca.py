"""Alpaca: ETF session closes and last trades (15 minutes late), and bitcoin bars. Official API; needs two keys."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, TypeVar

from pydantic import Field, ValidationError

from services.core.clock import Clock
from services.core.errors import SourceError
from services.core.prices import Quote, Symbol
from services.market.ports import EquityPrices
from services.market.sources.http.bar_vendor import BarRange, BarVendor, iso_seconds
from services.market.sources.http.batcher import RequestBatcher
from services.market.sources.http.client import HttpClient, Params
from services.market.sources.http.daily_bars import NEW_YORK, DailyBar, final_closes, in_session
from services.market.sources.http.odd_values import DROP, NOTHING, Droppable
from services.market.sources.http.payload import Payload, Price, Rows, Timestamp
from services.market.sources.http.vendor import Limit

T = TypeVar("T")

SIP_DELAY = timedelta(minutes=16)  # without a subscription, requests for the last 15 minutes are refused
HEADERS = {"APCA-API-KEY-ID": "{0}", "APCA-API-SECRET-KEY": "{1}"}
MAX_PAGES = 20
MAX_SYMBOLS_PER_CALL = 100  # the daily bars of one symbol fit into one page
INTERVALS = {60: "1Min", 300: "5Min", 900: "15Min", 1800: "30Min", 3600: "1Hour", 14400: "4Hour"}


class _AlpacaBar(Payload):
    t: Timestamp
    c: Price
    o: object = None
    v: object = None
    n: Annotated[int, Field(ge=0)]  # number of trades; if it is 0, the bar holds bid/ask midpoints


class _AlpacaPage(Payload):
    bars: dict[str, Rows[_AlpacaBar]] | None
    next_page_token: str | None = Field(default=None, alias="next_page_token", max_length=1000)


class _AlpacaTrade(Payload):
    t: Timestamp
    p: Price


class _AlpacaTrades(Payload):
    trades: dict[str, _AlpacaTrade] | None


@dataclass(frozen=True, slots=True)
class _AlpacaShare:
    """Daily bars of one share and when they were sent, and its last trade."""

    answered_at: datetime
    bars: list[_AlpacaBar]
    last_trade: _AlpacaTrade | None


class Alpaca(BarVendor):
    """An EquitySource for US-listed ETFs and shares, and a CryptoSource for coins in US dollars.

    ETF prices are consolidated from all US exchanges (SIP), 15 minutes late, as the free plan allows. The IEX feed
    is not used: its closes of a thin ETF are wrong on many days. Bitcoin prices are real time, from Alpaca's own
    exchange, where many bars have no trade. Concurrent requests for shares are batched. The limit is about 200 calls
    a minute; we make at most 180. Terms: alpaca.markets/disclosures.
    """

    name = "Alpaca"
    base_url = "https://data.alpaca.markets"
    backoff = timedelta(minutes=1)
    limits = (Limit(calls=180, per=timedelta(minutes=1)),)
    headers = HEADERS
    message_field = "message"
    intervals = INTERVALS
    page_size = 10_000

    def __init__(self, client: HttpClient, clock: Clock, key: str, secret: str, *, base_url: str | None = None) -> None:
        super().__init__(client, clock, key, secret, base_url=base_url)
        self._batcher = RequestBatcher(self._fetch_batch, max_symbols=MAX_SYMBOLS_PER_CALL)

    async def prices(self, symbol: Symbol, since: date) -> EquityPrices:
        """Fetch the closes of finished sessions from `since` on, and the last trade in regular hours.

        Closes are adjusted for splits but not dividends, to be comparable with Yahoo's.
        """
        share = await self._batcher.request(symbol, since)
        rows = {bar.t.astimezone(NEW_YORK).date(): DailyBar.parse(bar.c, bar.v, bar.o) for bar in share.bars}
        last = share.last_trade if share.last_trade and in_session(share.last_trade.t, share.answered_at) else None
        return EquityPrices(
            closes=final_closes(symbol, self.name, rows, since, share.answered_at),
            quote=self._last_trade(symbol, last.p, last.t) if last else None,
            answered_at=share.answered_at,
        )

    async def quote(self, symbol: Symbol) -> Quote | None:
        """Fetch the last trade of a coin."""
        ticker = f"{symbol}/USD"
        last_trades = await self._fetch_last_trades("/v1beta3/crypto/us/latest/trades", {ticker: symbol}, {})
        last = last_trades.get(ticker)
        return self._last_trade(symbol, last.p, last.t) if last else None

    async def _fetch_batch(self, symbols: Sequence[Symbol], since: date) -> Mapping[Symbol, _AlpacaShare]:
        """Fetch several shares in one call; if some are rejected, fetch the others without them."""
        try:
            return await self._fetch_shares({symbol: symbol for symbol in symbols}, since)
        except SourceError as error:
            rejected = _rejected_symbols(error)
            others = [symbol for symbol in symbols if symbol not in rejected]
            if len(symbols) == 1 or others == symbols:
                raise
        return await self._fetch_batch(others, since) if others else {}

    async def _fetch_shares(self, tickers: Mapping[str, Symbol], since: date) -> Mapping[Symbol, _AlpacaShare]:
        params: Params = {
            "timeframe": "1Day",
            "start": f"{since}",
            "end": iso_seconds(int((self._clock.now() - SIP_DELAY).timestamp())),
            "adjustment": "split",
            "feed": "sip",
        }
        bars = await self._fetch_bars("/v2/stocks/bars", tickers, params)
        answered_at = self._vendor.answered_at
        params = {"feed": "delayed_sip"}
        last_trades = await self._fetch_last_trades("/v2/stocks/trades/latest", tickers, params, {"trades.*": DROP})
        return {
            symbol: _AlpacaShare(answered_at, bars.get(ticker, []), last_trades.get(ticker))
            for ticker, symbol in tickers.items()
        }

    async def _fetch_page(self, symbol: Symbol, page: BarRange) -> Mapping[int, float]:
        """Fetch one page; a bar without a trade holds bid/ask midpoints."""
        ticker = f"{symbol}/USD"
        params: Params = {
            "timeframe": INTERVALS[page.step],
            "start": iso_seconds(page.first),
            "end": iso_seconds(page.stop - page.step),
        }
        bars = (await self._fetch_bars("/v1beta3/crypto/us/bars", {ticker: symbol}, params)).get(ticker, [])
        return {int(bar.t.timestamp()): bar.c for bar in bars if bar.n > 0 and not bar.t.microsecond}

    async def _fetch_bars(
        self, path: str, tickers: Mapping[str, Symbol], params: Params
    ) -> Mapping[str, list[_AlpacaBar]]:
        """Fetch all pages; the bars of one ticker may continue on the next page."""
        bars: dict[str, list[_AlpacaBar]] = {}
        params = {**params, "limit": self.page_size}
        max_pages = max(MAX_PAGES, len(tickers))
        for _ in range(max_pages):
            page = await self._get_for(path, tickers, params, _AlpacaPage.model_validate_json, {"bars.*.*": DROP})
            for ticker, more in (page.bars or {}).items():
                bars.setdefault(ticker, []).extend(more)
            if not page.next_page_token:
                return bars
            params["page_token"] = page.next_page_token
        raise self._vendor.error(next(iter(tickers.values())), f"sent more than {max_pages} pages", retryable=True)

    async def _fetch_last_trades(
        self, path: str, tickers: Mapping[str, Symbol], params: Params, droppable: Droppable = NOTHING
    ) -> Mapping[str, _AlpacaTrade]:
        answer = await self._get_for(path, tickers, params, _AlpacaTrades.model_validate_json, droppable)
        return answer.trades or {}

    async def _get_for(
        self,
        path: str,
        tickers: Mapping[str, Symbol],
        params: Params,
        parse: Callable[[bytes], T],
        droppable: Droppable = NOTHING,
    ) -> T:
        first, *others = tickers.values()
        params = {**params, "symbols": ",".join(tickers)}
        return await self._get(path, params, first, parse, other_symbols=others, droppable=droppable)


def _rejected_symbols(error: SourceError) -> set[str]:
    """Return the symbols that an error names, or whose part of the response can't be parsed."""
    if isinstance(error.__cause__, ValidationError):
        return {str(part) for detail in error.__cause__.errors() for part in detail["loc"][1:2]}
    return set(re.findall(r"\w+(?:[./-]\w+)*", error.problem.partition("invalid symbol")[2]))
