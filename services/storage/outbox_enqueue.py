"""What is to be told from now on: a new message, or a new wording of one."""

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


async def enqueue(tx: AsyncConnection, channel: Channel, at: datetime, **what: int | None) -> None:
    """Put a new message in the outbox: `alert_id` for an alert's own, with `entry_id` a line of it, or `notice_id`.

    The key ends in chance, so that a message of another database is never taken for this one.
    """
    name = ":".join(f"{kind.removesuffix('_id')}:{number}" for kind, number in what.items())
    row = {
        "key": f"{name}:{secrets.token_hex(4)}",
        "team": channel.team,
        "channel": channel.id,
        **what,
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
    """Give the message of an alert or a notice its next version.

    One that waits for a retry keeps waiting, a dead one revives; one that a digest has told in its stead stays so.
    """
    own = _columns.alert_id == alert_id if notice_id is None else _columns.notice_id == notice_id
    dead = _columns.dead_at.is_not(None)
    delivered = _columns.sent_version == _columns.version
    await tx.execute(
        update(tables.deliveries)
        .where(own, _columns.entry_id.is_(None), _columns.told_in.is_(None))
        .values(
            version=_columns.version + 1,
            next_at=case((or_(dead, delivered), literal(at, UtcDateTime)), else_=_columns.next_at),
            since=case((delivered, literal(at, UtcDateTime)), else_=_columns.since),
            attempts=case((dead, 0), else_=_columns.attempts),
            dead_at=None,
        )
    )


async def has_own_message(tx: AsyncConnection, alert_id: int) -> bool:
    """Tell whether an alert has a message of its own, or will; not where a digest has told it in its stead."""
    own = (_columns.alert_id == alert_id, _columns.entry_id.is_(None), _columns.told_in.is_not(None))
    return (await tx.execute(select(_columns.id).where(*own))).first() is None
