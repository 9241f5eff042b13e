"""The ETF's expected opening gap: bitcoin's move while the ETF is closed, times beta, with a prediction interval."""

from dataclasses import dataclass
from datetime import datetime
from math import sqrt
from statistics import NormalDist

import numpy as np

from services.core.prices import to_datetime
from services.core.statistics import ols
from services.market.align import Aligned
from services.market.measure import BETA_SESSIONS, MIN_BETA_SESSIONS, session_returns

CONFIDENCE = 0.90


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
