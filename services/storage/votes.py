"""Feedback on alerts: one vote per person, which they may change."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerting.feedback import Votes
from services.core.errors import NotFoundError
from services.core.identity import Channel
from services.storage import tables
from services.storage.repository import Repository, in_channel, upsert

_votes, _alerts = tables.votes.c, tables.alerts.c


class VoteRepository(Repository):
    """The vote methods of CommandStore."""

    async def vote(self, channel: Channel, alert_id: int, by: str, at: datetime, *, noise: bool) -> Votes:
        """Save a person's vote on an alert, which replaces their previous one; see CommandStore."""
        here = select(_alerts.id).where(_alerts.id == alert_id, *in_channel(tables.alerts, channel))
        row = {"alert_id": alert_id, "person": by, "team": channel.team, "noise": noise, "at": at}
        async with self._database.write() as tx:
            if await tx.scalar(here) is None:
                raise NotFoundError(f"No alert {alert_id} in this channel.")
            await upsert(tx, tables.votes, [row])
            return (await count_votes(tx, channel, alert_id))[alert_id]

    async def votes(self, channel: Channel) -> dict[int, Votes]:
        """Count the votes on each alert of a channel that has any."""
        async with self._database.read() as tx:
            return await count_votes(tx, channel)


async def count_votes(tx: AsyncConnection, channel: Channel, alert_id: int | None = None) -> dict[int, Votes]:
    """Count the votes on the alerts of a channel, or on one of them."""
    one = () if alert_id is None else (_votes.alert_id == alert_id,)
    query = (
        select(_votes.alert_id, _votes.noise, func.count().label("number"))
        .join(tables.alerts, _alerts.id == _votes.alert_id)
        .where(*in_channel(tables.alerts, channel), *one)
        .group_by(_votes.alert_id, _votes.noise)
    )
    counts = {(row.alert_id, row.noise): row.number for row in await tx.execute(query)}
    return {
        voted_id: Votes(useful=counts.get((voted_id, False), 0), noise=counts.get((voted_id, True), 0))
        for voted_id, _ in counts
    }
