"""Mining: the bitcoin network as its sources together tell it, once for everyone who asks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from services.domain.errors import NoHistoryError
from services.domain.hashrate import judge_network
from services.feeds.network import NetworkFeed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from services.domain.hashrate import JudgedNetwork
    from services.ports import NetworkSource


class Mining:
    """The network that miners work on. `feeds` are its sources in order of preference."""

    def __init__(self, sources: Iterable[NetworkSource]) -> None:
        self.feeds = [NetworkFeed(source) for source in sources]

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
