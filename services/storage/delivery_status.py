"""Troubles: what was not delivered and needs a person, and what became of a channel's messages."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import and_, func, select

from services.alerting.notice import Posted
from services.core.identity import Channel
from services.delivery.ports import DeliveryProblem
from services.storage import tables
from services.storage.outbox_queries import OUTSTANDING, on_channel
from services.storage.repository import Repository, rows_of

_posts, _rests, _attempts = tables.deliveries.c, tables.rests.c, tables.attempts.c


class DeliveryStatus(Repository):
    """Implements the troubles of OutboxStore and CommandStore."""

    async def troubles(self, team: str | None = None) -> list[DeliveryProblem]:
        """List what only a person can mend, of one workspace or of all: channels at rest first, then dead letters."""
        waits = and_(OUTSTANDING, _posts.dead_at.is_(None))
        held = (
            select(_rests.team, _rests.channel, _rests.problem, func.count(), func.min(_posts.since))
            .select_from(tables.rests.join(tables.deliveries, on_channel(tables.rests)))
            .where(_rests.problem.is_not(None), waits)
            .group_by(_rests.team, _rests.channel, _rests.problem)
        )
        given_up = (
            select(_posts.team, _posts.channel, _posts.problem, func.count(), func.min(_posts.dead_at))
            .where(OUTSTANDING, _posts.dead_at.is_not(None))
            .group_by(_posts.team, _posts.channel, _posts.problem)
        )
        async with self._database.read() as tx:
            rows = [(dead, row) for dead, query in ((False, held), (True, given_up)) for row in await tx.execute(query)]
        return [
            DeliveryProblem(
                channel=Channel(team=of, id=channel),
                problem=problem or "",
                messages=count,
                since=since,
                given_up=dead,
            )
            for dead, (of, channel, problem, count, since) in rows
            if team in {None, of}
        ]

    async def unposted(self) -> frozenset[int]:
        """Give the numbers of the alerts of which a message waits to be posted; edits do not count."""
        waits = (OUTSTANDING, _posts.dead_at.is_(None), _posts.message_id.is_(None))
        query = select(_posts.alert_id).where(*waits, _posts.alert_id.is_not(None))
        async with self._database.read() as tx:
            return frozenset(await tx.scalars(query))

    async def posted(self, channel: Channel, since: datetime) -> Posted:
        """Count a channel's messages: those delivered since then, those that wait, and those given up."""
        here = rows_of(tables.deliveries, channel)
        sent = (
            select(func.count(_posts.id.distinct()))
            .select_from(tables.deliveries.join(tables.attempts, _attempts.delivery_id == _posts.id))
            .where(*here, _attempts.outcome == "sent", _attempts.at >= since)
        )
        undelivered = select(func.count(), func.count(_posts.dead_at)).where(*here, OUTSTANDING)
        async with self._database.read() as tx:
            delivered: int = (await tx.execute(sent)).scalar_one()
            outstanding, dead = (await tx.execute(undelivered)).one()
        return Posted(delivered=delivered, waiting=outstanding - dead, given_up=dead)
