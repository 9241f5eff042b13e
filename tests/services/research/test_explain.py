from dataclasses import replace
from datetime import UTC, date, timedelta

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from services.core.errors import NoHistoryError
from services.core.prices import WGMI_BTC, Bars, Closes, Symbol
from services.core.reason import Code
from services.market.align import Aligned, align
from services.market.measure import Window, returns
from services.market.sources.files.prices import read_crypto_csv, read_etf_csv
from services.research.attribution import attribute_return
from services.research.explain import LaterSessions, SessionSplit, SplitReturn, explain, rolling_betas, split_sessions
from tests.fakes.legs import proxy_closes, random_legs, real_legs, spliced_legs
from tests.fakes.market import CALENDAR, HOUR, aligned_market, crypto_bars, session_days
from tests.fakes.price_files import DATA, needs_data
from tests.fakes.reasons import reason

LEGS = random_legs(500)
COIN_CLOSES = proxy_closes(LEGS.aligned.sessions, LEGS.aligned.crypto)


def test_an_explanation_ends_with_the_last_complete_session() -> None:
    incomplete = replace(LEGS, proxy_prices=np.append(LEGS.proxy_prices[:-2], [np.nan, np.nan]))
    result = explain(incomplete, Window.D20, COIN_CLOSES, COIN_CLOSES, CALENDAR)
    assert attribute_return(LEGS.head(498), Window.D20) == result.attribution
    assert attribute_return(LEGS.head(498), Window.D20, lookback=60) == result.short_lookback
    assert rolling_betas(LEGS.head(498)) == result.betas
    assert ("hand", "hand", "hand") == result.sources
    last = LEGS.aligned.sessions[-1].item()
    assert LaterSessions(count=2, last=last, missing=(Symbol("SMH"),)) == result.later_sessions


def test_later_sessions_name_each_missing_price() -> None:
    crypto = np.append(LEGS.aligned.crypto[:-1], np.nan)
    incomplete = replace(LEGS, proxy_prices=np.append(LEGS.proxy_prices[:-2], [np.nan, 1.0]))
    result = explain(
        replace(incomplete, aligned=replace(LEGS.aligned, crypto=crypto)),
        Window.D20,
        COIN_CLOSES,
        COIN_CLOSES,
        CALENDAR,
    )
    assert result.later_sessions is not None
    assert (2, ("BTC", "SMH")) == (result.later_sessions.count, result.later_sessions.missing)
    assert explain(LEGS, Window.D20, COIN_CLOSES, COIN_CLOSES, CALENDAR).later_sessions is None


def test_a_short_lookback_without_enough_prices_is_left_out() -> None:
    prices = LEGS.proxy_prices.copy()
    prices[440:470] = np.nan  # half of the last 60, a quarter of the last 126
    result = explain(replace(LEGS, proxy_prices=prices), Window.D1, COIN_CLOSES, COIN_CLOSES, CALENDAR)
    assert result.short_lookback is None


def test_an_impossible_explanation_raises_the_reason() -> None:
    with pytest.raises(NoHistoryError) as error:
        explain(LEGS.head(4), Window.D5, COIN_CLOSES, COIN_CLOSES, CALENDAR)
    begins = reason(Code.HISTORY_BEGINS, session="2022-02-08")
    assert reason(Code.CANNOT_EXPLAIN, window="5d", reason=begins) == error.value.reason
    with pytest.raises(NoHistoryError, match="WGMI/BTC and SMH have no sessions in common"):
        explain(replace(LEGS, proxy_prices=np.full(500, np.nan)), Window.D5, COIN_CLOSES, COIN_CLOSES, CALENDAR)


LONG_LEGS = random_legs(800)


def test_rolling_betas_equal_statsmodels_two_years_ago_and_now() -> None:
    betas = rolling_betas(LONG_LEGS)
    assert betas is not None
    etf, crypto, proxy = (returns(prices, np.arange(800) - 1) for prices in LONG_LEGS.columns)
    for estimate, row in ((betas.first, 295), (betas.last, 799)):
        span = slice(row - 125, row + 1)
        reference = sm.OLS(etf[span], sm.add_constant(np.column_stack([crypto, proxy])[span])).fit(cov_type="HC3")
        assert LONG_LEGS.aligned.sessions[row].astype(object) == estimate.session
        assert reference.params[1:] == pytest.approx([estimate.crypto.value, estimate.proxy.value])
        assert reference.bse[1:] == pytest.approx([estimate.crypto.error, estimate.proxy.error])
        assert reference.rsquared == pytest.approx(estimate.r2)
    assert (25, betas.first, betas.last) == (len(betas.path), betas.path[0], betas.path[-1])


def test_a_short_history_starts_at_the_first_possible_estimate() -> None:
    betas = rolling_betas(LONG_LEGS.head(101))
    assert betas is not None
    assert (
        LONG_LEGS.aligned.sessions[95].astype(object) == betas.first.session
    )  # 95 returns are at least three quarters of 126
    assert 6 == len(betas.path)


@pytest.mark.parametrize(("rows", "shared", "tested"), [(101, 121, False), (221, 1, False), (222, 0, True)])
def test_estimates_that_share_a_session_are_not_tested(rows: int, shared: int, *, tested: bool) -> None:
    """The first estimate is that of row 95."""
    betas = rolling_betas(LONG_LEGS.head(rows))
    assert betas is not None
    assert (shared, tested) == (betas.shared_sessions, betas.test is not None)
    assert tested or not betas.have_changed


def test_later_prices_change_neither_the_test_nor_the_correlation() -> None:
    other = random_legs(800, seed=6)
    changed = replace(
        LONG_LEGS,
        aligned=replace(
            LONG_LEGS.aligned,
            etf=np.append(LONG_LEGS.aligned.etf[:700], other.aligned.etf[700:]),
            crypto=np.append(LONG_LEGS.aligned.crypto[:700], other.aligned.crypto[700:]),
        ),
        proxy_prices=np.append(LONG_LEGS.proxy_prices[:700], other.proxy_prices[700:]),
    )
    before, after = (
        explain(legs.head(700), Window.D20, COIN_CLOSES, COIN_CLOSES, CALENDAR) for legs in (LONG_LEGS, changed)
    )
    assert (before.betas, before.correlation) == (after.betas, after.correlation)
    assert rolling_betas(LONG_LEGS) != rolling_betas(changed)


# Then: session, bitcoin's beta and error, the proxy's, R². Now: the same without the session. The test: W and p.
CHANGES = [
    pytest.param(
        date(2024, 2, 29),
        (date(2022, 6, 27), 0.488691, 0.0853382, 0.956989, 0.0961299, 0.816366),
        (1.28764, 0.155886, 0.887466, 0.242105, 0.476816),
        (20.6549, 5.21693e-05, True),
        id="February 2024",
    ),
    pytest.param(
        date(2025, 9, 10),
        (date(2023, 9, 6), 1.11838, 0.206271, 0.443714, 0.236162, 0.61952),
        (0.815788, 0.159092, 0.691804, 0.164447, 0.488372),
        (1.56617, 0.458129, False),
        id="September 2025",
    ),
    pytest.param(
        date(2026, 7, 31),
        (date(2024, 7, 26), 0.839679, 0.134855, 0.56388, 0.168734, 0.364115),
        (0.551774, 0.128865, 1.1271, 0.155554, 0.583818),
        (6.65548, 0.0374961, True),
        id="July 2026",
    ),
]


def six_digits(*numbers: float | None) -> list[float]:
    return [float(f"{number:.6g}") for number in numbers if number is not None]


@needs_data
@pytest.mark.parametrize(("last", "then", "now", "test"), CHANGES)
def test_real_betas_then_and_now(
    last: date, then: tuple[date, *tuple[float, ...]], now: tuple[float, ...], test: tuple[float, float, bool]
) -> None:
    betas = rolling_betas(spliced_legs(last))
    assert betas is not None
    assert betas.test is not None
    first, second = (
        six_digits(
            estimate.crypto.value, estimate.crypto.error, estimate.proxy.value, estimate.proxy.error, estimate.r2
        )
        for estimate in (betas.first, betas.last)
    )
    assert then == (betas.first.session, *(pytest.approx(number, rel=1e-6) for number in first))
    assert now == pytest.approx(second, rel=1e-6)
    assert test == (*six_digits(*betas.test), betas.have_changed)


def test_a_history_too_short_for_betas_has_no_rolling_betas() -> None:
    assert rolling_betas(LONG_LEGS.head(90)) is None


@needs_data
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


@needs_data
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
