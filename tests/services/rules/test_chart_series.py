from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from services.market.align import Aligned
from services.market.measure import Measurement, Window, measure
from services.rules.chart_series import KEPT, SESSIONS, AlertChart, alert_chart
from services.rules.history_lookup import HistoryLookup
from tests.fakes.market import aligned_market, random_market

MARKET = random_market(300)


def measured(closes: Aligned, window: Window) -> Measurement:
    found = measure(closes, window)
    assert isinstance(found, Measurement)
    return found


def drawn(closes: Aligned, seen: Measurement) -> AlertChart:
    found = alert_chart(closes, seen)
    assert found is not None
    return found


@pytest.mark.parametrize("window", [Window.D5, Window.D20, Window.D252, Window.YTD])
def test_a_course_begins_where_the_measurement_does_and_ends_with_it(window: Window) -> None:
    seen = measured(MARKET, window)
    found = drawn(MARKET, seen)
    start, end = found.points[0], found.points[-1]

    assert (window, seen.anchor, 0.0, 0.0) == (found.window, start.session, start.etf, start.crypto)
    assert (seen.as_of, seen.etf_return, seen.crypto_return) == (end.at, end.etf, end.crypto)


def test_one_session_is_drawn_at_the_end_of_the_twenty_before_it() -> None:
    live = replace(measured(MARKET, Window.D1), live=True, etf_return=0.1, crypto_return=-0.02)
    found = drawn(MARKET, live)
    start, end = found.points[0], found.points[-1]

    last_close, first_close = MARKET.etf[-2], MARKET.etf[-1 - SESSIONS]
    assert (Window.D20, MARKET.sessions[-1 - SESSIONS].item(), True) == (found.window, start.session, end.live)
    assert 1.1 * last_close / first_close - 1 == pytest.approx(end.etf)
    assert 0.98 * MARKET.crypto[-2] / MARKET.crypto[-1 - SESSIONS] - 1 == pytest.approx(end.crypto)


def test_few_points_are_kept_and_the_legs_furthest_apart_is_one_of_them() -> None:
    etf = [10.0] * 253
    etf[101] = 30.0
    closes = aligned_market(etf, [100.0] * 253)
    found = drawn(closes, measured(closes, Window.D252))

    assert KEPT == len(found.points)
    assert (closes.sessions[101].item(), 2.0) == max((one.session, one.etf) for one in found.points if one.etf)
    assert sorted(found.points, key=lambda one: one.at) == [*found.points]


FIVE = [10.0, 11.0, 12.0, 9.0, 10.5, 12.5]
WHOLE = aligned_market(FIVE, [100.0] * 6)


@pytest.mark.parametrize(
    ("closes", "window"),
    [
        pytest.param(WHOLE, Window.D1, id="fewer than twenty sessions before one"),
        pytest.param(replace(WHOLE, etf=np.array([np.nan, *FIVE[1:]])), Window.D5, id="a start that is held by now"),
        pytest.param(WHOLE.head(0), Window.D5, id="no closes any more"),
        pytest.param(
            replace(WHOLE, sessions=WHOLE.sessions + np.timedelta64(1, "D")), Window.D5, id="closes that begin later"
        ),
    ],
)
def test_what_has_no_start_has_no_course(closes: Aligned, window: Window) -> None:
    assert alert_chart(closes, measured(WHOLE, window)) is None


def test_a_course_is_drawn_once_for_all_who_ask() -> None:
    past, seen = HistoryLookup(MARKET), measured(MARKET, Window.D5)

    first = past.course(seen)
    assert drawn(MARKET, seen) == first
    assert first is past.course(replace(seen))
