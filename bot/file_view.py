"""A pair of price files as the services see it, at the last close that both have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bot.commands.live import MEMORY
from bot.price_files import aligned, known_at, read_files
from services.core.errors import NoHistoryError
from services.core.prices import Pair, moment
from services.market.price_history import PriceHistory
from services.market.sources.files.prices import FileCrypto, FileEquity
from services.rules.market_service import MarketService, MarketView
from services.storage import SqlStore


async def view_of(etf: Path, btc: Path, pair: Pair) -> MarketView:
    """Measure two files at the last close that both have a price for. Raises PriceFileError, NoHistoryError."""
    files = read_files(etf, btc, pair)
    rows = aligned(files)
    if not rows.complete.any():
        raise NoHistoryError(f"{etf.name} and {btc.name} have no session in common; check their dates.")
    as_of = known_at(moment(rows.at[rows.complete][-1]), files.bars)
    store = await SqlStore.open(MEMORY)
    try:
        sources = FileEquity(etf, pair.etf), FileCrypto(btc, pair.crypto)
        market = MarketService(history=PriceHistory([sources[0]], [sources[1]], store, witnessed=False))
        view = await market.view(pair, as_of)
        return replace(view, problems=(*files.warnings, *view.problems))
    finally:
        await store.aclose()
