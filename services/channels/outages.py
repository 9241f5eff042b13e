"""Outage notices: pairs without usable prices, and the bitcoin network, once per channel that watches them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from services.alerting.notice import Notice, Outage
from services.alerting.ports import StoredNotice
from services.alerting.rule_index import RuleIndex
from services.alerting.tick_log import PairStatus
from services.channels.ports import ChannelStore
from services.core.errors import ConflictError, NoHistoryError
from services.core.identity import Channel
from services.core.prices import Pair
from services.core.reason import Reason, all_of
from services.core.trust import TRUSTED, Trust, Verdict
from services.rules.decide import NODATA_GRACE
from services.rules.market_service import MarketService

ChannelPair = tuple["Channel", "Pair"]


async def sync_outage_notices(store: ChannelStore, rule_index: RuleIndex, market: MarketService, now: datetime) -> int:
    """Post notices of long outages and close those that are over; return the number of changes.

    An outage is long after the grace period. Its start identifies it, so a repeat posts nothing new.
    """
    statuses = {entry.pair: entry for entry in await store.pair_statuses()}
    changed = 0
    for status in statuses.values():
        if status.nodata_since is not None and now - status.nodata_since > NODATA_GRACE:
            channels = await _channels_watching(rule_index, status.pair)
            changed += await store.add_notices(
                [_outage_notice(status, status.nodata_since, channel) for channel in channels], now
            )
    open_notices = await store.open_notices(Outage)
    for stored in [entry for entry in open_notices if not _outage_of(entry).network]:
        changed += await _close_if_recovered(store, stored, statuses, now)
    network_notices = {
        (entry.notice.channel, _outage_of(entry).pair): entry for entry in open_notices if _outage_of(entry).network
    }
    return changed + await _sync_network_notices(
        store, await _network_nodata(rule_index, statuses), network_notices, market, now
    )


async def _channels_watching(rule_index: RuleIndex, pair: Pair) -> list[Channel]:
    """Return the channels with a rule on a pair, in the order of their first rule."""
    return list(dict.fromkeys(channel_rule.channel for channel_rule in (await rule_index.for_pair(pair)).rules))


async def _network_nodata(rule_index: RuleIndex, statuses: Mapping[Pair, PairStatus]) -> dict[ChannelPair, datetime]:
    """Return since when network rules have no data although their pair has prices, by channel and pair."""
    nodata_since = dict[ChannelPair, datetime]()
    for pair, pair_rules in (await rule_index.pairs()).items():
        if pair not in statuses or statuses[pair].nodata_since is not None:
            continue
        for channel_rule in pair_rules.rules:
            if channel_rule.rule.metric.needs_network and channel_rule.state.nodata_since is not None:
                key = channel_rule.channel, pair
                nodata_since[key] = min(
                    channel_rule.state.nodata_since, nodata_since.get(key, channel_rule.state.nodata_since)
                )
    return nodata_since


async def _sync_network_notices(
    store: ChannelStore,
    nodata_since: Mapping[ChannelPair, datetime],
    open_notices: Mapping[ChannelPair, StoredNotice],
    market: MarketService,
    now: datetime,
) -> int:
    """Post one notice when the network becomes unusable, even if rules change later, and close it on recovery.

    The network is checked only if rules have no data from it; some rules may just have too little history.
    """
    due = {key: since for key, since in nodata_since.items() if now - since > NODATA_GRACE and key not in open_notices}
    trust = {
        pair: await _network_trust(market, pair, now) for pair in {pair for _channel, pair in (*due, *open_notices)}
    }
    recovered = [stored for (_channel, pair), stored in open_notices.items() if trust[pair].verdict.usable]
    notices = [
        _network_outage(key, since, all_of(trust[key[1]].reasons))
        for key, since in due.items()
        if not trust[key[1]].verdict.usable
    ]
    changed = await store.add_notices(notices, now) if notices else 0
    return changed + sum([await _close_notice(store, stored, now, now) for stored in recovered])


async def _network_trust(market: MarketService, pair: Pair, now: datetime) -> Trust:
    """Return the trust in the network's figures for a pair; some figures include the coin's price."""
    try:
        network = (await market.view_with_network(pair, now)).network
    except NoHistoryError as error:
        return Trust(verdict=Verdict.STALE, reasons=(error.reason,))
    return network.worst_trust if network else TRUSTED


def _network_outage(key: ChannelPair, since: datetime, reason: Reason | str) -> Notice:
    channel, pair = key
    content = Outage(pair=pair, since=since, reason=reason, network=True)
    name = f"outage:network:{pair}:{since.isoformat()}"
    return Notice(id=0, channel=channel, name=name, content=content, opened_at=since)


def _outage_notice(status: PairStatus, since: datetime, channel: Channel) -> Notice:
    content = Outage(
        pair=status.pair, since=since, reason=status.reason or "", prices=status.prices, simulated=status.simulated
    )
    name = f"outage:{status.pair}:{since.isoformat()}"
    return Notice(id=0, channel=channel, name=name, content=content, opened_at=since)


def _outage_of(stored: StoredNotice) -> Outage:
    content = stored.notice.content
    assert isinstance(content, Outage), "open_notices filters by content type"  # noqa: S101
    return content


async def _close_if_recovered(
    store: ChannelStore, stored: StoredNotice, statuses: dict[Pair, PairStatus], now: datetime
) -> int:
    """Close an outage notice if its prices are back, even if another outage has started since."""
    content = _outage_of(stored)
    status = statuses.get(content.pair)
    if status is None or status.usable_at is None or status.usable_at <= content.since:
        return 0
    return await _close_notice(store, stored, status.usable_at, now)


async def _close_notice(store: ChannelStore, stored: StoredNotice, recovered_at: datetime, now: datetime) -> int:
    outage = replace(_outage_of(stored), recovered_at=recovered_at)
    try:
        await store.update_notice(
            replace(stored, notice=replace(stored.notice, content=outage, closed_at=recovered_at)), now
        )
    except ConflictError:
        return 0  # another process has closed it
    return 1
