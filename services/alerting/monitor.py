"""One tick of the monitor: view the market, decide the rules, save the alerts."""

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.alerting.corrections import ClosedAlertCorrector
from services.alerting.enrichment import AttributionEnricher, TrackRecordEnricher
from services.alerting.open_alerts import OpenAlerts
from services.alerting.ports import ChannelRule, MonitorStore, StateChange, TickMeter
from services.alerting.rule_index import RuleIndex
from services.alerting.tick_log import Claim, Tick, TickOutcome, TickResult, summarize_tick
from services.core.clock import last_boundary
from services.core.concurrency import in_turns, retry_on_conflict
from services.core.errors import ConflictError, LeaseLostError, NoHistoryError
from services.core.prices import Pair
from services.core.reason import Reason
from services.rules.decide import Change, Decision, Observation, decide
from services.rules.market_service import MarketService
from services.rules.market_view import MarketView
from services.rules.rule import Rule

MAX_ATTEMPTS = 3
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleDecision:
    """A rule whose state changes, with the observation that changed it."""

    channel_rule: ChannelRule
    observation: Observation
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedStatus:
    """Status of a pair's live prices.

    Attributes:
        last_at: When they were last usable, None if never since the start.
        reason: Why they are not usable now, None if they are.
    """

    last_at: datetime | None
    reason: Reason | str | None


@dataclass(slots=True)
class Monitor:
    """Runs one tick at a time; the scheduler calls it.

    Attributes:
        pair: The default pair, which is measured even if no rule uses it.
        nudge: Wakes the delivery.
        track_records: Adds the track record of a rule that fires.
        attributions: Adds the return attribution of a rule that fires.
        feed_statuses: Status of each pair that this process has measured.
        meter: Counts the ticks, if metrics are on.
    """

    store: MonitorStore
    market: MarketService
    rule_index: RuleIndex
    pair: Pair
    nudge: Callable[[], None]
    every: timedelta = timedelta(minutes=1)
    track_records: TrackRecordEnricher | None = None
    attributions: AttributionEnricher | None = None
    feed_statuses: dict[Pair, FeedStatus] = field(default_factory=dict)
    meter: TickMeter | None = None
    _last_tick_at: datetime | None = None
    corrector: ClosedAlertCorrector = field(init=False)

    def __post_init__(self) -> None:
        self.corrector = ClosedAlertCorrector(self.store)

    async def tick(self, now: datetime) -> int | None:
        """Run one tick for every watched pair; return how many rules changed state.

        1. Load the rules. The default pair, and any pair with an open alert, are ticked even without a rule.
        2. Claim the tick for each pair; skip it if another process has claimed it.
        3. Measure the pair, decide the rules that may change, and apply the decisions to the open alerts.
        4. Save all of it in one transaction, and wake the delivery.
        5. Correct closed alerts whose closes were corrected, and mark the tick as done.

        A tick that is already done counts as no changes. None means that another process still works on a pair, or has
        taken it over because this one was too late. Pairs run side by side, and a failure in one doesn't affect the
        others.
        The claim of a failed pair is released, so the same `now` can be retried, and its error is raised at the end.
        """
        if self._last_tick_at is None or now < self._last_tick_at:  # the clock was set back, perhaps while stopped
            await self.store.discard_ahead(now)
        self._last_tick_at = now
        pairs = await self.watch_pairs()
        done = await asyncio.gather(*(self._claim_and_tick(pair, now) for pair in pairs), return_exceptions=True)
        match [one for one in done if isinstance(one, BaseException)]:
            case [failure]:
                raise failure
            case [_, *_] as failures:
                raise BaseExceptionGroup("several pairs failed", failures)
        changed = [one for one in done if isinstance(one, int)]
        return sum(changed) if len(changed) == len(done) else None

    async def watch_pairs(self) -> Collection[Pair]:
        """Reserve most of the vendors' calls for the pairs with a rule or an open alert and the default pair.

        Returns these pairs. A process that never ticks calls this before it asks about other symbols.
        """
        pairs = {self.pair: None, **await self.rule_index.pairs()}
        pairs |= dict.fromkeys(await self.store.alerted_pairs())
        self.market.watch(pairs)
        return pairs

    async def _claim_and_tick(self, pair: Pair, now: datetime) -> int | None:
        tick = Tick(job=pair, boundary=last_boundary(now, self.every), claimed_at=now)
        claim = await self.store.claim_tick(pair, tick.boundary, now)
        if claim is not Claim.OURS:
            return 0 if claim is Claim.DONE else None
        try:
            view = await self._view_market(pair, now)
            pair_rules = await self.rule_index.for_pair(pair)
            result = summarize_tick(pair, view, pair_rules.distinct_rules, now)
            self._update_feed_status(result)
            changed = await self._tick_pair(tick, pair, view, now)
            await self._correct_closed_alerts(tick, pair, view, now)
            await self.store.finish_tick(tick, result)
        except LeaseLostError as error:
            log.warning("%s Another process has taken over.", error)
            self._count_tick(pair, TickOutcome.OVERTAKEN)
            return None
        except Exception:
            self._count_tick(pair, TickOutcome.FAILED)
            await self.store.release_tick(pair, tick.boundary, now)
            raise
        self._count_tick(pair, TickOutcome.DONE)
        if self.meter is not None:
            self.meter.record_market(result, view, len(pair_rules.rules))
        return changed

    def _count_tick(self, pair: Pair, outcome: TickOutcome) -> None:
        if self.meter is not None:
            self.meter.count_tick(pair, outcome)

    async def _tick_pair(self, tick: Tick, pair: Pair, view: MarketView | NoHistoryError, now: datetime) -> int:
        """Decide and save; on a conflict with a person or another process, decide again on the new state."""
        return await retry_on_conflict(
            lambda: self._decide_and_record(tick, pair, view, now),
            max_tries=MAX_ATTEMPTS,
            on_conflict=lambda error: log.info("%s: evaluating the rules again after a conflict: %s", pair, error),
        )

    async def _correct_closed_alerts(
        self, tick: Tick, pair: Pair, view: MarketView | NoHistoryError, now: datetime
    ) -> None:
        if isinstance(view, NoHistoryError):
            return
        try:
            if await self.corrector.correct(tick, pair, view, now):
                self.nudge()
        except ConflictError as error:
            log.info("closed alerts on %s are checked again in the next tick: %s", pair, error)

    async def _view_market(self, pair: Pair, now: datetime) -> MarketView | NoHistoryError:
        try:
            if (await self.rule_index.for_pair(pair)).uses_network:
                return await self.market.view_with_network(pair, now)
            return await self.market.view(pair, now)
        except NoHistoryError as error:
            return error

    def _update_feed_status(self, result: TickResult) -> None:
        reason = None if result.waiting else result.reason
        last = self.feed_statuses.get(result.pair)
        last_at = result.at if reason is None else last.last_at if last else None
        self.feed_statuses[result.pair] = FeedStatus(last_at=last_at, reason=reason)

    async def _decide_and_record(self, tick: Tick, pair: Pair, view: MarketView | NoHistoryError, now: datetime) -> int:
        # Load the alerts first: a rule that an alert has and that the rules loaded later don't have was removed.
        open_alerts = OpenAlerts.from_stored(await self.store.open_alerts(pair=pair), now)
        pair_rules = await self.rule_index.for_pair(pair)
        if isinstance(view, NoHistoryError):
            # nothing is known at all: an error
            decided = await _decide_all(pair_rules.observe_no_data(now, view.reason), now)
            open_alerts.prune(pair_rules.exists)
        else:
            open_alerts.apply_edited_rules(pair_rules.rule, view)
            retracted = await open_alerts.correct(view)
            decided = await _decide_all(pair_rules.observe(view, retracted), now, retracted)
            await self._enrich(open_alerts, _firing(decided), view, now)
            await _apply(decided, open_alerts, view)
            open_alerts.prune(pair_rules.exists)
            await open_alerts.refresh(view)
        return await self._record(tick, decided, open_alerts, now)

    async def _enrich(self, open_alerts: OpenAlerts, firing: set[Rule], view: MarketView, now: datetime) -> None:
        """Add to the alerts the chart history and, if rules fire, their track records and attributions."""
        open_alerts.history = view.history
        if self.track_records and firing:
            open_alerts.track_records = await self.track_records.for_rules(firing, now)
        if self.attributions and firing:
            open_alerts.attributions = await self.attributions.for_rules(firing, view, now)

    async def _record(self, tick: Tick, decided: list[RuleDecision], open_alerts: OpenAlerts, now: datetime) -> int:
        states = [
            StateChange(
                rule_id=one.channel_rule.id,
                before=one.channel_rule.state,
                after=one.decision.state,
                edition=one.channel_rule.edition,
            )
            for one in decided
        ]
        alerts = open_alerts.changes()
        if states or alerts:
            await self.store.record(states, alerts, now, tick=tick)
        if alerts:
            self.nudge()
        return len(states)


def _firing(decided: list[RuleDecision]) -> set[Rule]:
    moves = [(one.channel_rule.rule, move.change) for one in decided for move in one.decision.transitions]
    return {rule for rule, to in moves if to is Change.FIRING}


async def _decide_all(
    observed: list[tuple[ChannelRule, Observation]], now: datetime, retracted: Collection[int] = ()
) -> list[RuleDecision]:
    """Return the decisions that change a state. A retracted rule is decided as if it had never fired."""
    decided = []
    async for channel_rule, observation in in_turns(observed):
        state = channel_rule.state.without_firing() if channel_rule.id in retracted else channel_rule.state
        decided.append(
            RuleDecision(
                channel_rule=channel_rule,
                observation=observation,
                decision=decide(state, observation, channel_rule.rule, now),
            )
        )
    return [one for one in decided if one.decision.state != one.channel_rule.state]


async def _apply(decided: list[RuleDecision], open_alerts: OpenAlerts, view: MarketView) -> None:
    """Apply rules that fire before rules that clear, so that an alert handed from one to the other stays open."""
    moves = [(one, transition) for one in decided for transition in one.decision.transitions]
    async for one, transition in in_turns(moves):
        if transition.change is Change.FIRING:
            open_alerts.fire(one.channel_rule, transition.side, one.observation, view, transition.reason)
    open_alerts.apply_retractions()
    async for one, transition in in_turns(moves):
        if transition.change is Change.RESOLVED:
            open_alerts.resolve(one.channel_rule, transition.side, one.observation, view, transition.reason)
