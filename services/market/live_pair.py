"""Live: both legs of a pair at one instant of the session that is open, or has just ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from services.core.prices import Quote
from services.core.sessions import MarketState
from services.core.trust import Trust
from services.market.align import Aligned
from services.market.feeds.freshness import LIVE_AT_MOST
from services.market.price_history import Leg, PriceHistory

SAME_INSTANT = timedelta(minutes=1)
SHARES_APART = timedelta(minutes=5)  # of two shares, one of which may trade seldom
LATE = timedelta(minutes=30)  # how long a first trade may be waited for


class Trade(NamedTuple):
    """A trade of one leg, and how far it can be trusted."""

    quote: Quote
    trust: Trust


class Reading(NamedTuple):
    """The closes with a live last row, and the trade that each leg has in it."""

    rows: Aligned
    etf: Trade
    crypto: Trade


def trade_beside(share: Leg, market: MarketState, at: datetime) -> Quote | None:
    """Give a share's trade in the session and the minutes of an instant; None without one that can be relied on."""
    quote = share.quote
    if quote is None or not share.quoted.verdict.usable or quote.at < market.opens_at:
        return None
    return quote if abs(quote.at - at) <= SHARES_APART else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LivePair:
    """Two legs in a session, and their `closes` at the sessions before."""

    closes: Aligned
    market: MarketState
    etf: Leg
    crypto: Leg

    async def read(self, history: PriceHistory, now: datetime) -> tuple[Reading | None, str]:
        """Read both legs as of the earlier of their two last trades, or say why that cannot be done.

        A coin that has traded since is read off its minutes, out of `history`. Raises SourceError where those are
        wanted and nobody has them.
        """
        etf, crypto, market = self.etf, self.crypto, self.market
        if etf.quote is None or etf.quote.at < market.opens_at:
            return None, f"no {self.closes.pair.etf} trade yet in the session of {market.session}"
        if crypto.quote is None:
            return None, f"no {self.closes.pair.crypto} quote"
        as_of = min(etf.quote.at, crypto.quote.at, market.closes_at)
        if now - as_of > LIVE_AT_MOST:
            older = etf.quote if etf.quote.at <= crypto.quote.at else crypto.quote
            minutes = int((now - older.at).total_seconds() // 60)
            return None, f"the last {older.symbol} trade at {older.source} is {minutes} min old"
        latest = as_of + (SHARES_APART if etf.is_share and crypto.is_share else SAME_INSTANT)
        left, right = [
            Trade(quote, leg.quoted) if self._traded_at(leg, quote) <= latest else await _minute(history, quote, as_of)
            for leg, quote in ((etf, etf.quote), (crypto, crypto.quote))
        ]
        if left is None:
            return None, self._apart(etf, etf.quote, crypto.quote, as_of)
        if right is None:
            return None, self._apart(crypto, crypto.quote, etf.quote, as_of)
        return Reading(self._rows(as_of, left.quote, right.quote), left, right), ""

    def awaits_trade(self, now: datetime) -> bool:
        """Tell whether an open session is young and its source, which answers, knows of no trade in it yet."""
        quote, opens_at = self.etf.quote, self.market.opens_at
        untraded = self.etf.answers and quote is not None and quote.at < opens_at
        return self.market.is_open and untraded and now < opens_at + LATE

    def _rows(self, as_of: datetime, etf: Quote, crypto: Quote) -> Aligned:
        session = self.market.session
        past = self.closes.before(session)
        fit = past.carried(etf=self.etf.past.carry(session), crypto=self.crypto.past.carry(session))
        return fit.with_live(session, as_of, etf=etf.price, crypto=crypto.price)

    def _traded_at(self, leg: Leg, quote: Quote) -> datetime:
        """Tell which instant a trade is the price of: a share's last one, after its close, is that of the close."""
        return min(quote.at, self.market.closes_at) if leg.is_share else quote.at

    def _apart(self, leg: Leg, quote: Quote, other: Quote, as_of: datetime) -> str:
        """Say why a leg has no price at the other one's instant."""
        if not leg.is_share:
            return f"no {quote.symbol} price at {as_of:%H:%M} UTC, when {other.symbol} last traded"
        apart = int((self._traded_at(leg, quote) - as_of).total_seconds())
        return f"the {other.symbol} quote is {apart} s older than {quote.symbol}'s"


async def _minute(history: PriceHistory, quote: Quote, as_of: datetime) -> Trade | None:
    """Read what a coin's last minute ended at before an instant; None for a share, whose minutes are not known."""
    told = await history.at(quote.symbol, as_of)
    return None if told is None or told.quote is None else Trade(told.quote, told.trust)
