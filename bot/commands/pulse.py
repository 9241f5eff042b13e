"""`minerpulse pulse`: the board in the terminal, from price files or live."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import click
from rich.console import Console

from bot.commands.live import MEMORY, live
from bot.commands.options import as_json, both_or_neither, btc_file, etf_file
from bot.commands.pulse_report import as_document, board
from bot.price_files import aligned, known_at, read_files
from bot.settings import load_settings
from bot.terminal import show_message
from services.domain.errors import NoHistoryError
from services.domain.prices import WGMI_BTC, moment
from services.history import History
from services.market import Market
from services.sources.files import FileCrypto, FileEquity
from services.store import SqlStore

if TYPE_CHECKING:
    from pathlib import Path

    from bot.app import App
    from services.market import MarketView


@click.command()
@etf_file
@btc_file
@as_json
def command(*, etf: Path | None, btc: Path | None, as_json: bool) -> None:
    """Show the board: every window of the pair, live or as of the last session of two price files."""
    files = both_or_neither(etf, btc)
    view = asyncio.run(_from_files(*files) if files else live(load_settings(), _measured))
    if as_json:
        click.echo(json.dumps(as_document(view), ensure_ascii=False, default=lambda at: at.isoformat()))
    else:
        message = board(view, None if files else view.now)
        Console(highlight=False).print(show_message(message.text, message.blocks))


async def _from_files(etf: Path, btc: Path) -> MarketView:
    """Measure two files at the last close that both have a price for. Raises PriceFileError, NoHistoryError."""
    files = read_files(etf, btc)
    rows = aligned(files)
    if not rows.complete.any():
        raise NoHistoryError(f"{etf.name} and {btc.name} have no session in common; check their dates.")
    as_of = known_at(moment(rows.at[rows.complete][-1]), files.bars)
    store = await SqlStore.open(MEMORY)
    try:
        sources = FileEquity(etf, WGMI_BTC.etf), FileCrypto(btc, WGMI_BTC.crypto)
        market = Market(history=History([sources[0]], [sources[1]], store, witnessed=False))
        view = await market.view(WGMI_BTC, as_of)
        return replace(view, problems=(*files.warnings, *view.problems))
    finally:
        await store.aclose()


async def _measured(app: App) -> MarketView:
    return await app.market.view(app.settings.pair, app.clock.now())
