from __future__ import annotations

import json
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
TICKER = (RESPONSES / "bitstamp_ticker.json").read_bytes()
NOON = datetime(2026, 10, 30, 12, tzinfo=UTC)


@pytest.fixture
def bitstamp(server: FakeServer, clock: SetClock, client: HttpClient) -> Bitstamp:
    clock.at = NOON + 5 * HOUR + 20 * MINUTE
    server.respond_with(Reply(200, OHLC))
    return Bitstamp(client, clock)


async def failure(bitstamp: Bitstamp, symbol: Symbol = BTC) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await bitstamp.bars(symbol, HOUR, NOON, NOON + 6 * HOUR)
    return caught.value


async def test_open_and_untraded_bars_are_dropped(bitstamp: Bitstamp, server: FakeServer) -> None:
    bars = await bitstamp.bars(BTC, HOUR, NOON, NOON + 6 * HOUR)

    assert {
        "2026-10-30T12:00:00": 70000.5,
        "2026-10-30T13:00:00": 70100.0,
        "2026-10-30T14:00:00": 70200.25,
        "2026-10-30T16:00:00": 70400.75,
    } == by_opening(bars)
    assert "https://www.bitstamp.net/api/v2/ohlc/btcusd/" == str(server.requests[0].url.copy_with(query=None))
    first = int(NOON.timestamp())
    assert {"step": "3600", "limit": "1000", "start": str(first), "end": str(first + 4 * 3600)} == dict(
        server.requests[0].url.params
    )


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


async def test_the_quote_is_the_last_trade_with_its_time(bitstamp: Bitstamp, server: FakeServer) -> None:
    server.respond_with(Reply(200, TICKER))

    quote = await bitstamp.quote(BTC)

    assert (70401.5, datetime(2026, 10, 30, 17, 20, 41, tzinfo=UTC)) == (quote.price, quote.at)
    assert "/api/v2/ticker/btcusd/" == server.requests[0].url.path


def candle(**changes: object) -> Reply:
    row = {"timestamp": "1793361600", "close": "70000.5", "volume": "1", **changes}
    return Reply(200, json.dumps({"data": {"pair": "BTC/USD", "ohlc": [row]}}).encode())


@pytest.mark.parametrize(
    "reply",
    [
        *[
            pytest.param(candle(close=close), id=f"close-{close}")
            for close in ("NaN", "Infinity", "0", "-1", "1e-400", "1e12", "", "70,000", None, True)
        ],
        *[
            pytest.param(candle(timestamp=time), id=f"time-{time}")
            for time in ("1793361600000", "-1", "1.5", "", "١٧٩٣٣٦١٦٠٠", 1793361600, None)
        ],
        pytest.param(candle(volume="NaN"), id="volume-nan"),
        pytest.param(Reply(200, OHLC.replace(b"BTC/USD", b"BTC/EUR")), id="another-pair"),
        pytest.param(Reply(200, b"[]"), id="a-list"),
    ],
)
async def test_a_malformed_response_is_rejected(bitstamp: Bitstamp, server: FakeServer, reply: Reply) -> None:
    server.respond_with(reply)

    assert (await failure(bitstamp)).retryable


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        pytest.param(Reply(404, b"<html>"), "trades no DOGGO against the US dollar", id="404"),
        pytest.param(Reply(400, b'{"reason": "bad step"}'), "refused the request: “bad step”", id="400"),
        pytest.param(Reply(400, b"<html>"), "answered 400 Bad Request", id="400-without-words"),
    ],
)
async def test_an_error_response_explains_the_problem(
    bitstamp: Bitstamp, server: FakeServer, reply: Reply, message: str
) -> None:
    server.respond_with(reply)

    error = await failure(bitstamp, Symbol("DOGGO"))

    assert message in error.problem
    assert not error.retryable


async def test_an_unsupported_interval_is_rejected_without_a_call(bitstamp: Bitstamp, server: FakeServer) -> None:
    with pytest.raises(SourceError, match="choose one of them"):
        await bitstamp.bars(BTC, 7 * MINUTE, NOON, NOON + 6 * HOUR)

    assert [] == server.requests


async def test_recorded_bars_against_tether_are_refused_and_against_the_dollar_read(
    bitstamp: Bitstamp, server: FakeServer, recording: ReadRecording
) -> None:
    body = recording("bitstamp_ohlc_1h.json")
    start = datetime(2024, 3, 13, 11, tzinfo=UTC)
    server.respond_with(Reply(200, body), Reply(200, body.replace(b"BTC/USDT", b"BTC/USD")))

    with pytest.raises(SourceError, match="answered about BTC/USDT instead"):
        await bitstamp.bars(BTC, HOUR, start, start + HOUR)
    assert {"2024-03-13T11:00:00": 73285.0} == by_opening(await bitstamp.bars(BTC, HOUR, start, start + HOUR))


async def test_a_recorded_ticker_is_read(bitstamp: Bitstamp, server: FakeServer, recording: ReadRecording) -> None:
    server.respond_with(Reply(200, recording("bitstamp_ticker.json")))

    quote = await bitstamp.quote(BTC)

    assert (73285.0, "2024-03-13 11:10:41+00:00") == (quote.price, str(quote.at))
