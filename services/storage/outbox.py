"""The outbox: what Slack must be made to show, version by version, and how each try to do so went."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, case, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.core.identity import Channel
from services.delivery.ports import Backlog, Delivery, ThreadMessage
from services.storage import tables
from services.storage.outbox_enqueue import bump_version
from services.storage.outbox_queries import (
    FIRST_OF_EACH_CHANNEL,
    NEXT_DUE_AT,
    OUTSTANDING,
    OWN_IS_DEAD,
    WITHHELD,
    on_channel,
    read_delivery,
    with_own,
)
from services.storage.repository import Repository, insert, insert_row, rows_of
from services.storage.types import UtcDateTime

LEASE = timedelta(minutes=1)  # how long an attempt is its process's own: longer than three calls to Slack can take
SETTLED = ("sent", "gone")  # outcomes after which it is known where the message stands
UNREADABLE = "its row cannot be read"
log = logging.getLogger(__name__)

_columns = tables.deliveries.c
_rests = tables.rests.c
_channels = tables.channels.c
_attempts = tables.attempts


_DEAD = or_(_columns.dead_at.is_not(None), OWN_IS_DEAD)
_WAITS = and_(~_DEAD, or_(_channels.silent_from.is_(None), ~WITHHELD))
_BACKLOG = (
    select(
        func.count().filter(_WAITS),
        func.count().filter(_DEAD),
        func.min(_columns.since).filter(_WAITS),
        func.count().filter(~_DEAD, WITHHELD),
    )
    .select_from(with_own(tables.deliveries).outerjoin(tables.channels, on_channel(tables.channels)))
    .where(OUTSTANDING)
)


class Outbox(Repository):
    """Implements OutboxStore."""

    async def due(self, now: datetime, limit: int = 100) -> list[Delivery]:
        """Load of each channel the first message that is not as it should be and whose time has come, oldest first.

        An entry is due only once its alert's message stands and no earlier entry waits, so that a thread reads in
        order. A message whose attempt was cut off comes up again once its lease is over: so does one that this very
        process left behind before a restart. One that cannot be read is given up.
        """
        asked = {"now": now, "limit": limit}
        while True:
            async with self._database.read() as tx:
                read = {row.id: read_delivery(row, now) for row in await tx.execute(FIRST_OF_EACH_CHANNEL, asked)}
            lost = [number for number, delivery in read.items() if delivery is None]
            if not lost:
                return [delivery for delivery in read.values() if delivery is not None]
            await self._bury(lost, now)

    async def hold(self, channel: Channel, until: datetime, problem: str | None = None) -> None:
        """Let a channel rest at least until then, and keep in mind what a person must mend; see OutboxStore."""
        rest = {"team": channel.team, "channel": channel.id, "until": until, "problem": problem}
        async with self._database.write() as tx:
            begun = insert(tx, tables.rests).values(rest)
            await tx.execute(
                begun.on_conflict_do_update(
                    index_elements=["team", "channel"],
                    set_={"until": until, "problem": problem},
                    where=_rests.until < until,
                )
            )

    async def next_due_at(self, now: datetime) -> datetime | None:
        """Tell when the next undelivered message may be tried; None where none waits but for a silence to end."""
        async with self._database.read() as tx:
            earliest: datetime | None = (await tx.execute(NEXT_DUE_AT, {"now": now})).scalar_one()
        return earliest

    async def backlog(self, now: datetime) -> Backlog:
        """Count what is not delivered; what a silence keeps back neither waits nor ages.

        A line whose alert's own message was given up has been given up with it: only where that revives it goes on.
        """
        async with self._database.read() as tx:
            undelivered, given_up, since, silent = (await tx.execute(_BACKLOG, {"now": now})).one()
        return Backlog(waiting=undelivered, dead=given_up, oldest=since and now - since, withheld=silent)

    async def mark_attempting(self, delivery: Delivery, at: datetime) -> Delivery | None:
        """Note, before the call, that delivery is being tried; only one process can, until the lease is over.

        The lease is written into `next_at`: whoever else read the message finds it not due any more, and whoever had
        it before finds that it is another's. A silence that has begun since keeps a new message back.
        """
        as_read = (
            _columns.id == delivery.id,
            _columns.version == delivery.version,
            _columns.sent_version == delivery.sent_version,
            _columns.attempts == delivery.attempts,
            _columns.attempting == delivery.attempting,
            _columns.dead_at.is_(None),
            _columns.next_at <= at,
            or_(_columns.message_id.is_not(None), ~_is_silent(at)),
        )
        attempt = {"delivery_id": delivery.id, "version": delivery.version, "at": at}
        async with self._database.write() as tx:
            lease = update(tables.deliveries).where(*as_read).values(attempting=True, next_at=at + LEASE)
            if (await tx.execute(lease)).rowcount != 1:
                return None
            await insert_row(tx, _attempts, attempt)
        return replace(delivery, leased_until=at + LEASE)

    async def mark_sent(self, delivery: Delivery, message_id: str, at: datetime) -> None:
        """Note that this version stands at `message_id`; a newer one is due at once."""
        async with self._database.write() as tx:
            stands = {"message_id": message_id, "sent_version": delivery.version}
            if await _mark(tx, delivery, attempts=0, attempting=False, next_at=at, problem=None, **stands):
                await _conclude(tx, delivery, "sent")
                mended = (*rows_of(tables.rests, delivery.channel), _rests.problem.is_not(None))
                await tx.execute(update(tables.rests).where(*mended).values(problem=None))

    async def tried_since(self, delivery: Delivery) -> datetime:
        """Tell when the first attempt began since the message was last known to stand, or to be gone."""
        own = _attempts.c.delivery_id == delivery.id
        settled = select(func.max(_attempts.c.id)).where(own, _attempts.c.outcome.in_(SETTLED)).scalar_subquery()
        query = select(func.min(_attempts.c.at)).where(own, _attempts.c.id > func.coalesce(settled, 0))
        async with self._database.read() as tx:
            since: datetime = (await tx.execute(query)).scalar_one()
        return since

    async def mark_failed(
        self,
        delivery: Delivery,
        problem: str,
        retry_at: datetime,
        *,
        gone: bool = False,
        counts: bool = True,
        unsure: bool = False,
    ) -> None:
        """Note a failure that a later attempt may mend; see OutboxStore."""
        line = isinstance(delivery.told, ThreadMessage)
        lost = {"message_id": None, "sent_version": 0} if gone and not line else {}
        failures = _columns.attempts + int(counts)
        async with self._database.write() as tx:
            noted = {"attempts": failures, "attempting": unsure, "next_at": retry_at, "problem": problem}
            if not await _mark(tx, delivery, **noted, **lost):
                return
            await _conclude(tx, delivery, "gone" if gone else "failed", problem)
            if gone and isinstance(delivery.told, ThreadMessage):
                await bump_version(tx, retry_at, alert_id=delivery.told.alert.id)

    async def mark_dead(self, delivery: Delivery, problem: str, at: datetime, *, unsure: bool = False) -> None:
        """Note that only a person can mend this; it is not tried again until its wording changes.

        Where the wording has changed during the attempt, the new one is tried, as often as any other.
        """
        unchanged = _columns.version == delivery.version
        end = {
            "dead_at": case((unchanged, literal(at, UtcDateTime))),
            "attempts": case((unchanged, _columns.attempts), else_=0),
        }
        async with self._database.write() as tx:
            if await _mark(tx, delivery, attempting=unsure, next_at=at, problem=problem, **end):
                await _conclude(tx, delivery, "dead", problem)

    async def _bury(self, numbers: Collection[int], at: datetime) -> None:
        """Give up messages that cannot be read: they would be the first again at each look."""
        log.error("messages %s cannot be read and are given up; restore their rows from a backup", [*numbers])
        lost = update(tables.deliveries).where(_columns.id.in_(numbers))
        async with self._database.write() as tx:
            await tx.execute(lost.values(dead_at=at, problem=UNREADABLE))


def _is_silent(at: datetime) -> ColumnElement[bool]:
    """Ask whether the channel of a message is silent."""
    return select(_channels.revision).where(on_channel(tables.channels), _channels.silent_from <= at).exists()


async def _mark(tx: AsyncConnection, delivery: Delivery, **values: object) -> bool:
    """Change the row of a message; not where its lease is another's by now, who knows better."""
    lease = () if delivery.leased_until is None else (_columns.attempting, _columns.next_at == delivery.leased_until)
    marked = await tx.execute(update(tables.deliveries).where(_columns.id == delivery.id, *lease).values(values))
    if not marked.rowcount:
        log.warning("what became of %s is not noted: another process has taken it over", delivery.key)
    return bool(marked.rowcount)


async def _conclude(tx: AsyncConnection, delivery: Delivery, outcome: str, problem: str | None = None) -> None:
    """Write down how the last attempt went; one that a crash cut short stays without an outcome."""
    last = select(func.max(_attempts.c.id)).where(_attempts.c.delivery_id == delivery.id).scalar_subquery()
    begun = update(_attempts).where(_attempts.c.id == last, _attempts.c.outcome.is_(None))
    await tx.execute(begun.values(outcome=outcome, problem=problem))
