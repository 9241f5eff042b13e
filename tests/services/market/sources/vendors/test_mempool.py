import json
from datetime import UTC, datetime

import pytest

from services.core.errors import SourceError
from services.market.network import NETWORK, Retarget, Reward
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.mempool import Mempool
from tests.fakes.clock import SetClock
from tests.services.market.sources.conftest import RESPONSES, FakeServer, ReadRecording, Reply, json_reply

MINING, ADJUSTMENT, REWARDS, FEES = (
    json.loads((RESPONSES / f"mempool_{name}.json").read_bytes())
    for name in ("hashrate", "adjustment", "rewards", "fees")
)


@pytest.fixture
def mempool(server: FakeServer, clock: SetClock, client: HttpClient) -> Mempool:
    respond_with_pages(server)
    return Mempool(client, clock)


def respond_with_pages(server: FakeServer, **changes: object) -> None:
    """Serve the four endpoints, with these values replaced wherever they occur."""
    pages = [
        page | {key: value for key, value in changes.items() if key in page}
        for page in (MINING, ADJUSTMENT, REWARDS, FEES)
    ]
    server.respond_with(*(json_reply(page) for page in pages))


async def test_zero_means_unknown(mempool: Mempool, server: FakeServer) -> None:
    respond_with_pages(server, currentHashrate=0, currentDifficulty=0)

    network = await mempool.network()

    assert (None, None) == (network.hashrate, network.difficulty)
    assert network.retarget is not None


async def test_a_retarget_time_in_seconds_is_parsed(mempool: Mempool, server: FakeServer) -> None:
    respond_with_pages(server, estimatedRetargetDate=1795737600)

    network = await mempool.network()

    assert network.retarget is not None
    assert datetime(2026, 11, 27, tzinfo=UTC) == network.retarget.at


@pytest.mark.parametrize(
    "changes",
    [
        *[
            pytest.param({name: value}, id=f"{name}-{value}")
            for name in ("currentHashrate", "currentDifficulty", "difficultyChange", "fastestFee")
            for value in ("1", None, True, float("nan"), float("inf"), -1e9, 1e40)
        ],
        *[
            pytest.param({"estimatedRetargetDate": value}, id=f"retarget-{value}")
            for value in (0, -1, 1.5, 10**11, 10**16, None, "1795737600000")
        ],
        *[
            pytest.param({"totalReward": value}, id=f"reward-{value}")
            for value in (46440000000, "-1", "4.5", "", "1e9", "9" * 17, "1439999999")
        ],
        pytest.param({"endBlock": 976000}, id="no-blocks"),
        pytest.param({"nextRetargetHeight": -1}, id="height"),
    ],
)
async def test_an_odd_figure_costs_only_that_figure(
    mempool: Mempool, server: FakeServer, changes: dict[str, object]
) -> None:
    respond_with_pages(server, **changes)

    found = await mempool.network()
    respond_with_pages(server)
    whole = await mempool.network()

    fields = ("hashrate", "difficulty", "retarget", "reward", "fee_rate")
    lost = [name for name in fields if getattr(found, name) is None]
    assert 1 == len(lost)
    assert {name: getattr(whole, name) for name in fields if name not in lost} == {
        name: getattr(found, name) for name in fields if name not in lost
    }


async def test_documented_pages_are_read(mempool: Mempool, server: FakeServer, recording: ReadRecording) -> None:
    names = ("hashrate_3d", "difficulty_adjustment", "reward_stats_100", "fees_recommended")
    server.respond_with(*(Reply(200, recording(f"mempool_{name}.json")) for name in names))

    network = await mempool.network()

    assert (2.520332473552123e20, 31251101365711.12, 1.0) == (network.hashrate, network.difficulty, network.fee_rate)
    assert (
        Retarget(
            change=0.7843046881601534 / 100,
            height=876960,
            at=datetime(2024, 12, 29, 23, 27, 8, 279000, tzinfo=UTC),
        )
        == network.retarget
    )
    assert Reward(blocks=100, total=6.3811748254, fees=0.1311748254) == network.reward


async def test_the_history_is_read_from_one_endpoint(mempool: Mempool, server: FakeServer) -> None:
    server.respond_with(json_reply(MINING))

    past = await mempool.history()

    assert ["https://mempool.space/api/v1/mining/hashrate/3y"] == [str(request.url) for request in server.requests]
    assert (["2026-11-19"], [1e21]) == (past.days.astype(str).tolist(), past.hashrates.tolist())
    assert ["2026-11-18T11:06:40"] == past.retargets_at.astype(str).tolist()
    assert ([150000000000000.5], [976000]) == (past.difficulties.tolist(), past.heights.tolist())


HOUR_S, DAY_S = 3600, 86400
DAYS = [{"timestamp": 1795046400 + day * DAY_S, "avgHashrate": 1e21 + day} for day in range(4)]


@pytest.mark.parametrize(
    "odd",
    [
        None,
        {"timestamp": DAYS[3]["timestamp"] + HOUR_S, "avgHashrate": 9e21},
        DAYS[3],
        DAYS[3] | {"avgHashrate": None},
        {},
    ],
    ids=str,
)
async def test_an_odd_day_costs_that_day(mempool: Mempool, server: FakeServer, odd: object) -> None:
    server.respond_with(json_reply(MINING | {"hashrates": [*DAYS, odd]}))

    found = await mempool.history()

    assert [1e21 + day for day in range(4)] == found.hashrates.tolist()
    assert sorted(found.days.tolist()) == found.days.tolist()
    assert 1 == len(mempool.dropped(NETWORK))


async def test_a_doubled_retarget_costs_one_of_them(mempool: Mempool, server: FakeServer) -> None:
    server.respond_with(json_reply(MINING | {"difficulty": MINING["difficulty"] * 2}))

    assert [976000] == (await mempool.history()).heights.tolist()
    assert ("difficulty: 1 repeated",) == mempool.dropped(NETWORK)


async def test_an_unordered_history_is_rejected(mempool: Mempool, server: FakeServer) -> None:
    server.respond_with(json_reply(MINING | {"hashrates": DAYS[::-1]}))

    with pytest.raises(SourceError, match=r"mempool\.space \(network\)"):
        await mempool.history()
