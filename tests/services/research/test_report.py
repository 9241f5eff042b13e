from dataclasses import replace
from datetime import date, timedelta
from math import nan

import numpy as np
import pandas as pd
import pytest
import quantstats

from bot.price_files import align_files, read_price_files
from services.core.errors import NoHistoryError
from services.core.prices import WGMI_BTC
from services.core.reason import Code
from services.market.align import Aligned, PriorHigh, align
from services.market.measure import Window, measure
from services.research.attribution import attribute_return
from services.research.explain import Explanation
from services.research.report import ATTRIBUTION_WINDOWS, ReportInput, build_report, summarize_drawdown
from services.research.track_record import backtest
from services.rules.grammar import parse_rule
from tests.fakes.legs import proxy_closes, random_legs
from tests.fakes.market import CALENDAR, aligned_market, bars_at_closes, etf_closes, random_market, session_days
from tests.fakes.price_files import DATA, needs_data
from tests.fakes.reasons import reason

LEGS = random_legs(500)
MARKET = LEGS.aligned
RULES = [parse_rule("1d 8pp"), parse_rule("5d 15pp")]
DAYS = MARKET.sessions.tolist()


def report_input(market: Aligned = MARKET, *, proxy: bool = True) -> ReportInput:
    return ReportInput(
        aligned=market,
        etf=proxy_closes(MARKET.sessions, MARKET.etf),
        crypto=proxy_closes(MARKET.sessions, MARKET.crypto),
        sessions=CALENDAR,
        proxy=proxy_closes(MARKET.sessions, LEGS.proxy_prices) if proxy else None,
        proxy_missing="No closes of SMH.",
    )


def test_a_full_report_equals_backtest_and_explanation() -> None:
    result = build_report(report_input(), RULES)
    assert tuple(backtest(MARKET, rule) for rule in RULES) == result.backtests
    assert tuple(attribute_return(LEGS, window) for window in ATTRIBUTION_WINDOWS) == result.attributions
    assert isinstance(result.explanation, Explanation)
    assert attribute_return(LEGS, Window.YTD) == result.explanation.attribution
    assert (500, 500, 2) == (result.sessions, result.requested, len(result.curve.series))


def test_a_report_ignores_prices_after_its_end() -> None:
    changed = replace(MARKET, etf=np.append(MARKET.etf[:400], MARKET.etf[400:] * 3))
    last = DAYS[399]
    assert repr(build_report(report_input(), RULES, last=last)) == repr(
        build_report(report_input(changed), RULES, last=last)
    )  # repr, because NaN != NaN


def test_a_report_uses_prices_before_its_start() -> None:
    result = build_report(report_input(), RULES, DAYS[300], DAYS[399])
    assert (DAYS[300], DAYS[399], 100) == (
        result.curve.points[0].session,
        result.curve.points[-1].session,
        result.requested,
    )
    assert result.curve.series[1].values[0] == pytest.approx(backtest_value(300))  # noqa: PD011 -- no frame
    assert max(MARKET.etf[:400]) == pytest.approx(result.drawdowns[0].current.high)
    assert [len(leg) for leg in result.drawdown_paths] == [100, 100]


def test_a_report_has_the_spread_over_each_window_at_its_last_session() -> None:
    result = build_report(report_input(), RULES, DAYS[300], DAYS[399])
    known = MARKET.head(400)
    assert [measure(known, window) for window in Window] == [spread.measured for spread in result.spreads]
    five_sessions = result.spreads[1]
    assert [backtest_value(row) for row in range(340, 400)] == pytest.approx(list(five_sessions.recent))


def test_recent_spreads_of_a_short_history_begin_with_it() -> None:
    market = aligned_market([20.0, None, 22.0, 21.0], [100.0] * 4)
    one_session = build_report(report_input(market), RULES).spreads[0]
    assert [nan, nan, nan, pytest.approx(21 / 22 - 1)] == pytest.approx(list(one_session.recent), nan_ok=True)


def backtest_value(row: int) -> float:
    etf, crypto = (prices[row] / prices[row - 5] - 1 for prices in (MARKET.etf, MARKET.crypto))
    return float(etf - crypto)


def test_missing_prices_are_counted_and_leave_a_gap() -> None:
    market = aligned_market([20.0, None, 22.0, 21.0], [100.0] * 4)
    result = build_report(report_input(market), RULES)
    assert (3, 4) == (result.sessions, result.requested)
    assert [market.sessions[1].item()] == [out.session for out in result.left_out]
    assert [0.0, nan, 0.0, 1 / 22] == pytest.approx(list(result.drawdown_paths[0]), nan_ok=True)


def test_incomplete_sessions_at_both_ends_are_listed() -> None:
    day = session_days("2024-01-02", 5)
    bars = bars_at_closes(day[1:3], [100.0, 100.0])
    market = align(WGMI_BTC, etf_closes(dict.fromkeys(day, 20.0)), bars, CALENDAR)
    result = build_report(report_input(market), [])
    assert (2, 5, day[1], day[2]) == (
        result.sessions,
        result.requested,
        *(result.curve.points[at].session for at in (0, -1)),
    )
    assert [day[0], day[3], day[4]] == [out.session for out in result.left_out]
    cut = build_report(report_input(market), [], day[1], day[3])
    assert (2, 3, [day[3]]) == (cut.sessions, cut.requested, [out.session for out in cut.left_out])


def test_a_report_without_attribution_has_a_reason() -> None:
    assert ("No closes of SMH.", ()) == (
        build_report(report_input(proxy=False), []).explanation,
        build_report(report_input(proxy=False), []).attributions,
    )
    short = build_report(report_input(MARKET.head(20)), [])
    assert (
        reason(Code.CANNOT_EXPLAIN, reason=reason(Code.HISTORY_BEGINS, session="2022-02-08"), window="ytd"),
        (),
    ) == (short.explanation, short.attributions)


def test_a_range_without_a_session_raises() -> None:
    with pytest.raises(NoHistoryError, match="have no sessions in common from"):
        build_report(report_input(), RULES, DAYS[-1] + timedelta(days=30))


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


@needs_data
def test_real_bitcoin_prices_of_april_2026() -> None:
    market = align_files(read_price_files(DATA / "equities/WGMI.csv", DATA / "btc/btcusdt_binance_1h.csv"))
    market = market.head(int(np.flatnonzero(market.complete)[-1]) + 1)
    result = summarize_drawdown(market, market.pair.crypto, market.crypto, market.crypto_prior_high)
    assert result is not None
    assert (date(2026, 4, 13), date(2025, 10, 6)) == (market.sessions[-1].astype(object), result.current.high_on)
    assert result.current.depth == pytest.approx(1 - market.crypto[-1] / np.nanmax(market.crypto))
