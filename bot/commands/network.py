"""`minerpulse network`: how hard bitcoin is to mine, and what it earns."""

from __future__ import annotations

import asyncio
from datetime import datetime

import click

from bot.app import App
from bot.commands.live import live
from bot.commands.options import as_json, print_document
from bot.commands.study_report import network_document
from bot.settings import load_settings
from bot.terminal import print_message
from handlers.render.network import network_message
from services.research.results import NetworkView


@click.command()
@as_json
def command(*, as_json: bool) -> None:
    """Tell difficulty, hash rate, the next retarget, fees, and what a petahash a second earns a day."""
    told, now = asyncio.run(live(load_settings(), _network))
    if as_json:
        print_document(network_document(told, now))
    else:
        print_message(network_message(told, now))


async def _network(app: App) -> tuple[NetworkView, datetime]:
    now = app.clock.now()
    return await app.study.network(now), now
