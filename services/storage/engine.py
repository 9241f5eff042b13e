"""The database behind the store: an engine made from its URL, and transactions whose failures say what to do."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, nullcontext, suppress
from itertools import count
from typing import Any

from sqlalchemy import URL, Connection, event, exc, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from services.core.errors import StoreError
from services.storage.db_errors import translate_db_errors

BUSY_S = 10.0
CONNECT_S = 10
FROZEN_S = 15  # within a transaction of ours there is never that long between two statements
LET_GO = f"SET LOCAL idle_in_transaction_session_timeout = '{FROZEN_S}s'"
ONE_STATE: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
UNKNOWN = "MinerPulse keeps nothing in {}; write sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME."
PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")

_memories = count(1)


class Database:
    """Transactions on one database, named by its URL: `sqlite:///FILE` or `postgresql://USER@HOST/NAME`.

    Whatever keeps it from being reached or used is raised as StoreError.
    """

    def __init__(self, url: str) -> None:
        self._memory: sqlite3.Connection | None = None
        self._turn: asyncio.Lock | nullcontext[None] = nullcontext()
        try:
            parsed = make_url(url)
        except exc.ArgumentError as error:
            raise StoreError("Cannot read the database URL; write it as in sqlite:///minerpulse.db.") from error
        kind, _, driver = parsed.drivername.partition("+")
        self.name = parsed.database or "in memory" if kind == "sqlite" else parsed.render_as_string()
        with translate_db_errors(self.name):
            match kind:
                case "sqlite":
                    self._engine = self._sqlite(parsed)
                    self._reader = self._engine
                    self._writer = self._engine.execution_options(write=True)
                    self._turn = asyncio.Lock()  # SQLite itself lets writers look again and again, up to 0.1 s apart
                case "postgresql" | "postgres" if driver in {"", "psycopg"}:
                    self._engine = self._writer = _postgresql(parsed)
                    self._reader = self._engine.execution_options(**ONE_STATE)
                case _:
                    raise StoreError(UNKNOWN.format(kind))

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that sees one state of the database throughout."""
        with translate_db_errors(self.name):
            async with self._reader.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that is committed at the end, or undone by any error; on SQLite there is one at a time.

        PostgreSQL ends one whose process is frozen or has vanished: its locks would keep everyone else waiting.
        """
        with translate_db_errors(self.name):
            async with self._turn, self._writer.begin() as connection:
                if connection.dialect.name == "postgresql":
                    await connection.exec_driver_sql(LET_GO)
                yield connection

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()
        if self._memory is not None:
            self._memory.close()

    def _sqlite(self, url: URL) -> AsyncEngine:
        """Make an engine for a file, or for a memory that lasts until `close` and is this object's alone."""
        url = url.set(drivername="sqlite+aiosqlite")
        options = {}
        if url.database in (None, "", ":memory:"):
            memory = f"file:/minerpulse-{next(_memories)}"
            self._memory = sqlite3.connect(f"{memory}?vfs=memdb", uri=True)
            url = url.set(database=memory, query={"vfs": "memdb", "uri": "true"})
            options = {"pool_size": 1, "max_overflow": 0}
        waits = {"isolation_level": None, "timeout": float(str(url.query.get("timeout", BUSY_S)))}
        engine = create_async_engine(url, connect_args=waits, **options)
        _probe(engine, url)
        event.listen(engine.sync_engine, "connect", _set_pragmas)
        event.listen(engine.sync_engine, "begin", _begin)
        event.listen(engine.sync_engine, "invalidate", _let_go)
        return engine


def _postgresql(url: URL) -> AsyncEngine:
    """Make an engine whose connections may come through a pooler, and are tried before they are used.

    So the restart of a server, or of what stands before it, costs at most the transaction under way.
    """
    asked = {"prepare_threshold": None, "connect_timeout": CONNECT_S}
    engine = create_async_engine(url.set(drivername="postgresql+psycopg"), pool_pre_ping=True, connect_args=asked)
    event.listen(engine.sync_engine, "handle_error", _close_cursor)
    return engine


def _close_cursor(context: ExceptionContext) -> None:
    """Close what a broken connection was read through, which SQLAlchemy leaves open."""
    if context.is_disconnect and context.execution_context is not None:
        with suppress(context.dialect.loaded_dbapi.Error):
            context.execution_context.cursor.close()


def _probe(engine: AsyncEngine, url: URL) -> None:
    """Read the file once without aiosqlite, whose thread outlives a failure to connect and then breaks noisily."""
    (path,), options = engine.dialect.create_connect_args(url)
    with closing(sqlite3.connect(path, **options)) as connection:
        connection.execute("PRAGMA schema_version")


def _set_pragmas(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _let_go(connection: DBAPIConnection, _entry: ConnectionPoolEntry, _error: BaseException | None) -> None:
    """Undo what a cancelled task was writing: a connection that is closed keeps its lock while a cursor of it lives."""
    with suppress(sqlite3.Error):
        connection.rollback()


def _begin(connection: Connection) -> None:
    """Begin a write transaction as one: a reader that turns into a writer can find its state outdated."""
    write = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
