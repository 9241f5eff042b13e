"""Vendors behind one httpx transport, with prices and faults set by tests."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from email.utils import format_datetime
from functools import cache

import httpx
import numpy as np
from numpy.typing import NDArray

from services.core.prices import to_datetime, to_datetime64
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.bitstamp import Bitstamp
from services.market.sources.vendors.coinbase import Coinbase
from services.market.sources.vendors.kraken import Kraken
from services.market.sources.vendors.nasdaq import Nasdaq
from services.market.sources.vendors.yahoo import Yahoo
from tests.fakes.clock import SetClock
from tests.fakes.market import CALENDAR

HOUR_S = 3600
HOSTS = {
    "query2.finance.yahoo.com": "yahoo",
    "api.nasdaq.com": "nasdaq",
    "api.exchange.coinbase.com": "coinbase",
    "api.kraken.com": "kraken",
    "www.bitstamp.net": "bitstamp",
}


async def no_wait(_seconds: float) -> None:
    """Skip the wait, so that no test waits for a rate limit."""


class UnlimitedCoinbase(Coinbase):
    """Coinbase without its rate limit, which never frees a slot if the clock does not move."""

    limits = ()  # type: ignore[assignment]


@dataclass(slots=True)
class Vendors:
    """A calm market: the ETF near $20 from `etf_since` on and bitcoin near 50,000, until a test changes them.

    Attributes:
        etf_moves: Closes by session that override the calm ones.
        etf_last: The last trade of an open session.
        openings_known: Whether ETF vendors have opening prices; if so, each session gains 1%.
        crypto_moves: Bitcoin's price from an instant on.
        crypto_since: The first hour of Coinbase and Bitstamp; a short history loads faster.
        faults: Responses of a vendor, or of one page such as `coinbase ticker`, in turn; None lets one request pass.
        dividends: Yahoo's dividends by ex-date, in USD per present share.
        splits: Yahoo's splits by ex-date, as new and old shares.
        odd_events: Yahoo's events in its own form; they replace the others.
        price_factors: The factor by which a vendor's prices are wrong.
        close_overrides: A close that only one vendor has.
        no_trade_sessions: Sessions without trades of the ETF.
    """

    clock: SetClock
    etf_moves: dict[date, float] = field(default_factory=dict)
    etf_last: tuple[float, datetime] | None = None
    etf_scale: float = 1.0
    openings_known: bool = True
    etf_since: date = date(2000, 1, 1)
    no_trade_sessions: set[date] = field(default_factory=set)
    last_trade_known: bool = True
    crypto_moves: dict[datetime, float] = field(default_factory=dict)
    crypto_since: datetime = datetime(2000, 1, 1, tzinfo=UTC)
    faults: dict[str, list[httpx.Response | None]] = field(default_factory=dict)
    price_factors: dict[str, float] = field(default_factory=dict)
    close_overrides: dict[tuple[str, date], float] = field(default_factory=dict)
    dividends: dict[date, float] = field(default_factory=dict)
    splits: dict[date, tuple[float, float]] = field(default_factory=dict)
    odd_events: dict[str, object] = field(default_factory=dict)
    requests: list[httpx.Request] = field(default_factory=list)

    def client(self) -> HttpClient:
        return HttpClient(transport=httpx.MockTransport(self.handle), sleep=no_wait)

    def yahoo(self) -> Yahoo:
        return Yahoo(self.client(), self.clock)

    def coinbase(self) -> Coinbase:
        return UnlimitedCoinbase(self.client(), self.clock)

    def nasdaq(self) -> Nasdaq:
        return Nasdaq(self.client(), self.clock)

    def kraken(self) -> Kraken:
        return Kraken(self.client(), self.clock)

    def bitstamp(self) -> Bitstamp:
        return Bitstamp(self.client(), self.clock)

    def calls(self, part: str) -> list[httpx.Request]:
        """Return the requests whose path contains `part`."""
        return [request for request in self.requests if part in request.url.path]

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        vendor = HOSTS[request.url.host]
        page = f"{vendor} {request.url.path.rsplit('/', 1)[-1]}"
        fault = next((self.faults[name].pop(0) for name in (page, vendor) if self.faults.get(name)), None)
        if fault is not None:
            return fault
        answers = {
            "yahoo": self._chart,
            "nasdaq": self._rows,
            "coinbase": self._ticker if request.url.path.endswith("ticker") else self._candles,
            "kraken": self._trades if request.url.path.endswith("Trades") else self._kraken_bars,
            "bitstamp": self._bitstamp_ticker if "ticker" in request.url.path else self._bitstamp_bars,
        }
        sent_at = format_datetime(self.clock.at.astimezone(UTC), usegmt=True)
        return httpx.Response(200, json=answers[vendor](request), headers={"Date": sent_at})

    def etf_close(self, day: date, vendor: str = "") -> float:
        usual = self.etf_moves.get(day, 20 * (1 + 0.01 * math.cos(day.toordinal())))
        return self.price_factors.get(vendor, 1.0) * self.etf_scale * self.close_overrides.get((vendor, day), usual)

    def crypto_at(self, at: datetime) -> float:
        return self._crypto_closes([at.timestamp()], 0)[0]

    def _crypto_closes(self, opened: Sequence[float], step: float) -> list[float]:
        """Return bitcoin's price at the end of each bar that opens at these seconds since 1970."""
        moves = sorted((since.timestamp(), price) for since, price in self.crypto_moves.items())
        instants = [since for since, _ in moves]
        rows = [bisect_right(instants, at + step) for at in opened]
        return [moves[row - 1][1] if row else _calm_price(at + step) for row, at in zip(rows, opened, strict=True)]

    def _traded(self, since: date) -> NDArray[np.intp]:
        """Return the rows of the finished sessions with ETF trades."""
        finished = (CALENDAR.days >= np.datetime64(since)) & (CALENDAR.closes_at <= to_datetime64(self.clock.at))
        return np.flatnonzero(
            finished & ~np.isin(CALENDAR.days, np.array([*self.no_trade_sessions], dtype="datetime64[D]"))
        )

    def _chart(self, request: httpx.Request) -> dict[str, object]:
        since = max(self.etf_since, to_datetime(np.datetime64(int(request.url.params["period1"]), "s")).date())
        rows = self._traded(since)
        stamps = [int(CALENDAR.opens_at[row].astype(np.int64)) for row in rows]
        closes = [self.etf_close(CALENDAR.days[row].astype(object), "yahoo") for row in rows]
        state = CALENDAR.state_at(self.clock.at)
        last = self.etf_last or (
            self.etf_close(CALENDAR.days[rows[-1]].astype(object)),
            to_datetime(CALENDAR.closes_at[rows[-1]]),
        )
        if state.is_open and last[1] >= state.opens_at:  # the open session's bar is live
            stamps.append(int(last[1].timestamp()))
            closes.append(last[0])
        meta: dict[str, object] = {
            "symbol": request.url.path.rsplit("/", 1)[-1],
            "currency": "USD",
            "exchangeTimezoneName": "America/New_York",
        }
        if self.last_trade_known:
            meta |= {"regularMarketPrice": last[0], "regularMarketTime": int(last[1].timestamp())}
        columns = {"open": [self._opened(close) for close in closes], "close": closes}
        result = {"meta": meta, "timestamp": stamps, "indicators": {"quote": [columns]}}
        return {"chart": {"result": [result | self._events(since)], "error": None}}

    def _opened(self, close: float) -> float | None:
        return close / 1.01 if self.openings_known else None

    def _events(self, since: date) -> dict[str, object]:
        """Return Yahoo's events since a day; the key is absent if there are none."""
        today = CALENDAR.state_at(self.clock.at).session
        paid = {_opening(day): amount for day, amount in self.dividends.items() if since <= day <= today}
        split = {_opening(day): ratio for day, ratio in self.splits.items() if since <= day <= today}
        events = {
            "dividends": {f"{at}": {"date": at, "amount": amount} for at, amount in paid.items()},
            "splits": {f"{at}": {"date": at, "numerator": new, "denominator": old} for at, (new, old) in split.items()},
        }
        if self.odd_events:
            return {"events": self.odd_events}
        return {"events": {name: told for name, told in events.items() if told}} if paid or split else {}

    def _rows(self, request: httpx.Request) -> dict[str, object]:
        """Return Nasdaq's closes, newest first."""
        since = max(self.etf_since, date.fromisoformat(request.url.params["fromdate"]))
        days = [CALENDAR.days[row].astype(object) for row in self._traded(since)[::-1]]
        table = [
            {"date": f"{day:%m/%d/%Y}", "close": f"${close:,.4f}", "open": f"${opened:,.4f}" if opened else "N/A"}
            for day, close, opened in (
                (day, close, self._opened(close)) for day in days for close in [self.etf_close(day, "nasdaq")]
            )
        ]
        symbol = request.url.path.split("/")[3]
        data = {"symbol": symbol, "totalRecords": len(table), "tradesTable": {"rows": table}}
        return {"data": data, "status": {"rCode": 200, "bCodeMessage": None}}

    def _trades(self, _request: httpx.Request) -> dict[str, object]:
        price = self.price_factors.get("kraken", 1.0) * self.crypto_at(self.clock.at)
        trade = [f"{price:.2f}", "1", self.clock.at.timestamp(), "b", "l", "", 1]
        return {"error": [], "result": {"XXBTZUSD": [trade], "last": "0"}}

    def _kraken_bars(self, request: httpx.Request) -> dict[str, object]:
        params = request.url.params
        step, since = 60 * int(params["interval"]), int(params["since"])
        now = int(self.clock.at.timestamp())
        opened = range(math.floor(since / step) * step + step, now + 1, step)
        tilt = self.price_factors.get("kraken", 1.0)
        priced = [*zip(opened, self._crypto_closes(opened, step), strict=True)][-720:]
        rows = [[at, "1", "1", "1", f"{tilt * close:.2f}", "1", "1", 1] for at, close in priced]
        return {"error": [], "result": {"XXBTZUSD": rows, "last": 0}}

    def _bitstamp_ticker(self, _request: httpx.Request) -> dict[str, str]:
        price = self.price_factors.get("bitstamp", 1.0) * self.crypto_at(self.clock.at)
        return {"timestamp": f"{int(self.clock.at.timestamp())}", "last": f"{price:.2f}"}

    def _bitstamp_bars(self, request: httpx.Request) -> dict[str, object]:
        params = request.url.params
        step, first, last = (int(params[name]) for name in ("step", "start", "end"))
        tilt = self.price_factors.get("bitstamp", 1.0)
        begin = self.crypto_since.timestamp()
        opened = [at for at in range(first, last + 1, step) if at >= begin]
        bars = [
            {"timestamp": f"{at}", "close": f"{tilt * close:.2f}", "volume": "1"}
            for at, close in zip(opened, self._crypto_closes(opened, step), strict=True)
        ]
        return {"data": {"pair": "BTC/USD", "ohlc": bars}}

    def _ticker(self, _request: httpx.Request) -> dict[str, str]:
        return {
            "price": f"{self.price_factors.get('coinbase', 1.0) * self.crypto_at(self.clock.at):.2f}",
            "time": f"{self.clock.at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
        }

    def _candles(self, request: httpx.Request) -> list[list[float]]:
        params = request.url.params
        step = int(params["granularity"])
        start, end = (datetime.fromisoformat(params[name]).timestamp() for name in ("start", "end"))
        start = max(start, self.crypto_since.timestamp())
        end = min(end, self.clock.at.timestamp() - step)  # like the source, leave out the open bar
        opened = range(math.ceil(start / step) * step, math.floor(end / step) * step + 1, step)
        tilt = self.price_factors.get("coinbase", 1.0)
        closes = self._crypto_closes(opened, step)
        return [[at, 1.0, 1.0, 1.0, tilt * close, 1.0] for at, close in zip(opened, closes, strict=True)][::-1]


@cache
def _calm_price(second: float) -> float:
    """Return bitcoin's price near 50,000 at a second since 1970."""
    return 50_000 * (1 + 0.01 * math.sin(second / HOUR_S / 7))


def _opening(day: date) -> int:
    """Return the opening instant of a session, in seconds since 1970."""
    return int(CALENDAR.opens_at[np.searchsorted(CALENDAR.days, np.datetime64(day))].astype(np.int64))
