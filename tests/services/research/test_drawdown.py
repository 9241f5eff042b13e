from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import quantstats

from bot.price_files import align_files, read_price_files
from services.market.align import PriorHigh
from services.research.drawdown import summarize_drawdown
from tests.fakes.market import aligned_market, random_market

DATA = Path("../shared/data")


def test_a_summary_has_depth_maximum_and_duration() -> None:
    market = aligned_market([100.0, 50.0, 110.0, 99.0, 88.0], [1.0] * 5)
    result = summarize_drawdown(market, market.pair.etf, market.etf)
    assert result is not None
    assert (0.2, 110.0, date(2024, 1, 4)) == pytest.approx(
        (result.current.depth, result.current.high, result.current.high_on)
    )
    assert (0.5, date(2024, 1, 3), 2) == (result.max_depth, result.max_depth_on, result.sessions_since_high)
    assert 70.0 == result.percentile  # less deep: 0, 0 and 0.1; deeper: 0.5; one tie (itself)


def test_a_prior_high_seeds_the_drawdown() -> None:
    market = aligned_market([1.0] * 3, [50.0, 60.0, 40.0])
    prior_high = PriorHigh(high=100.0, high_on=date(2021, 11, 9), since=date(2020, 1, 2))
    result = summarize_drawdown(market, market.pair.crypto, market.crypto, prior_high)
    assert result is not None
    assert (0.6, date(2021, 11, 9), 3) == (result.current.depth, result.current.high_on, result.sessions_since_high)
    assert (0.6, date(2024, 1, 4), date(2024, 1, 2)) == (result.max_depth, result.max_depth_on, result.first_session)


def test_a_leg_without_a_last_price_has_no_summary() -> None:
    market = aligned_market([1.0, None, 1.0], [1.0] * 3).head(2)
    assert summarize_drawdown(market, market.pair.etf, market.etf) is None


def test_the_maximum_drawdown_equals_quantstats() -> None:
    market = random_market(500)
    result = summarize_drawdown(market, market.pair.etf, market.etf)
    assert result is not None
    series = pd.Series(market.etf, index=pd.DatetimeIndex(market.sessions.astype("datetime64[ns]")))
    assert -quantstats.stats.max_drawdown(series) == pytest.approx(result.max_depth)


@pytest.mark.skipif(not DATA.exists(), reason="the vendor price files in ../shared/data are not here")
def test_real_bitcoin_prices_of_april_2026() -> None:
    market = align_files(read_price_files(DATA / "equities/WGMI.csv", DATA / "btc/btcusdt_binance_1h.csv"))
    market = market.head(int(np.flatnonzero(market.complete)[-1]) + 1)
    result = summarize_drawdown(market, market.pair.crypto, market.crypto, market.crypto_prior_high)
    assert result is not None
    assert (date(2026, 4, 13), date(2025, 10, 6)) == (market.sessions[-1].astype(object), result.current.high_on)
    assert result.current.depth == pytest.approx(1 - market.crypto[-1] / np.nanmax(market.crypto))
