"""Add the return attribution and the track record of a rule to an alert when it fires."""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np

from services.core.errors import DataError
from services.core.prices import AI_PROXY, Closes, Pair, Symbol
from services.market.align import Aligned
from services.market.consensus.closes import COINS, LegHistory
from services.market.live_pair import trade_near
from services.market.measure import Window
from services.market.network_service import NetworkService
from services.market.price_history import PriceHistory
from services.research.attribution import AlertAttribution, attribute_alert
from services.research.track_record import TrackRecord, compute_track_record
from services.rules.market_service import align_legs
from services.rules.market_view import MarketView
from services.rules.rule import Rule

TIMEOUT_S = 3.0  # an alert without its attribution is better than a late one
log = logging.getLogger(__name__)


@dataclass(slots=True)
class AttributionEnricher:
    """Attributes the ETF's return to bitcoin, the AI proxy and a residual when a divergence rule fires.

    The proxy's prices are requested only then, and waited for `timeout_s` seconds at most.
    """

    history: PriceHistory
    proxy: Symbol = AI_PROXY
    timeout_s: float = TIMEOUT_S

    async def for_rules(self, rules: Iterable[Rule], view: MarketView, now: datetime) -> dict[Rule, AlertAttribution]:
        """Return the attribution by rule. A rule without prices is left out; if the proxy is late, all are."""
        eligible = [rule for rule in rules if rule.metric.is_divergence]
        if not eligible or view.pair.etf == self.proxy or view.pair.crypto not in COINS:
            return {}
        try:
            async with asyncio.timeout(self.timeout_s):
                leg = await self.history.leg(self.proxy, now)
        except TimeoutError:
            log.info("%s prices are late; alerts on %s open without their attribution", self.proxy, view.pair)
            return {}
        found = {rule: _attribute(leg, view, rule) for rule in eligible}
        return {rule: attribution for rule, attribution in found.items() if attribution is not None}


def _attribute(leg: LegHistory, view: MarketView, rule: Rule) -> AlertAttribution | None:
    measured, proxy = view.snapshot_for(rule), leg.history.prices
    if measured is None or not isinstance(proxy, Closes):
        return None
    trade = trade_near(leg, view.market, measured.at) if measured.live else None
    # If the proxy went ex-dividend this morning, the closes before it are higher by the dividend.
    last = None if trade is None else trade.price / leg.history.dividend_factor(view.market.session)
    return attribute_alert(measured.aligned, rule.window or Window.D1, proxy, last)


TrackRecords = dict[Rule, TrackRecord]


@dataclass(slots=True)
class TrackRecordEnricher:
    """Computes track records of rules up to the last close, and caches them until the next session closes."""

    history: PriceHistory
    network: NetworkService = field(default_factory=lambda: NetworkService([]))
    _session: np.datetime64 | None = None
    _cache: dict[Rule, TrackRecord | None] = field(default_factory=dict)

    async def for_rules(self, rules: Iterable[Rule], now: datetime) -> TrackRecords:
        """Return the track records of some rules; a rule without a record or without prices is left out."""
        sessions = self.history.sessions(now)
        last = sessions.days[sessions.last_closed(now)]
        if last != self._session:
            self._session, self._cache = last, {}
        for rule in rules:
            replayed = _as_replayed(rule)
            if replayed not in self._cache:
                self._cache[replayed] = await self._replay(replayed, now)
        found = {rule: self._cache[_as_replayed(rule)] for rule in rules}
        return {rule: track_record for rule, track_record in found.items() if track_record is not None}

    async def _replay(self, rule: Rule, now: datetime) -> TrackRecord | None:
        """Replay a rule in a thread; return None on failure, as an alert without a track record is better than none."""
        try:
            aligned = await self.network.with_network_history(await self._aligned(rule.pair, now), rule.metric, now)
            return await asyncio.to_thread(compute_track_record, aligned, rule)
        except DataError as error:
            log.info("no track record of %s: %s", rule, error)
            return None

    async def _aligned(self, pair: Pair, now: datetime) -> Aligned:
        etf, crypto = await self.history.pair(pair, now)
        return align_legs(pair, etf, crypto, self.history.sessions(now), now)


def _as_replayed(rule: Rule) -> Rule:
    """Return the rule as a replay evaluates it: at closes, without a hold. Rules that replay alike become equal."""
    return replace(rule, hold=timedelta(0), at_close=True)
