"""`minerpulse drawdown`: show the drawdown of both legs."""

import asyncio

import click

from bot.commands.live import query_live
from bot.commands.options import json_option, print_document
from bot.commands.study_report import drawdown_document
from bot.settings import load_settings
from bot.terminal import print_message
from handlers.render.drawdown import drawdown_message


@click.command()
@json_option
def command(*, as_json: bool) -> None:
    """Tell how far bitcoin and the ETF are below their highs, for how long, and how rare that is."""
    result = asyncio.run(query_live(load_settings(), lambda app: app.research.drawdowns(app.clock.now())))
    if as_json:
        print_document(drawdown_document(result))
    else:
        print_message(drawdown_message(result))
