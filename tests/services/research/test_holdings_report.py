from datetime import date, timedelta

import httpx
import pytest

from services.core.errors import NoHistoryError
from services.core.prices import WGMI_BTC
from services.core.reason import Code, Reason
from services.core.trust import TRUSTED, Verdict
from services.market.holdings import TOP_TEN, Holding, Holdings
from services.market.measure import Window
from tests.fakes.harness import open_harness
from tests.fakes.reasons import reason, reason_with
from tests.services.research.test_service import NOON, simulated


def holdings(as_of: date, source: str = "hand", **weights: float) -> Holdings:
    shares = tuple(Holding(ticker=ticker, weight=weight) for ticker, weight in weights.items())
    return Holdings(fund=WGMI_BTC.etf, as_of=as_of, source=source, positions=shares)


async def test_the_funds_return_is_attributed_to_holdings_and_cohorts() -> None:
    async with simulated(holdings(date(2025, 12, 31), IREN=0.5, MARA=0.3, CANG=0.1, NVDA=0.1)) as research:
        report = await research.holdings.report(Window.YTD, NOON)
    attribution = report.attribution
    assert ("2025-12-31", "2026-06-18") == (f"{attribution.anchor}", f"{attribution.session}")
    assert attribution.etf_return == pytest.approx(
        sum(item.contribution for item in attribution.holdings) + attribution.residual, abs=1e-12
    )
    assert ["contracted AI", "in transition", "pure play", "other"] == [
        item.cohort.value for item in report.cohort_effects
    ]
    assert ((reason(Code.WEIGHTS_TOO_OLD, age_days=169, as_of="2025-12-31"),), True) == (
        report.warnings,
        report.simulated,
    )


async def test_incomplete_weights_give_warnings() -> None:
    async with simulated(holdings(date(2026, 6, 17), f"Nasdaq, {TOP_TEN}", IREN=0.5)) as research:
        report = await research.holdings.report(Window.D20, NOON)
    assert (
        reason(Code.WEIGHTS_BACKFILLED, first="2026-06-17"),
        reason(Code.HOLDINGS_PARTIAL),
    ) == report.warnings


@pytest.mark.parametrize(
    ("mara", "report"),
    [
        pytest.param(0.55, (reason(Code.WEIGHTS_INCOMPLETE, as_of="2026-05-20", total=1.25),), id="too much"),
        pytest.param(0.1, (reason(Code.WEIGHTS_INCOMPLETE, as_of="2026-05-20", total=0.8),), id="too little"),
        pytest.param(0.29, (), id="nearly all"),
    ],
)
async def test_weights_that_do_not_add_up_give_a_warning(mara: float, report: tuple[Reason, ...]) -> None:
    async with simulated(holdings(date(2026, 5, 20), IREN=0.7, MARA=mara)) as research:
        attribution = await research.holdings.report(Window.D20, NOON)
    assert report == attribution.warnings


async def test_closes_from_a_single_source_are_degraded() -> None:
    async with open_harness(two_sources=True) as harness:
        day = harness.clock.at.date() - timedelta(days=10)
        await harness.store.save_holdings([holdings(day, IREN=0.5, MARA=0.5)])
        two_sources = await harness.research.holdings.report(Window.D1, harness.clock.at)
    async with open_harness(two_sources=True) as harness:
        harness.vendors.faults["nasdaq"] = [httpx.Response(500)] * 50
        await harness.store.save_holdings([holdings(day, IREN=0.5, MARA=0.5)])
        one_source = await harness.research.holdings.report(Window.D1, harness.clock.at)
    assert (TRUSTED, ()) == (two_sources.trust, two_sources.problems)
    assert Verdict.DEGRADED is one_source.trust.verdict
    assert (
        reason(Code.HOLDINGS_CLOSES_DEGRADED, degraded=2, holdings=2, worst="degraded"),
    ) == one_source.trust.reasons
    assert "Yahoo" in one_source.sources


async def test_a_fund_without_holdings_raises_with_instructions() -> None:
    async with simulated() as research:
        with pytest.raises(NoHistoryError, match="minerpulse holdings import"):
            await research.holdings.report(Window.D20, NOON)


async def test_a_fund_without_prices_raises_the_reason() -> None:
    async with open_harness(warm=False) as harness:
        harness.vendors.faults["yahoo"] = [httpx.Response(404, json={})] * 20
        await harness.store.save_holdings([holdings(date(2026, 3, 2), IREN=0.5)])
        with pytest.raises(NoHistoryError, match=r"Yahoo \(WGMI\): doesn't know the symbol") as error:
            await harness.research.holdings.report(Window.D1, harness.clock.at)
    assert reason_with(Code.NO_PRICES_YET, symbol="WGMI") == error.value.reason
