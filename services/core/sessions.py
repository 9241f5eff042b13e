"""The New York session calendar, with half-days, holidays and both clock changes."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from services.core import session_table
from services.core.prices import to_datetime, to_datetime64

NEW_YORK = ZoneInfo("America/New_York")
OPENS_AT = time(9, 30)  # in New York
FULL_SESSION = timedelta(hours=6, minutes=30)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
Columns: TypeAlias = tuple[NDArray[np.datetime64], NDArray[np.datetime64], NDArray[np.datetime64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketState:
    """The session calendar at one instant; all times are in UTC.

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

    They come from the shipped table of sessions, or from exchange_calendars if a date is outside it. The library takes
    0.4 s and 60 MB to import, and a test compares the table with it.

    Attributes:
        days: datetime64[D].
        opens_at: datetime64[s] UTC, one per session.
        closes_at: datetime64[s] UTC, one per session.
    """

    days: NDArray[np.datetime64]
    opens_at: NDArray[np.datetime64]
    closes_at: NDArray[np.datetime64]

    def __init__(self, first: date, last: date) -> None:
        is_in_table = first.year >= session_table.FIRST_YEAR and last.year <= session_table.LAST_YEAR
        self.first, self.last = first, last
        self.days, self.opens_at, self.closes_at = (_read_table if is_in_table else read_library)(first, last)

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


def _read_table(first: date, last: date) -> Columns:
    """Return the sessions of the shipped table."""
    exceptions = _exceptions()
    days = np.arange(np.datetime64(first, "D"), np.datetime64(last + DAY, "D"))
    closed = [day for day, hours in exceptions.items() if hours is None]
    days = days[np.is_busday(days, holidays=closed)]
    opens_at = [int(datetime.combine(day, OPENS_AT, NEW_YORK).timestamp()) for day in days.tolist()]
    lengths = [(exceptions.get(day) or FULL_SESSION) // SECOND for day in days.tolist()]
    opened = np.array(opens_at, dtype=np.int64)
    return days, opened.astype("datetime64[s]"), (opened + lengths).astype("datetime64[s]")


@lru_cache(maxsize=1)
def _exceptions() -> dict[date, timedelta | None]:
    """Return the weekdays of the table with the length of their sessions; None if there is no session."""
    return {
        date(int(year), int(entry[:2]), int(entry[2:4])): _length(entry[5:])
        for year, *entries in map(str.split, session_table.EXCEPTIONS.strip().splitlines())
        for entry in entries
    }


def _length(close: str) -> timedelta | None:
    """Return the time from the opening to a close such as 1300; None if there is none."""
    if not close:
        return None
    opening = timedelta(hours=OPENS_AT.hour, minutes=OPENS_AT.minute)
    return timedelta(hours=int(close[:2]), minutes=int(close[2:])) - opening


def read_library(first: date, last: date) -> Columns:
    """Return the sessions of exchange_calendars; its default bounds are fixed at import, so they are always passed."""
    import exchange_calendars  # noqa: PLC0415 -- imports pandas, which the table of sessions does not need

    schedule = exchange_calendars.get_calendar("XNYS", start=first, end=last).schedule
    days = schedule.index.to_numpy().astype("datetime64[D]")
    return days, _utc_seconds(schedule["open"]), _utc_seconds(schedule["close"])


def _utc_seconds(column: object) -> NDArray[np.datetime64]:
    return column.dt.tz_convert(None).to_numpy().astype("datetime64[s]")  # type: ignore[attr-defined,no-any-return]
