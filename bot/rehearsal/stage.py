"""The stage: the real services and listeners, against a stand-in for Slack and a clock that can be set."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import SecretStr

from bot.app import App, build
from bot.fake_slack.server import serving
from bot.fake_slack.workspace import Change, Message, Workspace
from bot.rehearsal.person import Person
from bot.rehearsal.script import Script, VirtualClock
from bot.settings import Settings, SlackMode, without_proxies
from services.core.identity import Channel
from services.core.prices import WGMI_BTC

CHANNEL, YOU = "DESK", "YOU"
START = {"type": "button", "action_id": "start", "value": "board"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A channel of the app, played session by session."""

    app: App
    clock: VirtualClock
    channel: Channel

    async def step(self, at: datetime) -> None:
        """Move the clock on, tick once and deliver all that is due."""
        self.clock.at = at
        await self.app.monitor.tick(at)
        await self.app.upkeep.tick(at)
        await self.app.outbox.deliver(at)

    async def outcome(self) -> tuple[int, int]:
        """Count the alerts that were posted, and those that have been resolved."""
        alerts = await self.app.store.history(self.channel, limit=1_000_000)
        return len(alerts), sum(alert.closed_at is not None for alert in alerts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal(Stage):
    """A channel in memory, with a person in it."""

    workspace: Workspace
    you: Person
    channel: Channel = field(default=Channel(team="T1", id=CHANNEL))

    async def start(self) -> None:
        """Press the button that starts the usual rules in a channel that has none."""
        board = Message(channel=CHANNEL, ts="0", text="", blocks=[], only_for=YOU)
        await self.you.click(board, START)
        await self.settle()

    async def settle(self) -> None:
        """Let what a person asked for come to its end, and deliver what it changed."""
        await self.app.errands.drain()
        await self.app.outbox.deliver(self.clock.now())

    def messages(self) -> list[Message]:
        """List the channel's messages, oldest first."""
        return self.workspace.messages(CHANNEL)


@asynccontextmanager
async def rehearsing(settings: Settings, script: Script, tell: Callable[[Change], None]) -> AsyncIterator[Rehearsal]:
    """Open the stand-in and the app, with everything in memory, and close them at the end."""
    workspace = Workspace(now=script.clock.now, channels=(CHANNEL,), tell=tell)
    async with AsyncExitStack() as stack:
        stack.enter_context(without_proxies())
        await stack.enter_async_context(serving(workspace))
        secret = secrets.token_hex(16)
        made_up = {
            "slack_bot_token": SecretStr(workspace.token),
            "slack_signing_secret": SecretStr(secret),
            "slack_app_token": None,
            "slack_client_id": None,
            "slack_mode": SlackMode.HTTP,
            "slack_api_url": workspace.url,
            "database_url": "sqlite://",
            "etf": WGMI_BTC.etf,
            "crypto": WGMI_BTC.crypto,
        }
        offline = settings.model_copy(update=made_up)
        app = await stack.enter_async_context(
            build(offline, clock=script.clock, equity=script.equity, crypto=script.crypto, networks=script.networks)
        )
        you = Person(id=YOU, channel=CHANNEL, secret=secret, bolt=app.bolt, workspace=workspace)
        yield Rehearsal(app=app, clock=script.clock, workspace=workspace, you=you)
