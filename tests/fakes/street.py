"""The street: vendors behind real sockets on 127.0.0.1, each of which can fail as networks and vendors do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
from aiohttp import web

from services.core.prices import Bars, Closes, Symbol
from services.market.consensus.corporate_actions import Declared
from services.market.ports import CryptoSource, EquitySource
from services.market.price_history import PriceHistory
from services.market.sources.http.client import FIRST_SECONDS, HttpClient
from services.market.sources.vendors.bitstamp import Bitstamp
from services.market.sources.vendors.coinbase import Coinbase
from services.market.sources.vendors.nasdaq import Nasdaq
from services.market.sources.vendors.yahoo import Yahoo
from tests.fakes.floor import YESTERDAY, Floor, trading_floor
from tests.fakes.market import CALENDAR
from tests.fakes.vendors import HOSTS, Vendors, no_wait

Fault = Callable[[web.Request], Awaitable[web.StreamResponse]]


BTC, WGMI = Symbol("BTC"), Symbol("WGMI")
HOUR = timedelta(hours=1)
SEEDED = 100  # sessions, and days of bars, that each source told before: enough for beta and for what is unusual
SHORT = timedelta(seconds=2)  # long enough for a request to be under way on a busy machine


async def cut(request: web.Request) -> web.StreamResponse:
    """Begin an answer, and close the connection in the middle of it."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"chart":')
    if request.transport is not None:
        request.transport.close()
    return response


async def hang(_request: web.Request) -> web.StreamResponse:
    """Take the request, and never answer."""
    await asyncio.Event().wait()
    raise AssertionError


async def drip(request: web.Request) -> web.StreamResponse:
    """Answer byte by byte, without an end."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.02)


async def web_page(_request: web.Request) -> web.StreamResponse:
    """Answer with a web page, as a proxy does that wants a login."""
    return web.Response(text="<!doctype html><title>Sign in</title>", content_type="text/html")


def answering(status: int, **headers: str) -> Fault:
    """Answer with a bare status."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return answer


@dataclass(slots=True)
class Counter:
    """One vendor at its own port: it tells what `market` has, or does what `fault` does.

    `restamp` changes an answer on its way out; `flaps` lets every other request fail.
    """

    host: str
    market: Vendors
    client: HttpClient = field(default_factory=lambda: HttpClient(sleep=no_wait))
    fault: Fault | None = None
    flaps: bool = False
    restamp: Callable[[dict[str, Any]], None] | None = None
    asked: list[str] = field(default_factory=list)
    hung_up_on: asyncio.Event = field(default_factory=asyncio.Event)
    let_through: int | None = None
    _runner: web.AppRunner | None = None
    _port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def name(self) -> str:
        return HOSTS[self.host].capitalize()

    def fail(self, fault: Fault | None) -> None:
        """Fail from now on, or no longer; a client of one who never answers gives up soon."""
        self.fault = fault
        self.client.deadline = SHORT if fault in {hang, drip} else FIRST_SECONDS

    async def open(self) -> None:
        """Serve, at the same port as before."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def shut(self) -> None:
        """Refuse every connection from now on."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def aclose(self) -> None:
        await self.client.aclose()
        await self.shut()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path_qs)
        if self.let_through is not None and len(self.asked) > self.let_through:
            self.hung_up_on.set()
            return await hang(request)
        if self.fault is not None and not (self.flaps and len(self.asked) % 2):
            return await self.fault(request)
        told = self.market.answer(httpx.Request("GET", f"https://{self.host}{request.path_qs}"))
        body = told.json()
        if self.restamp is not None and isinstance(body, dict):
            self.restamp(body)
        return web.json_response(body, status=told.status_code, dumps=json.dumps)


@dataclass(slots=True)
class Street:
    """The floor, and the four vendors that it asks."""

    floor: Floor
    yahoo: Counter
    nasdaq: Counter
    coinbase: Counter
    bitstamp: Counter

    def history(self, *, alone: bool = False) -> PriceHistory:
        """Start anew on the same store; `alone` leaves the second source of each leg out."""
        clock = self.floor.clock
        equities: list[EquitySource] = [Yahoo(self.yahoo.client, clock, base_url=self.yahoo.url)]
        cryptos: list[CryptoSource] = [
            Coinbase(self.coinbase.client, clock, base_url=self.coinbase.url, spacing=timedelta(0))
        ]
        if not alone:
            equities.append(Nasdaq(self.nasdaq.client, clock, base_url=self.nasdaq.url))
            cryptos.append(Bitstamp(self.bitstamp.client, clock, base_url=self.bitstamp.url))
        return PriceHistory(equities, cryptos, self.floor.store)


@asynccontextmanager
async def open_street(url: str = "sqlite://", *, seeded: bool = True) -> AsyncIterator[Street]:
    """Open the vendors' counters shortly before the session of 2026-03-04, with a past that all agree on."""
    async with trading_floor(url, warm=False) as floor, AsyncExitStack() as stack:
        counters = [Counter(host, floor.vendors) for host, name in HOSTS.items() if name != "kraken"]
        for counter in counters:
            await counter.open()
            stack.push_async_callback(counter.aclose)
        street = Street(floor, *counters)
        if seeded:
            await _seed(floor)
        floor.market.history = street.history()
        yield street


async def _seed(floor: Floor) -> None:
    """Let each source have told the last sessions before."""
    last = int(np.searchsorted(CALENDAR.days, np.datetime64(YESTERDAY)))
    days = CALENDAR.days[last + 1 - SEEDED : last + 1]
    hours_back = np.arange(24 * SEEDED)[::-1] * np.timedelta64(1, "h")
    opened = (np.datetime64(f"{YESTERDAY}T13:00:00") - hours_back).astype("datetime64[s]")
    tell, begun = floor.vendors, [one.replace(tzinfo=UTC) for one in opened.astype(object)]
    closes, hours = [tell.etf_close(day) for day in days.astype(object)], [tell.crypto_at(at + HOUR) for at in begun]
    for source in ("Yahoo", "Nasdaq"):
        told = Closes(symbol=WGMI, sessions=days, prices=np.array(closes), source=source)
        none = Declared(source=source, since=days[0].astype(object))
        await floor.store.save_closes(told, datetime(2026, 3, 4, tzinfo=UTC), none)
    for source in ("Coinbase", "Bitstamp"):
        await floor.store.save_bars(
            Bars(symbol=BTC, interval=HOUR, opened_at=opened, closes=np.array(hours), source=source)
        )
