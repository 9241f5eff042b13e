"""Constituents: the fund's return by holding and by cohort, from the weights that are known."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from services.core.errors import NoHistoryError
from services.core.prices import Closes, Pair, Symbol
from services.core.trust import FULL, Trust
from services.market.align import Aligned, align
from services.market.holdings import HoldingKind, Holdings, Membership
from services.market.measure import NotMeasured, Window
from services.market.ports import HoldingsStore
from services.market.price_history import Leg, PriceHistory
from services.market.snapshot import trust_at
from services.research.holdings_effects import Contributions, Effect, contribute, effects
from services.rules.market_service import problems_of

STALE_AFTER = timedelta(days=35)  # the fund is managed actively, and its weights are told by the day
UNEVEN = 0.02  # of the fund: weights that are rounded, or a little cash that is not listed
NAMES_ASKED = 40  # the largest: each is a call to a vendor


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldingsReport:
    """What each holding and each cohort added over a window; `warnings` say what the weights lack.

    `sources` have the closes, of which `trust` tells how far the last ones can be believed; `problems` are the fund's.
    """

    fund: Symbol
    contributions: Contributions
    effects: tuple[Effect, ...]
    cohorts: Mapping[str, Membership]
    warnings: tuple[str, ...]
    simulated: bool
    sources: tuple[str, ...] = ()
    trust: Trust = FULL
    problems: tuple[str, ...] = ()


@dataclass(slots=True)
class HoldingsReporter:
    """The fund from the inside, up to the last close."""

    history: PriceHistory
    store: HoldingsStore
    fund: Symbol
    cohorts: Mapping[str, Membership]

    async def miners(self, window: Window, now: datetime) -> HoldingsReport:
        """Part the fund's return between its holdings and cohorts. Raises NoHistoryError with the reason.

        Shares whose prices cannot be had, and weights that are old, are told as warnings.
        """
        held = await self.store.load_holdings(self.fund)
        if not held:
            raise NoHistoryError(
                f"No holdings of {self.fund} are known. Whoever runs MinerPulse imports a file of them with "
                "`minerpulse holdings import FILE.csv`.",
                remedy="",
            )
        names = _largest(held)
        fund, *legs = await asyncio.gather(*(self.history.leg(symbol, now) for symbol in (self.fund, *names)))
        rows = self._rows(fund, now)
        prices = {name: _on(rows, leg) for name, leg in zip(names, legs, strict=True)}
        found = contribute(rows, window, held, {name: one for name, one in prices.items() if one is not None})
        if isinstance(found, NotMeasured):
            raise NoHistoryError(f"{window.value} cannot be parted: {found.reason}.", remedy="")
        cohorts = {ticker: one.cohort for ticker, one in self.cohorts.items()}
        return HoldingsReport(
            fund=self.fund,
            contributions=found,
            effects=effects(found.contributors, cohorts),
            cohorts=self.cohorts,
            warnings=tuple(_warnings(found, held)),
            simulated=self.history.simulated,
            sources=_sources(fund, *legs),
            trust=_trust(rows, fund, legs),
            problems=tuple(problems_of(fund)),
        )

    def _rows(self, fund: Leg, now: datetime) -> Aligned:
        """Put the fund's closes on the calendar up to the last one that is known; it stands for both legs."""
        closes = fund.past.prices
        if not len(closes):
            told = "; ".join(problems_of(fund)) or "The source has none"
            raise NoHistoryError(f"No {self.fund} prices yet. {told}.")
        rows = align(Pair(etf=self.fund, crypto=self.fund), closes, closes, self.history.sessions(now), until=now)
        return rows.head(int(np.flatnonzero(np.isfinite(rows.etf))[-1]) + 1)


def _largest(held: Sequence[Holdings]) -> list[Symbol]:
    """Name the shares that weighed most on any of the days, at most as many as vendors can be asked for."""
    weights: dict[str, float] = {}
    for one in (one for holdings in held for one in holdings.positions if one.kind is HoldingKind.SHARE):
        weights[one.ticker] = max(one.weight, weights.get(one.ticker, 0.0))
    return [Symbol(ticker) for ticker in sorted(weights, key=lambda ticker: -weights[ticker])[:NAMES_ASKED]]


def _on(rows: Aligned, leg: Leg) -> NDArray[np.float64] | None:
    """Put a share's closes on the fund's sessions; None where it has none."""
    closes = leg.past.prices
    if not isinstance(closes, Closes) or not len(closes):
        return None
    found = np.searchsorted(closes.sessions, rows.sessions).clip(max=len(closes) - 1)
    return np.where(closes.sessions[found] == rows.sessions, closes.prices[found], np.nan)


def _sources(*legs: Leg) -> tuple[str, ...]:
    """Name whoever has closes of any of them, each once."""
    return tuple(dict.fromkeys(leg.past.prices.source for leg in legs if len(leg.past.prices)))


def _trust(rows: Aligned, fund: Leg, legs: Sequence[Leg]) -> Trust:
    """Judge the last closes: the fund's with its reasons, and how many of its shares' are worse than good."""
    judged = [trust_at(leg, rows) for leg in legs if leg.is_share and len(leg.past.prices)]
    doubted = [one for one in judged if one != FULL]
    if not doubted:
        return trust_at(fund, rows)
    worst = reduce(Trust.also, doubted).verdict
    told = f"of {len(judged)} holdings, the last closes of {len(doubted)} are {worst.value} at worst"
    return trust_at(fund, rows).also(Trust(verdict=worst, reasons=(told,)))


def _warnings(found: Contributions, held: Sequence[Holdings]) -> list[str]:
    """Say what the weights lack: age, the beginning of the window, the smaller names, prices."""
    used = [holdings for holdings in held if holdings.as_of in found.known]
    newest = used[-1]
    warnings = []
    if found.session - newest.as_of > STALE_AFTER:
        warnings.append(f"the newest weights are of {newest.as_of}, {_days(found.session, newest.as_of)} days old")
    if found.carried_back:
        warnings.append(f"no weights are known before {found.known[0]}; those are carried back by prices")
    if not all(holdings.whole for holdings in used):
        warnings.append("only the ten largest holdings are known")
    uneven = [holdings for holdings in used if holdings.whole and abs(holdings.total - 1) > UNEVEN]
    if uneven:
        warnings.append(f"the weights of {uneven[-1].as_of} add up to {uneven[-1].total:.0%}")
    missing = [one.ticker for one in found.contributors if one.moved is None]
    if missing:
        warnings.append(f"without prices: {', '.join(missing)}")
    return warnings


def _days(later: date, earlier: date) -> int:
    return (later - earlier).days
