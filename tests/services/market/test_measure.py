from datetime import date

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st

from services.core.reason import Code
from services.market.align import Aligned
from services.market.measure import (
    Measurement,
    NotMeasured,
    Window,
    anchors,
    beta_series,
    drawdown,
    drawdown_series,
    measure,
    percentile_series,
    residual_series,
    sigma_series,
    spread_series,
    z_series,
)
from services.market.metrics import DRAWDOWN, RESIDUAL, SPREAD, Metric, Z
from tests.fakes.market import aligned_market, random_market
from tests.fakes.reasons import reason

MARKET = random_market(700)


def measured(aligned: Aligned, window: Window) -> Measurement:
    result = measure(aligned, window)
    assert isinstance(result, Measurement)
    return result


def test_a_one_day_spread_is_the_difference_of_two_returns() -> None:
    market = aligned_market([20.0, 21.0, 22.05], [100.0, 110.0, 99.0])

    day = measured(market, Window.D1)

    assert day.etf_return == pytest.approx(0.05)
    assert day.crypto_return == pytest.approx(-0.10)
    assert day.spread == pytest.approx(0.15)
    assert day.relative == pytest.approx(1.05 / 0.9 - 1)
    assert (day.session, day.anchor) == (date(2024, 1, 4), date(2024, 1, 3))


@pytest.mark.parametrize("window", [window for window in Window if window is not Window.YTD], ids=lambda w: w.value)
def test_a_window_counts_sessions(window: Window) -> None:
    rows = int(window.value.removesuffix("d"))

    start = anchors(MARKET, window)

    assert start[rows - 1] == -1
    assert start[rows:].tolist() == list(range(len(MARKET) - rows))


def test_the_year_to_date_starts_at_the_last_close_of_the_prior_year() -> None:
    market = random_market(300, first="2024-12-02")

    year = measured(market, Window.YTD)

    assert year.anchor == date(2025, 12, 31)
    assert anchors(market, Window.YTD)[0] == -1  # no close of 2023 is known


def test_returns_over_252_sessions_agree_with_pandas() -> None:
    etf, crypto = pd.Series(MARKET.etf), pd.Series(MARKET.crypto)

    expected = etf.pct_change(252) - crypto.pct_change(252)

    np.testing.assert_allclose(spread_series(MARKET, Window.D252), expected, rtol=1e-12)


def test_beta_agrees_with_ordinary_least_squares_on_the_sixty_sessions() -> None:
    x, y = pd.Series(MARKET.crypto).pct_change(), pd.Series(MARKET.etf).pct_change()

    beta = beta_series(MARKET)

    for row in (60, 61, 300, 699):
        sample = slice(row - 59, row + 1)
        fit = sm.OLS(y[sample].to_numpy(), sm.add_constant(x[sample].to_numpy())).fit()
        assert beta[row] == pytest.approx(fit.params[1], rel=1e-9)


def test_beta_allows_a_few_missing_sessions_but_not_many() -> None:
    rng = np.random.default_rng(1)
    crypto = (100 * np.exp(np.cumsum(rng.normal(0, 0.03, 90)))).tolist()
    few = [None if row % 20 == 7 else price for row, price in enumerate(crypto)]
    many = [None if row % 4 == 3 else price for row, price in enumerate(crypto)]

    assert beta_series(aligned_market(few, crypto))[-1] == pytest.approx(1.0)
    assert np.isnan(beta_series(aligned_market(many, crypto))[-1])


def test_beta_excludes_the_measured_window() -> None:
    calm = measured(MARKET, Window.D5)
    etf = MARKET.etf.copy()
    etf[-5:] *= 1.5
    shocked = aligned_market(etf.tolist(), MARKET.crypto.tolist(), first="2022-02-08")

    assert measured(shocked, Window.D5).beta == calm.beta
    assert measured(shocked, Window.D5).spread != calm.spread


def test_the_residual_is_what_beta_does_not_explain() -> None:
    day = measured(MARKET, Window.D20)

    assert day.beta is not None
    assert day.residual == pytest.approx(day.etf_return - day.beta * day.crypto_return)


def test_the_robust_z_and_percentile_match_their_definitions() -> None:
    spread = spread_series(MARKET, Window.D5)
    before, now = spread[-253:-1], spread[-1]
    mad = np.median(np.abs(before - np.median(before)))

    day = measured(MARKET, Window.D5)

    assert day.z == pytest.approx((now - np.median(before)) / (1.4826 * mad))
    assert day.percentile == pytest.approx(100 * np.mean(before < now))


def test_a_market_that_never_moves_has_no_z() -> None:
    market = aligned_market([20.0] * 300, [100.0] * 300)

    day = measured(market, Window.D1)

    assert (day.spread, day.z, day.percentile, day.beta, day.residual) == (0.0, None, 50.0, None, None)


@pytest.mark.parametrize("window", Window, ids=lambda window: window.value)
def test_short_windows_have_a_percentile_and_long_ones_a_sigma(window: Window) -> None:
    row = measured(MARKET, window)

    expected = (
        percentile_series(MARKET, window)[-1] if window.is_short else None,
        (None if window.is_short else sigma_series(MARKET, window)[-1]),
    )
    assert expected == (row.percentile, row.sigma)
    assert row.is_ranked


def test_a_year_to_date_covers_the_sessions_of_this_year() -> None:
    year = MARKET.sessions.astype("datetime64[Y]")

    assert int((year == year[-1]).sum()) == measured(MARKET, Window.YTD).sessions
    assert 60 == measured(MARKET, Window.D60).sessions


def test_a_short_history_has_no_z_and_no_percentile() -> None:
    day = measured(MARKET.head(150), Window.D1)

    assert (day.z, day.percentile) == (None, None)


def test_later_prices_do_not_change_earlier_rows() -> None:
    etf = MARKET.etf.copy()
    etf[600:] *= 3
    other = aligned_market(etf.tolist(), MARKET.crypto.tolist(), first="2022-02-08")

    for metric in (SPREAD, RESIDUAL, Z, DRAWDOWN):
        series = metric.series
        assert series is not None
        np.testing.assert_array_equal(series(MARKET, Window.D20)[:600], series(other, Window.D20)[:600])


@pytest.mark.parametrize("metric", [SPREAD, RESIDUAL, Z], ids=lambda m: m.value)
@pytest.mark.parametrize("window", list(Window), ids=lambda w: w.value)
def test_a_measurement_equals_the_last_value_of_its_series(window: Window, metric: Metric) -> None:
    series = metric.series
    assert series is not None
    for rows in (253, 400, 700):
        market = MARKET.head(rows)
        assert metric.value(market, measured(market, window)) == pytest.approx(
            series(market, window)[-1], nan_ok=True
        ) or (metric.value(market, measured(market, window)) is None and np.isnan(series(market, window)[-1]))


def test_a_missing_price_at_either_end_gives_a_reason_instead_of_a_measurement() -> None:
    market = aligned_market([20.0, None, 21.0], [100.0, 101.0, 102.0])

    assert measure(market, Window.D1) == NotMeasured(
        window=Window.D1,
        reason=reason(
            Code.MISSING_PRICE, reasons=(reason(Code.NO_CLOSE, source="hand", symbol="WGMI"),), session="2024-01-03"
        ),
    )
    assert measure(market.head(2), Window.D1) == NotMeasured(
        window=Window.D1,
        reason=reason(
            Code.MISSING_PRICE, reasons=(reason(Code.NO_CLOSE, source="hand", symbol="WGMI"),), session="2024-01-03"
        ),
    )
    assert measure(market, Window.D20) == NotMeasured(
        window=Window.D20, reason=reason(Code.WINDOW_BEFORE_HISTORY, session="2024-01-02", window="20d")
    )


def test_a_window_with_a_gap_in_its_middle_is_measured() -> None:
    market = aligned_market([20.0, 20.0, None, 20.0, 20.0, 22.0], [100.0] * 6)

    assert measured(market, Window.D5).spread == pytest.approx(0.1)


def test_the_drawdown_agrees_with_quantstats() -> None:
    import quantstats.stats  # noqa: PLC0415 -- seconds to import, and only here

    expected = quantstats.stats.to_drawdown_series(  # type: ignore[no-untyped-call]
        pd.Series(MARKET.crypto, index=pd.DatetimeIndex(MARKET.sessions))
    )

    np.testing.assert_allclose(drawdown_series(MARKET.crypto), -expected.to_numpy(), atol=1e-12)


def test_a_drawdown_names_its_high_and_its_basis() -> None:
    market = aligned_market([20.0] * 4, [100.0, 125.0, 50.0, 75.0])

    depth = drawdown(market, market.crypto)

    assert depth is not None
    assert (depth.depth, depth.high, depth.high_on, depth.since) == (0.4, 125.0, date(2024, 1, 3), date(2024, 1, 2))
    assert drawdown(aligned_market([20.0, None], [1.0, 1.0]), np.array([1.0, np.nan])) is None


@given(st.floats(0.01, 100), st.floats(0.01, 100))
def test_the_unit_of_a_price_does_not_matter(etf_scale: float, crypto_scale: float) -> None:
    market = MARKET.head(400)
    scaled = aligned_market(
        (market.etf * etf_scale).tolist(), (market.crypto * crypto_scale).tolist(), first="2022-02-08"
    )

    for window in (Window.D1, Window.D60):
        original, rescaled = measured(market, window), measured(scaled, window)
        assert original.spread == pytest.approx(rescaled.spread, abs=1e-9)
        assert original.residual == pytest.approx(rescaled.residual, abs=1e-9)
        assert original.z == pytest.approx(rescaled.z, abs=1e-6)


def test_swapping_the_legs_mirrors_the_spread_and_its_rank() -> None:
    mirrored = aligned_market(MARKET.crypto.tolist(), MARKET.etf.tolist(), first="2022-02-08")

    np.testing.assert_allclose(spread_series(MARKET, Window.D5), -spread_series(mirrored, Window.D5), atol=1e-12)
    np.testing.assert_allclose(z_series(MARKET, Window.D5), -z_series(mirrored, Window.D5), atol=1e-9)
    np.testing.assert_allclose(
        percentile_series(MARKET, Window.D5), 100 - percentile_series(mirrored, Window.D5), atol=1e-9
    )


def test_the_residual_series_begins_when_beta_is_known() -> None:
    residual = residual_series(MARKET, Window.D1)

    assert np.isnan(residual[:45]).all()
    assert np.isfinite(residual[61:]).all()
