"""How often a vendor may be called: exact windows, kept before each call, with its busy stretches in mind."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

PATIENCE = timedelta(seconds=10)  # a longer wait is told to the caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """At most `calls` calls in any stretch of `per`; they may come all at once."""

    calls: int
    per: timedelta


class Pace:
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
