"""The last success and the failures in a row of each source."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, select

from services.market.source_log import SourceRecord
from services.storage import tables
from services.storage.repository import Repository, upsert

_columns = tables.source_records.c


class SourceRecordRepository(Repository):
    """Implements SourceRecordStore."""

    async def add_source_records(self, records: Sequence[SourceRecord]) -> None:
        """Add requests to the stored records; see SourceRecordStore."""
        names = [record.source for record in records]
        async with self._database.write() as tx:
            query = select(tables.source_records).where(_columns.source.in_(names)).with_for_update()
            stored = {row.source: _record(row) for row in await tx.execute(query)}
            merged = [stored[one.source].then(one) if one.source in stored else one for one in records]
            await upsert(tx, tables.source_records, [asdict(one) for one in merged])

    async def source_records(self) -> list[SourceRecord]:
        """Return the record of each source that was ever asked."""
        query = select(tables.source_records).order_by(_columns.source)
        async with self._database.read() as tx:
            return [_record(row) for row in await tx.execute(query)]


def _record(row: Row[Any]) -> SourceRecord:
    return SourceRecord(
        source=row.source,
        last_success_at=row.last_success_at,
        failures=row.failures,
        failing_since=row.failing_since,
        problem=row.problem,
    )
