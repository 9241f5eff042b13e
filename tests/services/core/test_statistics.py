import numpy as np
import pytest
import statsmodels.api as sm

from services.core.statistics import rolling_ols

RNG = np.random.default_rng(3)
FACTORS = RNG.normal(0, 0.03, (300, 2))
Y = 0.002 + FACTORS @ [0.7, 1.2] + RNG.normal(0, 0.02, 300)


@pytest.mark.parametrize("row", [59, 60, 174, 299])
def test_each_fit_equals_statsmodels_on_its_own_window(row: int) -> None:
    fits = rolling_ols(Y, FACTORS, 60, min_rows=45)
    own = slice(row - 59, row + 1)
    reference = sm.OLS(Y[own], sm.add_constant(FACTORS[own])).fit()
    assert reference.params == pytest.approx(fits.coefficients[row], rel=1e-9)
    assert reference.bse == pytest.approx(fits.standard_errors[row], rel=1e-9)
    assert (reference.rsquared, reference.scale**0.5) == pytest.approx((fits.r2[row], fits.residual_std[row]), rel=1e-9)


def test_rows_with_a_missing_number_are_left_out() -> None:
    y, factors = Y.copy(), FACTORS.copy()
    y[[105, 110]], factors[120, 1] = np.nan, np.nan
    fits = rolling_ols(y, factors, 60, min_rows=45)
    rows = [row for row in range(91, 151) if row not in {105, 110, 120}]
    reference = sm.OLS(y[rows], sm.add_constant(factors[rows])).fit()
    assert reference.params == pytest.approx(fits.coefficients[150], rel=1e-9)
    assert reference.bse == pytest.approx(fits.standard_errors[150], rel=1e-9)


def test_a_fit_needs_enough_rows() -> None:
    fitted = rolling_ols(Y, FACTORS, 60, min_rows=45).fitted
    assert (44, True) == (int(np.argmax(fitted)), bool(fitted[44:].all()))


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(2.5 * FACTORS[:, 0], id="a multiple of the first"),
        pytest.param(np.full(300, 1e-4), id="a constant"),
        pytest.param(np.zeros(300), id="nothing"),
    ],
)
def test_collinear_factors_have_no_fit(second: np.ndarray) -> None:
    fits = rolling_ols(Y, np.column_stack([FACTORS[:, 0], second]), 60, min_rows=45)
    assert not fits.fitted.any()
    assert np.isnan(fits.coefficients).all()
    assert np.isnan(fits.standard_errors).all()


def test_r2_is_undefined_for_a_constant_column() -> None:
    fits = rolling_ols(np.zeros(60), FACTORS[:60], 60, min_rows=45)
    assert np.isnan(fits.r2[-1])
    assert fits.coefficients[-1].tolist() == [0.0, 0.0, 0.0]
