from datetime import date, timedelta
from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.render.picture import ColorRole
from handlers.render.svg_chart import (
    Chart,
    ChartPanel,
    Line,
    Sparkline,
    day_ticks,
    linear_ticks,
    log_ticks,
    tick_label,
)

FIRST = date(2022, 2, 8)


def days(count: int) -> list[date]:
    """Weekdays from the first day on."""
    every = (FIRST + timedelta(days=number) for number in range(2 * count))
    return [day for day in every if day.weekday() < 5][:count]


def panel(*values: float, baseline: float = 0.0, **others: object) -> ChartPanel:
    line = Line(role=ColorRole.ETF, name="WGMI", values=values, texts=tuple(f"{value}" for value in values))
    return ChartPanel(
        title="Spread",
        note="",
        alt="",
        lines=(line,),
        height=100,
        baseline=baseline,
        **others,  # type: ignore[arg-type]
    )


def test_a_line_is_interrupted_by_a_gap_and_a_single_value_is_a_dot() -> None:
    assert [("etf", "M0 92h0L250 50M750 8h0")] == panel(0.0, 1.0, nan, 2.0, nan).paths


def test_one_value_alone_is_drawn() -> None:
    assert [("etf", "M0 8h0")] == panel(5.0).paths


def test_a_flat_line_at_the_baseline_is_in_the_middle() -> None:
    assert [50.0, 50.0] == panel(0.0, 0.0).positions(panel(0.0, 0.0).lines[0])


def test_levels_and_baseline_are_inside_the_axes() -> None:
    shown = panel(1.0, 2.0, levels=(8.0, -8.0))
    assert [8.0, 92.0] == shown.level_ys
    assert 50.0 == shown.baseline_y


def test_a_range_of_more_than_a_factor_of_three_has_a_logarithmic_axis() -> None:
    assert not panel(100.0, 300.0, baseline=100.0).scale.is_log
    shown = panel(10.0, 1_000.0, baseline=100.0)
    assert shown.scale.is_log
    assert 50.0 == shown.baseline_y
    assert ["10", "20", "50", "100", "200", "500", "1,000"] == [tick.label for tick in shown.y_ticks]


def test_a_range_through_zero_has_a_linear_axis() -> None:
    assert not panel(-1.0, 1_000.0).scale.is_log


def test_a_firing_of_one_session_is_as_wide_as_a_session() -> None:
    bars = panel(*[0.0] * 11, firing=((2, 2), (5, 8))).bars
    assert [(20.0, 10.0), (50.0, 30.0)] == bars


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_a_linear_axis_has_a_few_labels_inside_its_range(low: float, span: float) -> None:
    ticks = linear_ticks(low, low + span)
    assert 1 <= len(ticks) <= 6
    assert low - 1e-6 <= min(ticks) <= max(ticks) <= low + span + 1e-6


def test_labels_have_a_true_minus_sign_and_no_needless_digits() -> None:
    assert ["−10", "0", "2.5", "12,000"] == [tick_label(value) for value in (-10.0, 0.0, 2.5, 12_000.0)]
    assert [1.0, 2.0, 5.0, 10.0] == log_ticks(1.0, 10.0)


@pytest.mark.parametrize(
    ("count", "labels"),
    [
        (1, ["Feb 8, 2022"]),
        (15, ["Feb 8, 2022", "Feb 28, 2022"]),
        (60, ["Mar 2022", "Apr 2022", "May 2022"]),
        (252, ["Apr 2022", "Jul 2022", "Oct 2022", "Jan 2023"]),
        (1_050, ["2023", "2024", "2025", "2026"]),
        (3_000, ["2025", "2028", "2031"]),
    ],
)
def test_the_time_axis_has_at_most_five_round_dates(count: int, labels: list[str]) -> None:
    assert labels == [tick.label for tick in day_ticks(days(count))]


def test_labels_at_the_ends_of_the_time_axis_stay_inside() -> None:
    assert [(0.0, "start"), (100.0, "end")] == [(tick.at, tick.align) for tick in day_ticks(days(15))]


def test_a_chart_carries_dates_positions_and_texts_for_the_script() -> None:
    chart = Chart(name="spread", title="Spread", days=tuple(days(3)), panels=(panel(0.0, nan, 1.0),))
    assert {
        "days": ["Feb 8, 2022", "Feb 9, 2022", "Feb 10, 2022"],
        "lines": [{"name": "WGMI", "y": [92.0, None, 8.0], "text": ("0.0", "nan", "1.0")}],
    } == chart.data


def test_a_sparkline_fits_its_box_and_skips_gaps() -> None:
    assert "M2 21h0L40.7 12M118 3h0" == Sparkline(values=(0.0, 1.0, nan, 2.0), alt="").path
    assert "M2 21h0" == Sparkline(values=(5.0,), alt="").path
