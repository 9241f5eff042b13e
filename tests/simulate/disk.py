"""The disk: one SQLite file that outlives every process, worked on without a thread."""

from __future__ import annotations

import asyncio
import atexit
import shutil
import sqlite3
import tempfile
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
WAL_MARKS = slice(18, 20)  # of the file's header
IN_MEMORY = Path("/dev/shm")  # noqa: S108 -- a folder of our own is made in it


class _Cursor:
    """A cursor that answers at once to those who await it."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor

    async def __aenter__(self) -> Self:
        return self

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- what sqlite3 has, as it has it
        return getattr(self._cursor, name)

    async def execute(self, *asked: Any) -> None:  # noqa: ANN401 -- as above
        self._cursor.execute(*asked)

    async def executemany(self, *asked: Any) -> None:  # noqa: ANN401 -- as above
        self._cursor.executemany(*asked)

    async def fetchone(self) -> object:
        return self._cursor.fetchone()

    async def fetchmany(self, size: int) -> list[Any]:
        return self._cursor.fetchmany(size)

    async def fetchall(self) -> list[Any]:
        return self._cursor.fetchall()

    async def close(self) -> None:
        self._cursor.close()


class _Connection:
    """What aiosqlite gives, without its thread: it costs most of a transaction's time, and its order is chance."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = self._conn = connection

    def cursor(self) -> _Cursor:
        return _Cursor(self._conn.cursor())

    async def create_function(self, *asked: Any, **more: Any) -> None:  # noqa: ANN401 -- as above
        self._conn.create_function(*asked, **more)

    async def commit(self) -> None:
        self._conn.commit()

    async def rollback(self) -> None:
        self._conn.rollback()

    async def close(self) -> None:
        self._conn.close()

    def stop(self) -> None:
        self._conn.close()


def _connect(
    dialect: Dialect, _entry: ConnectionPoolEntry, where: tuple[str], options: dict[str, Any]
) -> DBAPIConnection | None:
    if NAME not in where[0]:
        return None  # a database of another test
    connection = sqlite3.connect(*where, **{**options, "check_same_thread": False})
    adapted = AsyncAdapt_aiosqlite_connection(cast("Any", dialect).dbapi, cast("Any", _Connection(connection)))
    return cast("DBAPIConnection", adapted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """A notice as the store has it, and what became of its message; `told_in` is the digest that has told it."""

    notice: Notice
    key: str
    message_id: str | None
    delivered: bool
    given_up: bool
    problem: str | None
    told_in: int | None


@dataclass(slots=True)
class Disk:
    """What every process of a run keeps its store on; `restore` makes it as it was for the next run.

    A transaction is one step here: nobody else runs in the middle of it, and it is there as a whole or not at all.
    """

    path: Path
    database: Database = field(init=False)
    _kept: sqlite3.Connection = field(init=False)

    def __post_init__(self) -> None:
        self.database = Database(f"sqlite:///{self.path}")
        self._kept = sqlite3.connect(self.path)

    def store(self) -> SqlStore:
        """Open the store as a process does that has just started."""
        return SqlStore(self.database)

    async def clear(self) -> None:
        """Make the disk as a new database is."""
        self.database._write_lock = asyncio.Lock()  # noqa: SLF001 -- as below
        with sqlite3.connect(":memory:") as nothing:
            nothing.backup(self._kept)
        nothing.close()
        async with self.database.write() as tx:
            await tx.run_sync(schema.check)

    async def notices(self) -> list[Noted]:
        """Read every notice with its message."""
        told = [tables.notices.c[name] for name in ("name", "kind", "content", "opened_at", "closed_at")]
        of_notice = tables.notices.c.id == tables.deliveries.c.notice_id
        query = select(tables.deliveries, *told).join(tables.notices, of_notice).order_by(tables.notices.c.id)
        async with self.database.read() as tx:
            return [
                Noted(
                    notice=read_notice(row, row.notice_id),
                    key=row.key,
                    message_id=row.message_id,
                    delivered=row.sent_version == row.version,
                    given_up=row.dead_at is not None,
                    problem=row.problem,
                    told_in=row.superseded_by,
                )
                for row in await tx.execute(query)
            ]

    def restore(self, image: bytes) -> None:
        """Let the disk hold what `image` does, for an event loop that is to come."""
        self.database._write_lock = asyncio.Lock()  # noqa: SLF001 -- one that was ever waited for belongs to its loop
        with sqlite3.connect(":memory:") as known:
            known.deserialize(image)
            known.backup(self._kept)
        known.close()

    def image(self) -> bytes:
        """Take a picture of all that the disk holds."""
        with sqlite3.connect(":memory:") as copy:
            self._kept.backup(copy)
            taken = bytearray(copy.serialize())
        copy.close()
        taken[WAL_MARKS] = b"\x01\x01"  # a copy in memory has no WAL
        return bytes(taken)


@lru_cache(maxsize=1)
def the_disk() -> Disk:
    """Give the one disk there is; compiled statements, which cost more than running them, are kept with it.

    Only a file has a WAL: without one, whoever has not quite closed a reading keeps others from writing.
    """
    event.listen(Engine, "do_connect", _connect)
    folder = tempfile.mkdtemp(prefix=NAME, dir=IN_MEMORY if IN_MEMORY.is_dir() else None)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Disk(Path(folder) / "store.db")
