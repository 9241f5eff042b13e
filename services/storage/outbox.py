"""The outbox: versions of messages that Slack must show, their leases and delivery attempts."""

import logging
import secrets
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, case, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.core.identity import Channel
from services.delivery.ports import AlertMessage, Delivery, PostedAlert, ThreadMessage
from services.storage import tables
from services.storage.outbox_queries import IS_CHANGE, same_channel
from services.storage.repository import Repository, channel_columns, in_channel, insert, insert_row
from services.storage.tables import UtcDateTime

RECENT_ALERTS = 500  # whose permalinks are looked up; older ones are shown without a link
LEASE = timedelta(minutes=1)  # of one attempt; longer than three calls to Slack can take
log = logging.getLogger(__name__)

_columns = tables.deliveries.c
_backoff = tables.channel_backoff.c
_channels = tables.channels.c
_attempts = tables.attempts
_alerts = tables.alerts.c


class OutboxRepository(Repository):
    """The methods of OutboxStore that write the outbox."""

    async def pause_channel(self, channel: Channel, until: datetime, problem: str | None = None) -> None:
        """Pause a channel at least until then, and record the problem that a person must fix; see OutboxStore."""
        backoff = {**channel_columns(channel), "until": until, "problem": problem}
        async with self._database.write() as tx:
            new = insert(tx, tables.channel_backoff).values(backoff)
            await tx.execute(
                new.on_conflict_do_update(
                    index_elements=["team", "channel"],
                    set_={"until": until, "problem": problem},
                    where=_backoff.until < until,
                )
            )

    async def mark_attempting(self, delivery: Delivery, at: datetime) -> Delivery | None:
        """Lease a message before the call to Slack; only one process gets it until the lease ends.

        The lease is stored in `next_at`: to other processes the message is no longer due, and a previous owner sees
        that it lost the lease. Quiet hours that started meanwhile withhold a new message.
        """
        as_read = (
            _columns.id == delivery.id,
            _columns.version == delivery.version,
            _columns.sent_version == delivery.sent_version,
            _columns.attempts == delivery.attempts,
            _columns.attempting == delivery.attempting,
            _columns.dead_at.is_(None),
            _columns.next_at <= at,
            or_(_columns.message_id.is_not(None), IS_CHANGE, ~_is_quiet(at)),
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
        fresh = {"message_id": None, "sent_version": 0, "key": _new_key(delivery.key.rpartition(":")[0])}
        repost = fresh if gone and not is_reply else {}
        failures = _columns.attempts + int(counts)
        async with self._database.write() as tx:
            failure = {"attempts": failures, "attempting": unsure, "next_at": retry_at, "problem": problem}
            if not await _update_leased(tx, delivery, **failure, **repost):
                return
            await _close_attempt(tx, delivery, "gone" if gone else "failed", problem)
            if gone and isinstance(delivery.message, AlertMessage):
                await _set_permalink(tx, delivery.message.alert.id, None)
            if gone and isinstance(delivery.message, ThreadMessage):
                await bump_version(tx, retry_at, alert_id=delivery.message.alert.id)

    async def mark_dead(self, delivery: Delivery, problem: str, at: datetime, *, unsure: bool = False) -> None:
        """Dead-letter a message that only a person can fix; it is not retried until its content changes.

        If the content changed during the attempt, the new version is retried like any other.
        """
        unchanged = _columns.version == delivery.version
        end = {
            "dead_at": case((unchanged, literal(at, UtcDateTime))),
            "attempts": case((unchanged, _columns.attempts), else_=0),
        }
        async with self._database.write() as tx:
            if await _update_leased(tx, delivery, attempting=unsure, next_at=at, problem=problem, **end):
                await _close_attempt(tx, delivery, "dead", problem)

    async def messages_without_permalink(self, exclude: Collection[int], limit: int) -> list[PostedAlert]:
        """Load the messages of recent alerts that have no permalink; see PermalinkStore."""
        oldest = select(func.max(_alerts.id) - RECENT_ALERTS).scalar_subquery()
        query = (
            select(_columns.alert_id, _columns.team, _columns.channel, _columns.message_id)
            .join(tables.alerts, _alerts.id == _columns.alert_id)
            .where(_columns.entry_id.is_(None), _columns.message_id.is_not(None))
            .where(_alerts.permalink.is_(None), _alerts.id > oldest, _alerts.id.not_in(exclude))
            .order_by(_alerts.id.desc())
            .limit(limit)
        )
        async with self._database.read() as tx:
            rows = (await tx.execute(query)).all()
        return [
            PostedAlert(alert_id=alert_id, channel=Channel(team=team, id=channel), message_id=message_id)
            for alert_id, team, channel, message_id in rows
        ]

    async def save_permalink(self, message: PostedAlert, permalink: str) -> None:
        """Save the permalink of an alert's message; see PermalinkStore."""
        own = (_columns.alert_id == message.alert_id, _columns.entry_id.is_(None))
        current = select(_columns.message_id).where(*own)
        async with self._database.write() as tx:
            if await tx.scalar(current) == message.message_id:
                await _set_permalink(tx, message.alert_id, permalink)


async def _set_permalink(tx: AsyncConnection, alert_id: int, permalink: str | None) -> None:
    await tx.execute(update(tables.alerts).where(_alerts.id == alert_id).values(permalink=permalink))


def _new_key(name: str) -> str:
    return f"{name}:{secrets.token_hex(4)}"


async def enqueue(tx: AsyncConnection, channel: Channel, at: datetime, **subject: int | None) -> None:
    """Enqueue a message: `alert_id` for an alert's own, with `entry_id` for its thread reply, or `notice_id`.

    The key ends in a random part, so that a message of another database, or one that is posted again, is never mistaken
    for this one.
    """
    name = ":".join(f"{kind.removesuffix('_id')}:{number}" for kind, number in subject.items())
    row = {
        "key": _new_key(name),
        **channel_columns(channel),
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

    A retry keeps its time, a dead message is revived; one that a digest replaced does not change.
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
