"""The outbox: versions of messages that Slack must show, their leases and delivery attempts."""

import logging
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, case, func, literal, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.core.identity import Channel
from services.delivery.ports import AlertMessage, Delivery, PostedAlert, ThreadMessage
from services.delivery.priority import Priority
from services.storage import tables
from services.storage.engine import Database
from services.storage.group_commit import GroupCommit
from services.storage.outbox_queries import IS_CHANGE, WHOLE_WORKSPACE, same_channel
from services.storage.repository import (
    Repository,
    channel_columns,
    insert,
    insert_rows,
    values_table,
)
from services.storage.tables import UtcDateTime
from services.storage.wakeups import announce

RECENT_ALERTS = 500  # whose permalinks are looked up; older ones are shown without a link
SENT_GROUP = 33  # outcomes that are waited for, so that they share a commit
LEASE = timedelta(minutes=1)  # of one attempt; longer than three calls to Slack can take
log = logging.getLogger(__name__)

_columns = tables.deliveries.c
_backoff = tables.channel_backoff.c
_channels = tables.channels.c
_attempts = tables.attempts
_alerts = tables.alerts.c


class OutboxRepository(Repository):
    """The methods of OutboxStore that write the outbox."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._in_flight: set[int] = set()  # messages that this process has leased and not recorded since
        self._attempt_marks = GroupCommit(self._lease)
        self._sent_marks = GroupCommit(self._record_sent, lambda: min(len(self._in_flight), SENT_GROUP))

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

    async def pause_workspace(self, team: str, until: datetime) -> None:
        """Pause a workspace at least until then; see OutboxStore."""
        await self.pause_channel(Channel(team=team, id=WHOLE_WORKSPACE), until)

    async def mark_attempting(self, delivery: Delivery, at: datetime) -> Delivery | None:
        """Lease a message before the call to Slack; only one process gets it until the lease ends.

        The lease is stored in `next_at`: to other processes the message is no longer due, and a previous owner sees
        that it lost the lease. Quiet hours that started meanwhile withhold a new message. Calls at the same time share
        a commit.
        """
        leased = await self._attempt_marks.submit((delivery, at))
        if leased is not None:
            self._in_flight.add(delivery.id)
        return leased

    async def _lease(self, marks: Sequence[tuple[Delivery, datetime]]) -> list[Delivery | None]:
        at = max(at for _, at in marks)
        as_read = tuple_(_columns.id, _columns.version, _columns.sent_version, _columns.attempts, _columns.attempting)
        read = [(one.id, one.version, one.sent_version, one.attempts, one.attempting) for one, _ in marks]
        is_due = (_columns.dead_at.is_(None), _columns.next_at <= at)
        is_free = or_(_columns.message_id.is_not(None), IS_CHANGE, ~_is_quiet(at))
        lease = update(tables.deliveries).where(_locked(as_read.in_(read), *is_due, is_free, skip=True))
        async with self._database.write() as tx:
            statement = lease.values(attempting=True, next_at=at + LEASE).returning(_columns.id)
            leased = dict.fromkeys(await tx.scalars(statement), at + LEASE)
            versions = {one.id: one.version for one, _ in marks if one.id in leased}
            attempts = [{"delivery_id": key, "version": version, "at": at} for key, version in versions.items()]
            await insert_rows(tx, _attempts, attempts)
        ends = [leased.pop(one.id, None) for one, _ in marks]  # a message that was submitted twice is leased once
        return [
            None if end is None else replace(one, leased_until=end) for (one, _), end in zip(marks, ends, strict=True)
        ]

    async def mark_sent(self, delivery: Delivery, message_id: str, at: datetime) -> None:
        """Record that this version is posted at `message_id`; a newer one is due at once.

        Calls at the same time share a commit.
        """
        await self._sent_marks.submit((delivery, message_id, at))
        self._in_flight.discard(delivery.id)

    async def _record_sent(self, marks: Sequence[tuple[Delivery, str, datetime]]) -> list[None]:
        at = max(at for *_, at in marks)
        ids = [one.id for one, *_ in marks]
        rows = [
            {"id": one.id, "message_id": message_id, "sent_version": one.version, "next_at": one.leased_until}
            for one, message_id, _ in marks
        ]
        async with self._database.write() as tx:
            new = values_table(tx.dialect, tables.deliveries, rows)
            lease = or_(new.c.next_at.is_(None), and_(_columns.attempting, _columns.next_at == new.c.next_at))
            posted = {"message_id": new.c.message_id, "sent_version": new.c.sent_version, "next_at": at}
            sent = (
                update(tables.deliveries)
                .where(_locked(_columns.id.in_(ids)), _columns.id == new.c.id, lease)
                .values(**posted, attempts=0, attempting=False, problem=None)
                .returning(_columns.id)
            )
            recorded = set(await tx.scalars(sent))
            for delivery, *_ in marks:
                if delivery.id not in recorded:
                    _log_overtaken(delivery)
            await _close_attempts(tx, recorded, "sent")
            channels = [(one.channel.team, one.channel.id) for one, *_ in marks if one.id in recorded]
            fixed = (tuple_(_backoff.team, _backoff.channel).in_(channels), _backoff.problem.is_not(None))
            await tx.execute(update(tables.channel_backoff).where(*fixed).values(problem=None))
        return [None] * len(marks)

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
        self._in_flight.discard(delivery.id)
        async with self._database.write() as tx:
            failure = {"attempts": failures, "attempting": unsure, "next_at": retry_at, "problem": problem}
            if not await _update_leased(tx, delivery, **failure, **repost):
                return
            await _close_attempts(tx, [delivery.id], "gone" if gone else "failed", problem)
            if gone and isinstance(delivery.message, AlertMessage):
                await _set_permalink(tx, delivery.message.alert.id, None)
            if gone and isinstance(delivery.message, ThreadMessage):
                await bump_alert_versions(tx, [delivery.message.alert.id], retry_at, Priority.UPDATE)

    async def mark_dead(self, delivery: Delivery, problem: str, at: datetime, *, unsure: bool = False) -> None:
        """Dead-letter a message that only a person can fix; it is not retried until its content changes.

        If the content changed during the attempt, the new version is retried like any other.
        """
        unchanged = _columns.version == delivery.version
        end = {
            "dead_at": case((unchanged, literal(at, UtcDateTime))),
            "attempts": case((unchanged, _columns.attempts), else_=0),
        }
        self._in_flight.discard(delivery.id)
        async with self._database.write() as tx:
            if await _update_leased(tx, delivery, attempting=unsure, next_at=at, problem=problem, **end):
                await _close_attempts(tx, [delivery.id], "dead", problem)

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


@dataclass(frozen=True, slots=True)
class Message:
    """A new message: `alert_id` for an alert's own, with `entry_id` for a thread reply, or `notice_id`."""

    channel: Channel
    priority: Priority
    alert_id: int | None = None
    entry_id: int | None = None
    notice_id: int | None = None

    @property
    def name(self) -> str:
        """The permanent part of its key."""
        parts = (("alert", self.alert_id), ("entry", self.entry_id), ("notice", self.notice_id))
        return ":".join(f"{kind}:{number}" for kind, number in parts if number is not None)


async def enqueue(tx: AsyncConnection, messages: Sequence[Message], at: datetime) -> None:
    """Enqueue new messages.

    A key ends in a random part, so that a message of another database, or one that is posted again, is never mistaken
    for this one.
    """
    same = {"version": 1, "sent_version": 0, "attempts": 0, "attempting": False, "next_at": at, "since": at}
    rows = [
        {
            "key": _new_key(message.name),
            **channel_columns(message.channel),
            "priority": message.priority,
            "alert_id": message.alert_id,
            "entry_id": message.entry_id,
            "notice_id": message.notice_id,
            **same,
        }
        for message in messages
    ]
    await insert_rows(tx, tables.deliveries, rows)
    if rows:
        await announce(tx)


async def bump_alert_versions(tx: AsyncConnection, alert_ids: Sequence[int], at: datetime, priority: Priority) -> None:
    """Increment the versions of alerts' own messages; those that are posted get this priority."""
    if alert_ids:
        await _bump_versions(tx, _columns.alert_id.in_(alert_ids), at, priority)


async def bump_notice_version(tx: AsyncConnection, notice_id: int, at: datetime) -> None:
    """Increment the version of a notice's message."""
    await _bump_versions(tx, _columns.notice_id == notice_id, at, Priority.UPDATE)


async def _bump_versions(tx: AsyncConnection, which: ColumnElement[bool], at: datetime, priority: Priority) -> None:
    """Increment the versions of messages.

    A retry keeps its time, a dead message is revived; one that a digest replaced does not change.
    """
    dead = _columns.dead_at.is_not(None)
    delivered = _columns.sent_version == _columns.version
    is_settled = literal(priority is Priority.ACKNOWLEDGED)
    await tx.execute(
        update(tables.deliveries)
        .where(_locked(which, _columns.entry_id.is_(None), _columns.superseded_by.is_(None)))
        .values(
            version=_columns.version + 1,
            priority=case((or_(_columns.message_id.is_not(None), is_settled), priority), else_=_columns.priority),
            next_at=case((or_(dead, delivered), literal(at, UtcDateTime)), else_=_columns.next_at),
            since=case((delivered, literal(at, UtcDateTime)), else_=_columns.since),
            attempts=case((dead, 0), else_=_columns.attempts),
            dead_at=None,
        )
    )
    await announce(tx)


async def superseded_alerts(tx: AsyncConnection, alert_ids: Sequence[int]) -> set[int]:
    """Return which of these alerts have no message of their own, as a digest replaced it."""
    own = (_columns.alert_id.in_(alert_ids), _columns.entry_id.is_(None), _columns.superseded_by.is_not(None))
    return set(await tx.scalars(select(_columns.alert_id).where(*own)))


def _locked(*which: ColumnElement[bool], skip: bool = False) -> ColumnElement[bool]:
    """Select messages and lock them in the order of their ids, so that two transactions never wait for each other.

    With `skip`, those that another transaction has locked are left out.
    """
    ids = select(_columns.id).where(*which).order_by(_columns.id).with_for_update(skip_locked=skip)
    return _columns.id.in_(ids)


def _is_quiet(at: datetime) -> ColumnElement[bool]:
    """Select whether the channel of a message is in quiet hours."""
    return select(_channels.revision).where(same_channel(tables.channels), _channels.quiet_from <= at).exists()


async def _update_leased(tx: AsyncConnection, delivery: Delivery, **values: object) -> bool:
    """Update the row of a message, unless another process holds its lease now; return whether it was updated."""
    lease = () if delivery.leased_until is None else (_columns.attempting, _columns.next_at == delivery.leased_until)
    updated = await tx.execute(update(tables.deliveries).where(_columns.id == delivery.id, *lease).values(values))
    if not updated.rowcount:
        _log_overtaken(delivery)
    return bool(updated.rowcount)


def _log_overtaken(delivery: Delivery) -> None:
    log.warning("outcome of %s not recorded: another process took over its lease", delivery.key)


async def _close_attempts(
    tx: AsyncConnection, delivery_ids: Collection[int], outcome: str, problem: str | None = None
) -> None:
    """Record the outcome of the last attempt of each message; one that a crash cut short stays without an outcome."""
    of_messages = _attempts.c.delivery_id.in_(delivery_ids)
    last = select(func.max(_attempts.c.id)).where(of_messages).group_by(_attempts.c.delivery_id)
    open_attempts = update(_attempts).where(_attempts.c.id.in_(last), _attempts.c.outcome.is_(None))
    await tx.execute(open_attempts.values(outcome=outcome, problem=problem))
