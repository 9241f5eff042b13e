"""The New York session calendar, with half-days, holidays and both clock changes."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache

import exchange_calendars
import numpy as np
from numpy.typing import NDArray

from services.core.prices import to_datetime, to_datetime64

FULL_SESSION = timedelta(hours=6, minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketState:
    """The session calendar at one instant; all times are aware UTC.

    Attributes:
        session: The open session, or else the last one that closed.
        opens_at: Open of `session`.
        closes_at: Close of `session`.
        next_open_at: The first open after this instant.
    """

    is_open: bool
    session: date
    opens_at: datetime
    closes_at: datetime
    half_day: bool
    next_open_at: datetime


class Sessions:
    """XNYS sessions between two explicit dates.

    Source: exchange_calendars; its default bounds are fixed at import, so they are always passed.

    Attributes:
        days: datetime64[D].
        opens_at: datetime64[s] UTC, one per session.
        closes_at: datetime64[s] UTC, one per session.
    """

    def __init__(self, first: date, last: date) -> None:
        schedule = exchange_calendars.get_calendar("XNYS", start=first, end=last).schedule
        self.first, self.last = first, last
        self.days: NDArray[np.datetime64] = schedule.index.to_numpy().astype("datetime64[D]")
        self.opens_at: NDArray[np.datetime64] = _utc_seconds(schedule["open"])
        self.closes_at: NDArray[np.datetime64] = _utc_seconds(schedule["close"])

    def index_of(self, session: np.datetime64) -> int | None:
        """Return the index of a session; None if that date has no session."""
        index = int(np.searchsorted(self.days, session))
        return index if index < len(self.days) and self.days[index] == session else None

    def last_closed(self, at: datetime) -> int:
        """Return the index of the last session that closed at or before `at`; -1 if there is none."""
        return int(np.searchsorted(self.closes_at, to_datetime64(at), side="right")) - 1

    def is_half_day(self, index: int) -> bool:
        """Return whether the session closes early."""
        return to_datetime(self.closes_at[index]) - to_datetime(self.opens_at[index]) < FULL_SESSION

    def state_at(self, at: datetime) -> MarketState:
        """Return whether the market is open at `at`, the current or last session, and the next open."""
        index = int(np.searchsorted(self.opens_at, to_datetime64(at), side="right")) - 1
        return MarketState(
            is_open=index > self.last_closed(at),
            session=self.days[index].astype(date),
            opens_at=to_datetime(self.opens_at[index]),
            closes_at=to_datetime(self.closes_at[index]),
            half_day=self.is_half_day(index),
            next_open_at=to_datetime(self.opens_at[index + 1]),
        )


@lru_cache(maxsize=8)
def sessions_between(first: date, last: date) -> Sessions:
    """Return the sessions from `first` to `last`; the last 8 ranges are cached."""
    return Sessions(first, last)


def sessions_around(day: date, *, since: date) -> Sessions:
    """Return the sessions from the year of `since` to the end of the year after `day`.

    The bounds move with the day, so a process that runs for years never reaches their end. They stay the same within a
    year, so that the cache is hit.
    """
    return sessions_between(date(since.year, 1, 1), date(day.year + 1, 12, 31))


def _utc_seconds(column: object) -> NDArray[np.datetime64]:
    return column.dt.tz_convert(None).to_numpy().astype("datetime64[s]")  # type: ignore[attr-defined,no-any-return]
