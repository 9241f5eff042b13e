"""Channel settings: who alerts mention and when, how much is posted to their threads, and quiet hours."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import Enum
from typing import assert_never

from services.alerting.alert import Alert, EntryKind
from services.alerting.paging import PageRoute
from services.core.identity import (
    Channel,
    Mention,
)


class Occasion(Enum):
    """When a brief is posted; `now` is one that a person asked for."""

    OPEN = "open"
    CLOSE = "close"
    WEEKLY = "weekly"
    NOW = "now"


SCHEDULED = (Occasion.OPEN, Occasion.CLOSE, Occasion.WEEKLY)
NEW_YORK = "America/New_York"
USER_ACTIONS = frozenset(
    {
        EntryKind.ACKNOWLEDGED,
        EntryKind.UNACKNOWLEDGED,
        EntryKind.SNOOZED,
        EntryKind.UNSNOOZED,
        EntryKind.CHANGED,
    }
)
MENTIONING = frozenset({EntryKind.REMINDED, EntryKind.ESCALATED})
ENDINGS = frozenset({EntryKind.RESOLVED, EntryKind.RETRACTED})
WORSENING = frozenset({EntryKind.WORSENED, EntryKind.JOINED})
DRILL_REMINDER, DRILL_ESCALATION = timedelta(minutes=2), timedelta(minutes=3)  # longest waits of a test alert


class ThreadDetail(Enum):
    """How much of an alert's timeline is posted to its thread: everything, what prices did, or how the alert ended."""

    ALL = "all"
    STEPS = "steps"
    ENDS = "ends"


class MuteWhile(Enum):
    """Market state in which a channel is muted."""

    SHUT = "shut"
    OPEN = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """Daily quiet hours from `begin` to `end` in the channel's time zone. An earlier `end` is on the next day."""

    begin: time
    end: time


@dataclass(frozen=True, slots=True, kw_only=True)
class BriefSubscription:
    """A brief that a channel has turned on, and when."""

    occasion: Occasion
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSettings:
    """The settings of one channel. The defaults apply to a channel that has set nothing.

    Attributes:
        muted_until: End of a mute that a person set.
        muted_by: Who set the last mute; None if it is unknown, or off.
        accept_escalations: Whether other channels may be set to escalate to this one.
        daily_since: When the daily monitoring report was turned on.
        editors: People who may change the rules; if empty, everybody may. Never a group.
        pages: The sinks that this channel's alerts page.
    """

    mention: Mention | None = None
    remind_every: timedelta | None = None
    escalate_after: timedelta | None = None
    escalate_to: Mention | Channel | None = None
    quiet: QuietHours | None = None
    muted_until: datetime | None = None
    muted_while: MuteWhile | None = None
    zone: str = NEW_YORK
    thread: ThreadDetail = ThreadDetail.ALL
    broadcast: bool = False
    daily_since: datetime | None = None
    editors: tuple[Mention, ...] = ()
    briefs: tuple[BriefSubscription, ...] = ()
    muted_by: str | None = None
    accept_escalations: bool = False
    pages: tuple[PageRoute, ...] = ()


def after_leaving(settings: ChannelSettings) -> ChannelSettings:
    """Return the settings that survive the app's removal from the channel: time zone, thread detail and editors."""
    return ChannelSettings(zone=settings.zone, thread=settings.thread, editors=settings.editors)


def is_posted_to_thread(kind: EntryKind, settings: ChannelSettings) -> bool:
    """Return whether an entry of this kind is posted to the thread. Reminders and escalations always are."""
    match settings.thread:
        case ThreadDetail.ALL:
            return True
        case ThreadDetail.STEPS:
            return kind not in USER_ACTIONS
        case ThreadDetail.ENDS:
            return kind in ENDINGS | MENTIONING
        case _:
            assert_never(settings.thread)


def is_broadcast(kind: EntryKind, settings: ChannelSettings) -> bool:
    """Return whether a thread reply is also shown in the channel."""
    return kind is EntryKind.ESCALATED or (settings.broadcast and kind in WORSENING)


def needs_acknowledgement(alert: Alert, now: datetime) -> bool:
    """Return whether an alert needs a person: it is open, and neither acknowledged nor snoozed."""
    return alert.closed_at is None and alert.acknowledged is None and not alert.is_snoozed(now)


def reminder_due(alert: Alert, settings: ChannelSettings, released_at: datetime | None, now: datetime) -> bool:
    """Return whether a reminder is due; each interval starts at the last reminder.

    `released_at` is when the channel's last quiet period ended, as alerts from it were posted only then.
    """
    if settings.remind_every is None or not needs_acknowledgement(alert, now):
        return False
    start = max(actionable_since(alert, released_at), alert.reminded_at or alert.opened_at)
    return now - start >= _wait_of(alert, settings.remind_every, DRILL_REMINDER)


def escalation_due(alert: Alert, settings: ChannelSettings, released_at: datetime | None, now: datetime) -> bool:
    """Return whether an escalation is due; each unacknowledged alert escalates once."""
    if settings.escalate_after is None or alert.escalated_at is not None or not needs_acknowledgement(alert, now):
        return False
    return now - actionable_since(alert, released_at) >= _wait_of(alert, settings.escalate_after, DRILL_ESCALATION)


def _wait_of(alert: Alert, wait: timedelta, longest_in_drill: timedelta) -> timedelta:
    """Return the wait of a channel's alert; that of a test alert ends before it resolves."""
    return min(wait, longest_in_drill) if alert.is_drill else wait


def actionable_since(alert: Alert, released_at: datetime | None) -> datetime:
    """Return since when people could have acknowledged the alert: after any snooze and any quiet period."""
    snoozed_until = alert.snoozed.until if alert.snoozed else None
    since = [alert.unacknowledged_since or alert.opened_at, snoozed_until, released_at]
    return max(one for one in since if one is not None)
