from __future__ import annotations

from dataclasses import replace

import pytest

from services.core.errors import NoHistoryError
from services.market.measure import Measurement, Window, measure
from services.rules.chart_series import between, indexed_returns, stretch, thinned
from tests.fakes.market import aligned_market

POINTS = 20


def measured(etf: list[float], window: Window) -> Measurement:
    found = measure(aligned_market(etf, [100.0] * len(etf)), window)
    assert isinstance(found, Measurement)
    return found


def test_a_curve_begins_at_nothing_and_ends_with_what_was_measured() -> None:
    prices = [10.0, 11.0, 12.0, 9.0, 10.5, 12.5]
    drawn = indexed_returns(aligned_market(prices, [100.0] * 6), measured(prices, Window.D5))

    assert [0.0, 0.1, 0.2, -0.1, 0.05, 0.25] == pytest.approx([point.etf for point in drawn.points])
    assert [0.0] * 6 == [point.crypto for point in drawn.points]
    assert Window.D5 is drawn.window


@pytest.mark.parametrize(("sessions", "window"), [(25, Window.D20), (300, Window.D252), (70, Window.D60)])
def test_a_long_window_has_as_many_points_as_are_drawn_both_ends_among_them(sessions: int, window: Window) -> None:
    prices = [10.0 + step for step in range(sessions)]
    found = measured(prices, window)
    drawn = indexed_returns(aligned_market(prices, [100.0] * sessions), found)

    days = [point.session for point in thinned(drawn.points, POINTS)]
    assert POINTS == len(days) == len(set(days))
    assert (found.anchor, found.session) == (days[0], days[-1])
    assert sorted(days) == days


def test_a_live_end_follows_the_closes_and_is_marked() -> None:
    closes = aligned_market([10.0, 11.0], [100.0, 100.0])
    live = replace(measured([10.0, 11.0], Window.D1), live=True, etf_return=0.2)
    drawn = indexed_returns(closes, live)

    assert [(0.0, False), (0.2, True)] == [(point.etf, point.live) for point in drawn.points]


def test_a_session_without_both_prices_is_a_gap_that_a_thin_curve_passes_over() -> None:
    prices = [10.0, 11.0, 12.0, 9.0, 10.5, 12.5]
    closes = aligned_market([10.0, 11.0, None, 9.0, 10.5, 12.5], [100.0] * 6)
    drawn = indexed_returns(closes, measured(prices, Window.D5))

    assert [True, True, False, True, True, True] == [point.complete for point in drawn.points]
    assert [0.0, 0.1, -0.1, 0.05, 0.25] == pytest.approx([point.etf for point in thinned(drawn.points, POINTS)])


def test_a_stretch_begins_and_ends_where_both_prices_are_known() -> None:
    closes = aligned_market([None, 10.0, 12.0, None], [100.0] * 4)
    drawn = stretch(closes, between(closes))

    assert (None, [0.0, pytest.approx(0.2)]) == (drawn.window, [point.etf for point in drawn.points])


def test_a_stretch_of_one_session_is_its_own_start() -> None:
    closes = aligned_market([10.0, 12.0, 9.0], [100.0] * 3)
    day = closes.sessions[1].item()

    assert [(day, 0.0, 0.0)] == [
        (point.session, point.etf, point.crypto) for point in stretch(closes, between(closes, day, day)).points
    ]
    assert 1 == len(thinned(stretch(closes, between(closes, day, day)).points, POINTS))


def test_a_stretch_without_a_session_says_so() -> None:
    closes = aligned_market([10.0, None, 11.0], [100.0] * 3)
    day = closes.sessions[1].item()

    with pytest.raises(NoHistoryError, match=f"WGMI/BTC have no session in common from {day} to {day}"):
        between(closes, day, day)
