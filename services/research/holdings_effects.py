"""Holdings attribution: contribution of each holding, and Brinson allocation and selection effects by cohort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from services.core.reason import Code, Reason
from services.market.align import Aligned
from services.market.holdings import Cohort, HoldingKind, Holdings
from services.market.measure import NotMeasured, Window, anchors, missing_price_reason


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortEffect:
    """Brinson effects of one cohort against equal weights.

    Weights are over the shares with a known return and sum to 1 over all cohorts. Returns and effects are fractions.
    """

    cohort: Cohort
    name_count: int
    weight: float
    equal_weight: float
    fund_return: float
    equal_weight_return: float
    allocation: float
    selection: float


def brinson_effects(holdings: Sequence[HoldingContribution], cohorts: Mapping[str, Cohort]) -> tuple[CohortEffect, ...]:
    """Compare the fund's names, bought at the start of the window, with an equal-weighted portfolio of the same names.

        allocation = (weight − equal weight) × (cohort's average return − average return of all names)
        selection  = weight × (fund's return in the cohort − cohort's average return), interaction included

    Together they add up exactly to the fund's return beyond equal weights. Empty if no return is known.

    Source: Brinson, Hood and Beebower, Determinants of Portfolio Performance, 1986.
    """
    known = [holding for holding in holdings if holding.own_return is not None and holding.weight > 0]
    total = sum(holding.weight for holding in known)
    average_return = float(np.mean([holding.own_return for holding in known])) if known else 0.0
    effects = []
    for cohort in Cohort:
        names = [holding for holding in known if cohorts.get(holding.ticker, Cohort.OTHER) is cohort]
        if not names:
            continue
        weight, equal_weight = sum(holding.weight for holding in names) / total, len(names) / len(known)
        fund_return = sum(holding.weight * (holding.own_return or 0.0) for holding in names) / (weight * total)
        equal_return = float(np.mean([holding.own_return for holding in names]))
        effects.append(
            CohortEffect(
                cohort=cohort,
                name_count=len(names),
                weight=weight,
                equal_weight=equal_weight,
                fund_return=fund_return,
                equal_weight_return=equal_return,
                allocation=(weight - equal_weight) * (equal_return - average_return),
                selection=weight * (fund_return - equal_return),
            )
        )
    return tuple(effects)


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldingContribution:
    """Contribution of one share to the fund's return, as fractions.

    Attributes:
        weight: Weight at the start of the window.
        own_return: Return of the share; None if it has no price at an end of the window.
        contribution: Part of the fund's return; may be incomplete if `own_return` is None.
    """

    ticker: str
    weight: float
    own_return: float | None
    contribution: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldingsAttribution:
    """The fund's return from the close of `anchor` to the close of `session`, by holding.

    The contributions and `residual` add up to `etf_return`.

    Attributes:
        residual: Part that the weights do not explain: trades between known dates, cash, fees, shares without prices.
        covered_weight: Weight of the shares with prices at the start of the window.
        weight_dates: Dates of the weights that were used.
        backfilled: True if the first known weights are later than the start of the window.
    """

    window: Window
    anchor: date
    session: date
    etf_return: float
    holdings: tuple[HoldingContribution, ...]
    residual: float
    covered_weight: float
    weight_dates: tuple[date, ...]
    backfilled: bool


def attribute_to_holdings(
    aligned: Aligned, window: Window, history: Sequence[Holdings], prices: Mapping[str, NDArray[np.float64]]
) -> HoldingsAttribution | NotMeasured:
    """Attribute the fund's return over the window that ends with the last row, or return why this is not possible.

    `history`, oldest first, must not be empty. `prices` are on the rows of `aligned`, NaN if unknown.

    1. The weights of a step come from the last known date before it, or from the first one. From there they drift with
       prices, as if nothing had been traded.
    2. A step's contribution is the weight at its start times the share's return. After a missing price inside the
       window, the return counts from the last known price.
    3. Link the steps with Carino's factors, so that all contributions add up exactly to the fund's return.
       Source: Carino, Combining attribution effects over time, 1999.
    """
    start, last = int(anchors(aligned, window)[-1]), len(aligned) - 1
    if start < 0:
        begins = Reason.of(Code.HISTORY_BEGINS, session=aligned.sessions[0].item())
        return NotMeasured(window=window, reason=begins)
    for row in (last, start):
        if not np.isfinite(aligned.etf[row]):
            return NotMeasured(window=window, reason=missing_price_reason(aligned, row))
    rows = start + np.flatnonzero(np.isfinite(aligned.etf[start:]))
    starts, ends = rows[:-1], rows[1:]
    total = float(aligned.etf[last] / aligned.etf[start] - 1)
    factors = _carino_factors(aligned.etf[ends] / aligned.etf[starts] - 1) / _carino_factors(np.array([total]))[0]
    tickers = list(
        dict.fromkeys(position.ticker for held in history for position in held.positions if _is_priced(position.kind))
    )
    table = np.array([prices.get(ticker, np.full(len(aligned), np.nan)) for ticker in tickers]).reshape(
        -1, len(aligned)
    )
    weights, used = _weights(aligned, history, dict(zip(tickers, _forward_filled(table), strict=True)), starts)
    within = _forward_filled(table[:, start:])
    step_returns = np.nan_to_num(within[:, ends - start] / within[:, starts - start] - 1)
    contributions = (weights * step_returns * factors).sum(axis=1)
    own_returns = table[:, last] / table[:, start] - 1
    order = sorted(range(len(tickers)), key=lambda index: -contributions[index])
    held = [index for index in order if weights[index].any()]
    return HoldingsAttribution(
        window=window,
        anchor=aligned.sessions[start].astype(object),
        session=aligned.sessions[last].astype(object),
        etf_return=total,
        holdings=tuple(
            HoldingContribution(
                ticker=tickers[index],
                weight=float(weights[index, 0]),
                own_return=float(own_returns[index]) if np.isfinite(own_returns[index]) else None,
                contribution=float(contributions[index]),
            )
            for index in held
        ),
        residual=total - float(contributions.sum()),
        covered_weight=float(weights[np.isfinite(table[:, start]), 0].sum()),
        weight_dates=tuple(history[position].as_of for position in sorted(set(used))),
        backfilled=history[used[0]].as_of > aligned.sessions[start].astype(object),
    )


def _carino_factors(returns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ln(1 + r) / r, with the limit 1 at r = 0."""
    is_zero = np.abs(returns) < 1e-12  # noqa: PLR2004 -- where the quotient loses its digits
    return np.where(is_zero, 1.0, np.log1p(returns) / np.where(is_zero, 1.0, returns))


def _forward_filled(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Forward-fill each row's missing prices; NaN before the first known price."""
    known = np.where(np.isfinite(table), np.arange(table.shape[1]), 0)
    return np.take_along_axis(table, np.maximum.accumulate(known, axis=1), axis=1)


def _weights(
    aligned: Aligned,
    history: Sequence[Holdings],
    prices: Mapping[str, NDArray[np.float64]],
    starts: NDArray[np.intp],
) -> tuple[NDArray[np.float64], list[int]]:
    """Return each ticker's weight at the start of each step, and the index of the holdings that each step uses.

    The weights have shape (tickers, steps).
    """
    tickers = list(prices)
    as_of = np.array([position.as_of for position in history], dtype="datetime64[D]")
    used = (np.searchsorted(as_of, aligned.sessions[starts], side="right") - 1).clip(min=0)
    weights = np.zeros((len(tickers), len(starts)))
    for index in np.unique(used).tolist():
        holdings, steps = history[index], np.flatnonzero(used == index)
        since = max(0, int(np.searchsorted(aligned.sessions, as_of[index], side="right")) - 1)
        values = np.zeros((len(tickers), len(steps)))
        unpriced = 1 - holdings.total
        for position in holdings.positions:
            if not _is_priced(position.kind):
                unpriced += position.weight
                continue
            growth = prices[position.ticker][starts[steps]] / prices[position.ticker][since]
            values[tickers.index(position.ticker)] += position.weight * np.where(np.isfinite(growth), growth, 1.0)
        weights[:, steps] = values / (values.sum(axis=0) + unpriced)
    return weights, used.tolist()


def _is_priced(kind: HoldingKind) -> bool:
    return kind is HoldingKind.SHARE
