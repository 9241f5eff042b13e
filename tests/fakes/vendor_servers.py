"""Vendors behind real sockets on 127.0.0.1, each of which can fail as networks and vendors do."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import httpx
import numpy as np
from aiohttp import web

from services.core.prices import Bars, Closes, Symbol
from services.market.consensus.corporate_actions import DeclaredActions
from services.market.ports import CryptoSource, EquitySource
from services.market.price_history import PriceHistory
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.bitstamp import Bitstamp
from services.market.sources.vendors.nasdaq import Nasdaq
from services.market.sources.vendors.yahoo import Yahoo
from services.storage import SqlStore
from tests.fakes.harness import YESTERDAY, Harness, open_harness
from tests.fakes.market import CALENDAR
from tests.fakes.vendors import HOSTS, UnlimitedCoinbase, Vendors, no_wait

Fault = Callable[[web.Request], Awaitable[web.StreamResponse]]


BTC, WGMI = Symbol("BTC"), Symbol("WGMI")
HOUR = timedelta(hours=1)
SEEDED_DAYS = 100  # sessions, and days of bars, stored per source: enough for beta and percentiles
STUCK: web.AppKey[Callable[[web.Request], None]] = web.AppKey(
    "stuck"
)  # called for a request that will never be finished


async def cut_connection(request: web.Request) -> web.StreamResponse:
    """Begin a response, and close the connection halfway."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"chart":')
    if request.transport is not None:
        request.transport.close()
    return response


async def hang(request: web.Request) -> web.StreamResponse:
    """Accept the request, and never respond."""
    request.app[STUCK](request)
    return await _forever()


async def drip(request: web.Request) -> web.StreamResponse:
    """Respond byte by byte, without end."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" ")
        request.app[STUCK](request)
        await asyncio.sleep(0.02)


async def _forever() -> NoReturn:
    await asyncio.Event().wait()
    raise AssertionError


async def web_page(_request: web.Request) -> web.StreamResponse:
    """Respond with a web page, like a proxy that requires a login."""
    return web.Response(text="<!doctype html><title>Sign in</title>", content_type="text/html")


def answering(status: int, **headers: str) -> Fault:
    """Respond with a bare status."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return answer


@dataclass(slots=True)
class VendorServer:
    """One vendor on its own port: serves the prices of `market`, or does what `fault` does.

    The client's deadline passes as soon as every call in flight is stuck, so that no test waits for it.

    Attributes:
        alternate_failures: Only every other request fails.
        rewrite: Modifies a response before it is sent.
        max_requests: Requests beyond this number hang; the first of them sets `limit_reached`.
    """

    host: str
    market: Vendors
    client: HttpClient = field(init=False)
    fault: Fault | None = None
    alternate_failures: bool = False
    rewrite: Callable[[dict[str, Any]], None] | None = None
    requests: list[str] = field(default_factory=list)
    limit_reached: asyncio.Event = field(default_factory=asyncio.Event)
    max_requests: int | None = None
    _calls: set[asyncio.Timeout] = field(default_factory=set)
    _stuck: set[int] = field(default_factory=set)
    _runner: web.AppRunner | None = None
    _port: int = 0

    def __post_init__(self) -> None:
        without_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loads no certificates, which takes 0.1 s
        transport = httpx.AsyncHTTPTransport(verify=without_tls)
        self.client = HttpClient(transport=transport, sleep=no_wait, timeout=self._deadline)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def name(self) -> str:
        return HOSTS[self.host].capitalize()

    def fail(self, fault: Fault | None) -> None:
        """Fail from now on, or stop failing."""
        self.fault = fault

    async def open(self) -> None:
        """Serve, on the same port as before."""
        app = web.Application()
        app[STUCK] = self._expire_stuck_calls
        app.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Refuse every connection from now on."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def aclose(self) -> None:
        await self.client.aclose()
        await self.close()

    @asynccontextmanager
    async def _deadline(self, seconds: float) -> AsyncIterator[asyncio.Timeout]:
        async with asyncio.timeout(seconds) as timeout:
            self._calls.add(timeout)
            try:
                yield timeout
            finally:
                self._calls.discard(timeout)

    def _expire_stuck_calls(self, request: web.Request) -> None:
        self._stuck.add(id(request))
        if len(self._stuck) >= len(self._calls):
            self._stuck.clear()
            for call in self._calls:
                call.reschedule(0)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request.path_qs)
        if self.max_requests is not None and len(self.requests) > self.max_requests:
            self.limit_reached.set()
            return await _forever()
        if self.fault is not None and not (self.alternate_failures and len(self.requests) % 2):
            return await self.fault(request)
        response = self.market.handle(httpx.Request("GET", f"https://{self.host}{request.path_qs}"))
        body = response.json()
        if self.rewrite is not None and isinstance(body, dict):
            self.rewrite(body)
        dated = {"Date": response.headers["Date"]} if "Date" in response.headers else None
        return web.json_response(body, status=response.status_code, dumps=json.dumps, headers=dated)


@dataclass(slots=True)
class VendorServers:
    """The harness and the four vendors it fetches from."""

    harness: Harness
    yahoo: VendorServer
    nasdaq: VendorServer
    coinbase: VendorServer
    bitstamp: VendorServer

    def history(self, *, alone: bool = False) -> PriceHistory:
        """Build a new PriceHistory on the same store; `alone` leaves out the second source of each leg."""
        clock = self.harness.clock
        equities: list[EquitySource] = [Yahoo(self.yahoo.client, clock, base_url=self.yahoo.url)]
        cryptos: list[CryptoSource] = [UnlimitedCoinbase(self.coinbase.client, clock, base_url=self.coinbase.url)]
        if not alone:
            equities.append(Nasdaq(self.nasdaq.client, clock, base_url=self.nasdaq.url))
            cryptos.append(Bitstamp(self.bitstamp.client, clock, base_url=self.bitstamp.url))
        return PriceHistory(equities, cryptos, self.harness.store)


@asynccontextmanager
async def vendor_servers(url: str = "sqlite://", *, seeded: bool = True) -> AsyncIterator[VendorServers]:
    """Open the vendors shortly before the session of 2026-03-04, with a history that all agree on."""
    async with open_harness(url, warm=False) as harness, AsyncExitStack() as stack:
        opened_servers = [VendorServer(host, harness.vendors) for host, name in HOSTS.items() if name != "kraken"]
        for server in opened_servers:
            await server.open()
            stack.push_async_callback(server.aclose)
        servers = VendorServers(harness, *opened_servers)
        if seeded:
            await seed_history(harness.store, harness.vendors)
        harness.market.history = servers.history()
        yield servers


async def seed_history(store: SqlStore, vendors: Vendors) -> None:
    """Store the previous sessions for each source; there are no earlier ones."""
    last = int(np.searchsorted(CALENDAR.days, np.datetime64(YESTERDAY)))
    days = CALENDAR.days[last + 1 - SEEDED_DAYS : last + 1]
    hours_back = np.arange(24 * SEEDED_DAYS)[::-1] * np.timedelta64(1, "h")
    opened = (np.datetime64(f"{YESTERDAY}T13:00:00") - hours_back).astype("datetime64[s]")
    opened_utc = [one.replace(tzinfo=UTC) for one in opened.astype(object)]
    vendors.etf_since, vendors.crypto_since = days[0].astype(object), opened_utc[0]
    closes = [vendors.etf_close(day) for day in days.astype(object)]
    hours = [vendors.crypto_at(at + HOUR) for at in opened_utc]
    for source in ("Yahoo", "Nasdaq"):
        record = Closes(symbol=WGMI, sessions=days, prices=np.array(closes), source=source)
        declared = DeclaredActions(source=source, since=days[0].astype(object))
        await store.save_closes(record, datetime(2026, 3, 4, tzinfo=UTC), declared)
    for source in ("Coinbase", "Bitstamp"):
        await store.save_bars(Bars(symbol=BTC, interval=HOUR, opened_at=opened, closes=np.array(hours), source=source))
