"""Channel settings and quiet periods, each change with its author, and the notices of a channel."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerting.channel_settings import ChannelSettings, after_leaving
from services.alerting.notice import Content, Notice
from services.alerting.ports import (
    AlertChange,
    ChannelUpdate,
    SettingChange,
    StoredChannel,
    StoredNotice,
    WithheldMessages,
)
from services.core.errors import ConflictError
from services.core.identity import Channel
from services.core.reason import Code, Reason
from services.delivery.priority import NOTICE_PRIORITIES
from services.storage import tables
from services.storage.alerts import record_alerts
from services.storage.codec import (
    notice_kind,
    read_notice,
    read_reason,
    read_settings,
    read_stored_alert,
    write_content,
    write_reason,
    write_settings,
)
from services.storage.outbox import Message, bump_notice_version, enqueue
from services.storage.outbox_queries import NO_DRILL, OUTSTANDING
from services.storage.repository import Repository, channel_columns, in_channel, insert, insert_row

LEFT_CHANNEL = write_reason(Reason.of(Code.CHANNEL_LEFT))
LEFT_CHANNEL_TEXT = "MinerPulse was taken out of the channel."  # as earlier releases stored it
CHANGED = "The channel's settings changed after they were read; read them again."
_columns = tables.channels.c
_deliveries, _notices = tables.deliveries.c, tables.notices.c


class ChannelRepository(Repository):
    """The methods of ChannelStore on settings, quiet periods and notices.

    A notice is recorded once per name and channel, and edited in place like an alert.
    """

    async def channel(self, channel: Channel) -> StoredChannel:
        """Load a channel's settings; the defaults, at revision 0, if it has none."""
        async with self._database.read() as tx:
            return await load_channel(tx, channel)

    async def channels(self) -> list[StoredChannel]:
        """Load every channel that has settings."""
        async with self._database.read() as tx:
            return [_read(row) for row in await tx.execute(select(tables.channels))]

    async def change_channel(
        self,
        after: StoredChannel,
        change: SettingChange,
        alerts: Sequence[AlertChange] = (),
        notice: Notice | None = None,
        *,
        others: Sequence[ChannelUpdate] = (),
    ) -> None:
        """Save a person's change of the settings, and the alerts and the notice that report it; see ChannelStore."""
        here = ChannelUpdate(after=after, change=change, alerts=alerts, notice=notice)
        async with self._database.write() as tx:
            for one in (here, *others):
                await _save_update(tx, one)
        self._count_events([alert for one in (here, *others) for alert in one.alerts])

    async def disconnect_channel(self, channel: Channel, change: SettingChange) -> None:
        """Stop all messages to a channel that the app was removed from; see ChannelStore."""
        notices, outdated = tables.notices, update(tables.deliveries).where(*in_channel(tables.deliveries, channel))
        async with self._database.write() as tx:
            row = (await tx.execute(select(tables.channels).where(*in_channel(tables.channels, channel)))).one_or_none()
            if row is not None:
                await _reset_settings(tx, _read(row), change)
            still_open = (*in_channel(notices, channel), tables.OPEN)
            await tx.execute(
                update(notices).where(*still_open).values(closed_at=change.at, revision=notices.c.revision + 1)
            )
            settled = {"sent_version": _deliveries.version, "dead_at": None, "problem": LEFT_CHANNEL}
            await tx.execute(outdated.where(OUTSTANDING).values(settled))

    async def reconnect_channel(self, channel: Channel, at: datetime) -> None:
        """Update the messages that were posted in a channel before the app was removed from it."""
        posted = (
            *in_channel(tables.deliveries, channel),
            _deliveries.problem.in_([LEFT_CHANNEL, LEFT_CHANNEL_TEXT]),
            _deliveries.message_id.is_not(None),
        )
        next_version = {"version": _deliveries.version + 1, "next_at": at, "since": at, "attempts": 0, "problem": None}
        async with self._database.write() as tx:
            await tx.execute(update(tables.deliveries).where(*posted, ~OUTSTANDING).values(next_version))

    async def channel_changes(self, channel: Channel, limit: int) -> list[SettingChange]:
        """Load the changes of a channel's settings, newest first."""
        table = tables.channel_changes
        query = select(table).where(*in_channel(table, channel)).order_by(table.c.id.desc()).limit(limit)
        async with self._database.read() as tx:
            return [
                SettingChange(by=row.by, at=row.at, summary=read_reason(row.what)) for row in await tx.execute(query)
            ]

    async def schedule_silence(self, after: StoredChannel) -> None:
        """Save when a channel's next quiet period starts. Raises ConflictError."""
        async with self._database.write() as tx:
            await save_channel(tx, after)

    async def withheld_messages(self, channel: Channel, since: datetime) -> WithheldMessages:
        """Load what happened in a channel since its quiet period started, and what was withheld."""
        here = in_channel(tables.deliveries, channel)
        unposted = select(_deliveries.alert_id).where(*here, _unsent(), _deliveries.entry_id.is_(None))
        unposted = unposted.where(_deliveries.alert_id.is_not(None))
        in_period = or_(tables.alerts.c.id.in_(unposted), tables.alerts.c.closed_at >= since)
        alerts = (
            select(tables.alerts)
            .where(*in_channel(tables.alerts, channel), in_period, NO_DRILL)
            .order_by(tables.alerts.c.id)
        )
        withheld = select(tables.notices).join(tables.deliveries, _deliveries.notice_id == tables.notices.c.id)
        notices = withheld.where(*here, _unsent()).order_by(tables.notices.c.id)
        async with self._database.read() as tx:
            return WithheldMessages(
                alerts=tuple(read_stored_alert(row).alert for row in await tx.execute(alerts)),
                unposted=frozenset(await tx.scalars(unposted)),
                notices=tuple(read_notice(row, row.id) for row in await tx.execute(notices)),
            )

    async def end_silence(
        self,
        after: StoredChannel,
        digest: Notice | None,
        at: datetime,
        *,
        alerts: Collection[int] = (),
        notices: Collection[int] = (),
    ) -> None:
        """End a channel's quiet period in one transaction; see ChannelStore."""
        unsent = and_(*in_channel(tables.deliveries, after.channel), _unsent())
        in_digest = or_(_deliveries.alert_id.in_(alerts), _deliveries.notice_id.in_(notices))
        async with self._database.write() as tx:
            quiet_from = await _load_quiet_from(tx, after.channel)
            await save_channel(tx, after)
            await tx.execute(update(tables.deliveries).where(unsent).values(since=at))
            if digest is not None and (notice_id := await add_notice(tx, digest, at, due_at=quiet_from)):
                settled = {"sent_version": _deliveries.version, "superseded_by": notice_id}
                await tx.execute(update(tables.deliveries).where(unsent, in_digest).values(settled))

    async def open_notices(self, kind: type[Content]) -> list[StoredNotice]:
        """Load the notices of one kind that may still change, oldest first."""
        query = select(tables.notices).where(tables.OPEN, _notices.kind == notice_kind(kind)).order_by(_notices.id)
        async with self._database.read() as tx:
            return [
                StoredNotice(notice=read_notice(row, row.id), revision=row.revision) for row in await tx.execute(query)
            ]

    async def add_notices(self, notices: Sequence[Notice], at: datetime) -> int:
        """Save new notices in one transaction; return how many were not recorded yet."""
        async with self._database.write() as tx:
            added = [await add_notice(tx, notice, at) for notice in notices]
        return sum(notice_id is not None for notice_id in added)

    async def has_notice(self, channel: Channel, name: str) -> bool:
        """Return whether a channel has a notice of that name."""
        query = select(_notices.id).where(*in_channel(tables.notices, channel), _notices.name == name)
        async with self._database.read() as tx:
            return (await tx.execute(query)).first() is not None

    async def update_notice(self, stored: StoredNotice, at: datetime) -> None:
        """Save a notice's new content. Raises ConflictError if it changed after it was read."""
        notice = stored.notice
        values = {
            "content": write_content(notice.content),
            "closed_at": notice.closed_at,
            "revision": stored.revision + 1,
        }
        here = in_channel(tables.notices, notice.channel)
        as_read = (_notices.id == notice.id, _notices.revision == stored.revision, *here)
        async with self._database.write() as tx:
            if (await tx.execute(update(tables.notices).where(*as_read).values(values))).rowcount != 1:
                raise ConflictError(f"Notice {notice.id} changed after it was read; read it again.")
            await bump_notice_version(tx, notice.id, at)


async def load_channel(tx: AsyncConnection, channel: Channel) -> StoredChannel:
    """Load a channel's settings; the defaults, at revision 0, if it has none."""
    row = (await tx.execute(select(tables.channels).where(*in_channel(tables.channels, channel)))).one_or_none()
    return StoredChannel(channel=channel, settings=ChannelSettings(), revision=0) if row is None else _read(row)


async def add_notice(
    tx: AsyncConnection, notice: Notice, at: datetime, *, due_at: datetime | None = None
) -> int | None:
    """Save a notice and enqueue its message; return its id, None if its channel has one of that name already.

    With `due_at` it is due as if it had waited since then, before messages that have waited for less long.
    """
    row = {
        **channel_columns(notice.channel),
        "name": notice.name,
        "kind": notice_kind(notice.content),
        "opened_at": notice.opened_at,
        "closed_at": notice.closed_at,
        "revision": 1,
        "content": write_content(notice.content),
    }
    new = insert(tx, tables.notices).values(row).on_conflict_do_nothing()
    notice_id: int | None = (await tx.execute(new.returning(_notices.id))).scalar()
    if notice_id is not None:
        message = Message(notice.channel, NOTICE_PRIORITIES[type(notice.content)], notice_id=notice_id)
        await enqueue(tx, [message], due_at or at)
    return notice_id


async def _save_update(tx: AsyncConnection, saved: ChannelUpdate) -> None:
    await record_alerts(tx, saved.alerts, saved.change.at)
    if saved.notice is not None:
        await add_notice(tx, saved.notice, saved.change.at)
    await save_channel(tx, saved.after)
    await record_change(tx, saved.after.channel, saved.change)


async def _reset_settings(tx: AsyncConnection, stored: StoredChannel, change: SettingChange) -> None:
    settings = after_leaving(stored.settings)
    await save_channel(tx, replace(stored, settings=settings, silent_from=None))
    if settings != stored.settings:
        await record_change(tx, stored.channel, change)


async def record_change(tx: AsyncConnection, channel: Channel, change: SettingChange) -> None:
    """Save who changed which setting of a channel."""
    row = {
        **channel_columns(channel),
        "by": change.by,
        "at": change.at,
        "what": write_reason(change.summary),
    }
    await insert_row(tx, tables.channel_changes, row)


async def _load_quiet_from(tx: AsyncConnection, channel: Channel) -> datetime | None:
    quiet_from: datetime | None = await tx.scalar(
        select(_columns.quiet_from).where(*in_channel(tables.channels, channel))
    )
    return quiet_from


async def save_channel(tx: AsyncConnection, after: StoredChannel) -> None:
    """Save a channel if it still has the revision that was read, 0 for none. Raises ConflictError."""
    values = {
        "settings": write_settings(after.settings),
        "revision": after.revision + 1,
        "quiet_from": after.silent_from,
        "quiet_ended_at": after.released_at,
    }
    if after.revision == 0:
        new = insert(tx, tables.channels).values(**channel_columns(after.channel), **values)
        saved = (await tx.execute(new.on_conflict_do_nothing().returning(_columns.revision))).first() is not None
    else:
        as_read = (*in_channel(tables.channels, after.channel), _columns.revision == after.revision)
        saved = (await tx.execute(update(tables.channels).where(*as_read).values(values))).rowcount == 1
    if not saved:
        raise ConflictError(CHANGED)


def _unsent() -> ColumnElement[bool]:
    """Select messages that wait and were surely not posted; those that may be are looked up after the quiet period."""
    undelivered = and_(_deliveries.sent_version < _deliveries.version, _deliveries.message_id.is_(None))
    return and_(undelivered, ~_deliveries.attempting, _deliveries.dead_at.is_(None))


def _read(row: Row[Any]) -> StoredChannel:
    return StoredChannel(
        channel=Channel(team=row.team, id=row.channel),
        settings=read_settings(row.settings),
        revision=row.revision,
        silent_from=row.quiet_from,
        released_at=row.quiet_ended_at,
    )
