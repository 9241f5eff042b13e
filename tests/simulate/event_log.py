"""The events of a run, in order."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(slots=True)
class EventLog:
    """Events with their true time, formatted only when read."""

    now: Callable[[], datetime]
    events: list[tuple[datetime, str, tuple[object, ...]]] = field(default_factory=list)

    def add(self, who: str, *what: object) -> None:
        """Add a person's action, or something that happened to them."""
        self.events.append((self.now(), who, what))

    def lines(self, last: int | None = None) -> list[str]:
        """Return the events, or the last few, one per line."""
        chosen = self.events if last is None else self.events[-last:]
        return [f"{at:%m-%d %H:%M:%S.%f}"[:-3] + f" {who:8} {' '.join(map(str, what))}" for at, who, what in chosen]

    @property
    def digest(self) -> str:
        """A hash of the events and their order."""
        return hashlib.sha256("\n".join(self.lines()).encode()).hexdigest()[:12]
