"""Copies of whole databases: a backup of an SQLite file, its restoration, and the move to another database."""

import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, Table, create_engine, delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.core.errors import DatabaseUnavailableError
from services.storage import schema
from services.storage.db_errors import translate_db_errors
from services.storage.engine import NO_DATABASE, Database, DatabaseMissingError
from services.storage.file_lock import PRIVATE, database_lock
from services.storage.schema import OLDER, SchemaStatus
from services.storage.tables import database_identity, metadata, rules_revision, ticks
from services.storage.url import display_name, parse_url, sqlite_path

BATCH = 2_000  # rows per statement
QUIET = timedelta(minutes=2)  # a process that ticks does so at least as often, unless its interval is longer
FRESH = {database_identity.name, rules_revision.name}  # have a row in a new database
JOURNALS = ("-wal", "-shm")
RUNNING = "A MinerPulse process is using the database {}. Stop all processes, and try again."
TICKED = "A MinerPulse process used the database {} less than {} minutes ago. Stop all processes, and try again later."
NOT_EMPTY = "The database {} already has data in {}. Name an empty one."
SAME = "The database {} can't be moved to itself. Name another one."
DAMAGED = "The copy {} is damaged ({}). Use another backup."
NO_FILE = "There is no file {}. Name a backup made by `minerpulse backup`."
LOST_ROWS = "The table {} has {:,} rows in {}, but {:,} were copied. Nothing was saved. Report this as a bug."
POSTGRESQL = "The database {} isn't an SQLite file. {}"
MEMORY = "The database is in memory and is lost when its process ends."


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A database that was copied to another one, with the rows of each table."""

    source: str
    target: str
    rows: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A restored SQLite file.

    Attributes:
        previous: Where the file is that was there before; None if there was none.
        status: How the schema of the backup compares with this program's.
    """

    file: Path
    previous: Path | None
    status: SchemaStatus


def back_up(url: str, target: Path, advice: str) -> int:
    """Copy an SQLite database, also while processes use it, to a file that replaces `target`; return its size.

    The copy appears at once and complete, readable by its owner only. Raises DatabaseUnavailableError, with `advice`
    for another kind of database.
    """
    source = _sqlite_file(url, advice)
    if not source.exists():
        raise DatabaseMissingError(NO_DATABASE.format(source))
    _status_of(source)
    with _copy_of(source, target.absolute()) as copy:
        size = copy.stat().st_size
        copy.replace(target)
    _sync_folder(target.absolute().parent)
    return size


def restore(url: str, backup: Path, advice: str, at: datetime) -> Restored:
    """Replace an SQLite database by a backup; the file that was there gets a name with the time `at`.

    Raises DatabaseUnavailableError, and changes nothing, if a process uses the database or the backup can't be used.
    """
    target = _sqlite_file(url, advice)
    if not backup.is_file():
        raise DatabaseMissingError(NO_FILE.format(backup))
    status = _status_of(backup)
    if status is SchemaStatus.EMPTY:
        raise DatabaseMissingError(DAMAGED.format(backup, "it is empty"))
    with database_lock(url) as lock, _copy_of(backup, target) as copy:
        if not lock.is_ours:
            raise DatabaseUnavailableError(RUNNING.format(target))
        previous = None
        if target.exists():
            previous = target.with_name(f"{target.name}.before-{at:%Y%m%d-%H%M%S}")
            _keep(target, previous)
        copy.replace(target)
    _sync_folder(target.parent)
    return Restored(file=target, previous=previous, status=status)


async def move(url: str, target_url: str, now: datetime) -> Moved:
    """Copy every table to an empty database, and check the number of rows of each.

    One transaction writes all of it, so the target has everything or nothing. The source isn't changed. Raises
    DatabaseUnavailableError if a process uses one of the two, or the target has data.
    """
    parsed = parse_url(target_url)
    target_name, target_file = display_name(parsed), sqlite_path(parsed) if target_url.startswith("sqlite") else None
    is_new = target_file is not None and not target_file.exists()
    async with _closing(Database(url, create=False)) as source:
        if source.name == target_name:
            raise DatabaseUnavailableError(SAME.format(target_name))
        with database_lock(url) as lock, database_lock(target_url) as target_lock:
            for name, one in ((source.name, lock), (target_name, target_lock)):
                if not one.is_ours:
                    raise DatabaseUnavailableError(RUNNING.format(name))
            try:
                async with _closing(Database(target_url)) as target:
                    rows = await _copy_all(source, target, now)
            except BaseException:
                if is_new:
                    _delete(target_file)
                raise
    return Moved(source=source.name, target=target_name, rows=rows)


@asynccontextmanager
async def _closing(database: Database) -> AsyncIterator[Database]:
    """Close a database at the end of the block."""
    try:
        yield database
    finally:
        await database.close()


async def _copy_all(source: Database, target: Database, now: datetime) -> dict[str, int]:
    async with source.read() as reading, target.write(migrates=True) as writing:
        await _require_movable(reading, source.name, now)
        await _require_empty(writing, target.name, now)
        names = source.name, target.name
        rows = {table.name: await _copy_table(reading, writing, table, names) for table in metadata.sorted_tables}
        await _set_sequences(writing)
    return rows


def _sqlite_file(url: str, advice: str) -> Path:
    parsed = parse_url(url)
    path = sqlite_path(parsed) if parsed.drivername.startswith("sqlite") else None
    if path is None:
        name = display_name(parsed)
        raise DatabaseUnavailableError(MEMORY if name == "in memory" else POSTGRESQL.format(name, advice))
    return path


def _status_of(file: Path) -> SchemaStatus:
    """Return how the schema of an SQLite file compares with this program's. Raises DatabaseUnavailableError."""
    engine = create_engine(f"sqlite:///{file}")
    try:
        with translate_db_errors(str(file)), engine.connect() as connection:
            status = schema.schema_status(connection)
    finally:
        engine.dispose()
    schema.require_usable(status, str(file))
    return status


@contextmanager
def _copy_of(source: Path, target: Path) -> Iterator[Path]:
    """Yield a checked copy of an SQLite database beside `target`, which is deleted unless it was renamed."""
    copy = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    with translate_db_errors(str(target)):
        os.close(os.open(copy, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, PRIVATE))
    try:
        with translate_db_errors(str(source)), closing(sqlite3.connect(source)) as database:
            database.execute("VACUUM INTO ?", (str(copy),))  # one snapshot; writers wait for nothing but the disk
        with closing(sqlite3.connect(copy)) as database:
            try:
                problem = database.execute("PRAGMA integrity_check").fetchone()[0]
            except sqlite3.DatabaseError as error:
                problem = str(error)
        if problem != "ok":
            raise DatabaseUnavailableError(DAMAGED.format(source, problem))
        _sync(copy)
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def _keep(file: Path, name: Path) -> None:
    """Give an SQLite file another name, with what its journals hold; until it is replaced it has both names."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(file)) as database:  # a damaged file is kept as it is
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for suffix in JOURNALS:
        with suppress(FileNotFoundError):
            Path(f"{file}{suffix}").replace(f"{name}{suffix}")
    try:
        name.hardlink_to(file)
    except OSError:  # the file system has no hard links
        file.replace(name)


def _delete(file: Path | None) -> None:
    """Delete an SQLite file with its journals."""
    for suffix in ("", *JOURNALS):
        Path(f"{file}{suffix}").unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # not every system can sync a folder
        _sync(folder)


async def _require_movable(tx: AsyncConnection, name: str, now: datetime) -> None:
    status = await tx.run_sync(schema.schema_status)
    schema.require_usable(status, name)
    if status is SchemaStatus.EMPTY:
        raise DatabaseMissingError(NO_DATABASE.format(name))
    if status is SchemaStatus.BEHIND:
        raise DatabaseUnavailableError(OLDER.format(name))
    await _require_quiet(tx, name, now)


async def _require_quiet(tx: AsyncConnection, name: str, now: datetime) -> None:
    """Raise DatabaseUnavailableError if a process ticked just now; a lock already shows it on an SQLite file."""
    if tx.dialect.name == "sqlite":
        return
    last = await tx.scalar(select(func.max(ticks.c.claimed_at)))
    if last is not None and last > now - QUIET:
        raise DatabaseUnavailableError(TICKED.format(name, int(QUIET.total_seconds() / 60)))


async def _require_empty(tx: AsyncConnection, name: str, now: datetime) -> None:
    """Create the tables that are missing. Raises DatabaseUnavailableError if there is data in them."""
    await tx.run_sync(schema.upgrade)
    await _require_quiet(tx, name, now)
    for table in metadata.sorted_tables:
        if table.name in FRESH:
            await tx.execute(delete(table))
        elif await tx.scalar(select(func.count()).select_from(table)):
            raise DatabaseUnavailableError(NOT_EMPTY.format(name, table.name))


async def _copy_table(source: AsyncConnection, target: AsyncConnection, table: Table, names: tuple[str, str]) -> int:
    """Copy the rows of a table; return their number. Raises DatabaseUnavailableError if some did not arrive."""
    rows = await source.stream(select(table))
    async for batch in rows.mappings().partitions(BATCH):
        await target.execute(table.insert(), [dict(row) for row in batch])
    count = select(func.count()).select_from(table)
    expected, found = await source.scalar(count), await target.scalar(count)
    if expected != found:
        raise DatabaseUnavailableError(LOST_ROWS.format(table.name, expected, names[0], found))
    return int(found or 0)


async def _set_sequences(tx: AsyncConnection) -> None:
    """Let PostgreSQL number new rows after the copied ones; SQLite does so by itself."""
    if tx.dialect.name == "postgresql":
        await tx.run_sync(_set_postgresql_sequences)


def _set_postgresql_sequences(connection: Connection) -> None:
    for table in metadata.sorted_tables:
        (key, *others) = table.primary_key
        if others or table.autoincrement_column is None:
            continue
        sequence = connection.scalar(select(func.pg_get_serial_sequence(table.name, key.name)))
        highest = connection.scalar(select(func.max(key)))
        if sequence is not None and highest is not None:
            connection.execute(text("SELECT setval(:sequence, :highest)"), {"sequence": sequence, "highest": highest})
