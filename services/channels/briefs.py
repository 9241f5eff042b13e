"""Build briefs on request, and send due briefs once to each subscribed channel."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from services.alerting.alert import Alert
from services.alerting.brief import BRIEF_GRACE, DueBrief, alerts_since, brief_windows, due_briefs, special_days
from services.alerting.channel_settings import Occasion
from services.alerting.notice import Brief, Notice
from services.alerting.ports import StoredChannel
from services.channels.ports import ChannelStore
from services.core.errors import NoHistoryError
from services.core.identity import Channel
from services.core.prices import Pair
from services.core.reason import Reason
from services.core.trust import TRUSTED
from services.market.measure import Measurement, Window
from services.market.mining_power import PowerEstimate
from services.market.network import Retarget
from services.research.service import measure_network
from services.rules.market_service import MarketService
from services.rules.market_view import MarketView

MAX_ALERTS = 1_000  # of one channel in one week


@dataclass(frozen=True, slots=True)
class BriefBuilder:
    """Builds briefs from a pair's market and the stored alerts."""

    store: ChannelStore
    market: MarketService
    pair: Pair

    async def build(self, channel: Channel, occasion: Occasion, now: datetime) -> Brief:
        """Build a brief as of `now`; unknown parts are left out, with the reason in `problems`."""
        sessions = self.market.history.sessions(now)
        state, since = sessions.state_at(now), alerts_since(occasion, sessions, now)
        view, problem = await self._view(now)
        current = view.current if view else None
        retarget, network = await self._retarget(now)
        measurements = [current.measurements[window] for window in brief_windows(occasion)] if current else []
        before_open = occasion is Occasion.OPEN and not state.is_open
        return Brief(
            occasion=occasion,
            at=now,
            session=sessions.state_at(state.next_open_at).session if before_open else state.session,
            since=since,
            pair=self.pair,
            measurements=tuple(measurement for measurement in measurements if isinstance(measurement, Measurement)),
            gap=view.gap if view else None,
            etf=current.etf if current else None,
            crypto=current.crypto if current else None,
            trust=current.trust if current else TRUSTED,
            alerts=tuple(await self._alerts(channel, since)),
            retarget=retarget,
            network=network,
            special_days=special_days(sessions, occasion, now),
            problems=view.problems if view else (problem,),
            simulated=self.market.history.simulated,
            power=await self._power(now) if occasion is Occasion.WEEKLY else None,
        )

    async def is_ready(self, now: datetime) -> bool:
        """Return whether the last session's official close is in, or its waiting time is over."""
        view, _ = await self._view(now)
        closes_at = self.market.history.sessions(now).state_at(now).closes_at
        has_close = (
            view is not None and view.live is None and isinstance(view.close.measurements[Window.D1], Measurement)
        )
        return has_close or now - closes_at >= BRIEF_GRACE

    async def _view(self, now: datetime) -> tuple[MarketView | None, Reason | str]:
        try:
            return await self.market.view(self.pair, now), ""
        except NoHistoryError as error:
            return None, error.reason

    async def _retarget(self, now: datetime) -> tuple[Retarget | None, str]:
        """Return the next retarget and its source; None if the network's figures cannot be used."""
        try:
            checked = await self.market.mining.network(now)
        except NoHistoryError:
            return None, ""
        return (checked.network.retarget if checked.trust.verdict.usable else None), checked.network.source

    async def _power(self, now: datetime) -> PowerEstimate | None:
        """Return the network's power draw; None if its figures cannot be used."""
        try:
            result = await measure_network(self.market.history, self.market.mining, self.pair.etf, now)
        except NoHistoryError:
            return None
        return result.power if result.checked.trust.verdict.usable else None

    async def _alerts(self, channel: Channel, since: datetime) -> list[Alert]:
        alerts = await self.store.history(channel, MAX_ALERTS)
        return [
            alert for alert in alerts if alert.closed_at is None or alert.closed_at > since or alert.opened_at > since
        ]


async def send_due_briefs(
    store: ChannelStore, market: MarketService, pair: Pair, channels: Iterable[StoredChannel], now: datetime
) -> int:
    """Send each due brief once to the channels that subscribed to it; return the number sent."""
    builder, sent = BriefBuilder(store, market, pair), 0
    for brief in due_briefs(market.history.sessions(now), now):
        for channel in [stored.channel for stored in channels if _is_subscribed(stored, brief)]:
            if await store.has_notice(channel, brief.name):
                continue
            if brief.occasion is not Occasion.OPEN and not await builder.is_ready(now):
                continue
            content = await builder.build(channel, brief.occasion, now)
            notice = Notice(id=0, channel=channel, name=brief.name, content=content, opened_at=now, closed_at=now)
            sent += await store.add_notices([notice], now)
    return sent


def _is_subscribed(stored: StoredChannel, brief: DueBrief) -> bool:
    return any(
        subscription.occasion is brief.occasion and subscription.since <= brief.since
        for subscription in stored.settings.briefs
    )
