"""Partings: what the ETF's move came with, found when a rule fires, for the alerts that begin."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.domain.attribution import AI_PROXY
from services.domain.measure import DIVERGENCES, Window
from services.domain.parted import Parted, parted
from services.domain.prices import Closes
from services.history import COINS
from services.live import trade_beside

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from services.domain.prices import Symbol
    from services.domain.rule import Rule
    from services.history import History, Leg
    from services.market import MarketView

PATIENCE_S = 3.0  # an alert without its parts is better than a late one
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Parter:
    """Parts the ETF's return between bitcoin, the AI proxy and neither, where a rule fires on how far they part.

    The proxy is asked for only then, and waited for `patience_s` seconds at most.
    """

    history: History
    proxy: Symbol = AI_PROXY
    patience_s: float = PATIENCE_S

    async def of(self, rules: Iterable[Rule], view: MarketView, now: datetime) -> dict[Rule, Parted]:
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


def _parted(leg: Leg, view: MarketView, rule: Rule) -> Parted | None:
    seen, proxy = view.seen_by(rule), leg.past.prices
    if seen is None or not isinstance(proxy, Closes):
        return None
    trade = trade_beside(leg, view.market, seen.at) if seen.live else None
    # Where a dividend went out this morning, the closes before are higher by it.
    last = None if trade is None else trade.price / leg.past.carry(view.market.session)
    return parted(seen.rows, rule.window or Window.D1, proxy, last)
