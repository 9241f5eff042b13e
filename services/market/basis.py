"""Basis of a statistic: which sessions or days it counts, from which source, and whether older ones are loading."""

from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from services.core.prices import Bars
from services.market.align import DAY, Aligned
from services.market.consensus.closes import merge_bars


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What a statistic is based on.

    Attributes:
        first, last: First and last session, or UTC day.
        sessions: Number of sessions with prices; UTC days of daily closes if `daily`.
        source: Sources of the last prices.
        loading: Older prices are still being loaded.
        daily: Counts daily UTC closes instead of session closes.
    """

    first: date
    last: date
    sessions: int
    source: str
    loading: bool = False
    daily: bool = False


def pair_basis(aligned: Aligned, *, loading: bool = False) -> Basis | None:
    """Return the basis of a statistic on both legs: the sessions with both prices; None if there are none."""
    days = aligned.sessions[aligned.complete]
    if not len(days):
        return None
    return Basis(
        first=days[0].item(),
        last=days[-1].item(),
        sessions=len(days),
        source=f"{aligned.etf_source}; {aligned.crypto_source}",
        loading=loading,
    )


def daily_closes(bars: Bars, older: Bars | None, last: date) -> Bars | None:
    """Return a coin's closes at the end of each UTC day up to `last`, one bar a day; None if there are none.

    Hourly bars that end at midnight are daily closes. `older` are daily bars for the days without one.
    """
    midnight = (bars.ended_at.astype("datetime64[D]") == bars.ended_at) | (bars.interval >= DAY)
    ends = bars.ended_at[midnight]
    days = (ends - np.timedelta64(1, "s")).astype("datetime64[D]").astype("datetime64[s]")
    daily = replace(bars, interval=DAY, opened_at=days, closes=bars.closes[midnight])
    if older is not None:
        daily = merge_bars(older, daily)
    known = daily.opened_at.astype("datetime64[D]") <= np.datetime64(last, "D")
    return replace(daily, opened_at=daily.opened_at[known], closes=daily.closes[known]) if known.any() else None
