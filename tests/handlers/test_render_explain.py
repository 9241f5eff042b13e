from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from handlers.render.explain import explain_message
from services.core.prices import WGMI_BTC, Symbol
from services.core.trust import Trust, Verdict
from services.market.measure import Window
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
    betas=RollingBetas(first=BEFORE, last=AFTER, path=(BEFORE, betas_on(date(2025, 6, 16), 0.9, 0.8, 0.5), AFTER)),
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
    assert "The pivot gauge has too little history." in message
    assert "What would change the picture" not in message
    assert "When they moved within a day cannot be told: too few of their prices at openings are known." in message
    assert "minutes before" not in message


def test_each_legs_move_is_split_by_new_york_trading_hours() -> None:
    message = text(EXPLANATION)
    assert "While New York traded: WGMI −11.2%, bitcoin +5.4%." in message
    assert "While it was shut: WGMI +112.2%, bitcoin −32.1%; 2 of 116 sessions could not be split." in message
    assert "At an opening, bitcoin has its price of 30 minutes before." in message


def test_bitcoins_split_is_shown_without_the_etfs() -> None:
    assert EXPLANATION.session_split
    message = text(replace(EXPLANATION, session_split=replace(EXPLANATION.session_split, etf=None, excluded=0)))
    assert "Bitcoin +5.4% while New York traded, −32.1% while it was shut. When WGMI moved within a day" in message


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
    ("crypto", "proxy", "expected"),
    [
        pytest.param(0.55, 1.13, "WGMI follows bitcoin less than it did, and SMH more.", id="turned"),
        pytest.param(0.55, 0.50, "WGMI follows bitcoin less than it did.", id="away from bitcoin"),
        pytest.param(0.55, 0.10, "WGMI follows bitcoin less than it did, and SMH less.", id="away from both"),
        pytest.param(1.30, 1.13, "WGMI follows SMH more than it did.", id="towards AI"),
        pytest.param(1.90, 1.13, "WGMI follows bitcoin more than it did, and SMH more.", id="towards both"),
        pytest.param(1.90, 0.46, "WGMI follows bitcoin more than it did.", id="towards bitcoin"),
        pytest.param(1.33, 0.10, "WGMI follows SMH less than it did.", id="away from AI"),
        pytest.param(1.90, 0.10, "WGMI follows bitcoin more than it did, and SMH less.", id="back to bitcoin"),
        pytest.param(
            1.25, 0.50, "WGMI follows bitcoin and SMH no differently than the errors allow.", id="within the errors"
        ),
        pytest.param(
            1.12,
            0.70,
            "WGMI follows bitcoin and SMH no differently than the errors allow.",
            id="beyond one error alone",
        ),
    ],
)
def test_the_pivot_sentence_names_only_changes_beyond_both_errors(crypto: float, proxy: float, expected: str) -> None:
    now = betas_on(date(2026, 6, 18), crypto, proxy, 0.6)
    assert expected in text(replace(EXPLANATION, betas=RollingBetas(first=BEFORE, last=now, path=(BEFORE, now))))


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
    expected = "*Live*: today's session cannot be parted: SMH has no trade within five minutes of 14:40 UTC."
    assert expected in explain_message(result).text
