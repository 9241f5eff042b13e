"""The whole app at the HTTP boundary: signed requests in, Slack's Web API out, faked vendors."""

import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from pydantic import SecretStr

from bot.app import App, build
from bot.health import Health
from bot.http.app import SLACK_PATH, build_web
from bot.http.slack_requests import SlackRequests
from bot.scheduler import TickScheduler
from bot.settings import Settings
from services.alerting.ports import AlertChange
from services.delivery.dispatcher import MAX_ATTEMPTS
from services.rules.decide import Side
from tests.fakes.alerts import an_alert
from tests.fakes.clock import SetClock
from tests.fakes.harness import CHANNEL, OPEN, YESTERDAY
from tests.fakes.slack import SECRET, TOKEN, FakeSlack, error_response, signed_headers, slack_server
from tests.fakes.vendors import Vendors

START = OPEN + timedelta(minutes=30)
STATUS_TOKEN = "status-token"
STATUS = {"Authorization": f"Bearer {STATUS_TOKEN}"}


@dataclass(slots=True)
class FlowHarness:
    app: App
    clock: SetClock
    vendors: Vendors
    slack: FakeSlack
    web: httpx.AsyncClient

    async def tick(self, at: datetime, spread: float) -> None:
        self.clock.at = at
        self.vendors.etf_last = (20.0 * (1 + spread), at)
        await self.app.monitor.tick(at)
        await self.app.outbox.deliver(at)

    async def send_command(self, text: str) -> httpx.Response:
        return await self.send({"command": "/minerpulse", "text": text, "channel_id": "C1", "user_id": "U1"})

    async def click(self, element: dict[str, Any], message: dict[str, Any] | None = None) -> httpx.Response:
        action = {"block_id": "b", **{key: element[key] for key in ("type", "action_id", "value")}}
        payload = {
            "type": "block_actions",
            "team": {"id": "T1"},
            "user": {"id": "U1"},
            "channel": {"id": "C1"},
            "response_url": f"{self.slack.url}responses/2",
            "actions": [action],
            **({} if message is None else {"message": message}),
        }
        return await self.send({"payload": json.dumps(payload)})

    async def send(self, form: dict[str, str], secret: str = SECRET) -> httpx.Response:
        body = urlencode({"team_id": "T1", "response_url": f"{self.slack.url}responses/1", **form, **unique_fields()})
        response = await self.web.post(SLACK_PATH, content=body, headers=signed_headers(body, secret=secret))
        await self.app.background.drain()
        await self.app.outbox.deliver(self.clock.now())
        return response


def button(message: dict[str, Any], action_id: str) -> dict[str, Any]:
    """Return the button of a message with this action."""
    elements = [element for block in message["blocks"] if block["type"] == "actions" for element in block["elements"]]
    (found,) = [element for element in elements if element["action_id"] == action_id]
    return dict(found)


def unique_fields() -> dict[str, int]:
    """Return fields that make each request unique, as Slack's trigger_id does."""
    return {"trigger_id": time.monotonic_ns()}


@asynccontextmanager
async def open_flow() -> AsyncIterator[FlowHarness]:
    clock = SetClock(OPEN - timedelta(minutes=10))
    vendors = Vendors(clock, etf_moves={YESTERDAY: 20.0}, crypto_moves={datetime(2026, 3, 3, tzinfo=UTC): 50_000.0})
    async with slack_server() as slack:
        settings = Settings(
            slack_bot_token=SecretStr(TOKEN),
            slack_signing_secret=SecretStr(SECRET),
            slack_api_url=f"{slack.url}api/",
            database_url="sqlite://",
        )
        async with build(settings, clock=clock, equity=vendors.yahoo(), crypto=vendors.coinbase()) as app:
            health = Health(TickScheduler(monitor=app.monitor, clock=clock), app.store, app.client)
            transport = httpx.ASGITransport(
                build_web(SlackRequests(bolt=app.bolt, signing_secret=SECRET), health.report, status_token=STATUS_TOKEN)
            )
            async with httpx.AsyncClient(transport=transport, base_url="http://minerpulse", headers=STATUS) as web:
                yield FlowHarness(app, clock, vendors, slack, web)
        assert slack.malformed == []


@pytest.fixture
async def flow() -> AsyncIterator[FlowHarness]:
    async with open_flow() as flow:
        yield flow


async def test_an_alert_from_the_first_command_to_its_resolution(flow: FlowHarness) -> None:
    answered = await flow.send_command("")
    board = flow.slack.responses[-1]
    await flow.click(button(board, "start"))
    rules = [str(watch.rule) for watch in await flow.app.store.rules(CHANNEL)]
    greetings = len(flow.slack.arguments_of("chat.postMessage"))

    await flow.tick(START, 0.09)
    quiet = flow.slack.arguments_of("chat.postMessage")[greetings:]
    await flow.tick(START + timedelta(minutes=5), 0.10)
    alert, context = flow.slack.arguments_of("chat.postMessage")[greetings:]
    await flow.click(button(alert, "acknowledge"))
    acknowledged = flow.slack.arguments_of("chat.update")[-1]
    await flow.tick(START + timedelta(minutes=10), 0.01)
    resolved = flow.slack.arguments_of("chat.update")[-1]
    thread = [one["text"] for one in flow.slack.arguments_of("chat.postMessage")[greetings + 2 :]]
    await flow.send_command("history")

    assert (200, "") == (answered.status_code, answered.text)
    assert (["1d 8pp", "5d 15pp", "20d 30pp"], []) == (rules, quiet)
    assert alert["shown"].startswith("Firing: WGMI 10.0 pp ahead of BTC over 1 session (alert 1).")
    assert context["text"].startswith("Context for alert #1.")
    assert "C1" == alert["channel"]
    assert "by <@U1> at " in acknowledged["shown"]
    assert "Resolved" in resolved["text"]
    (buttons,) = [block["elements"] for block in resolved["blocks"] if block["type"] == "actions"]
    assert ["useful", "noise", "details"] == [one["action_id"] for one in buttons]
    assert 2 == len(thread)
    assert "cleared: " in thread[-1]
    assert "WGMI ahead of BTC, peak 10.0 pp" in flow.slack.responses[-1]["shown"]


async def test_an_unsigned_request_is_rejected(flow: FlowHarness) -> None:
    response = await flow.send({"command": "/minerpulse", "text": "", "channel_id": "C1", "user_id": "U1"}, "forged")

    assert 401 == response.status_code
    assert [] == flow.slack.responses


async def test_help_and_input_errors_are_answered_in_the_acknowledgement(flow: FlowHarness) -> None:
    help_text, unknown, unread = [(await flow.send_command(text)).text for text in ("help", "ruels", "rule add 1d 8")]

    assert "/minerpulse rule add" in help_text
    assert "/minerpulse rules" in unknown
    assert "percentage points, as in 8pp" in unread
    assert [] == flow.slack.responses


async def test_readyz_reports_the_reason(flow: FlowHarness) -> None:
    alive, early = await flow.web.get("/healthz"), await flow.web.get("/readyz")

    undelivered: dict[str, object] = {
        "waiting": 0,
        "dead_lettered": 0,
        "kept_back": 0,
        "oldest_s": None,
        "needs_a_person": [],
    }
    assert (200, 503) == (alive.status_code, early.status_code)
    assert {
        "ready": False,
        "why": "the first tick hasn't finished yet",
        "undelivered": undelivered,
        "sources": [],
    } == early.json()


async def test_undelivered_messages_are_counted_without_affecting_readiness(flow: FlowHarness) -> None:
    first, second = (AlertChange(alert=an_alert(side=side), revision=0) for side in (Side.ABOVE, Side.BELOW))
    await flow.app.store.record([], [first], START)
    flow.slack.fail("chat.postMessage", *[error_response("msg_too_long")] * MAX_ATTEMPTS)
    for hour in range(MAX_ATTEMPTS):
        await flow.app.outbox.deliver(START + timedelta(hours=hour))
    await flow.app.store.record([], [second], START)
    flow.clock.at = START + timedelta(minutes=7)
    readyz = await flow.web.get("/readyz")

    assert "the first tick hasn't finished yet" == readyz.json()["why"]
    undelivered = readyz.json()["undelivered"]
    (stuck,) = undelivered.pop("needs_a_person")
    assert {"waiting": 1, "dead_lettered": 1, "kept_back": 0, "oldest_s": 420} == undelivered
    assert stuck.startswith("channel C1: 1 dead-lettered (")


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer wrong", "status-token", "Bearer \u00e9"])
async def test_without_the_status_token_readyz_names_categories_only(flow: FlowHarness, authorization: str) -> None:
    await flow.app.store.record([], [AlertChange(alert=an_alert(), revision=0)], START)
    flow.slack.fail("chat.postMessage", error_response("channel_not_found"))
    await flow.app.outbox.deliver(START)
    details = (await flow.web.get("/readyz")).text

    public = await flow.web.get("/readyz", headers={b"Authorization": authorization.encode()})

    assert "C1" in details
    assert (503, {"ready": False, "why": "ticks"}) == (public.status_code, public.json())


async def test_what_people_type_is_not_logged(flow: FlowHarness, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for text in ("rule add sesame", "why 1 sesame", "backtest sesame", "snooze sesame", "channel mention sesame"):
        await flow.send_command(text)

    assert "sesame" not in caplog.text
    assert "request refused: ChannelSettingError" in caplog.messages
