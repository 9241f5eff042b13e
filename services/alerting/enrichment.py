"""Partings: what the ETF's move came with, found when a rule fires, for the alerts that begin."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np

from services.core.concurrency import gather_all
from services.core.errors import NoHistoryError, ReplayError
from services.core.prices import AI_PROXY, Closes, Pair, Symbol
from services.market.align import Aligned
from services.market.live_pair import trade_beside
from services.market.measure import DIVERGENCES, Window
from services.market.network_service import NetworkService
from services.market.price_history import COINS, Leg, PriceHistory
from services.research.attribution import AlertAttribution, attribute_alert
from services.research.track_record import Record, record
from services.rules.market_service import MarketView, align_legs
from services.rules.rule import Rule

PATIENCE_S = 3.0  # an alert without its parts is better than a late one
log = logging.getLogger(__name__)


@dataclass(slots=True)
class AttributionEnricher:
    """Parts the ETF's return between bitcoin, the AI proxy and neither, where a rule fires on how far they part.

    The proxy is asked for only then, and waited for `patience_s` seconds at most.
    """

    history: PriceHistory
    proxy: Symbol = AI_PROXY
    patience_s: float = PATIENCE_S

    async def of(self, rules: Iterable[Rule], view: MarketView, now: datetime) -> dict[Rule, AlertAttribution]:
        """Part what rules see; one whose prices are not there is left out, and so are all where the proxy is late."""
        asked = [rule for rule in rules if rule.metric in DIVERGENCES]
        if not asked or view.pair.etf == self.proxy or view.pair.crypto not in COINS:
            return {}
        try:
            async with asyncio.timeout(self.patience_s):
                leg = await self.history.leg(self.proxy, now)
        except TimeoutError:
            log.info("%s is not there in time; alerts on %s come without their parts", self.proxy, view.pair)
            return {}
        found = {rule: _parted(leg, view, rule) for rule in asked}
        return {rule: parts for rule, parts in found.items() if parts is not None}


def _parted(leg: Leg, view: MarketView, rule: Rule) -> AlertAttribution | None:
    seen, proxy = view.seen_by(rule), leg.past.prices
    if seen is None or not isinstance(proxy, Closes):
        return None
    trade = trade_beside(leg, view.market, seen.at) if seen.live else None
    # Where a dividend went out this morning, the closes before are higher by it.
    last = None if trade is None else trade.price / leg.past.carry(view.market.session)
    return attribute_alert(seen.rows, rule.window or Window.D1, proxy, last)


Records = dict["Rule", Record]


@dataclass(slots=True)
class TrackRecordEnricher:
    """The records of rules up to the last close, kept until the next session closes."""

    history: PriceHistory
    mining: NetworkService = field(default_factory=lambda: NetworkService([]))
    _session: np.datetime64 | None = None
    _kept: dict[Rule, Record | None] = field(default_factory=dict)

    async def of(self, rules: Iterable[Rule], now: datetime) -> Records:
        """Find the records of some rules; one that has none, or whose prices are not there, is left out."""
        sessions = self.history.sessions(now)
        last = sessions.days[sessions.last_closed(now)]
        if last != self._session:
            self._session, self._kept = last, {}
        for rule in rules:
            asked = _at_closes(rule)
            if asked not in self._kept:
                self._kept[asked] = await self._found(asked, now)
        known = {rule: self._kept[_at_closes(rule)] for rule in rules}
        return {rule: found for rule, found in known.items() if found is not None}

    async def _found(self, rule: Rule, now: datetime) -> Record | None:
        """Replay a rule in a thread; an alert without its record is better than no alert."""
        try:
            aligned = await self.mining.beside(await self._aligned(rule.pair, now), rule.metric, now)
            return await asyncio.to_thread(record, aligned, rule)
        except (NoHistoryError, ReplayError) as error:
            log.info("no record of %s: %s", rule, error)
            return None

    async def _aligned(self, pair: Pair, now: datetime) -> Aligned:
        etf, crypto = await gather_all(self.history.leg(pair.etf, now), self.history.leg(pair.crypto, now))
        return align_legs(pair, etf, crypto, self.history.sessions(now), now)


def _at_closes(rule: Rule) -> Rule:
    """Make rules that a replay cannot tell apart the same: it decides at closes, with no hold."""
    return replace(rule, hold=timedelta(0), at_close=True)
