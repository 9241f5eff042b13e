"""The clock that every service is given."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """The only source of the present moment."""

    def now(self) -> datetime:
        """Tell the time, aware UTC."""
        ...


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def boundary(now: datetime, every: timedelta) -> datetime:
    """Give the last multiple of `every` since the epoch."""
    return now - (now - EPOCH) % every


def rounds_between(begin: datetime, end: datetime, every: timedelta) -> int:
    """Count the multiples of `every` since the epoch from `begin` until before `end`."""
    return max(0, (EPOCH - begin) // every - (EPOCH - end) // every)
