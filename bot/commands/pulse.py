"""`minerpulse pulse`: show the board in the terminal, from price files or live."""

import asyncio
from pathlib import Path

import click
from rich.console import Console

from bot.app import App
from bot.commands.live import query_live
from bot.commands.options import btc_option, etf_option, json_option, print_document, require_both_files
from bot.commands.pulse_report import build_board, view_document
from bot.file_view import view_files
from bot.settings import load_settings
from bot.terminal import render_message
from services.rules.market_service import MarketView


@click.command()
@etf_option
@btc_option
@json_option
def command(*, etf: Path | None, btc: Path | None, as_json: bool) -> None:
    """Show the board: every window of the pair, live or as of the last session of two price files."""
    files = require_both_files(etf, btc)
    settings = load_settings()
    view = asyncio.run(view_files(*files, settings.pair) if files else query_live(settings, _view))
    if as_json:
        print_document(view_document(view))
    else:
        message = build_board(view, None if files else view.now)
        Console(highlight=False).print(render_message(message.text, message.blocks))


async def _view(app: App) -> MarketView:
    return await app.market.view(app.settings.pair, app.clock.now())
