from __future__ import annotations

from datetime import date, timedelta

import httpx

from services.core.trust import Verdict
from tests.fakes.floor import OPEN, trading_floor

LATER = OPEN + timedelta(minutes=30)


async def test_each_source_tells_what_it_told_last() -> None:
    async with trading_floor(witnessed=True) as floor:
        floor.clock.at, floor.vendors.etf_last = LATER, (21.7, LATER)
        told = await floor.desk.provenance()

    etf, crypto = told.legs
    yahoo, nasdaq = etf.asked
    assert ["Yahoo", "Nasdaq"] == [one.name for one in etf.asked]
    assert ["Coinbase", "Bitstamp"] == [one.name for one in crypto.asked]
    assert yahoo.quote is not None
    assert (21.7, date(2026, 3, 3)) == (yahoo.quote.price, yahoo.newest)
    assert (None, None) == (nasdaq.quote, nasdaq.rests_until)
    assert "Tiingo" in {*etf.unused} & etf.keyed
    assert "Nasdaq" not in set(etf.unused)


async def test_sources_are_told_also_where_there_are_no_prices_at_all() -> None:
    async with trading_floor(warm=False) as floor:
        floor.vendors.faults["yahoo"] = [httpx.Response(503) for _ in range(9)]
        told = await floor.desk.provenance()

    assert told.trust is None
    assert told.problem.startswith("No WGMI prices yet.")
    assert [None] == [one.newest for one in told.legs[0].asked]


async def test_a_source_alone_is_told_with_its_verdict() -> None:
    async with trading_floor(witnessed=True) as floor:
        floor.clock.at, floor.vendors.etf_last = LATER, (21.7, LATER)
        told = await floor.desk.provenance()

    assert told.trust is not None
    assert told.trust.verdict is Verdict.DEGRADED
