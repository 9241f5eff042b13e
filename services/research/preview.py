"""Preview a rule: how often it would have fired in the last two years."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from services.core.errors import ReplayError
from services.core.prices import Pair
from services.market.align import Aligned
from services.market.measure import METRICS
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
    reason: str = ""
    simulated: bool = False


async def preview_rule(market: MarketService, rule: Rule, default_pair: Pair, now: datetime) -> RulePreview:
    """Replay a rule over the last two years, in a worker thread. Raises NoHistoryError.

    Hold times count as zero, because only closes are known. No prices are fetched for a pair that is neither watched
    yet nor the default pair, because a person passes many symbols while typing.
    """
    if METRICS[rule.metric].series is None:
        return RulePreview(
            rule=rule, reason="a gap is there only while New York is shut, and the past is kept by its closes"
        )
    if not market.has_history(rule.pair) and rule.pair != default_pair:
        return RulePreview(rule=rule, reason=f"the prices of {rule.pair} are fetched once the rule is added")
    closes = await market.mining.with_network_history(await market.closes(rule.pair, now), rule.metric, now)
    return await asyncio.to_thread(_preview, closes, rule, (now - LOOKBACK).date(), simulated=market.history.simulated)


def _preview(closes: Aligned, rule: Rule, first: date, *, simulated: bool) -> RulePreview:
    try:
        (replayed,) = replay(closes, [rule], first=first).rules
    except ReplayError as error:
        return RulePreview(rule=rule, reason=str(error).rstrip("."), simulated=simulated)
    if replayed.measured_range is None:
        return RulePreview(
            rule=rule, reason=f"there is too little history for {rule.metric.value}", simulated=simulated
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
