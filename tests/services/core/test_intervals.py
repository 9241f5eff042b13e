import math

import numpy as np
import pytest
from scipy.stats import t
from statsmodels.stats.proportion import proportion_confint

from services.core.intervals import (
    CountRange,
    Dispersion,
    correlation_interval,
    count_range,
    dispersion_of,
    student_t_quantile,
    wilson_interval,
)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 7, 11, 28, 43, 58, 100, 501])
def test_students_t_has_scipys_quantile(degrees: int) -> None:
    assert t.ppf(0.95, degrees) == pytest.approx(student_t_quantile(degrees), rel=1e-9)


@pytest.mark.parametrize(("successes", "trials"), [(0, 9), (9, 9), (16, 36), (38, 110), (1, 2)])
def test_a_proportion_has_wilsons_interval(successes: int, trials: int) -> None:
    reference = proportion_confint(successes, trials, alpha=0.10, method="wilson")

    assert reference == pytest.approx(tuple(wilson_interval(successes, trials)))


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(16, 36, 31.7, 58.0), (4, 30, 6.1, 26.6), (2, 13, 5.2, 37.5), (38, 110, 27.5, 42.3), (22, 62, 26.3, 45.9)],
)
def test_intervals_of_gaps_that_closed(successes: int, trials: int, low: float, high: float) -> None:
    assert (low, high) == tuple(round(100 * end, 1) for end in wilson_interval(successes, trials))


def test_an_interval_contains_what_lies_in_it() -> None:
    interval = wilson_interval(16, 36)

    assert 0.32 in interval
    assert 0.6 not in interval
    assert 5 in CountRange(4, 5)
    assert 4.5 not in CountRange(4, 5)


@pytest.mark.parametrize(("count", "low", "high"), [(60, 0.20, 0.57), (20, 0.02, 0.68)])
def test_a_correlation_of_040_has_fishers_interval(count: int, low: float, high: float) -> None:
    assert (low, high) == tuple(round(end, 2) for end in correlation_interval(0.40, count))


@pytest.mark.parametrize("correlation", [1.0, -1.0])
def test_an_exact_correlation_is_its_own_interval(correlation: float) -> None:
    assert (correlation, correlation) == correlation_interval(correlation, 60)


@pytest.mark.parametrize(
    ("events", "years", "ratio", "blocks", "expected"),
    [
        (49, 4.15079, 1.55977, 8, (4, 23)),
        (51, 4.13492, 1.0, 8, (6, 21)),
        (45, 3.9127, 1.0, 7, (5, 20)),
        (76, 6.25397, 4.42424, 12, (2, 31)),
        (76, 6.25397, 6.82078, 12, (1, 36)),
        (76, 6.25397, 3.17926, 12, (3, 27)),
        (75, 6.25397, 5.21212, 12, (1, 33)),
        (24, 2.23413, 8.37255, 4, (0, 55)),
    ],
)
def test_the_range_of_the_next_12_months(
    events: int, years: float, ratio: float, blocks: int, expected: tuple[int, int]
) -> None:
    assert expected == count_range(events, years, Dispersion(ratio, blocks))


def test_three_half_years_give_no_range() -> None:
    assert count_range(26, 1.99603, Dispersion(1.25, 3)) is None


def test_dispersion_is_the_variance_of_half_yearly_counts_over_their_mean() -> None:
    events = np.array([3, 10, 11, 12, 13, 14, 15, 136, 300])  # row 3 is before the first of four half-years

    ratio, blocks = dispersion_of(events, 4 * 126 + 5)

    counts = [6, 1, 1, 0]
    assert blocks == len(counts)
    assert np.var(counts, ddof=1) / np.mean(counts) == pytest.approx(ratio)


@pytest.mark.parametrize(("events", "sessions"), [([], 504), ([1], 100), ([1, 130, 260, 390], 504)])
def test_dispersion_is_never_below_one(events: list[int], sessions: int) -> None:
    assert dispersion_of(np.array(events, dtype=np.intp), sessions).ratio == 1


def test_a_longer_horizon_has_a_wider_range() -> None:
    dispersion = Dispersion(1.5, 8)
    year, two = count_range(49, 4.15, dispersion), count_range(49, 4.15, dispersion, ahead=2)

    assert year is not None
    assert two is not None
    assert year.high < two.high
    assert math.isclose(2 * 49 / 4.15, (two.low + two.high) / 2, rel_tol=0.15)
