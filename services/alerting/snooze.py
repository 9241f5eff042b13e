"""Snooze: parse its duration and compute its end."""

from datetime import datetime, timedelta
from enum import Enum
from itertools import pairwise

from services.core.errors import MarketClosedError
from services.core.rows import complete
from services.core.scan import DIGITS, LOWERCASE, Scanner
from services.core.sessions import MarketState

MIN_SNOOZE, MAX_SNOOZE = timedelta(minutes=1), timedelta(days=30)
_UNITS = {  # the longest first, each with its names and the digits that its number may have
    "days": (("d", "day", "days"), 3),
    "hours": (("h", "hr", "hrs", "hour", "hours"), 4),
    "minutes": (("m", "min", "mins", "minute", "minutes"), 5),
}


_BEFORE_AN_END = frozenset({"for", "until", "till", "til", "'til", "’til", "the", "next", "market"})  # noqa: RUF001 -- a phone's
_SPELLED = {
    "halfanhour": timedelta(minutes=30),
    "anhour": timedelta(hours=1),
    "onehour": timedelta(hours=1),
    "aday": timedelta(days=1),
}


class SnoozeUntil(Enum):
    """The choices that are offered, in this order. DURATIONS has those of fixed length."""

    HALF_HOUR = "30m"
    HOUR = "1h"
    FOUR_HOURS = "4h"
    CLOSE = "close"
    OPEN = "open"


MARKET_TIMES = (SnoozeUntil.CLOSE, SnoozeUntil.OPEN)

DURATIONS = complete(
    "DURATIONS",
    [one for one in SnoozeUntil if one not in MARKET_TIMES],
    {
        SnoozeUntil.HALF_HOUR: timedelta(minutes=30),
        SnoozeUntil.HOUR: timedelta(hours=1),
        SnoozeUntil.FOUR_HOURS: timedelta(hours=4),
    },
)


def parse_snooze(text: str) -> SnoozeUntil | timedelta | None:
    """Parse a duration or an end, such as `45m`, `2h30m`, `1d` or `until close`; return None if the text is neither.

    Durations are from one minute to 30 days.
    """
    words = text.lower().split()
    if any(before[-1].isdigit() and after[0].isdigit() for before, after in pairwise(words)):
        return None  # `12 2h` is an alert and a duration, not 122 hours
    while words and words[0] in _BEFORE_AN_END:
        words.pop(0)
    compact = "".join(words)
    name = compact.removeprefix("until").removeprefix("the").removeprefix("next").removeprefix("market")
    if name in {SnoozeUntil.CLOSE.value, SnoozeUntil.OPEN.value}:
        return SnoozeUntil(name)
    duration = _SPELLED.get(compact) or _parse_duration(compact.removeprefix("for"))
    return duration if duration is not None and MIN_SNOOZE <= duration <= MAX_SNOOZE else None


def _parse_duration(text: str) -> timedelta | None:
    """Parse days, hours and minutes, in this order and each at most once, such as `1d2h30m`."""
    scanner, counts = Scanner(text), dict[str, int]()
    for unit, (names, max_digits) in _UNITS.items():
        start = scanner.at
        number, name = scanner.run(DIGITS), scanner.run(LOWERCASE)
        if name in names and 0 < len(number) <= max_digits:
            counts[unit] = int(number)
        else:
            scanner.at = start
    return timedelta(**counts) if scanner.is_done else None


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
