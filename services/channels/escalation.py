"""Calls: reminders and escalations of alerts that nobody sees to."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from services.alerting.alert import Alert, Entry, EntryKind
from services.alerting.channel_settings import ChannelSettings, escalation_due, reminder_due, unseen_since
from services.alerting.notice import Escalation, Notice
from services.alerting.ports import StoredChannel, StoredNotice
from services.alerting.records import AlertChange, StoredAlert
from services.channels.ports import MaintenanceStore
from services.core.errors import ConflictError, NotFoundError
from services.core.identity import Channel, Mention
from services.rules.rule import print_duration

MINUTE = timedelta(minutes=1)
log = logging.getLogger(__name__)


async def remind_and_escalate(store: MaintenanceStore, channels: Mapping[Channel, StoredChannel], now: datetime) -> int:
    """Remind and escalate whatever is due; give how many calls were made. A silent channel calls nobody.

    What changed in between, by a person's hand or a new price, is looked at again in the next round.
    """
    wanting = {where: one for where, one in channels.items() if _calls(one.settings) and not one.is_silent(now)}
    if not wanting:
        return 0
    made, unposted = 0, await store.unposted()
    for stored in await store.open_alerts():
        channel = wanting.get(stored.alert.channel)
        if channel is not None:
            made += await _call(store, stored, channel, now, waits=stored.alert.id in unposted)
    return made


async def _call(
    store: MaintenanceStore, stored: StoredAlert, channel: StoredChannel, now: datetime, *, waits: bool
) -> int:
    """Make the calls that are due for one alert, both in one transaction.

    While a message of it still `waits` to be posted nobody is reminded: calls must not pile up.

    The other channel is told first: it is told once whatever happens then, while a call noted before it could be lost.
    """
    alert, entries, settings = stored.alert, list[Entry](), channel.settings
    since = unseen_since(alert, channel.released_at)
    if escalation_due(alert, settings, channel.released_at, now):
        if isinstance(settings.escalate_to, Channel):
            await store.add_notices([_escalation(alert, settings.escalate_to, since, now)], now)
        entries.append(_escalated(settings, now - since, now))
        alert = replace(alert, escalated_at=now)
    if not waits and reminder_due(alert, settings, channel.released_at, now):
        entries.append(_entry(EntryKind.REMINDED, now - since, now, calls=settings.mention))
        alert = replace(alert, reminded_at=now)
    if entries:
        try:
            await store.record([], [AlertChange(alert=alert, revision=stored.revision, entries=tuple(entries))], now)
        except ConflictError as error:
            log.info("alert %d is called for again in the next round: %s", alert.id, error)
            return 0
    return len(entries)


async def update_escalations(store: MaintenanceStore, now: datetime) -> int:
    """Let what other channels were told follow their alerts; give how many notices have changed."""
    changed = 0
    for stored in await store.open_notices(Escalation):
        content = stored.notice.content
        assert isinstance(content, Escalation), "only these were asked for"  # noqa: S101
        try:
            alert = (await store.alert(content.alert.channel, content.alert.id)).alert
        except NotFoundError:
            continue
        if (alert.closed_at, alert.acknowledged) != (content.alert.closed_at, content.alert.acknowledged):
            changed += await _follow(store, stored, replace(content, alert=alert), now)
    return changed


async def _follow(store: MaintenanceStore, stored: StoredNotice, content: Escalation, now: datetime) -> int:
    notice = replace(stored.notice, content=content, closed_at=content.alert.closed_at)
    try:
        await store.amend_notice(replace(stored, notice=notice), now)
    except ConflictError:
        return 0  # another process has
    return 1


def _calls(settings: ChannelSettings) -> bool:
    return settings.remind_every is not None or settings.escalate_after is not None


def _escalated(settings: ChannelSettings, waited: timedelta, now: datetime) -> Entry:
    match settings.escalate_to:
        case Mention() as mention:
            return _entry(EntryKind.ESCALATED, waited, now, calls=mention)
        case to:
            return _entry(EntryKind.ESCALATED, waited, now, to=to)


def _entry(
    kind: EntryKind, waited: timedelta, now: datetime, *, calls: Mention | None = None, to: Channel | None = None
) -> Entry:
    minutes = waited - waited % MINUTE
    return Entry(
        kind=kind, at=now, reason=f"nobody has acknowledged it for {print_duration(minutes)}", calls=calls, to=to
    )


def _escalation(alert: Alert, to: Channel, since: datetime, now: datetime) -> Notice:
    name = f"escalation:{alert.channel.id}:{alert.id}:{since.isoformat()}"
    return Notice(id=0, channel=to, name=name, content=Escalation(alert=alert, after=now - since), opened_at=now)
