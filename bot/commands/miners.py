"""`minerpulse miners`: what each holding of the fund added."""

from __future__ import annotations

import asyncio

import click

from bot.commands.live import live
from bot.commands.options import as_json, print_document, window
from bot.commands.study_report import miners_document
from bot.settings import load_settings
from bot.terminal import print_message
from handlers.render.miners import miners_message
from services.market.measure import Window


@click.command()
@window
@as_json
def command(*, window: str, as_json: bool) -> None:
    """Part the fund's return between its holdings and cohorts, by the weights that were imported.

    WINDOW is 1d, 5d, 20d, 60d, 252d or ytd, which is the default; it ends with the last close.
    """
    told = asyncio.run(
        live(load_settings(), lambda app: app.study.constituents.miners(Window(window), app.clock.now()))
    )
    if as_json:
        print_document(miners_document(told))
    else:
        print_message(miners_message(told))
