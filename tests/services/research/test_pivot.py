from __future__ import annotations

from datetime import date

import numpy as np
import pytest
import statsmodels.api as sm

from services.core.prices import Symbol
from services.market.measure import returns
from services.market.sources.files.prices import read_crypto_csv, read_etf_csv
from services.research.explain import beta_gauge
from tests.fakes.legs import DATA, random_legs, real_legs

LEGS = random_legs(800)


def test_the_gauge_reads_both_betas_two_years_ago_and_now() -> None:
    read = beta_gauge(LEGS)
    assert read is not None
    etf, crypto, proxy = (returns(prices, np.arange(800) - 1) for prices in LEGS.columns)
    for reading, row in ((read.then, 295), (read.now, 799)):
        own = slice(row - 125, row + 1)
        oracle = sm.OLS(etf[own], sm.add_constant(np.column_stack([crypto, proxy])[own])).fit()
        assert LEGS.aligned.sessions[row].astype(object) == reading.session
        assert oracle.params[1:] == pytest.approx([reading.crypto.value, reading.proxy.value])
        assert oracle.bse[1:] == pytest.approx([reading.crypto.error, reading.proxy.error])
        assert oracle.rsquared == pytest.approx(reading.r2)
    assert (25, read.then, read.now) == (len(read.path), read.path[0], read.path[-1])


def test_a_short_history_begins_where_betas_can_be_estimated() -> None:
    read = beta_gauge(LEGS.head(101))
    assert read is not None
    assert LEGS.aligned.sessions[95].astype(object) == read.then.session  # 95 returns are three quarters of 126
    assert 6 == len(read.path)


def test_a_history_too_short_for_betas_has_no_gauge() -> None:
    assert beta_gauge(LEGS.head(90)) is None


@pytest.mark.skipif(not DATA.exists(), reason="the vendor price files in ../shared/data are not here")
def test_miners_turned_from_bitcoin_to_ai_on_real_prices() -> None:
    coin = read_crypto_csv(DATA / "btc/btcusdt_binance_1h.csv", Symbol("BTC"))
    fund = read_etf_csv(DATA / "equities/IBIT.csv", Symbol("IBIT"))
    winter, summer = (beta_gauge(real_legs(coin, day)) for day in (date(2024, 2, 12), date(2023, 8, 11)))
    now = beta_gauge(real_legs(fund, date(2026, 7, 31)))
    assert winter is not None
    assert summer is not None
    assert now is not None
    assert (1.33, 0.46) == pytest.approx((winter.now.crypto.value, summer.now.proxy.value), abs=0.015)
    assert (0.55, 1.13, 0.58) == pytest.approx((now.now.crypto.value, now.now.proxy.value, now.now.r2), abs=0.005)
