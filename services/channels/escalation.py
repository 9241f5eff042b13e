"""Reminders and escalations of unacknowledged alerts."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from services.alerting.alert import Alert, EntryKind, TimelineEntry
from services.alerting.channel_settings import ChannelSettings, actionable_since, escalation_due, reminder_due
from services.alerting.notice import Escalation, EscalationSource, Notice
from services.alerting.ports import AlertChange, StoredAlert, StoredChannel, StoredNotice
from services.channels.ports import ChannelStore
from services.core.errors import ConflictError, NotFoundError
from services.core.identity import Channel, Mention
from services.core.reason import Code, Reason

MINUTE = timedelta(minutes=1)
log = logging.getLogger(__name__)


async def remind_and_escalate(store: ChannelStore, channels: Mapping[Channel, StoredChannel], now: datetime) -> int:
    """Send due reminders and escalations; return their number. Silent channels get none.

    An alert that changes meanwhile is checked again in the next round.
    """
    eligible = {
        channel_id: stored_channel
        for channel_id, stored_channel in channels.items()
        if _notifies(stored_channel.settings) and not stored_channel.is_silent(now)
    }
    if not eligible:
        return 0
    count, unposted = 0, await store.unposted_alerts()
    for stored in await store.open_alerts():
        channel = eligible.get(stored.alert.channel)
        if channel is not None:
            count += await _notify(store, stored, channel, now, has_unposted=stored.alert.id in unposted)
    return count


async def _notify(
    store: ChannelStore, stored: StoredAlert, channel: StoredChannel, now: datetime, *, has_unposted: bool
) -> int:
    """Record the due reminder and escalation of one alert, both in one transaction.

    While the alert `has_unposted` messages, no reminder is due: reminders must not pile up.

    The other channel's notice is stored first. Its name makes it unique, so a repeat does no harm; a timeline entry
    recorded before it could lose it.
    """
    alert, entries, settings = stored.alert, list[TimelineEntry](), channel.settings
    since = actionable_since(alert, channel.released_at)
    if escalation_due(alert, settings, channel.released_at, now):
        if isinstance(settings.escalate_to, Channel):
            await store.add_notices([_escalation_notice(alert, settings.escalate_to, since, now)], now)
        entries.append(_escalated_entry(settings, now - since, now))
        alert = replace(alert, escalated_at=now)
    if not has_unposted and reminder_due(alert, settings, channel.released_at, now):
        entries.append(_entry(EntryKind.REMINDED, now - since, now, mention=settings.mention))
        alert = replace(alert, reminded_at=now)
    if entries:
        try:
            await store.record([], [AlertChange(alert=alert, revision=stored.revision, entries=tuple(entries))], now)
        except ConflictError as error:
            log.info("alert %d changed during escalation; retrying in the next round: %s", alert.id, error)
            return 0
    return len(entries)


async def announce_escalations(store: ChannelStore, channels: Mapping[Channel, StoredChannel], now: datetime) -> int:
    """Post a notice in each channel that is escalated to without having opted in, once per source; return how many.

    Such escalations are from earlier releases. They keep working until the channel turns them off.
    """
    count = 0
    for source in channels.values():
        target = source.settings.escalate_to
        if not isinstance(target, Channel) or (target in channels and channels[target].settings.accept_escalations):
            continue
        name = f"escalations-from:{source.channel.id}"
        if not await store.has_notice(target, name):
            content = EscalationSource(source=source.channel)
            notice = Notice(id=0, channel=target, name=name, content=content, opened_at=now, closed_at=now)
            count += await store.add_notices([notice], now)
    return count


async def update_escalations(store: ChannelStore, now: datetime) -> int:
    """Update the escalation notices in other channels from their alerts; return the number of changed notices."""
    changed = 0
    for stored in await store.open_notices(Escalation):
        content = stored.notice.content
        assert isinstance(content, Escalation), "open_notices filters by content type"  # noqa: S101
        try:
            alert = (await store.alert(content.alert.channel, content.alert.id)).alert
        except NotFoundError:
            continue
        if (alert.closed_at, alert.acknowledged) != (content.alert.closed_at, content.alert.acknowledged):
            changed += await _update_notice(store, stored, replace(content, alert=alert), now)
    return changed


async def _update_notice(store: ChannelStore, stored: StoredNotice, content: Escalation, now: datetime) -> int:
    notice = replace(stored.notice, content=content, closed_at=content.alert.closed_at)
    try:
        await store.update_notice(replace(stored, notice=notice), now)
    except ConflictError:
        return 0  # another process has updated it
    return 1


def _notifies(settings: ChannelSettings) -> bool:
    return settings.remind_every is not None or settings.escalate_after is not None


def _escalated_entry(settings: ChannelSettings, waited: timedelta, now: datetime) -> TimelineEntry:
    match settings.escalate_to:
        case Mention() as mention:
            return _entry(EntryKind.ESCALATED, waited, now, mention=mention)
        case channel:
            return _entry(EntryKind.ESCALATED, waited, now, to=channel)


def _entry(
    kind: EntryKind, waited: timedelta, now: datetime, *, mention: Mention | None = None, to: Channel | None = None
) -> TimelineEntry:
    whole_minutes = waited - waited % MINUTE
    reason = Reason.of(Code.UNACKNOWLEDGED, waited_s=int(whole_minutes.total_seconds()))
    return TimelineEntry(kind=kind, at=now, reason=reason, mention=mention, to=to)


def _escalation_notice(alert: Alert, to: Channel, since: datetime, now: datetime) -> Notice:
    name = f"escalation:{alert.channel.id}:{alert.id}:{since.isoformat()}"
    return Notice(id=0, channel=to, name=name, content=Escalation(alert=alert, after=now - since), opened_at=now)
