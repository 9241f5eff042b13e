"""Socket Mode against Slack's end on 127.0.0.1: reconnection, backoff, readiness and repeated envelopes."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from pydantic import SecretStr

from bot.app import build
from bot.http.slack_requests import LEASE
from bot.settings import Settings, SlackMode
from bot.socket_mode import SocketMode
from services.storage import SqlStore
from tests.fakes.socket_mode import SocketServer, command, disconnect, event, socket_mode_server


@dataclass(slots=True)
class SetMonotonic:
    """A monotonic clock that only pauses advance. `before_pause` is called at each; `limit` pauses end the test."""

    now_s: float = 100.0
    pauses: list[float] = field(default_factory=list)
    before_pause: Callable[[int], None] = lambda _number: None
    limit: int = 1_000
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def monotonic(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.before_pause(len(self.pauses))
        self.pauses.append(seconds)
        self.now_s += seconds
        if len(self.pauses) >= self.limit:
            self.done.set()
            await asyncio.Event().wait()


@pytest.fixture
async def server() -> AsyncIterator[SocketServer]:
    async with socket_mode_server() as server:
        yield server


@asynccontextmanager
async def connected(
    server: SocketServer, time: SetMonotonic, database_url: str = "sqlite://", *, heartbeat_s: float = 10.0
) -> AsyncIterator[SocketMode]:
    """Run the app with Socket Mode until the end of the block."""
    settings = Settings(
        slack_bot_token=SecretStr("xoxb-made-up"),
        slack_app_token=SecretStr("xapp-made-up"),
        slack_mode=SlackMode.SOCKET,
        slack_api_url=f"{server.url}api/",
        database_url=database_url,
        etf_sources=("simulated",),
        crypto_sources=("simulated",),
    )
    async with build(settings) as app:
        connection = SocketMode(
            bolt=app.bolt,
            client=app.client,
            app_token="xapp-made-up",
            heartbeat_s=heartbeat_s,
            sleep=time.sleep,
            monotonic=time.monotonic,
            random=Random(1),  # noqa: S311 -- jitter
        )
        running = asyncio.create_task(connection.run())
        try:
            yield connection
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_after_an_outage_it_reconnects_with_a_new_url_within_10_s(server: SocketServer) -> None:
    time = SetMonotonic()
    server.refuse_socket = True
    server.default = [command("e1", "help")]

    def recover(number: int) -> None:
        server.refuse_socket = number < 20

    time.before_pause = recover
    async with connected(server, time) as connection:
        await server.acknowledged(1)
        problem = connection.problem()

    assert (22, 22, 1) == (len(server.urls), len({*server.urls}), server.opened)
    assert all(1 <= pause <= 8 for pause in time.pauses)
    assert None is problem


async def test_a_socket_that_slack_closes_at_once_backs_off_up_to_a_minute(
    server: SocketServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    time = SetMonotonic(limit=40)
    server.default = [disconnect("too_many_websockets")]
    async with connected(server, time) as connection:
        await asyncio.wait_for(time.done.wait(), 30)
        problem = connection.problem()

    elapsed_s = [sum(time.pauses[: number + 1]) for number in range(40)]
    assert all(1 <= pause <= 60 for pause in time.pauses)
    assert sum(elapsed <= 20 for elapsed in elapsed_s) < 12
    assert max(time.pauses) > 30
    assert len({*time.pauses}) == 40
    messages = [record.getMessage() for record in caplog.records if record.name == "bot.socket_mode"]
    assert 1 == len(messages)
    assert "Stop other processes that use this app token" in messages[0]
    assert problem is not None
    assert "Slack allows ten sockets per app" in problem


@pytest.mark.parametrize("fault", ["open", "socket", "flapping", "cut off", "link disabled"])
async def test_without_a_usable_socket_for_30_s_the_app_is_not_ready(server: SocketServer, fault: str) -> None:
    time = SetMonotonic()
    match fault:
        case "open":
            server.refuse_open = "internal_error"
        case "socket":
            server.refuse_socket = True
        case "flapping":
            server.default = [disconnect("too_many_websockets")]
        case "cut off":
            server.dropped = 1_000
        case _:
            server.default = [disconnect("link_disabled")]
    problems: list[tuple[float, str | None]] = []
    async with connected(server, time) as connection:
        time.before_pause = lambda _number: problems.append((time.now_s - 100, connection.problem()))
        time.limit = 60
        await asyncio.wait_for(time.done.wait(), 30)

    assert {False} == {problem is not None for elapsed, problem in problems if elapsed < 30}
    assert {True} == {problem is not None for elapsed, problem in problems if elapsed >= 30}


async def test_slacks_refresh_is_followed_at_once(server: SocketServer) -> None:
    time = SetMonotonic()
    server.scripts = [[command("e1", "help"), disconnect("refresh_requested")], [command("e2", "help")]]
    async with connected(server, time):
        ids = await server.acknowledged(2)

    assert (["e1", "e2"], [0.0], 2) == (ids, time.pauses, len(server.urls))


async def test_a_repeated_event_or_envelope_is_answered_once_also_after_a_restart(
    server: SocketServer, tmp_path: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="bot.bolt_app")
    database_url = f"sqlite:///{tmp_path}/app.db"
    again = [command("e1", "help"), event("e2", "Ev1"), event("e3", "Ev1")]
    server.default = again
    for count in (3, 6):
        async with connected(server, SetMonotonic(), database_url):
            await server.acknowledged(count)

    answers = [message for message in server.received if "payload" in message]
    assert ["e1"] == [message["envelope_id"] for message in answers]
    assert 4 == caplog.text.count("ignored a repeated event")


async def test_an_event_whose_process_died_is_acknowledged_only_when_its_lease_is_over(
    server: SocketServer, tmp_path: Path
) -> None:
    database_url = f"sqlite:///{tmp_path}/app.db"
    server.default = [event("e1", "Ev1"), command("e2", "help")]
    store = await SqlStore.open(database_url)

    for claimed_at, count in ((datetime.now(UTC), 1), (datetime.now(UTC) - LEASE, 3)):
        await store.release_key("event:Ev1")
        await store.release_key("envelope:e2")
        await store.claim_key("event:Ev1", now=claimed_at, ttl=LEASE)  # what a process that died leaves behind
        async with connected(server, SetMonotonic(), database_url):
            await server.acknowledged(count)
    await store.aclose()

    first, *later = [message["envelope_id"] for message in server.received]
    assert ("e2", ["e1", "e2"]) == (first, sorted(later))


async def test_a_form_that_cannot_be_used_is_answered_in_the_acknowledgement(server: SocketServer) -> None:
    view = {
        "id": "V1",
        "type": "modal",
        "callback_id": "rule_editor",
        "private_metadata": "{}",
        "state": {"values": {}},
    }
    payload = {"type": "view_submission", "team": {"id": "T1"}, "user": {"id": "U1"}, "view": view}
    server.default = [{"type": "interactive", "envelope_id": "e1", "payload": payload}]
    async with connected(server, SetMonotonic()):
        await server.acknowledged(1)

    (answer,) = [message["payload"] for message in server.received]
    assert ("update", "modal") == (answer["response_action"], answer["view"]["type"])


async def test_a_second_outage_begins_with_a_short_pause_again(server: SocketServer) -> None:
    """The pauses of the first outage have grown by then; `second_outage` is the first pause after it."""
    time = SetMonotonic(limit=21)
    server.refuse_socket = True
    server.default = [command("e1", "help"), disconnect("too_many_websockets")]

    def recover(number: int) -> None:
        server.refuse_socket = number < 19

    time.before_pause = recover
    async with connected(server, time):
        await asyncio.wait_for(time.done.wait(), 30)

    *first_outage, second_outage = time.pauses
    assert max(first_outage) > 4
    assert 1 <= second_outage <= 2


async def test_slacks_wait_after_a_rate_limit_is_kept(server: SocketServer) -> None:
    time = SetMonotonic(limit=3)
    server.retry_after_s = 90
    async with connected(server, time):
        await asyncio.wait_for(time.done.wait(), 30)

    assert [90.0] * 3 == time.pauses


async def test_a_socket_that_stops_answering_pings_is_replaced(server: SocketServer) -> None:
    time = SetMonotonic()
    server.silent = 1
    server.default = [command("e1", "help")]
    async with connected(server, time, heartbeat_s=0.05):
        await server.acknowledged(1)

    assert 2 == server.opened


async def test_calls_to_slack_follow_no_proxy(server: SocketServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.default = [command("e1", "help")]
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    async with connected(server, SetMonotonic()):
        await server.acknowledged(1)

    time = SetMonotonic(limit=1)
    monkeypatch.setenv("NO_PROXY", "elsewhere.example")
    monkeypatch.setenv("no_proxy", "elsewhere.example")
    async with connected(server, time):
        await asyncio.wait_for(time.done.wait(), 30)

    assert 1 == server.opened
