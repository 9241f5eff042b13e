"""Keys of what is processed once by all processes on one database: requests, events and announcements."""

from datetime import datetime, timedelta

from sqlalchemy import delete, select

from services.storage import tables
from services.storage.repository import Repository, insert, upsert

_columns = tables.processed_keys.c


class ProcessedKeyRepository(Repository):
    """Claims of keys; a key that has expired can be claimed again."""

    async def claim_key(self, key: str, *, now: datetime, ttl: timedelta) -> bool:
        """Claim a key until `now` + `ttl`; return whether it was free. Raises DatabaseUnavailableError."""
        async with self._database.write() as tx:
            await tx.execute(delete(tables.processed_keys).where(_columns.until <= now))
            row = insert(tx, tables.processed_keys).values(key=key, until=now + ttl).on_conflict_do_nothing()
            return await tx.scalar(row.returning(_columns.key)) is not None

    async def confirm_key(self, key: str, *, now: datetime, ttl: timedelta) -> None:
        """Keep a claimed key until `now` + `ttl`, as its work is done. Raises DatabaseUnavailableError."""
        async with self._database.write() as tx:
            await upsert(tx, tables.processed_keys, [{"key": key, "until": now + ttl}])

    async def key_expires_at(self, key: str) -> datetime | None:
        """Return when a claimed key can be claimed again; None if no process has claimed it."""
        async with self._database.read() as tx:
            until: datetime | None = await tx.scalar(select(_columns.until).where(_columns.key == key))
        return until

    async def release_key(self, key: str) -> None:
        """Release a key whose work failed, so that a retry can claim it."""
        async with self._database.write() as tx:
            await tx.execute(delete(tables.processed_keys).where(_columns.key == key))
