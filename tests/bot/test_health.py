"""Health, with Slack, the vendors and the watchdog faked at the HTTP boundary."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import aiohttp
import httpx
import pytest
from aiohttp import web
from slack_sdk.web.async_client import AsyncWebClient

from bot.health import Health, Heartbeat
from bot.scheduler import Ticker
from services.core.errors import StoreError
from services.rules.decide import GRACE
from tests.fakes.clock import SetClock
from tests.fakes.floor import OPEN, Floor, trading_floor
from tests.fakes.slack import TOKEN, Fault, SlackServer, refused, serving

MINUTE = timedelta(minutes=1)
BEAT = "GET /a-secret"


@dataclass(slots=True)
class Watchdog:
    """Whoever listens for the heartbeat, and answers with a status."""

    status: int = 200
    heard: list[str] = field(default_factory=list)

    async def hear(self, request: web.Request) -> web.Response:
        self.heard.append(f"{request.method} {request.path}")
        return web.Response(status=self.status)


@asynccontextmanager
async def watching() -> AsyncIterator[tuple[Watchdog, str]]:
    """Serve a watchdog; give it with its address."""
    watchdog, app = Watchdog(), web.Application()
    app.router.add_get("/a-secret", watchdog.hear)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield watchdog, f"http://127.0.0.1:{runner.addresses[0][1]}/a-secret"
    finally:
        await runner.cleanup()


@dataclass(slots=True)
class Patient:
    """A whole app but for its server."""

    floor: Floor
    slack: SlackServer
    watchdog: Watchdog
    health: Health

    async def minutes(self, minutes: int = 1, spread: float | None = 0.01) -> tuple[str, ...]:
        """Tick after so many minutes, and give what is wrong then."""
        at = self.floor.clock.at + minutes * MINUTE
        self.floor.clock.at = at
        if spread is not None:
            self.floor.vendors.etf_last = (20.0 * (1 + spread), at)
        await self.health.work()
        return (await self.health.report()).troubles


@asynccontextmanager
async def a_patient() -> AsyncIterator[Patient]:
    async with (
        serving() as slack,
        trading_floor() as floor,
        watching() as (watchdog, url),
        aiohttp.ClientSession() as session,
    ):
        floor.clock.at = OPEN + timedelta(hours=1)
        client = AsyncWebClient(token=TOKEN, base_url=f"{slack.url}api/", retry_handlers=[])
        health = Health(Ticker(monitor=floor.monitor, clock=floor.clock), floor.store, client, Heartbeat(url, session))
        yield Patient(floor, slack, watchdog, health)


@pytest.fixture
async def patient(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Patient]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    async with a_patient() as patient:
        yield patient


async def test_while_all_is_well_each_tick_is_told_to_the_watchdog(patient: Patient) -> None:
    before = (await patient.health.report()).troubles

    found = [await patient.minutes() for _ in range(3)]

    assert ("the first tick has not ended yet",) == before
    assert [()] * 3 == found
    assert [BEAT] * 3 == patient.watchdog.heard


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        pytest.param(Fault(status=503, body="down"), "Slack does not answer", id="down"),
        pytest.param(
            refused("token_revoked"),
            "Slack does not accept the app: Slack does not accept the app's token: "
            "install MinerPulse again and give it the new token. (token_revoked)",
            id="revoked",
        ),
    ],
)
async def test_where_slack_does_not_take_the_app_the_heart_stops_until_it_does(
    patient: Patient, fault: Fault, told: str
) -> None:
    patient.slack.fail("auth.test", fault)

    ill, well = await patient.minutes(), await patient.minutes()

    assert ((told,), ()) == (ill, well)
    assert 1 == len(patient.watchdog.heard)


async def test_to_be_asked_to_wait_by_slack_is_no_illness(patient: Patient) -> None:
    patient.slack.fail("auth.test", Fault(status=429, headers={"Retry-After": "30"}))

    assert () == await patient.minutes()


async def test_prices_that_cannot_be_used_are_told_after_half_an_hour_and_until_they_can(patient: Patient) -> None:
    await patient.minutes()
    patient.floor.vendors.faults["yahoo"] = [httpx.Response(500)] * 10_000

    found = [await patient.minutes(5, None) for _ in range(18)]
    heard = len(patient.watchdog.heard)
    patient.floor.vendors.faults.clear()
    again = [await patient.minutes() for _ in range(20)]

    (told,) = found[-1]
    assert [()] * (GRACE // (5 * MINUTE)) == found[: GRACE // (5 * MINUTE)]
    assert told.startswith("no usable prices of WGMI/BTC since 2026-03-04 ")
    assert 1 + found.count(()) == heard
    assert () == again[-1]


async def test_prices_that_were_never_seen_are_told_at_once(patient: Patient) -> None:
    patient.floor.vendors.faults["yahoo"] = [httpx.Response(500)] * 100
    patient.floor.market.history = type(patient.floor.market.history)(
        [patient.floor.vendors.yahoo()], [patient.floor.vendors.coinbase()], patient.floor.store
    )

    (told,) = await patient.minutes(1, None)

    assert told.startswith("no usable prices of WGMI/BTC yet: ")
    assert [] == patient.watchdog.heard


async def test_a_database_that_is_gone_is_told(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    await patient.minutes()

    async def gone(_now: object) -> None:
        raise StoreError("the disk is gone")

    monkeypatch.setattr(patient.floor.store, "backlog", gone)
    report = await patient.health.report()

    assert (("the database does not answer",), None, False) == (report.troubles, report.backlog, report.ready)


async def test_ticks_that_fail_are_told_after_five_of_them(patient: Patient) -> None:
    await patient.minutes()
    patient.floor.monitor.watchlist = None  # type: ignore[assignment]  # breaks ticks

    found = [await patient.minutes() for _ in range(6)]

    assert [()] * 5 == found[:5]
    assert ("the last good tick was 360 s ago",) == found[5]


@pytest.mark.parametrize("away", ["it answers 404", "ClientConnectorError"])
async def test_a_watchdog_that_is_away_is_told_once_and_never_by_its_address(
    patient: Patient, caplog: pytest.LogCaptureFixture, away: str
) -> None:
    caplog.set_level(logging.INFO, logger="bot.health")
    heartbeat = patient.health.heartbeat
    assert heartbeat is not None
    home, patient.watchdog.status = heartbeat.url, 404
    if away == "ClientConnectorError":
        heartbeat.url = "http://127.0.0.1:1/a-secret"
    found = [await patient.minutes() for _ in range(3)]
    heartbeat.url, patient.watchdog.status = home, 200
    found.append(await patient.minutes())

    assert [()] * 4 == found
    assert [
        f"the heartbeat does not arrive ({away}); its watchdog will tell of an outage",
        "the heartbeat arrives again",
    ] == [record.message for record in caplog.records]
    assert "a-secret" not in caplog.text


@dataclass(slots=True)
class Broken:
    """What fails each time that it is asked to work, until it is mended."""

    every: timedelta = MINUTE
    mended: bool = False
    rounds: int = 0

    async def tick(self, now: datetime) -> int:
        del now
        self.rounds += 1
        if not self.mended:
            raise StoreError("the disk is full")
        return 0


@pytest.mark.parametrize("which", ["monitor", "upkeep"])
async def test_what_fails_keeps_nothing_else_from_being_done_and_is_told_once(
    which: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="bot.scheduler")
    work = {"monitor": Broken(mended=True), "upkeep": Broken(mended=True)}
    work[which].mended = False
    ticker = Ticker(clock=SetClock(OPEN), **work)  # type: ignore[arg-type]  # stand-ins

    for mended in (False, False, True, True):
        work[which].mended = mended
        await ticker.tick()

    fails, works = {"monitor": ("ticks fail", "ticks work"), "upkeep": ("upkeep fails", "upkeep works")}[which]
    assert [4, 4] == [one.rounds for one in work.values()]
    assert [f"{fails}; it is tried again every 0:01:00", f"{works} again"] == caplog.messages
