"""`minerpulse network`: how hard bitcoin is to mine, and what it earns."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from bot.commands.live import live
from bot.settings import load_settings
from bot.terminal import print_message
from handlers import render

if TYPE_CHECKING:
    from bot.app import App
    from handlers.render import Message


@click.command()
def command() -> None:
    """Tell difficulty, hash rate, the next retarget, fees, and what a petahash a second earns a day."""
    print_message(asyncio.run(live(load_settings(), _network)))


async def _network(app: App) -> Message:
    now = app.clock.now()
    return render.network(await app.study.network(now), now)
