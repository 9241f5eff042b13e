import math

import numpy as np
import pytest

from services.core.volatility import ewma_volatility, moves_in_sigma, rms_volatility
from services.market.align import Aligned
from services.market.measure import Window, daily_relative_returns, percentile_series, sigma_series, spread_series
from tests.fakes.market import random_market
from tests.fakes.price_files import needs_data, real_pair, row_of

MARKET = random_market(700)
SHORT = (Window.D1, Window.D5, Window.D20)

# Spread in pp, then the percentile of a short window or the σ of a long one.
UNUSUAL = {
    "WGMI 2024-02-29": [
        (-10.9226, 0.793651),
        (-23.8666, 0),
        (-14.3088, 32.9365),
        (-24.1277, -0.634068),
        (-46.3535, -0.356368),
        (-52.7023, -1.89872),
    ],
    "WGMI 2025-09-10": [
        (5.08126, 90.4762),
        (14.3719, 96.0317),
        (44.7593, 100),
        (80.123, 1.8759),
        (25.7311, 0.168481),
        (38.55, 0.51213),
    ],
    "WGMI 2026-01-06": [
        (-0.334452, 44.0476),
        (8.20536, 74.2063),
        (-4.77338, 34.9206),
        (1.66715, 0.0731699),
        (98.8565, 1.10476),
        (12.0345, 1.52855),
    ],
    "WGMI 2026-04-10": [
        (0.425838, 52.381),
        (8.63417, 75.7937),
        (7.16248, 48.0159),
        (8.75761, 0.339258),
        (271.896, 2.22471),
        (26.6993, 0.824426),
    ],
    "IREN 2025-09-10": [
        (9.35231, 95.2381),
        (17.9823, 90.0794),
        (93.7045, 100),
        (234.063, 2.69984),
        (310.052, 0.827153),
        (221.077, 1.24077),
    ],
    "MARA 2026-01-06": [
        (-0.867928, 48.8095),
        (2.57121, 67.8571),
        (-15.7679, 19.0476),
        (-25.4416, -1.31544),
        (-35.1589, -0.54991),
        (9.28572, 1.34154),
    ],
}
# The volatility at the close before, in percent, then the σ of 1d, 5d and 20d.
SCALED = {
    "WGMI 2024-02-29": (5.89333, -1.91126, -2.07117, -0.507484),
    "WGMI 2025-09-10": (4.31968, 1.12498, 1.65788, 3.10031),
    "WGMI 2026-01-06": (4.29175, -0.0794736, 0.789022, -0.205971),
    "WGMI 2026-04-10": (3.74202, 0.111794, 0.85937, 0.379828),
    "IREN 2025-09-10": (6.96335, 1.25933, 1.11668, 3.74856),
    "MARA 2024-02-29": (6.74466, -3.05057, -0.808687, 0.0130002),
    "RIOT 2025-09-10": (5.04043, 1.0934, 1.89315, 2.1134),
    "IBIT 2024-02-29": (math.nan, math.nan, math.nan, math.nan),
}


def digits(value: float) -> float:
    """Return a value to the six digits of a reference."""
    return float(f"{value:.6g}")


@needs_data
@pytest.mark.parametrize("case", UNUSUAL)
def test_spreads_percentiles_and_sigmas_are_those_of_an_independent_computation(case: str) -> None:
    symbol, session = case.split()
    market = real_pair(symbol)
    row = row_of(market, session)

    for window, (spread, rank) in zip(Window, UNUSUAL[case], strict=True):
        assert digits(100 * spread_series(market, window)[row]) == spread
        rank_series = percentile_series if window.is_short else sigma_series
        assert digits(rank_series(market, window)[row]) == rank, window


@needs_data
@pytest.mark.parametrize("case", SCALED)
def test_a_short_move_in_sigma_uses_the_volatility_at_its_anchor(case: str) -> None:
    symbol, session = case.split()
    market = real_pair(symbol)
    row = row_of(market, session)
    volatility = 100 * ewma_volatility(daily_relative_returns(market))[row - 1]

    found = [digits(value) for value in (volatility, *(sigma_series(market, window)[row] for window in SHORT))]

    np.testing.assert_equal(found, SCALED[case])


@needs_data
def test_the_first_ytd_of_a_year_is_a_small_move_and_not_the_100th_percentile() -> None:
    market = real_pair()
    row = row_of(market, "2025-01-02")

    assert 0.6 == round(100 * spread_series(market, Window.YTD)[row], 1)
    assert 0.13 == round(sigma_series(market, Window.YTD)[row], 2)


@pytest.mark.parametrize("window", Window, ids=lambda window: window.value)
def test_a_sigma_uses_nothing_that_comes_later(window: Window) -> None:
    whole, part = sigma_series(MARKET, window), sigma_series(MARKET.head(500), window)

    np.testing.assert_array_equal(whole[:500], part)
    assert np.isfinite(part[-1])


def with_last_move(rows: int, factor: float) -> Aligned:
    """Return the market with the fund's last `rows` prices multiplied by a factor."""
    market = random_market(700)
    market.etf[-rows:] *= factor
    return market


@pytest.mark.parametrize("window", [Window.D1, Window.D5, Window.D20, Window.D60, Window.D252], ids=lambda w: w.value)
def test_a_move_inside_the_window_does_not_change_its_own_scale(window: Window) -> None:
    rows = int(window.value.removesuffix("d"))
    plain, moved = random_market(700), with_last_move(rows, 1.5)
    scale = sigma_series(moved, window)[-1] - sigma_series(plain, window)[-1]

    volatility = (ewma_volatility if window.is_short else rms_volatility)(daily_relative_returns(plain))[-1 - rows]

    assert math.log(1.5) / (volatility * math.sqrt(rows)) == pytest.approx(scale)


def test_an_exponential_volatility_is_the_recursion_written_out() -> None:
    daily = np.random.default_rng(5).normal(0, 0.04, 80)
    variance = float(np.mean(daily[:20] ** 2))
    for value in daily[20:]:
        variance = 0.94 * variance + 0.06 * float(value) ** 2

    volatility = ewma_volatility(daily)

    assert math.sqrt(variance) == pytest.approx(volatility[-1])
    assert np.isnan(ewma_volatility(daily[:59])).all()
    assert np.isnan(volatility[:59]).all()
    assert np.isfinite(volatility[59:]).all()


def test_a_session_without_prices_keeps_the_exponential_volatility() -> None:
    daily = np.random.default_rng(5).normal(0, 0.04, 80)

    volatility = ewma_volatility(np.insert(daily, 70, np.nan))

    assert volatility[70] == volatility[69]
    assert ewma_volatility(daily)[-1] == volatility[-1]


def test_the_volatility_of_252_sessions_needs_189_of_them() -> None:
    daily = np.full(400, np.nan)
    daily[100:288] = 0.02

    assert np.isnan(rms_volatility(daily)).all()
    daily[288] = -0.02
    assert 0.02 == pytest.approx(rms_volatility(daily)[288])


def test_prices_that_never_part_have_no_scale() -> None:
    flat = np.zeros(3)

    assert np.isnan(moves_in_sigma(flat, np.array([-1, 0, 1]), flat)).all()
