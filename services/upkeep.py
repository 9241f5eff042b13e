"""Upkeep: what time alone makes due: silences that end, calls, outages, briefs, and the line at the close."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from services.briefs import tell_briefs
from services.calls import call_again, follow_escalations
from services.domain.errors import ConflictError
from services.domain.prices import WGMI_BTC
from services.domain.rounds import boundary
from services.outages import tell_outages
from services.ports import Claim, Tick
from services.proof import tell_daily
from services.silences import keep_silence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from services.domain.prices import Pair
    from services.market import Market
    from services.ports import StoredChannel, UpkeepStore
    from services.watchlist import Watchlist

CHORE = "upkeep"
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Upkeep:
    """The second hand of the clockwork: calls nothing by itself, does one round when it is told to.

    Each thing is done once by what is stored, whoever does it: a round that a crash cuts short is made good by the
    next one, and two rounds at once do no harm. The claim spares the work of several processes, no more.
    """

    store: UpkeepStore
    market: Market
    watchlist: Watchlist
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
        done += await call_again(self.store, channels, now)
        done += await follow_escalations(self.store, now)
        done += await tell_outages(self.store, self.watchlist, self.market, now)
        asked = [one for one in channels.values() if one.settings.daily_since is not None]
        done += await tell_daily(self.store, self.market, asked, now, self.every)
        briefed = [one for one in channels.values() if one.settings.briefs]
        return done + await tell_briefs(self.store, self.market, self.pair, briefed, now)

    async def _keep_silences(self, channels: Iterable[StoredChannel], now: datetime) -> int:
        sessions = self.market.history.sessions(now)
        released = 0
        for stored in channels:
            try:
                released += await keep_silence(self.store, stored, sessions, now)
            except ConflictError as error:  # a person has just set something
                log.info("channel %s is looked at again in the next round: %s", stored.channel.id, error)
        return released
