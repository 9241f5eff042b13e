"""Alerts get the track record of their rules, and the attribution of the move if the AI proxy's prices arrive."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from services.alerting.enrichment import AttributionEnricher, TrackRecordEnricher
from services.core.prices import WGMI_BTC, Symbol
from services.market.price_history import PriceHistory
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.yahoo import Yahoo
from services.research.track_record import compute_track_record
from services.rules.grammar import parse_rule
from services.rules.market_service import align_legs
from tests.fakes.harness import CHANNEL, CLOSE, OPEN, YESTERDAY, Harness, open_harness
from tests.fakes.vendors import no_wait

BEGIN = OPEN + timedelta(minutes=10)
RULE = parse_rule("1d 8pp")


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    async with open_harness() as harness:
        harness.monitor.attributions = AttributionEnricher(harness.market.history)
        yield harness


def proxy_requests(harness: Harness) -> int:
    return len(harness.vendors.calls("SMH"))


async def test_an_alert_keeps_the_attribution_of_the_move_that_it_fired_on(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")
    await harness.ticks(BEGIN, [0.05, 0.07])
    before = proxy_requests(harness)
    await harness.ticks(BEGIN + timedelta(minutes=10), [0.09, 0.10])
    (alert,) = await harness.open_alerts(CHANNEL)
    await harness.ticks(BEGIN + timedelta(minutes=20), [0.12, 0.01])
    (closed,) = await harness.commands.history(CHANNEL)

    found = alert.lead.attribution
    assert found is not None
    assert 0 == before
    assert alert.lead.measurement.etf_return == pytest.approx(found.etf_return)
    assert found.etf_return == pytest.approx(found.crypto.amount + found.ai.amount + found.residual.amount, abs=1e-9)
    assert (Symbol("SMH"), "Yahoo") == (found.proxy, found.source)
    assert found == closed.lead.attribution


async def test_a_rule_at_close_is_attributed_from_closes(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp at close", "U1")
    harness.vendors.etf_moves[OPEN.date()] = 22.0
    await harness.ticks(OPEN + timedelta(hours=7), [None, None])
    (alert,) = await harness.open_alerts(CHANNEL)

    assert alert.lead.attribution is not None
    assert alert.lead.measurement.etf_return == pytest.approx(alert.lead.attribution.etf_return)


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param("drawdown 60%", id="no divergence"),
        pytest.param("1d 8pp on SMH/BTC", id="the proxy itself"),
        pytest.param("1d 8pp on WGMI/SMH", id="no coin"),
    ],
)
async def test_a_rule_without_attribution_requests_no_proxy_prices(harness: Harness, rule: str) -> None:
    parsed = parse_rule(rule)
    view = await harness.market.view(parsed.pair, BEGIN)
    before = proxy_requests(harness)
    assert {} == await AttributionEnricher(harness.market.history).for_rules([parsed], view, BEGIN)
    assert before == proxy_requests(harness)


async def test_an_unknown_proxy_leaves_the_alert_without_attribution(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")
    harness.vendors.faults["yahoo SMH"] = [httpx.Response(404, json={})] * 20
    await harness.ticks(BEGIN, [0.09, 0.10])
    (alert,) = await harness.open_alerts(CHANNEL)
    assert alert.lead.attribution is None


async def test_a_proxy_without_a_recent_trade_leaves_a_live_alert_without_attribution(harness: Harness) -> None:
    await harness.tick(BEGIN, 0.09)
    view = await harness.market.view(RULE.pair, BEGIN)
    harness.vendors.etf_last = (21.8, BEGIN - timedelta(minutes=6))
    assert {} == await AttributionEnricher(harness.market.history).for_rules([RULE], view, BEGIN)


async def test_a_proxy_that_hangs_delays_an_alert_until_the_timeout(harness: Harness) -> None:
    never = asyncio.Event()

    async def hang(_request: httpx.Request) -> httpx.Response:
        await never.wait()
        raise AssertionError("it hangs for ever")

    client = HttpClient(transport=httpx.MockTransport(hang), sleep=no_wait)
    history = harness.market.history
    hanging = PriceHistory([Yahoo(client, harness.clock)], history.cryptos, history.store, requires_witness=False)
    harness.monitor.attributions = replace(AttributionEnricher(hanging), timeout_s=0.0)
    await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")
    await harness.ticks(BEGIN, [0.09, 0.10])
    (alert,) = await harness.open_alerts(CHANNEL)

    assert alert.lead.attribution is None


async def test_a_track_record_is_computed_once_per_session() -> None:
    async with open_harness() as harness:
        harness.vendors.etf_moves[YESTERDAY - timedelta(days=1)] = 30.0  # a tenth up and back
        enricher = TrackRecordEnricher(harness.market.history)
        held = replace(RULE, hold=timedelta(minutes=10))
        first = await enricher.for_rules([RULE, held], OPEN)
        requests = len(harness.vendors.requests)
        again = await enricher.for_rules([held], CLOSE - timedelta(minutes=1))
        history = harness.market.history
        etf, crypto = [await history.leg(symbol, OPEN) for symbol in (WGMI_BTC.etf, WGMI_BTC.crypto)]
        expected = compute_track_record(align_legs(WGMI_BTC, etf, crypto, history.sessions(OPEN), OPEN), RULE)
    assert expected is not None
    assert {RULE: expected, held: expected} == first
    assert ({held: expected}, requests) == (again, len(harness.vendors.requests))


async def test_a_rule_without_a_track_record_is_left_out() -> None:
    async with open_harness(warm=False) as harness:
        harness.vendors.faults["yahoo"] = [httpx.Response(404, json={})] * 20
        enricher = TrackRecordEnricher(harness.market.history)
        unknown = await enricher.for_rules([RULE], OPEN)
    async with open_harness() as harness:
        enricher = TrackRecordEnricher(harness.market.history)
        found = await enricher.for_rules([RULE, parse_rule("gap 5%")], OPEN)
    assert {} == unknown
    assert [RULE] == [*found]
