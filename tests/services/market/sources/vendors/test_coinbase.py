from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from services.core.errors import SourceError
from services.core.prices import Bars, Symbol
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.coinbase import Coinbase
from tests.fakes.clock import SetClock
from tests.services.market.sources.conftest import RESPONSES, FakeServer, ReadRecording, Reply, by_opening

BTC = Symbol("BTC")
HOUR = timedelta(hours=1)
CANDLES = (RESPONSES / "coinbase_candles.json").read_bytes()
TICKER = (RESPONSES / "coinbase_ticker.json").read_bytes()


def october(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, 10, day, hour, minute, tzinfo=UTC)


@pytest.fixture
def coinbase(server: FakeServer, clock: SetClock) -> Coinbase:
    server.respond_with(Reply(200, CANDLES))
    return Coinbase(HttpClient(transport=server.transport), clock)


async def fetch(coinbase: Coinbase, start: datetime, end: datetime, interval: timedelta = HOUR) -> Bars:
    return await coinbase.bars(BTC, interval, start, end)


async def failure(coinbase: Coinbase, symbol: str = "BTC") -> SourceError:
    with pytest.raises(SourceError) as caught:
        await coinbase.bars(Symbol(symbol), HOUR, october(30), october(31))
    return caught.value


async def test_bars_are_oldest_first_and_gaps_stay_gaps(coinbase: Coinbase) -> None:
    bars = await fetch(coinbase, october(30), october(31))

    assert {
        "2026-10-30T12:00:00": 70000.5,
        "2026-10-30T13:00:00": 70100.0,
        "2026-10-30T14:00:00": 70200.25,
        "2026-10-30T16:00:00": 70400.75,
    } == by_opening(bars)
    assert list(by_opening(bars)) == sorted(by_opening(bars))
    assert (BTC, HOUR, "Coinbase") == (bars.symbol, bars.interval, bars.source)


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        pytest.param(october(30, 13), october(30, 15), [13, 14], id="both-ends-on-a-bar"),
        pytest.param(october(30, 12, 30), october(30, 17), [13, 14, 16], id="a-bar-that-opened-before-the-start"),
        pytest.param(october(30, 13), october(30, 14, 59), [13], id="a-bar-that-ends-after-the-end"),
        pytest.param(october(30, 13), october(30, 13, 59), [], id="no-whole-bar"),
        pytest.param(october(30, 15), october(30, 13), [], id="an-end-before-the-start"),
    ],
)
async def test_only_complete_bars_between_start_and_end_are_returned(
    coinbase: Coinbase, start: datetime, end: datetime, hours: list[int]
) -> None:
    bars = await fetch(coinbase, start, end)

    assert [f"2026-10-30T{hour}:00:00" for hour in hours] == list(by_opening(bars))


async def test_a_bar_off_the_grid_is_dropped(coinbase: Coinbase, server: FakeServer) -> None:
    server.respond_with(Reply(200, b"[[1793365620, 1, 1, 1, 5.0, 1], [1793365200, 1, 1, 1, 70100.0, 1]]"))

    assert {"2026-10-30T13:00:00": 70100.0} == by_opening(await fetch(coinbase, october(30), october(31)))


async def test_the_open_bar_is_dropped_whatever_the_end(coinbase: Coinbase, clock: SetClock) -> None:
    clock.at = october(30, 16, 59)

    bars = await fetch(coinbase, october(30), october(31))

    assert "2026-10-30T16:00:00" not in by_opening(bars)


async def test_an_empty_range_makes_no_call(coinbase: Coinbase, server: FakeServer) -> None:
    await fetch(coinbase, october(30, 13), october(30, 13, 59))

    assert [] == server.requests


async def test_a_call_has_product_granularity_and_range(coinbase: Coinbase, server: FakeServer) -> None:
    await fetch(coinbase, october(30, 12, 30), october(30, 17, 10))

    [request] = server.requests
    assert "https://api.exchange.coinbase.com/products/BTC-USD/candles" == str(request.url.copy_with(query=None))
    assert {"granularity": "3600", "start": "2026-10-30T13:00:00Z", "end": "2026-10-30T16:59:59Z"} == dict(
        request.url.params
    )


class FakeCoinbase:
    """Answers like Coinbase: newest first, with some rows before the start, and at most 300."""

    def __init__(self) -> None:
        self.counts: list[int] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        params = request.url.params
        step = int(params["granularity"])
        start, end = (int(datetime.fromisoformat(params[name]).timestamp()) for name in ("start", "end"))
        self.counts.append(len(range(start, end + 1, step)))
        if self.counts[-1] > 300:
            return httpx.Response(400, json={"message": "Count of aggregations requested exceeds 300"})
        opened = range(start - 2 * step, end + 1, step)
        return httpx.Response(200, json=[[at, 1, 1, 1, float(at), 1] for at in reversed(opened)])


@pytest.mark.parametrize(
    ("hours", "counts"),
    [
        pytest.param(1, [1], id="one-bar"),
        pytest.param(300, [300], id="a-full-page"),
        pytest.param(301, [300, 1], id="one-more"),
        pytest.param(700, [300, 300, 100], id="three-pages"),
    ],
)
async def test_a_long_range_is_fetched_in_pages_of_at_most_300(clock: SetClock, hours: int, counts: list[int]) -> None:
    exchange = FakeCoinbase()
    coinbase = Coinbase(HttpClient(transport=httpx.MockTransport(exchange)), clock)
    start = october(1)

    bars = await fetch(coinbase, start, start + hours * HOUR)

    assert counts == exchange.counts
    assert [start.timestamp() + 3600 * hour for hour in range(hours)] == bars.closes.tolist()


async def test_a_failed_page_fails_the_range(coinbase: Coinbase, server: FakeServer) -> None:
    server.respond_with(Reply(200, CANDLES), Reply(429))

    with pytest.raises(SourceError, match="throttled"):
        await fetch(coinbase, october(1), october(31))


async def test_an_unsupported_interval_is_rejected_without_a_call(coinbase: Coinbase, server: FakeServer) -> None:
    with pytest.raises(SourceError, match="has bars of 1, 5, 15, 60, 360, 1440 minutes only") as caught:
        await fetch(coinbase, october(1), october(2), timedelta(minutes=30))

    assert not caught.value.retryable
    assert [] == server.requests


async def test_the_quote_is_the_last_trade_with_its_time(coinbase: Coinbase, server: FakeServer) -> None:
    server.respond_with(Reply(200, TICKER))

    quote = await coinbase.quote(BTC)

    assert (BTC, 70401.01, "Coinbase") == (quote.symbol, quote.price, quote.source)
    assert datetime(2026, 10, 30, 17, 20, 41, 270099, tzinfo=UTC) == quote.at
    assert "/products/BTC-USD/ticker" == server.requests[0].url.path


def ticker(**changes: object) -> Reply:
    return Reply(200, json.dumps(json.loads(TICKER) | changes).encode())


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(ticker(price="NaN"), id="nan"),
        pytest.param(ticker(price="Infinity"), id="infinite"),
        pytest.param(ticker(price="1e999"), id="beyond-measure"),
        pytest.param(ticker(price="1e-400"), id="beneath-measure"),
        pytest.param(ticker(price="0"), id="zero"),
        pytest.param(ticker(price="-70401.01"), id="negative"),
        pytest.param(ticker(price=""), id="empty"),
        pytest.param(ticker(price="70,401.01"), id="thousands-separator"),
        pytest.param(ticker(price=None), id="null"),
        pytest.param(ticker(price=True), id="truth"),
        pytest.param(ticker(time="2026-10-30T17:20:41"), id="time-without-zone"),
        pytest.param(ticker(time="now"), id="no-time"),
        pytest.param(ticker(time=None), id="null-time"),
        pytest.param(ticker(time="9999-12-31T23:59:59-12:00"), id="after-the-end-of-time"),
        pytest.param(Reply(200, b"[]"), id="a-list"),
        pytest.param(Reply(200, b"<html></html>"), id="html"),
    ],
)
async def test_a_malformed_ticker_is_rejected(coinbase: Coinbase, server: FakeServer, reply: Reply) -> None:
    server.respond_with(reply)

    with pytest.raises(SourceError) as caught:
        await coinbase.quote(BTC)

    assert caught.value.retryable


@pytest.mark.parametrize("close", ['"70000.5"', "null", "NaN", "Infinity", "1e999", "0", "-1", "true", "1e12"])
async def test_a_candle_with_an_invalid_close_is_rejected(coinbase: Coinbase, server: FakeServer, close: str) -> None:
    server.respond_with(Reply(200, f"[[1793361600, 1, 1, 1, {close}, 1]]".encode()))

    assert (await failure(coinbase)).retryable


@pytest.mark.parametrize(
    "row",
    [
        pytest.param("[1793361600.5, 1, 1, 1, 70000.5, 1]", id="fraction-of-a-second"),
        pytest.param("[1793361600000, 1, 1, 1, 70000.5, 1]", id="milliseconds"),
        pytest.param('["2026-10-30", 1, 1, 1, 70000.5, 1]', id="time-as-text"),
        pytest.param("[1793361600, 1, 1, 1, 70000.5]", id="a-column-short"),
        pytest.param("[1793361600, 1, 1, 1, 70000.5, 1, 1]", id="a-column-more"),
        pytest.param("{}", id="an-object"),
    ],
)
async def test_a_candle_of_another_shape_is_rejected(coinbase: Coinbase, server: FakeServer, row: str) -> None:
    server.respond_with(Reply(200, f"[{row}]".encode()))

    assert "sent an unusable answer" in (await failure(coinbase)).problem


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        pytest.param(Reply(404, b'{"message":"NotFound"}'), "trades no DOGGO against the US dollar", id="404"),
        pytest.param(Reply(400, b'{"message":"no such thing"}'), "refused the request: “no such thing”", id="400"),
        pytest.param(Reply(400, b"<html>"), "answered 400 Bad Request", id="400-without-words"),
    ],
)
async def test_an_error_response_explains_the_problem(
    coinbase: Coinbase, server: FakeServer, reply: Reply, message: str
) -> None:
    server.respond_with(reply)

    error = await failure(coinbase, "DOGGO")

    assert message in str(error)
    assert not error.retryable


async def test_a_429_starts_a_one_minute_backoff(coinbase: Coinbase, server: FakeServer, clock: SetClock) -> None:
    server.respond_with(Reply(429), Reply(200, CANDLES))

    assert (await failure(coinbase)).retry_after == timedelta(minutes=1)
    clock.advance(timedelta(minutes=1))

    assert await fetch(coinbase, october(30), october(31))


async def test_recorded_candles_are_read(coinbase: Coinbase, server: FakeServer, recording: ReadRecording) -> None:
    server.respond_with(Reply(200, recording("coinbase_candles_1h_one_row.json")))
    start = datetime(2024, 3, 13, tzinfo=UTC)

    bars = await fetch(coinbase, start, start + timedelta(days=1))

    assert {"2024-03-13T11:00:00": 73370.65} == by_opening(bars)


async def test_the_hour_missing_before_a_half_days_close_stays_missing(
    coinbase: Coinbase, server: FakeServer, recording: ReadRecording
) -> None:
    server.respond_with(Reply(200, recording("SYNTH_coinbase_candles_1h_newest_first_gap.json")))
    start = datetime(2025, 11, 28, tzinfo=UTC)

    bars = await fetch(coinbase, start, start + timedelta(days=1))

    assert 23 == len(bars)
    assert "2025-11-28T17:00:00" not in by_opening(bars)
    assert 90936.23 == by_opening(bars)["2025-11-28T16:00:00"]


async def test_a_recorded_ticker_is_read(coinbase: Coinbase, server: FakeServer, recording: ReadRecording) -> None:
    server.respond_with(Reply(200, recording("coinbase_ticker.json")))

    quote = await coinbase.quote(BTC)

    assert (73367.8, "2024-03-13 11:10:41.270099+00:00") == (quote.price, str(quote.at))


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        pytest.param("coinbase_error_400_too_many.json", 400, "requested exceeds 300”", id="400"),
        pytest.param("coinbase_error_404.json", 404, "trades no BTC against the US dollar", id="404"),
    ],
)
async def test_recorded_errors_are_reported(
    coinbase: Coinbase, server: FakeServer, recording: ReadRecording, name: str, status: int, message: str
) -> None:
    server.respond_with(Reply(status, recording(name)))

    error = await failure(coinbase)

    assert message in error.problem
    assert not error.retryable
