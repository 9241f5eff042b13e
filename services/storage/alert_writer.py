"""Recording: one alert with what its timeline gains, and what is to be told of both."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerting.alert import Alert, Entry
from services.alerting.channel_settings import ChannelSettings, is_told
from services.alerting.records import AlertChange, StoredAlert
from services.core.errors import ConflictError
from services.core.identity import Channel
from services.storage import tables
from services.storage.codec import read_settings, read_stored, write_alert, write_entry
from services.storage.outbox_enqueue import bump_version, enqueue, has_own_message
from services.storage.repository import insert_row, rows_of


async def record_alert(tx: AsyncConnection, change: AlertChange, at: datetime) -> None:
    """Save an alert with its new timeline entries, and have its message and its thread told. Raises ConflictError."""
    alert_id, channel = change.alert.id, change.alert.channel
    if alert_id:
        await _amend(tx, change)
        await bump_version(tx, at, alert_id=alert_id)
        has_thread = await has_own_message(tx, alert_id)
    else:
        await _make_room(tx, change.alert, at)
        alert_id = await _open(tx, change.alert)
        await enqueue(tx, channel, at, alert_id=alert_id)
        has_thread = True
    settings = await settings_of(tx, channel) if change.entries else ChannelSettings()
    for entry in change.entries:
        told = has_thread and not entry.silent and is_told(entry.kind, settings)
        entry_id = await _append(tx, alert_id, replace(entry, silent=not told))
        if told:
            await enqueue(tx, channel, at, alert_id=alert_id, entry_id=entry_id)


async def _make_room(tx: AsyncConnection, alert: Alert, at: datetime) -> None:
    """Close what stands in the place of a new alert where it cannot be read: nobody else could ever close it."""
    columns = tables.alerts.c
    same = (columns.pair == str(alert.pair), columns.subject == alert.subject.value, columns.side == alert.side.value)
    for row in (
        await tx.execute(select(tables.alerts).where(tables.OPEN, *rows_of(tables.alerts, alert.channel), *same))
    ).all():
        if read_whole(row) is None:
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
        .where(columns.id == alert.id, columns.revision == change.revision, *rows_of(tables.alerts, alert.channel))
        .values(alert=write_alert(alert), closed_at=alert.closed_at, revision=change.revision + 1)
    )
    if amended.rowcount != 1:
        raise ConflictError(f"Alert {alert.id} has changed since it was read; read it again.")


async def _append(tx: AsyncConnection, alert_id: int, entry: Entry) -> int:
    return await insert_row(tx, tables.entries, {"alert_id": alert_id, "entry": write_entry(entry)})


def read_whole(row: Row[Any]) -> StoredAlert | None:
    """Read an alert; None where its row is damaged."""
    try:
        return read_stored(row)
    except ValueError:
        return None


async def settings_of(tx: AsyncConnection, channel: Channel) -> ChannelSettings:
    """Read what a channel has set; the defaults where it has set nothing."""
    query = select(tables.channels.c.settings).where(*rows_of(tables.channels, channel))
    text = (await tx.execute(query)).scalar()
    return ChannelSettings() if text is None else read_settings(text)
