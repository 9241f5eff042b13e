"""`minerpulse drawdown`: how far both legs are below their highs."""

from __future__ import annotations

import asyncio

import click

from bot.commands.live import live
from bot.commands.options import as_json, print_document
from bot.commands.study_report import drawdown_document
from bot.settings import load_settings
from bot.terminal import print_message
from handlers.render.drawdown import drawdown_message


@click.command()
@as_json
def command(*, as_json: bool) -> None:
    """Tell how far bitcoin and the ETF are below their highs, for how long, and how rare that is."""
    told = asyncio.run(live(load_settings(), lambda app: app.study.depths(app.clock.now())))
    if as_json:
        print_document(drawdown_document(told))
    else:
        print_message(drawdown_message(told))
