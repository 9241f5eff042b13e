"""Provenance: which sources stand behind the prices of a pair, and how each of them does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.core.errors import NoHistoryError
from services.core.prices import Pair, Symbol
from services.core.trust import Trust
from services.market.feeds.report import SourceReport
from services.market.price_history import COINS
from services.market.sources.catalogue import SOURCES
from services.rules.market_service import MarketService


@dataclass(frozen=True, slots=True, kw_only=True)
class LegSources:
    """The sources of one leg in order of preference, and those that are not asked.

    `keyed` names the sources that need an API key.
    """

    symbol: Symbol
    asked: tuple[SourceReport, ...]
    unused: tuple[str, ...]
    keyed: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    """The sources of a pair. `trust` is that of the prices now; None with `problem` where there are none at all."""

    pair: Pair
    trust: Trust | None
    problem: str
    legs: tuple[LegSources, LegSources]
    simulated: bool


async def source_status(market: MarketService, pair: Pair, now: datetime) -> SourceStatus:
    """Bring a pair up to date, and tell how each of its sources stands."""
    trust, problem = None, ""
    try:
        trust = (await market.view(pair, now)).current.trust
    except NoHistoryError as error:
        problem = str(error)
    legs = (_leg(market, pair.etf, now), _leg(market, pair.crypto, now))
    return SourceStatus(pair=pair, trust=trust, problem=problem, legs=legs, simulated=market.history.simulated)


def _leg(market: MarketService, symbol: Symbol, now: datetime) -> LegSources:
    asked = market.history.reports(symbol, now)
    kind, used = "crypto" if symbol in COINS else "equity", {one.name for one in asked}
    return LegSources(
        symbol=symbol,
        asked=asked,
        unused=tuple(row.title for row in SOURCES if kind in row.legs and row.base_url and row.title not in used),
        keyed=frozenset(row.title for row in SOURCES if row.keys),
    )
