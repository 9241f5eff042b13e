"""The clock on the wall."""

from __future__ import annotations

from datetime import UTC, datetime


class SystemClock:
    """The present moment, as the machine has it."""

    def now(self) -> datetime:
        """Tell the time, aware UTC."""
        return datetime.now(UTC)
