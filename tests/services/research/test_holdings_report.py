from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta

import httpx
import pytest

from services.core.errors import NoHistoryError
from services.core.prices import WGMI_BTC
from services.core.trust import FULL, Verdict
from services.market.holdings import TOP_TEN, Holding, Holdings
from services.market.measure import Window
from services.market.price_history import PriceHistory
from services.market.sources.files.cohorts import read_cohorts
from services.market.sources.simulated.market import Simulated
from services.research.holdings_report import HoldingsReporter
from services.storage import SqlStore
from tests.fakes.clock import SetClock
from tests.fakes.floor import trading_floor

NOON = datetime(2026, 6, 19, 17, 0, tzinfo=UTC)  # a holiday, between two sessions


def holdings(as_of: date, source: str = "hand", **weights: float) -> Holdings:
    shares = tuple(Holding(ticker=ticker, weight=weight) for ticker, weight in weights.items())
    return Holdings(fund=WGMI_BTC.etf, as_of=as_of, source=source, positions=shares)


@asynccontextmanager
async def inside(*held: Holdings) -> AsyncIterator[HoldingsReporter]:
    """The fund in the simulated market, where any share trades."""
    market = Simulated(SetClock(NOON))
    store = await SqlStore.open("sqlite://")
    await store.save_holdings(held)
    history = PriceHistory([market], [market], store, witnessed=False)
    yield HoldingsReporter(history, store, WGMI_BTC.etf, read_cohorts())
    await store.aclose()


async def test_the_funds_return_is_parted_between_its_holdings_and_cohorts() -> None:
    async with inside(holdings(date(2025, 12, 31), IREN=0.5, MARA=0.3, CANG=0.1, NVDA=0.1)) as fund:
        told = await fund.miners(Window.YTD, NOON)
    found = told.contributions
    assert ("2025-12-31", "2026-06-18") == (f"{found.anchor}", f"{found.session}")
    assert found.etf_return == pytest.approx(sum(one.added for one in found.contributors) + found.rest, abs=1e-12)
    assert ["contracted AI", "in transition", "pure play", "other"] == [one.cohort.value for one in told.effects]
    assert (("the newest weights are of 2025-12-31, 169 days old",), True) == (told.warnings, told.simulated)


async def test_what_the_weights_lack_is_told() -> None:
    async with inside(holdings(date(2026, 6, 17), f"Nasdaq, {TOP_TEN}", IREN=0.5)) as fund:
        told = await fund.miners(Window.D20, NOON)
    assert (
        "no weights are known before 2026-06-17; those are carried back by prices",
        "only the ten largest holdings are known",
    ) == told.warnings


@pytest.mark.parametrize(
    ("mara", "told"),
    [
        pytest.param(0.55, ("the weights of 2026-05-20 add up to 125%",), id="too much"),
        pytest.param(0.1, ("the weights of 2026-05-20 add up to 80%",), id="too little"),
        pytest.param(0.29, (), id="nearly all"),
    ],
)
async def test_weights_that_do_not_add_up_are_told(mara: float, told: tuple[str, ...]) -> None:
    async with inside(holdings(date(2026, 5, 20), IREN=0.7, MARA=mara)) as fund:
        found = await fund.miners(Window.D20, NOON)
    assert told == found.warnings


async def test_closes_that_have_no_witness_are_told_with_their_sources() -> None:
    async with trading_floor(witnessed=True) as floor:
        day = floor.clock.at.date() - timedelta(days=10)
        await floor.store.save_holdings([holdings(day, IREN=0.5, MARA=0.5)])
        good = await floor.study.constituents.miners(Window.D1, floor.clock.at)
    async with trading_floor(witnessed=True) as floor:
        floor.vendors.faults["nasdaq"] = [httpx.Response(500)] * 50
        await floor.store.save_holdings([holdings(day, IREN=0.5, MARA=0.5)])
        alone = await floor.study.constituents.miners(Window.D1, floor.clock.at)
    assert (FULL, ()) == (good.trust, good.problems)
    assert Verdict.DEGRADED is alone.trust.verdict
    assert ("of 2 holdings, the last closes of 2 are degraded at worst",) == alone.trust.reasons
    assert "Yahoo" in alone.sources


async def test_a_fund_whose_holdings_nobody_knows_says_what_to_do() -> None:
    async with inside() as fund:
        with pytest.raises(NoHistoryError, match="minerpulse holdings import"):
            await fund.miners(Window.D20, NOON)


async def test_a_fund_without_prices_is_refused_with_the_reason() -> None:
    async with trading_floor(warm=False) as floor:
        floor.vendors.faults["yahoo"] = [httpx.Response(404, json={})] * 20
        await floor.store.save_holdings([holdings(date(2026, 3, 2), IREN=0.5)])
        with pytest.raises(NoHistoryError, match=r"No WGMI prices yet\. Yahoo on WGMI: knows no symbol"):
            await floor.study.constituents.miners(Window.D1, floor.clock.at)
