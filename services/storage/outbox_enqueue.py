"""Enqueue new messages, and new versions of posted ones."""

from __future__ import annotations

import secrets
from datetime import datetime

from sqlalchemy import case, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.core.identity import Channel
from services.storage import tables
from services.storage.repository import insert_row
from services.storage.types import UtcDateTime

_columns = tables.deliveries.c


async def enqueue(tx: AsyncConnection, channel: Channel, at: datetime, **subject: int | None) -> None:
    """Enqueue a message: `alert_id` for an alert's own, with `entry_id` for its thread reply, or `notice_id`.

    The key ends in a random part, so that a message of another database is never mistaken for this one.
    """
    name = ":".join(f"{kind.removesuffix('_id')}:{number}" for kind, number in subject.items())
    row = {
        "key": f"{name}:{secrets.token_hex(4)}",
        "team": channel.team,
        "channel": channel.id,
        **subject,
        "version": 1,
        "sent_version": 0,
        "attempts": 0,
        "attempting": False,
        "next_at": at,
        "since": at,
    }
    await insert_row(tx, tables.deliveries, row)


async def bump_version(
    tx: AsyncConnection, at: datetime, *, alert_id: int | None = None, notice_id: int | None = None
) -> None:
    """Increment the version of the message of an alert or a notice.

    A retry keeps its time, a dead message is revived; one that a digest replaced is left as is.
    """
    own = _columns.alert_id == alert_id if notice_id is None else _columns.notice_id == notice_id
    dead = _columns.dead_at.is_not(None)
    delivered = _columns.sent_version == _columns.version
    await tx.execute(
        update(tables.deliveries)
        .where(own, _columns.entry_id.is_(None), _columns.superseded_by.is_(None))
        .values(
            version=_columns.version + 1,
            next_at=case((or_(dead, delivered), literal(at, UtcDateTime)), else_=_columns.next_at),
            since=case((delivered, literal(at, UtcDateTime)), else_=_columns.since),
            attempts=case((dead, 0), else_=_columns.attempts),
            dead_at=None,
        )
    )


async def has_root_message(tx: AsyncConnection, alert_id: int) -> bool:
    """Return whether an alert has or gets a message of its own; False if a digest replaced it."""
    own = (_columns.alert_id == alert_id, _columns.entry_id.is_(None), _columns.superseded_by.is_not(None))
    return (await tx.execute(select(_columns.id).where(*own))).first() is None
