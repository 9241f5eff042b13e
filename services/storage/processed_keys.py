"""Keys of what is processed once by all processes on one database: requests, events and announcements."""

from datetime import datetime, timedelta

from sqlalchemy import delete

from services.storage import tables
from services.storage.repository import Repository, insert

_columns = tables.processed_keys.c


class ProcessedKeyRepository(Repository):
    """Claims of keys; a key that has expired can be claimed again."""

    async def claim_key(self, key: str, *, now: datetime, ttl: timedelta) -> bool:
        """Claim a key until `now` + `ttl`; return whether it was free. Raises DatabaseUnavailableError."""
        async with self._database.write() as tx:
            await tx.execute(delete(tables.processed_keys).where(_columns.until <= now))
            row = insert(tx, tables.processed_keys).values(key=key, until=now + ttl).on_conflict_do_nothing()
            return await tx.scalar(row.returning(_columns.key)) is not None

    async def release_key(self, key: str) -> None:
        """Release a key whose work failed, so that a retry can claim it."""
        async with self._database.write() as tx:
            await tx.execute(delete(tables.processed_keys).where(_columns.key == key))
