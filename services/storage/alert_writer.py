"""Writes of one alert with its new timeline entries and their deliveries."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerting.alert import Alert, TimelineEntry
from services.alerting.channel_settings import ChannelSettings, is_posted_to_thread
from services.alerting.records import AlertChange, StoredAlert
from services.core.errors import ConflictError
from services.core.identity import Channel
from services.storage import tables
from services.storage.codec import read_settings, read_stored_alert, write_alert, write_entry
from services.storage.outbox_enqueue import bump_version, enqueue, has_root_message
from services.storage.repository import in_channel, insert_row


async def record_alert(tx: AsyncConnection, change: AlertChange, at: datetime) -> None:
    """Save an alert with its new timeline entries, and enqueue their messages. Raises ConflictError."""
    alert_id, channel = change.alert.id, change.alert.channel
    if alert_id:
        await _update(tx, change)
        await bump_version(tx, at, alert_id=alert_id)
        has_thread = await has_root_message(tx, alert_id)
    else:
        await _close_unreadable(tx, change.alert, at)
        alert_id = await _insert(tx, change.alert)
        await enqueue(tx, channel, at, alert_id=alert_id)
        has_thread = True
    settings = await load_settings(tx, channel) if change.entries else ChannelSettings()
    for entry in change.entries:
        visible = has_thread and not entry.silent and is_posted_to_thread(entry.kind, settings)
        entry_id = await _append_entry(tx, alert_id, replace(entry, silent=not visible))
        if visible:
            await enqueue(tx, channel, at, alert_id=alert_id, entry_id=entry_id)


async def _close_unreadable(tx: AsyncConnection, alert: Alert, at: datetime) -> None:
    """Close an unreadable alert in the place of a new one: nobody else could ever close it."""
    columns = tables.alerts.c
    same = (columns.pair == str(alert.pair), columns.subject == alert.subject.value, columns.side == alert.side.value)
    for row in (
        await tx.execute(select(tables.alerts).where(tables.OPEN, *in_channel(tables.alerts, alert.channel), *same))
    ).all():
        if read_alert_or_none(row) is None:
            await tx.execute(update(tables.alerts).where(columns.id == row.id).values(closed_at=at))


async def _insert(tx: AsyncConnection, alert: Alert) -> int:
    row = {
        "team": alert.channel.team,
        "channel": alert.channel.id,
        "pair": str(alert.pair),
        "subject": alert.subject.value,
        "side": alert.side.value,
        "closed_at": alert.closed_at,
        "revision": 1,
        "alert": "",  # replaced below: the JSON contains the id
    }
    alert_id = await insert_row(tx, tables.alerts, row)
    numbered = write_alert(replace(alert, id=alert_id))
    await tx.execute(update(tables.alerts).where(tables.alerts.c.id == alert_id).values(alert=numbered))
    return alert_id


async def _update(tx: AsyncConnection, change: AlertChange) -> None:
    columns, alert = tables.alerts.c, change.alert
    updated = await tx.execute(
        update(tables.alerts)
        .where(columns.id == alert.id, columns.revision == change.revision, *in_channel(tables.alerts, alert.channel))
        .values(alert=write_alert(alert), closed_at=alert.closed_at, revision=change.revision + 1)
    )
    if updated.rowcount != 1:
        raise ConflictError(f"Alert {alert.id} has changed since it was read; read it again.")


async def _append_entry(tx: AsyncConnection, alert_id: int, entry: TimelineEntry) -> int:
    return await insert_row(tx, tables.timeline_entries, {"alert_id": alert_id, "entry": write_entry(entry)})


def read_alert_or_none(row: Row[Any]) -> StoredAlert | None:
    """Return the alert of a row; None if the row is damaged."""
    try:
        return read_stored_alert(row)
    except ValueError:
        return None


async def load_settings(tx: AsyncConnection, channel: Channel) -> ChannelSettings:
    """Load a channel's settings; the defaults if it has none."""
    query = select(tables.channels.c.settings).where(*in_channel(tables.channels, channel))
    text = (await tx.execute(query)).scalar()
    return ChannelSettings() if text is None else read_settings(text)
