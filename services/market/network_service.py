"""The bitcoin network as its sources report it, shared by all callers."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from services.core.errors import NoHistoryError, SourceError
from services.core.reason import Reason
from services.core.trust import TRUSTED, Trust, Verdict
from services.market.align import Aligned
from services.market.feeds.freshness import dropped_values
from services.market.feeds.network import NetworkFeed
from services.market.metrics import Metric
from services.market.mining_power import PowerModel
from services.market.network import NETWORK
from services.market.network_checks import CheckedNetwork, TrustedHistory, check_network_sources, trust_for_rules
from services.market.network_history import EMPTY_HISTORY, NetworkHistory
from services.market.ports import NetworkHistorySource, NetworkSource

NO_MACHINES = PowerModel()
HISTORY_TTL = timedelta(hours=6)  # past days do not change
RETRY_AFTER = timedelta(minutes=5)  # after a failure


class HistoryAnswer(NamedTuple):
    """The network's history from the first source that provides it, and the problem of the latest request."""

    history: NetworkHistory | None = None
    problem: str | None = None


class NetworkService:
    """The bitcoin network. `feeds` are its sources in order of preference.

    `requires_witness` means that its figures need a second source to be fully trusted; False for a simulated network.
    `power_model` has the assumptions from which its power draw is estimated.
    """

    def __init__(
        self,
        sources: Iterable[NetworkSource],
        *,
        requires_witness: bool = True,
        power_model: PowerModel = NO_MACHINES,
    ) -> None:
        self.power_model = power_model
        self.feeds = [NetworkFeed(source) for source in sources]
        self._requires_witness = requires_witness
        candidates = (feed.source for feed in self.feeds)
        self._history_source = next((source for source in candidates if isinstance(source, NetworkHistorySource)), None)
        self._history = HistoryAnswer()
        self._asked_at: datetime | None = None
        self._lock = asyncio.Lock()

    async def network(self, now: datetime) -> CheckedNetwork:
        """Ask every source concurrently and cross-check the answers.

        A source failure does not raise: the last known figures age, and the trust names the failure. Raises
        NoHistoryError if no source has ever answered.
        """
        answers = await asyncio.gather(*(feed.read(now) for feed in self.feeds))
        checked = check_network_sources(answers, now)
        if checked is None:
            problems = "; ".join(answer.problem for answer in answers if answer.problem) or "No network source is set"
            remedy = "Try again in a minute." if self.feeds else "Your MinerPulse administrator can set one."
            raise NoHistoryError(f"No bitcoin network data yet. {problems}.", remedy=remedy)
        return replace(checked, trust=self._waive_witness(checked.trust))

    async def history_for_rules(self, now: datetime) -> TrustedHistory:
        """Return the history that rules are measured on, and whether it reaches to now; source failures do not raise.

        The history is fetched again as soon as the current difficulty differs from that of its last retarget.
        """
        answer, checked = await asyncio.gather(self.history(now), self._try_network(now))
        if isinstance(checked, NoHistoryError):
            stale = Trust(verdict=Verdict.STALE, reasons=(str(checked).rstrip("."),))
            return TrustedHistory(history=answer.history or EMPTY_HISTORY, trust=stale)
        trust = trust_for_rules(checked, answer.history)
        if not trust.verdict.usable and checked.trust.verdict.usable:
            answer = await self.history(now, refresh=True)
            trust = trust_for_rules(checked, answer.history)
        failure = Trust(verdict=Verdict.DEGRADED, reasons=(answer.problem,)) if answer.problem else TRUSTED
        return TrustedHistory(
            history=answer.history or EMPTY_HISTORY, trust=self._waive_witness(trust.combined_with(failure))
        )

    def dropped_values(self) -> list[Reason]:
        """Return what the last answers of each source lost because it was unusable."""
        return [dropped for feed in self.feeds if (dropped := dropped_values(feed.source, NETWORK))]

    def _waive_witness(self, trust: Trust) -> Trust:
        waived = not self._requires_witness and trust.verdict is Verdict.DEGRADED
        return TRUSTED if waived else trust

    async def _try_network(self, now: datetime) -> CheckedNetwork | NoHistoryError:
        try:
            return await self.network(now)
        except NoHistoryError as error:
            return error

    async def with_network_history(self, aligned: Aligned, metric: Metric, now: datetime) -> Aligned:
        """Return the aligned closes with the network's history attached, if the metric needs it."""
        if not metric.needs_network:
            return aligned
        return replace(aligned, network=(await self.history(now)).history)

    async def history(self, now: datetime, *, refresh: bool = False) -> HistoryAnswer:
        """Return the network's history; it is fetched every few hours.

        A failure returns the previous history and the problem. `refresh` fetches again if the history is more than a
        few minutes old.
        """
        async with self._lock:
            max_age = RETRY_AFTER if self._history.problem or refresh else HISTORY_TTL
            if self._history_source and (self._asked_at is None or abs(now - self._asked_at) >= max_age):
                self._asked_at = now
                try:
                    self._history = HistoryAnswer(history=await self._history_source.history())
                except SourceError as error:
                    self._history = self._history._replace(problem=str(error))
            return self._history
