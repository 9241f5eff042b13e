"""What waits to be delivered: the query that finds it, and how its rows are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, func, or_, select

from services.ports import Delivery
from services.store import tables
from services.store.codec import read_alert, read_entry

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Row, Select

_columns = tables.deliveries.c
_rests = tables.rests.c
_own = tables.deliveries.alias("own")  # the message of the alert that an entry belongs to
_earlier = tables.deliveries.alias("earlier")  # an undelivered entry of the same alert that comes first
OUTSTANDING = _columns.sent_version < _columns.version
WAITING = (
    select(tables.deliveries, tables.alerts.c.alert, tables.entries.c.entry, _own.c.message_id.label("thread_id"))
    .select_from(
        tables.deliveries.join(tables.alerts, tables.alerts.c.id == _columns.alert_id)
        .outerjoin(tables.entries, tables.entries.c.id == _columns.entry_id)
        .outerjoin(
            _own,
            and_(_own.c.alert_id == _columns.alert_id, _own.c.entry_id.is_(None), _columns.entry_id.is_not(None)),
        )
        .outerjoin(
            tables.rests,
            and_(_rests.team == tables.alerts.c.team, _rests.channel == tables.alerts.c.channel),
        )
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
rested_at = case((_rests.until > _columns.next_at, _rests.until), else_=_columns.next_at)


def first_of_each_channel(now: datetime) -> Select[Any]:
    """Ask for what has waited longest of what is due in each channel: no queue may keep other channels waiting."""
    channels = tables.alerts.c.team, tables.alerts.c.channel
    due = WAITING.where(rested_at <= now).with_only_columns(_columns.id, _columns.next_at, *channels).cte("due")
    due = due.prefix_with("MATERIALIZED")  # or SQLite goes through every alert there is, in the order of the channels
    place = func.row_number().over(partition_by=(due.c.team, due.c.channel), order_by=(due.c.next_at, due.c.id))
    ranked = select(due.c.id, place.label("place")).subquery()
    return WAITING.where(_columns.id.in_(select(ranked.c.id).where(ranked.c.place == 1)))


def read_delivery(row: Row[Any]) -> Delivery | None:
    """Read a message; None where its alert or its entry cannot be read."""
    try:
        alert = read_alert(row.alert)
        entry = None if row.entry is None else read_entry(row.entry)
    except ValueError:
        return None
    return Delivery(
        id=row.id,
        key=row.key,
        alert=alert,
        entry=entry,
        version=row.version,
        sent_version=row.sent_version,
        message_id=row.message_id,
        thread_id=row.thread_id,
        attempts=row.attempts,
        attempting=row.attempting,
    )
