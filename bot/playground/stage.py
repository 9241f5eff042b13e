"""The playground: real services and listeners, with a browser as the client and a virtual clock."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pydantic import SecretStr

from bot.playground.emulator import CHANNEL, TEAM, USERS, SlackEmulator
from bot.rehearsal.script import Script
from bot.rehearsal.stage import Stage, build_offline
from bot.serve import socket_mode
from bot.settings import Settings, SlackMode
from handlers.actions import start
from handlers.request import Request
from services.core.identity import Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Playground(Stage):
    """A channel in the emulator."""

    channel: Channel = field(default=Channel(team=TEAM, id=CHANNEL))

    async def start(self) -> None:
        """Add the default rules to the channel, as the board's button does."""
        app = self.app
        user_id = next(iter(USERS))
        request = Request(
            channel=self.channel,
            user_id=user_id,
            value="board",
            commands=app.commands,
            research=app.research,
            clock=app.clock,
            client=app.client,
        )
        await start(request)


@asynccontextmanager
async def open_playground(settings: Settings, script: Script, emulator: SlackEmulator) -> AsyncIterator[Playground]:
    """Connect the app to the emulator over Socket Mode, with a database in memory."""
    async with build_offline(
        settings,
        script,
        slack_bot_token=SecretStr(emulator.credentials.bot_token),
        slack_app_token=SecretStr(emulator.credentials.app_token),
        slack_signing_secret=None,
        slack_mode=SlackMode.SOCKET,
        slack_api_url=emulator.api_url,
    ) as app:
        app.background.allow_new_blocks = app.charts.enabled = False  # the emulator supports neither tables nor charts
        async with socket_mode(app):
            yield Playground(app=app, clock=script.clock)
