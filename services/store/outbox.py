"""The outbox: what Slack must be made to show, version by version, and how each try to do so went."""

from __future__ import annotations

import logging
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, func, literal, or_, select, update

from services.ports import Backlog, Delivery
from services.store import tables
from services.store.codec import read_alert, read_entry
from services.store.instant import Instant
from services.store.part import Part, insert, insert_row

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncConnection

    from services.domain.episode import Channel

LEASE = timedelta(minutes=1)  # how long an attempt is its process's own: longer than two calls to Slack can take
UNREADABLE = "its row cannot be read"
log = logging.getLogger(__name__)

_columns = tables.deliveries.c
_rests = tables.rests.c
_own = tables.deliveries.alias("own")  # the message of the alert that an entry belongs to
_earlier = tables.deliveries.alias("earlier")  # an undelivered entry of the same alert that comes first
_OUTSTANDING = _columns.sent_version < _columns.version
_WAITING = (
    select(tables.deliveries, tables.alerts.c.alert, tables.entries.c.entry, _own.c.message_id.label("thread_id"))
    .select_from(
        tables.deliveries.join(tables.alerts, tables.alerts.c.id == _columns.alert_id)
        .outerjoin(tables.entries, tables.entries.c.id == _columns.entry_id)
        .outerjoin(
            _own,
            and_(_own.c.alert_id == _columns.alert_id, _own.c.entry_id.is_(None), _columns.entry_id.is_not(None)),
        )
        .outerjoin(
            tables.rests,
            and_(_rests.team == tables.alerts.c.team, _rests.channel == tables.alerts.c.channel),
        )
    )
    .where(_OUTSTANDING, _columns.dead_at.is_(None))
    .where(or_(_columns.entry_id.is_(None), _own.c.message_id.is_not(None)))
    .where(
        ~select(_earlier.c.id)
        .where(_earlier.c.alert_id == _columns.alert_id, _earlier.c.entry_id < _columns.entry_id)
        .where(_earlier.c.sent_version < _earlier.c.version, _earlier.c.dead_at.is_(None))
        .exists()
    )
)
_rested_at = case((_rests.until > _columns.next_at, _rests.until), else_=_columns.next_at)


class Outbox(Part):
    """Implements OutboxStore."""

    async def due(self, now: datetime, limit: int = 100) -> list[Delivery]:
        """Load messages whose newest version is not delivered and whose time has come, oldest first.

        An entry is due only once its alert's message stands and no earlier entry waits, so that a thread reads in
        order. A message whose attempt was cut off comes up again once its lease is over: so does one that this very
        process left behind before a restart. One that cannot be read is given up.
        """
        query = _WAITING.where(_rested_at <= now).order_by(_columns.next_at, _columns.id).limit(limit)
        async with self._database.read() as tx:
            read = {row.id: _read(row) for row in await tx.execute(query)}
        await self._bury([number for number, delivery in read.items() if delivery is None], now)
        return [delivery for delivery in read.values() if delivery is not None]

    async def hold(self, channel: Channel, until: datetime) -> None:
        """Let a channel rest at least until then: none of its messages is due before, whenever it is recorded."""
        rest = {"team": channel.team, "channel": channel.id, "until": until}
        async with self._database.write() as tx:
            begun = insert(tx, tables.rests).values(rest)
            await tx.execute(
                begun.on_conflict_do_update(
                    index_elements=["team", "channel"], set_={"until": until}, where=_rests.until < until
                )
            )

    async def next_due_at(self) -> datetime | None:
        """Tell when the next undelivered message may be tried; None where all is delivered."""
        query = _WAITING.with_only_columns(func.min(_rested_at))
        async with self._database.read() as tx:
            earliest: datetime | None = (await tx.execute(query)).scalar_one()
        return earliest

    async def backlog(self, now: datetime) -> Backlog:
        """Count what is not delivered."""
        query = select(func.count(), func.count(_columns.dead_at), func.min(_columns.since)).where(_OUTSTANDING)
        async with self._database.read() as tx:
            outstanding, dead, since = (await tx.execute(query)).one()
        return Backlog(waiting=outstanding - dead, dead=dead, oldest=since and now - since)

    async def mark_attempting(self, delivery: Delivery, at: datetime) -> bool:
        """Note, before the call, that delivery is being tried; only one process can, until the lease is over.

        The lease is written into `next_at`: whoever else read the message finds it not due any more.
        """
        as_read = (
            _columns.id == delivery.id,
            _columns.version == delivery.version,
            _columns.sent_version == delivery.sent_version,
            _columns.attempts == delivery.attempts,
            _columns.attempting == delivery.attempting,
            _columns.dead_at.is_(None),
            _columns.next_at <= at,
        )
        attempt = {"delivery_id": delivery.id, "version": delivery.version, "at": at}
        async with self._database.write() as tx:
            lease = update(tables.deliveries).where(*as_read).values(attempting=True, next_at=at + LEASE)
            mine = (await tx.execute(lease)).rowcount == 1
            if mine:
                await insert_row(tx, tables.attempts, attempt)
        return mine

    async def mark_sent(self, delivery: Delivery, message_id: str, at: datetime) -> None:
        """Note that this version stands at `message_id`; a newer one is due at once."""
        async with self._database.write() as tx:
            await _mark(
                tx,
                delivery,
                message_id=message_id,
                sent_version=delivery.version,
                attempts=0,
                attempting=False,
                next_at=at,
                problem=None,
            )
            await _conclude(tx, delivery, "sent")

    async def mark_failed(
        self, delivery: Delivery, problem: str, retry_at: datetime, *, gone: bool = False, counts: bool = True
    ) -> None:
        """Note a failure that a later attempt may mend; see OutboxStore."""
        lost = {"message_id": None, "sent_version": 0} if gone and delivery.entry is None else {}
        failures = _columns.attempts + int(counts)
        async with self._database.write() as tx:
            await _mark(tx, delivery, attempts=failures, attempting=False, next_at=retry_at, problem=problem, **lost)
            await _conclude(tx, delivery, "gone" if gone else "failed", problem)
            if gone and delivery.entry is not None:
                await tell_again(tx, delivery.alert.id, retry_at)

    async def mark_dead(self, delivery: Delivery, problem: str, at: datetime) -> None:
        """Note that only a person can mend this; it is not tried again until its wording changes.

        Where the wording has changed during the attempt, the new one is tried.
        """
        dead_at = case((_columns.version == delivery.version, literal(at, Instant)))
        async with self._database.write() as tx:
            await _mark(tx, delivery, attempting=False, next_at=at, problem=problem, dead_at=dead_at)
            await _conclude(tx, delivery, "dead", problem)

    async def _bury(self, numbers: Collection[int], at: datetime) -> None:
        """Give up messages that cannot be read: they would be the first again at each look."""
        if not numbers:
            return
        log.error("messages %s cannot be read and are given up; restore their rows from a backup", [*numbers])
        lost = update(tables.deliveries).where(_columns.id.in_(numbers))
        async with self._database.write() as tx:
            await tx.execute(lost.values(dead_at=at, problem=UNREADABLE))


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


async def _mark(tx: AsyncConnection, delivery: Delivery, **values: object) -> None:
    await tx.execute(update(tables.deliveries).where(_columns.id == delivery.id).values(values))


async def _conclude(tx: AsyncConnection, delivery: Delivery, outcome: str, problem: str | None = None) -> None:
    """Write down how the last attempt went; one that a crash cut short stays without an outcome."""
    attempts = tables.attempts
    last = select(func.max(attempts.c.id)).where(attempts.c.delivery_id == delivery.id).scalar_subquery()
    begun = update(attempts).where(attempts.c.id == last, attempts.c.outcome.is_(None))
    await tx.execute(begun.values(outcome=outcome, problem=problem))


def _read(row: Row[Any]) -> Delivery | None:
    """Read a message; None where its alert or its entry cannot be read."""
    try:
        alert = read_alert(row.alert)
        entry = None if row.entry is None else read_entry(row.entry)
    except ValueError:
        return None
    return Delivery(
        id=row.id,
        key=row.key,
        alert=alert,
        entry=entry,
        version=row.version,
        sent_version=row.sent_version,
        message_id=row.message_id,
        thread_id=row.thread_id,
        attempts=row.attempts,
        attempting=row.attempting,
    )
