"""Live prices of both legs of a pair at one instant of a session that is open or has just ended."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from services.core.prices import Quote
from services.core.reason import Code, Reason
from services.core.sessions import MarketState
from services.core.trust import Trust
from services.market.align import Aligned
from services.market.consensus.closes import LegHistory
from services.market.consensus.quorum import age_reason
from services.market.feeds.freshness import MAX_LIVE_AGE
from services.market.price_history import PriceHistory

MAX_CRYPTO_SKEW = timedelta(minutes=1)
MAX_SHARE_SKEW = timedelta(minutes=5)  # between two shares, one of which may trade rarely
FIRST_TRADE_WAIT = timedelta(minutes=30)  # after the opening


class Trade(NamedTuple):
    """A trade of one leg, and how far it can be trusted."""

    quote: Quote
    trust: Trust


class LivePrices(NamedTuple):
    """The aligned closes with a live last row, and each leg's trade in it."""

    aligned: Aligned
    etf: Trade
    crypto: Trade


def trade_near(share: LegHistory, market: MarketState, at: datetime) -> Quote | None:
    """Return a share's trade if it is in the session and within minutes of `at`; None without a usable one."""
    quote = share.quote
    if quote is None or not share.quote_trust.verdict.usable or quote.at < market.opens_at:
        return None
    return quote if abs(quote.at - at) <= MAX_SHARE_SKEW else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LivePair:
    """Both legs in one session, and their `closes` in the sessions before."""

    closes: Aligned
    market: MarketState
    etf: LegHistory
    crypto: LegHistory

    async def read(self, history: PriceHistory, now: datetime) -> tuple[LivePrices | None, Reason | str]:
        """Read both legs as of the earlier of their two last trades, or return the reason why that is not possible.

        A coin that has traded since is read from its minute bars in `history`. Raises SourceError if these are needed
        and no source answers.
        """
        etf, crypto, market = self.etf, self.crypto, self.market
        if etf.quote is None or etf.quote.at < market.opens_at:
            return None, Reason.of(Code.NO_TRADE_IN_SESSION, symbol=self.closes.pair.etf, session=market.session)
        if crypto.quote is None:
            return None, Reason.of(Code.NO_QUOTE, symbol=self.closes.pair.crypto)
        as_of = min(etf.quote.at, crypto.quote.at, market.closes_at)
        if now - as_of > MAX_LIVE_AGE:
            older = etf.quote if etf.quote.at <= crypto.quote.at else crypto.quote
            return None, age_reason(older, now)
        latest = as_of + (MAX_SHARE_SKEW if etf.is_share and crypto.is_share else MAX_CRYPTO_SKEW)
        left, right = [
            Trade(quote, leg.quote_trust)
            if self._price_time(leg, quote) <= latest
            else await _minute_trade(history, quote, as_of)
            for leg, quote in ((etf, etf.quote), (crypto, crypto.quote))
        ]
        if left is None:
            return None, self._mismatch_reason(etf, etf.quote, crypto.quote, as_of)
        if right is None:
            return None, self._mismatch_reason(crypto, crypto.quote, etf.quote, as_of)
        return LivePrices(self._with_live_row(as_of, left.quote, right.quote), left, right), ""

    def awaits_first_trade(self, now: datetime) -> bool:
        """Return whether the session opened recently and an answering source has no trade in it yet."""
        quote, opens_at = self.etf.quote, self.market.opens_at
        no_trade_yet = self.etf.answering and quote is not None and quote.at < opens_at
        return self.market.is_open and no_trade_yet and now < opens_at + FIRST_TRADE_WAIT

    def _with_live_row(self, as_of: datetime, etf: Quote, crypto: Quote) -> Aligned:
        session = self.market.session
        closes = self.closes.before(session)
        rebased = closes.rebased(
            etf=self.etf.history.dividend_factor(session), crypto=self.crypto.history.dividend_factor(session)
        )
        return rebased.with_live(session, as_of, etf=etf.price, crypto=crypto.price)

    def _price_time(self, leg: LegHistory, quote: Quote) -> datetime:
        """Return the instant that a trade prices; a share's trade after the close counts as the close."""
        return min(quote.at, self.market.closes_at) if leg.is_share else quote.at

    def _mismatch_reason(self, leg: LegHistory, quote: Quote, other: Quote, as_of: datetime) -> Reason:
        """Return why a leg has no price at the other leg's instant."""
        if not leg.is_share:
            return Reason.of(Code.NO_PRICE_AT, symbol=quote.symbol, at=as_of, other=other.symbol)
        lag_s = int((self._price_time(leg, quote) - as_of).total_seconds())
        return Reason.of(Code.QUOTE_LAGS, symbol=other.symbol, other=quote.symbol, lag_s=lag_s)


async def _minute_trade(history: PriceHistory, quote: Quote, as_of: datetime) -> Trade | None:
    """Return a coin's last minute close before an instant; None for a share, which has no minute bars."""
    consensus = await history.quote_at(quote.symbol, as_of)
    return None if consensus is None or consensus.quote is None else Trade(consensus.quote, consensus.trust)
