"""Every recorded body, sent by every vendor in turn, comes to prices or to a SourceError, and never to a crash."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from services.core.errors import SourceError
from services.market.sources.catalogue import SOURCES
from services.market.sources.http.client import HttpClient
from tests.bench.fuzz import AUTUMN, Answer, ask, check
from tests.services.market.sources.conftest import SHARED, no_wait

WIRE = SHARED / "wire"
BODIES = sorted(path.name for path in WIRE.glob("*") if path.name != "INDEX.md") if WIRE.exists() else []
LEGS = {"equity": ("WGMI", "GOOGL", "AAPL"), "crypto": ("BTC",), "network": ("network",)}
ASKED = [
    (row.name, symbol) for row in SOURCES if row.base_url for leg in row.legs for symbol in LEGS[leg]
]  # a symbol that some body is about, so that it is read and not turned away at once

pytestmark = pytest.mark.skipif(not BODIES, reason="recorded vendor answers are not kept in the repository")


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("status", [200, 429])
async def test_any_body_from_any_vendor_is_prices_or_a_source_error(name: str, status: int) -> None:
    body = (WIRE / name).read_bytes()
    told = []
    for vendor, symbol in ASKED:
        client = HttpClient(
            transport=httpx.MockTransport(lambda _request: httpx.Response(status, content=body)), sleep=no_wait
        )
        answer = Answer(vendor=vendor, page="", file=name, symbol=symbol, at=AUTUMN, interval=timedelta(hours=1))
        for asked in ask(answer, client):
            try:
                check(await asked)
            except SourceError as error:
                told.append(str(error))

    assert status == 200 or len(told) >= len(ASKED)
    assert all(0 < len(one) < 1000 for one in told)
