"""The outbox: what Slack must be made to show, version by version, and how each try to do so went."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, func, literal, or_, select, update

from services.ports import Delivery
from services.store import tables
from services.store.codec import read_alert, read_entry
from services.store.instant import Instant
from services.store.part import Part, insert_row

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncConnection

    from services.domain.episode import Channel

_columns = tables.deliveries.c
_own = tables.deliveries.alias("own")  # the message of the alert that an entry belongs to
_earlier = tables.deliveries.alias("earlier")  # an undelivered entry of the same alert that comes first
_UNDELIVERED = (_columns.sent_version < _columns.version, _columns.dead_at.is_(None))
_WAITING = (
    select(tables.deliveries, tables.alerts.c.alert, tables.entries.c.entry, _own.c.message_id.label("thread_id"))
    .select_from(
        tables.deliveries.join(tables.alerts, tables.alerts.c.id == _columns.alert_id)
        .outerjoin(tables.entries, tables.entries.c.id == _columns.entry_id)
        .outerjoin(
            _own,
            and_(_own.c.alert_id == _columns.alert_id, _own.c.entry_id.is_(None), _columns.entry_id.is_not(None)),
        )
    )
    .where(*_UNDELIVERED)
    .where(or_(_columns.entry_id.is_(None), _own.c.message_id.is_not(None)))
    .where(
        ~select(_earlier.c.id)
        .where(_earlier.c.alert_id == _columns.alert_id, _earlier.c.entry_id < _columns.entry_id)
        .where(_earlier.c.sent_version < _earlier.c.version, _earlier.c.dead_at.is_(None))
        .exists()
    )
)


class Outbox(Part):
    """Implements OutboxStore."""

    async def due(self, now: datetime, limit: int = 100) -> list[Delivery]:
        """Load messages whose newest version is not delivered and whose time has come, oldest first.

        An entry is due only once its alert's message stands and no earlier entry waits, so that a thread reads in
        order. Rows found `attempting` are among them.
        """
        query = _WAITING.where(_columns.next_at <= now).order_by(_columns.next_at, _columns.id).limit(limit)
        async with self._database.read() as tx:
            return [_read(row) for row in await tx.execute(query)]

    async def hold(self, channel: Channel, until: datetime) -> None:
        """Let every undelivered message of a channel wait at least until then; nothing else about them changes."""
        alerts = tables.alerts.c
        here = select(alerts.id).where(alerts.team == channel.team, alerts.channel == channel.id)
        early = (*_UNDELIVERED, _columns.next_at < until, _columns.alert_id.in_(here))
        async with self._database.write() as tx:
            await tx.execute(update(tables.deliveries).where(*early).values(next_at=until))

    async def next_due_at(self) -> datetime | None:
        """Tell when the next undelivered message may be tried; None where all is delivered."""
        query = _WAITING.with_only_columns(func.min(_columns.next_at))
        async with self._database.read() as tx:
            earliest: datetime | None = (await tx.execute(query)).scalar_one()
        return earliest

    async def mark_attempting(self, delivery: Delivery, at: datetime) -> None:
        """Note, before the call, that delivery is being tried."""
        attempt = {"delivery_id": delivery.id, "version": delivery.version, "at": at}
        async with self._database.write() as tx:
            await _mark(tx, delivery, attempting=True)
            await insert_row(tx, tables.attempts, attempt)

    async def mark_sent(self, delivery: Delivery, message_id: str, at: datetime) -> None:
        """Note that this version stands at `message_id`; a newer one stays due."""
        del at
        async with self._database.write() as tx:
            await _mark(
                tx,
                delivery,
                message_id=message_id,
                sent_version=delivery.version,
                attempts=0,
                attempting=False,
                problem=None,
            )
            await _conclude(tx, delivery, "sent")

    async def mark_failed(
        self, delivery: Delivery, problem: str, retry_at: datetime, *, gone: bool = False, counts: bool = True
    ) -> None:
        """Note a failure that a later attempt may mend; with `gone` the message is posted anew.

        A failure that does not count, such as being asked to wait, leaves `attempts` as it is.
        """
        lost = {"message_id": None, "sent_version": 0} if gone else {}
        failures = _columns.attempts + int(counts)
        async with self._database.write() as tx:
            await _mark(tx, delivery, attempts=failures, attempting=False, next_at=retry_at, problem=problem, **lost)
            await _conclude(tx, delivery, "gone" if gone else "failed", problem)

    async def mark_dead(self, delivery: Delivery, problem: str, at: datetime) -> None:
        """Note that only a person can mend this; it is not tried again until its wording changes.

        Where the wording has changed during the attempt, the new one is tried.
        """
        dead_at = case((_columns.version == delivery.version, literal(at, Instant)))
        async with self._database.write() as tx:
            await _mark(tx, delivery, attempting=False, problem=problem, dead_at=dead_at)
            await _conclude(tx, delivery, "dead", problem)


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
    }
    await insert_row(tx, tables.deliveries, row)


async def tell_again(tx: AsyncConnection, alert_id: int, at: datetime) -> None:
    """Give an alert's message its next version; one that waits for a retry keeps waiting, a dead one revives."""
    dead = _columns.dead_at.is_not(None)
    idle = or_(dead, _columns.sent_version == _columns.version)
    await tx.execute(
        update(tables.deliveries)
        .where(_columns.alert_id == alert_id, _columns.entry_id.is_(None))
        .values(
            version=_columns.version + 1,
            next_at=case((idle, literal(at, Instant)), else_=_columns.next_at),
            attempts=case((dead, 0), else_=_columns.attempts),
            dead_at=None,
        )
    )


async def _mark(tx: AsyncConnection, delivery: Delivery, **values: object) -> None:
    await tx.execute(update(tables.deliveries).where(_columns.id == delivery.id).values(values))


async def _conclude(tx: AsyncConnection, delivery: Delivery, outcome: str, problem: str | None = None) -> None:
    """Write down how the last attempt went; one that a crash cut short stays without an outcome."""
    attempts = tables.attempts
    last = select(func.max(attempts.c.id)).where(attempts.c.delivery_id == delivery.id).scalar_subquery()
    begun = update(attempts).where(attempts.c.id == last, attempts.c.outcome.is_(None))
    await tx.execute(begun.values(outcome=outcome, problem=problem))


def _read(row: Row[Any]) -> Delivery:
    return Delivery(
        id=row.id,
        key=row.key,
        alert=read_alert(row.alert),
        entry=None if row.entry is None else read_entry(row.entry),
        version=row.version,
        sent_version=row.sent_version,
        message_id=row.message_id,
        thread_id=row.thread_id,
        attempts=row.attempts,
        attempting=row.attempting,
    )
