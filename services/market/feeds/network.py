"""The bitcoin network as one source tells it: an answer is shared for minutes, and an old one stands until the next."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from services.core.errors import SourceError
from services.market.network_checks import Report
from services.market.ports import NetworkSource

SHARED_FOR = timedelta(minutes=5)  # half a block; mempool.space is asked four times for each answer
AGAIN_AFTER = timedelta(minutes=1)  # a failure


@dataclass(slots=True)
class NetworkFeed:
    """One source of the network; one fetch runs at a time."""

    source: NetworkSource
    _known: Report = field(default_factory=Report)
    _asked_at: datetime | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def read(self, now: datetime) -> Report:
        """Ask the source where its last answer is some minutes old; what it fails at stands beside that answer."""
        async with self._lock:
            if self._is_wanted(now):
                self._known = await self._ask()
                self._asked_at = now
            return self._known

    def _is_wanted(self, now: datetime) -> bool:
        rest = AGAIN_AFTER if self._known.problem else SHARED_FOR
        return self._asked_at is None or abs(now - self._asked_at) >= rest

    async def _ask(self) -> Report:
        try:
            return Report(network=await self.source.network())
        except SourceError as error:
            return replace(self._known, problem=str(error))
