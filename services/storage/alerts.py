"""Alerts with their timelines, votes and audit log."""

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerting.alert import NO_VOTES, Alert, TimelineEntry, Votes
from services.alerting.channel_settings import ChannelSettings, is_posted_to_thread
from services.alerting.ports import AlertAudit, AlertChange, Attempt, Posting, StoredAlert
from services.core.concurrency import in_turns
from services.core.errors import (
    AlertNotFoundError,
    ConflictError,
    DatabaseUnavailableError,
    NotFoundError,
)
from services.core.identity import Channel
from services.core.prices import Pair
from services.delivery.priority import Priority, new_alert_priority, reply_priority, update_priority
from services.storage import tables
from services.storage.codec import (
    read_entry,
    read_optional_reason,
    read_pair,
    read_settings,
    read_stored_alert,
    write_alert,
    write_entry,
)
from services.storage.outbox import Message, bump_alert_versions, enqueue, superseded_alerts
from services.storage.outbox_queries import NO_DRILL, same_channel
from services.storage.page_rows import add_pages, bump_pages, page_statuses
from services.storage.repository import (
    BULK_SIZE,
    Repository,
    batched,
    channel_columns,
    in_channel,
    insert_rows,
    upsert,
    values_table,
)

log = logging.getLogger(__name__)

_alerts, _entries, _votes = tables.alerts.c, tables.timeline_entries.c, tables.votes.c
_deliveries, _attempts = tables.deliveries.c, tables.attempts.c
_DELIVERY_QUERY = select(
    tables.deliveries,
    tables.notices.c.opened_at.label("digest_at"),
    tables.channels.c.quiet_from,
    tables.channel_backoff.c.problem.label("stuck"),
).select_from(
    tables.deliveries.outerjoin(tables.notices, tables.notices.c.id == _deliveries.superseded_by)
    .outerjoin(tables.channels, same_channel(tables.channels))
    .outerjoin(tables.channel_backoff, same_channel(tables.channel_backoff))
)


class AlertRepository(Repository):
    """The alert methods of MonitorStore and ChannelStore.

    Lists leave out alerts that cannot be read, so that one damaged row does not block the others.
    """

    async def open_alerts(self, channel: Channel | None = None, *, pair: Pair | None = None) -> list[StoredAlert]:
        """Load the open alerts, of one channel or of all, on one pair or on all, oldest first."""
        here = in_channel(tables.alerts, channel) if channel else ()
        on_pair = (_alerts.pair == str(pair),) if pair else ()
        query = select(tables.alerts).where(tables.OPEN, *here, *on_pair).order_by(_alerts.id)
        async with self._database.read() as tx:
            return await self._readable(await tx.execute(query))

    async def closed_alerts(self, pair: Pair, since: datetime) -> list[StoredAlert]:
        """Load the alerts on a pair that were closed since then, oldest first, without test alerts."""
        ended = (_alerts.pair == str(pair), _alerts.closed_at >= since, NO_DRILL)
        query = select(tables.alerts).where(*ended).order_by(_alerts.id)
        async with self._database.read() as tx:
            return await self._readable(await tx.execute(query))

    async def alerted_pairs(self) -> list[Pair]:
        """Return the pairs that have open alerts, except test alerts."""
        query = select(_alerts.pair).where(tables.OPEN, NO_DRILL).distinct()
        async with self._database.read() as tx:
            return [read_pair(text) for text in await tx.scalars(query)]

    async def alert(self, channel: Channel, alert_id: int) -> StoredAlert:
        """Load one alert of this channel, open or closed. Raises NotFoundError."""
        query = select(tables.alerts).where(_alerts.id == alert_id, *in_channel(tables.alerts, channel))
        async with self._database.read() as tx:
            row = (await tx.execute(query)).one_or_none()
        if row is None:
            raise AlertNotFoundError(f"No alert {alert_id} in this channel.")
        return read_stored_alert(row)

    async def history(self, channel: Channel, limit: int) -> list[Alert]:
        """Load a channel's last alerts, newest first, without test alerts."""
        here = (*in_channel(tables.alerts, channel), NO_DRILL)
        query = select(tables.alerts).where(*here).order_by(_alerts.id.desc()).limit(limit)
        async with self._database.read() as tx:
            return [stored.alert for stored in await self._readable(await tx.execute(query))]

    async def alert_audit(self, channel: Channel | None, alert_id: int | None) -> AlertAudit:
        """Load the complete audit log of an alert; see ChannelStore."""
        here = in_channel(tables.alerts, channel) if channel else ()
        which = () if alert_id is None else (_alerts.id == alert_id,)
        newest = select(tables.alerts).where(*here, *which).order_by(_alerts.id.desc()).limit(1)
        async with self._database.read() as tx:
            row = (await tx.execute(newest)).one_or_none()
            if row is None:
                raise (NotFoundError if alert_id is None else AlertNotFoundError)(_missing(channel, alert_id))
            of_alert = _entries.alert_id == row.id
            entry_rows = (await tx.execute(select(tables.timeline_entries).where(of_alert).order_by(_entries.id))).all()
            own = _deliveries.alert_id == row.id
            deliveries = (await tx.execute(_DELIVERY_QUERY.where(own).order_by(_deliveries.id))).all()
            of_deliveries = _attempts.delivery_id.in_(select(_deliveries.id).where(own))
            votes = await _count_votes(tx, Channel(team=row.team, id=row.channel), row.id)
            attempts = (await tx.execute(select(tables.attempts).where(of_deliveries).order_by(_attempts.id))).all()
            pages = await page_statuses(tx, row.id)
        try:
            entries = {entry.id: read_entry(entry.entry) for entry in entry_rows}
            alert = read_stored_alert(row).alert
        except ValueError as error:
            raise DatabaseUnavailableError(f"Alert {row.id} cannot be read; restore its rows from a backup.") from error
        root_dead_at = next(
            (delivery.dead_at for delivery in deliveries if delivery.entry_id is None and delivery.message_id is None),
            None,
        )
        postings = tuple(_posting(delivery, entries, attempts, root_dead_at) for delivery in deliveries)
        return AlertAudit(
            alert=alert,
            entries=tuple(entries.values()),
            postings=postings,
            votes=votes.get(row.id, NO_VOTES),
            pages=pages,
        )

    async def vote(self, channel: Channel, alert_id: int, by: str, at: datetime, *, noise: bool) -> Votes:
        """Save a person's vote on an alert, which replaces their previous one; see ChannelStore."""
        here = select(_alerts.id).where(_alerts.id == alert_id, *in_channel(tables.alerts, channel))
        row = {"alert_id": alert_id, "person": by, "team": channel.team, "noise": noise, "at": at}
        async with self._database.write() as tx:
            if await tx.scalar(here) is None:
                raise AlertNotFoundError(f"No alert {alert_id} in this channel.")
            await upsert(tx, tables.votes, [row])
            return (await _count_votes(tx, channel, alert_id))[alert_id]

    async def votes(self, channel: Channel) -> dict[int, Votes]:
        """Count the votes on each alert of a channel that has any."""
        async with self._database.read() as tx:
            return await _count_votes(tx, channel)

    async def _readable(self, rows: Iterable[Row[Any]]) -> list[StoredAlert]:
        """Return the alerts that can be read; log each of the others once."""
        read = {row.id: _read_or_none(row) async for row in in_turns(rows)}
        unreadable = [alert_id for alert_id, stored in read.items() if stored is None]
        self._log_once(log, "alert %d cannot be read and is skipped; restore its row from a backup", unreadable)
        return [stored for stored in read.values() if stored is not None]


async def record_alerts(tx: AsyncConnection, changes: Sequence[AlertChange], at: datetime) -> None:
    """Save alerts with their new timeline entries, and enqueue their messages. Raises ConflictError.

    Known alerts come first, as a closed alert makes room for a new one. Each table takes one statement.
    """
    known = [change for change in changes if change.alert.id]
    new = [change for change in changes if not change.alert.id]
    ordered, ids = [*known, *new], [change.alert.id for change in known]
    settings = await load_settings(tx, {one.alert.channel for one in ordered if one.entries or not one.alert.id})
    superseded = await _update_alerts(tx, known, at)
    if new:
        await _close_unreadable(tx, [change.alert for change in new], at)
        ids += await insert_rows(tx, tables.alerts, [_alert_row(change.alert) for change in new])
    messages = []
    for change, alert_id in zip(ordered[len(known) :], ids[len(known) :], strict=True):
        channel = change.alert.channel
        messages.append(Message(channel, new_alert_priority(settings[channel]), alert_id=alert_id))
        routes = [route for route in settings[channel].pages if route.matches(change.alert)]
        await add_pages(tx, channel, alert_id, routes, at)
    entries = [
        (
            change.alert,
            alert_id,
            entry,
            _is_visible(entry, settings[change.alert.channel], has_thread=alert_id not in superseded),
        )
        for change, alert_id in zip(ordered, ids, strict=True)
        for entry in change.entries
    ]
    rows = [
        {"alert_id": alert_id, "entry": write_entry(replace(entry, silent=not is_visible))}
        for _, alert_id, entry, is_visible in entries
    ]
    entry_ids = await insert_rows(tx, tables.timeline_entries, rows)
    for (alert, alert_id, entry, is_visible), entry_id in zip(entries, entry_ids, strict=True):
        if is_visible:
            priority = reply_priority(alert, entry.kind)
            messages.append(Message(alert.channel, priority, alert_id=alert_id, entry_id=entry_id))
    await enqueue(tx, messages, at)


def _is_visible(entry: TimelineEntry, settings: ChannelSettings, *, has_thread: bool) -> bool:
    return has_thread and not entry.silent and is_posted_to_thread(entry.kind, settings)


async def _close_unreadable(tx: AsyncConnection, alerts: Sequence[Alert], at: datetime) -> None:
    """Close unreadable alerts that block new ones; no rule or person can close them."""
    subjects = tuple_(_alerts.team, _alerts.channel, _alerts.pair, _alerts.subject, _alerts.side)
    for batch in batched(alerts, BULK_SIZE):
        wanted = [(one.channel.team, one.channel.id, str(one.pair), one.subject, one.side.value) for one in batch]
        found = await tx.execute(select(tables.alerts).where(tables.OPEN, subjects.in_(wanted)))
        unreadable = [row.id for row in found if _read_or_none(row) is None]
        if unreadable:
            await tx.execute(update(tables.alerts).where(_alerts.id.in_(unreadable)).values(closed_at=at))


def _alert_row(alert: Alert) -> dict[str, Any]:
    return {
        **channel_columns(alert.channel),
        "pair": str(alert.pair),
        "subject": alert.subject,
        "side": alert.side.value,
        "closed_at": alert.closed_at,
        "revision": 1,
        "alert": write_alert(alert),
    }


async def _update_alerts(tx: AsyncConnection, changes: Sequence[AlertChange], at: datetime) -> set[int]:
    """Save known alerts, and raise the versions of their messages and pages; return those that a digest replaced."""
    superseded: set[int] = set()
    for batch in batched(changes, BULK_SIZE):
        alerts = [change.alert for change in batch]
        rows = [{**_alert_row(one.alert), "id": one.alert.id, "revision": one.revision} for one in batch]
        new = values_table(tx.dialect, tables.alerts, rows)
        as_read = [_alerts[name] == new.c[name] for name in ("id", "revision", "team", "channel")]
        values = {name: new.c[name] for name in ("alert", "pair", "closed_at")}
        statement = update(tables.alerts).where(*as_read).values(**values, revision=new.c.revision + 1)
        updated = set(await tx.scalars(statement.returning(_alerts.id)))
        if len(updated) < len(alerts):
            changed = next(iter({alert.id for alert in alerts} - updated), alerts[0].id)
            raise ConflictError(f"Alert {changed} changed after it was read; read it again.")
        for priority in (Priority.UPDATE, Priority.ACKNOWLEDGED):
            same = [alert.id for alert in alerts if update_priority(alert) is priority]
            await bump_alert_versions(tx, same, at, priority)
        await bump_pages(tx, alerts, at)
        superseded |= await superseded_alerts(tx, [alert.id for alert in alerts])
    return superseded


def _read_or_none(row: Row[Any]) -> StoredAlert | None:
    """Return the alert of a row; None if the row is damaged."""
    try:
        return read_stored_alert(row)
    except ValueError:
        return None


async def load_settings(tx: AsyncConnection, channels: Collection[Channel]) -> dict[Channel, ChannelSettings]:
    """Load the settings of channels; the defaults of those that have none."""
    table, settings = tables.channels.c, dict.fromkeys(channels, ChannelSettings())
    for batch in batched(sorted((one.team, one.id) for one in channels), BULK_SIZE):
        query = select(table.team, table.channel, table.settings).where(tuple_(table.team, table.channel).in_(batch))
        for row in await tx.execute(query):
            settings[Channel(team=row.team, id=row.channel)] = read_settings(row.settings)
    return settings


def _posting(
    delivery: Row[Any], entries: dict[int, TimelineEntry], attempts: Iterable[Row[Any]], root_dead_at: datetime | None
) -> Posting:
    """Build the record of a message; a thread reply fails with the alert's own message, at `root_dead_at`."""
    made = [
        Attempt(at=one.at, version=one.version, outcome=one.outcome, problem=read_optional_reason(one.problem))
        for one in attempts
        if one.delivery_id == delivery.id
    ]
    return Posting(
        key=delivery.key,
        entry=entries.get(delivery.entry_id),
        message_id=delivery.message_id,
        delivered=delivery.sent_version == delivery.version,
        given_up_at=delivery.dead_at or (root_dead_at if delivery.sent_version < delivery.version else None),
        next_at=delivery.next_at,
        attempts=tuple(made),
        digest_at=delivery.digest_at,
        silent_from=delivery.quiet_from,
        blocked_by=read_optional_reason(delivery.stuck),
    )


def _missing(channel: Channel | None, alert_id: int | None) -> str:
    where = "in this channel" if channel else "in this database"
    return f"No alert {where} so far." if alert_id is None else f"No alert {alert_id} {where}."


async def _count_votes(tx: AsyncConnection, channel: Channel, alert_id: int | None = None) -> dict[int, Votes]:
    """Count the votes on the alerts of a channel, or on one of them."""
    one = () if alert_id is None else (_votes.alert_id == alert_id,)
    query = (
        select(_votes.alert_id, _votes.noise, func.count().label("number"))
        .join(tables.alerts, _alerts.id == _votes.alert_id)
        .where(*in_channel(tables.alerts, channel), *one)
        .group_by(_votes.alert_id, _votes.noise)
    )
    counts = {(row.alert_id, row.noise): row.number for row in await tx.execute(query)}
    return {
        voted_id: Votes(useful=counts.get((voted_id, False), 0), noise=counts.get((voted_id, True), 0))
        for voted_id, _ in counts
    }
