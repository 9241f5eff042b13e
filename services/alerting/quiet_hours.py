"""Quiet periods: whether a channel is silent at an instant, until when and why."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from zoneinfo import ZoneInfo

from services.alerting.channel_settings import ChannelSettings, MuteWhile, QuietHours
from services.core.reason import Code, Reason
from services.core.sessions import Sessions

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Mute:
    """A mute that a person set.

    Attributes:
        until: Its end; None without one.
        state: It applies while the market is in this state; None if it doesn't depend on the market.
        by: Who set it; None if that is unknown, as of a mute from an earlier release.
    """

    until: datetime | None
    state: MuteWhile | None
    by: str | None


def mute_of(settings: ChannelSettings, now: datetime) -> Mute | None:
    """Return the mute of a channel, in force now or later; None without one."""
    until = settings.muted_until if settings.muted_until is not None and now < settings.muted_until else None
    if until is None and settings.muted_while is None:
        return None
    return Mute(until=until, state=settings.muted_while, by=settings.muted_by)


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
    return (
        [(_next_change(quiet, ZoneInfo(zone), at), SilenceCause.QUIET)] if _is_quiet(quiet, ZoneInfo(zone), at) else []
    )


def _next_quiet_start(quiet: QuietHours, zone: str, at: datetime) -> datetime:
    """Return when quiet hours begin next; `at` is not in them."""
    return _next_change(quiet, ZoneInfo(zone), at)


def _is_quiet(quiet: QuietHours, zone: ZoneInfo, at: datetime) -> bool:
    """Return whether the wall clock shows a time in the quiet hours. A time that occurs twice counts both times."""
    shown = at.astimezone(zone).time()
    if quiet.begin < quiet.end:
        return quiet.begin <= shown < quiet.end
    return shown >= quiet.begin or shown < quiet.end


def _next_change(quiet: QuietHours, zone: ZoneInfo, at: datetime) -> datetime:
    """Return when quiet hours begin or end next, in UTC; a day later if they never do.

    That is when the wall clock shows their begin or end, or skips it: then when the clock is changed.
    """
    today = at.astimezone(zone).date()
    days = [today + number * DAY for number in range(-1, 4)]
    shown = [
        datetime.combine(day, boundary, zone).replace(fold=fold).astimezone(UTC)
        for day in days
        for boundary in (quiet.begin, quiet.end)
        for fold in (0, 1)
    ]
    before = _is_quiet(quiet, zone, at)
    candidates = sorted({*shown, *_clock_changes(zone, at, at + 3 * DAY)})
    return next((one for one in candidates if one > at and _is_quiet(quiet, zone, one) != before), at + DAY)


def _clock_changes(zone: ZoneInfo, begin: datetime, end: datetime) -> list[datetime]:
    """Return when the zone's offset from UTC changes, at most once in each day from `begin`."""
    changes, day_begin = list[datetime](), begin.replace(microsecond=0)
    while day_begin < end:
        low, high = day_begin, day_begin + DAY
        if low.astimezone(zone).utcoffset() != high.astimezone(zone).utcoffset():
            while high - low > SECOND:
                middle = low + (high - low) // 2 // SECOND * SECOND
                if middle.astimezone(zone).utcoffset() == low.astimezone(zone).utcoffset():
                    low = middle
                else:
                    high = middle
            changes.append(high)
        day_begin += DAY
    return changes
