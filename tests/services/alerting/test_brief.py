from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from services.alerting.brief import Brief, DayAhead, DayKind, Occasion, days_ahead, due, told_since, windows
from services.core.prices import WGMI_BTC
from services.core.trust import FULL
from services.market.measure import Window
from tests.fakes.alerts import a_measurement
from tests.fakes.market import CALENDAR

MINUTE = timedelta(minutes=1)
# Thanksgiving is Thursday 26 November 2026; the Friday after it closes at 13:00.
WEDNESDAY_CLOSE = datetime(2026, 11, 25, 21, 0, tzinfo=UTC)
FRIDAY_OPEN = datetime(2026, 11, 27, 14, 30, tzinfo=UTC)
FRIDAY_CLOSE = datetime(2026, 11, 27, 18, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "names"),
    [
        pytest.param(WEDNESDAY_CLOSE, ["brief:close:2026-11-25"], id="at the close"),
        pytest.param(FRIDAY_OPEN - 31 * MINUTE, ["brief:close:2026-11-25"], id="over a holiday"),
        pytest.param(FRIDAY_OPEN - 30 * MINUTE, ["brief:open:2026-11-27"], id="half an hour before the open"),
        pytest.param(FRIDAY_OPEN + 29 * MINUTE, ["brief:open:2026-11-27"], id="late"),
        pytest.param(FRIDAY_OPEN + 30 * MINUTE, [], id="too late"),
        pytest.param(FRIDAY_CLOSE, ["brief:close:2026-11-27", "brief:weekly:2026-11-27"], id="at the end of the week"),
        pytest.param(
            datetime(2026, 12, 31, 21, 0, tzinfo=UTC),
            ["brief:close:2026-12-31", "brief:weekly:2026-12-31"],
            id="at the end of the year, before a holiday",
        ),
    ],
)
def test_each_brief_is_due_in_its_time(now: datetime, names: list[str]) -> None:
    assert names == [one.name for one in due(CALENDAR, now)]


@pytest.mark.parametrize(
    ("occasion", "now", "since"),
    [
        pytest.param(Occasion.OPEN, FRIDAY_OPEN - 30 * MINUTE, WEDNESDAY_CLOSE, id="before the open"),
        pytest.param(Occasion.OPEN, FRIDAY_OPEN + MINUTE, WEDNESDAY_CLOSE, id="after it"),
        pytest.param(Occasion.NOW, FRIDAY_OPEN + MINUTE, WEDNESDAY_CLOSE, id="in the session"),
        pytest.param(Occasion.CLOSE, FRIDAY_CLOSE, WEDNESDAY_CLOSE, id="at the close"),
        pytest.param(Occasion.WEEKLY, FRIDAY_CLOSE, datetime(2026, 11, 20, 21, 0, tzinfo=UTC), id="of the week"),
    ],
)
def test_alerts_are_told_since_the_close_that_a_brief_begins_at(
    occasion: Occasion, now: datetime, since: datetime
) -> None:
    assert since == told_since(occasion, CALENDAR, now)


def test_holidays_and_half_days_ahead_are_named() -> None:
    shut = DayAhead(day=date(2026, 11, 26), kind=DayKind.SHUT)
    half = DayAhead(day=date(2026, 11, 27), kind=DayKind.HALF, closes_at=FRIDAY_CLOSE)

    assert (shut, half) == days_ahead(CALENDAR, Occasion.CLOSE, WEDNESDAY_CLOSE)
    assert (half,) == days_ahead(CALENDAR, Occasion.NOW, FRIDAY_OPEN)
    assert (shut, half) == days_ahead(CALENDAR, Occasion.WEEKLY, datetime(2026, 11, 20, 21, 0, tzinfo=UTC))
    assert () == days_ahead(CALENDAR, Occasion.CLOSE, datetime(2026, 11, 20, 21, 0, tzinfo=UTC))


def test_a_day_that_has_passed_is_not_ahead_and_today_is_until_its_close() -> None:
    shut = DayAhead(day=date(2026, 11, 26), kind=DayKind.SHUT)
    half = DayAhead(day=date(2026, 11, 27), kind=DayKind.HALF, closes_at=FRIDAY_CLOSE)
    holiday_evening = datetime(2026, 11, 27, 2, 0, tzinfo=UTC)  # 21:00 in New York, on the day before

    assert (half,) == days_ahead(CALENDAR, Occasion.OPEN, FRIDAY_OPEN - 30 * MINUTE)
    assert (shut, half) == days_ahead(CALENDAR, Occasion.NOW, holiday_evening)
    assert () == days_ahead(CALENDAR, Occasion.CLOSE, FRIDAY_CLOSE + MINUTE)


@pytest.mark.parametrize(
    ("occasion", "first", "last"),
    [
        pytest.param(Occasion.OPEN, Window.D1, Window.D5, id="before the open"),
        pytest.param(Occasion.CLOSE, Window.D1, Window.YTD, id="at the close"),
        pytest.param(Occasion.NOW, Window.D1, Window.YTD, id="at any time"),
        pytest.param(Occasion.WEEKLY, Window.D5, Window.YTD, id="of the week"),
    ],
)
def test_each_brief_looks_back_as_far_as_it_is_for(occasion: Occasion, first: Window, last: Window) -> None:
    chosen = windows(occasion)
    assert (first, last) == (chosen[0], chosen[-1])


@pytest.mark.parametrize(
    ("percentile", "unusual"),
    [(None, False), (94.9, False), (95.0, True), (5.0, True), (5.1, False)],
)
def test_a_spread_is_unusual_beyond_nine_tenths_of_the_year_before(percentile: float | None, unusual: bool) -> None:
    told = Brief(
        occasion=Occasion.NOW,
        at=FRIDAY_CLOSE,
        session=date(2026, 11, 27),
        since=WEDNESDAY_CLOSE,
        pair=WGMI_BTC,
        measured=(a_measurement(percentile=percentile),),
        gap=None,
        etf=None,
        crypto=None,
        trust=FULL,
        alerts=(),
        retarget=None,
        network="",
        ahead=(),
    )
    assert unusual is bool(told.unusual)
