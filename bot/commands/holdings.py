"""`minerpulse holdings`: import, fetch and list the fund's holdings."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date, timedelta
from pathlib import Path

import click

from bot.clock import SystemClock
from bot.commands.holdings_report import describe_fetch, describe_import, holdings_document, print_holdings
from bot.commands.options import FILE, DayOption, json_option, print_document
from bot.setting_types import parse_symbol
from bot.settings import Settings, load_settings
from services.core.errors import NoHistoryError, PriceFileError
from services.core.prices import Symbol
from services.market.holdings import Holdings, holdings_on, reject_partial_overwrite
from services.market.sources.files.holdings import read_holdings_csv
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.nasdaq_holdings import NasdaqHoldings
from services.storage import SqlStore

DAY = timedelta(days=1)  # it is already tomorrow in some time zones


class TickerOption(click.ParamType[Symbol]):
    """A ticker symbol such as WGMI."""

    name = "ticker"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Symbol:
        """Return the symbol in capitals."""
        try:
            return Symbol(parse_symbol(str(value)))
        except ValueError as error:
            self.fail(f"“{value}”: {error}.", param, ctx)


fund_argument = click.argument("fund", type=TickerOption(), required=False)


@click.group(name="holdings")
def command() -> None:
    """Import, fetch and list what the fund holds; MINERPULSE_ETF names the fund."""


@command.command(name="import")
@click.argument("file", type=FILE)
@click.option("--as-of", type=DayOption(), help="The day that the weights are of, where the file does not say.")
def import_file(*, file: Path, as_of: date | None) -> None:
    """Import holdings from a CSV with Ticker and Weight; a day that is there already is replaced as a whole."""
    settings = load_settings()
    parsed = read_holdings_csv(file, settings.pair.etf, as_of)
    _reject_future(file, parsed.snapshots[-1].as_of)
    replaced = asyncio.run(_save(settings.database_url, parsed.snapshots))
    for line in parsed.skipped_lines:
        click.echo(f"Left out, as it lists no holding: {line}", err=True)
    for holdings in parsed.snapshots:
        click.echo(describe_import(holdings, replaced=holdings.as_of in replaced))


@command.command(name="fetch")
@fund_argument
def fetch_holdings(*, fund: Symbol | None) -> None:
    """Fetch the ten largest holdings of an ETF from Nasdaq; FUND is MINERPULSE_ETF unless another is named.

    They are not the whole fund, and a day that was imported in full keeps what it has.
    """
    settings = load_settings()
    holdings, replaced = asyncio.run(_fetch(settings, fund or settings.pair.etf))
    click.echo(describe_fetch(holdings, replaced=replaced))


@command.command(name="list")
@fund_argument
@click.option("--as-of", type=DayOption(), help="List what was held on this day.  [default: the newest]")
@json_option
def list_holdings(*, fund: Symbol | None, as_of: date | None, as_json: bool) -> None:
    """List a fund's holdings with their day, the sum of their weights and what that lacks of 100%."""
    settings = load_settings()
    chosen = fund or settings.pair.etf
    history = asyncio.run(_load(settings.database_url, chosen))
    holdings = holdings_on(history, as_of) if as_of else next(reversed(history), None)
    if holdings is None:
        raise NoHistoryError(_no_holdings_message(chosen, as_of, history))
    if as_json:
        print_document(holdings_document(holdings))
    else:
        print_holdings(holdings)


def _no_holdings_message(fund: str, as_of: date | None, history: Sequence[Holdings]) -> str:
    if not history:
        return f"No holdings of {fund} are known. Import a file of them with `minerpulse holdings import FILE.csv`."
    return f"No holdings of {fund} are known for {as_of}; the first are of {history[0].as_of}. Import older ones."


def _reject_future(path: Path, last: date) -> None:
    if last > SystemClock().now().date() + DAY:
        raise PriceFileError(path, f"its holdings are of {last}, which is in the future", remedy="Correct the day")


async def _save(url: str, snapshots: Sequence[Holdings]) -> list[date]:
    async with _store(url) as store:
        return await store.save_holdings(snapshots)


async def _fetch(settings: Settings, fund: Symbol) -> tuple[Holdings, bool]:
    """Fetch and save the ten largest holdings; return them, and whether they replaced others of that day."""
    client = HttpClient()
    try:
        nasdaq = NasdaqHoldings(client, SystemClock(), base_url=settings.source_urls.get("nasdaq"))
        holdings = await nasdaq.top_ten(fund)
    finally:
        await client.aclose()
    async with _store(settings.database_url) as store:
        reject_partial_overwrite(await store.load_holdings(fund), holdings)
        return holdings, bool(await store.save_holdings([holdings]))


async def _load(url: str, fund: Symbol) -> list[Holdings]:
    async with _store(url) as store:
        return await store.load_holdings(fund)


@asynccontextmanager
async def _store(url: str) -> AsyncIterator[SqlStore]:
    store = await SqlStore.open(url)
    try:
        yield store
    finally:
        await store.aclose()
