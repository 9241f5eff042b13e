"""Silence: whether a channel wants no new message at an instant, until when and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from zoneinfo import ZoneInfo

from services.alerting.channel_settings import ChannelSettings, QuietHours, While
from services.core.sessions import Sessions

DAY = timedelta(days=1)
MOST_IN_A_ROW = 16  # silences that follow each other without a gap; more of them are told of as they come


class Cause(Enum):
    """What makes a channel silent."""

    MUTE = "muted"
    QUIET = "quiet hours"
    SHUT = "muted while the market is shut"
    OPEN = "muted while the market is open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """A silence that lasts until `until`, with its causes in the order in which they end."""

    until: datetime
    causes: tuple[Cause, ...]

    @property
    def why(self) -> str:
        """Say what makes the channel silent."""
        return ", ".join(dict.fromkeys(cause.value for cause in self.causes))


def silence_at(settings: ChannelSettings, at: datetime, sessions: Sessions) -> Silence | None:
    """Tell whether a channel is silent at `at`; silences that follow each other without a gap are one."""
    causes: list[Cause] = []
    until = at
    for _ in range(MOST_IN_A_ROW):
        ends = _ends(settings, until, sessions)
        if not ends:
            break
        until, cause = max(ends, key=lambda end: end[0])
        causes.append(cause)
    return Silence(until=until, causes=tuple(causes)) if causes else None


def next_silence_at(settings: ChannelSettings, at: datetime, sessions: Sessions) -> datetime | None:
    """Tell when the channel is silent next, which may be `at` itself; None where nothing makes it so."""
    if _ends(settings, at, sessions):
        return at
    market = sessions.state(at)
    begins = [] if settings.quiet is None else [_next_begin(settings.quiet, settings.zone, at)]
    if settings.muted_while is not None:
        begins.append(market.closes_at if settings.muted_while is While.SHUT else market.next_open_at)
    return min(begins, default=None)


def _ends(settings: ChannelSettings, at: datetime, sessions: Sessions) -> list[tuple[datetime, Cause]]:
    """Find what makes the channel silent at `at`, with the end of each."""
    market = sessions.state(at)
    ends = [] if settings.quiet is None else _quiet_ends(settings.quiet, settings.zone, at)
    if settings.muted_until is not None and at < settings.muted_until:
        ends.append((settings.muted_until, Cause.MUTE))
    if settings.muted_while is While.SHUT and not market.is_open:
        ends.append((market.next_open_at, Cause.SHUT))
    if settings.muted_while is While.OPEN and market.is_open:
        ends.append((market.closes_at, Cause.OPEN))
    return ends


def _quiet_ends(quiet: QuietHours, zone: str, at: datetime) -> list[tuple[datetime, Cause]]:
    today = at.astimezone(ZoneInfo(zone)).date()
    nights = [_night(quiet, zone, day) for day in (today - DAY, today)]
    return [(end, Cause.QUIET) for begin, end in nights if begin <= at < end]


def _next_begin(quiet: QuietHours, zone: str, at: datetime) -> datetime:
    today = at.astimezone(ZoneInfo(zone)).date()
    return next(begin for day in (today, today + DAY) if (begin := _night(quiet, zone, day)[0]) > at)


def _night(quiet: QuietHours, zone: str, day: date) -> tuple[datetime, datetime]:
    """Give the quiet hours that begin on a day, in UTC.

    An hour that the autumn's clock shows twice is quiet both times where it is quiet at all.
    """
    last = day if quiet.begin < quiet.end else day + DAY
    begin = datetime.combine(day, quiet.begin, ZoneInfo(zone))
    end = datetime.combine(last, quiet.end, ZoneInfo(zone)).replace(fold=1)
    return begin.astimezone(UTC), end.astimezone(UTC)
