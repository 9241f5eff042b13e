"""The database engine: connections from a URL, and read and write transactions."""

import asyncio
import hashlib
import logging
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, nullcontext, suppress
from itertools import count
from math import inf
from pathlib import Path
from typing import Any

import aiosqlite
from sqlalchemy import URL, Connection, event, exc
from sqlalchemy.connectors.asyncio import AsyncAdapt_dbapi_connection
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from services.core.errors import DatabaseBusyError, DatabaseUnavailableError
from services.storage.db_errors import is_missing_schema, translate_db_errors, unavailable
from services.storage.location import create_data_folder, is_in_data_folder
from services.storage.url import display_name, parse_url, sqlite_path

BUSY_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 10
MIGRATION_LOCK = 0x6D696E65  # any number that nothing else in the database locks
IDLE_TIMEOUT_S = 15  # none of our transactions idles that long between two statements
LOCK_TIMEOUT_S, STATEMENT_TIMEOUT_S = 10, 30  # of one statement of ours, except in a migration
IDLE_TIMEOUT = f"SET LOCAL idle_in_transaction_session_timeout = '{IDLE_TIMEOUT_S}s'"
TIMEOUTS = (  # in one statement, until the transaction ends: a pooler shares the session
    f"SELECT set_config('idle_in_transaction_session_timeout', '{IDLE_TIMEOUT_S}s', true), "
    f"set_config('lock_timeout', '{LOCK_TIMEOUT_S}s', true), "
    f"set_config('statement_timeout', '{STATEMENT_TIMEOUT_S}s', true)"
)
LOCK_SCHEMA = f"SELECT pg_advisory_xact_lock_shared({MIGRATION_LOCK})"  # until the transaction ends
CHECK_INTERVAL_S = 60.0  # how long a process may write without comparing the schema's revision
REFUSED = -inf  # the next check is due at once: every write is refused until the database is restored
IDENTITY = "(SELECT identity FROM database_identity) AS identity"
REVISION = f"SELECT version_num, {IDENTITY} FROM alembic_version"  # noqa: S608 -- constants
MIGRATED = "The database {} was migrated by another release of MinerPulse; this process must be updated or restarted."
SNAPSHOT_READ: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
NO_DATABASE = "There is no database at {} yet. `minerpulse run` creates it; MINERPULSE_DATABASE_URL can name another."
IS_FOLDER = "The database {} is a folder. Name a file in it with MINERPULSE_DATABASE_URL=sqlite:///FILE."
EMPTY = (
    "The database {} has lost its tables. Restore it from a backup, or restart MinerPulse to begin with an empty one."
)
GONE = "The database file {} has disappeared. Put it back, or restore it from a backup and restart MinerPulse."
REPLACED = "The database file {} was replaced while MinerPulse was running. Restart MinerPulse to use the new file."
OTHER = (
    "The database {} was replaced by another one while MinerPulse was running. Restart MinerPulse to use the new one, "
    "or restore the old one."
)
WAL = "PRAGMA journal_mode=WAL"
WAL_RETRY_S = 0.1
PRAGMAS = ("synchronous=FULL", "foreign_keys=ON")

log = logging.getLogger(__name__)
_memory_numbers = count(1)


class DatabaseMissingError(DatabaseUnavailableError):
    """A command that only reads finds no database; it does not create one."""


class Database:
    """Transactions on one database, identified by its URL: `sqlite:///FILE` or `postgresql://USER@HOST/NAME`.

    Every error that keeps it from being reached or used is raised as DatabaseUnavailableError. Without `create`, a
    missing file is a DatabaseMissingError.
    """

    def __init__(self, url: str, monotonic: Callable[[], float] = time.monotonic, *, create: bool = True) -> None:
        self._memory: sqlite3.Connection | None = None
        self._monotonic = monotonic
        self._revision: str | None = None
        self._identity: str | None = None
        self._next_check_at = inf  # on the monotonic clock
        self._write_lock: asyncio.Lock | nullcontext[None] = nullcontext()
        parsed = parse_url(url)
        self.url = parsed
        self.name = display_name(parsed)
        self._path = sqlite_path(parsed) if parsed.drivername.startswith("sqlite") else None
        self._file_id: tuple[int, int] | None = None
        self._failing = False
        if self._path is not None and self._path.is_dir():
            raise DatabaseUnavailableError(IS_FOLDER.format(self.name))
        if not create:
            self._require_file(parsed)
            if "uri" in parsed.query and not {"mode", "vfs"} & parsed.query.keys():
                parsed = parsed.update_query_dict({"mode": "rw"})  # SQLite would create the file
        with translate_db_errors(self.name):
            if create:
                create_data_folder(self._path)
            if parsed.drivername.startswith("sqlite"):
                self._engine = self._sqlite(parsed)
                self._reader = self._engine
                self._writer = self._engine.execution_options(write=True)
                self._write_lock = asyncio.Lock()  # SQLite's own lock makes writers poll every 0.1 s
            else:
                self._engine = self._writer = _postgresql(parsed)
                self._reader = self._engine.execution_options(**SNAPSHOT_READ)

    def _require_file(self, url: URL) -> None:
        """Raise DatabaseMissingError if the file is empty, or does not exist while its folder does.

        SQLite would write the header of its write-ahead log into an empty file.
        """
        path = sqlite_path(url) if url.drivername.startswith("sqlite") else None
        if path is None or not (path.parent.is_dir() or is_in_data_folder(path)):
            return
        if not path.exists() or _is_empty_file(path):
            raise DatabaseMissingError(NO_DATABASE.format(self.name))

    @property
    def spool_prefix(self) -> Path | None:
        """The start of the names of files that hold what this database cannot take yet; None for one in memory.

        They are beside an SQLite file; for another database they are in the working directory.
        """
        if self._memory is not None:
            return None
        if self._path is not None:
            return Path(f"{self._path.absolute()}-token-")
        digest = hashlib.sha256(self.name.encode()).hexdigest()[:8]
        return Path.cwd() / f"minerpulse-{digest}.db-token-"

    @asynccontextmanager
    async def read(self, *, check_revision: bool = False) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that sees one snapshot of the database throughout.

        With `check_revision` it is refused if another release has migrated the database or it was replaced.
        """
        with self._log_outage(), translate_db_errors(self.name):
            self._check_file()
            async with self._explain_missing(), self._reader.connect() as connection:
                if connection.dialect.name == "postgresql":
                    await self._set_timeouts(connection)
                if check_revision:
                    await self._check_revision(connection)
                yield connection

    @asynccontextmanager
    async def write(self, *, check_revision: bool = False, migrates: bool = False) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that commits at the end and rolls back on any error; SQLite runs one at a time.

        PostgreSQL ends the transaction of a process that is frozen or gone: its locks would block everyone else.
        It also ends a statement that takes too long or waits too long for a lock, unless the schema is migrated.

        After `require_revision`, a database that another release has migrated or that was replaced is refused, by the
        first write of each minute and with `check_revision`; on PostgreSQL, a replaced one by every transaction. A
        write with `check_revision` also waits for a migration that has started, and no migration can
        start before it ends: SQLite has one writer, and on PostgreSQL both take a lock.
        """
        with self._log_outage(), translate_db_errors(self.name):
            self._check_file()
            async with self._explain_missing(), self._write_lock, self._writer.begin() as connection:
                is_postgresql = connection.dialect.name == "postgresql"
                if is_postgresql and migrates:
                    await connection.exec_driver_sql(IDLE_TIMEOUT)
                elif is_postgresql:
                    await self._set_timeouts(connection)
                if is_postgresql and check_revision:
                    await connection.exec_driver_sql(LOCK_SCHEMA)
                if check_revision or self._monotonic() >= self._next_check_at:
                    await self._check_revision(connection)
                yield connection
                self._check_file()

    def require_revision(self, revision: str, identity: str) -> None:
        """Refuse to write from now on if the schema's revision, the database's identity or its file changes."""
        self._revision, self._identity = revision, identity
        self._file_id = None if self._path is None else _file_id(self._path)
        self._next_check_at = self._monotonic() + CHECK_INTERVAL_S

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()
        if self._memory is not None:
            self._memory.close()

    async def _set_timeouts(self, connection: AsyncConnection) -> None:
        """Set the timeouts of a PostgreSQL transaction, and check the identity in the same round trip.

        Any connection may lead to another database: after a failover, or when one was dropped and created again.
        """
        if self._identity is None:
            await connection.exec_driver_sql(TIMEOUTS)
        else:
            self._check_identity((await connection.exec_driver_sql(f"{TIMEOUTS}, {IDENTITY}")).one().identity)

    async def _check_revision(self, connection: AsyncConnection) -> None:
        """Raise DatabaseUnavailableError if another release has migrated the database, or another one has its place."""
        if self._revision is None:
            return
        row = (await connection.exec_driver_sql(REVISION)).one_or_none()
        if row is None:
            raise DatabaseUnavailableError(EMPTY.format(self.name))
        if row.version_num != self._revision:
            self._next_check_at = REFUSED
            raise DatabaseUnavailableError(MIGRATED.format(self.name))
        self._check_identity(row.identity)
        self._next_check_at = self._monotonic() + CHECK_INTERVAL_S

    def _check_identity(self, identity: str | None) -> None:
        """Raise DatabaseUnavailableError if this is the identity of another database than the one that was opened."""
        if identity is None:
            raise DatabaseUnavailableError(EMPTY.format(self.name))
        if identity != self._identity:
            self._next_check_at = REFUSED
            raise DatabaseUnavailableError(OTHER.format(self.name))

    @asynccontextmanager
    async def _explain_missing(self) -> AsyncIterator[None]:
        """Raise DatabaseUnavailableError if a table or column is missing: another release has migrated, or all are."""
        try:
            yield
        except exc.DBAPIError as error:
            if self._revision is None or not is_missing_schema(error):
                raise
            try:
                async with self._reader.connect() as connection:
                    await self._check_revision(connection)
            except exc.DBAPIError as second:
                if is_missing_schema(second):
                    raise DatabaseUnavailableError(EMPTY.format(self.name)) from error
                raise
            raise unavailable(self.name, str(error.orig)) from error

    def _check_file(self) -> None:
        """Raise DatabaseUnavailableError if the open file is no longer the one at the path: writes would be lost."""
        if self._path is None or self._file_id is None:
            return
        found = _file_id(self._path)
        if found != self._file_id:
            raise DatabaseUnavailableError((GONE if found is None else REPLACED).format(self.name))

    @contextmanager
    def _log_outage(self) -> Iterator[None]:
        """Log that the database cannot be used, and that it can be again, once each after it was opened."""
        try:
            yield
        except DatabaseBusyError:
            raise
        except DatabaseUnavailableError as error:
            if self._revision is not None:
                error.is_logged = True
                if not self._failing:
                    log.error("%s", error)  # noqa: TRY400 -- the sentence is enough
                self._failing = True
            raise
        if self._next_check_at == REFUSED:
            return  # reads that check nothing may still work
        if self._failing:
            log.info("The database %s can be used again.", self.name)
        self._failing = False

    def _sqlite(self, url: URL) -> AsyncEngine:
        """Create an engine for a file, or for a private in-memory database that lasts until `close`."""
        url = url.set(drivername="sqlite+aiosqlite")
        options = {}
        if url.database in (None, "", ":memory:"):
            memory = f"file:/minerpulse-{next(_memory_numbers)}"
            self._memory = sqlite3.connect(f"{memory}?vfs=memdb", uri=True)
            url = url.set(database=memory, query={"vfs": "memdb", "uri": "true"})
            options = {"pool_size": 1, "max_overflow": 0}
        connect_args = {"isolation_level": None, "timeout": float(str(url.query.get("timeout", BUSY_TIMEOUT_S)))}
        engine = create_async_engine(url, connect_args=connect_args, **options)
        if self._memory is None:
            _create_private(sqlite_path(url))
        _probe(engine, url)
        event.listen(engine.sync_engine, "connect", _set_pragmas)
        event.listen(engine.sync_engine, "begin", _begin)
        event.listen(engine.sync_engine, "invalidate", _rollback)
        return engine


def _is_empty_file(path: Path) -> bool:
    return path.is_file() and path.stat().st_size == 0


def _file_id(path: Path) -> tuple[int, int] | None:
    """Return the device and inode of a file; None if it does not exist."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _postgresql(url: URL) -> AsyncEngine:
    """Create an engine whose connections may come through a pooler, and are tested before use.

    So a restart of the server or the pooler costs at most the current transaction.
    """
    connect_args = {"prepare_threshold": None, "connect_timeout": CONNECT_TIMEOUT_S}
    engine = create_async_engine(url, pool_pre_ping=True, connect_args=connect_args)
    event.listen(engine.sync_engine, "handle_error", _close_cursor)
    return engine


def _close_cursor(context: ExceptionContext) -> None:
    """Close the cursor of a broken connection, which SQLAlchemy leaves open."""
    if context.is_disconnect and context.execution_context is not None:
        with suppress(context.dialect.loaded_dbapi.Error):
            context.execution_context.cursor.close()


def _create_private(path: Path | None) -> None:
    """Create a missing file that its owner alone can read and write; SQLite gives its journals the same permissions.

    If that fails, SQLite says why.
    """
    if path is not None:
        with suppress(OSError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _probe(engine: AsyncEngine, url: URL) -> None:
    """Read the file once without aiosqlite, whose thread outlives a failure to connect and then raises."""
    (path,), options = engine.dialect.create_connect_args(url)
    with closing(sqlite3.connect(path, **options)) as connection:
        connection.execute("PRAGMA schema_version")


def _set_pragmas(connection: AsyncAdapt_dbapi_connection, _entry: ConnectionPoolEntry) -> None:
    connection.run_async(_enter_wal)
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


async def _enter_wal(connection: aiosqlite.Connection) -> None:
    """Switch the file to a write-ahead log; SQLite's own timeout does not wait here for another connection's write."""
    for _ in range(round(BUSY_TIMEOUT_S / WAL_RETRY_S)):
        try:
            await connection.execute_fetchall(WAL)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            await asyncio.sleep(WAL_RETRY_S)
        else:
            return
    await connection.execute_fetchall(WAL)


def _rollback(connection: DBAPIConnection, _entry: ConnectionPoolEntry, _error: BaseException | None) -> None:
    """Roll back the write of a cancelled task: a closed connection holds its lock while one of its cursors is alive."""
    with suppress(sqlite3.Error):
        connection.rollback()


def _begin(connection: Connection) -> None:
    """Begin a write transaction with its lock: a reader that starts to write may find its snapshot outdated."""
    write = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
