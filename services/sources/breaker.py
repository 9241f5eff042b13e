"""Leave a vendor alone that keeps failing: pauses that grow, and one call at the end of each to see."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

FAILURES = 5  # in a row, before the vendor is left alone
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(minutes=5)
NEVER = datetime.min.replace(tzinfo=UTC)


class Breaker:
    """Counts failures in a row; from the fifth on it is open, and lets one call through after each pause."""

    def __init__(self) -> None:
        self._failures, self._open_until = 0, NEVER

    def wait(self, now: datetime) -> timedelta | None:
        """Give what is left of the pause; None lets this call through, and while open keeps the others waiting."""
        if now < self._open_until:
            return self._open_until - now
        self._pause(now)
        return None

    def failed(self, now: datetime) -> None:
        """Count a failure."""
        self._failures += 1
        self._pause(now)

    def answered(self) -> None:
        """Forget the failures: the vendor works."""
        self._failures, self._open_until = 0, NEVER

    def _pause(self, now: datetime) -> None:
        if self._failures >= FAILURES:
            doublings = min(self._failures - FAILURES, 10)
            self._open_until = now + min(FIRST_PAUSE * 2**doublings, LONGEST_PAUSE)
