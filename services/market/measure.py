"""Measure: from aligned closes to returns, spread, beta, residual and drawdown, and how unusual they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from services.core.prices import Pair, moment
from services.core.statistics import COVERAGE, before_each, known, last_percentile, percentiles, robust_z
from services.market.align import Aligned, Past
from services.market.mining_economics import MiningEconomics, difficulties, hashprices

BETA_SESSIONS = 60


class Window(Enum):
    """A stretch of sessions that a return is taken over; `ytd` starts at the last close of the prior year."""

    D1 = "1d"
    D5 = "5d"
    D20 = "20d"
    D60 = "60d"
    D252 = "252d"
    YTD = "ytd"


class Metric(Enum):
    """What a rule watches; METRICS tells the unit and the function of each."""

    SPREAD = "spread"
    RESIDUAL = "residual"
    Z = "z"
    GAP = "gap"
    DRAWDOWN = "drawdown"
    HASHPRICE = "hashprice"
    DIFFICULTY = "difficulty"


class Unit(Enum):
    """How a value is written: percentage points, percent, or robust standard deviations."""

    PP = "pp"
    PERCENT = "%"
    SIGMA = "z"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRow:
    """One metric: its unit, whether it needs a window, and its value for every session of `Aligned`.

    `series` gives a float64 for each row, NaN where it cannot be measured. It is None for a metric that exists only
    while the ETF is shut. One `of_network` needs the bitcoin network's past, and a pair with bitcoin.
    """

    unit: Unit
    windowed: bool
    series: Callable[[Aligned, Window], NDArray[np.float64]] | None
    of_network: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """How the two legs moved over one window, and how unusual that is; returns are fractions.

    `anchor` is the session whose close the returns start from and `as_of` the instant that both prices belong to.
    `beta` comes from the 60 sessions before the window, `z` and `percentile` (0 to 100) place the spread among those
    of the 252 sessions before; each is None where the history is too short or, for z, its MAD is 0. `mined` is there
    where the bitcoin network was looked at, and known at both ends.
    """

    pair: Pair
    window: Window
    session: date
    anchor: date
    as_of: datetime
    live: bool
    etf_return: float
    crypto_return: float
    spread: float
    relative: float
    beta: float | None
    residual: float | None
    z: float | None
    percentile: float | None
    mined: MiningEconomics | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotMeasured:
    """Why a window has no measurement."""

    window: Window
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawdown:
    """How far a leg is below its highest session close since `since`; `depth` is a fraction, 0 at the high.

    The basis of a share is its total return: `high` is adjusted for the dividends since, and below what was traded.
    """

    depth: float
    high: float
    high_on: date
    since: date


def anchors(aligned: Aligned, window: Window) -> NDArray[np.intp]:
    """Find, for each row, the row that the window's return starts from; -1 where that is before the first row."""
    rows = np.arange(len(aligned))
    if window is Window.YTD:
        years = aligned.sessions.astype("datetime64[Y]")
        return np.searchsorted(years, years, side="left") - 1
    return np.maximum(rows - int(window.value.removesuffix("d")), -1)


def returns(prices: NDArray[np.float64], start: NDArray[np.intp]) -> NDArray[np.float64]:
    """Take each row's price over the price at its anchor, less one; NaN where either is missing."""
    moved: NDArray[np.float64] = prices / np.where(start >= 0, prices[start], np.nan) - 1
    return moved


def spread_series(aligned: Aligned, window: Window) -> NDArray[np.float64]:
    """Take the ETF's return less bitcoin's over the window, for every session."""
    start = anchors(aligned, window)
    return returns(aligned.etf, start) - returns(aligned.crypto, start)


def beta_series(aligned: Aligned) -> NDArray[np.float64]:
    """Estimate, for each session, the ETF's beta to bitcoin from 1-day returns of the 60 sessions that end with it.

    Ordinary least squares with an intercept; sessions without both returns are dropped, and fewer than 45 of the 60
    give NaN. A measurement must use the value at its anchor, so that it never includes what it measures.
    """
    return _betas(aligned.etf, aligned.crypto)


def residual_series(aligned: Aligned, window: Window) -> NDArray[np.float64]:
    """Take the ETF's return less beta times bitcoin's, with the beta known at the window's anchor."""
    start = anchors(aligned, window)
    beta = np.where(start >= 0, beta_series(aligned)[start], np.nan)
    return returns(aligned.etf, start) - beta * returns(aligned.crypto, start)


def z_series(aligned: Aligned, window: Window) -> NDArray[np.float64]:
    """Place each spread by the median and MAD of the 252 sessions before it; NaN where the MAD is 0."""
    spread = spread_series(aligned, window)
    return robust_z(spread, before_each(spread))


def percentile_series(aligned: Aligned, window: Window) -> NDArray[np.float64]:
    """Rank each spread among those of the 252 sessions before it, from 0 to 100; ties count half."""
    spread = spread_series(aligned, window)
    return percentiles(spread, before_each(spread))


def drawdown_series(prices: NDArray[np.float64], past: Past | None = None) -> NDArray[np.float64]:
    """Take how far each price is below the highest one so far, as a positive fraction; NaN where it is missing."""
    seed = past.high if past else np.nan
    depth: NDArray[np.float64] = 1 - prices / np.fmax.accumulate(np.append(seed, prices))[1:]
    return depth


def hashprice_series(aligned: Aligned, window: Window) -> NDArray[np.float64]:
    """Take the change of the hashprice over the window, without fees, for every session."""
    return returns(hashprices(aligned), anchors(aligned, window))


def difficulty_series(aligned: Aligned, window: Window) -> NDArray[np.float64]:
    """Take the change of the difficulty over the window, for every session."""
    return returns(difficulties(aligned), anchors(aligned, window))


METRICS: dict[Metric, MetricRow] = {
    Metric.SPREAD: MetricRow(unit=Unit.PP, windowed=True, series=spread_series),
    Metric.RESIDUAL: MetricRow(unit=Unit.PP, windowed=True, series=residual_series),
    Metric.Z: MetricRow(unit=Unit.SIGMA, windowed=True, series=z_series),
    Metric.GAP: MetricRow(unit=Unit.PERCENT, windowed=False, series=None),
    Metric.DRAWDOWN: MetricRow(
        unit=Unit.PERCENT,
        windowed=False,
        series=lambda aligned, _window: drawdown_series(aligned.crypto, aligned.crypto_past),
    ),
    Metric.HASHPRICE: MetricRow(unit=Unit.PERCENT, windowed=True, series=hashprice_series, of_network=True),
    Metric.DIFFICULTY: MetricRow(unit=Unit.PERCENT, windowed=True, series=difficulty_series, of_network=True),
}
DIVERGENCES = frozenset({Metric.SPREAD, Metric.RESIDUAL, Metric.Z})  # how far the legs part


def measure(aligned: Aligned, window: Window) -> Measurement | NotMeasured:
    """Measure the last row of `aligned` over one window; say why where that cannot be done."""
    last = len(aligned) - 1
    start = int(anchors(aligned, window)[last])
    if start < 0:
        needed = "after the last close of the prior year" if window is Window.YTD else f"less than {window.value} ago"
        return NotMeasured(window=window, reason=f"the history begins on {aligned.sessions[0]}, {needed}")
    for row in (last, start):
        if not aligned.complete[row]:
            return NotMeasured(window=window, reason=why_missing(aligned, row))
    etf = float(aligned.etf[last] / aligned.etf[start] - 1)
    crypto = float(aligned.crypto[last] / aligned.crypto[start] - 1)
    before = slice(max(0, start - BETA_SESSIONS), start + 1)
    beta = known(_betas(aligned.etf[before], aligned.crypto[before])[-1])
    spread = spread_series(aligned, window)
    return Measurement(
        pair=aligned.pair,
        window=window,
        session=aligned.sessions[last].astype(object),
        anchor=aligned.sessions[start].astype(object),
        as_of=moment(aligned.at[last]),
        live=aligned.live,
        etf_return=etf,
        crypto_return=crypto,
        spread=etf - crypto,
        relative=(1 + etf) / (1 + crypto) - 1,
        beta=beta,
        residual=None if beta is None else etf - beta * crypto,
        z=known(robust_z(spread[-1:], before_each(spread)[-1:])[0]),
        percentile=last_percentile(spread),
        mined=_mined(aligned, window, start),
    )


def reading(measured: Measurement, metric: Metric) -> float | None:
    """Pick a windowed metric from a measurement: the same number as the last of its series."""
    mined = measured.mined
    return {
        Metric.SPREAD: measured.spread,
        Metric.RESIDUAL: measured.residual,
        Metric.Z: measured.z,
        Metric.HASHPRICE: mined.hashprice_change if mined else None,
        Metric.DIFFICULTY: mined.difficulty_change if mined else None,
    }[metric]


def drawdown(aligned: Aligned, prices: NDArray[np.float64], past: Past | None = None) -> Drawdown | None:
    """Measure the last row's drawdown of one leg of `aligned`; None where its last price is missing."""
    if not np.isfinite(prices[-1]):
        return None
    row, first = int(np.nanargmax(prices)), int(np.argmax(np.isfinite(prices)))
    high, high_on = float(prices[row]), aligned.sessions[row].astype(object)
    if past is not None and past.high > high:
        high, high_on = past.high, past.high_on
    return Drawdown(
        depth=float(1 - prices[-1] / high),
        high=high,
        high_on=high_on,
        since=past.since if past else aligned.sessions[first].astype(object),
    )


def why_missing(aligned: Aligned, row: int) -> str:
    """Say which leg of a row has no price, and why."""
    session = aligned.sessions[row].astype(object)
    reasons = [out.reason for out in aligned.left_out if out.session == session]
    return f"{session}: {'; '.join(reasons) or 'no price'}"


def _mined(aligned: Aligned, window: Window, start: int) -> MiningEconomics | None:
    """Tell what it was to mine at the last row and at its anchor; None where the network is not known at both."""
    if aligned.network is None:
        return None
    hard, earned = difficulties(aligned), hashprices(aligned)
    if not np.isfinite([hard[start], hard[-1], earned[start], earned[-1]]).all():
        return None
    return MiningEconomics(
        source=aligned.network.source,
        difficulty=float(hard[-1]),
        difficulty_before=float(hard[start]),
        hashprice=float(earned[-1]),
        hashprice_before=float(earned[start]),
        difficulty_percentile=last_percentile(difficulty_series(aligned, window)),
        hashprice_percentile=last_percentile(hashprice_series(aligned, window)),
    )


def _betas(etf: NDArray[np.float64], crypto: NDArray[np.float64]) -> NDArray[np.float64]:
    start = np.arange(len(etf)) - 1
    x, y = returns(crypto, start), returns(etf, start)
    both = np.isfinite(x) & np.isfinite(y)
    x, y = np.where(both, x, 0.0), np.where(both, y, 0.0)
    n, sx, sy, sxy, sxx = (_rolling_sum(column, BETA_SESSIONS) for column in (both.astype(float), x, y, x * y, x * x))
    enough = n >= COVERAGE * BETA_SESSIONS
    with np.errstate(invalid="ignore", divide="ignore"):
        covariance, variance = sxy - sx * sy / n, sxx - sx * sx / n
        return np.where(enough & (variance > 0), covariance / variance, np.nan)


def _rolling_sum(column: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    total: NDArray[np.float64] = sliding_window_view(np.concatenate([np.zeros(size - 1), column]), size).sum(axis=1)
    return total
