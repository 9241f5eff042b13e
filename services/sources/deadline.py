"""How long an answer may take: a few seconds, and longer only while it keeps coming."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST_SECONDS = timedelta(seconds=5)  # a lost packet is sent again after one, and then after two more
SLOWEST = 32 * 1024  # bytes a second, as they come over the line; five years of a share's days are 64 kB packed
MOST_EXTRA = timedelta(seconds=15)  # the largest page that any vendor sends has 500 kB packed


class Deadline:
    """The end of one call with all its tries, moved as bytes come in; it stands still during the wait for a turn."""

    def __init__(self, timeout: asyncio.Timeout, at: float) -> None:
        self._timeout, self._at = timeout, at
        self._extra = MOST_EXTRA.total_seconds()

    def came(self, size: int) -> None:
        """Grant the time that this many bytes take on a slow line, while there is some left to grant."""
        more = min(size / SLOWEST, self._extra)
        self._extra -= more
        self._move(self._at + more)

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Count no time; what is raised meanwhile ends the call anyhow."""
        left = self._at - asyncio.get_running_loop().time()
        self._timeout.reschedule(None)
        yield
        self._move(asyncio.get_running_loop().time() + left)

    def _move(self, at: float) -> None:
        self._at = at
        self._timeout.reschedule(at)
