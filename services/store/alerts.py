"""Alerts: episodes as their messages tell them, recorded together with the rules' states and what is to be told."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import exc, select, update

from services.domain.channel import ChannelSettings, is_told
from services.domain.errors import ConflictError, NotFoundError
from services.store import tables
from services.store.channels import settings_of
from services.store.codec import read_pair, read_stored, write_alert, write_entry
from services.store.part import Part, insert_row, rows_of
from services.store.rules import change_rules, move_rules
from services.store.ticks import hold_tick
from services.store.wanted import is_posted_alone, tell, tell_again

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Row
    from sqlalchemy.ext.asyncio import AsyncConnection

    from services.domain.episode import Alert, Channel, Entry
    from services.domain.prices import Pair
    from services.ports import AlertChange, RuleChange, StateChange, StoredAlert, Tick
    from services.store.engine import Database

log = logging.getLogger(__name__)


class Alerts(Part):
    """Implements the alerts of MonitorStore and DeskStore.

    In a list, an alert that cannot be read is left out, so that it keeps nobody from the others.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._unreadable: set[int] = set()

    async def open_alerts(self, channel: Channel | None = None, *, pair: Pair | None = None) -> list[StoredAlert]:
        """Load the open alerts, of one channel or of all, on one pair or on all, oldest first."""
        here = _of(channel) if channel else ()
        on_pair = (tables.alerts.c.pair == str(pair),) if pair else ()
        query = select(tables.alerts).where(tables.OPEN, *here, *on_pair).order_by(tables.alerts.c.id)
        async with self._database.read() as tx:
            return self._readable(await tx.execute(query))

    async def ended_alerts(self, pair: Pair, since: datetime) -> list[StoredAlert]:
        """Load the alerts on a pair that have ended since then, oldest first."""
        ended = (tables.alerts.c.pair == str(pair), tables.alerts.c.closed_at >= since)
        query = select(tables.alerts).where(*ended).order_by(tables.alerts.c.id)
        async with self._database.read() as tx:
            return self._readable(await tx.execute(query))

    async def alerted_pairs(self) -> list[Pair]:
        """List the pairs that have open alerts."""
        query = select(tables.alerts.c.pair).where(tables.OPEN).distinct()
        async with self._database.read() as tx:
            return [read_pair(text) for text in await tx.scalars(query)]

    async def alert(self, channel: Channel, alert_id: int) -> StoredAlert:
        """Load one alert of this channel, open or closed. Raises NotFoundError."""
        query = select(tables.alerts).where(tables.alerts.c.id == alert_id, *_of(channel))
        async with self._database.read() as tx:
            row = (await tx.execute(query)).one_or_none()
        if row is None:
            raise NotFoundError(f"No alert {alert_id} in this channel.")
        return read_stored(row)

    async def history(self, channel: Channel, limit: int) -> list[Alert]:
        """Load a channel's last alerts, newest first."""
        columns = tables.alerts.c
        query = select(tables.alerts).where(*_of(channel)).order_by(columns.id.desc()).limit(limit)
        async with self._database.read() as tx:
            return [stored.alert for stored in self._readable(await tx.execute(query))]

    async def record(
        self,
        states: Sequence[StateChange],
        alerts: Sequence[AlertChange],
        at: datetime,
        *,
        rules: Sequence[RuleChange] = (),
        tick: Tick | None = None,
    ) -> None:
        """Record a tick or a person's act in one transaction; see MonitorStore and DeskStore.

        1. Make sure that a tick is still this process's own.
        2. Move the rules to their new states, and do to them what a person did.
        3. Save the alerts, known ones first: one that closes makes room for one that opens.
        4. Add the timeline entries, and bring the messages that must be delivered up to date.
        """
        async with self._database.write() as tx:
            if tick is not None:
                await hold_tick(tx, tick)
            await move_rules(tx, states)
            await change_rules(tx, rules, at)
            try:
                for change in sorted(alerts, key=lambda change: change.alert.id == 0):
                    await _record(tx, change, at)
            except exc.IntegrityError as error:
                raise ConflictError("An alert on that is open already; read the alerts again.") from error

    def _readable(self, rows: Iterable[Row[Any]]) -> list[StoredAlert]:
        """Read the alerts that can be read; each of the others is logged once."""
        read = {row.id: _read(row) for row in rows}
        lost = {number for number, stored in read.items() if stored is None}
        for number in sorted(lost - self._unreadable):
            log.error("alert %d cannot be read and is left out; restore its row from a backup", number)
        self._unreadable |= lost
        return [stored for stored in read.values() if stored is not None]


async def _record(tx: AsyncConnection, change: AlertChange, at: datetime) -> None:
    alert_id, channel = change.alert.id, change.alert.channel
    if alert_id:
        await _amend(tx, change)
        await tell_again(tx, at, alert_id=alert_id)
        has_thread = await is_posted_alone(tx, alert_id)
    else:
        await _make_room(tx, change.alert, at)
        alert_id = await _open(tx, change.alert)
        await tell(tx, channel, at, alert_id=alert_id)
        has_thread = True
    settings = await settings_of(tx, channel) if change.entries else ChannelSettings()
    for entry in change.entries:
        told = has_thread and not entry.silent and is_told(entry.kind, settings)
        entry_id = await _append(tx, alert_id, replace(entry, silent=not told))
        if told:
            await tell(tx, channel, at, alert_id=alert_id, entry_id=entry_id)


async def _make_room(tx: AsyncConnection, alert: Alert, at: datetime) -> None:
    """Close what stands in the place of a new alert where it cannot be read: nobody else could ever close it."""
    columns = tables.alerts.c
    same = (columns.pair == str(alert.pair), columns.subject == alert.subject.value, columns.side == alert.side.value)
    for row in (await tx.execute(select(tables.alerts).where(tables.OPEN, *_of(alert.channel), *same))).all():
        if _read(row) is None:
            await tx.execute(update(tables.alerts).where(columns.id == row.id).values(closed_at=at))


async def _open(tx: AsyncConnection, alert: Alert) -> int:
    row = {
        "team": alert.channel.team,
        "channel": alert.channel.id,
        "pair": str(alert.pair),
        "subject": alert.subject.value,
        "side": alert.side.value,
        "closed_at": alert.closed_at,
        "revision": 1,
        "alert": "",  # is to carry the number that this insert gives it
    }
    alert_id = await insert_row(tx, tables.alerts, row)
    numbered = write_alert(replace(alert, id=alert_id))
    await tx.execute(update(tables.alerts).where(tables.alerts.c.id == alert_id).values(alert=numbered))
    return alert_id


async def _amend(tx: AsyncConnection, change: AlertChange) -> None:
    columns, alert = tables.alerts.c, change.alert
    amended = await tx.execute(
        update(tables.alerts)
        .where(columns.id == alert.id, columns.revision == change.revision, *_of(alert.channel))
        .values(alert=write_alert(alert), closed_at=alert.closed_at, revision=change.revision + 1)
    )
    if amended.rowcount != 1:
        raise ConflictError(f"Alert {alert.id} has changed since it was read; read it again.")


async def _append(tx: AsyncConnection, alert_id: int, entry: Entry) -> int:
    return await insert_row(tx, tables.entries, {"alert_id": alert_id, "entry": write_entry(entry)})


def _read(row: Row[Any]) -> StoredAlert | None:
    """Read an alert; None where its row is damaged."""
    try:
        return read_stored(row)
    except ValueError:
        return None


def _of(channel: Channel) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return rows_of(tables.alerts, channel)
