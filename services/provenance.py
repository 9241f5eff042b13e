"""Provenance: which sources stand behind the prices of a pair, and how each of them does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.domain.errors import NoHistoryError
from services.feeds.report import unused
from services.history import COINS

if TYPE_CHECKING:
    from datetime import datetime

    from services.domain.prices import Pair, Symbol
    from services.domain.trust import Trust
    from services.feeds.report import SourceReport
    from services.market import Market


@dataclass(frozen=True, slots=True, kw_only=True)
class LegSources:
    """The sources of one leg in their order, and those that are not asked, each with whether it needs a key."""

    symbol: Symbol
    asked: tuple[SourceReport, ...]
    unused: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """The sources of a pair. `trust` is that of the prices now; None with `problem` where there are none at all."""

    pair: Pair
    trust: Trust | None
    problem: str
    legs: tuple[LegSources, LegSources]
    simulated: bool


async def provenance(market: Market, pair: Pair, now: datetime) -> Provenance:
    """Bring a pair up to date, and tell how each of its sources stands."""
    trust, problem = None, ""
    try:
        trust = (await market.view(pair, now)).current.trust
    except NoHistoryError as error:
        problem = str(error)
    legs = (_leg(market, pair.etf, now), _leg(market, pair.crypto, now))
    return Provenance(pair=pair, trust=trust, problem=problem, legs=legs, simulated=market.history.simulated)


def _leg(market: Market, symbol: Symbol, now: datetime) -> LegSources:
    asked = market.history.reports(symbol, now)
    others = unused("crypto" if symbol in COINS else "equity", frozenset(one.name for one in asked))
    return LegSources(symbol=symbol, asked=asked, unused=others)
