"""Opening prices: a share's return inside each session, and a coin's price at an instant between bars."""

from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from services.core.prices import Bars, Closes
from services.market.align import DAY, MAX_BAR_AGE

# An opening that is this far off the closes before and after it, on one side, counts as a misprint. In 506 sessions of
# WGMI the furthest true opening (2024-08-05) is 16% off both.
MISPRINT = 0.25


def in_session_returns(
    prices: Bars | Closes, days: NDArray[np.datetime64], opens_at: NDArray[np.datetime64], closes: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return each session's open-to-close return; NaN if it or the close before is unknown, or if it is a misprint.

    `closes` are the prices at the close before the first of `days`, and at the close of each.
    """
    before, after = closes[:-1], closes[1:]
    if not isinstance(prices, Bars):
        in_session = np.full(len(days), np.nan)
        known = np.isin(prices.sessions, days)
        in_session[np.searchsorted(days, prices.sessions[known])] = prices.known_open_to_close[known]
    elif prices.interval < DAY:
        in_session = after / prices_at(prices, opens_at) - 1
    else:
        in_session = np.full(len(days), np.nan)
    out_of_session = after / before / (1 + in_session) - 1
    misprinted = (in_session * out_of_session < 0) & (np.minimum(np.abs(in_session), np.abs(out_of_session)) > MISPRINT)
    return np.where(np.isfinite(out_of_session) & ~misprinted, in_session, np.nan)


def prices_at(bars: Bars, instants: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """Return the close of the last bar that ended by each instant; NaN if that was more than 2 h earlier."""
    ended_at, index = _last_ended(bars, instants)
    fresh = instants - ended_at[index] <= np.timedelta64(MAX_BAR_AGE)
    return np.where(fresh, np.append(np.nan, bars.closes)[index], np.nan)


def open_price_age(prices: Bars | Closes, opens_at: NDArray[np.datetime64], split: NDArray[np.bool_]) -> timedelta:
    """Return the most frequent time from the end of a bar to the opening that it prices."""
    if not isinstance(prices, Bars):
        return timedelta(0)
    ended_at, index = _last_ended(prices, opens_at[split])
    times, counts = np.unique(opens_at[split] - ended_at[index], return_counts=True)
    age: timedelta = times[np.argmax(counts)].item()
    return age


def _last_ended(bars: Bars, instants: NDArray[np.datetime64]) -> tuple[NDArray[np.datetime64], NDArray[np.intp]]:
    ended_at = np.append(np.datetime64("0001-01-01", "s"), bars.ended_at)
    return ended_at, np.searchsorted(ended_at, instants, side="right") - 1
