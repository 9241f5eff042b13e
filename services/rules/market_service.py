"""Fetch, align and measure a pair once for all callers."""

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from weakref import WeakValueDictionary

import numpy as np

from services.core.concurrency import gather_all
from services.core.errors import NoHistoryError, SourceError
from services.core.prices import WGMI_BTC, Bars, Closes, Pair, Symbol, to_datetime
from services.core.reason import Code, Reason
from services.core.sessions import Sessions
from services.core.trust import Trust, Verdict
from services.market.align import Aligned, align
from services.market.basis import pair_basis
from services.market.consensus.closes import LegHistory, corroborate, no_trade_sessions
from services.market.feeds.freshness import ANSWER_TTL, MAX_CLOCK_SKEW, MAX_LIVE_AGE
from services.market.gap import Gap, predict_gap, read_off_hours
from services.market.live_pair import LivePair
from services.market.network_checks import TrustedHistory
from services.market.network_service import NetworkService
from services.market.price_history import PriceHistory
from services.market.snapshot import Snapshot, anchor_trust, snapshot, stamp_of, trust_at
from services.rules.history_lookup import HistoryLookup
from services.rules.market_view import MarketView
from services.rules.network_view import NetworkViewBuilder

MAX_UNWATCHED = 64  # pairs; each takes about 1 MB
BITCOIN, BITCOIN_ETF = WGMI_BTC.crypto, Symbol("IBIT")  # close-to-close returns differ by at most 0.64 pp


@dataclass(slots=True)
class MarketService:
    """Views of all pairs; a view is shared for a few seconds, and one fetch per pair runs at a time.

    Of the pairs that nothing watches, only the 64 used last stay in memory. The bitcoin network is read only on
    request, so that it is not called if no rule needs it.
    """

    history: PriceHistory
    mining: NetworkService = field(default_factory=lambda: NetworkService([]))
    _views: OrderedDict[Pair, MarketView] = field(default_factory=OrderedDict)
    _closes: dict[Pair, Aligned] = field(default_factory=dict)
    _watched: frozenset[Pair] = frozenset()
    _locks: WeakValueDictionary[Pair, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    def watch(self, pairs: Collection[Pair]) -> None:
        """Reserve three quarters of each vendor's quota for these pairs, and keep them in memory."""
        self._watched = frozenset(pairs)
        self.history.watch({symbol for pair in pairs for symbol in (pair.etf, pair.crypto, BITCOIN_ETF)})

    async def view(self, pair: Pair, now: datetime) -> MarketView:
        """Fetch, align and measure a pair.

        Source failures do not raise: they are in `problems`, and the known prices age. Raises NoHistoryError if
        nothing is known.
        """
        return await self._view(pair, now, network=False)

    async def view_with_network(self, pair: Pair, now: datetime) -> MarketView:
        """Return `view` with the bitcoin network."""
        return await self._view(pair, now, network=True)

    async def _view(self, pair: Pair, now: datetime, *, network: bool) -> MarketView:
        async with self._locks.setdefault(pair, asyncio.Lock()):
            known = self._views.get(pair)
            if known is not None:
                self._views.move_to_end(pair)
            if known is not None and abs(now - known.now) < ANSWER_TTL and (known.network or not network):
                return known
            built = await self._build(pair, now, network=network)
            # A late call with an older `now` must not replace a newer view, unless the clock was set back.
            if known is None or known.now < now or known.now > now + MAX_CLOCK_SKEW:
                self._views[pair] = built
                self._forget_unused()
            return built

    def _forget_unused(self) -> None:
        unwatched = [pair for pair in self._views if pair not in self._watched]
        for pair in unwatched[:-MAX_UNWATCHED]:
            del self._views[pair]
            self._closes.pop(pair, None)

    def has_history(self, pair: Pair) -> bool:
        """Return whether the history of a pair is in memory."""
        return pair in self._closes

    async def closes(self, pair: Pair, now: datetime) -> Aligned:
        """Return all session closes of a pair from its last view; fetch only if there is none yet.

        They may or may not include the network's history. Raises NoHistoryError.
        """
        if not self.has_history(pair):
            await self.view(pair, now)
        return self._closes[pair]

    async def _build(self, pair: Pair, now: datetime, *, network: bool) -> MarketView:
        """Run the data flow once: fetch both legs and the network, align them, add the live row, measure."""
        (etf, crypto), network_reading = await gather_all(
            self.history.pair(pair, now), self._network(now, needed=network)
        )
        problems = leg_problems(etf, crypto)
        sessions = self.history.sessions(now)
        market = sessions.state_at(now)
        aligned = align_legs(pair, etf, crypto, sessions, now)
        if network_reading is not None:
            aligned = replace(aligned, network=network_reading.history)
            problems += self.mining.dropped_values()
        untraded_sessions = _untraded(etf, sessions, now)
        self._closes[pair] = aligned
        last = aligned.sessions[-1]
        live_pair = LivePair(closes=aligned, market=market, etf=etf, crypto=crypto)
        live = None
        live_reason: Reason | str = untraded_sessions.get(last, Reason.of(Code.MARKET_CLOSED, session=market.session))
        if market.is_open or not (aligned.complete[-1] or last in untraded_sessions):
            try:
                live, live_reason = await self._live(live_pair, now)
            except SourceError as error:
                live_reason = str(error)
                problems.append(live_reason)
        gap = None
        if not market.is_open and not crypto.is_share and crypto.quote_trust.verdict is not Verdict.SUSPECT:
            gap = implied_gap(_last_traded(aligned, untraded_sessions), etf, crypto, sessions, now)
        crypto_close_trust = await self._crypto_close_trust(crypto, aligned, now)
        network_builder = NetworkViewBuilder(
            closes=aligned, market=market, etf=etf, crypto=crypto, crypto_trust=crypto_close_trust
        )
        return MarketView(
            pair=pair,
            now=now,
            market=market,
            close=snapshot(
                aligned,
                trust=_with_dividend_notes(
                    trust_at(etf, aligned).combined_with(crypto_close_trust), etf, crypto, last.astype(object)
                ),
                anchor_trust=anchor_trust(aligned, etf, crypto),
            ),
            history=HistoryLookup(aligned),
            live=live,
            live_reason=live_reason,
            awaits_trade=live_pair.awaits_first_trade(now),
            etf=etf.quote,
            crypto=crypto.quote,
            crypto_trust=crypto.quote_trust,
            last_session_untraded=last in untraded_sessions and aligned.sessions[-2] not in untraded_sessions,
            gap=gap,
            network=network_builder.build(network_reading, now) if network_reading else None,
            left_out=aligned.exclusions,
            problems=tuple(problems),
            simulated=self.history.simulated,
            loading_since=basis.first if crypto.loading and (basis := pair_basis(aligned)) else None,
        )

    async def _network(self, now: datetime, *, needed: bool) -> TrustedHistory | None:
        return await self.mining.history_for_rules(now) if needed else None

    async def _crypto_close_trust(self, crypto: LegHistory, closes: Aligned, now: datetime) -> Trust:
        """Return the trust in the crypto leg's close; bitcoin from a single venue is checked against a bitcoin ETF."""
        trust = trust_at(crypto, closes)
        if trust.verdict is not Verdict.DEGRADED or crypto.history.symbol != BITCOIN:
            return trust
        etf_closes = (await self.history.leg(BITCOIN_ETF, now)).history.prices
        if not isinstance(etf_closes, Closes):
            return trust
        return corroborate(trust, closes.crypto, closes.sessions, etf_closes)

    async def _live(self, live_pair: LivePair, now: datetime) -> tuple[Snapshot | None, Reason | str]:
        """Measure the open session if both legs have a price at one instant; else return None and the reason."""
        read, reason = await live_pair.read(self.history, now)
        if read is None:
            return None, reason
        trust = _with_dividend_notes(
            read.etf.trust.combined_with(read.crypto.trust), live_pair.etf, live_pair.crypto, live_pair.market.session
        )
        stamps = stamp_of(read.etf.quote), stamp_of(read.crypto.quote)
        anchors = anchor_trust(read.aligned, live_pair.etf, live_pair.crypto)
        return snapshot(read.aligned, stamps, trust=trust, anchor_trust=anchors), ""


def align_legs(pair: Pair, etf: LegHistory, crypto: LegHistory, sessions: Sessions, now: datetime) -> Aligned:
    """Align both legs up to the last session closed at `now`. Raises NoHistoryError if one is empty.

    While older prices of the coin are loading, the sessions before its first price are not exclusions.
    """
    if not len(etf.history.prices) or not len(crypto.history.prices):
        missing = pair.crypto if len(etf.history.prices) else pair.etf
        raise NoHistoryError(Reason.of(Code.NO_PRICES_YET, symbol=missing, problems=leg_problems(etf, crypto)))
    left, right = ({**leg.history.quarantined, **_untraded(leg, sessions, now)} for leg in (etf, crypto))
    aligned = align(
        pair,
        etf.history.prices,
        crypto.history.prices,
        sessions,
        until=now,
        quarantined=(left, right),
        daily=crypto.daily,
    )
    basis = pair_basis(aligned) if crypto.loading else None
    if basis is None:
        return aligned
    return replace(aligned, exclusions=tuple(one for one in aligned.exclusions if one.session >= basis.first))


def leg_problems(*legs: LegHistory) -> list[Reason | str]:
    """Return the source failures of some legs, and what is excluded from their histories."""
    return [problem for leg in legs for problem in (*leg.problems, *leg.history.problems)]


def _untraded(leg: LegHistory, sessions: Sessions, now: datetime) -> dict[np.datetime64, Reason]:
    """Return the sessions in which a share had no trade; empty for a coin."""
    if not leg.is_share:
        return {}
    return no_trade_sessions(leg.history, leg.quote, sessions, now, answering=leg.answering and not leg.problems)


def _last_traded(aligned: Aligned, untraded_sessions: Mapping[np.datetime64, Reason]) -> Aligned:
    """Drop the sessions without a trade at the end: the gap starts from the close before them."""
    traded = ~np.isin(aligned.sessions, np.array([*untraded_sessions], dtype="datetime64[D]"))
    return aligned.head(int(np.flatnonzero(traded)[-1]) + 1)


def _with_dividend_notes(trust: Trust, etf: LegHistory, crypto: LegHistory, session: date) -> Trust:
    """Add to usable prices that a leg's dividend is missing from this session on."""
    if not trust.verdict.usable:
        return trust
    return trust.combined_with(etf.history.dividend_note(session)).combined_with(crypto.history.dividend_note(session))


def implied_gap(closes: Aligned, etf: LegHistory, crypto: LegHistory, sessions: Sessions, now: datetime) -> Gap | None:
    """Return the ETF gap implied by bitcoin's move since the last close; None without a fresh price at either end."""
    quote, bars = crypto.quote, crypto.history.prices
    if quote is None or np.isnan(closes.crypto[-1]) or not isinstance(bars, Bars):
        return None
    if quote.at < to_datetime(closes.at[-1]) or now - quote.at > MAX_LIVE_AGE:
        return None
    off_hours = read_off_hours(closes, etf.history.prices, bars, sessions)
    return predict_gap(closes, off_hours, quote.price, quote.at, sessions.state_at(now).next_open_at)
