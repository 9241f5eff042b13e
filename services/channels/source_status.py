"""Status of the price sources of a pair."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from services.core.errors import NoHistoryError
from services.core.prices import Pair, Symbol
from services.core.reason import Reason
from services.core.trust import Trust
from services.market.consensus.closes import COINS
from services.market.feeds.report import SourceHealth
from services.market.sources.catalogue import SOURCES
from services.rules.market_service import MarketService


@dataclass(frozen=True, slots=True, kw_only=True)
class LegSources:
    """Sources of one leg.

    Attributes:
        queried: Sources in order of preference.
        unused: Names of the sources that are not queried.
        keyed: Names of the sources that need an API key.
    """

    symbol: Symbol
    queried: tuple[SourceHealth, ...]
    unused: tuple[str, ...]
    keyed: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    """Sources of a pair; `trust` is that of the current prices, or None with the `problem` if there are none.

    Attributes:
        dropped: What the last answers about the bitcoin network lost because it was unusable.
    """

    pair: Pair
    trust: Trust | None
    problem: Reason | str
    legs: tuple[LegSources, LegSources]
    simulated: bool
    dropped: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedKey:
    """A source that refuses its API key, and the environment variables that hold the key."""

    source: str
    variables: tuple[str, ...]


def refused_keys(names: Collection[str]) -> tuple[RefusedKey, ...]:
    """Return the sources with these names, with the variables of their API keys."""
    return tuple(RefusedKey(source=row.title, variables=row.key_variables) for row in SOURCES if row.title in names)


async def source_status(market: MarketService, pair: Pair, now: datetime) -> SourceStatus:
    """Refresh a pair's prices, and return the status of each source."""
    trust: Trust | None = None
    problem: Reason | str = ""
    try:
        trust = (await market.view(pair, now)).current.trust
    except NoHistoryError as error:
        problem = error.reason
    legs = (_leg(market, pair.etf, now), _leg(market, pair.crypto, now))
    return SourceStatus(
        pair=pair,
        trust=trust,
        problem=problem,
        legs=legs,
        simulated=market.history.simulated,
        dropped=tuple(market.mining.dropped_values()),
    )


def _leg(market: MarketService, symbol: Symbol, now: datetime) -> LegSources:
    queried = market.history.source_health(symbol, now)
    kind, names = "crypto" if symbol in COINS else "equity", {source.name for source in queried}
    return LegSources(
        symbol=symbol,
        queried=queried,
        unused=tuple(row.title for row in SOURCES if kind in row.legs and row.base_url and row.title not in names),
        keyed=frozenset(row.title for row in SOURCES if row.keys),
    )
