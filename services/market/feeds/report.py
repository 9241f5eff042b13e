"""How a source stands: what it told last, what was wrong with that, and whether it is left alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from services.core.prices import Quote, moment
from services.market.feeds.crypto import CoinFeed
from services.market.feeds.equities import EquityFeed
from services.market.ports import CryptoSource, EquitySource, Rests


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceReport:
    """One source of one leg.

    `quote` is its last trade, and `newest` its last final price: the session of a share's close, or the end of a coin's
    hour; each None where it told none. `problem` is what it fails at now, and `rests_until` until when it is not asked.
    """

    name: str
    simulated: bool
    quote: Quote | None
    newest: date | datetime | None
    problem: str | None
    rests_until: datetime | None


def report(source: CryptoSource | EquitySource, told: CoinFeed | EquityFeed | None, now: datetime) -> SourceReport:
    """Put together what is known of a source; `told` is None where it never told anything."""
    return SourceReport(
        name=source.name,
        simulated=source.simulated,
        quote=told.quote if told else None,
        newest=_newest(told),
        problem=told.problem if told else None,
        rests_until=source.rests_until(now) if isinstance(source, Rests) else None,
    )


def _newest(told: CoinFeed | EquityFeed | None) -> date | datetime | None:
    match told:
        case EquityFeed(closes=closes) if len(closes):
            return _day(closes.sessions[-1])
        case CoinFeed(bars=bars) if len(bars):
            return moment(bars.ended_at[-1])
        case _:
            return None


def _day(session: np.datetime64) -> date:
    return moment(session).date()
