"""What channels set, and their silences: each change is recorded with who made it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, or_, select, union, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerting.channel_settings import ChannelSettings, after_leaving
from services.alerting.notice import Notice
from services.alerting.ports import KeptBack, SettingChange, StoredChannel
from services.alerting.records import AlertChange
from services.core.errors import ConflictError
from services.core.identity import Channel
from services.storage import tables
from services.storage.alert_writer import record_alert
from services.storage.codec import read_notice, read_settings, read_stored, write_settings
from services.storage.notices import add_notice
from services.storage.outbox_queries import OUTSTANDING
from services.storage.repository import Repository, insert, insert_row, rows_of

LEFT = "MinerPulse was taken out of the channel."
CHANGED = "The channel's settings have changed since they were read; read them again."
_columns = tables.channels.c
_posts = tables.deliveries.c


class Channels(Repository):
    """Implements ChannelStore."""

    async def channel(self, channel: Channel) -> StoredChannel:
        """Load what a channel has set; the defaults, at revision 0, where it has set nothing."""
        query = select(tables.channels).where(*rows_of(tables.channels, channel))
        async with self._database.read() as tx:
            row = (await tx.execute(query)).one_or_none()
        return StoredChannel(channel=channel, settings=ChannelSettings(), revision=0) if row is None else _read(row)

    async def channels(self) -> list[StoredChannel]:
        """Load every channel that has set something."""
        async with self._database.read() as tx:
            return [_read(row) for row in await tx.execute(select(tables.channels))]

    async def change_channel(
        self, after: StoredChannel, change: SettingChange, alerts: Sequence[AlertChange] = ()
    ) -> None:
        """Record what a person has set, with who and when, and the alerts that tell it; see ChannelStore."""
        async with self._database.write() as tx:
            for alert in alerts:
                await record_alert(tx, alert, change.at)
            await _save(tx, after)
            await _note(tx, after.channel, change)

    async def abandon(self, channel: Channel, change: SettingChange) -> None:
        """Have nothing told any more in a channel that the app was taken out of; see ChannelStore."""
        notices, waits = tables.notices, update(tables.deliveries).where(*rows_of(tables.deliveries, channel))
        async with self._database.write() as tx:
            row = (await tx.execute(select(tables.channels).where(*rows_of(tables.channels, channel)))).one_or_none()
            if row is not None:
                await _save_left(tx, _read(row), change)
            still = (*rows_of(notices, channel), tables.OPEN)
            await tx.execute(update(notices).where(*still).values(closed_at=change.at, revision=notices.c.revision + 1))
            settled = {"sent_version": _posts.version, "dead_at": None, "problem": LEFT}
            await tx.execute(waits.where(OUTSTANDING).values(settled))

    async def return_to(self, channel: Channel, at: datetime) -> None:
        """Bring the messages up to date that stood in a channel when the app was taken out of it."""
        stood = (*rows_of(tables.deliveries, channel), _posts.problem == LEFT, _posts.message_id.is_not(None))
        again = {"version": _posts.version + 1, "next_at": at, "since": at, "attempts": 0, "problem": None}
        async with self._database.write() as tx:
            await tx.execute(update(tables.deliveries).where(*stood, ~OUTSTANDING).values(again))

    async def channel_changes(self, channel: Channel, limit: int) -> list[SettingChange]:
        """Load who has set what in a channel, newest first."""
        table = tables.channel_changes
        query = select(table).where(*rows_of(table, channel)).order_by(table.c.id.desc()).limit(limit)
        async with self._database.read() as tx:
            return [SettingChange(by=row.by, at=row.at, what=row.what) for row in await tx.execute(query)]

    async def expect_silence(self, after: StoredChannel) -> None:
        """Note when a channel falls silent next. Raises ConflictError."""
        async with self._database.write() as tx:
            await _save(tx, after)

    async def kept_back(self, channel: Channel, since: datetime) -> KeptBack:
        """Load what has happened in a channel since it fell silent, and what was kept back."""
        here = rows_of(tables.deliveries, channel)
        unposted = select(_posts.alert_id).where(*here, _never_tried(), _posts.entry_id.is_(None))
        unposted = unposted.where(_posts.alert_id.is_not(None))
        happened = or_(tables.alerts.c.id.in_(unposted), tables.alerts.c.closed_at >= since)
        alerts = select(tables.alerts).where(*rows_of(tables.alerts, channel), happened).order_by(tables.alerts.c.id)
        told = select(tables.notices).join(tables.deliveries, _posts.notice_id == tables.notices.c.id)
        notices = told.where(*here, _never_tried()).order_by(tables.notices.c.id)
        async with self._database.read() as tx:
            return KeptBack(
                alerts=tuple(read_stored(row).alert for row in await tx.execute(alerts)),
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
        """End a channel's silence in one transaction; see ChannelStore."""
        kept = and_(*rows_of(tables.deliveries, after.channel), _never_tried())
        within = or_(_posts.alert_id.in_(alerts), _posts.notice_id.in_(notices))
        async with self._database.write() as tx:
            began = await _silent_from(tx, after.channel)
            await _save(tx, after)
            await tx.execute(update(tables.deliveries).where(kept).values(since=at))
            if digest is not None and (number := await add_notice(tx, digest, at, due_at=began)):
                settled = {"sent_version": _posts.version, "told_in": number}
                await tx.execute(update(tables.deliveries).where(kept, within).values(settled))


async def _save_left(tx: AsyncConnection, stored: StoredChannel, change: SettingChange) -> None:
    kept = after_leaving(stored.settings)
    await _save(tx, replace(stored, settings=kept, silent_from=None))
    if kept != stored.settings:
        await _note(tx, stored.channel, change)


async def _note(tx: AsyncConnection, channel: Channel, change: SettingChange) -> None:
    row = {"team": channel.team, "channel": channel.id, "by": change.by, "at": change.at, "what": change.what}
    await insert_row(tx, tables.channel_changes, row)


async def _silent_from(tx: AsyncConnection, channel: Channel) -> datetime | None:
    began: datetime | None = await tx.scalar(select(_columns.silent_from).where(*rows_of(tables.channels, channel)))
    return began


async def _save(tx: AsyncConnection, after: StoredChannel) -> None:
    """Save a channel where it still has the revision that was read, 0 for none. Raises ConflictError."""
    values = {
        "settings": write_settings(after.settings),
        "revision": after.revision + 1,
        "silent_from": after.silent_from,
        "released_at": after.released_at,
    }
    if after.revision == 0:
        new = insert(tx, tables.channels).values(team=after.channel.team, channel=after.channel.id, **values)
        saved = (await tx.execute(new.on_conflict_do_nothing().returning(_columns.revision))).first() is not None
    else:
        as_read = (*rows_of(tables.channels, after.channel), _columns.revision == after.revision)
        saved = (await tx.execute(update(tables.channels).where(*as_read).values(values))).rowcount == 1
    if not saved:
        raise ConflictError(CHANGED)


def _never_tried() -> ColumnElement[bool]:
    """Ask for what waits and surely stands nowhere; what may stand is looked up when the silence is over."""
    undelivered = and_(_posts.sent_version < _posts.version, _posts.message_id.is_(None))
    return and_(undelivered, ~_posts.attempting, _posts.dead_at.is_(None))


def _read(row: Row[Any]) -> StoredChannel:
    return StoredChannel(
        channel=Channel(team=row.team, id=row.channel),
        settings=read_settings(row.settings),
        revision=row.revision,
        silent_from=row.silent_from,
        released_at=row.released_at,
    )


class People(Repository):
    """Implements what CommandStore knows of people."""

    async def channels_of(self, team: str, person: str) -> list[Channel]:
        """List the channels of a workspace in which a person has changed a rule or acted on an alert, by their id."""
        query = union(_added(team, person), _changed(team, person), _acted(team, person)).order_by("channel")
        async with self._database.read() as tx:
            return [Channel(team=team, id=row.channel) for row in await tx.execute(query)]


def _added(team: str, person: str) -> Select[tuple[str]]:
    rules = tables.rules.c
    return select(rules.channel).where(rules.team == team, rules.created_by == person)


def _changed(team: str, person: str) -> Select[tuple[str]]:
    acts = tables.acts.c
    return select(acts.channel).where(acts.team == team, acts.by == person)


def _acted(team: str, person: str) -> Select[tuple[str]]:
    """Search the timelines, which are JSON: few lines name a person, and only a Home tab asks."""
    alerts, entries = tables.alerts.c, tables.entries.c
    acted = entries.entry.contains(f'"by":"{person}"', autoescape=True)
    return select(alerts.channel).join(tables.entries, entries.alert_id == alerts.id).where(alerts.team == team, acted)
