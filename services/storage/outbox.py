"""The outbox: versions of messages that Slack must show, their leases and delivery attempts."""

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
    ROOT_IS_DEAD,
    WITHHELD,
    read_delivery,
    same_channel,
    with_root,
)
from services.storage.repository import Repository, in_channel, insert, insert_row
from services.storage.types import UtcDateTime

LEASE = timedelta(minutes=1)  # of one attempt; longer than three calls to Slack can take
SETTLED = ("sent", "gone")  # outcomes that tell whether the message is posted
UNREADABLE = "its row cannot be read"
log = logging.getLogger(__name__)

_columns = tables.deliveries.c
_backoff = tables.channel_backoff.c
_channels = tables.channels.c
_attempts = tables.attempts


_DEAD = or_(_columns.dead_at.is_not(None), ROOT_IS_DEAD)
_WAITING = and_(~_DEAD, or_(_channels.quiet_from.is_(None), ~WITHHELD))
_BACKLOG = (
    select(
        func.count().filter(_WAITING),
        func.count().filter(_DEAD),
        func.min(_columns.since).filter(_WAITING),
        func.count().filter(~_DEAD, WITHHELD),
    )
    .select_from(with_root(tables.deliveries).outerjoin(tables.channels, same_channel(tables.channels)))
    .where(OUTSTANDING)
)


class OutboxRepository(Repository):
    """The `OutboxStore` implementation."""

    async def due(self, now: datetime, limit: int = 100) -> list[Delivery]:
        """Load the first outdated message of each channel that is due, oldest first.

        An entry is due only after its alert's message is posted and if no earlier entry waits, so that threads read in
        order. A message whose attempt was cut off is due again when its lease ends, also in the same process after a
        restart. One that cannot be read is dead-lettered.
        """
        parameters = {"now": now, "limit": limit}
        while True:
            async with self._database.read() as tx:
                deliveries = {
                    row.id: read_delivery(row, now) for row in await tx.execute(FIRST_OF_EACH_CHANNEL, parameters)
                }
            unreadable = [delivery_id for delivery_id, delivery in deliveries.items() if delivery is None]
            if not unreadable:
                return [delivery for delivery in deliveries.values() if delivery is not None]
            await self._dead_letter(unreadable, now)

    async def pause_channel(self, channel: Channel, until: datetime, problem: str | None = None) -> None:
        """Pause a channel at least until then, and record the problem that a person must fix; see OutboxStore."""
        backoff = {"team": channel.team, "channel": channel.id, "until": until, "problem": problem}
        async with self._database.write() as tx:
            new = insert(tx, tables.channel_backoff).values(backoff)
            await tx.execute(
                new.on_conflict_do_update(
                    index_elements=["team", "channel"],
                    set_={"until": until, "problem": problem},
                    where=_backoff.until < until,
                )
            )

    async def next_due_at(self, now: datetime) -> datetime | None:
        """Return when the next undelivered message may be tried; None if all wait for the end of quiet hours."""
        async with self._database.read() as tx:
            earliest: datetime | None = (await tx.execute(NEXT_DUE_AT, {"now": now})).scalar_one()
        return earliest

    async def backlog(self, now: datetime) -> Backlog:
        """Count undelivered messages; those that quiet hours withhold neither wait nor age.

        A thread reply counts as dead if its alert's own message is dead; both are retried if that one is revived.
        """
        async with self._database.read() as tx:
            waiting, dead, since, withheld = (await tx.execute(_BACKLOG, {"now": now})).one()
        return Backlog(waiting=waiting, dead_lettered=dead, oldest_age=since and now - since, withheld=withheld)

    async def mark_attempting(self, delivery: Delivery, at: datetime) -> Delivery | None:
        """Lease a message before the call to Slack; only one process gets it until the lease ends.

        The lease is stored in `next_at`: to other processes the message is no longer due, and a previous owner sees
        that
        it lost the lease. Quiet hours that started meanwhile withhold a new message.
        """
        as_read = (
            _columns.id == delivery.id,
            _columns.version == delivery.version,
            _columns.sent_version == delivery.sent_version,
            _columns.attempts == delivery.attempts,
            _columns.attempting == delivery.attempting,
            _columns.dead_at.is_(None),
            _columns.next_at <= at,
            or_(_columns.message_id.is_not(None), ~_is_quiet(at)),
        )
        attempt = {"delivery_id": delivery.id, "version": delivery.version, "at": at}
        async with self._database.write() as tx:
            lease = update(tables.deliveries).where(*as_read).values(attempting=True, next_at=at + LEASE)
            if (await tx.execute(lease)).rowcount != 1:
                return None
            await insert_row(tx, _attempts, attempt)
        return replace(delivery, leased_until=at + LEASE)

    async def mark_sent(self, delivery: Delivery, message_id: str, at: datetime) -> None:
        """Record that this version is posted at `message_id`; a newer one is due at once."""
        async with self._database.write() as tx:
            posted = {"message_id": message_id, "sent_version": delivery.version}
            if await _update_leased(tx, delivery, attempts=0, attempting=False, next_at=at, problem=None, **posted):
                await _close_attempt(tx, delivery, "sent")
                fixed = (*in_channel(tables.channel_backoff, delivery.channel), _backoff.problem.is_not(None))
                await tx.execute(update(tables.channel_backoff).where(*fixed).values(problem=None))

    async def first_attempt_at(self, delivery: Delivery) -> datetime:
        """Return the start of the first attempt since the message was last known to be posted, or gone."""
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
        """Record a failure that a retry may fix; see OutboxStore."""
        is_reply = isinstance(delivery.message, ThreadMessage)
        repost = {"message_id": None, "sent_version": 0} if gone and not is_reply else {}
        failures = _columns.attempts + int(counts)
        async with self._database.write() as tx:
            failure = {"attempts": failures, "attempting": unsure, "next_at": retry_at, "problem": problem}
            if not await _update_leased(tx, delivery, **failure, **repost):
                return
            await _close_attempt(tx, delivery, "gone" if gone else "failed", problem)
            if gone and isinstance(delivery.message, ThreadMessage):
                await bump_version(tx, retry_at, alert_id=delivery.message.alert.id)

    async def mark_dead(self, delivery: Delivery, problem: str, at: datetime, *, unsure: bool = False) -> None:
        """Dead-letter a message that only a person can fix; it is not retried until its content changes.

        If the content changed during the attempt, the new version is tried, as often as any other.
        """
        unchanged = _columns.version == delivery.version
        end = {
            "dead_at": case((unchanged, literal(at, UtcDateTime))),
            "attempts": case((unchanged, _columns.attempts), else_=0),
        }
        async with self._database.write() as tx:
            if await _update_leased(tx, delivery, attempting=unsure, next_at=at, problem=problem, **end):
                await _close_attempt(tx, delivery, "dead", problem)

    async def _dead_letter(self, delivery_ids: Collection[int], at: datetime) -> None:
        """Dead-letter messages that cannot be read: otherwise each poll would return them first again."""
        log.error("messages %s cannot be read and are dead-lettered; restore their rows from a backup", [*delivery_ids])
        unreadable = update(tables.deliveries).where(_columns.id.in_(delivery_ids))
        async with self._database.write() as tx:
            await tx.execute(unreadable.values(dead_at=at, problem=UNREADABLE))


def _is_quiet(at: datetime) -> ColumnElement[bool]:
    """Select whether the channel of a message is in quiet hours."""
    return select(_channels.revision).where(same_channel(tables.channels), _channels.quiet_from <= at).exists()


async def _update_leased(tx: AsyncConnection, delivery: Delivery, **values: object) -> bool:
    """Update the row of a message, unless another process holds its lease now; return whether it was updated."""
    lease = () if delivery.leased_until is None else (_columns.attempting, _columns.next_at == delivery.leased_until)
    updated = await tx.execute(update(tables.deliveries).where(_columns.id == delivery.id, *lease).values(values))
    if not updated.rowcount:
        log.warning("outcome of %s not recorded: another process took over its lease", delivery.key)
    return bool(updated.rowcount)


async def _close_attempt(tx: AsyncConnection, delivery: Delivery, outcome: str, problem: str | None = None) -> None:
    """Record the outcome of the last attempt; one that a crash cut short stays without an outcome."""
    last = select(func.max(_attempts.c.id)).where(_attempts.c.delivery_id == delivery.id).scalar_subquery()
    open_attempt = update(_attempts).where(_attempts.c.id == last, _attempts.c.outcome.is_(None))
    await tx.execute(open_attempt.values(outcome=outcome, problem=problem))
