"""Queries for undelivered messages, and the conversion of their rows."""

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

from services.alerting.channel_settings import ChannelSettings, is_broadcast, needs_acknowledgement
from services.core.identity import Channel
from services.delivery.ports import AlertMessage, Delivery, NoticeMessage, OutboxMessage, ThreadMessage
from services.storage import tables
from services.storage.codec import read_alert, read_entry, read_notice, read_settings
from services.storage.types import UtcDateTime

_columns = tables.deliveries.c
_backoff = tables.channel_backoff.c
_channels = tables.channels.c
_root = tables.deliveries.alias("root")  # the message of the alert that an entry belongs to
_earlier = tables.deliveries.alias("earlier")  # an earlier undelivered entry of the same alert
OUTSTANDING = _columns.sent_version < _columns.version


def with_root(deliveries: FromClause) -> FromClause:
    """Join each thread reply with the alert's own message, which it waits for."""
    of_alert = and_(_root.c.alert_id == _columns.alert_id, _root.c.entry_id.is_(None), _columns.entry_id.is_not(None))
    return deliveries.outerjoin(_root, of_alert)


def same_channel(table: Table) -> ColumnElement[bool]:
    """Return the join condition of a message with its channel's row in this table."""
    return and_(table.c.team == _columns.team, table.c.channel == _columns.channel)


WAITING = (
    select(
        tables.deliveries,
        tables.alerts.c.alert,
        tables.timeline_entries.c.entry,
        *(tables.notices.c[name] for name in ("name", "kind", "content", "opened_at", "closed_at")),
        _root.c.message_id.label("thread_id"),
        _channels.settings,
    )
    .select_from(
        with_root(tables.deliveries)
        .outerjoin(tables.alerts, tables.alerts.c.id == _columns.alert_id)
        .outerjoin(tables.timeline_entries, tables.timeline_entries.c.id == _columns.entry_id)
        .outerjoin(tables.notices, tables.notices.c.id == _columns.notice_id)
        .outerjoin(tables.channel_backoff, same_channel(tables.channel_backoff))
        .outerjoin(tables.channels, same_channel(tables.channels))
    )
    .where(OUTSTANDING, _columns.dead_at.is_(None))
    .where(or_(_columns.entry_id.is_(None), _root.c.message_id.is_not(None)))
    .where(
        ~select(_earlier.c.id)
        .where(_earlier.c.alert_id == _columns.alert_id, _earlier.c.entry_id < _columns.entry_id)
        .where(_earlier.c.sent_version < _earlier.c.version, _earlier.c.dead_at.is_(None))
        .exists()
    )
)
ROOT_IS_DEAD = and_(_columns.entry_id.is_not(None), _root.c.dead_at.is_not(None), _root.c.message_id.is_(None))
NOW: BindParameter[datetime] = bindparam("now", type_=UtcDateTime())
_ALLOWED_AT = case((_backoff.until > _columns.next_at, _backoff.until), else_=_columns.next_at)

# Withheld by quiet hours that started by `now`; posted messages may be edited, as edits notify nobody.
WITHHELD = and_(_channels.quiet_from.is_not(None), _channels.quiet_from <= NOW, _columns.message_id.is_(None))


def next_due_at(waiting: Select[Any]) -> Select[Any]:
    """Return a query for the earliest time at which one of the waiting messages may be tried, due or not."""
    return waiting.with_only_columns(func.min(_ALLOWED_AT))


def first_of_each_channel(waiting: Select[Any]) -> Select[Any]:
    """Return a query for the longest-waiting due message of each channel: one channel's queue must not delay others."""
    channels = _columns.team, _columns.channel
    due = waiting.where(_ALLOWED_AT <= NOW).with_only_columns(_columns.id, _columns.next_at, *channels).cte("due")
    due = due.prefix_with("MATERIALIZED")  # else SQLite scans all messages in the order of channels
    rank = func.row_number().over(partition_by=(due.c.team, due.c.channel), order_by=(due.c.next_at, due.c.id))
    ranked = select(due.c.id, rank.label("rank")).subquery()
    first = WAITING.where(_columns.id.in_(select(ranked.c.id).where(ranked.c.rank == 1)))
    return first.order_by(_columns.next_at, _columns.id).limit(bindparam("limit", type_=Integer()))


# Built once, as building the queries of a poll takes longer than running them. Parameters: `now` and `limit`.
NEXT_DUE_AT = next_due_at(WAITING.where(~WITHHELD))
FIRST_OF_EACH_CHANNEL = first_of_each_channel(WAITING.where(~WITHHELD))


def read_delivery(row: Row[Any], now: datetime) -> Delivery | None:
    """Build a delivery from a row; None if its content cannot be read."""
    try:
        message = _message(row, now)
    except ValueError:
        return None
    return Delivery(
        id=row.id,
        key=row.key,
        channel=Channel(team=row.team, id=row.channel),
        message=message,
        version=row.version,
        sent_version=row.sent_version,
        message_id=row.message_id,
        thread_id=row.thread_id,
        attempts=row.attempts,
        attempting=row.attempting,
    )


def _message(row: Row[Any], now: datetime) -> OutboxMessage:
    if row.content is not None:
        return NoticeMessage(notice=read_notice(row, row.notice_id))
    alert = read_alert(row.alert)
    settings = ChannelSettings() if row.settings is None else read_settings(row.settings)
    if row.entry is None:
        return AlertMessage(alert=alert, mention=settings.mention if needs_acknowledgement(alert, now) else None)
    entry = read_entry(row.entry)
    return ThreadMessage(alert=alert, entry=entry, broadcast=is_broadcast(entry.kind, settings))
