"""Robust z-scores, percentile ranks and least squares."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

LOOKBACK_SESSIONS = 252
MIN_COVERAGE = 0.75  # the share of a look-back that must have prices for a result
MAD_TO_SIGMA = 1.4826  # for a normal sample; Source: Iglewicz and Hoaglin, 1993


def robust_z(
    values: NDArray[np.float64], history: NDArray[np.float64], *, min_count: float = MIN_COVERAGE * LOOKBACK_SESSIONS
) -> NDArray[np.float64]:
    """Return the robust z of each value: its distance from the median of its row of `history`, in scaled MADs.

    NaN where the row has fewer than `min_count` numbers, or its MAD is 0.
    """
    median = row_medians(history)
    mad = row_medians(np.abs(history - median[:, None]))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(_has_enough(history, min_count) & (mad > 0), (values - median) / (MAD_TO_SIGMA * mad), np.nan)


def percentiles(values: NDArray[np.float64], history: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the percentile rank (0 to 100) of each value in its row of `history`.

    Ties count half. NaN where too few values of the row are known.
    """
    column = values[:, None]
    below = (history < column).sum(axis=1) + 0.5 * (history == column).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        rank = 100 * below / np.isfinite(history).sum(axis=1)
    return np.where(_has_enough(history, MIN_COVERAGE * LOOKBACK_SESSIONS) & np.isfinite(values), rank, np.nan)


def last_percentile(series: NDArray[np.float64]) -> float | None:
    """Return the percentile rank of the last value among those before it; None if too few are known."""
    return finite_or_none(percentiles(series[-1:], trailing_windows(series)[-1:])[0])


def _has_enough(history: NDArray[np.float64], min_count: float) -> NDArray[np.bool_]:
    has_enough: NDArray[np.bool_] = np.isfinite(history).sum(axis=1) >= min_count
    return has_enough


def trailing_windows(column: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return, for each row, a view of the 252 values before it, NaN where there are none: shape (rows, 252)."""
    padded = np.concatenate([np.full(LOOKBACK_SESSIONS, np.nan), column])[:-1]
    return sliding_window_view(padded, LOOKBACK_SESSIONS)


def row_medians(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each row's median over its numbers; NaN if it has none, without numpy's warning."""
    ordered = np.sort(rows, axis=1)  # NaN sorts last
    count = np.isfinite(rows).sum(axis=1)
    upper = np.take_along_axis(ordered, (count // 2).clip(max=rows.shape[1] - 1)[:, None], axis=1)[:, 0]
    lower = np.take_along_axis(ordered, ((count - 1) // 2).clip(min=0)[:, None], axis=1)[:, 0]
    return np.where(count > 0, (lower + upper) / 2, np.nan)


def finite_or_none(value: float) -> float | None:
    """Return the number, or None for NaN and infinities."""
    return float(value) if np.isfinite(value) else None


MIN_EIGENVALUE = 1e-10  # smallest eigenvalue of the scaled moments; below it, columns differ by rounding only
MAX_LEVERAGE = 0.99  # of one row; above it, the fit passes through that row, whose residual then says nothing


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RollingFits:
    """One regression per row, over the window that ends with it; NaN where it cannot be fitted.

    Attributes:
        coefficients: Shape (rows, 1 + factors), the intercept first.
        covariance: HC3 covariance of the coefficients, shape (rows, 1 + factors, 1 + factors). NaN where a leverage
            exceeds 0.99.
        residual_std: Standard deviation of the residuals.
        r2: Share of the variance that is explained.
        inverse: Inverse of the moments X'X.
        design: X' of each fit, shape (rows, 1 + factors, window), zero where a row was left out.
        scaled_residuals: Each residual over one minus its leverage, shape (rows, window), zero where a row was left
            out. NaN where a leverage exceeds 0.99.
    """

    coefficients: NDArray[np.float64]
    covariance: NDArray[np.float64]
    residual_std: NDArray[np.float64]
    r2: NDArray[np.float64]
    inverse: NDArray[np.float64]
    design: NDArray[np.float64]
    scaled_residuals: NDArray[np.float64]

    @property
    def robust_errors(self) -> NDArray[np.float64]:
        """HC3 standard errors of the coefficients, shape (rows, 1 + factors)."""
        return np.sqrt(np.diagonal(self.covariance, axis1=1, axis2=2))

    @property
    def standard_errors(self) -> NDArray[np.float64]:
        """Errors of the coefficients if all residuals had one variance, as prediction intervals assume.

        For the error of a coefficient itself, use `robust_errors`.
        """
        return self.residual_std[:, None] * np.sqrt(np.diagonal(self.inverse, axis1=1, axis2=2))

    @property
    def counts(self) -> NDArray[np.intp]:
        """How many rows each fit uses."""
        counts: NDArray[np.intp] = self.design[:, 0].sum(axis=1).astype(np.intp)
        return counts

    @property
    def fitted(self) -> NDArray[np.bool_]:
        """True for each row that has a fit."""
        return np.isfinite(self.residual_std)


def rolling_ols(y: NDArray[np.float64], factors: NDArray[np.float64], window: int, *, min_rows: float) -> RollingFits:
    """Regress `y` on an intercept and `factors`, shape (rows, factors), over the `window` rows that end with each row.

    Rows with a missing number are left out. There is no fit (NaN) with fewer than `min_rows` rows or with collinear
    factors. HC3 covariance: G (Σ uᵢ² xᵢ xᵢ') G, with G = (X'X)⁻¹ and uᵢ = eᵢ / (1 - hᵢ), where hᵢ = xᵢ' G xᵢ.
    Source: Greene, Econometric Analysis (least squares); MacKinnon and White 1985, Long and Ervin 2000 (HC3).
    """
    columns, values = _complete_rows(y, factors)
    design = np.ascontiguousarray(_windows(columns, window).transpose(1, 0, 2))
    return _fit(design, _windows(values, window), min_rows)


def ols(y: NDArray[np.float64], factors: NDArray[np.float64], *, min_rows: float) -> RollingFits:
    """Regress `y` on an intercept and `factors` over all rows, as `rolling_ols` does; one fit."""
    columns, values = _complete_rows(y, factors)
    return _fit(columns[None], values[None], min_rows)


def _complete_rows(
    y: NDArray[np.float64], factors: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return X' and y, with rows that miss a number set to zero, the intercept's included."""
    known = np.isfinite(y) & np.isfinite(factors).all(axis=1)
    return np.where(known, np.vstack([np.ones(len(y)), factors.T]), 0.0), np.where(known, y, 0.0)


def _fit(design: NDArray[np.float64], y_windows: NDArray[np.float64], min_rows: float) -> RollingFits:
    """Fit each row of `y_windows`, shape (fits, window), on X' in `design`, shape (fits, 1 + factors, window)."""
    counts, width = design[:, 0].sum(axis=1), design.shape[1]
    moments = design @ design.transpose(0, 2, 1)
    usable = (counts >= max(min_rows, width + 1)) & _independent(moments)
    inverse = np.linalg.inv(np.where(usable[:, None, None], moments, np.eye(width)))
    coefficients = (inverse @ (design @ y_windows[:, :, None]))[:, :, 0]
    residuals = y_windows - np.einsum("rk,rks->rs", coefficients, design)
    residual_squares = (residuals**2).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        residual_std = np.where(usable, np.sqrt(residual_squares / (counts - width)), np.nan)
        total = (y_windows**2).sum(axis=1) - y_windows.sum(axis=1) ** 2 / counts
        r2 = np.where(usable & (total > 0), 1 - residual_squares / total, np.nan)
    weights = inverse @ design  # the change of each coefficient with y
    leverages = np.einsum("rks,rks->rs", design, weights)
    known = usable & (leverages.max(axis=1, initial=0.0) <= MAX_LEVERAGE)
    scaled_residuals = np.where(known[:, None], residuals, np.nan) / np.where(known[:, None], 1 - leverages, 1.0)
    effects = weights * scaled_residuals[:, None]
    return RollingFits(
        coefficients=np.where(usable[:, None], coefficients, np.nan),
        covariance=effects @ effects.transpose(0, 2, 1),
        residual_std=residual_std,
        r2=r2,
        inverse=inverse,
        design=design,
        scaled_residuals=scaled_residuals,
    )


class WaldTest(NamedTuple):
    """Test of whether two coefficients are both unchanged: Wald's statistic and its p-value."""

    statistic: float
    p: float


def wald_test(fits: RollingFits, before: int, after: int) -> WaldTest | None:
    """Test whether both factors' coefficients are the same in the fits of two rows, which must share no row.

    W = δ' V⁻¹ δ, with the change δ of the two coefficients and the sum V of their HC3 covariances. W/2 has an F
    distribution with 2 and n₁ + n₂ - 6 degrees of freedom, whose tail is (1 + W/d)^(-d/2). Return None if a covariance
    is unknown or singular. Source: Watt 1979 (equality of coefficients with unequal variances).
    """
    covariance = (fits.covariance[before] + fits.covariance[after])[1:, 1:]
    change = (fits.coefficients[after] - fits.coefficients[before])[1:]
    degrees = int(fits.counts[[before, after]].sum()) - 2 * len(fits.coefficients[after])
    if not np.isfinite(covariance).all() or np.linalg.det(covariance) <= 0:
        return None
    statistic = float(change @ np.linalg.solve(covariance, change))
    return WaldTest(statistic, (1 + statistic / degrees) ** (-degrees / 2))


def _windows(columns: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Return a view of the `size` elements that end with each one of the last axis, zero before the first."""
    before = np.zeros((*columns.shape[:-1], size - 1))
    return sliding_window_view(np.concatenate([before, columns], axis=-1), size, axis=-1)


def _independent(moments: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return for each row whether the columns of X are linearly independent, whatever their scales."""
    scales = np.sqrt(np.diagonal(moments, axis1=1, axis2=2))
    scales = np.where(scales > 0, scales, 1.0)
    scaled = moments / (scales[:, :, None] * scales[:, None, :])
    independent: NDArray[np.bool_] = np.linalg.eigvalsh(scaled)[:, 0] > MIN_EIGENVALUE
    return independent
