import numpy as np
import pytest
import scipy.stats
import statsmodels.api as sm

from services.core.statistics import WaldTest, ols, rolling_ols, wald_test

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
    robust = reference.get_robustcov_results("HC3")
    assert robust.bse == pytest.approx(fits.robust_errors[row], rel=1e-9)
    assert robust.cov_params().ravel() == pytest.approx(fits.covariance[row].ravel(), rel=1e-9)
    assert (reference.rsquared, reference.scale**0.5) == pytest.approx((fits.r2[row], fits.residual_std[row]), rel=1e-9)


def test_rows_with_a_missing_number_are_left_out() -> None:
    y, factors = Y.copy(), FACTORS.copy()
    y[[105, 110]], factors[120, 1] = np.nan, np.nan
    fits = rolling_ols(y, factors, 60, min_rows=45)
    rows = [row for row in range(91, 151) if row not in {105, 110, 120}]
    reference = sm.OLS(y[rows], sm.add_constant(factors[rows])).fit()
    assert reference.params == pytest.approx(fits.coefficients[150], rel=1e-9)
    assert reference.bse == pytest.approx(fits.standard_errors[150], rel=1e-9)
    assert reference.get_robustcov_results("HC3").bse == pytest.approx(fits.robust_errors[150], rel=1e-9)
    assert len(rows) == fits.counts[150]


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
    assert np.isnan(fits.robust_errors).all()


def test_r2_is_undefined_for_a_constant_column() -> None:
    fits = rolling_ols(np.zeros(60), FACTORS[:60], 60, min_rows=45)
    assert np.isnan(fits.r2[-1])
    assert fits.coefficients[-1].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(("outlier", "known"), [(0.45, True), (100.0, False)])
def test_an_error_is_withheld_if_one_row_determines_the_fit(outlier: float, *, known: bool) -> None:
    factors = FACTORS[:60].copy()
    factors[30, 0] = outlier
    fits = ols(Y[:60], factors, min_rows=45)
    leverage = sm.OLS(Y[:60], sm.add_constant(factors)).fit().get_influence().hat_matrix_diag.max()
    assert known == (leverage <= 0.99)
    assert known == bool(np.isfinite(fits.covariance).all())
    assert known == bool(np.isfinite(fits.scaled_residuals).all())
    assert np.isfinite(fits.coefficients).all()
    assert np.isfinite(fits.standard_errors).all()


def test_a_later_row_changes_no_earlier_fit() -> None:
    changed, factors = Y.copy(), FACTORS.copy()
    changed[200:] += 1.0
    factors[200:] *= -3.0
    before, after = rolling_ols(Y, FACTORS, 60, min_rows=45), rolling_ols(changed, factors, 60, min_rows=45)
    np.testing.assert_array_equal(before.covariance[:200], after.covariance[:200])
    np.testing.assert_array_equal(before.scaled_residuals[:200], after.scaled_residuals[:200])
    assert not np.isclose(before.covariance[44:, 1, 1], after.covariance[44:, 1, 1])[-100:].any()


@pytest.mark.parametrize(("before", "after"), [(59, 119), (59, 299), (44, 180)])
def test_equal_coefficients_are_tested_with_the_f_distribution(before: int, after: int) -> None:
    fits = rolling_ols(Y, FACTORS, 60, min_rows=45)
    models = [
        sm.OLS(Y[own], sm.add_constant(FACTORS[own])).fit(cov_type="HC3")
        for own in (slice(max(0, row - 59), row + 1) for row in (before, after))
    ]
    change = (models[1].params - models[0].params)[1:]
    covariance = (models[0].cov_params() + models[1].cov_params())[1:, 1:]
    statistic = change @ np.linalg.inv(covariance) @ change
    p = scipy.stats.f.sf(statistic / 2, 2, sum(model.nobs for model in models) - 6)

    assert (statistic, p) == pytest.approx(wald_test(fits, before, after), rel=1e-9)


def test_coefficients_with_unknown_or_no_errors_are_not_tested() -> None:
    factors = FACTORS.copy()
    factors[30, 0] = 100.0
    assert wald_test(rolling_ols(Y, factors, 60, min_rows=45), 59, 180) is None
    assert isinstance(wald_test(rolling_ols(Y, factors, 60, min_rows=45), 120, 180), WaldTest)
    assert wald_test(rolling_ols(np.zeros(300), FACTORS, 60, min_rows=45), 59, 180) is None
