"""Market: fetch, align and measure one pair once, for everyone who asks."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakValueDictionary

import numpy as np

from services.domain.align import align
from services.domain.decide import Observation
from services.domain.episode import LegStamp
from services.domain.errors import NoHistoryError, SourceError
from services.domain.gap import implied
from services.domain.judge import seconded
from services.domain.measure import Metric, NotMeasured, Window, drawdown, measure, reading
from services.domain.prices import WGMI_BTC, Closes, Symbol, moment
from services.domain.trust import FULL, Verdict
from services.domain.untraded import untraded
from services.feeds.answer import LIVE_AT_MOST, SHARED_FOR

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from services.domain.align import Aligned, LeftOut
    from services.domain.gap import Gap
    from services.domain.measure import Drawdown, Measurement
    from services.domain.prices import Pair, Quote
    from services.domain.rule import Rule
    from services.domain.sessions import MarketState, Sessions
    from services.domain.trust import Trust
    from services.history import History, Leg

SAME_INSTANT = timedelta(minutes=1)
BITCOIN, BITCOIN_FUND = WGMI_BTC.crypto, Symbol("IBIT")  # whose moves from close to close are 0.64 pp apart at most
SHARES_APART = timedelta(minutes=5)  # of two shares, one of which may trade seldom
LATE = timedelta(minutes=30)  # how long a first trade may be waited for


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    """Everything measured at one instant: a session's close, or a moment of the session that is open.

    The stamps are None where the leg has no price at that instant; the measurements then say why. `trust` is how far
    both prices can be relied on; rules neither fire nor resolve on what is not usable.
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MarketView:
    """One pair at the moment `now`, as the board, the rules and the alerts see it.

    `close` is measured at the last session's close. `live` is measured inside the open session; where it is None,
    `live_reason` says why. `awaits_trade` tells that the session has just begun and its source knows of no trade in
    it yet, and `untraded` that the last session ended without one, unlike the session before it. `gap` exists only
    while the ETF is shut and the coin's last trade, `quoted`, is not suspect. `problems` tells what the sources
    failed at.
    """

    pair: Pair
    now: datetime
    market: MarketState
    close: Snapshot
    live: Snapshot | None
    live_reason: str
    awaits_trade: bool = False
    untraded: bool = False
    quoted: Trust = FULL
    etf: Quote | None
    crypto: Quote | None
    gap: Gap | None
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
        trust = seen.trust if seen else FULL
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
        match rule.metric:
            case Metric.GAP:
                return self._observe_gap()
            case Metric.DRAWDOWN:
                value = seen.crypto_drawdown.depth if seen.crypto_drawdown else None
            case metric:
                value = reading(measured, metric)
        reason = "" if value is not None else f"too little history for {rule.metric.value}"
        return Observation(at=seen.at, value=value, reason=reason, closing=not seen.live)

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
            return seen.etf, _stamp(self.crypto)
        return seen.etf, seen.crypto

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


class Trade(NamedTuple):
    """A trade of one leg, and how far it can be trusted."""

    quote: Quote
    trust: Trust


@dataclass(slots=True)
class Market:
    """Views of every pair; a view that is a few seconds old is shared, and one fetch runs at a time."""

    history: History
    _views: dict[Pair, MarketView] = field(default_factory=dict)
    _locks: WeakValueDictionary[Pair, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    async def view(self, pair: Pair, now: datetime) -> MarketView:
        """Fetch, align and measure a pair.

        Source failures do not raise: they stand in `problems`, and what is known goes on ageing. Raises
        NoHistoryError where nothing is known at all.
        """
        async with self._locks.setdefault(pair, asyncio.Lock()):
            known = self._views.get(pair)
            if known is not None and abs(now - known.now) < SHARED_FOR:
                return known
            built = await self._build(pair, now)
            if known is None or known.now < now:  # someone who asked long ago must not turn the clock back
                self._views[pair] = built
            return built

    async def _build(self, pair: Pair, now: datetime) -> MarketView:
        """Take the way of the data once: fetch both legs, align them, add the live row, measure."""
        etf, crypto = await asyncio.gather(self.history.leg(pair.etf, now), self.history.leg(pair.crypto, now))
        problems = problems_of(etf, crypto)
        sessions = self.history.sessions(now)
        market = sessions.state(now)
        aligned = align_legs(pair, etf, crypto, sessions, now)
        idle = _untraded(etf, sessions, now)
        last = aligned.sessions[-1]
        live, live_reason = None, idle.get(last, f"the market is shut; the last session was {market.session}")
        if market.is_open or not (aligned.complete[-1] or last in idle):
            try:
                live, live_reason = await self._live(aligned, market, etf, crypto, now)
            except SourceError as error:
                live_reason = str(error)
                problems.append(live_reason)
        gap = None
        if not market.is_open and not crypto.is_share and crypto.quoted.verdict is not Verdict.SUSPECT:
            gap = implied_gap(_last_traded(aligned, idle), crypto.quote, now)
        trust = trust_at(etf, aligned).also(await self._second(crypto, aligned, now))
        return MarketView(
            pair=pair,
            now=now,
            market=market,
            close=snapshot(aligned, trust=_noted(trust, etf, crypto, last.astype(object))),
            live=live,
            live_reason=live_reason,
            awaits_trade=_awaits_trade(etf, market, now),
            etf=etf.quote,
            crypto=crypto.quote,
            quoted=crypto.quoted,
            untraded=last in idle and aligned.sessions[-2] not in idle,
            gap=gap,
            left_out=aligned.left_out,
            problems=tuple(problems),
            simulated=self.history.simulated,
        )

    async def _second(self, crypto: Leg, closes: Aligned, now: datetime) -> Trust:
        """Tell how far the right leg's close can be trusted; of bitcoin at one venue alone, a fund of it has a say."""
        trust = trust_at(crypto, closes)
        if trust.verdict is not Verdict.DEGRADED or crypto.past.symbol != BITCOIN:
            return trust
        fund = (await self.history.leg(BITCOIN_FUND, now)).past.prices
        return seconded(trust, closes.crypto, closes.sessions, fund) if isinstance(fund, Closes) else trust

    async def _live(
        self, closes: Aligned, market: MarketState, etf: Leg, crypto: Leg, now: datetime
    ) -> tuple[Snapshot | None, str]:
        """Read both legs as of the earlier of their two quote times."""
        pair = closes.pair
        if etf.quote is None or etf.quote.at < market.opens_at:
            return None, f"no {pair.etf} trade yet in the session of {market.session}"
        if crypto.quote is None:
            return None, f"no {pair.crypto} quote"
        as_of = min(etf.quote.at, crypto.quote.at, market.closes_at)
        if now - as_of > LIVE_AT_MOST:
            older = etf.quote if etf.quote.at <= crypto.quote.at else crypto.quote
            minutes = int((now - older.at).total_seconds() // 60)
            return None, f"the last {older.symbol} trade at {older.source} is {minutes} min old"
        latest = as_of + (SHARES_APART if etf.is_share and crypto.is_share else SAME_INSTANT)
        left, right = [
            Trade(quote, leg.quoted) if _traded_at(leg, quote, market) <= latest else await self._read(quote, as_of)
            for leg, quote in ((etf, etf.quote), (crypto, crypto.quote))
        ]
        if left is None:
            return None, _apart(etf, etf.quote, crypto.quote, as_of, market)
        if right is None:
            return None, _apart(crypto, crypto.quote, etf.quote, as_of, market)
        session = market.session
        past = closes.before(session).carried(etf=etf.past.carry(session), crypto=crypto.past.carry(session))
        rows = past.with_live(session, as_of, etf=left.quote.price, crypto=right.quote.price)
        stamps = _stamp(left.quote), _stamp(right.quote)
        return snapshot(rows, stamps, trust=_noted(left.trust.also(right.trust), etf, crypto, session)), ""

    async def _read(self, quote: Quote, as_of: datetime) -> Trade | None:
        """Read what a coin's last minute ended at before an instant; None for a share, whose minutes are not known."""
        told = await self.history.at(quote.symbol, as_of)
        return None if told is None or told.quote is None else Trade(told.quote, told.trust)


def align_legs(pair: Pair, etf: Leg, crypto: Leg, sessions: Sessions, now: datetime) -> Aligned:
    """Put both legs on one clock, up to the last session closed at `now`. Raises NoHistoryError where one is empty."""
    if not len(etf.past.prices) or not len(crypto.past.prices):
        missing = pair.crypto if len(etf.past.prices) else pair.etf
        told = "; ".join(problems_of(etf, crypto))
        raise NoHistoryError(f"No {missing} prices yet. {told or 'The source has none'}.")
    left, right = ({**leg.past.held, **_untraded(leg, sessions, now)} for leg in (etf, crypto))
    return align(pair, etf.past.prices, crypto.past.prices, sessions, until=now, held=(left, right))


def problems_of(*legs: Leg) -> list[str]:
    """List what the sources of some legs failed at, and what of their pasts is left out."""
    return [problem for leg in legs for problem in (*leg.problems, *leg.past.problems)]


def snapshot(aligned: Aligned, stamps: tuple[LegStamp, LegStamp] | None = None, *, trust: Trust = FULL) -> Snapshot:
    """Measure the last row of `aligned` over every window."""
    etf, crypto = stamps or (
        _close_stamp(aligned, str(aligned.pair.etf), aligned.etf_source, float(aligned.etf[-1])),
        _close_stamp(aligned, str(aligned.pair.crypto), aligned.crypto_source, float(aligned.crypto[-1])),
    )
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
    )


def _awaits_trade(etf: Leg, market: MarketState, now: datetime) -> bool:
    """Tell whether an open session is young and its source, which answers, knows of no trade in it yet."""
    untraded = etf.answers and etf.quote is not None and etf.quote.at < market.opens_at
    return market.is_open and untraded and now < market.opens_at + LATE


def _untraded(leg: Leg, sessions: Sessions, now: datetime) -> dict[np.datetime64, str]:
    """Find the sessions without any trade in a share; a coin has none."""
    if not leg.is_share:
        return {}
    return untraded(leg.past, leg.quote, sessions, now, answering=leg.answers and not leg.problems)


def _last_traded(aligned: Aligned, idle: Mapping[np.datetime64, str]) -> Aligned:
    """Cut off the sessions at the end on which nobody traded: the gap goes on from the close before them."""
    traded = ~np.isin(aligned.sessions, np.array([*idle], dtype="datetime64[D]"))
    return aligned.head(int(np.flatnonzero(traded)[-1]) + 1)


def trust_at(leg: Leg, aligned: Aligned) -> Trust:
    """Tell how far a leg can be trusted at the last row."""
    return leg.past.trust(aligned.sessions[-1] if leg.is_share else aligned.at[-1])


def _noted(trust: Trust, etf: Leg, crypto: Leg, session: date) -> Trust:
    """Add to prices that can be used that a leg is without its dividend from this session on."""
    return trust.also(etf.past.noted(session)).also(crypto.past.noted(session)) if trust.verdict.usable else trust


def _traded_at(leg: Leg, quote: Quote, market: MarketState) -> datetime:
    """Tell which instant a trade is the price of: the last trade of a share, after its close, is that of the close."""
    return min(quote.at, market.closes_at) if leg.is_share else quote.at


def _apart(leg: Leg, quote: Quote, other: Quote, as_of: datetime, market: MarketState) -> str:
    """Say why a leg has no price at the other one's instant."""
    if not leg.is_share:
        return f"no {quote.symbol} price at {as_of:%H:%M} UTC, when {other.symbol} last traded"
    apart = int((_traded_at(leg, quote, market) - as_of).total_seconds())
    return f"the {other.symbol} quote is {apart} s older than {quote.symbol}'s"


def implied_gap(closes: Aligned, crypto: Quote | None, now: datetime) -> Gap | None:
    """Take what bitcoin's move since the last close implies; None without a fresh price on either end."""
    if crypto is None or np.isnan(closes.crypto[-1]):
        return None
    is_old = crypto.at < moment(closes.at[-1]) or now - crypto.at > LIVE_AT_MOST
    return None if is_old else implied(closes, crypto.price, crypto.at)


def _close_stamp(aligned: Aligned, symbol: str, source: str, price: float) -> LegStamp | None:
    if np.isnan(price):
        return None
    return LegStamp(symbol=symbol, source=source, price=price, at=moment(aligned.at[-1]))


def _stamp(quote: Quote) -> LegStamp:
    return LegStamp(symbol=quote.symbol, source=quote.source, price=quote.price, at=quote.at)
