"""What rules on the bitcoin network look at: they go on while the ETF is shut, and where it has no price."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from math import nan

import numpy as np

from services.core.prices import PriceStamp, Quote, moment
from services.core.sessions import MarketState
from services.core.trust import Trust, Verdict
from services.market.align import Aligned
from services.market.feeds.freshness import LIVE_AT_MOST
from services.market.mining_economics import standing
from services.market.network_service import NetworkReading
from services.market.price_history import Leg
from services.market.snapshot import Snapshot, close_stamps, origins, snapshot, stamp_of
from services.rules.rule import Rule

SETTLES = timedelta(minutes=30)  # how long a close is looked at, so that what a replay sees is decided live too


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetworkView:
    """The network beside the coin's price, at the last close and `now`, and how far its own figures can be trusted.

    The ETF stands at its last price in both: it is told, and nothing is decided on it. `now` is None where the coin has
    no fresh price, with the `reason`.
    """

    close: Snapshot
    now: Snapshot | None
    reason: str
    trust: Trust

    @property
    def weakest(self) -> Trust:
        """How far what goes on can be relied on: the network's figures, or where those can be, the coin's price."""
        if not self.trust.verdict.usable:
            return self.trust
        return self.now.trust if self.now else Trust(verdict=Verdict.STALE, reasons=(self.reason,))

    def seen_by(self, rule: Rule) -> Snapshot | None:
        """Choose what a rule looks at."""
        return self.close if rule.at_close else self.now


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetworkViewBuilder:
    """Both legs of a pair and their closes; `crypto_trust` is that of the coin's last one."""

    closes: Aligned
    market: MarketState
    etf: Leg
    crypto: Leg
    crypto_trust: Trust

    def look(self, sight: NetworkReading, now: datetime) -> NetworkView:
        """Measure at the last close and at the coin's last trade.

        From half an hour after a close on, time counts to the session to come, so that `1d` is the change since that
        close: every instant belongs to one session, and its close is what a replay sees of it.
        """
        close = self._close()
        if not self.market.is_open and now - self.market.closes_at < SETTLES:
            return NetworkView(close=close, now=close, reason="", trust=sight.trust)
        quote, coin = self.crypto.quote, self.closes.pair.crypto
        if quote is None or now - quote.at > LIVE_AT_MOST:
            reason = f"the last {coin} trade is of {quote.at:%Y-%m-%d %H:%M} UTC" if quote else f"no {coin} quote"
            return NetworkView(close=close, now=None, reason=reason, trust=sight.trust)
        return NetworkView(close=close, now=self._at(quote), reason="", trust=sight.trust)

    def _close(self) -> Snapshot:
        rows = standing(self.closes)
        stamps = self._stood(rows), close_stamps(rows)[1]
        return snapshot(rows, stamps, trust=self.crypto_trust, origins=origins(rows, self.crypto))

    def _at(self, quote: Quote) -> Snapshot:
        session = self.market.session if self.market.is_open else self.market.next_open_at.date()
        fit = standing(self._fit(session))
        etf = self._traded() or self._stood(fit)
        rows = fit.with_live(session, quote.at, etf=etf.price if etf else nan, crypto=quote.price)
        return snapshot(rows, (etf, stamp_of(quote)), trust=self.crypto.quoted, origins=origins(rows, self.crypto))

    def _fit(self, session: date) -> Aligned:
        """Give the closes before a session, fit to be held against its prices."""
        past = self.closes.before(session)
        return past.carried(etf=self.etf.past.carry(session), crypto=self.crypto.past.carry(session))

    def _traded(self) -> PriceStamp | None:
        """Give the ETF's last trade in the session that is open."""
        quote, market = self.etf.quote, self.market
        if quote is None or not market.is_open or quote.at < market.opens_at:
            return None
        return stamp_of(quote) if self.etf.quoted.verdict.usable else None

    def _stood(self, rows: Aligned) -> PriceStamp | None:
        """Give the ETF's last close, of the instant at which it was known."""
        known = np.flatnonzero(np.isfinite(self.closes.etf[: len(rows)]))
        etf = close_stamps(rows)[0]
        return etf and replace(etf, at=moment(rows.at[known[-1]]))
