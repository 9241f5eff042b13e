"""In hours and out of hours: when bitcoin made its move, while New York trades or while it is shut."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from services.domain.align import STALE_AFTER
from services.domain.prices import Bars
from services.domain.unusual import COVERAGE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from services.domain.align import Aligned
    from services.domain.prices import Closes
    from services.domain.sessions import Sessions

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """Bitcoin's returns inside the sessions and between them, each compounded; fractions.

    An opening has the price of the last bar, `interval` long, that ended by then. `unsplit` sessions have none, and
    count in neither.
    """

    inside: float
    outside: float
    interval: timedelta
    unsplit: int


def split_hours(aligned: Aligned, prices: Bars | Closes, sessions: Sessions, start: int) -> Hours | None:
    """Split bitcoin's way from the close of row `start` to the last row's.

    None for closes alone, for daily bars, and where more than a quarter of the sessions cannot be split.
    """
    if not isinstance(prices, Bars) or prices.interval >= DAY:
        return None
    days = aligned.sessions[start + 1 :]
    opened = _at(prices, sessions.opens_at[np.searchsorted(sessions.days, days)])
    before, after = aligned.crypto[start:-1], aligned.crypto[start + 1 :]
    split = np.isfinite(opened) & np.isfinite(before) & np.isfinite(after)
    if split.sum() < COVERAGE * len(days):
        return None
    return Hours(
        inside=float(np.prod(after[split] / opened[split]) - 1),
        outside=float(np.prod(opened[split] / before[split]) - 1),
        interval=prices.interval,
        unsplit=int((~split).sum()),
    )


def _at(bars: Bars, instants: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """Read the last bar that ended by each instant, NaN where that is over 2 h before."""
    ended_at = np.append(np.datetime64("0001-01-01", "s"), bars.ended_at)
    index = np.searchsorted(ended_at, instants, side="right") - 1
    fresh = instants - ended_at[index] <= np.timedelta64(STALE_AFTER)
    return np.where(fresh, np.append(np.nan, bars.closes)[index], np.nan)
