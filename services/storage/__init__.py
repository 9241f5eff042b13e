"""Persistence on SQLite or PostgreSQL; the only package that imports SQLAlchemy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from services.storage import schema
from services.storage.alert_audit import AlertAuditRepository
from services.storage.alerts import AlertRepository
from services.storage.channels import ChannelRepository, UserActivityRepository
from services.storage.delivery_status import DeliveryStatusRepository
from services.storage.engine import Database
from services.storage.history import PriceHistoryRepository
from services.storage.holdings import HoldingsRepository
from services.storage.installations import InstallationRepository
from services.storage.notices import NoticeRepository
from services.storage.outbox import OutboxRepository
from services.storage.rule_audit import RuleAuditRepository
from services.storage.rules import RuleRepository
from services.storage.tick_log import TickLogRepository
from services.storage.ticks import TickRepository
from services.storage.token_encryption import TokenCipher, generate_key
from services.storage.votes import VoteRepository

__all__ = ["SqlStore", "generate_key", "migrate", "schema_is_current"]


class SqlStore(
    PriceHistoryRepository,
    HoldingsRepository,
    RuleRepository,
    RuleAuditRepository,
    AlertRepository,
    VoteRepository,
    AlertAuditRepository,
    OutboxRepository,
    UserActivityRepository,
    TickRepository,
    ChannelRepository,
    NoticeRepository,
    TickLogRepository,
    DeliveryStatusRepository,
):
    """The `Store` implementation on one database; create it with `open`.

    A URL is `sqlite:///relative.db`, `sqlite:////absolute.db`, `sqlite://` for an in-memory database that ends with the
    store, or a PostgreSQL URL. Every method raises DatabaseUnavailableError if the database cannot be reached or used.
    That includes a database that another release has migrated since it was opened.
    """

    @property
    def name(self) -> str:
        """The database's display name: its file, or its URL without the password."""
        return self._database.name

    @classmethod
    async def open(cls, url: str) -> Self:
        """Open the store; create the schema in an empty database.

        Raises DatabaseUnavailableError if the schema is of another release.
        """
        database = Database(url)
        try:
            async with database.write() as tx:
                revision = await tx.run_sync(schema.check)
        except BaseException:
            await database.close()
            raise
        database.require_revision(revision)
        return cls(database)

    def installations(self, keys: Sequence[str]) -> InstallationRepository:
        """Return the installations in the same database; their tokens are encrypted with these keys, newest first."""
        return InstallationRepository(self._database, TokenCipher(keys))

    async def aclose(self) -> None:
        """Close every connection; the store cannot be used afterwards."""
        await self._database.close()


async def migrate(url: str) -> None:
    """Upgrade a database to this program's schema; does nothing if it is current, and is safe to run concurrently.

    Raises DatabaseUnavailableError if the database is newer than this program, or cannot be used.
    """
    database = Database(url)
    try:
        async with database.write() as tx:
            await tx.run_sync(schema.upgrade)
    finally:
        await database.close()


async def schema_is_current(url: str) -> bool:
    """Return whether a database has this program's schema. Raises DatabaseUnavailableError."""
    database = Database(url)
    try:
        async with database.read() as tx:
            return await tx.run_sync(schema.schema_status) is schema.SchemaStatus.CURRENT
    finally:
        await database.close()
