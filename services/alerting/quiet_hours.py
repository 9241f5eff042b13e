"""Quiet periods: whether a channel is silent at an instant, until when and why."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from zoneinfo import ZoneInfo

from services.alerting.channel_settings import ChannelSettings, MuteWhile, QuietHours
from services.core.reason import Code, Reason
from services.core.sessions import Sessions

DAY = timedelta(days=1)
MAX_CHAINED = 16  # quiet periods without a gap that count as one; later ones start when they come


class SilenceCause(Enum):
    """What makes a channel silent."""

    MUTE = "mute"
    QUIET = "quiet_hours"
    SHUT = "market_closed"
    OPEN = "market_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """A quiet period that lasts until `until`, with its causes in the order in which they end."""

    until: datetime
    causes: tuple[SilenceCause, ...]

    @property
    def reason(self) -> Reason:
        """The distinct causes."""
        return Reason.of(Code.SILENT, causes=[*dict.fromkeys(self.causes)])


def silence_at(settings: ChannelSettings, at: datetime, sessions: Sessions) -> Silence | None:
    """Return the quiet period at `at`, None if there is none; periods without a gap between them are one."""
    causes: list[SilenceCause] = []
    until = at
    for _ in range(MAX_CHAINED):
        causes_now = _active_causes(settings, until, sessions)
        if not causes_now:
            break
        until, cause = max(causes_now, key=lambda end: end[0])
        causes.append(cause)
    return Silence(until=until, causes=tuple(causes)) if causes else None


def next_silence_at(settings: ChannelSettings, at: datetime, sessions: Sessions) -> datetime | None:
    """Return when the channel is silent next, which may be `at` itself; None if no setting causes it."""
    if _active_causes(settings, at, sessions):
        return at
    market = sessions.state_at(at)
    starts = [] if settings.quiet is None else [_next_quiet_start(settings.quiet, settings.zone, at)]
    if settings.muted_while is not None:
        starts.append(market.closes_at if settings.muted_while is MuteWhile.SHUT else market.next_open_at)
    return min(starts, default=None)


def _active_causes(settings: ChannelSettings, at: datetime, sessions: Sessions) -> list[tuple[datetime, SilenceCause]]:
    """Return the causes that apply at `at`, with the end of each."""
    market = sessions.state_at(at)
    ends = [] if settings.quiet is None else _active_quiet_hours(settings.quiet, settings.zone, at)
    if settings.muted_until is not None and at < settings.muted_until:
        ends.append((settings.muted_until, SilenceCause.MUTE))
    if settings.muted_while is MuteWhile.SHUT and not market.is_open:
        ends.append((market.next_open_at, SilenceCause.SHUT))
    if settings.muted_while is MuteWhile.OPEN and market.is_open:
        ends.append((market.closes_at, SilenceCause.OPEN))
    return ends


def _active_quiet_hours(quiet: QuietHours, zone: str, at: datetime) -> list[tuple[datetime, SilenceCause]]:
    today = at.astimezone(ZoneInfo(zone)).date()
    windows = [_quiet_window(quiet, zone, day) for day in (today - DAY, today)]
    return [(end, SilenceCause.QUIET) for begin, end in windows if begin <= at < end]


def _next_quiet_start(quiet: QuietHours, zone: str, at: datetime) -> datetime:
    today = at.astimezone(ZoneInfo(zone)).date()
    return next(begin for day in (today, today + DAY) if (begin := _quiet_window(quiet, zone, day)[0]) > at)


def _quiet_window(quiet: QuietHours, zone: str, day: date) -> tuple[datetime, datetime]:
    """Return the quiet hours that begin on a day, in UTC.

    An hour that occurs twice in autumn is quiet both times.
    """
    last = day if quiet.begin < quiet.end else day + DAY
    begin = datetime.combine(day, quiet.begin, ZoneInfo(zone))
    end = datetime.combine(last, quiet.end, ZoneInfo(zone)).replace(fold=1)
    return begin.astimezone(UTC), end.astimezone(UTC)
