"""Rows of pages, written in the transaction of their alert."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import and_, case, literal, null, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerting.alert import Alert
from services.alerting.paging import PageRoute
from services.alerting.ports import PageStatus
from services.core.identity import Channel
from services.storage import tables
from services.storage.repository import channel_columns
from services.storage.tables import UtcDateTime

_pages = tables.pages.c
PAGE_WAITS = and_(_pages.sent_version < _pages.version, _pages.dead_at.is_(None))
IS_OPEN_THERE = or_(_pages.sent_version > 0, _pages.maybe_sent)


async def add_pages(
    tx: AsyncConnection, channel: Channel, alert_id: int, routes: Sequence[PageRoute], at: datetime
) -> None:
    """Insert the pages of a new alert, one per route."""
    rows = [
        {
            **channel_columns(channel),
            "alert_id": alert_id,
            "sink": route.sink,
            "config": "",
            "severity": route.severity.value,
            "always": route.always,
            "version": 1,
            "sent_version": 0,
            "maybe_sent": False,
            "attempts": 0,
            "next_at": at,
            "since": at,
        }
        for route in routes
    ]
    if rows:
        await tx.execute(tables.pages.insert(), rows)


async def bump_pages(tx: AsyncConnection, alerts: Sequence[Alert], at: datetime) -> None:
    """Raise the versions of alerts' pages. One that was dead-lettered is tried again once its alert has ended."""
    current = _pages.sent_version == _pages.version
    ended = [alert.id for alert in alerts if alert.closed_at is not None]
    others = [alert.id for alert in alerts if alert.closed_at is None]
    for ids, revived in (
        (others, _pages.dead_at.is_(None)),
        (ended, and_(_pages.dead_at.is_not(None), IS_OPEN_THERE)),
    ):
        if ids:
            is_due = or_(current, _pages.dead_at.is_not(None))
            await tx.execute(
                update(tables.pages)
                .where(_pages.alert_id.in_(ids))
                .values(
                    version=_pages.version + 1,
                    next_at=case((is_due, literal(at, UtcDateTime)), else_=_pages.next_at),
                    dead_at=case((revived, null()), else_=_pages.dead_at),
                )
            )


async def page_statuses(tx: AsyncConnection, alert_id: int) -> tuple[PageStatus, ...]:
    """Load what each sink has been told of an alert."""
    query = select(tables.pages).where(_pages.alert_id == alert_id).order_by(_pages.id)
    return tuple(
        PageStatus(
            sink=row.sink,
            stage=row.sent_stage,
            is_current=row.sent_version >= row.version,
            problem=row.problem,
            given_up_at=row.dead_at,
        )
        for row in await tx.execute(query)
    )
