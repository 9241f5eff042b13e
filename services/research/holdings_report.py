"""Report the fund's return by holding and by cohort, from the known weights."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.core.errors import NoHistoryError
from services.core.prices import Closes, Pair, Symbol
from services.core.reason import Code, Reason
from services.core.trust import TRUSTED, Trust
from services.market.align import Aligned, align
from services.market.consensus.closes import LegHistory
from services.market.holdings import HoldingKind, Holdings, Membership
from services.market.measure import NotMeasured, Window
from services.market.price_history import PriceHistory
from services.market.snapshot import trust_at
from services.research.attribution import prices_on
from services.research.holdings_effects import CohortEffect, HoldingsAttribution, attribute_to_holdings, brinson_effects
from services.rules.market_service import leg_problems

WEIGHTS_STALE_AFTER = timedelta(days=35)  # the fund is actively managed and publishes weights daily
WEIGHT_TOLERANCE = 0.02  # of the fund: rounded weights, or a little unlisted cash
MAX_NAMES = 40  # largest holdings only: each one costs a vendor call


class HoldingsStore(Protocol):
    """Stored holdings of funds."""

    async def load_holdings(self, fund: Symbol) -> list[Holdings]:
        """Load the holdings of a fund for every day, oldest first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldingsReport:
    """Contribution of each holding and cohort over a window.

    Attributes:
        warnings: What the weights lack.
        sources: Sources of the closes.
        trust: Trust in the last closes.
        problems: Source failures for the fund itself.
    """

    fund: Symbol
    attribution: HoldingsAttribution
    cohort_effects: tuple[CohortEffect, ...]
    cohorts: Mapping[str, Membership]
    warnings: tuple[Reason, ...]
    simulated: bool
    sources: tuple[str, ...] = ()
    trust: Trust = TRUSTED
    problems: tuple[Reason | str, ...] = ()


@dataclass(slots=True)
class HoldingsReporter:
    """Builds holdings reports for one fund, up to the last close."""

    history: PriceHistory
    store: HoldingsStore
    fund: Symbol
    cohorts: Mapping[str, Membership]

    async def report(self, window: Window, now: datetime) -> HoldingsReport:
        """Attribute the fund's return to its holdings and cohorts. Raises NoHistoryError with the reason.

        Shares without prices and outdated weights become warnings.
        """
        held = await self.store.load_holdings(self.fund)
        if not held:
            raise NoHistoryError(
                f"No holdings of {self.fund} are known. Your MinerPulse administrator can import a file of them with "
                "`minerpulse holdings import FILE.csv`.",
                remedy="",
            )
        names = _largest_holdings(held)
        fund, *legs = await asyncio.gather(*(self.history.leg(symbol, now) for symbol in (self.fund, *names)))
        rows = self._rows(fund, now)
        prices: dict[str, NDArray[np.float64]] = {
            name: prices_on(leg.history.prices, rows.sessions)
            for name, leg in zip(names, legs, strict=True)
            if isinstance(leg.history.prices, Closes) and len(leg.history.prices)
        }
        attribution = attribute_to_holdings(rows, window, held, prices)
        if isinstance(attribution, NotMeasured):
            raise NoHistoryError(Reason.of(Code.CANNOT_ATTRIBUTE, window=window, reason=attribution.reason), remedy="")
        cohorts = {ticker: membership.cohort for ticker, membership in self.cohorts.items()}
        return HoldingsReport(
            fund=self.fund,
            attribution=attribution,
            cohort_effects=brinson_effects(attribution.holdings, cohorts),
            cohorts=self.cohorts,
            warnings=tuple(_warnings(attribution, held)),
            simulated=self.history.simulated,
            sources=_sources(fund, *legs),
            trust=_trust(rows, fund, legs),
            problems=tuple(leg_problems(fund)),
        )

    def _rows(self, fund: LegHistory, now: datetime) -> Aligned:
        """Align the fund's closes up to the last known one; the fund is both legs of the pair."""
        closes = fund.history.prices
        if not len(closes):
            raise NoHistoryError(Reason.of(Code.NO_PRICES_YET, symbol=self.fund, problems=leg_problems(fund)))
        rows = align(Pair(etf=self.fund, crypto=self.fund), closes, closes, self.history.sessions(now), until=now)
        return rows.head(int(np.flatnonzero(np.isfinite(rows.etf))[-1]) + 1)


def _largest_holdings(held: Sequence[Holdings]) -> list[Symbol]:
    """Return the shares with the largest weight on any date, at most MAX_NAMES."""
    weights: dict[str, float] = {}
    for position in (
        position for holdings in held for position in holdings.positions if position.kind is HoldingKind.SHARE
    ):
        weights[position.ticker] = max(position.weight, weights.get(position.ticker, 0.0))
    return [Symbol(ticker) for ticker in sorted(weights, key=lambda ticker: -weights[ticker])[:MAX_NAMES]]


def _sources(*legs: LegHistory) -> tuple[str, ...]:
    """Return the distinct sources of the closes."""
    return tuple(dict.fromkeys(leg.history.prices.source for leg in legs if len(leg.history.prices)))


def _trust(rows: Aligned, fund: LegHistory, legs: Sequence[LegHistory]) -> Trust:
    """Return the trust in the last closes: the fund's with its reasons, and how many holdings are worse than OK."""
    trusts = [trust_at(leg, rows) for leg in legs if leg.is_share and len(leg.history.prices)]
    degraded = [trust for trust in trusts if trust != TRUSTED]
    if not degraded:
        return trust_at(fund, rows)
    worst = reduce(Trust.combined_with, degraded).verdict
    reason = Reason.of(Code.HOLDINGS_CLOSES_DEGRADED, holdings=len(trusts), degraded=len(degraded), worst=worst)
    return trust_at(fund, rows).combined_with(Trust(verdict=worst, reasons=(reason,)))


def _warnings(attribution: HoldingsAttribution, held: Sequence[Holdings]) -> list[Reason]:
    """Return what the weights lack: age, coverage of the window's start, small names, prices."""
    used = [holdings for holdings in held if holdings.as_of in attribution.weight_dates]
    newest = used[-1]
    warnings = []
    if attribution.session - newest.as_of > WEIGHTS_STALE_AFTER:
        age_days = (attribution.session - newest.as_of).days
        warnings.append(Reason.of(Code.WEIGHTS_TOO_OLD, as_of=newest.as_of, age_days=age_days))
    if attribution.backfilled:
        warnings.append(Reason.of(Code.WEIGHTS_BACKFILLED, first=attribution.weight_dates[0]))
    if not all(holdings.is_complete for holdings in used):
        warnings.append(Reason.of(Code.HOLDINGS_PARTIAL))
    incomplete_totals = [
        holdings for holdings in used if holdings.is_complete and abs(holdings.total - 1) > WEIGHT_TOLERANCE
    ]
    if incomplete_totals:
        last = incomplete_totals[-1]
        warnings.append(Reason.of(Code.WEIGHTS_INCOMPLETE, as_of=last.as_of, total=last.total))
    missing = [holding.ticker for holding in attribution.holdings if holding.own_return is None]
    if missing:
        warnings.append(Reason.of(Code.HOLDINGS_WITHOUT_PRICES, tickers=missing))
    return warnings
