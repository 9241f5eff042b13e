from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from services.core.errors import SourceError
from services.core.prices import Symbol
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.kraken import Kraken
from tests.fakes.clock import SetClock
from tests.services.market.sources.conftest import RESPONSES, FakeServer, ReadRecording, Reply, by_opening

BTC = Symbol("BTC")
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
OHLC = (RESPONSES / "kraken_ohlc.json").read_bytes()
TRADES = (RESPONSES / "kraken_trades.json").read_bytes()
NOON = datetime(2026, 10, 30, 12, tzinfo=UTC)


@pytest.fixture
def kraken(server: FakeServer, clock: SetClock, client: HttpClient) -> Kraken:
    clock.at = NOON + 5 * HOUR + 20 * MINUTE
    server.respond_with(Reply(200, OHLC))
    return Kraken(client, clock)


async def failure(kraken: Kraken, symbol: Symbol = BTC) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await kraken.bars(symbol, HOUR, NOON, NOON + 6 * HOUR)
    return caught.value


async def test_untraded_bars_are_dropped(kraken: Kraken) -> None:
    bars = await kraken.bars(BTC, HOUR, NOON, NOON + 6 * HOUR)

    assert {
        "2026-10-30T12:00:00": 70000.5,
        "2026-10-30T13:00:00": 70100.0,
        "2026-10-30T14:00:00": 70200.25,
        "2026-10-30T16:00:00": 70400.75,
    } == by_opening(bars)
    assert (BTC, HOUR, "Kraken") == (bars.symbol, bars.interval, bars.source)


async def test_the_newest_row_is_dropped_even_if_clocks_differ(kraken: Kraken, clock: SetClock) -> None:
    clock.at = NOON + 7 * HOUR

    bars = await kraken.bars(BTC, HOUR, NOON, NOON + 7 * HOUR)

    assert "2026-10-30T17:00:00" not in by_opening(bars)


async def test_a_call_has_pair_interval_and_start(kraken: Kraken, server: FakeServer) -> None:
    await kraken.bars(BTC, HOUR, NOON - 30 * MINUTE, NOON + HOUR)

    assert "https://api.kraken.com/0/public/OHLC" == str(server.requests[0].url.copy_with(query=None))
    assert {"pair": "XBTUSD", "interval": "60", "since": str(int(NOON.timestamp()) - 1)} == dict(
        server.requests[0].url.params
    )


@pytest.mark.parametrize(
    ("age", "reaches"),
    [
        pytest.param(718 * HOUR, True, id="within"),
        pytest.param(719 * HOUR, False, id="beyond"),
        pytest.param(timedelta(days=700), False, id="long-ago"),
    ],
)
async def test_a_range_before_krakens_history_is_rejected_without_a_call(
    kraken: Kraken, server: FakeServer, clock: SetClock, age: timedelta, *, reaches: bool
) -> None:
    start = clock.at.replace(minute=0) - age

    if reaches:
        await kraken.bars(BTC, HOUR, start, clock.at)
    else:
        with pytest.raises(SourceError, match="keeps only its newest 720 bars; ask for a later start") as caught:
            await kraken.bars(BTC, HOUR, start, clock.at)
        assert not caught.value.retryable

    assert reaches == bool(server.requests)


async def test_an_unsupported_interval_is_rejected_without_a_call(kraken: Kraken, server: FakeServer) -> None:
    with pytest.raises(SourceError, match="has bars of 1, 5, 15, 30, 60, 240, 1440 minutes only"):
        await kraken.bars(BTC, 2 * HOUR, NOON, NOON + 6 * HOUR)

    assert [] == server.requests


async def test_the_quote_is_the_last_trade_with_its_time(kraken: Kraken, server: FakeServer) -> None:
    server.respond_with(Reply(200, TRADES))

    quote = await kraken.quote(BTC)

    assert quote is not None
    assert (70401.5, "Kraken") == (quote.price, quote.source)
    assert datetime(2026, 10, 30, 17, 20, 41, 270099, tzinfo=UTC) == quote.at
    assert {"pair": "XBTUSD", "count": "1"} == dict(server.requests[0].url.params)


async def test_a_coin_without_trades_has_no_quote(kraken: Kraken, server: FakeServer) -> None:
    server.respond_with(Reply(200, b'{"error":[],"result":{"SOLUSD":[],"last":"0"}}'))

    assert await kraken.quote(Symbol("SOL")) is None


def ohlc(key: str = "XXBTZUSD", close: str = '"70000.5"', time: str = "1793361600") -> Reply:
    row = f'[{time}, "1", "1", "1", {close}, "1", "1", 1]'
    return Reply(200, f'{{"error": [], "result": {{"{key}": [{row}], "last": 0}}}}'.encode())


@pytest.mark.parametrize(
    "reply",
    [
        *[
            pytest.param(ohlc(close=close), id=f"close-{close}")
            for close in ('"NaN"', '"0"', '"-1"', '"1e-400"', '"1e12"', "null", "true", '"70,000"', "NaN", "Infinity")
        ],
        *[pytest.param(ohlc(time=time), id=f"time-{time}") for time in ("1793361600000", '"x"', "1.5", "-1", "null")],
        pytest.param(ohlc(key="XETHZUSD"), id="another-pair"),
        pytest.param(Reply(200, b'{"error": [], "result": {"last": 0}}'), id="no-pair"),
        pytest.param(Reply(200, b'{"error": []}'), id="no-result"),
        pytest.param(Reply(200, b"<html>"), id="html"),
        pytest.param(Reply(200, b'{"error":["EService:Unavailable"]}'), id="down"),
    ],
)
async def test_a_malformed_response_is_rejected(kraken: Kraken, server: FakeServer, reply: Reply) -> None:
    server.respond_with(reply)

    assert (await failure(kraken)).retryable


@pytest.mark.parametrize(
    ("error_code", "message"),
    [
        pytest.param("EQuery:Unknown asset pair", "trades no BTC against the US dollar", id="unknown"),
        pytest.param("EGeneral:Invalid arguments", "answered “EGeneral:Invalid arguments”", id="arguments"),
    ],
)
async def test_a_permanent_error_is_not_retryable(
    kraken: Kraken, server: FakeServer, error_code: str, message: str
) -> None:
    server.respond_with(Reply(200, json.dumps({"error": [error_code]}).encode()))

    error = await failure(kraken)

    assert message in error.problem
    assert not error.retryable


async def test_warnings_are_ignored(kraken: Kraken, server: FakeServer) -> None:
    server.respond_with(Reply(200, OHLC.replace(b'"error": []', b'"error": ["WGeneral:Old"]')))

    assert len(await kraken.bars(BTC, HOUR, NOON, NOON + 6 * HOUR))


async def test_recorded_bars_are_read(
    kraken: Kraken, server: FakeServer, clock: SetClock, recording: ReadRecording
) -> None:
    start = datetime(2026, 9, 3, 6, tzinfo=UTC)
    clock.at = start + 4 * MINUTE
    server.respond_with(Reply(200, recording("kraken_ohlc_1m_XBTUSD.json")))

    bars = await kraken.bars(BTC, MINUTE, start, start + 4 * MINUTE)

    assert {
        "2026-09-03T06:00:00": 77736.8,
        "2026-09-03T06:01:00": 77714.7,
        "2026-09-03T06:02:00": 77707.9,
    } == by_opening(bars)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("kraken_error_unknown_pair.json", "trades no BTC", id="unknown-pair"),
        pytest.param("kraken_error_invalid_args.json", "Invalid arguments", id="invalid-arguments"),
        pytest.param("kraken_error_rate.json", "asked too often", id="rate"),
        pytest.param("kraken_error_throttled.json", "asked too often", id="throttled"),
        pytest.param("kraken_time.json", "unusable answer", id="the-time"),
        pytest.param("kraken_ticker_XBTUSD.json", "unusable answer", id="a-ticker-which-has-no-time"),
    ],
)
async def test_recorded_error_responses_are_reported(
    kraken: Kraken, server: FakeServer, recording: ReadRecording, name: str, message: str
) -> None:
    server.respond_with(Reply(200, recording(name)))

    assert message in (await failure(kraken)).problem
    with pytest.raises(SourceError):
        await kraken.quote(BTC)
