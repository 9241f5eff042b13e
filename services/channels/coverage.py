"""Proof of silence: what was looked at in a session, how near it came, and whether it could have been told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from services.alerting.alert import Alert
from services.alerting.notice import CoverageReport, NearestMiss, Notice, PairDay
from services.alerting.ports import StoredChannel
from services.alerting.records import ChannelRule
from services.alerting.tick_log import Extreme, metric_key
from services.channels.ports import CoverageStore, MaintenanceStore
from services.core.clock import rounds_between
from services.core.errors import NoHistoryError
from services.core.identity import Channel
from services.core.prices import Pair, moment
from services.core.sessions import MarketState
from services.rules.market_service import MarketService
from services.rules.rule import Direction, Rule

ALERTS_AT_MOST = 1_000  # of one channel in one session


async def build_coverage(
    store: CoverageStore, market: MarketService, channel: Channel, now: datetime, every: timedelta
) -> CoverageReport:
    """Put together the proof of the session that is open, or of the last one; rules are looked at each `every`."""
    watches = await store.rules(channel)
    sessions = market.history.sessions(now)
    state = sessions.state(now)
    told = await store.history(channel, ALERTS_AT_MOST)
    alerts = [one for one in told if state.opens_at <= one.opened_at]
    since = moment(sessions.closes_at[sessions.last_closed(state.opens_at)])
    stood = [one for one in told if one.closed_at is None or since <= one.closed_at]
    pairs = list(dict.fromkeys(watch.rule.pair for watch in watches))
    return CoverageReport(
        session=state.session,
        at=min(now, state.closes_at),
        final=not state.is_open,
        rules=len(watches),
        pairs=tuple([await _day(store, market, pair, state, now, every=every) for pair in pairs]),
        alerts=len(alerts),
        miss=await _nearest_miss(store, watches, stood, state),
        posted=await store.posted(channel, state.opens_at),
        simulated=market.history.simulated,
    )


async def send_daily_coverage(
    store: MaintenanceStore, market: MarketService, channels: Iterable[StoredChannel], now: datetime, every: timedelta
) -> int:
    """Tell the channels that asked for it, once after each close; give how many were told.

    A session is told also where nobody looked right after its close, but only until the next one opens.
    """
    state = market.history.sessions(now).state(now)
    if state.is_open:
        return 0
    wanting = [one.channel for one in channels if _wants(one, state)]
    told = 0
    for channel in wanting:
        name = f"daily:{state.session}"
        if await store.has_notice(channel, name):
            continue
        content = await build_coverage(store, market, channel, now, every)
        notice = Notice(id=0, channel=channel, name=name, content=content, opened_at=now, closed_at=now)
        told += await store.add_notices([notice], now)
    return told


def _wants(channel: StoredChannel, state: MarketState) -> bool:
    since = channel.settings.daily_since
    return since is not None and since <= state.closes_at


async def _day(
    store: CoverageStore, market: MarketService, pair: Pair, state: MarketState, now: datetime, *, every: timedelta
) -> PairDay:
    end = min(now, state.closes_at)
    verdicts = await store.verdicts(pair, state.opens_at, end)
    sight = next((one for one in await store.sights() if one.pair == pair), None)
    try:
        problems = (await market.view(pair, now)).problems
    except NoHistoryError as error:
        problems = (str(error),)
    return PairDay(
        pair=pair,
        expected=rounds_between(state.opens_at, end, every),
        done=sum(verdicts.values()),
        verdicts=tuple(sorted(verdicts.items())),
        sources=tuple(dict.fromkeys(stamp.source for stamp in sight.prices)) if sight else (),
        trouble=sight.reason if sight and sight.dark_at else None,
        problems=tuple(problems),
    )


async def _nearest_miss(
    store: CoverageStore, watches: Sequence[ChannelRule], alerts: Sequence[Alert], state: MarketState
) -> NearestMiss | None:
    """Find what came nearest to its threshold among the rules without an alert that stood since the close before."""
    fired = {fact.rule_id for alert in alerts for fact in alert.facts}
    extremes = {
        pair: await store.extremes(pair, state.session) for pair in dict.fromkeys(watch.rule.pair for watch in watches)
    }
    misses = [
        _miss(watch.rule, seen)
        for watch in watches
        if watch.id not in fired and (seen := extremes[watch.rule.pair].get(metric_key(watch.rule)))
    ]
    return max(misses, key=lambda miss: miss.share, default=None)


def _miss(rule: Rule, seen: Extreme) -> NearestMiss:
    """Measure how near a rule came on the sides that it watches."""
    above, below = (seen.high / rule.threshold, seen.high_at), (-seen.low / rule.threshold, seen.low_at)
    nearest = {Direction.ABOVE: above, Direction.BELOW: below, Direction.EITHER: max(above, below)}
    share, at = nearest[rule.direction]
    return NearestMiss(rule=str(rule), share=max(share, 0.0), at=at)
