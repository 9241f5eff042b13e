"""Trial: how often a rule would have fired on the past that is known, before anyone relies on it."""

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

LOOK_BACK = timedelta(days=731)  # two years


@dataclass(frozen=True, slots=True, kw_only=True)
class RulePreview:
    """What a rule would have done at session closes from `since` to `until`: how often it fired, and when last.

    `since` is None, with the `reason`, where that cannot be told.
    """

    rule: Rule
    since: date | None = None
    until: date | None = None
    fired: int = 0
    last: Step | None = None
    reason: str = ""
    simulated: bool = False


async def preview_rule(market: MarketService, rule: Rule, usual: Pair, now: datetime) -> RulePreview:
    """Put a rule to the last two years, in a thread, so that nobody waits for it. Raises NoHistoryError.

    Hold times count as zero, since only the closes are known. Of a pair that nobody watches yet and that is not the
    `usual` one nothing is fetched: whoever types a symbol passes over many.
    """
    if METRICS[rule.metric].series is None:
        return RulePreview(
            rule=rule, reason="a gap is there only while New York is shut, and the past is kept by its closes"
        )
    if not market.knows(rule.pair) and rule.pair != usual:
        return RulePreview(rule=rule, reason=f"the prices of {rule.pair} are fetched once the rule is added")
    closes = await market.mining.beside(await market.closes(rule.pair, now), rule.metric, now)
    return await asyncio.to_thread(_try, closes, rule, (now - LOOK_BACK).date(), simulated=market.history.simulated)


def _try(closes: Aligned, rule: Rule, first: date, *, simulated: bool) -> RulePreview:
    try:
        (done,) = replay(closes, [rule], first=first).rules
    except ReplayError as error:
        return RulePreview(rule=rule, reason=str(error).rstrip("."), simulated=simulated)
    if done.measured is None:
        return RulePreview(
            rule=rule, reason=f"there is too little history for {rule.metric.value}", simulated=simulated
        )
    since, until = done.measured
    return RulePreview(
        rule=rule, since=since, until=until, fired=done.episodes, last=_last_fired(done), simulated=simulated
    )


def _last_fired(done: RuleReplay) -> Step | None:
    return next((step for step in reversed(done.steps) if step.to is Change.FIRING), None)
