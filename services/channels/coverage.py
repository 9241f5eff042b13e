"""Coverage reports: which checks ran in a session, the nearest miss, and the delivery status."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import assert_never

from services.alerting.alert import Alert
from services.alerting.notice import CoverageReport, NearestMiss, Notice, PairCoverage
from services.alerting.ports import ChannelRule, StoredChannel
from services.alerting.tick_log import Extreme, metric_key
from services.channels.ports import ChannelStore
from services.core.clock import count_boundaries
from services.core.errors import NoHistoryError
from services.core.identity import Channel
from services.core.prices import Pair, to_datetime
from services.core.sessions import MarketState
from services.market.metrics import Direction
from services.rules.market_service import MarketService
from services.rules.rule import Rule

MAX_ALERTS = 1_000  # of one channel in one session


async def build_coverage(
    store: ChannelStore, market: MarketService, channel: Channel, now: datetime, interval: timedelta
) -> CoverageReport:
    """Build the coverage report of the open session, or of the last one; rules are checked every `interval`."""
    rules = await store.rules(channel)
    sessions = market.history.sessions(now)
    state = sessions.state_at(now)
    recent = await store.history(channel, MAX_ALERTS)
    alerts = [alert for alert in recent if state.opens_at <= alert.opened_at]
    since = to_datetime(sessions.closes_at[sessions.last_closed(state.opens_at)])
    open_since = [alert for alert in recent if alert.closed_at is None or since <= alert.closed_at]
    pairs = list(dict.fromkeys(channel_rule.rule.pair for channel_rule in rules))
    return CoverageReport(
        session=state.session,
        at=min(now, state.closes_at),
        final=not state.is_open,
        rules=len(rules),
        pairs=tuple([await _pair_day(store, market, pair, state, now, interval=interval) for pair in pairs]),
        alerts=len(alerts),
        nearest_miss=await _nearest_miss(store, rules, open_since, state),
        message_counts=await store.posted(channel, state.opens_at),
        simulated=market.history.simulated,
    )


async def send_daily_coverage(
    store: ChannelStore,
    market: MarketService,
    channels: Iterable[StoredChannel],
    now: datetime,
    interval: timedelta,
) -> int:
    """Send the coverage report to subscribed channels, once after each close; return the number sent.

    A report that was missed right after the close is still sent until the next open.
    """
    state = market.history.sessions(now).state_at(now)
    if state.is_open:
        return 0
    subscribed = [stored.channel for stored in channels if _is_subscribed(stored, state)]
    sent = 0
    for channel in subscribed:
        name = f"daily:{state.session}"
        if await store.has_notice(channel, name):
            continue
        content = await build_coverage(store, market, channel, now, interval)
        notice = Notice(id=0, channel=channel, name=name, content=content, opened_at=now, closed_at=now)
        sent += await store.add_notices([notice], now)
    return sent


def _is_subscribed(channel: StoredChannel, state: MarketState) -> bool:
    since = channel.settings.daily_since
    return since is not None and since <= state.closes_at


async def _pair_day(
    store: ChannelStore, market: MarketService, pair: Pair, state: MarketState, now: datetime, *, interval: timedelta
) -> PairCoverage:
    end = min(now, state.closes_at)
    verdicts = await store.verdicts(pair, state.opens_at, end)
    status = next((candidate for candidate in await store.pair_statuses() if candidate.pair == pair), None)
    try:
        problems = (await market.view(pair, now)).problems
    except NoHistoryError as error:
        problems = (error.reason,)
    return PairCoverage(
        pair=pair,
        expected=count_boundaries(state.opens_at, end, interval),
        done=sum(verdicts.values()),
        verdicts=tuple(sorted(verdicts.items())),
        sources=tuple(dict.fromkeys(stamp.source for stamp in status.prices)) if status else (),
        unusable_reason=status.reason if status and status.nodata_since else None,
        problems=tuple(problems),
    )


async def _nearest_miss(
    store: ChannelStore, rules: Sequence[ChannelRule], alerts: Sequence[Alert], state: MarketState
) -> NearestMiss | None:
    """Return the nearest miss among the rules that had no open alert since the previous close."""
    fired = {hit.rule_id for alert in alerts for hit in alert.hits}
    extremes = {
        pair: await store.extremes(pair, state.session)
        for pair in dict.fromkeys(channel_rule.rule.pair for channel_rule in rules)
    }
    misses = [
        _miss(channel_rule.rule, extreme)
        for channel_rule in rules
        if channel_rule.id not in fired
        and (extreme := extremes[channel_rule.rule.pair].get(metric_key(channel_rule.rule)))
    ]
    return max(misses, key=lambda miss: miss.share, default=None)


def _miss(rule: Rule, extreme: Extreme) -> NearestMiss:
    """Return the largest share of its threshold that a rule reached, on the sides that it watches."""
    above, below = (extreme.high / rule.threshold, extreme.high_at), (-extreme.low / rule.threshold, extreme.low_at)
    match rule.direction:
        case Direction.ABOVE:
            share, at = above
        case Direction.BELOW:
            share, at = below
        case Direction.EITHER:
            share, at = max(above, below)
        case _:
            assert_never(rule.direction)
    return NearestMiss(rule=str(rule), share=max(share, 0.0), at=at)
