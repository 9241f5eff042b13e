from dataclasses import replace
from datetime import UTC, timedelta

import numpy as np
import pandas as pd
import pytest

from services.core.prices import WGMI_BTC, Bars, Closes, Symbol
from services.market.align import Aligned, align
from services.market.sources.files.prices import read_crypto_csv, read_etf_csv
from services.research.explain import SessionSplit, SplitReturn, split_sessions
from tests.fakes.legs import DATA, proxy_closes
from tests.fakes.market import CALENDAR, HOUR, aligned_market, crypto_bars, session_days

ETF = [20.0, 21.0, 18.9]  # at 16:00 of three sessions in January
CLOSES = [100.0, 110.0, 99.0]
OPENED = [None, 104.5, 108.9]  # at 9:00, the last full hour before 9:30
MARKET = aligned_market(ETF, CLOSES)
HALF_AN_HOUR = timedelta(minutes=30)


def bars(opening_bars: list[float | None], closes: list[float] = CLOSES, early: timedelta = HALF_AN_HOUR) -> Bars:
    """Return hourly bars: one that ends at each close, and one that ends half an hour before each opening."""
    prices = {}
    for day, before, after in zip(session_days("2024-01-02", len(closes)), opening_bars, closes, strict=True):
        row = CALENDAR.index_of(np.datetime64(day)) or 0
        opens_at, closes_at = (
            at[row].astype(object).replace(tzinfo=UTC) for at in (CALENDAR.opens_at, CALENDAR.closes_at)
        )
        if before:
            prices[opens_at - early - HOUR] = before
        prices[closes_at - HOUR] = after
    return crypto_bars(prices)


def shares(*inside: float, market: Aligned = MARKET) -> Closes:
    return replace(proxy_closes(market.sessions, market.etf), open_to_close=np.array(inside))


WITHOUT_OPENINGS = shares(np.nan, np.nan, np.nan)


def test_each_legs_return_is_split_at_openings_and_closes() -> None:
    result = split_sessions(MARKET, shares(0.5, 0.05, -0.04), bars(OPENED), CALENDAR, 0)
    assert result is not None
    assert result.etf is not None
    assert (110 / 104.5 * 99 / 108.9 - 1, 104.5 / 100 * 108.9 / 110 - 1) == pytest.approx(
        (result.crypto.in_session, result.crypto.out_of_session)
    )
    assert (1.05 * 0.96 - 1, 21 / 20 / 1.05 * 18.9 / 21 / 0.96 - 1) == pytest.approx(
        (result.etf.in_session, result.etf.out_of_session)
    )
    for split, prices in ((result.etf, ETF), (result.crypto, CLOSES)):
        assert prices[-1] / prices[0] == pytest.approx((1 + split.in_session) * (1 + split.out_of_session))
    assert (HALF_AN_HOUR, 0) == (result.open_price_age, result.excluded)


def test_a_share_as_second_leg_is_split_by_its_own_openings() -> None:
    result = split_sessions(MARKET, shares(0.5, 0.05, -0.04), shares(np.nan, 0.1, 0.0), CALENDAR, 0)
    assert result is not None
    assert 0.1 == pytest.approx(result.crypto.in_session)
    assert timedelta(0) == result.open_price_age


def test_both_legs_are_split_over_the_same_sessions() -> None:
    closes, etf = [100.0, 100.0, 110.0, 110.0, 132.0], [20.0, 21.0, 21.0, 21.0, 21.0]
    market = aligned_market(etf, closes)
    opening_bars = bars([None, 100.0, 110.0, 110.0, 110.0], closes)
    result = split_sessions(market, shares(np.nan, 0.05, 0.0, 0.0, np.nan, market=market), opening_bars, CALENDAR, 0)
    assert result is not None
    assert result.etf is not None
    assert (0.05, 0.0, 0.0, 0.1) == pytest.approx(
        (result.etf.in_session, result.etf.out_of_session, result.crypto.in_session, result.crypto.out_of_session)
    )
    assert 1 == result.excluded


def test_bitcoin_is_split_without_openings_of_the_etf() -> None:
    result = split_sessions(MARKET, WITHOUT_OPENINGS, bars(OPENED), CALENDAR, 0)
    assert result is not None
    assert (None, 0) == (result.etf, result.excluded)
    assert 110 / 104.5 * 99 / 108.9 - 1 == pytest.approx(result.crypto.in_session)


def test_a_session_without_an_opening_price_is_excluded() -> None:
    closes = [100.0, 100.0, 100.0, 100.0, 120.0]
    market = aligned_market([1.0] * 5, closes)
    result = split_sessions(
        market, shares(*[0.0] * 5, market=market), bars([None, 100.0, 100.0, 100.0, None], closes), CALENDAR, 0
    )
    zero = SplitReturn(in_session=0.0, out_of_session=0.0)
    assert SessionSplit(etf=zero, crypto=zero, excluded=1, open_price_age=HALF_AN_HOUR) == result


@pytest.mark.parametrize(
    ("move", "unsplit"),
    [
        pytest.param(9.0, 1, id="an opening at a tenth"),
        pytest.param(-0.9, 1, id="an opening ten times too high"),
        pytest.param(0.17, 0, id="a true rebound"),
    ],
)
def test_an_opening_far_off_both_closes_is_a_misprint(move: float, unsplit: int) -> None:
    market = aligned_market([20.0] * 6, [100.0] * 6)
    opening_bars = bars([None, *[100.0] * 5], [100.0] * 6)
    result = split_sessions(market, shares(np.nan, 0.0, 0.0, move, 0.0, 0.0, market=market), opening_bars, CALENDAR, 0)
    assert result is not None
    assert result.etf is not None
    assert unsplit == result.excluded
    assert (0.0 if unsplit else move) == pytest.approx(result.etf.in_session)


def test_too_few_openings_give_no_split() -> None:
    assert split_sessions(MARKET, WITHOUT_OPENINGS, bars([None, None, 108.9]), CALENDAR, 0) is None


@pytest.mark.parametrize(
    "prices",
    [
        pytest.param(proxy_closes(MARKET.sessions, np.array(CLOSES)), id="closes without openings"),
        pytest.param(
            Bars(
                symbol=Symbol("BTC"),
                interval=timedelta(days=1),
                opened_at=MARKET.sessions.astype("datetime64[s]"),
                closes=np.array(CLOSES),
                source="hand",
            ),
            id="daily bars have no openings",
        ),
    ],
)
def test_prices_without_openings_give_no_split(prices: Bars | Closes) -> None:
    assert split_sessions(MARKET, shares(0.0, 0.0, 0.0), prices, CALENDAR, 0) is None


def test_a_bar_long_before_an_opening_is_not_its_price() -> None:
    assert (
        split_sessions(MARKET, WITHOUT_OPENINGS, bars(OPENED, early=timedelta(hours=2, minutes=30)), CALENDAR, 0)
        is None
    )


@pytest.mark.skipif(not DATA.exists(), reason="the vendor price files in ../shared/data are not here")
def test_the_split_of_real_prices_equals_pandas() -> None:
    """From its close of 2024-12-31 on, WGMI rose in and out of sessions, and bitcoin only out of sessions."""
    path = DATA / "equities/WGMI_ohlcv_adj_2023-12_2025-09.csv"
    etf = read_etf_csv(path, WGMI_BTC.etf)
    coin = read_crypto_csv(DATA / "btc/btcusdt_binance_1h.csv", WGMI_BTC.crypto)
    market = align(WGMI_BTC, etf, coin, CALENDAR)
    start = int(np.searchsorted(market.sessions, np.datetime64("2024-12-31")))
    frame = pd.read_csv(path, index_col="Date", usecols=["Date", "Open", "Close"]).loc["2024-12-31":]
    returns = pd.DataFrame(
        {"inside": frame["Close"] / frame["Open"], "outside": frame["Open"] / frame["Close"].shift()}
    )
    inside, outside = returns.iloc[1:].to_numpy(np.float64).prod(axis=0) - 1

    result = split_sessions(market, etf, coin, CALENDAR, start)

    assert result is not None
    assert result.etf is not None
    assert inside == pytest.approx(result.etf.in_session)
    assert outside == pytest.approx(result.etf.out_of_session)
    assert (0.216, 0.315, -0.005, 0.220) == pytest.approx(
        (result.etf.in_session, result.etf.out_of_session, result.crypto.in_session, result.crypto.out_of_session),
        abs=0.001,
    )
    assert (0, HALF_AN_HOUR) == (result.excluded, result.open_price_age)
