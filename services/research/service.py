"""Study: what the past of the pair tells when it is asked: why the legs parted, and what rules would have done."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from math import isclose
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.core.concurrency import gather_all
from services.core.errors import NoHistoryError, ReplayError, SourceError
from services.core.prices import AI_PROXY, WGMI_BTC, Closes, Pair, Symbol, moment
from services.core.trust import FULL
from services.market.align import Aligned
from services.market.live_pair import LivePair, trade_beside
from services.market.measure import Window
from services.market.mining_economics import hashprice, past_hashprices
from services.market.network_checks import SAME
from services.market.network_history import NOTHING, NetworkHistory, PercentileRank, percentile_rank
from services.market.network_service import NetworkService
from services.market.price_history import Leg, PriceHistory
from services.market.snapshot import trust_at
from services.research.attribution import IntradayAttribution, Legs, intraday_attribution
from services.research.drawdown import underwater
from services.research.explain import explain
from services.research.holdings_report import HoldingsReporter
from services.research.rate_target import RateTarget
from services.research.report import Material, report
from services.research.results import (
    BacktestResult,
    DrawdownResult,
    ExplainResult,
    NetworkView,
    Provenance,
    ReportResult,
    TuneResult,
)
from services.research.track_record import Backtest, backtest
from services.research.tune import LooserRule, calibrated, half_as_often
from services.rules.chart_series import IndexedReturns, between, replayed_series, stretch
from services.rules.market_service import align_legs, problems_of
from services.rules.rule import Rule


class Past(NamedTuple):
    """Both legs of a pair up to now, and aligned at the closes of the finished sessions."""

    etf: Leg
    crypto: Leg
    aligned: Aligned


@dataclass(slots=True)
class ResearchService:
    """Answers from history alone; the same prices that alerts are decided on, up to the last close."""

    history: PriceHistory
    mining: NetworkService
    constituents: HoldingsReporter
    pair: Pair = WGMI_BTC
    proxy: Symbol = AI_PROXY

    async def explain(self, window: Window, now: datetime) -> ExplainResult:
        """Explain the ETF's return over a window that ends with the last close. Raises NoHistoryError."""
        past, proxy = await gather_all(self._past(self.pair, now), self.history.leg(self.proxy, now))
        closes = proxy.past.prices
        if not isinstance(closes, Closes) or not len(closes):
            raise NoHistoryError(self._no_proxy(proxy))
        legs = Legs.of(past.aligned, closes)
        prices = past.etf.past.prices, past.crypto.past.prices
        found = explain(legs, window, *prices, self.history.sessions(now))
        rows = legs.until_complete().aligned
        live, why = await self._so_far(past, legs, proxy, now)
        basis = self._basis(rows, past.etf, past.crypto, proxy)
        return ExplainResult(explanation=found, basis=basis, so_far=live, unlive=why)

    async def backtest(self, rule: Rule, now: datetime) -> BacktestResult:
        """Put a rule to all of history, in a thread. Raises NoHistoryError, and ReplayError for one on the gap."""
        past = await self._past(rule.pair, now)
        closes = await self.mining.beside(past.aligned, rule.metric, now)
        found, drawn = await asyncio.to_thread(backtested, closes, rule)
        return BacktestResult(backtest=found, curve=drawn, basis=self._basis(past.aligned, past.etf, past.crypto))

    async def report(self, rules: Sequence[Rule], first: date | None, last: date | None, now: datetime) -> ReportResult:
        """Report on the sessions between two, in a thread. Raises NoHistoryError and ReplayError."""
        past, proxy = await gather_all(self._past(self.pair, now), self.history.leg(self.proxy, now))
        closes = proxy.past.prices
        material = Material(
            aligned=past.aligned,
            etf=past.etf.past.prices,
            crypto=past.crypto.past.prices,
            sessions=self.history.sessions(now),
            proxy=closes if isinstance(closes, Closes) and len(closes) else None,
            missing=self._no_proxy(proxy),
        )
        found = await asyncio.to_thread(report, material, rules, first, last)
        known = past.aligned.head(between(past.aligned, first, last).stop)
        legs = (past.etf, past.crypto, *([proxy] if material.proxy else []))
        return ReportResult(report=found, basis=self._basis(known, *legs))

    async def tune(self, wish: RateTarget, against: Sequence[Rule], now: datetime) -> TuneResult:
        """Find the rule for a wanted rate, in a thread, and hold it against those of `against` that watch the same.

        Raises NoHistoryError, and ReplayError for a rate that no threshold gives.
        """
        past = await self._past(wish.rule.pair, now)
        closes = await self.mining.beside(past.aligned, wish.rule.metric, now)
        found, shifts = await asyncio.to_thread(calibrated, closes, wish, against)
        return TuneResult(tuned=found, shifts=shifts, basis=self._basis(past.aligned, past.etf, past.crypto))

    async def gentler(self, rule: Rule, now: datetime) -> LooserRule | None:
        """Find the threshold that fires half as often, in a thread; None where history tells none."""
        try:
            past = await self._past(rule.pair, now)
            return await asyncio.to_thread(
                half_as_often, await self.mining.beside(past.aligned, rule.metric, now), rule
            )
        except (NoHistoryError, ReplayError):
            return None

    async def depths(self, now: datetime) -> DrawdownResult:
        """Measure both drawdowns at the last close that both legs have. Raises NoHistoryError."""
        past = await self._past(self.pair, now)
        known = np.flatnonzero(past.aligned.complete)
        if not len(known):
            raise NoHistoryError(f"{self.pair} have no session in common.")
        rows = past.aligned.head(int(known[-1]) + 1)
        legs = (
            underwater(rows, self.pair.etf, rows.etf),
            underwater(rows, self.pair.crypto, rows.crypto, rows.crypto_past),
        )
        return DrawdownResult(
            session=rows.sessions[-1].astype(object),
            legs=tuple(leg for leg in legs if leg),
            basis=self._basis(rows, past.etf, past.crypto),
        )

    async def network(self, now: datetime) -> NetworkView:
        """Tell how hard it is to mine and what it earns. Raises NoHistoryError where the network is unknown."""
        pair = Pair(etf=self.pair.etf, crypto=WGMI_BTC.crypto)
        judged, told, etf, coin = await gather_all(
            self.mining.network(now),
            self.mining.past(now),
            self.history.leg(pair.etf, now),
            self.history.leg(pair.crypto, now),
        )
        network, price, memory = judged.network, coin.quote, told.past or NOTHING
        try:
            earlier = align_legs(pair, etf, coin, self.history.sessions(now), now)
        except NoHistoryError:
            earlier = None
        earned = bare = None
        if network.difficulty and network.reward and price:
            earned = hashprice(network.difficulty, network.reward.total, price.price)
            bare = hashprice(network.difficulty, network.reward.total - network.reward.fees, price.price)
        return NetworkView(
            judged=judged,
            price=price,
            hashprice=earned,
            without_fees=bare,
            difficulty=_difficulty(network.difficulty, memory),
            hashrate=_among(network.hashrate, memory.days, memory.hashrates),
            hashprice_standing=_hashprice(bare, memory, earlier),
            basis=Provenance(
                trust=judged.trust.also(coin.quoted),
                problems=(*coin.problems, *([told.problem] if told.problem else [])),
                simulated=self.history.simulated,
            ),
        )

    async def _so_far(
        self, past: Past, legs: Legs, proxy: Leg, now: datetime
    ) -> tuple[IntradayAttribution | None, str]:
        """Part the session that is open, where all three can be read at one instant; else say why not."""
        market = self.history.sessions(now).state(now)
        if not market.is_open:
            return None, ""
        both = LivePair(closes=past.aligned, market=market, etf=past.etf, crypto=past.crypto)
        try:
            read, why = await both.read(self.history, now)
        except SourceError as error:
            return None, str(error)
        if read is None:
            return None, why
        trust = read.etf.trust.also(read.crypto.trust).also(proxy.quoted)
        if not trust.verdict.usable:
            return None, "; ".join(trust.reasons)
        at = moment(read.rows.at[-1])
        quote = trade_beside(proxy, market, at)
        if quote is None:
            return None, f"{self.proxy} has no trade within five minutes of {at:%H:%M} UTC"
        last = float(legs.proxy_prices[-1]) * proxy.past.carry(market.session)
        moved = [float(prices[-1] / prices[-2] - 1) for prices in (read.rows.etf, read.rows.crypto)]
        found = intraday_attribution(legs, at, etf=moved[0], crypto=moved[1], proxy=quote.price / last - 1)
        return found, "" if found else "the close before lacks a price, or the history is too short for betas"

    def _no_proxy(self, leg: Leg) -> str:
        told = "; ".join(problems_of(leg)) or "It is not a share that the sources know"
        return f"No closes of {self.proxy}, the AI proxy. {told}."

    async def _past(self, pair: Pair, now: datetime) -> Past:
        etf, crypto = await gather_all(self.history.leg(pair.etf, now), self.history.leg(pair.crypto, now))
        return Past(etf, crypto, align_legs(pair, etf, crypto, self.history.sessions(now), now))

    def _basis(self, aligned: Aligned, *legs: Leg) -> Provenance:
        trust = FULL
        for leg in legs:
            trust = trust.also(trust_at(leg, aligned))
        return Provenance(trust=trust, problems=tuple(problems_of(*legs)), simulated=self.history.simulated)


def backtested(aligned: Aligned, rule: Rule) -> tuple[Backtest, IndexedReturns]:
    """Put a rule to all of history, and draw what it watched. Raises ReplayError, and NoHistoryError."""
    found, rows = backtest(aligned, rule), between(aligned)
    return found, stretch(aligned, rows, [replayed_series(aligned, rows, found.found)])


def _difficulty(now: float | None, memory: NetworkHistory) -> PercentileRank | None:
    """Place the difficulty among those before its own retarget, which the past has already."""
    before = len(memory.difficulties)
    if now is not None and before and isclose(memory.difficulties[-1], now, rel_tol=SAME):
        before -= 1
    return _among(now, memory.retargets_at[:before], memory.difficulties[:before])


def _hashprice(now: float | None, memory: NetworkHistory, rows: Aligned | None) -> PercentileRank | None:
    if rows is None:
        return None
    return _among(now, rows.sessions, past_hashprices(memory, rows.at, rows.crypto))


def _among(now: float | None, days: NDArray[np.datetime64], values: NDArray[np.float64]) -> PercentileRank | None:
    return None if now is None else percentile_rank(now, days.astype("datetime64[D]"), values)
