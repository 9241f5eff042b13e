"""Receipts: what was decided about an alert, and what became of each of its messages."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select

from services.alerting.alert import Entry
from services.alerting.feedback import NO_VOTES
from services.alerting.records import AlertAudit, Attempt, Posting
from services.core.errors import NotFoundError, StoreError
from services.core.identity import Channel
from services.storage import tables
from services.storage.codec import read_entry, read_stored
from services.storage.outbox_queries import on_channel
from services.storage.repository import Repository, rows_of
from services.storage.votes import count_votes

_deliveries, _attempts, _entries = tables.deliveries.c, tables.attempts.c, tables.entries.c
_POSTS = select(
    tables.deliveries,
    tables.notices.c.opened_at.label("digest_at"),
    tables.channels.c.silent_from,
    tables.rests.c.problem.label("stuck"),
).select_from(
    tables.deliveries.outerjoin(tables.notices, tables.notices.c.id == _deliveries.told_in)
    .outerjoin(tables.channels, on_channel(tables.channels))
    .outerjoin(tables.rests, on_channel(tables.rests))
)


class AlertAudits(Repository):
    """Implements the receipts of CommandStore."""

    async def receipt(self, channel: Channel | None, alert_id: int | None) -> AlertAudit:
        """Load all that is known of an alert; see CommandStore."""
        here = rows_of(tables.alerts, channel) if channel else ()
        which = () if alert_id is None else (tables.alerts.c.id == alert_id,)
        newest = select(tables.alerts).where(*here, *which).order_by(tables.alerts.c.id.desc()).limit(1)
        async with self._database.read() as tx:
            row = (await tx.execute(newest)).one_or_none()
            if row is None:
                raise NotFoundError(_missing(channel, alert_id))
            own = _entries.alert_id == row.id
            lines = (await tx.execute(select(tables.entries).where(own).order_by(_entries.id))).all()
            posted = _deliveries.alert_id == row.id
            posts = (await tx.execute(_POSTS.where(posted).order_by(_deliveries.id))).all()
            of_posts = _attempts.delivery_id.in_(select(_deliveries.id).where(posted))
            votes = await count_votes(tx, Channel(team=row.team, id=row.channel), row.id)
            tries = (await tx.execute(select(tables.attempts).where(of_posts).order_by(_attempts.id))).all()
        try:
            entries = {line.id: read_entry(line.entry) for line in lines}
            alert = read_stored(row).alert
        except ValueError as error:
            raise StoreError(f"Alert {row.id} cannot be read; restore its rows from a backup.") from error
        buried_at = next((post.dead_at for post in posts if post.entry_id is None and post.message_id is None), None)
        postings = tuple(_posting(post, entries, tries, buried_at) for post in posts)
        return AlertAudit(
            alert=alert, entries=tuple(entries.values()), postings=postings, votes=votes.get(row.id, NO_VOTES)
        )


def _posting(
    post: Row[Any], entries: dict[int, Entry], tries: Iterable[Row[Any]], buried_at: datetime | None
) -> Posting:
    """Read a message; a line is given up with the alert's own message, at `buried_at`."""
    attempts = [
        Attempt(at=one.at, version=one.version, outcome=one.outcome, problem=one.problem)
        for one in tries
        if one.delivery_id == post.id
    ]
    return Posting(
        key=post.key,
        entry=entries.get(post.entry_id),
        message_id=post.message_id,
        delivered=post.sent_version == post.version,
        given_up_at=post.dead_at or (buried_at if post.sent_version < post.version else None),
        next_at=post.next_at,
        attempts=tuple(attempts),
        digest_at=post.digest_at,
        silent_from=post.silent_from,
        stuck=post.stuck,
    )


def _missing(channel: Channel | None, alert_id: int | None) -> str:
    where = "in this channel" if channel else "in this database"
    return f"No alert {where} so far." if alert_id is None else f"No alert {alert_id} {where}."
