"""Snooze: for how long a person can ask for silence, and when that ends."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from enum import Enum

from services.core.errors import MarketShutError
from services.core.sessions import MarketState

SHORTEST, LONGEST = timedelta(minutes=1), timedelta(days=30)
_LENGTH = re.compile(
    r"(?:(?P<days>\d{1,3})d(?:ays?)?)?"
    r"(?:(?P<hours>\d{1,4})h(?:ours?|rs?)?)?"
    r"(?:(?P<minutes>\d{1,5})m(?:in(?:ute)?s?)?)?",
    re.ASCII,
)


class SnoozeUntil(Enum):
    """What is offered, in this order; LENGTHS has those that are as long at any time."""

    HALF_HOUR = "30m"
    HOUR = "1h"
    FOUR_HOURS = "4h"
    CLOSE = "close"
    OPEN = "open"


LENGTHS = {
    SnoozeUntil.HALF_HOUR: timedelta(minutes=30),
    SnoozeUntil.HOUR: timedelta(hours=1),
    SnoozeUntil.FOUR_HOURS: timedelta(hours=4),
}


def parse_span(text: str) -> SnoozeUntil | timedelta | None:
    """Read how long silence is asked for, as in `45m`, `2h30m`, `1d`, `until close`; None where nobody can tell.

    The shortest is a minute, the longest 30 days.
    """
    words = text.lower().replace(" ", "")
    named = words.removeprefix("until").removeprefix("the").removeprefix("next")
    if named in {SnoozeUntil.CLOSE.value, SnoozeUntil.OPEN.value}:
        return SnoozeUntil(named)
    found = _LENGTH.fullmatch(words.removeprefix("for"))
    if found is None:
        return None
    length = timedelta(**{unit: int(number) for unit, number in found.groupdict(default="0").items()})
    return length if SHORTEST <= length <= LONGEST else None


def end_of(span: SnoozeUntil | timedelta, market: MarketState, now: datetime) -> datetime:
    """Tell when a snooze that begins now ends. Raises MarketShutError where there is no close to wait for."""
    if isinstance(span, timedelta):
        return now + span
    if span is SnoozeUntil.OPEN:
        return market.next_open_at
    if span is not SnoozeUntil.CLOSE:
        return now + LENGTHS[span]
    if not market.is_open:
        raise MarketShutError(market.next_open_at)
    return market.closes_at
