"""A whole worker on vendors that turn bad: answers that unpack to 200 MB, and a source that rewrites its history."""

import asyncio
import os
import sys
import time
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import httpx
from aiohttp import web

from bot.settings import PROXY_VARIABLES
from services.core.identity import Channel
from services.rules.grammar import parse_rule
from services.storage import SqlStore, migrate
from tests.chaos.delivery_counts import DeliveryCounts, count
from tests.chaos.processes import SETTINGS, read_record, slack
from tests.chaos.scenario import BITCOIN, ETF, OPEN, Scenario
from tests.chaos.vendor_worker import SteppedClock
from tests.fakes.clock import SetClock
from tests.fakes.harness import CLOSE, TODAY, YESTERDAY
from tests.fakes.vendor_servers import VendorServer, seed_history
from tests.fakes.vendors import HOSTS, Vendors

WORKER = "import asyncio, sys; from tests.chaos.vendor_worker import run; asyncio.run(run(*sys.argv[1:]))"
UNPACKED_BYTES, PIECE_BYTES = 200_000_000, 1_000_000
BOMBS = 6  # of all vendors together, in two ticks; Nasdaq has no last trade, so it is not asked in each
MAX_GROWTH_MB, MAX_ANSWER_S = 30, 1.0
FACTORS = (10.0, 1.1)
MOVE_PP = 10.0
SPEED = 3  # a tick is 5 s
TIMEOUT_S = 60
POLL_S = 0.02


class LiveVendors(Vendors):
    """Vendors in the scenario's time, whose ETF follows the spread of the scenario."""

    scenario: Scenario
    stepped: SteppedClock

    @classmethod
    def of(cls, scenario: Scenario, clock: SteppedClock) -> "LiveVendors":
        yesterday = datetime(YESTERDAY.year, YESTERDAY.month, YESTERDAY.day, tzinfo=UTC)
        vendors = cls(SetClock(clock.now()), etf_moves={YESTERDAY: ETF}, crypto_moves={yesterday: BITCOIN})
        vendors.scenario, vendors.stepped = scenario, clock
        return vendors

    def handle(self, request: httpx.Request) -> httpx.Response:
        """Answer at the scenario's present, with a trade at that instant or at the close."""
        self.clock.at = self.stepped.now()
        price = ETF * (1 + self.scenario.spread())
        self.etf_moves[TODAY], self.etf_last = price, (price, min(self.clock.at, CLOSE))
        return Vendors.handle(self, request)


@dataclass(frozen=True, slots=True, kw_only=True)
class BombOutcome:
    """What a worker's memory and health answers did while vendors sent bombs."""

    packed_bytes: int
    bombs: int
    growth_mb: float
    slowest_s: float
    answers: int
    refused: bool

    @property
    def is_good(self) -> bool:
        return self.refused and self.growth_mb < MAX_GROWTH_MB and self.slowest_s < MAX_ANSWER_S

    def __str__(self) -> str:
        return (
            f"{self.bombs} answers of {self.packed_bytes:,} bytes that unpack to {UNPACKED_BYTES:,}: at most "
            f"{self.growth_mb:.1f} MB more memory; slowest of {self.answers} answers of /healthz "
            f"{1000 * self.slowest_s:.0f} ms; {'refused and logged' if self.refused else 'NOT LOGGED'}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteOutcome:
    """Whether the alert arrived while Yahoo's closes were all wrong by one factor, and after how long."""

    factor: float
    arrived_s: float | None
    text: str
    counts: DeliveryCounts

    @property
    def is_good(self) -> bool:
        counts = self.counts.alerts, self.counts.lost, self.counts.repeated, self.counts.unknown
        return self.arrived_s is not None and f"+{MOVE_PP:.1f}" in self.text and counts == (1, 0, 0, 0)

    def __str__(self) -> str:
        arrived = "NOT POSTED" if self.arrived_s is None else f"alert posted after {self.arrived_s:.0f} s"
        headline = self.text.partition("\n")[0]
        counts = f"{self.counts.alerts} alert, {self.counts.lost} lost, {self.counts.repeated} repeated"
        return f"Yahoo's closes x{self.factor:g} during a true +{MOVE_PP:g} pp: {arrived}; {counts}; {headline!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorRun:
    """A worker that has fetched its prices, its vendors and its Slack."""

    scenario: Scenario
    database: str
    log: Path
    slack: str
    servers: dict[str, VendorServer]
    pid: int
    url: str

    async def posted(self) -> str | None:
        """Return the first text of the alert; None before it is posted."""
        posts = (await read_record(self.slack))["posts"]
        return next((post["first"] for post in posts if post["thread"] is None), None)


async def _database(folder: Path) -> str:
    """Create the folder of a worker, and its database; not concurrently, because Alembic can't."""
    folder.mkdir()  # noqa: ASYNC240 -- nothing else runs yet
    database = f"sqlite:///{folder}/chaos.db"
    await migrate(database)
    return database


@asynccontextmanager
async def vendor_run(folder: Path, database: str) -> AsyncIterator[VendorRun]:
    """Start the vendors and a worker, and wait until it is ready: a tick has succeeded, with prices of all vendors."""
    scenario = Scenario.start(folder / "spread", speed=SPEED, channels=1, cycles=1)
    clock = SteppedClock(scenario)
    clock.step(timedelta(0))
    scenario.set_spread(0)
    vendors = LiveVendors.of(scenario, clock)
    store = await SqlStore.open(database)
    await seed_history(store, vendors)
    await store.add_rules(Channel(team="T1", id="C0"), [parse_rule("1d 8pp for 0s")], "U1", scenario.clock.now())
    await store.aclose()
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(slack("none", 1, scenario))
        servers = {name: VendorServer(host, vendors) for host, name in HOSTS.items() if name != "kraken"}
        for server in servers.values():
            await server.open()
            stack.push_async_callback(server.aclose)
        log = folder / "log"
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", WORKER, f"{scenario}", database, url, f"{log}"),
            env=_environment({name: server.url for name, server in servers.items()}),
            stdout=asyncio.subprocess.PIPE,
        )
        stack.push_async_callback(worker.wait)
        stack.callback(worker.kill)
        if worker.stdout is None:
            raise RuntimeError("a pipe was asked for")
        port = int(await worker.stdout.readline())
        run = VendorRun(
            scenario=scenario,
            database=database,
            log=log,
            slack=url,
            servers=servers,
            pid=worker.pid,
            url=f"http://127.0.0.1:{port}",
        )
        await _until_ready(run)
        yield run


async def bomb(folder: Path) -> BombOutcome:
    """Let all vendors answer with bombs, and poll /healthz meanwhile."""
    body, bombs = _packed(), Counter[str]()

    async def explode(request: web.Request) -> web.StreamResponse:
        bombs[request.host] += 1
        return web.Response(body=body, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})

    async with vendor_run(folder, await _database(folder)) as run, aiohttp.ClientSession() as session:
        for server in run.servers.values():
            server.fail(explode)
        usual_kb, durations = _memory_kb(run.pid, "VmRSS"), list[float]()
        _reset_peak(run.pid)
        async with asyncio.timeout(TIMEOUT_S):
            while bombs.total() < BOMBS:
                began_at = time.monotonic()
                async with session.get(f"{run.url}/healthz") as response:
                    response.raise_for_status()
                durations.append(time.monotonic() - began_at)
                await asyncio.sleep(POLL_S)
            await asyncio.sleep(1)  # for the last of them
        return BombOutcome(
            packed_bytes=len(body),
            bombs=bombs.total(),
            growth_mb=(_memory_kb(run.pid, "VmHWM") - usual_kb) / 1000,
            slowest_s=max(durations),
            answers=len(durations),
            refused="which no price list needs" in run.log.read_text(),
        )


async def rewrite(folder: Path) -> list[RewriteOutcome]:
    """Let Yahoo multiply all closes in one worker per factor, side by side, and step to the end of the session.

    Before the close, Yahoo's last trade is the only one, which no second source confirms.
    """

    async def multiplied(factor: float, database: str) -> RewriteOutcome:
        async with vendor_run(folder / f"{factor}", database) as run:
            run.servers["yahoo"].rewrite = _multiply(factor)
            run.scenario.set_spread(MOVE_PP)
            SteppedClock(run.scenario).step(CLOSE - OPEN)
            began_at, arrived_s, text = time.monotonic(), None, None
            with suppress(TimeoutError):
                async with asyncio.timeout(TIMEOUT_S / 2):
                    while (text := await run.posted()) is None:  # noqa: ASYNC110 -- Slack is another process
                        await asyncio.sleep(10 * POLL_S)
                    arrived_s = time.monotonic() - began_at
            counts = await count(run.database, await read_record(run.slack), Counter())
            return RewriteOutcome(factor=factor, arrived_s=arrived_s, text=text or "", counts=counts)

    databases = [await _database(folder / f"{factor}") for factor in FACTORS]
    return await asyncio.gather(*map(multiplied, FACTORS, databases))


def _multiply(factor: float) -> Callable[[dict[str, object]], None]:
    """Return a function that multiplies the closes and openings of a chart, not its last trade."""

    def multiply(body: dict) -> None:  # type: ignore[type-arg]
        for result in body["chart"]["result"]:
            for columns in result["indicators"]["quote"]:
                for name, prices in columns.items():
                    columns[name] = [factor * price for price in prices]

    return multiply


def _packed() -> bytes:
    """Return blanks as gzip; built in pieces, because this process serves, too."""
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    piece = b" " * PIECE_BYTES
    return b"".join(packer.compress(piece) for _ in range(UNPACKED_BYTES // PIECE_BYTES)) + packer.flush()


def _environment(urls: dict[str, str]) -> dict[str, str]:
    """Return the environment of a worker with these vendors, without settings of whoever runs this."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(SETTINGS) and name not in PROXY_VARIABLES
    }
    return kept | {
        "MINERPULSE_ETF_SOURCES": "yahoo,nasdaq",
        "MINERPULSE_CRYPTO_SOURCES": "coinbase,bitstamp",
        "MINERPULSE_SOURCE_URLS": " ".join(f"{name}={url}" for name, url in urls.items()),
    }


async def _until_ready(run: VendorRun) -> None:
    async with asyncio.timeout(TIMEOUT_S), aiohttp.ClientSession() as session:
        while True:
            with suppress(aiohttp.ClientConnectionError):
                async with session.get(f"{run.url}/readyz") as response:
                    if response.ok and all(server.requests for server in run.servers.values()):
                        return
            await asyncio.sleep(10 * POLL_S)


def _memory_kb(pid: int, name: str) -> int:
    """Return a figure of /proc: VmRSS is the memory in use, VmHWM its peak."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _reset_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")
