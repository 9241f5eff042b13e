"""Queries of the outbox: messages that are due, the backlog, and problems that a person must fix."""

import logging
import secrets
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    FromClause,
    Integer,
    Row,
    Select,
    String,
    Table,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    or_,
    select,
    update,
)

from services.alerting.alert import DRILL
from services.alerting.channel_settings import ChannelSettings, is_broadcast, needs_acknowledgement
from services.alerting.notice import ChannelChange, MessageCounts
from services.core.identity import Channel
from services.core.reason import Code, Reason
from services.delivery.ports import (
    AlertMessage,
    Backlog,
    Delivery,
    DeliveryProblem,
    DueKey,
    NoticeMessage,
    OutboxMessage,
    ThreadMessage,
)
from services.storage import tables
from services.storage.codec import (
    notice_kind,
    read_alert,
    read_entry,
    read_notice,
    read_reason,
    read_settings,
    write_reason,
)
from services.storage.repository import Repository, in_channel
from services.storage.tables import UtcDateTime

WHOLE_WORKSPACE = ""  # in place of a channel in `channel_backoff`
SETTLED = ("sent", "gone")  # outcomes that show whether the message is posted
UNREADABLE = write_reason(Reason.of(Code.MESSAGE_UNREADABLE))
log = logging.getLogger(__name__)

_columns = tables.deliveries.c
_attempts = tables.attempts.c
_backoff = tables.channel_backoff.c
_channels = tables.channels.c
_root = tables.deliveries.alias("root")  # the message of the alert that an entry belongs to
_team_backoff = tables.channel_backoff.alias("team_backoff")  # of the whole workspace
_earlier = tables.deliveries.alias("earlier")  # an earlier undelivered entry of the same alert
OUTSTANDING = _columns.sent_version < _columns.version
NO_DRILL = tables.alerts.c.subject != DRILL


def with_root(deliveries: FromClause) -> FromClause:
    """Join each thread reply with the alert's own message, which it waits for."""
    of_alert = and_(_root.c.alert_id == _columns.alert_id, _root.c.entry_id.is_(None), _columns.entry_id.is_not(None))
    return deliveries.outerjoin(_root, of_alert)


def same_channel(table: Table) -> ColumnElement[bool]:
    """Return the join condition of a message with its channel's row in this table."""
    return and_(table.c.team == _columns.team, table.c.channel == _columns.channel)


def _waiting(query: Select[Any], joined: FromClause) -> Select[Any]:
    """Select from `joined` the messages that wait; a reply waits for its alert's message and for earlier replies."""
    return (
        query.select_from(
            joined.outerjoin(tables.channel_backoff, same_channel(tables.channel_backoff))
            .outerjoin(
                _team_backoff, and_(_team_backoff.c.team == _columns.team, _team_backoff.c.channel == WHOLE_WORKSPACE)
            )
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


WAITING = _waiting(select(_columns.id), with_root(tables.deliveries))
BODIES = _waiting(
    select(
        tables.deliveries,
        tables.alerts.c.alert,
        tables.alerts.c.permalink,
        tables.timeline_entries.c.entry,
        *(tables.notices.c[name] for name in ("name", "kind", "content", "opened_at", "closed_at")),
        _root.c.message_id.label("thread_id"),
        _channels.settings,
    ),
    with_root(tables.deliveries)
    .outerjoin(tables.alerts, tables.alerts.c.id == _columns.alert_id)
    .outerjoin(tables.timeline_entries, tables.timeline_entries.c.id == _columns.entry_id)
    .outerjoin(tables.notices, tables.notices.c.id == _columns.notice_id),
)
ROOT_IS_DEAD = and_(_columns.entry_id.is_not(None), _root.c.dead_at.is_not(None), _root.c.message_id.is_(None))
NOW: BindParameter[datetime] = bindparam("now", type_=UtcDateTime())
EXCLUDED_TEAMS: BindParameter[Any] = bindparam("exclude_teams", type_=String(), expanding=True)
_CHANNEL_ALLOWED_AT = case((_backoff.until > _columns.next_at, _backoff.until), else_=_columns.next_at)
_ALLOWED_AT = case((_team_backoff.c.until > _CHANNEL_ALLOWED_AT, _team_backoff.c.until), else_=_CHANNEL_ALLOWED_AT)

# A line that says who changed a channel, such as who muted it, is posted in quiet hours too.
IS_CHANGE = (
    select(tables.notices.c.id)
    .where(tables.notices.c.id == _columns.notice_id, tables.notices.c.kind == notice_kind(ChannelChange))
    .correlate(tables.deliveries)
    .exists()
)
# Withheld by quiet hours that started by `now`; posted messages may be edited, as edits notify no one.
WITHHELD = and_(
    _channels.quiet_from.is_not(None), _channels.quiet_from <= NOW, _columns.message_id.is_(None), ~IS_CHANGE
)


def next_due_at(waiting: Select[Any]) -> Select[Any]:
    """Return a query for the earliest time at which one of the waiting messages may be tried, due or not."""
    return waiting.with_only_columns(func.min(_ALLOWED_AT)).where(_columns.team.not_in(EXCLUDED_TEAMS))


def first_of_each_channel(waiting: Select[Any], *order: ColumnElement[Any]) -> Select[Any]:
    """Return a query for the first due message of each channel: one channel's queue must not delay others.

    Messages come by priority, those of one priority in this order, and then by how long they have waited.
    """
    names = ("id", "team", "channel", "priority", "next_at")
    due = waiting.where(_ALLOWED_AT <= NOW).with_only_columns(*(_columns[name] for name in names)).cte("due")
    due = due.prefix_with("MATERIALIZED")  # else SQLite scans all messages in the order of channels
    by_age = (due.c.next_at, due.c.id)
    rank = func.row_number().over(partition_by=(due.c.team, due.c.channel), order_by=(due.c.priority, *by_age))
    ranked = select(due, rank.label("rank")).subquery()
    first = select(ranked.c.id, ranked.c.team, ranked.c.channel).where(ranked.c.rank == 1)
    ordered = first.where(ranked.c.team.not_in(EXCLUDED_TEAMS)).order_by(ranked.c.priority, *order)
    return ordered.order_by(ranked.c.next_at, ranked.c.id).limit(bindparam("limit", type_=Integer()))


def still_due(bodies: Select[Any]) -> Select[Any]:
    """Return a query for those of the messages `ids` that are still due, with their content."""
    return bodies.where(_columns.id.in_(bindparam("ids", expanding=True)), _ALLOWED_AT <= NOW)


# Built once, as building the queries of a poll takes longer than running them. Parameters: `now` and `limit`.
_DUE = WAITING.where(~WITHHELD)
NEXT_DUE_AT = next_due_at(_DUE)
FIRST_OF_EACH_CHANNEL = first_of_each_channel(_DUE)
# Workers that poll at the same time begin with different workspaces, each time others.
_SHUFFLED = func.hashtextextended(literal_column("team"), bindparam("salt", type_=BigInteger()))
FIRST_SHUFFLED = first_of_each_channel(_DUE, _SHUFFLED)
STILL_DUE = still_due(BODIES.where(~WITHHELD))
_DEAD = or_(_columns.dead_at.is_not(None), ROOT_IS_DEAD)
_WAITING = and_(~_DEAD, or_(_channels.quiet_from.is_(None), ~WITHHELD))
_BACKLOG = (
    select(
        func.count().filter(_WAITING),
        func.count().filter(_DEAD),
        func.min(_columns.since).filter(_WAITING),
        func.count().filter(~_DEAD, WITHHELD),
    )
    .select_from(with_root(tables.deliveries).outerjoin(tables.channels, same_channel(tables.channels)))
    .where(OUTSTANDING)
)


class OutboxQueries(Repository):
    """The methods of OutboxStore and ChannelStore that read the outbox."""

    async def due(self, now: datetime, limit: int = 100) -> list[Delivery]:
        """Load the first outdated message of each channel that is due, the most urgent first; see OutboxStore."""
        while keys := await self.due_keys(now, limit):
            if loaded := await self.load_due(keys, now):
                return loaded
        return []

    async def due_keys(self, now: datetime, limit: int, exclude_teams: Collection[str] = ()) -> list[DueKey]:
        """Return which messages are due, without their content; see OutboxStore.

        On PostgreSQL, workers share what is due: each starts with workspaces of its own.
        """
        parameters = {"now": now, "limit": limit, "exclude_teams": [*exclude_teams]}
        async with self._database.read() as tx:
            if tx.dialect.name == "postgresql":
                salt = secrets.randbits(62)
                rows = await tx.execute(FIRST_SHUFFLED, {**parameters, "salt": salt})
            else:
                rows = await tx.execute(FIRST_OF_EACH_CHANNEL, parameters)
            return [DueKey(id=row.id, channel=Channel(team=row.team, id=row.channel)) for row in rows]

    async def load_due(self, keys: Sequence[DueKey], now: datetime) -> list[Delivery]:
        """Load the messages that are still due, in the order of their keys; see OutboxStore."""
        if not keys:
            return []
        ids = [key.id for key in keys]
        async with self._database.read() as tx:
            rows = await tx.execute(STILL_DUE, {"now": now, "ids": ids})
            found = {row.id: _read_delivery(row, now) for row in rows}
        unreadable = [delivery_id for delivery_id, delivery in found.items() if delivery is None]
        if unreadable:
            await self._dead_letter(unreadable, now)
        loaded = (found.get(delivery_id) for delivery_id in ids)
        return [delivery for delivery in loaded if delivery is not None]

    async def next_due_at(self, now: datetime, exclude_teams: Collection[str] = ()) -> datetime | None:
        """Return when the next undelivered message may be tried; None if all wait for the end of quiet hours."""
        parameters = {"now": now, "exclude_teams": [*exclude_teams]}
        async with self._database.read() as tx:
            earliest: datetime | None = (await tx.execute(NEXT_DUE_AT, parameters)).scalar_one()
        return earliest

    async def backlog(self, now: datetime) -> Backlog:
        """Count undelivered messages; those that quiet hours withhold neither wait nor age.

        A thread reply counts as dead if its alert's own message is dead; both are retried if that one is revived.
        """
        async with self._database.read(check_revision=True) as tx:
            waiting, dead, since, withheld = (await tx.execute(_BACKLOG, {"now": now})).one()
        return Backlog(waiting=waiting, dead_lettered=dead, oldest_age=since and now - since, withheld=withheld)

    async def page_backlogs(self, now: datetime) -> dict[str, Backlog]:
        """Count the pages of each sink that were not sent in their newest state."""
        pages = tables.pages.c
        is_dead = pages.dead_at.is_not(None)
        query = (
            select(
                pages.sink,
                func.count(case((~is_dead, 1))).label("waiting"),
                func.count(pages.dead_at).label("dead"),
                func.min(case((~is_dead, pages.since))).label("since"),
            )
            .where(pages.sent_version < pages.version)
            .group_by(pages.sink)
            .order_by(pages.sink)
        )
        async with self._database.read() as tx:
            return {
                row.sink: Backlog(waiting=row.waiting, dead_lettered=row.dead, oldest_age=row.since and now - row.since)
                for row in await tx.execute(query)
            }

    async def first_attempt_at(self, delivery: Delivery) -> datetime:
        """Return the start of the first attempt since the message was last known to be posted, or gone."""
        own = _attempts.delivery_id == delivery.id
        settled = select(func.max(_attempts.id)).where(own, _attempts.outcome.in_(SETTLED)).scalar_subquery()
        query = select(func.min(_attempts.at)).where(own, _attempts.id > func.coalesce(settled, 0))
        async with self._database.read() as tx:
            since: datetime = (await tx.execute(query)).scalar_one()
        return since

    async def delivery_problems(self, team: str | None = None) -> list[DeliveryProblem]:
        """Return the problems that a person must fix, of one workspace or of all.

        Paused channels come first, then dead letters.
        """
        waiting = and_(OUTSTANDING, _columns.dead_at.is_(None))
        paused = (
            select(_backoff.team, _backoff.channel, _backoff.problem, func.count(), func.min(_columns.since))
            .select_from(tables.channel_backoff.join(tables.deliveries, same_channel(tables.channel_backoff)))
            .where(_backoff.problem.is_not(None), waiting)
            .group_by(_backoff.team, _backoff.channel, _backoff.problem)
        )
        dead = (
            select(_columns.team, _columns.channel, _columns.problem, func.count(), func.min(_columns.dead_at))
            .where(OUTSTANDING, _columns.dead_at.is_not(None))
            .group_by(_columns.team, _columns.channel, _columns.problem)
        )
        async with self._database.read() as tx:
            rows = [
                (is_dead, row) for is_dead, query in ((False, paused), (True, dead)) for row in await tx.execute(query)
            ]
        return [
            DeliveryProblem(
                channel=Channel(team=row_team, id=channel),
                problem=read_reason(problem or ""),
                messages=count,
                since=since,
                dead_lettered=is_dead,
            )
            for is_dead, (row_team, channel, problem, count, since) in rows
            if team in {None, row_team}
        ]

    async def unposted_alerts(self) -> frozenset[int]:
        """Return the ids of the alerts that have a message to post; edits do not count."""
        waiting = (OUTSTANDING, _columns.dead_at.is_(None), _columns.message_id.is_(None))
        query = select(_columns.alert_id).where(*waiting, _columns.alert_id.is_not(None))
        async with self._database.read() as tx:
            return frozenset(await tx.scalars(query))

    async def posted(self, channel: Channel, since: datetime) -> MessageCounts:
        """Count a channel's messages, except those of test alerts: delivered since then, waiting, and dead-lettered."""
        of_drill = select(tables.alerts.c.id).where(tables.alerts.c.id == _columns.alert_id, ~NO_DRILL).exists()
        here = (*in_channel(tables.deliveries, channel), ~of_drill)
        sent = (
            select(func.count(_columns.id.distinct()))
            .select_from(tables.deliveries.join(tables.attempts, _attempts.delivery_id == _columns.id))
            .where(*here, _attempts.outcome == "sent", _attempts.at >= since)
        )
        undelivered = select(func.count(), func.count(_columns.dead_at)).where(*here, OUTSTANDING)
        async with self._database.read() as tx:
            delivered: int = (await tx.execute(sent)).scalar_one()
            outstanding, dead = (await tx.execute(undelivered)).one()
        return MessageCounts(delivered=delivered, waiting=outstanding - dead, dead_lettered=dead)

    async def _dead_letter(self, delivery_ids: Collection[int], at: datetime) -> None:
        """Dead-letter messages that cannot be read: otherwise each poll would return them first again."""
        log.error("messages %s cannot be read and are dead-lettered; restore their rows from a backup", [*delivery_ids])
        unreadable = update(tables.deliveries).where(_columns.id.in_(delivery_ids))
        async with self._database.write() as tx:
            await tx.execute(unreadable.values(dead_at=at, problem=UNREADABLE))


def _read_delivery(row: Row[Any], now: datetime) -> Delivery | None:
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
        since=row.since,
    )


def _message(row: Row[Any], now: datetime) -> OutboxMessage:
    if row.content is not None:
        return NoticeMessage(notice=read_notice(row, row.notice_id))
    alert = read_alert(row.alert, row.alert_id, row.permalink)
    settings = ChannelSettings() if row.settings is None else read_settings(row.settings)
    if row.entry is None:
        return AlertMessage(alert=alert, mention=settings.mention if needs_acknowledgement(alert, now) else None)
    entry = read_entry(row.entry)
    return ThreadMessage(alert=alert, entry=entry, broadcast=is_broadcast(entry.kind, settings))
