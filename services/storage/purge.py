"""Purge: a workspace's data, gone from every table."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Table, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.storage import tables
from services.storage.rules import turn_page

SHARED = frozenset(
    {"closes", "bars", "actions", "declared", "revisions", "holdings", "ticks", "sights", "extremes", "rulebook"}
)
INSTALLING = frozenset({"installations", "org_teams", "oauth_states"})  # see `Installations`
NOBODY = ""


async def purge(tx: AsyncConnection, team: str, at: datetime) -> None:
    """Delete all rows of a workspace, those first that hang on others.

    Of its rules the numbers stay, with nothing that tells whose they were: so the processes that watch them learn that
    they are gone.
    """
    for table in reversed(tables.metadata.sorted_tables):
        if table is not tables.rules and table.name not in SHARED | INSTALLING:
            await tx.execute(delete(table).where(_of(table, team)))
    nobodys = {"team": NOBODY, "channel": NOBODY, "created_by": NOBODY, "removed_at": at}
    await tx.execute(
        update(tables.rules).where(tables.rules.c.team == team).values(**nobodys, revision=await turn_page(tx))
    )


def _of(table: Table, team: str) -> ColumnElement[bool]:
    """Find the rows of a workspace: by their own column, or by that of the rows they hang on."""
    if "team" in table.c:
        return table.c.team == team
    (key, parent), *_ = [(key.parent, key.column) for column in table.c for key in column.foreign_keys]
    return key.in_(select(parent).where(_of(parent.table, team)))
