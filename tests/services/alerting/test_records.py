from dataclasses import replace
from datetime import timedelta

import httpx

from services.alerting.enrichment import TrackRecordEnricher
from services.core.prices import WGMI_BTC
from services.research.track_record import compute_track_record
from services.rules.grammar import parse_rule
from services.rules.market_service import align_legs
from tests.fakes.harness import CLOSE, OPEN, YESTERDAY, open_harness

RULE = parse_rule("1d 8pp")


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
