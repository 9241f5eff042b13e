"""The store: everything that is remembered, on SQLite or PostgreSQL; the only importer of SQLAlchemy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from services.store import schema
from services.store.acts import Acts
from services.store.alerts import Alerts
from services.store.channels import Channels
from services.store.engine import Database
from services.store.history import History
from services.store.holdings import Snapshots
from services.store.installations import Installations
from services.store.looks import Looks
from services.store.notices import Notices
from services.store.outbox import Outbox
from services.store.people import People
from services.store.receipts import Receipts
from services.store.rules import Rules
from services.store.ticks import Ticks
from services.store.troubles import Troubles
from services.store.vault import Vault, new_key
from services.store.votes import Ballots

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SqlStore", "migrate", "new_key", "schema_is_current"]


class SqlStore(
    History,
    Snapshots,
    Rules,
    Acts,
    Alerts,
    Ballots,
    Receipts,
    Outbox,
    People,
    Ticks,
    Channels,
    Notices,
    Looks,
    Troubles,
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
        return Installations(self._database, Vault(keys))

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
            return await tx.run_sync(schema.standing) is schema.Standing.CURRENT
    finally:
        await database.close()
