"""The rehearsal: real services and listeners, with a fake Slack and a virtual clock, played at a pace."""

import asyncio
import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import SecretStr

from bot.app import App, build
from bot.fake_slack.server import serve_workspace
from bot.fake_slack.workspace import MessageEvent, PostedMessage, Workspace
from bot.rehearsal.person import Person
from bot.rehearsal.script import Script, VirtualClock
from bot.settings import PROXY_VARIABLES, Settings, SlackMode, without_variables
from services.core.identity import Channel
from services.core.prices import WGMI_BTC

CHANNEL, USER = "DESK", "YOU"
START_BUTTON = {"type": "button", "action_id": "start", "value": "board"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage(ABC):
    """A channel of the app, played session by session."""

    app: App
    clock: VirtualClock
    channel: Channel

    @abstractmethod
    async def start(self) -> None:
        """Add the default rules to the channel."""

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


@dataclass(slots=True)
class Pace:
    """Sessions per second, None for unlimited, and a pause switch."""

    speed: float | None
    _running: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._running.set()

    def pause(self) -> None:
        """Pause before the next step."""
        self._running.clear()

    def resume(self) -> None:
        """Resume playing."""
        self._running.set()

    async def wait(self, steps: int) -> None:
        """Wait until the next of a session's `steps` is due."""
        await asyncio.sleep(1 / (self.speed * steps) if self.speed else 0)
        await self._running.wait()


async def play(stage: Stage, script: Script, pace: Pace) -> str:
    """Play all sessions, and return the result in one line."""
    stage.clock.at = script.sessions[0][0]
    await stage.start()
    for instants in script.sessions:
        for at in instants:
            await pace.wait(len(instants))
            await stage.step(at)
    return await result_line(stage, script)


async def result_line(stage: Stage, script: Script) -> str:
    """Return the result of a played script in one line."""
    posted, resolved = await stage.alert_counts()
    sessions = len(script.sessions)
    return (
        f"{script.title}: {sessions} session{'' if sessions == 1 else 's'}, "
        f"{posted} alert{'' if posted == 1 else 's'} posted, {resolved} resolved."
    )


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
    secret = secrets.token_hex(16)
    async with (
        serve_workspace(workspace),
        build_offline(
            settings,
            script,
            slack_bot_token=SecretStr(workspace.token),
            slack_signing_secret=SecretStr(secret),
            slack_app_token=None,
            slack_client_id=None,
            slack_mode=SlackMode.HTTP,
            slack_api_url=workspace.url,
        ) as app,
    ):
        person = Person(id=USER, channel=CHANNEL, signing_secret=secret, bolt=app.bolt, workspace=workspace)
        yield Rehearsal(app=app, clock=script.clock, workspace=workspace, person=person)


@asynccontextmanager
async def build_offline(settings: Settings, script: Script, **slack: object) -> AsyncIterator[App]:
    """Build the app on a script's market with a database in memory, and these settings for Slack."""
    overrides = {"database_url": "sqlite://", "etf": WGMI_BTC.etf, "crypto": WGMI_BTC.crypto, **slack}
    with without_variables(PROXY_VARIABLES):
        async with build(
            settings.model_copy(update=overrides),
            clock=script.clock,
            equity=script.equity,
            crypto=script.crypto,
            network_sources=script.network_sources,
        ) as app:
            yield app
