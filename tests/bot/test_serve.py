"""The real server in this process, over HTTP and Socket Mode: start, requests, shutdown."""

import asyncio
import gc
import json
import logging
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partialmethod
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from pydantic import SecretStr

from bot.app import build
from bot.bolt_app import TEAM_UNKNOWN
from bot.commands.health import document_of, examine
from bot.commands.options import to_json
from bot.http.slack_requests import sign
from bot.scheduler import TickScheduler, retry_interval
from bot.serve import Role, _open_listener, serve
from bot.settings import Settings, SlackMode
from handlers.background import BackgroundTasks
from services.alerting.ports import AlertChange
from services.alerting.rule_index import PairRules, RuleIndex
from services.alerting.tick_log import Claim
from services.core.errors import DatabaseUnavailableError, InvalidSettingsError
from services.core.identity import Channel
from services.core.prices import Pair
from services.delivery.ports import Backlog
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.yahoo import Yahoo
from services.storage import SqlStore, database_lock, generate_key
from tests.fakes.alerts import AT, an_alert
from tests.fakes.clock import SetClock
from tests.fakes.harness import CHANNEL, OPEN, open_harness
from tests.fakes.sinks import ROUTING_KEY
from tests.fakes.slack import (
    CLIENT_ID,
    CLIENT_SECRET,
    FORM,
    OAUTH,
    POST,
    RESPONSES,
    SECRET,
    TOKEN,
    FakeSlack,
    Fault,
    error_response,
    signed_headers,
)
from tests.fakes.socket_mode import SocketServer, command, socket_mode_server
from tests.fakes.vendor_servers import VendorServer
from tests.fakes.vendors import HOSTS, Vendors
from tests.services.storage.test_installations import ROTATING

STATUS_TOKEN = "status-token"
IN_FLIGHT = (OAUTH, POST, RESPONSES)  # a token renewal, a delivery and a reply


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


SIMULATED = {
    "name": "simulated",
    "used_for": ["etf", "crypto", "network"],
    "last_success_at": None,
    "failures": 0,
    "failing_since": None,
    "problem": None,
}


def settings_for(slack: FakeSlack, tmp_path: Path, **more: Any) -> Settings:  # noqa: ANN401 -- any setting
    """Return settings of a whole app on a simulated market."""
    defaults = {
        "slack_bot_token": SecretStr(TOKEN),
        "slack_signing_secret": SecretStr(SECRET),
        "slack_mode": SlackMode.HTTP,
        "slack_api_url": f"{slack.url}api/",
        "database_url": f"sqlite:///{tmp_path}/app.db",
        "etf_sources": ("simulated",),
        "crypto_sources": ("simulated",),
        "port": free_port(),
        "status_token": SecretStr(STATUS_TOKEN),
    }
    return Settings(**{**defaults, **more})


@asynccontextmanager
async def running(
    settings: Settings, *, ready_path: str = "/readyz", role: Role = Role.ALL
) -> AsyncIterator[httpx.AsyncClient]:
    """Run the app until the end of the block, then stop it with SIGTERM."""
    app = asyncio.create_task(serve(settings, role))
    base_url, headers = f"http://127.0.0.1:{settings.port}", {"Authorization": f"Bearer {STATUS_TOKEN}"}
    async with httpx.AsyncClient(base_url=base_url, headers=headers, trust_env=False) as client:
        await eventually(lambda: app.done() or responds_ok(client, ready_path))
        yield client
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(20):
        await app


async def responds_ok(client: httpx.AsyncClient, path: str) -> bool:
    try:
        return (await client.get(path)).status_code == 200
    except httpx.TransportError:
        return False


async def readyz_reports(client: httpx.AsyncClient, name: str, value: object) -> bool:
    """Return whether /readyz has this value now."""
    return bool((await client.get("/readyz")).json()[name] == value)


def running_tasks() -> set[str]:
    return {task.get_name() for task in asyncio.all_tasks()}


async def eventually(condition: Callable[[], Any]) -> None:
    """Wait until the condition, plain or awaitable, is true."""
    async with asyncio.timeout(30):
        while True:
            result = condition()
            if await result if asyncio.iscoroutine(result) else result:
                return
            await asyncio.sleep(0.02)


async def test_the_server_becomes_ready_answers_and_stops_at_a_signal(slack: FakeSlack, tmp_path: Path) -> None:
    async with running(settings_for(slack, tmp_path)) as client:
        ready = (await client.get("/readyz")).json()
        unsigned = await client.post("/slack/events", content="command=%2Fminerpulse")
        unknown = await client.get("/nothing")

    undelivered: dict[str, object] = {
        "waiting": 0,
        "dead_lettered": 0,
        "kept_back": 0,
        "oldest_s": None,
        "needs_a_person": [],
    }
    assert {"ready": True, "why": None, "undelivered": undelivered, "sources": [SIMULATED]} == ready
    assert (401, 404) == (unsigned.status_code, unknown.status_code)


async def test_a_port_in_use_is_an_error(slack: FakeSlack, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(
            InvalidSettingsError,
            match=f"Can't listen on 127.0.0.1:{port} \\(Address already in use\\)\\. Free the port",
        ):
            await serve(settings_for(slack, tmp_path, port=port))


@pytest.mark.parametrize("code", ["invalid_auth", "account_inactive", "token_revoked"])
async def test_a_rejected_token_stops_the_start(slack: FakeSlack, tmp_path: Path, code: str) -> None:
    slack.fail("auth.test", error_response(code))

    with pytest.raises(InvalidSettingsError, match=rf"SLACK_BOT_TOKEN: Slack doesn't accept.*\({code}\)"):
        await serve(settings_for(slack, tmp_path))


def help_body(team: str) -> str:
    url = "http%3A%2F%2F127.0.0.1"
    return f"command=%2Fminerpulse&text=help&team_id={team}&channel_id=C1&user_id=U1&response_url={url}"


async def test_a_workspace_is_served_when_slack_first_says_that_the_token_is_for_it(
    slack: FakeSlack, tmp_path: Path
) -> None:
    """At the start, in a tick and for the first three requests, Slack doesn't say which workspace it is."""
    slack.fail("auth.test", *[Fault(status=503, body="down", content_type="text/plain")] * 5)
    event = json.dumps({"type": "event_callback", "team_id": "T1", "event_id": "E1", "event": {"type": "x"}})
    requests = [(f"{help_body(team)}{number}", FORM) for number, team in enumerate(("T9", "T1", "T1", "T9", "T1"))]
    requests.insert(2, (event, "application/json"))

    async with running(settings_for(slack, tmp_path), ready_path="/healthz") as client:
        await eventually(lambda: readyz_reports(client, "why", "Slack isn't responding"))
        refused, early, postponed, served, foreign, again = [
            await client.post("/slack/events", content=body, headers=signed_headers(body, content_type))
            for body, content_type in requests
        ]

    assert [TEAM_UNKNOWN] * 2 == [refused.text, early.text]
    assert 503 == postponed.status_code
    assert "rule add 5d 15pp" in served.json()["text"]
    assert foreign.text.startswith("MinerPulse isn't installed in this workspace")
    assert served.text == again.text
    assert ["auth.test"] * 6 == [call.method for call in slack.calls]  # once known, no request asks Slack


async def test_a_press_that_names_another_workspace_sets_no_rules_in_a_shared_channel(
    slack: FakeSlack, tmp_path: Path
) -> None:
    press = {
        "type": "block_actions",
        "team": {"id": "T9"},
        "user": {"id": "U9", "team_id": "T9"},
        "channel": {"id": "C1"},
        "trigger_id": "1.trigger",
        "response_url": f"{slack.url}{RESPONSES}/1",
        "actions": [{"type": "button", "action_id": "begin", "block_id": "b", "value": "channel"}],
    }
    body, settings = urlencode({"payload": json.dumps(press)}), settings_for(slack, tmp_path)
    async with running(settings) as client:
        response = await client.post("/slack/events", content=body, headers=signed_headers(body))
        await eventually(lambda: slack.responses)
    async with aclosing(await SqlStore.open(settings.database_url)) as store:
        rules = await store.rules(Channel(team="T9", id="C1"))

    assert (200, ()) == (response.status_code, tuple(rules))
    assert slack.responses[-1]["text"].startswith("MinerPulse isn't installed in this workspace")


async def test_a_stop_records_slacks_response_so_that_nothing_is_posted_twice(
    slack: FakeSlack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="bot.serve")
    settings, response = settings_for(slack, tmp_path), asyncio.Event()
    await record_alert(settings)
    slack.fail("chat.postMessage", Fault(until=response))

    async with running(settings):
        await eventually(lambda: post_count(slack))
        os.kill(os.getpid(), signal.SIGTERM)
        await eventually(lambda: "stopping" in caplog.text)
        response.set()
    posted, undelivered = post_count(slack), await backlog_of(settings)

    assert (1, 0) == (posted, undelivered.waiting)


async def test_a_stop_cancels_an_unanswered_post_and_keeps_it_queued(
    slack: FakeSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bot.serve.SHUTDOWN_TIMEOUT_S", 0)
    settings = settings_for(slack, tmp_path)
    await record_alert(settings)
    slack.fail("chat.postMessage", Fault(until=asyncio.Event()))

    async with running(settings):
        await eventually(lambda: post_count(slack))

    assert 1 == (await backlog_of(settings)).waiting
    assert "delivery did not finish within 0 s and was canceled" in caplog.text


async def test_a_request_without_a_body_does_not_block_shutdown(
    slack: FakeSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bot.http.server.GRACEFUL_SHUTDOWN_S", 0)
    settings = settings_for(slack, tmp_path)

    async with running(settings) as client:
        _, out = await asyncio.open_connection("127.0.0.1", settings.port)
        out.write(b"POST /slack/events HTTP/1.1\r\nHost: here\r\nContent-Length: 10\r\n\r\nab")
        await out.drain()
        await client.get("/healthz")  # served after the other request was accepted
    out.close()

    assert "Cancel 1 running task(s)" in caplog.text


@pytest.mark.parametrize("finishes", [True, False], ids=["work that finishes", "work that is cancelled"])
async def test_a_stop_with_work_in_flight_logs_no_error(
    slack: FakeSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, finishes: bool
) -> None:
    caplog.set_level(logging.INFO)
    answer, settings = asyncio.Event(), await rotating_installation(slack, tmp_path)
    await record_alert(settings)
    for method in IN_FLIGHT:
        slack.fail(method, Fault(until=answer))
    if not finishes:
        monkeypatch.setattr("bot.http.slack_requests.BODY_TIMEOUT_S", 60)
        monkeypatch.setattr("bot.serve.SHUTDOWN_TIMEOUT_S", 0)
        monkeypatch.setattr("bot.http.server.GRACEFUL_SHUTDOWN_S", 0)
        monkeypatch.setattr(BackgroundTasks, "drain", partialmethod(BackgroundTasks.drain, 0))
    body = f"command=%2Fminerpulse&text=board&team_id=T1&channel_id=C1&user_id=U1&response_url={slack.url}responses/1"

    async with running(settings, ready_path="/healthz") as client:
        await client.post("/slack/events", content=body, headers=signed_headers(body))
        await eventually(lambda: all(slack.calls_of(method) for method in IN_FLIGHT))
        _, out = await asyncio.open_connection("127.0.0.1", settings.port)
        out.write(b"POST /slack/events HTTP/1.1\r\nHost: here\r\nContent-Length: 10\r\n\r\nab")
        await client.get("/healthz")  # served after the other request was accepted
        os.kill(os.getpid(), signal.SIGTERM)
        if finishes:
            out.write(b"cdefghij")
        await eventually(lambda: "stopping" in caplog.text)
        if finishes:
            answer.set()
    out.close()
    gc.collect()  # logs exceptions that nothing awaited

    cancelled = [
        "Cancel 1 running task(s), timeout graceful shutdown exceeded",
        "delivery did not finish within 0 s and was canceled",
        "shutdown abandoned unfinished tasks: /minerpulse board",
        "token renewal did not finish within 0 s and was canceled",
    ]
    records = [(record.levelno, record.getMessage()) for record in caplog.records]
    assert [] == [message for level, message in records if level >= logging.ERROR]
    assert ([] if finishes else cancelled) == sorted({message for level, message in records if message in cancelled})


async def record_alert(settings: Settings) -> None:
    """Store a closed alert, so that no tick changes it, with its message undelivered."""
    store = await SqlStore.open(settings.database_url)
    await store.record([], [AlertChange(alert=an_alert(closed_at=AT), revision=0)], datetime.now(UTC))
    await store.aclose()


async def backlog_of(settings: Settings) -> Backlog:
    store = await SqlStore.open(settings.database_url)
    backlog = await store.backlog(datetime.now(UTC))
    await store.aclose()
    return backlog


def post_count(slack: FakeSlack) -> int:
    return sum(call.method == "chat.postMessage" for call in slack.calls)


@pytest.fixture
async def socket_server() -> AsyncIterator[SocketServer]:
    async with socket_mode_server() as server:
        server.default = [command("e1", "help")]
        yield server


def socket_settings(socket_server: SocketServer) -> dict[str, Any]:
    return {
        "slack_signing_secret": None,
        "slack_app_token": SecretStr("xapp-made-up"),
        "slack_mode": SlackMode.SOCKET,
        "slack_api_url": f"{socket_server.url}api/",
    }


async def test_in_socket_mode_commands_use_only_the_socket(
    slack: FakeSlack, socket_server: SocketServer, tmp_path: Path
) -> None:
    async with running(settings_for(slack, tmp_path, **socket_settings(socket_server))) as client:
        await eventually(lambda: socket_server.received)
        timestamp = str(int(time.time()))
        signature = sign("", timestamp, b"").decode()  # with an empty secret, as none is set
        headers = {"x-slack-request-timestamp": timestamp, "x-slack-signature": signature}
        forged = await client.post("/slack/events", content="", headers=headers)

    (response,) = socket_server.received
    assert "e1" == response["envelope_id"]
    assert "rule add 5d 15pp" in response["payload"]["text"]
    assert 404 == forged.status_code


async def test_without_a_usable_socket_the_server_is_not_ready(
    slack: FakeSlack, socket_server: SocketServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.socket_mode.UNUSABLE_AFTER_S", 0.0)
    monkeypatch.setattr("bot.socket_mode.MAX_OUTAGE_BACKOFF_S", 0.01)
    socket_server.refuse_socket = True
    settings = settings_for(slack, tmp_path, **socket_settings(socket_server))

    async with running(settings, ready_path="/healthz") as client:
        await eventually(lambda: socket_server.refused)
        unready = await client.get("/readyz")
        socket_server.refuse_socket = False
        await eventually(lambda: responds_ok(client, "/readyz"))

    assert 503 == unready.status_code
    assert "no usable Socket Mode connection" in unready.text


async def rotating_installation(slack: FakeSlack, tmp_path: Path) -> Settings:
    """Return the settings of an app that is installed in T1 with a token to be renewed at the start."""
    key, now = generate_key(), datetime.now(UTC)
    settings = settings_for(
        slack,
        tmp_path,
        slack_bot_token=None,
        slack_client_id=CLIENT_ID,
        slack_client_secret=SecretStr(CLIENT_SECRET),
        token_keys=(SecretStr(key),),
    )
    store = await SqlStore.open(settings.database_url)
    await store.installations([key]).save(replace(ROTATING, installed_at=now, expires_at=now + timedelta(hours=1)))
    await store.aclose()
    slack.refresh_tokens = {"xoxe-1": "xoxe.xoxb-2"}
    return settings


async def test_a_stop_during_a_token_renewal_saves_the_new_pair(
    slack: FakeSlack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="bot.serve")
    answer, settings = asyncio.Event(), await rotating_installation(slack, tmp_path)
    slack.fail(OAUTH, Fault(until=answer))

    async with running(settings, ready_path="/healthz"):
        await eventually(lambda: slack.calls_of(OAUTH))
        os.kill(os.getpid(), signal.SIGTERM)
        await eventually(lambda: "stopping" in caplog.text)
        await eventually(lambda: not running_tasks() & {"delivery", "tick"})  # only the renewal holds up the stop
        answer.set()
    store = await SqlStore.open(settings.database_url)
    found = await store.installations([key.get_secret_value() for key in settings.token_keys]).find("T1")
    await store.aclose()

    assert found is not None
    assert ("xoxe.xoxb-2", "xoxe-1+") == (found.bot_token, found.refresh_token)


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
@pytest.mark.parametrize(
    ("host", "addresses"),
    [("::1", ["[::1]"]), ("[::1]", ["[::1]"]), ("::", ["[::1]", "127.0.0.1"])],
)
async def test_the_server_listens_on_ipv6(slack: FakeSlack, tmp_path: Path, host: str, addresses: list[str]) -> None:
    settings = settings_for(slack, tmp_path, host=host)
    with _open_listener(settings) as listener:
        listener.listen()
        for address in addresses:
            _, writer = await asyncio.open_connection(address.strip("[]"), settings.port)
            writer.close()


async def test_a_second_process_on_one_sqlite_file_logs_a_warning(
    slack: FakeSlack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = settings_for(slack, tmp_path)
    with database_lock(first.database_url) as lock:
        async with running(settings_for(slack, tmp_path), ready_path="/healthz"):
            pass
    warned = caplog.text.count(f"Another MinerPulse process is using {tmp_path}/app.db")
    async with running(settings_for(slack, tmp_path), ready_path="/healthz"):
        pass

    assert (True, 1) == (lock.is_ours, warned)
    assert 1 == caplog.text.count("Another MinerPulse process is using")
    assert not (tmp_path / "app.db-lock").exists()


class LateVendor(httpx.AsyncBaseTransport):
    """A vendor that responds when it is released."""

    def __init__(self, vendors: Vendors) -> None:
        self.vendors, self.requested, self.release = vendors, asyncio.Event(), asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requested.set()
        await self.release.wait()
        return self.vendors.handle(request)


async def test_a_stop_waits_for_the_running_tick_and_starts_no_other() -> None:
    async with open_harness(warm=False) as harness:
        vendor = LateVendor(harness.vendors)
        harness.market.history._equity_feeds[0].source = Yahoo(HttpClient(transport=vendor), harness.clock)  # noqa: SLF001
        ticker = TickScheduler(monitor=harness.monitor, clock=harness.clock)
        tick = asyncio.create_task(ticker.tick())
        await vendor.requested.wait()

        stop = asyncio.create_task(ticker.stop())
        await asyncio.wait({stop}, timeout=0)
        waits = not stop.done()
        vendor.release.set()
        await asyncio.gather(stop, tick)
        last_good_at = ticker.last_good_at
        harness.clock.advance(timedelta(minutes=1))
        await ticker.tick()

    assert waits
    assert OPEN - timedelta(minutes=10) == last_good_at == ticker.last_good_at


async def test_failing_ticks_and_their_recovery_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="bot.scheduler")
    async with open_harness() as harness:
        ticker = TickScheduler(monitor=harness.monitor, clock=harness.clock)
        await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")
        await ticker.tick()
        rule_index, harness.monitor.rule_index = harness.monitor.rule_index, None  # type: ignore[assignment]  # breaks ticks
        for _ in range(6):
            harness.clock.advance(timedelta(minutes=1))
            await ticker.tick()
        harness.monitor.rule_index = rule_index
        await ticker.tick()

    messages = [record.message for record in caplog.records]
    assert ["ticks are failing; retrying every 0:01:00", "ticks recovered"] == messages
    assert OPEN - timedelta(minutes=4) == ticker.last_good_at


async def test_a_second_failure_is_logged_while_the_first_lasts(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="bot.scheduler")
    mara, wgmi = DatabaseUnavailableError("MARA/BTC fails"), DatabaseUnavailableError("WGMI/BTC fails")
    failures = [mara, mara, ExceptionGroup("several pairs failed", [mara, wgmi]), wgmi, mara, None, mara]
    async with open_harness() as harness:
        harness.monitor.rule_index = rule_index = FailingRuleIndex(harness.store)
        ticker = TickScheduler(monitor=harness.monitor, clock=harness.clock)
        for rule_index.error in failures:
            await ticker.tick()
            harness.clock.advance(timedelta(minutes=1))

    messages = [str(record.exc_info[1]) if record.exc_info else record.message for record in caplog.records]
    assert ["MARA/BTC fails", "WGMI/BTC fails", "ticks recovered", "MARA/BTC fails"] == messages


class FailingRuleIndex(RuleIndex):
    """A rule index that raises a given error."""

    error: Exception | None = None

    async def pairs(self) -> dict[Pair, PairRules]:
        if self.error is not None:
            raise self.error
        return await super().pairs()


async def test_a_tick_claimed_by_another_process_is_not_counted() -> None:
    async with open_harness() as harness:
        ticker = TickScheduler(monitor=harness.monitor, clock=harness.clock)
        await harness.store.claim_tick(harness.monitor.pair, harness.clock.at, harness.clock.at)
        await ticker.tick()
        last_good_at = ticker.last_good_at
        harness.clock.advance(timedelta(minutes=1))
        await ticker.tick()

    assert (None, harness.clock.at) == (last_good_at, ticker.last_good_at)


async def test_a_failed_tick_is_retried_within_a_minute() -> None:
    assert [timedelta(seconds=15), timedelta(minutes=1), timedelta(minutes=1)] == [
        retry_interval(timedelta(seconds=seconds)) for seconds in (15, 60, 900)
    ]
    async with open_harness() as harness:
        harness.monitor.every = timedelta(minutes=15)
        await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")
        ticker = TickScheduler(monitor=harness.monitor, clock=harness.clock)
        rule_index, harness.monitor.rule_index = harness.monitor.rule_index, None  # type: ignore[assignment]  # breaks ticks
        await ticker.tick()
        harness.monitor.rule_index = rule_index
        harness.clock.advance(timedelta(minutes=1))
        await ticker.tick()

    assert harness.clock.at == ticker.last_good_at


async def test_a_web_process_neither_ticks_nor_delivers(slack: FakeSlack, tmp_path: Path) -> None:
    settings = settings_for(slack, tmp_path)
    await record_alert(settings)

    async with running(settings, role=Role.WEB) as client:
        ready = (await client.get("/readyz")).json()
        unsigned = await client.post("/slack/events", content="command=%2Fminerpulse")

    assert (True, 1) == (ready["ready"], ready["undelivered"]["waiting"])
    assert 401 == unsigned.status_code
    assert 0 == post_count(slack)
    store = await SqlStore.open(settings.database_url)
    assert Claim.OURS is await store.claim_tick(settings.pair, AT, AT)
    await store.aclose()


async def test_a_worker_delivers_and_handles_no_slack_requests(slack: FakeSlack, tmp_path: Path) -> None:
    settings = settings_for(slack, tmp_path)

    async with running(settings, role=Role.WORKER) as client:
        await record_alert(settings)
        await eventually(lambda: post_count(slack))
        from_slack = await client.post("/slack/events", content="command=%2Fminerpulse")

    assert (1, 404) == (post_count(slack), from_slack.status_code)


async def test_readyz_and_the_command_agree_on_what_each_source_answered(slack: FakeSlack, tmp_path: Path) -> None:
    vendors = Vendors(SetClock(datetime.now(UTC)), faults={"nasdaq": [httpx.Response(503, json={})] * 10_000})
    async with AsyncExitStack() as stack:
        servers = {name: VendorServer(host, vendors) for host, name in HOSTS.items() if name in {"yahoo", "nasdaq"}}
        for server in servers.values():
            await server.open()
            stack.push_async_callback(server.aclose)
        settings = settings_for(
            slack,
            tmp_path,
            etf_sources=("yahoo", "nasdaq"),
            source_urls={name: server.url for name, server in servers.items()},
        )
        async with running(settings, ready_path="/healthz") as client:

            async def agree() -> bool:
                shown = (await client.get("/readyz")).json()["sources"]
                async with build(settings, create_database=False) as app:
                    stored = document_of(await examine(app))["sources"]
                states.append(shown)
                return bool(shown[1]["failures"]) and shown == to_json(stored)

            states: list[Any] = []
            await eventually(agree)

    yahoo, nasdaq, simulated = states[-1]
    assert ("yahoo", ["etf"], 0, None) == (yahoo["name"], yahoo["used_for"], yahoo["failures"], yahoo["problem"])
    assert yahoo["last_success_at"]
    assert ("nasdaq", None) == (nasdaq["name"], nasdaq["last_success_at"])
    assert "HTTP 503 Service Unavailable; a fault at the source; MinerPulse retries" == nasdaq["problem"]
    assert {**SIMULATED, "used_for": ["crypto", "network"]} == simulated


async def test_sighup_reads_the_sinks_again_and_keeps_them_if_the_file_is_wrong(
    slack: FakeSlack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="bot.serve")
    path, key = tmp_path / "sinks.toml", tmp_path / "key"
    desk = f'[desk]\ntype = "pagerduty"\nsecret = "file:{key}"\n'
    key.write_text(ROUTING_KEY, encoding="utf-8")
    path.write_text(desk, encoding="utf-8")
    path.chmod(0o600)

    async def reload(expected: str) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        await eventually(lambda: expected in caplog.messages[-1])

    async with running(settings_for(slack, tmp_path, sinks_file=path)):
        key.write_text("f" * 32, encoding="utf-8")
        path.write_text(desk + desk.replace("desk", "night"), encoding="utf-8")
        await reload("reloaded the sinks: desk, night")
        path.write_text("[desk", encoding="utf-8")
        await reload("the sinks were not changed: The sinks file isn't valid TOML")

    assert ROUTING_KEY not in caplog.text
