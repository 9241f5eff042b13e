"""Mining: the bitcoin network as its sources together tell it, once for everyone who asks."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from services.domain.errors import NoHistoryError, SourceError
from services.domain.hashrate import judge_network
from services.feeds.network import NetworkFeed
from services.ports import NetworkPastSource

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from services.domain.hashrate import JudgedNetwork
    from services.domain.network_past import NetworkPast
    from services.ports import NetworkSource

REMEMBERED_FOR = timedelta(hours=6)  # days gone by do not change
AGAIN_AFTER = timedelta(minutes=5)  # a failure


class Remembered(NamedTuple):
    """What the first source that remembers the network tells of its past, if ever, and what it failed at since."""

    past: NetworkPast | None = None
    problem: str | None = None


class Mining:
    """The network that miners work on. `feeds` are its sources in order of preference."""

    def __init__(self, sources: Iterable[NetworkSource]) -> None:
        self.feeds = [NetworkFeed(source) for source in sources]
        remembering = (feed.source for feed in self.feeds)
        self._archive = next((one for one in remembering if isinstance(one, NetworkPastSource)), None)
        self._remembered = Remembered()
        self._asked_at: datetime | None = None
        self._lock = asyncio.Lock()

    async def network(self, now: datetime) -> JudgedNetwork:
        """Ask every source side by side, and hold what they tell against each other.

        Source failures do not raise: what is known goes on ageing, and its verdict names them. Raises NoHistoryError
        where nothing is known at all.
        """
        reports = await asyncio.gather(*(feed.read(now) for feed in self.feeds))
        judged = judge_network(reports, now)
        if judged is None:
            problems = "; ".join(report.problem for report in reports if report.problem)
            raise NoHistoryError(f"Nothing is known of the bitcoin network yet. {problems}.")
        return judged

    async def past(self, now: datetime) -> Remembered:
        """Give the network's past, asked for anew every few hours; a failure stands beside what was told before."""
        async with self._lock:
            rest = AGAIN_AFTER if self._remembered.problem else REMEMBERED_FOR
            if self._archive and (self._asked_at is None or abs(now - self._asked_at) >= rest):
                self._asked_at = now
                try:
                    self._remembered = Remembered(past=await self._archive.past())
                except SourceError as error:
                    self._remembered = self._remembered._replace(problem=str(error))
            return self._remembered
