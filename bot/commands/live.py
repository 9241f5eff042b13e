"""Answers to one query in the terminal: on the wired services, or on two price files."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from bot.market_app import MarketApp, build_market
from bot.price_files import align_files, final_at, read_price_files
from bot.settings import Settings
from bot.streams import note
from services.core.errors import DatabaseUnavailableError, NoHistoryError
from services.core.prices import Pair, to_datetime
from services.market.price_history import PriceHistory
from services.market.sources.files.prices import FileCrypto, FileEquity
from services.rules.market_service import MarketService
from services.rules.market_view import MarketView
from services.storage import DatabaseMissingError, SqlStore

IN_MEMORY = "sqlite://"
Result = TypeVar("Result")


async def query_live(settings: Settings, query: Callable[[MarketApp], Awaitable[Result]]) -> Result:
    """Run a query and store fetched prices in the database if there is one; a query does not create it.

    Simulated prices are not stored. If the database is missing or unavailable, a database in memory is used.
    """
    if not settings.simulated:
        try:
            return await _query(settings, query, create_database=False)
        except DatabaseMissingError:
            pass
        except DatabaseUnavailableError as error:
            note(f"{error} The prices aren't saved.")
    return await _query(settings.model_copy(update={"database_url": IN_MEMORY}), query)


async def query_history(settings: Settings, query: Callable[[MarketApp], Awaitable[Result]]) -> Result:
    """Run a query on all sessions since the listing: prices that are still missing are loaded first."""

    async def run(app: MarketApp) -> Result:
        result = await query(app)
        if not app.history.wanted_older(app.clock.now()):
            return result
        note("Loading older prices…")
        await app.backfill.complete()
        return await query(app)

    return await query_live(settings, run)


async def _query(
    settings: Settings, query: Callable[[MarketApp], Awaitable[Result]], *, create_database: bool = True
) -> Result:
    async with build_market(settings, create_database=create_database) as app:
        return await query(app)


async def view_files(etf: Path, btc: Path, pair: Pair) -> MarketView:
    """Return the view at the last close that both files have; what it leaves out is all that the files lack.

    Raises PriceFileError, NoHistoryError.
    """
    files = read_price_files(etf, btc, pair)
    rows = align_files(files)
    if not rows.complete.any():
        raise NoHistoryError(f"{etf.name} and {btc.name} have no sessions in common. Check their dates.")
    as_of = final_at(to_datetime(rows.at[rows.complete][-1]), files.bars)
    async with aclosing(await SqlStore.open(IN_MEMORY)) as store:
        equities, cryptos = [FileEquity(files.closes)], [FileCrypto(files.bars)]
        market = MarketService(history=PriceHistory(equities, cryptos, store, requires_witness=False, loads_all=True))
        view = await market.view(pair, as_of)
    return replace(view, problems=(*files.warnings, *view.problems), left_out=rows.exclusions)
