"""`minerpulse network`: show the bitcoin network and the hashprice."""

import asyncio
from datetime import datetime

import click

from bot.app import App
from bot.commands.live import query_live
from bot.commands.options import json_option, print_document
from bot.commands.study_report import network_document
from bot.settings import load_settings
from bot.terminal import print_message
from handlers.render.network import network_message
from services.research.results import NetworkResult


@click.command()
@json_option
def command(*, as_json: bool) -> None:
    """Tell difficulty, hash rate, the next retarget, fees, and what a petahash a second earns a day."""
    result, now = asyncio.run(query_live(load_settings(), _network))
    if as_json:
        print_document(network_document(result, now))
    else:
        print_message(network_message(result, now))


async def _network(app: App) -> tuple[NetworkResult, datetime]:
    now = app.clock.now()
    return await app.research.network(now), now
