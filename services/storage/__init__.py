"""Persistence on SQLite or PostgreSQL; the only package that imports SQLAlchemy."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from services.core.clock import Clock
from services.storage import schema
from services.storage.alerts import AlertRepository
from services.storage.channels import ChannelRepository
from services.storage.copies import Moved, Restored, back_up, move, restore
from services.storage.engine import Database, DatabaseMissingError
from services.storage.exports import ExportRepository
from services.storage.file_lock import database_lock
from services.storage.installations import InstallationRepository, TokenCipher, generate_key
from services.storage.managed_rules import ManagedRuleRepository
from services.storage.market_data import HistoryRepository
from services.storage.outbox import OutboxRepository
from services.storage.outbox_queries import OutboxQueries
from services.storage.pages import PageRepository
from services.storage.processed_keys import ProcessedKeyRepository
from services.storage.retention import RetentionRepository
from services.storage.rules import RuleRepository
from services.storage.schema import SchemaStatus
from services.storage.sinks import SinkRepository
from services.storage.source_records import SourceRecordRepository
from services.storage.status_counts import StatusRepository
from services.storage.ticks import TickRepository
from services.storage.url import parse_url, sqlite_path
from services.storage.wakeups import listen

__all__ = [
    "DatabaseMissingError",
    "Moved",
    "Restored",
    "SchemaStatus",
    "SqlStore",
    "back_up",
    "database_lock",
    "database_path",
    "generate_key",
    "migrate",
    "move",
    "read_schema_status",
    "restore",
]


class SqlStore(
    HistoryRepository,
    RuleRepository,
    ManagedRuleRepository,
    AlertRepository,
    TickRepository,
    ChannelRepository,
    OutboxRepository,
    OutboxQueries,
    PageRepository,
    ProcessedKeyRepository,
    RetentionRepository,
    SourceRecordRepository,
    StatusRepository,
    ExportRepository,
):
    """The implementation of every store protocol on one database; create it with `open`.

    A URL is `sqlite:///relative.db`, `sqlite:////absolute.db`, `sqlite://` for an in-memory database that ends with the
    store, or a PostgreSQL URL. Every method raises DatabaseUnavailableError if the database cannot be reached or used.
    That includes a database that another release has migrated since it was opened, or that another one has replaced:
    ticks stop at once, and other writes within a minute. On PostgreSQL, a replaced one is never read or written.
    """

    @property
    def name(self) -> str:
        """The database's display name: its file, or its URL without the password."""
        return self._database.name

    @classmethod
    async def open(cls, url: str, *, create: bool = True, monotonic: Callable[[], float] = time.monotonic) -> Self:
        """Open the store; create the schema in an empty database.

        Raises DatabaseUnavailableError if the schema is of another release. Without `create`, a missing or empty
        database is a DatabaseMissingError.
        """
        database = Database(url, monotonic, create=create)
        try:
            async with database.write() as tx:
                if not create:
                    await tx.run_sync(schema.require_tables)
                revision, identity = await tx.run_sync(schema.check)
        except BaseException:
            await database.close()
            raise
        database.require_revision(revision, identity)
        return cls(database)

    def installations(self, keys: Sequence[str]) -> InstallationRepository:
        """Return the installations in the same database; their tokens are encrypted with these keys, newest first."""
        return InstallationRepository(self._database, TokenCipher(keys))

    def sinks(self, keys: Sequence[str], clock: Clock) -> SinkRepository:
        """Return the sinks of workspaces in the same database; their secrets are encrypted with these keys."""
        return SinkRepository(self._database, TokenCipher(keys), clock)

    async def listen(self, on_wake: Callable[[], None], on_change: Callable[[bool], None]) -> None:
        """Call `on_wake` whenever any process has saved something to send, until cancelled.

        `on_change` learns whether that works now. It never does on SQLite, whose processes poll.
        """
        await listen(self._database, on_wake, on_change)

    async def aclose(self) -> None:
        """Close every connection; the store cannot be used afterwards."""
        await self._database.close()


async def migrate(url: str) -> None:
    """Upgrade a database to this program's schema; does nothing if it is current, and is safe to run concurrently.

    Raises DatabaseUnavailableError if the database is newer than this program, or cannot be used.
    """
    database = Database(url)
    try:
        async with database.write(migrates=True) as tx:
            await tx.run_sync(schema.upgrade)
    finally:
        await database.close()


async def read_schema_status(url: str) -> SchemaStatus:
    """Return how a database's schema compares with this program's; a missing SQLite file is empty, and not created.

    Raises DatabaseUnavailableError if the database cannot be used, is newer, or belongs to another program.
    """
    try:
        database = Database(url, create=False)
    except DatabaseMissingError:
        return SchemaStatus.EMPTY
    try:
        async with database.read() as tx:
            status = await tx.run_sync(schema.schema_status)
    finally:
        await database.close()
    schema.require_usable(status, database.name)
    return status


def database_path(url: str) -> Path | None:
    """Return the file of an SQLite URL; None for any other database. Raises DatabaseUnavailableError."""
    parsed = parse_url(url)
    return sqlite_path(parsed) if parsed.drivername.startswith("sqlite") else None
