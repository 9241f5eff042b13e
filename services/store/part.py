"""What the parts of the store share: one database, and the INSERT of its dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from sqlalchemy import Table
    from sqlalchemy.ext.asyncio import AsyncConnection

    from services.store.engine import Database


class Part:
    """One part of the store; all parts of a store work on the same database."""

    def __init__(self, database: Database) -> None:
        self._database = database


def insert(tx: AsyncConnection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Start an INSERT that can say what to do about a row that is there already."""
    return postgresql.insert(table) if tx.dialect.name == "postgresql" else sqlite.insert(table)


async def insert_row(tx: AsyncConnection, table: Table, row: dict[str, Any]) -> int:
    """Insert one row; give the number that the database has chosen for it."""
    key = (await tx.execute(table.insert().values(row))).inserted_primary_key
    number: int = key[0] if key else 0
    return number
