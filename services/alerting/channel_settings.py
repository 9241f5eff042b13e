"""What a channel has set: whom it calls and when, how much its threads tell, and when it wants silence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import Enum
from typing import assert_never

from services.alerting.alert import Alert, EntryKind
from services.alerting.brief import Occasion
from services.core.identity import (
    Channel,
    Mention,
)

NEW_YORK = "America/New_York"
ACTS = frozenset({EntryKind.ACKNOWLEDGED, EntryKind.UNACKNOWLEDGED, EntryKind.SNOOZED, EntryKind.CHANGED})
CALLS = frozenset({EntryKind.REMINDED, EntryKind.ESCALATED})
ENDS = frozenset({EntryKind.RESOLVED, EntryKind.RETRACTED})
WORSENING = frozenset({EntryKind.WORSENED, EntryKind.JOINED})


class Thread(Enum):
    """How much of an alert's timeline its thread tells: everything, what prices did, or how it ended."""

    ALL = "all"
    STEPS = "steps"
    ENDS = "ends"


class While(Enum):
    """In which state of the market a channel is muted."""

    SHUT = "shut"
    OPEN = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """Silent each day from `begin` to `end`, by the clock of the channel's zone; an earlier end is of the next day."""

    begin: time
    end: time


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedBrief:
    """A brief that a channel has asked for, and when."""

    occasion: Occasion
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSettings:
    """The settings of one channel; None and the defaults are how a channel behaves that has set nothing.

    `muted_until` ends a mute that a person began; `daily_since` is when the daily line was asked for. `editors` are the
    people who may change the rules, each of them a person; nobody is named where the channel leaves that open.
    """

    mention: Mention | None = None
    remind_every: timedelta | None = None
    escalate_after: timedelta | None = None
    escalate_to: Mention | Channel | None = None
    quiet: QuietHours | None = None
    muted_until: datetime | None = None
    muted_while: While | None = None
    zone: str = NEW_YORK
    thread: Thread = Thread.ALL
    broadcast: bool = False
    daily_since: datetime | None = None
    editors: tuple[Mention, ...] = ()
    briefs: tuple[AskedBrief, ...] = ()


def after_leaving(settings: ChannelSettings) -> ChannelSettings:
    """Keep of the settings what makes nobody tell or wait for anything: clock, threads, and who may change rules."""
    return ChannelSettings(zone=settings.zone, thread=settings.thread, editors=settings.editors)


def is_told(kind: EntryKind, settings: ChannelSettings) -> bool:
    """Tell whether the thread gains a line of this kind; calls are what a channel has asked for by themselves."""
    match settings.thread:
        case Thread.ALL:
            return True
        case Thread.STEPS:
            return kind not in ACTS
        case Thread.ENDS:
            return kind in ENDS | CALLS
        case _:
            assert_never(settings.thread)


def is_broadcast(kind: EntryKind, settings: ChannelSettings) -> bool:
    """Tell whether a line of the thread is shown in the channel too."""
    return kind is EntryKind.ESCALATED or (settings.broadcast and kind in WORSENING)


def calls_anyone(alert: Alert, now: datetime) -> bool:
    """Tell whether an alert still needs a person: it is open, nobody has seen to it, nobody has put it off."""
    return alert.closed_at is None and alert.acknowledged is None and not alert.is_snoozed(now)


def reminder_due(alert: Alert, settings: ChannelSettings, released_at: datetime | None, now: datetime) -> bool:
    """Tell whether the mention is to be called again; each interval begins at the last call.

    `released_at` is when the channel's last silence ended: what was posted then has been told just now.
    """
    if settings.remind_every is None or not calls_anyone(alert, now):
        return False
    begun = max(unseen_since(alert, released_at), alert.reminded_at or alert.opened_at)
    return now - begun >= settings.remind_every


def escalation_due(alert: Alert, settings: ChannelSettings, released_at: datetime | None, now: datetime) -> bool:
    """Tell whether others are to be called, which is done once while nobody has seen to the alert."""
    if settings.escalate_after is None or alert.escalated_at is not None or not calls_anyone(alert, now):
        return False
    return now - unseen_since(alert, released_at) >= settings.escalate_after


def unseen_since(alert: Alert, released_at: datetime | None) -> datetime:
    """Tell since when people could have seen to the alert and have not: neither snoozed nor in a silent channel."""
    snoozed_until = alert.snoozed.until if alert.snoozed else None
    since = [alert.unseen_since or alert.opened_at, snoozed_until, released_at]
    return max(one for one in since if one is not None)
