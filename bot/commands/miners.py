"""`minerpulse miners`: show each holding's contribution to the fund's return."""

import asyncio

import click

from bot.commands.live import query_live
from bot.commands.options import json_option, print_document, window_argument
from bot.commands.study_report import miners_document
from bot.settings import load_settings
from bot.terminal import print_message
from handlers.render.miners import miners_message
from services.market.measure import Window


@click.command()
@window_argument
@json_option
def command(*, window: str, as_json: bool) -> None:
    """Part the fund's return between its holdings and cohorts, by the weights that were imported.

    WINDOW is 1d, 5d, 20d, 60d, 252d or ytd, which is the default; it ends with the last close.
    """
    result = asyncio.run(
        query_live(load_settings(), lambda app: app.research.holdings.report(Window(window), app.clock.now()))
    )
    if as_json:
        print_document(miners_document(result))
    else:
        print_message(miners_message(result))
