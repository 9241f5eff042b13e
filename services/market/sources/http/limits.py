"""Leave a vendor alone that keeps failing or that hangs: pauses that grow, and one call at the end of each to see."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(minutes=5)

FAILURES = 5  # in a row, before the vendor is left alone
NEVER = datetime.min.replace(tzinfo=UTC)


class CircuitBreaker:
    """Counts failures in a row; from the fifth on it is open, and lets one call through after each pause.

    A call that hangs opens it at once: everyone who asks would wait as long, while a refusal costs nothing.
    """

    def __init__(self) -> None:
        self._failures, self._opened_at, self._open_until = 0, NEVER, NEVER

    @property
    def open_until(self) -> datetime:
        """When the pause ends that was begun last; in the past where there is none."""
        return self._open_until

    def wait(self, now: datetime) -> timedelta | None:
        """Give what is left of the pause; None lets this call through, and while open keeps the others waiting."""
        if now < self._open_until:
            return self._open_until - now
        self._pause(now)
        return None

    def failed(self, began_at: datetime, now: datetime, *, hung: bool = False) -> None:
        """Count a failure; one of a call that was under way when the pause began is no news."""
        if began_at <= self._opened_at:
            return
        self._failures = max(self._failures + 1, FAILURES if hung else 0)
        self._opened_at = now if self._failures >= FAILURES else NEVER
        self._pause(now)

    def answered(self) -> None:
        """Forget the failures: the vendor works."""
        self._failures, self._opened_at, self._open_until = 0, NEVER, NEVER

    def _pause(self, now: datetime) -> None:
        if self._failures >= FAILURES:
            doublings = min(self._failures - FAILURES, 10)
            self._open_until = now + min(FIRST_PAUSE * 2**doublings, LONGEST_PAUSE)


PATIENCE = timedelta(seconds=10)  # a longer wait is told to the caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """At most `calls` calls in any stretch of `per`; they may come all at once."""

    calls: int
    per: timedelta


class SlidingWindow:
    """Turns for calls within every limit at once, given in the order of asking."""

    def __init__(self, limits: Iterable[Limit] = ()) -> None:
        self._windows: list[tuple[timedelta, deque[datetime]]] = [
            (limit.per, deque(maxlen=limit.calls)) for limit in limits
        ]

    def book(self, now: datetime) -> timedelta:
        """Give the wait until the next free turn, and take that turn; one beyond PATIENCE is left to others."""
        turn = max([now, *(begun[0] + per for per, begun in self._windows if len(begun) == begun.maxlen)])
        if turn - now <= PATIENCE:
            for _, begun in self._windows:
                begun.append(turn)
        return turn - now
