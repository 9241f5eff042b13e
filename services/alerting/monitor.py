"""Monitor: one tick, from the market to what is recorded: market → decide → record."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.alerting.corrections import ClosedAlertCorrector
from services.alerting.enrichment import AttributionEnricher, TrackRecordEnricher
from services.alerting.open_alerts import OpenAlerts
from services.alerting.ports import MonitorStore
from services.alerting.records import ChannelRule, StateChange
from services.alerting.rule_index import RuleIndex
from services.alerting.tick_log import Claim, Tick, TickResult, observe_tick
from services.core.clock import boundary
from services.core.errors import ConflictError, LeaseLostError, NoHistoryError
from services.core.prices import Pair
from services.rules.decide import Change, Decision, Observation, decide
from services.rules.market_service import MarketService, MarketView
from services.rules.rule import Rule

TRIES = 3
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleDecision:
    """A rule whose state moves on, with what it saw."""

    watch: ChannelRule
    observation: Observation
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedStatus:
    """When a pair's live prices could last be used, None for never since the start; `reason` where they cannot now."""

    last_at: datetime | None
    reason: str | None


@dataclass(slots=True)
class Monitor:
    """The clockwork: calls nothing by itself, does one tick when it is told to.

    `sights` tells of each pair that was looked at here whether its prices can be used, `records` how earlier episodes
    of a rule that fires went, and `parter` what the move came with.
    """

    store: MonitorStore
    market: MarketService
    watchlist: RuleIndex
    pair: Pair
    nudge: Callable[[], None]
    every: timedelta = timedelta(minutes=1)
    records: TrackRecordEnricher | None = None
    parter: AttributionEnricher | None = None
    sights: dict[Pair, FeedStatus] = field(default_factory=dict)
    hindsight: ClosedAlertCorrector = field(init=False)

    def __post_init__(self) -> None:
        self.hindsight = ClosedAlertCorrector(self.store)

    async def tick(self, now: datetime) -> int | None:
        """Look at every watched pair once, and give the number of rules whose state changed.

        1. Take the rules as the store has them. The board's own pair is looked at even where no rule does, and a pair
           with an open alert even where no rule is left.
        2. Claim this round for the pair; where another process has, leave it to that one.
        3. Measure the pair, decide the rules that may change, fold them into the open alerts.
        4. Record all of it in one transaction, and wake the delivery.
        5. Amend alerts that have ended on a close that is corrected by now, and note that the round is done.

        A round that is done already counts as done with no changes; None says that one is still in the hands of
        another process, also where this one came too late with its own. Pairs do not wait for each other, and one that
        fails does not keep the others from being done. Its round is given back, so that the same `now` can be tried
        again, and its error raised at the end.
        """
        pairs = {self.pair: None, **await self.watchlist.pairs()}
        pairs |= dict.fromkeys(await self.store.alerted_pairs())
        done = await asyncio.gather(*(self._claim_and_tick(pair, now) for pair in pairs), return_exceptions=True)
        match [one for one in done if isinstance(one, BaseException)]:
            case [failure]:
                raise failure
            case [_, *_] as failures:
                raise BaseExceptionGroup("several pairs failed", failures)
        changed = [one for one in done if isinstance(one, int)]
        return sum(changed) if len(changed) == len(done) else None

    async def _claim_and_tick(self, pair: Pair, now: datetime) -> int | None:
        tick = Tick(job=pair, boundary=boundary(now, self.every), claimed_at=now)
        claim = await self.store.claim_tick(pair, tick.boundary, now)
        if claim is not Claim.OURS:
            return 0 if claim is Claim.DONE else None
        try:
            seen = await self._look(pair, now)
            look = observe_tick(pair, seen, (await self.watchlist.of(pair)).looks, now)
            self._note_sight(look)
            changed = await self._tick_pair(tick, pair, seen, now)
            await self._look_back(tick, pair, seen, now)
            await self.store.finish_tick(tick, look)
        except LeaseLostError as error:
            log.warning("%s Another process has gone on.", error)
            return None
        except Exception:
            await self.store.release_tick(pair, tick.boundary, now)
            raise
        return changed

    async def _tick_pair(self, tick: Tick, pair: Pair, seen: MarketView | NoHistoryError, now: datetime) -> int:
        """Decide; where a person or another process was quicker to change something, decide again on that."""
        for _ in range(TRIES - 1):
            try:
                return await self._decide_and_record(tick, pair, seen, now)
            except ConflictError as error:
                log.info("%s is decided again: %s", pair, error)
        return await self._decide_and_record(tick, pair, seen, now)

    async def _look_back(self, tick: Tick, pair: Pair, seen: MarketView | NoHistoryError, now: datetime) -> None:
        if isinstance(seen, NoHistoryError):
            return
        try:
            if await self.hindsight.amend(tick, pair, seen, now):
                self.nudge()
        except ConflictError as error:
            log.info("ended alerts on %s are looked at again in the next tick: %s", pair, error)

    async def _look(self, pair: Pair, now: datetime) -> MarketView | NoHistoryError:
        try:
            if (await self.watchlist.of(pair)).look_at_network:
                return await self.market.view_with_network(pair, now)
            return await self.market.view(pair, now)
        except NoHistoryError as error:
            return error

    def _note_sight(self, look: TickResult) -> None:
        reason = None if look.waiting else look.reason
        last = self.sights.get(look.pair)
        last_at = look.at if reason is None else last.last_at if last else None
        self.sights[look.pair] = FeedStatus(last_at=last_at, reason=reason)

    async def _decide_and_record(self, tick: Tick, pair: Pair, seen: MarketView | NoHistoryError, now: datetime) -> int:
        # Alerts first: a rule that an alert names, and that is not among those read after it, was removed.
        episodes = OpenAlerts.of(await self.store.open_alerts(pair=pair), now)
        watches = await self.watchlist.of(pair)
        if isinstance(seen, NoHistoryError):
            decided = _decide_all(watches.unobserved(now, str(seen)), now)  # nothing at all is known: an error
            episodes.prune(watches.stands)
        else:
            episodes.adopt(watches.rule, seen)
            retracted = episodes.correct(seen)
            decided = _decide_all(watches.observed(seen, retracted), now, retracted)
            await self._add_to(episodes, _firing(decided), seen, now)
            _fold(decided, episodes, seen)
            episodes.prune(watches.stands)
            episodes.refresh(seen)
        return await self._record(tick, decided, episodes, now)

    async def _add_to(self, episodes: OpenAlerts, firing: set[Rule], seen: MarketView, now: datetime) -> None:
        """Add what alerts tell beside what was decided: how earlier episodes went, and what the move came with."""
        episodes.past = seen.past
        if self.records and firing:
            episodes.records = await self.records.of(firing, now)
        if self.parter and firing:
            episodes.parts = await self.parter.of(firing, seen, now)

    async def _record(self, tick: Tick, decided: list[RuleDecision], episodes: OpenAlerts, now: datetime) -> int:
        states = [
            StateChange(
                rule_id=one.watch.id,
                before=one.watch.state,
                after=one.decision.state,
                edition=one.watch.edition,
            )
            for one in decided
        ]
        alerts = episodes.changes()
        if states or alerts:
            await self.store.record(states, alerts, now, tick=tick)
        if alerts:
            self.nudge()
        return len(states)


def _firing(decided: list[RuleDecision]) -> set[Rule]:
    moves = [(one.watch.rule, move.to) for one in decided for move in one.decision.transitions]
    return {rule for rule, to in moves if to is Change.FIRING}


def _decide_all(
    observed: list[tuple[ChannelRule, Observation]], now: datetime, retracted: Collection[int] = ()
) -> list[RuleDecision]:
    """Decide each rule; one that is retracted as if it had never fired."""
    decided = []
    for watch, seen in observed:
        state = watch.state.unfired() if watch.id in retracted else watch.state
        decided.append(RuleDecision(watch=watch, observation=seen, decision=decide(state, seen, watch.rule, now)))
    return [one for one in decided if one.decision.state != one.watch.state]


def _fold(decided: list[RuleDecision], episodes: OpenAlerts, view: MarketView) -> None:
    """Let rules join before others leave, so that an episode which is handed on does not end in between."""
    moves = [(one, transition) for one in decided for transition in one.decision.transitions]
    for one, transition in moves:
        if transition.to is Change.FIRING:
            episodes.fire(one.watch, transition.side, one.observation, view, one.decision.reason)
    episodes.settle()
    for one, transition in moves:
        if transition.to is Change.RESOLVED:
            episodes.resolve(one.watch, transition.side, one.observation, view, one.decision.reason)
