from dataclasses import replace
from datetime import timedelta
from math import nan

import numpy as np
import pytest

from services.core.errors import NoHistoryError
from services.core.prices import WGMI_BTC
from services.core.reason import Code
from services.market.align import Aligned, align
from services.market.measure import Window
from services.research.attribution import attribute_return
from services.research.explain import Explanation
from services.research.report import ATTRIBUTION_WINDOWS, ReportInput, build_report
from services.research.track_record import backtest
from services.rules.grammar import parse_rule
from tests.fakes.legs import proxy_closes, random_legs
from tests.fakes.market import CALENDAR, aligned_market, bars_at_closes, etf_closes, session_days
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
    assert result.curve.series[1].values[0] == pytest.approx(backtest_value(300))
    assert max(MARKET.etf[:400]) == pytest.approx(result.drawdowns[0].current.high)
    assert [len(leg) for leg in result.drawdown_paths] == [100, 100]


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
    with pytest.raises(NoHistoryError, match="have no session in common from"):
        build_report(report_input(), RULES, DAYS[-1] + timedelta(days=30))
