"""In hours and out of hours: when each leg made its move, while New York traded or while it was shut."""

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
THERE_AND_BACK = 0.25
"""An opening this far off both the close before and the close after it, on one side, is taken for a misprint.

On 506 sessions of WGMI the furthest true one, of 2024-08-05, is 16% off both.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A leg's returns inside the sessions and between them, each compounded; fractions."""

    inside: float
    outside: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """When each leg moved, over the same sessions; of `unsplit` ones an opening is not known, and they count nowhere.

    `etf` is None where too few of its openings are known. `early` is how long before an opening the prices of bars end
    that stand for it.
    """

    etf: Way | None
    crypto: Way
    unsplit: int
    early: timedelta


def split_hours(
    aligned: Aligned, etf: Bars | Closes, crypto: Bars | Closes, sessions: Sessions, start: int
) -> Hours | None:
    """Split both legs' ways from the close of row `start` to the last row's.

    `etf` and `crypto` are the prices that the legs were aligned from: closes with what each session did from its
    opening on, or bars, of which the last one that ended by an opening stands for it. None where more than a quarter of
    the sessions cannot be split for the second leg, as of daily bars; where that is so for the first, it is left out.
    """
    days = aligned.sessions[start + 1 :]
    opens_at = sessions.opens_at[np.searchsorted(sessions.days, days)]
    ours = _inside(etf, days, opens_at, aligned.etf[start:])
    theirs = _inside(crypto, days, opens_at, aligned.crypto[start:])
    both = np.isfinite(ours) & np.isfinite(theirs)
    opened = bool(both.sum() >= COVERAGE * len(days))
    split = both if opened else np.isfinite(theirs)
    if split.sum() < COVERAGE * len(days):
        return None
    return Hours(
        etf=_way(aligned.etf[start:], ours, split) if opened else None,
        crypto=_way(aligned.crypto[start:], theirs, split),
        unsplit=int((~split).sum()),
        early=max(_early(etf, opens_at, split), _early(crypto, opens_at, split)),
    )


def _way(closes: NDArray[np.float64], inside: NDArray[np.float64], split: NDArray[np.bool_]) -> Way:
    """Compound the sessions' own returns, and what is left of each close-to-close return."""
    whole = closes[1:][split] / closes[:-1][split]
    opened = 1 + inside[split]
    return Way(inside=float(np.prod(opened) - 1), outside=float(np.prod(whole / opened) - 1))


def _inside(
    prices: Bars | Closes, days: NDArray[np.datetime64], opens_at: NDArray[np.datetime64], closes: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Give each session's return from its opening to its close, NaN where it or the close before is not known."""
    before, after = closes[:-1], closes[1:]
    if not isinstance(prices, Bars):
        inside = np.full(len(days), np.nan)
        known = np.isin(prices.sessions, days)
        inside[np.searchsorted(days, prices.sessions[known])] = prices.known_inside[known]
    elif prices.interval < DAY:
        inside = after / _at(prices, opens_at) - 1
    else:
        inside = np.full(len(days), np.nan)
    outside = after / before / (1 + inside) - 1
    misprinted = (inside * outside < 0) & (np.minimum(np.abs(inside), np.abs(outside)) > THERE_AND_BACK)
    return np.where(np.isfinite(outside) & ~misprinted, inside, np.nan)


def _at(bars: Bars, instants: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """Read the last bar that ended by each instant, NaN where that is over 2 h before."""
    ended_at, index = _last_ended(bars, instants)
    fresh = instants - ended_at[index] <= np.timedelta64(STALE_AFTER)
    return np.where(fresh, np.append(np.nan, bars.closes)[index], np.nan)


def _early(prices: Bars | Closes, opens_at: NDArray[np.datetime64], split: NDArray[np.bool_]) -> timedelta:
    """Give the commonest time from the end of a bar to the opening that it stands for."""
    if not isinstance(prices, Bars):
        return timedelta(0)
    ended_at, index = _last_ended(prices, opens_at[split])
    times, counts = np.unique(opens_at[split] - ended_at[index], return_counts=True)
    early: timedelta = times[np.argmax(counts)].item()
    return early


def _last_ended(bars: Bars, instants: NDArray[np.datetime64]) -> tuple[NDArray[np.datetime64], NDArray[np.intp]]:
    ended_at = np.append(np.datetime64("0001-01-01", "s"), bars.ended_at)
    return ended_at, np.searchsorted(ended_at, instants, side="right") - 1
