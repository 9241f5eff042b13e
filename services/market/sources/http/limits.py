"""Circuit breaker and sliding-window rate limiter for one vendor."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

INITIAL_BACKOFF, MAX_BACKOFF = timedelta(seconds=30), timedelta(minutes=5)

FAILURE_THRESHOLD = 5  # in a row, before the circuit opens
NEVER = datetime.min.replace(tzinfo=UTC)


class CircuitBreaker:
    """Circuit breaker: opens after 5 failures in a row or one timeout, then probes half-open after each backoff.

    A timeout opens it at once, because every caller would wait as long; a refusal costs nothing.
    """

    def __init__(self) -> None:
        self._failures, self._opened_at, self._open_until = 0, NEVER, NEVER

    @property
    def open_until(self) -> datetime:
        """End of the latest backoff; in the past if the circuit is closed."""
        return self._open_until

    def wait(self, now: datetime) -> timedelta | None:
        """Return the rest of the backoff, or None to allow this call.

        A call that is allowed while the circuit is half-open starts the next backoff, so that it is the only probe.
        """
        if now < self._open_until:
            return self._open_until - now
        self._back_off(now)
        return None

    def record_failure(self, started_at: datetime, now: datetime, *, timed_out: bool = False) -> None:
        """Count a failure. Failures of calls that started before the circuit opened are ignored."""
        if started_at <= self._opened_at:
            return
        self._failures = max(self._failures + 1, FAILURE_THRESHOLD if timed_out else 0)
        self._opened_at = now if self._failures >= FAILURE_THRESHOLD else NEVER
        self._back_off(now)

    def record_success(self) -> None:
        """Close the circuit."""
        self._failures, self._opened_at, self._open_until = 0, NEVER, NEVER

    def _back_off(self, now: datetime) -> None:
        if self._failures >= FAILURE_THRESHOLD:
            doublings = min(self._failures - FAILURE_THRESHOLD, 10)
            self._open_until = now + min(INITIAL_BACKOFF * 2**doublings, MAX_BACKOFF)


MAX_WAIT = timedelta(seconds=10)  # a longer wait is raised as an error instead


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """At most `calls` calls in any window of `per`; bursts are allowed."""

    calls: int
    per: timedelta


class SlidingWindow:
    """Sliding-window rate limiter over several limits; slots are granted in order of request."""

    def __init__(self, limits: Iterable[Limit] = ()) -> None:
        self._windows: list[tuple[timedelta, deque[datetime]]] = [
            (limit.per, deque(maxlen=limit.calls)) for limit in limits
        ]

    def reserve(self, now: datetime) -> timedelta:
        """Return the wait until the next free slot, and reserve it unless the wait exceeds MAX_WAIT."""
        free_at = [calls[0] + per for per, calls in self._windows if len(calls) == calls.maxlen]
        starts_at = max([now, *free_at])
        if starts_at - now <= MAX_WAIT:
            for _, calls in self._windows:
                calls.append(starts_at)
        return starts_at - now
