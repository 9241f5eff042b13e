"""Seen: which requests have come already, for as long as they could come again."""

from __future__ import annotations

from dataclasses import dataclass, field

MOST = 20_000  # a few megabytes; Slack sends an app at most 30,000 events an hour


@dataclass(slots=True)
class ReplayGuard:
    """Keys with the time until which each is remembered, in seconds of one clock.

    Where there are too many, the oldest go. They are kept in this process alone: another one does not know of them.
    """

    keep_s: float
    most: int = MOST
    _until: dict[str, float] = field(default_factory=dict)

    def first(self, key: str, now_s: float) -> bool:
        """Note a key, and tell whether it has not been seen before."""
        self._forget_old(now_s)
        if key in self._until:
            return False
        self._until[key] = now_s + self.keep_s
        return True

    def forget(self, key: str) -> None:
        """Let a key come again, as what it stands for was not done."""
        self._until.pop(key, None)

    def __len__(self) -> int:
        return len(self._until)

    def _forget_old(self, now_s: float) -> None:
        """Drop what is too old or too much; all keys are kept equally long, so the first are the oldest."""
        while self._until:
            oldest = next(iter(self._until))
            if self._until[oldest] > now_s and len(self._until) < self.most:
                return
            del self._until[oldest]
