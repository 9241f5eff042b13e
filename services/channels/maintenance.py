"""Upkeep: what time alone makes due: silences that end, calls, outages, briefs, and the line at the close."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.alerting.ports import StoredChannel
from services.alerting.rule_index import RuleIndex
from services.alerting.tick_log import Claim, Tick
from services.channels.briefs import send_due_briefs
from services.channels.coverage import send_daily_coverage
from services.channels.escalation import remind_and_escalate, update_escalations
from services.channels.outages import sync_outage_notices
from services.channels.ports import MaintenanceStore
from services.channels.quiet_hours import apply_silence
from services.core.clock import boundary
from services.core.errors import ConflictError
from services.core.prices import WGMI_BTC, Pair
from services.rules.market_service import MarketService

CHORE = "upkeep"
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Maintenance:
    """The second hand of the clockwork: calls nothing by itself, does one round when it is told to.

    Each thing is done once by what is stored, whoever does it: a round that a crash cuts short is made good by the
    next one, and two rounds at once do no harm. The claim spares the work of several processes, no more.
    """

    store: MaintenanceStore
    market: MarketService
    watchlist: RuleIndex
    nudge: Callable[[], None]
    every: timedelta = timedelta(minutes=1)
    pair: Pair = WGMI_BTC

    async def tick(self, now: datetime) -> int:
        """Do one round, where no other process does; give the number of things done.

        1. End the silences that are over with their digests, and expect the next ones.
        2. Remind and escalate; let what other channels were told follow its alert.
        3. Tell outages that have begun or ended.
        4. After a close, tell the channels that asked for it what was looked at.
        5. Tell the briefs that are due.
        """
        tick = Tick(job=CHORE, boundary=boundary(now, self.every), claimed_at=now)
        if await self.store.claim_tick(CHORE, tick.boundary, now) is not Claim.OURS:
            return 0
        try:
            done = await self._round(now)
            await self.store.finish_tick(tick)
        except Exception:
            await self.store.release_tick(CHORE, tick.boundary, now)
            raise
        if done:
            self.nudge()
        return done

    async def _round(self, now: datetime) -> int:
        done = await self._keep_silences(await self.store.channels(), now)
        channels = {one.channel: one for one in await self.store.channels()}
        done += await remind_and_escalate(self.store, channels, now)
        done += await update_escalations(self.store, now)
        done += await sync_outage_notices(self.store, self.watchlist, self.market, now)
        asked = [one for one in channels.values() if one.settings.daily_since is not None]
        done += await send_daily_coverage(self.store, self.market, asked, now, self.every)
        briefed = [one for one in channels.values() if one.settings.briefs]
        return done + await send_due_briefs(self.store, self.market, self.pair, briefed, now)

    async def _keep_silences(self, channels: Iterable[StoredChannel], now: datetime) -> int:
        sessions = self.market.history.sessions(now)
        released = 0
        for stored in channels:
            try:
                released += await apply_silence(self.store, stored, sessions, now)
            except ConflictError as error:  # a person has just set something
                log.info("channel %s is looked at again in the next round: %s", stored.channel.id, error)
        return released
