"""Delivery problems that a person must fix, and the delivery counts of a channel."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import and_, func, select

from services.alerting.notice import MessageCounts
from services.core.identity import Channel
from services.delivery.ports import DeliveryProblem
from services.storage import tables
from services.storage.outbox_queries import OUTSTANDING, same_channel
from services.storage.repository import Repository, in_channel

_deliveries, _backoff, _attempts = tables.deliveries.c, tables.channel_backoff.c, tables.attempts.c


class DeliveryStatusRepository(Repository):
    """The delivery status methods of OutboxStore and CommandStore."""

    async def delivery_problems(self, team: str | None = None) -> list[DeliveryProblem]:
        """Return the problems that a person must fix, of one workspace or of all.

        Paused channels come first, then dead letters.
        """
        waiting = and_(OUTSTANDING, _deliveries.dead_at.is_(None))
        paused = (
            select(_backoff.team, _backoff.channel, _backoff.problem, func.count(), func.min(_deliveries.since))
            .select_from(tables.channel_backoff.join(tables.deliveries, same_channel(tables.channel_backoff)))
            .where(_backoff.problem.is_not(None), waiting)
            .group_by(_backoff.team, _backoff.channel, _backoff.problem)
        )
        dead = (
            select(
                _deliveries.team, _deliveries.channel, _deliveries.problem, func.count(), func.min(_deliveries.dead_at)
            )
            .where(OUTSTANDING, _deliveries.dead_at.is_not(None))
            .group_by(_deliveries.team, _deliveries.channel, _deliveries.problem)
        )
        async with self._database.read() as tx:
            rows = [
                (is_dead, row) for is_dead, query in ((False, paused), (True, dead)) for row in await tx.execute(query)
            ]
        return [
            DeliveryProblem(
                channel=Channel(team=row_team, id=channel),
                problem=problem or "",
                messages=count,
                since=since,
                dead_lettered=is_dead,
            )
            for is_dead, (row_team, channel, problem, count, since) in rows
            if team in {None, row_team}
        ]

    async def unposted_alerts(self) -> frozenset[int]:
        """Return the ids of the alerts that have a message to post; edits do not count."""
        waiting = (OUTSTANDING, _deliveries.dead_at.is_(None), _deliveries.message_id.is_(None))
        query = select(_deliveries.alert_id).where(*waiting, _deliveries.alert_id.is_not(None))
        async with self._database.read() as tx:
            return frozenset(await tx.scalars(query))

    async def posted(self, channel: Channel, since: datetime) -> MessageCounts:
        """Count a channel's messages: delivered since then, waiting, and dead-lettered."""
        here = in_channel(tables.deliveries, channel)
        sent = (
            select(func.count(_deliveries.id.distinct()))
            .select_from(tables.deliveries.join(tables.attempts, _attempts.delivery_id == _deliveries.id))
            .where(*here, _attempts.outcome == "sent", _attempts.at >= since)
        )
        undelivered = select(func.count(), func.count(_deliveries.dead_at)).where(*here, OUTSTANDING)
        async with self._database.read() as tx:
            delivered: int = (await tx.execute(sent)).scalar_one()
            outstanding, dead = (await tx.execute(undelivered)).one()
        return MessageCounts(delivered=delivered, waiting=outstanding - dead, dead_lettered=dead)
