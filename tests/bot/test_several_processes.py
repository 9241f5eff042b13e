"""Two web processes on one database, behind one load balancer."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from bot.app import App, build
from bot.health import HealthReport
from bot.http.app import SLACK_PATH, build_web
from bot.http.slack_requests import LEASE, SlackRequests
from bot.settings import Settings
from services.core.errors import DatabaseUnavailableError
from tests.fakes.clock import SetClock
from tests.fakes.harness import CHANNEL, OPEN, YESTERDAY
from tests.fakes.slack import SECRET, TOKEN, FakeSlack, error_response, signed_headers, slack_server
from tests.fakes.vendors import Vendors


@dataclass(slots=True, kw_only=True)
class Processes:
    """Two apps that share a database and a Slack."""

    apps: list[App]
    webs: list[httpx.AsyncClient]
    slack: FakeSlack

    async def send(self, *bodies: str) -> list[httpx.Response]:
        """Send the first body to the first app and the second to the second, at the same time."""
        posts = [
            web.post(SLACK_PATH, content=body, headers=signed_headers(body))
            for web, body in zip(self.webs, bodies, strict=True)
        ]
        responses = await asyncio.gather(*posts)
        for app in self.apps:
            await app.background.drain()
        return responses

    def command(self, text: str) -> str:
        form = {"command": "/minerpulse", "text": text, "channel_id": "C1", "user_id": "U1", "team_id": "T1"}
        return urlencode({**form, "response_url": f"{self.slack.url}responses/1", "trigger_id": time.monotonic_ns()})

    def left(self, event_id: str) -> str:
        event = {"type": "channel_left", "channel": "C1", "actor_id": "U1"}
        return json.dumps({"type": "event_callback", "team_id": "T1", "event_id": event_id, "event": event})

    def press(self, action_id: str, user_id: str) -> str:
        payload: dict[str, Any] = {
            "type": "block_actions",
            "team": {"id": "T1"},
            "user": {"id": user_id},
            "channel": {"id": "C1"},
            "response_url": f"{self.slack.url}responses/2",
            "trigger_id": str(time.monotonic_ns()),
            "actions": [{"type": "button", "action_id": action_id, "block_id": "b", "value": "board"}],
        }
        return urlencode({"payload": json.dumps(payload)})

    @property
    def posts(self) -> list[dict[str, Any]]:
        return [call.arguments for call in self.slack.calls if call.method == "chat.postMessage"]


@pytest.fixture
async def processes(tmp_path: Path) -> AsyncIterator[Processes]:
    clock = SetClock(OPEN)
    vendors = Vendors(clock, etf_moves={YESTERDAY: 20.0})
    async with slack_server() as slack, AsyncExitStack() as stack:
        settings = Settings(
            slack_bot_token=SecretStr(TOKEN),
            slack_signing_secret=SecretStr(SECRET),
            slack_api_url=f"{slack.url}api/",
            database_url=f"sqlite:///{tmp_path}/shared.db",
        )
        processes = Processes(apps=[], webs=[], slack=slack)
        for _ in range(2):
            app = await stack.enter_async_context(
                build(settings, clock=clock, equity=vendors.yahoo(), crypto=vendors.coinbase(), network_sources=())
            )
            requests = SlackRequests(
                bolt=app.bolt, signing_secret=SECRET, shared_keys=app.store, clock=clock, now_s=time.time
            )
            transport = httpx.ASGITransport(build_web(requests, healthy))
            web = httpx.AsyncClient(transport=transport, base_url="http://minerpulse")
            processes.apps.append(app)
            processes.webs.append(await stack.enter_async_context(web))
        yield processes


attempts = count()


async def healthy() -> HealthReport:
    return HealthReport(problems=(), backlog=None)


async def test_a_command_that_reaches_two_processes_runs_once(processes: Processes) -> None:
    body = processes.command("rule add 5d 15pp")

    responses = await processes.send(body, body)

    assert [200, 200] == [response.status_code for response in responses]
    assert 1 == len(processes.slack.responses)
    assert 1 == len(await processes.apps[0].store.rules(CHANNEL))


async def test_a_command_typed_twice_runs_twice(processes: Processes) -> None:
    await processes.send(processes.command("rules"), processes.command("rules"))

    assert 2 == len(processes.slack.responses)


async def test_start_pressed_in_two_processes_is_announced_once(processes: Processes) -> None:
    await processes.send(processes.press("start", "U1"), processes.press("start", "U2"))

    assert 1 == sum("Started by" in json.dumps(post) for post in processes.posts)
    assert 3 == len(await processes.apps[0].store.rules(CHANNEL))


async def test_a_start_that_could_not_be_announced_can_be_pressed_again(processes: Processes) -> None:
    processes.slack.fail("chat.postMessage", error_response("channel_not_found"))
    await processes.send(processes.press("start", "U1"), processes.command("help"))
    await processes.send(processes.press("start", "U1"), processes.command("help"))

    assert 3 == len(await processes.apps[0].store.rules(CHANNEL))


async def send_event(processes: Processes, number: int, event_id: str = "Ev1") -> int:
    """Send an event to one process, as Slack's next attempt does; return the status of the answer."""
    body = processes.left(event_id) + " " * next(attempts)  # each attempt has a signature of its own
    headers = signed_headers(body, "application/json")
    return (await processes.webs[number].post(SLACK_PATH, content=body, headers=headers)).status_code


async def test_an_event_whose_process_died_is_handled_by_another_one_when_slack_sends_it_again(
    processes: Processes,
) -> None:
    app, (clock, store) = processes.apps[0], (processes.apps[0].clock, processes.apps[0].store)
    await app.commands.add_rule(CHANNEL, "5d 15pp", "U1")
    await store.claim_key("event:Ev1", now=clock.now(), ttl=LEASE)  # what a process that died leaves behind

    early = await send_event(processes, 1), len(await store.rules(CHANNEL))
    assert isinstance(clock, SetClock)
    clock.at += LEASE
    late = await send_event(processes, 1), len(await store.rules(CHANNEL))
    await app.commands.add_rule(CHANNEL, "5d 15pp", "U1")
    repeats = [await send_event(processes, number) for number in (0, 1)]
    clock.at += 10 * LEASE
    repeats.append(await send_event(processes, 0))

    assert ((503, 1), (200, 0)) == (early, late)
    assert ([200, 200, 200], 1) == (repeats, len(await store.rules(CHANNEL)))


async def test_an_event_whose_handling_failed_is_handled_when_slack_sends_it_again(
    processes: Processes,
) -> None:
    app, store = processes.apps[0], processes.apps[0].store
    await app.commands.add_rule(CHANNEL, "5d 15pp", "U1")
    async with store._database.write() as tx:  # noqa: SLF001 -- no method breaks a database
        await tx.execute(text("ALTER TABLE rule_audit RENAME TO lost"))
    failed = await send_event(processes, 0), len(await store.rules(CHANNEL))
    async with store._database.write() as tx:  # noqa: SLF001 -- as above
        await tx.execute(text("ALTER TABLE lost RENAME TO rule_audit"))

    again = await send_event(processes, 1), len(await store.rules(CHANNEL))

    assert ((500, 1), (200, 0)) == (failed, again)


async def test_without_a_database_a_command_is_still_answered(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> bool:
        raise DatabaseUnavailableError("the disk is gone")

    for app in processes.apps:
        monkeypatch.setattr(type(app.store), "claim_key", fail)
    await processes.send(processes.command("rules"), processes.command("rules"))

    assert 2 == len(processes.slack.responses)
