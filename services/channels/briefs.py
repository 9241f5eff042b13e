"""Briefs: put together for whoever asks, and told to the channels that asked for them, once each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from services.alerting.alert import Alert
from services.alerting.brief import LATE_BY, Brief, Due, Occasion, days_ahead, due, told_since, windows
from services.alerting.notice import Notice
from services.alerting.ports import StoredChannel
from services.channels.ports import CoverageStore, MaintenanceStore
from services.core.errors import NoHistoryError
from services.core.identity import Channel
from services.core.prices import Pair
from services.core.trust import FULL
from services.market.measure import Measurement, Window
from services.market.network import Retarget
from services.rules.market_service import MarketService, MarketView

ALERTS_AT_MOST = 1_000  # of one channel in one week


@dataclass(frozen=True, slots=True)
class BriefBuilder:
    """What briefs are made of: the pair that they are about, its market, and what the store knows of alerts."""

    store: CoverageStore
    market: MarketService
    pair: Pair

    async def brief(self, channel: Channel, occasion: Occasion, now: datetime) -> Brief:
        """Put a brief together as of `now`; what is not known is left out of it, with the reason."""
        sessions = self.market.history.sessions(now)
        state, since = sessions.state(now), told_since(occasion, sessions, now)
        view, problem = await self._view(now)
        seen = view.current if view else None
        retarget, network = await self._retarget(now)
        measured = [seen.measurements[window] for window in windows(occasion)] if seen else []
        coming = occasion is Occasion.OPEN and not state.is_open
        return Brief(
            occasion=occasion,
            at=now,
            session=sessions.state(state.next_open_at).session if coming else state.session,
            since=since,
            pair=self.pair,
            measured=tuple(one for one in measured if isinstance(one, Measurement)),
            gap=view.gap if view else None,
            etf=seen.etf if seen else None,
            crypto=seen.crypto if seen else None,
            trust=seen.trust if seen else FULL,
            alerts=tuple(await self._alerts(channel, since)),
            retarget=retarget,
            network=network,
            ahead=days_ahead(sessions, occasion, now),
            problems=view.problems if view else (problem,),
            simulated=self.market.history.simulated,
        )

    async def settled(self, now: datetime) -> bool:
        """Tell whether the last session's official close is in, or has been waited for long enough."""
        view, _ = await self._view(now)
        closes_at = self.market.history.sessions(now).state(now).closes_at
        is_in = view is not None and view.live is None and isinstance(view.close.measurements[Window.D1], Measurement)
        return is_in or now - closes_at >= LATE_BY

    async def _view(self, now: datetime) -> tuple[MarketView | None, str]:
        try:
            return await self.market.view(self.pair, now), ""
        except NoHistoryError as error:
            return None, str(error)

    async def _retarget(self, now: datetime) -> tuple[Retarget | None, str]:
        """Give the next retarget with who estimates it, where its figures can be used."""
        try:
            judged = await self.market.mining.network(now)
        except NoHistoryError:
            return None, ""
        return (judged.network.retarget if judged.trust.verdict.usable else None), judged.network.source

    async def _alerts(self, channel: Channel, since: datetime) -> list[Alert]:
        found = await self.store.history(channel, ALERTS_AT_MOST)
        return [one for one in found if one.closed_at is None or one.closed_at > since or one.opened_at > since]


async def send_due_briefs(
    store: MaintenanceStore, market: MarketService, pair: Pair, channels: Iterable[StoredChannel], now: datetime
) -> int:
    """Tell the channels that asked for it each brief that is due, once; give how many were told."""
    briefing, told = BriefBuilder(store, market, pair), 0
    for one in due(market.history.sessions(now), now):
        for channel in [stored.channel for stored in channels if _wants(stored, one)]:
            if await store.has_notice(channel, one.name):
                continue
            if one.occasion is not Occasion.OPEN and not await briefing.settled(now):
                continue
            content = await briefing.brief(channel, one.occasion, now)
            notice = Notice(id=0, channel=channel, name=one.name, content=content, opened_at=now, closed_at=now)
            told += await store.add_notices([notice], now)
    return told


def _wants(stored: StoredChannel, one: Due) -> bool:
    return any(asked.occasion is one.occasion and asked.since <= one.since for asked in stored.settings.briefs)
