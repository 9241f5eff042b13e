"""Audit log of alerts: every decision, and every delivery attempt of each message."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select

from services.alerting.alert import TimelineEntry
from services.alerting.feedback import NO_VOTES
from services.alerting.records import AlertAudit, Attempt, Posting
from services.core.errors import DatabaseUnavailableError, NotFoundError
from services.core.identity import Channel
from services.storage import tables
from services.storage.codec import read_entry, read_stored_alert
from services.storage.outbox_queries import same_channel
from services.storage.repository import Repository, in_channel
from services.storage.votes import count_votes

_deliveries, _attempts, _entries = tables.deliveries.c, tables.attempts.c, tables.timeline_entries.c
_DELIVERY_QUERY = select(
    tables.deliveries,
    tables.notices.c.opened_at.label("digest_at"),
    tables.channels.c.quiet_from,
    tables.channel_backoff.c.problem.label("stuck"),
).select_from(
    tables.deliveries.outerjoin(tables.notices, tables.notices.c.id == _deliveries.superseded_by)
    .outerjoin(tables.channels, same_channel(tables.channels))
    .outerjoin(tables.channel_backoff, same_channel(tables.channel_backoff))
)


class AlertAuditRepository(Repository):
    """The audit methods of CommandStore."""

    async def alert_audit(self, channel: Channel | None, alert_id: int | None) -> AlertAudit:
        """Load the complete audit log of an alert; see CommandStore."""
        here = in_channel(tables.alerts, channel) if channel else ()
        which = () if alert_id is None else (tables.alerts.c.id == alert_id,)
        newest = select(tables.alerts).where(*here, *which).order_by(tables.alerts.c.id.desc()).limit(1)
        async with self._database.read() as tx:
            row = (await tx.execute(newest)).one_or_none()
            if row is None:
                raise NotFoundError(_missing(channel, alert_id))
            of_alert = _entries.alert_id == row.id
            entry_rows = (await tx.execute(select(tables.timeline_entries).where(of_alert).order_by(_entries.id))).all()
            own = _deliveries.alert_id == row.id
            deliveries = (await tx.execute(_DELIVERY_QUERY.where(own).order_by(_deliveries.id))).all()
            of_deliveries = _attempts.delivery_id.in_(select(_deliveries.id).where(own))
            votes = await count_votes(tx, Channel(team=row.team, id=row.channel), row.id)
            attempts = (await tx.execute(select(tables.attempts).where(of_deliveries).order_by(_attempts.id))).all()
        try:
            entries = {entry.id: read_entry(entry.entry) for entry in entry_rows}
            alert = read_stored_alert(row).alert
        except ValueError as error:
            raise DatabaseUnavailableError(f"Alert {row.id} cannot be read; restore its rows from a backup.") from error
        root_dead_at = next(
            (delivery.dead_at for delivery in deliveries if delivery.entry_id is None and delivery.message_id is None),
            None,
        )
        postings = tuple(_posting(delivery, entries, attempts, root_dead_at) for delivery in deliveries)
        return AlertAudit(
            alert=alert, entries=tuple(entries.values()), postings=postings, votes=votes.get(row.id, NO_VOTES)
        )


def _posting(
    delivery: Row[Any], entries: dict[int, TimelineEntry], attempts: Iterable[Row[Any]], root_dead_at: datetime | None
) -> Posting:
    """Build the record of a message; a thread reply fails with the alert's own message, at `root_dead_at`."""
    attempts = [
        Attempt(at=one.at, version=one.version, outcome=one.outcome, problem=one.problem)
        for one in attempts
        if one.delivery_id == delivery.id
    ]
    return Posting(
        key=delivery.key,
        entry=entries.get(delivery.entry_id),
        message_id=delivery.message_id,
        delivered=delivery.sent_version == delivery.version,
        given_up_at=delivery.dead_at or (root_dead_at if delivery.sent_version < delivery.version else None),
        next_at=delivery.next_at,
        attempts=tuple(attempts),
        digest_at=delivery.digest_at,
        silent_from=delivery.quiet_from,
        blocked_by=delivery.stuck,
    )


def _missing(channel: Channel | None, alert_id: int | None) -> str:
    where = "in this channel" if channel else "in this database"
    return f"No alert {where} so far." if alert_id is None else f"No alert {alert_id} {where}."
