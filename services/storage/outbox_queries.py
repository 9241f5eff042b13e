"""What waits to be delivered: the queries that find it, and how their rows are read."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    FromClause,
    Integer,
    Row,
    Select,
    Table,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
)

from services.alerting.channel_settings import ChannelSettings, calls_anyone, is_broadcast
from services.core.identity import Channel
from services.delivery.ports import AlertMessage, Delivery, MessageRef, NoticeMessage, ThreadMessage
from services.storage import tables
from services.storage.codec import read_alert, read_entry, read_notice, read_settings
from services.storage.types import UtcDateTime

_columns = tables.deliveries.c
_rests = tables.rests.c
_channels = tables.channels.c
_own = tables.deliveries.alias("own")  # the message of the alert that an entry belongs to
_earlier = tables.deliveries.alias("earlier")  # an undelivered entry of the same alert that comes first
OUTSTANDING = _columns.sent_version < _columns.version


def with_own(posts: FromClause) -> FromClause:
    """Put beside each line of a thread the alert's own message, which it waits for."""
    of_alert = and_(_own.c.alert_id == _columns.alert_id, _own.c.entry_id.is_(None), _columns.entry_id.is_not(None))
    return posts.outerjoin(_own, of_alert)


def on_channel(table: Table) -> ColumnElement[bool]:
    """Join a message with the row of its channel."""
    return and_(table.c.team == _columns.team, table.c.channel == _columns.channel)


WAITING = (
    select(
        tables.deliveries,
        tables.alerts.c.alert,
        tables.entries.c.entry,
        *(tables.notices.c[name] for name in ("name", "kind", "content", "opened_at", "closed_at")),
        _own.c.message_id.label("thread_id"),
        _channels.settings,
    )
    .select_from(
        with_own(tables.deliveries)
        .outerjoin(tables.alerts, tables.alerts.c.id == _columns.alert_id)
        .outerjoin(tables.entries, tables.entries.c.id == _columns.entry_id)
        .outerjoin(tables.notices, tables.notices.c.id == _columns.notice_id)
        .outerjoin(tables.rests, on_channel(tables.rests))
        .outerjoin(tables.channels, on_channel(tables.channels))
    )
    .where(OUTSTANDING, _columns.dead_at.is_(None))
    .where(or_(_columns.entry_id.is_(None), _own.c.message_id.is_not(None)))
    .where(
        ~select(_earlier.c.id)
        .where(_earlier.c.alert_id == _columns.alert_id, _earlier.c.entry_id < _columns.entry_id)
        .where(_earlier.c.sent_version < _earlier.c.version, _earlier.c.dead_at.is_(None))
        .exists()
    )
)
OWN_IS_DEAD = and_(_columns.entry_id.is_not(None), _own.c.dead_at.is_not(None), _own.c.message_id.is_(None))
NOW: BindParameter[datetime] = bindparam("now", type_=UtcDateTime())
_RESTED_AT = case((_rests.until > _columns.next_at, _rests.until), else_=_columns.next_at)

# Kept back by a silence that has begun by `now`: what stands already may be changed, for edits wake nobody.
WITHHELD = and_(_channels.silent_from.is_not(None), _channels.silent_from <= NOW, _columns.message_id.is_(None))


def next_due_at(waits: Select[Any]) -> Select[Any]:
    """Ask when the first may be tried of all that waits, be it due or not."""
    return waits.with_only_columns(func.min(_RESTED_AT))


def first_of_each_channel(waits: Select[Any]) -> Select[Any]:
    """Ask for what has waited longest of what is due in each channel: no queue may keep other channels waiting."""
    channels = _columns.team, _columns.channel
    due = waits.where(_RESTED_AT <= NOW).with_only_columns(_columns.id, _columns.next_at, *channels).cte("due")
    due = due.prefix_with("MATERIALIZED")  # or SQLite goes through every message there is, in the order of the channels
    place = func.row_number().over(partition_by=(due.c.team, due.c.channel), order_by=(due.c.next_at, due.c.id))
    ranked = select(due.c.id, place.label("place")).subquery()
    first = WAITING.where(_columns.id.in_(select(ranked.c.id).where(ranked.c.place == 1)))
    return first.order_by(_columns.next_at, _columns.id).limit(bindparam("limit", type_=Integer()))


# The queries of every poll are built once: that takes longer than to run them. They are asked with `now` and `limit`.
NEXT_DUE_AT = next_due_at(WAITING.where(~WITHHELD))
FIRST_OF_EACH_CHANNEL = first_of_each_channel(WAITING.where(~WITHHELD))


def read_delivery(row: Row[Any], now: datetime) -> Delivery | None:
    """Read a message; None where what it tells cannot be read."""
    try:
        told = _told(row, now)
    except ValueError:
        return None
    return Delivery(
        id=row.id,
        key=row.key,
        channel=Channel(team=row.team, id=row.channel),
        told=told,
        version=row.version,
        sent_version=row.sent_version,
        message_id=row.message_id,
        thread_id=row.thread_id,
        attempts=row.attempts,
        attempting=row.attempting,
    )


def _told(row: Row[Any], now: datetime) -> MessageRef:
    if row.content is not None:
        return NoticeMessage(notice=read_notice(row, row.notice_id))
    alert = read_alert(row.alert)
    settings = ChannelSettings() if row.settings is None else read_settings(row.settings)
    if row.entry is None:
        return AlertMessage(alert=alert, calls=settings.mention if calls_anyone(alert, now) else None)
    entry = read_entry(row.entry)
    return ThreadMessage(alert=alert, entry=entry, broadcast=is_broadcast(entry.kind, settings))
