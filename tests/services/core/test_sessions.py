from datetime import UTC, date, datetime

import numpy as np
import pandas_market_calendars
import pytest

from services.core import session_table
from services.core.sessions import Sessions, read_library, sessions_around, sessions_between
from tests import session_table as written
from tests.fakes.market import CALENDAR

FIRST, LAST = date(session_table.FIRST_YEAR, 1, 1), date(session_table.LAST_YEAR, 12, 31)


def columns(sessions: Sessions) -> list[list[str]]:
    """Return the days, openings and closes as texts with their unit."""
    return [np.datetime_as_string(one).tolist() for one in (sessions.days, sessions.opens_at, sessions.closes_at)]


def library(first: date, last: date) -> list[list[str]]:
    """Return the columns of exchange_calendars."""
    return [np.datetime_as_string(one).tolist() for one in read_library(first, last)]


def test_the_shipped_table_is_what_the_command_writes() -> None:
    assert written.module_text() == written.MODULE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("first", "last"),
    [
        pytest.param(FIRST, LAST, id="its whole span"),
        pytest.param(date(2001, 9, 10), date(2001, 9, 17), id="the four days of September 2001"),
        pytest.param(date(2012, 10, 26), date(2012, 10, 31), id="the two days of hurricane Sandy"),
        pytest.param(date(2026, 11, 26), date(2026, 11, 27), id="from Thanksgiving to the half-day after it"),
        pytest.param(date(2020, 2, 29), date(2020, 3, 9), id="from a Saturday on, over the clock change"),
        pytest.param(date(1989, 12, 28), date(1990, 1, 3), id="from before it"),
        pytest.param(date(2050, 12, 29), date(2051, 1, 4), id="to after it"),
        pytest.param(date(1970, 1, 1), date(1970, 12, 31), id="before it"),
        pytest.param(date(2051, 1, 1), date(2060, 12, 31), id="after it"),
    ],
)
def test_sessions_of_the_shipped_table_equal_those_of_the_library(first: date, last: date) -> None:
    assert library(first, last) == columns(Sessions(first, last))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # raised inside the reference library
def test_each_close_agrees_with_an_independent_calendar() -> None:
    first, last = date(2022, 2, 8), date(2026, 12, 31)
    reference = pandas_market_calendars.get_calendar("NYSE").schedule(first, last)
    sessions = sessions_between(first, last)

    assert reference.index.to_numpy().astype("datetime64[D]").tolist() == sessions.days.tolist()
    assert reference["market_close"].dt.tz_convert(None).to_numpy().astype("datetime64[s]").tolist() == (
        sessions.closes_at.tolist()
    )


@pytest.mark.parametrize(
    ("at", "is_open", "session", "closes_at", "half_day", "next_open_at"),
    [
        pytest.param(
            datetime(2026, 11, 25, 15, 0, tzinfo=UTC),
            True,
            date(2026, 11, 25),
            datetime(2026, 11, 25, 21, 0, tzinfo=UTC),
            False,
            datetime(2026, 11, 27, 14, 30, tzinfo=UTC),
            id="the day before Thanksgiving, open",
        ),
        pytest.param(
            datetime(2026, 11, 26, 15, 0, tzinfo=UTC),
            False,
            date(2026, 11, 25),
            datetime(2026, 11, 25, 21, 0, tzinfo=UTC),
            False,
            datetime(2026, 11, 27, 14, 30, tzinfo=UTC),
            id="Thanksgiving",
        ),
        pytest.param(
            datetime(2026, 11, 27, 17, 59, 59, tzinfo=UTC),
            True,
            date(2026, 11, 27),
            datetime(2026, 11, 27, 18, 0, tzinfo=UTC),
            True,
            datetime(2026, 11, 30, 14, 30, tzinfo=UTC),
            id="the half-day after it, a second before its close",
        ),
        pytest.param(
            datetime(2026, 11, 27, 18, 0, tzinfo=UTC),
            False,
            date(2026, 11, 27),
            datetime(2026, 11, 27, 18, 0, tzinfo=UTC),
            True,
            datetime(2026, 11, 30, 14, 30, tzinfo=UTC),
            id="the half-day at its close",
        ),
        pytest.param(
            datetime(2026, 3, 9, 13, 30, tzinfo=UTC),
            True,
            date(2026, 3, 9),
            datetime(2026, 3, 9, 20, 0, tzinfo=UTC),
            False,
            datetime(2026, 3, 10, 13, 30, tzinfo=UTC),
            id="the first session of summer time opens an hour earlier in UTC",
        ),
    ],
)
def test_the_market_state_has_the_session_and_the_next_open(
    at: datetime, is_open: bool, session: date, closes_at: datetime, half_day: bool, next_open_at: datetime
) -> None:
    state = CALENDAR.state_at(at)

    assert (is_open, session, closes_at, half_day, next_open_at) == (
        state.is_open,
        state.session,
        state.closes_at,
        state.half_day,
        state.next_open_at,
    )


def test_the_mourning_day_of_january_2025_has_no_session() -> None:
    assert CALENDAR.index_of(np.datetime64("2025-01-09")) is None
    assert CALENDAR.index_of(np.datetime64("2025-01-10")) is not None


def test_a_date_after_the_last_session_has_no_index() -> None:
    assert CALENDAR.index_of(np.datetime64("2031-01-02")) is None


def test_the_calendar_extends_a_year_ahead_and_is_built_once_a_year() -> None:
    new_years_eve, new_year = date(2026, 12, 31), date(2027, 1, 1)
    since = date(2024, 10, 22)

    assert date(2027, 12, 31) == sessions_around(new_years_eve, since=since).last
    assert date(2028, 12, 31) == sessions_around(new_year, since=since).last
    assert sessions_around(date(2026, 1, 2), since=since) is sessions_around(new_years_eve, since=since)
