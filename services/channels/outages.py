"""Outages: pairs without usable prices, and the bitcoin network, told once in each channel that watches them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from services.alerting.notice import Notice, Outage
from services.alerting.ports import NoticeStore, StoredNotice
from services.alerting.rule_index import RuleIndex
from services.alerting.tick_log import PairStatus
from services.channels.ports import MaintenanceStore
from services.core.errors import ConflictError, NoHistoryError
from services.core.identity import Channel
from services.core.prices import Pair
from services.core.trust import FULL, Trust, Verdict
from services.market.measure import METRICS
from services.rules.decide import GRACE
from services.rules.market_service import MarketService

Key = tuple["Channel", "Pair"]


async def sync_outage_notices(
    store: MaintenanceStore, watchlist: RuleIndex, market: MarketService, now: datetime
) -> int:
    """Tell what has been out for longer than the grace period, and what is back; give how many messages changed.

    An outage is known by its beginning, so that whoever finds it again tells nothing new.
    """
    sights = {one.pair: one for one in await store.sights()}
    changed = 0
    for sight in sights.values():
        if sight.dark_at is not None and now - sight.dark_at > GRACE:
            channels = await _watching(watchlist, sight.pair)
            changed += await store.add_notices([_outage(sight, sight.dark_at, channel) for channel in channels], now)
    told = await store.open_notices(Outage)
    for stored in [one for one in told if not _of(one).network]:
        changed += await _end(store, stored, sights, now)
    networks = {(one.notice.channel, _of(one).pair): one for one in told if _of(one).network}
    return changed + await _tell_network(store, await _dark(watchlist, sights), networks, market, now)


async def _watching(watchlist: RuleIndex, pair: Pair) -> list[Channel]:
    """List the channels with a rule on a pair, in the order of their first one."""
    return list(dict.fromkeys(watch.channel for watch in (await watchlist.of(pair)).watches))


async def _dark(watchlist: RuleIndex, sights: Mapping[Pair, PairStatus]) -> dict[Key, datetime]:
    """Find since when the rules on the network see nothing while their pair's prices are there: by channel and pair."""
    dark = dict[Key, datetime]()
    for pair, watches in (await watchlist.pairs()).items():
        if pair not in sights or sights[pair].dark_at is not None:
            continue
        for watch in watches.watches:
            if METRICS[watch.rule.metric].of_network and watch.state.dark_at is not None:
                key = watch.channel, pair
                dark[key] = min(watch.state.dark_at, dark.get(key, watch.state.dark_at))
    return dark


async def _tell_network(
    store: NoticeStore,
    dark: Mapping[Key, datetime],
    told: Mapping[Key, StoredNotice],
    market: MarketService,
    now: datetime,
) -> int:
    """Tell once that the network cannot be used, whatever rules come and go meanwhile, and once that it can again.

    It is looked at only where rules see nothing of it; some may merely have too little history.
    """
    due = {key: since for key, since in dark.items() if now - since > GRACE and key not in told}
    trust = {pair: await _of_network(market, pair, now) for pair in {pair for _channel, pair in (*due, *told)}}
    back = [stored for (_channel, pair), stored in told.items() if trust[pair].verdict.usable]
    notices = [
        _network_outage(key, since, "; ".join(trust[key[1]].reasons))
        for key, since in due.items()
        if not trust[key[1]].verdict.usable
    ]
    changed = await store.add_notices(notices, now) if notices else 0
    return changed + sum([await _back(store, stored, now, now) for stored in back])


async def _of_network(market: MarketService, pair: Pair, now: datetime) -> Trust:
    """Tell how far the network's figures can be used beside a pair's coin, whose price is a part of some."""
    try:
        seen = (await market.view_with_network(pair, now)).network
    except NoHistoryError as error:
        return Trust(verdict=Verdict.STALE, reasons=(str(error).rstrip("."),))
    return seen.weakest if seen else FULL


def _network_outage(key: Key, since: datetime, why: str) -> Notice:
    channel, pair = key
    content = Outage(pair=pair, since=since, reason=why, network=True)
    name = f"outage:network:{pair}:{since.isoformat()}"
    return Notice(id=0, channel=channel, name=name, content=content, opened_at=since)


def _outage(sight: PairStatus, since: datetime, channel: Channel) -> Notice:
    content = Outage(
        pair=sight.pair, since=since, reason=sight.reason or "", prices=sight.prices, simulated=sight.simulated
    )
    name = f"outage:{sight.pair}:{since.isoformat()}"
    return Notice(id=0, channel=channel, name=name, content=content, opened_at=since)


def _of(stored: StoredNotice) -> Outage:
    content = stored.notice.content
    assert isinstance(content, Outage), "only these were asked for"  # noqa: S101
    return content


async def _end(store: NoticeStore, stored: StoredNotice, sights: dict[Pair, PairStatus], now: datetime) -> int:
    """Tell that prices are back where the outage is over, also where another one has begun since."""
    content = _of(stored)
    sight = sights.get(content.pair)
    if sight is None or sight.usable_at is None or sight.usable_at <= content.since:
        return 0
    return await _back(store, stored, sight.usable_at, now)


async def _back(store: NoticeStore, stored: StoredNotice, back_at: datetime, now: datetime) -> int:
    over = replace(_of(stored), back_at=back_at)
    try:
        await store.amend_notice(replace(stored, notice=replace(stored.notice, content=over, closed_at=back_at)), now)
    except ConflictError:
        return 0  # another process has
    return 1
