"""The clock protocol, and interval boundaries counted from the epoch."""

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """The only source of the current time."""

    def now(self) -> datetime:
        """Return the current time, aware UTC."""
        ...


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def last_boundary(now: datetime, interval: timedelta) -> datetime:
    """Return the last multiple of `interval` since the epoch, at or before `now`."""
    return now - (now - EPOCH) % interval


def count_boundaries(start: datetime, end: datetime, interval: timedelta) -> int:
    """Count the multiples of `interval` since the epoch in [start, end)."""
    return max(0, (EPOCH - start) // interval - (EPOCH - end) // interval)
