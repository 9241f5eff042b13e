"""How unusual a value is: by the median and MAD of what came before it, and by its rank among them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

UNUSUAL_SESSIONS = 252
COVERAGE = 0.75  # the share of a look-back that must have prices before it says anything
MAD_TO_SIGMA = 1.4826  # for a normal sample; Source: Iglewicz and Hoaglin, 1993


def robust_z(
    values: NDArray[np.float64], before: NDArray[np.float64], *, at_least: float = COVERAGE * UNUSUAL_SESSIONS
) -> NDArray[np.float64]:
    """Place each value by the median and MAD of its row of `before`; NaN where fewer than `at_least` are known."""
    median = medians(before)
    mad = medians(np.abs(before - median[:, None]))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(_enough(before, at_least) & (mad > 0), (values - median) / (MAD_TO_SIGMA * mad), np.nan)


def percentiles(values: NDArray[np.float64], before: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rank each value among its row of `before`, from 0 to 100; ties count half, and too few known give NaN."""
    column = values[:, None]
    below = (before < column).sum(axis=1) + 0.5 * (before == column).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        rank = 100 * below / np.isfinite(before).sum(axis=1)
    return np.where(_enough(before, COVERAGE * UNUSUAL_SESSIONS) & np.isfinite(values), rank, np.nan)


def last_percentile(series: NDArray[np.float64]) -> float | None:
    """Rank the last value of a series among those before it; None where too few are known."""
    return known(percentiles(series[-1:], before_each(series)[-1:])[0])


def _enough(before: NDArray[np.float64], at_least: float) -> NDArray[np.bool_]:
    enough: NDArray[np.bool_] = np.isfinite(before).sum(axis=1) >= at_least
    return enough


def before_each(column: NDArray[np.float64]) -> NDArray[np.float64]:
    """View, for each row, the 252 values before it, NaN where there are none: shape (rows, 252)."""
    padded = np.concatenate([np.full(UNUSUAL_SESSIONS, np.nan), column])[:-1]
    return sliding_window_view(padded, UNUSUAL_SESSIONS)


def medians(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take each row's median over its numbers; NaN where a row has none (numpy's own warns there)."""
    ordered = np.sort(rows, axis=1)  # NaN sorts last
    count = np.isfinite(rows).sum(axis=1)
    upper = np.take_along_axis(ordered, (count // 2).clip(max=rows.shape[1] - 1)[:, None], axis=1)[:, 0]
    lower = np.take_along_axis(ordered, ((count - 1) // 2).clip(min=0)[:, None], axis=1)[:, 0]
    return np.where(count > 0, (lower + upper) / 2, np.nan)


def known(value: float) -> float | None:
    """Give a number, or None for NaN."""
    return float(value) if np.isfinite(value) else None


DEGENERATE = 1e-10  # of the scaled moments' smallest eigenvalue: columns that differ by rounding alone


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fits:
    """One fit for each row, of the rows that end with it; NaN where it cannot be made.

    `coefficients` and `errors` have shape (rows, 1 + factors), the intercept first; `noise` is the residuals' standard
    deviation and `r2` the share of the variance that is explained. `inverse` is that of the moments X'X, and `design`
    the X' of each fit, (rows, 1 + factors, size), zero where a row was left out.
    """

    coefficients: NDArray[np.float64]
    errors: NDArray[np.float64]
    noise: NDArray[np.float64]
    r2: NDArray[np.float64]
    inverse: NDArray[np.float64]
    design: NDArray[np.float64]

    @property
    def made(self) -> NDArray[np.bool_]:
        """Which rows have a fit."""
        return np.isfinite(self.noise)


def rolling_ols(y: NDArray[np.float64], factors: NDArray[np.float64], size: int, *, at_least: float) -> Fits:
    """Fit `y` on an intercept and on `factors`, (rows, factors), over the `size` rows that end with each row.

    Rows that lack a number are left out, and fewer than `at_least` make no fit; nor do factors of which one
    follows from the others. Source: Greene, Econometric Analysis, least squares.
    """
    known = np.isfinite(y) & np.isfinite(factors).all(axis=1)
    columns = np.where(known, np.vstack([np.ones(len(y)), factors.T]), 0.0)
    design = np.ascontiguousarray(_windows(columns, size).transpose(1, 0, 2))
    seen = _windows(np.where(known, y, 0.0), size)
    counts, width = design[:, 0].sum(axis=1), len(columns)
    moments = design @ design.transpose(0, 2, 1)
    usable = (counts >= max(at_least, width + 1)) & _independent(moments)
    inverse = np.linalg.inv(np.where(usable[:, None, None], moments, np.eye(width)))
    coefficients = (inverse @ (design @ seen[:, :, None]))[:, :, 0]
    left = seen - np.einsum("rk,rks->rs", coefficients, design)
    unexplained = (left**2).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        noise = np.where(usable, np.sqrt(unexplained / (counts - width)), np.nan)
        whole = (seen**2).sum(axis=1) - seen.sum(axis=1) ** 2 / counts
        r2 = np.where(usable & (whole > 0), 1 - unexplained / whole, np.nan)
    return Fits(
        coefficients=np.where(usable[:, None], coefficients, np.nan),
        errors=noise[:, None] * np.sqrt(np.diagonal(inverse, axis1=1, axis2=2)),
        noise=noise,
        r2=r2,
        inverse=inverse,
        design=design,
    )


def _windows(columns: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """View the `size` elements that end with each one of the last axis, zero before the first."""
    before = np.zeros((*columns.shape[:-1], size - 1))
    return sliding_window_view(np.concatenate([before, columns], axis=-1), size, axis=-1)


def _independent(moments: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell where no column of X follows from the others, whatever their scales."""
    scales = np.sqrt(np.diagonal(moments, axis1=1, axis2=2))
    scales = np.where(scales > 0, scales, 1.0)
    scaled = moments / (scales[:, :, None] * scales[:, None, :])
    apart: NDArray[np.bool_] = np.linalg.eigvalsh(scaled)[:, 0] > DEGENERATE
    return apart
