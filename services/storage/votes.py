"""Votes: what people said of alerts, one vote each, which they may change."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerting.feedback import Votes
from services.core.errors import NotFoundError
from services.core.identity import Channel
from services.storage import tables
from services.storage.repository import Repository, rows_of, upsert

_votes, _alerts = tables.votes.c, tables.alerts.c


class VoteTable(Repository):
    """Implements the votes of CommandStore."""

    async def vote(self, channel: Channel, alert_id: int, by: str, at: datetime, *, noise: bool) -> Votes:
        """Keep what a person says of an alert, in place of what they said before; see CommandStore."""
        here = select(_alerts.id).where(_alerts.id == alert_id, *rows_of(tables.alerts, channel))
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
        .where(*rows_of(tables.alerts, channel), *one)
        .group_by(_votes.alert_id, _votes.noise)
    )
    counts = {(row.alert_id, row.noise): row.number for row in await tx.execute(query)}
    return {
        number: Votes(useful=counts.get((number, False), 0), noise=counts.get((number, True), 0))
        for number, _ in counts
    }
