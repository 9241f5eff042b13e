from datetime import timedelta

import numpy as np
import pytest
import statsmodels.api as sm

from services.core.prices import to_datetime
from services.market.align import Aligned
from services.market.measure import Gap, beta_series, fit_beta, predict_gap, student_t_quantile
from tests.fakes.market import aligned_market, random_market

MARKET = random_market(300)


def expected_fit(market: Aligned) -> sm.regression.linear_model.RegressionResultsWrapper:
    """Fit the last 60 one-session returns with statsmodels; sessions without both returns are dropped."""
    etf, crypto = (prices[-60:] / prices[-61:-1] - 1 for prices in (market.etf, market.crypto))
    both = np.isfinite(etf) & np.isfinite(crypto)
    return sm.OLS(etf[both], sm.add_constant(crypto[both])).fit()


def predicted_gap(market: Aligned, move: float) -> Gap:
    return predict_gap(market, float(market.crypto[-1]) * (1 + move), to_datetime(market.at[-1]) + timedelta(hours=5))


def with_holes(every: int) -> Aligned:
    etf = [None if row % every == 1 else float(price) for row, price in enumerate(MARKET.etf)]
    return aligned_market(etf, MARKET.crypto.tolist(), first="2022-02-08")


@pytest.mark.parametrize("move", [-0.12, 0.0, 0.002, 0.35])
@pytest.mark.parametrize(
    "market", [pytest.param(MARKET, id="all sessions"), pytest.param(with_holes(20), id="some without a close")]
)
def test_the_interval_is_the_ols_prediction_interval(market: Aligned, move: float) -> None:
    expected = expected_fit(market)
    prediction = expected.get_prediction([[0.0, move]])  # without the intercept
    low, high = prediction.conf_int(obs=True, alpha=0.1)[0]

    gap = predicted_gap(market, move)

    assert move == pytest.approx(gap.move, abs=1e-12)
    assert expected.params[1] == pytest.approx(gap.beta, rel=1e-9)
    assert expected.bse[1] == pytest.approx(gap.beta_error, rel=1e-9)
    assert [prediction.predicted_mean[0], low, high] == pytest.approx([gap.implied, gap.low, gap.high], abs=1e-7)


def test_the_gap_uses_the_same_beta_as_beta_series() -> None:
    for rows in (46, 60, 61, 300):
        fit = fit_beta(MARKET.head(rows))

        assert fit is not None
        assert beta_series(MARKET.head(rows))[-1] == pytest.approx(fit.beta, rel=1e-9)


def test_nine_openings_out_of_ten_lie_within_the_interval() -> None:
    market = random_market(1_100, seed=3)
    covered = []
    for row in range(61, len(market) - 1):
        crypto, etf = (float(prices[row] / prices[row - 1] - 1) for prices in (market.crypto, market.etf))
        gap = predicted_gap(market.head(row), crypto)
        assert gap.low is not None
        assert gap.high is not None
        covered.append(gap.low <= etf <= gap.high)

    assert 0.90 == pytest.approx(np.mean(covered), abs=0.02)


@pytest.mark.parametrize(
    "market",
    [
        pytest.param(MARKET.head(45), id="44 returns"),
        pytest.param(with_holes(4), id="too many sessions without a close"),
        pytest.param(aligned_market([20.0] * 80, [100.0] * 80), id="bitcoin without moves"),
    ],
)
def test_without_a_beta_only_the_move_is_known(market: Aligned) -> None:
    gap = predicted_gap(market, 0.02)

    assert 0.02 == pytest.approx(gap.move)
    assert (None,) * 5 == (gap.beta, gap.beta_error, gap.implied, gap.low, gap.high)


@pytest.mark.parametrize(("freedom", "expected"), [(43, 1.681071), (50, 1.675905), (58, 1.671553)])
def test_students_quantile_agrees_with_the_tables(freedom: int, expected: float) -> None:
    assert expected == pytest.approx(student_t_quantile(freedom), abs=1e-6)
