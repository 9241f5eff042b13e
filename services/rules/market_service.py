"""Market: fetch, align and measure one pair once, for everyone who asks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from weakref import WeakValueDictionary

import numpy as np

from services.core.concurrency import gather_all
from services.core.errors import NoHistoryError, SourceError
from services.core.prices import WGMI_BTC, Closes, Pair, Quote, Symbol, moment
from services.core.sessions import Sessions
from services.core.trust import Trust, Verdict
from services.market.align import Aligned, align
from services.market.consensus.closes import corroborated
from services.market.consensus.no_trade_sessions import untraded
from services.market.feeds.freshness import LIVE_AT_MOST, SHARED_FOR
from services.market.gap import Gap, implied
from services.market.live_pair import LivePair
from services.market.network_service import NetworkReading, NetworkService
from services.market.price_history import Leg, PriceHistory
from services.market.snapshot import Snapshot, origins, snapshot, stamp_of, trust_at
from services.rules.history_lookup import HistoryLookup
from services.rules.market_view import MarketView
from services.rules.network_view import NetworkViewBuilder

__all__ = ["MarketService", "MarketView", "Snapshot", "implied_gap"]

BITCOIN, BITCOIN_FUND = WGMI_BTC.crypto, Symbol("IBIT")  # whose moves from close to close are 0.64 pp apart at most


@dataclass(slots=True)
class MarketService:
    """Views of every pair; a view that is a few seconds old is shared, and one fetch runs at a time.

    The bitcoin network is looked at only for who asks for it, so that it is left alone where no rule is about it.
    """

    history: PriceHistory
    mining: NetworkService = field(default_factory=lambda: NetworkService([]))
    _views: dict[Pair, MarketView] = field(default_factory=dict)
    _closes: dict[Pair, Aligned] = field(default_factory=dict)
    _locks: WeakValueDictionary[Pair, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    async def view(self, pair: Pair, now: datetime) -> MarketView:
        """Fetch, align and measure a pair.

        Source failures do not raise: they stand in `problems`, and what is known goes on ageing. Raises
        NoHistoryError where nothing is known at all.
        """
        return await self._view(pair, now, network=False)

    async def view_with_network(self, pair: Pair, now: datetime) -> MarketView:
        """Do the same, and look at the bitcoin network too."""
        return await self._view(pair, now, network=True)

    async def _view(self, pair: Pair, now: datetime, *, network: bool) -> MarketView:
        async with self._locks.setdefault(pair, asyncio.Lock()):
            known = self._views.get(pair)
            if known is not None and abs(now - known.now) < SHARED_FOR and (known.network or not network):
                return known
            built = await self._build(pair, now, network=network)
            if known is None or known.now < now:  # someone who asked long ago must not turn the clock back
                self._views[pair] = built
            return built

    def knows(self, pair: Pair) -> bool:
        """Tell whether the history of a pair is in memory."""
        return pair in self._closes

    async def closes(self, pair: Pair, now: datetime) -> Aligned:
        """Give every session's close of a pair as the last view of it rests on; fetched only where none was made yet.

        The network's past may stand beside them or not. Raises NoHistoryError.
        """
        if not self.knows(pair):
            await self.view(pair, now)
        return self._closes[pair]

    async def _build(self, pair: Pair, now: datetime, *, network: bool) -> MarketView:
        """Take the way of the data once: fetch both legs and the network, align them, add the live row, measure."""
        etf, crypto, mined = await gather_all(
            self.history.leg(pair.etf, now), self.history.leg(pair.crypto, now), self._network(now, wanted=network)
        )
        problems = problems_of(etf, crypto)
        sessions = self.history.sessions(now)
        market = sessions.state(now)
        aligned = align_legs(pair, etf, crypto, sessions, now)
        if mined is not None:
            aligned = replace(aligned, network=mined.past)
        idle = _untraded(etf, sessions, now)
        self._closes[pair] = aligned
        last = aligned.sessions[-1]
        both = LivePair(closes=aligned, market=market, etf=etf, crypto=crypto)
        live, live_reason = None, idle.get(last, f"the market is shut; the last session was {market.session}")
        if market.is_open or not (aligned.complete[-1] or last in idle):
            try:
                live, live_reason = await self._live(both, now)
            except SourceError as error:
                live_reason = str(error)
                problems.append(live_reason)
        gap = None
        if not market.is_open and not crypto.is_share and crypto.quoted.verdict is not Verdict.SUSPECT:
            gap = implied_gap(_last_traded(aligned, idle), crypto.quote, now)
        coin = await self._second(crypto, aligned, now)
        around = NetworkViewBuilder(closes=aligned, market=market, etf=etf, crypto=crypto, crypto_trust=coin)
        return MarketView(
            pair=pair,
            now=now,
            market=market,
            close=snapshot(
                aligned,
                trust=_noted(trust_at(etf, aligned).also(coin), etf, crypto, last.astype(object)),
                origins=origins(aligned, etf, crypto),
            ),
            past=HistoryLookup(aligned),
            live=live,
            live_reason=live_reason,
            awaits_trade=both.awaits_trade(now),
            etf=etf.quote,
            crypto=crypto.quote,
            quoted=crypto.quoted,
            untraded=last in idle and aligned.sessions[-2] not in idle,
            gap=gap,
            network=around.look(mined, now) if mined else None,
            left_out=aligned.left_out,
            problems=tuple(problems),
            simulated=self.history.simulated,
        )

    async def _network(self, now: datetime, *, wanted: bool) -> NetworkReading | None:
        return await self.mining.sight(now) if wanted else None

    async def _second(self, crypto: Leg, closes: Aligned, now: datetime) -> Trust:
        """Tell how far the right leg's close can be trusted; of bitcoin at one venue alone, a fund of it has a say."""
        trust = trust_at(crypto, closes)
        if trust.verdict is not Verdict.DEGRADED or crypto.past.symbol != BITCOIN:
            return trust
        fund = (await self.history.leg(BITCOIN_FUND, now)).past.prices
        return corroborated(trust, closes.crypto, closes.sessions, fund) if isinstance(fund, Closes) else trust

    async def _live(self, both: LivePair, now: datetime) -> tuple[Snapshot | None, str]:
        """Measure what the legs come to in the session, where both can be read at one instant."""
        read, reason = await both.read(self.history, now)
        if read is None:
            return None, reason
        trust = _noted(read.etf.trust.also(read.crypto.trust), both.etf, both.crypto, both.market.session)
        stamps = stamp_of(read.etf.quote), stamp_of(read.crypto.quote)
        return snapshot(read.rows, stamps, trust=trust, origins=origins(read.rows, both.etf, both.crypto)), ""


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


def _untraded(leg: Leg, sessions: Sessions, now: datetime) -> dict[np.datetime64, str]:
    """Find the sessions without any trade in a share; a coin has none."""
    if not leg.is_share:
        return {}
    return untraded(leg.past, leg.quote, sessions, now, answering=leg.answers and not leg.problems)


def _last_traded(aligned: Aligned, idle: Mapping[np.datetime64, str]) -> Aligned:
    """Cut off the sessions at the end on which nobody traded: the gap goes on from the close before them."""
    traded = ~np.isin(aligned.sessions, np.array([*idle], dtype="datetime64[D]"))
    return aligned.head(int(np.flatnonzero(traded)[-1]) + 1)


def _noted(trust: Trust, etf: Leg, crypto: Leg, session: date) -> Trust:
    """Add to prices that can be used that a leg is without its dividend from this session on."""
    return trust.also(etf.past.noted(session)).also(crypto.past.noted(session)) if trust.verdict.usable else trust


def implied_gap(closes: Aligned, crypto: Quote | None, now: datetime) -> Gap | None:
    """Take what bitcoin's move since the last close implies; None without a fresh price on either end."""
    if crypto is None or np.isnan(closes.crypto[-1]):
        return None
    is_old = crypto.at < moment(closes.at[-1]) or now - crypto.at > LIVE_AT_MOST
    return None if is_old else implied(closes, crypto.price, crypto.at)
