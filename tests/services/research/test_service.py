from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from services.core.errors import NoHistoryError, ReplayError
from services.core.prices import WGMI_BTC, Pair, Symbol
from services.core.trust import Verdict
from services.market.measure import Window
from services.market.network_service import NetworkService
from services.market.price_history import PriceHistory
from services.market.sources.files.cohorts import read_cohorts
from services.market.sources.simulated.market import Simulated
from services.research.holdings_report import HoldingsReporter
from services.research.service import ResearchService
from services.rules.grammar import parse_rule
from services.storage import SqlStore
from tests.fakes.clock import SetClock
from tests.fakes.floor import OPEN, trading_floor
from tests.services.market.test_network_service import Wires

NOON = datetime(2026, 6, 19, 17, 0, tzinfo=UTC)  # a holiday, between two sessions


@asynccontextmanager
async def simulated(proxy: str = "SMH") -> AsyncIterator[ResearchService]:
    market = Simulated(SetClock(NOON))
    store = await SqlStore.open("sqlite://")
    history = PriceHistory([market], [market], store, witnessed=False)
    yield ResearchService(
        history, NetworkService([]), HoldingsReporter(history, store, WGMI_BTC.etf, read_cohorts()), proxy=Symbol(proxy)
    )
    await store.aclose()


async def test_the_year_is_explained_up_to_the_last_close() -> None:
    async with simulated() as study:
        told = await study.explain(Window.YTD, NOON)
    parts = told.explanation.attribution
    assert ("2025-12-31", "2026-06-18") == (f"{parts.anchor}", f"{parts.session}")
    whole = parts.crypto.amount + parts.proxy.amount + parts.residual.amount
    assert parts.etf_return == pytest.approx(whole, abs=1e-9)
    assert told.explanation.hours is not None
    assert told.explanation.hours.etf is not None
    assert (True, Verdict.OK) == (told.basis.simulated, told.basis.trust.verdict)


async def test_a_proxy_that_is_a_coin_is_refused_with_its_name() -> None:
    async with simulated("ETH") as study:
        with pytest.raises(NoHistoryError, match=r"No closes of ETH, the AI proxy\. It is not a share"):
            await study.explain(Window.YTD, NOON)


async def test_a_proxy_that_no_source_answers_for_is_told_with_the_reason() -> None:
    async with trading_floor() as floor:
        floor.vendors.faults["yahoo"] = [httpx.Response(404, json={})] * 20
        with pytest.raises(NoHistoryError, match=r"No closes of SMH, the AI proxy\. Yahoo on SMH: knows no symbol SMH"):
            await floor.study.explain(Window.YTD, floor.clock.at)


async def test_prices_from_one_source_alone_are_told_as_degraded() -> None:
    async with trading_floor(witnessed=True) as floor:
        floor.vendors.faults["nasdaq"] = [httpx.Response(500)] * 50
        told = await floor.study.explain(Window.D5, floor.clock.at)
    assert Verdict.DEGRADED is told.basis.trust.verdict
    assert "SMH's close is from Yahoo alone" in told.basis.trust.reasons


async def test_a_report_rests_on_the_proxys_prices_too() -> None:
    async with trading_floor(witnessed=True) as floor:
        floor.vendors.faults["nasdaq"] = [httpx.Response(500)] * 50
        told = await floor.study.report([parse_rule("5d 15pp")], None, None, floor.clock.at)
    assert Verdict.DEGRADED is told.basis.trust.verdict
    assert ("SMH's close is from Yahoo alone",) == told.basis.trust.reasons


async def test_a_rule_is_put_to_the_same_prices_that_alerts_rest_on() -> None:
    async with simulated() as study:
        told = await study.backtest(parse_rule("5d 15pp"), NOON)
        with pytest.raises(ReplayError, match="only while the ETF is shut"):
            await study.backtest(parse_rule("gap 5%"), NOON)
    assert told.backtest.found.measured is not None
    assert "2026-06-18" == f"{told.backtest.found.measured[1]}"
    assert told.backtest.episodes
    assert told.basis.simulated


async def test_both_depths_are_those_of_the_last_close() -> None:
    async with simulated() as study:
        told = await study.depths(NOON)
    assert ("2026-06-18", ["WGMI", "BTC"]) == (f"{told.session}", [leg.symbol for leg in told.legs])
    assert told.legs[1].now.depth > 0.3  # on its way down from the high of an even year


async def test_the_network_is_told_with_what_it_earns_at_bitcoins_price() -> None:
    wires = Wires()
    async with trading_floor() as floor:
        study = replace(floor.study, mining=wires.mining)
        told = await study.network(floor.clock.at)
        price = await floor.market.history.leg(Symbol("BTC"), floor.clock.at)
    network = told.judged.network
    assert (network.difficulty, network.reward) != (None, None)
    assert price.quote == told.price
    assert price.quote is not None
    assert told.hashprice is not None
    assert told.hashprice == pytest.approx(86_400e15 / (2**32 * 150000000000000.5) * 3.225 * price.quote.price)
    assert told.without_fees == pytest.approx(told.hashprice * 3.125 / 3.225)
    assert told.difficulty is None  # the only retarget that is remembered is its own


RETARGETS = [{"time": 1_790_000_000, "height": 972_000, "difficulty": 140e12, "adjustment": 1.01}]
OWN = {"time": 1_795_000_000, "height": 976_000, "difficulty": 150_000_000_000_000.5, "adjustment": 1.07}


@pytest.mark.parametrize(
    ("remembered", "highest"),
    [
        pytest.param([*RETARGETS, OWN], True, id="its own retarget is remembered"),
        pytest.param(RETARGETS, True, id="its own retarget is not remembered yet"),
        pytest.param([RETARGETS[0] | {"difficulty": 151e12}, OWN], False, id="it was harder before"),
    ],
)
async def test_a_difficulty_is_not_counted_among_its_own_past(remembered: list[object], highest: bool) -> None:
    wires = Wires()
    wires.changes["difficulty"] = remembered
    async with trading_floor() as floor:
        told = await replace(floor.study, mining=wires.mining).network(floor.clock.at)
    assert told.difficulty is not None
    assert (highest, 1) == (told.difficulty.is_highest, told.difficulty.count)


async def test_the_network_is_told_without_a_price_of_the_etf() -> None:
    """What is mined does not wait for it; only how the hashprice was at the sessions' closes is not known then."""
    async with trading_floor(warm=False) as floor:
        floor.vendors.faults["yahoo"] = [httpx.Response(404, json={})] * 20
        other = Pair(etf=Symbol("MARA"), crypto=Symbol("ETH"))
        told = await replace(floor.study, pair=other, mining=Wires().mining).network(floor.clock.at)
        asked = {request.url.path.rsplit("/", 1)[-1] for request in floor.vendors.calls("chart")}
    assert told.hashprice is not None
    assert (None, {"MARA"}) == (told.hashprice_standing, asked)


async def test_a_network_that_no_source_knows_is_refused() -> None:
    async with trading_floor() as floor:
        with pytest.raises(NoHistoryError, match="Nothing is known of the bitcoin network yet"):
            await floor.study.network(floor.clock.at)


async def test_nothing_goes_on_behind_a_refusal() -> None:
    async with trading_floor(warm=False) as floor:
        with pytest.raises(NoHistoryError):
            await floor.study.network(floor.clock.at)
        assert {asyncio.current_task()} == asyncio.all_tasks()


async def test_an_open_session_is_parted_apart_from_the_window_that_ends_with_the_last_close() -> None:
    async with trading_floor() as floor:
        floor.clock.at = OPEN + timedelta(minutes=30)
        floor.vendors.etf_last = (21.0, floor.clock.at)
        told = await floor.study.explain(Window.D5, floor.clock.at)
        shut = await floor.study.explain(Window.D5, OPEN - timedelta(minutes=10))
    live, closed = told.so_far, told.explanation.attribution
    assert live is not None
    assert (closed.session, floor.clock.at) == (live.anchor, live.at)
    assert 0.05 == pytest.approx(live.etf_return)
    assert (None, "") == (shut.so_far, shut.unlive)


async def test_an_open_session_without_a_live_price_says_why_it_is_not_parted() -> None:
    async with trading_floor() as floor:
        floor.clock.at = OPEN + timedelta(minutes=50)
        floor.vendors.etf_last = (21.0, OPEN + timedelta(minutes=20))
        told = await floor.study.explain(Window.D5, floor.clock.at)
    assert told.so_far is None
    assert "trade at Yahoo is 30 min old" in told.unlive
