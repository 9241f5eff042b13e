"""The simulated disk: one SQLite file that outlives every process, used without threads."""

from __future__ import annotations

import asyncio
import atexit
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Self, cast

from sqlalchemy import Engine, event, select
from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_connection
from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect
from sqlalchemy.pool import ConnectionPoolEntry

from services.alerting.notice import Notice
from services.storage import SqlStore, schema, tables
from services.storage.codec import read_notice
from services.storage.engine import Database

NAME = "minerpulse-simulate"
WAL_MARKS = slice(18, 20)  # in the file's header
IN_MEMORY = Path("/dev/shm")  # noqa: S108 -- a private folder is created in it


def _at_once(name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
    """Return a coroutine method that calls sqlite3's method of this name without a thread."""

    async def call(self: _Cursor | _Connection, *arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401 -- sqlite3's type
        return getattr(self.real, name)(*arguments, **keywords)

    return call


class _Cursor:
    """A cursor whose coroutines complete immediately."""

    execute, executemany, close = _at_once("execute"), _at_once("executemany"), _at_once("close")
    fetchone, fetchmany, fetchall = _at_once("fetchone"), _at_once("fetchmany"), _at_once("fetchall")

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self.real = cursor

    async def __aenter__(self) -> Self:
        return self

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- as above
        return getattr(self.real, name)


class _Connection:
    """An aiosqlite connection without its thread, which would be slow and not deterministic."""

    create_function, commit = _at_once("create_function"), _at_once("commit")
    rollback, close = _at_once("rollback"), _at_once("close")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.real = self._connection = self._conn = connection

    def cursor(self) -> _Cursor:
        return _Cursor(self.real.cursor())

    async def execute_fetchall(self, statement: str) -> list[Any]:
        return self.real.execute(statement).fetchall()

    def stop(self) -> None:
        self.real.close()


def _connect(
    dialect: Dialect, _entry: ConnectionPoolEntry, arguments: tuple[str, ...], options: dict[str, Any]
) -> DBAPIConnection | None:
    if not arguments or NAME not in arguments[0]:  # PostgreSQL's are keywords
        return None  # another test's database
    connection = sqlite3.connect(arguments[0], **{**options, "check_same_thread": False})
    adapted = AsyncAdapt_aiosqlite_connection(cast("Any", dialect).dbapi, cast("Any", _Connection(connection)))
    return cast("DBAPIConnection", adapted)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeRow:
    """A notice with the state of its message; `digest_id` is the digest that replaced the message."""

    notice: Notice
    key: str
    message_id: str | None
    delivered: bool
    dead: bool
    problem: str | None
    digest_id: int | None


@dataclass(slots=True)
class Disk:
    """The database file that every process of a run uses; `restore` resets it for the next run.

    A transaction is one step: nothing else runs during it, and it is atomic.
    """

    path: Path
    database: Database = field(init=False)
    _connection: sqlite3.Connection = field(init=False)

    def __post_init__(self) -> None:
        self.database = Database(f"sqlite:///{self.path}")
        self._connection = sqlite3.connect(self.path)

    def store(self) -> SqlStore:
        """Open the store as a new process does."""
        return SqlStore(self.database)

    async def clear(self) -> None:
        """Reset the file to an empty database."""
        self.database._write_lock = asyncio.Lock()  # noqa: SLF001 -- a used lock belongs to its event loop
        with sqlite3.connect(":memory:") as empty:
            empty.backup(self._connection)
        empty.close()
        async with self.database.write() as tx:
            await tx.run_sync(schema.check)

    async def notices(self) -> list[NoticeRow]:
        """Return every notice with its message."""
        columns = [tables.notices.c[name] for name in ("name", "kind", "content", "opened_at", "closed_at")]
        of_notice = tables.notices.c.id == tables.deliveries.c.notice_id
        query = select(tables.deliveries, *columns).join(tables.notices, of_notice).order_by(tables.notices.c.id)
        async with self.database.read() as tx:
            return [
                NoticeRow(
                    notice=read_notice(row, row.notice_id),
                    key=row.key,
                    message_id=row.message_id,
                    delivered=row.sent_version == row.version,
                    dead=row.dead_at is not None,
                    problem=row.problem,
                    digest_id=row.superseded_by,
                )
                for row in await tx.execute(query)
            ]

    def restore(self, image: bytes) -> None:
        """Restore an image, for a new event loop."""
        self.database._write_lock = asyncio.Lock()  # noqa: SLF001 -- a used lock belongs to its event loop
        with sqlite3.connect(":memory:") as source:
            source.deserialize(image)
            source.backup(self._connection)
        source.close()

    def image(self) -> bytes:
        """Return an image of the file."""
        with sqlite3.connect(":memory:") as copy:
            self._connection.backup(copy)
            image = bytearray(copy.serialize())
        copy.close()
        image[WAL_MARKS] = b"\x01\x01"  # in-memory databases have no WAL
        return bytes(image)


@lru_cache(maxsize=1)
def simulated_disk() -> Disk:
    """Return the only disk; it keeps compiled statements, which cost more than running them.

    It is a file because only a file has a WAL. Without one, an unclosed read blocks writers.
    """
    event.listen(Engine, "do_connect", _connect)
    folder = tempfile.mkdtemp(prefix=NAME, dir=IN_MEMORY if IN_MEMORY.is_dir() else None)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Disk(Path(folder) / "store.db")
