"""After a restore from an older backup, messages of later alerts are closed when someone presses their buttons."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from bot.app import build
from bot.health import HealthReport
from bot.http.app import build_web
from bot.http.slack_requests import SlackRequests
from bot.settings import Settings
from services.storage import back_up, restore
from tests.bot.test_flow import START, FlowHarness, button
from tests.fakes.clock import SetClock
from tests.fakes.harness import CHANNEL, YESTERDAY
from tests.fakes.slack import SECRET, TOKEN, FakeSlack, slack_server
from tests.fakes.vendors import Vendors

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
NOTE = "No longer tracked: MinerPulse's database doesn't have this alert, so nothing here is updated."


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with slack_server() as slack:
        yield slack


@asynccontextmanager
async def running(slack: FakeSlack, url: str, clock: SetClock) -> AsyncIterator[FlowHarness]:
    """Run the whole app on a database."""
    vendors = Vendors(
        clock, etf_moves={YESTERDAY: 20.0}, crypto_moves={datetime(2026, 3, 3, tzinfo=START.tzinfo): 50_000.0}
    )
    slack.clock = clock.now
    settings = Settings(
        slack_bot_token=SecretStr(TOKEN),
        slack_signing_secret=SecretStr(SECRET),
        slack_api_url=f"{slack.url}api/",
        database_url=url,
    )
    async with build(settings, clock=clock, equity=vendors.yahoo(), crypto=vendors.coinbase()) as app:

        async def no_report() -> HealthReport:
            raise AssertionError

        transport = httpx.ASGITransport(build_web(SlackRequests(bolt=app.bolt, signing_secret=SECRET), no_report))
        async with httpx.AsyncClient(transport=transport, base_url="http://minerpulse") as web:
            yield FlowHarness(app, clock, vendors, slack, web)


async def fire(flow: FlowHarness, at: datetime) -> dict[str, Any]:
    """Let the rule fire, and return its message as Slack shows it."""
    for minutes in (0, 5):
        await flow.tick(at + minutes * MINUTE, 0.10)
    posted = [one for one in flow.slack.messages["C1"] if one.text.startswith("Firing: ")]
    return {"ts": posted[-1].ts, **{key: posted[-1].arguments[key] for key in ("text", "blocks")}}


async def test_a_button_of_a_later_alert_closes_its_message_also_when_its_number_is_used_again(
    slack: FakeSlack, tmp_path: Path
) -> None:
    clock, url, backup = SetClock(START - MINUTE), f"sqlite:///{tmp_path}/desk.db", tmp_path / "backup.db"
    async with running(slack, url, clock) as flow:
        await flow.app.commands.add_rule(CHANNEL, "1d 8pp", "U1")
        back_up(url, backup, "")
        lost = await fire(flow, START)
    restore(url, backup, "", clock.at)

    async with running(slack, url, clock) as flow:
        await flow.click(button(lost, "acknowledge"), lost)
        (first,) = flow.slack.responses
        clock.at = START + 10 * MINUTE
        current = await fire(flow, clock.at)
        await flow.click(button(lost, "acknowledge"), lost)
        again = flow.slack.responses[-1]
        untouched = (await flow.app.commands.alert(CHANNEL, 1)).acknowledged
        await flow.click(button(current, "acknowledge"), current)
        acknowledged = (await flow.app.commands.alert(CHANNEL, 1)).acknowledged

    assert button(lost, "acknowledge")["value"] == button(current, "acknowledge")["value"] == "1"
    for closed in (first, again):
        assert closed["replace_original"] is True
        assert "actions" not in {block["type"] for block in closed["blocks"]}
        assert f"{lost['text']}\n{NOTE}" == closed["text"]
    assert untouched is None
    assert acknowledged is not None
