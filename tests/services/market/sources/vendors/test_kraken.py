from datetime import UTC, datetime, timedelta

import pytest

from services.core.errors import SourceError
from services.core.prices import Symbol
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.kraken import Kraken
from tests.fakes.clock import SetClock
from tests.services.market.sources.conftest import RESPONSES, FakeServer, Reply, by_opening

BTC = Symbol("BTC")
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
OHLC = (RESPONSES / "kraken_ohlc.json").read_bytes()
NOON = datetime(2026, 10, 30, 12, tzinfo=UTC)


@pytest.fixture
def kraken(server: FakeServer, clock: SetClock, client: HttpClient) -> Kraken:
    clock.at = NOON + 5 * HOUR + 20 * MINUTE
    server.respond_with(Reply(200, OHLC))
    return Kraken(client, clock)


async def test_the_newest_row_is_dropped_even_if_clocks_differ(kraken: Kraken, clock: SetClock) -> None:
    clock.at = NOON + 7 * HOUR

    bars = await kraken.bars(BTC, HOUR, NOON, NOON + 7 * HOUR)

    assert "2026-10-30T17:00:00" not in by_opening(bars)


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
        with pytest.raises(SourceError, match="has only its newest 720 bars; use a later start") as caught:
            await kraken.bars(BTC, HOUR, start, clock.at)
        assert not caught.value.retryable

    assert reaches == bool(server.requests)


async def test_warnings_are_ignored(kraken: Kraken, server: FakeServer) -> None:
    server.respond_with(Reply(200, OHLC.replace(b'"error": []', b'"error": ["WGeneral:Old"]')))

    assert len(await kraken.bars(BTC, HOUR, NOON, NOON + 6 * HOUR))
