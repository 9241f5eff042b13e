"""Research service: load history, run the calculations, and return results with the provenance of their prices."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from math import isclose
from statistics import median
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.core.concurrency import gather_all
from services.core.errors import DataError, NoHistoryError, ReplayError, SourceError
from services.core.prices import AI_PROXY, WGMI_BTC, Closes, Pair, Quote, Symbol, to_datetime
from services.core.reason import Code, Reason, all_of
from services.core.statistics import LOOKBACK_SESSIONS
from services.core.trust import TRUSTED, Trust
from services.market.align import Aligned, Exclusion
from services.market.basis import Basis, pair_basis
from services.market.chart_points import common_rows
from services.market.consensus.closes import LegHistory
from services.market.live_pair import LivePair, trade_near
from services.market.measure import Window
from services.market.metrics import Series
from services.market.mining_economics import hashprice
from services.market.mining_power import NO_ROWS, PowerEstimate, estimate_power, power_rows
from services.market.network_checks import DIFFICULTY_TOLERANCE, CheckedNetwork
from services.market.network_history import EMPTY_HISTORY, NetworkHistory, PercentileRank, percentile_rank
from services.market.network_service import NetworkService
from services.market.price_history import PriceHistory
from services.market.snapshot import trust_at
from services.research.attribution import IntradayAttribution, Legs, attribute_intraday
from services.research.explain import Explanation, explain
from services.research.holdings_report import HoldingsReporter
from services.research.report import DrawdownSummary, Report, ReportInput, build_report, summarize_drawdowns
from services.research.track_record import RECORD_SESSIONS, Backtest, backtest
from services.research.tune import HalfRateRule, RateTarget, RuleDiff, TunedRule, half_rate_rule, tune_with_diffs
from services.rules.chart_series import IndexedReturns, indexed_returns_over, replayed_series
from services.rules.decide import Change
from services.rules.market_service import MarketService, align_legs, leg_problems
from services.rules.replay import Step, replay
from services.rules.rule import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Data quality of a result: trust in the last prices, source failures, and the sessions it is based on."""

    trust: Trust = TRUSTED
    problems: tuple[Reason | str, ...] = ()
    simulated: bool = False
    basis: Basis | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainResult:
    """An explanation of the spread over a window.

    Attributes:
        intraday: Attribution of the open session, not part of the window.
        no_intraday_reason: Why an open session has no attribution; empty while the market is closed.
    """

    explanation: Explanation
    provenance: Provenance
    intraday: IntradayAttribution | None = None
    no_intraday_reason: Reason | str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestResult:
    """A backtest of one rule, with the curve to draw.

    Attributes:
        left_out: Sessions without both prices, which are not counted.
    """

    backtest: Backtest
    curve: IndexedReturns
    provenance: Provenance
    left_out: tuple[Exclusion, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportResult:
    """A report on a range of sessions.

    Attributes:
        power: Power draw of the bitcoin network on the last session whose hash rate is known; None without one.
    """

    report: Report
    provenance: Provenance
    power: PowerEstimate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneResult:
    """A rule tuned to a target rate, with its differences from existing rules.

    Attributes:
        left_out: Sessions without both prices, which are not counted.
    """

    tuned: TunedRule
    diffs: tuple[RuleDiff, ...]
    provenance: Provenance
    left_out: tuple[Exclusion, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawdownResult:
    """Drawdowns of both legs at a session's close; a leg without a price there is left out."""

    session: date
    legs: tuple[DrawdownSummary, ...]
    provenance: Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkResult:
    """The bitcoin network now, with the rank of each figure in its own history; None means unknown.

    Attributes:
        price: Last bitcoin price.
        hashprice, hashprice_without_fees: US dollars per PH/s per day.
        hashprice_rank: Rank of the hashprice without fees.
        power: Power draw; None if the hash rate is unknown.
    """

    checked: CheckedNetwork
    price: Quote | None
    hashprice: float | None
    hashprice_without_fees: float | None
    difficulty_rank: PercentileRank | None
    hashrate_rank: PercentileRank | None
    hashprice_rank: PercentileRank | None
    provenance: Provenance
    power: PowerEstimate | None = None


class PairHistory(NamedTuple):
    """Both legs of a pair up to now, and their prices aligned at the closes of finished sessions."""

    etf: LegHistory
    crypto: LegHistory
    aligned: Aligned


@dataclass(slots=True)
class ResearchService:
    """Answers from history up to the last close, with the same prices that alerts use."""

    history: PriceHistory
    network_service: NetworkService
    holdings: HoldingsReporter
    pair: Pair = WGMI_BTC
    proxy: Symbol = AI_PROXY

    async def explain(self, window: Window, now: datetime) -> ExplainResult:
        """Explain the ETF's return over a window that ends with the last close. Raises NoHistoryError."""
        pair, proxy = await gather_all(self._pair_history(self.pair, now), self.history.leg(self.proxy, now))
        closes = proxy.history.prices
        if not isinstance(closes, Closes) or not len(closes):
            raise NoHistoryError(self._no_proxy_closes(proxy))
        legs = Legs.of(pair.aligned, closes)
        prices = pair.etf.history.prices, pair.crypto.history.prices
        explanation = explain(legs, window, *prices, self.history.sessions(now))
        rows = legs.until_complete().aligned
        intraday, no_intraday_reason = await self._intraday(pair, legs, proxy, now)
        basis = pair_basis(rows, loading=pair.crypto.loading)
        provenance = replace(self._provenance(rows, pair.etf, pair.crypto, proxy), basis=basis)
        return ExplainResult(
            explanation=explanation, provenance=provenance, intraday=intraday, no_intraday_reason=no_intraday_reason
        )

    async def backtest(self, rule: Rule, now: datetime) -> BacktestResult:
        """Backtest a rule on all sessions since the ETF's listing, in a worker thread.

        Raises NoHistoryError, and ReplayError for a gap rule.
        """
        pair = await self._pair_history(rule.pair, now)
        closes = await self.network_service.with_network_history(pair.aligned, rule.metric, now)
        result, curve = await asyncio.to_thread(backtest_with_curve, closes, rule)
        provenance = self._pair_provenance(pair, pair.aligned)
        return BacktestResult(backtest=result, curve=curve, provenance=provenance, left_out=closes.exclusions)

    async def report(self, rules: Sequence[Rule], first: date | None, last: date | None, now: datetime) -> ReportResult:
        """Report on the sessions from `first` to `last`, in a worker thread. Raises NoHistoryError and ReplayError."""
        pair, proxy = await gather_all(self._pair_history(self.pair, now), self.history.leg(self.proxy, now))
        closes = proxy.history.prices
        prices = ReportInput(
            aligned=pair.aligned,
            etf=pair.etf.history.prices,
            crypto=pair.crypto.history.prices,
            sessions=self.history.sessions(now),
            proxy=closes if isinstance(closes, Closes) and len(closes) else None,
            proxy_missing=self._no_proxy_closes(proxy),
            daily=pair.crypto.daily,
            loading=pair.crypto.loading,
        )
        result = await asyncio.to_thread(build_report, prices, rules, first, last)
        known = pair.aligned.head(common_rows(pair.aligned, first, last).stop)
        legs = (pair.etf, pair.crypto, *([proxy] if prices.proxy else []))
        power, problem = await self._power_at(pair.etf, known.sessions[-1].item(), now)
        provenance = replace(self._provenance(known, *legs), basis=pair_basis(known, loading=pair.crypto.loading))
        if problem:
            provenance = replace(provenance, problems=(*provenance.problems, problem))
        return ReportResult(report=result, provenance=provenance, power=power)

    async def _power_at(self, etf: LegHistory, session: date, now: datetime) -> tuple[PowerEstimate | None, str | None]:
        """Estimate the network's power draw at the close of a session, from the past alone, and the problem if any."""
        loaded, coin = await gather_all(self.network_service.history(now), self.history.leg(WGMI_BTC.crypto, now))
        try:
            aligned = align_legs(
                Pair(etf=self.pair.etf, crypto=WGMI_BTC.crypto), etf, coin, self.history.sessions(now), now
            )
        except NoHistoryError as error:
            return None, str(error)
        rows = power_rows(aligned.before(session + timedelta(days=1)), loaded.history or EMPTY_HISTORY)
        return estimate_power(self.network_service.power_model, rows.until_known()), loaded.problem

    async def tune(self, target: RateTarget, against: Sequence[Rule], now: datetime) -> TuneResult:
        """Find the rule for a target rate, in a worker thread, and compare it with existing rules.

        It is compared with the rules of `against` on the same pair, metric and window. Raises NoHistoryError, and
        ReplayError for a rate that no threshold gives.
        """
        pair = await self._pair_history(target.rule.pair, now)
        closes = await self.network_service.with_network_history(pair.aligned, target.rule.metric, now)
        tuned, diffs = await asyncio.to_thread(tune_with_diffs, closes, target, against)
        provenance = self._pair_provenance(pair, pair.aligned)
        return TuneResult(tuned=tuned, diffs=diffs, provenance=provenance, left_out=closes.exclusions)

    async def half_rate_rule(self, rule: Rule, now: datetime) -> HalfRateRule | None:
        """Find the threshold that fires half as often, in a worker thread; return None if there is none."""
        try:
            pair = await self._pair_history(rule.pair, now)
            return await asyncio.to_thread(
                half_rate_rule, await self.network_service.with_network_history(pair.aligned, rule.metric, now), rule
            )
        except DataError:
            return None

    async def drawdowns(self, now: datetime) -> DrawdownResult:
        """Measure both drawdowns at the last close that both legs have. Raises NoHistoryError."""
        pair = await self._pair_history(self.pair, now)
        known = np.flatnonzero(pair.aligned.complete)
        if not len(known):
            raise NoHistoryError(f"{self.pair} have no sessions in common.")
        rows = pair.aligned.head(int(known[-1]) + 1)
        return DrawdownResult(
            session=rows.sessions[-1].astype(object),
            legs=summarize_drawdowns(rows, pair.crypto.history.prices, pair.crypto.daily, loading=pair.crypto.loading),
            provenance=self._provenance(rows, pair.etf, pair.crypto),
        )

    async def network(self, now: datetime) -> NetworkResult:
        """Return the bitcoin network and the hashprice now. Raises NoHistoryError if the network is unknown."""
        return await measure_network(self.history, self.network_service, self.pair.etf, now)

    async def _intraday(
        self, pair: PairHistory, legs: Legs, proxy: LegHistory, now: datetime
    ) -> tuple[IntradayAttribution | None, Reason | str]:
        """Attribute the open session if all three prices can be read at one instant; otherwise return the reason."""
        market = self.history.sessions(now).state_at(now)
        if not market.is_open:
            return None, ""
        live_pair = LivePair(closes=pair.aligned, market=market, etf=pair.etf, crypto=pair.crypto)
        try:
            read, reason = await live_pair.read(self.history, now)
        except SourceError as error:
            return None, str(error)
        if read is None:
            return None, reason
        trust = read.etf.trust.combined_with(read.crypto.trust).combined_with(proxy.quote_trust)
        if not trust.verdict.usable:
            return None, all_of(trust.reasons)
        at = to_datetime(read.aligned.at[-1])
        quote = trade_near(proxy, market, at)
        if quote is None:
            return None, Reason.of(Code.NO_TRADE_NEAR, symbol=self.proxy, at=at)
        last_close = float(legs.proxy_prices[-1]) * proxy.history.dividend_factor(market.session)
        leg_returns = [float(prices[-1] / prices[-2] - 1) for prices in (read.aligned.etf, read.aligned.crypto)]
        attribution = attribute_intraday(
            legs, at, etf=leg_returns[0], crypto=leg_returns[1], proxy=quote.price / last_close - 1
        )
        return attribution, "" if attribution else Reason.of(Code.NO_INTRADAY_BETAS)

    def _no_proxy_closes(self, leg: LegHistory) -> Reason:
        return Reason.of(Code.NO_PROXY_CLOSES, symbol=self.proxy, problems=leg_problems(leg))

    async def _pair_history(self, pair: Pair, now: datetime) -> PairHistory:
        etf, crypto = await self.history.pair(pair, now)
        return PairHistory(etf, crypto, align_legs(pair, etf, crypto, self.history.sessions(now), now))

    def _pair_provenance(self, pair: PairHistory, rows: Aligned) -> Provenance:
        basis = pair_basis(rows, loading=pair.crypto.loading)
        return replace(self._provenance(rows, pair.etf, pair.crypto), basis=basis)

    def _provenance(self, aligned: Aligned, *legs: LegHistory) -> Provenance:
        trust = TRUSTED
        for leg in legs:
            trust = trust.combined_with(trust_at(leg, aligned))
        return Provenance(trust=trust, problems=tuple(leg_problems(*legs)), simulated=self.history.simulated)


async def measure_network(
    prices: PriceHistory, network_service: NetworkService, etf: Symbol, now: datetime
) -> NetworkResult:
    """Return the bitcoin network now, ranked among the sessions of an ETF. Raises NoHistoryError if it is unknown."""
    pair = Pair(etf=etf, crypto=WGMI_BTC.crypto)
    checked, loaded, fund, coin = await gather_all(
        network_service.network(now),
        network_service.history(now),
        prices.leg(pair.etf, now),
        prices.leg(pair.crypto, now),
    )
    network, price, history = checked.network, coin.quote, loaded.history or EMPTY_HISTORY
    try:
        rows = power_rows(align_legs(pair, fund, coin, prices.sessions(now), now), history)
    except NoHistoryError:
        rows = NO_ROWS
    with_fees = without_fees = None
    if network.difficulty and network.reward and price:
        with_fees = hashprice(network.difficulty, network.reward.total, price.price)
        without_fees = hashprice(network.difficulty, network.reward.total - network.reward.fees, price.price)
    return NetworkResult(
        checked=checked,
        price=price,
        hashprice=with_fees,
        hashprice_without_fees=without_fees,
        difficulty_rank=_difficulty_rank(network.difficulty, history),
        hashrate_rank=_rank(network.hashrate, history.days, history.hashrates),
        hashprice_rank=_rank(without_fees, rows.days, rows.hashprices),
        power=estimate_power(network_service.power_model, rows.with_now(now.date(), network.hashrate, without_fees)),
        provenance=Provenance(
            trust=checked.trust.combined_with(coin.quote_trust),
            problems=(
                *network_service.dropped_values(),
                *coin.problems,
                *([loaded.problem] if loaded.problem else []),
            ),
            simulated=prices.simulated,
        ),
    )


def backtest_with_curve(aligned: Aligned, rule: Rule) -> tuple[Backtest, IndexedReturns]:
    """Backtest a rule on all sessions, and build the curve to draw. Raises ReplayError and NoHistoryError."""
    result, rows = backtest(aligned, rule), common_rows(aligned)
    return result, indexed_returns_over(aligned, rows, [replayed_series(aligned, rows, result.replay)])


@dataclass(frozen=True, slots=True, kw_only=True)
class RulePreview:
    """What a rule would have done at the closes of the last two years.

    Attributes:
        since, until: First and last measured session of them; None, with a `reason`, if the rule can't be replayed.
        sessions: The measured sessions.
        fired_on: The sessions at which it would have fired.
        median_length: The median duration of these episodes in sessions; None without one.
        last_firing: The last firing of the whole history.
        value: The value at the last measured close, in the rule's unit.
        loading: Older prices are still being loaded.
        against: The firings that the saved rule doesn't have, and its own; None without a saved rule on this pair.
    """

    rule: Rule
    since: date | None = None
    until: date | None = None
    sessions: int = 0
    fired_on: tuple[date, ...] = ()
    median_length: float | None = None
    last_firing: Step | None = None
    value: float | None = None
    reason: Reason | str = ""
    simulated: bool = False
    loading: bool = False
    against: RuleDiff | None = None

    @property
    def firings(self) -> int:
        """How often the rule would have fired."""
        return len(self.fired_on)

    @property
    def per_year(self) -> float | None:
        """Firings a year; None if less than a year is measured."""
        return self.firings * LOOKBACK_SESSIONS / self.sessions if self.sessions >= LOOKBACK_SESSIONS else None


async def preview_rule(
    market: MarketService, rule: Rule, default_pair: Pair, now: datetime, saved: Rule | None = None
) -> RulePreview:
    """Replay a rule over all closes in a worker thread, beside the `saved` one. Raises NoHistoryError.

    Hold times count as zero, because only closes are known. A person types many symbols before the right one, so prices
    are fetched only for watched pairs and the default pair.
    """
    if rule.metric.series is None:
        return RulePreview(
            rule=rule,
            reason=Reason.of(Code.GAP_HAS_NO_PAST, metric=rule.metric.name),
        )
    if not market.has_history(rule.pair) and rule.pair != default_pair:
        return RulePreview(rule=rule, reason=Reason.of(Code.PRICES_NOT_FETCHED, pair=rule.pair))
    closes = await market.mining.with_network_history(await market.closes(rule.pair, now), rule.metric, now)
    preview = await asyncio.to_thread(_preview, closes, rule, rule.metric.series, simulated=market.history.simulated)
    loading = market.history.is_loading(rule.pair.crypto, now)
    if saved is None or saved == rule or saved.pair != rule.pair or preview.since is None:
        return replace(preview, loading=loading)
    before = await preview_rule(market, saved, default_pair, now)
    return replace(preview, loading=loading, against=None if before.since is None else _difference(preview, before))


def _difference(preview: RulePreview, before: RulePreview) -> RuleDiff:
    return RuleDiff(
        against=before.rule,
        added=tuple(day for day in preview.fired_on if day not in before.fired_on),
        removed=tuple(day for day in before.fired_on if day not in preview.fired_on),
    )


def _preview(closes: Aligned, rule: Rule, series: Series, *, simulated: bool) -> RulePreview:
    """Replay the whole history, so that no episode begins at the edge of the two years."""
    try:
        (replayed,) = replay(closes, [rule]).rules
    except ReplayError as error:
        return RulePreview(rule=rule, reason=error.reason, simulated=simulated)
    first = max(0, len(closes) - RECORD_SESSIONS)
    values = series(closes, rule.window or Window.D1)
    measured = first + np.flatnonzero(np.isfinite(values[first:]))
    if not len(measured):
        return RulePreview(
            rule=rule, reason=Reason.of(Code.TOO_LITTLE_HISTORY, metric=rule.metric.name), simulated=simulated
        )
    fired = [step for step in replayed.steps if step.change is Change.FIRING]
    edge = closes.sessions[first].item()
    lengths = [length for step, length in zip(fired, replayed.episode_lengths, strict=True) if step.session >= edge]
    return RulePreview(
        rule=rule,
        since=closes.sessions[measured[0]].item(),
        until=closes.sessions[measured[-1]].item(),
        sessions=len(measured),
        fired_on=tuple(step.session for step in fired if step.session >= edge),
        median_length=median(lengths) if lengths else None,
        last_firing=fired[-1] if fired else None,
        value=float(values[measured[-1]]),
        simulated=simulated,
    )


def _difficulty_rank(current: float | None, history: NetworkHistory) -> PercentileRank | None:
    """Rank the difficulty among those before its own retarget, which the history may already include."""
    count = len(history.difficulties)
    if current is not None and count and isclose(history.difficulties[-1], current, rel_tol=DIFFICULTY_TOLERANCE):
        count -= 1
    return _rank(current, history.retargets_at[:count], history.difficulties[:count])


def _rank(current: float | None, days: NDArray[np.datetime64], values: NDArray[np.float64]) -> PercentileRank | None:
    return None if current is None else percentile_rank(current, days.astype("datetime64[D]"), values)
