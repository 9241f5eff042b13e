"""Every recorded body, served by every vendor in turn, gives prices or a SourceError, and never a crash."""

from datetime import timedelta

import httpx
import pytest

from services.core.errors import SourceError
from services.market.sources.catalogue import SOURCES
from services.market.sources.http.client import HttpClient
from tests.bench.fuzz import AUTUMN, RecordedResponse, check_result, fetch_all
from tests.services.market.sources.conftest import SHARED, no_wait

RECORDINGS = SHARED / "wire"
BODIES = sorted(path.name for path in RECORDINGS.glob("*") if path.name != "INDEX.md") if RECORDINGS.exists() else []
LEGS = {"equity": ("WGMI", "GOOGL", "AAPL"), "crypto": ("BTC",), "network": ("network",)}
REQUESTS = [
    (row.name, symbol) for row in SOURCES if row.base_url for leg in row.legs for symbol in LEGS[leg]
]  # symbols that occur in some body, so that it is parsed and not rejected at once

pytestmark = pytest.mark.skipif(not BODIES, reason="recorded vendor answers are not kept in the repository")


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("status", [200, 429])
async def test_any_recorded_body_gives_prices_or_a_source_error(name: str, status: int) -> None:
    body = (RECORDINGS / name).read_bytes()
    messages = []
    for vendor, symbol in REQUESTS:
        client = HttpClient(
            transport=httpx.MockTransport(lambda _request: httpx.Response(status, content=body)), sleep=no_wait
        )
        answer = RecordedResponse(
            vendor=vendor, page="", file=name, symbol=symbol, at=AUTUMN, interval=timedelta(hours=1)
        )
        for pending in fetch_all(answer, client):
            try:
                check_result(await pending)
            except SourceError as error:
                messages.append(str(error))

    assert status == 200 or len(messages) >= len(REQUESTS)
    assert all(0 < len(one) < 1000 for one in messages)
