"""Monitor: one tick, from the market to what is recorded: market → decide → record."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from services.domain.decide import Change, decide
from services.domain.errors import ConflictError, NoHistoryError
from services.episodes import OpenEpisodes
from services.ports import StateChange

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.domain.decide import Decision, Observation
    from services.domain.prices import Pair
    from services.market import Market, MarketView
    from services.ports import MonitorStore, Watch
    from services.watchlist import PairWatches, Watchlist

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A rule whose state moves on, with what it saw."""

    watch: Watch
    observation: Observation
    decision: Decision


@dataclass(slots=True)
class Monitor:
    """The clockwork: calls nothing by itself, does one tick when it is told to."""

    store: MonitorStore
    market: Market
    watchlist: Watchlist
    pair: Pair
    nudge: Callable[[], None]
    every: timedelta = timedelta(minutes=1)

    async def tick(self, now: datetime) -> int:
        """Look at every watched pair once, and give the number of rules whose state changed.

        1. Take the rules as the store has them; the board's own pair is looked at even where no rule does.
        2. Claim this round for the pair; where another process has, leave it to that one.
        3. Measure the pair, decide the rules that may change, fold them into the open alerts.
        4. Record all of it in one transaction, then wake the delivery.

        Pairs do not wait for each other, and one that fails does not keep the others from being done; its error is
        raised at the end.
        """
        watched = await self.watchlist.pairs()
        pairs = {self.pair: None, **watched}
        done = await asyncio.gather(
            *(self._claim_and_tick(pair, watched.get(pair), now) for pair in pairs), return_exceptions=True
        )
        failures = [one for one in done if isinstance(one, BaseException)]
        if failures:
            raise failures[0]
        return sum(one for one in done if isinstance(one, int))

    async def _claim_and_tick(self, pair: Pair, watches: PairWatches | None, now: datetime) -> int:
        if not await self.store.claim_tick(pair, boundary(now, self.every)):
            return 0
        return await self._tick_pair(pair, watches, now)

    async def _tick_pair(self, pair: Pair, watches: PairWatches | None, now: datetime) -> int:
        try:
            view = await self.market.view(pair, now)
        except NoHistoryError as error:
            return (
                await self._record(_decide_all(watches.unobserved(now, str(error)), now), None, now) if watches else 0
            )
        if watches is None:
            return 0
        episodes = OpenEpisodes.of(await self.store.open_alerts(), now)
        decided = _decide_all(watches.observed(view), now)
        _fold(decided, episodes, view)
        episodes.refresh(view, watches.rule_of)
        return await self._record(decided, episodes, now)

    async def _record(self, decided: list[Decided], episodes: OpenEpisodes | None, now: datetime) -> int:
        states = [
            StateChange(rule_id=one.watch.id, before=one.watch.state, after=one.decision.state) for one in decided
        ]
        alerts = episodes.changes() if episodes else []
        if not states and not alerts:
            return 0
        try:
            await self.store.record(states, alerts, now)
        except ConflictError as error:
            log.info("tick not recorded, the next one decides anew: %s", error)
            return 0
        if alerts:
            self.nudge()
        return len(states)


def boundary(now: datetime, every: timedelta) -> datetime:
    """Give the last multiple of `every` since the epoch, the same in every process."""
    return now - (now - EPOCH) % every


def _decide_all(observed: list[tuple[Watch, Observation]], now: datetime) -> list[Decided]:
    decided = [
        Decided(watch=watch, observation=seen, decision=decide(watch.state, seen, watch.rule, now))
        for watch, seen in observed
    ]
    return [one for one in decided if one.decision.state != one.watch.state]


def _fold(decided: list[Decided], episodes: OpenEpisodes, view: MarketView) -> None:
    """Let rules join before others leave, so that an episode which is handed on does not end in between."""
    moves = [(one, transition) for one in decided for transition in one.decision.transitions]
    for one, transition in moves:
        if transition.to is Change.FIRING:
            episodes.fire(one.watch, transition.side, one.observation, view, one.decision.reason)
    for one, transition in moves:
        if transition.to is Change.RESOLVED:
            episodes.resolve(one.watch, transition.side, one.observation, view, one.decision.reason)
