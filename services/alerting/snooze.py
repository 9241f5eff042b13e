"""Snooze: parse its duration and compute its end."""

import re
from datetime import datetime, timedelta
from enum import Enum

from services.core.errors import MarketClosedError
from services.core.sessions import MarketState

MIN_SNOOZE, MAX_SNOOZE = timedelta(minutes=1), timedelta(days=30)
_DURATION = re.compile(
    r"(?:(?P<days>\d{1,3})d(?:ays?)?)?"
    r"(?:(?P<hours>\d{1,4})h(?:ours?|rs?)?)?"
    r"(?:(?P<minutes>\d{1,5})m(?:in(?:ute)?s?)?)?",
    re.ASCII,
)


class SnoozeUntil(Enum):
    """The choices that are offered, in this order. DURATIONS has those of fixed length."""

    HALF_HOUR = "30m"
    HOUR = "1h"
    FOUR_HOURS = "4h"
    CLOSE = "close"
    OPEN = "open"


DURATIONS = {
    SnoozeUntil.HALF_HOUR: timedelta(minutes=30),
    SnoozeUntil.HOUR: timedelta(hours=1),
    SnoozeUntil.FOUR_HOURS: timedelta(hours=4),
}


def parse_snooze(text: str) -> SnoozeUntil | timedelta | None:
    """Parse a duration or an end, such as `45m`, `2h30m`, `1d` or `until close`; return None if the text is neither.

    Durations are from one minute to 30 days.
    """
    compact = text.lower().replace(" ", "")
    name = compact.removeprefix("until").removeprefix("the").removeprefix("next")
    if name in {SnoozeUntil.CLOSE.value, SnoozeUntil.OPEN.value}:
        return SnoozeUntil(name)
    match = _DURATION.fullmatch(compact.removeprefix("for"))
    if match is None:
        return None
    duration = timedelta(**{unit: int(number) for unit, number in match.groupdict(default="0").items()})
    return duration if MIN_SNOOZE <= duration <= MAX_SNOOZE else None


def snooze_end(choice: SnoozeUntil | timedelta, market: MarketState, now: datetime) -> datetime:
    """Return when a snooze that starts now ends. Raises MarketClosedError for `close` if the market is closed."""
    if isinstance(choice, timedelta):
        return now + choice
    if choice is SnoozeUntil.OPEN:
        return market.next_open_at
    if choice is not SnoozeUntil.CLOSE:
        return now + DURATIONS[choice]
    if not market.is_open:
        raise MarketClosedError(market.next_open_at)
    return market.closes_at
