"""The system clock."""

from datetime import UTC, datetime


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """Return the current time, aware UTC."""
        return datetime.now(UTC)
