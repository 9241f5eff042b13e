"""`minerpulse backup`, `restore` and `move`: copies of the whole database."""

from datetime import UTC, datetime
from pathlib import Path

import click

from bot.asyncio_runner import run_async
from bot.clock import SystemClock
from bot.commands.base import command
from bot.settings import load_settings
from bot.streams import echo, note
from services.storage import SchemaStatus, back_up, move, restore

DUMP = "Back up PostgreSQL with `pg_dump --format=custom --file=minerpulse.dump URL`."
LOAD = "Restore PostgreSQL with `pg_restore --clean --if-exists --dbname=URL minerpulse.dump`."
KEYS = "Store MINERPULSE_TOKEN_KEYS apart from this backup: together, they give access to the workspaces."


@command("minerpulse backup", "minerpulse backup -o /backups/minerpulse.db")
@click.option(
    "-o",
    "--output",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write, replaced if it exists.  [default: minerpulse-DATE-TIME.db]",
)
def backup_command(*, path: Path | None) -> None:
    """Copy the SQLite database to a file, even while MinerPulse runs.

    The copy is verified before it appears; only its owner can read it. For PostgreSQL, the command to use instead is
    printed.
    """
    target = path or Path(f"minerpulse-{datetime.now(UTC):%Y%m%d-%H%M%S}.db")
    size = back_up(load_settings().database_url, target, DUMP)
    echo(f"Wrote {target} ({size:,} bytes). The integrity check passed.")
    note(KEYS)


@command("minerpulse restore minerpulse-20261130-060000.db")
@click.argument("backup", type=click.Path(dir_okay=False, path_type=Path))
def restore_command(*, backup: Path) -> None:
    """Replace the SQLite database with a backup. Stop all processes first.

    The current database is renamed, not deleted. A damaged backup, or one from a newer release, is refused.
    """
    restored = restore(load_settings().database_url, backup, LOAD, SystemClock().now())
    echo(f"Restored {restored.file} from {backup}.")
    if restored.previous is not None:
        echo(f"The previous database is now {restored.previous}.")
    if restored.status is SchemaStatus.BEHIND:
        echo("The backup is from an older release. Run `minerpulse migrate` before you start MinerPulse.")


@command("minerpulse move --to postgresql://minerpulse:PASSWORD@localhost/minerpulse")
@click.option(
    "--to",
    "target",
    metavar="URL",
    required=True,
    help="URL of an empty database, such as postgresql://USER:PASSWORD@HOST/NAME.",
)
def move_command(*, target: str) -> None:
    """Copy all data to another, empty database. Stop all processes first.

    Everything is written in one transaction, and row counts are compared. The old database isn't changed.
    """
    moved = run_async(move(load_settings().database_url, target, SystemClock().now()))
    echo(f"Copied {sum(moved.rows.values()):,} rows in {len(moved.rows)} tables from {moved.source} to {moved.target}.")
    echo("Row counts match in every table. Set MINERPULSE_DATABASE_URL to the new database, and restart MinerPulse.")
