"""`minerpulse drawdown`: how far both legs are below their highs."""

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
    """Tell how far bitcoin and the ETF are below their highs, for how long, and how rare that is."""
    print_message(asyncio.run(live(load_settings(), _depths)))


async def _depths(app: App) -> Message:
    return render.drawdown(await app.study.depths(app.clock.now()))
