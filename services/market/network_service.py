"""Mining: the bitcoin network as its sources together tell it, once for everyone who asks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from services.core.errors import NoHistoryError, SourceError
from services.core.trust import FULL, Trust, Verdict
from services.market.align import Aligned
from services.market.feeds.network import NetworkFeed
from services.market.measure import METRICS, Metric
from services.market.network_checks import CheckedNetwork, check_network_sources, for_rules
from services.market.network_history import NOTHING, NetworkHistory
from services.market.ports import NetworkPastSource, NetworkSource

REMEMBERED_FOR = timedelta(hours=6)  # days gone by do not change
AGAIN_AFTER = timedelta(minutes=5)  # a failure


class Remembered(NamedTuple):
    """What the first source that remembers the network tells of its past, if ever, and what it failed at since."""

    past: NetworkHistory | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetworkReading:
    """The network's past up to now, as rules look at it, and how far it can be trusted."""

    past: NetworkHistory
    trust: Trust


class NetworkService:
    """The network that miners work on. `feeds` are its sources in order of preference.

    `witnessed` tells that its figures ought to have a second source; those of a simulated network have none to be had.
    """

    def __init__(self, sources: Iterable[NetworkSource], *, witnessed: bool = True) -> None:
        self.feeds = [NetworkFeed(source) for source in sources]
        self._witnessed = witnessed
        remembering = (feed.source for feed in self.feeds)
        self._archive = next((one for one in remembering if isinstance(one, NetworkPastSource)), None)
        self._remembered = Remembered()
        self._asked_at: datetime | None = None
        self._lock = asyncio.Lock()

    async def network(self, now: datetime) -> CheckedNetwork:
        """Ask every source side by side, and hold what they tell against each other.

        Source failures do not raise: what is known goes on ageing, and its verdict names them. Raises NoHistoryError
        where nothing is known at all.
        """
        reports = await asyncio.gather(*(feed.read(now) for feed in self.feeds))
        judged = check_network_sources(reports, now)
        if judged is None:
            problems = "; ".join(report.problem for report in reports if report.problem) or "No source of it is set"
            remedy = "Try again in a minute." if self.feeds else "Whoever runs MinerPulse sets one."
            raise NoHistoryError(f"Nothing is known of the bitcoin network yet. {problems}.", remedy=remedy)
        return replace(judged, trust=self._alone(judged.trust))

    async def sight(self, now: datetime) -> NetworkReading:
        """Give the past that rules are measured on, and whether it reaches to now; source failures do not raise.

        It is asked for anew as soon as the difficulty is not that of its last retarget.
        """
        told, judged = await asyncio.gather(self.past(now), self._judged(now))
        if isinstance(judged, NoHistoryError):
            stale = Trust(verdict=Verdict.STALE, reasons=(str(judged).rstrip("."),))
            return NetworkReading(past=told.past or NOTHING, trust=stale)
        trust = for_rules(judged, told.past)
        if not trust.verdict.usable and judged.trust.verdict.usable:
            told = await self.past(now, at_once=True)
            trust = for_rules(judged, told.past)
        failing = Trust(verdict=Verdict.DEGRADED, reasons=(told.problem,)) if told.problem else FULL
        return NetworkReading(past=told.past or NOTHING, trust=self._alone(trust.also(failing)))

    def _alone(self, trust: Trust) -> Trust:
        lonely = not self._witnessed and trust.verdict is Verdict.DEGRADED
        return FULL if lonely else trust

    async def _judged(self, now: datetime) -> CheckedNetwork | NoHistoryError:
        try:
            return await self.network(now)
        except NoHistoryError as error:
            return error

    async def beside(self, aligned: Aligned, metric: Metric, now: datetime) -> Aligned:
        """Put the network's past beside aligned closes, where a metric reads it."""
        if not METRICS[metric].of_network:
            return aligned
        return replace(aligned, network=(await self.past(now)).past)

    async def past(self, now: datetime, *, at_once: bool = False) -> Remembered:
        """Give the network's past, asked for anew every few hours; a failure stands beside what was told before.

        Where it is wanted `at_once`, what is some minutes old is too old.
        """
        async with self._lock:
            rest = AGAIN_AFTER if self._remembered.problem or at_once else REMEMBERED_FOR
            if self._archive and (self._asked_at is None or abs(now - self._asked_at) >= rest):
                self._asked_at = now
                try:
                    self._remembered = Remembered(past=await self._archive.past())
                except SourceError as error:
                    self._remembered = self._remembered._replace(problem=str(error))
            return self._remembered
