"""Pages of alerts at sinks outside Slack: one row per alert and sink, written with the alert."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, and_, case, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerting.notice import Notice
from services.alerting.paging import Severity, Stage
from services.core.identity import Channel
from services.delivery.pages import PageDelivery
from services.delivery.ports import Backlog
from services.storage import tables
from services.storage.channels import add_notice
from services.storage.codec import read_alert
from services.storage.page_rows import IS_OPEN_THERE, PAGE_WAITS
from services.storage.repository import Repository, insert
from services.storage.tables import UtcDateTime

LEASE = timedelta(minutes=1)  # of one attempt; longer than a call to a sink can take
LANES = 50  # pages that one look-up returns
_pages, _holds, _channels = tables.pages.c, tables.sink_holds.c, tables.channels.c
_HELD = and_(_holds.team == _pages.team, _holds.sink == _pages.sink)
_CHANNEL = and_(_channels.team == _pages.team, _channels.channel == _pages.channel)


class PageRepository(Repository):
    """The implementation of PageStore."""

    async def due_pages(self, now: datetime, exclude: Collection[int] = ()) -> list[PageDelivery]:
        """Load pages that are due, at most one per lane, oldest first; see PageStore."""
        quiet = and_(_channels.quiet_from.is_not(None), _channels.quiet_from <= now)
        ready = (
            select(
                tables.pages,
                tables.alerts.c.alert,
                tables.alerts.c.permalink,
                func.row_number()
                .over(partition_by=(_pages.team, _pages.channel, _pages.sink), order_by=_pages.id)
                .label("place"),
            )
            .select_from(
                tables.pages.join(tables.alerts, tables.alerts.c.id == _pages.alert_id)
                .outerjoin(tables.sink_holds, _HELD)
                .outerjoin(tables.channels, _CHANNEL)
            )
            .where(PAGE_WAITS, _pages.next_at <= now)
            .where(or_(_holds.until.is_(None), _holds.until <= now))
            .where(or_(_pages.always, ~quiet, _channels.quiet_from.is_(None), IS_OPEN_THERE))
            .subquery()
        )
        query = select(ready).where(ready.c.place == 1, ready.c.id.not_in(exclude)).order_by(ready.c.id).limit(LANES)
        async with self._database.read() as tx:
            return [_page(row) for row in await tx.execute(query)]

    async def next_page_due_at(self) -> datetime | None:
        """Return when the next page is due; see PageStore."""
        due_at = case((_holds.until > _pages.next_at, _holds.until), else_=_pages.next_at)
        query = select(func.min(due_at, type_=UtcDateTime())).select_from(
            tables.pages.outerjoin(tables.sink_holds, _HELD)
        )
        async with self._database.read() as tx:
            found: datetime | None = await tx.scalar(query.where(PAGE_WAITS))
        return found

    async def lease_page(self, delivery: PageDelivery, at: datetime) -> PageDelivery | None:
        """Lease a page before the call to its sink; see PageStore. The lease is its `next_at`.

        From then on the sink may have it: a crash leaves no outcome.
        """
        as_read = (
            _pages.id == delivery.id,
            _pages.version == delivery.version,
            _pages.sent_version == delivery.sent_version,
            _pages.attempts == delivery.attempts,
            _pages.next_at <= at,
            PAGE_WAITS,
        )
        attempt = {"next_at": at + LEASE, "maybe_sent": True, "config": delivery.config}
        lease = update(tables.pages).where(*as_read).values(attempt)
        async with self._database.write() as tx:
            if (await tx.execute(lease)).rowcount != 1:
                return None
        return replace(delivery, leased_until=at + LEASE)

    async def page_sent(self, delivery: PageDelivery, reference: str, at: datetime, *, note: str = "") -> None:
        """Record that the sink shows this version; a newer one is due at once."""
        accepted = {"sent_stage": delivery.stage.value, "reference": reference}
        async with self._database.write() as tx:
            await _update_leased(
                tx,
                delivery,
                sent_version=delivery.version,
                config=delivery.config,
                maybe_sent=delivery.maybe_sent and bool(note),
                attempts=0,
                next_at=at,
                problem=note or None,
                **({} if note else accepted),
            )
            gone = tables.sink_holds.delete().where(_holds.team == delivery.channel.team, _holds.sink == delivery.sink)
            if not note:
                await tx.execute(gone)

    async def page_failed(self, delivery: PageDelivery, problem: str, retry_at: datetime, *, maybe_sent: bool) -> None:
        """Record a failure; see PageStore."""
        async with self._database.write() as tx:
            failure = {"attempts": _pages.attempts + 1, "next_at": retry_at, "problem": problem}
            is_known = maybe_sent or delivery.sent_version > 0  # until then, another configuration may open it
            config = delivery.config if is_known else ""
            await _update_leased(tx, delivery, maybe_sent=maybe_sent, config=config, **failure)

    async def page_dead(
        self, delivery: PageDelivery, problem: str, at: datetime, notice: Notice | None, *, maybe_sent: bool
    ) -> None:
        """Dead-letter a page and tell its channel; see PageStore. A newer version is retried like any other."""
        unchanged = _pages.version == delivery.version
        async with self._database.write() as tx:
            dead_at = case((unchanged, literal(at, UtcDateTime)))
            end = {"dead_at": dead_at, "attempts": 0, "next_at": at, "problem": problem, "maybe_sent": maybe_sent}
            if await _update_leased(tx, delivery, **end) and notice is not None:
                await add_notice(tx, notice, at)

    async def hold_sink(self, team: str, sink: str, until: datetime, problem: str) -> None:
        """Hold every page of a sink; see PageStore."""
        row = {"team": team, "sink": sink, "until": until, "problem": problem}
        async with self._database.write() as tx:
            new = insert(tx, tables.sink_holds).values(row)
            await tx.execute(
                new.on_conflict_do_update(index_elements=["team", "sink"], set_={"until": until, "problem": problem})
            )

    async def page_backlogs(self, now: datetime) -> dict[str, Backlog]:
        """Return the undelivered pages of each sink, and what holds a sink, by its name."""
        waits, dead = func.count().filter(PAGE_WAITS), func.count().filter(_pages.dead_at.is_not(None))
        oldest = func.min(_pages.since, type_=UtcDateTime()).filter(PAGE_WAITS)
        query = select(_pages.sink, waits.label("waiting"), dead.label("dead"), oldest.label("oldest"))
        async with self._database.read() as tx:
            rows = (await tx.execute(query.group_by(_pages.sink).order_by(_pages.sink))).all()
        return {
            row.sink: Backlog(
                waiting=row.waiting, dead_lettered=row.dead, oldest_age=None if row.oldest is None else now - row.oldest
            )
            for row in rows
        }


async def _update_leased(tx: AsyncConnection, delivery: PageDelivery, **values: object) -> bool:
    """Update a page, unless another process holds its lease now; return whether it was updated."""
    held = () if delivery.leased_until is None else (_pages.next_at == delivery.leased_until,)
    updated = await tx.execute(update(tables.pages).where(_pages.id == delivery.id, *held).values(values))
    return bool(updated.rowcount)


def _page(row: Row[Any]) -> PageDelivery:
    return PageDelivery(
        id=row.id,
        channel=Channel(team=row.team, id=row.channel),
        alert=read_alert(row.alert, row.alert_id, row.permalink),
        sink=row.sink,
        config=row.config,
        severity=Severity(row.severity),
        version=row.version,
        sent_version=row.sent_version,
        sent_stage=None if row.sent_stage is None else Stage(row.sent_stage),
        maybe_sent=row.maybe_sent,
        since=row.since,
        attempts=row.attempts,
    )
