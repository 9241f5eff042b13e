"""One pair at one moment, and what each rule observes of it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial

import numpy as np

from services.core.prices import Pair, PriceStamp, Quote
from services.core.reason import Code, Reason, all_of
from services.core.sessions import MarketState
from services.core.trust import TRUSTED, Trust, Verdict
from services.market.align import Exclusion
from services.market.gap import Gap
from services.market.measure import Measurement, NotMeasured, Window
from services.market.snapshot import Snapshot, close_stamps, stamp_of
from services.rules.decide import Observation
from services.rules.history_lookup import HistoryLookup, PastReading
from services.rules.network_view import NetworkView
from services.rules.rule import Rule

NETWORK_NOT_READ = Trust(verdict=Verdict.STALE, reasons=(Reason.of(Code.NETWORK_NOT_READ),))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MarketView:
    """One pair at `now`, as used by the board, the rules and the alerts.

    Attributes:
        close: Measured at the last session's close.
        history: Measures at any earlier close.
        live: Measured in the open session; None with the reason in `live_reason`.
        awaits_trade: The session has just started, and its source knows of no trade in it yet.
        last_session_untraded: The last session had no trade, unlike the session before it.
        crypto_trust: Trust in the coin's last trade.
        gap: Only while the ETF is closed and the coin's last trade is not suspect.
        network: What rules on the bitcoin network observe; None if it was not read.
        problems: Failures of the sources.
        loading_since: First session with both prices while older ones are still being loaded; None once all are.
    """

    pair: Pair
    now: datetime
    market: MarketState
    close: Snapshot
    history: HistoryLookup
    live: Snapshot | None
    live_reason: Reason | str
    awaits_trade: bool = False
    last_session_untraded: bool = False
    crypto_trust: Trust = TRUSTED
    etf: Quote | None
    crypto: Quote | None
    gap: Gap | None
    network: NetworkView | None = None
    left_out: tuple[Exclusion, ...]
    problems: tuple[Reason | str, ...]
    simulated: bool
    loading_since: date | None = None

    @property
    def current(self) -> Snapshot:
        """The live prices while the market is open, else the last close."""
        return self.live or self.close

    def snapshot_for(self, rule: Rule) -> Snapshot | None:
        """Return the prices that a rule observes; None if a live rule has no live prices.

        An at-close rule always observes the last close. Other rules observe live prices, and the last close outside the
        session. Rules on the network observe the close for half an hour, then live prices.
        """
        if rule.metric.needs_network:
            return self.network.snapshot_for(rule) if self.network else None
        if rule.at_close or (self.live is None and not self.market.is_open):
            return self.close
        return self.live

    def trust_for(self, rule: Rule) -> Trust:
        """Return the trust in the prices that a rule observes."""
        snapshot = self.snapshot_for(rule)
        trust = snapshot.trust_over(rule.window) if snapshot else TRUSTED
        if rule.metric.needs_network:
            return trust.combined_with(self.network.trust if self.network else NETWORK_NOT_READ)
        return trust.combined_with(self.crypto_trust) if rule.metric.implied else trust

    def observe(self, rule: Rule) -> Observation:
        """Measure a rule's metric, or return the reason why it cannot be measured.

        The close of a session without any trade is skipped, like a holiday: New York was closed, there is no outage
        to report, and open alerts stay as they were. During such a session it looks the same as a stalled feed, so
        live rules have no data. The same holds for a second such session in a row, at its close. For the same reason
        rules on the gap wait too, though the board shows it.
        """
        if rule.metric.needs_network:
            return self._observe_network(rule)
        snapshot = self.snapshot_for(rule)
        if snapshot is None:
            return Observation(at=self.now, value=None, reason=self.live_reason, awaiting_trade=self.awaits_trade)
        if not snapshot.trust.verdict.usable:
            return Observation(
                at=snapshot.at, value=None, reason=all_of(snapshot.trust.reasons), at_close=not snapshot.live
            )
        measured = snapshot.measurements[rule.window or Window.D1]
        if isinstance(measured, NotMeasured):
            untraded = self.last_session_untraded and not snapshot.live
            return Observation(
                at=snapshot.at, value=None, reason=measured.reason, at_close=not snapshot.live, awaiting_trade=untraded
            )
        if rule.metric.implied:
            return self._observe_gap(rule.metric.implied)
        value = rule.metric.value(snapshot.aligned, measured)
        reason = "" if value is not None else Reason.of(Code.TOO_LITTLE_HISTORY, metric=rule.metric.name)
        return Observation(at=snapshot.at, value=value, reason=reason, at_close=not snapshot.live)

    def reading_at(self, rule: Rule, session: date) -> PastReading | None:
        """Measure a rule at a past close with the price known now; None without a trusted price."""
        if session == self.close.session and not self.close.trust.verdict.usable:
            return None
        return self.history.reading_at(rule, session)

    def measurement(self, rule: Rule) -> Measurement | None:
        """Return both legs over a rule's window, or over one session for a rule without a window."""
        snapshot = self.snapshot_for(rule)
        measured = snapshot.measurements[rule.window or Window.D1] if snapshot else None
        return None if isinstance(measured, NotMeasured) else measured

    def price_stamps(self, rule: Rule) -> tuple[PriceStamp, PriceStamp]:
        """Return the prices behind a rule's observation. Raises ValueError if there are none."""
        snapshot = self.snapshot_for(rule)
        if snapshot is None or snapshot.etf is None or snapshot.crypto is None:
            raise ValueError(f"{rule} has nothing to evaluate")
        if rule.metric.implied and self.crypto is not None:
            return snapshot.etf, stamp_of(self.crypto)
        return snapshot.etf, snapshot.crypto

    def price_stamps_at(self, session: date) -> tuple[PriceStamp, PriceStamp] | None:
        """Return the prices at a past close as known now; None if one is missing."""
        closes = self.history.closes
        known = closes.head(int(np.searchsorted(closes.sessions, np.datetime64(session), side="right")))
        if not len(known) or known.sessions[-1] != np.datetime64(session):
            return None
        etf, crypto = close_stamps(known)
        return None if etf is None or crypto is None else (etf, crypto)

    def _observe_network(self, rule: Rule) -> Observation:
        """Measure a network metric, independent of ETF trading."""
        snapshot, trust = self.snapshot_for(rule), self.trust_for(rule)
        if self.network is None or snapshot is None:
            reason = self.network.reason if self.network else NETWORK_NOT_READ.reasons[0]
            return Observation(at=self.now, value=None, reason=reason)
        observation = partial(Observation, at=snapshot.at, at_close=not snapshot.live)
        measured = snapshot.measurements[rule.window or Window.D1]
        if not trust.verdict.usable:
            return observation(value=None, reason=all_of(trust.reasons))
        if isinstance(measured, NotMeasured):
            return observation(value=None, reason=measured.reason)
        value = rule.metric.value(snapshot.aligned, measured)
        return observation(
            value=value, reason="" if value is not None else Reason.of(Code.TOO_LITTLE_HISTORY, metric=rule.metric.name)
        )

    def _observe_gap(self, implied: Callable[[Gap], float | None]) -> Observation:
        """Observe a value of the gap; it is 0 once the ETF trades, so that an open gap alert resolves."""
        if self.market.is_open:
            traded = self.etf is not None and self.etf.at >= self.market.opens_at
            return Observation(at=self.now, value=0.0 if traded else None, reason="" if traded else self.live_reason)
        if self.crypto_trust.verdict is Verdict.SUSPECT:
            return Observation(at=self.now, value=None, reason=all_of(self.crypto_trust.reasons))
        value = None if self.gap is None else implied(self.gap)
        if self.gap is None or value is None:
            return Observation(at=self.now, value=None, reason=Reason.of(Code.GAP_UNKNOWN))
        return Observation(at=self.gap.at, value=value)
