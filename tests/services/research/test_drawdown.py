from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import quantstats

from bot.price_files import aligned, read_files
from services.market.align import Past
from services.research.drawdown import underwater
from tests.fakes.market import aligned_market, random_market

DATA = Path("../shared/data")


def test_a_leg_tells_its_depth_its_deepest_and_how_long_it_is_below() -> None:
    market = aligned_market([100.0, 50.0, 110.0, 99.0, 88.0], [1.0] * 5)
    found = underwater(market, market.pair.etf, market.etf)
    assert found is not None
    assert (0.2, 110.0, date(2024, 1, 4)) == pytest.approx((found.now.depth, found.now.high, found.now.high_on))
    assert (0.5, date(2024, 1, 3), 2) == (found.deepest, found.deepest_on, found.sessions)
    assert 70.0 == found.rank  # below it the depths 0, 0 and 0.1, above it 0.5, and itself


def test_an_older_high_seeds_the_record() -> None:
    market = aligned_market([1.0] * 3, [50.0, 60.0, 40.0])
    past = Past(high=100.0, high_on=date(2021, 11, 9), since=date(2020, 1, 2))
    found = underwater(market, market.pair.crypto, market.crypto, past)
    assert found is not None
    assert (0.6, date(2021, 11, 9), 3) == (found.now.depth, found.now.high_on, found.sessions)
    assert (0.6, date(2024, 1, 4), date(2024, 1, 2)) == (found.deepest, found.deepest_on, found.first)


def test_a_leg_without_a_price_at_the_end_has_no_depth() -> None:
    market = aligned_market([1.0, None, 1.0], [1.0] * 3).head(2)
    assert underwater(market, market.pair.etf, market.etf) is None


def test_the_deepest_is_that_of_quantstats() -> None:
    market = random_market(500)
    found = underwater(market, market.pair.etf, market.etf)
    assert found is not None
    series = pd.Series(market.etf, index=pd.DatetimeIndex(market.sessions.astype("datetime64[ns]")))
    assert -quantstats.stats.max_drawdown(series) == pytest.approx(found.deepest)


@pytest.mark.skipif(not DATA.exists(), reason="the vendor price files in ../shared/data are not here")
def test_bitcoin_was_half_below_its_high_in_april_2026() -> None:
    market = aligned(read_files(DATA / "equities/WGMI.csv", DATA / "btc/btcusdt_binance_1h.csv"))
    market = market.head(int(np.flatnonzero(market.complete)[-1]) + 1)
    found = underwater(market, market.pair.crypto, market.crypto, market.crypto_past)
    assert found is not None
    assert (date(2026, 4, 13), date(2025, 10, 6)) == (market.sessions[-1].astype(object), found.now.high_on)
    assert found.now.depth == pytest.approx(1 - market.crypto[-1] / np.nanmax(market.crypto))
