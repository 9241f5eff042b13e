"""The store: everything that is remembered, on SQLite or PostgreSQL; the only importer of SQLAlchemy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from services.storage import schema
from services.storage.alert_audit import AlertAudits
from services.storage.alerts import Alerts
from services.storage.channels import Channels, People
from services.storage.delivery_status import DeliveryStatus
from services.storage.engine import Database
from services.storage.history import History
from services.storage.holdings import Snapshots
from services.storage.installations import Installations
from services.storage.notices import Notices
from services.storage.outbox import Outbox
from services.storage.rule_audit import RuleAuditTable
from services.storage.rules import Rules
from services.storage.tick_log import Looks
from services.storage.ticks import Ticks
from services.storage.token_encryption import TokenCipher, new_key
from services.storage.votes import VoteTable

__all__ = ["SqlStore", "migrate", "new_key", "schema_is_current"]


class SqlStore(
    History,
    Snapshots,
    Rules,
    RuleAuditTable,
    Alerts,
    VoteTable,
    AlertAudits,
    Outbox,
    People,
    Ticks,
    Channels,
    Notices,
    Looks,
    DeliveryStatus,
):
    """Implements Store on one database; made by `open`.

    A URL is `sqlite:///relative.db`, `sqlite:////absolute.db`, `sqlite://` for a memory that ends with the store, or
    one of PostgreSQL. Every method raises StoreError where the database cannot be reached or used.
    """

    @property
    def name(self) -> str:
        """What people call the database: its file, or its URL without the password."""
        return self._database.name

    @classmethod
    async def open(cls, url: str) -> Self:
        """Open the store; an empty database is made ready. Raises StoreError where its schema is not this program's."""
        database = Database(url)
        try:
            async with database.write() as tx:
                await tx.run_sync(schema.check)
        except BaseException:
            await database.close()
            raise
        return cls(database)

    def installations(self, keys: Sequence[str]) -> Installations:
        """Give the installations on the same database, whose tokens are sealed with these keys, newest first."""
        return Installations(self._database, TokenCipher(keys))

    async def aclose(self) -> None:
        """Close every connection; the store cannot be used any more."""
        await self._database.close()


async def migrate(url: str) -> None:
    """Bring a database to this program's schema; harmless where it is there already, or others do so at once.

    Raises StoreError where it is newer than this program, or cannot be used.
    """
    database = Database(url)
    try:
        async with database.write() as tx:
            await tx.run_sync(schema.upgrade)
    finally:
        await database.close()


async def schema_is_current(url: str) -> bool:
    """Tell whether a database has this program's schema. Raises StoreError."""
    database = Database(url)
    try:
        async with database.read() as tx:
            return await tx.run_sync(schema.schema_status) is schema.SchemaStatus.CURRENT
    finally:
        await database.close()
