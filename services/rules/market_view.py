"""View: one pair at one moment, and what each rule sees of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from functools import partial

import numpy as np

from services.core.prices import Pair, PriceStamp, Quote
from services.core.sessions import MarketState
from services.core.trust import FULL, Trust, Verdict
from services.market.align import LeftOut
from services.market.gap import Gap
from services.market.measure import METRICS, Measurement, Metric, NotMeasured, Window, reading
from services.market.snapshot import Snapshot, close_stamps, stamp_of
from services.rules.decide import Observation
from services.rules.history_lookup import HistoryLookup, PastReading
from services.rules.network_view import NetworkView
from services.rules.rule import Rule

UNSEEN = Trust(verdict=Verdict.STALE, reasons=("the bitcoin network was not looked at",))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MarketView:
    """One pair at the moment `now`, as the board, the rules and the alerts see it.

    `close` is measured at the last session's close, and `past` can measure any close before it. `live` is measured
    inside the open session; where it is None, `live_reason` says why. `awaits_trade` tells that the session has just
    begun and its source knows of no trade in it yet, and `untraded` that the last session ended without one, unlike the
    session before it. `gap` exists only while the ETF is shut and the coin's last trade, `quoted`, is not suspect.
    `network` is what rules on the bitcoin network look at, None where it was not looked at. `problems` tells what the
    sources failed at.
    """

    pair: Pair
    now: datetime
    market: MarketState
    close: Snapshot
    past: HistoryLookup
    live: Snapshot | None
    live_reason: str
    awaits_trade: bool = False
    untraded: bool = False
    quoted: Trust = FULL
    etf: Quote | None
    crypto: Quote | None
    gap: Gap | None
    network: NetworkView | None = None
    left_out: tuple[LeftOut, ...]
    problems: tuple[str, ...]
    simulated: bool

    @property
    def current(self) -> Snapshot:
        """What holds now: the live prices while the market is open, else the last close."""
        return self.live or self.close

    def seen_by(self, rule: Rule) -> Snapshot | None:
        """Choose what a rule looks at; None where a live rule has nothing live to look at.

        A rule at close always sees the last close. Other rules see the live prices, and outside the session the last
        close; those on the network see that only for a while, and then what goes on.
        """
        if METRICS[rule.metric].of_network:
            return self.network.seen_by(rule) if self.network else None
        if rule.at_close or (self.live is None and not self.market.is_open):
            return self.close
        return self.live

    def trust(self, rule: Rule) -> Trust:
        """Tell how far the prices that a rule looks at can be relied on."""
        seen = self.seen_by(rule)
        trust = seen.over(rule.window) if seen else FULL
        if METRICS[rule.metric].of_network:
            return trust.also(self.network.trust if self.network else UNSEEN)
        return trust.also(self.quoted) if rule.metric is Metric.GAP else trust

    def observe(self, rule: Rule) -> Observation:
        """Read a rule's metric, or say why it cannot be read.

        The close of a session that nobody traded in is waited over, as on a holiday: a desk knows that New York was
        shut, needs no outage told, and wants its open alerts as they were. While such a session lasts, nobody can
        tell it from feeds that stand still, so that live rules have no data; nor a second one in a row at its close.
        For the same reason rules on the gap wait too, though the board shows it.
        """
        if METRICS[rule.metric].of_network:
            return self._observe_network(rule)
        seen = self.seen_by(rule)
        if seen is None:
            return Observation(at=self.now, value=None, reason=self.live_reason, waiting=self.awaits_trade)
        if not seen.trust.verdict.usable:
            return Observation(at=seen.at, value=None, reason="; ".join(seen.trust.reasons), closing=not seen.live)
        measured = seen.measurements[rule.window or Window.D1]
        if isinstance(measured, NotMeasured):
            idle = self.untraded and not seen.live
            return Observation(at=seen.at, value=None, reason=measured.reason, closing=not seen.live, waiting=idle)
        match rule.metric:
            case Metric.GAP:
                return self._observe_gap()
            case Metric.DRAWDOWN:
                value = seen.crypto_drawdown.depth if seen.crypto_drawdown else None
            case metric:
                value = reading(measured, metric)
        reason = "" if value is not None else f"too little history for {rule.metric.value}"
        return Observation(at=seen.at, value=value, reason=reason, closing=not seen.live)

    def recall(self, rule: Rule, session: date) -> PastReading | None:
        """Measure a rule at a past close, as its price is known now; None where it cannot be, or not be trusted."""
        if session == self.close.session and not self.close.trust.verdict.usable:
            return None
        return self.past.recall(rule, session)

    def legs(self, rule: Rule) -> Measurement | None:
        """Give both legs over a rule's window, or over one day for a rule without one."""
        seen = self.seen_by(rule)
        measured = seen.measurements[rule.window or Window.D1] if seen else None
        return None if isinstance(measured, NotMeasured) else measured

    def stamps(self, rule: Rule) -> tuple[PriceStamp, PriceStamp]:
        """Give the prices that a rule's observation rests on. Raises ValueError where it has none."""
        seen = self.seen_by(rule)
        if seen is None or seen.etf is None or seen.crypto is None:
            raise ValueError(f"{rule} has nothing to look at")
        if rule.metric is Metric.GAP and self.crypto is not None:
            return seen.etf, stamp_of(self.crypto)
        return seen.etf, seen.crypto

    def stamps_at(self, session: date) -> tuple[PriceStamp, PriceStamp] | None:
        """Give the prices at a past close as they are known now; None where one of them is not."""
        closes = self.past.closes
        known = closes.head(int(np.searchsorted(closes.sessions, np.datetime64(session), side="right")))
        if not len(known) or known.sessions[-1] != np.datetime64(session):
            return None
        etf, crypto = close_stamps(known)
        return None if etf is None or crypto is None else (etf, crypto)

    def _observe_network(self, rule: Rule) -> Observation:
        """Read what is mined; nobody waits for the ETF."""
        seen, trust = self.seen_by(rule), self.trust(rule)
        if self.network is None or seen is None:
            reason = self.network.reason if self.network else "; ".join(UNSEEN.reasons)
            return Observation(at=self.now, value=None, reason=reason)
        observed = partial(Observation, at=seen.at, closing=not seen.live)
        measured = seen.measurements[rule.window or Window.D1]
        if not trust.verdict.usable:
            return observed(value=None, reason="; ".join(trust.reasons))
        if isinstance(measured, NotMeasured):
            return observed(value=None, reason=measured.reason)
        value = reading(measured, rule.metric)
        return observed(value=value, reason="" if value is not None else f"too little history for {rule.metric.value}")

    def _observe_gap(self) -> Observation:
        """Read the implied gap; once the ETF trades there is none, so that a gap that was open resolves."""
        if self.market.is_open:
            traded = self.etf is not None and self.etf.at >= self.market.opens_at
            return Observation(at=self.now, value=0.0 if traded else None, reason="" if traded else self.live_reason)
        if self.quoted.verdict is Verdict.SUSPECT:
            return Observation(at=self.now, value=None, reason="; ".join(self.quoted.reasons))
        if self.gap is None or self.gap.implied is None:
            return Observation(at=self.now, value=None, reason="no bitcoin price since the close, or no beta")
        return Observation(at=self.gap.at, value=self.gap.implied)
