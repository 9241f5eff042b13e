"""Preview a rule: how often it would have fired in the last two years."""

import asyncio
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from services.core.errors import ReplayError
from services.core.prices import Pair
from services.core.reason import Code, Reason
from services.market.align import Aligned
from services.rules.decide import Change
from services.rules.market_service import MarketService
from services.rules.replay import RuleReplay, Step, replay
from services.rules.rule import Rule

LOOKBACK = timedelta(days=731)  # two years


@dataclass(frozen=True, slots=True, kw_only=True)
class RulePreview:
    """Firings of a rule at session closes from `since` to `until`, and the last of them.

    `since` is None, with a `reason`, if the rule cannot be replayed.
    """

    rule: Rule
    since: date | None = None
    until: date | None = None
    firings: int = 0
    last_firing: Step | None = None
    reason: Reason | str = ""
    simulated: bool = False


async def preview_rule(market: MarketService, rule: Rule, default_pair: Pair, now: datetime) -> RulePreview:
    """Replay a rule over the last two years, in a worker thread. Raises NoHistoryError.

    Hold times count as zero, because only closes are known. A person types many symbols before the right one, so prices
    are fetched only for watched pairs and the default pair.
    """
    if rule.metric.series is None:
        return RulePreview(
            rule=rule,
            reason=Reason.of(Code.GAP_HAS_NO_PAST, metric=rule.metric.name),
        )
    if not market.has_history(rule.pair) and rule.pair != default_pair:
        return RulePreview(rule=rule, reason=Reason.of(Code.PRICES_NOT_FETCHED, pair=rule.pair))
    closes = await market.mining.with_network_history(await market.closes(rule.pair, now), rule.metric, now)
    return await asyncio.to_thread(_preview, closes, rule, (now - LOOKBACK).date(), simulated=market.history.simulated)


def _preview(closes: Aligned, rule: Rule, first: date, *, simulated: bool) -> RulePreview:
    try:
        (replayed,) = replay(closes, [rule], first=first).rules
    except ReplayError as error:
        return RulePreview(rule=rule, reason=error.reason, simulated=simulated)
    if replayed.measured_range is None:
        return RulePreview(
            rule=rule, reason=Reason.of(Code.NO_HISTORY_FOR_METRIC, metric=rule.metric.name), simulated=simulated
        )
    since, until = replayed.measured_range
    return RulePreview(
        rule=rule,
        since=since,
        until=until,
        firings=replayed.episodes,
        last_firing=_last_firing(replayed),
        simulated=simulated,
    )


def _last_firing(replayed: RuleReplay) -> Step | None:
    return next((step for step in reversed(replayed.steps) if step.change is Change.FIRING), None)
