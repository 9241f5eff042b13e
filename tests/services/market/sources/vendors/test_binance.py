from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from services.core.errors import SourceError
from services.core.prices import Symbol
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.binance import Binance
from tests.fakes.clock import SetClock
from tests.services.market.sources.conftest import RESPONSES, FakeServer, ReadRecording, Reply, by_opening

BTC = Symbol("BTC")
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
KLINES = (RESPONSES / "binance_klines.json").read_bytes()
TRADES = (RESPONSES / "binance_trades.json").read_bytes()
NOON = datetime(2026, 10, 30, 12, tzinfo=UTC)
HOURS = {
    "2026-10-30T12:00:00": 70000.5,
    "2026-10-30T13:00:00": 70100.0,
    "2026-10-30T14:00:00": 70200.25,
    "2026-10-30T16:00:00": 70400.75,
}


@pytest.fixture
def binance(server: FakeServer, clock: SetClock, client: HttpClient) -> Binance:
    clock.at = NOON + 5 * HOUR + 20 * MINUTE
    server.respond_with(Reply(200, KLINES))
    return Binance(client, clock)


async def failure(binance: Binance) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await binance.bars(BTC, HOUR, NOON, NOON + 6 * HOUR)
    return caught.value


async def test_open_and_untraded_bars_are_dropped(binance: Binance, server: FakeServer) -> None:
    bars = await binance.bars(BTC, HOUR, NOON, NOON + 6 * HOUR)

    assert by_opening(bars) == HOURS
    assert "Binance (USDT)" == bars.source
    assert "https://data-api.binance.vision/api/v3/klines" == str(server.requests[0].url.copy_with(query=None))
    first = int(NOON.timestamp()) * 1000
    assert {
        "symbol": "BTCUSDT",
        "interval": "1h",
        "startTime": str(first),
        "endTime": str(first + 5 * 3_600_000 - 1),
        "limit": "1000",
    } == dict(server.requests[0].url.params)


async def test_microsecond_times_are_parsed(binance: Binance, server: FakeServer) -> None:
    rows = [[row[0] * 1000, *row[1:]] for row in json.loads(KLINES)]
    server.respond_with(Reply(200, json.dumps(rows).encode()))

    assert by_opening(await binance.bars(BTC, HOUR, NOON, NOON + 6 * HOUR)) == HOURS


async def test_the_quote_is_the_last_trade_with_its_time(binance: Binance, server: FakeServer) -> None:
    server.respond_with(Reply(200, TRADES))

    quote = await binance.quote(BTC)

    assert quote is not None
    assert (70401.5, "2026-10-30 17:20:41.270000+00:00") == (quote.price, str(quote.at))
    assert {"symbol": "BTCUSDT", "limit": "1"} == dict(server.requests[0].url.params)


async def test_a_coin_without_trades_has_no_quote(binance: Binance, server: FakeServer) -> None:
    server.respond_with(Reply(200, b"[]"))

    assert await binance.quote(BTC) is None


@pytest.mark.parametrize("status", [429, 418])
async def test_429_and_418_both_start_the_backoff(
    binance: Binance, server: FakeServer, clock: SetClock, status: int
) -> None:
    server.respond_with(Reply(status, headers={"Retry-After": "300"}), Reply(200, KLINES))

    assert timedelta(seconds=300) == (await failure(binance)).retry_after
    clock.advance(timedelta(seconds=299))
    await failure(binance)

    assert 1 == len(server.requests)


async def test_an_error_response_explains_the_problem(binance: Binance, server: FakeServer) -> None:
    server.respond_with(Reply(400, b'{"code":-1121,"msg":"Invalid symbol."}'), Reply(400, b"[]"))

    assert "refused the request: “Invalid symbol.”" == (await failure(binance)).problem
    assert "answered 400 Bad Request" in (await failure(binance)).problem


def row(time: str = "1793361600000", close: str = '"70000.5"') -> Reply:
    return Reply(200, f'[[{time}, "1", "1", "1", {close}, "1", 1, "1", 1, "1", "1", "0"]]'.encode())


@pytest.mark.parametrize(
    "reply",
    [
        *[
            pytest.param(row(close=close), id=f"close-{close}")
            for close in ('"NaN"', '"0"', '"-1"', '"1e-400"', '"1e12"', "null", "true", "NaN", '""')
        ],
        *[
            pytest.param(row(time=time), id=f"time-{time}")
            for time in ("1793361600", "1793361600.5", '"1793361600000"', "1e400", "9" * 20, "-1", "null")
        ],
        pytest.param(Reply(200, b"[[]]"), id="a-row-too-short"),
        pytest.param(Reply(200, b"{}"), id="an-object"),
    ],
)
async def test_a_malformed_response_is_rejected(binance: Binance, server: FakeServer, reply: Reply) -> None:
    server.respond_with(reply)

    assert (await failure(binance)).retryable


async def test_an_unsupported_interval_is_rejected_without_a_call(binance: Binance, server: FakeServer) -> None:
    with pytest.raises(SourceError, match="choose one of them"):
        await binance.bars(BTC, 7 * MINUTE, NOON, NOON + 6 * HOUR)

    assert [] == server.requests


async def test_documented_bars_are_read(binance: Binance, server: FakeServer, recording: ReadRecording) -> None:
    server.respond_with(Reply(200, recording("binance_klines.json")))
    start = datetime(2017, 7, 3, tzinfo=UTC)

    bars = await binance.bars(BTC, timedelta(days=1), start, start + timedelta(days=1))

    assert {"2017-07-03T00:00:00": 0.015771} == by_opening(bars)
