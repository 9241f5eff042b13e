"""The gap that bitcoin's move since the ETF's close implies for the next opening, with a 90% prediction interval."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from math import copysign, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.core.intervals import student_t_quantile
from services.core.prices import Bars, Closes, to_datetime
from services.core.sessions import Sessions
from services.core.statistics import finite_or_none, ols
from services.market.align import DAY, Aligned
from services.market.measure import BETA_SESSIONS, MIN_BETA_SESSIONS, session_returns
from services.market.openings import in_session_returns, prices_at

CLOSURES = 60
MIN_PAIRS = 30
CLOSE_TO_OPEN = 0.45  # the share of the residuals of close-to-close returns that an opening has
HOUR = timedelta(hours=1)


class GapBasis(Enum):
    """What the gap is fitted on: returns from close to open, or, without opening prices, from close to close."""

    OPENINGS = "openings"
    CLOSES = "closes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Bitcoin's move since the ETF's last close at `since`, and the gap that it implies for the next open.

    Moves are fractions. If the history is too short for a fit, every value after `at` is null.

    Attributes:
        implied: The predicted gap.
        low, high: The 90% prediction interval; it allows for bitcoin's moves until the open.
        beta, beta_error: The ETF's move per unit move in bitcoin, and its standard error.
        pairs: Number of fitted returns.
        r2: Share of their variance that bitcoin explains.
        hours_left: From `at` to the next open.
    """

    move: float
    since: datetime
    at: datetime
    implied: float | None = None
    low: float | None = None
    high: float | None = None
    beta: float | None = None
    beta_error: float | None = None
    pairs: int | None = None
    r2: float | None = None
    hours_left: float | None = None
    basis: GapBasis | None = None

    @property
    def correlation(self) -> float | None:
        """Correlation of the fitted returns; None without a fit."""
        return None if self.r2 is None or self.beta is None else copysign(sqrt(self.r2), self.beta)


class OffHours(NamedTuple):
    """The last 60 closures of the ETF, the one in progress excluded.

    Attributes:
        crypto, etf: Returns from each close to the next opening, as fractions; NaN where a price is missing.
        hourly_variance: Of bitcoin's log returns in the hours in which the ETF is shut; NaN if there are none.
    """

    crypto: NDArray[np.float64]
    etf: NDArray[np.float64]
    hourly_variance: float


def read_off_hours(closes: Aligned, etf: Closes | Bars, crypto: Bars, sessions: Sessions) -> OffHours:
    """Return the closures before the last row of `closes`, which was aligned from `etf` and `crypto`."""
    recent = slice(max(0, len(closes) - CLOSURES - 1), None)
    days, shut_at = closes.sessions[recent][1:], closes.at[recent][:-1]
    opens_at = sessions.opens_at[np.searchsorted(sessions.days, days)]
    etf_closes, crypto_closes = closes.etf[recent], closes.crypto[recent]
    in_session = in_session_returns(etf, days, opens_at, etf_closes)
    hourly = crypto.interval < DAY
    at_open = prices_at(crypto, opens_at) if hourly else np.full(len(days), np.nan)
    return OffHours(
        crypto=at_open / crypto_closes[:-1] - 1,
        etf=etf_closes[1:] / (1 + in_session) / etf_closes[:-1] - 1,
        hourly_variance=_variance_between(crypto, shut_at, opens_at) if hourly else np.nan,
    )


def _variance_between(bars: Bars, begin: NDArray[np.datetime64], end: NDArray[np.datetime64]) -> float:
    """Return the variance per hour of the log returns of the bars that end after a `begin` and by its `end`."""
    if not len(begin):
        return np.nan
    first = max(1, int(np.searchsorted(bars.ended_at, begin[0], side="right")))
    ended_at, returns = bars.ended_at[first:], np.diff(np.log(bars.closes[first - 1 :]))
    closure = np.searchsorted(begin, ended_at, side="left") - 1
    inside = returns[(closure >= 0) & (ended_at <= end[closure])]
    return float(np.mean(inside**2) / (bars.interval / HOUR)) if len(inside) else np.nan


class _Fit(NamedTuple):
    """A fit at one move of bitcoin: the predicted gap `center`, and the variance of a new opening around it."""

    pairs: int
    beta: float
    beta_error: float
    center: float
    variance: float
    r2: float
    basis: GapBasis


def predict_gap(closes: Aligned, off_hours: OffHours, price: float, at: datetime, opens_at: datetime) -> Gap:
    """Return bitcoin's move from the last row of `closes` to `price` at `at`, and the gap implied for `opens_at`.

    1. Fit the ETF's close-to-open returns on bitcoin's, by least squares with an intercept, over the last 60 closures,
       of which at least 30 must be known.
    2. Without them, use the close-to-close returns of the last 60 sessions, without the intercept, and 0.45 of their
       residual standard deviation.
    3. The variance of the prediction is that of a new opening, with the error of the fit, plus beta² times that of the
       hours that bitcoin has yet to trade.

    The last row must have a bitcoin price. Source: Montgomery, Peck and Vining, Introduction to Linear Regression
    Analysis, prediction of new observations.
    """
    since, move = to_datetime(closes.at[-1]), price / float(closes.crypto[-1]) - 1
    hours_left = max(0.0, (opens_at - at) / HOUR)
    fit = _fit_openings(off_hours, move) or _fit_closes(closes, move)
    if fit is None:
        return Gap(move=move, since=since, at=at, hours_left=hours_left)
    to_come = fit.beta**2 * off_hours.hourly_variance * hours_left if hours_left else 0.0
    margin = student_t_quantile(fit.pairs - 2) * sqrt(fit.variance + to_come)
    return Gap(
        move=move,
        beta=fit.beta,
        beta_error=fit.beta_error,
        implied=fit.center,
        low=finite_or_none(fit.center - margin),
        high=finite_or_none(fit.center + margin),
        since=since,
        at=at,
        pairs=fit.pairs,
        r2=fit.r2,
        hours_left=hours_left,
        basis=fit.basis,
    )


def _fit_openings(off_hours: OffHours, move: float) -> _Fit | None:
    return _fit(off_hours.etf, off_hours.crypto, np.array([1.0, move]), MIN_PAIRS, GapBasis.OPENINGS)


def _fit_closes(closes: Aligned, move: float) -> _Fit | None:
    etf, crypto = (returns[-BETA_SESSIONS:] for returns in session_returns(closes))
    fit = _fit(etf, crypto, np.array([0.0, move]), MIN_BETA_SESSIONS, GapBasis.CLOSES)
    return fit and fit._replace(variance=fit.variance * CLOSE_TO_OPEN**2)


def _fit(
    y: NDArray[np.float64], x: NDArray[np.float64], at: NDArray[np.float64], min_pairs: float, basis: GapBasis
) -> _Fit | None:
    """Fit `y` on an intercept and `x`, and predict at the row `at` of the design; None with too few pairs."""
    fit = ols(y, x[:, None], min_rows=min_pairs)
    if not fit.fitted[0]:
        return None
    return _Fit(
        pairs=int(fit.counts[0]),
        beta=float(fit.coefficients[0, 1]),
        beta_error=float(fit.standard_errors[0, 1]),
        center=float(fit.coefficients[0] @ at),
        variance=float(fit.residual_std[0] ** 2 * (1 + at @ fit.inverse[0] @ at)),
        r2=float(fit.r2[0]),
        basis=basis,
    )
