"""What the parts of the store share: one database, the INSERT of its dialect, and how rows of a channel are found."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from services.core.identity import Channel
from services.storage.engine import Database

CHUNK = 5_000  # rows for each statement; the event loop breathes in between


class Repository:
    """One part of the store; all parts of a store work on the same database."""

    def __init__(self, database: Database) -> None:
        self._database = database


def insert(tx: AsyncConnection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Start an INSERT that can say what to do about a row that is there already."""
    return _insert(tx.dialect.name, table)


async def upsert(tx: AsyncConnection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows; those whose key is there already take the place of the old ones."""
    replacing = _replacing(tx.dialect.name, table)
    for start in range(0, len(rows), CHUNK):
        await tx.execute(replacing, rows[start : start + CHUNK])


def rows_of(table: Table, channel: Channel) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Ask for the rows of a table that belong to one channel."""
    return table.c.team == channel.team, table.c.channel == channel.id


async def insert_row(tx: AsyncConnection, table: Table, row: dict[str, Any]) -> int:
    """Insert one row; give the number that the database has chosen for it."""
    key = (await tx.execute(table.insert().values(row))).inserted_primary_key
    number: int = key[0] if key else 0
    return number


@lru_cache
def _replacing(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Build the statement of `upsert`, which takes longer than to run it with a few rows."""
    new = _insert(dialect, table)
    return new.on_conflict_do_update(
        index_elements=table.primary_key,
        set_={column.name: new.excluded[column.name] for column in table.c if not column.primary_key},
    )


def _insert(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
