from datetime import date, timedelta

import httpx

from services.core.reason import Code
from services.core.trust import Verdict
from tests.fakes.harness import OPEN, open_harness
from tests.fakes.reasons import reason_with

LATER = OPEN + timedelta(minutes=30)


async def test_each_source_has_its_last_quote_and_close() -> None:
    async with open_harness(two_sources=True) as harness:
        harness.clock.at, harness.vendors.etf_last = LATER, (21.7, LATER)
        status = await harness.commands.source_status()

    etf, crypto = status.legs
    yahoo, nasdaq = etf.queried
    assert ["Yahoo", "Nasdaq"] == [source.name for source in etf.queried]
    assert ["Coinbase", "Bitstamp"] == [source.name for source in crypto.queried]
    assert yahoo.quote is not None
    assert (21.7, date(2026, 3, 3)) == (yahoo.quote.price, yahoo.newest)
    assert (None, None) == (nasdaq.quote, nasdaq.backoff_until)
    assert "Tiingo" in {*etf.unused} & etf.keyed
    assert "Nasdaq" not in set(etf.unused)


async def test_source_status_works_without_prices() -> None:
    async with open_harness(warm=False) as harness:
        harness.vendors.faults["yahoo"] = [httpx.Response(503) for _ in range(9)]
        status = await harness.commands.source_status()

    assert status.trust is None
    assert reason_with(Code.NO_PRICES_YET, symbol="WGMI") == status.problem
    assert [None] == [source.newest for source in status.legs[0].queried]


async def test_a_single_source_is_degraded() -> None:
    async with open_harness(two_sources=True) as harness:
        harness.clock.at, harness.vendors.etf_last = LATER, (21.7, LATER)
        status = await harness.commands.source_status()

    assert status.trust is not None
    assert status.trust.verdict is Verdict.DEGRADED
