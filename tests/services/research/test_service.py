import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import httpx
import numpy as np
import pytest

from services.core.errors import NoHistoryError, ReplayError, RuleError
from services.core.prices import WGMI_BTC, Pair, Symbol
from services.core.reason import Code
from services.core.trust import Verdict
from services.market.holdings import Holdings
from services.market.measure import Window
from services.market.mining_power import PowerModel
from services.market.network_service import NetworkService
from services.market.price_history import PriceHistory
from services.market.sources.files.cohorts import read_cohorts
from services.market.sources.files.machines import read_machines
from services.market.sources.simulated.market import SimulatedMarket
from services.market.sources.simulated.network import SimulatedNetwork
from services.research.holdings_report import HoldingsReporter
from services.research.service import ResearchService
from services.rules.grammar import parse_rule
from tests.fakes.clock import SetClock
from tests.fakes.harness import OPEN, Harness, open_harness
from tests.fakes.reasons import reason, reason_with
from tests.fakes.store_snapshots import open_snapshot
from tests.services.market.test_network_service import NetworkVendors

NOON = datetime(2026, 6, 19, 17, 0, tzinfo=UTC)  # a holiday, between two sessions


@asynccontextmanager
async def simulated(*held: Holdings, proxy: str = "SMH") -> AsyncIterator[ResearchService]:
    """Open a service on the simulated market, in which any share trades."""
    market = SimulatedMarket(SetClock(NOON))
    store = await open_snapshot()
    await store.save_holdings(held)
    history = PriceHistory([market], [market], store, requires_witness=False)
    yield ResearchService(
        history, NetworkService([]), HoldingsReporter(history, store, WGMI_BTC.etf, read_cohorts()), proxy=Symbol(proxy)
    )
    await store.aclose()


async def test_year_to_date_is_explained_up_to_the_last_close() -> None:
    async with simulated() as research:
        result = await research.explain(Window.YTD, NOON)
    parts = result.explanation.attribution
    assert ("2025-12-31", "2026-06-18") == (f"{parts.anchor}", f"{parts.session}")
    whole = parts.crypto.amount + parts.proxy.amount + parts.residual.amount
    assert parts.etf_return == pytest.approx(whole, abs=1e-9)
    assert result.explanation.session_split is not None
    assert result.explanation.session_split.etf is not None
    assert (True, Verdict.OK) == (result.provenance.simulated, result.provenance.trust.verdict)


async def test_a_coin_as_proxy_raises() -> None:
    async with simulated(proxy="ETH") as research:
        with pytest.raises(NoHistoryError) as error:
            await research.explain(Window.YTD, NOON)
    assert reason(Code.NO_PROXY_CLOSES, symbol="ETH", problems=()) == error.value.reason


async def test_a_proxy_without_a_source_raises_the_reason() -> None:
    async with open_harness() as harness:
        harness.vendors.faults["yahoo"] = [httpx.Response(404, json={})] * 20
        with pytest.raises(NoHistoryError, match=r"Yahoo \(SMH\): doesn't know the symbol SMH") as error:
            await harness.research.explain(Window.YTD, harness.clock.at)
    assert reason_with(Code.NO_PROXY_CLOSES, symbol="SMH") == error.value.reason


async def test_prices_from_a_single_source_are_degraded() -> None:
    async with open_harness(two_sources=True) as harness:
        harness.vendors.faults["nasdaq"] = [httpx.Response(500)] * 50
        result = await harness.research.explain(Window.D5, harness.clock.at)
    assert Verdict.DEGRADED is result.provenance.trust.verdict
    assert reason(Code.CLOSE_FROM_ONE_SOURCE, sources=("Yahoo",), symbol="SMH") in result.provenance.trust.reasons


async def test_a_report_includes_the_trust_in_the_proxys_prices() -> None:
    async with open_harness(two_sources=True) as harness:
        harness.vendors.faults["nasdaq"] = [httpx.Response(500)] * 50
        result = await harness.research.report([parse_rule("5d 15pp")], None, None, harness.clock.at)
    assert Verdict.DEGRADED is result.provenance.trust.verdict
    assert (reason(Code.CLOSE_FROM_ONE_SOURCE, sources=("Yahoo",), symbol="SMH"),) == result.provenance.trust.reasons


async def test_a_backtest_uses_the_prices_of_alerts() -> None:
    async with simulated() as research:
        result = await research.backtest(parse_rule("5d 15pp"), NOON)
        with pytest.raises(ReplayError, match="only while the market is closed"):
            await research.backtest(parse_rule("gap 5%"), NOON)
    assert result.backtest.replay.measured_range is not None
    assert "2026-06-18" == f"{result.backtest.replay.measured_range[1]}"
    assert result.backtest.episodes
    assert result.provenance.simulated


async def test_drawdowns_are_measured_at_the_last_close() -> None:
    async with simulated() as research:
        result = await research.drawdowns(NOON)
    assert ("2026-06-18", ["WGMI", "BTC"]) == (f"{result.session}", [leg.symbol for leg in result.legs])
    assert result.legs[1].current.depth > 0.3  # the simulated price falls from the high of an even year


async def test_the_network_result_has_the_hashprice_at_bitcoins_price() -> None:
    vendors = NetworkVendors()
    async with open_harness() as harness:
        research = replace(harness.research, network_service=vendors.service)
        result = await research.network(harness.clock.at)
        price = await harness.market.history.leg(Symbol("BTC"), harness.clock.at)
    network = result.checked.network
    assert (network.difficulty, network.reward) != (None, None)
    assert price.quote == result.price
    assert price.quote is not None
    assert result.hashprice is not None
    assert result.hashprice == pytest.approx(86_400e15 / (2**32 * 150000000000000.5) * 3.225 * price.quote.price)
    assert result.hashprice_without_fees == pytest.approx(result.hashprice * 3.125 / 3.225)
    assert result.difficulty_rank is None  # the only retarget in the history is its own


RETARGETS = [{"time": 1_790_000_000, "height": 972_000, "difficulty": 140e12, "adjustment": 1.01}]
CURRENT_RETARGET = {"time": 1_795_000_000, "height": 976_000, "difficulty": 150_000_000_000_000.5, "adjustment": 1.07}


@pytest.mark.parametrize(
    ("retargets", "highest"),
    [
        pytest.param([*RETARGETS, CURRENT_RETARGET], True, id="its own retarget is in the history"),
        pytest.param(RETARGETS, True, id="its own retarget is not in the history yet"),
        pytest.param([RETARGETS[0] | {"difficulty": 151e12}, CURRENT_RETARGET], False, id="a higher difficulty before"),
    ],
)
async def test_a_difficulty_is_not_ranked_against_itself(retargets: list[object], highest: bool) -> None:
    vendors = NetworkVendors()
    vendors.changes["difficulty"] = retargets
    async with open_harness() as harness:
        result = await replace(harness.research, network_service=vendors.service).network(harness.clock.at)
    assert result.difficulty_rank is not None
    assert (highest, 1) == (result.difficulty_rank.is_highest, result.difficulty_rank.count)


async def test_the_network_result_needs_no_etf_price() -> None:
    """Only the hashprice's rank is unknown then, because it is measured at session closes."""
    async with open_harness(warm=False) as harness:
        harness.vendors.faults["yahoo"] = [httpx.Response(404, json={})] * 20
        other = Pair(etf=Symbol("MARA"), crypto=Symbol("ETH"))
        result = await replace(harness.research, pair=other, network_service=NetworkVendors().service).network(
            harness.clock.at
        )
        asked = {request.url.path.rsplit("/", 1)[-1] for request in harness.vendors.calls("chart")}
    assert result.hashprice is not None
    assert (None, {"MARA"}) == (result.hashprice_rank, asked)


@asynccontextmanager
async def simulated_mining(pair: Pair = WGMI_BTC) -> AsyncIterator[ResearchService]:
    """Open a service on the simulated market and network, with the machines that ship."""
    async with simulated() as research:
        network = NetworkService(
            [SimulatedNetwork(SetClock(NOON))],
            requires_witness=False,
            power_model=PowerModel(machines=read_machines()),
        )
        yield replace(research, network_service=network, pair=pair)


async def test_the_power_draw_is_estimated_from_todays_hash_rate_and_ranked_in_its_past() -> None:
    async with simulated_mining() as research:
        result = await research.network(NOON)
    power, hashrate = result.power, result.checked.network.hashrate
    assert power is not None
    assert power.best is not None
    assert power.upper is not None
    assert hashrate is not None
    assert power.best.power_mw == pytest.approx(hashrate / 1e18 * power.best.efficiency * 1.10)
    assert power.lower.power_mw < power.best.power_mw < power.upper.power_mw
    assert power.best.rank is not None
    assert power.best.rank.count > 500
    assert power.best.rank.since >= date(2023, 6, 19)  # the simulated history has three years


async def test_a_report_estimates_the_power_draw_at_its_last_session() -> None:
    async with simulated_mining() as research:
        whole = await research.report([], None, None, NOON)
        part = await research.report([], None, date(2025, 12, 31), NOON)
    assert whole.power is not None
    assert part.power is not None
    assert (date(2026, 6, 18), date(2025, 12, 31)) == (whole.power.day, part.power.day)
    assert {machine.released <= part.power.day for machine in read_machines()} == {True, False}
    assert part.power.machines < whole.power.machines


async def test_a_report_does_not_use_what_came_after_its_last_session() -> None:
    async with simulated_mining() as research:
        expected = await research.report([], None, date(2025, 12, 31), NOON)
        history = (await research.network_service.history(NOON)).history
        assert history is not None
        history.hashrates[history.days > np.datetime64("2025-12-31")] *= 10
        assert expected.power == (await research.report([], None, date(2025, 12, 31), NOON)).power


async def test_a_report_without_the_networks_history_says_why() -> None:
    vendors = NetworkVendors()
    vendors.away = {"mempool.space"}
    async with open_harness() as harness:
        research = replace(harness.research, network_service=vendors.service)
        result = await research.report([parse_rule("5d 15pp")], None, None, harness.clock.at)
    assert result.power is None
    assert any("mempool.space (network): HTTP 403" in str(problem) for problem in result.provenance.problems)


async def test_a_report_without_bitcoins_price_has_no_power_draw() -> None:
    async with open_harness(warm=False) as harness:
        pair = Pair(etf=WGMI_BTC.etf, crypto=Symbol("ETH"))
        await harness.market.history.leg(pair.crypto, harness.clock.at)
        harness.vendors.faults["coinbase"] = [httpx.Response(404, json={})] * 50
        result = await replace(harness.research, pair=pair).report([], None, None, harness.clock.at)
    assert result.power is None
    assert any("BTC" in str(problem) for problem in result.provenance.problems)


async def test_an_unknown_network_raises() -> None:
    async with open_harness() as harness:
        with pytest.raises(NoHistoryError, match="No bitcoin network data yet"):
            await harness.research.network(harness.clock.at)


async def test_no_task_survives_an_error() -> None:
    async with open_harness(warm=False) as harness:
        with pytest.raises(NoHistoryError):
            await harness.research.network(harness.clock.at)
        assert {asyncio.current_task()} == asyncio.all_tasks()


async def test_an_open_session_is_attributed_separately_from_the_window() -> None:
    async with open_harness() as harness:
        harness.clock.at = OPEN + timedelta(minutes=30)
        harness.vendors.etf_last = (21.0, harness.clock.at)
        result = await harness.research.explain(Window.D5, harness.clock.at)
        closed_market = await harness.research.explain(Window.D5, OPEN - timedelta(minutes=10))
    live, closed = result.intraday, result.explanation.attribution
    assert live is not None
    assert (closed.session, harness.clock.at) == (live.anchor, live.at)
    assert 0.05 == pytest.approx(live.etf_return)
    assert (None, "") == (closed_market.intraday, closed_market.no_intraday_reason)


async def test_an_open_session_without_a_live_price_has_a_reason() -> None:
    async with open_harness() as harness:
        harness.clock.at = OPEN + timedelta(minutes=50)
        harness.vendors.etf_last = (21.0, OPEN + timedelta(minutes=20))
        result = await harness.research.explain(Window.D5, harness.clock.at)
    assert result.intraday is None
    assert reason_with(Code.TRADE_TOO_OLD, source="Yahoo", age_min=30) == result.no_intraday_reason


async def test_a_preview_counts_the_firings_of_two_years(harness: Harness) -> None:
    low, high = await harness.commands.preview("1d 1pp"), await harness.commands.preview("1d 50pp")

    assert (date(2024, 2, 28), date(2026, 3, 3), 504) == (low.since, low.until, low.sessions)
    assert low.firings > 100
    assert low.fired_on[0] >= date(2024, 2, 28)
    assert low.per_year == low.firings / 2
    assert low.median_length is not None
    assert low.value == high.value
    assert low.last_firing is not None
    assert abs(low.last_firing.value) >= 0.01
    assert (0, None) == (high.firings, high.last_firing)


async def test_a_preview_names_the_firings_that_the_saved_rule_does_not_have(harness: Harness) -> None:
    saved = parse_rule("1d 3pp")
    looser = await harness.commands.preview("1d 1pp", saved)
    before = await harness.commands.preview("1d 3pp", saved)
    other_pair = await harness.commands.preview("1d 1pp", parse_rule("1d 3pp on MARA/BTC"))
    without_closes = await harness.commands.preview("1d 1pp", parse_rule("gap 5%"))

    assert looser.against is not None
    assert saved == looser.against.against
    assert set(looser.fired_on) - set(before.fired_on) == set(looser.against.added)
    assert set(before.fired_on) - set(looser.fired_on) == set(looser.against.removed)
    assert [None, None, None] == [before.against, other_pair.against, without_closes.against]


async def test_an_impossible_preview_has_a_reason(harness: Harness) -> None:
    gap, unknown = (
        await harness.commands.preview("gap 5%"),
        await harness.commands.preview("1d 8pp on MARA/BTC"),
    )

    assert (None, None) == (gap.since, unknown.since)
    assert reason(Code.GAP_HAS_NO_PAST, metric="gap") == gap.reason
    assert reason(Code.PRICES_NOT_FETCHED, pair="MARA/BTC") == unknown.reason


async def test_a_preview_sends_no_request_for_prices_in_memory(harness: Harness) -> None:
    asked = len(harness.vendors.requests)
    await harness.commands.preview("1d 8pp")

    assert asked == len(harness.vendors.requests)


async def test_an_invalid_rule_raises(harness: Harness) -> None:
    with pytest.raises(RuleError):
        await harness.commands.preview("1d 8")


async def test_a_preview_without_prices_raises() -> None:
    async with open_harness(warm=False) as harness:
        harness.vendors.faults["yahoo"] = [httpx.Response(404, json={}) for _ in range(5)]
        with pytest.raises(NoHistoryError):
            await harness.commands.preview("1d 8pp")
