from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from handlers.render.explain import explain_message
from services.core.prices import WGMI_BTC, Symbol
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
    sources=("yahoo", "coinbase", "yahoo"),
    attribution=ATTRIBUTION,
    short_lookback=replace(ATTRIBUTION, lookback=60, crypto=Part(amount=-0.399, error=0.09)),
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
ONE_SOURCE = Provenance(trust=Trust(verdict=Verdict.DEGRADED, reasons=("WGMI's close is from yahoo alone",)))


def text(explanation: Explanation, provenance: Provenance = ONE_SOURCE) -> str:
    return explain_message(ExplainResult(explanation=explanation, provenance=provenance)).text


def test_an_attribution_of_the_year(golden: Golden) -> None:
    golden("explain_year", explain_message(ExplainResult(explanation=EXPLANATION, provenance=ONE_SOURCE)))


def test_an_attribution_of_simulated_prices_is_marked_first() -> None:
    assert text(EXPLANATION, Provenance(simulated=True)).startswith("SIMULATED: WGMI +88.4% in 2026: bitcoin −38.7 pp")


def test_missing_history_is_mentioned_or_omitted() -> None:
    message = text(replace(EXPLANATION, short_lookback=None, betas=None, session_split=None))
    assert "*Rolling betas*: too little history." in message
    assert "What would change the picture" not in message
    assert "There is no split by trading hours: too few of their opening prices are known." in message
    assert "minutes before" not in message


def test_each_legs_move_is_split_by_new_york_trading_hours() -> None:
    message = text(EXPLANATION)
    assert "While New York traded: WGMI −11.2%, bitcoin +5.4%." in message
    assert "While it was shut: WGMI +112.2%, bitcoin −32.1%; 2 of 116 sessions could not be split." in message
    assert "At an opening, bitcoin has its price of 30 minutes before." in message


def test_bitcoins_split_is_shown_without_the_etfs() -> None:
    assert EXPLANATION.session_split
    message = text(replace(EXPLANATION, session_split=replace(EXPLANATION.session_split, etf=None, excluded=0)))
    assert "Bitcoin +5.4% while New York traded, −32.1% while it was shut. There is no such split for WGMI" in message


def test_later_sessions_are_shown_with_their_missing_prices() -> None:
    later = LaterSessions(count=77, last=date(2026, 10, 8), missing=(Symbol("BTC"), Symbol("SMH")))
    expected = "*Not explained*: 77 sessions after that, up to 8 Oct 2026, for want of a price of bitcoin and SMH."
    assert expected in text(replace(EXPLANATION, later_sessions=later))
    assert "Not explained" not in text(EXPLANATION)


def test_a_proxy_other_than_smh_is_not_called_a_proxy_for_chips() -> None:
    assert "QQQ is a proxy for AI: it stands for what moves with it, whatever" in text(
        replace(EXPLANATION, proxy=Symbol("QQQ"))
    )


def test_the_leg_that_moved_more_comes_first() -> None:
    quiet_etf = replace(EXPLANATION, attribution=replace(ATTRIBUTION, etf_return=0.01, crypto_return=-0.05))
    assert "Bitcoin moved more: −5.0%, WGMI +1.0%." in text(quiet_etf)


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
    row = lines.index(f"*Rolling betas.* {expected}")
    assert "13 Jun 2024: bitcoin β *1.33* ± 0.11, SMH β *0.46* ± 0.12, R² 0.35." == lines[row + 1]
    assert "18 Jun 2026: bitcoin β *0.55* ± 0.11, SMH β *1.13* ± 0.12, R² 0.62." == lines[row + 2]


def test_estimates_that_share_sessions_have_no_verdict() -> None:
    betas = RollingBetas(first=BEFORE, last=AFTER, path=(BEFORE, AFTER), shared_sessions=40)
    message = text(replace(EXPLANATION, betas=betas))
    assert "*Rolling betas.* No verdict on a change: the two estimates share 40 sessions." in message
    assert "13 Jun 2024: bitcoin β *1.33* ± 0.11" in message


def test_an_unknown_error_is_left_out_and_gives_no_verdict() -> None:
    unknown = replace(AFTER, crypto=Beta(value=0.55, error=None))
    betas = RollingBetas(first=BEFORE, last=unknown, path=(BEFORE, unknown))
    parts = replace(ATTRIBUTION, crypto=Part(amount=-0.387, error=None))
    message = explain_message(
        ExplainResult(explanation=replace(EXPLANATION, betas=betas, attribution=parts), provenance=ONE_SOURCE)
    )
    assert "*Rolling betas.* No verdict on a change: the errors of the betas are not known." in message.text
    assert "18 Jun 2026: bitcoin β *0.55*, SMH β *1.13* ± 0.12, R² 0.62." in message.text
    assert "Bitcoin: −38.7 pp, itself −28.4%" in message.text


def test_the_correlation_has_its_interval_and_r2() -> None:
    expected = "WGMI and bitcoin over 60 sessions: correlation 0.36 (90% interval 0.16 to 0.53), R² 0.13."
    assert expected in text(EXPLANATION)
    assert "correlation" not in text(replace(EXPLANATION, correlation=None))


def test_each_sparkline_shows_its_own_range() -> None:
    """Both sparklines have the same height but stand for different betas."""
    assert "bitcoin █▄▁ 0.55 to 1.33; SMH ▁▅█ 0.46 to 1.13" in text(EXPLANATION)


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
    golden(
        "explain_live", explain_message(ExplainResult(explanation=EXPLANATION, provenance=ONE_SOURCE, intraday=live))
    )


def test_an_open_session_without_an_attribution_says_why() -> None:
    result = ExplainResult(
        explanation=EXPLANATION,
        provenance=ONE_SOURCE,
        no_intraday_reason="SMH has no trade within five minutes of 14:40 UTC",
    )
    expected = "*Live*: today's session can't be attributed: SMH has no trade within five minutes of 14:40 UTC."
    assert expected in explain_message(result).text
