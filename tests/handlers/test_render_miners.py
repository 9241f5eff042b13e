from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

from handlers.render.message import Message
from handlers.render.miners import miners_message
from services.core.prices import Symbol
from services.core.trust import Trust, Verdict
from services.market.measure import Window
from services.market.sources.files.cohorts import read_cohorts
from services.research.holdings_effects import Contributions, Contributor, effects
from services.research.holdings_report import HoldingsReport
from tests.fakes.blockkit import problems

Golden = Callable[[str, "Message"], None]
COHORTS = read_cohorts()
NAMES = (
    Contributor(ticker="IREN", weight=0.17, moved=0.31, added=0.05),
    Contributor(ticker="CIFR", weight=0.12, moved=0.2, added=0.024),
    Contributor(ticker="NVDA", weight=0.04, moved=0.05, added=0.002),
    Contributor(ticker="ZZZZ", weight=0.03, moved=None, added=0.0),
    Contributor(ticker="CANG", weight=0.03, moved=-0.1, added=-0.003),
    Contributor(ticker="MARA", weight=0.08, moved=-0.12, added=-0.01),
)
FOUND = Contributions(
    window=Window.D20,
    anchor=date(2026, 6, 9),
    session=date(2026, 7, 8),
    etf_return=0.09,
    contributors=NAMES,
    rest=0.027,
    covered=0.44,
    known=(date(2026, 7, 7),),
    carried_back=True,
)
TOLD = HoldingsReport(
    fund=Symbol("WGMI"),
    contributions=FOUND,
    effects=effects(NAMES, {ticker: one.cohort for ticker, one in COHORTS.items()}),
    cohorts=COHORTS,
    warnings=("no weights are known before 2026-07-07; those are carried back by prices", "without prices: ZZZZ"),
    simulated=False,
    sources=("Yahoo",),
    trust=Trust(verdict=Verdict.DEGRADED, reasons=("WGMI's close is from Yahoo alone",)),
    problems=("Nasdaq on WGMI: away",),
)


def test_a_fund_from_the_inside(golden: Golden) -> None:
    golden("miners", miners_message(TOLD))


def test_the_smaller_holdings_are_summed_up() -> None:
    many = tuple(Contributor(ticker=f"T{n}", weight=0.02, moved=0.1, added=0.002) for n in range(20))
    message = miners_message(replace(TOLD, contributions=replace(FOUND, contributors=(*NAMES, *many))))
    assert "14 more: added +2.6 pp, weight 29.0%, return –, –" in message.text
    assert [] == problems(message._asdict())


def test_a_fund_without_a_price_has_no_cohorts_and_simulated_ones_are_named() -> None:
    text = miners_message(replace(TOLD, effects=(), cohorts={}, warnings=(), simulated=True)).text
    assert text.startswith("SIMULATED: WGMI +9.0% over 20 days, by holding\n")
    assert "No cohort can be measured: no share has a price at both ends." in text
    assert "Careful" not in text
