from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import httpx

from services.alerting.enrichment import TrackRecordEnricher
from services.core.prices import WGMI_BTC
from services.research.track_record import record
from services.rules.grammar import parse_rule
from services.rules.market_service import align_legs
from tests.fakes.floor import CLOSE, OPEN, YESTERDAY, trading_floor

RULE = parse_rule("1d 8pp")


async def test_a_record_is_found_once_for_each_session() -> None:
    async with trading_floor() as floor:
        floor.vendors.etf_moves[YESTERDAY - timedelta(days=1)] = 30.0  # a tenth up and back
        keeper = TrackRecordEnricher(floor.market.history)
        held = replace(RULE, hold=timedelta(minutes=10))
        first = await keeper.of([RULE, held], OPEN)
        asked = len(floor.vendors.requests)
        again = await keeper.of([held], CLOSE - timedelta(minutes=1))
        history = floor.market.history
        etf, crypto = [await history.leg(symbol, OPEN) for symbol in (WGMI_BTC.etf, WGMI_BTC.crypto)]
        expected = record(align_legs(WGMI_BTC, etf, crypto, history.sessions(OPEN), OPEN), RULE)
    assert expected is not None
    assert {RULE: expected, held: expected} == first
    assert ({held: expected}, asked) == (again, len(floor.vendors.requests))


async def test_a_rule_without_a_record_is_left_out() -> None:
    async with trading_floor(warm=False) as floor:
        floor.vendors.faults["yahoo"] = [httpx.Response(404, json={})] * 20
        keeper = TrackRecordEnricher(floor.market.history)
        unknown = await keeper.of([RULE], OPEN)
    async with trading_floor() as floor:
        keeper = TrackRecordEnricher(floor.market.history)
        of_closes = await keeper.of([RULE, parse_rule("gap 5%")], OPEN)
    assert {} == unknown
    assert [RULE] == [*of_closes]
