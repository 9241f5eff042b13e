"""Under water: how far a leg is below its high, for how long, and how that compares with all it has been through."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from services.core.prices import Symbol
from services.market.align import Aligned, Past
from services.market.measure import Drawdown, drawdown, drawdown_series


@dataclass(frozen=True, slots=True, kw_only=True)
class Underwater:
    """One leg at a session's close: its drawdown now, and the deepest so far, a fraction, on `deepest_on`.

    `rank` is the share of the sessions since `first`, 0 to 100, that were not as deep, where ties count half;
    `sessions` counts those since its high, at most those since `first`.
    """

    symbol: Symbol
    now: Drawdown
    deepest: float
    deepest_on: date
    first: date
    sessions: int
    rank: float


def underwater(
    aligned: Aligned, symbol: Symbol, prices: NDArray[np.float64], past: Past | None = None
) -> Underwater | None:
    """Look at one leg of `aligned` up to its last row; None where that has no price."""
    now = drawdown(aligned, prices, past)
    if now is None:
        return None
    depths = drawdown_series(prices, past)
    known = depths[np.isfinite(depths)]
    deepest = int(np.nanargmax(depths))
    below, alike = (known < depths[-1]).sum(), (known == depths[-1]).sum()
    return Underwater(
        symbol=symbol,
        now=now,
        deepest=float(depths[deepest]),
        deepest_on=aligned.sessions[deepest].astype(object),
        first=aligned.sessions[int(np.argmax(np.isfinite(depths)))].astype(object),
        sessions=int((aligned.sessions > np.datetime64(now.high_on)).sum()),
        rank=float(100 * (below + 0.5 * alike) / len(known)),
    )
