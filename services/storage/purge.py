"""Deletion of all data of a workspace."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Table, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.storage import tables
from services.storage.rules import next_revision

GLOBAL_TABLES = frozenset(
    {
        "closes",
        "bars",
        "corporate_actions",
        "action_coverage",
        "revisions",
        "holdings",
        "ticks",
        "feed_status",
        "metric_extremes",
        "rules_revision",
    }
)
INSTALLATION_TABLES = frozenset({"installations", "org_teams", "oauth_states"})  # see InstallationRepository
ERASED = ""


async def purge(tx: AsyncConnection, team: str, at: datetime) -> None:
    """Delete all rows of a workspace, in the order of their foreign keys.

    Its rules' ids stay, without their owner, so that processes which evaluate these rules see that they were removed.
    """
    for table in reversed(tables.metadata.sorted_tables):
        if table is not tables.rules and table.name not in GLOBAL_TABLES | INSTALLATION_TABLES:
            await tx.execute(delete(table).where(_owned_by(table, team)))
    erased = {"team": ERASED, "channel": ERASED, "created_by": ERASED, "removed_at": at}
    await tx.execute(
        update(tables.rules).where(tables.rules.c.team == team).values(**erased, revision=await next_revision(tx))
    )


def _owned_by(table: Table, team: str) -> ColumnElement[bool]:
    """Select the rows of a workspace: by their own column, or by that of the rows they reference."""
    if "team" in table.c:
        return table.c.team == team
    (key, parent), *_ = [(key.parent, key.column) for column in table.c for key in column.foreign_keys]
    return key.in_(select(parent).where(_owned_by(parent.table, team)))
