from datetime import date

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from services.market.measure import (
    Correlation,
    Measurement,
    Window,
    beta_series,
    correlation_series,
    latest_correlation,
    measure,
    session_returns,
)
from tests.fakes.legs import real_market
from tests.fakes.market import aligned_market, random_market
from tests.fakes.price_files import needs_data

MARKET = random_market(700)


def test_correlation_agrees_with_pandas_where_returns_are_missing_too() -> None:
    etf = [None if row in {200, 201, 260} else price for row, price in enumerate(MARKET.etf.tolist())]
    market = aligned_market(etf, MARKET.crypto.tolist(), first="2022-02-08")
    returns = [pd.Series(leg) for leg in session_returns(market)]
    both = returns[0].notna() & returns[1].notna()
    pairs = [leg.where(both) for leg in returns]
    expected = pairs[0].rolling(60, min_periods=45).corr(pairs[1])

    assert expected.to_numpy() == pytest.approx(correlation_series(market), abs=1e-9, nan_ok=True)


def test_a_negative_beta_has_a_negative_correlation() -> None:
    inverse = aligned_market((1 / MARKET.etf).tolist(), MARKET.crypto.tolist(), first="2022-02-08")
    known = np.isfinite(beta_series(inverse))

    np.testing.assert_array_equal(np.sign(beta_series(inverse))[known], np.sign(correlation_series(inverse))[known])
    assert (correlation_series(inverse)[known] < 0).any()


def test_later_prices_do_not_change_a_correlation() -> None:
    etf, crypto = MARKET.etf.copy(), MARKET.crypto.copy()
    etf[500:] *= np.linspace(1, 3, 200)
    crypto[500:] = crypto[500:][::-1]
    changed = aligned_market(etf.tolist(), crypto.tolist(), first="2022-02-08")

    np.testing.assert_array_equal(correlation_series(MARKET)[:500], correlation_series(changed)[:500])
    assert correlation_series(MARKET)[-1] != correlation_series(changed)[-1]


@pytest.mark.parametrize("window", [Window.D1, Window.D20, Window.YTD])
def test_beta_stands_beside_its_error_and_correlation_from_before_the_window(window: Window) -> None:
    result = measure(MARKET, window)
    assert isinstance(result, Measurement)
    anchor = int(np.searchsorted(MARKET.sessions, np.datetime64(result.anchor)))
    etf, crypto = (leg[anchor - 59 : anchor + 1] for leg in session_returns(MARKET))
    reference = sm.OLS(etf, sm.add_constant(crypto)).fit(cov_type="HC3")
    correlation = np.corrcoef(etf, crypto)[0, 1]

    assert (reference.params[1], reference.bse[1]) == pytest.approx((result.beta, result.beta_error), rel=1e-9)
    assert (correlation, reference.rsquared) == pytest.approx((result.correlation, result.r2), rel=1e-9)
    assert Correlation(value=result.correlation or 0.0, pairs=60) == result.beta_correlation
    assert correlation_series(MARKET)[anchor] == pytest.approx(result.correlation, rel=1e-9)


def test_the_60_session_measurement_has_the_correlation_up_to_its_last_row() -> None:
    results = [measure(MARKET.head(600), window) for window in (Window.D60, Window.D20)]
    assert all(isinstance(result, Measurement) for result in results)

    found = [result.latest_correlation for result in results if isinstance(result, Measurement)]
    assert [latest_correlation(MARKET.head(600)), None] == found
    assert found[0] is not None
    assert correlation_series(MARKET)[599] == pytest.approx(found[0].value, rel=1e-9)


def test_a_correlation_has_fishers_interval() -> None:
    latest = latest_correlation(MARKET)
    assert latest is not None
    margin = 1.644853627 / np.sqrt(57)

    assert (60, latest.value**2) == (latest.pairs, latest.r2)
    assert np.tanh(np.arctanh(latest.value) + np.array([-margin, margin])) == pytest.approx(latest.interval, rel=1e-9)


def test_legs_that_move_alike_correlate_exactly() -> None:
    market = aligned_market(MARKET.crypto.tolist(), MARKET.crypto.tolist(), first="2022-02-08")
    latest = latest_correlation(market)

    assert latest is not None
    assert 1.0 == pytest.approx(latest.value)
    assert (1.0, 1.0) == pytest.approx(latest.interval)


def test_a_leg_that_never_moves_and_a_short_history_have_no_correlation() -> None:
    still = aligned_market([20.0] * 100, MARKET.crypto[:100].tolist())
    result = measure(still, Window.D1)

    assert isinstance(result, Measurement)
    assert (0.0, None, None, None) == (result.beta, result.correlation, result.r2, result.beta_correlation)
    assert latest_correlation(still) is None
    assert latest_correlation(MARKET.head(45)) is None
    assert latest_correlation(MARKET.head(46)) is not None


CORRELATIONS = [
    ("WGMI", date(2024, 2, 29), 0.604998, 0.366023),
    ("WGMI", date(2025, 9, 10), 0.363496, 0.132129),
    ("WGMI", date(2026, 1, 6), 0.537203, 0.288587),
    ("WGMI", date(2026, 4, 10), 0.675759, 0.45665),
    ("WGMI", date(2026, 7, 31), 0.358015, 0.128175),
    ("BITQ", date(2026, 4, 10), 0.849616, 0.721847),
    ("MARA", date(2025, 9, 10), 0.618263, 0.382249),
    ("CLSK", date(2024, 2, 29), 0.613684, 0.376607),
    ("IREN", date(2025, 9, 10), 0.103151, 0.01064),
    ("RIOT", date(2026, 7, 31), 0.29599, 0.0876103),
]


@needs_data
@pytest.mark.parametrize(("symbol", "last", "correlation", "r2"), CORRELATIONS)
def test_real_correlations(symbol: str, last: date, correlation: float, r2: float) -> None:
    latest = latest_correlation(real_market(symbol, last))
    assert latest is not None
    assert (correlation, r2) == (float(f"{latest.value:.6g}"), float(f"{latest.r2:.6g}"))


@needs_data
@pytest.mark.parametrize(
    ("symbol", "lowest", "on"), [("WGMI", 0.266233, date(2025, 9, 22)), ("RIOT", 0.266928, date(2026, 7, 29))]
)
def test_the_lowest_real_correlations(symbol: str, lowest: float, on: date) -> None:
    market = real_market(symbol)
    series = correlation_series(market)
    row = int(np.nanargmin(series))
    assert (lowest, on) == (float(f"{series[row]:.6g}"), market.sessions[row].item())


@needs_data
def test_the_yearly_means_of_real_r2() -> None:
    market = real_market("WGMI")
    r2, years = correlation_series(market) ** 2, market.sessions.astype("datetime64[Y]").astype(int) + 1970
    expected = {2022: 0.58106, 2023: 0.572595, 2024: 0.409768, 2025: 0.368089, 2026: 0.362876}
    assert expected == {year: float(f"{np.nanmean(r2[years == year]):.6g}") for year in expected}
