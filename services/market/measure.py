"""Measure aligned prices: returns, spread, beta, residual, drawdown and opening gap, and how unusual they are."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from services.core.prices import Pair, to_datetime
from services.core.reason import Code, Reason
from services.core.statistics import (
    MIN_COVERAGE,
    finite_or_none,
    last_percentile,
    ols,
    percentiles,
    robust_z,
    rolling_ols,
    trailing_windows,
)
from services.core.volatility import ewma_volatility, moves_in_sigma, rms_volatility
from services.market.align import Aligned, PriorHigh
from services.market.mining_economics import MiningEconomics, historical_hashprices

CONFIDENCE = 0.90
BETA_SESSIONS = 60
MIN_BETA_SESSIONS = MIN_COVERAGE * BETA_SESSIONS


class Window(Enum):
    """A number of sessions for a return; `ytd` starts at the last close of the prior year."""

    D1 = "1d"
    D5 = "5d"
    D20 = "20d"
    D60 = "60d"
    D252 = "252d"
    YTD = "ytd"

    @property
    def is_short(self) -> bool:
        """Whether 252 sessions hold enough separate windows of this length for a rank: at most 20 sessions."""
        return self in {Window.D1, Window.D5, Window.D20}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """The returns of both legs over one window, and how unusual the spread is; returns are fractions.

    Attributes:
        anchor: the session whose close the returns start from.
        as_of: the instant of both prices.
        beta: from the 60 sessions before the window; None if the history is too short.
        z, percentile: the spread's position (percentile from 0 to 100) among the 252 sessions before; None if the
            history is too short. `z` is also None if the MAD is 0.
        mining: mining economics, if the network's history is loaded and known at both ends of the window.
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
    mining: MiningEconomics | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotMeasured:
    """The reason why a window has no measurement."""

    window: Window
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawdown:
    """The drawdown of a leg from its highest session close since `since`; `depth` is a fraction, 0 at the high.

    A share's drawdown is measured on total return: `high` is adjusted for later dividends and lies below the traded
    price.
    """

    depth: float
    high: float
    high_on: date
    since: date


def anchors(aligned: Aligned, window: Window) -> NDArray[np.intp]:
    """Return, for each row, the row that the window's return starts from; -1 if it is before the first row."""
    rows = np.arange(len(aligned))
    if window is Window.YTD:
        years = aligned.sessions.astype("datetime64[Y]")
        return np.searchsorted(years, years, side="left") - 1
    return np.maximum(rows - int(window.value.removesuffix("d")), -1)


def returns(prices: NDArray[np.float64], start: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return each row's price over the price at its anchor, minus one; NaN if either is missing."""
    result: NDArray[np.float64] = prices / np.where(start >= 0, prices[start], np.nan) - 1
    return result


def spread_series(aligned: Aligned, window: Window) -> NDArray[np.float64]:
    """Return the ETF's return minus bitcoin's over the window, for every session."""
    start = anchors(aligned, window)
    return returns(aligned.etf, start) - returns(aligned.crypto, start)


def beta_series(aligned: Aligned) -> NDArray[np.float64]:
    """Estimate, for each session, the ETF's beta to bitcoin from 1-session returns of the 60 sessions ending there.

    Ordinary least squares with an intercept. Sessions without both returns are dropped; fewer than 45 of 60 give NaN. A
    measurement must use the beta at its anchor, so that the estimate excludes the window itself.
    """
    etf, crypto = session_returns(aligned)
    return rolling_ols(etf, crypto[:, None], BETA_SESSIONS, min_rows=MIN_BETA_SESSIONS).coefficients[:, 1]


def residual_series(aligned: Aligned, window: Window) -> NDArray[np.float64]:
    """Return the ETF's return minus beta times bitcoin's, with the beta known at the window's anchor."""
    start = anchors(aligned, window)
    beta = np.where(start >= 0, beta_series(aligned)[start], np.nan)
    return returns(aligned.etf, start) - beta * returns(aligned.crypto, start)


def z_series(aligned: Aligned, window: Window) -> NDArray[np.float64]:
    """Return each spread's robust z-score: median and MAD of the 252 sessions before it; NaN if the MAD is 0."""
    spread = spread_series(aligned, window)
    return robust_z(spread, trailing_windows(spread))


def percentile_series(aligned: Aligned, window: Window) -> NDArray[np.float64]:
    """Return each spread's percentile (0 to 100) among the 252 sessions before it; ties count half."""
    spread = spread_series(aligned, window)
    return percentiles(spread, trailing_windows(spread))


def relative_logs(aligned: Aligned) -> NDArray[np.float64]:
    """Return the log of the ETF's price over bitcoin's, for every session; NaN if either is missing."""
    logs: NDArray[np.float64] = np.log(aligned.etf / aligned.crypto)
    return logs


def daily_relative_returns(aligned: Aligned) -> NDArray[np.float64]:
    """Return ln(1 + ETF return) - ln(1 + bitcoin return) over one session, for every session."""
    return np.diff(relative_logs(aligned), prepend=np.nan)


def sigma_series(aligned: Aligned, window: Window) -> NDArray[np.float64]:
    """Return each window's volatility-scaled move: its relative log return over that of a usual window.

    The volatility is that known at the window's first close: exponentially weighted for windows of at most 20
    sessions, over 252 sessions for longer ones. NaN if a price or the volatility is missing.
    """
    volatility = (ewma_volatility if window.is_short else rms_volatility)(daily_relative_returns(aligned))
    return moves_in_sigma(relative_logs(aligned), anchors(aligned, window), volatility)


def drawdown_series(prices: NDArray[np.float64], prior: PriorHigh | None = None) -> NDArray[np.float64]:
    """Return each price's drawdown from the running high, as a positive fraction; NaN if the price is missing."""
    seed = prior.high if prior else np.nan
    depth: NDArray[np.float64] = 1 - prices / np.fmax.accumulate(np.append(seed, prices))[1:]
    return depth


def hashprice_series(aligned: Aligned, window: Window) -> NDArray[np.float64]:
    """Return the change of the hashprice (without fees) over the window, for every session."""
    return returns(hashprices(aligned), anchors(aligned, window))


def difficulty_series(aligned: Aligned, window: Window) -> NDArray[np.float64]:
    """Return the change of the difficulty over the window, for every session."""
    return returns(difficulties(aligned), anchors(aligned, window))


def measure(aligned: Aligned, window: Window) -> Measurement | NotMeasured:
    """Measure the last row of `aligned` over one window, or return the reason why it cannot be measured."""
    last = len(aligned) - 1
    start = int(anchors(aligned, window)[last])
    if start < 0:
        begins = Reason.of(Code.WINDOW_BEFORE_HISTORY, session=aligned.sessions[0].item(), window=window)
        return NotMeasured(window=window, reason=begins)
    for row in (last, start):
        if not aligned.complete[row]:
            return NotMeasured(window=window, reason=missing_price_reason(aligned, row))
    etf = float(aligned.etf[last] / aligned.etf[start] - 1)
    crypto = float(aligned.crypto[last] / aligned.crypto[start] - 1)
    beta = _beta_at(aligned, start)
    spread = spread_series(aligned, window)
    return Measurement(
        pair=aligned.pair,
        window=window,
        session=aligned.sessions[last].astype(object),
        anchor=aligned.sessions[start].astype(object),
        as_of=to_datetime(aligned.at[last]),
        live=aligned.live,
        etf_return=etf,
        crypto_return=crypto,
        spread=etf - crypto,
        relative=(1 + etf) / (1 + crypto) - 1,
        beta=beta,
        residual=None if beta is None else etf - beta * crypto,
        z=finite_or_none(robust_z(spread[-1:], trailing_windows(spread)[-1:])[0]),
        percentile=last_percentile(spread),
        mining=_mining_economics(aligned, window, start),
    )


def drawdown(aligned: Aligned, prices: NDArray[np.float64], prior: PriorHigh | None = None) -> Drawdown | None:
    """Return the last row's drawdown of one leg of `aligned`; None if its last price is missing."""
    if not np.isfinite(prices[-1]):
        return None
    row, first = int(np.nanargmax(prices)), int(np.argmax(np.isfinite(prices)))
    high, high_on = float(prices[row]), aligned.sessions[row].astype(object)
    if prior is not None and prior.high > high:
        high, high_on = prior.high, prior.high_on
    return Drawdown(
        depth=float(1 - prices[-1] / high),
        high=high,
        high_on=high_on,
        since=prior.since if prior else aligned.sessions[first].astype(object),
    )


def missing_price_reason(aligned: Aligned, row: int) -> Reason:
    """Return why the legs of a row lack a price."""
    session = aligned.sessions[row].astype(object)
    reasons = [exclusion.reason for exclusion in aligned.exclusions if exclusion.session == session]
    return Reason.of(Code.MISSING_PRICE, session=session, reasons=reasons)


def _beta_at(aligned: Aligned, row: int) -> float | None:
    """Return the beta of one row of `beta_series`."""
    etf, crypto = session_returns(aligned.head(row + 1))
    fit = ols(etf[-BETA_SESSIONS:], crypto[-BETA_SESSIONS:, None], min_rows=MIN_BETA_SESSIONS)
    return finite_or_none(fit.coefficients[0, 1])


def _mining_economics(aligned: Aligned, window: Window, start: int) -> MiningEconomics | None:
    """Return the mining economics at the last row and at its anchor; None if the network is not known at both."""
    if aligned.network is None:
        return None
    difficulty, hashprice = difficulties(aligned), hashprices(aligned)
    if not np.isfinite([difficulty[start], difficulty[-1], hashprice[start], hashprice[-1]]).all():
        return None
    return MiningEconomics(
        source=aligned.network.source,
        difficulty=float(difficulty[-1]),
        difficulty_before=float(difficulty[start]),
        hashprice=float(hashprice[-1]),
        hashprice_before=float(hashprice[start]),
        difficulty_percentile=last_percentile(difficulty_series(aligned, window)),
        hashprice_percentile=last_percentile(hashprice_series(aligned, window)),
    )


def session_returns(aligned: Aligned) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the 1-session returns of the ETF and of bitcoin, for every session."""
    start = np.arange(len(aligned)) - 1
    return returns(aligned.etf, start), returns(aligned.crypto, start)


def difficulties(aligned: Aligned) -> NDArray[np.float64]:
    """Return the difficulty at each row's instant; NaN before the first known one, or without network history."""
    if aligned.network is None:
        return np.full(len(aligned), np.nan)
    return aligned.network.difficulties_at(aligned.at)


def hashprices(aligned: Aligned) -> NDArray[np.float64]:
    """Return the hashprice without fees at each row's instant and coin price; NaN if an input is missing."""
    if aligned.network is None:
        return np.full(len(aligned), np.nan)
    return historical_hashprices(aligned.network, aligned.at, aligned.crypto)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Bitcoin's move since the ETF's last close at `since`, and the implied ETF gap: `beta` times the move.

    All are fractions except beta and its standard error `beta_error`. `low` and `high` are a 90% prediction interval
    for the ETF's opening. If the history is too short for a beta, only the move is known and the others are None.
    """

    move: float
    beta: float | None
    beta_error: float | None
    implied: float | None
    low: float | None
    high: float | None
    since: datetime
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BetaFit:
    """OLS fit, with an intercept, of the ETF's 1-session returns on bitcoin's.

    `residual_std` is the standard deviation of the residuals (a fraction), with `degrees_of_freedom`.
    """

    beta: float
    beta_error: float
    residual_std: float
    degrees_of_freedom: int

    def margin(self, move: float) -> float:
        """Return the half-width of the 90% prediction interval around beta × `move`.

        It is t × √(s² + (SE(β) × move)²), with Student's t quantile and the residuals' standard deviation s. The
        intercept, a drift independent of bitcoin, is part of neither the implied gap nor the interval. The fitted
        returns run from close to close, weekends included; an opening contains no session of its own and is likely to
        be closer.
        Source: Montgomery, Peck and Vining, Introduction to Linear Regression Analysis, prediction of new observations.
        """
        return student_t_quantile(self.degrees_of_freedom) * sqrt(self.residual_std**2 + (self.beta_error * move) ** 2)


def predict_gap(closes: Aligned, price: float, at: datetime) -> Gap:
    """Return bitcoin's move from the last row of `closes` to `price`, and the implied ETF gap.

    The last row must have a bitcoin price.
    """
    since, move = to_datetime(closes.at[-1]), price / float(closes.crypto[-1]) - 1
    fit = fit_beta(closes)
    if fit is None:
        return Gap(move=move, beta=None, beta_error=None, implied=None, low=None, high=None, since=since, at=at)
    gap, margin = fit.beta * move, fit.margin(move)
    return Gap(
        move=move,
        beta=fit.beta,
        beta_error=fit.beta_error,
        implied=gap,
        low=gap - margin,
        high=gap + margin,
        since=since,
        at=at,
    )


def fit_beta(closes: Aligned) -> BetaFit | None:
    """Fit the 60 sessions that end with the last row, like `beta_series`; None if fewer than 45 have returns."""
    etf, crypto = session_returns(closes)
    y, x = etf[-BETA_SESSIONS:], crypto[-BETA_SESSIONS:]
    fit = ols(y, x[:, None], min_rows=MIN_BETA_SESSIONS)
    if not fit.fitted[0]:
        return None
    return BetaFit(
        beta=float(fit.coefficients[0, 1]),
        beta_error=float(fit.standard_errors[0, 1]),
        residual_std=float(fit.residual_std[0]),
        degrees_of_freedom=int((np.isfinite(x) & np.isfinite(y)).sum()) - 2,
    )


def student_t_quantile(degrees_of_freedom: int) -> float:
    """Approximate the 95% quantile of Student's t; accurate to six digits from 40 degrees of freedom on.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5.
    """
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / degrees_of_freedom + second / degrees_of_freedom**2 + third / degrees_of_freedom**3
