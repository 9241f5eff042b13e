"""What is exported for other programs: alerts, deliveries, and what people did, oldest first."""

import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerting.alert import NO_VOTES, Alert, EntryKind, Votes
from services.alerting.ports import RuleAuditKind
from services.core.reason import Reason
from services.storage import tables
from services.storage.codec import read_entry, read_optional_reason, read_reason, read_stored_alert
from services.storage.repository import Repository

SLACK = "slack"
_alerts, _entries, _votes = tables.alerts.c, tables.timeline_entries.c, tables.votes.c
_deliveries, _attempts, _pages = tables.deliveries.c, tables.attempts.c, tables.pages.c
log = logging.getLogger(__name__)


class DeliveryState(Enum):
    """How far a delivery is."""

    DELIVERED = "delivered"
    WAITING = "waiting"
    DEAD_LETTERED = "dead_lettered"


class DeliveryKind(Enum):
    """What a delivery shows."""

    ALERT = "alert"
    REPLY = "reply"
    NOTICE = "notice"
    PAGE = "page"


class PersonAct(Enum):
    """What a person did that is neither a change of a rule nor an entry of an alert's timeline."""

    SETTING_CHANGED = "setting_changed"
    VOTED_USEFUL = "voted_useful"
    VOTED_NOISE = "voted_noise"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedAlert:
    """An alert, its votes, and the sinks that received it: `slack`, and those that were paged."""

    alert: Alert
    votes: Votes
    sinks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedDelivery:
    """A message to Slack, or a page to another sink.

    Attributes:
        since: When it became outdated the last time.
        attempts: How many attempts are on record; of a page, how many failed in a row.
    """

    sink: str
    kind: DeliveryKind
    key: str
    team: str
    channel: str
    alert_id: int | None
    state: DeliveryState
    since: datetime
    first_attempt_at: datetime | None
    last_attempt_at: datetime | None
    attempts: int
    dead_at: datetime | None
    message_id: str | None
    problem: Reason | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedAct:
    """What a person did to a rule, an alert or a channel's settings.

    Attributes:
        before: The old rule.
        after: The new rule, or the setting as it was changed.
        reason: The reason in the alert's timeline.
    """

    at: datetime
    team: str
    channel: str
    by: str
    act: RuleAuditKind | EntryKind | PersonAct
    alert_id: int | None = None
    rule_id: int | None = None
    before: str | None = None
    after: Reason | str | None = None
    reason: Reason | str | None = None


class ExportRepository(Repository):
    """Reads whole tables, each in one snapshot; rows that cannot be read are logged and left out."""

    async def exported_alerts(self, since: datetime) -> list[ExportedAlert]:
        """Load the alerts that opened since then."""
        async with self._database.read() as tx:
            votes, sinks = await _count_votes(tx), await _sinks_of_alerts(tx)
            rows = (await tx.execute(select(tables.alerts).order_by(_alerts.id))).all()
        alerts = [alert for row in rows if (alert := self._read(row)) and alert.opened_at >= since]
        return [
            ExportedAlert(alert=one, votes=votes.get(one.id, NO_VOTES), sinks=tuple(sinks.get(one.id, ())))
            for one in alerts
        ]

    async def exported_deliveries(self, since: datetime) -> list[ExportedDelivery]:
        """Load the messages and pages that became outdated, or were tried, since then."""
        tried = (
            select(
                _attempts.delivery_id,
                func.min(_attempts.at).label("first_at"),
                func.max(_attempts.at).label("last_at"),
                func.count().label("number"),
            )
            .group_by(_attempts.delivery_id)
            .subquery()
        )
        messages = (
            select(tables.deliveries, tried.c.first_at, tried.c.last_at, tried.c.number)
            .outerjoin(tried, tried.c.delivery_id == _deliveries.id)
            .where((_deliveries.since >= since) | (tried.c.last_at >= since))
            .order_by(_deliveries.id)
        )
        pages = select(tables.pages).where(_pages.since >= since).order_by(_pages.id)
        async with self._database.read() as tx:
            found = [_message(row) for row in await tx.execute(messages)]
            found += [_page(row) for row in await tx.execute(pages)]
        return found

    async def exported_acts(self, since: datetime) -> list[ExportedAct]:
        """Load what people did since then, by time."""
        rules = select(tables.rule_audit).where(tables.rule_audit.c.at >= since)
        settings = select(tables.channel_changes).where(tables.channel_changes.c.at >= since)
        votes = select(tables.votes, _alerts.channel).join(tables.alerts).where(_votes.at >= since)
        entries = select(tables.timeline_entries, _alerts.team, _alerts.channel).join(tables.alerts)
        async with self._database.read() as tx:
            acts = [_rule_act(row) for row in await tx.execute(rules)]
            acts += [_setting_act(row) for row in await tx.execute(settings)]
            acts += [_vote_act(row) for row in await tx.execute(votes)]
            acts += [act for act in map(_entry_act, await tx.execute(entries)) if act is not None and act.at >= since]
        return sorted(acts, key=lambda act: act.at)

    def _read(self, row: Row[Any]) -> Alert | None:
        try:
            return read_stored_alert(row).alert
        except ValueError:
            self._log_once(log, "alert %d cannot be read and is not exported", [row.id])
            return None


async def _count_votes(tx: AsyncConnection) -> dict[int, Votes]:
    query = select(_votes.alert_id, _votes.noise, func.count().label("number")).group_by(_votes.alert_id, _votes.noise)
    counts = defaultdict[int, dict[bool, int]](dict)
    for row in await tx.execute(query):
        counts[row.alert_id][bool(row.noise)] = row.number
    return {alert: Votes(useful=of.get(False, 0), noise=of.get(True, 0)) for alert, of in counts.items()}


async def _sinks_of_alerts(tx: AsyncConnection) -> dict[int, list[str]]:
    posted = select(_deliveries.alert_id).where(_deliveries.entry_id.is_(None), _deliveries.message_id.is_not(None))
    paged = select(_pages.alert_id, _pages.sink).where(_pages.sent_version > 0).order_by(_pages.id)
    sinks = defaultdict[int, list[str]](list)
    for alert_id in await tx.scalars(posted.where(_deliveries.alert_id.is_not(None))):
        sinks[alert_id].append(SLACK)
    for row in await tx.execute(paged):
        sinks[row.alert_id].append(row.sink)
    return sinks


def _message(row: Row[Any]) -> ExportedDelivery:
    kinds: Iterable[tuple[object, DeliveryKind]] = (
        (row.entry_id, DeliveryKind.REPLY),
        (row.alert_id, DeliveryKind.ALERT),
    )
    return ExportedDelivery(
        sink=SLACK,
        kind=next((kind for subject, kind in kinds if subject is not None), DeliveryKind.NOTICE),
        key=row.key,
        team=row.team,
        channel=row.channel,
        alert_id=row.alert_id,
        state=_state(row),
        since=row.since,
        first_attempt_at=row.first_at,
        last_attempt_at=row.last_at,
        attempts=row.number or 0,
        dead_at=row.dead_at,
        message_id=row.message_id,
        problem=read_optional_reason(row.problem),
    )


def _page(row: Row[Any]) -> ExportedDelivery:
    return ExportedDelivery(
        sink=row.sink,
        kind=DeliveryKind.PAGE,
        key=f"{row.alert_id}:{row.sink}",
        team=row.team,
        channel=row.channel,
        alert_id=row.alert_id,
        state=_state(row),
        since=row.since,
        first_attempt_at=None,
        last_attempt_at=None,
        attempts=row.attempts,
        dead_at=row.dead_at,
        message_id=row.reference,
        problem=read_optional_reason(row.problem),
    )


def _state(row: Row[Any]) -> DeliveryState:
    if row.sent_version >= row.version:
        return DeliveryState.DELIVERED
    return DeliveryState.WAITING if row.dead_at is None else DeliveryState.DEAD_LETTERED


def _rule_act(row: Row[Any]) -> ExportedAct:
    return ExportedAct(
        at=row.at,
        team=row.team,
        channel=row.channel,
        by=row.by,
        act=RuleAuditKind(row.kind),
        rule_id=row.rule_id,
        before=row.before,
        after=row.after,
    )


def _setting_act(row: Row[Any]) -> ExportedAct:
    return ExportedAct(
        at=row.at,
        team=row.team,
        channel=row.channel,
        by=row.by,
        act=PersonAct.SETTING_CHANGED,
        after=read_reason(row.what),
    )


def _vote_act(row: Row[Any]) -> ExportedAct:
    act = PersonAct.VOTED_NOISE if row.noise else PersonAct.VOTED_USEFUL
    return ExportedAct(at=row.at, team=row.team, channel=row.channel, by=row.person, act=act, alert_id=row.alert_id)


def _entry_act(row: Row[Any]) -> ExportedAct | None:
    """Return what a person did to an alert; None if MinerPulse did it, or the row cannot be read."""
    try:
        entry = read_entry(row.entry)
    except ValueError:
        return None
    if entry.by is None:
        return None
    return ExportedAct(
        at=entry.at,
        team=row.team,
        channel=row.channel,
        by=entry.by,
        act=entry.kind,
        alert_id=row.alert_id,
        reason=entry.reason,
    )
