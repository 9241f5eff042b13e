"""Detects repeated requests."""

from dataclasses import dataclass, field

CAPACITY = 20_000  # a few megabytes; Slack sends an app at most 30,000 events an hour


@dataclass(slots=True)
class ReplayGuard:
    """Keys with their expiry times, in seconds of one clock.

    At capacity, the oldest keys are evicted. Keys are local to this process.
    """

    ttl_s: float
    capacity: int = CAPACITY
    _expires_at: dict[str, float] = field(default_factory=dict)

    def add(self, key: str, now_s: float) -> bool:
        """Add a key; return whether it is new."""
        self._evict(now_s)
        if key in self._expires_at:
            return False
        self._expires_at[key] = now_s + self.ttl_s
        return True

    def discard(self, key: str) -> None:
        """Remove a key, because its request was not handled and may be repeated."""
        self._expires_at.pop(key, None)

    def __len__(self) -> int:
        return len(self._expires_at)

    def _evict(self, now_s: float) -> None:
        """Remove expired and excess keys. All have the same TTL, so the first are the oldest."""
        while self._expires_at:
            oldest = next(iter(self._expires_at))
            if self._expires_at[oldest] > now_s and len(self._expires_at) < self.capacity:
                return
            del self._expires_at[oldest]
