from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from services.alerting.brief import alerts_since, brief_windows, due_briefs, special_days
from services.alerting.channel_settings import Occasion
from services.alerting.notice import Brief, DayKind, SpecialDay
from services.core.prices import WGMI_BTC
from services.core.trust import TRUSTED
from services.market.measure import Measurement, Window
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
def test_each_brief_is_due_at_its_time(now: datetime, names: list[str]) -> None:
    assert names == [one.name for one in due_briefs(CALENDAR, now)]


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
def test_a_brief_lists_alerts_since_its_starting_close(occasion: Occasion, now: datetime, since: datetime) -> None:
    assert since == alerts_since(occasion, CALENDAR, now)


def test_special_days_are_the_holidays_and_half_days_ahead() -> None:
    shut = SpecialDay(day=date(2026, 11, 26), kind=DayKind.SHUT)
    half = SpecialDay(day=date(2026, 11, 27), kind=DayKind.HALF, closes_at=FRIDAY_CLOSE)

    assert (shut, half) == special_days(CALENDAR, Occasion.CLOSE, WEDNESDAY_CLOSE)
    assert (half,) == special_days(CALENDAR, Occasion.NOW, FRIDAY_OPEN)
    assert (shut, half) == special_days(CALENDAR, Occasion.WEEKLY, datetime(2026, 11, 20, 21, 0, tzinfo=UTC))
    assert () == special_days(CALENDAR, Occasion.CLOSE, datetime(2026, 11, 20, 21, 0, tzinfo=UTC))


def test_special_days_include_today_until_its_close_and_no_past_day() -> None:
    shut = SpecialDay(day=date(2026, 11, 26), kind=DayKind.SHUT)
    half = SpecialDay(day=date(2026, 11, 27), kind=DayKind.HALF, closes_at=FRIDAY_CLOSE)
    holiday_evening = datetime(2026, 11, 27, 2, 0, tzinfo=UTC)  # 21:00 in New York, on the day before

    assert (half,) == special_days(CALENDAR, Occasion.OPEN, FRIDAY_OPEN - 30 * MINUTE)
    assert (shut, half) == special_days(CALENDAR, Occasion.NOW, holiday_evening)
    assert () == special_days(CALENDAR, Occasion.CLOSE, FRIDAY_CLOSE + MINUTE)


@pytest.mark.parametrize(
    ("occasion", "first", "last"),
    [
        pytest.param(Occasion.OPEN, Window.D1, Window.D5, id="before the open"),
        pytest.param(Occasion.CLOSE, Window.D1, Window.YTD, id="at the close"),
        pytest.param(Occasion.NOW, Window.D1, Window.YTD, id="at any time"),
        pytest.param(Occasion.WEEKLY, Window.D5, Window.YTD, id="of the week"),
    ],
)
def test_each_kind_of_brief_has_its_windows(occasion: Occasion, first: Window, last: Window) -> None:
    chosen = brief_windows(occasion)
    assert (first, last) == (chosen[0], chosen[-1])


def brief_of(*measurements: Measurement) -> Brief:
    return Brief(
        occasion=Occasion.NOW,
        at=FRIDAY_CLOSE,
        session=date(2026, 11, 27),
        since=WEDNESDAY_CLOSE,
        pair=WGMI_BTC,
        measurements=measurements,
        gap=None,
        etf=None,
        crypto=None,
        trust=TRUSTED,
        alerts=(),
        retarget=None,
        network="",
        special_days=(),
    )


@pytest.mark.parametrize(
    ("percentile", "sigma", "others", "unusual"),
    [
        (None, None, 0, False),
        (94.9, None, 0, False),
        (95.0, None, 0, True),
        (5.0, None, 0, True),
        (5.1, None, 0, False),
        (None, 1.64, 0, False),
        (None, -1.65, 0, True),
        (98.6, None, 3, False),
        (98.8, None, 3, True),
        (None, 2.23, 3, False),
        (None, 2.25, 3, True),
    ],
)
def test_a_spread_is_unusual_outside_nine_tenths_of_the_year_before_divided_by_the_spreads_looked_at(
    percentile: float | None, sigma: float | None, others: int, unusual: bool
) -> None:
    window = Window.D1 if sigma is None else Window.D252
    usual = a_measurement(window=Window.D5, percentile=50.0)
    brief = brief_of(replace(a_measurement(window=window, percentile=percentile), sigma=sigma), *[usual] * others)

    assert unusual is bool(brief.unusual)
    assert others + (percentile is not None or sigma is not None) == brief.readings
