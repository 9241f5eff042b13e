"""Health, with Slack, the vendors and the watchdog faked at the HTTP boundary."""

import asyncio
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
from bot.scheduler import TickScheduler
from services.core.errors import DatabaseUnavailableError
from services.delivery.ports import Backlog
from services.rules.decide import NODATA_GRACE
from tests.fakes.clock import SetClock
from tests.fakes.harness import OPEN, Harness, open_harness
from tests.fakes.slack import TOKEN, FakeSlack, Fault, error_response, slack_server

MINUTE = timedelta(minutes=1)
HEARTBEAT = "GET /a-secret"


@dataclass(slots=True)
class Watchdog:
    """Records heartbeats and responds with a status."""

    status: int = 200
    requests: list[str] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.requests.append(f"{request.method} {request.path}")
        return web.Response(status=self.status)


@asynccontextmanager
async def serve_watchdog() -> AsyncIterator[tuple[Watchdog, str]]:
    """Serve a watchdog; yield it with its URL."""
    watchdog, app = Watchdog(), web.Application()
    app.router.add_get("/a-secret", watchdog.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield watchdog, f"http://127.0.0.1:{runner.addresses[0][1]}/a-secret"
    finally:
        await runner.cleanup()


@dataclass(slots=True)
class HealthHarness:
    """A whole app without its server."""

    harness: Harness
    slack: FakeSlack
    watchdog: Watchdog
    health: Health

    async def run_after(self, minutes: int = 1, spread: float | None = 0.01) -> tuple[str, ...]:
        """Advance the clock, run once and return the problems."""
        at = self.harness.clock.at + minutes * MINUTE
        self.harness.clock.at = at
        if spread is not None:
            self.harness.vendors.etf_last = (20.0 * (1 + spread), at)
        await self.health.run()
        return (await self.health.report()).problems


@asynccontextmanager
async def open_health() -> AsyncIterator[HealthHarness]:
    async with (
        slack_server() as slack,
        open_harness() as harness,
        serve_watchdog() as (watchdog, url),
        aiohttp.ClientSession() as session,
    ):
        harness.clock.at = OPEN + timedelta(hours=1)
        client = AsyncWebClient(token=TOKEN, base_url=f"{slack.url}api/", retry_handlers=[])
        health = Health(
            TickScheduler(monitor=harness.monitor, clock=harness.clock), harness.store, client, Heartbeat(url, session)
        )
        yield HealthHarness(harness, slack, watchdog, health)


@pytest.fixture
async def harness() -> AsyncIterator[HealthHarness]:
    async with open_health() as harness:
        yield harness


async def test_a_healthy_app_sends_a_heartbeat_each_tick(harness: HealthHarness) -> None:
    before = (await harness.health.report()).problems

    problems = [await harness.run_after() for _ in range(3)]

    assert ("the first tick hasn't finished yet",) == before
    assert [()] * 3 == problems
    assert [HEARTBEAT] * 3 == harness.watchdog.requests


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        pytest.param(Fault(status=503, body="down"), "Slack isn't responding", id="down"),
        pytest.param(
            error_response("token_revoked"),
            "Slack doesn't accept the app: Slack doesn't accept the app's token: "
            "reinstall MinerPulse and set the new token. (token_revoked)",
            id="revoked",
        ),
    ],
)
async def test_a_slack_failure_stops_the_heartbeat_until_recovery(
    harness: HealthHarness, fault: Fault, problem: str
) -> None:
    harness.slack.fail("auth.test", fault)

    down, recovered = await harness.run_after(), await harness.run_after()

    assert ((problem,), ()) == (down, recovered)
    assert 1 == len(harness.watchdog.requests)


async def test_a_slack_rate_limit_is_not_a_problem(harness: HealthHarness) -> None:
    harness.slack.fail("auth.test", Fault(status=429, headers={"Retry-After": "30"}))

    assert () == await harness.run_after()


async def test_unusable_prices_are_a_problem_after_half_an_hour_until_recovery(
    harness: HealthHarness,
) -> None:
    await harness.run_after()
    harness.harness.vendors.faults["yahoo"] = [httpx.Response(500)] * 10_000

    problems = [await harness.run_after(5, None) for _ in range(18)]
    heartbeats = len(harness.watchdog.requests)
    harness.harness.vendors.faults.clear()
    recovered = [await harness.run_after() for _ in range(20)]

    (problem,) = problems[-1]
    assert [()] * (NODATA_GRACE // (5 * MINUTE)) == problems[: NODATA_GRACE // (5 * MINUTE)]
    assert problem.startswith("no usable prices for WGMI/BTC since Mar 4, ")
    assert 1 + problems.count(()) == heartbeats
    assert () == recovered[-1]


async def test_prices_missing_since_the_start_are_a_problem_at_once(harness: HealthHarness) -> None:
    harness.harness.vendors.faults["yahoo"] = [httpx.Response(500)] * 100
    harness.harness.market.history = type(harness.harness.market.history)(
        [harness.harness.vendors.yahoo()], [harness.harness.vendors.coinbase()], harness.harness.store
    )

    (problem,) = await harness.run_after(1, None)

    assert problem.startswith("no usable prices for WGMI/BTC yet: ")
    assert [] == harness.watchdog.requests


async def test_an_unavailable_database_is_a_problem(harness: HealthHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    await harness.run_after()

    async def fail(_now: object) -> None:
        raise DatabaseUnavailableError("the disk is gone")

    monkeypatch.setattr(harness.harness.store, "backlog", fail)
    report = await harness.health.report()

    assert (("the disk is gone",), None, False) == (report.problems, report.backlog, report.ready)
    assert ("database",) == report.categories


async def test_a_database_that_hangs_is_a_problem_and_asked_once(
    harness: HealthHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await harness.run_after()
    questions, answer, backlog = list[object](), asyncio.Event(), harness.harness.store.backlog

    async def hang(now: datetime) -> Backlog:
        questions.append(now)
        await answer.wait()
        return await backlog(now)

    monkeypatch.setattr(harness.harness.store, "backlog", hang)
    harness.health.database_timeout_s = 0.0
    hanging = [(await harness.health.report()).problems for _ in range(3)]
    asked = len(questions)
    answer.set()
    harness.health.database_timeout_s = 600.0
    recovered = (await harness.health.report()).problems

    assert [("the database didn't respond within 0 s",)] * 3 == hanging
    assert (1, ()) == (asked, recovered)


async def test_an_unexpected_error_of_the_database_is_a_problem_too(
    harness: HealthHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await harness.run_after()

    async def fail(_now: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(harness.harness.store, "backlog", fail)

    assert ("the database can't be read (ValueError); see the log",) == (await harness.health.report()).problems


async def test_failing_ticks_are_a_problem_after_five(harness: HealthHarness) -> None:
    await harness.run_after()
    harness.harness.monitor.rule_index = None  # type: ignore[assignment]  # breaks ticks

    problems = [await harness.run_after() for _ in range(6)]

    assert [()] * 5 == problems[:5]
    assert ("the last good tick was 6\N{NO-BREAK SPACE}min ago",) == problems[5]


async def test_a_last_good_tick_that_lies_ahead_is_a_problem_until_the_next_one(harness: HealthHarness) -> None:
    await harness.run_after()
    ahead = harness.harness.clock.at + timedelta(hours=1)
    harness.health.scheduler.last_good_at = ahead

    during = (await harness.health.report()).problems
    after = await harness.run_after()

    problem = (
        "the last good tick is 1\N{NO-BREAK SPACE}h ahead of this machine's clock, which was set back; "
        "this resolves with the next tick"
    )
    assert (problem,) == during
    assert () == after


@pytest.mark.parametrize("failure", ["the watchdog returned HTTP 404", "ClientConnectorError"])
async def test_an_unreachable_watchdog_is_logged_once_without_its_url(
    harness: HealthHarness, caplog: pytest.LogCaptureFixture, failure: str
) -> None:
    caplog.set_level(logging.INFO, logger="bot.health")
    heartbeat = harness.health.heartbeat
    assert heartbeat is not None
    url, harness.watchdog.status = heartbeat.url, 404
    if failure == "ClientConnectorError":
        heartbeat.url = "http://127.0.0.1:1/a-secret"
    problems = [await harness.run_after() for _ in range(3)]
    heartbeat.url, harness.watchdog.status = url, 200
    problems.append(await harness.run_after())

    assert [()] * 4 == problems
    assert [
        f"heartbeat failed ({failure}); the watchdog may report an outage",
        "heartbeat recovered",
    ] == [record.message for record in caplog.records]
    assert "a-secret" not in caplog.text


@dataclass(slots=True)
class Failing:
    """A job that fails until it is fixed."""

    every: timedelta = MINUTE
    interval: timedelta = MINUTE
    fixed: bool = False
    runs: int = 0

    async def tick(self, now: datetime) -> int:
        del now
        self.runs += 1
        if not self.fixed:
            raise DatabaseUnavailableError("the disk is full")
        return 0


@pytest.mark.parametrize("failing", ["monitor", "maintenance"])
async def test_one_failing_job_does_not_stop_the_other_and_is_logged_once(
    failing: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="bot.scheduler")
    work = {"monitor": Failing(fixed=True), "maintenance": Failing(fixed=True)}
    work[failing].fixed = False
    ticker = TickScheduler(clock=SetClock(OPEN), **work)  # type: ignore[arg-type]  # fakes

    for is_fixed in (False, False, True, True):
        work[failing].fixed = is_fixed
        await ticker.tick()

    failure, recovery = {
        "monitor": ("ticks are failing", "ticks recovered"),
        "maintenance": ("maintenance is failing", "maintenance recovered"),
    }[failing]
    assert [4, 4] == [job.runs for job in work.values()]
    assert [f"{failure}; retrying every 0:01:00", recovery] == caplog.messages
