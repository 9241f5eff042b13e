"""The stage of the playground: the real services and listeners, with people in a browser and a clock of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from pydantic import SecretStr

from bot.app import build
from bot.playground.server import CHANNEL, PEOPLE, TEAM, StandIn
from bot.rehearsal.script import Script
from bot.rehearsal.stage import Stage
from bot.serve import connected
from bot.settings import Settings, SlackMode, without_proxies
from handlers.actions import start
from handlers.request import Request
from services.core.identity import Channel
from services.core.prices import WGMI_BTC


@dataclass(frozen=True, slots=True, kw_only=True)
class Playground(Stage):
    """A channel in the stand-in that a browser shows."""

    channel: Channel = field(default=Channel(team=TEAM, id=CHANNEL))

    async def start(self) -> None:
        """Give the channel the usual rules, as the button of the board does."""
        app = self.app
        by = next(iter(PEOPLE))
        wish = Request(
            channel=self.channel,
            by=by,
            value="board",
            desk=app.desk,
            study=app.study,
            clock=app.clock,
            client=app.client,
        )
        await start.answer(wish)


@asynccontextmanager
async def playground(settings: Settings, script: Script, stand_in: StandIn) -> AsyncIterator[Playground]:
    """Connect the app to the stand-in over Socket Mode, with everything else in memory."""
    made_up = {
        "slack_bot_token": SecretStr(stand_in.secrets.bot_token),
        "slack_app_token": SecretStr(stand_in.secrets.app_token),
        "slack_signing_secret": None,
        "slack_mode": SlackMode.SOCKET,
        "slack_api_url": stand_in.api_url,
        "database_url": "sqlite://",
        "etf": WGMI_BTC.etf,
        "crypto": WGMI_BTC.crypto,
    }
    offline = settings.model_copy(update=made_up)
    async with AsyncExitStack() as stack:
        stack.enter_context(without_proxies())
        app = await stack.enter_async_context(
            build(offline, clock=script.clock, equity=script.equity, crypto=script.crypto, networks=script.networks)
        )
        app.errands.shows_all = app.charts.shown = False  # the stand-in shows neither tables nor charts
        await stack.enter_async_context(connected(app))
        yield Playground(app=app, clock=script.clock)
