from dataclasses import replace

import pytest

from services.core.errors import NoHistoryError
from services.market.chart_points import common_rows, downsample
from services.market.measure import Measurement, Window, measure
from services.rules.chart_series import indexed_returns, indexed_returns_over
from tests.fakes.market import aligned_market

POINTS = 20


def measurement_of(etf: list[float], window: Window) -> Measurement:
    measurement = measure(aligned_market(etf, [100.0] * len(etf)), window)
    assert isinstance(measurement, Measurement)
    return measurement


def test_returns_start_at_zero_and_end_with_the_measurement() -> None:
    prices = [10.0, 11.0, 12.0, 9.0, 10.5, 12.5]
    returns = indexed_returns(aligned_market(prices, [100.0] * 6), measurement_of(prices, Window.D5))

    assert [0.0, 0.1, 0.2, -0.1, 0.05, 0.25] == pytest.approx([point.etf for point in returns.points])
    assert [0.0] * 6 == [point.crypto for point in returns.points]
    assert Window.D5 is returns.window


@pytest.mark.parametrize(("sessions", "window"), [(25, Window.D20), (300, Window.D252), (70, Window.D60)])
def test_a_long_window_is_downsampled_including_both_ends(sessions: int, window: Window) -> None:
    prices = [10.0 + step for step in range(sessions)]
    measurement = measurement_of(prices, window)
    returns = indexed_returns(aligned_market(prices, [100.0] * sessions), measurement)

    days = [point.session for point in downsample(returns.points, POINTS)]
    assert POINTS == len(days) == len(set(days))
    assert (measurement.anchor, measurement.session) == (days[0], days[-1])
    assert sorted(days) == days


def test_a_live_measurement_is_the_last_point_and_marked_live() -> None:
    closes = aligned_market([10.0, 11.0], [100.0, 100.0])
    live = replace(measurement_of([10.0, 11.0], Window.D1), live=True, etf_return=0.2)
    returns = indexed_returns(closes, live)

    assert [(0.0, False), (0.2, True)] == [(point.etf, point.live) for point in returns.points]


def test_an_incomplete_session_is_skipped_when_downsampled() -> None:
    prices = [10.0, 11.0, 12.0, 9.0, 10.5, 12.5]
    closes = aligned_market([10.0, 11.0, None, 9.0, 10.5, 12.5], [100.0] * 6)
    returns = indexed_returns(closes, measurement_of(prices, Window.D5))

    assert [True, True, False, True, True, True] == [point.complete for point in returns.points]
    assert [0.0, 0.1, -0.1, 0.05, 0.25] == pytest.approx([point.etf for point in downsample(returns.points, POINTS)])


def test_common_rows_start_and_end_with_both_prices() -> None:
    closes = aligned_market([None, 10.0, 12.0, None], [100.0] * 4)
    returns = indexed_returns_over(closes, common_rows(closes))

    assert (None, [0.0, pytest.approx(0.2)]) == (returns.window, [point.etf for point in returns.points])


def test_common_rows_can_be_a_single_session() -> None:
    closes = aligned_market([10.0, 12.0, 9.0], [100.0] * 3)
    day = closes.sessions[1].item()

    assert [(day, 0.0, 0.0)] == [
        (point.session, point.etf, point.crypto)
        for point in indexed_returns_over(closes, common_rows(closes, day, day)).points
    ]
    assert 1 == len(downsample(indexed_returns_over(closes, common_rows(closes, day, day)).points, POINTS))


def test_common_rows_without_a_session_raise() -> None:
    closes = aligned_market([10.0, None, 11.0], [100.0] * 3)
    day = closes.sessions[1].item()

    with pytest.raises(NoHistoryError, match=f"WGMI/BTC have no sessions in common from {day} to {day}"):
        common_rows(closes, day, day)
