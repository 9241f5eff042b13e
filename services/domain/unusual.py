"""How unusual a value is: by the median and MAD of what came before it, and by its rank among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

if TYPE_CHECKING:
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
