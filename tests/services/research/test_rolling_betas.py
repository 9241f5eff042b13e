from datetime import date

import numpy as np
import pytest
import statsmodels.api as sm

from services.core.prices import Symbol
from services.market.measure import returns
from services.market.sources.files.prices import read_crypto_csv, read_etf_csv
from services.research.explain import rolling_betas
from tests.fakes.legs import DATA, random_legs, real_legs

LEGS = random_legs(800)


def test_rolling_betas_equal_statsmodels_two_years_ago_and_now() -> None:
    betas = rolling_betas(LEGS)
    assert betas is not None
    etf, crypto, proxy = (returns(prices, np.arange(800) - 1) for prices in LEGS.columns)
    for estimate, row in ((betas.first, 295), (betas.last, 799)):
        span = slice(row - 125, row + 1)
        reference = sm.OLS(etf[span], sm.add_constant(np.column_stack([crypto, proxy])[span])).fit()
        assert LEGS.aligned.sessions[row].astype(object) == estimate.session
        assert reference.params[1:] == pytest.approx([estimate.crypto.value, estimate.proxy.value])
        assert reference.bse[1:] == pytest.approx([estimate.crypto.error, estimate.proxy.error])
        assert reference.rsquared == pytest.approx(estimate.r2)
    assert (25, betas.first, betas.last) == (len(betas.path), betas.path[0], betas.path[-1])


def test_a_short_history_starts_at_the_first_possible_estimate() -> None:
    betas = rolling_betas(LEGS.head(101))
    assert betas is not None
    assert (
        LEGS.aligned.sessions[95].astype(object) == betas.first.session
    )  # 95 returns are at least three quarters of 126
    assert 6 == len(betas.path)


def test_a_history_too_short_for_betas_has_no_rolling_betas() -> None:
    assert rolling_betas(LEGS.head(90)) is None


@pytest.mark.skipif(not DATA.exists(), reason="the vendor price files in ../shared/data are not here")
def test_real_betas_moved_from_bitcoin_to_ai() -> None:
    coin = read_crypto_csv(DATA / "btc/btcusdt_binance_1h.csv", Symbol("BTC"))
    fund = read_etf_csv(DATA / "equities/IBIT.csv", Symbol("IBIT"))
    winter, summer = (rolling_betas(real_legs(coin, day)) for day in (date(2024, 2, 12), date(2023, 8, 11)))
    now = rolling_betas(real_legs(fund, date(2026, 7, 31)))
    assert winter is not None
    assert summer is not None
    assert now is not None
    assert (1.33, 0.46) == pytest.approx((winter.last.crypto.value, summer.last.proxy.value), abs=0.015)
    assert (0.55, 1.13, 0.58) == pytest.approx((now.last.crypto.value, now.last.proxy.value, now.last.r2), abs=0.005)
