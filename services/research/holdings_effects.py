"""Brinson: was it the cohorts that the fund weights more, or the names that it holds within them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from services.market.align import Aligned
from services.market.holdings import Cohort, HoldingKind, Holdings
from services.market.measure import NotMeasured, Window, anchors, why_missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One cohort: the fund's weight in it and return from it, those of equal weights, and what the differences added.

    Weights are of the shares whose return is known, and sum to 1 over all cohorts.
    """

    cohort: Cohort
    names: int
    weight: float
    equal_weight: float
    moved: float
    equal_moved: float
    allocation: float
    selection: float


def effects(contributors: Sequence[Contributor], cohorts: Mapping[str, Cohort]) -> tuple[Effect, ...]:
    """Hold the fund's names, bought when the window began, against the same names in equal weights.

    Allocation is the weight in a cohort beyond equal weights, times what the cohort did beyond all; selection is the
    weight times what the fund's names did beyond the cohort's average, the interaction included. Together they are
    what the fund's names did beyond equal weights, exactly. Empty where no return is known.
    Source: Brinson, Hood and Beebower, Determinants of Portfolio Performance, 1986.
    """
    known = [one for one in contributors if one.moved is not None and one.weight > 0]
    total = sum(one.weight for one in known)
    every = float(np.mean([one.moved for one in known])) if known else 0.0
    found = []
    for cohort in Cohort:
        names = [one for one in known if cohorts.get(one.ticker, Cohort.OTHER) is cohort]
        if not names:
            continue
        weight, equal = sum(one.weight for one in names) / total, len(names) / len(known)
        moved = sum(one.weight * (one.moved or 0.0) for one in names) / (weight * total)
        average = float(np.mean([one.moved for one in names]))
        found.append(
            Effect(
                cohort=cohort,
                names=len(names),
                weight=weight,
                equal_weight=equal,
                moved=moved,
                equal_moved=average,
                allocation=(weight - equal) * (average - every),
                selection=weight * (moved - average),
            )
        )
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contributor:
    """One share that the fund held: its weight when the window began, its own return, and what it added; fractions.

    `moved` is None where its prices are missing at an end of the window; what it added may then be unknown in part.
    """

    ticker: str
    weight: float
    moved: float | None
    added: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Contributions:
    """The fund's return from the close of `anchor` to that of `session`, by holding; with `rest` they add up to it.

    The rest is what the weights do not tell: trades of the fund between the days that are known, cash, fees, and shares
    without prices. `known` are the days whose weights were used, and `carried_back` tells that the first is after the
    window began. `covered` is the weight, then, of shares with prices.
    """

    window: Window
    anchor: date
    session: date
    etf_return: float
    contributors: tuple[Contributor, ...]
    rest: float
    covered: float
    known: tuple[date, ...]
    carried_back: bool


def contribute(
    aligned: Aligned, window: Window, history: Sequence[Holdings], prices: Mapping[str, NDArray[np.float64]]
) -> Contributions | NotMeasured:
    """Part the fund's return over the window that ends with the last row; say why where that cannot be done.

    `history`, oldest first, must not be empty; `prices` are on the rows of `aligned`, NaN where unknown.

    1. Take each step's weights from the last day before it that is known, or from the first, and let them drift with
       prices from there, as if nothing had been traded.
    2. A step's contribution is the weight when it began times the share's return; where a price is missing within the
       window, that of the step on which it is known again is from the last one that was.
    3. Link the steps by Carino's factors, so that all of them together are the fund's return, exactly.
       Source: Carino, Combining attribution effects over time, 1999.
    """
    start, last = int(anchors(aligned, window)[-1]), len(aligned) - 1
    if start < 0:
        return NotMeasured(window=window, reason=f"the history begins on {aligned.sessions[0]}")
    for row in (last, start):
        if not np.isfinite(aligned.etf[row]):
            return NotMeasured(window=window, reason=why_missing(aligned, row))
    rows = start + np.flatnonzero(np.isfinite(aligned.etf[start:]))
    begun, ended = rows[:-1], rows[1:]
    whole = float(aligned.etf[last] / aligned.etf[start] - 1)
    factors = _carino(aligned.etf[ended] / aligned.etf[begun] - 1) / _carino(np.array([whole]))[0]
    tickers = list(dict.fromkeys(one.ticker for held in history for one in held.positions if _is_priced(one.kind)))
    table = np.array([prices.get(ticker, np.full(len(aligned), np.nan)) for ticker in tickers]).reshape(
        -1, len(aligned)
    )
    weights, used = _weights(aligned, history, dict(zip(tickers, _carried(table), strict=True)), begun)
    within = _carried(table[:, start:])
    moves = np.nan_to_num(within[:, ended - start] / within[:, begun - start] - 1)
    added = (weights * moves * factors).sum(axis=1)
    moved = table[:, last] / table[:, start] - 1
    order = sorted(range(len(tickers)), key=lambda index: -added[index])
    held = [index for index in order if weights[index].any()]
    return Contributions(
        window=window,
        anchor=aligned.sessions[start].astype(object),
        session=aligned.sessions[last].astype(object),
        etf_return=whole,
        contributors=tuple(
            Contributor(
                ticker=tickers[index],
                weight=float(weights[index, 0]),
                moved=float(moved[index]) if np.isfinite(moved[index]) else None,
                added=float(added[index]),
            )
            for index in held
        ),
        rest=whole - float(added.sum()),
        covered=float(weights[np.isfinite(table[:, start]), 0].sum()),
        known=tuple(history[one].as_of for one in sorted(set(used))),
        carried_back=history[used[0]].as_of > aligned.sessions[start].astype(object),
    )


def _carino(moved: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take ln(1 + r) / r, which is 1 where nothing moved."""
    still = np.abs(moved) < 1e-12  # noqa: PLR2004 -- where the quotient loses its digits
    return np.where(still, 1.0, np.log1p(moved) / np.where(still, 1.0, moved))


def _carried(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Let each row's prices stand until the next one that is known; NaN before the first."""
    known = np.where(np.isfinite(table), np.arange(table.shape[1]), 0)
    return np.take_along_axis(table, np.maximum.accumulate(known, axis=1), axis=1)


def _weights(
    aligned: Aligned,
    history: Sequence[Holdings],
    prices: Mapping[str, NDArray[np.float64]],
    begun: NDArray[np.intp],
) -> tuple[NDArray[np.float64], list[int]]:
    """Give each ticker's weight where each step begins, (tickers, steps), and which day's holdings each step used."""
    tickers = list(prices)
    as_of = np.array([one.as_of for one in history], dtype="datetime64[D]")
    used = (np.searchsorted(as_of, aligned.sessions[begun], side="right") - 1).clip(min=0)
    weights = np.zeros((len(tickers), len(begun)))
    for which in np.unique(used).tolist():
        holdings, steps = history[which], np.flatnonzero(used == which)
        since = max(0, int(np.searchsorted(aligned.sessions, as_of[which], side="right")) - 1)
        values = np.zeros((len(tickers), len(steps)))
        still = 1 - holdings.total
        for one in holdings.positions:
            if not _is_priced(one.kind):
                still += one.weight
                continue
            grown = prices[one.ticker][begun[steps]] / prices[one.ticker][since]
            values[tickers.index(one.ticker)] += one.weight * np.where(np.isfinite(grown), grown, 1.0)
        weights[:, steps] = values / (values.sum(axis=0) + still)
    return weights, used.tolist()


def _is_priced(kind: HoldingKind) -> bool:
    return kind is HoldingKind.SHARE
