"""Alerts that begin tell what the ETF's move came with, as far as the AI proxy is there in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from services.alerting.enrichment import AttributionEnricher
from services.core.prices import Symbol
from services.market.price_history import PriceHistory
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.yahoo import Yahoo
from services.rules.grammar import parse_rule
from tests.fakes.floor import DESK, OPEN, Floor, trading_floor
from tests.fakes.vendors import no_wait

BEGIN = OPEN + timedelta(minutes=10)


@pytest.fixture
async def floor() -> AsyncIterator[Floor]:
    async with trading_floor() as floor:
        floor.monitor.parter = AttributionEnricher(floor.market.history)
        yield floor


def asked_for_smh(floor: Floor) -> int:
    return len(floor.vendors.calls("SMH"))


async def test_an_alert_carries_the_parts_of_the_move_that_it_fired_on_to_its_end(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp", "U1")
    await floor.ticks(BEGIN, [0.05, 0.07])
    before = asked_for_smh(floor)
    await floor.ticks(BEGIN + timedelta(minutes=10), [0.09, 0.10])
    (alert,) = await floor.open_alerts(DESK)
    await floor.ticks(BEGIN + timedelta(minutes=20), [0.12, 0.01])
    (closed,) = await floor.desk.history(DESK)

    found = alert.lead.parted
    assert found is not None
    assert 0 == before
    assert alert.lead.measurement.etf_return == pytest.approx(found.etf_return)
    assert found.etf_return == pytest.approx(found.crypto.amount + found.ai.amount + found.rest.amount, abs=1e-9)
    assert (Symbol("SMH"), "Yahoo") == (found.proxy, found.source)
    assert found == closed.lead.parted


async def test_a_rule_at_the_close_is_parted_by_the_closes(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp at close", "U1")
    floor.vendors.etf_moves[OPEN.date()] = 22.0
    await floor.ticks(OPEN + timedelta(hours=7), [None, None])
    (alert,) = await floor.open_alerts(DESK)

    assert alert.lead.parted is not None
    assert alert.lead.measurement.etf_return == pytest.approx(alert.lead.parted.etf_return)


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param("drawdown 60%", id="no divergence"),
        pytest.param("1d 8pp on SMH/BTC", id="the proxy itself"),
        pytest.param("1d 8pp on WGMI/SMH", id="no coin"),
    ],
)
async def test_what_has_no_parts_asks_for_nothing(floor: Floor, rule: str) -> None:
    read = parse_rule(rule)
    view = await floor.market.view(read.pair, BEGIN)
    before = asked_for_smh(floor)
    assert {} == await AttributionEnricher(floor.market.history).of([read], view, BEGIN)
    assert before == asked_for_smh(floor)


async def test_a_proxy_that_nobody_knows_leaves_the_alert_without_parts(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp", "U1")
    floor.vendors.faults["yahoo SMH"] = [httpx.Response(404, json={})] * 20
    await floor.ticks(BEGIN, [0.09, 0.10])
    (alert,) = await floor.open_alerts(DESK)
    assert alert.lead.parted is None


async def test_a_proxy_without_a_trade_of_these_minutes_leaves_a_live_alert_without_parts(floor: Floor) -> None:
    read = parse_rule("1d 8pp")
    await floor.tick(BEGIN, 0.09)
    view = await floor.market.view(read.pair, BEGIN)
    floor.vendors.etf_last = (21.8, BEGIN - timedelta(minutes=6))
    assert {} == await AttributionEnricher(floor.market.history).of([read], view, BEGIN)


async def test_a_proxy_that_hangs_delays_an_alert_no_longer_than_is_patient(floor: Floor) -> None:
    never = asyncio.Event()

    async def hang(_request: httpx.Request) -> httpx.Response:
        await never.wait()
        raise AssertionError("it hangs for ever")

    client = HttpClient(transport=httpx.MockTransport(hang), sleep=no_wait)
    history = floor.market.history
    hanging = PriceHistory([Yahoo(client, floor.clock)], history.cryptos, history.store, witnessed=False)
    floor.monitor.parter = replace(AttributionEnricher(hanging), patience_s=0.01)
    await floor.desk.add_rule(DESK, "1d 8pp", "U1")
    await floor.ticks(BEGIN, [0.09, 0.10])
    (alert,) = await floor.open_alerts(DESK)

    assert alert.lead.parted is None
