"""View: one pair at one moment, and what each rule sees of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from services.domain.decide import Observation
from services.domain.episode import LegStamp
from services.domain.measure import METRICS, Metric, NotMeasured, Window, drawdown, measure, reading
from services.domain.prices import moment
from services.domain.trust import FULL, Trust, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from services.domain.align import Aligned, LeftOut
    from services.domain.gap import Gap
    from services.domain.lookback import Lookback, Recalled
    from services.domain.measure import Drawdown, Measurement
    from services.domain.prices import Pair, Quote
    from services.domain.rule import Rule
    from services.domain.sessions import MarketState

UNSEEN = Trust(verdict=Verdict.STALE, reasons=("the bitcoin network was not looked at",))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    """Everything measured at one instant: a session's close, or a moment of the session that is open.

    The stamps are None where the leg has no price at that instant; the measurements then say why. `trust` is how far
    both prices can be relied on; rules neither fire nor resolve on what is not usable. `origins` tells the same of the
    prices that windows start from, where there is anything to tell.
    """

    session: date
    at: datetime
    live: bool
    measurements: dict[Window, Measurement | NotMeasured]
    etf: LegStamp | None
    crypto: LegStamp | None
    etf_drawdown: Drawdown | None
    crypto_drawdown: Drawdown | None
    trust: Trust = FULL
    origins: Mapping[Window, Trust] = field(default_factory=dict)

    def over(self, window: Window | None) -> Trust:
        """Tell how far what is measured over a window can be relied on: its prices at either end."""
        return self.trust.also(self.origins.get(window, FULL)) if window else self.trust


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MarketView:
    """One pair at the moment `now`, as the board, the rules and the alerts see it.

    `close` is measured at the last session's close, and `past` can measure any close before it. `live` is measured
    inside the open session; where it is None, `live_reason` says why. `awaits_trade` tells that the session has just
    begun and its source knows of no trade in it yet, and `untraded` that the last session ended without one, unlike the
    session before it. `gap` exists only while the ETF is shut and the coin's last trade, `quoted`, is not suspect.
    `network` is how far the bitcoin network can be trusted, None where it was not looked at. `problems` tells what the
    sources failed at.
    """

    pair: Pair
    now: datetime
    market: MarketState
    close: Snapshot
    past: Lookback
    live: Snapshot | None
    live_reason: str
    awaits_trade: bool = False
    untraded: bool = False
    quoted: Trust = FULL
    etf: Quote | None
    crypto: Quote | None
    gap: Gap | None
    network: Trust | None = None
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
        close.
        """
        if rule.at_close or (self.live is None and not self.market.is_open):
            return self.close
        return self.live

    def trust(self, rule: Rule) -> Trust:
        """Tell how far the prices that a rule looks at can be relied on."""
        seen = self.seen_by(rule)
        trust = seen.over(rule.window) if seen else FULL
        if METRICS[rule.metric].of_network:
            return trust.also(self.network or UNSEEN)
        return trust.also(self.quoted) if rule.metric is Metric.GAP else trust

    def observe(self, rule: Rule) -> Observation:
        """Read a rule's metric, or say why it cannot be read.

        The close of a session that nobody traded in is waited over, as on a holiday: a desk knows that New York was
        shut, needs no outage told, and wants its open alerts as they were. While such a session lasts, nobody can
        tell it from feeds that stand still, so that live rules have no data; nor a second one in a row at its close.
        For the same reason rules on the gap wait too, though the board shows it.
        """
        seen = self.seen_by(rule)
        if seen is None:
            return Observation(at=self.now, value=None, reason=self.live_reason, waiting=self.awaits_trade)
        if not seen.trust.verdict.usable:
            return Observation(at=seen.at, value=None, reason="; ".join(seen.trust.reasons), closing=not seen.live)
        measured = seen.measurements[rule.window or Window.D1]
        if isinstance(measured, NotMeasured):
            idle = self.untraded and not seen.live
            return Observation(at=seen.at, value=None, reason=measured.reason, closing=not seen.live, waiting=idle)
        network = self.network or UNSEEN
        if METRICS[rule.metric].of_network and not network.verdict.usable:
            return Observation(at=seen.at, value=None, reason="; ".join(network.reasons), closing=not seen.live)
        match rule.metric:
            case Metric.GAP:
                return self._observe_gap()
            case Metric.DRAWDOWN:
                value = seen.crypto_drawdown.depth if seen.crypto_drawdown else None
            case metric:
                value = reading(measured, metric)
        reason = "" if value is not None else f"too little history for {rule.metric.value}"
        return Observation(at=seen.at, value=value, reason=reason, closing=not seen.live)

    def recall(self, rule: Rule, session: date) -> Recalled | None:
        """Measure a rule at a past close, as its price is known now; None where it cannot be, or not be trusted."""
        if session == self.close.session and not self.close.trust.verdict.usable:
            return None
        return self.past.recall(rule, session)

    def legs(self, rule: Rule) -> Measurement | None:
        """Give both legs over a rule's window, or over one day for a rule without one."""
        seen = self.seen_by(rule)
        measured = seen.measurements[rule.window or Window.D1] if seen else None
        return None if isinstance(measured, NotMeasured) else measured

    def stamps(self, rule: Rule) -> tuple[LegStamp, LegStamp]:
        """Give the prices that a rule's observation rests on. Raises ValueError where it has none."""
        seen = self.seen_by(rule)
        if seen is None or seen.etf is None or seen.crypto is None:
            raise ValueError(f"{rule} has nothing to look at")
        if rule.metric is Metric.GAP and self.crypto is not None:
            return seen.etf, stamp_of(self.crypto)
        return seen.etf, seen.crypto

    def stamps_at(self, session: date) -> tuple[LegStamp, LegStamp] | None:
        """Give the prices at a past close as they are known now; None where one of them is not."""
        closes = self.past.closes
        known = closes.head(int(np.searchsorted(closes.sessions, np.datetime64(session), side="right")))
        if not len(known) or known.sessions[-1] != np.datetime64(session):
            return None
        etf, crypto = _close_stamps(known)
        return None if etf is None or crypto is None else (etf, crypto)

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


def snapshot(
    aligned: Aligned,
    stamps: tuple[LegStamp, LegStamp] | None = None,
    *,
    trust: Trust = FULL,
    origins: Mapping[Window, Trust] | None = None,
) -> Snapshot:
    """Measure the last row of `aligned` over every window."""
    etf, crypto = stamps or _close_stamps(aligned)
    return Snapshot(
        session=aligned.sessions[-1].astype(object),
        at=moment(aligned.at[-1]),
        live=aligned.live,
        measurements={window: measure(aligned, window) for window in Window},
        etf=etf,
        crypto=crypto,
        etf_drawdown=drawdown(aligned, aligned.etf),
        crypto_drawdown=drawdown(aligned, aligned.crypto, aligned.crypto_past),
        trust=trust,
        origins=origins or {},
    )


def stamp_of(quote: Quote) -> LegStamp:
    """Take a trade as the price of a leg."""
    return LegStamp(symbol=quote.symbol, source=quote.source, price=quote.price, at=quote.at)


def _close_stamps(aligned: Aligned) -> tuple[LegStamp | None, LegStamp | None]:
    """Give both prices of the last row."""
    return (
        _close_stamp(aligned, str(aligned.pair.etf), aligned.etf_source, float(aligned.etf[-1])),
        _close_stamp(aligned, str(aligned.pair.crypto), aligned.crypto_source, float(aligned.crypto[-1])),
    )


def _close_stamp(aligned: Aligned, symbol: str, source: str, price: float) -> LegStamp | None:
    if np.isnan(price):
        return None
    return LegStamp(symbol=symbol, source=source, price=price, at=moment(aligned.at[-1]))
