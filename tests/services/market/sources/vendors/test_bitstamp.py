from datetime import UTC, datetime, timedelta

import httpx
import pytest

from services.core.errors import SourceError
from services.core.prices import Symbol
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.bitstamp import Bitstamp
from tests.fakes.clock import SetClock
from tests.services.market.sources.conftest import RESPONSES, FakeServer, ReadRecording, Reply, by_opening, no_wait

BTC = Symbol("BTC")
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
OHLC = (RESPONSES / "bitstamp_ohlc.json").read_bytes()
NOON = datetime(2026, 10, 30, 12, tzinfo=UTC)


@pytest.fixture
def bitstamp(server: FakeServer, clock: SetClock, client: HttpClient) -> Bitstamp:
    clock.at = NOON + 5 * HOUR + 20 * MINUTE
    server.respond_with(Reply(200, OHLC))
    return Bitstamp(client, clock)


async def test_a_long_range_is_fetched_in_pages(clock: SetClock) -> None:
    counts: list[int] = []

    def respond(request: httpx.Request) -> httpx.Response:
        start, end = (int(request.url.params[name]) for name in ("start", "end"))
        opened = range(start, end + 1, 3600)
        counts.append(len(opened))
        rows = [{"timestamp": str(at), "close": str(at), "volume": "1"} for at in opened]
        return httpx.Response(200, json={"data": {"pair": "BTC/USD", "ohlc": rows}})

    bitstamp = Bitstamp(HttpClient(transport=httpx.MockTransport(respond), sleep=no_wait), clock)

    bars = await bitstamp.bars(BTC, HOUR, NOON - 2100 * HOUR, NOON)

    assert [1000, 1000, 100] == counts
    assert bars.opened_at.astype("int64").tolist() == bars.closes.tolist()
    assert len(bars) == 2100


async def test_recorded_bars_against_tether_are_refused_and_against_the_dollar_read(
    bitstamp: Bitstamp, server: FakeServer, recording: ReadRecording
) -> None:
    body = recording("bitstamp_ohlc_1h.json")
    start = datetime(2024, 3, 13, 11, tzinfo=UTC)
    server.respond_with(Reply(200, body), Reply(200, body.replace(b"BTC/USDT", b"BTC/USD")))

    with pytest.raises(SourceError, match="sent data on BTC/USDT instead"):
        await bitstamp.bars(BTC, HOUR, start, start + HOUR)
    assert {"2024-03-13T11:00:00": 73285.0} == by_opening(await bitstamp.bars(BTC, HOUR, start, start + HOUR))
