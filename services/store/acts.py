"""Acts: what people did to rules, kept beside the rules themselves in the same transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from services.ports import Act, ActKind
from services.store import tables
from services.store.codec import read_act
from services.store.part import Part, rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from services.domain.episode import Channel
    from services.ports import RuleChange


class Acts(Part):
    """Implements the acts of DeskStore."""

    async def acts(self, channel: Channel, limit: int) -> list[Act]:
        """Load what people last did to a channel's rules, newest first."""
        newest = select(tables.acts).where(*rows_of(tables.acts, channel)).order_by(tables.acts.c.id.desc())
        async with self._database.read() as tx:
            return [read_act(row) for row in await tx.execute(newest.limit(limit))]


async def keep_acts(tx: AsyncConnection, channel: Channel, acts: Sequence[Act]) -> None:
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


def act_of(change: RuleChange, at: datetime) -> Act:
    """Give a change as it is kept."""
    before = str(change.watch.rule)
    after = {ActKind.REMOVED: None, ActKind.EDITED: str(change.rule)}.get(change.kind, before)
    return Act(kind=change.kind, rule_id=change.watch.id, by=change.by, at=at, before=before, after=after)
