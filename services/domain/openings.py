"""Openings: what each session did from its opening on, as the sources that stand behind its close tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from services.domain.quorum import CLOSES
from services.domain.unusual import medians

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from services.domain.prices import Closes
    from services.domain.quorum import Agreed


def since_opening(prices: NDArray[np.float64], openings: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give each session's return from its opening to its close, in the shares of one day.

    NaN where an opening is not a finite number above zero.
    """
    returns: NDArray[np.float64] = prices / np.where(np.isfinite(openings) & (openings > 0), openings, np.nan) - 1
    return returns


def agreed_inside(told: Sequence[Closes], agreed: Agreed) -> NDArray[np.float64]:
    """Give for each key of `agreed` the return from that session's opening to its close.

    It is the median of those sources that know the opening and whose close is believed; NaN where there is none, and
    where they are further apart than closes may be. All closes are in the shares of one day.
    """
    rows = np.full((len(agreed.keys), len(told)), np.nan)
    for column, closes in enumerate(told):
        at = np.searchsorted(agreed.keys, closes.sessions)
        stands = np.abs(closes.prices / agreed.prices[at] - 1) <= CLOSES.reject
        rows[at, column] = np.where(stands & (closes.known_volumes != 0), closes.known_inside, np.nan)
    found = medians(rows)
    told_apart = np.ptp(np.where(np.isfinite(rows), rows, found[:, np.newaxis]), axis=1)
    return np.where(told_apart <= CLOSES.reject, found, np.nan)
