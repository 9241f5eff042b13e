"""Yahoo and Coinbase behind one httpx transport, with prices and faults that tests set."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import httpx
import numpy as np

from services.domain.prices import instant, moment
from services.sources.coinbase import Coinbase
from services.sources.http import HttpClient
from services.sources.yahoo import Yahoo
from tests.fakes.clock import SetClock  # noqa: TC001 -- a field's type
from tests.fakes.market import CALENDAR

HOUR_S = 3600


@dataclass(slots=True)
class Vendors:
    """A calm market: the ETF near 20 dollars from `etf_begins` on, bitcoin near 50,000, until a test moves them.

    `etf_moves` overrides closes by session, `etf_last` is the last trade of an open session, and `crypto_moves` sets
    bitcoin's price from an instant on. `faults` maps a vendor to what it answers instead, in turn; None lets one pass.
    """

    clock: SetClock
    etf_moves: dict[date, float] = field(default_factory=dict)
    etf_last: tuple[float, datetime] | None = None
    etf_scale: float = 1.0
    etf_begins: date = date(2000, 1, 1)
    last_trade_known: bool = True
    crypto_moves: dict[datetime, float] = field(default_factory=dict)
    faults: dict[str, list[httpx.Response | None]] = field(default_factory=dict)
    requests: list[httpx.Request] = field(default_factory=list)

    def client(self) -> HttpClient:
        return HttpClient(transport=httpx.MockTransport(self.answer))

    def yahoo(self) -> Yahoo:
        return Yahoo(self.client(), self.clock)

    def coinbase(self) -> Coinbase:
        return Coinbase(self.client(), self.clock, spacing=timedelta(0))

    def calls(self, part: str) -> list[httpx.Request]:
        """The requests whose path has this part."""
        return [request for request in self.requests if part in request.url.path]

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        vendor = "yahoo" if "yahoo" in request.url.host else "coinbase"
        fault = self.faults[vendor].pop(0) if self.faults.get(vendor) else None
        if fault is not None:
            return fault
        if vendor == "yahoo":
            return httpx.Response(200, json=self._chart(request))
        if request.url.path.endswith("ticker"):
            return httpx.Response(200, json=self._ticker())
        return httpx.Response(200, json=self._candles(request))

    def etf_close(self, day: date) -> float:
        return self.etf_scale * self.etf_moves.get(day, 20 * (1 + 0.01 * math.cos(day.toordinal())))

    def crypto_at(self, at: datetime) -> float:
        moves = [since for since in self.crypto_moves if since <= at]
        if moves:
            return self.crypto_moves[max(moves)]
        return 50_000 * (1 + 0.01 * math.sin(at.timestamp() / HOUR_S / 7))

    def _chart(self, request: httpx.Request) -> dict[str, object]:
        since = max(self.etf_begins, moment(np.datetime64(int(request.url.params["period1"]), "s")).date())
        now = instant(self.clock.at)
        rows = np.flatnonzero((CALENDAR.days >= np.datetime64(since)) & (CALENDAR.closes_at <= now))
        stamps = [int(CALENDAR.opens_at[row].astype(np.int64)) for row in rows]
        closes = [self.etf_close(CALENDAR.days[row].astype(object)) for row in rows]
        state = CALENDAR.state(self.clock.at)
        last = self.etf_last or (
            self.etf_close(CALENDAR.days[rows[-1]].astype(object)),
            moment(CALENDAR.closes_at[rows[-1]]),
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
        result = {"meta": meta, "timestamp": stamps, "indicators": {"quote": [{"close": closes}]}}
        return {"chart": {"result": [result], "error": None}}

    def _ticker(self) -> dict[str, str]:
        return {
            "price": f"{self.crypto_at(self.clock.at):.2f}",
            "time": f"{self.clock.at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
        }

    def _candles(self, request: httpx.Request) -> list[list[float]]:
        params = request.url.params
        step = int(params["granularity"])
        start, end = (datetime.fromisoformat(params[name]).timestamp() for name in ("start", "end"))
        opened = range(math.ceil(start / step) * step, math.floor(end / step) * step + 1, step)
        rows = [[at, 1.0, 1.0, 1.0, self.crypto_at(datetime.fromtimestamp(at + step, UTC)), 1.0] for at in opened]
        return rows[::-1]
