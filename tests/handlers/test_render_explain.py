from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from handlers.render.explain import explain_message
from handlers.render.message import Message, fallback_forms
from handlers.render.study import study_message, window_menu
from services.core.prices import WGMI_BTC, Symbol
from services.core.reason import Code, Reason
from services.core.statistics import WaldTest
from services.core.trust import Trust, Verdict
from services.market.measure import Correlation, Window
from services.research.attribution import Attribution, IntradayAttribution, Part
from services.research.explain import (
    Beta,
    Explanation,
    FactorBetas,
    LaterSessions,
    RollingBetas,
    SessionSplit,
    SplitReturn,
)
from services.research.service import ExplainResult, Provenance
from tests.fakes.blockkit import problems, shown
from tests.handlers.conftest import Golden

ATTRIBUTION = Attribution(
    window=Window.YTD,
    anchor=date(2025, 12, 31),
    session=date(2026, 6, 18),
    steps=116,
    lookback=126,
    etf_return=0.884,
    crypto_return=-0.284,
    proxy_return=0.832,
    crypto=Part(amount=-0.387, error=0.061),
    proxy=Part(amount=0.837, error=0.113),
    residual=Part(amount=0.434, error=0.147),
)


def betas_on(session: date, crypto: float, proxy: float, r2: float) -> FactorBetas:
    return FactorBetas(
        session=session, crypto=Beta(value=crypto, error=0.11), proxy=Beta(value=proxy, error=0.12), r2=r2
    )


BEFORE, AFTER = betas_on(date(2024, 6, 13), 1.33, 0.46, 0.354), betas_on(date(2026, 6, 18), 0.55, 1.13, 0.617)
EXPLANATION = Explanation(
    pair=WGMI_BTC,
    proxy=Symbol("SMH"),
    sources=("Yahoo", "Coinbase", "Yahoo"),
    attribution=ATTRIBUTION,
    short_lookback=replace(
        ATTRIBUTION, lookback=60, crypto=Part(amount=-0.399, error=0.09), residual=Part(amount=0.446, error=0.147)
    ),
    betas=RollingBetas(
        first=BEFORE,
        last=AFTER,
        path=(BEFORE, betas_on(date(2025, 6, 16), 0.9, 0.8, 0.5), AFTER),
        test=WaldTest(statistic=6.65548, p=0.0374961),
    ),
    correlation=Correlation(value=0.358015, pairs=60),
    session_split=SessionSplit(
        etf=SplitReturn(in_session=-0.112, out_of_session=1.122),
        crypto=SplitReturn(in_session=0.054, out_of_session=-0.321),
        excluded=2,
        open_price_age=timedelta(minutes=30),
    ),
)
ONE_SOURCE = Provenance(trust=Trust(verdict=Verdict.DEGRADED, reasons=("WGMI's close is from Yahoo only",)))


def text(explanation: Explanation, provenance: Provenance = ONE_SOURCE) -> str:
    return shown(explain_message(ExplainResult(explanation=explanation, provenance=provenance)))


def in_slack(result: ExplainResult) -> Message:
    return study_message(explain_message(result), "explain", "ytd", window_menu("explain_window"))


def chart_of(explanation: Explanation) -> dict[str, Any] | None:
    message = explain_message(ExplainResult(explanation=explanation, provenance=ONE_SOURCE))
    return next((block["chart"] for block in message.blocks if block["type"] == "data_visualization"), None)


def test_an_attribution_of_the_year(golden: Golden) -> None:
    golden("explain_year", in_slack(ExplainResult(explanation=EXPLANATION, provenance=ONE_SOURCE)))


def test_the_header_has_the_largest_part_and_the_notification_has_all() -> None:
    message = explain_message(ExplainResult(explanation=EXPLANATION, provenance=Provenance(simulated=True)))
    assert "SIMULATED · WGMI +88.4% in 2026: AI factor +83.7\u00a0pp" == message.blocks[0]["text"]["text"]
    assert shown(message).startswith(
        "SIMULATED · WGMI +88.4% in 2026: AI factor +83.7 pp, BTC factor −38.7 pp, residual +43.4 pp. "
        "Beta to BTC 0.55, was 1.33; "
        "beta to SMH 1.13, was 0.46 in Jun 2024. R² 0.62. Data OK."
    )


def test_the_larger_factor_is_the_first_row_and_the_residual_the_last_part() -> None:
    parts = replace(ATTRIBUTION, crypto=Part(amount=0.9, error=0.061))
    lines = text(replace(EXPLANATION, attribution=parts)).splitlines()
    row = lines.index("Factor | Contrib. pp | ± 1 SE | Return %")
    assert [
        "BTC | +90.0 | 6.1 | −28.4",
        "AI (SMH) | +83.7 | 11.3 | +83.2",
        "Residual | +43.4 | 14.7 | –",
        "WGMI | +88.4 | – | +88.4",
    ] == lines[row + 1 : row + 5]


def test_missing_history_is_mentioned_or_omitted() -> None:
    message = text(replace(EXPLANATION, short_lookback=None, betas=None, session_split=None))
    assert "*Rolling betas:* not enough history" in message
    assert "*Market hours and overnight:* too few opening prices" in message
    assert "With 60-session betas" not in message
    assert "Beta to" not in message


def test_each_legs_move_is_split_by_market_hours_with_how_many_sessions_are_known() -> None:
    known = "(opening prices for 114 of 116 sessions)"
    expected = f"*Market hours:* WGMI −11.2%, BTC +5.4%. *Overnight:* WGMI +112.2%, BTC −32.1% {known}."
    assert expected in text(EXPLANATION)


def test_the_split_of_btc_is_shown_without_the_etfs() -> None:
    assert EXPLANATION.session_split
    message = text(replace(EXPLANATION, session_split=replace(EXPLANATION.session_split, etf=None, excluded=0)))
    assert "*Market hours:* BTC +5.4%. *Overnight:* BTC −32.1%. Too few WGMI opening prices." in message


def test_later_sessions_are_shown_with_their_missing_prices() -> None:
    later = LaterSessions(count=77, last=date(2026, 10, 8), missing=(Symbol("BTC"), Symbol("SMH")))
    expected = "*Not in the table:* 77 sessions since, to Oct 8, 2026: no BTC and SMH price"
    assert expected in text(replace(EXPLANATION, later_sessions=later))
    assert "Not in the table" not in text(EXPLANATION)


def test_only_smh_is_called_chip_stocks() -> None:
    assert "SMH (chip stocks) is a proxy for AI" in text(EXPLANATION)
    assert " · QQQ is a proxy for AI" in text(replace(EXPLANATION, proxy=Symbol("QQQ")))


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        pytest.param(5.2e-5, "The betas have changed (p below 0.001).", id="far apart"),
        pytest.param(0.0042, "The betas have changed (p = 0.004).", id="apart"),
        pytest.param(0.0375, "The betas have changed (p = 0.04).", id="changed"),
        pytest.param(0.458, "No change beyond estimation error (p = 0.46).", id="within the errors"),
    ],
)
def test_one_test_decides_whether_the_betas_have_changed(p: float, expected: str) -> None:
    betas = RollingBetas(first=BEFORE, last=AFTER, path=(BEFORE, AFTER), test=WaldTest(statistic=1.0, p=p))
    lines = text(replace(EXPLANATION, betas=betas)).splitlines()
    row = lines.index(f"*Rolling betas:* {expected}")
    assert (
        "BTC β *0.55* ± 0.11, was 1.33 ± 0.11 in Jun 2024. SMH β *1.13* ± 0.12, was 0.46 ± 0.12. R² 0.62, was 0.35."
        == lines[row + 1]
    )


def test_estimates_that_share_sessions_have_no_verdict() -> None:
    betas = RollingBetas(first=BEFORE, last=AFTER, path=(BEFORE, AFTER), shared_sessions=40)
    message = text(replace(EXPLANATION, betas=betas))
    assert "*Rolling betas:* It's unclear whether the betas changed: the two estimates share 40 sessions." in message
    assert "was 1.33 ± 0.11 in Jun 2024" in message


def test_an_unknown_error_is_left_out_and_gives_no_verdict() -> None:
    unknown = replace(AFTER, crypto=Beta(value=0.55, error=None))
    betas = RollingBetas(first=BEFORE, last=unknown, path=(BEFORE, unknown))
    parts = replace(ATTRIBUTION, crypto=Part(amount=-0.387, error=None))
    message = text(replace(EXPLANATION, betas=betas, attribution=parts))
    assert "*Rolling betas:* It's unclear whether the betas changed: their errors are unknown." in message
    assert "BTC β *0.55*, was 1.33 ± 0.11 in Jun 2024." in message
    assert "BTC | −38.7 | – | −28.4" in message


def test_the_correlation_has_its_interval_and_r2() -> None:
    expected = "WGMI and BTC over 60 sessions: correlation 0.36 (90% interval 0.16 to 0.53), R² 0.13"
    assert expected in text(EXPLANATION)
    assert "correlation" not in text(replace(EXPLANATION, correlation=None))


def test_the_betas_of_two_years_are_charted_about_once_a_quarter() -> None:
    path = tuple(betas_on(BEFORE.session + timedelta(days=30 * month), 0.9, 0.8, 0.5) for month in range(25))
    betas = RollingBetas(first=BEFORE, last=AFTER, path=(BEFORE, *path[1:-1], AFTER))
    chart = chart_of(replace(EXPLANATION, betas=betas))
    assert chart
    months = ["Jun 24", "Sep 24", "Dec 24", "Mar 25", "Jun 25", "Sep 25", "Dec 25", "Mar 26", "Jun 26"]
    assert months == chart["axis_config"]["categories"]
    btc, smh = ([point["value"] for point in series["data"]] for series in chart["series"])
    assert ([1.33, *[0.9] * 7, 0.55], [0.46, *[0.8] * 7, 1.13]) == (btc, smh)


def test_betas_of_one_month_are_charted_by_date_and_one_estimate_is_not() -> None:
    near = betas_on(BEFORE.session + timedelta(days=3), 0.9, 0.8, 0.5)
    chart = chart_of(replace(EXPLANATION, betas=RollingBetas(first=BEFORE, last=near, path=(BEFORE, near))))
    assert chart
    assert ["Jun 13, 2024", "Jun 16, 2024"] == chart["axis_config"]["categories"]
    assert chart_of(replace(EXPLANATION, betas=RollingBetas(first=near, last=near, path=(near,)))) is None


def test_without_charts_the_table_stays_and_with_neither_both_are_text() -> None:
    message = in_slack(ExplainResult(explanation=EXPLANATION, provenance=ONE_SOURCE))
    without_chart, as_text, *_ = fallback_forms(message)
    assert [[], []] == [problems(form._asdict()) for form in (without_chart, as_text)]
    assert {"table"} == {block["type"] for block in without_chart.blocks} & {"table", "data_visualization"}
    assert "Jun 24         1.33         0.46" in shown(as_text)


def test_an_open_session_is_shown_separately(golden: Golden) -> None:
    live = IntradayAttribution(
        anchor=date(2026, 6, 18),
        at=datetime(2026, 6, 22, 14, 40, tzinfo=UTC),
        etf_return=0.031,
        crypto_return=-0.012,
        proxy_return=0.018,
        crypto=Part(amount=-0.007, error=0.001),
        proxy=Part(amount=0.02, error=0.002),
        residual=Part(amount=0.018, error=0.0025),
    )
    golden("explain_live", in_slack(ExplainResult(explanation=EXPLANATION, provenance=ONE_SOURCE, intraday=live)))


def test_an_open_session_without_an_attribution_says_why() -> None:
    result = ExplainResult(
        explanation=EXPLANATION,
        provenance=ONE_SOURCE,
        no_intraday_reason=Reason.of(Code.NO_TRADE_NEAR, symbol="SMH", at=datetime(2026, 6, 22, 14, 40, tzinfo=UTC)),
    )
    assert "*Today so far:* no attribution (SMH has no trade within five minutes of <!date" in shown(
        explain_message(result)
    )
