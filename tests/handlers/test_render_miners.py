from dataclasses import replace
from datetime import date

from handlers.render.miners import miners_message
from services.core.prices import Symbol
from services.core.reason import Code, Reason
from services.core.trust import Trust, Verdict
from services.market.measure import Window
from services.market.sources.files.cohorts import read_cohorts
from services.research.holdings_effects import HoldingContribution, HoldingsAttribution, brinson_effects
from services.research.holdings_report import HoldingsReport
from tests.fakes.blockkit import problems
from tests.handlers.conftest import Golden

COHORTS = read_cohorts()
HOLDINGS = (
    HoldingContribution(ticker="IREN", weight=0.17, own_return=0.31, contribution=0.05),
    HoldingContribution(ticker="CIFR", weight=0.12, own_return=0.2, contribution=0.024),
    HoldingContribution(ticker="NVDA", weight=0.04, own_return=0.05, contribution=0.002),
    HoldingContribution(ticker="ZZZZ", weight=0.03, own_return=None, contribution=0.0),
    HoldingContribution(ticker="CANG", weight=0.03, own_return=-0.1, contribution=-0.003),
    HoldingContribution(ticker="MARA", weight=0.08, own_return=-0.12, contribution=-0.01),
)
ATTRIBUTION = HoldingsAttribution(
    window=Window.D20,
    anchor=date(2026, 6, 9),
    session=date(2026, 7, 8),
    etf_return=0.09,
    holdings=HOLDINGS,
    residual=0.027,
    covered_weight=0.44,
    weight_dates=(date(2026, 7, 7),),
    backfilled=True,
)
REPORT = HoldingsReport(
    fund=Symbol("WGMI"),
    attribution=ATTRIBUTION,
    cohort_effects=brinson_effects(HOLDINGS, {ticker: member.cohort for ticker, member in COHORTS.items()}),
    cohorts=COHORTS,
    warnings=(
        Reason.of(Code.WEIGHTS_BACKFILLED, first="2026-07-07"),
        Reason.of(Code.HOLDINGS_WITHOUT_PRICES, tickers=["ZZZZ"]),
    ),
    simulated=False,
    sources=("Yahoo",),
    trust=Trust(verdict=Verdict.DEGRADED, reasons=("WGMI's close is from Yahoo alone",)),
    problems=("Nasdaq on WGMI: away",),
)


def test_a_funds_holdings(golden: Golden) -> None:
    golden("miners", miners_message(REPORT))


def test_the_smaller_holdings_are_summed_up() -> None:
    many = tuple(
        HoldingContribution(ticker=f"T{n}", weight=0.02, own_return=0.1, contribution=0.002) for n in range(20)
    )
    message = miners_message(replace(REPORT, attribution=replace(ATTRIBUTION, holdings=(*HOLDINGS, *many))))
    assert "14 more: added +2.6 pp, weight 29.0%, return –, –" in message.text
    assert [] == problems(message._asdict())


def test_a_fund_without_prices_has_no_cohorts_and_simulated_prices_are_marked() -> None:
    text = miners_message(replace(REPORT, cohort_effects=(), cohorts={}, warnings=(), simulated=True)).text
    assert text.startswith("SIMULATED: WGMI +9.0% over 20 days, by holding\n")
    assert "No cohort can be measured: no share has a price at both ends." in text
    assert "Careful" not in text
