from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from math import nan

import numpy as np
import pytest

from services.core.errors import NoHistoryError
from services.core.prices import WGMI_BTC
from services.market.align import Aligned, align
from services.market.measure import Window
from services.research.attribution import attribute
from services.research.explain import Explanation
from services.research.report import WINDOWS, Material, report
from services.research.track_record import backtest
from services.rules.grammar import parse_rule
from tests.fakes.legs import proxy_closes, random_legs
from tests.fakes.market import CALENDAR, aligned_market, bars_at_closes, etf_closes, session_days

LEGS = random_legs(500)
MARKET = LEGS.aligned
RULES = [parse_rule("1d 8pp"), parse_rule("5d 15pp")]
DAYS = MARKET.sessions.tolist()


def material(market: Aligned = MARKET, *, proxy: bool = True) -> Material:
    return Material(
        aligned=market,
        etf=proxy_closes(MARKET.sessions, MARKET.etf),
        crypto=proxy_closes(MARKET.sessions, MARKET.crypto),
        sessions=CALENDAR,
        proxy=proxy_closes(MARKET.sessions, LEGS.proxy_prices) if proxy else None,
        missing="No closes of SMH.",
    )


def test_a_report_of_everything_is_what_a_backtest_and_an_explanation_find() -> None:
    told = report(material(), RULES)
    assert tuple(backtest(MARKET, rule) for rule in RULES) == told.tested
    assert tuple(attribute(LEGS, window) for window in WINDOWS) == told.parted
    assert isinstance(told.explanation, Explanation)
    assert attribute(LEGS, Window.YTD) == told.explanation.attribution
    assert (500, 500, 2) == (told.sessions, told.of, len(told.curve.traces))


def test_a_report_ends_where_it_is_told_to_whatever_came_later() -> None:
    shaken = replace(MARKET, etf=np.append(MARKET.etf[:400], MARKET.etf[400:] * 3))
    last = DAYS[399]
    assert repr(report(material(), RULES, last=last)) == repr(report(material(shaken), RULES, last=last))  # NaN is none


def test_a_report_begins_where_it_is_told_to_and_still_knows_what_was_before() -> None:
    told = report(material(), RULES, DAYS[300], DAYS[399])
    assert (DAYS[300], DAYS[399], 100) == (told.curve.points[0].session, told.curve.points[-1].session, told.of)
    assert told.curve.traces[1].values[0] == pytest.approx(backtest_value(300))
    assert max(MARKET.etf[:400]) == pytest.approx(told.depths[0].now.high)
    assert [len(leg) for leg in told.below] == [100, 100]


def backtest_value(row: int) -> float:
    etf, crypto = (prices[row] / prices[row - 5] - 1 for prices in (MARKET.etf, MARKET.crypto))
    return float(etf - crypto)


def test_what_is_missing_is_counted_and_told_and_no_line_goes_through_it() -> None:
    market = aligned_market([20.0, None, 22.0, 21.0], [100.0] * 4)
    told = report(material(market), RULES)
    assert (3, 4) == (told.sessions, told.of)
    assert [market.sessions[1].item()] == [out.session for out in told.left_out]
    assert [0.0, nan, 0.0, 1 / 22] == pytest.approx(list(told.below[0]), nan_ok=True)


def test_sessions_before_the_first_and_after_the_last_with_both_prices_are_told_too() -> None:
    day = session_days("2024-01-02", 5)
    bars = bars_at_closes(day[1:3], [100.0, 100.0])
    market = align(WGMI_BTC, etf_closes(dict.fromkeys(day, 20.0)), bars, CALENDAR)
    told = report(material(market), [])
    assert (2, 5, day[1], day[2]) == (told.sessions, told.of, *(told.curve.points[at].session for at in (0, -1)))
    assert [day[0], day[3], day[4]] == [out.session for out in told.left_out]
    cut = report(material(market), [], day[1], day[3])
    assert (2, 3, [day[3]]) == (cut.sessions, cut.of, [out.session for out in cut.left_out])


def test_without_a_proxy_or_with_too_short_a_history_nothing_is_parted_and_the_reason_is_told() -> None:
    assert ("No closes of SMH.", ()) == (
        report(material(proxy=False), []).explanation,
        report(material(proxy=False), []).parted,
    )
    short = report(material(MARKET.head(20)), [])
    assert ("ytd cannot be explained: the history begins on 2022-02-08.", ()) == (short.explanation, short.parted)


def test_a_range_without_a_session_is_refused() -> None:
    with pytest.raises(NoHistoryError, match="have no session in common from"):
        report(material(), RULES, DAYS[-1] + timedelta(days=30))
