"""The clock that every service is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime


class Clock(Protocol):
    """The only source of the present moment."""

    def now(self) -> datetime:
        """Tell the time, aware UTC."""
        ...
