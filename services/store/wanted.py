"""What is to be told from now on: a new message, or a new wording of one."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from sqlalchemy import case, literal, or_, update

from services.store import tables
from services.store.instant import Instant
from services.store.part import insert_row

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

_columns = tables.deliveries.c


async def tell(tx: AsyncConnection, alert_id: int, at: datetime, *, entry_id: int | None = None) -> None:
    """Put a new message in the outbox: an alert's own, or one line of its thread.

    The key ends in chance, so that a message of another database is never taken for this one.
    """
    name = f"alert:{alert_id}" if entry_id is None else f"alert:{alert_id}:entry:{entry_id}"
    row = {
        "key": f"{name}:{secrets.token_hex(4)}",
        "alert_id": alert_id,
        "entry_id": entry_id,
        "version": 1,
        "sent_version": 0,
        "attempts": 0,
        "attempting": False,
        "next_at": at,
        "since": at,
    }
    await insert_row(tx, tables.deliveries, row)


async def tell_again(tx: AsyncConnection, alert_id: int, at: datetime) -> None:
    """Give an alert's message its next version; one that waits for a retry keeps waiting, a dead one revives."""
    dead = _columns.dead_at.is_not(None)
    delivered = _columns.sent_version == _columns.version
    await tx.execute(
        update(tables.deliveries)
        .where(_columns.alert_id == alert_id, _columns.entry_id.is_(None))
        .values(
            version=_columns.version + 1,
            next_at=case((or_(dead, delivered), literal(at, Instant)), else_=_columns.next_at),
            since=case((delivered, literal(at, Instant)), else_=_columns.since),
            attempts=case((dead, 0), else_=_columns.attempts),
            dead_at=None,
        )
    )
