"""Summarize a leg's drawdown from its high: depth, duration and rank in its history."""

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from services.core.prices import Symbol
from services.market.align import Aligned, PriorHigh
from services.market.measure import Drawdown, drawdown, drawdown_series


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawdownSummary:
    """Drawdown of one leg at a session's close.

    Attributes:
        current: Drawdown at the last row.
        max_depth: Deepest drawdown so far, as a fraction, on `max_depth_on`.
        first_session: First session with a price.
        sessions_since_high: Sessions after the high, at most those since `first_session`.
        percentile: Share of the sessions since `first_session` that were less deep, 0 to 100; ties count half.
    """

    symbol: Symbol
    current: Drawdown
    max_depth: float
    max_depth_on: date
    first_session: date
    sessions_since_high: int
    percentile: float


def summarize_drawdown(
    aligned: Aligned, symbol: Symbol, prices: NDArray[np.float64], prior_high: PriorHigh | None = None
) -> DrawdownSummary | None:
    """Summarize the drawdown of one leg of `aligned` at its last row; return None if that row has no price."""
    current = drawdown(aligned, prices, prior_high)
    if current is None:
        return None
    depths = drawdown_series(prices, prior_high)
    known = depths[np.isfinite(depths)]
    deepest = int(np.nanargmax(depths))
    less_deep, equal = (known < depths[-1]).sum(), (known == depths[-1]).sum()
    return DrawdownSummary(
        symbol=symbol,
        current=current,
        max_depth=float(depths[deepest]),
        max_depth_on=aligned.sessions[deepest].astype(object),
        first_session=aligned.sessions[int(np.argmax(np.isfinite(depths)))].astype(object),
        sessions_since_high=int((aligned.sessions > np.datetime64(current.high_on)).sum()),
        percentile=float(100 * (less_deep + 0.5 * equal) / len(known)),
    )
