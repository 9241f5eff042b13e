"""Health of a source: its latest prices, its current problem, and whether it is in backoff."""

from dataclasses import dataclass
from datetime import date, datetime

from services.core.errors import SourceFault
from services.core.prices import Quote, to_datetime
from services.core.reason import Reason
from services.market.feeds.crypto import CoinFeed
from services.market.feeds.equities import EquityFeed
from services.market.ports import CryptoSource, EquitySource, HasBackoff


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceHealth:
    """The health of one source of one leg.

    Attributes:
        quote: the last trade; None if there is none.
        newest: the last final price: the session of a share's close, or the end of a coin's hour; None if there is
            none.
        problem: the current failure.
        backoff_until: when requests resume.
        fault: what the source says about a share if it fails; None if it answered.
        loading_since: the first hour of a coin while older ones are still being loaded.
    """

    name: str
    simulated: bool
    quote: Quote | None
    newest: date | datetime | None
    problem: Reason | str | None
    backoff_until: datetime | None
    fault: SourceFault | None = None
    loading_since: datetime | None = None


def source_health(
    source: CryptoSource | EquitySource, feed: CoinFeed | EquityFeed | None, now: datetime, *, loading: bool = False
) -> SourceHealth:
    """Return the health of a source; `feed` is None if it has no data."""
    return SourceHealth(
        name=source.name,
        simulated=source.simulated,
        quote=feed.quote if feed else None,
        newest=_newest_price_at(feed),
        problem=feed.problem if feed else None,
        backoff_until=source.backoff_until(now) if isinstance(source, HasBackoff) else None,
        fault=feed.fault if isinstance(feed, EquityFeed) else None,
        loading_since=to_datetime(feed.bars.opened_at[0]) if loading and isinstance(feed, CoinFeed) else None,
    )


def _newest_price_at(feed: CoinFeed | EquityFeed | None) -> date | datetime | None:
    match feed:
        case EquityFeed(closes=closes) if len(closes):
            return to_datetime(closes.sessions[-1]).date()
        case CoinFeed(bars=bars) if len(bars):
            return to_datetime(bars.ended_at[-1])
        case _:
            return None
