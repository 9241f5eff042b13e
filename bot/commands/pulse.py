"""`minerpulse pulse`: the board in the terminal, from price files or live."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import click
from rich.console import Console

from bot.app import App
from bot.commands.live import live
from bot.commands.options import as_json, both_or_neither, btc_file, etf_file
from bot.commands.pulse_report import as_document, board
from bot.file_view import view_of
from bot.settings import load_settings
from bot.terminal import show_message
from services.rules.market_service import MarketView


@click.command()
@etf_file
@btc_file
@as_json
def command(*, etf: Path | None, btc: Path | None, as_json: bool) -> None:
    """Show the board: every window of the pair, live or as of the last session of two price files."""
    files = both_or_neither(etf, btc)
    settings = load_settings()
    view = asyncio.run(view_of(*files, settings.pair) if files else live(settings, _measured))
    if as_json:
        click.echo(json.dumps(as_document(view), ensure_ascii=False, default=lambda at: at.isoformat()))
    else:
        message = board(view, None if files else view.now)
        Console(highlight=False).print(show_message(message.text, message.blocks))


async def _measured(app: App) -> MarketView:
    return await app.market.view(app.settings.pair, app.clock.now())
