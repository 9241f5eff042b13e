"""`minerpulse drawdown`, `miners` and `network`: answers from history, as messages or as JSON."""

import asyncio
from datetime import datetime

import click

from bot.app import App
from bot.commands.live import query_history, query_live
from bot.commands.options import json_option, print_document, window_argument
from bot.documents.studies import drawdown_document, miners_document, network_document
from bot.settings import load_settings
from bot.terminal import print_message
from handlers.render.drawdown import drawdown_message
from handlers.render.miners import miners_message
from handlers.render.network import network_message
from services.market.measure import Window
from services.research.service import NetworkResult


@click.command()
@json_option
def drawdown_command(*, as_json: bool) -> None:
    """Show the drawdowns of bitcoin and the ETF from their highs, and how rare they are."""
    result = asyncio.run(query_history(load_settings(), lambda app: app.research.drawdowns(app.clock.now())))
    if as_json:
        print_document(drawdown_document(result))
    else:
        print_message(drawdown_message(result))


@click.command()
@window_argument
@json_option
def miners_command(*, window: str, as_json: bool) -> None:
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


@click.command()
@json_option
def network_command(*, as_json: bool) -> None:
    """Show difficulty, hash rate, the next retarget, fees, hashprice and the network's power draw."""
    result, now = asyncio.run(query_live(load_settings(), _network))
    if as_json:
        print_document(network_document(result, now))
    else:
        print_message(network_message(result, now))


async def _network(app: App) -> tuple[NetworkResult, datetime]:
    now = app.clock.now()
    return await app.research.network(now), now
