"""The rehearsal: real services and listeners, with a fake Slack and a virtual clock."""

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import SecretStr

from bot.app import App, build
from bot.fake_slack.server import serve_workspace
from bot.fake_slack.workspace import MessageEvent, PostedMessage, Workspace
from bot.rehearsal.person import Person
from bot.rehearsal.script import Script, VirtualClock
from bot.settings import Settings, SlackMode, without_proxies
from services.core.identity import Channel
from services.core.prices import WGMI_BTC

CHANNEL, USER = "DESK", "YOU"
START_BUTTON = {"type": "button", "action_id": "start", "value": "board"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A channel of the app, played session by session."""

    app: App
    clock: VirtualClock
    channel: Channel

    async def step(self, at: datetime) -> None:
        """Advance the clock, tick once and deliver everything due."""
        self.clock.at = at
        await self.app.monitor.tick(at)
        await self.app.maintenance.tick(at)
        await self.app.outbox.deliver(at)

    async def alert_counts(self) -> tuple[int, int]:
        """Return how many alerts were posted, and how many of them are resolved."""
        alerts = await self.app.store.history(self.channel, limit=1_000_000)
        return len(alerts), sum(alert.closed_at is not None for alert in alerts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal(Stage):
    """A channel in memory with one person in it."""

    workspace: Workspace
    person: Person
    channel: Channel = field(default=Channel(team="T1", id=CHANNEL))

    async def start(self) -> None:
        """Press the button that adds the default rules."""
        board = PostedMessage(channel=CHANNEL, ts="0", text="", blocks=[], visible_to=USER)
        await self.person.click(board, START_BUTTON)
        await self.finish_pending()

    async def finish_pending(self) -> None:
        """Wait for background replies, and deliver the resulting messages."""
        await self.app.background.drain()
        await self.app.outbox.deliver(self.clock.now())

    def messages(self) -> list[PostedMessage]:
        """Return the channel's messages, oldest first."""
        return self.workspace.messages(CHANNEL)


@asynccontextmanager
async def open_rehearsal(
    settings: Settings, script: Script, on_event: Callable[[MessageEvent], None]
) -> AsyncIterator[Rehearsal]:
    """Start the fake Slack and the app, with a database in memory; close both on exit."""
    workspace = Workspace(now=script.clock.now, channels=(CHANNEL,), on_event=on_event)
    async with AsyncExitStack() as stack:
        stack.enter_context(without_proxies())
        await stack.enter_async_context(serve_workspace(workspace))
        secret = secrets.token_hex(16)
        overrides = {
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
        offline = settings.model_copy(update=overrides)
        app = await stack.enter_async_context(
            build(
                offline,
                clock=script.clock,
                equity=script.equity,
                crypto=script.crypto,
                network_sources=script.network_sources,
            )
        )
        person = Person(id=USER, channel=CHANNEL, signing_secret=secret, bolt=app.bolt, workspace=workspace)
        yield Rehearsal(app=app, clock=script.clock, workspace=workspace, person=person)
