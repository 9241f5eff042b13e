from dataclasses import replace
from datetime import date

from handlers.render.miners import miners_message
from handlers.render.study import study_message, window_menu
from services.core.prices import Symbol
from services.core.reason import Code, Reason
from services.core.trust import Trust, Verdict
from services.market.measure import Window
from services.market.sources.files.cohorts import read_cohorts
from services.research.holdings_effects import HoldingContribution, HoldingsAttribution, brinson_effects
from services.research.holdings_report import HoldingsReport
from tests.fakes.blockkit import problems, shown
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
    trust=Trust(verdict=Verdict.DEGRADED, reasons=("WGMI's close is from Yahoo only",)),
    problems=("Nasdaq (WGMI): HTTP 503 Service Unavailable",),
)


def test_a_funds_holdings(golden: Golden) -> None:
    golden("miners", study_message(miners_message(REPORT), "miners", "20d", window_menu("miners_window")))


def test_the_notification_has_the_largest_contributions_of_either_sign() -> None:
    text = shown(miners_message(REPORT))
    assert text.startswith(
        "WGMI +9.0% over 20 sessions: IREN +5.0 pp, CIFR +2.4 pp, MARA −1.0 pp, residual +2.7 pp. "
        "Priced holdings are 44% of the fund. Data degraded: "
    )


def test_each_cohort_is_compared_with_equal_weights() -> None:
    lines = shown(miners_message(REPORT)).splitlines()
    row = lines.index("*Versus equal weight: +8.2 pp* = allocation +7.6 pp, selection +0.6 pp")
    assert (
        "Contracted AI (IREN, CIFR): allocation +4.8 pp, selection +0.6 pp; weight 66% (equal-weight 40%), "
        "return +26.4% (equal-weight +25.5%)" == lines[row + 1]
    )


def test_the_smaller_holdings_are_summed_up() -> None:
    many = tuple(
        HoldingContribution(ticker=f"T{n}", weight=0.02, own_return=0.1, contribution=0.002) for n in range(20)
    )
    holdings = (*HOLDINGS, *many)
    effects = brinson_effects(holdings, {ticker: member.cohort for ticker, member in COHORTS.items()})
    attribution = replace(ATTRIBUTION, holdings=holdings)
    message = miners_message(replace(REPORT, attribution=attribution, cohort_effects=effects))
    assert "14 more | 29.0 | – | +2.6\n" in shown(message)
    assert "\nOther (NVDA, T0, T1, T2 and 17 more): allocation " in shown(message)
    assert [] == problems(message._asdict())


def test_weights_of_several_days_have_their_range() -> None:
    days = (date(2026, 6, 30), date(2026, 7, 7))
    message = miners_message(replace(REPORT, attribution=replace(ATTRIBUTION, weight_dates=days)))
    assert "weights from 2 dates, Jun 30, 2026 to Jul 7, 2026, drifting with prices in between" in shown(message)


def test_a_fund_without_prices_has_no_cohorts_and_simulated_prices_are_marked() -> None:
    text = shown(miners_message(replace(REPORT, cohort_effects=(), cohorts={}, warnings=(), simulated=True)))
    assert text.startswith("SIMULATED · WGMI +9.0% over 20 sessions: ")
    assert "*Cohorts:* unknown: no holding has a price at both ends of the window" in text
    assert "cohorts assessed" not in text
    assert ":warning: No" not in text
