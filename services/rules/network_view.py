"""The market for rules on the bitcoin network, which are evaluated even if the ETF is closed or has no price."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from math import nan

import numpy as np

from services.core.prices import PriceStamp, Quote, to_datetime
from services.core.reason import Code, Reason
from services.core.sessions import MarketState
from services.core.trust import Trust, Verdict
from services.market.align import Aligned
from services.market.consensus.closes import LegHistory
from services.market.feeds.freshness import MAX_LIVE_AGE
from services.market.network_checks import TrustedHistory
from services.market.snapshot import Snapshot, anchor_trust, close_stamps, snapshot, stamp_of
from services.rules.rule import Rule

CLOSE_SETTLE_TIME = timedelta(minutes=30)  # how long a close is observed, so that live rules see what a replay sees


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetworkView:
    """The network and the coin's price at the last close and `now`, and the trust in the network's figures.

    The ETF is carried at its last price in both: it is shown, and no rule uses it. `now` is None, with the `reason`, if
    the coin has no fresh price.
    """

    close: Snapshot
    now: Snapshot | None
    reason: Reason | str
    trust: Trust

    @property
    def worst_trust(self) -> Trust:
        """The trust in live values: the network's figures, or if those are usable, the coin's price."""
        if not self.trust.verdict.usable:
            return self.trust
        return self.now.trust if self.now else Trust(verdict=Verdict.STALE, reasons=(self.reason,))

    def snapshot_for(self, rule: Rule) -> Snapshot | None:
        """Return the prices that a rule observes."""
        return self.close if rule.at_close else self.now


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetworkViewBuilder:
    """Both legs of a pair and their closes; `crypto_trust` is the trust in the coin's last close."""

    closes: Aligned
    market: MarketState
    etf: LegHistory
    crypto: LegHistory
    crypto_trust: Trust

    def build(self, reading: TrustedHistory, now: datetime) -> NetworkView:
        """Measure at the last close and at the coin's last trade.

        From half an hour after a close, time belongs to the next session, so that `1d` is the change since that
        close. Each instant belongs to one session, and a replay sees that session's close.
        """
        close = self._close()
        if not self.market.is_open and now - self.market.closes_at < CLOSE_SETTLE_TIME:
            return NetworkView(close=close, now=close, reason="", trust=reading.trust)
        quote, coin = self.crypto.quote, self.closes.pair.crypto
        if quote is None or now - quote.at > MAX_LIVE_AGE:
            reason = (
                Reason.of(Code.LAST_TRADE_AT, symbol=coin, at=quote.at)
                if quote
                else Reason.of(Code.NO_QUOTE, symbol=coin)
            )
            return NetworkView(close=close, now=None, reason=reason, trust=reading.trust)
        return NetworkView(close=close, now=self._at(quote), reason="", trust=reading.trust)

    def _close(self) -> Snapshot:
        rows = forward_fill_etf(self.closes)
        stamps = self._last_etf_close(rows), close_stamps(rows)[1]
        return snapshot(rows, stamps, trust=self.crypto_trust, anchor_trust=anchor_trust(rows, self.crypto))

    def _at(self, quote: Quote) -> Snapshot:
        session = self.market.session if self.market.is_open else self.market.next_open_at.date()
        closes = forward_fill_etf(self._rebased_closes(session))
        etf = self._last_etf_trade() or self._last_etf_close(closes)
        rows = closes.with_live(session, quote.at, etf=etf.price if etf else nan, crypto=quote.price)
        return snapshot(
            rows, (etf, stamp_of(quote)), trust=self.crypto.quote_trust, anchor_trust=anchor_trust(rows, self.crypto)
        )

    def _rebased_closes(self, session: date) -> Aligned:
        """Return the closes before a session, rebased to be comparable with its prices."""
        closes = self.closes.before(session)
        return closes.rebased(
            etf=self.etf.history.dividend_factor(session), crypto=self.crypto.history.dividend_factor(session)
        )

    def _last_etf_trade(self) -> PriceStamp | None:
        """Return the ETF's last trade in the open session, or None."""
        quote, market = self.etf.quote, self.market
        if quote is None or not market.is_open or quote.at < market.opens_at:
            return None
        return stamp_of(quote) if self.etf.quote_trust.verdict.usable else None

    def _last_etf_close(self, rows: Aligned) -> PriceStamp | None:
        """Return the ETF's last close, with the time at which it was known."""
        known = np.flatnonzero(np.isfinite(self.closes.etf[: len(rows)]))
        etf = close_stamps(rows)[0]
        return etf and replace(etf, at=to_datetime(rows.at[known[-1]]))


def forward_fill_etf(aligned: Aligned) -> Aligned:
    """Fill missing ETF prices with the last known one; network metrics do not depend on the ETF."""
    known = np.where(np.isfinite(aligned.etf), np.arange(len(aligned)), -1)
    last = np.maximum.accumulate(known)
    return replace(aligned, etf=np.append(aligned.etf, np.nan)[last])
