"""Base class and helpers of the repositories: inserts, upserts, and the rows of a channel."""

import json
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import (
    JSON,
    ColumnElement,
    Dialect,
    FromClause,
    String,
    Table,
    bindparam,
    column,
    func,
    select,
    type_coerce,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerting.alert import EntryKind
from services.alerting.ports import AlertChange
from services.core.identity import Channel
from services.storage.engine import Database

BULK_SIZE = 250  # rows of a statement that compares or updates each
BATCH_SIZE = 5_000  # rows per statement; the event loop runs other tasks in between

Item = TypeVar("Item")


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


def batched(items: Collection[Item], size: int) -> Iterator[list[Item]]:
    """Yield the items in lists of at most `size`."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def values_table(dialect: Dialect, table: Table, rows: Sequence[dict[str, Any]]) -> FromClause:
    """Return rows of values as a table, whose columns have the types of these columns of `table`.

    The rows are one parameter, in JSON, so the statement is the same for any number of them.
    """
    columns = [column(name, table.c[name].type) for name in rows[0]]
    if dialect.name == "postgresql":
        data = [{name: _json_value(value) for name, value in row.items()} for row in rows]
        rows_of = func.json_to_recordset(bindparam(None, data, type_=JSON))
        return rows_of.table_valued(*columns, name="new").render_derived(with_types=True)
    write = [one.type.dialect_impl(dialect).bind_processor(dialect) or _unchanged for one in columns]
    texts = [[process(value) for process, value in zip(write, row.values(), strict=True)] for row in rows]
    each = func.json_each(bindparam(None, json.dumps(texts), type_=String)).table_valued("value", name="each")
    read = (func.json_extract(each.c.value, f"$[{index}]") for index in range(len(columns)))
    return select(
        *(type_coerce(value, one.type).label(one.name) for value, one in zip(read, columns, strict=True))
    ).subquery("new")


def _json_value(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


def _unchanged(value: object) -> object:
    return value


async def insert_rows(tx: AsyncConnection, table: Table, rows: Sequence[dict[str, Any]]) -> list[int]:
    """Insert rows, up to 1,000 in one statement, and return their generated ids in order."""
    if not rows:
        return []
    is_postgresql = tx.dialect.name == "postgresql"
    statement = table.insert().returning(table.c.id, sort_by_parameter_order=is_postgresql)
    ids = [*(await tx.scalars(statement, rows))]
    return ids if is_postgresql else sorted(ids)  # SQLite numbers the rows of a statement in order


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
