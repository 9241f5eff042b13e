from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from services.core.statistics import rolling_ols

RNG = np.random.default_rng(3)
FACTORS = RNG.normal(0, 0.03, (300, 2))
Y = 0.002 + FACTORS @ [0.7, 1.2] + RNG.normal(0, 0.02, 300)


@pytest.mark.parametrize("row", [59, 60, 174, 299])
def test_every_fit_is_that_of_statsmodels_on_its_own_rows(row: int) -> None:
    fits = rolling_ols(Y, FACTORS, 60, at_least=45)
    own = slice(row - 59, row + 1)
    oracle = sm.OLS(Y[own], sm.add_constant(FACTORS[own])).fit()
    assert oracle.params == pytest.approx(fits.coefficients[row], rel=1e-9)
    assert oracle.bse == pytest.approx(fits.errors[row], rel=1e-9)
    assert (oracle.rsquared, oracle.scale**0.5) == pytest.approx((fits.r2[row], fits.noise[row]), rel=1e-9)


def test_rows_that_lack_a_number_are_left_out() -> None:
    y, factors = Y.copy(), FACTORS.copy()
    y[[105, 110]], factors[120, 1] = np.nan, np.nan
    fits = rolling_ols(y, factors, 60, at_least=45)
    kept = [row for row in range(91, 151) if row not in {105, 110, 120}]
    oracle = sm.OLS(y[kept], sm.add_constant(factors[kept])).fit()
    assert oracle.params == pytest.approx(fits.coefficients[150], rel=1e-9)
    assert oracle.bse == pytest.approx(fits.errors[150], rel=1e-9)


def test_a_fit_needs_enough_rows() -> None:
    made = rolling_ols(Y, FACTORS, 60, at_least=45).made
    assert (44, True) == (int(np.argmax(made)), bool(made[44:].all()))


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(2.5 * FACTORS[:, 0], id="a multiple of the first"),
        pytest.param(np.full(300, 1e-4), id="a constant"),
        pytest.param(np.zeros(300), id="nothing"),
    ],
)
def test_a_factor_that_follows_from_the_others_makes_no_fit(second: np.ndarray) -> None:
    fits = rolling_ols(Y, np.column_stack([FACTORS[:, 0], second]), 60, at_least=45)
    assert not fits.made.any()
    assert np.isnan(fits.coefficients).all()
    assert np.isnan(fits.errors).all()


def test_a_column_that_does_not_move_has_no_share_to_explain() -> None:
    fits = rolling_ols(np.zeros(60), FACTORS[:60], 60, at_least=45)
    assert np.isnan(fits.r2[-1])
    assert fits.coefficients[-1].tolist() == [0.0, 0.0, 0.0]
