"""Outages: pairs without usable prices, told once in each channel that watches them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from services.domain.decide import GRACE
from services.domain.errors import ConflictError
from services.domain.notice import Notice, Outage

if TYPE_CHECKING:
    from datetime import datetime

    from services.domain.episode import Channel
    from services.domain.prices import Pair
    from services.ports import NoticeStore, Sight, StoredNotice, UpkeepStore
    from services.watchlist import Watchlist


async def tell_outages(store: UpkeepStore, watchlist: Watchlist, now: datetime) -> int:
    """Tell what has been out for longer than the grace period, and what is back; give how many messages changed.

    An outage is known by its beginning, so that whoever finds it again tells nothing new.
    """
    sights = {one.pair: one for one in await store.sights()}
    changed = 0
    for sight in sights.values():
        if sight.dark_at is not None and now - sight.dark_at > GRACE:
            channels = await _watching(watchlist, sight.pair)
            changed += await store.add_notices([_outage(sight, sight.dark_at, channel) for channel in channels], now)
    for stored in await store.open_notices(Outage):
        changed += await _end(store, stored, sights, now)
    return changed


async def _watching(watchlist: Watchlist, pair: Pair) -> list[Channel]:
    """List the channels with a rule on a pair, in the order of their first one."""
    return list(dict.fromkeys(watch.channel for watch in (await watchlist.of(pair)).watches))


def _outage(sight: Sight, since: datetime, channel: Channel) -> Notice:
    content = Outage(
        pair=sight.pair, since=since, reason=sight.reason or "", prices=sight.prices, simulated=sight.simulated
    )
    name = f"outage:{sight.pair}:{since.isoformat()}"
    return Notice(id=0, channel=channel, name=name, content=content, opened_at=since)


async def _end(store: NoticeStore, stored: StoredNotice, sights: dict[Pair, Sight], now: datetime) -> int:
    """Tell that prices are back where the outage is over, also where another one has begun since."""
    content = stored.notice.content
    assert isinstance(content, Outage), "only these were asked for"  # noqa: S101
    sight = sights.get(content.pair)
    if sight is None or sight.usable_at is None or sight.usable_at <= content.since:
        return 0
    over = replace(content, back_at=sight.usable_at)
    try:
        await store.amend_notice(
            replace(stored, notice=replace(stored.notice, content=over, closed_at=sight.usable_at)), now
        )
    except ConflictError:
        return 0  # another process has
    return 1
