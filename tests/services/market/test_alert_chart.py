from dataclasses import replace

import numpy as np
import pytest

from services.market.align import Aligned
from services.market.chart_points import DEFAULT_SESSIONS, MAX_POINTS, AlertChart, alert_chart
from services.market.measure import Measurement, Window, measure
from services.rules.history_lookup import HistoryLookup
from tests.fakes.market import aligned_market, random_market

MARKET = random_market(300)


def measurement_of(closes: Aligned, window: Window) -> Measurement:
    chart = measure(closes, window)
    assert isinstance(chart, Measurement)
    return chart


def chart_of(closes: Aligned, measurement: Measurement) -> AlertChart:
    chart = alert_chart(closes, measurement)
    assert chart is not None
    return chart


@pytest.mark.parametrize("window", [Window.D5, Window.D20, Window.D252, Window.YTD])
def test_a_chart_starts_and_ends_with_the_measurement(window: Window) -> None:
    measurement = measurement_of(MARKET, window)
    chart = chart_of(MARKET, measurement)
    start, end = chart.points[0], chart.points[-1]

    assert (window, measurement.anchor, 0.0, 0.0) == (chart.window, start.session, start.etf, start.crypto)
    assert (measurement.as_of, measurement.etf_return, measurement.crypto_return) == (end.at, end.etf, end.crypto)


def test_a_1_session_window_is_drawn_over_20_sessions() -> None:
    live = replace(measurement_of(MARKET, Window.D1), live=True, etf_return=0.1, crypto_return=-0.02)
    chart = chart_of(MARKET, live)
    start, end = chart.points[0], chart.points[-1]

    last_close, first_close = MARKET.etf[-2], MARKET.etf[-1 - DEFAULT_SESSIONS]
    assert (Window.D20, MARKET.sessions[-1 - DEFAULT_SESSIONS].item(), True) == (chart.window, start.session, end.live)
    assert 1.1 * last_close / first_close - 1 == pytest.approx(end.etf)
    assert 0.98 * MARKET.crypto[-2] / MARKET.crypto[-1 - DEFAULT_SESSIONS] - 1 == pytest.approx(end.crypto)


def test_a_chart_is_sampled_and_includes_the_widest_spread() -> None:
    etf = [10.0] * 253
    etf[101] = 30.0
    closes = aligned_market(etf, [100.0] * 253)
    chart = chart_of(closes, measurement_of(closes, Window.D252))

    assert MAX_POINTS == len(chart.points)
    assert (closes.sessions[101].item(), 2.0) == max((one.session, one.etf) for one in chart.points if one.etf)
    assert sorted(chart.points, key=lambda one: one.at) == [*chart.points]


PRICES = [10.0, 11.0, 12.0, 9.0, 10.5, 12.5]
COMPLETE = aligned_market(PRICES, [100.0] * 6)


@pytest.mark.parametrize(
    ("closes", "window"),
    [
        pytest.param(COMPLETE, Window.D1, id="fewer than twenty sessions before one"),
        pytest.param(replace(COMPLETE, etf=np.array([np.nan, *PRICES[1:]])), Window.D5, id="a quarantined start"),
        pytest.param(COMPLETE.head(0), Window.D5, id="no closes left"),
        pytest.param(
            replace(COMPLETE, sessions=COMPLETE.sessions + np.timedelta64(1, "D")),
            Window.D5,
            id="closes that start later",
        ),
    ],
)
def test_a_measurement_without_a_start_has_no_chart(closes: Aligned, window: Window) -> None:
    assert alert_chart(closes, measurement_of(COMPLETE, window)) is None


def test_a_chart_is_cached() -> None:
    lookup, measurement = HistoryLookup(MARKET), measurement_of(MARKET, Window.D5)

    first = lookup.chart(measurement)
    assert chart_of(MARKET, measurement) == first
    assert first is lookup.chart(replace(measurement))
