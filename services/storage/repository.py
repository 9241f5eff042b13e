"""Base class and helpers of the repositories: inserts, upserts, and the rows of a channel."""

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerting.alert import EntryKind
from services.alerting.ports import AlertChange
from services.core.identity import Channel
from services.storage.engine import Database

BATCH_SIZE = 5_000  # rows per statement; the event loop runs other tasks in between


class Repository:
    """One part of the store; all repositories of a store share one database.

    Attributes:
        on_event: Called for each saved timeline entry of an alert, after the transaction, if metrics are on.
    """

    on_event: Callable[[EntryKind], None] | None = None

    def __init__(self, database: Database) -> None:
        self._database = database
        self._logged: set[tuple[str, int]] = set()

    def _count_events(self, alerts: Iterable[AlertChange]) -> None:
        """Count the timeline entries of saved alerts, except test alerts."""
        if self.on_event is None:
            return
        for change in alerts:
            for entry in () if change.alert.is_drill else change.entries:
                self.on_event(entry.kind)

    def _log_once(self, log: logging.Logger, message: str, row_ids: Iterable[int]) -> None:
        """Log a message about each of these rows, unless it was logged before."""
        new = {(message, row_id) for row_id in row_ids} - self._logged
        for _, row_id in sorted(new):
            log.error(message, row_id)
        self._logged |= new


def insert(tx: AsyncConnection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT of this database's dialect, which supports `on_conflict_do_*`."""
    return _insert(tx.dialect.name, table)


async def upsert(tx: AsyncConnection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows; replace those whose primary key exists already."""
    statement = _upsert_statement(tx.dialect.name, table)
    for start in range(0, len(rows), BATCH_SIZE):
        await tx.execute(statement, rows[start : start + BATCH_SIZE])


def in_channel(table: Table, channel: Channel) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return conditions that select the rows of one channel."""
    return table.c.team == channel.team, table.c.channel == channel.id


def channel_columns(channel: Channel) -> dict[str, str]:
    """Return the columns that name a channel, with their values."""
    return {"team": channel.team, "channel": channel.id}


async def insert_row(tx: AsyncConnection, table: Table, row: dict[str, Any]) -> int:
    """Insert one row and return its generated id."""
    key = (await tx.execute(table.insert().values(row))).inserted_primary_key
    row_id: int = key[0] if key else 0
    return row_id


@lru_cache
def _upsert_statement(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Build the statement of `upsert`; cached, as building it takes longer than running it with a few rows."""
    new = _insert(dialect, table)
    return new.on_conflict_do_update(
        index_elements=table.primary_key,
        set_={column.name: new.excluded[column.name] for column in table.c if not column.primary_key},
    )


def _insert(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
