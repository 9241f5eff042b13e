"""`minerpulse holdings`: import, fetch and list the fund's holdings, as a table or as JSON."""

from collections.abc import Sequence
from contextlib import aclosing
from datetime import date, timedelta
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from bot.asyncio_runner import run_async
from bot.clock import SystemClock
from bot.commands.base import group
from bot.commands.options import FILE, DayOption, json_option, print_document
from bot.documents.operations import holdings_document
from bot.setting_types import parse_symbol
from bot.settings import Settings, load_settings
from bot.streams import echo, note
from bot.terminal import SafeConsole
from services.core.errors import NoHistoryError, PriceFileError
from services.core.prices import Symbol
from services.market.holdings import Holdings, holdings_on, reject_partial_overwrite
from services.market.sources.files.holdings import read_holdings_csv
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.nasdaq import Nasdaq
from services.storage import DatabaseMissingError, SqlStore

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


@group("minerpulse holdings import wgmi.csv --as-of 2026-07-07", "minerpulse holdings list --json")
def holdings_command() -> None:
    """Import, fetch and list the fund's holdings. MINERPULSE_ETF names the fund."""


@holdings_command.command(
    name="import",
    examples=(
        "minerpulse holdings import wgmi.csv --as-of 2026-07-07",
        "minerpulse holdings import wgmi.csv --dry-run",
    ),
)
@click.argument("file", type=FILE)
@click.option("--as-of", type=DayOption(), help="Date of the weights, if the file doesn't have it.")
@click.option("--dry-run", is_flag=True, help="Read the file and show what would be imported; save nothing.")
def import_file(*, file: Path, as_of: date | None, dry_run: bool) -> None:
    """Import holdings from a CSV with Ticker and Weight.

    FILE can be - for standard input. If holdings for that date are already stored, they are all replaced.
    """
    settings = load_settings()
    parsed = read_holdings_csv(file, settings.pair.etf, as_of)
    _reject_future(file, parsed.snapshots[-1].as_of)
    replaced = [] if dry_run else run_async(_save(settings.database_url, parsed.snapshots))
    for line in parsed.skipped_lines:
        note(f"Skipped, because it lists no holding: {line}")
    for holdings in parsed.snapshots:
        echo(describe_import(holdings, replaced=holdings.as_of in replaced))
    if dry_run:
        echo("Nothing was imported, because of --dry-run.")


@holdings_command.command(name="fetch", examples=("minerpulse holdings fetch", "minerpulse holdings fetch BITQ"))
@fund_argument
def fetch_holdings(*, fund: Symbol | None) -> None:
    """Fetch the ten largest holdings of an ETF from Nasdaq.

    FUND is a ticker; the default is MINERPULSE_ETF. A complete import of the same date isn't replaced.
    """
    settings = load_settings()
    holdings, replaced = run_async(_fetch(settings, fund or settings.pair.etf))
    echo(describe_fetch(holdings, replaced=replaced))


@holdings_command.command(
    name="list", examples=("minerpulse holdings list", "minerpulse holdings list --as-of 2026-07-07 --json")
)
@fund_argument
@click.option("--as-of", type=DayOption(), help="Date of the holdings.  [default: the newest]")
@json_option
def list_holdings(*, fund: Symbol | None, as_of: date | None, as_json: bool) -> None:
    """List a fund's holdings, with their date and total weight. It also shows the difference from 100%."""
    settings = load_settings()
    chosen = fund or settings.pair.etf
    history = run_async(_load(settings.database_url, chosen))
    holdings = holdings_on(history, as_of) if as_of else next(reversed(history), None)
    if holdings is None:
        raise NoHistoryError(_no_holdings_message(chosen, as_of, history))
    if as_json:
        print_document(holdings_document(holdings))
    else:
        print_holdings(holdings)


def _no_holdings_message(fund: str, as_of: date | None, history: Sequence[Holdings]) -> str:
    if not history:
        return f"No holdings of {fund} are stored. Import a file with `minerpulse holdings import FILE.csv`."
    return f"No holdings of {fund} are stored for {as_of}; the oldest are dated {history[0].as_of}. Import older ones."


def _reject_future(path: Path, last: date) -> None:
    if last > SystemClock().now().date() + DAY:
        raise PriceFileError(path, f"its holdings are dated {last}, which is in the future", remedy="Correct the date")


async def _save(url: str, snapshots: Sequence[Holdings]) -> list[date]:
    async with aclosing(await SqlStore.open(url)) as store:
        return await store.save_holdings(snapshots)


async def _fetch(settings: Settings, fund: Symbol) -> tuple[Holdings, bool]:
    """Fetch and save the ten largest holdings; return them, and whether they replaced others of that day."""
    async with aclosing(HttpClient()) as client:
        nasdaq = Nasdaq(client, SystemClock(), base_url=settings.source_urls.get("nasdaq"))
        holdings = await nasdaq.top_ten(fund)
    async with aclosing(await SqlStore.open(settings.database_url)) as store:
        reject_partial_overwrite(await store.load_holdings(fund), holdings)
        return holdings, bool(await store.save_holdings([holdings]))


async def _load(url: str, fund: Symbol) -> list[Holdings]:
    try:
        store = await SqlStore.open(url, create=False)
    except DatabaseMissingError:
        return []
    async with aclosing(store):
        return await store.load_holdings(fund)


def print_holdings(holdings: Holdings) -> None:
    """Print a table of holdings, and the total of their weights."""
    console = SafeConsole()
    console.print(Text(f"{holdings.fund} holdings as of {holdings.as_of}, from {holdings.source}\n", style="bold"))
    table = Table("Ticker", "Name", box=None, pad_edge=False)
    table.add_column("Weight", justify="right", no_wrap=True)
    table.add_column("Shares", justify="right", no_wrap=True)
    for holding in holdings.positions:
        ticker = f"{holding.ticker} {holding.exchange}".strip() or holding.kind.value
        table.add_row(Text(ticker), Text(holding.name), format_percent(holding.weight), _format_shares(holding.shares))
    console.print(table)
    console.print(Text(f"\n{describe_weights(holdings)}", style="bold"))


def describe_import(holdings: Holdings, *, replaced: bool) -> str:
    """Return a sentence about imported holdings."""
    count = len(holdings.positions)
    holdings_text = f"{count} holding{'' if count == 1 else 's'}"
    replaced_text = " These holdings replace those stored for that date." if replaced else ""
    return f"{holdings.fund} as of {holdings.as_of}: {holdings_text}. {describe_weights(holdings)}{replaced_text}"


def describe_fetch(holdings: Holdings, *, replaced: bool) -> str:
    """Return a sentence about fetched holdings."""
    replaced_text = " These holdings replace those fetched earlier." if replaced else ""
    return (
        f"{holdings.fund} as of {holdings.as_of}, from {holdings.source}. {describe_weights(holdings)}{replaced_text}"
    )


def describe_weights(holdings: Holdings) -> str:
    """Return the total of the weights, cash included, and its difference from 100%."""
    if not holdings.is_complete:
        count = len(holdings.positions)
        total = format_percent(holdings.total)
        return f"Only the {count} largest holdings are known; they add up to {total} of the fund."
    total = f"The weights add up to {format_percent(holdings.total)}, including {format_percent(holdings.cash)} cash"
    missing = round(100 * holdings.unexplained, 2)
    if not missing:
        return f"{total}."
    return f"{total}: {missing:.2f}% short of 100%." if missing > 0 else f"{total}: {-missing:.2f}% above 100%."


def format_percent(fraction: float) -> str:
    """Return a fraction in percent. A value that rounds to zero has no sign."""
    return f"{round(100 * fraction, 2) + 0.0:.2f}%".replace("-", "−")


def _format_shares(shares: float | None) -> str:
    if shares is None:
        return "–"
    return f"{shares:,.0f}" if shares == round(shares) else f"{shares:,.2f}"
