from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from handlers.render.explain import explain_message
from handlers.render.message import Message
from services.core.prices import WGMI_BTC, Symbol
from services.core.trust import Trust, Verdict
from services.market.measure import Window
from services.research.attribution import Attribution, IntradayAttribution, Part
from services.research.explain import Beta, BetaGauge, Explanation, Hours, Later, Reading, Regime
from services.research.results import ExplainResult, Provenance

Golden = Callable[[str, "Message"], None]
PARTS = Attribution(
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


def reading(session: date, crypto: float, proxy: float, r2: float) -> Reading:
    return Reading(session=session, crypto=Beta(value=crypto, error=0.11), proxy=Beta(value=proxy, error=0.12), r2=r2)


THEN, NOW = reading(date(2024, 6, 13), 1.33, 0.46, 0.354), reading(date(2026, 6, 18), 0.55, 1.13, 0.617)
FOUND = Explanation(
    pair=WGMI_BTC,
    proxy=Symbol("SMH"),
    sources=("yahoo", "coinbase", "yahoo"),
    attribution=PARTS,
    shorter=replace(PARTS, lookback=60, crypto=Part(amount=-0.399, error=0.09)),
    gauge=BetaGauge(then=THEN, now=NOW, path=(THEN, reading(date(2025, 6, 16), 0.9, 0.8, 0.5), NOW)),
    hours=Hours(
        etf=Regime(inside=-0.112, outside=1.122),
        crypto=Regime(inside=0.054, outside=-0.321),
        unsplit=2,
        early=timedelta(minutes=30),
    ),
)
ALONE = Provenance(trust=Trust(verdict=Verdict.DEGRADED, reasons=("WGMI's close is from yahoo alone",)))


def text(found: Explanation, basis: Provenance = ALONE) -> str:
    return explain_message(ExplainResult(explanation=found, basis=basis)).text


def test_an_explanation_of_the_year(golden: Golden) -> None:
    golden("explain_year", explain_message(ExplainResult(explanation=FOUND, basis=ALONE)))


def test_an_explanation_of_simulated_prices_says_so_first() -> None:
    assert text(FOUND, Provenance(simulated=True)).startswith("SIMULATED: WGMI +88.4% in 2026: bitcoin −38.7 pp")


def test_what_the_history_does_not_have_is_said_or_left_out() -> None:
    told = text(replace(FOUND, shorter=None, gauge=None, hours=None))
    assert "The pivot gauge has too little history." in told
    assert "What would change the picture" not in told
    assert "When they moved within a day cannot be told: too few of their prices at openings are known." in told
    assert "minutes before" not in told


def test_which_leg_moved_is_told_of_new_yorks_hours_and_of_the_rest() -> None:
    told = text(FOUND)
    assert "While New York traded: WGMI −11.2%, bitcoin +5.4%." in told
    assert "While it was shut: WGMI +112.2%, bitcoin −32.1%; 2 of 116 sessions could not be split." in told
    assert "At an opening, bitcoin has its price of 30 minutes before." in told


def test_bitcoins_hours_are_told_where_the_etfs_are_not_known() -> None:
    assert FOUND.hours
    told = text(replace(FOUND, hours=replace(FOUND.hours, etf=None, unsplit=0)))
    assert "Bitcoin +5.4% while New York traded, −32.1% while it was shut. When WGMI moved within a day" in told


def test_sessions_that_came_after_are_told_with_what_they_lack() -> None:
    later = Later(sessions=77, last=date(2026, 10, 8), lacking=(Symbol("BTC"), Symbol("SMH")))
    expected = "*Not explained*: 77 sessions after that, up to 8 Oct 2026, for want of a price of bitcoin and SMH."
    assert expected in text(replace(FOUND, later=later))
    assert "Not explained" not in text(FOUND)


def test_another_proxy_is_not_said_to_stand_for_chips() -> None:
    assert "QQQ is a proxy for AI: it stands for what moves with it, whatever" in text(
        replace(FOUND, proxy=Symbol("QQQ"))
    )


def test_the_leg_that_moved_more_is_named_first() -> None:
    quiet = replace(FOUND, attribution=replace(PARTS, etf_return=0.01, crypto_return=-0.05))
    assert "Bitcoin moved more: −5.0%, WGMI +1.0%." in text(quiet)


@pytest.mark.parametrize(
    ("crypto", "proxy", "told"),
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
def test_the_gauge_says_what_is_beyond_its_errors(crypto: float, proxy: float, told: str) -> None:
    now = reading(date(2026, 6, 18), crypto, proxy, 0.6)
    assert told in text(replace(FOUND, gauge=BetaGauge(then=THEN, now=now, path=(THEN, now))))


def test_each_row_of_bars_tells_its_own_scale() -> None:
    """The bars of both rows are as high, and do not stand for the same betas."""
    assert "bitcoin █▄▁ 0.55 to 1.33; SMH ▁▅█ 0.46 to 1.13" in text(FOUND)


def test_an_open_session_is_told_apart_from_what_is_closed(golden: Golden) -> None:
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
    golden("explain_live", explain_message(ExplainResult(explanation=FOUND, basis=ALONE, so_far=live)))


def test_an_open_session_that_cannot_be_parted_says_why() -> None:
    told = ExplainResult(explanation=FOUND, basis=ALONE, unlive="SMH has no trade within five minutes of 14:40 UTC")
    expected = "*Live*: today's session cannot be parted: SMH has no trade within five minutes of 14:40 UTC."
    assert expected in explain_message(told).text
