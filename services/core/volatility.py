"""Volatility of a series of daily log returns: exponentially weighted, and over 252 sessions."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from services.core.statistics import LOOKBACK_SESSIONS, MIN_COVERAGE

DECAY = 0.94  # per session; Source: J.P. Morgan/Reuters, RiskMetrics Technical Document, 1996
SEED_RETURNS = 20
MIN_RETURNS = 60


def ewma_volatility(daily: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the exponentially weighted volatility of each row, which includes the row's own return.

    The recursion v² ← 0.94 v² + 0.06 d² starts from the mean square of the first 20 returns, and has a result from the
    60th on (NaN before). A row without a return keeps the volatility of the row before. The result depends on where
    `daily` starts for about 60 rows, so pass all sessions since the listing.
    """
    known = np.flatnonzero(np.isfinite(daily))
    volatility = np.full(len(daily), np.nan)
    if len(known) < MIN_RETURNS:
        return volatility
    squares = daily[known] ** 2
    variance = float(squares[:SEED_RETURNS].mean())
    variances = np.empty(len(known))
    for index, square in enumerate(squares.tolist()):
        if index >= SEED_RETURNS:
            variance = DECAY * variance + (1 - DECAY) * square
        variances[index] = variance
    first = known[MIN_RETURNS - 1]
    newest = np.searchsorted(known, np.arange(first, len(daily)), side="right") - 1
    volatility[first:] = np.sqrt(variances[newest])
    return volatility


def rms_volatility(daily: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the root mean square of the 252 returns that end with each row; NaN with fewer than 189 known."""
    padded = np.concatenate([np.full(LOOKBACK_SESSIONS - 1, np.nan), daily])
    windows = sliding_window_view(padded, LOOKBACK_SESSIONS)
    known = np.isfinite(windows)
    counts = known.sum(axis=1)
    squares = np.where(known, windows, 0.0) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = squares.sum(axis=1) / counts
    return np.where(counts >= MIN_COVERAGE * LOOKBACK_SESSIONS, np.sqrt(mean), np.nan)


def moves_in_sigma(
    logs: NDArray[np.float64], start: NDArray[np.intp], volatility: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return each row's log move since the row `start`, over the volatility known there times √(sessions between).

    `logs` is the log of the ETF's price over bitcoin's; `start` is -1 where there is no row to start from (NaN).
    Source: Lo and MacKinlay 1988 (the square-root rule).
    """
    sessions = np.arange(len(logs)) - start
    scale = np.where(volatility[start] > 0, volatility[start], np.nan) * np.sqrt(sessions)
    return np.where(start >= 0, (logs - logs[start]) / scale, np.nan)
