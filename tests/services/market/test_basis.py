from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from services.core.prices import WGMI_BTC, Bars, Pair, Symbol
from services.core.sessions import Sessions
from services.market.align import Aligned, align
from services.market.basis import Basis, daily_closes, pair_basis
from services.market.feeds.freshness import HISTORY_START
from services.market.measure import drawdown, drawdown_series
from services.market.sources.files.prices import read_crypto_csv, read_etf_csv
from services.research.report import summarize_daily_drawdown, summarize_drawdown, summarize_drawdowns
from services.research.track_record import backtest
from services.rules.grammar import parse_rule
from tests.fakes.market import CALENDAR, etf_closes, session_days
from tests.fakes.price_files import DATA, needs_data, real_pair, row_of

BTC = WGMI_BTC.crypto
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def bars(since: str, closes: list[float], interval: timedelta = DAY, source: str = "Coinbase") -> Bars:
    opened_at = np.datetime64(since, "s") + np.arange(len(closes)) * np.timedelta64(interval)
    return Bars(symbol=BTC, interval=interval, opened_at=opened_at, closes=np.array(closes), source=source)


def yahoo_daily() -> Bars:
    return read_crypto_csv(DATA / "btc/btc_usd_yahoo_daily.csv", BTC)


def digits(value: float) -> float:
    """Return a value with the six digits that the reference prints."""
    return float(f"{value:.6g}")


# Daily UTC closes since 2014-09-17, from the reference: day, depth and rank of depth in percent.
BITCOIN = [
    ("2020-09-01", 38.6047, 44.35),
    ("2022-11-21", 76.6346, 95.5656),
    ("2026-04-13", 40.2941, 53.383),
    ("2026-06-05", 50.7117, 69.1472),
]
# Session closes since the listing, up to 2026-04-13: depth in percent.
SHARES = [
    ("WGMI", 32.2307),
    ("MARA", 93.304),
    ("RIOT", 77.7022),
    ("CLSK", 85.2603),
    ("BITQ", 31.3709),
    ("IREN", 43.633),
    ("IBIT", 41.6608),
    ("SMH", 0.0),
]
ALERTS = [  # with a clear level of 60%, since both prices are known: alerts, and alerts a year
    ("WGMI", "1d 8pp", 44, 10.6),
    ("WGMI", "5d 15pp", 36, 8.7),
    ("WGMI", "20d 30pp", 16, 3.9),
    ("MARA", "1d 8pp", 189, 30.2),
    ("RIOT", "1d 8pp", 141, 22.5),
    ("CLSK", "20d 30pp", 48, 7.8),
    ("IBIT", "1d 8pp", 0, 0.0),
]


@needs_data
@pytest.mark.parametrize(("day", "depth", "rank"), BITCOIN)
def test_bitcoins_drawdown_counts_every_daily_close_since_2014(day: str, depth: float, rank: float) -> None:
    daily = daily_closes(yahoo_daily(), None, date.fromisoformat(day))
    assert daily is not None
    summary = summarize_daily_drawdown(daily)

    assert (depth, rank) == (digits(100 * summary.current.depth), digits(summary.percentile))
    assert (date(2014, 9, 17), date.fromisoformat(day), True) == (
        summary.basis.first,
        summary.basis.last,
        summary.basis.daily,
    )


@needs_data
def test_the_live_look_back_alone_would_understate_bitcoins_drawdown() -> None:
    closes, live_days = yahoo_daily().closes, 930
    full = drawdown_series(closes)
    short = np.array([1 - closes[row] / closes[row - live_days : row + 1].max() for row in range(live_days, len(full))])
    understated = full[live_days:] - short

    assert (149, 3350) == (int((understated > 1e-9).sum()), len(short))
    assert 33.1126 == digits(100 * understated.max())


@needs_data
@pytest.mark.parametrize(("symbol", "depth"), SHARES)
def test_a_shares_drawdown_counts_every_session_since_its_listing(symbol: str, depth: float) -> None:
    pair = Pair(etf=Symbol(symbol), crypto=BTC)
    closes = read_etf_csv(DATA / f"equities/{symbol}.csv", pair.etf)
    rows = align(pair, closes, yahoo_daily(), Sessions(HISTORY_START, date(2026, 12, 31)))
    summary = summarize_drawdown(
        rows.head(row_of(rows, "2026-04-13") + 1), pair.etf, rows.etf[: row_of(rows, "2026-04-13") + 1]
    )

    assert summary is not None
    assert depth == digits(100 * summary.current.depth)
    assert date(2026, 4, 13) == summary.basis.last


@needs_data
@pytest.mark.parametrize(("symbol", "rule", "alerts", "per_year"), ALERTS)
def test_a_backtest_counts_every_session_since_the_listing(
    symbol: str, rule: str, alerts: int, per_year: float
) -> None:
    pair = real_pair(symbol)
    rows = pair.head(row_of(pair, "2026-04-13") + 1)
    result = backtest(rows, parse_rule(rule, pair.pair))

    assert (alerts, per_year) == (len(result.episodes), round(result.replay.per_year, 1))


@needs_data
def test_a_later_price_changes_no_earlier_drawdown_or_rank() -> None:
    daily, day = yahoo_daily(), date(2022, 11, 21)
    later = daily.opened_at > np.datetime64("2022-11-21")
    shifted = replace(daily, closes=np.where(later, 3 * daily.closes, daily.closes))
    summaries = []
    for prices in (daily, shifted):
        known = daily_closes(prices, None, day)
        assert known is not None
        summaries.append(summarize_daily_drawdown(known))

    assert summaries[0] == summaries[1]


def test_hours_that_end_at_midnight_are_daily_closes_and_older_days_come_from_daily_bars() -> None:
    hourly = bars("2024-01-02T20:00", [1.0, 2.0, 3.0, 40.0, 5.0], HOUR, "Coinbase and Kraken")
    older = bars("2023-12-30", [30.0, 31.0, 1.0, 2.0])  # the last one is replaced by the hour's close

    daily = daily_closes(hourly, older, date(2024, 1, 5))

    assert daily is not None
    assert [30.0, 31.0, 1.0, 40.0] == daily.closes.tolist()
    assert np.datetime64("2024-01-02") == daily.opened_at[-1]
    assert ("Coinbase and Kraken", DAY) == (daily.source, daily.interval)


def test_daily_closes_end_with_the_given_day_and_may_be_none() -> None:
    older = bars("2023-12-30", [30.0, 31.0])
    known = daily_closes(bars("2024-01-02T20:00", [1.0], HOUR), older, date(2023, 12, 30))
    assert known is not None
    assert [30.0] == known.closes.tolist()
    assert daily_closes(bars("2024-01-02T20:00", [1.0], HOUR), None, date(2024, 1, 5)) is None


def test_the_basis_of_a_pair_counts_the_sessions_with_both_prices() -> None:
    rows = _aligned(since=2)
    assert Basis(
        first=rows.sessions[2].item(),
        last=rows.sessions[-1].item(),
        sessions=8,
        source="hand; Coinbase",
        loading=True,
    ) == pair_basis(rows, loading=True)
    assert pair_basis(rows.head(2)) is None


def test_the_high_before_the_first_hour_comes_from_the_daily_closes() -> None:
    """A daily close on the day of the first hour or later is no prior high: the hours have it."""
    rows = _aligned(since=2)
    daily = bars("2015-07-20", [100.0, 900.0, 300.0])
    later = bars("2024-01-04", [9_000.0, 9_000.0])

    high, same = _aligned(since=2, daily=daily), _aligned(since=2, daily=later)

    assert rows.crypto_prior_high is None
    assert same.crypto_prior_high is None
    current = drawdown(high, high.crypto, high.crypto_prior_high)
    assert current is not None
    assert (900.0, date(2015, 7, 21), date(2015, 7, 20)) == (current.high, current.high_on, current.since)


def test_without_any_price_of_the_coin_there_is_no_prior_high() -> None:
    assert _aligned(since=10, daily=bars("2015-07-20", [100.0])).crypto_prior_high is None


def _aligned(since: int, daily: Bars | None = None) -> Aligned:
    days = session_days("2024-01-02", 10)
    ends = [CALENDAR.closes_at[CALENDAR.index_of(np.datetime64(day)) or 0] for day in days[since:]] or [
        np.datetime64(datetime(2024, 2, 1, tzinfo=UTC).replace(tzinfo=None), "s")
    ]
    opened_at = np.array([end - np.timedelta64(3600, "s") for end in ends], dtype="datetime64[s]")
    crypto = Bars(symbol=BTC, interval=HOUR, opened_at=opened_at, closes=np.full(len(ends), 50.0), source="Coinbase")
    return align(WGMI_BTC, etf_closes(dict.fromkeys(days, 20.0)), crypto, CALENDAR, daily=daily)


@pytest.mark.parametrize(("daily_high", "high", "high_on"), [(40.0, 60.0, "2024-01-02"), (900.0, 900.0, "2015-07-20")])
def test_the_prior_high_is_the_highest_of_hours_before_the_listing_and_of_daily_closes(
    daily_high: float, high: float, high_on: str
) -> None:
    days = session_days("2024-01-02", 3)
    ends = [CALENDAR.closes_at[CALENDAR.index_of(np.datetime64(day)) or 0] for day in days]
    opened_at = np.array([end - np.timedelta64(3600, "s") for end in ends], dtype="datetime64[s]")
    crypto = Bars(
        symbol=BTC, interval=HOUR, opened_at=opened_at, closes=np.array([60.0, 50.0, 50.0]), source="Coinbase"
    )
    listed_later = etf_closes(dict.fromkeys(days[1:], 20.0))

    rows = align(WGMI_BTC, listed_later, crypto, CALENDAR, daily=bars("2015-07-20", [daily_high]))

    prior = rows.crypto_prior_high
    assert prior is not None
    assert (high, date.fromisoformat(high_on), date(2015, 7, 20)) == (prior.high, prior.high_on, prior.since)


def test_a_share_in_place_of_the_coin_is_measured_at_session_closes() -> None:
    rows = _aligned(since=0)
    etf, other = summarize_drawdowns(rows, etf_closes(dict.fromkeys(rows.sessions.tolist(), 50.0)))
    assert (False, "Coinbase", 10) == (other.basis.daily, other.basis.source, other.basis.sessions)
    assert "hand" == etf.basis.source
