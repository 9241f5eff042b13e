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


def october(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, 10, day, hour, minute, tzinfo=UTC)


@pytest.fixture
def coinbase(server: FakeServer, clock: SetClock) -> Coinbase:
    server.respond_with(Reply(200, CANDLES))
    return Coinbase(HttpClient(transport=server.transport), clock)


async def fetch(coinbase: Coinbase, start: datetime, end: datetime, interval: timedelta = HOUR) -> Bars:
    return await coinbase.bars(BTC, interval, start, end)


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


async def test_the_open_bar_is_dropped_for_any_end(coinbase: Coinbase, clock: SetClock) -> None:
    clock.at = october(30, 16, 59)

    bars = await fetch(coinbase, october(30), october(31))

    assert "2026-10-30T16:00:00" not in by_opening(bars)


async def test_an_empty_range_makes_no_call(coinbase: Coinbase, server: FakeServer) -> None:
    await fetch(coinbase, october(30, 13), october(30, 13, 59))

    assert [] == server.requests


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


async def test_the_hour_missing_before_a_half_days_close_stays_missing(
    coinbase: Coinbase, server: FakeServer, recording: ReadRecording
) -> None:
    server.respond_with(Reply(200, recording("SYNTH_coinbase_candles_1h_newest_first_gap.json")))
    start = datetime(2025, 11, 28, tzinfo=UTC)

    bars = await fetch(coinbase, start, start + timedelta(days=1))

    assert 23 == len(bars)
    assert "2025-11-28T17:00:00" not in by_opening(bars)
    assert 90936.23 == by_opening(bars)["2025-11-28T16:00:00"]
