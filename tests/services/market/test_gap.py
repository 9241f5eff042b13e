from dataclasses import replace
from datetime import date, timedelta
from functools import cache

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import t

from services.core.prices import Bars, Closes, Symbol, to_datetime
from services.core.sessions import Sessions
from services.market.align import Aligned
from services.market.gap import Gap, GapBasis, OffHours, predict_gap, read_off_hours
from services.market.sources.files.prices import read_crypto_csv
from tests.fakes.market import aligned_market, random_market
from tests.fakes.price_files import DATA, needs_data, real_openings, real_pair, row_of

MARKET = random_market(300)
CALENDAR = Sessions(date(2018, 1, 1), date(2026, 12, 31))
HOUR = timedelta(hours=1)
HOURLY_VARIANCE = 0.005**2
RNG = np.random.default_rng(11)
CRYPTO = RNG.normal(0, 0.02, 60)
OPENINGS = OffHours(crypto=CRYPTO, etf=1.3 * CRYPTO + RNG.normal(0, 0.01, 60), hourly_variance=HOURLY_VARIANCE)
NO_OPENINGS = OffHours(crypto=CRYPTO, etf=np.full(60, np.nan), hourly_variance=HOURLY_VARIANCE)


def gap_of(move: float, off_hours: OffHours = OPENINGS, *, hours_left: float = 0.0, market: Aligned = MARKET) -> Gap:
    at = to_datetime(market.at[-1]) + 5 * HOUR
    return predict_gap(market, off_hours, float(market.crypto[-1]) * (1 + move), at, at + hours_left * HOUR)


def half_width(gap: Gap) -> float:
    assert gap.low is not None
    assert gap.high is not None
    return (gap.high - gap.low) / 2


@pytest.mark.parametrize("move", [-0.12, 0.0, 0.002, 0.35])
@pytest.mark.parametrize("unknown", [0, 7, 30])
def test_at_the_opening_the_interval_is_the_ols_prediction_interval(move: float, unknown: int) -> None:
    etf = np.where(np.arange(60) < unknown, np.nan, OPENINGS.etf)
    expected = sm.OLS(etf[unknown:], sm.add_constant(CRYPTO[unknown:])).fit()
    prediction = expected.get_prediction([[1.0, move]])
    low, high = prediction.conf_int(obs=True, alpha=0.1)[0]

    gap = gap_of(move, OPENINGS._replace(etf=etf))

    assert move == pytest.approx(gap.move, abs=1e-12)
    assert (*expected.params[1:], *expected.bse[1:], expected.rsquared) == pytest.approx(
        (gap.beta, gap.beta_error, gap.r2)
    )
    assert [prediction.predicted_mean[0], low, high] == pytest.approx([gap.implied, gap.low, gap.high])
    assert (60 - unknown, GapBasis.OPENINGS, 0.0) == (gap.pairs, gap.basis, gap.hours_left)
    assert np.corrcoef(CRYPTO[unknown:], etf[unknown:])[0, 1] == pytest.approx(gap.correlation)


def test_before_the_opening_the_interval_allows_for_what_bitcoin_has_yet_to_move() -> None:
    now, earlier = gap_of(0.02), gap_of(0.02, hours_left=13.5)

    assert now.implied == earlier.implied
    assert now.beta is not None
    quantile = t.ppf(0.95, 58)
    added = (half_width(earlier) / quantile) ** 2 - (half_width(now) / quantile) ** 2
    assert now.beta**2 * HOURLY_VARIANCE * 13.5 == pytest.approx(added)


def test_a_price_after_the_opening_time_has_no_hours_left() -> None:
    assert gap_of(0.02, hours_left=-1) == replace(gap_of(0.02), at=gap_of(0.02, hours_left=-1).at)


@pytest.mark.parametrize(
    "off_hours",
    [
        pytest.param(NO_OPENINGS, id="no opening"),
        pytest.param(OPENINGS._replace(etf=np.where(np.arange(60) < 31, np.nan, OPENINGS.etf)), id="29 openings"),
    ],
)
def test_without_openings_the_gap_is_fitted_on_closes_and_says_so(off_hours: OffHours) -> None:
    etf, crypto = (prices[-60:] / prices[-61:-1] - 1 for prices in (MARKET.etf, MARKET.crypto))
    expected = sm.OLS(etf, sm.add_constant(crypto)).fit()
    moves = ((crypto - crypto.mean()) ** 2).sum()
    variance = expected.mse_resid * (1 + 0.02**2 / moves) * 0.45**2 + expected.params[1] ** 2 * HOURLY_VARIANCE * 10

    gap = gap_of(0.02, off_hours, hours_left=10)

    assert expected.params[1] * 0.02 == pytest.approx(gap.implied)
    assert t.ppf(0.95, 58) * variance**0.5 == pytest.approx(half_width(gap))
    assert (60, GapBasis.CLOSES) == (gap.pairs, gap.basis)


def with_holes(every: int) -> Aligned:
    etf = [None if row % every == 1 else float(price) for row, price in enumerate(MARKET.etf)]
    return aligned_market(etf, MARKET.crypto.tolist(), first="2022-02-08")


@pytest.mark.parametrize(
    "market",
    [
        pytest.param(MARKET.head(45), id="44 returns"),
        pytest.param(with_holes(4), id="too many sessions without a close"),
        pytest.param(aligned_market([20.0] * 80, [100.0] * 80), id="bitcoin without moves"),
    ],
)
def test_without_a_fit_only_the_move_is_known(market: Aligned) -> None:
    gap = gap_of(0.02, NO_OPENINGS, market=market)

    assert 0.02 == pytest.approx(gap.move)
    assert (None,) * 6 == (gap.beta, gap.beta_error, gap.implied, gap.low, gap.high, gap.basis)
    assert gap.correlation is None


def test_without_hourly_prices_there_is_a_gap_but_no_interval_before_the_opening() -> None:
    unknown = OPENINGS._replace(hourly_variance=np.nan)

    assert gap_of(0.02).implied == gap_of(0.02, unknown, hours_left=5).implied
    assert (None, None) == (gap_of(0.02, unknown, hours_left=5).low, gap_of(0.02, unknown, hours_left=5).high)
    assert gap_of(0.02).low == gap_of(0.02, unknown).low


def hourly_bars(market: Aligned) -> Bars:
    """Return made-up hourly bars over all sessions of a market."""
    begin, end = market.at[0] - np.timedelta64(1, "D"), market.at[-1]
    opened_at = np.arange(begin.astype("datetime64[h]"), end.astype("datetime64[h]")).astype("datetime64[s]")
    prices = 50_000 * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.004, len(opened_at))))
    return Bars(symbol=Symbol("BTC"), interval=HOUR, opened_at=opened_at, closes=prices, source="test")


def openings(market: Aligned, returns: list[float]) -> Closes:
    """Return closes whose last returns inside sessions are known."""
    known = np.append(np.full(len(market) - len(returns), np.nan), returns)
    return Closes(
        symbol=Symbol("WGMI"), sessions=market.sessions, prices=market.etf, source="test", open_to_close=known
    )


def test_closures_run_from_each_close_to_the_next_opening() -> None:
    market = MARKET.head(200)
    bars = hourly_bars(market)

    off_hours = read_off_hours(market, openings(market, [0.01, -0.02]), bars, CALENDAR)

    assert 60 == len(off_hours.etf) == len(off_hours.crypto)
    assert np.isnan(off_hours.etf[:-2]).all()
    assert [
        market.etf[-2] / 1.01 / market.etf[-3] - 1,
        market.etf[-1] / 0.98 / market.etf[-2] - 1,
    ] == pytest.approx(off_hours.etf[-2:].tolist())
    opens_at = to_datetime(CALENDAR.opens_at[CALENDAR.index_of(market.sessions[-1]) or 0])
    last = bars.last_complete(opens_at)
    assert last is not None
    assert last[0] / market.crypto[-2] - 1 == pytest.approx(off_hours.crypto[-1])


def test_closures_use_nothing_that_comes_later() -> None:
    whole, part = MARKET, MARKET.head(200)
    bars, later = hourly_bars(part), hourly_bars(whole)
    later = replace(later, closes=np.append(bars.closes, later.closes[len(bars) :] * 3))
    gains = np.random.default_rng(1).normal(0, 0.01, len(whole)).tolist()

    before = read_off_hours(part, openings(part, gains[: len(part)]), bars, CALENDAR)
    after = read_off_hours(part, openings(whole, gains), later, CALENDAR)

    np.testing.assert_array_equal(before.crypto, after.crypto)
    np.testing.assert_array_equal(before.etf, after.etf)
    assert before.hourly_variance == after.hourly_variance


def test_the_hourly_variance_is_that_of_the_hours_in_which_the_etf_is_shut() -> None:
    market = MARKET.head(200)
    bars = hourly_bars(market)
    squares = []
    for row in range(139, 199):
        shut, opens = market.at[row], CALENDAR.opens_at[CALENDAR.index_of(market.sessions[row + 1]) or 0]
        inside = np.flatnonzero((bars.ended_at > shut) & (bars.ended_at <= opens))
        squares += (np.log(bars.closes[inside] / bars.closes[inside - 1]) ** 2).tolist()

    assert np.mean(squares) == pytest.approx(read_off_hours(market, openings(market, []), bars, CALENDAR)[2])


def test_daily_bars_and_a_history_of_one_session_have_no_closures() -> None:
    daily = Bars(
        symbol=Symbol("BTC"),
        interval=timedelta(days=1),
        opened_at=MARKET.sessions.astype("datetime64[s]"),
        closes=MARKET.crypto,
        source="test",
    )
    whole = read_off_hours(MARKET, openings(MARKET, [0.01]), daily, CALENDAR)
    single = read_off_hours(MARKET.head(1), openings(MARKET.head(1), [0.01]), hourly_bars(MARKET.head(1)), CALENDAR)

    assert np.isnan([*whole.crypto, whole.hourly_variance, single.hourly_variance]).all()
    assert 0 == len(single.etf)


def test_bars_that_end_before_the_first_closure_have_no_variance() -> None:
    bars = hourly_bars(MARKET.head(5))

    assert np.isnan(read_off_hours(MARKET, openings(MARKET, [0.01]), bars, CALENDAR).hourly_variance)


@cache
def real_inputs() -> tuple[Aligned, Closes, Bars]:
    return real_pair(), real_openings(), read_crypto_csv(DATA / "btc/btcusdt_binance_1h.csv", Symbol("BTC"))


@needs_data
@pytest.mark.parametrize(
    ("session", "after_close", "move", "expected"),
    [
        ("2024-04-05", None, -2.35914, (1.19085, 0, -2.81823, -6.73746, 1.10101)),
        ("2024-04-05", 4, -0.0178248, (1.19085, 13.5, -0.030069, -5.41307, 5.35293)),
        ("2024-07-05", None, -8.99757, (1.05155, 0, -9.33937, -12.0902, -6.5885)),
        ("2024-07-05", 4, -1.46575, (1.05155, 40.5, -1.41929, -6.9653, 4.12671)),
        ("2024-11-06", None, 6.53898, (0.956145, 0, 6.31922, 4.40538, 8.23305)),
        ("2024-11-06", 4, 2.37602, (0.956145, 13.5, 2.33882, -0.489601, 5.16725)),
        ("2025-01-13", None, -3.7399, (1.25791, 0, -4.29341, -6.86653, -1.72029)),
        ("2025-01-13", 4, -0.075376, (1.25791, 61.5, 0.316214, -7.63575, 8.26818)),
        ("2025-04-07", None, -7.94441, (1.0886, 0, -8.93085, -12.4973, -5.36435)),
        ("2025-04-07", 4, -0.142983, (1.0886, 61.5, -0.43823, -9.01417, 8.13771)),
        ("2025-09-05", None, 3.11001, (0.754674, 0, 2.6043, -0.0217042, 5.23031)),
        ("2025-09-05", 4, 0.847796, (0.754674, 13.5, 0.897066, -2.00835, 3.80248)),
    ],
)
def test_gaps_of_real_prices_are_those_of_an_independent_computation(
    session: str, after_close: int | None, move: float, expected: tuple[float, ...]
) -> None:
    market, etf, bars = real_inputs()
    closes = market.head(row_of(market, session))
    opens_at = to_datetime(CALENDAR.opens_at[CALENDAR.index_of(np.datetime64(session)) or 0])
    at = opens_at if after_close is None else to_datetime(closes.at[-1]) + after_close * HOUR
    last = bars.last_complete(at)
    assert last is not None

    gap = predict_gap(closes, read_off_hours(closes, etf, bars, CALENDAR), last[0], at, opens_at)

    assert None not in (gap.implied, gap.low, gap.high, gap.beta, gap.hours_left)
    percents = [100 * value for value in (gap.implied, gap.low, gap.high) if value is not None]
    found = [float(f"{value:.6g}") for value in (100 * gap.move, gap.beta or 0, gap.hours_left or 0, *percents)]
    assert [move, *expected] == found
    assert (60, GapBasis.OPENINGS) == (gap.pairs, gap.basis)
