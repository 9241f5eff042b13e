"""`minerpulse export`: alerts, deliveries and what people did, as a table for other programs."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import click

from bot.asyncio_runner import run_async
from bot.commands.base import command
from bot.commands.options import STDOUT, DayOption, write_output
from bot.exports import ACTS, ALERTS, DELIVERIES, Column, Format, table_rows, write_table
from bot.settings import load_settings
from services.core.clock import EPOCH
from services.storage import SqlStore

Load = Callable[[SqlStore, datetime], Awaitable[Iterable[Any]]]
TABLES: dict[str, tuple[Sequence[Column[Any]], Load]] = {
    "alerts": (ALERTS, SqlStore.exported_alerts),
    "deliveries": (DELIVERIES, SqlStore.exported_deliveries),
    "actions": (ACTS, SqlStore.exported_acts),
}


@command("minerpulse export alerts > alerts.csv", "minerpulse export actions --since 2026-01-01 --format jsonl")
@click.argument("what", type=click.Choice(list(TABLES)))
@click.option("--since", type=DayOption(), help="First day (UTC).  [default: everything]")
@click.option(
    "--format",
    "format_name",
    type=click.Choice([one.value for one in Format]),
    default=Format.CSV.value,
    show_default=True,
    help="Format of the table; parquet needs the extra minerpulse[parquet].",
)
@click.option(
    "-o",
    "--output",
    "path",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    default=STDOUT,
    help="File to write, replaced if it exists; - means standard output.  [default: -]",
)
def export_command(*, what: str, since: date | None, format_name: str, path: Path) -> None:
    """Write alerts, deliveries or people's actions as a table, oldest first.

    Times are UTC, returns are fractions, and reasons are sentences. In a CSV, text that a spreadsheet would treat as a
    formula is prefixed with an apostrophe.
    """
    begin = EPOCH if since is None else datetime.combine(since, time(), UTC)
    columns, load = TABLES[what]
    rows = table_rows(columns, run_async(_load(load_settings().database_url, load, begin)))
    write_output(path, write_table([column.name for column in columns], rows, Format(format_name)))


async def _load(url: str, load: Load, begin: datetime) -> Iterable[Any]:
    async with aclosing(await SqlStore.open(url, create=False)) as store:
        return await load(store, begin)
