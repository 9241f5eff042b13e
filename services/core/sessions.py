"""The New York session calendar: when the ETF trades, half-days, holidays and both clock changes included."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache

import exchange_calendars
import numpy as np
from numpy.typing import NDArray

from services.core.prices import instant, moment

FULL_SESSION = timedelta(hours=6, minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketState:
    """Where `at` stands in the session calendar; all times are aware UTC.

    `session` is the session that is open, or the last one that closed, with its `opens_at` and `closes_at`.
    `next_open_at` is the next opening after `at`.
    """

    is_open: bool
    session: date
    opens_at: datetime
    closes_at: datetime
    half_day: bool
    next_open_at: datetime


class Sessions:
    """XNYS sessions between two explicit dates.

    `days` is datetime64[D]; `opens_at` and `closes_at` are datetime64[s] UTC, one for each session.
    Source: exchange_calendars, whose own bounds are fixed at import and must not be relied on.
    """

    def __init__(self, first: date, last: date) -> None:
        schedule = exchange_calendars.get_calendar("XNYS", start=first, end=last).schedule
        self.first, self.last = first, last
        self.days: NDArray[np.datetime64] = schedule.index.to_numpy().astype("datetime64[D]")
        self.opens_at: NDArray[np.datetime64] = _utc_seconds(schedule["open"])
        self.closes_at: NDArray[np.datetime64] = _utc_seconds(schedule["close"])

    def position(self, session: np.datetime64) -> int | None:
        """Find the index of a session; None where that date is no session."""
        index = int(np.searchsorted(self.days, session))
        return index if index < len(self.days) and self.days[index] == session else None

    def last_closed(self, at: datetime) -> int:
        """Find the index of the last session whose close is at or before `at`; -1 where there is none."""
        return int(np.searchsorted(self.closes_at, instant(at), side="right")) - 1

    def is_half_day(self, index: int) -> bool:
        """Tell whether the session closes early."""
        return moment(self.closes_at[index]) - moment(self.opens_at[index]) < FULL_SESSION

    def state(self, at: datetime) -> MarketState:
        """Tell whether the market is open at `at`, which session counts, and when the next one opens."""
        opened = int(np.searchsorted(self.opens_at, instant(at), side="right")) - 1
        return MarketState(
            is_open=opened > self.last_closed(at),
            session=self.days[opened].astype(date),
            opens_at=moment(self.opens_at[opened]),
            closes_at=moment(self.closes_at[opened]),
            half_day=self.is_half_day(opened),
            next_open_at=moment(self.opens_at[opened + 1]),
        )


@lru_cache(maxsize=8)
def sessions_between(first: date, last: date) -> Sessions:
    """Build the sessions from `first` to `last`; the same bounds are built once."""
    return Sessions(first, last)


def sessions_around(day: date, *, since: date) -> Sessions:
    """Build the sessions from the year of `since` to the end of the year after `day`.

    The bounds follow the day, so a process that runs for years never comes to their end; within a year they are the
    same, and nothing is built twice.
    """
    return sessions_between(date(since.year, 1, 1), date(day.year + 1, 12, 31))


def _utc_seconds(column: object) -> NDArray[np.datetime64]:
    return column.dt.tz_convert(None).to_numpy().astype("datetime64[s]")  # type: ignore[attr-defined,no-any-return]
