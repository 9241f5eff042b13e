"""Gap: what bitcoin's move while the ETF is shut implies for the ETF's next opening, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import sqrt
from statistics import NormalDist

import numpy as np

from services.core.prices import moment
from services.core.statistics import COVERAGE
from services.market.align import Aligned
from services.market.measure import BETA_SESSIONS, returns

CERTAINTY = 0.90


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Bitcoin's move since the ETF's last close at `since`, and the ETF gap that it implies: `beta` times the move.

    All are fractions but beta and its standard error `beta_error`. The ETF should open between `low` and `high` nine
    times out of ten. Where the history is too short for a beta, only the move is known and the others are None.
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
class Fit:
    """The ETF's 1-day returns on bitcoin's by ordinary least squares with an intercept.

    `noise` is the standard deviation of the residuals (a fraction), with `freedom` degrees of freedom.
    """

    beta: float
    beta_error: float
    noise: float
    freedom: int

    def margin(self, move: float) -> float:
        """Tell how far on either side of beta times `move` the next return lies nine times out of ten.

        Student's quantile times the root of: the residuals' variance, plus the square of beta's standard error times
        the move. The intercept, a drift that is not bitcoin's doing, is no part of what is implied, nor of this. The
        returns run from close to close, weekends among them: an opening, which has no session of its own in it, is
        likely to be nearer.
        Source: Montgomery, Peck and Vining, Introduction to Linear Regression Analysis, prediction of new observations.
        """
        return student(self.freedom) * sqrt(self.noise**2 + (self.beta_error * move) ** 2)


def implied(closes: Aligned, price: float, at: datetime) -> Gap:
    """Take bitcoin's move from the last row of `closes`, which must have its price, to `price`, and what it implies."""
    since, move = moment(closes.at[-1]), price / float(closes.crypto[-1]) - 1
    fit = fitted(closes)
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


def fitted(closes: Aligned) -> Fit | None:
    """Fit the 60 sessions that end with the last row, as `beta_series` does; None where fewer than 45 have returns."""
    last = closes.etf[-BETA_SESSIONS - 1 :], closes.crypto[-BETA_SESSIONS - 1 :]
    y, x = (returns(prices, np.arange(len(prices)) - 1) for prices in last)
    both = np.isfinite(x) & np.isfinite(y)
    x, y = x[both], y[both]
    if len(x) < COVERAGE * BETA_SESSIONS or not np.ptp(x):
        return None
    x, y = x - x.mean(), y - y.mean()
    beta, freedom = float(x @ y / (x @ x)), len(x) - 2
    noise = float(np.linalg.norm(y - beta * x)) / sqrt(freedom)
    return Fit(beta=beta, beta_error=noise / float(np.linalg.norm(x)), noise=noise, freedom=freedom)


def student(freedom: int) -> float:
    """Approximate Student's t quantile that leaves 5% above it; to six digits from 40 degrees of freedom on.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5.
    """
    z = NormalDist().inv_cdf((1 + CERTAINTY) / 2)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
