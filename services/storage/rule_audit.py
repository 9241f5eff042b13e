"""Acts: what people did to rules, kept beside the rules themselves in the same transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerting.records import RuleAudit, RuleAuditKind, RuleChange
from services.core.identity import Channel
from services.storage import tables
from services.storage.codec import read_act
from services.storage.repository import Repository, rows_of


class RuleAuditTable(Repository):
    """Implements the acts of CommandStore."""

    async def acts(self, channel: Channel, limit: int) -> list[RuleAudit]:
        """Load what people last did to a channel's rules, newest first."""
        newest = select(tables.acts).where(*rows_of(tables.acts, channel)).order_by(tables.acts.c.id.desc())
        async with self._database.read() as tx:
            return [read_act(row) for row in await tx.execute(newest.limit(limit))]


async def keep_acts(tx: AsyncConnection, channel: Channel, acts: Sequence[RuleAudit]) -> None:
    """Keep what was done to rules of a channel."""
    rows = [
        {
            "team": channel.team,
            "channel": channel.id,
            "rule_id": act.rule_id,
            "kind": act.kind.value,
            "by": act.by,
            "at": act.at,
            "before": act.before,
            "after": act.after,
        }
        for act in acts
    ]
    await tx.execute(tables.acts.insert(), rows)


def act_of(change: RuleChange, at: datetime) -> RuleAudit:
    """Give a change as it is kept."""
    before = str(change.watch.rule)
    after = {RuleAuditKind.REMOVED: None, RuleAuditKind.EDITED: str(change.rule)}.get(change.kind, before)
    return RuleAudit(kind=change.kind, rule_id=change.watch.id, by=change.by, at=at, before=before, after=after)
