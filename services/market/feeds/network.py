"""Network feed: one source's state of the bitcoin network, cached for minutes; an old answer remains until the next."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from services.core.errors import SourceError
from services.market.network_checks import NetworkAnswer
from services.market.ports import NetworkSource

ANSWER_TTL = timedelta(minutes=5)  # half a block; each answer costs four requests to mempool.space
RETRY_AFTER = timedelta(minutes=1)  # after a failure


@dataclass(slots=True)
class NetworkFeed:
    """One source of the network; only one fetch runs at a time."""

    source: NetworkSource
    _known: NetworkAnswer = field(default_factory=NetworkAnswer)
    _asked_at: datetime | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def read(self, now: datetime) -> NetworkAnswer:
        """Return the answer; it is fetched again if it is some minutes old.

        A failure returns the previous answer and the problem.
        """
        async with self._lock:
            if self._is_fetch_due(now):
                self._known = await self._fetch()
                self._asked_at = now
            return self._known

    def _is_fetch_due(self, now: datetime) -> bool:
        max_age = RETRY_AFTER if self._known.problem else ANSWER_TTL
        return self._asked_at is None or abs(now - self._asked_at) >= max_age

    async def _fetch(self) -> NetworkAnswer:
        try:
            return NetworkAnswer(network=await self.source.network())
        except SourceError as error:
            return replace(self._known, problem=str(error))
