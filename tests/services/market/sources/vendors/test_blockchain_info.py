from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from services.core.errors import SourceError
from services.market.network import Network
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.blockchain_info import BlockchainInfo
from tests.fakes.clock import SetClock
from tests.services.market.sources.conftest import RESPONSES, FakeServer, ReadRecording, Reply

CHART = (RESPONSES / "blockchain_hashrate.json").read_bytes()


@pytest.fixture
def blockchain(server: FakeServer, clock: SetClock, client: HttpClient) -> BlockchainInfo:
    server.respond_with(Reply(200, CHART))
    return BlockchainInfo(client, clock)


async def test_the_last_days_hash_rate_is_in_hashes_per_second(blockchain: BlockchainInfo, server: FakeServer) -> None:
    assert (
        Network(
            at=datetime(2026, 11, 19, tzinfo=UTC),
            source="Blockchain.com",
            hashrate=1.0100000005e21,
            lag=timedelta(days=3),
        )
        == await blockchain.network()
    )
    assert "https://api.blockchain.info/charts/hash-rate?timespan=10days&format=json&sampled=false" == str(
        server.requests[0].url
    )


async def test_millisecond_times_are_parsed(blockchain: BlockchainInfo, server: FakeServer) -> None:
    server.respond_with(Reply(200, CHART.replace(b"1795046400", b"1795046400000")))

    assert datetime(2026, 11, 19, tzinfo=UTC) == (await blockchain.network()).at


def chart(**changes: object) -> Reply:
    return Reply(200, json.dumps(json.loads(CHART) | changes).encode())


@pytest.mark.parametrize(
    "reply",
    [
        *[
            pytest.param(chart(values=[{"x": 1795046400, "y": rate}]), id=f"rate-{rate}")
            for rate in ("1", None, True, 0, -1, float("nan"), float("inf"), 1e20)
        ],
        *[
            pytest.param(chart(values=[{"x": at, "y": 1.0}]), id=f"time-{at}")
            for at in ("1795046400", None, 0, 1.5, 10**11, 10**20)
        ],
        pytest.param(chart(values=[]), id="no-points"),
        pytest.param(chart(unit="Hash Rate EH/s"), id="another-unit"),
        pytest.param(Reply(200, b"<html>"), id="html"),
    ],
)
async def test_a_malformed_response_is_rejected(blockchain: BlockchainInfo, server: FakeServer, reply: Reply) -> None:
    server.respond_with(reply)

    with pytest.raises(SourceError) as caught:
        await blockchain.network()

    assert caught.value.retryable


async def test_a_documented_chart_is_read(
    blockchain: BlockchainInfo, server: FakeServer, recording: ReadRecording
) -> None:
    server.respond_with(Reply(200, recording("DOC_blockchain_info_chart_hash-rate.json")))

    network = await blockchain.network()

    assert (datetime(2025, 4, 8, tzinfo=UTC), 924148329.2792498 * 1e12) == (network.at, network.hashrate)
