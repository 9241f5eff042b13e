"""The clock protocol, a clock that never goes back, and interval boundaries counted from the epoch."""

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """The only source of the current time."""

    def now(self) -> datetime:
        """Return the current time, aware UTC."""
        ...


class SteadyClock:
    """A clock for waits: it follows another one, but continues from where it is when that one is set back.

    Attributes:
        ahead: How far it is ahead of the other clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock, self._last = clock, datetime.min.replace(tzinfo=UTC)
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        """Return a time that is never before an earlier one, aware UTC."""
        now = self._clock.now()
        self.ahead += max(timedelta(0), self._last - now)
        self._last = now
        return now + self.ahead


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def last_boundary(now: datetime, interval: timedelta) -> datetime:
    """Return the last multiple of `interval` since the epoch, at or before `now`."""
    return now - (now - EPOCH) % interval


def count_boundaries(start: datetime, end: datetime, interval: timedelta) -> int:
    """Count the multiples of `interval` since the epoch in [start, end)."""
    return max(0, (EPOCH - start) // interval - (EPOCH - end) // interval)
