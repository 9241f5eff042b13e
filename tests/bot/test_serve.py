"""The real server in this process: started, asked, stopped by a signal; over HTTP and over Socket Mode."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import WSMsgType, web
from pydantic import SecretStr
from slack_sdk.signature import SignatureVerifier

from bot.http.slack_requests import signed
from bot.scheduler import Ticker, retry_every
from bot.serve import Role, serve
from bot.settings import Settings, SlackMode
from services.alerting.records import AlertChange
from services.alerting.rule_index import PairRules, RuleIndex
from services.alerting.tick_log import Claim
from services.core.errors import ConfigurationError, StoreError
from services.core.prices import Pair
from services.delivery.ports import Backlog
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.yahoo import Yahoo
from services.storage import SqlStore
from tests.fakes.alerts import AT, an_alert
from tests.fakes.floor import DESK, OPEN, trading_floor
from tests.fakes.slack import SECRET, TOKEN, Fault, SlackServer, refused, serving
from tests.fakes.vendors import Vendors

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")


@pytest.fixture
async def slack(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SlackServer]:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    async with serving() as server:
        yield server


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def connected(slack: SlackServer, tmp_path: Path, **more: Any) -> Settings:  # noqa: ANN401 -- any setting
    """Settings of a whole app on a simulated market."""
    given = {
        "slack_bot_token": SecretStr(TOKEN),
        "slack_signing_secret": SecretStr(SECRET),
        "slack_mode": SlackMode.HTTP,
        "slack_api_url": f"{slack.url}api/",
        "database_url": f"sqlite:///{tmp_path}/app.db",
        "etf_sources": ("simulated",),
        "crypto_sources": ("simulated",),
        "port": free_port(),
    }
    return Settings(**{**given, **more})


@asynccontextmanager
async def running(
    settings: Settings, *, begun: str = "/readyz", role: Role = Role.ALL
) -> AsyncIterator[httpx.AsyncClient]:
    """Run the app until the end of the block, then stop it with SIGTERM as a host does."""
    app = asyncio.create_task(serve(settings, role))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.port}", trust_env=False) as client:
        await eventually(lambda: app.done() or answers(client, begun))
        yield client
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(20):
        await app


async def answers(client: httpx.AsyncClient, path: str) -> bool:
    try:
        return (await client.get(path)).status_code == 200
    except httpx.TransportError:
        return False


async def told(client: httpx.AsyncClient, name: str, value: object) -> bool:
    """Whether /readyz says that now."""
    return bool((await client.get("/readyz")).json()[name] == value)


async def eventually(condition: Callable[[], Any]) -> None:
    """Let everything else run until the condition, plain or awaitable, holds."""
    async with asyncio.timeout(30):
        while True:
            held = condition()
            if await held if asyncio.iscoroutine(held) else held:
                return
            await asyncio.sleep(0.02)


async def test_it_ticks_becomes_ready_answers_and_stops_at_a_signal(slack: SlackServer, tmp_path: Path) -> None:
    async with running(connected(slack, tmp_path)) as client:
        ready = (await client.get("/readyz")).json()
        unsigned = await client.post("/slack/events", content="command=%2Fminerpulse")
        unknown = await client.get("/nothing")

    undelivered: dict[str, object] = {
        "waiting": 0,
        "given_up": 0,
        "kept_back": 0,
        "oldest_s": None,
        "needs_a_person": [],
    }
    assert {"ready": True, "why": None, "undelivered": undelivered} == ready
    assert (401, 404) == (unsigned.status_code, unknown.status_code)


async def test_a_port_that_is_taken_is_named(slack: SlackServer, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(
            ConfigurationError, match=f"Cannot listen at 127.0.0.1:{port} .*set PORT or MINERPULSE_HOST anew"
        ):
            await serve(connected(slack, tmp_path, port=port))


@pytest.mark.parametrize("code", ["invalid_auth", "account_inactive", "token_revoked"])
async def test_a_token_that_slack_refuses_ends_the_start(slack: SlackServer, tmp_path: Path, code: str) -> None:
    slack.fail("auth.test", refused(code))

    with pytest.raises(ConfigurationError, match=rf"SLACK_BOT_TOKEN: Slack does not accept.*\({code}\)"):
        await serve(connected(slack, tmp_path))


async def test_with_slack_down_it_starts_and_acknowledges_commands(slack: SlackServer, tmp_path: Path) -> None:
    slack.fail("auth.test", *[Fault(status=503, body="down", content_type="text/plain")] * 9)
    body = "command=%2Fminerpulse&text=help&team_id=T1&channel_id=C1&user_id=U1&response_url=http%3A%2F%2F127.0.0.1"
    stamp = str(int(time.time()))
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "x-slack-request-timestamp": stamp,
        "x-slack-signature": str(SignatureVerifier(SECRET).generate_signature(timestamp=stamp, body=body)),
    }

    async with running(connected(slack, tmp_path), begun="/healthz") as client:
        await eventually(lambda: told(client, "why", "Slack does not answer"))
        answer = await client.post("/slack/events", content=body, headers=headers)

    assert 200 == answer.status_code
    assert "/minerpulse rule add" in answer.json()["text"]
    assert ["auth.test"] * 2 == [call.method for call in slack.calls]  # at the start and a tick, never for a request


async def test_a_stop_lets_slacks_answer_be_noted_so_that_the_next_start_posts_nothing_twice(
    slack: SlackServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="bot.serve")
    settings, answer = connected(slack, tmp_path), asyncio.Event()
    await record_alert(settings)
    slack.fail("chat.postMessage", Fault(until=answer))

    async with running(settings):
        await eventually(lambda: posts(slack))
        os.kill(os.getpid(), signal.SIGTERM)
        await eventually(lambda: "stopping" in caplog.text)
        answer.set()
    posted, undelivered = posts(slack), await backlog_of(settings)

    assert (1, 0) == (posted, undelivered.waiting)


async def test_a_stop_cuts_off_a_post_that_slack_never_answers_and_keeps_it(
    slack: SlackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bot.serve.ENDED_WITHIN_S", 0)
    settings = connected(slack, tmp_path)
    await record_alert(settings)
    slack.fail("chat.postMessage", Fault(until=asyncio.Event()))

    async with running(settings):
        await eventually(lambda: posts(slack))

    assert 1 == (await backlog_of(settings)).waiting
    assert "the delivery did not end within 0 s and is cut off" in caplog.text


async def test_a_request_whose_body_never_comes_does_not_keep_it_from_stopping(
    slack: SlackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bot.http.server.REQUESTS_END_WITHIN_S", 0)
    settings = connected(slack, tmp_path)

    async with running(settings) as client:
        _, out = await asyncio.open_connection("127.0.0.1", settings.port)
        out.write(b"POST /slack/events HTTP/1.1\r\nHost: here\r\nContent-Length: 10\r\n\r\nab")
        await out.drain()
        await client.get("/healthz")  # answered after that has been taken
    out.close()

    assert "Cancel 1 running task(s)" in caplog.text


async def record_alert(settings: Settings) -> None:
    """Leave an alert in the app's database that is over, so that no tick changes it, and not delivered."""
    store = await SqlStore.open(settings.database_url)
    await store.record([], [AlertChange(alert=an_alert(closed_at=AT), revision=0)], datetime.now(UTC))
    await store.aclose()


async def backlog_of(settings: Settings) -> Backlog:
    store = await SqlStore.open(settings.database_url)
    backlog = await store.backlog(datetime.now(UTC))
    await store.aclose()
    return backlog


def posts(slack: SlackServer) -> int:
    return sum(call.method == "chat.postMessage" for call in slack.calls)


class SocketServer:
    """Slack's end of Socket Mode: sends what is due on each connection in turn, and keeps what comes back.

    A connection whose envelopes are not to be waited for is cut as soon as they are sent.
    """

    def __init__(self) -> None:
        self.url = ""
        self.connections = [[envelope("e1", command("help"))]]
        self.cut = 0  # how many connections, from the first, are cut off
        self.opened = 0
        self.received: list[dict[str, Any]] = []

    async def open(self, _request: web.Request) -> web.Response:
        return web.json_response({"ok": True, "url": f"{self.url.replace('http', 'ws')}socket"})

    async def who(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {"ok": True, "team": "T", "team_id": "T1", "user": "bot", "user_id": "UBOT", "bot_id": "B"}
        )

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        connection = web.WebSocketResponse()
        await connection.prepare(request)
        place, self.opened = self.opened, self.opened + 1
        await connection.send_json({"type": "hello", "num_connections": 1})
        for one in self.connections[place] if place < len(self.connections) else []:
            await connection.send_json(one)
        if place < self.cut and request.transport is not None:
            request.transport.close()  # without a word
        async for message in connection:
            if message.type is WSMsgType.TEXT:
                self.received.append(json.loads(message.data))
        return connection


def command(text: str) -> dict[str, Any]:
    """A slash command, as an envelope carries it."""
    payload = {"command": "/minerpulse", "text": text, "team_id": "T1", "channel_id": "C1", "user_id": "U1"}
    return {"type": "slash_commands", "payload": payload, "accepts_response_payload": True}


def event(event_id: str) -> dict[str, Any]:
    """An event, as an envelope carries it."""
    payload = {"type": "event_callback", "team_id": "T1", "event_id": event_id, "event": {"type": "app_noted"}}
    return {"type": "events_api", "payload": payload, "accepts_response_payload": False}


def envelope(envelope_id: str, content: dict[str, Any]) -> dict[str, Any]:
    return {**content, "envelope_id": envelope_id}


@pytest.fixture
async def socket_server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SocketServer]:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    server, app = SocketServer(), web.Application()
    app.router.add_post("/api/apps.connections.open", server.open)
    app.router.add_post("/api/auth.test", server.who)
    app.router.add_get("/socket", server.socket)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield server
    await runner.cleanup()


def over_socket(socket_server: SocketServer) -> dict[str, Any]:
    return {
        "slack_signing_secret": None,
        "slack_app_token": SecretStr("xapp-made-up"),
        "slack_mode": SlackMode.SOCKET,
        "slack_api_url": f"{socket_server.url}api/",
    }


async def test_in_socket_mode_a_command_is_answered_over_the_socket_and_none_over_http(
    slack: SlackServer, socket_server: SocketServer, tmp_path: Path
) -> None:
    async with running(connected(slack, tmp_path, **over_socket(socket_server))) as client:
        await eventually(lambda: socket_server.received)
        forged = await client.post("/slack/events", content="", headers=signed_with(""))

    (answer,) = socket_server.received
    assert "e1" == answer["envelope_id"]
    assert "/minerpulse rule add" in answer["payload"]["text"]
    assert 404 == forged.status_code


def signed_with(secret: str) -> dict[str, str]:
    """The headers of an empty body."""
    stamp = str(int(time.time()))
    return {"x-slack-request-timestamp": stamp, "x-slack-signature": signed(secret, stamp, b"").decode()}


async def test_a_socket_that_breaks_is_opened_again_and_nothing_is_lost_or_done_twice(
    slack: SlackServer,
    socket_server: SocketServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("bot.serve.PING_EVERY_S", 0.1)
    caplog.set_level(logging.INFO, logger="bot.slack")
    lost = envelope("e1", event("Ev1"))
    socket_server.connections = [[lost], [lost, envelope("e2", command("help"))]]  # Slack had no answer to e1
    socket_server.cut = 1

    async with running(connected(slack, tmp_path, **over_socket(socket_server))):
        await eventually(lambda: {"e1", "e2"} <= {one["envelope_id"] for one in socket_server.received})

    assert 2 == socket_server.opened
    assert 1 == caplog.text.count("an event came again")


class LateVendor(httpx.AsyncBaseTransport):
    """A vendor that answers once it is let."""

    def __init__(self, vendors: Vendors) -> None:
        self.vendors, self.asked, self.answer = vendors, asyncio.Event(), asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.set()
        await self.answer.wait()
        return self.vendors.answer(request)


async def test_a_stop_waits_for_the_tick_under_way_and_begins_no_other() -> None:
    async with trading_floor(warm=False) as floor:
        vendor = LateVendor(floor.vendors)
        floor.market.history._shares[0].source = Yahoo(HttpClient(transport=vendor), floor.clock)  # noqa: SLF001
        ticker = Ticker(monitor=floor.monitor, clock=floor.clock)
        tick = asyncio.create_task(ticker.tick())
        await vendor.asked.wait()

        stop = asyncio.create_task(ticker.stop())
        await asyncio.wait({stop}, timeout=0)
        waits = not stop.done()
        vendor.answer.set()
        await asyncio.gather(stop, tick)
        last_good_at = ticker.last_good_at
        floor.clock.advance(timedelta(minutes=1))
        await ticker.tick()

    assert waits
    assert OPEN - timedelta(minutes=10) == last_good_at == ticker.last_good_at


async def test_ticks_that_fail_are_told_once_and_so_is_their_recovery(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="bot.scheduler")
    async with trading_floor() as floor:
        ticker = Ticker(monitor=floor.monitor, clock=floor.clock)
        await floor.desk.add_rule(DESK, "1d 8pp", "U1")
        await ticker.tick()
        watchlist, floor.monitor.watchlist = floor.monitor.watchlist, None  # type: ignore[assignment]  # breaks ticks
        for _ in range(6):
            floor.clock.advance(timedelta(minutes=1))
            await ticker.tick()
        floor.monitor.watchlist = watchlist
        await ticker.tick()

    told = [record.message for record in caplog.records]
    assert ["ticks fail; it is tried again every 0:01:00", "ticks work again"] == told
    assert OPEN - timedelta(minutes=4) == ticker.last_good_at


async def test_another_failure_is_told_while_one_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="bot.scheduler")
    mara, wgmi = StoreError("MARA/BTC fails"), StoreError("WGMI/BTC fails")
    ways = [mara, mara, ExceptionGroup("several pairs failed", [mara, wgmi]), wgmi, mara, None, mara]
    async with trading_floor() as floor:
        floor.monitor.watchlist = watchlist = Failing(floor.store)
        ticker = Ticker(monitor=floor.monitor, clock=floor.clock)
        for watchlist.error in ways:
            await ticker.tick()
            floor.clock.advance(timedelta(minutes=1))

    told = [str(record.exc_info[1]) if record.exc_info else record.message for record in caplog.records]
    assert ["MARA/BTC fails", "WGMI/BTC fails", "ticks work again", "MARA/BTC fails"] == told


class Failing(RuleIndex):
    """A watchlist that fails as it is told to."""

    error: Exception | None = None

    async def pairs(self) -> dict[Pair, PairRules]:
        if self.error is not None:
            raise self.error
        return await super().pairs()


async def test_a_round_in_other_hands_is_no_good_tick() -> None:
    async with trading_floor() as floor:
        ticker = Ticker(monitor=floor.monitor, clock=floor.clock)
        await floor.store.claim_tick(floor.monitor.pair, floor.clock.at, floor.clock.at)
        await ticker.tick()
        theirs = ticker.last_good_at
        floor.clock.advance(timedelta(minutes=1))
        await ticker.tick()

    assert (None, floor.clock.at) == (theirs, ticker.last_good_at)


async def test_a_long_round_that_failed_is_tried_again_within_a_minute() -> None:
    assert [timedelta(seconds=15), timedelta(minutes=1), timedelta(minutes=1)] == [
        retry_every(timedelta(seconds=seconds)) for seconds in (15, 60, 900)
    ]
    async with trading_floor() as floor:
        floor.monitor.every = timedelta(minutes=15)
        await floor.desk.add_rule(DESK, "1d 8pp", "U1")
        ticker = Ticker(monitor=floor.monitor, clock=floor.clock)
        watchlist, floor.monitor.watchlist = floor.monitor.watchlist, None  # type: ignore[assignment]  # breaks ticks
        await ticker.tick()
        floor.monitor.watchlist = watchlist
        floor.clock.advance(timedelta(minutes=1))
        await ticker.tick()

    assert floor.clock.at == ticker.last_good_at


async def test_a_web_process_answers_and_leaves_ticks_and_delivery_to_others(
    slack: SlackServer, tmp_path: Path
) -> None:
    settings = connected(slack, tmp_path)
    await record_alert(settings)

    async with running(settings, role=Role.WEB) as client:
        ready = (await client.get("/readyz")).json()
        unsigned = await client.post("/slack/events", content="command=%2Fminerpulse")

    assert (True, 1) == (ready["ready"], ready["undelivered"]["waiting"])
    assert 401 == unsigned.status_code
    assert 0 == posts(slack)
    store = await SqlStore.open(settings.database_url)
    assert Claim.OURS is await store.claim_tick(settings.pair, AT, AT)
    await store.aclose()


async def test_a_worker_delivers_what_others_record_and_takes_nothing_from_slack(
    slack: SlackServer, tmp_path: Path
) -> None:
    settings = connected(slack, tmp_path)

    async with running(settings, role=Role.WORKER) as client:
        await record_alert(settings)
        await eventually(lambda: posts(slack))
        from_slack = await client.post("/slack/events", content="command=%2Fminerpulse")

    assert (1, 404) == (posts(slack), from_slack.status_code)
