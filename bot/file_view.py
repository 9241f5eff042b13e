"""Build a market view from two price files."""

from dataclasses import replace
from pathlib import Path

from bot.commands.live import IN_MEMORY
from bot.price_files import align_files, final_at, read_price_files
from services.core.errors import NoHistoryError
from services.core.prices import Pair, to_datetime
from services.market.price_history import PriceHistory
from services.market.sources.files.prices import FileCrypto, FileEquity
from services.rules.market_service import MarketService, MarketView
from services.storage import SqlStore


async def view_files(etf: Path, btc: Path, pair: Pair) -> MarketView:
    """Return the view at the last close that both files have. Raises PriceFileError, NoHistoryError."""
    files = read_price_files(etf, btc, pair)
    rows = align_files(files)
    if not rows.complete.any():
        raise NoHistoryError(f"{etf.name} and {btc.name} have no session in common; check their dates.")
    as_of = final_at(to_datetime(rows.at[rows.complete][-1]), files.bars)
    store = await SqlStore.open(IN_MEMORY)
    try:
        sources = FileEquity(etf, pair.etf), FileCrypto(btc, pair.crypto)
        market = MarketService(history=PriceHistory([sources[0]], [sources[1]], store, requires_witness=False))
        view = await market.view(pair, as_of)
        return replace(view, problems=(*files.warnings, *view.problems))
    finally:
        await store.aclose()
