"""What happened in a run, in its order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(slots=True)
class Log:
    """Events with the true time of each, written out only where somebody reads them."""

    now: Callable[[], datetime]
    events: list[tuple[datetime, str, tuple[object, ...]]] = field(default_factory=list)

    def add(self, who: str, *what: object) -> None:
        """Note what somebody did, or what happened to them."""
        self.events.append((self.now(), who, what))

    def lines(self, last: int | None = None) -> list[str]:
        """Write the events, or the last few, one a line."""
        chosen = self.events if last is None else self.events[-last:]
        return [f"{at:%m-%d %H:%M:%S.%f}"[:-3] + f" {who:8} {' '.join(map(str, what))}" for at, who, what in chosen]

    @property
    def digest(self) -> str:
        """A name for exactly these events in exactly this order."""
        return hashlib.sha256("\n".join(self.lines()).encode()).hexdigest()[:12]
